//! What an import's paths stand for: files, folders, patterns such as `data/*.jsonl`, and lists of data sets.

use super::data::Input;
use super::stream_input::{StreamInput, may_wait};
use crate::data::{self, Format, ImportOptions, ReadReport, Record};
use crate::error::{Error, Kind, Result};
use crate::job::CancelToken;
use crate::tr;
use serde::Serialize;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The file that lists data sets in LLaMA-Factory.
const LIST: &str = "dataset_info.json";

/// Something that was not imported, although a path stands for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The file, or an entry of a list.
    pub file: String,
    /// Why, for people.
    pub reason: String,
}

/// One file to read.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub input: Input,
    pub options: ImportOptions,
    /// Whether the user named this very file: then it must be usable.
    named: bool,
}

/// The files behind `inputs` in order, and what was passed over.
///
/// # Errors
/// `NotFound` for a path or pattern that stands for nothing, `InvalidInput` for a list or a folder without a usable file.
pub(super) fn expand(inputs: &[Input], options: &ImportOptions) -> Result<(Vec<Part>, Vec<Skipped>)> {
    let mut found = Found { options, parts: Vec::new(), skipped: Vec::new() };
    for input in inputs {
        match input {
            Input::File(path) => found.path(path)?,
            Input::Embedded { .. } => found.add(input.clone(), options.clone(), true),
        }
    }
    Ok((found.parts, found.skipped))
}

struct Found<'o> {
    options: &'o ImportOptions,
    parts: Vec<Part>,
    skipped: Vec<Skipped>,
}

impl Found<'_> {
    fn add(&mut self, input: Input, options: ImportOptions, named: bool) {
        self.parts.push(Part { input, options, named });
    }

    fn skip(&mut self, file: String, reason: String) {
        self.skipped.push(Skipped { file, reason });
    }

    fn path(&mut self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return self.folder(path);
        }
        let pattern = path.to_string_lossy();
        if !path.exists() && pattern.contains(['*', '?', '[']) {
            return self.pattern(&pattern);
        }
        if path.file_name().is_some_and(|name| name == LIST) {
            return self.list(path);
        }
        self.add(Input::File(path.to_owned()), self.options.clone(), true);
        Ok(())
    }

    fn pattern(&mut self, pattern: &str) -> Result<()> {
        let paths = glob::glob(pattern).map_err(|e| {
            Error::new(Kind::InvalidInput, tr!("`{pattern}` is not a pattern: {e}", "`{pattern}` 不是通配模式：{e}"))
                .hint(tr!("use *, ? and ** as in data/*.jsonl", "可用 *、?、**，例如 data/*.jsonl"))
        })?;
        // The crate gives them sorted.
        let paths: Vec<PathBuf> = paths.flatten().filter(|path| path.is_file()).collect();
        if paths.is_empty() {
            return Err(Error::new(Kind::NotFound, tr!("no file matches `{pattern}`", "没有文件匹配 `{pattern}`"))
                .hint(tr!("check the folder and the ending", "请检查目录与扩展名")));
        }
        for path in paths {
            if path.file_name().is_some_and(|name| name == LIST) {
                self.list(&path)?;
            } else {
                self.add(Input::File(path), self.options.clone(), false);
            }
        }
        Ok(())
    }

    fn folder(&mut self, folder: &Path) -> Result<()> {
        let list = folder.join(LIST);
        if list.is_file() {
            return self.list(&list);
        }
        let before = self.parts.len();
        let mut files = Vec::new();
        walk(folder, &mut files)?;
        for path in files {
            if self.is_data(&path) {
                self.add(Input::File(path), self.options.clone(), false);
            } else {
                let reason = tr!("its name is not that of a data file", "文件名不是数据文件");
                self.skip(path.to_string_lossy().into_owned(), reason);
            }
        }
        if self.parts.len() == before {
            let place = folder.display();
            return Err(Error::new(
                Kind::InvalidInput,
                tr!("the folder {place} holds no data file", "文件夹 {place} 中没有数据文件"),
            )
            .hint(tr!(
                "data files end in .json, .jsonl, .csv, .tsv or .parquet, also with .gz or .zst; .txt with --format text",
                "数据文件以 .json、.jsonl、.csv、.tsv、.parquet 结尾，也可再加 .gz、.zst；.txt 需要 --format text"
            )));
        }
        Ok(())
    }

    fn is_data(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        match self.options.format {
            Format::Text(_) => matches!(ending, "txt" | "md" | "text"),
            _ => matches!(ending, "json" | "jsonl" | "ndjson" | "csv" | "tsv" | "tab" | "parquet"),
        }
    }

    fn list(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, &e))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for set in data::listed_sets(&text, self.options)? {
            let entry = format!("{}:{}", path.display(), set.name);
            match set.source {
                Err(reason) => self.skip(entry, reason),
                Ok((file, options)) => {
                    let file = folder.join(file);
                    if file.is_dir() {
                        let mut files = Vec::new();
                        walk(&file, &mut files)?;
                        files.retain(|file| self.is_data(file));
                        for file in files {
                            self.add(Input::File(file), options.clone(), false);
                        }
                    } else if file.is_file() {
                        self.add(Input::File(file), options, false);
                    } else {
                        let file = file.display();
                        self.skip(entry, tr!("{file} is not there", "{file} 不存在"));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Files under `folder` by name, without hidden ones. Links to folders are not followed: they may lead back.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let io = |e: std::io::Error| Error::io(folder, &e);
    let mut entries = std::fs::read_dir(folder).map_err(io)?.collect::<std::io::Result<Vec<_>>>().map_err(io)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type().map_err(io)?.is_dir() {
            walk(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// Reads `part`; `done` counts the bytes of its file. A file that keeps its reader waiting is given up when `cancel` is set. `None`: it is no data file after all, and was not named, so it is
/// passed over for that reason.
///
/// # Errors
/// Those of [`data::read`].
pub(super) fn read(
    part: &Part,
    done: &AtomicU64,
    cancel: &CancelToken,
    on: &mut dyn FnMut(Record) -> Result<()>,
) -> Result<Result<ReadReport, Skipped>> {
    let mut records = 0u64;
    let mut on = |record| {
        records += 1;
        on(record)
    };
    let result = match &part.input {
        Input::File(path) if may_wait(path) => {
            let stream = Counted { inner: StreamInput::open(path.clone(), cancel), done };
            data::read(BufReader::with_capacity(1 << 18, stream), &path.to_string_lossy(), &part.options, &mut on)
        }
        Input::File(path) => {
            let file = File::open(path).map_err(|e| Error::io(path, &e))?;
            let reader = BufReader::with_capacity(1 << 18, Counted { inner: file, done });
            data::read(reader, &path.to_string_lossy(), &part.options, &mut on)
        }
        Input::Embedded { name, text } => data::read(text.as_bytes(), name, &part.options, &mut on),
    };
    match (result, &part.input) {
        (Err(e), Input::File(path))
            if !part.named && records == 0 && matches!(e.kind, Kind::InvalidInput | Kind::Unsupported) =>
        {
            Ok(Err(Skipped { file: path.to_string_lossy().into_owned(), reason: e.message }))
        }
        (result, _) => result.map(Ok),
    }
}

/// Counts the bytes that were read.
struct Counted<'c, R> {
    inner: R,
    done: &'c AtomicU64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.done.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
