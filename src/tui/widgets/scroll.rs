//! How far a long list of lines is scrolled.

use super::Paint;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::theme::Role;
use ratatui::layout::Rect;
use std::cell::Cell;
use std::ops::Range;

/// A place in lines that are only looked at. Where it was drawn last is remembered for paging.
#[derive(Debug, Default)]
pub struct Scroll {
    top: usize,
    /// Lines and height of the last drawing: what scrolling is limited by.
    extent: Cell<(usize, usize)>,
}

impl Scroll {
    /// Moves. False when `action` is no movement.
    pub fn update(&mut self, action: Action) -> bool {
        let (lines, height) = self.extent.get();
        let page = height.saturating_sub(1).max(1);
        let end = lines.saturating_sub(height);
        self.top = self.top.min(end);
        self.top = match action {
            Action::Up => self.top.saturating_sub(1),
            Action::Down => self.top + 1,
            Action::PageUp => self.top.saturating_sub(page),
            Action::PageDown => self.top + page,
            Action::First => 0,
            Action::Last => end,
            _ => return false,
        }
        .min(end);
        true
    }

    /// The part of `area` for the lines, and which of the `len` lines stand there. [`Scroll::note`] has the rest.
    pub fn window(&self, area: Rect, len: usize) -> (Rect, Range<usize>) {
        // In a few lines, text is worth more than the note.
        let noted = len > usize::from(area.height) && area.height >= 4;
        let shown = Rect { height: area.height - u16::from(noted), ..area };
        let height = usize::from(shown.height);
        self.extent.set((len, height));
        let top = self.top.min(len.saturating_sub(height));
        (shown, top..(top + height).min(len))
    }

    /// Tells below the lines how much there is.
    pub fn note(&self, p: &mut Paint<'_>, area: Rect, len: usize) {
        let (shown, place) = self.window(area, len);
        if shown.height < area.height {
            let note = tr!("line {} of {len}", "第 {} 行，共 {len} 行", place.end);
            p.text(area.x, shown.bottom(), area.width, &note, Role::Dim);
        }
    }
}
