//! What a language model is asked and what it answers, independent of where it runs.

use crate::error::{Error, Kind, Result};
use crate::job::CancelToken;
use crate::tr;

/// One context with several continuations to be scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreRequest {
    /// Tokens before the continuation.
    pub context: Vec<u32>,
    /// Alternatives, each of at least one token.
    pub continuations: Vec<Vec<u32>>,
}

impl ScoreRequest {
    /// Tokens that the context loses at its left end in a model of `positions` positions, as in lm-evaluation-harness: at
    /// least one stays, and the last token of a continuation is only predicted and needs no position.
    pub fn overhang(&self, positions: usize) -> usize {
        let longest = self.continuations.iter().map(Vec::len).max().unwrap_or(1);
        self.context.len().saturating_sub((positions + 1).saturating_sub(longest).max(1))
    }
}

/// How the next token is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f64,
    /// Nucleus: the smallest set of tokens with this probability; 1 is all.
    pub top_p: f64,
    /// The k likeliest tokens; 0 is all.
    pub top_k: usize,
    /// Tokens at least this many times as likely as the likeliest one; 0 is all.
    pub min_p: f64,
    /// Divides positive and multiplies negative logits of tokens seen before; 1 is off.
    pub repetition_penalty: f64,
    /// At most this many tokens.
    pub max_new_tokens: usize,
    /// Seed of the draw; the same seed gives the same text.
    pub seed: u64,
    /// Texts that end an answer. They are for models that are asked in text, which are told them; whoever reads the
    /// tokens of another watches for them (see [`LanguageModel::generate_until`]).
    pub stop: Vec<String>,
}

impl Sampling {
    /// Refuses numbers that choose nothing.
    ///
    /// # Errors
    /// `InvalidInput` that names the first such number.
    pub fn check(&self) -> Result<()> {
        let wrong = if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            tr!("the temperature must be 0 or more", "temperature 必须大于或等于 0")
        } else if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            tr!("top-p must lie above 0 and not above 1", "top-p 必须大于 0 且不超过 1")
        } else if !(0.0..=1.0).contains(&self.min_p) {
            tr!("min-p must lie between 0 and 1", "min-p 必须在 0 到 1 之间")
        } else if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            tr!("the repetition penalty must be above 0", "重复惩罚必须大于 0")
        } else {
            return Ok(());
        };
        let hint = tr!(
            "temperature 0 always takes the likeliest token; 1 for top-p and the penalty, 0 for min-p and top-k switch them off",
            "temperature 为 0 时总取最可能的词元；top-p 与重复惩罚为 1、min-p 与 top-k 为 0 时不起作用"
        );
        Err(Error::new(Kind::InvalidInput, wrong).hint(hint))
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling {
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            max_new_tokens: 256,
            seed: 0,
            stop: Vec::new(),
        }
    }
}

/// A generated answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The new tokens, without the end-of-sequence token.
    pub tokens: Vec<u32>,
    /// Whether the model ended by itself; false when `max_new_tokens` cut it.
    pub stopped: bool,
}

/// A model that scores and generates token sequences.
pub trait LanguageModel {
    /// Summed natural-log probability of each continuation after its context: one list per request,
    /// in order. `done` hears how many requests are finished. Requests that follow one another and
    /// share a beginning share its computation; the values do not depend on how they are batched
    /// (beyond rounding). A context too long for the model loses its left end.
    ///
    /// # Errors
    /// `Interrupted` when `cancel` is set.
    fn loglikelihoods(
        &self,
        requests: &[ScoreRequest],
        done: &mut dyn FnMut(usize),
        cancel: &CancelToken,
    ) -> Result<Vec<Vec<f64>>>;

    /// Continues each prompt until an end-of-sequence token or `sampling.max_new_tokens`.
    /// `on_token(i, id)` hears each token of prompt `i` as it is chosen.
    ///
    /// # Errors
    /// `Interrupted` when `cancel` is set.
    fn generate(
        &self,
        prompts: &[Vec<u32>],
        sampling: &Sampling,
        on_token: &mut dyn FnMut(usize, u32),
        cancel: &CancelToken,
    ) -> Result<Vec<Generation>>;

    /// As [`LanguageModel::generate`], and `enough(i, id)`, which hears each token of prompt `i` as it is chosen, may end
    /// that answer by saying so. A model that cannot be stopped half-way writes on; the caller cuts its text.
    ///
    /// # Errors
    /// `Interrupted` when `cancel` is set.
    fn generate_until(
        &self,
        prompts: &[Vec<u32>],
        sampling: &Sampling,
        enough: &mut dyn FnMut(usize, u32) -> bool,
        cancel: &CancelToken,
    ) -> Result<Vec<Generation>> {
        let mut heard = |i: usize, id: u32| {
            enough(i, id);
        };
        self.generate(prompts, sampling, &mut heard, cancel)
    }

    /// The most tokens that a sequence may have; `None` where it is not known.
    fn max_length(&self) -> Option<usize> {
        None
    }

    /// Tokens that went through the model so far: what a speed is computed from. 0 where it is not known.
    fn prefilled(&self) -> u64 {
        0
    }
    /// Requests that are best asked together: more share more work, fewer lose less when it fails half-way.
    fn batch(&self) -> usize {
        // No subject of C-Eval has more items.
        64
    }
}
