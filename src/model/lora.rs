//! Which projections of a decoder carry low-rank factors, and the factors themselves, under PEFT's names.
//!
//! The `candle-lora` crate is not used: it scales the base output too and names its tensors in its own way.

use super::config::ModelConfig;
use super::lora_config::{LoraConfig, module_name};
use crate::error::{Error, Kind, Result};
use crate::ops::{LoraGradient, LoraPair};
use crate::tr;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

/// The seven linear maps of a decoder block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Projection {
    /// Query.
    #[serde(rename = "q_proj")]
    Q,
    /// Key.
    #[serde(rename = "k_proj")]
    K,
    /// Value.
    #[serde(rename = "v_proj")]
    V,
    /// Attention output.
    #[serde(rename = "o_proj")]
    O,
    /// SwiGLU gate.
    #[serde(rename = "gate_proj")]
    Gate,
    /// SwiGLU up.
    #[serde(rename = "up_proj")]
    Up,
    /// SwiGLU down.
    #[serde(rename = "down_proj")]
    Down,
}

impl Projection {
    /// All seven, in the order in which a block uses them.
    pub const ALL: [Projection; 7] = [
        Projection::Q,
        Projection::K,
        Projection::V,
        Projection::O,
        Projection::Gate,
        Projection::Up,
        Projection::Down,
    ];

    /// The module's name, as in `target_modules`.
    pub fn name(self) -> &'static str {
        match self {
            Projection::Q => "q_proj",
            Projection::K => "k_proj",
            Projection::V => "v_proj",
            Projection::O => "o_proj",
            Projection::Gate => "gate_proj",
            Projection::Up => "up_proj",
            Projection::Down => "down_proj",
        }
    }

    /// The module inside its block: `self_attn.q_proj`, `mlp.down_proj`.
    pub fn path(self) -> String {
        let parent = if self <= Projection::O { "self_attn" } else { "mlp" };
        format!("{parent}.{}", self.name())
    }

    /// (outputs, inputs) of its weight.
    pub fn shape(self, c: &ModelConfig) -> (usize, usize) {
        let (q, kv) = (c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim);
        match self {
            Projection::Q => (q, c.hidden_size),
            Projection::K | Projection::V => (kv, c.hidden_size),
            Projection::O => (c.hidden_size, q),
            Projection::Gate | Projection::Up => (c.intermediate_size, c.hidden_size),
            Projection::Down => (c.hidden_size, c.intermediate_size),
        }
    }

    /// Reads `--target`: `attention`, `all` (PEFT's word for it, `all-linear`, will do too), or module names separated by commas.
    ///
    /// # Errors
    /// `Usage` that lists the names.
    pub fn parse_targets(text: &str) -> Result<Vec<Projection>> {
        let all = Projection::ALL;
        let mut targets = match text {
            "attention" => all[..4].to_vec(),
            "all" | "all-linear" => all.to_vec(),
            names => names
                .split(',')
                .map(|name| {
                    all.into_iter().find(|p| p.name() == name.trim()).ok_or_else(|| {
                        let name = name.escape_default();
                        Error::new(Kind::Usage, tr!("unknown target module `{name}`", "未知的目标模块 `{name}`"))
                            .hint(tr!(
                                "use attention, all, or a list of: q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj",
                                "可用 attention、all，或以下名称的列表：q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
                            ))
                    })
                })
                .collect::<Result<_>>()?,
        };
        targets.sort();
        targets.dedup();
        Ok(targets)
    }
}

/// PEFT's tensor name of a trained embedding.
pub(super) const EMBEDDING: &str = "base_model.model.model.embed_tokens.weight";

/// PEFT's tensor name of a trained output layer.
pub(super) const HEAD: &str = "base_model.model.lm_head.weight";

/// Factors of one block, by projection.
pub type BlockLora = [Option<LoraPair>; 7];

/// The trainable factors of a whole decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Lora {
    /// Rank, alpha, dropout, targets.
    pub config: LoraConfig,
    /// One entry per decoder block.
    pub blocks: Vec<BlockLora>,
    /// Matrices that are trained as a whole.
    pub saved: SavedModules,
}

/// Copies of the model's own matrices that are trained as a whole beside the factors (PEFT's `modules_to_save`), or
/// their gradients. `[vocabulary, hidden]` each. Copies of a tied embedding and output layer are two.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SavedModules {
    /// The embedding.
    pub embedding: Option<Vec<f32>>,
    /// The output layer.
    pub head: Option<Vec<f32>>,
    /// Columns of both.
    pub width: usize,
}

impl SavedModules {
    fn zeros(&self) -> SavedModules {
        let zeros = |m: &Option<Vec<f32>>| m.as_ref().map(|m| vec![0.0; m.len()]);
        SavedModules { embedding: zeros(&self.embedding), head: zeros(&self.head), width: self.width }
    }
}

