//! A model's files: configuration and weights, whatever format they are in.

use super::config::ModelConfig;
use super::gguf::{Gguf, pull_again};
use super::gguf_weights::GgufWeights;
use super::safetensors::SafetensorsWeights;
use crate::error::{Error, Kind, Result};
use crate::ops::StoredRows;
use crate::tr;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A dense array in f32, the last dimension contiguous.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Sizes, slowest dimension first; `[out, in]` for a projection.
    pub shape: Vec<usize>,
    /// `shape.iter().product()` values.
    pub data: Vec<f32>,
}

/// Weights by their Hugging Face names (`model.layers.0.self_attn.q_proj.weight`), in the order of
/// rows that Hugging Face uses, as f32.
pub trait WeightSource {
    /// Names of all weights, sorted.
    fn names(&self) -> Vec<String>;

    /// Shape of the weight `name` without reading it; `None` when there is no such weight.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;

    /// Number of elements by how they are stored (`Q4_1`, `F32`, `BF16`), over all weights.
    fn storage(&self) -> BTreeMap<String, u64>;

    /// Reads the weight `name`; `None` when there is no such weight.
    ///
    /// # Errors
    /// `Corrupt` when its bytes cannot be read.
    fn try_tensor(&self, name: &str) -> Result<Option<Tensor>>;

    /// The weight `name`, a matrix whose shape has been checked, row by row as its file has it; the file stays mapped.
    ///
    /// # Errors
    /// As [`WeightSource::tensor`].
    fn stored_rows(&self, name: &str) -> Result<Box<dyn StoredRows>>;

    /// The files, for messages.
    fn place(&self) -> &Path;

    /// Reads the weight `name`.
    ///
    /// # Errors
    /// `Corrupt` when it is missing or cannot be read.
    fn tensor(&self, name: &str) -> Result<Tensor> {
        self.try_tensor(name)?.ok_or_else(|| missing(self.place(), name))
    }
}

pub(super) fn missing(place: &Path, name: &str) -> Error {
    let (place, name) = (place.display(), name.escape_default());
    Error::new(Kind::Corrupt, tr!("{place}: the weight {name} is missing", "{place}：缺少权重 {name}"))
        .hint(pull_again())
}

/// The format of a model's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One `.gguf` file.
    Gguf,
    /// A folder with `config.json` and safetensors.
    HuggingFace,
}

impl Format {
    /// `gguf` or `huggingface`.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Gguf => "gguf",
            Format::HuggingFace => "huggingface",
        }
    }
}

/// A model's files, opened and checked; weights are read when asked for.
pub struct ModelFiles {
    /// Sizes and switches.
    pub config: ModelConfig,
    /// The weights.
    pub weights: Box<dyn WeightSource + Send + Sync>,
    /// The `.gguf` file or the folder.
    pub path: PathBuf,
    /// Which of the two.
    pub format: Format,
}

