//! Work in the background: the list, and what a job printed.

use super::roster::Roster;
use super::{Confirm, Effect, Empty, Listed, Screen, at_top, down, nothing_selected};
use crate::error::Result;
use crate::store::JobState;
use crate::text;
use crate::tr;
use crate::tui::action::{Action, ScreenId};
use crate::tui::figures::{ago, between, count, duration, percent};
use crate::tui::keymap::View;
use crate::tui::query::{Answer, Query};
use crate::tui::source::{JobLine, JobsAnswer, JobsQuery, LogPiece};
use crate::tui::theme::Role;
use crate::tui::widgets::{Block, Column, Pager, Paint, Text};
use ratatui::layout::Rect;
use std::collections::VecDeque;

/// Lines of a log that are kept: what came earlier is in its file.
const LINES: usize = 5_000;

/// The jobs screen.
pub struct Jobs {
    list: Roster<JobLine>,
    open: Option<Log>,
}

/// What a job printed, as far as it is here.
struct Log {
    job: String,
    next: u64,
    lines: VecDeque<String>,
    /// The line that has no end yet.
    rest: String,
    pager: Pager,
}

impl Log {
    fn new(job: &str) -> Log {
        Log { job: job.to_owned(), next: 0, lines: VecDeque::new(), rest: String::new(), pager: Pager::at_end() }
    }

    fn take(&mut self, asked: u64, piece: &LogPiece) {
        // An answer to an earlier question would add the same lines twice.
        if asked != self.next || piece.next == self.next {
            return;
        }
        if piece.from > asked {
            self.rest.clear();
            self.lines.push_back(tr!("(earlier lines are in the file)", "（更早的内容在日志文件中）"));
        }
        self.next = piece.next;
        self.rest.push_str(&piece.text);
        while let Some(end) = self.rest.find('\n') {
            let line: String = self.rest.drain(..=end).collect();
            // A bar that is drawn anew leaves its last state.
            let line = line.trim_end().rsplit('\r').next().unwrap_or_default();
            self.lines.push_back(text::clean(line));
            if self.lines.len() > LINES {
                self.lines.pop_front();
            }
        }
    }

    fn text(&self) -> String {
        let mut all: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        let rest = self.rest.rsplit('\r').next().unwrap_or_default();
        if !rest.is_empty() {
            all.push(rest);
        }
        all.join("\n")
    }
}

impl Default for Jobs {
    fn default() -> Jobs {
        Jobs {
            list: Roster::new(|j| j.id.clone(), |j| format!("{} {} {}", j.title, j.id, j.state.as_str())),
            open: None,
        }
    }
}

/// How a job stands, in a word.
pub fn state(state: JobState) -> (String, Role) {
    match state {
        JobState::Running => (tr!("running", "进行中"), Role::Accent),
        JobState::Finished => (tr!("done", "完成"), Role::Good),
        JobState::Failed => (tr!("failed", "失败"), Role::Bad),
        JobState::Interrupted => (tr!("interrupted", "已中断"), Role::Warn),
    }
}

/// How far a job is, in words.
pub fn progress(job: &JobLine) -> String {
    match (&job.progress, job.state) {
        (Some((_, done, Some(total))), JobState::Running) if *total > 0 => {
            format!("{}  {}/{}", percent(*done as f64 / *total as f64), count(*done), count(*total))
        }
        (Some((label, done, _)), JobState::Running) => format!("{} {}", text::one_line(label), count(*done)),
        _ => String::new(),
    }
}

impl Jobs {
    /// Ids of the jobs that run.
    pub fn running(&self) -> Vec<String> {
        self.list.all().iter().filter(|j| j.state == JobState::Running).map(|j| j.id.clone()).collect()
    }

    /// Opens the log of a job.
    pub fn look(&mut self, job: &str) {
        self.open = Some(Log::new(job));
    }

    /// The job that commands are about.
    fn subject(&self) -> Option<&JobLine> {
        match &self.open {
            Some(log) => self.list.all().iter().find(|j| j.id == log.job),
            None => self.list.selected(),
        }
    }

    /// Says what ended since the list before.
    fn news(&self, before: &[JobLine]) -> Vec<Effect> {
        let was_running = |id: &str| before.iter().any(|j| j.id == id && j.state == JobState::Running);
        let ended = self.list.all().iter().filter(|j| j.state != JobState::Running && was_running(&j.id));
        ended
            .map(|job| {
                let (word, role) = state(job.state);
                let why = job.message.lines().next().unwrap_or_default();
                let why = if why.is_empty() { String::new() } else { format!("  {why}") };
                Effect::Notice(tr!("{}: {word}{why}", "{}：{word}{why}", job.title), role)
            })
            .collect()
    }

