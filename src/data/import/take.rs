//! One file's records as rows and refusals: what all layouts have in common.

use super::super::example::{Example, Split};
use super::super::fields::{Reading, Refusal, Shape};
use super::super::language;
use super::super::records::newlines;
use super::super::source::Condition;
use super::heard::Heard;
use super::options::{Format, ImportOptions};
use super::record::{ReadReport, Record, Reject, Row, raw};
use crate::error::{Error, Kind, Result};
use crate::tr;
use std::rc::Rc;
use std::sync::Arc;

/// Takes a file's records.
pub(super) struct Records<'r> {
    pub file: &'r str,
    name: Arc<str>,
    pub options: &'r ImportOptions,
    /// The split of rows that do not name one.
    pub split: Split,
    on: &'r mut dyn FnMut(Record) -> Result<()>,
    /// Whether no record was seen yet.
    pub first: bool,
    pub heard: Heard,
    pub condition: Rc<Condition>,
}

impl<'r> Records<'r> {
    /// Of a file of which nothing was read yet.
    pub fn new(file: &'r str, options: &'r ImportOptions, on: &'r mut dyn FnMut(Record) -> Result<()>) -> Records<'r> {
        Records {
            file,
            name: Arc::from(file),
            options,
            split: options.split,
            on,
            first: true,
            heard: Heard::default(),
            condition: Rc::default(),
        }
    }

    /// What there is to say of the file.
    pub fn report(self) -> ReadReport {
        let mut report = self.heard.report(&self.options.map);
        if let Some(encoding) = self.condition.converted_from() {
            report.remarks.push(tr!("converted from {encoding}", "已由 {encoding} 转换"));
        }
        report
    }

    /// How a record is read.
    pub fn reading(&self) -> Reading<'_> {
        let shape = match self.options.format {
            Format::Alpaca => Shape::Alpaca,
            Format::Conversation => Shape::Conversation,
            _ => Shape::Any,
        };
        Reading { shape, tags: self.options.tags.as_deref(), split: self.split }
    }

    /// A plain text.
    pub fn text(&mut self, line: u64, text: Result<&[u8], String>) -> Result<()> {
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
    pub fn unmarked(&mut self, line: u64, example: Example) -> Result<()> {
        let lang = language::detect(&[&example.instruction, &example.output]).to_owned();
        self.row(line, Example { lang, split: self.split, ..example })
    }

    /// A record that is a row.
    pub fn row(&mut self, line: u64, mut example: Example) -> Result<()> {
        if let Some(lang) = self.options.lang {
            lang.clone_into(&mut example.lang);
        }
        let hash = example.hash();
        (self.on)(Record::Row(Row { example, hash, file: Arc::clone(&self.name), line }))
    }

    /// A record that is no row. `bytes`: the record, as far as there is one.
    pub fn reject(&mut self, line: u64, reason: String, bytes: &[u8]) -> Result<()> {
        self.first = false;
        (self.on)(Record::Reject(Reject { file: self.file.to_owned(), line, reason, raw: raw(bytes) }))
    }

    /// A record that [`super::super::fields`] refuses; `starts`: it is the first of its file.
    pub fn refuse(&mut self, line: u64, refusal: Refusal, starts: bool, bytes: &[u8]) -> Result<()> {
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

    /// A record with a byte that is no text.
    pub fn not_text(&mut self, line: u64, bytes: &[u8]) -> Result<()> {
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
