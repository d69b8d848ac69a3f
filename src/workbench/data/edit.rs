//! Changing rows by hand or by a file.

use super::super::Workbench;
use crate::data::{Example, Split};
use crate::error::{Error, Kind, Result};
use crate::store::{DatasetRecord, RowChange, StoredRow};
use crate::tr;
use serde_json::{Map, Value};

/// New values for some fields of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The row's number.
    pub row: u64,
    /// Field → value.
    pub fields: Map<String, Value>,
}

/// Fields that can be set.
pub const FIELDS: [&str; 9] =
    ["instruction", "input", "output", "system", "tools", "history", "tool_turns", "lang", "split"];

/// Reads `FIELD=VALUE`. A history is a JSON list of [question, answer]; every other value is taken as it stands.
///
/// # Errors
/// `InvalidInput`.
pub fn parse_set(text: &str) -> Result<(String, Value)> {
    let Some((field, value)) = text.split_once('=').map(|(field, value)| (field.trim(), value)) else {
        return Err(Error::new(Kind::InvalidInput, tr!("`{text}` is not FIELD=VALUE", "`{text}` 不是 字段=值 的形式"))
            .hint(tr!("for example --set output=42", "例如 --set output=42")));
    };
    check_field(field)?;
    let value = match field {
        "history" | "tool_turns" => serde_json::from_str(value).map_err(|e| no_list(field, &e.to_string()))?,
        _ => Value::from(value),
    };
    Ok((field.to_owned(), value))
}

fn check_field(field: &str) -> Result<()> {
    if FIELDS.contains(&field) {
        return Ok(());
    }
    Err(Error::new(Kind::InvalidInput, tr!("a row has no field `{field}`", "数据行没有字段 `{field}`")).hint(tr!(
        "fields: {}",
        "字段：{}",
        FIELDS.join(", ")
    )))
}

fn no_list(field: &str, why: &str) -> Error {
    Error::new(Kind::InvalidInput, tr!("`{field}`: {why}", "`{field}`：{why}")).hint(tr!(
        "history: [[\"question\", \"answer\"], …]; tool_turns: [0, …]",
        "history：[[\"问题\", \"回答\"], …]；tool_turns：[0, …]"
    ))
}

/// Reads JSON lines `{"row": 3, "output": "…"}`: the fields that a line names are set, the others stay. `file` is named in messages.
///
/// # Errors
/// `InvalidInput` with the line.
pub fn parse_edits(text: &str, file: &str) -> Result<Vec<Edit>> {
    let mut edits = Vec::new();
    for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
        let bad = |why: String| {
            Error::new(Kind::InvalidInput, format!("{file}:{number}: {why}")).hint(tr!(
                "each line: {{\"row\": 3, \"output\": \"new text\"}}; nothing was changed",
                "每行形如 {{\"row\": 3, \"output\": \"新文本\"}}；没有改动任何内容"
            ))
        };
        let mut fields: Map<String, Value> = serde_json::from_str(line).map_err(|e| bad(e.to_string()))?;
        let row = fields.remove("row").and_then(|row| row.as_u64());
        let row = row.ok_or_else(|| bad(tr!("no `row` with a number", "没有数字字段 `row`")))?;
        // What `data show --json` prints beside the fields.
        for known in ["file", "line", "hash"] {
            fields.remove(known);
        }
        for field in fields.keys() {
            check_field(field).map_err(|e| bad(e.message))?;
        }
        edits.push(Edit { row, fields });
    }
    Ok(edits)
}

/// Reads row numbers: `3`, `3,7` and `10-12`.
///
/// # Errors
/// `InvalidInput`.
pub fn parse_rows(texts: &[String]) -> Result<Vec<u64>> {
    let mut rows = Vec::new();
    for part in texts.iter().flat_map(|text| text.split(',')) {
        let ends = part.split_once('-').unwrap_or((part, part));
        match (ends.0.trim().parse::<u64>(), ends.1.trim().parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last && last - first < 10_000_000 => rows.extend(first..=last),
            _ => {
                return Err(Error::new(Kind::InvalidInput, tr!("`{part}` names no rows", "`{part}` 不是行号"))
                    .hint(tr!("for example --row 3 or --row 3,7,10-12", "例如 --row 3 或 --row 3,7,10-12")));
            }
        }
    }
    rows.sort_unstable();
    rows.dedup();
    Ok(rows)
}

/// The fields of a row as an editor shows them.
pub fn editable(row: &StoredRow) -> Map<String, Value> {
    let mut object = Map::new();
    if let Ok(Value::Object(fields)) = serde_json::to_value(&row.example) {
        object.extend(FIELDS.iter().filter_map(|name| Some(((*name).to_owned(), fields.get(*name)?.clone()))));
    }
    object
}

