//! A model and an adapter as the weights of one model.

use super::config::ModelConfig;
use super::lora::{Lora, Projection};
use super::lora_config::module_name;
use super::weights::{Tensor, WeightSource, missing};
use crate::error::{Error, Result};
use crate::ops::{LoraPair, StoredRows};
use crate::tr;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// The weights of a model with an adapter merged into them, computed in f32 when they are asked for.
///
/// A projection becomes W + s·B·A; with DoRA its rows are then scaled to their trained lengths. A matrix that was
/// trained as a whole takes the place of the model's own. Where the output layer is the embedding, a trained copy of
/// either makes them two: [`MergedWeights::config`] says so.
pub struct MergedWeights<'a> {
    base: &'a (dyn WeightSource + Send + Sync),
    lora: &'a Lora,
    config: ModelConfig,
    /// Block and projection of a weight's name.
    adapted: HashMap<String, (usize, Projection)>,
}

impl<'a> MergedWeights<'a> {
    /// The weights of `base`, a model of the form `config`, with `lora`, which was loaded for it.
    pub fn new(base: &'a (dyn WeightSource + Send + Sync), config: &ModelConfig, lora: &'a Lora) -> MergedWeights<'a> {
        let mut adapted = HashMap::new();
        for (layer, block) in lora.blocks.iter().enumerate() {
            for (projection, _) in Projection::ALL.into_iter().zip(block).filter(|(_, pair)| pair.is_some()) {
                adapted.insert(format!("{}.weight", module_name(layer, projection)), (layer, projection));
            }
        }
        let apart = lora.saved.embedding.is_some() || lora.saved.head.is_some();
        let config = ModelConfig { tie_word_embeddings: config.tie_word_embeddings && !apart, ..config.clone() };
        MergedWeights { base, lora, config, adapted }
    }

    /// Sizes and switches of the merged model.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn pair(&self, name: &str) -> Option<&LoraPair> {
        let (layer, projection) = self.adapted.get(name)?;
        self.lora.blocks.get(*layer)?[*projection as usize].as_ref()
    }
}

/// Adds `s·B·A` to a weight `[outputs, inputs]` in place; with DoRA each row then gets its trained length.
fn add_factors(weight: &mut [f32], inputs: usize, pair: &LoraPair) {
    let rank = pair.rank;
    weight.par_chunks_mut(inputs).enumerate().for_each(|(row, weight)| {
        // In f64: the result is rounded once, as if the factors had been multiplied exactly.
        let mut sums: Vec<f64> = vec![0.0; inputs];
        for (b, a) in pair.b[row * rank..][..rank].iter().zip(pair.a.chunks_exact(inputs)) {
            for (sum, a) in sums.iter_mut().zip(a) {
                *sum += f64::from(*b) * f64::from(*a);
            }
        }
        for (w, sum) in weight.iter_mut().zip(&sums) {
            *w = (f64::from(*w) + f64::from(pair.scale) * sum) as f32;
        }
        if let Some(magnitude) = &pair.magnitude {
            let norm = weight.iter().map(|w| f64::from(*w) * f64::from(*w)).sum::<f64>().sqrt();
            // A row of zeros has no direction: it stays what it is, as in `ops::dora`.
            if norm > 0.0 {
                let factor = f64::from(magnitude[row]) / norm;
                weight.iter_mut().for_each(|w| *w = (f64::from(*w) * factor) as f32);
            }
        }
    });
}

impl WeightSource for MergedWeights<'_> {
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.config.tensors().into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        // An output layer that has become one of its own has the embedding's shape.
        let own = self.base.shape(name);
        own.or_else(|| (name == HEAD && !self.config.tie_word_embeddings).then(|| self.base.shape(EMBEDDING))?)
    }

    fn storage(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([("F32".to_owned(), self.config.parameters())])
    }

    fn try_tensor(&self, name: &str) -> Result<Option<Tensor>> {
        let saved = match name {
            EMBEDDING => self.lora.saved.embedding.as_ref(),
            HEAD if !self.config.tie_word_embeddings => self.lora.saved.head.as_ref(),
            _ => None,
        };
        if let (Some(matrix), Some(shape)) = (saved, self.shape(name)) {
            return Ok(Some(Tensor { shape, data: matrix.clone() }));
        }
        let found = match self.base.try_tensor(name)? {
            None if name == HEAD && !self.config.tie_word_embeddings => self.base.try_tensor(EMBEDDING)?,
            found => found,
        };
        Ok(match (found, self.pair(name)) {
            (Some(mut tensor), Some(pair)) => {
                let inputs = tensor.shape.last().copied().unwrap_or(1).max(1);
                if pair.a.len() != pair.rank * inputs || pair.b.len() != pair.rank * (tensor.data.len() / inputs) {
                    return Err(Error::internal(tr!("factors of another shape", "因子形状不符")));
                }
                add_factors(&mut tensor.data, inputs, pair);
                Some(tensor)
            }
            (found, _) => found,
        })
    }

    fn stored_rows(&self, name: &str) -> Result<Box<dyn StoredRows>> {
        let tensor = self.try_tensor(name)?.ok_or_else(|| missing(self.place(), name))?;
        let inputs = tensor.shape.last().copied().unwrap_or(1);
        Ok(Box::new(MergedRows { data: tensor.data, inputs }))
    }

    fn place(&self) -> &Path {
        self.base.place()
    }
}

/// Rows of one merged weight, in memory.
struct MergedRows {
    data: Vec<f32>,
    inputs: usize,
}

impl StoredRows for MergedRows {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        out.copy_from_slice(&self.data[rows.start * self.inputs..rows.end * self.inputs]);
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.data[..])
    }
}
