//! How much memory a training will take, before it takes it, and which plan fits.

use super::config::ModelConfig;
use super::decoder::Decoder;
use super::lora::{Lora, SavedModules};
use super::training_pass::MemoryPlan;
use crate::error::{Error, Kind, Result};
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
const SHARE: f64 = 0.85;

impl MemoryEstimate {
    /// Bytes for training `lora` on `decoder` when slices of a batch have at most `tokens` tokens in sequences of at most
    /// `longest`. `rows` are the bytes of the data in memory.
    pub fn new(decoder: &Decoder, lora: &Lora, plan: MemoryPlan, longest: usize, rows: usize) -> MemoryEstimate {
        let c = decoder.config();
        // A slice is closed by the sequence that fills it.
        let tokens = plan.tokens_at_once.saturating_sub(1) + longest;
        let kept_by_block = 4 * tokens * kept_floats(c, lora);
        let inputs = 4 * tokens * c.hidden_size;
        let kept = match plan.checkpointing {
            false => c.num_layers * kept_by_block,
            true => c.num_layers * inputs + kept_by_block,
        };
        let threads = rayon::current_num_threads();
        // Gradients of every query head in parts, and two blocks of scores a thread; see `ops::attention`.
        let attention = 4 * (3 * tokens * c.num_heads * c.head_dim + threads * 3 * 96 * longest);
        MemoryEstimate {
            weights: decoder.weight_bytes_in_training(),
            adapter: 4 * lora.parameter_count() * 15,
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
fn kept_floats(c: &ModelConfig, lora: &Lora) -> usize {
    let (q, kv) = (c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim);
    let heads = if c.qk_norm { q + kv + c.num_heads + c.num_kv_heads } else { 0 };
    let low = lora.blocks.iter().map(|b| b.iter().flatten().map(|p| p.rank).sum::<usize>()).max().unwrap_or(0);
    2 * c.hidden_size + 2 * q + 2 * kv + 2 * c.intermediate_size + c.num_heads + 2 + heads + low
}

/// Numbers in the buffers of the block and of the final norm for a token.
fn buffer_floats(c: &ModelConfig) -> usize {
    let (q, kv) = (c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim);
    let widest = c.intermediate_size.max(c.hidden_size).max(q);
    6 * c.hidden_size + 2 * c.intermediate_size + 3 * q + 2 * kv + 2 * widest
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
    let usual = MemoryPlan::default().tokens_at_once;
    let checkpointing: &[bool] = match wish {
        Checkpointing::Auto => &[false, true],
        Checkpointing::On => &[true],
        Checkpointing::Off => &[false],
    };
    // The weights are there already: what is free is for the rest.
    let fits =
        |e: &MemoryEstimate| free.is_none_or(|free| ((e.total() - e.weights - e.rest) as f64) < SHARE * free as f64);
    let mut least = None;
    for &checkpointing in checkpointing {
        // One sequence at a time is the smallest slice.
        for tokens_at_once in [usual, 1] {
            let plan = MemoryPlan { tokens_at_once, checkpointing };
            let estimate = MemoryEstimate::new(decoder, lora, plan, longest, rows);
            if fits(&estimate) {
                return Ok((plan, estimate));
            }
            least = Some(estimate);
        }
    }
    let need = mib(least.unwrap_or_default().total());
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
