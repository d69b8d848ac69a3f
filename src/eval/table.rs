//! Tables of items: CSV and JSONL, every cell as the file has it. Nothing is guessed: a choice `1.0`
//! stays `1.0`, an empty cell stays empty.

use super::definition::TableFormat;
use crate::error::{Error, Kind, Result};
use crate::tr;
use polars::prelude::{CsvReadOptions, DataType, SerReader};
use serde_json::{Map, Value};
use std::io::Cursor;

/// One row: column name → cell. CSV cells are strings; JSONL cells are whatever the file holds.
pub type Row = Map<String, Value>;

/// Reads the table `bytes`; `place` names it in messages.
///
/// # Errors
/// `InvalidInput` for text that is not UTF-8, rows of different lengths, an unclosed quote, a line
/// that is not a JSON object.
pub fn read(bytes: &[u8], format: TableFormat, place: &str) -> Result<Vec<Row>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = bytes.iter().take(e.valid_up_to()).filter(|b| **b == b'\n').count() + 1;
        Error::new(
            Kind::InvalidInput,
            tr!("{place}, line {line}: not UTF-8 text", "{place} 第 {line} 行：不是 UTF-8 文本"),
        )
        .hint(tr!(
            "convert the file to UTF-8 (`iconv -f GB18030 -t UTF-8`)",
            "请先转换为 UTF-8（`iconv -f GB18030 -t UTF-8`）"
        ))
    })?;
    match format {
        TableFormat::Csv => csv(text, place),
        TableFormat::Jsonl => jsonl(text, place),
        TableFormat::Json => json(text, place),
        TableFormat::Txt => Ok(vec![Row::from_iter([("text".to_owned(), Value::String(text.to_owned()))])]),
    }
}

fn csv(text: &str, place: &str) -> Result<Vec<Row>> {
    let wrong = |what: String| {
        Error::new(Kind::InvalidInput, format!("{place}: {what}"))
            .hint(tr!("check the quotes and the number of cells in that file", "请检查该文件的引号与每行的列数"))
    };
    if text.trim().is_empty() {
        return Err(wrong(tr!("the file is empty", "文件为空")));
    }
    let records = records(text).ok_or_else(|| wrong(tr!("a quote is never closed", "有未闭合的引号")))?;
    let header = records.first().map_or(0, |r| r.cells);
    if let Some(odd) = records.iter().find(|r| r.cells != header) {
        return Err(wrong(tr!(
            "line {}: {} cells, the header has {header}",
            "第 {} 行：有 {} 格，表头有 {header} 格",
            odd.line,
            odd.cells
        )));
    }
    let frame = CsvReadOptions::default()
        .with_infer_schema_length(Some(0)) // every column is text
        .map_parse_options(|options| options.with_missing_is_null(false))
        .into_reader_with_file_handle(Cursor::new(text.as_bytes()))
        .finish()
        .map_err(|e| wrong(e.to_string()))?;
    let mut rows = vec![Row::new(); frame.height()];
    for column in frame.columns() {
        let name = column.name().to_string();
        let column = column.cast(&DataType::String).map_err(|e| wrong(e.to_string()))?;
        for (row, cell) in rows.iter_mut().zip(column.str().map_err(|e| wrong(e.to_string()))?.iter()) {
            row.insert(name.clone(), Value::String(cell.unwrap_or_default().to_owned()));
        }
    }
    // Blank lines are rows of empty cells to the reader.
    rows.retain(|row| row.len() == 1 || row.values().any(|cell| cell.as_str() != Some("")));
    Ok(rows)
}

/// A record of a CSV file: the line it begins on (from 1), and its number of cells.
struct Record {
    line: usize,
    cells: usize,
}

/// The records of `text` without blank lines; `None` when a quote is never closed. The reader would
/// fill a short row with empty cells and take an unclosed quote to the end of the file, and say nothing.
fn records(text: &str) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    let mut quoted = false;
    let mut line = 1;
    let mut record = Record { line, cells: 1 };
    let mut blank = true;
    for byte in text.bytes() {
        line += usize::from(byte == b'\n');
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => record.cells += 1,
            b'\n' if !quoted => {
                let next = Record { line, cells: 1 };
                let finished = std::mem::replace(&mut record, next);
                if !blank {
                    records.push(finished);
                }
                blank = true;
                continue;
            }
            _ => {}
        }
        blank &= byte == b'\r';
    }
    if !blank {
        records.push(record);
    }
    (!quoted).then_some(records)
}

fn jsonl(text: &str, place: &str) -> Result<Vec<Row>> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(i, line)| {
            serde_json::from_str(line).map_err(|e| {
                Error::new(
                    Kind::InvalidInput,
                    tr!("{place}, line {}: not a JSON object: {e}", "{place} 第 {} 行：不是 JSON 对象：{e}", i + 1),
                )
                .hint(tr!("each line must be one object", "每行应是一个对象"))
            })
        })
        .collect()
}

fn json(text: &str, place: &str) -> Result<Vec<Row>> {
    let wrong = |what: String| {
        Error::new(Kind::InvalidInput, format!("{place}: {what}")).hint(tr!(
            "the file must be one list of objects; for one object a line say format = \"jsonl\"",
            "文件应是一个对象列表；若每行一个对象，请写 format = \"jsonl\""
        ))
    };
    match serde_json::from_str(text).map_err(|e| wrong(tr!("not JSON: {e}", "不是 JSON：{e}")))? {
        Value::Object(row) => Ok(vec![row]),
        Value::Array(rows) => rows
            .into_iter()
            .enumerate()
            .map(|(i, row)| match row {
                Value::Object(row) => Ok(row),
                _ => Err(wrong(tr!("entry {} is not an object", "第 {} 项不是对象", i + 1))),
            })
            .collect(),
        _ => Err(wrong(tr!("neither a list nor an object", "既不是列表也不是对象"))),
    }
}

