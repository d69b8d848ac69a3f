//! Records that were refused, as they stood in their file, and the way of those that are corrected out of the list.
//!
//! A file that they are written to for correction stands for them: when it is appended, they leave the list, but for
//! those that are refused again as they were, which keep their first place and are not listed twice.

use super::sqlite::{Connection, Value};
use super::{Store, datasets};
use crate::data::Reject;
use crate::error::Result;
use std::collections::HashMap;
use std::path::Path;

/// Keeps a refused record.
pub(super) fn insert(c: &Connection, dataset: i64, number: i64, reject: &Reject) -> Result<()> {
    c.run(
        "INSERT INTO rejects (dataset_id, file, line, reason, raw, added_in) VALUES (?, ?, ?, ?, ?, ?)",
        &[
            Value::Int(dataset),
            Value::Text(&reject.file),
            Value::Int(reject.line as i64),
            Value::Text(&reject.reason),
            Value::Text(&reject.raw),
            Value::Int(number),
        ],
    )
}

/// Those of earlier imports no longer count from the version `number` on.
pub(super) fn end(c: &Connection, dataset: i64, number: i64) -> Result<()> {
    c.run(
        "UPDATE rejects SET removed_in = ?2 WHERE dataset_id = ?1 AND removed_in IS NULL AND added_in < ?2",
        &[Value::Int(dataset), Value::Int(number)],
    )
}

/// The record on one line, as it is written to be corrected: a line end inside a JSON text would be a fault anyway.
pub(super) fn on_one_line(raw: &str) -> String {
    raw.replace(['\n', '\r'], " ")
}

/// Refused records that are being corrected: those that were written to the files of an import.
#[derive(Default)]
pub(super) struct Corrected {
    /// Their texts, each with the keys of the records that read so.
    open: HashMap<String, Vec<i64>>,
}

impl Corrected {
    /// Of the dataset `dataset`, those that were written to one of `files`.
    pub fn of(c: &Connection, dataset: i64, files: &[String]) -> Result<Corrected> {
        let mut open: HashMap<String, Vec<i64>> = HashMap::new();
        let sql = "SELECT rowid, raw FROM rejects WHERE dataset_id = ? AND removed_in IS NULL AND written_to = ?";
        for file in files {
            c.each(sql, &[Value::Int(dataset), Value::Text(file)], |row| {
                open.entry(on_one_line(row.text(1)?).trim().to_owned()).or_default().push(row.int(0));
                Ok(true)
            })?;
        }
        Ok(Corrected { open })
    }

    /// Whether `reject` is one of them as it was: then it stays in the list where it is.
    pub fn again(&mut self, reject: &Reject) -> bool {
        // Nearly every import corrects nothing.
        if self.open.is_empty() {
            return false;
        }
        let text = on_one_line(&reject.raw);
        let Some(keys) = self.open.get_mut(text.trim()) else { return false };
        keys.pop().is_some()
    }

    /// Takes the others out of the list, from the version `number` on; gives how many.
    pub fn leave(self, c: &Connection, number: i64) -> Result<u64> {
        let mut gone = 0;
        for key in self.open.into_values().flatten() {
            c.run("UPDATE rejects SET removed_in = ? WHERE rowid = ?", &[Value::Int(number), Value::Int(key)])?;
            gone += 1;
        }
        Ok(gone)
    }
}

/// Counts the refused records of the version `number` anew, after its list was corrected without a row being new.
pub(super) fn recount(c: &Connection, dataset: i64, number: i64) -> Result<()> {
    c.run(
        "UPDATE dataset_versions SET rejected =
         (SELECT count(*) FROM rejects WHERE dataset_id = ?1 AND added_in <= ?2 AND (removed_in IS NULL OR removed_in > ?2))
         WHERE dataset_id = ?1 AND number = ?2",
        &[Value::Int(dataset), Value::Int(number)],
    )
}

impl Store {
    /// The first `limit` records that were refused when the version that `words` name was imported.
    ///
    /// # Errors
    /// Those of [`Store::dataset`].
    pub fn rejects(&self, words: &str, limit: usize) -> Result<Vec<Reject>> {
        let mut rejects = Vec::new();
        self.each_reject(words, &mut |reject| {
            rejects.push(reject);
            Ok(rejects.len() < limit)
        })?;
        Ok(rejects)
    }

    /// Hands the refused records of the version that `words` name to `on`, in order, until that gives `false`.
    ///
    /// # Errors
    /// Those of [`Store::dataset`] and of `on`.
    pub fn each_reject(&self, words: &str, on: &mut dyn FnMut(Reject) -> Result<bool>) -> Result<()> {
        let c = self.connection()?;
        let record = datasets::resolve(&c, words)?;
        let sql = format!(
            "SELECT file, line, reason, raw FROM rejects WHERE dataset_id = ?1 AND {} ORDER BY rowid",
            super::dataset_rows::ALIVE
        );
        // The condition reads the version as its third value.
        c.each(&sql, &[Value::Int(record.id), Value::Null, Value::Int(record.number as i64)], |row| {
            on(Reject {
                file: row.text(0)?.to_owned(),
                line: row.int(1) as u64,
                reason: row.text(2)?.to_owned(),
                raw: row.text(3)?.to_owned(),
            })
        })
    }

    /// Remembers that the first `count` refused records of the version that `words` name that have a text were written to
    /// `file`, to be corrected there and appended again.
    ///
    /// # Errors
    /// Those of [`Store::dataset`].
    pub fn rejects_written(&self, words: &str, file: &Path, count: u64) -> Result<()> {
        let file = file.to_string_lossy();
        self.change(|c| {
            let record = datasets::resolve(c, words)?;
            let id = Value::Int(record.id);
            // What stood there before is overwritten.
            let before = "UPDATE rejects SET written_to = NULL WHERE dataset_id = ? AND written_to = ?";
            c.run(before, &[id, Value::Text(&file)])?;
            let sql = format!(
                "UPDATE rejects SET written_to = ?2 WHERE rowid IN (SELECT rowid FROM rejects
                 WHERE dataset_id = ?1 AND {} AND raw <> '' ORDER BY rowid LIMIT ?4)",
                super::dataset_rows::ALIVE
            );
            c.run(&sql, &[id, Value::Text(&file), Value::Int(record.number as i64), Value::Int(count as i64)])
        })
    }
}
