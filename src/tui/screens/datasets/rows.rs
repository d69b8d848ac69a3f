//! The rows of one dataset: a stretch of them is loaded, narrowed by a search, a part, a language or a mark.

use super::super::{Fetched, Listed, draw_error, draw_loading};
use super::part;
use crate::data::Split;
use crate::error::Result;
use crate::store::Mark;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::figures::count;
use crate::tui::query::Query;
use crate::tui::source::{DataQuery, Place, RowFilter, RowPage, RowView};
use crate::tui::theme::Role;
use crate::tui::widgets::{Column, Cursor, Input, Paint, Table, Text};
use ratatui::layout::Rect;
use std::collections::BTreeMap;

/// Rows fetched at once: a dataset may have millions.
const PAGE: u64 = 200;

/// Rows of one dataset, of which a stretch around the selection is loaded.
pub struct Rows {
    pub dataset: String,
    /// The text that rows must have.
    pub search: Input,
    pub cursor: Cursor,
    split: Option<Split>,
    lang: Option<&'static str>,
    marked: Option<Mark>,
    /// Place of the first loaded row among those that pass.
    offset: u64,
    page: Fetched<RowPage>,
    /// The filter that `page` answers.
    loaded: Option<RowFilter>,
    /// Row numbers at places that have been seen: reading begins at the nearest one, not at the first row.
    seen: BTreeMap<u64, u64>,
    waiting: bool,
    /// Whether rows have changed since the page was loaded.
    stale: bool,
}

impl Rows {
    pub fn new(dataset: String) -> Rows {
        Rows {
            dataset,
            search: Input::default(),
            cursor: Cursor::default(),
            split: None,
            lang: None,
            marked: None,
            offset: 0,
            page: Fetched::Loading,
            loaded: None,
            seen: BTreeMap::new(),
            waiting: false,
            stale: false,
        }
    }

    /// How many rows pass, as far as that is known.
    pub fn total(&self) -> usize {
        match &self.page {
            Fetched::Ready(page) => usize::try_from(page.total).unwrap_or(usize::MAX),
            _ => 0,
        }
    }

    pub fn get(&self, i: usize) -> Option<&RowView> {
        match &self.page {
            Fetched::Ready(page) => page.rows.get(i.checked_sub(usize::try_from(self.offset).ok()?)?),
            _ => None,
        }
    }

    pub fn selected(&self) -> Option<&RowView> {
        self.get(self.cursor.selected)
    }

    fn wanted(&self) -> RowFilter {
        RowFilter { search: self.search.text(), split: self.split, lang: self.lang, marked: self.marked }
    }

    /// The next part, language or mark, and after the last of them all rows. False for another action.
    pub fn narrow(&mut self, action: Action) -> bool {
        match action {
            Action::ByPart => self.split = after(&[Split::Train, Split::Val], self.split),
            Action::ByLanguage => self.lang = after(&["zh", "en"], self.lang),
            Action::ByMark => self.marked = after(&[Mark::Good, Mark::Bad], self.marked),
            _ => return false,
        }
        true
    }

    /// All rows again. False when they are all shown.
    pub fn widen(&mut self) -> bool {
        let narrowed = !self.wanted().is_open();
        self.search.clear();
        (self.split, self.lang, self.marked) = (None, None, None);
        narrowed
    }

    /// Rows have changed: they are read anew.
    pub fn refresh(&mut self) -> Option<Query> {
        self.stale = true;
        self.want()
    }

    /// What the list shows, in words.
    pub fn extent(&self) -> String {
        let rows = count(self.total() as u64);
        let exact = !matches!(&self.page, Fetched::Ready(page) if !page.exact);
        let mut words = match (self.total(), exact) {
            (1, true) => tr!("1 row", "1 行"),
            (_, true) => tr!("{rows} rows", "{rows} 行"),
            (_, false) => tr!("{rows}+ rows", "{rows}+ 行"),
        };
        let narrowed = self.split.map(part).into_iter();
        for word in narrowed.chain(self.lang.map(str::to_owned)).chain(self.marked.map(marked)) {
            words.push_str(&format!("  {word}"));
        }
        words
    }

