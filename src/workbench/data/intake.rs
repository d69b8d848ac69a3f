//! An import's records on their way from the files to the store: read on one thread, counted and written on another.

use super::super::inputs::{self, Part, Skipped};
use super::duplicates::Seen;
use super::import::{Input, REPORTED};
use crate::data::{ReadReport, Record, Reject, Row, Split, Version};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::store::DatasetWriter;
use crate::tr;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Records that the reading thread hands over at once.
const BATCH: usize = 512;

/// Where rows go.
pub(super) enum Target<'s> {
    Compare(Version),
    Write(Box<DatasetWriter<'s>>),
}

/// Every record of the files is one of these.
#[derive(Default)]
pub(super) struct Counts {
    pub imported: u64,
    pub rejected: u64,
    pub duplicates: u64,
    /// Imported rows that their files hold out.
    pub held_out: u64,
}

/// Takes records in order and drops duplicates.
pub(super) struct Intake<'s> {
    pub target: Target<'s>,
    pub seen: Seen,
    pub counts: Counts,
    pub rejects: Vec<Reject>,
    pub strict: bool,
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
        self.counts.held_out += u64::from(row.example.split == Split::Val);
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
pub(super) struct ReadAll {
    pub left_aside: BTreeMap<String, u64>,
    pub skipped: Vec<Skipped>,
    /// What is said of files, each with the first of them and how many more.
    remarks: Vec<(String, String, u64)>,
    /// Files that were read, as messages name them: few of many.
    pub files: Vec<String>,
    read: u64,
    /// Columns of `--map` that none of the files has.
    pub unmet: Vec<String>,
    pub columns: BTreeSet<String>,
}

impl ReadAll {
    /// What there is to say of the files: the same of several is said once.
    pub fn remarks(&self) -> Vec<String> {
        let say = |(remark, file, more): &(String, String, u64)| {
            let file = file.escape_debug();
            match more {
                0 => tr!("{file}: {remark}", "{file}：{remark}"),
                more => {
                    let all = more + 1;
                    tr!("{file} and {more} more files: {remark}", "{file} 等 {all} 个文件：{remark}")
                }
            }
        };
        self.remarks.iter().map(say).collect()
    }

    fn add(&mut self, input: &Input, report: ReadReport) {
        for (field, count) in report.left_aside {
            *self.left_aside.entry(field).or_insert(0) += count;
        }
        for remark in report.remarks {
            match self.remarks.iter_mut().find(|(same, ..)| *same == remark) {
                Some((.., more)) => *more += 1,
                None => self.remarks.push((remark, input.path(), 0)),
            }
        }
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
pub(super) fn run(
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
