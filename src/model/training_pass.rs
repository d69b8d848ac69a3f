//! Loss and gradients of a batch: the forward through all blocks, the output layer on supervised rows only, and
//! the way back.
//!
//! Sequences do not see each other and frozen weights have no gradient, so a batch is worked through in slices of
//! whole sequences at no extra cost: memory depends on the slice, not on the batch.

use super::block::{Adapted, BlockTape, Rows, Scratch};
use super::decoder::Decoder;
use super::lora::{Lora, LoraGradients};
use crate::error::Result;
use crate::ops::{
    DropoutMask, EmbeddingNoise, Head, HeadScratch, linear_cross_entropy, rms_norm, rms_norm_backward, sized,
};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Sequences laid one after another for one training pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainingRows {
    /// Tokens of all sequences.
    pub ids: Vec<u32>,
    /// Position of each token in its sequence.
    pub positions: Vec<u32>,
    /// Which tokens form each sequence.
    pub sequences: Vec<Range<usize>>,
    /// (row, next token) for every row whose next token carries loss, in the order of rows.
    pub targets: Vec<(usize, u32)>,
    /// Noise on the embeddings.
    pub noise: Option<EmbeddingNoise>,
}

/// How much of a batch is in memory at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPlan {
    /// A slice of a batch takes sequences until it has this many tokens (one sequence at the least).
    pub tokens_at_once: usize,
    /// Whether blocks keep only their input and run again on the way back (Chen et al. 2016): a third more
    /// arithmetic, and the memory of one block instead of all.
    pub checkpointing: bool,
}

impl Default for MemoryPlan {
    /// Slices that fill the processor's caches without emptying its memory.
    fn default() -> Self {
        MemoryPlan { tokens_at_once: 512, checkpointing: false }
    }
}

/// Everything that one training pass keeps between forward and backward; reused from step to step.
#[derive(Default)]
pub struct Tape {
    /// What is kept of a batch at a time.
    pub plan: MemoryPlan,
    blocks: Vec<BlockTape>,
    /// With checkpointing: the input of every block.
    inputs: Vec<Vec<f32>>,
    scratch: Scratch,
    x: Vec<f32>,
    normed: Vec<f32>,
    inverse_rms: Vec<f32>,
    hidden: Vec<f32>,
    d_hidden: Vec<f32>,
    head: HeadScratch,
}

impl Tape {
    /// An empty tape for the plan `plan`.
    pub fn new(plan: MemoryPlan) -> Tape {
        Tape { plan, ..Tape::default() }
    }
}

impl TrainingRows {
    /// Ranges of sequences, each the fewest that have `tokens` tokens together (the last may have fewer).
    pub fn slices(&self, tokens: usize) -> Vec<Range<usize>> {
        let mut slices = Vec::new();
        let mut first = 0;
        for (i, sequence) in self.sequences.iter().enumerate() {
            if sequence.end - self.sequences[first].start >= tokens || i + 1 == self.sequences.len() {
                slices.push(first..i + 1);
                first = i + 1;
            }
        }
        slices
    }

    /// The sequences `range` as a batch of their own.
    pub(super) fn part(&self, range: Range<usize>) -> TrainingRows {
        let Some(first) = self.sequences.get(range.start).map(|s| s.start) else { return TrainingRows::default() };
        let end = self.sequences[range.end - 1].end;
        TrainingRows {
            ids: self.ids[first..end].to_vec(),
            positions: self.positions[first..end].to_vec(),
            sequences: self.sequences[range].iter().map(|s| s.start - first..s.end - first).collect(),
            targets: self
                .targets
                .iter()
                .filter(|(row, _)| (first..end).contains(row))
                .map(|(row, id)| (row - first, *id))
                .collect(),
            noise: self.noise,
        }
    }
}

impl Decoder {
    /// Sum of the negative log-likelihoods of the batch's targets, in nats. With `gradients` the
    /// gradient of `scale × that sum` is added to them.
    ///
    /// # Errors
    /// `Mismatch` or `InvalidInput` when a token or a length does not fit the model.
    pub fn loss(
        &self,
        batch: &TrainingRows,
        lora: Option<&Lora>,
        dropout: Option<DropoutMask>,
        mut gradients: Option<(&mut LoraGradients, f32)>,
        tape: &mut Tape,
    ) -> Result<f64> {
        self.check(&batch.ids, batch.sequences.iter().map(Range::len).max().unwrap_or(0))?;
        // One entry into the thread pool for the whole pass: entering it for every operation costs a sleep each.
        let mut sum = 0.0;
        rayon::scope(|_| {
            for slice in batch.slices(tape.plan.tokens_at_once) {
                let first_row = batch.sequences[slice.start].start;
                let part = batch.part(slice);
                let dropout = dropout.filter(|d| d.p > 0.0);
                let gradients = gradients.as_mut().map(|(g, scale)| (&mut **g, *scale));
                sum += self.slice_loss(&part, first_row, lora, dropout, gradients, tape);
            }
        });
        Ok(sum)
    }

