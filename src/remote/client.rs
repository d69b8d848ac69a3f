//! Requests to the server: patience with one that is busy or breaks off, none with one that refuses.

use super::address::Address;
use crate::error::{Error, Kind, Result};
use crate::text::{one_line, truncate};
use crate::tr;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How a server is treated.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Requests under way at once.
    pub concurrency: usize,
    /// Most requests a minute; `None` for as many as it takes.
    pub per_minute: Option<u32>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often a request that failed for a passing reason is sent again.
    pub retries: u32,
    /// The wait before the first repetition; it doubles with each.
    pub backoff: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            concurrency: 4,
            per_minute: None,
            timeout: Duration::from_secs(120),
            retries: 5,
            backoff: Duration::from_millis(500),
        }
    }
}

/// Waits do not grow beyond this.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// A server that asks for a longer wait has a quota that is used up: waiting for it is the user's decision.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// How soon a wait hears that it is no longer wanted.
const TICK: Duration = Duration::from_millis(20);
/// The longest answer that is read: a prompt's tokens with their probabilities are far smaller.
const LONGEST_ANSWER: u64 = 64 << 20;
/// Columns of what the server says that are passed on.
const LONGEST_QUOTE: usize = 300;

/// A key, which neither `Debug` nor anything else shows.
struct Key(String);

/// A connection to one server.
pub(super) struct Client {
    agent: ureq::Agent,
    pub(super) address: Address,
    key: Option<Key>,
    pub(super) options: Options,
    /// When the next request may leave.
    next: Mutex<Instant>,
}

/// How one attempt ended.
enum Attempt<T> {
    Done(T),
    /// It may go better the next time, after the wait that the server asks for.
    Again(String, Option<Duration>),
}

type Response = ureq::http::Response<ureq::Body>;

