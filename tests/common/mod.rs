//! What several test files share.
#![allow(dead_code, clippy::unwrap_used)]

pub mod gguf;
pub mod http;

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

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

/// SHA-256, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Files under a folder, and folders that are empty.
pub fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            let inner = files_under(&entry.path());
            found.extend(if inner.is_empty() { vec![entry.path()] } else { inner });
        } else {
            found.push(entry.path());
        }
    }
    found
}
