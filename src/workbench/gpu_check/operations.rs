//! Each operation on a card against the processor's, in f32 and in bf16: inputs that the card's numbers hold exactly.

use super::{Check, Part, distance, values};
use crate::error::Result;
use crate::ops::cuda::{
    self, AnyRows, Buffer, CardRows, Device, Heads, Number, Product, Rotary, Segments, StepSettings, stretches,
};
use crate::ops::quantised::BlockForm;
use crate::ops::{self, Arithmetic, Attended, DropoutMask, HeadLayout, Qkv, RopeTable, log_sum_exp};
use crate::train::AdamW;
use half::bf16;
use std::ops::Range;
use std::sync::Arc;

/// How large the operands are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// For the emulator.
    #[cfg(test)]
    Small,
    /// For a card.
    Full,
}

impl Size {
    fn pick(self, full: usize, small: usize) -> usize {
        if self == Size::Full { full } else { small }
    }
}

/// Found and expected numbers of what an operation gives.
type Pairs = Vec<(&'static str, Vec<f32>, Vec<f32>)>;

/// All operations in both number types.
pub fn all(device: &Arc<dyn Device>, size: Size, hear: &mut dyn FnMut(&str)) -> Vec<Check> {
    let mut checks = Vec::new();
    of_type::<f32>(device, size, 1e-5, &mut checks, hear);
    // A bf16 keeps 8 bits; attention's gradients go through some roundings.
    of_type::<bf16>(device, size, 0.01, &mut checks, hear);
    record(&mut checks, hear, "AdamW, f32", 1e-5, adamw(device, size));
    for form in BlockForm::ALL {
        record(&mut checks, hear, &format!("de-quantising {}", form.name()), 0.004, dequantise(device, form, size));
    }
    checks
}

/// The activation alone: a test plants a mistake in it.
#[cfg(test)]
pub fn activation(device: &Arc<dyn Device>) -> Vec<Check> {
    let mut checks = Vec::new();
    record(&mut checks, &mut |_| {}, "SwiGLU", 1e-5, swiglu::<f32>(device, Size::Small));
    checks
}

fn of_type<T: Number>(
    device: &Arc<dyn Device>,
    size: Size,
    tolerance: f64,
    checks: &mut Vec<Check>,
    hear: &mut dyn FnMut(&str),
) {
    let dtype = T::choose("f32", "bf16");
    let mut add =
        |name: &str, result: Result<Pairs>| record(checks, hear, &format!("{name}, {dtype}"), tolerance, result);
    add("RMSNorm", norm::<T>(device, size));
    add("RoPE", rope::<T>(device, size));
    add("SwiGLU", swiglu::<T>(device, size));
    add("dropout", dropout::<T>(device, size));
    add("products", products::<T>(device, size));
    add("output layer's loss", loss::<T>(device, size));
    for head_dim in Heads::SIZES {
        add(&format!("attention, heads of {head_dim}"), attention::<T>(device, head_dim, size));
    }
}

fn record(checks: &mut Vec<Check>, hear: &mut dyn FnMut(&str), name: &str, tolerance: f64, result: Result<Pairs>) {
    hear(name);
    match result {
        Err(e) => checks.push(Check::broken(Part::Parity, name, &e)),
        Ok(pairs) => {
            for (what, found, expected) in pairs {
                let error = distance(&found, &expected);
                checks.push(Check::compared(Part::Parity, format!("{name}: {what}"), error, tolerance));
            }
        }
    }
}

/// Numbers as `T` holds them.
fn drawn<T: Number>(count: usize, salt: u64, size: f32) -> Vec<f32> {
    values(count, salt, size).into_iter().map(|x| T::of_f32(x).as_f32()).collect()
}

fn put<T: Number>(device: &Arc<dyn Device>, values: &[f32]) -> Result<Buffer<T>> {
    Buffer::of(device, &values.iter().map(|x| T::of_f32(*x)).collect::<Vec<_>>())
}

fn get<T: Number>(buffer: &Buffer<T>) -> Result<Vec<f32>> {
    Ok(buffer.read()?.into_iter().map(Number::as_f32).collect())
}

fn norm<T: Number>(device: &Arc<dyn Device>, size: Size) -> Result<Pairs> {
    let (n, width) = (size.pick(257, 5), size.pick(4096, 576));
    let (x, dy, w) = (drawn::<T>(n * width, 1, 2.0), drawn::<T>(n * width, 2, 1.0), values(width, 3, 1.5));
    let (mut y, mut dx, mut inverse) = (vec![0.0; n * width], vec![0.0; n * width], vec![0.0; n]);
    ops::rms_norm(&x, &w, 1e-5, &mut y, &mut inverse);
    ops::rms_norm_backward(&x, &w, &inverse, &dy, &mut dx, false);
    let (xs, dys, ws) = (put::<T>(device, &x)?, put::<T>(device, &dy)?, Buffer::of(device, &w)?);
    let (ys, dxs) = (Buffer::<T>::room(device, n * width)?, Buffer::<T>::room(device, n * width)?);
    let kept = Buffer::<f32>::room(device, n)?;
    cuda::rms_norm(xs.rows(0, width), &ws, 1e-5, ys.rows(0, width), &kept, n)?;
    cuda::rms_norm_backward(&xs, &ws, &kept, dys.rows(0, width), dxs.rows(0, width), n, false)?;
    Ok(vec![("forward", get(&ys)?, y), ("backward", get(&dxs)?, dx)])
}

fn rope<T: Number>(device: &Arc<dyn Device>, size: Size) -> Result<Pairs> {
    let (n, heads, kv_heads, half) = (size.pick(300, 7), 4, 2, 64);
    let frequencies: Vec<f32> = (0..half).map(|i| 10_000f32.powf(-(i as f32) / half as f32)).collect();
    let table = RopeTable::new(&frequencies, 512);
    let positions: Vec<u32> = (0..n as u32).map(|i| i * 13 % 512).collect();
    let (qw, kw) = (heads * 2 * half, kv_heads * 2 * half);
    let (q, k) = (drawn::<T>(n * qw, 1, 2.0), drawn::<T>(n * kw, 2, 2.0));
    let (mut turned_q, mut turned_k) = (q.clone(), k.clone());
    table.rotate(&mut turned_q, qw, &positions, false);
    table.rotate(&mut turned_k, kw, &positions, false);
    let (cosines, sines, _) = table.tables();
    let rotary = Rotary::new(Buffer::of(device, cosines)?, Buffer::of(device, sines)?, half)?;
    let (qs, ks, places) = (put::<T>(device, &q)?, put::<T>(device, &k)?, Buffer::of(device, &positions)?);
    cuda::rope(&rotary, qs.rows(0, qw), ks.rows(0, kw), &places, n, heads, kv_heads, false)?;
    Ok(vec![("queries", get(&qs)?, turned_q), ("keys", get(&ks)?, turned_k)])
}

fn swiglu<T: Number>(device: &Arc<dyn Device>, size: Size) -> Result<Pairs> {
    let (n, width) = (size.pick(129, 3), size.pick(14_336, 192));
    let (gate, up) = (drawn::<T>(n * width, 1, 4.0), drawn::<T>(n * width, 2, 2.0));
    let d = drawn::<T>(n * width, 3, 1.0);
    let mut out = vec![0.0; n * width];
    ops::swiglu(&gate, &up, &mut out);
    let (mut d_gate, mut d_up) = (gate.clone(), up.clone());
    ops::swiglu_backward(&mut d_gate, &mut d_up, &d);
    let (gates, ups, ds) = (put::<T>(device, &gate)?, put::<T>(device, &up)?, put::<T>(device, &d)?);
    let outs = Buffer::<T>::room(device, n * width)?;
    cuda::swiglu(gates.rows(0, width), ups.rows(0, width), outs.rows(0, width), n, width)?;
    let forward = get(&outs)?;
    cuda::swiglu_backward(gates.rows(0, width), ups.rows(0, width), ds.rows(0, width), n, width)?;
    Ok(vec![("forward", forward, out), ("d gate", get(&gates)?, d_gate), ("d up", get(&ups)?, d_up)])
}

fn dropout<T: Number>(device: &Arc<dyn Device>, size: Size) -> Result<Pairs> {
    let (n, width) = (size.pick(200, 4), size.pick(2048, 64));
    let x = drawn::<T>(n * width, 1, 1.0);
    let mask = DropoutMask { seed: 5, p: 0.25, first_row: 3 };
    let mut out = Vec::new();
    mask.apply(&x, &mut out, width);
    let (xs, outs) = (put::<T>(device, &x)?, Buffer::<T>::room(device, n * width)?);
    cuda::dropout(mask, xs.rows(0, width), outs.rows(0, width), n, width, false)?;
    Ok(vec![("the same elements", get(&outs)?, out)])
}

/// The three forms that a training uses, in columns of wider matrices; sums in f64 on the processor.
fn products<T: Number>(device: &Arc<dyn Device>, size: Size) -> Result<Pairs> {
    let (m, n, k) = (size.pick(120, 16), size.pick(264, 24), size.pick(512, 40));
    let stride = |width: usize| width + 16;
    let mut pairs: Pairs = Vec::new();
    for (what, a_transposed, b_transposed) in [("x·Wᵀ", false, true), ("dy·W", false, false), ("dyᵀ·x", true, false)]
    {
        let (a_rows, a_width) = if a_transposed { (k, m) } else { (m, k) };
        let (b_rows, b_width) = if b_transposed { (n, k) } else { (k, n) };
        let a = drawn::<T>(a_rows * stride(a_width), 1, 1.0);
        let b = drawn::<T>(b_rows * stride(b_width), 2, 1.0);
        let of = |x: &[f32], width: usize, turned: bool, i: usize, k: usize| {
            f64::from(if turned { x[k * stride(width) + i] } else { x[i * stride(width) + k] })
        };
        let one = |row: usize, column: usize| -> f64 {
            (0..k).map(|i| of(&a, a_width, a_transposed, row, i) * of(&b, b_width, !b_transposed, column, i)).sum()
        };
        let expected = (0..m * n).map(|i| one(i / n, i % n) as f32).collect();
        let (left, right) = (put::<T>(device, &a)?, put::<T>(device, &b)?);
        let out = Buffer::<f32>::room(device, m * n)?;
        device.multiply(&Product {
            m,
            n,
            k,
            a: T::any(left.rows(0, stride(a_width))),
            a_transposed,
            b: T::any(right.rows(0, stride(b_width))),
            b_transposed,
            out: AnyRows::F32(out.rows(0, n)),
            alpha: 1.0,
            start: None,
            beta: 0.0,
        })?;
        pairs.push((what, out.read()?, expected));
    }
    Ok(pairs)
}

fn loss<T: Number>(device: &Arc<dyn Device>, size: Size) -> Result<Pairs> {
    let (n, vocabulary) = (size.pick(64, 3), size.pick(128_255, 1003));
    let (stride, scale) = (vocabulary.next_multiple_of(8), 0.25);
    let logits = values(n * stride, 1, 6.0);
    let targets: Vec<u32> = (0..n as u32).map(|i| (i * 7919 + 5) % vocabulary as u32).collect();
    let (mut losses, mut expected) = (Vec::new(), vec![0.0; n * stride]);
    for ((row, target), d) in logits.chunks(stride).zip(&targets).zip(expected.chunks_mut(stride)) {
        let lse = log_sum_exp(&row[..vocabulary]);
        losses.push((lse - f64::from(row[*target as usize])) as f32);
        for (d, x) in d.iter_mut().zip(&row[..vocabulary]) {
            *d = scale * (f64::from(*x) - lse).exp() as f32;
        }
        d[*target as usize] -= scale;
    }
    let (rows, which) = (Buffer::of(device, &logits)?, Buffer::of(device, &targets)?);
    let (each, gradient) = (Buffer::<f32>::room(device, n)?, Buffer::<T>::zeros(device, n * stride)?);
    cuda::cross_entropy(rows.rows(0, stride), &which, &each, Some(gradient.rows(0, stride)), n, vocabulary, scale)?;
    Ok(vec![("losses", each.read()?, losses), ("gradient", get(&gradient)?, expected)])
}

fn attention<T: Number>(device: &Arc<dyn Device>, head_dim: usize, size: Size) -> Result<Pairs> {
    let layout = HeadLayout { heads: size.pick(8, 2), kv_heads: size.pick(2, 1), head_dim };
    let lengths = if size == Size::Full { vec![1, 700, 129, 64] } else { vec![3, 20] };
    let mut rows: Vec<Range<usize>> = Vec::new();
    for len in &lengths {
        let start = rows.last().map_or(0, |r| r.end);
        rows.push(start..start + len);
    }
    let n: usize = lengths.iter().sum();
    let (qw, kw) = (layout.q_width(), layout.kv_width());
    let (q, k, v) = (drawn::<T>(n * qw, 1, 2.0), drawn::<T>(n * kw, 2, 2.0), drawn::<T>(n * kw, 3, 1.0));
    let d_out = drawn::<T>(n * qw, 4, 1.0);
    let input = Qkv { q: &q, k: &k, v: &v, layout };
    let (mut out, mut lse) = (vec![0.0; n * qw], vec![0.0; n * layout.heads]);
    ops::attention(input, &rows, &[], Arithmetic::F32, &mut out, &mut lse);
    let (mut dq, mut dk, mut dv) = (vec![0.0; n * qw], vec![0.0; n * kw], vec![0.0; n * kw]);
    let forward = Attended { out: &out, lse: &lse, d_out: &d_out };
    ops::attention_backward(input, forward, &rows, Arithmetic::F32, &mut dq, &mut dk, &mut dv);

    let (heads, segments) = (Heads::new(layout)?, Segments::packed(device, &rows)?);
    let (qs, ks, vs, ds) =
        (put::<T>(device, &q)?, put::<T>(device, &k)?, put::<T>(device, &v)?, put::<T>(device, &d_out)?);
    let room = |len: usize| Buffer::<T>::room(device, len);
    let (outs, gq, gk, gv) = (room(n * qw)?, room(n * qw)?, room(n * kw)?, room(n * kw)?);
    let (sums, inner) = (Buffer::room(device, n * layout.heads)?, Buffer::room(device, n * layout.heads)?);
    let qkv = [qs.rows(0, qw), ks.rows(0, kw), vs.rows(0, kw)];
    let outs_rows = outs.rows(0, qw);
    cuda::attention(heads, &segments, qkv[0], qkv[1], qkv[2], outs_rows, Some(&sums))?;
    let gradients = [gq.rows(0, qw), gk.rows(0, kw), gv.rows(0, kw)];
    cuda::attention_backward(heads, &segments, qkv, outs_rows, &sums, ds.rows(0, qw), &inner, gradients)?;
    Ok(vec![
        ("output", get(&outs)?, out),
        ("log-sums", sums.read()?, lse),
        ("dq", get(&gq)?, dq),
        ("dk", get(&gk)?, dk),
        ("dv", get(&gv)?, dv),
    ])
}

fn adamw(device: &Arc<dyn Device>, size: Size) -> Result<Pairs> {
    let sizes = [size.pick(100_000, 5000), 8];
    let mut w: Vec<Vec<f32>> = sizes.iter().map(|n| values(*n, 1, 1.0)).collect();
    let g: Vec<Vec<f32>> = sizes.iter().map(|n| values(*n, 2, 0.5)).collect();
    let flat = |parts: &[Vec<f32>]| parts.concat();
    let (ws, gs) = (Buffer::of(device, &flat(&w))?, Buffer::of(device, &flat(&g))?);
    let count = sizes.iter().sum();
    let (ms, vs) = (Buffer::<f32>::zeros(device, count)?, Buffer::<f32>::zeros(device, count)?);
    let mut host = AdamW::new(sizes.into_iter(), 0.01);
    let parts: Vec<&[f32]> = g.iter().map(|g| &g[..]).collect();
    let norm = crate::train::global_norm(&parts);
    let lengths = Buffer::<f64>::zeros(device, 2)?;
    for step in 1..=3 {
        let clip = crate::train::clip_coefficient(norm, 1.0);
        host.update(w.iter_mut().map(|w| &mut w[..]).collect(), &parts, 1e-2, clip);
        let settings = StepSettings { beta1: 0.9, beta2: 0.999, eps: 1e-8, step, clip: 1.0 };
        let list = stretches(sizes.iter().map(|n| (*n, 1e-2, 0.01)), settings);
        let list = Buffer::of(device, &list)?;
        let sums = Buffer::<f64>::room(device, list.len())?;
        cuda::gradient_norm(&gs, &list, &sums, 1.0, &lengths)?;
        cuda::adamw(&ws, &gs, &ms, &vs, None, &list, &lengths, settings)?;
    }
    let found = lengths.read()?.first().map_or(f64::NAN, |x| *x) as f32;
    Ok(vec![
        ("values", ws.read()?, flat(&w)),
        ("second moments", vs.read()?, flat(&host.v)),
        ("gradient's length", vec![found], vec![norm as f32]),
    ])
}

fn dequantise(device: &Arc<dyn Device>, form: BlockForm, size: Size) -> Result<Pairs> {
    let (rows, width) = (size.pick(128, 3), size.pick(4096, 256));
    let (blocks, expected) = form.quantise(&values(rows * width, 9, 1.0));
    let matrix = CardRows::new(device, form, &blocks, rows, width)?;
    let out = Buffer::<bf16>::room(device, rows * width)?;
    cuda::dequantise(&matrix, None, out.rows(0, width))?;
    Ok(vec![("values", get(&out)?, expected)])
}
