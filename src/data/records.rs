//! Cuts a stream of bytes into JSON records, one at a time: the lines of a JSON-lines file, or the
//! elements of a JSON array. Which of the two it is shows from the first byte, never from the name.
//! Nothing here understands JSON beyond quotes and brackets; a record is judged by who parses it.

use crate::error::{Error, Kind, Result};
use crate::tr;
use std::io::{BufRead, Read};

/// What the stream holds next.
pub(super) enum Piece<'a> {
    /// One record and the line (from 1) on which it begins.
    Record { line: u64, bytes: &'a [u8] },
    /// A place at which the file's own structure is broken.
    Broken { line: u64, reason: String },
}

/// Hands every piece of `reader` to `on`, in order. `file` is its name in messages.
///
/// # Errors
/// `Unsupported` for contents that are no UTF-8 text at all (compressed, Parquet, UTF-16), those of
/// reading, and those of `on`.
pub(super) fn for_each<R: BufRead>(
    mut reader: R,
    file: &str,
    on: &mut dyn FnMut(Piece<'_>) -> Result<()>,
) -> Result<()> {
    let mut head = Vec::with_capacity(4);
    reader.by_ref().take(4).read_to_end(&mut head).map_err(|e| read_error(file, &e))?;
    refuse_binary(&head, file)?;
    let start = if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut reader = head.get(start..).unwrap_or_default().chain(reader);
    let mut line = 1;
    match skip_blanks(&mut reader, &mut line).map_err(|e| read_error(file, &e))? {
        None => Ok(()),
        Some(b'[') => elements(reader, line, file, on),
        Some(_) => lines(reader, line, file, on),
    }
}

/// Tells by their first bytes the kinds of file that people take for text.
fn refuse_binary(head: &[u8], file: &str) -> Result<()> {
    let kinds: [(&[u8], &str); 6] = [
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"PK\x03\x04", "zip"),
        (b"PAR1", "parquet"),
        (b"\xff\xfe", "UTF-16"),
        (b"\xfe\xff", "UTF-16"),
    ];
    match kinds.iter().find(|(magic, _)| head.starts_with(magic)) {
        None => Ok(()),
        Some((_, kind)) => Err(Error::new(Kind::Unsupported, tr!("{file} is a {kind} file", "{file} 是 {kind} 文件"))
            .hint(tr!(
                "unpack or convert it first: a JSON array or JSON lines in UTF-8 can be imported",
                "请先解压或转换：可以导入 UTF-8 编码的 JSON 数组或 JSON Lines"
            ))),
    }
}

fn read_error(file: &str, error: &std::io::Error) -> Error {
    Error::io(std::path::Path::new(file), error)
}

/// Passes over white space and gives the first other byte without taking it.
fn skip_blanks(reader: &mut impl BufRead, line: &mut u64) -> std::io::Result<Option<u8>> {
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

pub(super) fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&b| b == b'\n').count() as u64
}

fn lines(
    mut reader: impl BufRead,
    mut line: u64,
    file: &str,
    on: &mut dyn FnMut(Piece<'_>) -> Result<()>,
) -> Result<()> {
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        if reader.read_until(b'\n', &mut buffer).map_err(|e| read_error(file, &e))? == 0 {
            return Ok(());
        }
        let bytes = buffer.trim_ascii();
        if !bytes.is_empty() {
            on(Piece::Record { line, bytes })?;
        }
        line += 1;
    }
}

