//! Row-wise operations.

use super::super::{
    Buffer, HeadRows, Rotary, add_bias, cast, dropout, embedding_noise, gather_rows, head_norm, head_norm_backward,
    rms_norm, rms_norm_again, rms_norm_backward, rope, scatter_rows, swiglu, swiglu_backward,
};
use super::{HALF, both_orders, close, floats, half, rounded, values};
use crate::ops;

#[test]
fn norms_and_their_gradients_are_those_of_the_cpu() {
    // One warp a row (heads, small models), a block a row, and rows whose threads are not all busy.
    for (n, width) in [(11, 64), (3, 576), (5, 2048), (2, 4104)] {
        let (x, w) = (rounded(&values(n * width, 1, 2.0)), values(width, 2, 1.5));
        let (dy, before) = (rounded(&values(n * width, 3, 1.0)), rounded(&values(n * width, 4, 1.0)));
        let (mut y, mut inverse) = (vec![0.0; n * width], vec![0.0; n]);
        ops::rms_norm(&x, &w, 1e-5, &mut y, &mut inverse);
        let (mut dx, mut added) = (vec![0.0; n * width], before.clone());
        ops::rms_norm_backward(&x, &w, &inverse, &dy, &mut dx, false);
        ops::rms_norm_backward(&x, &w, &inverse, &dy, &mut added, true);
        // Results stand in columns of a wider matrix, as they do where low-rank columns follow.
        let stride = width + 16;
        let inside = |wide: Vec<f32>| -> Vec<f32> { wide.chunks(stride).flat_map(|r| r[..width].to_vec()).collect() };
        let Some(found) = both_orders(|device| {
            let weight = Buffer::of(device, &w).unwrap();
            let kept = Buffer::<f32>::zeros(device, n).unwrap();
            let (xs, ys) = (Buffer::of(device, &x).unwrap(), Buffer::<f32>::zeros(device, n * stride).unwrap());
            rms_norm(xs.rows(0, width), &weight, 1e-5, ys.rows(0, stride), &kept, n).unwrap();
            let (d, dxs) = (Buffer::of(device, &dy).unwrap(), Buffer::<f32>::zeros(device, n * width).unwrap());
            rms_norm_backward(&xs, &weight, &kept, d.rows(0, width), dxs.rows(0, width), n, false).unwrap();
            let (xh, yh) = (half(device, &x), half(device, &vec![0.0; n * stride]));
            rms_norm(xh.rows(0, width), &weight, 1e-5, yh.rows(0, stride), &kept, n).unwrap();
            let again = half(device, &vec![0.0; n * stride]);
            rms_norm_again(xh.rows(0, width), &weight, &kept, again.rows(0, stride), n).unwrap();
            let (dh, dxh) = (half(device, &dy), half(device, &before));
            rms_norm_backward(&xh, &weight, &kept, dh.rows(0, width), dxh.rows(0, width), n, true).unwrap();
            let inverse = kept.read().unwrap();
            vec![
                inside(ys.read().unwrap()),
                dxs.read().unwrap(),
                inside(floats(&yh)),
                inside(floats(&again)),
                floats(&dxh),
                inverse,
            ]
        }) else {
            return;
        };
        close("y", &found[0], &y, 1e-5);
        close("dx", &found[1], &dx, 1e-5);
        close("y in bf16", &found[2], &y, HALF);
        assert_eq!(found[2], found[3], "made again");
        close("dx in bf16, added", &found[4], &added, HALF);
        close("1/rms", &found[5], &inverse, 1e-5);
    }
}

#[test]
fn heads_turn_as_on_the_cpu_and_back() {
    for (heads, kv_heads, head_dim) in [(3, 1, 64), (2, 2, 96), (4, 1, 256)] {
        let (n, half_dim) = (7, head_dim / 2);
        let frequencies: Vec<f32> = (0..half_dim).map(|i| 10_000f32.powf(-(i as f32) / half_dim as f32)).collect();
        let positions: Vec<u32> = vec![0, 1, 2, 3, 0, 1, 40];
        let table = ops::RopeTable::new(&frequencies, 41);
        let angles: Vec<f32> = (0..41).flat_map(|p| frequencies.iter().map(move |f| p as f32 * f)).collect();
        let (q, k) = (values(n * heads * head_dim, 1, 1.0), values(n * kv_heads * head_dim, 2, 1.0));
        let (mut q_turned, mut k_turned) = (q.clone(), k.clone());
        table.rotate(&mut q_turned, heads * head_dim, &positions, false);
        table.rotate(&mut k_turned, kv_heads * head_dim, &positions, false);
        let Some(found) = both_orders(|device| {
            let cosines = angles.iter().map(|a| a.cos()).collect::<Vec<_>>();
            let sines = angles.iter().map(|a| a.sin()).collect::<Vec<_>>();
            let table =
                Rotary::new(Buffer::of(device, &cosines).unwrap(), Buffer::of(device, &sines).unwrap(), half_dim)
                    .unwrap();
            let places = Buffer::of(device, &positions).unwrap();
            let (qs, ks) = (Buffer::of(device, &q).unwrap(), Buffer::of(device, &k).unwrap());
            let turn = |backward: bool| {
                let (q, k) = (qs.rows(0, heads * head_dim), ks.rows(0, kv_heads * head_dim));
                rope(&table, q, k, &places, n, heads, kv_heads, backward).unwrap();
                [qs.read().unwrap(), ks.read().unwrap()]
            };
            [turn(false), turn(true)].concat()
        }) else {
            return;
        };
        close("q", &found[0], &q_turned, 1e-6);
        close("k", &found[1], &k_turned, 1e-6);
        close("q turned back", &found[2], &q, 1e-6);
        close("k turned back", &found[3], &k, 1e-6);
    }
}

