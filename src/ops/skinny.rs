//! Products with a low rank in them. A general product spends more time on rearranging its operands than
//! on arithmetic when one dimension is 8; these read each large matrix once, as it lies.
//!
//! Low-rank factors stay in f32 whatever the arithmetic of the frozen weights.

use super::simd::by_processor;
use rayon::prelude::*;

/// Numbers that are multiplied side by side.
const LANES: usize = 16;

/// Rows per parallel task.
const ROWS: usize = 16;

/// Columns per parallel task where columns are divided among tasks.
const COLUMNS: usize = 64;

#[inline(always)]
fn multiply_add<const FUSED: bool>(sum: f32, a: f32, b: f32) -> f32 {
    if FUSED { a.mul_add(b, sum) } else { sum + a * b }
}

/// Dot products of `R` rows of `x` with `A` rows of `a`, all of `width` elements.
#[inline(always)]
fn dot_block<const R: usize, const A: usize, const FUSED: bool>(
    x: &[f32],
    a: &[f32],
    width: usize,
    scale: f32,
    out: &mut [f32],
    rank: usize,
) {
    let mut sums = [[[0.0f32; LANES]; A]; R];
    let whole = width / LANES * LANES;
    for k in (0..whole).step_by(LANES) {
        for (i, sums) in sums.iter_mut().enumerate() {
            let x = &x[i * width + k..i * width + k + LANES];
            for (j, sums) in sums.iter_mut().enumerate() {
                let a = &a[j * width + k..j * width + k + LANES];
                for ((sum, x), a) in sums.iter_mut().zip(x).zip(a) {
                    *sum = multiply_add::<FUSED>(*sum, *x, *a);
                }
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        for (j, sums) in sums.iter().enumerate() {
            let tail: f32 = (whole..width).map(|k| x[i * width + k] * a[j * width + k]).sum();
            out[i * rank + j] = scale * (sums.iter().sum::<f32>() + tail);
        }
    }
}

by_processor! {
    fn dot_rows(x: &[f32], a: &[f32], width: usize, scale: f32, out: &mut [f32]) {
        let rank = a.len() / width;
        let mut row = 0;
        let rows = x.len() / width;
        while row < rows {
            let four = row + 4 <= rows;
            let x = &x[row * width..];
            let out = &mut out[row * rank..];
            let mut j = 0;
            while j < rank {
                let (a, out) = (&a[j * width..], &mut out[j..]);
                match (four, j + 4 <= rank) {
                    (true, true) => dot_block::<4, 4, FUSED>(x, a, width, scale, out, rank),
                    (false, true) => dot_block::<1, 4, FUSED>(x, a, width, scale, out, rank),
                    (true, false) => dot_block::<4, 1, FUSED>(x, a, width, scale, out, rank),
                    (false, false) => dot_block::<1, 1, FUSED>(x, a, width, scale, out, rank),
                }
                j += if j + 4 <= rank { 4 } else { 1 };
            }
            row += if four { 4 } else { 1 };
        }
    }
}

/// `low = scale·x·aᵀ`: `x` [n, width], `a` [rank, width] → `low` [n, rank].
pub fn to_low(x: &[f32], a: &[f32], width: usize, scale: f32, low: &mut [f32]) {
    let rank = a.len() / width;
    low.par_chunks_mut(ROWS * rank)
        .zip(x.par_chunks(ROWS * width))
        .for_each(|(low, x)| dot_rows(x, a, width, scale, low));
}

/// Four rows of `y` (fewer at the end), all of `width` elements, in stretches of four vectors.
#[inline(always)]
fn spread_block<const R: usize, const FUSED: bool>(low: &[f32], b: &[f32], rank: usize, width: usize, y: &mut [f32]) {
    const STRETCH: usize = 4 * LANES;
    let whole = width / STRETCH * STRETCH;
    for at in (0..whole).step_by(STRETCH) {
        let mut sums = [[0.0f32; STRETCH]; R];
        for (i, sums) in sums.iter_mut().enumerate() {
            sums.copy_from_slice(&y[i * width + at..][..STRETCH]);
        }
        for r in 0..rank {
            let b = &b[r * width + at..][..STRETCH];
            for (i, sums) in sums.iter_mut().enumerate() {
                let low = low[i * rank + r];
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum = multiply_add::<FUSED>(*sum, low, *b);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            y[i * width + at..][..STRETCH].copy_from_slice(sums);
        }
    }
    for i in 0..R {
        for r in 0..rank {
            let low = low[i * rank + r];
            for at in whole..width {
                y[i * width + at] += low * b[r * width + at];
            }
        }
    }
}

by_processor! {
    fn spread_rows(low: &[f32], b: &[f32], rank: usize, y: &mut [f32]) {
        let width = b.len() / rank;
        let rows = y.len() / width;
        let mut row = 0;
        while row < rows {
            let (low, y) = (&low[row * rank..], &mut y[row * width..]);
            if row + 4 <= rows {
                spread_block::<4, FUSED>(low, b, rank, width, y);
                row += 4;
            } else {
                spread_block::<1, FUSED>(low, b, rank, width, y);
                row += 1;
            }
        }
    }
}

/// `y += low·b`: `low` [n, rank], `b` [rank, width] → `y` [n, width].
pub fn from_low(low: &[f32], b: &[f32], rank: usize, y: &mut [f32]) {
    let width = b.len() / rank;
    y.par_chunks_mut(ROWS * width).zip(low.par_chunks(ROWS * rank)).for_each(|(y, low)| spread_rows(low, b, rank, y));
}

/// `R` rows of the gradient from row `r` on, `W` columns of it from column `at` of `x` on.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
fn outer_block<const R: usize, const W: usize, const FUSED: bool>(
    low: &[f32],
    rank: usize,
    r: usize,
    x: &[f32],
    width: usize,
    at: usize,
    out: &mut [f32],
    columns: usize,
) {
    let mut sums = [[0.0f32; W]; R];
    for (low, x) in low.chunks_exact(rank).zip(x.chunks_exact(width)) {
        let x = &x[at..at + W];
        for (sums, low) in sums.iter_mut().zip(&low[r..r + R]) {
            for (sum, x) in sums.iter_mut().zip(x) {
                *sum = multiply_add::<FUSED>(*sum, *low, *x);
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        for (out, sum) in out[i * columns..][..W].iter_mut().zip(sums) {
            *out += sum;
        }
    }
}

by_processor! {
    fn outer_columns(low: &[f32], rank: usize, x: &[f32], width: usize, first: usize, out: &mut [f32]) {
        /// Tokens whose stretches of `x` stay in the first-level cache.
        const TOKENS: usize = 64;
        let columns = out.len() / rank;
        let blocks = low.chunks(TOKENS * rank).zip(x.chunks(TOKENS * width));
        for (low, x) in blocks {
            let mut r = 0;
            while r < rank {
                let four = r + 4 <= rank;
                let mut c = 0;
                while c < columns {
                    let out = &mut out[r * columns + c..];
                    let at = first + c;
                    let wide = c + COLUMNS <= columns;
                    match (four, wide) {
                        (true, true) => outer_block::<4, COLUMNS, FUSED>(low, rank, r, x, width, at, out, columns),
                        (false, true) => outer_block::<1, COLUMNS, FUSED>(low, rank, r, x, width, at, out, columns),
                        (true, false) => outer_block::<4, 1, FUSED>(low, rank, r, x, width, at, out, columns),
                        (false, false) => outer_block::<1, 1, FUSED>(low, rank, r, x, width, at, out, columns),
                    }
                    c += if wide { COLUMNS } else { 1 };
                }
                r += if four { 4 } else { 1 };
            }
        }
    }
}

/// `gradient += scale·lowᵀ·x`: `low` [n, rank], `x` [n, width] → `gradient` [rank, width].
///
/// Columns are divided among tasks, so every sum runs over the rows in order, whatever the number of threads.
pub fn outer(low: &[f32], rank: usize, x: &[f32], scale: f32, gradient: &mut [f32]) {
    let width = gradient.len() / rank;
    let starts: Vec<usize> = (0..width).step_by(COLUMNS).collect();
    let parts: Vec<Vec<f32>> = starts
        .par_iter()
        .map(|&first| {
            let mut part = vec![0.0f32; rank * COLUMNS.min(width - first)];
            outer_columns(low, rank, x, width, first, &mut part);
            part
        })
        .collect();
    for (first, part) in starts.into_iter().zip(parts) {
        let columns = part.len() / rank;
        for (r, part) in part.chunks_exact(columns).enumerate() {
            for (g, p) in gradient[r * width + first..][..columns].iter_mut().zip(part) {
                *g += scale * p;
            }
        }
    }
}
