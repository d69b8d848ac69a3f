//! Rows that say nearly the same: MinHash signatures find candidates, their shingles decide.

use crate::data::shingles::{common, mix, shingle_set, tokens};
use std::collections::HashMap;

/// Values of a signature that must agree for two rows to be compared.
const ROWS: usize = 4;
/// Groups of so many values. Two rows of Jaccard index J are compared with probability 1 − (1 − J⁴)²⁰: 0.7 gives
/// 0.996, 0.8 gives 0.99997 (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4).
const BANDS: usize = 20;
/// Rows of one bucket that a new one is compared with. A bucket larger than this holds one set phrase.
const MOST: usize = 16;

/// Two rows that are nearly the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearPair {
    /// The earlier row.
    pub first: usize,
    /// The later one.
    pub second: usize,
    /// Jaccard index of their shingles (runs of three words or characters).
    pub jaccard: f64,
}

/// Rows so far, ready to be asked which of them a new one is nearly the same as. Memory: 160 bytes a row and eight a shingle.
pub struct NearDuplicates {
    threshold: f64,
    shingles: Vec<Vec<u64>>,
    buckets: Vec<HashMap<u64, Vec<u32>>>,
}

impl NearDuplicates {
    /// No rows yet; `threshold` is the Jaccard index from which two are nearly the same.
    pub fn new(threshold: f64) -> NearDuplicates {
        NearDuplicates { threshold, shingles: Vec::new(), buckets: vec![HashMap::new(); BANDS] }
    }

    /// Adds the next row and gives the most similar earlier one, if there is one. Texts of fewer than three tokens are nearly the same only when they are the same.
    pub fn add(&mut self, text: &str) -> Option<NearPair> {
        let second = self.shingles.len();
        let words = tokens(text);
        let mut set = shingle_set(&words);
        if set.is_empty() {
            set.push(words.iter().fold(1, |h, word| mix(h, *word)));
        }
        let keys = band_keys(&set);
        let mut compared: Vec<u32> = Vec::new();
        for (bucket, key) in self.buckets.iter().zip(&keys) {
            compared.extend(bucket.get(key).into_iter().flatten());
        }
        compared.sort_unstable();
        compared.dedup();
        let mut best: Option<NearPair> = None;
        for first in compared {
            let other = &self.shingles[first as usize];
            let both = common(other, &set);
            let jaccard = both as f64 / (other.len() + set.len() - both) as f64;
            if jaccard >= self.threshold && best.is_none_or(|b| jaccard > b.jaccard) {
                best = Some(NearPair { first: first as usize, second, jaccard });
            }
        }
        for (bucket, key) in self.buckets.iter_mut().zip(keys) {
            let rows = bucket.entry(key).or_default();
            if rows.len() < MOST {
                rows.push(second as u32);
            }
        }
        self.shingles.push(set);
        best
    }
}

/// One key per band. A signature's value i is the smallest shingle after the i-th mixing of all of them.
fn band_keys(set: &[u64]) -> Vec<u64> {
    let mut signature = [u64::MAX; ROWS * BANDS];
    for shingle in set {
        // Two hashes make as many as are wanted: a + i·b (Kirsch and Mitzenmacher).
        let (a, b) = (mix(1, *shingle), mix(2, *shingle) | 1);
        for (i, value) in signature.iter_mut().enumerate() {
            *value = (*value).min(a.wrapping_add(b.wrapping_mul(i as u64 + 1)));
        }
    }
    signature
        .chunks_exact(ROWS)
        .enumerate()
        .map(|(band, values)| values.iter().fold(band as u64, |h, v| mix(h, *v)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn reworded_rows_are_found_in_both_languages() {
        let mut near = NearDuplicates::new(0.6);
        for text in [
            "商业银行在计算资本充足率时，对个人住房抵押贷款适用的风险权重通常为多少？",
            "Which instrument does a central bank use when it wants to drain liquidity from the market?",
            "什么是市盈率？",
        ] {
            assert_eq!(near.add(text), None);
        }
        assert_eq!(
            near.add("商业银行在计算资本充足率时，对个人住房抵押贷款所适用的风险权重一般为多少").map(|p| p.first),
            Some(0)
        );
        assert_eq!(
            near.add("Which instrument does a central bank use when it wants to drain liquidity from the markets")
                .map(|p| p.first),
            Some(1)
        );
        assert_eq!(near.add("什么是市净率？"), None);
        assert_eq!(near.add("什么 是 市盈率"), Some(NearPair { first: 2, second: 6, jaccard: 1.0 }));
        assert_eq!((near.add("A"), near.add("a!").map(|p| p.first)), (None, Some(7)));
    }

    /// Against the definition: all pairs' Jaccard indices.
    #[test]
    fn hardly_any_pair_above_the_threshold_is_missed_and_none_is_invented() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let base: Vec<Vec<u32>> =
            (0..40).map(|_| (0..40).map(|_| rng.random_range(0x4e00..0x9000)).collect()).collect();
        let texts: Vec<String> = (0..600)
            .map(|_| {
                let mut row = base[rng.random_range(0..base.len())].clone();
                for _ in 0..rng.random_range(0..6) {
                    let at = rng.random_range(0..row.len());
                    row[at] = rng.random_range(0x4e00..0x9000);
                }
                row.into_iter().filter_map(char::from_u32).collect()
            })
            .collect();
        let sets: Vec<Vec<u64>> = texts.iter().map(|t| shingle_set(&tokens(t))).collect();
        let jaccard = |a: &[u64], b: &[u64]| {
            let both = common(a, b);
            both as f64 / (a.len() + b.len() - both) as f64
        };
        let mut near = NearDuplicates::new(0.7);
        let (mut wanted, mut got) = (0, 0);
        for (i, text) in texts.iter().enumerate() {
            let found = near.add(text);
            let best = (0..i).map(|j| jaccard(&sets[j], &sets[i])).fold(0.0, f64::max);
            wanted += usize::from(best >= 0.7);
            if let Some(pair) = found {
                got += 1;
                assert!(pair.jaccard >= 0.7 && pair.second == i);
                assert_eq!(pair.jaccard, jaccard(&sets[pair.first], &sets[i]));
            }
        }
        assert!(wanted > 200 && got >= wanted * 98 / 100, "{got} of {wanted}");
    }
}
