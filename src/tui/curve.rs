//! A curve in bounded memory: the whole history in buckets whose width doubles whenever they are full,
//! and the newest points as they came.

use std::collections::VecDeque;

/// Buckets of the history when it is full: more than twice the dots across a wide terminal.
const BUCKETS: usize = 1024;
/// Newest points kept as they are.
const RECENT: usize = 256;

/// Points that share a bucket: their number, sums and the last of them.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    n: f64,
    x: f64,
    y: f64,
}

/// A growing series of points with ascending x.
#[derive(Clone, Debug)]
pub struct Curve {
    history: Vec<Bucket>,
    /// Points that a full bucket holds.
    width: f64,
    recent: VecDeque<(f64, f64)>,
    lowest: Option<(f64, f64)>,
}

impl Default for Curve {
    fn default() -> Curve {
        Curve { history: Vec::new(), width: 1.0, recent: VecDeque::new(), lowest: None }
    }
}

impl Curve {
    /// Adds a point. A value that is not finite is left out: it has no place on a chart.
    pub fn push(&mut self, x: f64, y: f64) {
        if !y.is_finite() {
            return;
        }
        if self.lowest.is_none_or(|(_, low)| y < low) {
            self.lowest = Some((x, y));
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((x, y));
        match self.history.last_mut() {
            Some(last) if last.n < self.width => {
                last.n += 1.0;
                last.x += x;
                last.y += y;
            }
            _ => {
                if self.history.len() == BUCKETS {
                    self.halve();
                }
                self.history.push(Bucket { n: 1.0, x, y });
            }
        }
    }

    fn halve(&mut self) {
        let pairs = self.history.chunks(2).map(|pair| {
            pair.iter().fold(Bucket::default(), |a, b| Bucket { n: a.n + b.n, x: a.x + b.x, y: a.y + b.y })
        });
        self.history = pairs.collect();
        self.width *= 2.0;
    }

    /// The whole curve, averaged within its buckets.
    pub fn points(&self) -> Vec<(f64, f64)> {
        self.history.iter().map(|b| (b.x / b.n, b.y / b.n)).collect()
    }

    /// The newest point.
    pub fn last(&self) -> Option<(f64, f64)> {
        self.recent.back().copied()
    }

    /// The point with the lowest value.
    pub fn lowest(&self) -> Option<(f64, f64)> {
        self.lowest
    }

    /// Mean of at most `n` newest values.
    pub fn recent_mean(&self, n: usize) -> Option<f64> {
        let values: Vec<f64> = self.recent.iter().rev().take(n).map(|(_, y)| *y).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.history.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_the_mean_is_kept() {
        let mut curve = Curve::default();
        let n = 1_000_000;
        for i in 1..=n {
            curve.push(f64::from(i), f64::from(i % 10));
        }
        let points = curve.points();
        assert!(points.len() <= BUCKETS && points.len() >= BUCKETS / 2, "{}", points.len());
        assert!(points.windows(2).all(|w| w[0].0 < w[1].0));
        let weighted: f64 = curve.history.iter().map(|b| b.y).sum::<f64>() / f64::from(n);
        assert!((weighted - 4.5).abs() < 1e-9);
        assert_eq!(curve.history.iter().map(|b| b.n).sum::<f64>(), f64::from(n));
        assert_eq!(curve.last(), Some((1e6, 0.0)));
        assert_eq!(curve.recent.len(), RECENT);
    }

    #[test]
    fn a_short_curve_is_exact_and_what_is_not_finite_is_left_out() {
        let mut curve = Curve::default();
        for (i, y) in [3.0, f64::NAN, 1.0, f64::INFINITY, 2.0].into_iter().enumerate() {
            curve.push(i as f64, y);
        }
        assert_eq!(curve.points(), [(0.0, 3.0), (2.0, 1.0), (4.0, 2.0)]);
        assert_eq!(curve.lowest(), Some((2.0, 1.0)));
        assert_eq!(curve.recent_mean(2), Some(1.5));
        assert_eq!(Curve::default().recent_mean(2), None);
    }
}
