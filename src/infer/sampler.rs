//! Choosing the next token from logits.

use super::request::Sampling;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::borrow::Cow;
use std::collections::HashSet;

/// The choice for one answer: its own random stream, so that answers do not depend on their neighbours.
pub struct Sampler {
    sampling: Sampling,
    rng: ChaCha8Rng,
    seen: HashSet<u32>,
}

/// Tokens that are put in order at first. The nucleus is nearly always among them, and ordering a whole vocabulary
/// takes as long as a tenth of a small model's pass.
const ORDERED_FIRST: usize = 512;

impl Sampler {
    /// A sampler for answer number `stream`.
    pub fn new(sampling: &Sampling, stream: u64) -> Sampler {
        let mut rng = ChaCha8Rng::seed_from_u64(sampling.seed);
        rng.set_stream(stream);
        Sampler { sampling: sampling.clone(), rng, seen: HashSet::new() }
    }

    /// Tokens that the repetition penalty counts from now on.
    pub fn see(&mut self, tokens: &[u32]) {
        if self.sampling.repetition_penalty != 1.0 {
            self.seen.extend(tokens);
        }
    }

    /// The next token: the likeliest (the first on a tie) at temperature 0, else drawn. In transformers' order: penalty,
    /// temperature, top-k, top-p of what is left, min-p.
    pub fn choose(&mut self, logits: &[f32]) -> u32 {
        let logits = self.penalised(logits);
        let likeliest = first_of_largest(&logits);
        if self.sampling.temperature <= 0.0 {
            return likeliest;
        }
        // Relative to the likeliest, so that no temperature is too low for the numbers.
        let best = f64::from(logits[likeliest as usize]);
        let weight = |id: u32| ((f64::from(logits[id as usize]) - best) / self.sampling.temperature).exp();
        let mut order = Descending::new(&logits, self.sampling.top_k);
        let total: f64 = order.ids.iter().map(|id| weight(*id)).sum();
        let goal = self.sampling.top_p * total;
        let (mut count, mut mass) = (0, 0.0);
        while count < order.ids.len() && (count == 0 || mass < goal) {
            let next = weight(order.get(count));
            if next < self.sampling.min_p {
                break;
            }
            mass += next;
            count += 1;
            if self.sampling.top_p >= 1.0 && self.sampling.min_p <= 0.0 {
                // Everything stays; its order matters only as far as the draw goes.
                (count, mass) = (order.ids.len(), total);
            }
        }
        let mut left = self.rng.random::<f64>() * mass;
        for i in 0..count {
            let id = order.get(i);
            left -= weight(id);
            if left <= 0.0 {
                return id;
            }
        }
        // Rounding left a little over: it belongs to the likeliest.
        likeliest
    }

    /// `logits` with those of seen tokens made smaller.
    fn penalised<'l>(&self, logits: &'l [f32]) -> Cow<'l, [f32]> {
        if self.seen.is_empty() {
            return Cow::Borrowed(logits);
        }
        let penalty = self.sampling.repetition_penalty as f32;
        let mut logits = logits.to_vec();
        for id in &self.seen {
            if let Some(x) = logits.get_mut(*id as usize) {
                *x = if *x > 0.0 { *x / penalty } else { *x * penalty };
            }
        }
        Cow::Owned(logits)
    }
}

fn first_of_largest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (i, x) in logits.iter().enumerate() {
        if *x > logits[best] {
            best = i;
        }
    }
    best as u32
}

/// Tokens from the likeliest down, put in order as far as they are asked for.
struct Descending<'l> {
    logits: &'l [f32],
    ids: Vec<u32>,
    ordered: usize,
}

