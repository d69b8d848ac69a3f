//! Models by benchmarks and arena rating, in any order; the intervals of one measure as bars; below, where the selected
//! model's figures come from.

use super::figure_table::{Scale, Sorting, interval, markdown, measure_columns, shown, source};
use super::roster::Roster;
use super::{Effect, Empty, Listed, Screen, at_top, down, nothing_selected};
use crate::error::Result;
use crate::tr;
use crate::tui::action::{Action, ScreenId};
use crate::tui::keymap::View;
use crate::tui::query::{Answer, Query};
use crate::tui::source::{Figure, Measure, Standing};
use crate::tui::theme::Role;
use crate::tui::widgets::{Column, Cursor, Paint, Table, Text};
use ratatui::layout::Rect;
use std::cmp::Ordering;
use std::path::PathBuf;

/// What the leaderboard can be written as: the name on the command line, which is the file's ending too.
const FORMATS: [&str; 4] = ["md", "csv", "html", "json"];

/// The leaderboard screen.
pub struct Leaderboard {
    /// The models in the order that is shown.
    list: Roster<Standing>,
    /// The models as they came, the best first.
    standings: Vec<Standing>,
    columns: Vec<(String, Measure)>,
    /// The measure that is looked at.
    focus: usize,
    sorting: Option<Sorting<usize>>,
    export: Option<Export>,
}

/// The files that can be written.
struct Export {
    cursor: Cursor,
    /// Per format the file and whether it is there already.
    files: Vec<(PathBuf, bool)>,
}

impl Default for Leaderboard {
    fn default() -> Leaderboard {
        Leaderboard {
            list: Roster::new(|s| s.model.clone(), |s| s.model.clone()),
            standings: Vec::new(),
            columns: Vec::new(),
            focus: 0,
            sorting: None,
            export: None,
        }
    }
}

impl Leaderboard {
    /// Where the selected model's figures come from: one line each, the measure that is looked at first.
    fn sources(&self) -> Vec<String> {
        let Some(standing) = self.list.selected() else { return vec![] };
        let mut figures: Vec<_> = self.columns.iter().zip(&standing.figures).enumerate().collect();
        figures.sort_by_key(|(i, _)| *i != self.focus);
        let line = |(_, ((title, measure), figure)): (usize, (&(String, Measure), &Option<Figure>))| {
            Some(source(title, *measure, figure.as_ref()?))
        };
        figures.into_iter().filter_map(line).collect()
    }

    /// The measure that is looked at and the selected model's figure in it.
    fn figure(&self) -> Option<(Measure, &Figure)> {
        let (_, measure) = self.columns.get(self.focus)?;
        Some((*measure, self.list.selected()?.figures.get(self.focus)?.as_ref()?))
    }

    /// By the measure that is looked at: the best first, then the other way round, then as it came.
    fn sort(&mut self) {
        let Some((_, measure)) = self.columns.get(self.focus) else { return };
        // Of losses the smallest is the best.
        let best_first = *measure != Measure::Loss;
        let turned = Sorting { by: self.focus, falling: !best_first };
        self.sorting = match self.sorting {
            Some(sorting) if sorting == turned => None,
            Some(sorting) if sorting.by == self.focus => Some(turned),
            _ => Some(Sorting { by: self.focus, falling: best_first }),
        };
        self.arrange();
    }

    fn arrange(&mut self) {
        let mut standings = self.standings.clone();
        if let Some(Sorting { by, falling }) = self.sorting {
            let key = |s: &Standing| s.figures.get(by).and_then(|f| f.as_ref()).map(|f| f.value);
            standings.sort_by(|x, y| match (key(x), key(y)) {
                (Some(x), Some(y)) if falling => y.total_cmp(&x),
                (Some(x), Some(y)) => x.total_cmp(&y),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => Ordering::Equal,
            });
        }
        self.list.set(Ok(standings));
    }

