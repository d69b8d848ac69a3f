//! `linly-bench data …` from outside: the contract's keys and exit codes, and files as they come.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests may fail loudly

use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Bench {
        Bench { dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_string_lossy().into_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linly-bench"));
        command
            .args(args)
            .env("LINLY_BENCH_HOME", self.dir.path().join("home"))
            .env("LC_ALL", "C")
            .env("NO_COLOR", "1");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn text(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[args, &["--json"]].concat())).unwrap()
    }

    fn fails(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert_eq!(out.status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        assert!(out.stdout.is_empty(), "{args:?} printed data");
        String::from_utf8(out.stderr).unwrap()
    }

    fn datasets(&self) -> usize {
        self.json(&["data", "list"]).as_array().unwrap().len()
    }
}

fn line(instruction: &str, output: &str) -> String {
    json!({"instruction": instruction, "input": "", "output": output}).to_string()
}

#[test]
fn import_answers_with_the_contracts_keys() {
    let bench = Bench::new();
    let text = [
        &line("什么是基金？", "一种投资。"),
        "......",
        &line("What is a bond?", "A loan."),
        &line("什么是基金？", "一种投资。"),
        "...",
    ];
    let file = bench.file("fin.json", text.join("\n"));
    let report = bench.json(&["data", "import", &file, "--name", "fin", "--license", "CC0", "--source", "here"]);
    assert_eq!(report["dataset"], "fin");
    assert_eq!(report["version"].as_str().unwrap().len(), 64);
    assert_eq!((&report["imported"], &report["rejected"], &report["duplicates"]), (&json!(2), &json!(2), &json!(1)));
    let rejects = report["rejects"].as_array().unwrap();
    assert_eq!(rejects.iter().map(|r| r["line"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 5]);
    assert!(rejects.iter().all(|r| r["file"] == json!(file) && !r["reason"].as_str().unwrap().is_empty()));
    assert!(report["rows_per_second"].as_f64().unwrap() > 0.0);

    let list = bench.json(&["data", "list"]);
    assert_eq!(list[0]["dataset"], "fin");
    assert_eq!(
        (&list[0]["rows"], &list[0]["zh"], &list[0]["en"], &list[0]["rejected"]),
        (&json!(2), &json!(1), &json!(1), &json!(2))
    );
    assert_eq!((&list[0]["licence"], &list[0]["source"]), (&json!("CC0"), &json!("here")));
}

#[test]
fn arrays_and_lines_give_the_same_dataset_whatever_their_extension() {
    let bench = Bench::new();
    let rows = [line("a", "b"), line("c", "d")];
    let lines = bench.file("rows.json", format!("\u{feff}{}\r\n{}", rows[0], rows[1]));
    let array = bench.file("rows.jsonl", format!("[\n{},\n{}\n]\n", rows[0], rows[1]));
    let a = bench.json(&["data", "import", &lines, "--name", "a"]);
    let b = bench.json(&["data", "import", &array, "--name", "b"]);
    assert_eq!(a["version"], b["version"]);
    assert_eq!(a["imported"], 2);
}

#[test]
fn the_same_import_twice_changes_nothing_and_another_needs_a_word() {
    let bench = Bench::new();
    let first = bench.file("a.jsonl", line("a", "b"));
    let second = bench.file("b.jsonl", line("c", "d"));
    let one = bench.json(&["data", "import", &first, "--name", "x"]);
    let again = bench.json(&["data", "import", &first, "--name", "x"]);
    assert_eq!(
        (&one["unchanged"], &again["unchanged"], &one["version"]),
        (&json!(false), &json!(true), &again["version"])
    );
    let refusal = bench.fails(&["data", "import", &second, "--name", "x"]);
    assert!(refusal.contains("--replace") && refusal.contains("--append"), "{refusal}");
    let more = bench.json(&["data", "import", &second, "--name", "x", "--append"]);
    assert_ne!(more["version"], one["version"]);
    let both = bench.json(&["data", "import", &first, &second, "--name", "y"]);
    assert_eq!(more["version"], both["version"], "appended rows are like rows that were there from the start");
    let second_with_fault = bench.file("c.jsonl", format!("{}\noops", line("c", "d")));
    let nothing_new = bench.json(&["data", "import", &second_with_fault, "--name", "x", "--append"]);
    assert_eq!((&nothing_new["duplicates"], &nothing_new["unchanged"]), (&json!(1), &json!(true)));
    assert_eq!(bench.json(&["data", "show", "x"])["rejects"], json!([]));
    let back = bench.json(&["data", "import", &first, "--name", "x", "--replace"]);
    assert_eq!(back["version"], one["version"]);
    assert_eq!(bench.json(&["data", "show", "x"])["rows"], 1);
    assert_eq!(bench.run(&["data", "import", &first, "--name", "x", "--replace", "--append"]).status.code(), Some(2));
}

#[test]
fn strict_imports_nothing_after_a_bad_line() {
    let bench = Bench::new();
    let file = bench.file("a.jsonl", format!("{}\noops\n{}", line("a", "b"), line("c", "d")));
    let message = bench.fails(&["data", "import", &file, "--name", "x", "--strict"]);
    assert!(message.contains("a.jsonl:2:"), "{message}");
    assert_eq!(bench.datasets(), 0);
}

#[test]
fn a_broken_array_keeps_the_rows_before_the_break() {
    let bench = Bench::new();
    let file = bench.file("a.json", format!("[\n{},\n{},\n{{\"instruction\": \"e", line("a", "b"), line("c", "d")));
    let report = bench.json(&["data", "import", &file, "--name", "x"]);
    assert_eq!((&report["imported"], &report["rejects"][0]["line"]), (&json!(2), &json!(4)));
}

#[test]
fn text_in_another_encoding_is_converted_or_named_by_line_and_byte() {
    let bench = Bench::new();
    let mut bytes = line("a", "b").into_bytes();
    bytes.extend(b"\n{\"instruction\":\"\xbb\xf9\xbd\xf0\",\"output\":\"x\"}\n");
    let report = bench.json(&["data", "import", &bench.file("gb.jsonl", bytes), "--name", "x"]);
    assert_eq!((&report["imported"], &report["rejected"]), (&json!(2), &json!(0)));
    assert!(report["remarks"][0].as_str().unwrap().contains("gb18030"));
    assert_eq!(bench.json(&["data", "show", "x"])["examples"][1]["instruction"], "基金");
    let mut bytes = line("a", "b").into_bytes();
    bytes.extend(b"\n{\"instruction\":\"caf\xe9\",\"output\":\"x\"}\n");
    let report = bench.json(&["data", "import", &bench.file("latin.jsonl", bytes), "--name", "y"]);
    assert_eq!((&report["imported"], &report["rejects"][0]["line"]), (&json!(1), &json!(2)));
    let reason = report["rejects"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("byte 20 ") && reason.contains("UTF-8"), "{reason}");
}

#[test]
fn what_cannot_be_imported_fails_with_advice_and_leaves_nothing() {
    let bench = Bench::new();
    let good = bench.file("a.jsonl", line("a", "b"));
    let empty = bench.dir.path().join("empty_folder").to_string_lossy().into_owned();
    std::fs::create_dir(&empty).unwrap();
    for (args, words) in [
        (vec!["missing.json", "--name", "x"], "missing.json"),
        (vec![&good, "missing.json", "--name", "x"], "missing.json"),
        (vec![&empty, "--name", "x"], "holds no data file"),
        (vec!["*.nothing", "--name", "x"], "no file matches"),
        (vec![&good, "--name", "x", "--format", "sharegpt"], "conversations"),
        (vec![&good, "--name", "x", "--format", "parquet"], "is text"),
        (vec![&good, "--name", "x", "--format", "nonsense"], "alpaca"),
        (vec![&good, "--name", "a=b"], "name"),
        (vec![&good, "--name", "a@1"], "name"),
        (vec![&good, "--name", ""], "name"),
        (vec![&bench.file("empty", ""), "--name", "x"], "empty"),
        (vec![&bench.file("none", "[]"), "--name", "x"], "empty"),
        (vec![&bench.file("words.txt", "no data\nat all\n"), "--name", "x"], "words.txt:1"),
        (vec![&bench.file("s.json", r#"[{"conversations":[]}]"#), "--name", "x"], "does not end"),
        (vec![&bench.file("t.json", r#"[{"conversations":[]}]"#), "--name", "x", "--format", "alpaca"], "sharegpt"),
        (vec![&bench.file("z.json.gz", b"\x1f\x8b\x08\x00\x00"), "--name", "x"], "gzip"),
        (vec![&bench.file("t.csv", "a,b\n1,2\n"), "--name", "x"], "--map"),
        (vec![&bench.file("t.xlsx", b"PK\x03\x04...."), "--name", "x"], "CSV"),
    ] {
        let message = bench.fails(&[vec!["data", "import"], args.clone()].concat());
        assert!(message.contains(words) && message.contains("error: "), "{args:?}: {message}");
        assert_eq!(bench.datasets(), 0, "{args:?}");
    }
    assert_eq!(bench.run(&["data", "import", "--name", "x"]).status.code(), Some(2));
}

/// Calls of tools in a public set of conversations: every row comes in, and nothing of it is lost.
#[test]
fn conversations_with_tools_come_in_whole() {
    let bench = Bench::new();
    let talk = json!({"conversations": [
        {"from": "human", "value": "q"}, {"from": "function_call", "value": "f(1)"},
        {"from": "observation", "value": "42"}, {"from": "gpt", "value": "a"},
    ], "tools": "[{\"name\": \"f\"}]"});
    let file = bench.file("talk.json", json!([talk]).to_string());
    assert_eq!(bench.json(&["data", "import", &file, "--name", "talk"])["imported"], 1);
    let shown = bench.json(&["data", "show", "talk"])["examples"][0].clone();
    assert_eq!((&shown["history"], &shown["tool_turns"]), (&json!([["q", "f(1)"]]), &json!([1])));
    assert_eq!((&shown["instruction"], &shown["output"]), (&json!("42"), &json!("a")));
    assert_eq!((&shown["system"], &shown["tools"]), (&json!(""), &json!("[{\"name\": \"f\"}]")));
    assert!(bench.text(&["data", "show", "talk"]).contains("tool: 42"));

    let Some(data) = std::env::var_os("LINLY_BENCH_DATA").map(PathBuf::from) else {
        eprintln!("skipped: LINLY_BENCH_DATA names no folder with llama-factory/glaive_toolcall_zh_demo.json");
        return;
    };
    let file = data.join("llama-factory/glaive_toolcall_zh_demo.json");
    let report = bench.json(&["data", "import", file.to_str().unwrap(), "--name", "calls"]);
    assert_eq!((&report["rejected"], &report["fields_left_aside"]), (&json!(0), &json!({})));
    let rows: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let distinct: HashSet<String> = rows.as_array().unwrap().iter().map(Value::to_string).collect();
    let observations: usize = distinct.iter().map(|row| row.matches(r#""from":"observation""#).count()).sum();
    let shown = bench.json(&["data", "show", "calls", "--limit", "1000"]);
    let rows = shown["examples"].as_array().unwrap();
    let marked: usize = rows.iter().map(|row| row["tool_turns"].as_array().unwrap().len()).sum();
    assert!(observations > 100);
    assert_eq!((rows.len(), marked), (distinct.len(), observations));
}

#[test]
fn a_failed_replacement_keeps_the_old_rows() {
    let bench = Bench::new();
    let old = bench.json(&["data", "import", &bench.file("a.jsonl", line("a", "b")), "--name", "x"]);
    let bad = bench.file("b.jsonl", format!("{}\noops", line("c", "d")));
    bench.fails(&["data", "import", &bad, "--name", "x", "--replace", "--strict"]);
    assert_eq!(bench.json(&["data", "list"])[0]["version"], old["version"]);
}

/// Fields that mean something else elsewhere: numbers, null, our own tags, renamed columns.
#[test]
fn rows_keep_what_their_fields_say() {
    let bench = Bench::new();
    let rows = [
        json!({"id": 1, "topic": "funds", "instruction": 7, "input": null, "output": 0.5, "split": "val", "lang": "zh"}),
        json!({"instruction": "q", "output": "a", "history": [["q1", "a1"]], "system": "s", "score": 3}),
    ];
    let file = bench.file("a.jsonl", rows.map(|r| r.to_string()).join("\n"));
    let report = bench.json(&["data", "import", &file, "--name", "x"]);
    assert_eq!(report["fields_left_aside"], json!({"score": 1}));
    let shown = bench.json(&["data", "show", "x"]);
    let e = &shown["examples"];
    assert_eq!(
        (&e[0]["instruction"], &e[0]["output"], &e[0]["split"], &e[0]["lang"]),
        (&json!("7"), &json!("0.5"), &json!("val"), &json!("zh"))
    );
    assert_eq!((&e[1]["history"], &e[1]["system"], &e[1]["line"]), (&json!([["q1", "a1"]]), &json!("s"), &json!(2)));
    assert_eq!(bench.json(&["data", "show", "x", "--split", "val"])["matched"], 1);

    let file = bench.file("b.jsonl", r#"{"prompt": "q", "completion": "a"}"#);
    let report = bench.json(&["data", "import", &file, "--name", "y", "--map", "instruction=prompt,output=completion"]);
    assert_eq!(report["imported"], 1);
    let report = bench.json(&[
        "data",
        "import",
        &file,
        "--name",
        "z",
        "--map",
        "instruction=prompt,output=completion",
        "--lang",
        "zh",
    ]);
    assert_eq!(report["imported"], 1);
    assert_eq!(bench.json(&["data", "show", "z"])["zh"], 1);
}

#[test]
fn show_searches_and_pages() {
    let bench = Bench::new();
    let rows: Vec<String> =
        (0..30).map(|i| line(&format!("问题{i}"), if i % 3 == 0 { "Fund" } else { "债券" })).collect();
    bench.text(&["data", "import", &bench.file("a.jsonl", rows.join("\n")), "--name", "x"]);
    let shown = bench.json(&["data", "show", "x", "--search", "fund", "--limit", "4", "--offset", "2"]);
    assert_eq!(shown["matched"], 10);
    let numbers: Vec<u64> = shown["examples"].as_array().unwrap().iter().map(|e| e["row"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [6, 9, 12, 15]);
    assert_eq!(bench.json(&["data", "show", "x", "--search", "债券"])["matched"], 20);
    assert_eq!(bench.json(&["data", "show", "x", "--search", "%"])["matched"], 0);
    let missing = bench.fails(&["data", "show", "y"]);
    assert!(missing.contains("no dataset `y`") && missing.contains('x'), "{missing}");
}

#[test]
fn text_of_a_row_cannot_drive_the_terminal() {
    let bench = Bench::new();
    let file = bench.file("a.jsonl", format!("{}\n\u{1b}[2Jbad", line("\u{1b}[31mred\u{7}", "\u{9b}2Jb")));
    bench.text(&["data", "import", &file, "--name", "x"]);
    let exact = bench.json(&["data", "show", "x"]);
    assert_eq!(exact["examples"][0]["instruction"], "\u{1b}[31mred\u{7}");
    for args in [&["data", "show", "x"][..], &["data", "show", "x", "--full"], &["data", "list"]] {
        let out = bench.run(args);
        let all = [out.stdout, out.stderr].concat();
        let text = String::from_utf8(all).unwrap();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}

#[test]
fn tables_line_up_in_chinese() {
    let bench = Bench::new();
    let file = bench.file("a.jsonl", line("a", "b"));
    for name in ["金融问答", "x"] {
        bench.text(&["data", "import", &file, "--name", name]);
    }
    let table = bench.text(&["--lang", "zh", "data", "list"]);
    let columns = |line: &str| {
        line.split_whitespace().nth(7).map(|version| {
            let at = line.find(version).unwrap();
            linly_bench::text::width(&line[..at])
        })
    };
    let starts: Vec<_> = table.lines().map(columns).collect();
    assert_eq!(starts.len(), 3);
    assert!(starts.windows(2).all(|w| w[0] == w[1]), "{table}");
    assert!(table.contains("数据集"));
}

#[test]
fn split_is_seeded_and_delete_deletes() {
    let bench = Bench::new();
    let rows: Vec<String> = (0..50).map(|i| line(&format!("q{i}"), "a")).collect();
    bench.text(&["data", "import", &bench.file("a.jsonl", rows.join("\n")), "--name", "x"]);
    let before = bench.json(&["data", "list"])[0]["version"].clone();
    let held = |seed: &str| {
        let report = bench.json(&["data", "split", "x", "--val", "0.1", "--seed", seed]);
        assert_eq!((&report["train"], &report["val"]), (&json!(45), &json!(5)));
        assert_eq!(bench.json(&["data", "show", "x", "--split", "val", "--limit", "50"])["matched"], 5);
        report["version"].clone()
    };
    let first = held("7");
    assert_ne!(first, before);
    assert_ne!(held("8"), first);
    assert_eq!(held("7"), first);
    bench.fails(&["data", "split", "x", "--val", "50"]);
    assert_eq!(bench.json(&["data", "split", "x", "--val", "0"])["version"], before);
    assert_eq!(bench.json(&["data", "delete", "x"])["deleted"], 50);
    assert_eq!(bench.datasets(), 0);
    bench.fails(&["data", "delete", "x"]);
}

#[test]
fn preview_names_what_is_wrong_before_it_needs_a_model() {
    let bench = Bench::new();
    bench.text(&["data", "import", &bench.file("a.jsonl", line("a", "b")), "--name", "x"]);
    let message = bench.fails(&["data", "preview", "x", "--template", "gpt", "--model", "m"]);
    assert!(message.contains("cornucopia"), "{message}");
    let message = bench.fails(&["data", "preview", "x", "--row", "1", "--template", "alpaca", "--model", "m"]);
    assert!(message.contains("from 0 to 0"), "{message}");
}

/// A process that is killed while it imports leaves the dataset as it was before.
#[cfg(unix)]
#[test]
fn a_killed_import_leaves_nothing_behind() {
    use std::io::Write;
    let bench = Bench::new();
    bench.text(&["data", "import", &bench.file("a.jsonl", line("a", "b")), "--name", "x"]);
    let before = bench.json(&["data", "list"]);
    // A pipe that stays open: the import has written many rows and waits for more when it is killed.
    let fifo = bench.dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut child =
        bench.command(&["data", "import", fifo.to_str().unwrap(), "--name", "x", "--append"]).spawn().unwrap();
    let mut pipe = std::fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    for i in 0..20_000 {
        writeln!(pipe, "{}", line(&format!("question {i}"), "answer")).unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(pipe);
    assert_eq!(bench.json(&["data", "list"]), before);
    assert_eq!(bench.json(&["data", "show", "x"])["rows"], 1);
}

/// Real files, read where `LINLY_BENCH_DATA` points; counts are those of their owners' descriptions.
#[test]
fn real_files_are_understood() {
    let Some(root) = std::env::var_os("LINLY_BENCH_DATA").map(PathBuf::from) else {
        eprintln!("skipped: LINLY_BENCH_DATA names no folder of downloaded data");
        return;
    };
    let bench = Bench::new();
    for (file, rows, rejected) in [
        ("cornucopia/fin_data.json", 10, 2),
        ("llama-factory/alpaca_zh_demo.json", 1000, 0),
        ("llama-factory/alpaca_en_demo.json", 999, 0),
        ("disc-finllm/consulting_part.json", 100, 0),
        ("alpaca_chinese/zh-data-part-00.json", 10_021, 6),
        ("llama-factory/c4_demo.jsonl", 300, 0),
        ("tatqa/tatqa_dataset_dev.json", 1668, 0),
        ("convfinqa/convfinqa_dataset.json", 421, 0),
        ("financebench/financebench_open_source.jsonl", 150, 0),
    ] {
        let path: &Path = &root.join(file);
        if !path.exists() {
            eprintln!("skipped: {file} is not in LINLY_BENCH_DATA");
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy();
        let report = bench.json(&["data", "import", path.to_str().unwrap(), "--name", &name]);
        let read = report["imported"].as_u64().unwrap() + report["duplicates"].as_u64().unwrap();
        let refused = report["rejected"].as_u64().unwrap();
        // The malformed lines of the first file are no rows; the empty answers of the last one are.
        let total = if file.starts_with("cornucopia") { read } else { read + refused };
        assert_eq!((total, refused), (rows, rejected), "{file}");
    }
    if bench.datasets() > 0 {
        assert!(bench.json(&["data", "list"])[0]["rows"].as_u64().unwrap() > 0);
    }
}

#[test]
fn refused_rows_of_a_table_are_corrected_and_come_in() {
    let bench = Bench::new();
    let table = bench.file("t.csv", "question,answer\nq1,a1\nq2,\n\"q,3\",\n");
    let report = bench.json(&["data", "import", &table, "--name", "t"]);
    assert_eq!((&report["imported"], &report["rejected"]), (&json!(1), &json!(2)));
    let out = bench.dir.path().join("bad.jsonl").to_string_lossy().into_owned();
    bench.text(&["data", "rejects", "t", "-o", &out]);
    let corrected = std::fs::read_to_string(&out).unwrap().replace("\"answer\":\"\"", "\"answer\":\"now\"");
    std::fs::write(&out, corrected).unwrap();
    let report = bench.json(&["data", "import", &out, "--name", "t", "--append"]);
    assert_eq!((&report["imported"], &report["rejected"]), (&json!(2), &json!(0)), "{report}");
    let rows = bench.json(&["data", "show", "t"])["examples"].clone();
    assert_eq!((&rows[2]["instruction"], &rows[2]["output"]), (&json!("q,3"), &json!("now")));
}
