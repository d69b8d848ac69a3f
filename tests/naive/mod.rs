//! The model's operations as their definitions read, in f64, one loop a sum: slow, and short enough to be believed.
//! Matrices are row-major; `finite_differences` is the judge of every gradient here that is written out.
#![allow(dead_code, clippy::panic)]

use linly_bench::ops::{Arithmetic, HeadLayout};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::ops::Range;

/// Largest difference in f32 arithmetic, as a share of the largest expected value: numbers are rounded by at most
/// 2⁻²⁴ ≈ 6e-8 of themselves and sums have up to a few hundred terms.
pub const F32: f64 = 1e-5;

/// The arithmetics that this processor has; prints why one is left out.
pub fn arithmetics() -> Vec<Arithmetic> {
    let (here, missing): (Vec<_>, Vec<_>) =
        [Arithmetic::F32, Arithmetic::Bf16].into_iter().partition(|a| a.available());
    for arithmetic in missing {
        eprintln!("skipped: {} (this processor has no AVX-512 BF16)", arithmetic.name());
    }
    here
}

/// The largest magnitude.
pub fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |most, x| most.max(x.abs()))
}

/// Every element lies within `bound` × the largest expected magnitude.
pub fn assert_close(what: &str, found: &[f32], expected: &[f64], bound: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let most = largest(expected);
    assert!(most > 0.0, "{what}: all expected values are zero, nothing would be tested");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*a) - b).abs() / most;
        assert!(error <= bound, "{what}: element {i} is {a}, not {b}: {error:.1e} of the largest, bound {bound:.1e}");
    }
}

/// `n` numbers, uniform in ±`most`, the same for the same `seed`.
pub fn numbers(n: usize, most: f32, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-most..most)).collect()
}

/// The same numbers in f64.
pub fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

/// ⟨a, b⟩.
pub fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Gradient of `f` at `x` by central differences: with h = 1e-5 and f64 sums the error is near 1e-9.
pub fn finite_differences(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const H: f64 = 1e-5;
    let mut x = x.to_vec();
    (0..x.len())
        .map(|i| {
            let centre = x[i];
            x[i] = centre + H;
            let above = f(&x);
            x[i] = centre - H;
            let below = f(&x);
            x[i] = centre;
            (above - below) / (2.0 * H)
        })
        .collect()
}

/// `x·wᵀ`: `x` [n, k], `w` [m, k] → [n, m].
pub fn times_transposed(x: &[f64], w: &[f64], k: usize) -> Vec<f64> {
    x.chunks_exact(k).flat_map(|x| w.chunks_exact(k).map(move |w| inner(x, w))).collect()
}

/// `x·w`: `x` [n, k], `w` [k, m] → [n, m].
pub fn times(x: &[f64], w: &[f64], k: usize) -> Vec<f64> {
    let m = w.len() / k;
    let entry = |x: &[f64], j: usize| x.iter().enumerate().map(|(p, x)| x * w[p * m + j]).sum();
    x.chunks_exact(k).flat_map(|x| (0..m).map(move |j| entry(x, j))).collect()
}

/// Every number's magnitude: products of these bound the rounding errors of a product.
pub fn magnitudes(x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| x.abs()).collect()
}

/// `x / √(mean(x²) + eps) ⊙ weight` in every row.
pub fn rms_norm(x: &[f64], weight: &[f64], eps: f64) -> Vec<f64> {
    let width = weight.len();
    x.chunks_exact(width)
        .flat_map(|row| {
            let rms = (inner(row, row) / width as f64 + eps).sqrt();
            row.iter().zip(weight).map(move |(x, w)| x / rms * w)
        })
        .collect()
}

/// Turns feature i of every head with feature i + head_dim/2 by position × frequency i.
pub fn rope(x: &[f64], width: usize, frequencies: &[f32], positions: &[u32]) -> Vec<f64> {
    let half = frequencies.len();
    let mut y = x.to_vec();
    for (row, position) in y.chunks_exact_mut(width).zip(positions) {
        for head in row.chunks_exact_mut(2 * half) {
            for (i, frequency) in frequencies.iter().enumerate() {
                // The angle is made in f32: it is part of the model's definition, as it is in transformers.
                let (sin, cos) = f64::from(*position as f32 * frequency).sin_cos();
                let (a, b) = (head[i], head[i + half]);
                head[i] = a * cos - b * sin;
                head[i + half] = b * cos + a * sin;
            }
        }
    }
    y
}

/// `gate·σ(gate)·up`.
pub fn swiglu(gate: f64, up: f64) -> f64 {
    gate / (1.0 + (-gate).exp()) * up
}

/// Queries, keys and values of a packed batch.
#[derive(Clone)]
pub struct Qkv {
    pub q: Vec<f64>,
    pub k: Vec<f64>,
    pub v: Vec<f64>,
    pub layout: HeadLayout,
}

