//! Plain tables for people: columns as wide as their widest cell, in terminal columns.

use crate::store::RunRecord;
use crate::text::{one_line, pad, pad_left, width, wrap};

/// How a column is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// The lines of a table under `header`. Cells must be free of control characters (`text::one_line`).
/// The first column is cut when the table would be wider than `limit`.
pub fn columns(header: &[(String, Align)], rows: &[Vec<String>], limit: usize) -> Vec<String> {
    columns_cutting(header, rows, limit, 0)
}

/// [`columns`] where the column `gives_way` is the one that is cut.
pub fn columns_cutting(
    header: &[(String, Align)],
    rows: &[Vec<String>],
    limit: usize,
    gives_way: usize,
) -> Vec<String> {
    let widths = widths(header, rows, limit, gives_way);
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

/// [`columns_cutting`] where the column that gives way goes on on further lines instead, so that nothing of it is lost.
pub fn columns_wrapping(
    header: &[(String, Align)],
    rows: &[Vec<String>],
    limit: usize,
    gives_way: usize,
) -> Vec<String> {
    let room = widths(header, rows, limit, gives_way).get(gives_way).copied().unwrap_or(limit);
    let mut wrapped = Vec::new();
    for row in rows {
        let parts = wrap(row.get(gives_way).map_or("", String::as_str), room);
        for (at, part) in parts.into_iter().enumerate() {
            // A further line has nothing in the other columns.
            let mut cells = if at == 0 { row.clone() } else { vec![String::new(); row.len()] };
            if let Some(cell) = cells.get_mut(gives_way) {
                *cell = part;
            }
            wrapped.push(cells);
        }
    }
    columns_cutting(header, &wrapped, limit, gives_way)
}

/// The width of each column where the column `gives_way` leaves the others their room.
fn widths(header: &[(String, Align)], rows: &[Vec<String>], limit: usize, gives_way: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = header.iter().map(|(name, _)| width(name)).collect();
    for row in rows {
        for (w, cell) in widths.iter_mut().zip(row) {
            *w = (*w).max(width(cell));
        }
    }
    let total: usize = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
    if let Some(w) = widths.get_mut(gives_way).filter(|_| total > limit) {
        *w = w.saturating_sub(total - limit).max(8);
    }
    widths
}

/// A model with its adapter for people: of a path only the last part, cleaned.
pub fn model_label(model: &str, adapter: &str) -> String {
    // A server's model by its name there and the server's.
    if let Some((base, name)) = model.split_once('#').filter(|_| crate::remote::is_address(model)) {
        let server = base.split('/').nth(2).unwrap_or(base);
        return one_line(&format!("{name} @ {server}"));
    }
    let last = |path: &str| path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or(path).to_owned();
    let label = if adapter.is_empty() { last(model) } else { format!("{} + {}", last(model), last(adapter)) };
    one_line(&label)
}

/// The model of a run for people, with the form of its weights where that is not the usual f32.
pub fn run_label(run: &RunRecord) -> String {
    let label = model_label(&run.model, &run.adapter);
    match run.result.get("weights").and_then(serde_json::Value::as_str) {
        Some(weights) if !["", "f32"].contains(&weights) && run.kind == "eval" => {
            format!("{label} ({})", one_line(weights))
        }
        _ => label,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_column_gives_way_and_wide_text_stays_aligned() {
        let header =
            [("运行".to_owned(), Align::Left), ("model".to_owned(), Align::Left), ("n".to_owned(), Align::Right)];
        let row = |a: &str, b: &str, n: &str| vec![a.to_owned(), b.to_owned(), n.to_owned()];
        let rows = [row("eval-1", "一个名字很长的模型", "7"), row("eval-22", "m", "1234")];
        let lines = columns_cutting(&header, &rows, 28, 1);
        assert!(lines.iter().all(|l| width(l) == 28), "{lines:#?}");
        assert!(lines[2].contains("eval-22"), "{lines:#?}");
        assert!(columns(&header, &rows, 80)[1].contains("一个名字很长的模型"));
    }

    #[test]
    fn a_column_that_wraps_loses_nothing() {
        let header = [("n".to_owned(), Align::Right), ("what".to_owned(), Align::Left), ("t".to_owned(), Align::Left)];
        let row = |n: &str, what: &str| vec![n.to_owned(), what.to_owned(), "x".to_owned()];
        let rows = [row("1", "short"), row("22", "a message of several words 与几个汉字")];
        let lines = columns_wrapping(&header, &rows, 24, 1);
        assert!(lines.len() > 3 && lines.iter().all(|line| width(line) <= 24), "{lines:#?}");
        let words: String = lines.iter().skip(2).flat_map(|line| line.chars()).filter(|c| !c.is_whitespace()).collect();
        assert_eq!(words.replacen('x', "", 1), "22amessageofseveralwords与几个汉字");
        assert_eq!(columns_wrapping(&header, &rows, 80, 1).len(), 3);
    }

    #[test]
    fn a_path_is_shown_by_its_last_part() {
        assert_eq!(model_label("/a/b/model.gguf", ""), "model.gguf");
        assert_eq!(model_label("smollm2-135m", "runs/jubaopen/"), "smollm2-135m + jubaopen");
        assert_eq!(model_label("a\u{1b}[31mb", ""), "ab");
        assert_eq!(model_label("http://h:80/v1#org/m", ""), "org/m @ h:80");
    }
}
