//! Throughput of this machine, on work that other programs can be given too.

use crate::batch::collate;
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::machine::peak_rss_mb;
use crate::model::{
    Decoder, Lora, LoraConfig, MemoryPlan, ModelConfig, Projection, RandomWeights, Tape, TrainingRows, WeightForm,
};
use crate::prompt::Rendered;
use crate::tr;
use crate::train::AdamW;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

/// What `bench train` is asked to do.
#[derive(Clone, Debug)]
pub struct TrainBench {
    /// Shortest and longest row, in tokens; lengths between them are drawn evenly.
    pub lengths: (usize, usize),
    /// Rows of a step.
    pub batch: usize,
    /// Steps that are timed, after one that is not.
    pub steps: usize,
    /// Adapted projections.
    pub targets: Vec<Projection>,
    /// Their rank.
    pub rank: usize,
    /// Share of each row, at its end, that carries loss.
    pub supervised: f64,
    /// Seed of tokens and factors.
    pub seed: u64,
}

impl TrainBench {
    /// Refuses shapes that cannot train.
    ///
    /// # Errors
    /// `InvalidInput` that lists what is wanted.
    pub(super) fn check(&self) -> Result<()> {
        let bench = self;
        if bench.lengths.0 < 2
            || bench.lengths.1 < bench.lengths.0
            || bench.batch == 0
            || bench.steps == 0
            || !(0.0..=1.0).contains(&bench.supervised)
        {
            return Err(Error::new(
                Kind::InvalidInput,
                tr!("the shape of the benchmark cannot train", "该基准的形状无法训练"),
            )
            .hint(tr!(
                "--seq-len ≥ 2, --padded LOW HIGH with 2 ≤ LOW ≤ HIGH, --batch ≥ 1, --steps ≥ 1, --supervised between 0 and 1",
                "需要 --seq-len ≥ 2、--padded LOW HIGH（2 ≤ LOW ≤ HIGH）、--batch ≥ 1、--steps ≥ 1，--supervised 在 0 与 1 之间"
            )));
        }
        Ok(())
    }

    /// The settings of its factors.
    pub(super) fn lora(&self) -> LoraConfig {
        LoraConfig {
            rank: self.rank,
            alpha: 2.0 * self.rank as f64,
            dropout: 0.0,
            targets: self.targets.clone(),
            ..LoraConfig::default()
        }
    }
}

/// What it measured.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// Tokens per second over the timed steps.
    pub tokens_per_second: f64,
    /// Mean time of a step in milliseconds.
    pub step_ms: f64,
    /// Most memory held, in MiB.
    pub peak_rss_mb: f64,
    /// Arithmetic.
    pub dtype: String,
    /// Device.
    pub device: String,
    /// Threads.
    pub threads: usize,
    /// Model.
    pub model: String,
    /// Arithmetic of the model for a second at 4 FLOPs a weight and token (forward, and the inputs' gradients), in TFLOP/s.
    pub model_tflops: f64,
    /// Most memory in use on the GPU, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_card_mb: Option<f64>,
    /// Share of the GPU's published bf16 rate that `model_tflops` are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mfu: Option<f64>,
    /// How much of a batch is on the GPU at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<MemoryPlan>,
}

/// FLOPs of a training with frozen weights for a weight and token.
pub(super) const FLOPS: f64 = 4.0;

/// A decoder of random weights for the Hugging Face configuration in the file `config`.
///
/// # Errors
/// `NotFound`, `Corrupt`, those of the configuration.
pub fn random_decoder(config: &Path, form: WeightForm, seed: u64) -> Result<Decoder> {
    let model = read_config(config)?;
    Decoder::load(&model, &RandomWeights::new(&model, config, seed), form)
}

/// The Hugging Face configuration in the file `config`.
///
/// # Errors
/// `NotFound`, `InvalidInput`, those of the configuration.
pub(super) fn read_config(config: &Path) -> Result<ModelConfig> {
    let bytes = std::fs::read(config).map_err(|e| Error::io(config, &e))?;
    let value = serde_json::from_slice(&bytes).map_err(|e| {
        let place = config.display();
        Error::new(Kind::InvalidInput, tr!("{place} is no JSON: {e}", "{place} 不是 JSON：{e}"))
            .hint(tr!("name a Hugging Face config.json", "请给出 Hugging Face 的 config.json"))
    })?;
    ModelConfig::from_hf(&value)
}

/// Times whole training steps (forward, backward, optimiser) on seeded random tokens.
///
/// # Errors
/// `InvalidInput` for a shape that cannot train, `Interrupted`.
pub fn bench_train(
    decoder: &Decoder,
    name: &str,
    bench: &TrainBench,
    sink: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<BenchReport> {
    bench.check()?;
    let mut lora = Lora::new(bench.lora(), decoder.config(), bench.seed);
    let mut gradients = lora.zero_gradients();
    let sizes: Vec<usize> = lora.tensors().iter().map(|(_, _, data)| data.len()).collect();
    let mut optimizer = AdamW::new(sizes.into_iter(), 0.0);
    let mut rng = ChaCha8Rng::seed_from_u64(bench.seed);
    let vocabulary = decoder.config().vocab_size as u32;
    let mut tape = Tape::default();
    let (mut seconds, mut tokens) = (0.0, 0);
    let total = bench.steps as u64;
    for step in 0..=bench.steps {
        if cancel.is_cancelled() {
            return Err(Error::new(Kind::Interrupted, tr!("interrupted", "已中断")));
        }
        let batch = random_rows(bench, vocabulary, &mut rng);
        let started = Instant::now();
        gradients.clear();
        let scale = 1.0 / batch.targets.len().max(1) as f32;
        decoder.loss(&batch, Some(&lora), None, Some((&mut gradients, scale)), &mut tape)?;
        optimizer.update(lora.parameters_mut(), &gradients.parts(), 1e-4, 1.0);
        // The first step fills buffers and caches: it is not counted.
        if step > 0 {
            seconds += started.elapsed().as_secs_f64();
            tokens += batch.ids.len();
        }
        sink.emit(&JobEvent::Progress { done: step as u64, total, note: String::new() });
    }
    Ok(BenchReport {
        tokens_per_second: tokens as f64 / seconds,
        step_ms: 1000.0 * seconds / bench.steps as f64,
        peak_rss_mb: peak_rss_mb(),
        dtype: decoder.arithmetic().name().to_owned(),
        device: "cpu".to_owned(),
        threads: rayon::current_num_threads(),
        model: name.to_owned(),
        model_tflops: FLOPS * decoder.parameter_count() as f64 * tokens as f64 / seconds / 1e12,
        peak_card_mb: None,
        mfu: None,
        plan: None,
    })
}

/// The rows of one step, laid end to end.
pub(super) fn random_rows(bench: &TrainBench, vocabulary: u32, rng: &mut ChaCha8Rng) -> TrainingRows {
    let rows: Vec<Rendered> = (0..bench.batch)
        .map(|_| {
            let len = rng.random_range(bench.lengths.0..=bench.lengths.1);
            let first = ((len as f64 * (1.0 - bench.supervised)).round() as usize).min(len - 1);
            Rendered {
                ids: (0..len).map(|_| rng.random_range(0..vocabulary)).collect(),
                mask: (0..len).map(|i| i >= first).collect(),
                text: String::new(),
            }
        })
        .collect();
    collate(&rows)
}
