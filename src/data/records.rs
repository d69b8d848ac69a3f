//! Cuts text into JSON records, one at a time: the lines of a JSON-lines file, the elements of a JSON array, objects that
//! each span lines, or the rows of an object of lists (`{"train": […], "validation": […]}`). Which of these it is shows from
//! the first bytes, never from the name. Nothing here understands JSON beyond quotes and brackets; a record is judged by
//! who parses it. Memory holds one record, and never more than [`LONGEST`].

use super::source::io_error;
use crate::error::Result;
use crate::tr;
use memchr::{memchr, memchr_iter, memchr2};
use std::io::{self, BufRead, Read};

/// Bytes of the longest record that is read; a longer one is refused without being held.
pub(super) const LONGEST: usize = 128 << 20;

/// Keys under which a file's rows may stand as a list.
const LISTS: [&str; 13] = [
    "data",
    "rows",
    "examples",
    "records",
    "items",
    "samples",
    "train",
    "validation",
    "valid",
    "val",
    "dev",
    "test",
    "eval",
];

/// What the stream holds next.
pub(super) enum Piece<'a> {
    /// One record and the line (from 1) on which it begins.
    Record { line: u64, bytes: &'a [u8] },
    /// A place at which the file's own structure is broken, or a record that is too long.
    Broken { line: u64, reason: String },
    /// The records that follow stand under this key.
    List(&'a str),
}

/// Takes one piece after the other.
pub(super) type OnPiece<'a> = &'a mut dyn FnMut(Piece<'_>) -> Result<()>;

/// Hands every piece of `reader`, which stands on line `line`, to `on`, in order. `file` is its name in messages.
///
/// # Errors
/// Those of reading and of `on`.
pub(super) fn for_each<R: BufRead>(mut reader: R, mut line: u64, file: &str, on: OnPiece<'_>) -> Result<()> {
    match skip_blanks(&mut reader, &mut line).map_err(|e| io_error(file, &e))? {
        None => Ok(()),
        Some(b'[') => {
            let mut head = Vec::new();
            reader.by_ref().take(HEAD).read_until(b'\n', &mut head).map_err(|e| io_error(file, &e))?;
            if head.trim_ascii() == b"[]" {
                let at = line;
                line += newlines(&head);
                // An empty array with records behind it is a record itself: a list of refused ones may begin so.
                return match skip_blanks(&mut reader, &mut line).map_err(|e| io_error(file, &e))? {
                    None => Ok(()),
                    Some(_) => {
                        on(Piece::Record { line: at, bytes: b"[]" })?;
                        lines(reader, line, file, on)
                    }
                };
            }
            let mut reader = io::Cursor::new(head).chain(reader);
            reader.consume(1);
            Elements::new(file, on).read(&mut reader, &mut line)
        }
        Some(b'{') => objects(reader, line, file, on),
        Some(_) => lines(reader, line, file, on),
    }
}

/// Bytes at the start of a file by which its layout is told.
const HEAD: u64 = 4096;

/// A file that begins with an object: one a line, one after the other, or one around all rows.
fn objects(mut reader: impl BufRead, mut line: u64, file: &str, on: OnPiece<'_>) -> Result<()> {
    let mut head = Vec::new();
    reader.by_ref().take(HEAD).read_to_end(&mut head).map_err(|e| io_error(file, &e))?;
    let around = holds_lists(&head);
    let spans =
        head.split(|b| *b == b'\n').next().is_some_and(|first| first.trim_ascii() == b"{" && first.len() < head.len());
    let mut reader = io::Cursor::new(head).chain(reader);
    if around {
        lists(&mut reader, &mut line, file, on)
    } else if spans {
        let mut elements = Elements { apart: true, ..Elements::new(file, on) };
        elements.read(&mut reader, &mut line)
    } else {
        lines(reader, line, file, on)
    }
}

/// Keys of what is said of a file before its lists.
const BESIDE: [&str; 13] = [
    "version",
    "name",
    "title",
    "description",
    "license",
    "licence",
    "source",
    "url",
    "date",
    "created",
    "info",
    "total",
    "count",
];

/// Whether `head` begins as `{"data": [{` or with another of [`LISTS`].
fn holds_lists(head: &[u8]) -> bool {
    fn after<'h>(text: &'h [u8], token: &[u8]) -> Option<&'h [u8]> {
        text.trim_ascii_start().strip_prefix(token)
    }
    let Some(mut rest) = after(head, b"{").and_then(|rest| after(rest, b"\"")) else { return false };
    // A version or a description may stand before the lists.
    while let Some(key) = BESIDE.iter().find_map(|key| rest.strip_prefix(key.as_bytes())) {
        let Some(value) = key.strip_prefix(b"\"").and_then(|rest| after(rest, b":")) else { return false };
        let (taken, done) = Nesting::default().pass(value.trim_ascii_start());
        let next = value.trim_ascii_start().get(taken..).filter(|_| done);
        let Some(next) = next.and_then(|next| after(next, b",")).and_then(|next| after(next, b"\"")) else {
            return false;
        };
        rest = next;
    }
    let Some(list) = LISTS.iter().find_map(|key| rest.strip_prefix(key.as_bytes())) else { return false };
    let list = list.strip_prefix(b"\"").and_then(|rest| after(rest, b":")).and_then(|rest| after(rest, b"["));
    list.is_some_and(|rest| matches!(rest.trim_ascii_start().first(), Some(b'{' | b']')))
}

