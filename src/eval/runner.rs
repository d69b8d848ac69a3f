//! Scoring: every prompt of a plan through a language model.

use super::detail::ItemDetail;
use super::encode::encode;
use super::plan::{Plan, PlannedItem};
use crate::error::{Error, Kind, Result};
use crate::infer::{LanguageModel, ScoreRequest};
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::prompt::Tokenize;
use crate::text::one_line;
use crate::tr;
use serde::Serialize;
use std::collections::HashMap;
use std::time::Instant;

/// What a model made of one item.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ItemOutcome {
    /// Subject.
    pub subject: String,
    /// Item.
    pub id: String,
    /// What the model was asked.
    pub prompt: String,
    /// The continuations that were scored.
    pub choices: Vec<String>,
    /// Summed natural-log probability of each.
    pub loglikelihoods: Vec<f64>,
    /// Label of the likeliest.
    pub pred: String,
    /// Label of the right one; empty where it is not known.
    pub gold: String,
    /// Whether they are the same.
    pub correct: bool,
    /// [`Prompt::hash`](super::Prompt::hash).
    #[serde(skip)]
    pub prompt_hash: String,
    /// What re-scoring and pairing need.
    #[serde(skip)]
    pub detail: ItemDetail,
}

/// What a run gave.
#[derive(Clone, Debug, Default)]
pub struct Scored {
    /// One per item of the plan, in its order.
    pub outcomes: Vec<ItemOutcome>,
    /// Items scored now, not taken from before.
    pub fresh: usize,
    /// Seconds the model computed for them.
    pub seconds: f64,
    /// Tokens of their contexts, each beginning shared with the item before counted once.
    pub prefill_tokens: u64,
    /// Tokens of their contexts.
    pub context_tokens: u64,
}

/// Log-likelihoods from before an interruption, by subject and item, each with its prompt's hash.
pub type Known = HashMap<(String, String), (String, Vec<f64>)>;

/// Scores `plan`. `keep` stores each batch as it arrives; items in `known` are not scored again.
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
    for part in &plan.subjects {
        let handle = &part.subject.handle;
        let progress = |done: usize| {
            sink.emit(&JobEvent::Progress { done: done as u64, total: total as u64, note: one_line(handle) })
        };
        let mut fresh = Vec::new();
        let mut found: Vec<Option<Vec<f64>>> = Vec::with_capacity(part.items.len());
        for item in &part.items {
            let before = known.get(&(handle.clone(), item.id.clone()));
            if before.is_some_and(|(hash, _)| *hash != item.hash) {
                return Err(changed(handle, &item.id));
            }
            if before.is_none() {
                fresh.push(found.len());
            }
            found.push(before.map(|(_, lls)| lls.clone()));
        }
        finished += part.items.len() - fresh.len();
        progress(finished);
        for batch in fresh.chunks(model.batch().max(1)) {
            if cancel.is_cancelled() {
                return Err(interrupted());
            }
            let items: Vec<&PlannedItem> = batch.iter().filter_map(|i| part.items.get(*i)).collect();
            let requests = items.iter().map(|item| encode(tokenizer, &item.prompt)).collect::<Result<Vec<_>>>()?;
            let start = Instant::now();
            let answers = model.loglikelihoods(&requests, &mut |done| progress(finished + done), cancel)?;
            scored.seconds += start.elapsed().as_secs_f64();
            scored.context_tokens += requests.iter().map(|r| r.context.len() as u64).sum::<u64>();
            scored.prefill_tokens += prefill_tokens(&requests);
            if answers.len() != items.len() {
                return Err(Error::internal(format!("{} answers for {} requests", answers.len(), items.len())));
            }
            let mut outcomes = items
                .iter()
                .zip(&answers)
                .map(|(item, lls)| outcome(plan, handle, item, lls))
                .collect::<Result<Vec<_>>>()?;
            // Only what is stored says how many tokens an answer has: an item from before an interruption is not encoded.
            for (outcome, request) in outcomes.iter_mut().zip(&requests) {
                outcome.detail.tokens = request.continuations.iter().map(Vec::len).collect();
            }
            keep(&outcomes)?;
            for (i, lls) in batch.iter().zip(answers) {
                if let Some(slot) = found.get_mut(*i) {
                    *slot = Some(lls);
                }
            }
            finished += items.len();
            scored.fresh += items.len();
            progress(finished);
        }
        for (item, lls) in part.items.iter().zip(&found) {
            scored.outcomes.push(outcome(plan, handle, item, lls.as_deref().unwrap_or_default())?);
        }
    }
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

fn outcome(plan: &Plan, subject: &str, item: &PlannedItem, lls: &[f64]) -> Result<ItemOutcome> {
    let pred = argmax(lls).filter(|_| lls.len() == item.prompt.continuations.len()).ok_or_else(|| {
        Error::new(
            Kind::Corrupt,
            tr!(
                "the model gave no usable probability for {subject}/{}: {lls:?}",
                "模型没有给出 {subject}/{} 的有效概率：{lls:?}",
                item.id
            ),
        )
        .hint(tr!(
            "its weights or the adapter are damaged: pull or train them again",
            "权重或适配器已损坏：请重新下载或训练"
        ))
    })?;
    Ok(ItemOutcome {
        subject: subject.to_owned(),
        id: item.id.clone(),
        prompt: item.prompt.text.clone(),
        choices: item.prompt.continuations.clone(),
        loglikelihoods: lls.to_vec(),
        pred: plan.label(pred),
        gold: item.gold.map(|gold| plan.label(gold)).unwrap_or_default(),
        correct: item.gold == Some(pred),
        prompt_hash: item.hash.clone(),
        detail: item.detail(),
    })
}

/// Context tokens that have to be computed when each request reuses what it shares with the one before.
fn prefill_tokens(requests: &[ScoreRequest]) -> u64 {
    let mut before: &[u32] = &[];
    let mut sum = 0;
    for request in requests {
        let shared = before.iter().zip(&request.context).take_while(|(a, b)| a == b).count();
        sum += (request.context.len() - shared) as u64;
        before = &request.context;
    }
    sum
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

    #[test]
    fn a_shared_beginning_is_counted_once() {
        let request = |ids: &[u32]| ScoreRequest { context: ids.to_vec(), continuations: vec![] };
        let requests = [request(&[1, 2, 3, 4]), request(&[1, 2, 5]), request(&[1, 2, 5, 6])];
        assert_eq!(prefill_tokens(&requests), 4 + 1 + 1);
    }
}