#[test]
fn the_activation_and_its_gradient_are_those_of_the_cpu() {
    let (n, width) = (3, 2312);
    let (gate, up) = (rounded(&values(n * width, 1, 6.0)), rounded(&values(n * width, 2, 2.0)));
    let d = rounded(&values(n * width, 3, 1.0));
    let mut out = vec![0.0; n * width];
    ops::swiglu(&gate, &up, &mut out);
    let (mut d_gate, mut d_up) = (gate.clone(), up.clone());
    ops::swiglu_backward(&mut d_gate, &mut d_up, &d);
    let Some(found) = both_orders(|device| {
        let (g, u, o) = (half(device, &gate), half(device, &up), half(device, &vec![0.0; n * width]));
        let ds = half(device, &d);
        swiglu(g.rows(0, width), u.rows(0, width), o.rows(0, width), n, width).unwrap();
        swiglu_backward(g.rows(0, width), u.rows(0, width), ds.rows(0, width), n, width).unwrap();
        // Gate and up as halves of one product, in f32.
        let both: Vec<f32> = gate.chunks(width).zip(up.chunks(width)).flat_map(|(g, u)| [g, u].concat()).collect();
        let (both, wide) = (Buffer::of(device, &both).unwrap(), Buffer::<f32>::zeros(device, n * width).unwrap());
        swiglu(both.rows(0, 2 * width), both.rows(width, 2 * width), wide.rows(0, width), n, width).unwrap();
        vec![floats(&o), floats(&g), floats(&u), wide.read().unwrap()]
    }) else {
        return;
    };
    close("out", &found[0], &out, HALF);
    close("d_gate", &found[1], &d_gate, HALF);
    close("d_up", &found[2], &d_up, HALF);
    close("out in f32", &found[3], &out, 1e-6);
}

#[test]
fn dropout_and_noise_are_the_same_function_of_seed_and_place_as_on_the_cpu() {
    let (n, width) = (5, 328);
    let x = rounded(&values(n * width, 1, 1.0));
    let mask = ops::DropoutMask { seed: 0xfeed_beef_1234_5678, p: 0.25, first_row: 3 };
    let mut dropped = Vec::new();
    mask.apply(&x, &mut dropped, width);
    let noise = ops::EmbeddingNoise { seed: 77, alpha: 5.0 };
    let mut noisy = x.clone();
    let (first, second) = noisy.split_at_mut(2 * width);
    noise.add(first, width, 3);
    noise.add(second, width, 5);
    let bounds: Vec<f32> = [2usize, 2, 3, 3, 3].iter().map(|len| 5.0 / ((len * width) as f32).sqrt()).collect();
    let Some(found) = both_orders(|device| {
        let (xs, out) = (Buffer::of(device, &x).unwrap(), Buffer::of(device, &x).unwrap());
        dropout(mask, xs.rows(0, width), out.rows(0, width), n, width, false).unwrap();
        let first = out.read().unwrap();
        dropout(mask, xs.rows(0, width), out.rows(0, width), n, width, true).unwrap();
        let embedded = half(device, &x);
        embedding_noise(&embedded, &Buffer::of(device, &bounds).unwrap(), 77, 3, n, width).unwrap();
        vec![first, out.read().unwrap(), floats(&embedded)]
    }) else {
        return;
    };
    assert_eq!(found[0], dropped);
    assert_eq!(found[1], dropped.iter().map(|x| x + x).collect::<Vec<_>>());
    close("noise", &found[2], &noisy, HALF);
}

