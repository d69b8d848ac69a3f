//! The arena and the leaderboard from outside: import → rate → vote → export → leaderboard by the binary.

#![allow(clippy::unwrap_used, clippy::panic)]

use linly_bench::arena::{Contestant, Question};
use linly_bench::config::Settings;
use linly_bench::error::Result;
use linly_bench::job::{CancelToken, Silent};
use linly_bench::store::NewRun;
use linly_bench::workbench::{Workbench, arena};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn linly(home: &Path, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_linly-bench"))
        .args(args)
        .env_clear()
        .env("LINLY_BENCH_HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn ok(home: &Path, args: &[&str]) -> String {
    let out = linly(home, args, "");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn json_of(home: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&ok(home, args)).unwrap()
}

fn battle_line(id: usize, winner: &str) -> String {
    json!({
        "question_id": format!("q{id}"),
        "model_a": "smollm2-135m+聚宝盆",
        "model_b": "smollm2-135m",
        "winner": winner,
        "judge": "arena_user",
        "conversation_a": [{"role": "user", "content": "什么是债券？"}, {"role": "assistant", "content": "一种债务凭证。"}],
        "conversation_b": [{"role": "user", "content": "什么是债券？"}, {"role": "assistant", "content": "A bond\u{1b}[31m."}],
        "turn": 1,
        "anony": true,
        "language": "Chinese",
        "tstamp": 1_682_351_591.25 + id as f64,
    })
    .to_string()
}

/// 30 : 8 and 2 ties, and three lines that are no battles.
fn battle_file(path: &Path) {
    let outcomes = [("model_a", 30), ("model_b", 8), ("tie", 1), ("tie (bothbad)", 1)];
    let mut lines: Vec<String> = outcomes
        .iter()
        .flat_map(|&(winner, n)| std::iter::repeat_n(winner, n))
        .enumerate()
        .map(|(id, winner)| battle_line(id, winner))
        .collect();
    lines.insert(1, battle_line(99, "both_bad"));
    lines.insert(3, "{ not json".to_owned());
    lines.push(r#"{"model_a": "x", "winner": "tie"}"#.to_owned());
    std::fs::write(path, lines.join("\n")).unwrap();
}

#[test]
fn import_rate_export_leaderboard() {
    let dir = tempfile::tempdir().unwrap();
    let (home, file, copy) = (dir.path().join("home"), dir.path().join("battles.jsonl"), dir.path().join("copy.jsonl"));
    let (file_text, copy_text) = (file.to_str().unwrap(), copy.to_str().unwrap());
    battle_file(&file);

    let imported = json_of(&home, &["arena", "import", file_text, "--name", "金融", "--json"]);
    assert_eq!((&imported["imported"], &imported["arena"]), (&json!(40), &json!("金融")));
    let lines: Vec<u64> = imported["rejects"].as_array().unwrap().iter().map(|r| r["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [2, 4, 43]);
    let again = json_of(&home, &["arena", "import", "金融", file_text, "--json"]);
    assert_eq!((&again["imported"], &again["duplicates"]), (&json!(0), &json!(40)));
    let strict = linly(&home, &["arena", "import", file_text, "--name", "other", "--strict"], "");
    assert_eq!(strict.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&strict.stderr).contains("line 2"));

    let rated = json_of(&home, &["arena", "rate", "金融", "--json"]);
    let rows = rated.as_array().unwrap();
    assert_eq!(rows.len(), 2);
    let keys: Vec<&str> = rows[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["model", "rating", "ci95", "rank", "battles"]);
    assert_eq!(
        (&rows[0]["model"], &rows[0]["rank"], &rows[0]["battles"]),
        (&json!("smollm2-135m+聚宝盆"), &json!(1), &json!(40))
    );
    // 31 points of 40: half of ln(31/9)·400/ln 10 to either side of 1000.
    let expected = 1000.0 + 200.0 * (31.0f64 / 9.0).log10();
    assert!((rows[0]["rating"].as_f64().unwrap() - expected).abs() < 1e-6);
    let table = ok(&home, &["arena", "rate", "金融"]);
    assert!(table.lines().count() == 3 && table.contains("smollm2-135m+聚宝盆"), "{table}");
    assert_eq!(ok(&home, &["arena", "rate", "--json"]), ok(&home, &["arena", "rate", "金融", "--json"]));
    let bootstrap = json_of(&home, &["arena", "rate", "金融", "--json", "--bootstrap", "200", "--seed", "5"]);
    assert_eq!(bootstrap[0]["rating"], rows[0]["rating"]);

    let exported = json_of(&home, &["arena", "export", "金融", "-o", copy_text, "--json"]);
    assert_eq!(exported["exported"], 40);
    let written = std::fs::read_to_string(&copy).unwrap();
    assert_eq!(written, ok(&home, &["arena", "export", "金融"]));
    let values = |text: &str| text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).collect::<Vec<_>>();
    let original: Vec<Value> = values(&std::fs::read_to_string(&file).unwrap())
        .into_iter()
        .filter(|row| row["winner"] != "both_bad" && row.get("model_b").is_some())
        .collect();
    assert_eq!(values(&written), original, "what was imported is what is exported");

    score(&home);
    let board = json_of(&home, &["leaderboard", "--json"]);
    assert_eq!(board["arenas"], json!(["金融"]));
    assert_eq!(board["rows"][0]["name"], "smollm2-135m+聚宝盆");
    assert_eq!(board["rows"][0]["scores"][0]["value"], 0.34);
    let table = ok(&home, &["leaderboard"]);
    assert!(table.contains("34.0 ±1.3 [1]") && table.lines().all(|l| l.chars().count() <= 80), "{table}");
    for (format, piece) in
        [("md", "| --- |"), ("csv", "rating,金融"), ("html", "<table>"), ("table", "ceval"), ("json", "\"rows\"")]
    {
        assert!(ok(&home, &["leaderboard", "--format", format]).contains(piece), "{format}");
    }
    assert!(ok(&home, &["leaderboard", "--lang", "zh"]).contains("模型"));
    // To a file: in the form that its ending names, and the same as what is printed.
    let folder = tempfile::tempdir().unwrap();
    for (ending, format) in [("md", "md"), ("csv", "csv"), ("html", "html"), ("json", "json"), ("txt", "table")] {
        let file = folder.path().join(format!("board.{ending}"));
        assert_eq!(ok(&home, &["leaderboard", "--output", file.to_str().unwrap()]).trim(), "");
        let printed = ok(&home, &["leaderboard", "--format", format]);
        assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), printed.trim(), "{ending}");
    }
}

