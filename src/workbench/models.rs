//! Models by the names that users give them: find, pull, list, describe.

use super::Workbench;
use crate::error::{Error, Kind, Result};
use crate::job::CancelToken;
use crate::model::hub::Sources;
use crate::model::pull::{PullEvent, Pulled, pull_entry, pull_repository};
use crate::model::{self, Gguf, ModelConfig, Repository, Tokenizer, catalogue};
use crate::store::FileStamp;
use crate::tr;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The folder or `.gguf` file that `spec` names: a catalogue name or `hf:`/`ms:` repository that was
/// pulled, the name of a folder among the pulled models, a path.
///
/// # Errors
/// `NotFound` with what to do about it.
pub fn resolve(bench: &Workbench, spec: &str) -> Result<PathBuf> {
    if crate::remote::is_address(spec) {
        return Err(Error::new(Kind::Unsupported, tr!("a server's model has no weights here", "服务器上的模型在本机没有权重"))
            .hint(tr!(
                "a server's model can be scored (`run`) and can battle (`arena battle`); for this name a model on this machine",
                "服务器上的模型可以评测（`run`）和对战（`arena battle`）；此处请给出本机的模型"
            )));
    }
    let models = bench.settings.models();
    if let Some(entry) = catalogue::find(spec) {
        let path = models.join(&entry.name).join(&entry.file);
        // A size that differs is a file that someone else put there; pulling replaces it.
        return match path.metadata() {
            Ok(meta) if meta.len() == entry.bytes => Ok(path),
            _ => Err(not_pulled(spec)),
        };
    }
    if let Some(repository) = Repository::parse(spec)? {
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

/// Pulls a catalogue name, or a repository of a hub (`hf:ORG/REPO`, `ms:ORG/REPO`, with `/FILE.gguf`
/// for one file of it). What is there already and unharmed is not fetched again.
///
/// # Errors
/// `NotFound` for an unknown name, `Network` with the reason of every source, `Interrupted`, …;
/// nothing is left behind then.
pub fn pull(
    bench: &Workbench,
    spec: &str,
    sources: &Sources,
    listen: &mut dyn FnMut(PullEvent),
    cancel: &CancelToken,
) -> Result<Pulled> {
    let models = bench.settings.models();
    let lock = bench.settings.home.join("locks").join("pull");
    if let Some(entry) = catalogue::find(spec) {
        return pull_entry(entry, &models, &lock, sources, listen, cancel);
    }
    if let Some(repository) = Repository::parse(spec)? {
        return pull_repository(&repository, &models, &lock, sources, listen, cancel);
    }
    let spec = spec.escape_debug();
    let names: Vec<&str> = catalogue::all().iter().map(|entry| entry.name.as_str()).collect();
    let names = names.join(", ");
    Err(Error::new(Kind::NotFound, tr!("the catalogue has no model `{spec}`", "模型目录中没有 `{spec}`")).hint(tr!(
        "it has: {names}; models of a hub are written hf:ORG/REPO or ms:ORG/REPO",
        "已收录：{names}；模型站上的模型写作 hf:ORG/REPO 或 ms:ORG/REPO"
    )))
}

/// A model of the catalogue or of the models folder.
#[derive(Clone, Debug, Serialize)]
pub struct ListedModel {
    /// What `--model` takes.
    pub name: String,
    /// For people; empty for what is not in the catalogue.
    pub title: String,
    /// Whether its files are here.
    pub pulled: bool,
    /// Its folder or file, when they are.
    pub path: Option<PathBuf>,
    /// Bytes of its files, here or to come.
    pub bytes: u64,
    /// Licence, as far as the catalogue knows it.
    pub license: Option<String>,
}

/// The catalogue, then everything else in the models folder.
pub fn list(bench: &Workbench) -> Vec<ListedModel> {
    let models = bench.settings.models();
    let mut all: Vec<ListedModel> = catalogue::all()
        .iter()
        .map(|entry| {
            let path = resolve(bench, &entry.name).ok();
            ListedModel {
                name: entry.name.clone(),
                title: entry.title.clone(),
                pulled: path.is_some(),
                path,
                bytes: entry.bytes,
                license: Some(entry.license.clone()),
            }
        })
        .collect();
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(&models).into_iter().flatten().flatten().map(|e| e.path()).collect();
    folders.sort();
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || catalogue::find(&name).is_some() {
            continue;
        }
        let found =
            if folder.join("config.json").is_file() { vec![folder.clone()] } else { files_with(&folder, "gguf") };
        let only = found.len() == 1;
        for path in found {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            all.push(ListedModel {
                name: if only { name.clone() } else { format!("{name}/{file}") },
                title: String::new(),
                pulled: true,
                bytes: weight_bytes(&path),
                path: Some(path),
                license: None,
            });
        }
    }
    all
}

/// Bytes of a model's weights on disk.
fn weight_bytes(path: &Path) -> u64 {
    let files = if path.is_dir() { files_with(path, "safetensors") } else { vec![path.to_owned()] };
    files.iter().map(|file| file.metadata().map_or(0, |meta| meta.len())).sum()
}

/// What a model is and what it needs.
#[derive(Clone, Debug, Serialize)]
pub struct ModelInfo {
    /// Its folder or file.
    pub path: PathBuf,
    /// `gguf` or `huggingface`.
    pub format: &'static str,
    /// `llama`, `qwen2` or `qwen3`.
    pub architecture: &'static str,
    /// Number of weights.
    pub parameters: u64,
    /// How most weights are stored.
    pub quantization: String,
    /// Number of weights by how they are stored.
    pub storage: BTreeMap<String, u64>,
    /// Bytes of the weights on disk.
    pub file_bytes: u64,
    /// Longest sequence, in tokens.
    pub context_length: usize,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Decoder blocks.
    pub num_layers: usize,
    /// Query heads.
    pub num_heads: usize,
    /// Key and value heads.
    pub num_kv_heads: usize,
    /// Whether the output projection is the embedding.
    pub tied_embeddings: bool,
    /// Whether it brings a chat template.
    pub chat_template: bool,
    /// Its end-of-sequence token.
    pub eos_token: String,
    /// What the catalogue says of a file with this hash.
    pub license: Option<String>,
    /// Bytes for inference in f32: weights, and keys and values of one sequence of
    /// [`ModelInfo::MEMORY_TOKENS`] tokens.
    pub memory_infer_bytes: u64,
    /// Bytes for training an adapter in f32: weights, and what the backward pass keeps of a
    /// micro-batch of [`ModelInfo::MEMORY_TOKENS`] tokens.
    pub memory_train_bytes: u64,
}

impl ModelInfo {
    /// Tokens that the memory estimates are made for (4 rows of 512).
    pub const MEMORY_TOKENS: u64 = 2048;
}

/// Describes the model that `spec` names. Weights are not read.
///
/// # Errors
/// Those of [`resolve`], [`model::open`] and [`Tokenizer::open`].
pub fn info(bench: &Workbench, spec: &str) -> Result<ModelInfo> {
    let path = resolve(bench, spec)?;
    let files = model::open(&path)?;
    let tokenizer = if path.is_dir() { Tokenizer::open(&path)? } else { Tokenizer::from_gguf(&Gguf::open(&path)?)? };
    let storage = files.weights.storage();
    let c = &files.config;
    let (infer, train) = memory(c);
    Ok(ModelInfo {
        format: files.format.as_str(),
        architecture: c.architecture.as_str(),
        parameters: c.parameters(),
        quantization: storage.iter().max_by_key(|(_, n)| **n).map(|(name, _)| name.clone()).unwrap_or_default(),
        storage,
        file_bytes: weight_bytes(&path),
        context_length: c.max_positions,
        vocab_size: c.vocab_size,
        hidden_size: c.hidden_size,
        intermediate_size: c.intermediate_size,
        num_layers: c.num_layers,
        num_heads: c.num_heads,
        num_kv_heads: c.num_kv_heads,
        tied_embeddings: c.tie_word_embeddings,
        chat_template: tokenizer.chat_template().is_some(),
        eos_token: tokenizer.eos_text().to_owned(),
        license: catalogue::find(spec).map(|entry| entry.license.clone()),
        memory_infer_bytes: infer,
        memory_train_bytes: train,
        path,
    })
}

/// Bytes for inference and for training. Training keeps of each token and block: the residual stream
/// twice, its two normalised forms, q, k, v, the attention's output and the three feed-forward
/// vectors (as `model::block` tapes them); q and k twice where they are normalised.
fn memory(c: &ModelConfig) -> (u64, u64) {
    let float = size_of::<f32>() as u64;
    let (h, q, kv, wide) = (c.hidden_size, c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim, c.intermediate_size);
    let taped = 4 * h + 2 * q + 2 * kv + 3 * wide + if c.qk_norm { q + kv } else { 0 };
    let per_token = |floats: usize| floats as u64 * c.num_layers as u64 * float * ModelInfo::MEMORY_TOKENS;
    let weights = c.parameters() * float;
    (weights + per_token(2 * kv), weights + per_token(taped))
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
