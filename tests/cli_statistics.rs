//! What stands behind scores, from outside: pairing, families of comparisons, re-scoring, orders of choices, wordings,
//! contamination, documents. The model costs nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::characters::Characters;
use linly_bench::config::Settings;
use linly_bench::error::{Error, Kind, Result};
use linly_bench::infer::{Generation, LanguageModel, Sampling, ScoreRequest as Request};
use linly_bench::job::{CancelToken, Silent};
use linly_bench::workbench::{Examinee, Provenance, ScoreReport, ScoreRequest, Workbench, permute, score};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::cell::Cell;
use std::path::Path;
use std::process::{Command, Output};

/// How a model that costs nothing answers.
enum Habit {
    /// By a hash of everything that it is asked.
    Hash(u8),
    /// The choice that stands at this place.
    Place(usize),
    /// The choice whose text is the smallest, wherever it stands.
    Content,
}

struct Model {
    habit: Habit,
    asked: Cell<usize>,
    fails_after: usize,
}

impl Model {
    fn new(habit: Habit) -> Model {
        Model { habit, asked: Cell::new(0), fails_after: usize::MAX }
    }
}

fn text(ids: &[u32]) -> String {
    ids.iter().filter_map(|id| char::from_u32(*id)).collect()
}

impl LanguageModel for Model {
    fn loglikelihoods(
        &self,
        requests: &[Request],
        done: &mut dyn FnMut(usize),
        _: &CancelToken,
    ) -> Result<Vec<Vec<f64>>> {
        if self.asked.get() + requests.len() > self.fails_after {
            return Err(Error::new(Kind::Interrupted, "stopped"));
        }
        self.asked.set(self.asked.get() + requests.len());
        done(requests.len());
        let answer = |request: &Request| -> Vec<f64> {
            let count = request.continuations.len();
            match self.habit {
                Habit::Hash(salt) => (0..count)
                    .map(|i| {
                        let mut hasher = Sha256::new_with_prefix([salt]);
                        let all = request.context.iter().chain(&request.continuations[i]);
                        all.for_each(|id| hasher.update(id.to_le_bytes()));
                        let bytes = hasher.finalize();
                        -f64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])) / 3e8
                    })
                    .collect(),
                Habit::Place(place) => (0..count).map(|i| if i == place { -1.0 } else { -2.0 }).collect(),
                Habit::Content => {
                    let prompt = text(&request.context);
                    let mut lines: Vec<&str> = prompt.lines().rev().skip(1).take(count).collect();
                    lines.reverse();
                    let texts: Vec<&str> = lines.iter().map(|l| l.split_once(". ").map_or("", |(_, t)| t)).collect();
                    let least = texts.iter().min().unwrap();
                    texts.iter().map(|t| if t == least { -1.0 } else { -2.0 }).collect()
                }
            }
        };
        Ok(requests.iter().map(answer).collect())
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

struct Bench {
    home: tempfile::TempDir,
    workbench: Workbench,
}

impl Bench {
    fn new() -> Bench {
        let home = tempfile::tempdir().unwrap();
        let settings = Settings::resolve(Some(home.path().to_owned()), None, None).unwrap();
        Bench { workbench: Workbench::open(settings).unwrap(), home }
    }

    fn score(
        &self,
        benchmark: &str,
        habit: Habit,
        adapter: &str,
        change: impl FnOnce(&mut ScoreRequest),
    ) -> ScoreReport {
        let mut request: ScoreRequest =
            serde_json::from_value(serde_json::json!({"benchmark": benchmark, "shots": 0, "preset": null,
                "subjects": [], "limit": null, "template": ""}))
            .unwrap();
        change(&mut request);
        let model = Model::new(habit);
        score(&self.workbench, &request, &who(&model, adapter), &Silent, &CancelToken::default()).unwrap()
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

    fn fails(&self, code: i32, args: &[&str]) -> String {
        let out = self.run(args);
        let stderr = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(code), "{args:?}: {stderr}");
        stderr
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(name)
    }

    fn report(&self, args: &[&str], name: &str) -> String {
        let path = self.file(name);
        self.text(&[&["runs", "report", "-o", &path.to_string_lossy()], args].concat());
        std::fs::read_to_string(path).unwrap()
    }
}

