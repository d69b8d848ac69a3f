//! Rows as other tools read them. Every row is read back before it is written: a format either carries it exactly (the
//! same texts, split and language) or the row is named and nothing is lost unseen.

use super::example::Example;
use super::example::Split;
use super::fields::{Field, Listener, Raw, Reading, Shape, parse_json};
use super::roles::{FieldMap, Role};
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// JSON with `instruction`, `input`, `output`; `system`, `history` and `tool_turns` where a row has them.
    Alpaca,
    /// JSON with `conversations` of `from` and `value`.
    ShareGpt,
    /// JSON with `messages` of `role` and `content`.
    Messages,
    /// A table separated by commas; history and tool turns are JSON in a cell.
    Csv,
    /// The same, separated by tabs.
    Tsv,
}

/// The columns of a table, in order. The first three and the last two are always there.
pub const COLUMNS: [&str; 10] =
    ["instruction", "input", "output", "system", "tools", "history", "tool_turns", "text", "lang", "split"];

/// The row as an object of JSON; `None` for a table.
pub fn json_of(format: RowFormat, e: &Example) -> Value {
    let mut object = Map::new();
    if e.is_text() {
        object.insert("text".to_owned(), json!(e.output));
    } else {
        match format {
            RowFormat::ShareGpt => sharegpt(e, &mut object),
            RowFormat::Messages => messages(e, &mut object),
            _ => alpaca(e, &mut object),
        }
    }
    if !e.tools.is_empty() {
        object.insert("tools".to_owned(), json!(e.tools));
    }
    object.insert("lang".to_owned(), json!(e.lang));
    object.insert("split".to_owned(), json!(e.split.as_str()));
    Value::Object(object)
}

fn alpaca(e: &Example, object: &mut Map<String, Value>) {
    for (name, text) in [("instruction", &e.instruction), ("input", &e.input), ("output", &e.output)] {
        object.insert(name.to_owned(), json!(text));
    }
    if !e.system.is_empty() {
        object.insert("system".to_owned(), json!(e.system));
    }
    if !e.history.is_empty() {
        object.insert("history".to_owned(), json!(e.history));
    }
    if !e.tool_turns.is_empty() {
        object.insert("tool_turns".to_owned(), json!(e.tool_turns));
    }
}

/// A row's questions with the answers to them; the last question ends with the input.
fn turns(e: &Example) -> Vec<(String, &str, bool)> {
    let own = if e.input.is_empty() { e.instruction.clone() } else { format!("{}\n{}", e.instruction, e.input) };
    let earlier = e.history.iter().map(|(question, answer)| (question.clone(), answer.as_str()));
    let all = earlier.chain([(own, e.output.as_str())]).enumerate();
    all.map(|(turn, (question, answer))| (question, answer, e.tool_turns.contains(&turn))).collect()
}

fn sharegpt(e: &Example, object: &mut Map<String, Value>) {
    let turns = turns(e);
    let mut list = Vec::with_capacity(2 * turns.len());
    for (at, (question, answer, by_tool)) in turns.iter().enumerate() {
        // What a tool answers was a call.
        let called = turns.get(at + 1).is_some_and(|(_, _, by_tool)| *by_tool);
        list.push(json!({"from": if *by_tool { "observation" } else { "human" }, "value": question}));
        list.push(json!({"from": if called { "function_call" } else { "gpt" }, "value": answer}));
    }
    object.insert("conversations".to_owned(), Value::Array(list));
    if !e.system.is_empty() {
        object.insert("system".to_owned(), json!(e.system));
    }
    if !e.input.is_empty() {
        object.insert("input".to_owned(), json!(e.input));
    }
}

fn messages(e: &Example, object: &mut Map<String, Value>) {
    let mut list = Vec::new();
    if !e.system.is_empty() {
        list.push(json!({"role": "system", "content": e.system}));
    }
    for (question, answer, by_tool) in turns(e) {
        list.push(json!({"role": if by_tool { "tool" } else { "user" }, "content": question}));
        list.push(json!({"role": "assistant", "content": answer}));
    }
    object.insert("messages".to_owned(), Value::Array(list));
    if !e.input.is_empty() {
        object.insert("input".to_owned(), json!(e.input));
    }
}

/// The row's cells in the order of [`COLUMNS`]; an empty one says nothing.
///
/// # Errors
/// `Internal` when a list cannot be written as JSON.
pub fn cells_of(e: &Example) -> Result<[String; COLUMNS.len()]> {
    let list = |empty: bool, value: Value| if empty { String::new() } else { value.to_string() };
    let (output, text) = if e.is_text() { ("", e.output.as_str()) } else { (e.output.as_str(), "") };
    Ok([
        e.instruction.clone(),
        e.input.clone(),
        output.to_owned(),
        e.system.clone(),
        e.tools.clone(),
        list(e.history.is_empty(), json!(e.history)),
        list(e.tool_turns.is_empty(), json!(e.tool_turns)),
        text.to_owned(),
        e.lang.clone(),
        e.split.as_str().to_owned(),
    ])
}

