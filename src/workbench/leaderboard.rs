//! The leaderboard of everything this home has measured.

use super::{Workbench, arena};
use crate::arena::ratings::Method;
use crate::error::Result;
use crate::leaderboard::{ArenaRatings, Leaderboard, RatingCell, build};

/// Builds the leaderboard from all finished runs and from the ratings of each arena.
///
/// # Errors
/// Those of the database and of the rating.
pub fn leaderboard(bench: &Workbench) -> Result<Leaderboard> {
    let mut arenas: Vec<ArenaRatings> = Vec::new();
    for record in bench.store.arenas()? {
        let rated = arena::rate(bench, Some(&record.name), Method::Sandwich)?;
        let cells = rated.ratings.rows.into_iter().map(|row| {
            let cell = RatingCell {
                rating: row.rating,
                ci95: row.ci95,
                rank: row.rank,
                battles: row.battles,
                arena: record.name.clone(),
            };
            (row.model, cell)
        });
        arenas.push((record.name.clone(), cells.collect()));
    }
    Ok(build(&bench.store.runs(None)?, &bench.store.adapters()?, &arenas))
}

/// Models by benchmarks alone: the newest finished score of each on each, without ratings and losses.
///
/// # Errors
/// Those of the database.
pub fn scores(bench: &Workbench) -> Result<Leaderboard> {
    Ok(build(&bench.store.runs(Some("eval"))?, &bench.store.adapters()?, &[]))
}
