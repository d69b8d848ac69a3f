//! Loss and gradients of a batch on a card: the forward through all blocks, the output layer on supervised rows only, and
//! the way back; in the order of `training_pass.rs`.

use super::block::{DeviceRows, DeviceScratch, DeviceTape, Pass, Widths};
use super::decoder::DeviceDecoder;
use crate::error::{Error, Result};
use crate::model::training_pass::{MemoryPlan, TrainingRows};
use crate::ops::cuda::{
    AnyRows, Buffer, Number, Product, Segments, add_to_total, cross_entropy, embedding_noise, gather_rows, rms_norm,
    rms_norm_backward, scatter_rows,
};
use crate::ops::{DropoutMask, EmbeddingNoise};
use half::bf16;
use std::ops::Range;

/// Bytes of f32 logits that exist at once, about.
const LOGIT_BYTES: usize = 256 << 20;

/// Rows of logits that exist at once for a vocabulary.
pub fn logit_rows(vocabulary: usize) -> usize {
    (LOGIT_BYTES / (4 * vocabulary.max(1))).clamp(64, 4096)
}

/// Buffers of a pass, made for the largest slice so far and reused.
pub struct DevicePass<T: Number> {
    /// What is kept of a batch at a time.
    pub plan: MemoryPlan,
    /// Rows of logits that exist at once.
    pub(super) logit_rows: usize,
    rows: usize,
    /// Inputs of all blocks and the output of the last; or two that blocks use in turn.
    streams: Vec<Buffer<T>>,
    tapes: Vec<DeviceTape<T>>,
    back: Option<Back<T>>,
    ends: Option<Ends<T>>,
    logits: Option<Logits<T>>,
    /// Sum of the losses since it was last taken.
    total: Buffer<f64>,
}

/// What only the way back needs.
struct Back<T: Number> {
    scratch: DeviceScratch<T>,
    dx: Buffer<T>,
    d_hidden: Buffer<T>,
}

/// Between the blocks and the output layer.
struct Ends<T: Number> {
    normed: Buffer<T>,
    inverse_rms: Buffer<f32>,
    hidden: Buffer<T>,
}

struct Logits<T: Number> {
    logits: Buffer<f32>,
    /// In f32 the gradient overwrites the logits.
    gradient: Option<Buffer<T>>,
    losses: Buffer<f32>,
}

impl<T: Number> DevicePass<T> {
    /// Nothing yet.
    ///
    /// # Errors
    /// Those of the card.
    pub fn new(decoder: &DeviceDecoder<T>, plan: MemoryPlan) -> Result<DevicePass<T>> {
        Ok(DevicePass {
            plan,
            logit_rows: logit_rows(decoder.config.vocab_size),
            rows: 0,
            streams: Vec::new(),
            tapes: Vec::new(),
            back: None,
            ends: None,
            logits: None,
            total: Buffer::zeros(&decoder.device, 1)?,
        })
    }

    /// The sum of the losses since it was last taken, in nats.
    ///
    /// # Errors
    /// Those of the card, of all work so far.
    pub fn take_total(&self) -> Result<f64> {
        let total = self.total.read()?;
        self.total.clear()?;
        total.first().copied().ok_or_else(|| Error::internal("a total"))
    }

