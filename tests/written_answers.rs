//! Benchmarks that are answered in writing, choices found in text, and perplexities, with models that cost nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::characters::Characters;
use linly_bench::config::Settings;
use linly_bench::error::{Error, Kind, Result};
use linly_bench::eval::{FewshotSampler, Mode, PlanRequest, find, plan};
use linly_bench::infer::{Generation, LanguageModel, Sampling, ScoreRequest as Request};
use linly_bench::job::{CancelToken, Silent};
use linly_bench::prompt::Message;
use linly_bench::workbench::{Examinee, How, Provenance, ScoreReport, ScoreRequest, Workbench, resume_score, score};
use std::cell::{Cell, RefCell};
use std::path::Path;

/// Writes what `reply` says to a prompt, token by token; every token has the log-probability −1.
struct Scripted<F> {
    reply: F,
    /// Prompts that may still be answered.
    left: Cell<usize>,
    /// Tokens that were written.
    written: Cell<usize>,
    length: Option<usize>,
    longest: Cell<usize>,
    prompts: RefCell<Vec<String>>,
}

impl<F: Fn(&str) -> String> Scripted<F> {
    fn new(reply: F) -> Scripted<F> {
        let (left, written, longest) = (Cell::new(usize::MAX), Cell::new(0), Cell::new(0));
        Scripted { reply, left, written, length: None, longest, prompts: RefCell::default() }
    }
}

impl<F: Fn(&str) -> String> LanguageModel for Scripted<F> {
    fn loglikelihoods(
        &self,
        requests: &[Request],
        done: &mut dyn FnMut(usize),
        _: &CancelToken,
    ) -> Result<Vec<Vec<f64>>> {
        done(requests.len());
        for request in requests {
            let longest = request.continuations.iter().map(Vec::len).max().unwrap() + request.context.len() - 1;
            self.longest.set(self.longest.get().max(longest));
        }
        Ok(requests.iter().map(|r| r.continuations.iter().map(|c| -(c.len() as f64)).collect()).collect())
    }

    fn generate(
        &self,
        prompts: &[Vec<u32>],
        sampling: &Sampling,
        on_token: &mut dyn FnMut(usize, u32),
        cancel: &CancelToken,
    ) -> Result<Vec<Generation>> {
        let mut never = |i: usize, id: u32| {
            on_token(i, id);
            false
        };
        self.generate_until(prompts, sampling, &mut never, cancel)
    }

    fn generate_until(
        &self,
        prompts: &[Vec<u32>],
        sampling: &Sampling,
        enough: &mut dyn FnMut(usize, u32) -> bool,
        _: &CancelToken,
    ) -> Result<Vec<Generation>> {
        let mut answers = Vec::new();
        for (i, prompt) in prompts.iter().enumerate() {
            self.left.set(self.left.get().checked_sub(1).ok_or(Error::new(Kind::Interrupted, "stopped"))?);
            let text: String = prompt.iter().filter_map(|id| char::from_u32(*id)).collect();
            let mut tokens = Vec::new();
            let mut stopped = true;
            for c in (self.reply)(&text).chars() {
                if tokens.len() == sampling.max_new_tokens {
                    stopped = false;
                    break;
                }
                tokens.push(u32::from(c));
                if enough(i, u32::from(c)) {
                    break;
                }
            }
            self.prompts.borrow_mut().push(text);
            self.written.set(self.written.get() + tokens.len());
            answers.push(Generation { tokens, stopped });
        }
        Ok(answers)
    }

    fn max_length(&self) -> Option<usize> {
        self.length
    }
}

/// A folder with a definition and its data.
struct Bench {
    dir: tempfile::TempDir,
    workbench: Workbench,
}

