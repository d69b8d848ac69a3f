//! A small HTTP server on 127.0.0.1 that answers as a test tells it to.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// How a request is answered.
#[derive(Clone)]
pub enum Reply {
    /// 200 with this body.
    Body(Vec<u8>),
    /// A status without a body.
    Status(u16),
    /// 200 that states the length of the whole body, and closes after this many bytes.
    Cut(Vec<u8>, usize),
    /// 200 that sends this many bytes and then nothing, until the test ends.
    Stall(Vec<u8>, usize),
    /// A redirection.
    To(String),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub authorization: Option<String>,
}

/// The server; it ends with the test's process.
pub struct Server {
    pub address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    /// Hears when a `Stall` has sent its bytes.
    pub stalled: Receiver<()>,
}

impl Server {
    /// Starts a server that answers each path with what `answer` gives for it.
    pub fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (sender, stalled) = channel();
        let (seen, answer) = (requests.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer, sender) = (seen.clone(), answer.clone(), sender.clone());
                std::thread::spawn(move || serve(stream, &seen, &*answer, &sender));
            }
        });
        Server { address, requests, stalled }
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Request>>, answer: &dyn Fn(&str) -> Reply, stalled: &Sender<()>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut authorization = None;
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("authorization")
        {
            authorization = Some(value.trim().to_owned());
        }
    }
    seen.lock().unwrap().push(Request { path: path.clone(), authorization });
    let mut send = |status: u16, extra: &str, length: usize, body: &[u8]| {
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{extra}\r\n");
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).and_then(|()| stream.flush());
    };
    match answer(&path) {
        Reply::Body(body) => send(200, "", body.len(), &body),
        Reply::Status(status) => send(status, "", 0, b""),
        Reply::Cut(body, n) => send(200, "", body.len(), &body[..n]),
        Reply::To(place) => send(302, &format!("location: {place}\r\n"), 0, b""),
        Reply::Stall(body, n) => {
            send(200, "", body.len(), &body[..n]);
            let _ = stalled.send(());
            loop {
                std::thread::park();
            }
        }
    }
}
