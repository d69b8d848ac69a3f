//! Jobs that are started from the screen: each on an operating system thread of its own.

use super::form::{Job, ScoreForm, TrainForm};
use crate::error::{Error, Kind, Result};
use crate::job::CancelToken;
use crate::tr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// Starts jobs. Both functions work until the job ends, on a thread made for it; they record the run
/// and its events in the store, where the screens find them.
pub trait Launcher: Send + Sync + 'static {
    /// Trains an adapter.
    fn train(&self, form: &TrainForm, cancel: &CancelToken) -> Result<()>;
    /// Scores a model on a benchmark.
    fn score(&self, form: &ScoreForm, cancel: &CancelToken) -> Result<()>;
}

/// The jobs that run in this program.
pub struct Jobs {
    launcher: Option<Arc<dyn Launcher>>,
    cancel: CancelToken,
    running: Vec<JoinHandle<Result<()>>>,
    /// How many are at work, for the thread that watches signals.
    at_work: Arc<AtomicUsize>,
}

/// What the thread that watches signals needs of the jobs: how to stop them, and whether they have stopped.
#[derive(Clone, Default)]
pub struct JobsWatch {
    cancel: CancelToken,
    at_work: Arc<AtomicUsize>,
}

impl JobsWatch {
    /// Asks all jobs to stop at their next step.
    pub fn stop(&self) {
        self.cancel.cancel();
    }

    /// Whether none is at work.
    pub fn are_idle(&self) -> bool {
        self.at_work.load(Ordering::Relaxed) == 0
    }
}

/// Counts a job for as long as it lives, however it ends.
struct AtWork(Arc<AtomicUsize>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Jobs {
    /// None yet. Without a launcher none can be started.
    pub fn new(launcher: Option<Arc<dyn Launcher>>) -> Jobs {
        Jobs { launcher, cancel: CancelToken::default(), running: Vec::new(), at_work: Arc::default() }
    }

    /// A handle for the thread that watches signals.
    pub fn watch(&self) -> JobsWatch {
        JobsWatch { cancel: self.cancel.clone(), at_work: Arc::clone(&self.at_work) }
    }

    /// Whether jobs can be started.
    pub fn available(&self) -> bool {
        self.launcher.is_some()
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Starts a job.
    ///
    /// # Errors
    /// `Unsupported` without a launcher, `Io` when the system has no thread to give.
    pub fn start(&mut self, job: Job) -> Result<()> {
        let launcher = self.launcher.clone().ok_or_else(|| {
            Error::new(Kind::Unsupported, tr!("jobs cannot be started from here", "这里无法启动任务"))
        })?;
        let cancel = self.cancel.clone();
        self.at_work.fetch_add(1, Ordering::Relaxed);
        let counted = AtWork(Arc::clone(&self.at_work));
        let work = move || {
            let _counted = counted;
            match job {
                Job::Train(form) => launcher.train(&form, &cancel),
                Job::Score(form) => launcher.score(&form, &cancel),
            }
        };
        let thread = std::thread::Builder::new().name("tui-job".into()).spawn(work);
        self.running.push(thread.map_err(|e| Error::new(Kind::Io, e.to_string()))?);
        Ok(())
    }

    /// What became of the jobs that ended since the last call.
    pub fn ended(&mut self) -> Vec<Result<()>> {
        let (ended, running) = self.running.drain(..).partition(JoinHandle::is_finished);
        self.running = running;
        ended.into_iter().map(join).collect()
    }

    /// Stops all jobs at their next step and waits for them.
    pub fn stop(&mut self) {
        self.cancel.cancel();
        for thread in self.running.drain(..) {
            let _ = join(thread);
        }
    }
}

fn join(thread: JoinHandle<Result<()>>) -> Result<()> {
    thread.join().unwrap_or_else(|_| Err(Error::internal(tr!("the job broke off", "任务异常终止"))))
}
