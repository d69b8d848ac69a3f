//! Models behind an OpenAI-compatible server: the numbers, the failures, and what must never leave.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::files_under;
use common::openai::{OpenAi, Reply, good, logprob, next};
use linly_bench::config::Settings;
use linly_bench::error::{Error, Kind, Result};
use linly_bench::infer::{Generation, LanguageModel, Sampling, ScoreRequest as Request};
use linly_bench::job::{CancelToken, Silent};
use linly_bench::prompt::Tokenize;
use linly_bench::remote::{Method, Options, PlainText, RemoteModel};
use linly_bench::workbench::report::{ReportFormat, ReportRequest, run_report};
use linly_bench::workbench::{
    Examinee, How, Provenance, ScoreReport, ScoreRequest, Workbench, score, with_remote_examinee,
};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Impatient, so that a test of patience does not take any.
fn options() -> Options {
    Options { concurrency: 3, backoff: Duration::from_millis(1), retries: 3, ..Options::default() }
}

fn connect(server: &OpenAi, options: Options) -> RemoteModel {
    RemoteModel::connect(&server.model(), options).unwrap().prepared_to_score(&CancelToken::default()).unwrap()
}

fn ids(text: &str) -> Vec<u32> {
    PlainText::ids(text)
}

/// Log-likelihoods of `choices` after `context`.
fn loglikelihoods(model: &RemoteModel, context: &str, choices: &[&str]) -> Result<Vec<f64>> {
    let request = Request { context: ids(context), continuations: choices.iter().map(|c| ids(c)).collect() };
    Ok(model.loglikelihoods(&[request], &mut |_| {}, &CancelToken::default())?.remove(0))
}

/// The server's model on this machine: a token per byte.
struct Bytes;

impl Tokenize for Bytes {
    fn encode(&self, text: &str, _: bool) -> Result<Vec<u32>> {
        Ok(text.bytes().map(u32::from).collect())
    }
    fn decode_token(&self, _: u32) -> String {
        String::new()
    }
    fn eos(&self) -> u32 {
        0
    }
    fn eos_text(&self) -> &str {
        ""
    }
    fn bos_text(&self) -> Option<&str> {
        None
    }
    fn chat_template(&self) -> Option<&str> {
        None
    }
}

impl LanguageModel for Bytes {
    fn loglikelihoods(&self, requests: &[Request], _: &mut dyn FnMut(usize), _: &CancelToken) -> Result<Vec<Vec<f64>>> {
        let sum = |context: &[u32], continuation: &[u32]| {
            let mut before = *context.last().unwrap() as u8;
            let each = continuation.iter().map(|id| logprob(std::mem::replace(&mut before, *id as u8), *id as u8));
            each.sum::<f64>()
        };
        Ok(requests.iter().map(|r| r.continuations.iter().map(|c| sum(&r.context, c)).collect()).collect())
    }

    fn generate(
        &self,
        _: &[Vec<u32>],
        _: &Sampling,
        _: &mut dyn FnMut(usize, u32),
        _: &CancelToken,
    ) -> Result<Vec<Generation>> {
        Err(Error::internal("not asked for"))
    }
}

fn open(home: &Path) -> Workbench {
    Workbench::open(Settings::resolve(Some(home.to_owned()), None, None).unwrap()).unwrap()
}

fn request(preset: Option<&str>) -> ScoreRequest {
    ScoreRequest {
        benchmark: "finance-qa".into(),
        shots: 1,
        preset: preset.map(str::to_owned),
        subjects: vec![],
        limit: Some(5),
        split: None,
        template: String::new(),
        how: How::default(),
    }
}

fn scored_remotely(workbench: &Workbench, model: &RemoteModel) -> Result<ScoreReport> {
    with_remote_examinee(model, None, |who| score(workbench, &request(None), who, &Silent, &CancelToken::default()))
}