/// Hears nothing: what is left aside shows in the comparison.
struct Deaf;

impl Listener for Deaf {
    fn left_aside(&mut self, _: &str) {}
    fn guessed(&mut self, _: &[(Role, String)]) {}
}

/// Whether a reader gets the row `e` back from what is written of it.
///
/// # Errors
/// Says in which way it differs.
fn comes_back(e: &Example, raw: Result<Raw, String>) -> Result<(), String> {
    let reading = Reading { shape: Shape::Any, tags: None, split: Split::Train };
    let row = raw.and_then(|raw| raw.row(&reading, &mut Deaf).map_err(|refusal| refusal.reason))?;
    if row == *e {
        return Ok(());
    }
    Err(tr!("its texts would come back changed", "读回后文本会改变"))
}

fn raw_of_cells(cells: &[String; COLUMNS.len()]) -> Raw {
    let roles = [
        Role::Instruction,
        Role::Input,
        Role::Output,
        Role::System,
        Role::Tools,
        Role::History,
        Role::ToolTurns,
        Role::Text,
        Role::Lang,
        Role::Split,
    ];
    let mut raw = Raw::default();
    for ((role, name), cell) in roles.into_iter().zip(COLUMNS).zip(cells).filter(|(_, cell)| !cell.is_empty()) {
        raw.put(name, role, 0, Field::Text(cell.clone()));
    }
    raw
}

/// The cells of `e`, known to come back as it.
///
/// # Errors
/// `Unsupported` when a table cannot carry the row; `number` names it.
pub fn checked_cells(number: u64, e: &Example) -> Result<[String; COLUMNS.len()]> {
    let cells = cells_of(e)?;
    comes_back(e, Ok(raw_of_cells(&cells))).map_err(|why| cannot_carry(number, &why))?;
    Ok(cells)
}

fn cannot_carry(number: u64, why: &str) -> Error {
    Error::new(
        Kind::Unsupported,
        tr!("this format cannot carry row {number} exactly: {why}", "该格式无法原样保存第 {number} 行：{why}"),
    )
    .hint(tr!("export as alpaca, which carries every row", "请导出为 alpaca，它能保存所有数据行"))
}

/// What rows have beside a question and an answer: a table's columns, and what a list of data sets says of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowShape {
    /// Some have a question.
    pub asked: bool,
    /// Some are plain text.
    pub text: bool,
    /// Some have a system message.
    pub system: bool,
    /// Some describe tools.
    pub tools: bool,
    /// Some have earlier turns.
    pub history: bool,
    /// In some a tool asks.
    pub tool_turns: bool,
}

impl RowShape {
    /// Takes the next row.
    pub fn see(&mut self, e: &Example) {
        self.asked |= !e.is_text();
        self.text |= e.is_text();
        self.system |= !e.system.is_empty();
        self.tools |= !e.tools.is_empty();
        self.history |= !e.history.is_empty();
        self.tool_turns |= !e.tool_turns.is_empty();
    }

    /// Which of [`COLUMNS`] a table of such rows has.
    fn columns(&self) -> [bool; COLUMNS.len()] {
        let RowShape { text, system, tools, history, tool_turns, .. } = *self;
        [true, true, true, system, tools, history, tool_turns, text, true, true]
    }
}

/// Where a text file of rows stands. It holds one row at a time.
pub struct RowWriter<W> {
    to: W,
    format: RowFormat,
    /// One array instead of one object a line.
    array: bool,
    /// Which of [`COLUMNS`] a table has.
    columns: [bool; COLUMNS.len()],
    rows: u64,
}

impl<W: Write> RowWriter<W> {
    /// Begins a file of rows that are of `shape`; only a table asks for it.
    ///
    /// # Errors
    /// Those of writing.
    pub fn new(mut to: W, format: RowFormat, array: bool, shape: &RowShape) -> io::Result<RowWriter<W>> {
        let columns = shape.columns();
        if matches!(format, RowFormat::Csv | RowFormat::Tsv) {
            let names = COLUMNS.iter().zip(columns).filter(|(_, there)| *there).map(|(name, _)| *name);
            write_cells(&mut to, format, names)?;
        } else if array {
            to.write_all(b"[\n")?;
        }
        Ok(RowWriter { to, format, array, columns, rows: 0 })
    }

