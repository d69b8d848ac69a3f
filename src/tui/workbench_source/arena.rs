//! Live battles, ratings and counts from the workbench.

use crate::arena::ratings::{Method, Rating};
use crate::error::{Error, Kind, Result};
use crate::tr;
use crate::tui::source::{ArenaAnswer, ArenaQuery, Offers, RatingLine, RatingsView};
use crate::workbench::arena::{self, Duel};
use crate::workbench::{Workbench, data};
use std::sync::Arc;

/// Answers a question about arenas, or does what is ordered. `duel` is the sitting there is.
pub fn answer(bench: &Arc<Workbench>, duel: &mut Option<Duel>, query: &ArenaQuery) -> Result<ArenaAnswer> {
    Ok(match query {
        ArenaQuery::Offers => ArenaAnswer::Offers(Offers {
            contestants: arena::contestants(bench)?,
            arenas: bench.store.arenas()?.into_iter().map(|a| a.name).collect(),
            datasets: bench.store.datasets()?.into_iter().map(|d| d.name).collect(),
        }),
        ArenaQuery::Enter(plan) => {
            // The one before ends first: two pairs of models may not fit the memory.
            *duel = None;
            *duel = Some(Duel::open(bench, plan.clone())?);
            ArenaAnswer::Done
        }
        ArenaQuery::Draw { arena, dataset, .. } => {
            let question = arena::draw_question(bench, arena, dataset.as_deref())?;
            ArenaAnswer::Question(question.map(|q| q.text))
        }
        ArenaQuery::Ask { question, .. } => sitting(duel)?.ask(question).map(|()| ArenaAnswer::Done)?,
        ArenaQuery::Hear { heard, .. } => ArenaAnswer::Heard(sitting(duel)?.hear(*heard)),
        ArenaQuery::Stop => {
            sitting(duel)?.stop();
            ArenaAnswer::Done
        }
        ArenaQuery::Leave => {
            *duel = None;
            ArenaAnswer::Done
        }
        ArenaQuery::Keep { arena, battle, dataset } => {
            let done = data::from_battle(bench, dataset, arena, *battle)?;
            let known = done.duplicates.first().map(|d| d.row);
            let row = done.added.first().copied().or(known);
            let row = row.ok_or_else(|| Error::internal(tr!("the row was not added", "该行没有添加成功")))?;
            ArenaAnswer::Kept { row, added: !done.unchanged }
        }
        ArenaQuery::Unkeep { battle, dataset, row } => {
            data::take_back(bench, dataset, *row, *battle).map(|()| ArenaAnswer::Done)?
        }
        ArenaQuery::Ratings(name) => ArenaAnswer::Ratings(ratings(bench, name)?),
        ArenaQuery::Tally { arena, sitting: false } => {
            ArenaAnswer::Tally(arena::tally(bench, arena, None, &Default::default())?)
        }
        ArenaQuery::Tally { arena, sitting: true } => {
            let duel = sitting(duel)?;
            match duel.run() {
                Some(run) => ArenaAnswer::Tally(arena::tally(bench, arena, Some(&run), &duel.paces())?),
                None => ArenaAnswer::Tally(arena::Tally::default()),
            }
        }
    })
}

fn sitting(duel: &Option<Duel>) -> Result<&Duel> {
    duel.as_ref().ok_or_else(|| {
        Error::new(Kind::NotFound, tr!("no contestants are loaded", "还没有载入参赛者"))
            .hint(tr!("choose two in the arena", "请在竞技场中选择两个"))
    })
}

fn ratings(bench: &Workbench, name: &str) -> Result<RatingsView> {
    let rated = arena::rate(bench, Some(name), Method::Sandwich)?;
    let line = |r: Rating| RatingLine {
        model: r.model,
        rank: r.rank,
        rating: r.rating,
        interval: r.ci95,
        battles: r.battles as u64,
        group: r.group,
        bounded: r.bounded,
    };
    let verdicts = (1..rated.ratings.rows.len()).filter_map(|i| rated.ratings.compare(i - 1, i)).collect();
    Ok(RatingsView {
        verdicts,
        lines: rated.ratings.rows.into_iter().map(line).collect(),
        used: rated.used as u64,
        pending: rated.pending as u64,
        flagged: rated.flagged as u64,
        not_blind: rated.not_blind as u64,
    })
}
