//! Several scores beside each other, from the workbench.

use super::figure_of_score;
use crate::error::{Error, Kind, Result};
use crate::eval::{Comparison, ItemOutcome, pair};
use crate::tr;
use crate::tui::screens::contestant;
use crate::tui::source::{
    ComparisonView, FlipView, LeaderboardView, Measure, OutcomeView, ScoresAnswer, ScoresQuery, Standing,
};
use crate::workbench::{Workbench, compare_runs, leaderboard};

pub fn answer(workbench: &Workbench, query: &ScoresQuery) -> Result<ScoresAnswer> {
    match query {
        ScoresQuery::Matrix => matrix(workbench).map(ScoresAnswer::Matrix),
        ScoresQuery::Compare { a, b } => {
            let (_, _, comparison) = compare_runs(workbench, a, b)?;
            Ok(ScoresAnswer::Compare(comparison_view(comparison)))
        }
        ScoresQuery::Both { a, b, subject, item } => {
            let (of_a, of_b) = (workbench.store.outcomes(a)?, workbench.store.outcomes(b)?);
            let pairs = pair(&of_a, &of_b);
            let found = pairs.into_iter().find(|(x, _)| x.subject == *subject && x.id == *item);
            let (x, y) = found.ok_or_else(|| {
                Error::new(
                    Kind::NotFound,
                    tr!(
                        "the two runs do not share item {item} of {subject}",
                        "两次运行没有共同的题目 {subject} {item}"
                    ),
                )
            })?;
            Ok(ScoresAnswer::Both(Box::new((outcome_view(x.clone()), outcome_view(y.clone())))))
        }
    }
}

fn matrix(workbench: &Workbench) -> Result<LeaderboardView> {
    let board = leaderboard::scores(workbench)?;
    let columns = board.benchmarks.iter().map(|b| (b.title(), Measure::Accuracy)).collect();
    let standing = |row: crate::leaderboard::Row| Standing {
        model: contestant(&row.model, &row.adapter),
        figures: row.scores.into_iter().map(|s| s.map(figure_of_score)).collect(),
    };
    Ok(LeaderboardView { columns, standings: board.rows.into_iter().map(standing).collect() })
}

fn comparison_view(c: Comparison) -> ComparisonView {
    let flip = |f: crate::eval::Flip| FlipView {
        subject: f.subject,
        item: f.id,
        gained: f.flip == "gained",
        pred_a: f.pred_a,
        pred_b: f.pred_b,
        gold: f.gold,
    };
    ComparisonView {
        n: c.n as u64,
        acc_a: c.acc_a,
        acc_b: c.acc_b,
        difference: c.difference,
        interval: c.ci95,
        p: c.mcnemar_p,
        gained: c.flips.gained as u64,
        lost: c.flips.lost as u64,
        prompts_differ: c.prompts_differ as u64,
        left_out: [c.only_a as u64, c.only_b as u64],
        needed: c.items_needed,
        flips: c.items.into_iter().map(flip).collect(),
    }
}

/// An outcome as the screens show it.
pub fn outcome_view(o: ItemOutcome) -> OutcomeView {
    OutcomeView {
        item: o.id,
        prompt: o.prompt,
        choices: o.choices,
        loglikelihoods: o.loglikelihoods,
        pred: o.pred,
        gold: o.gold,
        correct: o.correct,
        written: o.written.map(|w| w.answer).unwrap_or_default(),
        truncated: o.detail.truncated as u64,
    }
}
