//! Attention over packed sequences against its definition in f64 (`tests/naive`), both ways, in every arithmetic; and
//! that sequences never see each other, bit for bit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod naive;

use linly_bench::ops::{Arithmetic, Attended, HeadLayout, attention, attention_backward};
use naive::{F32, arithmetics, assert_close, attention_gradients, finite_differences, inner, largest, numbers, wide};
use std::ops::Range;

/// Lengths around the block sizes (12, 64, 96 rows) and where bf16 begins (16).
const LENGTHS: [usize; 6] = [1, 15, 16, 17, 100, 130];

fn sequences(lengths: &[usize]) -> Vec<Range<usize>> {
    let mut end = 0;
    let next = |len: &usize| {
        end += len;
        end - len..end
    };
    lengths.iter().map(next).collect()
}

/// A packed batch for attention, with the gradient of its output.
struct Packed {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    d_out: Vec<f32>,
    layout: HeadLayout,
    sequences: Vec<Range<usize>>,
}

/// Output, log-sum-exp, dq, dk, dv.
type Results = [Vec<f32>; 5];

impl Packed {
    fn new(layout: HeadLayout, lengths: &[usize]) -> Packed {
        let n: usize = lengths.iter().sum();
        let (qw, kw) = (layout.q_width(), layout.kv_width());
        // Scores of some size, so that the softmax is far from even.
        let [q, k, v, d_out] =
            [(qw, 2.0), (kw, 2.0), (kw, 1.0), (qw, 1.0)].map(|(w, most)| numbers(n * w, most, w as u64));
        Packed { q, k, v, d_out, layout, sequences: sequences(lengths) }
    }

    fn naive(&self) -> naive::Qkv {
        naive::Qkv { q: wide(&self.q), k: wide(&self.k), v: wide(&self.v), layout: self.layout }
    }

    fn run(&self, arithmetic: Arithmetic) -> Results {
        let n = self.q.len() / self.layout.q_width();
        let input = linly_bench::ops::Qkv { q: &self.q, k: &self.k, v: &self.v, layout: self.layout };
        let (mut out, mut lse) = (vec![f32::NAN; self.q.len()], vec![f32::NAN; n * self.layout.heads]);
        attention(input, &self.sequences, &[], arithmetic, &mut out, &mut lse);
        let [mut dq, mut dk, mut dv] = [&self.q, &self.k, &self.v].map(|x| vec![f32::NAN; x.len()]);
        let forward = Attended { out: &out, lse: &lse, d_out: &self.d_out };
        attention_backward(input, forward, &self.sequences, arithmetic, &mut dq, &mut dk, &mut dv);
        [out, lse, dq, dk, dv]
    }
}

const LAYOUTS: [HeadLayout; 4] = [
    HeadLayout { heads: 2, kv_heads: 2, head_dim: 8 },
    HeadLayout { heads: 6, kv_heads: 2, head_dim: 10 },
    HeadLayout { heads: 3, kv_heads: 1, head_dim: 64 },
    HeadLayout { heads: 4, kv_heads: 1, head_dim: 34 },
];

#[test]
fn the_written_out_attention_gradient_is_that_of_finite_differences() {
    for layout in &LAYOUTS[..2] {
        let packed = Packed::new(*layout, &[1, 5, 9]);
        let (input, d) = (packed.naive(), wide(&packed.d_out));
        let sum = |input: &naive::Qkv| inner(&naive::attention(input, &packed.sequences).0, &d);
        let differences = [
            finite_differences(&input.q, |q| sum(&naive::Qkv { q: q.to_vec(), ..input.clone() })),
            finite_differences(&input.k, |k| sum(&naive::Qkv { k: k.to_vec(), ..input.clone() })),
            finite_differences(&input.v, |v| sum(&naive::Qkv { v: v.to_vec(), ..input.clone() })),
        ];
        for (written, differences) in attention_gradients(&input, &packed.sequences, &d).iter().zip(&differences) {
            let off = written.iter().zip(differences).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < 1e-7 * largest(differences), "{layout:?}: off by {off}");
        }
    }
}

#[test]
fn attention_over_packed_sequences_equals_its_definition_both_ways() {
    for layout in LAYOUTS {
        let packed = Packed::new(layout, &LENGTHS);
        let input = packed.naive();
        let (out, lse) = naive::attention(&input, &packed.sequences);
        let [dq, dk, dv] = attention_gradients(&input, &packed.sequences, &wide(&packed.d_out));
        for arithmetic in arithmetics() {
            let bounds = match arithmetic {
                Arithmetic::F32 => [F32; 5],
                // A score is off by up to 2⁻⁸ of Σ|q||k|·scale, a weight by e^that; weights and values are rounded
                // by 2⁻⁹ more. The backward makes scores again and adds two products: 2⁻⁸ four or five times over.
                Arithmetic::Bf16 => [0.0125, 0.005, 0.02, 0.02, 0.02],
            };
            let names = ["out", "lse", "dq", "dk", "dv"];
            let expected = [&out, &lse, &dq, &dk, &dv];
            for (((name, found), expected), bound) in names.iter().zip(packed.run(arithmetic)).zip(expected).zip(bounds)
            {
                let what = format!("{layout:?} {} {name}", arithmetic.name());
                assert_close(&what, &found, expected, bound);
                // Short sequences among long ones are judged by their own size.
                for sequence in &packed.sequences {
                    let width = found.len() / packed.sequences.last().unwrap().end;
                    let part = sequence.start * width..sequence.end * width;
                    // A sequence of one has weights of 1 and no gradient of q and k.
                    if largest(&expected[part.clone()]) > 1e-9 {
                        assert_close(&format!("{what} {sequence:?}"), &found[part.clone()], &expected[part], bound);
                    }
                }
            }
        }
    }
}

#[test]
fn packed_sequences_never_see_each_other() {
    for arithmetic in arithmetics() {
        let layout = LAYOUTS[1];
        let packed = Packed::new(layout, &LENGTHS);
        let whole = packed.run(arithmetic);
        let n = packed.sequences.last().unwrap().end;
        for (s, sequence) in packed.sequences.iter().enumerate() {
            let mut changed = Packed::new(layout, &LENGTHS);
            // One token in the middle becomes another, too large to be lost in rounding.
            let row = (sequence.start + sequence.end) / 2;
            for x in [&mut changed.q, &mut changed.k, &mut changed.v, &mut changed.d_out] {
                let width = x.len() / n;
                x[row * width..(row + 1) * width].iter_mut().for_each(|x| *x = 9.0 - *x);
            }
            for (before, after) in whole.iter().zip(changed.run(arithmetic)) {
                let width = before.len() / n;
                for (other, rows) in packed.sequences.iter().enumerate() {
                    let part = rows.start * width..rows.end * width;
                    let same = before[part.clone()].iter().zip(&after[part]).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same || other == s, "{}: a token of {sequence:?} reached {rows:?}", arithmetic.name());
                }
            }
            assert_ne!(whole[0], changed.run(arithmetic)[0]);
        }
        // And alone each sequence is what it is among others, but for the sum over equal keys, which has one order.
        for rows in &packed.sequences {
            let cut = |x: &[f32]| {
                let width = x.len() / n;
                x[rows.start * width..rows.end * width].to_vec()
            };
            let [q, k, v, d_out] = [&packed.q, &packed.k, &packed.v, &packed.d_out].map(|x| cut(x));
            let alone = Packed { q, k, v, d_out, layout, sequences: sequences(&[rows.len()]) };
            assert_eq!(alone.run(arithmetic), whole.each_ref().map(|x| cut(x)), "{} {rows:?}", arithmetic.name());
        }
    }
}
