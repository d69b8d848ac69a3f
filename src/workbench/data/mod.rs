//! Datasets: import, split, edit, the way between versions, and figures of what is in them.

mod add;
mod clean;
mod drafts;
mod duplicates;
mod edit;
mod from_arena;
mod import;
mod intake;
mod mix;
mod preview;
mod quality;
mod quality_report;
mod self_instruct;
mod stats;
mod word_diff;

pub use add::{Added, Duplicate, NewRow, add_rows, blank_row, by_hand, new_row, parse_new_rows};
pub use clean::{Cleaned, Filter, filter_rows, mask_rows, read_words};
pub use drafts::{Decided, DraftChoice, DraftRequest, Drafted, decide_drafts, write_drafts};
pub use edit::{Edit, FIELDS, edit_rows, editable, parse_edits, parse_rows, parse_set, remove_rows};
pub use from_arena::{FromArena, LeftOut, from_arena, from_battle, take_back};
pub use import::{ImportReport, ImportRequest, Input, REPORTED, import};
pub use mix::{MixReport, MixRequest, MixUnit, MixedSource, mix};
pub use preview::{PreviewRequest, RowPreview, preview};
pub use quality::{
    NearReport, NearRows, QualityReport, QualityRequest, RowFinding, RuleReport, field_name, quality, rule_title,
};
pub use quality_report::{QualityForm, render_quality};
pub use stats::{Histogram, Longest, PartStats, Stats, stats};
pub use word_diff::{Change, FieldDiff, VersionDiff, diff, diff_versions, word_diff};

use super::Workbench;
use crate::data::{self, HoldOut, Split};
use crate::error::Result;
use crate::store::{DatasetRecord, RowQuery, StoredRow};
use crate::tr;
use std::collections::{HashMap, HashSet};

/// Holds rows of the dataset `name` out for validation and gives its new record.
///
/// # Errors
/// `NotFound`; `InvalidInput` when nothing would be left to train on.
pub fn split(bench: &Workbench, name: &str, how: &SplitRequest) -> Result<DatasetRecord> {
    let splits = if how.near.is_none() && how.together.is_none() && how.stratify.is_none() {
        data::hold_out(&bench.store.row_hashes(name)?, how.val, how.seed)?
    } else {
        grouped(bench, name, how)?
    };
    let held = match how.val {
        HoldOut::Share(share) => share.to_string(),
        HoldOut::Rows(rows) => rows.to_string(),
    };
    let mut message = tr!("split: {held} held out, seed {}", "划分：留出 {held}，种子 {}", how.seed);
    if let Some(by) = how.stratify {
        message += &tr!(", by {}", "，按{}分层", by.word());
    }
    if let Some(by) = how.together {
        message += &tr!(", each {} on one side", "，同一{}在同一侧", by.word());
    }
    if let Some(near) = how.near {
        message += &tr!(", near duplicates ({near}) on one side", "，近似重复（{near}）在同一侧");
    }
    bench.store.set_splits(name, &splits, &message)
}

/// How rows are held out.
#[derive(Clone, Copy, Debug)]
pub struct SplitRequest {
    /// How many.
    pub val: HoldOut,
    /// Seed of the draw.
    pub seed: u64,
    /// Each of these gives its own share.
    pub stratify: Option<SplitBy>,
    /// Rows that have this in common stay together.
    pub together: Option<SplitBy>,
    /// Rows that are nearly the same (by this Jaccard index) stay together.
    pub near: Option<f64>,
}

/// What rows have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitBy {
    /// Their language.
    Lang,
    /// The file that they came from.
    File,
    /// What is asked, whatever the answer.
    Question,
}

impl SplitBy {
    /// The word for it in a message.
    fn word(self) -> String {
        match self {
            SplitBy::Lang => tr!("lang", "语言"),
            SplitBy::File => tr!("file", "文件"),
            SplitBy::Question => tr!("question", "提问"),
        }
    }

    fn of(self, row: &StoredRow) -> String {
        match self {
            SplitBy::Lang => row.example.lang.clone(),
            SplitBy::File => row.file.clone(),
            SplitBy::Question => format!("{}\n{}", row.example.instruction, row.example.input),
        }
    }
}

/// The splits of rows of which some belong together.
fn grouped(bench: &Workbench, name: &str, how: &SplitRequest) -> Result<Vec<Split>> {
    let (mut hashes, mut strata, mut places) = (Vec::new(), Vec::new(), HashMap::new());
    let (mut stratum_of, mut group_of) = (HashMap::new(), HashMap::new());
    let mut groups: Vec<usize> = Vec::new();
    let mut near = how.near.map(quality::NearRowsFinder::new);
    bench.store.each_row(name, &RowQuery::default(), &mut |row| {
        let at = hashes.len();
        hashes.push(row.example.hash());
        let next = stratum_of.len();
        strata.push(how.stratify.map_or(0, |by| *stratum_of.entry(by.of(&row)).or_insert(next)));
        groups.push(how.together.map_or(at, |by| *group_of.entry(by.of(&row)).or_insert(at)));
        places.insert(row.row, at);
        // A row joins the group of the row that it is like, with all that are in its own.
        let like = near.as_mut().and_then(|near| near.add(&row)).and_then(|pair| places.get(&pair.first).copied());
        if let Some(like) = like {
            let (a, b) = (root(&groups, like), root(&groups, at));
            groups[a.max(b)] = a.min(b);
        }
        Ok(())
    })?;
    let roots: Vec<usize> = (0..groups.len()).map(|at| root(&groups, at)).collect();
    data::hold_out_groups(&hashes, &roots, &strata, how.val, how.seed)
}

/// The first row of the group of `at`: each row points to an earlier one of its group, or to itself.
fn root(groups: &[usize], mut at: usize) -> usize {
    while let Some(&next) = groups.get(at).filter(|next| **next != at) {
        at = next;
    }
    at
}

/// What `data restore` did.
#[derive(Clone, Debug)]
pub enum Restored {
    /// The dataset was deleted and is back.
    Dataset(DatasetRecord),
    /// Its rows are those of an earlier version.
    Version(DatasetRecord),
}

/// Brings back a deleted dataset (`version` none, `rows` empty), a version, or some rows of it (of the version before
/// the newest when none is named).
///
/// # Errors
/// `NotFound`; `Usage` when nothing is named and the dataset is not deleted.
pub fn restore(bench: &Workbench, name: &str, version: Option<&str>, rows: &[u64]) -> Result<Restored> {
    use crate::error::{Error, Kind};
    if version.is_none() && rows.is_empty() {
        if bench.store.undelete_dataset(name)? {
            return Ok(Restored::Dataset(bench.store.dataset(name)?));
        }
        return Err(Error::new(Kind::Usage, tr!("`{name}` is not deleted", "`{name}` 没有被删除")).hint(tr!(
            "name a version to go back to: linly-bench data history {name}",
            "请指定要恢复的版本：linly-bench data history {name}"
        )));
    }
    let newest = bench.store.dataset(name)?;
    let before = (newest.number - 1).max(1).to_string();
    let word = version.unwrap_or(&before);
    let only: HashSet<u64> = rows.iter().copied().collect();
    let message = if only.is_empty() {
        tr!("restore {word}", "恢复 {word}")
    } else {
        let count = only.len();
        tr!("restore {count} rows of {word}", "恢复 {word} 的 {count} 行")
    };
    let only = (!only.is_empty()).then_some(&only);
    Ok(Restored::Version(bench.store.restore_version(name, word, only, &message)?))
}
