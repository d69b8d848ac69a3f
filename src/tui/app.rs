//! The state of the interface: which screen, what lies over it, what waits to be asked. It changes by
//! [`App::key`], [`App::update`] and [`App::receive`] and needs no terminal.

use super::action::{Action, ScreenId};
use super::figures::count;
use super::form::{Form, Job};
use super::frame;
use super::keymap::{self, View};
use super::query::{Query, Reply};
use super::screens::{
    Arena, Confirm, Datasets, Effect, Evaluations, Home, Jobs, Leaderboard, Models, Screen, Settings, Training,
};
use super::theme::{Role, Theme};
use super::widgets::{Input, Pager};
use crate::error::{Error, Result};
use crate::tr;
use ratatui::Frame;
use ratatui::crossterm::event::{KeyEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};

/// The whole interface.
pub struct App {
    pub(super) screen: ScreenId,
    pub(super) home: Home,
    pub(super) datasets: Datasets,
    pub(super) models: Models,
    pub(super) training: Training,
    pub(super) evaluations: Evaluations,
    pub(super) arena: Arena,
    pub(super) leaderboard: Leaderboard,
    pub(super) job_list: Jobs,
    pub(super) settings: Settings,
    /// The list of keys, while it is shown.
    pub(super) help: Option<Pager>,
    pub(super) confirm: Option<Confirm>,
    pub(super) form: Option<Form>,
    /// Whether the filter is being typed.
    pub(super) filtering: bool,
    pub(super) notice: Option<(String, Role)>,
    /// Whether the mouse is taken from the terminal.
    pub mouse: bool,
    pub(super) theme: Theme,
    /// Unix seconds.
    pub(super) now: i64,
    /// Whether jobs can be started, and how many run.
    jobs: (bool, usize),
    ticks: u64,
    queries: Vec<(ScreenId, Query)>,
    /// Asked and not answered: the same is not asked twice at a time by a screen.
    waiting: Vec<(ScreenId, Query)>,
    started: Vec<Job>,
    quit: bool,
}

impl App {
    /// The first screen. `launches` tells whether jobs can be started from here; `now` is Unix seconds.
    pub fn new(theme: Theme, launches: bool, now: i64) -> App {
        let mut app = App {
            screen: ScreenId::Home,
            home: Home::default(),
            datasets: Datasets::default(),
            models: Models::default(),
            training: Training::default(),
            evaluations: Evaluations::default(),
            arena: Arena::default(),
            leaderboard: Leaderboard::default(),
            job_list: Jobs::default(),
            settings: Settings::default(),
            help: None,
            confirm: None,
            form: None,
            filtering: false,
            notice: None,
            mouse: true,
            theme,
            now,
            jobs: (launches, 0),
            ticks: 0,
            queries: Vec::new(),
            waiting: Vec::new(),
            started: Vec::new(),
            quit: false,
        };
        app.poll(true);
        app
    }

    pub(super) fn current(&self) -> &dyn Screen {
        match self.screen {
            ScreenId::Home => &self.home,
            ScreenId::Datasets => &self.datasets,
            ScreenId::Models => &self.models,
            ScreenId::Training => &self.training,
            ScreenId::Evaluations => &self.evaluations,
            ScreenId::Arena => &self.arena,
            ScreenId::Leaderboard => &self.leaderboard,
            ScreenId::Jobs => &self.job_list,
            ScreenId::Settings => &self.settings,
        }
    }

    fn screen_mut(&mut self, id: ScreenId) -> &mut dyn Screen {
        match id {
            ScreenId::Home => &mut self.home,
            ScreenId::Datasets => &mut self.datasets,
            ScreenId::Models => &mut self.models,
            ScreenId::Training => &mut self.training,
            ScreenId::Evaluations => &mut self.evaluations,
            ScreenId::Arena => &mut self.arena,
            ScreenId::Leaderboard => &mut self.leaderboard,
            ScreenId::Jobs => &mut self.job_list,
            ScreenId::Settings => &mut self.settings,
        }
    }

    /// The screen's filter, while there is one to type into.
    pub(super) fn filter(&mut self) -> Option<&mut Input> {
        self.screen_mut(self.screen).filter()
    }

    /// What has the keys now.
    pub fn view(&self) -> View {
        if self.confirm.is_some() {
            View::Confirm
        } else if self.form.is_some() {
            View::Form
        } else if self.help.is_some() {
            View::Help
        } else if self.filtering {
            View::FilterLine
        } else {
            self.current().view()
        }
    }

