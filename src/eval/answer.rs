//! Asking a batch of items, and judging what came back.

use super::asking::{Asks, Reading, Writing};
use super::encode::{encode, encode_text};
use super::plan::{Plan, PlannedItem};
use super::report::Ordered;
use super::rolling;
use super::runner::{ItemOutcome, argmax};
use crate::error::{Error, Kind, Result};
use crate::infer::{LanguageModel, Sampling};
use crate::job::CancelToken;
use crate::prompt::{Tokenize, cut_at};
use crate::tr;
use serde::{Deserialize, Serialize};

/// What a model answered to one item.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Summed natural-log probabilities: one per choice, or the one of the text.
    Loglikelihoods(Vec<f64>),
    /// What it wrote.
    Text(String),
}

impl Answer {
    /// The answer that was kept with an outcome.
    pub fn kept(outcome: ItemOutcome) -> Answer {
        match outcome.written {
            Some(written) => Answer::Text(written.answer),
            None => Answer::Loglikelihoods(outcome.loglikelihoods),
        }
    }
}

/// What a model wrote, and what was made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// Its text, up to what ends an answer.
    pub answer: String,
    /// The answer that each filter found in it, by the filter's name (empty: the only one); null where it found none.
    pub extracted: Ordered<Option<String>>,
    /// The value of each metric.
    pub metrics: Ordered<f64>,
}

/// Tokens of a batch.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Those of the contexts.
    pub context: u64,
    /// Each beginning shared with the item before counted once.
    pub prefill: u64,
    /// Tokens of each item's choices.
    pub answers: Vec<Vec<usize>>,
    /// Tokens that each item's prompt lost at its left end.
    pub truncated: Vec<usize>,
}

/// Asks `items`; `done` hears how many are finished.
///
/// # Errors
/// Those of the tokenizer and the model.
pub fn ask(
    asks: &Asks,
    items: &[&PlannedItem],
    model: &dyn LanguageModel,
    tokenizer: &dyn Tokenize,
    counted: &mut Counted,
    done: &mut dyn FnMut(usize),
    cancel: &CancelToken,
) -> Result<Vec<Answer>> {
    match asks {
        Asks::Choices => {
            let requests = items.iter().map(|item| encode(tokenizer, &item.prompt)).collect::<Result<Vec<_>>>()?;
            counted.context = requests.iter().map(|r| r.context.len() as u64).sum();
            counted.prefill = prefill_tokens(requests.iter().map(|r| r.context.as_slice()));
            let limit = model.max_length().unwrap_or(usize::MAX - 1);
            counted.truncated = requests.iter().map(|r| r.overhang(limit)).collect();
            counted.answers = requests.iter().map(|r| r.continuations.iter().map(Vec::len).collect()).collect();
            let answers = model.loglikelihoods(&requests, done, cancel)?;
            Ok(answers.into_iter().map(Answer::Loglikelihoods).collect())
        }
        Asks::Written(writing) => {
            let mut prompts =
                items.iter().map(|item| encode_text(tokenizer, &item.prompt.text)).collect::<Result<Vec<_>>>()?;
            if let Some(length) = model.max_length() {
                // As the harness does: room for the answer, at the cost of the prompt's left end.
                let room = length.saturating_sub(writing.max_tokens).max(1);
                for ids in &mut prompts {
                    let cut = ids.len().saturating_sub(room);
                    ids.drain(..cut);
                    counted.truncated.push(cut);
                }
            }
            counted.context = prompts.iter().map(|ids| ids.len() as u64).sum();
            counted.prefill = prefill_tokens(prompts.iter().map(Vec::as_slice));
            let texts = write(writing, &prompts, model, tokenizer, cancel)?;
            Ok(texts.into_iter().map(Answer::Text).collect())
        }
        Asks::Rolling(longest) => {
            let mut answers = Vec::with_capacity(items.len());
            for item in items {
                let (sum, tokens) = rolling::loglikelihood(&item.prompt.text, *longest, model, tokenizer, cancel)?;
                counted.context += tokens;
                counted.prefill += tokens;
                answers.push(Answer::Loglikelihoods(vec![sum]));
                done(answers.len());
            }
            Ok(answers)
        }
    }
}

/// Lets the model write until one of the texts that end an answer.
fn write(
    writing: &Writing,
    prompts: &[Vec<u32>],
    model: &dyn LanguageModel,
    tokenizer: &dyn Tokenize,
    cancel: &CancelToken,
) -> Result<Vec<String>> {
    let sampling = Sampling {
        temperature: writing.temperature,
        max_new_tokens: writing.max_tokens,
        stop: writing.until.clone(),
        ..Sampling::default()
    };
    // A text of so many bytes ends within the last so many tokens, one of which may be half a character.
    let tail = writing.until.iter().map(String::len).max().unwrap_or(0) + 4;
    let mut heard: Vec<Vec<u32>> = vec![Vec::new(); prompts.len()];
    let mut enough = |i: usize, id: u32| {
        let Some(ids) = heard.get_mut(i).filter(|_| !writing.until.is_empty()) else { return false };
        ids.push(id);
        let recent = ids.get(ids.len().saturating_sub(tail)..).unwrap_or_default();
        let text = tokenizer.decode(recent).unwrap_or_default();
        writing.until.iter().any(|end| text.contains(end.as_str()))
    };
    let written = model.generate_until(prompts, &sampling, &mut enough, cancel)?;
    written.iter().map(|generation| Ok(cut_at(tokenizer.decode(&generation.tokens)?, &writing.until))).collect()
}

