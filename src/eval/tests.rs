//! Definitions, items, prompts and scores on small benchmarks made here.

use super::*;
use crate::error::{Error, Kind, Result};
use crate::infer::{Generation, LanguageModel, Sampling, ScoreRequest};
use crate::job::{CancelToken, Silent};
use crate::prompt::{Message, Role, Tokenize};
use std::path::Path;

/// One token per character; the pair `ab` is a token of its own, so that a merge across a border can be seen.
struct Characters;

impl Tokenize for Characters {
    fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let mut ids: Vec<u32> = if special { vec![1] } else { Vec::new() };
        let mut chars = text.strip_prefix("<s>").inspect(|_| ids.push(1)).unwrap_or(text).chars().peekable();
        while let Some(c) = chars.next() {
            ids.push(if c == 'a' && chars.next_if_eq(&'b').is_some() { 7 } else { u32::from(c) });
        }
        Ok(ids)
    }
    fn decode_token(&self, id: u32) -> String {
        char::from_u32(id).map(String::from).unwrap_or_default()
    }
    fn eos(&self) -> u32 {
        2
    }
    fn eos_text(&self) -> &str {
        "</s>"
    }
    fn bos_text(&self) -> Option<&str> {
        Some("<s>")
    }
    fn chat_template(&self) -> Option<&str> {
        None
    }
}

/// Gives the choices of every item the same log-likelihoods.
struct Fixed(Vec<f64>);