    /// Writes the row `e`; `number` names it in errors.
    ///
    /// # Errors
    /// `Unsupported` when the format cannot carry it exactly, and those of writing, by `io`.
    pub fn row(&mut self, number: u64, e: &Example, io: impl Fn(&io::Error) -> Error) -> Result<()> {
        if matches!(self.format, RowFormat::Csv | RowFormat::Tsv) {
            let cells = checked_cells(number, e)?;
            let there = cells.iter().zip(self.columns).filter(|(_, there)| *there).map(|(cell, _)| cell.as_str());
            write_cells(&mut self.to, self.format, there).map_err(|e| io(&e))?;
        } else {
            let text = json_of(self.format, e).to_string();
            let raw = parse_json(&text, &FieldMap::default()).map_err(|refusal| refusal.reason);
            comes_back(e, raw).map_err(|why| cannot_carry(number, &why))?;
            let before = if self.array && self.rows > 0 { ",\n" } else { "" };
            let after = if self.array { "" } else { "\n" };
            write!(self.to, "{before}{text}{after}").map_err(|e| io(&e))?;
        }
        self.rows += 1;
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(mut self) -> io::Result<W> {
        if self.array && !matches!(self.format, RowFormat::Csv | RowFormat::Tsv) {
            self.to.write_all(if self.rows > 0 { b"\n]\n" } else { b"]\n" })?;
        }
        self.to.flush()?;
        Ok(self.to)
    }
}

fn write_cells<'c>(to: &mut impl Write, format: RowFormat, cells: impl Iterator<Item = &'c str>) -> io::Result<()> {
    let delimiter = if format == RowFormat::Tsv { '\t' } else { ',' };
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            write!(to, "{delimiter}")?;
        }
        let special = |c: char| c == '"' || c == '\n' || c == '\r' || c == delimiter;
        if cell.contains(special) || cell.starts_with(char::is_whitespace) || cell.ends_with(char::is_whitespace) {
            write!(to, "\"{}\"", cell.replace('"', "\"\""))?;
        } else {
            to.write_all(cell.as_bytes())?;
        }
    }
    to.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::super::import::{ImportOptions, Record, read};
    use super::*;

    fn rows() -> Vec<Example> {
        let text = |s: &str| s.to_owned();
        let row = |q: &str, a: &str| Example {
            instruction: text(q),
            output: text(a),
            lang: text("zh"),
            ..Example::default()
        };
        vec![
            row("什么是\"基金\"？\r\n请说明", "a,b;c\t|\nd"),
            Example { input: text("材料\n\n表"), system: text("请简答"), split: Split::Val, ..row("q", "a ") },
            Example { history: vec![(text("q1"), text("a1"))], lang: text("en"), ..row(" q2", "\u{0}\u{1b}[1m") },
            Example {
                history: vec![(text("q"), text("f(1)"))],
                tools: text("[{\"name\": \"f\"}]"),
                tool_turns: vec![1],
                ..row("42", "答")
            },
            Example { tools: text("[1]"), system: text("s"), ..row("plain", "row") },
            Example { input: text("\n"), ..row("ends with a break\n", "a") },
            Example {
                output: text("一段正文。\n第二行"), lang: text("zh"), split: Split::Val, ..Example::default()
            },
        ]
    }

    fn written(format: RowFormat, array: bool, rows: &[Example]) -> Result<Vec<u8>> {
        let mut shape = RowShape::default();
        rows.iter().for_each(|row| shape.see(row));
        let mut writer = RowWriter::new(Vec::new(), format, array, &shape).unwrap();
        for (number, row) in rows.iter().enumerate() {
            writer.row(number as u64, row, |e| Error::internal(e.to_string()))?;
        }
        Ok(writer.finish().unwrap())
    }

    #[test]
    fn every_format_gives_the_rows_back() {
        for (file, format, array) in [
            ("x.json", RowFormat::Alpaca, true),
            ("x.jsonl", RowFormat::Alpaca, false),
            ("x.json", RowFormat::ShareGpt, true),
            ("x.jsonl", RowFormat::Messages, false),
            ("x.csv", RowFormat::Csv, false),
            ("x.tsv", RowFormat::Tsv, false),
        ] {
            for rows in [rows(), rows()[..1].to_vec(), Vec::new()] {
                let bytes = written(format, array, &rows).unwrap();
                let mut back = Vec::new();
                read(&bytes[..], file, &ImportOptions::default(), &mut |record| {
                    match record {
                        Record::Row(row) => back.push(row.example),
                        Record::Reject(reject) => panic!("{format:?}: {reject:?}"),
                    }
                    Ok(())
                })
                .unwrap();
                assert_eq!(back, rows, "{format:?}");
            }
        }
    }

    #[test]
    fn a_row_that_would_change_is_refused_by_number() {
        let mut row = rows().remove(0);
        row.history.push((String::new(), "a".to_owned()));
        assert!(written(RowFormat::Alpaca, false, std::slice::from_ref(&row)).is_ok());
        for format in [RowFormat::ShareGpt, RowFormat::Messages] {
            let error = written(format, false, &[rows().remove(0), row.clone()]).unwrap_err();
            assert_eq!(error.kind, Kind::Unsupported);
            assert!(error.message.contains("row 1 "), "{}", error.message);
        }
    }
}
