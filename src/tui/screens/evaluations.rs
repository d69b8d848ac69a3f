//! Benchmark scores: runs, the subjects of one, the items of a subject, one item in full. A run can be
//! marked: the others are then shown beside it, down to the items that only one of two got right.

use super::flips::Flips;
use super::item::draw_item;
use super::matrix::Matrix;
use super::roster::Roster;
use super::score_lists::{draw_items, draw_runs, draw_subjects, no_score};
use super::score_run::{Beside, Open, Subject};
use super::{Effect, Listed, Screen, at_top, contestant, nothing_selected};
use crate::error::Result;
use crate::job::JobEvent;
use crate::store::{RunRecord, RunStatus};
use crate::tr;
use crate::tui::action::Action;
use crate::tui::form::FormRequest;
use crate::tui::keymap::View;
use crate::tui::query::{Answer, Query};
use crate::tui::source::{ScoresAnswer, ScoresQuery, SubjectView};
use crate::tui::theme::Role;
use crate::tui::widgets::{Input, Pager, Paint};
use ratatui::layout::Rect;
use std::collections::HashMap;

const KIND: &str = "eval";

/// The evaluations screen.
pub struct Evaluations {
    runs: Roster<RunRecord>,
    /// The run that others are compared with.
    marked: Option<String>,
    /// Models by benchmarks, in place of the list of runs.
    matrix: Option<Matrix>,
    open: Option<Open>,
    /// Lies over everything else.
    flips: Option<Flips>,
    /// A run to open when the list that has it is here.
    sought: Option<String>,
}

impl Default for Evaluations {
    fn default() -> Evaluations {
        let runs = Roster::new(
            |r: &RunRecord| r.id.clone(),
            |r| format!("{} {} {} {} {}", r.id, r.task, r.model, r.adapter, r.status.as_str()),
        );
        Evaluations { runs, marked: None, matrix: None, open: None, flips: None, sought: None }
    }
}

impl Evaluations {
    fn name_of(&self, run: &str) -> String {
        self.runs.all().iter().find(|r| r.id == run).map_or_else(String::new, |r| contestant(&r.model, &r.adapter))
    }

    fn subject(&self) -> Option<&Subject> {
        self.open.as_ref()?.subject.as_ref()
    }

    fn subject_mut(&mut self) -> Option<&mut Subject> {
        self.open.as_mut()?.subject.as_mut()
    }

    /// The run that commands are about.
    fn current(&self) -> Option<&str> {
        match (&self.open, &self.matrix) {
            (Some(open), _) => Some(&open.run),
            (None, Some(matrix)) => matrix.figure().map(|f| f.origin.as_str()),
            (None, None) => self.runs.selected().map(|r| r.id.as_str()),
        }
    }

    fn enter(&mut self) -> Vec<Effect> {
        let Some(open) = &mut self.open else { return self.enter_run() };
        if let Some(subject) = &mut open.subject {
            subject.detail = Some(Pager::default());
            return vec![];
        }
        let Some(name) = open.subjects.selected().map(|s| s.subject.clone()) else { return vec![] };
        open.subject = Some(Subject {
            name: name.clone(),
            items: Roster::new(|o| o.item.clone(), |o| format!("{} {} {}", o.item, o.pred, o.prompt)),
            beside: HashMap::new(),
            only_wrong: false,
            detail: None,
        });
        let runs = std::iter::once(&open.run).chain(open.beside.as_ref().map(|b| &b.run));
        runs.map(|run| Effect::Ask(Query::Outcomes { run: run.clone(), subject: name.clone() })).collect()
    }

    fn enter_run(&mut self) -> Vec<Effect> {
        let run = self.current().map(str::to_owned);
        run.map_or_else(Vec::new, |run| self.open_run(run))
    }

    /// Opens the run that was sought, if it is here by now.
    fn open_sought(&mut self) -> Vec<Effect> {
        match self.sought.take() {
            Some(run) if self.runs.all().iter().any(|r| r.id == run) => self.open_run(run),
            sought => {
                self.sought = sought;
                vec![]
            }
        }
    }