    /// Makes what is missing for `n` rows, of which a way back (`back`) wants more.
    fn prepare(&mut self, d: &mut DeviceDecoder<T>, n: usize, back: bool, dropout: bool) -> Result<()> {
        let device = d.device.clone();
        let (layers, hidden) = (d.blocks.len(), d.config.hidden_size);
        let Some(first) = d.blocks.first() else { return Err(Error::internal("a decoder without blocks")) };
        let widths = d.blocks.iter().map(|b| b.widths()).fold(Widths::default(), Widths::max);
        if n > self.rows {
            // Freed first: the old and the new would not fit together.
            self.streams.clear();
            self.tapes.clear();
            self.back = None;
            self.ends = None;
            d.shared.dropped = None;
            self.rows = n;
        }
        let room = |width: usize| Buffer::<T>::room(&device, self.rows * width);
        let streams = if back { layers + 1 } else { 2 };
        while self.streams.len() < streams {
            self.streams.push(room(hidden)?);
        }
        let tapes = if back && !self.plan.checkpointing { layers } else { 1 };
        while self.tapes.len() < tapes {
            self.tapes.push(first.tape(&device, &widths, self.rows)?);
        }
        if self.ends.is_none() {
            let inverse_rms = Buffer::room(&device, self.rows)?;
            self.ends = Some(Ends { normed: room(hidden)?, inverse_rms, hidden: room(hidden)? });
        }
        if back && self.back.is_none() {
            self.back = Some(Back {
                scratch: first.scratch(&device, &widths, self.rows)?,
                dx: room(d.gradient_stride())?,
                d_hidden: room(hidden)?,
            });
        }
        if dropout && d.shared.dropped.is_none() {
            d.shared.dropped = Some(room(first.widest_input())?);
        }
        if self.logits.is_none() {
            let stride = logit_stride(d.config.vocab_size);
            let count = self.logit_rows * stride;
            let exact = T::choose("f32", "bf16") == "f32";
            self.logits = Some(Logits {
                logits: Buffer::room(&device, count)?,
                gradient: (!exact).then(|| Buffer::room(&device, count)).transpose()?,
                losses: Buffer::room(&device, self.logit_rows)?,
            });
        }
        Ok(())
    }

    /// Adds the losses of a batch's targets to the total, and with `scale` the gradient of `scale × their sum` to the
    /// factors' gradients.
    ///
    /// # Errors
    /// As [`Decoder::loss`](crate::model::Decoder::loss), and those of the card.
    pub fn run(
        &mut self,
        d: &mut DeviceDecoder<T>,
        batch: &TrainingRows,
        dropout: Option<DropoutMask>,
        scale: Option<f32>,
    ) -> Result<()> {
        let longest = batch.sequences.iter().map(Range::len).max().unwrap_or(0);
        crate::model::decoder::check_ids(d.config.vocab_size, d.positions, &batch.ids, longest)?;
        let dropout = dropout.filter(|mask| mask.p > 0.0);
        for slice in batch.slices(self.plan.tokens_at_once) {
            let first_row = batch.sequences[slice.start].start;
            self.slice(d, &batch.part(slice), first_row, dropout, scale)?;
        }
        Ok(())
    }

    fn slice(
        &mut self,
        d: &mut DeviceDecoder<T>,
        batch: &TrainingRows,
        first_row: usize,
        dropout: Option<DropoutMask>,
        scale: Option<f32>,
    ) -> Result<()> {
        let n = batch.ids.len();
        self.prepare(d, n, scale.is_some(), dropout.is_some())?;
        let d = &*d;
        let device = &d.device;
        let hidden = d.config.hidden_size;
        let rows = DeviceRows {
            positions: Buffer::of(device, &batch.positions)?,
            segments: Segments::packed(device, &batch.sequences)?,
            n,
        };
        let pass = |i: usize| Pass {
            rows: &rows,
            rotary: &d.rotary,
            factors: &d.factors,
            shared: &d.shared,
            mask: dropout.map(|mask| DropoutMask { first_row, ..mask }.child(i as u64)),
        };
        // With a way back every block has an input of its own.
        let stream = |i: usize| if scale.is_some() { i } else { i % 2 };
        let tape = |i: usize| if self.tapes.len() > 1 { i } else { 0 };
        let ids = Buffer::of(device, &batch.ids)?;
        gather_rows(&d.embedding, &ids, self.streams[0].rows(0, hidden), n, hidden)?;
        if let Some(noise) = batch.noise {
            let bounds = Buffer::of(device, &noise_bounds(noise, &batch.sequences, hidden))?;
            embedding_noise(&self.streams[0], &bounds, noise.seed, first_row, n, hidden)?;
        }
        for (i, block) in d.blocks.iter().enumerate() {
            block.forward(pass(i), &self.streams[stream(i)], &self.streams[stream(i + 1)], &self.tapes[tape(i)])?;
        }
        let last = &self.streams[stream(d.blocks.len())];
        let Some(ends) = &self.ends else { return Err(Error::internal("no room for the final norm")) };
        let eps = d.config.rms_norm_eps as f32;
        rms_norm(last.rows(0, hidden), &d.norm, eps, ends.normed.rows(0, hidden), &ends.inverse_rms, n)?;
        // Only supervised rows reach the output layer.
        let chosen = Buffer::of(device, &batch.targets.iter().map(|(row, _)| *row as u32).collect::<Vec<_>>())?;
        let targets: Vec<u32> = batch.targets.iter().map(|(_, id)| *id).collect();
        if targets.is_empty() {
            return Ok(());
        }
        gather_rows(&ends.normed, &chosen, ends.hidden.rows(0, hidden), targets.len(), hidden)?;
        self.output_layer(d, ends, &targets, scale)?;
        let (Some(back), Some(_)) = (&self.back, scale) else { return Ok(()) };
        // `normed` has served its turn: it becomes the gradient of the final norm's output.
        ends.normed.clear()?;
        let d_normed = ends.normed.rows(0, hidden);
        scatter_rows(back.d_hidden.rows(0, hidden), &chosen, d_normed, targets.len(), hidden)?;
        let stride = d.gradient_stride();
        rms_norm_backward(last, &d.norm, &ends.inverse_rms, d_normed, back.dx.rows(0, stride), n, false)?;
        for i in (d.lowest..d.blocks.len()).rev() {
            let (block, p, x, t) = (&d.blocks[i], pass(i), &self.streams[i], &self.tapes[tape(i)]);
            if self.plan.checkpointing {
                // The block above has been here already: its input is not needed any more.
                block.forward(p, x, &self.streams[i + 1], t)?;
            }
            block.backward(p, x, t, &back.scratch, &back.dx, stride, i > d.lowest)?;
        }
        Ok(())
    }

