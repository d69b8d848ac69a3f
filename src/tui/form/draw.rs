//! How a form is drawn: its fields, what is to be said of them, what a training would take, the line that it makes.

use super::{Filled, Form, names, quoted};
use crate::error::Result;
use crate::text;
use crate::tr;
use crate::tui::figures::{bytes, count, duration};
use crate::tui::source::ForecastView;
use crate::tui::theme::Role;
use crate::tui::widgets::{Paint, popup};
use ratatui::layout::Rect;

impl Form {
    /// The line that would be typed.
    pub fn line(&self) -> String {
        let words: Vec<String> = self.argv().iter().map(|word| quoted(word)).collect();
        format!("linly-bench {}", words.join(" "))
    }

    /// Draws the form over the screen.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect) {
        let title = format!("{}  {}", self.verb.name(), self.verb.about);
        let forecast = self.forecast_lines();
        let wanted = 8 + forecast.len();
        let height = u16::try_from(self.shown.len() + wanted).unwrap_or(u16::MAX);
        let inside = popup(p, area, 96, height, &title);
        // In a low frame the fields around the focus are shown, and the rest gives way.
        let full = usize::from(inside.height) >= 9 + forecast.len();
        let notes = if full { 4 + forecast.len() as u16 } else { 2 };
        self.draw_fields(p, Rect { height: inside.height.saturating_sub(notes + 1), ..inside });
        let line = |p: &mut Paint<'_>, up: u16, words: &str, role: Role| {
            p.text(inside.x, inside.bottom().saturating_sub(up), inside.width, words, role);
        };
        if full {
            line(p, notes, &self.focused().map(|f| f.field.help.clone()).unwrap_or_default(), Role::Plain);
            let offered: Vec<String> = self.offered().into_iter().filter(|v| !v.is_empty()).take(12).collect();
            if !offered.is_empty() {
                line(p, notes - 1, &tr!("Ctrl-N: {}", "Ctrl-N 选择：{}", offered.join("  ")), Role::Dim);
            }
            for (up, (words, role)) in (3..).zip(forecast.iter().rev()) {
                line(p, up, words, *role);
            }
        }
        line(p, 2, &self.line(), Role::Accent);
        let (words, role) = self.verdict();
        line(p, 1, &words, role);
    }

    fn draw_fields(&self, p: &mut Paint<'_>, area: Rect) {
        let label = |filled: &Filled| format!("{}{}", filled.field.name, if filled.field.required { " *" } else { "" });
        let labels = self.shown.iter().map(|&i| text::width(&label(&self.fields[i]))).max().unwrap_or(0);
        let labels = u16::try_from(labels).unwrap_or(20).min(area.width / 2);
        let room = usize::from(area.height).max(1);
        let first = (self.focus + 1).saturating_sub(room);
        for (row, &i) in self.shown.iter().enumerate().skip(first).take(room) {
            let filled = &self.fields[i];
            let y = area.y + (row - first) as u16;
            let focus = row == self.focus;
            let role = match focus {
                true => Role::Accent,
                false if self.doubts.iter().any(|(doubted, _)| *doubted == i) => Role::Warn,
                false => Role::Dim,
            };
            p.text(area.x, y, labels, &label(filled), role);
            p.text(area.x + labels + 1, y, 1, if focus { "▸" } else { ":" }, role);
            let x = area.x + labels + 3;
            let space = Rect { x, y, width: area.right().saturating_sub(x), height: 1 };
            if filled.input.is_empty() && !filled.field.default.is_empty() {
                let at = u16::from(focus) * 2;
                p.text(x + at, y, space.width.saturating_sub(at), &filled.field.default, Role::Dim);
            }
            filled.input.draw(p, space, focus);
        }
    }

    /// What is to be said of the fields now: what is wrong, what is doubtful, what is missing, or that all is well.
    fn verdict(&self) -> (String, Role) {
        let missing = self.missing().map(|shown| &self.fields[self.shown[shown]].field.name);
        if let Some(name) = missing.filter(|_| self.tried) {
            return (tr!("{name}: fill this in", "{name}：请填写"), Role::Bad);
        }
        if let Some(complaint) = self.complaint.as_ref().filter(|_| missing.is_none()) {
            return (complaint.clone(), Role::Bad);
        }
        let focused = self.shown.get(self.focus);
        let doubt = self.doubts.iter().find(|(i, _)| Some(i) == focused).or(self.doubts.first());
        if let Some((i, doubt)) = doubt {
            let words = format!("{}: {doubt}", self.fields[*i].field.name);
            return match self.warned.as_ref() == Some(&self.argv()) {
                true => (tr!("{words}. Enter starts it all the same", "{words}。再按回车仍然启动"), Role::Warn),
                false => (words, Role::Warn),
            };
        }
        if let Some(name) = missing {
            return (tr!("still to be filled in: {name}", "还需填写：{name}"), Role::Dim);
        }
        let remark = self.choices.as_ref().and_then(|choices| {
            self.fields.iter().find_map(|f| names::remark(&f.field, f.input.text().trim(), choices))
        });
        match remark {
            Some(remark) => (tr!("Enter starts it; {remark}", "回车启动；{remark}"), Role::Good),
            None => (tr!("Enter starts it in the background", "回车：在后台启动"), Role::Good),
        }
    }

    /// What the training would take, in two lines; nothing in forms of other verbs.
    fn forecast_lines(&self) -> Vec<(String, Role)> {
        if self.verb.name() != "train" {
            return Vec::new();
        }
        let (memory, time) = (tr!("memory", "内存"), tr!("time", "时间"));
        let columns = text::width(&memory).max(text::width(&time));
        let lines = match (self.forecastable(), &self.forecast) {
            (None, _) => {
                let words = tr!("told when the fields are right", "填写正确后显示");
                [(words.clone(), Role::Dim), (words, Role::Dim)]
            }
            (Some(argv), Some((of, forecast))) if *of == argv => figures(forecast),
            _ => [(tr!("being worked out", "正在估计"), Role::Dim), (String::new(), Role::Dim)],
        };
        let named =
            |(name, (words, role)): (&String, (String, Role))| (format!("{}  {words}", text::pad(name, columns)), role);
        [&memory, &time].into_iter().zip(lines).map(named).collect()
    }
}

