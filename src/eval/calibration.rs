//! Whether a model is as sure of its answers as it is right.
//!
//! A model's probability of a choice is the softmax of the choices' log-likelihoods, so that they add up to one; its
//! confidence is the largest of them.

use super::runner::{ItemOutcome, argmax};
use serde::Serialize;

/// Bins of the reliability diagram, of equal width: the usual number (Guo et al. 2017).
pub const BINS: usize = 15;

/// How far confidence and accuracy agree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Items with log-likelihoods and a known right answer.
    pub n: usize,
    /// Expected calibration error: Σ nᵦ÷n · |accuracy − confidence| over [`BINS`] bins.
    pub ece: f64,
    /// Largest |accuracy − confidence| of a bin that is not empty.
    pub mce: f64,
    /// Brier score: the mean over items of Σ over choices (probability − truth)², 0 to 2.
    pub brier: f64,
    /// Mean −ln of the right choice's probability; `None` where one was 0.
    pub log_loss: Option<f64>,
    /// Mean confidence.
    pub confidence: f64,
    /// Share of right answers on these items.
    pub accuracy: f64,
    /// The reliability diagram, from 0 to 1.
    pub bins: Vec<ReliabilityBin>,
}

/// The items whose confidence lies in (lower, upper].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Excluded.
    pub lower: f64,
    /// Included.
    pub upper: f64,
    /// Items in it.
    pub n: usize,
    /// Their mean confidence; `None` without items.
    pub confidence: Option<f64>,
    /// Their share of right answers; `None` without items.
    pub accuracy: Option<f64>,
}

/// The probabilities that log-likelihoods amount to among themselves. `None` when there is none, or all are −∞, or one
/// is not a number.
pub fn softmax(lls: &[f64]) -> Option<Vec<f64>> {
    let top = lls.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !top.is_finite() || lls.iter().any(|ll| ll.is_nan()) {
        return None;
    }
    let weights: Vec<f64> = lls.iter().map(|ll| (ll - top).exp()).collect();
    let sum: f64 = weights.iter().sum();
    Some(weights.into_iter().map(|w| w / sum).collect())
}

/// The calibration of `outcomes`; `None` when none has log-likelihoods and a known answer (written answers have no
/// probability).
pub fn calibration(outcomes: &[ItemOutcome]) -> Option<Calibration> {
    let mut bins = [(0usize, 0.0f64, 0usize); BINS];
    let (mut n, mut brier, mut log_loss, mut confidence, mut right) = (0usize, 0.0, 0.0, 0.0, 0usize);
    for outcome in outcomes {
        let Some(p) = softmax(&outcome.loglikelihoods).filter(|p| p.len() > 1) else { continue };
        let Some((gold, top)) = gold_position(outcome).zip(argmax(&outcome.loglikelihoods)) else { continue };
        let sure = p.get(top).copied().unwrap_or(0.0);
        n += 1;
        brier += p.iter().enumerate().map(|(i, p)| (p - f64::from(u8::from(i == gold))).powi(2)).sum::<f64>();
        log_loss -= p.get(gold).copied().unwrap_or(0.0).ln();
        confidence += sure;
        right += usize::from(top == gold);
        // (lower, upper]: a confidence on a border belongs to the bin below it.
        let at = ((sure * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        if let Some((count, sum, correct)) = bins.get_mut(at) {
            *count += 1;
            *sum += sure;
            *correct += usize::from(top == gold);
        }
    }
    if n == 0 {
        return None;
    }
    let total = n as f64;
    let bins: Vec<ReliabilityBin> = bins
        .iter()
        .enumerate()
        .map(|(i, &(count, sum, correct))| ReliabilityBin {
            lower: i as f64 / BINS as f64,
            upper: (i + 1) as f64 / BINS as f64,
            n: count,
            confidence: (count > 0).then(|| sum / count as f64),
            accuracy: (count > 0).then(|| correct as f64 / count as f64),
        })
        .collect();
    let gaps = bins.iter().filter_map(|b| Some((b.n as f64 / total, (b.accuracy? - b.confidence?).abs())));
    Some(Calibration {
        n,
        ece: gaps.clone().map(|(share, gap)| share * gap).sum(),
        mce: gaps.map(|(_, gap)| gap).fold(0.0, f64::max),
        brier: brier / total,
        log_loss: Some(log_loss / total).filter(|l| l.is_finite()),
        confidence: confidence / total,
        accuracy: right as f64 / total,
        bins,
    })
}

/// Which of the shown choices was the right one, as far as the outcome tells: the answered one when it was right, else
/// by the label. Labels of results are letters in the order of the choices.
pub fn gold_position(outcome: &ItemOutcome) -> Option<usize> {
    if outcome.gold.is_empty() {
        return None;
    }
    if outcome.correct {
        return argmax(&outcome.loglikelihoods);
    }
    let mut chars = outcome.gold.chars();
    let letter = chars.next().filter(|_| chars.next().is_none());
    let by_letter = letter.filter(char::is_ascii_uppercase).map(|c| usize::from(c as u8 - b'A'));
    // Other labels: the scored continuation that is the label.
    by_letter
        .or_else(|| outcome.choices.iter().position(|c| c.trim() == outcome.gold))
        .or_else(|| outcome.gold.parse().ok())
        .filter(|at| *at < outcome.loglikelihoods.len())
}
