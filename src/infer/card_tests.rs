//! The engine over a card (its emulator): what is answered and scored is what the processor answers and scores.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{End, Engine, LanguageModel, Order, Sampling, Scheduler, ScoreRequest, Told, Watch};
use crate::job::CancelToken;
use crate::model::{
    Architecture, CardInference, CardWeights, Decoder, Lora, LoraConfig, ModelConfig, RandomWeights, WeightForm,
};
use crate::ops::cuda::Device;
use crate::ops::cuda::emulator::{Emulator, available};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn decoder() -> Arc<Decoder> {
    let config = ModelConfig {
        architecture: Architecture::Qwen2,
        vocab_size: 61,
        hidden_size: 64,
        intermediate_size: 96,
        num_layers: 2,
        num_heads: 4,
        num_kv_heads: 4,
        head_dim: 16,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: None,
        max_positions: 96,
        tie_word_embeddings: true,
        qkv_bias: true,
        qk_norm: false,
    };
    let source = RandomWeights::new(&config, Path::new("random"), 5);
    Arc::new(Decoder::load(&config, &source, WeightForm::F32).unwrap())
}

/// The same model on the processor and on the card, plain and adapted.
fn engines() -> Option<[[Engine; 2]; 2]> {
    if !available() {
        return None;
    }
    let decoder = decoder();
    let mut lora = Lora::new(LoraConfig { rank: 4, alpha: 32.0, ..LoraConfig::default() }, decoder.config(), 1);
    for pair in lora.blocks.iter_mut().flat_map(|b| b.iter_mut().flatten()) {
        pair.b.iter_mut().enumerate().for_each(|(i, b)| *b = (i % 7) as f32 / 7.0 - 0.5);
    }
    let lora = Arc::new(lora);
    let device: Arc<dyn Device> = Emulator::device(false);
    let card = Arc::new(CardInference::<f32>::new(&device, &decoder, true).unwrap());
    let both = |lora: Option<&Arc<Lora>>| {
        // Some tokens end an answer, so that answers end at different times and make room for others.
        let end = vec![3, 17, 40];
        let host = Engine::new(Arc::clone(&decoder), lora.cloned(), end.clone());
        let on_card = Arc::clone(&card).with(lora.map(|lora| &**lora)).unwrap();
        [host, Engine::over(on_card, end)]
    };
    Some([both(None), both(Some(&lora))])
}

fn ids(count: usize, salt: usize) -> Vec<u32> {
    (0..count).map(|i| ((i * i * 7 + i * 13 + salt * 29) % 61) as u32).collect()
}

#[test]
fn answers_and_scores_are_the_processors() {
    let Some(engines) = engines() else { return };
    // Twenty prompts: more than go side by side; most share a beginning.
    let prompts: Vec<Vec<u32>> =
        (0..20).map(|i| if i < 14 { [ids(24, 1), ids(1 + i % 4, i)].concat() } else { ids(3 + i, i) }).collect();
    let requests: Vec<ScoreRequest> = prompts
        .iter()
        .take(6)
        .map(|p| ScoreRequest { context: p.clone(), continuations: vec![ids(1, 7), ids(3, 8), ids(1, 9)] })
        .collect();
    let never = CancelToken::default();
    for [host, card] in &engines {
        let sampled = Sampling { temperature: 0.8, top_k: 20, max_new_tokens: 4, seed: 3, ..Sampling::default() };
        let greedy = Sampling { max_new_tokens: 4, repetition_penalty: 1.2, ..Sampling::default() };
        for sampling in [greedy, sampled] {
            let written = |engine: &Engine| engine.generate(&prompts, &sampling, &mut |_, _| {}, &never).unwrap();
            assert_eq!(written(card), written(host));
        }
        let scored = |engine: &Engine| engine.loglikelihoods(&requests, &mut |_| {}, &never).unwrap().concat();
        for (found, expected) in scored(card).iter().zip(scored(host)) {
            assert!((found - expected).abs() < 1e-4, "{found}, not {expected}");
        }
    }
}

#[test]
fn a_conversation_goes_on_from_what_was_read_and_its_probabilities_are_the_processors() {
    let Some([[host, card], _]) = engines() else { return };
    let scheduler = Scheduler::start(2, usize::MAX).unwrap();
    let [host, card] = [host, card].map(Arc::new);
    let ask = |engine: &Arc<Engine>, prompt: Vec<u32>| {
        let sampling = Sampling { max_new_tokens: 3, ..Sampling::default() };
        let watch = Watch { written: Some(2), prompt: None };
        let answering = scheduler.submit(engine, Order { prompt, sampling, watch, asker: 1 }).unwrap();
        let (mut tokens, mut spared) = (Vec::new(), 0);
        loop {
            match answering.next(Duration::from_secs(120)).unwrap().unwrap() {
                Told::Read { reused, .. } => spared = reused,
                Told::Token(chosen) => tokens.push(chosen),
                Told::Ended(End::Stopped | End::Length) => return (tokens, spared),
                Told::Failed(error) => panic!("{error}"),
            }
        }
    };
    let first = ids(20, 4);
    let again = [first.clone(), ids(3, 5)].concat();
    for prompt in [first, again] {
        let ((found, spared), (expected, as_much)) = (ask(&card, prompt.clone()), ask(&host, prompt));
        assert_eq!(spared, as_much);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.id, expected.id);
            assert!((found.logprob - expected.logprob).abs() < 1e-4);
            assert_eq!(found.top.len(), 2);
        }
        assert_eq!(found.len(), expected.len());
    }
}
