//! `data quality`, `filter`, `dedup`, `mask`, `mix` and grouped `split` from outside.
#![allow(clippy::unwrap_used, clippy::panic)]

mod tiny;

use linly_bench::model::Tokenizer;
use serde_json::{Value, json};
use std::process::{Command, Output};
use tempfile::TempDir;

struct Bench(TempDir);

impl Bench {
    fn new() -> Bench {
        Bench(tempfile::tempdir().unwrap())
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linly-bench"));
        command.args(args).env("LINLY_BENCH_HOME", self.0.path().join("home")).env("LC_ALL", "C").env("NO_COLOR", "1");
        command.output().unwrap()
    }

    fn text(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[args, &["--json"]].concat())).unwrap()
    }

    /// Imports rows as the dataset `name`.
    fn import(&self, name: &str, rows: &[Value]) {
        let path = self.path(&format!("{name}.json"));
        std::fs::write(&path, serde_json::to_vec(rows).unwrap()).unwrap();
        self.json(&["data", "import", &path, "--name", name]);
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_string_lossy().into_owned()
    }

    fn rows(&self, name: &str) -> Vec<Value> {
        self.json(&["data", "show", name, "--limit", "100000"])["examples"].as_array().unwrap().clone()
    }
}

fn row(instruction: &str, output: &str) -> Value {
    json!({"instruction": instruction, "output": output})
}

fn doubtful() -> Vec<Value> {
    vec![
        row("什么是市盈率？", "市盈率是股价与每股收益之比。"),
        row("怎样联系王先生？", "请拨打13812345678，或写信到 wang@example.com。"),
        row("有什么好产品？", "这款产品保本保息，稳赚不赔！"),
        row("What is a bond?", "…"),
        row("What is a bond, in short?", "As an AI language model, I cannot say."),
        row("市盈率是什么？", "市盈率是股价与每股收益之比！"),
    ]
}

#[test]
fn a_look_through_the_rows_counts_and_shows_what_it_finds() {
    let bench = Bench::new();
    bench.import("d", &doubtful());
    let found = bench.json(&["data", "quality", "d", "--near", "0.5"]);
    let count = |rule: &str| {
        let rules = found["rules"].as_array().unwrap();
        rules.iter().find(|r| r["rule"] == rule).unwrap()["rows"].as_u64().unwrap()
    };
    for rule in ["empty", "refusal", "phone", "email", "guaranteed_return"] {
        assert_eq!(count(rule), 1, "{rule}");
    }
    assert_eq!((count("repetition"), &found["rows"], &found["clean"]), (0, &json!(6), &json!(2)));
    assert_eq!(found["near"]["pairs"][0]["row"], 5);
    assert!(!found.to_string().contains("13812345678"), "a report does not spread what it warns of");

    let text = bench.text(&["data", "quality", "d", "-o", &bench.path("q.html")]);
    assert!(text.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= 80), "{text}");
    let page = std::fs::read_to_string(bench.path("q.html")).unwrap();
    assert!(page.contains("guaranteed_return") && !page.contains("http"), "one page, nothing fetched");
    std::fs::write(bench.path("w.txt"), "王先生\n").unwrap();
    let listed = bench.json(&["data", "quality", "d", "--words", &bench.path("w.txt"), "--rules", "listed_word"]);
    assert_eq!(listed["findings"][0]["row"], 1);
    let out = bench.run(&["data", "quality", "d", "--rules", "emtpy"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("repetition"), "the rules are named");
}

