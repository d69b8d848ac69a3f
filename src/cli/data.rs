//! `linly-bench data …`: instruction data.

use super::Context;
use super::columns::{Align, columns_cutting};
use super::data_annotate::{self, AddArgs, FromArenaArgs, MarkArgs};
use super::data_check::{self, CheckArgs};
use super::data_drafts::{self, DraftArgs, DraftsArgs};
use super::data_export::{self, ExportArgs};
use super::data_history::{self, DiffArgs, TagArgs};
use super::data_import::{self, ImportArgs};
use super::data_mix::{self, MixArgs};
use super::data_quality::{self, DedupArgs, FilterArgs, MaskArgs, QualityArgs};
use super::data_stats::{self, RejectsArgs, StatsArgs};
use super::data_versions::{self, DeleteArgs, EditArgs, RestoreArgs};
use super::data_view::{self, PreviewArgs, ShowArgs};
use crate::data::{HoldOut, Split};
use crate::error::Result;
use crate::job::{EventSink, JobEvent};
use crate::store::DatasetRecord;
use crate::workbench::data::{self, SplitBy, SplitRequest};
use crate::{text, tr};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::ProgressBar;
use serde_json::json;

/// Import, look at, change, compare and export instruction data
#[derive(Args)]
pub struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Subcommand)]
enum DataCommand {
    /// Import instruction data into a dataset
    #[command(
        after_help = "Examples:\n  linly-bench data import finance.jsonl more.csv --name finance --license CC-BY-4.0\n  linly-bench data import 'data/*.jsonl.gz' --name all --map instruction=question,output=answer\n  linly-bench data import LLaMA-Factory/data/dataset_info.json --entry alpaca_zh_demo --name demo"
    )]
    Import(ImportArgs),
    /// List the datasets
    #[command(after_help = "Example:\n  linly-bench data list --json")]
    List {
        /// Those that were deleted and can be restored
        #[arg(long)]
        deleted: bool,
    },
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
    /// Look for what is wrong with rows: empty and cut answers, personal data, promises of returns, …
    #[command(
        after_help = "Examples:\n  linly-bench data quality finance\n  linly-bench data quality finance --near -o quality.html"
    )]
    Quality(QualityArgs),
    /// Leave out rows by rules, as a new version
    #[command(
        after_help = "Examples:\n  linly-bench data filter finance --drop empty,repetition,id_card --min-answer 5 --save clean.toml\n  linly-bench data filter more --filter clean.toml"
    )]
    Filter(FilterArgs),
    /// Leave out rows that are nearly the same as an earlier one, as a new version
    #[command(after_help = "Example:\n  linly-bench data dedup finance --near 0.8 --dry-run")]
    Dedup(DedupArgs),
    /// Hide personal data in all texts, as a new version
    #[command(after_help = "Example:\n  linly-bench data mask finance")]
    Mask(MaskArgs),
    /// Make a dataset of others by their shares
    #[command(
        after_help = "Examples:\n  linly-bench data mix both --from finance=0.7,general=0.3\n  linly-bench data mix course --from en,zh --curriculum \"en:0.9->0.3\" --plan"
    )]
    Mix(MixArgs),
    /// Look for items of benchmarks in a dataset
    #[command(after_help = "Example:\n  linly-bench data check finance --against ceval,mmlu --data-dir DIR")]
    Check(CheckArgs),
    /// Write a dataset as files that other programs read
    #[command(
        after_help = "Examples:\n  linly-bench data export finance --format messages -o finance.jsonl\n  linly-bench data export finance --format tokens --model smollm2-135m --template alpaca -o tokens/"
    )]
    Export(ExportArgs),
    /// Show how long the rows are and where they come from
    #[command(after_help = "Example:\n  linly-bench data stats finance --model smollm2-135m")]
    Stats(StatsArgs),
    /// List the records that were refused, or write them to a file to be corrected
    #[command(
        after_help = "Example:\n  linly-bench data rejects finance -o bad.jsonl\n  linly-bench data import bad.jsonl --name finance --append"
    )]
    Rejects(RejectsArgs),
    /// Change rows; the version before stays
    #[command(
        after_help = "Examples:\n  linly-bench data edit finance --row 3 --set output=\"a new answer\"\n  linly-bench data edit finance --from changes.jsonl"
    )]
    Edit(EditArgs),
    /// Add rows by hand, as a new version; rows that are there already are told
    #[command(
        after_help = "Examples:\n  linly-bench data add finance --set instruction=\"What is a bond?\" --set output=\"A loan.\"\n  linly-bench data add finance --from rows.jsonl\n  linly-bench data add finance          (opens $EDITOR)"
    )]
    Add(AddArgs),
    /// Mark rows as good or bad: a mark lies beside the versions and belongs to the row's texts
    #[command(
        after_help = "Examples:\n  linly-bench data mark finance --row 3,7 bad --note \"wrong sum\"\n  linly-bench data show finance --marked bad\n  linly-bench data filter finance --drop-marked bad"
    )]
    Mark(MarkArgs),
    /// Append the better answers of an arena's battles, as a new version
    #[command(after_help = "Example:\n  linly-bench data from-arena finance arena1 --judge human")]
    FromArena(FromArenaArgs),
    /// Let a model write drafts of new rows, after the pattern of some that are there
    ///
    /// Drafts are part of no version and of no training until `data drafts --accept` makes rows of them.
    #[command(
        after_help = "Examples:\n  linly-bench data draft finance --model smollm2-135m --count 20 --topic bonds\n  linly-bench data drafts finance"
    )]
    Draft(DraftArgs),
    /// List drafts, accept them as rows, or discard them
    #[command(
        after_help = "Examples:\n  linly-bench data drafts finance\n  linly-bench data drafts finance --accept clean --discard all"
    )]
    Drafts(DraftsArgs),
    /// List the versions of a dataset
    #[command(after_help = "Example:\n  linly-bench data history finance")]
    History {
        /// Dataset
        name: String,
    },
    /// Show what differs between two versions
    #[command(after_help = "Example:\n  linly-bench data diff finance 1 latest")]
    Diff(DiffArgs),
    /// Go back to a version, or bring back a deleted dataset or deleted rows
    #[command(
        after_help = "Examples:\n  linly-bench data restore finance 2\n  linly-bench data restore finance 2 --row 7\n  linly-bench data restore finance"
    )]
    Restore(RestoreArgs),
    /// Give a version a name: NAME@TAG stands wherever a dataset does
    #[command(after_help = "Example:\n  linly-bench data tag finance cleaned 3")]
    Tag(TagArgs),
    /// Delete a dataset or rows of it; both can be restored
    #[command(
        after_help = "Examples:\n  linly-bench data delete finance --row 3,7\n  linly-bench data delete finance\n  linly-bench data delete finance --purge"
    )]
    Delete(DeleteArgs),
}

