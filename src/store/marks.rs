//! Marks of rows: what a person thinks of their texts. They lie beside the versions and change none.

use super::dataset_rows::ALIVE;
use super::datasets::{self, DatasetRecord};
use super::sqlite::Value;
use super::{Store, dataset_rows, now, row_key};
use crate::data::{RowHash, hex};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What a row is marked as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// An example of what is wanted.
    Good,
    /// One that should go or be corrected.
    Bad,
}

impl Mark {
    /// Its name on the command line, in files and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Mark::Good => "good",
            Mark::Bad => "bad",
        }
    }

    /// The mark called `name`.
    pub fn parse(name: &str) -> Option<Mark> {
        [Mark::Good, Mark::Bad].into_iter().find(|mark| mark.name() == name)
    }
}

/// A mark as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowMark {
    /// What it says.
    pub mark: Mark,
    /// Why; may be empty.
    pub note: String,
    /// When, RFC 3339 UTC.
    pub marked_at: String,
}

/// Marks of a dataset by the hexadecimal hash of the row's texts.
pub type Marks = HashMap<String, RowMark>;

impl Store {
    /// Marks rows of the version that `words` name, or takes their marks away (`None`). Gives the version and how many
    /// rows are marked otherwise than before.
    ///
    /// # Errors
    /// Those of [`Store::dataset`]; `NotFound` for a row that is not there: nothing is marked then.
    pub fn mark_rows(
        &self,
        words: &str,
        rows: &[u64],
        mark: Option<Mark>,
        note: &str,
    ) -> Result<(DatasetRecord, usize)> {
        self.change(|c| {
            let record = datasets::resolve(c, words)?;
            let present = format!("SELECT id, hash FROM dataset_rows WHERE id >= ?1 AND id < ?2 AND {ALIVE}");
            let mut changed = 0;
            for row in rows {
                let mut hash: Option<RowHash> = None;
                if *row < record.row_end {
                    let [first, end] = [*row, *row + 1].map(|row| Value::Int(row_key::key(record.id, row)));
                    c.each(&present, &[first, end, Value::Int(record.number as i64)], |found| {
                        hash = Some(dataset_rows::hash_of(found, 1)?);
                        Ok(false)
                    })?;
                }
                let hash = hash.ok_or_else(|| super::dataset_changes::no_row(&record, *row))?;
                let (id, hash) = (Value::Int(record.id), Value::Blob(&hash));
                let mut before = None;
                c.each("SELECT mark, note FROM row_marks WHERE dataset_id = ? AND hash = ?", &[id, hash], |row| {
                    before = Mark::parse(row.text(0)?).map(|mark| (mark, row.text(1).map(str::to_owned)));
                    Ok(false)
                })?;
                let before = before.map(|(mark, note)| note.map(|note| (mark, note))).transpose()?;
                if before == mark.map(|mark| (mark, note.to_owned())) {
                    continue;
                }
                changed += 1;
                match mark {
                    None => c.run("DELETE FROM row_marks WHERE dataset_id = ? AND hash = ?", &[id, hash])?,
                    Some(mark) => {
                        let values = [id, hash, Value::Text(mark.name()), Value::Text(note), Value::Text(&now())];
                        c.run("INSERT OR REPLACE INTO row_marks VALUES (?, ?, ?, ?, ?)", &values)?;
                    }
                }
            }
            Ok((record, changed))
        })
    }

    /// The marks of the dataset that `words` name.
    ///
    /// # Errors
    /// Those of [`Store::dataset`].
    pub fn marks(&self, words: &str) -> Result<Marks> {
        let c = self.connection()?;
        let record = datasets::resolve(&c, words)?;
        let mut marks = HashMap::new();
        let sql = "SELECT hash, mark, note, marked_at FROM row_marks WHERE dataset_id = ?";
        c.each(sql, &[Value::Int(record.id)], |row| {
            if let Some(mark) = Mark::parse(row.text(1)?) {
                let (note, marked_at) = (row.text(2)?.to_owned(), row.text(3)?.to_owned());
                marks.insert(hex(row.bytes(0)), RowMark { mark, note, marked_at });
            }
            Ok(true)
        })?;
        Ok(marks)
    }
}
