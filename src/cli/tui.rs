//! `linly-bench tui`, and `linly-bench` alone: the terminal interface.

use super::Context;
use crate::error::Result;
use crate::tui::{self, WorkbenchSource};
use clap::CommandFactory;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Opens the interface; without a terminal prints the help and gives exit code 2.
pub fn run(context: &Context) -> Result<ExitCode> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        context.ui.note(&super::Cli::command().render_help().to_string());
        return Ok(ExitCode::from(2));
    }
    tui::run(Box::new(WorkbenchSource::new(context.workbench()?)), None)?;
    Ok(ExitCode::SUCCESS)
}
