//! The state of the interface: which screen, what lies over it, what waits to be asked. It changes by
//! [`App::key`], [`App::update`] and [`App::receive`] and needs no terminal.

use super::action::{Action, ScreenId};
use super::figures::count;
use super::form::{Form, FormRequest};
use super::frame;
use super::keymap::{self, View};
use super::overlay::Overlay;
use super::palette::{Chosen, Palette};
use super::preferences::Preferences;
use super::query::{Answer, Query, Reply};
use super::screens::{
    Arena, Datasets, Effect, Evaluations, Home, Jobs, Leaderboard, Models, Screen, Settings, Training,
};
use super::source::JobsQuery;
use super::theme::{Role, Theme};
use super::tour::Tour;
use super::verbs::Commands;
use super::widgets::{Input, Pager};
use crate::error::Error;
use crate::{lang, tr};
use ratatui::Frame;
use ratatui::crossterm::event::{KeyEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};

/// Changes that can be taken back.
const UNDO: usize = 50;

/// What the terminal has to do, which the state cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chore {
    /// Put a text on the clipboard.
    Copy(String),
    /// Let the user change a text in an editor of their own; [`App::edited`] takes what came of it.
    Edit {
        /// The screen that wants it.
        screen: ScreenId,
        /// What the screen knows the text by.
        token: String,
        /// The ending of the file's name.
        ending: &'static str,
        /// The text.
        text: String,
    },
    /// Hold the program and go back to the shell.
    Suspend,
}

/// The whole interface.
pub struct App {
    pub(super) screen: ScreenId,
    home: Home,
    datasets: Datasets,
    models: Models,
    training: Training,
    evaluations: Evaluations,
    arena: Arena,
    leaderboard: Leaderboard,
    jobs: Jobs,
    settings: Settings,
    pub(super) overlay: Option<Overlay>,
    /// Whether the filter is being typed.
    pub(super) filtering: bool,
    pub(super) notice: Option<(String, Role)>,
    pub(super) theme: Theme,
    /// Unix seconds.
    pub(super) now: i64,
    commands: Commands,
    ticks: u64,
    queries: Vec<(ScreenId, Query)>,
    /// Asked and not answered: the same is not asked twice at a time by a screen.
    waiting: Vec<(ScreenId, Query)>,
    /// What takes changes back, the newest last.
    undo: Vec<(ScreenId, String, Query)>,
    /// Changes that are being taken back.
    undoing: Vec<(ScreenId, String, Query)>,
    chores: Vec<Chore>,
    quit: Quit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quit {
    No,
    /// When what was asked is answered.
    Soon,
    Now,
}

impl App {
    /// The first screen. Without verbs in `commands` no job can be started; `now` is Unix seconds.
    pub fn new(preferences: Preferences, commands: Commands, now: i64) -> App {
        let mut app = App {
            screen: ScreenId::Home,
            home: Home::default(),
            datasets: Datasets::default(),
            models: Models::default(),
            training: Training::default(),
            evaluations: Evaluations::default(),
            arena: Arena::default(),
            leaderboard: Leaderboard::default(),
            jobs: Jobs::default(),
            settings: Settings::default(),
            overlay: (!preferences.toured).then(|| Overlay::Tour(Tour::default())),
            filtering: false,
            notice: None,
            theme: Theme::named(preferences.theme),
            now,
            commands,
            ticks: 0,
            queries: Vec::new(),
            waiting: Vec::new(),
            undo: Vec::new(),
            undoing: Vec::new(),
            chores: Vec::new(),
            quit: Quit::No,
        };
        app.settings.chosen = preferences;
        app.poll(true);
        app
    }

    /// Draws without regard to the environment: with the terminal's colours, or without any.
    #[must_use]
    pub fn with_theme(mut self, theme: Theme) -> App {
        self.theme = theme;
        self
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
            ScreenId::Jobs => &self.jobs,
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
            ScreenId::Jobs => &mut self.jobs,
            ScreenId::Settings => &mut self.settings,
        }
    }

    /// The screen's filter, while there is one to type into.
    pub(super) fn filter(&mut self) -> Option<&mut Input> {
        self.screen_mut(self.screen).filter()
    }

    /// What has the keys now.
    pub fn view(&self) -> View {
        match &self.overlay {
            Some(overlay) => overlay.view(),
            None if self.filtering => View::FilterLine,
            None => self.current().view(),
        }
    }

    /// Whether the mouse is taken from the terminal.
    pub fn mouse(&self) -> bool {
        self.settings.chosen.mouse
    }

