//! New versions of a dataset from its own rows: edits, removals, splits, and the way back to an earlier one.

use super::dataset_rows::{self, ALIVE};
use super::dataset_versions::Tally;
use super::datasets::{self, DatasetRecord};
use super::sqlite::{Connection, Value};
use super::{Store, row_key, search};
use crate::data::{Example, RowHash, Split};
use crate::error::{Error, Kind, Result};
use crate::tr;
use std::collections::HashSet;

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowChange {
    /// It gets these texts, this split and this language.
    Set(u64, Example),
    /// It is no longer there. Its number stays free.
    Remove(u64),
}

/// Adds a record.
pub(super) fn insert(
    c: &Connection,
    key: i64,
    number: i64,
    example: &Example,
    hash: &RowHash,
    (file, line): (i64, i64),
) -> Result<()> {
    let json = |empty: bool, value: &dyn Fn() -> serde_json::Result<String>| {
        if empty { Ok(String::new()) } else { value().map_err(|e| Error::internal(e.to_string())) }
    };
    let history = json(example.history.is_empty(), &|| serde_json::to_string(&example.history))?;
    let tool_turns = json(example.tool_turns.is_empty(), &|| serde_json::to_string(&example.tool_turns))?;
    let values = [
        Value::Int(key),
        Value::Int(number),
        Value::Null,
        Value::Int(i64::from(example.split == Split::Val)),
        Value::Text(&example.lang),
        Value::Blob(hash),
        Value::Int(file),
        Value::Int(line),
        Value::Text(&example.instruction),
        Value::Text(&example.input),
        Value::Text(&example.output),
        Value::Text(&example.system),
        Value::Text(&history),
        Value::Text(&tool_turns),
        Value::Text(&example.tools),
    ];
    c.run("INSERT INTO dataset_rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", &values)
}

/// Ends a record: from the version `number` on it is no longer there.
pub(super) fn end(c: &Connection, key: i64, number: i64) -> Result<()> {
    c.run("UPDATE dataset_rows SET removed_in = ? WHERE id = ?", &[Value::Int(number), Value::Int(key)])
}

/// Adds a copy of the record `from` under `key`; `val` gives it another split.
fn copy(c: &Connection, from: i64, key: i64, number: i64, val: Option<i64>) -> Result<()> {
    let val = val.map_or(Value::Null, Value::Int);
    c.run(
        "INSERT INTO dataset_rows SELECT ?2, ?3, NULL, coalesce(?4, val), lang, hash, file, line, instruction, input, output,
         system, history, tool_turns, tools FROM dataset_rows WHERE id = ?1",
        &[Value::Int(from), Value::Int(key), Value::Int(number), val],
    )
}

