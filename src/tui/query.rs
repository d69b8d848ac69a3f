//! Questions to the [`Source`] and the worker thread that answers them: the drawing thread never waits
//! for the database.

use super::preferences::Preferences;
use super::source::{ArenaAnswer, ArenaQuery, ScoresAnswer, ScoresQuery};
use super::source::{
    ArenaView, BlindBattle, Choices, DataAnswer, DataQuery, DatasetView, ForecastView, JobsAnswer, JobsQuery,
    LeaderboardView, ModelsAnswer, ModelsQuery, Names, OutcomeView, Source, SubjectView, Vote,
};
use crate::error::Result;
use crate::job::JobEvent;
use crate::store::RunRecord;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// A question to the source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // One variant per method of `Source`, with its arguments.
pub enum Query {
    Datasets,
    Data(DataQuery),
    Models(ModelsQuery),
    Runs { kind: &'static str },
    Events { run: String, after: i64 },
    Subjects { run: String },
    Outcomes { run: String, subject: String },
    Arenas,
    NextBattle { arena: String, after: i64 },
    Vote { arena: String, battle: i64, vote: Vote },
    TakeVoteBack { arena: String, battle: i64 },
    Arena(ArenaQuery),
    Leaderboard,
    Scores(ScoresQuery),
    Jobs(JobsQuery),
    Choices,
    Forecast(Vec<String>),
    Keep(Preferences),
}

/// What a question is answered with: the variant of the same name.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Answer {
    Datasets(Vec<DatasetView>),
    Data(DataAnswer),
    Models(ModelsAnswer),
    Runs(Vec<RunRecord>),
    Events(Vec<(i64, JobEvent)>),
    Subjects(Vec<SubjectView>),
    Outcomes(Vec<OutcomeView>),
    Arenas(Vec<ArenaView>),
    NextBattle(Option<BlindBattle>),
    Vote(Names),
    TakeVoteBack,
    Arena(ArenaAnswer),
    Leaderboard(LeaderboardView),
    Scores(ScoresAnswer),
    Jobs(JobsAnswer),
    Choices(Choices),
    Forecast(ForecastView),
    Keep,
}

/// An answer with its question: a screen that has moved on can tell that it is stale.
#[derive(Clone, Debug)]
pub struct Reply {
    /// What was asked.
    pub query: Query,
    /// What came of it.
    pub answer: Result<Answer>,
}

/// Asks `source`. Blocks.
pub fn answer(source: &mut dyn Source, query: Query) -> Reply {
    let answer = match &query {
        Query::Datasets => source.datasets().map(Answer::Datasets),
        Query::Data(query) => source.data(query).map(Answer::Data),
        Query::Models(query) => source.models(query).map(Answer::Models),
        Query::Runs { kind } => source.runs(kind).map(Answer::Runs),
        Query::Events { run, after } => source.events(run, *after).map(Answer::Events),
        Query::Subjects { run } => source.subjects(run).map(Answer::Subjects),
        Query::Outcomes { run, subject } => source.outcomes(run, subject).map(Answer::Outcomes),
        Query::Arenas => source.arenas().map(Answer::Arenas),
        Query::NextBattle { arena, after } => source.next_battle(arena, *after).map(Answer::NextBattle),
        Query::Vote { arena, battle, vote } => source.vote(arena, *battle, *vote).map(Answer::Vote),
        Query::TakeVoteBack { arena, battle } => source.take_vote_back(arena, *battle).map(|()| Answer::TakeVoteBack),
        Query::Arena(query) => source.arena(query).map(Answer::Arena),
        Query::Leaderboard => source.leaderboard().map(Answer::Leaderboard),
        Query::Scores(query) => source.scores(query).map(Answer::Scores),
        Query::Jobs(query) => source.jobs(query).map(Answer::Jobs),
        Query::Choices => source.choices().map(Answer::Choices),
        Query::Forecast(argv) => source.forecast(argv).map(Answer::Forecast),
        Query::Keep(preferences) => source.keep(preferences).map(|()| Answer::Keep),
    };
    Reply { query, answer }
}

/// How long the source is given to end what it has under way when the program ends.
const FAREWELL: Duration = Duration::from_secs(3);

/// A thread that owns the source. It ends when this is dropped.
pub struct Worker {
    queries: Option<Sender<Query>>,
    replies: Receiver<Reply>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.queries = None;
        let until = Instant::now() + FAREWELL;
        // Ends with the thread, which drops the source and then its end of the channel.
        while self.replies.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
    }
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    /// `Io` when the system has no thread to give.
    pub fn start(mut source: Box<dyn Source>) -> Result<Worker> {
        let (queries, incoming) = channel();
        let (outgoing, replies) = channel();
        std::thread::Builder::new()
            .name("tui-queries".into())
            .spawn(move || {
                while let Ok(query) = incoming.recv() {
                    if outgoing.send(answer(source.as_mut(), query)).is_err() {
                        return;
                    }
                }
                drop(source);
                drop(outgoing);
            })
            .map_err(|e| crate::error::Error::new(crate::error::Kind::Io, e.to_string()))?;
        Ok(Worker { queries: Some(queries), replies })
    }

    /// Asks without waiting. False when the thread is gone.
    #[must_use]
    pub fn ask(&self, query: Query) -> bool {
        self.queries.as_ref().is_some_and(|queries| queries.send(query).is_ok())
    }

    /// An answer that has come, if any.
    pub fn poll(&self) -> Option<Reply> {
        self.replies.try_recv().ok()
    }
}
