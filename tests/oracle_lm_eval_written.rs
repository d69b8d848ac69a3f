//! Written answers and rolling windows against lm-evaluation-harness 0.4.13 (`tests/oracle/lm_eval_gsm8k.py`).
//!
//! The fixture holds hashes of the harness's GSM8K prompts, and what its filters, its metric and its windows make of
//! texts and lengths that the script names. The prompts need `LINLY_BENCH_DATA`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use linly_bench::eval::{Asks, Expected, FewshotSampler, PlanRequest, Reading, asking, built_in, find, plan, windows};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn fixture() -> Value {
    serde_json::from_str(include_str!("oracle/lm_eval_gsm8k.json")).unwrap()
}

#[test]
fn gsm8k_s_prompts_are_the_harness_s_to_the_byte() {
    let Some(data) = std::env::var_os("LINLY_BENCH_DATA") else {
        eprintln!("skipped: LINLY_BENCH_DATA names no folder with GSM8K");
        return;
    };
    let benchmark = find("gsm8k", Some(data.as_ref())).unwrap();
    assert_eq!(benchmark.definition.num_fewshot, 5);
    for case in fixture()["prompts"].as_array().unwrap() {
        let sampler = match case["sampler"].as_str().unwrap() {
            "first" => FewshotSampler::First,
            _ => FewshotSampler::Random,
        };
        let expected: Vec<&str> = case["sha256"].as_array().unwrap().iter().map(|h| h.as_str().unwrap()).collect();
        let request = PlanRequest {
            shots: case["shots"].as_u64().unwrap() as usize,
            fewshot_sampler: Some(sampler),
            limit: Some(expected.len()),
            ..PlanRequest::default()
        };
        let plan = plan(&benchmark, &request, None).unwrap();
        let hash = |text: &str| Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect::<String>();
        let own: Vec<String> = plan.subjects[0].items.iter().map(|item| hash(&item.prompt.text)).collect();
        assert_eq!(own, expected, "{} shots, {sampler:?}", request.shots);
    }
}

#[test]
fn answers_are_taken_and_judged_as_the_harness_does() {
    let fixture = fixture();
    let definition = built_in().unwrap().into_iter().find(|d| d.name == "gsm8k").unwrap();
    let (_, asks) = asking(&definition, None, None).unwrap();
    let Asks::Written(writing) = asks else { panic!("gsm8k is answered in writing") };
    let Reading::Text { filters, metrics } = &writing.reading else { panic!("gsm8k has no choices") };
    let expected = Expected::Texts(vec![fixture["gold"].as_str().unwrap().to_owned()]);
    for case in fixture["answers"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        for filter in filters {
            let theirs = &case["filters"][&filter.name];
            let found = filter.extract(text);
            assert_eq!(found.as_deref().unwrap_or("[invalid]"), theirs["answer"], "{}: {text:?}", filter.name);
            let value = metrics[0].values(found.as_deref(), &expected)[0].1;
            assert_eq!(Some(value), theirs["exact_match"].as_f64(), "{}: {text:?}", filter.name);
        }
    }
    let ends: Vec<&str> = writing.until.iter().map(String::as_str).collect();
    assert_eq!((ends.as_slice(), writing.max_tokens), (["Question:", "</s>", "<|im_end|>"].as_slice(), 256));
}

#[test]
fn rolling_windows_are_the_harness_s() {
    for case in fixture()["windows"].as_array().unwrap() {
        let (n, longest) = (case["tokens"].as_u64().unwrap() as u32, case["longest"].as_u64().unwrap() as usize);
        let tokens: Vec<u32> = (100..100 + n).collect();
        let own: Vec<[Vec<u32>; 2]> =
            windows(&tokens, 1, longest).into_iter().map(|w| [w.context, w.continuations[0].clone()]).collect();
        assert_eq!(serde_json::to_value(own).unwrap(), case["windows"], "{n} tokens in windows of {longest}");
    }
}
