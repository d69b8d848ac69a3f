//! `linly-bench tui`, and `linly-bench` alone: the terminal interface.

use super::Context;
use crate::error::Result;
use crate::tui::{self, WorkbenchLauncher, WorkbenchSource};
use clap::CommandFactory;
use std::io::IsTerminal;
use std::sync::Arc;

/// Opens the interface; without a terminal prints the help and gives exit code 2.
pub fn run(context: &Context) -> Result<u8> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        context.ui.note(&super::Cli::command().render_help().to_string());
        return Ok(2);
    }
    let launcher = WorkbenchLauncher::new(context.settings().clone());
    tui::run(Box::new(WorkbenchSource::new(context.workbench()?)), Some(Arc::new(launcher)))?;
    Ok(0)
}