    /// Losses of the supervised rows, a chunk of logits at a time, and the gradient of their hidden states.
    fn output_layer(&self, d: &DeviceDecoder<T>, ends: &Ends<T>, targets: &[u32], scale: Option<f32>) -> Result<()> {
        let (hidden, vocabulary) = (d.config.hidden_size, d.config.vocab_size);
        let stride = logit_stride(vocabulary);
        let Some(l) = &self.logits else { return Err(Error::internal("no room for logits")) };
        for (chunk, targets) in targets.chunks(self.logit_rows).enumerate() {
            let (n, first) = (targets.len(), chunk * self.logit_rows * hidden);
            let targets = Buffer::of(&d.device, targets)?;
            let forward = Product {
                m: n,
                n: vocabulary,
                k: hidden,
                a: T::any(ends.hidden.rows(first, hidden)),
                a_transposed: false,
                b: T::any(d.head().rows(0, hidden)),
                b_transposed: true,
                out: AnyRows::F32(l.logits.rows(0, stride)),
                alpha: 1.0,
                start: None,
                beta: 0.0,
            };
            d.device.multiply(&forward)?;
            let logits = l.logits.rows(0, stride);
            let gradient = match (&l.gradient, scale) {
                (_, None) => {
                    cross_entropy::<_, bf16>(logits, &targets, &l.losses, None, n, vocabulary, 1.0)?;
                    None
                }
                (Some(gradient), Some(scale)) => {
                    let gradient = gradient.rows(0, stride);
                    cross_entropy(logits, &targets, &l.losses, Some(gradient), n, vocabulary, scale)?;
                    Some(T::any(gradient))
                }
                (None, Some(scale)) => {
                    cross_entropy(logits, &targets, &l.losses, Some(logits), n, vocabulary, scale)?;
                    Some(AnyRows::F32(logits))
                }
            };
            add_to_total(&l.losses, &self.total, n)?;
            if let (Some(gradient), Some(back)) = (gradient, &self.back) {
                d.device.multiply(&Product {
                    n: hidden,
                    k: vocabulary,
                    a: gradient,
                    b_transposed: false,
                    out: T::any(back.d_hidden.rows(first, hidden)),
                    ..forward
                })?;
            }
        }
        Ok(())
    }
}

/// Logits lie in rows of a multiple of eight, whatever the vocabulary.
pub fn logit_stride(vocabulary: usize) -> usize {
    vocabulary.next_multiple_of(8)
}

/// ±α/√(L·d) of every row's sequence.
fn noise_bounds(noise: EmbeddingNoise, sequences: &[Range<usize>], width: usize) -> Vec<f32> {
    let bound = |s: &Range<usize>| noise.alpha / ((s.len() * width) as f32).sqrt();
    sequences.iter().flat_map(|s| std::iter::repeat_n(bound(s), s.len())).collect()
}
