//! `gpu-check`: whether a GPU computes what the processor computes, and how fast. The checks take any device, so that tests run
//! them on the emulator before a card does.

mod bench;
mod decoding;
mod operations;
#[cfg(test)]
mod tests;
mod training;

use super::device::open_card;
use crate::error::{Error, Kind, Result};
use crate::job::CancelToken;
use crate::ops::cuda::{self, Device};
use crate::tr;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A part of the check, so that it can be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Each operation, and a whole training step, against the processor.
    Parity,
    /// Resume exactness, and eight rows learnt by heart.
    Training,
    /// Tokens per second of a training.
    Bench,
    /// Tokens per second of answers.
    Decode,
}

impl Part {
    /// All, in the order in which they are done.
    pub const ALL: [Part; 4] = [Part::Parity, Part::Training, Part::Decode, Part::Bench];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Part::Parity => "parity",
            Part::Training => "training",
            Part::Bench => "bench",
            Part::Decode => "decode",
        }
    }

    /// Reads `--part`.
    ///
    /// # Errors
    /// `Usage` that lists the names.
    pub fn parse(name: &str) -> Result<Part> {
        Part::ALL.into_iter().find(|part| part.name() == name).ok_or_else(|| {
            let name = name.escape_default();
            Error::new(Kind::Usage, tr!("unknown --part `{name}`", "未知的 --part `{name}`"))
                .hint(tr!("use parity, training, decode or bench", "可用 parity、training、decode 或 bench"))
        })
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it should be.
    Passed,
    /// Not so.
    Failed,
    /// Not tried; the note says why.
    NotDone,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Which part it is of.
    pub part: &'static str,
    /// What was compared.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How far the numbers are apart: the length of the difference as a share of the expected length…
    pub error: Option<f64>,
    /// …and how far they may be.
    pub tolerance: Option<f64>,
    /// Figures and reasons.
    pub note: String,
}

impl Check {
    /// Numbers that may be apart by `tolerance`.
    fn compared(part: Part, name: impl Into<String>, error: f64, tolerance: f64) -> Check {
        // Written so that a NaN fails.
        let outcome = if error <= tolerance { Outcome::Passed } else { Outcome::Failed };
        let (error, tolerance) = (Some(error).filter(|e| e.is_finite()), Some(tolerance));
        Check { part: part.name(), name: name.into(), outcome, error, tolerance, note: String::new() }
    }

    fn noted(part: Part, name: impl Into<String>, outcome: Outcome, note: impl Into<String>) -> Check {
        Check { part: part.name(), name: name.into(), outcome, error: None, tolerance: None, note: note.into() }
    }

    /// A check that could not be finished.
    fn broken(part: Part, name: impl Into<String>, error: &Error) -> Check {
        Check::noted(part, name, Outcome::Failed, error.message.clone())
    }
}

/// A benchmark's figures.
#[derive(Clone, Debug, Serialize)]
pub struct Speed {
    /// The shape.
    pub model: String,
    /// Tokens per second.
    pub tokens_per_second: f64,
    /// Milliseconds a step.
    pub step_ms: f64,
    /// At 4 FLOPs a weight and token, in TFLOP/s.
    pub model_tflops: f64,
    /// The share of the card's published rate.
    pub mfu: Option<f64>,
    /// Most of the card's memory in use, in MiB.
    pub peak_card_mb: Option<f64>,
    /// What the issue aims at, where it names a figure.
    pub goal: Option<f64>,
    /// Whether blocks ran again on the way back.
    pub checkpointing: bool,
}

/// How fast answers are written.
#[derive(Clone, Debug, Serialize)]
pub struct DecodeSpeed {
    /// The shape.
    pub model: String,
    /// Answers written side by side.
    pub batch: usize,
    /// Tokens written per second, of all answers together.
    pub tokens_per_second: f64,
    /// Tokens of prompts read per second.
    pub prompt_tokens_per_second: f64,
    /// Milliseconds of one token for all answers.
    pub step_ms: f64,
    /// Weights read a second for it, in GB.
    pub gigabytes_per_second: f64,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// The card; `None` where there is none that can be used.
    pub card: Option<String>,
    /// Why there is none.
    pub no_card: Option<String>,
    /// This program.
    pub version: String,
    /// Checks.
    pub checks: Vec<Check>,
    /// Benchmarks.
    pub speeds: Vec<Speed>,
    /// Benchmarks of answers.
    pub decoding: Vec<DecodeSpeed>,
    /// Seconds in all.
    pub seconds: f64,
}

impl CheckReport {
    /// Whether nothing failed. What was not done did not.
    pub fn ok(&self) -> bool {
        self.checks.iter().all(|check| check.outcome != Outcome::Failed)
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct CheckRequest {
    /// The card's number.
    pub ordinal: usize,
    /// Parts, in this order.
    pub parts: Vec<Part>,
    /// Shapes of the benchmarks; empty is all.
    pub shapes: Vec<String>,
    /// When to begin no further benchmark.
    pub limit: Duration,
    /// Seed.
    pub seed: u64,
}

/// Runs the parts; `hear` is told of each check as it ends. Without a card every part is reported as not done.
///
/// # Errors
/// `Usage` for an unknown shape; `Interrupted`.
pub fn gpu_check(request: &CheckRequest, hear: &mut dyn FnMut(&str), cancel: &CancelToken) -> Result<CheckReport> {
    let started = Instant::now();
    let shapes = bench::shapes(&request.shapes)?;
    let mut report = CheckReport {
        card: None,
        no_card: None,
        version: crate::store::code_version(),
        checks: Vec::new(),
        speeds: Vec::new(),
        decoding: Vec::new(),
        seconds: 0.0,
    };
    match cuda::cards().and_then(|_| open_card(request.ordinal)) {
        Err(e) => {
            for part in &request.parts {
                report.checks.push(Check::noted(*part, part.name(), Outcome::NotDone, e.message.clone()));
            }
            report.no_card = Some(e.message);
        }
        Ok(device) => {
            report.card = Some(device.name());
            for part in &request.parts {
                match part {
                    Part::Parity => report.checks.extend(parity(&device, operations::Size::Full, hear)),
                    Part::Training => report.checks.extend(training::all(&device, hear)),
                    Part::Bench | Part::Decode => {
                        let until = started + request.limit;
                        let time = if *part == Part::Bench { bench::all } else { decoding::speeds };
                        time(request.ordinal, &shapes, request.seed, until, &mut report, hear, cancel)?;
                    }
                }
            }
        }
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Each operation and a whole step.
fn parity(device: &Arc<dyn Device>, size: operations::Size, hear: &mut dyn FnMut(&str)) -> Vec<Check> {
    let mut checks = operations::all(device, size, hear);
    checks.extend(decoding::checks(device, hear));
    checks.extend(training::steps(device, hear));
    checks
}

/// Numbers in ±size that look random and are the same everywhere.
fn values(count: usize, salt: u64, size: f32) -> Vec<f32> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| size * next()).collect()
}

/// |found − expected| ÷ |expected|, as lengths; NaN where lengths differ.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() {
        return f64::NAN;
    }
    let square = |x: f64| x * x;
    let off: f64 = found.iter().zip(expected).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let all: f64 = expected.iter().map(|b| square(f64::from(*b))).sum();
    (off / all.max(f64::MIN_POSITIVE)).sqrt()
}
