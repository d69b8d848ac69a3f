//! The live picture of one training: progress, figures, curves, log.

use super::companion::{Companion, smoothed};
use super::curve::Curve;
use super::figures::{between, count, duration, percent, tiny, value};
use super::theme::Role;
use super::widgets::{Block, Chart, Line, Marker, Pager, Paint};
use crate::job::{JobEvent, StepMetrics};
use crate::store::{RunRecord, RunStatus};
use crate::text;
use crate::tr;
use ratatui::layout::Rect;
use std::collections::VecDeque;

/// Log lines kept.
const LOG: usize = 500;
/// Columns of a sample in the log; [`Dashboard::samples`] have it whole.
const IN_LOG: usize = 300;
/// Bytes of samples kept; the oldest go first.
const SAMPLES: usize = 4 << 20;

/// What a model in the making wrote after some steps.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Optimiser steps so far.
    pub step: u64,
    /// The prompt's text.
    pub prompt: String,
    /// What the model wrote.
    pub answer: String,
}

/// How the losses are drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// By their logarithm.
    pub log: bool,
    /// Which of [`Look::SMOOTHINGS`].
    pub smoothing: usize,
}

impl Look {
    /// Weights of the past that can be chosen; the first draws the values as they are.
    pub const SMOOTHINGS: [f64; 3] = [0.0, 0.9, 0.98];

    fn keep(self) -> f64 {
        Look::SMOOTHINGS.get(self.smoothing).copied().unwrap_or(0.0)
    }

    /// What is out of the ordinary, in words.
    pub fn words(self) -> String {
        let mut words = Vec::new();
        if self.log {
            words.push(tr!("log axis", "对数轴"));
        }
        if self.smoothing > 0 {
            words.push(tr!("smoothed {}", "平滑 {}", self.keep()));
        }
        words.join(", ")
    }
}

/// What the events of a training add up to. Memory does not grow with their number.
#[derive(Debug, Default)]
pub struct Dashboard {
    total: u64,
    last: Option<StepMetrics>,
    loss: Curve,
    val: Curve,
    lr: Curve,
    grad: Curve,
    speed: Curve,
    /// Seconds per step.
    pace: Curve,
    lines: VecDeque<String>,
    samples: VecDeque<Sample>,
    /// Bytes of `samples`.
    held: usize,
    /// Scrolling of the log.
    pub log: Pager,
}

impl Dashboard {
    /// Takes the next event.
    pub fn take(&mut self, event: JobEvent) {
        match event {
            JobEvent::Started { total, .. } => self.total = total,
            JobEvent::Step(m) => self.step(m),
            JobEvent::Eval { step, val_loss, best } => {
                self.val.push(step as f64, val_loss);
                let mark = if best { tr!(", the best so far", "，目前最好") } else { String::new() };
                self.note(tr!(
                    "step {step}: validation loss {}{mark}",
                    "第 {step} 步：验证损失 {}{mark}",
                    value(val_loss)
                ));
            }
            JobEvent::Sample { step, prompt, answer } => {
                self.note(tr!(
                    "step {step}: {} ▸ {}",
                    "第 {step} 步：{} ▸ {}",
                    text::truncate(&text::one_line(&prompt), IN_LOG),
                    text::truncate(&text::one_line(&answer), IN_LOG)
                ));
                self.sample(Sample { step, prompt, answer });
            }
            JobEvent::Warning { step, message } => {
                self.note(tr!("step {step}: warning: {}", "第 {step} 步：警告：{}", text::one_line(&message)));
            }
            JobEvent::Log { message } => self.note(text::one_line(&message)),
            JobEvent::Progress { .. } => {}
        }
    }

    fn step(&mut self, m: StepMetrics) {
        let x = m.step as f64;
        self.total = self.total.max(m.total);
        self.loss.push(x, m.loss);
        self.lr.push(x, m.lr);
        self.grad.push(x, m.grad_norm);
        self.speed.push(x, m.tokens_per_second);
        self.pace.push(x, m.tokens as f64 / m.tokens_per_second);
        self.last = Some(m);
    }