impl ModelFiles {
    /// Checks that every weight that the configuration asks for is there, with the right shape.
    fn check(&self) -> Result<()> {
        for (name, expected) in self.config.tensors() {
            match self.weights.shape(&name) {
                None => return Err(missing(&self.path, &name)),
                Some(found) if found != expected => {
                    let place = self.path.display();
                    return Err(Error::new(
                        Kind::Corrupt,
                        tr!(
                            "{place}: the weight {name} has shape {found:?}, expected {expected:?}",
                            "{place}：权重 {name} 的形状是 {found:?}，应为 {expected:?}"
                        ),
                    )
                    .hint(tr!(
                        "the configuration and the weights belong to different models: pull the model again",
                        "配置与权重不属于同一个模型：请重新下载该模型"
                    )));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// Opens a `.gguf` file or a Hugging Face folder. Headers are read and checked, weights are not.
///
/// # Errors
/// `NotFound`, `Corrupt` (a damaged file, a missing weight or one of the wrong shape), `InvalidInput`
/// (a configuration that makes no sense), `Unsupported` (another architecture, pickled weights).
pub fn open(path: &Path) -> Result<ModelFiles> {
    let files = if path.is_dir() { open_folder(path)? } else { open_gguf(path)? };
    files.check()?;
    Ok(files)
}

fn open_gguf(path: &Path) -> Result<ModelFiles> {
    if is_pickle(path) {
        return Err(pickle_error(path));
    }
    let file = Gguf::open(path)?;
    let config = ModelConfig::from_gguf(&file)?;
    let weights = Box::new(GgufWeights::new(file, &config)?);
    Ok(ModelFiles { config, weights, path: path.to_owned(), format: Format::Gguf })
}

fn open_folder(path: &Path) -> Result<ModelFiles> {
    let config_path = path.join("config.json");
    let config = ModelConfig::from_hf(&read_json(&config_path)?)?;
    let weights: Box<dyn WeightSource + Send + Sync> = match SafetensorsWeights::open(path)? {
        Some(weights) => Box::new(weights),
        None if holds_pickle(path) => return Err(pickle_error(path)),
        None => {
            let place = path.display();
            return Err(Error::new(
                Kind::NotFound,
                tr!("{place} holds no model.safetensors", "{place} 中没有 model.safetensors"),
            )
            .hint(tr!("pull the model again, or name its folder", "请重新下载该模型，或指定模型所在的目录")));
        }
    };
    Ok(ModelFiles { config, weights, path: path.to_owned(), format: Format::HuggingFace })
}

/// Reads a JSON file.
///
/// # Errors
/// `NotFound`/`Io`, or `Corrupt` when it is no JSON.
pub(super) fn read_json(path: &Path) -> Result<serde_json::Value> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, &e))?;
    serde_json::from_slice(&bytes).map_err(|e| {
        let place = path.display();
        Error::new(Kind::Corrupt, tr!("{place} is no JSON: {e}", "{place} 不是 JSON：{e}")).hint(pull_again())
    })
}

fn is_pickle(path: &Path) -> bool {
    path.extension().is_some_and(|e| ["bin", "pt", "pth", "pkl", "ckpt"].iter().any(|p| e.eq_ignore_ascii_case(p)))
}

fn holds_pickle(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(|entry| is_pickle(&entry.path())))
}

fn pickle_error(path: &Path) -> Error {
    let place = path.display();
    Error::new(
        Kind::Unsupported,
        tr!(
            "{place} holds pickled weights, which can run any code when they are read",
            "{place} 中是 pickle 格式的权重，读取时可能执行任意代码"
        ),
    )
    .hint(tr!(
        "use the safetensors or GGUF version of this model, or convert it (save_pretrained writes safetensors)",
        "请使用该模型的 safetensors 或 GGUF 版本，或先转换（save_pretrained 会写 safetensors）"
    ))
}

/// Widens little-endian half-precision words to f32.
pub(super) fn widen_f16(bytes: &[u8], out: &mut [f32]) {
    use half::slice::HalfFloatSliceExt;
    // The bytes may lie unaligned; the conversion of a whole slice (which uses the CPU's instruction)
    // wants them aligned, so they pass through a buffer that stays in the cache.
    let mut buffer = [half::f16::ZERO; 512];
    for (words, out) in bytes.as_chunks::<2>().0.chunks(buffer.len()).zip(out.chunks_mut(buffer.len())) {
        for (slot, word) in buffer.iter_mut().zip(words) {
            *slot = half::f16::from_le_bytes(*word);
        }
        buffer[..out.len()].convert_to_f32_slice(out);
    }
}

/// Widens little-endian bfloat16 words to f32: the upper half of the bits.
pub(super) fn widen_bf16(bytes: &[u8], out: &mut [f32]) {
    for (word, out) in bytes.as_chunks::<2>().0.iter().zip(out) {
        *out = f32::from_bits(u32::from(u16::from_le_bytes(*word)) << 16);
    }
}

/// Copies little-endian f32 words.
pub(super) fn copy_f32(bytes: &[u8], out: &mut [f32]) {
    for (word, out) in bytes.as_chunks::<4>().0.iter().zip(out) {
        *out = f32::from_le_bytes(*word);
    }
}
