//! The tiny models of `tests/oracle/tiny`, rows for them, and trainings that begin from a given adapter.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use linly_bench::batch::epoch_plan;
use linly_bench::job::{CancelToken, EventSink, JobEvent};
use linly_bench::model::{Decoder, Lora, ModelFiles, WeightForm, adapter, open};
use linly_bench::prompt::Rendered;
use linly_bench::train::{AdamW, Checkpoint, CheckpointFolder, Ending, Progress, TrainConfig, TrainData, Trainer};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

pub const MODELS: [&str; 3] = ["llama", "qwen2", "qwen3"];

pub fn oracle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/tiny")
}

pub fn files(name: &str) -> ModelFiles {
    open(&oracle().join(name)).unwrap()
}

pub fn decoder(name: &str, form: WeightForm) -> Decoder {
    let files = files(name);
    Decoder::load(&files.config, &*files.weights, form).unwrap()
}

/// The tiny model `name` with a byte-level tokenizer of 64 tokens, whose last one ends a text.
pub fn with_tokenizer(parent: &Path, name: &str) -> PathBuf {
    let folder = parent.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    for file in ["model.safetensors", "config.json"] {
        std::fs::copy(oracle().join(name).join(file), folder.join(file)).unwrap();
    }
    // Letters, figures, Ġ, which stands for a space, and what stands for the bytes of é and 中; then two merges.
    let mut tokens: Vec<String> = ('a'..='z').chain('0'..='9').chain("Ġ.,?Ã©ä¸Ń".chars()).map(String::from).collect();
    tokens.extend(["th".to_owned(), "the".to_owned()]);
    let spare = tokens.len()..63;
    tokens.extend(spare.map(|id| format!("<{id}>")));
    let vocabulary: serde_json::Map<String, Value> =
        tokens.into_iter().enumerate().map(|(id, token)| (token, json!(id))).collect();
    let end = json!({"id": 63, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true});
    let bytes =
        |first: bool| json!({"type": "ByteLevel", "add_prefix_space": first, "trim_offsets": true, "use_regex": true});
    let tokenizer = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [end],
        "normalizer": null, "pre_tokenizer": bytes(false), "post_processor": null, "decoder": bytes(true),
        "model": {"type": "BPE", "vocab": vocabulary, "merges": ["t h", "th e"]}});
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    std::fs::write(folder.join("tokenizer_config.json"), json!({"eos_token": "</s>"}).to_string()).unwrap();
    std::fs::write(folder.join("chat_template.jinja"), "{% for m in messages %}{{ m.content }}{% endfor %}").unwrap();
    folder
}

/// The adapter that lies beside a tiny model: all projections, B not zero.
pub fn lora(name: &str, decoder: &Decoder) -> Lora {
    adapter::load(&oracle().join(name).join("adapter"), decoder.config()).unwrap().lora
}

/// `count` rows of 2 to `longest` tokens; about half of each, in stretches, is supervised, and always the last token.
pub fn rows(count: usize, longest: usize, seed: u64) -> Vec<Rendered> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut row = || {
        let len = rng.random_range(2..=longest);
        let ids = (0..len).map(|_| rng.random_range(0..64)).collect();
        let mask = (0..len).map(|i| i + 1 == len || (i / 3) % 2 == 1).collect();
        Rendered { ids, mask, text: String::new() }
    };
    (0..count).map(|_| row()).collect()
}

/// The rows whose losses and gradients the oracle's files hold.
pub fn oracle_rows() -> Vec<Rendered> {
    let rows: serde_json::Value = serde_json::from_slice(&std::fs::read(oracle().join("rows.json")).unwrap()).unwrap();
    let row = |row: &serde_json::Value| {
        let ids: Vec<u32> = row["ids"].as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u32).collect();
        let first = row["first_supervised"].as_u64().unwrap() as usize;
        Rendered { mask: (0..ids.len()).map(|i| i >= first).collect(), ids, text: String::new() }
    };
    rows.as_array().unwrap().iter().map(row).collect()
}

/// The numbers of a tensor of an oracle's file.
pub fn floats(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let view = tensors.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// ‖a − b‖ / ‖b‖.
pub fn relative_error(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |x: f64| x * x;
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let norm: f64 = b.iter().map(|b| square(f64::from(*b))).sum();
    assert!(norm > 0.0, "the expected values are all zero: nothing would be tested");
    (difference / norm).sqrt()
}

/// All factors, one after another.
pub fn factors(lora: &Lora) -> Vec<f32> {
    lora.tensors().iter().flat_map(|(_, _, data)| data.iter().copied()).collect()
}

/// Puts rows where the first epoch's order will take them in the order in which they are given (without packing
/// the order does not look at the rows).
pub fn in_training_order(rows: &[Rendered], config: &TrainConfig) -> Vec<Rendered> {
    let lengths: Vec<usize> = rows.iter().map(|r| r.ids.len()).collect();
    let order = epoch_plan(&lengths, config.shape, config.seed, 0).concat();
    let mut placed = rows.to_vec();
    for (row, place) in rows.iter().zip(order) {
        placed[place] = row.clone();
    }
    placed
}

/// Keeps the loss of every step.
#[derive(Default)]
struct Losses(Mutex<Vec<f64>>);

impl EventSink for Losses {
    fn emit(&self, event: &JobEvent) {
        if let JobEvent::Step(step) = event {
            self.0.lock().unwrap().push(step.loss);
        }
    }
}

/// Trains from `start`, as a run does that resumes from a checkpoint of step 0. Gives the last factors and the loss of
/// every step. Rows are taken in the order given.
pub fn train_from(decoder: &Decoder, start: &Lora, rows: &[Rendered], config: &TrainConfig) -> (Lora, Vec<f64>) {
    assert_eq!(start.config, config.lora);
    let sizes: Vec<usize> = start.tensors().iter().map(|(_, _, data)| data.len()).collect();
    let optimizer = AdamW::new(sizes.into_iter(), config.weight_decay);
    let state = Checkpoint { progress: Progress::default(), lora: start.clone(), best: start.clone(), optimizer };
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = CheckpointFolder::new(folder.path(), config.keep);
    checkpoints.save(&state).unwrap();
    let stored = checkpoints.newest().unwrap().unwrap().stored;
    let data = TrainData { train: in_training_order(rows, config), val: Vec::new() };
    let (losses, cancel) = (Losses::default(), CancelToken::default());
    let trainer = Trainer {
        decoder,
        data: &data,
        config,
        checkpoints: None,
        sampler: None,
        sink: &losses,
        cancel: &cancel,
        card: None,
        peers: None,
    };
    let outcome = trainer.run(Some(stored)).unwrap();
    assert_eq!(outcome.ending, Ending::Finished);
    (outcome.lora, losses.0.into_inner().unwrap())
}
