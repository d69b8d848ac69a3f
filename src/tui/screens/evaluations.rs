//! Benchmark scores: runs, the subjects of one, the items of a subject, one item in full. A run can be
//! marked: the others are then shown beside it.

use super::item::draw_item;
use super::roster::Roster;
use super::{Effect, Empty, Screen, at_top, contestant, nothing_selected, status};
use crate::error::Result;
use crate::store::{RunRecord, RunStatus};
use crate::tr;
use crate::tui::action::Action;
use crate::tui::figures::{ago, count, percent};
use crate::tui::form::FormRequest;
use crate::tui::keymap::View;
use crate::tui::query::{Answer, Query};
use crate::tui::source::{OutcomeView, SubjectView};
use crate::tui::theme::Role;
use crate::tui::widgets::{Column, Input, Pager, Paint, Text};
use ratatui::layout::Rect;
use std::collections::HashMap;

const KIND: &str = "eval";

/// The evaluations screen.
pub struct Evaluations {
    runs: Roster<RunRecord>,
    /// The run that others are compared with.
    marked: Option<String>,
    open: Option<Open>,
}

/// The run that is looked into.
struct Open {
    run: String,
    name: String,
    subjects: Roster<SubjectView>,
    /// The marked run and its figures by subject.
    beside: Option<Beside>,
    subject: Option<Subject>,
}

#[derive(Default)]
struct Beside {
    run: String,
    name: String,
    subjects: HashMap<String, SubjectView>,
}

/// The subject that is looked into.
struct Subject {
    name: String,
    items: Roster<OutcomeView>,
    beside: HashMap<String, OutcomeView>,
    only_wrong: bool,
    detail: Option<Pager>,
}

impl Default for Evaluations {
    fn default() -> Evaluations {
        let runs = Roster::new(
            |r: &RunRecord| r.id.clone(),
            |r| format!("{} {} {} {} {}", r.id, r.task, r.model, r.adapter, r.status.as_str()),
        );
        Evaluations { runs, marked: None, open: None }
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
        let Some(run) = self.runs.selected().map(|r| r.id.clone()) else { return vec![] };
        let beside = self.marked.clone().filter(|marked| *marked != run);
        let beside = beside.map(|run| Beside { name: self.name_of(&run), run, subjects: HashMap::new() });
        let asked = std::iter::once(run.clone()).chain(beside.as_ref().map(|b| b.run.clone()));
        let effects = asked.map(|run| Effect::Ask(Query::Subjects { run })).collect();
        let subjects = Roster::new(|s: &SubjectView| s.subject.clone(), |s| s.subject.clone());
        self.open = Some(Open { name: self.name_of(&run), run, subjects, beside, subject: None });
        effects
    }

    fn back(&mut self) {
        let cleared = self.filter().filter(|f| !f.is_empty()).map(Input::clear).is_some();
        if cleared {
            return self.filtered();
        }
        match &mut self.open {
            Some(Open { subject: Some(Subject { detail: detail @ Some(_), .. }), .. }) => *detail = None,
            Some(Open { subject: subject @ Some(_), .. }) => *subject = None,
            open => *open = None,
        }
    }

    fn draw_runs(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        let columns = [
            Column::new(String::new(), 2, 9),
            Column::rest(tr!("model", "模型"), 24, 9),
            Column::new(tr!("benchmark", "评测集"), 20, 8),
            Column::number("acc".into(), 9),
            Column::number(tr!("items", "题数"), 4),
            Column::new(tr!("status", "状态"), 11, 6),
            Column::new(tr!("started", "开始"), 14, 5),
            Column::new(tr!("run", "运行"), 27, 2),
        ];
        let row = |r: &RunRecord| {
            let (word, role) = status(r.status);
            let number = |key: &str| r.result.get(key).and_then(serde_json::Value::as_f64);
            let acc = match (number("acc"), number("acc_stderr")) {
                (Some(acc), Some(se)) => format!("{} +-{:.1}", percent(acc), se * 100.0),
                (Some(acc), None) => percent(acc),
                _ => String::new(),
            };
            let marked = self.marked.as_ref() == Some(&r.id);
            vec![
                Text(if marked { "*".into() } else { String::new() }, Role::Warn),
                contestant(&r.model, &r.adapter).into(),
                r.task.as_str().into(),
                Text(acc, Role::Title),
                Text(number("n").map_or_else(String::new, |n| count(n as u64)), Role::Dim),
                Text(word, role),
                Text(ago(&r.started, now), Role::Dim),
                Text(r.id.clone(), Role::Dim),
            ]
        };
        let empty = Empty {
            title: tr!("No score yet.", "还没有评测。"),
            steps: vec![
                (
                    tr!("Score a model on the built-in finance benchmark:", "用内置的金融评测集给模型打分："),
                    "linly-bench run finance --model smollm2-135m",
                ),
                (
                    tr!("With an adapter of your own:", "带上你自己的适配器："),
                    "linly-bench run finance --model smollm2-135m --adapter NAME",
                ),
            ],
        };
        self.runs.draw(p, area, &columns, &row, &empty);
    }

