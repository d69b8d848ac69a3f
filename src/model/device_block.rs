//! A decoder block on a GPU: the same forward and backward as [`Block`], on [`ops::cuda`](crate::ops::cuda).
//!
//! Projections that share an input are one product, and their low-rank updates ride in it: with R the ranks together,
//! `[x | low]·[W | B]ᵀ` gives the outputs, `[dy | dlow]` times W above A the input's gradient. So one matrix
//! `[outputs + R, inputs + R]` holds W, B (block-diagonal) beside it and s·A below it, and activations lie in rows that leave
//! room for R more columns.

#[cfg(test)]
mod tests;

use super::block::{Block, head_layout};
use super::config::ModelConfig;
use super::lora::{BlockLora, Projection};
use crate::error::{Error, Kind, Result};
use crate::ops::cuda::{
    Buffer, Device, Heads, Out, Product, Rotary, Rows, Segments, add_bias, attention, attention_backward, rms_norm,
    rms_norm_backward, rope, swiglu, swiglu_backward,
};
use crate::ops::{Frozen, LoraGradient, LoraPair};
use crate::tr;
use half::bf16;
use std::sync::Arc;

/// A projection in a [`Group`].
struct Part {
    outputs: usize,
    /// Where its outputs begin.
    first_output: usize,
    /// r, and with zeros up to a multiple of eight, as rows are aligned; 0 without factors.
    rank: usize,
    columns: usize,
    /// Where its low-rank columns begin.
    first_column: usize,
    scale: f32,
    /// Gradients of A `[columns, inputs]` and B `[outputs, columns]`.
    gradients: Option<(Buffer<f32>, Buffer<f32>)>,
}

/// Projections with one input.
struct Group {
    inputs: usize,
    outputs: usize,
    /// R.
    columns: usize,
    parts: Vec<Part>,
    matrix: Buffer<bf16>,
}

impl Group {
    fn new(device: &Arc<dyn Device>, parts: &[(&Frozen, Option<&LoraPair>)]) -> Result<Group> {
        let inputs = parts.first().map_or(0, |(w, _)| w.inputs());
        let outputs: usize = parts.iter().map(|(w, _)| w.outputs()).sum();
        let padded = |pair: Option<&LoraPair>| pair.map_or(0, |p| p.rank.next_multiple_of(8));
        let columns: usize = parts.iter().map(|(_, pair)| padded(*pair)).sum();
        let stride = inputs + columns;
        let mut matrix = vec![bf16::ZERO; (outputs + columns) * stride];
        let mut row = vec![0.0; inputs];
        let (mut first_output, mut first_column) = (0, 0);
        let mut made = Vec::new();
        for (weight, pair) in parts {
            let width = padded(*pair);
            for o in 0..weight.outputs() {
                weight.read(o..o + 1, &mut row);
                let at = (first_output + o) * stride;
                write(&mut matrix[at..], &row, 1.0);
                if let Some(pair) = pair {
                    write(&mut matrix[at + inputs + first_column..], &pair.b[o * pair.rank..][..pair.rank], 1.0);
                }
            }
            if let Some(pair) = pair {
                for (r, a) in pair.a.chunks_exact(inputs).enumerate() {
                    write(&mut matrix[(outputs + first_column + r) * stride..], a, pair.scale);
                }
            }
            let gradients = match pair {
                None => None,
                Some(_) => {
                    Some((Buffer::zeros(device, width * inputs)?, Buffer::zeros(device, weight.outputs() * width)?))
                }
            };
            made.push(Part {
                outputs: weight.outputs(),
                first_output,
                rank: pair.map_or(0, |p| p.rank),
                columns: width,
                first_column,
                scale: pair.map_or(1.0, |p| p.scale),
                gradients,
            });
            first_output += weight.outputs();
            first_column += width;
        }
        Ok(Group { inputs, outputs, columns, parts: made, matrix: Buffer::of(device, &matrix)? })
    }

    fn stride(&self) -> usize {
        self.inputs + self.columns
    }

