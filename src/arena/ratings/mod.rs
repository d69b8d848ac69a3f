//! Bradley–Terry ratings from votes, with intervals, ranks, and what may be said of a pair.
//!
//! rating = θ·400/ln 10 + 1000, where θ maximises the likelihood ([`fit`]) and each group of models that are linked by
//! battles has the mean 1000 (those with a made-up rating aside, see [`Rating::bounded`]). An interval is θ ± z·√Cov by the sandwich estimate, or a percentile interval of a
//! seeded [`bootstrap`].

mod bootstrap;
mod fit;
mod linear;
mod tally;

use crate::arena::battle::Winner;
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal};
use tally::{Structure, Tally};

/// Rating points per unit of θ: 400 points are odds of 10 to 1.
pub const SCALE: f64 = 400.0 / std::f64::consts::LN_10;

/// The mean rating of a group.
pub const CENTRE: f64 = 1000.0;

/// How intervals are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// H⁻¹·G·H⁻¹, right for many battles even where the model is not.
    Sandwich,
    /// Percentiles over resampled battles.
    Bootstrap {
        /// Resamples.
        rounds: usize,
        /// Seed of the draws.
        seed: u64,
    },
}

/// One model's rating. Serialised as `arena rate --json` prints it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rating {
    /// The model's label.
    pub model: String,
    /// Rating points.
    pub rating: f64,
    /// 95% interval: lower and upper bound in rating points.
    pub ci95: [f64; 2],
    /// 1 + the models of its group whose lower bound is above this upper bound.
    pub rank: usize,
    /// Battles that rated.
    pub battles: usize,
    /// Which group of models linked by battles it belongs to; ratings of two groups cannot be compared.
    #[serde(skip)]
    pub group: usize,
    /// False when it is part of a one-way record (only wins, or only losses, against others): the likelihood has no
    /// maximum, and the rating is that with one imagined tie per such pair.
    #[serde(skip)]
    pub bounded: bool,
}

/// What may be said of two models.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The higher rated one.
    pub better: String,
    /// The other.
    pub worse: String,
    /// Rating points between them, not negative.
    pub difference: f64,
    /// 95% interval of that difference, from the covariance of the two.
    pub ci95: [f64; 2],
    /// Whether that interval leaves zero out.
    pub distinguishable: bool,
    /// Battles between the two that would tell a difference of this size from zero; `None` when there is none.
    pub battles_needed: Option<u64>,
}

/// Ratings of all models, the highest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ratings {
    /// One row per model, by rating, then by name.
    pub rows: Vec<Rating>,
    /// Battles that were left out because a model met itself.
    pub with_itself: usize,
    /// Covariance of the ratings in points², in the order of `rows`.
    covariance: Vec<Vec<f64>>,
}

/// Rates all models of `votes` (left model, right model, outcome). No votes give no rows.
///
/// # Errors
/// `Internal` when the fit fails, which no vote should bring about.
pub fn rate<'a>(votes: impl IntoIterator<Item = (&'a str, &'a str, Winner)>, method: Method) -> Result<Ratings> {
    let tally = Tally::of(votes);
    let n = tally.models.len();
    if n == 0 {
        return Ok(Ratings { with_itself: tally.with_itself, ..Ratings::default() });
    }
    let structure = Structure::of(n, &tally.pairs);
    let pairs = fit::with_imagined_ties(&tally.pairs, &structure);
    let centre = fit::Centre::of(&structure);
    let mut theta = fit::fit(n, &pairs, &structure.group)?;
    centre.apply(&mut theta);
    let covariance = fit::covariance(&theta, &pairs, &structure)?;
    let bounds: Vec<[f64; 2]> = match method {
        Method::Sandwich => (0..n)
            .map(|i| {
                let half = z95() * covariance.at(i, i).max(0.0).sqrt();
                [theta[i] - half, theta[i] + half]
            })
            .collect(),
        Method::Bootstrap { rounds: 0, .. } => {
            return Err(Error::new(Kind::InvalidInput, tr!("a bootstrap of no rounds", "自助法的轮数不能为 0"))
                .hint(tr!("ask for 200 or more", "请至少取 200 轮")));
        }
        Method::Bootstrap { rounds, seed } => bootstrap::intervals(&centre, &tally.pairs, rounds, 0.95, seed)?,
    };
    let battles = tally.battles();
    let bounded = structure.bounded();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| theta[b].total_cmp(&theta[a]).then_with(|| tally.models[a].cmp(&tally.models[b])));
    let rows = order
        .iter()
        .map(|&i| Rating {
            model: tally.models[i].clone(),
            rating: theta[i] * SCALE + CENTRE,
            ci95: bounds[i].map(|b| b * SCALE + CENTRE),
            rank: 1
                + (0..n).filter(|&k| structure.group[k] == structure.group[i] && bounds[k][0] > bounds[i][1]).count(),
            battles: battles[i],
            group: structure.group[i],
            bounded: bounded[i],
        })
        .collect();
    let covariance =
        order.iter().map(|&i| order.iter().map(|&j| covariance.at(i, j) * SCALE * SCALE).collect()).collect();
    Ok(Ratings { rows, with_itself: tally.with_itself, covariance })
}

impl Ratings {
    /// What may be said of the models in rows `i` and `j`; `None` for one and the same, or when no chain of battles
    /// links them.
    ///
    /// The interval is that of the difference. Two separate intervals may overlap while this one leaves zero out,
    /// because the errors of two models that met are correlated.
    pub fn compare(&self, i: usize, j: usize) -> Option<Comparison> {
        let (a, b) = (self.rows.get(i)?, self.rows.get(j)?);
        if i == j || a.group != b.group {
            return None;
        }
        let (i, j, better, worse) = if a.rating >= b.rating { (i, j, a, b) } else { (j, i, b, a) };
        let variance = self.covariance[i][i] + self.covariance[j][j] - 2.0 * self.covariance[i][j];
        let half = z95() * variance.max(0.0).sqrt();
        let difference = better.rating - worse.rating;
        Some(Comparison {
            better: better.model.clone(),
            worse: worse.model.clone(),
            difference,
            ci95: [difference - half, difference + half],
            distinguishable: difference > half,
            battles_needed: battles_needed(difference),
        })
    }

    /// The number of groups of models linked by battles. Ratings compare within a group only.
    pub fn groups(&self) -> usize {
        self.rows.iter().map(|r| r.group + 1).max().unwrap_or(0)
    }
}

/// Battles between two models that make the 95% interval of their difference as small as that difference:
/// n = (z·SE₁ ÷ difference)², where one battle has SE₁ = SCALE ÷ √(p(1−p)), 347 points for an even pair.
/// `None` for models that are equal, or so nearly that no number of battles is within reach.
pub fn battles_needed(difference: f64) -> Option<u64> {
    let chance = fit::sigmoid(difference / SCALE);
    let one_battle = SCALE / (chance * (1.0 - chance)).sqrt();
    let n = (z95() * one_battle / difference).powi(2).ceil();
    (n.is_finite() && n < 1e9).then_some(n as u64)
}

/// The 97.5% quantile of the normal distribution, 1.96.
fn z95() -> f64 {
    Normal::standard().inverse_cdf(0.975)
}

#[cfg(test)]
mod tests;
