//! Attention with bf16 products; scores, softmax and sums stay f32.

use super::softmax::{exponentials, multiply_row, score_gradient};
use super::{Head, HeadGradient};
use crate::ops::bf16::{
    COLS, ROWS, multiply, pack_left, pack_left_transposed, pack_right_cols, pack_right_rows, right_panel_len,
};

/// Query rows per block: eight panels, so that the products over query rows are long enough.
const BLOCK: usize = 8 * ROWS;

/// Rows `0..rows` of a strided matrix as a left operand with `k` columns.
fn left(x: &[f32], rows: usize, k: usize, stride: usize, words: &mut Vec<u32>) {
    let len = k.div_ceil(2) * ROWS;
    words.resize(rows.div_ceil(ROWS) * len, 0);
    for (i, panel) in words.chunks_exact_mut(len).enumerate() {
        let first = i * ROWS;
        pack_left(panel, &x[first * stride..], ROWS.min(rows - first), k, stride);
    }
}

/// A right operand whose columns are the rows `0..cols` of a strided matrix with `k` columns.
fn right_of_rows(x: &[f32], cols: usize, k: usize, stride: usize) -> Vec<u32> {
    let len = right_panel_len(k.div_ceil(2));
    let mut words = vec![0; cols.div_ceil(COLS) * len];
    for (i, panel) in words.chunks_exact_mut(len).enumerate() {
        let first = i * COLS;
        pack_right_rows(panel, &x[first * stride..], COLS.min(cols - first), k, stride);
    }
    words
}

/// A right operand that is a strided matrix with `k` rows and `cols` columns.
fn right_of_columns(x: &[f32], k: usize, cols: usize, stride: usize, words: &mut Vec<u32>) {
    let len = right_panel_len(k.div_ceil(2));
    words.resize(cols.div_ceil(COLS) * len, 0);
    for (i, panel) in words.chunks_exact_mut(len).enumerate() {
        let first = i * COLS;
        pack_right_cols(panel, &x[first..], COLS.min(cols - first), k, stride);
    }
}

/// One head of one sequence: the output `[len, head_dim]` and the log-sum-exp of every row.
pub fn attend(head: &Head<'_>) -> (Vec<f32>, Vec<f32>) {
    let (n, hd) = (head.len, head.layout.head_dim);
    let (qw, kw) = (head.layout.q_width(), head.layout.kv_width());
    let (pairs, key_pairs) = (hd.div_ceil(2), n.div_ceil(2));
    let keys = right_of_rows(head.k, n, hd, kw);
    let mut values = Vec::new();
    right_of_columns(head.v, n, hd, kw, &mut values);
    let mut out = vec![0.0f32; n * hd];
    let mut lse = vec![0.0f32; n];
    let mut factors = [0.0f32; BLOCK];
    let mut scores = vec![0.0f32; BLOCK.min(n) * n];
    let (mut queries, mut weights) = (Vec::new(), Vec::new());
    for start in (0..n).step_by(BLOCK) {
        let block = BLOCK.min(n - start);
        // Keys after the block's last row are never seen by it.
        let seen = start + block;
        left(&head.q[start * qw..], block, hd, qw, &mut queries);
        multiply(&queries, block, &keys, right_panel_len(pairs), seen, pairs, &mut scores, seen, false, 1.0);
        for (i, row) in scores.chunks_exact_mut(seen).take(block).enumerate() {
            let (max, sum) = exponentials(row, start + i + 1, head.layout.scale());
            lse[start + i] = max + sum.ln();
            factors[i] = 1.0 / sum;
        }
        left(&scores, block, seen, seen, &mut weights);
        let target = &mut out[start * hd..];
        let stride = right_panel_len(key_pairs);
        multiply(&weights, block, &values, stride, hd, seen.div_ceil(2), target, hd, false, 1.0);
        for (row, factor) in target.chunks_exact_mut(hd).zip(&factors[..block]) {
            multiply_row(row, *factor);
        }
    }
    (out, lse)
}

/// Gradients of one query head. `d_out` rows lie as query rows do; `inner` is ⟨dO, O⟩ of every row.
pub fn attend_backward(head: &Head<'_>, d_out: &[f32], lse: &[f32], inner: &[f32]) -> HeadGradient {
    let (n, hd) = (head.len, head.layout.head_dim);
    let (qw, kw) = (head.layout.q_width(), head.layout.kv_width());
    let (pairs, key_pairs) = (hd.div_ceil(2), n.div_ceil(2));
    let mut gradient = HeadGradient { dq: vec![0.0; n * hd], dk: vec![0.0; n * hd], dv: vec![0.0; n * hd] };
    let keys = right_of_rows(head.k, n, hd, kw);
    let values = right_of_rows(head.v, n, hd, kw);
    let mut keys_by_row = Vec::new();
    right_of_columns(head.k, n, hd, kw, &mut keys_by_row);
    let mut p = vec![0.0f32; BLOCK.min(n) * n];
    let mut ds = vec![0.0f32; BLOCK.min(n) * n];
    let (mut rows, mut columns, mut across) = (Vec::new(), Vec::new(), Vec::new());
    for start in (0..n).step_by(BLOCK) {
        let block = BLOCK.min(n - start);
        let seen = start + block;
        let (q_block, d_block) = (&head.q[start * qw..], &d_out[start * qw..]);
        left(q_block, block, hd, qw, &mut rows);
        multiply(&rows, block, &keys, right_panel_len(pairs), seen, pairs, &mut p, seen, false, 1.0);
        left(d_block, block, hd, qw, &mut rows);
        multiply(&rows, block, &values, right_panel_len(pairs), seen, pairs, &mut ds, seen, false, 1.0);
        for (i, (p, ds)) in p.chunks_exact_mut(seen).zip(ds.chunks_exact_mut(seen)).take(block).enumerate() {
            let row = start + i;
            score_gradient(p, ds, row + 1, head.layout.scale(), lse[row], inner[row]);
        }
        // dQ = dS·K
        left(&ds, block, seen, seen, &mut rows);
        let target = &mut gradient.dq[start * hd..];
        let stride = right_panel_len(key_pairs);
        multiply(&rows, block, &keys_by_row, stride, hd, seen.div_ceil(2), target, hd, false, 1.0);
        // dV += Pᵀ·dO, dK += dSᵀ·Q
        let block_pairs = block.div_ceil(2);
        let stride = right_panel_len(block_pairs);
        across.resize(seen.div_ceil(ROWS) * block_pairs * ROWS, 0);
        for (scores, with, target) in [(&p, d_block, &mut gradient.dv), (&ds, q_block, &mut gradient.dk)] {
            pack_left_transposed(&mut across, scores, seen, block, seen);
            right_of_columns(with, block, hd, qw, &mut columns);
            multiply(&across, seen, &columns, stride, hd, block_pairs, target, hd, true, 1.0);
        }
    }
    gradient
}
