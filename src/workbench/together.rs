//! Several processes that train together: found by torchrun's environment variables, or started by this program (`--gpus N`).

use crate::error::{Error, Kind, Result};
use crate::job::CancelToken;
use crate::tr;
use crate::train::{Peers, TcpPeers};
use sha2::{Digest, Sha256};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// This process's place among those that train together.
pub struct Seat {
    /// Which one it is.
    pub rank: usize,
    /// How many there are.
    pub count: usize,
    /// Which card of its machine it takes.
    pub local: usize,
    /// Where the first waits, `host:port`.
    address: String,
    /// The first process's ear, where this program started the others.
    listener: Option<TcpListener>,
    /// The others, likewise.
    children: Mutex<Vec<Child>>,
    /// Whether they have met.
    met: AtomicBool,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn number(name: &str) -> Result<Option<usize>> {
    let Some(text) = variable(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let text = text.escape_default();
        Error::new(Kind::Usage, tr!("{name} is no number: `{text}`", "{name} 不是数字：`{text}`"))
            .hint(tr!("unset it, or start with torchrun or --gpus", "请取消该变量，或用 torchrun 或 --gpus 启动"))
    })
}

impl Seat {
    /// This process's place: by RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT (and LOCAL_RANK), as torchrun sets them; else, for
    /// `gpus` above one, as the first of so many, which it starts with its own arguments. `None`: it trains alone.
    ///
    /// # Errors
    /// `Usage` for variables that make no sense; I/O.
    pub fn take(gpus: usize) -> Result<Option<Seat>> {
        if let Some(count) = number("WORLD_SIZE")?.filter(|count| *count > 1) {
            let rank = number("RANK")?.filter(|rank| *rank < count).ok_or_else(|| {
                Error::new(
                    Kind::Usage,
                    tr!(
                        "WORLD_SIZE is {count}, and RANK is not 0 to {count} − 1",
                        "WORLD_SIZE 为 {count}，而 RANK 不在 0 到 {count}−1 之间"
                    ),
                )
                .hint(tr!("start with torchrun or --gpus", "请用 torchrun 或 --gpus 启动"))
            })?;
            let host = variable("MASTER_ADDR").unwrap_or_else(|| "127.0.0.1".to_owned());
            let port = number("MASTER_PORT")?.unwrap_or(29_500);
            let local = number("LOCAL_RANK")?.unwrap_or(rank);
            let address = format!("{host}:{port}");
            return Ok(Some(Seat {
                rank,
                count,
                local,
                address,
                listener: None,
                children: Mutex::default(),
                met: AtomicBool::default(),
            }));
        }
        if gpus <= 1 {
            return Ok(None);
        }
        let io = |e: &std::io::Error| {
            Error::new(Kind::Io, tr!("the processes cannot be started: {e}", "无法启动各进程：{e}"))
        };
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| io(&e))?;
        let port = listener.local_addr().map_err(|e| io(&e))?.port();
        let program = std::env::current_exe().map_err(|e| io(&e))?;
        let start = |rank: usize| {
            Command::new(&program)
                .args(std::env::args_os().skip(1))
                .env("RANK", rank.to_string())
                .env("LOCAL_RANK", rank.to_string())
                .env("WORLD_SIZE", gpus.to_string())
                .env("MASTER_ADDR", "127.0.0.1")
                .env("MASTER_PORT", port.to_string())
                // The first speaks for all; errors of the others are heard.
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .map_err(|e| io(&e))
        };
        let children = (1..gpus).map(start).collect::<Result<_>>()?;
        let address = format!("127.0.0.1:{port}");
        Ok(Some(Seat {
            rank: 0,
            count: gpus,
            local: 0,
            address,
            listener: Some(listener),
            children: Mutex::new(children),
            met: AtomicBool::default(),
        }))
    }

    /// Where the first process waits, `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Meets the others, who must train the same: `what` says it.
    ///
    /// # Errors
    /// Those of [`TcpPeers`]; `Interrupted`; `Io` when a process that was started here has ended before it came.
    pub fn meet(&self, what: &str, cancel: &CancelToken) -> Result<Arc<dyn Peers>> {
        let still = |absent: &[usize]| self.still(absent, cancel);
        let what: [u8; 32] = Sha256::digest(what.as_bytes()).into();
        if self.rank > 0 {
            return Ok(Arc::new(TcpPeers::join(&self.address, self.rank, self.count, what, &still)?));
        }
        let own;
        let listener = match &self.listener {
            Some(listener) => listener,
            None => {
                let address = &self.address;
                own = TcpListener::bind(address).map_err(|e| {
                    Error::new(Kind::Io, tr!("cannot listen at {address}: {e}", "无法监听 {address}：{e}")).hint(tr!(
                        "set MASTER_ADDR to an address of this machine and MASTER_PORT to a free port",
                        "请把 MASTER_ADDR 设为本机地址，MASTER_PORT 设为空闲端口"
                    ))
                })?;
                &own
            }
        };
        let peers = TcpPeers::first(listener, self.count, what, &still)?;
        self.met.store(true, Ordering::Relaxed);
        Ok(Arc::new(peers))
    }
}

impl Seat {
    /// Whether it is worth waiting for the ranks that are not there yet.
    fn still(&self, absent: &[usize], cancel: &CancelToken) -> Result<()> {
        let ranks = absent.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        if cancel.is_cancelled() {
            let message = if absent.is_empty() {
                tr!("interrupted while waiting for the other processes", "等待其他进程时被中断")
            } else {
                tr!("interrupted while waiting for rank {ranks}", "等待 RANK {ranks} 时被中断")
            };
            return Err(Error::new(Kind::Interrupted, message));
        }
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        for rank in absent {
            let Some(child) = rank.checked_sub(1).and_then(|i| children.get_mut(i)) else { continue };
            if let Ok(Some(status)) = child.try_wait() {
                return Err(Error::new(
                    Kind::Io,
                    tr!(
                        "the process of rank {rank} ended before the training began ({status})",
                        "RANK {rank} 的进程在训练开始前就结束了（{status}）"
                    ),
                )
                .hint(tr!("what it said is above", "其输出见上文")));
            }
        }
        Ok(())
    }
}

impl Drop for Seat {
    /// The others end with the first: once they have met, a step that it does not take ends theirs.
    fn drop(&mut self) {
        for child in self.children.get_mut().unwrap_or_else(PoisonError::into_inner) {
            if !self.met.load(Ordering::Relaxed) {
                let _ = child.kill();
            }
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_ended_is_not_waited_for() {
        let start = |program: &str| Command::new(program).stdin(Stdio::piped()).spawn().unwrap();
        // `cat` waits for its input, which this test holds.
        let mut ended = start("false");
        ended.wait().unwrap();
        let seat = Seat {
            rank: 0,
            count: 3,
            local: 0,
            address: String::new(),
            listener: None,
            children: Mutex::new(vec![start("cat"), ended]),
            met: AtomicBool::default(),
        };
        let never = CancelToken::default();
        assert!(seat.still(&[1], &never).is_ok());
        // One that came already may end: its connection says so.
        assert!(seat.still(&[], &never).is_ok());
        let error = seat.still(&[1, 2], &never).unwrap_err();
        assert!(error.kind == Kind::Io && error.message.contains("rank 2"), "{error}");
        let stopped = CancelToken::default();
        stopped.cancel();
        assert_eq!(seat.still(&[1, 2], &stopped).unwrap_err().kind, Kind::Interrupted);
    }
}
