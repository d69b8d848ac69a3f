//! Cuts CSV, TSV and their relatives into rows of cells, as RFC 4180 and Excel write them.
//!
//! Not the `csv` crate's reader, for three reasons: an opening quote that is never closed must cost one line and not the
//! rest of the file, text behind a closing quote must be refused and not be glued to the cell, and no record may take
//! more memory than [`LONGEST`]. Where a file has none of these faults the two agree, which a test holds.

use super::records::{LONGEST, newlines};
use super::source::io_error;
use crate::error::Result;
use crate::tr;
use memchr::{memchr, memchr2};
use std::io::{self, BufRead};

/// Separators that are looked for.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// Bytes that may be read again, over a whole file, to go on behind a faulty line. A file of nothing but opening quotes
/// would otherwise take quadratic time.
const SECOND_LOOKS: usize = 256 << 20;

/// The cells of one row, end to end.
#[derive(Debug, Default)]
pub(super) struct Cells {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Cells {
    fn close(&mut self) {
        self.ends.push(self.bytes.len());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// All cells' bytes, to be checked at once.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The cells in order. `text` is [`Cells::bytes`] as text.
    pub fn iter<'c>(&'c self, text: &'c str) -> impl Iterator<Item = &'c str> {
        let mut from = 0;
        self.ends.iter().map(move |&end| {
            let cell = text.get(from..end).unwrap_or_default();
            from = end;
            cell
        })
    }
}

/// The next thing in a table.
pub(super) enum TableRow<'a> {
    /// A row, the line on which it begins, and its text.
    Cells { line: u64, cells: &'a Cells, bytes: &'a [u8] },
    /// A line that is no row.
    Bad { line: u64, reason: String, bytes: &'a [u8] },
}

/// The separators that `line` may use, the likeliest first: the one that stands in it most often outside quotes.
pub(super) fn delimiters_of(line: &[u8]) -> Vec<u8> {
    let mut quoted = false;
    let mut counts = [0usize; DELIMITERS.len()];
    for byte in line {
        quoted ^= *byte == b'"';
        if let Some(at) = DELIMITERS.iter().position(|d| d == byte && !quoted)
            && let Some(count) = counts.get_mut(at)
        {
            *count += 1;
        }
    }
    let mut found: Vec<(usize, u8)> = counts.into_iter().zip(DELIMITERS).filter(|(count, _)| *count > 0).collect();
    found.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    found.into_iter().map(|(_, delimiter)| delimiter).collect()
}

/// The separator that Excel names in a line of its own, `sep=;`.
pub(super) fn named_delimiter(line: &[u8]) -> Option<u8> {
    match line.trim_ascii_end() {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] => Some(*delimiter),
        // The tab itself is white space.
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'='] if line.get(4) == Some(&b'\t') => Some(b'\t'),
        _ => None,
    }
}

/// The cells of one line that is a row by itself.
pub(super) fn cells_of(line: &[u8], delimiter: u8) -> Option<Vec<String>> {
    let mut scan = Scan::default();
    match scan.go(line, delimiter, true) {
        Step::Record(_) => {
            let text = std::str::from_utf8(scan.cells.bytes()).ok()?;
            Some(scan.cells.iter(text).map(str::to_owned).collect())
        }
        _ => None,
    }
}

/// Reads rows one by one.
pub(super) struct Table<R> {
    reader: R,
    delimiter: u8,
    /// Text from the row that is being read on; whole lines.
    buffer: Vec<u8>,
    start: usize,
    /// Line of `start`.
    line: u64,
    scan: Scan,
    at_end: bool,
    second_looks: usize,
    given_up: bool,
}

impl<R: BufRead> Table<R> {
    /// Rows of `reader`, which stands on line `line`.
    pub fn new(reader: R, delimiter: u8, line: u64) -> Table<R> {
        Table {
            reader,
            delimiter,
            buffer: Vec::new(),
            start: 0,
            line,
            scan: Scan::default(),
            at_end: false,
            second_looks: SECOND_LOOKS,
            given_up: false,
        }
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// Those of reading.
    pub fn next(&mut self, file: &str) -> Result<Option<TableRow<'_>>> {
        self.scan.reset();
        loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            if rest.is_empty() && self.at_end || self.given_up {
                return Ok(None);
            }
            match self.scan.go(rest, self.delimiter, self.at_end) {
                Step::More => {
                    let whole = self.add_line().map_err(|e| io_error(file, &e))?;
                    if !whole {
                        let line = self.line;
                        self.line += newlines(self.buffer.get(self.start..).unwrap_or_default()) + 1;
                        self.start = self.buffer.len();
                        let megabytes = LONGEST >> 20;
                        let reason = tr!("longer than {megabytes} MiB: not a row", "超过 {megabytes} MiB，不是数据行");
                        return Ok(Some(TableRow::Bad { line, reason, bytes: b"" }));
                    }
                }
                Step::Blank(bytes) => {
                    self.start += bytes;
                    self.line += 1;
                    self.scan.reset();
                }
                Step::Record(bytes) => {
                    let line = self.line;
                    self.line += newlines(rest.get(..bytes).unwrap_or_default());
                    let from = self.start;
                    self.start += bytes;
                    let bytes = self.buffer.get(from..self.start).unwrap_or_default();
                    return Ok(Some(TableRow::Cells { line, cells: &self.scan.cells, bytes }));
                }
                Step::Bad(reason) => {
                    let (line, from) = (self.line, self.start);
                    self.start += memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
                    self.line += 1;
                    self.given_up = self.second_looks < self.scan.at;
                    self.second_looks = self.second_looks.saturating_sub(self.scan.at);
                    let reason = if self.given_up {
                        tr!(
                            "{reason}; too many such lines, nothing after this one was read",
                            "{reason}；此类行过多，其后的内容未读取"
                        )
                    } else {
                        reason
                    };
                    let bytes = self.buffer.get(from..self.start).unwrap_or_default();
                    return Ok(Some(TableRow::Bad { line, reason, bytes }));
                }
            }
        }
    }

    /// Adds the next line to the buffer; `false` when the row is too long, and then its last line is passed over.
    fn add_line(&mut self) -> io::Result<bool> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let mut fits = true;
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                self.at_end = true;
                return Ok(fits);
            }
            let end = memchr(b'\n', chunk).map(|end| end + 1);
            let bytes = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            fits &= self.buffer.len() + bytes.len() <= LONGEST;
            if fits {
                self.buffer.extend_from_slice(bytes);
            }
            let n = bytes.len();
            self.reader.consume(n);
            if end.is_some() {
                return Ok(fits);
            }
        }
    }
}

