//! The loss, the optimiser and the products between them.

use super::super::{
    AnyRows, Buffer, Number, Product, StepSettings, adamw, add_to_total, argmax, cross_entropy, gradient_norm,
    stretches,
};
use super::{HALF, both_orders, close, floats, half, rounded, values};
use crate::ops::log_sum_exp;
use half::bf16;

#[test]
fn losses_and_their_gradients_follow_the_definition() {
    // A vocabulary that is no multiple of anything, one smaller than a warp, and large logits.
    for (n, vocabulary, size) in [(3, 1003usize, 4.0), (2, 17, 1.0), (4, 2048, 60.0)] {
        let stride = vocabulary.next_multiple_of(8);
        let logits: Vec<f32> = rounded(&values(n * stride, 1, size));
        let targets: Vec<u32> = (0..n as u32).map(|i| (i * 7919 + 5) % vocabulary as u32).collect();
        let scale = 0.25;
        let (mut losses, mut gradient) = (Vec::new(), Vec::new());
        for (row, target) in logits.chunks(stride).zip(&targets) {
            let lse = log_sum_exp(&row[..vocabulary]);
            losses.push((lse - f64::from(row[*target as usize])) as f32);
            for (i, x) in row[..vocabulary].iter().enumerate() {
                let p = (f64::from(*x) - lse).exp() as f32;
                gradient.push(scale * (p - if i == *target as usize { 1.0 } else { 0.0 }));
            }
        }
        let total: f64 = losses.iter().map(|x| f64::from(*x)).sum();
        let Some(found) = both_orders(|device| {
            let which = Buffer::of(device, &targets).unwrap();
            let (each, sum) = (Buffer::zeros(device, n).unwrap(), Buffer::<f64>::of(device, &[1.0]).unwrap());
            let (wide, d) = (Buffer::of(device, &logits).unwrap(), half(device, &vec![0.0; n * stride]));
            let gradient = Some(d.rows(0, stride));
            cross_entropy(wide.rows(0, stride), &which, &each, gradient, n, vocabulary, scale).unwrap();
            add_to_total(&each, &sum, n).unwrap();
            let first = each.read().unwrap();
            // In place, in bf16; and without a gradient.
            let narrow = half(device, &logits);
            let place = Some(narrow.rows(0, stride));
            cross_entropy(narrow.rows(0, stride), &which, &each, place, n, vocabulary, scale).unwrap();
            let second = each.read().unwrap();
            cross_entropy::<_, bf16>(wide.rows(0, stride), &which, &each, None, n, vocabulary, scale).unwrap();
            let inside = |d: Vec<f32>| d.chunks(stride).flat_map(|r| r[..vocabulary].to_vec()).collect::<Vec<f32>>();
            let total = vec![(sum.read().unwrap()[0] - 1.0) as f32];
            vec![first, inside(floats(&d)), second, inside(floats(&narrow)), each.read().unwrap(), total]
        }) else {
            return;
        };
        for losses_found in [&found[0], &found[2], &found[4]] {
            close("losses", losses_found, &losses, 1e-5);
        }
        close("gradient", &found[1], &gradient, HALF);
        assert_eq!(found[1], found[3], "in place");
        close("total", &found[5], &[total as f32], 1e-6);
    }
}

#[test]
fn the_likeliest_token_is_the_lowest_of_equals() {
    let vocabulary = 1000;
    let mut logits = values(3 * vocabulary, 1, 1.0);
    logits[700] = 5.0;
    logits[300] = 5.0;
    logits[vocabulary..2 * vocabulary].fill(f32::NEG_INFINITY);
    logits[2 * vocabulary + 999] = 9.0;
    let Some(found) = both_orders(|device| {
        let (x, best) = (Buffer::of(device, &logits).unwrap(), Buffer::zeros(device, 3).unwrap());
        argmax(x.rows(0, vocabulary), &best, 3, vocabulary).unwrap();
        vec![best.read().unwrap().iter().map(|i: &u32| *i as f32).collect()]
    }) else {
        return;
    };
    assert_eq!(found[0], [300.0, 0.0, 999.0]);
}