    fn draw_list(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        let columns = [
            Column::new(tr!("state", "状态"), 11, 9),
            Column::rest(tr!("job", "任务"), 20, 9),
            Column::new(tr!("progress", "进度"), 24, 7),
            Column::new(tr!("started", "开始"), 14, 5),
            Column::new("id".into(), 28, 2),
        ];
        let row = |j: &JobLine| {
            let (word, role) = state(j.state);
            let far = if j.state == JobState::Running {
                progress(j)
            } else {
                j.ended.as_deref().and_then(|ended| between(&j.created, ended)).map_or_else(String::new, duration)
            };
            vec![
                Text(word, role),
                j.title.as_str().into(),
                Text(far, Role::Dim),
                Text(ago(&j.created, now), Role::Dim),
                Text(j.id.clone(), Role::Dim),
            ]
        };
        let empty = Empty {
            title: tr!("No job yet.", "还没有任务。"),
            steps: vec![
                (
                    tr!(
                        "Whatever is started here works in the background and goes on without this window. Find any command:",
                        "在这里启动的一切都在后台进行，关闭本窗口也会继续。查找任何命令："
                    ),
                    ":",
                ),
                (tr!("From a shell:", "在终端中："), "linly-bench jobs start -- demo"),
            ],
        };
        self.list.draw(p, area, &columns, &row, &empty);
    }

    fn draw_log(&self, p: &mut Paint<'_>, area: Rect, log: &Log, now: i64) {
        let mut rest = area;
        if let Some(job) = self.subject() {
            let (word, role) = state(job.state);
            let x = p.text(rest.x, rest.y, rest.width, &word, role) + 2;
            let mut facts = vec![progress(job), ago(&job.created, now)];
            if let Some(took) = job.ended.as_deref().and_then(|ended| between(&job.created, ended)) {
                facts.push(tr!("took {}", "用时 {}", duration(took)));
            }
            facts.extend(job.exit_code.map(|code| tr!("exit code {code}", "退出码 {code}")));
            facts.extend(job.runs.iter().cloned());
            facts.extend(job.resumed_as.as_ref().map(|next| tr!("goes on as {next}", "由 {next} 继续")));
            facts.retain(|fact| !fact.is_empty());
            p.text(x, rest.y, rest.right().saturating_sub(x), &facts.join("   "), Role::Dim);
            rest = down(rest, 1);
            if !job.message.is_empty() && job.state != JobState::Running {
                rest = down(rest, p.paragraph(rest, &job.message, role));
            }
            rest = down(rest, 1);
        }
        let text = log.text();
        if text.trim().is_empty() {
            p.text(rest.x, rest.y, rest.width, &tr!("Nothing printed yet.", "还没有输出。"), Role::Dim);
            return;
        }
        log.pager.draw(p, rest, &[Block::new("", text)]);
    }
}

impl Screen for Jobs {
    fn view(&self) -> View {
        if self.open.is_some() { View::JobLog } else { View::Jobs }
    }

    fn place(&self) -> Vec<String> {
        match (&self.open, self.subject()) {
            (Some(log), job) => vec![job.map_or_else(|| log.job.clone(), |j| j.title.clone())],
            _ => vec![tr!("Jobs", "任务"), self.list.len().to_string()],
        }
    }

    fn obstacle(&self, action: Action) -> Option<String> {
        let job = self.subject();
        match action {
            Action::Open | Action::Stop | Action::Resume | Action::Delete if job.is_none() => Some(nothing_selected()),
            Action::Stop if job.is_some_and(|j| j.state != JobState::Running) => {
                Some(tr!("it does not run any more", "它已经不在运行"))
            }
            Action::Resume | Action::Delete if job.is_some_and(|j| j.state == JobState::Running) => {
                Some(tr!("it is still running", "它还在运行"))
            }
            Action::Resume if job.is_some_and(|j| j.state == JobState::Finished) => Some(tr!("it is done", "它已完成")),
            Action::Resume => {
                let next = job.and_then(|j| j.resumed_as.as_ref());
                next.map(|next| tr!("it goes on as {next}", "它已由 {next} 继续"))
            }
            Action::Back if self.open.is_none() && self.list.filter.is_empty() => Some(at_top()),
            _ => None,
        }
    }

