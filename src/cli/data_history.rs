//! `linly-bench data history`, `diff` and `tag`: the versions of a dataset and what lies between two of them.

use super::Context;
use super::columns::{Align, columns_wrapping};
use super::data::{lang_word, short, split_word};
use crate::error::{Error, Kind, Result};
use crate::store::{DatasetRecord, RowDiff, VersionRecord};
use crate::text::{clean, one_line, truncate};
use crate::tr;
use crate::workbench::Workbench;
use crate::workbench::data::{self, Change, FieldDiff};
use clap::Args;
use serde_json::{Map, json};

/// Arguments of `data diff`
#[derive(Args)]
pub struct DiffArgs {
    /// Dataset, or the first version itself: NAME@1
    name: String,
    /// First version: number, tag, beginning of its hash, or NAME@1 [default: the one before the newest]
    a: Option<String>,
    /// The other one [default: latest]
    b: Option<String>,
    /// Differing rows that are shown
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

/// Arguments of `data tag`
#[derive(Args)]
pub struct TagArgs {
    /// Dataset
    name: String,
    /// The name to give
    tag: String,
    /// Version that gets it: number or beginning of its hash
    #[arg(default_value = "latest")]
    version: String,
    /// Take the tag away
    #[arg(long)]
    delete: bool,
}

/// Runs `data tag`.
///
/// # Errors
/// `NotFound`; `InvalidInput` for a word that cannot be a tag.
pub(super) fn tag(context: &Context, args: &TagArgs) -> Result<()> {
    let bench = context.workbench()?;
    let TagArgs { name, tag, version, delete } = args;
    let record = if *delete {
        bench.store.untag_dataset(name, tag)?
    } else {
        bench.store.tag_dataset(&format!("{name}@{version}"), tag)?
    };
    if context.ui.json {
        let DatasetRecord { name, version, number, .. } = &record;
        context
            .ui
            .json_line(&json!({"dataset": name, "tag": tag, "version": version, "number": number, "deleted": delete}));
        return Ok(());
    }
    let number = record.number;
    context.ui.line(&if *delete {
        tr!("{name}: version {number} is no longer called {tag}", "{name}：版本 {number} 不再有标签 {tag}")
    } else {
        tr!("{name}@{tag}: version {number}", "{name}@{tag}：版本 {number}")
    });
    Ok(())
}

/// Runs `data history`.
///
/// # Errors
/// `NotFound`.
pub(super) fn history(context: &Context, name: &str) -> Result<()> {
    let versions = context.workbench()?.store.history(name)?;
    if context.ui.json {
        context.ui.json_line(&json!({"dataset": name, "versions": versions}));
        return Ok(());
    }
    let header = [
        (tr!("no.", "编号"), Align::Right),
        (tr!("version", "版本"), Align::Left),
        (tr!("rows", "行数"), Align::Right),
        (tr!("val", "验证"), Align::Right),
        (tr!("made", "时间"), Align::Left),
        (tr!("by", "来由"), Align::Left),
        (tr!("tags", "标签"), Align::Left),
    ];
    let row = |v: &VersionRecord| {
        let made = v.created_at.get(..16).unwrap_or(&v.created_at).replace('T', " ");
        let (number, rows, val) = (v.number.to_string(), v.rows.to_string(), v.val.to_string());
        let tags = one_line(&v.tags.join(", "));
        vec![number, short(&v.version).to_owned(), rows, val, made, one_line(&v.message), tags]
    };
    let rows: Vec<Vec<String>> = versions.iter().rev().map(row).collect();
    for line in columns_wrapping(&header, &rows, context.ui.columns(), 5) {
        context.ui.line(&line);
    }
    Ok(())
}

/// Runs `data diff`.
///
/// # Errors
/// `NotFound`.
pub(super) fn diff(context: &Context, args: &DiffArgs) -> Result<()> {
    let limit = if context.ui.json { usize::MAX } else { args.limit };
    let bench = context.workbench()?;
    let (from, to) = sides(&bench, args)?;
    let found = data::diff_versions(&bench, &from, &to, limit)?;
    if context.ui.json {
        let row = |diff: &RowDiff| match diff {
            RowDiff::Changed(a, b) => {
                let change = |d: FieldDiff| (d.field, json!({"from": d.from, "to": d.to}));
                let fields: Map<_, _> = FieldDiff::between(a, b).into_iter().map(change).collect();
                json!({"row": a.row, "fields": fields})
            }
            RowDiff::Added(row) | RowDiff::Removed(row) => json!(row),
        };
        let pick = |wanted: fn(&RowDiff) -> bool| found.rows.iter().filter(|d| wanted(d)).map(row).collect::<Vec<_>>();
        let version = |d: &DatasetRecord| json!({"number": d.number, "version": d.version, "rows": d.rows});
        context.ui.json_line(&json!({
            "dataset": found.to.name, "from": version(&found.from), "to": version(&found.to), "moved": found.moved,
            "added": pick(|d| matches!(d, RowDiff::Added(_))),
            "removed": pick(|d| matches!(d, RowDiff::Removed(_))),
            "changed": pick(|d| matches!(d, RowDiff::Changed(..))),
        }));
        return Ok(());
    }
    let (a, b) = (found.from.number, found.to.number);
    let (added, removed, changed, moved) = (found.added, found.removed, found.changed, found.moved);
    context.ui.paragraph(
        0,
        &tr!(
            "version {a} to {b}: {added} rows added, {removed} removed, {changed} changed, {moved} moved",
            "版本 {a} 到 {b}：新增 {added} 行，删除 {removed} 行，修改 {changed} 行，移动 {moved} 行"
        ),
    );
    for diff in &found.rows {
        print_diff(context, diff);
    }
    if let Some(more @ 1..) = (added + removed + changed).checked_sub(found.rows.len() as u64) {
        context.ui.note(&tr!("and {more} more (--limit)", "另有 {more} 行（--limit）"));
    }
    Ok(())
}

/// The words for the two versions: `NAME A B`, `NAME@A B`, `NAME@A NAME@B`; without a second word the newest is the other
/// side, without any the one before it is compared with it.
fn sides(bench: &Workbench, args: &DiffArgs) -> Result<(String, String)> {
    let (name, first) = args.name.rsplit_once('@').map_or((args.name.as_str(), None), |(n, v)| (n, Some(v)));
    let whole = |word: &str| if word.contains('@') { word.to_owned() } else { format!("{name}@{word}") };
    let (from, to) = match (first, args.a.as_deref(), args.b.as_deref()) {
        (Some(_), _, Some(_)) => {
            return Err(Error::new(Kind::Usage, tr!("three versions are named", "指定了三个版本")).hint(tr!(
                "two can be compared: data diff NAME 1 2, or NAME@1 NAME@2",
                "只能比较两个：data diff 名称 1 2，或 名称@1 名称@2"
            )));
        }
        (Some(_), to, None) => (args.name.clone(), to),
        (None, Some(from), to) => (whole(from), to),
        (None, None, _) => {
            let before = bench.store.dataset(name)?.number.saturating_sub(1).max(1);
            (whole(&before.to_string()), None)
        }
    };
    Ok((from, whole(to.unwrap_or("latest"))))
}

/// Columns of a text's beginning.
const TEXT_COLUMNS: usize = 240;

fn print_diff(context: &Context, diff: &RowDiff) {
    let ui = &context.ui;
    match diff {
        RowDiff::Added(row) | RowDiff::Removed(row) => {
            let sign = if matches!(diff, RowDiff::Added(_)) { '+' } else { '-' };
            let e = &row.example;
            ui.line(&format!("{sign} #{}  {}  {}", row.row, split_word(e.split), lang_word(&e.lang)));
            for text in [&e.instruction, &e.output].into_iter().filter(|text| !text.is_empty()) {
                ui.paragraph(4, &truncate(&one_line(text), TEXT_COLUMNS));
            }
        }
        RowDiff::Changed(a, b) => {
            ui.line(&format!("~ #{}", a.row));
            for FieldDiff { field, from, to } in FieldDiff::between(a, b) {
                let marked: String = data::word_diff(&from, &to)
                    .into_iter()
                    .map(|change| match change {
                        Change::Same(text) => around(&clean(&text)),
                        Change::Removed(text) => format!("[-{}-]", clean(&text)),
                        Change::Added(text) => format!("{{+{}+}}", clean(&text)),
                    })
                    .collect();
                let lines = format!("{field}: {marked}");
                for (at, line) in lines.lines().enumerate() {
                    ui.paragraph(if at == 0 { 4 } else { 6 }, line);
                }
            }
        }
    }
}

/// Long stretches that are the same are shown by their ends.
fn around(text: &str) -> String {
    const KEPT: usize = 40;
    let count = text.chars().count();
    if count <= 2 * KEPT + 3 {
        return text.to_owned();
    }
    let (head, tail): (String, String) = (text.chars().take(KEPT).collect(), text.chars().skip(count - KEPT).collect());
    format!("{head} … {tail}")
}
