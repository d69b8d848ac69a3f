//! Scoring: every prompt of a plan through a language model.

use super::answer::{Answer, Counted, Written, ask, outcome};
use super::asking::{Asks, Mode};
use super::detail::ItemDetail;
use super::plan::{Plan, PlannedItem};
use crate::error::{Error, Kind, Result};
use crate::infer::LanguageModel;
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::prompt::Tokenize;
use crate::text::one_line;
use crate::tr;
use serde::Serialize;
use std::collections::HashMap;
use std::time::Instant;

/// Items that are written or read at once: they share no work, so more would only lose more when interrupted.
const WRITTEN_BATCH: usize = 16;

/// What a model made of one item.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ItemOutcome {
    /// Subject.
    pub subject: String,
    /// Item.
    pub id: String,
    /// How the answer was found.
    pub mode: Mode,
    /// What the model was asked.
    pub prompt: String,
    /// The continuations that were scored.
    pub choices: Vec<String>,
    /// Summed natural-log probability of each; of the whole text where that is measured.
    pub loglikelihoods: Vec<f64>,
    /// Label of the likeliest, or the answer found in what was written; empty where none was found.
    pub pred: String,
    /// Label of the right one, or the right answer; empty where it is not known.
    pub gold: String,
    /// Whether they are the same.
    pub correct: bool,
    /// What the model wrote, where it wrote.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub written: Option<Written>,
    /// [`Asks::stamp`] of [`Prompt::hash`](super::Prompt::hash).
    #[serde(skip)]
    pub prompt_hash: String,
    /// What re-scoring and pairing need. Of it only what the model did not read is a word for others: `truncated`.
    #[serde(rename = "truncated", serialize_with = "write_truncated", skip_serializing_if = "ItemDetail::is_whole")]
    pub detail: ItemDetail,
}

fn write_truncated<S: serde::Serializer>(detail: &ItemDetail, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    detail.truncated.serialize(serializer)
}

/// What a run gave.
#[derive(Clone, Debug, Default)]
pub struct Scored {
    /// One per item of the plan, in its order.
    pub outcomes: Vec<ItemOutcome>,
    /// Items scored now, not taken from before.
    pub fresh: usize,
    /// Items answered in an earlier run.
    pub reused: usize,
    /// Seconds the model computed for them.
    pub seconds: f64,
    /// Tokens of their contexts, each beginning shared with the item before counted once.
    pub prefill_tokens: u64,
    /// Tokens of their contexts.
    pub context_tokens: u64,
    /// Items whose prompt lost its left end; `None` where nobody knows how much the model takes.
    pub truncated: Option<usize>,
}

/// An answer from before.
#[derive(Clone, Debug)]
pub struct KnownAnswer {
    /// [`Asks::stamp`] of the prompt that it answers.
    pub prompt_hash: String,
    /// The answer.
    pub answer: Answer,
    /// Tokens of each of the item's choices.
    pub tokens: Vec<usize>,
    /// See [`ItemDetail::truncated`].
    pub truncated: usize,
    /// Whether it is one of an earlier run, to be kept for this one too.
    pub earlier: bool,
}

impl KnownAnswer {
    /// What was kept of an item, by its subject and id.
    pub fn of(outcome: ItemOutcome, earlier: bool) -> ((String, String), KnownAnswer) {
        let at = (outcome.subject.clone(), outcome.id.clone());
        let (prompt_hash, tokens) = (outcome.prompt_hash.clone(), outcome.detail.tokens.clone());
        let truncated = outcome.detail.truncated;
        (at, KnownAnswer { prompt_hash, tokens, truncated, earlier, answer: Answer::kept(outcome) })
    }
}

/// Answers from before an interruption or of earlier runs, by subject and item.
pub type Known = HashMap<(String, String), KnownAnswer>;

