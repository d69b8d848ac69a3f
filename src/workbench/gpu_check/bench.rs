//! The benchmarks: LoRA steps of published shapes with random weights, sequences of 4096 tokens.

use super::super::bench::TrainBench;
use super::super::bench_card::{CardBench, CardModel, bench_train_on_card};
use super::{Check, CheckReport, Outcome, Part, Speed};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, Silent};
use crate::model::{BaseStorage, Checkpointing, ModelConfig, Projection, WeightForm};
use crate::tr;
use serde_json::json;
use std::time::Instant;

/// A published shape.
pub struct ModelShape {
    pub(super) name: &'static str,
    config: fn() -> serde_json::Value,
    /// Rows of 4096 tokens in a step.
    batch: usize,
    /// Tokens per second that are aimed at on an H100.
    goal: Option<f64>,
}

impl ModelShape {
    /// Its sizes.
    pub(super) fn config(&self) -> Result<ModelConfig> {
        ModelConfig::from_hf(&(self.config)())
    }
}

const SHAPES: [ModelShape; 5] = [
    ModelShape { name: "smollm2-135m", config: smollm2, batch: 8, goal: None },
    ModelShape { name: "qwen2.5-0.5b", config: qwen_half, batch: 4, goal: Some(150_000.0) },
    ModelShape { name: "llama-3.2-1b", config: llama_1b, batch: 4, goal: None },
    ModelShape { name: "llama-3-8b", config: llama_8b, batch: 2, goal: Some(14_000.0) },
    ModelShape { name: "qwen2.5-7b", config: qwen_7b, batch: 2, goal: Some(15_500.0) },
];

/// Tokens of a row.
const LENGTH: usize = 4096;

/// The shapes of these names; all for none.
///
/// # Errors
/// `Usage` that lists the names.
pub fn shapes(names: &[String]) -> Result<Vec<&'static ModelShape>> {
    if names.is_empty() {
        return Ok(SHAPES.iter().collect());
    }
    let find = |name: &String| {
        SHAPES.iter().find(|shape| shape.name == name).ok_or_else(|| {
            let (name, known) = (name.escape_default(), SHAPES.map(|shape| shape.name).join(", "));
            Error::new(Kind::Usage, tr!("unknown --shape `{name}`", "未知的 --shape `{name}`"))
                .hint(tr!("known: {known}", "可用：{known}"))
        })
    };
    names.iter().map(find).collect()
}

/// Times the shapes until `until`; those that are left are reported as not done.
pub fn all(
    ordinal: usize,
    shapes: &[&ModelShape],
    seed: u64,
    until: Instant,
    report: &mut CheckReport,
    hear: &mut dyn FnMut(&str),
    cancel: &CancelToken,
) -> Result<()> {
    each_shape(Part::Bench, shapes, until, report, hear, &mut |shape, report| {
        report.speeds.push(one(ordinal, shape, seed, cancel)?);
        Ok(())
    })
}

/// Hands the shapes to `work` until `until`. Those that are left are reported as not done, those that fail as broken.
pub(super) fn each_shape(
    part: Part,
    shapes: &[&ModelShape],
    until: Instant,
    report: &mut CheckReport,
    hear: &mut dyn FnMut(&str),
    work: &mut dyn FnMut(&ModelShape, &mut CheckReport) -> Result<()>,
) -> Result<()> {
    for shape in shapes {
        if Instant::now() >= until {
            let note = tr!("no time was left (--minutes)", "时间已用完（--minutes）");
            report.checks.push(Check::noted(part, shape.name, Outcome::NotDone, note));
            continue;
        }
        hear(shape.name);
        match work(shape, report) {
            Ok(()) => {}
            Err(e) if e.kind == Kind::Interrupted => return Err(e),
            Err(e) => report.checks.push(Check::broken(part, shape.name, &e)),
        }
    }
    Ok(())
}

fn one(ordinal: usize, shape: &ModelShape, seed: u64, cancel: &CancelToken) -> Result<Speed> {
    let file = tempfile::Builder::new().suffix(".json").tempfile().map_err(|e| Error::io(&std::env::temp_dir(), &e))?;
    std::fs::write(file.path(), (shape.config)().to_string()).map_err(|e| Error::io(file.path(), &e))?;
    let bench = TrainBench {
        lengths: (LENGTH, LENGTH),
        batch: shape.batch,
        steps: 5,
        targets: Projection::ALL.to_vec(),
        rank: 16,
        supervised: 0.5,
        seed,
    };
    let form = WeightForm { storage: BaseStorage::Full, ..WeightForm::F32 };
    let how = CardBench { ordinal, exact: false, form, checkpointing: Checkpointing::Auto };
    let r = bench_train_on_card(&CardModel::Random(file.path()), shape.name, &bench, how, &Silent, cancel)?;
    Ok(Speed {
        model: r.model,
        tokens_per_second: r.tokens_per_second,
        step_ms: r.step_ms,
        model_tflops: r.model_tflops,
        mfu: r.mfu,
        peak_card_mb: r.peak_card_mb,
        goal: shape.goal,
        checkpointing: r.plan.is_some_and(|plan| plan.checkpointing),
    })
}

fn llama(
    hidden: usize,
    inner: usize,
    layers: usize,
    heads: [usize; 2],
    vocabulary: usize,
    tied: bool,
) -> serde_json::Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden, "intermediate_size": inner,
        "num_hidden_layers": layers, "num_attention_heads": heads[0], "num_key_value_heads": heads[1],
        "vocab_size": vocabulary, "rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "max_position_embeddings": 8192,
        "tie_word_embeddings": tied, "hidden_act": "silu",
    })
}

fn qwen(
    hidden: usize,
    inner: usize,
    layers: usize,
    heads: [usize; 2],
    vocabulary: usize,
    tied: bool,
) -> serde_json::Value {
    let mut config = llama(hidden, inner, layers, heads, vocabulary, tied);
    config["architectures"] = json!(["Qwen2ForCausalLM"]);
    config["model_type"] = json!("qwen2");
    config["rms_norm_eps"] = json!(1e-6);
    config
}

fn smollm2() -> serde_json::Value {
    llama(576, 1536, 30, [9, 3], 49_152, true)
}

fn qwen_half() -> serde_json::Value {
    qwen(896, 4864, 24, [14, 2], 151_936, true)
}

fn llama_1b() -> serde_json::Value {
    llama(2048, 8192, 16, [32, 8], 128_256, true)
}

fn llama_8b() -> serde_json::Value {
    llama(4096, 14_336, 32, [32, 8], 128_256, false)
}

fn qwen_7b() -> serde_json::Value {
    qwen(3584, 18_944, 28, [28, 4], 152_064, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_those_of_the_models_that_they_are_named_for() {
        // Parameters that the models' cards state, in millions.
        let stated = [134.5, 494.0, 1235.8, 8030.3, 7615.6];
        for (shape, millions) in SHAPES.iter().zip(stated) {
            let config = shape.config().unwrap();
            let count: usize = config.tensors().iter().map(|(_, s)| s.iter().product::<usize>()).sum();
            assert!((count as f64 / 1e6 / millions - 1.0).abs() < 1e-3, "{}: {count}", shape.name);
        }
        assert!(shapes(&["gpt-5".to_owned()]).is_err_and(|e| e.kind == Kind::Usage));
    }
}
