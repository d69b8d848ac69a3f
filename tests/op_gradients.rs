//! Every differentiable operation against its definition in f64 (`tests/naive`): the forward's values, and the
//! gradient against central differences, or against a written-out f64 gradient that central differences confirm.
//!
//! The bound in f32 is [`naive::F32`]. In bf16 an operand is rounded by at most 2⁻⁹ of itself, hence a product by
//! 2⁻⁸ of Σ|x||w|: [`product_bound`].
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod naive;

use linly_bench::ops::{
    Arithmetic, DropoutMask, Frozen, Head, HeadScratch, LoraPair, LoraScratch, Operand, RopeTable, Start, StoredRows,
    linear_cross_entropy, rms_norm, rms_norm_again, rms_norm_backward, swiglu, swiglu_backward,
};
use naive::{
    F32, arithmetics, assert_close, cross_entropy, cross_entropy_of_weight, finite_differences, inner, largest,
    magnitudes, numbers, rope, times, times_transposed, wide,
};
use std::ops::Range;

/// Σ|x||w| of every element of a product, times what rounding can do to each term.
fn product_bound(arithmetic: Arithmetic, absolute_sums: &[f64]) -> Vec<f64> {
    let share = match arithmetic {
        Arithmetic::F32 => 1e-6,
        // (1 + 2⁻⁹)² − 1, and the f32 sums.
        Arithmetic::Bf16 => 2.0f64.powi(-8) + 2.0f64.powi(-18) + 1e-6,
    };
    absolute_sums.iter().map(|sum| share * sum).collect()
}

fn assert_within(what: &str, found: &[f32], expected: &[f64], bounds: &[f64]) {
    assert_eq!((found.len(), found.len()), (expected.len(), bounds.len()), "{what}");
    for (i, ((a, b), bound)) in found.iter().zip(expected).zip(bounds).enumerate() {
        let error = (f64::from(*a) - b).abs();
        assert!(error <= *bound, "{what}: element {i} is {a}, not {b}: off by {error:.1e}, bound {bound:.1e}");
    }
}

/// Rows that "a file" holds.
struct Rows(Vec<f32>, usize);

impl StoredRows for Rows {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        out.copy_from_slice(&self.0[rows.start * self.1..rows.end * self.1]);
    }

    fn bytes(&self) -> usize {
        4 * self.0.len()
    }
}

#[test]
fn frozen_linear_maps_equal_their_definition_both_ways() {
    // Few rows and many (16 is where f32 changes its way), odd widths, more outputs than are read or worked
    // through at a time.
    for (n, inputs, outputs) in [(1, 1, 1), (13, 37, 45), (16, 40, 33), (17, 40, 33), (5, 64, 300), (20, 33, 2100)] {
        let (w, x) = (numbers(outputs * inputs, 1.0, 1), numbers(n * inputs, 1.0, 2));
        let (dy, before_y, before_x) =
            (numbers(n * outputs, 1.0, 3), numbers(n * outputs, 1.0, 4), numbers(n * inputs, 1.0, 5));
        let [w64, x64, dy64] = [&w, &x, &dy].map(|x| wide(x));
        let (y_exact, dx_exact) = (times_transposed(&x64, &w64, inputs), times(&dy64, &w64, outputs));
        let y_sums = times_transposed(&magnitudes(&x64), &magnitudes(&w64), inputs);
        let dx_sums = times(&magnitudes(&dy64), &magnitudes(&w64), outputs);
        for arithmetic in arithmetics() {
            let whole = Frozen::new(w.clone(), outputs, inputs, arithmetic);
            let stored = Frozen::stored(Box::new(Rows(w.clone(), inputs)), outputs, inputs, arithmetic);
            for (frozen, form) in [(whole, "whole"), (stored, "stored")] {
                for (start, factor) in [(0, 0.0), (1, 1.0), (2, 1.0)] {
                    let what = format!("{n}×{inputs}×{outputs} {} {form} start {start}", arithmetic.name());
                    let run = |before: &[f32], exact: &[f64], sums: &[f64], product: &dyn Fn(&mut [f32], Start<'_>)| {
                        let (mut y, start) = match start {
                            // What stands there must not be read.
                            0 => (vec![f32::NAN; before.len()], Start::Zero),
                            1 => (before.to_vec(), Start::Keep),
                            _ => (vec![f32::NAN; before.len()], Start::From(before)),
                        };
                        product(&mut y, start);
                        let expected: Vec<f64> =
                            exact.iter().zip(before).map(|(y, b)| y + factor * f64::from(*b)).collect();
                        let bounds: Vec<f64> =
                            product_bound(arithmetic, sums).iter().map(|b| b + factor * 1e-6).collect();
                        assert_within(&what, &y, &expected, &bounds);
                    };
                    let mut operand = Operand::default();
                    let input = operand.prepare(arithmetic, &x, n, inputs);
                    run(&before_y, &y_exact, &y_sums, &|y, start| frozen.forward(input, y, start));
                    let mut operand = Operand::default();
                    let gradient = operand.prepare(arithmetic, &dy, n, outputs);
                    run(&before_x, &dx_exact, &dx_sums, &|dx, start| frozen.backward(gradient, dx, start));
                }
            }
        }
    }
}

