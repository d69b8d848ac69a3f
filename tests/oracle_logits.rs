//! Logits of SmolLM2 from its GGUF agree with those that transformers computes from the same file
//! (`tests/oracle/logits.py` made the expected values), in Chinese and English.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use linly_bench::model::{Decoder, Stretch, Tokenizer, WeightForm, Workspace, open};
use linly_bench::ops::log_sum_exp;
use serde_json::Value;

#[test]
fn logits_of_smollm2_equal_transformers() {
    let Some(path) = common::test_gguf() else { return };
    let files = open(&path).unwrap();
    let decoder = Decoder::load(&files.config, &*files.weights, WeightForm::F32).unwrap();
    let tokenizer = Tokenizer::open(&path).unwrap();
    let cases: Value = serde_json::from_str(include_str!("oracle/logits.json")).unwrap();
    let mut compared = 0;
    for case in cases.as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let expected: Vec<u32> = case["ids"].as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u32).collect();
        let ids = tokenizer.encode(text, true).unwrap();
        assert_eq!(ids, expected, "{text}");
        let stretch = [Stretch { ids: &ids, past: Vec::new() }];
        let (hidden, _) = decoder.forward(&stretch, None, &mut Workspace::default()).unwrap();
        let logits = decoder.logits(&hidden, ids.len(), None);
        for (i, row) in logits.chunks_exact(decoder.config().vocab_size).enumerate() {
            let close = |ours: f64, theirs: &Value, what: &str| {
                let theirs = theirs.as_f64().unwrap();
                assert!((ours - theirs).abs() < 1e-3, "{text} [{i}] {what}: {ours}, transformers {theirs}");
            };
            close(log_sum_exp(row), &case["log_sum_exp"][i], "log-sum-exp");
            for (k, theirs) in case["every_997th"][i].as_array().unwrap().iter().enumerate() {
                close(f64::from(row[997 * k]), theirs, "logit");
                compared += 1;
            }
        }
    }
    assert!(compared > 3000, "only {compared} logits were compared");
}
