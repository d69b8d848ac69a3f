//! A model with more tokens than it had: rows for them in embedding and output layer.

use super::config::ModelConfig;
use super::weights::{Tensor, WeightSource, missing};
use crate::error::Result;
use crate::ops::StoredRows;
use std::collections::BTreeMap;
use std::path::Path;

/// A new token and the tokens that its text was before.
pub struct NewToken {
    /// Its id.
    pub id: u32,
    /// Ids of its pieces, in the old vocabulary.
    pub pieces: Vec<u32>,
}

/// The weights of a model whose embedding (and output layer) has a row for every new token: the mean of the rows of its
/// pieces, so that the model begins with what it knew of them.
pub struct ExpandedWeights<'a> {
    base: &'a (dyn WeightSource + Send + Sync),
    config: ModelConfig,
    tokens: Vec<NewToken>,
}

impl<'a> ExpandedWeights<'a> {
    /// The weights of `base`, a model of the form `config`, with rows for `tokens`.
    pub fn new(
        base: &'a (dyn WeightSource + Send + Sync),
        config: &ModelConfig,
        tokens: Vec<NewToken>,
    ) -> ExpandedWeights<'a> {
        // Many embeddings have spare rows behind the last token; these are used first.
        let rows = tokens.iter().map(|token| token.id as usize + 1).max().unwrap_or(0).max(config.vocab_size);
        ExpandedWeights { base, config: ModelConfig { vocab_size: rows, ..config.clone() }, tokens }
    }

    /// Sizes and switches of the expanded model.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn has_rows_for_tokens(name: &str) -> bool {
        name == "model.embed_tokens.weight" || name == "lm_head.weight"
    }
}

impl WeightSource for ExpandedWeights<'_> {
    fn names(&self) -> Vec<String> {
        self.base.names()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let mut shape = self.base.shape(name)?;
        if let (true, Some(rows)) = (Self::has_rows_for_tokens(name), shape.first_mut()) {
            *rows = self.config.vocab_size;
        }
        Some(shape)
    }

    fn storage(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([("F32".to_owned(), self.config.parameters())])
    }

    fn try_tensor(&self, name: &str) -> Result<Option<Tensor>> {
        let Some(mut tensor) = self.base.try_tensor(name)? else { return Ok(None) };
        if !Self::has_rows_for_tokens(name) {
            return Ok(Some(tensor));
        }
        let width = self.config.hidden_size;
        tensor.data.resize(self.config.vocab_size * width, 0.0);
        for token in &self.tokens {
            let mut mean = vec![0.0f64; width];
            for piece in &token.pieces {
                let row = tensor.data.get(*piece as usize * width..).unwrap_or_default();
                mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x));
            }
            let row = &mut tensor.data[token.id as usize * width..][..width];
            let count = token.pieces.len().max(1) as f64;
            row.iter_mut().zip(&mean).for_each(|(x, sum)| *x = (sum / count) as f32);
        }
        tensor.shape = vec![self.config.vocab_size, width];
        Ok(Some(tensor))
    }

    fn stored_rows(&self, name: &str) -> Result<Box<dyn StoredRows>> {
        if Self::has_rows_for_tokens(name) {
            // Only a file has rows in a form of its own.
            return Err(missing(self.place(), name));
        }
        self.base.stored_rows(name)
    }

    fn place(&self) -> &Path {
        self.base.place()
    }
}
