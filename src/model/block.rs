//! One decoder block: its forward, and its backward, which is the forward read from below.

use super::config::ModelConfig;
use super::lora::{BlockLora, Projection};
use super::weights::WeightSource;
use crate::error::{Error, Kind, Result};
use crate::ops::{
    DropoutMask, Frozen, HeadLayout, LoraGradient, LoraScratch, RopeTable, Span, add_assign, attention,
    attention_backward, rms_norm, rms_norm_backward, swiglu, swiglu_backward,
};
use crate::tr;
use rayon::prelude::*;
use std::ops::Range;

/// The frozen weights of a block.
pub struct Block {
    input_norm: Vec<f32>,
    post_norm: Vec<f32>,
    /// Indexed by [`Projection`].
    linear: [Frozen; 7],
    /// Biases of q, k, v (Qwen2).
    bias: [Option<Vec<f32>>; 3],
    /// Per-head norms of q and k (Qwen3).
    head_norm: Option<[Vec<f32>; 2]>,
}

/// The rows of a batch, as every block sees them.
pub struct Rows<'a> {
    /// Position of each row in its sequence.
    pub positions: &'a [u32],
    /// Which rows form each sequence.
    pub sequences: &'a [Range<usize>],
    /// What each sequence attends to before its rows; empty for none.
    pub past: &'a [Vec<Span<'a>>],
}

/// How low-rank updates take part in a forward.
#[derive(Clone, Copy)]
pub struct Adapted<'a> {
    /// Factors of this block.
    pub lora: &'a BlockLora,
    /// Dropout on the LoRA inputs; `None` outside training.
    pub dropout: Option<DropoutMask>,
}

/// What a forward leaves behind. Training keeps one per block; inference reuses one for all.
#[derive(Default)]
pub struct BlockTape {
    /// Block input `[n, hidden]`.
    x: Vec<f32>,
    inverse_rms_1: Vec<f32>,
    normed_1: Vec<f32>,
    /// After bias, before head norm and RoPE; only kept apart with head norms.
    raw_q: Vec<f32>,
    raw_k: Vec<f32>,
    inverse_rms_q: Vec<f32>,
    inverse_rms_k: Vec<f32>,
    q: Vec<f32>,
    /// Keys after RoPE `[n, kv_width]`.
    pub k: Vec<f32>,
    /// Values `[n, kv_width]`.
    pub v: Vec<f32>,
    attended: Vec<f32>,
    lse: Vec<f32>,
    /// After the attention's residual `[n, hidden]`.
    mid: Vec<f32>,
    inverse_rms_2: Vec<f32>,
    normed_2: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    activated: Vec<f32>,
    /// `x·Aᵀ` of each adapted projection.
    low: [Vec<f32>; 7],
}

/// Buffers that no block keeps, reused from block to block and step to step.
#[derive(Default)]
pub struct Scratch {
    dropped: Vec<f32>,
    wide: Vec<f32>,
    lora: LoraScratch,
    d_activated: Vec<f32>,
    d_normed: Vec<f32>,
    d_attended: Vec<f32>,
    d_q: Vec<f32>,
    d_k: Vec<f32>,
    d_v: Vec<f32>,
    d_mid: Vec<f32>,
    d_raw: Vec<f32>,
}

/// Gives `buffer` the length `len`. Its contents are whatever was there: callers overwrite all of it.
fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    buffer.resize(len, 0.0);
    buffer
}

fn add_bias(y: &mut [f32], bias: &[f32]) {
    y.par_chunks_mut(bias.len()).with_min_len(64).for_each(|row| {
        for (y, b) in row.iter_mut().zip(bias) {
            *y += b;
        }
    });
}

