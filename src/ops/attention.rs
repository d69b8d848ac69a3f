//! Causal grouped-query attention over sequences that lie one after another in a batch.
//!
//! A query row sees the rows of its own sequence up to itself, and before them the sequence's `past`
//! spans (cached keys and values). No T×T matrix per head exists: scores are made for blocks of
//! query rows and thrown away; the backward makes them again from the kept log-sum-exp
//! (Dao et al. 2022 describe the recomputation).

use super::elementwise::exp;
use super::matmul::{Threads, View, ViewMut, matmul};
use rayon::prelude::*;
use std::ops::Range;

/// Query rows per block: their scores stay in the second-level cache.
const BLOCK: usize = 64;

/// How heads lie in a row: `q` rows are `[heads × head_dim]`, `k` and `v` rows `[kv_heads × head_dim]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLayout {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Features of a head.
    pub head_dim: usize,
}

impl HeadLayout {
    /// Features of a query row.
    pub fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Features of a key or value row.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }
}

/// Keys and values that a sequence attends to before its own rows: `[len, kv_heads × head_dim]` each.
#[derive(Clone, Copy)]
pub struct Span<'a> {
    /// Keys after RoPE.
    pub keys: &'a [f32],
    /// Values.
    pub values: &'a [f32],
    /// Rows.
    pub len: usize,
}

/// Attention of every sequence: `rows[s]` are the batch rows of sequence `s`, `past[s]` what lies before
/// them (may be empty for all: then `past` may be an empty slice). Writes `out` [n, q_width] and, per row
/// and head, the log-sum-exp of the scores into `lse` [n, heads].
#[allow(clippy::too_many_arguments)]
pub fn attention(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    layout: HeadLayout,
    rows: &[Range<usize>],
    past: &[Vec<Span<'_>>],
    out: &mut [f32],
    lse: &mut [f32],
) {
    let (qw, kw, hd) = (layout.q_width(), layout.kv_width(), layout.head_dim);
    let tasks: Vec<(usize, usize)> =
        (0..rows.len()).flat_map(|s| (0..layout.heads).map(move |head| (s, head))).collect();
    let parts: Vec<(Vec<f32>, Vec<f32>)> = tasks
        .par_iter()
        .map(|&(s, head)| {
            let range = rows[s].clone();
            let no_past = Vec::new();
            let own = Span { keys: &k[range.start * kw..], values: &v[range.start * kw..], len: range.len() };
            let queries = &q[range.start * qw + head * hd..];
            let past = past.get(s).unwrap_or(&no_past);
            attend_head(queries, qw, kw, head / layout.group() * hd, layout, past, own)
        })
        .collect();
    for (&(s, head), (part, sums)) in tasks.iter().zip(&parts) {
        for (i, row) in rows[s].clone().enumerate() {
            out[row * qw + head * hd..][..hd].copy_from_slice(&part[i * hd..][..hd]);
            lse[row * layout.heads + head] = sums[i];
        }
    }
}

/// One head of one sequence; `offset` is where its key head begins in a key row.
fn attend_head(
    queries: &[f32],
    q_stride: usize,
    kv_stride: usize,
    offset: usize,
    layout: HeadLayout,
    past: &[Span<'_>],
    own: Span<'_>,
) -> (Vec<f32>, Vec<f32>) {
    let hd = layout.head_dim;
    let n = own.len;
    let before: usize = past.iter().map(|span| span.len).sum();
    let mut out = vec![0.0f32; n * hd];
    let mut lse = vec![0.0f32; n];
    let mut scores = vec![0.0f32; BLOCK.min(n) * (before + n)];
    for start in (0..n).step_by(BLOCK) {
        let block = BLOCK.min(n - start);
        // Keys after the block's last row are never seen by it.
        let seen = before + start + block;
        let q_block = View::strided(&queries[start * q_stride..], block, hd, q_stride);
        let spans = past.iter().copied().chain(std::iter::once(Span { len: start + block, ..own }));
        let mut column = 0;
        for span in spans.clone() {
            let keys = View::strided(&span.keys[offset..], span.len, hd, kv_stride);
            let target = ViewMut::strided(&mut scores[column..], block, span.len, seen);
            matmul(target, 0.0, q_block, keys.t(), layout.scale(), Threads::One);
            column += span.len;
        }
        for (i, row) in scores.chunks_exact_mut(seen).take(block).enumerate() {
            lse[start + i] = softmax_row(row, before + start + i + 1);
        }
        let mut column = 0;
        for (index, span) in spans.enumerate() {
            let values = View::strided(&span.values[offset..], span.len, hd, kv_stride);
            let weights = View::strided(&scores[column..], block, span.len, seen);
            let keep = if index == 0 { 0.0 } else { 1.0 };
            matmul(ViewMut::new(&mut out[start * hd..], block, hd), keep, weights, values, 1.0, Threads::One);
            column += span.len;
        }
    }
    (out, lse)
}

/// Softmax over the first `visible` scores, zeros after them; gives the log-sum-exp.
fn softmax_row(row: &mut [f32], visible: usize) -> f32 {
    let (row, hidden) = row.split_at_mut(visible);
    hidden.fill(0.0);
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0f32; 8];
    let mut chunks = row.chunks_exact_mut(8);
    for chunk in &mut chunks {
        for (x, sum) in chunk.iter_mut().zip(&mut sums) {
            *x = exp(*x - max);
            *sum += *x;
        }
    }
    for x in chunks.into_remainder() {
        *x = exp(*x - max);
        sums[0] += *x;
    }
    let sum: f32 = sums.iter().sum();
    let inverse = 1.0 / sum;
    for x in row.iter_mut() {
        *x *= inverse;
    }
    max + sum.ln()
}

/// Gradients of [`attention`] without past spans: overwrites `dq`, `dk`, `dv` from `d_out` [n, q_width].
///
/// With P = softmax scores and D = ⟨dO, O⟩ per row: dV = Pᵀ·dO, dS = P ⊙ (dO·Vᵀ − D), dQ = s·dS·K, dK = s·dSᵀ·Q.
#[allow(clippy::too_many_arguments)]
pub fn attention_backward(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    out: &[f32],
    lse: &[f32],
    d_out: &[f32],
    layout: HeadLayout,
    rows: &[Range<usize>],
    dq: &mut [f32],
    dk: &mut [f32],
    dv: &mut [f32],
) {
    let (qw, kw, hd, group) = (layout.q_width(), layout.kv_width(), layout.head_dim, layout.group());
    let tasks: Vec<(usize, usize)> =
        (0..rows.len()).flat_map(|s| (0..layout.kv_heads).map(move |head| (s, head))).collect();
    let forward = Forward { q, k, v, out, lse, d_out };
    let parts: Vec<HeadGradient> =
        tasks.par_iter().map(|&(s, kv_head)| forward.group_gradient(layout, rows[s].clone(), kv_head)).collect();
    for (&(s, kv_head), part) in tasks.iter().zip(&parts) {
        for (i, row) in rows[s].clone().enumerate() {
            let width = group * hd;
            dq[row * qw + kv_head * width..][..width].copy_from_slice(&part.dq[i * width..][..width]);
            dk[row * kw + kv_head * hd..][..hd].copy_from_slice(&part.dk[i * hd..][..hd]);
            dv[row * kw + kv_head * hd..][..hd].copy_from_slice(&part.dv[i * hd..][..hd]);
        }
    }
}

struct HeadGradient {
    /// `[len, group × head_dim]`.
    dq: Vec<f32>,
    /// `[len, head_dim]`.
    dk: Vec<f32>,
    /// `[len, head_dim]`.
    dv: Vec<f32>,
}

struct Forward<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    out: &'a [f32],
    lse: &'a [f32],
    d_out: &'a [f32],
}

