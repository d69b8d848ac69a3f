//! The low-rank update beside a frozen linear map: `y += s·(drop(x)·Aᵀ)·Bᵀ` (Hu et al. 2021).

use super::buffer::sized;
use super::dropout::DropoutMask;
use super::matmul::{Threads, View, ViewMut, matmul};
use super::skinny::{from_low, outer, to_low};

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
    /// DoRA's trained length of every row of the adapted weight `[outputs]`; `None` in plain LoRA.
    pub magnitude: Option<Vec<f32>>,
    /// DoRA: ‖W + s·B·A‖ of every row, when the factors do not change any more and it need not be computed at each use.
    pub norms: Option<Vec<f32>>,
}

/// Gradients of a [`LoraPair`], accumulated over micro-batches.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraGradient {
    /// `[rank, inputs]`.
    pub a: Vec<f32>,
    /// `[outputs, rank]`.
    pub b: Vec<f32>,
    /// `[outputs]`.
    pub magnitude: Option<Vec<f32>>,
}

/// From this rank on a general product is faster than one that reads the large operand in place.
const GENERAL_FROM: usize = 33;

impl LoraPair {
    fn inputs(&self) -> usize {
        self.a.len() / self.rank
    }

    fn outputs(&self) -> usize {
        self.b.len() / self.rank
    }

    /// Zero gradients of this pair's shape.
    pub fn zero_gradient(&self) -> LoraGradient {
        LoraGradient {
            a: vec![0.0; self.a.len()],
            b: vec![0.0; self.b.len()],
            magnitude: self.magnitude.as_ref().map(|m| vec![0.0; m.len()]),
        }
    }

    /// `low = s·x·Aᵀ` [n, rank] (kept for the backward) and `y += low·Bᵀ`. `x` already carries dropout.
    pub fn forward(&self, x: &[f32], low: &mut Vec<f32>, y: &mut [f32], n: usize, scratch: &mut LoraScratch) {
        let (inputs, outputs, rank) = (self.inputs(), self.outputs(), self.rank);
        let low = sized(low, n * rank);
        if rank < GENERAL_FROM {
            to_low(x, &self.a, inputs, self.scale, low);
            transpose(&self.b, outputs, rank, &mut scratch.b);
            from_low(low, &scratch.b, rank, y);
        } else {
            let a = View::new(&self.a, rank, inputs).t();
            matmul(ViewMut::new(low, n, rank), 0.0, View::new(x, n, inputs), a, self.scale, Threads::All);
            let b = View::new(&self.b, outputs, rank).t();
            matmul(ViewMut::new(y, n, outputs), 1.0, View::new(low, n, rank), b, 1.0, Threads::All);
        }
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
        let skinny = rank < GENERAL_FROM;
        sized(&mut scratch.low, n * rank);
        if skinny {
            // dB = dyᵀ·low, made as its transpose, in which long rows lie in memory
            sized(&mut scratch.gradient, rank * outputs).fill(0.0);
            outer(low, rank, dy, 1.0, &mut scratch.gradient);
            for (o, row) in gradient.b.chunks_exact_mut(rank).enumerate() {
                for (r, g) in row.iter_mut().enumerate() {
                    *g += scratch.gradient[r * outputs + o];
                }
            }
            // dlow = s·dy·B
            transpose(&self.b, outputs, rank, &mut scratch.b);
            to_low(dy, &scratch.b, outputs, self.scale, &mut scratch.low);
            // dA = dlowᵀ·x
            outer(&scratch.low, rank, x, 1.0, &mut gradient.a);
        } else {
            let dy = View::new(dy, n, outputs);
            let grad_b = ViewMut::new(&mut gradient.b, outputs, rank);
            matmul(grad_b, 1.0, dy.t(), View::new(low, n, rank), 1.0, Threads::All);
            let b = View::new(&self.b, outputs, rank);
            matmul(ViewMut::new(&mut scratch.low, n, rank), 0.0, dy, b, self.scale, Threads::All);
            let grad_a = ViewMut::new(&mut gradient.a, rank, inputs);
            let dlow = View::new(&scratch.low, n, rank);
            matmul(grad_a, 1.0, dlow.t(), View::new(x, n, inputs), 1.0, Threads::All);
        }
        let Some(dx) = dx else { return };
        let add_share = |dlow: &[f32], dx: &mut [f32]| {
            if skinny {
                from_low(dlow, &self.a, rank, dx);
            } else {
                let a = View::new(&self.a, rank, inputs);
                matmul(ViewMut::new(dx, n, inputs), 1.0, View::new(dlow, n, rank), a, 1.0, Threads::All);
            }
        };
        match mask {
            None => add_share(&scratch.low, dx),
            Some(mask) => {
                sized(&mut scratch.wide, n * inputs).fill(0.0);
                add_share(&scratch.low, &mut scratch.wide);
                mask.apply(&scratch.wide, &mut scratch.dropped, inputs);
                super::add_assign(dx, &scratch.dropped);
            }
        }
    }
}

/// `out[c, r] = x[r, c]` for `x` [rows, cols].
fn transpose(x: &[f32], rows: usize, cols: usize, out: &mut Vec<f32>) {
    let out = sized(out, rows * cols);
    for (r, row) in x.chunks_exact(cols).enumerate() {
        for (c, value) in row.iter().enumerate() {
            out[c * rows + r] = *value;
        }
    }
}

/// Buffers of the low-rank update, reused between calls.
#[derive(Default)]
pub struct LoraScratch {
    b: Vec<f32>,
    gradient: Vec<f32>,
    low: Vec<f32>,
    wide: Vec<f32>,
    dropped: Vec<f32>,
}
