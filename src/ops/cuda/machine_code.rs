//! Compiled kernels on disk: compiling all of them takes seconds, and a program's start should not.

use super::kernels::KernelFile;
use super::nvrtc::{Compiler, Target};
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// Machine code of a file of kernels for a capability; from the disk where it was compiled before.
///
/// # Errors
/// A missing compiler where nothing is on the disk, and kernels that do not compile.
pub fn of(file: KernelFile, capability: u32) -> Result<Vec<u8>> {
    let path = folder().map(|folder| folder.join(name(file, capability)));
    if let Some(code) = path.as_ref().and_then(|path| std::fs::read(path).ok()).filter(|code| !code.is_empty()) {
        return Ok(code);
    }
    let compiler = Compiler::find()?;
    let code = match compiler.compile(file, Target::Machine(capability)) {
        Ok((code, _)) => code,
        // A card that is newer than the compiler takes PTX, which its driver translates.
        Err(_) => compiler.compile(file, Target::Ptx(80))?.0,
    };
    // Without the cache everything works, only later: a full or read-only disk is no reason to stop.
    if let Some(path) = path {
        let _ = keep(&path, &code);
    }
    Ok(code)
}

/// Writes beside its place and moves, so that another process never reads half of it.
fn keep(path: &std::path::Path, code: &[u8]) -> Result<()> {
    let folder = path.parent().ok_or_else(|| Error::internal("a path without a folder"))?;
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, &e))?;
    let mut part = tempfile::NamedTempFile::new_in(folder).map_err(|e| Error::io(folder, &e))?;
    std::io::Write::write_all(&mut part, code).map_err(|e| Error::io(path, &e))?;
    part.persist(path).map_err(|e| Error::io(path, &e.error))?;
    Ok(())
}

/// A name that changes with the text of the kernels.
fn name(file: KernelFile, capability: u32) -> String {
    let hash = Sha256::digest(file.source().as_bytes());
    let hash: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-sm{capability}-{hash}", file.name().trim_end_matches(".cu"))
}

fn folder() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    Some(etcetera::BaseStrategy::cache_dir(&base).join("linly-bench").join("kernels"))
}
