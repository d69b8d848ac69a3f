//! `pretrain` with a tiny model as a user meets it: it learns texts by heart, uses every token, goes on after a kill, and
//! refuses rows and flags that are not for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tiny;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Two short texts, which the tiny tokenizer has a token for every letter of, and one for "the".
const TEXTS: [&str; 2] = ["the price of copper rose by two after noon.", "a bond falls when a bank lifts its rate."];

/// A home with texts and questions, and beside it the tiny llama.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        tiny::with_tokenizer(place.0.path(), "llama");
        for (name, text) in ["first", "second"].iter().zip(TEXTS) {
            place.import(name, &json!({"text": text}).to_string());
        }
        place.import("sums", &json!({"instruction": "one and one?", "output": "two"}).to_string());
        place
    }

    fn import(&self, name: &str, row: &str) {
        let file = self.0.path().join(format!("{name}.jsonl"));
        std::fs::write(&file, format!("{row}\n")).unwrap();
        let out = self.run(&["data", "import", file.to_str().unwrap(), "--name", name, "--lang", "en"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    fn model(&self) -> PathBuf {
        self.0.path().join("llama")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linly-bench"));
        command.env("LINLY_BENCH_HOME", self.0.path().join("home")).env("LC_ALL", "C.UTF-8").args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// A pre-training of both texts with the words of `more`.
    fn words(&self, adapter: &str, more: &str) -> Vec<String> {
        let fixed =
            "pretrain --json --data first,second --target all --rank 16 --alpha 32 --dropout 0 --dtype f32 --val 0";
        let names = ["--model", self.model().to_str().unwrap(), "--adapter", adapter].map(str::to_owned);
        fixed.split_whitespace().chain(more.split_whitespace()).map(str::to_owned).chain(names).collect()
    }

    fn pretrain(&self, adapter: &str, more: &str) -> Vec<Value> {
        let words = self.words(adapter, more);
        let out = self.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn weights(&self, adapter: &str) -> Vec<u8> {
        std::fs::read(self.0.path().join("home/adapters").join(adapter).join("adapter_model.safetensors")).unwrap()
    }
}

#[test]
fn two_texts_are_learnt_by_heart_and_every_token_is_used() {
    let place = Place::new();
    let events = place.pretrain("heart", "--steps 250 --lr 2e-2 --max-len 32 --modules-to-save embed_tokens,lm_head");
    let end = events.last().unwrap();
    let tokenizer = linly_bench::model::Tokenizer::open(&place.model()).unwrap();
    // Each text and its end.
    let tokens: usize = TEXTS.iter().map(|text| tokenizer.encode(text, false).unwrap().len() + 1).sum();
    assert!(tokens > 64, "{tokens}: a text should go on in the next sequence");
    let sequences = tokens.div_ceil(32);
    assert_eq!((&end["event"], &end["train_rows"]), (&json!("finished"), &json!(2)));
    assert_eq!((&end["text_tokens"], &end["sequences"]), (&json!(tokens), &json!(sequences)));
    let steps: Vec<&Value> = events.iter().filter(|e| e["event"] == "step").collect();
    // A step takes all sequences; only the first token of each has nothing before it.
    assert_eq!((&steps[0]["tokens"], &steps[0]["supervised_tokens"]), (&json!(tokens), &json!(tokens - sequences)));
    let (first, last) = (steps[0]["loss"].as_f64().unwrap(), end["final_loss"].as_f64().unwrap());
    assert!(first > 3.0 && last < 0.1, "loss {first} → {last}");
}

#[test]
fn order_follows_the_datasets_and_a_killed_run_goes_on() {
    let place = Place::new();
    let more = "--steps 40 --lr 1e-2 --max-len 24 --batch-size 2 --order file --save-every 1";
    place.pretrain("straight", more);
    place.pretrain("shuffled", &more.replace("file", "shuffled"));
    assert_ne!(place.weights("straight"), place.weights("shuffled"));

    let words = place.words("killed", more);
    let mut child = place
        .command(&words.iter().map(String::as_str).collect::<Vec<_>>())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut run = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if event["event"] == "started" {
            run = event["run"].as_str().unwrap().to_owned();
        }
        if event["event"] == "step" && event["step"] == 5 {
            child.kill().unwrap();
            break;
        }
    }
    child.wait().unwrap();
    let out = place.run(&["pretrain", "--json", "--resume", &run]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(place.weights("killed"), place.weights("straight"));
}

#[test]
fn what_is_not_for_texts_is_refused() {
    let place = Place::new();
    let model = place.model();
    let model = model.to_str().unwrap();
    let train = |verb: &'static str, data: &'static str| {
        [verb, "--model", model, "--data", data, "--adapter", "x", "--steps", "1"]
    };
    let more = |flags: &'static [&'static str]| [&train("pretrain", "first")[..], flags].concat();
    for (code, args, words) in [
        (1, train("pretrain", "sums").to_vec(), "linly-bench train"),
        (1, [&train("train", "first")[..], &["--template", "alpaca"]].concat(), "linly-bench pretrain"),
        (1, train("pretrain", "first,nobody").to_vec(), "nobody"),
        (2, more(&["--template", "alpaca"]), "--template"),
        (2, more(&["--overlong", "cut"]), "--overlong"),
        (2, more(&["--loss-on", "last"]), "--loss-on"),
        (2, more(&["--packing", "off"]), "--packing off"),
        (2, more(&["--max-len", "2"]), "--max-len"),
    ] {
        let out = place.run(&args);
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(words) && stderr.contains("hint: "), "{args:?}: {stderr}");
    }
    // A dataset that a run rests on is not purged, alone or in a list.
    place.pretrain("kept", "--steps 1 --max-len 32");
    for name in ["first", "second"] {
        let out = place.run(&["data", "delete", name, "--purge"]);
        assert_eq!(out.status.code(), Some(1), "{}", String::from_utf8_lossy(&out.stderr));
    }
}
