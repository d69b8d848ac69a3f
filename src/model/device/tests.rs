//! A whole training step on the emulated card against the CPU's: losses and the gradients of all factors. In f32, where both
//! differ by the order of their sums only, and in bf16, whose roundings lie between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{CardTraining, DeviceDecoder, DeviceTraining};
use crate::model::{
    Architecture, BaseStorage, CardDemand, Decoder, Lora, LoraConfig, MemoryEstimate, MemoryPlan, ModelConfig,
    Projection, RandomWeights, SavedModule, Tape, TrainingRows, TrainingSizes, WeightForm,
};
use crate::ops::cuda::emulator::{Emulator, available};
use crate::ops::cuda::{Device, Number};
use crate::ops::{Arithmetic, DropoutMask, EmbeddingNoise};
use half::bf16;
use std::path::Path;
use std::sync::Arc;

/// Two blocks with grouped heads; a vocabulary that is a multiple of nothing.
fn config(architecture: Architecture, head_dim: usize) -> ModelConfig {
    ModelConfig {
        architecture,
        vocab_size: 101,
        hidden_size: 128,
        intermediate_size: 192,
        num_layers: 2,
        num_heads: 2,
        num_kv_heads: 1,
        head_dim,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: None,
        max_positions: 64,
        tie_word_embeddings: architecture != Architecture::Llama,
        qkv_bias: architecture == Architecture::Qwen2,
        qk_norm: architecture == Architecture::Qwen3,
    }
}

/// Numbers in ±size that look random.
fn drawn(count: usize, salt: u64, size: f32) -> Vec<f32> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| size * next()).collect()
}

/// Three sequences, the later part of each supervised.
fn batch(vocabulary: usize) -> TrainingRows {
    let mut batch = TrainingRows::default();
    for (s, len) in [21usize, 9, 16].into_iter().enumerate() {
        let start = batch.ids.len();
        batch.ids.extend((0..len).map(|i| ((i * 37 + s * 11 + 5) % vocabulary) as u32));
        batch.positions.extend(0..len as u32);
        batch.sequences.push(start..start + len);
        batch.targets.extend((len / 3..len).map(|i| (start + i, ((i * 53 + s) % vocabulary) as u32)));
    }
    batch
}

/// Factors whose B is not zero, so that every gradient is not zero either.
fn factors(config: LoraConfig, model: &ModelConfig) -> Lora {
    let mut lora = Lora::new(config, model, 1);
    for (salt, pair) in lora.blocks.iter_mut().flat_map(|b| b.iter_mut().flatten()).enumerate() {
        pair.b = drawn(pair.b.len(), salt as u64 + 5, 0.05);
    }
    lora
}

/// |found − expected| ÷ |expected|, as lengths.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    let length = |x: &mut dyn Iterator<Item = f32>| x.map(|x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    length(&mut found.iter().zip(expected).map(|(a, b)| a - b)) / length(&mut expected.iter().copied())
}

/// What is compared.
struct Case {
    config: ModelConfig,
    lora: LoraConfig,
    dropout: f32,
    noise: f32,
    form: WeightForm,
    plan: MemoryPlan,
}

impl Case {
    fn new(architecture: Architecture, head_dim: usize) -> Case {
        Case {
            config: config(architecture, head_dim),
            lora: LoraConfig { rank: 6, alpha: 12.0, targets: Projection::ALL.to_vec(), ..LoraConfig::default() },
            dropout: 0.0,
            noise: 0.0,
            form: WeightForm::F32,
            plan: MemoryPlan { tokens_at_once: usize::MAX, checkpointing: false },
        }
    }

