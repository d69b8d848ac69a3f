//! A scored run that is looked into: its subjects in any order, beside those of the marked run, and one subject's items.

use super::figure_table::Sorting;
use super::roster::Roster;
use crate::tui::source::{OutcomeView, SubjectView};
use crate::tui::widgets::Pager;
use std::collections::HashMap;

/// The run that is looked into.
pub struct Open {
    pub run: String,
    pub name: String,
    /// The subjects in the order that is shown.
    pub subjects: Roster<SubjectView>,
    pub sorting: Sorting<Order>,
    /// The marked run and its figures by subject.
    pub beside: Option<Beside>,
    /// Whether it is being scored now.
    pub running: bool,
    /// Items that it is to score in all, if known.
    pub total: Option<u64>,
    /// An earlier run of the same items, and how many it has of each subject.
    pub pattern: Option<(String, HashMap<String, u64>)>,
    pub subject: Option<Subject>,
}

/// What subjects are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Name,
    Accuracy,
    /// To the marked run; those without one come last.
    Difference,
}

#[derive(Default)]
pub struct Beside {
    pub run: String,
    pub name: String,
    pub subjects: HashMap<String, SubjectView>,
}

/// The subject that is looked into.
pub struct Subject {
    pub name: String,
    pub items: Roster<OutcomeView>,
    pub beside: HashMap<String, OutcomeView>,
    pub only_wrong: bool,
    pub detail: Option<Pager>,
}

/// Share of right answers.
pub fn share(s: &SubjectView) -> f64 {
    if s.n == 0 { 0.0 } else { s.correct as f64 / s.n as f64 }
}

impl Open {
    /// The order at first.
    pub const UNSORTED: Sorting<Order> = Sorting { by: Order::Name, falling: false };

    /// The direction of the present order, if it is `by`.
    pub fn falling(&self, by: Order) -> Option<bool> {
        (self.sorting.by == by).then_some(self.sorting.falling)
    }

    /// How many items of this subject there will be, if that is known and they are not all here.
    pub fn expected(&self, s: &SubjectView) -> Option<u64> {
        let (_, counts) = self.pattern.as_ref().filter(|_| self.running)?;
        counts.get(&s.subject).copied().filter(|of| *of > s.n)
    }

    /// By how much the run is better in a subject than the marked one. Scores of different numbers of items are not of
    /// the same items: no difference is claimed.
    pub fn lead(&self, s: &SubjectView) -> Option<f64> {
        let other = self.beside.as_ref()?.subjects.get(&s.subject)?;
        (other.n == s.n).then(|| share(s) - share(other))
    }

    /// Takes the subjects, and those that are still to come from an earlier run of the same items.
    pub fn set(&mut self, mut subjects: Vec<SubjectView>) {
        if let Some((_, counts)) = self.pattern.as_ref().filter(|_| self.running) {
            let mut missing: Vec<&String> =
                counts.keys().filter(|name| subjects.iter().all(|s| s.subject != **name)).collect();
            missing.sort();
            subjects.extend(missing.into_iter().map(|s| SubjectView { subject: s.clone(), ..SubjectView::default() }));
        }
        self.order(&mut subjects);
        self.subjects.set(Ok(subjects));
    }

    fn order(&self, subjects: &mut [SubjectView]) {
        let Sorting { by, falling } = self.sorting;
        let key = |s: &SubjectView| match by {
            Order::Name => None,
            Order::Accuracy => Some(share(s)),
            Order::Difference => self.lead(s),
        };
        subjects.sort_by(|x, y| {
            let order = match (key(x), key(y)) {
                (Some(x), Some(y)) if falling => y.total_cmp(&x),
                (Some(x), Some(y)) => x.total_cmp(&y),
                (x, y) => y.is_some().cmp(&x.is_some()),
            };
            order.then_with(|| x.subject.cmp(&y.subject))
        });
    }

    /// The next order: by name, by accuracy and by difference, each both ways.
    pub fn sort(&mut self) {
        let next = |by, falling| Sorting { by, falling };
        self.sorting = match (self.sorting.by, self.sorting.falling) {
            (Order::Name, _) => next(Order::Accuracy, true),
            (Order::Accuracy, true) => next(Order::Accuracy, false),
            (Order::Accuracy, false) if self.beside.is_some() => next(Order::Difference, true),
            (Order::Difference, true) => next(Order::Difference, false),
            _ => Open::UNSORTED,
        };
        let mut subjects = self.subjects.all().to_vec();
        self.order(&mut subjects);
        self.subjects.set(Ok(subjects));
    }
}
