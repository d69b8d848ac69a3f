//! What `train` can be told: the flags, the settings file with the same names, and the request that they make.

use super::Context;
use crate::batch::{Overlong, Shape};
use crate::error::{Error, Kind, Result};
use crate::model::{BaseStorage, Checkpointing, LoraConfig, Projection, SavedModule, WeightForm, parse_pattern};
use crate::prompt::LossOn;
use crate::tr;
use crate::train::{Length, Schedule, TrainConfig};
use crate::workbench::memory_plan::PlanRequest;
use crate::workbench::train::{HeldOut, Objective, TrainRequest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

/// Everything that a flag or a settings file can say.
#[derive(clap::Args, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Flags {
    /// Base model: a catalogue name, a Hugging Face folder or a .gguf file
    #[arg(long, value_name = "M")]
    model: Option<String>,
    /// Dataset (see `data list`)
    #[arg(long, value_name = "NAME")]
    data: Option<String>,
    /// Name of the adapter to be
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    /// Prompt template: chat, alpaca, linly, linly-card, linly-chat, cornucopia [default: chat]
    #[arg(long, value_name = "T")]
    template: Option<String>,
    /// LoRA rank [default: 8]
    #[arg(long)]
    rank: Option<usize>,
    /// LoRA alpha [default: 16]
    #[arg(long)]
    alpha: Option<f64>,
    /// LoRA dropout [default: 0.05]
    #[arg(long)]
    dropout: Option<f64>,
    /// Projections with factors: attention, all, or a list [default: q_proj,v_proj]
    #[arg(long, value_name = "MODULES")]
    target: Option<String>,
    /// Ranks of single modules: down_proj=16,layers.0.self_attn.q_proj=4
    #[arg(long, value_name = "MODULE=R,…")]
    rank_pattern: Option<String>,
    /// Alphas of single modules, in the same form
    #[arg(long, value_name = "MODULE=ALPHA,…")]
    alpha_pattern: Option<String>,
    /// Highest learning rate [default: 2e-4]
    #[arg(long)]
    lr: Option<f64>,
    /// LoRA+: the B factors learn at R times the rate [default: 1]
    #[arg(long, value_name = "R")]
    lora_plus: Option<f64>,
    /// cosine, linear, constant or wsd (stays, then falls over the last fifth) [default: cosine]
    #[arg(long)]
    schedule: Option<String>,
    /// Share of steps in which the rate rises [default: 0.1]
    #[arg(long)]
    warmup: Option<f64>,
    /// Passes over the data [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "steps")]
    epochs: Option<f64>,
    /// Optimiser steps instead of epochs
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Rows (with packing: filled sequences) in a micro-batch [default: 4]
    #[arg(long, value_name = "B")]
    batch_size: Option<usize>,
    /// Micro-batches per optimiser step [default: 1]
    #[arg(long, value_name = "G")]
    accum: Option<usize>,
    /// Longest row in tokens [default: 512]
    #[arg(long, value_name = "L")]
    max_len: Option<usize>,
    /// Longer rows: drop (left out and listed), cut (from the left of the prompt, never an answer) or split (into
    /// pieces that together teach what the row teaches) [default: drop]
    #[arg(long, value_name = "drop|cut|split")]
    overlong: Option<String>,
    /// Learn every answer of a conversation (all) or the last one only (last) [default: all]
    #[arg(long, value_name = "all|last")]
    loss_on: Option<String>,
    /// Several rows in one sequence: on or off [default: off]
    #[arg(long, value_name = "on|off")]
    packing: Option<String>,
    /// Rows of similar length in one micro-batch: on or off [default: off]
    #[arg(long, value_name = "on|off")]
    bucket: Option<String>,
    /// shuffled anew in every epoch, or as in the dataset (file), for a curriculum made by `data mix` [default: shuffled]
    #[arg(long, value_name = "shuffled|file")]
    order: Option<String>,
    /// Held-out rows: a dataset, or a share such as 0.1 [default: the dataset's own val rows]
    #[arg(long, value_name = "NAME|SHARE")]
    val: Option<String>,
    /// Use at most this many held-out rows, at least 1, evenly spread [default: all; for none: --val 0]
    #[arg(long, value_name = "N")]
    val_limit: Option<usize>,
    /// Validate every K steps, besides the start and the end
    #[arg(long, value_name = "K")]
    eval_every: Option<u64>,
    /// Write a checkpoint every K steps [default: 20]
    #[arg(long, value_name = "K")]
    save_every: Option<u64>,
    /// Keep the newest K checkpoints; a damaged one is passed over for the one before [default: 2]
    #[arg(long, value_name = "K")]
    keep: Option<usize>,
    /// Show every K steps what the model answers to two held-out prompts; 0 is never [default: 0]
    #[arg(long, value_name = "K")]
    sample_every: Option<u64>,
    /// Decoupled weight decay [default: 0]
    #[arg(long)]
    weight_decay: Option<f64>,
    /// Clip gradients longer than this; 0 is off [default: 1]
    #[arg(long)]
    clip: Option<f64>,
    /// Scale by alpha/√r (rsLoRA)
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "true|false")]
    rslora: Option<bool>,
    /// Learn the length of every row of a weight apart from its direction (DoRA)
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "true|false")]
    dora: Option<bool>,
    /// Matrices that are trained as a whole and stored with the adapter: embed_tokens,lm_head
    #[arg(long, value_name = "MODULES")]
    modules_to_save: Option<String>,
    /// NEFTune: noise on the embeddings, of strength ALPHA; 5 is usual, 0 is off [default: 0]
    #[arg(long, value_name = "ALPHA")]
    neftune: Option<f64>,
    /// Arithmetic of the frozen weights: f32, bf16 or auto (bf16 on a GPU and where the processor has it) [default: auto]
    #[arg(long, value_name = "f32|bf16|auto")]
    dtype: Option<String>,
    /// How the frozen base is held: full, keep (as its file has it), int8 or int4 (QLoRA) [default: full]
    #[arg(long, value_name = "full|keep|int8|int4")]
    quantize: Option<String>,
    /// Train on N GPUs of this machine (with --device cpu: in N processes); --accum must be a multiple of N. torchrun's RANK,
    /// WORLD_SIZE, MASTER_ADDR and MASTER_PORT do the same across machines [default: 1]
    #[arg(long, value_name = "N")]
    #[serde(skip)]
    pub(super) gpus: Option<usize>,
    /// Run blocks again on the way back instead of keeping what they made: auto, on or off [default: auto]
    #[arg(long, value_name = "auto|on|off")]
    checkpointing: Option<String>,
}

