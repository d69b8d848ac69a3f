//! Rows by hand, marks, rows of arenas, drafts by models and the preview, from outside.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::openai::{Asked, OpenAi, Reply};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

struct Bench(TempDir);

impl Bench {
    fn new() -> Bench {
        Bench(tempfile::tempdir().unwrap())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linly-bench"));
        command.args(args).env("LINLY_BENCH_HOME", self.0.path().join("home")).env("LC_ALL", "C").env("NO_COLOR", "1");
        command.env_remove("EDITOR").env_remove("VISUAL").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn text(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[args, &["--json"]].concat())).unwrap()
    }

    /// Every line of a job's output.
    fn lines(&self, args: &[&str]) -> Vec<Value> {
        let text = self.text(&[args, &["--json"]].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// stderr of a command that must fail with this exit code.
    fn fails(&self, args: &[&str], code: i32) -> String {
        let out = self.run(args);
        let stderr = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(code), "{args:?}: {stderr}");
        stderr
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_string_lossy().into_owned()
    }

    fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn rows(&self, words: &str) -> Vec<Value> {
        self.json(&["data", "show", words, "--limit", "100000"])["examples"].as_array().unwrap().clone()
    }

    fn add(&self, name: &str, instruction: &str, output: &str) -> Value {
        let (instruction, output) = (format!("instruction={instruction}"), format!("output={output}"));
        self.json(&["data", "add", name, "--set", &instruction, "--set", &output])
    }
}

#[test]
fn rows_are_added_by_hand_and_duplicates_told() {
    let bench = Bench::new();
    let made = bench.add("d", "什么是基金？", "一种集合投资。");
    assert_eq!((&made["number"], &made["added"], &made["unchanged"]), (&json!(1), &json!([0]), &json!(false)));
    let again = bench.add("d", "什么是基金？", "一种集合投资。");
    assert_eq!((&again["unchanged"], &again["duplicates"]), (&json!(true), &json!([{"given": 1, "row": 0}])));
    assert_eq!(again["version"], made["version"]);

    let lines = "{\"instruction\": \"What is a bond?\", \"output\": \"A loan.\", \"split\": \"val\"}\n\n\
                 {\"instruction\": \"什么是基金？\", \"output\": \"一种集合投资。\"}\n\
                 {\"instruction\": \"What is a bond?\", \"output\": \"A loan.\"}\n";
    let file = bench.file("new.jsonl", lines);
    let added = bench.json(&["data", "add", "d", "--from", &file]);
    assert_eq!((&added["number"], &added["rows"], &added["added"]), (&json!(2), &json!(2), &json!([1])));
    assert_eq!(added["duplicates"], json!([{"given": 2, "row": 0}, {"given": 3, "row": 1}]));
    let rows = bench.rows("d");
    assert_eq!((&rows[0]["lang"], &rows[0]["file"]), (&json!("zh"), &json!("by hand")));
    assert_eq!((&rows[1]["lang"], &rows[1]["split"], &rows[1]["line"]), (&json!("en"), &json!("val"), &json!(1)));
    assert_eq!(bench.rows("d@1").len(), 1, "the version before stays");

    // The row after a deleted one gets a number of its own.
    bench.json(&["data", "delete", "d", "--row", "1"]);
    assert_eq!(bench.add("d", "q", "a")["added"], json!([2]));

    for (args, wanted) in [
        (&["--set", "instruction=q"][..], "`output` is empty"),
        (&["--set", "instruction=q", "--set", "output= "], "`output` is empty"),
        (&["--set", "answer=q"], "no field `answer`"),
        (&["--set", "instruction=q", "--set", "output=a", "--set", "lang=fr"], "no language"),
    ] {
        let message = bench.fails(&[&["data", "add", "d"], args].concat(), 1);
        assert!(message.contains(wanted) && message.contains("hint: "), "{message}");
    }
    bench.fails(&["data", "add", "d@1", "--set", "instruction=q", "--set", "output=b"], 1);
    let bad = bench.file("bad.jsonl", "{\"instruction\": \"x\", \"output\": \"y\"}\n{\"instruction\": 3}\n");
    let message = bench.fails(&["data", "add", "d", "--from", &bad], 1);
    assert!(message.contains("bad.jsonl:2: "), "{message}");
    assert!(bench.fails(&["data", "add", "d"], 2).contains("$EDITOR"));
    assert_eq!(bench.json(&["data", "history", "d"])["versions"].as_array().unwrap().len(), 4, "nothing of it stayed");
    for command in ["add", "mark", "from-arena", "draft", "drafts"] {
        assert!(bench.text(&["data", command, "--help"]).contains("linly-bench data"), "{command}");
    }
}

