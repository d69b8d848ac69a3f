//! Trainings: the list, and the dashboard of one that runs or ran.

use super::roster::Roster;
use super::{Effect, Empty, Screen, at_top, contestant, nothing_selected, status};
use crate::error::{Error, Result};
use crate::job::JobEvent;
use crate::store::{RunRecord, RunStatus};
use crate::tr;
use crate::tui::action::Action;
use crate::tui::dashboard::Dashboard;
use crate::tui::figures::{ago, value};
use crate::tui::form::FormRequest;
use crate::tui::keymap::View;
use crate::tui::query::{Answer, Query};
use crate::tui::theme::Role;
use crate::tui::widgets::{Column, Input, Paint, Text};
use ratatui::layout::Rect;

const KIND: &str = "train";

/// The training screen.
pub struct Training {
    list: Roster<RunRecord>,
    open: Option<Open>,
}

/// The training that is looked at.
struct Open {
    run: String,
    /// Number of the last event taken.
    after: i64,
    status: RunStatus,
    dashboard: Dashboard,
    error: Option<Error>,
}

impl Default for Training {
    fn default() -> Training {
        Training {
            list: Roster::new(
                |r| r.id.clone(),
                |r| format!("{} {} {} {} {}", r.id, r.model, r.adapter, r.dataset, r.status.as_str()),
            ),
            open: None,
        }
    }
}

impl Open {
    fn new(run: &RunRecord) -> Open {
        Open { run: run.id.clone(), after: 0, status: run.status, dashboard: Dashboard::default(), error: None }
    }

    fn take(&mut self, after: i64, events: Vec<(i64, JobEvent)>) {
        // An answer to an earlier question would add the same steps twice.
        if after != self.after {
            return;
        }
        for (number, event) in events {
            self.after = number;
            self.dashboard.take(event);
        }
    }
}

impl Training {
    fn record(&self) -> Option<&RunRecord> {
        let open = self.open.as_ref()?;
        self.list.all().iter().find(|r| r.id == open.run)
    }

    fn draw_list(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        let columns = [
            Column::new(tr!("run", "运行"), 27, 5),
            Column::new(tr!("status", "状态"), 11, 8),
            Column::rest(tr!("adapter", "适配器"), 24, 9),
            Column::new(tr!("model", "模型"), 24, 3),
            Column::new(tr!("dataset", "数据集"), 20, 4),
            Column::number(tr!("val loss", "验证损失"), 6),
            Column::new(tr!("started", "开始"), 14, 7),
        ];
        let row = |r: &RunRecord| {
            let (word, role) = status(r.status);
            let best = r.result.get("best_val_loss").and_then(serde_json::Value::as_f64);
            vec![
                Text(r.id.clone(), Role::Dim),
                Text(word, role),
                r.adapter.as_str().into(),
                Text(contestant(&r.model, ""), Role::Dim),
                Text(r.dataset.clone(), Role::Dim),
                best.map_or_else(String::new, value).into(),
                Text(ago(&r.started, now), Role::Dim),
            ]
        };
        let empty = Empty {
            title: tr!("No training yet.", "还没有训练。"),
            steps: vec![
                (
                    tr!(
                        "Train an adapter on a dataset. It can run in another window; its curve appears here.",
                        "在数据集上训练一个适配器。可以在另一个窗口运行，曲线会显示在这里。"
                    ),
                    "linly-bench train --model smollm2-135m --data NAME --adapter NAME",
                ),
                (tr!("Or let the demo do the whole job once:", "或者让演示把整个流程走一遍："), "linly-bench demo"),
            ],
        };
        self.list.draw(p, area, &columns, &row, &empty);
    }
}

impl Screen for Training {
    fn view(&self) -> View {
        if self.open.is_some() { View::Dashboard } else { View::Trainings }
    }

    fn place(&self) -> Vec<String> {
        match (&self.open, self.record()) {
            (Some(open), record) => {
                let name = record.map_or_else(String::new, |r| contestant(&r.model, &r.adapter));
                vec![name, open.run.clone()]
            }
            _ => vec![tr!("Training", "训练"), self.list.len().to_string()],
        }
    }

    fn obstacle(&self, action: Action) -> Option<String> {
        match action {
            Action::Open if self.list.selected().is_none() => Some(nothing_selected()),
            Action::Back if self.open.is_none() && self.list.filter.is_empty() => Some(at_top()),
            _ => None,
        }
    }

    fn update(&mut self, action: Action) -> Vec<Effect> {
        match (action, &mut self.open) {
            (Action::New, _) => return vec![Effect::Fill(FormRequest::new("train", &[]))],
            (Action::Open, None) => self.open = self.list.selected().map(Open::new),
            (Action::Back, Some(_)) => self.open = None,
            (Action::Back, None) => {
                self.list.filter.clear();
                self.list.refilter();
            }
            (_, Some(open)) => {
                open.dashboard.log.update(action);
            }
            (_, None) => {
                self.list.update(action);
            }
        }
        vec![]
    }

    fn poll(&mut self, slow: bool) -> Vec<Query> {
        let mut queries = Vec::new();
        if let Some(open) = &self.open
            && (slow || open.after == 0 || open.status == RunStatus::Running)
        {
            queries.push(Query::Events { run: open.run.clone(), after: open.after });
        }
        if slow {
            queries.push(Query::Runs { kind: KIND });
        }
        queries
    }

    fn receive(&mut self, query: &Query, answer: Result<Answer>) -> Vec<Effect> {
        match (query, answer) {
            (Query::Runs { .. }, Ok(Answer::Runs(list))) => {
                self.list.set(Ok(list));
                let status = self.record().map(|r| r.status);
                if let (Some(open), Some(status)) = (&mut self.open, status) {
                    // A resumed run writes its steps after the checkpoint again: the curve starts over.
                    if status == RunStatus::Running && open.status != RunStatus::Running {
                        (open.after, open.dashboard) = (0, Dashboard::default());
                    }
                    open.status = status;
                }
            }
            (Query::Runs { .. }, Err(error)) => self.list.set(Err(error)),
            (Query::Events { run, after }, answer) => {
                if let Some(open) = self.open.as_mut().filter(|o| o.run == *run) {
                    match answer {
                        Ok(Answer::Events(events)) => {
                            open.error = None;
                            open.take(*after, events);
                        }
                        Err(error) => open.error = Some(error),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        vec![]
    }

    fn filter(&mut self) -> Option<&mut Input> {
        if self.open.is_some() { None } else { Some(&mut self.list.filter) }
    }

    fn filtered(&mut self) {
        self.list.refilter();
    }

    fn click(&mut self, column: u16, row: u16) -> bool {
        self.open.is_none() && self.list.click(column, row)
    }

    fn draw(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        match &self.open {
            None => self.draw_list(p, area, now),
            Some(Open { error: Some(error), .. }) => super::draw_error(p, area, error),
            Some(open) => open.dashboard.draw(p, area, self.record()),
        }
    }
}
