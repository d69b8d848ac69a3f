//! Reads files of instruction data row by row: each record becomes a row or a refusal with its place.
//!
//! Everything comes through [`read`]: a file is unpacked and decoded (`source`), cut into records by its layout (`records`
//! for JSON, `delimited` for CSV and TSV, `parquet`, `plain` for text), and each record is read as a row (`fields`, `conversation`,
//! `tatqa`, `convfinqa`). Rows and refusals together are all records of the file.

use super::conversation::Tags;
use super::delimited::{self, Table, TableRow};
use super::example::{Example, RowHash, Split};
use super::fields::{self, Field, Listener, Raw, RawSeed, Reading, Refusal, Shape};
use super::language;
use super::plain::{self, Unit};
use super::records::{self, Piece, newlines, skip_blanks};
use super::roles::{FieldMap, GUESS, Role, Slot};
use super::source::{self, Condition, Source, io_error};
use super::{convfinqa, parquet, tatqa};
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::Serialize;
use serde::de::DeserializeSeed;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::{BufRead, Cursor, Read};
use std::rc::Rc;
use std::sync::Arc;

/// How a file's records are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Found out from the contents.
    #[default]
    Auto,
    /// JSON with `instruction`, `input`, `output`, `system`, `history`.
    Alpaca,
    /// JSON with a list of messages: `conversations` with `from` and `value` (sharegpt), or `messages` with `role` and
    /// `content`. Either is read under either name.
    Conversation,
    /// A table whose first line names the columns; commas, semicolons, tabs or bars separate them.
    Csv,
    /// The same, separated by tabs unless it shows otherwise.
    Tsv,
    /// A Parquet file.
    Parquet,
    /// TAT-QA's contexts, a row for each question.
    TatQa,
    /// ConvFinQA's conversations, a row for each.
    ConvFinQa,
    /// Plain text for pre-training, so much of it a row.
    Text(Unit),
}

/// The formats' names on the command line.
const FORMATS: [(&str, Format); 12] = [
    ("auto", Format::Auto),
    ("alpaca", Format::Alpaca),
    ("sharegpt", Format::Conversation),
    ("messages", Format::Conversation),
    ("csv", Format::Csv),
    ("tsv", Format::Tsv),
    ("parquet", Format::Parquet),
    ("tatqa", Format::TatQa),
    ("convfinqa", Format::ConvFinQa),
    ("text", Format::Text(Unit::Paragraph)),
    ("text-lines", Format::Text(Unit::Line)),
    ("text-file", Format::Text(Unit::File)),
];

impl Format {
    /// The format called `name`.
    ///
    /// # Errors
    /// `InvalidInput` that lists the names.
    pub fn parse(name: &str) -> Result<Format> {
        FORMATS.iter().find(|(known, _)| *known == name).map(|(_, format)| *format).ok_or_else(|| {
            let names: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
            let name = name.escape_default();
            Error::new(Kind::InvalidInput, tr!("no format `{name}`", "没有格式 `{name}`")).hint(tr!(
                "use one of: {}",
                "可用：{}",
                names.join(", ")
            ))
        })
    }
}

/// How files are read.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Layout of the records.
    pub format: Format,
    /// Other names of fields.
    pub map: FieldMap,
    /// Other names of speakers and of a message's keys.
    pub tags: Option<Arc<Tags>>,
    /// `zh` or `en` for every row; `None`: each row's own `lang`, or by its share of Chinese characters.
    pub lang: Option<&'static str>,
    /// The split of rows that do not name one.
    pub split: Split,
    /// Entries of a `dataset_info.json` that are read; all of them when empty.
    pub entries: Vec<String>,
}

/// A row and where it came from.
#[derive(Clone, Debug)]
pub struct Row {
    /// The row.
    pub example: Example,
    /// [`Example::hash`] of it.
    pub hash: RowHash,
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line on which the row begins, from 1; in a Parquet file the number of the row.
    pub line: u64,
}

