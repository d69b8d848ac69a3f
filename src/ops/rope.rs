//! Rotary position embedding (Su et al. 2021), in the "rotate half" form of Hugging Face's models:
//! feature i of a head turns together with feature i + head_dim/2.

use super::simd::by_processor;
use rayon::prelude::*;

/// Cosines and sines of every position and frequency.
pub struct RopeTable {
    half: usize,
    /// `[positions, half]`.
    cosines: Vec<f32>,
    /// `[positions, half]`.
    sines: Vec<f32>,
}

/// Frequencies θ^(−2i/d), stretched as Llama 3 does: long wavelengths are divided by `factor`, short
/// ones kept, those between interpolated.
pub fn rope_scaled_frequencies(
    frequencies: &mut [f32],
    factor: f64,
    low_freq_factor: f64,
    high_freq_factor: f64,
    original_max_positions: usize,
) {
    let original = original_max_positions as f64;
    for f in frequencies {
        let wavelength = 2.0 * std::f64::consts::PI / f64::from(*f);
        if wavelength > original / low_freq_factor {
            *f = (f64::from(*f) / factor) as f32;
        } else if wavelength >= original / high_freq_factor {
            let smooth = (original / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
            *f = ((1.0 - smooth) * f64::from(*f) / factor + smooth * f64::from(*f)) as f32;
        }
    }
}

impl RopeTable {
    /// The table for `positions` positions of heads with `2 × frequencies.len()` features.
    pub fn new(frequencies: &[f32], positions: usize) -> Self {
        let angles = (0..positions).flat_map(|p| frequencies.iter().map(move |f| p as f32 * f));
        let (cosines, sines) = angles.map(|angle| (angle.cos(), angle.sin())).unzip();
        RopeTable { half: frequencies.len(), cosines, sines }
    }

    /// Cosines and sines, `[positions, half]` each, and `half`.
    pub fn tables(&self) -> (&[f32], &[f32], usize) {
        (&self.cosines, &self.sines, self.half)
    }

    /// Positions in the table.
    pub fn positions(&self) -> usize {
        self.cosines.len() / self.half.max(1)
    }

    /// Turns every head of every row of `x` [n, heads × head_dim] by its row's position, in place.
    /// `backward` turns the other way, which is the gradient: a rotation's transpose is its inverse.
    pub fn rotate(&self, x: &mut [f32], width: usize, positions: &[u32], backward: bool) {
        let half = self.half;
        x.par_chunks_mut(width).zip(positions.par_iter()).with_min_len(16).for_each(|(row, &position)| {
            let at = position as usize * half;
            rotate_row(
                row,
                &self.cosines[at..at + half],
                &self.sines[at..at + half],
                if backward { -1.0 } else { 1.0 },
            );
        });
    }
}

by_processor! {
    fn rotate_row(row: &mut [f32], cosines: &[f32], sines: &[f32], direction: f32) {
        let half = cosines.len();
        for head in row.chunks_exact_mut(2 * half) {
            let (first, second) = head.split_at_mut(half);
            for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
                let sin = sin * direction;
                let (x0, x1) = (*a, *b);
                *a = x0 * cos - x1 * sin;
                *b = x1 * cos + x0 * sin;
            }
        }
    }
}
