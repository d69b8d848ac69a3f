//! One file over HTTP, checked against what is known of it.

use crate::error::{Error, Kind, Result};
use crate::job::CancelToken;
use crate::tr;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// What is known of a file before it arrives.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Its size in bytes.
    pub bytes: Option<u64>,
    /// Its SHA-256, hexadecimal.
    pub sha256: Option<String>,
}

/// An HTTP client with the proxies of the environment.
pub struct Client(ureq::Agent);

/// A hub that cannot be reached is given up soon: the next source may be near.
const CONNECT: Duration = Duration::from_secs(5);
/// A transfer that stands still for so long is broken.
const STALL: Duration = Duration::from_secs(30);
/// The longest listing or other JSON answer that is read.
const LONGEST_ANSWER: usize = 64 << 20;
/// Bytes that are handed on at a time.
const CHUNK: usize = 1 << 18;

impl Default for Client {
    fn default() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(STALL))
            .timeout_per_read(Some(STALL))
            .http_status_as_error(false)
            // The stated length is then the file's own, which the progress is measured against.
            .accept_encoding(ureq::config::AutoHeaderValue::None)
            .user_agent(concat!("linly-bench/", env!("CARGO_PKG_VERSION")))
            // Hubs redirect within themselves (renamed repositories) and to storage elsewhere, which
            // must not see the token.
            .redirect_auth_headers(ureq::config::RedirectAuthHeaders::SameHost)
            .proxy(ureq::Proxy::try_from_env())
            .build();
        Client(config.into())
    }
}

impl Client {
    fn get(&self, url: &str, token: Option<&str>) -> Result<ureq::Body> {
        let mut request = self.0.get(url);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = request.call().map_err(|e| network(tr!("{url}: {e}", "{url}：{e}")))?;
        let status = response.status().as_u16();
        match status {
            200..=299 => Ok(response.into_body()),
            401 | 403 => Err(network(tr!(
                "{url}: access denied (HTTP {status}); a gated model needs a token in HF_TOKEN and its terms accepted",
                "{url}：拒绝访问（HTTP {status}）；受限模型需要在 HF_TOKEN 中设置令牌，并先接受其条款"
            ))),
            404 => Err(network(tr!("{url}: not found (HTTP 404)", "{url}：不存在（HTTP 404）"))),
            _ => Err(network(tr!("{url}: HTTP {status}", "{url}：HTTP {status}"))),
        }
    }