impl Flags {
    /// `self`, and what `file` says where `self` is silent.
    pub(super) fn or(self, file: Flags) -> Flags {
        // A length given by a flag replaces either kind of length in the file.
        let (epochs, steps) = if self.epochs.is_some() || self.steps.is_some() {
            (self.epochs, self.steps)
        } else {
            (file.epochs, file.steps)
        };
        Flags {
            model: self.model.or(file.model),
            data: self.data.or(file.data),
            adapter: self.adapter.or(file.adapter),
            template: self.template.or(file.template),
            rank: self.rank.or(file.rank),
            alpha: self.alpha.or(file.alpha),
            dropout: self.dropout.or(file.dropout),
            target: self.target.or(file.target),
            rank_pattern: self.rank_pattern.or(file.rank_pattern),
            alpha_pattern: self.alpha_pattern.or(file.alpha_pattern),
            lr: self.lr.or(file.lr),
            lora_plus: self.lora_plus.or(file.lora_plus),
            schedule: self.schedule.or(file.schedule),
            warmup: self.warmup.or(file.warmup),
            epochs,
            steps,
            batch_size: self.batch_size.or(file.batch_size),
            accum: self.accum.or(file.accum),
            max_len: self.max_len.or(file.max_len),
            overlong: self.overlong.or(file.overlong),
            loss_on: self.loss_on.or(file.loss_on),
            packing: self.packing.or(file.packing),
            bucket: self.bucket.or(file.bucket),
            order: self.order.or(file.order),
            val: self.val.or(file.val),
            val_limit: self.val_limit.or(file.val_limit),
            eval_every: self.eval_every.or(file.eval_every),
            save_every: self.save_every.or(file.save_every),
            keep: self.keep.or(file.keep),
            sample_every: self.sample_every.or(file.sample_every),
            weight_decay: self.weight_decay.or(file.weight_decay),
            clip: self.clip.or(file.clip),
            rslora: self.rslora.or(file.rslora),
            dora: self.dora.or(file.dora),
            modules_to_save: self.modules_to_save.or(file.modules_to_save),
            neftune: self.neftune.or(file.neftune),
            dtype: self.dtype.or(file.dtype),
            quantize: self.quantize.or(file.quantize),
            checkpointing: self.checkpointing.or(file.checkpointing),
            gpus: self.gpus,
        }
    }

