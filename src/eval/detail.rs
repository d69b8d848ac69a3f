//! What is kept of an item beside the model's answer, so that it can be scored again by another rule and found again in
//! another run.

use serde::{Deserialize, Serialize};

/// Facts of one asked item. Everything is empty in runs of versions that did not keep them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemDetail {
    /// [`Item::content`](super::Item::content): the same for the same question and choices, whatever the wording around.
    pub content: String,
    /// The category it counts for; empty for none.
    pub category: String,
    /// Characters of each scored answer without its delimiter.
    pub lengths: Vec<usize>,
    /// Tokens of each scored answer.
    pub tokens: Vec<usize>,
    /// Where the choices of a shuffled item stood: the one shown at i was the file's `order[i]`. Empty: as in the file.
    pub order: Vec<usize>,
    /// Tokens that the prompt lost at its left end because it did not fit the model.
    pub truncated: usize,
}

impl ItemDetail {
    /// Whether the whole prompt was read.
    pub fn is_whole(&self) -> bool {
        self.truncated == 0
    }

    /// The file's position of the choice that was shown at `shown`.
    pub fn original(&self, shown: usize) -> usize {
        self.order.get(shown).copied().unwrap_or(shown)
    }
}
