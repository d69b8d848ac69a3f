//! Datasets and the words that name one: `NAME`, or `NAME@` and a version's number, tag or beginning of its hash.

use super::sqlite::{Connection, Row, Value};
use super::{Store, row_key};
use crate::error::{Error, Kind, Result};
use crate::text::nearest;
use crate::tr;
use serde::Serialize;

/// A version of a dataset, as `data list` shows the newest of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatasetRecord {
    /// Its name.
    #[serde(rename = "dataset")]
    pub name: String,
    /// Hash over its rows, their splits and languages.
    pub version: String,
    /// Number of the version, from 1.
    pub number: u64,
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
    /// Names that were given to the version.
    pub tags: Vec<String>,
    /// Where the data comes from.
    pub source: String,
    /// Its licence.
    pub licence: String,
    /// When the dataset was first imported, RFC 3339 UTC.
    pub created_at: String,
    /// When this version was made, RFC 3339 UTC.
    pub changed_at: String,
    /// The dataset's key.
    #[serde(skip)]
    pub(super) id: i64,
    /// One more than the largest row number so far.
    #[serde(skip)]
    pub(super) row_end: u64,
    /// Number of the newest version.
    #[serde(skip)]
    pub(super) latest: u64,
}

impl DatasetRecord {
    /// The words that name exactly this version, whatever becomes of the dataset.
    pub fn exact_name(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Whether this is the newest version.
    pub fn is_latest(&self) -> bool {
        self.number == self.latest
    }

    /// The keys of its rows' records: the first possible one and one more than the last.
    pub(super) fn keys(&self) -> [Value<'static>; 2] {
        [Value::Int(row_key::key(self.id, 0)), Value::Int(row_key::end(self.id))]
    }
}

/// A dataset's name must survive the command line, `mix --from A=0.7,B:0.3`, `NAME@VERSION` and a listing.
///
/// # Errors
/// `InvalidInput`.
pub fn check_dataset_name(name: &str) -> Result<()> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || "=,:/\\@".contains(c);
    // `latest` is a word for a version; the others mean something else to a file system, and an export is named so.
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let port =
        ["COM", "LPT"].iter().any(|port| stem.strip_prefix(port).is_some_and(|n| n.len() == 1 && n > "0" && n <= "9"));
    let device = port || ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str());
    if device || matches!(name, "." | ".." | "latest") {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("`{name}` cannot be a dataset's name: it means something else", "`{name}` 不能作数据集名：它另有含义"),
        )
        .hint(tr!("choose another name", "请换一个名称")));
    }
    if name.is_empty() || name.starts_with('-') || name.chars().count() > 100 || name.contains(bad) {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("`{name}` cannot be a dataset's name", "`{name}` 不能作数据集名"),
        )
        .hint(tr!(
            "use letters, digits, `-`, `_` and `.`; no blanks and none of = , : / \\ @",
            "请用文字、数字、`-`、`_`、`.`；不能有空白或 = , : / \\ @"
        )));
    }
    Ok(())
}

const RECORDS: &str =
    "SELECT d.id, d.name, d.source, d.licence, d.created_at, v.number, v.hash, v.rows, v.val, v.zh, v.en,
    v.rejected, v.row_end, v.created_at, (SELECT max(number) FROM dataset_versions WHERE dataset_id = d.id) AS latest,
    (SELECT group_concat(tag, ' ') FROM dataset_tags t WHERE t.dataset_id = d.id AND t.number = v.number)
    FROM datasets d JOIN dataset_versions v ON v.dataset_id = d.id";

/// Tags have no blanks, so one separates them.
pub(super) fn tags(list: &str) -> Vec<String> {
    list.split_whitespace().map(str::to_owned).collect()
}

fn record(row: &Row<'_>) -> Result<DatasetRecord> {
    let text = |column| row.text(column).map(str::to_owned);
    let count = |column| row.int(column) as u64;
    Ok(DatasetRecord {
        id: row.int(0),
        name: text(1)?,
        source: text(2)?,
        licence: text(3)?,
        created_at: text(4)?,
        number: count(5),
        version: text(6)?,
        rows: count(7),
        train: count(7) - count(8),
        val: count(8),
        zh: count(9),
        en: count(10),
        rejected: count(11),
        row_end: count(12),
        changed_at: text(13)?,
        latest: count(14),
        tags: tags(row.text(15)?),
    })
}