    fn open_run(&mut self, run: String) -> Vec<Effect> {
        let beside = self.marked.clone().filter(|marked| *marked != run);
        let beside = beside.map(|run| Beside { name: self.name_of(&run), run, subjects: HashMap::new() });
        let record = self.runs.all().iter().find(|r| r.id == run);
        let running = record.is_some_and(|r| r.status == RunStatus::Running);
        let pattern = record.filter(|_| running).and_then(|r| self.pattern(r));
        let asked = [Some(&run), beside.as_ref().map(|b| &b.run), pattern.as_ref()];
        let mut effects: Vec<Effect> =
            asked.into_iter().flatten().map(|run| Effect::Ask(Query::Subjects { run: run.clone() })).collect();
        if running {
            effects.push(Effect::Ask(Query::Events { run: run.clone(), after: 0 }));
        }
        let subjects = Roster::new(|s: &SubjectView| s.subject.clone(), |s| s.subject.clone());
        self.open = Some(Open {
            name: self.name_of(&run),
            run,
            subjects,
            sorting: Open::UNSORTED,
            beside,
            running,
            total: None,
            pattern: pattern.map(|run| (run, HashMap::new())),
            subject: None,
        });
        effects
    }

    /// A finished run that was asked the same items as `run`.
    fn pattern(&self, run: &RunRecord) -> Option<String> {
        let asks = |r: &RunRecord| ["limit", "subjects", "split"].map(|key| r.config.get(key).cloned());
        let same = |r: &&RunRecord| r.status == RunStatus::Done && r.task == run.task && asks(r) == asks(run);
        self.runs.all().iter().find(same).map(|r| r.id.clone())
    }

    /// The pair that flips are asked of: the marked run and the present one.
    fn pair(&self) -> Option<(&str, &str)> {
        let a = self.open.as_ref().map_or(self.marked.as_deref(), |o| o.beside.as_ref().map(|b| b.run.as_str()))?;
        self.current().filter(|b| *b != a).map(|b| (a, b))
    }

    fn compare(&mut self) -> Vec<Effect> {
        let Some((a, b)) = self.pair() else { return vec![] };
        let flips = Flips::new(a, b, [self.name_of(a), self.name_of(b)]);
        let question = flips.question();
        self.flips = Some(flips);
        vec![question]
    }

    fn back(&mut self) {
        let cleared = self.filter().filter(|f| !f.is_empty()).map(Input::clear).is_some();
        if cleared {
            return self.filtered();
        }
        if let Some(flips) = &mut self.flips {
            if !flips.close() {
                self.flips = None;
            }
            return;
        }
        match &mut self.open {
            Some(Open { subject: Some(Subject { detail: detail @ Some(_), .. }), .. }) => *detail = None,
            Some(Open { subject: subject @ Some(_), .. }) => *subject = None,
            open @ Some(_) => *open = None,
            None => self.matrix = None,
        }
    }

    /// Moves within what is on top.
    fn wander(&mut self, action: Action) -> Vec<Effect> {
        if let Some(flips) = &mut self.flips {
            return flips.update(action);
        }
        match &mut self.open {
            None => {
                match &mut self.matrix {
                    Some(matrix) => matrix.update(action),
                    None => self.runs.update(action),
                };
            }
            Some(Open { subject: None, subjects, .. }) => {
                subjects.update(action);
            }
            Some(Open { subject: Some(subject), .. }) => match (&mut subject.detail, action) {
                (Some(pager), Action::Next) => {
                    subject.items.update(Action::Down);
                    pager.reset();
                }
                (Some(pager), Action::Previous) => {
                    subject.items.update(Action::Up);
                    pager.reset();
                }
                (Some(pager), _) => {
                    pager.update(action);
                }
                (None, _) => {
                    subject.items.update(action);
                }
            },
        }
        vec![]
    }

    fn receive_subjects(&mut self, run: &str, answer: Result<Answer>) -> Vec<Effect> {
        let Some(open) = &mut self.open else { return vec![] };
        let Ok(Answer::Subjects(subjects)) = answer else {
            let Err(error) = answer else { return vec![] };
            if run == open.run {
                open.subjects.set(Err(error));
                return vec![];
            }
            return vec![Effect::Notice(error.message, Role::Bad)];
        };
        if let Some(beside) = open.beside.as_mut().filter(|b| b.run == run) {
            beside.subjects = subjects.iter().map(|s| (s.subject.clone(), s.clone())).collect();
        }
        if let Some((_, counts)) = open.pattern.as_mut().filter(|(pattern, _)| pattern == run) {
            *counts = subjects.iter().map(|s| (s.subject.clone(), s.n)).collect();
        }
        if run == open.run {
            open.set(subjects);
        }
        vec![]
    }
}

