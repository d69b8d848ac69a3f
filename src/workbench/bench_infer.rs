//! Speed of inference on this machine: reading prompts, writing answers, scoring choices.

use crate::error::{Error, Kind, Result};
use crate::infer::{Engine, LanguageModel, Sampling, ScoreRequest};
use crate::job::CancelToken;
use crate::machine::peak_rss_mb;
use crate::model::Decoder;
use crate::tr;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;
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

fn report(decoder: &Decoder, name: &str, tokens: f64, prompt: f64, items: Option<f64>, step_ms: f64) -> InferReport {
    InferReport {
        tokens_per_second: tokens,
        prompt_tokens_per_second: prompt,
        items_per_second: items,
        step_ms,
        peak_rss_mb: peak_rss_mb(),
        dtype: decoder.arithmetic().name().to_owned(),
        device: "cpu".to_owned(),
        threads: rayon::current_num_threads(),
        model: name.to_owned(),
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
pub fn bench_infer(decoder: Arc<Decoder>, name: &str, bench: InferBench, cancel: &CancelToken) -> Result<InferReport> {
    if bench.prompt == 0 || bench.new_tokens == 0 || bench.batch == 0 {
        return Err(too_small("--prompt, --new-tokens, --batch"));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(bench.seed);
    let vocabulary = decoder.config().vocab_size as u32;
    let prompts: Vec<Vec<u32>> =
        (0..bench.batch).map(|_| (0..bench.prompt).map(|_| rng.random_range(0..vocabulary)).collect()).collect();
    // No token ends an answer: every one has the length that is asked for.
    let engine = Engine::new(Arc::clone(&decoder), None, Vec::new());
    let run = |new_tokens: usize| -> Result<f64> {
        let sampling = Sampling { max_new_tokens: new_tokens, ..Sampling::default() };
        let started = Instant::now();
        engine.generate(&prompts, &sampling, &mut |_, _| {}, cancel)?;
        Ok(started.elapsed().as_secs_f64())
    };
    run(2)?;
    // A first token comes with the prompt; what further ones take is the difference.
    let reading = run(1)?;
    let all = run(bench.new_tokens + 1)?;
    let writing = (all - reading).max(1e-9);
    let (tokens, prompt) = ((bench.batch * bench.new_tokens) as f64, (bench.batch * bench.prompt) as f64);
    let step = 1000.0 * writing / bench.new_tokens as f64;
    Ok(report(&decoder, name, tokens / writing, prompt / reading, None, step))
}

/// Scores questions with four one-token choices that follow shared examples.
///
/// # Errors
/// As [`bench_infer`].
pub fn bench_eval(decoder: Arc<Decoder>, name: &str, bench: EvalBench, cancel: &CancelToken) -> Result<InferReport> {
    if bench.items == 0 || bench.question == 0 {
        return Err(too_small("--items, --question"));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(bench.seed);
    let vocabulary = decoder.config().vocab_size as u32;
    let mut draw = |n: usize| -> Vec<u32> { (0..n).map(|_| rng.random_range(0..vocabulary)).collect() };
    let shared = draw(bench.shared);
    let requests: Vec<ScoreRequest> = (0..bench.items)
        .map(|_| ScoreRequest {
            context: [&shared[..], &draw(bench.question)].concat(),
            continuations: (0..4).map(|_| draw(1)).collect(),
        })
        .collect();
    let engine = Engine::new(Arc::clone(&decoder), None, Vec::new());
    engine.loglikelihoods(&requests[..1], &mut |_| {}, cancel)?;
    let (before, started) = (engine.prefilled(), Instant::now());
    engine.loglikelihoods(&requests, &mut |_| {}, cancel)?;
    let seconds = started.elapsed().as_secs_f64().max(1e-9);
    let tokens = (engine.prefilled() - before) as f64 / seconds;
    let items = bench.items as f64 / seconds;
    Ok(report(&decoder, name, tokens, tokens, Some(items), 1000.0 / items))
}