/// Reads `{"key": [rows], …}`. The reader stands at the opening bracket.
fn lists(reader: &mut impl BufRead, line: &mut u64, file: &str, on: OnPiece<'_>) -> Result<()> {
    let io = |e: io::Error| io_error(file, &e);
    reader.consume(1);
    loop {
        match skip_blanks(reader, line).map_err(io)? {
            Some(b',') => reader.consume(1),
            Some(b'}') => {
                reader.consume(1);
                if skip_blanks(reader, line).map_err(io)?.is_some() {
                    let reason = tr!("text after the end of the object; it was not read", "对象结束后还有内容，未读取");
                    return on(Piece::Broken { line: *line, reason });
                }
                return Ok(());
            }
            Some(b'"') => {
                reader.consume(1);
                let mut key = Vec::new();
                reader.by_ref().take(HEAD).read_until(b'"', &mut key).map_err(io)?;
                let key = String::from_utf8_lossy(key.strip_suffix(b"\"").unwrap_or_default()).into_owned();
                let colon = skip_blanks(reader, line).map_err(io)? == Some(b':');
                reader.consume(usize::from(colon));
                let opening = skip_blanks(reader, line).map_err(io)?;
                if !colon {
                    let key = key.escape_default();
                    let reason = tr!(
                        "not JSON: `{key}` has no value here; nothing after it was read",
                        "不是 JSON：`{key}` 在此处没有值；其后的内容未读取"
                    );
                    return on(Piece::Broken { line: *line, reason });
                }
                // What stands beside the lists is no row: a version, a description.
                if opening != Some(b'[') {
                    skip_value(reader, line).map_err(io)?;
                    continue;
                }
                reader.consume(1);
                on(Piece::List(&key))?;
                let mut elements = Elements { inner: true, ..Elements::new(file, on) };
                elements.read(reader, line)?;
                if !elements.closed {
                    return Ok(());
                }
            }
            Some(_) => {
                let reason = tr!(
                    "not JSON: a key is missing here; nothing after it was read",
                    "不是 JSON：此处缺少键；其后的内容未读取"
                );
                return on(Piece::Broken { line: *line, reason });
            }
            None => return on(Piece::Broken { line: *line, reason: cut_off() }),
        }
    }
}

/// Passes over a value that is no list, up to what follows it.
fn skip_value(reader: &mut impl BufRead, line: &mut u64) -> io::Result<()> {
    let mut nesting = Nesting::default();
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(());
        }
        let (taken, done) = nesting.pass(chunk);
        *line += newlines(&chunk[..taken]);
        reader.consume(taken);
        if done {
            return Ok(());
        }
    }
}

