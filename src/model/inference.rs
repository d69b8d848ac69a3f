//! The forward of inference, wherever it is computed: on the processor ([`HostInference`]) or on a card (`device/inference`).
//! Whoever asks gets hidden states and caches to hold on to, and cannot look into them.

use super::config::ModelConfig;
use super::decoder::{Decoder, KvBlock, Stretch, Workspace};
use super::lora::Lora;
use crate::error::{Error, Result};
use crate::ops::cuda::Buffer;
use crate::ops::log_sum_exp;
use std::sync::{Arc, Mutex};

/// A decoder, perhaps with an adapter, that reads tokens.
pub trait Inference: Send + Sync {
    /// Sizes and switches.
    fn config(&self) -> &ModelConfig;

    /// Runs new tokens of several sequences at once. Gives a hidden state for every new token, in their order, and the cache of
    /// each stretch.
    ///
    /// # Errors
    /// Tokens outside the vocabulary, sequences that are too long; those of the card.
    fn forward(&self, stretches: &[Stretch<'_>]) -> Result<(Hidden, Vec<KvBlock>)>;

    /// Logits of the hidden states `rows`: `[rows, vocabulary]`.
    ///
    /// # Errors
    /// Those of the card.
    fn logits(&self, hidden: &Hidden, rows: &[usize]) -> Result<Vec<f32>>;

    /// `ln p(token | row)` for (row, token) pairs; pairs of a row lie together.
    ///
    /// # Errors
    /// Those of the card.
    fn logprobs(&self, hidden: &Hidden, wanted: &[(usize, u32)]) -> Result<Vec<f64>>;
}

/// The weights of a model on a card, on which any adapter is put.
pub trait CardWeights: Send + Sync {
    /// The model with `lora`, whose norms are settled, or without.
    ///
    /// # Errors
    /// `OutOfMemory`; factors of other shapes.
    fn with(self: Arc<Self>, lora: Option<&Lora>) -> Result<Box<dyn Inference>>;

    /// What to call the card.
    fn card(&self) -> String;
}

/// Hidden states of a forward; they belong to what made them.
pub enum Hidden {
    /// In the machine's memory, normed.
    Host(Vec<f32>),
    /// On a card, before the last norm.
    Card(Buffer<f32>),
}

/// Rows whose logits exist at once: a row has as many as the vocabulary.
pub(super) const LOGIT_ROWS: usize = 64;

/// On the processor.
pub struct HostInference {
    decoder: Arc<Decoder>,
    lora: Option<Arc<Lora>>,
    workspace: Mutex<Workspace>,
}

impl HostInference {
    /// Over shared weights.
    pub fn new(decoder: Arc<Decoder>, lora: Option<Arc<Lora>>) -> HostInference {
        let lora = lora.map(|lora| decoder.settle(lora));
        HostInference { decoder, lora, workspace: Mutex::default() }
    }

    fn picked(&self, hidden: &Hidden, rows: &[usize]) -> Result<Vec<f32>> {
        let width = self.decoder.config().hidden_size;
        match hidden {
            Hidden::Host(hidden) => {
                Ok(rows.iter().flat_map(|r| &hidden[r * width..(r + 1) * width]).copied().collect())
            }
            Hidden::Card(_) => Err(Error::internal("hidden states of a card")),
        }
    }
}

impl Inference for HostInference {
    fn config(&self) -> &ModelConfig {
        self.decoder.config()
    }

    fn forward(&self, stretches: &[Stretch<'_>]) -> Result<(Hidden, Vec<KvBlock>)> {
        let mut workspace = self.workspace.lock().map_err(|_| Error::internal("an inference thread failed"))?;
        let (hidden, caches) = self.decoder.forward(stretches, self.lora.as_deref(), &mut workspace)?;
        Ok((Hidden::Host(hidden), caches))
    }

    fn logits(&self, hidden: &Hidden, rows: &[usize]) -> Result<Vec<f32>> {
        Ok(self.decoder.logits(&self.picked(hidden, rows)?, rows.len(), self.lora.as_deref()))
    }

    fn logprobs(&self, hidden: &Hidden, wanted: &[(usize, u32)]) -> Result<Vec<f64>> {
        let vocabulary = self.decoder.config().vocab_size;
        let mut rows: Vec<usize> = wanted.iter().map(|(row, _)| *row).collect();
        rows.dedup();
        let mut result = Vec::with_capacity(wanted.len());
        let mut next = wanted.iter().peekable();
        for chunk in rows.chunks(LOGIT_ROWS) {
            let logits = self.logits(hidden, chunk)?;
            for (row, logits) in chunk.iter().zip(logits.chunks_exact(vocabulary)) {
                let lse = log_sum_exp(logits);
                while let Some((_, token)) = next.next_if(|(r, _)| r == row) {
                    result.push(f64::from(logits[*token as usize]) - lse);
                }
            }
        }
        Ok(result)
    }
}
