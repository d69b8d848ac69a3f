//! Choosing the next token from logits.

use super::request::Sampling;
use crate::ops::log_sum_exp;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::HashSet;

/// The choice for one answer: its own random stream, so that answers do not depend on their neighbours.
pub struct Sampler {
    sampling: Sampling,
    rng: ChaCha8Rng,
    seen: HashSet<u32>,
}

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

    /// The next token: the likeliest (the first on a tie) at temperature 0, else drawn.
    pub fn choose(&mut self, mut logits: Vec<f32>) -> u32 {
        let penalty = self.sampling.repetition_penalty as f32;
        for &id in &self.seen {
            let x = &mut logits[id as usize];
            *x = if *x > 0.0 { *x / penalty } else { *x * penalty };
        }
        if self.sampling.temperature <= 0.0 {
            let mut best = 0;
            for (i, x) in logits.iter().enumerate() {
                if *x > logits[best] {
                    best = i;
                }
            }
            return best as u32;
        }
        for x in &mut logits {
            *x /= self.sampling.temperature as f32;
        }
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        let by_logit = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
        let k = match self.sampling.top_k {
            0 => order.len(),
            k => k.min(order.len()),
        };
        if k < order.len() {
            order.select_nth_unstable_by(k, by_logit);
            order.truncate(k);
        }
        order.sort_unstable_by(by_logit);
        let kept: Vec<f32> = order.iter().map(|i| logits[*i as usize]).collect();
        let lse = log_sum_exp(&kept);
        let mut mass = 0.0;
        let mut nucleus = Vec::with_capacity(kept.len());
        for x in kept {
            let p = (f64::from(x) - lse).exp();
            nucleus.push(p);
            mass += p;
            if mass >= self.sampling.top_p {
                break;
            }
        }
        let mut left = self.rng.random::<f64>() * mass;
        for (id, p) in order.iter().zip(&nucleus) {
            left -= p;
            if left <= 0.0 {
                return *id;
            }
        }
        order[nucleus.len() - 1]
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

    #[test]
    fn greedy_takes_the_first_of_equals() {
        assert_eq!(sampler(|s| s.temperature = 0.0).choose(vec![1.0, 2.0, 2.0]), 1);
    }

    #[test]
    fn draws_follow_the_probabilities_and_repeat_with_the_seed() {
        let logits = vec![0.0f32, (3.0f32).ln(), f32::NEG_INFINITY];
        let (mut a, mut b) = (sampler(|_| ()), sampler(|_| ()));
        let draws: Vec<u32> = (0..4000).map(|_| a.choose(logits.clone())).collect();
        assert!(draws.iter().all(|d| *d == b.choose(logits.clone())));
        let ones = draws.iter().filter(|d| **d == 1).count() as f64 / 4000.0;
        assert!((ones - 0.75).abs() < 0.03, "{ones}");
        assert!(!draws.contains(&2));
    }

    #[test]
    fn top_k_and_top_p_leave_only_the_likeliest() {
        let logits = vec![1.0, 3.0, 2.0, 0.0];
        for mut s in [sampler(|s| s.top_k = 1), sampler(|s| s.top_p = 0.5)] {
            assert!((0..50).all(|_| s.choose(logits.clone()) == 1));
        }
    }

    #[test]
    fn a_repetition_penalty_moves_the_choice_away_from_seen_tokens() {
        let mut s = sampler(|s| {
            s.temperature = 0.0;
            s.repetition_penalty = 2.0;
        });
        s.see(&[1]);
        assert_eq!(s.choose(vec![1.0, 1.9, -5.0]), 0);
    }
}