fn who<'a>(model: &'a Model, adapter: &str) -> Examinee<'a> {
    let provenance = Provenance {
        model: "tiny".into(),
        model_hash: "tiny-hash".into(),
        adapter: adapter.into(),
        adapter_hash: if adapter.is_empty() { String::new() } else { format!("{adapter}-hash") },
        ..Provenance::default()
    };
    Examinee { provenance, model, tokenizer: &Characters, chat: None }
}

/// A definition `name` with one table of two choices.
fn quiz(folder: &Path, name: &str, rows: &[&str]) -> String {
    let data = folder.join(name);
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("test.csv"), format!("question,A,B,answer\n{}\n", rows.join("\n"))).unwrap();
    let definition = format!(
        "name = \"quiz\"\ntitle = \"Quiz\"\nsource = \"nowhere\"\nlicence = \"CC0-1.0\"\nlang = \"en\"\nfolder = \"{name}\"\n\
         format = \"csv\"\nsplit = \"test\"\ndefault_preset = \"plain\"\n[files]\ntest = \"test.csv\"\n[columns]\n\
         question = \"question\"\nchoices = [\"A\", \"B\"]\nanswer = \"answer\"\n[presets.plain]\n\
         body = \"{{{{question}}}}\\nA. {{{{A}}}}\\nB. {{{{B}}}}\\nAnswer:\"\n[presets.text]\nchoice_style = \"text\"\n"
    );
    let path = folder.join(format!("{name}.toml"));
    std::fs::write(&path, definition).unwrap();
    path.to_string_lossy().into_owned()
}

fn close(value: &Value, expected: f64) {
    assert!((value.as_f64().unwrap() - expected).abs() < 1e-12, "{value} is not {expected}");
}

#[test]
fn definitions_that_share_a_name_are_compared_by_their_items() {
    let bench = Bench::new();
    // The second has one row more in front, and another second question.
    let one = quiz(bench.home.path(), "one", &["first?,a,b,A", "second?,a,b,A", "third?,a,b,B"]);
    let two = quiz(bench.home.path(), "two", &["new?,a,b,B", "first?,a,b,A", "second?,x,b,A", "third?,a,b,B"]);
    let a = bench.score(&one, Habit::Place(0), "", |_| {});
    let b = bench.score(&two, Habit::Place(1), "", |_| {});
    let c = bench.json(&["runs", "compare", &a.run, &b.run]);
    assert_eq!((&c["n"], &c["only_a"], &c["only_b"]), (&2.into(), &1.into(), &2.into()));
    close(&c["acc_a"], 0.5);
    close(&c["acc_b"], 0.5);
    assert_eq!(c["flips"], serde_json::json!({"gained": 1, "lost": 1}));
    let text = bench.text(&["runs", "compare", &a.run, &b.run]);
    assert!(text.contains("1 only A answered, 2 only B"), "{text}");
    // Nothing in common but the name.
    let three = quiz(bench.home.path(), "three", &["other?,a,b,A"]);
    let c = bench.score(&three, Habit::Place(0), "", |_| {});
    assert!(bench.fails(1, &["runs", "compare", &a.run, &c.run]).contains("no item in common"));
}

