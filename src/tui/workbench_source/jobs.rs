//! Jobs of the workbench as the screens see them.

use crate::error::{Error, Result};
use crate::tui::source::{JobLine, JobsAnswer, JobsQuery, LogPiece};
use crate::workbench::{Workbench, jobs};
use std::path::Path;

/// Bytes of a log given at once.
const PIECE: usize = 256 * 1024;

/// Answers a question about jobs, or does what is ordered.
pub fn answer(bench: &Workbench, query: &JobsQuery) -> Result<JobsAnswer> {
    Ok(match query {
        JobsQuery::List => JobsAnswer::List(jobs::list(bench)?.into_iter().map(line).collect()),
        JobsQuery::Log { id, from } => {
            let piece = jobs::log(bench, id, *from, PIECE)?;
            // What lies further back than is ever shown need not be read.
            let far = piece.size.saturating_sub(*from) > 4 * PIECE as u64;
            let piece = if far { jobs::log(bench, id, piece.size - PIECE as u64, PIECE)? } else { piece };
            JobsAnswer::Log(LogPiece { text: piece.text, from: piece.from, next: piece.next })
        }
        JobsQuery::Start(argv) => {
            let here = std::env::current_dir().map_err(|e| Error::io(Path::new("."), &e))?;
            JobsAnswer::Started(line(jobs::start(bench, argv, &here)?))
        }
        JobsQuery::Stop(id) => jobs::stop(bench, id).map(|_| JobsAnswer::Done)?,
        JobsQuery::Resume(id) => JobsAnswer::Started(line(jobs::resume(bench, id)?)),
        JobsQuery::Remove(id) => jobs::remove(bench, id).map(|_| JobsAnswer::Done)?,
    })
}

fn line(job: jobs::JobView) -> JobLine {
    let record = job.record;
    JobLine {
        id: record.id,
        title: record.title,
        state: record.state,
        created: record.created,
        ended: record.ended,
        exit_code: record.exit_code,
        message: record.message.unwrap_or_default(),
        runs: job.runs,
        stops: record.stops,
        resumed_as: record.resumed_as,
        progress: job.progress.map(|p| (p.label, p.done, p.total)),
    }
}

/// Names of the adapters in a folder.
pub fn adapters(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|e| e.path().join("adapter_config.json").is_file())
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
