//! Attention: packed batches with their gradients, cached prefixes, one step of decoding.

use super::super::{
    Buffer, CachedKeys, DecodeScratch, Heads, RowPlaces, Segments, attention, attention_backward, attention_decode,
};
use super::{HALF, both_orders, close, floats, half, rounded, values};
use crate::ops::{self, Arithmetic, Attended, HeadLayout, Qkv, Span};
use std::ops::Range;

fn sequences(lengths: &[usize]) -> Vec<Range<usize>> {
    let mut start = 0;
    lengths
        .iter()
        .map(|len| {
            start += len;
            start - len..start
        })
        .collect()
}

#[test]
fn packed_sequences_and_their_gradients_are_those_of_the_cpu() {
    // Lengths around the tiles' borders: one row, a tile and one, several tiles; every head size, groups of 1, 2 and 3.
    for (heads, kv_heads, head_dim, lengths) in [
        (6, 2, 64, &[1, 65, 130, 7][..]),
        (2, 1, 96, &[64, 40][..]),
        (2, 1, 128, &[31, 97][..]),
        (1, 1, 256, &[70, 2][..]),
    ] {
        let layout = HeadLayout { heads, kv_heads, head_dim };
        let rows = sequences(lengths);
        let n = lengths.iter().sum::<usize>();
        let (qw, kw) = (layout.q_width(), layout.kv_width());
        let (q, k, v) =
            (rounded(&values(n * qw, 1, 2.0)), rounded(&values(n * kw, 2, 2.0)), rounded(&values(n * kw, 3, 1.0)));
        let d_out = rounded(&values(n * qw, 4, 1.0));
        let input = Qkv { q: &q, k: &k, v: &v, layout };
        let (mut out, mut lse) = (vec![0.0; n * qw], vec![0.0; n * heads]);
        ops::attention(input, &rows, &[], Arithmetic::F32, &mut out, &mut lse);
        let (mut dq, mut dk, mut dv) = (vec![0.0; n * qw], vec![0.0; n * kw], vec![0.0; n * kw]);
        let forward = Attended { out: &out, lse: &lse, d_out: &d_out };
        ops::attention_backward(input, forward, &rows, Arithmetic::F32, &mut dq, &mut dk, &mut dv);
        let Some(found) = both_orders(|device| {
            let heads = Heads::new(layout).unwrap();
            let segments = Segments::packed(device, &rows).unwrap();
            // q, k and v as columns of one product.
            let stride = qw + 2 * kw;
            let fused: Vec<f32> =
                (0..n).flat_map(|i| [&q[i * qw..][..qw], &k[i * kw..][..kw], &v[i * kw..][..kw]].concat()).collect();
            let (fused, gradient) = (half(device, &fused), half(device, &vec![0.0; n * stride]));
            let columns = |b| -> [super::super::Rows<'_, half::bf16>; 3] {
                let b: &Buffer<half::bf16> = b;
                [b.rows(0, stride), b.rows(qw, stride), b.rows(qw + kw, stride)]
            };
            let [qs, ks, vs] = columns(&fused);
            let outs = half(device, &vec![0.0; n * qw]);
            let sums = Buffer::<f32>::zeros(device, n * layout.heads).unwrap();
            attention(heads, &segments, qs, ks, vs, outs.rows(0, qw), Some(&sums)).unwrap();
            let ds = half(device, &d_out);
            let inner = Buffer::<f32>::zeros(device, n * layout.heads).unwrap();
            let d = columns(&gradient);
            let (o, d_o) = (outs.rows(0, qw), ds.rows(0, qw));
            attention_backward(heads, &segments, [qs, ks, vs], o, &sums, d_o, &inner, d).unwrap();
            let wide = floats(&gradient);
            let part = |from: usize, width: usize| -> Vec<f32> {
                wide.chunks(stride).flat_map(|row| row[from..from + width].to_vec()).collect()
            };
            vec![floats(&outs), sums.read().unwrap(), part(0, qw), part(qw, kw), part(qw + kw, kw)]
        }) else {
            return;
        };
        let name = |what: &str| format!("{what}, head size {head_dim}");
        close(&name("out"), &found[0], &out, HALF);
        close(&name("lse"), &found[1], &lse, 1e-4);
        // Two roundings to bf16 lie between: of the weights, and of the result.
        close(&name("dq"), &found[2], &dq, 2.0 * HALF);
        close(&name("dk"), &found[3], &dk, 2.0 * HALF);
        close(&name("dv"), &found[4], &dv, 2.0 * HALF);
    }
}

