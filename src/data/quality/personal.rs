//! Numbers and addresses that belong to a person. Those with a check digit are found only when it holds, so that
//! amounts and serial numbers are not taken for them.

use super::{Field, Finding, Rule};
use std::ops::Range;

/// A person's datum in a text.
struct Datum {
    rule: Rule,
    /// Bytes of the text.
    at: Range<usize>,
}

pub(super) fn inspect(field: Field, text: &str, found: &mut Vec<Finding>) {
    for datum in data(text) {
        found.push(Finding { rule: datum.rule, field, text: masked(&text[datum.at.clone()], datum.rule) });
    }
}

/// `text` with every person's datum hidden but for its ends, and how many there were.
pub fn mask(text: &str) -> (String, usize) {
    let found = data(text);
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for datum in &found {
        out.push_str(&text[from..datum.at.start]);
        out.push_str(&masked(&text[datum.at.clone()], datum.rule));
        from = datum.at.end;
    }
    out.push_str(&text[from..]);
    (out, found.len())
}

/// The datum with stars in its middle; what stays cannot be completed.
fn masked(datum: &str, rule: Rule) -> String {
    if rule == Rule::Email {
        let (name, host) = datum.split_once('@').unwrap_or((datum, ""));
        let first: String = name.chars().take(1).collect();
        return format!("{first}***@{host}");
    }
    let digits = datum.chars().filter(char::is_ascii_alphanumeric).count();
    let (head, tail) = if rule == Rule::Phone { (3, 2) } else { (4, 2) };
    let mut seen = 0;
    datum
        .chars()
        .map(|c| {
            if !c.is_ascii_alphanumeric() {
                return c;
            }
            seen += 1;
            if seen <= head || seen > digits - tail { c } else { '*' }
        })
        .collect()
}

/// All data of `text`, in order, none within another.
fn data(text: &str) -> Vec<Datum> {
    let mut found = emails(text);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let run = digit_run(bytes, at);
        if let Some(rule) = number(text, &run) {
            found.push(Datum { rule, at: run.clone() });
        } else {
            // Several numbers side by side: each by itself.
            for part in parts(bytes, &run) {
                found.extend(number(text, &part).map(|rule| Datum { rule, at: part }));
            }
        }
        at = run.end;
    }
    found.sort_by_key(|datum| datum.at.start);
    let mut end = 0;
    found.retain(|datum| {
        let apart = datum.at.start >= end;
        if apart {
            end = datum.at.end;
        }
        apart
    });
    found
}

/// The digits from `start` on, with single spaces or hyphens between them, and the X that may end an identity number.
fn digit_run(bytes: &[u8], start: usize) -> Range<usize> {
    let mut end = start;
    let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    while digit(end) || matches!(bytes.get(end), Some(b' ' | b'-')) && digit(end + 1) {
        end += 1;
    }
    start..end + usize::from(ends_in_x(bytes, &(start..end)))
}

/// Whether the last seventeen digits of `run` are followed by the X of an identity number.
fn ends_in_x(bytes: &[u8], run: &Range<usize>) -> bool {
    let digits = bytes[run.clone()].iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let followed = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_alphanumeric);
    digits == 17 && matches!(bytes.get(run.end), Some(b'X' | b'x')) && !followed(run.end + 1)
}

/// The stretches of `run` between its separators.
fn parts(bytes: &[u8], run: &Range<usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut from = run.start;
    for at in run.clone().chain([run.end]) {
        if at == run.end || !bytes[at].is_ascii_alphanumeric() {
            if at > from {
                parts.push(from..at);
            }
            from = at + 1;
        }
    }
    parts
}

