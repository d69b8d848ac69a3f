//! Inference on the emulated card against the processor's: hidden states through their logits, for prompts, shared beginnings,
//! steps of several sequences, and adapters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::CardInference;
use crate::model::{
    Architecture, BaseStorage, CardWeights, Decoder, HostInference, Inference, KvBlock, Lora, LoraConfig, ModelConfig,
    Projection, RandomWeights, Stretch, WeightForm,
};
use crate::ops::Arithmetic;
use crate::ops::cuda::emulator::{Emulator, available};
use crate::ops::cuda::{Device, Number};
use half::bf16;
use std::path::Path;
use std::sync::Arc;

fn config(architecture: Architecture, head_dim: usize, heads: usize, kv_heads: usize) -> ModelConfig {
    ModelConfig {
        architecture,
        vocab_size: 101,
        hidden_size: 128,
        intermediate_size: 192,
        num_layers: 2,
        num_heads: heads,
        num_kv_heads: kv_heads,
        head_dim,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: None,
        max_positions: 128,
        tie_word_embeddings: architecture != Architecture::Llama,
        qkv_bias: architecture == Architecture::Qwen2,
        qk_norm: architecture == Architecture::Qwen3,
    }
}

fn ids(count: usize, salt: usize) -> Vec<u32> {
    (0..count).map(|i| ((i * 37 + salt * 11 + 5) % 101) as u32).collect()
}

/// Factors whose B is not zero.
fn factors(decoder: &Decoder, mut lora: LoraConfig) -> Lora {
    lora.alpha = 4.0 * lora.rank as f64;
    let mut lora = Lora::new(lora, decoder.config(), 1);
    for (salt, pair) in lora.blocks.iter_mut().flat_map(|b| b.iter_mut().flatten()).enumerate() {
        let value = |(i, b): (usize, &mut f32)| *b = (((i * 29 + salt * 7) % 64) as f32 / 32.0 - 1.0) * 0.1;
        pair.b.iter_mut().enumerate().for_each(value);
    }
    decoder.prepare(&mut lora);
    for pair in lora.blocks.iter_mut().flat_map(|b| b.iter_mut().flatten()) {
        // DoRA's lengths have moved from where they began.
        pair.magnitude.iter_mut().flatten().enumerate().for_each(|(i, m)| *m *= 1.0 + (i % 5) as f32 / 10.0);
    }
    lora
}

/// What a model says to a course of prompts and steps: the logits of each, and log-probabilities.
fn course(model: &dyn Inference) -> Vec<Vec<f32>> {
    let mut said = Vec::new();
    // A long prompt, whose cache two others go on from: one by many tokens, one by few.
    let beginning = ids(40, 1);
    let (hidden, mut caches) = model.forward(&[Stretch { ids: &beginning, past: Vec::new() }]).unwrap();
    said.push(model.logits(&hidden, &[0, 7, 39]).unwrap());
    let shared = caches.pop().unwrap();
    let (one, two) = (ids(17, 2), ids(3, 3));
    let stretches = [Stretch { ids: &one, past: vec![&shared] }, Stretch { ids: &two, past: vec![&shared] }];
    let (hidden, caches) = model.forward(&stretches).unwrap();
    let all: Vec<usize> = (0..20).collect();
    said.push(model.logits(&hidden, &all).unwrap());
    let wanted = [(0, 3), (0, 90), (4, 11), (16, 0), (19, 100)];
    said.push(model.logprobs(&hidden, &wanted).unwrap().iter().map(|p| *p as f32).collect());
    // Both and a third, short one, write side by side: the same step several times, and then one of them alone.
    let mut own: Vec<KvBlock> = caches;
    let (_, third) = model.forward(&[Stretch { ids: &ids(2, 4), past: Vec::new() }]).unwrap();
    own.extend(third);
    for step in 0..3 {
        let next: Vec<Vec<u32>> = (0..3).map(|s| ids(1, 10 * step + s)).collect();
        let stretches: Vec<Stretch<'_>> = (0..3)
            .map(|s| Stretch { ids: &next[s], past: if s < 2 { vec![&shared, &own[s]] } else { vec![&own[s]] } })
            .collect();
        let (hidden, caches) = model.forward(&stretches).unwrap();
        drop(stretches);
        said.push(model.logits(&hidden, &[0, 1, 2]).unwrap());
        own.iter_mut().zip(&caches).for_each(|(own, next)| own.append(next));
    }
    // What is forgotten makes room for others, and what is left is as it was.
    own[1].truncate(4);
    drop(own.remove(0));
    for step in 0..3 {
        let next = ids(1, 77 + step);
        let (hidden, caches) = model.forward(&[Stretch { ids: &next, past: vec![&shared, &own[0]] }]).unwrap();
        said.push(model.logits(&hidden, &[0]).unwrap());
        own[0].append(&caches[0]);
    }
    assert_eq!(own[0].len(), 7);
    said
}