/// A record that is no row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reject {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; in a Parquet file the number of the row.
    pub line: u64,
    /// Why, for people.
    pub reason: String,
    /// The record as it stood in the file, at most [`RAW`] bytes of it. Not part of reports.
    #[serde(skip)]
    pub raw: String,
}

/// Bytes that are kept of a refused record: enough to correct nearly all of them, and a bound for a file of rubbish.
pub const RAW: usize = 16 << 10;

/// The beginning of a record's bytes as text. A byte that is not UTF-8 is written `\\xE9`: nothing of it is lost, and in
/// JSON it is no escape, so that the record is refused again until somebody corrects it.
fn raw(bytes: &[u8]) -> String {
    let kept = bytes.get(..RAW).unwrap_or(bytes);
    let mut text = String::with_capacity(kept.len());
    for chunk in kept.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02X}")));
    }
    text
}

/// What a file's next record is.
#[derive(Clone, Debug)]
pub enum Record {
    /// A row.
    Row(Row),
    /// No row.
    Reject(Reject),
}

/// What there is to say about a file beside its records.
#[derive(Clone, Debug, Default)]
pub struct ReadReport {
    /// How often each column occurred that was left aside.
    pub left_aside: BTreeMap<String, u64>,
    /// What was found out or decided, for people: guessed columns, a converted encoding.
    pub remarks: Vec<String>,
}

/// Reads `reader` to its end and hands each record to `on`, in order. Memory holds one record at a
/// time. `file` is the name to record, and only its ending has a meaning.
///
/// # Errors
/// Those of reading and of `on`; `Unsupported` when the file as a whole is in a format that is not
/// supported; `InvalidInput` when it is not in the one that was asked for, or a table names no column that can be used.
/// A record that is malformed is no error but a [`Record::Reject`].
pub fn read(
    reader: impl BufRead,
    file: &str,
    options: &ImportOptions,
    on: &mut dyn FnMut(Record) -> Result<()>,
) -> Result<ReadReport> {
    let mut records = Records {
        file,
        name: Arc::from(file),
        options,
        split: options.split,
        on,
        first: true,
        heard: Heard::default(),
        condition: Rc::default(),
    };
    match (source::open(reader, file)?, options.format) {
        (Source::Parquet(reader), Format::Auto | Format::Parquet) => {
            parquet::for_each(reader, file, &mut |number, row| records.parquet_row(number, row))?;
        }
        (Source::Parquet(_), _) => return Err(not_this(file, tr!("a Parquet file", "Parquet 文件"))),
        (Source::Text(..), Format::Parquet) => return Err(not_this(file, tr!("text", "文本"))),
        (Source::Text(reader, condition), Format::Text(unit)) => {
            records.condition = condition;
            plain::for_each(reader, unit, file, &mut |line, text| records.text(line, text))?;
        }
        (Source::Text(mut reader, condition), format) => {
            records.condition = condition;
            let mut line = 1;
            let first = skip_blanks(&mut reader, &mut line).map_err(|e| io_error(file, &e))?;
            let mut head = Vec::new();
            reader.by_ref().take(HEADER).read_until(b'\n', &mut head).map_err(|e| io_error(file, &e))?;
            let delimiter = if matches!(first, Some(b'{' | b'[')) && !matches!(format, Format::Csv | Format::Tsv) {
                None
            } else {
                records.delimiter(format, &head)
            };
            let reader = Cursor::new(head).chain(reader);
            match delimiter {
                Some(delimiter) => records.table(reader, delimiter, line)?,
                None => records::for_each(reader, line, file, &mut |piece| records.piece(piece))?,
            }
        }
    }
    let Heard { left_aside, mut mappings } = records.heard;
    // Columns with the fields' own names need no word.
    mappings.retain(|mapping| !mapping.trim().is_empty());
    let file = file.escape_debug();
    for mapping in &mut mappings {
        *mapping = tr!(
            "{file}: columns taken by their names: {mapping} (--map FIELD=COLUMN corrects that)",
            "{file}：按列名认定：{mapping}（可用 --map 字段=列 更正）"
        );
    }
    if let Some(encoding) = records.condition.converted_from() {
        mappings.push(tr!("{file}: converted from {encoding}", "{file}：已由 {encoding} 转换"));
    }
    Ok(ReadReport { left_aside, remarks: mappings })
}

