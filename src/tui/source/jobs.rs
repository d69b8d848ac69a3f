//! Work in the background, as the screens see it.

use crate::store::JobState;

/// A job in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLine {
    /// Its id.
    pub id: String,
    /// What it does: its command line.
    pub title: String,
    /// How it stands.
    pub state: JobState,
    /// When it was asked for, RFC 3339 UTC.
    pub created: String,
    /// When it ended, RFC 3339 UTC.
    pub ended: Option<String>,
    /// Exit code of an ended one.
    pub exit_code: Option<u8>,
    /// Why it did not finish.
    pub message: String,
    /// Runs that it made.
    pub runs: Vec<String>,
    /// How often it was asked to stop.
    pub stops: u32,
    /// The job that went on with its work.
    pub resumed_as: Option<String>,
    /// What it is doing: a label, steps done, steps in all if known.
    pub progress: Option<(String, u64, Option<u64>)>,
}

/// A piece of what a job printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPiece {
    /// The text.
    pub text: String,
    /// Byte that the text begins at.
    pub from: u64,
    /// Byte to go on from.
    pub next: u64,
}

/// A question about jobs, or an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobsQuery {
    /// All jobs, the newest first.
    List,
    /// What a job printed from a byte on.
    Log {
        /// Job.
        id: String,
        /// First byte.
        from: u64,
    },
    /// Start a job: the arguments after the program's name.
    Start(Vec<String>),
    /// Ask a job to stop at its next safe point.
    Stop(String),
    /// Start an interrupted job again.
    Resume(String),
    /// Forget an ended job and its log.
    Remove(String),
}

/// What a question about jobs is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobsAnswer {
    /// The jobs.
    List(Vec<JobLine>),
    /// A piece of a log.
    Log(LogPiece),
    /// The job that was started.
    Started(JobLine),
    /// It was done.
    Done,
}
