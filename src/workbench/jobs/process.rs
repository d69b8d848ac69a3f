//! A job's process: how it is started, what it does first and last, and how it is signalled.

use super::{JOB_VARIABLE, JobView, Workbench, file, show};
use crate::error::{Error, Kind, Result};
use crate::job::{self, progress};
use crate::store::{JobEnd, JobState};
use crate::tr;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Signals that ask a job to stop.
const STOPS: [libc::c_int; 2] = [libc::SIGINT, libc::SIGTERM];

/// Starts the process of a new job. With `resumes` it goes on with the work of that job, if no other does so already.
pub fn spawn(bench: &Workbench, argv: &[String], cwd: &Path, title: &str, resumes: Option<&str>) -> Result<JobView> {
    if !cwd.is_dir() {
        let folder = cwd.display();
        return Err(Error::new(Kind::NotFound, tr!("there is no folder {folder}", "没有目录 {folder}")).hint(tr!(
            "a job works in the folder that it was started in; make it again, or start a new job elsewhere",
            "任务在启动它的目录中运行；请重新建立该目录，或在别处启动新任务"
        )));
    }
    let (id, lock) = locked(bench)?;
    let begun = begin_record(bench, &id, argv, cwd, title, resumes).and_then(|log| launch(bench, &id, cwd, lock, log));
    if let Err(error) = begun {
        bench.store.release_job(&id)?;
        let end = JobEnd {
            state: JobState::Failed,
            exit_code: None,
            message: Some(error.message.clone()),
            progress: None,
            now: true,
        };
        bench.store.end_job(&id, &end)?;
        let _ = std::fs::remove_file(file(bench, &id, "lock"));
        return Err(error);
    }
    show(bench, &id)
}

/// An id that nobody has, and its lock file, held.
fn locked(bench: &Workbench) -> Result<(String, File)> {
    let folder = bench.settings.home.join("jobs");
    std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, &e))?;
    loop {
        let id = bench.store.new_job_id();
        let path = file(bench, &id, "lock");
        match File::options().read(true).write(true).create_new(true).open(&path) {
            Ok(lock) => {
                lock.lock().map_err(|e| Error::io(&path, &e))?;
                return Ok((id, lock));
            }
            // Someone started a job in the same second and drew the same four digits.
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io(&path, &e)),
        }
    }
}

/// Records the job and makes its log.
fn begin_record(
    bench: &Workbench,
    id: &str,
    argv: &[String],
    cwd: &Path,
    title: &str,
    resumes: Option<&str>,
) -> Result<File> {
    if let Some(before) = resumes
        && !bench.store.claim_job(before, id)?
    {
        return Err(taken_up(before, bench.store.job(before)?.resumed_as.as_deref()));
    }
    let path = file(bench, id, "log");
    let log = File::create(&path).map_err(|e| Error::io(&path, &e))?;
    bench.store.insert_job(id, argv, &cwd.to_string_lossy(), title)?;
    Ok(log)
}

/// What is said when the job `before` goes on already.
pub fn taken_up(before: &str, next: Option<&str>) -> Error {
    let next = next.unwrap_or("?");
    Error::new(Kind::InvalidInput, tr!("job {before} goes on as {next}", "任务 {before} 已由 {next} 继续")).hint(tr!(
        "`linly-bench jobs show {next}` says how that stands",
        "用 `linly-bench jobs show {next}` 查看其状态"
    ))
}

fn launch(bench: &Workbench, id: &str, cwd: &Path, lock: File, log: File) -> Result<()> {
    let program = std::env::current_exe().map_err(|e| Error::io(Path::new("/proc/self/exe"), &e))?;
    let home = std::path::absolute(&bench.settings.home).map_err(|e| Error::io(&bench.settings.home, &e))?;
    let both = log.try_clone().map_err(|e| Error::io(&file(bench, id, "log"), &e))?;
    let mut command = Command::new(&program);
    command.arg("--home").arg(home).args(["jobs", "work", id]).env(JOB_VARIABLE, id).current_dir(cwd);
    // The lock is held by the open file, which the child shares: it stays locked when this process closes its own.
    command.stdin(Stdio::from(lock)).stdout(Stdio::from(log)).stderr(Stdio::from(both));
    detach(&mut command);
    let mut child = command.spawn().map_err(|e| Error::io(&program, &e))?;
    bench.store.set_job_pid(id, child.id())?;
    // Someone has to take note of its end, or it stays as a zombie while this program runs.
    std::thread::spawn(move || child.wait());
    Ok(())
}

