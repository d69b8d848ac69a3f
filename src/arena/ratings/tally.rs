//! Votes counted per pair, and what the graph of wins says about them.

use crate::arena::battle::Winner;
use std::collections::BTreeMap;

/// All votes between two models. Both kinds of tie are `ties`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Pair {
    /// Index of one model; always less than `j`.
    pub i: usize,
    /// Index of the other.
    pub j: usize,
    /// Votes for `i`.
    pub wins_i: f64,
    /// Votes for `j`.
    pub wins_j: f64,
    /// Votes for neither.
    pub ties: f64,
}

impl Pair {
    pub fn total(&self) -> f64 {
        self.wins_i + self.wins_j + self.ties
    }
}

/// Votes counted per pair of models.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Names, sorted.
    pub models: Vec<String>,
    /// Pairs that met, in the order of their indices.
    pub pairs: Vec<Pair>,
    /// Votes in which a model met itself: they say nothing and are left out.
    pub with_itself: usize,
}

impl Tally {
    pub fn of<'a>(votes: impl IntoIterator<Item = (&'a str, &'a str, Winner)>) -> Tally {
        // Sorted names and sorted pairs make every sum run in the same order, whatever the order of the votes.
        let mut counts: BTreeMap<(&str, &str), [f64; 3]> = BTreeMap::new();
        let mut with_itself = 0;
        for (a, b, winner) in votes {
            if a == b {
                with_itself += 1;
                continue;
            }
            let (key, winner) = if a < b { ((a, b), winner) } else { ((b, a), winner.swapped()) };
            let slot = counts.entry(key).or_default();
            match winner {
                Winner::A => slot[0] += 1.0,
                Winner::B => slot[1] += 1.0,
                Winner::Tie | Winner::BothBad => slot[2] += 1.0,
            }
        }
        let mut models: Vec<&str> = counts.keys().flat_map(|&(a, b)| [a, b]).collect();
        models.sort_unstable();
        models.dedup();
        let index = |name: &str| models.partition_point(|m| *m < name);
        let pairs = counts
            .iter()
            .map(|(&(a, b), &[wins_i, wins_j, ties])| Pair { i: index(a), j: index(b), wins_i, wins_j, ties })
            .collect();
        Tally { pairs, with_itself, models: models.into_iter().map(str::to_owned).collect() }
    }

    /// Votes per model.
    pub fn battles(&self) -> Vec<usize> {
        let mut battles = vec![0; self.models.len()];
        for pair in &self.pairs {
            battles[pair.i] += pair.total() as usize;
            battles[pair.j] += pair.total() as usize;
        }
        battles
    }
}

/// How the models hang together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Structure {
    /// Per model: its group. Models of different groups are linked by no chain of battles.
    pub group: Vec<usize>,
    /// Per model: its class. Two models of a class can each be reached from the other along wins and ties.
    pub class: Vec<usize>,
}

impl Structure {
    pub fn of(models: usize, pairs: &[Pair]) -> Structure {
        let mut either = vec![Vec::new(); models];
        let mut beats = vec![Vec::new(); models];
        let mut beaten_by = vec![Vec::new(); models];
        for pair in pairs.iter().filter(|p| p.total() > 0.0) {
            either[pair.i].push(pair.j);
            either[pair.j].push(pair.i);
            let mut win = |winner: usize, loser: usize| {
                beats[winner].push(loser);
                beaten_by[loser].push(winner);
            };
            if pair.wins_i + pair.ties > 0.0 {
                win(pair.i, pair.j);
            }
            if pair.wins_j + pair.ties > 0.0 {
                win(pair.j, pair.i);
            }
        }
        let group = label(&either, 0..models);
        // Kosaraju: models in the order in which a search along wins leaves them, then a search against the wins
        // from the last one backwards.
        let order = finish_order(&beats);
        let class = label(&beaten_by, order.into_iter().rev());
        Structure { group, class }
    }