    /// Why `action` cannot be done now; none if it can.
    pub fn obstacle(&self, action: Action) -> Option<String> {
        if self.view().is_modal() {
            return None;
        }
        match action {
            Action::New if self.commands.verbs.is_empty() => Some(tr!(
                "jobs cannot be started from here; use `linly-bench train` or `linly-bench run`",
                "这里无法启动任务；请用 `linly-bench train` 或 `linly-bench run`"
            )),
            Action::Undo if self.undo.is_empty() => Some(tr!("nothing was changed yet", "还没有可撤销的改动")),
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
            if changed {
                self.typed();
            }
        }
        // In text, Ctrl-C is no command of the view, and still it must always be the way out.
        if keymap::is_way_out(event) {
            self.update(Action::Quit);
        }
    }

    /// Text was pasted.
    pub fn paste(&mut self, text: &str) {
        if let Some(input) = self.input() {
            input.insert(text);
            self.typed();
        }
    }

    fn input(&mut self) -> Option<&mut Input> {
        if self.overlay.is_some() {
            return self.overlay.as_mut().and_then(Overlay::input);
        }
        if self.filtering { self.filter() } else { self.screen_mut(self.screen).input() }
    }

    /// The text that is typed into has changed.
    fn typed(&mut self) {
        match &mut self.overlay {
            Some(Overlay::Form(form)) => form.check(&self.commands),
            Some(Overlay::Palette(palette)) => palette.narrow(),
            Some(_) => {}
            None => {
                self.screen_mut(self.screen).filtered();
                self.poll(false);
            }
        }
    }

