//! Import of every kind of file and `data export` from outside: what goes out comes back as the same rows.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Bench {
    dir: tempfile::TempDir,
    home: PathBuf,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        Bench { dir, home }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_string_lossy().into_owned()
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linly-bench"));
        command.args(args).current_dir(self.dir.path()).env("LINLY_BENCH_HOME", &self.home).env("LC_ALL", "C");
        command.env("NO_COLOR", "1").output().unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        let out = self.run(&[args, &["--json"]].concat());
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    }

    fn fails(&self, args: &[&str], code: i32) -> String {
        let out = self.run(args);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stderr).unwrap()
    }
}

fn rows() -> String {
    [
        json!({"instruction": "什么是\"基金\"？\r\n", "input": "表\n1,2", "output": "一种;投资\t。", "split": "val"}),
        json!({"instruction": "q", "output": "a", "system": "s", "history": [["q1", "a1"], ["q2", "a2"]]}),
        json!({"instruction": "42", "output": "done", "history": [["q", "f(1)"]], "tool_turns": [1], "lang": "zh",
            "system": "s", "tools": "[{\"name\": \"f\"}]"}),
    ]
    .map(|row| row.to_string())
    .join("\n")
}

#[test]
fn every_format_comes_back_with_the_same_version() {
    let bench = Bench::new();
    let version = bench.json(&["data", "import", &bench.file("a.jsonl", rows()), "--name", "x"])["version"].clone();
    for (format, file) in [
        ("alpaca", "o.json"),
        ("alpaca", "o.jsonl"),
        ("sharegpt", "s.json"),
        ("messages", "m.jsonl"),
        ("csv", "o.csv"),
        ("tsv", "o.tsv"),
        ("parquet", "o.parquet"),
    ] {
        let report = bench.json(&["data", "export", "x", "--format", format, "-o", file]);
        assert_eq!((&report["rows"], &report["val"], &report["version"]), (&json!(3), &json!(1), &version));
        let back = bench.json(&["data", "import", file, "--name", "back", "--replace"]);
        assert_eq!((&back["version"], &back["rejected"]), (&version, &json!(0)), "{format}");
        assert_eq!((&back["fields_left_aside"], &back["remarks"]), (&json!({}), &json!([])), "{format}");
    }
    let part = bench.json(&["data", "export", "x", "-o", "val.jsonl", "--split", "val"]);
    assert_eq!((&part["rows"], &part["train"]), (&json!(1), &json!(0)));
    assert!(bench.fails(&["data", "export", "y", "-o", "y.json"], 1).contains("no dataset"));
    assert!(bench.fails(&["data", "export", "x", "--format", "tokens", "-o", "t"], 2).contains("--model"));
}

#[test]
fn folders_for_other_trainers_come_back_too() {
    let bench = Bench::new();
    let file = bench.file("a.jsonl", format!("{}\nbroken", rows().replace("[1]", "[]")));
    bench.json(&["data", "import", &file, "--name", "x", "--license", "CC-BY-4.0", "--source", "here"]);
    let report = bench.json(&["data", "export", "x", "--format", "llama-factory", "-o", "lf"]);
    assert_eq!(report["files"].as_array().unwrap().len(), 5);
    let list: Value = serde_json::from_slice(&std::fs::read(bench.path("lf/dataset_info.json")).unwrap()).unwrap();
    assert_eq!(list["x_val"]["file_name"], "x_val.json");
    // LLaMA-Factory stops at a column that is listed and that no row has.
    for (set, columns) in list.as_object().unwrap() {
        let file = std::fs::read(bench.path(&format!("lf/{set}.json"))).unwrap();
        let rows: Vec<Value> = serde_json::from_slice(&file).unwrap();
        for (_, column) in columns["columns"].as_object().unwrap() {
            assert!(rows.iter().any(|row| row.get(column.as_str().unwrap()).is_some()), "{set}: {column}");
        }
    }
    assert_eq!(list["x_train"]["columns"]["tools"], "tools");
    let card = std::fs::read_to_string(bench.path("lf/README.md")).unwrap();
    assert!(card.starts_with("---\npretty_name: \"x\"\nlicense: \"cc-by-4.0\"\n"), "{card}");
    assert!(
        card.contains("| 3 | 2 | 1 | 2 | 1 |") && card.contains("a.jsonl:4: not JSON") && !card.contains(&file),
        "{card}"
    );
    assert_eq!(bench.json(&["data", "import", "lf", "--name", "y"])["imported"], 3);
    let same = |name: &str| {
        let mut hashes: Vec<String> = bench.json(&["data", "show", name])["examples"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| format!("{} {} {}", row["hash"], row["split"], row["lang"]))
            .collect();
        hashes.sort();
        hashes
    };
    assert_eq!(same("y"), same("x"));
    bench.json(&["data", "export", "x", "--format", "axolotl", "-o", "ax"]);
    bench.json(&["data", "import", "ax/*.jsonl", "--name", "z"]);
    assert_eq!(same("z"), same("x"));
    assert!(std::fs::read_to_string(bench.path("ax/axolotl.yaml")).unwrap().contains("test_datasets:"));
}

