//! Where a benchmark's data is to be had.

use super::definition::Definition;
use serde::Deserialize;

/// One `[[download]]` entry: files of a benchmark, and the places that have them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Places, tried in order: `hf:ORG/REPO` and `ms:ORG/REPO` for data sets of a hub, or an address that begins with
    /// `http`.
    pub from: Vec<String>,
    /// Paths there; they are the same below the benchmark's folder. `{subject}` stands for every listed subject.
    pub files: Vec<String>,
    /// Taken off the beginning of a path to make it the one here.
    #[serde(default)]
    pub strip: String,
    /// Whether the files are archives (ZIP or tar); what is in them is what counts. `strip` is taken off their paths, too.
    #[serde(default)]
    pub archive: bool,
    /// Of an archive only what begins so, after `strip`; all without.
    #[serde(default)]
    pub only: Vec<String>,
    /// A line put before each table, where the tables have no header.
    pub header: Option<String>,
}

impl Source {
    /// The path here of `path` in an archive; `None` for what is not wanted.
    pub fn wanted<'a>(&self, path: &'a str) -> Option<&'a str> {
        let here = path.strip_prefix("./").unwrap_or(path);
        let here = here.strip_prefix(&self.strip).unwrap_or(here);
        (self.only.is_empty() || self.only.iter().any(|begin| here.starts_with(begin))).then_some(here)
    }

    /// Its files for `definition`, each as the path there.
    pub fn paths(&self, definition: &Definition) -> Vec<String> {
        let subjects = &definition.subjects.list;
        let each = |file: &String| match file.contains("{subject}") {
            true => subjects.iter().map(|s| file.replace("{subject}", &s.handle)).collect(),
            false => vec![file.clone()],
        };
        self.files.iter().flat_map(each).collect()
    }
}
