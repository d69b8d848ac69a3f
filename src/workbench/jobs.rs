//! Background jobs: a command of this program in a process of its own, which goes on when whoever started it ends.
//!
//! What a job holds open is `jobs/ID.lock` in the home: the starter locks that file and gives it to the new process as
//! its standard input, so the lock lives exactly as long as the process does and there is no moment without it. A job
//! marked as running whose lock is free was killed and reads `interrupted`.

use super::Workbench;
use crate::error::{Error, Kind, Result};
use crate::job::{self, progress};
use crate::store::{JobRecord, RunStatus};
use crate::{lang, text, tr};
use serde::Serialize;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use crate::job::progress::Progress;
pub use crate::store::JobState;

/// Names the job to its process. A process without it is nobody's worker.
pub const JOB_VARIABLE: &str = "LINLY_BENCH_JOB";

/// Global flags that take a value.
const GLOBALS: [&str; 5] = ["--home", "--data-dir", "--device", "--seed", "--lang"];

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

/// A stretch of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogChunk {
    /// The text; may hold escape sequences. What is no UTF-8 is replaced.
    pub text: String,
    /// Byte at which the stretch begins.
    pub from: u64,
    /// Byte to go on from. No character is cut in two.
    pub next: u64,
    /// Bytes in the log now.
    pub size: u64,
}

/// Starts `argv` (the arguments after the program's name) in a process of its own, in the folder `cwd`, and gives its
/// record. The home, and data folder and language unless `argv` names them, are those of `bench`.
///
/// # Errors
/// `Usage` without a command; `Io` when no process can be started.
pub fn start(bench: &Workbench, argv: &[String], cwd: &Path) -> Result<JobView> {
    let mut given = without_flag(argv, "--home");
    let Some(verb) = verb_at(&given) else {
        return Err(Error::new(Kind::Usage, tr!("a job needs a command", "任务需要一条命令"))
            .hint("linly-bench jobs start -- train --model MODEL --data NAME --adapter NAME"));
    };
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
    globals.append(&mut given);
    spawn(bench, &globals, cwd, &title)
}

fn spawn(bench: &Workbench, argv: &[String], cwd: &Path, title: &str) -> Result<JobView> {
    let folder = folder(bench)?;
    let id = bench.store.new_job_id();
    let lock_path = file(bench, &id, "lock");
    let lock = File::options().read(true).write(true).create_new(true).open(&lock_path);
    let lock = lock.map_err(|e| Error::io(&lock_path, &e))?;
    lock.lock().map_err(|e| Error::io(&lock_path, &e))?;
    let log_path = file(bench, &id, "log");
    let log = File::create(&log_path).map_err(|e| Error::io(&log_path, &e))?;
    let both = log.try_clone().map_err(|e| Error::io(&log_path, &e))?;
    bench.store.insert_job(&id, argv, &cwd.to_string_lossy(), title)?;
    let program = std::env::current_exe().map_err(|e| Error::io(&folder, &e))?;
    let home = std::path::absolute(&bench.settings.home).map_err(|e| Error::io(&bench.settings.home, &e))?;
    let mut command = Command::new(&program);
    command.arg("--home").arg(home).args(["jobs", "work", &id]).env(JOB_VARIABLE, &id).current_dir(cwd);
    // The lock is held by the open file, which the child shares: it stays locked when this process closes its own.
    command.stdin(Stdio::from(lock)).stdout(Stdio::from(log)).stderr(Stdio::from(both));
    detach(&mut command);
    match command.spawn() {
        Ok(mut child) => {
            bench.store.set_job_pid(&id, child.id())?;
            // Someone has to take note of its end, or it stays as a zombie while this program runs.
            std::thread::spawn(move || child.wait());
        }
        Err(e) => {
            let error = Error::io(&program, &e);
            bench.store.end_job(&id, JobState::Failed, None, Some(&error.message))?;
            return Err(error);
        }
    }
    show(bench, &id)
}

/// A session of its own: neither the terminal's Ctrl-C nor its end reaches the job.
fn detach(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec only `setsid` and `signal` are called, which are async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            if libc::setsid() == -1 {
                return Err(std::io::Error::last_os_error());
            }
            // A shell's background commands ignore SIGINT, and an ignored signal stays ignored: a job must hear it.
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            libc::signal(libc::SIGTERM, libc::SIG_DFL);
            Ok(())
        });
    }
}