impl Client {
    pub(super) fn new(address: Address, options: Options) -> Client {
        let proxy = if address.is_here() { None } else { ureq::Proxy::try_from_env() };
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(options.timeout))
            .http_status_as_error(false)
            // A redirected POST loses its body; and the key is for this address alone.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("linly-bench/", env!("CARGO_PKG_VERSION")))
            .proxy(proxy)
            .build();
        let key = key(&address);
        Client { agent: config.into(), address, key, options, next: Mutex::new(Instant::now()) }
    }

    /// The answer to `GET path`, tried once: a server that is not there is reported at once.
    pub(super) fn get(&self, path: &str) -> Result<Value> {
        match self.attempt(path, None)? {
            Attempt::Done(value) => Ok(value),
            Attempt::Again(why, _) => Err(self.unreachable(&why)),
        }
    }

    /// The answer to `POST path`, repeated while there is hope and `stop` is not set.
    pub(super) fn post(&self, path: &str, body: &Value, stop: &AtomicBool) -> Result<Value> {
        self.patiently(stop, || self.attempt(path, Some(body)))
    }

    /// What `attempt` gives in the end.
    fn patiently<T>(&self, stop: &AtomicBool, attempt: impl Fn() -> Result<Attempt<T>>) -> Result<T> {
        let mut tries = 0;
        loop {
            self.wait_for_turn(stop)?;
            let (why, asked) = match attempt()? {
                Attempt::Done(value) => return Ok(value),
                Attempt::Again(why, asked) => (why, asked),
            };
            tries += 1;
            if tries > self.options.retries {
                return Err(self.gave_up(&why, tries));
            }
            let wait = asked.unwrap_or_else(|| self.backoff(tries));
            if wait > LONGEST_WAIT {
                return Err(self.gave_up(&why, tries));
            }
            pause(wait, stop)?;
        }
    }

    /// Half of a doubling wait is certain, half is drawn, so that requests which failed together do not return together.
    fn backoff(&self, tries: u32) -> Duration {
        let full = self.options.backoff.saturating_mul(1 << (tries - 1).min(16)).min(LONGEST_BACKOFF);
        full.mul_f64(0.5 + 0.5 * rand::random::<f64>())
    }

    /// Waits until the rate limit lets another request leave.
    fn wait_for_turn(&self, stop: &AtomicBool) -> Result<()> {
        let Some(per_minute) = self.options.per_minute else { return Ok(()) };
        let turn = {
            let mut next = self.next.lock().map_err(|_| Error::internal("a request's thread failed"))?;
            let turn = (*next).max(Instant::now());
            *next = turn + Duration::from_secs(60) / per_minute.max(1);
            turn
        };
        pause(turn.saturating_duration_since(Instant::now()), stop)
    }

    fn attempt(&self, path: &str, body: Option<&Value>) -> Result<Attempt<Value>> {
        Ok(match self.open(path, body, false)? {
            Attempt::Again(why, wait) => Attempt::Again(why, wait),
            Attempt::Done(response) => {
                let wait = retry_after_of(&response);
                match read_all(response) {
                    Ok(text) => match serde_json::from_str::<Value>(&text) {
                        Ok(value) => Attempt::Done(value),
                        Err(error) => {
                            Attempt::Again(tr!("the answer is no JSON ({error})", "返回内容不是 JSON（{error}）"), wait)
                        }
                    },
                    Err(error) => Attempt::Again(self.broke_off(&error), wait),
                }
            }
        })
    }

    /// Sends a request and looks at the status of what comes. Of an answer `in_pieces` each piece, not the whole, may take
    /// as long as a request.
    fn open(&self, path: &str, body: Option<&Value>, in_pieces: bool) -> Result<Attempt<Response>> {
        let url = format!("{}/{path}", self.address.base);
        let authorization = self.key.as_ref().map(|key| format!("Bearer {}", key.0));
        let sent = match body {
            None => {
                let mut request = self.agent.get(&url);
                if let Some(value) = &authorization {
                    request = request.header("authorization", value);
                }
                request.call()
            }
            Some(body) => {
                let mut request = self.agent.post(&url).content_type("application/json");
                if let Some(value) = &authorization {
                    request = request.header("authorization", value);
                }
                if in_pieces {
                    let patience = Some(self.options.timeout);
                    request = request.config().timeout_global(None).timeout_per_read(patience).build();
                }
                request.send(body.to_string())
            }
        };
        let response = match sent {
            Ok(response) => response,
            Err(error) => return Ok(Attempt::Again(self.quote(&error.to_string()), None)),
        };
        let status = response.status().as_u16();
        if (200..=299).contains(&status) {
            return Ok(Attempt::Done(response));
        }
        let place = response.headers().get("location").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let wait = retry_after_of(&response);
        let text = match read_all(response) {
            Ok(text) => text,
            Err(error) => return Ok(Attempt::Again(self.broke_off(&error), wait)),
        };
        match status {
            408 | 425 | 429 | 500 | 502..=599 if !refuses_as_fault(status, &text) => {
                Ok(Attempt::Again(format!("HTTP {status}: {}", self.quote(&message(&text))), wait))
            }
            _ => Err(self.refused(&url, status, &self.quote(&message(&text)), place.as_deref())),
        }
    }

    fn broke_off(&self, error: &str) -> String {
        let error = self.quote(error);
        tr!("the answer broke off: {error}", "返回内容中断：{error}")
    }

    /// `POST path` with an answer in server-sent events: `heard` gets the JSON of each until it has enough. Repeated like
    /// [`Client::post`] while nothing was heard yet; an answer that was begun is not begun again.
    pub(super) fn stream(
        &self,
        path: &str,
        body: &Value,
        stop: &AtomicBool,
        heard: &mut dyn FnMut(Value) -> ControlFlow<()>,
    ) -> Result<()> {
        let response = self.patiently(stop, || self.open(path, Some(body), true))?;
        let mut lines = BufReader::new(response.into_body().into_reader());
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = lines.by_ref().take(LONGEST_ANSWER).read_until(b'\n', &mut line);
            let read = read.map_err(|e| self.gave_up(&self.broke_off(&e.to_string()), 1))?;
            let text = String::from_utf8_lossy(&line);
            let Some(data) = text.trim_end().strip_prefix("data:").map(str::trim_start) else {
                // Comments, names of events, empty lines; and the end, which some servers do not announce.
                if read == 0 {
                    return Ok(());
                }
                continue;
            };
            if data == "[DONE]" {
                return Ok(());
            }
            let value = serde_json::from_str::<Value>(data)
                .map_err(|e| self.gave_up(&tr!("an event is no JSON ({e})", "事件不是 JSON（{e}）"), 1))?;
            if value.get("error").is_some_and(|e| !e.is_null()) {
                return Err(self.gave_up(&self.quote(&message(data)), 1));
            }
            if heard(value).is_break() {
                return Ok(());
            }
        }
    }

    /// What the server says, fit to be shown: on one line, not too long, and without the key, which some servers quote.
    fn quote(&self, text: &str) -> String {
        let text = match &self.key {
            Some(key) => text.replace(&key.0, "***"),
            None => text.to_owned(),
        };
        truncate(&one_line(&text), LONGEST_QUOTE)
    }

    fn refused(&self, url: &str, status: u16, said: &str, place: Option<&str>) -> Error {
        let base = &self.address.base;
        match status {
            401 | 403 => Error::new(
                Kind::Network,
                tr!("{base}: access denied (HTTP {status}): {said}", "{base}：拒绝访问（HTTP {status}）：{said}"),
            )
            .hint(match (&self.key, self.address.is_private()) {
                (None, false) => tr!(
                    "set LINLY_BENCH_API_KEY (OPENAI_API_KEY is not sent to another machine without https)",
                    "请设置 LINLY_BENCH_API_KEY（不用 https 时不会把 OPENAI_API_KEY 发给其他机器）"
                ),
                (None, true) => tr!(
                    "set the key in LINLY_BENCH_API_KEY or OPENAI_API_KEY",
                    "请在 LINLY_BENCH_API_KEY 或 OPENAI_API_KEY 中设置密钥"
                ),
                (Some(_), _) => tr!(
                    "the key in LINLY_BENCH_API_KEY (or OPENAI_API_KEY) is not accepted there",
                    "LINLY_BENCH_API_KEY（或 OPENAI_API_KEY）中的密钥未被接受"
                ),
            }),
            300..=399 => {
                let place = self.quote(place.unwrap_or("?"));
                Error::new(Kind::Network, tr!("{url}: redirects to {place}", "{url}：重定向到 {place}"))
                    .hint(tr!("give that address with --model", "请在 --model 中使用该地址"))
            }
            404 => Error::new(Kind::NotFound, tr!("{url}: HTTP 404: {said}", "{url}：HTTP 404：{said}")).hint(tr!(
                "check the path (often /v1) and the model's name after #",
                "请检查路径（通常为 /v1）以及 # 后的模型名"
            )),
            _ => Error::new(
                Kind::InvalidInput,
                tr!("{url}: refused (HTTP {status}): {said}", "{url}：被拒绝（HTTP {status}）：{said}"),
            )
            .hint(tr!(
                "when the prompt is too long, use fewer --shots or start the server with a longer context",
                "若提示过长，请减少 --shots，或以更长的上下文启动服务器"
            )),
        }
    }

    fn unreachable(&self, why: &str) -> Error {
        let base = &self.address.base;
        Error::new(Kind::Network, tr!("{base} cannot be reached: {why}", "无法连接 {base}：{why}")).hint(tr!(
            "start the server, and check host, port and path; a proxy of the environment is used for other machines",
            "请启动服务器，并检查主机、端口与路径；访问其他机器时会使用环境中的代理"
        ))
    }

    fn gave_up(&self, why: &str, tries: u32) -> Error {
        let base = &self.address.base;
        Error::new(
            Kind::Network,
            tr!("{base}: {why}; given up after {tries} attempts", "{base}：{why}；尝试 {tries} 次后放弃"),
        )
        .hint(tr!(
            "look at the server's log; fewer requests at once (--concurrency, --rate-limit) or more patience (--timeout, --retries) may help",
            "请查看服务器日志；可减少并发（--concurrency、--rate-limit），或放宽限制（--timeout、--retries）"
        ))
    }
}

