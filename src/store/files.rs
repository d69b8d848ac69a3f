//! Remembered hashes of large files.

use super::Store;
use crate::error::{Error, Result};
use sqlx::Row;
use std::path::Path;

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Bytes.
    pub size: i64,
    /// Modification time in nanoseconds since the epoch.
    pub mtime: i64,
}

impl FileStamp {
    /// The stamp of the file at `path`.
    pub fn of(path: &Path) -> Result<FileStamp> {
        let meta = std::fs::metadata(path).map_err(|e| Error::io(path, &e))?;
        let mtime = meta
            .modified()
            .ok()
            .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(0, |d| d.as_nanos() as i64);
        Ok(FileStamp { size: meta.len() as i64, mtime })
    }
}

impl Store {
    /// The remembered hash of `path` if the file still has `stamp`.
    pub fn file_hash(&self, path: &Path, stamp: FileStamp) -> Result<Option<String>> {
        let row = self.wait(
            sqlx::query("SELECT hash FROM file_hashes WHERE path = ? AND size = ? AND mtime = ?")
                .bind(path.to_string_lossy().into_owned())
                .bind(stamp.size)
                .bind(stamp.mtime)
                .fetch_optional(&self.pool),
        )?;
        Ok(row.map(|row| row.get("hash")))
    }

    /// Remembers the hash of `path` in the state `stamp`.
    pub fn put_file_hash(&self, path: &Path, stamp: FileStamp, hash: &str) -> Result<()> {
        self.wait(
            sqlx::query("INSERT OR REPLACE INTO file_hashes (path, size, mtime, hash) VALUES (?, ?, ?, ?)")
                .bind(path.to_string_lossy().into_owned())
                .bind(stamp.size)
                .bind(stamp.mtime)
                .bind(hash)
                .execute(&self.pool),
        )?;
        Ok(())
    }
}
