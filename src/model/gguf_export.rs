//! A model as a GGUF file, and an adapter as a GGUF adapter, as llama.cpp names and orders them.

use super::config::{Architecture, ModelConfig, RopeScaling};
use super::folder_writer::{ModelToWrite, Watch, beside, refuse_taken};
use super::gguf::Gguf;
use super::gguf_weights::{gguf_name, interleave_halves};
use super::gguf_writer::{Meta, Metadata, TensorRow, write};
use super::lora::{Lora, Projection};
use super::lora_config::module_name;
use super::storage_type::StorageType;
use super::tokenizer::Tokenizer;
use super::tokenizer_to_gguf;
use crate::error::{Error, Kind, Result};
use crate::ops::LoraPair;
use crate::tr;
use std::path::Path;

/// Writes the model as the new file `target`, its weights as `storage` as far as their rows allow
/// (vectors stay f32; see `StorageType::of_weight`). The file is there as a whole or not at all. Gives its size in bytes.
///
/// # Errors
/// `InvalidInput` when `target` exists or a number does not fit, `Unsupported` for a tokenizer that the format has no
/// words for, `Interrupted`, I/O.
pub fn write_model(
    target: &Path,
    model: &ModelToWrite<'_>,
    storage: StorageType,
    watch: &mut Watch<'_>,
) -> Result<u64> {
    refuse_taken(target)?;
    let metadata = model_metadata(model, storage)?;
    let divisors = rope_divisors(model.config);
    let mut tensors = Vec::new();
    let mut sources = Vec::new();
    if let Some(divisors) = &divisors {
        tensors.push(TensorRow {
            name: "rope_freqs.weight".to_owned(),
            shape: vec![divisors.len()],
            storage: StorageType::F32,
        });
        sources.push(String::new());
    }
    for (name, shape) in model.config.tensors() {
        let gguf = gguf_name(&name).ok_or_else(|| Error::internal(name.clone()))?;
        tensors.push(TensorRow { name: gguf, storage: storage.of_weight(&name, &shape), shape });
        sources.push(name);
    }
    let total = tensors.iter().map(TensorRow::bytes).sum();
    let mut done = 0;
    written_whole(target, |path| {
        write(path, &metadata, &tensors, |i| {
            let (row, source) = (&tensors[i], &sources[i]);
            let data = match &divisors {
                Some(divisors) if source.is_empty() => divisors.clone(),
                _ => in_file_order(model.config, source, model.weights.tensor(source)?.data),
            };
            let bytes = row.storage.encode(source, &data)?;
            done += row.bytes();
            watch.step(done, total)?;
            Ok(bytes)
        })
    })
}

/// Writes the factors of `lora` as the new file `target`. The format has one alpha for all modules: it is that which
/// gives the adapter's scale at its rank, and where a module has another scale or rank, its B carries the rest.
///
/// # Errors
/// `Unsupported` for what the format has no place for (DoRA, matrices trained as a whole), `InvalidInput` when `target`
/// exists, I/O.
pub fn write_lora(target: &Path, lora: &Lora, config: &ModelConfig, name: &str) -> Result<u64> {
    refuse_taken(target)?;
    let saved = lora.saved.embedding.is_some() || lora.saved.head.is_some();
    if lora.config.dora || saved {
        let what = if saved { "modules_to_save" } else { "DoRA" };
        return Err(Error::new(
            Kind::Unsupported,
            tr!("a GGUF adapter has no place for {what}", "GGUF 适配器无法容纳 {what}"),
        )
        .hint(tr!(
            "write the merged model instead: models export --format gguf --adapter A",
            "请改为写出合并后的模型：models export --format gguf --adapter A"
        )));
    }
    let alpha = effective_alpha(lora);
    let metadata: Metadata = vec![
        ("general.architecture".to_owned(), Meta::Text(config.architecture.as_str().to_owned())),
        ("general.type".to_owned(), Meta::Text("adapter".to_owned())),
        ("general.name".to_owned(), Meta::Text(name.to_owned())),
        ("general.file_type".to_owned(), Meta::Unsigned(StorageType::F32.file_type())),
        ("adapter.type".to_owned(), Meta::Text("lora".to_owned())),
        ("adapter.lora.alpha".to_owned(), Meta::Float(alpha)),
    ];
    let (mut tensors, mut values) = (Vec::new(), Vec::new());
    for (layer, block) in lora.blocks.iter().enumerate() {
        for (projection, pair) in Projection::ALL.into_iter().zip(block) {
            let Some(pair) = pair else { continue };
            let weight = format!("{}.weight", module_name(layer, projection));
            let gguf = gguf_name(&weight).ok_or_else(|| Error::internal(weight.clone()))?;
            let (outputs, inputs) = projection.shape(config);
            let mut add = |part: &str, shape: [usize; 2], data: Vec<f32>| {
                tensors.push(TensorRow {
                    name: format!("{gguf}.{part}"),
                    shape: shape.to_vec(),
                    storage: StorageType::F32,
                });
                values.push(data);
            };
            add("lora_a", [pair.rank, inputs], pair.a.clone());
            add("lora_b", [outputs, pair.rank], in_file_order(config, &weight, scaled_b(pair, alpha)));
        }
    }
    written_whole(target, |path| {
        write(path, &metadata, &tensors, |i| StorageType::F32.encode(&tensors[i].name, &values[i]))
    })
}

