//! A server's model as a [`LanguageModel`].

use super::address::Address;
use super::client::{Client, Options};
use super::echo::{self, Unusable};
use super::plain_text::PlainText;
use super::pool;
use crate::error::{Error, Kind, Result};
use crate::infer::{Generation, LanguageModel, Sampling, ScoreRequest};
use crate::job::CancelToken;
use crate::prompt::{Message, cut_at};
use crate::text::{one_line, truncate};
use crate::tr;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Where the log-likelihood of a choice comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The server repeats prompt and choice with the log-probability of every token (`echo`): exact for any choice.
    Echo,
    /// The server lists so many likeliest next tokens: exact for choices of one token that are among them.
    Likeliest(usize),
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Method::Echo => write!(f, "echo"),
            Method::Likeliest(n) => write!(f, "likeliest {n}"),
        }
    }
}

/// Lengths of the list of likeliest tokens that are asked for, until one is granted. OpenAI grants 5, vLLM 20 unless told otherwise.
const LISTS: [usize; 4] = [1000, 100, 20, 5];

/// Texts on which a server shows whether its echoed log-probabilities are those of the tokens beside them.
const TRIALS: [&str; 3] = ["The capital of France is", "1, 2, 3, 4,", "床前明月光，"];

/// How far the two log-probabilities of a token may be apart, which a server computes in passes of different shape, perhaps in 8 bits.
const NOISE: f64 = 0.25;

/// A model of an OpenAI-compatible server.
#[derive(Clone)]
pub struct RemoteModel {
    client: Arc<Client>,
    method: Option<Method>,
    conversations: bool,
    /// Tokens that the server says it read.
    read: Arc<AtomicU64>,
}

impl RemoteModel {
    /// How the server is treated.
    pub fn options(&self) -> &Options {
        &self.client.options
    }

    /// Looks whether the server at `spec` is there and has the model.
    ///
    /// # Errors
    /// `InvalidInput` for what is no address, `Network` when there is no server or it wants another key, `NotFound`
    /// when it has no such model, naming those it has.
    pub fn connect(spec: &str, options: Options) -> Result<RemoteModel> {
        let address = Address::parse(spec)?;
        let client = Client::new(address, options);
        // The protocol's list of models is not offered by every server; then the first request will tell.
        match client.get("models") {
            Ok(list) => check_name(&client.address, &list)?,
            Err(error) if error.kind == Kind::NotFound && !client.address.name.is_empty() => {}
            Err(error) => return Err(error),
        }
        Ok(RemoteModel { client: Arc::new(client), method: None, conversations: false, read: Arc::default() })
    }

    /// The server and the model's name there, which is all that identifies it: a server shows no weights to be hashed.
    pub fn identity(&self) -> String {
        match self.method {
            Some(method @ Method::Likeliest(_)) => format!("{} ({method})", self.client.address),
            _ => self.client.address.to_string(),
        }
    }

    /// The address, as it is stored and shown.
    pub fn name(&self) -> String {
        self.client.address.to_string()
    }

    /// The same model, asked in conversations (the protocol's chat completions) or in plain text. A prompt is then the
    /// list of messages as JSON.
    #[must_use]
    pub fn asked_in_conversations(mut self, yes: bool) -> RemoteModel {
        self.conversations = yes;
        self
    }

    /// Finds out how the server gives log-likelihoods, and gives the model that asks for them so. Echoed values
    /// are believed only when they agree with those of the same tokens as the server generates them: some
    /// servers show each token with the log-probability of its neighbour.
    ///
    /// # Errors
    /// `Unsupported` when it gives none; those of the requests.
    pub fn prepared_to_score(mut self, cancel: &CancelToken) -> Result<RemoteModel> {
        let agreed = pool::all(&self.client, TRIALS.to_vec(), trial, &mut |_, _| {}, cancel)?;
        self.method = Some(if agreed.iter().all(|a| *a != Some(false)) && agreed.contains(&Some(true)) {
            Method::Echo
        } else {
            self.list_of_likeliest(cancel)?
        });
        Ok(self)
    }

    /// How log-likelihoods are asked for; `None` before [`RemoteModel::prepared_to_score`].
    pub fn method(&self) -> Option<Method> {
        self.method
    }

