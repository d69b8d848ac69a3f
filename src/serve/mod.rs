//! An HTTP server: the models of this machine for programs that speak OpenAI's protocol, and the arena as a web page.
//!
//! A connection has a thread, which reads requests ([`http`]), lets them in or not ([`guard`]), and writes answers; the
//! models are asked through one scheduler ([`crate::infer::Scheduler`]), so that requests share the machine fairly and
//! the weights are read once for all answers that are being written.

mod arena;
mod chat;
mod completions;
mod fields;
mod guard;
mod http;
mod models;
mod page;
mod refusal;
mod reply;
mod stream;

use crate::error::{Error, Kind, Result};
use crate::infer::Scheduler;
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::prompt::Template;
use crate::tr;
use crate::workbench::{LoadedAdapter, LoadedModel, Workbench};
use arena::Arena;
use guard::Guard;
use http::{Connection, Malformed, Request};
use models::Models;
use refusal::Refusal;
use reply::Broken;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How the server is to be reached, and how much it does at once.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address or name to listen on.
    pub host: String,
    /// Port; 0 for any free one.
    pub port: u16,
    /// Key that every request must bring.
    pub key: Option<String>,
    /// Answers that are worked on at once; others wait.
    pub places: usize,
    /// Arena that the web page plays in.
    pub arena: String,
}

/// Most connections at once.
const MOST_CONNECTIONS: usize = 128;
/// Bytes kept of what finished answers have read: a conversation goes on without being read again.
const KEPT: usize = 512 << 20;
/// How long the end waits for answers to be told that it is the end.
const FAREWELL: Duration = Duration::from_secs(3);

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What all connections share.
pub(crate) struct Shared {
    models: Models,
    scheduler: Scheduler,
    guard: Guard,
    bench: Workbench,
    arena: Arena,
    log: Arc<dyn EventSink>,
    closing: CancelToken,
    connections: AtomicUsize,
    numbers: AtomicU64,
}

impl Shared {
    /// A number that was not given before.
    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// An id for an answer.
    fn id(&self, kind: &str) -> String {
        format!("{kind}-{:x}-{}", unix_seconds(), self.number())
    }

    fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// A line for whoever runs the server.
    fn say(&self, line: &str) {
        self.log.emit(&JobEvent::Log { message: line.to_owned() });
    }
}

impl Server {
    /// Listens. `base` is served under its name, each of `adapters` under its own; `template` stands in place of theirs.
    ///
    /// # Errors
    /// `Usage` for a public address without a key and for adapters of the same name, `Io` when the port is taken, those
    /// of the engines.
    pub fn bind(
        bench: Workbench,
        base: &LoadedModel,
        adapters: &[LoadedAdapter],
        template: Option<Template>,
        options: Options,
        log: Arc<dyn EventSink>,
    ) -> Result<Server> {
        let Options { host, port, key, places, arena } = options;
        let here = host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !here && key.is_none() {
            return Err(Error::new(
                Kind::Usage,
                tr!(
                    "{host} can be reached from other machines, and there is no key",
                    "{host} 可被其他机器访问，却没有设置密钥"
                ),
            )
            .hint(tr!(
                "set one in LINLY_BENCH_SERVE_KEY (or --api-key), or leave --host out to serve this machine alone",
                "请在 LINLY_BENCH_SERVE_KEY（或 --api-key）中设置密钥；或去掉 --host，只服务本机"
            )));
        }
        let models = Models::new(base, adapters, template)?;
        let in_use = |e: std::io::Error| {
            Error::new(Kind::Io, tr!("cannot listen on {host}:{port}: {e}", "无法监听 {host}:{port}：{e}"))
                .hint(tr!("choose another --port (0 takes any free one)", "请换一个 --port（0 表示任一空闲端口）"))
        };
        let listener = TcpListener::bind((host.as_str(), port)).map_err(in_use)?;
        let address = listener.local_addr().map_err(in_use)?;
        let shared = Arc::new(Shared {
            models,
            scheduler: Scheduler::start(places, KEPT)?,
            guard: Guard { host: host.clone(), key },
            arena: Arena::new(arena),
            bench,
            log,
            closing: CancelToken::default(),
            connections: AtomicUsize::new(0),
            numbers: AtomicU64::new(1),
        });
        Ok(Server { listener, address, shared })
    }

    /// Where it listens, as a browser wants it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Names of what is served, the base first.
    pub fn models(&self) -> Vec<String> {
        self.shared.models.all().iter().map(|m| m.id.clone()).collect()
    }

