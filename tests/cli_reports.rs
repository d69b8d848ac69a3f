//! Documents of scores whose answers were written, reading those again, and the command that makes a score again, from
//! outside. Models cost nothing, or are those of a server on this machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::characters::Characters;
use common::openai::{OpenAi, Reply, good};
use linly_bench::config::Settings;
use linly_bench::error::Result;
use linly_bench::infer::{Generation, LanguageModel, Sampling, ScoreRequest as Request};
use linly_bench::job::{CancelToken, Silent};
use linly_bench::workbench::{Examinee, Provenance, ScoreReport, ScoreRequest, Workbench, score};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

/// Writes what it is told to write to the last line of a prompt; every token costs one nat.
struct Told(fn(&str) -> String);

impl LanguageModel for Told {
    fn loglikelihoods(
        &self,
        requests: &[Request],
        done: &mut dyn FnMut(usize),
        _: &CancelToken,
    ) -> Result<Vec<Vec<f64>>> {
        done(requests.len());
        Ok(requests.iter().map(|r| r.continuations.iter().map(|c| -(c.len() as f64)).collect()).collect())
    }

    fn generate(
        &self,
        prompts: &[Vec<u32>],
        _: &Sampling,
        _: &mut dyn FnMut(usize, u32),
        _: &CancelToken,
    ) -> Result<Vec<Generation>> {
        let answer = |ids: &Vec<u32>| {
            let prompt: String = ids.iter().filter_map(|id| char::from_u32(*id)).collect();
            Generation { tokens: (self.0)(&prompt).chars().map(u32::from).collect(), stopped: true }
        };
        Ok(prompts.iter().map(answer).collect())
    }

    fn max_length(&self) -> Option<usize> {
        Some(60)
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

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }

