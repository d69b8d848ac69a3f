//! What the votes of an arena say of voters and contestants, in plain counts.

use super::Paces;
use crate::arena::Winner;
use crate::arena::battle::Battle;
use crate::error::Result;
use crate::eval::statistics::mcnemar;
use crate::workbench::Workbench;
use serde::Serialize;
use std::collections::BTreeMap;

/// Counts over battles.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tally {
    /// All battles.
    pub battles: u64,
    /// Those that wait for a vote.
    pub pending: u64,
    /// Those in which an answer gave its model away.
    pub flagged: u64,
    /// Votes for the left answer.
    pub left: u64,
    /// Votes for the right answer.
    pub right: u64,
    /// Votes that both are equally good.
    pub ties: u64,
    /// Votes that neither is any good.
    pub both_bad: u64,
    /// How likely a split of left and right at least this uneven is when sides do not matter (exact, two-sided).
    pub side_p: f64,
    /// Each contestant by name, over the battles that were voted on: before its vote a battle tells nothing of anybody.
    pub contestants: Vec<ContestantTally>,
}

impl Tally {
    /// All votes.
    pub fn votes(&self) -> u64 {
        self.left + self.right + self.ties + self.both_bad
    }
}

/// One contestant's counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ContestantTally {
    /// Its label.
    pub name: String,
    /// Its battles with a vote.
    pub battles: u64,
    /// Votes for it.
    pub wins: u64,
    /// Votes for the other.
    pub losses: u64,
    /// Both equally good.
    pub ties: u64,
    /// Neither any good.
    pub both_bad: u64,
    /// Characters of its answers in the mean.
    pub mean_length: f64,
    /// Tokens per second; `None` where nobody watched the clock.
    pub tokens_per_second: Option<f64>,
}

/// Counts the battles of `arena`, or only those of one `run` of it. `paces` are the speeds that are known.
///
/// # Errors
/// `NotFound` without the arena.
pub fn tally(bench: &Workbench, arena: &str, run: Option<&str>, paces: &Paces) -> Result<Tally> {
    bench.store.arena(arena)?;
    let battles = bench.store.battles(arena)?;
    Ok(count(battles.iter().filter(|b| run.is_none_or(|run| b.run_id == run)), paces))
}

fn count<'b>(battles: impl Iterator<Item = &'b Battle>, paces: &Paces) -> Tally {
    let mut tally = Tally::default();
    let mut contestants: BTreeMap<&str, Counted> = BTreeMap::new();
    for battle in battles {
        tally.battles += 1;
        if !battle.flagged.is_empty() {
            tally.flagged += 1;
            continue;
        }
        let Some(winner) = battle.winner else {
            tally.pending += 1;
            continue;
        };
        *match winner {
            Winner::A => &mut tally.left,
            Winner::B => &mut tally.right,
            Winner::Tie => &mut tally.ties,
            Winner::BothBad => &mut tally.both_bad,
        } += 1;
        let pace = paces.get(&battle.id);
        let sides =
            [(&battle.model_a, &battle.answer_a, winner), (&battle.model_b, &battle.answer_b, winner.swapped())];
        for (side, (name, answer, outcome)) in sides.into_iter().enumerate() {
            let counted = contestants.entry(name).or_default();
            let c = &mut counted.tally;
            c.battles += 1;
            *match outcome {
                Winner::A => &mut c.wins,
                Winner::B => &mut c.losses,
                Winner::Tie => &mut c.ties,
                Winner::BothBad => &mut c.both_bad,
            } += 1;
            counted.characters += answer.chars().count() as u64;
            if let Some(pace) = pace.map(|p| &p[side]) {
                counted.tokens += pace.tokens;
                counted.seconds += pace.seconds;
            }
        }
    }
    tally.side_p = mcnemar(tally.left as usize, tally.right as usize).exact;
    tally.contestants = contestants.into_iter().map(|(name, counted)| counted.finish(name)).collect();
    tally
}

#[derive(Default)]
struct Counted {
    tally: ContestantTally,
    characters: u64,
    tokens: usize,
    seconds: f64,
}

impl Counted {
    fn finish(self, name: &str) -> ContestantTally {
        ContestantTally {
            name: name.to_owned(),
            mean_length: self.characters as f64 / self.tally.battles.max(1) as f64,
            tokens_per_second: (self.tokens > 0 && self.seconds > 0.0).then(|| self.tokens as f64 / self.seconds),
            ..self.tally
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workbench::arena::Pace;

    #[test]
    fn sides_and_contestants_are_counted_from_votes_alone() {
        let battle = |id, a: &str, b: &str, winner| Battle {
            id,
            model_a: a.into(),
            model_b: b.into(),
            answer_a: "四个字符".into(),
            answer_b: "ab".into(),
            winner,
            ..Battle::default()
        };
        let battles = [
            battle(1, "m", "n", Some(Winner::A)),
            battle(2, "n", "m", Some(Winner::A)),
            battle(3, "m", "n", Some(Winner::Tie)),
            battle(4, "m", "n", None),
            Battle { flagged: "x".into(), ..battle(5, "m", "n", None) },
        ];
        let pace = |tokens, seconds| Pace { tokens, seconds };
        let paces = Paces::from([(1, [pace(10, 1.0), pace(10, 5.0)]), (4, [pace(999, 1.0), pace(999, 1.0)])]);
        let tally = count(battles.iter(), &paces);
        assert_eq!((tally.battles, tally.votes(), tally.pending, tally.flagged), (5, 3, 1, 1));
        assert_eq!((tally.left, tally.right, tally.ties), (2, 0, 1));
        // Two fair coins show the same side half of the time.
        assert!((tally.side_p - 0.5).abs() < 1e-12);
        let [m, n] = &tally.contestants[..] else { panic!("{:?}", tally.contestants) };
        assert_eq!((m.name.as_str(), m.battles, m.wins, m.losses, m.ties), ("m", 3, 1, 1, 1));
        assert_eq!((n.wins, n.losses), (1, 1));
        assert!((m.mean_length - 10.0 / 3.0).abs() < 1e-12);
        assert_eq!((m.tokens_per_second, n.tokens_per_second), (Some(10.0), Some(2.0)), "not of the open battle");
    }
}