    /// Names of the flags that were given, with their dashes.
    ///
    /// # Errors
    /// Internal.
    pub(super) fn given(&self) -> Result<Vec<String>> {
        let fields = serde_json::to_value(self).map_err(|e| Error::internal(e.to_string()))?;
        let set = fields.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        Ok(set.map(|(name, _)| format!("--{name}")).collect())
    }

    /// The request of `pretrain`. What only answers have is refused.
    ///
    /// # Errors
    /// As [`Flags::into_request`]; `Usage` for a flag that means nothing for texts.
    pub(super) fn into_text_request(self, context: &Context) -> Result<TrainRequest> {
        let off = |value: &Option<String>| value.as_deref().is_some_and(|v| v != "off" && v != "false");
        let given = [
            ("--template", self.template.is_some()),
            ("--loss-on", self.loss_on.is_some()),
            ("--overlong", self.overlong.is_some()),
            ("--bucket on", off(&self.bucket)),
            ("--packing off", self.packing.as_deref().is_some_and(|p| p == "off" || p == "false")),
        ];
        if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err(Error::new(
                Kind::Usage,
                tr!("{flag} means nothing for plain texts", "{flag} 对纯文本没有意义"),
            )
            .hint(tr!(
                "texts have no template and no answers; they always fill whole sequences",
                "纯文本没有模板和回答，且总是填满整个序列"
            )));
        }
        let mut request = self.into_request(context)?;
        request.objective = Objective::Text;
        request.template.clear();
        // Texts fill sequences already: there is nothing left to pack.
        request.config.shape.packing = false;
        Ok(request)
    }

    /// What `--plan` needs of the request of `train`: the model and the settings, no rows and no name.
    ///
    /// # Errors
    /// As [`Flags::into_request`].
    pub(super) fn into_plan(self, context: &Context) -> Result<PlanRequest> {
        let request = self.into_draft(context)?;
        Ok(PlanRequest { model: request.model, config: request.config, arithmetic: request.form.arithmetic })
    }

    /// The request of a line that is not complete: what is missing of data and adapter is empty.
    ///
    /// # Errors
    /// As [`Flags::into_request`].
    pub(super) fn into_draft(mut self, context: &Context) -> Result<TrainRequest> {
        self.data.get_or_insert_default();
        self.adapter.get_or_insert_default();
        self.into_request(context)
    }

    /// The request that the flags make.
    ///
    /// # Errors
    /// `Usage` for what is missing or makes no sense.
    pub(super) fn into_request(self, context: &Context) -> Result<TrainRequest> {
        let need = |value: Option<String>, flag: &str| {
            value.ok_or_else(|| {
                Error::new(Kind::Usage, tr!("{flag} is missing", "缺少 {flag}"))
                    .hint(tr!("see linly-bench train --help for an example", "示例见 linly-bench train --help"))
            })
        };
        if self.val_limit == Some(0) {
            return Err(Error::new(Kind::Usage, tr!("--val-limit must be ≥ 1", "--val-limit 必须满足：≥ 1"))
                .hint(tr!("--val 0 holds no row out", "若不留出数据，请用 --val 0")));
        }
        let dtype = self.dtype.as_deref().unwrap_or("auto");
        let form = WeightForm {
            // A card has bf16, whatever this processor has.
            arithmetic: match WeightForm::parse_arithmetic(dtype) {
                Err(e) if e.kind == Kind::Unsupported && context.wish.may_use_card() => {
                    WeightForm::fastest().arithmetic
                }
                parsed => parsed?,
            },
            storage: self.quantize.map_or(Ok(BaseStorage::default()), |q| BaseStorage::parse(&q))?,
        };
        let exact = self.dtype.as_deref() == Some("f32");
        let default = TrainConfig::default();
        let length = match (self.epochs, self.steps) {
            (_, Some(steps)) => Length::Steps(steps),
            (Some(epochs), None) => Length::Epochs(epochs),
            (None, None) => default.length,
        };
        let held_out = match self.val {
            None => HeldOut::Own,
            Some(text) => text.parse().map_or(HeldOut::Dataset(text), HeldOut::Share),
        };
        Ok(TrainRequest {
            model: need(self.model, "--model")?,
            objective: Objective::Answers,
            dataset: need(self.data, "--data")?,
            adapter: need(self.adapter, "--adapter")?,
            template: self.template.unwrap_or_else(|| "chat".to_owned()),
            held_out,
            held_out_limit: self.val_limit.unwrap_or(0),
            form,
            exact,
            config: TrainConfig {
                lora: LoraConfig {
                    rank: self.rank.unwrap_or(default.lora.rank),
                    alpha: self.alpha.unwrap_or(default.lora.alpha),
                    dropout: self.dropout.unwrap_or(default.lora.dropout),
                    targets: self.target.map_or(Ok(default.lora.targets.clone()), |t| Projection::parse_targets(&t))?,
                    rslora: self.rslora.unwrap_or(default.lora.rslora),
                    rank_pattern: pattern(self.rank_pattern, "--rank-pattern")?,
                    alpha_pattern: pattern(self.alpha_pattern, "--alpha-pattern")?,
                    dora: self.dora.unwrap_or(default.lora.dora),
                    modules_to_save: self.modules_to_save.map_or(Ok(Vec::new()), |m| SavedModule::parse_list(&m))?,
                },
                lr: self.lr.unwrap_or(default.lr),
                lora_plus: self.lora_plus.unwrap_or(default.lora_plus),
                schedule: self.schedule.map_or(Ok(default.schedule), |s| Schedule::parse(&s))?,
                warmup: self.warmup.unwrap_or(default.warmup),
                length,
                shape: Shape {
                    batch_size: self.batch_size.unwrap_or(default.shape.batch_size),
                    max_len: self.max_len.unwrap_or(default.shape.max_len),
                    packing: self.packing.map_or(Ok(default.shape.packing), |p| on_or_off("--packing", &p))?,
                    bucket: self.bucket.map_or(Ok(default.shape.bucket), |b| on_or_off("--bucket", &b))?,
                    in_order: self.order.map_or(Ok(default.shape.in_order), |order| in_order(&order))?,
                },
                loss_on: self.loss_on.map_or(Ok(default.loss_on), |l| LossOn::parse(&l))?,
                overlong: self.overlong.map_or(Ok(default.overlong), |o| Overlong::parse(&o))?,
                accum: self.accum.unwrap_or(default.accum),
                weight_decay: self.weight_decay.unwrap_or(default.weight_decay),
                clip: self.clip.unwrap_or(default.clip),
                eval_every: self.eval_every.unwrap_or(default.eval_every),
                save_every: self.save_every.unwrap_or(default.save_every),
                keep: self.keep.unwrap_or(default.keep),
                sample_every: self.sample_every.unwrap_or(default.sample_every),
                neftune: self.neftune.unwrap_or(default.neftune),
                checkpointing: self.checkpointing.map_or(Ok(default.checkpointing), |c| Checkpointing::parse(&c))?,
                seed: context.settings().seed,
            },
        })
    }
}

