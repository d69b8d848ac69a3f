//! Weights whose reading is watched: a model of many gigabytes takes a while, and whoever waits wants to know how long or
//! have enough of it.

use crate::error::{Error, Kind, Result};
use crate::model::{Tensor, WeightSource};
use crate::ops::StoredRows;
use crate::tr;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A source that tells how many of its weights were read.
pub(super) struct WatchedWeights<'a> {
    inner: &'a (dyn WeightSource + Send + Sync),
    total: usize,
    read: AtomicUsize,
    watch: &'a (dyn Fn(usize, usize) -> bool + Sync),
}

impl<'a> WatchedWeights<'a> {
    /// `watch` hears how many of how many weights were asked for, and ends the reading with false.
    pub(super) fn new(
        inner: &'a (dyn WeightSource + Send + Sync),
        watch: &'a (dyn Fn(usize, usize) -> bool + Sync),
    ) -> WatchedWeights<'a> {
        WatchedWeights { inner, total: inner.names().len(), read: AtomicUsize::new(0), watch }
    }

    fn count(&self) -> Result<()> {
        let read = self.read.fetch_add(1, Ordering::Relaxed) + 1;
        if (self.watch)(read.min(self.total), self.total) {
            return Ok(());
        }
        Err(Error::new(Kind::Interrupted, tr!("the model is no longer wanted", "已不再需要该模型")))
    }
}

impl WeightSource for WatchedWeights<'_> {
    fn names(&self) -> Vec<String> {
        self.inner.names()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.inner.shape(name)
    }

    fn storage(&self) -> BTreeMap<String, u64> {
        self.inner.storage()
    }

    fn try_tensor(&self, name: &str) -> Result<Option<Tensor>> {
        self.count()?;
        self.inner.try_tensor(name)
    }

    fn stored_rows(&self, name: &str) -> Result<Box<dyn StoredRows>> {
        self.count()?;
        self.inner.stored_rows(name)
    }

    fn place(&self) -> &Path {
        self.inner.place()
    }
}
