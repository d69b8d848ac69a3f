//! The low-rank update beside a frozen linear map: `y += s·(drop(x)·Aᵀ)·Bᵀ` (Hu et al. 2021).

use super::dropout::DropoutMask;
use super::matmul::{Threads, View, ViewMut, matmul};

/// Trainable factors of one projection.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraPair {
    /// `[rank, inputs]`.
    pub a: Vec<f32>,
    /// `[outputs, rank]`.
    pub b: Vec<f32>,
    /// r.
    pub rank: usize,
    /// s: alpha/r, or alpha/√r (rsLoRA).
    pub scale: f32,
}

/// Gradients of a [`LoraPair`], accumulated over micro-batches.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraGradient {
    /// `[rank, inputs]`.
    pub a: Vec<f32>,
    /// `[outputs, rank]`.
    pub b: Vec<f32>,
}

impl LoraPair {
    fn inputs(&self) -> usize {
        self.a.len() / self.rank
    }

    fn outputs(&self) -> usize {
        self.b.len() / self.rank
    }

    /// Zero gradients of this pair's shape.
    pub fn zero_gradient(&self) -> LoraGradient {
        LoraGradient { a: vec![0.0; self.a.len()], b: vec![0.0; self.b.len()] }
    }

    /// `low = x·Aᵀ` [n, rank] (kept for the backward) and `y += s·low·Bᵀ`. `x` already carries dropout.
    pub fn forward(&self, x: &[f32], low: &mut Vec<f32>, y: &mut [f32], n: usize) {
        low.resize(n * self.rank, 0.0);
        let a = View::new(&self.a, self.rank, self.inputs()).t();
        matmul(ViewMut::new(low, n, self.rank), 0.0, View::new(x, n, self.inputs()), a, 1.0, Threads::All);
        let b = View::new(&self.b, self.outputs(), self.rank).t();
        matmul(ViewMut::new(y, n, self.outputs()), 1.0, View::new(low, n, self.rank), b, self.scale, Threads::All);
    }

    /// Accumulates dA and dB, and adds the update's share to `dx` when it is wanted.
    /// `x` is the input as the forward saw it (with dropout), `low` what the forward kept.
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &self,
        x: &[f32],
        low: &[f32],
        dy: &[f32],
        n: usize,
        gradient: &mut LoraGradient,
        dx: Option<&mut [f32]>,
        mask: Option<DropoutMask>,
        scratch: &mut LoraScratch,
    ) {
        let (inputs, outputs, rank) = (self.inputs(), self.outputs(), self.rank);
        let dy = View::new(dy, n, outputs);
        // dB = s·dyᵀ·low
        let grad_b = ViewMut::new(&mut gradient.b, outputs, rank);
        matmul(grad_b, 1.0, dy.t(), View::new(low, n, rank), self.scale, Threads::All);
        // dlow = s·dy·B
        scratch.low.resize(n * rank, 0.0);
        let b = View::new(&self.b, outputs, rank);
        matmul(ViewMut::new(&mut scratch.low, n, rank), 0.0, dy, b, self.scale, Threads::All);
        let dlow = View::new(&scratch.low, n, rank);
        // dA = dlowᵀ·x
        let grad_a = ViewMut::new(&mut gradient.a, rank, inputs);
        matmul(grad_a, 1.0, dlow.t(), View::new(x, n, inputs), 1.0, Threads::All);
        if let Some(dx) = dx {
            let a = View::new(&self.a, rank, inputs);
            match mask {
                None => matmul(ViewMut::new(dx, n, inputs), 1.0, dlow, a, 1.0, Threads::All),
                Some(mask) => {
                    scratch.wide.resize(n * inputs, 0.0);
                    matmul(ViewMut::new(&mut scratch.wide, n, inputs), 0.0, dlow, a, 1.0, Threads::All);
                    mask.apply(&scratch.wide, &mut scratch.dropped, inputs);
                    super::add_assign(dx, &scratch.dropped);
                }
            }
        }
    }
}

/// Buffers of the LoRA backward, reused between calls.
#[derive(Default)]
pub struct LoraScratch {
    low: Vec<f32>,
    wide: Vec<f32>,
    dropped: Vec<f32>,
}
