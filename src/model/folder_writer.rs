//! Writes a model as a Hugging Face folder: configuration, tokenizer, weights as safetensors.

use super::config::ModelConfig;
use super::storage_type::StorageType;
use super::tokenizer::Tokenizer;
use super::weights::{WeightSource, read_json};
use crate::error::{Error, Kind, Result};
use crate::job::CancelToken;
use crate::tr;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Bytes above which weights are spread over several files: what transformers' `save_pretrained` used for years.
pub const SHARD_BYTES: u64 = 5_000_000_000;

/// Files of a folder that belong to the tokenizer or to generation, and go along as they are.
const COMPANIONS: [&str; 10] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "generation_config.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// Tells how much of a file is written, and says when to stop.
pub struct Watch<'a> {
    /// Told bytes done and bytes in all.
    pub progress: &'a mut dyn FnMut(u64, u64),
    /// Set when the user wants to stop.
    pub cancel: &'a CancelToken,
}

impl Watch<'_> {
    pub(super) fn step(&mut self, done: u64, total: u64) -> Result<()> {
        (self.progress)(done, total);
        if self.cancel.is_cancelled() {
            return Err(Error::new(Kind::Interrupted, tr!("stopped; nothing was written", "已停止；没有写出任何文件"))
                .hint(tr!("run the command again to write it", "重新运行该命令即可写出")));
        }
        Ok(())
    }
}

/// A model about to be written: its weights, and the folder or file from which everything else comes.
pub struct ModelToWrite<'a> {
    /// Sizes and switches.
    pub config: &'a ModelConfig,
    /// The weights.
    pub weights: &'a (dyn WeightSource + Send + Sync),
    /// The base: a `.gguf` file or a folder.
    pub base: &'a Path,
}

/// Writes the model into the new folder `target`, its weights as `storage` in files of at most `shard` bytes each
/// (or one weight, when that alone is larger). All of it is written beside `target` first: `target` is there as a whole
/// or not at all. Gives the bytes of the weights.
///
/// # Errors
/// `InvalidInput` when `target` holds something already or a number does not fit `storage`, `Interrupted`, I/O.
pub fn write_folder(
    target: &Path,
    model: &ModelToWrite<'_>,
    storage: StorageType,
    shard: u64,
    extra: &[(&str, Value)],
    watch: &mut Watch<'_>,
) -> Result<u64> {
    refuse_taken(target)?;
    let staging = beside(target)?;
    let folder = staging.path().join("model");
    std::fs::create_dir(&folder).map_err(|e| Error::io(&folder, &e))?;
    write_companions(&folder, model, storage)?;
    for (name, value) in extra {
        write_json(&folder.join(name), value)?;
    }
    let bytes = write_weights(&folder, model, storage, shard, watch)?;
    std::fs::rename(&folder, target).map_err(|e| Error::io(target, &e))?;
    Ok(bytes)
}

/// A folder for unfinished work on the same disk as `target`, which removes itself.
pub(super) fn beside(target: &Path) -> Result<tempfile::TempDir> {
    let parent = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent).map_err(|e| Error::io(parent, &e))?;
    tempfile::Builder::new().prefix(".model-").tempdir_in(parent).map_err(|e| Error::io(parent, &e))
}

/// Refuses a folder with anything in it, and any file: nobody's model is replaced.
pub fn refuse_taken(target: &Path) -> Result<()> {
    let empty_folder = || std::fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none());
    if !target.exists() || empty_folder() {
        return Ok(());
    }
    let place = target.display();
    Err(Error::new(Kind::InvalidInput, tr!("{place} is there already", "{place} 已存在"))
        .hint(tr!("give another place with -o, or remove it first", "请用 -o 指定其他位置，或先删除它")))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::internal(e.to_string()))?;
    bytes.push(b'\n');
    std::fs::write(path, bytes).map_err(|e| Error::io(path, &e))
}

/// `config.json`, and the files of tokenizer and generation.
fn write_companions(folder: &Path, model: &ModelToWrite<'_>, storage: StorageType) -> Result<()> {
    let mut config = if model.base.is_dir() {
        for name in COMPANIONS {
            let from = model.base.join(name);
            if from.is_file() {
                std::fs::copy(&from, folder.join(name)).map_err(|e| Error::io(&from, &e))?;
            }
        }
        // The base's own, which may say more than this program reads.
        read_json(&model.base.join("config.json"))?
    } else {
        let tokenizer = Tokenizer::open(model.base)?;
        write_tokenizer(folder, &tokenizer)?;
        let mut config = model.config.to_hf();
        config["bos_token_id"] = json!(tokenizer.bos());
        config["eos_token_id"] = json!(tokenizer.eos());
        config
    };
    config["vocab_size"] = json!(model.config.vocab_size);
    config["tie_word_embeddings"] = json!(model.config.tie_word_embeddings);
    // Older versions of transformers call it `torch_dtype`.
    let key = if config.get("torch_dtype").is_some() { "torch_dtype" } else { "dtype" };
    config[key] = json!(match storage {
        StorageType::Bf16 => "bfloat16",
        StorageType::F16 => "float16",
        _ => "float32",
    });
    write_json(&folder.join("config.json"), &config)
}

