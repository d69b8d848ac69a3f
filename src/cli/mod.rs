//! The command line: one file per command, all on top of [`crate::workbench`].

mod arena;
mod bench;
mod chat;
mod columns;
mod compare;
mod data;
mod data_annotate;
mod data_check;
mod data_drafts;
mod data_export;
mod data_history;
mod data_import;
mod data_mix;
mod data_quality;
mod data_stats;
mod data_versions;
mod data_view;
mod demo;
mod doctor;
mod draw;
mod evals;
mod examinee;
mod gpu_check;
mod jobs;
mod leaderboard;
mod models;
mod models_write;
mod plan_view;
mod pretrain;
mod run;
mod runs;
mod score_table;
mod score_view;
mod serve;
mod server_flags;
mod signals;
mod train;
mod train_flags;
mod train_view;
mod tui;
mod ui;
mod verbs;

pub use ui::Ui;

use crate::config::Settings;
use crate::error::{Error, Kind, Result};
use crate::job::CancelToken;
use crate::lang::{self, Lang};
use crate::workbench::Workbench;
use crate::workbench::answering::Place;
use crate::workbench::device::Wish;
use clap::{Parser, Subcommand, ValueEnum};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// A workbench that turns a general language model into a domain expert and proves whether it became one.
#[derive(Parser)]
#[command(name = "linly-bench", version, about, long_about = None, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Flags that every command takes.
#[derive(clap::Args)]
struct Global {
    /// Folder of the database, models, adapters and runs [default: the platform's data folder]
    #[arg(long, global = true, env = "LINLY_BENCH_HOME", value_name = "DIR", help_heading = "Global")]
    home: Option<PathBuf>,
    /// Folder of downloaded benchmarks
    #[arg(long, global = true, env = "LINLY_BENCH_DATA", value_name = "DIR", help_heading = "Global")]
    data_dir: Option<PathBuf>,
    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE", help_heading = "Global")]
    device: String,
    /// Print one JSON object on stdout (long jobs: one event per line)
    #[arg(long, global = true, help_heading = "Global")]
    json: bool,
    /// No progress and no remarks on stderr
    #[arg(long, short, global = true, help_heading = "Global")]
    quiet: bool,
    /// Seed of everything random [default: 42]
    #[arg(long, global = true, value_name = "N", help_heading = "Global")]
    seed: Option<u64>,
    /// Language of messages [default: from the locale]
    #[arg(long, global = true, value_enum, help_heading = "Global")]
    lang: Option<LangArg>,
}

#[derive(Clone, Copy, ValueEnum)]
enum LangArg {
    En,
    Zh,
}

// One value exists, for a moment: boxing the larger variants would only hide them.
#[allow(clippy::large_enum_variant)]
#[derive(Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Doctor(doctor::DoctorArgs),
    Data(data::DataArgs),
    Models(models::ModelsArgs),
    Train(train::TrainArgs),
    Pretrain(pretrain::PretrainArgs),
    Run(run::Args),
    Runs(runs::Args),
    Jobs(jobs::Args),
    Evals(evals::Args),
    Arena(arena::ArenaArgs),
    Leaderboard(leaderboard::LeaderboardArgs),
    Chat(chat::ChatArgs),
    Serve(serve::ServeArgs),
    Bench(bench::BenchArgs),
    #[command(hide = true)]
    GpuCheck(gpu_check::GpuCheckArgs),
    /// Open the terminal interface (as does no command at all)
    #[command(after_help = "Example:\n  linly-bench tui")]
    Tui,
}

/// What a command works with.
pub struct Context {
    /// stdout, stderr, progress.
    pub ui: Ui,
    settings: Settings,
    /// Where to compute.
    wish: Wish,
}

impl Context {
    /// Opens the home's database. Commands that need none never call this, so they leave no trace.
    pub fn workbench(&self) -> Result<Workbench> {
        Workbench::open(self.settings.clone())
    }

    /// A token that Ctrl-C and SIGTERM set. A second signal ends the process at once.
    pub fn cancel_on_signals(&self) -> Result<CancelToken> {
        signals::cancel_on_signals(&self.ui)
    }

    /// Where models answer, in f32 if `exact` where that is a card.
    fn place(&self, exact: bool) -> Place<'_> {
        Place { wish: self.wish, exact, hear: &self.ui }
    }

    /// Where things are.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// Parses the command line, runs it, and gives the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
pub fn main() -> ExitCode {
    let cli = Cli::parse_from(data_import::rename_row_language(std::env::args_os()));
    let worker = match &cli.command {
        Some(Command::Jobs(args)) => jobs::worker_of(args).map(str::to_owned),
        _ => None,
    };
    ExitCode::from(match worker {
        Some(id) => work(cli, &id),
        None => execute(cli).0,
    })
}

