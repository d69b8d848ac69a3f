//! Background jobs: a command of this program in a process of its own, which goes on when whoever started it ends.
//!
//! What a job holds open is `jobs/ID.lock` in the home: the starter locks that file and gives it to the new process as
//! its standard input, so the lock lives exactly as long as the process does and there is no moment without it. A job
//! marked as running whose lock is free was killed: whoever sees that first records it as `interrupted`.

mod argv;
mod log;
mod process;

pub use argv::NO_JOBS;
pub use log::{LogChunk, log};
pub use process::{begin, end, hear_stops, is_worker, stop, stopped_at_once};

use super::Workbench;
use crate::error::{Error, Kind, Result};
use crate::job::progress;
use crate::store::{JobRecord, RunStatus};
use crate::{lang, text, tr};
use argv::{job_verb_at, names_flag, quoted, value_of, without_flag};
use process::{is_held, spawn, taken_up, vanished};
use serde::Serialize;
use std::path::{Path, PathBuf};

pub use crate::job::progress::Progress;
pub use crate::store::JobState;

/// Names the job to its process. A process without it is nobody's worker.
pub const JOB_VARIABLE: &str = "LINLY_BENCH_JOB";

/// A job as front ends show it. Title and message may hold text of arguments and files: clean them first.
#[derive(Clone, Debug, Serialize)]
pub struct JobView {
    /// The record; its `state` has been checked against the lock.
    #[serde(flatten)]
    pub record: JobRecord,
    /// Runs that it worked on, in the order in which they began.
    pub runs: Vec<String>,
    /// How far it is; the last word of an ended one.
    pub progress: Option<Progress>,
    /// File of what it prints.
    pub log: PathBuf,
}

/// Starts `argv` (the arguments after the program's name) in a process of its own, in the folder `cwd`, and gives its
/// record. The home, and data folder and language unless `argv` names them, are those of `bench`.
///
/// # Errors
/// `Usage` without a command, or for one that needs a terminal; `Io` when no process can be started.
pub fn start(bench: &Workbench, argv: &[String], cwd: &Path) -> Result<JobView> {
    let mut given = without_flag(argv, "--home");
    let verb = job_verb_at(&given)?;
    let title = text::truncate(&text::one_line(&quoted(&given[verb..])), 200);
    let mut globals = Vec::new();
    if let Some(folder) = &bench.settings.data_dir
        && !names_flag(&given, "--data-dir")
    {
        let folder = std::path::absolute(folder).map_err(|e| Error::io(folder, &e))?;
        globals.extend(["--data-dir".to_owned(), folder.to_string_lossy().into_owned()]);
    }
    // After `data import`, --lang is the rows' language: only what stands before the verb is the program's.
    if !names_flag(&given[..verb], "--lang") {
        let name = if lang::current() == lang::Lang::Zh { "zh" } else { "en" };
        globals.extend(["--lang".to_owned(), name.to_owned()]);
    }
    // Who goes on with a job's run goes on with the job.
    let before = value_of(&given, "--resume").and_then(|run| bench.store.run(run).ok()?.job);
    let before = before.and_then(|job| show(bench, &job).ok()).filter(|job| not_resumable(&job.record).is_none());
    globals.append(&mut given);
    spawn(bench, &globals, cwd, &title, before.as_ref().map(|job| job.record.id.as_str()))
}

/// All jobs, the newest first.
///
/// # Errors
/// Those of the store.
pub fn list(bench: &Workbench) -> Result<Vec<JobView>> {
    let pairs = bench.store.runs_of_jobs()?;
    bench.store.jobs()?.into_iter().map(|record| view(bench, record, &pairs)).collect()
}

/// One job by its id or an unambiguous beginning of it.
///
/// # Errors
/// `NotFound`; `InvalidInput` when several begin so.
pub fn show(bench: &Workbench, id: &str) -> Result<JobView> {
    view(bench, bench.store.job(id)?, &bench.store.runs_of_jobs()?)
}

/// How far a job is; `None` while it has not said.
///
/// # Errors
/// `NotFound` for an unknown job.
pub fn progress(bench: &Workbench, id: &str) -> Result<Option<Progress>> {
    show(bench, id).map(|job| job.progress)
}