#[test]
fn two_adapters_over_several_benchmarks_are_corrected_for_their_number() {
    let bench = Bench::new();
    let rows: Vec<String> = (0..12).map(|i| format!("question {i}?,a,b,{}", if i < 9 { "B" } else { "A" })).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let one = quiz(bench.home.path(), "one", &rows);
    for (adapter, place) in [("", 0), ("tuned", 1)] {
        bench.score(&one, Habit::Place(place), adapter, |_| {});
        bench.score("finance-qa", Habit::Hash(place as u8), adapter, |r| r.limit = Some(5));
    }
    let alone = bench.score("finance-qa", Habit::Hash(3), "tuned", |r| r.shots = 2);
    let f = bench.json(&["runs", "compare", "--adapter", "base", "--adapter", "tuned"]);
    assert_eq!(f["without_partner"], serde_json::json!([alone.run]));
    let members = f["benchmarks"].as_array().unwrap();
    assert_eq!(members.len(), 2);
    let quiz = members.iter().find(|m| m["task"] == "quiz").unwrap();
    let other = members.iter().find(|m| m["task"] == "finance-qa").unwrap();
    // 9 gained and 3 lost of 12: 2·Σ C(12, 0..3)·2⁻¹² = 2·299/4096.
    close(&quiz["mcnemar_p"], 598.0 / 4096.0);
    let (p, q) = (quiz["mcnemar_p"].as_f64().unwrap(), other["mcnemar_p"].as_f64().unwrap());
    let holm = |small: f64, large: f64| ((2.0 * small).min(1.0), large.max(2.0 * small).min(1.0));
    let (low, high) = holm(p.min(q), p.max(q));
    close(&quiz["holm_p"], if p <= q { low } else { high });
    close(&other["holm_p"], if p <= q { high } else { low });
    let run = |m: &Value, side: &str| m[side].as_str().unwrap().to_owned();
    let ids = [run(quiz, "run_a"), run(quiz, "run_b"), run(other, "run_a"), run(other, "run_b")];
    let pairs: Vec<&str> = ids.iter().map(String::as_str).collect();
    let by_pairs = bench.json(&[&["runs", "compare"], pairs.as_slice()].concat());
    close(&by_pairs["benchmarks"][0]["holm_p"], quiz["holm_p"].as_f64().unwrap());
    let text = bench.text(&["runs", "compare", "--adapter", "tuned"]);
    assert!(text.contains("not distinguishable at this n") && text.contains("Holm"), "{text}");
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    bench.fails(2, &["runs", "compare", pairs[0]]);
    bench.fails(2, &["runs", "compare"]);
    bench.fails(2, &["runs", "compare", "--adapter", "x", "--adapter", "x"]);
    assert!(bench.fails(1, &["runs", "compare", "--adapter", "nobody"]).contains("no score in common"));
}

#[test]
fn a_run_is_scored_again_without_its_model() {
    let bench = Bench::new();
    let definition = quiz(bench.home.path(), "one", &["q?,a,much longer,A", "r?,b,much longer,B", "s?,c,d,A"]);
    // The whole texts are scored; every choice has the same log-likelihood but the first, which is a little better.
    let run = bench.score(&definition, Habit::Place(0), "", |r| r.preset = Some("text".into()));
    close(&serde_json::json!(run.report.acc), 2.0 / 3.0);
    let by = |metric: &str| bench.json(&["runs", "rescore", &run.run, "--metric", metric]);
    let acc = by("acc");
    close(&acc["acc"], 2.0 / 3.0);
    // −1 by 1 character against −2 by 11: the longer one is likelier per character in the first two.
    let norm = by("acc_norm");
    close(&norm["acc"], 2.0 / 3.0);
    close(&norm["acc"], run.report.acc_norm.unwrap());
    assert_eq!(norm["rescored"]["metric"], "acc_norm");
    close(&norm["rescored"]["acc_before"], 2.0 / 3.0);
    // One token per character, and the delimiter is one too: −1/2, −2/12.
    close(&by("acc_token")["acc"], 2.0 / 3.0);
    close(&by("acc_bytes")["acc"], norm["acc"].as_f64().unwrap());
    assert!(
        bench.text(&["runs", "rescore", &run.run, "--metric", "acc_token"]).contains("re-scored from kept answers")
    );
    assert!(bench.fails(1, &["runs", "rescore", &run.run, "--subjects", "x"]).contains("quiz"));
    bench.fails(2, &["runs", "rescore", &run.run, "--metric", "f1"]);

    let whole = bench.score("finance-qa", Habit::Hash(1), "", |_| {});
    let part = bench.json(&["runs", "rescore", &whole.run, "--subjects", "zh,en"]);
    let own: Vec<_> = whole.report.subjects.0.iter().filter(|(h, _)| h == "zh" || h == "en").collect();
    assert_eq!(part["n"].as_u64().unwrap() as usize, own.iter().map(|(_, s)| s.n).sum::<usize>());
    for (handle, s) in own {
        close(&part["subjects"][handle]["acc"], s.acc);
        close(&part["subjects"][handle]["stderr"], s.stderr.unwrap());
    }
    let all = bench.json(&["runs", "rescore", &whole.run]);
    close(&all["acc"], whole.report.acc);
    close(&all["acc_stderr"], whole.report.acc_stderr.unwrap());
    assert_eq!(all["categories"], serde_json::to_value(&whole.report.categories).unwrap());
}

