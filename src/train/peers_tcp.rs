//! [`Peers`] over TCP: all are connected to the first, which adds up in the order of ranks and sends the sum back.
//!
//! LoRA's gradients are megabytes, so this does for a few processes on one machine and for tests; between GPUs NCCL adds up
//! on the cards, and this connection only brings the processes together.

use super::peers::Peers;
use crate::error::{Error, Kind, Result};
use crate::ops::cuda::{Buffer, CardGroup, Device};
use crate::tr;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// What a process says first.
const GREETING: &[u8; 8] = b"linlypr1";

/// How long the processes may take to find each other: a model is loaded before.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long a process that has connected may take to say who it is: it says it at once.
const GREETING_TIME: Duration = Duration::from_secs(5);

/// Between two looks at what else has happened.
const LOOK: Duration = Duration::from_millis(20);

/// Asked again and again while processes are missing, with their ranks: an error ends the waiting.
pub type Still<'a> = &'a dyn Fn(&[usize]) -> Result<()>;

/// Longest message that is believed.
const LONGEST: u64 = 1 << 34;

/// Processes that are connected.
pub struct TcpPeers {
    rank: usize,
    count: usize,
    /// Of the first process: to the others, in the order of their ranks. Of the others: to the first.
    streams: Mutex<Vec<TcpStream>>,
    /// The cards' own way, where all have it.
    cards: OnceLock<Option<Box<dyn CardGroup>>>,
}

fn gone(error: &std::io::Error) -> Error {
    Error::new(
        Kind::Io,
        tr!("a process that trains together with this one is gone: {error}", "一同训练的某个进程已断开：{error}"),
    )
    .hint(tr!(
        "what it said last is on its own output; train --resume goes on from the last checkpoint",
        "原因见该进程的输出；可用 train --resume 从最近的检查点继续"
    ))
}

fn missing(ranks: &[usize]) -> Error {
    let (minutes, ranks) = (PATIENCE.as_secs() / 60, list(ranks));
    Error::new(
        Kind::Io,
        tr!(
            "no process came within {minutes} minutes for rank {ranks}",
            "{minutes} 分钟内没有等到 RANK {ranks} 的进程"
        ),
    )
    .hint(tr!(
        "look at the output of that process; all need the same MASTER_ADDR, MASTER_PORT and WORLD_SIZE",
        "请查看该进程的输出；各进程的 MASTER_ADDR、MASTER_PORT 与 WORLD_SIZE 必须相同"
    ))
}

/// Ranks in words.
fn list(ranks: &[usize]) -> String {
    ranks.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

fn others(error: &str) -> Error {
    Error::new(Kind::Mismatch, tr!("the processes do not train the same: {error}", "各进程的训练并不相同：{error}"))
        .hint(tr!(
            "start all with the same program, model, data and settings, and with different ranks",
            "请用相同的程序、模型、数据与设置启动各进程，且各自的 RANK 不同"
        ))
}

impl TcpPeers {
    /// The first process of `count`: waits at `listener` for the others. `what` is a digest of what is trained; all must have the
    /// same.
    ///
    /// # Errors
    /// `Mismatch` when the others train something else, `Io` when they do not come; those of `still`.
    pub fn first(listener: &TcpListener, count: usize, what: [u8; 32], still: Still<'_>) -> Result<TcpPeers> {
        let mut streams: Vec<Option<TcpStream>> = (1..count).map(|_| None).collect();
        listener.set_nonblocking(true).map_err(|e| gone(&e))?;
        let until = Instant::now() + PATIENCE;
        while streams.iter().any(Option::is_none) {
            match listener.accept() {
                Ok((stream, _)) => {
                    // A stranger that connects and says nothing must not hold up the others for ever.
                    stream.set_nonblocking(false).map_err(|e| gone(&e))?;
                    stream.set_read_timeout(Some(GREETING_TIME)).map_err(|e| gone(&e))?;
                    if let Some((rank, stream)) = greeted(stream, count, &what)? {
                        let slot = streams.get_mut(rank - 1).filter(|slot| slot.is_none());
                        *slot.ok_or_else(|| others(&tr!("rank {rank} came twice", "RANK {rank} 重复")))? = Some(stream);
                    }
                }
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                    let absent: Vec<usize> = (1..count).filter(|rank| streams[rank - 1].is_none()).collect();
                    if Instant::now() >= until {
                        return Err(missing(&absent));
                    }
                    still(&absent)?;
                    std::thread::sleep(LOOK);
                }
                Err(e) => return Err(gone(&e)),
            }
        }
        let mut streams: Vec<TcpStream> = streams.into_iter().flatten().collect();
        for stream in &mut streams {
            stream.write_all(GREETING).map_err(|e| gone(&e))?;
        }
        Ok(TcpPeers { rank: 0, count, streams: Mutex::new(streams), cards: OnceLock::new() })
    }

    /// Process `rank` of `count`, connected to the first at `address` (`host:port`).
    ///
    /// # Errors
    /// As [`TcpPeers::first`].
    pub fn join(address: &str, rank: usize, count: usize, what: [u8; 32], still: Still<'_>) -> Result<TcpPeers> {
        let until = Instant::now() + PATIENCE;
        let mut stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(_) if Instant::now() > until => return Err(missing(&[0])),
                Err(_) => {
                    still(&[0])?;
                    std::thread::sleep(LOOK);
                }
            }
        };
        stream.set_nodelay(true).map_err(|e| gone(&e))?;
        let mut hello = GREETING.to_vec();
        hello.extend((rank as u32).to_le_bytes());
        hello.extend((count as u32).to_le_bytes());
        hello.extend(what);
        stream.write_all(&hello).map_err(|e| gone(&e))?;
        let answer = answer(&mut stream, still)?;
        if answer != *GREETING {
            return Err(others(&tr!("the first process answered something else", "首个进程的应答不符")));
        }
        Ok(TcpPeers { rank, count, streams: Mutex::new(vec![stream]), cards: OnceLock::new() })
    }

    /// Everyone's bytes are joined by `add` in the order of ranks, beginning with the first's; everyone gets the result.
    fn all(&self, mine: &mut Vec<u8>, mut add: impl FnMut(&mut [u8], &[u8])) -> Result<()> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if self.rank == 0 {
            for stream in streams.iter_mut() {
                let other = receive(stream)?;
                if other.len() != mine.len() {
                    return Err(others(&tr!("sizes differ", "大小不同")));
                }
                add(mine, &other);
            }
            for stream in streams.iter_mut() {
                send(stream, mine)?;
            }
        } else if let Some(first) = streams.first_mut() {
            send(first, mine)?;
            *mine = receive(first)?;
        }
        Ok(())
    }
}

