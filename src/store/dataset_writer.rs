//! Writing a dataset: all of it or nothing.

use super::dataset_versions::Tally;
use super::datasets::{self, DatasetRecord};
use super::rejects::Corrected;
use super::sqlite::{Connection, Value};
use super::{Store, dataset_changes, dataset_rows, now, rejects, row_key, search};
use crate::data::{Reject, Row, RowHash, Split};
use crate::error::{Error, Kind, Result};
use crate::tr;
use std::collections::HashMap;
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

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The dataset's version now.
    pub version: String,
    /// Its number.
    pub number: u64,
    /// Whether the dataset had exactly these rows before, so that nothing was written.
    pub unchanged: bool,
    /// Refused records that left the list, because the file that they were written to was appended.
    pub corrected: u64,
}

/// Rows that are compared with the old ones at once.
const BATCH: usize = 1024;

/// The first revision of what a number held before.
struct Old {
    /// The newest record of the row.
    key: i64,
    /// Hash, split and language, unless the row is removed.
    now: Option<(RowHash, Split, String)>,
}

/// Writes a dataset in one transaction: until [`DatasetWriter::finish`] nobody sees any of it, and
/// dropping the writer (or killing the process) leaves the database as it was.
pub struct DatasetWriter<'s> {
    store: &'s Store,
    c: Connection,
    dataset: i64,
    /// The version that is written.
    number: i64,
    /// The version before it.
    old: Option<DatasetRecord>,
    was_deleted: bool,
    replaces: bool,
    place: Place,
    tally: Tally,
    next_row: u64,
    rows: Vec<Row>,
    files: HashMap<Arc<str>, i64>,
    corrected: Corrected,
}

/// What is recorded with the rows.
struct Place {
    source: String,
    licence: String,
    message: String,
}

impl Store {
    /// Begins to write the dataset `name`. With [`Existing::Append`], `on_old` hears the hashes of the rows that are
    /// already there. The name of a deleted dataset is free; its history goes on.
    ///
    /// # Errors
    /// `InvalidInput` when the name is taken and `existing` is [`Existing::Refuse`].
    pub fn write_dataset(
        &self,
        name: &str,
        source: &str,
        licence: &str,
        message: &str,
        existing: Existing,
        on_old: &mut dyn FnMut(&RowHash),
    ) -> Result<DatasetWriter<'_>> {
        let c = self.connection()?;
        c.execute("BEGIN IMMEDIATE")?;
        let deleted = datasets::deleted(&c, name)?;
        let old = match deleted {
            Some(id) => datasets::records(&c, "d.id = ? AND v.number = latest", &[Value::Int(id)])?.pop(),
            None => datasets::by_name(&c, name)?,
        };
        let (dataset, number) = match &old {
            Some(_) if deleted.is_none() && existing == Existing::Refuse => return Err(name_taken(name)),
            Some(record) => (record.id, record.latest as i64 + 1),
            None => {
                let created = now();
                let values = [Value::Text(name), Value::Text(source), Value::Text(licence), Value::Text(&created)];
                c.run("INSERT INTO datasets (name, source, licence, created_at) VALUES (?, ?, ?, ?)", &values)?;
                (c.last_id(), 1)
            }
        };
        let replaces = old.is_some() && (deleted.is_some() || existing == Existing::Replace);
        let (mut tally, mut next_row) = (Tally::default(), 0);
        if let Some(record) = old.as_ref().filter(|_| !replaces) {
            let sql = "SELECT id, hash, val, lang FROM dataset_rows WHERE id >= ? AND id < ? AND removed_in IS NULL";
            c.each(sql, &record.keys(), |row| {
                let hash = dataset_rows::hash_of(row, 1)?;
                on_old(&hash);
                tally.add(&hash, dataset_rows::split_of(row, 2), row.text(3)?);
                Ok(true)
            })?;
            next_row = record.row_end;
        }
        let place = Place { source: source.into(), licence: licence.into(), message: message.into() };
        let (was_deleted, rows) = (deleted.is_some(), Vec::with_capacity(BATCH));
        let (files, corrected) = (HashMap::new(), Corrected::default());
        Ok(DatasetWriter {
            store: self,
            c,
            dataset,
            number,
            old,
            was_deleted,
            replaces,
            place,
            tally,
            next_row,
            rows,
            files,
            corrected,
        })
    }
}