impl Screen for Evaluations {
    fn view(&self) -> View {
        match (&self.flips, &self.open, &self.matrix) {
            (Some(flips), _, _) if flips.is_detail() => View::Item,
            (Some(_), _, _) => View::Flips,
            (None, None, None) => View::Scores,
            (None, None, Some(_)) => View::Matrix,
            (None, Some(Open { subject: None, .. }), _) => View::Subjects,
            (None, Some(Open { subject: Some(Subject { detail: None, .. }), .. }), _) => View::Items,
            (None, Some(_), _) => View::Item,
        }
    }

    fn place(&self) -> Vec<String> {
        if let Some(flips) = &self.flips {
            return flips.place();
        }
        let Some(open) = &self.open else {
            let mut place = vec![tr!("Evaluations", "评测")];
            match &self.matrix {
                Some(matrix) => place.extend(matrix.place()),
                None => place.push(self.runs.len().to_string()),
            }
            if let Some(marked) = &self.marked {
                place.push(tr!("compared with * {}", "对照 * {}", self.name_of(marked)));
            }
            return place;
        };
        let mut place = vec![open.name.clone()];
        if let Some(beside) = &open.beside {
            place.push(tr!("marked: {}", "对照：{}", beside.name));
        }
        if let Some(subject) = &open.subject {
            place.push(subject.name.clone());
            if let (Some(_), Some(item)) = (&subject.detail, subject.items.selected()) {
                place.push(item.item.clone());
            }
        }
        place
    }

    fn obstacle(&self, action: Action) -> Option<String> {
        let (place, len, empty) = match (&self.flips, &self.open, self.subject()) {
            (Some(flips), _, _) => (flips.items.place(), flips.items.len(), flips.items.selected().is_none()),
            (None, Some(_), Some(s)) => (s.items.place(), s.items.len(), s.items.selected().is_none()),
            (None, Some(open), None) => (0, 0, open.subjects.selected().is_none()),
            (None, None, _) => match &self.matrix {
                Some(matrix) => return matrix.obstacle(action),
                None => (0, 0, self.runs.selected().is_none()),
            },
        };
        let top = self.flips.is_none() && self.open.is_none();
        match action {
            Action::Open | Action::Mark if empty => Some(nothing_selected()),
            Action::Copy if top && empty => Some(nothing_selected()),
            Action::Flips if self.pair().is_none() => Some(tr!(
                "flips need two runs: mark one with m in the list of runs, then choose another",
                "翻转需要两次运行：在列表中按 m 标记一次，再选另一次"
            )),
            Action::Back if top && self.runs.filter.is_empty() => Some(at_top()),
            Action::Next if place + 1 >= len => Some(tr!("this is the last item", "已经是最后一题")),
            Action::Previous if place == 0 => Some(tr!("this is the first item", "已经是第一题")),
            _ => None,
        }
    }

