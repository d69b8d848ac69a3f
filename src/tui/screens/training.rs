//! Trainings: the list, and the dashboard of one that runs or ran, with others drawn beside it; its samples, log and
//! facts to read.

use super::roster::Roster;
use super::run_facts::{facts, training_verb};
use super::{Effect, Empty, Listed, Screen, at_top, contestant, nothing_selected, status};
use crate::error::{Error, Result};
use crate::job::JobEvent;
use crate::store::{RunRecord, RunStatus};
use crate::tr;
use crate::tui::action::Action;
use crate::tui::companion::{Companion, MOST};
use crate::tui::dashboard::{Dashboard, Look};
use crate::tui::figures::{ago, value};
use crate::tui::form::FormRequest;
use crate::tui::keymap::View;
use crate::tui::query::{Answer, Query};
use crate::tui::source::JobsQuery;
use crate::tui::theme::Role;
use crate::tui::widgets::{Block, Column, Pager, Paint, Text};
use ratatui::layout::Rect;

const KIND: &str = "train";

/// The training screen.
pub struct Training {
    list: Roster<RunRecord>,
    open: Option<Open>,
    /// Runs that are drawn beside the open one.
    beside: Vec<Companion>,
    look: Look,
    /// A run to open when the list that has it is here.
    sought: Option<String>,
}

/// The training that is looked at.
struct Open {
    run: String,
    /// Number of the last event taken.
    after: i64,
    status: RunStatus,
    dashboard: Dashboard,
    error: Option<Error>,
    reading: Option<Reading>,
}

/// What is read of it instead of the dashboard.
struct Reading {
    what: Page,
    pager: Pager,
}

/// The texts of a training.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Page {
    /// What it wrote after so many steps; `None` is the newest.
    Samples(Option<u64>),
    Log,
    Facts,
}

impl Default for Training {
    fn default() -> Training {
        Training {
            list: Roster::new(
                |r| r.id.clone(),
                |r| format!("{} {} {} {} {}", r.id, r.model, r.adapter, r.dataset, r.status.as_str()),
            ),
            open: None,
            beside: Vec::new(),
            look: Look::default(),
            sought: None,
        }
    }
}

impl Open {
    fn new(run: &RunRecord) -> Open {
        Open {
            run: run.id.clone(),
            after: 0,
            status: run.status,
            dashboard: Dashboard::default(),
            error: None,
            reading: None,
        }
    }

    fn read(&mut self, what: Page) {
        self.reading = Some(Reading { what, pager: Pager::default() });
    }

    /// The step whose samples are read, its place among those that have samples, and how many there are.
    fn sampled(&self) -> Option<(u64, usize, usize)> {
        let Page::Samples(wanted) = self.reading.as_ref()?.what else { return None };
        let steps = self.dashboard.sampled();
        let place = wanted.and_then(|step| steps.iter().position(|s| *s == step)).or(steps.len().checked_sub(1))?;
        Some((*steps.get(place)?, place, steps.len()))
    }

    fn turn(&mut self, forward: bool) {
        let Some((_, place, _)) = self.sampled() else { return };
        let to = if forward { place + 1 } else { place.saturating_sub(1) };
        let step = self.dashboard.sampled().get(to).copied();
        if step.is_some() {
            self.read(Page::Samples(step));
        }
    }