impl Store {
    /// Changes rows of the dataset `name` and gives the version that this makes; the present one when nothing is different.
    ///
    /// # Errors
    /// `NotFound` for a row that is not there; nothing is changed then.
    pub fn change_rows(&self, name: &str, changes: &[RowChange], message: &str) -> Result<DatasetRecord> {
        self.new_version(name, message, |c, record, number| {
            for change in changes {
                let (row, new) = match change {
                    RowChange::Set(row, example) => (*row, Some(example)),
                    RowChange::Remove(row) => (*row, None),
                };
                let (key, hash, origin) = present(c, record, row)?;
                end(c, key, number)?;
                if let Some(example) = new {
                    let new_hash = example.hash();
                    insert(c, row_key::next_revision(key)?, number, example, &new_hash, origin)?;
                    if new_hash != hash {
                        search::changed(c, record.id, row)?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Gives each row of the dataset `name` its split, and the dataset a new version. Only rows that change sides cost
    /// anything.
    ///
    /// # Errors
    /// `NotFound`; `Mismatch` when the dataset does not have that many rows.
    pub fn set_splits(&self, name: &str, splits: &[Split], message: &str) -> Result<DatasetRecord> {
        self.new_version(name, message, |c, record, number| {
            if record.rows != splits.len() as u64 {
                return Err(Error::new(
                    Kind::Mismatch,
                    tr!("the dataset `{name}` changed meanwhile", "数据集 `{name}` 在此期间有变动"),
                )
                .hint(tr!("try again", "请重试")));
            }
            let (mut turned, mut at) = (Vec::new(), splits.iter());
            let sql = "SELECT id, val FROM dataset_rows WHERE id >= ? AND id < ? AND removed_in IS NULL";
            c.each(sql, &record.keys(), |row| {
                if at.next().is_some_and(|split| *split != dataset_rows::split_of(row, 1)) {
                    turned.push((row.int(0), 1 - row.int(1)));
                }
                Ok(true)
            })?;
            for (key, val) in turned {
                end(c, key, number)?;
                copy(c, key, row_key::next_revision(key)?, number, Some(val))?;
            }
            Ok(())
        })
    }

    /// Makes a new version of the dataset `name` whose rows are those of its version `word`; with `only`, for these rows.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn restore_version(
        &self,
        name: &str,
        word: &str,
        only: Option<&HashSet<u64>>,
        message: &str,
    ) -> Result<DatasetRecord> {
        self.new_version(name, message, |c, record, number| {
            let earlier = datasets::version(c, record.clone(), word)?.number as i64;
            for Way { last, now, then } in differing(c, record, earlier, only)? {
                if let Some(key) = now {
                    end(c, key, number)?;
                }
                // Its text was there before, so the index knows it.
                if let Some(key) = then {
                    copy(c, key, row_key::next_revision(last)?, number, None)?;
                }
            }
            if only.is_none() {
                let values = [Value::Int(record.id), Value::Int(number), Value::Int(earlier)];
                c.run(
                    "INSERT INTO rejects (dataset_id, file, line, reason, raw, added_in) SELECT dataset_id, file, line, reason,
                     raw, ?2 FROM rejects WHERE dataset_id = ?1 AND removed_in IS NOT NULL AND ALIVE"
                        .replace("ALIVE", ALIVE)
                        .as_str(),
                    &values,
                )?;
                c.run(
                    &format!(
                        "UPDATE rejects SET removed_in = ?2 WHERE dataset_id = ?1 AND removed_in IS NULL AND added_in < ?2 AND NOT ({ALIVE})"
                    ),
                    &values,
                )?;
            }
            Ok(())
        })
    }

    /// Runs `change` on the newest version of `name` and records what came of it as the next one, unless it is the same.
    fn new_version(
        &self,
        name: &str,
        message: &str,
        change: impl FnOnce(&Connection, &DatasetRecord, i64) -> Result<()>,
    ) -> Result<DatasetRecord> {
        let c = self.connection()?;
        c.execute("BEGIN IMMEDIATE")?;
        let old = datasets::newest_only(&c, name)?;
        let number = old.latest as i64 + 1;
        change(&c, &old, number)?;
        let sealed = Tally::of_newest(&c, &old)?.finish();
        if sealed.hash == old.version {
            return Ok(old);
        }
        sealed.write(&c, old.id, number, message, old.row_end)?;
        search::refresh(&c, old.id, old.row_end)?;
        c.execute("COMMIT")?;
        datasets::resolve(&c, &old.name)
    }
}

/// The present record of a row: its key, hash and origin.
fn present(c: &Connection, record: &DatasetRecord, row: u64) -> Result<(i64, RowHash, (i64, i64))> {
    let mut found = None;
    if row < record.row_end {
        let keys = [Value::Int(row_key::key(record.id, row)), Value::Int(row_key::key(record.id, row + 1))];
        let sql = "SELECT id, hash, file, line FROM dataset_rows WHERE id >= ? AND id < ? AND removed_in IS NULL";
        c.each(sql, &keys, |row| {
            found = Some((row.int(0), dataset_rows::hash_of(row, 1)?, (row.int(2), row.int(3))));
            Ok(true)
        })?;
    }
    found.ok_or_else(|| no_row(record, row))
}

/// The error of a row that is not there.
pub(super) fn no_row(record: &DatasetRecord, row: u64) -> Error {
    let name = &record.name;
    let last = record.row_end.saturating_sub(1);
    Error::new(Kind::NotFound, tr!("`{name}` has no row {row}", "`{name}` 没有第 {row} 行")).hint(tr!(
        "rows are numbered from 0 to {last}; deleted ones come back with data restore {name} VERSION --row {row}",
        "行号从 0 到 {last}；已删除的行可用 data restore {name} VERSION --row {row} 恢复"
    ))
}

/// A row that is not as it was: its last record, the present one, and the one of the earlier version.
#[derive(Default)]
struct Way {
    last: i64,
    now: Option<i64>,
    then: Option<i64>,
}

fn differing(c: &Connection, record: &DatasetRecord, then: i64, only: Option<&HashSet<u64>>) -> Result<Vec<Way>> {
    let [first, last] = record.keys();
    let sql = format!(
        "SELECT id, removed_in IS NULL, {ALIVE}, val, lang, hash FROM dataset_rows WHERE id >= ?1 AND id < ?2 ORDER BY id"
    );
    let mut ways: Vec<Way> = Vec::new();
    // What the present and the earlier record of the row in hand hold.
    let mut sides: [Option<(i64, String, RowHash)>; 2] = [None, None];
    let mut way = Way { last: -1, ..Way::default() };
    let mut close = |way: &mut Way, sides: &mut [Option<(i64, String, RowHash)>; 2]| {
        if sides[0] != sides[1] {
            ways.push(std::mem::take(way));
        }
        *sides = [None, None];
    };
    c.each(&sql, &[first, last, Value::Int(then)], |row| {
        let key = row.int(0);
        if only.is_some_and(|only| !only.contains(&row_key::row_of(key))) {
            return Ok(true);
        }
        if way.last >= 0 && row_key::row_of(way.last) != row_key::row_of(key) {
            close(&mut way, &mut sides);
            way = Way::default();
        }
        way.last = key;
        let content = (row.int(3), row.text(4)?.to_owned(), dataset_rows::hash_of(row, 5)?);
        if row.int(1) == 1 {
            way.now = Some(key);
            sides[0] = Some(content.clone());
        }
        if row.int(2) == 1 {
            way.then = Some(key);
            sides[1] = Some(content);
        }
        Ok(true)
    })?;
    close(&mut way, &mut sides);
    Ok(ways)
}
