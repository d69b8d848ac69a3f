//! `linly-bench data quality`, `filter`, `dedup` and `mask`: what is wrong with rows, and datasets without it.

use super::Context;
use super::columns::{Align, columns};
use super::data::{Bar, lang_word, short};
use super::data_annotate::parse_mark;
use super::data_check::parse_share;
use super::data_versions::warn_empty;
use crate::data::quality::Rule;
use crate::error::{Error, Kind, Result};
use crate::store::Mark;
use crate::text::{one_line, truncate};
use crate::tr;
use crate::workbench::data::{self, Cleaned, Filter, QualityReport, QualityRequest};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `data quality`
#[derive(Args)]
pub struct QualityArgs {
    /// Dataset
    name: String,
    /// Only these rules (see the list below the table without this)
    #[arg(long, value_name = "RULE,…", value_delimiter = ',', value_parser = parse_rule)]
    rules: Vec<Rule>,
    /// Your own list of words that no row should hold: one a line
    #[arg(long, value_name = "FILE")]
    words: Option<PathBuf>,
    /// Look for rows that are nearly the same, too: Jaccard index of their runs of three words or characters
    #[arg(long, value_name = "J", value_parser = parse_share, num_args = 0..=1, default_missing_value = "0.8")]
    near: Option<f64>,
    /// Findings that are listed; all are counted
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Write a report with pictures: .html or .md
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Arguments of `data filter`
#[derive(Args)]
pub struct FilterArgs {
    /// Dataset
    name: String,
    /// Rows with a finding of one of these rules (`data quality` lists them)
    #[arg(long, value_name = "RULE,…", value_delimiter = ',', value_parser = parse_rule)]
    drop: Vec<Rule>,
    /// Words of the rule listed_word: one a line
    #[arg(long, value_name = "FILE")]
    words: Option<PathBuf>,
    /// Rows whose answer has fewer characters
    #[arg(long, value_name = "N")]
    min_answer: Option<usize>,
    /// Rows whose answer has more characters
    #[arg(long, value_name = "N")]
    max_answer: Option<usize>,
    /// Keep rows of this language only
    #[arg(long = "only", value_name = "zh|en", value_parser = ["zh", "en"])]
    only: Option<String>,
    /// Rows that are nearly the same as an earlier one
    #[arg(long, value_name = "J", value_parser = parse_share)]
    near: Option<f64>,
    /// Rows that somebody marked so (`data mark`)
    #[arg(long, value_name = "good|bad", value_parser = parse_mark)]
    drop_marked: Option<Mark>,
    /// A filter that was saved; flags come on top
    #[arg(long, value_name = "FILE.toml")]
    filter: Option<PathBuf>,
    /// Save the filter, to be used again
    #[arg(long, value_name = "FILE.toml")]
    save: Option<PathBuf>,
    /// Say what would go and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `data dedup`
#[derive(Args)]
pub struct DedupArgs {
    /// Dataset
    name: String,
    /// Jaccard index of runs of three words or characters from which two rows are nearly the same
    #[arg(long, value_name = "J", value_parser = parse_share, default_value_t = 0.8)]
    near: f64,
    /// Say what would go and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `data mask`
#[derive(Args)]
pub struct MaskArgs {
    /// Dataset
    name: String,
    /// Say how many rows would change and change nothing
    #[arg(long)]
    dry_run: bool,
}

fn parse_rule(text: &str) -> Result<Rule, String> {
    Rule::parse(text).ok_or_else(|| {
        let rules: Vec<&str> = Rule::ALL.into_iter().map(Rule::name).collect();
        tr!("rules: {}", "规则：{}", rules.join(", "))
    })
}

/// Runs `data quality`.
///
/// # Errors
/// Those of [`data::quality`]; I/O.
pub(super) fn quality(context: &Context, args: &QualityArgs) -> Result<()> {
    let form = args.output.as_deref().map(data::QualityForm::of).transpose()?;
    let request = QualityRequest {
        dataset: args.name.clone(),
        rules: args.rules.clone(),
        words: args.words.as_deref().map(data::read_words).transpose()?,
        near: args.near,
        listed: args.limit,
    };
    let bench = context.workbench()?;
    let bar = Bar(context.ui.rows_bar(bench.store.dataset(&args.name)?.rows));
    let found = data::quality(&bench, &request, &bar, &context.cancel_on_signals()?);
    bar.0.finish_and_clear();
    let found = found?;
    if let (Some(path), Some(form)) = (&args.output, form) {
        std::fs::write(path, data::render_quality(&found, form)).map_err(|e| Error::io(path, &e))?;
        context.ui.note(&tr!("wrote {}", "已写入 {}", path.display()));
    }
    if context.ui.json {
        context.ui.json_line(&found);
    } else {
        render(&found).iter().for_each(|line| context.ui.line(line));
    }
    Ok(())
}

/// Columns of the longest bar.
const BAR: u64 = 16;

fn render(found: &QualityReport) -> Vec<String> {
    let (name, number, version, rows) = (one_line(&found.dataset), found.number, short(&found.version), found.rows);
    let [(_, zh), (_, en)] = found.languages;
    let mut lines = vec![
        tr!("{name}  version {number} ({version})  {rows} rows", "{name}  版本 {number}（{version}）  {rows} 行"),
        tr!(
            "{} rows without a finding · {zh} Chinese, {en} English by their text",
            "{} 行没有问题 · 按文本：中文 {zh} 行，英文 {en} 行",
            found.clean
        ),
        String::new(),
    ];
    let most = found.rules.iter().map(|r| r.rows).max().unwrap_or(0).max(1);
    let table: Vec<Vec<String>> = found
        .rules
        .iter()
        .map(|r| {
            let bar = "█".repeat((r.rows * BAR).div_ceil(most) as usize);
            vec![r.rule.name().to_owned(), data::rule_title(r.rule), r.rows.to_string(), bar]
        })
        .collect();
    let header = [tr!("rule", "规则"), tr!("what it finds", "含义"), tr!("rows", "行数"), String::new()];
    let layout = [Align::Left, Align::Left, Align::Right, Align::Left];
    lines.extend(columns(&header.into_iter().zip(layout).collect::<Vec<_>>(), &table, 80));
    if let Some(near) = &found.near {
        lines.push(String::new());
        lines.push(tr!(
            "{} rows are nearly the same as an earlier one (Jaccard ≥ {})",
            "{} 行与之前的行几乎相同（Jaccard ≥ {}）",
            near.rows,
            near.threshold
        ));
        lines.extend(near.pairs.iter().map(|p| format!("  #{} ≈ #{}  {:.2}", p.row, p.first, p.jaccard)));
    }
    if !found.findings.is_empty() {
        lines.push(String::new());
        lines.extend(found.findings.iter().map(|f| {
            let (rule, field) = (f.finding.rule.name(), data::field_name(f.finding.field));
            truncate(&format!("#{} {rule} ({field}): {}", f.row, one_line(&f.finding.text)), 80)
        }));
    }
    let total: u64 = found.rules.iter().map(|r| r.findings).sum();
    if let Some(more @ 1..) = total.checked_sub(found.findings.len() as u64) {
        lines.push(tr!("and {more} more findings: --limit", "另有 {more} 处：--limit"));
    }
    lines
}

/// Runs `data filter`.
///
/// # Errors
/// Those of [`data::filter_rows`]; I/O.
pub(super) fn filter(context: &Context, args: &FilterArgs) -> Result<()> {
    let mut filter = args.filter.as_deref().map(Filter::read).transpose()?.unwrap_or_default();
    filter.drop.extend(&args.drop);
    // Words that were given are meant to be used.
    filter.drop.extend(args.words.is_some().then_some(Rule::ListedWord));
    filter.drop.sort_unstable();
    filter.drop.dedup();
    filter.words = args.words.clone().or(filter.words);
    filter.min_answer = args.min_answer.or(filter.min_answer);
    filter.max_answer = args.max_answer.or(filter.max_answer);
    filter.lang = args.only.clone().or(filter.lang);
    filter.near = args.near.or(filter.near);
    filter.drop_marked = args.drop_marked.or(filter.drop_marked);
    if let Some(path) = args.save.as_deref().filter(|_| !filter.is_empty()) {
        filter.write(path)?;
        context.ui.note(&tr!("saved {}", "已保存 {}", path.display()));
    }
    clean(context, &args.name, |bench, bar, cancel| {
        data::filter_rows(bench, &args.name, &filter, args.dry_run, bar, cancel)
    })
}

/// Runs `data dedup`.
///
/// # Errors
/// Those of [`data::filter_rows`].
pub(super) fn dedup(context: &Context, args: &DedupArgs) -> Result<()> {
    let filter = Filter { near: Some(args.near), ..Filter::default() };
    clean(context, &args.name, |bench, bar, cancel| {
        data::filter_rows(bench, &args.name, &filter, args.dry_run, bar, cancel)
    })
}

/// Runs `data mask`.
///
/// # Errors
/// Those of [`data::mask_rows`].
pub(super) fn mask(context: &Context, args: &MaskArgs) -> Result<()> {
    clean(context, &args.name, |bench, bar, cancel| data::mask_rows(bench, &args.name, args.dry_run, bar, cancel))
}

/// A reason of a cleaning for people: it is a word of a rule, or a word and what it is about.
fn in_words(reason: &str) -> String {
    if let Some(rule) = Rule::parse(reason) {
        return format!("{reason}: {}", data::rule_title(rule));
    }
    match reason.split_once(' ') {
        Some(("near", row)) => tr!("nearly the same as #{row}", "与 #{row} 几乎相同"),
        Some(("answer", count)) => tr!("answer of {count} characters", "回答有 {count} 个字符"),
        Some(("lang", lang)) => {
            let lang = lang_word(lang);
            tr!("language: {lang}", "语言：{lang}")
        }
        Some(("marked", mark)) => tr!("marked {mark}", "标记：{mark}"),
        _ => reason.to_owned(),
    }
}

/// Rows that are named one by one.
const SHOWN: usize = 20;

fn clean(
    context: &Context,
    name: &str,
    job: impl FnOnce(&crate::workbench::Workbench, &Bar, &crate::job::CancelToken) -> Result<Cleaned>,
) -> Result<()> {
    if name.contains('@') {
        return Err(Error::new(Kind::Usage, tr!("only the newest version can be changed", "只能修改最新版本")).hint(
            tr!(
                "go back to it first: linly-bench data restore NAME VERSION",
                "请先恢复：linly-bench data restore 名称 版本"
            ),
        ));
    }
    let bench = context.workbench()?;
    let bar = Bar(context.ui.rows_bar(bench.store.dataset(name)?.rows));
    let cleaned = job(&bench, &bar, &context.cancel_on_signals()?);
    bar.0.finish_and_clear();
    let cleaned = cleaned?;
    if cleaned.removed > 0 && cleaned.rows == 0 {
        if cleaned.dry_run {
            context.ui.warn(&tr!("no row of {name} would be left", "{name} 将不剩任何数据行"));
        } else {
            warn_empty(context, &one_line(name), cleaned.number.saturating_sub(1));
        }
    }
    if context.ui.json {
        context.ui.json_line(&cleaned);
        return Ok(());
    }
    let ui = &context.ui;
    for (row, reason) in cleaned.reasons.iter().take(SHOWN) {
        ui.paragraph(0, &format!("#{row}  {}", in_words(&one_line(reason))));
    }
    if let Some(more @ 1..) = cleaned.reasons.len().checked_sub(SHOWN) {
        ui.line(&tr!("and {more} more rows: --json has all", "另有 {more} 行：--json 列出全部"));
    }
    let (name, removed, changed, rows) = (one_line(name), cleaned.removed, cleaned.changed, cleaned.rows);
    let (number, version) = (cleaned.number, short(&cleaned.version));
    ui.line(&match (cleaned.dry_run, removed + changed) {
        (_, 0) => tr!(
            "{name}: nothing to change (version {number}, {version})",
            "{name}：无需改动（版本 {number}，{version}）"
        ),
        (true, _) => tr!(
            "{name}: {removed} rows would go, {changed} would change; {rows} would stay",
            "{name}：将删除 {removed} 行、修改 {changed} 行，保留 {rows} 行"
        ),
        (false, _) => tr!(
            "{name}: {removed} rows gone, {changed} changed, {rows} rows in version {number} ({version})",
            "{name}：已删除 {removed} 行、修改 {changed} 行，版本 {number}（{version}）共 {rows} 行"
        ),
    });
    if !cleaned.dry_run && removed + changed > 0 {
        let before = number.saturating_sub(1);
        ui.note(&tr!(
            "undo: linly-bench data restore {name} {before}",
            "撤销：linly-bench data restore {name} {before}"
        ));
    }
    Ok(())
}
