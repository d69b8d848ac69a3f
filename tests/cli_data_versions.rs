//! `linly-bench data` from outside: versions, edits, refused records, figures.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests may fail loudly

use serde_json::{Value, json};
use std::process::{Command, Output};
use tempfile::TempDir;

struct Bench {
    dir: TempDir,
}

impl Bench {
    /// A home with the dataset `x` of three rows and one refused record.
    fn new() -> Bench {
        let bench = Bench { dir: tempfile::tempdir().unwrap() };
        let rows = [
            row("什么是基金？", "一种投资。"),
            "{\"instruction\": \"no answer\"".into(),
            row("What is a bond?", "A loan."),
            row("q", "a"),
        ];
        let file = bench.file("rows.jsonl", &rows.join("\n"));
        bench.json(&["data", "import", &file, "--name", "x"]);
        bench
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linly-bench"));
        let home = self.dir.path().join("home");
        command
            .args(args)
            .env("LINLY_BENCH_HOME", home)
            .env("LC_ALL", "C")
            .env("NO_COLOR", "1")
            .env_remove("VISUAL")
            .env_remove("EDITOR");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(std::process::Stdio::null()).output().unwrap()
    }

    fn text(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[args, &["--json"]].concat())).unwrap()
    }

    fn fails(&self, args: &[&str], code: i32) -> String {
        let out = self.run(args);
        let stderr = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(code), "{args:?}: {stderr}");
        stderr
    }
}

fn row(instruction: &str, output: &str) -> String {
    json!({"instruction": instruction, "output": output}).to_string()
}

#[test]
fn an_edit_makes_a_version_that_can_be_compared_named_and_left_again() {
    let bench = Bench::new();
    let edited =
        bench.json(&["data", "edit", "x", "--row", "1", "--set", "output=A tradable loan.", "--set", "split=val"]);
    assert_eq!((&edited["number"], &edited["unchanged"], &edited["edited"]), (&json!(2), &json!(false), &json!(1)));
    assert_eq!(bench.json(&["data", "edit", "x", "--row", "1", "--set", "split=val"])["unchanged"], true);
    let diff = bench.json(&["data", "diff", "x", "1", "2"]);
    let fields =
        json!({"output": {"from": "A loan.", "to": "A tradable loan."}, "split": {"from": "train", "to": "val"}});
    assert_eq!(diff["changed"], json!([{"row": 1, "fields": fields}]));
    assert_eq!((&diff["added"], &diff["removed"], &diff["moved"]), (&json!([]), &json!([]), &json!(0)));
    let text = bench.text(&["data", "diff", "x", "1"]);
    assert!(text.contains("output: A {+tradable +}loan."), "{text}");

    assert_eq!(bench.json(&["data", "tag", "x", "first", "1"])["number"], 1);
    let version = edited["version"].as_str().unwrap();
    for (words, output, number) in [
        ("x@first", "A loan.", 1),
        ("x@1", "A loan.", 1),
        ("x@2", "A tradable loan.", 2),
        (&format!("x@{}", &version[..8]), "A tradable loan.", 2),
        ("x", "A tradable loan.", 2),
    ] {
        let shown = bench.json(&["data", "show", words]);
        assert_eq!((&shown["examples"][1]["output"], &shown["number"]), (&json!(output), &json!(number)), "{words}");
    }
    let changes = bench
        .file("changes.jsonl", "{\"row\": 0, \"output\": \"新的回答\"}\n{\"row\": 2, \"history\": [[\"a\", \"b\"]]}\n");
    assert_eq!(bench.json(&["data", "edit", "x", "--from", &changes])["edited"], 2);
    let history = bench.json(&["data", "history", "x"]);
    let numbers: Vec<u64> =
        history["versions"].as_array().unwrap().iter().map(|v| v["number"].as_u64().unwrap()).collect();
    assert_eq!((numbers, &history["versions"][0]["tags"]), (vec![1, 2, 3], &json!(["first"])));

    let back = bench.json(&["data", "restore", "x", "first"]);
    assert_eq!((&back["number"], &back["version"]), (&json!(4), &history["versions"][0]["version"]));
    // The file that made the first version is known, whatever happened since.
    let file = bench.dir.path().join("rows.jsonl").to_string_lossy().into_owned();
    bench.json(&["data", "restore", "x", "2"]);
    assert_eq!(bench.json(&["data", "import", &file, "--name", "x"])["unchanged"], true);
    assert_eq!(bench.json(&["data", "show", "x"])["number"], 5);
}

