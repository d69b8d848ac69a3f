//! Intervals by resampling battles: slower than the sandwich, and free of its large-sample argument.

use super::fit::{self, Centre};
use super::tally::{Pair, Structure};
use crate::error::Result;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Per model the percentile interval of θ over `rounds` resamples of all battles, each drawn with replacement.
/// The same seed gives the same interval.
///
/// # Errors
/// Those of the fit.
pub(super) fn intervals(
    centre: &Centre,
    pairs: &[Pair],
    rounds: usize,
    level: f64,
    seed: u64,
) -> Result<Vec<[f64; 2]>> {
    // Battles with the same pair and outcome are alike, so a resample is a draw of how many there are of each kind.
    let mut upper = Vec::with_capacity(pairs.len() * 3);
    let mut total = 0u64;
    for pair in pairs {
        for count in [pair.wins_i, pair.wins_j, pair.ties] {
            total += count as u64;
            upper.push(total);
        }
    }
    let models = centre.models();
    let mut samples = vec![Vec::with_capacity(rounds); models];
    for round in 0..rounds {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(round as u64);
        let mut drawn = vec![[0.0f64; 3]; pairs.len()];
        for _ in 0..total {
            let ticket = rng.random_range(0..total);
            let kind = upper.partition_point(|&u| u <= ticket);
            drawn[kind / 3][kind % 3] += 1.0;
        }
        let resample: Vec<Pair> = pairs
            .iter()
            .zip(&drawn)
            .filter(|(_, counts)| counts.iter().sum::<f64>() > 0.0)
            .map(|(pair, &[wins_i, wins_j, ties])| Pair { wins_i, wins_j, ties, ..*pair })
            .collect();
        let structure = Structure::of(models, &resample);
        let mut theta = fit::fit(models, &fit::with_imagined_ties(&resample, &structure), &structure.group)?;
        centre.apply(&mut theta);
        for (sample, value) in samples.iter_mut().zip(theta) {
            sample.push(value);
        }
    }
    Ok(samples
        .into_iter()
        .map(|mut sample| {
            sample.sort_unstable_by(f64::total_cmp);
            [quantile(&sample, (1.0 - level) / 2.0), quantile(&sample, (1.0 + level) / 2.0)]
        })
        .collect())
}

/// The `q` quantile of sorted values, linear between its neighbours; NaN when there are none.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = q.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (place - place.floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_linear_between_values() {
        let values = [1.0, 2.0, 4.0];
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|q| quantile(&values, q)), [1.0, 1.5, 2.0, 3.0, 4.0]);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
