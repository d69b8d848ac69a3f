//! `linly-bench data …`: instruction data.

use super::Context;
use crate::data::{FieldMap, Format, HoldOut, ImportOptions, Split};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::prompt::{Preview, Renderer, Template};
use crate::store::{DatasetRecord, Existing, RowQuery, StoredRow};
use crate::workbench::data::{self, ImportReport, ImportRequest, Input};
use crate::workbench::models;
use crate::{text, tr};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::ProgressBar;
use serde_json::json;
use std::ffi::OsString;
use std::path::PathBuf;

/// Import, look at, split and delete instruction data
#[derive(Args)]
pub struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Subcommand)]
enum DataCommand {
    /// Import instruction data into a dataset
    #[command(
        after_help = "Example:\n  linly-bench data import finance.jsonl more.json --name finance --license CC-BY-4.0"
    )]
    Import(ImportArgs),
    /// List the datasets
    #[command(after_help = "Example:\n  linly-bench data list --json")]
    List,
    /// Show rows of a dataset, and the records that were refused
    #[command(after_help = "Example:\n  linly-bench data show finance --search 基金 --limit 5")]
    Show(ShowArgs),
    /// Show what a model is trained on: text, tokens and which of them are learnt
    #[command(
        after_help = "Example:\n  linly-bench data preview finance --row 3 --template cornucopia --model smollm2-135m"
    )]
    Preview(PreviewArgs),
    /// Hold rows out for validation
    #[command(after_help = "Example:\n  linly-bench data split finance --val 0.1 --seed 2023")]
    Split(SplitArgs),
    /// Delete a dataset
    #[command(after_help = "Example:\n  linly-bench data delete finance")]
    Delete {
        /// Dataset
        name: String,
    },
}