    fn score(&self, benchmark: &str, reply: fn(&str) -> String, adapter: &str) -> ScoreReport {
        let request: ScoreRequest = serde_json::from_value(json!({"benchmark": benchmark, "shots": 0, "preset": null,
            "subjects": [], "limit": null, "template": ""}))
        .unwrap();
        let provenance = Provenance {
            model: "told".into(),
            model_hash: "told-hash".into(),
            adapter: adapter.into(),
            ..Provenance::default()
        };
        let model = Told(reply);
        let who = Examinee { provenance, model: &model, tokenizer: &Characters, chat: None };
        score(&self.workbench, &request, &who, &Silent, &CancelToken::default()).unwrap()
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_linly-bench"))
            .args(args)
            .env("LINLY_BENCH_HOME", self.home.path())
            .env_remove("LINLY_BENCH_DATA")
            .env("LC_ALL", "C")
            .env("NO_COLOR", "1")
            .current_dir(self.home.path())
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

    fn report(&self, args: &[&str], name: &str) -> String {
        let path = self.home.path().join(name);
        self.text(&[&["runs", "report", "-o", &path.to_string_lossy()], args].concat());
        std::fs::read_to_string(path).unwrap()
    }
}

/// Sums, to be answered in writing; `rules` take the answer from the text.
fn sums(bench: &Bench, rules: &str) -> String {
    let rows: Vec<String> = (1..=5).map(|i| format!(r#"{{"q": "{i}+{i}", "a": "{}"}}"#, 2 * i)).collect();
    bench.write("sums/test.jsonl", &rows.join("\n"));
    let definition = "name = 'sums'\ntitle = 'Sums'\nsource = 'here'\nlicence = 'CC0-1.0'\nlang = 'en'\nfolder = 'sums'\n\
        format = 'jsonl'\noutput = 'generate'\nsplit = 'test'\ndefault_preset = 'plain'\n[files]\ntest = 'test.jsonl'\n\
        [columns]\nquestion = 'q'\nanswer = 'a'\n[generation_kwargs]\nuntil = ['Q:']\nmax_gen_toks = 50\n";
    let presets = "[[metric_list]]\nmetric = 'exact_match'\n[[metric_list]]\nmetric = 'f1'\n\
        [presets.plain]\nbody = \"Add these numbers. Q: {{q}}\\nA:\"\n[[reference]]\nsource = 'the paper'\nshots = 0\n\
        preset = 'plain'\n[reference.scores]\n\"A child\" = 99.5\n[[reference]]\nsource = 'elsewhere'\nshots = 8\n\
        preset = 'plain'\n[reference.scores]\n\"Nobody\" = 1.5\n";
    bench.write("sums.toml", &format!("{definition}{rules}{presets}"))
}

const STRICT: &str =
    "[[filter_list]]\nname = 'strict'\nfilter = [{ function = 'regex', regex_pattern = '#### ([0-9]+)' }]\n";

/// `1+1` and `2+2` right and marked, `3+3` right without the mark, `4+4` wrong, `5+5` nothing.
fn told(prompt: &str) -> String {
    // Of a cut prompt the end is there.
    let n = prompt.trim_end_matches("\nA:").chars().last().and_then(|c| c.to_digit(10)).unwrap_or(0);
    match n {
        1 | 2 => format!("so <b>#### {}</b>\n", 2 * n),
        3 => "=it, is \"6\"".into(),
        4 => "#### 99".into(),
        _ => "no idea".into(),
    }
}

#[test]
fn documents_show_what_was_written_and_what_was_taken_from_it() {
    let bench = Bench::new();
    let definition = sums(&bench, STRICT);
    let run = bench.score(&definition, told, "");
    assert_eq!((run.report.summary.unanswered, run.report.truncated), (Some(2), Some(5)));
    let other = bench.score(&definition, |_| "#### 6".into(), "tuned");

    let html = bench.report(&[&run.run, "--against", &other.run], "r.html");
    for present in [
        "exact_match,strict",
        "f1,strict",
        "40.00%",
        "unanswered: 2 of 5 (40.00%), counted as wrong; of the others 66.67% are right",
        "5 of 5 prompts did not fit the model",
        "published (0-shot, preset plain; all items): A child 99.50 — the paper",
        "so &lt;b&gt;#### 2&lt;/b&gt;",
        "no idea",
        "(nothing: unanswered)",
        "details class=\"right cut\"",
        "details class=\"wrong silent cut\"",
        "id=\"items-silent\"",
        "details class=\"gained\"",
        "prefers-color-scheme: dark",
        "linly-bench run ",
    ] {
        assert!(html.contains(present), "{present}\n{html}");
    }
    for absent in ["<script", "src=", "@import", "url(", "<b>####", "Nobody"] {
        assert!(!html.contains(absent), "{absent}");
    }
    well_formed(&html);

    let csv = bench.report(&[&run.run], "r.csv");
    let table = linly_bench_csv(&csv);
    let column = |name: &str| table[0].iter().position(|c| c == name).unwrap_or_else(|| panic!("{name}: {csv}"));
    let cell = |row: usize, name: &str| table[row][column(name)].as_str();
    assert_eq!(table.len(), 6);
    assert_eq!((cell(1, "mode"), cell(1, "extracted"), cell(1, "pred")), ("generate", "2", "2"));
    assert_eq!((cell(1, "answer"), cell(1, "exact_match,strict")), ("so <b>#### 2</b>\n", "1"));
    assert_eq!((cell(3, "extracted"), cell(3, "correct"), cell(3, "answer")), ("", "0", "'=it, is \"6\""));
    assert!(cell(5, "truncated").parse::<usize>().unwrap() > 0);
    assert_eq!(cell(1, "confidence"), "", "what is written has no probability");

    let markdown = bench.report(&[&run.run], "r.md");
    for present in [
        "| exact_match,strict | 40.00% |",
        "unanswered: 2 of 5",
        "Written answers (5 of 5)",
        "(unanswered)",
        "A child 99.50",
    ] {
        assert!(markdown.contains(present), "{present}\n{markdown}");
    }
    let harness: Value = serde_json::from_str(&bench.report(&[&run.run], "r.json")).unwrap();
    assert_eq!(harness["results"]["sums"]["exact_match,strict"], 0.4);
    assert!(harness["results"]["sums"].get("acc,none").is_none());
    assert_eq!((&harness["linly_bench"]["unanswered"], &harness["linly_bench"]["truncated"]), (&2.into(), &5.into()));
    let shown = bench.text(&["runs", "show", &run.run]);
    assert!(
        shown.contains("unanswered: 2 of 5") && shown.contains("lost their left") && shown.contains("A child 99.50"),
        "{shown}"
    );
    let shown = bench.text(&["runs", "show", &run.run, "--lang", "zh"]);
    assert!(shown.contains("未作答") && shown.contains("左端被截断"), "{shown}");
}

#[test]
fn documents_of_texts_show_their_perplexities() {
    let bench = Bench::new();
    bench.write("texts/t.jsonl", "{\"text\": \"ab cd\"}\n{\"text\": \"净利润 <i>\"}\n");
    let definition = bench.write(
        "texts.toml",
        "name = 'texts'\ntitle = 'Texts'\nsource = 'here'\nlicence = 'CC0-1.0'\nlang = 'en'\nfolder = 'texts'\n\
         format = 'jsonl'\noutput = 'perplexity'\nsplit = 'test'\ndefault_preset = 'plain'\n[files]\ntest = 't.jsonl'\n\
         [columns]\nquestion = 'text'\n[presets.plain]\nbody = '{{text}}'\n",
    );
    let run = bench.score(&definition, |_| String::new(), "");
    let html = bench.report(&[&run.run], "r.html");
    for present in ["word_perplexity", "bits_per_byte", "净利润 &lt;i&gt;", "texts/0"] {
        assert!(html.contains(present), "{present}\n{html}");
    }
    assert!(!html.contains("NaN"), "{html}");
    well_formed(&html);
    let csv = linly_bench_csv(&bench.report(&[&run.run], "r.csv"));
    let at = csv[0].iter().position(|c| c == "byte_perplexity").unwrap();
    // Five characters in five bytes, each of one nat.
    assert!((csv[1][at].parse::<f64>().unwrap() - std::f64::consts::E).abs() < 1e-12);
    let markdown = bench.report(&[&run.run], "r.md");
    assert!(markdown.contains("| word_perplexity |") && !markdown.contains("NaN"), "{markdown}");
    let harness: Value = serde_json::from_str(&bench.report(&[&run.run], "r.json")).unwrap();
    assert!(harness["results"]["texts"]["word_perplexity,none"].is_f64(), "{harness}");
    assert_eq!(harness["higher_is_better"]["texts"]["word_perplexity"], false);
}

#[test]
fn written_answers_are_read_again_without_a_model() {
    let bench = Bench::new();
    let definition = sums(&bench, STRICT);
    let run = bench.score(&definition, told, "");
    let same = bench.json(&["runs", "rescore", &run.run]);
    let again = &same["rescored"]["extraction"];
    assert_eq!((&same["acc"], &again["changed"], &again["n"]), (&json!(0.4), &0.into(), &5.into()));

    // The benchmark takes the last number now: `3+3` becomes right, nothing is found in `5+5`.
    let loose = "[[filter_list]]\nname = 'last'\nfilter = [{ function = 'regex', regex_pattern = '[0-9]+', group_select = -1 }]\n";
    sums(&bench, loose);
    let again = bench.json(&["runs", "rescore", &run.run]);
    assert_eq!(again["acc"], 0.6);
    assert_eq!(
        again["rescored"]["extraction"],
        json!({"pattern": null, "n": 5, "changed": 1, "gained": 1, "lost": 0, "unanswered_before": 2, "unanswered": 1})
    );
    assert_eq!((&again["unanswered"], &again["metrics"]["exact_match,last"]["value"]), (&1.into(), &json!(0.6)));
    close(&again["rescored"]["acc_before"], 0.4);
    assert_eq!(bench.json(&["runs", "show", &run.run])["result"]["acc"], 0.4, "the run is not changed");

    let by = bench.json(&["runs", "rescore", &run.run, "--extract", r"idea|(\d)"]);
    assert_eq!(by["rescored"]["extraction"]["pattern"], r"idea|(\d)");
    // 2, 4, 6, 9; and of `idea` there is no group.
    assert_eq!((&by["acc"], &by["unanswered"]), (&json!(0.6), &1.into()));
    assert_eq!(by["metrics"]["exact_match,extract"]["value"], 0.6);
    let text = bench.text(&["runs", "rescore", &run.run, "--extract", r"(\d)"]);
    assert!(text.contains("2 of 5") && text.contains("became"), "{text}");
    let fails = |code: i32, args: &[&str]| {
        let out = bench.run(&[&["runs", "rescore", &run.run], args].concat());
        assert_eq!(out.status.code(), Some(code), "{args:?}");
        String::from_utf8(out.stderr).unwrap()
    };
    assert!(fails(2, &["--extract", "("]).contains("--extract"));
    fails(2, &["--extract", "x", "--metric", "acc_norm"]);
    bench.write("sums/test.jsonl", "{\"q\": \"9+9\", \"a\": \"18\"}\n");
    assert!(fails(1, &["--extract", r"(\d)"]).contains("data changed"));
    // Without the data what was kept still counts, and a pattern needs to know what is right.
    std::fs::remove_dir_all(bench.home.path().join("sums")).unwrap();
    let kept = bench.json(&["runs", "rescore", &run.run]);
    assert_eq!((&kept["acc"], &kept["rescored"]["extraction"]), (&json!(0.4), &Value::Null));
    assert!(fails(1, &["--extract", r"(\d)"]).contains("--data-dir"));
}

#[test]
fn letters_are_read_again_by_a_pattern() {
    let bench = Bench::new();
    bench.write("quiz/test.csv", "question,A,B,answer\none,x,y,A\ntwo,x,y,B\n");
    let definition = bench.write(
        "quiz.toml",
        "name = 'quiz'\ntitle = 'Quiz'\nsource = 'here'\nlicence = 'CC0-1.0'\nlang = 'en'\nfolder = 'quiz'\nformat = 'csv'\n\
         split = 'test'\ndefault_preset = 'plain'\n[files]\ntest = 'test.csv'\n[columns]\nquestion = 'question'\n\
         choices = ['A', 'B']\nanswer = 'answer'\n[presets.plain]\nbody = 'Q {{question}}'\n",
    );
    let request: ScoreRequest = serde_json::from_value(json!({"benchmark": definition, "shots": 0, "preset": null,
        "subjects": [], "limit": null, "template": "", "mode": "generate"}))
    .unwrap();
    let model = Told(|_| "Not A but [b]. The answer is A".into());
    let provenance = Provenance { model: "told".into(), ..Provenance::default() };
    let who = Examinee { provenance, model: &model, tokenizer: &Characters, chat: None };
    let run = score(&bench.workbench, &request, &who, &Silent, &CancelToken::default()).unwrap();
    assert_eq!(run.outcomes.iter().map(|o| o.pred.as_str()).collect::<Vec<_>>(), ["A", "A"]);
    let again = bench.json(&["runs", "rescore", &run.run, "--extract", r"\[(.)\]"]);
    let changes = &again["rescored"]["extraction"];
    assert_eq!((&changes["changed"], &changes["gained"], &changes["lost"]), (&2.into(), &1.into(), &1.into()));
    // A run whose answers were chosen has no text.
    let chosen = bench.score(&definition, |_| String::new(), "");
    let out = bench.run(&["runs", "rescore", &chosen.run, "--extract", "x"]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("--mode generate"));
    assert_eq!(bench.json(&["runs", "rescore", &chosen.run])["rescored"]["extraction"], Value::Null);
}

/// The words of a command that a POSIX shell would make of it.
fn words(command: &str) -> Vec<String> {
    let out = Command::new("sh").args(["-c", &format!("printf '%s\\n' {command}")]).output().unwrap();
    String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Numbers that a score has, whoever computed it and when.
fn numbers(score: &Value) -> Value {
    let keys = [
        "task",
        "preset",
        "shots",
        "n",
        "acc",
        "acc_stderr",
        "acc_macro",
        "subjects",
        "prompt_hash",
        "permutations",
        "mode",
        "template",
    ];
    keys.iter().map(|key| ((*key).to_owned(), score[*key].clone())).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn the_command_of_a_report_makes_the_same_numbers() {
    let bench = Bench::new();
    let server = OpenAi::start(|asked, _| Reply::Json(good(asked)));
    let model = server.model();
    let definition = sums(&bench, STRICT);
    for args in [
        &["finance-qa", "--limit", "3", "--shots", "1", "--concurrency", "2", "--retries", "1", "--timeout", "33"]
            as &[&str],
        &["finance-qa", "--limit", "2", "--permute", "2", "--seed", "7", "--rate-limit", "600000"],
        &[
            "finance-qa",
            "--subjects",
            "zh,en",
            "--limit",
            "2",
            "--split",
            "dev",
            "--fewshot-split",
            "test",
            "--shots",
            "2",
        ],
        &["finance-qa", "--limit", "2", "--shots", "2", "--fewshot-sampler", "random", "--fewshot-seed", "5"],
        &["finance-qa", "--limit", "2", "--preset", "cloze"],
        &["finance-qa", "--limit", "2", "--preset", "chat", "--template", "none"],
        &["finance-qa", "--limit", "2", "--template", "alpaca"],
        &["finance-qa", "--limit", "1", "--mode", "generate", "--subjects", "zh"],
        &["finance-qa", "--limit", "1", "--mode", "cot", "--subjects", "zh", "--preset", "lm-eval"],
        &[definition.as_str(), "--limit", "2"],
    ] {
        let first = bench.json(&[&["run"], args, &["--model", &model]].concat());
        let shown = bench.json(&["runs", "show", first["run"].as_str().unwrap()]);
        let command = shown["command"].as_str().unwrap();
        let words = words(command);
        for flag in args.iter().filter(|a| a.starts_with("--")) {
            assert!(words.iter().any(|w| w == flag), "{flag} of {args:?} is not in: {command}");
        }
        assert_eq!(words[0], "linly-bench");
        let again: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let second = bench.json(&again);
        assert_eq!(numbers(&first), numbers(&second), "{command}");
        assert_ne!(first["run"], second["run"]);
        // What the second run tells is the same command: nothing crept in.
        let shown = bench.json(&["runs", "show", second["run"].as_str().unwrap()]);
        assert_eq!(shown["command"], command);
        let html = bench.report(&[second["run"].as_str().unwrap()], "r.html");
        assert!(html.contains(&html_text(command)), "{command}");
    }
}

/// A model of this machine that was named by a relative path is named by the whole one.
#[test]
fn a_path_in_the_command_leads_there_from_everywhere() {
    let Some(gguf) = common::test_gguf() else { return };
    let bench = Bench::new();
    std::fs::create_dir(bench.home.path().join("here")).unwrap();
    let inside = bench.home.path().join("here/model.gguf");
    std::fs::hard_link(&gguf, &inside).or_else(|_| std::fs::copy(&gguf, &inside).map(|_| ())).unwrap();
    let few = ["run", "finance-qa", "--limit", "1", "--subjects", "en", "--model", "here/model.gguf"];
    for form in [&[] as &[&str], &["--quantize", "keep"]] {
        let first = bench.json(&[&few, form].concat());
        assert_eq!((&first["model"], &first["truncated"]), (&"here/model.gguf".into(), &0.into()));
        let shown = bench.json(&["runs", "show", first["run"].as_str().unwrap()]);
        let words = words(shown["command"].as_str().unwrap());
        let model = words.iter().position(|w| w == "--model").map(|i| words[i + 1].as_str()).unwrap();
        assert!(Path::new(model).is_absolute() && Path::new(model).is_file(), "{model}");
        assert!(form.iter().all(|word| words.iter().any(|w| w == word)), "{words:?}");
        // In the same home nothing is computed again, and asked anew it is the same.
        let again: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let second = bench.json(&again);
        assert_eq!((numbers(&first), &second["reused"]), (numbers(&second), &second["n"]));
        let anew = bench.json(&[again.as_slice(), &["--fresh"]].concat());
        assert_eq!((numbers(&first), &anew["reused"]), (numbers(&anew), &0.into()));
    }
}

fn html_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn close(value: &Value, expected: f64) {
    assert!((value.as_f64().unwrap() - expected).abs() < 1e-12, "{value} is not {expected}");
}

/// The cells of a CSV text by RFC 4180, read in a few lines of its own.
fn linly_bench_csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => cell.extend(chars.next()),
            ('"', _) => quoted = !quoted,
            (',', false) => row.push(std::mem::take(&mut cell)),
            ('\n', false) => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            (c, _) => cell.push(c),
        }
    }
    rows
}

/// Every element is closed in order, every attribute quoted, every `&` the beginning of a reference, and no id comes twice.
fn well_formed(html: &str) {
    const VOID: [&str; 3] = ["meta", "input", "br"];
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html.strip_prefix("<!doctype html>").expect("a doctype");
    let mut ids = std::collections::HashSet::new();
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        let style = open.last() == Some(&"style");
        assert!(style || !text.contains('>'), "a stray `>` in {text:?}");
        for part in text.split('&').skip(1) {
            let name = part.split(';').next().unwrap();
            assert!(["amp", "lt", "gt", "quot", "#39"].contains(&name), "&{part}");
        }
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closing {name} in {open:?}");
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.split([' ', '/']).next().unwrap();
        if let Some(id) = tag.split(" id=\"").nth(1) {
            assert!(ids.insert(id.split('"').next().unwrap().to_owned()), "{tag}");
        }
        if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
}
