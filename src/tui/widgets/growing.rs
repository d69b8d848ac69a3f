//! A text that is written while it is read. What a frame costs depends on what was added and on what is in sight, not on
//! how long the text is.

use super::{Paint, Scroll};
use crate::text::{GrowingLines, PieceCleaner};
use crate::tui::action::Action;
use crate::tui::theme::Role;
use ratatui::layout::Rect;
use std::cell::RefCell;

/// A text that grows at its end, scrolled by lines.
#[derive(Debug, Default)]
pub struct Growing {
    cleaner: PieceCleaner,
    text: String,
    lines: RefCell<GrowingLines>,
    scroll: Scroll,
}

impl Growing {
    /// A text that is whole already, from anywhere.
    pub fn of(text: &str) -> Growing {
        let mut growing = Growing::default();
        growing.push(text);
        growing
    }

    /// A text still to come, whose end stays in sight until it is scrolled.
    pub fn following() -> Growing {
        Growing { scroll: Scroll::at_end(), ..Growing::default() }
    }

    /// Adds a piece, from anywhere: it is cleaned, and blank lines before the text are left out.
    pub fn push(&mut self, piece: &str) {
        self.cleaner.push_into(piece, &mut self.text);
        // After the first word there is none of this to do.
        if self.text.starts_with(char::is_whitespace) {
            let blank = self.text.len() - self.text.trim_start().len();
            self.text.drain(..blank);
        }
    }

    /// The text as it is shown.
    pub fn text(&self) -> &str {
        self.text.trim_end()
    }

    /// Scrolls. False when `action` is no movement.
    pub fn update(&mut self, action: Action) -> bool {
        let moved = self.scroll.update(action);
        // Whoever came down to the end wants to see what follows.
        if matches!(action, Action::Down | Action::PageDown) {
            self.scroll.follow();
        }
        moved
    }

    /// Whether some of it was out of sight when it was last drawn.
    pub fn overflows(&self) -> bool {
        self.scroll.overflows()
    }

    /// Rows that it would take in so many columns.
    pub fn rows(&self, columns: u16) -> usize {
        let mut lines = self.lines.borrow_mut();
        lines.fit(&self.text, usize::from(columns).max(1));
        let ranges = lines.lines();
        ranges.len() - ranges.iter().rev().take_while(|line| line.is_empty()).count()
    }

    /// Draws what is in sight.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect, role: Role) {
        let rows = self.rows(area.width);
        let shown = self.scroll.window(p, area, rows);
        let lines = self.lines.borrow();
        for (y, line) in (area.top()..area.bottom()).zip(lines.lines().get(shown).unwrap_or_default()) {
            p.text(area.x, y, area.width, self.text.get(line.clone()).unwrap_or_default(), role);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Theme;
    use ratatui::buffer::Buffer;

    fn drawn(text: &Growing, width: u16, height: u16) -> Vec<String> {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        text.draw(&mut Paint { buf: &mut buf, theme: Theme::new(false), caret: None }, area, Role::Plain);
        let row = |y| (0..width).map(|x| buf[(x, y)].symbol().to_owned()).collect::<String>().trim_end().to_owned();
        (0..height).map(row).collect()
    }

    #[test]
    fn the_end_stays_in_sight_until_it_is_scrolled_and_again_when_one_comes_back() {
        let mut text = Growing::following();
        for i in 0..9 {
            text.push(&format!("{i}\n"));
        }
        assert_eq!(drawn(&text, 20, 4), ["6", "7", "8", "line 9 of 9"]);
        text.update(Action::Up);
        text.push("9\n");
        assert_eq!(drawn(&text, 20, 4), ["5", "6", "7", "line 8 of 10"]);
        text.update(Action::PageDown);
        text.push("10\n");
        assert_eq!(drawn(&text, 20, 4)[2], "10");
    }

    #[test]
    fn pieces_are_cleaned_across_their_borders_and_blanks_at_both_ends_are_left_out() {
        let mut text = Growing::default();
        for piece in ["\n ", "\n a\u{1b}", "[3", "1mred\u{1b}]0;ow", "ned\u{7} end", "\n\n\n"] {
            text.push(piece);
        }
        assert_eq!(text.text(), "ared end");
        assert_eq!((text.rows(20), text.rows(4)), (1, 2));
        assert_eq!(drawn(&text, 4, 3), ["ared", "end", ""]);
        assert!(!text.overflows());
    }
}
