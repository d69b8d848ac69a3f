//! Inference: token ids in and out. Nothing here knows text, templates or benchmarks.

mod engine;
mod request;
mod sampler;
mod writing;

pub use engine::Engine;
pub use request::{Generation, LanguageModel, Sampling, ScoreRequest};
