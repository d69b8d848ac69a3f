//! Plain tables for people: columns as wide as their widest cell, in terminal columns.

use crate::text::{pad, pad_left, width};

/// How a column is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// The lines of a table under `header`. Cells must be free of control characters (`text::one_line`).
/// The first column gives way (is cut) when the table would be wider than `limit`.
pub fn columns(header: &[(String, Align)], rows: &[Vec<String>], limit: usize) -> Vec<String> {
    let mut widths: Vec<usize> = header.iter().map(|(name, _)| width(name)).collect();
    for row in rows {
        for (w, cell) in widths.iter_mut().zip(row) {
            *w = (*w).max(width(cell));
        }
    }
    let total: usize = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
    if let Some(first) = widths.first_mut() {
        *first = first.saturating_sub(total.saturating_sub(limit)).max(8);
    }
    let line = |cells: &mut dyn Iterator<Item = &String>| {
        let parts: Vec<String> = cells
            .zip(header.iter().zip(&widths))
            .map(|(cell, ((_, align), w))| if *align == Align::Left { pad(cell, *w) } else { pad_left(cell, *w) })
            .collect();
        parts.join("  ").trim_end().to_owned()
    };
    std::iter::once(line(&mut header.iter().map(|(name, _)| name)))
        .chain(rows.iter().map(|row| line(&mut row.iter())))
        .collect()
}
