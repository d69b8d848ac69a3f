//! Speed of inference on this machine: reading prompts, writing answers, scoring choices.

use super::LoadedModel;
use super::answering::read_to_card;
use super::bench::read_config;
use super::device::open_card;
use crate::error::{Error, Kind, Result};
use crate::infer::{Engine, LanguageModel, Sampling, ScoreRequest};
use crate::job::CancelToken;
use crate::machine::peak_rss_mb;
use crate::model::{BaseStorage, Decoder, HostInference, Inference, RandomWeights, WeightForm};
use crate::ops::Arithmetic;
use crate::tr;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// What `bench infer` is asked to do.
#[derive(Clone, Copy, Debug)]
pub struct InferBench {
    /// Tokens of a prompt.
    pub prompt: usize,
    /// Tokens written after it.
    pub new_tokens: usize,
    /// Prompts that are answered side by side.
    pub batch: usize,
    /// Seed of the tokens.
    pub seed: u64,
}

/// What `bench eval` is asked to do: questions with four choices behind shared examples.
#[derive(Clone, Copy, Debug)]
pub struct EvalBench {
    /// Questions.
    pub items: usize,
    /// Tokens of the examples that all questions share.
    pub shared: usize,
    /// Tokens of a question.
    pub question: usize,
    /// Seed of the tokens.
    pub seed: u64,
}

/// What either measured.
#[derive(Clone, Debug, Serialize)]
pub struct InferReport {
    /// Tokens written per second; of scoring: tokens that went through the model per second.
    pub tokens_per_second: f64,
    /// Prompt tokens read per second; of scoring: the same as `tokens_per_second`.
    pub prompt_tokens_per_second: f64,
    /// Questions scored per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items_per_second: Option<f64>,
    /// Time of one token for all prompts, or of one question, in milliseconds.
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
}

/// A model whose speed is asked for.
pub struct Timed {
    /// The model, without an adapter.
    pub model: Box<dyn Inference>,
    /// What to call it.
    pub name: String,
    /// Arithmetic.
    pub dtype: String,
    /// Where it is computed.
    pub device: String,
}

impl Timed {
    /// On the processor.
    pub fn on_processor(decoder: Arc<Decoder>, name: &str) -> Timed {
        let dtype = decoder.arithmetic().name().to_owned();
        let model = Box::new(HostInference::new(decoder, None));
        Timed { model, name: name.to_owned(), dtype, device: "cpu".to_owned() }
    }
}

/// A model that was loaded onto a card, ready to be timed.
///
/// # Errors
/// `OutOfMemory`; `Internal` for one that answers on the processor.
pub fn timed_on_card(model: &LoadedModel) -> Result<Timed> {
    let card = model.answers.as_ref().ok_or_else(|| Error::internal("a model without a card"))?;
    Ok(Timed {
        model: Arc::clone(card).with(None)?,
        name: model.name.clone(),
        dtype: model.form.label(),
        device: card.card(),
    })
}

/// Random weights for the configuration in the file `config`, read to card number `ordinal` a block at a time.
///
/// # Errors
/// Those of the file and of the card.
pub fn random_on_card(
    ordinal: usize,
    config: &Path,
    name: &str,
    storage: BaseStorage,
    exact: bool,
    seed: u64,
) -> Result<Timed> {
    let (config, path) = (read_config(config)?, config);
    let device = open_card(ordinal)?;
    let form = WeightForm { storage, ..WeightForm::F32 };
    let card = read_to_card(&device, &config, &RandomWeights::new(&config, path, seed), form, exact)?;
    let dtype = WeightForm { arithmetic: if exact { Arithmetic::F32 } else { Arithmetic::Bf16 }, storage }.label();
    Ok(Timed { model: card.with(None)?, name: name.to_owned(), dtype, device: device.name() })
}

/// What is reported of every speed.
struct Facts {
    name: String,
    dtype: String,
    device: String,
}

