//! How sure a score is, and how sure a difference between two scores is.
//!
//! Two models that answered the same questions are compared pair by pair: what both get right or both get wrong says
//! nothing about the difference, and a test that ignores the pairing wastes most of the evidence.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use statrs::distribution::{Binomial, ContinuousCDF, Discrete, DiscreteCDF, Normal};

/// The standard error of a mean: sample standard deviation (n − 1) ÷ √n, as lm-evaluation-harness computes it.
/// `None` for fewer than two values.
pub fn mean_stderr(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    Some((squares / (n - 1.0)).sqrt() / n.sqrt())
}

/// [`mean_stderr`] of `correct` ones among `n` zeros and ones: √(p(1−p) ÷ (n−1)).
pub fn accuracy_stderr(correct: usize, n: usize) -> Option<f64> {
    if n < 2 {
        return None;
    }
    let p = correct as f64 / n as f64;
    Some((p * (1.0 - p) / (n as f64 - 1.0)).sqrt())
}

/// The standard error of a group's micro average from those of its k parts, as lm-evaluation-harness pools them:
/// √(Σ(nᵢ−1)·seᵢ²·nᵢ ÷ (N−k) ÷ N). `parts` holds (seᵢ, nᵢ). `None` when N = k leaves no freedom.
pub fn pooled_stderr(parts: &[(f64, usize)]) -> Option<f64> {
    let total: usize = parts.iter().map(|(_, n)| n).sum();
    let freedom = total.checked_sub(parts.len()).filter(|f| *f > 0)? as f64;
    let squares: f64 = parts.iter().map(|&(se, n)| n.saturating_sub(1) as f64 * se * se * n as f64).sum();
    Some((squares / freedom / total as f64).sqrt())
}

/// The `p` quantile of the standard normal distribution.
pub fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// Wilson's score interval of a proportion at the confidence `level` (0.95): inside [0, 1] and sensible at 0 and n,
/// where p ± z·se is not. The whole of [0, 1] for no trials.
pub fn wilson(successes: usize, n: usize, level: f64) -> [f64; 2] {
    if n == 0 {
        return [0.0, 1.0];
    }
    let (p, n) = (successes as f64 / n as f64, n as f64);
    let z = normal_quantile(f64::midpoint(1.0, level));
    let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    [(centre - half).max(0.0), (centre + half).min(1.0)]
}

/// McNemar's test on `gained` items that only the second got right and `lost` that only the first did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct McNemar {
    /// Exact two-sided p: twice the smaller binomial tail with p = ½, at most 1. Never too small; use this one.
    pub exact: f64,
    /// The same with half the weight of the observed split: less cautious, close to its nominal level.
    pub mid_p: f64,
}

/// McNemar's exact test. Its χ² form is left out on purpose: it needs 25 or more discordant items to be right, and with
/// those it agrees with the exact one.
pub fn mcnemar(gained: usize, lost: usize) -> McNemar {
    let n = (gained + lost) as u64;
    let Ok(binomial) = Binomial::new(0.5, n) else {
        return McNemar { exact: 1.0, mid_p: 1.0 };
    };
    let least = gained.min(lost) as u64;
    if n == 0 {
        return McNemar { exact: 1.0, mid_p: 1.0 };
    }
    let exact = (2.0 * binomial.cdf(least)).min(1.0);
    // An even split has both tails in the middle term: the mid-p is 1 less half of it.
    let middle = binomial.pmf(least);
    let mid_p = if gained == lost { 1.0 - middle / 2.0 } else { (2.0 * binomial.cdf(least) - middle).min(1.0) };
    McNemar { exact, mid_p }
}

/// A percentile bootstrap interval of mean(b) − mean(a) over `rounds` resamples of the pairs, at the confidence `level`.
/// The same seed gives the same interval. `None` without pairs, without rounds, or when the lengths differ.
pub fn paired_bootstrap(a: &[f64], b: &[f64], rounds: usize, level: f64, seed: u64) -> Option<[f64; 2]> {
    if a.len() != b.len() {
        return None;
    }
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
    bootstrap_mean(&differences, rounds, level, seed)
}

