//! A question and two answers: side by side where there is room, else one above the other, in a low frame one at a time.

use super::super::{down, draw_error};
use crate::error::Error;
use crate::text;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::theme::Role;
use crate::tui::widgets::{Growing, Paint};
use ratatui::layout::Rect;

/// Columns from which the answers stand side by side.
const WIDE: u16 = 60;
/// Rows from which both are shown where they cannot.
const HIGH: u16 = 18;

/// What is told of an answer above it.
#[derive(Default)]
pub struct Head<'a> {
    /// Who wrote it, once that is told.
    pub name: Option<&'a str>,
    /// How it stands.
    pub note: String,
    /// Why there is no answer.
    pub failure: Option<&'a Error>,
}

/// The texts and what is scrolled.
#[derive(Default)]
pub struct Panes {
    question: Growing,
    answers: [Growing; 2],
    /// 0 left, 1 right, 2 the question.
    focus: usize,
}

impl Panes {
    /// Answers that are there.
    pub fn of(question: &str, answers: [&str; 2]) -> Panes {
        Panes { question: Growing::of(question), answers: answers.map(Growing::of), focus: 0 }
    }

    /// Answers to come.
    pub fn waiting(question: &str) -> Panes {
        Panes { question: Growing::of(question), answers: [Growing::following(), Growing::following()], focus: 0 }
    }

    /// Adds to the answers.
    pub fn push(&mut self, more: &[String; 2]) {
        for (answer, more) in self.answers.iter_mut().zip(more) {
            answer.push(more);
        }
    }

    /// The next column; the question is one where it does not fit.
    pub fn next_column(&mut self) {
        let columns = if self.question.overflows() { 3 } else { 2 };
        self.focus = (self.focus + 1) % columns;
    }

    /// Scrolls the column that has the focus. False when `action` is no movement.
    pub fn update(&mut self, action: Action) -> bool {
        match self.answers.get_mut(self.focus) {
            Some(answer) => answer.update(action),
            None => self.question.update(action),
        }
    }

    /// The text that has the focus.
    pub fn focused(&self) -> &str {
        self.answers.get(self.focus).unwrap_or(&self.question).text()
    }

    /// Draws it all; the first of `status` that fits on the last line.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect, heads: [Head<'_>; 2], status: &[String], role: Role) {
        // In a low frame, lines are worth more than the blanks between its parts.
        let gap = u16::from(area.height >= 12);
        let rows = u16::try_from(self.question.rows(area.width)).unwrap_or(u16::MAX);
        let height = rows.min((area.height / 4).max(2));
        let asked = if self.focus == 2 { Role::Accent } else { Role::Title };
        self.question.draw(p, Rect { height: height.min(area.height), ..area }, asked);
        let rest = down(area, height + gap);
        let line = Rect { y: rest.bottom().saturating_sub(1), height: 1, ..rest };
        let panes = Rect { height: rest.height.saturating_sub(1 + gap), ..rest };
        let [a, b] = heads;
        if panes.width >= WIDE {
            let half = (panes.width - 3) / 2;
            p.split(Rect { x: panes.x + half + 1, width: 1, ..panes });
            let right = panes.x + half + 3;
            self.pane(p, Rect { width: half, ..panes }, 0, &a, None);
            self.pane(p, Rect { x: right, width: panes.right().saturating_sub(right), ..panes }, 1, &b, None);
        } else if panes.height >= HIGH {
            let half = panes.height / 2;
            self.pane(p, Rect { height: half, ..panes }, 0, &a, None);
            self.pane(p, down(panes, half), 1, &b, None);
        } else if self.focus == 1 {
            self.pane(p, panes, 1, &b, Some("Tab: A"));
        } else {
            self.pane(p, panes, 0, &a, Some("Tab: B"));
        }
        let fits = |words: &&String| text::width(words) <= usize::from(line.width);
        if let Some(words) = status.iter().find(fits).or(status.last()) {
            p.text(line.x, line.y, line.width, words, role);
        }
    }

    fn pane(&self, p: &mut Paint<'_>, area: Rect, side: usize, head: &Head<'_>, other: Option<&str>) {
        let mark = if self.focus == side { "▸" } else { "" };
        let words =
            [Some(format!("{mark}{}", ["A", "B"][side])), head.name.map(text::one_line), Some(head.note.clone())];
        let words: Vec<String> = words.into_iter().flatten().filter(|w| !w.is_empty()).collect();
        let line = Rect { height: 1.min(area.height), ..area };
        // The other column's key keeps its place at the right; a long name gives way.
        let reserved = other.map_or(0, |other| u16::try_from(text::width(other)).unwrap_or(0) + 4);
        p.rule(line, "");
        p.rule(Rect { width: line.width.saturating_sub(reserved), ..line }, &words.join("  "));
        if let Some(other) = other.filter(|_| line.height > 0 && line.width > reserved) {
            p.text(line.right() - reserved + 1, line.y, reserved - 2, &format!(" {other} "), Role::Dim);
        }
        let mut body = down(area, 1);
        if let Some(error) = head.failure {
            draw_error(p, body, error);
            let used = if self.answers[side].text().is_empty() { body.height } else { body.height.min(6) };
            body = down(body, used);
        }
        let answer = &self.answers[side];
        if answer.text().is_empty() && head.failure.is_none() && head.note.is_empty() && body.height > 0 {
            p.text(body.x, body.y, body.width, &tr!("(no answer)", "（没有回答）"), Role::Dim);
        }
        answer.draw(p, body, Role::Plain);
    }
}