    fn note(&mut self, line: String) {
        if self.lines.len() == LOG {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn sample(&mut self, sample: Sample) {
        let size = |s: &Sample| s.prompt.len() + s.answer.len();
        self.held += size(&sample);
        self.samples.push_back(sample);
        while self.held > SAMPLES && self.samples.len() > 1 {
            self.held -= self.samples.pop_front().as_ref().map_or(0, size);
        }
    }

    /// The steps after which samples were written, in order.
    pub fn sampled(&self) -> Vec<u64> {
        let mut steps: Vec<u64> = self.samples.iter().map(|s| s.step).collect();
        steps.dedup();
        steps
    }

    /// The samples that were written after `step` steps.
    pub fn samples(&self, step: u64) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |s| s.step == step)
    }

    /// What the run reported, the newest first.
    pub fn log_text(&self) -> String {
        self.lines.iter().rev().cloned().collect::<Vec<_>>().join("\n")
    }

    /// Draws everything that fits; `record` tells how the run stands, `beside` are other runs.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect, record: Option<&RunRecord>, beside: &[&Companion], look: Look) {
        let row = |n: u16| Rect { y: area.y + n.min(area.height.saturating_sub(1)), height: 1, ..area };
        if area.height < 4 {
            return;
        }
        self.progress(p, row(0), record);
        self.figures(p, row(1));
        let body = Rect { y: area.y + 3, height: area.height.saturating_sub(3), ..area };
        if let Some((words, hint)) = record.and_then(failure) {
            let used = p.paragraph(body, &words, Role::Bad);
            let rest = Rect { y: body.y + used, height: body.height - used, ..body };
            let used = used + p.paragraph(rest, &hint, Role::Plain) + 1;
            let rest = Rect { y: body.y + used.min(body.height), height: body.height.saturating_sub(used), ..body };
            return self.curves(p, rest, beside, look);
        }
        self.curves(p, body, beside, look);
    }

    /// Status, bar, share, time left.
    fn progress(&self, p: &mut Paint<'_>, area: Rect, record: Option<&RunRecord>) {
        let running = record.is_some_and(|r| r.status == RunStatus::Running);
        let mut x = area.x;
        if let Some(record) = record {
            let (word, role) = super::screens::status(record.status);
            x = p.text(x, area.y, area.width, &word, role) + 2;
        }
        let done = self.last.as_ref().map_or(0, |m| m.step);
        let share = if self.total == 0 { 0.0 } else { (done as f64 / self.total as f64).min(1.0) };
        let mut facts =
            tr!("step {} of {}  {}", "第 {} 步，共 {} 步  {}", count(done), count(self.total), percent(share));
        if running && let Some(pace) = self.pace.recent_mean(32) {
            let left = duration(pace * self.total.saturating_sub(done) as f64);
            facts.push_str(&tr!("  {left} left", "  剩余 {left}"));
        }
        if let Some(took) = record.and_then(|r| between(&r.started, r.finished.as_deref()?)) {
            facts.push_str(&tr!("  took {}", "  用时 {}", duration(took)));
        }
        let room = usize::from(area.right().saturating_sub(x)).saturating_sub(text::width(&facts) + 2).min(40);
        if room >= 8 {
            let filled = (share * room as f64).round() as usize;
            let y = area.y;
            x = p.text(x, y, area.width, &"⣿".repeat(filled), Role::Accent);
            x = p.text(x, y, area.width, &"⣀".repeat(room - filled), Role::Dim) + 2;
        }
        p.text(x, area.y, area.right().saturating_sub(x), &facts, Role::Plain);
    }

    /// The newest value of everything.
    fn figures(&self, p: &mut Paint<'_>, area: Rect) {
        let Some(m) = &self.last else {
            p.text(area.x, area.y, area.width, &tr!("Waiting for the first step", "等待第一步"), Role::Dim);
            return;
        };
        let mut pairs = vec![(tr!("loss", "损失"), value(m.loss))];
        // Steps of an earlier version have no smoothed loss.
        if m.smoothed_loss > 0.0 {
            pairs.push((tr!("smoothed", "平滑"), value(m.smoothed_loss)));
        }
        if let Some((_, val)) = self.val.last() {
            pairs.push((tr!("val", "验证"), value(val)));
        }
        if let Some((step, best)) = self.val.lowest() {
            pairs.push((tr!("best", "最好"), format!("{} @{step:.0}", value(best))));
        }
        pairs.push((tr!("lr", "学习率"), tiny(m.lr)));
        pairs.push((tr!("grad", "梯度"), value(m.grad_norm)));
        let speed = self.speed.recent_mean(16).unwrap_or(m.tokens_per_second);
        pairs.push((tr!("tok/s", "词元/秒"), count(speed.max(0.0).round() as u64)));
        let mut x = area.x;
        for (name, figure) in &pairs {
            let needed = text::width(name) + 1 + text::width(figure);
            if usize::from(area.right().saturating_sub(x)) < needed {
                break;
            }
            x = p.text(x, area.y, area.width, name, Role::Dim) + 1;
            x = p.text(x, area.y, area.width, figure, Role::Title) + 2;
        }
    }

    /// The losses on top, the log below; in a wide frame the other curves at the right.
    fn curves(&self, p: &mut Paint<'_>, area: Rect, beside: &[&Companion], look: Look) {
        let log = if area.height >= 12 { (area.height / 4).clamp(4, 12) } else { 0 };
        let upper = Rect { height: area.height - log, ..area };
        let side = if area.width >= 100 { area.width / 3 } else { 0 };
        let main = Rect { width: upper.width - side - side.min(2), ..upper };
        // Beside others, names must be short: there are several.
        let (train, val) = if beside.is_empty() {
            (tr!("training loss", "训练损失"), tr!("validation loss", "验证损失"))
        } else {
            (tr!("this train", "本次训练"), tr!("this val", "本次验证"))
        };
        let mut lines = vec![line(train, &self.loss, Marker::Dots, Role::FirstLine, value)];
        if let Some(line) = lines.first_mut() {
            line.points = smoothed(&line.points, look.keep());
        }
        if !self.val.is_empty() {
            lines.push(line(val, &self.val, Marker::Sign("x"), Role::SecondLine, value));
        }
        let others = beside.iter().flat_map(|o| o.lines(usize::from(main.width) / 3, look.keep()));
        lines.extend(others);
        let any = lines.iter().any(|l| !l.points.is_empty());
        if any {
            Chart { lines: &lines, format: value, log: look.log, note: &look.words() }.draw(p, main);
        }
        if side > 0 && !self.loss.is_empty() {
            let third = upper.height / 3;
            let column = Rect { x: main.right() + 2, width: side, height: third, ..upper };
            let small = |p: &mut Paint<'_>, n: u16, name: String, curve: &Curve, format: fn(f64) -> String| {
                let lines = [line(name, curve, Marker::Dots, Role::FirstLine, format)];
                Chart { lines: &lines, format, log: false, note: "" }
                    .draw(p, Rect { y: upper.y + n * third, ..column });
            };
            small(p, 0, tr!("learning rate", "学习率"), &self.lr, tiny);
            small(p, 1, tr!("gradient norm", "梯度范数"), &self.grad, value);
            small(p, 2, tr!("tokens per second", "词元每秒"), &self.speed, value);
        }
        if log > 0 {
            let area = Rect { y: upper.bottom(), height: log, ..area };
            p.rule(area, &tr!("log", "日志"));
            let block = Block { role: Role::Dim, ..Block::new("", self.log_text()) };
            self.log.draw(p, Rect { y: area.y + 1, height: log - 1, ..area }, &[block]);
        }
    }
}

fn line(name: String, curve: &Curve, marker: Marker, role: Role, format: fn(f64) -> String) -> Line {
    let newest = curve.last().map_or_else(String::new, |(_, y)| format(y));
    Line { label: format!("{name} {newest}"), marker, role, points: curve.points() }
}

/// Why a run failed, and the way out.
fn failure(record: &RunRecord) -> Option<(String, String)> {
    let part = |key: &str| record.error.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let resume = tr!(
        "`linly-bench {} --resume {}` or r goes on from its last checkpoint.",
        "`linly-bench {} --resume {}` 或按 r 可从最近的检查点继续。",
        super::screens::training_verb(record),
        record.id
    );
    match record.status {
        RunStatus::Failed => Some((tr!("error: {}", "错误：{}", part("message")), part("hint"))),
        RunStatus::Cancelled => Some((tr!("It was stopped.", "它被停止了。"), resume)),
        RunStatus::Interrupted => Some((tr!("Its process ended before its time.", "它的进程提前结束了。"), resume)),
        RunStatus::Running | RunStatus::Done => None,
    }
}