impl Forward<'_> {
    /// Gradients of one key head and of all query heads that share it, in one sequence.
    fn group_gradient(&self, layout: HeadLayout, rows: Range<usize>, kv_head: usize) -> HeadGradient {
        let (qw, kw, hd, group) = (layout.q_width(), layout.kv_width(), layout.head_dim, layout.group());
        let n = rows.len();
        let keys = &self.k[rows.start * kw + kv_head * hd..];
        let values = &self.v[rows.start * kw + kv_head * hd..];
        let mut gradient = HeadGradient { dq: vec![0.0; n * group * hd], dk: vec![0.0; n * hd], dv: vec![0.0; n * hd] };
        let mut p = vec![0.0f32; BLOCK.min(n) * n];
        let mut ds = vec![0.0f32; BLOCK.min(n) * n];
        for member in 0..group {
            let head = kv_head * group + member;
            for start in (0..n).step_by(BLOCK) {
                let block = BLOCK.min(n - start);
                let seen = start + block;
                let at = (rows.start + start) * qw + head * hd;
                let q_block = View::strided(&self.q[at..], block, hd, qw);
                let d_block = View::strided(&self.d_out[at..], block, hd, qw);
                let (k_seen, v_seen) = (View::strided(keys, seen, hd, kw), View::strided(values, seen, hd, kw));
                matmul(ViewMut::new(&mut p, block, seen), 0.0, q_block, k_seen.t(), layout.scale(), Threads::One);
                matmul(ViewMut::new(&mut ds, block, seen), 0.0, d_block, v_seen.t(), 1.0, Threads::One);
                for i in 0..block {
                    let row = rows.start + start + i;
                    let lse = self.lse[row * layout.heads + head];
                    let at = row * qw + head * hd;
                    let d: f32 = self.out[at..at + hd].iter().zip(&self.d_out[at..at + hd]).map(|(o, d)| o * d).sum();
                    let (p, ds) = (&mut p[i * seen..][..seen], &mut ds[i * seen..][..seen]);
                    let visible = start + i + 1;
                    for (p, ds) in p[..visible].iter_mut().zip(&mut ds[..visible]) {
                        *p = exp(*p - lse);
                        *ds = *p * (*ds - d);
                    }
                    p[visible..].fill(0.0);
                    ds[visible..].fill(0.0);
                }
                let (p, ds) = (View::new(&p, block, seen), View::new(&ds, block, seen));
                matmul(ViewMut::new(&mut gradient.dv, seen, hd), 1.0, p.t(), d_block, 1.0, Threads::One);
                let dq = &mut gradient.dq[start * group * hd + member * hd..];
                let scale = layout.scale();
                matmul(ViewMut::strided(dq, block, hd, group * hd), 0.0, ds, k_seen, scale, Threads::One);
                matmul(ViewMut::new(&mut gradient.dk, seen, hd), 1.0, ds.t(), q_block, scale, Threads::One);
            }
        }
        gradient
    }
}
