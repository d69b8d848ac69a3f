//! The history of a dataset: its versions, their names, and what lies between two of them.

use super::dataset_rows::{self, COLUMNS, StoredRow};
use super::datasets::{self, DatasetRecord};
use super::sqlite::{Connection, Value};
use super::{Store, now, row_key};
use crate::data::{RowHash, Split, Version};
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// A version as `data history` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionRecord {
    /// Its number, from 1.
    pub number: u64,
    /// Hash over its rows, their splits and languages.
    pub version: String,
    /// What made it.
    pub message: String,
    /// When, RFC 3339 UTC.
    pub created_at: String,
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
    /// Names that were given to it.
    pub tags: Vec<String>,
}

/// What a version adds up to.
#[derive(Default)]
pub(super) struct Tally {
    version: Version,
    rows: i64,
    val: i64,
    zh: i64,
    en: i64,
}

impl Tally {
    /// Takes the next row.
    pub fn add(&mut self, hash: &RowHash, split: Split, lang: &str) {
        self.version.add(hash, split, lang);
        self.rows += 1;
        self.val += i64::from(split == Split::Val);
        self.zh += i64::from(lang == "zh");
        self.en += i64::from(lang == "en");
    }

    /// Takes the rows that are in the newest state of the dataset.
    pub fn of_newest(c: &Connection, record: &DatasetRecord) -> Result<Tally> {
        let mut tally = Tally::default();
        let sql = "SELECT id, hash, val, lang FROM dataset_rows WHERE id >= ? AND id < ? AND removed_in IS NULL";
        c.each(sql, &record.keys(), |row| {
            tally.add(&dataset_rows::hash_of(row, 1)?, dataset_rows::split_of(row, 2), row.text(3)?);
            Ok(true)
        })?;
        Ok(tally)
    }

    /// What is recorded of it.
    pub fn finish(self) -> Sealed {
        let Tally { version, rows, val, zh, en } = self;
        Sealed { hash: version.finish(), counts: [rows, val, zh, en] }
    }
}

/// A version that is to be recorded.
pub(super) struct Sealed {
    /// Its hash.
    pub hash: String,
    /// Rows; of them held out, Chinese, English.
    counts: [i64; 4],
}

impl Sealed {
    /// Records it as the version `number` of `dataset`; `row_end` is one more than the largest row number so far.
    pub fn write(&self, c: &Connection, dataset: i64, number: i64, message: &str, row_end: u64) -> Result<()> {
        let now = now();
        let head = [
            Value::Int(dataset),
            Value::Int(number),
            Value::Text(&self.hash),
            Value::Text(message),
            Value::Text(&now),
            Value::Int(row_end as i64),
        ];
        c.run(
            "INSERT INTO dataset_versions SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, count(*) FROM rejects
             WHERE dataset_id = ?1 AND removed_in IS NULL",
            &[&head[..], &self.counts.map(Value::Int)].concat(),
        )
    }
}

/// How one row differs between two versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowDiff {
    /// Only in the second.
    Added(StoredRow),
    /// Only in the first.
    Removed(StoredRow),
    /// In both, with another text, split or language.
    Changed(Box<StoredRow>, Box<StoredRow>),
}

/// What differs between two versions, before any text is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiffRow {
    /// Keys of the records in the first and the second version.
    keys: (Option<i64>, Option<i64>),
}

impl DiffRow {
    /// Whether the row is only in the second version.
    pub fn is_added(&self) -> bool {
        self.keys.0.is_none()
    }

    /// Whether the row is only in the first version.
    pub fn is_removed(&self) -> bool {
        self.keys.1.is_none()
    }
}

