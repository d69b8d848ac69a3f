//! What a person sees of a training: its events and its end.

use super::Context;
use super::draw::sparkline;
use crate::job::{EventSink, JobEvent, StepMetrics};
use crate::text;
use crate::tr;
use crate::workbench::train::{Filling, TrainReport};
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Mutex;

/// Columns of a terminal that every line fits.
const COLUMNS: usize = 80;
/// Columns of the bar before the figures.
const BAR: usize = 8;
/// Columns for the figures after it.
const ROOM: usize = COLUMNS - BAR - 1;
/// Progress lines of a training whose stderr is a file: one for each such part of the steps.
const LINES: u64 = 10;

/// Prints a training's events: JSON lines, a bar with lines above it, or, where stderr is no terminal, a line now and then.
pub struct TrainPrinter<'a> {
    context: &'a Context,
    bar: Mutex<Option<ProgressBar>>,
    losses: Mutex<Vec<f64>>,
}

impl<'a> TrainPrinter<'a> {
    /// A printer for one training.
    pub fn new(context: &'a Context) -> Self {
        TrainPrinter { context, bar: Mutex::default(), losses: Mutex::default() }
    }

    /// Prints what stays, above the bar.
    fn above_bar(&self, print: impl FnOnce()) {
        match self.bar.lock() {
            Ok(bar) => match &*bar {
                Some(bar) => bar.suspend(print),
                None => print(),
            },
            Err(_) => print(),
        }
    }

    fn note(&self, line: &str) {
        self.above_bar(|| self.context.ui.note(line));
    }

    fn bar(&self, total: u64) -> ProgressBar {
        let bar = self.context.ui.bar(total, false);
        if let Ok(style) = ProgressStyle::with_template(&format!("{{bar:{BAR}}} {{msg}}")) {
            bar.set_style(style.progress_chars("━━─"));
        }
        bar
    }

    fn step(&self, m: &StepMetrics) {
        let first = self.losses.lock().is_ok_and(|mut losses| {
            losses.push(m.loss);
            losses.len() == 1
        });
        let Ok(mut bar) = self.bar.lock() else { return };
        let bar = bar.get_or_insert_with(|| self.bar(m.total));
        bar.set_position(m.step);
        if !bar.is_hidden() {
            bar.set_message(status_line(m, ROOM));
        } else if first || is_due(m.step, m.total) {
            self.context.ui.note(&status_line(m, usize::MAX));
        }
    }

    /// Takes the bar away and gives the losses of all steps.
    pub fn finish(&self) -> Vec<f64> {
        if let Ok(bar) = self.bar.lock()
            && let Some(bar) = &*bar
        {
            bar.finish_and_clear();
        }
        self.losses.lock().map(|l| l.clone()).unwrap_or_default()
    }
}

/// Whether one of the [`LINES`] parts ends at `step`.
fn is_due(step: u64, total: u64) -> bool {
    let part = |step: u64| step * LINES / total.max(1);
    step >= total || part(step) > part(step.saturating_sub(1))
}

/// The newest figures in one line, the most important first; what does not fit `columns` is left out.
fn status_line(m: &StepMetrics, columns: usize) -> String {
    let mut line = format!("{}/{}", m.step, m.total);
    let (speed, memory, left) = (m.tokens_per_second, m.rss_mb, duration(m.eta_seconds));
    for part in [
        tr!("loss {:.3}", "损失 {:.3}", m.smoothed_loss),
        format!("lr {:.1e}", m.lr),
        format!("|g| {}", short(m.grad_norm)),
        tr!("{speed:.0} tok/s", "{speed:.0} 词元/秒"),
        tr!("ETA {left}", "剩余 {left}"),
        format!("{memory:.0} MiB"),
    ] {
        if text::width(&line) + 1 + text::width(&part) <= columns {
            line.push(' ');
            line.push_str(&part);
        }
    }
    line
}

/// The end of `text` in at most `columns` columns: a prompt begins with what all prompts begin with.
fn tail(text: &str, columns: usize) -> String {
    let too_many = text::width(text).saturating_sub(columns);
    if too_many == 0 {
        return text.to_owned();
    }
    let mut cut = 0;
    // One column more makes room for the mark.
    let rest = text.chars().skip_while(|c| {
        let before = cut;
        cut += text::width(c.encode_utf8(&mut [0; 4]));
        before <= too_many
    });
    format!("{}{}", text::ELLIPSIS, rest.collect::<String>())
}

/// Three significant digits or so.
fn short(x: f64) -> String {
    if (0.01..1000.0).contains(&x) { format!("{x:.2}") } else { format!("{x:.0e}") }
}

/// Two units at most: `12s`, `3m05s`, `42m`, `2h07m`.
fn duration(seconds: f64) -> String {
    let s = seconds.max(0.0).round() as u64;
    match s {
        0..60 => format!("{s}s"),
        60..600 => format!("{}m{:02}s", s / 60, s % 60),
        600..3600 => format!("{}m", s / 60),
        _ => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
    }
}

