//! Root-mean-square normalisation (Zhang & Sennrich 2019).

use super::elementwise::dot;
use super::simd::by_processor;
use rayon::prelude::*;

/// Rows per parallel task.
const ROWS: usize = 16;

by_processor! {
    fn norm_rows(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32], inverse_rms: &mut [f32]) {
        let width = weight.len();
        for ((y, x), inverse) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(inverse_rms) {
            let inv = 1.0 / (dot::<FUSED>(x, x) / width as f32 + eps).sqrt();
            *inverse = inv;
            for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
                *y = x * inv * w;
            }
        }
    }
}

/// `y = x / rms(x) ⊙ weight` per row of `weight.len()` features; keeps `1/rms` per row for the backward.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32], inverse_rms: &mut [f32]) {
    let chunk = ROWS * weight.len();
    y.par_chunks_mut(chunk)
        .zip(x.par_chunks(chunk))
        .zip(inverse_rms.par_chunks_mut(ROWS))
        .for_each(|((y, x), inverse)| norm_rows(x, weight, eps, y, inverse));
}

by_processor! {
    fn scale_rows(x: &[f32], weight: &[f32], inverse_rms: &[f32], y: &mut [f32]) {
        let width = weight.len();
        for ((y, x), inv) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(inverse_rms) {
            for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
                *y = x * inv * w;
            }
        }
    }
}

/// What [`rms_norm`] gave, from the `1/rms` that it kept: bit for bit the same.
pub fn rms_norm_again(x: &[f32], weight: &[f32], inverse_rms: &[f32], y: &mut [f32]) {
    let chunk = ROWS * weight.len();
    y.par_chunks_mut(chunk)
        .zip(x.par_chunks(chunk))
        .zip(inverse_rms.par_chunks(ROWS))
        .for_each(|((y, x), inverse)| scale_rows(x, weight, inverse, y));
}

by_processor! {
    fn backward_rows(x: &[f32], weight: &[f32], inverse_rms: &[f32], dy: &[f32], dx: &mut [f32], keep: bool) {
        let width = weight.len();
        let mut g = vec![0.0f32; width];
        for (((dx, x), dy), inv) in
            dx.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(dy.chunks_exact(width)).zip(inverse_rms)
        {
            for ((g, dy), w) in g.iter_mut().zip(dy).zip(weight) {
                *g = dy * w;
            }
            let shrink = inv * inv * inv * dot::<FUSED>(&g, x) / width as f32;
            if keep {
                for ((dx, g), x) in dx.iter_mut().zip(&g).zip(x) {
                    *dx += g * inv - x * shrink;
                }
            } else {
                for ((dx, g), x) in dx.iter_mut().zip(&g).zip(x) {
                    *dx = g * inv - x * shrink;
                }
            }
        }
    }
}

/// `dx = ∂/∂x`, or `dx += ∂/∂x` with `keep`: with `g = dy ⊙ w`, `∂/∂x = inv·g − x·inv³·⟨g, x⟩/width`.
pub fn rms_norm_backward(x: &[f32], weight: &[f32], inverse_rms: &[f32], dy: &[f32], dx: &mut [f32], keep: bool) {
    let chunk = ROWS * weight.len();
    dx.par_chunks_mut(chunk)
        .zip(x.par_chunks(chunk))
        .zip(dy.par_chunks(chunk))
        .zip(inverse_rms.par_chunks(ROWS))
        .for_each(|(((dx, x), dy), inverse)| backward_rows(x, weight, inverse, dy, dx, keep));
}
