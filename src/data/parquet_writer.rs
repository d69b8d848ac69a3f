//! Tables written as Parquet: rows as texts, and rows as token ids.

use super::example::Example;
use super::export::{COLUMNS, checked_cells};
use crate::error::{Error, Result};
use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::io::Write;
use std::sync::Arc;

/// Rows of a row group: what a reader decodes at once.
const GROUP: usize = 10_000;

/// A row as a trainer takes it. All three lists are equally long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRow {
    /// Token ids.
    pub input_ids: Vec<i32>,
    /// The same ids where they are supervised, -100 elsewhere.
    pub labels: Vec<i32>,
}

/// The columns of token files, in order.
pub const TOKEN_COLUMNS: [&str; 3] = ["input_ids", "labels", "attention_mask"];

impl TokenRow {
    /// The values of the column `at` of [`TOKEN_COLUMNS`].
    pub fn column(&self, at: usize) -> Vec<i32> {
        match at {
            0 => self.input_ids.clone(),
            1 => self.labels.clone(),
            _ => vec![1; self.input_ids.len()],
        }
    }
}

fn writer<W: Write + Send>(to: W, schema: &str) -> Result<SerializedFileWriter<W>, ParquetError> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    SerializedFileWriter::new(to, Arc::new(parse_message_type(schema)?), Arc::new(properties))
}

/// Writes rows as texts, with the columns of tables; an empty text is null. Each row comes with its number.
///
/// # Errors
/// `Unsupported` when a row cannot be carried exactly, and `failed` of those of writing.
pub fn write_rows<'e, W: Write + Send>(
    to: W,
    rows: &[(u64, &'e Example)],
    failed: impl Fn(&dyn std::fmt::Display) -> Error,
) -> Result<()> {
    let columns: String = COLUMNS.iter().map(|name| format!("OPTIONAL BYTE_ARRAY {name} (STRING); ")).collect();
    let mut writer = writer(to, &format!("message rows {{ {columns} }}")).map_err(|e| failed(&e))?;
    for group in rows.chunks(GROUP) {
        let cells = group.iter().map(|(number, e)| checked_cells(*number, e)).collect::<Result<Vec<_>>>()?;
        let mut next = writer.next_row_group().map_err(|e| failed(&e))?;
        for column in 0..COLUMNS.len() {
            let all = || cells.iter().filter_map(|row| row.get(column));
            let levels: Vec<i16> = all().map(|cell| i16::from(!cell.is_empty())).collect();
            let values: Vec<ByteArray> =
                all().filter(|cell| !cell.is_empty()).map(|cell| ByteArray::from(cell.as_str())).collect();
            let mut to =
                next.next_column().map_err(|e| failed(&e))?.ok_or_else(|| Error::internal("a column is missing"))?;
            if let ColumnWriter::ByteArrayColumnWriter(to) = to.untyped() {
                to.write_batch(&values, Some(&levels), None).map_err(|e| failed(&e))?;
            }
            to.close().map_err(|e| failed(&e))?;
        }
        next.close().map_err(|e| failed(&e))?;
    }
    writer.close().map(|_| ()).map_err(|e| failed(&e))
}

/// Writes rows as token ids: lists of 32-bit integers under [`TOKEN_COLUMNS`].
///
/// # Errors
/// `failed` of those of writing.
pub fn write_tokens<W: Write + Send>(
    to: W,
    rows: &[TokenRow],
    failed: impl Fn(&dyn std::fmt::Display) -> Error,
) -> Result<()> {
    let columns: String = TOKEN_COLUMNS
        .iter()
        .map(|name| format!("REQUIRED group {name} (LIST) {{ REPEATED group list {{ REQUIRED INT32 element; }} }} "))
        .collect();
    let mut writer = writer(to, &format!("message tokens {{ {columns} }}")).map_err(|e| failed(&e))?;
    for group in rows.chunks(GROUP) {
        let mut next = writer.next_row_group().map_err(|e| failed(&e))?;
        for column in 0..TOKEN_COLUMNS.len() {
            let (mut values, mut present, mut repeats) = (Vec::new(), Vec::new(), Vec::new());
            for row in group {
                let list = row.column(column);
                // A level of 0 begins a list; an empty one has that level and no value.
                repeats.push(0i16);
                repeats.extend(std::iter::repeat_n(1, list.len().saturating_sub(1)));
                present.extend(std::iter::repeat_n(i16::from(!list.is_empty()), list.len().max(1)));
                values.extend(list);
            }
            let mut to =
                next.next_column().map_err(|e| failed(&e))?.ok_or_else(|| Error::internal("a column is missing"))?;
            if let ColumnWriter::Int32ColumnWriter(to) = to.untyped() {
                to.write_batch(&values, Some(&present), Some(&repeats)).map_err(|e| failed(&e))?;
            }
            to.close().map_err(|e| failed(&e))?;
        }
        next.close().map_err(|e| failed(&e))?;
    }
    writer.close().map(|_| ()).map_err(|e| failed(&e))
}

#[cfg(test)]
mod tests {
    use super::super::import::{ImportOptions, Record, read};
    use super::*;

    #[test]
    fn rows_come_back_from_parquet() {
        let row = |i: usize| Example {
            instruction: format!("问题{i}"),
            input: if i % 3 == 0 { "材料".to_owned() } else { String::new() },
            output: "答\"\n".to_owned(),
            history: if i % 5 == 0 { vec![("q".to_owned(), "a".to_owned())] } else { Vec::new() },
            lang: "zh".to_owned(),
            ..Example::default()
        };
        let mut rows: Vec<Example> = (0..GROUP + 10).map(row).collect();
        rows.push(Example { output: "正文".to_owned(), lang: "zh".to_owned(), ..Example::default() });
        let numbered: Vec<(u64, &Example)> = (0..).zip(&rows).collect();
        let mut bytes = Vec::new();
        write_rows(&mut bytes, &numbered, |e| Error::internal(e.to_string())).unwrap();
        let mut back = Vec::new();
        let report = read(&bytes[..], "x", &ImportOptions::default(), &mut |record| {
            match record {
                Record::Row(row) => back.push(row.example),
                Record::Reject(reject) => panic!("{reject:?}"),
            }
            Ok(())
        })
        .unwrap();
        assert!(back == rows && report.left_aside.is_empty() && report.remarks.is_empty());
        // Cut anywhere it is an error or a refusal, never a panic.
        for cut in (0..bytes.len()).step_by(bytes.len() / 50) {
            let _ = read(&bytes[..cut], "x", &ImportOptions::default(), &mut |_| Ok(()));
        }
    }
}
