//! Reading rows of a version.

use super::dataset_changes::no_row;
use super::datasets::{self, DatasetRecord};
use super::marks::Mark;
use super::search::{Hits, Needle};
use super::sqlite::{Connection, Row, Value};
use super::{Store, row_key};
use crate::data::{Example, RowHash, Split, hex};
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// A row as the database holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredRow {
    /// Its number in the dataset, from 0. A row keeps it for ever, whatever happens to others.
    pub row: u64,
    /// The row itself.
    #[serde(flatten)]
    pub example: Example,
    /// The file it came from.
    pub file: String,
    /// Its line there, from 1.
    pub line: u64,
    /// Hash of its texts.
    pub hash: String,
}

/// Which rows are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowQuery<'q> {
    /// Only this split.
    pub split: Option<Split>,
    /// Only rows with this text in one of their fields; case counts for letters outside ASCII only.
    pub search: &'q str,
    /// Only rows with this number or a larger one: one more than the last row's gives the next page at once.
    pub from: u64,
    /// Leave out this many. Fast only without a split, a search, a mark, a language and deleted rows; see [`RowQuery::from`].
    pub offset: u64,
    /// At most this many.
    pub limit: Option<u64>,
    /// Only rows with this mark.
    pub marked: Option<Mark>,
    /// Only rows in this language: `zh` or `en`.
    pub lang: Option<&'q str>,
}

/// How many rows match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matched {
    /// So many.
    pub rows: u64,
    /// Whether there are no more.
    pub exact: bool,
}

/// Matches of a search that are counted; more of them are "at least".
const COUNTED: u64 = 10_000;

/// The columns that [`stored_row`] reads.
pub(super) const COLUMNS: &str =
    "id, val, lang, hash, file, line, instruction, input, output, system, history, tools, tool_turns";
/// Column of the first text; `tools` is the last one that is searched.
pub(super) const TEXTS: std::ops::Range<i32> = 6..12;

/// Of the version `?3`.
pub(super) const ALIVE: &str = "added_in <= ?3 AND (removed_in IS NULL OR removed_in > ?3)";

pub(super) fn split_of(row: &Row<'_>, column: i32) -> Split {
    if row.int(column) == 1 { Split::Val } else { Split::Train }
}

pub(super) fn hash_of(row: &Row<'_>, column: i32) -> Result<RowHash> {
    row.bytes(column).try_into().map_err(|_| damaged(row.int(0), "hash"))
}

fn damaged(key: i64, column: &str) -> Error {
    let row = row_key::row_of(key);
    Error::new(Kind::Corrupt, tr!("row {row}: its {column} cannot be read", "第 {row} 行的 {column} 无法读取"))
        .hint(tr!("import the dataset again with --replace", "请用 --replace 重新导入该数据集"))
}

/// The dataset's files by id.
pub(super) type Files = HashMap<i64, String>;

pub(super) fn files(c: &Connection, dataset: i64) -> Result<Files> {
    let mut files = HashMap::new();
    c.each("SELECT id, name FROM dataset_files WHERE dataset_id = ?", &[Value::Int(dataset)], |row| {
        files.insert(row.int(0), row.text(1)?.to_owned());
        Ok(true)
    })?;
    Ok(files)
}

/// The row of [`COLUMNS`].
pub(super) fn stored_row(row: &Row<'_>, files: &Files) -> Result<StoredRow> {
    let text = |column| row.text(column).map(str::to_owned);
    let history = match row.text(10)? {
        "" => Vec::new(),
        json => serde_json::from_str(json).map_err(|_| damaged(row.int(0), "history"))?,
    };
    let tool_turns = match row.text(12)? {
        "" => Vec::new(),
        json => serde_json::from_str(json).map_err(|_| damaged(row.int(0), "tool_turns"))?,
    };
    Ok(StoredRow {
        row: row_key::row_of(row.int(0)),
        example: Example {
            instruction: text(6)?,
            input: text(7)?,
            output: text(8)?,
            system: text(9)?,
            tools: text(11)?,
            history,
            tool_turns,
            lang: text(2)?,
            split: split_of(row, 1),
        },
        file: files.get(&row.int(4)).cloned().unwrap_or_default(),
        line: row.int(5) as u64,
        hash: hex(row.bytes(3)),
    })
}