impl DatasetWriter<'_> {
    /// Adds a row at the end.
    pub fn row(&mut self, row: Row) -> Result<()> {
        self.tally.add(&row.hash, row.example.split, &row.example.lang);
        self.rows.push(row);
        if self.rows.len() == BATCH { self.flush() } else { Ok(()) }
    }

    /// The number that the next row gets.
    pub fn next_row(&self) -> u64 {
        self.next_row + self.rows.len() as u64
    }

    /// Says which files are appended: what was refused earlier and written to one of them to be corrected leaves the list of
    /// refused records, unless it is refused again as it was.
    ///
    /// # Errors
    /// I/O.
    pub fn corrects(&mut self, files: &[String]) -> Result<()> {
        self.corrected = Corrected::of(&self.c, self.dataset, files)?;
        Ok(())
    }

    /// Keeps a record that was refused.
    pub fn reject(&mut self, reject: &Reject) -> Result<()> {
        if self.corrected.again(reject) {
            return Ok(());
        }
        rejects::insert(&self.c, self.dataset, self.number, reject)
    }

    fn flush(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let end = self.next_row + rows.len() as u64;
        row_key::check_row(end)?;
        let old = self.old_rows(self.next_row, end)?;
        for (row, number) in rows.iter().zip(self.next_row..) {
            let key = match old.get(&number) {
                None => row_key::key(self.dataset, number),
                Some(Old { now: Some((hash, split, lang)), .. })
                    if *hash == row.hash && *split == row.example.split && *lang == row.example.lang =>
                {
                    continue;
                }
                Some(Old { key, now }) => {
                    if now.is_some() {
                        dataset_changes::end(&self.c, *key, self.number)?;
                    }
                    search::changed(&self.c, self.dataset, number)?;
                    row_key::next_revision(*key)?
                }
            };
            let file = self.file(&row.file)?;
            let origin = (file, row.line as i64);
            dataset_changes::insert(&self.c, key, self.number, &row.example, &row.hash, origin)?;
        }
        self.next_row = end;
        // Its place is used again: a batch of a thousand rows is not a small allocation.
        self.rows = rows;
        self.rows.clear();
        Ok(())
    }

    /// What stood at the numbers from `first` to before `end`.
    fn old_rows(&self, first: u64, end: u64) -> Result<HashMap<u64, Old>> {
        let mut rows = HashMap::new();
        if !self.replaces || self.old.as_ref().is_none_or(|old| first >= old.row_end) {
            return Ok(rows);
        }
        let keys = [Value::Int(row_key::key(self.dataset, first)), Value::Int(row_key::key(self.dataset, end))];
        let sql =
            "SELECT id, hash, val, lang, removed_in IS NULL FROM dataset_rows WHERE id >= ? AND id < ? ORDER BY id";
        self.c.each(sql, &keys, |row| {
            let content = (dataset_rows::hash_of(row, 1)?, dataset_rows::split_of(row, 2), row.text(3)?.to_owned());
            let now = (row.int(4) == 1).then_some(content);
            rows.insert(row_key::row_of(row.int(0)), Old { key: row.int(0), now });
            Ok(true)
        })?;
        Ok(rows)
    }

    fn file(&mut self, name: &Arc<str>) -> Result<i64> {
        if let Some(id) = self.files.get(name) {
            return Ok(*id);
        }
        let values = [Value::Int(self.dataset), Value::Text(name)];
        self.c.run("INSERT OR IGNORE INTO dataset_files (dataset_id, name) VALUES (?, ?)", &values)?;
        let id = self.c.number("SELECT id FROM dataset_files WHERE dataset_id = ? AND name = ?", &values)?;
        let id = id.ok_or_else(|| Error::internal("a file's name was not kept"))?;
        self.files.insert(Arc::clone(name), id);
        Ok(id)
    }

    /// Ends without a new version when no row is new, and lets only corrected records leave the list; gives how many.
    /// What was refused this time is not kept: it would be kept again with every such import.
    ///
    /// # Errors
    /// `NoSpace`.
    pub fn only_corrected(self) -> Result<u64> {
        let DatasetWriter { store, c, dataset, old, corrected, .. } = self;
        drop(c);
        let Some(old) = old else { return Ok(0) };
        store.change(|c| {
            let number = old.number as i64;
            let gone = corrected.leave(c, number)?;
            rejects::recount(c, dataset, number)?;
            Ok(gone)
        })
    }

    /// Makes everything visible.
    ///
    /// # Errors
    /// `NoSpace` when the disk is full: then nothing was written.
    pub fn finish(mut self) -> Result<Written> {
        self.flush()?;
        let DatasetWriter {
            store,
            c,
            dataset,
            number,
            old,
            was_deleted,
            replaces,
            place,
            tally,
            next_row,
            corrected,
            ..
        } = self;
        let sealed = tally.finish();
        let version = sealed.hash.clone();
        let described = [Value::Text(&place.source), Value::Text(&place.licence), Value::Int(dataset)];
        let describe = "UPDATE datasets SET source = ?, licence = ?, deleted_at = NULL WHERE id = ?";
        if let Some(old) = old.as_ref().filter(|old| old.version == version) {
            drop(c);
            if replaces {
                store.change(|c| c.run(describe, &described))?;
            }
            return Ok(Written { version, number: old.number, unchanged: !was_deleted, corrected: 0 });
        }
        if replaces {
            c.run(describe, &described)?;
            rejects::end(&c, dataset, number)?;
            let rest =
                [Value::Int(row_key::key(dataset, next_row)), Value::Int(row_key::end(dataset)), Value::Int(number)];
            c.run("UPDATE dataset_rows SET removed_in = ?3 WHERE id >= ?1 AND id < ?2 AND removed_in IS NULL", &rest)?;
        }
        let corrected = corrected.leave(&c, number)?;
        let row_end = old.map_or(0, |old| old.row_end).max(next_row);
        sealed.write(&c, dataset, number, &place.message, row_end)?;
        search::refresh(&c, dataset, row_end)?;
        c.execute("COMMIT")?;
        // A large import leaves a log as large as itself. Readers may be at work in it: then it shrinks later.
        let _ = c.execute("PRAGMA wal_checkpoint(TRUNCATE)");
        Ok(Written { version, number: number as u64, unchanged: false, corrected })
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
