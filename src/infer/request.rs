//! What a language model is asked and what it answers, independent of where it runs.

use crate::error::Result;
use crate::job::CancelToken;

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
    /// Divides positive and multiplies negative logits of tokens seen before; 1 is off.
    pub repetition_penalty: f64,
    /// At most this many tokens.
    pub max_new_tokens: usize,
    /// Seed of the draw; the same seed gives the same text.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { temperature: 0.0, top_p: 1.0, top_k: 0, repetition_penalty: 1.0, max_new_tokens: 256, seed: 0 }
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
