//! `train` as a user meets it, with a real model: killed and resumed, and refusing what cannot work.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn linly(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linly-bench"));
    command.env("LINLY_BENCH_HOME", home).env("LC_ALL", "C.UTF-8").env_remove("LINLY_BENCH_DATA");
    command
}

fn run(home: &Path, args: &[&str]) -> Output {
    linly(home).args(args).output().unwrap()
}

fn succeed(home: &Path, args: &[&str]) -> String {
    let out = run(home, args);
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// stderr of a command that must fail with exit code 1.
fn fail(home: &Path, args: &[&str]) -> String {
    let out = run(home, args);
    let stderr = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{args:?}: {stderr}");
    assert!(stderr.contains("hint: "), "{args:?} gives no hint: {stderr}");
    stderr
}

fn last_line(text: &str) -> Value {
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// A home with the model and eight short rows, two of them held out.
fn home() -> Option<tempfile::TempDir> {
    let home = common::home_with_model()?;
    let rows: String = (0..8)
        .map(|i| {
            let split = if i < 6 { "train" } else { "val" };
            let row = serde_json::json!({
                "instruction": format!("{i} + {i} = ?"), "output": format!("{}", 2 * i), "split": split,
            });
            format!("{row}\n")
        })
        .collect();
    let file = home.path().join("rows.jsonl");
    std::fs::write(&file, rows).unwrap();
    succeed(home.path(), &["data", "import", file.to_str().unwrap(), "--name", "sums", "--lang", "en"]);
    Some(home)
}

const TRAIN: [&str; 17] = [
    "train",
    "--json",
    "--model",
    "smollm2-135m",
    "--data",
    "sums",
    "--template",
    "linly",
    "--steps",
    "6",
    "--batch-size",
    "2",
    "--save-every",
    "1",
    "--eval-every",
    "3",
    "--adapter",
];

#[test]
fn a_killed_training_reads_interrupted_and_resumes_to_the_same_adapter() {
    let Some(home) = home() else { return };
    let home = home.path();
    let straight = last_line(&succeed(home, &[&TRAIN[..], &["straight"]].concat()));
    assert_eq!((&straight["event"], &straight["steps"]), (&"finished".into(), &6.into()));
    for key in ["run", "adapter_dir", "final_loss", "best_val_loss", "dropped_rows", "peak_rss_mb"] {
        assert!(!straight[key].is_null(), "{key} is missing");
    }

    let mut child = linly(home).args(TRAIN).arg("killed").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut run_id = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if event["event"] == "started" {
            run_id = event["run"].as_str().unwrap().to_owned();
        }
        if event["event"] == "step" && event["step"] == 4 {
            // SIGKILL: nothing in the process hears of it.
            child.kill().unwrap();
            break;
        }
    }
    child.wait().unwrap();
    let runs: Value = serde_json::from_str(&succeed(home, &["runs", "list", "--json"])).unwrap();
    assert_eq!((&runs[0]["run"], &runs[0]["status"]), (&run_id.as_str().into(), &"interrupted".into()));
    assert!(!home.join("adapters/killed").exists(), "half an adapter was left");

    let resumed = last_line(&succeed(home, &["train", "--json", "--resume", &run_id]));
    assert_eq!(resumed["run"], run_id.as_str());
    for key in ["steps", "final_loss", "best_val_loss", "base_val_loss"] {
        assert_eq!(resumed[key], straight[key], "{key}");
    }
    let weights =
        |name: &str| std::fs::read(home.join("adapters").join(name).join("adapter_model.safetensors")).unwrap();
    assert_eq!(weights("killed"), weights("straight"));
    let message = fail(home, &["train", "--resume", &run_id]);
    assert!(message.contains("no unfinished training"), "{message}");
}

#[test]
fn what_cannot_work_is_refused_with_a_way_out() {
    let Some(home) = home() else { return };
    let home = home.path();
    fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["train", "--adapter", "x", "--model", "smollm2-135m"], more].concat()
    }
    assert!(fail(home, &train(&["--data", "sums", "--template", "nonsense"])).contains("nonsense"));
    assert!(fail(home, &train(&["--data", "nowhere"])).contains("nowhere"));
    assert!(fail(home, &train(&["--data", "sums", "--val", "0.999"])).contains("0.999"));
    assert!(fail(home, &train(&["--data", "sums", "--max-len", "2"])).contains("no row"));
    assert!(
        fail(home, &["train", "--data", "sums", "--adapter", "x", "--model", "no-such-model"])
            .contains("no-such-model")
    );
    assert!(fail(home, &["train", "--data", "sums", "--adapter", "../x", "--model", "smollm2-135m"]).contains("../x"));
    assert!(!home.join("adapters").exists(), "a refused training left an adapter");
    // A flag that is not there at all is wrong usage.
    for wrong in [
        &["--target", "z_proj"][..],
        &["--rank", "100000"],
        &["--clip=-1"],
        &["--packing", "maybe"],
        &["--packing", "on", "--bucket", "on"],
        &["--overlong", "shorten"],
        &["--loss-on", "first"],
        &["--rank-pattern", "q_proj"],
        &["--rank-pattern", "down_proj=4"],
        &["--alpha-pattern", "layers.99.self_attn.q_proj=4"],
    ] {
        let out = run(home, &[&train(&["--data", "sums"])[..], wrong].concat());
        assert_eq!(out.status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(run(home, &["train", "--data", "sums", "--adapter", "x"]).status.code(), Some(2));

    // An adapter of another model, by its shapes.
    let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/tiny/llama/adapter");
    let message = fail(
        home,
        &["run", "finance-qa", "--limit", "1", "--adapter", other.to_str().unwrap(), "--model", "smollm2-135m"],
    );
    assert!(message.contains("belongs to another base model"), "{message}");
    assert!(fail(home, &["run", "finance-qa", "--adapter", "nobody", "--model", "smollm2-135m"]).contains("nobody"));

    // A model file that ends too early.
    let cut = home.join("cut.gguf");
    let whole = std::fs::read(common::test_gguf().unwrap()).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let message = fail(home, &["run", "finance-qa", "--limit", "1", "--model", cut.to_str().unwrap()]);
    assert!(message.contains("cut.gguf"), "{message}");
    let runs: Value = serde_json::from_str(&succeed(home, &["runs", "list", "--json"])).unwrap();
    let done = runs.as_array().unwrap().iter().filter(|r| r["status"] == "running" || r["status"] == "done").count();
    assert_eq!(done, 0, "{runs}");
}

/// Two short conversations and one long: its question has many tokens, its answers few.
fn conversations(home: &Path) {
    let long = "very ".repeat(100);
    let rows: String = [("1 + 1 = ?", "2"), (long.as_str(), "Indeed."), ("2 + 2 = ?", "4")]
        .iter()
        .map(|(question, answer)| {
            let row = serde_json::json!({"conversations": [
                {"from": "human", "value": "Hello"}, {"from": "function_call", "value": "clock()"},
                {"from": "observation", "value": "noon"}, {"from": "gpt", "value": "It is noon."},
                {"from": "human", "value": question}, {"from": "gpt", "value": answer},
            ]});
            format!("{row}\n")
        })
        .collect();
    let file = home.join("talks.jsonl");
    std::fs::write(&file, rows).unwrap();
    succeed(home, &["data", "import", file.to_str().unwrap(), "--name", "talks", "--format", "sharegpt"]);
}

#[test]
fn over_long_rows_are_dropped_and_listed_cut_or_split() {
    let Some(home) = home() else { return };
    let home = home.path();
    conversations(home);
    // Settings as a file, to see that it knows the same names.
    let settings = home.join("train.toml");
    std::fs::write(
        &settings,
        "model = \"smollm2-135m\"\ndata = \"talks\"\nsteps = 1\nmax-len = 96\ntarget = \"all-linear\"\nbucket = \"on\"\n\
         rank-pattern = \"down_proj=16,layers.0.self_attn.q_proj=4\"\nalpha-pattern = \"v_proj=4\"\n",
    )
    .unwrap();
    let settings = settings.to_str().unwrap();
    let train = |name: &str, more: &[&str]| {
        last_line(&succeed(home, &[&["train", "--json", "--config", settings, "--adapter", name], more].concat()))
    };
    let dropped = train("dropped", &[]);
    assert_eq!((&dropped["train_rows"], &dropped["dropped_rows"]), (&2.into(), &1.into()));
    let list = std::fs::read_to_string(dropped["dropped_file"].as_str().unwrap()).unwrap();
    let listed: Value = serde_json::from_str(&list).unwrap();
    assert_eq!((&listed["dataset"], &listed["row"], &listed["why"]), (&"talks".into(), &1.into(), &"too_long".into()));
    assert!(listed["tokens"].as_u64().unwrap() > 96);

    let cut = train("cut", &["--overlong", "cut", "--loss-on", "last"]);
    assert_eq!((&cut["train_rows"], &cut["dropped_rows"], &cut["cut_rows"]), (&3.into(), &0.into(), &1.into()));
    assert_eq!(cut["cut_tokens"].as_u64().unwrap(), listed["tokens"].as_u64().unwrap() - 96);
    // With every answer learnt, what stands before the first one is too short to cut from.
    let refused = train("cut-all", &["--overlong", "cut"]);
    assert_eq!((&refused["dropped_rows"], &refused["cut_rows"]), (&1.into(), &0.into()));
    let split = train("split", &["--overlong", "split"]);
    assert_eq!((&split["train_rows"], &split["split_rows"]), (&3.into(), &1.into()));
    assert_eq!(split["dropped_file"], Value::Null);

    let config = std::fs::read_to_string(home.join("adapters/split/adapter_config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["rank_pattern"], serde_json::json!({"down_proj": 16, "layers.0.self_attn.q_proj": 4}));
    assert_eq!(config["alpha_pattern"], serde_json::json!({"v_proj": 4}));
}

#[test]
fn a_preview_shows_which_turns_are_learnt() {
    let Some(home) = home() else { return };
    let home = home.path();
    conversations(home);
    let preview = |which: &str| {
        let args = ["data", "preview", "talks", "--model", "smollm2-135m", "--loss-on", which];
        succeed(home, &args)
    };
    let all = preview("all");
    assert!(all.contains("[[clock()<|im_end|>]]") && all.contains("[[It is noon.<|im_end|>]]"), "{all}");
    assert!(all.contains("tool\nnoon<|im_end|>") && all.contains("[[2<|im_end|>]]"), "{all}");
    let last = preview("last");
    assert!(last.contains("clock()") && last.contains("[[2<|im_end|>]]") && last.matches("[[").count() == 1, "{last}");
}

#[test]
fn a_database_from_a_newer_program_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    succeed(home.path(), &["data", "list", "--json"]);
    let file = home.path().join("linly.db");
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
                  c.execute(\"INSERT INTO _sqlx_migrations VALUES (99990101000000, 'later', '2026-01-01', 1, x'00', 1)\"); c.commit()";
    let status = Command::new("python3").args(["-c", script]).arg(&file).status();
    if !status.is_ok_and(|s| s.success()) {
        eprintln!("skipped: no python3 to write the later migration with");
        return;
    }
    let message = fail(home.path(), &["data", "list"]);
    assert!(message.contains("newer") && message.contains("99990101000000"), "{message}");
}
