//! Lines and Ctrl-C, side by side: the lines are read on a thread of their own, so that a signal is heard while
//! nobody types.

use crate::error::{Error, Result};
use crate::job::CancelToken;
use std::io::BufRead;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What came.
pub(super) enum Event {
    /// A line.
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// No more lines.
    End,
}

/// Where lines and signals come from.
pub(super) struct Input {
    lines: Receiver<Result<Option<String>>>,
    interrupts: Receiver<()>,
    /// Says that another line is wanted: what is typed while an answer is written stays in the terminal until then.
    more: Sender<()>,
    asked: bool,
    /// Stops the answer that is being written.
    answer: Arc<Mutex<CancelToken>>,
}

impl Input {
    /// Begins to listen.
    pub(super) fn open() -> Result<Input> {
        let (line, lines) = channel();
        let (more, wanted) = channel();
        let read = move || {
            let mut stdin = std::io::stdin().lock();
            while wanted.recv().is_ok() {
                let mut bytes = Vec::new();
                let outcome = match stdin.read_until(b'\n', &mut bytes) {
                    Ok(0) => Ok(None),
                    Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
                    Err(e) => Err(Error::io(Path::new("stdin"), &e)),
                };
                if line.send(outcome).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().spawn(read).map_err(|e| Error::internal(e.to_string()))?;
        let signals = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];
        let mut heard = signal_hook::iterator::Signals::new(signals).map_err(|e| Error::internal(e.to_string()))?;
        let (interrupt, interrupts) = channel();
        let answer: Arc<Mutex<CancelToken>> = Arc::default();
        let current = Arc::clone(&answer);
        let listen = move || {
            for signal in heard.forever() {
                let token = current.lock().map(|t| t.clone()).unwrap_or_default();
                // A second Ctrl-C before the answer has stopped, or a request to end: nothing here needs to be saved.
                if signal == signal_hook::consts::SIGTERM || token.is_cancelled() {
                    std::process::exit(130);
                }
                token.cancel();
                if interrupt.send(()).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().spawn(listen).map_err(|e| Error::internal(e.to_string()))?;
        Ok(Input { lines, interrupts, more, asked: false, answer })
    }

    /// The next line or signal.
    pub(super) fn next(&mut self) -> Result<Event> {
        self.renew();
        if !self.asked {
            self.asked = self.more.send(()).is_ok();
        }
        loop {
            if self.interrupts.try_recv().is_ok() {
                return Ok(Event::Interrupt);
            }
            match self.lines.recv_timeout(Duration::from_millis(50)) {
                Ok(line) => {
                    self.asked = false;
                    return Ok(line?.map_or(Event::End, Event::Line));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(Event::End),
            }
        }
    }

    /// A token for the next answer, which Ctrl-C sets.
    pub(super) fn renew(&self) -> CancelToken {
        let token = CancelToken::default();
        if let Ok(mut current) = self.answer.lock() {
            *current = token.clone();
        }
        token
    }

    /// Whether Ctrl-C was pressed since the last look.
    pub(super) fn was_interrupted(&self) -> bool {
        self.interrupts.try_iter().count() > 0
    }
}
