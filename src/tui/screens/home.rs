//! The first screen: what runs, what happened last, what to do next.

use super::jobs::{progress, state};
use super::{Effect, Screen, contestant, status};
use crate::error::{Error, Result};
use crate::store::{JobState, RunRecord, RunStatus};
use crate::tr;
use crate::tui::action::{Action, ScreenId};
use crate::tui::figures::{ago, count, percent, value};
use crate::tui::form::FormRequest;
use crate::tui::keymap::View;
use crate::tui::query::{Answer, Query};
use crate::tui::source::{ArenaView, DatasetView, JobLine, JobsAnswer, JobsQuery};
use crate::tui::theme::Role;
use crate::tui::widgets::{Column, Cursor, Paint, Table, Text};
use ratatui::layout::Rect;

/// Runs that are shown.
const LATEST: usize = 6;

/// The first screen.
#[derive(Default)]
pub struct Home {
    jobs: Vec<JobLine>,
    runs: Vec<RunRecord>,
    scores: Vec<RunRecord>,
    datasets: Option<Vec<DatasetView>>,
    arenas: Vec<ArenaView>,
    error: Option<Error>,
    cursor: Cursor,
}

/// A line of the screen: the part it belongs to, its words, where it leads.
struct Line {
    part: String,
    words: Text,
    about: Text,
    then: Then,
}

#[derive(Clone)]
enum Then {
    Go(ScreenId),
    Fill(FormRequest),
}

impl Home {
    fn lines(&self, now: i64) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut part = tr!("running", "进行中");
        for job in self.jobs.iter().filter(|j| j.state == JobState::Running) {
            lines.push(Line {
                part: std::mem::take(&mut part),
                words: Text(job.title.clone(), Role::Plain),
                about: Text(progress(job), state(job.state).1),
                then: Then::Go(ScreenId::Jobs),
            });
        }
        let mut part = tr!("next", "下一步");
        for (words, about, then) in self.next() {
            let about = Text(about, Role::Dim);
            lines.push(Line { part: std::mem::take(&mut part), words: Text(words, Role::Plain), about, then });
        }
        let mut part = tr!("latest", "最近");
        let mut latest: Vec<(&RunRecord, bool)> =
            self.runs.iter().map(|r| (r, true)).chain(self.scores.iter().map(|r| (r, false))).collect();
        latest.sort_by(|a, b| b.0.started.cmp(&a.0.started));
        for (run, training) in latest.into_iter().take(LATEST) {
            let (word, role) = status(run.status);
            let number = |key: &str| run.result.get(key).and_then(serde_json::Value::as_f64);
            let figure = if training { number("best_val_loss").map(value) } else { number("acc").map(percent) };
            let name = contestant(&run.model, &run.adapter);
            let words = if training {
                tr!("trained {name} on {}", "训练 {name}，数据 {}", run.dataset)
            } else {
                tr!("scored {name} on {}", "评测 {name}，题集 {}", run.task)
            };
            let facts: Vec<String> = [word, figure.unwrap_or_default(), ago(&run.started, now)].to_vec();
            let facts: Vec<String> = facts.into_iter().filter(|f| !f.is_empty()).collect();
            lines.push(Line {
                part: std::mem::take(&mut part),
                words: Text(words, Role::Plain),
                about: Text(facts.join("  "), role),
                then: Then::Go(if training { ScreenId::Training } else { ScreenId::Evaluations }),
            });
        }
        lines
    }

    /// What this home lacks, in the order of the work.
    fn next(&self) -> Vec<(String, String, Then)> {
        let form = |verb: &str, values: &[(&str, &str)]| Then::Fill(FormRequest::new(verb, values));
        let mut steps = Vec::new();
        let Some(datasets) = &self.datasets else { return steps };
        if datasets.is_empty() {
            let about = tr!("JSON, JSONL, CSV, Parquet", "JSON、JSONL、CSV、Parquet");
            steps.push((tr!("import data", "导入数据"), about, form("data import", &[])));
            let about = tr!("the whole job once, with a small model", "用小模型把整个流程走一遍");
            steps.push((tr!("watch the demo", "看演示"), about, form("demo", &[])));
            return steps;
        }
        let data = datasets.first().map_or("", |d| d.name.as_str());
        if self.runs.is_empty() {
            let about = tr!("on {data}", "数据 {data}");
            steps.push((tr!("train an adapter", "训练适配器"), about, form("train", &[("data", data)])));
        }
        let trained = self.runs.iter().find(|r| !r.adapter.is_empty() && r.status != RunStatus::Running);
        let unscored = trained.filter(|t| self.scores.iter().all(|s| s.adapter != t.adapter));
        if let Some(run) = unscored {
            let values = [("benchmarks", "finance"), ("model", run.model.as_str()), ("adapter", run.adapter.as_str())];
            let about = tr!("has no score yet", "还没有成绩");
            steps.push((tr!("score {}", "评测 {}", run.adapter), about, form("run", &values)));
        }
        let pending: u64 = self.arenas.iter().map(|a| a.pending).sum();
        if pending > 0 {
            let about = tr!("{} battles wait", "{} 场待投", count(pending));
            steps.push((tr!("vote in the arena", "到竞技场投票"), about, Then::Go(ScreenId::Arena)));
        }
        if !self.scores.is_empty() {
            let about = tr!("models side by side", "各模型并列比较");
            steps.push((tr!("read the leaderboard", "查看排行榜"), about, Then::Go(ScreenId::Leaderboard)));
        } else if trained.is_none() || unscored.is_none() {
            steps.push((
                tr!("score a model", "评测一个模型"),
                String::new(),
                form("run", &[("benchmarks", "finance")]),
            ));
        }
        steps
    }
}

