//! Pulling, listing and describing models from outside.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::gguf::{Meta, write_gguf};
use common::http::{Reply, Server};
use common::{files_under, sha256, test_gguf};
use linly_bench::config::Settings;
use linly_bench::workbench::{Workbench, models};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

const FILE: &[u8] = b"the contents of a model, as far as a download cares";

fn bench(home: &Path, hub: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_linly-bench"))
        .args(["--home".as_ref(), home.as_os_str()])
        .args(args)
        .env("HF_ENDPOINT", hub)
        .env("HF_TOKEN", "secret")
        .env("NO_PROXY", "127.0.0.1,localhost")
        .env_remove("HF_HUB_OFFLINE")
        .output()
        .unwrap()
}

fn stdout(out: &Output) -> &str {
    std::str::from_utf8(&out.stdout).unwrap()
}

fn stderr(out: &Output) -> &str {
    std::str::from_utf8(&out.stderr).unwrap()
}

/// A repository with the smallest llama that there is.
fn repository() -> Vec<(String, Vec<u8>)> {
    let config = json!({"model_type": "llama", "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 4, "rms_norm_eps": 1e-6,
        "max_position_embeddings": 64, "tie_word_embeddings": true});
    let model = linly_bench::model::ModelConfig::from_hf(&config).unwrap();
    let raw: Vec<_> =
        model.tensors().into_iter().map(|(n, s)| (n, vec![0u8; s.iter().product::<usize>() * 4], s)).collect();
    let views = raw.iter().map(|(name, bytes, shape)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    let tokenizer = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3}, "merges": []}});
    vec![
        (".gitattributes".into(), b"x".to_vec()),
        ("README.md".into(), b"# x".to_vec()),
        ("config.json".into(), config.to_string().into_bytes()),
        ("tokenizer.json".into(), tokenizer.to_string().into_bytes()),
        ("tokenizer_config.json".into(), json!({"eos_token": "d"}).to_string().into_bytes()),
        ("model.safetensors".into(), safetensors::serialize(views, None).unwrap()),
        ("pytorch_model.bin".into(), b"never".to_vec()),
        ("onnx/model.onnx".into(), b"never".to_vec()),
    ]
}

/// A hub with `repository` as `org/model` at commit `abc`; `change` alters the listing.
fn hub(files: Vec<(String, Vec<u8>)>, change: fn(&mut Value)) -> Server {
    Server::start(move |path| {
        if path == "/api/models/org/model?blobs=true" {
            let siblings = files.iter().map(|(name, bytes)| {
                let mut file = json!({"rfilename": name, "size": bytes.len()});
                if name.ends_with(".safetensors") || name.ends_with(".gguf") {
                    file["lfs"] = json!({"sha256": sha256(bytes), "size": bytes.len()});
                }
                file
            });
            let mut listing = json!({"sha": "abc", "siblings": siblings.collect::<Vec<_>>()});
            change(&mut listing);
            return Reply::Body(listing.to_string().into_bytes());
        }
        let file = path.strip_prefix("/org/model/resolve/abc/");
        match files.iter().find(|(name, _)| Some(name.as_str()) == file) {
            Some((_, bytes)) => Reply::Body(bytes.clone()),
            None => Reply::Status(404),
        }
    })
}

