//! Scores beside each other: models by benchmarks, and two runs item by item.

use super::{LeaderboardView, OutcomeView};

/// A question about several scores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScoresQuery {
    /// The newest score of each model on each benchmark.
    Matrix,
    /// Two runs of one benchmark on the items that both have.
    Compare {
        /// The run that the other is compared with.
        a: String,
        /// The other.
        b: String,
    },
    /// One item as both runs answered it.
    Both {
        /// The run that the other is compared with.
        a: String,
        /// The other.
        b: String,
        /// Subject of the item in run `a`.
        subject: String,
        /// The item, as run `a` numbers it.
        item: String,
    },
}

/// What a [`ScoresQuery`] is answered with: the variant of the same name.
#[derive(Clone, Debug)]
pub enum ScoresAnswer {
    /// Accuracies only: no ratings, no losses.
    Matrix(LeaderboardView),
    /// How the two differ.
    Compare(ComparisonView),
    /// The item in run `a` and in run `b`; boxed for their texts.
    Both(Box<(OutcomeView, OutcomeView)>),
}

/// How two runs differ. The second is measured against the first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ComparisonView {
    /// Items that both answered.
    pub n: u64,
    /// Accuracy of the first on them, 0 to 1.
    pub acc_a: f64,
    /// Accuracy of the second on them, 0 to 1.
    pub acc_b: f64,
    /// `acc_b` − `acc_a`.
    pub difference: f64,
    /// 95 % interval of the difference (paired bootstrap).
    pub interval: [f64; 2],
    /// McNemar's exact two-sided p.
    pub p: f64,
    /// Items that only the second got right.
    pub gained: u64,
    /// Items that only the first got right.
    pub lost: u64,
    /// Pairs that were asked in different words.
    pub prompts_differ: u64,
    /// Answers without a partner: of the first, of the second.
    pub left_out: [u64; 2],
    /// Items that would show a difference of this size (80 % power, 5 % level).
    pub needed: Option<u64>,
    /// The items that only one got right.
    pub flips: Vec<FlipView>,
}

/// An item that only one of two runs got right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlipView {
    /// Subject.
    pub subject: String,
    /// Item, as the first run numbers it.
    pub item: String,
    /// Whether the second is the one that got it right.
    pub gained: bool,
    /// What the first answered.
    pub pred_a: String,
    /// What the second answered.
    pub pred_b: String,
    /// The right answer.
    pub gold: String,
}