/// The alpha that gives the first pair's scale at its rank: α, or α·√r with rsLoRA.
fn effective_alpha(lora: &Lora) -> f32 {
    let rank = lora.config.rank as f64;
    let scale = if lora.config.rslora { lora.config.alpha / rank.sqrt() } else { lora.config.alpha / rank };
    (scale * rank) as f32
}

/// B, times what a reader's `alpha / rank` lacks to the pair's own scale.
fn scaled_b(pair: &LoraPair, alpha: f32) -> Vec<f32> {
    let rest = pair.scale / (alpha / pair.rank as f32);
    // Ranks and alphas of the whole adapter give exactly 1 up to rounding; then B stays what was trained.
    if (rest - 1.0).abs() < 1e-6 { pair.b.clone() } else { pair.b.iter().map(|b| b * rest).collect() }
}

/// Makes a file beside `target` and moves it there when it is whole. Gives its size.
fn written_whole(target: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<u64> {
    let staging = beside(target)?;
    let path = staging.path().join("file.gguf");
    make(&path)?;
    let bytes = path.metadata().map_err(|e| Error::io(&path, &e))?.len();
    std::fs::rename(&path, target).map_err(|e| Error::io(target, &e))?;
    Ok(bytes)
}

/// Rows of q and k of a llama model in the order of its GGUF files; everything else as it is.
fn in_file_order(config: &ModelConfig, name: &str, data: Vec<f32>) -> Vec<f32> {
    let heads = match config.architecture {
        Architecture::Llama if name.contains(".q_proj.") => config.num_heads,
        Architecture::Llama if name.contains(".k_proj.") => config.num_kv_heads,
        _ => return data,
    };
    let rows = heads * config.head_dim;
    interleave_halves(&data, heads, data.len() / rows)
}

/// By what each rotary frequency is divided, where that is Llama 3's rule.
fn rope_divisors(config: &ModelConfig) -> Option<Vec<f32>> {
    let Some(RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_positions }) =
        config.rope_scaling
    else {
        return None;
    };
    let plain: Vec<f32> = (0..config.head_dim / 2)
        .map(|i| config.rope_theta.powf(-2.0 * i as f64 / config.head_dim as f64) as f32)
        .collect();
    let mut scaled = plain.clone();
    crate::ops::rope_scaled_frequencies(&mut scaled, factor, low_freq_factor, high_freq_factor, original_max_positions);
    Some(plain.iter().zip(&scaled).map(|(plain, scaled)| plain / scaled).collect())
}

/// The metadata of a model: that of its own GGUF file, or made from its configuration and tokenizer.
fn model_metadata(model: &ModelToWrite<'_>, storage: StorageType) -> Result<Metadata> {
    let mut metadata = if model.base.is_dir() {
        let mut metadata = configuration(model);
        metadata.extend(tokenizer_to_gguf::metadata(&Tokenizer::open(model.base)?, model.config.vocab_size)?);
        metadata
    } else {
        let kept = Gguf::open(model.base)?.raw_metadata()?.into_iter().filter(|(key, ..)| !is_of_the_file(key));
        kept.map(|(key, kind, bytes)| (key, Meta::Raw { kind, bytes })).collect()
    };
    metadata.push(("general.quantization_version".to_owned(), Meta::Unsigned(2)));
    metadata.push(("general.file_type".to_owned(), Meta::Unsigned(storage.file_type())));
    Ok(metadata)
}

/// Whether a key describes the file rather than the model.
fn is_of_the_file(key: &str) -> bool {
    let keys = ["general.alignment", "general.file_type", "general.quantization_version"];
    keys.contains(&key) || key.starts_with("split.") || key.starts_with("quantize.")
}

fn configuration(model: &ModelToWrite<'_>) -> Metadata {
    let c = model.config;
    let arch = c.architecture.as_str();
    let name = model.base.file_name().map_or_else(|| arch.to_owned(), |name| name.to_string_lossy().into_owned());
    let mut out: Metadata = vec![
        ("general.architecture".to_owned(), Meta::Text(arch.to_owned())),
        ("general.type".to_owned(), Meta::Text("model".to_owned())),
        ("general.name".to_owned(), Meta::Text(name)),
    ];
    let mut put = |key: &str, value: Meta| out.push((format!("{arch}.{key}"), value));
    for (key, size) in [
        ("block_count", c.num_layers),
        ("context_length", c.max_positions),
        ("embedding_length", c.hidden_size),
        ("feed_forward_length", c.intermediate_size),
        ("attention.head_count", c.num_heads),
        ("attention.head_count_kv", c.num_kv_heads),
        ("attention.key_length", c.head_dim),
        ("attention.value_length", c.head_dim),
        ("rope.dimension_count", c.head_dim),
        ("vocab_size", c.vocab_size),
    ] {
        put(key, Meta::Unsigned(size as u32));
    }
    put("attention.layer_norm_rms_epsilon", Meta::Float(c.rms_norm_eps as f32));
    put("rope.freq_base", Meta::Float(c.rope_theta as f32));
    if let Some(RopeScaling::Linear { factor }) = c.rope_scaling {
        put("rope.scaling.type", Meta::Text("linear".to_owned()));
        put("rope.scaling.factor", Meta::Float(factor as f32));
    }
    out
}
