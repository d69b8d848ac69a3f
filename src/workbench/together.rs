//! Several processes that train together: found by torchrun's environment variables, or started by this program (`--gpus N`).

use crate::error::{Error, Kind, Result};
use crate::tr;
use crate::train::{Peers, TcpPeers};
use sha2::{Digest, Sha256};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    children: Vec<Child>,
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
                children: Vec::new(),
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
            children,
            met: AtomicBool::default(),
        }))
    }

    /// Meets the others, who must train the same: `what` says it.
    ///
    /// # Errors
    /// Those of [`TcpPeers`].
    pub fn meet(&self, what: &str) -> Result<Arc<dyn Peers>> {
        let what: [u8; 32] = Sha256::digest(what.as_bytes()).into();
        if self.rank > 0 {
            return Ok(Arc::new(TcpPeers::join(&self.address, self.rank, self.count, what)?));
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
        let peers = TcpPeers::first(listener, self.count, what)?;
        self.met.store(true, Ordering::Relaxed);
        Ok(Arc::new(peers))
    }
}

impl Drop for Seat {
    /// The others end with the first: once they have met, a step that it does not take ends theirs.
    fn drop(&mut self) {
        for child in &mut self.children {
            if !self.met.load(Ordering::Relaxed) {
                let _ = child.kill();
            }
            let _ = child.wait();
        }
    }
}
