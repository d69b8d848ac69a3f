//! What a training is asked to do.

use super::schedule::Schedule;
use crate::batch::{Overlong, Shape};
use crate::error::{Error, Kind, Result};
use crate::model::{Checkpointing, LoraConfig};
use crate::prompt::LossOn;
use crate::tr;
use serde::{Deserialize, Serialize};

/// How long a training goes on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// Passes over the data.
    Epochs(f64),
    /// Optimiser steps.
    Steps(u64),
}

/// Settings of a training. What a run of an earlier version did not know has its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainConfig {
    /// Rank, alpha, dropout, targets.
    pub lora: LoraConfig,
    /// Highest learning rate.
    pub lr: f64,
    /// LoRA+ (Hayou et al. 2024): the B factors learn at this many times the rate; 1 is off.
    pub lora_plus: f64,
    /// How the rate moves.
    pub schedule: Schedule,
    /// Share of the steps in which the rate rises.
    pub warmup: f64,
    /// How long.
    pub length: Length,
    /// Micro-batches.
    pub shape: Shape,
    /// Which answers of a conversation are learnt.
    pub loss_on: LossOn,
    /// What becomes of rows that are longer than the longest sequence.
    pub overlong: Overlong,
    /// Micro-batches per optimiser step.
    pub accum: usize,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Longest gradient (Euclidean norm); 0 is off.
    pub clip: f64,
    /// Validate every so many steps (and at the start and the end); 0 is only then.
    pub eval_every: u64,
    /// Write a checkpoint every so many steps (and when stopped); 0 is never.
    pub save_every: u64,
    /// Checkpoints that are kept, the newest ones.
    pub keep: usize,
    /// Let the model in the making answer held-out prompts every so many steps; 0 is never.
    pub sample_every: u64,
    /// NEFTune's α; 0 is off.
    pub neftune: f64,
    /// Whether blocks run again on the way back instead of keeping what they made.
    pub checkpointing: Checkpointing,
    /// Seed of the factors, the order, dropout and noise.
    pub seed: u64,
}

impl Default for TrainConfig {
    /// The settings that no flag changes: those of 聚宝盆 (r = 8 on q and v, 2e-4), one epoch.
    fn default() -> Self {
        TrainConfig {
            lora: LoraConfig::default(),
            lr: 2e-4,
            lora_plus: 1.0,
            schedule: Schedule::Cosine,
            warmup: 0.1,
            length: Length::Epochs(1.0),
            shape: Shape { batch_size: 4, max_len: 512, packing: false, bucket: false, in_order: false },
            loss_on: LossOn::All,
            overlong: Overlong::Drop,
            accum: 1,
            weight_decay: 0.0,
            clip: 1.0,
            eval_every: 0,
            save_every: 20,
            keep: 2,
            sample_every: 0,
            neftune: 0.0,
            checkpointing: Checkpointing::Auto,
            seed: 42,
        }
    }
}

impl TrainConfig {
    /// Refuses settings that cannot train.
    ///
    /// # Errors
    /// `Usage` that names the flag.
    pub fn check(&self) -> Result<()> {
        let bad = |flag: &str, want: &str| {
            Err(Error::new(Kind::Usage, tr!("{flag} must be {want}", "{flag} 必须满足：{want}"))
                .hint(tr!("see linly-bench train --help", "见 linly-bench train --help")))
        };
        // Beyond this the factors are larger than the weights that they adapt.
        if !(1..=2048).contains(&self.lora.rank) {
            return bad("--rank", "≥ 1, ≤ 2048");
        }
        if !self.lora.alpha.is_finite() || self.lora.alpha <= 0.0 {
            return bad("--alpha", "> 0");
        }
        if !(0.0..1.0).contains(&self.lora.dropout) {
            return bad("--dropout", "≥ 0, < 1");
        }
        if !self.lr.is_finite() || self.lr <= 0.0 {
            return bad("--lr", "> 0");
        }
        if !self.lora_plus.is_finite() || self.lora_plus <= 0.0 {
            return bad("--lora-plus", "> 0");
        }
        if self.keep == 0 {
            return bad("--keep", "≥ 1");
        }
        if !(0.0..=1.0).contains(&self.warmup) {
            return bad("--warmup", "≥ 0, ≤ 1");
        }
        if !self.weight_decay.is_finite() || self.weight_decay < 0.0 {
            return bad("--weight-decay", "≥ 0");
        }
        if !self.clip.is_finite() || self.clip < 0.0 {
            return bad("--clip", "≥ 0");
        }
        if !self.neftune.is_finite() || self.neftune < 0.0 {
            return bad("--neftune", "≥ 0");
        }
        if self.shape.batch_size == 0 {
            return bad("--batch-size", "≥ 1");
        }
        if self.accum == 0 {
            return bad("--accum", "≥ 1");
        }
        if self.shape.packing && self.shape.bucket {
            return bad(
                "--bucket",
                &tr!(
                    "off with --packing on (they are two ways to fill a batch)",
                    "off（已用 --packing on 时；两者是填充批次的两种方式）"
                ),
            );
        }
        if self.shape.in_order && self.shape.bucket {
            return bad("--bucket", &tr!("off with --order file", "off（已用 --order file 时）"));
        }
        if self.shape.max_len < 2 {
            return bad("--max-len", "≥ 2");
        }
        match self.length {
            Length::Epochs(e) if !e.is_finite() || e <= 0.0 => bad("--epochs", "> 0"),
            Length::Steps(0) => bad("--steps", "≥ 1"),
            _ => Ok(()),
        }
    }

    /// Optimiser steps in one epoch of `micro_batches`.
    pub fn steps_per_epoch(&self, micro_batches: usize) -> u64 {
        micro_batches.div_ceil(self.accum) as u64
    }

    /// Optimiser steps in all.
    pub fn total_steps(&self, micro_batches: usize) -> u64 {
        match self.length {
            Length::Steps(steps) => steps,
            Length::Epochs(epochs) => ((self.steps_per_epoch(micro_batches) as f64 * epochs).ceil() as u64).max(1),
        }
    }
}
