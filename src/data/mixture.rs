//! Mixtures: which row of which source comes next, so that every beginning of the sequence has the shares that were asked
//! for, and these shares may move from its beginning to its end (a curriculum).

use crate::error::{Error, Kind, Result};
use crate::tr;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// What is mixed.
#[derive(Clone, Debug)]
pub struct MixSource {
    /// Name of the dataset.
    pub name: String,
    /// Its rows.
    pub rows: usize,
    /// Mean length of a row; 1 when shares are counted in rows.
    pub mean_length: f64,
    /// Its share at the beginning, relative to the others'.
    pub start: f64,
    /// Its share at the end.
    pub end: f64,
}

/// A stretch of a mixture, for a picture of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MixStretch {
    /// First position, from 0.
    pub from: usize,
    /// Rows of each source in it.
    pub rows: Vec<usize>,
}

/// A mixture row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// (source, row of that source), in order.
    pub draws: Vec<(usize, usize)>,
    /// Rows of each source among them.
    pub drawn: Vec<usize>,
}

/// Shares by size, flattened by a temperature: nᵢ^(1/T) (Conneau et al., 2020, with α = 1/T). 1 is the sources' own sizes, large
/// values approach equal shares.
pub fn by_temperature(rows: &[usize], temperature: f64) -> Vec<f64> {
    rows.iter().map(|n| (*n as f64).powf(1.0 / temperature)).collect()
}

/// Mixes `total` rows of `sources`; without a total as many as there are before a source would have to repeat a row. A source that has fewer than
/// its share is shuffled and begun again.
///
/// # Errors
/// `InvalidInput` for a share that is negative or not a number, no positive share, or a source without rows that has a share.
pub fn mix(sources: &[MixSource], total: Option<usize>, seed: u64) -> Result<Mixture> {
    check(sources)?;
    let steps = match total {
        Some(total) => total,
        None => longest(sources),
    };
    let mut decks: Vec<Deck> = sources.iter().enumerate().map(|(i, s)| Deck::new(s.rows, seed, i as u64)).collect();
    let mut wanted = vec![0.0; sources.len()];
    let mut drawn = vec![0usize; sources.len()];
    let mut draws = Vec::with_capacity(steps);
    for step in 0..steps {
        let shares = shares(sources, step, steps);
        wanted.iter_mut().zip(&shares).for_each(|(w, share)| *w += share);
        // The source that lags most behind its share: no beginning of the sequence is off by more than a row or two.
        let behind = |i: &usize| wanted[*i] - drawn[*i] as f64;
        let next = (0..sources.len())
            .filter(|i| shares[*i] > 0.0)
            .max_by(|a, b| behind(a).total_cmp(&behind(b)).then(b.cmp(a)));
        let Some(next) = next else { break };
        drawn[next] += 1;
        draws.push((next, decks[next].draw()));
    }
    Ok(Mixture { draws, drawn })
}

impl Mixture {
    /// The mixture in `count` stretches of nearly equal length.
    pub fn stretches(&self, count: usize) -> Vec<MixStretch> {
        let total = self.draws.len();
        let count = count.clamp(1, total.max(1));
        (0..count)
            .map(|i| {
                let (from, to) = (total * i / count, total * (i + 1) / count);
                let mut rows = vec![0; self.drawn.len()];
                self.draws[from..to].iter().for_each(|(source, _)| rows[*source] += 1);
                MixStretch { from, rows }
            })
            .collect()
    }
}

/// Each source's share of the rows at `step` of `steps`.
fn shares(sources: &[MixSource], step: usize, steps: usize) -> Vec<f64> {
    let progress = if steps > 1 { step as f64 / (steps - 1) as f64 } else { 0.0 };
    let weight = |s: &MixSource| (s.start + (s.end - s.start) * progress) / s.mean_length.max(f64::MIN_POSITIVE);
    let sum: f64 = sources.iter().map(weight).sum();
    sources.iter().map(|s| if sum > 0.0 { weight(s) / sum } else { 0.0 }).collect()
}

/// The most rows that can be mixed without a row coming twice.
fn longest(sources: &[MixSource]) -> usize {
    let fits = |steps: usize| {
        let mut sums = vec![0.0; sources.len()];
        for step in 0..steps {
            sums.iter_mut().zip(shares(sources, step, steps)).for_each(|(sum, share)| *sum += share);
        }
        // A source may be ahead of its share by less than a row.
        sums.iter().zip(sources).all(|(sum, s)| *sum <= s.rows as f64 + 1e-6)
    };
    let (mut low, mut high) = (0, sources.iter().map(|s| s.rows).sum::<usize>());
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    low
}

fn check(sources: &[MixSource]) -> Result<()> {
    let refuse = |message: String, hint: String| Err(Error::new(Kind::InvalidInput, message).hint(hint));
    for source in sources {
        let (name, shares) = (&source.name, [source.start, source.end]);
        if shares.iter().any(|share| !share.is_finite() || *share < 0.0) {
            return refuse(
                tr!("the share of {name} is no number from 0 up", "{name} 的比例不是非负数"),
                tr!("give shares such as {name}=0.7", "请给出比例，例如 {name}=0.7"),
            );
        }
        if source.rows == 0 && shares.iter().any(|share| *share > 0.0) {
            return refuse(
                tr!("{name} has no rows to be mixed", "{name} 没有可混合的行"),
                tr!("leave it out", "请去掉它"),
            );
        }
    }
    let all = |share: fn(&MixSource) -> f64| sources.iter().map(share).sum::<f64>();
    if all(|s| s.start) <= 0.0 || all(|s| s.end) <= 0.0 {
        return refuse(
            tr!("no source has a share", "没有任何来源占有比例"),
            tr!("give at least one share above 0", "请至少给出一个大于 0 的比例"),
        );
    }
    Ok(())
}

