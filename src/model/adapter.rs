//! Adapter folders in PEFT's format: `adapter_config.json` + `adapter_model.safetensors`, and beside them
//! `linly_bench.json` (where the adapter comes from), which other readers ignore.

use super::config::ModelConfig;
use super::lora::{BlockLora, EMBEDDING, HEAD, Lora, Projection, SavedModules};
use super::lora_config::{LoraConfig, SavedModule, is_plain, module_name};
use crate::error::{Error, Kind, Result};
use crate::ops::LoraPair;
use crate::tr;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const ORIGIN: &str = "linly_bench.json";

/// Where an adapter comes from: enough to trace it, and the template that it must be used with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdapterOrigin {
    /// Prompt template it was trained with.
    pub template: String,
    /// Stamp of that template's text and behaviour.
    pub template_hash: String,
    /// Hash of the base's weights.
    pub base_hash: String,
    /// Hash of the tokenizer.
    pub tokenizer_hash: String,
    /// Dataset name.
    pub dataset: String,
    /// Dataset version.
    pub dataset_version: String,
    /// Run that made it.
    pub run: String,
    /// Program that made it.
    pub code_version: String,
    /// Training settings.
    pub training: Value,
}

/// An adapter read from disk.
pub struct Adapter {
    /// Its factors.
    pub lora: Lora,
    /// The base that its config names.
    pub base: String,
    /// Its origin, when this program made it.
    pub origin: Option<AdapterOrigin>,
}

/// Writes the adapter to `dir`. Everything is written beside it first and moved in one step, so `dir` is
/// either the old adapter or the new one.
///
/// # Errors
/// I/O, with a full disk named as such.
pub fn save(dir: &Path, lora: &Lora, base: &str, origin: &AdapterOrigin) -> Result<()> {
    let parent = dir.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|e| Error::io(parent, &e))?;
    let staging = tempfile::Builder::new().prefix(".adapter-").tempdir_in(parent).map_err(|e| Error::io(parent, &e))?;
    let write = |name: &str, bytes: &[u8]| {
        let path = staging.path().join(name);
        std::fs::write(&path, bytes).map_err(|e| Error::io(&path, &e))
    };
    write(CONFIG, &pretty(&peft_config(lora, base))?)?;
    write(WEIGHTS, &weights_bytes(lora)?)?;
    write(ORIGIN, &pretty(&serde_json::to_value(origin).map_err(|e| Error::internal(e.to_string()))?)?)?;
    replace_dir(&staging.keep(), dir)
}

/// Moves `new` to `dir`; an older `dir` is set aside until the move has succeeded.
fn replace_dir(new: &Path, dir: &Path) -> Result<()> {
    let mut aside = None;
    if dir.exists() {
        let mut name = dir.as_os_str().to_owned();
        name.push(".old");
        let old = PathBuf::from(name);
        let _ = std::fs::remove_dir_all(&old);
        std::fs::rename(dir, &old).map_err(|e| Error::io(dir, &e))?;
        aside = Some(old);
    }
    if let Err(e) = std::fs::rename(new, dir) {
        if let Some(old) = aside {
            let _ = std::fs::rename(old, dir);
        }
        let _ = std::fs::remove_dir_all(new);
        return Err(Error::io(dir, &e));
    }
    if let Some(old) = aside {
        let _ = std::fs::remove_dir_all(old);
    }
    Ok(())
}

