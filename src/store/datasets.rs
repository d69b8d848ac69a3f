//! Datasets: their rows, and the records that were refused when they were imported.

use super::Store;
use crate::data::{Example, Reject, RowHash, Split, Version, parse_hash};
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _};

/// A dataset as `data list` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatasetRecord {
    /// Its name.
    #[serde(rename = "dataset")]
    pub name: String,
    /// Hash over its rows, their splits and languages.
    pub version: String,
    /// All rows.
    pub rows: u64,
    /// Rows that are trained on.
    pub train: u64,
    /// Rows that are held out.
    pub val: u64,
    /// Chinese rows.
    pub zh: u64,
    /// English rows.
    pub en: u64,
    /// Records that were refused.
    pub rejected: u64,
    /// Where the data comes from.
    pub source: String,
    /// Its licence.
    pub licence: String,
    /// When it was imported, RFC 3339 UTC.
    pub created_at: String,
}

/// A row as the database holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredRow {
    /// Its number in the dataset, from 0.
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
#[derive(Clone, Debug, Default)]
pub struct RowQuery<'q> {
    /// Only this split.
    pub split: Option<Split>,
    /// Only rows with this text in one of their fields; case counts for letters outside ASCII only.
    pub search: &'q str,
    /// Leave out this many.
    pub offset: u64,
    /// At most this many.
    pub limit: Option<u64>,
}

const MATCHES: &str = "dataset_id = ?1 AND (?2 IS NULL OR split = ?2) AND (?3 = ''
    OR instr(lower(instruction), lower(?3)) OR instr(lower(input), lower(?3)) OR instr(lower(output), lower(?3))
    OR instr(lower(system), lower(?3)) OR instr(lower(history), lower(?3)))";

const RECORDS: &str = "SELECT d.*, count(e.row) AS rows, coalesce(sum(e.split = 'train'), 0) AS train,
    coalesce(sum(e.lang = 'zh'), 0) AS zh, coalesce(sum(e.lang = 'en'), 0) AS en,
    (SELECT count(*) FROM rejects r WHERE r.dataset_id = d.id) AS rejected
    FROM datasets d LEFT JOIN examples e ON e.dataset_id = d.id WHERE ?1 IS NULL OR d.name = ?1 GROUP BY d.id ORDER BY d.name";

pub(super) const MARKS: &str = "SELECT row, hash, split, lang FROM examples WHERE dataset_id = ? ORDER BY row";

/// What a row adds to its dataset's version.
pub(super) struct Mark {
    pub row: u64,
    pub hash: RowHash,
    pub split: Split,
    pub lang: String,
}

pub(super) fn mark(row: &SqliteRow) -> Result<Mark> {
    let number = row.get::<i64, _>("row");
    let hash = parse_hash(row.get("hash")).ok_or_else(|| damaged(number, "hash"))?;
    Ok(Mark { row: number as u64, hash, split: split_of(row), lang: row.get("lang") })
}

fn split_of(row: &SqliteRow) -> Split {
    if row.get::<&str, _>("split") == "val" { Split::Val } else { Split::Train }
}

fn damaged(row: i64, column: &str) -> Error {
    Error::new(Kind::Corrupt, tr!("row {row}: its {column} cannot be read", "第 {row} 行的 {column} 无法读取"))
        .hint(tr!("import the dataset again with --replace", "请用 --replace 重新导入该数据集"))
}

impl Store {
    /// All datasets by name.
    pub fn datasets(&self) -> Result<Vec<DatasetRecord>> {
        let rows = self.wait(sqlx::query(RECORDS).bind(None::<&str>).fetch_all(&self.pool))?;
        Ok(rows.iter().map(dataset_record).collect())
    }

    /// The dataset called `name`, if there is one.
    pub fn find_dataset(&self, name: &str) -> Result<Option<DatasetRecord>> {
        let row = self.wait(sqlx::query(RECORDS).bind(name).fetch_optional(&self.pool))?;
        Ok(row.as_ref().map(dataset_record))
    }

    /// The dataset called `name`.
    ///
    /// # Errors
    /// `NotFound`, with the names that exist.
    pub fn dataset(&self, name: &str) -> Result<DatasetRecord> {
        match self.find_dataset(name)? {
            Some(record) => Ok(record),
            None => Err(self.no_dataset(name)),
        }
    }

    fn no_dataset(&self, name: &str) -> Error {
        let names: Vec<String> = self.datasets().unwrap_or_default().into_iter().map(|d| d.name).collect();
        let hint = if names.is_empty() {
            tr!(
                "import one: linly-bench data import FILE --name {name}",
                "请先导入：linly-bench data import FILE --name {name}"
            )
        } else {
            tr!("there are: {}", "现有：{}", names.join(", "))
        };
        Error::new(Kind::NotFound, tr!("no dataset `{name}`", "没有数据集 `{name}`")).hint(hint)
    }

    fn dataset_id(&self, name: &str) -> Result<i64> {
        let row =
            self.wait(sqlx::query("SELECT id FROM datasets WHERE name = ?").bind(name).fetch_optional(&self.pool))?;
        row.map(|row| row.get("id")).ok_or_else(|| self.no_dataset(name))
    }