#[test]
fn the_numbers_are_those_of_the_same_model_on_this_machine() {
    let home = tempfile::tempdir().unwrap();
    let workbench = open(home.path());
    let provenance = Provenance { model: "bytes".into(), model_hash: "b".into(), ..Provenance::default() };
    let who = Examinee { provenance, model: &Bytes, tokenizer: &Bytes, chat: None };
    let here = score(&workbench, &request(None), &who, &Silent, &CancelToken::default()).unwrap();
    let server = OpenAi::good();
    let model = connect(&server, options());
    assert_eq!(model.method(), Some(Method::Echo));
    let there = scored_remotely(&workbench, &model).unwrap();
    assert_eq!(here.outcomes, there.outcomes);
    assert!(there.report.n >= 20, "{}", there.report.n);
    assert!(there.report.prefill_tokens > 0, "as the server counts them");

    let run = workbench.store.run(&there.run).unwrap();
    assert_eq!((&run.model, &run.model_hash), (&server.model(), &server.model()));
    let markdown = run_report(&workbench, &there.run, ReportFormat::Markdown, &ReportRequest::default()).unwrap();
    let markdown = String::from_utf8(markdown).unwrap();
    assert!(markdown.contains(&server.model()) && markdown.contains("could not be hashed"), "{markdown}");
    let out = linly(home.path(), &["leaderboard", "--format", "csv"]);
    assert!(String::from_utf8_lossy(&out.stdout).contains(&server.model()), "{out:?}");
}

#[test]
fn choices_of_whole_characters_are_found_by_their_offsets() {
    let server = OpenAi::good();
    let model = connect(&server, options());
    let sum = |text: &str, from: usize| {
        let bytes = text.as_bytes();
        (from..bytes.len()).map(|i| logprob(bytes[i - 1], bytes[i])).sum::<f64>()
    };
    let context = "债券是什么？答：";
    let expected: Vec<f64> =
        ["债务凭证", " A股", "x"].iter().map(|c| sum(&format!("{context}{c}"), context.len())).collect();
    assert_eq!(loglikelihoods(&model, context, &["债务凭证", " A股", "x"]).unwrap(), expected);
}

