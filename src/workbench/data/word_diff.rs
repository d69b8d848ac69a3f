//! What differs between two versions of a dataset, down to the words.

use super::super::Workbench;
use super::edit::{FIELDS, editable};
use crate::error::Result;
use crate::store::{DatasetRecord, RowDiff, StoredRow};
use serde::Serialize;

/// A stretch of two texts that were compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// In both.
    Same(String),
    /// Only in the first.
    Removed(String),
    /// Only in the second.
    Added(String),
}

/// A field that has another value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldDiff {
    /// The field.
    pub field: String,
    /// Its value in the first version; a list as JSON.
    pub from: String,
    /// Its value in the second.
    pub to: String,
}

/// Two versions compared. Row numbers are those of the dataset.
#[derive(Clone, Debug)]
pub struct VersionDiff {
    /// The first version.
    pub from: DatasetRecord,
    /// The second.
    pub to: DatasetRecord,
    /// How many rows are only in the second.
    pub added: u64,
    /// How many rows are only in the first.
    pub removed: u64,
    /// How many rows have another text, split or language.
    pub changed: u64,
    /// How many rows only stand at another number.
    pub moved: u64,
    /// The first of the differing rows, by number.
    pub rows: Vec<RowDiff>,
}

/// Compares the versions `a` and `b` (numbers, tags, hashes) of the dataset `name`; texts of at most `limit` rows are read.
///
/// # Errors
/// `NotFound`.
pub fn diff(bench: &Workbench, name: &str, a: &str, b: &str, limit: usize) -> Result<VersionDiff> {
    diff_versions(bench, &format!("{name}@{a}"), &format!("{name}@{b}"), limit)
}

/// Compares the versions that two words name, as [`diff`] does.
///
/// # Errors
/// `NotFound`; `InvalidInput` for versions of two datasets.
pub fn diff_versions(bench: &Workbench, from: &str, to: &str, limit: usize) -> Result<VersionDiff> {
    let (from, to, rows, moved) = bench.store.diff(from, to)?;
    let added = rows.iter().filter(|row| row.is_added()).count() as u64;
    let removed = rows.iter().filter(|row| row.is_removed()).count() as u64;
    let changed = rows.len() as u64 - added - removed;
    let rows = bench.store.diff_texts(&to, rows.get(..limit).unwrap_or(&rows))?;
    Ok(VersionDiff { from, to, added, removed, changed, moved, rows })
}

impl FieldDiff {
    /// The fields in which two rows differ.
    pub fn between(a: &StoredRow, b: &StoredRow) -> Vec<FieldDiff> {
        let (a, b) = (editable(a), editable(b));
        let text = |value: Option<&serde_json::Value>| match value {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        };
        let differing = FIELDS.iter().filter(|field| a.get(**field) != b.get(**field));
        differing
            .map(|field| FieldDiff { field: (*field).to_owned(), from: text(a.get(*field)), to: text(b.get(*field)) })
            .collect()
    }
}

/// Words of a text: runs of ASCII letters and digits, runs of blanks, and every other character by itself, so that a
/// Chinese text is compared by its characters.
fn words(text: &str) -> Vec<&str> {
    let kind = |c: char| {
        if c.is_ascii_alphanumeric() {
            1
        } else if c.is_whitespace() {
            2
        } else {
            0
        }
    };
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let same = |c: char| kind(first) != 0 && kind(c) == kind(first);
        let end = rest.char_indices().skip(1).find(|(_, c)| !same(*c)).map_or(rest.len(), |(at, _)| at);
        let (word, tail) = rest.split_at(end);
        words.push(word);
        rest = tail;
    }
    words
}

/// Products of lengths up to which the longest common subsequence is looked for: 16 MB of table.
const CELLS: usize = 4 << 20;