    fn draw_subjects(p: &mut Paint<'_>, area: Rect, open: &Open) {
        let mut columns = vec![
            Column::rest(tr!("subject", "科目"), 24, 9),
            Column::number(tr!("items", "题数"), 4),
            Column::number("acc".into(), 8),
        ];
        if open.beside.is_some() {
            columns.push(Column::number(tr!("marked", "对照"), 6));
            columns.push(Column::number(tr!("difference", "差"), 7));
        }
        columns.push(Column::new(String::new(), 20, 2));
        let row = |s: &SubjectView| {
            let share = |s: &SubjectView| if s.n == 0 { 0.0 } else { s.correct as f64 / s.n as f64 };
            let acc = share(s);
            let mut cells =
                vec![s.subject.as_str().into(), Text(count(s.n), Role::Dim), Text(percent(acc), Role::Title)];
            if let Some(beside) = &open.beside {
                let other = beside.subjects.get(&s.subject);
                cells.push(other.map(share).map_or_else(String::new, percent).into());
                // Scores of different numbers of items are not of the same items: no difference is claimed.
                let same = other.filter(|o| o.n == s.n).map(share);
                cells.push(same.map_or_else(|| Text("-".into(), Role::Dim), |o| difference((acc - o) * 100.0)));
            }
            cells.push(Text("⣿".repeat((acc * 20.0).round() as usize), Role::FirstLine));
            cells
        };
        let empty = Empty {
            title: tr!("No item of this run is stored yet.", "这次运行还没有保存任何题目。"),
            steps: vec![(
                tr!("If it was interrupted, go on with:", "如果它被中断，可以继续："),
                "linly-bench run --resume RUN",
            )],
        };
        open.subjects.draw(p, area, &columns, &row, &empty);
    }

    fn draw_items(p: &mut Paint<'_>, area: Rect, open: &Open, subject: &Subject) {
        let mut columns = vec![
            Column::new(tr!("item", "题号"), 28, 9),
            Column::new(tr!("verdict", "判定"), 8, 8),
            Column::new(tr!("answer", "作答"), 10, 7),
            Column::new(tr!("gold", "正解"), 10, 6),
        ];
        if open.beside.is_some() {
            columns.push(Column::new(tr!("marked run", "对照作答"), 12, 7));
        }
        columns.push(Column::rest(tr!("question", "题目"), 12, 3));
        let row = |o: &OutcomeView| {
            let mut cells = vec![
                o.item.as_str().into(),
                verdict(o.correct),
                o.pred.as_str().into(),
                Text(o.gold.clone(), Role::Dim),
            ];
            if open.beside.is_some() {
                cells.push(subject.beside.get(&o.item).map_or_else(Text::default, |other| {
                    let Text(word, role) = verdict(other.correct);
                    Text(format!("{} {word}", other.pred), role)
                }));
            }
            cells.push(Text(question(&o.prompt), Role::Dim));
            cells
        };
        let empty = Empty { title: tr!("This subject has no item.", "这个科目没有题目。"), steps: vec![] };
        subject.items.draw(p, area, &columns, &row, &empty);
    }
}

/// A difference in percentage points, with its sign.
fn difference(points: f64) -> Text {
    let role = if points > 0.05 {
        Role::Good
    } else if points < -0.05 {
        Role::Bad
    } else {
        Role::Dim
    };
    Text(format!("{points:+.1}"), role)
}

fn verdict(correct: bool) -> Text {
    if correct { Text(tr!("right", "答对"), Role::Good) } else { Text(tr!("wrong", "答错"), Role::Bad) }
}

/// The part of a prompt that tells one item from another: the last thing that was asked in a conversation, or the last
/// paragraph of plain text, without the few-shots.
fn question(prompt: &str) -> String {
    const ROLES: [&str; 3] = ["system", "user", "assistant"];
    // Between the markers of a chat template (`<|…|>`) lie the turns, each begun by its role.
    let turns = prompt.split("<|").map(|part| part.rsplit("|>").next().unwrap_or_default().trim());
    let asked = turns.filter(|turn| !turn.is_empty() && !ROLES.contains(turn)).last().unwrap_or_default();
    let asked = asked.strip_prefix("user\n").unwrap_or(asked);
    let last = asked.trim_end().rsplit("\n\n").next().unwrap_or_default();
    last.chars().take(300).collect()
}

