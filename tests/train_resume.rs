//! A training that was stopped at any step and resumed gives bit for bit what it would have given.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use linly_bench::batch::Shape;
use linly_bench::job::{CancelToken, EventSink, JobEvent};
use linly_bench::model::{Decoder, Lora, LoraConfig, Projection, WeightForm, open};
use linly_bench::prompt::Rendered;
use linly_bench::train::{Length, Schedule, TrainConfig, TrainData, TrainOutcome, Trainer};
use std::path::Path;
use std::sync::Mutex;

/// Records events and asks to stop after a given step.
struct StopAfter<'a> {
    step: u64,
    cancel: &'a CancelToken,
    events: Mutex<Vec<JobEvent>>,
}

impl EventSink for StopAfter<'_> {
    fn emit(&self, event: &JobEvent) {
        if let JobEvent::Step(m) = event
            && m.step == self.step
        {
            self.cancel.cancel();
        }
        self.events.lock().unwrap().push(event.clone());
    }
}

fn decoder() -> Decoder {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/tiny/qwen2");
    let files = open(&folder).unwrap();
    Decoder::load(&files.config, &*files.weights, WeightForm::F32).unwrap()
}

fn rows(count: usize, salt: u32) -> Vec<Rendered> {
    let row = |i: usize| {
        let len = 5 + (i * 7 + salt as usize) % 11;
        let ids: Vec<u32> = (0..len as u32).map(|t| (t * t + 13 * i as u32 + salt) % 64).collect();
        Rendered { mask: (0..len).map(|t| t >= 3).collect(), ids, text: String::new() }
    };
    (0..count).map(row).collect()
}

fn config() -> TrainConfig {
    TrainConfig {
        lora: LoraConfig {
            rank: 4,
            alpha: 8.0,
            dropout: 0.1,
            targets: Projection::ALL.to_vec(),
            ..LoraConfig::default()
        },
        lr: 1e-2,
        schedule: Schedule::Cosine,
        warmup: 0.2,
        length: Length::Epochs(2.0),
        shape: Shape { batch_size: 2, max_len: 32, packing: false, bucket: false },
        accum: 2,
        weight_decay: 0.01,
        clip: 1.0,
        eval_every: 3,
        save_every: 2,
        seed: 5,
        ..TrainConfig::default()
    }
}

fn train(checkpoint: &Path, resume: bool, stop_after: u64) -> (TrainOutcome, Vec<JobEvent>) {
    let (decoder, config) = (decoder(), config());
    let data = TrainData { train: rows(21, 1), val: rows(6, 40) };
    let cancel = CancelToken::default();
    let sink = StopAfter { step: stop_after, cancel: &cancel, events: Mutex::default() };
    let trainer = Trainer {
        decoder: &decoder,
        data: &data,
        config: &config,
        checkpoint: Some(checkpoint.to_owned()),
        sink: &sink,
        cancel: &cancel,
    };
    let outcome = trainer.run(resume).unwrap();
    (outcome, sink.events.into_inner().unwrap())
}

/// What of a step must repeat: everything but the time it took.
fn losses(events: &[JobEvent]) -> Vec<(u64, u64, u64)> {
    events
        .iter()
        .filter_map(|event| match event {
            JobEvent::Step(m) => Some((m.step, m.loss.to_bits(), m.grad_norm.to_bits())),
            JobEvent::Eval { step, val_loss, .. } => Some((*step, val_loss.to_bits(), 0)),
            _ => None,
        })
        .collect()
}

fn bits(lora: &Lora) -> Vec<u32> {
    lora.tensors().iter().flat_map(|(_, _, data)| data.iter().map(|x| x.to_bits())).collect()
}

#[test]
fn stopped_at_any_step_and_resumed_is_the_same_as_never_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (straight, events) = train(&folder.path().join("straight"), false, u64::MAX);
    assert!(!straight.cancelled);
    // 21 rows in pairs, two pairs a step: 6 steps an epoch.
    assert_eq!(straight.progress.step, 12);
    assert!(straight.progress.best.unwrap().0 < straight.progress.base_val_loss.unwrap());
    for stop in [1, 4, 6, 7, 11] {
        let checkpoint = folder.path().join(format!("stopped-{stop}"));
        let (first, before) = train(&checkpoint, false, stop);
        assert!(first.cancelled);
        assert_eq!(first.progress.step, stop);
        let (second, after) = train(&checkpoint, true, u64::MAX);
        assert_eq!(bits(&second.lora), bits(&straight.lora), "stopped after step {stop}");
        assert_eq!(second.progress, straight.progress);
        let mut joined = losses(&before);
        joined.extend(losses(&after));
        // A stop between a step and its validation leaves that validation out, nothing else.
        let expected: Vec<_> = losses(&events).into_iter().filter(|e| joined.contains(e)).collect();
        assert_eq!(joined, expected);
        assert!(joined.iter().filter(|(_, _, norm)| *norm != 0).count() == 12);
    }
}

#[test]
fn a_damaged_checkpoint_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint");
    train(&checkpoint, false, 2);
    let bytes = std::fs::read(&checkpoint).unwrap();
    for cut in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&checkpoint, &bytes[..cut]).unwrap();
        let (decoder, config) = (decoder(), config());
        let data = TrainData { train: rows(21, 1), val: Vec::new() };
        let cancel = CancelToken::default();
        let sink = linly_bench::job::Silent;
        let trainer = Trainer {
            decoder: &decoder,
            data: &data,
            config: &config,
            checkpoint: Some(checkpoint.clone()),
            sink: &sink,
            cancel: &cancel,
        };
        let error = trainer.run(true).unwrap_err();
        assert_eq!(error.kind, linly_bench::error::Kind::Corrupt, "cut at {cut}: {error}");
        assert!(error.hint.is_some());
    }
}
