//! A server of the completions protocol on 127.0.0.1 that is as good or as bad as a test wants. Its model has a token per
//! byte, whose probability depends on the byte before it: so a test can compute the same by itself.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub authorization: Option<String>,
    pub body: Value,
}

/// How a request is answered.
pub enum Reply {
    Json(Value),
    /// A status, further headers (each with its line end), a body.
    Status(u16, &'static str, String),
    /// 200 that promises all of this and breaks off in the middle.
    Cut(Value),
    /// Nothing, until the test ends.
    Silence,
}

/// The server; it ends with the test's process.
pub struct OpenAi {
    /// `http://127.0.0.1:PORT/v1`.
    pub base: String,
    asked: Arc<(Mutex<Vec<Asked>>, Condvar)>,
}

impl OpenAi {
    /// A server that has the model `m` and answers each request but that for its models by `answer`, which also gets how many came before.
    pub fn start(answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> OpenAi {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked: Arc<(Mutex<Vec<Asked>>, Condvar)> = Arc::default();
        let (seen, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (seen.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        OpenAi { base, asked }
    }

    /// A server without faults.
    pub fn good() -> OpenAi {
        OpenAi::start(|asked, _| Reply::Json(good(asked)))
    }

    /// The model's address.
    pub fn model(&self) -> String {
        format!("{}#m", self.base)
    }

    /// What was asked so far, without the questions for its models.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.0.lock().unwrap().clone()
    }

    /// Waits until so many requests have come.
    pub fn wait_for(&self, requests: usize) {
        let guard = self.asked.0.lock().unwrap();
        drop(self.asked.1.wait_while(guard, |asked| asked.len() < requests).unwrap());
    }
}

fn serve(mut stream: TcpStream, seen: &(Mutex<Vec<Asked>>, Condvar), answer: &dyn Fn(&Asked, usize) -> Reply) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let (mut authorization, mut length) = (None, 0);
        for line in reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            match name.to_ascii_lowercase().as_str() {
                "authorization" => authorization = Some(value.trim().to_owned()),
                "content-length" => length = value.trim().parse().unwrap(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let asked = Asked { path, authorization, body };
        let reply = if asked.path == "/v1/models" {
            Reply::Json(json!({"object": "list", "data": [{"id": "m"}, {"id": "other"}]}))
        } else {
            let before = {
                let mut list = seen.0.lock().unwrap();
                list.push(asked.clone());
                list.len() - 1
            };
            seen.1.notify_all();
            answer(&asked, before)
        };
        let mut send = |status: u16, headers: &str, length: usize, body: &[u8]| {
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n");
            let _ =
                stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).and_then(|()| stream.flush());
        };
        match reply {
            Reply::Json(value) => {
                let body = value.to_string();
                send(200, "", body.len(), body.as_bytes());
            }
            Reply::Status(status, headers, body) => send(status, headers, body.len(), body.as_bytes()),
            Reply::Cut(value) => {
                let body = value.to_string();
                send(200, "", body.len(), &body.as_bytes()[..body.len() / 2]);
                let _ = stream.shutdown(std::net::Shutdown::Both);
                return;
            }
            Reply::Silence => loop {
                std::thread::park();
            },
        }
    }
}

/// ln p(byte | the byte before it). A power of two in the denominator: sums are exact in any order.
pub fn logprob(before: u8, byte: u8) -> f64 {
    -f64::from((u32::from(before) * 31 + u32::from(byte) * 17) % 509) / 64.0
}

/// The likeliest visible character after a text.
pub fn next(text: &str) -> u8 {
    let before = *text.as_bytes().last().unwrap();
    (b'!'..=b'~').max_by(|a, b| logprob(before, *a).total_cmp(&logprob(before, *b))).unwrap()
}

/// What a faithful server answers.
pub fn good(asked: &Asked) -> Value {
    if asked.path == "/v1/chat/completions" {
        let question = asked.body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap();
        let content = format!("{} characters", question.chars().count());
        return json!({"choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 2}});
    }
    let prompt = asked.body["prompt"].as_str().unwrap();
    let echo = asked.body["echo"] == true;
    let all = format!("{prompt}{}", next(prompt) as char);
    let start = if echo { 0 } else { prompt.len() };
    let (mut tokens, mut values, mut offsets) = (vec![], vec![], vec![]);
    for (i, byte) in all.bytes().enumerate().skip(start) {
        // As llama-cpp-python does, a part of a character is an empty text, placed after what is whole before it.
        tokens.push(if byte.is_ascii() { (byte as char).to_string() } else { String::new() });
        values.push(if i == 0 { Value::Null } else { json!(logprob(all.as_bytes()[i - 1], byte)) });
        let whole = (0..=i).rev().find(|at| all.is_char_boundary(*at)).unwrap();
        offsets.push(all[..whole].chars().count());
    }
    json!({"choices": [{"text": &all[start..], "finish_reason": "length",
            "logprobs": {"tokens": tokens, "token_logprobs": values, "text_offset": offsets}}],
        "usage": {"prompt_tokens": prompt.len(), "completion_tokens": 1}})
}
