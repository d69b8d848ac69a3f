//! Reads files of instruction data row by row: each record becomes a row or a refusal with its place.
//!
//! Everything comes through [`read`]: a file is unpacked and decoded (`source`), cut into records by its layout (`records`
//! for JSON, `delimited` for CSV and TSV, `parquet`, `plain` for text), and each record is read as a row (`fields`, `conversation`,
//! `tatqa`, `convfinqa`). Rows and refusals together are all records of the file.
//!
//! [`read`] finds out the layout; `table` and `json` take its records, `take` makes rows and refusals of them and `heard`
//! remembers what there is to say of the file.

mod columns;
mod heard;
mod json;
mod options;
mod record;
mod table;
mod take;

pub use heard::no_such_column;
pub use options::{Format, ImportOptions};
pub use record::{RAW, ReadReport, Record, Reject, Row};

use super::records::{self, skip_blanks};
use super::source::{self, Source, io_error};
use super::{parquet, plain};
use crate::error::{Error, Kind, Result};
use crate::tr;
use std::io::{BufRead, Cursor, Read};
use take::Records;

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
    let mut records = Records::new(file, options, on);
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
                columns::delimiter(file, format, &options.map, &head)
            };
            let reader = Cursor::new(head).chain(reader);
            match delimiter {
                Some(delimiter) => records.table(reader, delimiter, line)?,
                None => records::for_each(reader, line, file, &mut |piece| records.piece(piece))?,
            }
        }
    }
    Ok(records.report())
}

/// Bytes of the longest line that names columns.
const HEADER: u64 = 1 << 20;

fn not_this(file: &str, kind: String) -> Error {
    Error::new(Kind::InvalidInput, tr!("{file} is {kind}", "{file} 是 {kind}"))
        .hint(tr!("leave out --format: files are known by their contents", "请去掉 --format：程序按内容识别文件"))
}

#[cfg(test)]
mod tests;