/// Makes this process the worker of the job `id` and gives the arguments it is to run.
///
/// # Errors
/// `Usage` when this process was not started for that job.
pub fn begin(bench: &Workbench, id: &str) -> Result<Vec<String>> {
    let record = bench.store.job(id)?;
    if std::env::var(JOB_VARIABLE).ok().as_deref() != Some(id) || record.state != JobState::Running {
        return Err(Error::new(
            Kind::Usage,
            tr!("`jobs work` is for the program itself", "`jobs work` 仅供程序自身使用"),
        )
        .hint(tr!("use `linly-bench jobs start -- ARGS…`", "请使用 `linly-bench jobs start -- 参数…`")));
    }
    job::set_current(id);
    progress::begin(file(bench, id, "progress"));
    bench.store.set_job_started(id)?;
    Ok(record.argv)
}

/// Records how the job of this process ended.
///
/// # Errors
/// Those of the store.
pub fn end(bench: &Workbench, id: &str, exit_code: u8, error: Option<&Error>) -> Result<()> {
    progress::flush();
    let state = match exit_code {
        0 => JobState::Finished,
        130 => JobState::Interrupted,
        _ => JobState::Failed,
    };
    let message = error.map(|e| match &e.hint {
        Some(hint) => format!("{}\n{hint}", e.message),
        None => e.message.clone(),
    });
    bench.store.end_job(id, state, Some(exit_code), message.as_deref())
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
    Ok(progress::read(&file(bench, &bench.store.job(id)?.id, "progress")))
}

/// At most `max_bytes` of a job's log from the byte `from` on; cheap to poll with the last answer's `next`.
///
/// # Errors
/// `NotFound` for an unknown job or a log that is gone.
pub fn log(bench: &Workbench, id: &str, from: u64, max_bytes: usize) -> Result<LogChunk> {
    let path = file(bench, &bench.store.job(id)?.id, "log");
    let fail = |e: std::io::Error| Error::io(&path, &e);
    let mut file = File::open(&path).map_err(fail)?;
    let size = file.metadata().map_err(fail)?.len();
    let from = from.min(size);
    file.seek(SeekFrom::Start(from)).map_err(fail)?;
    let mut bytes = Vec::new();
    // A character has up to four bytes: with fewer a poll could never go on.
    file.take(max_bytes.max(4) as u64).read_to_end(&mut bytes).map_err(fail)?;
    bytes.truncate(whole_characters(&bytes));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(LogChunk { text, from, next: from + bytes.len() as u64, size })
}

/// Bytes of `bytes` without a character whose end is not there yet.
fn whole_characters(bytes: &[u8]) -> usize {
    let start = bytes.len().saturating_sub(3);
    for at in (start..bytes.len()).rev() {
        let needed = match bytes[at] {
            0xc0..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0..0xf8 => 4,
            0x80..0xc0 => continue,
            _ => 1,
        };
        return if at + needed > bytes.len() { at } else { bytes.len() };
    }
    bytes.len()
}

/// Asks a job to stop: the first time at its next safe point (SIGINT), then at once (SIGTERM).
///
/// # Errors
/// `InvalidInput` when it does not run.
pub fn stop(bench: &Workbench, id: &str) -> Result<JobView> {
    let found = show(bench, id)?;
    let id = &found.record.id;
    let Some(pid) = found.record.pid.filter(|_| found.record.state == JobState::Running) else {
        return Err(not_running(id));
    };
    let pid = libc::pid_t::try_from(pid).map_err(|e| Error::internal(e.to_string()))?;
    let signal = if bench.store.count_job_stop(id)? > 1 { libc::SIGTERM } else { libc::SIGINT };
    // A number of a process that is gone may be another's by now: only the holder of the lock is signalled.
    if pid <= 1 || !is_held(&file(bench, id, "lock")) {
        return Err(not_running(id));
    }
    // SAFETY: `kill` only takes numbers.
    if unsafe { libc::kill(pid, signal) } != 0 {
        return Err(not_running(id));
    }
    show(bench, id)
}

fn not_running(id: &str) -> Error {
    Error::new(Kind::InvalidInput, tr!("job {id} does not run", "任务 {id} 没有在运行"))
        .hint(tr!("`linly-bench jobs show {id}` says how it ended", "用 `linly-bench jobs show {id}` 查看其结果"))
}