#[test]
fn marks_belong_to_texts_and_change_no_version() {
    let bench = Bench::new();
    for i in 0..4 {
        bench.add("d", &format!("question {i}"), "answer");
    }
    let version = bench.json(&["data", "show", "d"])["version"].clone();
    let marked = bench.json(&["data", "mark", "d", "--row", "1,3", "bad", "--note", "wrong \u{1b}[31msum"]);
    assert_eq!((&marked["changed"], &marked["bad"], &marked["good"]), (&json!(2), &json!(2), &json!(0)));
    bench.json(&["data", "mark", "d", "--row", "0", "good"]);
    assert_eq!(bench.json(&["data", "mark", "d", "--row", "0", "good"])["changed"], 0);
    assert_eq!(bench.json(&["data", "show", "d"])["version"], version);

    let bad = bench.json(&["data", "show", "d", "--marked", "bad"]);
    assert_eq!(
        (&bad["matched"], &bad["examples"][0]["row"], &bad["examples"][1]["row"]),
        (&json!(2), &json!(1), &json!(3))
    );
    assert_eq!(
        (&bad["examples"][0]["mark"], &bad["examples"][0]["note"]),
        (&json!("bad"), &json!("wrong \u{1b}[31msum"))
    );
    let page = bench.json(&["data", "show", "d", "--marked", "bad", "--offset", "1", "--limit", "1"]);
    assert_eq!(page["examples"][0]["row"], 3);
    let shown = bench.text(&["data", "show", "d"]);
    assert!(shown.contains("marked bad wrong") && !shown.contains('\u{1b}'), "{shown}");

    // An edit makes other texts; taking it back brings the mark back.
    bench.json(&["data", "edit", "d", "--row", "1", "--set", "output=better"]);
    assert!(bench.rows("d")[1].get("mark").is_none());
    assert_eq!(bench.rows("d@4")[1]["mark"], "bad");
    bench.json(&["data", "restore", "d", "4"]);
    assert_eq!(bench.rows("d")[1]["mark"], "bad");

    let plan = bench.json(&["data", "filter", "d", "--drop-marked", "bad", "--dry-run"]);
    assert_eq!((&plan["removed"], bench.rows("d").len()), (&json!(2), 4));
    let saved = bench.path("f.toml");
    let cleaned = bench.json(&["data", "filter", "d", "--drop-marked", "bad", "--save", &saved]);
    assert_eq!((&cleaned["removed"], &cleaned["rows"]), (&json!(2), &json!(2)));
    assert_eq!(cleaned["reasons"][0], json!([1, "marked bad wrong \u{1b}[31msum"]));
    assert!(std::fs::read_to_string(saved).unwrap().contains("drop_marked = \"bad\""));

    assert_eq!(bench.json(&["data", "mark", "d", "--row", "0", "clear"])["good"], 0);
    // Row 1 is gone from the newest version: nothing is marked, row 0 neither.
    bench.fails(&["data", "mark", "d", "--row", "0,1", "bad"], 1);
    assert!(bench.rows("d")[0].get("mark").is_none());
    assert_eq!(
        bench.json(&["data", "mark", "d@4", "--row", "1", "clear"])["changed"],
        1,
        "an old version has it still"
    );
    bench.fails(&["data", "mark", "d", "--row", "0", "great"], 2);
    bench.fails(&["data", "mark", "d", "bad"], 2);
    bench.fails(&["data", "mark", "d", "--row", "0", "clear", "--note", "x"], 2);
}

