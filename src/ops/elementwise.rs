//! Element-wise operations, spread over all cores.

use super::simd::by_processor;
use rayon::prelude::*;

/// Elements per parallel task: large enough that a task outweighs its scheduling.
const CHUNK: usize = 16 * 1024;

/// eˣ by range reduction to 2ⁿ·e^r, |r| ≤ ln2/2, and a degree-6 polynomial; relative error below 2e-7.
/// Unlike `f32::exp` it has no branches and no call, so loops over it become vector code.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, so that n·ln2 is subtracted without losing bits (Cody–Waite).
    const LN2_HI: f32 = 0.693_359_4;
    const LN2_LO: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    // Adding 1.5·2²³ rounds to an integer, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let rounded = x * LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * LN2_HI - n * LN2_LO;
    let p =
        1.0 + r * (1.0 + r * (0.5 + r * (0.166_666_67 + r * (0.041_666_67 + r * (0.008_333_334 + r * 0.001_388_889)))));
    // 2ⁿ is made of its exponent bits; the constant's own bits are shifted out at the top.
    p * f32::from_bits(rounded.to_bits().wrapping_add(127) << 23)
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Dot product in sixteen running sums: the compiler may not reorder a single one into vector code.
#[inline(always)]
pub fn dot<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 16];
    let (chunks_a, rest_a) = a.as_chunks::<16>();
    let (chunks_b, rest_b) = b.as_chunks::<16>();
    for (x, y) in chunks_a.iter().zip(chunks_b) {
        for i in 0..16 {
            sums[i] = if FUSED { x[i].mul_add(y[i], sums[i]) } else { sums[i] + x[i] * y[i] };
        }
    }
    let tail: f32 = rest_a.iter().zip(rest_b).map(|(x, y)| x * y).sum();
    // In a tree: pairwise halves stay in vector registers.
    let mut width = 8;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0] + tail
}

by_processor! {
    /// `y += x` on the calling thread.
    pub fn add_row(y: &mut [f32], x: &[f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
}

/// `y += x`.
pub fn add_assign(y: &mut [f32], x: &[f32]) {
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| add_row(y, x));
}

/// `y += bias` in every row.
pub fn add_bias(y: &mut [f32], bias: &[f32]) {
    y.par_chunks_mut(bias.len()).with_min_len(32).for_each(|row| add_row(row, bias));
}

by_processor! {
    fn swiglu_chunk(gate: &[f32], up: &[f32], out: &mut [f32]) {
        for (o, (g, u)) in out.iter_mut().zip(gate.iter().zip(up)) {
            *o = g * sigmoid(*g) * u;
        }
    }
}

/// `out = silu(gate) ⊙ up` (Shazeer 2020).
pub fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    out.par_chunks_mut(CHUNK)
        .zip(gate.par_chunks(CHUNK).zip(up.par_chunks(CHUNK)))
        .for_each(|(out, (gate, up))| swiglu_chunk(gate, up, out));
}

by_processor! {
    fn swiglu_backward_chunk(gate: &mut [f32], up: &mut [f32], d_out: &[f32]) {
        for ((g, u), d) in gate.iter_mut().zip(up.iter_mut()).zip(d_out) {
            let s = sigmoid(*g);
            let silu = *g * s;
            let d_gate = d * *u * (s + silu * (1.0 - s));
            *u = d * silu;
            *g = d_gate;
        }
    }
}

/// Gradients of [`swiglu`]: overwrites `gate` and `up` (the forward's inputs) with their gradients.
pub fn swiglu_backward(gate: &mut [f32], up: &mut [f32], d_out: &[f32]) {
    gate.par_chunks_mut(CHUNK)
        .zip(up.par_chunks_mut(CHUNK))
        .zip(d_out.par_chunks(CHUNK))
        .for_each(|((gate, up), d_out)| swiglu_backward_chunk(gate, up, d_out));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_the_standard_library() {
        for i in -86_000..88_000 {
            let x = i as f32 * 1e-3;
            let (ours, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(((ours - exact) / exact).abs() < 3e-7, "exp({x}) = {ours}, not {exact}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }
}
