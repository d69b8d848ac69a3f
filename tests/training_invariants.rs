//! What must not change what a training computes: how much of a batch is in memory at a time, checkpointing, packing,
//! the split of a step into micro-batches, merging, and how frozen weights are held.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tiny;

use candle_core::quantized::GgmlType;
use candle_core::quantized::k_quants::{BlockQ4_1, BlockQ8_0};
use linly_bench::batch::{Shape, collate, epoch_plan, supervised_tokens};
use linly_bench::model::{
    BaseStorage, Decoder, Lora, MemoryPlan, ModelConfig, Projection, SavedModule, Stretch, Tape, Tensor, WeightForm,
    WeightSource, Workspace,
};
use linly_bench::ops::{Arithmetic, DropoutMask, EmbeddingNoise, StoredRows};
use linly_bench::prompt::Rendered;
use linly_bench::train::{Length, Schedule, TrainConfig};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use tiny::{MODELS, decoder, factors, files, lora, relative_error, rows, train_from};

/// Sums in another order: what f32 leaves open.
const SAME: f64 = 1e-5;

fn bf16() -> Option<WeightForm> {
    let there = Arithmetic::Bf16.available();
    if !there {
        eprintln!("skipped: bf16 (this processor has no AVX-512 BF16)");
    }
    there.then_some(WeightForm { arithmetic: Arithmetic::Bf16, storage: BaseStorage::Full })
}

/// What of a training step is drawn: dropout and noise on the embeddings, from one seed.
#[derive(Clone, Copy)]
struct Chance {
    seed: u64,
    dropout: f32,
    noise: f32,
}

/// Loss sum and all gradients of micro-batches, each one batch of rows.
fn pass(
    decoder: &Decoder,
    lora: &Lora,
    batches: &[Vec<&Rendered>],
    plan: MemoryPlan,
    chance: Option<Chance>,
) -> (f64, Vec<f32>) {
    let supervised: usize = batches.iter().flatten().map(|row| supervised_tokens(row)).sum();
    let mut gradients = lora.zero_gradients();
    let mut tape = Tape::new(plan);
    let mut sum = 0.0;
    for rows in batches {
        let mut batch = collate(rows.iter().copied());
        batch.noise = chance.map(|c| EmbeddingNoise { seed: c.seed, alpha: c.noise });
        let dropout = chance.map(|c| DropoutMask { seed: c.seed, p: c.dropout, first_row: 0 });
        let wanted = Some((&mut gradients, 1.0 / supervised as f32));
        sum += decoder.loss(&batch, Some(lora), dropout, wanted, &mut tape).unwrap();
    }
    (sum, gradients.parts().concat())
}

