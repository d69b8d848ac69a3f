//! From a file's bytes to text: unpacks gzip and zstd, and turns UTF-16 and GB18030 into UTF-8, all while reading.
//!
//! What cannot be turned into text must not pass for text. A byte that UTF-8 never has ([`POISON`]) takes its place, so the
//! record around it is refused like any other that is not UTF-8, and [`Condition`] knows the true reason.

use crate::error::{Error, Kind, Result};
use crate::tr;
use encoding_rs::{Decoder, DecoderResult, Encoding, GB18030, UTF_16BE, UTF_16LE};
use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

/// Stands where the file holds something that is no text.
const POISON: u8 = 0xff;
/// Bytes that are looked at before an encoding is chosen, and decoded at once.
const WINDOW: usize = 1 << 16;

/// What became known of a file while it was read.
#[derive(Default)]
pub(super) struct Condition {
    /// The name of the encoding when it is not UTF-8.
    encoding: Cell<Option<&'static str>>,
    /// Why unpacking stopped before the end.
    damage: RefCell<Option<String>>,
}

impl Condition {
    /// The encoding that the file was converted from.
    pub fn converted_from(&self) -> Option<&'static str> {
        self.encoding.get()
    }

    /// Why `bytes` (a record) are not text from `at` on, when the reason lies in the source.
    pub fn blame(&self, bytes: &[u8], at: usize) -> Option<String> {
        if bytes.get(at) != Some(&POISON) {
            return None;
        }
        if let Some(damage) = self.damage.borrow().as_ref() {
            return Some(damage.clone());
        }
        let encoding = self.encoding.get()?;
        Some(tr!("this record holds bytes that are not {encoding}", "该记录含有不是 {encoding} 的字节"))
    }
}

/// A file, unpacked.
pub(super) enum Source<'r> {
    /// UTF-8, apart from poison.
    Text(Box<dyn BufRead + 'r>, Rc<Condition>),
    /// A Parquet file, whole.
    Parquet(Box<dyn Read + 'r>),
}

/// Opens what `reader` holds. `file` is its name in messages.
///
/// # Errors
/// `Unsupported` for contents that are neither text nor a known packing of it, and those of reading.
pub(super) fn open<'r>(reader: impl BufRead + 'r, file: &str) -> Result<Source<'r>> {
    let condition = Rc::new(Condition::default());
    let (head, reader) = peek(reader, file)?;
    let unpacked: Box<dyn BufRead + 'r> = if head.starts_with(b"\x1f\x8b") {
        unpack(flate2::bufread::MultiGzDecoder::new(reader), "gzip", &condition)
    } else if head.starts_with(b"\x28\xb5\x2f\xfd") {
        let decoder = zstd::stream::read::Decoder::with_buffer(reader).map_err(|e| io_error(file, &e))?;
        unpack(decoder, "zstd", &condition)
    } else {
        Box::new(reader)
    };
    let (head, reader) = peek(unpacked, file)?;
    if head.starts_with(b"PAR1") {
        return Ok(Source::Parquet(Box::new(reader)));
    }
    refuse_binary(&head, file)?;
    let (skip, encoding) = match head.as_slice() {
        [0xef, 0xbb, 0xbf, ..] => (3, None),
        [0xff, 0xfe, ..] => (2, Some(UTF_16LE)),
        [0xfe, 0xff, ..] => (2, Some(UTF_16BE)),
        // No mark, but every other byte of ASCII is zero in UTF-16, and text begins with ASCII in every format here.
        [a, 0, b, 0] if *a > 0 && *b > 0 => (0, Some(UTF_16LE)),
        [0, a, 0, b] if *a > 0 && *b > 0 => (0, Some(UTF_16BE)),
        _ => (0, None),
    };
    let mut reader = reader;
    io::copy(&mut reader.by_ref().take(skip), &mut io::sink()).map_err(|e| io_error(file, &e))?;
    let mut text = Text { inner: reader, state: State::Ascii, ready: Vec::new(), at: 0, condition: condition.clone() };
    if let Some(encoding) = encoding {
        text.decode_from(encoding);
    } else if skip > 0 {
        text.state = State::Utf8;
    }
    Ok(Source::Text(Box::new(text), condition))
}