impl LanguageModel for Fixed {
    fn loglikelihoods(
        &self,
        requests: &[ScoreRequest],
        done: &mut dyn FnMut(usize),
        _: &CancelToken,
    ) -> Result<Vec<Vec<f64>>> {
        done(requests.len());
        Ok(requests.iter().map(|r| self.0[..r.continuations.len()].to_vec()).collect())
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

fn score(plan: &Plan, lls: &[f64]) -> Result<Report> {
    let model = Fixed(lls.to_vec());
    let scored = run(plan, &Known::new(), &model, &Characters, &mut |_| Ok(()), &Silent, &CancelToken::default())?;
    Ok(report(plan, &scored))
}

const DEFINITION: &str = r#"
name = "tiny"
title = "Tiny"
source = "nowhere"
licence = "CC0-1.0"
lang = "en"
folder = "data"
format = "csv"
split = "test"
fewshot_split = "dev"
default_preset = "plain"

[files]
dev = "{subject}_dev.csv"
test = "{subject}.csv"

[columns]
question = "question"
choices = ["A", "B"]
answer = "answer"

[[subjects.list]]
handle = "first_part"
category = "X"
[[subjects.list]]
handle = "second_part"
category = "X"
[[subjects.list]]
handle = "third"

[subsets]
hard = ["second_part"]

[presets.plain]
description = "About {{subject}}.\n\n"
body = "{{question.strip()}}\nA. {{A}}\nB. {{choices[1]}}\nAnswer:"

[presets.text]
choice_style = "text"
"#;

/// A folder with the definition and its tables.
fn tiny(definition: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("tiny.toml"), definition).unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for (name, text) in [
        ("first_part_dev.csv", "question,A,B,answer\nshot?,yes,no,B\n"),
        ("first_part.csv", "question,A,B,answer\n\" one\r\n\",x,y,A\ntwo,x,y, b.\nthree,x,y,A\n"),
        ("second_part.csv", "question,A,B,answer\nfour,x,y,B\n"),
        ("third.csv", "question,A,B,answer\nfive,x,y,A\n"),
    ] {
        std::fs::write(data.join(name), text).unwrap();
    }
    dir
}

fn open(dir: &tempfile::TempDir) -> Result<Benchmark> {
    find(&dir.path().join("tiny.toml").to_string_lossy(), None)
}

fn planned(definition: &str, request: &PlanRequest) -> Result<Plan> {
    let dir = tiny(definition);
    plan(&open(&dir)?, request, None)
}

#[test]
fn every_definition_of_the_program_is_sound() {
    let all = built_in().unwrap();
    assert_eq!(all.len(), 8);
    for definition in &all {
        assert!(!definition.source.is_empty() && !definition.licence.is_empty());
        for name in definition.presets.keys() {
            assert!(!definition.preset(Some(name)).unwrap().body.is_empty());
        }
    }
    let members = |group: &str| all.iter().filter(|d| d.is_in(group)).map(|d| d.name.as_str()).collect::<Vec<_>>();
    assert_eq!(members("finance"), ["finance-qa", "financeiq", "fineval", "tatqa"]);
    assert_eq!(members("en"), ["finance-qa", "mmlu", "gsm8k", "tatqa"]);
    assert_eq!(members("all").len(), 8);
}

#[test]
fn the_own_benchmark_needs_no_download() {
    let benchmark = find("finance-qa", None).unwrap();
    assert!(benchmark.is_present());
    for preset in benchmark.definition.presets.keys() {
        let request = PlanRequest { shots: 5, preset: Some(preset.clone()), ..PlanRequest::default() };
        let plan = plan(&benchmark, &request, None).unwrap();
        assert_eq!(plan.subjects.len(), 4, "two tiers in two languages");
        assert_eq!(plan.total(), 2 * (145 + 70));
        assert!(plan.skipped.is_empty());
    }
}

#[test]
fn prompts_are_laid_out_as_the_definition_says() {
    let plan = planned(DEFINITION, &PlanRequest::default()).unwrap();
    let first = &plan.subjects[0].items[0].prompt;
    assert_eq!(first.text, "About first part.\n\none\nA. x\nB. y\nAnswer:");
    assert_eq!(first.continuations, [" A", " B"]);
    let golds: Vec<usize> = plan.subjects.iter().flat_map(|s| s.items.iter().filter_map(|i| i.gold)).collect();
    assert_eq!(golds, [0, 1, 0, 1, 0]);

    let request =
        PlanRequest { shots: 1, subjects: vec!["first_part".into()], limit: Some(2), ..PlanRequest::default() };
    let plan = planned(DEFINITION, &request).unwrap();
    assert_eq!(plan.total(), 2);
    let shot = "About first part.\n\nshot?\nA. yes\nB. no\nAnswer: B\n\none\n";
    assert!(plan.subjects[0].items[0].prompt.text.starts_with(shot));

    let request = PlanRequest { preset: Some("text".into()), ..PlanRequest::default() };
    let plan = planned(DEFINITION, &request).unwrap();
    let item = &plan.subjects[0].items[0];
    assert_eq!(item.prompt.continuations, [" x", " y"]);
    assert_eq!(item.lengths, [1, 1], "the delimiter does not count");
}

#[test]
fn a_conversation_has_system_message_turns_and_no_delimiter() {
    let dir = tiny(DEFINITION);
    let render = |messages: &[Message]| {
        Ok(messages.iter().map(|m| format!("<{:?}>{}", m.role, m.content)).collect::<String>() + "<Assistant>")
    };
    let request = PlanRequest { shots: 1, subjects: vec!["first_part".into()], ..PlanRequest::default() };
    let plan = plan(&open(&dir).unwrap(), &request, Some(&render)).unwrap();
    let prompt = &plan.subjects[0].items[0].prompt;
    let (system, user, assistant) = (Role::System, Role::User, Role::Assistant);
    assert_eq!(
        prompt.text,
        format!(
            "<{system:?}>About first part.\n\n<{user:?}>shot?\nA. yes\nB. no\nAnswer:<{assistant:?}>B\
             <{user:?}>one\nA. x\nB. y\nAnswer:<Assistant>"
        )
    );
    assert_eq!(prompt.continuations, ["A", "B"]);
}

#[test]
fn the_hash_tells_every_difference_of_prompts() {
    let prompt = |text: &str, continuations: &[&str]| Prompt {
        text: text.to_owned(),
        continuations: continuations.iter().map(|c| (*c).to_owned()).collect(),
    };
    let all = [
        prompt("q", &["A", "B"]),
        prompt("q", &["AB"]),
        prompt("qA", &["B"]),
        prompt("q", &["B", "A"]),
        prompt("", &["q", "A", "B"]),
    ];
    for (i, a) in all.iter().enumerate() {
        assert!(all.iter().enumerate().all(|(j, b)| (i == j) == (a.hash() == b.hash())));
    }
}

#[test]
fn trailing_space_moves_to_the_continuation() {
    let prompt = |text: &str, c: &str| Prompt { text: text.to_owned(), continuations: vec![c.to_owned()] };
    let ids = |text: &str| Characters.encode(text, false).unwrap();
    let request = encode(&Characters, &prompt("q: \n", "X")).unwrap();
    assert_eq!(request.context, [&[1], ids("q:").as_slice()].concat());
    assert_eq!(request.continuations, [ids(" \nX")]);
    // `a` + `b` is one token together: the context keeps its own `a`, the rest is what lies beyond its length.
    let request = encode(&Characters, &prompt("qa", "bc")).unwrap();
    assert_eq!(request.context, [1, u32::from('q'), u32::from('a')]);
    assert_eq!(request.continuations, [[u32::from('c')]]);
    // A sequence that already opens with the special token does not get a second one.
    let request = encode(&Characters, &prompt("<s>q", "X")).unwrap();
    assert_eq!(request.context, [1, u32::from('q')]);
    for bad in [prompt("", "X"), prompt(" \n", "X"), prompt("q", ""), prompt("qa", "b")] {
        assert_eq!(encode(&Characters, &bad).unwrap_err().kind, Kind::InvalidInput, "{bad:?}");
    }
}

#[test]
fn averages_categories_and_subsets() {
    let plan = planned(DEFINITION, &PlanRequest::default()).unwrap();
    let report = score(&plan, &[-1.0, -1.0]).unwrap(); // a tie: always the first, A
    assert_eq!((report.n, report.shots, report.preset.as_str()), (5, 0, "plain"));
    assert!((report.acc - 3.0 / 5.0).abs() < 1e-12);
    assert!((report.acc_macro - (2.0 / 3.0 + 0.0 + 1.0) / 3.0).abs() < 1e-12);
    let names: Vec<&str> = report.subjects.0.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["first_part", "second_part", "third"]);
    let [(name, x)] = report.categories.0.as_slice() else { panic!("one category") };
    assert_eq!((name.as_str(), x.n, x.subjects), ("X", 4, 2));
    assert!((x.acc - 0.5).abs() < 1e-12);
    assert!((x.acc_macro - 1.0 / 3.0).abs() < 1e-12);
    let [(name, hard)] = report.subsets.0.as_slice() else { panic!("one subset") };
    assert_eq!((name.as_str(), hard.n, hard.acc), ("hard", 1, 0.0));
    assert!(report.acc_norm.is_none());
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["subjects"]["first_part"]["n"], 3);
    assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
}