    /// Whether some pair that met has no way back: the likelihood then grows without end.
    pub fn is_one_way(&self, pair: &Pair) -> bool {
        self.class[pair.i] != self.class[pair.j]
    }

    /// Per model: whether its rating is a real maximum. In a group of several classes that holds for the largest one
    /// alone (of two models at least, and larger than every other): when one of many only wins, it is that one whose
    /// rating is made up, not everybody's.
    pub fn bounded(&self) -> Vec<bool> {
        let mut sizes: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (&group, &class) in self.group.iter().zip(&self.class) {
            *sizes.entry((group, class)).or_default() += 1;
        }
        let is_main = |group: usize, class: usize| {
            let own = sizes.get(&(group, class)).copied().unwrap_or(0);
            let others = sizes.iter().filter(|((g, c), _)| *g == group && *c != class);
            others.map(|(_, &size)| size).max().is_none_or(|largest| own > largest.max(1))
        };
        self.group.iter().zip(&self.class).map(|(&group, &class)| is_main(group, class)).collect()
    }
}

/// Floods `edges` from each of `starts` in turn; gives each node the number of the flood that reached it first.
fn label(edges: &[Vec<usize>], starts: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut labels = vec![usize::MAX; edges.len()];
    let mut next = 0;
    for start in starts {
        if labels[start] != usize::MAX {
            continue;
        }
        let mut open = vec![start];
        labels[start] = next;
        while let Some(node) = open.pop() {
            for &other in &edges[node] {
                if labels[other] == usize::MAX {
                    labels[other] = next;
                    open.push(other);
                }
            }
        }
        next += 1;
    }
    labels
}

/// Nodes in the order in which a depth-first search is done with them.
fn finish_order(edges: &[Vec<usize>]) -> Vec<usize> {
    let mut seen = vec![false; edges.len()];
    let mut order = Vec::with_capacity(edges.len());
    for start in 0..edges.len() {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        let mut stack = vec![(start, 0)];
        while let Some((node, at)) = stack.pop() {
            match edges[node].get(at) {
                Some(&other) => {
                    stack.push((node, at + 1));
                    if !seen[other] {
                        seen[other] = true;
                        stack.push((other, 0));
                    }
                }
                None => order.push(node),
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn structure(votes: &[(&str, &str, Winner)]) -> (Tally, Structure) {
        let tally = Tally::of(votes.iter().copied());
        let structure = Structure::of(tally.models.len(), &tally.pairs);
        (tally, structure)
    }

    #[test]
    fn sides_do_not_matter_and_both_kinds_of_tie_are_ties() {
        let (tally, _) = structure(&[
            ("b", "a", Winner::A),
            ("a", "b", Winner::B),
            ("a", "b", Winner::Tie),
            ("b", "a", Winner::BothBad),
            ("a", "a", Winner::A),
        ]);
        assert_eq!(tally.models, ["a", "b"]);
        assert_eq!(tally.pairs, [Pair { i: 0, j: 1, wins_i: 0.0, wins_j: 2.0, ties: 2.0 }]);
        assert_eq!((tally.with_itself, tally.battles()), (1, vec![4, 4]));
    }

    #[test]
    fn a_cycle_is_one_class_and_a_pure_winner_is_another() {
        let cycle = [("a", "b", Winner::A), ("b", "c", Winner::A), ("c", "a", Winner::A), ("d", "a", Winner::A)];
        let (_, s) = structure(&cycle);
        assert!(s.group.iter().all(|&g| g == s.group[0]));
        assert!(s.class[0] == s.class[1] && s.class[1] == s.class[2] && s.class[2] != s.class[3]);
        let (_, tied) = structure(&[&cycle[..], &[("d", "b", Winner::Tie)]].concat());
        assert!(tied.class.iter().all(|&c| c == tied.class[0]));
        let (_, apart) = structure(&[("a", "b", Winner::Tie), ("c", "d", Winner::Tie)]);
        assert_ne!(apart.group[0], apart.group[2]);
    }
}