/// Bytes of the longest line that names columns.
const HEADER: u64 = 1 << 20;

fn not_this(file: &str, kind: String) -> Error {
    Error::new(Kind::InvalidInput, tr!("{file} is {kind}", "{file} 是 {kind}"))
        .hint(tr!("leave out --format: files are known by their contents", "请去掉 --format：程序按内容识别文件"))
}

/// Remarks on guessed columns; more would only repeat themselves.
const MAPPINGS: usize = 8;

#[derive(Default)]
struct Heard {
    left_aside: BTreeMap<String, u64>,
    mappings: Vec<String>,
}

impl Heard {
    fn left_aside_times(&mut self, name: &str, times: u64) {
        match self.left_aside.get_mut(name) {
            Some(count) => *count += times,
            None => _ = self.left_aside.insert(name.to_owned(), times),
        }
    }
}

impl Listener for Heard {
    fn left_aside(&mut self, name: &str) {
        self.left_aside_times(name, 1);
    }

    fn guessed(&mut self, columns: &[(Role, String)]) {
        if self.mappings.len() < MAPPINGS {
            let mapping: Vec<String> =
                columns.iter().map(|(role, name)| format!("{}={}", role.name(), name.escape_debug())).collect();
            let mapping = mapping.join(",");
            if !self.mappings.contains(&mapping) {
                self.mappings.push(mapping);
            }
        }
    }
}

/// The columns of a table.
struct Columns {
    /// The name, the field and the rank of each column; `None` for those that are not read.
    slots: Vec<(String, Option<(Role, u8)>)>,
    guessed: Vec<(Role, String)>,
}

impl Columns {
    fn new(header: &[String], map: &FieldMap) -> Columns {
        let mut slots: Vec<(String, Option<(Role, u8)>)> = Vec::with_capacity(header.len());
        for name in header {
            let slot = match map.slot(name) {
                Slot::Field(role, rank) => Some((role, rank)),
                Slot::Aside | Slot::Unknown => None,
            };
            // Of two columns for one field the surer one is read, and of two equal ones the first.
            let rival = slots.iter_mut().find(|(_, other)| matches!((other, slot), (Some(a), Some(b)) if a.0 == b.0));
            let slot = match (rival, slot) {
                (Some((_, held)), Some((_, rank))) if held.is_some_and(|(_, other)| other <= rank) => None,
                (Some((_, held)), slot) => {
                    *held = None;
                    slot
                }
                (None, slot) => slot,
            };
            slots.push((name.clone(), slot));
        }
        let guessed = slots.iter().filter_map(|(name, slot)| match slot {
            Some((role, rank)) if *rank >= GUESS => Some((*role, name.clone())),
            _ => None,
        });
        let guessed = guessed.collect();
        Columns { slots, guessed }
    }

    fn has(&self, role: Role) -> bool {
        self.slots.iter().any(|(_, slot)| slot.is_some_and(|(found, _)| found == role))
    }

    /// Whether rows can come of these columns.
    fn suffice(&self) -> bool {
        let answered = self.has(Role::Output) && (self.has(Role::Instruction) || self.has(Role::Input));
        answered || self.has(Role::Messages) || self.has(Role::Text)
    }
}

/// Takes a file's records.
struct Records<'r> {
    file: &'r str,
    name: Arc<str>,
    options: &'r ImportOptions,
    /// The split of rows that do not name one.
    split: Split,
    on: &'r mut dyn FnMut(Record) -> Result<()>,
    /// Whether no record was seen yet.
    first: bool,
    heard: Heard,
    condition: Rc<Condition>,
}