    /// The wheel moves, a click selects, on the top line it changes the screen, on the bottom line it does what is
    /// written there.
    pub fn mouse_event(&mut self, event: MouseEvent, columns: u16, rows: u16) {
        match event.kind {
            MouseEventKind::ScrollDown => self.update(Action::Down),
            MouseEventKind::ScrollUp => self.update(Action::Up),
            MouseEventKind::Down(MouseButton::Left) => {
                if event.row + 1 == rows {
                    if let Some(action) = frame::hint_at(self, columns, event.column) {
                        self.notice = None;
                        self.update(action);
                    }
                } else if self.overlay.is_some() {
                } else if event.row == 0 {
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
            Action::Help if self.overlay.is_none() => self.overlay = Some(Overlay::Help(Pager::default())),
            Action::Palette => self.overlay = Some(Overlay::Palette(Palette::new(view, &self.commands))),
            Action::Mouse => self.switch_mouse(),
            Action::Suspend => self.chores.push(Chore::Suspend),
            Action::Undo => {
                if let Some(change) = self.undo.pop() {
                    self.queries.push((change.0, change.2.clone()));
                    self.undoing.push(change);
                }
            }
            Action::Go(screen) => self.go(screen),
            Action::NextScreen => self.go(self.screen.step(1)),
            Action::PreviousScreen => self.go(self.screen.step(ScreenId::ALL.len() - 1)),
            Action::Filter => self.filtering = self.filter().is_some(),
            _ => match self.overlay.take() {
                Some(overlay) => self.update_overlay(overlay, action),
                None if self.filtering => self.end_filter(action),
                None => {
                    let effects = self.screen_mut(self.screen).update(action);
                    self.apply(self.screen, effects);
                }
            },
        }
        self.poll(false);
    }

    fn switch_mouse(&mut self) {
        let mouse = !self.settings.chosen.mouse;
        self.prefer(Preferences { mouse, ..self.settings.chosen.clone() });
        let words = if mouse {
            tr!("the mouse is used here", "鼠标由本程序使用")
        } else {
            tr!("the mouse is the terminal's: text can be selected", "鼠标交还终端：可以选取文字")
        };
        self.notice = Some((words, Role::Plain));
    }

    fn prefer(&mut self, chosen: Preferences) {
        if chosen.theme != self.settings.chosen.theme {
            self.theme = Theme::named(chosen.theme);
        }
        if chosen.lang != self.settings.chosen.lang {
            lang::set(chosen.lang.unwrap_or_else(lang::from_locale));
        }
        self.settings.chosen = chosen.clone();
        self.queries.push((ScreenId::Settings, Query::Keep(chosen)));
    }

    fn go(&mut self, screen: ScreenId) {
        self.screen = screen;
        self.filtering = false;
        self.poll(true);
    }

    fn leave(&mut self) {
        if self.jobs.running().is_empty() || matches!(self.overlay, Some(Overlay::Leave)) {
            self.quit = Quit::Now;
        } else {
            self.overlay = Some(Overlay::Leave);
        }
    }

    /// A command of what lies over the screen. It stays only if it is put back.
    fn update_overlay(&mut self, mut overlay: Overlay, action: Action) {
        match &mut overlay {
            Overlay::Help(pager) => {
                if pager.update(action) {
                    self.overlay = Some(overlay);
                }
            }
            Overlay::Confirm(confirm) => match (action, confirm.then.take()) {
                (Action::Confirm, Some(query)) => self.queries.push((self.screen, query)),
                _ => self.notice = Some((tr!("nothing was changed", "没有改动"), Role::Dim)),
            },
            Overlay::Leave => match action {
                Action::Confirm => self.quit = Quit::Now,
                Action::StopAll => {
                    let stops = self.jobs.running().into_iter().map(|id| Query::Jobs(JobsQuery::Stop(id)));
                    self.queries.extend(stops.map(|query| (ScreenId::Jobs, query)));
                    self.quit = Quit::Soon;
                }
                _ => {}
            },
            Overlay::Tour(tour) => match tour.next().filter(|_| action == Action::Submit) {
                Some(next) => self.overlay = Some(Overlay::Tour(next)),
                None => self.prefer(Preferences { toured: true, ..self.settings.chosen.clone() }),
            },
            Overlay::Palette(palette) => match action {
                Action::NextField | Action::PreviousField => {
                    palette.step(action == Action::NextField);
                    self.overlay = Some(overlay);
                }
                Action::Submit => match palette.chosen() {
                    Some(Chosen::Act(action)) => self.update(action),
                    Some(Chosen::Fill(verb)) => self.fill(&FormRequest { verb, values: Vec::new() }),
                    None => self.overlay = Some(overlay),
                },
                _ => {}
            },
            Overlay::Form(form) => {
                match action {
                    Action::NextField => form.step(true),
                    Action::PreviousField => form.step(false),
                    Action::MoreFields => form.more(),
                    Action::NextChoice | Action::PreviousChoice => {
                        form.choose(action == Action::NextChoice);
                        form.check(&self.commands);
                    }
                    Action::Submit => {
                        if let Some(argv) = form.submit(&self.commands) {
                            return self.queries.push((ScreenId::Jobs, Query::Jobs(JobsQuery::Start(argv))));
                        }
                    }
                    _ => return,
                }
                self.overlay = Some(overlay);
            }
        }
    }

    fn fill(&mut self, request: &FormRequest) {
        match self.commands.find(&request.verb) {
            Some(verb) => {
                let mut form = Form::new(verb, &request.values);
                form.check(&self.commands);
                self.overlay = Some(Overlay::Form(Box::new(form)));
                self.queries.push((self.screen, Query::Choices));
            }
            None => self.notice = Some((tr!("{} cannot be started here", "这里无法启动 {}", request.verb), Role::Warn)),
        }
    }

    fn end_filter(&mut self, action: Action) {
        self.filtering = false;
        if action == Action::Cancel {
            if let Some(filter) = self.filter() {
                filter.clear();
            }
            self.typed();
        }
    }

    fn apply(&mut self, screen: ScreenId, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Ask(query) => self.queries.push((screen, query)),
                Effect::Confirm(confirm) => self.overlay = Some(Overlay::Confirm(confirm)),
                Effect::Fill(request) => self.fill(&request),
                Effect::Notice(words, role) => self.notice = Some((words, role)),
                Effect::Copy(text) => {
                    let words = tr!("copied: {} characters", "已复制 {} 个字符", count(text.chars().count() as u64));
                    self.notice = Some((words, Role::Good));
                    self.chores.push(Chore::Copy(text));
                }
                Effect::Edit { token, ending, text } => self.chores.push(Chore::Edit { screen, token, ending, text }),
                Effect::Run(argv) => self.queries.push((ScreenId::Jobs, Query::Jobs(JobsQuery::Start(argv)))),
                Effect::Undoable { told, query } => {
                    self.notice = Some((tr!("{told}  (U takes it back)", "{told}  （按 U 撤销）"), Role::Good));
                    self.undo.push((screen, told, query));
                    if self.undo.len() > UNDO {
                        self.undo.remove(0);
                    }
                }
                Effect::Go(screen) => self.go(screen),
                Effect::Look { screen, run } => {
                    let effects = self.screen_mut(screen).look(&run);
                    self.go(screen);
                    self.apply(screen, effects);
                }
                Effect::Prefer(chosen) => self.prefer(chosen),
                Effect::Tour => self.overlay = Some(Overlay::Tour(Tour::default())),
            }
        }
    }