    fn check<T: Number>(&self, loss_tolerance: f64, tolerance: f64) {
        if !available() {
            return;
        }
        let source = RandomWeights::new(&self.config, Path::new("random"), 3);
        let decoder = Decoder::load(&self.config, &source, self.form).unwrap();
        let mut lora = factors(self.lora.clone(), &self.config);
        decoder.prepare(&mut lora);
        for pair in lora.blocks.iter_mut().flat_map(|b| b.iter_mut().flatten()) {
            // DoRA's lengths have moved from where they began.
            pair.magnitude.iter_mut().flatten().enumerate().for_each(|(i, m)| *m *= 1.0 + (i % 5) as f32 / 10.0);
        }
        let mut batch = batch(self.config.vocab_size);
        let mask = DropoutMask { seed: 11, p: self.dropout, first_row: 0 };
        batch.noise = (self.noise > 0.0).then_some(EmbeddingNoise { seed: 7, alpha: self.noise });
        let scale = 0.1;
        let mut expected = lora.zero_gradients();
        let mut tape = Tape::new(MemoryPlan::default());
        let loss = decoder.loss(&batch, Some(&lora), Some(mask), Some((&mut expected, scale)), &mut tape).unwrap();
        let untrained = decoder.loss(&batch, Some(&lora), None, None, &mut tape).unwrap();

        let device = Emulator::device(false);
        let on_card = DeviceDecoder::<T>::new(&device, &decoder, &lora, true).unwrap();
        let mut card = DeviceTraining::new(on_card).unwrap();
        card.set_plan(self.plan);
        card.set_logit_rows(16);
        card.clear().unwrap();
        // A batch without gradients first: what it leaves behind must not matter.
        let before = card.loss(&batch).unwrap();
        card.add(&batch, Some(mask), scale).unwrap();
        let found_loss = card.total().unwrap();
        let mut found = lora.zero_gradients();
        card.read_gradients(&mut found).unwrap();
        for (found, expected) in [(found_loss, loss), (before, untrained)] {
            let error = (found / expected - 1.0).abs();
            assert!(error <= loss_tolerance, "loss {found}, not {expected}: {error}");
        }
        let mut worst = 0.0f64;
        for ((name, _, _), (found, expected)) in lora.tensors().iter().zip(found.parts().iter().zip(expected.parts())) {
            let error = distance(found, expected);
            // Written so that a NaN fails.
            assert!(error <= tolerance, "{name}: {error}");
            worst = worst.max(error);
        }
        eprintln!("loss {:.1e}, gradients {worst:.1e}", (found_loss / loss - 1.0).abs());
    }
}

/// f32 against f32: only sums are taken in another order.
const EXACT: (f64, f64) = (1e-6, 2e-5);

/// bf16 has 8 bits: a gradient goes through some dozen roundings.
const HALF: (f64, f64) = (1e-3, 0.02);

#[test]
fn biases_a_tied_output_layer_and_all_projections() {
    let case = Case::new(Architecture::Qwen2, 64);
    case.check::<f32>(EXACT.0, EXACT.1);
    case.check::<bf16>(HALF.0, HALF.1);
}

#[test]
fn head_norms_dropout_and_noise() {
    let case = Case { dropout: 0.25, noise: 5.0, ..Case::new(Architecture::Qwen3, 64) };
    case.check::<f32>(EXACT.0, EXACT.1);
    case.check::<bf16>(HALF.0, HALF.1);
}

#[test]
fn slices_checkpointing_few_projections_and_ranks_of_their_own() {
    let mut case = Case::new(Architecture::Llama, 64);
    // Nothing in the lowest block, one projection with another rank.
    case.lora.targets = vec![Projection::Q, Projection::V];
    case.lora.rank_pattern.insert("layers.1.self_attn.v_proj".to_owned(), 12);
    case.dropout = 0.1;
    case.plan = MemoryPlan { tokens_at_once: 20, checkpointing: true };
    case.check::<f32>(EXACT.0, EXACT.1);
    case.check::<bf16>(HALF.0, HALF.1);
}

#[test]
fn heads_of_other_sizes_go_without_tiles() {
    let mut case = Case::new(Architecture::Llama, 32);
    case.config.num_heads = 4;
    case.config.num_kv_heads = 2;
    case.check::<f32>(EXACT.0, EXACT.1);
    case.check::<bf16>(HALF.0, HALF.1);
}

#[test]
fn quantised_weights_are_read_block_by_block() {
    for (storage, dropout) in [(BaseStorage::Int4, 0.0), (BaseStorage::Int8, 0.1)] {
        let form = WeightForm { arithmetic: Arithmetic::F32, storage };
        let case = Case { form, dropout, ..Case::new(Architecture::Qwen2, 64) };
        case.check::<bf16>(HALF.0, HALF.1);
    }
}