    /// `out = start + x·Wᵀ + low·Bᵀ`; `low` comes to stand beside `x`, whose rows have room for it.
    fn forward(&self, x: &Buffer<bf16>, out: Rows<'_, bf16>, start: Option<Rows<'_, bf16>>, n: usize) -> Result<()> {
        let stride = self.stride();
        let device = x.device();
        if self.columns > 0 {
            device.multiply(&Product {
                m: n,
                n: self.columns,
                k: self.inputs,
                a: x.rows(0, stride),
                a_transposed: false,
                b: self.matrix.rows(self.outputs * stride, stride),
                b_transposed: true,
                out: Out::Bf16(x.rows(self.inputs, stride)),
                alpha: 1.0,
                start: None,
                beta: 0.0,
            })?;
        }
        device.multiply(&Product {
            m: n,
            n: self.outputs,
            k: stride,
            a: x.rows(0, stride),
            a_transposed: false,
            b: self.matrix.rows(0, stride),
            b_transposed: true,
            out: Out::Bf16(out),
            alpha: 1.0,
            start: start.map(Out::Bf16),
            beta: if start.is_some() { 1.0 } else { 0.0 },
        })
    }

    /// `dx = dy·W + dlow·A`, and the factors' gradients. `dlow` comes to stand beside `dy`, rows `dy_stride` apart; `x` as
    /// the forward left it.
    fn backward(
        &self,
        x: &Buffer<bf16>,
        dy: &Buffer<bf16>,
        dy_stride: usize,
        dx: Rows<'_, bf16>,
        n: usize,
    ) -> Result<()> {
        let stride = self.stride();
        let device = dy.device();
        if self.columns > 0 {
            device.multiply(&Product {
                m: n,
                n: self.columns,
                k: self.outputs,
                a: dy.rows(0, dy_stride),
                a_transposed: false,
                b: self.matrix.rows(self.inputs, stride),
                b_transposed: false,
                out: Out::Bf16(dy.rows(self.outputs, dy_stride)),
                alpha: 1.0,
                start: None,
                beta: 0.0,
            })?;
        }
        device.multiply(&Product {
            m: n,
            n: self.inputs,
            k: self.outputs + self.columns,
            a: dy.rows(0, dy_stride),
            a_transposed: false,
            b: self.matrix.rows(0, stride),
            b_transposed: false,
            out: Out::Bf16(dx),
            alpha: 1.0,
            start: None,
            beta: 0.0,
        })?;
        for part in &self.parts {
            let Some((da, db)) = &part.gradients else { continue };
            let (low, dlow) = (self.inputs + part.first_column, self.outputs + part.first_column);
            // A carries s in the matrix, so that its own gradient is s times that of what stands there.
            let a = Product {
                m: part.columns,
                n: self.inputs,
                k: n,
                a: dy.rows(dlow, dy_stride),
                a_transposed: true,
                b: x.rows(0, stride),
                b_transposed: false,
                out: Out::F32(da.rows(0, self.inputs)),
                alpha: part.scale,
                start: None,
                beta: 1.0,
            };
            device.multiply(&a)?;
            device.multiply(&Product {
                m: part.outputs,
                n: part.columns,
                a: dy.rows(part.first_output, dy_stride),
                b: x.rows(low, stride),
                out: Out::F32(db.rows(0, part.columns)),
                alpha: 1.0,
                ..a
            })?;
        }
        Ok(())
    }

    /// Adds the gradients of part `index` to those on the host.
    fn add_gradients(&self, index: usize, to: &mut LoraGradient) -> Result<()> {
        let part = &self.parts[index];
        let Some((a, b)) = &part.gradients else { return Ok(()) };
        for (to, from) in to.a.iter_mut().zip(a.read()?) {
            *to += from;
        }
        for (to, from) in to.b.chunks_exact_mut(part.rank).zip(b.read()?.chunks_exact(part.columns)) {
            for (to, from) in to.iter_mut().zip(from) {
                *to += from;
            }
        }
        Ok(())
    }
}

fn write(to: &mut [bf16], from: &[f32], scale: f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = bf16::from_f32(from * scale);
    }
}

/// The weights of a block on a card.
pub struct DeviceBlock {
    input_norm: Buffer<f32>,
    post_norm: Buffer<f32>,
    qkv: Group,
    o: Group,
    gate_up: Group,
    down: Group,
    bias: [Option<Buffer<f32>>; 3],
    heads: Heads,
    eps: f32,
}