    /// The stretch to load: after another filter, or when the selection nears the end of what is here.
    pub fn want(&mut self) -> Option<Query> {
        if self.waiting {
            return None;
        }
        let filter = self.wanted();
        let selected = self.cursor.selected;
        let mut known = None;
        let offset = if self.loaded.as_ref() != Some(&filter) {
            0
        } else if std::mem::take(&mut self.stale) {
            self.seen.clear();
            self.offset
        } else {
            let near = |i: usize| i < self.total() && self.get(i).is_none();
            if !near(selected) && !near(selected.saturating_sub(50)) && !near(selected.saturating_add(50)) {
                return None;
            }
            known = match &self.page {
                Fetched::Ready(page) => Some((page.total, page.exact)),
                _ => None,
            };
            (selected as u64).saturating_sub(PAGE / 2)
        };
        if offset == 0 && known.is_none() {
            self.seen.clear();
        }
        self.waiting = true;
        let place = match self.seen.range(..=offset).next_back() {
            Some((&at, &row)) => Place { from: row, skip: offset - at },
            None => Place { from: 0, skip: offset },
        };
        let dataset = self.dataset.clone();
        Some(Query::Data(DataQuery::Rows { dataset, filter, place, offset, limit: PAGE, known }))
    }

    pub fn receive(&mut self, filter: &RowFilter, offset: u64, page: Result<RowPage>) {
        self.waiting = false;
        if self.loaded.as_ref() != Some(filter) {
            self.cursor.selected = 0;
        }
        self.loaded = Some(filter.clone());
        self.offset = offset;
        self.page = match page {
            Ok(mut page) => {
                self.settle(&mut page);
                Fetched::Ready(page)
            }
            Err(error) => Fetched::Failed(error),
        };
        self.cursor.clamp(self.total());
    }

    /// Learns from a page where its rows stand and, where not all were counted, how many there are at least.
    fn settle(&mut self, page: &mut RowPage) {
        let got = page.rows.len() as u64;
        let end = self.offset + got;
        if let (Some(first), Some(last)) = (page.rows.first(), page.rows.last()) {
            self.seen.insert(self.offset, first.row);
            self.seen.insert(end - 1, last.row);
        }
        if !page.exact {
            page.exact = got < PAGE && got > 0;
            page.total = if page.exact { end } else { page.total.max(end + 1) };
        }
    }

    pub fn draw(&self, p: &mut Paint<'_>, area: Rect) {
        match &self.page {
            Fetched::Loading => return draw_loading(p, area),
            Fetched::Failed(error) => return draw_error(p, area, error),
            Fetched::Ready(page) if page.total == 0 => {
                let note = if self.loaded.as_ref().is_some_and(RowFilter::is_open) {
                    tr!("This dataset has no rows.", "这个数据集没有数据。")
                } else {
                    tr!("No row passes the filter. Esc shows all.", "没有符合筛选条件的行。按 Esc 显示全部。")
                };
                p.paragraph(super::super::down(area, 1), &note, Role::Dim);
                return;
            }
            Fetched::Ready(_) => {}
        }
        let columns = [
            Column::number(tr!("row", "行"), 8),
            Column::new(tr!("part", "划分"), 8, 2),
            Column::new(tr!("lang", "语言"), 4, 1),
            Column::new(String::new(), 1, 7),
            Column::rest(tr!("instruction", "指令"), 12, 9),
            Column::rest(tr!("output", "回答"), 12, 3),
        ];
        let row = |i: usize| match self.get(i) {
            Some(r) => {
                let asked =
                    if r.input.is_empty() { r.instruction.clone() } else { format!("{} {}", r.instruction, r.input) };
                let mark = match r.mark {
                    Some(Mark::Good) => Text("+".into(), Role::Good),
                    Some(Mark::Bad) => Text("-".into(), Role::Bad),
                    None => "".into(),
                };
                vec![
                    Text(r.row.to_string(), Role::Dim),
                    Text(part(r.split), Role::Dim),
                    Text(r.lang.clone(), Role::Dim),
                    mark,
                    beginning(&asked).into(),
                    Text(beginning(&r.output), Role::Dim),
                ]
            }
            None => vec![Text(crate::text::ELLIPSIS.into(), Role::Dim)],
        };
        Table { columns: &columns, len: self.total(), row: &row }.draw(p, area, &self.cursor);
    }
}

