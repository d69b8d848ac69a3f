//! How much memory a training will take, before it takes it, and which plan fits.

use super::config::ModelConfig;
use super::decoder::Decoder;
use super::lora::{Lora, Projection, SavedModules};
use super::lora_config::LoraConfig;
use super::training_pass::MemoryPlan;
use super::weight_form::{BaseStorage, WeightForm};
use crate::error::{Error, Kind, Result};
use crate::ops::Frozen;
use crate::tr;

/// Bytes of a training by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// Frozen weights.
    pub weights: usize,
    /// Factors, their gradients, both moments, the best factors so far, and a checkpoint being written (three copies of four
    /// of them while it is).
    pub adapter: usize,
    /// What the forward keeps for the backward.
    pub kept: usize,
    /// Buffers that every block reuses.
    pub buffers: usize,
    /// Logits.
    pub logits: usize,
    /// Program, tokenizer, database, rows.
    pub rest: usize,
}

/// Whether blocks run again on the way back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checkpointing {
    /// Only when the memory asks for it.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl Checkpointing {
    /// Reads `--checkpointing`.
    ///
    /// # Errors
    /// `Usage` that lists the names.
    pub fn parse(name: &str) -> Result<Checkpointing> {
        match name {
            "auto" => Ok(Checkpointing::Auto),
            "on" | "true" => Ok(Checkpointing::On),
            "off" | "false" => Ok(Checkpointing::Off),
            other => {
                let other = other.escape_default();
                Err(Error::new(
                    Kind::Usage,
                    tr!(
                        "--checkpointing is auto, on or off, not `{other}`",
                        "--checkpointing 只能是 auto、on 或 off，而不是 `{other}`"
                    ),
                ))
            }
        }
    }
}

/// Rows of logits that exist at once; see `ops::linear_cross_entropy`.
const LOGIT_ROWS: usize = 128;

/// Measured for a process that has loaded a small model's tokenizer and opened its database.
const PROCESS: usize = 120 << 20;

/// Share of the free memory that a plan may fill: other programs live on the rest, and an estimate errs.
pub(super) const SHARE: f64 = 0.85;

/// What an estimate is made from: sizes of a model and its factors.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingSizes {
    /// The model.
    pub config: ModelConfig,
    /// Bytes of the frozen weights in the machine's memory while training.
    pub weights: usize,
    /// Values that are trained.
    pub trained: usize,
    /// Rank of every projection in every block; 0 without factors.
    pub ranks: Vec<[usize; 7]>,
    /// Whether adapted rows have trained lengths (DoRA).
    pub dora: bool,
}

impl TrainingSizes {
    /// Those of a model in memory.
    pub fn of(decoder: &Decoder, lora: &Lora) -> TrainingSizes {
        TrainingSizes {
            config: decoder.config().clone(),
            weights: decoder.weight_bytes_in_training(),
            trained: lora.parameter_count(),
            ranks: lora.blocks.iter().map(|b| b.each_ref().map(|p| p.as_ref().map_or(0, |p| p.rank))).collect(),
            dora: lora.config.dora,
        }
    }

    /// Those that settings lead to, without a weight being read. `kept` are the bytes of a number in the model's file, for
    /// [`BaseStorage::Keep`].
    pub fn planned(config: &ModelConfig, lora: &LoraConfig, form: WeightForm, kept: f64) -> TrainingSizes {
        let has = |p: &Projection| lora.targets.contains(p);
        let ranks: Vec<[usize; 7]> = (0..config.num_layers)
            .map(|layer| Projection::ALL.map(|p| if has(&p) { lora.rank_of(layer, p) } else { 0 }))
            .collect();
        let of_pair = |(p, rank): (Projection, &usize)| {
            let (outputs, inputs) = p.shape(config);
            let magnitudes = if lora.dora && *rank > 0 { outputs } else { 0 };
            rank * (outputs + inputs) + magnitudes
        };
        let factors: usize = ranks.iter().flat_map(|block| Projection::ALL.into_iter().zip(block)).map(of_pair).sum();
        let (vocabulary, hidden) = (config.vocab_size, config.hidden_size);
        let matrix = |outputs: usize, inputs: usize, embedding: bool| match form.storage {
            BaseStorage::Full => Frozen::bytes_of_full(outputs, inputs, form.arithmetic),
            BaseStorage::Keep => (outputs as f64 * inputs as f64 * kept) as usize,
            BaseStorage::Int4 if !embedding => outputs * inputs / 32 * 20,
            BaseStorage::Int8 | BaseStorage::Int4 => outputs * inputs / 32 * 34,
        };
        let linear: usize =
            Projection::ALL.into_iter().map(|p| p.shape(config)).map(|(o, i)| matrix(o, i, false)).sum();
        let head = if config.tie_word_embeddings { 0 } else { matrix(vocabulary, hidden, false) };
        let norms = 4 * (2 * config.num_layers + 1) * hidden;
        TrainingSizes {
            config: config.clone(),
            weights: matrix(vocabulary, hidden, true) + head + config.num_layers * linear + norms,
            trained: factors + lora.modules_to_save.len() * vocabulary * hidden,
            ranks,
            dora: lora.dora,
        }
    }
}