fn at_once(tokens_at_once: usize, checkpointing: bool) -> MemoryPlan {
    MemoryPlan { tokens_at_once, checkpointing }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn memory_plans_change_nothing_and_slices_drop_what_the_batch_would() {
    let rows = rows(9, 40, 1);
    let batch = vec![rows.iter().collect::<Vec<_>>()];
    for form in [Some(WeightForm::F32), bf16()].into_iter().flatten() {
        for name in MODELS {
            let decoder = decoder(name, form);
            let plain = lora(name, &decoder);
            // All that can be trained: factors, magnitudes, embedding and output layer.
            let mut all = plain.clone();
            all.config.dora = true;
            all.config.modules_to_save = SavedModule::ALL.to_vec();
            decoder.prepare(&mut all);
            assert!(all.parameter_count() > plain.parameter_count() + 2 * 64 * 32);
            let drawn = Chance { seed: 4, dropout: 0.3, noise: 5.0 };
            let mut losses = Vec::new();
            for (lora, chance) in [(&plain, None), (&plain, Some(drawn)), (&all, Some(drawn))] {
                let (loss, gradients) = pass(&decoder, lora, &batch, at_once(usize::MAX, false), chance);
                for tokens in [1, 16, 50, 100, usize::MAX] {
                    let what = format!("{name}, {}, {tokens} tokens at once", form.arithmetic.name());
                    let plain = pass(&decoder, lora, &batch, at_once(tokens, false), chance);
                    let checkpointed = pass(&decoder, lora, &batch, at_once(tokens, true), chance);
                    assert_eq!(plain.0.to_bits(), checkpointed.0.to_bits(), "{what}");
                    assert!(bits(&plain.1) == bits(&checkpointed.1), "{what}: checkpointing changed a gradient");
                    assert!((plain.0 - loss).abs() <= SAME * loss, "{what}: loss {} and {loss}", plain.0);
                    let error = relative_error(&plain.1, &gradients);
                    assert!(error <= SAME, "{what}: gradients differ by {error}");
                }
                losses.push(loss);
            }
            assert!((losses[0] - losses[1]).abs() > 1e-3 * losses[0], "dropout dropped nothing");
        }
    }
}

#[test]
fn packed_rows_are_the_rows_one_at_a_time() {
    let rows = rows(24, 30, 2);
    let lengths: Vec<usize> = rows.iter().map(|r| r.ids.len()).collect();
    let shape = Shape { batch_size: 2, max_len: 60, packing: true, ..TrainConfig::default().shape };
    let pick = |plan: Vec<Vec<usize>>| plan.into_iter().map(|m| m.iter().map(|i| &rows[*i]).collect()).collect();
    let packed: Vec<Vec<&Rendered>> = pick(epoch_plan(&lengths, shape, 7, 0));
    let unpacked: Vec<Vec<&Rendered>> = pick(epoch_plan(&lengths, Shape { packing: false, ..shape }, 7, 0));
    let single: Vec<Vec<&Rendered>> = rows.iter().map(|row| vec![row]).collect();
    assert!(packed.len() < unpacked.len() && unpacked.len() < single.len());
    for name in MODELS {
        let decoder = decoder(name, WeightForm::F32);
        let lora = lora(name, &decoder);
        let of = |batches: &[Vec<&Rendered>]| pass(&decoder, &lora, batches, MemoryPlan::default(), None);
        let (loss, gradients) = of(&single);
        for batches in [&packed, &unpacked] {
            let (other, others) = of(batches);
            assert!((other - loss).abs() <= SAME * loss, "{name}: {other} and {loss}");
            let error = relative_error(&others, &gradients);
            assert!(error <= SAME, "{name}: {error}");
        }
    }
}

#[test]
fn a_step_may_be_split_into_micro_batches_at_will() {
    let rows = rows(40, 25, 3);
    for name in MODELS {
        let decoder = decoder(name, WeightForm::F32);
        let start = lora(name, &decoder);
        let train = |batch_size: usize, accum: usize| {
            let config = TrainConfig {
                lora: start.config.clone(),
                lr: 1e-3,
                schedule: Schedule::Cosine,
                warmup: 0.0,
                length: Length::Steps(5),
                shape: Shape { batch_size, max_len: 64, packing: false, ..TrainConfig::default().shape },
                accum,
                weight_decay: 0.01,
                save_every: 0,
                ..TrainConfig::default()
            };
            train_from(&decoder, &start, &rows, &config)
        };
        let (whole, losses) = train(8, 1);
        assert!(relative_error(&factors(&whole), &factors(&start)) > 1e-2, "{name}: nothing was learnt");
        for (batch_size, accum) in [(1, 8), (4, 2)] {
            let (split, others) = train(batch_size, accum);
            let error = relative_error(&factors(&split), &factors(&whole));
            assert!(error <= SAME, "{name}, {batch_size} × {accum}: factors differ by {error}");
            assert!(losses.iter().zip(&others).all(|(a, b)| (a - b).abs() <= SAME * a), "{losses:?} {others:?}");
        }
    }
}

/// What becomes of a weight of that name.
type Rewrite<'a> = Box<dyn Fn(&str, Tensor) -> Tensor + Send + Sync + 'a>;

/// Weights that are changed on their way from the file.
struct Rewritten<'a> {
    source: &'a (dyn WeightSource + Send + Sync),
    rewrite: Rewrite<'a>,
}

