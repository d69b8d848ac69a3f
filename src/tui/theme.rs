//! Colours by role. Screens name what a text means; only this file knows how that looks.

use crate::tr;
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
    /// What a model is taught.
    Learnt,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 11] = [
        Role::Plain,
        Role::Dim,
        Role::Title,
        Role::Accent,
        Role::Key,
        Role::Good,
        Role::Bad,
        Role::Warn,
        Role::FirstLine,
        Role::SecondLine,
        Role::Learnt,
    ];
}

/// A set of colours that can be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThemeName {
    /// The sixteen colours of the terminal's own palette, so that a light and a dark background both work.
    #[default]
    Terminal,
    /// Own colours on a dark background.
    Dark,
    /// Own colours on a light background.
    Light,
    /// Black, white and a few strong colours.
    HighContrast,
}

impl ThemeName {
    /// All of them, in the order in which they are offered.
    pub const ALL: [ThemeName; 4] = [ThemeName::Terminal, ThemeName::Dark, ThemeName::Light, ThemeName::HighContrast];

    /// Its name in the settings file.
    pub fn as_str(self) -> &'static str {
        match self {
            ThemeName::Terminal => "terminal",
            ThemeName::Dark => "dark",
            ThemeName::Light => "light",
            ThemeName::HighContrast => "high-contrast",
        }
    }

    /// The theme of this name.
    pub fn parse(name: &str) -> Option<ThemeName> {
        ThemeName::ALL.into_iter().find(|theme| theme.as_str() == name)
    }

    /// Its name for people.
    pub fn title(self) -> String {
        match self {
            ThemeName::Terminal => tr!("the terminal's 16 colours", "终端自带的 16 色"),
            ThemeName::Dark => tr!("dark", "深色"),
            ThemeName::Light => tr!("light", "浅色"),
            ThemeName::HighContrast => tr!("high contrast", "高对比度"),
        }
    }
}

/// How roles look. Without colour, weight and brightness remain.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    name: ThemeName,
    color: bool,
}

impl Theme {
    /// The terminal's colours, or none.
    pub fn new(color: bool) -> Theme {
        Theme { name: ThemeName::Terminal, color }
    }

