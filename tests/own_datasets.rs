//! The project's own rows hold no item of a public benchmark, by the same comparison as `data check`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use linly_bench::config::Settings;
use linly_bench::data::{Example, ImportOptions, OverlapIndex, SHARE, TestItem};
use linly_bench::job::{CancelToken, Silent};
use linly_bench::store::Existing;
use linly_bench::workbench::data::{ImportRequest, Input, import};
use linly_bench::workbench::{Workbench, contamination};
use serde_json::Value;

/// Sets of questions that the program has no definition for, as folders of the shared data.
const QUESTIONS: [&str; 7] =
    ["financebench", "convfinqa", "alignbench", "arena_hard", "fastchat", "prd_vicuna80", "disc-finllm"];
/// Benchmarks that `data check` knows.
const BENCHMARKS: [&str; 8] = ["finance-qa", "ceval", "cmmlu", "mmlu", "financeiq", "fineval", "gsm8k", "tatqa"];

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets");
    let index: toml::Table = fs::read_to_string(folder.join("datasets.toml")).unwrap().parse().unwrap();
    index["file"].as_array().unwrap().iter().map(|f| folder.join(f["path"].as_str().unwrap())).collect()
}

fn rows() -> Vec<Example> {
    let lines = files().into_iter().map(|path| fs::read_to_string(path).unwrap());
    lines.flat_map(|text| text.lines().map(|l| serde_json::from_str(l).unwrap()).collect::<Vec<_>>()).collect()
}

fn shared_data() -> Option<PathBuf> {
    let data = std::env::var_os("LINLY_BENCH_DATA").map(PathBuf::from).filter(|d| d.is_dir());
    if data.is_none() {
        eprintln!("skipped: LINLY_BENCH_DATA names no folder of benchmarks");
    }
    data
}

/// Every text under a key that holds a question, however deep; lists of turns count one by one.
fn questions(value: &Value, asked: bool, out: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if asked => {
            out.insert(text.clone());
        }
        Value::Array(list) => list.iter().for_each(|v| questions(v, asked, out)),
        Value::Object(fields) => {
            for (key, v) in fields {
                let key = ["question", "conv_questions", "turns", "prompt", "instruction"].contains(&key.as_str());
                questions(v, key, out);
            }
        }
        _ => {}
    }
}

fn read_questions(folder: &Path, out: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            read_questions(&path, out);
        } else if name.ends_with(".json") || name.ends_with(".jsonl") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            match serde_json::from_str::<Value>(&text) {
                Ok(value) => questions(&value, false, out),
                // JSON lines, whatever the ending says.
                Err(_) => text
                    .lines()
                    .filter_map(|l| serde_json::from_str(l).ok())
                    .for_each(|v: Value| questions(&v, false, out)),
            }
        }
    }
}

#[test]
fn no_row_holds_an_item_of_a_benchmark() {
    let Some(data) = shared_data() else { return };
    let home = tempfile::tempdir().unwrap();
    let settings = Settings { home: home.path().to_owned(), data_dir: Some(data.clone()), seed: 42 };
    let bench = Workbench::open(settings).unwrap();
    let cancel = CancelToken::default();
    let there: Vec<String> =
        BENCHMARKS.iter().filter(|b| **b == "finance-qa" || data.join(b).is_dir()).map(|b| (*b).to_owned()).collect();
    let absent: Vec<_> = BENCHMARKS.iter().filter(|b| !there.iter().any(|t| t == **b)).collect();
    if !absent.is_empty() {
        eprintln!("not compared, absent: {absent:?}");
    }
    let request = |name: &str, inputs: Vec<Input>| ImportRequest {
        inputs,
        name: name.to_owned(),
        options: ImportOptions::default(),
        source: String::new(),
        licence: String::new(),
        strict: true,
        existing: Existing::Refuse,
    };
    import(&bench, &request("own", files().into_iter().map(Input::File).collect()), &Silent, &cancel).unwrap();
    let found = contamination::check(&bench, "own", &there, SHARE, &cancel).unwrap();
    assert_eq!(found.rows, rows().len(), "every row was compared");
    assert!(found.items > 100, "{} items", found.items);
    let told: Vec<_> =
        found.contaminated.iter().map(|c| format!("row {}: {} {}", c.row, c.benchmark, c.item)).collect();
    assert!(told.is_empty(), "{told:#?}");
    eprintln!("{} rows against {} items of {:?}", found.rows, found.items, found.against);

    // The comparison does find one where there is one.
    let item = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("evals/finance-qa/en_test.csv")).unwrap();
    let question =
        item.lines().skip(1).map(|l| l.split(',').nth(1).unwrap()).find(|q| q.split(' ').count() > 15).unwrap();
    let planted = home.path().join("planted.jsonl");
    let row = serde_json::json!({"instruction": question.trim_matches('"'), "input": "", "output": "x"});
    fs::write(&planted, row.to_string()).unwrap();
    import(&bench, &request("planted", vec![Input::File(planted)]), &Silent, &cancel).unwrap();
    let found = contamination::check(&bench, "planted", &["finance-qa".to_owned()], SHARE, &cancel).unwrap();
    assert_eq!(found.contaminated_rows, 1);
}

#[test]
fn no_row_holds_a_question_of_other_public_sets() {
    let Some(data) = shared_data() else { return };
    let mut asked = BTreeSet::new();
    for name in QUESTIONS {
        let before = asked.len();
        read_questions(&data.join(name), &mut asked);
        eprintln!("{name}: {} questions", asked.len() - before);
    }
    let items: Vec<TestItem> = asked.into_iter().map(|question| TestItem { question, ..TestItem::default() }).collect();
    let index = OverlapIndex::new(&items, SHARE);
    for row in rows() {
        if let Some(held) = index.held_by(&row).first() {
            panic!("{:?} holds {:?}", row.instruction, items[held.item].question);
        }
    }
}