/// What a forward leaves on the card for the backward.
pub struct DeviceTape {
    /// Block input `[n, hidden]`.
    pub x: Buffer<bf16>,
    /// Block output `[n, hidden]`.
    pub y: Buffer<bf16>,
    inverse_rms: [Buffer<f32>; 2],
    normed: [Buffer<bf16>; 2],
    qkv: Buffer<bf16>,
    attended: Buffer<bf16>,
    lse: Buffer<f32>,
    mid: Buffer<bf16>,
    gate_up: Buffer<bf16>,
    activated: Buffer<bf16>,
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

impl DeviceBlock {
    /// Copies a block and its factors to a card.
    ///
    /// # Errors
    /// `Unsupported` for head norms, DoRA and head sizes without kernels; `OutOfMemory`.
    pub fn new(device: &Arc<dyn Device>, block: &Block, lora: &BlockLora, config: &ModelConfig) -> Result<DeviceBlock> {
        if block.head_norm.is_some() || lora.iter().flatten().any(|pair| pair.magnitude.is_some()) {
            return Err(Error::new(
                Kind::Unsupported,
                tr!("head norms and DoRA do not run on the GPU yet", "GPU 暂不支持头部归一化与 DoRA"),
            )
            .hint(tr!("use --device cpu", "请用 --device cpu")));
        }
        let group = |projections: &[Projection]| {
            let parts: Vec<_> =
                projections.iter().map(|p| (&block.linear[*p as usize], lora[*p as usize].as_ref())).collect();
            Group::new(device, &parts)
        };
        let copy = |values: &Option<Vec<f32>>| values.as_ref().map(|v| Buffer::of(device, v)).transpose();
        Ok(DeviceBlock {
            input_norm: Buffer::of(device, &block.input_norm)?,
            post_norm: Buffer::of(device, &block.post_norm)?,
            qkv: group(&[Projection::Q, Projection::K, Projection::V])?,
            o: group(&[Projection::O])?,
            gate_up: group(&[Projection::Gate, Projection::Up])?,
            down: group(&[Projection::Down])?,
            bias: [copy(&block.bias[0])?, copy(&block.bias[1])?, copy(&block.bias[2])?],
            heads: Heads::new(head_layout(config))?,
            eps: config.rms_norm_eps as f32,
        })
    }

    /// A tape for `n` rows.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn tape(&self, device: &Arc<dyn Device>, n: usize) -> Result<DeviceTape> {
        let layout = self.heads.layout();
        let hidden = self.input_norm.len();
        let zeros = |width: usize| Buffer::<bf16>::zeros(device, n * width);
        Ok(DeviceTape {
            x: zeros(hidden)?,
            y: zeros(hidden)?,
            inverse_rms: [Buffer::zeros(device, n)?, Buffer::zeros(device, n)?],
            normed: [zeros(self.qkv.stride())?, zeros(self.gate_up.stride())?],
            qkv: zeros(self.qkv.outputs)?,
            attended: zeros(self.o.stride())?,
            lse: Buffer::zeros(device, n * layout.heads)?,
            mid: zeros(hidden)?,
            // The gradient overwrites it, and has low-rank columns beside it.
            gate_up: zeros(self.gate_up.outputs + self.gate_up.columns)?,
            activated: zeros(self.down.stride())?,
        })
    }

    /// From `t.x` to `t.y`.
    ///
    /// # Errors
    /// Those of the card.
    pub fn forward(&self, rows: &DeviceRows, rotary: &Rotary, t: &DeviceTape) -> Result<()> {
        let (n, hidden, layout) = (rows.n, self.input_norm.len(), self.heads.layout());
        let [qkv, gate_up] = [&self.qkv, &self.gate_up];
        let (x, mid) = (t.x.rows(0, hidden), t.mid.rows(0, hidden));
        rms_norm(x, &self.input_norm, self.eps, t.normed[0].rows(0, qkv.stride()), &t.inverse_rms[0], n)?;
        qkv.forward(&t.normed[0], t.qkv.rows(0, qkv.outputs), None, n)?;
        let columns = |i: usize| t.qkv.rows(qkv.parts[i].first_output, qkv.outputs);
        let [q, k, v] = [columns(0), columns(1), columns(2)];
        for (y, bias) in [q, k, v].into_iter().zip(&self.bias) {
            if let Some(bias) = bias {
                add_bias(y, bias, n)?;
            }
        }
        rope(rotary, q, k, &rows.positions, n, layout.heads, layout.kv_heads, false)?;
        let attended = t.attended.rows(0, self.o.stride());
        attention(self.heads, &rows.segments, q, k, v, attended, Some(&t.lse))?;
        self.o.forward(&t.attended, mid, Some(x), n)?;
        rms_norm(mid, &self.post_norm, self.eps, t.normed[1].rows(0, gate_up.stride()), &t.inverse_rms[1], n)?;
        let stride = gate_up.outputs + gate_up.columns;
        gate_up.forward(&t.normed[1], t.gate_up.rows(0, stride), None, n)?;
        let width = gate_up.outputs / 2;
        let activated = t.activated.rows(0, self.down.stride());
        swiglu(t.gate_up.rows(0, stride), t.gate_up.rows(width, stride), activated, n, width)?;
        self.down.forward(&t.activated, t.y.rows(0, hidden), Some(mid), n)
    }