#[test]
fn low_rank_updates_equal_their_definition_and_finite_differences() {
    let (n, inputs, outputs) = (11, 29, 70);
    // Ranks below 33 have products of their own; 40 takes the general one.
    for rank in [1, 3, 8, 40] {
        for dropout in [None, Some(DropoutMask { seed: 9, p: 0.25, first_row: 5 })] {
            let what = format!("rank {rank}, dropout {}", dropout.is_some());
            let scale = 1.7f32;
            let (a, b) = (numbers(rank * inputs, 1.0, 1), numbers(outputs * rank, 1.0, 2));
            let pair = LoraPair { a, b, rank, scale, magnitude: None, norms: None };
            let (x, dy) = (numbers(n * inputs, 1.0, 3), numbers(n * outputs, 1.0, 4));
            // What the mask does to ones is the mask.
            let mut mask = vec![1.0; n * inputs];
            let mut dropped = x.clone();
            if let Some(dropout) = dropout {
                dropout.apply(&vec![1.0; n * inputs], &mut mask, inputs);
                assert!(mask.iter().all(|m| *m == 0.0 || (*m - 1.0 / 0.75).abs() < 1e-6), "{what}");
                dropout.apply(&x, &mut dropped, inputs);
            }
            let [x64, a64, b64, mask64, dy64] = [&x, &pair.a, &pair.b, &mask, &dy].map(|x| wide(x));
            let s = f64::from(scale);

            let (mut scratch, mut low) = (LoraScratch::default(), Vec::new());
            let before = numbers(n * outputs, 1.0, 5);
            let mut y = before.clone();
            pair.forward(&dropped, &mut low, &mut y, n, &mut scratch);
            // s·(x ⊙ mask)·Aᵀ·Bᵀ
            let update = |x: &[f64], a: &[f64], b: &[f64]| -> Vec<f64> {
                let dropped: Vec<f64> = x.iter().zip(&mask64).map(|(x, m)| s * x * m).collect();
                times_transposed(&times_transposed(&dropped, a, inputs), b, rank)
            };
            let expected: Vec<f64> =
                update(&x64, &a64, &b64).iter().zip(&before).map(|(u, b)| u + f64::from(*b)).collect();
            assert_close(&format!("{what}: forward"), &y, &expected, F32);

            // Gradients are added to what is there.
            let mut gradient = pair.zero_gradient();
            gradient.a.fill(2.0);
            gradient.b.fill(-3.0);
            let before = numbers(n * inputs, 1.0, 6);
            let mut dx = before.clone();
            pair.backward(&dropped, &low, &dy, n, &mut gradient, Some(&mut dx), dropout, &mut scratch);
            let of = |x: &[f64], a: &[f64], b: &[f64]| inner(&update(x, a, b), &dy64);
            let da: Vec<f64> = finite_differences(&a64, |a| of(&x64, a, &b64)).iter().map(|g| g + 2.0).collect();
            let db: Vec<f64> = finite_differences(&b64, |b| of(&x64, &a64, b)).iter().map(|g| g - 3.0).collect();
            let share = finite_differences(&x64, |x| of(x, &a64, &b64));
            let dx_expected: Vec<f64> = share.iter().zip(&before).map(|(g, b)| g + f64::from(*b)).collect();
            assert_close(&format!("{what}: dA"), &gradient.a, &da, F32);
            assert_close(&format!("{what}: dB"), &gradient.b, &db, F32);
            assert_close(&format!("{what}: dx"), &dx, &dx_expected, F32);

            // Without dx the factors' gradients are the same.
            let mut again = pair.zero_gradient();
            again.a.fill(2.0);
            again.b.fill(-3.0);
            pair.backward(&dropped, &low, &dy, n, &mut again, None, dropout, &mut scratch);
            assert_eq!(again, gradient, "{what}");
        }
    }
}

