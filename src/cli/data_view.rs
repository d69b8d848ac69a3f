//! `linly-bench data show` and `data preview`: rows as they are, and as a model is trained on them.

use super::Context;
use super::columns::{Align, columns};
use super::data::{REJECTS_SHOWN, lang_word, short, split_word};
use super::data_annotate::parse_mark;
use crate::batch::Overlong;
use crate::data::Split;
use crate::error::{Error, Kind, Result};
use crate::prompt::{LossOn, Preview, PreviewToken, PreviewTurn};
use crate::store::{DatasetRecord, Mark, RowMark, RowQuery, StoredRow};
use crate::workbench::data::{self, PreviewRequest, REPORTED};
use crate::{text, tr};
use clap::Args;
use serde_json::json;

/// Arguments of `data show`
#[derive(Args)]
pub struct ShowArgs {
    /// Dataset
    name: String,
    /// Only rows with this text
    #[arg(long, value_name = "Q", default_value = "")]
    search: String,
    /// At most this many rows
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: u64,
    /// Only rows with this number or a larger one: one more than the last shown gives the next page
    #[arg(long, value_name = "ROW", default_value_t = 0)]
    from: u64,
    /// Only the row with this number, as a whole
    #[arg(long, value_name = "ROW", conflicts_with_all = ["search", "limit", "from", "offset", "split", "marked"])]
    row: Option<u64>,
    /// Leave out this many rows first
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: u64,
    /// Only this split: train or val
    #[arg(long, value_parser = parse_split)]
    split: Option<Split>,
    /// Only rows that somebody marked so (`data mark`)
    #[arg(long, value_name = "good|bad", value_parser = parse_mark)]
    marked: Option<Mark>,
    /// Whole texts instead of their beginnings
    #[arg(long)]
    full: bool,
}

/// Arguments of `data preview`
#[derive(Args)]
pub struct PreviewArgs {
    /// Dataset
    name: String,
    /// Number of the row, from 0
    #[arg(long, value_name = "K", default_value_t = 0)]
    row: u64,
    /// Prompt template: chat, alpaca, linly, linly-card, linly-chat or cornucopia
    #[arg(long, value_name = "T", default_value = "chat")]
    template: String,
    /// Model whose tokenizer is used
    #[arg(long, value_name = "M")]
    model: String,
    /// Answers that are learnt: all, or last
    #[arg(long, value_name = "all|last", default_value = "all")]
    loss_on: String,
    /// Tokens of the longest sequence of the training
    #[arg(long, value_name = "L", default_value_t = 512, value_parser = parse_max_len)]
    max_len: usize,
    /// What the training does with longer rows: drop, cut or split
    #[arg(long, value_name = "drop|cut|split", default_value = "drop")]
    overlong: String,
    /// List every token
    #[arg(long)]
    tokens: bool,
}

fn parse_max_len(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|length| *length >= 2).ok_or_else(|| tr!("a number from 2 on", "2 以上的整数"))
}

pub(super) fn parse_split(word: &str) -> Result<Split, String> {
    Split::parse(word).ok_or_else(|| "train, val".to_owned())
}