/// A pool of cached rows in which two sequences share their first rows.
struct Pool {
    keys: Vec<f32>,
    values: Vec<f32>,
    /// Rows of each sequence, in their order.
    of: [Vec<u32>; 2],
}

fn pool(width: usize, shared: usize, own: [usize; 2]) -> Pool {
    let rows = 2 * (shared + own[0] + own[1]);
    // Rows in a scattered order: every second, from the top.
    let mut free = (0..rows as u32).rev().step_by(2);
    let mut take = |count: usize| -> Vec<u32> { free.by_ref().take(count).collect() };
    let prefix = take(shared);
    let of = own.map(|own| [prefix.clone(), take(own)].concat());
    Pool { keys: rounded(&values(rows * width, 5, 2.0)), values: rounded(&values(rows * width, 6, 1.0)), of }
}

/// What the CPU gives when the last `new[s]` rows of each sequence are queries.
fn expected(pool: &Pool, layout: HeadLayout, q: &[f32], new: [usize; 2]) -> Vec<f32> {
    let kw = layout.kv_width();
    let collect = |from: &[f32], rows: &[u32]| -> Vec<f32> {
        rows.iter().flat_map(|row| from[*row as usize * kw..][..kw].to_vec()).collect()
    };
    let split: Vec<(&[u32], &[u32])> = (0..2).map(|s| pool.of[s].split_at(pool.of[s].len() - new[s])).collect();
    let past: Vec<(Vec<f32>, Vec<f32>)> =
        split.iter().map(|(past, _)| (collect(&pool.keys, past), collect(&pool.values, past))).collect();
    let spans: Vec<Vec<Span<'_>>> = past
        .iter()
        // A sequence without a past has no span, not an empty one.
        .map(
            |(keys, values)| {
                if keys.is_empty() { Vec::new() } else { vec![Span { keys, values, len: keys.len() / kw }] }
            },
        )
        .collect();
    let own: Vec<u32> = split.iter().flat_map(|(_, own)| own.to_vec()).collect();
    let (k, v) = (collect(&pool.keys, &own), collect(&pool.values, &own));
    let (mut out, mut lse) = (vec![0.0; q.len()], vec![0.0; own.len() * layout.heads]);
    let input = Qkv { q, k: &k, v: &v, layout };
    ops::attention(input, &sequences(&new), &spans, Arithmetic::F32, &mut out, &mut lse);
    out
}

#[test]
fn sequences_behind_a_shared_prefix_find_their_keys_in_the_pool() {
    let layout = HeadLayout { heads: 4, kv_heads: 2, head_dim: 64 };
    let (qw, kw, new) = (layout.q_width(), layout.kv_width(), [5, 67]);
    let pool = pool(kw, 70, new);
    let q = rounded(&values(72 * qw, 7, 2.0));
    let out = expected(&pool, layout, &q, new);
    let Some(found) = both_orders(|device| {
        let segments = Segments::cached(device, &sequences(&new), &pool.of).unwrap();
        let (qs, outs) = (half(device, &q), half(device, &vec![0.0; 72 * qw]));
        let (keys, values) = (half(device, &pool.keys), half(device, &pool.values));
        let (k, v) = (keys.rows(0, kw), values.rows(0, kw));
        attention(Heads::new(layout).unwrap(), &segments, qs.rows(0, qw), k, v, outs.rows(0, qw), None).unwrap();
        vec![floats(&outs)]
    }) else {
        return;
    };
    close("out", &found[0], &out, HALF);
}

