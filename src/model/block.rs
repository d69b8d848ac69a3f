//! One decoder block: its forward, and its backward, which is the forward read from below.

use super::config::ModelConfig;
use super::lora::{BlockLora, Projection};
use super::weight_form::WeightForm;
use super::weights::WeightSource;
use crate::error::{Error, Kind, Result};
use crate::ops::{
    Arithmetic, Attended, DropoutMask, Frozen, HeadLayout, LoraGradient, LoraScratch, Operand, Qkv, RopeTable, Span,
    Start, adapted_norms, add_bias, attention, attention_backward, column_factors, magnitude_gradient, rms_norm,
    rms_norm_again, rms_norm_backward, scale_columns, sized, swiglu, swiglu_backward,
};
use crate::tr;
use std::ops::Range;

/// The frozen weights of a block.
pub struct Block {
    pub(super) input_norm: Vec<f32>,
    pub(super) post_norm: Vec<f32>,
    /// Indexed by [`Projection`].
    pub(super) linear: [Frozen; 7],
    /// Biases of q, k, v (Qwen2).
    pub(super) bias: [Option<Vec<f32>>; 3],
    /// Per-head norms of q and k (Qwen3).
    pub(super) head_norm: Option<[Vec<f32>; 2]>,
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

/// What a forward leaves behind. Training keeps one per block; inference reuses one for all. What one pass over
/// memory makes again (normed inputs, the activation) is not kept.
#[derive(Default)]
pub struct BlockTape {
    /// Block input `[n, hidden]`.
    pub(super) x: Vec<f32>,
    inverse_rms_1: Vec<f32>,
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
    gate: Vec<f32>,
    up: Vec<f32>,
    /// What adapted projections keep.
    kept: [ProjectionTape; 7],
}

/// What the forward of one adapted projection keeps.
#[derive(Default)]
struct ProjectionTape {
    /// `s·x·Aᵀ` [n, rank].
    low: Vec<f32>,
    /// DoRA: the output before its columns were scaled `[n, outputs]`, and the norms by which they were.
    unscaled: Vec<f32>,
    norms: Vec<f32>,
}

/// Buffers that no block keeps, reused from block to block and step to step.
#[derive(Default)]
pub struct Scratch {
    normed: Vec<f32>,
    activated: Vec<f32>,
    d_normed: Vec<f32>,
    d_activated: Vec<f32>,
    d_attended: Vec<f32>,
    d_q: Vec<f32>,
    d_k: Vec<f32>,
    d_v: Vec<f32>,
    d_raw: Vec<f32>,
    projection: ProjectionScratch,
}

/// Buffers of one projection.
#[derive(Default)]
struct ProjectionScratch {
    operand: Operand,
    dropped: Vec<f32>,
    /// DoRA: the gradient of the output before its columns were scaled.
    d_unscaled: Vec<f32>,
    lora: LoraScratch,
}

impl Block {
    /// The biases of q, k and v one after the other, zeros where one is missing; none where all are.
    pub(super) fn joined_bias(&self, config: &ModelConfig) -> Option<Vec<f32>> {
        let of = |(bias, projection): (&Option<Vec<f32>>, &Projection)| {
            bias.clone().unwrap_or_else(|| vec![0.0; projection.shape(config).0])
        };
        let any = self.bias.iter().any(Option::is_some);
        any.then(|| self.bias.iter().zip(&Projection::ALL).flat_map(of).collect())
    }

