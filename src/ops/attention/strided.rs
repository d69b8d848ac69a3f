//! Attention in f32 on keys and values as they lie: behind cached spans, for few rows, and on processors without the packed kernel.

use super::softmax::{exponentials, multiply_row, score_gradient};
use super::{Head, HeadGradient, Span};
use crate::ops::matmul::{Threads, View, ViewMut, matmul};

/// Query rows per block: their scores stay in the second-level cache.
const BLOCK: usize = 64;

/// One head of one sequence; `offset` is where its key head begins in the rows of a past span. Gives the output
/// `[len, head_dim]` and the log-sum-exp of every row.
pub fn attend(head: &Head<'_>, offset: usize, past: &[Span<'_>]) -> (Vec<f32>, Vec<f32>) {
    let (n, hd) = (head.len, head.layout.head_dim);
    let (qw, kw) = (head.layout.q_width(), head.layout.kv_width());
    let before: usize = past.iter().map(|span| span.len).sum();
    let mut out = vec![0.0f32; n * hd];
    let mut lse = vec![0.0f32; n];
    let mut scores = vec![0.0f32; BLOCK.min(n) * (before + n)];
    for start in (0..n).step_by(BLOCK) {
        let block = BLOCK.min(n - start);
        // Keys after the block's last row are never seen by it.
        let seen = before + start + block;
        let q_block = View::strided(&head.q[start * qw..], block, hd, qw);
        let spans = past.iter().map(|s| (&s.keys[offset..], &s.values[offset..], s.len));
        let spans = spans.chain(std::iter::once((head.k, head.v, start + block)));
        let mut column = 0;
        for (keys, _, len) in spans.clone() {
            let keys = View::strided(keys, len, hd, kw);
            let target = ViewMut::strided(&mut scores[column..], block, len, seen);
            matmul(target, 0.0, q_block, keys.t(), 1.0, Threads::One);
            column += len;
        }
        for (i, row) in scores.chunks_exact_mut(seen).take(block).enumerate() {
            let (max, sum) = exponentials(row, before + start + i + 1, head.layout.scale());
            lse[start + i] = max + sum.ln();
            multiply_row(row, 1.0 / sum);
        }
        let mut column = 0;
        for (index, (_, values, len)) in spans.enumerate() {
            let values = View::strided(values, len, hd, kw);
            let weights = View::strided(&scores[column..], block, len, seen);
            let keep = if index == 0 { 0.0 } else { 1.0 };
            matmul(ViewMut::new(&mut out[start * hd..], block, hd), keep, weights, values, 1.0, Threads::One);
            column += len;
        }
    }
    (out, lse)
}

/// Gradients of one query head. `d_out` rows lie as query rows do; `inner` is ⟨dO, O⟩ of every row.
pub fn attend_backward(head: &Head<'_>, d_out: &[f32], lse: &[f32], inner: &[f32]) -> HeadGradient {
    let (n, hd) = (head.len, head.layout.head_dim);
    let (qw, kw) = (head.layout.q_width(), head.layout.kv_width());
    let mut gradient = HeadGradient { dq: vec![0.0; n * hd], dk: vec![0.0; n * hd], dv: vec![0.0; n * hd] };
    let mut p = vec![0.0f32; BLOCK.min(n) * n];
    let mut ds = vec![0.0f32; BLOCK.min(n) * n];
    for start in (0..n).step_by(BLOCK) {
        let block = BLOCK.min(n - start);
        let seen = start + block;
        let q_block = View::strided(&head.q[start * qw..], block, hd, qw);
        let d_block = View::strided(&d_out[start * qw..], block, hd, qw);
        let (k_seen, v_seen) = (View::strided(head.k, seen, hd, kw), View::strided(head.v, seen, hd, kw));
        matmul(ViewMut::new(&mut p, block, seen), 0.0, q_block, k_seen.t(), 1.0, Threads::One);
        matmul(ViewMut::new(&mut ds, block, seen), 0.0, d_block, v_seen.t(), 1.0, Threads::One);
        for (i, (p, ds)) in p.chunks_exact_mut(seen).zip(ds.chunks_exact_mut(seen)).take(block).enumerate() {
            let row = start + i;
            score_gradient(p, ds, row + 1, head.layout.scale(), lse[row], inner[row]);
        }
        let (p, ds) = (View::new(&p, block, seen), View::new(&ds, block, seen));
        matmul(ViewMut::new(&mut gradient.dv, seen, hd), 1.0, p.t(), d_block, 1.0, Threads::One);
        matmul(ViewMut::new(&mut gradient.dq[start * hd..], block, hd), 0.0, ds, k_seen, 1.0, Threads::One);
        matmul(ViewMut::new(&mut gradient.dk, seen, hd), 1.0, ds.t(), q_block, 1.0, Threads::One);
    }
    gradient
}