#[test]
fn a_busy_broken_or_babbling_server_is_asked_again() {
    let trials = OpenAi::good();
    connect(&trials, options());
    let quiet = trials.asked().len();
    let expected = loglikelihoods(&connect(&OpenAi::good(), options()), "Q: what\nA:", &[" A", " B", " C", " D"]);
    let server = OpenAi::start(move |asked, before| match before.checked_sub(quiet) {
        Some(0) => Reply::Status(429, "retry-after: 0\r\n", r#"{"error": {"message": "slow down"}}"#.into()),
        Some(1) => Reply::Status(503, "", "<html>".into()),
        Some(2) => Reply::Cut(good(asked)),
        Some(3) => Reply::Status(200, "", "{\"choices\": [".into()),
        Some(4) => Reply::Status(500, "", String::new()),
        _ => Reply::Json(good(asked)),
    });
    let model = connect(&server, Options { concurrency: 1, retries: 5, ..options() });
    assert_eq!(loglikelihoods(&model, "Q: what\nA:", &[" A", " B", " C", " D"]).unwrap(), expected.unwrap());
    assert_eq!(server.asked().len(), quiet + 4 + 5);
}

#[test]
fn patience_ends_and_says_what_to_do() {
    for (status, kind, tries) in [(500, Kind::Network, 4), (429, Kind::Network, 4), (401, Kind::Network, 1)] {
        let server = OpenAi::start(move |_, _| {
            Reply::Status(status, "retry-after: 0\r\n", r#"{"error": {"message": "no\u001b[31m!"}}"#.into())
        });
        let model = RemoteModel::connect(&server.model(), Options { concurrency: 1, ..options() }).unwrap();
        let error = model.prepared_to_score(&CancelToken::default()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind, kind);
        assert!(error.message.contains(&status.to_string()) && error.message.contains("no!"), "{error}");
        assert!(error.hint.is_some());
        assert_eq!(server.asked().len(), tries, "HTTP {status}");
    }
    // A quota that is used up until tomorrow is not waited for.
    let server = OpenAi::start(|_, _| Reply::Status(429, "retry-after: 86400\r\n", String::new()));
    let model = RemoteModel::connect(&server.model(), Options { concurrency: 1, ..options() }).unwrap();
    assert!(model.prepared_to_score(&CancelToken::default()).is_err());
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_slow_server_is_given_up_on_and_does_not_hold_up_ctrl_c() {
    let server = OpenAi::start(|asked, before| if before == 0 { Reply::Silence } else { Reply::Json(good(asked)) });
    let model = connect(&server, Options { concurrency: 1, timeout: Duration::from_millis(300), ..options() });
    assert_eq!(model.method(), Some(Method::Echo), "the request that was not answered was sent again");

    let server = OpenAi::start(|_, _| Reply::Silence);
    let model = RemoteModel::connect(&server.model(), options()).unwrap();
    let cancel = CancelToken::default();
    let stopped = std::thread::scope(|scope| {
        let scoring = scope.spawn(|| model.prepared_to_score(&cancel).map(|_| ()));
        server.wait_for(1);
        cancel.cancel();
        scoring.join().unwrap()
    });
    assert_eq!(stopped.unwrap_err().kind, Kind::Interrupted);
}

#[test]
fn a_wrong_name_names_the_right_ones() {
    let server = OpenAi::good();
    let error = |spec: &str| RemoteModel::connect(spec, options()).map(|_| ()).unwrap_err();
    for spec in [format!("{}#wrong", server.base), server.base.clone()] {
        let error = error(&spec);
        assert!(error.hint.unwrap().contains("m, other"), "{spec}");
    }
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = error(&format!("http://{address}/v1#m"));
    assert_eq!(error.kind, Kind::Network);
    assert!(error.message.contains("cannot be reached"), "{error}");
}

#[test]
fn echoes_that_belong_to_other_tokens_are_not_believed() {
    // As llama-cpp-python 0.3 does for models without a BOS token: each token has its probability after itself.
    let server = OpenAi::start(|asked, _| {
        let mut answer = good(asked);
        let logprobs = &mut answer["choices"][0]["logprobs"];
        if asked.body["echo"] == true {
            let prompt = asked.body["prompt"].as_str().unwrap();
            logprobs["token_logprobs"] = prompt.bytes().chain([next(prompt)]).map(|byte| logprob(byte, byte)).collect();
        } else if asked.body["logprobs"].as_u64() > Some(20) {
            return Reply::Status(400, "", r#"{"error": {"message": "at most 20"}}"#.into());
        } else {
            logprobs["top_logprobs"] = json!([{" A": -1.5, " B": -0.5, "C": -0.25}]);
        }
        Reply::Json(answer)
    });
    let model = connect(&server, options());
    assert_eq!(model.method(), Some(Method::Likeliest(20)));
    assert_ne!(model.identity(), model.name(), "scores that were found otherwise are another run's");
    assert_eq!(loglikelihoods(&model, "Q:", &[" A", " B"]).unwrap(), [-1.5, -0.5]);
    let error = loglikelihoods(&model, "Q:", &[" A", " C"]).unwrap_err();
    assert_eq!(error.kind, Kind::Unsupported);
    assert!(error.message.contains("` C`") || error.message.contains("`C`"), "{error}");
}

#[test]
fn a_server_without_log_probabilities_is_told_apart() {
    let server = OpenAi::start(|_, _| Reply::Json(json!({"choices": [{"text": "x", "logprobs": null}]})));
    let model = RemoteModel::connect(&server.model(), options()).unwrap();
    let error = model.prepared_to_score(&CancelToken::default()).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, Kind::Unsupported);
    assert!(error.hint.unwrap().contains("--mode generate"));
}

#[test]
fn a_server_that_fails_on_an_echo_is_not_asked_for_one_again() {
    // As llama.cpp's own server does, with the layout of the chat protocol beside it.
    let server = OpenAi::start(|asked, _| match asked.body["echo"] == true {
        true => Reply::Status(500, "", r#"{"error": {"message": "Only no echo is supported"}}"#.into()),
        false => Reply::Json(json!({"choices": [{"text": " x", "logprobs": {"content": [{"token": " x",
            "logprob": -0.1, "top_logprobs": [{"token": " x", "logprob": -0.1}, {"token": " B", "logprob": -3.5}]}]}}]})),
    });
    let model = connect(&server, options());
    assert_eq!(model.method(), Some(Method::Likeliest(1000)));
    assert_eq!(server.asked().iter().filter(|a| a.body["echo"] == true).count(), 3, "none was repeated");
    assert_eq!(loglikelihoods(&model, "Q:", &[" x", " B"]).unwrap(), [-0.1, -3.5]);
}

#[test]
fn the_rate_limit_spaces_requests() {
    let server = OpenAi::good();
    let model = connect(&server, Options { per_minute: Some(3000), ..options() });
    let start = Instant::now();
    loglikelihoods(&model, "Q:", &["a", "b", "c", "d", "e", "f"]).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(5 * 20), "{:?}", start.elapsed());
}

#[test]
fn text_is_generated_from_prompts_and_from_conversations() {
    let server = OpenAi::good();
    let model = RemoteModel::connect(&server.model(), options()).unwrap();
    let sampling = Sampling { temperature: 0.5, seed: 7, max_new_tokens: 9, ..Sampling::default() };
    let cancel = CancelToken::default();
    let mut streamed = vec![String::new(); 2];
    let mut hear = |place: usize, id: u32| streamed[place].push_str(&PlainText::text(&[id]));
    let talk =
        |text: &str| ids(&json!([{"role": "system", "content": "s"}, {"role": "user", "content": text}]).to_string());
    let answers = model
        .clone()
        .asked_in_conversations(true)
        .generate(&[talk("债券？"), talk("?")], &sampling, &mut hear, &cancel)
        .unwrap();
    let texts: Vec<String> = answers.iter().map(|g| PlainText::text(&g.tokens)).collect();
    assert_eq!(texts, ["3 characters", "1 characters"]);
    assert_eq!(streamed, texts);
    assert!(answers.iter().all(|g| g.stopped));
    let plain = model.generate(&[ids("Q: \"")], &sampling, &mut |_, _| {}, &cancel).unwrap();
    assert!(plain[0].tokens.len() == 1 && !plain[0].stopped);
    let asked = server.asked();
    let last = &asked.last().unwrap().body;
    assert_eq!((&last["prompt"], &last["max_tokens"], &last["temperature"]), (&json!("Q: \""), &json!(9), &json!(0.5)));
    let of = |i: usize| asked.iter().filter(|a| a.path.ends_with("chat/completions")).nth(i).unwrap();
    assert_eq!(of(0).body["messages"][0], json!({"role": "system", "content": "s"}));
    assert_ne!(of(0).body["seed"], of(1).body["seed"], "each prompt draws for itself");
}

fn command(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linly-bench"));
    command.args(args).env_clear().env("LINLY_BENCH_HOME", home).stdin(Stdio::null());
    command
}

fn linly(home: &Path, args: &[&str]) -> Output {
    command(home, args).output().unwrap()
}

const RUN: [&str; 7] = ["run", "finance-qa", "--limit", "5", "--concurrency", "2", "--json"];

#[test]
fn the_key_is_sent_and_never_seen() {
    const KEY: &str = "sk-hunter2-hunter2";
    let home = tempfile::tempdir().unwrap();
    // A server that quotes the key, as some do when they refuse it.
    let server = OpenAi::start(|asked, before| {
        let words = format!("bad key {}", asked.authorization.as_deref().unwrap_or("none"));
        match before {
            0..40 => Reply::Json(good(asked)),
            _ => Reply::Status(500, "", json!({"error": {"message": words}}).to_string()),
        }
    });
    for variable in ["LINLY_BENCH_API_KEY", "OPENAI_API_KEY"] {
        let out = command(home.path(), &[&RUN[..], &["--model", &server.model(), "--retries", "0"]].concat())
            .env(variable, KEY)
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(1));
        let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(said.contains("bad key") && !said.contains("hunter2"), "{said}");
    }
    let asked = server.asked();
    assert!(asked.iter().all(|a| a.authorization.as_deref() == Some(&format!("Bearer {KEY}"))));
    for file in files_under(home.path()).into_iter().filter(|f| f.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(7).any(|w| w == b"hunter2"), "{}", file.display());
    }
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let numbers = |out: &Output| {
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let mut value: Value = serde_json::from_slice(&out.stdout).unwrap();
        for key in ["run", "items_per_second", "prefill_tokens", "context_tokens", "model"] {
            value.as_object_mut().unwrap().remove(key).unwrap();
        }
        value
    };
    let (home, whole) = (tempfile::tempdir().unwrap(), OpenAi::good());
    let undisturbed = linly(home.path(), &[&RUN[..], &["--model", &whole.model()]].concat());
    let all = whole.asked().len();

    let silent = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let (flag, limit) = (silent.clone(), all / 2);
    let server =
        OpenAi::start(move |asked, before| match flag.load(std::sync::atomic::Ordering::SeqCst) && before >= limit {
            true => Reply::Silence,
            false => Reply::Json(good(asked)),
        });
    let mut child = command(home.path(), &[&RUN[..], &["--model", &server.model()]].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    server.wait_for(limit + 1);
    child.kill().unwrap();
    child.wait().unwrap();
    silent.store(false, std::sync::atomic::Ordering::SeqCst);
    let before = server.asked().len();

    let run = open(home.path()).store.runs(Some("eval")).unwrap().remove(0);
    assert_eq!(run.status.as_str(), "interrupted");
    let resumed = linly(home.path(), &["run", "--resume", &run.id, "--json"]);
    assert_eq!(numbers(&resumed), numbers(&undisturbed));
    let again = server.asked().len() - before;
    assert!(again < all && before + again < all + 100, "{before} and then {again} requests of {all}");
}

#[test]
fn servers_battle_under_their_names() {
    let home = tempfile::tempdir().unwrap();
    let server = OpenAi::good();
    std::fs::write(home.path().join("q.txt"), "What is a bond?\n什么是债券？\n").unwrap();
    let file = home.path().join("q.txt");
    let ok = |args: &[&str]| {
        let out = linly(home.path(), args);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    };
    ok(&["arena", "new", "f", "--questions", &file.to_string_lossy()]);
    let (one, two) = (server.model(), format!("{}#other", server.base));
    ok(&["arena", "battle", "f", "--model", &one, "--against", &two]);
    let battles = open(home.path()).store.battles("f").unwrap();
    assert_eq!(battles.len(), 2);
    for battle in battles {
        let mut names = [battle.model_a.as_str(), battle.model_b.as_str()];
        names.sort_unstable();
        assert_eq!(names, [one.as_str(), two.as_str()]);
        assert_eq!(battle.answer_a, format!("{} characters", battle.question.chars().count()));
    }
    ok(&["leaderboard"]);
}

#[test]
fn what_a_server_cannot_do_is_said() {
    let home = tempfile::tempdir().unwrap();
    let server = OpenAi::good();
    let model = server.model();
    for (args, code, named) in [
        (&["run", "finance-qa", "--model", &model, "--adapter", "x"] as &[&str], 2, "adapter"),
        (&["run", "finance-qa", "--model", &model, "--template", "chat"], 1, "--template none"),
        (&["train", "--model", &model, "--data", "d", "--adapter", "a"], 1, "hint: "),
        (&["models", "info", &model], 1, "no weights here"),
    ] {
        let out = linly(home.path(), args);
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(named), "{args:?}: {stderr}");
    }
}