/// What `item` comes to with `answer`.
///
/// # Errors
/// `Corrupt` when a probability is not a number.
pub fn outcome(plan: &Plan, subject: &str, item: &PlannedItem, answer: &Answer) -> Result<ItemOutcome> {
    let blank = ItemOutcome {
        subject: subject.to_owned(),
        id: item.id.clone(),
        mode: plan.asks.mode(),
        prompt: item.prompt.text.clone(),
        choices: item.prompt.continuations.clone(),
        prompt_hash: item.hash.clone(),
        gold: item.gold.map_or_else(|| item.expected.text(), |gold| plan.label(gold)),
        detail: item.detail(),
        ..ItemOutcome::default()
    };
    match (answer, &plan.asks) {
        (Answer::Loglikelihoods(lls), Asks::Choices) => {
            let pred = argmax(lls).filter(|_| lls.len() == item.prompt.continuations.len());
            let pred = pred.ok_or_else(|| unusable(subject, item, lls))?;
            Ok(ItemOutcome {
                loglikelihoods: lls.clone(),
                pred: plan.label(pred),
                correct: item.gold == Some(pred),
                ..blank
            })
        }
        (Answer::Loglikelihoods(lls), Asks::Rolling(_)) => match lls.as_slice() {
            [sum] if sum.is_finite() => Ok(ItemOutcome { loglikelihoods: lls.clone(), ..blank }),
            _ => Err(unusable(subject, item, lls)),
        },
        (Answer::Text(text), Asks::Written(writing)) => {
            let (pred, correct, written) = judge(plan, writing, item, text);
            Ok(ItemOutcome { pred, correct, written: Some(written), ..blank })
        }
        _ => Err(Error::internal(format!("{subject}/{}: an answer of another mode", item.id))),
    }
}

/// The answer in `text`, whether it is right, and what to keep of it.
pub(super) fn judge(plan: &Plan, writing: &Writing, item: &PlannedItem, text: &str) -> (String, bool, Written) {
    let keep = |extracted, metrics| Written {
        answer: text.to_owned(),
        extracted: Ordered(extracted),
        metrics: Ordered(metrics),
    };
    match &writing.reading {
        Reading::Label(letters) => {
            let found = letters.find(text, item.choices);
            let label = found.map(|index| plan.label(index));
            let correct = found.is_some() && found == item.gold;
            let written = keep(
                vec![(String::new(), label.clone())],
                vec![("exact_match".to_owned(), f64::from(u8::from(correct)))],
            );
            (label.unwrap_or_default(), correct, written)
        }
        Reading::Text { filters, metrics } => {
            let mut extracted = Vec::with_capacity(filters.len());
            let mut values = Vec::new();
            for filter in filters {
                let found = filter.extract(text);
                for (name, value) in metrics.iter().flat_map(|m| m.values(found.as_deref(), &item.expected)) {
                    let key = if filter.name.is_empty() { name.to_owned() } else { format!("{name},{}", filter.name) };
                    values.push((key, value));
                }
                extracted.push((filter.name.clone(), found));
            }
            let pred = extracted.first().and_then(|(_, found)| found.clone()).unwrap_or_default();
            let correct = values.first().is_some_and(|(_, value)| *value >= 1.0);
            (pred, correct, keep(extracted, values))
        }
    }
}

fn unusable(subject: &str, item: &PlannedItem, lls: &[f64]) -> Error {
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
}

/// Context tokens that have to be computed when each context reuses what it shares with the one before.
fn prefill_tokens<'a>(contexts: impl Iterator<Item = &'a [u32]>) -> u64 {
    let mut before: &[u32] = &[];
    let mut sum = 0;
    for context in contexts {
        let shared = before.iter().zip(context).take_while(|(a, b)| a == b).count();
        sum += (context.len() - shared) as u64;
        before = context;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_beginning_is_counted_once() {
        let contexts: [&[u32]; 3] = [&[1, 2, 3, 4], &[1, 2, 5], &[1, 2, 5, 6]];
        assert_eq!(prefill_tokens(contexts.into_iter()), 4 + 1 + 1);
    }

    #[test]
    fn the_earliest_end_cuts() {
        let until = ["Question:".to_owned(), "\n\n".to_owned()];
        assert_eq!(cut_at("a\n\nQuestion: b".into(), &until), "a");
        assert_eq!(cut_at("a Question: b\n\n".into(), &until), "a ");
        assert_eq!(cut_at("净利润".into(), &until), "净利润");
        assert_eq!(cut_at("x".into(), &[]), "x");
    }
}
