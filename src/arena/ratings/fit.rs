//! The maximum of the Bradley–Terry likelihood, and the covariance of its estimate.
//!
//! P(i beats j) = σ(θᵢ − θⱼ), a tie is half a win for either side. With dᵢⱼ = θᵢ − θⱼ, sᵢⱼ the points of i and nᵢⱼ
//! the battles of the pair, the log-likelihood is Σ sᵢⱼ·dᵢⱼ − nᵢⱼ·ln(1 + e^dᵢⱼ). It is concave, so Newton's
//! method with step halving finds its one maximum. Only differences of θ matter; each group of models that are
//! linked by battles is centred on 0 ([`Centre`]).

use super::linear::Matrix;
use super::tally::{Pair, Structure};
use crate::error::{Error, Result};
use std::collections::BTreeSet;

/// A diagonal term of this size per battle keeps H invertible. H is singular along a shift of a whole group, where G
/// is zero, so it changes an interval only in its fifth digit. The value is that of arena-rank.
const RIDGE_PER_BATTLE: f64 = 1e-5;

/// Newton steps; a handful is the rule.
const MAX_STEPS: usize = 200;

pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// ln(1 + eˣ) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The pairs with one more, imagined tie for each pair that has no way back. A model that only wins (or a class of
/// models that only wins against another) has no finite rating; half a win in the missing direction gives it one,
/// and leaves the pairs inside a class as they are.
pub(super) fn with_imagined_ties(pairs: &[Pair], structure: &Structure) -> Vec<Pair> {
    pairs
        .iter()
        .map(|pair| if structure.is_one_way(pair) { Pair { ties: pair.ties + 1.0, ..*pair } } else { *pair })
        .collect()
}

fn log_likelihood(theta: &[f64], pairs: &[Pair]) -> f64 {
    pairs
        .iter()
        .map(|p| {
            let d = theta[p.i] - theta[p.j];
            (p.wins_i + p.ties / 2.0) * d - p.total() * softplus(d)
        })
        .sum()
}

/// θ at the maximum of the likelihood, up to a shift of each group. `pairs` come from [`with_imagined_ties`], so there is one.
///
/// # Errors
/// `Internal` when Newton's method does not come to rest, which a concave function does not do.
pub(super) fn fit(models: usize, pairs: &[Pair], group: &[usize]) -> Result<Vec<f64>> {
    let mut theta = vec![0.0; models];
    let mut best = log_likelihood(&theta, pairs);
    for _ in 0..MAX_STEPS {
        let mut gradient = vec![0.0; models];
        let mut hessian = Matrix::zero(models);
        for p in pairs {
            let chance = sigmoid(theta[p.i] - theta[p.j]);
            let pull = p.wins_i + p.ties / 2.0 - p.total() * chance;
            gradient[p.i] += pull;
            gradient[p.j] -= pull;
            hessian.add_edge(p.i, p.j, p.total() * chance * (1.0 - chance));
        }
        pin_groups(&mut hessian, group);
        let Some(factor) = hessian.cholesky() else {
            return Err(Error::internal("the Hessian of the ratings is not positive definite"));
        };
        let step = factor.solve(&gradient);
        if step.iter().all(|s| s.abs() <= 1e-12) {
            return Ok(theta);
        }
        let mut scale = 1.0;
        loop {
            let next: Vec<f64> = theta.iter().zip(&step).map(|(t, s)| t + scale * s).collect();
            let value = log_likelihood(&next, pairs);
            // Near the top the likelihood is flat to the last digit while the step still improves θ.
            if value >= best - 1e-13 * (1.0 + best.abs()) {
                (theta, best) = (next, value);
                break;
            }
            scale /= 2.0;
            if scale < 1e-10 {
                return Ok(theta);
            }
        }
    }
    Err(Error::internal("the ratings did not converge"))
}

/// Makes H regular without changing a step: 1·1ᵀ per group only acts on a shift of the group, which the gradient
/// never asks for.
fn pin_groups(hessian: &mut Matrix, group: &[usize]) {
    let scale = (0..hessian.n).map(|i| hessian.at(i, i)).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    for i in 0..group.len() {
        for j in 0..group.len() {
            if group[i] == group[j] {
                hessian.add(i, j, scale / group.len() as f64);
            }
        }
    }
}

