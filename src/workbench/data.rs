//! Datasets: import, list, rows, split, delete.

use super::Workbench;
use super::inputs::{self, Part, Skipped};
use crate::data::{self, HoldOut, ImportOptions, Record, Reject, Row, RowHash, Version};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::store::{DatasetRecord, DatasetWriter, Existing, name_taken};
use crate::tr;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

/// Something to import from.
#[derive(Clone, Debug)]
pub enum Input {
    /// A file, a folder, a pattern of files, or a `dataset_info.json`.
    File(PathBuf),
    /// Text that the program carries with it.
    Embedded {
        /// Its name, recorded with each row.
        name: &'static str,
        /// Its contents.
        text: &'static str,
    },
}

impl Input {
    /// Bytes to read, as far as that is known beforehand.
    pub fn size(&self) -> u64 {
        match self {
            Input::File(path) => std::fs::metadata(path).map_or(0, |m| m.len()),
            Input::Embedded { text, .. } => text.len() as u64,
        }
    }
}

/// What `data import` was asked for.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// Where the rows come from, in order.
    pub inputs: Vec<Input>,
    /// Name of the dataset.
    pub name: String,
    /// How the files are read.
    pub options: ImportOptions,
    /// Where the data comes from, for the record.
    pub source: String,
    /// Its licence, for the record.
    pub licence: String,
    /// Whether the first refused record ends it all, with nothing imported.
    pub strict: bool,
    /// What to do when the name is taken. With [`Existing::Refuse`], rows that are already there
    /// under this name, and no others, are no failure: nothing changes.
    pub existing: Existing,
}

/// What an import did.
#[derive(Clone, Debug, Serialize)]
pub struct ImportReport {
    /// Name of the dataset.
    pub dataset: String,
    /// Its version now.
    pub version: String,
    /// Rows read, less duplicates.
    pub imported: u64,
    /// Records that were refused.
    pub rejected: u64,
    /// Rows left out because the same texts were there already.
    pub duplicates: u64,
    /// The refused records, in order.
    pub rejects: Vec<Reject>,
    /// Rows read per second, writing included.
    pub rows_per_second: f64,
    /// Whether the dataset held exactly these rows before, so that nothing was written.
    pub unchanged: bool,
    /// Fields that rows do not have, and how often each occurred.
    pub fields_left_aside: BTreeMap<String, u64>,
    /// Files and entries of lists that were passed over.
    pub skipped: Vec<Skipped>,
    /// What was guessed or converted, for people.
    pub remarks: Vec<String>,
}

/// Records that the reading thread hands over at once.
const BATCH: usize = 512;

/// Imports a dataset in one transaction: either all of it is there afterwards, or nothing changed.
/// `events` hears of progress in bytes.
///
/// # Errors
/// `InvalidInput` when the name is taken by other rows, no row is usable, or a record is refused
/// under `strict`; `Unsupported` for another format; `Interrupted` when `cancel` is set; `NotFound`,
/// `Io`, `NoSpace`.
pub fn import(
    bench: &Workbench,
    request: &ImportRequest,
    events: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<ImportReport> {
    check_name(&request.name)?;
    let started = Instant::now();
    let (parts, mut skipped) = inputs::expand(&request.inputs, &request.options)?;
    let old = bench.store.find_dataset(&request.name)?;
    // Against a name that is taken, the rows are first only compared: nothing is locked or written.
    let (target, seen) = if old.is_some() && request.existing == Existing::Refuse {
        (Target::Compare(Version::default()), HashSet::new())
    } else {
        let (writer, seen) =
            bench.store.write_dataset(&request.name, &request.source, &request.licence, request.existing)?;
        (Target::Write(writer), seen)
    };
    let mut intake = Intake { target, seen, imported: 0, duplicates: 0, rejects: Vec::new(), strict: request.strict };
    let read = run(&request.name, &parts, &mut intake, events, cancel)?;
    let Intake { target, imported, duplicates, rejects, .. } = intake;
    skipped.extend(read.skipped);
    if request.strict
        && let Some(Skipped { file, reason }) = skipped.first()
    {
        return Err(Error::new(Kind::InvalidInput, format!("{file}: {reason}"))
            .hint(tr!("nothing was imported; name the files that are meant", "没有导入任何数据；请逐一指定文件")));
    }
    if imported + duplicates == 0 {
        return Err(nothing_usable(&rejects, &skipped));
    }
    let old_version = old.map(|d| d.version).unwrap_or_default();
    let version = match target {
        Target::Compare(version) => {
            let version = version.finish();
            if version != old_version {
                return Err(name_taken(&request.name));
            }
            version
        }
        // Nothing new to append: the rejects must not be kept a second time either.
        Target::Write(writer) if imported == 0 => {
            drop(writer);
            old_version.clone()
        }
        Target::Write(writer) => writer.finish()?,
    };
    Ok(ImportReport {
        dataset: request.name.clone(),
        unchanged: version == old_version,
        version,
        imported,
        rejected: rejects.len() as u64,
        duplicates,
        rejects,
        rows_per_second: (imported + duplicates) as f64 / started.elapsed().as_secs_f64().max(1e-9),
        fields_left_aside: read.left_aside,
        skipped,
        remarks: read.remarks,
    })
}

/// A name must survive the command line, `mix --from A=0.7,B:0.3` and a listing.
fn check_name(name: &str) -> Result<()> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || "=,:/\\".contains(c);
    if name.is_empty() || name.starts_with('-') || name.chars().count() > 100 || name.contains(bad) {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("`{name}` cannot be a dataset's name", "`{name}` 不能作数据集名"),
        )
        .hint(tr!(
            "use letters, digits, `-`, `_` and `.`; no blanks and none of = , : / \\",
            "请用文字、数字、`-`、`_`、`.`；不能有空白或 = , : / \\"
        )));
    }
    Ok(())
}