impl WeightSource for Rewritten<'_> {
    fn names(&self) -> Vec<String> {
        self.source.names()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.try_tensor(name).unwrap().map(|tensor| tensor.shape)
    }

    fn storage(&self) -> BTreeMap<String, u64> {
        self.source.storage()
    }

    fn try_tensor(&self, name: &str) -> linly_bench::error::Result<Option<Tensor>> {
        Ok(self.source.try_tensor(name)?.map(|tensor| (self.rewrite)(name, tensor)))
    }

    fn stored_rows(&self, name: &str) -> linly_bench::error::Result<Box<dyn StoredRows>> {
        Ok(Box::new(Rows(self.tensor(name)?)))
    }

    fn place(&self) -> &Path {
        self.source.place()
    }
}

/// A matrix as a file might hold it.
struct Rows(Tensor);

impl StoredRows for Rows {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let inputs = self.0.shape[1];
        out.copy_from_slice(&self.0.data[rows.start * inputs..rows.end * inputs]);
    }

    fn bytes(&self) -> usize {
        4 * self.0.data.len()
    }
}

/// Logits of every token of `ids`.
fn logits(decoder: &Decoder, lora: Option<&Lora>, ids: &[u32]) -> Vec<f32> {
    let stretch = [Stretch { ids, past: Vec::new() }];
    let (hidden, _) = decoder.forward(&stretch, lora, &mut Workspace::default()).unwrap();
    decoder.logits(&hidden, ids.len(), lora)
}

/// More tokens than the product for a few rows takes, which only weights that lie as f32 have.
fn long_row() -> Vec<u32> {
    (0..40).map(|i| (i * i + 5 * i + 3) % 64).collect()
}

#[test]
fn factors_merged_into_the_weights_are_the_factors_beside_them() {
    for name in MODELS {
        let files = files(name);
        let decoder = decoder(name, WeightForm::F32);
        let lora = lora(name, &decoder);
        let rewrite = |name: &str, mut tensor: Tensor| {
            let place = |i: usize, p: &Projection| name == format!("model.layers.{i}.{}.weight", p.path());
            let pair = lora.blocks.iter().enumerate().find_map(|(i, block)| {
                Projection::ALL.iter().zip(block).find(|(p, _)| place(i, p)).and_then(|(_, pair)| pair.as_ref())
            });
            if let Some(pair) = pair {
                let inputs = tensor.shape[1];
                for (i, w) in tensor.data.iter_mut().enumerate() {
                    let b = &pair.b[i / inputs * pair.rank..][..pair.rank];
                    let update: f32 = b.iter().enumerate().map(|(r, b)| b * pair.a[r * inputs + i % inputs]).sum();
                    *w += pair.scale * update;
                }
            }
            tensor
        };
        let merged = Rewritten { source: &*files.weights, rewrite: Box::new(rewrite) };
        let merged = Decoder::load(&files.config, &merged, WeightForm::F32).unwrap();
        let (beside, base) = (logits(&decoder, Some(&lora), &long_row()), logits(&decoder, None, &long_row()));
        let error = relative_error(&logits(&merged, None, &long_row()), &beside);
        assert!(error <= SAME, "{name}: {error}");
        assert!(relative_error(&base, &beside) > 1e-2, "{name}: the adapter does nothing");
    }
}

/// The model with 16 more intermediate features that do nothing, so that rows can be cut into blocks of 32.
fn padded(name: &str, tensor: Tensor) -> Tensor {
    let (rows, columns) = match name.rsplit('.').nth(1) {
        Some("gate_proj" | "up_proj") => (64, tensor.shape[1]),
        Some("down_proj") => (tensor.shape[0], 64),
        _ => return tensor,
    };
    let mut data = vec![0.0; rows * columns];
    for (to, from) in data.chunks_mut(columns).zip(tensor.data.chunks(tensor.shape[1])) {
        to[..from.len()].copy_from_slice(from);
    }
    Tensor { shape: vec![rows, columns], data }
}

