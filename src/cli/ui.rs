//! The one owner of stdout and stderr. Data goes to stdout, everything else to stderr, where names from files and
//! arguments are stripped of control characters.

use crate::error::Error;
use crate::text;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};

/// How this invocation talks.
#[derive(Clone, Debug)]
pub struct Ui {
    /// Whether `--json` was given.
    pub json: bool,
    /// Whether `--quiet` was given.
    pub quiet: bool,
    color: bool,
}

impl Ui {
    /// Colour is used on a terminal unless `NO_COLOR` is set.
    pub fn new(json: bool, quiet: bool) -> Ui {
        let color = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && std::io::stderr().is_terminal();
        Ui { json, quiet, color }
    }

    /// A line of data on stdout. A reader that went away (`| head`) is not an error.
    pub fn line(&self, text: &str) {
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }

    /// A JSON value as one line on stdout.
    pub fn json_line(&self, value: &impl serde::Serialize) {
        if let Ok(text) = serde_json::to_string(value) {
            self.line(&text);
        }
    }

    /// The last line of a job under `--json`: `{"event": "finished", …}` with the fields of `report`.
    pub fn finished(&self, report: &impl serde::Serialize) {
        let mut object = serde_json::Map::from_iter([("event".to_owned(), serde_json::json!("finished"))]);
        if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(report) {
            object.extend(fields);
        }
        self.json_line(&object);
    }

    /// A remark on stderr, silent under `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr().lock(), "{}", text::clean(text));
        }
    }

    /// A warning on stderr; `--quiet` does not hide it.
    pub fn warn(&self, text: &str) {
        let mark = crate::tr!("warning", "警告");
        let mark = if self.color { format!("\x1b[33m{mark}\x1b[0m") } else { mark };
        let _ = writeln!(std::io::stderr().lock(), "{mark}: {}", text::clean(text));
    }

    /// `text` (clean already) for stderr, dim where there is colour.
    pub fn dim(&self, text: &str) -> String {
        if self.color { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// `text` (clean already) for stderr, bold where there is colour.
    pub fn strong(&self, text: &str) -> String {
        if self.color { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A failure and its hint on stderr.
    pub fn error(&self, error: &Error) {
        let mark = crate::tr!("error", "错误");
        let hint = crate::tr!("hint", "提示");
        let (mark, hint) = if self.color {
            (format!("\x1b[31m{mark}\x1b[0m"), format!("\x1b[36m{hint}\x1b[0m"))
        } else {
            (mark, hint)
        };
        let mut err = std::io::stderr().lock();
        let _ = writeln!(err, "{mark}: {}", text::clean(&error.message));
        if let Some(advice) = &error.hint {
            let _ = writeln!(err, "{hint}: {}", text::clean(advice));
        }
    }

    /// A bar over `total` items (or bytes), drawn on stderr only when that is a terminal.
    pub fn bar(&self, total: u64, bytes: bool) -> ProgressBar {
        if self.quiet || self.json || !std::io::stderr().is_terminal() {
            return ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        }
        let template = if bytes {
            "{bar:32} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}"
        } else {
            "{bar:32} {pos}/{len} {per_sec} {eta} {msg}"
        };
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(15));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━━─"));
        }
        bar
    }
}
