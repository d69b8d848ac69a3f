//! Taking the answers out of kept texts again, by the benchmark's present rules or by a pattern. No model is needed.

use super::answer::judge;
use super::asking::{Asks, Reading, Writing};
use super::extract::{Extractor, Filter, Letters, Patterns, Step};
use super::plan::{Plan, PlannedItem};
use super::runner::ItemOutcome;
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::Serialize;
use std::collections::HashMap;

/// Name of the filter that a pattern makes; it stands in the metrics' names.
const PATTERN: &str = "extract";

/// What reading again changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reread {
    /// The pattern; none for the benchmark's present rules.
    pub pattern: Option<String>,
    /// Texts that were read again.
    pub n: usize,
    /// Those in which another answer was found, or none any more.
    pub changed: usize,
    /// Wrong before and right now.
    pub gained: usize,
    /// Right before and wrong now.
    pub lost: usize,
    /// Texts without an answer before.
    pub unanswered_before: usize,
    /// Texts without an answer now.
    pub unanswered: usize,
}

/// Reads the texts of `outcomes` again and changes what they came to. `plan` is the benchmark of today; with `pattern` the
/// first match of it (its first group that is not empty) is the answer, and the benchmark's own rules do not count.
///
/// # Errors
/// `Unsupported` when no answer was written, `Usage` for a pattern that is none, `Mismatch` when an item is not what it was.
pub fn reread(plan: &Plan, outcomes: &mut [ItemOutcome], pattern: Option<&str>) -> Result<Reread> {
    let Asks::Written(writing) = &plan.asks else { return Err(not_written(&plan.task)) };
    let mut writing = Writing::clone(writing);
    if let Some(pattern) = pattern {
        writing.reading = by_pattern(plan, writing.reading, pattern)?;
    }
    let items: HashMap<(&str, &str), &PlannedItem> = plan
        .subjects
        .iter()
        .flat_map(|part| part.items.iter().map(|item| ((part.subject.handle.as_str(), item.id.as_str()), item)))
        .collect();
    let mut found = Reread {
        pattern: pattern.map(str::to_owned),
        n: 0,
        changed: 0,
        gained: 0,
        lost: 0,
        unanswered_before: 0,
        unanswered: 0,
    };
    for outcome in outcomes.iter_mut() {
        let Some(before) = &outcome.written else { return Err(not_written(&plan.task)) };
        let item = items.get(&(outcome.subject.as_str(), outcome.id.as_str()));
        let same = |item: &&&PlannedItem| outcome.detail.content.is_empty() || outcome.detail.content == item.content;
        let item = item.filter(same).ok_or_else(|| changed(&outcome.subject, &outcome.id))?;
        let (pred, correct, written) = judge(plan, &writing, item, &before.answer);
        found.n += 1;
        found.changed += usize::from(pred != outcome.pred);
        found.gained += usize::from(correct && !outcome.correct);
        found.lost += usize::from(!correct && outcome.correct);
        found.unanswered_before += usize::from(outcome.pred.is_empty());
        found.unanswered += usize::from(pred.is_empty());
        outcome.gold = item.gold.map_or_else(|| item.expected.text(), |gold| plan.label(gold));
        (outcome.pred, outcome.correct, outcome.written) = (pred, correct, Some(written));
    }
    Ok(found)
}

/// The reading of `pattern` where `reading` is the benchmark's.
fn by_pattern(plan: &Plan, reading: Reading, pattern: &str) -> Result<Reading> {
    let wrong = |problem: String| {
        Error::new(Kind::Usage, problem).hint(tr!(
            "--extract takes a regular expression in Python's syntax; its first group is the answer",
            "--extract 接受 Python 语法的正则表达式；第一个分组即答案"
        ))
    };
    Ok(match reading {
        Reading::Label(_) => Reading::Label(Letters::only(&plan.preset.labels, pattern).map_err(wrong)?),
        Reading::Text { metrics, .. } => {
            let step =
                Step::Regex { regex_pattern: Patterns::One(pattern.to_owned()), group_select: 0, fallback: None };
            let filter = Filter { name: PATTERN.to_owned(), filter: vec![step] };
            Reading::Text { filters: vec![Extractor::new(&filter).map_err(wrong)?], metrics }
        }
    })
}

fn not_written(task: &str) -> Error {
    Error::new(Kind::Unsupported, tr!("the answers to {task} were not written", "{task} 的回答不是书写的文本"))
        .hint(tr!("--extract is for runs of --mode generate or cot", "--extract 用于 --mode generate 或 cot 的运行"))
}

fn changed(subject: &str, id: &str) -> Error {
    Error::new(
        Kind::Mismatch,
        tr!("{subject}/{id} is not what it was when it was asked", "{subject}/{id} 与提问时不同"),
    )
    .hint(tr!(
        "the benchmark's data changed since: name the data of then with --data-dir, or score the model again",
        "基准数据已改变：请用 --data-dir 指出当时的数据，或重新评测"
    ))
}
