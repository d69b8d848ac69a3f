//! Tables written as Parquet: rows of a dataset, and items of a report. Token ids have a file of their own (`token_files`).

use super::example::Example;
use super::export::{COLUMNS, checked_cells};
use crate::error::{Error, Kind, Result};
use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of a row group: what a reader decodes at once, and what a writer holds.
const GROUP: usize = 10_000;

/// Bytes of text after which a group ends although it has fewer rows.
const GROUP_BYTES: usize = 32 << 20;

pub(super) fn writer<W: Write + Send>(to: W, schema: &str) -> Result<SerializedFileWriter<W>, ParquetError> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    SerializedFileWriter::new(to, Arc::new(parse_message_type(schema)?), Arc::new(properties))
}

/// What went wrong with the file called `file`. A full disk stays a full disk.
pub(super) fn failed(file: &Path, error: ParquetError) -> Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(cause) => Error::io(file, &cause),
            Err(cause) => Error::new(Kind::Io, format!("{}: {cause}", file.display())),
        },
        error => Error::new(Kind::Io, format!("{}: {error}", file.display())),
    }
}

/// A Parquet file of rows as texts, with the columns of tables; an empty text is null. It holds one group of rows at a time.
pub struct RowTable<W: Write + Send> {
    file: PathBuf,
    writer: SerializedFileWriter<W>,
    cells: Vec<[String; COLUMNS.len()]>,
    held: usize,
}

impl<W: Write + Send> RowTable<W> {
    /// Begins a file, which is called `file` in errors.
    ///
    /// # Errors
    /// Those of writing.
    pub fn new(to: W, file: &Path) -> Result<RowTable<W>> {
        let columns: String = COLUMNS.iter().map(|name| format!("OPTIONAL BYTE_ARRAY {name} (STRING); ")).collect();
        let writer = writer(to, &format!("message rows {{ {columns} }}")).map_err(|e| failed(file, e))?;
        Ok(RowTable { file: file.to_owned(), writer, cells: Vec::new(), held: 0 })
    }

    /// Adds the row `e`; `number` names it in errors.
    ///
    /// # Errors
    /// `Unsupported` when a table cannot carry it exactly, and those of writing.
    pub fn row(&mut self, number: u64, e: &Example) -> Result<()> {
        let cells = checked_cells(number, e)?;
        self.held += cells.iter().map(String::len).sum::<usize>();
        self.cells.push(cells);
        if self.cells.len() < GROUP && self.held < GROUP_BYTES { Ok(()) } else { self.group() }
    }

    fn group(&mut self) -> Result<()> {
        let cells = std::mem::take(&mut self.cells);
        self.held = 0;
        write_group(&mut self.writer, &cells).map_err(|e| failed(&self.file, e))
    }

    /// Ends the file and gives back what it was written to.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(mut self) -> Result<W> {
        if !self.cells.is_empty() {
            self.group()?;
        }
        self.writer.into_inner().map_err(|e| failed(&self.file, e))
    }
}

fn write_group<W: Write + Send>(
    writer: &mut SerializedFileWriter<W>,
    cells: &[[String; COLUMNS.len()]],
) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    for column in 0..COLUMNS.len() {
        let all = || cells.iter().filter_map(|row| row.get(column));
        let levels: Vec<i16> = all().map(|cell| i16::from(!cell.is_empty())).collect();
        let values: Vec<ByteArray> =
            all().filter(|cell| !cell.is_empty()).map(|cell| ByteArray::from(cell.as_str())).collect();
        let Some(mut to) = group.next_column()? else { break };
        if let ColumnWriter::ByteArrayColumnWriter(to) = to.untyped() {
            to.write_batch(&values, Some(&levels), None)?;
        }
        to.close()?;
    }
    group.close().map(|_| ())
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
        let mut table = RowTable::new(Vec::new(), Path::new("x")).unwrap();
        rows.iter().zip(0..).for_each(|(row, number)| table.row(number, row).unwrap());
        let bytes = table.finish().unwrap();
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
