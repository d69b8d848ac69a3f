//! Who meets whom on which question, and who stands on which side.

use super::battle::Question;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};

/// A battle to come; all numbers are positions in the lists given to [`plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The question.
    pub question: usize,
    /// The contestant on the left.
    pub left: usize,
    /// The contestant on the right.
    pub right: usize,
}

/// The order of battles between `contestants` (labels, all different) over `questions`: always the pair that has met
/// least often so far, a draw among equals, on its next question. `fought` are the battles that exist (question id,
/// left, right): they count and are not planned again, so a session that was cut off goes on where it was.
pub fn plan<'a>(
    questions: &[Question],
    contestants: &[String],
    fought: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
    seed: u64,
) -> Vec<Planned> {
    let mut met: HashSet<(String, String, String)> = HashSet::new();
    let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for i in 0..contestants.len() {
        for j in i + 1..contestants.len() {
            counts.insert((i, j), 0);
        }
    }
    for (question, a, b) in fought {
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        met.insert((question.to_owned(), low.to_owned(), high.to_owned()));
        let place = |name: &str| contestants.iter().position(|c| c == name);
        if let (Some(i), Some(j)) = (place(a), place(b))
            && let Some(count) = counts.get_mut(&(i.min(j), i.max(j)))
        {
            *count += 1;
        }
    }
    let mut open: BTreeMap<(usize, usize), Vec<usize>> = counts
        .keys()
        .map(|&(i, j)| {
            let (low, high) = if contestants[i] < contestants[j] { (i, j) } else { (j, i) };
            let left: Vec<usize> = (0..questions.len())
                .rev()
                .filter(|&q| {
                    let key = (questions[q].id.clone(), contestants[low].clone(), contestants[high].clone());
                    !met.contains(&key)
                })
                .collect();
            ((i, j), left)
        })
        .collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut planned = Vec::new();
    loop {
        let waiting = || open.iter().filter(|(_, questions)| !questions.is_empty()).map(|(&pair, _)| pair);
        let Some(fewest) = waiting().filter_map(|pair| counts.get(&pair).copied()).min() else {
            return planned;
        };
        let equals: Vec<(usize, usize)> = waiting().filter(|pair| counts.get(pair) == Some(&fewest)).collect();
        let Some(&pair) = equals.choose(&mut rng) else {
            return planned;
        };
        let Some(question) = open.get_mut(&pair).and_then(Vec::pop) else {
            return planned;
        };
        *counts.entry(pair).or_default() += 1;
        let (left, right) = sides(&questions[question].id, contestants, pair, seed);
        planned.push(Planned { question, left, right });
    }
}

/// Who stands left.
fn sides(question: &str, contestants: &[String], (i, j): (usize, usize), seed: u64) -> (usize, usize) {
    if is_turned(question, [&contestants[i], &contestants[j]], seed) { (j, i) } else { (i, j) }
}

/// Whether the second of two contestants stands left. Drawn from the seed, the question and the two names alone,
/// whatever their order, so that a session taken up again and one that was never cut off draw the same sides.
pub fn is_turned(question: &str, [first, second]: [&str; 2], seed: u64) -> bool {
    let (low, high) = if first < second { (first, second) } else { (second, first) };
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for part in [question, low, high] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let low_is_left = ChaCha8Rng::from_seed(hash.finalize().into()).random::<bool>();
    low_is_left != (first < second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn questions(n: usize) -> Vec<Question> {
        (0..n).map(|i| Question { id: format!("q{i}"), ..Question::default() }).collect()
    }

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("model-{i}")).collect()
    }

    #[test]
    fn sides_are_fair_and_follow_the_seed() {
        let (questions, names) = (questions(1000), names(2));
        let planned = plan(&questions, &names, [], 1);
        assert_eq!(planned.len(), 1000);
        assert!(planned.iter().enumerate().all(|(i, p)| p.question == i && p.left != p.right));
        // Four standard deviations of 1000 fair draws.
        let left = planned.iter().filter(|p| p.left == 0).count();
        assert!((437..=563).contains(&left), "{left}");
        assert_eq!(planned, plan(&questions, &names, [], 1));
        assert_ne!(planned, plan(&questions, &names, [], 2));
        // Naming the two in another order changes nobody's side.
        let other: Vec<String> = names.iter().rev().cloned().collect();
        let turned = plan(&questions, &other, [], 1);
        assert!(planned.iter().zip(&turned).all(|(a, b)| names[a.left] == other[b.left]));
    }

    #[test]
    fn a_cut_session_goes_on_with_the_same_battles() {
        let (questions, names) = (questions(40), names(2));
        let whole = plan(&questions, &names, [], 9);
        let fought: Vec<_> = whole[..17]
            .iter()
            .map(|p| (questions[p.question].id.as_str(), names[p.left].as_str(), names[p.right].as_str()))
            .collect();
        assert_eq!(plan(&questions, &names, fought, 9), whole[17..]);
    }

    #[test]
    fn pairs_that_met_least_come_first() {
        let (questions, names) = (questions(30), names(4));
        let fought: Vec<_> = (0..20).map(|i| (questions[i].id.as_str(), "model-0", "model-1")).collect();
        let planned = plan(&questions, &names, fought, 5);
        assert_eq!(planned.len(), 6 * 30 - 20);
        let first: Vec<_> = planned[..100].iter().map(|p| (p.left.min(p.right), p.left.max(p.right))).collect();
        assert!(!first.contains(&(0, 1)), "the pair that had met 20 times waits for the others");
        let met: HashSet<_> = first[..5].iter().collect();
        assert_eq!(met.len(), 5, "each of the other pairs before any of them twice");
        assert!(plan(&questions, &names[..1], [], 5).is_empty());
        assert!(plan(&[], &names, [], 5).is_empty());
    }
}