#[test]
fn rows_and_datasets_come_back_after_they_were_deleted() {
    let bench = Bench::new();
    assert_eq!(bench.json(&["data", "delete", "x", "--row", "0,2"])["rows"], 1);
    let shown = bench.json(&["data", "show", "x"]);
    assert_eq!((&shown["matched"], &shown["examples"][0]["row"]), (&json!(1), &json!(1)), "a row keeps its number");
    assert!(bench.fails(&["data", "edit", "x", "--row", "0", "--set", "output=b"], 1).contains("no row 0"));
    assert_eq!(bench.json(&["data", "restore", "x", "--row", "2"])["rows"], 2);
    assert!(bench.fails(&["data", "restore", "x"], 2).contains("history"));

    let gone = bench.json(&["data", "delete", "x"]);
    assert_eq!((&gone["deleted"], &gone["purged"]), (&json!(2), &json!(false)));
    assert!(bench.fails(&["data", "show", "x"], 1).contains("data restore x"));
    assert_eq!(bench.json(&["data", "list"]), json!([]));
    assert_eq!(bench.json(&["data", "list", "--deleted"])[0]["dataset"], "x");
    assert_eq!(bench.json(&["data", "restore", "x"])["rows"], 2);
    assert_eq!(bench.json(&["data", "delete", "x", "--purge"])["purged"], true);
    assert_eq!(bench.json(&["data", "list", "--deleted"]), json!([]));
    bench.fails(&["data", "restore", "x"], 1);
}

#[test]
fn refused_records_are_kept_corrected_and_come_in() {
    let bench = Bench::new();
    let rejects = bench.json(&["data", "rejects", "x"]);
    assert_eq!(rejects["rejects"][0]["raw"], "{\"instruction\": \"no answer\"");
    assert_eq!(rejects["rejects"][0]["line"], 2);
    let out = bench.dir.path().join("bad.jsonl").to_string_lossy().into_owned();
    assert_eq!(bench.json(&["data", "rejects", "x", "-o", &out])["written"], 1);
    let fixed =
        std::fs::read_to_string(&out).unwrap().replace("\"no answer\"", "\"no answer\", \"output\": \"now one\"}");
    bench.file("bad.jsonl", &fixed);
    let report = bench.json(&["data", "import", &out, "--name", "x", "--append"]);
    assert_eq!((&report["imported"], &report["number"]), (&json!(1), &json!(2)));
    assert_eq!(bench.json(&["data", "show", "x", "--from", "3"])["examples"][0]["output"], "now one");
    // What is corrected has left the list; the version before still has it.
    assert_eq!(report["corrected"], 1);
    assert_eq!(bench.json(&["data", "rejects", "x"])["rejects"], json!([]));
    assert_eq!(bench.json(&["data", "list"])[0]["rejected"], 0);
    assert_eq!(bench.json(&["data", "rejects", "x@1"])["rejects"][0]["line"], 2);
}