/// What the first process says once all are there, which may take as long as the slowest.
fn answer(stream: &mut TcpStream, still: Still<'_>) -> Result<[u8; 8]> {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    stream.set_read_timeout(Some(LOOK)).map_err(|e| gone(&e))?;
    let (mut answer, mut got) = ([0; 8], 0);
    while got < answer.len() {
        match stream.read(&mut answer[got..]) {
            Ok(0) => return Err(gone(&std::io::ErrorKind::UnexpectedEof.into())),
            Ok(n) => got += n,
            Err(e) if matches!(e.kind(), WouldBlock | TimedOut | Interrupted) => still(&[])?,
            Err(e) => return Err(gone(&e)),
        }
    }
    stream.set_read_timeout(None).map_err(|e| gone(&e))?;
    Ok(answer)
}

/// The rank of a process that wants to train the same; `None` for a stranger.
fn greeted(mut stream: TcpStream, count: usize, what: &[u8; 32]) -> Result<Option<(usize, TcpStream)>> {
    let mut hello = [0; 48];
    if stream.read_exact(&mut hello).is_err() || hello[..8] != *GREETING {
        return Ok(None);
    }
    let number = |at: usize| u32::from_le_bytes([hello[at], hello[at + 1], hello[at + 2], hello[at + 3]]) as usize;
    let (rank, their_count) = (number(8), number(12));
    if their_count != count || !(1..count).contains(&rank) {
        return Err(others(&tr!(
            "rank {rank} of {their_count} came to {count} processes",
            "{count} 个进程中来了 RANK {rank}/{their_count}"
        )));
    }
    if hello[16..] != *what {
        return Err(others(&tr!("rank {rank} has other settings", "RANK {rank} 的设置不同")));
    }
    // From now on a process may be busy for as long as it likes: one that is gone closes its end.
    stream.set_read_timeout(None).map_err(|e| gone(&e))?;
    stream.set_nodelay(true).map_err(|e| gone(&e))?;
    Ok(Some((rank, stream)))
}

fn send(stream: &mut TcpStream, bytes: &[u8]) -> Result<()> {
    stream.write_all(&(bytes.len() as u64).to_le_bytes()).map_err(|e| gone(&e))?;
    stream.write_all(bytes).map_err(|e| gone(&e))
}

fn receive(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut length = [0; 8];
    stream.read_exact(&mut length).map_err(|e| gone(&e))?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST {
        return Err(others(&tr!("a message of {length} bytes", "消息长 {length} 字节")));
    }
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes).map_err(|e| gone(&e))?;
    Ok(bytes)
}