impl MemoryEstimate {
    /// Bytes for a training on the processor when slices of a batch have at most `plan.tokens_at_once` tokens in sequences of at
    /// most `longest`. `rows` are the bytes of the data in memory.
    pub fn new(sizes: &TrainingSizes, plan: MemoryPlan, longest: usize, rows: usize) -> MemoryEstimate {
        let c = &sizes.config;
        // A slice is closed by the sequence that fills it.
        let tokens = plan.tokens_at_once.saturating_sub(1) + longest;
        let kept_by_block = 4 * tokens * kept_floats(sizes);
        let inputs = 4 * tokens * c.hidden_size;
        let kept = match plan.checkpointing {
            false => c.num_layers * kept_by_block,
            true => c.num_layers * inputs + kept_by_block,
        };
        let threads = rayon::current_num_threads();
        // Gradients of every query head in parts, and two blocks of scores a thread; see `ops::attention`.
        let attention = 4 * (3 * tokens * c.num_heads * c.head_dim + threads * 3 * 96 * longest);
        MemoryEstimate {
            weights: sizes.weights,
            adapter: 4 * sizes.trained * 15,
            kept,
            buffers: 4 * tokens * buffer_floats(c) + attention,
            logits: LOGIT_ROWS * c.vocab_size * 6,
            rest: PROCESS + rows,
        }
    }

    /// All of it.
    pub fn total(&self) -> usize {
        self.weights + self.adapter + self.kept + self.buffers + self.logits + self.rest
    }
}

/// Numbers that a block keeps for a token.
fn kept_floats(sizes: &TrainingSizes) -> usize {
    let c = &sizes.config;
    let (q, kv) = (c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim);
    let heads = if c.qk_norm { q + kv + c.num_heads + c.num_kv_heads } else { 0 };
    let low = sizes.ranks.iter().map(|block| block.iter().sum::<usize>()).max().unwrap_or(0);
    2 * c.hidden_size + 2 * q + 2 * kv + 2 * c.intermediate_size + c.num_heads + 2 + heads + low
}

/// Numbers in the buffers of the block and of the final norm for a token.
fn buffer_floats(c: &ModelConfig) -> usize {
    let (q, kv) = (c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim);
    let widest = c.intermediate_size.max(c.hidden_size).max(q);
    6 * c.hidden_size + 2 * c.intermediate_size + 3 * q + 2 * kv + 2 * widest
}

/// The plans that a wish allows, the fastest first; `usual` tokens at once are enough to be fast.
pub(super) fn plans(wish: Checkpointing, usual: usize) -> Vec<MemoryPlan> {
    let checkpointing: &[bool] = match wish {
        Checkpointing::Auto => &[false, true],
        Checkpointing::On => &[true],
        Checkpointing::Off => &[false],
    };
    // One sequence at a time is the smallest slice.
    let of = |c: &bool| [usual, 1].map(|tokens_at_once| MemoryPlan { tokens_at_once, checkpointing: *c });
    checkpointing.iter().flat_map(of).collect()
}

/// The first plan for the processor that fits into `free` bytes beside the weights; else the last one's estimate.
fn first_that_fits(
    sizes: &TrainingSizes,
    wish: Checkpointing,
    longest: usize,
    rows: usize,
    fits: impl Fn(&MemoryEstimate) -> bool,
) -> std::result::Result<(MemoryPlan, MemoryEstimate), MemoryEstimate> {
    let mut least = MemoryEstimate::default();
    for plan in plans(wish, MemoryPlan::default().tokens_at_once) {
        let estimate = MemoryEstimate::new(sizes, plan, longest, rows);
        if fits(&estimate) {
            return Ok((plan, estimate));
        }
        least = estimate;
    }
    Err(least)
}

