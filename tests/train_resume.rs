//! A training that was stopped at any step and resumed gives bit for bit what it would have given, whatever happened
//! to its newest checkpoint; one that loses its numbers keeps what was good.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use linly_bench::batch::Shape;
use linly_bench::error::Kind;
use linly_bench::job::{CancelToken, EventSink, JobEvent};
use linly_bench::model::{Decoder, Lora, LoraConfig, Projection, WeightForm, open};
use linly_bench::prompt::Rendered;
use linly_bench::train::{CheckpointFolder, Ending, Length, Schedule, TrainConfig, TrainData, TrainOutcome, Trainer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
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
            rank_pattern: BTreeMap::from([("down_proj".to_owned(), 2)]),
            ..TrainConfig::default().lora
        },
        lr: 1e-2,
        lora_plus: 2.0,
        schedule: Schedule::Cosine,
        warmup: 0.2,
        length: Length::Epochs(2.0),
        shape: Shape { batch_size: 2, max_len: 32, ..TrainConfig::default().shape },
        accum: 2,
        weight_decay: 0.01,
        eval_every: 3,
        save_every: 2,
        seed: 5,
        ..TrainConfig::default()
    }
}

fn train_with(config: &TrainConfig, folder: &Path, resume: bool, stop_after: u64) -> (TrainOutcome, Vec<JobEvent>) {
    let decoder = decoder();
    let data = TrainData { train: rows(21, 1), val: rows(6, 40) };
    let cancel = CancelToken::default();
    let sink = StopAfter { step: stop_after, cancel: &cancel, events: Mutex::default() };
    let checkpoints = CheckpointFolder::new(folder, config.keep);
    let stored = if resume { checkpoints.newest().unwrap().map(|found| found.stored) } else { None };
    let trainer = Trainer {
        decoder: &decoder,
        data: &data,
        config,
        checkpoints: Some(checkpoints),
        sampler: None,
        sink: &sink,
        cancel: &cancel,
        card: None,
        peers: None,
    };
    let outcome = trainer.run(stored).unwrap();
    (outcome, sink.events.into_inner().unwrap())
}

fn train(folder: &Path, resume: bool, stop_after: u64) -> (TrainOutcome, Vec<JobEvent>) {
    train_with(&config(), folder, resume, stop_after)
}

/// What of a step must repeat: everything but time and memory.
fn figures(events: &[JobEvent]) -> Vec<(u64, [u64; 3])> {
    let figure = |event: &JobEvent| match event {
        JobEvent::Step(m) => Some((m.step, [m.loss, m.grad_norm, m.smoothed_loss].map(f64::to_bits))),
        JobEvent::Eval { step, val_loss, .. } => Some((*step, [val_loss.to_bits(), 0, 0])),
        _ => None,
    };
    events.iter().filter_map(figure).collect()
}

fn bits(lora: &Lora) -> Vec<u32> {
    lora.tensors().iter().flat_map(|(_, _, data)| data.iter().map(|x| x.to_bits())).collect()
}

/// Names of the checkpoints in a folder, sorted; nothing else may lie there.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn checkpoint(folder: &Path, step: u64) -> PathBuf {
    folder.join(format!("checkpoint-{step}.safetensors"))
}

#[test]
fn stopped_at_any_step_and_resumed_is_the_same_as_never_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (straight, events) = train(&folder.path().join("straight"), false, u64::MAX);
    assert_eq!(straight.ending, Ending::Finished);
    // 21 rows in pairs, two pairs a step: 6 steps an epoch.
    assert_eq!(straight.progress.step, 12);
    assert!(straight.progress.best.unwrap().0 < straight.progress.base_val_loss.unwrap());
    // 3 and 6 are steps with a validation: it is broken off, and made up for.
    for stop in [1, 3, 4, 6, 7, 11] {
        let folder = folder.path().join(format!("stopped-{stop}"));
        let (first, before) = train(&folder, false, stop);
        assert_eq!((first.ending, first.progress.step), (Ending::Cancelled, stop));
        let (second, after) = train(&folder, true, u64::MAX);
        assert_eq!(bits(&second.lora), bits(&straight.lora), "stopped after step {stop}");
        assert_eq!(second.progress, straight.progress);
        let joined = [figures(&before), figures(&after)].concat();
        assert_eq!(joined, figures(&events), "stopped after step {stop}");
    }
}

#[test]
fn the_newest_checkpoints_are_kept_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join(".checkpoint-left-by-a-kill.tmp"), b"half").unwrap();
    train(folder, false, u64::MAX);
    assert_eq!(names(folder), ["checkpoint-10.safetensors", "checkpoint-12.safetensors"]);
    train_with(&TrainConfig { keep: 3, ..config() }, folder, false, 7);
    // Those of steps 10 and 12 were of another course.
    assert_eq!(names(folder), ["checkpoint-4.safetensors", "checkpoint-6.safetensors", "checkpoint-7.safetensors"]);
}

