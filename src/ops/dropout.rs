//! Dropout whose mask is a function of (seed, position): recomputed in the backward, never stored,
//! and the same after a resume.

use super::buffer::sized;
use super::simd::by_processor;
use rayon::prelude::*;

/// Which elements are dropped in one application of dropout.
#[derive(Clone, Copy, Debug)]
pub struct DropoutMask {
    /// Tells apart steps, layers and projections.
    pub seed: u64,
    /// Probability of dropping, in [0, 1).
    pub p: f32,
    /// Row of the batch at which the operand begins: a part of a batch drops what the whole batch would.
    pub first_row: usize,
}

/// SplitMix64's finaliser: a cheap hash whose every output bit depends on every input bit.
#[inline(always)]
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl DropoutMask {
    /// A mask for a sub-operation numbered `index`.
    #[must_use]
    pub fn child(self, index: u64) -> Self {
        DropoutMask { seed: mix(self.seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15)) ^ index), ..self }
    }

    /// `out = x ⊙ mask / (1 − p)`, rows of `cols` elements.
    pub fn apply(self, x: &[f32], out: &mut Vec<f32>, cols: usize) {
        sized(out, x.len());
        out.par_chunks_mut(cols).zip(x.par_chunks(cols)).enumerate().with_min_len(8).for_each(|(row, (out, x))| {
            drop_row(x, out, self.seed.wrapping_add(((self.first_row + row) as u64) << 32), self.p);
        });
    }
}

by_processor! {
    fn drop_row(x: &[f32], out: &mut [f32], base: u64, p: f32) {
        let keep = 1.0 / (1.0 - p);
        let threshold = (f64::from(p) * 4_294_967_296.0) as u64;
        for (i, (o, v)) in out.iter_mut().zip(x).enumerate() {
            let drawn = mix(base.wrapping_add(i as u64)) >> 32;
            *o = if drawn < threshold { 0.0 } else { v * keep };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_repeats_keeps_the_mean_and_differs_between_children() {
        let x = vec![1.0f32; 64 * 1000];
        let mask = DropoutMask { seed: 7, p: 0.25, first_row: 0 };
        let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
        mask.apply(&x, &mut a, 1000);
        mask.apply(&x, &mut b, 1000);
        mask.child(1).apply(&x, &mut c, 1000);
        assert_eq!(a, b);
        assert_ne!(a, c);
        let mean = a.iter().sum::<f32>() / a.len() as f32;
        assert!((mean - 1.0).abs() < 0.01, "mean {mean}");
    }
}
