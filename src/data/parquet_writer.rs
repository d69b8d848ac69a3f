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
pub fn write_rows<W: Write + Send>(
    to: W,
    rows: &[(u64, &Example)],
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

/// A column of a table; `None` is null.
#[derive(Clone, Debug, PartialEq)]
pub enum TableColumn {
    /// Texts.
    Texts(Vec<Option<String>>),
    /// 64-bit floating-point numbers.
    Numbers(Vec<Option<f64>>),
}

/// Writes a table of equally long columns. A name's characters other than letters, digits and `_` become `_`.
///
/// # Errors
/// `failed` of those of writing.
pub fn write_table<W: Write + Send>(
    to: W,
    columns: &[(String, TableColumn)],
    failed: impl Fn(&dyn std::fmt::Display) -> Error,
) -> Result<()> {
    let plain = |name: &str| name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect::<String>();
    let schema: String = columns
        .iter()
        .map(|(name, column)| match column {
            TableColumn::Texts(_) => format!("OPTIONAL BYTE_ARRAY {} (STRING); ", plain(name)),
            TableColumn::Numbers(_) => format!("OPTIONAL DOUBLE {}; ", plain(name)),
        })
        .collect();
    let mut writer = writer(to, &format!("message items {{ {schema} }}")).map_err(|e| failed(&e))?;
    let mut group = writer.next_row_group().map_err(|e| failed(&e))?;
    for (_, column) in columns {
        let mut to =
            group.next_column().map_err(|e| failed(&e))?.ok_or_else(|| Error::internal("a column is missing"))?;
        match (column, to.untyped()) {
            (TableColumn::Texts(cells), ColumnWriter::ByteArrayColumnWriter(to)) => {
                let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
                let values: Vec<ByteArray> =
                    cells.iter().flatten().map(|cell| ByteArray::from(cell.as_str())).collect();
                to.write_batch(&values, Some(&levels), None).map_err(|e| failed(&e))?;
            }
            (TableColumn::Numbers(cells), ColumnWriter::DoubleColumnWriter(to)) => {
                let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
                let values: Vec<f64> = cells.iter().flatten().copied().collect();
                to.write_batch(&values, Some(&levels), None).map_err(|e| failed(&e))?;
            }
            _ => return Err(Error::internal("a column is not of its kind")),
        }
        to.close().map_err(|e| failed(&e))?;
    }
    group.close().map_err(|e| failed(&e))?;
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
    fn a_table_comes_back_with_its_kinds_and_gaps() {
        use parquet::file::reader::{FileReader, SerializedFileReader};
        let texts = TableColumn::Texts(vec![Some("甲".into()), None, Some("a,\"b\"".into())]);
        let numbers = TableColumn::Numbers(vec![None, Some(-0.5), Some(f64::MAX)]);
        let mut file = tempfile::tempfile().unwrap();
        let columns = [("name".to_owned(), texts), ("exact,match".to_owned(), numbers)];
        write_table(&mut file, &columns, |e| Error::internal(e.to_string())).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let rows: Vec<String> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
        assert_eq!(rows.len(), 3);
        assert!(rows[0].contains("甲") && rows[0].contains("exact_match: null"), "{}", rows[0]);
        assert!(rows[1].contains("name: null") && rows[1].contains("-5E-1"), "{}", rows[1]);
    }

    #[test]
    fn rows_come_back_from_parquet() {
        let row = |i: usize| Example {
            instruction: format!("问题{i}"),
            input: if i.is_multiple_of(3) { "材料".to_owned() } else { String::new() },
            output: "答\"\n".to_owned(),
            history: if i.is_multiple_of(5) { vec![("q".to_owned(), "a".to_owned())] } else { Vec::new() },
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