#[test]
fn a_repository_is_pulled_listed_and_described() {
    let server = hub(repository(), |_| {});
    let home = tempfile::tempdir().unwrap();
    let out = bench(home.path(), &server.address, &["models", "pull", "hf:org/model"]);
    assert!(out.status.success(), "{}", stderr(&out));
    let folder = home.path().join("models/org--model");
    assert_eq!(stdout(&out).trim_end(), folder.display().to_string());
    let mut here: Vec<_> = files_under(&folder).iter().map(|p| p.file_name().unwrap().to_owned()).collect();
    here.sort();
    assert_eq!(here, ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]);
    assert!(server.requests().iter().all(|r| r.authorization.as_deref() == Some("Bearer secret")));
    assert!(!stderr(&out).contains("secret"));

    // Again: only the small files, which carry no hash, are fetched.
    let before = server.requests().len();
    assert!(bench(home.path(), &server.address, &["models", "pull", "hf:org/model"]).status.success());
    assert!(!server.requests()[before..].iter().any(|r| r.path.ends_with("model.safetensors")));

    let out = bench(home.path(), &server.address, &["models", "list", "--json"]);
    let list: Value = serde_json::from_str(stdout(&out)).unwrap();
    let names: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["name"].as_str().unwrap(), m["pulled"].as_bool().unwrap()))
        .collect();
    assert_eq!(names, [("smollm2-135m", false), ("org--model", true)]);

    for spec in ["hf:org/model", "org--model", folder.to_str().unwrap()] {
        let out = bench(home.path(), &server.address, &["models", "info", spec, "--json"]);
        let info: Value = serde_json::from_str(stdout(&out)).unwrap();
        // 4·8 embedding, 8·8 q, 2·(4·8) k and v, 8·8 o, 3·(16·8) feed-forward, 3·8 norms.
        assert_eq!(info["parameters"], 32 + 64 + 64 + 64 + 384 + 24, "{spec}");
        assert_eq!((&info["architecture"], &info["quantization"]), (&json!("llama"), &json!("F32")));
        assert_eq!((&info["context_length"], &info["chat_template"]), (&json!(64), &json!(false)));
    }
    let out = bench(home.path(), &server.address, &["models", "info", "org--model", "--lang", "zh"]);
    assert!(stdout(&out).contains("参数量") && stdout(&out).contains("llama"));
}

#[test]
fn a_repository_that_cannot_be_used_is_refused_before_its_weights_are_fetched() {
    let mut files = repository();
    files[2].1 = json!({"model_type": "mamba"}).to_string().into_bytes();
    let server = hub(files, |_| {});
    let home = tempfile::tempdir().unwrap();
    let out = bench(home.path(), &server.address, &["models", "pull", "hf:org/model"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains("mamba") && stderr(&out).contains("qwen3"), "{}", stderr(&out));
    assert!(!server.requests().iter().any(|r| r.path.ends_with("model.safetensors")));
    assert!(!home.path().join("models").exists());

    let pickled = repository().into_iter().filter(|(name, _)| name != "model.safetensors").collect();
    let server = hub(pickled, |_| {});
    let out = bench(home.path(), &server.address, &["models", "pull", "hf:org/model"]);
    assert!(stderr(&out).contains("pickle"), "{}", stderr(&out));
}

#[test]
fn a_repository_whose_files_do_not_fit_its_list_leaves_nothing() {
    let wrong_hash = |listing: &mut Value| {
        for file in listing["siblings"].as_array_mut().unwrap() {
            if file.get("lfs").is_some() {
                file["lfs"]["sha256"] = json!("0".repeat(64));
            }
        }
    };
    let server = hub(repository(), wrong_hash);
    let home = tempfile::tempdir().unwrap();
    let out = bench(home.path(), &server.address, &["models", "pull", "hf:org/model"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains("SHA-256"), "{}", stderr(&out));
    assert!(!home.path().join("models").exists());
}

#[test]
fn one_gguf_of_several_is_named() {
    let files = ["a.gguf", "b.gguf"].map(|name| (name.to_owned(), FILE.to_vec())).to_vec();
    let server = hub(files, |_| {});
    let home = tempfile::tempdir().unwrap();
    let out = bench(home.path(), &server.address, &["models", "pull", "hf:org/model"]);
    assert!(stderr(&out).contains("a.gguf, b.gguf") && stderr(&out).contains("hf:org/model/FILE"), "{}", stderr(&out));
    let out = bench(home.path(), &server.address, &["models", "pull", "hf:org/model/b.gguf", "--json"]);
    let end: Value = serde_json::from_str(stdout(&out)).unwrap();
    assert_eq!((&end["event"], &end["source"]), (&json!("finished"), &json!("Hugging Face")));
    assert_eq!(end["path"], home.path().join("models/org--model/b.gguf").to_str().unwrap());
    let out = bench(home.path(), &server.address, &["models", "pull", "hf:org/model/c.gguf"]);
    assert!(stderr(&out).contains("c.gguf") && stderr(&out).contains("a.gguf, b.gguf"), "{}", stderr(&out));
}

#[test]
fn ctrl_c_stops_a_silent_transfer_at_once_and_leaves_nothing() {
    let server = Server::start(|path| match path {
        "/api/models/org/model?blobs=true" => {
            let listing = json!({"sha": "abc", "siblings": [{"rfilename": "a.gguf", "size": FILE.len()}]});
            Reply::Body(listing.to_string().into_bytes())
        }
        _ => Reply::Stall(FILE.to_vec(), 10),
    });
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_linly-bench"))
        .args(["--home".as_ref(), home.path().as_os_str()])
        .args(["models", "pull", "hf:org/model"])
        .env("HF_ENDPOINT", &server.address)
        .env("NO_PROXY", "127.0.0.1")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    server.stalled.recv().unwrap();
    let begun = std::time::Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed().as_secs() < 5);
    assert!(!home.path().join("models").exists());
}

#[test]
fn names_that_lead_nowhere_say_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let none = Server::start(|_| Reply::Status(404));
    for (args, says) in [
        (["models", "info", "smollm2-135m"], "models pull smollm2-135m"),
        (["models", "info", "hf:org/model"], "models pull hf:org/model"),
        (["models", "info", "nonsense"], "smollm2-135m"),
        (["models", "info", "../.."], "config.json"),
        (["models", "pull", "nonsense"], "hf:ORG/REPO"),
        (["models", "pull", "hf:nonsense"], "hf:ORG/REPO"),
    ] {
        let out = bench(home.path(), &none.address, &args);
        assert_eq!(out.status.code(), Some(1), "{args:?}");
        assert!(stderr(&out).contains(says), "{args:?}: {}", stderr(&out));
    }
    for args in [["models", "pull", "--help"], ["models", "list", "--help"], ["models", "info", "--help"]] {
        let out = bench(home.path(), &none.address, &args);
        assert!(out.status.success() && stdout(&out).contains("linly-bench models "), "{args:?}");
    }
}

