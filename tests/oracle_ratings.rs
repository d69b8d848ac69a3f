//! Our ratings against arena-rank's (`tests/oracle/ratings.json`, made by `scripts/oracle-ratings.sh`): ratings within
//! 0.01 points, interval bounds within 0.05.

#![allow(clippy::unwrap_used, clippy::panic)]

use linly_bench::arena::Winner;
use linly_bench::arena::ratings::{Method, rate};
use serde_json::Value;
use std::path::{Path, PathBuf};

type Vote = (String, String, Winner);

fn oracle() -> Value {
    serde_json::from_str(include_str!("oracle/ratings.json")).unwrap()
}

fn compare(name: &str, votes: &[Vote], expected: &Value) {
    let ratings = rate(votes.iter().map(|(a, b, w)| (a.as_str(), b.as_str(), *w)), Method::Sandwich).unwrap();
    let expected = expected.as_object().unwrap();
    assert_eq!(ratings.rows.len(), expected.len(), "{name}");
    for row in &ratings.rows {
        let theirs: Vec<f64> = expected[&row.model].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let ours = [row.rating, row.ci95[0], row.ci95[1]];
        for (what, tolerance, i) in [("rating", 0.01, 0), ("lower bound", 0.05, 1), ("upper bound", 0.05, 2)] {
            let gap = (ours[i] - theirs[i]).abs();
            assert!(gap <= tolerance, "{name}, {}: {what} {} instead of {}", row.model, ours[i], theirs[i]);
        }
        assert!(row.bounded, "{name}, {}", row.model);
    }
}

#[test]
fn synthetic_battles_agree() {
    let oracle = oracle();
    let cases = oracle["cases"].as_array().unwrap();
    assert!(cases.len() >= 8);
    for case in cases {
        let mut votes = Vec::new();
        for row in case["battles"].as_array().unwrap() {
            let text = |i: usize| row[i].as_str().unwrap().to_owned();
            let winner = Winner::from_label(row[2].as_str().unwrap()).unwrap();
            let count = row[3].as_u64().unwrap() as usize;
            votes.extend(std::iter::repeat_n((text(0), text(1), winner), count));
        }
        compare(case["name"].as_str().unwrap(), &votes, &case["ratings"]);
    }
}

#[test]
fn real_battles_agree() {
    let Some(data) = std::env::var_os("LINLY_BENCH_DATA").map(PathBuf::from) else {
        eprintln!("skipped: LINLY_BENCH_DATA does not name a folder with arena_hard and prd_vicuna80");
        return;
    };
    let oracle = oracle();
    for case in oracle["real"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let votes = match name {
            "arena_hard" => arena_hard(&data.join("arena_hard/history_74e8b6f/data/arena_hard_battles.jsonl")),
            "prd_vicuna80 human" => vicuna80(&data.join("prd_vicuna80/vicuna80/ratings-human"), "human"),
            "prd_vicuna80 gpt4" => vicuna80(&data.join("prd_vicuna80/vicuna80/ratings-gpt4"), "gpt4"),
            other => unreachable!("{other}"),
        };
        let Some(votes) = votes else {
            eprintln!("skipped: {name} is not in {}", data.display());
            continue;
        };
        assert_eq!(votes.len() as u64, case["n"].as_u64().unwrap(), "{name}");
        compare(name, &votes, &case["ratings"]);
    }
}

fn arena_hard(file: &Path) -> Option<Vec<Vote>> {
    let bytes = std::fs::read(file).ok()?;
    let (battles, rejects) = linly_bench::arena::exchange::read("arena_hard", &bytes, "");
    assert!(rejects.is_empty(), "{rejects:?}");
    Some(battles.into_iter().map(|b| (b.model_a, b.model_b, b.winner.unwrap())).collect())
}

/// The file's name holds the two models, `score` the better one: 1, 2, or 3 for neither.
fn vicuna80(folder: &Path, judge: &str) -> Option<Vec<Vote>> {
    let mut votes = Vec::new();
    for entry in std::fs::read_dir(folder).ok()? {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some((pair, _)) = name.strip_prefix("answer_").and_then(|n| n.split_once(&format!("-{judge}-reviewer")))
        else {
            continue;
        };
        let (a, b) = pair.split_once("-vs-answer_").unwrap();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let winner = match row["score"].as_u64().unwrap() {
                1 => Winner::A,
                2 => Winner::B,
                3 => Winner::Tie,
                other => panic!("score {other}"),
            };
            votes.push((a.to_owned(), b.to_owned(), winner));
        }
    }
    Some(votes)
}
