//! What several test files share.
#![allow(dead_code, clippy::unwrap_used)]

pub mod gguf;
pub mod http;

use std::path::PathBuf;

fn present(variable: &str, what: &str) -> Option<PathBuf> {
    match std::env::var_os(variable).map(PathBuf::from) {
        Some(path) if path.exists() => Some(path),
        Some(path) => {
            eprintln!("skipped: {variable} names {}, which is not there", path.display());
            None
        }
        None => {
            eprintln!("skipped: set {variable} to {what}");
            None
        }
    }
}

/// The real GGUF to test with, or a printed reason why there is none.
pub fn test_gguf() -> Option<PathBuf> {
    let pulled = linly_bench::config::default_home()
        .ok()
        .map(|home| home.join("models/smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf"));
    if let Some(path) = pulled.filter(|p| p.is_file() && std::env::var_os("LINLY_BENCH_TEST_GGUF").is_none()) {
        return Some(path);
    }
    present("LINLY_BENCH_TEST_GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf, or pull smollm2-135m")
}

/// The Hugging Face copy of that GGUF, or a printed reason why there is none.
pub fn test_hf() -> Option<PathBuf> {
    present("LINLY_BENCH_TEST_HF", "the folder that transformers saved from the test GGUF")
}
