//! `linly-bench runs`: what was done, scores again by other rules, and documents.

use super::Context;
use super::columns::{Align, columns_cutting, run_label};
use super::compare::{self, CompareArgs};
use super::score_view;
use crate::data::SHARE;
use crate::error::{Error, Result};
use crate::eval::Rule;
use crate::store::RunRecord;
use crate::text::{one_line, wrap};
use crate::tr;
use crate::workbench::report::{ReportFormat, ReportRequest, beside, published_words, reproduce, run_report};
use crate::workbench::{Extraction, RescoreRequest, ScoreReport, rescore, score_detail};
use clap::{Subcommand, ValueEnum};
use std::path::{Path, PathBuf};

/// Look at runs and compare them
#[derive(clap::Args)]
#[command(after_help = "Examples:
  linly-bench runs list
  linly-bench runs compare eval-20260101-120000-1a2b eval-20260101-130000-3c4d
  linly-bench runs report eval-20260101-120000-1a2b -o report.html
  linly-bench runs rescore eval-20260101-120000-1a2b --metric acc_norm")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// All runs, the newest first
    List {
        /// Only runs of this kind: train, eval or arena
        #[arg(long, value_name = "KIND", value_parser = ["train", "eval", "arena"])]
        kind: Option<String>,
    },
    /// Everything that is known of a run
    Show {
        /// Id of a run, or its beginning
        run: String,
        #[command(flatten)]
        leave_out: LeaveOut,
    },
    /// Two scores of one benchmark, item by item; or two models over several benchmarks
    #[command(after_help = "Examples:
  linly-bench runs compare RUN_A RUN_B
  linly-bench runs compare --adapter base --adapter jubaopen
  linly-bench runs compare CEVAL_A CEVAL_B CMMLU_A CMMLU_B")]
    Compare(CompareArgs),
    /// A run as a document: Markdown, a page, a table of its items, or lm-evaluation-harness's results file
    #[command(after_help = "Example:\n  linly-bench runs report RUN -o report.html --against RUN_B")]
    Report {
        /// Id of a run, or its beginning
        run: String,
        /// The file to write (.md, .html, .csv, .parquet or .json)
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Show where this second run parts from it
        #[arg(long, value_name = "RUN")]
        against: Option<String>,
        #[command(flatten)]
        leave_out: LeaveOut,
    },
    /// A finished score by another rule or on fewer items, from the answers that were kept
    #[command(after_help = "Examples:
  linly-bench runs rescore RUN --metric acc_norm --subjects accountant,tax_accountant
  linly-bench runs rescore RUN --extract '答案[是为]\\s*([A-D])'

Answers that were written are taken out of the texts again, by the benchmark's present rules or by --extract.")]
    Rescore {
        /// Id of a run, or its beginning
        run: String,
        /// Which choice counts: the likeliest, or the likeliest per character, byte or token
        #[arg(long, value_enum, default_value = "acc")]
        metric: Metric,
        /// Take the answers out of what was written by this regular expression: the first group of its first match
        #[arg(long, value_name = "REGEX", conflicts_with = "metric")]
        extract: Option<String>,
        /// Only these subjects
        #[arg(long, value_name = "A,B", value_delimiter = ',')]
        subjects: Vec<String>,
        #[command(flatten)]
        leave_out: LeaveOut,
    },
}

