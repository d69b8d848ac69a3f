//! A file that appears under its name when it is whole.

use crate::error::{Error, Result};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file that is being written beside its place. Without [`NewFile::finish`] nothing is left of it.
pub(super) struct NewFile {
    path: PathBuf,
    to: BufWriter<tempfile::NamedTempFile>,
}

impl NewFile {
    /// Begins the file that is to be at `path`; folders that are missing on the way are made.
    ///
    /// # Errors
    /// I/O.
    pub fn create(path: &Path) -> Result<NewFile> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, &e))?;
        let file = tempfile::Builder::new().prefix(".export").tempfile_in(folder).map_err(|e| Error::io(path, &e))?;
        Ok(NewFile { path: path.to_owned(), to: BufWriter::with_capacity(1 << 18, file) })
    }

    /// Puts the file in its place, where it takes that of an earlier one, and gives its path.
    ///
    /// # Errors
    /// I/O.
    pub fn finish(self) -> Result<PathBuf> {
        let NewFile { path, to } = self;
        let file = to.into_inner().map_err(|e| Error::io(&path, e.error()))?;
        readable_by_all(&file).map_err(|e| Error::io(&path, &e))?;
        file.persist(&path).map_err(|e| Error::io(&path, &e.error))?;
        Ok(path)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
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

/// Removes what an earlier export left at `path`: a reader of the folder would take it for a part of this one.
///
/// # Errors
/// I/O.
pub(super) fn gone(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io(path, &e)),
        _ => Ok(()),
    }
}