#[test]
fn other_orders_tell_a_reader_from_a_guesser() {
    let bench = Bench::new();
    let asked = |habit: Habit, rounds: u64| {
        let run = bench.score("finance-qa", Habit::Hash(0), "", |r| r.limit = Some(10));
        let model = Model::new(habit);
        let report = permute(&bench.workbench, &run.run, &who(&model, ""), rounds, &Silent, &CancelToken::default());
        (run, report.unwrap())
    };
    let (run, _) = asked(Habit::Place(0), 2);
    let stored = bench.json(&["runs", "show", &run.run]);
    assert_eq!(stored["result"]["permutations"]["rounds"], 2);
    close(&stored["result"]["acc"], run.report.acc);
    assert_eq!(bench.workbench.store.outcomes(&run.run).unwrap().len(), run.report.n, "the run's own outcomes stay");

    // A model that reads the choices: its answers come from the original too, so ask the original of the same habit.
    let original = bench.score("finance-qa", Habit::Content, "", |r| r.limit = Some(10));
    let model = Model::new(Habit::Content);
    let reader =
        permute(&bench.workbench, &original.run, &who(&model, ""), 3, &Silent, &CancelToken::default()).unwrap();
    assert_eq!(reader.same_content, 1.0, "{reader:?}");
    assert!(reader.acc.iter().all(|a| (a - original.report.acc).abs() < 1e-12), "{reader:?}");
    let text = bench.text(&["runs", "show", &original.run]);
    assert!(text.contains("4 orders") && text.contains("--permute 3") && text.contains("ECE"), "{text}");

    // Interrupted after some items, it goes on where it was; asked again, nothing is asked twice.
    let run = bench.score("finance-qa", Habit::Place(1), "", |r| r.limit = Some(10));
    let failing = Model { fails_after: 25, ..Model::new(Habit::Place(1)) };
    let error =
        permute(&bench.workbench, &run.run, &who(&failing, ""), 2, &Silent, &CancelToken::default()).unwrap_err();
    assert_eq!(error.kind, Kind::Interrupted);
    assert!(error.hint.unwrap().contains("--permute 2"));
    assert_eq!(bench.workbench.store.run(&run.run).unwrap().status.as_str(), "done", "the score itself is kept");
    let rest = Model::new(Habit::Place(1));
    let guesser = permute(&bench.workbench, &run.run, &who(&rest, ""), 2, &Silent, &CancelToken::default()).unwrap();
    assert_eq!(failing.asked.get() + rest.asked.get(), 2 * run.report.n);
    assert_eq!(guesser.chosen_positions.iter().sum::<usize>(), guesser.chosen_positions[1]);
    assert!(guesser.same_content < 0.5 && guesser.position_bias > 0.5, "{guesser:?}");
    let other = Model::new(Habit::Place(1));
    let refused = permute(&bench.workbench, &run.run, &who(&other, "tuned"), 1, &Silent, &CancelToken::default());
    assert_eq!(refused.unwrap_err().kind, Kind::Mismatch);
}

#[test]
fn contaminated_rows_are_found_and_scores_without_them_say_so() {
    let bench = Bench::new();
    let question =
        "Which of the following instruments does a central bank use when it wants to drain liquidity from banks";
    let rows = [format!("{question}?,a repo,a reverse repo,A"), "Is 2 even?,yes,no,A".into(), "Odd?,y,n,B".into()];
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let definition = quiz(bench.home.path(), "one", &rows);
    let data = bench.file("rows.jsonl");
    let lines = [
        serde_json::json!({"instruction": "What is money?", "output": "A means of payment."}),
        serde_json::json!({"instruction": format!("Quiz: {}!", question.to_uppercase()), "output": "A repo."}),
    ];
    std::fs::write(&data, lines.map(|l| l.to_string()).join("\n")).unwrap();
    bench.text(&["data", "import", &data.to_string_lossy(), "--name", "mine"]);
    let found = bench.json(&["data", "check", "mine", "--against", &definition]);
    let [one] = found["contaminated"].as_array().unwrap().as_slice() else { panic!("{found}") };
    assert_eq!((&one["row"], &one["benchmark"], &one["item"]), (&1.into(), &"quiz".into(), &"quiz/0".into()));
    close(&one["overlap"], 1.0);
    let text = bench.text(&["data", "check", "mine", "--against", &definition]);
    assert!(text.contains("1 rows hold 1 items") && text.contains("Which of the following"), "{text}");
    assert_eq!(
        bench.json(&["data", "check", "mine", "--against", "finance-qa"])["contaminated"],
        serde_json::json!([])
    );
    assert!(bench.fails(1, &["data", "check", "nothing", "--against", "finance-qa"]).contains("mine"));
    bench.fails(1, &["data", "check", "mine", "--against", "no-such"]);
    bench.fails(2, &["data", "check", "mine"]);
    bench.fails(2, &["data", "check", "mine", "--against", "finance-qa", "--share", "0"]);

    let run = bench.score(&definition, Habit::Place(0), "", |_| {});
    close(&serde_json::json!(run.report.acc), 2.0 / 3.0);
    let without = bench.json(&["runs", "show", &run.run, "--without-contaminated", "mine"]);
    assert_eq!(without["n"], 2);
    close(&without["acc"], 0.5);
    let note = &without["rescored"]["without_contaminated"];
    assert_eq!((&note["dataset"], &note["left_out"], &note["rows"]), (&"mine".into(), &1.into(), &1.into()));
    assert_eq!(note["version"], bench.json(&["data", "list"])[0]["version"]);
    let markdown = bench.report(&[&run.run, "--without-contaminated", "mine"], "r.md");
    assert!(markdown.contains("without 1 items that the dataset mine"), "{markdown}");
    // The benchmark's items changed since: nothing can be said.
    quiz(bench.home.path(), "one", &["Another?,a,b,A", "Is 2 even?,yes,no,A", "Odd?,y,n,B"]);
    assert!(bench.fails(1, &["runs", "show", &run.run, "--without-contaminated", "mine"]).contains("changed since"));
}

