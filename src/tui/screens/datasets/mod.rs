//! Datasets: the list, the rows of one, one row in full or token by token, the versions.

mod mask;
mod row;
mod rows;
mod versions;

use super::roster::Roster;
use super::{Confirm, Effect, Empty, Listed, Screen, at_top, draw_loading, nothing_selected};
use crate::data::Split;
use crate::error::Result;
use crate::store::Mark;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::figures::{ago, count};
use crate::tui::form::FormRequest;
use crate::tui::keymap::View;
use crate::tui::query::{Answer, Query};
use crate::tui::source::{DataAnswer, DataQuery, DatasetView, ModelsAnswer, ModelsQuery};
use crate::tui::theme::Role;
use crate::tui::widgets::{Column, Pager, Paint, Text};
use crate::workbench::data;
use mask::Mask;
use ratatui::layout::Rect;
use rows::Rows;
use versions::Versions;

/// The datasets screen.
pub struct Datasets {
    list: Roster<DatasetView>,
    rows: Option<Rows>,
    /// The row shown in full, if one is.
    detail: Option<Pager>,
    /// That row token by token, over it.
    mask: Mask,
    /// The versions of a dataset, over its rows or over the list.
    versions: Option<Versions>,
    /// The row in the user's editor: its dataset, its number (none for a new one), the text that was given out.
    editing: Option<(String, Option<u64>, String)>,
    /// What takes back the mark that is on its way.
    unmark: Option<DataQuery>,
    /// A text that was refused: it is offered again.
    draft: Option<(Option<u64>, String)>,
}

impl Default for Datasets {
    fn default() -> Datasets {
        Datasets {
            list: Roster::new(|d| d.name.clone(), |d| format!("{} {} {}", d.name, d.source, d.licence)),
            rows: None,
            detail: None,
            mask: Mask::default(),
            versions: None,
            editing: None,
            unmark: None,
            draft: None,
        }
    }
}

impl Datasets {
    fn open(&mut self) {
        match &self.rows {
            Some(_) => self.detail = Some(Pager::default()),
            None => self.rows = self.list.selected().map(|d| Rows::new(d.name.clone())),
        }
    }

    fn back(&mut self) {
        if let Some(versions) = &mut self.versions {
            if !versions.back() {
                self.versions = None;
            }
        } else if self.mask.is_open() {
            self.mask.close();
        } else if self.detail.take().is_some() {
        } else if let Some(rows) = &mut self.rows {
            if !rows.widen() {
                self.rows = None;
            }
        } else {
            self.list.filter.clear();
            self.list.refilter();
        }
    }

    /// The rows are asked for again.
    fn refresh(&mut self) -> Vec<Effect> {
        self.rows.as_mut().and_then(Rows::refresh).into_iter().map(Effect::Ask).collect()
    }

    /// The name of the dataset that a command is about.
    fn chosen(&self) -> Option<String> {
        match &self.rows {
            Some(rows) => Some(rows.dataset.clone()),
            None => self.list.selected().map(|d| d.name.clone()),
        }
    }

    /// Opens the mask of the row that is shown, or of another one after moving.
    fn look_at_mask(&mut self) -> Vec<Effect> {
        let Some(rows) = &self.rows else { return vec![] };
        let Some(row) = rows.selected() else { return vec![] };
        self.mask.open(&rows.dataset, row.row).into_iter().map(Effect::Ask).collect()
    }

    /// A command while a row is shown, in full or token by token.
    fn at_row(&mut self, action: Action) -> Vec<Effect> {
        let (Some(rows), Some(pager)) = (&mut self.rows, &mut self.detail) else { return vec![] };
        let len = rows.total();
        match action {
            Action::Next | Action::Previous => {
                let step = if action == Action::Next { Action::Down } else { Action::Up };
                rows.cursor.update(step, len);
                pager.reset();
                let more = rows.want().into_iter().map(Effect::Ask);
                let mut effects: Vec<Effect> = more.collect();
                if self.mask.is_open() {
                    effects.extend(self.look_at_mask());
                }
                effects
            }
            Action::Copy if self.mask.is_open() => vec![Effect::Copy(self.mask.copied())],
            _ if self.mask.is_open() => self.mask.update(action).into_iter().map(Effect::Ask).collect(),
            Action::Mask => self.look_at_mask(),
            Action::Edit | Action::MarkGood | Action::MarkBad | Action::Copy => self.change(action),
            _ => {
                pager.update(action);
                vec![]
            }
        }
    }

    /// Opens a row, or a new one, in the user's editor; a text that was refused before is there again.
    fn edit(&mut self, dataset: String, row: Option<u64>, given: String) -> Vec<Effect> {
        let draft = self.draft.take().filter(|(number, _)| *number == row).map(|(_, text)| text);
        let text = draft.unwrap_or_else(|| given.clone());
        let token = format!("{dataset} {}", row.map_or_else(|| "new".to_owned(), |row| row.to_string()));
        self.editing = Some((dataset, row, given));
        vec![Effect::Edit { token, ending: "json", text }]
    }