impl Peers for TcpPeers {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.count
    }

    fn sum(&self, values: &mut [f32]) -> Result<()> {
        let mut bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.all(&mut bytes, |sum, other| {
            for (sum, other) in sum.as_chunks_mut::<4>().0.iter_mut().zip(other.as_chunks::<4>().0) {
                *sum = (f32::from_le_bytes(*sum) + f32::from_le_bytes(*other)).to_le_bytes();
            }
        })?;
        for (x, bytes) in values.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *x = f32::from_le_bytes(*bytes);
        }
        Ok(())
    }

    fn sum_wide(&self, values: &mut [f64]) -> Result<()> {
        let mut bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.all(&mut bytes, |sum, other| {
            for (sum, other) in sum.as_chunks_mut::<8>().0.iter_mut().zip(other.as_chunks::<8>().0) {
                *sum = (f64::from_le_bytes(*sum) + f64::from_le_bytes(*other)).to_le_bytes();
            }
        })?;
        for (x, bytes) in values.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *x = f64::from_le_bytes(*bytes);
        }
        Ok(())
    }

    fn share(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if self.rank > 0 {
            return streams.first_mut().map_or(Ok(bytes), receive);
        }
        for stream in streams.iter_mut() {
            send(stream, &bytes)?;
        }
        Ok(bytes)
    }

    fn meet_on_cards(&self, device: &Arc<dyn Device>) -> Result<bool> {
        let ticket = if self.rank == 0 { device.group_ticket()? } else { None };
        let ticket = self.share(ticket.unwrap_or_default())?;
        // All or none: one process that lacks the library must not keep the others waiting in it.
        let mut able = [f64::from(u8::from(!ticket.is_empty() && device.can_group()))];
        self.sum_wide(&mut able)?;
        let group =
            if able[0] == self.count as f64 { Some(device.group(&ticket, self.rank, self.count)?) } else { None };
        Ok(self.cards.get_or_init(|| group).is_some())
    }

    fn sum_on_card(&self, values: &Buffer<f32>) -> Result<()> {
        if let Some(Some(group)) = self.cards.get() {
            return group.sum(values.address(), values.len());
        }
        let mut here = values.read()?;
        self.sum(&mut here)?;
        values.write(&here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(_: &[usize]) -> Result<()> {
        Ok(())
    }

    /// Runs `work` as every rank of `count` processes, each on a thread.
    fn together<T: Send>(count: usize, work: impl Fn(&TcpPeers) -> T + Sync) -> Vec<T> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::scope(|scope| {
            let (work, address) = (&work, &address);
            let threads: Vec<_> = (1..count)
                .map(|rank| scope.spawn(move || work(&TcpPeers::join(address, rank, count, [7; 32], &wait).unwrap())))
                .collect();
            let first = work(&TcpPeers::first(&listener, count, [7; 32], &wait).unwrap());
            std::iter::once(first).chain(threads.into_iter().map(|t| t.join().unwrap())).collect()
        })
    }

    #[test]
    fn sums_are_taken_in_the_order_of_ranks_and_are_the_same_everywhere() {
        // In f32 the order matters: 1e8 + 1 − 1e8 is 0, 1e8 − 1e8 + 1 is 1.
        let numbers = [1e8f32, 1.0, -1e8];
        let found = together(3, |peers| {
            let mut values = [numbers[peers.rank()], peers.rank() as f32];
            peers.sum(&mut values).unwrap();
            let mut wide = [0.5f64];
            peers.sum_wide(&mut wide).unwrap();
            let shared = peers.share(vec![peers.rank() as u8; 3]).unwrap();
            (values, wide, shared)
        });
        for one in found {
            assert_eq!(one, ([(1e8 + 1.0) - 1e8, 3.0], [1.5], vec![0; 3]));
        }
    }

    #[test]
    fn one_that_trains_something_else_is_refused_and_one_that_dies_is_noticed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| TcpPeers::join(&address, 1, 2, [8; 32], &wait).err().unwrap().kind);
            assert_eq!(TcpPeers::first(&listener, 2, [7; 32], &wait).err().unwrap().kind, Kind::Mismatch);
            assert_eq!(other.join().unwrap(), Kind::Io);
        });
        std::thread::scope(|scope| {
            scope.spawn(|| drop(TcpPeers::join(&address, 1, 2, [7; 32], &wait).unwrap()));
            // A stranger in between is passed over.
            TcpStream::connect(&address).unwrap().write_all(&[0; 48]).unwrap();
            let peers = TcpPeers::first(&listener, 2, [7; 32], &wait).unwrap();
            assert_eq!(peers.sum(&mut [1.0]).unwrap_err().kind, Kind::Io);
        });
    }

    #[test]
    fn those_who_wait_know_for_whom_and_stop_when_they_are_told_to() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = Error::new(Kind::Interrupted, "stop");
        std::thread::scope(|scope| {
            // The second of three waits for the third, too, and ends with the first.
            let second = scope.spawn(|| TcpPeers::join(&address, 1, 3, [7; 32], &wait).err().unwrap().kind);
            let still = |absent: &[usize]| if absent == [2] { Err(stop.clone()) } else { Ok(()) };
            assert_eq!(TcpPeers::first(&listener, 3, [7; 32], &still).err().unwrap().kind, Kind::Interrupted);
            assert_eq!(second.join().unwrap(), Kind::Io);
        });
        let told = |_: &[usize]| Err(stop.clone());
        assert_eq!(TcpPeers::join(&address, 1, 3, [7; 32], &told).err().unwrap().kind, Kind::Interrupted);
        drop(listener);
        assert_eq!(TcpPeers::join(&address, 1, 3, [7; 32], &told).err().unwrap().kind, Kind::Interrupted);
        assert!(missing(&[1, 3]).message.contains("1, 3"));
    }
}
