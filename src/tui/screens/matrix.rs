//! Models by benchmarks: the newest score of each, and the way into the run that it comes from.

use super::figure_table::{markdown, measure_columns, shown, source};
use super::roster::Roster;
use super::{Empty, down};
use crate::error::Result;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::source::{Figure, LeaderboardView, Measure, Standing};
use crate::tui::theme::Role;
use crate::tui::widgets::{Column, Paint, Text};
use ratatui::layout::Rect;

/// The matrix with a cell that is looked at.
pub struct Matrix {
    /// The models.
    pub rows: Roster<Standing>,
    benchmarks: Vec<(String, Measure)>,
    column: usize,
}

impl Default for Matrix {
    fn default() -> Matrix {
        let rows = Roster::new(|s: &Standing| s.model.clone(), |s| s.model.clone());
        Matrix { rows, benchmarks: Vec::new(), column: 0 }
    }
}

impl Matrix {
    /// Takes the figures.
    pub fn set(&mut self, board: Result<LeaderboardView>) {
        self.rows.set(board.map(|board| {
            self.benchmarks = board.columns;
            board.standings
        }));
        self.column = self.column.min(self.benchmarks.len().saturating_sub(1));
    }

    /// The figure in the cell that is looked at.
    pub fn figure(&self) -> Option<&Figure> {
        self.rows.selected()?.figures.get(self.column)?.as_ref()
    }

    /// The benchmark that is looked at, and its place.
    pub fn place(&self) -> Option<String> {
        let (title, _) = self.benchmarks.get(self.column)?;
        Some(tr!("{title} ({} of {})", "{title}（{} / {}）", self.column + 1, self.benchmarks.len()))
    }

    /// Why `action` cannot be done.
    pub fn obstacle(&self, action: Action) -> Option<String> {
        match action {
            Action::Open if self.figure().is_none() => {
                Some(tr!("this model has no score on this benchmark", "这个模型在这个评测集上还没有成绩"))
            }
            Action::Left if self.column == 0 => Some(tr!("this is the first column", "已经是第一列")),
            Action::Right if self.column + 1 >= self.benchmarks.len() => {
                Some(tr!("this is the last column", "已经是最后一列"))
            }
            _ => None,
        }
    }

    /// Moves about. False when `action` is no movement.
    pub fn update(&mut self, action: Action) -> bool {
        match action {
            Action::Left => self.column = self.column.saturating_sub(1),
            Action::Right => self.column = (self.column + 1).min(self.benchmarks.len().saturating_sub(1)),
            _ => return self.rows.update(action),
        }
        true
    }

    /// The matrix in Markdown.
    pub fn markdown(&self) -> String {
        markdown(&self.benchmarks, (0..self.rows.len()).filter_map(|i| self.rows.get(i)))
    }

    /// Draws it, with the origin of the cell that is looked at below.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect, empty: &Empty) {
        let mut columns = vec![Column::rest(tr!("model", "模型"), 16, 9)];
        columns.extend(measure_columns(&self.benchmarks, self.column, None));
        let chosen = self.rows.selected().map(|s| s.model.as_str());
        let row = |s: &Standing| {
            let here = chosen == Some(s.model.as_str());
            let mut cells = vec![s.model.as_str().into()];
            cells.extend(self.benchmarks.iter().zip(&s.figures).enumerate().map(|(i, ((_, measure), figure))| {
                let words = figure.as_ref().map_or_else(|| "-".into(), |f| shown(f.value, *measure));
                match (here && i == self.column, figure) {
                    (true, _) => Text(format!("▸{words}"), Role::Accent),
                    (false, Some(_)) => Text(words, Role::Title),
                    (false, None) => Text(words, Role::Dim),
                }
            }));
            cells
        };
        let below = if area.height >= 8 && !self.benchmarks.is_empty() { 2 } else { 0 };
        self.rows.draw(p, Rect { height: area.height - below, ..area }, &columns, &row, empty);
        if below > 0
            && let Some((title, measure)) = self.benchmarks.get(self.column)
            && self.rows.selected().is_some()
        {
            let lower = down(area, area.height - below);
            p.rule(lower, &tr!("where the figure comes from", "数据来源"));
            let words = self.figure().map_or_else(
                || tr!("{title}: not scored yet; n starts a score", "{title}：还没有成绩；按 n 开始评测"),
                |figure| source(title, *measure, figure),
            );
            p.text(area.x, lower.y + 1, area.width, &words, Role::Dim);
        }
    }
}
