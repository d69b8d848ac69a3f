//! A text field with a list of what there is to choose from.

use crate::text;
use crate::tui::theme::Role;
use crate::tui::widgets::{Input, Paint, fuzzy};
use ratatui::layout::Rect;

/// What is typed or chosen.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The text.
    pub input: Input,
    /// Values there are.
    pub offered: Vec<String>,
}

impl Choice {
    /// A field with a text to begin with.
    pub fn new(text: &str) -> Choice {
        Choice { input: Input::new(text), offered: Vec::new() }
    }

    /// The text without blanks at its ends.
    pub fn value(&self) -> String {
        self.input.text().trim().to_owned()
    }

    /// The values that fit what is typed: all when it is one of them, or like none of them.
    fn fitting(&self) -> Vec<&String> {
        let typed = self.value();
        let like: Vec<&String> = self.offered.iter().filter(|value| fuzzy(&typed, value)).collect();
        if like.is_empty() || self.offered.contains(&typed) { self.offered.iter().collect() } else { like }
    }

    /// Takes the next of the values that fit, or the one before.
    pub fn choose(&mut self, forward: bool) {
        let fitting = self.fitting();
        let typed = self.value();
        let n = fitting.len();
        let next = match fitting.iter().position(|value| **value == typed) {
            Some(i) if forward => (i + 1) % n,
            Some(i) => (i + n - 1) % n,
            None => 0,
        };
        if let Some(value) = fitting.get(next) {
            self.input = Input::new((*value).clone());
        }
    }

    /// Draws the values that fit, those around the chosen one.
    pub fn draw_list(&self, p: &mut Paint<'_>, area: Rect) {
        let fitting = self.fitting();
        let typed = self.value();
        let chosen = fitting.iter().position(|value| **value == typed);
        let height = usize::from(area.height);
        let first = (chosen.unwrap_or(0) + 1).saturating_sub(height);
        for ((y, i), value) in (area.top()..area.bottom()).zip(first..).zip(fitting.iter().skip(first)) {
            let is_chosen = chosen == Some(i);
            let (mark, role) = if is_chosen { ("▸ ", Role::Accent) } else { ("  ", Role::Plain) };
            p.text(area.x, y, area.width, &format!("{mark}{}", text::one_line(value)), role);
        }
    }
}