#[test]
fn only_what_is_corrected_leaves_the_list_of_refused_records() {
    let bench = Bench::new();
    let records = ["{\"instruction\": \"one\"", "{\"instruction\": \"two\"", "......", "......", "[1"];
    let file = bench.file("five.jsonl", &format!("{}\n{}", row("good", "row"), records.join("\n")));
    bench.json(&["data", "import", &file, "--name", "five"]);
    let lines = |words: &str| {
        let list = bench.json(&["data", "rejects", words]);
        list["rejects"].as_array().unwrap().iter().map(|r| r["line"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(lines("five"), [2, 3, 4, 5, 6]);
    let out = bench.dir.path().join("four.jsonl").to_string_lossy().into_owned();
    bench.json(&["data", "rejects", "five", "-o", &out, "--limit", "4"]);
    // The first is corrected, the second is refused for another reason, one of two equal ones is taken out.
    let text = std::fs::read_to_string(&out).unwrap();
    let text = text.replace("\"one\"", "\"one\", \"output\": \"1\"}").replace("\"two\"", "\"two\"}");
    bench.file("four.jsonl", text.strip_suffix("......\n").unwrap());
    let report = bench.json(&["data", "import", &out, "--name", "five", "--append"]);
    assert_eq!((&report["imported"], &report["rejected"], &report["corrected"]), (&json!(1), &json!(2), &json!(3)));
    let left = bench.json(&["data", "rejects", "five"]);
    let raw: Vec<&str> = left["rejects"].as_array().unwrap().iter().map(|r| r["raw"].as_str().unwrap()).collect();
    assert_eq!(raw, ["......", "[1", "{\"instruction\": \"two\"}"], "kept once, with its first place");
    assert_eq!(left["rejects"][1]["line"], 6);
    // Another file of the same rows changes nothing of the list, and is listed as any other.
    let copy = bench.file("copy.jsonl", "[1\n");
    assert!(bench.fails(&["data", "import", &copy, "--name", "five", "--append"], 1).contains("no usable row"));
    // A correction may turn out to be a row that is there already.
    bench.json(&["data", "rejects", "five", "-o", &out]);
    bench.file("four.jsonl", &row("good", "row"));
    let report = bench.json(&["data", "import", &out, "--name", "five", "--append"]);
    assert_eq!(
        (&report["unchanged"], &report["duplicates"], &report["corrected"]),
        (&json!(true), &json!(1), &json!(3))
    );
    assert_eq!(bench.json(&["data", "rejects", "five"])["rejects"], json!([]));
    assert_eq!(bench.json(&["data", "show", "five"])["rejected"], 0);
    assert_eq!(lines("five@1"), [2, 3, 4, 5, 6], "an earlier version keeps its list");
}

#[test]
fn figures_add_up() {
    let bench = Bench::new();
    let stats = bench.json(&["data", "stats", "x"]);
    assert_eq!(
        (&stats["rows"], &stats["rejected"], stats["parts"].as_array().unwrap().len()),
        (&json!(3), &json!(1), 2)
    );
    let zh = &stats["parts"][1];
    assert_eq!(
        (&zh["lang"], &zh["characters"]["total"], &zh["answer_characters"]["max"]),
        (&json!("zh"), &json!(11), &json!(5))
    );
    for part in stats["parts"].as_array().unwrap() {
        let rows: u64 =
            part["characters"]["below"].as_array().unwrap().iter().map(|bin| bin[1].as_u64().unwrap()).sum();
        assert_eq!(part["rows"], rows);
    }
    assert_eq!(stats["longest"][0], json!({"characters": 22, "row": 1}));
    assert_eq!(stats["files"][0][1], 3);
    assert!(bench.text(&["--lang", "zh", "data", "stats", "x"]).contains("█"));
}

#[test]
fn what_cannot_be_done_is_refused_and_changes_nothing() {
    let bench = Bench::new();
    let before = bench.json(&["data", "list"]);
    let bad = bench.file("bad.jsonl", "{\"row\": 0, \"output\": \"x\"}\n{\"row\": 99, \"output\": \"x\"}");
    for (args, words, code) in [
        (vec!["edit", "x", "--row", "0", "--set", "output= "], "empty", 1),
        (vec!["edit", "x", "--row", "0", "--set", "answer=b"], "instruction", 1),
        (vec!["edit", "x", "--row", "0"], "--set", 2),
        (vec!["edit", "x"], "--row", 2),
        (vec!["edit", "x", "--from", &bad], "no row 99", 1),
        (vec!["edit", "x", "--from", "/no/such/file"], "no such file", 1),
        (vec!["edit", "x@1\u{1b}[31m", "--row", "0", "--set", "output=b"], "no version", 1),
        (vec!["delete", "x", "--row", "a"], "names no rows", 1),
        (vec!["delete", "x", "--row", "3"], "no row 3", 1),
        (vec!["restore", "x", "9"], "no version", 1),
        (vec!["diff", "x", "1", "9"], "no version", 1),
        (vec!["diff", "y", "1"], "no dataset", 1),
        (vec!["tag", "x", "12"], "tag", 1),
        (vec!["history", "y"], "no dataset", 1),
        (vec!["rejects", "y"], "no dataset", 1),
        (vec!["stats", "y"], "no dataset", 1),
    ] {
        let message = bench.fails(&[vec!["data"], args.clone()].concat(), code);
        assert!(message.contains(words), "{args:?}: {message}");
        assert!(!message.contains('\u{1b}'), "{message:?}");
        assert_eq!(bench.json(&["data", "list"]), before, "{args:?}");
    }
    bench.json(&["data", "edit", "x", "--row", "0", "--set", "output=b"]);
    assert!(bench.fails(&["data", "delete", "x@1", "--row", "0"], 1).contains("restore x 1"));
}