    fn list_of_likeliest(&self, cancel: &CancelToken) -> Result<Method> {
        let list = |client: &Client, n: &usize, stop: &AtomicBool| -> Result<bool> {
            let body = json!({"model": client.address.name, "prompt": TRIALS[0], "max_tokens": 1, "temperature": 0, "logprobs": n});
            match client.post("completions", &body, stop) {
                Ok(answer) => Ok(echo::lists_likeliest(&answer)),
                Err(error) if error.kind == Kind::InvalidInput => Ok(false),
                Err(error) => Err(error),
            }
        };
        for n in LISTS {
            if pool::all(&self.client, vec![n], list, &mut |_, _| {}, cancel)?.contains(&true) {
                return Ok(Method::Likeliest(n));
            }
        }
        let base = &self.client.address.base;
        Err(Error::new(
            Kind::Unsupported,
            tr!("{base} gives no usable log-probabilities", "{base} 没有提供可用的对数概率"),
        )
        .hint(tr!(
            "vLLM, SGLang and `python -m llama_cpp.server --logits_all true` do; or let it write its answer: --mode generate",
            "vLLM、SGLang 与 `python -m llama_cpp.server --logits_all true` 可以提供；也可让它写出答案：--mode generate"
        )))
    }
}

/// Whether the server's list of models has the one that is meant.
fn check_name(address: &Address, list: &Value) -> Result<()> {
    let models = list.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> = models.iter().filter_map(|m| m.get("id").and_then(Value::as_str)).collect();
    // A list without a name is no list; the first request will tell.
    if names.contains(&address.name.as_str()) || names.is_empty() && !address.name.is_empty() {
        return Ok(());
    }
    let base = &address.base;
    let shown = address.name.escape_debug();
    let known = truncate(&one_line(&names.join(", ")), 400);
    Err(if address.name.is_empty() {
        Error::new(Kind::InvalidInput, tr!("{base}: which model is meant?", "{base}：没有指明模型"))
    } else {
        Error::new(Kind::NotFound, tr!("{base} has no model `{shown}`", "{base} 没有模型 `{shown}`"))
    }
    .hint(tr!("write {base}#NAME; it has: {known}", "请写成 {base}#模型名；该服务器有：{known}")))
}

/// Whether the echoed log-probability of a generated token is the one it was generated with; `None` when the model
/// ends there or writes half a character.
fn trial(client: &Client, text: &&str, stop: &AtomicBool) -> Result<Option<bool>> {
    let body = json!({"model": client.address.name, "prompt": text, "max_tokens": 1, "temperature": 0, "logprobs": 1});
    let answer = match client.post("completions", &body, stop) {
        // A server that refuses log-probabilities as such.
        Err(error) if error.kind == Kind::InvalidInput => return Ok(Some(false)),
        other => other?,
    };
    let Some((token, expected)) = echo::generated(&answer) else { return Ok(None) };
    let written = echo::choice(&answer).and_then(|c| c.get("text")).and_then(Value::as_str).unwrap_or_default();
    // Some servers show a token without the blank before it.
    if token.trim().is_empty() || token.contains('\u{fffd}') || written.trim() != token.trim() {
        return Ok(None);
    }
    match echoed(client, text, written, &AtomicU64::new(0), stop) {
        Ok(found) => Ok(Some(found.is_ok_and(|value| (value - expected).abs() <= NOISE))),
        Err(error) if error.kind == Kind::InvalidInput => Ok(Some(false)),
        Err(error) => Err(error),
    }
}

/// The log-likelihood of `choice` after `context`, by echo.
fn echoed(
    client: &Client,
    context: &str,
    choice: &str,
    read: &AtomicU64,
    stop: &AtomicBool,
) -> Result<Result<f64, Unusable>> {
    let prompt = format!("{context}{choice}");
    // One token and not none: several servers take 0 for "until the context is full", others refuse it.
    let body = json!({"model": client.address.name, "prompt": prompt, "max_tokens": 1, "temperature": 0, "echo": true, "logprobs": 1});
    let answer = client.post("completions", &body, stop)?;
    count(&answer, read);
    Ok(echo::continuation(&answer, &prompt, choice.len()))
}

fn count(answer: &Value, read: &AtomicU64) {
    let tokens = answer.pointer("/usage/prompt_tokens").and_then(Value::as_u64).unwrap_or(0);
    read.fetch_add(tokens, Ordering::Relaxed);
}