    /// To what the figure comes from: its run, or the screen of its arena.
    fn follow(&self) -> Vec<Effect> {
        let Some((measure, figure)) = self.figure() else { return vec![] };
        let run = figure.origin.clone();
        let words = tr!("it comes from {run}; 7 leads back to the leaderboard", "来源：{run}；按 7 返回排行榜");
        let there = match measure {
            Measure::Accuracy => Effect::Look { screen: ScreenId::Evaluations, run },
            Measure::Loss => Effect::Look { screen: ScreenId::Training, run },
            Measure::Rating => Effect::Go(ScreenId::Arena),
        };
        vec![there, Effect::Notice(words, Role::Accent)]
    }

    fn offer(&mut self) {
        let folder = std::env::current_dir().unwrap_or_default();
        let file = |format: &&str| {
            let path = folder.join(format!("leaderboard.{format}"));
            let there = path.exists();
            (path, there)
        };
        self.export = Some(Export { cursor: Cursor::default(), files: FORMATS.iter().map(file).collect() });
    }

    /// Writes the chosen file.
    fn write(&mut self) -> Vec<Effect> {
        let Some(export) = self.export.take() else { return vec![] };
        let chosen = FORMATS.iter().zip(export.files).nth(export.cursor.selected);
        let Some((format, (path, _))) = chosen else { return vec![] };
        let path = path.to_string_lossy().into_owned();
        vec![Effect::Run(vec!["leaderboard".into(), "--format".into(), (*format).into(), "--output".into(), path])]
    }

    /// Intervals of the measure that is looked at, as a column; none when there is nothing to draw.
    fn forest(&self, width: u16) -> Option<(Scale, Measure, usize)> {
        let (_, measure) = self.columns.get(self.focus)?;
        let shown = (0..self.list.len()).filter_map(|i| self.list.get(i)?.figures.get(self.focus)?.as_ref());
        let figures: Vec<&Figure> = shown.collect();
        let columns = match width {
            100.. => 36,
            56.. => 18,
            _ => return None,
        };
        Some((Scale::of(&figures, *measure)?, *measure, columns))
    }

    fn draw_export(p: &mut Paint<'_>, area: Rect, export: &Export) {
        let used = p.paragraph(area, &tr!("Write the whole table to a file:", "把整个表格写入文件："), Role::Title);
        let columns = [
            Column::new(tr!("format", "格式"), 10, 9),
            Column::rest(tr!("file", "文件"), 16, 9),
            Column::new(String::new(), 20, 5),
        ];
        let row = |i: usize| {
            let (path, there) = export.files.get(i).cloned().unwrap_or_default();
            let note = if there { tr!("will be replaced", "将被替换") } else { String::new() };
            vec![
                FORMATS.get(i).copied().unwrap_or_default().into(),
                path.to_string_lossy().into_owned().into(),
                Text(note, Role::Warn),
            ]
        };
        Table { columns: &columns, len: export.files.len(), row: &row }.draw(p, down(area, used + 1), &export.cursor);
    }
}

impl Screen for Leaderboard {
    fn view(&self) -> View {
        if self.export.is_some() { View::Export } else { View::Leaderboard }
    }

    fn place(&self) -> Vec<String> {
        let mut place = vec![tr!("Leaderboard", "排行榜"), self.list.len().to_string()];
        if self.export.is_some() {
            place.push(tr!("export", "导出"));
        } else if let Some((title, _)) = self.columns.get(self.focus) {
            place.push(tr!("{title} ({} of {})", "{title}（{} / {}）", self.focus + 1, self.columns.len()));
        }
        place
    }

    fn obstacle(&self, action: Action) -> Option<String> {
        let empty = self.list.len() == 0;
        match action {
            Action::Open if self.export.is_some() => None,
            Action::Open if self.figure().is_none() => Some(if empty {
                nothing_selected()
            } else {
                tr!("this model has no figure in this column", "这个模型在这一列还没有数据")
            }),
            Action::Copy | Action::Export if self.standings.is_empty() => {
                Some(tr!("nothing is measured yet", "还没有任何测量结果"))
            }
            Action::Sort if self.columns.is_empty() => Some(tr!("nothing is measured yet", "还没有任何测量结果")),
            Action::Back if self.list.filter.is_empty() && self.export.is_none() => Some(at_top()),
            Action::Left if self.focus == 0 => Some(tr!("this is the first column", "已经是第一列")),
            Action::Right if self.focus + 1 >= self.columns.len() => {
                Some(tr!("this is the last column", "已经是最后一列"))
            }
            _ => None,
        }
    }