#[test]
fn folders_are_made_and_an_earlier_file_gives_way_to_a_whole_one_only() {
    let bench = Bench::new();
    bench.json(&["data", "import", &bench.file("a.jsonl", rows()), "--name", "x"]);
    bench.json(&["data", "export", "x", "-o", "new/folder/x.jsonl"]);
    let before = std::fs::read(bench.path("new/folder/x.jsonl")).unwrap();
    assert_eq!(before.iter().filter(|byte| **byte == b'\n').count(), 3);
    // The second of these rows has an empty turn, which conversations cannot carry.
    let bad = json!({"instruction": "q", "output": "a", "history": [["", "b"]]});
    bench.json(&["data", "import", &bench.file("b.jsonl", format!("{}\n{bad}", rows())), "--name", "x", "--append"]);
    bench.fails(&["data", "export", "x", "--format", "messages", "-o", "new/folder/x.jsonl"], 1);
    assert_eq!(std::fs::read(bench.path("new/folder/x.jsonl")).unwrap(), before);
    assert_eq!(std::fs::read_dir(bench.path("new/folder")).unwrap().count(), 1, "nothing half-written stays");
}

/// A table's columns depend on all rows, so rows of an earlier pass and of a later one must be the same ones.
#[test]
fn a_version_is_exported_as_it_was() {
    let bench = Bench::new();
    bench.json(&["data", "import", &bench.file("a.jsonl", rows()), "--name", "x"]);
    bench.json(&["data", "delete", "x", "--row", "1"]);
    bench.json(&["data", "split", "x", "--val", "1", "--seed", "5"]);
    for (words, count) in [("x@1", 3), ("x@2", 2), ("x", 2)] {
        let version = bench.json(&["data", "show", words])["version"].clone();
        for file in ["o.csv", "o.json", "o.parquet"] {
            let format = if file.ends_with("json") { "alpaca" } else { file.split_once('.').unwrap().1 };
            let report = bench.json(&["data", "export", words, "--format", format, "-o", file]);
            assert_eq!((&report["rows"], &report["version"]), (&json!(count), &version), "{words} {file}");
            let back = bench.json(&["data", "import", file, "--name", "back", "--replace"]);
            assert_eq!(back["version"], version, "{words} {file}");
        }
    }
}

#[test]
fn a_row_that_a_format_cannot_carry_is_named() {
    let bench = Bench::new();
    let row = json!({"instruction": "q", "output": "a", "history": [["", "hello"]]});
    bench.json(&["data", "import", &bench.file("a.jsonl", row.to_string()), "--name", "x"]);
    let message = bench.fails(&["data", "export", "x", "--format", "messages", "-o", "m.jsonl"], 1);
    assert!(message.contains("row 0 ") && message.contains("alpaca"), "{message}");
    assert!(!Path::new(&bench.path("m.jsonl")).exists());
    bench.json(&["data", "export", "x", "-o", "a.json"]);
}

