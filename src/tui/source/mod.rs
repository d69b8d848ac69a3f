//! What the screens show and where it comes from. Screens see only these plain views, so that they
//! can be tested with a made-up [`Source`]; [`super::WorkbenchSource`] is the real one.

mod arena;
mod choices;
mod data;
mod forecast;
mod jobs;
mod models;
mod scores;

pub use arena::{
    ArenaAnswer, ArenaQuery, Comparison, ContestantTally, DuelPlan, DuelStage, Heard, Offers, Outcome, RatingLine,
    RatingsView, SideEnd, Tally,
};
pub use choices::Choices;
pub use data::{
    DataAnswer, DataQuery, DiffView, MaskToken, MaskView, Place, RowChangeView, RowFilter, RowPage, RowView,
    VersionView,
};
pub use forecast::ForecastView;
pub use jobs::{JobLine, JobsAnswer, JobsQuery, LogPiece};
pub use models::{ModelFacts, ModelKind, ModelLine, ModelsAnswer, ModelsQuery};
pub use scores::{ComparisonView, FlipView, ScoresAnswer, ScoresQuery};

use super::preferences::Preferences;
use crate::error::Result;
use crate::job::JobEvent;
use crate::store::RunRecord;

/// A dataset in the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetView {
    /// Its name on the command line.
    pub name: String,
    /// Hash over all rows.
    pub version: String,
    /// Rows that are trained on.
    pub train: u64,
    /// Rows that are held out.
    pub val: u64,
    /// Rows in Chinese; the others are English.
    pub zh: u64,
    /// Where it comes from.
    pub source: String,
    /// Its licence.
    pub licence: String,
    /// Time of import, RFC 3339 UTC.
    pub created: String,
}

impl DatasetView {
    /// All rows.
    pub fn rows(&self) -> u64 {
        self.train + self.val
    }
}

/// One subject of a scored benchmark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectView {
    /// Subject.
    pub subject: String,
    /// Items scored.
    pub n: u64,
    /// Items answered correctly.
    pub correct: u64,
}

/// What a model made of one benchmark item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutcomeView {
    /// Item id.
    pub item: String,
    /// The very text that was sent.
    pub prompt: String,
    /// The continuations that were scored.
    pub choices: Vec<String>,
    /// Summed natural-log probability of each; empty in generative modes.
    pub loglikelihoods: Vec<f64>,
    /// The model's answer.
    pub pred: String,
    /// The right answer.
    pub gold: String,
    /// Whether they agree.
    pub correct: bool,
    /// What the model wrote; empty where choices were scored.
    pub written: String,
    /// Tokens that the prompt lost at its left end because it did not fit the model.
    pub truncated: u64,
}

/// An arena in the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArenaView {
    /// Its name.
    pub name: String,
    /// All battles.
    pub battles: u64,
    /// Battles without a vote.
    pub pending: u64,
    /// Creation time, RFC 3339 UTC.
    pub created: String,
}

/// A battle as a voter may see it: no names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlindBattle {
    /// Battle id.
    pub id: i64,
    /// What both models were asked.
    pub question: String,
    /// The answer on the left.
    pub answer_a: String,
    /// The answer on the right.
    pub answer_b: String,
}

/// Who fought, told after the vote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The model on the left.
    pub a: String,
    /// The model on the right.
    pub b: String,
}

/// What a column of the leaderboard measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Share of right answers, 0 to 1.
    Accuracy,
    /// Mean negative log-likelihood per supervised token, in nats; lower is better.
    Loss,
    /// Bradley-Terry rating.
    Rating,
}

/// One figure of the leaderboard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// The figure.
    pub value: f64,
    /// Its standard error, if known.
    pub stderr: Option<f64>,
    /// Its 95 % interval, if known.
    pub interval: Option<[f64; 2]>,
    /// Items or battles that it rests on, if known.
    pub n: Option<u64>,
    /// The run or arena that it comes from.
    pub origin: String,
}

/// One model of the leaderboard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Model and adapter.
    pub model: String,
    /// One entry per column of the table; none where it was not measured.
    pub figures: Vec<Option<Figure>>,
}

/// Models by what was measured of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeaderboardView {
    /// Titles of the columns and what they measure.
    pub columns: Vec<(String, Measure)>,
    /// The models, the best first.
    pub standings: Vec<Standing>,
}

/// A voter's judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vote {
    /// The left answer is better.
    A,
    /// The right answer is better.
    B,
    /// Both are equally good.
    Tie,
    /// Neither is any good.
    BothBad,
}

/// Where the screens' data comes from. Called on a worker thread; may block.
pub trait Source: Send {
    /// All datasets.
    fn datasets(&mut self) -> Result<Vec<DatasetView>>;
    /// Rows, versions and masks of a dataset, and changes to them.
    fn data(&mut self, query: &DataQuery) -> Result<DataAnswer>;
    /// Models and adapters.
    fn models(&mut self, query: &ModelsQuery) -> Result<ModelsAnswer>;
    /// Runs of a kind (`train`, `eval`), the newest first.
    fn runs(&mut self, kind: &str) -> Result<Vec<RunRecord>>;
    /// Events of a run after the number `after`, in order.
    fn events(&mut self, run: &str, after: i64) -> Result<Vec<(i64, JobEvent)>>;
    /// Subjects of a scored run.
    fn subjects(&mut self, run: &str) -> Result<Vec<SubjectView>>;
    /// Items of one subject of a scored run.
    fn outcomes(&mut self, run: &str, subject: &str) -> Result<Vec<OutcomeView>>;
    /// All arenas.
    fn arenas(&mut self) -> Result<Vec<ArenaView>>;
    /// The first battle without a vote whose id is above `after`; from the start again when there is none.
    fn next_battle(&mut self, arena: &str, after: i64) -> Result<Option<BlindBattle>>;
    /// Records a vote and tells the names.
    fn vote(&mut self, arena: &str, battle: i64, vote: Vote) -> Result<Names>;
    /// Takes a vote back.
    fn take_vote_back(&mut self, arena: &str, battle: i64) -> Result<()>;
    /// Live battles, ratings, counts.
    fn arena(&mut self, query: &ArenaQuery) -> Result<ArenaAnswer>;
    /// The table of models, benchmarks and ratings.
    fn leaderboard(&mut self) -> Result<LeaderboardView>;
    /// Scores beside each other.
    fn scores(&mut self, query: &ScoresQuery) -> Result<ScoresAnswer>;
    /// Work in the background.
    fn jobs(&mut self, query: &JobsQuery) -> Result<JobsAnswer>;
    /// The names that a form can offer.
    fn choices(&mut self) -> Result<Choices>;
    /// What the training of this line (the arguments after the program's name) would take.
    fn forecast(&mut self, argv: &[String]) -> Result<ForecastView>;
    /// Keeps the user's settings.
    fn keep(&mut self, preferences: &Preferences) -> Result<()>;
}