/// The first four bytes, which stay in the reader.
fn peek<'r>(mut reader: impl BufRead + 'r, file: &str) -> Result<(Vec<u8>, impl BufRead + 'r)> {
    let mut head = Vec::with_capacity(4);
    reader.by_ref().take(4).read_to_end(&mut head).map_err(|e| io_error(file, &e))?;
    Ok((head.clone(), io::Cursor::new(head).chain(reader)))
}

/// Tells by their first bytes the kinds of file that people take for text.
fn refuse_binary(head: &[u8], file: &str) -> Result<()> {
    let kinds: [(&[u8], &str); 7] = [
        (b"PK\x03\x04", "zip/xlsx"),
        (b"\xd0\xcf\x11\xe0", "Excel (xls)"),
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh", "bzip2"),
        (b"\xfd7zX", "xz"),
        (b"%PDF", "PDF"),
    ];
    match kinds.iter().find(|(magic, _)| head.starts_with(magic)) {
        None => Ok(()),
        Some((_, kind)) => Err(Error::new(Kind::Unsupported, tr!("{file} is a {kind} file", "{file} 是 {kind} 文件"))
            .hint(tr!(
                "unpack it, or save the sheet as CSV: JSON, JSON lines, CSV, TSV, Parquet and text can be imported, each also as .gz or .zst",
                "请先解压，或将表格另存为 CSV：可导入 JSON、JSON Lines、CSV、TSV、Parquet 与纯文本，均可为 .gz 或 .zst"
            ))),
    }
}

/// The error of reading `file`.
pub(super) fn io_error(file: &str, error: &io::Error) -> Error {
    Error::io(Path::new(file), error)
}

fn unpack<'r>(decoder: impl Read + 'r, kind: &'static str, condition: &Rc<Condition>) -> Box<dyn BufRead + 'r> {
    let sound = Sound { decoder: Some(decoder), kind, condition: Rc::clone(condition) };
    Box::new(BufReader::with_capacity(1 << 18, sound))
}

/// A decoder whose damage ends the file with [`POISON`] instead of failing: the records before it are good.
struct Sound<D> {
    decoder: Option<D>,
    kind: &'static str,
    condition: Rc<Condition>,
}

impl<D: Read> Read for Sound<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(decoder) = &mut self.decoder else { return Ok(0) };
        match decoder.read(buffer) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => {
                let kind = self.kind;
                self.decoder = None;
                *self.condition.damage.borrow_mut() = Some(tr!(
                    "the {kind} file is damaged or cut off here ({e}); nothing after this could be read",
                    "{kind} 文件在此处损坏或被截断（{e}），其后的内容无法读取"
                ));
                match buffer.first_mut() {
                    Some(first) => {
                        *first = POISON;
                        Ok(1)
                    }
                    None => Ok(0),
                }
            }
            result => result,
        }
    }
}

enum State {
    /// So far every byte was ASCII, which all encodings here share.
    Ascii,
    /// Bytes go through as they are.
    Utf8,
    Decoding(Decoder),
    /// The decoder has given everything.
    Done,
}

/// Text as UTF-8.
struct Text<R> {
    inner: R,
    state: State,
    /// Bytes to give before anything else, from `at` on.
    ready: Vec<u8>,
    at: usize,
    condition: Rc<Condition>,
}

impl<R: BufRead> Text<R> {
    fn decode_from(&mut self, encoding: &'static Encoding) {
        self.condition.encoding.set(Some(encoding.name().trim_end_matches("LE").trim_end_matches("BE")));
        self.state = State::Decoding(encoding.new_decoder_without_bom_handling());
    }

    /// Chooses by what follows the first byte that is not ASCII.
    fn choose(&mut self) -> io::Result<()> {
        let mut window = Vec::with_capacity(WINDOW);
        self.inner.by_ref().take(WINDOW as u64).read_to_end(&mut window)?;
        if is_gb18030(&window, window.len() < WINDOW) {
            self.decode_from(GB18030);
            self.decode(&window, window.len() < WINDOW);
        } else {
            self.state = State::Utf8;
            self.ready = window;
        }
        Ok(())
    }

