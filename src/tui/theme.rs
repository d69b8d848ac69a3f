//! Colours by role. Screens name what a text means; only this file knows how that looks.

use ratatui::style::{Color, Modifier, Style};

/// What a piece of text means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Ordinary text.
    #[default]
    Plain,
    /// Less important: rules, captions, what cannot be done now.
    Dim,
    /// Headings and the names of things.
    Title,
    /// What is active or chosen.
    Accent,
    /// A key that can be pressed.
    Key,
    /// Success, a right answer.
    Good,
    /// Failure, a wrong answer.
    Bad,
    /// Needs attention.
    Warn,
    /// The first line of a chart.
    FirstLine,
    /// The second line of a chart.
    SecondLine,
}

/// How roles look. The sixteen colours of the terminal's own palette are used, so that a light and a
/// dark background both work; without colour, weight and brightness remain.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    color: bool,
}

impl Theme {
    /// With or without colour.
    pub fn new(color: bool) -> Theme {
        Theme { color }
    }

    /// Colour unless `NO_COLOR` is set and not empty (no-color.org).
    pub fn from_environment() -> Theme {
        Theme::new(std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()))
    }

    /// The look of `role`.
    pub fn style(self, role: Role) -> Style {
        let plain = Style::new();
        let (color, modifier) = match role {
            Role::Plain => return plain,
            Role::Dim => return plain.add_modifier(Modifier::DIM),
            Role::Title => return plain.add_modifier(Modifier::BOLD),
            Role::Accent => (Color::Cyan, Modifier::BOLD),
            Role::Key => (Color::Cyan, Modifier::empty()),
            Role::Good => (Color::Green, Modifier::empty()),
            Role::Bad => (Color::Red, Modifier::BOLD),
            Role::Warn => (Color::Yellow, Modifier::empty()),
            Role::FirstLine => (Color::Cyan, Modifier::empty()),
            Role::SecondLine => (Color::Yellow, Modifier::BOLD),
        };
        let style = plain.add_modifier(modifier);
        if self.color { style.fg(color) } else { style }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_no_role_has_one() {
        let theme = Theme::new(false);
        for role in
            [Role::Plain, Role::Dim, Role::Accent, Role::Key, Role::Good, Role::Bad, Role::Warn, Role::FirstLine]
        {
            assert_eq!(theme.style(role).fg, None, "{role:?}");
            assert_eq!(theme.style(role).bg, None, "{role:?}");
        }
        assert_eq!(Theme::new(true).style(Role::Good).fg, Some(Color::Green));
    }
}
