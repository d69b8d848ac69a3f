//! A decoder block on a card: the same forward and backward as [`Block`], on [`ops::cuda`](crate::ops::cuda).

use super::dora::DoraTape;
use super::factors::DeviceFactors;
use super::group::{Group, Shared, Source};
use crate::error::Result;
use crate::model::block::{Block, head_layout};
use crate::model::config::ModelConfig;
use crate::model::lora::{BlockLora, Projection};
use crate::ops::cuda::{
    Buffer, Device, HeadRows, Heads, Number, Placement, Rotary, Rows, Segments, add_bias, attention,
    attention_backward, dora_parts, head_norm, head_norm_backward, rms_norm, rms_norm_backward, rope, swiglu,
    swiglu_backward,
};
use crate::ops::{DropoutMask, HeadLayout};
use std::sync::Arc;

/// The weights of a block on a card, in numbers of type `T`: bf16, or f32 to be compared with the CPU.
pub struct DeviceBlock<T: Number> {
    input_norm: Buffer<f32>,
    post_norm: Buffer<f32>,
    qkv: Group<T>,
    o: Group<T>,
    gate_up: Group<T>,
    down: Group<T>,
    /// Of q, k and v one after another; zeros where a projection has none.
    bias: Option<Buffer<f32>>,
    head_norm: Option<[Buffer<f32>; 2]>,
    heads: Heads,
    eps: f32,
}

/// What a forward leaves on the card for the backward.
pub struct DeviceTape<T: Number> {
    inverse_rms: [Buffer<f32>; 2],
    normed: [Buffer<T>; 2],
    /// After the bias; turned in place, unless heads are normed.
    qkv: Buffer<T>,
    /// With head norms: after them, and turned.
    turned: Option<Buffer<T>>,
    attended: Buffer<T>,
    lse: Buffer<f32>,
    mid: Buffer<T>,
    gate_up: Buffer<T>,
    activated: Buffer<T>,
    /// With DoRA: the outputs of each group before they were scaled.
    unscaled: [Option<Buffer<T>>; 4],
}

/// Rows of a batch on a card.
pub struct DeviceRows {
    /// Position of each row in its sequence.
    pub positions: Buffer<u32>,
    /// Which rows form each sequence.
    pub segments: Segments,
    /// Rows.
    pub n: usize,
}

/// Buffers that no block keeps.
pub struct DeviceScratch<T: Number> {
    d_activated: Buffer<T>,
    d_normed: Buffer<T>,
    d_attended: Buffer<T>,
    d_qkv: Buffer<T>,
    inner: Buffer<f32>,
    /// With DoRA: the gradient of a group's outputs before they were scaled, where the residual's must stay as it is; and sums.
    d_unscaled: Option<Buffer<T>>,
    sums: Option<Buffer<f32>>,
}

/// Numbers of a row in buffers that have room for low-rank columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Widths {
    normed: [usize; 2],
    attended: usize,
    gate_up: usize,
    activated: usize,
    d_qkv: usize,
    /// Of each group's outputs, with DoRA; else 0.
    unscaled: [usize; 4],
    /// Of the residual's gradient, with DoRA; else 0.
    d_unscaled: usize,
}

impl Widths {
    /// Enough for both.
    #[must_use]
    pub fn max(self, other: Widths) -> Widths {
        Widths {
            normed: [self.normed[0].max(other.normed[0]), self.normed[1].max(other.normed[1])],
            attended: self.attended.max(other.attended),
            gate_up: self.gate_up.max(other.gate_up),
            activated: self.activated.max(other.activated),
            d_qkv: self.d_qkv.max(other.d_qkv),
            unscaled: std::array::from_fn(|i| self.unscaled[i].max(other.unscaled[i])),
            d_unscaled: self.d_unscaled.max(other.d_unscaled),
        }
    }
}

/// What a pass through a block goes by.
#[derive(Clone, Copy)]
pub struct Pass<'a, T: Number> {
    /// The rows.
    pub rows: &'a DeviceRows,
    /// The rotary table.
    pub rotary: &'a Rotary,
    /// All factors.
    pub factors: &'a DeviceFactors,
    /// What all products share.
    pub shared: &'a Shared<T>,
    /// Dropout of this block, in training.
    pub mask: Option<DropoutMask>,
}

