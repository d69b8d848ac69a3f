//! Fifty steps of training follow PyTorch + PEFT from the same adapter on the same batches: on the tiny models
//! (`tests/oracle/training_steps.py` made the expected losses), and on a real model where
//! `scripts/oracle-training.sh` has prepared one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tiny;

use linly_bench::batch::Shape;
use linly_bench::model::{Decoder, WeightForm, adapter, open};
use linly_bench::prompt::Rendered;
use linly_bench::train::{Length, Schedule, TrainConfig};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tiny::{MODELS, decoder, lora, train_from};

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn integers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as usize).collect()
}

/// The greatest |ours − theirs| / theirs over all steps.
fn greatest_deviation(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs() / b).fold(0.0, f64::max)
}

#[test]
fn fifty_steps_of_the_tiny_models_follow_peft() {
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/training_steps.json");
    let expected: Value = serde_json::from_slice(&std::fs::read(expected).unwrap()).unwrap();
    let stored: Vec<Rendered> = expected["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let ids: Vec<u32> = integers(&row["ids"]).into_iter().map(|id| id as u32).collect();
            let first = row["first_supervised"].as_u64().unwrap() as usize;
            Rendered { mask: (0..ids.len()).map(|i| i >= first).collect(), ids, text: String::new() }
        })
        .collect();
    let batches: Vec<Vec<usize>> = expected["batches"].as_array().unwrap().iter().map(integers).collect();
    let rows: Vec<Rendered> = batches.iter().flatten().map(|i| stored[*i].clone()).collect();
    let setting = |name: &str| expected["settings"][name].as_f64().unwrap();
    for name in MODELS {
        let decoder = decoder(name, WeightForm::F32);
        let start = lora(name, &decoder);
        let config = TrainConfig {
            lora: start.config.clone(),
            lr: setting("lr"),
            schedule: Schedule::Cosine,
            warmup: 0.0,
            length: Length::Steps(batches.len() as u64),
            shape: Shape {
                batch_size: setting("batch") as usize,
                max_len: 64,
                packing: false,
                ..TrainConfig::default().shape
            },
            accum: 1,
            weight_decay: setting("weight_decay"),
            clip: setting("clip"),
            eval_every: 0,
            save_every: 0,
            ..TrainConfig::default()
        };
        let (_, losses) = train_from(&decoder, &start, &rows, &config);
        let [f32, f64] = ["f32", "f64"].map(|of| floats(&expected["models"][name][of]));
        // Gradients are clipped in some steps and not in others: both are followed.
        let norms = floats(&expected["models"][name]["grad_norms"]);
        let clipped = norms.iter().filter(|n| **n > config.clip).count();
        assert!((5..=45).contains(&clipped), "{name}: {clipped} steps are clipped");
        assert!(f64[49] < 0.9 * f64[0], "{name}: nothing is learnt");
        for (theirs, of) in [(f32, "f32"), (f64, "f64")] {
            let deviation = greatest_deviation(&losses, &theirs);
            eprintln!("{name}: greatest deviation from PEFT in {of}: {deviation:.1e}");
            // PEFT's own f32 and f64 lie within 3e-7 of each other.
            assert!(deviation < 2e-6, "{name}, {of}: {deviation}\n{losses:?}\n{theirs:?}");
        }
    }
}

/// Rows, labels −100 where nothing is supervised, as the peer reads them.
fn read_rows(path: &Path) -> Vec<Rendered> {
    let text = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let ids = integers(&row["input_ids"]).into_iter().map(|id| id as u32).collect();
        let mask = row["labels"].as_array().unwrap().iter().map(|l| l.as_i64().unwrap() >= 0).collect();
        Rendered { ids, mask, text: String::new() }
    };
    text.lines().map(row).collect()
}

/// `LINLY_BENCH_ORACLE_MODEL`: a Hugging Face folder. `LINLY_BENCH_ORACLE_RUN`: a folder with `rows.jsonl`, the
/// adapter `start`, `settings.json` with the rate, and `peer.json`, what the peer reported of its training from there.
#[test]
fn fifty_steps_of_a_real_model_follow_peft() {
    let folder = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let (Some(model), Some(run)) = (folder("LINLY_BENCH_ORACLE_MODEL"), folder("LINLY_BENCH_ORACLE_RUN")) else {
        eprintln!("skipped: no peer's training is named (scripts/oracle-training.sh makes one and runs this test)");
        return;
    };
    let files = open(&model).unwrap();
    let decoder = Decoder::load(&files.config, &*files.weights, WeightForm::F32).unwrap();
    let start = adapter::load(&run.join("start"), decoder.config()).unwrap().lora;
    let read = |name: &str| -> Value { serde_json::from_slice(&std::fs::read(run.join(name)).unwrap()).unwrap() };
    let (peer, settings) = (read("peer.json"), read("settings.json"));
    let theirs = floats(&peer["losses"]);
    let batch_size = peer["batch"].as_u64().unwrap() as usize;
    let rows = read_rows(&run.join("rows.jsonl"));
    assert_eq!(rows.len(), theirs.len() * batch_size);
    // The peer's script has neither schedule nor decay nor clipping.
    let config = TrainConfig {
        lora: start.config.clone(),
        lr: settings["lr"].as_f64().unwrap(),
        schedule: Schedule::Constant,
        warmup: 0.0,
        length: Length::Steps(theirs.len() as u64),
        shape: Shape { batch_size, max_len: 4096, packing: false, ..TrainConfig::default().shape },
        accum: 1,
        weight_decay: 0.0,
        clip: 0.0,
        eval_every: 0,
        save_every: 0,
        ..TrainConfig::default()
    };
    let (_, losses) = train_from(&decoder, &start, &rows, &config);
    let deviation = greatest_deviation(&losses, &theirs);
    for (step, (ours, theirs)) in losses.iter().zip(&theirs).enumerate() {
        eprintln!("step {}: ours {ours:.6}, peer {theirs:.6}", step + 1);
    }
    eprintln!("greatest relative deviation over {} steps: {deviation:.2e}", losses.len());
    assert!(deviation < 1e-3, "{deviation}");
}
