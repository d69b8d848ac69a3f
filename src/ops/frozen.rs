//! A weight that is never trained: it offers `x·Wᵀ` and `dy·W`, and no weight gradient exists at all.

use super::few_rows::{MOST_ROWS, few_rows};
use super::matmul::{Threads, View, ViewMut, matmul};

/// A frozen linear map, weight `[outputs, inputs]`.
///
/// How the weight is stored is this type's own business (f32 today; packed bf16 or a GGUF
/// quantisation fit behind the same two operations).
pub struct Frozen {
    outputs: usize,
    inputs: usize,
    weight: Vec<f32>,
}

impl Frozen {
    /// Wraps a row-major weight. The caller has checked the shape: `weight.len() == outputs * inputs`.
    pub fn new(weight: Vec<f32>, outputs: usize, inputs: usize) -> Self {
        assert!(weight.len() == outputs * inputs, "weight does not have its shape");
        Frozen { outputs, inputs, weight }
    }

    /// Rows of the weight.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of the weight.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Row `i`: the embedding of token `i`, when this is an embedding table.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.weight[i * self.inputs..(i + 1) * self.inputs]
    }

    /// The weight, row-major.
    pub fn weight(&self) -> &[f32] {
        &self.weight
    }

    /// `y = x·Wᵀ`: `x` [n, inputs] → `y` [n, outputs].
    pub fn forward(&self, x: &[f32], y: &mut [f32], n: usize) {
        if n <= MOST_ROWS {
            return few_rows(&self.weight, x, y, n, self.inputs);
        }
        matmul(
            ViewMut::new(y, n, self.outputs),
            0.0,
            View::new(x, n, self.inputs),
            View::new(&self.weight, self.outputs, self.inputs).t(),
            1.0,
            Threads::All,
        );
    }

    /// `dx = keep·dx + dy·W`: `dy` [n, outputs] → `dx` [n, inputs].
    pub fn backward(&self, dy: &[f32], dx: &mut [f32], n: usize, keep: f32) {
        matmul(
            ViewMut::new(dx, n, self.inputs),
            keep,
            View::new(dy, n, self.outputs),
            View::new(&self.weight, self.outputs, self.inputs),
            1.0,
            Threads::All,
        );
    }
}
