//! Benchmarks: definitions, prompts, scoring and statistics.

pub mod statistics;
