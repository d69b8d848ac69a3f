//! The terminal interface. [`App`] is the state and knows no terminal; [`run`] joins it to the
//! keyboard and to a worker thread that asks the [`Source`]. Jobs are processes of their own (`workbench/jobs`).

mod action;
mod app;
mod chores;
mod companion;
mod curve;
mod dashboard;
mod figures;
mod form;
mod frame;
mod keymap;
mod overlay;
mod palette;
mod preferences;
mod query;
mod screens;
mod source;
mod terminal;
mod theme;
mod tour;
mod verbs;
mod widgets;
mod workbench_source;

pub use action::{Action, ScreenId};
pub use app::{App, Chore};
pub use form::{Form, FormRequest};
pub use frame::help_text;
pub use keymap::{Key, View, commands, find, groups, key_name, keys};
pub use preferences::Preferences;
pub use query::{Answer, Query, Reply, answer};
pub use source::{
    ArenaAnswer, ArenaQuery, Comparison, ContestantTally, DuelPlan, DuelStage, Heard, Offers, Outcome, RatingLine,
    RatingsView, SideEnd, Tally,
};
pub use source::{
    ArenaView, BlindBattle, Choices, DataAnswer, DataQuery, DatasetView, DiffView, Figure, ForecastView, JobLine,
    JobsAnswer, JobsQuery, LeaderboardView, LogPiece, MaskToken, MaskView, Measure, ModelFacts, ModelKind, ModelLine,
    ModelsAnswer, ModelsQuery, Names, OutcomeView, Place, RowChangeView, RowFilter, RowPage, RowView, Source, Standing,
    SubjectView, VersionView, Vote,
};
pub use source::{ComparisonView, FlipView, ScoresAnswer, ScoresQuery};
pub use terminal::Session;
pub use theme::{Role, Theme, ThemeName};
pub use verbs::{Commands, Naming, Verb, VerbField};
pub use widgets::Block;
pub use workbench_source::{ReadTraining, WorkbenchSource};

use crate::error::{Error, Kind, Result};
use crate::tr;
use query::Worker;
use ratatui::crossterm::event::{self, Event};
use std::time::{Duration, Instant};
use terminal::terminal_error;

/// How often the store is asked for news.
const TICK: Duration = Duration::from_millis(250);
/// How long the keyboard is waited for while an answer is on its way.
const SHORT: Duration = Duration::from_millis(15);
/// How often the source is asked for what changes many times a second.
const LIVE: Duration = Duration::from_millis(40);

/// Opens the interface and stays until the user leaves it.
///
/// # Errors
/// `Io` when there is no terminal, `Interrupted` when a signal ended it, `Internal` when the thread
/// that asks the source is gone. The terminal is given back in every case.
pub fn run(source: Box<dyn Source>, commands: Commands, preferences: Preferences) -> Result<()> {
    let worker = Worker::start(source)?;
    let mut app = App::new(preferences, commands, unix_now());
    let mut session = Session::start()?;
    session.capture_mouse(app.mouse());
    drive(&mut session, &mut app, &worker)
}

fn drive(session: &mut Session, app: &mut App, worker: &Worker) -> Result<()> {
    let mut mouse = app.mouse();
    let mut last_tick = Instant::now();
    let mut last_heard = last_tick;
    let mut stale = true;
    while !app.is_over() {
        if session.is_ended() {
            return Err(Error::new(Kind::Interrupted, tr!("ended by a signal", "收到信号，已退出")));
        }
        if session.is_held() {
            chores::suspend(session, app.mouse())?;
            stale = true;
        }
        for chore in app.take_chores() {
            chores::run(session, app, chore)?;
            stale = true;
        }
        for query in app.take_queries() {
            if !worker.ask(query) {
                let why = terminal::take_panic().unwrap_or_default();
                return Err(Error::internal(tr!(
                    "the thread that reads the database is gone {why}",
                    "读取数据库的线程已退出 {why}"
                )));
            }
        }
        if std::mem::take(&mut stale) {
            session.terminal.draw(|frame| app.draw(frame)).map_err(|e| terminal_error(&e))?;
        }
        if app.mouse() != mouse {
            mouse = app.mouse();
            session.capture_mouse(mouse);
        }
        let mut patience = TICK.saturating_sub(last_tick.elapsed());
        if app.is_live() {
            patience = patience.min(LIVE.saturating_sub(last_heard.elapsed()));
        }
        stale |= read_keys(session, app, if app.is_waiting() { patience.min(SHORT) } else { patience })?;
        while let Some(reply) = worker.poll() {
            app.receive(reply);
            stale = true;
        }
        if app.is_live() && last_heard.elapsed() >= LIVE {
            last_heard = Instant::now();
            app.listen();
        }
        if last_tick.elapsed() >= TICK {
            last_tick = Instant::now();
            app.tick(unix_now());
            stale = true;
        }
    }
    Ok(())
}

/// Waits up to `patience` for the user, then takes everything that has come. Whether anything had.
fn read_keys(session: &Session, app: &mut App, patience: Duration) -> Result<bool> {
    let mut patience = patience;
    let mut any = false;
    while !app.is_over() && event::poll(patience).map_err(|e| terminal_error(&e))? {
        match event::read().map_err(|e| terminal_error(&e))? {
            Event::Key(key) => app.key(key),
            Event::Paste(text) => app.paste(&text),
            Event::Mouse(mouse) => {
                let (columns, rows) = session.terminal.size().map_or((80, 24), |s| (s.width, s.height));
                app.mouse_event(mouse, columns, rows);
            }
            Event::Resize(..) | Event::FocusGained | Event::FocusLost => {}
        }
        any = true;
        patience = Duration::ZERO;
    }
    Ok(any)
}

fn unix_now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}