fn in_order(text: &str) -> Result<bool> {
    match text {
        "shuffled" => Ok(false),
        "file" => Ok(true),
        other => {
            let other = other.escape_default();
            Err(Error::new(Kind::Usage, tr!("unknown --order `{other}`", "未知的 --order `{other}`"))
                .hint(tr!("use shuffled or file", "可用 shuffled 或 file")))
        }
    }
}

fn pattern<T: FromStr>(text: Option<String>, flag: &str) -> Result<BTreeMap<String, T>> {
    text.map_or_else(|| Ok(BTreeMap::new()), |text| parse_pattern(flag, &text))
}

fn on_or_off(flag: &str, text: &str) -> Result<bool> {
    match text {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        other => {
            let other = other.escape_default();
            Err(Error::new(
                Kind::Usage,
                tr!("{flag} is on or off, not `{other}`", "{flag} 只能是 on 或 off，而不是 `{other}`"),
            ))
        }
    }
}

/// Keys whose values are words on the command line and may be bare numbers, truth values or lists in a file.
const WORDS: [&str; 9] =
    ["target", "packing", "bucket", "val", "checkpointing", "modules-to-save", "loss-on", "overlong", "dtype"];

/// Reads a settings file.
///
/// # Errors
/// I/O, and `InvalidInput` that names the line.
pub(super) fn read_settings(path: &Path) -> Result<Flags> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, &e))?;
    let invalid = |e: &toml::de::Error, key: &str| {
        let before = e.span().and_then(|span| text.get(..span.start));
        let place = before.map_or(String::new(), |before| format!(":{}", before.lines().count().max(1)));
        Error::new(Kind::InvalidInput, format!("{}{place}: {key}{}", path.display(), e.message().trim_end())).hint(tr!(
            "keys are the flags of `train` without the dashes in front",
            "键名即 `train` 的选项名（去掉前面的短横线）"
        ))
    };
    let mut table: toml::Table = toml::from_str(&text).map_err(|e| invalid(&e, ""))?;
    for (key, value) in &mut table {
        if WORDS.contains(&key.as_str()) {
            *value = toml::Value::String(as_words(value));
        }
    }
    // One key at a time first: the parser's own words do not name the key whose value is of the wrong kind.
    for (key, value) in &table {
        let alone = toml::Table::from_iter([(key.clone(), value.clone())]);
        if let Err(e) = alone.try_into::<Flags>() {
            let line = text.lines().position(|line| line.split('=').next().is_some_and(|name| name.trim() == key));
            let place = line.map_or(String::new(), |line| format!(":{}", line + 1));
            return Err(Error::new(
                Kind::InvalidInput,
                format!("{}{place}: {key}: {}", path.display(), e.message().trim_end()),
            )
            .hint(tr!(
                "keys are the flags of `train` without the dashes in front",
                "键名即 `train` 的选项名（去掉前面的短横线）"
            )));
        }
    }
    table.try_into().map_err(|e| invalid(&e, ""))
}

/// A value as it would stand on the command line.
fn as_words(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Boolean(yes) => if *yes { "on" } else { "off" }.to_owned(),
        toml::Value::Array(list) => list.iter().map(as_words).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Flags> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read_settings(file.path())
    }

    #[test]
    fn words_may_be_bare() {
        let flags = settings("val = 0.2\npacking = true\ntarget = ['q_proj', 'v_proj']\nlr = 1e-3\n").unwrap();
        assert_eq!((flags.val.as_deref(), flags.packing.as_deref()), (Some("0.2"), Some("on")));
        assert_eq!((flags.target.as_deref(), flags.lr), (Some("q_proj,v_proj"), Some(1e-3)));
    }

    #[test]
    fn a_fault_is_told_with_its_line_and_key() {
        for (text, line, key) in [
            ("lr = 1e-3\n\nrank = 'eight'\n", ":3:", "rank"),
            ("lr = 1e-3\nrnak = 8\n", ":2:", "rnak"),
            ("lr = 1e-3\nrank = = 8\n", ":2:", ""),
        ] {
            let error = settings(text).err().unwrap();
            assert!(error.message.contains(line) && error.message.contains(key), "{}", error.message);
        }
    }
}