#[test]
fn a_step_of_decoding_attends_to_all_cached_rows() {
    // Groups of 1 to 8 heads, and sizes that only the kernel for any size has.
    for (heads, kv_heads, head_dim) in
        [(9, 3, 64), (8, 1, 64), (2, 1, 96), (8, 1, 128), (3, 3, 128), (4, 1, 256), (4, 2, 32), (12, 1, 64)]
    {
        let layout = HeadLayout { heads, kv_heads, head_dim };
        let (qw, kw) = (layout.q_width(), layout.kv_width());
        // The second sequence is one row long: most of its parts are empty.
        let mut pool = pool(kw, 0, [37, 3]);
        pool.of[1].truncate(1);
        let q = values(2 * qw, 7, 2.0);
        let out = expected(&pool, layout, &q, [1, 1]);
        let Some(found) = both_orders(|device| {
            let heads = Heads::new(layout).unwrap();
            let room = [pool.of[0].clone(), vec![u32::MAX; 4], pool.of[1].clone(), vec![u32::MAX; 4]].concat();
            let [rows, starts, lengths] = [&room[..], &[0, 41], &[37, 1]].map(|list| Buffer::of(device, list).unwrap());
            let places =
                RowPlaces { key_rows: rows.rows(0, 1), starts: starts.rows(0, 1), lengths: lengths.rows(0, 1) };
            let qs = Buffer::of(device, &q).unwrap();
            let scratch = DecodeScratch::new(device, heads, 2).unwrap();
            let out = || Buffer::room(device, 2 * qw).unwrap();
            let (narrow, wide) = (out(), out());
            let (keys, values) = (&half(device, &pool.keys), &half(device, &pool.values));
            attention_decode(heads, CachedKeys { keys, values }, places, &qs, &narrow, 2, &scratch).unwrap();
            let [keys, values] = [&pool.keys, &pool.values].map(|x| Buffer::of(device, x).unwrap());
            let cache = CachedKeys { keys: &keys, values: &values };
            attention_decode(heads, cache, places, &qs, &wide, 2, &scratch).unwrap();
            vec![narrow.read().unwrap(), wide.read().unwrap()]
        }) else {
            return;
        };
        for found in &found {
            close(&format!("out, head size {head_dim}"), found, &out, 1e-5);
        }
    }
}

#[test]
fn without_tiles_attention_is_that_of_the_cpu_in_f32() {
    for (heads, kv_heads, head_dim, lengths) in
        [(4, 2, 32, &[1, 9, 20][..]), (3, 1, 80, &[13][..]), (1, 1, 256, &[5, 2][..])]
    {
        let layout = HeadLayout { heads, kv_heads, head_dim };
        let rows = sequences(lengths);
        let n = lengths.iter().sum::<usize>();
        let (qw, kw) = (layout.q_width(), layout.kv_width());
        let (q, k, v) = (values(n * qw, 1, 2.0), values(n * kw, 2, 2.0), values(n * kw, 3, 1.0));
        let d_out = values(n * qw, 4, 1.0);
        let input = Qkv { q: &q, k: &k, v: &v, layout };
        let (mut out, mut lse) = (vec![0.0; n * qw], vec![0.0; n * heads]);
        ops::attention(input, &rows, &[], Arithmetic::F32, &mut out, &mut lse);
        let (mut dq, mut dk, mut dv) = (vec![0.0; n * qw], vec![0.0; n * kw], vec![0.0; n * kw]);
        let forward = Attended { out: &out, lse: &lse, d_out: &d_out };
        ops::attention_backward(input, forward, &rows, Arithmetic::F32, &mut dq, &mut dk, &mut dv);
        let Some(found) = both_orders(|device| {
            let heads = Heads::new(layout).unwrap();
            let segments = Segments::packed(device, &rows).unwrap();
            let of = |x: &[f32]| Buffer::of(device, x).unwrap();
            let room = |len: usize| Buffer::<f32>::room(device, len).unwrap();
            let (qs, ks, vs, ds) = (of(&q), of(&k), of(&v), of(&d_out));
            let (outs, sums, inner) = (room(n * qw), room(n * layout.heads), room(n * layout.heads));
            let input = [qs.rows(0, qw), ks.rows(0, kw), vs.rows(0, kw)];
            let [a, b, c] = input;
            attention(heads, &segments, a, b, c, outs.rows(0, qw), Some(&sums)).unwrap();
            let (gq, gk, gv) = (room(n * qw), room(n * kw), room(n * kw));
            let d = [gq.rows(0, qw), gk.rows(0, kw), gv.rows(0, kw)];
            attention_backward(heads, &segments, input, outs.rows(0, qw), &sums, ds.rows(0, qw), &inner, d).unwrap();
            [outs, sums, gq, gk, gv].iter().map(|b| b.read().unwrap()).collect()
        }) else {
            return;
        };
        for (i, (what, expected)) in
            [("out", &out), ("lse", &lse), ("dq", &dq), ("dk", &dk), ("dv", &dv)].iter().enumerate()
        {
            close(&format!("{what}, head size {head_dim}"), &found[i], expected, 1e-5);
        }
    }
}
