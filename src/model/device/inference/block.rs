//! A decoder block on a card, for inference: few rows through products that read each weight once as it is stored, many rows
//! through tensor cores.

use super::linear::{Few, Linear, Many, Update};
use super::pool::KvPool;
use crate::error::Result;
use crate::model::block::{Block, head_layout};
use crate::model::config::ModelConfig;
use crate::model::lora::{BlockLora, Projection};
use crate::ops::cuda::{
    Buffer, CacheWriter, DecodeScratch, Device, Heads, Number, Rotary, RowPlaces, Rows, Segments, attention,
    attention_decode, cache_rows, cast, norm_rows, swiglu,
};
use std::sync::Arc;

/// The weights of a block.
pub(super) struct CardBlock<T: Number> {
    input_norm: Buffer<f32>,
    post_norm: Buffer<f32>,
    /// Of q, k and v one after another; zeros where a projection has none.
    bias: Option<Buffer<f32>>,
    head_norm: Option<[Buffer<f32>; 2]>,
    qkv: Linear<T>,
    o: Linear<T>,
    gate_up: Linear<T>,
    down: Linear<T>,
    heads: Heads,
    eps: f32,
}

/// An adapter's part in a block: on q, k and v, on o, on gate and up, on down.
pub(super) type BlockUpdates<T> = [Option<Update<T>>; 4];

/// Projections with one input, in the order of [`BlockUpdates`].
const GROUPS: [&[Projection]; 4] = [
    &[Projection::Q, Projection::K, Projection::V],
    &[Projection::O],
    &[Projection::Gate, Projection::Up],
    &[Projection::Down],
];

/// What the new rows of a forward are told by, on the card.
#[derive(Clone, Copy)]
pub(super) struct NewRows<'a> {
    pub(super) rotary: &'a Rotary,
    pub(super) positions: Rows<'a, u32>,
    /// Their rows in the pool.
    pub(super) places: Rows<'a, u32>,
    /// What they see.
    pub(super) sees: RowPlaces<'a>,
    pub(super) n: usize,
}

/// Buffers of few rows, in f32 throughout.
pub(super) struct FewRows {
    /// The residual stream.
    pub(super) x: Buffer<f32>,
    qkv: Buffer<f32>,
    q: Buffer<f32>,
    attended: Buffer<f32>,
    gate_up: Buffer<f32>,
    activated: Buffer<f32>,
    pub(super) low: Buffer<f32>,
    parts: DecodeScratch,
}

/// Buffers of many rows: operands of products in `T`, the residual stream in f32.
pub(super) struct ManyRows<T: Number> {
    pub(super) rows: usize,
    pub(super) x: Buffer<f32>,
    pub(super) normed: Buffer<T>,
    qkv: Buffer<f32>,
    /// Queries and what attention gives: in `T` for tiles, in f32 for rows by themselves.
    q: Buffer<T>,
    attended: Buffer<T>,
    by_row: [Buffer<f32>; 2],
    gate_up: Buffer<T>,
    activated: Buffer<T>,
    pub(super) low: Buffer<T>,
    unscaled: Buffer<f32>,
    pub(super) matrix: Option<Buffer<T>>,
    parts: DecodeScratch,
}

impl<T: Number> CardBlock<T> {
    pub(super) fn new(
        device: &Arc<dyn Device>,
        block: &Block,
        config: &ModelConfig,
        keep_blocks: bool,
    ) -> Result<CardBlock<T>> {
        let [qkv, o, gate_up, down] = GROUPS.map(|projections| {
            let weights: Vec<_> = projections.iter().map(|p| &block.linear[*p as usize]).collect();
            Linear::new(device, &weights, keep_blocks)
        });
        let bias = block.joined_bias(config);
        let head_norm = match &block.head_norm {
            Some([q, k]) => Some([Buffer::of(device, q)?, Buffer::of(device, k)?]),
            None => None,
        };
        Ok(CardBlock {
            input_norm: Buffer::of(device, &block.input_norm)?,
            post_norm: Buffer::of(device, &block.post_norm)?,
            bias: bias.map(|bias| Buffer::of(device, &bias)).transpose()?,
            head_norm,
            qkv: qkv?,
            o: o?,
            gate_up: gate_up?,
            down: down?,
            heads: Heads::new(head_layout(config))?,
            eps: config.rms_norm_eps as f32,
        })
    }

