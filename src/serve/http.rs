//! As much of HTTP/1.1 (RFC 9112) as an API server on one machine needs: requests with a length, kept connections,
//! answers with a length or in chunks. The head is read by `httparse`; what it means is here.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Longest head of a request.
const LONGEST_HEAD: usize = 32 << 10;
/// Most header lines.
const MOST_HEADERS: usize = 64;
/// Longest body: some millions of tokens, more than any context.
const LONGEST_BODY: usize = 16 << 20;
/// How long a kept connection may be silent between requests.
const IDLE: Duration = Duration::from_secs(60);
/// How often a wait looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(200);
/// How long a request may take to arrive, and how long a client may not read.
const SLOW: Duration = Duration::from_secs(20);

/// A request as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// In capitals.
    pub(super) method: String,
    /// Without what follows `?`.
    pub(super) path: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Whether the client wants no further request on this connection.
    close: bool,
}

/// A request that cannot be understood: the status that says so, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) u16, pub(super) &'static str);

impl Request {
    /// The value of a header (its name in lower case); of several the first.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    #[cfg(test)]
    pub(super) fn for_test(method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Request { method: method.into(), path: path.into(), headers, ..Request::default() }
    }

    /// Reads a head; the body is still to come.
    fn of_head(head: &[u8]) -> Result<Request, Malformed> {
        let mut lines = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut parsed = httparse::Request::new(&mut lines);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Malformed(431, "too many headers")),
            _ => return Err(Malformed(400, "this is no HTTP request")),
        }
        let headers: Vec<(String, String)> = parsed
            .headers
            .iter()
            .map(|h| (h.name.to_ascii_lowercase(), String::from_utf8_lossy(h.value).trim().to_owned()))
            .collect();
        let target = parsed.path.unwrap_or_default();
        let path = target.split(['?', '#']).next().unwrap_or_default().to_owned();
        let mut request =
            Request { method: parsed.method.unwrap_or_default().to_owned(), path, headers, ..Request::default() };
        let says = |word: &str| request.header("connection").is_some_and(|v| v.to_ascii_lowercase().contains(word));
        request.close = says("close") || parsed.version == Some(0) && !says("keep-alive");
        Ok(request)
    }

    /// Bytes of the body that follows.
    fn length(&self) -> Result<usize, Malformed> {
        if self.header("transfer-encoding").is_some() {
            return Err(Malformed(411, "send the body with a Content-Length"));
        }
        let mut lengths = self.headers.iter().filter(|(n, _)| n == "content-length").map(|(_, v)| v.as_str());
        let Some(first) = lengths.next() else { return Ok(0) };
        let digits = !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit());
        match first.parse::<usize>() {
            Ok(n) if digits && lengths.all(|other| other == first) => match n {
                0..=LONGEST_BODY => Ok(n),
                _ => Err(Malformed(413, "the body is too long")),
            },
            Err(_) if digits => Err(Malformed(413, "the body is too long")),
            _ => Err(Malformed(400, "this is no Content-Length")),
        }
    }
}

/// A connection to one client.
pub(super) struct Connection {
    reader: BufReader<TcpStream>,
    stream: TcpStream,
    close: bool,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> std::io::Result<Connection> {
        // A token is a small write, and each is wanted at once.
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(SLOW))?;
        Ok(Connection { reader: BufReader::new(stream.try_clone()?), stream, close: false })
    }

    /// The next request; `Ok(None)` when the client is done, or when `closing` says so before one began.
    pub(super) fn request(&mut self, closing: &dyn Fn() -> bool) -> Result<Option<Request>, Malformed> {
        if self.close {
            return Ok(None);
        }
        let outcome = self.read_request(closing);
        // After something that was not understood nobody knows where the next request begins.
        self.close = !matches!(&outcome, Ok(Some(request)) if !request.close);
        outcome
    }

    fn read_request(&mut self, closing: &dyn Fn() -> bool) -> Result<Option<Request>, Malformed> {
        const SLOW_REQUEST: Malformed = Malformed(408, "the request took too long");
        let mut head = Vec::new();
        let mut deadline = Instant::now() + IDLE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let started = !head.is_empty();
            if left.is_zero() || self.stream.set_read_timeout(Some(left.min(LOOK))).is_err() {
                return if started { Err(SLOW_REQUEST) } else { Ok(None) };
            }
            let arrived = match self.reader.fill_buf() {
                Ok([]) => return Ok(None),
                Ok(bytes) => bytes,
                Err(e) if is_passing(&e) && (started || !closing()) => continue,
                Err(_) => return Ok(None),
            };
            if !started {
                deadline = Instant::now() + SLOW;
            }
            // The end may lie across the border of what was read before and now.
            let (before, added) = (head.len(), arrived.len());
            head.extend_from_slice(arrived);
            if let Some(end) = end_of_head(&head, before.saturating_sub(3)) {
                self.reader.consume(end - before);
                head.truncate(end);
                break;
            }
            self.reader.consume(added);
            // Line ends before a request are passed over (RFC 9112, 2.2).
            if head.iter().all(|b| matches!(b, b'\r' | b'\n')) {
                head.clear();
            }
            if head.len() > LONGEST_HEAD {
                return Err(Malformed(431, "the head of the request is too long"));
            }
        }
        let mut request = Request::of_head(&head)?;
        let length = request.length()?;
        if length > 0 && request.header("expect").is_some_and(|v| v.eq_ignore_ascii_case("100-continue")) {
            _ = self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        while request.body.len() < length {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stream.set_read_timeout(Some(left)).is_err() {
                return Err(SLOW_REQUEST);
            }
            let missing = (length - request.body.len()).min(64 << 10) as u64;
            match self.reader.by_ref().take(missing).read_to_end(&mut request.body) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(e) if is_passing(&e) => {}
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(request))
    }

    /// Whether the client has closed the connection. Asked while an answer is computed.
    pub(super) fn is_gone(&self) -> bool {
        if self.stream.set_nonblocking(true).is_err() {
            return true;
        }
        let peeked = self.stream.peek(&mut [0]);
        if self.stream.set_nonblocking(false).is_err() {
            return true;
        }
        match peeked {
            Ok(n) => n == 0 && self.reader.buffer().is_empty(),
            Err(e) => !is_passing(&e),
        }
    }

    /// A whole answer. A client that is gone is no failure: the next read will find out.
    pub(super) fn answer(&mut self, status: u16, content_type: &str, extra: &str, body: &[u8]) {
        let kept = if self.close { "close" } else { "keep-alive" };
        let head = format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: {kept}\r\n{SAFE}{extra}\r\n",
            reason(status),
            body.len()
        );
        let sent = self.stream.write_all(&[head.as_bytes(), body].concat());
        self.close |= sent.is_err();
    }

    /// Begins an answer that comes in server-sent events.
    pub(super) fn events(&mut self) -> std::io::Result<Events<'_>> {
        let kept = if self.close { "close" } else { "keep-alive" };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n\
             Transfer-Encoding: chunked\r\nConnection: {kept}\r\n{SAFE}\r\n"
        );
        if let Err(error) = self.stream.write_all(head.as_bytes()) {
            self.close = true;
            return Err(error);
        }
        Ok(Events { connection: self, whole: false })
    }
}

