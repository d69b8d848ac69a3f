//! Judges that are programs. The reference judge compares both answers with a known good one.

use super::battle::{Winner, is_han};
use crate::error::Result;

/// Two F1 values closer than this are equally good.
const NEAR: f64 = 0.02;

/// Words of an answer that are looked at; keeps the longest common subsequence of two rambling texts affordable.
const MOST_WORDS: usize = 2000;

/// A reference "has a final number" when at most this many words follow its last number ("… 15 % per year").
const WORDS_AFTER_NUMBER: usize = 4;

/// Someone who says which of two answers is better.
pub trait Judge {
    /// The name that is stored with each vote.
    fn name(&self) -> &str;

    /// The better of the answers `a` (shown first) and `b`.
    ///
    /// # Errors
    /// Whatever keeps the judge from judging.
    fn verdict(&mut self, question: &str, reference: &str, a: &str, b: &str) -> Result<Winner>;
}

/// A verdict after hearing both orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The outcome; a tie when the two orders disagree.
    pub winner: Winner,
    /// The outcome with the left answer shown first.
    pub forward: Winner,
    /// The outcome with the right answer shown first, told in terms of left and right.
    pub backward: Winner,
}

impl Verdict {
    /// Whether both orders gave the same.
    pub fn is_consistent(&self) -> bool {
        self.forward == self.backward
    }
}

/// Asks `judge` in both orders, because many judges favour what they read first.
///
/// # Errors
/// Those of the judge.
pub fn both_orders(judge: &mut dyn Judge, question: &str, reference: &str, a: &str, b: &str) -> Result<Verdict> {
    let forward = judge.verdict(question, reference, a, b)?;
    let backward = judge.verdict(question, reference, b, a)?.swapped();
    let winner = if forward == backward { forward } else { Winner::Tie };
    Ok(Verdict { winner, forward, backward })
}

/// Judges by likeness to a reference answer: a final number that agrees decides, then ROUGE-L F1.
pub struct ReferenceJudge;

impl Judge for ReferenceJudge {
    fn name(&self) -> &str {
        "reference"
    }

    fn verdict(&mut self, _question: &str, reference: &str, a: &str, b: &str) -> Result<Winner> {
        let wanted = words(reference);
        let (words_a, words_b) = (words(a), words(b));
        match (words_a.is_empty(), words_b.is_empty()) {
            (true, true) => return Ok(Winner::BothBad),
            (false, true) => return Ok(Winner::A),
            (true, false) => return Ok(Winner::B),
            (false, false) => {}
        }
        if let Some(number) = final_number(reference) {
            let agrees = |answer: &str| last_number(answer).is_some_and(|(n, _)| same_number(n, number));
            match (agrees(a), agrees(b)) {
                (true, false) => return Ok(Winner::A),
                (false, true) => return Ok(Winner::B),
                _ => {}
            }
        }
        let difference = rouge_l(&words_a, &wanted) - rouge_l(&words_b, &wanted);
        Ok(match difference {
            d if d.abs() < NEAR => Winner::Tie,
            d if d > 0.0 => Winner::A,
            _ => Winner::B,
        })
    }
}