impl Screen for Evaluations {
    fn view(&self) -> View {
        match &self.open {
            None => View::Scores,
            Some(Open { subject: None, .. }) => View::Subjects,
            Some(Open { subject: Some(Subject { detail: None, .. }), .. }) => View::Items,
            Some(_) => View::Item,
        }
    }

    fn place(&self) -> Vec<String> {
        let Some(open) = &self.open else {
            let mut place = vec![tr!("Evaluations", "评测"), self.runs.len().to_string()];
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
        let empty = match (&self.open, self.subject()) {
            (None, _) => self.runs.selected().is_none(),
            (Some(open), None) => open.subjects.selected().is_none(),
            (Some(_), Some(subject)) => subject.items.selected().is_none(),
        };
        match action {
            Action::Open | Action::Mark if empty => Some(nothing_selected()),
            Action::Back if self.open.is_none() && self.runs.filter.is_empty() => Some(at_top()),
            Action::Next if self.subject().is_none_or(|s| s.items.place() + 1 >= s.items.len()) => {
                Some(tr!("this is the last item", "已经是最后一题"))
            }
            Action::Previous if self.subject().is_none_or(|s| s.items.place() == 0) => {
                Some(tr!("this is the first item", "已经是第一题"))
            }
            _ => None,
        }
    }

    fn update(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::New => return vec![Effect::Fill(FormRequest::new("run", &[]))],
            Action::Open => return self.enter(),
            Action::Back => self.back(),
            Action::Mark => {
                let run = self.runs.selected().map(|r| r.id.clone());
                self.marked = if self.marked == run { None } else { run };
            }
            Action::OnlyWrong => {
                if let Some(subject) = self.subject_mut() {
                    subject.only_wrong = !subject.only_wrong;
                    subject.items.keep(if subject.only_wrong { |o| !o.correct } else { |_| true });
                }
            }
            _ => match &mut self.open {
                None => {
                    self.runs.update(action);
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
            },
        }
        vec![]
    }

    fn poll(&mut self, slow: bool) -> Vec<Query> {
        if !slow {
            return vec![];
        }
        let mut queries = vec![Query::Runs { kind: KIND }];
        // A run that is being scored grows under the reader's eyes.
        if let Some(Open { subject: None, run, .. }) = &self.open
            && self.runs.all().iter().any(|r| r.id == *run && r.status == RunStatus::Running)
        {
            queries.push(Query::Subjects { run: run.clone() });
        }
        queries
    }

    fn receive(&mut self, query: &Query, answer: Result<Answer>) -> Vec<Effect> {
        match (query, answer, &mut self.open) {
            (Query::Runs { .. }, Ok(Answer::Runs(runs)), _) => self.runs.set(Ok(runs)),
            (Query::Runs { .. }, Err(error), _) => self.runs.set(Err(error)),
            (Query::Subjects { run }, answer, Some(open)) => match answer {
                Ok(Answer::Subjects(subjects)) if *run == open.run => open.subjects.set(Ok(subjects)),
                Ok(Answer::Subjects(subjects)) => {
                    if let Some(beside) = open.beside.as_mut().filter(|b| b.run == *run) {
                        beside.subjects = subjects.into_iter().map(|s| (s.subject.clone(), s)).collect();
                    }
                }
                Err(error) if *run == open.run => open.subjects.set(Err(error)),
                Err(error) => return vec![Effect::Notice(error.message, Role::Bad)],
                Ok(_) => {}
            },
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

    fn filter(&mut self) -> Option<&mut Input> {
        match &mut self.open {
            None => Some(&mut self.runs.filter),
            Some(Open { subject: None, subjects, .. }) => Some(&mut subjects.filter),
            Some(Open { subject: Some(Subject { detail: None, items, .. }), .. }) => Some(&mut items.filter),
            Some(_) => None,
        }
    }

    fn filtered(&mut self) {
        match &mut self.open {
            None => self.runs.refilter(),
            Some(Open { subject: None, subjects, .. }) => subjects.refilter(),
            Some(Open { subject: Some(subject), .. }) => subject.items.refilter(),
        }
    }

    fn click(&mut self, column: u16, row: u16) -> bool {
        match &mut self.open {
            None => self.runs.click(column, row),
            Some(Open { subject: None, subjects, .. }) => subjects.click(column, row),
            Some(Open { subject: Some(Subject { detail: None, items, .. }), .. }) => items.click(column, row),
            Some(_) => false,
        }
    }

    fn draw(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        let Some(open) = &self.open else { return self.draw_runs(p, area, now) };
        match &open.subject {
            None => Self::draw_subjects(p, area, open),
            Some(subject) => match (&subject.detail, subject.items.selected()) {
                (Some(pager), Some(item)) => draw_item(p, area, pager, item, subject.beside.get(&item.item)),
                _ => Self::draw_items(p, area, open, subject),
            },
        }
    }
}
