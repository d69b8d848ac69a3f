//! One instruction row.

use serde::{Deserialize, Serialize};

/// The part of a dataset that a row belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Trained on.
    #[default]
    Train,
    /// Held out.
    Val,
}

/// An instruction with its answer, in alpaca's terms. Absent and null fields are empty here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Example {
    /// What is asked.
    pub instruction: String,
    /// Material the question refers to; usually empty.
    pub input: String,
    /// The answer that is learnt.
    pub output: String,
    /// System message; empty for the template's own.
    pub system: String,
    /// Earlier turns, oldest first: (question, answer).
    pub history: Vec<(String, String)>,
    /// `zh` or `en`.
    pub lang: String,
    /// Trained on or held out.
    pub split: Split,
}