impl Bench {
    fn new(definition: &str, files: &[(&str, &str)]) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("own.toml"), definition).unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join("data").join(name), text).unwrap();
        }
        let settings = Settings::resolve(Some(dir.path().join("home")), None, None).unwrap();
        Bench { workbench: Workbench::open(settings).unwrap(), dir }
    }

    fn request(&self) -> ScoreRequest {
        ScoreRequest {
            benchmark: self.dir.path().join("own.toml").to_string_lossy().into_owned(),
            shots: 0,
            preset: None,
            subjects: vec![],
            limit: None,
            split: None,
            template: String::new(),
            how: How::default(),
        }
    }

    fn score(&self, request: &ScoreRequest, model: &dyn LanguageModel) -> Result<ScoreReport> {
        score(&self.workbench, request, &who(model), &Silent, &CancelToken::default())
    }
}

fn who(model: &dyn LanguageModel) -> Examinee<'_> {
    let provenance = Provenance { model: "scripted".into(), model_hash: "h".into(), ..Provenance::default() };
    Examinee { provenance, model, tokenizer: &Characters, chat: None }
}

fn definition(rest: &str) -> String {
    format!(
        "name = 'own'\ntitle = 'Own'\nsource = 's'\nlicence = 'l'\nlang = 'en'\nfolder = 'data'\n\
         split = 'test'\ndefault_preset = 'plain'\n{rest}"
    )
}

const SUMS: &str = r"
format = 'jsonl'
output = 'generate'
fewshot_split = 'test'
[files]
test = 'sums.jsonl'
[columns]
question = 'q'
answer = 'a'
[generation_kwargs]
until = ['Q:']
max_gen_toks = 40
[[filter_list]]
name = 'strict'
filter = [{ function = 'regex', regex_pattern = '#### ([0-9]+)' }]
[[filter_list]]
name = 'loose'
filter = [{ function = 'regex', regex_pattern = '([0-9]+)', group_select = -1 }]
[[metric_list]]
metric = 'exact_match'
[[metric_list]]
metric = 'f1'
[presets.plain]
body = 'Q: {{q}}\nA:'
";

