//! `data export`: a dataset as files that other programs read. Rows are read from the store one at a time, twice where a
//! file's head depends on all of them, so that memory does not grow with the dataset.

mod new_file;
mod rows;
mod texts;
mod tokens;

use self::new_file::{NewFile, gone};
use self::rows::{Rows, Tally};
use self::texts::{Card, LISTED, ListedSet, axolotl_config, card, list_of_sets, llama_factory_config};
use super::Workbench;
use crate::data::{RowFormat, RowShape, RowTable, RowWriter, Split};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink};
use crate::prompt::{LossOn, Template};
use crate::tr;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// One text file of rows.
    Rows(RowFormat),
    /// One Parquet file of rows.
    Parquet,
    /// A folder for LLaMA-Factory.
    LlamaFactory,
    /// A folder for axolotl.
    Axolotl,
    /// A folder of token ids for LLaMA-Factory, axolotl and TRL.
    Tokens(TokenSettings),
}

/// How rows become token ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// The model whose tokenizer is used.
    pub model: String,
    /// The prompt template.
    pub template: Template,
    /// Tokens of the longest row; longer ones are left out and listed.
    pub max_len: usize,
    /// Which answers are supervised.
    pub loss_on: LossOn,
}

/// What `data export` was asked for.
#[derive(Clone, Debug)]
pub struct ExportRequest {
    /// The dataset.
    pub name: String,
    /// What is written.
    pub format: ExportFormat,
    /// A file, or a folder for the formats that are one.
    pub output: PathBuf,
    /// Only these rows.
    pub split: Option<Split>,
}

/// A file that was written.
#[derive(Clone, Debug, Serialize)]
pub struct WrittenFile {
    /// Where it is.
    pub path: PathBuf,
    /// Rows in it; none in a configuration.
    pub rows: u64,
}

/// A row that is not in the files.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// As the dataset numbers it.
    pub row: u64,
    /// Why, for people.
    pub reason: String,
}

/// What an export did.
#[derive(Clone, Debug, Serialize)]
pub struct ExportReport {
    /// Name of the dataset.
    pub dataset: String,
    /// Its version.
    pub version: String,
    /// Rows in the files.
    pub rows: u64,
    /// Of them to be trained on.
    pub train: u64,
    /// Of them held out.
    pub val: u64,
    /// The files.
    pub files: Vec<WrittenFile>,
    /// Rows that token files leave out.
    pub left_out_rows: u64,
    /// The first [`LEFT_OUT`] of them; a file beside the others lists all.
    pub left_out: Vec<LeftOut>,
}

/// Rows that a report lists as left out: more of them would only fill memory.
pub const LEFT_OUT: usize = 10_000;

/// Writes a dataset to files. Each appears whole or not at all; folders that are missing are made. `events` hears of progress in rows.
///
/// # Errors
/// `NotFound` for the dataset or the model, `InvalidInput` when no row is left, `Unsupported` when the format cannot carry
/// a row exactly, `Interrupted`, `Io`, `NoSpace`.
pub fn export(
    bench: &Workbench,
    request: &ExportRequest,
    events: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<ExportReport> {
    let record = bench.store.dataset(&request.name)?;
    let passes = match &request.format {
        ExportFormat::Rows(RowFormat::Csv | RowFormat::Tsv) | ExportFormat::LlamaFactory => 2,
        _ => 1,
    };
    let rows = Rows::new(bench, &record, request.split, passes, events, cancel);
    let (train, val) = (rows.count(Split::Train), rows.count(Split::Val));
    if train + val == 0 {
        return Err(Error::new(Kind::InvalidInput, tr!("no rows to export", "没有可导出的数据行")).hint(tr!(
            "leave out --split, or hold rows out first: data split",
            "请去掉 --split，或先用 data split 留出数据"
        )));
    }
    let (tally, files, left_out) = (Tally::default(), Vec::new(), Vec::new());
    let mut export = Export { bench, name: &record.name, tally, files, left_out_rows: 0, left_out };
    match &request.format {
        ExportFormat::Rows(format) => {
            let table = matches!(format, RowFormat::Csv | RowFormat::Tsv);
            let shape = if table { rows.shape(None)? } else { RowShape::default() };
            let array = request.output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
            export.rows(&request.output, *format, array, &shape, &rows, None)?;
        }
        ExportFormat::Parquet => export.parquet(&request.output, &rows)?,
        ExportFormat::LlamaFactory => export.llama_factory(&request.output, &rows)?,
        ExportFormat::Axolotl => export.axolotl(&request.output, &rows)?,
        ExportFormat::Tokens(settings) => export.tokens(&request.output, settings, &rows)?,
    }
    rows.finish();
    let folder = !matches!(request.format, ExportFormat::Rows(_) | ExportFormat::Parquet);
    if folder {
        let rejects = bench.store.rejects(&request.name, LISTED)?;
        let text = card(&Card {
            record: &record,
            rejects: &rejects,
            tally: &export.tally,
            left_out: export.left_out_rows,
            files: &export.files,
            folder: &request.output,
        });
        export.text(&request.output.join("README.md"), &text)?;
    }
    let Export { tally, files, left_out, left_out_rows, .. } = export;
    Ok(ExportReport {
        rows: tally.rows(),
        train: tally.train,
        val: tally.val,
        files,
        left_out_rows,
        left_out,
        dataset: record.name,
        version: record.version,
    })
}

struct Export<'x> {
    bench: &'x Workbench,
    name: &'x str,
    tally: Tally,
    files: Vec<WrittenFile>,
    left_out_rows: u64,
    left_out: Vec<LeftOut>,
}

