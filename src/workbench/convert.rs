//! `models merge`, `models quantize`, `models export`: a model, with an adapter or without, as files for other programs.

use super::models::{resolve, weights_hash};
use super::{LoadedAdapter, Workbench};
use crate::error::{Error, Kind, Result};
use crate::model::folder_writer::{ModelToWrite, SHARD_BYTES, Watch, refuse_taken, write_folder};
use crate::model::gguf_export::{write_lora, write_model};
use crate::model::{MergedWeights, ModelFiles, StorageType, open};
use crate::prompt::Template;
use crate::store;
use crate::tr;
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelFormat {
    /// A Hugging Face folder.
    HuggingFace,
    /// One GGUF file.
    Gguf,
    /// The adapter alone, as a GGUF file.
    GgufLora,
}

impl ModelFormat {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            ModelFormat::HuggingFace => "hf",
            ModelFormat::Gguf => "gguf",
            ModelFormat::GgufLora => "gguf-lora",
        }
    }
}

impl Serialize for ModelFormat {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What `models merge|quantize|export` was asked for.
#[derive(Clone, Debug)]
pub struct ConvertRequest {
    /// Catalogue name, folder or file.
    pub model: String,
    /// The adapter that is merged, or written.
    pub adapter: Option<String>,
    /// What is written.
    pub format: ModelFormat,
    /// How weights are stored; an adapter's are f32.
    pub storage: StorageType,
    /// The folder or file, which must not be there.
    pub output: PathBuf,
}

/// What was written; the keys are those of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Converted {
    /// The folder or file.
    pub output: PathBuf,
    /// What it is.
    pub format: ModelFormat,
    /// How most weights are stored.
    pub storage: StorageType,
    /// The base.
    pub model: String,
    /// The adapter.
    pub adapter: Option<String>,
    /// The template that the adapter was trained with, which its prompts should have.
    pub template: Option<&'static str>,
    /// Number of weights.
    pub parameters: u64,
    /// Bytes of the weights' files.
    pub bytes: u64,
    /// How the base's weights were stored, where that is less than the computation's f32: they are not better now.
    pub base_storage: String,
}

/// Writes a model or an adapter; see [`ConvertRequest`].
///
/// # Errors
/// `Usage` when the format needs an adapter and there is none, those of [`resolve`], of loading and of writing.
pub fn convert(bench: &Workbench, request: &ConvertRequest, watch: &mut Watch<'_>) -> Result<Converted> {
    refuse_taken(&request.output)?;
    let path = resolve(bench, &request.model)?;
    let files = open(&path)?;
    let hash = weights_hash(bench, &path)?;
    let adapter = request
        .adapter
        .as_deref()
        .map(|spec| bench.load_adapter_for(spec, &request.model, &hash, &files.config))
        .transpose()?;
    let (bytes, parameters) = match (request.format, &adapter) {
        (ModelFormat::GgufLora, None) => {
            return Err(Error::new(
                Kind::Usage,
                tr!("--format gguf-lora needs an adapter", "--format gguf-lora 需要适配器"),
            )
            .hint(tr!("name it with --adapter A", "请用 --adapter A 指定")));
        }
        (ModelFormat::GgufLora, Some(adapter)) => {
            let count = adapter.lora.parameter_count() as u64;
            (write_lora(&request.output, &adapter.lora, &files.config, &adapter.name)?, count)
        }
        (_, Some(adapter)) => {
            let merged = MergedWeights::new(&*files.weights, &files.config, &adapter.lora);
            let model = ModelToWrite { config: merged.config(), weights: &merged, base: &path };
            (write(request, &model, Some(adapter), &hash, watch)?, model.config.parameters())
        }
        (_, None) => {
            let model = ModelToWrite { config: &files.config, weights: &*files.weights, base: &path };
            (write(request, &model, None, &hash, watch)?, model.config.parameters())
        }
    };
    Ok(Converted {
        output: request.output.clone(),
        format: request.format,
        storage: match request.format {
            ModelFormat::GgufLora => StorageType::F32,
            _ => request.storage,
        },
        model: request.model.clone(),
        template: adapter.as_ref().and_then(|a| a.template).map(Template::name),
        adapter: request.adapter.clone(),
        parameters,
        bytes,
        base_storage: most(&files),
    })
}

/// How most of a model's weights are stored.
fn most(files: &ModelFiles) -> String {
    let storage = files.weights.storage();
    storage.into_iter().max_by_key(|(_, n)| *n).map(|(name, _)| name).unwrap_or_default()
}

fn write(
    request: &ConvertRequest,
    model: &ModelToWrite<'_>,
    adapter: Option<&LoadedAdapter>,
    base_hash: &str,
    watch: &mut Watch<'_>,
) -> Result<u64> {
    if request.format == ModelFormat::Gguf {
        return write_model(&request.output, model, request.storage, watch);
    }
    let origin = json!({
        "base": request.model,
        "base_hash": base_hash,
        "adapter": request.adapter,
        "adapter_hash": adapter.map(|a| a.hash.as_str()),
        "template": adapter.and_then(|a| a.template).map(Template::name),
        "code_version": store::code_version(),
    });
    write_folder(&request.output, model, request.storage, SHARD_BYTES, &[(ORIGIN, origin)], watch)
}

/// The file in a written folder that says what it was made of; other readers ignore it.
const ORIGIN: &str = "linly_bench.json";
