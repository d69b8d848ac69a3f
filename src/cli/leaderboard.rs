//! `linly-bench leaderboard`: models × benchmarks × arena ratings.

use super::Context;
use crate::error::Result;
use crate::leaderboard::{Format, render};
use crate::workbench::leaderboard;
use clap::{Args, ValueEnum};
use std::io::IsTerminal;

/// Show every model's scores and ratings, each with the run it comes from
#[derive(Args)]
#[command(
    after_help = "Example:\n  linly-bench leaderboard\n  linly-bench leaderboard --format html > leaderboard.html"
)]
pub struct LeaderboardArgs {
    /// How it is written; `--json` is `--format json`
    #[arg(long, value_enum, default_value = "table")]
    format: FormatArg,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatArg {
    Table,
    Md,
    Csv,
    Json,
    Html,
}

/// Runs the command.
///
/// # Errors
/// Those of the database.
pub fn run(context: &Context, args: &LeaderboardArgs) -> Result<()> {
    let board = leaderboard::leaderboard(&context.workbench()?)?;
    let format = match args.format {
        _ if context.ui.json => Format::Json,
        FormatArg::Table => Format::Table,
        FormatArg::Md => Format::Markdown,
        FormatArg::Csv => Format::Csv,
        FormatArg::Json => Format::Json,
        FormatArg::Html => Format::Html,
    };
    // A file or a pipe has no edge to wrap at, but people read those in 80 columns too.
    let size = if std::io::stdout().is_terminal() { crossterm::terminal::size().ok() } else { None };
    let columns = size.map_or(80, |(columns, _)| usize::from(columns).max(20));
    context.ui.line(render(&board, format, columns)?.trim_end_matches('\n'));
    Ok(())
}
