//! The leaderboard as a table for people, Markdown, CSV, JSON or a page.

use super::{Leaderboard, Row};
use crate::error::{Error, Result};
use crate::text;
use crate::tr;
use std::fmt::Write;

/// How the leaderboard is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns.
    Table,
    /// A Markdown table.
    Markdown,
    /// One line per number: row, column, value, error, n, source.
    Csv,
    /// The [`Leaderboard`] as it is.
    Json,
    /// A page that needs nothing else.
    Html,
}

/// The leaderboard in `format`, ending in a line end. `columns` is the width a table may take; a wider one is continued
/// below, with the names repeated.
///
/// # Errors
/// `Internal` when it cannot be written as JSON.
pub fn render(board: &Leaderboard, format: Format, columns: usize) -> Result<String> {
    match format {
        Format::Table => Ok(table(&Sheet::of(board), columns)),
        Format::Markdown => Ok(markdown(&Sheet::of(board))),
        Format::Html => Ok(html(&Sheet::of(board))),
        Format::Csv => Ok(csv(board)),
        Format::Json => {
            let text = serde_json::to_string(board).map_err(|e| Error::internal(e.to_string()))?;
            Ok(text + "\n")
        }
    }
}

/// Headings and cells as text, and the sources that the small numbers in brackets stand for.
struct Sheet {
    heads: Vec<String>,
    /// One list per row: the name, then a cell per further heading.
    rows: Vec<Vec<String>>,
    sources: Vec<String>,
}

impl Sheet {
    fn of(board: &Leaderboard) -> Sheet {
        let mut heads = vec![tr!("model", "模型")];
        heads.extend(board.benchmarks.iter().map(|b| text::one_line(&b.title())));
        heads.extend(board.losses.iter().enumerate().map(|(i, loss)| {
            let dataset = text::one_line(&loss.dataset);
            // Two versions of a dataset look alike without a piece of the version.
            let twin = board.losses.iter().enumerate().any(|(k, other)| k != i && other.dataset == loss.dataset);
            let version =
                if twin { format!("@{}", loss.version.chars().take(6).collect::<String>()) } else { String::new() };
            tr!("val loss {dataset}{version}", "验证损失 {dataset}{version}")
        }));
        heads.extend(board.arenas.iter().map(|arena| {
            let arena = text::one_line(arena);
            tr!("rating {arena}", "等级分 {arena}")
        }));
        let mut sources = Vec::new();
        let rows = board.rows.iter().map(|row| cells(row, &mut sources)).collect();
        Sheet { heads, rows, sources }
    }

    fn nothing() -> String {
        tr!(
            "nothing has been measured yet: `linly-bench run` scores a model, `linly-bench arena battle` plays battles",
            "还没有任何结果：用 `linly-bench run` 评测模型，用 `linly-bench arena battle` 进行对战"
        )
    }
}

fn cells(row: &Row, sources: &mut Vec<String>) -> Vec<String> {
    let mut cells = vec![text::one_line(&row.name)];
    let mut source = |run: &str| {
        let at = sources.iter().position(|s| s == run).unwrap_or_else(|| {
            sources.push(run.to_owned());
            sources.len() - 1
        });
        format!("[{}]", at + 1)
    };
    for score in &row.scores {
        cells.push(score.as_ref().map_or_else(String::new, |s| {
            let error = s.stderr.map_or_else(String::new, |e| format!(" ±{:.1}", 100.0 * e));
            format!("{:.1}{error} {}", 100.0 * s.value, source(&s.run))
        }));
    }
    for loss in &row.losses {
        cells.push(loss.as_ref().map_or_else(String::new, |l| format!("{:.3} {}", l.value, source(&l.run))));
    }
    for rating in &row.ratings {
        cells.push(rating.as_ref().map_or_else(String::new, |r| {
            // The table has no room for more than the wider half of the interval.
            let half = (r.ci95[1] - r.rating).max(r.rating - r.ci95[0]);
            format!("{:.0} ±{half:.0} #{}", r.rating, r.rank)
        }));
    }
    cells
}

/// What the numbers mean, below every table.
fn legend() -> String {
    tr!(
        "benchmarks: accuracy in % ± standard error; rating: Bradley–Terry points ± 95% interval, # rank",
        "基准：准确率（%）± 标准误；等级分：Bradley–Terry 分数 ± 95% 区间，# 为名次"
    )
}

fn table(sheet: &Sheet, columns: usize) -> String {
    if sheet.rows.is_empty() {
        return Sheet::nothing() + "\n";
    }
    let natural = |column: usize| {
        let cells = sheet.rows.iter().map(|row| text::width(&row[column]));
        cells.chain([text::width(&sheet.heads[column])]).max().unwrap_or(0)
    };
    // A name may take up to half of the line; the columns share the rest, as many as fit at a time.
    let name = natural(0).min((columns / 2).max(16));
    let widths: Vec<usize> =
        (1..sheet.heads.len()).map(|c| natural(c).min(columns.saturating_sub(name + 2).max(8))).collect();
    let mut out = String::new();
    let mut from = 0;
    while from < widths.len() {
        let mut used = name;
        let mut to = from;
        while to < widths.len() && (to == from || used + 2 + widths[to] <= columns) {
            used += 2 + widths[to];
            to += 1;
        }
        if from > 0 {
            out.push('\n');
        }
        let mut line = |cells: &[String]| {
            let mut text = text::pad(&cells[0], name);
            for (column, width) in widths.iter().enumerate().take(to).skip(from) {
                text.push_str("  ");
                text.push_str(&text::pad_left(&cells[column + 1], *width));
            }
            out.push_str(text.trim_end());
            out.push('\n');
        };
        line(&sheet.heads);
        line(&std::iter::once(name).chain(widths.iter().copied()).map(|w| "─".repeat(w)).collect::<Vec<_>>());
        sheet.rows.iter().for_each(|row| line(row));
        from = to;
    }
    out.push('\n');
    for line in text::wrap(&legend(), columns) {
        let _ = writeln!(out, "{line}");
    }
    for (i, source) in sheet.sources.iter().enumerate() {
        let _ = writeln!(out, "[{}] {source}", i + 1);
    }
    out
}

