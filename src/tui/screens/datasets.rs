//! Datasets: the list, the rows of one, one row in full.

use super::roster::Roster;
use super::{Confirm, Effect, Empty, Fetched, Screen, at_top, draw_error, draw_loading, nothing_selected};
use crate::data::Split;
use crate::error::Result;
use crate::store::Mark;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::figures::{ago, count};
use crate::tui::form::FormRequest;
use crate::tui::keymap::View;
use crate::tui::query::{Answer, Query};
use crate::tui::source::{DataAnswer, DataQuery, DatasetView, Place, RowFilter, RowPage, RowView};
use crate::tui::theme::Role;
use crate::tui::widgets::{Block, Column, Cursor, Input, Pager, Paint, Table, Text};
use ratatui::layout::Rect;

/// Rows fetched at once: a dataset may have millions.
const PAGE: u64 = 200;

/// The datasets screen.
pub struct Datasets {
    list: Roster<DatasetView>,
    rows: Option<Rows>,
    /// The row shown in full, if one is.
    detail: Option<Pager>,
    /// The row in the user's editor: its dataset, its number, the text that was given out.
    editing: Option<(String, u64, String)>,
    /// A text that was refused: it is offered again.
    draft: Option<(u64, String)>,
}

/// Rows of one dataset, of which a stretch around the selection is loaded.
struct Rows {
    dataset: String,
    search: Input,
    cursor: Cursor,
    offset: u64,
    page: Fetched<RowPage>,
    /// The search that `page` answers.
    loaded: Option<String>,
    waiting: bool,
    /// Whether rows have changed since the page was loaded.
    stale: bool,
}

impl Rows {
    fn total(&self) -> usize {
        match &self.page {
            Fetched::Ready(page) => usize::try_from(page.total).unwrap_or(usize::MAX),
            _ => 0,
        }
    }

    fn get(&self, i: usize) -> Option<&RowView> {
        match &self.page {
            Fetched::Ready(page) => page.rows.get(i.checked_sub(usize::try_from(self.offset).ok()?)?),
            _ => None,
        }
    }

    /// The stretch to load: after a new search, or when the selection nears the end of what is here.
    fn want(&mut self) -> Option<Query> {
        if self.waiting {
            return None;
        }
        let search = self.search.text();
        let selected = self.cursor.selected;
        let offset = if std::mem::take(&mut self.stale) {
            self.offset
        } else if self.loaded.as_ref() != Some(&search) {
            0
        } else {
            let near = |i: usize| i < self.total() && self.get(i).is_none();
            if !near(selected) && !near(selected.saturating_sub(50)) && !near(selected.saturating_add(50)) {
                return None;
            }
            (selected as u64).saturating_sub(PAGE / 2)
        };
        self.waiting = true;
        let filter = RowFilter { search, ..RowFilter::default() };
        let place = Place { from: 0, skip: offset };
        let dataset = self.dataset.clone();
        Some(Query::Data(DataQuery::Rows { dataset, filter, place, offset, limit: PAGE, known: None }))
    }

    fn receive(&mut self, search: &str, offset: u64, page: Result<RowPage>) {
        self.waiting = false;
        if self.loaded.as_deref() != Some(search) {
            self.cursor.selected = 0;
        }
        self.loaded = Some(search.to_owned());
        self.offset = offset;
        self.page = match page {
            Ok(page) => Fetched::Ready(page),
            Err(error) => Fetched::Failed(error),
        };
        self.cursor.clamp(self.total());
    }
}

impl Default for Datasets {
    fn default() -> Datasets {
        Datasets {
            list: Roster::new(|d| d.name.clone(), |d| format!("{} {} {}", d.name, d.source, d.licence)),
            rows: None,
            detail: None,
            editing: None,
            draft: None,
        }
    }
}

impl Datasets {
    fn open(&mut self) {
        match &self.rows {
            Some(_) => self.detail = Some(Pager::default()),
            None => {
                self.rows = self.list.selected().map(|d| Rows {
                    dataset: d.name.clone(),
                    search: Input::default(),
                    cursor: Cursor::default(),
                    offset: 0,
                    page: Fetched::Loading,
                    loaded: None,
                    waiting: false,
                    stale: false,
                });
            }
        }
    }

    fn back(&mut self) {
        if self.detail.take().is_some() {
            return;
        }
        match &mut self.rows {
            Some(rows) if !rows.search.is_empty() => rows.search.clear(),
            Some(_) => self.rows = None,
            None => {
                self.list.filter.clear();
                self.list.refilter();
            }
        }
    }

    /// The rows are asked for again.
    fn refresh(&mut self) {
        if let Some(rows) = &mut self.rows {
            rows.stale = true;
        }
    }