/// The rows of a source in a random order, and in another one each time they are used up.
struct Deck {
    order: Vec<usize>,
    next: usize,
    rng: ChaCha8Rng,
}

impl Deck {
    fn new(rows: usize, seed: u64, stream: u64) -> Deck {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Deck { order: (0..rows).collect(), next: rows, rng }
    }

    fn draw(&mut self) -> usize {
        if self.next == self.order.len() {
            self.order.shuffle(&mut self.rng);
            self.next = 0;
        }
        self.next += 1;
        self.order.get(self.next - 1).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, rows: usize, start: f64, end: f64) -> MixSource {
        MixSource { name: name.into(), rows, mean_length: 1.0, start, end }
    }

    #[test]
    fn every_beginning_has_the_shares_that_were_asked_for() {
        let sources = [source("zh", 700, 0.7, 0.7), source("en", 300, 0.2, 0.2), source("code", 300, 0.1, 0.1)];
        let mixture = mix(&sources, Some(900), 1).unwrap();
        let mut counts = [0.0; 3];
        for (i, (source, _)) in mixture.draws.iter().enumerate() {
            counts[*source] += 1.0;
            for (count, share) in counts.iter().zip([0.7, 0.2, 0.1]) {
                assert!((count - share * (i + 1) as f64).abs() < 1.5, "after {} rows: {counts:?}", i + 1);
            }
        }
        assert_eq!(mixture.drawn.iter().sum::<usize>(), 900);
    }

    #[test]
    fn without_a_total_no_row_comes_twice_and_no_more_would_fit() {
        for sources in [
            vec![source("a", 100, 0.5, 0.5), source("b", 1000, 0.5, 0.5)],
            vec![source("a", 300, 0.9, 0.3), source("b", 500, 0.1, 0.7)],
            vec![source("a", 7, 1.0, 0.0), source("b", 50, 0.0, 1.0)],
        ] {
            let mixture = mix(&sources, None, 2).unwrap();
            let mut seen = mixture.draws.clone();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), mixture.draws.len());
            let longer = mix(&sources, Some(mixture.draws.len() + 3), 2).unwrap();
            assert!(longer.drawn.iter().zip(&sources).any(|(n, s)| *n > s.rows), "{:?}", longer.drawn);
        }
        assert_eq!(mix(&[source("a", 40, 1.0, 1.0)], None, 0).unwrap().draws.len(), 40);
    }

    #[test]
    fn a_curriculum_moves_the_shares() {
        let sources = [source("en", 1000, 0.9, 0.3), source("zh", 1000, 0.1, 0.7)];
        let stretches = mix(&sources, Some(1000), 3).unwrap().stretches(10);
        let english: Vec<usize> = stretches.iter().map(|s| s.rows[0]).collect();
        assert!(english.windows(2).all(|w| w[0] > w[1]), "{english:?}");
        assert!((english[0] as f64 - 87.0).abs() < 2.0 && (english[9] as f64 - 33.0).abs() < 2.0, "{english:?}");
        assert_eq!(stretches.iter().map(|s| s.rows.iter().sum::<usize>()).sum::<usize>(), 1000);
    }

    #[test]
    fn shares_of_tokens_take_fewer_of_the_longer_rows() {
        let long = MixSource { mean_length: 3.0, ..source("long", 1000, 0.5, 0.5) };
        let mixture = mix(&[long, source("short", 1000, 0.5, 0.5)], Some(400), 4).unwrap();
        assert_eq!(mixture.drawn, [100, 300]);
    }

    #[test]
    fn a_small_source_is_used_again_in_another_order() {
        let mixture = mix(&[source("a", 5, 0.5, 0.5), source("b", 100, 0.5, 0.5)], Some(20), 5).unwrap();
        let of_a: Vec<usize> = mixture.draws.iter().filter(|d| d.0 == 0).map(|d| d.1).collect();
        for round in of_a.chunks(5) {
            let mut round = round.to_vec();
            round.sort_unstable();
            assert_eq!(round, [0, 1, 2, 3, 4]);
        }
        assert_ne!(mixture, mix(&[source("a", 5, 0.5, 0.5), source("b", 100, 0.5, 0.5)], Some(20), 6).unwrap());
    }

    #[test]
    fn shares_that_make_no_sense_are_refused() {
        for sources in [
            vec![source("a", 5, -1.0, 1.0)],
            vec![source("a", 5, f64::NAN, 1.0)],
            vec![source("a", 0, 1.0, 1.0)],
            vec![source("a", 5, 0.0, 0.0)],
            vec![],
        ] {
            assert_eq!(mix(&sources, None, 0).unwrap_err().kind, Kind::InvalidInput);
        }
    }

    #[test]
    fn a_temperature_flattens_sizes() {
        assert_eq!(by_temperature(&[100, 10_000], 1.0), [100.0, 10_000.0]);
        assert_eq!(by_temperature(&[100, 10_000], 2.0), [10.0, 100.0]);
    }
}
