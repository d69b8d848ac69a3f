//! Models by benchmarks and arena rating; below, where the selected model's figures come from.

use super::roster::Roster;
use super::{Effect, Empty, Screen, at_top, down};
use crate::error::Result;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::figures::{count, percent, value};
use crate::tui::keymap::View;
use crate::tui::query::{Answer, Query};
use crate::tui::source::{Figure, Measure, Standing};
use crate::tui::theme::Role;
use crate::tui::widgets::{Column, Input, Paint, Text};
use ratatui::layout::Rect;

/// The leaderboard screen.
pub struct Leaderboard {
    list: Roster<Standing>,
    columns: Vec<(String, Measure)>,
    /// The first column of figures that is shown.
    first: usize,
}

impl Default for Leaderboard {
    fn default() -> Leaderboard {
        Leaderboard { list: Roster::new(|s| s.model.clone(), |s| s.model.clone()), columns: Vec::new(), first: 0 }
    }
}

impl Leaderboard {
    /// Where the selected model's figures come from: one line each.
    fn sources(&self) -> Vec<String> {
        let Some(standing) = self.list.selected() else { return vec![] };
        let figures = self.columns.iter().zip(&standing.figures);
        figures.filter_map(|((title, measure), figure)| Some(source(title, *measure, figure.as_ref()?))).collect()
    }
}

fn shown(figure: &Figure, measure: Measure) -> String {
    match measure {
        Measure::Accuracy => percent(figure.value),
        Measure::Loss => value(figure.value),
        Measure::Rating => format!("{:.0}", figure.value),
    }
}

/// A figure with its uncertainty and its origin.
fn source(title: &str, measure: Measure, figure: &Figure) -> String {
    let mut words = format!("{title}  {}", shown(figure, measure));
    if let Some(se) = figure.stderr {
        words.push_str(&format!(" +-{:.1}", se * 100.0));
    }
    if let Some([low, high]) = figure.interval {
        words.push_str(&tr!("  95% interval {low:.0} to {high:.0}", "  95% 区间 {low:.0} 至 {high:.0}"));
    }
    match (figure.n, measure) {
        (Some(n), Measure::Rating) => words.push_str(&tr!("  {} battles", "  {} 场对战", count(n))),
        (Some(n), _) => words.push_str(&tr!("  {} items", "  {} 题", count(n))),
        (None, _) => {}
    }
    words.push_str("  ");
    words.push_str(&figure.origin);
    words
}

impl Screen for Leaderboard {
    fn view(&self) -> View {
        View::Leaderboard
    }

    fn place(&self) -> Vec<String> {
        let mut place = vec![tr!("Leaderboard", "排行榜"), self.list.len().to_string()];
        if self.first > 0 {
            place.push(tr!("from column {}", "从第 {} 列起", self.first + 1));
        }
        place
    }

    fn obstacle(&self, action: Action) -> Option<String> {
        match action {
            Action::Back if self.list.filter.is_empty() => Some(at_top()),
            Action::Left if self.first == 0 => Some(tr!("this is the first column", "已经是第一列")),
            Action::Right if self.first + 1 >= self.columns.len() => {
                Some(tr!("this is the last column", "已经是最后一列"))
            }
            _ => None,
        }
    }

    fn update(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Back => {
                self.list.filter.clear();
                self.list.refilter();
            }
            Action::Left => self.first = self.first.saturating_sub(1),
            Action::Right => self.first = (self.first + 1).min(self.columns.len().saturating_sub(1)),
            _ => {
                self.list.update(action);
            }
        }
        vec![]
    }

    fn poll(&mut self, slow: bool) -> Vec<Query> {
        if slow { vec![Query::Leaderboard] } else { vec![] }
    }

    fn receive(&mut self, _query: &Query, answer: Result<Answer>) -> Vec<Effect> {
        match answer {
            Ok(Answer::Leaderboard(board)) => {
                self.columns = board.columns;
                self.first = self.first.min(self.columns.len().saturating_sub(1));
                self.list.set(Ok(board.standings));
            }
            Err(error) => self.list.set(Err(error)),
            Ok(_) => {}
        }
        vec![]
    }

    fn filter(&mut self) -> Option<&mut Input> {
        Some(&mut self.list.filter)
    }

    fn filtered(&mut self) {
        self.list.refilter();
    }

    fn click(&mut self, column: u16, row: u16) -> bool {
        self.list.click(column, row)
    }

    fn draw(&self, p: &mut Paint<'_>, area: Rect, _now: i64) {
        let mut columns = vec![Column::rest(tr!("model", "模型"), 24, 9)];
        for (i, (title, _)) in self.columns.iter().skip(self.first).enumerate() {
            // The columns on the right give way first.
            columns.push(Column::number(title.clone(), 8u8.saturating_sub(u8::try_from(i).unwrap_or(8))));
        }
        let row = |s: &Standing| {
            let mut cells = vec![s.model.as_str().into()];
            let figures = self.columns.iter().zip(&s.figures).skip(self.first);
            cells.extend(figures.map(|((_, measure), figure)| match figure {
                Some(figure) => shown(figure, *measure).into(),
                None => Text("-".into(), Role::Dim),
            }));
            cells
        };
        let empty = Empty {
            title: tr!("Nothing is measured yet.", "还没有任何测量结果。"),
            steps: vec![
                (tr!("Score a model:", "给模型打分："), "linly-bench run finance --model smollm2-135m"),
                (
                    tr!("Let models fight:", "让模型对战："),
                    "linly-bench arena battle NAME --model MODEL --against MODEL+ADAPTER",
                ),
            ],
        };
        let sources = self.sources();
        let wanted = u16::try_from(sources.len()).unwrap_or(u16::MAX).saturating_add(2);
        let below = if sources.is_empty() || area.height < 10 { 0 } else { wanted.min(area.height / 3) };
        let upper = Rect { height: area.height - below, ..area };
        self.list.draw(p, upper, &columns, &row, &empty);
        if below > 1 {
            let lower = down(area, area.height - below);
            p.rule(lower, &tr!("where the figures come from", "数据来源"));
            p.lines(down(lower, 1), &sources, Role::Dim);
        }
    }
}