fn markdown(sheet: &Sheet) -> String {
    if sheet.rows.is_empty() {
        return Sheet::nothing() + "\n";
    }
    let escape = |cell: &String| {
        cell.chars().fold(String::new(), |mut out, c| {
            match c {
                // What GitHub-flavoured Markdown would read as markup or as the cell's end.
                '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' => out.extend(['\\', c]),
                '<' => out.push_str("&lt;"),
                '&' => out.push_str("&amp;"),
                c => out.push(c),
            }
            out
        })
    };
    let line = |cells: &[String]| format!("| {} |\n", cells.iter().map(escape).collect::<Vec<_>>().join(" | "));
    let mut out = line(&sheet.heads);
    out.push_str("| --- |");
    out.push_str(&" ---: |".repeat(sheet.heads.len() - 1));
    out.push('\n');
    sheet.rows.iter().for_each(|row| out.push_str(&line(row)));
    let _ = write!(out, "\n{}\n", legend());
    for (i, source) in sheet.sources.iter().enumerate() {
        let _ = write!(out, "\n\\[{}\\] `{source}`\n", i + 1);
    }
    out
}

fn html(sheet: &Sheet) -> String {
    let escape = |cell: &str| {
        cell.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;")
    };
    let lang = tr!("en", "zh-CN");
    let title = tr!("Leaderboard", "排行榜");
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{lang}\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<style>\n\
         body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff }}\n\
         table {{ border-collapse: collapse }}\n\
         th, td {{ padding: .4rem .8rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }}\n\
         th:first-child, td:first-child {{ text-align: left }}\n\
         p, ol {{ color: #666; font-size: 14px }}\n\
         @media (prefers-color-scheme: dark) {{ body {{ color: #ddd; background: #181818 }} th, td {{ border-color: #444 }} }}\n\
         </style>\n<h1>{title}</h1>\n"
    );
    if sheet.rows.is_empty() {
        let _ = writeln!(out, "<p>{}</p>\n</html>", escape(&Sheet::nothing()));
        return out;
    }
    let line = |cells: &[String], tag: &str| {
        let cells: String = cells.iter().map(|c| format!("<{tag}>{}</{tag}>", escape(c))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let _ = write!(out, "<table>\n<thead>\n{}</thead>\n<tbody>\n", line(&sheet.heads, "th"));
    sheet.rows.iter().for_each(|row| out.push_str(&line(row, "td")));
    let _ = write!(out, "</tbody>\n</table>\n<p>{}</p>\n<ol>\n", escape(&legend()));
    sheet.sources.iter().for_each(|source| {
        let _ = writeln!(out, "<li><code>{}</code></li>", escape(source));
    });
    out.push_str("</ol>\n</html>\n");
    out
}

fn csv(board: &Leaderboard) -> String {
    let mut out = "name,model,adapter,metric,task,preset,shots,variant,value,stderr,ci95_low,ci95_high,rank,n,source\n"
        .to_owned();
    let number = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
    for row in &board.rows {
        let who = [row.name.clone(), row.model.clone(), row.adapter.clone()];
        let mut line = |cells: Vec<String>| {
            let cells: Vec<String> = who.iter().chain(&cells).map(|cell| quoted(cell)).collect();
            out.push_str(&cells.join(","));
            out.push('\n');
        };
        for (benchmark, score) in board.benchmarks.iter().zip(&row.scores) {
            let Some(s) = score else { continue };
            line(vec![
                "acc".to_owned(),
                benchmark.task.clone(),
                benchmark.preset.clone(),
                benchmark.shots.map_or_else(String::new, |k| k.to_string()),
                benchmark.variant.clone(),
                s.value.to_string(),
                number(s.stderr),
                String::new(),
                String::new(),
                String::new(),
                s.n.map_or_else(String::new, |n| n.to_string()),
                s.run.clone(),
            ]);
        }
        let blank = String::new;
        for (set, loss) in board.losses.iter().zip(&row.losses) {
            let Some(l) = loss else { continue };
            let mut cells = vec!["val_loss".to_owned(), set.dataset.clone(), blank(), blank(), set.version.clone()];
            cells.extend([l.value.to_string(), blank(), blank(), blank(), blank(), blank(), l.run.clone()]);
            line(cells);
        }
        for rating in row.ratings.iter().flatten() {
            let mut cells = vec!["rating".to_owned(), rating.arena.clone(), blank(), blank(), blank()];
            let [low, high] = rating.ci95.map(|b| b.to_string());
            let (rank, battles) = (rating.rank.to_string(), rating.battles.to_string());
            cells.extend([rating.rating.to_string(), blank(), low, high, rank, battles, rating.arena.clone()]);
            line(cells);
        }
    }
    out
}

/// A CSV cell (RFC 4180). A leading `=`, `+`, `-` or `@` of text that is no number gets a `'`: spreadsheets would run it.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}