    /// Why `action` cannot be done now; none if it can.
    pub fn obstacle(&self, action: Action) -> Option<String> {
        if self.view().is_modal() {
            return None;
        }
        match action {
            Action::New if !self.jobs.0 => Some(tr!(
                "jobs cannot be started from here; use `linly-bench train` or `linly-bench run`",
                "这里无法启动任务；请用 `linly-bench train` 或 `linly-bench run`"
            )),
            _ => self.current().obstacle(action),
        }
    }

    /// A key was pressed.
    pub fn key(&mut self, event: KeyEvent) {
        if event.kind == KeyEventKind::Release {
            return;
        }
        self.notice = None;
        let view = self.view();
        if let Some(action) = keymap::find(view, event) {
            return self.update(action);
        }
        if view.takes_text() {
            let changed = self.input().is_some_and(|input| input.key(event));
            if changed && view == View::FilterLine {
                self.filtered();
            }
        }
        // In text, Ctrl-C is no command of the view, and still it must always be the way out.
        if keymap::is_way_out(event) {
            self.update(Action::Quit);
        }
    }

    /// Text was pasted.
    pub fn paste(&mut self, text: &str) {
        let filtering = self.view() == View::FilterLine;
        if let Some(input) = self.input() {
            input.insert(text);
        }
        if filtering {
            self.filtered();
        }
    }

    fn input(&mut self) -> Option<&mut Input> {
        match self.view() {
            View::Form => self.form.as_mut().and_then(Form::input),
            View::FilterLine => self.filter(),
            _ => None,
        }
    }

    fn filtered(&mut self) {
        self.screen_mut(self.screen).filtered();
        self.poll(false);
    }

    /// The wheel moves, a click selects, on the top line it changes the screen.
    pub fn mouse_event(&mut self, event: MouseEvent, columns: u16) {
        match event.kind {
            MouseEventKind::ScrollDown => self.update(Action::Down),
            MouseEventKind::ScrollUp => self.update(Action::Up),
            MouseEventKind::Down(MouseButton::Left) if !self.view().is_modal() => {
                if event.row == 0 {
                    if let Some(screen) = frame::tab_at(self.screen, columns, event.column) {
                        self.update(Action::Go(screen));
                    }
                } else {
                    self.screen_mut(self.screen).click(event.column, event.row);
                }
            }
            _ => {}
        }
    }

    /// Does an action if the present view has it and nothing is in its way.
    pub fn update(&mut self, action: Action) {
        let view = self.view();
        if action != Action::Quit && !keymap::commands(view).any(|a| a == action) {
            return;
        }
        if let Some(why) = self.obstacle(action) {
            self.notice = Some((why, Role::Warn));
            return;
        }
        match action {
            Action::Quit => self.leave(),
            Action::Help => self.help = if self.help.is_some() { None } else { Some(Pager::default()) },
            Action::Mouse => {
                self.mouse = !self.mouse;
                let words = if self.mouse {
                    tr!("the mouse is used here", "鼠标由本程序使用")
                } else {
                    tr!("the mouse is the terminal's: text can be selected", "鼠标交还终端：可以选取文字")
                };
                self.notice = Some((words, Role::Plain));
            }
            Action::Go(screen) => self.go(screen),
            Action::NextScreen => self.go(self.screen.step(1)),
            Action::PreviousScreen => self.go(self.screen.step(ScreenId::ALL.len() - 1)),
            Action::Filter => self.filtering = self.filter().is_some(),
            _ => match view {
                View::Confirm => self.answer(action),
                View::Form => self.fill(action),
                View::Help => self.turn_help(action),
                View::FilterLine => self.end_filter(action),
                _ => {
                    let effects = self.screen_mut(self.screen).update(action);
                    self.apply(self.screen, effects);
                }
            },
        }
        self.poll(false);
    }

    fn go(&mut self, screen: ScreenId) {
        self.screen = screen;
        self.filtering = false;
        self.poll(true);
    }

    fn leave(&mut self) {
        if self.jobs.1 == 0 || self.confirm.as_ref().is_some_and(|c| c.then.is_none()) {
            self.quit = true;
            return;
        }
        self.confirm = Some(Confirm {
            question: tr!(
                "Stop {} and leave?",
                "停止 {} 并退出？",
                tr!("{} running job(s)", "{} 个运行中的任务", self.jobs.1)
            ),
            detail: tr!(
                "A training stops after its present step and leaves a checkpoint; `linly-bench train --resume RUN` goes on from there.",
                "训练会在当前一步之后停止并留下检查点；`linly-bench train --resume RUN` 可以继续。"
            ),
            then: None,
        });
    }

    fn answer(&mut self, action: Action) {
        let Some(confirm) = self.confirm.take() else { return };
        match (action, confirm.then) {
            (Action::Confirm, Some(query)) => self.queries.push((self.screen, query)),
            (Action::Confirm, None) => self.quit = true,
            _ => self.notice = Some((tr!("nothing was changed", "没有改动"), Role::Dim)),
        }
    }