#[test]
fn rows_of_trained_length_are_scaled_on_both_ways() {
    let mut case = Case::new(Architecture::Qwen3, 64);
    case.lora.dora = true;
    case.check::<f32>(EXACT.0, EXACT.1);
    case.check::<bf16>(HALF.0, HALF.1);
    // Some projections only, another rank, dropout, blocks that run again, and weights in blocks.
    case.lora.targets = vec![Projection::Q, Projection::V, Projection::Up, Projection::Down];
    case.lora.rank_pattern.insert("layers.1.self_attn.v_proj".to_owned(), 12);
    case.dropout = 0.1;
    case.plan = MemoryPlan { tokens_at_once: 20, checkpointing: true };
    case.check::<f32>(EXACT.0, EXACT.1);
    case.form = WeightForm { arithmetic: Arithmetic::F32, storage: BaseStorage::Int4 };
    case.check::<bf16>(HALF.0, HALF.1);
}

#[test]
fn the_memory_that_is_planned_is_the_memory_that_is_taken() {
    if !available() {
        return;
    }
    for (checkpointing, storage, architecture, dropout, dora) in [
        (false, BaseStorage::Full, Architecture::Qwen2, 0.0, false),
        (true, BaseStorage::Full, Architecture::Llama, 0.1, true),
        (false, BaseStorage::Int4, Architecture::Qwen3, 0.1, false),
    ] {
        let config = ModelConfig { vocab_size: 640, num_layers: 4, ..config(architecture, 64) };
        let form = WeightForm { arithmetic: Arithmetic::F32, storage };
        let decoder = Decoder::load(&config, &RandomWeights::new(&config, Path::new("random"), 3), form).unwrap();
        let settings = LoraConfig { rank: 12, targets: Projection::ALL.to_vec(), dora, ..LoraConfig::default() };
        let mut lora = Lora::new(settings.clone(), &config, 1);
        decoder.prepare(&mut lora);
        let batch = batch(config.vocab_size);
        let counting = Arc::new(Emulator::counting(false));
        let device: Arc<dyn Device> = counting.clone();
        let mut card =
            DeviceTraining::new(DeviceDecoder::<bf16>::new(&device, &decoder, &lora, true).unwrap()).unwrap();
        let plan = MemoryPlan { tokens_at_once: usize::MAX, checkpointing };
        card.set_plan(plan);
        card.clear().unwrap();
        card.add(&batch, Some(DropoutMask { seed: 1, p: dropout, first_row: 0 }), 0.1).unwrap();
        card.total().unwrap();
        let demand = CardDemand {
            storage: decoder.storage_on_card(),
            exact: false,
            dropout: dropout > 0.0,
            batch: batch.ids.len(),
            longest: 21,
        };
        assert_eq!(demand.storage, storage);
        let sizes = TrainingSizes::planned(&config, &settings, form, 2.0);
        let planned = MemoryEstimate::on_card(&sizes, demand, plan);
        // What is not of the buffers: the driver's part. Lists of rows, tiles and stretches are not planned.
        let planned = (planned.total() - (600 << 20)) as f64;
        let taken = counting.most_held() as f64;
        assert!((planned / taken - 1.0).abs() < 0.01, "planned {planned}, taken {taken}");
    }
}

#[test]
fn what_a_card_does_not_train_is_said() {
    let model = config(Architecture::Llama, 64);
    let no = |model: &ModelConfig, lora: LoraConfig| super::check_card(model, &lora).unwrap_err();
    assert!(super::check_card(&model, &LoraConfig::default()).is_ok());
    let saved = LoraConfig { modules_to_save: vec![SavedModule::Head], ..LoraConfig::default() };
    assert!(no(&model, saved).message.contains("--modules-to-save"));
    assert!(no(&ModelConfig { head_dim: 40, ..model.clone() }, LoraConfig::default()).message.contains("40"));
    assert!(no(&ModelConfig { hidden_size: 130, ..model }, LoraConfig::default()).message.contains("130"));
}
