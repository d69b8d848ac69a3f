//! A whole training step on a card against the processor's; a training that is interrupted; eight rows learnt by heart.

use super::{Check, Outcome, Part, distance, values};
use crate::batch::Shape;
use crate::error::{Error, Result};
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::model::{
    Architecture, BaseStorage, CardTraining, Decoder, DeviceDecoder, DeviceTraining, Lora, LoraConfig, MemoryPlan,
    ModelConfig, Projection, RandomWeights, Tape, TrainingRows, WeightForm,
};
use crate::ops::cuda::{Device, Number};
use crate::ops::{Arithmetic, DropoutMask, EmbeddingNoise};
use crate::prompt::Rendered;
use crate::train::{CheckpointFolder, Ending, Length, OnCard, Schedule, TrainConfig, TrainData, TrainOutcome, Trainer};
use half::bf16;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A small decoder with grouped heads, biases or head norms, and a vocabulary that is a multiple of nothing.
pub(super) fn config(architecture: Architecture) -> ModelConfig {
    ModelConfig {
        architecture,
        vocab_size: 203,
        hidden_size: 128,
        intermediate_size: 192,
        num_layers: 2,
        num_heads: 2,
        num_kv_heads: 1,
        head_dim: 64,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: None,
        max_positions: 128,
        tie_word_embeddings: architecture != Architecture::Llama,
        qkv_bias: architecture == Architecture::Qwen2,
        qk_norm: architecture == Architecture::Qwen3,
    }
}

fn decoder(architecture: Architecture, storage: BaseStorage) -> Result<Decoder> {
    let config = config(architecture);
    let form = WeightForm { arithmetic: Arithmetic::F32, storage };
    Decoder::load(&config, &RandomWeights::new(&config, Path::new("random"), 3), form)
}

fn batch(vocabulary: usize) -> TrainingRows {
    let mut batch = TrainingRows::default();
    for (s, len) in [33usize, 9, 21].into_iter().enumerate() {
        let start = batch.ids.len();
        batch.ids.extend((0..len).map(|i| ((i * 37 + s * 11 + 5) % vocabulary) as u32));
        batch.positions.extend(0..len as u32);
        batch.sequences.push(start..start + len);
        batch.targets.extend((len / 3..len).map(|i| (start + i, ((i * 53 + s) % vocabulary) as u32)));
    }
    batch.noise = Some(EmbeddingNoise { seed: 7, alpha: 5.0 });
    batch
}

/// A whole step of every family, in f32 and bf16, with quantised weights and with checkpointing.
pub fn steps(device: &Arc<dyn Device>, hear: &mut dyn FnMut(&str)) -> Vec<Check> {
    use Architecture::{Llama, Qwen2, Qwen3};
    let mut checks = Vec::new();
    let mut add = |name: &str, result: Result<(f64, f64)>, tolerances: (f64, f64)| {
        hear(name);
        match result {
            Err(e) => checks.push(Check::broken(Part::Parity, name, &e)),
            Ok((loss, gradients)) => {
                checks.push(Check::compared(Part::Parity, format!("{name}: loss"), loss, tolerances.0));
                checks.push(Check::compared(Part::Parity, format!("{name}: gradients"), gradients, tolerances.1));
            }
        }
    };
    let (exact, half) = ((1e-5, 1e-4), (2e-3, 0.03));
    for (name, family) in [("Llama", Llama), ("Qwen2", Qwen2), ("Qwen3", Qwen3)] {
        let full = BaseStorage::Full;
        add(&format!("step of {name}, f32"), step::<f32>(device, family, full, false), exact);
        add(&format!("step of {name}, bf16"), step::<bf16>(device, family, full, family == Qwen3), half);
    }
    add("step with int4 weights, bf16", step::<bf16>(device, Qwen2, BaseStorage::Int4, false), half);
    checks
}

/// How far the loss and all gradients together are from the processor's.
fn step<T: Number>(
    device: &Arc<dyn Device>,
    architecture: Architecture,
    storage: BaseStorage,
    checkpointing: bool,
) -> Result<(f64, f64)> {
    let decoder = decoder(architecture, storage)?;
    let settings = LoraConfig { rank: 6, targets: Projection::ALL.to_vec(), ..LoraConfig::default() };
    let mut lora = Lora::new(settings, decoder.config(), 1);
    for (salt, pair) in lora.blocks.iter_mut().flat_map(|b| b.iter_mut().flatten()).enumerate() {
        pair.b = values(pair.b.len(), salt as u64 + 5, 0.05);
    }
    let batch = batch(decoder.config().vocab_size);
    let (mask, scale) = (Some(DropoutMask { seed: 11, p: 0.1, first_row: 0 }), 0.1);
    let mut expected = lora.zero_gradients();
    let mut tape = Tape::new(MemoryPlan::default());
    let loss = decoder.loss(&batch, Some(&lora), mask, Some((&mut expected, scale)), &mut tape)?;
    let mut card =
        DeviceTraining::new(DeviceDecoder::<T>::new(device, &decoder, &lora, storage != BaseStorage::Full)?)?;
    card.set_plan(MemoryPlan { tokens_at_once: usize::MAX, checkpointing });
    card.clear()?;
    card.add(&batch, mask, scale)?;
    let found_loss = card.total()?;
    let mut found = lora.zero_gradients();
    card.read_gradients(&mut found)?;
    Ok(((found_loss / loss - 1.0).abs(), distance(&found.parts().concat(), &expected.parts().concat())))
}

