//! From outcomes to accuracies: per subject, per category, per subset, micro and macro.

use super::item::Skipped;
use super::plan::{Plan, PlannedItem};
use super::runner::{Scored, argmax};
use super::statistics::{accuracy_stderr, pooled_stderr};
use super::summary::{Summary, summary};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a benchmark run came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The benchmark's name.
    pub task: String,
    /// The wording.
    pub preset: String,
    /// How answers were found, metrics beside accuracy, and what was left unanswered.
    #[serde(flatten)]
    pub summary: Summary,
    /// Few-shots per prompt.
    pub shots: usize,
    /// Items asked.
    pub n: usize,
    /// Micro average: right items ÷ items (lm-evaluation-harness's). Not a number (`null` in JSON), as
    /// all averages, in a split without answers.
    #[serde(deserialize_with = "null_is_nan")]
    pub acc: f64,
    /// Its standard error, pooled over the subjects; `None` without freedom.
    pub acc_stderr: Option<f64>,
    /// Macro average: the mean of the subjects' accuracies (official C-Eval's).
    #[serde(deserialize_with = "null_is_nan")]
    pub acc_macro: f64,
    /// Accuracy when each log-likelihood is divided by its answer's characters; only where texts are scored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acc_norm: Option<f64>,
    /// Per category: [`CategoryScore`].
    pub categories: Ordered<CategoryScore>,
    /// Per named selection of subjects, if any of it was scored.
    pub subsets: Ordered<CategoryScore>,
    /// Per subject: [`SubjectScore`].
    pub subjects: Ordered<SubjectScore>,
    /// [`Plan::prompt_hash`].
    pub prompt_hash: String,
    /// Items per second of model time; 0 when all came from before an interruption.
    pub items_per_second: f64,
    /// Context tokens computed, each beginning shared with the item before counted once.
    pub prefill_tokens: u64,
    /// Context tokens of the prompts.
    pub context_tokens: u64,
    /// Items whose prompt lost its left end because it did not fit the model; `None` where nobody knows how much the model
    /// takes (a server's), and in runs of versions that did not count.
    #[serde(default)]
    pub truncated: Option<usize>,
    /// Items that cannot be scored, and why.
    pub skipped: Vec<Skipped>,
}

/// JSON has no word for what is not a number: it is written as null.
fn null_is_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// The score of one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubjectScore {
    /// Items scored.
    pub n: usize,
    /// Right items ÷ items.
    pub acc: f64,
    /// Sample standard deviation ÷ √n; `None` for one item.
    pub stderr: Option<f64>,
    /// See [`Report::acc_norm`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acc_norm: Option<f64>,
    /// Its name for people.
    pub title: String,
    /// The category it counts for.
    pub category: String,
}

/// The score of several subjects, or of the items of one category.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoryScore {
    /// Items scored.
    pub n: usize,
    /// Micro average.
    pub acc: f64,
    /// Its standard error, pooled over the subjects.
    pub stderr: Option<f64>,
    /// Mean of the subjects' accuracies.
    pub acc_macro: f64,
    /// Subjects in it.
    pub subjects: usize,
}

/// A JSON object whose keys keep the benchmark's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordered<T>(pub Vec<(String, T)>);

impl<T> Ordered<T> {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&T> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de, T: serde::de::DeserializeOwned> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = Map::<String, Value>::deserialize(deserializer)?;
        map.into_iter()
            .map(|(key, value)| Ok((key, serde_json::from_value(value).map_err(serde::de::Error::custom)?)))
            .collect::<Result<_, _>>()
            .map(Ordered)
    }
}

/// Right and all items, one entry per subject they come from.
#[derive(Clone, Debug, Default)]
struct Tally {
    parts: Vec<(String, usize, usize)>,
}

impl Tally {
    fn add(&mut self, subject: &str, correct: bool) {
        let right = usize::from(correct);
        match self.parts.last_mut().filter(|(name, _, _)| name == subject) {
            Some((_, r, n)) => {
                *r += right;
                *n += 1;
            }
            None => self.parts.push((subject.to_owned(), right, 1)),
        }
    }

    fn counts(&self) -> (usize, usize) {
        self.parts.iter().fold((0, 0), |(r, n), part| (r + part.1, n + part.2))
    }

    fn acc(&self) -> f64 {
        let (right, n) = self.counts();
        ratio(right, n)
    }

    /// The accuracy where anything was counted.
    fn some_acc(&self) -> Option<f64> {
        (!self.parts.is_empty()).then(|| self.acc())
    }

    fn acc_macro(&self) -> f64 {
        self.parts.iter().map(|(_, right, n)| ratio(*right, *n)).sum::<f64>() / self.parts.len() as f64
    }

    /// A single subject has its own standard error; several are pooled.
    fn stderr(&self) -> Option<f64> {
        if let [(_, right, n)] = self.parts.as_slice() {
            return accuracy_stderr(*right, *n);
        }
        let parts: Vec<(f64, usize)> =
            self.parts.iter().map(|(_, right, n)| (accuracy_stderr(*right, *n).unwrap_or(0.0), *n)).collect();
        pooled_stderr(&parts)
    }

