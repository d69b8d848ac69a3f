//! Scores against lm-evaluation-harness 0.4.13 on 40 items of C-Eval val, at 0 and at 5 shots.
//!
//! The fixture (`scripts/oracle-lm-eval.sh` makes it) holds hashes of the harness's prompts and its
//! log-likelihoods. C-Eval itself may not be part of this repository: without `LINLY_BENCH_DATA`
//! these tests say so and check nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use linly_bench::eval::{Plan, PlanRequest, argmax, encode, find, load, plan};
use linly_bench::infer::{Engine, LanguageModel};
use linly_bench::job::CancelToken;
use linly_bench::model::{Decoder, Tokenizer, WeightForm, open};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Deserialize)]
struct Expected {
    subject: String,
    id: serde_json::Value,
    prompt_sha256: String,
    loglikelihoods: Vec<f64>,
    pred: String,
    gold: String,
}

fn fixture(shots: usize) -> Vec<Expected> {
    let text = match shots {
        0 => include_str!("oracle/lm_eval_0shot.jsonl"),
        _ => include_str!("oracle/lm_eval_5shot.jsonl"),
    };
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn data() -> Option<PathBuf> {
    let data = std::env::var_os("LINLY_BENCH_DATA").map(PathBuf::from);
    if data.is_none() {
        eprintln!("skipped: LINLY_BENCH_DATA names no folder with C-Eval");
    }
    data
}

/// The prompts of the fixture's items, in its order.
fn planned(data: &std::path::Path, shots: usize, expected: &[Expected]) -> Plan {
    let mut subjects: Vec<String> = expected.iter().map(|e| e.subject.clone()).collect();
    subjects.dedup();
    let benchmark = find("ceval", Some(data)).unwrap();
    let mut plan = plan(
        &benchmark,
        &PlanRequest { shots, subjects: subjects.clone(), limit: Some(5), ..PlanRequest::default() },
        None,
    )
    .unwrap();
    plan.subjects.sort_by_key(|part| subjects.iter().position(|s| *s == part.subject.handle));
    plan
}

#[test]
fn prompts_are_the_harness_s_to_the_byte() {
    let Some(data) = data() else { return };
    for shots in [0, 5] {
        let expected = fixture(shots);
        assert_eq!(expected.len(), 40);
        let plan = planned(&data, shots, &expected);
        let items = plan.subjects.iter().flat_map(|s| s.items.iter().map(move |i| (&s.subject.handle, i)));
        for ((subject, item), e) in items.zip(&expected) {
            let hash: String = Sha256::digest(item.prompt.text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!((subject, &item.id), (&e.subject, &e.id.to_string()));
            assert_eq!(hash, e.prompt_sha256, "{subject}/{} at {shots} shots", item.id);
            assert_eq!(item.prompt.continuations, [" A", " B", " C", " D"]);
            assert_eq!(plan.label(item.gold.unwrap()), e.gold);
        }
    }
}

/// SmolLM2-135M-Instruct, the fixture's model.
fn engine() -> Option<(Engine, Tokenizer)> {
    let path = common::test_gguf()?;
    let files = open(&path).unwrap();
    let decoder = Decoder::load(&files.config, &*files.weights, WeightForm::F32).unwrap();
    Some((Engine::new(Arc::new(decoder), None, Vec::new()), Tokenizer::open(&path).unwrap()))
}

#[test]
fn log_likelihoods_are_the_harness_s() {
    let Some(data) = data() else { return };
    let Some((engine, tokenizer)) = engine() else { return };
    for shots in [0, 5] {
        let expected = fixture(shots);
        let plan = planned(&data, shots, &expected);
        let requests: Vec<_> =
            plan.subjects.iter().flat_map(|s| &s.items).map(|item| encode(&tokenizer, &item.prompt).unwrap()).collect();
        let answers = engine.loglikelihoods(&requests, &mut |_| (), &CancelToken::default()).unwrap();
        let mut largest: f64 = 0.0;
        for (lls, e) in answers.iter().zip(&expected) {
            assert_eq!(lls.len(), 4);
            for (own, theirs) in lls.iter().zip(&e.loglikelihoods) {
                largest = largest.max((own - theirs).abs());
                assert!((own - theirs).abs() <= 1e-3, "{}/{}: {lls:?}, not {:?}", e.subject, e.id, e.loglikelihoods);
            }
            let pred = ["A", "B", "C", "D"][argmax(lls).unwrap()];
            assert_eq!(pred, e.pred, "{}/{}: {lls:?}", e.subject, e.id);
        }
        eprintln!("{shots} shots: largest difference {largest:.1e}");
    }
}

#[test]
fn every_item_of_the_real_benchmarks_is_read() {
    let Some(data) = data() else { return };
    for (name, subjects, dev, scored) in [
        ("ceval", 52, 260, 1346),
        ("cmmlu", 67, 335, 11_582),
        ("mmlu", 57, 285, 14_042),
        ("financeiq", 10, 50, 7123),
        ("fineval", 34, 170, 1151),
    ] {
        let benchmark = find(name, Some(&data)).unwrap();
        if !benchmark.is_present() {
            eprintln!("skipped: no {name} in LINLY_BENCH_DATA");
            continue;
        }
        let all = benchmark.subjects(&[]).unwrap();
        let count = |split: &str| -> usize {
            all.iter()
                .map(|s| load(&benchmark, s, split).unwrap())
                .inspect(|loaded| assert!(loaded.skipped.is_empty(), "{:?}", loaded.skipped))
                .map(|loaded| loaded.items.len())
                .sum()
        };
        if name == "ceval" {
            assert_eq!(count("test"), 12_342, "the split without answers");
        }
        assert_eq!((all.len(), count("dev"), count(&benchmark.definition.split)), (subjects, dev, scored), "{name}");
    }
}
