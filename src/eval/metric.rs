//! Comparing an answer with what is right.

use super::extract::compile;
use super::tatqa;
use fancy_regex::Regex;
use serde::Deserialize;
use std::collections::HashMap;

/// One `[[metric_list]]` entry, in lm-evaluation-harness's words.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricFields {
    /// Which one.
    pub metric: MetricName,
    /// Small and capital letters are the same.
    pub ignore_case: bool,
    /// ASCII punctuation is left out.
    pub ignore_punctuation: bool,
    /// ASCII digits are left out.
    pub ignore_numbers: bool,
    /// What these match is left out, before everything else, in order.
    pub regexes_to_ignore: Vec<String>,
    /// `mean`: the only one there is.
    pub aggregation: Option<Aggregation>,
    /// Always so.
    pub higher_is_better: Option<bool>,
}

/// A metric's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricName {
    /// The same text.
    #[default]
    ExactMatch,
    /// Overlap of words.
    F1,
    /// Exact match and F1 after TAT-QA's rules for numbers, scales and spans.
    Tatqa,
}

/// How items make a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregation {
    /// The mean over the items.
    Mean,
}

/// What is right.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Expected {
    /// Nobody knows.
    #[default]
    Unknown,
    /// Any of these texts.
    Texts(Vec<String>),
    /// A TAT-QA answer.
    Tatqa(tatqa::Gold),
}

impl Expected {
    /// It, for people.
    pub fn text(&self) -> String {
        match self {
            Expected::Unknown => String::new(),
            Expected::Texts(texts) => texts.first().cloned().unwrap_or_default(),
            Expected::Tatqa(gold) => gold.to_string(),
        }
    }
}

/// A metric ready for use.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Which one.
    pub name: MetricName,
    fields: MetricFields,
    ignored: Vec<Regex>,
}

impl Metric {
    /// Prepares what a definition says.
    ///
    /// # Errors
    /// What is wrong with a pattern.
    pub fn new(fields: &MetricFields) -> Result<Metric, String> {
        let ignored = fields.regexes_to_ignore.iter().map(|p| compile(p)).collect::<Result<_, _>>()?;
        Ok(Metric { name: fields.metric, fields: fields.clone(), ignored })
    }

    /// Its values for the answer `pred` (`None`: nothing was found, all are 0), by name, in 0…1.
    pub fn values(&self, pred: Option<&str>, expected: &Expected) -> Vec<(&'static str, f64)> {
        let best = |score: &dyn Fn(&str) -> f64| match (pred, expected) {
            (Some(_), Expected::Texts(texts)) => texts.iter().map(|text| score(text)).fold(0.0, f64::max),
            _ => 0.0,
        };
        let pred_text = pred.unwrap_or_default();
        match self.name {
            MetricName::ExactMatch => {
                let own = self.normalised(pred_text);
                vec![("exact_match", best(&|gold| f64::from(u8::from(self.normalised(gold) == own))))]
            }
            MetricName::F1 => {
                let own = words(&self.normalised(pred_text));
                vec![("f1", best(&|gold| word_f1(&own, &words(&self.normalised(gold)))))]
            }
            MetricName::Tatqa => {
                let (exact, f1) = match (pred, expected) {
                    (Some(pred), Expected::Tatqa(gold)) => tatqa::score(pred, gold),
                    _ => (0.0, 0.0),
                };
                vec![("exact_match", exact), ("f1", f1)]
            }
        }
    }

    /// `text` as the harness's exact match compares it.
    fn normalised(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for pattern in &self.ignored {
            text = pattern.replace_all(&text, "").into_owned();
        }
        if self.fields.ignore_case {
            text = text.to_lowercase();
        }
        let MetricFields { ignore_punctuation, ignore_numbers, .. } = self.fields;
        text.retain(|c| !(ignore_punctuation && c.is_ascii_punctuation() || ignore_numbers && c.is_ascii_digit()));
        text
    }
}

/// The words of a text for F1: small letters, without punctuation and English articles; Chinese, Japanese and Korean
/// characters one by one (as SQuAD and its Chinese kin count).
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.to_lowercase().chars() {
        let alone = matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{20000}'..='\u{3ffff}');
        if alone || c.is_whitespace() {
            words.extend(Some(std::mem::take(&mut word)).filter(|w| !w.is_empty()));
            words.extend(alone.then(|| c.to_string()));
        } else if c.is_alphanumeric() {
            word.push(c);
        }
    }
    words.extend(Some(word).filter(|w| !w.is_empty()));
    words.retain(|w| !matches!(w.as_str(), "a" | "an" | "the"));
    words
}

/// Harmonic mean of precision and recall over the words, each counted as often as it occurs.
fn word_f1(pred: &[String], gold: &[String]) -> f64 {
    if pred.is_empty() || gold.is_empty() {
        return f64::from(u8::from(pred.is_empty() && gold.is_empty()));
    }
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in gold {
        *left.entry(word).or_default() += 1;
    }
    let mut common = 0.0;
    for word in pred {
        if let Some(n) = left.get_mut(word.as_str()).filter(|n| **n > 0) {
            *n -= 1;
            common += 1.0;
        }
    }
    2.0 * common / (pred.len() + gold.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(toml: &str) -> Metric {
        Metric::new(&toml::from_str(toml).unwrap()).unwrap()
    }

    fn value(metric: &Metric, pred: &str, gold: &[&str]) -> f64 {
        let expected = Expected::Texts(gold.iter().map(|g| (*g).to_owned()).collect());
        metric.values(Some(pred), &expected)[0].1
    }

    #[test]
    fn exact_match_forgives_what_the_definition_says() {
        let plain = metric("metric = 'exact_match'");
        assert_eq!(value(&plain, "Yes", &["yes"]), 0.0);
        assert_eq!(value(&plain, "yes", &["no", "yes"]), 1.0, "any of several");
        let gsm8k = metric(
            r"metric = 'exact_match'
            ignore_case = true
            regexes_to_ignore = [',', '\$', '(?s).*#### ', '\.$']",
        );
        assert_eq!(value(&gsm8k, "$1,200.", &["some\nsteps\n#### 1200"]), 1.0);
        assert_eq!(value(&gsm8k, "1201", &["#### 1200"]), 0.0);
        let loose = metric("metric = 'exact_match'\nignore_punctuation = true\nignore_numbers = true");
        assert_eq!(value(&loose, "a-b 1", &["a.b 2"]), 1.0);
        assert_eq!(plain.values(None, &Expected::Texts(vec![String::new()])), [("exact_match", 0.0)]);
    }

    #[test]
    fn f1_counts_words_and_characters() {
        let f1 = metric("metric = 'f1'");
        assert_eq!(value(&f1, "the net profit", &["Net profit."]), 1.0);
        // 2 common of 3 and of 2: precision 2/3, recall 1.
        assert!((value(&f1, "gross net profit", &["net profit"]) - 0.8).abs() < 1e-12);
        // 净利润 in 公司净利润: 3 common of 5 and of 3.
        assert!((value(&f1, "公司净利润", &["净利润"]) - 0.75).abs() < 1e-12);
        // A word that the right answer has once counts once: 1 common of 2 and of 2.
        assert!((value(&f1, "up up", &["up down"]) - 0.5).abs() < 1e-12);
        assert_eq!(value(&f1, "loss", &["profit"]), 0.0);
    }
}