    /// Reads block `index` and checks every shape against the config.
    ///
    /// # Errors
    /// `Mismatch` that names the tensor, and those of the source.
    pub fn load(source: &dyn WeightSource, config: &ModelConfig, index: usize, form: WeightForm) -> Result<Block> {
        let name = |part: &str| format!("model.layers.{index}.{part}");
        let vector = |part: &str, len: usize| load_vector(source, &name(part), len);
        let linear = Projection::ALL
            .iter()
            .map(|p| {
                let (outputs, inputs) = p.shape(config);
                load_frozen(source, &name(&format!("{}.weight", p.path())), outputs, inputs, form)
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

    /// `y = start + x·Wᵀ` for each of `projections`, which share the input `x` [n, inputs], plus the low-rank
    /// update where there is one.
    fn project<const N: usize>(
        &self,
        projections: [Projection; N],
        x: &[f32],
        adapted: Option<Adapted<'_>>,
        kept: &mut [ProjectionTape; 7],
        outputs: [(&mut Vec<f32>, Start<'_>); N],
        s: &mut ProjectionScratch,
    ) {
        let inputs = self.linear[projections[0] as usize].inputs();
        let n = x.len() / inputs;
        let operand = s.operand.prepare(self.arithmetic(), x, n, inputs);
        for (projection, (y, start)) in projections.into_iter().zip(outputs) {
            let linear = &self.linear[projection as usize];
            let y = sized(y, n * linear.outputs());
            let pair = adapted.and_then(|a| a.lora[projection as usize].as_ref());
            let Some((adapted, pair)) = adapted.zip(pair) else {
                linear.forward(operand, y, start);
                continue;
            };
            let ProjectionTape { low, unscaled, norms } = &mut kept[projection as usize];
            let x = match adapted.dropout {
                None => x,
                Some(mask) => {
                    mask.child(projection as u64).apply(x, &mut s.dropped, inputs);
                    &s.dropped
                }
            };
            match &pair.magnitude {
                None => {
                    linear.forward(operand, y, start);
                    pair.forward(x, low, y, n, &mut s.lora);
                }
                Some(magnitude) => {
                    let u = sized(unscaled, y.len());
                    linear.forward(operand, u, Start::Zero);
                    pair.forward(x, low, u, n, &mut s.lora);
                    *norms = pair.norms.clone().unwrap_or_else(|| adapted_norms(linear, pair));
                    scale_columns(u, &column_factors(magnitude, norms), y, start);
                }
            }
        }
    }

    /// Bytes of the frozen weights in memory while training.
    pub fn bytes_in_training(&self) -> usize {
        self.linear.iter().map(Frozen::bytes_in_training).sum::<usize>()
            + 4 * (self.input_norm.len() + self.post_norm.len())
    }

    /// Gives every adapted projection the magnitudes that leave the model as it is: the norms of the adapted rows.
    pub fn begin_magnitudes(&self, lora: &mut BlockLora) {
        for (linear, pair) in self.linear.iter().zip(lora.iter_mut()) {
            if let Some(pair) = pair {
                pair.magnitude = Some(adapted_norms(linear, pair));
            }
        }
    }

    /// Computes the norms of the adapted rows once, for factors that do not change any more.
    pub fn settle_norms(&self, lora: &mut BlockLora) {
        for (linear, pair) in self.linear.iter().zip(lora.iter_mut()) {
            if let Some(pair) = pair {
                pair.norms = Some(adapted_norms(linear, pair));
            }
        }
    }

    fn arithmetic(&self) -> Arithmetic {
        self.linear[0].arithmetic()
    }

    /// Runs the block on the residual stream `x` [n, hidden], which becomes the block's output.
    #[allow(clippy::too_many_arguments)]
    pub fn forward(
        &self,
        x: &mut Vec<f32>,
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
        std::mem::swap(&mut t.x, x);
        let normed = sized(&mut s.normed, n * hidden);
        rms_norm(&t.x, &self.input_norm, eps, normed, sized(&mut t.inverse_rms_1, n));
        let outputs = [(&mut t.q, Start::Zero), (&mut t.k, Start::Zero), (&mut t.v, Start::Zero)];
        let p = &mut s.projection;
        self.project([Projection::Q, Projection::K, Projection::V], normed, adapted, &mut t.kept, outputs, p);
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
        let qkv = Qkv { q: &t.q, k: &t.k, v: &t.v, layout };
        attention(qkv, rows.sequences, rows.past, self.arithmetic(), attended, lse);
        let outputs = [(&mut t.mid, Start::From(&t.x))];
        self.project([Projection::O], attended, adapted, &mut t.kept, outputs, p);
        let normed = sized(&mut s.normed, n * hidden);
        rms_norm(&t.mid, &self.post_norm, eps, normed, sized(&mut t.inverse_rms_2, n));
        let outputs = [(&mut t.gate, Start::Zero), (&mut t.up, Start::Zero)];
        self.project([Projection::Gate, Projection::Up], normed, adapted, &mut t.kept, outputs, p);
        let activated = sized(&mut s.activated, n * config.intermediate_size);
        swiglu(&t.gate, &t.up, activated);
        self.project([Projection::Down], activated, adapted, &mut t.kept, [(x, Start::From(&t.mid))], p);
    }

    /// `dx = start + dy·W` plus the low-rank share; accumulates the factors' gradients. `x` is the
    /// projection's input; it is read only where factors are. Without `dx` only the gradients are made.
    #[allow(clippy::too_many_arguments)]
    fn project_backward(
        &self,
        projection: Projection,
        x: &[f32],
        adapted: Adapted<'_>,
        kept: &[ProjectionTape; 7],
        dy: &[f32],
        mut dx: Option<(&mut Vec<f32>, Start<'_>)>,
        gradients: &mut [Option<LoraGradient>; 7],
        s: &mut ProjectionScratch,
    ) {
        let linear = &self.linear[projection as usize];
        let n = dy.len() / linear.outputs();
        let pair = adapted.lora[projection as usize].as_ref();
        let mut gradient = gradients[projection as usize].as_mut();
        let ProjectionTape { low, unscaled, norms } = &kept[projection as usize];
        let mut dy = dy;
        if let Some(magnitude) = pair.and_then(|pair| pair.magnitude.as_ref()) {
            if let Some(dm) = gradient.as_mut().and_then(|g| g.magnitude.as_mut()) {
                magnitude_gradient(dy, unscaled, norms, dm);
            }
            let factors = column_factors(magnitude, norms);
            scale_columns(dy, &factors, sized(&mut s.d_unscaled, dy.len()), Start::Zero);
            dy = &s.d_unscaled;
        }
        if let Some((dx, start)) = &mut dx {
            let operand = s.operand.prepare(linear.arithmetic(), dy, n, linear.outputs());
            linear.backward(operand, sized(dx, n * linear.inputs()), *start);
        }
        let (Some(pair), Some(gradient)) = (pair, gradient) else { return };
        let mask = adapted.dropout.map(|mask| mask.child(projection as u64));
        let x = match mask {
            None => x,
            Some(mask) => {
                mask.apply(x, &mut s.dropped, linear.inputs());
                &s.dropped
            }
        };
        pair.backward(x, low, dy, n, gradient, dx.map(|(dx, _)| &mut dx[..]), mask, &mut s.lora);
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
        use Projection::{Down, Gate, K, O, Q, Up, V};
        let n = rows.positions.len();
        let (hidden, layout) = (config.hidden_size, head_layout(config));
        let has = |projections: &[Projection]| projections.iter().any(|p| adapted.lora[*p as usize].is_some());
        let p = &mut s.projection;

        if has(&[Down]) {
            swiglu(&t.gate, &t.up, sized(&mut s.activated, n * config.intermediate_size));
        }
        let d_activated = Some((&mut s.d_activated, Start::Zero));
        self.project_backward(Down, &s.activated, adapted, &t.kept, dx, d_activated, gradients, p);
        swiglu_backward(&mut t.gate, &mut t.up, &s.d_activated);
        if has(&[Gate, Up]) {
            rms_norm_again(&t.mid, &self.post_norm, &t.inverse_rms_2, sized(&mut s.normed, n * hidden));
        }
        let d_normed = Some((&mut s.d_normed, Start::Zero));
        self.project_backward(Gate, &s.normed, adapted, &t.kept, &t.gate, d_normed, gradients, p);
        let d_normed = Some((&mut s.d_normed, Start::Keep));
        self.project_backward(Up, &s.normed, adapted, &t.kept, &t.up, d_normed, gradients, p);
        // The residual passes the gradient on as it is; the norm's share is added to it.
        rms_norm_backward(&t.mid, &self.post_norm, &t.inverse_rms_2, &s.d_normed, dx, true);

        let d_attended = Some((&mut s.d_attended, Start::Zero));
        self.project_backward(O, &t.attended, adapted, &t.kept, dx, d_attended, gradients, p);
        attention_backward(
            Qkv { q: &t.q, k: &t.k, v: &t.v, layout },
            Attended { out: &t.attended, lse: &t.lse, d_out: &s.d_attended },
            rows.sequences,
            self.arithmetic(),
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
                rms_norm_backward(raw, norm, inverse, d, d_raw, false);
                std::mem::swap(d, &mut s.d_raw);
            }
        }
        if has(&[Q, K, V]) {
            rms_norm_again(&t.x, &self.input_norm, &t.inverse_rms_1, sized(&mut s.normed, n * hidden));
        }
        let mut start = Start::Zero;
        for (projection, d) in [(Q, &s.d_q), (K, &s.d_k), (V, &s.d_v)] {
            let d_normed = wants_dx.then_some((&mut s.d_normed, start));
            self.project_backward(projection, &s.normed, adapted, &t.kept, d, d_normed, gradients, p);
            start = Start::Keep;
        }
        if wants_dx {
            rms_norm_backward(&t.x, &self.input_norm, &t.inverse_rms_1, &s.d_normed, dx, true);
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
pub(super) fn load_frozen(
    source: &dyn WeightSource,
    name: &str,
    outputs: usize,
    inputs: usize,
    form: WeightForm,
) -> Result<Frozen> {
    let shape = source.shape(name).unwrap_or_default();
    if shape != [outputs, inputs] {
        return Err(wrong_shape(name, &[outputs, inputs], &shape));
    }
    form.load(source, name, outputs, inputs)
}

/// A vector of a known length.
pub(super) fn load_vector(source: &dyn WeightSource, name: &str, len: usize) -> Result<Vec<f32>> {
    let tensor = source.tensor(name)?;
    if tensor.shape != [len] {
        return Err(wrong_shape(name, &[len], &tensor.shape));
    }
    Ok(tensor.data)
}
