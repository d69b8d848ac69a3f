//! Rows of attention scores: the loops between the products.

use crate::ops::elementwise::{dot, exp};
use crate::ops::simd::by_processor;

by_processor! {
    /// `scale × row` over its first `visible` elements becomes e^(scale·x − max), zeros follow; gives (max, sum).
    pub fn exponentials(row: &mut [f32], visible: usize, scale: f32) -> (f32, f32) {
        let (row, hidden) = row.split_at_mut(visible);
        hidden.fill(0.0);
        let mut most = [f32::NEG_INFINITY; 16];
        let (sixteens, rest) = row.as_chunks_mut::<16>();
        for sixteen in sixteens.iter() {
            for (x, most) in sixteen.iter().zip(&mut most) {
                *most = if *x > *most { *x } else { *most };
            }
        }
        let max = scale * most.iter().chain(rest.iter()).copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sums = [0.0f32; 16];
        for sixteen in sixteens {
            for (x, sum) in sixteen.iter_mut().zip(&mut sums) {
                *x = exp(*x * scale - max);
                *sum += *x;
            }
        }
        let mut tail = 0.0;
        for x in rest {
            *x = exp(*x * scale - max);
            tail += *x;
        }
        (max, sums.iter().sum::<f32>() + tail)
    }
}

by_processor! {
    /// Turns scores into probabilities P = e^(scale·x − lse) and `ds`, the gradient of P, into that of the scores,
    /// `scale × P ⊙ (ds − inner)`, over the first `visible` elements; zeros follow.
    pub fn score_gradient(p: &mut [f32], ds: &mut [f32], visible: usize, scale: f32, lse: f32, inner: f32) {
        let (p, hidden) = p.split_at_mut(visible);
        hidden.fill(0.0);
        let (ds, hidden) = ds.split_at_mut(visible);
        hidden.fill(0.0);
        for (p, ds) in p.iter_mut().zip(ds) {
            *p = exp(*p * scale - lse);
            *ds = scale * *p * (*ds - inner);
        }
    }
}

by_processor! {
    /// `row ×= factor`.
    pub fn multiply_row(row: &mut [f32], factor: f32) {
        for x in row {
            *x *= factor;
        }
    }
}

by_processor! {
    /// ⟨a, b⟩.
    pub fn dot_product(a: &[f32], b: &[f32]) -> f32 {
        dot::<FUSED>(a, b)
    }
}