/// Where the scan of an array stands.
enum At {
    /// Between elements; `comma` tells whether one was seen since the last element.
    Between { comma: bool },
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

fn elements(
    mut reader: impl BufRead,
    mut line: u64,
    file: &str,
    on: &mut dyn FnMut(Piece<'_>) -> Result<()>,
) -> Result<()> {
    reader.consume(1); // the opening bracket
    let mut at = At::Between { comma: true };
    let mut nesting = Nesting::default();
    let mut element = Vec::new();
    loop {
        let chunk = reader.fill_buf().map_err(|e| read_error(file, &e))?;
        if chunk.is_empty() {
            break;
        }
        let mut i = 0;
        while let Some(&byte) = chunk.get(i) {
            match at {
                At::Element { from } => {
                    let (taken, done) = nesting.scan(&chunk[i..]);
                    element.extend_from_slice(&chunk[i..i + taken]);
                    line += newlines(&chunk[i..i + taken]);
                    i += taken;
                    if done {
                        on(Piece::Record { line: from, bytes: element.trim_ascii_end() })?;
                        element.clear();
                        at = At::Between { comma: false };
                    }
                    continue;
                }
                At::Between { .. } if byte == b',' => at = At::Between { comma: true },
                At::Between { .. } if byte == b']' => at = At::End,
                At::Between { comma } if !byte.is_ascii_whitespace() => {
                    if !comma {
                        let reason = tr!("a comma is missing before this element", "这个元素前缺少逗号");
                        on(Piece::Broken { line, reason })?;
                    }
                    nesting = Nesting::default();
                    at = At::Element { from: line };
                    continue;
                }
                At::End if !byte.is_ascii_whitespace() => {
                    let reason =
                        tr!("text after the end of the JSON array; it was not read", "JSON 数组结束后还有内容，未读取");
                    return on(Piece::Broken { line, reason });
                }
                At::Between { .. } | At::End => {}
            }
            line += u64::from(byte == b'\n');
            i += 1;
        }
        reader.consume(i);
    }
    match at {
        At::End => Ok(()),
        At::Between { .. } => {
            let reason = tr!(
                "the file ends before the array's closing ]: was it cut off?",
                "文件在数组的 ] 之前结束：是否被截断？"
            );
            on(Piece::Broken { line, reason })
        }
        At::Element { from } => {
            let reason = tr!(
                "the element that begins here never ends (a quote or a bracket is not closed); nothing after it could be read",
                "从这里开始的元素没有结束（引号或括号未闭合），其后的内容无法读取"
            );
            on(Piece::Broken { line: from, reason })
        }
    }
}

impl Nesting {
    /// Goes on through `bytes`: how many belong to the element, and whether it ends with them. An
    /// object or list ends with its closing bracket; anything else ends before a comma or bracket.
    fn scan(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (i, &byte) in bytes.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
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
        }
        (bytes.len(), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// Pieces as text: `3:{…}` for a record, `3!` for a break. A tiny buffer puts every border between two reads.
    fn pieces(input: &[u8]) -> Vec<String> {
        let mut wholes = Vec::new();
        for capacity in [1, 3, 4096] {
            let mut out = Vec::new();
            for_each(BufReader::with_capacity(capacity, input), "f", &mut |piece| {
                out.push(match piece {
                    Piece::Record { line, bytes } => format!("{line}:{}", String::from_utf8_lossy(bytes)),
                    Piece::Broken { line, .. } => format!("{line}!"),
                });
                Ok(())
            })
            .unwrap();
            wholes.push(out);
        }
        assert!(wholes.windows(2).all(|w| w[0] == w[1]), "{wholes:?}");
        wholes.remove(0)
    }

    #[test]
    fn lines_keep_their_numbers() {
        assert_eq!(pieces(b"{\"a\":1}\r\n\r\n ......\n{}"), ["1:{\"a\":1}", "3:......", "4:{}"]);
        assert_eq!(pieces(b"\xef\xbb\xbf\n\n{}\n"), ["3:{}"]);
        assert_eq!(pieces(b" \n\t"), Vec::<String>::new());
        assert_eq!(pieces(b""), Vec::<String>::new());
    }

    #[test]
    fn array_elements_keep_their_lines() {
        assert_eq!(pieces(b"\xef\xbb\xbf[\n{\"a\":\n[1,2]},\n\n{}\n]\n"), ["2:{\"a\":\n[1,2]}", "5:{}"]);
        assert_eq!(pieces(b"[]"), Vec::<String>::new());
        assert_eq!(pieces(b"[{},]"), ["1:{}"]);
    }

    #[test]
    fn brackets_and_quotes_in_strings_do_not_count() {
        assert_eq!(pieces(br#"[{"a":"]},{\"["},{"b":"\\"}]"#), [r#"1:{"a":"]},{\"["}"#, r#"1:{"b":"\\"}"#]);
    }

    #[test]
    fn a_broken_array_keeps_what_came_before() {
        assert_eq!(pieces(b"[{},\n{\"a\":1},\n{\"b\":\"x"), ["1:{}", "2:{\"a\":1}", "3!"]);
        assert_eq!(pieces(b"[{},\n{}\n"), ["1:{}", "2:{}", "3!"]);
        assert_eq!(pieces(b"[{}\n{}]"), ["1:{}", "2!", "2:{}"]);
        assert_eq!(pieces(b"[{}]\n[{}]"), ["1:{}", "2!"]);
        assert_eq!(pieces(b"[{},\n......,\nnull]"), ["1:{}", "2:......", "3:null"]);
    }

    #[test]
    fn other_kinds_of_file_are_named() {
        for (bytes, word) in [(&b"\x1f\x8b\x08\x00"[..], "gzip"), (b"\xff\xfe{\x00", "UTF-16"), (b"PAR1", "parquet")] {
            let error = for_each(bytes, "f", &mut |_| Ok(())).unwrap_err();
            assert_eq!(error.kind, Kind::Unsupported);
            assert!(error.message.contains(word), "{}", error.message);
        }
    }
}