impl Block {
    /// Reads block `index` and checks every shape against the config.
    ///
    /// # Errors
    /// `Mismatch` that names the tensor, and those of the source.
    pub fn load(source: &dyn WeightSource, config: &ModelConfig, index: usize) -> Result<Block> {
        let name = |part: &str| format!("model.layers.{index}.{part}");
        let vector = |part: &str, len: usize| load_vector(source, &name(part), len);
        let linear = Projection::ALL
            .iter()
            .map(|p| {
                let (outputs, inputs) = p.shape(config);
                load_frozen(source, &name(&format!("{}.weight", p.path())), outputs, inputs)
            })
            .collect::<Result<Vec<_>>>()?
            .try_into()
            .map_err(|_| Error::internal("seven projections"))?;
        let mut bias = [None, None, None];
        if config.qkv_bias {
            for (slot, p) in bias.iter_mut().zip(&Projection::ALL[..3]) {
                *slot = Some(vector(&format!("{}.bias", p.path()), p.shape(config).0)?);
            }
        }
        let head_norm = if config.qk_norm {
            let norm = |which: &str| vector(&format!("self_attn.{which}_norm.weight"), config.head_dim);
            Some([norm("q")?, norm("k")?])
        } else {
            None
        };
        Ok(Block {
            input_norm: vector("input_layernorm.weight", config.hidden_size)?,
            post_norm: vector("post_attention_layernorm.weight", config.hidden_size)?,
            linear,
            bias,
            head_norm,
        })
    }

    /// `y = x·Wᵀ`, plus the low-rank update where there is one.
    #[allow(clippy::too_many_arguments)]
    fn project(
        &self,
        projection: Projection,
        x: &[f32],
        n: usize,
        adapted: Option<Adapted<'_>>,
        low: &mut Vec<f32>,
        dropped: &mut Vec<f32>,
        y: &mut Vec<f32>,
    ) {
        let linear = &self.linear[projection as usize];
        let y = sized(y, n * linear.outputs());
        linear.forward(x, y, n);
        let Some((pair, dropout)) = adapted.and_then(|a| Some((a.lora[projection as usize].as_ref()?, a.dropout)))
        else {
            return;
        };
        match dropout {
            None => pair.forward(x, low, y, n),
            Some(mask) => {
                mask.child(projection as u64).apply(x, dropped, linear.inputs());
                pair.forward(dropped, low, y, n);
            }
        }
    }

    /// Runs the block on the residual stream `x` [n, hidden], in place.
    #[allow(clippy::too_many_arguments)]
    pub fn forward(
        &self,
        x: &mut [f32],
        rows: &Rows<'_>,
        config: &ModelConfig,
        rope: &RopeTable,
        adapted: Option<Adapted<'_>>,
        t: &mut BlockTape,
        s: &mut Scratch,
    ) {
        let n = rows.positions.len();
        let (hidden, layout) = (config.hidden_size, head_layout(config));
        let eps = config.rms_norm_eps as f32;
        t.x.clear();
        t.x.extend_from_slice(x);
        rms_norm(x, &self.input_norm, eps, sized(&mut t.normed_1, n * hidden), sized(&mut t.inverse_rms_1, n));
        self.project(Projection::Q, &t.normed_1, n, adapted, &mut t.low[0], &mut s.dropped, &mut t.q);
        self.project(Projection::K, &t.normed_1, n, adapted, &mut t.low[1], &mut s.dropped, &mut t.k);
        self.project(Projection::V, &t.normed_1, n, adapted, &mut t.low[2], &mut s.dropped, &mut t.v);
        for (y, bias) in [&mut t.q, &mut t.k, &mut t.v].into_iter().zip(&self.bias) {
            if let Some(bias) = bias {
                add_bias(y, bias);
            }
        }
        if let Some([q_norm, k_norm]) = &self.head_norm {
            std::mem::swap(&mut t.raw_q, &mut t.q);
            std::mem::swap(&mut t.raw_k, &mut t.k);
            let (q_len, k_len) = (t.raw_q.len(), t.raw_k.len());
            let inverse = sized(&mut t.inverse_rms_q, q_len / config.head_dim);
            rms_norm(&t.raw_q, q_norm, eps, sized(&mut t.q, q_len), inverse);
            let inverse = sized(&mut t.inverse_rms_k, k_len / config.head_dim);
            rms_norm(&t.raw_k, k_norm, eps, sized(&mut t.k, k_len), inverse);
        }
        rope.rotate(&mut t.q, layout.q_width(), rows.positions, false);
        rope.rotate(&mut t.k, layout.kv_width(), rows.positions, false);
        let attended = sized(&mut t.attended, n * layout.q_width());
        let lse = sized(&mut t.lse, n * layout.heads);
        attention(&t.q, &t.k, &t.v, layout, rows.sequences, rows.past, attended, lse);
        self.project(Projection::O, &t.attended, n, adapted, &mut t.low[3], &mut s.dropped, &mut s.wide);
        add_assign(x, &s.wide);
        t.mid.clear();
        t.mid.extend_from_slice(x);
        rms_norm(x, &self.post_norm, eps, sized(&mut t.normed_2, n * hidden), sized(&mut t.inverse_rms_2, n));
        self.project(Projection::Gate, &t.normed_2, n, adapted, &mut t.low[4], &mut s.dropped, &mut t.gate);
        self.project(Projection::Up, &t.normed_2, n, adapted, &mut t.low[5], &mut s.dropped, &mut t.up);
        swiglu(&t.gate, &t.up, sized(&mut t.activated, n * config.intermediate_size));
        self.project(Projection::Down, &t.activated, n, adapted, &mut t.low[6], &mut s.dropped, &mut s.wide);
        add_assign(x, &s.wide);
    }