/// A finished benchmark run, as `linly-bench run` records it.
fn score(home: &Path) {
    let bench = open(home);
    let run = NewRun {
        kind: "eval",
        model: "smollm2-135m".into(),
        adapter: "聚宝盆".into(),
        adapter_hash: "abc".into(),
        task: "ceval".into(),
        config: json!({"limit": null, "subjects": []}),
        ..NewRun::default()
    };
    let (id, _lease) = bench.store.start_run(&run).unwrap();
    let result = json!({"acc": 0.34, "acc_stderr": 0.013, "n": 1346, "preset": "lm-eval", "shots": 5});
    bench.store.finish_run(&id, Ok(&result)).unwrap();
}

fn open(home: &Path) -> Workbench {
    Workbench::open(Settings { home: home.to_owned(), data_dir: None, seed: 1 }).unwrap()
}

struct Says(&'static str, &'static str);

impl Contestant for Says {
    fn name(&self) -> &str {
        self.0
    }

    fn answer(&mut self, _: &str) -> Result<String> {
        Ok(self.1.to_owned())
    }
}

#[test]
fn votes_are_blind_and_line_by_line_without_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path();
    let questions: Vec<Question> = (0..4)
        .map(|i| Question {
            id: format!("q{i}"),
            text: format!("问题{i}？"),
            reference: "债券".into(),
            language: "zh".into(),
        })
        .collect();
    {
        let bench = open(home);
        arena::ask(&bench, "x", &questions).unwrap();
        let session = arena::Session { limit: None, seed: 1, batch: 2, config: json!({}) };
        let mut contestants: Vec<Box<dyn Contestant>> =
            vec![Box::new(Says("first-model-1", "债券\u{1b}[2J")), Box::new(Says("second-model-2", "股票"))];
        arena::battle(&bench, "x", &mut contestants, &session, &Silent, &CancelToken::default()).unwrap();
    }
    // An unknown key asks again; skip leaves the battle; the end of input stops.
    let out = linly(home, &["arena", "vote", "x"], "?\na\ns\nx\n");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let shown = String::from_utf8(out.stdout).unwrap();
    assert!(!shown.contains('\u{1b}'), "answers cannot steer the terminal");
    let reveal = shown.find("first-model").unwrap();
    assert!(shown.find("which is better").unwrap() < reveal, "names come after the vote:\n{shown}");
    assert_eq!(shown.matches("first-model-1").count(), 2, "{shown}");
    let waiting = arena::pending(&open(home), "x").unwrap();
    assert_eq!(waiting.len(), 2);

    let id = waiting[0].id.to_string();
    let voted = json_of(home, &["arena", "vote", "x", "--battle", &id, "--winner", "both_bad", "--json"]);
    assert_eq!(voted["winner"], "tie (bothbad)");
    let twice = linly(home, &["arena", "vote", "x", "--battle", &id, "--winner", "A"], "");
    assert_eq!(twice.status.code(), Some(1));
    let wrong = linly(home, &["arena", "vote", "x", "--battle", &id, "--winner", "left"], "");
    assert_eq!(wrong.status.code(), Some(2));
    assert_eq!(json_of(home, &["arena", "judge", "x", "--json"])["judged"], 1);
    assert_eq!(json_of(home, &["arena", "vote", "x", "--json"])["pending"], 0);
    assert_eq!(json_of(home, &["arena", "list", "--json"])[0]["battles"], 4);
}

#[test]
fn failures_have_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path();
    std::fs::write(home.join("q.txt"), "什么是市盈率？\nWhat is a bond?\n").unwrap();
    let file = home.join("q.txt");
    let made = json_of(home, &["arena", "new", "x", "--questions", file.to_str().unwrap(), "--json"]);
    assert_eq!((&made["created"], &made["questions"]), (&json!(true), &json!(2)));
    for args in [
        &["arena", "rate", "nowhere"][..],
        &["arena", "new", "x"],
        &["arena", "vote", "nowhere"],
        &["arena", "export", "nowhere"],
        &["arena", "import", "/nowhere/battles.jsonl"],
        &["arena", "battle", "nowhere", "--model", "m", "--against", "n"],
    ] {
        let out = linly(home, args, "");
        assert_eq!(out.status.code(), Some(1), "{args:?}");
        assert!(String::from_utf8_lossy(&out.stderr).starts_with("error: "), "{args:?}");
        assert!(out.stdout.is_empty(), "{args:?}");
    }
    assert_eq!(linly(home, &["arena", "battle", "x"], "").status.code(), Some(2));
    assert_eq!(ok(home, &["arena", "rate", "x", "--json"]).trim(), "[]");
    for command in ["new", "list", "battle", "vote", "judge", "rate", "import", "export"] {
        let help = ok(home, &["arena", command, "--help"]);
        assert!(help.contains("Example:\n  linly-bench arena"), "{command}");
    }
    assert!(ok(home, &["leaderboard", "--help"]).contains("Example:"));
}
