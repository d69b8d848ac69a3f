//! `linly-bench doctor`: what is here, what is missing, what to do about it.

use super::Context;
use crate::error::Result;
use crate::text::{one_line, pad, wrap};
use crate::tr;
use crate::workbench::doctor::{State, examine};

/// Look at processor, GPU, models, database, disk and data, and say what to do about what is missing
#[derive(clap::Args)]
#[command(after_help = "Example:\n  linly-bench doctor\n  linly-bench doctor --json")]
pub struct DoctorArgs {}

/// Columns of the subjects.
const SUBJECT: usize = 10;

/// Runs the command.
///
/// # Errors
/// None of its own: what is wrong is what it reports.
pub fn run(context: &Context, _: &DoctorArgs) -> Result<()> {
    let found = examine(context.settings());
    if context.ui.json {
        context.ui.json_line(&found);
        return Ok(());
    }
    let columns = crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns).max(40));
    for finding in &found.findings {
        let subject = match finding.subject {
            "processor" => tr!("processor", "处理器"),
            "memory" => tr!("memory", "内存"),
            "gpu" => tr!("GPU", "GPU"),
            "compiler" => tr!("compiler", "编译器"),
            "models" => tr!("models", "模型"),
            "database" => tr!("database", "数据库"),
            "disk" => tr!("disk", "磁盘"),
            _ => tr!("data", "数据"),
        };
        let mark = match finding.state {
            State::Ok => "✓",
            State::Missing => "–",
            State::Problem => "✗",
        };
        let indent = SUBJECT + 3;
        let mut first = format!("{mark} {} ", pad(&subject, SUBJECT));
        for line in wrap(&one_line(&finding.found), columns - indent) {
            context.ui.line(&format!("{first}{line}"));
            first = " ".repeat(indent);
        }
        let mut arrow = "→ ";
        for line in finding.advice.iter().flat_map(|advice| wrap(&one_line(advice), columns - indent - 2)) {
            context.ui.line(&format!("{}{arrow}{line}", " ".repeat(indent)));
            arrow = "  ";
        }
    }
    Ok(())
}
