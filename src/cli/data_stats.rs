//! `linly-bench data stats` and `data rejects`.

use super::Context;
use super::data::{Bar, lang_word, short, split_word};
use crate::data::{Reject, Split};
use crate::error::{Error, Result};
use crate::text::{one_line, pad_left, truncate, wrap};
use crate::tr;
use crate::workbench::data::{self, Histogram, Stats};
use clap::Args;
use serde_json::json;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Arguments of `data stats`
#[derive(Args)]
pub struct StatsArgs {
    /// Dataset
    name: String,
    /// Count tokens of this model too
    #[arg(long, value_name = "M")]
    model: Option<String>,
}

/// Arguments of `data rejects`
#[derive(Args)]
pub struct RejectsArgs {
    /// Dataset
    name: String,
    /// Write the records to this file, one a line, to be corrected and imported with --append
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    limit: usize,
}

/// Runs `data stats`.
///
/// # Errors
/// `NotFound`, `Interrupted`.
pub(super) fn stats(context: &Context, args: &StatsArgs) -> Result<()> {
    let bench = context.workbench()?;
    let total = bench.store.dataset(&args.name)?.rows;
    let bar = Bar(context.ui.rows_bar(total));
    let found = data::stats(&bench, &args.name, args.model.as_deref(), &bar, &context.cancel_on_signals()?);
    bar.0.finish_and_clear();
    let found = found?;
    if context.ui.json {
        context.ui.json_line(&found);
    } else {
        render(&found, context.ui.columns()).iter().for_each(|line| context.ui.line(line));
    }
    Ok(())
}

fn render(found: &Stats, width: usize) -> Vec<String> {
    let (name, number, version) = (one_line(&found.dataset), found.number, short(&found.version));
    let (rows, rejected) = (found.rows, found.rejected);
    let mut lines = vec![tr!(
        "{name}  version {number} ({version})  {rows} rows, {rejected} rejected",
        "{name}  版本 {number}（{version}）  共 {rows} 行，拒绝 {rejected}"
    )];
    for part in &found.parts {
        let split = Split::parse(&part.split).map_or_else(|| part.split.clone(), split_word);
        let (lang, rows) = (lang_word(&part.lang), part.rows);
        lines.push(String::new());
        lines.push(tr!("{split}, {lang}: {rows} rows", "{split}，{lang}：{rows} 行"));
        lines.extend(histogram(&tr!("characters", "字符"), &part.characters));
        lines.extend(histogram(&tr!("characters of the answer", "回答的字符"), &part.answer_characters));
        if let Some(tokens) = &part.tokens {
            lines.extend(histogram(&tr!("tokens", "词元"), tokens));
        }
    }
    lines.push(String::new());
    let longest: Vec<String> =
        found.longest.iter().map(|l| format!("#{} ({})", l.row, l.tokens.unwrap_or(l.characters))).collect();
    lines.extend(wrap(&tr!("longest rows: {}", "最长的行：{}", longest.join(", ")), width));
    for (file, rows) in found.files.iter().take(10) {
        lines.push(format!(
            "{}  {}",
            pad_left(&rows.to_string(), 9),
            truncate(&one_line(file), width.saturating_sub(11))
        ));
    }
    if let Some(more @ 1..) = found.files.len().checked_sub(10) {
        lines.push(tr!("and {more} more files", "另有 {more} 个文件"));
    }
    lines
}

/// Columns of the longest bar.
const BAR: u64 = 40;

fn histogram(title: &str, h: &Histogram) -> Vec<String> {
    let (mean, min, max, total) = (h.mean, h.min, h.max, h.total);
    let mut lines = vec![tr!(
        "  {title}: mean {mean:.1}, from {min} to {max}, {total} in all",
        "  {title}：平均 {mean:.1}，最小 {min}，最大 {max}，合计 {total}"
    )];
    let most = h.below.iter().map(|(_, rows)| *rows).max().unwrap_or(0).max(1);
    let first = h.below.iter().position(|(_, rows)| *rows > 0).unwrap_or(0);
    for (below, rows) in h.below.get(first..).unwrap_or_default() {
        let bar = "█".repeat((rows * BAR).div_ceil(most) as usize);
        lines.push(format!("  {} {} {bar}", pad_left(&format!("<{below}"), 9), pad_left(&rows.to_string(), 9)));
    }
    lines
}

/// Runs `data rejects`.
///
/// # Errors
/// `NotFound`; I/O.
pub(super) fn rejects(context: &Context, args: &RejectsArgs) -> Result<()> {
    let store = context.workbench()?.store;
    let Some(path) = &args.output else {
        if context.ui.json {
            let rejects = store.rejects(&args.name, args.limit)?;
            let whole = |r: &Reject| json!({"file": r.file, "line": r.line, "reason": r.reason, "raw": r.raw});
            let list: Vec<_> = rejects.iter().map(whole).collect();
            context.ui.json_line(&json!({"dataset": args.name, "rejects": list}));
            return Ok(());
        }
        let mut left = args.limit;
        store.each_reject(&args.name, &mut |r| {
            if left > 0 {
                context.ui.paragraph(0, &one_line(&format!("{}:{}: {}", r.file, r.line, r.reason)));
                if !r.raw.is_empty() {
                    context.ui.paragraph(4, &truncate(&one_line(&r.raw), 240));
                }
                left -= 1;
            }
            Ok(left > 0)
        })?;
        return Ok(());
    };
    let file = std::fs::File::create(path).map_err(|e| Error::io(path, &e))?;
    let (mut out, mut written, mut cut) = (BufWriter::new(file), 0u64, 0u64);
    store.each_reject(&args.name, &mut |reject| {
        if !reject.raw.is_empty() && written < args.limit as u64 {
            // A record of several lines goes on one: a line end inside a JSON text would be a fault anyway.
            writeln!(out, "{}", reject.raw.replace(['\n', '\r'], " ")).map_err(|e| Error::io(path, &e))?;
            written += 1;
            cut += u64::from(reject.raw.len() >= crate::data::RAW);
        }
        Ok(true)
    })?;
    out.flush().map_err(|e| Error::io(path, &e))?;
    // A pipe cannot be corrected and appended.
    if let Some(file) = path.canonicalize().ok().filter(|file| file.is_file()) {
        store.rejects_written(&args.name, &file, written)?;
    }
    if context.ui.json {
        let place = path.to_string_lossy();
        context.ui.json_line(&json!({"dataset": args.name, "file": place, "written": written, "cut": cut}));
        return Ok(());
    }
    let (name, place) = (one_line(&args.name), one_line(&path.to_string_lossy()));
    context.ui.line(&tr!("{place}: {written} records", "{place}：{written} 条记录"));
    if cut > 0 {
        context.ui.warn(&tr!("{cut} of them are cut: they were too long to keep", "其中 {cut} 条过长，只保留了开头"));
    }
    context.ui.note(&tr!(
        "correct it, then: linly-bench data import {place} --name {name} --append",
        "改正后：linly-bench data import {place} --name {name} --append"
    ));
    Ok(())
}