    /// A theme; without colour if `NO_COLOR` is set and not empty (no-color.org).
    pub fn named(name: ThemeName) -> Theme {
        Theme { name, color: std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) }
    }

    /// Whether there is colour.
    pub fn has_color(self) -> bool {
        self.color
    }

    /// The ground that everything is drawn on; none for the terminal's own.
    pub fn ground(self) -> Option<Style> {
        let ground = |fg, bg| Some(Style::new().fg(fg).bg(bg));
        match self.name {
            _ if !self.color => None,
            ThemeName::Terminal => None,
            ThemeName::Dark => ground(Color::Rgb(0xd8, 0xde, 0xe9), Color::Rgb(0x16, 0x1b, 0x22)),
            ThemeName::Light => ground(Color::Rgb(0x1f, 0x23, 0x28), Color::Rgb(0xfc, 0xfc, 0xfa)),
            ThemeName::HighContrast => ground(Color::Rgb(0xff, 0xff, 0xff), Color::Rgb(0, 0, 0)),
        }
    }

    /// The ground of the selected row of a list; none where its sign and weight must do.
    pub fn selected(self) -> Option<Style> {
        let ground = |r, g, b| Some(Style::new().bg(Color::Rgb(r, g, b)));
        match self.name {
            _ if !self.color => None,
            ThemeName::Terminal => None,
            ThemeName::Dark => ground(0x20, 0x29, 0x34),
            ThemeName::Light => ground(0xe4, 0xec, 0xf5),
            ThemeName::HighContrast => ground(0x00, 0x00, 0x6f),
        }
    }

    /// The look of `role`.
    pub fn style(self, role: Role) -> Style {
        let modifier = match role {
            Role::Title | Role::Accent | Role::Bad | Role::SecondLine => Modifier::BOLD,
            Role::Learnt => Modifier::UNDERLINED,
            Role::Dim if !self.color || self.name == ThemeName::Terminal => Modifier::DIM,
            _ => Modifier::empty(),
        };
        let style = Style::new().add_modifier(modifier);
        match self.color.then(|| self.color_of(role)).flatten() {
            Some(color) => style.fg(color),
            None => style,
        }
    }

    fn color_of(self, role: Role) -> Option<Color> {
        let rgb = |r, g, b| Some(Color::Rgb(r, g, b));
        match (self.name, role) {
            (_, Role::Plain | Role::Title) => None,
            (ThemeName::Terminal, role) => match role {
                Role::Accent | Role::Key | Role::FirstLine => Some(Color::Cyan),
                Role::Good | Role::Learnt => Some(Color::Green),
                Role::Bad => Some(Color::Red),
                Role::Warn | Role::SecondLine => Some(Color::Yellow),
                _ => None,
            },
            (ThemeName::Dark, role) => match role {
                Role::Dim => rgb(0x8b, 0x94, 0x9e),
                Role::Accent | Role::Key | Role::FirstLine => rgb(0x6c, 0xc7, 0xd9),
                Role::Good | Role::Learnt => rgb(0x7e, 0xc6, 0x99),
                Role::Bad => rgb(0xf4, 0x7a, 0x7a),
                _ => rgb(0xe8, 0xb8, 0x5c),
            },
            (ThemeName::Light, role) => match role {
                Role::Dim => rgb(0x5f, 0x68, 0x71),
                Role::Accent | Role::Key | Role::FirstLine => rgb(0x00, 0x5c, 0x8a),
                Role::Good | Role::Learnt => rgb(0x1a, 0x6b, 0x34),
                Role::Bad => rgb(0xb3, 0x1d, 0x28),
                _ => rgb(0x8a, 0x4b, 0x00),
            },
            (ThemeName::HighContrast, role) => match role {
                Role::Dim => rgb(0xd0, 0xd0, 0xd0),
                Role::Accent | Role::Key | Role::FirstLine => rgb(0x00, 0xff, 0xff),
                Role::Good | Role::Learnt => rgb(0x00, 0xff, 0x5f),
                Role::Bad => rgb(0xff, 0x87, 0x87),
                _ => rgb(0xff, 0xff, 0x00),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_no_role_has_one() {
        for name in ThemeName::ALL {
            let theme = Theme { name, color: false };
            assert!(theme.ground().is_none() && theme.selected().is_none());
            for role in Role::ALL {
                assert_eq!(theme.style(role).fg, None, "{role:?}");
                assert_eq!(theme.style(role).bg, None, "{role:?}");
            }
        }
        assert_eq!(Theme::new(true).style(Role::Good).fg, Some(Color::Green));
    }

    /// Relative luminance as WCAG 2.1 defines it.
    fn luminance(color: Color) -> f64 {
        let Color::Rgb(r, g, b) = color else { panic!("no RGB colour: {color:?}") };
        let part = |v: u8| {
            let v = f64::from(v) / 255.0;
            if v <= 0.03928 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b)
    }

    #[test]
    fn every_text_can_be_read_on_its_ground() {
        for (name, least) in [(ThemeName::Dark, 4.5), (ThemeName::Light, 4.5), (ThemeName::HighContrast, 7.0)] {
            let theme = Theme { name, color: true };
            let ground = theme.ground().unwrap_or_default();
            for under in [ground.bg, theme.selected().unwrap_or_default().bg].into_iter().flatten() {
                for role in Role::ALL {
                    let over = theme.style(role).fg.or(ground.fg).unwrap_or(Color::Reset);
                    let (a, b) = (luminance(over), luminance(under));
                    let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                    // WCAG: 4.5 for text (AA), 7 for enhanced contrast (AAA).
                    assert!(contrast >= least, "{name:?} {role:?} on {under:?}: {contrast:.1}");
                }
            }
        }
    }

    #[test]
    fn names_are_found_again() {
        for name in ThemeName::ALL {
            assert_eq!(ThemeName::parse(name.as_str()), Some(name));
        }
        assert_eq!(ThemeName::parse("pink"), None);
    }
}