#[derive(Args)]
struct ImportArgs {
    /// Files: JSON arrays or JSON lines
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Name of the dataset
    #[arg(long)]
    name: String,
    /// Layout of the rows: auto or alpaca
    #[arg(long, default_value = "auto")]
    format: String,
    /// Names of the fields in the file, for example instruction=question,output=answer
    #[arg(long, value_name = "FIELD=COLUMN,…", default_value = "")]
    map: String,
    /// Language of the rows; auto: each row's own, or by its Chinese characters. `--lang` after `import` means this
    #[arg(long = ROW_LANG, value_enum, default_value = "auto")]
    row_lang: RowLang,
    /// Licence of the data, for the record
    #[arg(long, visible_alias = "licence", value_name = "L", default_value = "")]
    license: String,
    /// Where the data comes from, for the record
    #[arg(long, value_name = "S", default_value = "")]
    source: String,
    /// Stop at the first record that is no row, with nothing imported
    #[arg(long)]
    strict: bool,
    /// Put the rows after those that the dataset has
    #[arg(long)]
    append: bool,
    /// Put the rows in the place of those that the dataset has
    #[arg(long, conflicts_with = "append")]
    replace: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum RowLang {
    Auto,
    Zh,
    En,
}

#[derive(Args)]
struct ShowArgs {
    /// Dataset
    name: String,
    /// Only rows with this text
    #[arg(long, value_name = "Q", default_value = "")]
    search: String,
    /// At most this many rows
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: u64,
    /// Leave out this many rows first
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: u64,
    /// Only this split: train or val
    #[arg(long, value_parser = parse_split)]
    split: Option<Split>,
    /// Whole texts instead of their beginnings
    #[arg(long)]
    full: bool,
}

#[derive(Args)]
struct PreviewArgs {
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
    /// List every token
    #[arg(long)]
    tokens: bool,
}

#[derive(Args)]
struct SplitArgs {
    /// Dataset
    name: String,
    /// Share (0.1) or number (200) of rows to hold out
    #[arg(long, value_name = "V")]
    val: String,
}

fn parse_split(word: &str) -> Result<Split, String> {
    Split::parse(word).ok_or_else(|| "train, val".to_owned())
}

const ROW_LANG: &str = "row-lang";

/// `--lang` means the language of messages everywhere, and after `data import` the language of the
/// rows. The parser cannot tell one flag's two meanings apart by place, so the second gets its own name.
pub fn rename_row_language(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let (mut data, mut import, mut rest) = (false, false, false);
    let rename = |arg: OsString| match arg.to_str() {
        Some("--lang") => OsString::from(format!("--{ROW_LANG}")),
        Some(text) => text.strip_prefix("--lang=").map_or(arg.clone(), |v| format!("--{ROW_LANG}={v}").into()),
        None => arg,
    };
    args.map(|arg| {
        rest |= arg == "--";
        if import && !rest {
            return rename(arg);
        }
        import |= data && arg == "import";
        data |= arg == "data";
        arg
    })
    .collect()
}

/// Runs `linly-bench data …`.
///
/// # Errors
/// Those of the verb.
pub fn run(context: &Context, args: DataArgs) -> Result<()> {
    match args.command {
        DataCommand::Import(args) => import(context, args),
        DataCommand::List => list(context),
        DataCommand::Show(args) => show(context, &args),
        DataCommand::Preview(args) => preview(context, &args),
        DataCommand::Split(args) => split(context, &args),
        DataCommand::Delete { name } => delete(context, &name),
    }
}

/// Draws an import's progress.
struct Bar(ProgressBar);

impl EventSink for Bar {
    fn emit(&self, event: &JobEvent) {
        if let JobEvent::Progress { done, .. } = event {
            self.0.set_position(*done);
        }
    }
}

fn import(context: &Context, args: ImportArgs) -> Result<()> {
    let request = ImportRequest {
        options: ImportOptions {
            format: Format::parse(&args.format)?,
            map: FieldMap::parse(&args.map)?,
            lang: match args.row_lang {
                RowLang::Auto => None,
                RowLang::Zh => Some("zh"),
                RowLang::En => Some("en"),
            },
        },
        inputs: args.paths.into_iter().map(Input::File).collect(),
        name: args.name,
        source: args.source,
        licence: args.license,
        strict: args.strict,
        existing: match (args.append, args.replace) {
            (true, _) => Existing::Append,
            (_, true) => Existing::Replace,
            _ => Existing::Refuse,
        },
    };
    let total = request.inputs.iter().map(Input::size).sum();
    let bar = Bar(context.ui.bar(total, true));
    let report = data::import(&context.workbench()?, &request, &bar, &CancelToken::default());
    bar.0.finish_and_clear();
    let report = report?;
    if context.ui.json {
        context.ui.json_line(&report);
    } else {
        print_import(context, &report);
    }
    Ok(())
}

/// Rejects that an import names one by one; the rest is a number.
const REJECTS_SHOWN: usize = 20;

fn print_import(context: &Context, report: &ImportReport) {
    let ui = &context.ui;
    for reject in report.rejects.iter().take(REJECTS_SHOWN) {
        ui.warn(&text::one_line(&format!("{}:{}: {}", reject.file, reject.line, reject.reason)));
    }
    let name = &report.dataset;
    if let Some(more @ 1..) = report.rejects.len().checked_sub(REJECTS_SHOWN) {
        ui.warn(&tr!("{more} more: linly-bench data show {name}", "另有 {more} 条：linly-bench data show {name}"));
    }
    if !report.fields_left_aside.is_empty() {
        let fields: Vec<String> =
            report.fields_left_aside.iter().map(|(f, n)| format!("{} ({n})", text::one_line(f))).collect();
        ui.note(&tr!("fields left aside: {}", "未使用的字段：{}", fields.join(", ")));
    }
    let version = short(&report.version);
    let (imported, rejected, duplicates) = (report.imported, report.rejected, report.duplicates);
    let speed = report.rows_per_second.round();
    ui.line(&if report.unchanged {
        tr!("{name}: unchanged, {imported} rows (version {version})", "{name}：无变化，共 {imported} 行（版本 {version}）")
    } else {
        tr!(
            "{name}: {imported} rows imported, {rejected} rejected, {duplicates} duplicates (version {version}, {speed} rows/s)",
            "{name}：导入 {imported} 行，拒绝 {rejected} 条，重复 {duplicates} 行（版本 {version}，{speed} 行/秒）"
        )
    });
}

fn short(version: &str) -> &str {
    version.get(..12).unwrap_or(version)
}

fn list(context: &Context) -> Result<()> {
    let datasets = context.workbench()?.store.datasets()?;
    let ui = &context.ui;
    if ui.json {
        ui.json_line(&datasets);
        return Ok(());
    }
    if datasets.is_empty() {
        ui.note(&tr!(
            "no datasets yet; import one: linly-bench data import FILE --name NAME",
            "还没有数据集；导入：linly-bench data import FILE --name NAME"
        ));
        return Ok(());
    }
    let mut table = vec![vec![
        tr!("dataset", "数据集"),
        tr!("rows", "行数"),
        tr!("train", "训练"),
        tr!("val", "验证"),
        tr!("zh", "中文"),
        tr!("en", "英文"),
        tr!("rejected", "拒绝"),
        tr!("version", "版本"),
        tr!("licence", "许可"),
    ]];
    table.extend(datasets.iter().map(|d| {
        let numbers = [d.rows, d.train, d.val, d.zh, d.en, d.rejected].map(|n| n.to_string());
        let mut row = vec![text::one_line(&d.name)];
        row.extend(numbers);
        row.extend([short(&d.version).to_owned(), text::one_line(&d.licence)]);
        row
    }));
    for line in columns(&table, 1..7) {
        ui.line(&line);
    }
    Ok(())
}

/// Lines of a table whose columns are as wide as their widest cell; those in `right` are numbers.
fn columns(table: &[Vec<String>], right: std::ops::Range<usize>) -> Vec<String> {
    let count = table.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| table.iter().filter_map(|row| row.get(c)).map(|cell| text::width(cell)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells =
            cells.map(|(c, (cell, &w))| if right.contains(&c) { text::pad_left(cell, w) } else { text::pad(cell, w) });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    table.iter().map(line).collect()
}

fn show(context: &Context, args: &ShowArgs) -> Result<()> {
    let bench = context.workbench()?;
    let record = bench.store.dataset(&args.name)?;
    let query = RowQuery { split: args.split, search: &args.search, offset: args.offset, limit: Some(args.limit) };
    let matched = bench.store.count_rows(&args.name, &query)?;
    let rows = bench.store.rows(&args.name, &query)?;
    let rejects = bench.store.rejects(&args.name)?;
    let ui = &context.ui;
    if ui.json {
        let mut object = json!(record);
        if let Some(object) = object.as_object_mut() {
            object.insert("matched".to_owned(), json!(matched));
            object.insert("examples".to_owned(), json!(rows));
            object.insert("rejects".to_owned(), json!(rejects));
        }
        ui.json_line(&object);
        return Ok(());
    }
    print_record(context, &record);
    for row in &rows {
        print_row(context, row, args.full);
    }
    let shown = rows.len();
    ui.note(&tr!("{shown} of {matched} matching rows", "匹配 {matched} 行，显示 {shown} 行"));
    for reject in rejects.iter().take(REJECTS_SHOWN) {
        ui.line(&text::one_line(&tr!("rejected {}:{}: {}", "拒绝 {}:{}：{}", reject.file, reject.line, reject.reason)));
    }
    if let Some(more @ 1..) = rejects.len().checked_sub(REJECTS_SHOWN) {
        ui.note(&tr!("{more} more rejects: --json lists them all", "另有 {more} 条拒绝：--json 列出全部"));
    }
    Ok(())
}

fn print_record(context: &Context, record: &DatasetRecord) {
    let DatasetRecord { rows, train, val, zh, en, rejected, .. } = record;
    let name = text::one_line(&record.name);
    let version = short(&record.version);
    context.ui.line(&tr!(
        "{name}  version {version}  {rows} rows: {train} train, {val} val; {zh} zh, {en} en; {rejected} rejected",
        "{name}  版本 {version}  共 {rows} 行：训练 {train}，验证 {val}；中文 {zh}，英文 {en}；拒绝 {rejected}"
    ));
    for (label, value) in [(tr!("source", "来源"), &record.source), (tr!("licence", "许可"), &record.licence)] {
        if !value.is_empty() {
            context.ui.line(&format!("{label}: {}", text::one_line(value)));
        }
    }
}

/// Columns of a field's beginning.
const FIELD_COLUMNS: usize = 240;

fn print_row(context: &Context, row: &StoredRow, full: bool) {
    let e = &row.example;
    let place = text::one_line(&row.file);
    context.ui.line(&format!("\n#{}  {}  {}  {place}:{}", row.row, e.split.as_str(), e.lang, row.line));
    let history = e.history.iter().flat_map(|(q, a)| [("history.user", q), ("history.assistant", a)]);
    let head = [("system", &e.system)].into_iter();
    let tail = [("instruction", &e.instruction), ("input", &e.input), ("output", &e.output)];
    for (label, value) in head.chain(history).chain(tail).filter(|(_, value)| !value.is_empty()) {
        if full {
            let value = text::clean(value).replace('\n', "\n    ");
            context.ui.line(&format!("  {label}:\n    {value}"));
        } else {
            context.ui.line(&format!("  {label}: {}", text::truncate(&text::one_line(value), FIELD_COLUMNS)));
        }
    }
}

fn preview(context: &Context, args: &PreviewArgs) -> Result<()> {
    let template: Template = args.template.parse()?;
    let bench = context.workbench()?;
    let record = bench.store.dataset(&args.name)?;
    let query = RowQuery { offset: args.row, limit: Some(1), ..RowQuery::default() };
    let Some(row) = bench.store.rows(&args.name, &query)?.into_iter().next() else {
        let last = record.rows.saturating_sub(1);
        return Err(Error::new(Kind::NotFound, tr!("`{}` has no row {}", "`{}` 没有第 {} 行", args.name, args.row))
            .hint(tr!("rows are numbered from 0 to {last}", "行号从 0 到 {last}")));
    };
    let tokenizer = models::tokenizer(&bench, &args.model)?;
    let renderer = Renderer::new(template, &tokenizer)?;
    let preview = Preview::new(&renderer, &tokenizer, &row.example)?;
    if context.ui.json {
        let mut object = json!(preview);
        if let Some(object) = object.as_object_mut() {
            object.insert("dataset".to_owned(), json!(record.name));
            object.insert("row".to_owned(), json!(row.row));
            object.insert("template".to_owned(), json!(template.name()));
        }
        context.ui.json_line(&object);
    } else {
        print_preview(context, &preview, args.tokens);
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
    for warning in &preview.warnings {
        ui.warn(warning);
    }
    let mark = |(stretch, supervised): &(String, bool)| {
        let stretch = text::clean(stretch);
        if *supervised { format!("[[{stretch}]]") } else { stretch }
    };
    ui.line(&preview.stretches.iter().map(mark).collect::<String>());
    if tokens {
        let row = |(i, t): (usize, &crate::prompt::PreviewToken)| {
            let mark = if t.supervised { "[[ ]]" } else { "" };
            vec![i.to_string(), t.id.to_string(), mark.to_owned(), format!("{:?}", t.text)]
        };
        let table: Vec<Vec<String>> = preview.tokens.iter().enumerate().map(row).collect();
        for line in columns(&table, 0..2) {
            ui.line(&line);
        }
    }
}

fn split(context: &Context, args: &SplitArgs) -> Result<()> {
    let seed = context.settings().seed;
    let record = data::split(&context.workbench()?, &args.name, HoldOut::parse(&args.val)?, seed)?;
    let DatasetRecord { name, version, train, val, .. } = &record;
    if context.ui.json {
        context.ui.json_line(&json!({"dataset": name, "version": version, "train": train, "val": val, "seed": seed}));
    } else {
        let version = short(version);
        context.ui.line(&tr!(
            "{name}: {train} rows to train on, {val} held out (seed {seed}, version {version})",
            "{name}：训练 {train} 行，留出 {val} 行（种子 {seed}，版本 {version}）"
        ));
    }
    Ok(())
}

fn delete(context: &Context, name: &str) -> Result<()> {
    let bench = context.workbench()?;
    let record = bench.store.dataset(name)?;
    bench.store.delete_dataset(name)?;
    if context.ui.json {
        context.ui.json_line(&json!({"dataset": record.name, "version": record.version, "deleted": record.rows}));
    } else {
        let rows = record.rows;
        context.ui.line(&tr!("{name}: deleted, {rows} rows", "{name}：已删除，共 {rows} 行"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(line: &str) -> String {
        let args = rename_row_language(line.split(' ').map(OsString::from));
        args.iter().map(|a| a.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn lang_means_the_rows_only_after_import() {
        assert_eq!(renamed("x --lang zh data import f --lang en"), "x --lang zh data import f --row-lang en");
        assert_eq!(renamed("x data --json import --lang=auto f"), "x data --json import --row-lang=auto f");
        assert_eq!(renamed("x data list --lang zh"), "x data list --lang zh");
        assert_eq!(renamed("x import data --lang zh"), "x import data --lang zh");
        assert_eq!(renamed("x data import -- --lang"), "x data import -- --lang");
    }

    #[test]
    fn columns_line_up_under_chinese() {
        let table = [["数据集", "行"], ["a", "1000"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(columns(&table, 1..2), ["数据集    行", "a       1000"]);
    }
}