/// Runs a parsed command line; gives the exit code, and what went wrong after it was told.
fn execute(cli: Cli) -> (u8, Option<Error>) {
    lang::set(match cli.global.lang {
        Some(LangArg::En) => Lang::En,
        Some(LangArg::Zh) => Lang::Zh,
        None => lang::from_locale(),
    });
    let ui = Ui::new(cli.global.json, cli.global.quiet);
    match run(cli, &ui) {
        Ok(code) => (code, None),
        Err(error) => {
            if ui.json {
                let Error { kind, message, hint } = &error;
                ui.json_line(&json!({"event": "failed", "kind": kind.as_str(), "message": message, "hint": hint}));
            }
            ui.error(&error);
            let code = match error.kind {
                Kind::Interrupted => 130,
                Kind::Usage => 2,
                _ => 1,
            };
            (code, Some(error))
        }
    }
}

/// The process of a background job: runs the stored arguments and records how that ended.
fn work(cli: Cli, id: &str) -> u8 {
    let home = cli.global.home.clone();
    let (place, job) = (home.clone(), id.to_owned());
    let record_stop = move || {
        let stopped = Error::new(Kind::Interrupted, crate::workbench::jobs::stopped_at_once());
        Ui::new(false, false).error(&stopped);
        // Where this fails, whoever looks at the job next finds its lock free and records the same.
        let bench = Settings::resolve(place.clone(), None, None).and_then(Workbench::open);
        let _ = bench.and_then(|bench| crate::workbench::jobs::end(&bench, &job, 130, Some(&stopped)));
    };
    let attempt = || -> Result<u8> {
        if crate::workbench::jobs::is_worker(id) {
            signals::hear_in_job(record_stop)?;
        }
        let settings = Settings::resolve(home.clone(), None, None)?;
        let bench = Workbench::open(settings)?;
        let argv = crate::workbench::jobs::begin(&bench, id)?;
        let words = std::iter::once("linly-bench".to_owned()).chain(argv).map(Into::into);
        let (code, error) = match Cli::try_parse_from(data_import::rename_row_language(words)) {
            Ok(mut command) => {
                command.global.home = home;
                ui::follow_bars();
                execute(command)
            }
            Err(e) => {
                let error = Error::new(Kind::Usage, e.to_string());
                Ui::new(false, false).error(&error);
                (2, Some(error))
            }
        };
        crate::workbench::jobs::end(&bench, id, code, error.as_ref())?;
        Ok(code)
    };
    attempt().unwrap_or_else(|error| {
        Ui::new(false, false).error(&error);
        if error.kind == Kind::Usage { 2 } else { 1 }
    })
}

fn run(cli: Cli, ui: &Ui) -> Result<u8> {
    let named = cli.global.lang.is_some();
    // Global flags that a job started from here must get too; the workbench adds the rest.
    let mut globals = Vec::new();
    if cli.global.device != "auto" {
        globals.extend(["--device".to_owned(), cli.global.device.clone()]);
    }
    if let Some(seed) = cli.global.seed {
        globals.extend(["--seed".to_owned(), seed.to_string()]);
    }
    let settings = Settings::resolve(cli.global.home, cli.global.data_dir, cli.global.seed)?;
    // The doctor says why a device cannot be used: it must not fail for it.
    let wish = match &cli.command {
        Some(Command::Doctor(_)) => Wish::Auto,
        // So must not the check of one that is not there.
        Some(Command::GpuCheck(_)) => Wish::named(&cli.global.device)?,
        _ => Wish::parse(&cli.global.device)?,
    };
    if matches!(
        cli.command,
        Some(Command::Demo(_) | Command::Models(_) | Command::Runs(_) | Command::Evals(_) | Command::Leaderboard(_))
    ) {
        wish.on_processor_only()?;
    }
    let context = Context { ui: ui.clone(), settings, wish };
    match cli.command {
        None | Some(Command::Tui) => return tui::run(&context, named),
        Some(Command::Demo(args)) => demo::run(&context, &args),
        Some(Command::Doctor(args)) => doctor::run(&context, &args),
        Some(Command::Data(args)) => data::run(&context, args),
        Some(Command::Models(args)) => models::run(&context, args),
        Some(Command::Train(args)) => train::run(&context, args),
        Some(Command::Pretrain(args)) => pretrain::run(&context, args),
        Some(Command::Run(args)) => run::run(&context, args, &context.cancel_on_signals()?),
        Some(Command::Runs(args)) => runs::run(&context, args),
        Some(Command::Jobs(args)) => return jobs::run(&context, args, globals),
        Some(Command::Evals(args)) => evals::run(&context, args),
        Some(Command::Arena(args)) => arena::run(&context, args),
        Some(Command::Leaderboard(args)) => leaderboard::run(&context, &args),
        Some(Command::Chat(args)) => chat::run(&context, &args),
        Some(Command::Serve(args)) => serve::run(&context, &args),
        Some(Command::Bench(args)) => bench::run(&context, args),
        Some(Command::GpuCheck(args)) => gpu_check::run(&context, &args),
    }?;
    Ok(0)
}