#[derive(Args)]
struct SplitArgs {
    /// Dataset
    name: String,
    /// Share (0.1) or number (200) of rows to hold out
    #[arg(long, value_name = "V")]
    val: String,
    /// Take the same share of each language or each file
    #[arg(long, value_enum, value_name = "BY")]
    stratify: Option<By>,
    /// Keep rows of one file, or with one question, on one side
    #[arg(long, value_enum, value_name = "BY")]
    together: Option<By>,
    /// Keep rows that are nearly the same on one side: Jaccard index of runs of three words or characters
    #[arg(long, value_name = "J", value_parser = data_check::parse_share, num_args = 0..=1, default_missing_value = "0.7")]
    near: Option<f64>,
}

/// What rows have in common.
#[derive(Clone, Copy, ValueEnum)]
enum By {
    Lang,
    File,
    Question,
}

impl From<By> for SplitBy {
    fn from(by: By) -> SplitBy {
        match by {
            By::Lang => SplitBy::Lang,
            By::File => SplitBy::File,
            By::Question => SplitBy::Question,
        }
    }
}

/// Rejects that are named one by one; the rest is a number.
pub(super) const REJECTS_SHOWN: usize = 20;

/// Runs `linly-bench data …`.
///
/// # Errors
/// Those of the verb.
pub fn run(context: &Context, args: DataArgs) -> Result<()> {
    match args.command {
        DataCommand::Import(args) => data_import::run(context, args),
        DataCommand::List { deleted } => list(context, deleted),
        DataCommand::Show(args) => data_view::show(context, &args),
        DataCommand::Preview(args) => data_view::preview(context, &args),
        DataCommand::Split(args) => split(context, &args),
        DataCommand::Check(args) => data_check::run(context, &args),
        DataCommand::Quality(args) => data_quality::quality(context, &args),
        DataCommand::Filter(args) => data_quality::filter(context, &args),
        DataCommand::Dedup(args) => data_quality::dedup(context, &args),
        DataCommand::Mask(args) => data_quality::mask(context, &args),
        DataCommand::Mix(args) => data_mix::run(context, args),
        DataCommand::Export(args) => data_export::run(context, &args),
        DataCommand::Stats(args) => data_stats::stats(context, &args),
        DataCommand::Rejects(args) => data_stats::rejects(context, &args),
        DataCommand::Edit(args) => data_versions::edit(context, &args),
        DataCommand::Add(args) => data_annotate::add(context, &args),
        DataCommand::Mark(args) => data_annotate::mark(context, &args),
        DataCommand::FromArena(args) => data_annotate::from_arena(context, &args),
        DataCommand::Draft(args) => data_drafts::draft(context, &args),
        DataCommand::Drafts(args) => data_drafts::drafts(context, &args),
        DataCommand::History { name } => data_history::history(context, &name),
        DataCommand::Diff(args) => data_history::diff(context, &args),
        DataCommand::Restore(args) => data_versions::restore(context, &args),
        DataCommand::Tag(args) => data_history::tag(context, &args),
        DataCommand::Delete(args) => data_versions::delete(context, &args),
    }
}

