//! `doctor` and `--device`, through the binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn run(home: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_linly-bench"))
        .args(args)
        .arg("--home")
        .arg(home)
        .env_remove("LINLY_BENCH_DATA")
        .output()
        .unwrap()
}

fn examined(home: &Path, more: &[&str]) -> Value {
    let out = run(home, &[&["doctor", "--json"], more].concat());
    assert_eq!(out.status.code(), Some(0));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn state(found: &Value, subject: &str) -> (String, bool) {
    let finding = found["findings"].as_array().unwrap().iter().find(|f| f["subject"] == subject).unwrap();
    (finding["state"].as_str().unwrap().to_owned(), finding["advice"].is_string())
}

#[test]
fn doctor_says_what_is_missing_and_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let found = examined(&home, &[]);
    assert!(!home.exists(), "looking created the home");
    for subject in ["models", "database", "data"] {
        assert_eq!(state(&found, subject), ("missing".to_owned(), true), "{subject}");
    }
    assert!(found["cores"].as_u64().unwrap() >= 1);
    assert!(found["disk_free"].as_u64().unwrap() > 0);
    // Every thing that is not as it should be comes with advice.
    for finding in found["findings"].as_array().unwrap() {
        assert!(finding["state"] == "ok" || finding["advice"].is_string(), "{finding}");
    }
}

#[test]
fn doctor_finds_what_is_there_and_what_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("models/some-model")).unwrap();
    std::fs::write(folder.path().join("linly.db"), "not a database at all, but long enough to be looked at").unwrap();
    let empty = tempfile::tempdir().unwrap();
    let found = examined(folder.path(), &["--data-dir", empty.path().to_str().unwrap()]);
    assert_eq!(found["models"], serde_json::json!(["some-model"]));
    assert_eq!(state(&found, "database"), ("problem".to_owned(), true));
    assert_eq!(state(&found, "data"), ("problem".to_owned(), true));
    assert_eq!(found["ok"], false);
    for lang in ["en", "zh"] {
        let out = run(folder.path(), &["doctor", "--lang", lang]);
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(text.contains("some-model") && text.contains('→'), "{text}");
        assert!(text.lines().all(|line| linly_bench::text::width(line) <= 80), "{text}");
    }
}

#[test]
fn a_gpu_that_is_not_there_is_an_error_with_a_way_out_and_auto_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let out = run(home.path(), &["evals", "list", "--device", "cuda:63"]);
    let message = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{message}");
    assert!(message.contains("--device cpu"), "{message}");
    assert_eq!(run(home.path(), &["evals", "list", "--device", "auto"]).status.code(), Some(0));
    assert_eq!(run(home.path(), &["evals", "list", "--device", "gpu"]).status.code(), Some(2));
}
