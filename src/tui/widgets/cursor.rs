//! The selected line of a list and the part of the list that is visible.

use crate::tui::action::Action;
use ratatui::layout::Rect;
use std::cell::Cell;

/// A position in a list. Where it was drawn last is remembered for paging and for the mouse.
#[derive(Debug, Default)]
pub struct Cursor {
    /// The selected line, from 0.
    pub selected: usize,
    top: Cell<usize>,
    area: Cell<Rect>,
}

impl Cursor {
    /// Moves within `len` lines. False when `action` is no movement.
    pub fn update(&mut self, action: Action, len: usize) -> bool {
        let page = usize::from(self.area.get().height).saturating_sub(1).max(1);
        self.selected = match action {
            Action::Up => self.selected.saturating_sub(1),
            Action::Down => self.selected.saturating_add(1),
            Action::PageUp => self.selected.saturating_sub(page),
            Action::PageDown => self.selected.saturating_add(page),
            Action::First => 0,
            Action::Last => usize::MAX,
            _ => return false,
        };
        self.clamp(len);
        true
    }

    /// Keeps the selection within `len` lines.
    pub fn clamp(&mut self, len: usize) {
        self.selected = self.selected.min(len.saturating_sub(1));
    }

    /// Selects the line drawn at (`column`, `row`). False when there is none.
    pub fn click(&mut self, column: u16, row: u16, len: usize) -> bool {
        let area = self.area.get();
        let hit = area.contains((column, row).into());
        let line = self.top.get() + usize::from(row.saturating_sub(area.y));
        if hit && line < len {
            self.selected = line;
        }
        hit && line < len
    }

    /// The lines to draw in `area`, the selected one among them.
    pub fn window(&self, area: Rect, len: usize) -> std::ops::Range<usize> {
        self.area.set(area);
        let height = usize::from(area.height).max(1);
        let mut top = self.top.get().min(len.saturating_sub(height));
        if self.selected < top {
            top = self.selected;
        } else if self.selected >= top + height {
            top = self.selected + 1 - height;
        }
        self.top.set(top);
        top..(top + height).min(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_line_is_always_visible() {
        let mut cursor = Cursor::default();
        let area = Rect::new(0, 5, 10, 4);
        assert_eq!(cursor.window(area, 10), 0..4);
        for action in [Action::Last, Action::Up, Action::PageUp, Action::First, Action::PageDown, Action::Down] {
            cursor.update(action, 10);
            let window = cursor.window(area, 10);
            assert!(window.contains(&cursor.selected), "{action:?} {window:?} {}", cursor.selected);
            assert_eq!(window.len(), 4);
        }
        cursor.clamp(2);
        assert_eq!(cursor.window(area, 2), 0..2);
    }

    #[test]
    fn an_empty_list_has_no_lines() {
        let mut cursor = Cursor::default();
        cursor.update(Action::Last, 0);
        assert_eq!(cursor.selected, 0);
        assert!(cursor.window(Rect::new(0, 0, 4, 4), 0).is_empty());
        assert!(!cursor.click(0, 0, 0));
    }

    #[test]
    fn a_click_selects_the_line_under_it() {
        let mut cursor = Cursor::default();
        cursor.window(Rect::new(0, 5, 10, 4), 3);
        assert!(cursor.click(2, 7, 3));
        assert_eq!(cursor.selected, 2);
        assert!(!cursor.click(2, 8, 3), "below the last line");
        assert!(!cursor.click(2, 4, 3), "above the list");
    }
}
