//! Numbers and addresses that belong to a person. Those with a check digit are found only when it holds, so that
//! amounts and serial numbers are not taken for them.
//!
//! A text is looked through as [`plain`] writes it: full-width digits and signs as their ASCII forms, the many hyphens and
//! blanks as one each, and without the characters that nobody sees. What is found is hidden in the text as it stands.

use super::{Field, Finding, Rule};
use std::borrow::Cow;
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
        let (name, host) = datum.split_once(['@', '＠']).unwrap_or((datum, ""));
        let first: String = name.chars().take(1).collect();
        return format!("{first}***@{host}");
    }
    let counts = |c: char| c.is_ascii_alphanumeric() || matches!(c, '０'..='９' | 'Ｘ' | 'ｘ');
    let digits = datum.chars().filter(|c| counts(*c)).count();
    let (head, tail) = if rule == Rule::Phone { (3, 2) } else { (4, 2) };
    let mut seen = 0;
    datum
        .chars()
        .map(|c| {
            if !counts(c) {
                return c;
            }
            seen += 1;
            if seen <= head || seen > digits - tail { c } else { '*' }
        })
        .collect()
}

/// All data of `text`, in order, none within another.
fn data(text: &str) -> Vec<Datum> {
    let (plain, starts) = plain(text);
    let mut found = data_of_plain(&plain);
    if !starts.is_empty() {
        // A datum ends with its last character that is seen.
        for datum in &mut found {
            let last = starts[datum.at.end - 1];
            let end = last + text[last..].chars().next().map_or(0, char::len_utf8);
            datum.at = starts[datum.at.start]..end;
        }
    }
    found
}

/// `text` with one way of writing each digit, letter, hyphen and blank, and where each byte of it stands in `text`
/// (nothing when it is the same text).
fn plain(text: &str) -> (Cow<'_, str>, Vec<usize>) {
    let odd = |c: char| !c.is_ascii() && written_plainly(c) != Some(c);
    if !text.chars().any(odd) {
        return (Cow::Borrowed(text), Vec::new());
    }
    let (mut out, mut starts) = (String::with_capacity(text.len()), Vec::with_capacity(text.len()));
    for (at, c) in text.char_indices() {
        if let Some(c) = written_plainly(c) {
            out.push(c);
            starts.resize(out.len(), at);
        }
    }
    (Cow::Owned(out), starts)
}

/// The usual form of `c`; nothing for what is not seen. Full-width forms are Unicode's block FF01–FF5E.
fn written_plainly(c: char) -> Option<char> {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => None,
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe63}' => Some('-'),
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Some(' '),
        c => Some(c),
    }
}