/// A percentile bootstrap interval of the mean of `values` over `rounds` resamples, at the confidence `level`. The same
/// seed gives the same interval. `None` without values or without rounds.
pub fn bootstrap_mean(values: &[f64], rounds: usize, level: f64, seed: u64) -> Option<[f64; 2]> {
    let n = values.len();
    if n == 0 || rounds == 0 {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut means: Vec<f64> =
        (0..rounds).map(|_| (0..n).map(|_| values[rng.random_range(0..n)]).sum::<f64>() / n as f64).collect();
    means.sort_unstable_by(f64::total_cmp);
    let at = |q: f64| {
        let place = q * (rounds - 1) as f64;
        let (low, high) = (place.floor() as usize, place.ceil() as usize);
        means[low] + (means[high] - means[low]) * (place - place.floor())
    };
    Some([at((1.0 - level) / 2.0), at(f64::midpoint(1.0, level))])
}

/// Holm's step-down correction of the p values of one family of tests, in the order given: the k-th smallest of m is
/// multiplied by m − k + 1, none is below its predecessor, none above 1. Holds the chance of any false finding at the
/// level that a single test has, whatever the tests have to do with each other (Holm 1979).
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut corrected = vec![1.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, at) in order.into_iter().enumerate() {
        largest = largest.max((p_values.len() - rank) as f64 * p_values[at]).min(1.0);
        corrected[at] = largest;
    }
    corrected
}

/// Items needed for McNemar's test to find a difference of accuracy `difference` among models that disagree on the
/// share `discordance` of items, two-sided at the error `alpha` with the given `power` (Connor 1987):
/// n = (z₁₋α⁄₂·√ψ + z_power·√(ψ − δ²))² ÷ δ². `None` when δ is 0 or larger than ψ, which cannot be.
pub fn items_needed(discordance: f64, difference: f64, alpha: f64, power: f64) -> Option<u64> {
    let delta = difference.abs();
    // The difference is the gap between two shares of the discordant items; equality up to rounding is allowed.
    if delta == 0.0 || delta > discordance * (1.0 + 1e-12) || discordance > 1.0 {
        return None;
    }
    let (a, b) = (normal_quantile(1.0 - alpha / 2.0), normal_quantile(power));
    let n = (a * discordance.sqrt() + b * (discordance - delta * delta).max(0.0).sqrt()).powi(2) / (delta * delta);
    n.is_finite().then_some(n.ceil() as u64)
}

/// Two runs on the same items, compared pair by pair.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// Items that both runs answered.
    pub n: usize,
    /// Accuracy of the first.
    pub acc_a: f64,
    /// Accuracy of the second.
    pub acc_b: f64,
    /// acc_b − acc_a.
    pub difference: f64,
    /// 95% bootstrap interval of the difference.
    pub ci95: [f64; 2],
    /// Exact two-sided McNemar p.
    pub mcnemar_p: f64,
    /// Items that only the second got right.
    pub gained: usize,
    /// Items that only the first got right.
    pub lost: usize,
    /// Items that would show a difference of this size with 80% power at α = 0.05; `None` when there is none.
    pub items_needed: Option<u64>,
}

/// Resamples of [`compare`] and of other intervals shown: the bounds of a 95% interval then stand still in the third digit.
pub const ROUNDS: usize = 10_000;