/// Resume exactness and the overfit.
pub fn all(device: &Arc<dyn Device>, hear: &mut dyn FnMut(&str)) -> Vec<Check> {
    let mut checks = Vec::new();
    let name = "a resumed run is an uninterrupted one, bit for bit";
    hear(name);
    checks.push(match resumed(device) {
        Err(e) => Check::broken(Part::Training, name, &e),
        Ok(true) => Check::noted(Part::Training, name, Outcome::Passed, ""),
        Ok(false) => Check::noted(Part::Training, name, Outcome::Failed, "factors or losses differ"),
    });
    let name = "eight rows learnt by heart";
    hear(name);
    checks.push(match overfit(device, 120) {
        Err(e) => Check::broken(Part::Training, name, &e),
        Ok((first, last)) => {
            let outcome = if last < 0.1 * first { Outcome::Passed } else { Outcome::Failed };
            Check::noted(Part::Training, name, outcome, format!("loss {first:.3} → {last:.4}"))
        }
    });
    checks
}

/// Losses of steps.
#[derive(Default)]
struct Losses(Mutex<Vec<f64>>);

impl Losses {
    fn take(&self) -> Vec<f64> {
        self.0.lock().map(|mut losses| std::mem::take(&mut *losses)).unwrap_or_default()
    }
}

impl EventSink for Losses {
    fn emit(&self, event: &JobEvent) {
        if let (JobEvent::Step(metrics), Ok(mut losses)) = (event, self.0.lock()) {
            losses.push(metrics.loss);
        }
    }
}

fn rows(count: usize, vocabulary: usize) -> Vec<Rendered> {
    let row = |i: usize| {
        let len = 12 + i % 5;
        let drawn = values(len, i as u64 + 1, 1.0);
        Rendered {
            ids: drawn.iter().map(|x| ((x.abs() * 1e6) as usize % vocabulary) as u32).collect(),
            mask: (0..len).map(|t| t > 3).collect(),
            text: String::new(),
        }
    };
    (0..count).map(row).collect()
}

fn train(
    device: &Arc<dyn Device>,
    config: &TrainConfig,
    folder: Option<&Path>,
    stop_after: Option<u64>,
) -> Result<(TrainOutcome, Vec<f64>)> {
    let decoder = decoder(Architecture::Qwen2, BaseStorage::Full)?;
    let data = TrainData { train: rows(8, decoder.config().vocab_size), val: Vec::new() };
    let (losses, cancel) = (Losses::default(), CancelToken::default());
    let checkpoints = folder.map(|folder| CheckpointFolder::new(folder, 2));
    let stored = match &checkpoints {
        Some(folder) => folder.newest()?.map(|found| found.stored),
        None => None,
    };
    let stopper = |_: &Lora, step: u64| {
        if Some(step) == stop_after {
            cancel.cancel();
        }
        Ok(())
    };
    let trainer = Trainer {
        decoder: &decoder,
        data: &data,
        config,
        checkpoints,
        sampler: stop_after.is_some().then_some(&stopper),
        sink: &losses,
        cancel: &cancel,
        card: Some(OnCard { device: device.clone(), exact: false, blocks: false }),
        peers: None,
    };
    let outcome = trainer.run(stored)?;
    let expected = if stop_after.is_some() { Ending::Cancelled } else { Ending::Finished };
    if outcome.ending != expected {
        return Err(Error::internal(format!("the training ended otherwise than planned: {:?}", outcome.ending)));
    }
    Ok((outcome, losses.take()))
}

fn resumed(device: &Arc<dyn Device>) -> Result<bool> {
    let config = TrainConfig {
        lora: LoraConfig { targets: Projection::ALL.to_vec(), dropout: 0.1, ..LoraConfig::default() },
        lr: 5e-3,
        length: Length::Steps(4),
        shape: Shape { batch_size: 2, ..TrainConfig::default().shape },
        save_every: 1,
        sample_every: 1,
        ..TrainConfig::default()
    };
    let folder = || tempfile::tempdir().map_err(|e| Error::io(&std::env::temp_dir(), &e));
    let (whole, parts) = (folder()?, folder()?);
    let (expected, losses) = train(device, &config, Some(whole.path()), None)?;
    let (_, begun) = train(device, &config, Some(parts.path()), Some(2))?;
    let (found, ended) = train(device, &config, Some(parts.path()), None)?;
    Ok(losses == [begun, ended].concat() && expected.lora == found.lora)
}

/// First and last loss of `steps` steps on the same eight rows.
pub(super) fn overfit(device: &Arc<dyn Device>, steps: u64) -> Result<(f64, f64)> {
    let config = TrainConfig {
        lora: LoraConfig {
            rank: 16,
            alpha: 32.0,
            dropout: 0.0,
            targets: Projection::ALL.to_vec(),
            ..LoraConfig::default()
        },
        lr: 1e-2,
        schedule: Schedule::Constant,
        length: Length::Steps(steps),
        shape: Shape { batch_size: 8, ..TrainConfig::default().shape },
        save_every: 0,
        ..TrainConfig::default()
    };
    let (_, losses) = train(device, &config, None, None)?;
    match (losses.first(), losses.last()) {
        (Some(first), Some(last)) => Ok((*first, *last)),
        _ => Err(Error::internal("no step was taken")),
    }
}