    /// Edits, marks or copies the row that is shown.
    fn change(&mut self, action: Action) -> Vec<Effect> {
        let Some(rows) = &self.rows else { return vec![] };
        let Some(row) = rows.selected() else { return vec![] };
        let wanted = match action {
            Action::Copy => return vec![Effect::Copy(row.editable.clone())],
            Action::Edit => {
                let (dataset, number, given) = (rows.dataset.clone(), Some(row.row), row.editable.clone());
                return self.edit(dataset, number, given);
            }
            Action::MarkGood => Mark::Good,
            _ => Mark::Bad,
        };
        // The same key again takes the mark away.
        let mark = Some(wanted).filter(|_| row.mark != Some(wanted));
        let (dataset, note, row, before) = (rows.dataset.clone(), row.note.clone(), row.row, row.mark);
        self.unmark = Some(DataQuery::Mark { dataset: dataset.clone(), row, mark: before, note: note.clone() });
        vec![Effect::Ask(Query::Data(DataQuery::Mark { dataset, row, mark, note }))]
    }

    fn draw_list(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        let columns = [
            Column::rest(tr!("name", "名称"), 30, 9),
            Column::number(tr!("rows", "行数"), 8),
            Column::number(tr!("held out", "留出"), 4),
            Column::number(tr!("Chinese", "中文"), 5),
            Column::new(tr!("licence", "许可证"), 18, 2),
            Column::new(tr!("source", "来源"), 24, 1),
            Column::new(tr!("imported", "导入"), 14, 3),
        ];
        let row = |d: &DatasetView| {
            let zh =
                if d.rows() == 0 { String::new() } else { format!("{:.0}%", d.zh as f64 / d.rows() as f64 * 100.0) };
            vec![
                d.name.as_str().into(),
                count(d.rows()).into(),
                count(d.val).into(),
                zh.into(),
                Text(d.licence.clone(), Role::Dim),
                Text(d.source.clone(), Role::Dim),
                Text(ago(&d.created, now), Role::Dim),
            ]
        };
        let empty = Empty {
            title: tr!("No dataset yet.", "还没有数据集。"),
            steps: vec![
                (
                    tr!(
                        "Import a file of instructions (JSON, JSONL, CSV, Parquet):",
                        "导入一份指令数据（JSON、JSONL、CSV、Parquet）："
                    ),
                    "linly-bench data import FILE --name NAME",
                ),
                (tr!("Or let the demo do the whole job once:", "或者让演示把整个流程走一遍："), "linly-bench demo"),
            ],
        };
        self.list.draw(p, area, &columns, &row, &empty);
    }
}

/// A row that nobody has written yet, as the editor shows it.
fn blank() -> String {
    serde_json::to_string_pretty(&data::blank_row()).unwrap_or_default()
}

/// A row's part, in a word.
fn part(split: Split) -> String {
    match split {
        Split::Train => tr!("train", "训练"),
        Split::Val => tr!("held out", "留出"),
    }
}

impl Screen for Datasets {
    fn view(&self) -> View {
        match (&self.versions, &self.rows, &self.detail) {
            (Some(versions), ..) => versions.view(),
            (None, None, _) => View::Datasets,
            (None, Some(_), None) => View::Rows,
            (None, Some(_), Some(_)) if self.mask.is_open() => View::Mask,
            (None, Some(_), Some(_)) => View::Row,
        }
    }

    fn place(&self) -> Vec<String> {
        if let Some(versions) = &self.versions {
            return vec![versions.dataset.clone(), versions.place()];
        }
        let Some(rows) = &self.rows else {
            return vec![tr!("Datasets", "数据集"), count(self.list.len() as u64)];
        };
        let mut place = vec![rows.dataset.clone()];
        match (&self.detail, rows.selected()) {
            (Some(_), Some(row)) => place.push(tr!("row {}", "第 {} 行", row.row)),
            _ => place.push(rows.extent()),
        }
        if self.mask.is_open() {
            place.push(tr!("mask", "掩码"));
        }
        place
    }

    fn obstacle(&self, action: Action) -> Option<String> {
        if let Some(versions) = &self.versions {
            return versions.obstacle(action);
        }
        match (action, &self.rows) {
            (Action::Open, Some(rows)) if rows.selected().is_none() => Some(nothing_selected()),
            (Action::Open | Action::Delete | Action::Versions, None) if self.list.selected().is_none() => {
                Some(nothing_selected())
            }
            (Action::Back, None) if self.list.filter.is_empty() => Some(at_top()),
            (Action::Next, Some(rows)) if rows.cursor.selected + 1 >= rows.total() => {
                Some(tr!("this is the last row", "已经是最后一行"))
            }
            (Action::Previous, Some(rows)) if rows.cursor.selected == 0 => {
                Some(tr!("this is the first row", "已经是第一行"))
            }
            _ => None,
        }
    }

