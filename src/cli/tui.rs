//! `linly-bench tui`, and `linly-bench` alone: the terminal interface.

use super::{Context, verbs};
use crate::error::Result;
use crate::lang;
use crate::tui::{self, Preferences, WorkbenchSource};
use clap::CommandFactory;
use std::io::IsTerminal;

/// Opens the interface; without a terminal prints the help and gives exit code 2. `named` tells whether a language was
/// named on the command line: otherwise the one chosen on the settings screen holds.
pub fn run(context: &Context, named: bool) -> Result<u8> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        context.ui.note(&super::Cli::command().render_help().to_string());
        return Ok(2);
    }
    let preferences = Preferences::from(&context.settings().interface()?);
    if let Some(chosen) = preferences.lang.filter(|_| !named) {
        lang::set(chosen);
    }
    let source = WorkbenchSource::new(context.workbench()?).reading_trainings(verbs::training);
    tui::run(Box::new(source), verbs::commands(), preferences)?;
    Ok(0)
}