fn nothing_usable(rejects: &[Reject], skipped: &[Skipped]) -> Error {
    let rejected = rejects.iter().map(|r| format!("{}:{}: {}", r.file, r.line, r.reason));
    let places: Vec<String> =
        rejected.chain(skipped.iter().map(|s| format!("{}: {}", s.file, s.reason))).take(3).collect();
    let first = if places.is_empty() { tr!("the input is empty", "输入为空") } else { places.join("; ") };
    Error::new(Kind::InvalidInput, tr!("no usable row ({} refused): {first}", "没有可用的数据（拒绝 {} 条）：{first}", rejects.len())).hint(tr!(
        "expected JSON, JSON lines, CSV or Parquet with the fields instruction and output (--map FIELD=COLUMN names others), or with conversations or messages; plain text needs --format text",
        "需要 JSON、JSON Lines、CSV 或 Parquet，含字段 instruction 与 output（--map 字段=列 可改名），或 conversations、messages；纯文本请用 --format text"
    ))
}

/// Where rows go.
enum Target<'s> {
    Compare(Version),
    Write(DatasetWriter<'s>),
}

/// Takes records in order and drops duplicates.
struct Intake<'s> {
    target: Target<'s>,
    seen: HashSet<RowHash>,
    imported: u64,
    duplicates: u64,
    rejects: Vec<Reject>,
    strict: bool,
}

impl Intake<'_> {
    fn take(&mut self, record: Record) -> Result<()> {
        match record {
            Record::Row(row) => self.row(row),
            Record::Reject(reject) if self.strict => {
                Err(Error::new(Kind::InvalidInput, format!("{}:{}: {}", reject.file, reject.line, reject.reason)).hint(
                    tr!(
                        "nothing was imported; correct that line, or leave out --strict to skip it",
                        "没有导入任何数据；请改正该行，或去掉 --strict 以跳过它"
                    ),
                ))
            }
            Record::Reject(reject) => {
                if let Target::Write(writer) = &mut self.target {
                    writer.reject(&reject)?;
                }
                self.rejects.push(reject);
                Ok(())
            }
        }
    }

    fn row(&mut self, row: Row) -> Result<()> {
        if !self.seen.insert(row.hash) {
            self.duplicates += 1;
            return Ok(());
        }
        self.imported += 1;
        match &mut self.target {
            Target::Compare(version) => {
                version.add(&row.hash, row.example.split, &row.example.lang);
                Ok(())
            }
            Target::Write(writer) => writer.row(row),
        }
    }
}

/// What the reading thread learnt beside records.
#[derive(Default)]
struct ReadAll {
    left_aside: BTreeMap<String, u64>,
    skipped: Vec<Skipped>,
    remarks: Vec<String>,
}

/// Parses on a second thread while this one writes: the two take about equally long.
fn run(
    name: &str,
    parts: &[Part],
    intake: &mut Intake<'_>,
    events: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<ReadAll> {
    let total = parts.iter().map(|part| part.input.size()).sum();
    let done = AtomicU64::new(0);
    let (sender, receiver) = sync_channel(4);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_all(parts, sender, &done, cancel));
        let taken = take_all(receiver, intake, &mut || {
            let note = name.to_owned();
            events.emit(&JobEvent::Progress { done: done.load(Ordering::Relaxed), total, note });
        });
        // When taking failed, the reader stops at its next hand-over, and its complaint about that
        // is not the cause.
        let read = reader.join().unwrap_or_else(|_| Err(Error::internal("the reading thread failed")));
        taken.and(read)
    })
}

fn take_all(receiver: Receiver<Vec<Record>>, intake: &mut Intake<'_>, progress: &mut dyn FnMut()) -> Result<()> {
    for batch in receiver {
        for record in batch {
            intake.take(record)?;
        }
        progress();
    }
    Ok(())
}

fn read_all(
    parts: &[Part],
    sender: SyncSender<Vec<Record>>,
    done: &AtomicU64,
    cancel: &CancelToken,
) -> Result<ReadAll> {
    let mut all = ReadAll::default();
    let mut batch = Vec::with_capacity(BATCH);
    for part in parts {
        let read = inputs::read(part, done, &mut |record| {
            batch.push(record);
            if batch.len() < BATCH {
                return Ok(());
            }
            if cancel.is_cancelled() {
                return Err(Error::new(
                    Kind::Interrupted,
                    tr!("stopped; nothing was imported", "已停止；没有导入任何数据"),
                ));
            }
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            sender.send(full).map_err(|_| Error::internal("the writing thread is gone"))
        })?;
        match read {
            Err(skipped) => all.skipped.push(skipped),
            Ok(report) => {
                for (field, count) in report.left_aside {
                    *all.left_aside.entry(field).or_insert(0) += count;
                }
                all.remarks.extend(report.remarks);
            }
        }
    }
    // The last batch may go to nobody, when the other side has failed: that error is reported there.
    let _ = sender.send(batch);
    Ok(all)
}

/// Holds rows of the dataset `name` out for validation and gives its new record.
///
/// # Errors
/// `NotFound`; `InvalidInput` when nothing would be left to train on.
pub fn split(bench: &Workbench, name: &str, val: HoldOut, seed: u64) -> Result<DatasetRecord> {
    let splits = data::hold_out(&bench.store.row_hashes(name)?, val, seed)?;
    bench.store.set_splits(name, &splits)?;
    bench.store.dataset(name)
}
