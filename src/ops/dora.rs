//! DoRA (Liu et al. 2024): a row of the adapted weight keeps its direction from W + s·B·A and gets a trained length,
//! `y = (m ⊘ ‖W + s·B·A‖) ⊙ (x·Wᵀ + low·Bᵀ)`. As in the paper (its section 4.3) and in PEFT, the norm counts as a
//! constant on the way back.

use super::frozen::{Frozen, Operand};
use super::lora::LoraPair;
use super::packed::Start;
use super::simd::by_processor;
use rayon::prelude::*;

/// ‖W + s·B·A‖ of every row of the adapted weight, without making it: ‖W‖² + 2s·⟨W·Aᵀ, B⟩ + s²·B·(A·Aᵀ)·Bᵀ.
pub fn adapted_norms(weight: &Frozen, pair: &LoraPair) -> Vec<f32> {
    let (outputs, inputs, rank) = (weight.outputs(), weight.inputs(), pair.rank);
    // A·Wᵀ [rank, outputs]: the rows of A are inputs like any other.
    let mut across = vec![0.0f32; rank * outputs];
    let mut operand = Operand::default();
    weight.forward(operand.prepare(weight.arithmetic(), &pair.a, rank, inputs), &mut across, Start::Zero);
    let row = |r: usize| &pair.a[r * inputs..(r + 1) * inputs];
    let gram: Vec<f64> = (0..rank * rank)
        .map(|i| row(i / rank).iter().zip(row(i % rank)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum())
        .collect();
    let scale = f64::from(pair.scale);
    let squares = weight.row_squares();
    (0..outputs)
        .into_par_iter()
        .map(|o| {
            let b = &pair.b[o * rank..(o + 1) * rank];
            let mut square = f64::from(squares[o]);
            for (r, x) in b.iter().enumerate() {
                square += 2.0 * scale * f64::from(*x) * f64::from(across[r * outputs + o]);
                for (q, y) in b.iter().enumerate() {
                    square += scale * scale * f64::from(*x) * f64::from(*y) * gram[r * rank + q];
                }
            }
            square.max(0.0).sqrt() as f32
        })
        .collect()
}

/// m ⊘ norm. A row of zeros has no direction: it stays what it is.
pub fn column_factors(magnitude: &[f32], norms: &[f32]) -> Vec<f32> {
    magnitude.iter().zip(norms).map(|(m, norm)| if *norm > 0.0 { m / norm } else { 1.0 }).collect()
}

by_processor! {
    fn scale_row(u: &[f32], factors: &[f32], y: &mut [f32], keep: bool) {
        if keep {
            for ((y, u), f) in y.iter_mut().zip(u).zip(factors) {
                *y += u * f;
            }
        } else {
            for ((y, u), f) in y.iter_mut().zip(u).zip(factors) {
                *y = u * f;
            }
        }
    }
}

/// `y = start + u ⊙ factors` in every row.
pub fn scale_columns(u: &[f32], factors: &[f32], y: &mut [f32], start: Start<'_>) {
    let width = factors.len();
    if let Start::From(from) = start {
        y.copy_from_slice(&from[..y.len()]);
    }
    let keep = !matches!(start, Start::Zero);
    y.par_chunks_mut(width).zip(u.par_chunks(width)).with_min_len(16).for_each(|(y, u)| scale_row(u, factors, y, keep));
}

/// Gradient of the magnitude: `dm += Σ_n dy ⊙ u ⊘ norm`, where `u` is the output before its columns were scaled.
pub fn magnitude_gradient(dy: &[f32], u: &[f32], norms: &[f32], gradient: &mut [f32]) {
    let width = norms.len();
    for (dy, u) in dy.chunks_exact(width).zip(u.chunks_exact(width)) {
        for (((g, dy), u), norm) in gradient.iter_mut().zip(dy).zip(u).zip(norms) {
            if *norm > 0.0 {
                *g += dy * u / norm;
            }
        }
    }
}
