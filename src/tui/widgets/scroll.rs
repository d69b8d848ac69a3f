//! How far lines are scrolled.

use super::Paint;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::theme::Role;
use ratatui::layout::Rect;
use std::cell::Cell;
use std::ops::Range;

/// The first line in sight of a text that is longer than its area.
#[derive(Debug, Default)]
pub struct Scroll {
    top: usize,
    /// Lines and height of the last drawing: what scrolling is limited by.
    extent: Cell<(usize, usize)>,
}

impl Scroll {
    /// At the end of a text that grows, until it is scrolled.
    pub fn at_end() -> Scroll {
        Scroll { top: usize::MAX, ..Scroll::default() }
    }

    /// Scrolls. False when `action` is no movement.
    pub fn update(&mut self, action: Action) -> bool {
        let (lines, height) = self.extent.get();
        let page = height.saturating_sub(1).max(1);
        let end = lines.saturating_sub(height);
        let top = self.top.min(end);
        self.top = match action {
            Action::Up => top.saturating_sub(1),
            Action::Down => top + 1,
            Action::PageUp => top.saturating_sub(page),
            Action::PageDown => top + page,
            Action::First => 0,
            // Beyond every end: what is added below comes into sight.
            Action::Last => usize::MAX,
            _ => return false,
        };
        if action != Action::Last {
            self.top = self.top.min(end);
        }
        true
    }

    /// Stays at the end from now on when the end is in sight; where it is otherwise.
    pub fn follow(&mut self) {
        let (lines, height) = self.extent.get();
        if self.top >= lines.saturating_sub(height) {
            self.top = usize::MAX;
        }
    }

    /// Back to the beginning, for another text.
    pub fn reset(&mut self) {
        self.top = 0;
    }

    /// Whether some of the text was out of sight when it was last drawn.
    pub fn overflows(&self) -> bool {
        let (lines, height) = self.extent.get();
        lines > height
    }

    /// The lines to draw of `lines`; the last row of `area` then tells how much is below.
    pub fn window(&self, p: &mut Paint<'_>, area: Rect, lines: usize) -> Range<usize> {
        let mut height = usize::from(area.height);
        // In a few lines, text is worth more than the note.
        let noted = lines > height && height >= 4;
        if noted {
            height = height.saturating_sub(1);
        }
        self.extent.set((lines, height));
        let top = self.top.min(lines.saturating_sub(height));
        let shown = (top + height).min(lines);
        if noted {
            let note = tr!("line {shown} of {lines}", "第 {shown} 行，共 {lines} 行");
            p.text(area.x, area.bottom().saturating_sub(1), area.width, &note, Role::Dim);
        }
        top..shown
    }
}
