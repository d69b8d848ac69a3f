//! Aligned columns with a selected row. Only the rows in sight are built, so a list may be long.

use super::{Cursor, Paint};
use crate::text;
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// Marks the selected row besides its colour.
const SELECTED: &str = "▸";
/// Blank columns between two columns of the table.
const GAP: usize = 2;
/// Lists up to this length are measured as a whole, so that columns keep their place when scrolled.
const MEASURED: usize = 300;

/// At which side a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// One column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    title: String,
    align: Align,
    /// Widest it may become; what is left over goes to the columns without a bound.
    max: Option<usize>,
    /// Narrowest that is worth having, for a column without a bound.
    least: usize,
    /// When space is short, columns with the lowest rank go first; rank 9 always stays.
    rank: u8,
}

impl Column {
    /// A column of words as wide as its content, up to `max` columns.
    pub fn new(title: String, max: usize, rank: u8) -> Column {
        Column { title, align: Align::Left, max: Some(max), least: 0, rank }
    }

    /// A column of numbers.
    pub fn number(title: String, rank: u8) -> Column {
        Column { title, align: Align::Right, max: Some(24), least: 0, rank }
    }

    /// A column that takes the space that is left; others give way until it has `least` columns.
    pub fn rest(title: String, least: usize, rank: u8) -> Column {
        Column { title, align: Align::Left, max: None, least, rank }
    }
}

/// A cell's text and meaning.
#[derive(Clone, Debug, Default)]
pub struct Text(pub String, pub Role);

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(text, Role::Plain)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(text.to_owned(), Role::Plain)
    }
}

/// A table whose rows are made on demand by `row`.
pub struct Table<'a> {
    /// The columns.
    pub columns: &'a [Column],
    /// Number of rows.
    pub len: usize,
    /// Makes row `i`: one [`Text`] per column.
    pub row: &'a dyn Fn(usize) -> Vec<Text>,
}

impl Table<'_> {
    /// Draws a heading and the rows around `cursor`.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect, cursor: &Cursor) {
        if area.height < 2 || area.width < 8 {
            return;
        }
        let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        let window = cursor.window(body, self.len);
        let measured = if self.len <= MEASURED { 0..self.len } else { window.clone() };
        let widths = self.widths(usize::from(area.width) - 2, measured);
        self.line(p, area, &widths, |c| (self.columns[c].title.clone(), Role::Dim));
        for (y, i) in (body.y..).zip(window) {
            let line = Rect { y, height: 1, ..body };
            let chosen = i == cursor.selected;
            if chosen {
                if let Some(ground) = p.theme.selected() {
                    p.buf.set_style(line.intersection(p.buf.area), ground);
                }
                p.text(area.x, y, 1, SELECTED, Role::Accent);
            }
            let cells = (self.row)(i);
            self.line(p, line, &widths, |c| {
                let Text(text, role) = cells.get(c).cloned().unwrap_or_default();
                (text, if chosen && role == Role::Plain { Role::Accent } else { role })
            });
        }
    }

    fn line(&self, p: &mut Paint<'_>, area: Rect, widths: &[Option<usize>], cell: impl Fn(usize) -> (String, Role)) {
        let mut x = area.x + 2;
        for (c, width) in widths.iter().enumerate() {
            let Some(width) = *width else { continue };
            let (content, role) = cell(c);
            let content = text::one_line(&content);
            let shown = match self.columns[c].align {
                Align::Left => text::truncate(&content, width),
                Align::Right => text::pad_left(&content, width),
            };
            let columns = u16::try_from(width).unwrap_or(u16::MAX).min(area.right().saturating_sub(x));
            p.text(x, area.y, columns, &shown, role);
            x = x.saturating_add(columns).saturating_add(GAP as u16);
        }
    }

    /// A width per column; none for those that found no space.
    fn widths(&self, available: usize, rows: std::ops::Range<usize>) -> Vec<Option<usize>> {
        let mut natural: Vec<usize> = self.columns.iter().map(|c| text::width(&c.title)).collect();
        for i in rows {
            for (c, Text(content, _)) in (self.row)(i).iter().enumerate().take(natural.len()) {
                let (max, least) = (self.columns[c].max, self.columns[c].least);
                let content = text::one_line(content);
                natural[c] = natural[c].max(text::width(&content).min(max.unwrap_or(least)));
            }
        }
        let bounded = |(column, natural): (&Column, usize)| Some(natural.min(column.max.unwrap_or(natural)));
        let mut widths: Vec<Option<usize>> = self.columns.iter().zip(natural).map(bounded).collect();
        let total =
            |widths: &[Option<usize>]| widths.iter().flatten().map(|w| w + GAP).sum::<usize>().saturating_sub(GAP);
        let natural = widths.clone();
        while total(&widths) > available {
            let weakest = (0..widths.len())
                .rev()
                .filter(|&c| widths[c].is_some() && self.columns[c].rank < 9)
                .min_by_key(|&c| self.columns[c].rank);
            match weakest {
                Some(c) => widths[c] = None,
                None => break,
            }
        }
        // A wide column that went may have made room for a narrow one that went before it.
        let mut gone: Vec<usize> = (0..widths.len()).filter(|&c| widths[c].is_none()).collect();
        gone.sort_by_key(|&c| std::cmp::Reverse(self.columns[c].rank));
        for c in gone {
            if total(&widths) + GAP + natural[c].unwrap_or(0) <= available {
                widths[c] = natural[c];
            }
        }
        let over = total(&widths).saturating_sub(available);
        if over > 0
            && let Some(widest) = widths.iter_mut().flatten().max()
        {
            *widest = widest.saturating_sub(over).max(4);
        }
        let spare = available.saturating_sub(total(&widths));
        let takers: Vec<usize> =
            (0..widths.len()).filter(|&c| widths[c].is_some() && self.columns[c].max.is_none()).collect();
        if let Some(share) = spare.checked_div(takers.len()) {
            for c in takers {
                widths[c] = widths[c].map(|w| w + share);
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> [Column; 4] {
        [
            Column::new("name".into(), 20, 9),
            Column::number("n".into(), 5),
            Column::new("licence".into(), 10, 1),
            Column::rest("text".into(), 12, 3),
        ]
    }

    fn widths(available: usize) -> Vec<Option<usize>> {
        let columns = columns();
        let row = |_| vec!["聚宝盆".into(), "12,345".into(), "Apache-2.0 and more".into(), "a rather long text".into()];
        Table { columns: &columns, len: 3, row: &row }.widths(available, 0..3)
    }

    #[test]
    fn columns_fill_the_width_exactly_or_give_way_by_rank() {
        assert_eq!(widths(60), [Some(6), Some(6), Some(10), Some(60 - 22 - 6)]);
        assert_eq!(widths(38), [Some(6), Some(6), None, Some(38 - 12 - 4)]);
        assert_eq!(widths(20), [Some(6), Some(6), None, None]);
        assert_eq!(widths(10), [Some(6), None, None, None]);
        assert_eq!(widths(5), [Some(5), None, None, None]);
    }
}