fn battle(id: usize, winner: &str, judge: &str, a: &str) -> String {
    json!({
        "question_id": format!("q{id}"), "model_a": "llama-one", "model_b": "qwen-two", "winner": winner, "judge": judge,
        "conversation_a": [{"role": "user", "content": format!("问题{id}？")}, {"role": "assistant", "content": a}],
        "conversation_b": [{"role": "user", "content": format!("问题{id}？")}, {"role": "assistant", "content": format!("乙{id}")}],
        "turn": 1, "anony": true, "language": "zh", "tstamp": 1_700_000_000 + id,
    })
    .to_string()
}

#[test]
fn the_better_answers_of_an_arena_become_rows() {
    let bench = Bench::new();
    let battles = [
        battle(1, "model_a", "human", "甲1"),
        battle(2, "model_b", "human", "甲2"),
        battle(3, "tie", "human", "甲3"),
        battle(4, "tie (bothbad)", "human", "甲4"),
        battle(5, "model_a", "reference", "甲5"),
        battle(6, "model_a", "human", "I am llama-one."),
        battle(7, "model_a", "human", " "),
    ]
    .join("\n");
    bench.json(&["arena", "import", &bench.file("b.jsonl", &battles), "--name", "金融"]);
    let made = bench.json(&["data", "from-arena", "d", "金融", "--judge", "human"]);
    assert_eq!((&made["battles"], &made["added"]), (&json!(7), &json!([0, 1])));
    let left = json!({"ties": 1, "both_bad": 1, "pending": 0, "flagged": 1, "other_judges": 1, "empty": 1});
    assert_eq!(made["left_out"], left);
    let rows = bench.rows("d");
    let texts: Vec<(&str, &str)> =
        rows.iter().map(|r| (r["instruction"].as_str().unwrap(), r["output"].as_str().unwrap())).collect();
    assert_eq!(texts, [("问题1？", "甲1"), ("问题2？", "乙2")]);
    assert_eq!((&rows[1]["file"], &rows[1]["lang"]), (&json!("arena 金融"), &json!("zh")));
    assert!(rows[0]["line"].as_u64() < rows[1]["line"].as_u64(), "the battles' numbers");

    // Every judge: what is there already is no new row.
    let more = bench.json(&["data", "from-arena", "d", "金融"]);
    assert_eq!((&more["added"], more["duplicates"].as_array().unwrap().len()), (&json!([2]), 2));
    assert_eq!((&more["number"], &more["left_out"]["other_judges"]), (&json!(2), &json!(0)));
    assert_eq!(bench.json(&["data", "from-arena", "d", "金融"])["unchanged"], true);
    let message = bench.fails(&["data", "from-arena", "d", "金融", "--judge", "nobody"], 1);
    assert!(message.contains("human, reference"), "{message}");
    assert!(bench.fails(&["data", "from-arena", "d", "nowhere"], 1).contains("hint: "));
}

/// An answer that comes in one piece, as a server streams it.
fn streamed(text: &str, reason: &str) -> Reply {
    let event = json!({"choices": [{"delta": {"content": text}, "finish_reason": reason}]});
    Reply::Status(200, "content-type: text/event-stream\r\n", format!("data: {event}\n\ndata: [DONE]\n\n"))
}

fn asked_text(asked: &Asked) -> String {
    asked.body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned()
}

/// What a model might write when it is asked for tasks; a question is answered.
fn drafting(asked: &Asked, before: usize) -> Reply {
    let text = asked_text(asked);
    if !text.starts_with("Here are some tasks") {
        return match text.as_str() {
            "Promise me something." => streamed("This fund is a guaranteed return with no risk!", "stop"),
            "Tell a long story of a bank." => streamed("Once there was a bank that", "length"),
            _ => streamed(&format!("It is this: {text} is answered."), "stop"),
        };
    }
    // Requests for tasks alternate with questions unless a reply holds no task.
    let tasks = [
        "Here is one:\n\n5. **Task:** \"How does a bond pay interest?\"",
        "What is a share of a company?",
        "how does a BOND pay interest",
        "Tell a long story of a bank.",
        "Here is a task:",
    ];
    streamed(tasks[(before / 2) % tasks.len()], "stop")
}