/// Nothing here is meant to be guessed at or put into a frame.
const SAFE: &str = "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n";

impl Drop for Connection {
    fn drop(&mut self) {
        _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// An answer in events, each a chunk of its own.
pub(super) struct Events<'c> {
    connection: &'c mut Connection,
    whole: bool,
}

impl Events<'_> {
    /// Sends one event.
    pub(super) fn send(&mut self, data: &str) -> std::io::Result<()> {
        let event = format!("data: {data}\n\n");
        self.connection.stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())
    }

    /// Whether the client has closed the connection.
    pub(super) fn is_gone(&self) -> bool {
        self.connection.is_gone()
    }

    /// Ends the answer; without it the connection breaks off, which tells the client that something is missing.
    pub(super) fn finish(mut self) {
        self.whole = self.connection.stream.write_all(b"0\r\n\r\n").is_ok();
    }
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        self.connection.close |= !self.whole;
    }
}

/// Whether nothing is wrong but that nothing came.
fn is_passing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Where the empty line ends that ends a head; looked for from `from` on.
fn end_of_head(head: &[u8], from: usize) -> Option<usize> {
    let rest = head.get(from..)?;
    rest.windows(4).position(|w| w == b"\r\n\r\n").map(|at| from + at + 4)
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// What a server reads when a client sends `parts` one after the other and then nothing more.
    fn read(parts: &[&[u8]]) -> Vec<Result<Option<Request>, Malformed>> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut server = Connection::new(listener.accept().unwrap().0).unwrap();
        let parts: Vec<Vec<u8>> = parts.iter().map(|p| p.to_vec()).collect();
        let sender = std::thread::spawn(move || {
            for part in parts {
                client.write_all(&part).unwrap();
                std::thread::yield_now();
            }
            client.shutdown(Shutdown::Write).unwrap();
            client
        });
        let mut all = Vec::new();
        loop {
            all.push(server.request(&|| false));
            if !matches!(all.last(), Some(Ok(Some(_)))) {
                sender.join().unwrap();
                return all;
            }
        }
    }

    #[test]
    fn requests_follow_one_another_however_they_are_cut() {
        let text = b"\r\nPOST /v1/x?y=1 HTTP/1.1\r\nHost: h\r\nCONTENT-length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nhost: h\r\n\r\n";
        for size in [1, 2, 3, 7, 40, 400] {
            let parts: Vec<&[u8]> = text.chunks(size).collect();
            let all = read(&parts);
            let first = all[0].clone().unwrap().unwrap();
            assert_eq!((&*first.method, &*first.path, &*first.body), ("POST", "/v1/x", &b"hello"[..]), "{size}");
            assert_eq!(first.header("host"), Some("h"));
            assert_eq!(all[1].clone().unwrap().unwrap().path, "/", "{size}");
            assert_eq!((all.len(), &all[2]), (3, &Ok(None)));
        }
    }

    #[test]
    fn a_connection_ends_when_it_is_said_to() {
        for head in ["GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
            assert_eq!(read(&[head.as_bytes(), b"GET /more HTTP/1.1\r\n\r\n"]).len(), 2, "{head}");
        }
    }

    #[test]
    fn rubbish_is_refused_with_its_status() {
        let long = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(LONGEST_HEAD + 9000));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MOST_HEADERS + 1));
        for (request, status) in [
            ("\u{1}\u{2}\u{3}\r\n\r\n", 400),
            ("GET /\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 413),
            ("POST / HTTP/1.1\r\nContent-Length: 17000000\r\n\r\n", 413),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
            (&long, 431),
            (&many, 431),
        ] {
            let all = read(&[request.as_bytes()]);
            assert_eq!(all[0].clone().unwrap_err().0, status, "{}", request.escape_debug());
        }
        // A body that never comes is no request.
        assert_eq!(read(&[b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhe"]), [Ok(None)]);
    }
}
