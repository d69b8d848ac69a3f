//! A whole training on the emulated card: against the processor's, interrupted, and carried from one to the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{CheckpointFolder, Ending, Length, OnCard, TrainConfig, TrainData, TrainOutcome, Trainer};
use crate::batch::Shape;
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::model::{Architecture, Decoder, LoraConfig, ModelConfig, Projection, RandomWeights, WeightForm};
use crate::ops::cuda::emulator::{Emulator, available};
use crate::prompt::Rendered;
use std::path::Path;
use std::sync::Mutex;

fn config() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Qwen2,
        vocab_size: 90,
        hidden_size: 64,
        intermediate_size: 96,
        num_layers: 2,
        num_heads: 2,
        num_kv_heads: 1,
        head_dim: 64,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: None,
        max_positions: 64,
        tie_word_embeddings: true,
        qkv_bias: true,
        qk_norm: false,
    }
}

fn decoder() -> Decoder {
    let config = config();
    Decoder::load(&config, &RandomWeights::new(&config, Path::new("random"), 3), WeightForm::F32).unwrap()
}

fn rows(count: usize, salt: usize) -> Vec<Rendered> {
    let row = |i: usize| {
        let len = 7 + (i * 5 + salt) % 11;
        Rendered {
            ids: (0..len).map(|t| ((t * 31 + i * 17 + salt) % 90) as u32).collect(),
            mask: (0..len).map(|t| t > len / 3).collect(),
            text: String::new(),
        }
    };
    (0..count).map(row).collect()
}

/// Losses of steps and of validations, in their order.
#[derive(Default)]
struct Losses(Mutex<Vec<(f64, f64)>>, Mutex<Vec<f64>>);

impl EventSink for Losses {
    fn emit(&self, event: &JobEvent) {
        match event {
            JobEvent::Step(m) => self.0.lock().unwrap().push((m.loss, m.grad_norm)),
            JobEvent::Eval { val_loss, .. } => self.1.lock().unwrap().push(*val_loss),
            _ => {}
        }
    }
}

/// Where a run computes.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Cpu,
    Half,
    Exact,
}

struct Run {
    outcome: TrainOutcome,
    steps: Vec<(f64, f64)>,
    validations: Vec<f64>,
}

