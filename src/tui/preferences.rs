//! What the user chose on the settings screen.

use super::theme::ThemeName;
use crate::config::Interface;
use crate::lang::Lang;

/// The interface's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferences {
    /// Colours.
    pub theme: ThemeName,
    /// Language; none for the locale's.
    pub lang: Option<Lang>,
    /// Whether the mouse is taken from the terminal.
    pub mouse: bool,
    /// Whether the first steps have been shown.
    pub toured: bool,
}

impl Default for Preferences {
    fn default() -> Preferences {
        Preferences { theme: ThemeName::default(), lang: None, mouse: true, toured: false }
    }
}

impl From<&Interface> for Preferences {
    fn from(kept: &Interface) -> Preferences {
        Preferences {
            theme: kept.theme.as_deref().and_then(ThemeName::parse).unwrap_or_default(),
            lang: kept.lang.as_deref().and_then(|name| match name {
                "en" => Some(Lang::En),
                "zh" => Some(Lang::Zh),
                _ => None,
            }),
            mouse: kept.mouse.unwrap_or(true),
            toured: kept.toured.unwrap_or(false),
        }
    }
}

impl From<&Preferences> for Interface {
    fn from(chosen: &Preferences) -> Interface {
        let lang = chosen.lang.map(|lang| if lang == Lang::Zh { "zh" } else { "en" }.to_owned());
        Interface {
            theme: Some(chosen.theme.as_str().to_owned()),
            lang,
            mouse: Some(chosen.mouse),
            toured: Some(chosen.toured),
        }
    }
}
