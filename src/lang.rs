//! The language of messages. Both wordings of a message stand side by side where it is made
//! (`tr!("…", "…")`), so that they are changed together; the choice is made once per process.

use std::sync::atomic::{AtomicU8, Ordering};

/// A language the program speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    /// English.
    En,
    /// Simplified Chinese.
    Zh,
}

static CURRENT: AtomicU8 = AtomicU8::new(0);

/// Sets the language of every message made from now on.
pub fn set(lang: Lang) {
    CURRENT.store(u8::from(lang == Lang::Zh), Ordering::Relaxed);
}

/// The language in force.
pub fn current() -> Lang {
    if CURRENT.load(Ordering::Relaxed) == 1 { Lang::Zh } else { Lang::En }
}

/// The language that `LC_ALL`, `LC_MESSAGES` or `LANG` ask for, in that order; English otherwise.
pub fn from_locale() -> Lang {
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    match locale {
        Some(value) if value.to_ascii_lowercase().starts_with("zh") => Lang::Zh,
        _ => Lang::En,
    }
}

/// `tr!(english, chinese, args…)`: formats the wording of the language in force into a `String`.
/// Both wordings take the same arguments (inline `{name}` captures work too).
#[macro_export]
macro_rules! tr {
    ($en:literal, $zh:literal $(, $arg:expr)* $(,)?) => {
        match $crate::lang::current() {
            $crate::lang::Lang::En => format!($en $(, $arg)*),
            $crate::lang::Lang::Zh => format!($zh $(, $arg)*),
        }
    };
}