/// A context with the choices that one job scores, and the place of its request.
struct Scoring {
    request: usize,
    context: String,
    choices: Vec<String>,
    method: Method,
    read: Arc<AtomicU64>,
}

fn score(client: &Client, job: &Scoring, stop: &AtomicBool) -> Result<Vec<f64>> {
    let n = match job.method {
        Method::Echo => {
            return job
                .choices
                .iter()
                .map(|choice| {
                    echoed(client, &job.context, choice, &job.read, stop)?.map_err(|why| unusable(client, why, choice))
                })
                .collect();
        }
        Method::Likeliest(n) => n,
    };
    let body =
        json!({"model": client.address.name, "prompt": job.context, "max_tokens": 1, "temperature": 0, "logprobs": n});
    let answer = client.post("completions", &body, stop)?;
    count(&answer, &job.read);
    job.choices
        .iter()
        .map(|choice| echo::among_likeliest(&answer, choice).ok_or_else(|| not_listed(client, choice, n)))
        .collect()
}

fn unusable(client: &Client, why: Unusable, choice: &str) -> Error {
    let (base, choice) = (&client.address.base, truncate(&one_line(choice), 60));
    match why {
        Unusable::Missing => Error::new(
            Kind::Unsupported,
            tr!("{base} gave no log-probabilities for `{choice}`", "{base} 没有给出 `{choice}` 的对数概率"),
        ),
        Unusable::Unaligned => Error::new(
            Kind::Corrupt,
            tr!(
                "{base}: it cannot be told which of the server's tokens are the choice `{choice}`",
                "{base}：无法确定服务器的哪些词元属于选项 `{choice}`"
            ),
        ),
    }
    .hint(tr!("let the server write its answer: --mode generate", "可让服务器写出答案：--mode generate"))
}

fn not_listed(client: &Client, choice: &str, n: usize) -> Error {
    let (base, choice) = (&client.address.base, truncate(&one_line(choice), 60));
    Error::new(
        Kind::Unsupported,
        tr!(
            "{base} does not echo prompts, and `{choice}` is not among its {n} likeliest next tokens",
            "{base} 不支持 echo，且 `{choice}` 不在最可能的 {n} 个词元之中"
        ),
    )
    .hint(tr!(
        "more --shots make the form of the answer clear; or let the server write it: --mode generate",
        "增加 --shots 可使答案形式更明确；也可让服务器写出答案：--mode generate"
    ))
}

/// A prompt with what its answer is drawn by.
struct Writing {
    path: &'static str,
    body: Value,
    /// Texts that end the answer. A server may know only four of them, so the answer is cut here too.
    stop: Vec<String>,
    read: Arc<AtomicU64>,
}

/// Texts that end an answer which the protocol grants.
const STOPS: usize = 4;

fn write(client: &Client, job: &Writing, stop: &AtomicBool) -> Result<(String, bool)> {
    let answer = client.post(job.path, &job.body, stop)?;
    count(&answer, &job.read);
    let choice = echo::choice(&answer);
    // An empty answer may be null.
    let text = choice.and_then(|c| c.pointer("/message/content").or_else(|| c.get("text")));
    let Some(text) = text.filter(|t| t.is_string() || t.is_null()) else {
        let base = &client.address.base;
        return Err(Error::new(Kind::Corrupt, tr!("{base}: an answer without text", "{base}：返回内容没有文本"))
            .hint(tr!("is it an OpenAI-compatible server?", "它是 OpenAI 兼容的服务器吗？")));
    };
    let stopped = choice.and_then(|c| c.get("finish_reason")).and_then(Value::as_str) == Some("stop");
    let whole = text.as_str().unwrap_or_default();
    let text = cut_at(whole.to_owned(), &job.stop);
    let stopped = stopped || text.len() < whole.len();
    Ok((text, stopped))
}

impl RemoteModel {
    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Path and body of the request for an answer to `prompt`, and the texts that end it.
    pub(super) fn asked(&self, prompt: &[u32], sampling: &Sampling) -> Result<(&'static str, Value, Vec<String>)> {
        let Writing { path, body, stop, .. } = self.writing(prompt, 0, sampling)?;
        Ok((path, body, stop))
    }

