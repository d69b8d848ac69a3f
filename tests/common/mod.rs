//! What several test files share.
#![allow(dead_code, clippy::unwrap_used)]

pub mod characters;
pub mod gguf;
pub mod http;
pub mod openai;

use linly_bench::config::Settings;
use linly_bench::job::CancelToken;
use linly_bench::model::hub::Sources;
use linly_bench::workbench::{Workbench, models};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

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

/// The real GGUF to test with: the one that `LINLY_BENCH_TEST_GGUF` names, the one in the user's home, or one that
/// is pulled once into the build folder. Without any: a printed reason, and a failure where `CI` is set.
pub fn test_gguf() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(find_gguf).clone()
}

fn find_gguf() -> Option<PathBuf> {
    if std::env::var_os("LINLY_BENCH_TEST_GGUF").is_some() {
        return present("LINLY_BENCH_TEST_GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf");
    }
    const FILE: &str = "models/smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf";
    if let Some(path) = linly_bench::config::default_home().ok().map(|h| h.join(FILE)).filter(|p| p.is_file()) {
        return Some(path);
    }
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home");
    let settings = Settings { home, data_dir: None, seed: 0 };
    let pulled = Workbench::open(settings).and_then(|bench| {
        models::pull(&bench, "smollm2-135m", &Sources::from_env(), &mut |_| (), &CancelToken::default())
    });
    match pulled {
        Ok(pulled) => Some(pulled.path),
        Err(error) => {
            let hint = error.hint.as_deref().unwrap_or_default();
            eprintln!("skipped: smollm2-135m could not be pulled: {error} ({hint})");
            assert!(std::env::var_os("CI").is_none(), "CI must run the tests that need the model");
            None
        }
    }
}

/// A fresh home that has the model (a link, not a copy), or a printed reason why not.
pub fn home_with_model() -> Option<tempfile::TempDir> {
    let gguf = test_gguf()?;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("models/smollm2-135m");
    std::fs::create_dir_all(&folder).unwrap();
    let target = folder.join(gguf.file_name().unwrap());
    if std::fs::hard_link(&gguf, &target).is_err() {
        std::fs::copy(&gguf, &target).unwrap();
    }
    Some(home)
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