/// Which models share the mean 0 of their group: all of them, which is where a gradient method that starts from 0 ends
/// too; but when some have a made-up rating ([`Structure::bounded`]), only the others. Otherwise one newcomer that won
/// its three battles would shift everybody and lend everybody its own uncertainty.
pub(super) struct Centre {
    /// Per model: the share that it has in its group's mean.
    share: Vec<f64>,
    group: Vec<usize>,
}

impl Centre {
    pub fn of(structure: &Structure) -> Centre {
        let group = structure.group.clone();
        let bounded = structure.bounded();
        let counts = |i: usize| {
            let alike = |k: &usize| group[*k] == group[i] && bounded[*k];
            let size = (0..group.len()).filter(alike).count();
            match size {
                0 => 1.0 / group.iter().filter(|&&g| g == group[i]).count() as f64,
                _ if bounded[i] => 1.0 / size as f64,
                _ => 0.0,
            }
        };
        Centre { share: (0..group.len()).map(counts).collect(), group }
    }

    /// Number of models.
    pub fn models(&self) -> usize {
        self.group.len()
    }

    /// Shifts each group so that its mean is 0.
    pub fn apply(&self, theta: &mut [f64]) {
        let means = self.means(|i| theta[i]);
        for (t, &g) in theta.iter_mut().zip(&self.group) {
            *t -= means[g];
        }
    }

    /// The covariance of shifted values: P·C·Pᵀ with P = I − 1·shareᵀ within each group.
    fn apply_to_covariance(&self, covariance: &mut Matrix) {
        let n = covariance.n;
        for _ in 0..2 {
            for column in 0..n {
                let means = self.means(|i| covariance.at(i, column));
                for row in 0..n {
                    covariance.add(row, column, -means[self.group[row]]);
                }
            }
            covariance.transpose();
        }
    }

    fn means(&self, value: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut means = vec![0.0; self.group.iter().max().map_or(0, |g| g + 1)];
        for (i, &g) in self.group.iter().enumerate() {
            means[g] += self.share[i] * value(i);
        }
        means
    }
}

/// The covariance of centred θ by the sandwich H⁻¹·G·H⁻¹: H is the Laplacian of n·p(1−p), G that of the squared residuals Σ(y − p)², over the pairs.
///
/// Where the residuals vanish for want of evidence they would claim a certainty that nobody has: in a pair that was only
/// ever won by one side, and in a group whose battles are all ties. Such a pair enters G with its model variance
/// n·p(1−p) instead. (arena-rank gives intervals of next to no width in both cases.)
///
/// # Errors
/// `Internal` when H cannot be inverted.
pub(super) fn covariance(theta: &[f64], pairs: &[Pair], structure: &Structure) -> Result<Matrix> {
    let n = theta.len();
    let (mut hessian, mut spread) = (Matrix::zero(n), Matrix::zero(n));
    let mut battles = 0.0;
    let decided: BTreeSet<usize> =
        pairs.iter().filter(|p| p.wins_i + p.wins_j > 0.0).map(|p| structure.group[p.i]).collect();
    for p in pairs {
        let chance = sigmoid(theta[p.i] - theta[p.j]);
        let model = p.total() * chance * (1.0 - chance);
        let residuals = p.wins_i * (1.0 - chance).powi(2) + p.wins_j * chance.powi(2) + p.ties * (0.5 - chance).powi(2);
        hessian.add_edge(p.i, p.j, model);
        let blank = structure.is_one_way(p) || !decided.contains(&structure.group[p.i]);
        spread.add_edge(p.i, p.j, if blank { model } else { residuals });
        battles += p.total();
    }
    for i in 0..n {
        hessian.add(i, i, RIDGE_PER_BATTLE * battles);
    }
    let Some(factor) = hessian.cholesky() else {
        return Err(Error::internal("the information matrix of the ratings is not positive definite"));
    };
    let inverse = factor.inverse();
    let mut covariance = inverse.times(&spread).times(&inverse);
    Centre::of(structure).apply_to_covariance(&mut covariance);
    Ok(covariance)
}