/// Items that a dataset holds.
#[derive(clap::Args)]
struct LeaveOut {
    /// Leave out the items that this dataset holds (see `data check`)
    #[arg(long, value_name = "DATASET")]
    without_contaminated: Option<String>,
    /// Share of a question that a row must repeat to count as holding it
    #[arg(long, value_name = "S", default_value_t = SHARE, value_parser = super::data_check::parse_share)]
    share: f64,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Metric {
    Acc,
    AccNorm,
    AccBytes,
    AccToken,
}

impl From<Metric> for Rule {
    fn from(metric: Metric) -> Rule {
        match metric {
            Metric::Acc => Rule::Acc,
            Metric::AccNorm => Rule::AccNorm,
            Metric::AccBytes => Rule::AccBytes,
            Metric::AccToken => Rule::AccToken,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// `NotFound` for an unknown run; those of comparing and of writing the report.
pub fn run(context: &Context, args: Args) -> Result<()> {
    match args.verb {
        Verb::List { kind } => list(context, kind.as_deref()),
        Verb::Show { run, leave_out } => show(context, &run, leave_out),
        Verb::Compare(args) => compare::run(context, &args),
        Verb::Report { run, output, against, leave_out } => {
            let LeaveOut { without_contaminated, share } = leave_out;
            report(context, &run, &output, &ReportRequest { against, without_contaminated, share })
        }
        Verb::Rescore { run, metric, extract, subjects, leave_out } => {
            let LeaveOut { without_contaminated, share } = leave_out;
            let extraction = extract.map_or(Extraction::Present, Extraction::Pattern);
            let request = RescoreRequest { rule: metric.into(), extraction, subjects, without_contaminated, share };
            rescored(context, &run, &request)
        }
    }
}

fn list(context: &Context, kind: Option<&str>) -> Result<()> {
    let runs = context.workbench()?.store.runs(kind)?;
    if context.ui.json {
        context.ui.json_line(&runs);
        return Ok(());
    }
    if runs.is_empty() {
        context.ui.note(&tr!(
            "no runs yet; `linly-bench run finance-qa --model MODEL` makes one",
            "还没有运行；用 `linly-bench run finance-qa --model MODEL` 开始"
        ));
        return Ok(());
    }
    let left = |name: String| (name, Align::Left);
    let header = [
        left(tr!("run", "运行")),
        left(tr!("status", "状态")),
        left(tr!("model", "模型")),
        left(tr!("what", "内容")),
        ("acc %".to_owned(), Align::Right),
    ];
    let rows: Vec<Vec<String>> = runs.iter().map(list_row).collect();
    columns_cutting(&header, &rows, 80, 2).iter().for_each(|line| context.ui.line(line));
    Ok(())
}

fn list_row(run: &RunRecord) -> Vec<String> {
    let what = match run.kind.as_str() {
        "train" => &run.dataset,
        _ => &run.task,
    };
    let acc = run.result.get("acc").and_then(serde_json::Value::as_f64);
    vec![
        run.id.clone(),
        run.status.as_str().to_owned(),
        run_label(run),
        one_line(what),
        acc.map_or_else(String::new, |acc| format!("{:.2}", acc * 100.0)),
    ]
}

fn show(context: &Context, id: &str, leave_out: LeaveOut) -> Result<()> {
    let LeaveOut { without_contaminated, share } = leave_out;
    if without_contaminated.is_some() {
        let request = RescoreRequest { without_contaminated, share, ..RescoreRequest::default() };
        return rescored(context, id, &request);
    }
    let workbench = context.workbench()?;
    let record = workbench.store.run(id)?;
    let report = serde_json::from_value(record.result.clone()).ok().filter(|_| record.kind == "eval");
    let Some(report) = report else {
        if context.ui.json {
            context.ui.json_line(&record);
        } else {
            let text = run_report(&workbench, &record.id, ReportFormat::Markdown, &ReportRequest::default())?;
            context.ui.line(crate::text::clean(&String::from_utf8_lossy(&text)).trim_end());
        }
        return Ok(());
    };
    let detail = score_detail(&workbench.store.outcomes(&record.id)?, workbench.settings.seed);
    let command = reproduce(&record, workbench.settings.data_dir.as_deref());
    let published = beside(&record, &report, workbench.settings.data_dir.as_deref());
    if context.ui.json {
        let mut value = serde_json::to_value(&record).map_err(|e| Error::internal(e.to_string()))?;
        if let Some(object) = value.as_object_mut() {
            object.insert("detail".to_owned(), serde_json::json!(detail));
            object.insert("command".to_owned(), serde_json::json!(command));
            object.insert("published".to_owned(), serde_json::json!(published));
        }
        context.ui.json_line(&value);
        return Ok(());
    }
    let permutations = record.result.get("permutations").and_then(|v| serde_json::from_value(v.clone()).ok());
    let score = ScoreReport {
        run: record.id.clone(),
        model: record.model.clone(),
        adapter: record.adapter.clone(),
        template: record.template.clone(),
        weights: weights_of(&record),
        reused: 0,
        report,
        outcomes: Vec::new(),
    };
    let mut lines = super::score_table::render(&score);
    lines.extend(score_view::detail(detail.as_ref(), permutations.as_ref()));
    lines.extend(published.iter().flat_map(|reference| wrap(&one_line(&published_words(reference)), 80)));
    lines.extend(record.job.as_ref().map(|job| tr!("job: {job}", "任务：{job}")));
    lines.extend(command.map(|command| one_line(&tr!("again: {command}", "复现：{command}"))));
    lines.iter().for_each(|line| context.ui.line(line));
    Ok(())
}

/// The form of the weights of a finished score.
fn weights_of(run: &RunRecord) -> String {
    run.result.get("weights").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

fn rescored(context: &Context, id: &str, request: &RescoreRequest) -> Result<()> {
    let workbench = context.workbench()?;
    let rescored = rescore(&workbench, id, request)?;
    if context.ui.json {
        context.ui.json_line(&rescored);
        return Ok(());
    }
    for line in wrap(&rescored.rescored.words(), 80) {
        context.ui.line(&one_line(&line));
    }
    let score = ScoreReport {
        run: rescored.run,
        model: rescored.model,
        adapter: rescored.adapter,
        template: rescored.template,
        weights: weights_of(&workbench.store.run(id)?),
        reused: 0,
        report: rescored.report,
        outcomes: Vec::new(),
    };
    super::score_table::render(&score).iter().for_each(|line| context.ui.line(line));
    Ok(())
}

fn report(context: &Context, id: &str, output: &Path, request: &ReportRequest) -> Result<()> {
    let format = ReportFormat::of(output)?;
    let workbench = context.workbench()?;
    let text = run_report(&workbench, id, format, request)?;
    std::fs::write(output, text).map_err(|e| Error::io(output, &e))?;
    if context.ui.json {
        context.ui.json_line(&serde_json::json!({"run": workbench.store.run(id)?.id, "file": output}));
    } else {
        context.ui.note(&tr!("wrote {}", "已写入 {}", output.display()));
    }
    Ok(())
}