impl EventSink for TrainPrinter<'_> {
    fn emit(&self, event: &JobEvent) {
        if self.context.ui.json {
            if !matches!(event, JobEvent::Progress { .. }) {
                self.context.ui.json_line(event);
            }
            return;
        }
        match event {
            JobEvent::Started { run, total, .. } => {
                self.context.ui.note(&tr!("run {run}: {total} steps", "运行 {run}：共 {total} 步"));
                if let Ok(mut bar) = self.bar.lock() {
                    *bar = Some(self.bar(*total));
                }
            }
            JobEvent::Step(m) => self.step(m),
            JobEvent::Eval { step, val_loss, best } => {
                let mark = if *best { tr!("best so far", "目前最好") } else { String::new() };
                self.note(&tr!(
                    "step {step:>5}  held-out loss {val_loss:.4}  {mark}",
                    "第 {step:>5} 步  留出损失 {val_loss:.4}  {mark}"
                ));
            }
            JobEvent::Sample { step, prompt, answer } => {
                let prompt = tail(&text::one_line(prompt), COLUMNS - 14);
                self.note(&tr!("step {step:>5}  > {prompt}", "第 {step:>5} 步  > {prompt}"));
                self.note(&format!("            {}", text::truncate(&text::one_line(answer), COLUMNS - 14)));
            }
            JobEvent::Warning { step, message } => {
                let line = tr!("step {step}: {message}", "第 {step} 步：{message}");
                self.above_bar(|| self.context.ui.warn(&text::one_line(&line)));
            }
            JobEvent::Log { message } => self.note(message),
            JobEvent::Progress { .. } => {}
        }
    }
}

/// The end of a training, for people.
pub fn print_report(context: &Context, report: &TrainReport, losses: &[f64]) {
    let ui = &context.ui;
    if losses.len() > 1 {
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        let curve = sparkline(losses, 48);
        ui.note(&tr!("train loss  {first:.3} {curve} {last:.3}", "训练损失  {first:.3} {curve} {last:.3}"));
    }
    let (steps, rows, dropped, memory) = (report.steps, report.train_rows, report.dropped_rows, report.peak_rss_mb);
    if let Some(Filling { sequences, text_tokens }) = report.filling {
        ui.line(&tr!(
            "{steps} steps over {rows} texts ({text_tokens} tokens in {sequences} sequences), peak memory {memory:.0} MiB",
            "共 {steps} 步，{rows} 篇文本（{sequences} 个序列，{text_tokens} 个词元），内存峰值 {memory:.0} MiB"
        ));
    } else {
        ui.line(&tr!(
            "{steps} steps over {rows} rows ({dropped} left out as too long), peak memory {memory:.0} MiB",
            "共 {steps} 步，{rows} 行（{dropped} 行因过长未参与），内存峰值 {memory:.0} MiB"
        ));
    }
    if let (Some(base), Some(best)) = (report.base_val_loss, report.best_val_loss) {
        let rows = report.val_rows;
        ui.line(&tr!(
            "held-out loss  {base:.4} → {best:.4} on {rows} rows",
            "留出损失  {base:.4} → {best:.4}（{rows} 行）"
        ));
        let (kept, last) = (report.best_step.unwrap_or(report.steps), report.last_val_loss.unwrap_or(best));
        if kept == 0 {
            ui.warn(&tr!(
                "no step was better than the base on the held-out rows (at the end: {last:.4}): the adapter is that of step 0 and changes nothing; a lower --lr or more steps may help",
                "没有任何一步在留出数据上优于基础模型（结束时为 {last:.4}）：写出的是第 0 步的适配器，不会改变模型；可调低 --lr 或增加步数"
            ));
        } else if kept < report.steps {
            ui.line(&tr!(
                "the adapter is that of step {kept}; at the end the held-out loss was {last:.4}",
                "写出的是第 {kept} 步的适配器；结束时留出损失为 {last:.4}"
            ));
        }
    }
    let (adapter, run) = (&report.adapter, &report.run);
    ui.line(&tr!(
        "adapter {adapter}  {}  (run {run})",
        "适配器 {adapter}  {}  （运行 {run}）",
        report.adapter_dir.display()
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(step: u64, total: u64) -> StepMetrics {
        StepMetrics {
            step,
            total,
            loss: 2.5,
            smoothed_loss: 2.345_6,
            lr: 1.96e-4,
            grad_norm: 0.812,
            tokens_per_second: 1234.4,
            rss_mb: 812.3,
            eta_seconds: 754.0,
            ..StepMetrics::default()
        }
    }

    #[test]
    fn the_status_line_holds_every_figure_and_fits_beside_the_bar() {
        let line = status_line(&metrics(123, 4567), ROOM);
        assert_eq!(line, "123/4567 loss 2.346 lr 2.0e-4 |g| 0.81 1234 tok/s ETA 12m 812 MiB");
        let m = StepMetrics { tokens_per_second: 98_765.0, rss_mb: 65_432.0, ..metrics(12_345, 99_999) };
        assert!(text::width(&status_line(&m, ROOM)) <= ROOM);
        let absurd = StepMetrics {
            smoothed_loss: 1e12,
            grad_norm: 1e38,
            tokens_per_second: 1e12,
            rss_mb: 1e9,
            eta_seconds: 1e15,
            ..metrics(123_456, 1_000_000)
        };
        assert!(text::width(&status_line(&absurd, ROOM)) <= ROOM);
    }

    #[test]
    fn the_end_of_a_long_prompt_is_shown() {
        assert_eq!(tail("short", 5), "short");
        assert_eq!(tail("a longer one", 5), "⋯ one");
        assert_eq!(tail("什么是本金？", 7), "⋯本金？");
        for columns in 2..12 {
            assert!(text::width(&tail("a什b么c是d？", columns)) <= columns, "{columns}");
        }
    }

    #[test]
    fn a_log_gets_about_ten_lines_and_always_the_last() {
        for total in [1, 3, 10, 24, 100, 12_345] {
            let lines = (1..=total).filter(|step| is_due(*step, total)).count() as u64;
            assert_eq!(lines, total.min(10), "{total} steps");
            assert!(is_due(total, total));
        }
        assert_eq!([59.4, 61.0, 754.0, 7620.0].map(duration), ["59s", "1m01s", "12m", "2h07m"]);
    }
}