#[test]
fn documents_of_a_score_need_nothing_else_and_escape_what_comes_from_outside() {
    let bench = Bench::new();
    let rows = ["<script>alert(1)</script>?,a,b,A", "\"q, \u{1b}[31mred?\",a,b,B", "third?,a,b,B"];
    let definition = quiz(bench.home.path(), "one", &rows);
    let a = bench.score(&definition, Habit::Place(0), "", |_| {});
    let b = bench.score(&definition, Habit::Place(1), "<b>bad</b>", |_| {});
    let html = bench.report(&[&a.run, "--against", &b.run], "r.html");
    for absent in ["<script", "http://", "https://", "<b>bad", "\u{1b}", "src=", "@import", "url("] {
        assert!(!html.contains(absent), "{absent}");
    }
    for present in [
        "<svg",
        "prefers-color-scheme: dark",
        "PingFang SC",
        "&lt;script&gt;",
        "details class=\"lost\"",
        "details class=\"gained\"",
        "linly-bench run",
        "Wilson",
        "ECE",
    ] {
        assert!(html.contains(present), "{present}");
    }
    assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    let csv = bench.report(&[&b.run], "r.csv");
    assert_eq!(csv.lines().count(), 4);
    assert!(csv.starts_with("run,task,subject,id,"), "{csv}");
    let markdown = bench.report(&[&a.run, "--against", &b.run], "r.md");
    assert!(markdown.contains("```sh\nlinly-bench run ") && markdown.contains("1 lost"), "{markdown}");
    let text = bench.text(&["runs", "show", &a.run]);
    assert!(text.contains("again: linly-bench run") && text.contains('┃'), "{text}");

    let whole = bench.score("finance-qa", Habit::Hash(2), "", |_| {});
    let json: Value = serde_json::from_str(&bench.report(&[&whole.run], "r.json")).unwrap();
    for key in ["results", "groups", "group_subtasks", "configs", "versions", "n-shot", "higher_is_better", "n-samples"]
    {
        assert!(json[key].is_object(), "{key}");
    }
    close(&json["results"]["finance-qa"]["acc,none"], whole.report.acc);
    close(&json["results"]["finance-qa"]["acc_stderr,none"], whole.report.acc_stderr.unwrap());
    let zh = whole.report.subjects.0.iter().find(|(handle, _)| handle == "zh").unwrap();
    close(&json["results"]["finance-qa_zh"]["acc,none"], zh.1.acc);
    assert_eq!(json["n-samples"]["finance-qa_zh"], serde_json::json!({"original": zh.1.n, "effective": zh.1.n}));
    let html = bench.report(&[&whole.run], "whole.html");
    assert!(html.contains("finance-qa --model tiny --preset"), "one command");
    bench.fails(1, &["runs", "report", &whole.run, "-o", "x.pdf"]);
    bench.fails(1, &["runs", "report", &whole.run, "-o", "/no/such/folder/x.md"]);
}
