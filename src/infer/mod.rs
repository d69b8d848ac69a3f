//! Inference: token ids in and out. Nothing here knows text, templates or benchmarks.

#[cfg(test)]
mod card_tests;
mod engine;
mod request;
mod sampler;
mod scheduler;
mod stepwise;
mod writing;

pub use engine::Engine;
pub use request::{Generation, LanguageModel, Sampling, ScoreRequest};
pub use scheduler::{Answering, Order, Scheduler, Told};
pub use stepwise::{Chosen, End, Session, Watch, Writing};
