//! `linly-bench jobs …`: commands that work in the background.

use super::columns::{Align, columns_cutting};
use super::{Cli, Context};
use crate::error::{Error, Kind, Result};
use crate::text::{PieceCleaner, clean, one_line};
use crate::tr;
use crate::workbench::jobs::{self, JobState, JobView};
use clap::{Parser, Subcommand};
use serde_json::json;
use std::time::Duration;

/// Start commands in the background, watch, stop and resume them
#[derive(clap::Args)]
#[command(after_help = "Examples:
  linly-bench jobs start -- train --model smollm2-135m --data finance --adapter jubaopen
  linly-bench jobs list
  linly-bench jobs log JOB --follow
  linly-bench jobs stop JOB && linly-bench jobs resume JOB

A job goes on when the terminal is closed. Ids may be shortened to an unambiguous beginning.")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Start a command of this program in the background
    #[command(after_help = "Example:\n  linly-bench jobs start -- run finance-qa --model smollm2-135m")]
    Start {
        /// The command and its arguments, without `linly-bench`
        #[arg(required = true, last = true, value_name = "ARGS")]
        argv: Vec<String>,
    },
    /// All jobs, the newest first
    List,
    /// Everything that is known of a job
    Show {
        /// Id of a job, or its beginning
        job: String,
    },
    /// What a job has printed
    Log {
        /// Id of a job, or its beginning
        job: String,
        /// Go on until the job ends
        #[arg(long, short)]
        follow: bool,
    },
    /// Wait until a job ends; the exit code is the job's (1 for a killed one)
    Wait {
        /// Id of a job, or its beginning
        job: String,
    },
    /// Stop a job at its next safe point; the second time at once
    Stop {
        /// Id of a job, or its beginning
        job: String,
    },
    /// Go on with an interrupted or failed job, as a new job
    Resume {
        /// Id of a job, or its beginning
        job: String,
    },
    /// Forget ended jobs and their logs; runs and adapters stay
    #[command(after_help = "Examples:\n  linly-bench jobs remove JOB\n  linly-bench jobs remove --ended")]
    Remove {
        /// Id of a job, or its beginning
        #[arg(required_unless_present = "ended")]
        job: Option<String>,
        /// All jobs that do not run
        #[arg(long, conflicts_with = "job")]
        ended: bool,
    },
    #[command(hide = true)]
    Work { job: String },
}

/// The job whose worker this process is to become, if the command is `jobs work`.
pub(super) fn worker_of(args: &Args) -> Option<&str> {
    match &args.verb {
        Verb::Work { job } => Some(job),
        _ => None,
    }
}

/// Time between two looks at a job.
const PACE: Duration = Duration::from_millis(100);
/// Bytes of a log that are read at once.
const CHUNK: usize = 64 << 10;

/// Runs the command and gives the exit code.
///
/// # Errors
/// Those of [`jobs`].
pub fn run(context: &Context, args: Args, globals: Vec<String>) -> Result<u8> {
    let ui = &context.ui;
    match args.verb {
        Verb::Start { argv } => start(context, argv, globals)?,
        Verb::List => list(context)?,
        Verb::Show { job } => show(context, &jobs::show(&context.workbench()?, &job)?),
        Verb::Log { job, follow } => log(context, &job, follow)?,
        Verb::Wait { job } => {
            let bench = context.workbench()?;
            let mut view = jobs::show(&bench, &job)?;
            while view.record.state == JobState::Running {
                std::thread::sleep(PACE);
                view = jobs::show(&bench, &view.record.id)?;
            }
            show(context, &view);
            return Ok(view.record.exit_code.unwrap_or(1));
        }
        Verb::Stop { job } => {
            let view = jobs::stop(&context.workbench()?, &job)?;
            if ui.json {
                ui.json_line(&view);
            } else {
                let id = &view.record.id;
                ui.note(&tr!(
                    "{id} was asked to stop; once more stops it at once",
                    "已请求 {id} 停止；再次执行则立即停止"
                ));
            }
        }
        Verb::Resume { job } => {
            let bench = context.workbench()?;
            started(context, &jobs::resume(&bench, &job)?);
        }
        Verb::Remove { job, .. } => remove(context, job.as_deref())?,
        Verb::Work { .. } => return Err(Error::new(Kind::Usage, tr!("a job cannot start jobs", "任务不能再启动任务"))),
    }
    Ok(0)
}

fn start(context: &Context, argv: Vec<String>, globals: Vec<String>) -> Result<()> {
    let argv = [globals, argv].concat();
    // What cannot be understood is said here, not in a log.
    let words = std::iter::once("linly-bench".to_owned()).chain(argv.iter().cloned()).map(Into::into);
    Cli::try_parse_from(super::data_import::rename_row_language(words))
        .map_err(|e| Error::new(Kind::Usage, e.to_string().trim_start_matches("error: ").trim_end().to_owned()))?;
    let here = std::env::current_dir().map_err(|e| Error::internal(e.to_string()))?;
    started(context, &jobs::start(&context.workbench()?, &argv, &here)?);
    Ok(())
}

