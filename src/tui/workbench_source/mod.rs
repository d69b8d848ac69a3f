//! The screens' data from an open [`Workbench`].

mod arena;
mod data;
mod forecast;
mod jobs;
mod models;
mod scores;

use super::preferences::Preferences;
use super::screens::contestant;
use super::source::{ArenaAnswer, ArenaQuery, ScoresAnswer, ScoresQuery};
use super::source::{
    ArenaView, BlindBattle, Choices, DataAnswer, DataQuery, DatasetView, Figure, ForecastView, JobsAnswer, JobsQuery,
    LeaderboardView, Measure, ModelsAnswer, ModelsQuery, Names, OutcomeView, Source, Standing, SubjectView, Vote,
};
use crate::arena::{Battle, Winner};
use crate::error::Result;
use crate::job::JobEvent;
use crate::store::RunRecord;
use crate::workbench::arena::Duel;
use crate::workbench::forecast::Lengths;
use crate::workbench::{Workbench, arena as verbs, leaderboard};
use std::sync::Arc;

pub use forecast::ReadTraining;

/// A [`Source`] over the database.
pub struct WorkbenchSource {
    workbench: Arc<Workbench>,
    /// The live battles that are sat at.
    duel: Option<Duel>,
    /// How a line becomes a training; without it nothing can be forecast.
    read_training: Option<ReadTraining>,
    /// Lengths of rows that were measured for forecasts.
    lengths: Lengths,
}

impl WorkbenchSource {
    /// Takes over `workbench`.
    pub fn new(workbench: Workbench) -> WorkbenchSource {
        WorkbenchSource { workbench: Arc::new(workbench), duel: None, read_training: None, lengths: Lengths::new() }
    }

    /// The same, with the command line's way to read a training's line.
    #[must_use]
    pub fn reading_trainings(self, read: ReadTraining) -> WorkbenchSource {
        WorkbenchSource { read_training: Some(read), ..self }
    }
}

impl Source for WorkbenchSource {
    fn datasets(&mut self) -> Result<Vec<DatasetView>> {
        let records = self.workbench.store.datasets()?;
        let view = |d: crate::store::DatasetRecord| DatasetView {
            name: d.name,
            version: d.version,
            train: d.train,
            val: d.val,
            zh: d.zh,
            source: d.source,
            licence: d.licence,
            created: d.created_at,
        };
        Ok(records.into_iter().map(view).collect())
    }

    fn data(&mut self, query: &DataQuery) -> Result<DataAnswer> {
        data::answer(&self.workbench, query)
    }

    fn models(&mut self, query: &ModelsQuery) -> Result<ModelsAnswer> {
        models::answer(&self.workbench, query)
    }

    fn runs(&mut self, kind: &str) -> Result<Vec<RunRecord>> {
        self.workbench.store.runs(Some(kind))
    }

    fn events(&mut self, run: &str, after: i64) -> Result<Vec<(i64, JobEvent)>> {
        self.workbench.store.events(run, after)
    }

    fn subjects(&mut self, run: &str) -> Result<Vec<SubjectView>> {
        let view = |s: crate::store::SubjectCount| SubjectView { subject: s.subject, n: s.n, correct: s.correct };
        Ok(self.workbench.store.subject_counts(run)?.into_iter().map(view).collect())
    }

    fn outcomes(&mut self, run: &str, subject: &str) -> Result<Vec<OutcomeView>> {
        let outcomes = self.workbench.store.outcomes_of_subject(run, subject)?;
        let mut outcomes: Vec<OutcomeView> = outcomes.into_iter().map(scores::outcome_view).collect();
        // The database orders ids as text; people expect 2 before 10.
        outcomes.sort_by_key(|o| o.item.parse::<u64>().unwrap_or(u64::MAX));
        Ok(outcomes)
    }

    fn arenas(&mut self) -> Result<Vec<ArenaView>> {
        let view = |a: crate::store::ArenaRecord| ArenaView {
            name: a.name,
            battles: a.battles.unsigned_abs(),
            pending: a.pending.unsigned_abs(),
            created: a.created_at,
        };
        Ok(self.workbench.store.arenas()?.into_iter().map(view).collect())
    }

    fn next_battle(&mut self, arena: &str, after: i64) -> Result<Option<BlindBattle>> {
        let mut pending = verbs::pending(&self.workbench, arena)?;
        pending.sort_by_key(|b| (b.id <= after, b.id));
        Ok(pending.into_iter().next().map(blind))
    }