/// The fastest plan for the processor that fits with everything into `free` bytes; else the least estimate. Nothing is in memory
/// yet.
pub fn plan_for_machine(
    sizes: &TrainingSizes,
    wish: Checkpointing,
    longest: usize,
    free: Option<u64>,
) -> std::result::Result<(MemoryPlan, MemoryEstimate), MemoryEstimate> {
    first_that_fits(sizes, wish, longest, 0, |e| free.is_none_or(|free| (e.total() as f64) < SHARE * free as f64))
}

/// The fastest plan whose estimate fits into `free` bytes (`None`: the system does not tell, the first is taken), and its estimate.
///
/// # Errors
/// `InvalidInput` when none fits, with the settings that would help.
pub fn choose_plan(
    decoder: &Decoder,
    lora: &Lora,
    wish: Checkpointing,
    longest: usize,
    rows: usize,
    free: Option<u64>,
) -> Result<(MemoryPlan, MemoryEstimate)> {
    // The weights are there already: what is free is for the rest.
    let fits =
        |e: &MemoryEstimate| free.is_none_or(|free| ((e.total() - e.weights - e.rest) as f64) < SHARE * free as f64);
    let least = match first_that_fits(&TrainingSizes::of(decoder, lora), wish, longest, rows, fits) {
        Ok(found) => return Ok(found),
        Err(least) => least,
    };
    let need = mib(least.total());
    let free = mib(free.unwrap_or(0) as usize);
    let whole = (lora.saved != SavedModules { width: lora.saved.width, ..SavedModules::default() }).then(|| {
        tr!(
            "train no matrix as a whole (--modules-to-save): most of the memory is for that",
            "不要整体训练矩阵（--modules-to-save）：大部分内存用于此"
        )
    });
    let hint = match wish {
        _ if whole.is_some() => whole.unwrap_or_default(),
        Checkpointing::Off => tr!(
            "allow --checkpointing auto, lower --max-len (the longest row has {longest} tokens), or use --quantize int4",
            "可改用 --checkpointing auto、调低 --max-len（最长的行有 {longest} 个词元），或使用 --quantize int4"
        ),
        _ => tr!(
            "lower --max-len (the longest row has {longest} tokens), or use --quantize int4",
            "请调低 --max-len（最长的行有 {longest} 个词元），或使用 --quantize int4"
        ),
    };
    Err(Error::new(
        Kind::InvalidInput,
        tr!(
            "this training needs about {need} MiB in all, and {free} MiB of memory are free",
            "该训练共需约 {need} MiB 内存，而可用内存为 {free} MiB"
        ),
    )
    .hint(hint))
}

/// Bytes as whole MiB.
pub fn mib(bytes: usize) -> usize {
    bytes.div_ceil(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Architecture, RandomWeights};
    use crate::ops::Arithmetic;
    use std::path::Path;

    #[test]
    fn sizes_that_are_planned_are_those_of_a_loaded_model() {
        let config = ModelConfig {
            architecture: Architecture::Qwen2,
            vocab_size: 131,
            hidden_size: 96,
            intermediate_size: 160,
            num_layers: 2,
            num_heads: 3,
            num_kv_heads: 1,
            head_dim: 32,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            rope_scaling: None,
            max_positions: 64,
            tie_word_embeddings: false,
            qkv_bias: true,
            qk_norm: false,
        };
        let mut lora =
            LoraConfig { targets: vec![Projection::Q, Projection::Down], dora: true, ..LoraConfig::default() };
        lora.rank_pattern.insert("layers.1.self_attn.q_proj".to_owned(), 3);
        lora.modules_to_save = vec![crate::model::SavedModule::Head];
        let source = RandomWeights::new(&config, Path::new("random"), 1);
        for arithmetic in [Arithmetic::F32, Arithmetic::fastest()] {
            for storage in [BaseStorage::Full, BaseStorage::Int8, BaseStorage::Int4] {
                let form = WeightForm { arithmetic, storage };
                let decoder = Decoder::load(&config, &source, form).unwrap();
                let mut factors = Lora::new(lora.clone(), &config, 1);
                decoder.prepare(&mut factors);
                let planned = TrainingSizes::planned(&config, &lora, form, 2.0);
                assert_eq!(planned, TrainingSizes::of(&decoder, &factors), "{}", form.label());
            }
        }
    }
}
