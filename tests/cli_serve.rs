//! `serve` and `chat` from outside: the protocol, the proof that the numbers are right, and who is let in.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::home_with_model;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::OnceLock;

const MODEL: &str = "smollm2-135m";

fn command(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linly-bench"));
    command.args(args).env_clear().env("LINLY_BENCH_HOME", home);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn linly(home: &Path, args: &[&str], input: &str) -> Output {
    let mut child = command(home, args).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// A home with the model and a little adapter of it, made once.
fn home() -> Option<&'static Path> {
    static HOME: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let home = HOME.get_or_init(|| {
        let home = home_with_model()?;
        let rows = home.path().join("rows.jsonl");
        let row = |i: usize| json!({"instruction": format!("What is {i}?"), "output": "A bond."}).to_string();
        std::fs::write(&rows, (0..8).map(row).collect::<Vec<_>>().join("\n")).unwrap();
        for args in [
            &["data", "import", rows.to_str().unwrap(), "--name", "rows"][..],
            &[
                "train",
                "--model",
                MODEL,
                "--data",
                "rows",
                "--adapter",
                "little",
                "--steps",
                "2",
                "--batch-size",
                "4",
                "--lr",
                "1e-2",
                "--template",
                "alpaca",
                "--json",
            ],
        ] {
            let out = linly(home.path(), args, "");
            assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        }
        Some(home)
    });
    home.as_ref().map(tempfile::TempDir::path)
}

/// A running `serve`, ended when dropped.
struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(home: &Path, args: &[&str]) -> Server {
        let base =
            ["serve", "--model", MODEL, "--adapter", "little", "--port", "0", "--dtype", "f32", "--json", "--quiet"];
        let mut child = command(home, &[&base[..], args].concat()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let listening: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&listening["event"], &listening["models"]), (&json!("listening"), &json!([MODEL, "little"])));
        let address = listening["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
        Server { child, lines, address }
    }

    /// Sends a request as it is written, and reads until the server closes.
    fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// Status and body of a request with further headers.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let (address, length) = (&self.address, body.len());
        let host = if headers.contains("Host:") { String::new() } else { format!("Host: {address}\r\n") };
        let answer = self.raw(&format!(
            "{method} {path} HTTP/1.1\r\n{host}Content-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
        ));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = if head.contains("chunked") { unchunked(body) } else { body.to_owned() };
        (status, body)
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, body) = self.ask("POST", path, "", &body.to_string());
        (status, serde_json::from_str(&body).unwrap())
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.ask("GET", path, "", "");
        (status, serde_json::from_str(&body).unwrap())
    }

    /// The events of a streamed answer; the last must be `[DONE]`.
    fn events(&self, path: &str, body: &Value) -> Vec<Value> {
        let (status, text) = self.ask("POST", path, "", &body.to_string());
        assert_eq!(status, 200, "{text}");
        let mut data: Vec<&str> = text.split("\n\n").filter_map(|e| e.strip_prefix("data: ")).collect();
        assert_eq!(data.pop(), Some("[DONE]"), "{text}");
        data.into_iter().map(|d| serde_json::from_str(d).unwrap()).collect()
    }

    fn interrupt(mut self) -> Option<i32> {
        // SAFETY: a signal to a child that was not waited for yet.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGINT) };
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("finished"), "{rest}");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn unchunked(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        out.push_str(&rest[..size]);
        body = rest[size..].strip_prefix("\r\n").unwrap();
    }
    out
}