fn sums() -> Bench {
    let rows: Vec<String> = (1..=6).map(|i| format!(r#"{{"q": "{i}+{i}", "a": "{}"}}"#, 2 * i)).collect();
    let definition = definition(SUMS).replace(r"body = 'Q: {{q}}\nA:'", "body = \"Q: {{q}}\\nA:\"");
    Bench::new(&definition, &[("sums.jsonl", &rows.join("\n"))])
}

/// Right and marked, right and unmarked, wrong, silent; then a question of its own that is not to be read.
fn sloppy(prompt: &str) -> String {
    let answer = match prompt.rsplit("Q: ").next().unwrap().split('+').next().unwrap() {
        "1" | "2" => " so #### N",
        "3" => " it is N",
        "4" => " #### 99",
        "5" => " no idea",
        _ => "",
    };
    let n: u32 = prompt.rsplit("Q: ").next().unwrap().split('+').next().unwrap().parse().unwrap();
    format!("{}\nQ: 7+7\nA: #### 14", answer.replace('N', &(2 * n).to_string()))
}

#[test]
fn written_answers_are_cut_extracted_judged_and_kept() {
    let bench = sums();
    let model = Scripted::new(sloppy);
    let report = bench.score(&bench.request(), &model).unwrap();
    let numbers = &report.report;
    assert_eq!((numbers.n, numbers.summary.mode, numbers.summary.unanswered), (6, Mode::Generate, Some(3)));
    assert!((numbers.acc - 2.0 / 6.0).abs() < 1e-12, "an unanswered item is wrong");
    let metric = |name: &str| numbers.summary.metrics.get(name).unwrap();
    assert!((metric("exact_match,strict").value - 2.0 / 6.0).abs() < 1e-12);
    assert!((metric("exact_match,loose").value - 3.0 / 6.0).abs() < 1e-12);
    assert_eq!((metric("exact_match,strict").unanswered, metric("f1,loose").unanswered), (Some(3), Some(2)));
    // Two right of six: variance 1/3·2/3·6/5, over 6.
    let stderr = (2.0f64 / 9.0 * 6.0 / 5.0 / 6.0).sqrt();
    assert!((metric("exact_match,strict").stderr.unwrap() - stderr).abs() < 1e-12);
    // The model is stopped at the end of `\nQ:`; without that it would write on.
    assert!(model.written.get() < 6 * 15, "{} tokens", model.written.get());

    let json = serde_json::to_value(&report.outcomes).unwrap();
    assert_eq!(json[0]["answer"], " so #### 2\n");
    assert_eq!(json[0]["pred"], "2");
    assert_eq!(json[2]["extracted"], serde_json::json!({"strict": null, "loose": "6"}));
    assert_eq!((&json[2]["pred"], &json[2]["gold"], &json[2]["correct"]), (&"".into(), &"6".into(), &false.into()));
    assert_eq!(json[0]["mode"], "generate");
    let stored = bench.workbench.store.outcomes(&report.run).unwrap();
    assert_eq!(stored, report.outcomes);
    let text = serde_json::to_value(&report).unwrap();
    assert_eq!((&text["mode"], &text["unanswered"]), (&"generate".into(), &3.into()));
    assert_eq!(text["metrics"]["exact_match,loose"]["value"], 0.5);
}

#[test]
fn an_interrupted_writing_goes_on_with_what_was_written() {
    let bench = sums();
    let whole = bench.score(&bench.request(), &Scripted::new(sloppy)).unwrap();
    // Batches hold all six here, so the break comes between two runs of a smaller benchmark's batch.
    let rows: Vec<String> = (0..40).map(|i| format!(r#"{{"q": "{}+1", "a": "2"}}"#, i % 6 + 1)).collect();
    std::fs::write(bench.dir.path().join("data/sums.jsonl"), rows.join("\n")).unwrap();
    let full = bench.score(&bench.request(), &Scripted::new(sloppy)).unwrap();
    let broken = Scripted::new(sloppy);
    broken.left.set(20);
    let error = bench.score(&bench.request(), &broken).unwrap_err();
    assert!(error.kind == Kind::Interrupted && error.hint.unwrap().contains("16 of 40"));
    let record = bench.workbench.store.runs(Some("eval")).unwrap().remove(0);
    let rest = Scripted::new(sloppy);
    let resumed = resume_score(&bench.workbench, &record, &who(&rest), &Silent, &CancelToken::default()).unwrap();
    assert_eq!(rest.prompts.borrow().len(), 24, "what was written is not written again");
    assert_eq!(resumed.outcomes, full.outcomes);
    assert_eq!(resumed.report.summary, full.report.summary);
    assert_ne!(whole.report.prompt_hash, full.report.prompt_hash);
}

const CHOICES: &str = r#"
format = "csv"
fewshot_split = "dev"
[files]
dev = "dev.csv"
test = "test.csv"
[columns]
question = "question"
choices = ["A", "B"]
answer = "answer"
[presets.plain]
body = "{{question}}\nA. {{A}}\nB. {{B}}\n答案："
[presets.plain.cot]
body = "{{question}}\nA. {{A}}\nB. {{B}}\n让我们一步一步思考，\n"
target = "{{why}}\n所以答案是{{label}}。"
target_delimiter = ""
lead = "1."
extract = [{ regex = "所以答案是(.+?)。", take = "last" }]
[presets.words]
body = "{{question}}\n答案："
choice_style = "text"
"#;

fn choices() -> Bench {
    Bench::new(
        &definition(CHOICES),
        &[
            ("dev.csv", "question,A,B,answer,why\n例题,甲,乙,B,1. 因为乙。\n"),
            ("test.csv", "question,A,B,answer,why\n一,甲,乙,A,\n二,丙,丁,B,\n三,戊,己,B,\n"),
        ],
    )
}

#[test]
fn a_choice_is_found_in_text_and_never_mixes_with_probabilities() {
    let bench = choices();
    let in_mode = |mode| ScoreRequest { how: How { mode, ..How::default() }, shots: 1, ..bench.request() };
    let model = Scripted::new(|prompt: &str| {
        let question = prompt.rsplit("\n\n").next().unwrap();
        let answer = if question.starts_with("一") {
            "看来选项B不对。所以答案是A。"
        } else if question.starts_with("二") {
            "两者都可能。"
        } else {
            "所以答案是选项A。"
        };
        format!("{answer}\n\n四\nA. 庚")
    });
    let cot = bench.score(&in_mode(Some(Mode::Cot)), &model).unwrap();
    assert_eq!(
        model.prompts.borrow()[0],
        "例题\nA. 甲\nB. 乙\n让我们一步一步思考，\n1. 因为乙。\n所以答案是B。\n\n一\nA. 甲\nB. 乙\n让我们一步一步思考，\n1."
    );
    assert_eq!((cot.report.acc, cot.report.summary.unanswered), (1.0 / 3.0, Some(1)));
    let preds: Vec<&str> = cot.outcomes.iter().map(|o| o.pred.as_str()).collect();
    assert_eq!(preds, ["A", "", "A"]);
    let generated = bench.score(&in_mode(Some(Mode::Generate)), &model).unwrap();
    let scored = bench.score(&in_mode(None), &model).unwrap();
    assert_eq!(scored.report.summary.mode, Mode::Loglikelihood);
    assert!(scored.report.summary.unanswered.is_none());
    let prompt = "例题\nA. 甲\nB. 乙\n答案： B\n\n一\nA. 甲\nB. 乙\n答案：";
    assert!(generated.outcomes[0].prompt == prompt && scored.outcomes[0].prompt == prompt, "asked in the same words");
    let hash = |report: &ScoreReport| report.outcomes[0].prompt_hash.clone();
    assert!(hash(&generated) != hash(&scored) && hash(&generated) != hash(&cot), "but never taken for one another");

    let words = ScoreRequest { preset: Some("words".into()), ..in_mode(Some(Mode::Generate)) };
    let error = bench.score(&words, &model).unwrap_err();
    assert!(error.kind == Kind::InvalidInput && error.message.contains("words"), "{error}");
    let error =
        bench.score(&ScoreRequest { preset: Some("words".into()), ..in_mode(Some(Mode::Cot)) }, &model).unwrap_err();
    assert!(error.hint.unwrap().contains("plain"));
    let error = sums().score(&in_mode(Some(Mode::Loglikelihood)), &model);
    assert!(error.is_ok(), "the request names the benchmark with choices");
}

#[test]
fn a_long_prompt_loses_its_left_end_and_leaves_room_for_the_answer() {
    let bench = sums();
    let model = Scripted { length: Some(43), ..Scripted::new(|_: &str| "#### 1".into()) };
    let report = bench.score(&bench.request(), &model).unwrap();
    assert_eq!(model.prompts.borrow()[0], "\nA:", "40 of 43 are for the answer");
    // `Q: 1+1` is what each of the six lost; it is counted and kept.
    assert_eq!((report.report.truncated, report.outcomes[0].detail.truncated), (Some(6), 6));
    assert_eq!(bench.workbench.store.outcomes(&report.run).unwrap(), report.outcomes);
    assert_eq!(serde_json::to_value(&report).unwrap()["truncated"], 6);
    assert_eq!(serde_json::to_value(&report.outcomes[0]).unwrap()["truncated"], 6, "in --log-samples, too");
    let roomy = Scripted { length: Some(200), ..Scripted::new(|_: &str| "#### 1".into()) };
    assert_eq!(bench.score(&bench.request(), &roomy).unwrap().report.truncated, Some(0));
    let unknown = Scripted::new(|_: &str| "#### 1".into());
    let report = bench.score(&bench.request(), &unknown).unwrap();
    assert_eq!(serde_json::to_value(&report).unwrap()["truncated"], serde_json::Value::Null, "nobody knows");
}

#[test]
fn prompts_of_choices_that_do_not_fit_are_counted_and_stay_counted() {
    let bench = choices();
    // `一\nA. 甲\nB. 乙\n答案：` has 15 characters and ` A` two, of which the last is only predicted.
    for (length, cut) in [(16, 0), (15, 3), (9, 3)] {
        let model = Scripted { length: Some(length), ..Scripted::new(|_: &str| String::new()) };
        let report = bench.score(&bench.request(), &model).unwrap();
        assert_eq!(report.report.truncated, Some(cut), "{length}");
        let lost: Vec<usize> = report.outcomes.iter().map(|o| o.detail.truncated).collect();
        assert_eq!(lost, vec![16 - length; 3]);
        let stored = bench.workbench.store.outcomes(&report.run).unwrap();
        assert!(stored.iter().all(|o| o.detail.truncated == 16 - length));
    }
    // Answers from before an interruption keep their mark.
    let rows: Vec<String> = (0..40).map(|i| format!(r#"{{"q": "{}+1", "a": "2"}}"#, i % 6 + 1)).collect();
    let bench = sums();
    std::fs::write(bench.dir.path().join("data/sums.jsonl"), rows.join("\n")).unwrap();
    let broken = Scripted { length: Some(43), left: Cell::new(20), ..Scripted::new(sloppy_or_silent) };
    bench.score(&bench.request(), &broken).unwrap_err();
    let record = bench.workbench.store.runs(Some("eval")).unwrap().remove(0);
    let rest = Scripted { length: Some(43), ..Scripted::new(sloppy_or_silent) };
    let resumed = resume_score(&bench.workbench, &record, &who(&rest), &Silent, &CancelToken::default()).unwrap();
    assert_eq!(rest.prompts.borrow().len(), 24);
    assert_eq!(resumed.report.truncated, Some(40));
}

/// Of a question that was cut away nothing can be said.
fn sloppy_or_silent(_: &str) -> String {
    String::new()
}

#[test]
fn few_shots_come_from_the_split_that_is_asked_for_and_never_from_the_item_itself() {
    let bench = sums();
    let benchmark = find(&bench.request().benchmark, None).unwrap();
    for sampler in [FewshotSampler::First, FewshotSampler::Random] {
        let request = |seed| PlanRequest {
            shots: 3,
            fewshot_sampler: Some(sampler),
            fewshot_seed: Some(seed),
            ..PlanRequest::default()
        };
        let one = plan(&benchmark, &request(1), None).unwrap();
        for (i, item) in one.subjects[0].items.iter().enumerate() {
            let own = format!("Q: {}+", i + 1);
            assert_eq!(item.prompt.text.matches("Q: ").count(), 4);
            assert_eq!(item.prompt.text.matches(&own).count(), 1, "an item is not its own example");
        }
        assert_eq!(one.prompt_hash(), plan(&benchmark, &request(1), None).unwrap().prompt_hash());
        let other = plan(&benchmark, &request(2), None).unwrap();
        assert_eq!(one.prompt_hash() == other.prompt_hash(), sampler == FewshotSampler::First);
        let too_many = plan(&benchmark, &PlanRequest { shots: 6, ..request(1) }, None).unwrap_err();
        assert!(too_many.hint.unwrap().contains("--shots 5"));
    }
    let wrong = PlanRequest { shots: 1, fewshot_split: Some("train".into()), ..PlanRequest::default() };
    assert!(plan(&benchmark, &wrong, None).unwrap_err().hint.unwrap().contains("test"));
}

#[test]
fn the_perplexity_of_texts_does_not_depend_on_their_windows() {
    let texts = definition(
        "format = 'jsonl'\noutput = 'perplexity'\nmax_length = 5\n[files]\ntest = 't.jsonl'\n\
         [columns]\nquestion = 'text'\n[presets.plain]\nbody = '{{text}}'\n",
    );
    let bench =
        Bench::new(&texts, &[("t.jsonl", "{\"text\": \"ab cd ef\"}\n{\"text\": \"\"}\n{\"text\": \"净利润\"}\n")]);
    for length in [Some(3), Some(100), None] {
        let model = Scripted { length, ..Scripted::new(|_: &str| String::new()) };
        let report = bench.score(&bench.request(), &model).unwrap();
        // Every token costs 1 nat: 11 tokens, 4 words, 8 + 9 bytes.
        let value = |name: &str| report.report.summary.metrics.get(name).unwrap().value;
        assert!((value("word_perplexity") - (11.0f64 / 4.0).exp()).abs() < 1e-9);
        assert!((value("byte_perplexity") - (11.0f64 / 17.0).exp()).abs() < 1e-9);
        assert!((value("bits_per_byte") - 11.0 / 17.0 / std::f64::consts::LN_2).abs() < 1e-9);
        assert!(report.report.acc.is_nan());
        assert_eq!((report.report.n, report.report.skipped.len()), (2, 1), "an empty text is told, not dropped");
        assert!(model.longest.get() <= length.unwrap_or(5).min(5), "{}", model.longest.get());
        assert_eq!(report.report.summary.mode, Mode::Perplexity);
    }
    let error = bench.score(&ScoreRequest { shots: 1, ..bench.request() }, &Scripted::new(|_: &str| String::new()));
    assert!(error.unwrap_err().hint.unwrap().contains("--shots 0"));
}

#[test]
fn a_conversation_ends_with_the_question() {
    let bench = choices();
    let benchmark = find(&bench.request().benchmark, None).unwrap();
    let render =
        |messages: &[Message]| Ok(messages.iter().map(|m| format!("<{:?}>{}", m.role, m.content)).collect::<String>());
    let request = PlanRequest { shots: 1, mode: Some(Mode::Cot), ..PlanRequest::default() };
    let plan = plan(&benchmark, &request, Some(&render)).unwrap();
    let text = &plan.subjects[0].items[0].prompt.text;
    assert!(text.contains("<Assistant>1. 因为乙。\n所以答案是B。<User>一\n") && text.ends_with("思考，\n1."), "{text}");
}

#[test]
fn tatqa_is_read_whole() {
    let Some(data) = std::env::var_os("LINLY_BENCH_DATA") else {
        eprintln!("skipped: LINLY_BENCH_DATA names no folder with TAT-QA");
        return;
    };
    let benchmark = find("tatqa", Some(Path::new(&data))).unwrap();
    let plan = plan(&benchmark, &PlanRequest { shots: 2, ..PlanRequest::default() }, None).unwrap();
    assert_eq!((plan.total(), plan.skipped.len()), (1663, 0));
    // Every right answer, written as shots show it, is right.
    let golds = std::cell::RefCell::new(plan.subjects[0].items.iter().map(|i| i.expected.text()).collect::<Vec<_>>());
    golds.borrow_mut().reverse();
    let model = Scripted::new(|_: &str| format!(" {}\n\nTable:", golds.borrow_mut().pop().unwrap()));
    let settings =
        Settings { home: tempfile::tempdir().unwrap().path().to_owned(), data_dir: Some(data.into()), seed: 0 };
    let workbench = Workbench::open(settings).unwrap();
    let request = ScoreRequest { benchmark: "tatqa".into(), shots: 2, ..choices().request() };
    let report = score(&workbench, &request, &who(&model), &Silent, &CancelToken::default()).unwrap();
    // The fake's tokens are characters, so long answers are cut; and a span with a semicolon reads as two.
    let wrong: Vec<_> = report.outcomes.iter().filter(|o| !o.correct && o.gold.chars().count() < 250).collect();
    assert!(wrong.len() <= 3 && wrong.iter().all(|o| o.gold.contains(';')), "{wrong:?}");
    assert!(report.report.categories.0.len() == 4 && report.report.summary.metrics.get("f1,first-line").is_some());
}
