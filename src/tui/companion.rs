//! Other trainings whose losses are drawn beside the one that is looked at.

use super::curve::Curve;
use super::figures::value;
use super::theme::Role;
use super::widgets::{Line, Marker};
use crate::job::JobEvent;
use crate::store::RunStatus;
use crate::tr;

/// Letters of the runs: the capital for the validation loss (and in the list), the small one for the training loss.
const LETTERS: [(&str, &str); 4] = [("A", "a"), ("B", "b"), ("C", "c"), ("D", "d")];

/// At most this many runs are drawn beside the open one.
pub const MOST: usize = LETTERS.len();

/// A marked training. Its memory does not grow with the number of its steps.
#[derive(Debug)]
pub struct Companion {
    /// Run id.
    pub run: String,
    /// What it is called beside its line.
    pub name: String,
    /// How it stands.
    pub status: RunStatus,
    /// Number of the last event taken.
    after: i64,
    /// Whether all its events are here: a run that has ended has no more.
    complete: bool,
    letter: usize,
    loss: Curve,
    val: Curve,
}

impl Companion {
    /// A run whose events are still to come; `others` hold their letters.
    pub fn new(run: &str, name: String, status: RunStatus, others: &[Companion]) -> Companion {
        let letter = (0..MOST).find(|l| others.iter().all(|o| o.letter != *l)).unwrap_or(0);
        Companion {
            run: run.to_owned(),
            name,
            status,
            after: 0,
            complete: false,
            letter,
            loss: Curve::default(),
            val: Curve::default(),
        }
    }

    /// Its sign in the list.
    pub fn sign(&self) -> &'static str {
        LETTERS[self.letter].0
    }

    /// The event after which news are wanted; none when there can be none.
    pub fn wants(&self) -> Option<i64> {
        (!self.complete).then_some(self.after)
    }

    /// Takes the events after `after`.
    pub fn take(&mut self, after: i64, events: &[(i64, JobEvent)]) {
        // An answer to an earlier question would add the same steps twice.
        if after != self.after {
            return;
        }
        for (number, event) in events {
            self.after = *number;
            match event {
                JobEvent::Step(m) => self.loss.push(m.step as f64, m.loss),
                JobEvent::Eval { step, val_loss, .. } => self.val.push(*step as f64, *val_loss),
                _ => {}
            }
        }
        self.complete = self.status != RunStatus::Running;
    }

    /// Notes how the run stands now.
    pub fn stands(&mut self, status: RunStatus) {
        if status == self.status {
            return;
        }
        if status == RunStatus::Running {
            // A resumed run writes its steps after the checkpoint again: the curve starts over.
            (self.after, self.loss, self.val) = (0, Curve::default(), Curve::default());
        }
        // Its last events may not have been here when it ended.
        self.complete = false;
        self.status = status;
    }

    /// Its lines: validation loss, then training loss, with at most `points` points each.
    pub fn lines(&self, points: usize, smoothing: f64) -> Vec<Line> {
        let (capital, small) = LETTERS[self.letter];
        let newest = |curve: &Curve| curve.last().map_or_else(|| "-".into(), |(_, y)| value(y));
        let mut lines = Vec::new();
        if !self.val.is_empty() {
            lines.push(Line {
                label: tr!("{} val {}", "{} 验证 {}", self.name, newest(&self.val)),
                marker: Marker::Sign(capital),
                role: Role::SecondLine,
                points: thinned(&self.val.points(), points),
            });
        }
        lines.push(Line {
            label: tr!("{} train {}", "{} 训练 {}", self.name, newest(&self.loss)),
            marker: Marker::Sign(small),
            role: Role::FirstLine,
            points: thinned(&smoothed(&self.loss.points(), smoothing), points),
        });
        lines
    }
}

/// Exponential mean of the values with weight `keep` on the past, without a bias to the first one (as Adam corrects it).
pub fn smoothed(points: &[(f64, f64)], keep: f64) -> Vec<(f64, f64)> {
    if keep <= 0.0 {
        return points.to_vec();
    }
    let (mut mean, mut weight) = (0.0, 0.0);
    let step = |&(x, y): &(f64, f64)| {
        mean = keep * mean + (1.0 - keep) * y;
        weight = keep * weight + (1.0 - keep);
        (x, mean / weight)
    };
    points.iter().map(step).collect()
}

/// At most `most` points: means of as many neighbours as it takes, so that signs stand apart.
fn thinned(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(most.max(1)).max(1);
    let mean = |group: &[(f64, f64)]| {
        let n = group.len() as f64;
        (group.iter().map(|q| q.0).sum::<f64>() / n, group.iter().map(|q| q.1).sum::<f64>() / n)
    };
    points.chunks(size).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_a_level_line_and_begins_at_the_first_value() {
        let level: Vec<(f64, f64)> = (0..50).map(|i| (f64::from(i), 2.5)).collect();
        assert!(smoothed(&level, 0.9).iter().all(|q| (q.1 - 2.5).abs() < 1e-12));
        let step = [(0.0, 4.0), (1.0, 0.0)];
        let soft = smoothed(&step, 0.5);
        // Weights 1/3 and 2/3: the older value counts half as much.
        assert_eq!(soft[0].1, 4.0);
        assert!((soft[1].1 - 4.0 / 3.0).abs() < 1e-12, "{soft:?}");
        assert_eq!(smoothed(&step, 0.0), step);
    }

    #[test]
    fn thinning_keeps_the_mean_and_the_bound() {
        let points: Vec<(f64, f64)> = (0..1000).map(|i| (f64::from(i), f64::from(i % 4))).collect();
        let few = thinned(&points, 25);
        assert_eq!(few.len(), 25);
        assert!(few.iter().all(|q| (q.1 - 1.5).abs() < 1e-12));
        assert!(thinned(&[], 25).is_empty());
    }
}
