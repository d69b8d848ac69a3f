//! The terminal taken over and given back, whatever happens: on quitting, on an error, on a panic, and
//! when a signal asks the program to end.

use crate::error::{Error, Kind, Result};
use crate::tr;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use std::io::{Stdout, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, Once};
use std::thread::ThreadId;
use std::time::Duration;

/// The thread that draws, while there is one. A panic there ends the session; on any other thread
/// the session goes on and tells what happened.
static DRAWING: Mutex<Option<ThreadId>> = Mutex::new(None);
static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

/// A terminal in raw mode on its alternate screen. Dropping it gives the terminal back.
pub struct Session {
    /// Where frames are drawn.
    pub terminal: Terminal<CrosstermBackend<Stdout>>,
    ended: Arc<AtomicBool>,
    held: Arc<AtomicBool>,
    signals: signal_hook::iterator::Handle,
    /// Dropped when the session is over: the thread that watches signals waits for that.
    _over: Sender<()>,
}

impl Session {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// `Io` when stdin or stdout is no terminal.
    pub fn start() -> Result<Session> {
        install_panic_hook();
        let ended = Arc::new(AtomicBool::new(false));
        let (over, is_over) = channel();
        let held = Arc::new(AtomicBool::new(false));
        let signals = watch_signals(Arc::clone(&ended), Arc::clone(&held), is_over).map_err(|e| terminal_error(&e))?;
        let terminal = take_over().and_then(|()| Terminal::new(CrosstermBackend::new(stdout())));
        match terminal {
            Ok(terminal) => Ok(Session { terminal, ended, held, signals, _over: over }),
            Err(e) => {
                give_back();
                signals.close();
                Err(terminal_error(&e))
            }
        }
    }

    /// Whether a signal (SIGTERM, SIGHUP, SIGINT) asked the program to end.
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Whether a signal (SIGTSTP) asked the program to hold. Told once.
    pub fn is_held(&self) -> bool {
        self.held.swap(false, Ordering::Relaxed)
    }

    /// Gives the terminal back while `work` is done, then takes it over again and draws everything anew.
    ///
    /// # Errors
    /// `Io` when the terminal is gone.
    pub fn aside<T>(&mut self, mouse: bool, work: impl FnOnce() -> T) -> Result<T> {
        give_back();
        let done = work();
        take_over().and_then(|()| self.terminal.clear()).map_err(|e| terminal_error(&e))?;
        self.capture_mouse(mouse);
        Ok(done)
    }

    /// Takes the mouse or leaves it to the terminal (to select text).
    pub fn capture_mouse(&self, on: bool) {
        // A terminal without a mouse is no reason to stop.
        let _ = if on { execute!(stdout(), EnableMouseCapture) } else { execute!(stdout(), DisableMouseCapture) };
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        give_back();
        self.signals.close();
    }
}

/// Switches everything on that [`give_back`] undoes.
fn take_over() -> std::io::Result<()> {
    if let Ok(mut drawing) = DRAWING.lock() {
        *drawing = Some(std::thread::current().id());
    }
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableMouseCapture, EnableBracketedPaste)
}

/// How long the drawing thread may take to end after a signal.
const GRACE: Duration = Duration::from_secs(2);

/// Sets `ended` on SIGTERM, SIGHUP and SIGINT (a Ctrl-C that is typed arrives as a key), `held` on SIGTSTP. When the
/// terminal itself is gone, reading keys never returns (the end of file is read again and again), so the flag alone
/// would leave a process that spins for ever: after [`GRACE`] this thread ends the process in its place. Jobs are
/// processes of their own and go on.
fn watch_signals(
    ended: Arc<AtomicBool>,
    held: Arc<AtomicBool>,
    is_over: Receiver<()>,
) -> std::io::Result<signal_hook::iterator::Handle> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGHUP, SIGINT, SIGTSTP])?;
    let handle = signals.handle();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if signal == SIGTSTP {
                held.store(true, Ordering::Relaxed);
                continue;
            }
            ended.store(true, Ordering::Relaxed);
            if let Err(RecvTimeoutError::Timeout) = is_over.recv_timeout(GRACE) {
                give_back();
                std::process::exit(130);
            }
        }
    })?;
    Ok(handle)
}

/// What a thread other than the drawing one last panicked with.
pub fn take_panic() -> Option<String> {
    LAST_PANIC.lock().ok()?.take()
}

/// A failure of the terminal itself.
pub fn terminal_error(error: &std::io::Error) -> Error {
    Error::new(Kind::Io, tr!("the terminal: {error}", "终端：{error}"))
        .hint(tr!("run it in a terminal window", "请在终端窗口中运行"))
}

/// Undoes everything that was switched on, once. Every step is tried: the terminal may be gone.
fn give_back() {
    let drawing = DRAWING.lock().map_or(None, |mut d| d.take());
    if drawing.is_none() {
        return;
    }
    let _ = execute!(stdout(), DisableBracketedPaste, DisableMouseCapture, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let drawing = DRAWING.lock().map_or(None, |d| *d);
            match drawing {
                // Printed on the alternate screen it would only spoil the picture.
                Some(thread) if thread != std::thread::current().id() => {
                    if let Ok(mut last) = LAST_PANIC.lock() {
                        *last = Some(info.to_string());
                    }
                }
                _ => {
                    give_back();
                    before(info);
                }
            }
        }));
    });
}