fn seeded() -> Bench {
    let bench = Bench::new();
    bench.add("d", "What is a share of a company?", "A part of it.");
    bench.add("d", "What is inflation?", "A rise of prices.");
    bench.add("d", "SECRET bad row", "x.");
    bench.json(&["data", "mark", "d", "--row", "2", "bad"]);
    bench
}

#[test]
fn drafts_wait_beside_the_rows_until_someone_decides() {
    let bench = seeded();
    let server = OpenAi::start(drafting);
    let before = bench.json(&["data", "show", "d"]);
    let args = ["data", "draft", "d", "--count", "4", "--seed-rows", "3", "--topic", "bonds", "--model"];
    let lines = bench.lines(&[&args[..], &[&server.model()]].concat());
    let report = lines.last().unwrap();
    assert_eq!((&report["event"], &report["drafts"], &report["near"]), (&json!("finished"), &json!(4), &json!(2)));
    assert_eq!((lines.len(), &lines[0]["event"]), (5, &json!("draft")));
    let requests: Vec<String> = server.asked().iter().map(asked_text).collect();
    assert!(requests[0].contains("about bonds") && requests[0].contains("What is inflation?"), "{}", requests[0]);
    assert!(requests.iter().all(|text| !text.contains("SECRET")), "a row that is marked bad is no example");
    assert_eq!(requests[1], "How does a bond pay interest?");

    let listed = bench.json(&["data", "drafts", "d"]);
    let drafts = listed["drafts"].as_array().unwrap();
    assert_eq!((&listed["count"], &listed["clean"]), (&json!(4), &json!(1)));
    assert_eq!((&drafts[0]["near"], &drafts[0]["findings"]), (&Value::Null, &json!([])));
    assert_eq!(drafts[1]["near"], json!({"row": 0}));
    assert_eq!(drafts[2]["near"], json!({"draft": drafts[0]["id"]}));
    assert_eq!(drafts[3]["findings"], json!(["cut_off"]));
    let shown = bench.text(&["data", "drafts", "d"]);
    assert!(shown.contains("≈ row 0 (1.00)") && shown.contains("! cut_off"), "{shown}");

    // Nothing that reads the dataset knows of them.
    let after = bench.json(&["data", "show", "d"]);
    assert_eq!((&after["version"], &after["rows"]), (&before["version"], &json!(3)));
    assert_eq!(bench.json(&["data", "show", "d", "--search", "pay interest"])["matched"], 0);

    let second = drafts[1]["id"].to_string();
    bench.fails(&["data", "drafts", "d", "--accept", &format!("{second},999")], 1);
    assert_eq!(bench.json(&["data", "drafts", "d"])["count"], 4, "nothing was decided");
    let done = bench.json(&["data", "drafts", "d", "--accept", "clean", "--discard", &second]);
    assert_eq!(
        (&done["added"], &done["discarded"], &done["left"]),
        (&json!([3]), &json!([drafts[1]["id"]]), &json!(2))
    );
    let row = &bench.rows("d")[3];
    assert_eq!(row["instruction"], "How does a bond pay interest?");
    assert!(row["file"].as_str().unwrap().starts_with("draft by ") && row["line"] == drafts[0]["id"], "{row}");
    let history = bench.json(&["data", "history", "d"]);
    assert!(history["versions"][3]["message"].as_str().unwrap().starts_with("accept 1 draft by"), "{history}");

    let rest = bench.json(&["data", "drafts", "d", "--discard", "all"]);
    assert_eq!((rest["discarded"].as_array().unwrap().len(), &rest["left"]), (2, &json!(0)));
    assert!(rest.get("version").is_none(), "{rest}");
    assert_eq!(bench.rows("d").len(), 4);
    bench.fails(&["data", "drafts", "d", "--accept", "some"], 1);
    bench.fails(&["data", "drafts", "nowhere"], 1);
}