/// Makes a version of the dataset `name` with `edits`; the present one when they change nothing.
///
/// # Errors
/// `NotFound` for a row that is not there; `InvalidInput` for a value that a row cannot have. Nothing is changed then.
pub fn edit_rows(bench: &Workbench, name: &str, edits: &[Edit]) -> Result<DatasetRecord> {
    let mut changes = Vec::with_capacity(edits.len());
    for edit in edits {
        let row = bench.store.row(name, edit.row)?;
        changes.push(RowChange::Set(edit.row, edited(row.example, edit)?));
    }
    let message = match edits {
        [edit] => {
            let (row, fields) = (edit.row, edit.fields.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
            tr!("edit row {row}: {fields}", "修改第 {row} 行：{fields}")
        }
        _ => {
            let count = edits.len();
            tr!("edit {count} rows", "修改 {count} 行")
        }
    };
    bench.store.change_rows(name, &changes, &message)
}

/// Makes a version of the dataset `name` without `rows`.
///
/// # Errors
/// `NotFound` for a row that is not there.
pub fn remove_rows(bench: &Workbench, name: &str, rows: &[u64]) -> Result<DatasetRecord> {
    let changes: Vec<RowChange> = rows.iter().map(|row| RowChange::Remove(*row)).collect();
    let message = match rows {
        [row] => tr!("delete row {row}", "删除第 {row} 行"),
        _ => {
            let count = rows.len();
            tr!("delete {count} rows", "删除 {count} 行")
        }
    };
    bench.store.change_rows(name, &changes, &message)
}

/// `example` with the fields of `edit`.
fn edited(example: Example, edit: &Edit) -> Result<Example> {
    let row = edit.row;
    // Plain text for pre-training has no instruction and needs none.
    let plain = example.is_text();
    let place = tr!("row {row}", "第 {row} 行");
    let example = with_fields(example, &edit.fields, &place)?;
    if plain && example.is_text() && !example.output.trim().is_empty() {
        return Ok(example);
    }
    check_texts(&example, &place).map_err(|e| {
        e.hint(tr!("delete the row instead: data delete NAME --row {row}", "可删除该行：data delete NAME --row {row}"))
    })?;
    Ok(example)
}

/// `example` with `fields` set; `place` names it in messages.
pub(super) fn with_fields(mut example: Example, fields: &Map<String, Value>, place: &str) -> Result<Example> {
    for (field, value) in fields {
        check_field(field)?;
        let list = |e: serde_json::Error| no_list(field, &e.to_string());
        let text = || {
            let wrong = tr!("{place}: `{field}` is not text", "{place}：`{field}` 不是文本");
            value.as_str().map(str::to_owned).ok_or_else(|| Error::new(Kind::InvalidInput, wrong))
        };
        match field.as_str() {
            "instruction" => example.instruction = text()?,
            "input" => example.input = text()?,
            "output" => example.output = text()?,
            "system" => example.system = text()?,
            "tools" => example.tools = text()?,
            "history" => example.history = serde_json::from_value(value.clone()).map_err(list)?,
            "tool_turns" => example.tool_turns = serde_json::from_value(value.clone()).map_err(list)?,
            "lang" => example.lang = text()?,
            _ => {
                let word = text()?;
                example.split = Split::parse(&word).ok_or_else(|| {
                    Error::new(Kind::InvalidInput, tr!("no split `{word}`", "没有划分 `{word}`"))
                        .hint(tr!("use train or val", "可用 train 或 val"))
                })?;
            }
        }
    }
    if !["zh", "en"].contains(&example.lang.as_str()) {
        let lang = &example.lang;
        return Err(Error::new(Kind::InvalidInput, tr!("no language `{lang}`", "没有语言 `{lang}`"))
            .hint(tr!("use zh or en", "可用 zh 或 en")));
    }
    Ok(example)
}

/// Checks that a row has a question and an answer; `place` names it.
pub(super) fn check_texts(example: &Example, place: &str) -> Result<()> {
    for (field, text) in [("instruction", &example.instruction), ("output", &example.output)] {
        if text.trim().is_empty() {
            let empty = tr!("{place}: `{field}` is empty", "{place}：`{field}` 为空");
            return Err(Error::new(Kind::InvalidInput, empty));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_named_one_by_one_and_by_stretches() {
        let parse = |texts: &[&str]| parse_rows(&texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
        assert_eq!(parse(&["3", "10-12,3, 7"]).unwrap(), [3, 7, 10, 11, 12]);
        for bad in ["", "a", "3-1", "-1", "1-99999999999"] {
            assert_eq!(parse(&[bad]).unwrap_err().kind, Kind::InvalidInput, "{bad}");
        }
    }

    #[test]
    fn a_line_of_edits_names_its_row_and_known_fields() {
        let edits = parse_edits("{\"row\": 3, \"output\": \"x\", \"hash\": \"00\"}\n\n{\"row\": 4}", "f").unwrap();
        assert_eq!(edits.len(), 2);
        assert_eq!((edits[0].row, edits[0].fields.len()), (3, 1));
        for bad in ["{}", "[]", "{\"row\": -1}", "{\"row\": 1, \"answer\": \"x\"}", "x"] {
            let error = parse_edits(&format!("{{\"row\": 0}}\n{bad}"), "f").unwrap_err();
            assert!(error.message.starts_with("f:2: "), "{}", error.message);
        }
        assert_eq!(parse_set("output=a=b").unwrap(), ("output".to_owned(), Value::from("a=b")));
        assert!(parse_set("output").is_err() && parse_set("x=1").is_err() && parse_set("history=x").is_err());
    }

    #[test]
    fn a_row_stays_a_row() {
        let row = Example { instruction: "q".into(), output: "a".into(), lang: "en".into(), ..Example::default() };
        let set = |field: &str, value: Value| {
            let fields = Map::from_iter([(field.to_owned(), value)]);
            edited(row.clone(), &Edit { row: 0, fields })
        };
        assert_eq!(set("output", "b".into()).unwrap().output, "b");
        assert_eq!(set("split", "val".into()).unwrap().split, Split::Val);
        assert_eq!(set("history", serde_json::json!([["q", "a"]])).unwrap().history.len(), 1);
        for (field, value) in
            [("output", Value::from(" ")), ("output", Value::Null), ("lang", "fr".into()), ("split", "x".into())]
        {
            assert!(set(field, value).is_err(), "{field}");
        }
    }
}
