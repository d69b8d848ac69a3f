//! Records that were refused, as they stood in their file.

use super::sqlite::{Connection, Value};
use super::{Store, datasets};
use crate::data::Reject;
use crate::error::Result;

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
}
