//! NEFTune (Jain et al. 2023): noise on the embeddings of a training batch, which keeps a model from learning its
//! few instructions by heart.

use super::dropout::mix;
use super::simd::by_processor;
use rayon::prelude::*;

/// Noise that is a function of (seed, position): the same after a resume, and when a block runs again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EmbeddingNoise {
    /// Tells steps apart.
    pub seed: u64,
    /// α: the noise of a sequence of L tokens of width d is uniform in ±α/√(L·d).
    pub alpha: f32,
}

impl EmbeddingNoise {
    /// Adds the noise to one sequence `x` [len, width], whose first token is row `first_row` of the batch.
    pub fn add(self, x: &mut [f32], width: usize, first_row: usize) {
        let bound = self.alpha / (x.len() as f32).sqrt();
        x.par_chunks_mut(width).enumerate().with_min_len(16).for_each(|(i, row)| {
            noise_row(row, self.seed.wrapping_add(((first_row + i) as u64) << 32), bound);
        });
    }
}

by_processor! {
    fn noise_row(row: &mut [f32], base: u64, bound: f32) {
        for (i, x) in row.iter_mut().enumerate() {
            // 24 random bits, so that every value is exact in f32 and the two signs are alike.
            let drawn = (mix(base.wrapping_add(i as u64)) >> 40) as f32;
            *x += bound * (drawn / 8_388_608.0 - 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_keeps_its_bound_is_centred_and_depends_on_the_row() {
        let (len, width) = (100, 64);
        let noise = EmbeddingNoise { seed: 3, alpha: 5.0 };
        let (mut a, mut b, mut c) = (vec![0.0; len * width], vec![0.0; len * width], vec![0.0; len * width]);
        noise.add(&mut a, width, 0);
        noise.add(&mut b, width, 0);
        noise.add(&mut c, width, 7);
        assert_eq!(a, b);
        assert_ne!(a, c);
        let bound = 5.0 / ((len * width) as f32).sqrt();
        assert!(a.iter().all(|x| x.abs() <= bound));
        assert!(a.iter().any(|x| *x > 0.9 * bound) && a.iter().any(|x| *x < -0.9 * bound));
        let mean = a.iter().sum::<f32>() / a.len() as f32;
        assert!(mean.abs() < 0.05 * bound, "{mean}");
    }
}