/// What the number at `run` is, if it is a person's.
fn number(text: &str, run: &Range<usize>) -> Option<Rule> {
    let bytes = text.as_bytes();
    let before = run.start.checked_sub(1).map(|i| bytes[i]);
    let after = bytes.get(run.end);
    // Part of a word or an amount.
    let joined = |b: u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b'$');
    let amount = ["%", "元", "万", "亿", "块", "美元", "股", "份", "吨"];
    if before.is_some_and(joined)
        || after.is_some_and(|b| b.is_ascii_alphabetic())
        || amount.iter().any(|unit| text[run.end..].starts_with(unit))
    {
        return None;
    }
    // A point with few digits on its other side makes it a decimal number; one between two long numbers separates them.
    let digits_from = |at: usize| bytes[at.min(bytes.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
    if after == Some(&b'.') && (1..=6).contains(&digits_from(run.end + 1)) {
        return None;
    }
    if before == Some(b'.')
        && (1..=6).contains(&bytes[..run.start - 1].iter().rev().take_while(|b| b.is_ascii_digit()).count())
    {
        return None;
    }
    let written = &text[run.clone()];
    let digits: Vec<u8> = written.bytes().filter(u8::is_ascii_alphanumeric).collect();
    let separated = digits.len() != written.len();
    if digits.len() == 18 && !separated && is_id_card(&digits) {
        return Some(Rule::IdCard);
    }
    if is_phone(&digits, written, before) {
        return Some(Rule::Phone);
    }
    if (16..=19).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && grouped(written)
        && is_bank_card(&digits)
    {
        return Some(Rule::BankCard);
    }
    None
}

/// Bank cards are written whole or in groups of four.
fn grouped(written: &str) -> bool {
    let groups: Vec<&str> = written.split([' ', '-']).collect();
    let Some((last, whole)) = groups.split_last() else { return false };
    groups.len() == 1 || whole.iter().all(|group| group.len() == 4) && (1..=4).contains(&last.len())
}

/// GB 11643-1999: six digits of a place, eight of a birthday, three, and a check character (ISO 7064, MOD 11-2).
fn is_id_card(digits: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: &[u8; 11] = b"10X98765432";
    let value =
        |range: Range<usize>| digits[range].iter().fold(0u32, |n, d| n * 10 + u32::from(d.saturating_sub(b'0')));
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(d, w)| u32::from(d.saturating_sub(b'0')) * w).sum();
    let place = (11..=82).contains(&value(0..2));
    let born =
        (1900..=2099).contains(&value(6..10)) && (1..=12).contains(&value(10..12)) && (1..=31).contains(&value(12..14));
    digits[..17].iter().all(u8::is_ascii_digit)
        && place
        && born
        && CHECKS[(sum % 11) as usize] == digits[17].to_ascii_uppercase()
}

/// Mobile numbers of China (eleven digits, perhaps with its country code 86), and numbers written with a plus sign.
fn is_phone(digits: &[u8], written: &str, before: Option<u8>) -> bool {
    let mobile = |d: &[u8]| d.len() == 11 && d[0] == b'1' && (b'3'..=b'9').contains(&d[1]);
    let groups: Vec<usize> = written.split([' ', '-']).map(str::len).collect();
    let chinese = mobile(digits) && (groups.len() == 1 || groups == [3, 4, 4])
        || digits.len() == 13 && digits.starts_with(b"86") && mobile(&digits[2..]);
    chinese || before == Some(b'+') && (10..=15).contains(&digits.len())
}

/// ISO/IEC 7812: the Luhn sum is a multiple of ten, and the first digit is one that banks use.
fn is_bank_card(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let d = u32::from(d - b'0');
            if i % 2 == 0 { d } else { d * 2 / 10 + d * 2 % 10 }
        })
        .sum();
    let one_digit = digits.iter().all(|d| d == &digits[0]);
    matches!(digits[0], b'3'..=b'6' | b'9') && sum.is_multiple_of(10) && !one_digit
}