    fn slice_loss(
        &self,
        batch: &TrainingRows,
        first_row: usize,
        lora: Option<&Lora>,
        dropout: Option<DropoutMask>,
        gradients: Option<(&mut LoraGradients, f32)>,
        tape: &mut Tape,
    ) -> f64 {
        let n = batch.ids.len();
        let width = self.config.hidden_size;
        let rows = Rows { positions: &batch.positions, sequences: &batch.sequences, past: &[] };
        let adapted = |i: usize| {
            let dropout = dropout.map(|d| DropoutMask { first_row, ..d }.child(i as u64));
            lora.map(|l| Adapted { lora: &l.blocks[i], dropout })
        };
        // Without gradients nothing is kept, with checkpointing inputs only: one tape serves all blocks.
        let checkpointing = tape.plan.checkpointing && gradients.is_some();
        let kept = if gradients.is_some() && !checkpointing { self.blocks.len() } else { 1 };
        tape.blocks.resize_with(kept.max(tape.blocks.len()), BlockTape::default);
        tape.inputs.resize_with(if checkpointing { self.blocks.len() } else { 0 }, Vec::new);
        self.embed(batch.ids.iter().copied(), lora, &mut tape.x);
        if let Some(noise) = batch.noise {
            for sequence in &batch.sequences {
                let x = &mut tape.x[sequence.start * width..sequence.end * width];
                noise.add(x, width, first_row + sequence.start);
            }
        }
        for (i, block) in self.blocks.iter().enumerate() {
            if let Some(input) = tape.inputs.get_mut(i) {
                input.clone_from(&tape.x);
            }
            let t = &mut tape.blocks[if kept == 1 { 0 } else { i }];
            block.forward(&mut tape.x, &rows, &self.config, &self.rope, adapted(i), t, &mut tape.scratch);
        }
        let eps = self.config.rms_norm_eps as f32;
        let (normed, inverse) = (sized(&mut tape.normed, n * width), sized(&mut tape.inverse_rms, n));
        rms_norm(&tape.x, &self.norm, eps, normed, inverse);
        // Only supervised rows reach the output layer.
        tape.hidden.clear();
        for (row, _) in &batch.targets {
            tape.hidden.extend_from_slice(&tape.normed[row * width..][..width]);
        }
        let targets: Vec<u32> = batch.targets.iter().map(|(_, id)| *id).collect();
        let Some((gradients, scale)) = gradients else {
            return linear_cross_entropy(&mut self.head(lora), &tape.hidden, &targets, 1.0, None, &mut tape.head);
        };
        let d_hidden = Some(sized(&mut tape.d_hidden, tape.hidden.len()));
        let mut head = self.head(lora);
        if let Head::Trained { gradient, .. } = &mut head {
            *gradient = gradients.saved.head.as_deref_mut();
        }
        let loss = linear_cross_entropy(&mut head, &tape.hidden, &targets, scale, d_hidden, &mut tape.head);
        // `normed` has served its turn: it becomes the gradient of the final norm's output.
        tape.normed.fill(0.0);
        for ((row, _), d) in batch.targets.iter().zip(tape.d_hidden.chunks_exact(width)) {
            tape.normed[row * width..][..width].copy_from_slice(d);
        }
        let mut dx = std::mem::take(&mut tape.hidden);
        sized(&mut dx, n * width);
        rms_norm_backward(&tape.x, &self.norm, &tape.inverse_rms, &tape.normed, &mut dx, false);
        // Below the lowest adapted block nothing needs a gradient, unless the embedding is trained.
        let trained_embedding = gradients.saved.embedding.is_some();
        let lowest = gradients.blocks.iter().position(|b| b.iter().any(Option::is_some)).unwrap_or(0);
        let lowest = if trained_embedding { 0 } else { lowest };
        for i in (lowest..self.blocks.len()).rev() {
            let Some(adapted) = adapted(i) else { break };
            let block = &self.blocks[i];
            let s = &mut tape.scratch;
            if checkpointing {
                std::mem::swap(&mut tape.x, &mut tape.inputs[i]);
                block.forward(&mut tape.x, &rows, &self.config, &self.rope, Some(adapted), &mut tape.blocks[0], s);
            }
            let t = &mut tape.blocks[if checkpointing { 0 } else { i }];
            let g = &mut gradients.blocks[i];
            block.backward(&mut dx, &rows, &self.config, &self.rope, adapted, g, t, s, i > lowest || trained_embedding);
        }
        if let Some(gradient) = &mut gradients.saved.embedding {
            for (id, dx) in batch.ids.iter().zip(dx.chunks_exact(width)) {
                for (g, d) in gradient[*id as usize * width..][..width].iter_mut().zip(dx) {
                    *g += d;
                }
            }
        }
        tape.hidden = dx;
        loss
    }
}