    /// The factors of `lora` on it.
    pub(super) fn updates(&self, device: &Arc<dyn Device>, lora: &BlockLora) -> Result<BlockUpdates<T>> {
        let mut all = [None, None, None, None];
        for ((to, linear), projections) in
            all.iter_mut().zip([&self.qkv, &self.o, &self.gate_up, &self.down]).zip(GROUPS)
        {
            let pairs: Vec<_> = projections.iter().map(|p| &lora[*p as usize]).collect();
            *to = Update::new(device, linear, &pairs)?;
        }
        Ok(all)
    }

    /// Whether all weights are in blocks.
    pub(super) fn is_quantised(&self) -> bool {
        [&self.qkv, &self.o, &self.gate_up, &self.down].into_iter().all(Linear::is_quantised)
    }

    /// As [`Linear::matrix_len`].
    pub(super) fn matrix_len(&self) -> usize {
        [&self.qkv, &self.o, &self.gate_up, &self.down].into_iter().map(Linear::matrix_len).max().unwrap_or(0)
    }

    /// Buffers for up to `rows` rows through [`CardBlock::few`].
    pub(super) fn few_rows(&self, device: &Arc<dyn Device>, rows: usize) -> Result<FewRows> {
        let room = |width: usize| Buffer::room(device, rows * width);
        Ok(FewRows {
            x: room(self.qkv.inputs)?,
            qkv: room(self.qkv.outputs)?,
            q: room(self.o.inputs)?,
            attended: room(self.o.inputs)?,
            gate_up: room(if self.gate_up.is_one() { 0 } else { self.gate_up.outputs })?,
            activated: room(self.down.inputs)?,
            low: room(0)?,
            parts: DecodeScratch::new(device, self.heads, rows)?,
        })
    }

    /// Buffers for up to `rows` rows through [`CardBlock::many`]; a matrix of `matrix` numbers for what must be made whole.
    pub(super) fn many_rows(&self, device: &Arc<dyn Device>, rows: usize, matrix: usize) -> Result<ManyRows<T>> {
        let (hidden, q) = (self.qkv.inputs, self.o.inputs);
        let wide = |width: usize| Buffer::<f32>::room(device, rows * width);
        let room = |width: usize| Buffer::<T>::room(device, rows * width);
        Ok(ManyRows {
            rows,
            x: wide(hidden)?,
            normed: room(hidden)?,
            qkv: wide(self.qkv.outputs)?,
            q: room(q)?,
            attended: room(q)?,
            by_row: [wide(q)?, wide(q)?],
            gate_up: room(self.gate_up.outputs)?,
            activated: room(self.down.inputs)?,
            low: room(0)?,
            unscaled: wide(hidden)?,
            matrix: (matrix > 0).then(|| Buffer::room(device, matrix)).transpose()?,
            parts: DecodeScratch::new(device, self.heads, rows)?,
        })
    }

    fn writer<'a>(&'a self, rows: &NewRows<'a>) -> CacheWriter<'a> {
        CacheWriter {
            heads: self.heads,
            bias: self.bias.as_ref(),
            head_norm: self.head_norm.as_ref().map(|[q, k]| [q, k]),
            eps: self.eps,
            rotary: rows.rotary,
            positions: rows.positions,
            places: rows.places,
        }
    }

