//! The screens. A screen keeps its own state, asks by [`Query`] and changes only by
//! [`Screen::update`] and [`Screen::receive`]: none of that needs a terminal.

mod arena;
mod datasets;
mod evaluations;
mod figure_table;
mod flips;
mod home;
mod item;
mod jobs;
mod leaderboard;
mod matrix;
mod models;
mod roster;
mod run_facts;
mod score_lists;
mod score_run;
mod settings;
mod training;

pub use arena::Arena;
pub use datasets::Datasets;
pub use evaluations::Evaluations;
pub use home::Home;
pub use jobs::Jobs;
pub use leaderboard::Leaderboard;
pub use models::Models;
pub use run_facts::training_verb;
pub use settings::Settings;
pub use training::Training;

use super::action::Action;
use super::form::FormRequest;
use super::keymap::View;
use super::preferences::Preferences;
use super::query::{Answer, Query};
use super::theme::Role;
use super::widgets::{Input, Paint};
use crate::error::{Error, Result};
use crate::store::RunStatus;
use crate::tr;
use ratatui::layout::Rect;

/// What a screen wants done that it cannot do itself.
#[derive(Debug)]
pub enum Effect {
    /// Ask the source.
    Ask(Query),
    /// Ask the user first.
    Confirm(Confirm),
    /// Let the user fill in a form.
    Fill(FormRequest),
    /// Tell the user.
    Notice(String, Role),
    /// Put a text on the clipboard.
    Copy(String),
    /// Let the user change a text in an editor of their own; [`Screen::edited`] takes what came of it.
    Edit {
        /// What the screen knows the text by.
        token: String,
        /// The ending of the file's name, which editors go by: `json`, `md`.
        ending: &'static str,
        /// The text.
        text: String,
    },
    /// Start a job: the arguments after the program's name.
    Run(Vec<String>),
    /// Something was changed that `query` changes back.
    Undoable {
        /// What was done, for the line above the hints.
        told: String,
        /// What takes it back.
        query: Query,
    },
    /// Another screen.
    Go(super::action::ScreenId),
    /// The screen of a run, with the run open.
    Look {
        /// Where runs of its kind are looked at.
        screen: super::action::ScreenId,
        /// Its id.
        run: String,
    },
    /// Other settings of the interface.
    Prefer(Preferences),
    /// The first steps.
    Tour,
}

/// A question before something is destroyed.
#[derive(Clone, Debug)]
pub struct Confirm {
    /// Names the object.
    pub question: String,
    /// What will be lost, and what will not.
    pub detail: String,
    /// What to do on yes.
    pub then: Option<Query>,
}

/// One of the screens.
pub trait Screen {
    /// Which commands apply now.
    fn view(&self) -> View;
    /// Where the user is: the names on the way down.
    fn place(&self) -> Vec<String>;
    /// Why `action` cannot be done now; none if it can.
    fn obstacle(&self, action: Action) -> Option<String>;
    /// Does a command of the current view.
    fn update(&mut self, action: Action) -> Vec<Effect>;
    /// What should be asked now. `slow` is set every second or few, for what changes rarely.
    fn poll(&mut self, slow: bool) -> Vec<Query>;
    /// Takes an answer.
    fn receive(&mut self, query: &Query, answer: Result<Answer>) -> Vec<Effect>;
    /// The list of the current view; none where there is none.
    fn list(&mut self) -> Option<&mut dyn Listed> {
        None
    }
    /// The filter of the current view.
    fn filter(&mut self) -> Option<&mut Input> {
        self.list().map(Listed::filter)
    }
    /// The filter's text has changed.
    fn filtered(&mut self) {
        if let Some(list) = self.list() {
            list.refilter();
        }
    }
    /// Selects what was drawn at a position.
    fn click(&mut self, column: u16, row: u16) -> bool {
        self.list().is_some_and(|list| list.click(column, row))
    }
    /// Opens a run of the screen's kind, as soon as it is known. A screen without runs stays as it is.
    fn look(&mut self, _run: &str) -> Vec<Effect> {
        vec![]
    }
    /// The text field of the screen itself, while it has the keys (its view takes text).
    fn input(&mut self) -> Option<&mut Input> {
        None
    }
    /// Takes a text that [`Effect::Edit`] gave out, changed.
    fn edited(&mut self, _token: &str, _text: String) -> Vec<Effect> {
        vec![]
    }
    /// Whether what it shows changes many times a second, so that it wants to be polled as often.
    fn is_live(&self) -> bool {
        false
    }
    /// Draws itself; `now` is in Unix seconds.
    fn draw(&self, p: &mut Paint<'_>, area: Rect, now: i64);
}

/// A list that can be narrowed and clicked into.
pub trait Listed {
    /// What it is narrowed to.
    fn filter(&mut self) -> &mut Input;
    /// The filter's text has changed.
    fn refilter(&mut self);
    /// Selects what was drawn at a position; false where nothing was.
    fn click(&mut self, column: u16, row: u16) -> bool;
}

/// Something that is asked for.
#[derive(Debug)]
pub enum Fetched<T> {
    /// Not here yet.
    Loading,
    /// Here.
    Ready(T),
    /// It did not come.
    Failed(Error),
}

/// What to show when a list is empty: a sentence, then steps with the command to type.
struct Empty {
    title: String,
    steps: Vec<(String, &'static str)>,
}

impl Empty {
    fn draw(&self, p: &mut Paint<'_>, area: Rect) {
        let mut rest = down(area, 1);
        rest = down(rest, p.paragraph(rest, &self.title, Role::Title));
        for (what, command) in &self.steps {
            rest = down(rest, 1);
            rest = down(rest, p.paragraph(rest, what, Role::Plain));
            let indented = Rect { x: rest.x + 2.min(rest.width), width: rest.width.saturating_sub(2), ..rest };
            rest = down(rest, p.paragraph(indented, command, Role::Accent));
        }
    }
}

/// The part of `area` below its first `rows` rows.
fn down(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

/// A failure with its way out.
pub fn draw_error(p: &mut Paint<'_>, area: Rect, error: &Error) {
    let mut rest = down(area, 1);
    rest = down(rest, p.paragraph(rest, &tr!("error: {}", "错误：{}", error.message), Role::Bad));
    if let Some(hint) = &error.hint {
        p.paragraph(rest, &tr!("hint: {hint}", "提示：{hint}"), Role::Plain);
    }
}

fn draw_loading(p: &mut Paint<'_>, area: Rect) {
    p.paragraph(down(area, 1), &tr!("Loading", "正在读取"), Role::Dim);
}

/// How a run stands, in a word.
pub fn status(status: RunStatus) -> (String, Role) {
    match status {
        RunStatus::Running => (tr!("running", "进行中"), Role::Accent),
        RunStatus::Done => (tr!("done", "完成"), Role::Good),
        RunStatus::Failed => (tr!("failed", "失败"), Role::Bad),
        RunStatus::Cancelled => (tr!("stopped", "已停止"), Role::Warn),
        RunStatus::Interrupted => (tr!("interrupted", "已中断"), Role::Warn),
    }
}

/// A model with its adapter, as one name.
pub fn contestant(model: &str, adapter: &str) -> String {
    // Paths are told apart by their ends.
    let short = |name: &str| name.trim_end_matches('/').rsplit('/').next().unwrap_or(name).to_owned();
    if adapter.is_empty() { short(model) } else { format!("{} + {}", short(model), short(adapter)) }
}

fn nothing_selected() -> String {
    tr!("nothing is selected", "没有选中任何一项")
}

fn at_top() -> String {
    tr!("this is the top level", "已经在最上层")
}