    /// Decodes `bytes` into `ready`.
    fn decode(&mut self, mut bytes: &[u8], last: bool) {
        let State::Decoding(decoder) = &mut self.state else { return };
        loop {
            let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(bytes.len()).max(16);
            let start = self.ready.len();
            self.ready.resize(start + room, 0);
            let target = self.ready.get_mut(start..).unwrap_or_default();
            let (result, read, written) = decoder.decode_to_utf8_without_replacement(bytes, target, last);
            self.ready.truncate(start + written);
            bytes = bytes.get(read..).unwrap_or_default();
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => self.ready.push(POISON),
            }
        }
        if last {
            self.state = State::Done;
        }
    }
}

impl<R: BufRead> Read for Text<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut chunk = self.fill_buf()?;
        let n = chunk.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl<R: BufRead> BufRead for Text<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        loop {
            if self.at < self.ready.len() {
                return Ok(self.ready.get(self.at..).unwrap_or_default());
            }
            self.ready.clear();
            self.at = 0;
            match &self.state {
                State::Utf8 => return self.inner.fill_buf(),
                State::Done => return Ok(&[]),
                State::Ascii => {
                    let chunk = self.inner.fill_buf()?;
                    let plain =
                        if chunk.is_ascii() { chunk.len() } else { chunk.iter().take_while(|b| b.is_ascii()).count() };
                    if plain > 0 || chunk.is_empty() {
                        // Asked a second time because the first answer cannot be kept across `choose`.
                        return self.inner.fill_buf().map(|chunk| chunk.get(..plain).unwrap_or_default());
                    }
                    self.choose()?;
                }
                State::Decoding(_) => {
                    let mut window = Vec::with_capacity(WINDOW);
                    self.inner.by_ref().take(WINDOW as u64).read_to_end(&mut window)?;
                    self.decode(&window, window.len() < WINDOW);
                }
            }
        }
    }

    fn consume(&mut self, n: usize) {
        if self.at < self.ready.len() { self.at += n } else { self.inner.consume(n) }
    }
}