    fn writing(&self, prompt: &[u32], place: usize, sampling: &Sampling) -> Result<Writing> {
        let text = PlainText::text(prompt);
        let mut body = json!({"model": self.client.address.name, "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature});
        if sampling.temperature > 0.0 {
            body["top_p"] = json!(sampling.top_p);
            // Every prompt draws for itself, whatever order the requests arrive in.
            body["seed"] = json!(sampling.seed.wrapping_add(place as u64) & i64::MAX as u64);
        }
        let stop: Vec<String> = sampling.stop.iter().filter(|s| !s.is_empty()).cloned().collect();
        if !stop.is_empty() {
            body["stop"] = json!(&stop[..stop.len().min(STOPS)]);
        }
        let path = if self.conversations {
            let messages: Vec<Message> = serde_json::from_str(&text).map_err(|e| Error::internal(e.to_string()))?;
            body["messages"] = serde_json::to_value(messages).map_err(|e| Error::internal(e.to_string()))?;
            "chat/completions"
        } else {
            body["prompt"] = json!(text);
            "completions"
        };
        Ok(Writing { path, body, stop, read: Arc::clone(&self.read) })
    }
}

impl LanguageModel for RemoteModel {
    fn loglikelihoods(
        &self,
        requests: &[ScoreRequest],
        done: &mut dyn FnMut(usize),
        cancel: &CancelToken,
    ) -> Result<Vec<Vec<f64>>> {
        let Some(method) = self.method.filter(|_| !self.conversations) else {
            return Err(Error::new(
                Kind::Unsupported,
                tr!("a server's chat gives no log-likelihoods", "服务器的对话接口不提供对数似然"),
            )
            .hint(tr!(
                "ask in plain text (--template none), or let the server write its answer (--mode generate)",
                "请用纯文本提问（--template none），或让服务器写出答案（--mode generate）"
            )));
        };
        let mut jobs = Vec::new();
        for (place, request) in requests.iter().enumerate() {
            let choices: Vec<String> = request.continuations.iter().map(|c| PlainText::text(c)).collect();
            // An echo is one request per choice, so each is a job of its own.
            let per_job = if method == Method::Echo { 1 } else { choices.len().max(1) };
            jobs.extend(choices.chunks(per_job).map(|choices| Scoring {
                request: place,
                context: PlainText::text(&request.context),
                choices: choices.to_vec(),
                method,
                read: Arc::clone(&self.read),
            }));
        }
        let owners: Vec<usize> = jobs.iter().map(|job| job.request).collect();
        let mut left: Vec<usize> = requests.iter().map(|r| r.continuations.len()).collect();
        let mut finished = left.iter().filter(|n| **n == 0).count();
        let scores = pool::all(
            &self.client,
            jobs,
            score,
            &mut |place, scores: &Vec<f64>| {
                let left = &mut left[owners[place]];
                *left -= scores.len();
                if *left == 0 {
                    finished += 1;
                    done(finished);
                }
            },
            cancel,
        )?;
        let mut results: Vec<Vec<f64>> = requests.iter().map(|_| Vec::new()).collect();
        for (owner, scores) in owners.into_iter().zip(scores) {
            results[owner].extend(scores);
        }
        Ok(results)
    }

    fn generate(
        &self,
        prompts: &[Vec<u32>],
        sampling: &Sampling,
        on_token: &mut dyn FnMut(usize, u32),
        cancel: &CancelToken,
    ) -> Result<Vec<Generation>> {
        let jobs = prompts.iter().enumerate().map(|(i, p)| self.writing(p, i, sampling)).collect::<Result<Vec<_>>>()?;
        let mut heard = |place: usize, (text, _): &(String, bool)| {
            for id in PlainText::ids(text) {
                on_token(place, id);
            }
        };
        let answers = pool::all(&self.client, jobs, write, &mut heard, cancel)?;
        Ok(answers.into_iter().map(|(text, stopped)| Generation { tokens: PlainText::ids(&text), stopped }).collect())
    }

    fn prefilled(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// A failed request loses what was asked with it, so little is asked at once; enough to keep every connection busy.
    fn batch(&self) -> usize {
        (2 * self.client.options.concurrency).clamp(8, 64)
    }
}