    /// Edits, marks or copies the row that is shown.
    fn change(&mut self, action: Action) -> Vec<Effect> {
        let Some(rows) = &self.rows else { return vec![] };
        let Some(row) = rows.get(rows.cursor.selected) else { return vec![] };
        let wanted = match action {
            Action::Copy => return vec![Effect::Copy(row.editable.clone())],
            Action::Edit => {
                let draft = self.draft.take().filter(|(number, _)| *number == row.row).map(|(_, text)| text);
                let text = draft.unwrap_or_else(|| row.editable.clone());
                let token = format!("{} {}", rows.dataset, row.row);
                self.editing = Some((rows.dataset.clone(), row.row, row.editable.clone()));
                return vec![Effect::Edit { token, ending: "json", text }];
            }
            Action::MarkGood => Mark::Good,
            _ => Mark::Bad,
        };
        // The same key again takes the mark away.
        let mark = Some(wanted).filter(|_| row.mark != Some(wanted));
        let (dataset, note) = (rows.dataset.clone(), row.note.clone());
        vec![Effect::Ask(Query::Data(DataQuery::Mark { dataset, row: row.row, mark, note }))]
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

    fn draw_rows(p: &mut Paint<'_>, area: Rect, rows: &Rows) {
        match &rows.page {
            Fetched::Loading => return draw_loading(p, area),
            Fetched::Failed(error) => return draw_error(p, area, error),
            Fetched::Ready(page) if page.total == 0 => {
                let note = if rows.search.is_empty() {
                    tr!("This dataset has no rows.", "这个数据集没有数据。")
                } else {
                    tr!(
                        "No row contains `{}`. Esc clears the search.",
                        "没有包含 `{}` 的行。按 Esc 清除搜索。",
                        rows.search.text()
                    )
                };
                p.paragraph(super::down(area, 1), &note, Role::Dim);
                return;
            }
            Fetched::Ready(_) => {}
        }
        let columns = [
            Column::number(tr!("row", "行"), 8),
            Column::new(tr!("part", "划分"), 8, 2),
            Column::new(tr!("lang", "语言"), 4, 1),
            Column::rest(tr!("instruction", "指令"), 12, 9),
            Column::rest(tr!("output", "回答"), 12, 3),
        ];
        let row = |i: usize| match rows.get(i) {
            Some(r) => {
                let asked =
                    if r.input.is_empty() { r.instruction.clone() } else { format!("{} {}", r.instruction, r.input) };
                vec![
                    Text(r.row.to_string(), Role::Dim),
                    Text(part(r.split), Role::Dim),
                    Text(r.lang.clone(), Role::Dim),
                    beginning(&asked).into(),
                    Text(beginning(&r.output), Role::Dim),
                ]
            }
            None => vec![Text(crate::text::ELLIPSIS.into(), Role::Dim)],
        };
        Table { columns: &columns, len: rows.total(), row: &row }.draw(p, area, &rows.cursor);
    }

    fn draw_row(p: &mut Paint<'_>, area: Rect, row: &RowView, pager: &Pager) {
        let mark = match row.mark {
            Some(Mark::Good) => tr!("   + good", "   + 好"),
            Some(Mark::Bad) => tr!("   - bad", "   - 差"),
            None => String::new(),
        };
        let facts = format!("{}   {}   {}{mark}", part(row.split), row.lang, row.origin);
        let mut blocks = vec![Block { role: Role::Dim, ..Block::new("", facts) }];
        if !row.system.is_empty() {
            blocks.push(Block::new(tr!("system", "系统消息"), row.system.as_str()));
        }
        if !row.tools.is_empty() {
            blocks.push(Block::new(tr!("tools", "工具"), row.tools.as_str()));
        }
        for (i, (question, answer)) in row.history.iter().enumerate() {
            let turn = i + 1;
            let asked = if row.tool_turns.contains(&i) {
                tr!("turn {turn}, tool result", "第 {turn} 轮 工具结果")
            } else {
                tr!("turn {turn}, question", "第 {turn} 轮 问")
            };
            blocks.push(Block::new(asked, question.as_str()));
            blocks.push(Block::new(tr!("turn {turn}, answer", "第 {turn} 轮 答"), answer.as_str()));
        }
        let own = row.tool_turns.contains(&row.history.len());
        let asked = if own { tr!("tool result", "工具结果") } else { tr!("instruction", "指令") };
        blocks.push(Block::new(asked, row.instruction.as_str()));
        if !row.input.is_empty() {
            blocks.push(Block::new(tr!("input", "输入"), row.input.as_str()));
        }
        blocks.push(Block::new(tr!("output", "回答"), row.output.as_str()));
        pager.draw(p, area, &blocks);
    }
}

/// Enough of a text for one line: a row may hold a book.
fn beginning(text: &str) -> String {
    text.chars().take(400).collect()
}

fn part(split: Split) -> String {
    match split {
        Split::Train => tr!("train", "训练"),
        Split::Val => tr!("held out", "留出"),
    }
}

impl Screen for Datasets {
    fn view(&self) -> View {
        match (&self.rows, &self.detail) {
            (None, _) => View::Datasets,
            (Some(_), None) => View::Rows,
            (Some(_), Some(_)) => View::Row,
        }
    }