pub(super) fn records(c: &Connection, condition: &str, values: &[Value<'_>]) -> Result<Vec<DatasetRecord>> {
    let mut found = Vec::new();
    c.each(&format!("{RECORDS} WHERE {condition} ORDER BY d.name, v.number"), values, |row| {
        found.push(record(row)?);
        Ok(true)
    })?;
    Ok(found)
}

const NEWEST: &str = "v.number = latest";

/// The newest version of the dataset called exactly `name`, unless it is deleted.
pub(super) fn by_name(c: &Connection, name: &str) -> Result<Option<DatasetRecord>> {
    let condition = format!("d.name = ? AND d.deleted_at IS NULL AND {NEWEST}");
    Ok(records(c, &condition, &[Value::Text(name)])?.pop())
}

/// The version that `words` name.
pub(super) fn resolve(c: &Connection, words: &str) -> Result<DatasetRecord> {
    if let Some(record) = by_name(c, words)? {
        return Ok(record);
    }
    if let Some((name, word)) = words.rsplit_once('@')
        && let Some(newest) = by_name(c, name)?
    {
        return version(c, newest, word);
    }
    Err(not_there(c, words))
}

/// The version of a dataset that `word` names: its tag, its number, `latest`, or the beginning of its hash.
pub(super) fn version(c: &Connection, newest: DatasetRecord, word: &str) -> Result<DatasetRecord> {
    let (id, word) = (Value::Int(newest.id), word.trim());
    let tagged = "SELECT number FROM dataset_tags WHERE dataset_id = ? AND tag = ?";
    let number = match (c.number(tagged, &[id, Value::Text(word)])?, word.parse::<i64>()) {
        (Some(number), _) | (None, Ok(number)) => number,
        _ if word == "latest" => return Ok(newest),
        _ => 0,
    };
    let mut found = records(c, "d.id = ? AND v.number = ?", &[id, Value::Int(number)])?;
    // Four digits of a hash; a number of as many digits may be one too.
    if found.is_empty() && word.len() >= 4 && word.chars().all(|c| c.is_ascii_hexdigit()) {
        let prefix = word.to_ascii_lowercase();
        found = records(c, "d.id = ? AND substr(v.hash, 1, length(?2)) = ?2", &[id, Value::Text(&prefix)])?;
    }
    let name = &newest.name;
    if found.windows(2).any(|pair| pair[0].version != pair[1].version) {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("several versions of `{name}` begin with {word}", "`{name}` 有多个版本以 {word} 开头"),
        )
        .hint(tr!(
            "give more of the hash: linly-bench data history {name}",
            "请多写几位：linly-bench data history {name}"
        )));
    }
    // Rows that came back have their earlier hash; the newest version with it is as good as any.
    found.pop().ok_or_else(|| {
        let latest = newest.latest;
        Error::new(Kind::NotFound, tr!("`{name}` has no version `{word}`", "`{name}` 没有版本 `{word}`")).hint(tr!(
            "versions are numbered from 1 to {latest}; their hashes and tags: linly-bench data history {name}",
            "版本号从 1 到 {latest}；哈希与标签见：linly-bench data history {name}"
        ))
    })
}

/// The names most like `wanted`: one that it is a slip for, those that begin alike, then by name.
fn listed(wanted: &str, mut names: Vec<String>) -> String {
    const LISTED: usize = 8;
    let nearest = nearest(wanted, names.iter().map(String::as_str)).map(str::to_owned);
    let alike = |name: &String| name.chars().zip(wanted.chars()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
    names.sort_by_key(|name| (Some(name) != nearest.as_ref(), std::cmp::Reverse(alike(name))));
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    let names = names.join(", ");
    match more {
        0 => tr!("there are: {names}", "现有：{names}"),
        more => tr!(
            "there are: {names} and {more} more (linly-bench data list)",
            "现有：{names}，另有 {more} 个（linly-bench data list）"
        ),
    }
}

fn not_there(c: &Connection, words: &str) -> Error {
    let name = words.rsplit_once('@').map_or(words, |(name, _)| name);
    let deleted = "SELECT id FROM datasets WHERE name IN (?, ?) AND deleted_at IS NOT NULL";
    if matches!(c.number(deleted, &[Value::Text(words), Value::Text(name)]), Ok(Some(_))) {
        return Error::new(Kind::NotFound, tr!("the dataset `{name}` is deleted", "数据集 `{name}` 已删除"))
            .hint(tr!("bring it back: linly-bench data restore {name}", "可恢复：linly-bench data restore {name}"));
    }
    let condition = format!("d.deleted_at IS NULL AND {NEWEST}");
    let names: Vec<String> = records(c, &condition, &[]).unwrap_or_default().into_iter().map(|d| d.name).collect();
    let hint = if names.is_empty() {
        tr!(
            "import one: linly-bench data import FILE --name {name}",
            "请先导入：linly-bench data import FILE --name {name}"
        )
    } else {
        listed(name, names)
    };
    Error::new(Kind::NotFound, tr!("no dataset `{name}`", "没有数据集 `{name}`")).hint(hint)
}

impl Store {
    /// The newest version of every dataset, by name.
    pub fn datasets(&self) -> Result<Vec<DatasetRecord>> {
        records(&self.connection()?, &format!("d.deleted_at IS NULL AND {NEWEST}"), &[])
    }

    /// The datasets that were deleted and can be restored.
    pub fn deleted_datasets(&self) -> Result<Vec<DatasetRecord>> {
        records(&self.connection()?, &format!("d.deleted_at IS NOT NULL AND {NEWEST}"), &[])
    }

    /// The newest version of the dataset called exactly `name`, if there is one.
    pub fn find_dataset(&self, name: &str) -> Result<Option<DatasetRecord>> {
        by_name(&self.connection()?, name)
    }

    /// The version that `words` name: `NAME` (its newest), `NAME@3`, `NAME@tag` or `NAME@` and the beginning of its hash.
    ///
    /// # Errors
    /// `NotFound`, with the names that exist; `InvalidInput` when several hashes begin so.
    pub fn dataset(&self, words: &str) -> Result<DatasetRecord> {
        resolve(&self.connection()?, words)
    }

    /// Hides the dataset `name`; [`Store::undelete_dataset`] brings it back.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn delete_dataset(&self, name: &str) -> Result<()> {
        self.change(|c| {
            let newest = newest_only(c, name)?;
            let values = [Value::Text(&super::now()), Value::Int(newest.id)];
            c.run("UPDATE datasets SET deleted_at = ? WHERE id = ?", &values)
        })
    }

    /// Brings a deleted dataset back; `false` when it is not deleted.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn undelete_dataset(&self, name: &str) -> Result<bool> {
        self.change(|c| {
            if by_name(c, name)?.is_some() {
                return Ok(false);
            }
            let id = deleted(c, name)?.ok_or_else(|| not_there(c, name))?;
            c.run("UPDATE datasets SET deleted_at = NULL WHERE id = ?", &[Value::Int(id)])?;
            Ok(true)
        })
    }

    /// Removes every version of the dataset `name`, deleted or not, and gives the disk its space back.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` when a training rests on one of its versions and `force` is not set.
    pub fn purge_dataset(&self, name: &str, force: bool) -> Result<()> {
        self.change(|c| {
            let id = match by_name(c, name)? {
                Some(record) => Some(record.id),
                None => deleted(c, name)?,
            };
            let id = id.ok_or_else(|| not_there(c, name))?;
            if !force {
                refuse_while_used(c, id, name)?;
            }
            erase(c, id)
        })?;
        // Without room for a copy of the file its space is used again later, by what is written next.
        let _ = self.connection()?.execute("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
        Ok(())
    }
}