#[test]
fn rows_are_gathered_scattered_cast_and_biased() {
    let (n, width) = (4, 72);
    let table = rounded(&values(9 * width, 1, 1.0));
    let (ids, bias) = (vec![8u32, 0, 3, 5], values(width, 2, 1.0));
    let Some(found) = both_orders(|device| {
        let (rows, which) = (half(device, &table), Buffer::of(device, &ids).unwrap());
        let chosen = half(device, &vec![0.0; n * width]);
        gather_rows(&rows, &which, chosen.rows(0, width), n, width).unwrap();
        let back = half(device, &vec![0.0; 9 * width]);
        scatter_rows(chosen.rows(0, width), &which, back.rows(0, width), n, width).unwrap();
        let wide = Buffer::<f32>::zeros(device, n * width).unwrap();
        cast(chosen.rows(0, width), wide.rows(0, width), n, width).unwrap();
        let exact = wide.read().unwrap();
        add_bias(wide.rows(0, width), &Buffer::of(device, &bias).unwrap(), n).unwrap();
        cast(wide.rows(0, width), chosen.rows(0, width), n, width).unwrap();
        vec![exact, floats(&back), wide.read().unwrap(), floats(&chosen)]
    }) else {
        return;
    };
    let expected: Vec<f32> = ids.iter().flat_map(|id| table[*id as usize * width..][..width].to_vec()).collect();
    assert_eq!(found[0], expected);
    for (row, back) in found[1].chunks(width).enumerate() {
        let chosen = ids.contains(&(row as u32));
        let original = &table[row * width..][..width];
        assert!(if chosen { back == original } else { back.iter().all(|x| *x == 0.0) }, "row {row}");
    }
    let sums: Vec<f32> = expected.iter().enumerate().map(|(i, x)| x + bias[i % width]).collect();
    assert_eq!(found[2], sums);
    assert_eq!(found[3], rounded(&sums));
}

#[test]
fn rows_that_a_kernel_cannot_read_are_refused() {
    let Some(_) = both_orders(|device| {
        let x = half(device, &[0.0; 64]);
        let y = half(device, &[0.0; 64]);
        // Not a multiple of eight; not aligned; more rows than there are.
        assert!(swiglu(x.rows(0, 12), x.rows(0, 12), y.rows(0, 12), 2, 12).is_err());
        assert!(swiglu(x.rows(4, 16), x.rows(4, 16), y.rows(0, 16), 2, 16).is_err());
        assert!(swiglu(x.rows(0, 16), x.rows(0, 16), y.rows(0, 16), 5, 16).is_err());
        Vec::new()
    }) else {
        return;
    };
}

#[test]
fn norms_of_heads_are_those_of_rows_and_values_pass() {
    for (heads, kv_heads, head_dim) in [(3, 1, 64), (2, 2, 128), (1, 1, 256)] {
        let sizes = HeadRows { n: 5, heads, kv_heads, head_dim };
        let (all, normed) = (heads + 2 * kv_heads, heads + kv_heads);
        let (width, stride, eps) = (all * head_dim, all * head_dim + 8, 1e-5);
        let (q, k) = (values(head_dim, 1, 1.5), values(head_dim, 2, 1.5));
        let (x, d) = (rounded(&values(5 * width, 3, 2.0)), rounded(&values(5 * width, 4, 1.0)));
        let (mut y, mut dx) = (x.clone(), d.clone());
        for (i, head) in x.chunks(head_dim).enumerate() {
            if i % all < normed {
                let (weight, at) = (if i % all < heads { &q } else { &k }, i * head_dim..(i + 1) * head_dim);
                let mut inverse = [0.0];
                ops::rms_norm(head, weight, eps, &mut y[at.clone()], &mut inverse);
                ops::rms_norm_backward(head, weight, &inverse, &d[at.clone()], &mut dx[at], false);
            }
        }
        let wide = |x: &[f32]| x.chunks(width).flat_map(|row| [row, &[0.0; 8]].concat()).collect::<Vec<f32>>();
        let inside = |x: Vec<f32>| x.chunks(stride).flat_map(|r| r[..width].to_vec()).collect::<Vec<f32>>();
        let Some(found) = both_orders(|device| {
            let weights = [Buffer::of(device, &q).unwrap(), Buffer::of(device, &k).unwrap()];
            let weights = [&weights[0], &weights[1]];
            let (xs, ys) = (Buffer::of(device, &x).unwrap(), Buffer::<f32>::zeros(device, 5 * stride).unwrap());
            head_norm(xs.rows(0, width), weights, eps, ys.rows(0, stride), sizes).unwrap();
            let ds = Buffer::of(device, &wide(&d)).unwrap();
            head_norm_backward(xs.rows(0, width), weights, eps, ds.rows(0, stride), sizes).unwrap();
            let (xh, yh, dh) = (half(device, &x), half(device, &wide(&x)), half(device, &wide(&d)));
            head_norm(xh.rows(0, width), weights, eps, yh.rows(0, stride), sizes).unwrap();
            head_norm_backward(xh.rows(0, width), weights, eps, dh.rows(0, stride), sizes).unwrap();
            vec![inside(ys.read().unwrap()), inside(ds.read().unwrap()), inside(floats(&yh)), inside(floats(&dh))]
        }) else {
            return;
        };
        close("y", &found[0], &y, 1e-5);
        close("dx", &found[1], &dx, 1e-5);
        close("y in bf16", &found[2], &y, HALF);
        close("dx in bf16", &found[3], &dx, HALF);
    }
}
