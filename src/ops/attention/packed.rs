//! Attention with the products of packed operands; scores, softmax and sums are f32 in either arithmetic.

use super::softmax::{exponentials, multiply_row, score_gradient};
use super::{Head, HeadGradient};
use crate::ops::frozen::Arithmetic;
use crate::ops::packed::{
    COLS, ROWS, multiply, pack_left, pack_left_transposed, pack_right_cols, pack_right_rows, right_panel_len, steps,
};

/// Query rows per block: eight panels, so that the products over query rows are long enough.
const BLOCK: usize = 8 * ROWS;

/// Rows `0..rows` of a strided matrix as a left operand with `k` columns.
fn left(a: Arithmetic, x: &[f32], rows: usize, k: usize, stride: usize, words: &mut Vec<u32>) {
    let len = steps(a, k) * ROWS;
    words.resize(rows.div_ceil(ROWS) * len, 0);
    for (i, panel) in words.chunks_exact_mut(len).enumerate() {
        let first = i * ROWS;
        pack_left(a, panel, &x[first * stride..], ROWS.min(rows - first), k, stride);
    }
}

/// A right operand whose columns are the rows `0..cols` of a strided matrix with `k` columns.
fn right_of_rows(a: Arithmetic, x: &[f32], cols: usize, k: usize, stride: usize) -> Vec<u32> {
    let len = right_panel_len(steps(a, k));
    let mut words = vec![0; cols.div_ceil(COLS) * len];
    for (i, panel) in words.chunks_exact_mut(len).enumerate() {
        let first = i * COLS;
        pack_right_rows(a, panel, &x[first * stride..], COLS.min(cols - first), k, stride);
    }
    words
}

/// A right operand that is a strided matrix with `k` rows and `cols` columns.
fn right_of_columns(a: Arithmetic, x: &[f32], k: usize, cols: usize, stride: usize, words: &mut Vec<u32>) {
    let len = right_panel_len(steps(a, k));
    words.resize(cols.div_ceil(COLS) * len, 0);
    for (i, panel) in words.chunks_exact_mut(len).enumerate() {
        let first = i * COLS;
        pack_right_cols(a, panel, &x[first..], COLS.min(cols - first), k, stride);
    }
}

/// One head of one sequence: the output `[len, head_dim]` and the log-sum-exp of every row.
pub fn attend(head: &Head<'_>, a: Arithmetic) -> (Vec<f32>, Vec<f32>) {
    let (n, hd) = (head.len, head.layout.head_dim);
    let (qw, kw) = (head.layout.q_width(), head.layout.kv_width());
    let (depth, key_depth) = (steps(a, hd), steps(a, n));
    let keys = right_of_rows(a, head.k, n, hd, kw);
    let mut values = Vec::new();
    right_of_columns(a, head.v, n, hd, kw, &mut values);
    let mut out = vec![0.0f32; n * hd];
    let mut lse = vec![0.0f32; n];
    let mut factors = [0.0f32; BLOCK];
    let mut scores = vec![0.0f32; BLOCK.min(n) * n];
    let (mut queries, mut weights) = (Vec::new(), Vec::new());
    for start in (0..n).step_by(BLOCK) {
        let block = BLOCK.min(n - start);
        // Keys after the block's last row are never seen by it.
        let seen = start + block;
        left(a, &head.q[start * qw..], block, hd, qw, &mut queries);
        multiply(a, &queries, block, &keys, right_panel_len(depth), seen, depth, &mut scores, seen, false, 1.0);
        for (i, row) in scores.chunks_exact_mut(seen).take(block).enumerate() {
            let (max, sum) = exponentials(row, start + i + 1, head.layout.scale());
            lse[start + i] = max + sum.ln();
            factors[i] = 1.0 / sum;
        }
        left(a, &scores, block, seen, seen, &mut weights);
        let target = &mut out[start * hd..];
        let stride = right_panel_len(key_depth);
        multiply(a, &weights, block, &values, stride, hd, steps(a, seen), target, hd, false, 1.0);
        for (row, factor) in target.chunks_exact_mut(hd).zip(&factors[..block]) {
            multiply_row(row, *factor);
        }
    }
    (out, lse)
}

/// Gradients of one query head. `d_out` rows lie as query rows do; `inner` is ⟨dO, O⟩ of every row.
pub fn attend_backward(head: &Head<'_>, a: Arithmetic, d_out: &[f32], lse: &[f32], inner: &[f32]) -> HeadGradient {
    let (n, hd) = (head.len, head.layout.head_dim);
    let (qw, kw) = (head.layout.q_width(), head.layout.kv_width());
    let (depth, key_depth) = (steps(a, hd), steps(a, n));
    let mut gradient = HeadGradient { dq: vec![0.0; n * hd], dk: vec![0.0; n * hd], dv: vec![0.0; n * hd] };
    let keys = right_of_rows(a, head.k, n, hd, kw);
    let values = right_of_rows(a, head.v, n, hd, kw);
    let mut keys_by_row = Vec::new();
    right_of_columns(a, head.k, n, hd, kw, &mut keys_by_row);
    let mut p = vec![0.0f32; BLOCK.min(n) * n];
    let mut ds = vec![0.0f32; BLOCK.min(n) * n];
    let (mut rows, mut columns, mut across) = (Vec::new(), Vec::new(), Vec::new());
    for start in (0..n).step_by(BLOCK) {
        let block = BLOCK.min(n - start);
        let seen = start + block;
        let (q_block, d_block) = (&head.q[start * qw..], &d_out[start * qw..]);
        left(a, q_block, block, hd, qw, &mut rows);
        multiply(a, &rows, block, &keys, right_panel_len(depth), seen, depth, &mut p, seen, false, 1.0);
        left(a, d_block, block, hd, qw, &mut rows);
        multiply(a, &rows, block, &values, right_panel_len(depth), seen, depth, &mut ds, seen, false, 1.0);
        for (i, (p, ds)) in p.chunks_exact_mut(seen).zip(ds.chunks_exact_mut(seen)).take(block).enumerate() {
            let row = start + i;
            score_gradient(p, ds, row + 1, head.layout.scale(), lse[row], inner[row]);
        }
        // dQ = dS·K
        left(a, &ds, block, seen, seen, &mut rows);
        let target = &mut gradient.dq[start * hd..];
        let stride = right_panel_len(key_depth);
        multiply(a, &rows, block, &keys_by_row, stride, hd, steps(a, seen), target, hd, false, 1.0);
        // dV += Pᵀ·dO, dK += dSᵀ·Q
        let block_depth = steps(a, block);
        let stride = right_panel_len(block_depth);
        across.resize(seen.div_ceil(ROWS) * block_depth * ROWS, 0);
        for (scores, with, target) in [(&p, d_block, &mut gradient.dv), (&ds, q_block, &mut gradient.dk)] {
            pack_left_transposed(a, &mut across, scores, seen, block, seen);
            right_of_columns(a, with, block, hd, qw, &mut columns);
            multiply(a, &across, seen, &columns, stride, hd, block_depth, target, hd, true, 1.0);
        }
    }
    gradient
}