/// Why the work of a job cannot be gone on with; none if it can.
fn not_resumable(record: &JobRecord) -> Option<Error> {
    let (id, state) = (&record.id, record.state.as_str());
    if let Some(next) = &record.resumed_as {
        return Some(taken_up(id, Some(next)));
    }
    if matches!(record.state, JobState::Interrupted | JobState::Failed) {
        return None;
    }
    let why =
        tr!("job {id} is {state}: there is nothing to go on with", "任务 {id} 的状态是 {state}：没有可继续的内容");
    let hint = tr!("interrupted and failed jobs can be resumed", "只有中断或失败的任务可以继续");
    Some(Error::new(Kind::InvalidInput, why).hint(hint))
}

/// Starts an interrupted or failed job's work again, as a new job: its unfinished run goes on where the command can
/// do that (`--resume`), otherwise the same command runs again.
///
/// # Errors
/// `InvalidInput` for a job that runs, finished or goes on already; `NotFound` when the folder that it works in is gone.
pub fn resume(bench: &Workbench, id: &str) -> Result<JobView> {
    let JobView { record, runs, .. } = show(bench, id)?;
    if let Some(error) = not_resumable(&record) {
        return Err(error);
    }
    let mut unfinished = None;
    for run in runs.iter().rev() {
        let run = bench.store.run(run)?;
        if run.status == RunStatus::Running {
            let run = run.id;
            return Err(Error::new(
                Kind::InvalidInput,
                tr!("run {run} is being worked on by another process", "运行 {run} 正由另一个进程处理"),
            )
            .hint(tr!("wait for it, or stop it first", "请等待它结束，或先停止它")));
        }
        if run.status != RunStatus::Done {
            unfinished = Some((run.id, run.kind));
            break;
        }
    }
    let argv = unfinished.and_then(|(run, kind)| argv::resumed(&record.argv, &run, &kind));
    let argv = argv.unwrap_or_else(|| record.argv.clone());
    spawn(bench, &argv, Path::new(&record.cwd), &record.title, Some(&record.id))
}

/// Forgets an ended job and deletes its files; runs and adapters stay.
///
/// # Errors
/// `InvalidInput` while it runs.
pub fn remove(bench: &Workbench, id: &str) -> Result<JobView> {
    let found = show(bench, id)?;
    let id = &found.record.id;
    if found.record.state == JobState::Running {
        return Err(Error::new(Kind::InvalidInput, tr!("job {id} runs", "任务 {id} 正在运行"))
            .hint(tr!("stop it first: linly-bench jobs stop {id}", "请先停止：linly-bench jobs stop {id}")));
    }
    bench.store.delete_job(id)?;
    progress::remove(&file(bench, id, "progress"));
    for kind in ["log", "lock"] {
        let path = file(bench, id, kind);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(&path, &e)),
            _ => {}
        }
    }
    Ok(found)
}

fn view(bench: &Workbench, mut record: JobRecord, pairs: &[(String, String)]) -> Result<JobView> {
    if record.state == JobState::Running && !is_held(&file(bench, &record.id, "lock")) {
        // It may have ended between the two looks: what it recorded then counts.
        record = bench.store.job(&record.id)?;
        if record.state == JobState::Running {
            record = settled(bench, record);
        }
    }
    let runs = pairs.iter().filter(|(job, _)| *job == record.id).map(|(_, run)| run.clone()).collect();
    let progress = match record.state {
        JobState::Running => progress::read(&file(bench, &record.id, "progress")),
        _ => record.progress.clone(),
    };
    Ok(JobView { runs, progress, log: file(bench, &record.id, "log"), record })
}

/// A job whose process is gone without having recorded its end: that is done in its place, once. Where nothing can be
/// written it is still shown as what it is.
fn settled(bench: &Workbench, record: JobRecord) -> JobRecord {
    let path = file(bench, &record.id, "progress");
    let end = vanished(&record.id, record.stops, progress::read(&path));
    if bench.store.end_job(&record.id, &end).is_ok() {
        progress::remove(&path);
    }
    JobRecord { state: end.state, exit_code: end.exit_code, message: end.message, progress: end.progress, ..record }
}

fn file(bench: &Workbench, id: &str, extension: &str) -> PathBuf {
    bench.settings.home.join("jobs").join(format!("{id}.{extension}"))
}
