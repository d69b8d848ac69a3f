//! Reads instruction files row by row: each record becomes a row or a refusal with its place.

use super::example::{Example, RowHash};
use super::fields::{self, FieldMap};
use super::records::{self, Piece};
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::Arc;

/// How a file's records are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Found out from the contents.
    #[default]
    Auto,
    /// `instruction`, `input`, `output`, `system`, `history`.
    Alpaca,
    /// A list of messages: `conversations` with `from` and `value` (sharegpt), or `messages` with `role` and `content`.
    /// Either is read under either name.
    Conversation,
}

impl Format {
    /// The format called `name`.
    ///
    /// # Errors
    /// `Unsupported` for a format that other tools know and this version does not, `InvalidInput` for any other name.
    pub fn parse(name: &str) -> Result<Format> {
        match name {
            "auto" => Ok(Format::Auto),
            "alpaca" => Ok(Format::Alpaca),
            "sharegpt" | "messages" => Ok(Format::Conversation),
            "csv" | "tsv" | "parquet" => Err(unsupported(name)),
            _ => Err(Error::new(Kind::InvalidInput, tr!("no format `{name}`", "没有格式 `{name}`"))
                .hint(tr!("use one of: auto, alpaca, sharegpt, messages", "可用：auto、alpaca、sharegpt、messages"))),
        }
    }
}

fn unsupported(format: &str) -> Error {
    Error::new(Kind::Unsupported, tr!("the format `{format}` cannot be imported yet", "暂不支持导入 `{format}` 格式")).hint(tr!(
        "supported, as a JSON array or as JSON lines: alpaca (fields instruction, input, output, system, history; --map FIELD=COLUMN renames them), sharegpt and messages",
        "支持 JSON 数组或 JSON Lines：alpaca（字段 instruction、input、output、system、history；--map 字段=列 可改名）、sharegpt、messages"
    ))
}

/// How files are read.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Layout of the records.
    pub format: Format,
    /// Other names of fields.
    pub map: FieldMap,
    /// `zh` or `en` for every row; `None`: each row's own `lang`, or by its share of Chinese characters.
    pub lang: Option<&'static str>,
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
    /// The line on which the row begins, from 1.
    pub line: u64,
}

/// A record that is no row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reject {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// Why, for people.
    pub reason: String,
    /// The record as it stood in the file, at most [`RAW`] bytes of it. Not part of reports.
    #[serde(skip)]
    pub raw: String,
}

/// Bytes that are kept of a refused record: enough to correct nearly all of them, and a bound for a file of rubbish.
pub const RAW: usize = 16 << 10;

/// The beginning of a record's bytes as text; what is not UTF-8 becomes a mark.
fn raw(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..RAW).unwrap_or(bytes)).into_owned()
}

/// What a file's next record is.
#[derive(Clone, Debug)]
pub enum Record {
    /// A row.
    Row(Row),
    /// No row.
    Reject(Reject),
}