    fn vote(&mut self, arena: &str, battle: i64, vote: Vote) -> Result<Names> {
        let winner = match vote {
            Vote::A => Winner::A,
            Vote::B => Winner::B,
            Vote::Tie => Winner::Tie,
            Vote::BothBad => Winner::BothBad,
        };
        let battle = verbs::vote(&self.workbench, arena, battle, winner)?;
        Ok(Names { a: battle.model_a, b: battle.model_b })
    }

    fn take_vote_back(&mut self, arena: &str, battle: i64) -> Result<()> {
        verbs::take_back(&self.workbench, arena, battle)
    }

    fn arena(&mut self, query: &ArenaQuery) -> Result<ArenaAnswer> {
        arena::answer(&self.workbench, &mut self.duel, query)
    }

    fn leaderboard(&mut self) -> Result<LeaderboardView> {
        let board = leaderboard::leaderboard(&self.workbench)?;
        let mut columns: Vec<(String, Measure)> = Vec::new();
        columns.extend(board.benchmarks.iter().map(|b| (b.title(), Measure::Accuracy)));
        columns.extend(board.arenas.iter().map(|a| (crate::tr!("arena {a}", "竞技场 {a}"), Measure::Rating)));
        columns.extend(board.losses.iter().map(|l| (crate::tr!("loss {}", "损失 {}", l.dataset), Measure::Loss)));
        let standing = |row: crate::leaderboard::Row| {
            // A contestant of an imported arena has a name only.
            let model = if row.model.is_empty() { row.name } else { contestant(&row.model, &row.adapter) };
            let scores = row.scores.into_iter().map(|s| s.map(figure_of_score));
            let ratings = row.ratings.into_iter().map(|r| {
                r.map(|r| Figure {
                    value: r.rating,
                    stderr: None,
                    interval: Some(r.ci95),
                    n: Some(r.battles as u64),
                    origin: r.arena,
                })
            });
            let losses = row
                .losses
                .into_iter()
                .map(|l| l.map(|l| Figure { value: l.value, origin: l.run, ..Figure::default() }));
            Standing { model, figures: scores.chain(ratings).chain(losses).collect() }
        };
        Ok(LeaderboardView { columns, standings: board.rows.into_iter().map(standing).collect() })
    }

    fn scores(&mut self, query: &ScoresQuery) -> Result<ScoresAnswer> {
        scores::answer(&self.workbench, query)
    }

    fn jobs(&mut self, query: &JobsQuery) -> Result<JobsAnswer> {
        jobs::answer(&self.workbench, query)
    }

    fn choices(&mut self) -> Result<Choices> {
        let listed = crate::workbench::models::list(&self.workbench);
        let (here, there): (Vec<_>, Vec<_>) = listed.into_iter().partition(|m| m.pulled);
        let benchmarks = crate::workbench::evals::list(&self.workbench)?;
        let groups = ["finance", "zh", "en", "all"].map(str::to_owned);
        Ok(Choices {
            models: here.into_iter().chain(there).map(|m| m.name).collect(),
            adapters: jobs::adapters(&self.workbench.settings.adapters()),
            datasets: self.workbench.store.datasets()?.into_iter().map(|d| d.name).collect(),
            benchmarks: benchmarks.into_iter().map(|b| b.name).chain(groups).collect(),
            arenas: self.workbench.store.arenas()?.into_iter().map(|a| a.name).collect(),
            runs: self.workbench.store.runs(None)?.into_iter().map(|r| r.id).collect(),
        })
    }

    fn forecast(&mut self, argv: &[String]) -> Result<ForecastView> {
        forecast::answer(&self.workbench, self.read_training, argv, &mut self.lengths)
    }

    fn keep(&mut self, preferences: &Preferences) -> Result<()> {
        self.workbench.settings.keep_interface(&preferences.into())
    }
}

/// An accuracy as a figure.
fn figure_of_score(s: crate::leaderboard::Score) -> Figure {
    Figure { value: s.value, stderr: s.stderr, interval: None, n: s.n, origin: s.run }
}

/// What a voter may see. The conversation of a battle that was imported counts as its answer.
fn blind(battle: Battle) -> BlindBattle {
    BlindBattle { id: battle.id, question: battle.question, answer_a: battle.answer_a, answer_b: battle.answer_b }
}
