//! Jobs and their logs.

use super::{Effect, Screen};
use crate::error::Result;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::keymap::View;
use crate::tui::query::{Answer, Query};
use crate::tui::widgets::{Input, Paint};
use ratatui::layout::Rect;

/// Jobs and their logs.
#[derive(Default)]
pub struct Jobs {}

impl Screen for Jobs {
    fn view(&self) -> View {
        View::Jobs
    }

    fn place(&self) -> Vec<String> {
        vec![tr!("Jobs", "任务")]
    }

    fn obstacle(&self, _action: Action) -> Option<String> {
        None
    }

    fn update(&mut self, _action: Action) -> Vec<Effect> {
        vec![]
    }

    fn poll(&mut self, _slow: bool) -> Vec<Query> {
        vec![]
    }

    fn receive(&mut self, _query: &Query, _answer: Result<Answer>) -> Vec<Effect> {
        vec![]
    }

    fn filter(&mut self) -> Option<&mut Input> {
        None
    }

    fn filtered(&mut self) {}

    fn click(&mut self, _column: u16, _row: u16) -> bool {
        false
    }

    fn draw(&self, _p: &mut Paint<'_>, _area: Rect, _now: i64) {}
}