/// What rounding to blocks of `T` and back makes of numbers.
fn rounded<T: GgmlType>(data: &mut [f32]) {
    let mut blocks = vec![T::zeros(); data.len() / T::BLCK_SIZE];
    T::from_float(data, &mut blocks);
    T::to_float(&blocks, data);
}

#[test]
fn stored_weights_compute_what_whole_ones_do_and_int8_stays_near() {
    for name in MODELS {
        let files = files(name);
        let ids = long_row();
        let form = |storage| WeightForm { arithmetic: Arithmetic::F32, storage };
        let whole = logits(&decoder(name, WeightForm::F32), None, &ids);
        let kept = logits(&decoder(name, form(BaseStorage::Keep)), None, &ids);
        assert!(bits(&kept) == bits(&whole), "{name}: keep");

        let config = ModelConfig { intermediate_size: 64, ..files.config.clone() };
        let load = |storage, rewrite: Rewrite<'static>| {
            let source = Rewritten { source: &*files.weights, rewrite };
            logits(&Decoder::load(&config, &source, form(storage)).unwrap(), None, &ids)
        };
        let error = relative_error(&load(BaseStorage::Full, Box::new(padded)), &whole);
        assert!(error <= SAME, "{name}: padding changed the model by {error}");
        for (storage, bound) in [(BaseStorage::Int8, 0.06), (BaseStorage::Int4, 0.5)] {
            let quantised = load(storage, Box::new(padded));
            // Quantised weights are exactly the weights that were rounded before.
            let round = move |name: &str, tensor: Tensor| {
                let mut tensor = padded(name, tensor);
                let eight = storage == BaseStorage::Int8 || name.contains("embed_tokens");
                match tensor.shape.len() {
                    2 if eight => rounded::<BlockQ8_0>(&mut tensor.data),
                    2 => rounded::<BlockQ4_1>(&mut tensor.data),
                    _ => {}
                }
                tensor
            };
            assert!(bits(&quantised) == bits(&load(BaseStorage::Full, Box::new(round))), "{name}: {storage:?}");
            // Eight bits round a weight by up to 1/254 of the largest of its 32, four by up to 1/30 of their range;
            // seven products and a softmax a block lie between that and the logits.
            let error = relative_error(&quantised, &whole);
            assert!(error > 1e-4 && error < bound, "{name}: {storage:?} is off by {error}");
        }
    }
}

#[test]
fn bf16_stays_near_f32() {
    let Some(form) = bf16() else { return };
    let rows = rows(8, 60, 5);
    let batch = vec![rows.iter().collect::<Vec<_>>()];
    for name in MODELS {
        let (exact, fast) = (decoder(name, WeightForm::F32), decoder(name, form));
        let lora = lora(name, &exact);
        let (loss, gradients) = pass(&exact, &lora, &batch, MemoryPlan::default(), None);
        let (other, others) = pass(&fast, &lora, &batch, MemoryPlan::default(), None);
        // An operand is rounded by 2⁻⁹ of itself, at random: about twenty products lie between a token and its loss, and
        // as many again on the way back.
        assert!((other - loss).abs() <= 0.002 * loss, "{name}: loss {other}, in f32 {loss}");
        let error = relative_error(&others, &gradients);
        assert!(error > 1e-5 && error <= 0.04, "{name}: gradients differ by {error}");
        // Weights that are bf16 already are the same kept as packed.
        let files = files(name);
        let round = |_: &str, mut tensor: Tensor| {
            tensor.data.iter_mut().for_each(|x| *x = half::bf16::from_f32(*x).to_f32());
            tensor
        };
        let source = Rewritten { source: &*files.weights, rewrite: Box::new(round) };
        let [packed, kept] = [BaseStorage::Full, BaseStorage::Keep].map(|storage| {
            let decoder = Decoder::load(&files.config, &source, WeightForm { storage, ..form }).unwrap();
            pass(&decoder, &lora, &batch, MemoryPlan::default(), None)
        });
        assert_eq!(kept.0.to_bits(), packed.0.to_bits(), "{name}: {} and {}", kept.0, packed.0);
        assert!(relative_error(&kept.1, &packed.1) <= SAME, "{name}");
    }
}
