//! Text on a terminal: how wide it is, how it is cut, padded and wrapped, and how text that came from
//! elsewhere is made harmless. A Chinese character takes two columns, so columns are never `len()`
//! or `chars().count()`; cuts fall between grapheme clusters, so an emoji or an accent stays whole.

mod clean;
mod nearest;
mod wrap;

pub use clean::{PieceCleaner, clean};
pub use nearest::nearest;
pub use wrap::{GrowingLines, wrap};

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Stands for what [`truncate`] left out. One column everywhere: U+2026 is drawn two columns wide by
/// some East Asian terminals and would shift the rest of the line.
pub const ELLIPSIS: &str = "⋯";

/// Columns that `text` takes on a terminal. Expects cleaned text (see [`clean()`]).
pub fn width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// `text` in at most `columns` columns; [`ELLIPSIS`] marks a cut.
pub fn truncate(text: &str, columns: usize) -> String {
    // Long enough for any text that fits, so that a megabyte is not measured to show ten columns.
    let (whole, used) = prefix(text, columns);
    if whole == text.len() {
        return text.to_owned();
    }
    if columns == 0 {
        return String::new();
    }
    let (end, _) = if used < columns { (whole, used) } else { prefix(text, columns - 1) };
    let head = text.get(..end).unwrap_or_default();
    format!("{head}{ELLIPSIS}")
}

/// `text` in exactly `columns` columns: cut like [`truncate`], or filled with blanks on the right.
pub fn pad(text: &str, columns: usize) -> String {
    let mut out = truncate(text, columns);
    let missing = columns.saturating_sub(width(&out));
    out.extend(std::iter::repeat_n(' ', missing));
    out
}

/// `text` in exactly `columns` columns, at the right (numbers).
pub fn pad_left(text: &str, columns: usize) -> String {
    let cut = truncate(text, columns);
    let missing = columns.saturating_sub(width(&cut));
    format!("{}{cut}", " ".repeat(missing))
}

/// [Cleaned](clean()) text on a single line: each run of white space becomes one blank.
pub fn one_line(text: &str) -> String {
    let text = clean(text);
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// The longest beginning of `text` that fits: its bytes and its columns.
fn prefix(text: &str, columns: usize) -> (usize, usize) {
    let mut used = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        let w = UnicodeWidthStr::width(grapheme);
        if used + w > columns {
            return (at, used);
        }
        used += w;
    }
    (text.len(), used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_not_characters() {
        assert_eq!(width("abc"), 3);
        assert_eq!(width("聚宝盆"), 6);
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(width("👨‍👩‍👧"), 2);
        assert_eq!(width(ELLIPSIS), 1);
    }

    #[test]
    fn a_cut_never_exceeds_its_columns() {
        let text = "a聚宝盆👨‍👩‍👧e\u{301}z";
        for columns in 0..16 {
            assert!(width(&truncate(text, columns)) <= columns, "{columns}");
            assert_eq!(width(&pad(text, columns)), columns);
            assert_eq!(width(&pad_left(text, columns)), columns);
        }
        assert_eq!(truncate("聚宝盆", 6), "聚宝盆");
        assert_eq!(truncate("聚宝盆", 5), "聚宝⋯");
        assert_eq!(truncate("聚宝盆", 4), "聚⋯");
        assert_eq!(truncate("abc", 2), "a⋯");
        assert_eq!(truncate("", 0), "");
        assert_eq!(pad("聚", 4), "聚  ");
        assert_eq!(pad_left("12", 4), "  12");
    }
}
