//! `linly-bench data add`, `mark` and `from-arena`: rows that people write, judge or prefer.

use super::Context;
use super::data::short;
use super::data_versions::{in_editor, read};
use crate::error::{Error, Kind, Result};
use crate::store::Mark;
use crate::text::one_line;
use crate::tr;
use crate::workbench::data::{self, Added, LeftOut};
use clap::Args;
use serde_json::{Map, json};
use std::path::PathBuf;

/// Arguments of `data add`
#[derive(Args)]
pub struct AddArgs {
    /// Dataset; made if there is none of that name
    name: String,
    /// A field of the new row; may stand several times. Without it, an empty row is opened in $EDITOR
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// JSON lines {"instruction": "…", "output": "…"}; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "set")]
    from: Option<PathBuf>,
}

/// Arguments of `data mark`
#[derive(Args)]
pub struct MarkArgs {
    /// Dataset
    name: String,
    /// Rows: 3 or 3,7,10-12
    #[arg(long, value_name = "K,…", required = true)]
    row: Vec<String>,
    /// good, bad, or clear to take the mark away
    #[arg(value_name = "good|bad|clear", value_parser = ["good", "bad", "clear"])]
    mark: String,
    /// Why, for those who look at the row later
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
}

/// Arguments of `data from-arena`
#[derive(Args)]
pub struct FromArenaArgs {
    /// Dataset; made if there is none of that name
    name: String,
    /// Arena
    arena: String,
    /// Only votes of this judge: human, reference, or a name of imported battles; may stand several times
    #[arg(long, value_name = "JUDGE")]
    judge: Vec<String>,
}

/// Reads `good` or `bad`.
pub(super) fn parse_mark(text: &str) -> Result<Mark, String> {
    Mark::parse(text).ok_or_else(|| "good, bad".to_owned())
}

/// Runs `data add`.
///
/// # Errors
/// `InvalidInput` for a row without a question or an answer; those of [`data::add_rows`].
pub(super) fn add(context: &Context, args: &AddArgs) -> Result<()> {
    let rows = match &args.from {
        Some(file) => data::parse_new_rows(&read(file)?, &file.to_string_lossy())?,
        None if !args.set.is_empty() => {
            let fields = args.set.iter().map(|text| data::parse_set(text)).collect::<Result<Map<_, _>>>()?;
            vec![data::new_row(&fields)?]
        }
        None => vec![data::new_row(&in_editor(&data::blank_row())?)?],
    };
    let message = data::by_hand(rows.len());
    let added = data::add_rows(&context.workbench()?, &args.name, rows, &message, "")?;
    if context.ui.json {
        context.ui.json_line(&added);
    } else {
        print_added(context, &added);
    }
    Ok(())
}

/// Rows that are named one by one.
const NAMED: usize = 10;

/// Says which rows came, and which were there already.
pub(super) fn print_added(context: &Context, added: &Added) {
    let ui = &context.ui;
    for duplicate in added.duplicates.iter().take(NAMED) {
        let (given, row) = (duplicate.given, duplicate.row);
        ui.warn(&tr!("row {given} of those given is there already: #{row}", "给出的第 {given} 行已存在：#{row}"));
    }
    if let Some(more @ 1..) = added.duplicates.len().checked_sub(NAMED) {
        ui.warn(&tr!("and {more} more duplicates: --json has all", "另有 {more} 行重复：--json 列出全部"));
    }
    let (name, number, version, rows) = (one_line(&added.dataset), added.number, short(&added.version), added.rows);
    let count = added.added.len();
    ui.line(&if added.unchanged {
        tr!("{name}: unchanged (version {number}, {version})", "{name}：无变化（版本 {number}，{version}）")
    } else {
        let places = match (added.added.first(), added.added.last()) {
            (Some(first), Some(last)) if first < last => format!("#{first}–#{last}"),
            (Some(first), _) => format!("#{first}"),
            _ => String::new(),
        };
        tr!(
            "{name}: {count} rows added ({places}), {rows} rows in version {number} ({version})",
            "{name}：新增 {count} 行（{places}），版本 {number}（{version}）共 {rows} 行"
        )
    });
}

/// Runs `data mark`.
///
/// # Errors
/// `NotFound` for a row that is not there.
pub(super) fn mark(context: &Context, args: &MarkArgs) -> Result<()> {
    let rows = data::parse_rows(&args.row)?;
    let mark = Mark::parse(&args.mark);
    if mark.is_none() && !args.note.is_empty() {
        return Err(Error::new(Kind::Usage, tr!("what is cleared has no note", "清除标记时不能附注"))
            .hint(tr!("leave --note out", "请去掉 --note")));
    }
    let bench = context.workbench()?;
    let (record, changed) = bench.store.mark_rows(&args.name, &rows, mark, &args.note)?;
    let marks = bench.store.marks(&args.name)?;
    let count = |wanted: Mark| marks.values().filter(|mark| mark.mark == wanted).count();
    let (good, bad) = (count(Mark::Good), count(Mark::Bad));
    if context.ui.json {
        context.ui.json_line(&json!({
            "dataset": record.name, "version": record.version, "number": record.number, "rows": rows,
            "mark": mark, "note": args.note, "changed": changed, "good": good, "bad": bad,
        }));
        return Ok(());
    }
    let name = one_line(&record.name);
    context.ui.line(&tr!(
        "{name}: {changed} rows marked anew; good {good}, bad {bad} in all",
        "{name}：{changed} 行的标记有变；共 good {good}，bad {bad}"
    ));
    Ok(())
}

/// Runs `data from-arena`.
///
/// # Errors
/// Those of [`data::from_arena`].
pub(super) fn from_arena(context: &Context, args: &FromArenaArgs) -> Result<()> {
    let done = data::from_arena(&context.workbench()?, &args.name, &args.arena, &args.judge)?;
    if context.ui.json {
        context.ui.json_line(&done);
        return Ok(());
    }
    let LeftOut { ties, both_bad, pending, flagged, other_judges, empty } = done.left_out;
    let reasons = [
        (ties, tr!("ties", "平局")),
        (both_bad, tr!("both bad", "双方均差")),
        (pending, tr!("without a vote", "未投票")),
        (flagged, tr!("flagged", "被标记")),
        (other_judges, tr!("of other judges", "其他评判者")),
        (empty, tr!("without a text", "无文本")),
    ];
    let reasons: Vec<String> =
        reasons.iter().filter(|(count, _)| *count > 0).map(|(count, reason)| format!("{count} {reason}")).collect();
    if !reasons.is_empty() {
        let (left, all, reasons) = (done.left_out.total(), done.battles, reasons.join(", "));
        context
            .ui
            .note(&tr!("{left} of {all} battles left out: {reasons}", "{all} 场对战中有 {left} 场不计：{reasons}"));
    }
    print_added(context, &done.added);
    Ok(())
}