/// How `a` becomes `b`, word by word: what is the same at both ends, and between them a longest common subsequence.
/// Where both middles are very long they are given as replaced.
pub fn word_diff(a: &str, b: &str) -> Vec<Change> {
    let (a, b) = (words(a), words(b));
    let head = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let tail = a[head..].iter().rev().zip(b[head..].iter().rev()).take_while(|(x, y)| x == y).count();
    let mut out = Vec::new();
    push(&mut out, Change::Same(a[..head].concat()));
    let (x, y) = (&a[head..a.len() - tail], &b[head..b.len() - tail]);
    if x.len() * y.len() > CELLS {
        push(&mut out, Change::Removed(x.concat()));
        push(&mut out, Change::Added(y.concat()));
    } else {
        middle(x, y, &mut out);
    }
    push(&mut out, Change::Same(a[a.len() - tail..].concat()));
    out
}

fn middle(x: &[&str], y: &[&str], out: &mut Vec<Change>) {
    // common[i][j]: length of the longest common subsequence of x[i..] and y[j..].
    let width = y.len() + 1;
    let mut common = vec![0u32; (x.len() + 1) * width];
    for i in (0..x.len()).rev() {
        for j in (0..y.len()).rev() {
            common[i * width + j] = if x[i] == y[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < x.len() || j < y.len() {
        if i < x.len() && j < y.len() && x[i] == y[j] {
            push(out, Change::Same(x[i].to_owned()));
            (i, j) = (i + 1, j + 1);
        } else if i < x.len() && (j == y.len() || common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            push(out, Change::Removed(x[i].to_owned()));
            i += 1;
        } else {
            push(out, Change::Added(y[j].to_owned()));
            j += 1;
        }
    }
}

/// Adds a stretch; one of the kind that the last one has becomes part of it.
fn push(out: &mut Vec<Change>, change: Change) {
    use Change::{Added, Removed, Same};
    match (out.last_mut(), &change) {
        (_, Same(text) | Removed(text) | Added(text)) if text.is_empty() => {}
        (Some(Same(last)), Same(text)) | (Some(Removed(last)), Removed(text)) | (Some(Added(last)), Added(text)) => {
            last.push_str(text);
        }
        _ => out.push(change),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(a: &str, b: &str) -> String {
        let show = |change: Change| match change {
            Change::Same(t) => t,
            Change::Removed(t) => format!("[-{t}-]"),
            Change::Added(t) => format!("{{+{t}+}}"),
        };
        word_diff(a, b).into_iter().map(show).collect()
    }

    #[test]
    fn only_the_words_that_differ_are_marked() {
        assert_eq!(shown("the rate is 3%", "the rate was 4%"), "the rate [-is-]{+was+} [-3-]{+4+}%");
        assert_eq!(shown("基金是投资", "基金不是存款"), "基金{+不+}是[-投资-]{+存款+}");
        assert_eq!(shown("a", "a"), "a");
        assert_eq!(shown("", "new"), "{+new+}");
        assert_eq!(shown("a b c", ""), "[-a b c-]");
    }

    #[test]
    fn both_texts_can_be_put_together_again() {
        let pieces = ["利率", "bond ", "x", "，", "12 ", "é"];
        let mut state = 7u64;
        let mut text = || -> String {
            (0..12)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    pieces[(state >> 33) as usize % pieces.len()]
                })
                .collect()
        };
        for _ in 0..300 {
            let (a, b) = (text(), text());
            let (mut left, mut right) = (String::new(), String::new());
            for change in word_diff(&a, &b) {
                match change {
                    Change::Same(t) => {
                        left.push_str(&t);
                        right.push_str(&t);
                    }
                    Change::Removed(t) => left.push_str(&t),
                    Change::Added(t) => right.push_str(&t),
                }
            }
            assert_eq!((left, right), (a, b));
        }
    }

    #[test]
    fn very_long_middles_are_replaced_as_a_whole() {
        let (a, b) = ("甲乙".repeat(3000), "丙丁".repeat(3000));
        assert_eq!(word_diff(&a, &b), [Change::Removed(a.clone()), Change::Added(b.clone())]);
    }
}