/// Reads `reader` to its end and hands each record to `on`, in order. Memory holds one record at a
/// time. `file` is the name to record. Gives how often each field occurred that was left aside.
///
/// # Errors
/// Those of reading and of `on`; `Unsupported` when the file as a whole is in a format that is not
/// supported. A record that is malformed is no error but a [`Record::Reject`].
pub fn read(
    reader: impl BufRead,
    file: &str,
    options: &ImportOptions,
    on: &mut dyn FnMut(Record) -> Result<()>,
) -> Result<BTreeMap<String, u64>> {
    if options.format == Format::Auto {
        let name = file.to_ascii_lowercase();
        if let Some(format) = ["csv", "tsv", "parquet"].iter().find(|ext| name.ends_with(&format!(".{ext}"))) {
            return Err(unsupported(format));
        }
    }
    let name: Arc<str> = Arc::from(file);
    let mut left_aside = BTreeMap::new();
    let mut first = true;
    records::for_each(reader, file, &mut |piece| {
        let (line, bytes) = match piece {
            Piece::Record { line, bytes } => (line, bytes),
            Piece::Broken { line, reason } => {
                return on(Record::Reject(Reject { file: file.to_owned(), line, reason, raw: String::new() }));
            }
        };
        let row =
            fields::parse_row(bytes, options.format, &options.map, &mut |field| match left_aside.get_mut(field) {
                Some(count) => *count += 1,
                None => _ = left_aside.insert(field.to_owned(), 1),
            });
        let starts = std::mem::take(&mut first);
        match row {
            Ok(mut example) => {
                if let Some(lang) = options.lang {
                    lang.clone_into(&mut example.lang);
                }
                let hash = example.hash();
                on(Record::Row(Row { example, hash, file: Arc::clone(&name), line }))
            }
            // The first record speaks for its file: without this, a whole file in another format
            // would come out as a long list of rejects.
            Err(refusal) if starts && refusal.other_format => Err(Error::new(
                Kind::InvalidInput,
                format!("{file}:{line}: {}", refusal.reason),
            )
            .hint(tr!("leave out --format, or use --format sharegpt", "请去掉 --format，或使用 --format sharegpt"))),
            Err(refusal) => {
                let line = line + refusal.line_offset;
                on(Record::Reject(Reject { file: file.to_owned(), line, reason: refusal.reason, raw: raw(bytes) }))
            }
        }
    })?;
    Ok(left_aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(bytes: &[u8], options: &ImportOptions) -> (Vec<Row>, Vec<Reject>) {
        let (mut rows, mut rejects) = (Vec::new(), Vec::new());
        read(bytes, "f.json", options, &mut |record| {
            match record {
                Record::Row(row) => rows.push(row),
                Record::Reject(reject) => rejects.push(reject),
            }
            Ok(())
        })
        .unwrap();
        (rows, rejects)
    }

    #[test]
    fn a_bad_line_does_not_stop_the_others() {
        let text = "\u{feff}{\"instruction\":\"a\",\"output\":\"b\"}\r\n......\r\n\r\n...\n{\"instruction\":\"c\",\"output\":\"d\"}";
        let (rows, rejects) = import(text.as_bytes(), &ImportOptions::default());
        assert_eq!(rows.iter().map(|r| r.line).collect::<Vec<_>>(), [1, 5]);
        assert_eq!(rejects.iter().map(|r| r.line).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(&*rows[0].file, "f.json");
    }

    #[test]
    fn an_element_is_blamed_at_the_line_of_its_fault() {
        let text = "[\n{\"instruction\":\"a\",\"output\":\"b\"},\n{\"instruction\":\"c\",\n\"output\" \"d\"},\n{\"instruction\":\"e\",\"output\":\"f\"}]";
        let (rows, rejects) = import(text.as_bytes(), &ImportOptions::default());
        assert_eq!(rows.iter().map(|r| r.line).collect::<Vec<_>>(), [2, 5]);
        assert_eq!(rejects.iter().map(|r| r.line).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn latin_1_is_reported_and_the_rest_goes_on() {
        let bytes = b"{\"instruction\":\"caf\xe9\",\"output\":\"b\"}\n{\"instruction\":\"a\",\"output\":\"b\"}\n";
        let (rows, rejects) = import(bytes, &ImportOptions::default());
        assert_eq!((rows.len(), rejects.len()), (1, 1));
        assert!(rejects[0].reason.contains("0xE9"), "{}", rejects[0].reason);
    }

    #[test]
    fn a_given_language_holds_for_every_row() {
        let line = b"{\"instruction\":\"a\",\"output\":\"b\",\"lang\":\"en\"}";
        let (rows, _) = import(line, &ImportOptions { lang: Some("zh"), ..ImportOptions::default() });
        assert_eq!(rows[0].example.lang, "zh");
    }

    #[test]
    fn other_formats_are_named_not_listed_as_rejects() {
        for (name, format) in [("parquet", Kind::Unsupported), ("csv", Kind::Unsupported), ("x", Kind::InvalidInput)] {
            let error = Format::parse(name).unwrap_err();
            assert_eq!(error.kind, format);
            assert!(error.hint.unwrap().contains("alpaca"));
        }
        let shared = br#"[{"conversations":[{"from":"human","value":"q"}]}]"#;
        let alpaca = ImportOptions { format: Format::Alpaca, ..ImportOptions::default() };
        let error = read(&shared[..], "f.json", &alpaca, &mut |_| Ok(())).unwrap_err();
        assert_eq!(error.kind, Kind::InvalidInput);
        let error = read(&b"a,b\n"[..], "f.CSV", &ImportOptions::default(), &mut |_| Ok(())).unwrap_err();
        assert_eq!(error.kind, Kind::Unsupported);
    }
}