    /// The block on few rows; launches only, on buffers that stay where they are, so that it can be recorded.
    pub(super) fn few(
        &self,
        index: usize,
        updates: Option<&BlockUpdates<T>>,
        rows: &NewRows<'_>,
        pool: &KvPool<T>,
        b: &FewRows,
    ) -> Result<()> {
        let [qkv, o, gate_up, down] = match updates {
            Some(all) => all.each_ref().map(Option::as_ref),
            None => [None; 4],
        };
        let n = rows.n;
        let stream = Few {
            x: &b.x,
            first: 0,
            norm: None,
            residual: Some(&b.x),
            y: &b.x,
            stride: self.qkv.inputs,
            low: &b.low,
            rows: n,
        };
        let norm = Some((&self.input_norm, self.eps));
        let first = Few { norm, residual: None, y: &b.qkv, stride: self.qkv.outputs, ..stream };
        self.qkv.few(qkv, first, false)?;
        let cache = pool.block(index);
        cache_rows(self.writer(rows), &b.qkv, &b.q, cache, n)?;
        attention_decode(self.heads, cache, rows.sees, &b.q, &b.attended, n, &b.parts)?;
        self.o.few(o, Few { x: &b.attended, ..stream }, false)?;
        let norm = Some((&self.post_norm, self.eps));
        let width = self.down.inputs;
        let inner = Few { norm, residual: None, ..stream };
        if self.gate_up.is_one() {
            self.gate_up.few(gate_up, Few { y: &b.activated, stride: width, ..inner }, true)?;
        } else {
            self.gate_up.few(gate_up, Few { y: &b.gate_up, stride: 2 * width, ..inner }, false)?;
            let halves = [0, width].map(|at| b.gate_up.rows(at, 2 * width));
            swiglu(halves[0], halves[1], b.activated.rows(0, width), n, width)?;
        }
        self.down.few(down, Few { x: &b.activated, ..stream }, false)
    }

    /// The block on many rows. `segments`: what sequences see, for the attention in tiles; without, every row is by itself.
    pub(super) fn many(
        &self,
        index: usize,
        updates: Option<&BlockUpdates<T>>,
        rows: &NewRows<'_>,
        segments: Option<&Segments>,
        pool: &KvPool<T>,
        b: &ManyRows<T>,
    ) -> Result<()> {
        let [qkv, o, gate_up, down] = match updates {
            Some(all) => all.each_ref().map(Option::as_ref),
            None => [None; 4],
        };
        let (n, q_width, width) = (rows.n, self.o.inputs, self.down.inputs);
        let hidden = self.qkv.inputs;
        let stream = Many {
            x: &b.normed,
            start: Some(&b.x),
            y: &b.x,
            stride: hidden,
            low: &b.low,
            matrix: b.matrix.as_ref(),
            unscaled: &b.unscaled,
            rows: n,
        };
        let x = b.x.rows(0, hidden);
        norm_rows(x, (&self.input_norm, self.eps), &b.normed, n)?;
        self.qkv.many(qkv, Many { start: None, y: &b.qkv, stride: self.qkv.outputs, ..stream })?;
        let cache = pool.block(index);
        let [q, out] = &b.by_row;
        let exact = T::choose("f32", "bf16") == "f32";
        let attended = match segments {
            Some(segments) if self.tiles() => {
                cache_rows(self.writer(rows), &b.qkv, &b.q, cache, n)?;
                let (k, v) = (cache.keys.rows(0, pool.width()), cache.values.rows(0, pool.width()));
                let (q, out) = (b.q.rows(0, q_width), b.attended.rows(0, q_width));
                attention(self.heads, segments, q, k, v, out, None)?;
                &b.attended
            }
            _ => {
                cache_rows(self.writer(rows), &b.qkv, q, cache, n)?;
                attention_decode(self.heads, cache, rows.sees, q, out, n, &b.parts)?;
                if exact {
                    out.device().copy(b.attended.address(), out.address(), n * q_width * size_of::<f32>())?;
                } else {
                    cast(out.rows(0, q_width), b.attended.rows(0, q_width), n, q_width)?;
                }
                &b.attended
            }
        };
        self.o.many(o, Many { x: attended, ..stream })?;
        norm_rows(x, (&self.post_norm, self.eps), &b.normed, n)?;
        let inner: Many<'_, T, T> = Many {
            x: &b.normed,
            start: None,
            y: &b.gate_up,
            stride: 2 * width,
            low: &b.low,
            matrix: b.matrix.as_ref(),
            unscaled: &b.gate_up,
            rows: n,
        };
        self.gate_up.many(gate_up, inner)?;
        let halves = [0, width].map(|at| b.gate_up.rows(at, 2 * width));
        swiglu(halves[0], halves[1], b.activated.rows(0, width), n, width)?;
        self.down.many(down, Many { x: &b.activated, ..stream })
    }

    /// Whether attention of many rows has kernels on tensor cores.
    pub(super) fn tiles(&self) -> bool {
        self.heads.tiled() && T::choose("f32", "bf16") == "bf16"
    }
}
