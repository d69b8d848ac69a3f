//! Reading what may keep its reader waiting: a pipe, a terminal, standard input. Ctrl-C must end that wait, and a read
//! that blocks cannot be called off; so another thread waits, and this one looks at the wish to stop meanwhile.

use crate::job::CancelToken;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// The name of standard input where a file may stand.
pub(super) const STANDARD_INPUT: &str = "-";

/// Between two looks at the wish to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Bytes that are handed over at once.
const CHUNK: usize = 1 << 18;

/// Whether reading `path` may wait for somebody who writes.
pub(super) fn may_wait(path: &Path) -> bool {
    path == Path::new(STANDARD_INPUT) || std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// A stream of bytes that another thread reads.
pub(super) struct StreamInput<'c> {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: io::Cursor<Vec<u8>>,
    cancel: &'c CancelToken,
}

impl StreamInput<'_> {
    /// Begins to read `path`. Opening it may wait too, so errors of that come with the first read.
    pub fn open(path: PathBuf, cancel: &CancelToken) -> StreamInput<'_> {
        let (sender, chunks) = sync_channel(2);
        // It ends with its file, when nobody listens any more, or with the process.
        std::thread::spawn(move || {
            let opened = if path == Path::new(STANDARD_INPUT) {
                Ok(Box::new(io::stdin()) as Box<dyn Read>)
            } else {
                File::open(&path).map(|file| Box::new(file) as Box<dyn Read>)
            };
            let mut from = match opened {
                Ok(from) => from,
                Err(e) => return drop(sender.send(Err(e))),
            };
            loop {
                let mut bytes = vec![0; CHUNK];
                let chunk = match from.read(&mut bytes) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                    read => read.map(|count| {
                        bytes.truncate(count);
                        bytes
                    }),
                };
                let last = chunk.as_ref().map_or(true, Vec::is_empty);
                if sender.send(chunk).is_err() || last {
                    return;
                }
            }
        });
        StreamInput { chunks, chunk: io::Cursor::default(), cancel }
    }
}

impl Read for StreamInput<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.chunk.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            if self.cancel.is_cancelled() {
                // Not `Interrupted`: readers would try again.
                return Err(io::Error::other("stopped"));
            }
            match self.chunks.recv_timeout(LOOK) {
                Ok(chunk) => self.chunk = io::Cursor::new(chunk?),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
            if self.chunk.get_ref().is_empty() {
                return Ok(0);
            }
        }
    }
}