/// Where the scan of a row stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// At the start of a cell.
    #[default]
    Start,
    /// In a cell without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a quote that ends the cell unless another one follows.
    Quote,
}

enum Step {
    /// The row goes on in the next line.
    More,
    /// An empty line of so many bytes.
    Blank(usize),
    /// A row of so many bytes.
    Record(usize),
    Bad(String),
}

/// The scan of one row; it goes on where it stopped when a line is added.
#[derive(Debug, Default)]
struct Scan {
    at: usize,
    state: State,
    cells: Cells,
}

impl Scan {
    fn reset(&mut self) {
        self.at = 0;
        self.state = State::Start;
        self.cells.clear();
    }

    /// Goes on through `bytes`, the row's lines so far. `last`: no line comes after them.
    fn go(&mut self, bytes: &[u8], delimiter: u8, last: bool) -> Step {
        if self.at == 0
            && let Some(end) = memchr(b'\n', bytes).map(|end| end + 1).or(last.then_some(bytes.len()))
            && bytes.get(..end).unwrap_or_default().trim_ascii().is_empty()
            && !bytes.get(..end).unwrap_or_default().contains(&delimiter)
        {
            return Step::Blank(end);
        }
        loop {
            let rest = bytes.get(self.at..).unwrap_or_default();
            let Some(&byte) = rest.first() else {
                return match (self.state, last) {
                    (_, false) => Step::More,
                    (State::Quoted, true) => Step::Bad(tr!("a quote is opened and never closed", "引号没有闭合")),
                    (_, true) => self.end(),
                };
            };
            match self.state {
                State::Start if byte == b'"' => {
                    self.state = State::Quoted;
                    self.at += 1;
                }
                State::Start | State::Plain => {
                    let end = memchr2(delimiter, b'\n', rest).unwrap_or(rest.len());
                    let (cell, ending) = rest.split_at(end);
                    self.at += end;
                    match ending.first() {
                        Some(b'\n') => {
                            self.cells.bytes.extend_from_slice(cell.strip_suffix(b"\r").unwrap_or(cell));
                            self.at += 1;
                            return self.end();
                        }
                        Some(_) => {
                            self.cells.bytes.extend_from_slice(cell);
                            self.at += 1;
                            self.cells.close();
                            self.state = State::Start;
                        }
                        None => {
                            // The end of a file may be a carriage return's too.
                            self.cells.bytes.extend_from_slice(if last {
                                cell.strip_suffix(b"\r").unwrap_or(cell)
                            } else {
                                cell
                            });
                            self.state = State::Plain;
                        }
                    }
                }
                State::Quoted => {
                    let end = memchr(b'"', rest);
                    self.cells.bytes.extend_from_slice(rest.get(..end.unwrap_or(rest.len())).unwrap_or_default());
                    self.at += end.map_or(rest.len(), |end| end + 1);
                    if end.is_some() {
                        self.state = State::Quote;
                    }
                }
                State::Quote => match rest {
                    [b'"', ..] => {
                        self.cells.bytes.push(b'"');
                        self.state = State::Quoted;
                        self.at += 1;
                    }
                    [b'\n', ..] => {
                        self.at += 1;
                        return self.end();
                    }
                    [b'\r', b'\n', ..] => {
                        self.at += 2;
                        return self.end();
                    }
                    [b'\r'] if last => {
                        self.at += 1;
                        return self.end();
                    }
                    [byte, ..] if *byte == delimiter => {
                        self.cells.close();
                        self.state = State::Start;
                        self.at += 1;
                    }
                    _ => {
                        return Step::Bad(tr!(
                            "text stands behind a closing quote (a quote inside a cell must be doubled)",
                            "结束引号之后还有文本（单元格内的引号须写两次）"
                        ));
                    }
                },
            }
        }
    }

    fn end(&mut self) -> Step {
        self.cells.close();
        Step::Record(self.at)
    }
}

#[cfg(test)]
mod tests;
