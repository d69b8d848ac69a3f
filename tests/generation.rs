//! The engine on tiny models: what is answered and scored does not depend on what else is asked at the same time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tiny;

use linly_bench::infer::{Engine, Generation, LanguageModel, Sampling, ScoreRequest};
use linly_bench::job::CancelToken;
use linly_bench::model::WeightForm;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::sync::Arc;

/// Forty prompts: three stretches of them begin alike, some stand alone, and one is the beginning of its neighbours.
fn prompts() -> Vec<Vec<u32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut ids = |n: usize| -> Vec<u32> { (0..n).map(|_| rng.random_range(0..64)).collect() };
    let mut prompts = Vec::new();
    for (count, shared) in [(18, 40), (1, 0), (12, 25), (2, 3), (7, 17)] {
        let beginning = ids(shared);
        for i in 0..count {
            let own = ids(1 + i % 5);
            prompts.push([beginning.clone(), own].concat());
        }
    }
    prompts[3].truncate(40);
    prompts
}

fn engine(name: &str, adapted: bool, end: Vec<u32>) -> Engine {
    let decoder = Arc::new(tiny::decoder(name, WeightForm::F32));
    let lora = adapted.then(|| Arc::new(tiny::lora(name, &decoder)));
    Engine::new(decoder, lora, end)
}

fn answers(engine: &Engine, prompts: &[Vec<u32>], max_new_tokens: usize) -> Vec<Generation> {
    let sampling = Sampling { max_new_tokens, ..Sampling::default() };
    engine.generate(prompts, &sampling, &mut |_, _| {}, &CancelToken::default()).unwrap()
}

#[test]
fn an_answer_does_not_depend_on_what_is_answered_beside_it() {
    let prompts = prompts();
    for (name, adapted) in [("llama", false), ("qwen2", true), ("qwen3", true)] {
        // Some tokens end an answer, so that answers end at different times and make room for others.
        let engine = engine(name, adapted, (0..6).collect());
        let together = answers(&engine, &prompts, 12);
        let alone: Vec<Generation> =
            prompts.iter().flat_map(|p| answers(&engine, std::slice::from_ref(p), 12)).collect();
        assert_eq!(together, alone, "{name}");
        assert!(alone.iter().any(|g| g.stopped) && alone.iter().any(|g| !g.stopped), "{name}: both kinds of ends");
    }
}

#[test]
fn an_answer_is_as_if_every_token_had_been_read_anew() {
    let engine = engine("llama", false, vec![]);
    for prompt in prompts().into_iter().step_by(7) {
        let answer = answers(&engine, std::slice::from_ref(&prompt), 6).remove(0);
        let mut context = prompt;
        for token in answer.tokens {
            let continuations: Vec<Vec<u32>> = (0..64).map(|id| vec![id]).collect();
            let request = ScoreRequest { context: context.clone(), continuations };
            let scores = engine.loglikelihoods(&[request], &mut |_| {}, &CancelToken::default()).unwrap().remove(0);
            let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            assert!(scores[token as usize] > best - 1e-5, "the likeliest token is taken");
            context.push(token);
        }
    }
}

#[test]
fn each_answer_ends_where_its_own_listener_says() {
    let engine = engine("llama", false, vec![]);
    let prompts = prompts();
    let whole = answers(&engine, &prompts, 10);
    let mut heard = vec![0; prompts.len()];
    let mut enough = |i: usize, _: u32| {
        heard[i] += 1;
        heard[i] > i % 7
    };
    let sampling = Sampling { max_new_tokens: 10, ..Sampling::default() };
    let cut = engine.generate_until(&prompts, &sampling, &mut enough, &CancelToken::default()).unwrap();
    for (i, (cut, whole)) in cut.iter().zip(&whole).enumerate() {
        assert_eq!(cut.tokens, whole.tokens[..i % 7 + 1]);
        assert!(cut.stopped);
    }
}

#[test]
fn a_beginning_that_prompts_share_is_read_once() {
    let prompts = prompts();
    let engine = engine("llama", false, vec![]);
    answers(&engine, &prompts[..18], 1);
    let own: usize = prompts[..18].iter().map(Vec::len).sum::<usize>();
    assert!(engine.prefilled() < own as u64 / 4, "{} of {own} tokens were read", engine.prefilled());
}

#[test]
fn cancelling_ends_the_writing() {
    let engine = engine("llama", false, vec![]);
    let cancel = CancelToken::default();
    let stop = cancel.clone();
    let mut tokens = 0;
    let sampling = Sampling { max_new_tokens: 1000, ..Sampling::default() };
    let mut hear = |_: usize, _: u32| {
        tokens += 1;
        stop.cancel();
    };
    let error = engine.generate(&prompts()[..1], &sampling, &mut hear, &cancel).unwrap_err();
    assert_eq!((error.kind, tokens), (linly_bench::error::Kind::Interrupted, 1));
}