fn started(context: &Context, view: &JobView) {
    let (ui, id) = (&context.ui, &view.record.id);
    if ui.json {
        ui.json_line(view);
        return;
    }
    ui.line(id);
    ui.note(&tr!(
        "look at it: linly-bench jobs log {id} --follow · stop it: linly-bench jobs stop {id}",
        "查看：linly-bench jobs log {id} --follow · 停止：linly-bench jobs stop {id}"
    ));
}

fn state_word(state: JobState) -> String {
    match state {
        JobState::Running => tr!("running", "运行中"),
        JobState::Finished => tr!("finished", "已完成"),
        JobState::Failed => tr!("failed", "失败"),
        JobState::Interrupted => tr!("interrupted", "已中断"),
    }
}

fn how_far(view: &JobView) -> String {
    let Some(p) = &view.progress else { return String::new() };
    match p.total {
        Some(total) => format!("{}/{total} {}", p.done, one_line(&p.unit)),
        None => format!("{} {}", p.done, one_line(&p.unit)),
    }
}

fn list(context: &Context) -> Result<()> {
    let all = jobs::list(&context.workbench()?)?;
    let ui = &context.ui;
    if ui.json {
        ui.json_line(&all);
        return Ok(());
    }
    if all.is_empty() {
        ui.note(&tr!(
            "no jobs yet; `linly-bench jobs start -- train …` makes one",
            "还没有任务；用 `linly-bench jobs start -- train …` 开始"
        ));
        return Ok(());
    }
    let header = [tr!("job", "任务"), tr!("state", "状态"), tr!("progress", "进度"), tr!("command", "命令")];
    let header: Vec<(String, Align)> = header.into_iter().map(|name| (name, Align::Left)).collect();
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|v| vec![v.record.id.clone(), state_word(v.record.state), how_far(v), one_line(&v.record.title)])
        .collect();
    columns_cutting(&header, &rows, 80, 3).iter().for_each(|line| ui.line(line));
    Ok(())
}

fn show(context: &Context, view: &JobView) {
    let ui = &context.ui;
    if ui.json {
        ui.json_line(view);
        return;
    }
    let r = &view.record;
    let label = view.progress.as_ref().map_or_else(String::new, |p| one_line(&p.label));
    for (name, value) in [
        (tr!("job", "任务"), r.id.clone()),
        (tr!("command", "命令"), one_line(&r.title)),
        (tr!("state", "状态"), state_word(r.state)),
        (tr!("exit code", "退出码"), r.exit_code.map_or_else(String::new, |c| c.to_string())),
        (tr!("progress", "进度"), format!("{} {label}", how_far(view)).trim().to_owned()),
        (tr!("created", "创建"), r.created.clone()),
        (tr!("ended", "结束"), r.ended.clone().unwrap_or_default()),
        (tr!("runs", "运行"), view.runs.join(", ")),
        (tr!("goes on as", "继续任务"), r.resumed_as.clone().unwrap_or_default()),
        (tr!("log", "日志"), one_line(&view.log.to_string_lossy())),
        (tr!("message", "信息"), clean(r.message.as_deref().unwrap_or_default()).replace('\n', "\n            ")),
    ] {
        if !value.is_empty() {
            ui.line(&format!("{}  {value}", crate::text::pad(&name, 10)));
        }
    }
}

fn log(context: &Context, id: &str, follow: bool) -> Result<()> {
    use std::io::Write;
    let bench = context.workbench()?;
    let id = jobs::show(&bench, id)?.record.id;
    let (mut from, mut cleaner) = (0, PieceCleaner::default());
    let mut out = std::io::stdout().lock();
    loop {
        // Asked before the log is read: what a job prints last is there when it has ended.
        let over = !follow || jobs::show(&bench, &id)?.record.state != JobState::Running;
        loop {
            let chunk = jobs::log(&bench, &id, from, CHUNK)?;
            if chunk.next == from {
                break;
            }
            from = chunk.next;
            let text = cleaner.push(&chunk.text);
            let written = if context.ui.json {
                writeln!(out, "{}", json!({"from": chunk.from, "next": chunk.next, "text": text}))
            } else {
                write!(out, "{text}")
            };
            // A reader that went away (`| head`) is not an error.
            if written.and_then(|()| out.flush()).is_err() {
                return Ok(());
            }
        }
        if over {
            return Ok(());
        }
        std::thread::sleep(PACE);
    }
}

fn remove(context: &Context, id: Option<&str>) -> Result<()> {
    let bench = context.workbench()?;
    let mut removed = Vec::new();
    match id {
        Some(id) => removed.push(jobs::remove(&bench, id)?.record.id),
        None => {
            for job in jobs::list(&bench)?.into_iter().filter(|v| v.record.state != JobState::Running) {
                match jobs::remove(&bench, &job.record.id) {
                    Ok(gone) => removed.push(gone.record.id),
                    // Another one removes ended jobs at the same time.
                    Err(e) if e.kind == Kind::NotFound => {}
                    Err(e) => return Err(e),
                }
            }
        }
    }
    if context.ui.json {
        context.ui.json_line(&json!({"removed": removed}));
    } else {
        let n = removed.len();
        context.ui.note(&tr!("{n} jobs removed", "已移除 {n} 个任务"));
    }
    Ok(())
}