/// Gradients of a [`Lora`], same shape.
pub struct LoraGradients {
    /// One entry per decoder block.
    pub blocks: Vec<[Option<LoraGradient>; 7]>,
    /// Gradients of whole matrices.
    pub saved: SavedModules,
}

impl Lora {
    /// Fresh factors: A uniform in ±1/√inputs (Kaiming with a = √5, as PEFT starts it), B zero, so that
    /// the adapted model begins as the base.
    pub fn new(config: LoraConfig, model: &ModelConfig, seed: u64) -> Lora {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let blocks = (0..model.num_layers)
            .map(|layer| {
                Projection::ALL.map(|projection| {
                    config.targets.contains(&projection).then(|| {
                        let (outputs, inputs) = projection.shape(model);
                        let (rank, scale) = (config.rank_of(layer, projection), config.scale_of(layer, projection));
                        let bound = 1.0 / (inputs as f32).sqrt();
                        let a = (0..rank * inputs).map(|_| rng.random_range(-bound..bound)).collect();
                        LoraPair { a, b: vec![0.0; outputs * rank], rank, scale, magnitude: None, norms: None }
                    })
                })
            })
            .collect();
        Lora { config, blocks, saved: SavedModules::default() }
    }

    /// Zero gradients.
    pub fn zero_gradients(&self) -> LoraGradients {
        let zero = |block: &BlockLora| block.each_ref().map(|pair| pair.as_ref().map(LoraPair::zero_gradient));
        LoraGradients { blocks: self.blocks.iter().map(zero).collect(), saved: self.saved.zeros() }
    }

    /// Everything trained with PEFT's tensor name and its shape, in a fixed order.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, &[f32])> {
        let mut tensors = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            for (projection, pair) in Projection::ALL.iter().zip(block) {
                if let Some(pair) = pair {
                    let module = format!("base_model.model.{}", module_name(i, *projection));
                    tensors.push((
                        format!("{module}.lora_A.weight"),
                        vec![pair.rank, pair.a.len() / pair.rank],
                        &pair.a[..],
                    ));
                    tensors.push((
                        format!("{module}.lora_B.weight"),
                        vec![pair.b.len() / pair.rank, pair.rank],
                        &pair.b[..],
                    ));
                    if let Some(m) = &pair.magnitude {
                        tensors.push((format!("{module}.lora_magnitude_vector"), vec![m.len()], &m[..]));
                    }
                }
            }
        }
        for (name, matrix) in [(EMBEDDING, &self.saved.embedding), (HEAD, &self.saved.head)] {
            if let Some(matrix) = matrix {
                let width = self.saved.width;
                tensors.push((name.to_owned(), vec![matrix.len() / width.max(1), width], &matrix[..]));
            }
        }
        tensors
    }

    /// Everything trained for the optimiser, in the order of [`Lora::tensors`].
    pub fn parameters_mut(&mut self) -> Vec<&mut [f32]> {
        self.blocks
            .iter_mut()
            .flat_map(|block| block.iter_mut().flatten())
            .flat_map(|pair| [Some(&mut pair.a), Some(&mut pair.b), pair.magnitude.as_mut()])
            .chain([self.saved.embedding.as_mut(), self.saved.head.as_mut()])
            .flatten()
            .map(|values| &mut values[..])
            .collect()
    }

    /// Number of trainable values.
    pub fn parameter_count(&self) -> usize {
        self.tensors().iter().map(|(_, _, data)| data.len()).sum()
    }
}

impl LoraGradients {
    /// Every gradient, in the order of [`Lora::tensors`].
    pub fn parts(&self) -> Vec<&[f32]> {
        self.blocks
            .iter()
            .flat_map(|block| block.iter().flatten())
            .flat_map(|pair| [Some(&pair.a), Some(&pair.b), pair.magnitude.as_ref()])
            .chain([self.saved.embedding.as_ref(), self.saved.head.as_ref()])
            .flatten()
            .map(|values| &values[..])
            .collect()
    }

    /// The same to be written.
    pub fn parts_mut(&mut self) -> Vec<&mut [f32]> {
        self.blocks
            .iter_mut()
            .flat_map(|block| block.iter_mut().flatten())
            .flat_map(|pair| [Some(&mut pair.a), Some(&mut pair.b), pair.magnitude.as_mut()])
            .chain([self.saved.embedding.as_mut(), self.saved.head.as_mut()])
            .flatten()
            .map(|values| &mut values[..])
            .collect()
    }

    /// Sets every gradient to zero.
    pub fn clear(&mut self) {
        for pair in self.blocks.iter_mut().flat_map(|block| block.iter_mut().flatten()) {
            pair.a.fill(0.0);
            pair.b.fill(0.0);
            pair.magnitude.iter_mut().for_each(|m| m.fill(0.0));
        }
        for matrix in [&mut self.saved.embedding, &mut self.saved.head].into_iter().flatten() {
            matrix.fill(0.0);
        }
    }
}
