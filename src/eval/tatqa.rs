//! TAT-QA's own exact match and F1: numbers are compared by value, with their scale (thousand, million, billion,
//! percent), spans by their words. Follows the benchmark's published evaluation, quirks included, so that figures can
//! be compared; `docs/benchmark-definitions.md` says the rules in words.

use super::table::Row;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;

/// A right answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Gold {
    /// Its spans or its number.
    spans: Vec<String>,
    /// `thousand`, `million`, `billion`, `percent` or empty.
    scale: String,
    /// Whether it was computed or counted: then only the whole number counts.
    number: bool,
}

impl Gold {
    /// The answer of a question, from its fields `answer`, `answer_type` and `scale`.
    pub fn of(row: &Row) -> Option<Gold> {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let spans: Vec<String> = match row.get("answer")? {
            Value::Array(spans) => spans.iter().map(text).collect(),
            Value::Null => return None,
            other => vec![text(other)],
        };
        let field = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = matches!(field("answer_type").as_str(), "arithmetic" | "count");
        Some(Gold { spans, scale: field("scale"), number }).filter(|gold| !gold.spans.is_empty())
    }
}

impl fmt::Display for Gold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.spans.join("; "))?;
        if self.scale.is_empty() { Ok(()) } else { write!(f, " {}", self.scale) }
    }
}

const SCALES: [(&str, f64); 4] = [("thousand", 1e3), ("million", 1e6), ("billion", 1e9), ("percent", 0.01)];

/// Exact match and F1 of the written answer `pred`: spans stand between semicolons, a number is followed by its scale.
pub fn score(pred: &str, gold: &Gold) -> (f64, f64) {
    let (spans, scale) = read(pred);
    if spans.is_empty() {
        return (0.0, 0.0);
    }
    let right = normalised(&one_text(&gold.spans, &gold.scale));
    let mut texts = vec![one_text(&spans, scale)];
    // 0.2342 may mean 23.42 percent.
    if let ([only], "") = (spans.as_slice(), scale)
        && !only.contains('%')
        && let Some(number) = number(only)
    {
        texts.push(format!("{number:.4}"));
    }
    let mut best = (0.0, 0.0);
    for text in texts.iter().map(|text| normalised(text)) {
        let found = (f64::from(u8::from(text == right)), f1(&text, &right));
        if found > best {
            best = found;
        }
    }
    if gold.number { (best.0, best.0) } else { best }
}

/// The spans of a written answer, and the scale that its numbers name, when they name the same.
fn read(pred: &str) -> (Vec<String>, &'static str) {
    let spans: Vec<&str> = pred.split([';', '；']).map(str::trim).filter(|s| !s.is_empty()).collect();
    let mut scale = "";
    let mut bare = Vec::with_capacity(spans.len());
    for span in &spans {
        let word = span.rsplit(' ').next().unwrap_or_default().trim_end_matches('.').to_lowercase();
        let found = SCALES.iter().find(|(name, _)| word == *name || word.strip_suffix('s') == Some(name));
        let before = span.rsplit_once(' ').map(|(before, _)| before.trim());
        match (found, before.filter(|b| number(b).is_some())) {
            (Some((name, _)), Some(before)) if scale.is_empty() || scale == *name => {
                scale = name;
                bare.push(before.to_owned());
            }
            // Two scales in one answer: every number keeps its own.
            (Some(_), Some(_)) => return (spans.iter().map(|s| (*s).to_owned()).collect(), ""),
            _ => bare.push((*span).to_owned()),
        }
    }
    (bare, scale)
}

/// All spans as one text: sorted, numbers in units with four digits after the point.
fn one_text(spans: &[String], scale: &str) -> String {
    let factor = factor(scale);
    let mut spans = spans.to_vec();
    spans.sort();
    let parts: Vec<String> = spans
        .iter()
        .map(|span| match number(span) {
            Some(value) if span.contains('%') => format!("{value:.4}"),
            Some(value) => format!("{:.4}", round(value, 2) * factor),
            None if scale.is_empty() => span.clone(),
            None => format!("{span} {scale}"),
        })
        .collect();
    parts.join(" ")
}

