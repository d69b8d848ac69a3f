//! Benchmarks: definitions, prompts, scoring and statistics.