/// Memory and time in words.
fn figures(forecast: &Result<ForecastView>) -> [(String, Role); 2] {
    let view = match forecast {
        Ok(view) => view,
        Err(error) => {
            let hint = error.hint.as_ref().map_or_else(String::new, |hint| format!("  ({hint})"));
            return [(format!("{}{hint}", error.message), Role::Warn), (String::new(), Role::Dim)];
        }
    };
    let place = if view.place == "cpu" { tr!("on the processor", "处理器") } else { view.place.clone() };
    let memory = match (view.memory, view.free) {
        (None, _) => (tr!("unknown ({place})", "未知（{place}）"), Role::Warn),
        (Some(need), None) => (tr!("{} ({place})", "{}（{place}）", bytes(need)), Role::Plain),
        (Some(need), Some(free)) if view.fits => {
            (tr!("{} of {} free ({place})", "{}，可用 {}（{place}）", bytes(need), bytes(free)), Role::Plain)
        }
        (Some(need), Some(free)) => (
            tr!(
                "{} at least, and only {} are free ({place})",
                "至少 {}，而可用仅 {}（{place}）",
                bytes(need),
                bytes(free)
            ),
            Role::Bad,
        ),
    };
    let steps = view.steps.map(|steps| tr!("{} steps", "{} 步", count(steps)));
    let time = match (view.seconds, &view.speed, steps) {
        (_, _, None) => (tr!("told when a dataset is named", "指定数据集后显示"), Role::Dim),
        (Some(seconds), Some((speed, run)), Some(steps)) => (
            tr!(
                "about {}: {steps} at {} tokens/s as in {run}",
                "约 {}：{steps}，{} 词元/秒（同 {run}）",
                duration(seconds.max(1.0)),
                count(speed.round() as u64)
            ),
            Role::Plain,
        ),
        (_, _, Some(steps)) => (
            tr!("unknown for {steps}: this model was not trained here yet", "{steps}，时间未知：本机尚未训练过此模型"),
            Role::Dim,
        ),
    };
    [memory, time]
}