impl Screen for Home {
    fn view(&self) -> View {
        View::Home
    }

    fn place(&self) -> Vec<String> {
        let datasets = self.datasets.as_ref().map_or(0, Vec::len) as u64;
        let (runs, scores) = (self.runs.len() as u64, self.scores.len() as u64);
        vec![
            tr!("Home", "首页"),
            tr!("datasets {}", "数据集 {}", count(datasets)),
            tr!("trainings {}", "训练 {}", count(runs)),
            tr!("scores {}", "评测 {}", count(scores)),
        ]
    }

    fn obstacle(&self, _action: Action) -> Option<String> {
        None
    }

    fn update(&mut self, action: Action) -> Vec<Effect> {
        let lines = self.lines(0);
        if action == Action::Open {
            return match lines.get(self.cursor.selected).map(|line| line.then.clone()) {
                Some(Then::Go(screen)) => vec![Effect::Go(screen)],
                Some(Then::Fill(request)) => vec![Effect::Fill(request)],
                None => vec![],
            };
        }
        self.cursor.update(action, lines.len());
        vec![]
    }

    fn poll(&mut self, slow: bool) -> Vec<Query> {
        if !slow {
            return vec![];
        }
        vec![
            Query::Jobs(JobsQuery::List),
            Query::Datasets,
            Query::Runs { kind: "train" },
            Query::Runs { kind: "eval" },
            Query::Arenas,
        ]
    }

    fn receive(&mut self, query: &Query, answer: Result<Answer>) -> Vec<Effect> {
        match (query, answer) {
            (_, Ok(answer)) => {
                self.error = None;
                match (query, answer) {
                    (_, Answer::Jobs(JobsAnswer::List(jobs))) => self.jobs = jobs,
                    (_, Answer::Datasets(datasets)) => self.datasets = Some(datasets),
                    (Query::Runs { kind: "train" }, Answer::Runs(runs)) => self.runs = runs,
                    (_, Answer::Runs(runs)) => self.scores = runs,
                    (_, Answer::Arenas(arenas)) => self.arenas = arenas,
                    _ => {}
                }
            }
            (_, Err(error)) => self.error = Some(error),
        }
        self.cursor.clamp(self.lines(0).len());
        vec![]
    }

    fn click(&mut self, column: u16, row: u16) -> bool {
        let len = self.lines(0).len();
        self.cursor.click(column, row, len)
    }

    fn draw(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        if let Some(error) = &self.error {
            return super::draw_error(p, area, error);
        }
        if self.datasets.is_none() {
            return super::draw_loading(p, area);
        }
        let lines = self.lines(now);
        let columns =
            [Column::new(String::new(), 8, 6), Column::rest(String::new(), 24, 9), Column::new(String::new(), 36, 8)];
        let row = |i: usize| {
            lines.get(i).map_or_else(Vec::new, |line| {
                vec![Text(line.part.clone(), Role::Title), line.words.clone(), line.about.clone()]
            })
        };
        Table { columns: &columns, len: lines.len(), row: &row }.draw(p, area, &self.cursor);
    }
}