/// Prints rows of a dataset and the records that were refused.
///
/// # Errors
/// `NotFound`.
pub(super) fn show(context: &Context, args: &ShowArgs) -> Result<()> {
    let bench = context.workbench()?;
    let record = bench.store.dataset(&args.name)?;
    let query = RowQuery {
        split: args.split,
        search: &args.search,
        from: args.row.unwrap_or(args.from),
        offset: args.offset,
        limit: Some(if args.row.is_some() { 1 } else { args.limit }),
        marked: args.marked,
        lang: None,
    };
    let mut matched = bench.store.count_rows(&args.name, &query)?;
    let rows = bench.store.rows(&args.name, &query)?;
    if let Some(wanted) = args.row {
        if rows.first().is_none_or(|row| row.row != wanted) {
            let name = &args.name;
            return Err(Error::new(
                Kind::NotFound,
                tr!("no row {wanted} in `{name}`", "`{name}` 中没有第 {wanted} 行"),
            ));
        }
        matched.rows = 1;
    }
    let marks = bench.store.marks(&args.name)?;
    let told = if context.ui.json { REPORTED } else { REJECTS_SHOWN };
    let rejects = bench.store.rejects(&args.name, told)?;
    let ui = &context.ui;
    if ui.json {
        let mut object = json!(record);
        if let Some(object) = object.as_object_mut() {
            object.insert("matched".to_owned(), json!(matched.rows));
            object.insert("matched_exact".to_owned(), json!(matched.exact));
            object.insert(
                "examples".to_owned(),
                json!(rows.iter().map(|row| with_mark(row, marks.get(&row.hash))).collect::<Vec<_>>()),
            );
            object.insert("rejects".to_owned(), json!(rejects));
        }
        ui.json_line(&object);
        return Ok(());
    }
    print_record(context, &record);
    for row in &rows {
        print_row(context, row, marks.get(&row.hash), args.full || args.row.is_some());
    }
    let shown = rows.len();
    let matched = if matched.exact { matched.rows.to_string() } else { format!("{}+", matched.rows) };
    ui.note(&tr!("{shown} of {matched} matching rows", "匹配 {matched} 行，显示 {shown} 行"));
    // They belong to the dataset, not to a page of it or to what was looked for.
    if query.from > 0 || query.offset > 0 || !query.search.is_empty() || query.marked.is_some() || args.row.is_some() {
        return Ok(());
    }
    for reject in &rejects {
        let told = tr!("rejected {}:{}: {}", "拒绝 {}:{}：{}", reject.file, reject.line, reject.reason);
        ui.paragraph(0, &text::one_line(&told));
    }
    if let Some(more @ 1..) = record.rejected.checked_sub(REJECTS_SHOWN as u64) {
        let name = &args.name;
        ui.note(&tr!(
            "{more} more rejects: linly-bench data rejects {name}",
            "另有 {more} 条拒绝：linly-bench data rejects {name}"
        ));
    }
    Ok(())
}

/// A row as JSON, with its mark if it has one.
fn with_mark(row: &StoredRow, mark: Option<&RowMark>) -> serde_json::Value {
    let mut object = json!(row);
    if let (Some(object), Some(mark)) = (object.as_object_mut(), mark) {
        object.insert("mark".to_owned(), json!(mark.mark));
        object.insert("note".to_owned(), json!(mark.note));
    }
    object
}

fn print_record(context: &Context, record: &DatasetRecord) {
    let DatasetRecord { number, rows, train, val, zh, en, rejected, .. } = record;
    let name = text::one_line(&record.name);
    let version = short(&record.version);
    context.ui.paragraph(
        0,
        &tr!(
            "{name}  version {number} ({version})  {rows} rows: {train} train, {val} val; {zh} zh, {en} en; {rejected} rejected",
            "{name}  版本 {number}（{version}）  共 {rows} 行：训练 {train}，验证 {val}；中文 {zh}，英文 {en}；拒绝 {rejected}"
        ),
    );
    for (label, value) in [(tr!("source", "来源"), &record.source), (tr!("licence", "许可"), &record.licence)] {
        if !value.is_empty() {
            context.ui.paragraph(0, &format!("{label}: {}", text::one_line(value)));
        }
    }
}

/// Columns of a field's beginning.
const FIELD_COLUMNS: usize = 240;

