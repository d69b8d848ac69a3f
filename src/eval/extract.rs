//! Taking the answer out of what a model wrote, by ordered regular expressions.
//!
//! A filter follows lm-evaluation-harness's: a regular expression with Python's `findall` semantics, then steps that
//! tidy its result. Letters of choices are found by an ordered list of phrases, strong ones first.

use fancy_regex::{Captures, Regex};
use serde::Deserialize;

/// One `[[filter_list]]` entry: a named way to an answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Its name in results.
    pub name: String,
    /// Steps, each on the result of the one before.
    pub filter: Vec<Step>,
}

/// A step of a filter.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "function", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// What a pattern matches: its first group that is not empty, the whole match without groups.
    Regex {
        /// Python's syntax; of several the first that matches counts.
        regex_pattern: Patterns,
        /// Which of the matches: from 0, negative ones from the end.
        #[serde(default)]
        group_select: isize,
        /// The answer where nothing matches; without it there is none.
        fallback: Option<String>,
    },
    /// Of several answers the first. There is only one.
    TakeFirst,
    /// Small letters.
    Lowercase,
    /// Capital letters.
    Uppercase,
    /// Without white space at both ends.
    RemoveWhitespace,
}

/// One pattern or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Patterns {
    /// One.
    One(String),
    /// Tried in order.
    Many(Vec<String>),
}

/// The harness's word for "nothing was found".
pub const INVALID: &str = "[invalid]";

/// A filter ready for use.
#[derive(Clone, Debug)]
pub struct Extractor {
    /// Its name in results; empty for the whole answer.
    pub name: String,
    steps: Vec<Ready>,
}

#[derive(Clone, Debug)]
enum Ready {
    Regex { patterns: Vec<Regex>, select: isize, fallback: Option<String> },
    Lowercase,
    Uppercase,
    Trim,
}

impl Extractor {
    /// Prepares `filter`.
    ///
    /// # Errors
    /// What is wrong with a pattern.
    pub fn new(filter: &Filter) -> Result<Extractor, String> {
        let mut steps = Vec::new();
        for step in &filter.filter {
            steps.push(match step {
                Step::Regex { regex_pattern, group_select, fallback } => {
                    let patterns = match regex_pattern {
                        Patterns::One(pattern) => std::slice::from_ref(pattern),
                        Patterns::Many(patterns) => patterns,
                    };
                    let patterns = patterns.iter().map(|p| compile(p)).collect::<Result<_, _>>()?;
                    let fallback = fallback.clone().filter(|text| text != INVALID);
                    Ready::Regex { patterns, select: *group_select, fallback }
                }
                Step::TakeFirst => continue,
                Step::Lowercase => Ready::Lowercase,
                Step::Uppercase => Ready::Uppercase,
                Step::RemoveWhitespace => Ready::Trim,
            });
        }
        Ok(Extractor { name: filter.name.clone(), steps })
    }

    /// The whole answer without white space at its ends.
    pub fn whole() -> Extractor {
        Extractor { name: String::new(), steps: vec![Ready::Trim] }
    }

    /// The answer in `text`; `None` where there is none.
    pub fn extract(&self, text: &str) -> Option<String> {
        let mut text = text.to_owned();
        for step in &self.steps {
            text = match step {
                Ready::Regex { patterns, select, fallback } => {
                    patterns.iter().find_map(|p| pick(p, &text, *select)).or_else(|| fallback.clone())?
                }
                Ready::Lowercase => text.to_lowercase(),
                Ready::Uppercase => text.to_uppercase(),
                Ready::Trim => text.trim().to_owned(),
            };
        }
        Some(text).filter(|text| !text.is_empty())
    }
}

/// Compiles a pattern of Python's syntax.
///
/// # Errors
/// What is wrong with it.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|e| format!("`{pattern}`: {e}"))
}

/// Match `select` of `text`.
fn pick(pattern: &Regex, text: &str, select: isize) -> Option<String> {
    // A pattern that gives up in the middle of a text has found what it found.
    let found: Vec<Captures<'_>> = pattern.captures_iter(text).map_while(Result::ok).collect();
    let place = if select < 0 { found.len().checked_sub(select.unsigned_abs())? } else { select.unsigned_abs() };
    let captures = found.get(place)?;
    let mut groups = (1..captures.len()).filter_map(|i| captures.get(i));
    let text = match captures.len() {
        1 => captures.get(0)?.as_str(),
        _ => groups.find(|group| !group.as_str().is_empty())?.as_str(),
    };
    Some(text.trim().to_owned())
}