    /// The text that is read.
    fn blocks(&self, reading: &Reading, record: Option<&RunRecord>) -> Vec<Block> {
        match reading.what {
            Page::Log => {
                let text = self.dashboard.log_text();
                let empty = tr!("Nothing is reported yet.", "还没有任何报告。");
                vec![Block::new(
                    tr!("log, the newest first", "日志（最新在前）"),
                    if text.is_empty() { empty } else { text },
                )]
            }
            Page::Facts => record.map(facts).unwrap_or_default(),
            Page::Samples(_) => {
                let Some((step, place, steps)) = self.sampled() else {
                    let words = tr!(
                        "No sample yet. A training writes some when it is started with `--sample-every STEPS`.",
                        "还没有样例。训练时加上 `--sample-every 步数` 就会写出样例。"
                    );
                    return vec![Block::new("", words)];
                };
                let head = tr!("after step {step} ({} of {steps})", "第 {step} 步之后（{} / {steps}）", place + 1);
                let mut blocks = vec![Block { role: Role::Dim, ..Block::new("", head) }];
                for (i, sample) in self.dashboard.samples(step).enumerate() {
                    blocks.push(Block {
                        role: Role::Dim,
                        ..Block::new(tr!("prompt {}", "提示 {}", i + 1), sample.prompt.as_str())
                    });
                    blocks.push(Block::new(tr!("the model wrote", "模型所写"), sample.answer.as_str()));
                }
                blocks
            }
        }
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

    /// The run that commands are about: the open one, or the selected one.
    fn subject(&self) -> Option<&RunRecord> {
        if self.open.is_some() { self.record() } else { self.list.selected() }
    }

    /// Opens the run that was sought, if it is here by now.
    fn open_sought(&mut self) {
        let found = self.sought.as_ref().and_then(|run| self.list.all().iter().find(|r| r.id == *run));
        if let Some(open) = found.map(Open::new) {
            (self.open, self.sought) = (Some(open), None);
        }
    }

    /// Begins or ends drawing the selected run beside others.
    fn overlay(&mut self) {
        let Some(run) = self.list.selected() else { return };
        if let Some(place) = self.beside.iter().position(|o| o.run == run.id) {
            self.beside.remove(place);
            return;
        }
        let name = if run.adapter.is_empty() { contestant(&run.model, "") } else { run.adapter.clone() };
        let companion = Companion::new(&run.id, name, run.status, &self.beside);
        self.beside.push(companion);
    }

    fn is_beside(&self, run: &str) -> bool {
        self.beside.iter().any(|o| o.run == run)
    }

    fn copied(&self) -> Vec<Effect> {
        let Some(record) = self.subject() else { return vec![] };
        match &self.open {
            Some(open @ Open { reading: Some(reading), .. }) => {
                let blocks = open.blocks(reading, Some(record));
                let text = blocks.iter().map(|b| format!("{}\n{}", b.title, b.body)).collect::<Vec<_>>().join("\n\n");
                vec![Effect::Copy(text.trim_start().to_owned())]
            }
            _ => vec![Effect::Copy(record.id.clone())],
        }
    }

    fn draw_list(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        let columns = [
            Column::new(String::new(), 2, 9),
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
            let sign = self.beside.iter().find(|o| o.run == r.id).map_or("", Companion::sign);
            vec![
                Text(sign.into(), Role::Warn),
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

/// Why a training in `status` cannot be gone on with.
fn not_resumable(status: RunStatus) -> Option<String> {
    match status {
        RunStatus::Running => Some(tr!("it is running", "它正在运行")),
        RunStatus::Done => Some(tr!("it came to its end", "它已经完成")),
        RunStatus::Failed | RunStatus::Cancelled | RunStatus::Interrupted => None,
    }
}

/// Why a training cannot be stopped from here: whoever started it stops it, and that must be a job.
fn not_stoppable(run: &RunRecord) -> Option<String> {
    match (&run.job, run.status) {
        (Some(_), RunStatus::Running) => None,
        (None, RunStatus::Running) => Some(tr!(
            "it runs in another terminal and is stopped there with Ctrl-C",
            "它在另一个终端中运行，请在那里按 Ctrl-C 停止"
        )),
        _ => Some(tr!("it is not running", "它没有在运行")),
    }
}

impl Screen for Training {
    fn view(&self) -> View {
        match &self.open {
            None => View::Trainings,
            Some(Open { reading: None, .. }) => View::Dashboard,
            Some(_) => View::RunText,
        }
    }

    fn place(&self) -> Vec<String> {
        let Some(open) = &self.open else {
            let mut place = vec![tr!("Training", "训练"), self.list.len().to_string()];
            if !self.beside.is_empty() {
                place.push(tr!("{} overlaid", "叠加 {} 个", self.beside.len()));
            }
            return place;
        };
        let name = self.record().map_or_else(String::new, |r| contestant(&r.model, &r.adapter));
        let mut place = vec![name, open.run.clone()];
        match open.reading.as_ref().map(|r| r.what) {
            Some(Page::Samples(_)) => place.push(tr!("samples", "样例")),
            Some(Page::Log) => place.push(tr!("log", "日志")),
            Some(Page::Facts) => place.push(tr!("facts", "详情")),
            None => {}
        }
        place
    }

    fn obstacle(&self, action: Action) -> Option<String> {
        let sampled = self.open.as_ref().and_then(Open::sampled);
        match action {
            Action::Open | Action::Overlay | Action::Copy if self.subject().is_none() => Some(nothing_selected()),
            Action::Overlay
                if self.beside.len() >= MOST && self.list.selected().is_some_and(|r| !self.is_beside(&r.id)) =>
            {
                Some(tr!(
                    "{MOST} runs are overlaid already: m on one of them takes it away",
                    "最多叠加 {MOST} 个运行：在其中一个上按 m 取消"
                ))
            }
            Action::Resume => match self.subject() {
                None => Some(nothing_selected()),
                Some(run) => not_resumable(run.status),
            },
            Action::Stop => match self.subject() {
                None => Some(nothing_selected()),
                Some(run) => not_stoppable(run),
            },
            Action::Next if sampled.is_none_or(|(_, place, steps)| place + 1 >= steps) => {
                Some(tr!("there are no later samples", "没有更晚的样例"))
            }
            Action::Previous if sampled.is_none_or(|(_, place, _)| place == 0) => {
                Some(tr!("there are no earlier samples", "没有更早的样例"))
            }
            Action::Back if self.open.is_none() && self.list.filter.is_empty() => Some(at_top()),
            _ => None,
        }
    }

    fn update(&mut self, action: Action) -> Vec<Effect> {
        match (action, &mut self.open) {
            (Action::New, _) => return vec![Effect::Fill(FormRequest::new("train", &[]))],
            (Action::Copy, _) => return self.copied(),
            (Action::Resume, _) => {
                let Some(run) = self.subject() else { return vec![] };
                return vec![Effect::Run(vec![training_verb(run).into(), "--resume".into(), run.id.clone()])];
            }
            (Action::Stop, _) => {
                let job = self.subject().and_then(|run| run.job.clone());
                return job.map(|job| Effect::Ask(Query::Jobs(JobsQuery::Stop(job)))).into_iter().collect();
            }
            (Action::Overlay, None) => self.overlay(),
            (Action::Scale, _) => self.look.log = !self.look.log,
            (Action::Smooth, _) => self.look.smoothing = (self.look.smoothing + 1) % Look::SMOOTHINGS.len(),
            (Action::Open, None) => self.open = self.list.selected().map(Open::new),
            (Action::Samples, Some(open)) => open.read(Page::Samples(None)),
            (Action::RunLog, Some(open)) => open.read(Page::Log),
            (Action::Facts, Some(open)) => open.read(Page::Facts),
            (Action::Next | Action::Previous, Some(open)) => open.turn(action == Action::Next),
            (Action::Back, Some(Open { reading: reading @ Some(_), .. })) => *reading = None,
            (Action::Back, Some(_)) => self.open = None,
            (Action::Back, None) => {
                self.list.filter.clear();
                self.list.refilter();
            }
            (_, Some(Open { reading: Some(reading), .. })) => {
                reading.pager.update(action);
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
        if let Some(open) = &self.open {
            if slow || open.after == 0 || open.status == RunStatus::Running {
                queries.push(Query::Events { run: open.run.clone(), after: open.after });
            }
            for other in self.beside.iter().filter(|o| o.run != open.run) {
                queries.extend(other.wants().map(|after| Query::Events { run: other.run.clone(), after }));
            }
        }
        if slow {
            queries.push(Query::Runs { kind: KIND });
        }
        queries
    }

    fn receive(&mut self, query: &Query, answer: Result<Answer>) -> Vec<Effect> {
        match (query, answer) {
            (Query::Runs { .. }, Ok(Answer::Runs(list))) => {
                for other in &mut self.beside {
                    if let Some(run) = list.iter().find(|r| r.id == other.run) {
                        other.stands(run.status);
                    }
                }
                self.list.set(Ok(list));
                self.open_sought();
                // A run that is not there was removed since.
                self.sought = None;
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
            (Query::Events { run, after }, Ok(Answer::Events(events))) => {
                if let Some(other) = self.beside.iter_mut().find(|o| o.run == *run) {
                    other.take(*after, &events);
                }
                if let Some(open) = self.open.as_mut().filter(|o| o.run == *run) {
                    open.error = None;
                    open.take(*after, events);
                }
            }
            (Query::Jobs(_), Ok(_)) => {
                let told = tr!(
                    "it stops after its present step and leaves a checkpoint; r goes on from it",
                    "它会在当前一步之后停止并留下检查点；按 r 可继续"
                );
                return vec![Effect::Notice(told, Role::Warn)];
            }
            (Query::Jobs(_), Err(error)) => return vec![Effect::Notice(error.message, Role::Bad)],
            (Query::Events { run, .. }, Err(error)) => {
                if let Some(open) = self.open.as_mut().filter(|o| o.run == *run) {
                    open.error = Some(error);
                }
            }
            _ => {}
        }
        vec![]
    }

    fn list(&mut self) -> Option<&mut dyn Listed> {
        if self.open.is_some() { None } else { Some(&mut self.list) }
    }

    fn look(&mut self, run: &str) -> Vec<Effect> {
        self.open = None;
        self.sought = Some(run.to_owned());
        self.open_sought();
        vec![]
    }

    fn draw(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        match &self.open {
            None => self.draw_list(p, area, now),
            Some(Open { error: Some(error), .. }) => super::draw_error(p, area, error),
            Some(open) => match &open.reading {
                Some(reading) => reading.pager.draw(p, area, &open.blocks(reading, self.record())),
                None => {
                    let beside: Vec<&Companion> = self.beside.iter().filter(|o| o.run != open.run).collect();
                    open.dashboard.draw(p, area, self.record(), &beside, self.look);
                }
            },
        }
    }
}