    fn poll(&mut self, slow: bool) {
        self.ask_for(self.screen, slow);
    }

    fn ask_for(&mut self, screen: ScreenId, slow: bool) {
        for query in self.screen_mut(screen).poll(slow) {
            let asked = (screen, query);
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
        // Jobs are followed from every screen: what ends is told.
        if self.ticks.is_multiple_of(if self.jobs.running().is_empty() { 12 } else { 4 }) {
            self.ask_for(ScreenId::Jobs, true);
        }
    }

    /// Whether the screen shows something that changes many times a second.
    pub fn is_live(&self) -> bool {
        self.current().is_live()
    }

    /// Asks for what the screen shows while [`App::is_live`].
    pub fn listen(&mut self) {
        self.poll(false);
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
        if matches!(reply.query, Query::Choices | Query::Forecast(_)) {
            return self.inform(reply);
        }
        let undone = self.undoing.iter().position(|(.., query)| *query == reply.query);
        let undone = undone.map(|place| self.undoing.remove(place));
        if let (Some((_, told, _)), Ok(_)) = (&undone, &reply.answer) {
            // Before the screens, which may know more about it.
            self.notice = Some((tr!("taken back: {told}", "已撤销：{told}"), Role::Good));
        }
        for (screen, query) in asked {
            let effects = self.screen_mut(screen).receive(&query, reply.answer.clone());
            self.apply(screen, effects);
        }
        if let (Some(change), Err(error)) = (undone, &reply.answer) {
            // It can be tried again.
            self.tell(error);
            self.undo.push(change);
        }
        if self.quit == Quit::Soon && self.waiting.is_empty() && self.queries.is_empty() {
            self.quit = Quit::Now;
        }
    }

    /// Takes an answer that is the form's and no screen's.
    fn inform(&mut self, reply: Reply) {
        let Some(Overlay::Form(form)) = &mut self.overlay else { return };
        match (reply.query, reply.answer) {
            (_, Ok(Answer::Choices(choices))) => form.offer(choices),
            (Query::Forecast(argv), Ok(Answer::Forecast(forecast))) => form.take_forecast(argv, Ok(forecast)),
            (Query::Forecast(argv), Err(error)) => form.take_forecast(argv, Err(error)),
            (_, Err(error)) => self.tell(&error),
            (_, Ok(_)) => {}
        }
    }

    /// Asks for the forecast that the form wants. One at a time: while it is worked out, the user types on.
    fn ask_forecast(&mut self) {
        let is_forecast = |(_, query): &(ScreenId, Query)| matches!(query, Query::Forecast(_));
        if let Some(Overlay::Form(form)) = &self.overlay
            && !self.waiting.iter().chain(&self.queries).any(is_forecast)
            && let Some(argv) = form.wants_forecast()
        {
            self.queries.push((self.screen, Query::Forecast(argv)));
        }
    }

    /// Takes a text that was changed in the user's editor; none if it was left as it was.
    pub fn edited(&mut self, screen: ScreenId, token: &str, text: Option<String>) {
        match text {
            Some(text) => {
                let effects = self.screen_mut(screen).edited(token, text);
                self.apply(screen, effects);
            }
            None => self.notice = Some((tr!("nothing was changed", "没有改动"), Role::Dim)),
        }
        self.poll(true);
    }

    /// The questions to send.
    pub fn take_queries(&mut self) -> Vec<Query> {
        self.ask_forecast();
        let asked = std::mem::take(&mut self.queries);
        let mut queries: Vec<Query> = Vec::with_capacity(asked.len());
        for (_, query) in &asked {
            // Two screens may ask the same: it is answered once, to both.
            let known = queries.contains(query) || self.waiting.iter().any(|(_, waiting)| waiting == query);
            if !known {
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

    /// What the terminal has to do.
    pub fn take_chores(&mut self) -> Vec<Chore> {
        std::mem::take(&mut self.chores)
    }

    /// Whether the user wants to leave.
    pub fn is_over(&self) -> bool {
        self.quit == Quit::Now
    }

    /// Draws everything.
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        frame::draw(self, frame);
    }

    /// What runs in the background, in words; empty for nothing.
    pub(super) fn activity(&self) -> String {
        match self.jobs.running().len() {
            0 => String::new(),
            n => tr!("{} running", "{} 个任务运行中", count(n as u64)),
        }
    }

    /// How many jobs run.
    pub(super) fn running(&self) -> usize {
        self.jobs.running().len()
    }
}