#[test]
fn whole_texts_are_also_judged_by_length() {
    let definition = DEFINITION.replace("choices = [\"A\", \"B\"]", "choices = [\"A\", \"long\"]");
    let dir = tiny(&definition);
    std::fs::write(dir.path().join("data/third.csv"), "question,A,long,answer\nq,x,十个字的很长的选项呀,B\n").unwrap();
    let request = PlanRequest { preset: Some("text".into()), subjects: vec!["third".into()], ..PlanRequest::default() };
    let plan = plan(&open(&dir).unwrap(), &request, None).unwrap();
    assert_eq!(plan.subjects[0].items[0].lengths, [1, 10]);
    let report = score(&plan, &[-2.0, -10.0]).unwrap();
    assert_eq!((report.acc, report.acc_norm), (0.0, Some(1.0)));
}

#[test]
fn a_model_that_gives_no_number_is_not_scored() {
    let plan = planned(DEFINITION, &PlanRequest::default()).unwrap();
    let error = score(&plan, &[f64::NAN, -1.0]).unwrap_err();
    assert_eq!(error.kind, Kind::Corrupt);
    assert!(error.message.contains("first_part/0"), "{}", error.message);
}

#[test]
fn json_lines_with_a_list_of_choices_and_odd_answers() {
    let definition = DEFINITION
        .replace("format = \"csv\"", "format = \"jsonl\"")
        .replace("choices = [\"A\", \"B\"]", "choices = \"/options/text\"")
        .replace("A. {{A}}", "A. {{choices[0]}}")
        .replace("answer = \"answer\"", "id = \"key\"\nanswer = \"answer\"\nanswer_is = \"index\"");
    let dir = tiny(&definition);
    let rows = [
        r#"{"key": "k1", "question": "q", "options": {"text": ["x", "y"]}, "answer": 1}"#,
        r#"{"key": 2, "question": "q", "options": {"text": ["x", "y", "z"]}, "answer": "2"}"#,
        r#"{"key": 3, "question": "q", "options": {"text": ["x", "y"]}, "answer": null}"#,
        r#"{"key": 4, "question": "q", "options": {"text": ["x", "y"]}, "answer": 2}"#,
        r#"{"key": 5, "question": "q", "options": {"text": "x"}, "answer": 0}"#,
        r#"{"key": 6, "options": {"text": ["x", "y"]}, "answer": 0}"#,
    ];
    std::fs::write(dir.path().join("data/third.csv"), rows.join("\n")).unwrap();
    let request = PlanRequest { subjects: vec!["third".into()], ..PlanRequest::default() };
    let plan = plan(&open(&dir).unwrap(), &request, None).unwrap();
    let kept: Vec<(&str, Option<usize>)> = plan.subjects[0].items.iter().map(|i| (i.id.as_str(), i.gold)).collect();
    assert_eq!(kept, [("k1", Some(1)), ("2", Some(2))]);
    let left: Vec<&str> = plan.skipped.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(left, ["3", "4", "5", "6"], "none is dropped in silence");
    assert!(plan.skipped.iter().all(|s| !s.reason.is_empty()));
}

