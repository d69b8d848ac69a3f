//! Rows that come one by one, not from an import: written by hand, taken from an arena, accepted from drafts.

use super::super::Workbench;
use super::edit::{FIELDS, check_texts, with_fields};
use crate::data::{Example, Row, RowHash, detect_language};
use crate::error::{Error, Kind, Result};
use crate::store::{DatasetRecord, Existing, check_dataset_name};
use crate::tr;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Where rows written by hand come from, as `data show` has it.
const BY_HAND: &str = "by hand";

/// A row that is to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRow {
    /// The row.
    pub example: Example,
    /// Where it comes from: the name that is recorded as its file.
    pub file: String,
    /// Its number there, recorded as its line.
    pub line: u64,
}

/// A given row whose texts were there already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    /// Its place among the given rows, from 1.
    pub given: u64,
    /// The row of the dataset with the same texts; it may be one that was given earlier.
    pub row: u64,
}

/// What adding rows did.
#[derive(Clone, Debug, Serialize)]
pub struct Added {
    /// The dataset.
    pub dataset: String,
    /// Its version now.
    pub version: String,
    /// Number of the version.
    pub number: u64,
    /// All rows now.
    pub rows: u64,
    /// Numbers of the new rows.
    pub added: Vec<u64>,
    /// Given rows that were there already.
    pub duplicates: Vec<Duplicate>,
    /// Whether nothing was added, so that there is no new version.
    pub unchanged: bool,
}

/// The fields of a row that nobody has written yet, as an editor shows them.
pub fn blank_row() -> Map<String, Value> {
    ["instruction", "input", "output", "system"].map(|field| (field.to_owned(), Value::from(""))).into_iter().collect()
}

/// Reads JSON lines of rows: `{"instruction": "…", "output": "…"}`. `file` is named in messages and recorded with the rows.
///
/// # Errors
/// `InvalidInput` with the line.
pub fn parse_new_rows(text: &str, file: &str) -> Result<Vec<NewRow>> {
    let mut rows = Vec::new();
    for (line, number) in text.lines().zip(1u64..).filter(|(line, _)| !line.trim().is_empty()) {
        let bad = |why: String| {
            Error::new(Kind::InvalidInput, format!("{file}:{number}: {why}")).hint(tr!(
                "each line: {{\"instruction\": \"question\", \"output\": \"answer\"}}; fields: {}; nothing was added",
                "每行形如 {{\"instruction\": \"问题\", \"output\": \"回答\"}}；字段：{}；没有添加任何内容",
                FIELDS.join(", ")
            ))
        };
        let fields: Map<String, Value> = serde_json::from_str(line).map_err(|e| bad(e.to_string()))?;
        let mut row = new_row(&fields).map_err(|e| bad(e.message))?;
        (row.file, row.line) = (file.to_owned(), number);
        rows.push(row);
    }
    Ok(rows)
}

/// A row with `fields`, written by hand; its language is that of its texts unless a field says so.
///
/// # Errors
/// `InvalidInput` for a field or value that a row cannot have, and without a question or an answer.
pub fn new_row(fields: &Map<String, Value>) -> Result<NewRow> {
    let place = tr!("the new row", "新行");
    // A language has to stand there; the texts decide below.
    let base = Example { lang: "en".to_owned(), ..Example::default() };
    let mut example = with_fields(base, fields, &place)?;
    check_texts(&example, &place).map_err(|e| {
        e.hint(tr!("give both: --set instruction=… --set output=…", "请同时给出：--set instruction=… --set output=…"))
    })?;
    if !fields.contains_key("lang") {
        example.lang = language_of(&example);
    }
    Ok(NewRow { example, file: BY_HAND.to_owned(), line: 1 })
}

/// The language of a row by its texts.
pub(super) fn language_of(example: &Example) -> String {
    detect_language(&[&example.instruction, &example.input, &example.output]).to_owned()
}

/// Puts `rows` behind those of the dataset `name`, as one version; makes the dataset if there is none. A row whose texts
/// are there already is left out and told. `source` is recorded with a dataset that is made.
///
/// # Errors
/// `InvalidInput` for a name that a dataset cannot have, for words that name another version than the newest, and
/// without a row; `NoSpace`.
pub fn add_rows(bench: &Workbench, name: &str, rows: Vec<NewRow>, message: &str, source: &str) -> Result<Added> {
    if bench.store.find_dataset(name)?.is_none() {
        check_dataset_name(name)?;
    }
    if rows.is_empty() {
        return Err(Error::new(Kind::InvalidInput, tr!("there is no row to add", "没有要添加的行")));
    }
    let hashes: Vec<RowHash> = rows.iter().map(|row| row.example.hash()).collect();
    let given: HashSet<&RowHash> = hashes.iter().collect();
    let mut there = HashSet::new();
    let mut on_old = |hash: &RowHash| {
        if given.contains(hash) {
            there.insert(*hash);
        }
    };
    let mut writer = bench.store.write_dataset(name, source, "", message, Existing::Append, &mut on_old)?;
    let mut added: HashMap<RowHash, u64> = HashMap::new();
    let mut known: Vec<(u64, RowHash)> = Vec::new();
    for ((NewRow { example, file, line }, hash), place) in rows.into_iter().zip(hashes).zip(1u64..) {
        if there.contains(&hash) || added.contains_key(&hash) {
            known.push((place, hash));
            continue;
        }
        added.insert(hash, writer.next_row());
        writer.row(Row { example, hash, file: Arc::from(file), line })?;
    }
    // Without a new row the writer is dropped: nothing of it stays.
    let unchanged = added.is_empty();
    if !unchanged {
        writer.finish()?;
    } else {
        drop(writer);
    }
    let numbers = bench.store.rows_with(name, &there)?;
    let row_of = |hash: &RowHash| added.get(hash).or_else(|| numbers.get(hash)).copied();
    let duplicates = known.iter().filter_map(|(given, hash)| Some(Duplicate { given: *given, row: row_of(hash)? }));
    let duplicates = duplicates.collect();
    let mut numbers: Vec<u64> = added.values().copied().collect();
    numbers.sort_unstable();
    let DatasetRecord { name, version, number, rows, .. } = bench.store.dataset(name)?;
    Ok(Added { dataset: name, version, number, rows, added: numbers, duplicates, unchanged })
}

/// What the history says of rows written by hand.
pub fn by_hand(count: usize) -> String {
    match count {
        1 => tr!("add 1 row by hand", "手工添加 1 行"),
        _ => tr!("add {count} rows by hand", "手工添加 {count} 行"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_row_of_known_fields() {
        let rows = parse_new_rows(
            "\n{\"instruction\": \"什么是基金？\", \"output\": \"一种集合投资。\"}\n\n{\"instruction\": \"q\", \"output\": \"a\", \"split\": \"val\", \"lang\": \"zh\"}",
            "f",
        )
        .unwrap();
        assert_eq!((rows.len(), rows[0].line, rows[0].example.lang.as_str()), (2, 2, "zh"));
        assert_eq!((rows[1].example.lang.as_str(), rows[1].file.as_str()), ("zh", "f"));
        for bad in [
            "x",
            "[]",
            "{}",
            "{\"instruction\": \"q\"}",
            "{\"instruction\": \"q\", \"answer\": \"a\"}",
            "{\"instruction\": 1, \"output\": \"a\"}",
        ] {
            let error = parse_new_rows(&format!("\n{bad}"), "f").unwrap_err();
            assert!(error.message.starts_with("f:2: "), "{}", error.message);
        }
    }
}
