//! `linly-bench run` and `runs` from outside, and the verbs behind them with a model that costs nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::characters::Characters;
use linly_bench::config::Settings;
use linly_bench::error::{Error, Kind, Result};
use linly_bench::infer::{Generation, LanguageModel, Sampling, ScoreRequest as Request};
use linly_bench::job::{CancelToken, EventSink, JobEvent, Silent};
use linly_bench::model::{BaseStorage, WeightForm};
use linly_bench::workbench::{Examinee, How, Provenance, ScoreReport, ScoreRequest, Workbench, resume_score, score};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::cell::Cell;
use std::path::Path;
use std::process::{Command, Output};

/// How the model fails at its last permitted batch.
#[derive(Clone, Copy)]
enum End {
    /// As Ctrl-C would make it.
    Interrupted,
    /// As a killed process leaves things: nothing is recorded.
    Killed,
}

/// Log-likelihoods from a hash of what is asked: deterministic, and different for every prompt.
struct Hashing {
    salt: u8,
    batches: Cell<usize>,
    items: Cell<usize>,
    end: End,
}

impl Hashing {
    fn new(salt: u8) -> Hashing {
        Hashing { salt, batches: Cell::new(usize::MAX), items: Cell::new(0), end: End::Interrupted }
    }

    fn failing_after(batches: usize, end: End) -> Hashing {
        Hashing { batches: Cell::new(batches), end, ..Hashing::new(0) }
    }
}

impl LanguageModel for Hashing {
    fn loglikelihoods(
        &self,
        requests: &[Request],
        done: &mut dyn FnMut(usize),
        _: &CancelToken,
    ) -> Result<Vec<Vec<f64>>> {
        match self.batches.get().checked_sub(1) {
            Some(left) => self.batches.set(left),
            None => match self.end {
                End::Interrupted => return Err(Error::new(Kind::Interrupted, "stopped")),
                End::Killed => std::panic::resume_unwind(Box::new(())),
            },
        }
        self.items.set(self.items.get() + requests.len());
        done(requests.len());
        let value = |request: &Request, continuation: &Vec<u32>| {
            let mut hasher = Sha256::new_with_prefix([self.salt]);
            request.context.iter().chain(continuation).for_each(|id| hasher.update(id.to_le_bytes()));
            let bytes = hasher.finalize();
            -f64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])) / 3e8
        };
        Ok(requests.iter().map(|r| r.continuations.iter().map(|c| value(r, c)).collect()).collect())
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

fn request() -> ScoreRequest {
    ScoreRequest {
        benchmark: "finance-qa".into(),
        shots: 2,
        preset: None,
        subjects: vec![],
        limit: None,
        split: None,
        template: String::new(),
        how: How::default(),
    }
}

fn who<'a>(model: &'a Hashing, name: &str) -> Examinee<'a> {
    let provenance = Provenance { model: name.into(), model_hash: format!("{name}-hash"), ..Provenance::default() };
    Examinee { provenance, model, tokenizer: &Characters, chat: None }
}

fn scored(workbench: &Workbench, request: &ScoreRequest, model: &Hashing, name: &str) -> Result<ScoreReport> {
    score(workbench, request, &who(model, name), &Silent, &CancelToken::default())
}

/// The numbers of a report without what depends on the clock or on the run.
fn numbers(report: &ScoreReport) -> Value {
    let mut value = serde_json::to_value(report).unwrap();
    let object = value.as_object_mut().unwrap();
    for key in ["run", "items_per_second", "prefill_tokens", "context_tokens"] {
        object.remove(key).unwrap();
    }
    value
}

