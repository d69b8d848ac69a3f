//! Data parallel: processes on the processor, connected by the same interface as those with GPUs, beside one process with the
//! same steps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tiny;

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn linly(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linly-bench"));
    command.env("LINLY_BENCH_HOME", home).env("LC_ALL", "C.UTF-8").env_remove("LINLY_BENCH_DATA");
    for variable in ["RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"] {
        command.env_remove(variable);
    }
    // One thread each: the processes share the machine.
    command.env("RAYON_NUM_THREADS", "1");
    command
}

fn succeeded(out: Output) -> String {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// A home with twelve rows, and a tiny model's folder in it.
fn home() -> (tempfile::TempDir, String) {
    let home = tempfile::tempdir().unwrap();
    let model = tiny::with_tokenizer(home.path(), "llama");
    let row = |i: usize| serde_json::json!({"instruction": format!("{i} and {i}"), "output": format!("is {}", 2 * i)});
    let rows: String = (0..12).map(|i| format!("{}\n", row(i))).collect();
    let file = home.path().join("rows.jsonl");
    std::fs::write(&file, rows).unwrap();
    let file = file.to_str().unwrap();
    succeeded(linly(home.path()).args(["data", "import", file, "--name", "sums", "--lang", "en"]).output().unwrap());
    let model = model.to_str().unwrap().to_owned();
    (home, model)
}

fn train(home: &Path, model: &str, adapter: &str, more: &[&str]) -> Command {
    let mut command = linly(home);
    command.args(["train", "--json", "--model", model, "--data", "sums", "--adapter", adapter]);
    command.args([
        "--steps",
        "4",
        "--batch-size",
        "2",
        "--accum",
        "2",
        "--lr",
        "5e-3",
        "--val",
        "0.2",
        "--target",
        "all",
    ]);
    command.args(["--dtype", "f32", "--device", "cpu"]).args(more);
    command
}

/// Loss and gradient norm of every step.
fn steps(events: &str) -> Vec<(f64, f64)> {
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let steps = events.filter(|e| e["event"] == "step");
    steps.map(|e| (e["loss"].as_f64().unwrap(), e["grad_norm"].as_f64().unwrap())).collect()
}

fn factors(home: &Path, adapter: &str) -> Vec<u8> {
    std::fs::read(home.join("adapters").join(adapter).join("adapter_model.safetensors")).unwrap()
}

#[test]
fn two_processes_take_the_steps_of_one() {
    let (home, model) = home();
    let home = home.path();
    let alone = steps(&succeeded(train(home, &model, "alone", &[]).output().unwrap()));
    assert_eq!(alone.len(), 4);
    let together = |adapter: &str| steps(&succeeded(train(home, &model, adapter, &["--gpus", "2"]).output().unwrap()));
    let found = together("two");
    assert_eq!(found.len(), 4);
    for ((loss, norm), (expected, length)) in found.iter().zip(&alone) {
        assert!((loss / expected - 1.0).abs() < 1e-5, "loss {loss}, not {expected}");
        assert!((norm / length - 1.0).abs() < 1e-4, "norm {norm}, not {length}");
    }
    // Sums are taken in the order of ranks: the same bits again.
    assert_eq!(together("again"), found);
    assert!(factors(home, "two") == factors(home, "again"));
    // One run each in the database, whoever helped.
    let runs = succeeded(linly(home).args(["runs", "list", "--json"]).output().unwrap());
    let runs: Value = serde_json::from_str(&runs).unwrap();
    let list = runs.as_array().or_else(|| runs["runs"].as_array()).unwrap();
    assert_eq!(list.len(), 3, "{runs}");
}

#[test]
fn processes_find_each_other_by_torchruns_variables_and_refuse_other_settings() {
    let (home, model) = home();
    let home = home.path();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let start = |rank: &str, more: &[&str]| {
        let mut command = train(home, &model, "pair", more);
        command.envs([("RANK", rank), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", &port)]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let (first, second) = (start("0", &[]), start("1", &[]));
    assert_eq!(steps(&succeeded(first.wait_with_output().unwrap())).len(), 4);
    assert_eq!(succeeded(second.wait_with_output().unwrap()), "");

    let (first, second) = (start("0", &[]), start("1", &["--warmup", "0.5"]));
    let (first, second) = (first.wait_with_output().unwrap(), second.wait_with_output().unwrap());
    assert_eq!((first.status.code(), second.status.code()), (Some(1), Some(1)));
    assert!(String::from_utf8_lossy(&first.stderr).contains("other settings"));
}

#[test]
fn steps_that_cannot_be_shared_are_refused() {
    let (home, model) = home();
    let out = train(home.path(), &model, "three", &["--gpus", "3"]).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("--accum"));
}

#[test]
fn the_first_process_can_be_stopped_while_it_waits_and_says_for_whom() {
    let (home, model) = home();
    let mut command = train(home.path(), &model, "alone", &[]);
    command.envs([("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "0")]);
    let mut first = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().contains("waiting for 1 other")), "it ended before it waited");
    // SAFETY: the process is this test's own and was not waited for yet.
    unsafe { libc::kill(first.id() as i32, libc::SIGINT) };
    let mut said = String::new();
    first.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!first.wait().unwrap().success());
    assert!(said.contains("interrupted while waiting for rank 1"), "{said}");
}