    fn update(&mut self, action: Action) -> Vec<Effect> {
        if let Some(export) = &mut self.export {
            match action {
                Action::Open => return self.write(),
                Action::Back => self.export = None,
                _ => {
                    export.cursor.update(action, FORMATS.len());
                }
            }
            return vec![];
        }
        match action {
            Action::Back => {
                self.list.filter.clear();
                self.list.refilter();
            }
            Action::Left => self.focus = self.focus.saturating_sub(1),
            Action::Right => self.focus = (self.focus + 1).min(self.columns.len().saturating_sub(1)),
            Action::Sort => self.sort(),
            Action::Open => return self.follow(),
            Action::Export => self.offer(),
            Action::Copy => {
                let shown = (0..self.list.len()).filter_map(|i| self.list.get(i));
                return vec![Effect::Copy(markdown(&self.columns, shown))];
            }
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
                if self.columns != board.columns {
                    // Another measure has taken the place that the order was by.
                    self.sorting = None;
                }
                self.columns = board.columns;
                self.focus = self.focus.min(self.columns.len().saturating_sub(1));
                self.standings = board.standings;
                self.arrange();
            }
            Err(error) => self.list.set(Err(error)),
            Ok(_) => {}
        }
        vec![]
    }

    fn list(&mut self) -> Option<&mut dyn Listed> {
        if self.export.is_some() { None } else { Some(&mut self.list) }
    }

    fn click(&mut self, column: u16, row: u16) -> bool {
        match &mut self.export {
            Some(export) => export.cursor.click(column, row, FORMATS.len()),
            None => self.list.click(column, row),
        }
    }

    fn draw(&self, p: &mut Paint<'_>, area: Rect, _now: i64) {
        if let Some(export) = &self.export {
            return Self::draw_export(p, area, export);
        }
        let mut columns = vec![Column::rest(tr!("model", "模型"), 24, 9)];
        columns.extend(measure_columns(&self.columns, self.focus, self.sorting));
        let forest = self.forest(area.width);
        if let Some((scale, measure, bar)) = forest {
            let (low, high) = (shown(scale.low, measure), shown(scale.high, measure));
            let gap = bar.saturating_sub(crate::text::width(&low) + crate::text::width(&high));
            // Beside the measure that it belongs to; its neighbours give way first.
            columns.insert(self.focus + 2, Column::new(format!("{low}{}{high}", "╌".repeat(gap.max(1))), bar, 8));
        }
        let row = |s: &Standing| {
            let mut cells = vec![s.model.as_str().into()];
            let figures = self.columns.iter().zip(&s.figures);
            cells.extend(figures.map(|((_, measure), figure)| match figure {
                Some(figure) => shown(figure.value, *measure).into(),
                None => Text("-".into(), Role::Dim),
            }));
            if let Some((scale, measure, bar)) = forest {
                let figure = s.figures.get(self.focus).and_then(|f| f.as_ref());
                let words = figure.map(|f| scale.bar(f.value, interval(f, measure), None, bar)).unwrap_or_default();
                cells.insert((self.focus + 2).min(cells.len()), Text(words, Role::FirstLine));
            }
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
        let below = if sources.is_empty() || area.height < 8 { 0 } else { wanted.min(area.height / 3) };
        let upper = Rect { height: area.height - below, ..area };
        self.list.draw(p, upper, &columns, &row, &empty);
        if below > 1 {
            let lower = down(area, area.height - below);
            p.rule(lower, &tr!("where the figures come from", "数据来源"));
            p.lines(down(lower, 1), &sources, Role::Dim);
        }
    }
}
