//! The output layer and its loss in one: logits exist for a few rows at a time, never for the batch.

use super::elementwise::exp;
use super::frozen::Frozen;
use rayon::prelude::*;

/// Rows of logits that exist at once. At a vocabulary of 150,000 that is 77 MB.
const ROWS: usize = 128;

/// `ln Σ eˣ`, computed from the maximum down so that it neither overflows nor loses the small terms.
pub fn log_sum_exp(logits: &[f32]) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // Sums of a thousand in f32, their total in f64: the vocabulary is too long for one f32 sum.
    let total: f64 = logits
        .chunks(1024)
        .map(|chunk| {
            let mut sums = [0.0f32; 8];
            let mut eights = chunk.chunks_exact(8);
            for eight in &mut eights {
                for (x, sum) in eight.iter().zip(&mut sums) {
                    *sum += exp(*x - max);
                }
            }
            let tail: f32 = eights.remainder().iter().map(|x| exp(*x - max)).sum();
            f64::from(sums.iter().sum::<f32>() + tail)
        })
        .sum();
    f64::from(max) + total.ln()
}

/// Sum of the negative log-likelihoods of `targets` `[n]` given `hidden` `[n, inputs]`, in nats. When
/// `d_hidden` `[n, inputs]` is given it becomes the gradient of `scale × that sum`.
pub fn linear_cross_entropy(
    head: &Frozen,
    hidden: &[f32],
    targets: &[u32],
    scale: f32,
    mut d_hidden: Option<&mut [f32]>,
    logits: &mut Vec<f32>,
) -> f64 {
    let (vocabulary, width) = (head.outputs(), head.inputs());
    let mut sum = 0.0;
    for (chunk, targets) in targets.chunks(ROWS).enumerate() {
        let n = targets.len();
        let first = chunk * ROWS * width;
        logits.resize(ROWS.min(n) * vocabulary, 0.0);
        let logits = &mut logits[..n * vocabulary];
        head.forward(&hidden[first..][..n * width], logits, n);
        let wants_gradient = d_hidden.is_some();
        let losses: Vec<f64> = logits
            .par_chunks_mut(vocabulary)
            .zip(targets)
            .map(|(row, &target)| {
                let lse = log_sum_exp(row);
                let loss = lse - f64::from(row[target as usize]);
                if wants_gradient {
                    let lse = lse as f32;
                    for x in row.iter_mut() {
                        *x = scale * exp(*x - lse);
                    }
                    row[target as usize] -= scale;
                }
                loss
            })
            .collect();
        // In order, so that the sum does not depend on which thread finished first.
        sum += losses.iter().sum::<f64>();
        if let Some(d_hidden) = d_hidden.as_deref_mut() {
            head.backward(logits, &mut d_hidden[first..][..n * width], n, 0.0);
        }
    }
    sum
}
