//! The history of a dataset, and what lies between two of its versions.

use super::super::roster::Roster;
use super::super::{Effect, Empty, Fetched, Listed, down, draw_error, draw_loading, nothing_selected};
use crate::error::Result;
use crate::text;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::figures::{ago, count};
use crate::tui::keymap::View;
use crate::tui::query::Query;
use crate::tui::source::{DataAnswer, DataQuery, DiffView, VersionView};
use crate::tui::theme::Role;
use crate::tui::widgets::{Block, Column, Pager, Paint, Text};
use ratatui::layout::Rect;

/// Digits of a version's hash that are shown.
const HASH: usize = 12;

/// The versions of one dataset.
pub struct Versions {
    pub dataset: String,
    list: Roster<VersionView>,
    difference: Option<Difference>,
}

/// What lies between a version and the one before.
struct Difference {
    from: u64,
    to: u64,
    view: Fetched<DiffView>,
    pager: Pager,
}

impl Versions {
    pub fn new(dataset: String) -> Versions {
        let list = Roster::new(
            |v: &VersionView| v.number.to_string(),
            |v| format!("{} {} {} {}", v.number, v.version, v.message, v.tags.join(" ")),
        );
        Versions { dataset, list, difference: None }
    }

    pub fn view(&self) -> View {
        if self.difference.is_some() { View::Difference } else { View::Versions }
    }

    pub fn place(&self) -> String {
        match &self.difference {
            Some(d) => tr!("version {} to {}", "版本 {} 至 {}", d.from, d.to),
            None => tr!("versions {}", "版本 {}", self.list.len()),
        }
    }

    /// The list anew.
    pub fn want(&self) -> Query {
        Query::Data(DataQuery::Versions { dataset: self.dataset.clone() })
    }

    /// The version that a command is about.
    fn chosen(&self) -> Option<&VersionView> {
        match &self.difference {
            Some(d) => self.list.all().iter().find(|v| v.number == d.to),
            None => self.list.selected(),
        }
    }

    pub fn obstacle(&self, action: Action) -> Option<String> {
        let chosen = match (action, self.chosen()) {
            (Action::Open | Action::Restore | Action::Copy, None) => return Some(nothing_selected()),
            (_, None) => return None,
            (_, Some(chosen)) => chosen,
        };
        match action {
            Action::Open if chosen.number == 1 => {
                Some(tr!("the first version has none before it", "第一个版本之前没有版本"))
            }
            Action::Restore if self.list.all().first().is_some_and(|newest| newest.number == chosen.number) => {
                Some(tr!("this is the newest version", "这已经是最新版本"))
            }
            _ => None,
        }
    }