    fn score(&self) -> CategoryScore {
        CategoryScore {
            n: self.counts().1,
            acc: self.acc(),
            stderr: self.stderr(),
            acc_macro: self.acc_macro(),
            subjects: self.parts.len(),
        }
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// A judged answer of an item whose right answer is known.
#[derive(Clone, Debug)]
pub(super) struct Judged<'a> {
    /// The item's subject.
    pub subject: &'a str,
    /// The category it counts for; empty for none.
    pub category: &'a str,
    /// Whether it was right.
    pub correct: bool,
    /// Whether it was right by [`Report::acc_norm`]'s rule, where that says something else.
    pub normed: Option<bool>,
}

/// The part of a report that comes from judged answers.
#[derive(Clone, Debug)]
pub(super) struct Totals {
    pub acc: f64,
    pub acc_stderr: Option<f64>,
    pub acc_macro: f64,
    pub acc_norm: Option<f64>,
    pub categories: Ordered<CategoryScore>,
    pub subsets: Ordered<CategoryScore>,
    pub subjects: Ordered<SubjectScore>,
}

/// Sums `judged` up, which lies subject by subject. `subjects`: handle, title and category, in the order of the report;
/// those without an answer are left out.
pub(super) fn totals(
    judged: &[Judged<'_>],
    subjects: &[(String, String, String)],
    subsets: &[(String, Vec<String>)],
) -> Totals {
    let mut all = Tally::default();
    let mut normed = Tally::default();
    let mut categories: Vec<(String, Tally)> = Vec::new();
    let mut scores = Vec::new();
    for (handle, title, category) in subjects {
        let mut own = Tally::default();
        let mut own_normed = Tally::default();
        for item in judged.iter().filter(|j| j.subject == handle) {
            for tally in [&mut all, &mut own] {
                tally.add(handle, item.correct);
            }
            if let Some(correct) = item.normed {
                for tally in [&mut normed, &mut own_normed] {
                    tally.add(handle, correct);
                }
            }
            if !item.category.is_empty() {
                let known = categories.iter().position(|(name, _)| name == item.category).unwrap_or_else(|| {
                    categories.push((item.category.to_owned(), Tally::default()));
                    categories.len() - 1
                });
                if let Some((_, tally)) = categories.get_mut(known) {
                    tally.add(handle, item.correct);
                }
            }
        }
        if own.counts().1 > 0 {
            let score = SubjectScore {
                n: own.counts().1,
                acc: own.acc(),
                stderr: own.stderr(),
                acc_norm: own_normed.some_acc(),
                title: title.clone(),
                category: category.clone(),
            };
            scores.push((handle.clone(), score));
        }
    }
    let subsets = subsets
        .iter()
        .map(|(name, members)| {
            let parts = all.parts.iter().filter(|(handle, _, _)| members.contains(handle)).cloned().collect();
            (name.clone(), Tally { parts })
        })
        .filter(|(_, tally)| !tally.parts.is_empty());
    Totals {
        acc: all.acc(),
        acc_stderr: all.stderr(),
        acc_macro: all.acc_macro(),
        acc_norm: normed.some_acc(),
        categories: Ordered(categories.iter().map(|(name, tally)| (name.clone(), tally.score())).collect()),
        subsets: Ordered(subsets.map(|(name, tally)| (name, tally.score())).collect()),
        subjects: Ordered(scores),
    }
}

/// Sums up what `scored` holds for `plan`.
pub fn report(plan: &Plan, scored: &Scored) -> Report {
    let mut outcomes = scored.outcomes.iter();
    let mut judged = Vec::new();
    for part in &plan.subjects {
        let answered = part.items.iter().zip(outcomes.by_ref()).filter(|(item, _)| item.has_answer());
        judged.extend(answered.map(|(item, outcome)| Judged {
            subject: &part.subject.handle,
            category: &item.category,
            correct: outcome.correct,
            normed: plan.scores_texts().then(|| correct_by_length(item, &outcome.loglikelihoods)),
        }));
    }
    let subjects: Vec<_> = plan.subjects.iter().map(|p| &p.subject).collect();
    let subjects: Vec<_> = subjects.iter().map(|s| (s.handle.clone(), s.title.clone(), s.category.clone())).collect();
    let Totals { acc, acc_stderr, acc_macro, acc_norm, categories, subsets, subjects } =
        totals(&judged, &subjects, &plan.subsets);
    Report {
        task: plan.task.clone(),
        preset: plan.preset.name.clone(),
        summary: summary(plan, &scored.outcomes),
        shots: plan.shots,
        n: scored.outcomes.len(),
        acc,
        acc_stderr,
        acc_macro,
        acc_norm,
        categories,
        subsets,
        subjects,
        prompt_hash: plan.prompt_hash(),
        items_per_second: if scored.seconds > 0.0 { scored.fresh as f64 / scored.seconds } else { 0.0 },
        prefill_tokens: scored.prefill_tokens,
        context_tokens: scored.context_tokens,
        truncated: scored.truncated,
        skipped: plan.skipped.clone(),
    }
}

/// Whether the answer with the largest log-likelihood per character is the right one.
fn correct_by_length(item: &PlannedItem, lls: &[f64]) -> bool {
    let per_character: Vec<f64> = lls.iter().zip(&item.lengths).map(|(ll, n)| ll / (*n).max(1) as f64).collect();
    item.gold.is_some() && argmax(&per_character) == item.gold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micro_weighs_items_and_macro_weighs_subjects() {
        let mut tally = Tally::default();
        for i in 0..8 {
            tally.add("large", i < 2);
        }
        tally.add("small", true);
        tally.add("small", true);
        assert!((tally.acc() - 0.4).abs() < 1e-12);
        assert!((tally.acc_macro() - 0.625).abs() < 1e-12);
        assert_eq!(tally.score().subjects, 2);
    }

    #[test]
    fn one_item_has_no_standard_error() {
        let mut tally = Tally::default();
        tally.add("s", true);
        assert_eq!(tally.stderr(), None);
        tally.add("t", false);
        assert_eq!(tally.stderr(), None);
    }
}