#[test]
fn a_filter_makes_a_version_can_be_saved_and_undone() {
    let bench = Bench::new();
    bench.import("d", &doubtful());
    let before = bench.json(&["data", "show", "d"])["version"].clone();
    let args = ["data", "filter", "d", "--drop", "empty,refusal", "--save", &bench.path("f.toml")];
    let dry = bench.json(&[&args[..], &["--dry-run"]].concat());
    assert_eq!((&dry["removed"], &dry["rows"], &dry["version"]), (&json!(2), &json!(4), &before));
    assert_eq!(bench.rows("d").len(), 6, "a dry run changes nothing");
    let done = bench.json(&args);
    assert_eq!((&done["removed"], &done["rows"], &done["number"]), (&json!(2), &json!(4), &json!(2)));
    assert_eq!(done["reasons"], json!([[3, "empty"], [4, "refusal"]]));
    let again = bench.json(&["data", "filter", "d", "--filter", &bench.path("f.toml")]);
    assert_eq!((&again["removed"], &again["version"]), (&json!(0), &done["version"]));
    bench.text(&["data", "restore", "d", "1"]);
    assert_eq!(bench.json(&["data", "show", "d"])["version"], before);
    assert_eq!(bench.run(&["data", "filter", "d"]).status.code(), Some(2));
    assert_eq!(bench.run(&["data", "filter", "d@1", "--drop", "empty"]).status.code(), Some(2));
    std::fs::write(bench.path("bad.toml"), "drop = ['nothing']").unwrap();
    let bad = bench.run(&["data", "filter", "d", "--filter", &bench.path("bad.toml")]);
    assert!(String::from_utf8_lossy(&bad.stderr).contains("bad.toml"));
}

#[test]
fn near_duplicates_go_and_personal_data_is_hidden() {
    let bench = Bench::new();
    bench.import("d", &doubtful());
    let done = bench.json(&["data", "dedup", "d", "--near", "0.5"]);
    assert_eq!(
        (&done["removed"], &done["pairs"][0]["first"], &done["pairs"][0]["row"]),
        (&json!(1), &json!(0), &json!(5))
    );
    let masked = bench.json(&["data", "mask", "d"]);
    assert_eq!((&masked["changed"], &masked["removed"]), (&json!(1), &json!(0)));
    let texts: Vec<String> = bench.rows("d").iter().map(|row| row["output"].to_string()).collect();
    assert!(texts[1].contains("138******78") && texts[1].contains("w***@example.com"), "{}", texts[1]);
    assert_eq!(bench.json(&["data", "mask", "d"])["changed"], 0);
}

fn numbered(count: usize, what: &str) -> Vec<Value> {
    (0..count).map(|i| row(&format!("{what} {i}?"), &format!("{what} answer {i}."))).collect()
}

#[test]
fn what_one_source_holds_out_is_trained_on_from_none() {
    let bench = Bench::new();
    bench.import("a", &numbered(20, "english"));
    bench.import("b", &numbered(50, "english"));
    bench.json(&["data", "split", "a", "--val", "0.5"]);
    let made = bench.json(&["data", "mix", "m", "--from", "a,b"]);
    // The first 20 rows of both are the same texts.
    assert_eq!((&made["val"], &made["kept_out"]), (&json!(10), &json!(10)));
    let rows = bench.rows("m");
    let texts = |split: &str| -> std::collections::BTreeSet<String> {
        rows.iter().filter(|r| r["split"] == split).map(|r| r["instruction"].to_string()).collect()
    };
    assert_eq!(texts("val").len(), 10);
    assert!(texts("train").is_disjoint(&texts("val")));
    bench.json(&["data", "split", "b", "--val", "0.2", "--seed", "5"]);
    let twice = bench.json(&["data", "mix", "n", "--from", "a@latest,a@1"]);
    assert_eq!((&twice["val"], &twice["kept_out"]), (&json!(10), &json!(10)));
}

#[test]
fn shares_of_a_mixture_may_be_of_tokens() {
    let bench = Bench::new();
    let model = tiny::with_tokenizer(bench.0.path(), "llama");
    let tokenizer = Tokenizer::open(&model).unwrap();
    let rows = |count: usize, answer: &str| -> Vec<Value> {
        (0..count).map(|i| json!({"instruction": format!("question {i:03}"), "output": answer})).collect()
    };
    let (long, short) = ("a bond is a loan that can be sold again and again", "yes");
    bench.import("long", &rows(100, long));
    bench.import("short", &rows(400, short));
    let model = model.to_string_lossy().into_owned();
    let by = ["data", "mix", "m", "--from", "long=0.5,short=0.5", "--rows", "200", "--by", "tokens"];
    assert_eq!(bench.run(&by).status.code(), Some(2), "whose tokens?");
    let made = bench.json(&[&by[..], &["--model", &model]].concat());
    let tokens = |texts: [&str; 2]| -> f64 {
        texts.iter().map(|text| tokenizer.encode(text, false).unwrap().len() as f64).sum()
    };
    // All questions are equally long.
    let of = |i: usize, answer: &str| made["sources"][i]["drawn"].as_f64().unwrap() * tokens(["question 000", answer]);
    let (a, b) = (of(0, long), of(1, short));
    assert!((a / (a + b) - 0.5).abs() < 0.05, "{a} and {b} tokens");
    assert!(made["sources"][0]["drawn"].as_u64() < made["sources"][1]["drawn"].as_u64());
}