impl Export<'_> {
    /// Puts a file in its place.
    fn place(&mut self, file: NewFile, rows: u64) -> Result<()> {
        let path = file.finish()?;
        self.files.push(WrittenFile { path, rows });
        Ok(())
    }

    fn text(&mut self, path: &Path, text: &str) -> Result<()> {
        let mut file = NewFile::create(path)?;
        file.write_all(text.as_bytes()).map_err(|e| Error::io(path, &e))?;
        self.place(file, 0)
    }

    /// Writes the rows of `split`, or all, as one text file.
    fn rows(
        &mut self,
        path: &Path,
        format: RowFormat,
        array: bool,
        shape: &RowShape,
        rows: &Rows<'_>,
        split: Option<Split>,
    ) -> Result<()> {
        let io = |e: &std::io::Error| Error::io(path, e);
        let mut writer = RowWriter::new(NewFile::create(path)?, format, array, shape).map_err(|e| io(&e))?;
        let before = self.tally.rows();
        rows.each(split, &mut |row| {
            self.tally.add(&row.example);
            writer.row(row.row, &row.example, io)
        })?;
        let written = self.tally.rows() - before;
        self.place(writer.finish().map_err(|e| io(&e))?, written)
    }

    fn parquet(&mut self, path: &Path, rows: &Rows<'_>) -> Result<()> {
        let mut table = RowTable::new(NewFile::create(path)?, path)?;
        rows.each(None, &mut |row| {
            self.tally.add(&row.example);
            table.row(row.row, &row.example)
        })?;
        self.place(table.finish()?, self.tally.rows())
    }

    fn llama_factory(&mut self, folder: &Path, rows: &Rows<'_>) -> Result<()> {
        let shapes = [Split::Train, Split::Val].map(|split| rows.shape(Some(split)).map(|shape| (split, shape)));
        let [train, val] = shapes;
        let shapes = [train?, val?];
        if shapes.iter().any(|(_, shape)| shape.text && shape.asked) {
            return Err(Error::new(
                Kind::Unsupported,
                tr!(
                    "LLaMA-Factory takes plain text and instructions in sets of their own; this one has both",
                    "LLaMA-Factory 要求纯文本与指令数据分开；该数据集两者都有"
                ),
            )
            .hint(tr!("export as alpaca", "请导出为 alpaca")));
        }
        // Alpaca's layout has no place for what a tool returned.
        let tools = shapes.iter().any(|(_, shape)| shape.tool_turns);
        let format = if tools { RowFormat::ShareGpt } else { RowFormat::Alpaca };
        let mut sets = Vec::new();
        for (split, shape) in shapes {
            let name = format!("{}_{}", self.name, split.as_str());
            let path = folder.join(format!("{name}.json"));
            if rows.count(split) == 0 {
                gone(&path)?;
            } else {
                self.rows(&path, format, true, &shape, rows, Some(split))?;
                sets.push(ListedSet { name, format, shape });
            }
        }
        self.text(&folder.join("dataset_info.json"), &list_of_sets(&sets))?;
        let config = llama_factory_config(self.name, rows.count(Split::Val) > 0, None);
        self.text(&folder.join("llama-factory.yaml"), &config)
    }

    fn axolotl(&mut self, folder: &Path, rows: &Rows<'_>) -> Result<()> {
        for split in [Split::Train, Split::Val] {
            let path = folder.join(format!("{}.jsonl", split.as_str()));
            if rows.count(split) == 0 {
                gone(&path)?;
            } else {
                self.rows(&path, RowFormat::Messages, false, &RowShape::default(), rows, Some(split))?;
            }
        }
        self.text(&folder.join("axolotl.yaml"), &axolotl_config(rows.count(Split::Val) > 0, None))
    }
}
