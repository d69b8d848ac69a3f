//! Import: files become a version of a dataset.

use super::super::Workbench;
use super::super::inputs::{self, Part, Skipped};
use super::duplicates::Seen;
use crate::data::{ImportOptions, ReadReport, Record, Reject, Row, Version, no_such_column};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::store::{DatasetWriter, Existing, Written, check_dataset_name, name_taken};
use crate::tr;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
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

    /// The file's own name, without its folders.
    fn name(&self) -> String {
        match self {
            Input::File(path) => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            Input::Embedded { name, .. } => (*name).to_owned(),
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
    /// Number of that version.
    pub number: u64,
    /// Rows read, less duplicates.
    pub imported: u64,
    /// Records that were refused.
    pub rejected: u64,
    /// Rows left out because the same texts were there already.
    pub duplicates: u64,
    /// Records that were refused earlier and left the list of those: they had been written to the file that was appended now.
    pub corrected: u64,
    /// The first [`REPORTED`] refused records, in order; the dataset keeps all.
    pub rejects: Vec<Reject>,
    /// Rows read per second, writing included.
    pub rows_per_second: f64,
    /// Whether the dataset held exactly these rows before, so that nothing was written.
    pub unchanged: bool,
    /// The earlier version that has exactly these rows, where the newest has others. Nothing was written then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_as: Option<u64>,
    /// Fields that rows do not have, and how often each occurred.
    pub fields_left_aside: BTreeMap<String, u64>,
    /// Files and entries of lists that were passed over.
    pub skipped: Vec<Skipped>,
    /// What was guessed or converted, for people.
    pub remarks: Vec<String>,
}

/// Refused records that a report holds: more of them would only fill memory.
pub const REPORTED: usize = 10_000;

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
    let started = Instant::now();
    let old = bench.store.find_dataset(&request.name)?;
    if old.is_none() {
        check_dataset_name(&request.name)?;
    }
    let was_deleted = old.is_none() && bench.store.deleted_datasets()?.iter().any(|d| d.name == request.name);
    let (parts, mut skipped) = inputs::expand(&request.inputs, &request.options)?;
    let mut seen = Seen::default();
    // Against a name that is taken, the rows are first only compared: nothing is locked or written.
    let target = if old.is_some() && request.existing == Existing::Refuse {
        Target::Compare(Version::default())
    } else {
        let (name, source, licence) = (&request.name, &request.source, &request.licence);
        let message = message(request);
        let mut known = |hash: &_| _ = seen.insert(hash);
        let mut writer =
            bench.store.write_dataset(name, source, licence, &message, request.existing, &mut known)?;
        if request.existing == Existing::Append {
            writer.corrects(&whole_paths(&parts))?;
        }
        Target::Write(Box::new(writer))
    };
    let counts = Counts::default();
    let mut intake = Intake { target, seen, counts, rejects: Vec::new(), strict: request.strict };
    let read = run(&request.name, &parts, &mut intake, events, cancel)?;
    let Intake { target, counts, rejects, .. } = intake;
    skipped.extend(read.skipped);
    if request.strict
        && let Some(Skipped { file, reason }) = skipped.first()
    {
        return Err(Error::new(Kind::InvalidInput, format!("{file}: {reason}"))
            .hint(tr!("nothing was imported; name the files that are meant", "没有导入任何数据；请逐一指定文件")));
    }
    let Counts { imported, rejected, duplicates } = counts;
    // A file without a record that could be read has no columns to be wrong about.
    if let Some(column) = read.unmet.first().filter(|_| imported + duplicates > 0 || !read.columns.is_empty()) {
        let columns: Vec<String> = read.columns.into_iter().collect();
        return Err(no_such_column(&read.files.join(", "), column, &columns));
    }
    if imported + duplicates == 0 {
        return Err(nothing_usable(&rejects, rejected, &skipped));
    }
    let same = |version, number, corrected| Written { version, number, unchanged: true, corrected };
    let mut same_as = None;
    let written = match (target, old) {
        (Target::Compare(version), _) => {
            let (version, name) = (version.finish(), &request.name);
            // An earlier version with these rows counts as well: they are there, and what was done to them stays.
            let known = bench.store.history(name)?.into_iter().filter(|v| v.version == version).map(|v| v.number).max();
            let newest = bench.store.dataset(name)?;
            let Some(number) = known else { return Err(name_taken(name)) };
            same_as = Some(number).filter(|number| *number != newest.number);
            same(newest.version, newest.number, 0)
        }
        // Nothing new to append: the rejects must not be kept a second time either.
        (Target::Write(writer), Some(old)) if imported == 0 => {
            let corrected = if request.existing == Existing::Append { writer.only_corrected()? } else { 0 };
            same(old.version, old.number, corrected)
        }
        (Target::Write(writer), _) => writer.finish()?,
    };
    let mut remarks = read.remarks;
    if was_deleted {
        let name = &request.name;
        remarks.push(tr!(
            "`{name}` was deleted; its earlier versions are back with this one",
            "`{name}` 曾被删除；其早先的版本随本次导入一并恢复"
        ));
    }
    Ok(ImportReport {
        dataset: request.name.clone(),
        unchanged: written.unchanged,
        same_as,
        version: written.version,
        number: written.number,
        imported,
        rejected,
        duplicates,
        corrected: written.corrected,
        rejects,
        rows_per_second: (imported + duplicates) as f64 / started.elapsed().as_secs_f64().max(1e-9),
        fields_left_aside: read.left_aside,
        skipped,
        remarks,
    })
}

