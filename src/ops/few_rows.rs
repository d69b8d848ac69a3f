//! `x·Wᵀ` for a handful of rows: decoding. The weight is read from memory once, in the order in which it
//! lies, and that is all the time it takes; a general product would first rearrange it.

use super::frozen::StoredRows;
use rayon::prelude::*;

/// Up to this many rows the weight's way from memory, not the arithmetic, sets the time.
pub const MOST_ROWS: usize = 16;

/// Outputs per parallel task.
const CHUNK: usize = 64;

/// Numbers of a stored weight that are read at once: half of the first-level cache.
const IN_CACHE: usize = 4096;

/// Numbers that are multiplied side by side.
const LANES: usize = 16;

type Kernel = unsafe fn(&[f32], &[f32], &mut [f32], usize);

/// `y = x·Wᵀ`: `x` [n, inputs], `weight` [outputs, inputs] → `y` [n, outputs], n ≤ [`MOST_ROWS`].
pub fn few_rows(weight: &[f32], x: &[f32], y: &mut [f32], n: usize, inputs: usize) {
    let kernel = kernel();
    by_outputs(y, n, weight.len() / inputs, |first, out| {
        let weight = &weight[first * inputs..];
        for (out, row) in out.chunks_exact_mut(n).zip(weight.chunks_exact(inputs)) {
            // SAFETY: `kernel()` returned a version whose instructions this processor has.
            unsafe { kernel(row, x, out, inputs) };
        }
    });
}

/// The same for a weight whose rows are read a few at a time, so that their numbers never leave the first-level cache.
pub fn few_rows_stored(weight: &dyn StoredRows, outputs: usize, x: &[f32], y: &mut [f32], n: usize, inputs: usize) {
    let kernel = kernel();
    by_outputs(y, n, outputs, |first, out| {
        if n == 1 && weight.dots(first, x, out) {
            return;
        }
        let at_once = (IN_CACHE / inputs).max(1);
        let mut rows = vec![0.0f32; at_once * inputs];
        for (i, out) in out.chunks_mut(at_once * n).enumerate() {
            let (from, count) = (first + i * at_once, out.len() / n);
            weight.read(from..from + count, &mut rows[..count * inputs]);
            for (out, row) in out.chunks_exact_mut(n).zip(rows.chunks_exact(inputs)) {
                // SAFETY: as above.
                unsafe { kernel(row, x, out, inputs) };
            }
        }
    });
}

/// Calls `work(first output, values)` for stretches of outputs on all cores; `values` are `[outputs, n]`.
fn by_outputs(y: &mut [f32], n: usize, outputs: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    if n == 1 {
        y.par_chunks_mut(CHUNK).enumerate().for_each(|(i, out)| work(i * CHUNK, out));
        return;
    }
    // Transposed, so that each task writes one stretch of memory.
    let mut transposed = vec![0.0f32; outputs * n];
    transposed.par_chunks_mut(CHUNK * n).enumerate().for_each(|(i, out)| work(i * CHUNK, out));
    for (o, values) in transposed.chunks_exact(n).enumerate() {
        for (i, value) in values.iter().enumerate() {
            y[i * outputs + o] = *value;
        }
    }
}

/// The fastest version for this processor.
fn kernel() -> Kernel {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return dots_avx512;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return dots_avx2;
        }
    }
    dots_portable
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn dots_avx512(row: &[f32], x: &[f32], out: &mut [f32], inputs: usize) {
    dots::<true>(row, x, out, inputs);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn dots_avx2(row: &[f32], x: &[f32], out: &mut [f32], inputs: usize) {
    dots::<true>(row, x, out, inputs);
}

fn dots_portable(row: &[f32], x: &[f32], out: &mut [f32], inputs: usize) {
    dots::<false>(row, x, out, inputs);
}

/// Dot products of one weight row with every row of `x`, four rows at a time.
#[inline(always)]
fn dots<const FUSED: bool>(row: &[f32], x: &[f32], out: &mut [f32], inputs: usize) {
    let mut rows = x.chunks_exact(4 * inputs);
    let mut outs = out.chunks_exact_mut(4);
    for (x, out) in rows.by_ref().zip(outs.by_ref()) {
        dot_block::<4, FUSED>(row, x, out, inputs);
    }
    let left = outs.into_remainder();
    for (x, out) in rows.remainder().chunks_exact(inputs).zip(left.chunks_exact_mut(1)) {
        out[0] = dot_alone::<FUSED>(row, x);
    }
}

/// One dot product in four vectors of sums: one vector would wait for each of its additions.
#[inline(always)]
fn dot_alone<const FUSED: bool>(row: &[f32], x: &[f32]) -> f32 {
    let mut sums = [[0.0f32; LANES]; 4];
    let (rows, rest_row) = row.as_chunks::<{ 4 * LANES }>();
    let (xs, rest_x) = x.as_chunks::<{ 4 * LANES }>();
    for (row, x) in rows.iter().zip(xs) {
        for (part, sums) in sums.iter_mut().enumerate() {
            for (lane, sum) in sums.iter_mut().enumerate() {
                let (w, x) = (row[part * LANES + lane], x[part * LANES + lane]);
                *sum = if FUSED { w.mul_add(x, *sum) } else { *sum + w * x };
            }
        }
    }
    let tail: f32 = rest_row.iter().zip(rest_x).map(|(w, x)| w * x).sum();
    let [a, b, c, d] = sums;
    (0..LANES).map(|i| (a[i] + b[i]) + (c[i] + d[i])).sum::<f32>() + tail
}

#[inline(always)]
fn dot_block<const ROWS: usize, const FUSED: bool>(row: &[f32], x: &[f32], out: &mut [f32], inputs: usize) {
    let mut sums = [[0.0f32; LANES]; ROWS];
    let whole = inputs / LANES * LANES;
    for k in (0..whole).step_by(LANES) {
        let w = &row[k..k + LANES];
        for (r, sums) in sums.iter_mut().enumerate() {
            let x = &x[r * inputs + k..r * inputs + k + LANES];
            for ((sum, w), x) in sums.iter_mut().zip(w).zip(x) {
                *sum = if FUSED { w.mul_add(*x, *sum) } else { *sum + w * x };
            }
        }
    }
    for (r, out) in out.iter_mut().enumerate() {
        let tail: f32 = (whole..inputs).map(|k| row[k] * x[r * inputs + k]).sum();
        *out = sums[r].iter().sum::<f32>() + tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_equals_the_definition() {
        let (outputs, inputs) = (130, 37);
        let weight: Vec<f32> = (0..outputs * inputs).map(|i| (i as f32 * 0.13).sin()).collect();
        for n in 1..=MOST_ROWS {
            let x: Vec<f32> = (0..n * inputs).map(|i| (i as f32 * 0.71).cos()).collect();
            let mut y = vec![0.0; n * outputs];
            few_rows(&weight, &x, &mut y, n, inputs);
            let mut portable = vec![0.0; n];
            for o in 0..outputs {
                let row = &weight[o * inputs..][..inputs];
                dots_portable(row, &x, &mut portable, inputs);
                for i in 0..n {
                    let dot: f32 = row.iter().zip(&x[i * inputs..]).map(|(w, x)| w * x).sum();
                    assert!((y[i * outputs + o] - dot).abs() < 1e-4);
                    assert!((portable[i] - dot).abs() < 1e-4);
                }
            }
        }
    }
}
