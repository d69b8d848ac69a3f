//! Live battles and what the votes say, as the screens see it.

pub use crate::arena::ratings::Comparison;
pub use crate::workbench::arena::{ContestantTally, DuelPlan, DuelStage, Heard, Outcome, SideEnd, Tally};

/// What the form of a live battle can offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// `MODEL`, `MODEL+ADAPTER`, addresses of servers.
    pub contestants: Vec<String>,
    /// Arenas.
    pub arenas: Vec<String>,
    /// Datasets.
    pub datasets: Vec<String>,
}

/// One model's rating.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RatingLine {
    /// Its label.
    pub model: String,
    /// 1 for the best; equal where the intervals do not tell them apart.
    pub rank: usize,
    /// Rating points.
    pub rating: f64,
    /// 95 % interval.
    pub interval: [f64; 2],
    /// Battles that rated.
    pub battles: u64,
    /// Which group of models linked by battles it belongs to, from 0: ratings of two groups cannot be compared.
    pub group: usize,
    /// False when it only won or only lost against others, so that the interval has no true end.
    pub bounded: bool,
}

/// Ratings of an arena, the best first, and what did not enter them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RatingsView {
    /// The models.
    pub lines: Vec<RatingLine>,
    /// Battles that rated.
    pub used: u64,
    /// Battles that wait for a vote.
    pub pending: u64,
    /// Battles that an answer gave away.
    pub flagged: u64,
    /// Votes of someone who knew the names.
    pub not_blind: u64,
    /// What may be said of neighbours in the list.
    pub verdicts: Vec<Comparison>,
}

/// A question about arenas beyond their list, or an order. Orders about a live battle concern the one sitting there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArenaQuery {
    /// What a live battle can be made of.
    Offers,
    /// Begin a sitting: load the contestants.
    Enter(DuelPlan),
    /// A question that is there already: from a dataset, or of the arena's own.
    Draw {
        /// Arena.
        arena: String,
        /// Dataset; none for the arena's own questions.
        dataset: Option<String>,
        /// Tells one draw from the next.
        number: u64,
    },
    /// Ask both contestants.
    Ask {
        /// The question.
        question: String,
        /// Tells one battle of the sitting from the next.
        turn: u64,
    },
    /// What there is to hear beyond these bytes of the answers.
    Hear {
        /// The battle of the sitting.
        turn: u64,
        /// Bytes of the left and the right answer that are known.
        heard: [usize; 2],
    },
    /// Stop the answers.
    Stop,
    /// End the sitting.
    Leave,
    /// Put the better answer of a battle into a dataset.
    Keep {
        /// Arena.
        arena: String,
        /// Battle.
        battle: i64,
        /// Dataset; made if need be.
        dataset: String,
    },
    /// Take that back.
    Unkeep {
        /// Battle.
        battle: i64,
        /// Dataset.
        dataset: String,
        /// The row's number.
        row: u64,
    },
    /// Ratings of an arena.
    Ratings(String),
    /// Counts over the votes of an arena.
    Tally {
        /// Arena.
        arena: String,
        /// Only those of this sitting.
        sitting: bool,
    },
}

/// What a question about arenas is answered with.
#[derive(Clone, Debug, PartialEq)]
pub enum ArenaAnswer {
    /// What there is to choose from.
    Offers(Offers),
    /// A question; none when there is none to draw.
    Question(Option<String>),
    /// News of the live battle.
    Heard(Heard),
    /// The row that was added, or was there already.
    Kept {
        /// Its number.
        row: u64,
        /// Whether it is new.
        added: bool,
    },
    /// The ratings.
    Ratings(RatingsView),
    /// The counts.
    Tally(Tally),
    /// It was done.
    Done,
}