    fn fill(&mut self, action: Action) {
        let Some(form) = &mut self.form else { return };
        match action {
            Action::NextField => form.step(true),
            Action::PreviousField => form.step(false),
            Action::Submit => {
                if let Some(job) = form.submit() {
                    self.started.push(job);
                    self.form = None;
                    self.notice = Some((
                        tr!(
                            "started; it appears in the list when its model is loaded",
                            "已启动；模型载入后会出现在列表中"
                        ),
                        Role::Good,
                    ));
                }
            }
            _ => self.form = None,
        }
    }

    fn turn_help(&mut self, action: Action) {
        let moved = self.help.as_mut().is_some_and(|help| help.update(action));
        if !moved {
            self.help = None;
        }
    }

    fn end_filter(&mut self, action: Action) {
        self.filtering = false;
        if action == Action::Cancel {
            if let Some(filter) = self.filter() {
                filter.clear();
            }
            self.filtered();
        }
    }

    fn apply(&mut self, screen: ScreenId, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Ask(query) => self.queries.push((screen, query)),
                Effect::Confirm(confirm) => self.confirm = Some(confirm),
                Effect::Fill(form) => self.form = Some(form),
                Effect::Notice(words, role) => self.notice = Some((words, role)),
                Effect::Copy(_) | Effect::Edit { .. } | Effect::Run(_) => {}
                Effect::Undoable { told, .. } => self.notice = Some((told, Role::Good)),
                Effect::Go(screen) => self.go(screen),
            }
        }
    }

    fn poll(&mut self, slow: bool) {
        for query in self.screen_mut(self.screen).poll(slow) {
            let asked = (self.screen, query);
            if !self.waiting.contains(&asked) && !self.queries.contains(&asked) {
                self.queries.push(asked);
            }
        }
    }

    /// Time passes: about four times a second.
    pub fn tick(&mut self, now: i64) {
        self.now = now;
        self.ticks += 1;
        // Counting the rows of all datasets and rating all battles cost more than a list of runs.
        let pause = match self.screen {
            ScreenId::Home | ScreenId::Datasets | ScreenId::Models | ScreenId::Leaderboard => 20,
            _ => 4,
        };
        self.poll(self.ticks.is_multiple_of(pause));
    }

    /// How the jobs of this program stand: how many run, and what became of those that ended.
    pub fn jobs(&mut self, running: usize, ended: Vec<Result<()>>) {
        self.jobs.1 = running;
        for outcome in ended {
            match outcome {
                Ok(()) => self.notice = Some((tr!("a job has finished", "有任务已完成"), Role::Good)),
                Err(error) => self.tell(&error),
            }
        }
    }

    /// Shows a failure on the line above the hints.
    pub fn tell(&mut self, error: &Error) {
        let hint = error.hint.as_ref().map_or_else(String::new, |hint| format!("  ({hint})"));
        self.notice = Some((format!("{}{hint}", error.message), Role::Bad));
    }

    /// Takes an answer.
    pub fn receive(&mut self, reply: Reply) {
        let (asked, waiting) = self.waiting.drain(..).partition(|(_, query)| *query == reply.query);
        self.waiting = waiting;
        let mut asked: Vec<(ScreenId, Query)> = asked;
        asked.dedup_by_key(|(screen, _)| *screen);
        for (screen, query) in asked {
            let effects = self.screen_mut(screen).receive(&query, reply.answer.clone());
            self.apply(screen, effects);
        }
    }

    /// The questions to send.
    pub fn take_queries(&mut self) -> Vec<Query> {
        let asked = std::mem::take(&mut self.queries);
        let mut queries: Vec<Query> = Vec::with_capacity(asked.len());
        for (_, query) in &asked {
            // Two screens may ask the same: it is answered once, to both.
            if !queries.contains(query) && !self.waiting.iter().any(|(_, waiting)| waiting == query) {
                queries.push(query.clone());
            }
        }
        self.waiting.extend(asked);
        queries
    }

    /// Whether an answer is on its way.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The jobs to start.
    pub fn take_jobs(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.started)
    }

    /// Whether the user wants to leave.
    pub fn is_over(&self) -> bool {
        self.quit
    }

    /// Draws everything.
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        frame::draw(self, frame);
    }

    /// What runs in this program, in words; empty for nothing.
    pub(super) fn activity(&self) -> String {
        match self.jobs.1 {
            0 => String::new(),
            n => tr!("{} running here", "{} 个任务运行中", count(n as u64)),
        }
    }
}