/// Control characters of a file are not printed for people.
#[test]
fn text_of_a_file_cannot_control_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.gguf");
    let meta = [("general.architecture", Meta::Text("\x1b[31mllama"))];
    std::fs::write(&path, write_gguf(&meta, &[])).unwrap();
    let out = bench(dir.path(), "http://127.0.0.1:9", &["models", "info", path.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(1));
    assert!(!stderr(&out).contains('\x1b'), "{:?}", stderr(&out));
}

/// The hash is taken once a state of the file, and follows its contents.
#[test]
fn hashes_are_remembered_until_the_file_changes() {
    let home = tempfile::tempdir().unwrap();
    let settings = Settings { home: home.path().to_owned(), data_dir: None, seed: 1 };
    let bench = Workbench::open(settings).unwrap();
    let path = home.path().join("x.gguf");
    std::fs::write(&path, FILE).unwrap();
    assert_eq!(models::weights_hash(&bench, &path).unwrap(), sha256(FILE));
    let stamp = linly_bench::store::FileStamp::of(&path.canonicalize().unwrap()).unwrap();
    assert_eq!(bench.store.file_hash(&path.canonicalize().unwrap(), stamp).unwrap(), Some(sha256(FILE)));
    std::fs::write(&path, b"other contents").unwrap();
    assert_eq!(models::weights_hash(&bench, &path).unwrap(), sha256(b"other contents"));

    let folder = home.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    for (name, bytes) in repository() {
        if !name.contains('/') {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let before = models::weights_hash(&bench, &folder).unwrap();
    std::fs::write(folder.join("README.md"), b"changed").unwrap();
    assert_eq!(models::weights_hash(&bench, &folder).unwrap(), before);
    std::fs::write(folder.join("config.json"), b"{}").unwrap();
    assert_ne!(models::weights_hash(&bench, &folder).unwrap(), before);
}

#[test]
fn the_real_model_is_described() {
    let Some(gguf) = test_gguf() else { return };
    let home = tempfile::tempdir().unwrap();
    let out = bench(home.path(), "http://127.0.0.1:9", &["models", "info", gguf.to_str().unwrap(), "--json"]);
    let info: Value = serde_json::from_str(stdout(&out)).unwrap();
    assert_eq!((&info["parameters"], &info["quantization"]), (&json!(134_515_008), &json!("Q4_1")));
    assert_eq!((&info["context_length"], &info["chat_template"]), (&json!(8192), &json!(true)));
    assert_eq!((&info["eos_token"], &info["file_bytes"]), (&json!("<|im_end|>"), &json!(98_362_432)));
}