    /// Elements from row to row of the residual's gradient: room for the low-rank columns of both products that read it.
    pub fn gradient_stride(&self) -> usize {
        self.input_norm.len() + self.o.columns.max(self.down.columns)
    }

    /// Turns `dx` (rows [`DeviceBlock::gradient_stride`] apart), the gradient of the output, into that of the input, and
    /// adds to the factors' gradients on the card. Spoils parts of the tape.
    ///
    /// # Errors
    /// Those of the card.
    pub fn backward(&self, rows: &DeviceRows, rotary: &Rotary, t: &DeviceTape, dx: &Buffer<bf16>) -> Result<()> {
        let (n, hidden, layout) = (rows.n, self.input_norm.len(), self.heads.layout());
        let device = dx.device();
        let (dx_stride, gate_up, qkv) = (self.gradient_stride(), &self.gate_up, &self.qkv);
        let width = gate_up.outputs / 2;
        let d_activated = Buffer::<bf16>::zeros(device, n * width)?;
        self.down.backward(&t.activated, dx, dx_stride, d_activated.rows(0, width), n)?;
        let stride = gate_up.outputs + gate_up.columns;
        let (gate, up) = (t.gate_up.rows(0, stride), t.gate_up.rows(width, stride));
        swiglu_backward(gate, up, d_activated.rows(0, width), n, width)?;
        let d_normed = Buffer::<bf16>::zeros(device, n * hidden)?;
        gate_up.backward(&t.normed[1], &t.gate_up, stride, d_normed.rows(0, hidden), n)?;
        let (d, gradient) = (d_normed.rows(0, hidden), dx.rows(0, dx_stride));
        rms_norm_backward(&t.mid, &self.post_norm, &t.inverse_rms[1], d, gradient, n, true)?;

        let q_width = layout.q_width();
        let d_attended = Buffer::<bf16>::zeros(device, n * q_width)?;
        self.o.backward(&t.attended, dx, dx_stride, d_attended.rows(0, q_width), n)?;
        let stride = qkv.outputs + qkv.columns;
        let d_qkv = Buffer::<bf16>::zeros(device, n * stride)?;
        let columns = |b, stride| -> [Rows<'_, bf16>; 3] {
            let b: &Buffer<bf16> = b;
            [0, 1, 2].map(|i: usize| b.rows(qkv.parts[i].first_output, stride))
        };
        let inner = Buffer::zeros(device, n * layout.heads)?;
        attention_backward(
            self.heads,
            &rows.segments,
            columns(&t.qkv, qkv.outputs),
            t.attended.rows(0, self.o.stride()),
            &t.lse,
            d_attended.rows(0, q_width),
            &inner,
            columns(&d_qkv, stride),
        )?;
        let [dq, dk, _] = columns(&d_qkv, stride);
        rope(rotary, dq, dk, &rows.positions, n, layout.heads, layout.kv_heads, true)?;
        qkv.backward(&t.normed[0], &d_qkv, stride, d_normed.rows(0, hidden), n)?;
        rms_norm_backward(&t.x, &self.input_norm, &t.inverse_rms[0], d, gradient, n, true)
    }

    /// Adds the factors' gradients to those on the host.
    ///
    /// # Errors
    /// Those of the card.
    pub fn add_gradients(&self, gradients: &mut [Option<LoraGradient>; 7]) -> Result<()> {
        use Projection::{Down, Gate, K, O, Q, Up, V};
        for (group, index, projection) in [
            (&self.qkv, 0, Q),
            (&self.qkv, 1, K),
            (&self.qkv, 2, V),
            (&self.o, 0, O),
            (&self.gate_up, 0, Gate),
            (&self.gate_up, 1, Up),
            (&self.down, 0, Down),
        ] {
            if let Some(gradient) = &mut gradients[projection as usize] {
                group.add_gradients(index, gradient)?;
            }
        }
        Ok(())
    }
}