#[test]
fn a_model_that_writes_no_tasks_ends_the_attempt() {
    let bench = seeded();
    let server = OpenAi::start(|_, _| streamed("Here is a task:", "stop"));
    let message = bench.fails(&["data", "draft", "d", "--count", "2", "--model", &server.model()], 1);
    assert!(message.contains("wrote no instruction in 8 attempts") && message.contains("hint: "), "{message}");
    bench.fails(&["data", "draft", "d", "--count", "0", "--model", &server.model()], 2);
    bench.fails(&["data", "draft", "nowhere", "--count", "1", "--model", &server.model()], 1);
    bench.json(&["data", "mark", "d", "--row", "0,1", "bad"]);
    assert!(bench.fails(&["data", "draft", "d", "--count", "1", "--model", &server.model()], 1).contains("no row"));
}

#[cfg(unix)]
#[test]
fn an_interruption_keeps_the_drafts_so_far() {
    let bench = seeded();
    // The first draft is whole; the second one's request is never answered.
    let server = OpenAi::start(|asked, before| if before < 2 { drafting(asked, before) } else { Reply::Silence });
    let model = server.model();
    let mut child: Child =
        bench.command(&["data", "draft", "d", "--count", "5", "--json", "--model", &model]).spawn().unwrap();
    server.wait_for(3);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(bench.json(&["data", "drafts", "d"])["count"], 1);
}

#[test]
fn a_real_model_writes_drafts() {
    let Some(with_model) = common::home_with_model() else { return };
    let drafts = || {
        let bench = seeded();
        let folder = bench.path("home/models/smollm2-135m");
        std::fs::create_dir_all(&folder).unwrap();
        for file in std::fs::read_dir(with_model.path().join("models/smollm2-135m")).unwrap().flatten() {
            std::fs::hard_link(file.path(), format!("{folder}/{}", file.file_name().to_string_lossy())).unwrap();
        }
        let args = ["data", "draft", "d", "--model", "smollm2-135m", "--count", "1", "--max-tokens", "24"];
        let lines = bench.lines(&args);
        assert_eq!((lines.len(), &lines[0]["model"]), (2, &json!("smollm2-135m")));
        assert!(!lines[0]["output"].as_str().unwrap().is_empty());
        assert_eq!(bench.json(&["data", "drafts", "d"])["drafts"][0]["instruction"], lines[0]["instruction"]);
        [lines[0]["instruction"].clone(), lines[0]["output"].clone(), lines[0]["seed_rows"].clone()]
    };
    assert_eq!(drafts(), drafts(), "the same seed, the same rows, the same draft");
}

/// A model's folder with a token per character, and this chat template.
fn model(bench: &Bench, name: &str, chat_template: &str) -> String {
    let folder = bench.0.path().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let tiny = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/tiny/llama");
    for file in ["model.safetensors", "config.json"] {
        std::fs::copy(tiny.join(file), folder.join(file)).unwrap();
    }
    let letters = ('a'..='z').chain("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ?#<>|/.,:-!\n".chars());
    let vocabulary: serde_json::Map<String, Value> =
        letters.enumerate().map(|(id, letter)| (letter.to_string(), json!(id))).collect();
    let end = json!({"id": 200, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true});
    let tokenizer = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [end],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []}});
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let config = json!({"eos_token": "</s>", "chat_template": chat_template});
    std::fs::write(folder.join("tokenizer_config.json"), config.to_string()).unwrap();
    folder.to_string_lossy().into_owned()
}