/// A session of its own: neither the terminal's Ctrl-C nor its end reaches the job.
fn detach(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec only `setsid`, `signal` and the two of `mask` are called, which are async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            if libc::setsid() == -1 {
                return Err(std::io::Error::last_os_error());
            }
            for signal in STOPS {
                // A shell's background commands ignore SIGINT, and an ignored signal stays ignored: a job must hear it.
                libc::signal(signal, libc::SIG_DFL);
            }
            // It would die of a signal without a word before it has a handler: until then they wait.
            mask(libc::SIG_BLOCK)
        });
    }
}

/// Holds the signals that ask to stop back, or lets them in.
fn mask(how: libc::c_int) -> std::io::Result<()> {
    // SAFETY: the set is written by `sigemptyset` before anything reads it, and outlives the calls.
    let done = unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut set);
        for signal in STOPS {
            libc::sigaddset(&mut set, signal);
        }
        libc::pthread_sigmask(how, &set, std::ptr::null_mut())
    };
    if done == 0 { Ok(()) } else { Err(std::io::Error::from_raw_os_error(done)) }
}

/// Lets the signals in that the starter held back. A worker calls it when its handlers stand, before it has other threads.
///
/// # Errors
/// `Io`.
pub fn hear_stops() -> Result<()> {
    mask(libc::SIG_UNBLOCK).map_err(|e| Error::io(Path::new("signals"), &e))
}

/// Whether this process was started to work on the job `id`.
pub fn is_worker(id: &str) -> bool {
    std::env::var(JOB_VARIABLE).ok().as_deref() == Some(id)
}

/// Makes this process the worker of the job `id` and gives the arguments it is to run.
///
/// # Errors
/// `Usage` when this process was not started for that job.
pub fn begin(bench: &Workbench, id: &str) -> Result<Vec<String>> {
    let record = bench.store.job(id)?;
    if !is_worker(id) || record.state != JobState::Running {
        return Err(Error::new(
            Kind::Usage,
            tr!("`jobs work` is for the program itself", "`jobs work` 仅供程序自身使用"),
        )
        .hint(tr!("use `linly-bench jobs start -- ARGS…`", "请使用 `linly-bench jobs start -- 参数…`")));
    }
    job::set_current(id);
    progress::begin(file(bench, id, "progress"));
    bench.store.set_job_started(id, std::process::id())?;
    Ok(record.argv)
}

/// Records how the job of this process ended.
///
/// # Errors
/// Those of the store.
pub fn end(bench: &Workbench, id: &str, exit_code: u8, error: Option<&Error>) -> Result<()> {
    let state = match exit_code {
        0 => JobState::Finished,
        130 => JobState::Interrupted,
        _ => JobState::Failed,
    };
    let message = error.map(|e| match &e.hint {
        Some(hint) => format!("{}\n{hint}", e.message),
        None => e.message.clone(),
    });
    let end = JobEnd { state, exit_code: Some(exit_code), message, progress: progress::close(), now: true };
    bench.store.end_job(id, &end)?;
    progress::remove(&file(bench, id, "progress"));
    Ok(())
}

/// What a job says that was stopped where it has no safe point.
pub fn stopped_at_once() -> String {
    tr!("stopped before it came to a safe point", "在到达安全点之前被停止")
}

/// How a job ended whose process is gone without a record of it, and which was asked to stop so many times.
pub fn vanished(id: &str, stops: u32, progress: Option<progress::Progress>) -> JobEnd {
    let way = tr!("go on with: linly-bench jobs resume {id}", "继续：linly-bench jobs resume {id}");
    let (exit_code, why) = if stops > 0 {
        (Some(130), stopped_at_once())
    } else {
        let why = tr!(
            "its process ended without a word: it was killed, or the machine went down",
            "进程未留记录就结束了：被强制终止，或机器中途关机"
        );
        (None, why)
    };
    JobEnd { state: JobState::Interrupted, exit_code, message: Some(format!("{why}\n{way}")), progress, now: false }
}

/// Longest wait for a process that is being started to tell its number.
const BIRTH: Duration = Duration::from_secs(5);

/// Asks a job to stop: the first time at its next safe point (SIGINT), then at once (SIGTERM).
///
/// # Errors
/// `InvalidInput` when it does not run.
pub fn stop(bench: &Workbench, id: &str) -> Result<JobView> {
    let begun = Instant::now();
    let mut found = show(bench, id)?;
    while found.record.state == JobState::Running && found.record.pid.is_none() && begun.elapsed() < BIRTH {
        std::thread::sleep(Duration::from_millis(10));
        found = show(bench, id)?;
    }
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

/// Whether some process holds a job's lock.
pub fn is_held(lock: &PathBuf) -> bool {
    File::open(lock).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