    fn update(&mut self, action: Action) -> Vec<Effect> {
        let job = self.subject().cloned();
        let ask = |query: JobsQuery| vec![Effect::Ask(Query::Jobs(query))];
        match (action, job) {
            (Action::Open, Some(job)) if self.open.is_none() => {
                self.look(&job.id);
                return self.poll(true).into_iter().map(Effect::Ask).collect();
            }
            (Action::Stop, Some(job)) => return ask(JobsQuery::Stop(job.id)),
            (Action::Resume, Some(job)) => return ask(JobsQuery::Resume(job.id)),
            (Action::Delete, Some(job)) => {
                return vec![Effect::Confirm(Confirm {
                    question: tr!("Remove the job `{}` from the list?", "从列表中移除任务“{}”？", job.title),
                    detail: tr!(
                        "Its log goes for good. Runs, adapters and datasets that it made stay.",
                        "其日志将被永久删除。它产生的运行记录、适配器和数据集保留。"
                    ),
                    then: Some(Query::Jobs(JobsQuery::Remove(job.id))),
                })];
            }
            (Action::Copy, _) => return self.open.iter().map(|log| Effect::Copy(log.text())).collect(),
            (Action::Back, _) if self.open.take().is_some() => {}
            (Action::Back, _) => {
                self.list.filter.clear();
                self.list.refilter();
            }
            _ => match &mut self.open {
                Some(log) => {
                    log.pager.update(action);
                }
                None => {
                    self.list.update(action);
                }
            },
        }
        vec![]
    }

    fn poll(&mut self, slow: bool) -> Vec<Query> {
        let mut queries = Vec::new();
        if let Some(log) = &self.open {
            queries.push(Query::Jobs(JobsQuery::Log { id: log.job.clone(), from: log.next }));
        }
        if slow {
            queries.push(Query::Jobs(JobsQuery::List));
        }
        queries
    }

    fn receive(&mut self, query: &Query, answer: Result<Answer>) -> Vec<Effect> {
        let Query::Jobs(query) = query else { return vec![] };
        match (query, answer) {
            (JobsQuery::List, Ok(Answer::Jobs(JobsAnswer::List(list)))) => {
                let before = self.list.all().to_vec();
                self.list.set(Ok(list));
                self.news(&before)
            }
            (JobsQuery::List, Err(error)) => {
                self.list.set(Err(error));
                vec![]
            }
            (JobsQuery::Log { id, from }, Ok(Answer::Jobs(JobsAnswer::Log(piece)))) => {
                if let Some(log) = self.open.as_mut().filter(|log| log.job == *id) {
                    log.take(*from, &piece);
                }
                vec![]
            }
            (_, Ok(Answer::Jobs(JobsAnswer::Started(job)))) => {
                self.look(&job.id);
                let told = tr!("started in the background: {}", "已在后台启动：{}", job.title);
                let list = Effect::Ask(Query::Jobs(JobsQuery::List));
                vec![Effect::Notice(told, Role::Good), Effect::Go(ScreenId::Jobs), list]
            }
            (JobsQuery::Stop(id), Ok(_)) => {
                let again = self.list.all().iter().any(|j| j.id == *id && j.stops > 0);
                let told = if again {
                    tr!("it was stopped at once", "已立即停止")
                } else {
                    tr!(
                        "it stops at its next safe point; s once more stops it at once",
                        "它会在下一个安全点停止；再按 s 立即停止"
                    )
                };
                vec![Effect::Notice(told, Role::Warn), Effect::Ask(Query::Jobs(JobsQuery::List))]
            }
            (_, Ok(_)) => vec![Effect::Ask(Query::Jobs(JobsQuery::List))],
            // A log that is not there yet is asked for again.
            (JobsQuery::Log { .. }, Err(_)) => vec![],
            (_, Err(error)) => {
                let hint = error.hint.map_or_else(String::new, |hint| format!("  ({hint})"));
                vec![Effect::Notice(format!("{}{hint}", error.message), Role::Bad)]
            }
        }
    }

    fn list(&mut self) -> Option<&mut dyn Listed> {
        if self.open.is_some() { None } else { Some(&mut self.list) }
    }

    fn draw(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        match &self.open {
            None => self.draw_list(p, area, now),
            Some(log) => self.draw_log(p, area, log, now),
        }
    }
}