impl Store {
    /// All versions of the dataset `name`, the oldest first.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn history(&self, name: &str) -> Result<Vec<VersionRecord>> {
        let c = self.connection()?;
        let id = datasets::resolve(&c, name)?.id;
        let mut versions = Vec::new();
        let sql = "SELECT number, hash, message, created_at, rows, val, zh, en, rejected,
            (SELECT group_concat(tag, ' ') FROM dataset_tags t WHERE t.dataset_id = v.dataset_id AND t.number = v.number)
            FROM dataset_versions v WHERE dataset_id = ? ORDER BY number";
        c.each(sql, &[Value::Int(id)], |row| {
            let count = |column| row.int(column) as u64;
            versions.push(VersionRecord {
                number: count(0),
                version: row.text(1)?.to_owned(),
                message: row.text(2)?.to_owned(),
                created_at: row.text(3)?.to_owned(),
                rows: count(4),
                train: count(4) - count(5),
                val: count(5),
                zh: count(6),
                en: count(7),
                rejected: count(8),
                tags: datasets::tags(row.text(9)?),
            });
            Ok(true)
        })?;
        Ok(versions)
    }

    /// Where the rows of the version `hash` are too, under another name than `name`: the dataset and the version's number.
    ///
    /// # Errors
    /// I/O.
    pub fn same_rows_elsewhere(&self, name: &str, hash: &str) -> Result<Option<(String, u64)>> {
        let c = self.connection()?;
        let mut found = None;
        let sql = "SELECT d.name, max(v.number) FROM dataset_versions v JOIN datasets d ON d.id = v.dataset_id
            WHERE v.hash = ? AND d.name <> ? AND d.deleted_at IS NULL GROUP BY d.id ORDER BY d.name LIMIT 1";
        c.each(sql, &[Value::Text(hash), Value::Text(name)], |row| {
            found = Some((row.text(0)?.to_owned(), row.int(1) as u64));
            Ok(false)
        })?;
        Ok(found)
    }

    /// Gives the version that `words` name the name `tag`; a version that had it before loses it.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a tag that could be taken for a number or a hash.
    pub fn tag_dataset(&self, words: &str, tag: &str) -> Result<DatasetRecord> {
        let bad = |c: char| c.is_control() || c.is_whitespace() || "=,:/\\@".contains(c);
        let like_hash = tag.len() >= 4 && tag.chars().all(|c| c.is_ascii_hexdigit());
        let like_number = tag.chars().all(|c| c.is_ascii_digit());
        if tag.starts_with('-') || tag == "latest" || like_hash || like_number || tag.len() > 100 || tag.contains(bad) {
            return Err(Error::new(Kind::InvalidInput, tr!("`{tag}` cannot be a tag", "`{tag}` 不能作标签")).hint(
                tr!(
                    "use a word such as `cleaned`; a number or the digits of a hash would name another version",
                    "请用 `cleaned` 这样的词；数字或哈希样的字串会指向别的版本"
                ),
            ));
        }
        self.change(|c| {
            let record = datasets::resolve(c, words)?;
            let values = [Value::Int(record.id), Value::Text(tag), Value::Int(record.number as i64)];
            c.run("INSERT OR REPLACE INTO dataset_tags VALUES (?, ?, ?)", &values)?;
            datasets::resolve(c, &format!("{}@{tag}", record.name))
        })
    }

    /// Takes the name `tag` from whichever version of the dataset `name` has it.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn untag_dataset(&self, name: &str, tag: &str) -> Result<DatasetRecord> {
        self.change(|c| {
            let record = datasets::version(c, datasets::resolve(c, name)?, tag)?;
            if !record.tags.iter().any(|t| t == tag) {
                return Err(Error::new(
                    Kind::NotFound,
                    tr!("`{name}` has no tag `{tag}`", "`{name}` 没有标签 `{tag}`"),
                ));
            }
            let values = [Value::Int(record.id), Value::Text(tag)];
            c.run("DELETE FROM dataset_tags WHERE dataset_id = ? AND tag = ?", &values)?;
            Ok(record)
        })
    }

    /// The rows that differ between two versions of one dataset, by row number, and how many rows only moved. Texts are
    /// read by [`Store::diff_texts`].
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for versions of two datasets.
    pub fn diff(&self, from: &str, to: &str) -> Result<(DatasetRecord, DatasetRecord, Vec<DiffRow>, u64)> {
        let c = self.connection()?;
        let (a, b) = (datasets::resolve(&c, from)?, datasets::resolve(&c, to)?);
        if a.id != b.id {
            return Err(Error::new(
                Kind::InvalidInput,
                tr!("`{from}` and `{to}` are different datasets", "`{from}` 与 `{to}` 不是同一数据集"),
            )
            .hint(tr!(
                "compare two versions of one: data diff NAME 1 2",
                "请比较同一数据集的两个版本：data diff 名称 1 2"
            )));
        }
        let [first, end] = a.keys();
        let alive = |at: &str| format!("(added_in <= {at} AND (removed_in IS NULL OR removed_in > {at}))");
        let (in_a, in_b) = (alive("?3"), alive("?4"));
        let sql = format!(
            "SELECT id, {in_a}, hash, val, lang FROM dataset_rows WHERE id >= ?1 AND id < ?2 AND {in_a} <> {in_b}"
        );
        let values = [first, end, Value::Int(a.number as i64), Value::Int(b.number as i64)];
        let mut rows: BTreeMap<u64, Sides> = BTreeMap::new();
        c.each(&sql, &values, |row| {
            let content = (dataset_rows::hash_of(row, 2)?, row.int(3) == 1, row.text(4)?.to_owned());
            let side = usize::from(row.int(1) == 0);
            if let Some(place) = rows.entry(row_key::row_of(row.int(0))).or_default().get_mut(side) {
                *place = Some((row.int(0), content));
            }
            Ok(true)
        })?;
        // A row that was changed and changed back has another record and is the same.
        rows.retain(|_, [a, b]| a.as_ref().map(|(_, content)| content) != b.as_ref().map(|(_, content)| content));
        let moved = take_moved(&mut rows);
        let key = |record: Option<(i64, Content)>| record.map(|(key, _)| key);
        let differing = rows.into_values().filter(|sides| *sides != [None, None]);
        Ok((a, b, differing.map(|[a, b]| DiffRow { keys: (key(a), key(b)) }).collect(), moved))
    }

    /// The texts of rows that differ.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn diff_texts(&self, of: &DatasetRecord, rows: &[DiffRow]) -> Result<Vec<RowDiff>> {
        let c = self.connection()?;
        let files = dataset_rows::files(&c, of.id)?;
        let sql = format!("SELECT {COLUMNS} FROM dataset_rows WHERE id = ?");
        let read = |key: i64| {
            let mut found = None;
            c.each(&sql, &[Value::Int(key)], |row| {
                found = Some(dataset_rows::stored_row(row, &files)?);
                Ok(false)
            })?;
            found.ok_or_else(|| Error::internal("a row vanished"))
        };
        rows.iter()
            .map(|row| match row.keys {
                (Some(a), Some(b)) => Ok(RowDiff::Changed(read(a)?.into(), read(b)?.into())),
                (Some(a), None) => Ok(RowDiff::Removed(read(a)?)),
                (None, Some(b)) => Ok(RowDiff::Added(read(b)?)),
                (None, None) => Err(Error::internal("a difference without rows")),
            })
            .collect()
    }
}

/// What a row is: hash of its texts, whether it is held out, its language.
type Content = (RowHash, bool, String);

/// A row's record in the first and in the second version: key and content.
type Sides = [Option<(i64, Content)>; 2];

/// Takes out the rows that stand at another number in the other version, and counts them.
fn take_moved(rows: &mut BTreeMap<u64, Sides>) -> u64 {
    let mut places: HashMap<Content, Vec<u64>> = HashMap::new();
    for (row, [_, b]) in rows.iter().rev() {
        if let Some((_, content)) = b {
            places.entry(content.clone()).or_default().push(*row);
        }
    }
    let place = |(row, [a, _]): (&u64, &Sides)| Some((*row, places.get_mut(&a.as_ref()?.1)?.pop()?));
    let moved: Vec<(u64, u64)> = rows.iter().filter_map(place).collect();
    for (from, to) in &moved {
        if let Some([a, _]) = rows.get_mut(from) {
            *a = None;
        }
        if let Some([_, b]) = rows.get_mut(to) {
            *b = None;
        }
    }
    moved.len() as u64
}