/// The newest version of `name`; words that name another version are refused, because only the newest is changed.
pub(super) fn newest_only(c: &Connection, name: &str) -> Result<DatasetRecord> {
    let record = resolve(c, name)?;
    if record.is_latest() {
        return Ok(record);
    }
    let (name, number) = (&record.name, record.number);
    Err(Error::new(
        Kind::InvalidInput,
        tr!("version {number} of `{name}` cannot be changed", "`{name}` 的版本 {number} 不能改动"),
    )
    .hint(tr!(
        "make it the newest first: linly-bench data restore {name} {number}",
        "请先恢复为最新版本：linly-bench data restore {name} {number}"
    )))
}

/// The id of the deleted dataset `name`.
pub(super) fn deleted(c: &Connection, name: &str) -> Result<Option<i64>> {
    c.number("SELECT id FROM datasets WHERE name = ? AND deleted_at IS NOT NULL", &[Value::Text(name)])
}

fn refuse_while_used(c: &Connection, id: i64, name: &str) -> Result<()> {
    let mut runs = Vec::new();
    // A pre-training may rest on several datasets: names and versions then stand in lists with commas.
    let used = "SELECT id FROM runs r WHERE kind = 'train' AND instr(',' || dataset || ',', ',' || ?2 || ',') > 0
        AND EXISTS (SELECT 1 FROM dataset_versions v WHERE v.dataset_id = ?1
            AND instr(',' || r.dataset_version || ',', ',' || v.hash || ',') > 0) ORDER BY started_at DESC";
    c.each(used, &[Value::Int(id), Value::Text(name)], |row| {
        runs.push(row.text(0)?.to_owned());
        Ok(true)
    })?;
    if runs.is_empty() {
        return Ok(());
    }
    let (count, first) = (runs.len(), runs.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", "));
    Err(Error::new(
        Kind::InvalidInput,
        tr!("{count} trainings rest on rows of `{name}` ({first})", "{count} 次训练用到 `{name}` 的数据（{first}）"),
    )
    .hint(tr!(
        "without them nobody can tell what was learnt; --force removes them all the same, and without --purge the dataset is only hidden",
        "删除后将无法得知学了什么；--force 仍会删除；不加 --purge 则只是隐藏"
    )))
}

/// Removes a dataset with all that belongs to it.
fn erase(c: &Connection, id: i64) -> Result<()> {
    let keys = [Value::Int(row_key::key(id, 0)), Value::Int(row_key::end(id))];
    c.run("DELETE FROM dataset_rows WHERE id >= ? AND id < ?", &keys)?;
    super::search::forget(c, id)?;
    c.run("DELETE FROM datasets WHERE id = ?", &[Value::Int(id)])
}
