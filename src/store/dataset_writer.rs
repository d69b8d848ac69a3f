//! Writing a dataset: all of it or nothing.

use super::datasets::{MARKS, mark};
use super::{Store, now};
use crate::data::{Reject, Row, RowHash, Version, hex};
use crate::error::{Error, Kind, Result};
use crate::tr;
use sqlx::sqlite::Sqlite;
use sqlx::{AssertSqlSafe, Row as _, Transaction};
use std::collections::HashSet;
use std::sync::Arc;

/// What to do when the name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// The name must be free.
    Refuse,
    /// Add the rows at the end.
    Append,
    /// Put the new rows in the place of the old ones.
    Replace,
}

/// Rows per `INSERT`: 12 values each, below SQLite's limit of 32,766. More gains nothing.
const BATCH: usize = 128;

const COLUMNS: &str =
    "dataset_id, row, split, lang, instruction, input, output, system, history, tool_turns, hash, file, line";

/// Writes a dataset in one transaction: until [`DatasetWriter::finish`] nobody sees any of it, and
/// dropping the writer (or killing the process) leaves the database as it was.
pub struct DatasetWriter<'s> {
    store: &'s Store,
    transaction: Option<Transaction<'static, Sqlite>>,
    dataset: i64,
    version: Version,
    next_row: u64,
    rows: Vec<Row>,
    batch_sql: Arc<str>,
}

/// The statement that inserts `rows` rows.
fn insert(rows: usize) -> Arc<str> {
    let values = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"; rows];
    Arc::from(format!("INSERT INTO examples ({COLUMNS}) VALUES {}", values.join(", ")))
}

impl Store {
    /// Begins to write the dataset `name`. With [`Existing::Append`] also gives the hashes of the
    /// rows that are already there.
    ///
    /// # Errors
    /// `InvalidInput` when the name is taken and `existing` is [`Existing::Refuse`].
    pub fn write_dataset(
        &self,
        name: &str,
        source: &str,
        licence: &str,
        existing: Existing,
    ) -> Result<(DatasetWriter<'_>, HashSet<RowHash>)> {
        // IMMEDIATE: a reader that becomes a writer later can lose against another writer half-way.
        let transaction = self.wait(self.pool.begin_with("BEGIN IMMEDIATE"))?;
        let mut writer = DatasetWriter {
            store: self,
            transaction: Some(transaction),
            dataset: 0,
            version: Version::default(),
            next_row: 0,
            rows: Vec::with_capacity(BATCH),
            batch_sql: insert(BATCH),
        };
        let seen = writer.begin(name, source, licence, existing)?;
        Ok((writer, seen))
    }
}