fn report(facts: Facts, tokens: f64, prompt: f64, items: Option<f64>, step_ms: f64) -> InferReport {
    InferReport {
        tokens_per_second: tokens,
        prompt_tokens_per_second: prompt,
        items_per_second: items,
        step_ms,
        peak_rss_mb: peak_rss_mb(),
        dtype: facts.dtype,
        device: facts.device,
        threads: rayon::current_num_threads(),
        model: facts.name,
    }
}

fn too_small(flags: &str) -> Error {
    Error::new(Kind::InvalidInput, tr!("the shape of the benchmark has no work in it", "该基准的形状没有任何计算"))
        .hint(tr!("{flags} must be at least 1", "{flags} 至少为 1"))
}

/// Reads prompts of random tokens and writes on greedily; the two phases are timed apart.
///
/// # Errors
/// `InvalidInput` for sizes of 0 or beyond the model, `Interrupted`.
pub fn bench_infer(timed: Timed, bench: InferBench, cancel: &CancelToken) -> Result<InferReport> {
    if bench.prompt == 0 || bench.new_tokens == 0 || bench.batch == 0 {
        return Err(too_small("--prompt, --new-tokens, --batch"));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(bench.seed);
    let Timed { model, name, dtype, device } = timed;
    let vocabulary = model.config().vocab_size as u32;
    let prompts: Vec<Vec<u32>> =
        (0..bench.batch).map(|_| (0..bench.prompt).map(|_| rng.random_range(0..vocabulary)).collect()).collect();
    // No token ends an answer: every one has the length that is asked for.
    let engine = Engine::over(model, Vec::new());
    let run = |new_tokens: usize| -> Result<f64> {
        let sampling = Sampling { max_new_tokens: new_tokens, ..Sampling::default() };
        let started = Instant::now();
        engine.generate(&prompts, &sampling, &mut |_, _| {}, cancel)?;
        Ok(started.elapsed().as_secs_f64())
    };
    // Long enough that a card has recorded a step of every number of rows.
    run(4)?;
    // A first token comes with the prompt; what further ones take is the difference.
    let reading = run(1)?;
    let all = run(bench.new_tokens + 1)?;
    let writing = (all - reading).max(1e-9);
    let (tokens, prompt) = ((bench.batch * bench.new_tokens) as f64, (bench.batch * bench.prompt) as f64);
    let step = 1000.0 * writing / bench.new_tokens as f64;
    Ok(report(Facts { name, dtype, device }, tokens / writing, prompt / reading, None, step))
}

/// Scores questions with four one-token choices that follow shared examples.
///
/// # Errors
/// As [`bench_infer`].
pub fn bench_eval(timed: Timed, bench: EvalBench, cancel: &CancelToken) -> Result<InferReport> {
    if bench.items == 0 || bench.question == 0 {
        return Err(too_small("--items, --question"));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(bench.seed);
    let Timed { model, name, dtype, device } = timed;
    let vocabulary = model.config().vocab_size as u32;
    let mut draw = |n: usize| -> Vec<u32> { (0..n).map(|_| rng.random_range(0..vocabulary)).collect() };
    let shared = draw(bench.shared);
    let requests: Vec<ScoreRequest> = (0..bench.items)
        .map(|_| ScoreRequest {
            context: [&shared[..], &draw(bench.question)].concat(),
            continuations: (0..4).map(|_| draw(1)).collect(),
        })
        .collect();
    let engine = Engine::over(model, Vec::new());
    engine.loglikelihoods(&requests[..1], &mut |_| {}, cancel)?;
    let (before, started) = (engine.prefilled(), Instant::now());
    engine.loglikelihoods(&requests, &mut |_| {}, cancel)?;
    let seconds = started.elapsed().as_secs_f64().max(1e-9);
    let tokens = (engine.prefilled() - before) as f64 / seconds;
    let items = bench.items as f64 / seconds;
    Ok(report(Facts { name, dtype, device }, tokens, tokens, Some(items), 1000.0 / items))
}
