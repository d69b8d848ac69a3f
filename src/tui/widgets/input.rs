//! One line of text being typed.

use super::Paint;
use crate::text;
use crate::tui::theme::Role;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use unicode_segmentation::UnicodeSegmentation;

/// Text with a caret between two grapheme clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    before: String,
    after: String,
}

impl Input {
    /// Text with the caret at its end.
    pub fn new(text: impl Into<String>) -> Input {
        Input { before: text.into(), after: String::new() }
    }

    /// All of it.
    pub fn text(&self) -> String {
        format!("{}{}", self.before, self.after)
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// Forgets the text.
    pub fn clear(&mut self) {
        *self = Input::default();
    }

    /// Inserts typed or pasted text; line ends become blanks.
    pub fn insert(&mut self, typed: &str) {
        self.before.push_str(&text::clean(typed).replace('\n', " "));
    }

    /// Edits. False when the key edits nothing.
    pub fn key(&mut self, event: KeyEvent) -> bool {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        match event.code {
            KeyCode::Char('u') if ctrl => self.before.clear(),
            KeyCode::Char('w') if ctrl => {
                let kept = self.before.trim_end().rfind(' ').map_or(0, |at| at + 1);
                self.before.truncate(kept);
            }
            KeyCode::Char('a') if ctrl => self.home(),
            KeyCode::Char('e') if ctrl => self.end(),
            KeyCode::Char(c) if !ctrl && !event.modifiers.contains(KeyModifiers::ALT) => {
                self.insert(c.encode_utf8(&mut [0; 4]));
            }
            KeyCode::Backspace => {
                let kept = self.before.grapheme_indices(true).next_back().map_or(0, |(at, _)| at);
                self.before.truncate(kept);
            }
            KeyCode::Delete => {
                let first = self.after.graphemes(true).next().map_or(0, str::len);
                self.after.drain(..first);
            }
            KeyCode::Left => {
                if let Some((at, _)) = self.before.grapheme_indices(true).next_back() {
                    self.after.insert_str(0, &self.before.split_off(at));
                }
            }
            KeyCode::Right => {
                let first = self.after.graphemes(true).next().map_or(0, str::len);
                self.before.extend(self.after.drain(..first));
            }
            KeyCode::Home => self.home(),
            KeyCode::End => self.end(),
            _ => return false,
        }
        true
    }

    fn home(&mut self) {
        self.after.insert_str(0, &self.before);
        self.before.clear();
    }

    fn end(&mut self) {
        self.before.push_str(&self.after);
        self.after.clear();
    }

    /// Draws the text on the first line of `area`; with `focus` the caret stays in sight and the
    /// terminal's cursor goes there.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect, focus: bool) {
        let columns = usize::from(area.width);
        if columns < 2 {
            return;
        }
        let mut start = 0;
        // One column is kept free for the caret at the end.
        while focus && text::width(self.before.get(start..).unwrap_or_default()) >= columns {
            start += self.before.get(start..).and_then(|s| s.graphemes(true).next()).map_or(1, str::len);
        }
        let before = self.before.get(start..).unwrap_or_default();
        let x = p.text(area.x, area.y, area.width, before, Role::Plain);
        p.text(x, area.y, area.right().saturating_sub(x), &self.after, Role::Plain);
        if focus {
            p.caret = Some((area.x + u16::try_from(text::width(before)).unwrap_or(0), area.y));
        }
    }

    /// Draws the text over the rows of `area`, those around the caret if there are more; with `focus` the terminal's
    /// cursor goes to the caret, where an input method composes.
    pub fn draw_rows(&self, p: &mut Paint<'_>, area: Rect, focus: bool) {
        // One column is kept free for the caret at the end of a row.
        let columns = usize::from(area.width).saturating_sub(1);
        if columns < 2 || area.height == 0 {
            return;
        }
        let mut rows = vec![String::new()];
        let (mut used, mut caret) = (0, (0, 0));
        for part in [&self.before, &self.after] {
            for grapheme in part.graphemes(true) {
                let width = text::width(grapheme);
                if used + width > columns {
                    rows.push(String::new());
                    used = 0;
                }
                used += width;
                if let Some(row) = rows.last_mut() {
                    row.push_str(grapheme);
                }
            }
            if std::ptr::eq(part, &self.before) {
                caret = (used, rows.len() - 1);
            }
        }
        let first = (caret.1 + 1).saturating_sub(area.height.into());
        p.lines(area, rows.get(first..).unwrap_or_default(), Role::Plain);
        if focus {
            let place = |n: usize| u16::try_from(n).unwrap_or(0);
            p.caret = Some((area.x + place(caret.0), area.y + place(caret.1 - first)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(input: &mut Input, codes: &[KeyCode]) {
        for &code in codes {
            assert!(input.key(KeyEvent::new(code, KeyModifiers::NONE)));
        }
    }

    #[test]
    fn editing_moves_by_grapheme() {
        let mut input = Input::default();
        input.insert("聚e\u{301}👨‍👩‍👧");
        press(&mut input, &[KeyCode::Backspace]);
        assert_eq!(input.text(), "聚e\u{301}");
        press(&mut input, &[KeyCode::Left, KeyCode::Char('宝')]);
        assert_eq!(input.text(), "聚宝e\u{301}");
        press(&mut input, &[KeyCode::Delete]);
        assert_eq!(input.text(), "聚宝");
        press(&mut input, &[KeyCode::Home, KeyCode::Backspace, KeyCode::Right, KeyCode::End, KeyCode::Right]);
        assert_eq!(input.text(), "聚宝");
    }

    #[test]
    fn pasted_control_characters_and_lines_are_harmless() {
        let mut input = Input::default();
        input.insert("a\u{1b}[31mb\nc");
        assert_eq!(input.text(), "ab c");
        assert!(input.key(KeyEvent::new(KeyCode::Char('w'), KeyModifiers::CONTROL)));
        assert_eq!(input.text(), "ab ");
    }
}
