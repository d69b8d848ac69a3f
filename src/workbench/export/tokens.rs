//! The folder of token ids: what the trainer of this project would learn from, for other trainers.

use super::super::models;
use super::new_file::{NewFile, gone};
use super::rows::Rows;
use super::texts::{Tuned, axolotl_config, llama_factory_config, trl_config};
use super::{Export, LEFT_OUT, LeftOut, TokenSettings};
use crate::data::{Split, TokenRow, TokenStream, TokenTable};
use crate::error::{Error, Kind, Result};
use crate::prompt::Renderer;
use crate::store::StoredRow;
use crate::tr;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file that names every row that was left out, and why.
const LIST: &str = "left-out.jsonl";

impl Export<'_> {
    /// Writes the folder. One row, one group of a table and the row numbers' text are held, whatever the dataset's size.
    pub(super) fn tokens(&mut self, folder: &Path, settings: &TokenSettings, rows: &Rows<'_>) -> Result<()> {
        let tokenizer = models::tokenizer(self.bench, &settings.model)?;
        let renderer = Renderer::new(settings.template, &tokenizer)?.loss_on(settings.loss_on);
        let mut manifest = Manifest::begin(&folder.join("export.json"), self.name, settings, &renderer)?;
        let mut left_out = LeftOutList { path: folder.join(LIST), file: None };
        let mut splits = Vec::new();
        for split in [Split::Train, Split::Val] {
            let mut side = None;
            manifest.list(split)?;
            rows.each(Some(split), &mut |row| match token_row(&renderer, &row, settings.max_len)? {
                Ok(tokens) => {
                    let side = match &mut side {
                        Some(side) => side,
                        None => side.insert(Side::begin(folder, split)?),
                    };
                    side.row(tokens)?;
                    manifest.number(row.row)?;
                    self.tally.add(&row.example);
                    Ok(())
                }
                Err(reason) => self.leave_out(&mut left_out, LeftOut { row: row.row, reason }),
            })?;
            match side {
                Some(side) => {
                    side.finish(self, folder, split, &renderer.hash())?;
                    splits.push(part(split));
                }
                None => Side::remove(folder, split)?,
            }
        }
        if splits.is_empty() {
            return Err(Error::new(
                Kind::InvalidInput,
                tr!("no row fits in {} tokens", "没有数据行能放入 {} 个词元", settings.max_len),
            )
            .hint(tr!("raise --max-len", "请调高 --max-len")));
        }
        match left_out.file {
            Some(file) => self.place(file, 0)?,
            None => gone(&left_out.path)?,
        }
        self.text(&folder.join("llama-factory/dataset_dict.json"), &json!({"splits": splits}).to_string())?;
        let (tuned, val) = (Tuned { model: &settings.model, max_len: settings.max_len }, self.tally.val > 0);
        self.text(&folder.join("llama-factory.yaml"), &llama_factory_config(self.name, val, Some(&tuned)))?;
        self.text(&folder.join("axolotl.yaml"), &axolotl_config(val, Some(&tuned)))?;
        self.text(&folder.join("trl.yaml"), &trl_config(val, &tuned))?;
        let manifest = manifest.end()?;
        self.place(manifest, 0)
    }

    fn leave_out(&mut self, list: &mut LeftOutList, row: LeftOut) -> Result<()> {
        let line = serde_json::to_string(&row).map_err(|e| Error::internal(e.to_string()))?;
        let file = match &mut list.file {
            Some(file) => file,
            None => list.file.insert(NewFile::create(&list.path)?),
        };
        writeln!(file, "{line}").map_err(|e| Error::io(&list.path, &e))?;
        self.left_out_rows += 1;
        if self.left_out.len() < LEFT_OUT {
            self.left_out.push(row);
        }
        Ok(())
    }
}

/// The list of rows that were left out; there is no file before the first.
struct LeftOutList {
    path: PathBuf,
    file: Option<NewFile>,
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

/// The name that LLaMA-Factory asks for.
fn part(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Val => "validation",
    }
}

/// The files of one split.
struct Side {
    table: TokenTable<NewFile>,
    stream: TokenStream<NewFile>,
    stream_path: PathBuf,
    rows: u64,
}

impl Side {
    fn table_path(folder: &Path, split: Split) -> PathBuf {
        folder.join(format!("{}.parquet", split.as_str()))
    }

    fn begin(folder: &Path, split: Split) -> Result<Side> {
        let table = Side::table_path(folder, split);
        let stream_path = folder.join("llama-factory").join(part(split)).join("data-00000-of-00001.arrow");
        Ok(Side {
            table: TokenTable::new(NewFile::create(&table)?, &table)?,
            stream: TokenStream::new(NewFile::create(&stream_path)?).map_err(|e| Error::io(&stream_path, &e))?,
            stream_path,
            rows: 0,
        })
    }

    fn row(&mut self, row: TokenRow) -> Result<()> {
        self.rows += 1;
        self.stream.row(row.clone()).map_err(|e| Error::io(&self.stream_path, &e))?;
        self.table.row(row)
    }

    fn finish(self, export: &mut Export<'_>, folder: &Path, split: Split, fingerprint: &str) -> Result<()> {
        let Side { table, stream, stream_path, rows } = self;
        export.place(table.finish()?, rows)?;
        export.place(stream.finish().map_err(|e| Error::io(&stream_path, &e))?, rows)?;
        let state = json!({
            "_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_fingerprint": fingerprint.get(..16),
            "_format_columns": null, "_format_kwargs": {}, "_format_type": null, "_output_all_columns": false,
            "_split": part(split),
        });
        let folder = folder.join("llama-factory").join(part(split));
        export.text(&folder.join("state.json"), &state.to_string())?;
        export.text(&folder.join("dataset_info.json"), "{}")
    }

    /// Takes away what an earlier export left of a split that is empty now.
    fn remove(folder: &Path, split: Split) -> Result<()> {
        gone(&Side::table_path(folder, split))?;
        for file in ["data-00000-of-00001.arrow", "state.json", "dataset_info.json"] {
            gone(&folder.join("llama-factory").join(part(split)).join(file))?;
        }
        Ok(())
    }
}

/// `export.json`: how the ids were made, and the number of the row behind each. It is written as the rows are read,
/// because the numbers of millions of rows are no small list.
struct Manifest {
    path: PathBuf,
    file: NewFile,
    first: bool,
    open: bool,
}

impl Manifest {
    fn begin(path: &Path, name: &str, settings: &TokenSettings, renderer: &Renderer<'_>) -> Result<Manifest> {
        let head = json!({
            "dataset": name, "model": settings.model, "template": settings.template.name(),
            "template_hash": renderer.hash(), "max_len": settings.max_len,
        });
        let mut manifest = Manifest { path: path.to_owned(), file: NewFile::create(path)?, first: true, open: false };
        // The lists stand behind these, within the same object.
        manifest.write(head.to_string().trim_end_matches('}'))?;
        Ok(manifest)
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.file.write_all(text.as_bytes()).map_err(|e| Error::io(&self.path, &e))
    }

    fn list(&mut self, split: Split) -> Result<()> {
        let close = if self.open { "]" } else { "" };
        (self.first, self.open) = (true, true);
        self.write(&format!("{close},\"{}_rows\":[", split.as_str()))
    }

    fn number(&mut self, row: u64) -> Result<()> {
        let comma = if std::mem::take(&mut self.first) { "" } else { "," };
        self.write(&format!("{comma}{row}"))
    }

    fn end(mut self) -> Result<NewFile> {
        self.write("]}\n")?;
        Ok(self.file)
    }
}
