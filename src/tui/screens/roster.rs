//! A fetched list with a filter and a selection that survives refreshing.

use super::{Empty, Fetched, Listed, draw_error, draw_loading};
use crate::error::Result;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::theme::Role;
use crate::tui::widgets::{Column, Cursor, Input, Paint, Table, Text, fuzzy};
use ratatui::layout::Rect;

/// A list of `T`.
pub struct Roster<T> {
    items: Fetched<Vec<T>>,
    /// What the list is narrowed to.
    pub filter: Input,
    cursor: Cursor,
    /// Places in `items` of what passes the filter.
    shown: Vec<usize>,
    /// What identifies an item from one refresh to the next.
    key: fn(&T) -> String,
    /// What the filter looks into.
    searched: fn(&T) -> String,
    /// A second condition besides the filter.
    keep: fn(&T) -> bool,
}

impl<T> Roster<T> {
    pub fn new(key: fn(&T) -> String, searched: fn(&T) -> String) -> Roster<T> {
        Roster {
            items: Fetched::Loading,
            filter: Input::default(),
            cursor: Cursor::default(),
            shown: Vec::new(),
            key,
            searched,
            keep: |_| true,
        }
    }

    /// Replaces the items; what was selected stays selected if it is still there.
    pub fn set(&mut self, items: Result<Vec<T>>) {
        let before = self.selected().map(self.key);
        self.items = match items {
            Ok(items) => Fetched::Ready(items),
            Err(error) => Fetched::Failed(error),
        };
        self.refilter();
        if let Some(before) = before
            && let Some(place) = (0..self.len()).find(|&i| self.get(i).map(self.key).as_ref() == Some(&before))
        {
            self.cursor.selected = place;
        }
    }

    /// Applies the filter anew.
    pub fn refilter(&mut self) {
        let wanted = self.filter.text();
        let Fetched::Ready(items) = &self.items else {
            self.shown.clear();
            return;
        };
        self.shown = (0..items.len())
            .filter(|&i| items.get(i).is_some_and(|t| (self.keep)(t) && fuzzy(&wanted, &(self.searched)(t))))
            .collect();
        self.cursor.clamp(self.shown.len());
    }

    /// Narrows the list to what `keep` accepts.
    pub fn keep(&mut self, keep: fn(&T) -> bool) {
        self.keep = keep;
        self.refilter();
    }

    /// All items, filtered or not.
    pub fn all(&self) -> &[T] {
        match &self.items {
            Fetched::Ready(items) => items,
            _ => &[],
        }
    }

    /// How many items pass the filter.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// The `i`-th of those that pass the filter.
    pub fn get(&self, i: usize) -> Option<&T> {
        self.all().get(*self.shown.get(i)?)
    }

    pub fn selected(&self) -> Option<&T> {
        self.get(self.cursor.selected)
    }

    /// Place of the selected item among those shown, from 0.
    pub fn place(&self) -> usize {
        self.cursor.selected
    }

    /// Moves the selection. False when `action` is no movement.
    pub fn update(&mut self, action: Action) -> bool {
        self.cursor.update(action, self.shown.len())
    }

    /// Draws the list, or why there is none.
    pub fn draw(
        &self,
        p: &mut Paint<'_>,
        area: Rect,
        columns: &[Column],
        row: &dyn Fn(&T) -> Vec<Text>,
        empty: &Empty,
    ) {
        match &self.items {
            Fetched::Loading => draw_loading(p, area),
            Fetched::Failed(error) => draw_error(p, area, error),
            Fetched::Ready(items) if items.is_empty() => empty.draw(p, area),
            Fetched::Ready(_) if self.shown.is_empty() => {
                let note = if self.filter.is_empty() {
                    tr!("Nothing here passes this view's condition.", "没有符合条件的条目。")
                } else {
                    tr!(
                        "Nothing matches `{}`. Esc clears the filter.",
                        "没有与 `{}` 匹配的条目。按 Esc 清除筛选。",
                        crate::text::truncate(&crate::text::one_line(&self.filter.text()), 40)
                    )
                };
                p.paragraph(super::down(area, 1), &note, Role::Dim);
            }
            Fetched::Ready(_) => {
                let row = |i: usize| self.get(i).map(row).unwrap_or_default();
                Table { columns, len: self.shown.len(), row: &row }.draw(p, area, &self.cursor);
            }
        }
    }
}

impl<T> Listed for Roster<T> {
    fn filter(&mut self) -> &mut Input {
        &mut self.filter
    }

    fn refilter(&mut self) {
        Roster::refilter(self);
    }

    fn click(&mut self, column: u16, row: u16) -> bool {
        self.cursor.click(column, row, self.shown.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster(items: &[&str]) -> Roster<String> {
        let mut r = Roster::new(String::clone, String::clone);
        r.set(Ok(items.iter().map(ToString::to_string).collect()));
        r
    }

    #[test]
    fn a_refresh_keeps_what_is_selected() {
        let mut r = roster(&["a", "b", "c"]);
        r.update(Action::Last);
        r.set(Ok(vec!["new".into(), "a".into(), "b".into(), "c".into()]));
        assert_eq!(r.selected().map(String::as_str), Some("c"));
        r.filter.insert("a");
        r.refilter();
        assert_eq!(r.selected().map(String::as_str), Some("a"));
        r.set(Ok(vec![]));
        assert_eq!(r.selected(), None);
    }
}