    fn update(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::New => return vec![Effect::Fill(FormRequest::new("run", &[]))],
            Action::Open => {
                return match &mut self.flips {
                    Some(flips) => flips.open(),
                    None => self.enter(),
                };
            }
            Action::Back => self.back(),
            Action::Flips => return self.compare(),
            Action::Matrix => {
                let shown = self.matrix.take().is_some();
                if !shown {
                    self.matrix = Some(Matrix::default());
                    return vec![Effect::Ask(Query::Scores(ScoresQuery::Matrix))];
                }
            }
            Action::Copy => {
                let matrix = self.matrix.as_ref().filter(|_| self.open.is_none()).map(Matrix::markdown);
                let text = self.flips.as_ref().map(Flips::copied).or(matrix);
                return text.or(self.current().map(str::to_owned)).map(Effect::Copy).into_iter().collect();
            }
            Action::Mark => {
                let run = self.runs.selected().map(|r| r.id.clone());
                self.marked = if self.marked == run { None } else { run };
            }
            Action::Sort => {
                if let Some(open) = &mut self.open {
                    open.sort();
                }
            }
            Action::OnlyWrong => {
                if let Some(subject) = self.subject_mut() {
                    subject.only_wrong = !subject.only_wrong;
                    subject.items.keep(if subject.only_wrong { |o| !o.correct } else { |_| true });
                }
            }
            _ => return self.wander(action),
        }
        vec![]
    }

    fn poll(&mut self, slow: bool) -> Vec<Query> {
        if !slow {
            return vec![];
        }
        let mut queries = vec![Query::Runs { kind: KIND }];
        if self.matrix.is_some() && self.open.is_none() {
            queries.push(Query::Scores(ScoresQuery::Matrix));
        }
        // A run that is being scored grows under the reader's eyes.
        if let Some(Open { subject: None, run, running: true, .. }) = &self.open {
            queries.push(Query::Subjects { run: run.clone() });
        }
        queries
    }

    fn receive(&mut self, query: &Query, answer: Result<Answer>) -> Vec<Effect> {
        match (query, answer, &mut self.open) {
            (Query::Runs { .. }, Ok(Answer::Runs(runs)), open) => {
                let mut ended = vec![];
                if let Some(open) = open {
                    let running = runs.iter().any(|r| r.id == open.run && r.status == RunStatus::Running);
                    if open.running != running {
                        // Its last items may not have been here when it ended.
                        ended.push(Effect::Ask(Query::Subjects { run: open.run.clone() }));
                    }
                    open.running = running;
                }
                self.runs.set(Ok(runs));
                ended.extend(self.open_sought());
                // It was asked of a list that should have it: a run that is not there was removed since.
                self.sought = None;
                return ended;
            }
            (Query::Runs { .. }, Err(error), _) => self.runs.set(Err(error)),
            (Query::Scores(ScoresQuery::Matrix), answer, _) => {
                let Some(matrix) = &mut self.matrix else { return vec![] };
                match answer {
                    Ok(Answer::Scores(ScoresAnswer::Matrix(board))) => matrix.set(Ok(board)),
                    Err(error) => matrix.set(Err(error)),
                    Ok(_) => {}
                }
            }
            (Query::Scores(query), answer, _) => {
                if let Some(flips) = &mut self.flips {
                    match answer {
                        Ok(Answer::Scores(scores)) => flips.receive(query, Ok(scores)),
                        Err(error) => flips.receive(query, Err(error)),
                        Ok(_) => {}
                    }
                }
            }
            (Query::Events { run, .. }, Ok(Answer::Events(events)), Some(open)) if *run == open.run => {
                open.total = events.iter().rev().find_map(|(_, event)| match event {
                    JobEvent::Started { total, .. } => Some(*total),
                    _ => None,
                });
            }
            (Query::Subjects { run }, answer, _) => return self.receive_subjects(run, answer),
            (Query::Outcomes { run, subject }, answer, Some(open)) => {
                let Some(shown) = open.subject.as_mut().filter(|s| s.name == *subject) else { return vec![] };
                match answer {
                    Ok(Answer::Outcomes(items)) if *run == open.run => shown.items.set(Ok(items)),
                    Ok(Answer::Outcomes(items)) => {
                        shown.beside = items.into_iter().map(|o| (o.item.clone(), o)).collect();
                    }
                    Err(error) if *run == open.run => shown.items.set(Err(error)),
                    Err(error) => return vec![Effect::Notice(error.message, Role::Bad)],
                    Ok(_) => {}
                }
            }
            _ => {}
        }
        vec![]
    }

    fn list(&mut self) -> Option<&mut dyn Listed> {
        match (&mut self.flips, &mut self.open, &mut self.matrix) {
            (Some(flips), ..) if flips.is_detail() => None,
            (Some(flips), ..) => Some(&mut flips.items),
            (None, None, Some(matrix)) => Some(&mut matrix.rows),
            (None, None, None) => Some(&mut self.runs),
            (None, Some(Open { subject: None, subjects, .. }), _) => Some(subjects),
            (None, Some(Open { subject: Some(Subject { detail: None, items, .. }), .. }), _) => Some(items),
            (None, Some(_), _) => None,
        }
    }

    fn look(&mut self, run: &str) -> Vec<Effect> {
        (self.flips, self.open) = (None, None);
        self.sought = Some(run.to_owned());
        self.open_sought()
    }

    fn draw(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        if let Some(flips) = &self.flips {
            return flips.draw(p, area);
        }
        let Some(open) = &self.open else {
            return match &self.matrix {
                Some(matrix) => matrix.draw(p, area, &no_score()),
                None => draw_runs(p, area, &self.runs, self.marked.as_deref(), now),
            };
        };
        match &open.subject {
            None => draw_subjects(p, area, open),
            Some(subject) => match (&subject.detail, subject.items.selected()) {
                (Some(pager), Some(item)) => draw_item(p, area, pager, item, subject.beside.get(&item.item)),
                _ => draw_items(p, area, open, subject),
            },
        }
    }
}
