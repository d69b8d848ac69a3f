//! Root-mean-square normalisation (Zhang & Sennrich 2019).

use rayon::prelude::*;

/// Dot product in eight running sums: the compiler may not reorder a single one into vector code.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().sum::<f32>() + tail
}

/// `y = x / rms(x) ⊙ weight` per row of `weight.len()` features; keeps `1/rms` per row for the backward.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32], inverse_rms: &mut [f32]) {
    let width = weight.len();
    y.par_chunks_mut(width).zip(x.par_chunks(width)).zip(inverse_rms.par_iter_mut()).with_min_len(16).for_each(
        |((y, x), inverse)| {
            let inv = 1.0 / (dot(x, x) / width as f32 + eps).sqrt();
            *inverse = inv;
            for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
                *y = x * inv * w;
            }
        },
    );
}

/// `dx = keep·dx + ∂/∂x`: with `g = dy ⊙ w`, `∂/∂x = inv·g − x·inv³·⟨g, x⟩/width`.
pub fn rms_norm_backward(x: &[f32], weight: &[f32], inverse_rms: &[f32], dy: &[f32], dx: &mut [f32], keep: f32) {
    let width = weight.len();
    dx.par_chunks_mut(width)
        .zip(x.par_chunks(width))
        .zip(dy.par_chunks(width))
        .zip(inverse_rms.par_iter())
        .with_min_len(16)
        .for_each_init(
            || vec![0.0f32; width],
            |g, (((dx, x), dy), inv)| {
                for ((g, dy), w) in g.iter_mut().zip(dy).zip(weight) {
                    *g = dy * w;
                }
                let shrink = inv * inv * inv * dot(g, x) / width as f32;
                for ((dx, g), x) in dx.iter_mut().zip(g.iter()).zip(x) {
                    *dx = (if keep == 0.0 { 0.0 } else { keep * *dx }) + g * inv - x * shrink;
                }
            },
        );
}
