//! Where a benchmark's data is to be had.

use serde::Deserialize;

/// One `[[download]]` entry: files of a benchmark, and the places that have them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Places, tried in order: `hf:ORG/REPO` and `ms:ORG/REPO` for data sets on a hub, or an address that begins with
    /// `http`.
    pub from: Vec<String>,
    /// Paths there; they stay the same below the benchmark's folder.
    pub files: Vec<String>,
    /// Taken off the beginning of those paths here.
    #[serde(default)]
    pub strip: String,
}
