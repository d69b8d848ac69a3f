//! A block on the emulated card against the CPU's: outputs, the gradient of the input, the gradients of all factors.

use super::*;
use crate::model::block::{Adapted, BlockTape, Rows as HostRows, Scratch};
use crate::model::{Architecture, Lora, LoraConfig, RandomWeights, WeightForm};
use crate::ops::RopeTable;
use crate::ops::cuda::emulator::{Emulator, available};

fn config() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Qwen2,
        vocab_size: 64,
        hidden_size: 128,
        intermediate_size: 192,
        num_layers: 1,
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

/// Numbers that look random in (−½, 1½)·size: where all terms of a sum cancel, roundings are all that is left to compare.
fn drawn(count: usize, salt: u64, size: f32) -> Vec<f32> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 0.5
    };
    (0..count).map(|_| size * next()).collect()
}

/// That the difference is `tolerance` of the expected numbers, both as lengths: roundings to bf16 lie between, and where
/// terms cancel a single number may be further off.
fn close(what: &str, found: &[f32], expected: &[f32], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let length = |x: &mut dyn Iterator<Item = f32>| x.map(|x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    let error = length(&mut found.iter().zip(expected).map(|(a, b)| a - b)) / length(&mut expected.iter().copied());
    eprintln!("{what}: {error:.4}");
    assert!(error <= tolerance, "{what}: {error}");
}

#[test]
fn a_block_and_its_gradients_are_those_of_the_cpu() {
    if !available() {
        return;
    }
    let config = config();
    let source = RandomWeights::new(&config, std::path::Path::new("random"), 3);
    let block = Block::load(&source, &config, 0, WeightForm::F32).unwrap();
    // A rank that is no multiple of eight, and one projection without factors.
    let targets = Projection::ALL.into_iter().filter(|p| *p != Projection::K).collect();
    let mut lora = Lora::new(LoraConfig { rank: 6, alpha: 12.0, targets, ..LoraConfig::default() }, &config, 1);
    for pair in lora.blocks[0].iter_mut().flatten() {
        pair.b = drawn(pair.b.len(), 5, 0.1);
    }
    let (n, hidden) = (37, config.hidden_size);
    let sequences = vec![0..21, 21..37];
    let positions: Vec<u32> = (0..21).chain(0..16).collect();
    let frequencies: Vec<f32> = (0..32).map(|i| 10_000f32.powf(-(i as f32) / 32.0)).collect();
    let table = RopeTable::new(&frequencies, 64);
    let half = |x: &[f32]| x.iter().map(|x| bf16::from_f32(*x)).collect::<Vec<bf16>>();
    let floats = |x: Vec<bf16>| x.iter().map(|x| x.to_f32()).collect::<Vec<f32>>();
    let (x, dy) = (floats(half(&drawn(n * hidden, 6, 0.1))), floats(half(&drawn(n * hidden, 7, 0.1))));

    let (mut y, mut dx) = (x.clone(), dy.clone());
    let (mut tape, mut scratch) = (BlockTape::default(), Scratch::default());
    let rows = HostRows { positions: &positions, sequences: &sequences, past: &[] };
    let adapted = Adapted { lora: &lora.blocks[0], dropout: None };
    let mut expected = lora.zero_gradients();
    block.forward(&mut y, &rows, &config, &table, Some(adapted), &mut tape, &mut scratch);
    let g = &mut expected.blocks[0];
    block.backward(&mut dx, &rows, &config, &table, adapted, g, &mut tape, &mut scratch, true);

    let device = Emulator::device(false);
    let angles: Vec<f32> = (0..64).flat_map(|p| frequencies.iter().map(move |f| p as f32 * f)).collect();
    let of = |f: fn(f32) -> f32| Buffer::of(&device, &angles.iter().map(|a| f(*a)).collect::<Vec<_>>()).unwrap();
    let rotary = Rotary::new(of(f32::cos), of(f32::sin), 32).unwrap();
    let on_card = DeviceBlock::new(&device, &block, &lora.blocks[0], &config).unwrap();
    let rows = DeviceRows {
        positions: Buffer::of(&device, &positions).unwrap(),
        segments: Segments::packed(&device, &sequences).unwrap(),
        n,
    };
    let t = on_card.tape(&device, n).unwrap();
    t.x.write(&half(&x)).unwrap();
    on_card.forward(&rows, &rotary, &t).unwrap();
    let stride = on_card.gradient_stride();
    let mut wide = vec![0.0; n * stride];
    for (to, from) in wide.chunks_exact_mut(stride).zip(dy.chunks_exact(hidden)) {
        to[..hidden].copy_from_slice(from);
    }
    let gradient = Buffer::of(&device, &half(&wide)).unwrap();
    on_card.backward(&rows, &rotary, &t, &gradient).unwrap();
    let mut found = lora.zero_gradients();
    on_card.add_gradients(&mut found.blocks[0]).unwrap();

    // The residual stream goes past the block: what the block adds to it is compared.
    let less = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f32>>();
    close("y − x", &less(&floats(t.y.read().unwrap()), &x), &less(&y, &x), 0.015);
    let inside: Vec<f32> =
        floats(gradient.read().unwrap()).chunks(stride).flat_map(|row| row[..hidden].to_vec()).collect();
    close("dx − dy", &less(&inside, &dy), &less(&dx, &dy), 0.015);
    for ((name, _, _), (found, expected)) in lora.tensors().iter().zip(found.parts().iter().zip(expected.parts())) {
        close(name, found, expected, 0.015);
    }
}