/// The words that are compared: small letters, without punctuation and articles, numbers by their value.
fn normalised(text: &str) -> String {
    let words = text.to_lowercase();
    let words = words.split(' ').map(|word| match number(word) {
        Some(value) => value.to_string(),
        None => word.chars().filter(|c| !c.is_ascii_punctuation()).collect(),
    });
    // A word may hold other white space, and what is left of it may be an article.
    let words: Vec<String> = words
        .flat_map(|word| word.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter(|word| !matches!(word.as_str(), "a" | "an" | "the"))
        .collect();
    words.join(" ")
}

/// F1 over the sets of words, to two digits.
fn f1(pred: &str, gold: &str) -> f64 {
    let bag = |text: &'_ str| text.split_whitespace().map(str::to_owned).collect::<BTreeSet<String>>();
    let (pred, gold) = (bag(pred), bag(gold));
    let common = pred.intersection(&gold).count() as f64;
    let share = |bag: &BTreeSet<String>| if bag.is_empty() { 1.0 } else { common / bag.len() as f64 };
    let (precision, recall) = (share(&pred), share(&gold));
    if precision + recall == 0.0 { 0.0 } else { round(2.0 * precision * recall / (precision + recall), 2) }
}

/// The factor of the first scale word in `text`; 1 without.
fn factor(text: &str) -> f64 {
    if text.contains("hundred") {
        return 100.0;
    }
    SCALES.iter().find(|(name, _)| text.contains(name)).map_or(1.0, |(_, factor)| *factor)
}

/// The value of a number as reports write it: currency signs, thousands' commas, a percent sign, brackets for
/// negative ones, a scale word behind it. `None` for anything else.
fn number(text: &str) -> Option<f64> {
    let clean = |text: &str| text.chars().filter(|c| !"'\"\\$€£¥%(),[]".contains(*c)).collect::<String>();
    let words: Vec<String> = text.split_whitespace().map(clean).filter(|w| !w.is_empty()).collect();
    let first = words.first()?;
    // What parses but is no number of a report (`inf`, `1e5x`) is left to the digits below.
    first.parse::<f64>().ok().filter(|v| !v.is_nan())?;
    if words.get(1).is_some_and(|word| factor(&word.to_lowercase()) == 1.0) {
        return None;
    }
    let all = clean(text);
    let digits = all.find(|c: char| c.is_ascii_digit())?;
    let rest = all.get(digits..)?;
    let whole = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let fraction = rest
        .get(whole..)
        .and_then(|r| r.strip_prefix('.'))
        .map_or(0, |f| f.find(|c: char| !c.is_ascii_digit()).unwrap_or(f.len()));
    let end = if fraction > 0 { whole + 1 + fraction } else { whole };
    // `.5` has no digit before its point: the published rules do not read it.
    let before = all.get(..digits)?.chars().next_back();
    if before == Some('.') {
        return None;
    }
    let mut value: f64 = rest.get(..end)?.parse().ok()?;
    if before == Some('-') {
        value = -value;
    }
    if bracketed(text) {
        value = -value;
    }
    if percent(text) {
        value *= 0.01;
    }
    Some(round(value * word_scale(text), 4))
}

/// Whether the text holds a number in brackets: `(134)`. One with a comma is not seen by the published rules.
fn bracketed(text: &str) -> bool {
    text.split('(').skip(1).any(|after| {
        after.split_once(')').is_some_and(|(inner, _)| {
            !inner.is_empty() && inner.chars().all(|c| c.is_numeric() || c == '.' || c.is_whitespace())
        })
    })
}

/// Whether a percent sign follows a number.
fn percent(text: &str) -> bool {
    text.match_indices('%').any(|(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        before.is_some_and(|c| c.is_numeric() || c == '.' || c.is_whitespace())
    })
}

/// The factor of the word right behind the first digits that have one.
fn word_scale(text: &str) -> f64 {
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while let Some(c) = chars.get(at) {
        if !(c.is_numeric() || *c == '.') {
            at += 1;
            continue;
        }
        let mut end = at;
        while chars.get(end).is_some_and(|c| c.is_numeric() || *c == '.') {
            end += 1;
        }
        let gap = usize::from(chars.get(end).is_some_and(|c| c.is_whitespace()));
        let word: String = chars.iter().skip(end + gap).take_while(|c| c.is_ascii_alphabetic()).collect();
        if !word.is_empty() {
            return factor(&word.to_lowercase());
        }
        at = end;
    }
    1.0
}

/// To `digits` after the point.
fn round(value: f64, digits: i32) -> f64 {
    let factor = 10f64.powi(digits);
    let rounded = (value * factor).round() / factor;
    if rounded.is_finite() { rounded } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn gold(answer: Value, answer_type: &str, scale: &str) -> Gold {
        let row = json!({"answer": answer, "answer_type": answer_type, "scale": scale});
        Gold::of(row.as_object().unwrap()).unwrap()
    }

    /// Worked by hand after the published rules.
    #[test]
    fn numbers_are_compared_by_value_and_scale() {
        let million = gold(json!(-12.6), "arithmetic", "million");
        for pred in ["-12.6 million", "(12.6) million", "$(12.6) million", "-12,600,000", "-12600 thousand"] {
            assert_eq!(score(pred, &million), (1.0, 1.0), "{pred}");
        }
        for pred in ["12.6 million", "-12.6", "-12.6 thousand", "-12.7 million", "about -12.6 million"] {
            assert_eq!(score(pred, &million), (0.0, 0.0), "{pred}: a number has no partial score");
        }
        let percent = gold(json!(22.22), "arithmetic", "percent");
        for pred in ["22.22%", "22.22 percent", "0.2222"] {
            assert_eq!(score(pred, &percent), (1.0, 1.0), "{pred}");
        }
        assert_eq!(score("22.22", &percent), (0.0, 0.0), "the scale is missing");
        assert_eq!(score("22.2%", &percent), (0.0, 0.0));
        let count = gold(json!("3"), "count", "");
        assert_eq!(score("3", &count), (1.0, 1.0));
        assert_eq!(score("3.0", &count), (1.0, 1.0));
        assert_eq!(score("three", &count), (0.0, 0.0));
    }

    #[test]
    fn spans_are_compared_by_their_words() {
        let span = gold(json!(["$1,496.5"]), "span", "million");
        for pred in ["$1,496.5 million", "1496.5 million", "1496.50 Millions"] {
            assert_eq!(score(pred, &span), (1.0, 1.0), "{pred}");
        }
        assert_eq!(score("$1,496.5", &span), (0.0, 0.0));
        let text = gold(json!(["the fixed-price type"]), "span", "");
        assert_eq!(score("Fixed-price type", &text), (1.0, 1.0));
        // {fixedprice, contract} and {fixedprice, type}: precision 1/2, recall 1/2.
        assert_eq!(score("fixed-price contract", &text), (0.0, 0.5));
        // {type} and {fixedprice, type}: precision 1, recall 1/2: 0.667 to two digits.
        assert_eq!(score("a type", &text), (0.0, 0.67));
        let year = gold(json!(["2019"]), "span", "");
        assert_eq!(score("2019", &year), (1.0, 1.0));
        assert_eq!(score("in 2019", &year).0, 0.0);
    }

    #[test]
    fn several_spans_may_come_in_any_order() {
        let spans = gold(json!(["cost-plus type", "fixed-price type"]), "multi-span", "");
        assert_eq!(score("fixed-price type; cost-plus type", &spans), (1.0, 1.0));
        // Sets {fixedprice, type} and {costplus, fixedprice, type}: precision 1, recall 2/3.
        assert_eq!(score("fixed-price type", &spans), (0.0, 0.8));
        let numbers = gold(json!(["1,452.4", "44.1"]), "multi-span", "million");
        for pred in ["1,452.4; 44.1 million", "44.1 million; 1,452.4 million", "$44.1 million ; $1,452.4 million"] {
            assert_eq!(score(pred, &numbers), (1.0, 1.0), "{pred}");
        }
    }

    #[test]
    fn odd_answers_are_wrong_and_break_nothing() {
        let any = gold(json!([""]), "span", "");
        for pred in ["", ";", " ; ", "%", "()", "nan", "inf", ".5", "-", "1e999", "( )", "百万"] {
            let (exact, f1) = score(pred, &any);
            assert!(exact <= 1.0 && (0.0..=1.0).contains(&f1), "{pred}");
        }
        assert_eq!(Gold::of(json!({"answer": []}).as_object().unwrap()), None);
        assert_eq!(Gold::of(json!({"answer": null}).as_object().unwrap()), None);
        assert_eq!(gold(json!(["a", "b"]), "multi-span", "million").to_string(), "a; b million");
    }
}