#[test]
fn a_resumed_run_gives_the_numbers_of_one_that_was_never_interrupted() {
    let home = tempfile::tempdir().unwrap();
    let workbench = open(home.path());
    let whole = scored(&workbench, &request(), &Hashing::new(0), "m").unwrap();
    for (end, status) in [(End::Interrupted, "cancelled"), (End::Killed, "interrupted")] {
        let failing = Hashing::failing_after(2, end);
        let first =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| scored(&workbench, &request(), &failing, "m")));
        let run = workbench.store.runs(Some("eval")).unwrap().remove(0);
        assert_eq!(run.status.as_str(), status);
        if let Ok(stopped) = first {
            let hint = stopped.unwrap_err().hint.unwrap();
            assert!(hint.contains(&format!("--resume {}", run.id)), "{hint}");
        }
        let kept = failing.items.get();
        assert!(kept > 0 && kept < whole.report.n);

        let other = Hashing::new(1);
        let refused =
            resume_score(&workbench, &run, &who(&other, "other"), &Silent, &CancelToken::default()).unwrap_err();
        assert_eq!(refused.kind, Kind::Mismatch);

        let rest = Hashing::new(0);
        let resumed = resume_score(&workbench, &run, &who(&rest, "m"), &Silent, &CancelToken::default()).unwrap();
        assert_eq!(resumed.run, run.id);
        assert_eq!(numbers(&resumed), numbers(&whole));
        assert_eq!(resumed.outcomes, whole.outcomes);
        assert_eq!(rest.items.get(), whole.report.n - kept, "nothing is scored twice");
        assert_eq!(workbench.store.outcomes(&run.id).unwrap().len(), whole.report.n);

        let finished = workbench.store.run(&run.id).unwrap();
        assert_eq!(finished.status.as_str(), "done");
        let again = resume_score(&workbench, &finished, &who(&rest, "m"), &Silent, &CancelToken::default());
        assert_eq!(again.unwrap_err().kind, Kind::InvalidInput);
    }
}

#[test]
fn what_the_same_examinee_answered_is_not_asked_again() {
    let home = tempfile::tempdir().unwrap();
    let workbench = open(home.path());
    let asked = |provenance: Provenance, request: ScoreRequest| {
        let model = Hashing::new(0);
        let who = Examinee { provenance, model: &model, tokenizer: &Characters, chat: None };
        let report = score(&workbench, &request, &who, &Silent, &CancelToken::default()).unwrap();
        let stored = workbench.store.outcomes(&report.run).unwrap();
        assert_eq!(stored.len(), report.outcomes.len(), "every run has all of its items");
        assert!(stored.iter().all(|o| !o.detail.tokens.is_empty()), "and all that is known of them");
        assert_eq!(report.reused + model.items.get(), report.report.n);
        (model.items.get(), report)
    };
    let form = |storage| WeightForm { storage, ..WeightForm::F32 };
    let same = || Provenance {
        model: "m".into(),
        model_hash: "a".into(),
        tokenizer_hash: "t".into(),
        weights: Some(WeightForm::F32),
        ..Provenance::default()
    };
    let some = ScoreRequest { limit: Some(2), ..request() };
    let (first, part) = asked(same(), some.clone());
    assert_eq!(first, part.report.n);
    let (rest, whole) = asked(same(), request());
    assert_eq!(rest, whole.report.n - first);
    let (none, again) = asked(same(), request());
    assert_eq!((none, again.report.acc), (0, whole.report.acc));
    assert_eq!(
        again.report.items_per_second, whole.report.items_per_second,
        "the speed is that of the run that computed"
    );

    let n = whole.report.n;
    let others = [
        Provenance { model_hash: "b".into(), ..same() },
        Provenance { adapter: "x".into(), adapter_hash: "c".into(), ..same() },
        Provenance { adapter: "x".into(), adapter_hash: "d".into(), ..same() },
        Provenance { tokenizer_hash: "u".into(), ..same() },
        Provenance { weights: Some(form(BaseStorage::Int8)), ..same() },
        // A server's model: its weights may have changed behind its name.
        Provenance { tokenizer_hash: String::new(), weights: None, ..same() },
        Provenance { tokenizer_hash: String::new(), weights: None, ..same() },
    ];
    for other in others {
        assert_eq!(asked(other.clone(), request()).0, n, "{other:?} is another examinee");
    }
    assert_eq!(asked(same(), ScoreRequest { shots: 1, ..request() }).0, n, "another prompt");
    let fresh = How { fresh: true, ..How::default() };
    assert_eq!(asked(same(), ScoreRequest { how: fresh, ..request() }).0, n, "when everything is to be asked again");
}