/// The words of a text: each Chinese character, and each run of letters and digits of any other script in lower case.
/// Marks and blanks separate. At most [`MOST_WORDS`].
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars().map(half_width) {
        if words.len() >= MOST_WORDS {
            return words;
        }
        if is_han(c) || !c.is_alphanumeric() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            if is_han(c) {
                words.push(c.to_string());
            }
        } else {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// F1 of precision and recall of the longest common subsequence (ROUGE-L with β = 1); 0 when either text is empty.
fn rouge_l(answer: &[String], reference: &[String]) -> f64 {
    let common = longest_common_subsequence(answer, reference) as f64;
    if common == 0.0 {
        return 0.0;
    }
    // 2PR/(P+R) with P = common/|answer| and R = common/|reference|.
    2.0 * common / (answer.len() + reference.len()) as f64
}

fn longest_common_subsequence(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0usize; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// The number a reference ends on; `None` when text of some length follows it, for then it is no result.
fn final_number(reference: &str) -> Option<f64> {
    let (number, rest) = last_number(reference)?;
    (words(&rest).len() <= WORDS_AFTER_NUMBER).then_some(number)
}

/// The last number of a text with what follows it: `1,234.5`, `-3`, `１２`, `1.2万`, `5亿`. A sign counts only where
/// no word stands directly before it, so `2021-2023` ends on 2023.
fn last_number(text: &str) -> Option<(f64, String)> {
    let chars: Vec<char> = text.chars().map(half_width).collect();
    let end = chars.iter().rposition(char::is_ascii_digit)? + 1;
    let inside = |i: usize| {
        let digit = |k: Option<&char>| k.is_some_and(char::is_ascii_digit);
        chars[i].is_ascii_digit()
            || (matches!(chars[i], '.' | ',') && i > 0 && digit(chars.get(i - 1)) && digit(chars.get(i + 1)))
    };
    let mut start = end - 1;
    while start > 0 && inside(start - 1) {
        start -= 1;
    }
    let digits: String = chars[start..end].iter().filter(|c| **c != ',').collect();
    let mut number: f64 = digits.parse().ok()?;
    let before = |back: usize| start.checked_sub(back).and_then(|i| chars.get(i)).copied();
    if matches!(before(1), Some('-' | '−')) && before(2).is_none_or(|c| !c.is_alphanumeric() && c != ')') {
        number = -number;
    }
    let mut rest = end;
    while let Some(scale) = chars.get(rest).and_then(|c| match c {
        '万' => Some(1e4),
        '亿' => Some(1e8),
        _ => None,
    }) {
        number *= scale;
        rest += 1;
    }
    Some((number, chars[rest..].iter().collect()))
}

fn same_number(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1.0)
}

/// Full-width digits, letters and signs as their ASCII twins.
fn half_width(c: char) -> char {
    match u32::from(c) {
        code @ 0xff01..=0xff5e => char::from_u32(code - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(reference: &str, a: &str, b: &str) -> Winner {
        let verdict = both_orders(&mut ReferenceJudge, "?", reference, a, b).unwrap();
        assert!(verdict.is_consistent(), "{reference} | {a} | {b}");
        verdict.winner
    }

    #[test]
    fn words_are_characters_in_chinese_and_words_in_english() {
        assert_eq!(words("央行 RAISED利率, by 25bp。"), ["央", "行", "raised", "利", "率", "by", "25bp"]);
        assert!(words(" \n。,!").is_empty());
    }

    #[test]
    fn rouge_l_by_hand() {
        let score = |a: &str, b: &str| rouge_l(&words(a), &words(b));
        // The common subsequence "police … the gunman" of 4 and 4 words has 3.
        assert!((score("police kill the gunman", "police killed the gunman") - 0.75).abs() < 1e-12);
        // 市盈率 of 3 and 6 characters: P = 1, R = ½.
        assert!((score("市盈率", "市盈率是估值") - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(score("", "a"), 0.0);
        assert_eq!(score("同一句话", "同一句话"), 1.0);
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let number = |text: &str| last_number(text).map(|(n, _)| n);
        for (text, expected) in [
            ("total 1,234.50 dollars", 1234.5),
            ("约为１２．５％。", 12.5),
            ("亏损 -3", -3.0),
            ("2021-2023", 2023.0),
            ("营收1.2万亿元", 1.2e12),
            ("The answer is 42.", 42.0),
            ("#### 7", 7.0),
        ] {
            assert_eq!(number(text), Some(expected), "{text}");
        }
        assert_eq!(number("没有数字"), None);
        assert_eq!(final_number("The 401(k) plan lets employees save for their old age before tax."), None);
        assert_eq!(final_number("净利率为15%。"), Some(15.0));
    }

    #[test]
    fn the_right_number_beats_better_prose() {
        let reference = "The profit margin is 12 / 80 = 15%.";
        assert_eq!(verdict(reference, "15", "The profit margin is 12 / 80 = 18%."), Winner::A);
        assert_eq!(verdict(reference, "I do not know.", "It comes to 15.0 percent."), Winner::B);
        // Both right: the wording decides.
        assert_eq!(verdict(reference, "banana 15", "The profit margin is 15%"), Winner::B);
    }

    #[test]
    fn empty_equal_and_alike() {
        assert_eq!(verdict("净值", "", " \n"), Winner::BothBad);
        assert_eq!(verdict("净值", "净值", ""), Winner::A);
        assert_eq!(verdict("基金净值", "基金的净值", "基金的净值"), Winner::Tie);
        assert_eq!(verdict("债券是一种债务凭证", "债券是债务凭证", "股票"), Winner::A);
    }

    #[test]
    fn no_answer_gains_from_its_side() {
        let answers = ["", "15", "利率上升，债券价格下跌", "Bond prices fall by 15", "\u{1b}[31m", "，。", "债券"];
        for reference in ["15", "利率上升时债券价格下跌。", "Bond prices fall when rates rise"] {
            for a in answers {
                for b in answers {
                    assert_eq!(verdict(reference, a, b), verdict(reference, b, a).swapped());
                }
            }
        }
    }

    #[test]
    fn a_judge_that_favours_the_first_gives_ties() {
        struct First;
        impl Judge for First {
            fn name(&self) -> &str {
                "first"
            }
            fn verdict(&mut self, _: &str, _: &str, _: &str, _: &str) -> Result<Winner> {
                Ok(Winner::A)
            }
        }
        let verdict = both_orders(&mut First, "?", "", "x", "y").unwrap();
        assert_eq!((verdict.winner, verdict.is_consistent()), (Winner::Tie, false));
    }
}
