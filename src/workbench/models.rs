//! Models by the names that users give them: find, pull, list, describe.

use super::Workbench;
use crate::error::{Error, Kind, Result};
use crate::model::{self, Tokenizer, catalogue};
use crate::store::FileStamp;
use crate::tr;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The folder or `.gguf` file that `spec` names: a catalogue name or `hf:`/`ms:` repository that was
/// pulled, the name of a folder among the pulled models, a path.
///
/// # Errors
/// `NotFound` with what to do about it.
pub fn resolve(bench: &Workbench, spec: &str) -> Result<PathBuf> {
    let models = bench.settings.models();
    if let Some(entry) = catalogue::find(spec) {
        let path = models.join(&entry.name).join(&entry.file);
        // A size that differs is a file that someone else put there; pulling replaces it.
        return match path.metadata() {
            Ok(meta) if meta.len() == entry.bytes => Ok(path),
            _ => Err(not_pulled(spec)),
        };
    }
    if let Some(repository) = model::Repository::parse(spec)? {
        let folder = models.join(repository.folder());
        return match &repository.file {
            Some(file) => Some(folder.join(file)).filter(|path| path.is_file()),
            None => model_in(&folder),
        }
        .ok_or_else(|| not_pulled(spec));
    }
    let path = Path::new(spec);
    if path.is_file() {
        return Ok(path.to_owned());
    }
    if path.is_dir() {
        return model_in(path).ok_or_else(|| {
            let place = path.display();
            Error::new(Kind::NotFound, tr!("{place} holds no model", "{place} 中没有模型")).hint(tr!(
                "a model is a folder with config.json and safetensors, or one .gguf file",
                "模型是含有 config.json 与 safetensors 的目录，或一个 .gguf 文件"
            ))
        });
    }
    if is_plain_name(spec)
        && let Some(path) = model_in(&models.join(spec))
    {
        return Ok(path);
    }
    let shown = spec.escape_debug();
    let names: Vec<&str> = catalogue::all().iter().map(|entry| entry.name.as_str()).collect();
    let names = names.join(", ");
    Err(Error::new(Kind::NotFound, tr!("no model `{shown}`", "没有模型 `{shown}`")).hint(tr!(
        "name a model of the catalogue ({names}), a folder, or a .gguf file; `linly-bench models list` shows what is here",
        "请给出目录中的模型名（{names}）、目录路径或 .gguf 文件；`linly-bench models list` 可列出已有模型"
    )))
}

fn not_pulled(spec: &str) -> Error {
    let spec = spec.escape_debug();
    Error::new(Kind::NotFound, tr!("the model {spec} has not been pulled", "尚未下载模型 {spec}"))
        .hint(format!("linly-bench models pull {spec}"))
}

/// Whether `name` stays inside the folder that it is joined to.
fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(std::path::Component::Normal(_)), None))
}

/// The model in `folder`: the folder itself, or the only `.gguf` file in it.
fn model_in(folder: &Path) -> Option<PathBuf> {
    if folder.join("config.json").is_file() {
        return Some(folder.to_owned());
    }
    let mut files = files_with(folder, "gguf");
    match (files.pop(), files.is_empty()) {
        (Some(only), true) => Some(only),
        _ => None,
    }
}

/// Files in `folder` whose name ends in `.extension`, sorted.
fn files_with(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|e| e.path()).filter(|p| p.is_file() && p.extension().is_some_and(|e| e == extension)).collect();
    files.sort();
    files
}

/// The tokenizer of the model that `spec` names; its weights are not read.
///
/// # Errors
/// Those of [`resolve`] and [`Tokenizer::open`].
pub fn tokenizer(bench: &Workbench, spec: &str) -> Result<Tokenizer> {
    Tokenizer::open(&resolve(bench, spec)?)
}

/// SHA-256 (hexadecimal) of a model: of its `.gguf` file, or over the hashes of its configuration and
/// safetensors files. Remembered in the database as long as size and time of a file stay the same.
///
/// # Errors
/// `NotFound`/`Io` when a file cannot be read.
pub fn weights_hash(bench: &Workbench, path: &Path) -> Result<String> {
    if !path.is_dir() {
        return file_hash(bench, path);
    }
    let mut sha = Sha256::new();
    for file in [vec![path.join("config.json")], files_with(path, "safetensors")].concat() {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        sha.update(format!("{name} {}\n", file_hash(bench, &file)?));
    }
    Ok(model::hex(&sha.finalize()))
}

fn file_hash(bench: &Workbench, path: &Path) -> Result<String> {
    let path = path.canonicalize().map_err(|e| Error::io(path, &e))?;
    let stamp = FileStamp::of(&path)?;
    if let Some(hash) = bench.store.file_hash(&path, stamp)? {
        return Ok(hash);
    }
    let io = |e: &std::io::Error| Error::io(&path, e);
    let mut file = std::fs::File::open(&path).map_err(|e| io(&e))?;
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => sha.update(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(io(&e)),
        }
    }
    let hash = model::hex(&sha.finalize());
    bench.store.put_file_hash(&path, stamp, &hash)?;
    Ok(hash)
}
