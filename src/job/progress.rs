//! How far a background job is: a small file that its process writes and everyone may read. In a process that is no
//! job's, reporting does nothing.

use super::JobEvent;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The file is written at most once in this time.
const PACE: Duration = Duration::from_millis(200);

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being worked on. May hold text of files and servers: clean it before it is shown.
    pub label: String,
    /// Finished units.
    pub done: u64,
    /// Planned units, where they are known.
    pub total: Option<u64>,
    /// `steps`, `items`, `battles` or `bytes`.
    pub unit: String,
    /// When this piece of work began, in milliseconds since 1970.
    pub started: u64,
    /// When it was last heard of, in milliseconds since 1970.
    pub updated: u64,
}

/// Reads a progress file; `None` when there is none (yet).
pub fn read(path: &Path) -> Option<Progress> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

struct Reporter {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: Option<Progress>,
    /// Kind of the run whose events come in.
    kind: String,
    written: Option<Instant>,
    pending: bool,
    /// Whether the job has ended: its record tells from then on.
    over: bool,
}

static REPORTER: OnceLock<Reporter> = OnceLock::new();

/// From now on this process's progress is kept in `path`.
pub fn begin(path: PathBuf) {
    let _ = REPORTER.set(Reporter { path, state: Mutex::default() });
}

/// Tells that `done` of `total` (0: unknown) are finished. Another unit or a smaller `done` begins a new piece of work.
pub fn report(label: &str, done: u64, total: u64, unit: &str) {
    if let Some(reporter) = REPORTER.get()
        && let Ok(mut state) = reporter.state.lock()
    {
        state.report(label, done, total, unit);
        reporter.write(&mut state, false);
    }
}

/// Takes the progress out of a run's event.
pub fn observe(event: &JobEvent) {
    let Some(reporter) = REPORTER.get() else { return };
    let Ok(mut state) = reporter.state.lock() else { return };
    let unit = match state.kind.as_str() {
        "train" => "steps",
        "arena" => "battles",
        _ => "items",
    };
    match event {
        JobEvent::Started { kind, total, .. } => {
            state.kind.clone_from(kind);
            let unit = match kind.as_str() {
                "train" => "steps",
                "arena" => "battles",
                _ => "items",
            };
            state.now = None;
            state.report(kind, 0, *total, unit);
        }
        JobEvent::Progress { done, total, note } => {
            let label = if note.is_empty() { state.kind.clone() } else { note.clone() };
            state.report(&label, *done, *total, unit);
        }
        JobEvent::Step(m) => state.report("train", m.step, m.total, "steps"),
        _ => return,
    }
    reporter.write(&mut state, false);
}

/// Whether the newest report says `done` of `total`: a bar that shows the same adds nothing.
pub fn says(done: u64, total: u64) -> bool {
    REPORTER
        .get()
        .and_then(|r| r.state.lock().ok()?.now.clone())
        .is_some_and(|p| (p.done, p.total.unwrap_or(0)) == (done, total))
}

/// Writes what was held back by the pace.
pub fn flush() {
    if let Some(reporter) = REPORTER.get()
        && let Ok(mut state) = reporter.state.lock()
    {
        reporter.write(&mut state, true);
    }
}

/// The last word. From now on nothing is written any more.
pub fn close() -> Option<Progress> {
    let mut state = REPORTER.get()?.state.lock().ok()?;
    state.over = true;
    state.now.clone()
}

/// Removes a progress file and what a kill may have left of the next one.
pub fn remove(path: &Path) {
    for file in [path, &unfinished(path)] {
        // Usually one of them is not there; what cannot be removed does no harm.
        let _ = std::fs::remove_file(file);
    }
}

/// Where the next state is written before it takes the place of the last.
fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("progress.new")
}

impl State {
    fn report(&mut self, label: &str, done: u64, total: u64, unit: &str) {
        let now = unix_ms();
        let started = match &self.now {
            Some(before) if before.unit == unit && before.done <= done => before.started,
            _ => now,
        };
        let total = Some(total).filter(|n| *n > 0);
        self.now =
            Some(Progress { label: label.to_owned(), done, total, unit: unit.to_owned(), started, updated: now });
        self.pending = true;
    }
}

impl Reporter {
    /// Progress that cannot be written is no reason to fail the work.
    fn write(&self, state: &mut State, at_once: bool) {
        if state.over || !state.pending || (!at_once && state.written.is_some_and(|then| then.elapsed() < PACE)) {
            return;
        }
        let beside = unfinished(&self.path);
        if let Some(text) = state.now.as_ref().and_then(|p| serde_json::to_string(p).ok())
            && std::fs::write(&beside, text + "\n").is_ok()
        {
            let _ = std::fs::rename(&beside, &self.path);
        }
        state.written = Some(Instant::now());
        state.pending = false;
    }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