fn distance(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let length = |x: &mut dyn Iterator<Item = f32>| x.map(|x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    length(&mut found.iter().zip(expected).map(|(a, b)| a - b)) / length(&mut expected.iter().copied())
}

struct Case {
    config: ModelConfig,
    form: WeightForm,
    lora: Option<LoraConfig>,
}

impl Case {
    fn decoder(&self) -> Arc<Decoder> {
        let source = RandomWeights::new(&self.config, Path::new("random"), 3);
        Arc::new(Decoder::load(&self.config, &source, self.form).unwrap())
    }

    fn check<T: Number>(&self, tolerance: f64) {
        if !available() {
            return;
        }
        let decoder = self.decoder();
        let lora = self.lora.clone().map(|lora| decoder.settle(Arc::new(factors(&decoder, lora))));
        let expected = course(&HostInference::new(Arc::clone(&decoder), lora.clone()));
        let device: Arc<dyn Device> = Emulator::device(false);
        let card = Arc::new(CardInference::<T>::new(&device, &decoder, true).unwrap());
        let adapted = Arc::clone(&card).with(lora.as_deref()).unwrap();
        let mut worst = 0.0f64;
        for (i, (found, expected)) in course(&*adapted).iter().zip(&expected).enumerate() {
            let error = distance(found, expected);
            // Written so that a NaN fails.
            assert!(error <= tolerance, "answer {i}: {error}");
            worst = worst.max(error);
        }
        eprintln!("worst {worst:.1e}");
        // Without an adapter the same weights are the model's own.
        if lora.is_some() {
            let plain = course(&HostInference::new(decoder, None));
            let found = course(&*card.with(None).unwrap());
            assert!(distance(&found[0], &plain[0]) <= tolerance && distance(&found[0], &expected[0]) > tolerance);
        }
    }
}

fn all_projections() -> Option<LoraConfig> {
    Some(LoraConfig { rank: 6, targets: Projection::ALL.to_vec(), ..LoraConfig::default() })
}

/// f32 against f32: only sums are taken in another order.
const EXACT: f64 = 1e-5;

/// bf16 weights are read without rounding; what is rounded is the cache, and the operands of many rows.
const HALF: f64 = 0.02;

#[test]
fn logits_are_the_processors() {
    for (architecture, head_dim, heads, kv_heads) in [
        (Architecture::Llama, 64, 2, 1),
        (Architecture::Qwen2, 64, 2, 2),
        (Architecture::Qwen3, 128, 3, 1),
        // No kernel of its own.
        (Architecture::Llama, 32, 4, 2),
    ] {
        let config = config(architecture, head_dim, heads, kv_heads);
        let case = Case { config, form: WeightForm::F32, lora: None };
        case.check::<f32>(EXACT);
        case.check::<bf16>(HALF);
    }
}

#[test]
fn adapters_of_all_kinds_share_the_weights() {
    let config = config(Architecture::Qwen2, 64, 2, 1);
    let mut few =
        LoraConfig { rank: 3, targets: vec![Projection::Q, Projection::V, Projection::Down], ..LoraConfig::default() };
    few.rank_pattern.insert("layers.1.self_attn.v_proj".to_owned(), 12);
    let dora = all_projections().map(|lora| LoraConfig { dora: true, ..lora });
    for lora in [all_projections(), Some(few), dora] {
        let rounded = lora.as_ref().is_some_and(|lora| lora.targets.len() == 7);
        let case = Case { config: config.clone(), form: WeightForm::F32, lora };
        case.check::<f32>(EXACT);
        if rounded {
            case.check::<bf16>(HALF);
        }
    }
}

#[test]
fn quantised_weights_stay_in_blocks() {
    for storage in [BaseStorage::Int4, BaseStorage::Int8] {
        let form = WeightForm { arithmetic: Arithmetic::F32, storage };
        let case = Case { config: config(Architecture::Llama, 64, 2, 1), form, lora: all_projections() };
        case.check::<bf16>(HALF);
    }
}

#[test]
fn a_card_that_records_nothing_starts_each_step() {
    if !available() {
        return;
    }
    let case = Case { config: config(Architecture::Llama, 64, 2, 1), form: WeightForm::F32, lora: None };
    let decoder = case.decoder();
    let run = |device: Arc<dyn Device>| {
        course(&*Arc::new(CardInference::<bf16>::new(&device, &decoder, true).unwrap()).with(None).unwrap())
    };
    // What is repeated is what would be started, bit for bit.
    assert!(run(Emulator::device(false)) == run(Emulator::without_recording()));
}

#[test]
fn long_stretches_are_cut_into_lots() {
    assert_eq!(super::forward::lots(&[3, 5, 1], 4), [vec![(0, 0..3), (1, 0..1)], vec![(1, 1..5)], vec![(2, 0..1)]]);
    assert_eq!(super::forward::lots(&[9], 4), [vec![(0, 0..4)], vec![(0, 4..8)], vec![(0, 8..9)]]);
}