/// Compares item by item which of two runs were correct. `None` without items or when the lengths differ.
pub fn compare(a: &[bool], b: &[bool], seed: u64) -> Option<Paired> {
    let as_numbers = |v: &[bool]| v.iter().map(|&c| f64::from(u8::from(c))).collect::<Vec<f64>>();
    let ci95 = paired_bootstrap(&as_numbers(a), &as_numbers(b), ROUNDS, 0.95, seed)?;
    let n = a.len();
    let count = |want: (bool, bool)| a.iter().zip(b).filter(|&(&a, &b)| (a, b) == want).count();
    let (gained, lost) = (count((false, true)), count((true, false)));
    let share = |count: usize| count as f64 / n as f64;
    let both = count((true, true));
    let difference = (gained as f64 - lost as f64) / n as f64;
    Some(Paired {
        n,
        acc_a: share(both + lost),
        acc_b: share(both + gained),
        difference,
        ci95,
        mcnemar_p: mcnemar(gained, lost).exact,
        gained,
        lost,
        items_needed: items_needed(share(gained + lost), difference, 0.05, 0.8),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64, tolerance: f64) {
        assert!((got - expected).abs() <= tolerance, "{got} instead of {expected}");
    }
    // Expected values: scipy 1.17 (`binomtest`, `binomtest(...).proportion_ci("wilson")`, `norm.ppf`, `stats.sem`) and
    // lm-eval 0.4.13 (`mean_stderr`, `pooled_sample_stderr`), unless worked out by hand.

    #[test]
    fn standard_errors_are_those_of_the_harness() {
        let scores = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0];
        close(mean_stderr(&scores).unwrap(), 0.182_981_263_677_849_95, 1e-15);
        close(accuracy_stderr(5, 8).unwrap(), 0.182_981_263_677_849_95, 1e-15);
        close(mean_stderr(&[0.5, 2.0, 3.25]).unwrap(), 0.794_949_334_514_121_4, 1e-14);
        close(pooled_stderr(&[(0.05, 40), (0.1, 20), (0.08, 30)]).unwrap(), 0.041_164_405_757_947_43, 1e-15);
        // One group pools to itself: √((n−1)·se²·n ÷ (n−1) ÷ n).
        close(pooled_stderr(&[(0.07, 33)]).unwrap(), 0.07, 1e-15);
        assert_eq!((mean_stderr(&[1.0]), accuracy_stderr(1, 1), pooled_stderr(&[(0.0, 1)])), (None, None, None));
        assert_eq!((mean_stderr(&[]), accuracy_stderr(0, 0), pooled_stderr(&[])), (None, None, None));
    }

    #[test]
    fn wilson_stays_inside_and_agrees_with_scipy() {
        for (k, n, low, high) in [
            (0, 10, 0.0, 0.277_532_799_862_889_26),
            (10, 10, 0.722_467_200_137_111_1, 1.0),
            (7, 20, 0.181_191_824_101_082_1, 0.567_145_723_314_763_7),
            (450, 1346, 0.309_624_549_950_490_4, 0.359_966_277_116_208_8),
        ] {
            let [l, h] = wilson(k, n, 0.95);
            close(l, low, 1e-9);
            close(h, high, 1e-9);
        }
        assert_eq!(wilson(0, 0, 0.95), [0.0, 1.0]);
        close(normal_quantile(0.975), 1.959_963_984_540_054, 1e-9);
    }

    #[test]
    fn mcnemar_is_the_binomial_test_of_the_discordant_items() {
        for (gained, lost, exact) in [
            (5, 15, 0.041_389_465_332_031_25),
            (0, 6, 0.031_25),
            (10, 10, 1.0),
            (1, 0, 1.0),
            (40, 62, 0.037_066_767_438_560_584),
            (300, 260, 0.099_255_870_057_396_7),
        ] {
            close(mcnemar(gained, lost).exact, exact, 1e-9);
            assert_eq!(mcnemar(gained, lost), mcnemar(lost, gained));
            assert!(mcnemar(gained, lost).mid_p <= mcnemar(gained, lost).exact);
        }
        close(mcnemar(5, 15).mid_p, 0.026_603_698_730_468_753, 1e-9);
        // (0, 6): 2·2⁻⁶ less 2⁻⁶.
        close(mcnemar(0, 6).mid_p, 1.0 / 64.0, 1e-12);
        // An even split of 2 items: 1 − ½·½.
        close(mcnemar(1, 1).mid_p, 0.75, 1e-12);
        assert_eq!(mcnemar(0, 0), McNemar { exact: 1.0, mid_p: 1.0 });
    }

    #[test]
    fn the_bootstrap_is_seeded_and_knows_certainty() {
        let a: Vec<f64> = (0..200).map(|i| f64::from(u8::from(i % 3 == 0))).collect();
        let b: Vec<f64> = (0..200).map(|i| f64::from(u8::from(i % 2 == 0))).collect();
        let interval = paired_bootstrap(&a, &b, 2000, 0.95, 1).unwrap();
        assert_eq!(Some(interval), paired_bootstrap(&a, &b, 2000, 0.95, 1));
        assert_ne!(Some(interval), paired_bootstrap(&a, &b, 2000, 0.95, 2));
        // The normal interval of the same differences, which 200 items make a good guess.
        let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| b - a).collect();
        let mean = differences.iter().sum::<f64>() / 200.0;
        let half = 1.96 * mean_stderr(&differences).unwrap();
        close(interval[0], mean - half, 0.015);
        close(interval[1], mean + half, 0.015);
        assert_eq!(paired_bootstrap(&a, &a, 100, 0.95, 1), Some([0.0, 0.0]));
        assert_eq!(paired_bootstrap(&a, &b[1..], 100, 0.95, 1), None);
        assert_eq!(paired_bootstrap(&[], &[], 100, 0.95, 1), None);
        assert_eq!(paired_bootstrap(&a, &b, 0, 0.95, 1), None);
        assert!(paired_bootstrap(&[0.0], &[1.0], 1, 0.95, 1) == Some([1.0, 1.0]));
    }

    #[test]
    fn holm_by_hand() {
        // Sorted: 0.005·4, 0.01·3, 0.03·2, 0.04·1; the last may not be below the third.
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (got, expected) in corrected.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            close(*got, expected, 1e-12);
        }
        assert_eq!(holm(&[0.7, 0.6]), [1.0, 1.0]);
        assert_eq!(holm(&[0.2]), [0.2]);
        assert!(holm(&[]).is_empty());
        // Equal p values are treated alike, and the order of the tests does not matter.
        assert_eq!(holm(&[0.02, 0.02, 0.5]), [0.06, 0.06, 0.5]);
    }

    #[test]
    fn a_mean_has_its_bootstrap_interval() {
        // scipy 1.17: bootstrap((x,), mean, method="percentile", 99 999 resamples) of 60 ones among 200: [0.235, 0.365].
        let x: Vec<f64> = (0..200).map(|i| f64::from(u8::from(i < 60))).collect();
        let [low, high] = bootstrap_mean(&x, ROUNDS, 0.95, 7).unwrap();
        close(low, 0.235, 0.006);
        close(high, 0.365, 0.006);
        assert_eq!(bootstrap_mean(&[], ROUNDS, 0.95, 7), None);
        assert_eq!(bootstrap_mean(&[0.5], ROUNDS, 0.95, 7), Some([0.5, 0.5]));
    }

    #[test]
    fn items_needed_by_the_formula() {
        // scipy: (norm.ppf(.975)·√.3 + norm.ppf(.8)·√.29)² ÷ .01 = 233.09…
        assert_eq!(items_needed(0.3, 0.1, 0.05, 0.8), Some(234));
        assert_eq!(items_needed(0.3, -0.1, 0.05, 0.8), Some(234));
        assert_eq!(items_needed(0.3, 0.0, 0.05, 0.8), None);
        assert_eq!(items_needed(0.1, 0.3, 0.05, 0.8), None);
        assert!(items_needed(0.1, 0.1, 0.05, 0.8).is_some());
    }

    #[test]
    fn pairing_finds_what_two_separate_errors_hide() {
        // 220 items; 20 gained, 6 lost, the rest agree.
        let a: Vec<bool> = (0..220).map(|i| i < 110).collect();
        let b: Vec<bool> = (0..220).map(|i| (6..130).contains(&i)).collect();
        let paired = compare(&a, &b, 42).unwrap();
        assert_eq!((paired.gained, paired.lost, paired.n), (20, 6, 220));
        close(paired.acc_a, 0.5, 1e-12);
        close(paired.acc_b - paired.acc_a, paired.difference, 1e-12);
        let unpaired = accuracy_stderr(110, 220).unwrap().hypot(accuracy_stderr(124, 220).unwrap());
        assert!(paired.difference < 1.96 * unpaired && paired.mcnemar_p < 0.01 && paired.ci95[0] > 0.0, "{paired:?}");
        assert_eq!(compare(&a, &b[..5], 42), None);
        assert_eq!(compare(&[], &[], 42), None);
        let same = compare(&a, &a, 42).unwrap();
        assert_eq!((same.difference, same.mcnemar_p, same.items_needed), (0.0, 1.0, None));
    }
}
