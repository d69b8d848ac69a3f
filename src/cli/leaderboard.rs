//! `linly-bench leaderboard`: models × benchmarks × arena ratings.

use super::Context;
use crate::error::{Error, Result};
use crate::leaderboard::{Format, render};
use crate::tr;
use crate::workbench::leaderboard;
use clap::{Args, ValueEnum};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Show every model's scores and ratings, each with the run it comes from
#[derive(Args)]
#[command(after_help = "Example:\n  linly-bench leaderboard\n  linly-bench leaderboard --output leaderboard.html")]
pub struct LeaderboardArgs {
    /// How it is written: by the ending of --output if that is given, else as a table; `--json` is `--format json`
    #[arg(long, value_enum)]
    format: Option<FormatArg>,
    /// Write to this file, which is replaced if it is there
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatArg {
    Table,
    Md,
    Csv,
    Json,
    Html,
}

impl FormatArg {
    fn of(file: &Path) -> Option<FormatArg> {
        match file.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "md" | "markdown" => Some(FormatArg::Md),
            "csv" => Some(FormatArg::Csv),
            "json" => Some(FormatArg::Json),
            "html" | "htm" => Some(FormatArg::Html),
            _ => None,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Those of the database; `Io` when the file cannot be written.
pub fn run(context: &Context, args: &LeaderboardArgs) -> Result<()> {
    let board = leaderboard::leaderboard(&context.workbench()?)?;
    let format = match args.format.or_else(|| FormatArg::of(args.output.as_deref()?)) {
        _ if context.ui.json && args.output.is_none() => Format::Json,
        Some(FormatArg::Table) | None => Format::Table,
        Some(FormatArg::Md) => Format::Markdown,
        Some(FormatArg::Csv) => Format::Csv,
        Some(FormatArg::Json) => Format::Json,
        Some(FormatArg::Html) => Format::Html,
    };
    // A file or a pipe has no edge to wrap at, but people read those in 80 columns too.
    let terminal = args.output.is_none() && std::io::stdout().is_terminal();
    let size = if terminal { crossterm::terminal::size().ok() } else { None };
    let columns = size.map_or(80, |(columns, _)| usize::from(columns).max(20));
    let text = render(&board, format, columns)?;
    let Some(file) = &args.output else {
        context.ui.line(text.trim_end_matches('\n'));
        return Ok(());
    };
    std::fs::write(file, text).map_err(|e| Error::io(file, &e))?;
    if context.ui.json {
        context.ui.json_line(&serde_json::json!({"file": file}));
    } else {
        context.ui.note(&tr!("wrote {}", "已写入 {}", file.display()));
    }
    Ok(())
}
