//! `data export`: a dataset as files that other programs read.

use super::export_text::{
    Card, LISTED, ListedSet, Tuned, axolotl_config, card, list_of_sets, llama_factory_config, trl_config,
};
use super::{Workbench, models};
use crate::data::{Example, RowFormat, RowWriter, Split, TokenRow, write_rows, write_stream, write_tokens};
use crate::error::{Error, Kind, Result};
use crate::job::CancelToken;
use crate::prompt::{LossOn, Renderer, Template};
use crate::store::{RowQuery, StoredRow};
use crate::tr;
use serde::Serialize;
use serde_json::json;
use std::io::{self, BufWriter, Write};
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
    pub left_out: Vec<LeftOut>,
}

/// Writes a dataset to files. Each appears whole or not at all.
///
/// # Errors
/// `NotFound` for the dataset or the model, `InvalidInput` when no row is left, `Unsupported` when the format cannot carry
/// a row exactly, `Interrupted`, `Io`, `NoSpace`.
pub fn export(bench: &Workbench, request: &ExportRequest, cancel: &CancelToken) -> Result<ExportReport> {
    let record = bench.store.dataset(&request.name)?;
    let rows = bench.store.rows(&request.name, &RowQuery { split: request.split, ..RowQuery::default() })?;
    if rows.is_empty() {
        return Err(Error::new(Kind::InvalidInput, tr!("no rows to export", "没有可导出的数据行")).hint(tr!(
            "leave out --split, or hold rows out first: data split",
            "请去掉 --split，或先用 data split 留出数据"
        )));
    }
    let mut export = Export { name: &request.name, cancel, files: Vec::new(), left_out: Vec::new() };
    let (mut train, mut val): (Vec<&StoredRow>, Vec<&StoredRow>) =
        rows.iter().partition(|row| row.example.split == Split::Train);
    match &request.format {
        ExportFormat::Rows(format) => {
            let array = request.output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
            export.rows(&request.output, *format, array, &rows.iter().collect::<Vec<_>>())?;
        }
        ExportFormat::Parquet => export.parquet(&request.output, &rows)?,
        ExportFormat::LlamaFactory => export.llama_factory(&request.output, &train, &val)?,
        ExportFormat::Axolotl => export.axolotl(&request.output, &train, &val)?,
        ExportFormat::Tokens(settings) => {
            let sides = [(&mut train, "train"), (&mut val, "val")];
            export.tokens(bench, &request.output, settings, sides)?;
        }
    }
    let folder = !matches!(request.format, ExportFormat::Rows(_) | ExportFormat::Parquet);
    if folder {
        let rejects = bench.store.rejects(&request.name, LISTED)?;
        let all = train.iter().chain(&val).map(|row| &row.example);
        let text = card(&Card {
            record: &record,
            rejects: &rejects,
            train: train.len(),
            val: val.len(),
            zh: all.filter(|e| e.lang == "zh").count(),
            left_out: export.left_out.len(),
            files: &export.files,
            folder: &request.output,
        });
        export.text(&request.output.join("README.md"), &text)?;
    }
    let (train, val) = (train.len() as u64, val.len() as u64);
    let Export { files, left_out, .. } = export;
    Ok(ExportReport { dataset: record.name, version: record.version, rows: train + val, train, val, files, left_out })
}

struct Export<'x> {
    name: &'x str,
    cancel: &'x CancelToken,
    files: Vec<WrittenFile>,
    left_out: Vec<LeftOut>,
}