#[test]
fn a_split_without_answers_gives_predictions_and_no_accuracy() {
    let definition = DEFINITION.replace("[columns]", "hidden = \"{subject}_hidden.csv\"\n[columns]");
    let dir = tiny(&definition);
    std::fs::write(dir.path().join("data/third_hidden.csv"), "question,A,B\nq,x,y\nr,x,y\n").unwrap();
    let benchmark = open(&dir).unwrap();
    let request =
        PlanRequest { subjects: vec!["third".into()], split: Some("hidden".into()), ..PlanRequest::default() };
    let hidden = plan(&benchmark, &request, None).unwrap();
    let report = score(&hidden, &[-2.0, -1.0]).unwrap();
    assert_eq!(report.n, 2);
    assert!(report.acc.is_nan() && report.acc_macro.is_nan() && report.subjects.0.is_empty());
    assert!(serde_json::to_value(&report).unwrap()["acc"].is_null());
    let error = plan(&benchmark, &PlanRequest { split: Some("val".into()), ..request }, None).unwrap_err();
    assert!(error.hint.unwrap().contains("dev, hidden, test"));
}

/// The message and the hint of a definition or table that must be refused.
fn refused(definition: &str, change: impl FnOnce(&Path)) -> (Kind, String, String) {
    let dir = tiny(definition);
    change(&dir.path().join("data"));
    let request = PlanRequest { shots: 1, subjects: vec!["first_part".into()], ..PlanRequest::default() };
    let error = open(&dir).and_then(|b| plan(&b, &request, None)).unwrap_err();
    (error.kind, error.message, error.hint.unwrap_or_default())
}

#[test]
fn a_wrong_definition_names_file_and_field() {
    for (from, to, named) in [
        ("lang = \"en\"", "language = \"en\"", "language"),
        ("lang = \"en\"", "lang = \"fr\"", "fr"),
        ("split = \"test\"", "split = \"tset\"", "tset"),
        ("fewshot_split = \"dev\"", "fewshot_split = \"train\"", "train"),
        ("test = \"{subject}.csv\"", "test = \"all.csv\"", "files.test"),
        ("default_preset = \"plain\"", "default_preset = \"fancy\"", "fancy"),
        ("format = \"csv\"", "format = \"xlsx\"", "xlsx"),
        ("choices = [\"A\", \"B\"]", "choices = [\"A\"]", "columns.choices"),
        ("{{question.strip()}}", "{{question.strip()", "presets.plain.body"),
        ("name = \"tiny\"", "name = ", "tiny.toml"),
        ("[columns]", "[subjects]\nfile = \"x.json\"\n[columns]", "tiny.toml"),
    ] {
        assert!(DEFINITION.contains(from), "{from}");
        let (kind, message, hint) = refused(&DEFINITION.replacen(from, to, 1), |_| ());
        assert_eq!(kind, Kind::InvalidInput, "{to}");
        assert!(message.contains("tiny.toml") && message.contains(named), "{to}: {message}");
        assert!(!hint.is_empty(), "{to}");
    }
}