#[test]
fn a_damaged_newest_checkpoint_falls_back_to_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (straight, _) = train(&folder.join("straight"), false, u64::MAX);
    let run = folder.join("run");
    train(&run, false, 5);
    let newest = checkpoint(&run, 5);
    let bytes = std::fs::read(&newest).unwrap();
    let found = |keep| CheckpointFolder::new(&run, keep).newest();
    let step = || {
        let found = found(2).unwrap().unwrap();
        (found.stored.progress.step, found.passed_over.len())
    };
    assert_eq!(step(), (5, 0));
    for cut in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&newest, &bytes[..cut]).unwrap();
        assert_eq!(step(), (4, 1), "cut at {cut}");
    }
    // One flipped bit at places all over the file: header, progress, tensors, the last byte.
    let places = (0..bytes.len()).step_by(bytes.len() / 97).chain((0..2000).step_by(13)).chain([bytes.len() - 1]);
    for at in places {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&newest, &flipped).unwrap();
        assert_eq!(step(), (4, 1), "flipped at {at}");
    }
    // Resuming from the older one still ends in the same adapter, and the damaged file does not crowd out a good one.
    let (resumed, _) = train(&run, true, u64::MAX);
    assert_eq!(bits(&resumed.lora), bits(&straight.lora));

    for name in names(&run) {
        std::fs::write(run.join(name), b"").unwrap();
    }
    let error = found(2).unwrap_err();
    assert_eq!(error.kind, Kind::Corrupt);
    assert!(error.hint.is_some() && error.message.contains("none of the checkpoints"), "{error}");
    std::fs::remove_dir_all(&run).unwrap();
    assert!(found(2).unwrap().is_none());
}

#[test]
fn a_checkpoint_of_other_settings_is_refused_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), false, 5);
    let mut other = config();
    other.lora.rank = 2;
    let decoder = decoder();
    let data = TrainData { train: rows(21, 1), val: Vec::new() };
    let checkpoints = CheckpointFolder::new(folder.path(), 2);
    let stored = checkpoints.newest().unwrap().unwrap().stored;
    let trainer = Trainer {
        decoder: &decoder,
        data: &data,
        config: &other,
        checkpoints: Some(checkpoints),
        sampler: None,
        sink: &linly_bench::job::Silent,
        cancel: &CancelToken::default(),
        card: None,
        peers: None,
    };
    let error = trainer.run(Some(stored)).unwrap_err();
    assert!(error.kind == Kind::Mismatch && error.hint.is_some(), "{error}");
}

#[test]
fn a_loss_that_is_no_number_stops_before_its_step_and_keeps_the_state() {
    let folder = tempfile::tempdir().unwrap();
    // A rate that throws the factors out of what f32 can hold.
    let wild = TrainConfig { lr: 1e25, clip: 0.0, warmup: 0.0, eval_every: 0, save_every: 0, ..config() };
    let (outcome, events) = train_with(&wild, folder.path(), false, u64::MAX);
    let Ending::Diverged(at) = outcome.ending else { panic!("{:?}", outcome.ending) };
    let last = events.iter().rev().find_map(|e| if let JobEvent::Step(m) = e { Some(m) } else { None }).unwrap();
    assert!((2..12).contains(&at), "{at}");
    assert_eq!((last.step, outcome.progress.step), (at - 1, at - 1));
    assert!(last.loss.is_finite() && last.grad_norm.is_finite());
    // The checkpoint is that of the last good step, though none was asked for.
    let stored = CheckpointFolder::new(folder.path(), 2).newest().unwrap().unwrap().stored;
    assert_eq!(stored.progress.step, at - 1);
    // What is shipped is the best by held-out loss: here the base model, before any step.
    assert!(outcome.lora.tensors().iter().all(|(_, _, data)| data.iter().all(|x| x.is_finite())));
}

#[test]
fn lora_plus_and_the_schedule_reach_the_factors() {
    let folder = tempfile::tempdir().unwrap();
    let one_step = |lora_plus: f64| {
        let config = TrainConfig { lora_plus, length: Length::Steps(1), weight_decay: 0.0, ..config() };
        let (outcome, _) = train_with(&config, folder.path(), false, u64::MAX);
        assert_eq!(outcome.progress.best.unwrap().1, 1, "the step did not lower the held-out loss");
        outcome.lora
    };
    let (plain, plus) = (one_step(1.0), one_step(4.0));
    for ((name, _, one), (_, _, four)) in plain.tensors().into_iter().zip(plus.tensors()) {
        if name.ends_with("lora_B.weight") {
            // B began at zero, and Adam's first step is in proportion to the rate.
            assert!(one.iter().zip(four).all(|(a, b)| (4.0 * a - b).abs() <= 1e-5 * b.abs()), "{name}");
            assert!(one.iter().any(|x| *x != 0.0), "{name}");
        } else {
            assert_eq!(one, four, "{name}");
        }
    }
}
