//! Looking at finished runs: one in figures, two side by side.

use super::Workbench;
use crate::error::{Error, Kind, Result};
use crate::eval::{Calibration, Comparison, ItemOutcome, calibration, compare_outcomes, gold_position, statistics};
use crate::store::RunRecord;
use crate::tr;
use serde::Serialize;

/// Compares the benchmark runs `a` and `b` (ids or beginnings of ids) item by item.
///
/// # Errors
/// `NotFound` for an unknown run, `Mismatch` when they are of different benchmarks or have no item in common.
pub fn compare_runs(workbench: &Workbench, a: &str, b: &str) -> Result<(RunRecord, RunRecord, Comparison)> {
    let (a, b) = (scored_run(workbench, a)?, scored_run(workbench, b)?);
    if a.task != b.task {
        return Err(Error::new(
            Kind::Mismatch,
            tr!("{} is of {}, {} is of {}", "{} 属于 {}，{} 属于 {}", a.id, a.task, b.id, b.task),
        )
        .hint(tr!("compare two runs of the same benchmark", "请比较同一基准的两次运行")));
    }
    let comparison = compare_outcomes(
        &workbench.store.outcomes(&a.id)?,
        &workbench.store.outcomes(&b.id)?,
        workbench.settings.seed,
    )?;
    Ok((a, b, comparison))
}

pub(super) fn scored_run(workbench: &Workbench, id: &str) -> Result<RunRecord> {
    let run = workbench.store.run(id)?;
    if run.kind == "eval" {
        return Ok(run);
    }
    Err(Error::new(Kind::InvalidInput, tr!("{} is not a benchmark run", "{} 不是评测运行", run.id))
        .hint(tr!("`linly-bench runs list` shows the kinds", "用 `linly-bench runs list` 查看类型")))
}

/// How sure a score is and how the answers lie, from the kept outcomes of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreDetail {
    /// Items with a known answer.
    pub n: usize,
    /// Wilson's 95% interval of the micro average.
    pub wilson95: [f64; 2],
    /// Bootstrap 95% interval of the micro average (percentiles of 10,000 seeded resamples).
    pub bootstrap95: [f64; 2],
    /// Where answers have probabilities.
    pub calibration: Option<Calibration>,
    /// How often the choice at each position was taken.
    pub chosen_positions: Vec<usize>,
    /// How often the right choice stood at each position.
    pub gold_positions: Vec<usize>,
}

/// The detail of `outcomes`; `None` without an item whose answer is known.
pub fn score_detail(outcomes: &[ItemOutcome], seed: u64) -> Option<ScoreDetail> {
    let known: Vec<&ItemOutcome> = outcomes.iter().filter(|o| !o.gold.is_empty()).collect();
    let values: Vec<f64> = known.iter().map(|o| f64::from(u8::from(o.correct))).collect();
    let right = known.iter().filter(|o| o.correct).count();
    let bootstrap95 = statistics::bootstrap_mean(&values, statistics::ROUNDS, 0.95, seed)?;
    let places = known.iter().map(|o| o.loglikelihoods.len()).max().unwrap_or(0);
    let (mut chosen_positions, mut gold_positions) = (vec![0; places], vec![0; places]);
    for outcome in &known {
        let chosen = crate::eval::argmax(&outcome.loglikelihoods);
        for (counts, at) in [(&mut chosen_positions, chosen), (&mut gold_positions, gold_position(outcome))] {
            if let Some(count) = at.and_then(|at| counts.get_mut(at)) {
                *count += 1;
            }
        }
    }
    Some(ScoreDetail {
        n: known.len(),
        wilson95: statistics::wilson(right, known.len(), 0.95),
        bootstrap95,
        calibration: calibration(outcomes),
        chosen_positions,
        gold_positions,
    })
}
