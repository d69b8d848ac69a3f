//! Inference: token ids in and out. Nothing here knows text, templates or benchmarks.

mod request;

pub use request::{Generation, LanguageModel, Sampling, ScoreRequest};