impl DatasetWriter<'_> {
    fn begin(&mut self, name: &str, source: &str, licence: &str, existing: Existing) -> Result<HashSet<RowHash>> {
        let (store, mut seen) = (self.store, HashSet::new());
        let transaction = self.transaction()?;
        let old: Option<i64> = store.wait(async {
            let row = sqlx::query("SELECT id FROM datasets WHERE name = ?")
                .bind(name)
                .fetch_optional(&mut **transaction)
                .await?;
            Ok(row.map(|row| row.get("id")))
        })?;
        match (old, existing) {
            (Some(_), Existing::Refuse) => return Err(name_taken(name)),
            (Some(id), Existing::Append) => {
                let rows = store.wait(sqlx::query(MARKS).bind(id).fetch_all(&mut **transaction))?;
                for row in &rows {
                    let mark = mark(row)?;
                    seen.insert(mark.hash);
                    self.version.add(&mark.hash, mark.split, &mark.lang);
                    self.next_row = mark.row + 1;
                }
                self.dataset = id;
            }
            (old, _) => {
                let row = store.wait(async {
                    if let Some(id) = old {
                        sqlx::query("DELETE FROM datasets WHERE id = ?").bind(id).execute(&mut **transaction).await?;
                    }
                    sqlx::query(
                        "INSERT INTO datasets (name, version, source, licence, created_at) VALUES (?, '', ?, ?, ?) RETURNING id",
                    )
                    .bind(name)
                    .bind(source)
                    .bind(licence)
                    .bind(now())
                    .fetch_one(&mut **transaction)
                    .await
                })?;
                self.dataset = row.get("id");
            }
        }
        Ok(seen)
    }

    fn transaction(&mut self) -> Result<&mut Transaction<'static, Sqlite>> {
        self.transaction.as_mut().ok_or_else(|| Error::internal("the dataset is already written"))
    }

    /// Adds a row at the end.
    pub fn row(&mut self, row: Row) -> Result<()> {
        self.version.add(&row.hash, row.example.split, &row.example.lang);
        self.rows.push(row);
        if self.rows.len() == BATCH { self.flush() } else { Ok(()) }
    }

    /// Keeps a record that was refused.
    pub fn reject(&mut self, reject: &Reject) -> Result<()> {
        let (store, dataset) = (self.store, self.dataset);
        let transaction = self.transaction()?;
        store.wait(
            sqlx::query("INSERT INTO rejects (dataset_id, file, line, reason) VALUES (?, ?, ?, ?)")
                .bind(dataset)
                .bind(&reject.file)
                .bind(reject.line as i64)
                .bind(&reject.reason)
                .execute(&mut **transaction),
        )?;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let sql = if rows.len() == BATCH { Arc::clone(&self.batch_sql) } else { insert(rows.len()) };
        let mut query = sqlx::query(AssertSqlSafe(sql));
        let count = rows.len() as u64;
        for (row, at) in rows.into_iter().zip(self.next_row..) {
            let history = match row.example.history.as_slice() {
                [] => "[]".to_owned(),
                turns => serde_json::to_string(turns).map_err(|e| Error::internal(e.to_string()))?,
            };
            let tool_turns = match row.example.tool_turns.as_slice() {
                [] => "[]".to_owned(),
                turns => serde_json::to_string(turns).map_err(|e| Error::internal(e.to_string()))?,
            };
            query = query
                .bind(self.dataset)
                .bind(at as i64)
                .bind(row.example.split.as_str())
                .bind(row.example.lang)
                .bind(row.example.instruction)
                .bind(row.example.input)
                .bind(row.example.output)
                .bind(row.example.system)
                .bind(history)
                .bind(tool_turns)
                .bind(hex(&row.hash))
                .bind(row.file.to_string())
                .bind(row.line as i64);
        }
        let store = self.store;
        let transaction = self.transaction()?;
        store.wait(query.execute(&mut **transaction))?;
        self.next_row += count;
        Ok(())
    }

    /// Makes everything visible and gives the dataset's version.
    ///
    /// # Errors
    /// `NoSpace` when the disk is full: then nothing was written.
    pub fn finish(mut self) -> Result<String> {
        self.flush()?;
        let version = std::mem::take(&mut self.version).finish();
        let (store, dataset) = (self.store, self.dataset);
        let Some(mut transaction) = self.transaction.take() else {
            return Err(Error::internal("the dataset is already written"));
        };
        store.wait(async {
            sqlx::query("UPDATE datasets SET version = ? WHERE id = ?")
                .bind(&version)
                .bind(dataset)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await
        })?;
        Ok(version)
    }
}

impl Drop for DatasetWriter<'_> {
    fn drop(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            // On the store's runtime: the connection goes back to its pool there. A failure leaves
            // the rollback to SQLite, which does it when the file is opened next.
            let _ = self.store.wait(transaction.rollback());
        }
    }
}

/// The error of a name that is taken by other rows.
pub fn name_taken(name: &str) -> Error {
    Error::new(
        Kind::InvalidInput,
        tr!("there is already a dataset `{name}`, with other rows", "已有数据集 `{name}`，且内容不同"),
    )
    .hint(tr!(
        "choose another --name, or say --replace (new rows instead of the old) or --append (after them)",
        "请换一个 --name，或使用 --replace（替换旧数据）或 --append（追加）"
    ))
}