impl Store {
    /// Rows of the version that `words` name, in order.
    ///
    /// # Errors
    /// Those of [`Store::dataset`].
    pub fn rows(&self, words: &str, query: &RowQuery<'_>) -> Result<Vec<StoredRow>> {
        let mut rows = Vec::new();
        self.each_row(words, query, &mut |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The row `number` of the version that `words` name.
    ///
    /// # Errors
    /// Those of [`Store::dataset`]; `NotFound`.
    pub fn row(&self, words: &str, number: u64) -> Result<StoredRow> {
        let mut found = None;
        let query = RowQuery { from: number, limit: Some(1), ..RowQuery::default() };
        let record = self.each_row(words, &query, &mut |row| {
            found = Some(row);
            Ok(())
        })?;
        found.filter(|row| row.row == number).ok_or_else(|| no_row(&record, number))
    }

    /// Hands rows of the version that `words` name to `on`, in order; memory holds one at a time. Gives the version.
    ///
    /// # Errors
    /// Those of [`Store::dataset`] and of `on`.
    pub fn each_row(
        &self,
        words: &str,
        query: &RowQuery<'_>,
        on: &mut dyn FnMut(StoredRow) -> Result<()>,
    ) -> Result<DatasetRecord> {
        let c = self.connection()?;
        // One state of the file for all that follows.
        c.execute("BEGIN")?;
        let record = datasets::resolve(&c, words)?;
        let files = files(&c, record.id)?;
        let mut left = query.limit.unwrap_or(u64::MAX);
        let (mut skip, mut from) = (query.offset, query.from);
        let all = query.split.is_none() && query.marked.is_none() && query.lang.is_none();
        if query.search.is_empty() && all && record.rows == record.row_end {
            // No row is missing, so the row's number is its place.
            from = from.saturating_add(skip);
            skip = 0;
        }
        if left == 0 {
            return Ok(record);
        }
        matching(&c, &record, &RowQuery { from, ..*query }, &mut |row| {
            if skip > 0 {
                skip -= 1;
                return Ok(true);
            }
            on(stored_row(row, &files)?)?;
            left -= 1;
            Ok(left > 0)
        })?;
        Ok(record)
    }

    /// How many rows of the version that `words` name match, whatever the limit. Without a search the figure is at hand;
    /// of a search, a mark, or a part in one language at most 10,000 are counted.
    ///
    /// # Errors
    /// Those of [`Store::dataset`].
    pub fn count_rows(&self, words: &str, query: &RowQuery<'_>) -> Result<Matched> {
        let c = self.connection()?;
        let record = datasets::resolve(&c, words)?;
        if query.search.is_empty() && query.marked.is_none() {
            let at_hand = match (query.split, query.lang) {
                (None, None) => Some(record.rows),
                (Some(Split::Train), None) => Some(record.train),
                (Some(Split::Val), None) => Some(record.val),
                (None, Some("zh")) => Some(record.zh),
                (None, Some("en")) => Some(record.en),
                _ => None,
            };
            if let Some(rows) = at_hand {
                return Ok(Matched { rows, exact: true });
            }
        }
        let mut rows = 0;
        matching(&c, &record, query, &mut |_| {
            rows += 1;
            Ok(rows <= COUNTED)
        })?;
        Ok(Matched { rows: rows.min(COUNTED), exact: rows <= COUNTED })
    }

    /// The numbers of the rows of the version that `words` name whose texts have one of the hashes `wanted`.
    ///
    /// # Errors
    /// Those of [`Store::dataset`].
    pub fn rows_with(&self, words: &str, wanted: &HashSet<RowHash>) -> Result<HashMap<RowHash, u64>> {
        let mut found = HashMap::new();
        if wanted.is_empty() {
            return Ok(found);
        }
        let c = self.connection()?;
        let record = datasets::resolve(&c, words)?;
        let [first, end] = record.keys();
        let sql = format!("SELECT id, hash FROM dataset_rows WHERE id >= ?1 AND id < ?2 AND {ALIVE}");
        c.each(&sql, &[first, end, Value::Int(record.number as i64)], |row| {
            let hash = hash_of(row, 1)?;
            if wanted.contains(&hash) {
                found.entry(hash).or_insert(row_key::row_of(row.int(0)));
            }
            Ok(found.len() < wanted.len())
        })?;
        Ok(found)
    }

    /// The hash of each row of the version that `words` name, in order.
    ///
    /// # Errors
    /// Those of [`Store::dataset`].
    pub fn row_hashes(&self, words: &str) -> Result<Vec<RowHash>> {
        let c = self.connection()?;
        let record = datasets::resolve(&c, words)?;
        let mut hashes = Vec::with_capacity(record.rows as usize);
        let [first, end] = record.keys();
        let sql = format!("SELECT id, hash FROM dataset_rows WHERE id >= ?1 AND id < ?2 AND {ALIVE}");
        c.each(&sql, &[first, end, Value::Int(record.number as i64)], |row| {
            hashes.push(hash_of(row, 1)?);
            Ok(true)
        })?;
        Ok(hashes)
    }
}

/// Hands the records that match `query` to `on`, in order, until that gives `false`. Offset and limit are the caller's.
fn matching(
    c: &Connection,
    record: &DatasetRecord,
    query: &RowQuery<'_>,
    on: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
) -> Result<()> {
    let needle = Needle::new(query.search);
    let split = match query.split {
        None => "",
        Some(Split::Train) => " AND val = 0",
        Some(Split::Val) => " AND val = 1",
    };
    // Bound by number, so that its text is never part of a statement.
    let lang = if query.lang.is_some() { " AND lang = ?4" } else { "" };
    let marked = match query.marked {
        None => String::new(),
        Some(mark) => {
            let (dataset, mark) = (record.id, mark.name());
            format!(" AND hash IN (SELECT hash FROM row_marks WHERE dataset_id = {dataset} AND mark = '{mark}')")
        }
    };
    let sql = format!("SELECT {COLUMNS} FROM dataset_rows WHERE id >= ?1 AND id < ?2 AND {ALIVE}{split}{lang}{marked}");
    let mut hits = Hits::new(c, record.id, query.search, query.from)?;
    while let Some((first, end)) = hits.next(c)? {
        let end = if end == u64::MAX { row_key::end(record.id) } else { row_key::key(record.id, end) };
        let mut more = true;
        let [first, number] = [row_key::key(record.id, first), record.number as i64].map(Value::Int);
        let values = [first, Value::Int(end), number, Value::Text(query.lang.unwrap_or_default())];
        let used = if query.lang.is_some() { 4 } else { 3 };
        c.each(&sql, values.get(..used).unwrap_or(&values), |row| {
            if TEXTS.clone().any(|column| needle.is_in(row.bytes(column))) {
                more = on(row)?;
            }
            Ok(more)
        })?;
        if !more {
            break;
        }
    }
    Ok(())
}