/// A phrase that a choice's label stands in.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum LetterPattern {
    /// Its first match counts.
    First(String),
    /// The match to be taken is named.
    Which {
        /// The pattern; its first group is the label.
        regex: String,
        /// Which match.
        take: Take,
    },
}

/// Which of several matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Take {
    /// The first.
    First,
    /// The last.
    Last,
    /// Any, when all say the same.
    Only,
}

/// Phrases that announce an answer, strong ones first; `@` stands for a label.
const PHRASES: [(&str, Take); 9] = [
    (
        r"(?:答案|正确选项|正确的选项)\s*(?:应该|应当|应)?\s*(?:是|为|选|：|:)+\s*(?:选项)?[\s（(\[【“\x22*]*(@)(?![A-Za-z])",
        Take::Last,
    ),
    (
        r"(?:故|应|应该|所以|因此|综上)[^。\n]{0,8}?选(?:择)?(?:选项|答案)?\s*[：:]?[\s（(\[【“\x22*]*(@)(?![A-Za-z])",
        Take::Last,
    ),
    (r"选项\s*[（(]?(@)[）)]?\s*(?:是)?(?:正确|对)的?", Take::First),
    (r"(?<![A-Za-z])(@)\s*(?:选项)?(?:是|为)?正确", Take::First),
    (
        r"(?i:answer|correct (?:option|choice))(?i: is| would be|:|：)+\s*(?i:option|choice)?[\s(\[\x22*]*(@)(?![A-Za-z'])",
        Take::Last,
    ),
    (r"(?i:option|choice)\s*\(?(@)\)?\s+is\s+(?i:the\s+)?(?i:correct|right)", Take::First),
    (r"^[\s（(\[【“\x22*]*(@)[）)\]】”\x22*]*\s*(?:[.．、:：。，,;；\n]|$)", Take::First),
    (r"\\boxed\{\s*(?:\\text\{)?\s*(@)\s*\}", Take::Last),
    // A letter that stands alone; before a small letter it may be an English article.
    (r"(?<![A-Za-z])(@)(?![A-Za-z'’]| [a-z])", Take::Only),
];

/// Finds the label of a choice.
#[derive(Clone, Debug)]
pub struct Letters {
    labels: Vec<String>,
    patterns: Vec<(Regex, Take)>,
}

impl Letters {
    /// `own` patterns come before the usual phrases.
    ///
    /// # Errors
    /// What is wrong with a pattern.
    pub fn new(labels: &[String], own: &[LetterPattern]) -> Result<Letters, String> {
        let capitals = labels.iter().all(|l| l.len() == 1 && l.chars().all(|c| c.is_ascii_uppercase()));
        let any = if capitals {
            "[A-Z]".to_owned()
        } else {
            labels.iter().map(|l| fancy_regex::escape(l).into_owned()).collect::<Vec<_>>().join("|")
        };
        let own = own.iter().map(|pattern| match pattern {
            LetterPattern::First(regex) => (regex.clone(), Take::First),
            LetterPattern::Which { regex, take } => (regex.clone(), *take),
        });
        let usual = PHRASES.iter().map(|(phrase, take)| (phrase.replace('@', &any), *take));
        let patterns = own.chain(usual).map(|(p, take)| Ok((compile(&p)?, take))).collect::<Result<_, String>>()?;
        Ok(Letters { labels: labels.to_vec(), patterns })
    }

    /// Only the first match of `pattern` counts.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn only(labels: &[String], pattern: &str) -> Result<Letters, String> {
        Ok(Letters { labels: labels.to_vec(), patterns: vec![(compile(pattern)?, Take::First)] })
    }

    /// Index of the choice, of `count`, that `text` names; `None` where it names none.
    pub fn find(&self, text: &str, count: usize) -> Option<usize> {
        let text: String = text.chars().map(half_width).collect();
        self.patterns.iter().find_map(|(pattern, take)| self.matched(pattern, *take, &text, count))
    }

    fn matched(&self, pattern: &Regex, take: Take, text: &str, count: usize) -> Option<usize> {
        let found = pattern.captures_iter(text).map_while(Result::ok);
        let mut labels =
            found.filter_map(|c| c.get(1).or_else(|| c.get(0)).and_then(|m| self.index(m.as_str(), count)));
        match take {
            Take::First => labels.next(),
            Take::Last => labels.last(),
            Take::Only => labels.next().filter(|first| labels.all(|other| other == *first)),
        }
    }

    /// The choice that `text`, taken out of a phrase, stands for.
    fn index(&self, text: &str, count: usize) -> Option<usize> {
        let edge = |c: char| c.is_whitespace() || "()[]（）【】.．。、:：'\"“”*".contains(c);
        let bare = text.trim_matches(edge);
        let bare = bare.strip_prefix("选项").unwrap_or(bare).trim_matches(edge);
        self.labels.iter().take(count).position(|label| label.eq_ignore_ascii_case(bare))
    }
}