/// The key for `address`. The one that is meant for this program goes wherever it is told to; the one that other
/// programs share goes to nobody in clear text over a network.
fn key(address: &Address) -> Option<Key> {
    let of = |name: &str| std::env::var(name).ok().map(|k| k.trim().to_owned()).filter(|k| !k.is_empty());
    let shared = || of("OPENAI_API_KEY").filter(|_| address.is_private());
    of("LINLY_BENCH_API_KEY").or_else(shared).map(Key)
}

/// Waits for `duration`, unless `stop` is set.
fn pause(duration: Duration, stop: &AtomicBool) -> Result<()> {
    let end = Instant::now() + duration;
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::new(Kind::Interrupted, tr!("interrupted", "已中断")));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(TICK));
    }
}

/// The server's own words in a failed answer: the protocol's `error.message`, FastAPI's `detail`, or the text itself.
fn message(text: &str) -> String {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let said =
        ["/error/message", "/message", "/detail", "/error"].iter().find_map(|path| value.pointer(path)?.as_str());
    said.map_or_else(|| text.to_owned(), str::to_owned)
}

/// Whether a server that fails (500) in truth refuses a part of the request, which llama-server and llama-cpp-python do.
fn refuses_as_fault(status: u16, text: &str) -> bool {
    status == 500 && ["echo", "logprobs"].iter().any(|part| message(text).contains(part))
}

/// The whole body, or why it ends too early.
fn read_all(mut response: Response) -> Result<String, String> {
    match response.body_mut().with_config().limit(LONGEST_ANSWER).read_to_vec() {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The wait that a response asks for.
fn retry_after_of(response: &Response) -> Option<Duration> {
    response.headers().get("retry-after").and_then(|v| v.to_str().ok()).and_then(retry_after)
}

/// The wait of a `Retry-After` header: seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = time::OffsetDateTime::parse(value.trim(), &time::format_description::well_known::Rfc2822).ok()?;
    Some((date - time::OffsetDateTime::now_utc()).try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_retry_after_are_read() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(retry_after("Fri, 31 Dec 2286 23:59:59 GMT").is_some_and(|d| d > LONGEST_WAIT));
        assert_eq!(retry_after("-1"), None);
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn the_servers_words_are_found() {
        assert_eq!(message(r#"{"error": {"message": "no such model"}}"#), "no such model");
        assert_eq!(message(r#"{"object": "error", "message": "too long"}"#), "too long");
        assert_eq!(message(r#"{"detail": "nope"}"#), "nope");
        assert_eq!(message("<html>502</html>"), "<html>502</html>");
    }
}