#[test]
fn a_part_of_a_batch_drops_what_the_whole_batch_would() {
    let (rows, cols) = (23, 19);
    let mask = DropoutMask { seed: 3, p: 0.4, first_row: 0 };
    let (x, mut whole) = (numbers(rows * cols, 1.0, 1), Vec::new());
    mask.apply(&x, &mut whole, cols);
    for first_row in [1, 7, 22] {
        let mut part = Vec::new();
        DropoutMask { first_row, ..mask }.apply(&x[first_row * cols..], &mut part, cols);
        assert_eq!(part, whole[first_row * cols..], "from row {first_row}");
    }
}

#[test]
fn rms_norm_equals_its_definition_and_finite_differences() {
    // Rows of ordinary size, and rows so small that eps decides.
    for (n, width, size) in [(35, 40, 1.0), (3, 7, 2e-3)] {
        let what = format!("{n}×{width}, size {size}");
        let (x, w, dy) = (numbers(n * width, size, 1), numbers(width, 2.0, 2), numbers(n * width, 1.0, 3));
        let [x64, w64, dy64] = [&x, &w, &dy].map(|x| wide(x));
        let (mut y, mut inverse) = (vec![f32::NAN; n * width], vec![f32::NAN; n]);
        rms_norm(&x, &w, 1e-5, &mut y, &mut inverse);
        let exact = |x: &[f64]| naive::rms_norm(x, &w64, f64::from(1e-5f32));
        assert_close(&format!("{what}: forward"), &y, &exact(&x64), F32);
        let mut again = vec![f32::NAN; n * width];
        rms_norm_again(&x, &w, &inverse, &mut again);
        assert_eq!(again, y, "{what}");
        // The step of the differences has to be small beside the rows.
        let share = f64::from(size);
        let unit: Vec<f64> = x64.iter().map(|x| x / share).collect();
        let gradient: Vec<f64> =
            finite_differences(&unit, |u| inner(&exact(&u.iter().map(|u| u * share).collect::<Vec<_>>()), &dy64))
                .iter()
                .map(|g| g / share)
                .collect();
        let mut dx = vec![f32::NAN; n * width];
        rms_norm_backward(&x, &w, &inverse, &dy, &mut dx, false);
        assert_close(&format!("{what}: dx"), &dx, &gradient, F32);
        let mut kept = vec![0.5; n * width];
        rms_norm_backward(&x, &w, &inverse, &dy, &mut kept, true);
        let expected: Vec<f64> = gradient.iter().map(|g| g + 0.5).collect();
        assert_close(&format!("{what}: dx added"), &kept, &expected, F32);
    }
}

#[test]
fn rope_equals_its_definition_and_finite_differences() {
    let (heads, half, n) = (3, 5, 33);
    let width = heads * 2 * half;
    let frequencies: Vec<f32> = (0..half).map(|i| 10000f32.powf(-(i as f32) / half as f32)).collect();
    let table = RopeTable::new(&frequencies, 300);
    // Two packed rows and a stretch that begins late.
    let positions: Vec<u32> = (0..12).chain(0..10).chain(289..300).collect();
    let (x, dy) = (numbers(n * width, 1.0, 1), numbers(n * width, 1.0, 2));
    let exact = |x: &[f64]| rope(x, width, &frequencies, &positions);
    let mut y = x.clone();
    table.rotate(&mut y, width, &positions, false);
    assert_close("forward", &y, &exact(&wide(&x)), F32);
    let dy64 = wide(&dy);
    let gradient = finite_differences(&wide(&x), |x| inner(&exact(x), &dy64));
    let mut dx = dy;
    table.rotate(&mut dx, width, &positions, true);
    assert_close("dx", &dx, &gradient, F32);
}

#[test]
fn swiglu_equals_its_definition_and_finite_differences() {
    // More elements than one task takes; gates up to where the sigmoid is 0 or 1.
    let n = 20_001;
    let (gate, up, d) = (numbers(n, 30.0, 1), numbers(n, 2.0, 2), numbers(n, 1.0, 3));
    let mut out = vec![f32::NAN; n];
    swiglu(&gate, &up, &mut out);
    let (mut d_gate, mut d_up) = (gate.clone(), up.clone());
    swiglu_backward(&mut d_gate, &mut d_up, &d);
    for i in 0..n {
        let [g, u, d] = [gate[i], up[i], d[i]].map(f64::from);
        let gradient = |at: f64, f: &dyn Fn(f64) -> f64| d * finite_differences(&[at], |x| f(x[0]))[0];
        let expected =
            [naive::swiglu(g, u), gradient(g, &|g| naive::swiglu(g, u)), gradient(u, &|u| naive::swiglu(g, u))];
        for (found, expected) in [out[i], d_gate[i], d_up[i]].into_iter().zip(expected) {
            let error = (f64::from(found) - expected).abs();
            // Relative to the value and, where it is a difference of larger ones, to its factors.
            let bound = 1e-6 * (expected.abs() + u.abs() + 1.0);
            assert!(error < bound, "gate {g}, up {u}: {found}, not {expected}");
        }
    }
}