/// The files of a tokenizer that came out of a GGUF file.
fn write_tokenizer(folder: &Path, tokenizer: &Tokenizer) -> Result<()> {
    let path = folder.join("tokenizer.json");
    std::fs::write(&path, tokenizer.to_json()?).map_err(|e| Error::io(&path, &e))?;
    let special = json!({"bos_token": tokenizer.bos_text(), "eos_token": tokenizer.eos_text()});
    let mut config = Map::new();
    config.insert("tokenizer_class".to_owned(), json!("PreTrainedTokenizerFast"));
    config.insert("clean_up_tokenization_spaces".to_owned(), json!(false));
    for (name, text) in special.as_object().into_iter().flatten().filter(|(_, text)| !text.is_null()) {
        config.insert(name.clone(), text.clone());
    }
    write_json(&folder.join("tokenizer_config.json"), &Value::Object(config))?;
    let generation = json!({"bos_token_id": tokenizer.bos(), "eos_token_id": tokenizer.eos_ids()});
    write_json(&folder.join("generation_config.json"), &generation)?;
    if let Some(template) = tokenizer.chat_template() {
        let path = folder.join("chat_template.jinja");
        std::fs::write(&path, template).map_err(|e| Error::io(&path, &e))?;
    }
    Ok(())
}

/// A weight to be written: name, shape, bytes.
type Planned = (String, Vec<usize>, u64);

/// The weights file by file, as transformers cuts them: in order, a new file when the next weight would not fit.
fn shards(config: &ModelConfig, storage: StorageType, limit: u64) -> Vec<Vec<Planned>> {
    let mut shards: Vec<Vec<Planned>> = Vec::new();
    let mut room = 0;
    for (name, shape) in config.tensors() {
        let bytes = storage.bytes(shape.iter().product());
        match shards.last_mut() {
            Some(shard) if bytes <= room => {
                room -= bytes;
                shard.push((name, shape, bytes));
            }
            _ => {
                room = limit.saturating_sub(bytes);
                shards.push(vec![(name, shape, bytes)]);
            }
        }
    }
    shards
}

fn write_weights(
    folder: &Path,
    model: &ModelToWrite<'_>,
    storage: StorageType,
    limit: u64,
    watch: &mut Watch<'_>,
) -> Result<u64> {
    let shards = shards(model.config, storage, limit);
    let total = shards.iter().flatten().map(|(.., bytes)| bytes).sum();
    let count = shards.len();
    let name_of = |i: usize| match count {
        1 => "model.safetensors".to_owned(),
        _ => format!("model-{:05}-of-{count:05}.safetensors", i + 1),
    };
    let (mut done, mut places) = (0, Map::new());
    for (i, shard) in shards.iter().enumerate() {
        write_shard(&folder.join(name_of(i)), model, storage, shard, |bytes| {
            done += bytes;
            watch.step(done, total)
        })?;
        for (name, ..) in shard {
            places.insert(name.clone(), json!(name_of(i)));
        }
    }
    if count > 1 {
        let index = json!({"metadata": {"total_size": total}, "weight_map": places});
        write_json(&folder.join("model.safetensors.index.json"), &index)?;
    }
    Ok(total)
}

/// One safetensors file, weight by weight: no more than one weight is in memory. (Length of the header, header in JSON
/// padded to 8 bytes, numbers.)
fn write_shard(
    path: &Path,
    model: &ModelToWrite<'_>,
    storage: StorageType,
    shard: &[Planned],
    mut written: impl FnMut(u64) -> Result<()>,
) -> Result<()> {
    let dtype = match storage {
        StorageType::Bf16 => "BF16",
        StorageType::F16 => "F16",
        _ => "F32",
    };
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut at = 0;
    for (name, shape, bytes) in shard {
        header.insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": [at, at + bytes]}));
        at += bytes;
    }
    let mut header = serde_json::to_vec(&header).map_err(|e| Error::internal(e.to_string()))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let io = |e: &std::io::Error| Error::io(path, e);
    let mut file = BufWriter::new(File::create(path).map_err(|e| io(&e))?);
    file.write_all(&(header.len() as u64).to_le_bytes()).map_err(|e| io(&e))?;
    file.write_all(&header).map_err(|e| io(&e))?;
    for (name, _, bytes) in shard {
        let data = storage.encode(name, &model.weights.tensor(name)?.data)?;
        file.write_all(&data).map_err(|e| io(&e))?;
        written(*bytes)?;
    }
    let file = file.into_inner().map_err(|e| io(e.error()))?;
    file.sync_all().map_err(|e| io(&e))
}
