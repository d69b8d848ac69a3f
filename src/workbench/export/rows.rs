//! The rows of one version, handed out one at a time as often as a format needs them.

use super::super::Workbench;
use crate::data::{Example, RowShape, Split};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::store::{DatasetRecord, RowQuery, StoredRow};
use crate::tr;
use std::cell::Cell;

/// Rows that are read between two looks at the clock and at Ctrl-C.
const STRETCH: u64 = 1_024;

/// Where rows come from.
pub(super) struct Rows<'x> {
    bench: &'x Workbench,
    record: &'x DatasetRecord,
    /// Name and number of the version: whatever is done to the dataset meanwhile, every pass reads the same rows.
    words: String,
    only: Option<Split>,
    events: &'x dyn EventSink,
    cancel: &'x CancelToken,
    done: Cell<u64>,
    total: u64,
}

impl<'x> Rows<'x> {
    /// Rows of the version `record`, `only` of one split. They are read `passes` times.
    pub fn new(
        bench: &'x Workbench,
        record: &'x DatasetRecord,
        only: Option<Split>,
        passes: u64,
        events: &'x dyn EventSink,
        cancel: &'x CancelToken,
    ) -> Rows<'x> {
        let words = format!("{}@{}", record.name, record.number);
        let mut rows = Rows { bench, record, words, only, events, cancel, done: Cell::new(0), total: 0 };
        rows.total = passes * (rows.count(Split::Train) + rows.count(Split::Val));
        rows
    }

    /// How many rows of `split` there are.
    pub fn count(&self, split: Split) -> u64 {
        match (split, self.only) {
            (Split::Train, None | Some(Split::Train)) => self.record.train,
            (Split::Val, None | Some(Split::Val)) => self.record.val,
            _ => 0,
        }
    }

    /// Hands each row of `split` (of both, when there is none) to `on`, in order.
    ///
    /// # Errors
    /// Those of reading and of `on`; `Interrupted`.
    pub fn each(&self, split: Option<Split>, on: &mut dyn FnMut(StoredRow) -> Result<()>) -> Result<()> {
        let split = split.or(self.only);
        if split.is_some_and(|split| self.count(split) == 0) {
            return Ok(());
        }
        let query = RowQuery { split, ..RowQuery::default() };
        let read = self.bench.store.each_row(&self.words, &query, &mut |row| {
            on(row)?;
            let done = self.done.get() + 1;
            self.done.set(done);
            if done.is_multiple_of(STRETCH) {
                self.events.emit(&JobEvent::Progress { done, total: self.total, note: String::new() });
                stop_if(self.cancel)?;
            }
            Ok(())
        })?;
        if read.version == self.record.version {
            return Ok(());
        }
        let name = &self.record.name;
        Err(Error::new(Kind::Mismatch, tr!("the dataset `{name}` changed meanwhile", "数据集 `{name}` 在此期间有变动"))
            .hint(tr!("try again", "请重试")))
    }

    /// What the rows of `split` have.
    ///
    /// # Errors
    /// As [`Rows::each`].
    pub fn shape(&self, split: Option<Split>) -> Result<RowShape> {
        let mut shape = RowShape::default();
        self.each(split, &mut |row| {
            shape.see(&row.example);
            Ok(())
        })?;
        Ok(shape)
    }

    /// Says that all is read.
    pub fn finish(&self) {
        self.events.emit(&JobEvent::Progress { done: self.total, total: self.total, note: String::new() });
    }
}

fn stop_if(cancel: &CancelToken) -> Result<()> {
    if cancel.is_cancelled() {
        return Err(Error::new(Kind::Interrupted, tr!("stopped; the file was not written", "已停止；文件未写出")));
    }
    Ok(())
}

/// Rows that were written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub train: u64,
    pub val: u64,
    pub zh: u64,
}

impl Tally {
    /// Takes the next row.
    pub fn add(&mut self, e: &Example) {
        match e.split {
            Split::Train => self.train += 1,
            Split::Val => self.val += 1,
        }
        self.zh += u64::from(e.lang == "zh");
    }

    pub fn rows(&self) -> u64 {
        self.train + self.val
    }
}
