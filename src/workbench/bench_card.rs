//! `bench train` on a GPU: the same steps on the same rows as on the processor.

use super::bench::{BenchReport, FLOPS, TrainBench, random_rows, read_config};
use super::{LoadedModel, device::open_card};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::machine::peak_rss_mb;
use crate::model::{
    BaseStorage, CardDemand, CardTraining, Checkpointing, DeviceDecoder, DeviceTraining, Lora, ModelConfig,
    RandomWeights, TrainingSizes, WeightForm, choose_card_plan,
};
use crate::ops::cuda::{Device, Number, StepSettings};
use crate::tr;
use half::bf16;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// What is trained.
pub enum CardModel<'a> {
    /// A model.
    Loaded(&'a LoadedModel),
    /// Random weights for a Hugging Face `config.json`.
    Random(&'a Path),
}

/// How.
#[derive(Clone, Copy, Debug)]
pub struct CardBench {
    /// The card's number.
    pub ordinal: usize,
    /// f32 throughout.
    pub exact: bool,
    /// How frozen weights are held.
    pub form: WeightForm,
    /// Whether blocks run again on the way back.
    pub checkpointing: Checkpointing,
}

/// Published dense bf16 rates with f32 sums in TFLOP/s, by a part of the card's name; the first that fits counts.
const RATES: [(&str, f64); 10] = [
    ("H200", 989.0),
    ("H100 PCIe", 756.0),
    ("H100", 989.0),
    ("A100", 312.0),
    ("L40S", 362.0),
    ("L40", 181.0),
    ("L4", 121.0),
    ("A10", 125.0),
    ("4090", 165.2),
    ("3090", 71.0),
];

/// Times whole training steps on a card.
///
/// # Errors
/// `InvalidInput` for a shape that cannot train or does not fit, `Interrupted`, those of the card.
pub fn bench_train_on_card(
    model: &CardModel<'_>,
    name: &str,
    bench: &TrainBench,
    how: CardBench,
    sink: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<BenchReport> {
    bench.check()?;
    let device = open_card(how.ordinal)?;
    let config = match model {
        CardModel::Loaded(model) => model.decoder.config().clone(),
        CardModel::Random(path) => read_config(path)?,
    };
    let lora = Lora::new(bench.lora(), &config, bench.seed);
    let storage = match model {
        CardModel::Loaded(model) if how.form.storage != BaseStorage::Full => model.decoder.storage_on_card(),
        CardModel::Loaded(_) => BaseStorage::Full,
        CardModel::Random(_) => how.form.storage,
    };
    let longest = bench.lengths.1;
    let demand = CardDemand { storage, exact: how.exact, dropout: false, batch: bench.batch * longest, longest };
    // Planned before anything is on the card.
    let sizes =
        TrainingSizes::planned(&config, &lora.config, WeightForm { storage: BaseStorage::Full, ..how.form }, 2.0);
    let (plan, _) = choose_card_plan(&sizes, demand, how.checkpointing, device.memory().map(|(free, _)| free))?;
    let mut card: Box<dyn CardTraining> = if how.exact {
        copy::<f32>(&device, model, &config, &lora, how.form, bench.seed)?
    } else {
        copy::<bf16>(&device, model, &config, &lora, how.form, bench.seed)?
    };
    card.set_plan(plan);
    let mut rng = ChaCha8Rng::seed_from_u64(bench.seed);
    let parameters = config.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum::<usize>() as f64;
    let rates = vec![(1e-4, 0.0); lora.tensors().len()];
    let (mut seconds, mut tokens, mut most) = (0.0, 0usize, None::<u64>);
    for step in 0..=bench.steps {
        if cancel.is_cancelled() {
            return Err(Error::new(Kind::Interrupted, tr!("interrupted", "已中断")));
        }
        let batch = random_rows(bench, config.vocab_size as u32, &mut rng);
        let started = Instant::now();
        card.clear()?;
        card.add(&batch, None, 1.0 / batch.targets.len().max(1) as f32)?;
        card.norm(1.0)?;
        let settings = StepSettings { beta1: 0.9, beta2: 0.999, eps: 1e-8, step: step as u64 + 1, clip: 1.0 };
        card.step(&rates, settings)?;
        // This waits for the step.
        card.total()?;
        // The first step fills buffers, compiles kernels and chooses algorithms: it is not counted.
        if step > 0 {
            seconds += started.elapsed().as_secs_f64();
            tokens += batch.ids.len();
        }
        if let Some((free, all)) = device.memory() {
            most = most.max(Some(all - free));
        }
        sink.emit(&JobEvent::Progress { done: step as u64, total: bench.steps as u64, note: String::new() });
    }
    let model_tflops = FLOPS * parameters * tokens as f64 / seconds / 1e12;
    let card_name = device.name();
    Ok(BenchReport {
        tokens_per_second: tokens as f64 / seconds,
        step_ms: 1000.0 * seconds / bench.steps as f64,
        peak_rss_mb: peak_rss_mb(),
        dtype: if how.exact { "f32" } else { "bf16" }.to_owned(),
        threads: rayon::current_num_threads(),
        model: name.to_owned(),
        model_tflops,
        peak_card_mb: most.map(|bytes| bytes as f64 / f64::from(1 << 20)),
        mfu: RATES.iter().find(|(part, _)| card_name.contains(part)).map(|(_, rate)| model_tflops / rate),
        device: card_name,
        plan: Some(plan),
    })
}

fn copy<T: Number>(
    device: &Arc<dyn Device>,
    model: &CardModel<'_>,
    config: &ModelConfig,
    lora: &Lora,
    form: WeightForm,
    seed: u64,
) -> Result<Box<dyn CardTraining>> {
    let decoder = match model {
        CardModel::Loaded(model) => {
            DeviceDecoder::<T>::new(device, &model.decoder, lora, form.storage != BaseStorage::Full)?
        }
        CardModel::Random(path) => {
            DeviceDecoder::<T>::load(device, config, &RandomWeights::new(config, path, seed), form, lora)?
        }
    };
    Ok(Box::new(DeviceTraining::new(decoder)?))
}