impl Export<'_> {
    /// Writes a file beside its place and moves it there.
    fn file(
        &mut self,
        path: &Path,
        rows: usize,
        write: impl FnOnce(&mut BufWriter<&mut tempfile::NamedTempFile>) -> Result<()>,
    ) -> Result<()> {
        let io = |e: &io::Error| Error::io(path, e);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, &e))?;
        let mut file = tempfile::Builder::new().prefix(".export").tempfile_in(folder).map_err(|e| io(&e))?;
        let mut buffer = BufWriter::with_capacity(1 << 18, &mut file);
        write(&mut buffer)?;
        buffer.flush().map_err(|e| io(&e))?;
        drop(buffer);
        readable_by_all(&file).map_err(|e| io(&e))?;
        file.persist(path).map_err(|e| io(&e.error))?;
        self.files.push(WrittenFile { path: path.to_owned(), rows: rows as u64 });
        Ok(())
    }

    fn text(&mut self, path: &Path, text: &str) -> Result<()> {
        self.file(path, 0, |to| to.write_all(text.as_bytes()).map_err(|e| Error::io(path, &e)))
    }

    fn rows(&mut self, path: &Path, format: RowFormat, array: bool, rows: &[&StoredRow]) -> Result<()> {
        let cancel = self.cancel;
        self.file(path, rows.len(), |to| {
            let io = |e: &io::Error| Error::io(path, e);
            let examples = rows.iter().map(|row| &row.example);
            let mut writer = RowWriter::new(to, format, array, examples).map_err(|e| io(&e))?;
            for row in rows {
                stop_if(cancel)?;
                writer.row(row.row, &row.example, io)?;
            }
            writer.finish().map(|_| ()).map_err(|e| io(&e))
        })
    }

    fn parquet(&mut self, path: &Path, rows: &[StoredRow]) -> Result<()> {
        let numbered: Vec<(u64, &Example)> = rows.iter().map(|row| (row.row, &row.example)).collect();
        self.file(path, rows.len(), |to| write_rows(to, &numbered, |e| write_failed(path, e)))
    }

    fn llama_factory(&mut self, folder: &Path, train: &[&StoredRow], val: &[&StoredRow]) -> Result<()> {
        // Alpaca's layout has no place for what a tool returned.
        let tools = train.iter().chain(val).any(|row| !row.example.tool_turns.is_empty());
        let format = if tools { RowFormat::ShareGpt } else { RowFormat::Alpaca };
        for rows in [train, val] {
            let texts = rows.iter().filter(|row| row.example.is_text()).count();
            if texts > 0 && texts < rows.len() {
                return Err(Error::new(
                    Kind::Unsupported,
                    tr!(
                        "LLaMA-Factory takes plain text and instructions in sets of their own; this one has both",
                        "LLaMA-Factory 要求纯文本与指令数据分开；该数据集两者都有"
                    ),
                )
                .hint(tr!("export as alpaca", "请导出为 alpaca")));
            }
        }
        let mut sets = Vec::new();
        for (rows, split) in [(train, "train"), (val, "val")] {
            let set = format!("{}_{split}", self.name);
            let path = folder.join(format!("{set}.json"));
            if rows.is_empty() {
                gone(&path)?;
            } else {
                self.rows(&path, format, true, rows)?;
                sets.push(ListedSet { name: set, format, rows });
            }
        }
        self.text(&folder.join("dataset_info.json"), &list_of_sets(&sets))?;
        self.text(&folder.join("llama-factory.yaml"), &llama_factory_config(self.name, !val.is_empty(), None))
    }

    fn axolotl(&mut self, folder: &Path, train: &[&StoredRow], val: &[&StoredRow]) -> Result<()> {
        for (rows, split) in [(train, "train"), (val, "val")] {
            let path = folder.join(format!("{split}.jsonl"));
            if rows.is_empty() {
                gone(&path)?;
            } else {
                self.rows(&path, RowFormat::Messages, false, rows)?;
            }
        }
        self.text(&folder.join("axolotl.yaml"), &axolotl_config(!val.is_empty(), None))
    }

    fn tokens(
        &mut self,
        bench: &Workbench,
        folder: &Path,
        settings: &TokenSettings,
        sides: [(&mut Vec<&StoredRow>, &str); 2],
    ) -> Result<()> {
        let tokenizer = models::tokenizer(bench, &settings.model)?;
        let renderer = Renderer::new(settings.template, &tokenizer)?.loss_on(settings.loss_on);
        let mut manifest = json!({
            "dataset": self.name, "model": settings.model, "template": settings.template.name(),
            "template_hash": renderer.hash(), "max_len": settings.max_len,
        });
        let (mut splits, mut any, mut has_val) = (Vec::new(), false, false);
        for (rows, split) in sides {
            let mut tokens = Vec::with_capacity(rows.len());
            let mut kept = Vec::with_capacity(rows.len());
            for row in rows.iter() {
                stop_if(self.cancel)?;
                match token_row(&renderer, row, settings.max_len)? {
                    Ok(row_tokens) => {
                        tokens.push(row_tokens);
                        kept.push(*row);
                    }
                    Err(reason) => self.left_out.push(LeftOut { row: row.row, reason }),
                }
            }
            *rows = kept;
            if let Some(object) = manifest.as_object_mut() {
                let numbers: Vec<u64> = rows.iter().map(|row| row.row).collect();
                object.insert(format!("{split}_rows"), json!(numbers));
            }
            if tokens.is_empty() {
                gone(&folder.join(format!("{split}.parquet")))?;
                let part = if split == "val" { "validation" } else { split };
                for file in ["data-00000-of-00001.arrow", "state.json", "dataset_info.json"] {
                    gone(&folder.join("llama-factory").join(part).join(file))?;
                }
                continue;
            }
            (any, has_val) = (true, has_val || split == "val");
            let path = folder.join(format!("{split}.parquet"));
            self.file(&path, tokens.len(), |to| write_tokens(to, &tokens, |e| write_failed(&path, e)))?;
            // The names that LLaMA-Factory asks for.
            let split = if split == "val" { "validation" } else { split };
            let part = folder.join("llama-factory").join(split);
            let path = part.join("data-00000-of-00001.arrow");
            self.file(&path, tokens.len(), |to| write_stream(to, &tokens).map_err(|e| Error::io(&path, &e)))?;
            let state = json!({
                "_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_fingerprint": renderer.hash().get(..16),
                "_format_columns": null, "_format_kwargs": {}, "_format_type": null, "_output_all_columns": false,
                "_split": split,
            });
            self.text(&part.join("state.json"), &state.to_string())?;
            self.text(&part.join("dataset_info.json"), "{}")?;
            splits.push(split);
        }
        if !any {
            return Err(Error::new(
                Kind::InvalidInput,
                tr!("no row fits in {} tokens", "没有数据行能放入 {} 个词元", settings.max_len),
            )
            .hint(tr!("raise --max-len", "请调高 --max-len")));
        }
        self.text(&folder.join("llama-factory/dataset_dict.json"), &json!({"splits": splits}).to_string())?;
        let tuned = Tuned { model: &settings.model, max_len: settings.max_len };
        self.text(&folder.join("llama-factory.yaml"), &llama_factory_config(self.name, has_val, Some(&tuned)))?;
        self.text(&folder.join("axolotl.yaml"), &axolotl_config(has_val, Some(&tuned)))?;
        self.text(&folder.join("trl.yaml"), &trl_config(has_val, &tuned))?;
        self.text(&folder.join("export.json"), &format!("{manifest}\n"))
    }
}

