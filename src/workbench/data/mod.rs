//! Datasets: import, split, edit, the way between versions, and figures of what is in them.

mod duplicates;
mod edit;
mod import;
mod stats;
mod word_diff;

pub use edit::{Edit, FIELDS, edit_rows, editable, parse_edits, parse_rows, parse_set, remove_rows};
pub use import::{ImportReport, ImportRequest, Input, REPORTED, import};
pub use stats::{Histogram, Longest, PartStats, Stats, stats};
pub use word_diff::{Change, FieldDiff, VersionDiff, diff, word_diff};

use super::Workbench;
use crate::data::{self, HoldOut};
use crate::error::Result;
use crate::store::DatasetRecord;
use crate::tr;
use std::collections::HashSet;

/// Holds rows of the dataset `name` out for validation and gives its new record.
///
/// # Errors
/// `NotFound`; `InvalidInput` when nothing would be left to train on.
pub fn split(bench: &Workbench, name: &str, val: HoldOut, seed: u64) -> Result<DatasetRecord> {
    let splits = data::hold_out(&bench.store.row_hashes(name)?, val, seed)?;
    let held = match val {
        HoldOut::Share(share) => share.to_string(),
        HoldOut::Rows(rows) => rows.to_string(),
    };
    bench.store.set_splits(name, &splits, &tr!("split: {held} held out, seed {seed}", "划分：留出 {held}，种子 {seed}"))
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