/// Softmax weights of one query row of one head over the rows of its sequence up to itself.
fn weights(input: &Qkv, sequence: &Range<usize>, row: usize, head: usize) -> (Vec<f64>, f64) {
    let (layout, hd) = (input.layout, input.layout.head_dim);
    let kv = head / (layout.heads / layout.kv_heads) * hd;
    let q = &input.q[row * layout.q_width() + head * hd..][..hd];
    let scores: Vec<f64> = (sequence.start..=row)
        .map(|j| inner(q, &input.k[j * layout.kv_width() + kv..][..hd]) / (hd as f64).sqrt())
        .collect();
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let lse = max + scores.iter().map(|s| (s - max).exp()).sum::<f64>().ln();
    (scores.iter().map(|s| (s - lse).exp()).collect(), lse)
}

/// Calls `visit(row, head, first row of its sequence, weights, log-sum-exp)` for every query.
fn for_queries(input: &Qkv, sequences: &[Range<usize>], mut visit: impl FnMut(usize, usize, usize, &[f64], f64)) {
    for sequence in sequences {
        for row in sequence.clone() {
            for head in 0..input.layout.heads {
                let (p, lse) = weights(input, sequence, row, head);
                visit(row, head, sequence.start, &p, lse);
            }
        }
    }
}

/// Causal attention within every sequence: output and log-sum-exp.
pub fn attention(input: &Qkv, sequences: &[Range<usize>]) -> (Vec<f64>, Vec<f64>) {
    let (layout, hd) = (input.layout, input.layout.head_dim);
    let mut out = vec![0.0; input.q.len()];
    let mut sums = vec![0.0; input.q.len() / hd];
    for_queries(input, sequences, |row, head, first, p, lse| {
        sums[row * layout.heads + head] = lse;
        let kv = head / (layout.heads / layout.kv_heads) * hd;
        for (j, p) in p.iter().enumerate() {
            for i in 0..hd {
                let v = input.v[(first + j) * layout.kv_width() + kv + i];
                out[row * layout.q_width() + head * hd + i] += p * v;
            }
        }
    });
    (out, sums)
}

/// Gradients of ⟨d_out, attention⟩ with respect to q, k, v, by the chain rule through the softmax.
pub fn attention_gradients(input: &Qkv, sequences: &[Range<usize>], d_out: &[f64]) -> [Vec<f64>; 3] {
    let (layout, hd) = (input.layout, input.layout.head_dim);
    let (qw, kw, scale) = (layout.q_width(), layout.kv_width(), 1.0 / (hd as f64).sqrt());
    let (mut dq, mut dk, mut dv) = (vec![0.0; input.q.len()], vec![0.0; input.k.len()], vec![0.0; input.v.len()]);
    for_queries(input, sequences, |row, head, first, p, _| {
        let kv = head / (layout.heads / layout.kv_heads) * hd;
        let (q, d) = (row * qw + head * hd, &d_out[row * qw + head * hd..][..hd]);
        let dp: Vec<f64> = (0..p.len()).map(|j| inner(d, &input.v[(first + j) * kw + kv..][..hd])).collect();
        let mean = inner(p, &dp);
        for j in 0..p.len() {
            let at = (first + j) * kw + kv;
            let ds = p[j] * (dp[j] - mean) * scale;
            for i in 0..hd {
                dv[at + i] += p[j] * d[i];
                dq[q + i] += ds * input.k[at + i];
                dk[at + i] += ds * input.q[q + i];
            }
        }
    });
    [dq, dk, dv]
}

/// Log-sum-exp of one row's logits, and softmax minus one at its target: the gradient of its loss.
fn row_loss(weight: &[f64], x: &[f64], target: usize) -> (f64, Vec<f64>) {
    let logits = times_transposed(x, weight, x.len());
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let lse = max + logits.iter().map(|z| (z - max).exp()).sum::<f64>().ln();
    let mut p: Vec<f64> = logits.iter().map(|z| (z - lse).exp()).collect();
    p[target] -= 1.0;
    (lse - logits[target], p)
}

/// Σ −ln softmax(hidden·Wᵀ)[target], and its gradient with respect to `hidden`.
pub fn cross_entropy(weight: &[f64], hidden: &[f64], targets: &[u32], width: usize) -> (f64, Vec<f64>) {
    let (mut sum, mut gradient) = (0.0, Vec::new());
    for (x, target) in hidden.chunks_exact(width).zip(targets) {
        let (loss, p) = row_loss(weight, x, *target as usize);
        sum += loss;
        gradient.extend(times(&p, weight, p.len()));
    }
    (sum, gradient)
}

/// The gradient of [`cross_entropy`] with respect to the weight.
pub fn cross_entropy_of_weight(weight: &[f64], hidden: &[f64], targets: &[u32], width: usize) -> Vec<f64> {
    let mut gradient = vec![0.0; weight.len()];
    for (x, target) in hidden.chunks_exact(width).zip(targets) {
        let (_, p) = row_loss(weight, x, *target as usize);
        for (i, g) in gradient.iter_mut().enumerate() {
            *g += p[i / width] * x[i % width];
        }
    }
    gradient
}