/// Full-width Latin letters lie at a fixed distance from ASCII.
fn half_width(c: char) -> char {
    match c {
        'Ａ'..='Ｚ' | 'ａ'..='ｚ' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(own: &[LetterPattern]) -> Letters {
        let labels: Vec<String> = ('A'..='Z').map(String::from).collect();
        Letters::new(&labels, own).unwrap()
    }

    #[test]
    fn the_label_is_found_in_many_phrases_and_nowhere_else() {
        let letters = letters(&[]);
        for (text, index) in [
            (" B\n\n下一题", Some(1)),
            ("C", Some(2)),
            ("(D) because it grows", Some(3)),
            ("Ｂ", Some(1)),
            ("1. 首先…因此选项A不对。所以答案是C。", Some(2)),
            ("答案：【D】", Some(3)),
            ("正确答案为选项 B", Some(1)),
            ("综上，本题应选D", Some(3)),
            ("因此选项B正确。", Some(1)),
            ("The answer is A. No: wait, the answer is **C**.", Some(2)),
            ("The correct answer is option (B).", Some(1)),
            ("Answer: D", Some(3)),
            ("Option C is correct", Some(2)),
            (r"Thus \boxed{B}", Some(1)),
            ("A bond pays interest, so it must be C", Some(2)),
            ("I think it is B, as B has the lower price", Some(1)),
            ("A和B都对", None),
            ("A bond pays interest", None),
            ("", None),
            ("我不知道", None),
            ("所以答案是E。", None),
            ("DCF", None),
        ] {
            assert_eq!(letters.find(text, 4), index, "{text}");
        }
    }

    #[test]
    fn own_patterns_come_first_and_must_give_a_label() {
        let own = LetterPattern::Which { regex: "所以答案是(.+?)。".into(), take: Take::Last };
        let letters = letters(&[own]);
        assert_eq!(letters.find("答案是A，因为…\n所以答案是选项D。", 4), Some(3));
        assert_eq!(letters.find("所以答案是不确定的。故选B", 4), Some(1), "the next pattern goes on");
        assert!(Letters::new(&["A".into()], &[LetterPattern::First("(".into())]).unwrap_err().contains("`(`"));
    }

    #[test]
    fn labels_need_not_be_letters() {
        let labels: Vec<String> = ["1", "2", "甲"].map(String::from).to_vec();
        let letters = Letters::new(&labels, &[]).unwrap();
        assert_eq!(letters.find("答案是2", 3), Some(1));
        assert_eq!(letters.find("答案是甲。", 3), Some(2));
        assert_eq!(letters.find("答案是甲。", 2), None);
    }

    fn filter(toml: &str) -> Extractor {
        Extractor::new(&toml::from_str::<Filter>(toml).unwrap()).unwrap()
    }

    #[test]
    fn a_regex_takes_the_match_that_python_would() {
        let one = |extra: &str, pattern: &str| {
            filter(&format!("name = 'f'\nfilter = [{{ function = 'regex', regex_pattern = '{pattern}'{extra} }}]"))
        };
        let flexible = r"(-?[$0-9.,]{2,})|(-?[0-9]+)";
        assert_eq!(one(", group_select = -1", flexible).extract("5 + 7 = 12, so $1,200.").as_deref(), Some("$1,200."));
        assert_eq!(one("", flexible).extract("5 + 7 = 12").as_deref(), Some("5"));
        assert_eq!(one(", group_select = -3", flexible).extract("5 and 6"), None);
        assert_eq!(one("", r"#### (\-?[0-9\.\,]+)").extract("so #### -1,200\n").as_deref(), Some("-1,200"));
        assert_eq!(one("", "#### ([0-9]+)").extract("no number"), None);
        assert_eq!(one(", fallback = 'none'", "#### ([0-9]+)").extract("no number").as_deref(), Some("none"));
        assert_eq!(one(", fallback = '[invalid]'", "#### ([0-9]+)").extract("no number"), None);
        let several = filter(
            "name = 'f'\nfilter = [{ function = 'regex', regex_pattern = ['x=(.)', 'y=(.)'] }, { function = 'uppercase' }]",
        );
        assert_eq!(several.extract("y=b x=a").as_deref(), Some("A"));
        assert_eq!(several.extract("y=b").as_deref(), Some("B"));
        assert!(toml::from_str::<Filter>("name = 'f'\nfilter = [{ function = 'majority_vote' }]").is_err());
    }
}
