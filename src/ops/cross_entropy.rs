//! The output layer and its loss in one: logits exist for a few rows at a time, never for the batch.

use super::bf16::Start;
use super::elementwise::exp;
use super::frozen::{Arithmetic, Frozen, Operand};
use super::simd::by_processor;
use rayon::prelude::*;

/// Rows of logits that exist at once. At a vocabulary of 150,000 that is 77 MB.
const ROWS: usize = 128;

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
    head: &Frozen,
    hidden: &[f32],
    targets: &[u32],
    scale: f32,
    mut d_hidden: Option<&mut [f32]>,
    scratch: &mut HeadScratch,
) -> f64 {
    let (vocabulary, width) = (head.outputs(), head.inputs());
    let mut sum = 0.0;
    for (chunk, targets) in targets.chunks(ROWS).enumerate() {
        let n = targets.len();
        let rows = chunk * ROWS * width..(chunk * ROWS + n) * width;
        if scratch.logits.len() < n * vocabulary {
            scratch.logits.resize(n * vocabulary, 0.0);
        }
        let logits = &mut scratch.logits[..n * vocabulary];
        let x = scratch.hidden.prepare(head.arithmetic(), &hidden[rows.clone()], n, width);
        head.forward(x, logits, Start::Zero);
        let sums: Vec<f64> = logits.par_chunks(vocabulary).map(log_sum_exp).collect();
        for ((row, target), lse) in logits.chunks(vocabulary).zip(targets).zip(&sums) {
            sum += lse - f64::from(row[*target as usize]);
        }
        let Some(d_hidden) = d_hidden.as_deref_mut() else { continue };
        let d_hidden = &mut d_hidden[rows];
        let dy = match head.arithmetic() {
            Arithmetic::F32 => {
                logits.par_chunks_mut(vocabulary).zip(targets).zip(&sums).for_each(|((row, target), lse)| {
                    scaled_softmax(row, *lse as f32, scale);
                    row[*target as usize] -= scale;
                });
                scratch.gradient.prepare(Arithmetic::F32, logits, n, vocabulary)
            }
            // The gradient is made where it is packed: it never exists in f32.
            Arithmetic::Bf16 => scratch.gradient.prepare_with(n, vocabulary, |row, columns, out| {
                let target = targets[row] as usize;
                let (first, end) = (columns.start, columns.end);
                out.copy_from_slice(&logits[row * vocabulary..][columns]);
                scaled_softmax(out, sums[row] as f32, scale);
                if (first..end).contains(&target) {
                    out[target - first] -= scale;
                }
            }),
        };
        head.backward(dy, d_hidden, Start::Zero);
    }
    sum
}