/// Draws progress.
pub(super) struct Bar(pub ProgressBar);

impl EventSink for Bar {
    fn emit(&self, event: &JobEvent) {
        if let JobEvent::Progress { done, total, .. } = event {
            self.0.set_length(*total);
            self.0.set_position(*done);
        }
    }
}

/// A split for people.
pub(super) fn split_word(split: Split) -> String {
    match split {
        Split::Train => tr!("train", "训练"),
        Split::Val => tr!("val", "验证"),
    }
}

/// A row's language for people.
pub(super) fn lang_word(lang: &str) -> String {
    match lang {
        "zh" => tr!("zh", "中文"),
        "en" => tr!("en", "英文"),
        other => text::one_line(other),
    }
}

/// As much of a version's hash as people read.
pub(super) fn short(version: &str) -> &str {
    version.get(..12).unwrap_or(version)
}

fn list(context: &Context, deleted: bool) -> Result<()> {
    let store = context.workbench()?.store;
    let datasets = if deleted { store.deleted_datasets() } else { store.datasets() }?;
    let ui = &context.ui;
    if ui.json {
        ui.json_line(&datasets);
        return Ok(());
    }
    if datasets.is_empty() && deleted {
        ui.note(&tr!("no dataset is deleted", "没有已删除的数据集"));
        return Ok(());
    }
    if datasets.is_empty() {
        ui.note(&tr!(
            "no datasets yet; import one: linly-bench data import FILE --name NAME",
            "还没有数据集；导入：linly-bench data import FILE --name NAME"
        ));
        return Ok(());
    }
    let left = |name: String| (name, Align::Left);
    let right = |name: String| (name, Align::Right);
    let header = [
        left(tr!("dataset", "数据集")),
        right(tr!("rows", "行数")),
        right(tr!("train", "训练")),
        right(tr!("val", "验证")),
        right(tr!("zh", "中文")),
        right(tr!("en", "英文")),
        right(tr!("rejected", "拒绝")),
        left(tr!("version", "版本")),
        left(tr!("licence", "许可")),
    ];
    let row = |d: &DatasetRecord| {
        let mut row = vec![text::one_line(&d.name)];
        row.extend([d.rows, d.train, d.val, d.zh, d.en, d.rejected].map(|n| n.to_string()));
        row.extend([short(&d.version).to_owned(), text::one_line(&d.licence)]);
        row
    };
    let rows: Vec<Vec<String>> = datasets.iter().map(row).collect();
    // A name must be read as a whole; what gives way is the licence.
    for line in columns_cutting(&header, &rows, ui.columns(), 8) {
        ui.line(&line);
    }
    Ok(())
}

fn split(context: &Context, args: &SplitArgs) -> Result<()> {
    let seed = context.settings().seed;
    let how = SplitRequest {
        val: HoldOut::parse(&args.val)?,
        seed,
        stratify: args.stratify.map(Into::into),
        together: args.together.map(Into::into),
        near: args.near,
    };
    let record = data::split(&context.workbench()?, &args.name, &how)?;
    let DatasetRecord { name, version, train, val, .. } = &record;
    // Groups are whole: a few large ones, or many of one row each, can miss what was asked for by far.
    let wanted = match how.val {
        HoldOut::Share(share) => share * (train + val) as f64,
        HoldOut::Rows(rows) => rows as f64,
    };
    if (*val as f64 - wanted).abs() > (wanted * 0.2).max(2.0) {
        context.ui.warn(&tr!(
            "{val} rows are held out where {wanted:.0} were asked for: groups stay whole, and these are too large or too small for that",
            "要求留出 {wanted:.0} 行，实际留出 {val} 行：各组不能拆开，而这些组过大或过小"
        ));
    }
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