    pub fn update(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Restore => {
                let Some(version) = self.chosen().map(|v| v.number) else { return vec![] };
                let dataset = self.dataset.clone();
                return vec![Effect::Ask(Query::Data(DataQuery::Restore {
                    dataset,
                    version,
                    row: None,
                    undoes: false,
                }))];
            }
            Action::Copy => {
                let name = self.chosen().map(|v| format!("{}@{}", self.dataset, v.number));
                return name.into_iter().map(Effect::Copy).collect();
            }
            Action::Open if self.difference.is_none() => {
                let Some(to) = self.chosen().map(|v| v.number) else { return vec![] };
                let from = to.saturating_sub(1);
                self.difference = Some(Difference { from, to, view: Fetched::Loading, pager: Pager::default() });
                let dataset = self.dataset.clone();
                return vec![Effect::Ask(Query::Data(DataQuery::Diff { dataset, from, to }))];
            }
            _ => match &mut self.difference {
                Some(d) => {
                    d.pager.update(action);
                }
                None => {
                    self.list.update(action);
                }
            },
        }
        vec![]
    }

    /// One level up. False when the list itself is shown whole.
    pub fn back(&mut self) -> bool {
        if self.difference.take().is_some() {
            return true;
        }
        let filtered = !self.list.filter.is_empty();
        self.list.filter.clear();
        self.list.refilter();
        filtered
    }

    /// Takes the versions or a difference.
    pub fn receive(&mut self, query: &DataQuery, answer: Result<DataAnswer>) {
        match (query, answer) {
            (DataQuery::Versions { dataset }, answer) if *dataset == self.dataset => match answer {
                Ok(DataAnswer::Versions(versions)) => self.list.set(Ok(versions)),
                Err(error) => self.list.set(Err(error)),
                Ok(_) => {}
            },
            (DataQuery::Diff { dataset, from, to }, answer) if *dataset == self.dataset => {
                let Some(d) = self.difference.as_mut().filter(|d| (d.from, d.to) == (*from, *to)) else { return };
                match answer {
                    Ok(DataAnswer::Diff(view)) => d.view = Fetched::Ready(view),
                    Err(error) => d.view = Fetched::Failed(error),
                    Ok(_) => {}
                }
            }
            _ => {}
        }
    }

    /// The list, while no difference lies over it.
    pub fn list(&mut self) -> Option<&mut dyn Listed> {
        if self.difference.is_some() { None } else { Some(&mut self.list) }
    }

    pub fn draw(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        match &self.difference {
            None => self.draw_list(p, area, now),
            Some(d) => match &d.view {
                Fetched::Loading => draw_loading(p, area),
                Fetched::Failed(error) => draw_error(p, area, error),
                Fetched::Ready(view) => draw_difference(p, area, view, &d.pager),
            },
        }
    }

    fn draw_list(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        let columns = [
            Column::number(tr!("version", "版本"), 9),
            Column::rest(tr!("what was done", "改动"), 20, 9),
            Column::number(tr!("rows", "行数"), 7),
            Column::number(tr!("held out", "留出"), 4),
            Column::new(tr!("tags", "标签"), 14, 5),
            Column::new(tr!("hash", "哈希"), HASH, 2),
            Column::new(tr!("made", "时间"), 14, 3),
        ];
        let row = |v: &VersionView| {
            vec![
                v.number.to_string().into(),
                v.message.as_str().into(),
                count(v.rows).into(),
                count(v.val).into(),
                Text(v.tags.join(" "), Role::Accent),
                Text(v.version.chars().take(HASH).collect(), Role::Dim),
                Text(ago(&v.created, now), Role::Dim),
            ]
        };
        let empty =
            Empty { title: tr!("This dataset has no versions.", "这个数据集没有版本。"), steps: vec![] };
        self.list.draw(p, area, &columns, &row, &empty);
    }
}

fn draw_difference(p: &mut Paint<'_>, area: Rect, view: &DiffView, pager: &Pager) {
    let figures = tr!(
        "+ {} added   - {} removed   ~ {} changed   {} moved",
        "+ 新增 {}   - 删除 {}   ~ 修改 {}   移动 {}",
        count(view.added),
        count(view.removed),
        count(view.changed),
        count(view.moved)
    );
    p.text(area.x, area.y, area.width, &figures, Role::Accent);
    let mut blocks = Vec::new();
    for change in &view.rows {
        let role = match change.sign {
            '+' => Role::Good,
            '-' => Role::Bad,
            _ => Role::Plain,
        };
        let fields: Vec<String> =
            change.fields.iter().map(|(field, words)| format!("{field}: {}", text::clean(words))).collect();
        let title = tr!("{} row {}", "{} 第 {} 行", change.sign, change.row);
        blocks.push(Block { role, ..Block::new(title, fields.join("\n")) });
    }
    let all = view.added + view.removed + view.changed;
    let beyond = all.saturating_sub(view.rows.len() as u64);
    if beyond > 0 {
        let name = "linly-bench data diff";
        let more = tr!("{} more; `{name}` lists them all", "另有 {} 行；`{name}` 可列出全部", count(beyond));
        blocks.push(Block { role: Role::Dim, ..Block::new("", more) });
    }
    if blocks.is_empty() {
        let none = tr!("The rows are the same.", "两个版本的数据相同。");
        blocks.push(Block { role: Role::Dim, ..Block::new("", none) });
    }
    pager.draw(p, down(area, 2), &blocks);
}