/// Scores `plan`. `keep` stores each batch as it arrives; items in `known` are not asked again.
///
/// # Errors
/// `Interrupted` when `cancel` is set (what was kept stays), `Mismatch` when an item of `known` was
/// asked another prompt, `Corrupt` when the model answers with something that is not a number;
/// whatever `keep`, the tokenizer and the model say.
pub fn run(
    plan: &Plan,
    known: &Known,
    model: &dyn LanguageModel,
    tokenizer: &dyn Tokenize,
    keep: &mut dyn FnMut(&[ItemOutcome]) -> Result<()>,
    sink: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<Scored> {
    let mut scored = Scored::default();
    let total = plan.total();
    let mut finished = 0;
    let batch_size = match plan.asks {
        Asks::Choices => model.batch().max(1),
        Asks::Written(_) => model.batch().clamp(1, WRITTEN_BATCH),
        Asks::Rolling(_) => 1,
    };
    for part in &plan.subjects {
        let handle = &part.subject.handle;
        let progress = |done: usize| {
            sink.emit(&JobEvent::Progress { done: done as u64, total: total as u64, note: one_line(handle) })
        };
        let mut fresh = Vec::new();
        let mut found: Vec<Option<(Answer, usize)>> = Vec::with_capacity(part.items.len());
        let mut earlier = Vec::new();
        for item in &part.items {
            let before = known.get(&(handle.clone(), item.id.clone()));
            match before {
                Some(before) if before.prompt_hash != item.hash => return Err(changed(handle, &item.id)),
                Some(before) if before.earlier => {
                    let mut outcome = outcome(plan, handle, item, &before.answer)?;
                    outcome.detail.tokens.clone_from(&before.tokens);
                    outcome.detail.truncated = before.truncated;
                    earlier.push(outcome);
                }
                Some(_) => {}
                None => fresh.push(found.len()),
            }
            found.push(before.map(|before| (before.answer.clone(), before.truncated)));
        }
        if !earlier.is_empty() {
            keep(&earlier)?;
            scored.reused += earlier.len();
        }
        finished += part.items.len() - fresh.len();
        progress(finished);
        for batch in fresh.chunks(batch_size) {
            if cancel.is_cancelled() {
                return Err(interrupted());
            }
            let items: Vec<&PlannedItem> = batch.iter().filter_map(|i| part.items.get(*i)).collect();
            let mut counted = Counted::default();
            let start = Instant::now();
            let mut done = |done: usize| progress(finished + done);
            let answers = ask(&plan.asks, &items, model, tokenizer, &mut counted, &mut done, cancel)?;
            scored.seconds += start.elapsed().as_secs_f64();
            scored.context_tokens += counted.context;
            scored.prefill_tokens += counted.prefill;
            if answers.len() != items.len() {
                return Err(Error::internal(format!("{} answers for {} requests", answers.len(), items.len())));
            }
            let mut outcomes = items
                .iter()
                .zip(&answers)
                .map(|(item, answer)| outcome(plan, handle, item, answer))
                .collect::<Result<Vec<_>>>()?;
            // Only what is stored says how many tokens an answer has: an item from before an interruption is not encoded.
            for (outcome, tokens) in outcomes.iter_mut().zip(counted.answers) {
                outcome.detail.tokens = tokens;
            }
            let truncated = counted.truncated.into_iter().chain(std::iter::repeat(0));
            for ((i, answer), (outcome, truncated)) in batch.iter().zip(answers).zip(outcomes.iter_mut().zip(truncated))
            {
                outcome.detail.truncated = truncated;
                if let Some(slot) = found.get_mut(*i) {
                    *slot = Some((answer, truncated));
                }
            }
            keep(&outcomes)?;
            finished += items.len();
            scored.fresh += items.len();
            progress(finished);
        }
        for (item, answer) in part.items.iter().zip(&found) {
            let (answer, truncated) = answer.as_ref().ok_or_else(|| Error::internal("an item without an answer"))?;
            let mut outcome = outcome(plan, handle, item, answer)?;
            outcome.detail.truncated = *truncated;
            scored.outcomes.push(outcome);
        }
    }
    // A text that is read in windows loses nothing.
    let known = model.max_length().is_some() || matches!(plan.asks, Asks::Rolling(_));
    scored.truncated = known.then(|| scored.outcomes.iter().filter(|o| !o.detail.is_whole()).count());
    Ok(scored)
}

/// Index of the largest value, the first on a tie; `None` without one or when any is not a number.
pub fn argmax(values: &[f64]) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (i, &value) in values.iter().enumerate() {
        if value.is_nan() {
            return None;
        }
        if best.is_none_or(|(_, top)| value > top) {
            best = Some((i, value));
        }
    }
    best.map(|(i, _)| i)
}

fn interrupted() -> Error {
    Error::new(Kind::Interrupted, tr!("scoring was interrupted", "评测已中断"))
}

fn changed(subject: &str, item: &str) -> Error {
    Error::new(
        Kind::Mismatch,
        tr!("{subject}/{item} is asked otherwise than before the interruption", "{subject}/{item} 的提示与中断前不同"),
    )
    .hint(tr!(
        "the data, the definition or the template changed: start a new run instead of resuming",
        "数据、定义或模板已改变：请重新开始，而不是继续该运行"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_values_wins_and_nan_is_no_answer() {
        assert_eq!(argmax(&[-1.0, -1.0]), Some(0));
        assert_eq!(argmax(&[-3.0, -1.0, -1.0]), Some(1));
        assert_eq!(argmax(&[f64::NEG_INFINITY, f64::NEG_INFINITY]), Some(0));
        assert_eq!(argmax(&[-1.0, f64::NAN]), None);
        assert_eq!(argmax(&[]), None);
    }
}