impl<'l> Descending<'l> {
    /// All tokens, or the `k` likeliest when `k` is not 0.
    fn new(logits: &'l [f32], k: usize) -> Descending<'l> {
        let mut all = Descending { logits, ids: (0..logits.len() as u32).collect(), ordered: 0 };
        if k > 0 && k < all.ids.len() {
            all.order(k);
            all.ids.truncate(k);
        }
        all
    }

    fn get(&mut self, i: usize) -> u32 {
        if i >= self.ordered {
            self.order(if self.ordered == 0 { ORDERED_FIRST } else { usize::MAX });
        }
        self.ids[i]
    }

    /// Puts `n` more in order.
    fn order(&mut self, n: usize) {
        let logits = self.logits;
        let by_logit = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
        let rest = &mut self.ids[self.ordered..];
        let n = n.min(rest.len());
        if n < rest.len() {
            rest.select_nth_unstable_by(n, by_logit);
        }
        rest[..n].sort_unstable_by(by_logit);
        self.ordered += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(change: impl FnOnce(&mut Sampling)) -> Sampler {
        let mut sampling = Sampling { temperature: 1.0, ..Sampling::default() };
        change(&mut sampling);
        Sampler::new(&sampling, 3)
    }

    /// How often each of `logits.len()` tokens comes in `draws` draws.
    fn shares(mut s: Sampler, logits: &[f32], draws: usize) -> Vec<f64> {
        let mut counts = vec![0usize; logits.len()];
        (0..draws).for_each(|_| counts[s.choose(logits) as usize] += 1);
        counts.iter().map(|n| *n as f64 / draws as f64).collect()
    }

    /// Whether `found` are the shares of `weights` (not summed to one) within five standard errors of 20,000 draws.
    fn follows(found: &[f64], weights: &[f64]) -> bool {
        let total: f64 = weights.iter().sum();
        found.iter().zip(weights).all(|(share, weight)| {
            let p = weight / total;
            (share - p).abs() <= 5.0 * (p * (1.0 - p) / 20_000.0).sqrt()
        })
    }

    fn of_weights(weights: &[f64]) -> Vec<f32> {
        weights.iter().map(|w| (w.ln() + 7.0) as f32).collect()
    }

    #[test]
    fn greedy_takes_the_first_of_equals() {
        assert_eq!(sampler(|s| s.temperature = 0.0).choose(&[1.0, 2.0, 2.0]), 1);
    }

    #[test]
    fn draws_follow_the_probabilities_and_repeat_with_the_seed() {
        let logits = [0.0f32, (3.0f32).ln(), f32::NEG_INFINITY];
        let (mut a, mut b) = (sampler(|_| ()), sampler(|_| ()));
        let draws: Vec<u32> = (0..4000).map(|_| a.choose(&logits)).collect();
        assert!(draws.iter().all(|d| *d == b.choose(&logits)));
        let ones = draws.iter().filter(|d| **d == 1).count() as f64 / 4000.0;
        assert!((ones - 0.75).abs() < 0.03, "{ones}");
        assert!(!draws.contains(&2));
    }

    #[test]
    fn temperature_is_a_power_of_the_probabilities() {
        let weights = [5.0, 1.0, 3.0, 0.5, 0.5];
        for t in [0.5, 1.0, 2.0] {
            let expected: Vec<f64> = weights.iter().map(|w: &f64| w.powf(1.0 / t)).collect();
            let found = shares(sampler(|s| s.temperature = t), &of_weights(&weights), 20_000);
            assert!(follows(&found, &expected), "{t}: {found:?}");
        }
        // However low, it is the greedy choice and never something else.
        for t in [1e-9, 1e-46, f64::MIN_POSITIVE] {
            assert_eq!(shares(sampler(|s| s.temperature = t), &of_weights(&weights), 50)[0], 1.0, "{t}");
        }
    }

    #[test]
    fn what_is_cut_off_never_comes_and_the_rest_keeps_its_proportions() {
        let weights = [4.0, 1.0, 3.0, 1.5, 0.5];
        let logits = of_weights(&weights);
        let only =
            |kept: &[usize]| (0..5).map(|i| if kept.contains(&i) { weights[i] } else { 0.0 }).collect::<Vec<_>>();
        type Change = fn(&mut Sampling);
        let cases: [(Change, &[usize]); 7] = [
            (|s| s.top_k = 2, &[0, 2]),
            // 4 + 3 of 10 are less than 0.71: the third is in it too.
            (|s| s.top_p = 0.69, &[0, 2]),
            (|s| s.top_p = 0.71, &[0, 2, 3]),
            (|s| s.top_p = 1e-9, &[0]),
            // A third of the likeliest: 1.33.
            (|s| s.min_p = 1.0 / 3.0, &[0, 2, 3]),
            // Of the three likeliest (8.5) half are 4.25, which takes two.
            (|s| (s.top_k, s.top_p) = (3, 0.5), &[0, 2]),
            (|s| (s.top_p, s.min_p) = (0.9, 0.7), &[0, 2]),
        ];
        for (i, (change, kept)) in cases.into_iter().enumerate() {
            let found = shares(sampler(change), &logits, 20_000);
            assert!(follows(&found, &only(kept)), "case {i}: {found:?}");
        }
    }

    #[test]
    fn a_vocabulary_that_is_not_put_in_order_at_once_is_drawn_from_as_a_whole() {
        // 3,000 equals: half of the mass lies beyond those that are put in order first.
        let logits = vec![0.25f32; 3000];
        let mut s = sampler(|s| s.top_p = 0.5);
        let mut seen = HashSet::new();
        (0..20_000).for_each(|_| _ = seen.insert(s.choose(&logits)));
        assert_eq!((seen.len(), seen.iter().max()), (1500, Some(&1499)));
        let mut s = sampler(|_| ());
        let above = (0..20_000).filter(|_| s.choose(&logits) >= 2000).count() as f64 / 20_000.0;
        assert!((above - 1.0 / 3.0).abs() < 0.02, "{above}");
    }

    #[test]
    fn a_repetition_penalty_moves_the_choice_away_from_seen_tokens() {
        let mut s = sampler(|s| {
            s.temperature = 0.0;
            s.repetition_penalty = 2.0;
        });
        s.see(&[1]);
        assert_eq!(s.choose(&[1.0, 1.9, -5.0]), 0);
        // A negative logit becomes smaller too, and a token outside the vocabulary is no harm.
        s.see(&[0, 9]);
        assert_eq!(s.choose(&[-1.0, -1.5, -1.8]), 2);
    }
}
