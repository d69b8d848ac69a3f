//! The one owner of stdout and stderr. Data goes to stdout, everything else to stderr, where names from files and
//! arguments are stripped of control characters.

use crate::error::Error;
use crate::job::{EventSink, JobEvent, progress};
use crate::text;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, WeakProgressBar};
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

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

    /// Columns for what people read on stdout: those of the terminal; 80 where there is none, since people read files and
    /// pipes in as many.
    pub fn columns(&self) -> usize {
        let size = if std::io::stdout().is_terminal() { crossterm::terminal::size().ok() } else { None };
        size.map_or(80, |(columns, _)| usize::from(columns).clamp(40, 160))
    }

    /// `text` (clean already) on stdout, wrapped; each line begins with `indent` blanks.
    pub fn paragraph(&self, indent: usize, text: &str) {
        for line in text::wrap(text, self.columns().saturating_sub(indent)) {
            self.line(format!("{}{line}", " ".repeat(indent)).trim_end());
        }
    }

    /// [`Ui::bar`] over rows of a dataset.
    pub fn rows_bar(&self, total: u64) -> ProgressBar {
        let bar = self.bar(total, false);
        let unit = crate::tr!("rows", "行");
        if let Ok(style) =
            ProgressStyle::with_template(&format!("{{bar:32}} {{pos}}/{{len}} {unit} {{per_sec}} {{eta}}"))
        {
            bar.set_style(style.progress_chars("━━─"));
        }
        bar
    }

    /// A bar over `total` items (or bytes), drawn on stderr only when that is a terminal.
    pub fn bar(&self, total: u64, bytes: bool) -> ProgressBar {
        let bar = self.drawn_bar(total, bytes);
        if crate::job::current().is_some()
            && let Ok(mut newest) = NEWEST_BAR.lock()
        {
            *newest = Some((bar.downgrade(), bytes));
        }
        bar
    }

    fn drawn_bar(&self, total: u64, bytes: bool) -> ProgressBar {
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

/// The bar that was made last in a background job, and whether it counts bytes.
static NEWEST_BAR: Mutex<Option<(WeakProgressBar, bool)>> = Mutex::new(None);

/// From now on what the newest bar shows (in a job it is drawn nowhere) becomes the job's progress.
pub(super) fn follow_bars() {
    std::thread::spawn(|| {
        let mut before = None;
        loop {
            std::thread::sleep(Duration::from_millis(200));
            progress::flush();
            let newest = NEWEST_BAR.lock().ok().and_then(|bar| bar.clone());
            let Some((bar, bytes)) = newest.and_then(|(bar, bytes)| Some((bar.upgrade()?, bytes))) else { continue };
            let now = (bar.position(), bar.length().unwrap_or(0));
            // A run's events tell the same sooner and in better words.
            if before != Some(now) && now != (0, 0) && !progress::says(now.0, now.1) {
                progress::report(&bar.message(), now.0, now.1, if bytes { "bytes" } else { "items" });
            }
            before = Some(now);
        }
    });
}

impl EventSink for Ui {
    /// Notes what is said; the rest is for progress bars.
    fn emit(&self, event: &JobEvent) {
        if let JobEvent::Log { message } = event {
            self.note(message);
        }
    }
}