impl<T: Number> DeviceBlock<T> {
    /// Copies block `index` to a card, weights in blocks as they are if `blocks`.
    ///
    /// # Errors
    /// `Unsupported` for widths and head sizes without kernels; `OutOfMemory`.
    pub fn new(
        device: &Arc<dyn Device>,
        block: &Block,
        lora: &BlockLora,
        index: usize,
        factors: &DeviceFactors,
        config: &ModelConfig,
        blocks: bool,
    ) -> Result<DeviceBlock<T>> {
        let heads = Heads::new(head_layout(config))?;
        let group = |projections: &[Projection]| {
            let source = |p: &Projection| -> Source<'_> {
                let i = *p as usize;
                (*p, &block.linear[i], lora[i].as_ref().zip(factors.pair(index, i)))
            };
            Group::new(device, &projections.iter().map(source).collect::<Vec<_>>(), blocks)
        };
        let bias = block.joined_bias(config);
        let head_norm = match &block.head_norm {
            Some([q, k]) => Some([Buffer::of(device, q)?, Buffer::of(device, k)?]),
            None => None,
        };
        Ok(DeviceBlock {
            input_norm: Buffer::of(device, &block.input_norm)?,
            post_norm: Buffer::of(device, &block.post_norm)?,
            qkv: group(&[Projection::Q, Projection::K, Projection::V])?,
            o: group(&[Projection::O])?,
            gate_up: group(&[Projection::Gate, Projection::Up])?,
            down: group(&[Projection::Down])?,
            bias: bias.map(|bias| Buffer::of(device, &bias)).transpose()?,
            head_norm,
            heads,
            eps: config.rms_norm_eps as f32,
        })
    }

    fn groups(&mut self) -> [&mut Group<T>; 4] {
        [&mut self.qkv, &mut self.o, &mut self.gate_up, &mut self.down]
    }

    /// Where the factors go after every step.
    ///
    /// # Errors
    /// Those of the card.
    pub fn placements(&mut self, shared: &Shared<T>) -> Result<Vec<Placement>> {
        let mut all = Vec::new();
        for group in self.groups() {
            all.extend(group.placements(shared)?);
        }
        Ok(all)
    }

    /// Numbers that a shared matrix must hold.
    pub fn shared_len(&mut self) -> usize {
        self.groups().into_iter().map(|group| group.shared_len()).max().unwrap_or(0)
    }

    /// Numbers of a row in the buffers that depend on ranks, which may differ from block to block.
    pub fn widths(&self) -> Widths {
        let groups = [&self.qkv, &self.o, &self.gate_up, &self.down];
        Widths {
            normed: [self.qkv.stride(), self.gate_up.stride()],
            attended: self.o.stride(),
            gate_up: self.gate_up.outputs + self.gate_up.columns,
            activated: self.down.stride(),
            d_qkv: self.qkv.outputs + self.qkv.columns,
            unscaled: groups.map(|group| if group.dora.is_some() { group.outputs } else { 0 }),
            d_unscaled: if groups.iter().any(|group| group.dora.is_some()) { self.gradient_stride() } else { 0 },
        }
    }

    /// DoRA: finds the norms of the adapted rows after every change of the factors.
    ///
    /// # Errors
    /// Those of the card.
    pub fn settle(&self, factors: &DeviceFactors, shared: &Shared<T>) -> Result<()> {
        [&self.qkv, &self.o, &self.gate_up, &self.down].into_iter().try_for_each(|group| group.settle(factors, shared))
    }

    /// A tape for `n` rows that serves every block of these widths.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn tape(&self, device: &Arc<dyn Device>, widths: &Widths, n: usize) -> Result<DeviceTape<T>> {
        let room = |width: usize| Buffer::<T>::room(device, n * width);
        let layout = self.heads.layout();
        Ok(DeviceTape {
            inverse_rms: [Buffer::room(device, n)?, Buffer::room(device, n)?],
            normed: [room(widths.normed[0])?, room(widths.normed[1])?],
            qkv: room(self.qkv.outputs)?,
            turned: self.head_norm.as_ref().map(|_| room(self.qkv.outputs)).transpose()?,
            attended: room(widths.attended)?,
            lse: Buffer::room(device, n * layout.heads)?,
            mid: room(self.input_norm.len())?,
            // The gradient overwrites it, and has low-rank columns beside it.
            gate_up: room(widths.gate_up)?,
            activated: room(widths.activated)?,
            unscaled: {
                let [qkv, o, gate_up, down] = widths.unscaled.map(|width| (width > 0).then(|| room(width)).transpose());
                [qkv?, o?, gate_up?, down?]
            },
        })
    }

    /// Buffers for `n` rows, likewise.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn scratch(&self, device: &Arc<dyn Device>, widths: &Widths, n: usize) -> Result<DeviceScratch<T>> {
        let room = |width: usize| Buffer::<T>::room(device, n * width);
        Ok(DeviceScratch {
            d_activated: room(self.down.inputs)?,
            d_normed: room(self.input_norm.len())?,
            d_attended: room(self.o.inputs)?,
            d_qkv: room(widths.d_qkv)?,
            inner: Buffer::room(device, n * self.heads.layout().heads)?,
            d_unscaled: (widths.d_unscaled > 0).then(|| room(widths.d_unscaled)).transpose()?,
            sums: (widths.d_unscaled > 0)
                .then(|| Buffer::room(device, dora_parts(n) * widths.unscaled.into_iter().max().unwrap_or(0)))
                .transpose()?,
        })
    }

    /// Widest input of a product.
    pub fn widest_input(&self) -> usize {
        [&self.qkv, &self.o, &self.gate_up, &self.down].into_iter().map(|group| group.inputs).max().unwrap_or(0)
    }

    /// Queries, keys and values in rows `stride` apart.
    fn columns<'a>(&self, b: &'a Buffer<T>, stride: usize) -> [Rows<'a, T>; 3] {
        [0, 1, 2].map(|i: usize| b.rows(self.qkv.parts[i].first_output, stride))
    }

    /// From the residual stream `x` `[n, hidden]` to `y`, another buffer.
    ///
    /// # Errors
    /// Those of the card.
    pub fn forward(&self, p: Pass<'_, T>, x: &Buffer<T>, y: &Buffer<T>, t: &DeviceTape<T>) -> Result<()> {
        let (n, hidden, layout) = (p.rows.n, self.input_norm.len(), self.heads.layout());
        let (qkv, gate_up) = (&self.qkv, &self.gate_up);
        let (from, mid) = (x.rows(0, hidden), t.mid.rows(0, hidden));
        let unscaled = |group: usize| t.unscaled[group].as_ref();
        rms_norm(from, &self.input_norm, self.eps, t.normed[0].rows(0, qkv.stride()), &t.inverse_rms[0], n)?;
        let all = t.qkv.rows(0, qkv.outputs);
        qkv.forward(p.factors, &t.normed[0], all, None, unscaled(0), n, p.mask, p.shared)?;
        if let Some(bias) = &self.bias {
            add_bias(all, bias, n)?;
        }
        if let (Some([q, k]), Some(turned)) = (&self.head_norm, &t.turned) {
            head_norm(all, [q, k], self.eps, turned.rows(0, qkv.outputs), head_rows(layout, n))?;
        }
        let [q, k, v] = self.columns(t.turned.as_ref().unwrap_or(&t.qkv), qkv.outputs);
        rope(p.rotary, q, k, &p.rows.positions, n, layout.heads, layout.kv_heads, false)?;
        attention(self.heads, &p.rows.segments, q, k, v, t.attended.rows(0, self.o.stride()), Some(&t.lse))?;
        self.o.forward(p.factors, &t.attended, mid, Some(from), unscaled(1), n, p.mask, p.shared)?;
        rms_norm(mid, &self.post_norm, self.eps, t.normed[1].rows(0, gate_up.stride()), &t.inverse_rms[1], n)?;
        let stride = gate_up.outputs + gate_up.columns;
        gate_up.forward(p.factors, &t.normed[1], t.gate_up.rows(0, stride), None, unscaled(2), n, p.mask, p.shared)?;
        let width = gate_up.outputs / 2;
        let activated = t.activated.rows(0, self.down.stride());
        swiglu(t.gate_up.rows(0, stride), t.gate_up.rows(width, stride), activated, n, width)?;
        self.down.forward(p.factors, &t.activated, y.rows(0, hidden), Some(mid), unscaled(3), n, p.mask, p.shared)
    }

    /// Elements from row to row of the residual's gradient: room for the low-rank columns of both products that read it.
    pub fn gradient_stride(&self) -> usize {
        self.input_norm.len() + self.o.columns.max(self.down.columns)
    }

    /// Turns `dx` (rows `dx_stride` apart, at least [`DeviceBlock::gradient_stride`]), the gradient of the output, into that
    /// of the input `x`, and adds to the factors' gradients. Spoils parts of the tape. With `wants_dx` false (the lowest
    /// block: nothing trainable lies below it) the last products are left out and `dx` is meaningless.
    ///
    /// # Errors
    /// Those of the card.
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &self,
        p: Pass<'_, T>,
        x: &Buffer<T>,
        t: &DeviceTape<T>,
        s: &DeviceScratch<T>,
        dx: &Buffer<T>,
        dx_stride: usize,
        wants_dx: bool,
    ) -> Result<()> {
        let (n, hidden, layout) = (p.rows.n, self.input_norm.len(), self.heads.layout());
        let (gate_up, qkv) = (&self.gate_up, &self.qkv);
        let width = gate_up.outputs / 2;
        let d_activated = s.d_activated.rows(0, width);
        // The residual's gradient is read again: what o and down make of it goes elsewhere.
        let dora = |group: usize| {
            let (unscaled, sums) = (t.unscaled[group].as_ref()?, s.sums.as_ref()?);
            let apart = s.d_unscaled.as_ref().filter(|_| matches!(group, 1 | 3)).map(|room| (room, dx_stride));
            Some(DoraTape { unscaled, gradient: apart, sums })
        };
        self.down.backward(p.factors, &t.activated, dx, dx_stride, Some(d_activated), dora(3), n, p.mask, p.shared)?;
        let stride = gate_up.outputs + gate_up.columns;
        swiglu_backward(t.gate_up.rows(0, stride), t.gate_up.rows(width, stride), d_activated, n, width)?;
        let (d, gradient) = (s.d_normed.rows(0, hidden), dx.rows(0, dx_stride));
        gate_up.backward(p.factors, &t.normed[1], &t.gate_up, stride, Some(d), dora(2), n, p.mask, p.shared)?;
        rms_norm_backward(&t.mid, &self.post_norm, &t.inverse_rms[1], d, gradient, n, true)?;

        let d_attended = s.d_attended.rows(0, layout.q_width());
        self.o.backward(p.factors, &t.attended, dx, dx_stride, Some(d_attended), dora(1), n, p.mask, p.shared)?;
        let stride = qkv.outputs + qkv.columns;
        let turned = t.turned.as_ref().unwrap_or(&t.qkv);
        attention_backward(
            self.heads,
            &p.rows.segments,
            self.columns(turned, qkv.outputs),
            t.attended.rows(0, self.o.stride()),
            &t.lse,
            d_attended,
            &s.inner,
            self.columns(&s.d_qkv, stride),
        )?;
        let [dq, dk, _] = self.columns(&s.d_qkv, stride);
        rope(p.rotary, dq, dk, &p.rows.positions, n, layout.heads, layout.kv_heads, true)?;
        if let Some([q, k]) = &self.head_norm {
            let raw = t.qkv.rows(0, qkv.outputs);
            head_norm_backward(raw, [q, k], self.eps, s.d_qkv.rows(0, stride), head_rows(layout, n))?;
        }
        qkv.backward(p.factors, &t.normed[0], &s.d_qkv, stride, wants_dx.then_some(d), dora(0), n, p.mask, p.shared)?;
        if wants_dx {
            rms_norm_backward(x, &self.input_norm, &t.inverse_rms[0], d, gradient, n, true)?;
        }
        Ok(())
    }
}

fn head_rows(layout: HeadLayout, n: usize) -> HeadRows {
    HeadRows { n, heads: layout.heads, kv_heads: layout.kv_heads, head_dim: layout.head_dim }
}
