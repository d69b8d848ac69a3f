//! The output layer and its loss in one: logits exist for a few rows at a time, never for the batch.

use super::elementwise::exp;
use super::frozen::{Arithmetic, Frozen, Input, Operand};
use super::matmul::{Threads, View, ViewMut, matmul};
use super::packed::{Start, available};
use super::simd::by_processor;
use rayon::prelude::*;

/// Rows of logits that exist at once. At a vocabulary of 150,000 that is 77 MB.
const ROWS: usize = 128;

/// The output layer: frozen, or trained in f32 as a whole (PEFT's `modules_to_save`).
pub enum Head<'a> {
    /// Frozen.
    Frozen(&'a Frozen),
    /// Trained.
    Trained {
        /// `[vocabulary, width]`.
        weight: &'a [f32],
        /// Its gradient, when one is wanted; it is added to.
        gradient: Option<&'a mut [f32]>,
        /// Columns of the weight.
        width: usize,
    },
}

impl Head<'_> {
    fn arithmetic(&self) -> Arithmetic {
        match self {
            Head::Frozen(weight) => weight.arithmetic(),
            Head::Trained { .. } => Arithmetic::F32,
        }
    }

    fn shape(&self) -> (usize, usize) {
        match self {
            Head::Frozen(weight) => (weight.outputs(), weight.inputs()),
            Head::Trained { weight, width, .. } => (weight.len() / width, *width),
        }
    }

    /// Logits `[n, vocabulary]` of `hidden` [n, width].
    pub fn forward(&self, hidden: &[f32], n: usize, logits: &mut [f32], operand: &mut Operand) {
        let (vocabulary, width) = self.shape();
        match self {
            Head::Frozen(weight) => {
                weight.forward(operand.prepare(weight.arithmetic(), hidden, n, width), logits, Start::Zero);
            }
            Head::Trained { weight, .. } => {
                let weight = View::new(weight, vocabulary, width).t();
                let hidden = View::new(hidden, n, width);
                matmul(ViewMut::new(logits, n, vocabulary), 0.0, hidden, weight, 1.0, Threads::All);
            }
        }
    }
}

/// Buffers of the output layer, reused between calls.
#[derive(Default)]
pub struct HeadScratch {
    logits: Vec<f32>,
    hidden: Operand,
    gradient: Operand,
}

by_processor! {
    fn sum_exp(logits: &[f32], max: f32) -> f64 {
        // Sums of a thousand in f32, their total in f64: the vocabulary is too long for one f32 sum.
        let mut total = 0.0f64;
        for chunk in logits.chunks(1024) {
            let mut sums = [0.0f32; 16];
            let (sixteens, rest) = chunk.as_chunks::<16>();
            for sixteen in sixteens {
                for (x, sum) in sixteen.iter().zip(&mut sums) {
                    *sum += exp(*x - max);
                }
            }
            let tail: f32 = rest.iter().map(|x| exp(*x - max)).sum();
            total += f64::from(sums.iter().sum::<f32>() + tail);
        }
        total
    }
}

by_processor! {
    fn maximum(x: &[f32]) -> f32 {
        let mut most = [f32::NEG_INFINITY; 16];
        let (sixteens, rest) = x.as_chunks::<16>();
        for sixteen in sixteens {
            for (x, most) in sixteen.iter().zip(&mut most) {
                *most = if *x > *most { *x } else { *most };
            }
        }
        most.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
    }
}

by_processor! {
    fn scaled_softmax(row: &mut [f32], lse: f32, scale: f32) {
        for x in row {
            *x = scale * exp(*x - lse);
        }
    }
}

/// `ln Σ eˣ`, computed from the maximum down so that it neither overflows nor loses the small terms. NaN when
/// an element is NaN.
pub fn log_sum_exp(logits: &[f32]) -> f64 {
    let max = maximum(logits);
    f64::from(max) + sum_exp(logits, max).ln()
}

/// Sum of the negative log-likelihoods of `targets` `[n]` given `hidden` `[n, inputs]`, in nats. When
/// `d_hidden` `[n, inputs]` is given it becomes the gradient of `scale × that sum`.
pub fn linear_cross_entropy(
    head: &mut Head<'_>,
    hidden: &[f32],
    targets: &[u32],
    scale: f32,
    mut d_hidden: Option<&mut [f32]>,
    scratch: &mut HeadScratch,
) -> f64 {
    let (vocabulary, width) = head.shape();
    let mut sum = 0.0;
    for (chunk, targets) in targets.chunks(ROWS).enumerate() {
        let n = targets.len();
        let rows = chunk * ROWS * width..(chunk * ROWS + n) * width;
        if scratch.logits.len() < n * vocabulary {
            scratch.logits.resize(n * vocabulary, 0.0);
        }
        let logits = &mut scratch.logits[..n * vocabulary];
        let hidden = &hidden[rows.clone()];
        head.forward(hidden, n, logits, &mut scratch.hidden);
        let sums: Vec<f64> = logits.par_chunks(vocabulary).map(log_sum_exp).collect();
        for ((row, target), lse) in logits.chunks(vocabulary).zip(targets).zip(&sums) {
            sum += lse - f64::from(row[*target as usize]);
        }
        let Some(d_hidden) = d_hidden.as_deref_mut() else { continue };
        let d_hidden = &mut d_hidden[rows];
        let packed = matches!(head, Head::Frozen(weight) if available(weight.arithmetic()));
        let operand = if packed {
            // The gradient is made where it is packed: it never exists as a whole.
            scratch.gradient.prepare_with(head.arithmetic(), n, vocabulary, |row, columns, out| {
                let target = targets[row] as usize;
                let (first, end) = (columns.start, columns.end);
                out.copy_from_slice(&logits[row * vocabulary..][columns]);
                scaled_softmax(out, sums[row] as f32, scale);
                if (first..end).contains(&target) {
                    out[target - first] -= scale;
                }
            })
        } else {
            logits.par_chunks_mut(vocabulary).zip(targets).zip(&sums).for_each(|((row, target), lse)| {
                scaled_softmax(row, *lse as f32, scale);
                row[*target as usize] -= scale;
            });
            Input::plain(logits, n)
        };
        match head {
            Head::Frozen(weight) => weight.backward(operand, d_hidden, Start::Zero),
            Head::Trained { weight, gradient, .. } => {
                let dy = View::new(&*logits, n, vocabulary);
                let weight = View::new(weight, vocabulary, width);
                matmul(ViewMut::new(d_hidden, n, width), 0.0, dy, weight, 1.0, Threads::All);
                if let Some(gradient) = gradient {
                    let gradient = ViewMut::new(gradient, vocabulary, width);
                    matmul(gradient, 1.0, dy.t(), View::new(hidden, n, width), 1.0, Threads::All);
                }
            }
        }
    }
    sum
}
