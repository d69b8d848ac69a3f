//! Whether a model chooses what a choice says or where it stands: the same items with their choices in other orders.

use super::calibration::gold_position;
use super::runner::{ItemOutcome, argmax};
use super::statistics::mean_stderr;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What asking every item in several orders showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PermutationReport {
    /// Random orders beside the file's.
    pub rounds: u64,
    /// Their seed.
    pub seed: u64,
    /// Items with a known answer, asked in every order.
    pub n: usize,
    /// Accuracy (micro) in each order, the file's first.
    pub acc: Vec<f64>,
    /// Mean of `acc`.
    pub mean: f64,
    /// Sample standard deviation of `acc`.
    pub sd: f64,
    /// Share of items whose chosen content is the same in every order.
    pub same_content: f64,
    /// Share of items that are right in every order: what position cannot explain.
    pub always_right: f64,
    /// How often the choice at each position was taken, over all orders.
    pub chosen_positions: Vec<usize>,
    /// How often the right choice stood at each position, over all orders.
    pub gold_positions: Vec<usize>,
    /// Half the sum over positions of |share chosen − share right|: 0 for no bias, near 1 for always the same place.
    pub position_bias: f64,
}

/// Compares the answers of `original` with those of each of `shuffled`, on the items that all have and whose right
/// answer is known. `None` when there is none.
pub fn permutation_report(
    original: &[ItemOutcome],
    shuffled: &[Vec<ItemOutcome>],
    seed: u64,
) -> Option<PermutationReport> {
    let by_name = |outcomes: &'_ [ItemOutcome]| -> HashMap<(String, String), usize> {
        outcomes.iter().enumerate().map(|(i, o)| ((o.subject.clone(), o.id.clone()), i)).collect()
    };
    let indexes: Vec<_> = shuffled.iter().map(|outcomes| by_name(outcomes)).collect();
    let mut right = vec![0usize; shuffled.len() + 1];
    let (mut n, mut same, mut always) = (0usize, 0usize, 0usize);
    let (mut chosen_positions, mut gold_positions) = (Vec::new(), Vec::new());
    for first in original {
        let key = (first.subject.clone(), first.id.clone());
        let others: Option<Vec<&ItemOutcome>> = indexes
            .iter()
            .zip(shuffled)
            .map(|(index, outcomes)| index.get(&key).and_then(|i| outcomes.get(*i)))
            .collect();
        let Some(others) = others else { continue };
        let orders: Vec<&ItemOutcome> = std::iter::once(first).chain(others).collect();
        // (position of the answer, of the right choice, content of the answer)
        let seen: Option<Vec<(usize, usize, usize)>> = orders
            .iter()
            .map(|o| {
                let chosen = argmax(&o.loglikelihoods)?;
                Some((chosen, gold_position(o)?, o.detail.original(chosen)))
            })
            .collect();
        let Some(seen) = seen else { continue };
        n += 1;
        same += usize::from(seen.iter().all(|s| Some(s.2) == seen.first().map(|first| first.2)));
        always += usize::from(seen.iter().all(|s| s.0 == s.1));
        for ((chosen, gold, _), count) in seen.iter().zip(&mut right) {
            *count += usize::from(chosen == gold);
            bump(&mut chosen_positions, *chosen);
            bump(&mut gold_positions, *gold);
        }
    }
    if n == 0 {
        return None;
    }
    let places = chosen_positions.len().max(gold_positions.len());
    chosen_positions.resize(places, 0);
    gold_positions.resize(places, 0);
    let share = |count: usize| count as f64 / n as f64;
    let acc: Vec<f64> = right.iter().map(|r| share(*r)).collect();
    let answers = (n * acc.len()) as f64;
    let gaps = chosen_positions.iter().zip(&gold_positions).map(|(c, g)| c.abs_diff(*g) as f64 / answers);
    let position_bias = gaps.sum::<f64>() / 2.0;
    Some(PermutationReport {
        rounds: shuffled.len() as u64,
        seed,
        n,
        mean: acc.iter().sum::<f64>() / acc.len() as f64,
        // The standard error of a mean times √n is the standard deviation.
        sd: mean_stderr(&acc).unwrap_or(0.0) * (acc.len() as f64).sqrt(),
        acc,
        same_content: share(same),
        always_right: share(always),
        chosen_positions,
        gold_positions,
        position_bias,
    })
}

fn bump(counts: &mut Vec<usize>, at: usize) {
    if counts.len() <= at {
        counts.resize(at + 1, 0);
    }
    if let Some(count) = counts.get_mut(at) {
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::ItemDetail;

    /// Two choices; `chosen` and `gold` are positions as shown.
    fn outcome(id: &str, chosen: usize, gold: usize, order: &[usize]) -> ItemOutcome {
        let label = |at: usize| ["A", "B"][at].to_owned();
        ItemOutcome {
            subject: "s".into(),
            id: id.into(),
            choices: vec![" A".into(), " B".into()],
            loglikelihoods: if chosen == 0 { vec![-1.0, -2.0] } else { vec![-2.0, -1.0] },
            pred: label(chosen),
            gold: label(gold),
            correct: chosen == gold,
            detail: ItemDetail { order: order.to_vec(), ..ItemDetail::default() },
            ..ItemOutcome::default()
        }
    }

    #[test]
    fn a_model_that_always_says_a_is_seen_through() {
        let original = [outcome("0", 0, 0, &[]), outcome("1", 0, 1, &[])];
        let turned = vec![outcome("0", 0, 1, &[1, 0]), outcome("1", 0, 0, &[1, 0])];
        let r = permutation_report(&original, &[turned], 1).unwrap();
        assert_eq!((r.n, r.acc.as_slice(), r.mean, r.sd), (2, &[0.5, 0.5] as &[f64], 0.5, 0.0));
        assert_eq!((r.same_content, r.always_right), (0.0, 0.0));
        assert_eq!((r.chosen_positions, r.gold_positions), (vec![4, 0], vec![2, 2]));
        assert!((r.position_bias - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_model_that_reads_the_choices_answers_the_same_in_every_order() {
        let original = [outcome("0", 0, 0, &[]), outcome("1", 1, 0, &[])];
        let turned = vec![outcome("1", 0, 1, &[1, 0]), outcome("0", 1, 1, &[1, 0])];
        let r = permutation_report(&original, std::slice::from_ref(&turned), 1).unwrap();
        assert_eq!((r.same_content, r.always_right, r.position_bias), (1.0, 0.5, 0.0));
        // Accuracies 1/2 and 1/2; with a third order in which both are right, 1/2, 1/2, 1: sd = √(1/12).
        let both = vec![outcome("0", 0, 0, &[]), outcome("1", 0, 0, &[])];
        let r = permutation_report(&original, &[turned, both], 1).unwrap();
        assert!((r.sd - (1.0f64 / 12.0).sqrt()).abs() < 1e-12 && (r.mean - 2.0 / 3.0).abs() < 1e-12);
        // An item that one order lacks is left out of all; without any there is no report.
        assert_eq!(permutation_report(&original, &[vec![outcome("0", 0, 0, &[])]], 1).unwrap().n, 1);
        assert_eq!(permutation_report(&original, &[vec![]], 1), None);
    }
}