    /// Rows of the dataset `name`, in the order of import.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn rows(&self, name: &str, query: &RowQuery<'_>) -> Result<Vec<StoredRow>> {
        let id = self.dataset_id(name)?;
        let sql = format!("SELECT * FROM examples WHERE {MATCHES} ORDER BY row LIMIT ?4 OFFSET ?5");
        let rows = self.wait(
            sqlx::query(AssertSqlSafe(sql))
                .bind(id)
                .bind(query.split.map(Split::as_str))
                .bind(query.search)
                .bind(query.limit.map_or(-1, |n| i64::try_from(n).unwrap_or(i64::MAX)))
                .bind(i64::try_from(query.offset).unwrap_or(i64::MAX))
                .fetch_all(&self.pool),
        )?;
        rows.iter().map(stored_row).collect()
    }

    /// How many rows of the dataset `name` match, whatever the limit.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn count_rows(&self, name: &str, query: &RowQuery<'_>) -> Result<u64> {
        let id = self.dataset_id(name)?;
        let sql = format!("SELECT count(*) AS n FROM examples WHERE {MATCHES}");
        let row = self.wait(
            sqlx::query(AssertSqlSafe(sql))
                .bind(id)
                .bind(query.split.map(Split::as_str))
                .bind(query.search)
                .fetch_one(&self.pool),
        )?;
        Ok(row.get::<i64, _>("n") as u64)
    }

    /// The records that were refused when the dataset `name` was imported.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn rejects(&self, name: &str) -> Result<Vec<Reject>> {
        let id = self.dataset_id(name)?;
        let rows = self.wait(
            sqlx::query("SELECT file, line, reason FROM rejects WHERE dataset_id = ? ORDER BY rowid")
                .bind(id)
                .fetch_all(&self.pool),
        )?;
        let reject = |row: &SqliteRow| Reject {
            file: row.get("file"),
            line: row.get::<i64, _>("line") as u64,
            reason: row.get("reason"),
            raw: String::new(),
        };
        Ok(rows.iter().map(reject).collect())
    }

    /// Forgets the dataset `name`, its rows and its rejects.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn delete_dataset(&self, name: &str) -> Result<()> {
        let id = self.dataset_id(name)?;
        self.wait(sqlx::query("DELETE FROM datasets WHERE id = ?").bind(id).execute(&self.pool))?;
        Ok(())
    }

    /// The hash of each row of the dataset `name`, in order.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn row_hashes(&self, name: &str) -> Result<Vec<RowHash>> {
        let id = self.dataset_id(name)?;
        let rows = self.wait(sqlx::query(MARKS).bind(id).fetch_all(&self.pool))?;
        rows.iter().map(|row| Ok(mark(row)?.hash)).collect()
    }

    /// Gives each row of the dataset `name` its split, and the dataset its new version.
    ///
    /// # Errors
    /// `NotFound`; `Mismatch` when the dataset does not have that many rows.
    pub fn set_splits(&self, name: &str, splits: &[Split]) -> Result<String> {
        let id = self.dataset_id(name)?;
        let rows = self.wait(sqlx::query(MARKS).bind(id).fetch_all(&self.pool))?;
        if rows.len() != splits.len() {
            return Err(Error::new(
                Kind::Mismatch,
                tr!("the dataset `{name}` changed meanwhile", "数据集 `{name}` 在此期间有变动"),
            )
            .hint(tr!("try again", "请重试")));
        }
        let mut version = Version::default();
        let mut held = Vec::new();
        for (row, split) in rows.iter().zip(splits) {
            let mark = mark(row)?;
            version.add(&mark.hash, *split, &mark.lang);
            if *split == Split::Val {
                held.push(mark.row);
            }
        }
        let version = version.finish();
        let held = serde_json::to_string(&held).map_err(|e| Error::internal(e.to_string()))?;
        self.wait(async {
            let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
            // Only rows that change sides are written: a row holds its texts, so writing it costs.
            sqlx::query(
                "UPDATE examples SET split = iif(split = 'val', 'train', 'val') WHERE dataset_id = ?1
                 AND (split = 'val') <> (row IN (SELECT value FROM json_each(?2)))",
            )
            .bind(id)
            .bind(held)
            .execute(&mut *transaction)
            .await?;
            sqlx::query("UPDATE datasets SET version = ? WHERE id = ?")
                .bind(&version)
                .bind(id)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await
        })?;
        Ok(version)
    }
}

fn dataset_record(row: &SqliteRow) -> DatasetRecord {
    let count = |column: &str| row.get::<i64, _>(column) as u64;
    let (rows, train) = (count("rows"), count("train"));
    DatasetRecord {
        name: row.get("name"),
        version: row.get("version"),
        rows,
        train,
        val: rows - train,
        zh: count("zh"),
        en: count("en"),
        rejected: count("rejected"),
        source: row.get("source"),
        licence: row.get("licence"),
        created_at: row.get("created_at"),
    }
}

fn stored_row(row: &SqliteRow) -> Result<StoredRow> {
    let number: i64 = row.get("row");
    let history: String = row.get("history");
    let history = serde_json::from_str(&history).map_err(|_| damaged(number, "history"))?;
    let tool_turns: String = row.get("tool_turns");
    let tool_turns = serde_json::from_str(&tool_turns).map_err(|_| damaged(number, "tool_turns"))?;
    Ok(StoredRow {
        row: number as u64,
        example: Example {
            instruction: row.get("instruction"),
            input: row.get("input"),
            output: row.get("output"),
            system: row.get("system"),
            history,
            tool_turns,
            lang: row.get("lang"),
            split: split_of(row),
        },
        file: row.get("file"),
        line: row.get::<i64, _>("line") as u64,
        hash: row.get("hash"),
    })
}
