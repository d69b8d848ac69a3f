//! Rows as token ids, as trainers take them: a Parquet file of three lists. The Arrow stream of the same lists is
//! `arrow_stream`.

use super::parquet_writer::{failed, writer};
use crate::error::Result;
use parquet::column::writer::ColumnWriter;
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Rows of a row group.
const GROUP: usize = 10_000;

/// Tokens after which a group ends although it has fewer rows: long rows must not make a writer large.
const GROUP_TOKENS: usize = 2 << 20;

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

/// A Parquet file of token ids: lists of 32-bit integers under [`TOKEN_COLUMNS`]. It holds one group of rows at a time.
pub struct TokenTable<W: Write + Send> {
    file: PathBuf,
    writer: SerializedFileWriter<W>,
    rows: Vec<TokenRow>,
    held: usize,
}

impl<W: Write + Send> TokenTable<W> {
    /// Begins a file, which is called `file` in errors.
    ///
    /// # Errors
    /// Those of writing.
    pub fn new(to: W, file: &Path) -> Result<TokenTable<W>> {
        let list = |name: &&str| {
            format!("REQUIRED group {name} (LIST) {{ REPEATED group list {{ REQUIRED INT32 element; }} }} ")
        };
        let columns: String = TOKEN_COLUMNS.iter().map(list).collect();
        let writer = writer(to, &format!("message tokens {{ {columns} }}")).map_err(|e| failed(file, e))?;
        Ok(TokenTable { file: file.to_owned(), writer, rows: Vec::new(), held: 0 })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// Those of writing.
    pub fn row(&mut self, row: TokenRow) -> Result<()> {
        self.held += row.input_ids.len();
        self.rows.push(row);
        if self.rows.len() < GROUP && self.held < GROUP_TOKENS { Ok(()) } else { self.group() }
    }

    fn group(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        self.held = 0;
        write_group(&mut self.writer, &rows).map_err(|e| failed(&self.file, e))
    }

    /// Ends the file and gives back what it was written to.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(mut self) -> Result<W> {
        if !self.rows.is_empty() {
            self.group()?;
        }
        self.writer.into_inner().map_err(|e| failed(&self.file, e))
    }
}

fn write_group<W: Write + Send>(writer: &mut SerializedFileWriter<W>, rows: &[TokenRow]) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    for column in 0..TOKEN_COLUMNS.len() {
        let (mut values, mut present, mut repeats) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            let list = row.column(column);
            // A level of 0 begins a list; an empty one has that level and no value.
            repeats.push(0i16);
            repeats.extend(std::iter::repeat_n(1, list.len().saturating_sub(1)));
            present.extend(std::iter::repeat_n(i16::from(!list.is_empty()), list.len().max(1)));
            values.extend(list);
        }
        let Some(mut to) = group.next_column()? else { break };
        if let ColumnWriter::Int32ColumnWriter(to) = to.untyped() {
            to.write_batch(&values, Some(&present), Some(&repeats))?;
        }
        to.close()?;
    }
    group.close().map(|_| ())
}