    /// Sends the parts of an answer to `parts` until its end, a failure, or nobody listens.
    fn send(&self, url: &str, token: Option<&str>, parts: &SyncSender<Part>) -> Result<()> {
        let body = self.get(url, token)?;
        if parts.send(Part::Length(body.content_length())).is_err() {
            return Ok(());
        }
        let mut reader = body.into_reader();
        loop {
            let mut buffer = vec![0; CHUNK];
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => {
                    buffer.truncate(n);
                    if parts.send(Part::Bytes(buffer)).is_err() {
                        return Ok(());
                    }
                }
                Err(e) => return Err(network(tr!("{url}: broke off: {e}", "{url}：传输中断：{e}"))),
            }
        }
    }

    /// Fetches `url`; `sink` gets its parts. The transfer runs on a thread of its own, so that a wish to
    /// stop is heard even while the other side is silent; the thread is left behind then.
    fn fetch(
        &self,
        url: &str,
        token: Option<&str>,
        cancel: &CancelToken,
        sink: &mut dyn FnMut(Part) -> Result<()>,
    ) -> Result<()> {
        let (sender, parts) = sync_channel(8);
        let (client, address, token) = (Client(self.0.clone()), url.to_owned(), token.map(str::to_owned));
        std::thread::spawn(move || {
            let end = client.send(&address, token.as_deref(), &sender);
            let _ = sender.send(Part::End(end));
        });
        loop {
            check_cancel(cancel)?;
            match parts.recv_timeout(Duration::from_millis(50)) {
                Ok(Part::End(end)) => return end,
                Ok(part) => sink(part)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::internal("the transfer ended without a word"));
                }
            }
        }
    }

    /// A JSON answer.
    ///
    /// # Errors
    /// `Network`, naming the address; `Interrupted`.
    pub fn json(&self, url: &str, token: Option<&str>, cancel: &CancelToken) -> Result<serde_json::Value> {
        let mut answer = Vec::new();
        self.fetch(url, token, cancel, &mut |part| {
            if let Part::Bytes(bytes) = part {
                answer.extend(bytes);
            }
            if answer.len() > LONGEST_ANSWER {
                return Err(network(tr!("{url}: the answer is too long", "{url}：返回内容过长")));
            }
            Ok(())
        })?;
        serde_json::from_slice(&answer)
            .map_err(|e| network(tr!("{url}: the answer is no JSON: {e}", "{url}：返回内容不是 JSON：{e}")))
    }

    /// Downloads `url` into the new file `to`. `progress` hears how many bytes have come. A file that
    /// is not what is `expected` is an error; the caller throws the folder of `to` away then.
    ///
    /// # Errors
    /// `Network` when the source failed (another may do), `Interrupted`, `NoSpace`/`Io`.
    pub fn file(
        &self,
        url: &str,
        token: Option<&str>,
        to: &Path,
        expected: &Expected,
        progress: &mut dyn FnMut(u64),
        cancel: &CancelToken,
    ) -> Result<()> {
        let mut file = File::create_new(to).map_err(|e| Error::io(to, &e))?;
        let mut sha = Sha256::new();
        let (mut stated, mut done) = (None, 0u64);
        self.fetch(url, token, cancel, &mut |part| {
            match part {
                Part::Length(length) => {
                    stated = length;
                    // Before the first byte, so that the wrong file costs nothing.
                    check_size(url, length, expected.bytes)?;
                }
                Part::Bytes(bytes) => {
                    file.write_all(&bytes).map_err(|e| Error::io(to, &e))?;
                    sha.update(&bytes);
                    done += bytes.len() as u64;
                    progress(done);
                }
                Part::End(_) => {}
            }
            Ok(())
        })?;
        check_size(url, Some(done), expected.bytes.or(stated))?;
        check_hash(url, &super::hex(&sha.finalize()), expected)?;
        file.sync_all().map_err(|e| Error::io(to, &e))
    }
}

/// A piece of an answer.
enum Part {
    /// The length that its header states.
    Length(Option<u64>),
    /// The next bytes.
    Bytes(Vec<u8>),
    /// Nothing more comes.
    End(Result<()>),
}

/// Checks a file that came by another way than [`Client::file`]. `from` is its source, for messages.
///
/// # Errors
/// `Network` when it is not what is `expected`.
pub(super) fn check_file(path: &Path, from: &str, expected: &Expected, cancel: &CancelToken) -> Result<()> {
    let io = |e: std::io::Error| Error::io(path, &e);
    let mut file = File::open(path).map_err(io)?;
    check_size(from, Some(file.metadata().map_err(io)?.len()), expected.bytes)?;
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        check_cancel(cancel)?;
        match file.read(&mut buffer).map_err(io)? {
            0 => break,
            n => sha.update(&buffer[..n]),
        }
    }
    check_hash(from, &super::hex(&sha.finalize()), expected)
}

fn check_size(from: &str, found: Option<u64>, expected: Option<u64>) -> Result<()> {
    match (found, expected) {
        (Some(found), Some(expected)) if found != expected => Err(network(tr!(
            "{from}: {found} bytes, expected {expected}",
            "{from}：{found} 字节，应为 {expected} 字节"
        ))),
        _ => Ok(()),
    }
}

fn check_hash(from: &str, found: &str, expected: &Expected) -> Result<()> {
    match &expected.sha256 {
        Some(wanted) if !wanted.eq_ignore_ascii_case(found) => Err(network(tr!(
            "{from}: the file has another SHA-256 ({found}) than expected ({wanted})",
            "{from}：文件的 SHA-256（{found}）与预期（{wanted}）不同"
        ))),
        _ => Ok(()),
    }
}

/// A source failed.
pub(super) fn network(message: String) -> Error {
    Error::new(Kind::Network, crate::text::one_line(&message))
}

/// `Interrupted` when the user asked to stop.
pub(super) fn check_cancel(cancel: &CancelToken) -> Result<()> {
    if cancel.is_cancelled() {
        return Err(Error::new(Kind::Interrupted, tr!("the download was stopped", "下载已停止"))
            .hint(tr!("nothing was kept; run the same command again", "没有保留任何内容；请重新运行同一命令")));
    }
    Ok(())
}