/// Removes what an earlier export left at `path`: a reader of the folder would take it for a part of this one.
fn gone(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io(path, &e)),
        _ => Ok(()),
    }
}

/// What the trainer of this project makes of a row, or why it leaves it out.
fn token_row(renderer: &Renderer<'_>, row: &StoredRow, max_len: usize) -> Result<Result<TokenRow, String>> {
    if row.example.is_text() {
        return Ok(Err(tr!("plain text has no prompt and no answer", "纯文本没有提示与回答")));
    }
    let rendered = renderer.example(&row.example).map_err(|mut e| {
        e.message = tr!("row {}: {}", "第 {} 行：{}", row.row, e.message);
        e
    })?;
    let count = rendered.ids.len();
    if count > max_len {
        return Ok(Err(tr!("{count} tokens, more than {max_len}", "共 {count} 个词元，超过 {max_len}")));
    }
    let input_ids: Vec<i32> = rendered.ids.iter().map(|id| *id as i32).collect();
    let labels = input_ids.iter().zip(&rendered.mask).map(|(id, learnt)| if *learnt { *id } else { -100 }).collect();
    Ok(Ok(TokenRow { input_ids, labels }))
}

/// A temporary file is its owner's alone; an exported one is like any other file.
#[cfg(unix)]
fn readable_by_all(file: &tempfile::NamedTempFile) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable_by_all(_: &tempfile::NamedTempFile) -> io::Result<()> {
    Ok(())
}

fn stop_if(cancel: &CancelToken) -> Result<()> {
    if cancel.is_cancelled() {
        return Err(Error::new(Kind::Interrupted, tr!("stopped; the file was not written", "已停止；文件未写出")));
    }
    Ok(())
}

fn write_failed(path: &Path, what: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::Io, format!("{}: {what}", path.display()))
}