/// The whole paths of the files, as `data rejects -o` remembers them.
fn whole_paths(parts: &[Part]) -> Vec<String> {
    let path = |part: &Part| match &part.input {
        Input::File(path) => Some(std::fs::canonicalize(path).ok()?.to_string_lossy().into_owned()),
        Input::Embedded { .. } => None,
    };
    parts.iter().filter_map(path).collect()
}

/// What the history says of an import: the names of its files.
fn message(request: &ImportRequest) -> String {
    let mut names: Vec<String> = request.inputs.iter().take(4).map(Input::name).collect();
    if request.inputs.len() > names.len() {
        names.push("…".to_owned());
    }
    let names = names.join(", ");
    match request.existing {
        Existing::Append => tr!("append {names}", "追加 {names}"),
        Existing::Replace => tr!("replace by {names}", "替换为 {names}"),
        Existing::Refuse => tr!("import {names}", "导入 {names}"),
    }
}

fn nothing_usable(rejects: &[Reject], count: u64, skipped: &[Skipped]) -> Error {
    let rejected = rejects.iter().map(|r| format!("{}:{}: {}", r.file, r.line, r.reason));
    let places: Vec<String> =
        rejected.chain(skipped.iter().map(|s| format!("{}: {}", s.file, s.reason))).take(3).collect();
    let first = if places.is_empty() { tr!("the input is empty", "输入为空") } else { places.join("; ") };
    Error::new(Kind::InvalidInput, tr!("no usable row ({} refused): {first}", "没有可用的数据（拒绝 {} 条）：{first}", count)).hint(tr!(
        "expected JSON, JSON lines, CSV or Parquet with the fields instruction and output (--map FIELD=COLUMN names others), or with conversations or messages; plain text needs --format text",
        "需要 JSON、JSON Lines、CSV 或 Parquet，含字段 instruction 与 output（--map 字段=列 可改名），或 conversations、messages；纯文本请用 --format text"
    ))
}

/// Where rows go.
enum Target<'s> {
    Compare(Version),
    Write(Box<DatasetWriter<'s>>),
}

/// Every record of the files is one of these.
#[derive(Default)]
struct Counts {
    imported: u64,
    rejected: u64,
    duplicates: u64,
}

/// Takes records in order and drops duplicates.
struct Intake<'s> {
    target: Target<'s>,
    seen: Seen,
    counts: Counts,
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
                self.counts.rejected += 1;
                if self.rejects.len() < REPORTED {
                    self.rejects.push(Reject { raw: String::new(), ..reject });
                }
                Ok(())
            }
        }
    }

    fn row(&mut self, row: Row) -> Result<()> {
        if !self.seen.insert(&row.hash) {
            self.counts.duplicates += 1;
            return Ok(());
        }
        self.counts.imported += 1;
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
    /// Files that were read, as messages name them: few of many.
    files: Vec<String>,
    read: u64,
    /// Columns of `--map` that none of the files has.
    unmet: Vec<String>,
    columns: BTreeSet<String>,
}

impl ReadAll {
    fn add(&mut self, input: &Input, report: ReadReport) {
        for (field, count) in report.left_aside {
            *self.left_aside.entry(field).or_insert(0) += count;
        }
        self.remarks.extend(report.remarks);
        match self.files.len() {
            0..3 => self.files.push(input.name()),
            3 => self.files.push("…".to_owned()),
            _ => {}
        }
        // Files may differ: a column of one of them is enough.
        if self.read == 0 {
            self.unmet = report.unmet;
        } else {
            self.unmet.retain(|column| report.unmet.contains(column));
        }
        self.read += 1;
        self.columns.extend(report.columns);
    }
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
        let stopped =
            || Error::new(Kind::Interrupted, tr!("stopped; nothing was imported", "已停止；没有导入任何数据"));
        let read = inputs::read(part, done, cancel, &mut |record| {
            batch.push(record);
            if batch.len() < BATCH {
                return Ok(());
            }
            if cancel.is_cancelled() {
                return Err(stopped());
            }
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            sender.send(full).map_err(|_| Error::internal("the writing thread is gone"))
        });
        // A reader that waits for a pipe ends with an error of its own.
        let read = if cancel.is_cancelled() { Err(stopped()) } else { read };
        match read? {
            Err(skipped) => all.skipped.push(skipped),
            Ok(report) => all.add(&part.input, report),
        }
    }
    // The last batch may go to nobody, when the other side has failed: that error is reported there.
    let _ = sender.send(batch);
    Ok(all)
}
