//! Eight rows learnt by heart come back word for word, and generation then stops by itself: EOS is supervised.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use linly_bench::batch::Shape;
use linly_bench::data::Example;
use linly_bench::infer::{Engine, LanguageModel, Sampling};
use linly_bench::job::{CancelToken, Silent};
use linly_bench::model::{Decoder, LoraConfig, Projection, Tokenizer, WeightForm, open};
use linly_bench::prompt::{Renderer, Template};
use linly_bench::train::{Length, Schedule, TrainConfig, TrainData, Trainer};
use std::sync::Arc;

const ROWS: [(&str, &str); 8] = [
    ("What is a share?", "A part of a company."),
    ("What is a bond?", "A loan to its issuer."),
    ("What is a dividend?", "Profit paid to owners."),
    ("What is a premium?", "The price of cover."),
    ("什么是本金？", "最初投入的钱。"),
    ("什么是利息？", "使用资金的价格。"),
    ("What is a ledger?", "The book of accounts."),
    ("What is a coupon?", "A bond's fixed interest."),
];

#[test]
fn eight_rows_are_overfitted_and_generation_stops_at_eos() {
    let Some(path) = common::test_gguf() else { return };
    let files = open(&path).unwrap();
    let decoder = Arc::new(Decoder::load(&files.config, &*files.weights, WeightForm::F32).unwrap());
    let tokenizer = Tokenizer::open(&path).unwrap();
    let renderer = Renderer::new(Template::Linly, &tokenizer).unwrap();
    let examples = ROWS.map(|(instruction, output)| Example {
        instruction: instruction.to_owned(),
        output: output.to_owned(),
        ..Example::default()
    });
    let train = examples.iter().map(|e| renderer.example(e).unwrap()).collect();
    let config = TrainConfig {
        lora: LoraConfig {
            rank: 16,
            alpha: 32.0,
            dropout: 0.0,
            targets: Projection::ALL.to_vec(),
            ..LoraConfig::default()
        },
        lr: 2e-3,
        schedule: Schedule::Cosine,
        warmup: 0.1,
        length: Length::Steps(40),
        shape: Shape { batch_size: 8, max_len: 64, packing: false, bucket: false, in_order: false },
        accum: 1,
        weight_decay: 0.0,
        clip: 1.0,
        eval_every: 0,
        save_every: 0,
        seed: 1,
        ..TrainConfig::default()
    };
    let data = TrainData { train, val: Vec::new() };
    let cancel = CancelToken::default();
    let trainer = Trainer {
        decoder: &decoder,
        data: &data,
        config: &config,
        checkpoints: None,
        sampler: None,
        sink: &Silent,
        cancel: &cancel,
        card: None,
        peers: None,
    };
    let outcome = trainer.run(None).unwrap();
    assert!(outcome.progress.last_loss < 0.05, "the rows were not learnt: loss {}", outcome.progress.last_loss);

    let prompts: Vec<Vec<u32>> = examples.iter().map(|e| renderer.example_prompt(e).unwrap().1).collect();
    let answers = |lora| {
        let engine = Engine::new(Arc::clone(&decoder), lora, renderer.stop_ids().unwrap());
        let sampling = Sampling { max_new_tokens: 40, ..Sampling::default() };
        engine.generate(&prompts, &sampling, &mut |_, _| {}, &cancel).unwrap()
    };
    for (answer, (question, expected)) in answers(Some(Arc::new(outcome.lora))).iter().zip(ROWS) {
        assert_eq!(tokenizer.decode(&answer.tokens).unwrap(), expected, "{question}");
        assert!(answer.stopped, "{question}: went on to the limit");
    }
    // The base model does not know these answers: it was the training that taught them.
    let base = answers(None);
    assert!(base.iter().zip(ROWS).all(|(a, (_, expected))| tokenizer.decode(&a.tokens).unwrap() != expected));
}