#[test]
fn a_wrong_table_names_file_column_and_what_was_found() {
    let write = |text: &'static str| move |data: &Path| std::fs::write(data.join("first_part.csv"), text).unwrap();
    let (kind, message, hint) = refused(DEFINITION, write(",Question,A,B,answer\n0,q,x,y,A\n"));
    assert_eq!(kind, Kind::InvalidInput);
    assert!(message.contains("first_part.csv") && message.contains("`question`"), "{message}");
    assert!(hint.contains("(unnamed), Question, A, B, answer"), "{hint}");

    let (_, message, hint) = refused(DEFINITION, write("question,A,B,answer\nq,x,y,AB\n"));
    assert!(message.contains("tiny"), "{message}");
    assert!(hint.contains("`AB`"), "{hint}");

    let (kind, message, hint) = refused(DEFINITION, |data| std::fs::remove_file(data.join("first_part.csv")).unwrap());
    assert_eq!(kind, Kind::NotFound);
    assert!(message.contains("first_part.csv") && hint.contains("nowhere"), "{message} {hint}");

    let (kind, message, hint) = refused(DEFINITION, |data| std::fs::remove_dir_all(data).unwrap());
    assert_eq!(kind, Kind::NotFound);
    assert!(message.contains("tiny") && hint.contains("--data-dir"), "{message} {hint}");

    let twice = DEFINITION.replace("[columns]", "[columns]\nid = \"question\"");
    let (_, message, _) = refused(&twice, write("question,A,B,answer\nq,x,y,A\nq,x,y,A\n"));
    assert!(message.contains("row 2") && message.contains("twice"), "{message}");

    let (_, message, hint) = refused(&DEFINITION.replace("{{A}}", "{{Z}}"), |_| ());
    assert!(message.contains("plain") && message.contains("undefined"), "{message}");
    assert!(hint.contains("`choices`"), "{hint}");
}

#[test]
fn unknown_names_are_answered_with_known_ones() {
    let dir = tiny(DEFINITION);
    let benchmark = open(&dir).unwrap();
    let error = benchmark.definition.preset(Some("fancy")).unwrap_err();
    assert!(error.hint.unwrap().contains("plain, text"));
    let error = benchmark.subjects(&["frist_part".into()]).unwrap_err();
    assert!(error.hint.unwrap().contains("names: first_part"));
    let error = find("cevall", None).unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    assert!(error.hint.unwrap().contains("ceval, cmmlu"));
    let error = find("no/such/file.toml", None).unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    let error = plan(&benchmark, &PlanRequest { shots: 2, ..PlanRequest::default() }, None).unwrap_err();
    assert!(error.hint.unwrap().contains("--shots 1"));
    // A folder without the data is found missing when it is read, with the way to it.
    let error = find("ceval", Some(dir.path())).unwrap().subjects(&[]).unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    let hint = error.hint.unwrap();
    assert!(hint.contains("LINLY_BENCH_DATA") && hint.contains("cevalbenchmark.com"), "{hint}");
    // A group takes what is there.
    let found = resolve(&["finance".into(), "finance-qa".into()], Some(dir.path())).unwrap();
    assert_eq!(found.iter().map(|b| b.definition.name.as_str()).collect::<Vec<_>>(), ["finance-qa"]);
}

fn outcomes(right: &[bool], prompt_hash: &str) -> Vec<ItemOutcome> {
    right
        .iter()
        .enumerate()
        .map(|(i, &correct)| ItemOutcome {
            subject: "s".into(),
            id: i.to_string(),
            pred: if correct { "A" } else { "B" }.into(),
            gold: "A".into(),
            correct,
            prompt_hash: prompt_hash.into(),
            ..ItemOutcome::default()
        })
        .collect()
}

#[test]
fn runs_are_compared_on_what_both_have() {
    let a = outcomes(&[true, true, false, false, true, true], "p");
    let mut b = outcomes(&[true, false, true, true, true], "p");
    b[4].gold = "C".into(); // its right answer changed: not the same item any more
    b[0].prompt_hash = "other".into();
    let c = compare_outcomes(&a, &b, 1).unwrap();
    assert_eq!((c.n, c.flips.gained, c.flips.lost), (4, 2, 1));
    assert_eq!((c.left_out, c.prompts_differ), (3, 1));
    assert!((c.difference - 0.25).abs() < 1e-12);
    assert!(c.is_indistinct());
    assert_eq!(
        c.items.iter().map(|f| (f.id.as_str(), f.flip)).collect::<Vec<_>>(),
        [("1", "lost"), ("2", "gained"), ("3", "gained")]
    );
    assert_eq!(c, compare_outcomes(&a, &b, 1).unwrap(), "the same seed gives the same interval");
    assert_eq!(compare_outcomes(&a, &[], 1).unwrap_err().kind, Kind::Mismatch);
}
