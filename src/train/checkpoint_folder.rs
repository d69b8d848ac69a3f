//! A run's folder of checkpoints: written whole or not at all, the newest few kept, a damaged one passed over.

use super::checkpoint::{Checkpoint, Stored};
use crate::error::{Error, Kind, Result};
use crate::tr;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What a checkpoint's file name begins and ends with; its step lies between.
const PREFIX: &str = "checkpoint-";
const SUFFIX: &str = ".safetensors";
/// A file that is still being written. A kill may leave it; it is never read.
const UNFINISHED: &str = ".checkpoint-";

/// Where the checkpoints of one run lie. One process at a time writes there: the run's lease sees to that.
#[derive(Clone, Debug)]
pub struct CheckpointFolder {
    folder: PathBuf,
    keep: usize,
}

/// The checkpoint to go on from.
#[derive(Debug)]
pub struct Found {
    /// The newest one that can be read.
    pub stored: Stored,
    /// Why newer ones cannot.
    pub passed_over: Vec<Error>,
}

impl CheckpointFolder {
    /// The checkpoints in `folder`, of which the newest `keep` are kept. Nothing is written yet.
    pub fn new(folder: impl Into<PathBuf>, keep: usize) -> CheckpointFolder {
        CheckpointFolder { folder: folder.into(), keep: keep.max(1) }
    }

    /// Writes `checkpoint-<step>.safetensors` and removes what is no longer needed. A kill or a power cut leaves
    /// either all of the new file or none of it; older ones go only when it is safe on the disk.
    ///
    /// # Errors
    /// I/O, with a full disk named as such.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<()> {
        let bytes = checkpoint.to_bytes()?;
        let step = checkpoint.progress.step;
        let folder = &self.folder;
        let path = folder.join(format!("{PREFIX}{step}{SUFFIX}"));
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, &e))?;
        let mut file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .suffix(".tmp")
            .tempfile_in(folder)
            .map_err(|e| Error::io(folder, &e))?;
        file.write_all(&bytes).map_err(|e| Error::io(&path, &e))?;
        file.as_file().sync_all().map_err(|e| Error::io(&path, &e))?;
        file.persist(&path).map_err(|e| Error::io(&path, &e.error))?;
        // The new name is in the folder's own data: that must reach the disk too.
        File::open(folder).and_then(|f| f.sync_all()).map_err(|e| Error::io(folder, &e))?;
        self.remove_old(step);
        Ok(())
    }

    /// The newest checkpoint that can be read; `None` when none was ever written.
    ///
    /// # Errors
    /// `Corrupt` when there are some and none can be read; I/O of the folder.
    pub fn newest(&self) -> Result<Option<Found>> {
        let mut passed_over = Vec::new();
        for (_, path) in self.list()? {
            match Stored::read(&path) {
                Ok(stored) => return Ok(Some(Found { stored, passed_over })),
                Err(e) => passed_over.push(e),
            }
        }
        let Some(newest) = passed_over.into_iter().next() else { return Ok(None) };
        let folder = self.folder.display();
        Err(Error::new(
            Kind::Corrupt,
            tr!(
                "none of the checkpoints in {folder} can be read; the newest: {}",
                "{folder} 中的检查点均无法读取；最新的一个：{}",
                newest.message
            ),
        )
        .hint(tr!(
            "start the training anew, or put the checkpoints back from a backup",
            "请重新开始训练，或从备份恢复检查点"
        )))
    }

    /// Removes every checkpoint, and the folder when nothing else lies in it. What cannot be removed does no harm.
    pub fn clear(&self) {
        for (_, path) in self.list().unwrap_or_default() {
            let _ = std::fs::remove_file(path);
        }
        self.remove_unfinished();
        let _ = std::fs::remove_dir(&self.folder);
    }

    /// Steps and files, the newest first.
    fn list(&self) -> Result<Vec<(u64, PathBuf)>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io(&self.folder, &e)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| Error::io(&self.folder, &e))?.path();
            if let Some(step) = step_of(&path) {
                files.push((step, path));
            }
        }
        files.sort_by_key(|(step, _)| std::cmp::Reverse(*step));
        Ok(files)
    }

    /// Keeps the checkpoint of `newest` and those before it, as many as wanted. Later ones are of a course that a
    /// damaged file made the run leave. What cannot be removed does no harm.
    fn remove_old(&self, newest: u64) {
        let files = self.list().unwrap_or_default();
        let mut kept = 0;
        for (step, path) in files {
            kept += usize::from(step <= newest);
            if step > newest || kept > self.keep {
                let _ = std::fs::remove_file(path);
            }
        }
        self.remove_unfinished();
    }

    fn remove_unfinished(&self) {
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

fn step_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
}