#[test]
fn linear_cross_entropy_equals_its_definition_and_finite_differences() {
    // The written-out gradient first, on a small case.
    let (w, x, targets) = (wide(&numbers(7 * 4, 1.0, 1)), wide(&numbers(3 * 4, 1.0, 2)), [0, 6, 3]);
    let (_, written) = cross_entropy(&w, &x, &targets, 4);
    let differences = finite_differences(&x, |x| cross_entropy(&w, x, &targets, 4).0);
    assert!(written.iter().zip(&differences).all(|(a, b)| (a - b).abs() < 1e-8));
    let written = cross_entropy_of_weight(&w, &x, &targets, 4);
    let differences = finite_differences(&w, |w| cross_entropy(w, &x, &targets, 4).0);
    assert!(written.iter().zip(&differences).all(|(a, b)| (a - b).abs() < 1e-8));

    // A vocabulary that fills no panel, more rows than logits exist for at once; even and very sharp softmaxes.
    let (vocabulary, width, n) = (1003, 24, 150);
    for size in [0.5, 8.0] {
        let (w, x) = (numbers(vocabulary * width, 1.0, 1), numbers(n * width, size, 2));
        let targets: Vec<u32> =
            (0..n as u32).map(|i| [0, vocabulary as u32 - 1, i * 37 % 1003][i as usize % 3]).collect();
        let (sum, gradient) = cross_entropy(&wide(&w), &wide(&x), &targets, width);
        let scale = 0.25;
        let gradient: Vec<f64> = gradient.iter().map(|g| g * f64::from(scale)).collect();
        // A logit is off by at most this, hence a row's loss by at most twice that.
        let sums = times_transposed(&magnitudes(&wide(&x)), &magnitudes(&wide(&w)), width);
        for arithmetic in arithmetics() {
            let what = format!("size {size}, {}", arithmetic.name());
            let head = Frozen::new(w.clone(), vocabulary, width, arithmetic);
            let mut scratch = HeadScratch::default();
            let head = &mut Head::Frozen(&head);
            let mut d = vec![f32::NAN; n * width];
            let found = linear_cross_entropy(head, &x, &targets, scale, Some(&mut d), &mut scratch);
            let off = product_bound(arithmetic, &sums);
            let bound: f64 = off.chunks(vocabulary).map(|row| 2.0 * largest(row)).sum();
            assert!((found - sum).abs() < bound, "{what}: {found}, not {sum}, bound {bound}");
            let bound = match arithmetic {
                Arithmetic::F32 => 2.0 * F32,
                // Probabilities are off by e^(twice a logit's error); both operands of the second product are rounded.
                Arithmetic::Bf16 => (2.0 * largest(&off)).exp_m1() + 2.0f64.powi(-7),
            };
            assert_close(&what, &d, &gradient, bound);
            let without = linear_cross_entropy(head, &x, &targets, 1.0, None, &mut scratch);
            assert_eq!(without, found, "{what}: without a gradient");
        }
        // An output layer that is trained as a whole: the same, and dW = s·(P − targets)ᵀ·x, added to what is there.
        let mut d = vec![f32::NAN; n * width];
        let mut dw = vec![0.5; vocabulary * width];
        let head = &mut Head::Trained { weight: &w, gradient: Some(&mut dw), width };
        let found = linear_cross_entropy(head, &x, &targets, scale, Some(&mut d), &mut HeadScratch::default());
        assert!((found - sum).abs() < 1e-6 * sum, "trained: {found}, not {sum}");
        assert_close("trained: hidden", &d, &gradient, 2.0 * F32);
        let expected = cross_entropy_of_weight(&wide(&w), &wide(&x), &targets, width);
        let expected: Vec<f64> = expected.iter().map(|g| g * f64::from(scale) + 0.5).collect();
        assert_close("trained: weight", &dw, &expected, 2.0 * F32);
    }
}