#[test]
fn our_own_scores_through_our_own_server_are_the_local_ones() {
    let Some(home) = home() else { return };
    let server = Server::start(home, &[]);
    for (name, adapter) in [(MODEL, None), ("little", Some("little"))] {
        let samples = |model: &str, adapter: Option<&str>, file: &str| -> Vec<Value> {
            let file = home.join(file);
            let mut args = vec!["run", "finance-qa", "--model", model, "--shots", "1", "--limit", "6", "--json"];
            args.extend(["--dtype", "f32", "--log-samples", file.to_str().unwrap()]);
            args.extend(adapter.iter().flat_map(|a| ["--adapter", a]));
            let out = linly(home, &args, "");
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            let text = std::fs::read_to_string(&file).unwrap();
            text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
        };
        let here = samples(MODEL, adapter, &format!("here-{name}.jsonl"));
        let address = format!("http://{}/v1#{name}", server.address);
        let there = samples(&address, None, &format!("there-{name}.jsonl"));
        assert!(here.len() == there.len() && here.len() >= 20, "{}", here.len());
        for (a, b) in here.iter().zip(&there) {
            assert_eq!((&a["id"], &a["prompt"], &a["pred"]), (&b["id"], &b["prompt"], &b["pred"]));
            let values = |s: &Value| -> Vec<f64> {
                s["loglikelihoods"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
            };
            for (x, y) in values(a).iter().zip(values(b)) {
                // The passes have other shapes, so sums are rounded differently.
                assert!((x - y).abs() < 1e-3, "{name} {}: {x} {y}", a["id"]);
            }
        }
    }
    assert_eq!(server.interrupt(), Some(0));
}

#[test]
fn completions_echo_score_stop_and_repeat() {
    let Some(home) = home() else { return };
    let server = Server::start(home, &[]);
    let prompt = "The capital of France is 巴黎🙂 and";
    let scored = json!({"model": MODEL, "prompt": prompt, "echo": true, "logprobs": 2, "max_tokens": 0});
    let (status, whole) = server.post("/v1/completions", &scored);
    assert_eq!(status, 200, "{whole}");
    let (choice, lists) = (&whole["choices"][0], &whole["choices"][0]["logprobs"]);
    let column = |name: &str| lists[name].as_array().unwrap().clone();
    assert_eq!((&choice["text"], &choice["finish_reason"]), (&json!(prompt), &json!("length")));
    let tokens = column("tokens");
    assert_eq!(tokens.iter().map(|t| t.as_str().unwrap()).collect::<String>(), prompt, "the tokens spell the prompt");
    assert_eq!(whole["usage"]["prompt_tokens"], tokens.len());
    assert_eq!(whole["usage"]["completion_tokens"], 0);
    assert!(column("token_logprobs")[0].is_null() && column("top_logprobs")[0].is_null());
    let mut characters = 0;
    for (i, token) in tokens.iter().enumerate() {
        assert_eq!(column("text_offset")[i], characters);
        characters += token.as_str().unwrap().chars().count();
        if i > 0 {
            let best = column("top_logprobs")[i].as_object().unwrap().values().next().unwrap().as_f64().unwrap();
            let own = column("token_logprobs")[i].as_f64().unwrap();
            assert!(own <= best + 1e-6 && best <= 0.0, "{own} {best}");
        }
    }

    // The likeliest next token by the scores is the greedy one, and its score is what echo gives it.
    let greedy = json!({"model": MODEL, "prompt": "1, 2, 3, 4,", "max_tokens": 12, "temperature": 0, "logprobs": 1});
    let (_, written) = server.post("/v1/completions", &greedy);
    let text = written["choices"][0]["text"].as_str().unwrap();
    assert!(text.starts_with(" 5, 6"), "{text}");
    let again =
        json!({"model": MODEL, "prompt": format!("1, 2, 3, 4,{text}"), "max_tokens": 0, "echo": true, "logprobs": 0});
    let (_, echoed) = server.post("/v1/completions", &again);
    let sum = |v: &Value, from: usize| -> f64 {
        let list = v["choices"][0]["logprobs"]["token_logprobs"].as_array().unwrap();
        list[list.len() - from..].iter().map(|x| x.as_f64().unwrap()).sum()
    };
    assert!((sum(&written, 12) - sum(&echoed, 12)).abs() < 1e-3);

    // Streamed, cut by a stop text, as tokens, several at once: the same text.
    let pieces = server.events(
        "/v1/completions",
        &json!({"model": MODEL, "prompt": "1, 2, 3, 4,", "max_tokens": 12,
        "temperature": 0, "stream": true, "stream_options": {"include_usage": true}}),
    );
    let joined: String = pieces.iter().filter_map(|e| e["choices"][0]["text"].as_str()).collect();
    assert_eq!(joined, text);
    assert!(pieces.len() > 6, "in pieces: {}", pieces.len());
    assert_eq!(pieces.last().unwrap()["usage"]["completion_tokens"], 12);
    let (_, cut) = server.post(
        "/v1/completions",
        &json!({"model": MODEL, "prompt": ["1, 2, 3, 4,", "1, 2, 3, 4,"],
        "max_tokens": 12, "temperature": 0, "stop": [" 7", "unmet"]}),
    );
    for choice in cut["choices"].as_array().unwrap() {
        assert_eq!((&choice["text"], &choice["finish_reason"]), (&json!(" 5, 6,"), &json!("stop")));
    }
    let seeded = |seed: u64| {
        let body = json!({"model": MODEL, "prompt": "Once", "max_tokens": 12, "temperature": 1.0, "seed": seed});
        server.post("/v1/completions", &body).1["choices"][0]["text"].clone()
    };
    assert_eq!(seeded(5), seeded(5));
    assert_ne!(seeded(5), seeded(6));
}

#[test]
fn chats_stream_and_adapters_are_chosen_by_name() {
    let Some(home) = home() else { return };
    let server = Server::start(home, &["--parallel", "2"]);
    let (_, models) = server.get("/v1/models");
    assert_eq!(models["data"].as_array().unwrap().iter().map(|m| &m["id"]).collect::<Vec<_>>(), [MODEL, "little"]);
    let body = |model: &str, stream: bool| {
        json!({"model": model, "messages": [{"role": "user", "content": "Write 你好 and a smile 🙂."}], "max_tokens": 24,
            "temperature": 0, "stream": stream, "logprobs": true, "top_logprobs": 2})
    };
    let mut texts = Vec::new();
    for model in [MODEL, "little"] {
        let (status, whole) = server.post("/v1/chat/completions", &body(model, false));
        assert_eq!(status, 200, "{whole}");
        let text = whole["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
        let content = whole["choices"][0]["logprobs"]["content"].as_array().unwrap();
        assert_eq!(content.iter().map(|t| t["token"].as_str().unwrap()).collect::<String>(), text);
        let events = server.events("/v1/chat/completions", &body(model, true));
        assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
        let joined: String = events.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(joined, text);
        assert!(!joined.contains('\u{fffd}'));
        assert!(events.last().unwrap()["choices"][0]["finish_reason"].is_string());
        texts.push(text);
    }
    assert_ne!(texts[0], texts[1], "the adapter has its say");
    // The next turn reads only what is new.
    let mut longer = body(MODEL, false);
    longer["messages"] = json!([{"role": "user", "content": "Write 你好 and a smile 🙂."},
        {"role": "assistant", "content": texts[0]}, {"role": "user", "content": "Again."}]);
    let (_, next) = server.post("/v1/chat/completions", &longer);
    assert!(next["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap() > 20, "{}", next["usage"]);
}

#[test]
fn what_cannot_be_granted_is_refused_in_the_protocols_words() {
    let Some(home) = home() else { return };
    let server = Server::start(home, &[]);
    let message = json!([{"role": "user", "content": "hi"}]);
    for (path, body, status, code) in [
        ("/v1/completions", json!({"model": "other", "prompt": "x"}), 404, json!("model_not_found")),
        (
            "/v1/completions",
            json!({"model": MODEL, "prompt": "x", "max_tokens": 1_000_000}),
            400,
            json!("context_length_exceeded"),
        ),
        (
            "/v1/chat/completions",
            json!({"model": MODEL, "messages": [{"role": "user", "content": "x ".repeat(9000)}]}),
            400,
            json!("context_length_exceeded"),
        ),
        ("/v1/completions", json!({"model": MODEL}), 400, Value::Null),
        ("/v1/completions", json!({"model": MODEL, "prompt": []}), 400, Value::Null),
        ("/v1/completions", json!({"model": MODEL, "prompt": [4_000_000_000u32]}), 400, Value::Null),
        ("/v1/completions", json!({"model": MODEL, "prompt": "x", "n": 2}), 400, Value::Null),
        ("/v1/chat/completions", json!({"model": MODEL, "messages": []}), 400, Value::Null),
        (
            "/v1/chat/completions",
            json!({"model": MODEL, "messages": message, "tools": [{"type": "function"}]}),
            400,
            Value::Null,
        ),
        ("/v1/nothing", json!({}), 404, Value::Null),
    ] {
        let (found, answer) = server.post(path, &body);
        let error = &answer["error"];
        assert_eq!((found, &error["code"]), (status, &code), "{body}: {answer}");
        assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()) && error["type"].is_string());
    }
    assert_eq!(server.ask("POST", "/v1/completions", "", "{not json").0, 400);
    assert_eq!(server.ask("GET", "/v1/completions", "", "").0, 405);
    assert_eq!(server.ask("GET", "/health", "", "").0, 200);
    // A page of another site, and a name that was made to point here.
    assert_eq!(server.ask("POST", "/v1/completions", "Origin: http://evil.example\r\n", "{}").0, 403);
    assert_eq!(server.ask("GET", "/health", "Host: evil.example\r\n", "").0, 403);
    // Rubbish does not end it.
    assert!(server.raw("\u{1}\u{2}\r\n\r\n").starts_with("HTTP/1.1 400"));
    assert_eq!(server.get("/health").0, 200);
}

#[test]
fn a_key_is_wanted_and_a_client_that_goes_away_makes_room() {
    let Some(home) = home() else { return };
    let server = Server::start(home, &["--api-key", "hunter2", "--parallel", "1"]);
    assert_eq!(server.ask("GET", "/v1/models", "", "").0, 401);
    assert_eq!(server.ask("GET", "/v1/models", "Authorization: Bearer wrong\r\n", "").0, 401);
    assert_eq!(server.ask("GET", "/v1/models", "Authorization: Bearer hunter2\r\n", "").0, 200);
    let page = server.ask("GET", "/", "", "").1;
    assert!(page.contains("<title>") && !page.contains("NONCE"));
    // Thousands of tokens, wanted by nobody: the one place must become free at once.
    let body = json!({"model": MODEL, "prompt": "1, 2, 3,", "max_tokens": 8000, "temperature": 0}).to_string();
    let mut leaving = TcpStream::connect(&server.address).unwrap();
    let (address, length) = (&server.address, body.len());
    write!(leaving, "POST /v1/completions HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer hunter2\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    drop(leaving);
    let short = json!({"model": MODEL, "prompt": "1, 2, 3,", "max_tokens": 2}).to_string();
    let started = std::time::Instant::now();
    assert_eq!(server.ask("POST", "/v1/completions", "Authorization: Bearer hunter2\r\n", &short).0, 200);
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    let open = linly(home, &["serve", "--model", MODEL, "--host", "0.0.0.0", "--port", "0"], "");
    assert_eq!(open.status.code(), Some(2), "open to the network without a key");
}

#[test]
fn a_battle_on_the_page_is_kept_like_any_other() {
    let Some(home) = home() else { return };
    let server = Server::start(home, &["--arena", "页面"]);
    let events = server.events("/arena/battle", &json!({"question": "利率上升时债券价格如何变化？<script>"}));
    let (last, pieces) = events.split_last().unwrap();
    for side in ["a", "b"] {
        assert!(pieces.iter().any(|e| e["side"] == side), "{side}");
    }
    // An answer may hold the word that the adapter is called by, so it is the events' own fields that count.
    let told =
        |e: &Value| e.get("model_a").or(e.get("model_b")).is_some() || e.to_string().contains("smollm2-135m+little");
    assert!(!pieces.iter().any(told), "no names before the vote");
    let id = last["battle"].as_i64().unwrap_or_else(|| panic!("{last}"));
    let (status, names) = server.post("/arena/vote", &json!({"battle": id, "winner": "A"}));
    assert_eq!(status, 200, "{names}");
    let mut both = [names["model_a"].as_str().unwrap(), names["model_b"].as_str().unwrap()];
    both.sort_unstable();
    assert_eq!(both, [MODEL, "smollm2-135m+little"]);
    assert_eq!(server.post("/arena/vote", &json!({"battle": id, "winner": "B"})).0, 400, "votes stay");
    assert_eq!(server.post("/arena/vote", &json!({"battle": id, "winner": "C"})).0, 400);
    assert_eq!(server.post("/arena/battle", &json!({"question": " "})).0, 400);
    assert_eq!(server.get("/arena/ratings").1["ratings"].as_array().unwrap().len(), 2);
    assert_eq!(server.interrupt(), Some(0));
    let out = linly(home, &["arena", "export", "页面"], "");
    let row: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((&row["winner"], &row["judge"], &row["language"]), (&json!("model_a"), &json!("human"), &json!("zh")));
    let runs = linly(home, &["runs", "list", "--json"], "");
    let runs: Value = serde_json::from_slice(&runs.stdout).unwrap();
    let run = runs.as_array().unwrap().iter().find(|r| r["kind"] == "arena").unwrap();
    assert_eq!(run["status"], "done");
}

#[test]
fn a_chat_is_remembered_from_line_to_line_and_through_a_server_too() {
    let Some(home) = home() else { return };
    let saved = home.join("talk.jsonl");
    let input = format!("Say hello.\n/unknown\nAnd now in 中文.\n/save {}\n/reset\nSay hello.\n", saved.display());
    let flags = ["--temperature", "0", "--max-tokens", "12", "--json"];
    let rows = |model: &str, extra: &[&str]| -> Vec<Value> {
        let out = linly(home, &[&["chat", "--model", model][..], &flags, extra].concat(), &input);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let here = rows(MODEL, &["--dtype", "f32", "--repetition-penalty", "1", "--system", "Be brief."]);
    assert_eq!(here.len(), 3);
    assert_eq!(here[0]["answer"], here[2]["answer"], "after /reset nothing is remembered");
    let number = |i: usize, name: &str| here[i][name].as_u64().unwrap();
    assert!(number(1, "prompt_tokens") > number(0, "prompt_tokens") + 10);
    assert!(number(1, "reused_tokens") >= number(0, "prompt_tokens"), "only the new turn is read: {}", here[1]);
    let talk: Value = serde_json::from_str(&std::fs::read_to_string(&saved).unwrap()).unwrap();
    let roles: Vec<&str> = talk["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user", "assistant"]);
    let server = Server::start(home, &[]);
    let there = rows(&format!("http://{}/v1#{MODEL}", server.address), &["--system", "Be brief.", "--top-p", "1"]);
    let answers = |rows: &[Value]| rows.iter().map(|r| r["answer"].clone()).collect::<Vec<_>>();
    assert_eq!(answers(&here), answers(&there));
    assert_eq!(there[0]["prompt_tokens"], here[0]["prompt_tokens"]);
    let plain = linly(home, &["chat", "--model", MODEL, "--stop", "e", "--temperature", "0"], "Say hello.\n");
    assert!(!String::from_utf8_lossy(&plain.stdout).contains('e'), "{plain:?}");
    assert_eq!(linly(home, &["chat", "--model", MODEL, "--temperature=-1"], "").status.code(), Some(1));
}
