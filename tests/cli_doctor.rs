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

/// The shape of Llama-3-8B.
const LLAMA_3_8B: &str = r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
    "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "vocab_size": 128256, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "max_position_embeddings": 8192,
    "tie_word_embeddings": false, "hidden_act": "silu"}"#;

#[test]
fn a_plan_needs_a_configuration_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let (config, home) = (place.path().join("llama.json"), place.path().join("home"));
    std::fs::write(&config, LLAMA_3_8B).unwrap();
    let plan = |more: &[&str]| {
        let out =
            run(&home, &[&["train", "--plan", "--model", config.to_str().unwrap(), "--target", "all"], more].concat());
        assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let report: Value = serde_json::from_str(&plan(&["--rank", "16", "--max-len", "2048", "--json"])).unwrap();
    assert_eq!(report["trainable_parameters"], 41_943_040);
    let way = |place: &str, quantize: &str| -> Value {
        let places = report["places"].as_array().unwrap();
        let ways = places.iter().find(|p| p["name"] == place).unwrap()["ways"].as_array().unwrap();
        ways.iter().find(|w| w["quantize"] == quantize).unwrap().clone()
    };
    // What people do with these cards: LoRA in bf16 on 24 GB, QLoRA on 12 GB, and not the other way round.
    for (place, quantize, fits) in
        [("24 GB", "full", true), ("12 GB", "int4", true), ("12 GB", "full", false), ("80 GB", "full", true)]
    {
        let way = way(place, quantize);
        assert_eq!(way["fits"], fits, "{place} {quantize}: {way}");
        let parts = ["weights", "adapter", "kept", "rest"].map(|part| way[part].as_u64().unwrap());
        assert_eq!(parts.iter().sum::<u64>(), way["bytes"].as_u64().unwrap());
        // Two bytes a weight; four bits and two halves for 32 of them.
        let weights = way["weights"].as_f64().unwrap() / report["parameters"].as_f64().unwrap();
        let (least, most) = if quantize == "full" { (2.0, 2.1) } else { (0.625, 1.0) };
        assert!((least..most).contains(&weights), "{weights} bytes a weight");
    }
    assert!(way("24 GB", "full")["checkpointing"].as_bool().unwrap());
    assert!(!way("80 GB", "full")["checkpointing"].as_bool().unwrap());
    assert!(plan(&[]).contains("GPU 24 GB"));
    let dora: Value = serde_json::from_str(&plan(&["--rank", "16", "--max-len", "2048", "--dora", "--json"])).unwrap();
    // A length for every row of q, k, v, o, gate, up and down in 32 blocks.
    let rows = 32 * (4096 + 1024 + 1024 + 4096 + 14336 + 14336 + 4096);
    assert_eq!(dora["trainable_parameters"], 41_943_040 + rows);
    assert!(!home.exists(), "a plan leaves no trace");
}

#[test]
fn a_check_without_a_gpu_says_what_it_did_not_do() {
    let home = tempfile::tempdir().unwrap();
    let report = home.path().join("report.json");
    let out = run(home.path(), &["gpu-check", "--device", "cuda:63", "--output", report.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(text.matches("not done").count(), 4, "{text}");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert!(report["card"].is_null() && report["no_card"].is_string());
    assert!(report["checks"].as_array().unwrap().iter().all(|c| c["outcome"] == "not_done"));
}