    fn place(&self) -> Vec<String> {
        let Some(rows) = &self.rows else {
            return vec![tr!("Datasets", "数据集"), count(self.list.len() as u64)];
        };
        let mut place = vec![rows.dataset.clone()];
        match (&self.detail, rows.get(rows.cursor.selected)) {
            (Some(_), Some(row)) => place.push(tr!("row {}", "第 {} 行", row.row)),
            _ => place.push(tr!("{} rows", "{} 行", count(rows.total() as u64))),
        }
        place
    }

    fn obstacle(&self, action: Action) -> Option<String> {
        match (action, &self.rows) {
            (Action::Open, Some(rows)) if rows.get(rows.cursor.selected).is_none() => Some(nothing_selected()),
            (Action::Open | Action::Delete, None) if self.list.selected().is_none() => Some(nothing_selected()),
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
            Action::New => return vec![Effect::Fill(FormRequest::new("data import", &[]))],
            Action::Open => self.open(),
            Action::Back => self.back(),
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
            _ => match (&mut self.rows, &mut self.detail) {
                (Some(rows), Some(pager)) => {
                    let len = rows.total();
                    match action {
                        Action::Next => rows.cursor.update(Action::Down, len),
                        Action::Previous => rows.cursor.update(Action::Up, len),
                        Action::Edit | Action::MarkGood | Action::MarkBad | Action::Copy => {
                            return self.change(action);
                        }
                        _ => {
                            pager.update(action);
                            return vec![];
                        }
                    };
                    pager.reset();
                }
                (Some(rows), None) => {
                    let len = rows.total();
                    rows.cursor.update(action, len);
                }
                _ => {
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
                let search = &filter.search;
                if let Some(rows) = self.rows.as_mut().filter(|r| r.dataset == *dataset) {
                    match answer {
                        Ok(Answer::Data(DataAnswer::Rows(page))) => rows.receive(search, *offset, Ok(page)),
                        Err(error) => rows.receive(search, *offset, Err(error)),
                        _ => {}
                    }
                    // The search was typed on, or the selection moved on, in the meantime.
                    return rows.want().into_iter().map(Effect::Ask).collect();
                }
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
                self.refresh();
                if before == after {
                    return vec![Effect::Notice(tr!("nothing was changed", "没有改动"), Role::Dim)];
                }
                let told = tr!("row {row} is changed: version {after}", "第 {row} 行已修改：版本 {after}");
                let restore =
                    DataQuery::Restore { dataset: dataset.clone(), version: before, row: Some(*row), undoes: true };
                return vec![Effect::Undoable { told, query: Query::Data(restore) }];
            }
            (Query::Data(DataQuery::Save { row, text, .. }), Err(error)) => {
                self.draft = Some((*row, text.clone()));
                let told = tr!("{}; `e` opens your text again", "{}；按 e 可再次打开你的文本", error.message);
                return vec![Effect::Notice(told, Role::Bad)];
            }
            (Query::Data(DataQuery::Restore { .. } | DataQuery::Mark { .. }), Ok(_)) => self.refresh(),
            (Query::Data(DataQuery::Undelete { .. }), Ok(_)) => return vec![Effect::Ask(Query::Datasets)],
            (Query::Data(_), Err(error)) => return vec![Effect::Notice(error.message, Role::Bad)],
            _ => {}
        }
        vec![]
    }

    fn edited(&mut self, _token: &str, text: String) -> Vec<Effect> {
        let Some((dataset, row, given)) = self.editing.take() else { return vec![] };
        vec![Effect::Ask(Query::Data(DataQuery::Save { dataset, row, given, text }))]
    }

    fn filter(&mut self) -> Option<&mut Input> {
        match (&mut self.rows, &self.detail) {
            (None, _) => Some(&mut self.list.filter),
            (Some(rows), None) => Some(&mut rows.search),
            _ => None,
        }
    }

    fn filtered(&mut self) {
        self.list.refilter();
    }

    fn click(&mut self, column: u16, row: u16) -> bool {
        match (&mut self.rows, &self.detail) {
            (None, _) => self.list.click(column, row),
            (Some(rows), None) => {
                let len = rows.total();
                rows.cursor.click(column, row, len)
            }
            _ => false,
        }
    }

    fn draw(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        match (&self.rows, &self.detail) {
            (None, _) => self.draw_list(p, area, now),
            (Some(rows), None) => Self::draw_rows(p, area, rows),
            (Some(rows), Some(pager)) => match rows.get(rows.cursor.selected) {
                Some(row) => Self::draw_row(p, area, row, pager),
                None => draw_loading(p, area),
            },
        }
    }
}