fn cut_off() -> String {
    tr!("the file ends before the array's closing ]: was it cut off?", "文件在数组的 ] 之前结束：是否被截断？")
}

fn too_long() -> String {
    let megabytes = LONGEST >> 20;
    tr!("longer than {megabytes} MiB: not a row", "超过 {megabytes} MiB，不是数据行")
}

/// Passes over white space and gives the first other byte without taking it.
pub(super) fn skip_blanks(reader: &mut impl BufRead, line: &mut u64) -> io::Result<Option<u8>> {
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(None);
        }
        let blanks = chunk.iter().take_while(|b| b.is_ascii_whitespace()).count();
        *line += newlines(&chunk[..blanks]);
        let next = chunk.get(blanks).copied();
        reader.consume(blanks);
        if next.is_some() {
            return Ok(next);
        }
    }
}

/// How many lines end in `bytes`.
pub(super) fn newlines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

/// Hands every line of `reader` that is not blank to `on`.
pub(super) fn lines(mut reader: impl BufRead, mut line: u64, file: &str, on: OnPiece<'_>) -> Result<()> {
    let mut piece = |line, bytes: &[u8]| match bytes.trim_ascii() {
        [] => Ok(()),
        _ if bytes.len() > LONGEST => on(Piece::Broken { line, reason: too_long() }),
        bytes => on(Piece::Record { line, bytes }),
    };
    // The beginning of a line that began in an earlier chunk.
    let mut begun = Vec::new();
    loop {
        let chunk = reader.fill_buf().map_err(|e| io_error(file, &e))?;
        if chunk.is_empty() {
            return piece(line, &begun);
        }
        let mut at = 0;
        while let Some(end) = chunk.get(at..).and_then(|rest| memchr(b'\n', rest)) {
            let bytes = &chunk[at..at + end];
            if begun.is_empty() {
                piece(line, bytes)?;
            } else {
                hold(&mut begun, bytes);
                piece(line, &begun)?;
                begun.clear();
            }
            line += 1;
            at += end + 1;
        }
        hold(&mut begun, &chunk[at..]);
        let n = chunk.len();
        reader.consume(n);
    }
}

/// The objects that stand one after the other on a line: `{…}{…}`. What is behind the last of them, or is no object, stays
/// with it, to be refused there.
pub(super) fn split_objects(line: &[u8]) -> Vec<&[u8]> {
    let (mut objects, mut rest) = (Vec::new(), line);
    while rest.first() == Some(&b'{') {
        let (taken, done) = Nesting::default().scan(rest);
        let (object, behind) = rest.split_at(if done { taken } else { rest.len() });
        let behind = behind.trim_ascii_start();
        if behind.first() != Some(&b'{') {
            break;
        }
        objects.push(object);
        rest = behind;
    }
    objects.push(rest);
    objects
}

/// Adds `bytes` to a record, as far as it is not too long already. One byte above [`LONGEST`] says that it is.
fn hold(record: &mut Vec<u8>, bytes: &[u8]) {
    let room = (LONGEST + 1).saturating_sub(record.len());
    record.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
}

/// Where the scan of an array stands.
enum At {
    /// Between elements.
    Between,
    /// Inside the element that begins on line `from`.
    Element { from: u64 },
    /// After the closing bracket.
    End,
}

/// How deep the scan is inside an element.
#[derive(Default)]
struct Nesting {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

/// Reads elements up to the closing bracket of their array.
struct Elements<'a> {
    file: &'a str,
    on: OnPiece<'a>,
    /// There is no array: objects stand one after the other.
    apart: bool,
    /// The array is part of an object, and text goes on after it.
    inner: bool,
    /// Whether the closing bracket was seen.
    closed: bool,
}