/// A training of `steps` steps in `folder`; it goes on from the checkpoint there, if there is one.
fn run(place: Place, steps: u64, stop_after: Option<u64>, folder: &Path) -> Run {
    let (decoder, data) = (decoder(), TrainData { train: rows(12, 1), val: rows(3, 50) });
    let config = TrainConfig {
        lora: LoraConfig { rank: 4, dropout: 0.1, targets: Projection::ALL.to_vec(), ..LoraConfig::default() },
        lr: 5e-3,
        lora_plus: 2.0,
        length: Length::Steps(steps),
        shape: Shape { batch_size: 2, ..TrainConfig::default().shape },
        accum: 2,
        weight_decay: 0.01,
        clip: 0.5,
        eval_every: 2,
        save_every: 1,
        neftune: 2.0,
        ..TrainConfig::default()
    };
    let (losses, cancel) = (Losses::default(), CancelToken::default());
    let card = (place != Place::Cpu).then(|| OnCard {
        device: Emulator::device(false),
        exact: place == Place::Exact,
        blocks: false,
    });
    let folder = CheckpointFolder::new(folder, 2);
    let stored = folder.newest().unwrap().map(|found| found.stored);
    let stopper = |_: &crate::model::Lora, step: u64| {
        if Some(step) == stop_after {
            cancel.cancel();
        }
        Ok(())
    };
    let config = TrainConfig { sample_every: 1, ..config };
    let trainer = Trainer {
        decoder: &decoder,
        data: &data,
        config: &config,
        checkpoints: Some(folder),
        sampler: Some(&stopper),
        sink: &losses,
        cancel: &cancel,
        card,
        peers: None,
    };
    let outcome = trainer.run(stored).unwrap();
    let expected = if stop_after.is_some() { Ending::Cancelled } else { Ending::Finished };
    assert_eq!(outcome.ending, expected);
    Run { outcome, steps: losses.0.into_inner().unwrap(), validations: losses.1.into_inner().unwrap() }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// How far apart two runs' factors are, in units of how far training has moved the expected ones from their start.
fn apart(found: &Run, expected: &Run) -> f64 {
    let start = crate::model::Lora::new(expected.outcome.lora.config.clone(), &config(), 42);
    let (mut off, mut moved) = (0.0, 0.0);
    let all = found.outcome.lora.tensors().into_iter().zip(expected.outcome.lora.tensors()).zip(start.tensors());
    for (((_, _, found), (_, _, expected)), (_, _, start)) in all {
        for ((a, b), c) in found.iter().zip(expected).zip(start) {
            off += f64::from(a - b).powi(2);
            moved += f64::from(b - c).powi(2);
        }
    }
    (off / moved).sqrt()
}

#[test]
fn a_training_on_the_card_is_that_of_the_processor() {
    if !available() {
        return;
    }
    let here = run(Place::Cpu, 5, None, folder().path());
    // Losses, validations and the gradient's length within these shares; factors within this share of the way they went. AdamW
    // divides a gradient by its own size, so where a gradient is nearly nothing its roundings decide the step.
    for (place, losses, norms, factors) in [(Place::Exact, 1e-5, 1e-4, 0.02), (Place::Half, 2e-3, 0.03, 0.25)] {
        let there = run(place, 5, None, folder().path());
        assert_eq!((there.steps.len(), there.validations.len()), (5, here.validations.len()));
        for ((a, b), (c, d)) in there.steps.iter().zip(&here.steps) {
            assert!((a / c - 1.0).abs() <= losses, "loss {a}, not {c}");
            assert!((b / d - 1.0).abs() <= norms, "norm {b}, not {d}");
        }
        for (a, b) in there.validations.iter().zip(&here.validations) {
            assert!((a / b - 1.0).abs() <= losses, "validation {a}, not {b}");
        }
        let far = apart(&there, &here);
        assert!(far <= factors, "factors are apart by {far} of their way");
    }
}

#[test]
fn a_resumed_training_on_the_card_is_an_uninterrupted_one() {
    if !available() {
        return;
    }
    let (whole, parts) = (folder(), folder());
    let expected = run(Place::Half, 5, None, whole.path());
    let first = run(Place::Half, 5, Some(2), parts.path());
    let second = run(Place::Half, 5, None, parts.path());
    assert_eq!(expected.steps, [first.steps, second.steps].concat());
    assert_eq!(expected.outcome.lora, second.outcome.lora);
    let newest = |folder: &Path| {
        let stored = CheckpointFolder::new(folder, 2).newest().unwrap().unwrap().stored;
        // The progress and a checksum over it and every tensor. Their order in the file is any, so bytes may differ.
        let bytes = stored.into_bytes();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        header.metadata().clone().unwrap()
    };
    assert_eq!(newest(whole.path()), newest(parts.path()));
}

#[test]
fn a_run_goes_on_where_the_other_device_left_it() {
    if !available() {
        return;
    }
    let expected = run(Place::Cpu, 5, None, folder().path());
    for (first, second) in [(Place::Cpu, Place::Exact), (Place::Exact, Place::Cpu)] {
        let parts = folder();
        let begun = run(first, 5, Some(2), parts.path());
        let ended = run(second, 5, None, parts.path());
        let steps = [begun.steps, ended.steps.clone()].concat();
        assert_eq!(steps.len(), 5);
        for ((a, _), (b, _)) in steps.iter().zip(&expected.steps) {
            assert!((a / b - 1.0).abs() <= 1e-5, "loss {a}, not {b}");
        }
        let far = apart(&ended, &expected);
        assert!(far <= 0.02, "factors are apart by {far} of their way");
    }
}
