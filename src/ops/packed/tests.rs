use super::*;
use crate::ops::frozen::Arithmetic;

/// Rounds as the packing does.
fn rounded(a: Arithmetic, x: f32) -> f64 {
    if a == Arithmetic::F32 {
        return f64::from(x);
    }
    let bits = x.to_bits();
    f64::from(f32::from_bits((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff_0000))
}

fn numbers(n: usize, step: f32) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * step).sin()).collect()
}

struct Whole {
    words: Vec<u32>,
    len: usize,
}

impl Panels for Whole {
    fn panels(&self) -> usize {
        self.words.len() / self.len
    }

    fn panel<'a>(&'a self, index: usize, _: &'a mut Scratch) -> &'a [u32] {
        &self.words[index * self.len..][..self.len]
    }
}

/// The arithmetics that this processor has a kernel for; the others are named.
fn kernels() -> Vec<Arithmetic> {
    let (have, lack): (Vec<_>, Vec<_>) = [Arithmetic::F32, Arithmetic::Bf16].into_iter().partition(|a| available(*a));
    if !lack.is_empty() {
        eprintln!("skipped: this processor has no packed kernel for {lack:?}");
    }
    have
}

/// Every packing and both products against the definition, with sizes that fill no panel.
#[test]
fn products_equal_the_definition_on_rounded_operands() {
    let sizes = [(1, 1, 1), (13, 7, 33), (25, 64, 40), (12, 33, 96), (100, 130, 70)];
    for (a, (m, k, n)) in kernels().into_iter().flat_map(|a| sizes.map(|size| (a, size))) {
        let (x, w) = (numbers(m * k, 0.37), numbers(n * k, 0.11));
        let expected =
            |i: usize, j: usize| -> f64 { (0..k).map(|p| rounded(a, x[i * k + p]) * rounded(a, w[j * k + p])).sum() };
        // The weight as it lies (columns are its rows) and transposed (columns are columns).
        let mut w_t = vec![0.0; n * k];
        for j in 0..n {
            for p in 0..k {
                w_t[p * n + j] = w[j * k + p];
            }
        }
        let len = right_panel_len(steps(a, k));
        let pack = |cols: bool| {
            let mut words = vec![7u32; n.div_ceil(COLS) * len];
            for (i, panel) in words.chunks_exact_mut(len).enumerate() {
                let here = COLS.min(n - i * COLS);
                if cols {
                    pack_right_cols(a, panel, &w_t[i * COLS..], here, k, n);
                } else {
                    pack_right_rows(a, panel, &w[i * COLS * k..], here, k, k);
                }
            }
            Whole { words, len }
        };
        let mut left = Left::default();
        left.pack(a, &x, m, k);
        let mut filled = Left::default();
        filled.pack_with(a, m, k, |row, columns, out| out.copy_from_slice(&x[row * k..][columns]));
        for right in [pack(false), pack(true)] {
            for (left, start) in [(&left, Start::Zero), (&filled, Start::Keep), (&left, Start::From(&vec![2.0; m * n]))]
            {
                let mut y = vec![0.5f32; m * n];
                product(left, 0..left.steps(), &right, &mut y, n, start);
                let before = match start {
                    Start::Zero => 0.0,
                    Start::Keep => 0.5,
                    Start::From(_) => 2.0,
                };
                for i in 0..m {
                    for j in 0..n {
                        let found = f64::from(y[i * n + j]);
                        assert!((found - before - expected(i, j)).abs() < 1e-4, "{m}×{k}×{n} at {i},{j}: {found}");
                    }
                }
            }
        }
        // xᵀ packed from its transposed copy is x again.
        let mut x_t = vec![0.0; m * k];
        for i in 0..m {
            for p in 0..k {
                x_t[p * m + i] = x[i * k + p];
            }
        }
        let depth = steps(a, k);
        let mut words = vec![7u32; m.div_ceil(ROWS) * depth * ROWS];
        pack_left_transposed(a, &mut words, &x_t, m, k, m);
        let right = pack(false);
        let mut y = vec![1.0f32; m * (n + 3)];
        multiply(a, &words, m, &right.words, len, n, depth, &mut y, n + 3, true, 2.0);
        for i in 0..m {
            for j in 0..n {
                assert!((f64::from(y[i * (n + 3) + j]) - 1.0 - 2.0 * expected(i, j)).abs() < 2e-4);
            }
            if i + 1 < m {
                assert_eq!(y[i * (n + 3) + n], 1.0, "a column outside the result was written");
            }
        }
    }
}

/// The common dimension in two parts gives what it gives at once.
#[test]
fn parts_of_the_common_dimension_add_up() {
    for a in kernels() {
        parts_add_up(a);
    }
}

fn parts_add_up(a: Arithmetic) {
    let (m, k, n) = (20, 96, 64);
    let (x, w) = (numbers(m * k, 0.3), numbers(n * k, 0.7));
    let mut left = Left::default();
    left.pack(a, &x, m, k);
    let part = |range: std::ops::Range<usize>| {
        let len = right_panel_len(steps(a, range.len()));
        let mut words = vec![0; n.div_ceil(COLS) * len];
        for (i, panel) in words.chunks_exact_mut(len).enumerate() {
            pack_right_rows(a, panel, &w[i * COLS * k + range.start..], COLS, range.len(), k);
        }
        Whole { words, len }
    };
    let (mut whole, mut parts) = (vec![0.0; m * n], vec![0.0; m * n]);
    product(&left, 0..steps(a, k), &part(0..k), &mut whole, n, Start::Zero);
    product(&left, 0..steps(a, 40), &part(0..40), &mut parts, n, Start::Zero);
    product(&left, steps(a, 40)..steps(a, k), &part(40..96), &mut parts, n, Start::Keep);
    assert!(whole.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-4));
}
