//! What a file's records become.

use super::super::example::{Example, RowHash};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A row and where it came from.
#[derive(Clone, Debug)]
pub struct Row {
    /// The row.
    pub example: Example,
    /// [`Example::hash`] of it.
    pub hash: RowHash,
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line on which the row begins, from 1; in a Parquet file the number of the row.
    pub line: u64,
}

/// A record that is no row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reject {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; in a Parquet file the number of the row.
    pub line: u64,
    /// Why, for people.
    pub reason: String,
    /// The record as it stood in the file, at most [`RAW`] bytes of it. Not part of reports.
    #[serde(skip)]
    pub raw: String,
}

/// Bytes that are kept of a refused record: enough to correct nearly all of them, and a bound for a file of rubbish.
pub const RAW: usize = 16 << 10;

/// The beginning of a record's bytes as text. A byte that is not UTF-8 is written `\\xE9`: nothing of it is lost, and in
/// JSON it is no escape, so that the record is refused again until somebody corrects it.
pub(super) fn raw(bytes: &[u8]) -> String {
    let kept = bytes.get(..RAW).unwrap_or(bytes);
    let mut text = String::with_capacity(kept.len());
    for chunk in kept.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02X}")));
    }
    text
}

/// What a file's next record is.
#[derive(Clone, Debug)]
pub enum Record {
    /// A row.
    Row(Row),
    /// No row.
    Reject(Reject),
}

/// What there is to say about a file beside its records.
#[derive(Clone, Debug, Default)]
pub struct ReadReport {
    /// How often each column occurred that was left aside.
    pub left_aside: BTreeMap<String, u64>,
    /// What was found out or decided, for people, without the file's name: guessed columns, a converted encoding.
    pub remarks: Vec<String>,
    /// Columns that the user named (`--map`) and no record has.
    pub unmet: Vec<String>,
    /// The columns of the header or of the first record, where the user named some.
    pub columns: Vec<String>,
}