#[test]
fn a_preview_says_what_is_learnt_and_what_is_wrong() {
    let bench = Bench::new();
    let talk = r#"{"instruction": "more", "output": "yes", "history": [["hi", "hello"]]}"#;
    bench.json(&["data", "add", "d", "--from", &bench.file("t.jsonl", talk)]);
    let good = model(
        &bench,
        "good",
        "{% for m in messages %}{% if m.role == 'user' %}U: {{ m.content }}\n{% else %}B: {{ m.content }}</s>\n{% endif %}{% endfor %}{% if add_generation_prompt %}B: {% endif %}",
    );
    // Its answers end with three characters, none of which ends a sequence.
    let endless = model(
        &bench,
        "endless",
        "{% for m in messages %}{% if m.role == 'user' %}U: {{ m.content }}\n{% else %}B: {{ m.content }}###\n{% endif %}{% endfor %}{% if add_generation_prompt %}B: {% endif %}",
    );
    let preview = |model: &str, more: &[&str]| {
        let shown = bench.json(&[&["data", "preview", "d", "--model", model], more].concat());
        let warnings: Vec<String> =
            shown["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap().to_owned()).collect();
        (shown, warnings.join("\n"))
    };
    let (shown, warnings) = preview(&good, &[]);
    // hello</s> and yes</s>
    assert_eq!((&shown["supervised_tokens"], warnings.as_str()), (&json!(6 + 4), ""));
    let turns = json!([{"turn": 0, "tokens": 6, "learnt": true, "ends": true}, {"turn": 1, "tokens": 4, "learnt": true, "ends": true}]);
    assert_eq!(shown["turns"], turns);
    let tokens = shown["tokens"].as_array().unwrap();
    assert_eq!(tokens.iter().filter(|t| t["supervised"] == true).count(), 10);
    assert_eq!(shown["text"].as_str().unwrap().chars().count() - 2 * 3, tokens.len(), "</s> is one token, twice");

    let (shown, warnings) = preview(&good, &["--loss-on", "last"]);
    assert_eq!((&shown["supervised_tokens"], &shown["turns"][0]["learnt"]), (&json!(4), &json!(false)));
    assert_eq!(warnings, "");
    let out = bench.run(&["data", "preview", "d", "--model", &good, "--loss-on", "last"]);
    let stderr = String::from_utf8(out.stderr).unwrap();
    assert!(stderr.contains("4 supervised") && stderr.contains("turn 0: 6 only read · turn 1: 4 learnt"), "{stderr}");

    let (_, warnings) = preview(&endless, &[]);
    assert!(warnings.contains("learnt in turn 0") && warnings.contains("learnt in turn 1"), "{warnings}");
    let (_, warnings) = preview(&good, &["--template", "linly"]);
    assert!(warnings.contains("linly is not the model's own"), "{warnings}");
    let length = tokens.len();
    let (shown, warnings) = preview(&good, &["--max-len", &length.to_string()]);
    assert_eq!((&shown["fits"], warnings.as_str()), (&json!(true), ""));
    let (shown, warnings) = preview(&good, &["--max-len", &(length - 2).to_string()]);
    assert!(shown["fits"] == false && warnings.contains("leaves the row out"), "{warnings}");
    assert!(warnings.contains(" 1 supervised ones lie behind"), "{warnings}");
    let (_, warnings) = preview(&good, &["--max-len", &(length - 2).to_string(), "--overlong", "cut"]);
    assert!(warnings.contains("2 tokens of the prompt are cut"), "{warnings}");
    let (_, warnings) = preview(&good, &["--max-len", "8", "--overlong", "split"]);
    assert!(warnings.contains("is split into"), "{warnings}");
    bench.fails(&["data", "preview", "d", "--model", &good, "--max-len", "1"], 2);
}

/// `$EDITOR` needs a terminal on standard input, which a test has not: from a pipe the row must come by `--from -`.
#[test]
fn rows_come_from_standard_input() {
    let bench = Bench::new();
    let mut child =
        bench.command(&["data", "add", "d", "--from", "-", "--json"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(br#"{"instruction": "q", "output": "a"}"#).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(bench.rows("d")[0]["file"], "-");
}
