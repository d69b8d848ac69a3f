//! Causal grouped-query attention over sequences that lie one after another in a batch.
//!
//! A query row sees the rows of its own sequence up to itself, and before them the sequence's `past`
//! spans (cached keys and values). No T×T matrix per head exists: scores are made for blocks of
//! query rows and thrown away; the backward makes them again from the kept log-sum-exp
//! (Dao et al. 2022 describe the recomputation).

mod packed;
mod softmax;
mod strided;

use super::elementwise::add_row;
use super::frozen::Arithmetic;
use super::packed::available;
use rayon::prelude::*;
use std::ops::Range;

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

/// Queries, keys and values of a batch: `[n, q_width]`, `[n, kv_width]`, `[n, kv_width]`, after RoPE.
#[derive(Clone, Copy)]
pub struct Qkv<'a> {
    /// Queries.
    pub q: &'a [f32],
    /// Keys.
    pub k: &'a [f32],
    /// Values.
    pub v: &'a [f32],
    /// How heads lie in them.
    pub layout: HeadLayout,
}

/// What the forward gave, and the gradient of its output.
#[derive(Clone, Copy)]
pub struct Attended<'a> {
    /// `[n, q_width]`.
    pub out: &'a [f32],
    /// Log-sum-exp of the scores `[n, heads]`.
    pub lse: &'a [f32],
    /// Gradient of `out`.
    pub d_out: &'a [f32],
}

/// One head of one sequence, as slices that begin at its first element.
struct Head<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    layout: HeadLayout,
    len: usize,
}

impl<'a> Qkv<'a> {
    fn head(self, rows: &Range<usize>, head: usize) -> Head<'a> {
        let layout = self.layout;
        let kv = rows.start * layout.kv_width() + head / layout.group() * layout.head_dim;
        Head {
            q: &self.q[rows.start * layout.q_width() + head * layout.head_dim..],
            k: &self.k[kv..],
            v: &self.v[kv..],
            layout,
            len: rows.len(),
        }
    }
}

/// Gradients of one query head in one sequence: `[len, head_dim]` each. Those of keys and values are shares, to be
/// summed over the query heads that use the same keys.
struct HeadGradient {
    dq: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
}

/// Shorter sequences gain nothing from packing: it costs more than it saves.
const SHORTEST_PACKED: usize = 16;

/// Attention of every sequence: `rows[s]` are the batch rows of sequence `s`, `past[s]` what lies before
/// them (may be empty for all: then `past` may be an empty slice). Writes `out` [n, q_width] and, per row
/// and head, the log-sum-exp of the scores into `lse` [n, heads].
pub fn attention(
    input: Qkv<'_>,
    rows: &[Range<usize>],
    past: &[Vec<Span<'_>>],
    arithmetic: Arithmetic,
    out: &mut [f32],
    lse: &mut [f32],
) {
    let layout = input.layout;
    let tasks = tasks(rows, layout.heads);
    let parts: Vec<(Vec<f32>, Vec<f32>)> = tasks
        .par_iter()
        .map(|&(s, head)| {
            let past = past.get(s).map_or(&[][..], |past| &past[..]);
            let one = input.head(&rows[s], head);
            if past.is_empty() && one.len >= SHORTEST_PACKED && available(arithmetic) {
                packed::attend(&one, arithmetic)
            } else {
                strided::attend(&one, head / layout.group() * layout.head_dim, past)
            }
        })
        .collect();
    let (qw, hd) = (layout.q_width(), layout.head_dim);
    let place = places(rows);
    out.par_chunks_mut(qw).zip(lse.par_chunks_mut(layout.heads)).zip(&place).with_min_len(16).for_each(
        |((out, lse), &(s, i))| {
            for (head, (part, sums)) in parts[s * layout.heads..][..layout.heads].iter().enumerate() {
                out[head * hd..][..hd].copy_from_slice(&part[i * hd..][..hd]);
                lse[head] = sums[i];
            }
        },
    );
}

/// Gradients of [`attention`] without past spans: overwrites `dq`, `dk`, `dv`.
///
/// With P = softmax scores and D = ⟨dO, O⟩ per row: dV = Pᵀ·dO, dS = P ⊙ (dO·Vᵀ − D), dQ = s·dS·K, dK = s·dSᵀ·Q.
pub fn attention_backward(
    input: Qkv<'_>,
    forward: Attended<'_>,
    rows: &[Range<usize>],
    arithmetic: Arithmetic,
    dq: &mut [f32],
    dk: &mut [f32],
    dv: &mut [f32],
) {
    let layout = input.layout;
    let (qw, kw, hd, group) = (layout.q_width(), layout.kv_width(), layout.head_dim, layout.group());
    let parts: Vec<HeadGradient> = tasks(rows, layout.heads)
        .par_iter()
        .map(|&(s, head)| {
            let one = input.head(&rows[s], head);
            let at = rows[s].start * qw + head * hd;
            let d_out = &forward.d_out[at..];
            let lse: Vec<f32> = rows[s].clone().map(|row| forward.lse[row * layout.heads + head]).collect();
            // D of every row.
            let inner: Vec<f32> = (0..one.len)
                .map(|i| softmax::dot_product(&forward.out[at + i * qw..][..hd], &d_out[i * qw..][..hd]))
                .collect();
            if one.len >= SHORTEST_PACKED && available(arithmetic) {
                packed::attend_backward(&one, arithmetic, d_out, &lse, &inner)
            } else {
                strided::attend_backward(&one, d_out, &lse, &inner)
            }
        })
        .collect();
    let place = places(rows);
    dq.par_chunks_mut(qw).zip(dk.par_chunks_mut(kw)).zip(dv.par_chunks_mut(kw)).zip(&place).with_min_len(16).for_each(
        |(((dq, dk), dv), &(s, i))| {
            let parts = &parts[s * layout.heads..][..layout.heads];
            for (head, part) in parts.iter().enumerate() {
                dq[head * hd..][..hd].copy_from_slice(&part.dq[i * hd..][..hd]);
                let kv = head / group * hd..(head / group + 1) * hd;
                if head % group == 0 {
                    dk[kv.clone()].copy_from_slice(&part.dk[i * hd..][..hd]);
                    dv[kv].copy_from_slice(&part.dv[i * hd..][..hd]);
                } else {
                    add_row(&mut dk[kv.clone()], &part.dk[i * hd..][..hd]);
                    add_row(&mut dv[kv], &part.dv[i * hd..][..hd]);
                }
            }
        },
    );
}

fn tasks(rows: &[Range<usize>], heads: usize) -> Vec<(usize, usize)> {
    (0..rows.len()).flat_map(|s| (0..heads).map(move |head| (s, head))).collect()
}

/// (sequence, row within it) of every row of the batch. Sequences lie one after another and cover it.
fn places(rows: &[Range<usize>]) -> Vec<(usize, usize)> {
    rows.iter().enumerate().flat_map(|(s, range)| (0..range.len()).map(move |i| (s, i))).collect()
}