impl Records<'_> {
    /// The separator when the file is a table; `head` is its first line.
    fn delimiter(&self, format: Format, head: &[u8]) -> Option<u8> {
        let name = self.file.to_ascii_lowercase();
        let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
        let usual = match format {
            Format::Csv => Some(b','),
            Format::Tsv => Some(b'\t'),
            Format::Auto if name.ends_with(".csv") => Some(b','),
            Format::Auto if name.ends_with(".tsv") || name.ends_with(".tab") => Some(b'\t'),
            Format::Auto => None,
            _ => return None,
        };
        let suffices = |delimiter: &u8| {
            let cells = delimited::cells_of(head, *delimiter);
            cells.is_some_and(|header| Columns::new(&header, &self.options.map).suffice())
        };
        let found = delimited::delimiters_of(head);
        let named = delimited::named_delimiter(head);
        let usable = found.iter().copied().find(suffices);
        // A file that nothing calls a table is one when its first line names a question and an answer.
        usual.map_or(named.or(usable), |usual| named.or(usable).or_else(|| found.first().copied()).or(Some(usual)))
    }

    fn reading(&self) -> Reading<'_> {
        let shape = match self.options.format {
            Format::Alpaca => Shape::Alpaca,
            Format::Conversation => Shape::Conversation,
            _ => Shape::Any,
        };
        Reading { shape, tags: self.options.tags.as_deref(), split: self.split }
    }

    fn piece(&mut self, piece: Piece<'_>) -> Result<()> {
        match piece {
            Piece::Record { line, bytes } => self.json(line, bytes),
            Piece::Broken { line, reason } => self.reject(line, reason, b""),
            Piece::List(key) => {
                self.split = Split::parse(key).unwrap_or(self.options.split);
                Ok(())
            }
        }
    }

    fn json(&mut self, line: u64, bytes: &[u8]) -> Result<()> {
        let starts = std::mem::take(&mut self.first);
        let text = match simdutf8::basic::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => return self.not_text(line, bytes),
        };
        let raw = match fields::parse_json(text, &self.options.map) {
            Ok(raw) => raw,
            Err(refusal) => return self.refuse(line, refusal, starts, bytes),
        };
        let contexts = matches!(self.options.format, Format::Auto | Format::TatQa);
        if contexts && !raw.unknown.is_empty() && tatqa::is_context(&raw.unknown) {
            return match serde_json::from_str::<Value>(text) {
                Ok(context) => self.context(line, &context, bytes),
                Err(e) => self.reject(line, e.to_string(), bytes),
            };
        }
        let talks = matches!(self.options.format, Format::Auto | Format::ConvFinQa);
        if talks && !raw.unknown.is_empty() && convfinqa::is_conversation(&raw.unknown) {
            let row = serde_json::from_str::<Value>(text).map_err(|e| e.to_string());
            return match row.and_then(|record| convfinqa::row(&record)) {
                Ok(example) => self.unmarked(line, example),
                Err(reason) => self.reject(line, reason, bytes),
            };
        }
        if self.options.format == Format::ConvFinQa {
            let reason = tr!(
                "no conversation of ConvFinQA (doc and dialogue, or pre_text, table and annotation)",
                "不是 ConvFinQA 的对话（doc 与 dialogue，或 pre_text、table 与 annotation）"
            );
            return self.reject(line, reason, bytes);
        }
        if self.options.format == Format::TatQa {
            let reason = tr!(
                "no context of TAT-QA (table, paragraphs, questions)",
                "不是 TAT-QA 的上下文（table、paragraphs、questions）"
            );
            return self.reject(line, reason, bytes);
        }
        self.raw(line, raw, starts, bytes)
    }

    fn raw(&mut self, line: u64, raw: Raw, starts: bool, bytes: &[u8]) -> Result<()> {
        let mut heard = std::mem::take(&mut self.heard);
        let row = raw.row(&self.reading(), &mut heard);
        self.heard = heard;
        match row {
            Ok(example) => self.row(line, example),
            Err(refusal) => self.refuse(line, refusal, starts, bytes),
        }
    }

    fn context(&mut self, line: u64, context: &Value, bytes: &[u8]) -> Result<()> {
        match tatqa::rows(context) {
            Err(reason) => self.reject(line, reason, bytes),
            Ok(rows) => rows.into_iter().try_for_each(|row| match row {
                Ok(example) => self.unmarked(line, example),
                Err(reason) => self.reject(line, reason, bytes),
            }),
        }
    }

    fn parquet_row(&mut self, number: u64, row: Result<Value, String>) -> Result<()> {
        let starts = std::mem::take(&mut self.first);
        let row = match row {
            Ok(row) => row,
            Err(reason) => return self.reject(number, reason, b""),
        };
        let parsed = RawSeed(&self.options.map).deserialize(&row).map_err(|e| e.to_string());
        let mut heard = std::mem::take(&mut self.heard);
        let example = parsed.map(|raw| raw.row(&self.reading(), &mut heard));
        self.heard = heard;
        match example {
            Ok(Ok(example)) => self.row(number, example),
            // The row as a line of JSON: that can be corrected and read again.
            Ok(Err(refusal)) => self.refuse(number, refusal, starts, row.to_string().as_bytes()),
            Err(reason) => self.reject(number, reason, row.to_string().as_bytes()),
        }
    }

    fn text(&mut self, line: u64, text: Result<&[u8], String>) -> Result<()> {
        let bytes = match text {
            Ok(bytes) => bytes,
            Err(reason) => return self.reject(line, reason, b""),
        };
        match simdutf8::basic::from_utf8(bytes) {
            Ok(text) => self.unmarked(line, Example { output: text.to_owned(), ..Example::default() }),
            Err(_) => self.not_text(line, bytes),
        }
    }

    /// A row from a format that knows no language and no split.
    fn unmarked(&mut self, line: u64, example: Example) -> Result<()> {
        let lang = language::detect(&[&example.instruction, &example.output]).to_owned();
        self.row(line, Example { lang, split: self.split, ..example })
    }

    fn table(&mut self, reader: impl BufRead, delimiter: u8, line: u64) -> Result<()> {
        let mut table = Table::new(reader, delimiter, line);
        let columns = match self.header(&mut table)? {
            Some(columns) => columns,
            None => return Ok(()),
        };
        self.heard.guessed(&columns.guessed);
        let count = columns.slots.len();
        let elsewhere = columns.has(Role::Text) || columns.has(Role::Messages);
        let mut rows = 0u64;
        while let Some(row) = table.next(self.file)? {
            rows += 1;
            let (line, cells, bytes) = match row {
                TableRow::Cells { line, cells, bytes } => (line, cells, bytes),
                TableRow::Bad { line, reason, bytes } => {
                    self.reject(line, reason, bytes)?;
                    continue;
                }
            };
            if cells.len() != count {
                let found = cells.len();
                let reason = tr!(
                    "{found} cells where the header names {count} columns",
                    "有 {found} 个单元格，表头有 {count} 列"
                );
                self.reject(line, reason, bytes)?;
                continue;
            }
            let Ok(text) = simdutf8::basic::from_utf8(cells.bytes()) else {
                self.not_text(line, cells.bytes())?;
                continue;
            };
            let mut raw = Raw::default();
            for (cell, (name, slot)) in cells.iter(text).zip(&columns.slots) {
                let Some((role, _)) = slot else { continue };
                let must = matches!(role, Role::Instruction | Role::Output) && !elsewhere;
                if must || !cell.is_empty() {
                    // What was guessed has been said for the whole table.
                    raw.put(name, *role, 0, Field::Text(cell.to_owned()));
                }
            }
            let mut heard = std::mem::take(&mut self.heard);
            let example = raw.row(&self.reading(), &mut heard);
            self.heard = heard;
            match example {
                Ok(example) => self.row(line, example)?,
                // With its columns' names, as a line of JSON: so it can be corrected and read again without a header.
                Err(refusal) => {
                    let object: Map<String, Value> = columns
                        .slots
                        .iter()
                        .zip(cells.iter(text))
                        .map(|((name, _), cell)| (name.clone(), cell.into()))
                        .collect();
                    self.refuse(line, refusal, false, Value::Object(object).to_string().as_bytes())?;
                }
            }
        }
        for (name, slot) in &columns.slots {
            if slot.is_none() && self.options.map.slot(name) != Slot::Aside && rows > 0 {
                self.heard.left_aside_times(name, rows);
            }
        }
        Ok(())
    }

    fn header(&mut self, table: &mut Table<impl BufRead>) -> Result<Option<Columns>> {
        loop {
            let cells = match table.next(self.file)? {
                None => return Ok(None),
                Some(TableRow::Bad { reason, .. }) => return Err(self.no_columns(&reason)),
                Some(TableRow::Cells { cells, .. }) => cells,
            };
            let Ok(text) = std::str::from_utf8(cells.bytes()) else {
                return Err(self.no_columns(&tr!("the first line is not text", "首行不是文本")));
            };
            let header: Vec<String> = cells.iter(text).map(str::to_owned).collect();
            let names_delimiter = matches!(header.first(), Some(cell) if cell.eq_ignore_ascii_case("sep=") || delimited::named_delimiter(cell.as_bytes()).is_some());
            if names_delimiter && self.first {
                self.first = false;
                continue;
            }
            let columns = Columns::new(&header, &self.options.map);
            if columns.suffice() {
                return Ok(Some(columns));
            }
            let names: Vec<String> = header.iter().take(40).map(|name| name.escape_debug().to_string()).collect();
            return Err(self.no_columns(&tr!("the first line has: {}", "首行有：{}", names.join(", "))));
        }
    }

    fn no_columns(&self, what: &str) -> Error {
        let file = self.file;
        Error::new(
            Kind::InvalidInput,
            tr!(
                "{file}: no columns for a question and its answer ({what})",
                "{file}：没有问题列与回答列（{what}）"
            ),
        )
        .hint(tr!(
            "the first line names the columns; say which they are, for example --map instruction=COLUMN,output=COLUMN (or text=COLUMN)",
            "首行应为列名；请指明各列，例如 --map instruction=列,output=列（或 text=列）"
        ))
    }

    fn row(&mut self, line: u64, mut example: Example) -> Result<()> {
        if let Some(lang) = self.options.lang {
            lang.clone_into(&mut example.lang);
        }
        let hash = example.hash();
        (self.on)(Record::Row(Row { example, hash, file: Arc::clone(&self.name), line }))
    }

    /// `bytes`: the record, as far as there is one.
    fn reject(&mut self, line: u64, reason: String, bytes: &[u8]) -> Result<()> {
        self.first = false;
        (self.on)(Record::Reject(Reject { file: self.file.to_owned(), line, reason, raw: raw(bytes) }))
    }

    fn refuse(&mut self, line: u64, refusal: Refusal, starts: bool, bytes: &[u8]) -> Result<()> {
        let Refusal { line_offset, reason, other_format } = refusal;
        // The first record speaks for its file: without this, a whole file in another format
        // would come out as a long list of rejects.
        if starts && other_format {
            let file = self.file;
            return Err(Error::new(Kind::InvalidInput, format!("{file}:{line}: {reason}")).hint(tr!(
                "leave out --format, or use --format sharegpt",
                "请去掉 --format，或使用 --format sharegpt"
            )));
        }
        self.reject(line + line_offset, reason, bytes)
    }

    fn not_text(&mut self, line: u64, bytes: &[u8]) -> Result<()> {
        let at = std::str::from_utf8(bytes).map_or_else(|e| e.valid_up_to(), |_| 0);
        let before = bytes.get(..at).unwrap_or_default();
        let reason = self.condition.blame(bytes, at).unwrap_or_else(|| {
            let column = at - before.iter().rposition(|&b| b == b'\n').map_or(0, |p| p + 1) + 1;
            let byte = bytes.get(at).copied().unwrap_or_default();
            tr!(
                "byte {column} of this line (0x{byte:02X}) is not UTF-8; convert the file first, for example with `iconv -f LATIN1 -t UTF-8`",
                "本行第 {column} 字节（0x{byte:02X}）不是 UTF-8；请先转换文件，例如 `iconv -f LATIN1 -t UTF-8`"
            )
        });
        self.reject(line + newlines(before), reason, bytes)
    }
}

#[cfg(test)]
mod tests;