fn data_of_plain(text: &str) -> Vec<Datum> {
    let mut found = emails(text);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if let Some(run) = bracketed_area(bytes, at) {
            at = run.end;
            found.push(Datum { rule: Rule::Phone, at: run });
            continue;
        }
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

/// Whether seventeen digits, in one or in all groups of `run`, are followed by the X of an identity number.
fn ends_in_x(bytes: &[u8], run: &Range<usize>) -> bool {
    let last = bytes[run.clone()].iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let all = bytes[run.clone()].iter().filter(|b| b.is_ascii_digit()).count();
    let followed = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_alphanumeric);
    (last == 17 || all == 17) && matches!(bytes.get(run.end), Some(b'X' | b'x')) && !followed(run.end + 1)
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
    let groups: Vec<usize> = written.split([' ', '-']).map(str::len).collect();
    let as_written = matches!(groups[..], [18] | [6, 8, 4] | [6, 4, 4, 4] | [6, 12] | [14, 4]);
    if digits.len() == 18 && as_written && is_id_card(&digits) {
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

/// Mobile numbers of China (eleven digits, perhaps with its country code 86), its landlines, and numbers written with a
/// plus sign.
fn is_phone(digits: &[u8], written: &str, before: Option<u8>) -> bool {
    let mobile = |d: &[u8]| d.len() == 11 && d[0] == b'1' && (b'3'..=b'9').contains(&d[1]);
    let groups: Vec<usize> = written.split([' ', '-']).map(str::len).collect();
    let chinese = mobile(digits) && matches!(groups[..], [11] | [3, 4, 4] | [7, 4] | [3, 8])
        || digits.len() == 13 && digits.starts_with(b"86") && mobile(&digits[2..]);
    chinese || is_landline(digits, &groups) || before == Some(b'+') && (10..=15).contains(&digits.len())
}

/// A landline of China: an area code (010, 02 and a digit, or 0, one of 3 to 9 and two digits), seven or eight digits of
/// which the first is 2 to 9, and perhaps an extension.
fn is_landline(digits: &[u8], groups: &[usize]) -> bool {
    let area = match digits {
        [b'0', b'1', b'0', ..] | [b'0', b'2', ..] => 3,
        [b'0', b'3'..=b'9', ..] => 4,
        _ => return false,
    };
    let own = match groups {
        [whole] => whole.saturating_sub(area),
        [first, own] | [first, own, 1..=6] if *first == area && *own > 4 => *own,
        // In two groups: 010 8888 8888, and 010 8888 8888 123.
        [first, 3 | 4, 4] | [first, 3 | 4, 4, 1..=6] if *first == area => groups[1] + groups[2],
        _ => return false,
    };
    let usual = if area == 3 { own == 8 } else { own == 7 || own == 8 };
    usual && digits.get(area).is_some_and(|d| (b'2'..=b'9').contains(d))
}

/// The landline at `start` whose area code stands in brackets, `(010) 8888 8888`: from the bracket to its last digit.
fn bracketed_area(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = bytes.get(start..)?.strip_prefix(b"(")?;
    let code = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let after = rest.get(code..)?.strip_prefix(b")").filter(|_| (3..=4).contains(&code))?;
    let gap = usize::from(matches!(after.first(), Some(b' ' | b'-')));
    let from = start + code + 2 + gap;
    bytes.get(from).filter(|b| b.is_ascii_digit())?;
    let own = digit_run(bytes, from);
    let mut digits = rest[..code].to_vec();
    digits.extend(bytes[own.clone()].iter().filter(|b| b.is_ascii_digit()));
    let lengths = bytes[own.clone()].split(|b| !b.is_ascii_digit()).map(<[u8]>::len);
    let groups: Vec<usize> = [code].into_iter().chain(lengths).collect();
    is_landline(&digits, &groups).then_some(start..own.end)
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
        for written in ["110105 19491231 002X", "110105-19491231-002x", "110105 1949 1231 002X"] {
            assert_eq!(rules(written), [Rule::IdCard], "{written}");
            assert!(!mask(written).0.contains("1949"), "{written}");
        }
        assert_eq!(rules("手机 1381234 5678"), [Rule::Phone]);
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
    fn landlines_have_an_area_code() {
        // Beijing, Shanghai, Hangzhou, Shenzhen; seven digits in Lhasa.
        for text in [
            "010-88881234",
            "010 8888 1234",
            "02188881234",
            "0571-88881234",
            "0755 88881234",
            "0891-6333333",
            "（010）88881234",
            "(0571) 8888 1234",
            "010-88881234-801",
            "０１０－８８８８１２３４",
        ] {
            assert_eq!(rules(&format!("电话：{text}，谢谢")), [Rule::Phone], "{text}");
            assert!(rules(&mask(text).0).is_empty(), "{text}");
        }
        for text in ["010-1234567", "0891-633333", "000001-600000", "010-08881234", "(010) 人", "(2024) 88881234"] {
            assert_eq!(rules(text), [], "{text}");
        }
    }

    #[test]
    fn other_ways_of_writing_hide_nothing() {
        let same = [
            ("电话１３８１２３４５６７８。", "电话１３８******７８。"),
            ("138\u{200b}1234\u{200b}5678", "138\u{200b}****\u{200b}**78"),
            ("138\u{2011}1234\u{2011}5678", "138\u{2011}****\u{2011}**78"),
            ("1\u{feff}3812345678\u{feff}", "1\u{feff}38******78\u{feff}"),
            ("１１０１０５１９４９１２３１００２Ｘ", "１１０１************２Ｘ"),
            ("4111\u{3000}1111\u{a0}1111 1111", "4111\u{3000}****\u{a0}**** **11"),
            ("ｗａｎｇ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ｗ***@ｅｘａｍｐｌｅ．ｃｏｍ"),
        ];
        for (text, hidden) in same {
            assert_eq!(mask(text), (hidden.to_owned(), 1), "{text:?}");
        }
        assert_eq!(rules("净利润１３８１２３４５６７８元，增长５％"), []);
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