    fn update(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Back => self.back(),
            _ if self.versions.is_some() => {
                return self.versions.as_mut().map(|v| v.update(action)).unwrap_or_default();
            }
            _ if self.detail.is_some() => return self.at_row(action),
            Action::New => {
                return match &self.rows {
                    Some(rows) => self.edit(rows.dataset.clone(), None, blank()),
                    None => vec![Effect::Fill(FormRequest::new("data import", &[]))],
                };
            }
            Action::Open => self.open(),
            Action::Versions => {
                self.versions = self.chosen().map(Versions::new);
                return self.versions.iter().map(|v| Effect::Ask(v.want())).collect();
            }
            Action::Delete => {
                if let Some(d) = self.list.selected() {
                    return vec![Effect::Confirm(Confirm {
                        question: tr!("Delete the dataset {}?", "删除数据集 {}？", d.name),
                        detail: tr!(
                            "Its {} rows and all its versions are only hidden: U takes it back now, \
                             `linly-bench data restore` later. Adapters and runs made with it stay.",
                            "其 {} 行数据和所有版本只是被隐藏：现在按 U 可撤销，以后可用 `linly-bench data restore` 恢复。\
                             用它训练出的适配器和运行记录保留。",
                            count(d.rows())
                        ),
                        then: Some(Query::Data(DataQuery::Delete { name: d.name.clone() })),
                    })];
                }
            }
            _ => match &mut self.rows {
                Some(rows) => {
                    if rows.narrow(action) {
                        return rows.want().into_iter().map(Effect::Ask).collect();
                    }
                    let len = rows.total();
                    rows.cursor.update(action, len);
                }
                None => {
                    self.list.update(action);
                }
            },
        }
        vec![]
    }

    fn poll(&mut self, slow: bool) -> Vec<Query> {
        match &mut self.rows {
            Some(rows) => rows.want().into_iter().collect(),
            None if slow => vec![Query::Datasets],
            None => vec![],
        }
    }

    fn receive(&mut self, query: &Query, answer: Result<Answer>) -> Vec<Effect> {
        match (query, answer) {
            (Query::Datasets, Ok(Answer::Datasets(list))) => self.list.set(Ok(list)),
            (Query::Datasets, Err(error)) => self.list.set(Err(error)),
            (Query::Data(DataQuery::Rows { dataset, filter, offset, .. }), answer) => {
                if let Some(rows) = self.rows.as_mut().filter(|r| r.dataset == *dataset) {
                    match answer {
                        Ok(Answer::Data(DataAnswer::Rows(page))) => rows.receive(filter, *offset, Ok(page)),
                        Err(error) => rows.receive(filter, *offset, Err(error)),
                        _ => {}
                    }
                    // The search was typed on, or the selection moved on, in the meantime.
                    let mut effects: Vec<Effect> = rows.want().into_iter().map(Effect::Ask).collect();
                    let moved = rows.selected().is_some_and(|row| self.mask.is_open_elsewhere(row.row));
                    if moved {
                        effects.extend(self.look_at_mask());
                    }
                    return effects;
                }
            }
            (Query::Models(ModelsQuery::List), Ok(Answer::Models(ModelsAnswer::List(listed)))) => {
                return self.mask.offer(&listed).into_iter().map(Effect::Ask).collect();
            }
            (Query::Data(asked @ DataQuery::Mask { .. }), answer) => match answer {
                Ok(Answer::Data(DataAnswer::Mask(view))) => self.mask.receive(asked, Ok(view)),
                Err(error) => self.mask.receive(asked, Err(error)),
                _ => {}
            },
            (Query::Data(asked @ (DataQuery::Versions { .. } | DataQuery::Diff { .. })), answer) => {
                if let Some(versions) = &mut self.versions {
                    match answer {
                        Ok(Answer::Data(answer)) => versions.receive(asked, Ok(answer)),
                        Err(error) => versions.receive(asked, Err(error)),
                        _ => {}
                    }
                }
            }
            (
                Query::Data(DataQuery::Restore { dataset, version, row: None, undoes: false }),
                Ok(Answer::Data(DataAnswer::Changed { before, after })),
            ) => {
                let mut effects = self.refresh();
                effects.extend(self.versions.iter().map(|v| Effect::Ask(v.want())));
                effects.push(Effect::Ask(Query::Datasets));
                if before == after {
                    effects
                        .push(Effect::Notice(tr!("its rows are the newest already", "内容与最新版本相同"), Role::Dim));
                    return effects;
                }
                let told = tr!("version {version} is back as version {after}", "已把版本 {version} 恢复为版本 {after}");
                let restore = DataQuery::Restore { dataset: dataset.clone(), version: before, row: None, undoes: true };
                effects.push(Effect::Undoable { told, query: Query::Data(restore) });
                return effects;
            }
            (Query::Data(DataQuery::Delete { name }), Ok(_)) => {
                let told = tr!("{name} is deleted", "已删除 {name}");
                let query = Query::Data(DataQuery::Undelete { name: name.clone() });
                return vec![Effect::Undoable { told, query }, Effect::Ask(Query::Datasets)];
            }
            (
                Query::Data(DataQuery::Save { dataset, row, .. }),
                Ok(Answer::Data(DataAnswer::Changed { before, after })),
            ) => {
                let mut effects = self.refresh();
                if before == after {
                    effects.push(Effect::Notice(tr!("nothing was changed", "没有改动"), Role::Dim));
                    return effects;
                }
                let told = tr!("row {row} is changed: version {after}", "第 {row} 行已修改：版本 {after}");
                let restore =
                    DataQuery::Restore { dataset: dataset.clone(), version: before, row: Some(*row), undoes: true };
                effects.push(Effect::Undoable { told, query: Query::Data(restore) });
                return effects;
            }
            (Query::Data(DataQuery::Add { dataset, .. }), Ok(Answer::Data(DataAnswer::Changed { before, after }))) => {
                let mut effects = self.refresh();
                if before == after {
                    let told = tr!("the dataset has this row already", "数据集中已有这一行");
                    effects.push(Effect::Notice(told, Role::Warn));
                    return effects;
                }
                let told = tr!("a row is added: version {after}", "已新增一行：版本 {after}");
                let restore = DataQuery::Restore { dataset: dataset.clone(), version: before, row: None, undoes: true };
                effects.push(Effect::Undoable { told, query: Query::Data(restore) });
                return effects;
            }
            (Query::Data(DataQuery::Save { text, .. } | DataQuery::Add { text, .. }), Err(error)) => {
                let (row, key) = match query {
                    Query::Data(DataQuery::Save { row, .. }) => (Some(*row), 'e'),
                    _ => (None, 'n'),
                };
                self.draft = Some((row, text.clone()));
                let told = tr!("{}; `{key}` opens your text again", "{}；按 {key} 可再次打开你的文本", error.message);
                return vec![Effect::Notice(told, Role::Bad)];
            }
            (Query::Data(DataQuery::Mark { row, mark, .. }), Ok(_)) => {
                let mut effects = self.refresh();
                let told = match mark {
                    Some(Mark::Good) => tr!("row {row} is marked good", "第 {row} 行已标好"),
                    Some(Mark::Bad) => tr!("row {row} is marked bad", "第 {row} 行已标差"),
                    None => tr!("row {row} has no mark any more", "第 {row} 行的标记已去掉"),
                };
                // None when this took a mark back.
                effects.extend(self.unmark.take().map(|q| Effect::Undoable { told, query: Query::Data(q) }));
                return effects;
            }
            (Query::Data(DataQuery::Restore { .. }), Ok(_)) => {
                let mut effects = self.refresh();
                effects.extend(self.versions.iter().map(|v| Effect::Ask(v.want())));
                return effects;
            }
            (Query::Data(DataQuery::Undelete { .. }), Ok(_)) => return vec![Effect::Ask(Query::Datasets)],
            (Query::Data(_), Err(error)) => return vec![Effect::Notice(error.message, Role::Bad)],
            _ => {}
        }
        vec![]
    }

    fn edited(&mut self, _token: &str, text: String) -> Vec<Effect> {
        let Some((dataset, row, given)) = self.editing.take() else { return vec![] };
        let query = match row {
            Some(row) => DataQuery::Save { dataset, row, given, text },
            None if text.trim() == given.trim() => return vec![],
            None => DataQuery::Add { dataset, text },
        };
        vec![Effect::Ask(Query::Data(query))]
    }

    fn list(&mut self) -> Option<&mut dyn Listed> {
        match (&mut self.versions, &mut self.rows, &self.detail) {
            (Some(versions), ..) => versions.list(),
            (None, None, _) => Some(&mut self.list),
            (None, Some(rows), None) => Some(rows),
            (None, Some(_), Some(_)) => None,
        }
    }

    fn draw(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        if let Some(versions) = &self.versions {
            return versions.draw(p, area, now);
        }
        match (&self.rows, &self.detail) {
            (None, _) => self.draw_list(p, area, now),
            (Some(rows), None) => rows.draw(p, area),
            (Some(_), Some(_)) if self.mask.is_open() => self.mask.draw(p, area),
            (Some(rows), Some(pager)) => match rows.selected() {
                Some(row) => pager.draw(p, area, &row::blocks(row)),
                None => draw_loading(p, area),
            },
        }
    }
}