#[test]
fn a_mixture_has_its_shares_and_a_curriculum_moves_them() {
    let bench = Bench::new();
    bench.import("en", &numbered(300, "english"));
    bench.import("zh", &numbered(300, "中文"));
    let plan = bench.json(&["data", "mix", "m", "--from", "en=0.25,zh=0.75", "--rows", "200", "--plan"]);
    assert_eq!((&plan["sources"][0]["drawn"], &plan["sources"][1]["drawn"]), (&json!(50), &json!(150)));
    assert_eq!(bench.run(&["data", "show", "m"]).status.code(), Some(1), "a plan writes nothing");
    let made = bench.json(&["data", "mix", "m", "--from", "en,zh", "--curriculum", "en:0.9->0.1", "--rows", "200"]);
    assert_eq!(made["rows"], 200);
    let english = |rows: &[Value]| rows.iter().filter(|r| r["instruction"].to_string().contains("english")).count();
    let rows = bench.rows("m");
    assert!(english(&rows[..50]) > 35 && english(&rows[150..]) < 15, "the order of the rows is the curriculum");
    let text = bench.text(&["data", "mix", "n", "--from", "en,zh", "--curriculum", "en:0.9->0.1", "--plan"]);
    assert!(text.contains('█') && text.contains('░'), "{text}");
    for wrong in [
        &["data", "mix", "m", "--from", "en,nothing"][..],
        &["data", "mix", "m", "--from", "en,zh"],
        &["data", "mix", "x", "--from", "en=0,zh=0"],
    ] {
        let out = bench.run(wrong);
        assert_eq!(out.status.code(), Some(1), "{wrong:?}");
        assert!(String::from_utf8_lossy(&out.stderr).lines().count() >= 2, "with a hint");
    }
    for usage in [
        &["--from", "en=x"][..],
        &["--from", "en=0.5,zh"],
        &["--from", "en,en"],
        &["--from", "en", "--curriculum", "en"],
    ] {
        let out = bench.run(&[&["data", "mix", "x"], usage].concat());
        assert_eq!(out.status.code(), Some(2), "{usage:?}");
    }
}

#[test]
fn what_belongs_together_is_on_one_side_of_a_split() {
    let bench = Bench::new();
    let rows: Vec<Value> = (0..200).map(|i| row(&format!("question {}", i / 4), &format!("answer {i}"))).collect();
    bench.import("d", &rows);
    bench.json(&["data", "split", "d", "--val", "0.2", "--together", "question"]);
    let rows = bench.rows("d");
    assert!(rows.chunks(4).all(|four| four.iter().all(|r| r["split"] == four[0]["split"])));
    assert_eq!(rows.iter().filter(|r| r["split"] == "val").count(), 40);
    // Rows that differ in a word are nearly the same, however many there are of them.
    let texts = |group: usize, i: usize| {
        format!(
            "group {} of texts about {} that are nearly alike in all but word {i}",
            group * 7919,
            "money ".repeat(group + 3)
        )
    };
    let alike: Vec<Value> = (0..90).map(|i| row(&texts(i / 3, i), "yes")).collect();
    bench.import("near", &alike);
    bench.json(&["data", "split", "near", "--val", "0.2", "--near", "0.6"]);
    let rows = bench.rows("near");
    assert!(rows.chunks(3).all(|three| three.iter().all(|r| r["split"] == three[0]["split"])));
    assert!(rows.iter().any(|r| r["split"] == "val"));
}