fn print_row(context: &Context, row: &StoredRow, mark: Option<&RowMark>, full: bool) {
    let e = &row.example;
    let place = text::one_line(&row.file);
    context.ui.line("");
    let (split, lang) = (split_word(e.split), lang_word(&e.lang));
    context.ui.paragraph(0, &format!("#{}  {split}  {lang}  {place}:{}", row.row, row.line));
    if let Some(RowMark { mark, note, .. }) = mark {
        let (mark, note) = (mark.name(), text::one_line(note));
        context
            .ui
            .line(text::truncate(&tr!("  marked {mark} {note}", "  标记：{mark} {note}"), FIELD_COLUMNS).trim_end());
    }
    let asker = |turn: usize| if e.tool_turns.contains(&turn) { "history.tool" } else { "history.user" };
    let turns = e.history.iter().enumerate();
    let history = turns.flat_map(|(turn, (q, a))| [(asker(turn), q), ("history.assistant", a)]);
    let own = if e.tool_turns.contains(&e.history.len()) { "tool" } else { "instruction" };
    let head = [("system", &e.system), ("tools", &e.tools)].into_iter();
    let tail = [(own, &e.instruction), ("input", &e.input), ("output", &e.output)];
    for (label, value) in head.chain(history).chain(tail).filter(|(_, value)| !value.is_empty()) {
        if full {
            let value = text::clean(value).replace('\n', "\n    ");
            context.ui.line(&format!("  {label}:\n    {value}"));
        } else {
            let text = format!("{label}: {}", text::truncate(&text::one_line(value), FIELD_COLUMNS));
            // What goes on on a further line stands a little to the right, so that a field's beginning is seen.
            let lines = text::wrap(&text, context.ui.columns().saturating_sub(4));
            for (at, line) in lines.iter().enumerate() {
                context.ui.line(&format!("{}{line}", if at == 0 { "  " } else { "    " }));
            }
        }
    }
}

/// Renders a row as a model is trained on it.
///
/// # Errors
/// An unknown template, model, dataset or row; a row that the template cannot render.
pub(super) fn preview(context: &Context, args: &PreviewArgs) -> Result<()> {
    let request = PreviewRequest {
        dataset: args.name.clone(),
        row: args.row,
        model: args.model.clone(),
        template: args.template.parse()?,
        loss_on: LossOn::parse(&args.loss_on)?,
        max_len: args.max_len,
        overlong: Overlong::parse(&args.overlong)?,
    };
    let shown = data::preview(&context.workbench()?, &request)?;
    if context.ui.json {
        context.ui.json_line(&shown);
    } else {
        print_preview(context, &shown.preview, args.tokens);
    }
    Ok(())
}

fn print_preview(context: &Context, preview: &Preview, tokens: bool) {
    let ui = &context.ui;
    let (total, supervised) = (preview.tokens.len(), preview.supervised);
    ui.note(&tr!(
        "{total} tokens, {supervised} supervised (between [[ and ]])",
        "共 {total} 个词元，其中监督 {supervised} 个（[[ 与 ]] 之间）"
    ));
    if preview.turns.len() > 1 {
        let turn = |t: &PreviewTurn| {
            let (turn, tokens) = (t.turn, t.tokens);
            if t.learnt {
                tr!("turn {turn}: {tokens} learnt", "第 {turn} 轮：学 {tokens}")
            } else {
                tr!("turn {turn}: {tokens} only read", "第 {turn} 轮：只读 {tokens}")
            }
        };
        ui.note(&tr!(
            "tokens of the answers: {}",
            "各轮回答的词元：{}",
            preview.turns.iter().map(turn).collect::<Vec<_>>().join(" · ")
        ));
    }
    for warning in &preview.warnings {
        ui.warn(warning);
    }
    let mark = |(stretch, supervised): &(String, bool)| {
        let stretch = text::clean(stretch);
        if *supervised { format!("[[{stretch}]]") } else { stretch }
    };
    ui.line(&preview.stretches.iter().map(mark).collect::<String>());
    if tokens {
        let header = [
            (tr!("token", "词元"), Align::Right),
            ("id".to_owned(), Align::Right),
            (tr!("supervised", "监督"), Align::Left),
            (tr!("text", "文本"), Align::Left),
        ];
        let row = |(i, t): (usize, &PreviewToken)| {
            let mark = if t.supervised { "[[ ]]" } else { "" };
            vec![i.to_string(), t.id.to_string(), mark.to_owned(), text::clean(&format!("{:?}", t.text))]
        };
        let rows: Vec<Vec<String>> = preview.tokens.iter().enumerate().map(row).collect();
        for line in columns(&header, &rows, usize::MAX) {
            ui.line(&line);
        }
    }
}