/// JSON with two spaces of indent and a final newline, as PEFT writes it.
fn pretty(value: &Value) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::internal(e.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn peft_config(lora: &Lora, base: &str) -> Value {
    let c = &lora.config;
    let targets: Vec<&str> = c.targets.iter().map(|p| p.name()).collect();
    let alphas: BTreeMap<&str, Value> = c.alpha_pattern.iter().map(|(k, x)| (k.as_str(), whole_or_float(*x))).collect();
    let saved: Vec<&str> = c.modules_to_save.iter().map(|m| m.name()).collect();
    // Keys in alphabetical order, as PEFT sorts them.
    json!({
        "alpha_pattern": alphas,
        "auto_mapping": null,
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "layer_replication": null,
        "layers_pattern": null,
        "layers_to_transform": null,
        "lora_alpha": whole_or_float(c.alpha),
        "lora_dropout": c.dropout,
        "modules_to_save": if saved.is_empty() { Value::Null } else { json!(saved) },
        "peft_type": "LORA",
        "r": c.rank,
        "rank_pattern": c.rank_pattern,
        "revision": null,
        "target_modules": targets,
        "task_type": "CAUSAL_LM",
        "use_dora": c.dora,
        "use_rslora": c.rslora,
    })
}

fn whole_or_float(x: f64) -> Value {
    if x.fract() == 0.0 && x.abs() < 1e15 { json!(x as i64) } else { json!(x) }
}

/// The factors as a safetensors file. The metadata is what `transformers` insists on.
pub(crate) fn weights_bytes(lora: &Lora) -> Result<Vec<u8>> {
    let tensors = lora.tensors();
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(_, _, data)| data.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| Ok((name.clone(), TensorView::new(Dtype::F32, shape.to_vec(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| Error::internal(e.to_string()))?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(metadata)).map_err(|e| Error::internal(e.to_string()))
}

/// SHA-256 of an adapter's weights file.
pub fn hash(dir: &Path) -> Result<String> {
    use sha2::{Digest, Sha256};
    let path = dir.join(WEIGHTS);
    let bytes = std::fs::read(&path).map_err(|e| not_an_adapter(dir, Error::io(&path, &e)))?;
    Ok(format!("{:x}", Sha256::digest(&bytes)))
}

fn not_an_adapter(dir: &Path, error: Error) -> Error {
    if error.kind != Kind::NotFound {
        return error;
    }
    Error::new(Kind::NotFound, tr!("{} is not an adapter folder: {error}", "{} 不是适配器目录：{error}", dir.display()))
        .hint(tr!("an adapter is a folder with {CONFIG} and {WEIGHTS}", "适配器是包含 {CONFIG} 与 {WEIGHTS} 的目录"))
}

fn bad_config(dir: &Path, what: String) -> Error {
    Error::new(Kind::InvalidInput, format!("{}: {what}", dir.join(CONFIG).display()))
        .hint(tr!("only plain LoRA adapters can be read here", "这里只能读取普通的 LoRA 适配器"))
}

/// What of `adapter_config.json` this program needs; anything it cannot honour is refused, not passed over.
#[derive(Deserialize)]
struct PeftConfig {
    peft_type: String,
    #[serde(default)]
    base_model_name_or_path: Option<String>,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    target_modules: Value,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    modules_to_save: Option<Vec<String>>,
    #[serde(default)]
    rank_pattern: Option<BTreeMap<String, usize>>,
    #[serde(default)]
    alpha_pattern: Option<BTreeMap<String, f64>>,
}

/// Reads the adapter in `dir` for the model `config`.
///
/// # Errors
/// `NotFound` when `dir` is no adapter folder, `Unsupported` for relatives of LoRA, `Mismatch` when
/// its tensors do not fit the model, `Corrupt` when the weights file is damaged.
pub fn load(dir: &Path, config: &ModelConfig) -> Result<Adapter> {
    let path = dir.join(CONFIG);
    let text = std::fs::read_to_string(&path).map_err(|e| not_an_adapter(dir, Error::io(&path, &e)))?;
    let peft: PeftConfig = serde_json::from_str(&text).map_err(|e| bad_config(dir, e.to_string()))?;
    refuse_unsupported(dir, &peft)?;
    let targets = target_modules(dir, &peft)?;
    let lora_config = LoraConfig {
        rank: peft.r,
        alpha: peft.lora_alpha,
        dropout: peft.lora_dropout,
        targets,
        rslora: peft.use_rslora,
        dora: peft.use_dora,
        rank_pattern: peft.rank_pattern.unwrap_or_default(),
        alpha_pattern: peft.alpha_pattern.unwrap_or_default(),
        modules_to_save: saved_modules(dir, peft.modules_to_save.as_deref().unwrap_or_default())?,
    };
    let path = dir.join(WEIGHTS);
    let bytes = std::fs::read(&path).map_err(|e| not_an_adapter(dir, Error::io(&path, &e)))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| {
        Error::new(Kind::Corrupt, tr!("{} is damaged: {e}", "{} 已损坏：{e}", path.display()))
            .hint(tr!("copy the adapter again, or train it anew", "请重新复制该适配器，或重新训练"))
    })?;
    let saved = read_saved(dir, &tensors, &lora_config, config)?;
    let blocks = read_blocks(dir, &tensors, &lora_config, config)?;
    let origin = std::fs::read_to_string(dir.join(ORIGIN)).ok().and_then(|text| serde_json::from_str(&text).ok());
    Ok(Adapter {
        lora: Lora { config: lora_config, blocks, saved },
        base: peft.base_model_name_or_path.unwrap_or_default(),
        origin,
    })
}

fn refuse_unsupported(dir: &Path, peft: &PeftConfig) -> Result<()> {
    let reason = if peft.peft_type != "LORA" {
        Some(format!("peft_type = {}", peft.peft_type.escape_default()))
    } else if peft.fan_in_fan_out {
        Some("fan_in_fan_out = true".to_owned())
    } else {
        let bias = peft.bias.as_deref().filter(|b| *b != "none").map(|b| format!("bias = {}", b.escape_default()));
        bias.or_else(|| pattern_beyond(peft))
    };
    match reason {
        None if peft.r > 0 => Ok(()),
        None => Err(bad_config(dir, "r = 0".to_owned())),
        Some(reason) => {
            let mut error = bad_config(dir, tr!("{reason} is not supported", "不支持 {reason}"));
            error.kind = Kind::Unsupported;
            Err(error)
        }
    }
}

/// A pattern that only a regular expression explains, and values that no factor can have.
fn pattern_beyond(peft: &PeftConfig) -> Option<String> {
    let ranks = peft.rank_pattern.iter().flatten().map(|(key, rank)| ("rank_pattern", key, *rank > 0));
    let alphas = peft.alpha_pattern.iter().flatten().map(|(key, alpha)| ("alpha_pattern", key, alpha.is_finite()));
    ranks.chain(alphas).find(|(_, key, fine)| !fine || !is_plain(key)).map(|(field, key, fine)| {
        let key = key.escape_default();
        if fine {
            tr!("{field} with the regular expression `{key}`", "{field} 中的正则表达式 `{key}`")
        } else {
            tr!("{field} with the value of `{key}`", "{field} 中 `{key}` 的值")
        }
    })
}

fn target_modules(dir: &Path, peft: &PeftConfig) -> Result<Vec<Projection>> {
    let names: Vec<&str> = match &peft.target_modules {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        Value::String(name) if name == "all-linear" => return Ok(Projection::ALL.to_vec()),
        Value::String(name) => vec![name.as_str()],
        _ => Vec::new(),
    };
    let mut targets = Vec::new();
    for name in names {
        let last = name.rsplit('.').next().unwrap_or(name);
        let projection = Projection::ALL.into_iter().find(|p| p.name() == last).ok_or_else(|| {
            bad_config(dir, tr!("target module {} is unknown here", "未知的目标模块 {}", name.escape_default()))
        })?;
        targets.push(projection);
    }
    targets.sort();
    targets.dedup();
    if targets.is_empty() {
        return Err(bad_config(dir, tr!("target_modules is empty", "target_modules 为空")));
    }
    Ok(targets)
}

fn saved_modules(dir: &Path, names: &[String]) -> Result<Vec<SavedModule>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    // Tied matrices stand under a path as well as under their name.
    let names: Vec<&str> = names.iter().map(|name| name.rsplit('.').next().unwrap_or(name)).collect();
    SavedModule::parse_list(&names.join(",")).map_err(|mut e| {
        e.kind = Kind::Unsupported;
        e.message = format!("{}: modules_to_save: {}", dir.join(CONFIG).display(), e.message);
        e
    })
}

/// The matrices that were trained as a whole.
fn read_saved(dir: &Path, tensors: &SafeTensors<'_>, lora: &LoraConfig, config: &ModelConfig) -> Result<SavedModules> {
    let mut saved = SavedModules { width: config.hidden_size, ..SavedModules::default() };
    for module in &lora.modules_to_save {
        let (name, place) = match module {
            SavedModule::Embedding => (EMBEDDING, &mut saved.embedding),
            SavedModule::Head => (HEAD, &mut saved.head),
        };
        let shape = [config.vocab_size, config.hidden_size];
        let tensor = tensors.tensor(name).ok().filter(|t| t.shape() == shape).ok_or_else(|| {
            other_base(dir, tr!("{name} of shape {shape:?} is missing", "缺少形状为 {shape:?} 的 {name}"))
        })?;
        *place = Some(to_f32(&tensor)?);
    }
    Ok(saved)
}

fn read_blocks(
    dir: &Path,
    tensors: &SafeTensors<'_>,
    lora: &LoraConfig,
    config: &ModelConfig,
) -> Result<Vec<BlockLora>> {
    let mut used = lora.modules_to_save.len();
    let mut blocks = Vec::with_capacity(config.num_layers);
    for i in 0..config.num_layers {
        let mut block: BlockLora = Default::default();
        for projection in Projection::ALL {
            let module = module_name(i, projection);
            let prefix = format!("base_model.model.{module}");
            let (Ok(a), Ok(b)) = (
                tensors.tensor(&format!("{prefix}.lora_A.weight")),
                tensors.tensor(&format!("{prefix}.lora_B.weight")),
            ) else {
                continue;
            };
            used += 2;
            let (outputs, inputs) = projection.shape(config);
            let rank = a.shape().first().copied().unwrap_or(0);
            if rank == 0 || a.shape() != [rank, inputs] || b.shape() != [outputs, rank] {
                return Err(other_base(
                    dir,
                    tr!(
                        "{module} has factors {:?} and {:?}, this model needs [r, {inputs}] and [{outputs}, r]",
                        "{module} 的因子形状为 {:?} 与 {:?}，而该模型需要 [r, {inputs}] 与 [{outputs}, r]",
                        a.shape(),
                        b.shape()
                    ),
                ));
            }
            let expected = lora.rank_of(i, projection);
            if rank != expected {
                return Err(other_rank(dir, &format!("{prefix}.lora_A.weight"), rank, expected));
            }
            let scale = lora.scale_of(i, projection);
            let magnitude = if lora.dora {
                let name = format!("{prefix}.lora_magnitude_vector");
                let tensor = tensors.tensor(&name).ok().filter(|m| m.shape() == [outputs]).ok_or_else(|| {
                    other_base(dir, tr!("{name} of shape [{outputs}] is missing", "缺少形状为 [{outputs}] 的 {name}"))
                })?;
                used += 1;
                Some(to_f32(&tensor)?)
            } else {
                None
            };
            block[projection as usize] =
                Some(LoraPair { a: to_f32(&a)?, b: to_f32(&b)?, rank, scale, magnitude, norms: None });
        }
        blocks.push(block);
    }
    if used == 0 || used != tensors.len() {
        let odd = tensors
            .names()
            .into_iter()
            .find(|name| !is_factor_of(name, config.num_layers))
            .unwrap_or("lora_A / lora_B")
            .escape_default()
            .to_string();
        return Err(other_base(
            dir,
            tr!(
                "{} of its {} tensors have no place in this model (the first: {odd})",
                "它的 {1} 个张量中有 {0} 个在该模型中没有位置（第一个：{odd}）",
                tensors.len() - used,
                tensors.len()
            ),
        ));
    }
    Ok(blocks)
}

/// Whether `name` is a factor that some block of a model with `layers` blocks has.
fn is_factor_of(name: &str, layers: usize) -> bool {
    let Some((index, rest)) = name.strip_prefix("base_model.model.model.layers.").and_then(|r| r.split_once('.'))
    else {
        return false;
    };
    let parts = [".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector"];
    let module = parts.iter().find_map(|part| rest.strip_suffix(part));
    index.parse::<usize>().is_ok_and(|i| i < layers)
        && module.is_some_and(|m| Projection::ALL.iter().any(|p| p.path() == m))
}

fn other_base(dir: &Path, why: String) -> Error {
    Error::new(
        Kind::Mismatch,
        tr!(
            "the adapter {} belongs to another base model: {why}",
            "适配器 {} 属于另一个基础模型：{why}",
            dir.display()
        ),
    )
    .hint(tr!(
        "use it with the model that its {CONFIG} names as base_model_name_or_path",
        "请与其 {CONFIG} 中 base_model_name_or_path 所指的模型一起使用"
    ))
}

fn other_rank(dir: &Path, tensor: &str, rank: usize, expected: usize) -> Error {
    let path = dir.join(CONFIG);
    Error::new(
        Kind::Mismatch,
        tr!(
            "{tensor} has rank {rank}, but {} says {expected}",
            "{tensor} 的秩为 {rank}，而 {} 中为 {expected}",
            path.display()
        ),
    )
    .hint(tr!(
        "{CONFIG} and {WEIGHTS} do not belong together (r, rank_pattern): copy both files of the adapter again",
        "{CONFIG} 与 {WEIGHTS} 不配套（r、rank_pattern）：请重新复制该适配器的两个文件"
    ))
}

fn to_f32(view: &TensorView<'_>) -> Result<Vec<f32>> {
    let bytes = view.data();
    match view.dtype() {
        Dtype::F32 => Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()),
        Dtype::F16 => Ok(bytes.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()),
        Dtype::BF16 => Ok(bytes.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect()),
        other => Err(Error::new(
            Kind::Unsupported,
            tr!("adapter tensors of type {other:?} are not supported", "不支持 {other:?} 类型的适配器张量"),
        )
        .hint(tr!("save it as float32, float16 or bfloat16", "请以 float32、float16 或 bfloat16 保存"))),
    }
}
