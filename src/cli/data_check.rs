//! `linly-bench data check`: whether a dataset holds items of benchmarks.

use super::Context;
use super::columns::{Align, columns_cutting};
use super::data::short;
use crate::data::{OverlapKind, SHARE};
use crate::error::Result;
use crate::text::{one_line, truncate, wrap};
use crate::tr;
use crate::workbench::contamination::{Contaminated, Contamination, check};

/// Arguments of `data check`
#[derive(clap::Args)]
pub struct CheckArgs {
    /// Dataset
    name: String,
    /// Benchmarks: names, definition files or groups
    #[arg(long, value_name = "BENCH,…", value_delimiter = ',', required = true)]
    against: Vec<String>,
    /// Share of a question's tokens that a row must have in runs of 13 (words, or Chinese characters) to hold it
    #[arg(long, value_name = "S", default_value_t = SHARE, value_parser = parse_share)]
    share: f64,
}

/// A share: above 0, at most 1.
pub(super) fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|s| *s > 0.0 && *s <= 1.0);
    share.ok_or_else(|| tr!("a share lies above 0 and is at most 1", "比例应大于 0 且不超过 1"))
}

/// Findings shown to people; `--json` has all.
const SHOWN: usize = 40;

/// Runs the command.
///
/// # Errors
/// Those of [`check`].
pub(super) fn run(context: &Context, args: &CheckArgs) -> Result<()> {
    let cancel = context.cancel_on_signals()?;
    let found = check(&context.workbench()?, &args.name, &args.against, args.share, &cancel)?;
    if context.ui.json {
        context.ui.json_line(&found);
    } else {
        render(&found, context.ui.columns()).iter().for_each(|line| context.ui.line(line));
    }
    Ok(())
}

fn render(found: &Contamination, width: usize) -> Vec<String> {
    let (name, version, against) = (one_line(&found.dataset), short(&found.version), found.against.join(", "));
    let mut lines = wrap(
        &tr!(
            "{name} (version {version}, {} rows) against {} items of {}: {} rows hold {} items ({:.1} s)",
            "{name}（版本 {version}，{} 行）对比 {2} 的 {1} 题：{3} 行含 {4} 题（{5:.1} 秒）",
            found.rows,
            found.items,
            one_line(&against),
            found.contaminated_rows,
            found.contaminated_items,
            found.seconds
        ),
        width,
    );
    if found.contaminated.is_empty() {
        return lines;
    }
    let header = [
        (tr!("row", "行"), Align::Right),
        (tr!("benchmark", "基准"), Align::Left),
        (tr!("item", "题目"), Align::Left),
        (tr!("overlap", "重合"), Align::Right),
        (tr!("by", "依据"), Align::Left),
        (tr!("question", "题干"), Align::Left),
    ];
    let row = |c: &Contaminated| {
        let kind = match c.kind {
            OverlapKind::Ngram => tr!("13-gram", "13-gram"),
            OverlapKind::NearDuplicate => tr!("near copy", "近似"),
        };
        vec![
            c.row.to_string(),
            one_line(&c.benchmark),
            one_line(&c.item),
            format!("{:.2}", c.overlap),
            kind,
            truncate(&one_line(&c.question), 60),
        ]
    };
    let rows: Vec<Vec<String>> = found.contaminated.iter().take(SHOWN).map(row).collect();
    lines.push(String::new());
    lines.extend(columns_cutting(&header, &rows, width, 5));
    if let Some(more @ 1..) = found.contaminated.len().checked_sub(SHOWN) {
        lines.push(tr!("and {more} more (--json lists all)", "另有 {more} 条（--json 列出全部）"));
    }
    lines.push(String::new());
    lines.extend(wrap(
        &tr!(
            "a score without them: linly-bench runs rescore RUN --without-contaminated {name}",
            "去掉这些题目后的分数：linly-bench runs rescore RUN --without-contaminated {name}"
        ),
        width,
    ));
    lines
}