/// Starts an interrupted or failed job's work again, as a new job: its unfinished run goes on where the command can
/// do that (`--resume`), otherwise the same command runs again.
///
/// # Errors
/// `InvalidInput` for a job that runs or finished.
pub fn resume(bench: &Workbench, id: &str) -> Result<JobView> {
    let JobView { record, runs, .. } = show(bench, id)?;
    if !matches!(record.state, JobState::Interrupted | JobState::Failed) {
        let (id, state) = (&record.id, record.state.as_str());
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("job {id} is {state}: there is nothing to go on with", "任务 {id} 的状态是 {state}：没有可继续的内容"),
        )
        .hint(tr!("interrupted and failed jobs can be resumed", "只有中断或失败的任务可以继续")));
    }
    let mut unfinished = None;
    for run in runs.iter().rev() {
        let run = bench.store.run(run)?;
        if run.status != RunStatus::Done {
            unfinished = Some((run.id, run.kind));
            break;
        }
    }
    let argv = match unfinished {
        Some((run, kind)) => resumed(&record.argv, &run, &kind).unwrap_or_else(|| record.argv.clone()),
        None => record.argv.clone(),
    };
    spawn(bench, &argv, Path::new(&record.cwd), &record.title)
}

/// The arguments that go on with `run` instead of beginning anew; `None` where repeating the command is the way.
fn resumed(argv: &[String], run: &str, kind: &str) -> Option<Vec<String>> {
    let at = verb_at(argv)?;
    let (verb, rest) = (argv[at].as_str(), &argv[at + 1..]);
    match (verb, kind) {
        // A run keeps its own settings; other flags beside --resume are refused.
        ("train" | "pretrain", "train") => {}
        // Of several benchmarks one would be gone on with and the others left out; repeating takes the answers of those
        // that are done from their runs.
        ("run", "eval")
            if rest.iter().take_while(|a| !a.starts_with('-')).count() == 1
                && !names_flag(rest, "--presets")
                && !crate::eval::is_group(&rest[0]) => {}
        _ => return None,
    }
    let mut out = argv[..at].to_vec();
    out.extend([verb.to_owned(), "--resume".to_owned(), run.to_owned()]);
    for flag in ["--json", "--quiet", "-q"] {
        out.extend(rest.iter().find(|a| *a == flag).cloned());
    }
    let valued: &[&str] = if verb == "run" {
        &["--data-dir", "--device", "--log-samples", "--submission", "--permute"]
    } else {
        &["--data-dir", "--device"]
    };
    for flag in valued {
        if let Some(at) = rest.iter().position(|a| a == flag) {
            out.extend(rest[at..].iter().take(2).cloned());
        }
        out.extend(rest.iter().find(|a| a.starts_with(&format!("{flag}="))).cloned());
    }
    Some(out)
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
    for kind in ["log", "progress", "lock"] {
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
            record.state = JobState::Interrupted;
        }
    }
    let runs = pairs.iter().filter(|(job, _)| *job == record.id).map(|(_, run)| run.clone()).collect();
    let progress = progress::read(&file(bench, &record.id, "progress"));
    Ok(JobView { runs, progress, log: file(bench, &record.id, "log"), record })
}

fn is_held(lock: &Path) -> bool {
    File::open(lock).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn folder(bench: &Workbench) -> Result<PathBuf> {
    let folder = bench.settings.home.join("jobs");
    std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, &e))?;
    Ok(folder)
}

fn file(bench: &Workbench, id: &str, extension: &str) -> PathBuf {
    bench.settings.home.join("jobs").join(format!("{id}.{extension}"))
}

/// Where the verb stands in `argv`: after the global flags.
fn verb_at(argv: &[String]) -> Option<usize> {
    let mut at = 0;
    while let Some(arg) = argv.get(at) {
        if !arg.starts_with('-') {
            return Some(at);
        }
        at += if GLOBALS.contains(&arg.as_str()) { 2 } else { 1 };
    }
    None
}

fn names_flag(argv: &[String], flag: &str) -> bool {
    argv.iter().any(|a| a == flag || a.strip_prefix(flag).is_some_and(|rest| rest.starts_with('=')))
}

/// `argv` without a global flag and its value.
fn without_flag(argv: &[String], flag: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut args = argv.iter();
    while let Some(arg) = args.next() {
        if arg == flag {
            args.next();
        } else if !arg.strip_prefix(flag).is_some_and(|rest| rest.starts_with('=')) {
            out.push(arg.clone());
        }
    }
    out
}

/// The arguments as a shell would take them.
fn quoted(argv: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,@%+#".contains(c);
    let quote = |arg: &String| {
        if !arg.is_empty() && arg.chars().all(plain) {
            arg.clone()
        } else {
            format!("'{}'", arg.replace('\'', r"'\''"))
        }
    };
    argv.iter().map(quote).collect::<Vec<_>>().join(" ")
}