#[test]
fn cancelling_takes_effect_between_batches_and_progress_reaches_the_end() {
    struct Recorder(std::sync::Mutex<Vec<u64>>, CancelToken, u64);
    impl EventSink for Recorder {
        fn emit(&self, event: &JobEvent) {
            if let JobEvent::Progress { done, total, .. } = event {
                assert!(done <= total);
                self.0.lock().unwrap().push(*done);
                if *done >= self.2 {
                    self.1.cancel();
                }
            }
        }
    }
    let home = tempfile::tempdir().unwrap();
    let workbench = open(home.path());
    let token = CancelToken::default();
    let sink = Recorder(Vec::new().into(), token.clone(), 1);
    let error = score(&workbench, &request(), &who(&Hashing::new(0), "m"), &sink, &token).unwrap_err();
    assert_eq!(error.kind, Kind::Interrupted);
    assert!(error.hint.unwrap().contains("--resume"));

    let sink = Recorder(Vec::new().into(), CancelToken::default(), u64::MAX);
    let report = score(&workbench, &request(), &who(&Hashing::new(0), "m"), &sink, &CancelToken::default()).unwrap();
    let seen = sink.0.into_inner().unwrap();
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(seen.last(), Some(&(report.report.n as u64)));
}

struct Bench {
    home: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        Bench { home: tempfile::tempdir().unwrap() }
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_linly-bench"))
            .args(args)
            .env("LINLY_BENCH_HOME", self.home.path())
            .env_remove("LINLY_BENCH_DATA")
            .env("LC_ALL", "C")
            .env("NO_COLOR", "1")
            .output()
            .unwrap()
    }

    fn text(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[args, &["--json"]].concat())).unwrap()
    }

    /// stderr of a command that must fail with `code` and print no data.
    fn fails(&self, code: i32, args: &[&str]) -> String {
        let out = self.run(args);
        let stderr = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(out.stdout.is_empty(), "{args:?} printed data");
        stderr
    }
}

/// Reading JSON may cost the last bit of a number.
fn close(value: &Value, expected: f64) {
    assert!((value.as_f64().unwrap() - expected).abs() < 1e-12, "{value} is not {expected}");
}

#[test]
fn wrong_requests_are_refused_before_a_model_is_loaded() {
    let bench = Bench::new();
    let run = |args: &[&str]| bench.fails(1, &[&["run", "--model", "no-such-model"], args].concat());
    for (args, named) in [
        (&["cevall"] as &[&str], "finance-qa, ceval"),
        (&["ceval"], "LINLY_BENCH_DATA"),
        (&["ceval", "--data-dir", "/no/such/folder"], "/no/such/folder"),
        (&["no/such.toml"], "no/such.toml"),
        (&["finance-qa", "--preset", "fancy"], "lm-eval"),
        (&["finance-qa", "--subjects", "zh,fr"], "nearest names"),
        (&["finance-qa", "--mode", "cot", "--preset", "chat"], "presets that do: lm-eval"),
        (&["finance-qa", "--mode", "generate", "--preset", "cloze"], "no-such-model"),
        (&["finance-qa"], "no-such-model"),
    ] {
        let stderr = run(args);
        assert!(stderr.contains(named), "{args:?}: {stderr}");
        assert!(stderr.contains("hint: "), "{args:?}: {stderr}");
    }
    bench.fails(2, &["run"]);
    bench.fails(2, &["run", "finance-qa"]);
    bench.fails(2, &["run", "finance-qa", "--model", "m", "--limit", "0"]);
    assert!(bench.fails(1, &["run", "--resume", "nothing"]).contains("runs list"));
    assert!(bench.json(&["runs", "list"]).as_array().unwrap().is_empty(), "nothing was started");
}

