//! The leaderboard: models × benchmarks × arena ratings, each number with the run or arena it comes from.
//!
//! Only what can be compared shares a column: the same benchmark with the same preset, shots, template, mode,
//! limit and subjects, or the held-out loss on the same version of the same dataset.

mod build;
mod render;

pub use build::{ArenaRatings, build};
pub use render::{Format, render};

use serde::Serialize;

/// All columns and rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Leaderboard {
    /// Benchmarks, in the order of their names.
    pub benchmarks: Vec<Benchmark>,
    /// Datasets whose held-out loss was measured.
    pub losses: Vec<LossSet>,
    /// Arenas with at least one rating.
    pub arenas: Vec<String>,
    /// Models, the best first.
    pub rows: Vec<Row>,
}

/// What the scores of a column have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Benchmark {
    /// The benchmark's handle.
    pub task: String,
    /// Few-shot examples; `None` when the run does not say.
    pub shots: Option<u64>,
    /// The preset: prompt, scoring and aggregation.
    pub preset: String,
    /// What else sets these runs apart (`limit 10`, a chat template, `cot`, another split, a choice of subjects); empty for a plain run.
    pub variant: String,
}

/// The data on which a held-out loss was measured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LossSet {
    /// The dataset.
    pub dataset: String,
    /// Its version.
    pub version: String,
}

/// A model with everything known of it. The lists run parallel to the leaderboard's columns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The label: `MODEL` or `MODEL+ADAPTER`, with the beginning of a hash when an older state of it has a row too.
    pub name: String,
    /// Catalogue name or path of the model.
    pub model: String,
    /// Its adapter; empty for none.
    pub adapter: String,
    /// Accuracy per benchmark.
    pub scores: Vec<Option<Score>>,
    /// Held-out loss per dataset.
    pub losses: Vec<Option<Loss>>,
    /// Rating per arena.
    pub ratings: Vec<Option<RatingCell>>,
}

/// An accuracy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Share of items answered right, 0 to 1.
    pub value: f64,
    /// Its standard error.
    pub stderr: Option<f64>,
    /// Items.
    pub n: Option<u64>,
    /// The run.
    pub run: String,
}

/// A held-out loss.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Loss {
    /// Mean negative log-likelihood per supervised token, in nats.
    pub value: f64,
    /// The training run that measured it.
    pub run: String,
}

/// A rating in an arena.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RatingCell {
    /// Rating points.
    pub rating: f64,
    /// 95% interval.
    pub ci95: [f64; 2],
    /// Rank among the arena's models.
    pub rank: usize,
    /// Battles that rated.
    pub battles: usize,
    /// The arena.
    pub arena: String,
}

impl Benchmark {
    /// The column's heading, like `ceval 5-shot`, with the preset when it is not the default.
    pub fn title(&self) -> String {
        let mut title = self.task.clone();
        if let Some(shots) = self.shots {
            title.push_str(&format!(" {shots}-shot"));
        }
        if !self.preset.is_empty() && self.preset != DEFAULT_PRESET {
            title.push_str(&format!(" {}", self.preset));
        }
        if !self.variant.is_empty() {
            title.push_str(&format!(" {}", self.variant));
        }
        title
    }
}

/// The preset that goes without saying.
const DEFAULT_PRESET: &str = "lm-eval";

#[cfg(test)]
mod tests;
