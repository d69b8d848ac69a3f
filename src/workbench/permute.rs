//! Asking the items of a finished score again with their choices in other orders.

use super::Workbench;
use super::score::{Examinee, asked, planned, same_examinee};
use crate::error::{Error, Kind, Result};
use crate::eval::{self, Asks, ItemOutcome, Known, KnownAnswer, PermutationReport, Shuffle, permutation_report};
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::store::RunStatus;
use crate::tr;

/// Asks every item of the finished score `run` in `rounds` random orders of its choices, keeps the answers beside the
/// run's own, and adds the report to the run's result. Orders that were asked before with the same seed are not asked
/// again.
///
/// # Errors
/// `InvalidInput` when the run is not a finished score; `Mismatch` when the model or the adapter is another one;
/// `Unsupported` when no answer was a choice; `Interrupted` (what was asked stays, and the hint says how to go on); those
/// of [`eval::run`].
pub fn permute(
    workbench: &Workbench,
    run: &str,
    who: &Examinee<'_>,
    rounds: u64,
    sink: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<PermutationReport> {
    let record = workbench.store.run(run)?;
    if record.kind != "eval" || record.status != RunStatus::Done {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("{} is not a finished score", "{} 不是已完成的评测", record.id),
        )
        .hint(tr!(
            "finish it first: linly-bench run --resume {}",
            "请先完成它：linly-bench run --resume {}",
            record.id
        )));
    }
    same_examinee(&record, who)?;
    let request = asked(&record)?;
    let seed = workbench.settings.seed;
    let original = workbench.store.outcomes(&record.id)?;
    let total = original.len() as u64;
    sink.emit(&JobEvent::Started { run: record.id.clone(), kind: "eval".to_owned(), total: total * rounds });
    let mut shuffled = Vec::new();
    for round in 1..=rounds {
        let (_, plan) = planned(workbench, &request, who.chat, Some(Shuffle { seed, round }))?;
        if !matches!(plan.asks, Asks::Choices) {
            return Err(no_choices(&record.id));
        }
        let asked: std::collections::HashSet<&str> =
            plan.subjects.iter().flat_map(|s| &s.items).map(|item| item.hash.as_str()).collect();
        // Orders of another seed are other prompts: they are asked anew and replaced.
        let known: Known = workbench
            .store
            .shuffled_outcomes(&record.id, &plan.task, round)?
            .into_iter()
            .filter(|o| asked.contains(o.prompt_hash.as_str()))
            .map(|o| KnownAnswer::of(o, false))
            .collect();
        let mut keep =
            |batch: &[ItemOutcome]| workbench.store.put_shuffled_outcomes(&record.id, &plan.task, round, batch);
        let after = Shifted { sink, before: total * (round - 1), total: total * rounds, round, rounds };
        let scored = eval::run(&plan, &known, who.model, who.tokenizer, &mut keep, &after, cancel)
            .map_err(|e| with_way_on(e, &record.id, rounds))?;
        shuffled.push(scored.outcomes);
    }
    let report = permutation_report(&original, &shuffled, seed).ok_or_else(|| no_choices(&record.id))?;
    let mut result = record.result.clone();
    if let (Some(object), Ok(value)) = (result.as_object_mut(), serde_json::to_value(&report)) {
        object.insert("permutations".to_owned(), value);
    }
    workbench.store.finish_run(&record.id, Ok(&result))?;
    Ok(report)
}

fn with_way_on(mut error: Error, run: &str, rounds: u64) -> Error {
    let way = tr!(
        "the score itself is kept; go on with: linly-bench run --resume {run} --permute {rounds}",
        "评测结果已保存；继续：linly-bench run --resume {run} --permute {rounds}"
    );
    error.hint = Some(match error.hint {
        Some(hint) => format!("{hint}\n{way}"),
        None => way,
    });
    error
}

/// Progress of one round as part of all.
struct Shifted<'a> {
    sink: &'a dyn EventSink,
    before: u64,
    total: u64,
    round: u64,
    rounds: u64,
}

impl EventSink for Shifted<'_> {
    fn emit(&self, event: &JobEvent) {
        if let JobEvent::Progress { done, note, .. } = event {
            let (round, rounds) = (self.round, self.rounds);
            let note = tr!("order {round}/{rounds} {note}", "排列 {round}/{rounds} {note}");
            self.sink.emit(&JobEvent::Progress { done: self.before + done, total: self.total, note });
        }
    }
}

fn no_choices(run: &str) -> Error {
    Error::new(Kind::Unsupported, tr!("no item of {run} was answered by a choice", "{run} 中没有选择题答案"))
        .hint(tr!("--permute is for multiple choice by log-likelihood", "--permute 用于按对数似然评分的选择题"))
}