#[test]
fn runs_are_listed_shown_compared_and_reported() {
    let bench = Bench::new();
    let workbench = open(bench.home.path());
    let one = scored(&workbench, &request(), &Hashing::new(0), "first").unwrap();
    let two = scored(&workbench, &request(), &Hashing::new(1), "second\u{1b}[31m").unwrap();
    let zero_shot = ScoreRequest { shots: 0, limit: Some(10), ..request() };
    let three = scored(&workbench, &zero_shot, &Hashing::new(0), "first").unwrap();
    let _ = scored(&workbench, &request(), &Hashing::failing_after(0, End::Interrupted), "first").unwrap_err();

    let list = bench.json(&["runs", "list"]);
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 4);
    let started: Vec<&str> = list.iter().map(|r| r["started"].as_str().unwrap()).collect();
    assert!(started.is_sorted_by(|a, b| a >= b), "the newest first: {started:?}");
    for key in ["run", "kind", "status", "model", "adapter", "dataset", "started"] {
        assert!(list.iter().all(|r| r.get(key).is_some()), "{key}");
    }

    let shown = bench.json(&["runs", "show", &one.run]);
    assert_eq!((&shown["status"], &shown["kind"]), (&"done".into(), &"eval".into()));
    close(&shown["result"]["acc"], one.report.acc);
    assert_eq!(shown["result"]["prompt_hash"], one.report.prompt_hash);
    assert_eq!(shown["model_hash"], "first-hash");

    let compared = bench.json(&["runs", "compare", &one.run, &two.run]);
    let (gained, lost) = (compared["flips"]["gained"].as_u64().unwrap(), compared["flips"]["lost"].as_u64().unwrap());
    assert_eq!(compared["n"], one.report.n);
    close(&compared["acc_a"], one.report.acc);
    close(&compared["acc_b"], two.report.acc);
    let difference = compared["difference"].as_f64().unwrap();
    assert!((difference - (gained as f64 - lost as f64) / one.report.n as f64).abs() < 1e-12);
    let [low, high] = [0, 1].map(|i| compared["ci95"][i].as_f64().unwrap());
    assert!(low <= difference && difference <= high);
    let p = compared["mcnemar_p"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&p));
    assert_eq!(compared["items"].as_array().unwrap().len() as u64, gained + lost);
    assert_eq!(compared["prompts_differ"], 0);
    assert_eq!(compared, bench.json(&["runs", "compare", &one.run, &two.run]), "seeded");

    let text = bench.text(&["runs", "compare", &one.run, &three.run]);
    assert!(text.contains(&format!("n = {}\n", three.report.n)) && text.contains("different words"), "{text}");
    let text = bench.text(&["runs", "compare", &one.run, &two.run]);
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(text.contains("gained (only B right)") && text.contains("McNemar"), "{text}");

    for args in [&["runs", "list"] as &[&str], &["runs", "list", "--lang", "zh"], &["runs", "show", &two.run]] {
        let text = bench.text(args);
        assert!(text.contains(&two.run) && !text.contains('\u{1b}'), "{text:?}");
    }
    let file = bench.home.path().join("report.md");
    bench.text(&["runs", "report", &two.run, "-o", &file.to_string_lossy()]);
    let markdown = std::fs::read_to_string(&file).unwrap();
    assert!(markdown.starts_with(&format!("# {}\n", two.run)) && markdown.contains("| macro average"), "{markdown}");
    bench.fails(1, &["runs", "report", &two.run, "-o", "x.pdf"]);
    bench.fails(1, &["runs", "compare", &one.run, "nothing"]);
}