/// Makes a row of each object in the list in column `name`. Its fields come over those of the row around it.
///
/// # Errors
/// `InvalidInput` when the column holds something else.
pub fn explode(rows: Vec<Row>, name: &str, place: &str) -> Result<Vec<Row>> {
    let mut inner = Vec::new();
    for (i, mut row) in rows.into_iter().enumerate() {
        let Some(Value::Array(list)) = row.remove(name) else {
            return Err(Error::new(
                Kind::InvalidInput,
                tr!("{place}, row {}: `{name}` is not a list", "{place} 第 {} 行：`{name}` 不是列表", i + 1),
            )
            .hint(tr!("correct `explode` in the definition", "请改正定义中的 `explode`")));
        };
        for part in list {
            let mut one = row.clone();
            match part {
                Value::Object(fields) => one.extend(fields),
                other => _ = one.insert(name.to_owned(), other),
            }
            inner.push(one);
        }
    }
    Ok(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_csv(text: &str) -> Result<Vec<Row>> {
        read(text.as_bytes(), TableFormat::Csv, "t.csv")
    }

    fn cell<'a>(rows: &'a [Row], row: usize, name: &str) -> &'a str {
        rows[row][name].as_str().unwrap()
    }

    #[test]
    fn cells_are_kept_as_written() {
        let rows = read_csv("\u{feff},Question,A\r\n0,\"a\r\nb, \"\"c\"\"\",1.0\r\n1,,NA\r\n").unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(cell(&rows, 0, "Question"), "a\r\nb, \"c\"");
        assert_eq!(cell(&rows, 0, "A"), "1.0");
        assert_eq!(cell(&rows, 1, "Question"), "");
        assert_eq!(cell(&rows, 1, "A"), "NA");
    }

    #[test]
    fn no_final_newline_and_a_last_quoted_cell() {
        let rows = read_csv("q,a\nx,\"y\nz\"").unwrap();
        assert_eq!(cell(&rows, 0, "a"), "y\nz");
        assert_eq!(read_csv("q,a\n").unwrap().len(), 0);
    }

    #[test]
    fn a_single_quoted_newline_among_many_rows() {
        let mut text = String::from("q,a\n");
        for i in 0..5000 {
            text.push_str(&format!("\"line one {i}\n\nline three\",{i}\n"));
        }
        let rows = read_csv(&text).unwrap();
        assert_eq!(rows.len(), 5000);
        assert!((0..5000).all(|i| cell(&rows, i, "a") == i.to_string()));
        assert!((0..5000).all(|i| cell(&rows, i, "q") == format!("line one {i}\n\nline three")));
    }

    #[test]
    fn blank_lines_are_no_rows() {
        for text in ["q,a\nx,y\n\nz,w\n\n", "q,a\r\nx,y\r\n\r\nz,w\r\n\r\n"] {
            let rows = read_csv(text).unwrap();
            assert_eq!(rows.len(), 2, "{text:?}");
            assert_eq!((cell(&rows, 0, "a"), cell(&rows, 1, "a")), ("y", "w"));
        }
    }

    #[test]
    fn damaged_tables_are_refused_with_their_name() {
        for text in ["", "  \n", "q,a\nx,\"y\n", "q,a\nx,y,z\n", "q,a\nonly\n"] {
            let error = read_csv(text).unwrap_err();
            assert!(error.message.starts_with("t.csv"), "{text:?}: {}", error.message);
            assert!(error.hint.is_some());
        }
        let error = read_csv("q,a\n\"x\n\",y\nz\n").unwrap_err();
        assert!(error.message.contains("line 4"), "{}", error.message);
        let error = read(b"q,a\n\xd6\xd0,b\n", TableFormat::Csv, "t.csv").unwrap_err();
        assert!(error.message.contains("line 2"), "{}", error.message);
    }

    #[test]
    fn lists_in_rows_become_rows() {
        let text = r#"[{"t": 1, "id": "c", "qs": [{"id": "a"}, {"id": "b", "t": 2}]}, {"t": 3, "qs": []}]"#;
        let rows = read(text.as_bytes(), TableFormat::Json, "t.json").unwrap();
        let rows = explode(rows, "qs", "t.json").unwrap();
        assert_eq!(serde_json::to_value(&rows).unwrap(), serde_json::json!([{"t": 1, "id": "a"}, {"t": 2, "id": "b"}]));
        assert!(explode(rows, "qs", "t.json").unwrap_err().message.contains("row 1"));
        for bad in ["3", "[1]", "[", "{}{}"] {
            assert!(read(bad.as_bytes(), TableFormat::Json, "t.json").unwrap_err().hint.is_some(), "{bad}");
        }
        let rows = read("\u{feff}a\nb".as_bytes(), TableFormat::Txt, "t.txt").unwrap();
        assert_eq!(rows[0]["text"], "a\nb");
    }

    #[test]
    fn json_lines_name_the_bad_one() {
        let rows = read(b"{\"q\": \"x\", \"n\": 2}\n\n{\"q\": \"y\"}", TableFormat::Jsonl, "t.jsonl").unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0]["n"], 2);
        let error = read(b"{}\n...\n", TableFormat::Jsonl, "t.jsonl").unwrap_err();
        assert!(error.message.contains("line 2"), "{}", error.message);
    }
}
