//! Answering on a card: logits of prompts and of steps against the processor's, and how fast the published shapes write.

use super::super::answering::{put_on_card, read_to_card};
use super::super::bench_infer::{InferBench, Timed, bench_infer};
use super::super::device::open_card;
use super::bench::{ModelShape, each_shape};
use super::training::config;
use super::{Check, CheckReport, DecodeSpeed, Part, distance};
use crate::error::{Error, Result};
use crate::job::CancelToken;
use crate::model::{
    Architecture, BaseStorage, Decoder, HostInference, Inference, KvBlock, ModelConfig, RandomWeights, Stretch,
    WeightForm,
};
use crate::ops::cuda::Device;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Logits of small models of every family in f32 and bf16, and of one with quantised weights.
pub fn checks(device: &Arc<dyn Device>, hear: &mut dyn FnMut(&str)) -> Vec<Check> {
    use Architecture::{Llama, Qwen2, Qwen3};
    use BaseStorage::{Full, Int4, Int8};
    let mut checks = Vec::new();
    for (name, family, exact, storage, tolerance) in [
        ("Llama, f32", Llama, true, Full, 1e-4),
        ("Qwen2, f32", Qwen2, true, Full, 1e-4),
        ("Qwen3, f32", Qwen3, true, Full, 1e-4),
        ("Llama, bf16", Llama, false, Full, 0.03),
        ("Qwen3, bf16", Qwen3, false, Full, 0.03),
        ("Qwen2, int8", Qwen2, false, Int8, 0.03),
        ("Qwen2, int4", Qwen2, false, Int4, 0.03),
    ] {
        let name = format!("answers of {name}: logits");
        hear(&name);
        checks.push(match compared(device, &config(family), exact, storage) {
            Err(e) => Check::broken(Part::Parity, name, &e),
            Ok(error) => Check::compared(Part::Parity, name, error, tolerance),
        });
    }
    checks
}

fn compared(device: &Arc<dyn Device>, config: &ModelConfig, exact: bool, storage: BaseStorage) -> Result<f64> {
    let form = WeightForm { storage, ..WeightForm::F32 };
    let decoder = Arc::new(Decoder::load(config, &RandomWeights::new(config, Path::new("random"), 3), form)?);
    let card = put_on_card(device, &decoder, exact)?.with(None)?;
    let expected = written(&HostInference::new(decoder, None))?;
    Ok(distance(&written(&*card)?, &expected))
}

/// Logits of a prompt's last token, and of two answers behind it: a step is taken, recorded and repeated.
fn written(model: &dyn Inference) -> Result<Vec<f32>> {
    let vocabulary = model.config().vocab_size;
    let id = |i: usize| ((i * 37 + 5) % vocabulary) as u32;
    let prompt: Vec<u32> = (0..40).map(id).collect();
    let (hidden, caches) = model.forward(&[Stretch { ids: &prompt, past: Vec::new() }])?;
    let mut all = model.logits(&hidden, &[prompt.len() - 1])?;
    let Some(shared) = caches.first() else { return Err(Error::internal("a cache")) };
    let mut own = vec![KvBlock::default(), KvBlock::default()];
    for step in 0..3 {
        let next = [[id(step)], [id(step + 50)]];
        let stretches: Vec<Stretch<'_>> =
            next.iter().zip(&own).map(|(ids, own)| Stretch { ids, past: vec![shared, own] }).collect();
        let (hidden, caches) = model.forward(&stretches)?;
        all.extend(model.logits(&hidden, &[0, 1])?);
        own.iter_mut().zip(&caches).for_each(|(own, next)| own.append(next));
    }
    Ok(all)
}

/// Tokens of a prompt, and tokens written behind it.
const LENGTHS: (usize, usize) = (2048, 64);

/// Times the shapes until `until`, one and eight answers at a time.
pub fn speeds(
    ordinal: usize,
    shapes: &[&ModelShape],
    seed: u64,
    until: Instant,
    report: &mut CheckReport,
    hear: &mut dyn FnMut(&str),
    cancel: &CancelToken,
) -> Result<()> {
    each_shape(Part::Decode, shapes, until, report, hear, &mut |shape, report| {
        report.decoding.extend(of_shape(ordinal, shape, seed, cancel)?);
        Ok(())
    })
}

fn of_shape(ordinal: usize, shape: &ModelShape, seed: u64, cancel: &CancelToken) -> Result<Vec<DecodeSpeed>> {
    let config = shape.config()?;
    let device = open_card(ordinal)?;
    let form = WeightForm { storage: BaseStorage::Full, ..WeightForm::F32 };
    let card = read_to_card(&device, &config, &RandomWeights::new(&config, Path::new(shape.name), seed), form, false)?;
    // An untied embedding is looked up, not multiplied.
    let weights: usize = config.tensors().iter().map(|(_, s)| s.iter().product::<usize>()).sum();
    let looked_up = if config.tie_word_embeddings { 0 } else { config.vocab_size * config.hidden_size };
    let mut speeds = Vec::new();
    for batch in [1, 8] {
        let timed = Timed {
            model: Arc::clone(&card).with(None)?,
            name: shape.name.to_owned(),
            dtype: "bf16".to_owned(),
            device: device.name(),
        };
        let bench = InferBench { prompt: LENGTHS.0, new_tokens: LENGTHS.1, batch, seed };
        let r = bench_infer(timed, bench, cancel)?;
        speeds.push(DecodeSpeed {
            model: r.model,
            batch,
            tokens_per_second: r.tokens_per_second,
            prompt_tokens_per_second: r.prompt_tokens_per_second,
            step_ms: r.step_ms,
            gigabytes_per_second: 2.0 * (weights - looked_up) as f64 / r.step_ms / 1e6,
        });
    }
    Ok(speeds)
}