/// `name@host.top`, by hand: a pattern that finds all addresses of the standard would find much else.
fn emails(text: &str) -> Vec<Datum> {
    let bytes = text.as_bytes();
    let name = |b: &u8| b.is_ascii_alphanumeric() || b"._%+-".contains(b);
    let host = |b: &u8| b.is_ascii_alphanumeric() || b".-".contains(b);
    let address = |(at, _): (usize, &str)| {
        let start = at - bytes[..at].iter().rev().take_while(|b| name(b)).count();
        let mut end = at + 1 + bytes[at + 1..].iter().take_while(|b| host(b)).count();
        while end > at && matches!(bytes[end - 1], b'.' | b'-') {
            end -= 1;
        }
        let top = text[at + 1..end.max(at + 1)].rsplit_once('.').map_or("", |(_, top)| top);
        let whole = start < at && top.len() >= 2 && top.bytes().all(|b| b.is_ascii_alphabetic());
        whole.then_some(Datum { rule: Rule::Email, at: start..end })
    };
    text.match_indices('@').filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<Rule> {
        data(text).into_iter().map(|datum| datum.rule).collect()
    }

    #[test]
    fn numbers_count_when_their_check_digit_holds() {
        // The examples of the standards: GB 11643 and ISO/IEC 7812.
        assert_eq!(rules("身份证号11010519491231002X。"), [Rule::IdCard]);
        assert_eq!(rules("身份证号11010518491231004X。"), [], "nobody was born in 1849");
        assert_eq!(rules("身份证号110105194912310021。"), [], "the check character is wrong");
        assert_eq!(rules("卡号 4111 1111 1111 1111，请核对"), [Rule::BankCard]);
        assert_eq!(rules("card 4111-1111-1111-1112"), []);
        assert_eq!(rules("4111111111111111"), [Rule::BankCard]);
        assert_eq!(rules("0000000000000000"), []);
    }

    #[test]
    fn telephones_and_addresses() {
        assert_eq!(rules("请拨打13812345678或 138-1234-5678"), [Rule::Phone, Rule::Phone]);
        assert_eq!(rules("+86 13812345678 and +44 20 7946 0958"), [Rule::Phone, Rule::Phone]);
        assert_eq!(rules("写信到 wang.wu@example.com.cn。"), [Rule::Email]);
        assert_eq!(rules("@ a@b x@y.z me@host."), []);
    }

    #[test]
    fn numbers_side_by_side_are_found_each_by_itself() {
        for between in [",", " ", "-", ".", "，", "/", "\t", ", ", "  ", "|"] {
            let text = ["13812345678", "11010519491231002X", "4111111111111111"].join(between);
            assert_eq!(rules(&text), [Rule::Phone, Rule::IdCard, Rule::BankCard], "{between:?}");
        }
        assert_eq!(rules("2024-01-02 13812345678"), [Rule::Phone]);
    }

    #[test]
    fn amounts_are_nobodys() {
        for text in [
            "收入 13812345678.50 元",
            "净利润13812345678元",
            "13,812,345,678",
            "$13812345678",
            "0.13812345678",
            "2024-01-01 2024-12-31",
            "编号A13812345678",
            "138123456789",
            "3.14159265358979",
            "1 2 3 4 5 6 7 8 9 10 11",
        ] {
            assert_eq!(rules(text), [], "{text}");
        }
    }

    #[test]
    fn masking_leaves_everything_else_as_it_was() {
        let (text, count) =
            mask("王五，电话 13812345678，卡 4111 1111 1111 1111，邮箱 wang@example.com，余额 100 元。");
        assert_eq!(count, 3);
        assert_eq!(text, "王五，电话 138******78，卡 4111 **** **** **11，邮箱 w***@example.com，余额 100 元。");
        assert_eq!(mask(&text), (text.clone(), 0), "what is masked is found no more");
        assert_eq!(mask("没有"), ("没有".to_owned(), 0));
    }

    #[test]
    fn any_text_is_looked_through_without_a_panic() {
        for text in
            ["", "@", "@@", "1@", "a@b.cc@d.ee", "８８８８", "1-", "1 ", "11010519491231002x@", "é1é", "+", "1\u{301}2"]
        {
            mask(text);
        }
    }
}