    /// `dx = keep·dx + dy·W` plus the low-rank share; accumulates the factors' gradients.
    /// Without `dx` only the gradients are made.
    #[allow(clippy::too_many_arguments)]
    fn project_backward(
        &self,
        projection: Projection,
        x: &[f32],
        n: usize,
        adapted: Adapted<'_>,
        low: &[f32],
        dy: &[f32],
        mut dx: Option<(&mut Vec<f32>, f32)>,
        gradient: &mut Option<LoraGradient>,
        dropped: &mut Vec<f32>,
        scratch: &mut LoraScratch,
    ) {
        let linear = &self.linear[projection as usize];
        if let Some((dx, keep)) = &mut dx {
            linear.backward(dy, sized(dx, n * linear.inputs()), n, *keep);
        }
        let (Some(pair), Some(gradient)) = (&adapted.lora[projection as usize], gradient) else { return };
        let mask = adapted.dropout.map(|mask| mask.child(projection as u64));
        let x = match mask {
            None => x,
            Some(mask) => {
                mask.apply(x, dropped, linear.inputs());
                dropped
            }
        };
        pair.backward(x, low, dy, n, gradient, dx.map(|(dx, _)| &mut dx[..]), mask, scratch);
    }

    /// Turns `dx`, the gradient of the block's output, into the gradient of its input, in place, and
    /// accumulates the factors' gradients. Spoils parts of the tape. With `wants_dx` false (the lowest
    /// block: nothing trainable lies below it) the last products are left out and `dx` is meaningless.
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &self,
        dx: &mut [f32],
        rows: &Rows<'_>,
        config: &ModelConfig,
        rope: &RopeTable,
        adapted: Adapted<'_>,
        gradients: &mut [Option<LoraGradient>; 7],
        t: &mut BlockTape,
        s: &mut Scratch,
        wants_dx: bool,
    ) {
        let n = rows.positions.len();
        let layout = head_layout(config);
        let [g_q, g_k, g_v, g_o, g_gate, g_up, g_down] = gradients;

        let d_activated = Some((&mut s.d_activated, 0.0));
        self.project_backward(
            Projection::Down,
            &t.activated,
            n,
            adapted,
            &t.low[6],
            dx,
            d_activated,
            g_down,
            &mut s.dropped,
            &mut s.lora,
        );
        swiglu_backward(&mut t.gate, &mut t.up, &s.d_activated);
        let d_normed = Some((&mut s.d_normed, 0.0));
        self.project_backward(
            Projection::Gate,
            &t.normed_2,
            n,
            adapted,
            &t.low[4],
            &t.gate,
            d_normed,
            g_gate,
            &mut s.dropped,
            &mut s.lora,
        );
        let d_normed = Some((&mut s.d_normed, 1.0));
        self.project_backward(
            Projection::Up,
            &t.normed_2,
            n,
            adapted,
            &t.low[5],
            &t.up,
            d_normed,
            g_up,
            &mut s.dropped,
            &mut s.lora,
        );
        s.d_mid.clear();
        s.d_mid.extend_from_slice(dx);
        rms_norm_backward(&t.mid, &self.post_norm, &t.inverse_rms_2, &s.d_normed, &mut s.d_mid, 1.0);

        let d_attended = Some((&mut s.d_attended, 0.0));
        self.project_backward(
            Projection::O,
            &t.attended,
            n,
            adapted,
            &t.low[3],
            &s.d_mid,
            d_attended,
            g_o,
            &mut s.dropped,
            &mut s.lora,
        );
        attention_backward(
            &t.q,
            &t.k,
            &t.v,
            &t.attended,
            &t.lse,
            &s.d_attended,
            layout,
            rows.sequences,
            sized(&mut s.d_q, n * layout.q_width()),
            sized(&mut s.d_k, n * layout.kv_width()),
            sized(&mut s.d_v, n * layout.kv_width()),
        );
        rope.rotate(&mut s.d_q, layout.q_width(), rows.positions, true);
        rope.rotate(&mut s.d_k, layout.kv_width(), rows.positions, true);
        if let Some([q_norm, k_norm]) = &self.head_norm {
            for (d, raw, norm, inverse) in
                [(&mut s.d_q, &t.raw_q, q_norm, &t.inverse_rms_q), (&mut s.d_k, &t.raw_k, k_norm, &t.inverse_rms_k)]
            {
                let d_raw = sized(&mut s.d_raw, d.len());
                rms_norm_backward(raw, norm, inverse, d, d_raw, 0.0);
                std::mem::swap(d, &mut s.d_raw);
            }
        }
        for (i, (projection, d, gradient)) in
            [(Projection::Q, &s.d_q, g_q), (Projection::K, &s.d_k, g_k), (Projection::V, &s.d_v, g_v)]
                .into_iter()
                .enumerate()
        {
            let d_normed = wants_dx.then_some((&mut s.d_normed, if i == 0 { 0.0 } else { 1.0 }));
            self.project_backward(
                projection,
                &t.normed_1,
                n,
                adapted,
                &t.low[i],
                d,
                d_normed,
                gradient,
                &mut s.dropped,
                &mut s.lora,
            );
        }
        if wants_dx {
            dx.copy_from_slice(&s.d_mid);
            rms_norm_backward(&t.x, &self.input_norm, &t.inverse_rms_1, &s.d_normed, dx, 1.0);
        }
    }
}