impl<'a> Elements<'a> {
    fn new(file: &'a str, on: OnPiece<'a>) -> Elements<'a> {
        Elements { file, on, apart: false, inner: false, closed: false }
    }

    fn broken(&mut self, line: u64, reason: String) -> Result<()> {
        (self.on)(Piece::Broken { line, reason })
    }

    /// The reader stands after the opening bracket.
    fn read(&mut self, reader: &mut impl BufRead, line: &mut u64) -> Result<()> {
        let mut at = At::Between;
        let mut nesting = Nesting::default();
        let mut element = Vec::new();
        loop {
            let chunk = reader.fill_buf().map_err(|e| io_error(self.file, &e))?;
            if chunk.is_empty() {
                break;
            }
            let mut i = 0;
            while let Some(&byte) = chunk.get(i) {
                match at {
                    At::Element { from } => {
                        let (taken, done) = nesting.scan(&chunk[i..]);
                        let bytes = &chunk[i..i + taken];
                        if done && element.is_empty() {
                            (self.on)(Piece::Record { line: from, bytes: bytes.trim_ascii_end() })?;
                        } else {
                            hold(&mut element, bytes);
                        }
                        *line += newlines(bytes);
                        i += taken;
                        if done {
                            if element.len() > LONGEST {
                                self.broken(from, too_long())?;
                            } else if !element.is_empty() {
                                (self.on)(Piece::Record { line: from, bytes: element.trim_ascii_end() })?;
                            }
                            element.clear();
                            at = At::Between;
                        }
                        continue;
                    }
                    At::Between if byte == b',' => {}
                    At::Between if byte == b']' && !self.apart => {
                        at = At::End;
                        self.closed = true;
                        if self.inner {
                            reader.consume(i + 1);
                            return Ok(());
                        }
                    }
                    // Nothing would be taken of it, again and again.
                    At::Between if byte == b']' => {
                        self.broken(*line, tr!("a ] closes nothing here", "此处的 ] 没有对应的 ["))?;
                    }
                    // A comma that is missing before it is no loss.
                    At::Between if !byte.is_ascii_whitespace() => {
                        nesting = Nesting::default();
                        at = At::Element { from: *line };
                        continue;
                    }
                    // Arrays that were put one behind the other, as `cat` does.
                    At::End if byte == b'[' => at = At::Between,
                    At::End if !byte.is_ascii_whitespace() => {
                        let reason = tr!(
                            "text after the end of the JSON array; it was not read",
                            "JSON 数组结束后还有内容，未读取"
                        );
                        return self.broken(*line, reason);
                    }
                    At::Between | At::End => {}
                }
                *line += u64::from(byte == b'\n');
                i += 1;
            }
            reader.consume(i);
        }
        match at {
            At::End => Ok(()),
            At::Between if self.apart => Ok(()),
            At::Between => self.broken(*line, cut_off()),
            At::Element { from } => {
                let reason = tr!(
                    "the element that begins here never ends (a quote or a bracket is not closed); nothing after it could be read",
                    "从这里开始的元素没有结束（引号或括号未闭合），其后的内容无法读取"
                );
                self.broken(from, reason)
            }
        }
    }
}

impl Nesting {
    /// As [`Nesting::scan`] for the value of a key: outside of brackets it ends before a closing brace, too.
    fn pass(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.depth == 0 && !self.in_string && matches!(byte, b',' | b'}') {
                return (at, true);
            }
            let (taken, done) = self.scan(&bytes[at..=at]);
            at += taken.max(usize::from(!done));
            if done {
                return (at, true);
            }
        }
        (bytes.len(), false)
    }

    /// Goes on through `bytes`: how many belong to the element, and whether it ends with them. An
    /// object or list ends with its closing bracket; anything else ends before a comma or bracket.
    fn scan(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut i = 0;
        while let Some(&byte) = bytes.get(i) {
            if self.in_string {
                if std::mem::take(&mut self.escaped) {
                    i += 1;
                    continue;
                }
                let Some(next) = memchr2(b'"', b'\\', &bytes[i..]) else { return (bytes.len(), false) };
                i += next;
                match bytes.get(i) {
                    Some(b'"') => self.in_string = false,
                    _ => self.escaped = true,
                }
                i += 1;
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                b'}' | b']' if self.depth == 1 => return (i + 1, true),
                b',' | b']' if self.depth == 0 => return (i, true),
                _ => {}
            }
            i += 1;
        }
        (bytes.len(), false)
    }
}

#[cfg(test)]
mod tests;