impl Listed for Rows {
    fn filter(&mut self) -> &mut Input {
        &mut self.search
    }

    /// The source searches: it is asked as time passes.
    fn refilter(&mut self) {}

    fn click(&mut self, column: u16, row: u16) -> bool {
        let len = self.total();
        self.cursor.click(column, row, len)
    }
}

/// What follows `now` in `values`; nothing after the last, the first after nothing.
fn after<T: Copy + PartialEq>(values: &[T], now: Option<T>) -> Option<T> {
    let place = now.map_or(0, |now| values.iter().position(|v| *v == now).map_or(0, |i| i + 1));
    values.get(place).copied()
}

fn marked(mark: Mark) -> String {
    match mark {
        Mark::Good => tr!("marked good", "标好"),
        Mark::Bad => tr!("marked bad", "标差"),
    }
}

/// Enough of a text for one line: a row may hold a book.
fn beginning(text: &str) -> String {
    text.chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(total: u64, exact: bool, rows: std::ops::Range<u64>) -> Result<RowPage> {
        let rows = rows.map(|row| RowView { row: row * 3, ..RowView::default() }).collect();
        Ok(RowPage { total, exact, rows })
    }

    fn asked(query: Option<Query>) -> (Place, u64, Option<(u64, bool)>) {
        match query {
            Some(Query::Data(DataQuery::Rows { place, offset, known, .. })) => (place, offset, known),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reading_goes_on_from_a_row_that_was_seen() {
        let mut rows = Rows::new("d".into());
        assert_eq!(asked(rows.want()), (Place { from: 0, skip: 0 }, 0, None));
        rows.receive(&RowFilter::default(), 0, page(1_000, true, 0..200));
        assert_eq!(rows.want(), None, "everything near the selection is here");
        rows.cursor.selected = 190;
        // Place 90 lies behind row 0 of place 0; the count is not made again.
        assert_eq!(asked(rows.want()), (Place { from: 0, skip: 90 }, 90, Some((1_000, true))));
        rows.receive(&RowFilter::default(), 90, page(1_000, true, 90..290));
        rows.cursor.selected = 290;
        // 189 and 199 are known from the two pages, 190 not: from the 90th on.
        assert_eq!(asked(rows.want()), (Place { from: 270, skip: 100 }, 190, Some((1_000, true))));
    }

    #[test]
    fn a_list_that_was_not_counted_to_its_end_grows_as_it_is_read() {
        let mut rows = Rows::new("d".into());
        rows.want();
        rows.receive(&RowFilter::default(), 0, page(200, false, 0..200));
        assert_eq!(rows.total(), 201);
        rows.cursor.selected = 200;
        let (_, offset, _) = asked(rows.want());
        assert_eq!(offset, 100);
        rows.receive(&RowFilter::default(), offset, page(201, false, 100..250));
        assert_eq!(rows.total(), 250);
        assert!(!rows.extent().contains('+'), "{}", rows.extent());
    }

    #[test]
    fn filters_go_round_and_are_lifted_together() {
        let mut rows = Rows::new("d".into());
        for expected in [Some(Split::Train), Some(Split::Val), None, Some(Split::Train)] {
            assert!(rows.narrow(Action::ByPart));
            assert_eq!(rows.wanted().split, expected);
        }
        assert!(rows.narrow(Action::ByMark) && !rows.narrow(Action::Down));
        assert!(rows.widen());
        assert!(rows.wanted().is_open() && !rows.widen());
    }
}