#[test]
fn a_step_of_adamw_follows_its_formula_with_clipping_and_groups() {
    let sizes = [5000usize, 3, 4096];
    let groups = [(1e-2, 0.1), (4e-2, 0.0), (1e-2, 0.1)];
    let count = sizes.iter().sum::<usize>();
    let (w, g) = (values(count, 1, 1.0), values(count, 2, 0.5));
    let (m, v) = (values(count, 3, 0.1), values(count, 4, 0.1).iter().map(|x| x.abs()).collect::<Vec<_>>());
    let settings = StepSettings { beta1: 0.9, beta2: 0.999, eps: 1e-8, step: 3, clip: 1.0 };
    let norm = g.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    let scale = 1.0 / (norm + 1e-6);
    let mut expected = [Vec::new(), Vec::new(), Vec::new()];
    let mut at = 0;
    for (size, (rate, decay)) in sizes.iter().zip(groups) {
        for i in at..at + size {
            let gradient = f64::from(g[i]) * scale;
            let first = 0.9 * f64::from(m[i]) + 0.1 * gradient;
            let second = 0.999 * f64::from(v[i]) + 0.001 * gradient * gradient;
            let (m_hat, v_hat) = (first / (1.0 - 0.9f64.powi(3)), second / (1.0 - 0.999f64.powi(3)));
            let value = f64::from(w[i]) * (1.0 - rate * decay) - rate * m_hat / (v_hat.sqrt() + 1e-8);
            for (to, x) in expected.iter_mut().zip([value, first, second]) {
                to.push(x as f32);
            }
        }
        at += size;
    }
    let Some(found) = both_orders(|device| {
        let list = stretches(sizes.iter().zip(groups).map(|(size, (rate, decay))| (*size, rate, decay)), settings);
        assert_eq!(list.len(), 4);
        let of = |x: &[f32]| Buffer::of(device, x).unwrap();
        let (ws, gs, ms, vs) = (of(&w), of(&g), of(&m), of(&v));
        let list = Buffer::of(device, &list).unwrap();
        let (parts, norm) = (Buffer::zeros(device, 4).unwrap(), Buffer::zeros(device, 2).unwrap());
        let small = half(device, &vec![0.0; count]);
        gradient_norm(&gs, &list, &parts, settings.clip, &norm).unwrap();
        adamw(&ws, &gs, &ms, &vs, Some(&small), &list, &norm, settings).unwrap();
        let lengths = norm.read().unwrap().iter().map(|x: &f64| *x as f32).collect();
        vec![ws.read().unwrap(), ms.read().unwrap(), vs.read().unwrap(), floats(&small), lengths]
    }) else {
        return;
    };
    for (i, what) in ["w", "m", "v"].iter().enumerate() {
        close(what, &found[i], &expected[i], 1e-6);
    }
    assert_eq!(found[3], rounded(&found[0]));
    close("norm", &found[4], &[norm as f32, scale as f32], 1e-6);
}

#[test]
fn low_rank_columns_ride_in_the_frozen_product() {
    // y = [x | low]·[W | B]ᵀ in one product: the design of docs/gpu.md. The emulated product stands for the library's.
    let (n, inputs, outputs, rank) = (3, 32, 24, 8);
    let (x, w) = (rounded(&values(n * inputs, 1, 1.0)), rounded(&values(outputs * inputs, 2, 1.0)));
    let (low, b) = (rounded(&values(n * rank, 3, 1.0)), rounded(&values(outputs * rank, 4, 1.0)));
    let stride = inputs + rank;
    let beside = |left: &[f32], right: &[f32]| -> Vec<f32> {
        left.chunks(inputs).zip(right.chunks(rank)).flat_map(|(l, r)| [l, r].concat()).collect()
    };
    let start = values(n * outputs, 5, 1.0);
    let mut expected = start.clone();
    for r in 0..n {
        for o in 0..outputs {
            let dot = |p: &[f32], q: &[f32]| p.iter().zip(q).map(|(p, q)| p * q).sum::<f32>();
            expected[r * outputs + o] += dot(&x[r * inputs..][..inputs], &w[o * inputs..][..inputs]);
            expected[r * outputs + o] += dot(&low[r * rank..][..rank], &b[o * rank..][..rank]);
        }
    }
    let Some(found) = both_orders(|device| {
        let (left, right) = (half(device, &beside(&x, &low)), half(device, &beside(&w, &b)));
        let y = Buffer::of(device, &start).unwrap();
        let product = Product {
            m: n,
            n: outputs,
            k: stride,
            a: Number::any(left.rows(0, stride)),
            a_transposed: false,
            b: Number::any(right.rows(0, stride)),
            b_transposed: true,
            out: AnyRows::F32(y.rows(0, outputs)),
            alpha: 1.0,
            start: None,
            beta: 1.0,
        };
        device.multiply(&product).unwrap();
        vec![y.read().unwrap()]
    }) else {
        return;
    };
    close("y", &found[0], &expected, 1e-5);
}