/// The attention layout of a model.
pub fn head_layout(config: &ModelConfig) -> HeadLayout {
    HeadLayout { heads: config.num_heads, kv_heads: config.num_kv_heads, head_dim: config.head_dim }
}

fn wrong_shape(name: &str, expected: &[usize], found: &[usize]) -> Error {
    Error::new(
        Kind::Mismatch,
        tr!(
            "tensor {name} has the shape {found:?}, the configuration asks for {expected:?}",
            "张量 {name} 的形状是 {found:?}，而配置要求 {expected:?}"
        ),
    )
    .hint(tr!(
        "the weights and the configuration do not belong together: pull the model again",
        "权重与配置不匹配：请重新下载模型"
    ))
}

/// A matrix of a known shape.
pub(super) fn load_frozen(source: &dyn WeightSource, name: &str, outputs: usize, inputs: usize) -> Result<Frozen> {
    let tensor = source.tensor(name)?;
    if tensor.shape != [outputs, inputs] {
        return Err(wrong_shape(name, &[outputs, inputs], &tensor.shape));
    }
    Ok(Frozen::new(tensor.data, outputs, inputs))
}

/// A vector of a known length.
pub(super) fn load_vector(source: &dyn WeightSource, name: &str, len: usize) -> Result<Vec<f32>> {
    let tensor = source.tensor(name)?;
    if tensor.shape != [len] {
        return Err(wrong_shape(name, &[len], &tensor.shape));
    }
    Ok(tensor.data)
}