    /// Serves until `cancel` is set; answers under way are then broken off, and their clients told.
    ///
    /// # Errors
    /// `Internal` when the system gives no thread; those of the store at the end.
    pub fn run(self, cancel: &CancelToken) -> Result<()> {
        let Server { listener, shared, .. } = self;
        let accepting = Arc::clone(&shared);
        // Left behind at the end: nothing but a connection wakes it.
        std::thread::Builder::new()
            .spawn(move || accept(&listener, &accepting))
            .map_err(|e| Error::internal(e.to_string()))?;
        while !cancel.is_cancelled() {
            std::thread::sleep(Duration::from_millis(50));
        }
        shared.closing.cancel();
        let deadline = Instant::now() + FAREWELL;
        while shared.connections.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        shared.arena.close(&shared.bench)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.is_closing() {
            return;
        }
        let Ok(stream) = stream else {
            // No more file descriptors: they come back when connections end.
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        let before = shared.connections.fetch_add(1, Ordering::Relaxed);
        let mine = Arc::clone(shared);
        let spawned = std::thread::Builder::new().spawn(move || {
            let counted = Counted(&mine.connections);
            converse(&mine, stream, before >= MOST_CONNECTIONS);
            drop(counted);
        });
        if spawned.is_err() {
            shared.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A connection that counts as one until it is dropped.
struct Counted<'c>(&'c AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers the requests of one connection.
fn converse(shared: &Shared, stream: TcpStream, too_many: bool) {
    let Ok(mut connection) = Connection::new(stream) else { return };
    if too_many {
        refuse(&mut connection, &Refusal::new(503, "too many connections"));
        return;
    }
    loop {
        let request = match connection.request(&|| shared.is_closing()) {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(Malformed(status, why)) => {
                refuse(&mut connection, &Refusal::new(status, why));
                return;
            }
        };
        let started = Instant::now();
        let status = match route(shared, &mut connection, &request) {
            Ok(()) => "200".to_owned(),
            Err(Broken::Refused(refusal)) => {
                refuse(&mut connection, &refusal);
                refusal.status.to_string()
            }
            Err(Broken::Gone) if shared.is_closing() => {
                refuse(&mut connection, &Refusal::new(503, "the server is shutting down"));
                return;
            }
            Err(Broken::Gone) => tr!("client gone", "客户端已断开"),
        };
        let (method, path, seconds) = (&request.method, &request.path, started.elapsed().as_secs_f64());
        shared.say(&format!("{method} {path} {status} {seconds:.2} s"));
        if status.parse::<u16>().is_err() {
            return;
        }
    }
}

fn route(shared: &Shared, connection: &mut Connection, request: &Request) -> Result<(), Broken> {
    shared.guard.check_site(request)?;
    let get = request.method == "GET";
    // The page holds nothing secret; it asks for the key that its requests need.
    match (request.path.as_str(), get) {
        ("/", true) => {
            page::send(connection);
            return Ok(());
        }
        ("/health", true) => {
            send_json(connection, 200, &json!({"status": "ok"}));
            return Ok(());
        }
        _ => shared.guard.check_key(request)?,
    }
    let post = request.method == "POST";
    match (request.path.as_str(), get, post) {
        ("/v1/models", true, _) => {
            let models: Vec<Value> = shared.models.all().iter().map(|m| entry(&m.id, &m.label)).collect();
            send_json(connection, 200, &json!({"object": "list", "data": models}));
            Ok(())
        }
        ("/v1/completions", _, true) => completions::answer(shared, connection, &request.body),
        ("/v1/chat/completions", _, true) => chat::answer(shared, connection, &request.body),
        ("/arena/state", true, _) => arena::state(shared, connection),
        ("/arena/question", true, _) => arena::question(shared, connection),
        ("/arena/ratings", true, _) => arena::ratings(shared, connection),
        ("/arena/battle", _, true) => arena::battle(shared, connection, &request.body),
        ("/arena/vote", _, true) => arena::vote(shared, connection, &request.body),
        (path, true, _) if path.starts_with("/v1/models/") => {
            let model = shared.models.find(path.trim_start_matches("/v1/models/"))?;
            send_json(connection, 200, &entry(&model.id, &model.label));
            Ok(())
        }
        ("/v1/models" | "/v1/completions" | "/v1/chat/completions" | "/health" | "/", ..) => {
            Err(Refusal::new(405, "this method is not allowed here").into())
        }
        (path, ..) => Err(Refusal::new(404, format!("there is nothing at {path}")).into()),
    }
}

/// A model in the list of models; `root` is what it is called in scores and in the arena.
fn entry(id: &str, label: &str) -> Value {
    json!({"id": id, "object": "model", "created": 0, "owned_by": "linly-bench", "root": label})
}

fn refuse(connection: &mut Connection, refusal: &Refusal) {
    send_json(connection, refusal.status, &refusal.body());
}

fn send_json(connection: &mut Connection, status: u16, value: &Value) {
    let extra = match status {
        429 | 503 => "Retry-After: 1\r\n",
        401 => "WWW-Authenticate: Bearer\r\n",
        _ => "",
    };
    connection.answer(status, "application/json; charset=utf-8", extra, value.to_string().as_bytes());
}

/// Reads a body.
///
/// # Errors
/// 400 that says where it is wrong.
fn read_json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|e| Refusal::new(400, format!("the body cannot be read: {e}")))
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