/// Whether `bytes` are Chinese text in GB18030 (or its subsets GBK and GB2312) rather than UTF-8 with faults.
///
/// Nearly any bytes decode as GB18030, so that alone says nothing. Real text consists mostly of the characters of GB2312,
/// whose two bytes are both above 0xA0, and its bytes are hardly ever UTF-8: a pair has the form of a two-byte character
/// in one case of seven.
fn is_gb18030(bytes: &[u8], whole: bool) -> bool {
    let (mut good, mut faults) = (0usize, 0usize);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        faults += usize::from(!chunk.invalid().is_empty());
    }
    // The window may end within a character.
    let tail = usize::from(!whole);
    if faults <= tail || good >= faults {
        return false;
    }
    let (mut at, mut wide, mut common, mut broken) = (0, 0usize, 0usize, 0usize);
    while let Some(&lead) = bytes.get(at) {
        let rest = (bytes.get(at + 1), bytes.get(at + 2), bytes.get(at + 3));
        at += match (lead, rest) {
            (0..=0x7f, _) => 1,
            (0x81..=0xfe, (Some(0x30..=0x39), Some(0x81..=0xfe), Some(0x30..=0x39))) => {
                wide += 1;
                4
            }
            (0x81..=0xfe, (Some(0x40..=0x7e | 0x80..=0xfe), _, _)) => {
                wide += 1;
                // Characters, and the punctuation and full-width forms of the first rows.
                common += usize::from(matches!((lead, rest.0), (0xa1..=0xa3 | 0xb0..=0xf7, Some(0xa1..))));
                2
            }
            (0x81..=0xfe, (None, _, _)) if !whole => 1,
            _ => {
                broken += 1;
                1
            }
        };
    }
    broken * 50 <= wide && common * 10 >= wide * 6
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn text(bytes: &[u8]) -> (Vec<u8>, Rc<Condition>) {
        let mut whole = None;
        for capacity in [1, 7, 4096] {
            let reader = BufReader::with_capacity(capacity, bytes);
            let Source::Text(mut reader, condition) = open(reader, "f").unwrap() else { panic!("parquet") };
            let mut out = Vec::new();
            reader.read_to_end(&mut out).unwrap();
            assert!(whole.as_ref().is_none_or(|before| *before == out));
            whole = Some(out);
            if capacity == 4096 {
                return (whole.unwrap(), condition);
            }
        }
        unreachable!()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(bytes).unwrap();
        gz.finish().unwrap()
    }

    const CHINESE: &str = "instruction,output\n什么是基金？,一种集合投资的方式。\n";

    #[test]
    fn every_encoding_gives_the_same_text() {
        let utf16 = |to: fn(u16) -> [u8; 2]| CHINESE.encode_utf16().flat_map(to).collect::<Vec<u8>>();
        let (gb, _, _) = GB18030.encode(CHINESE);
        for bytes in [
            CHINESE.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", CHINESE.as_bytes()].concat(),
            [vec![0xff, 0xfe], utf16(u16::to_le_bytes)].concat(),
            [vec![0xfe, 0xff], utf16(u16::to_be_bytes)].concat(),
            utf16(u16::to_le_bytes),
            utf16(u16::to_be_bytes),
            gb.to_vec(),
            gzip(CHINESE.as_bytes()),
            gzip(&gb),
            zstd::encode_all(CHINESE.as_bytes(), 1).unwrap(),
        ] {
            assert_eq!(String::from_utf8(text(&bytes).0).unwrap(), CHINESE);
        }
        assert_eq!(text(&gb).1.converted_from(), Some("gb18030"));
    }

    /// The first Chinese character may come late, and the window may cut one in two.
    #[test]
    fn a_long_file_is_decoded_throughout() {
        for head in [0, 1, WINDOW - 1, 3 * WINDOW] {
            let long = format!("{}{}", "a".repeat(head), "基金经理的业绩。".repeat(20_000));
            let (gb, _, _) = GB18030.encode(&long);
            assert_eq!(String::from_utf8(text(&gb).0).unwrap(), long);
            assert_eq!(text(long.as_bytes()).0, long.as_bytes());
        }
    }

    #[test]
    fn faults_in_utf_8_are_not_taken_for_another_encoding() {
        for bytes in
            [&b"caf\xe9 au lait, d\xe9j\xe0 vu"[..], "什么是基金\u{fffd}".as_bytes(), b"\xff\xff\xff", b"\x80", b"\xc3"]
        {
            assert_eq!(text(bytes).0, bytes);
        }
        let mut mixed = "基金与债券。".repeat(50).into_bytes();
        mixed.extend(b"\xbb\xf9\xbd\xf0\n");
        assert_eq!(text(&mixed).0, mixed);
    }

    #[test]
    fn what_cannot_be_decoded_is_marked_and_blamed() {
        let (gb, _, _) = GB18030.encode("基金经理的业绩如何评价？");
        let bytes = [gb.repeat(20), b"\xff\xff\n".to_vec()].concat();
        let (out, condition) = text(&bytes);
        let at = std::str::from_utf8(&out).unwrap_err().valid_up_to();
        assert!(condition.blame(&out, at).unwrap().contains("gb18030"));
        let odd = text(b"\xff\xfea\x00b").0;
        assert_eq!(odd, b"a\xff");
    }

    #[test]
    fn a_cut_archive_ends_in_poison_and_the_reason() {
        let long: String = (0..20_000).map(|i| format!("{i} {}\n", i * 7919)).collect();
        for whole in [gzip(long.as_bytes()), zstd::encode_all(long.as_bytes(), 1).unwrap()] {
            let (out, condition) = text(&whole[..whole.len() * 2 / 3]);
            assert_eq!(out.last(), Some(&POISON));
            assert!(long.as_bytes().starts_with(&out[..out.len() - 1]));
            assert!(condition.blame(&out, out.len() - 1).unwrap().contains("cut off"));
        }
    }

    #[test]
    fn other_kinds_of_file_are_named() {
        for (bytes, word) in [(&b"PK\x03\x04xx"[..], "xlsx"), (b"%PDF-1.7", "PDF"), (&gzip(&gzip(b"x")), "gzip")] {
            let error = open(bytes, "f").err().unwrap();
            assert_eq!(error.kind, Kind::Unsupported);
            assert!(error.message.contains(word), "{}", error.message);
        }
        assert!(matches!(open(&b"PAR1"[..], "f"), Ok(Source::Parquet(_))));
    }
}