#[test]
fn folders_patterns_and_lists_of_sets_are_opened() {
    let bench = Bench::new();
    let row = |q: &str| json!({"instruction": q, "output": "a"}).to_string();
    bench.file("d/a.jsonl", row("1"));
    bench.file("d/sub/b.csv", "question,answer\n2,a\n");
    bench.file("d/sub/c.csv", "x,y\n1,2\n");
    bench.file("d/LICENSE", "text");
    bench.file("d/.hidden.json", "oops");
    let report = bench.json(&["data", "import", "d", "--name", "d"]);
    assert_eq!((&report["imported"], &report["rejected"]), (&json!(2), &json!(0)));
    let skipped: Vec<&str> =
        report["skipped"].as_array().unwrap().iter().map(|s| s["file"].as_str().unwrap()).collect();
    assert_eq!(skipped, ["d/LICENSE", "d/sub/c.csv"]);
    assert!(report["remarks"][0].as_str().unwrap().contains("instruction=question,output=answer"), "{report}");
    assert!(bench.fails(&["data", "import", "d", "--name", "e", "--strict"], 1).contains("nothing was imported"));
    assert_eq!(bench.json(&["data", "import", "d/**/*.jsonl", "--name", "g"])["imported"], 1);
    bench.file(
        "lf/dataset_info.json",
        json!({
            "one": {"file_name": "one.json", "columns": {"prompt": "q", "response": "a"}},
            "talk": {"file_name": "talk.json", "formatting": "sharegpt", "columns": {"messages": "m"},
                     "tags": {"role_tag": "who", "content_tag": "what", "user_tag": "u", "assistant_tag": "b"}},
            "dpo": {"file_name": "one.json", "ranking": true},
            "gone": {"file_name": "gone.json"},
        })
        .to_string(),
    );
    bench.file("lf/one.json", r#"[{"q": "1", "a": "2"}]"#);
    bench.file("lf/talk.json", r#"[{"m": [{"who": "u", "what": "3"}, {"who": "b", "what": "4"}]}]"#);
    let report = bench.json(&["data", "import", "lf/dataset_info.json", "--name", "lf"]);
    assert_eq!((&report["imported"], report["skipped"].as_array().unwrap().len()), (&json!(2), 2));
    let report = bench.json(&["data", "import", "lf", "--entry", "talk", "--name", "talk"]);
    assert_eq!((&report["imported"], &report["skipped"]), (&json!(1), &json!([])));
}

#[test]
fn token_files_hold_what_preview_shows() {
    let Some(home) = common::home_with_model() else { return };
    let mut bench = Bench::new();
    bench.home = home.path().to_owned();
    let long = json!({"instruction": "long", "output": "word ".repeat(300)}).to_string();
    bench.json(&["data", "import", &bench.file("a.jsonl", format!("{}\n{long}", rows())), "--name", "x"]);
    let tokens = ["data", "export", "x", "--format", "tokens", "--model", "smollm2-135m", "--template", "alpaca"];
    let report = bench.json(&[&tokens[..], &["--max-len", "200", "-o", "tok"]].concat());
    assert_eq!((&report["rows"], &report["left_out"][0]["row"]), (&json!(3), &json!(3)), "{report}");
    assert_eq!(report["left_out_rows"], 1);
    let left_out = std::fs::read_to_string(bench.path("tok/left-out.jsonl")).unwrap();
    assert_eq!(
        left_out.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()).collect::<Vec<_>>(),
        *report["left_out"].as_array().unwrap()
    );
    let manifest: Value = serde_json::from_slice(&std::fs::read(bench.path("tok/export.json")).unwrap()).unwrap();
    assert_eq!((&manifest["train_rows"], &manifest["val_rows"]), (&json!([1, 2]), &json!([0])));
    for file in ["train.parquet", "val.parquet", "README.md", "trl.yaml", "axolotl.yaml", "llama-factory.yaml"] {
        assert!(Path::new(&bench.path("tok")).join(file).is_file(), "{file}");
    }
    let Some(python) = std::env::var_os("LINLY_BENCH_TRL_PYTHON") else {
        eprintln!("skipped: set LINLY_BENCH_TRL_PYTHON to a Python with trl to compare with its collator");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/check-tokens-trl.py");
    let out = Command::new(python)
        .arg(script)
        .args([env!("CARGO_BIN_EXE_linly-bench"), &bench.path("tok")])
        .env("LINLY_BENCH_HOME", &bench.home)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
