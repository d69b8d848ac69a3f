//! A run as a document: Markdown, a page, a table of items, or lm-evaluation-harness's results file.

mod command;
mod csv;
mod harness;
mod html;
mod items;
mod markdown;
mod svg;

pub use command::reproduce;
pub(super) use svg::escaped;

use super::Workbench;
use super::rescore::{RescoreRequest, Rescored, rescore};
use super::runs::{ScoreDetail, compare_runs, score_detail};
use crate::error::{Error, Kind, Result};
use crate::eval::{self, Comparison, ItemOutcome, Mode, PermutationReport, Reference, Report};
use crate::store::RunRecord;
use crate::tr;
use std::fmt::Write;
use std::path::Path;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    /// A document in Markdown.
    Markdown,
    /// A page that needs nothing else.
    Html,
    /// One line per item.
    Csv,
    /// The same table, typed and packed.
    Parquet,
    /// lm-evaluation-harness's results file.
    Json,
}

impl ReportFormat {
    /// The format that a file's name asks for.
    ///
    /// # Errors
    /// `Unsupported` for any other ending.
    pub fn of(path: &Path) -> Result<ReportFormat> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("md") => Ok(ReportFormat::Markdown),
            Some("html") => Ok(ReportFormat::Html),
            Some("csv") => Ok(ReportFormat::Csv),
            Some("parquet") => Ok(ReportFormat::Parquet),
            Some("json") => Ok(ReportFormat::Json),
            _ => Err(Error::new(
                Kind::Unsupported,
                tr!("{}: no report is written like that", "{}：不支持这种报告格式", path.display()),
            )
            .hint(tr!(
                "name a file that ends in .md, .html, .csv, .parquet or .json",
                "请使用以 .md、.html、.csv、.parquet 或 .json 结尾的文件名"
            ))),
        }
    }
}

/// What a report shows beside the run itself.
#[derive(Clone, Debug, Default)]
pub struct ReportRequest {
    /// A second run: the report shows where the two part.
    pub against: Option<String>,
    /// Leaves out the items that this dataset holds.
    pub without_contaminated: Option<String>,
    /// Share of a question that shared runs must cover to count as held.
    pub share: f64,
}

/// Everything a report is written from.
pub(super) struct Document {
    run: RunRecord,
    /// The score; none of other kinds of runs and of unfinished ones.
    report: Option<Report>,
    rescored: Option<Rescored>,
    detail: Option<ScoreDetail>,
    permutations: Option<PermutationReport>,
    outcomes: Vec<ItemOutcome>,
    against: Option<Against>,
    /// Published figures that were got in the same way.
    published: Vec<Reference>,
    /// The command that does it again, where there is one.
    command: Option<String>,
}

/// The second run of a report.
struct Against {
    run: RunRecord,
    comparison: Comparison,
    outcomes: Vec<ItemOutcome>,
}

/// The run `id` as a document in `format`.
///
/// # Errors
/// `NotFound` for an unknown run; `InvalidInput` when the format or the request is for scores and the run has none; those
/// of [`rescore`] and [`compare_runs`].
pub fn run_report(workbench: &Workbench, id: &str, format: ReportFormat, request: &ReportRequest) -> Result<Vec<u8>> {
    let document = document(workbench, id, request)?;
    Ok(match format {
        ReportFormat::Markdown => markdown::render(&document).into_bytes(),
        ReportFormat::Html => html::render(&document).into_bytes(),
        ReportFormat::Csv => csv::render(&document)?.into_bytes(),
        ReportFormat::Parquet => csv::parquet(&document)?,
        ReportFormat::Json => harness::render(&document)?.into_bytes(),
    })
}

fn document(workbench: &Workbench, id: &str, request: &ReportRequest) -> Result<Document> {
    let run = workbench.store.run(id)?;
    let mut outcomes = if run.kind == "eval" { workbench.store.outcomes(&run.id)? } else { Vec::new() };
    let mut report: Option<Report> = serde_json::from_value(run.result.clone()).ok();
    let mut rescored = None;
    if let Some(dataset) = &request.without_contaminated {
        let again = RescoreRequest {
            without_contaminated: Some(dataset.clone()),
            share: request.share,
            ..RescoreRequest::default()
        };
        let again = rescore(workbench, &run.id, &again)?;
        if let Some(held) = &again.rescored.without_contaminated {
            outcomes.retain(|o| !held.items.contains(&(o.subject.clone(), o.id.clone())));
        }
        report = Some(again.report.clone());
        rescored = Some(again);
    }
    let against = request
        .against
        .as_deref()
        .map(|other| {
            let (_, run, comparison) = compare_runs(workbench, &run.id, other)?;
            Ok::<_, Error>(Against { outcomes: workbench.store.outcomes(&run.id)?, run, comparison })
        })
        .transpose()?;
    let permutations = run.result.get("permutations").and_then(|v| serde_json::from_value(v.clone()).ok());
    Ok(Document {
        detail: report.as_ref().and_then(|_| score_detail(&outcomes, workbench.settings.seed)),
        command: commands(&run, request, workbench),
        published: report.as_ref().map(|r| beside(&run, r, workbench.settings.data_dir.as_deref())).unwrap_or_default(),
        report,
        rescored,
        permutations,
        outcomes,
        against,
        run,
    })
}

/// The command that makes the run again, and the one that takes items away from its score, where that was done.
fn commands(run: &RunRecord, request: &ReportRequest, workbench: &Workbench) -> Option<String> {
    let mut command = reproduce(run, workbench.settings.data_dir.as_deref())?;
    if let Some(dataset) = &request.without_contaminated {
        // The run that the first command makes has an id that nobody knows yet.
        let words = ["linly-bench", "runs", "rescore", "RUN", "--without-contaminated", dataset, "--share"];
        let words = words.map(command::quoted).join(" ");
        let _ = write!(command, "\n{words} {}", request.share);
    }
    Some(command)
}

/// Published figures that may stand beside the score of `run`.
pub fn beside(run: &RunRecord, report: &Report, data_dir: Option<&Path>) -> Vec<Reference> {
    let text = |name: &str| run.config.get(name).and_then(serde_json::Value::as_str);
    let Ok(found) = eval::find(text("benchmark").unwrap_or(&run.task), data_dir) else { return Vec::new() };
    eval::published(&found.definition, &report.preset, report.shots, text("split")).into_iter().cloned().collect()
}

/// Published figures in words.
pub fn published_words(reference: &Reference) -> String {
    tr!(
        "published ({}; all items): {} — {}",
        "已发表（{}；全部题目）：{} — {}",
        reference.how(),
        reference.figures(),
        reference.source
    )
}

impl Document {
    /// What is known of the run, as (name, value); empty values left out.
    fn facts(&self) -> Vec<(String, String)> {
        let run = &self.run;
        let mut facts = vec![
            (tr!("kind", "类型"), run.kind.clone()),
            (tr!("status", "状态"), run.status.as_str().to_owned()),
            (tr!("model", "模型"), named(&run.model, &run.model_hash)),
            (tr!("adapter", "适配器"), named(&run.adapter, &run.adapter_hash)),
            (
                tr!("weights", "权重形式"),
                run.result.get("weights").and_then(|w| w.as_str()).unwrap_or_default().to_owned(),
            ),
            (tr!("dataset", "数据集"), named(&run.dataset, &run.dataset_version)),
            (tr!("benchmark", "基准"), run.task.clone()),
            (tr!("template", "模板"), run.template.clone()),
            (tr!("job", "任务"), run.job.clone().unwrap_or_default()),
            (tr!("program", "程序"), run.code_version.clone()),
            (tr!("started", "开始"), run.started.clone()),
            (tr!("finished", "结束"), run.finished.clone().unwrap_or_default()),
        ];
        facts.retain(|(_, value)| !value.is_empty());
        facts
    }

    /// The score of a score's document.
    fn score(&self) -> Result<&Report> {
        self.report.as_ref().ok_or_else(|| {
            Error::new(Kind::InvalidInput, tr!("{} has no score", "{} 没有分数", self.run.id)).hint(tr!(
                "this format is for finished scores; .md is for any run",
                "该格式只用于已完成的评测；.md 可用于任何运行"
            ))
        })
    }
}

fn named(name: &str, hash: &str) -> String {
    if crate::remote::is_address(name) {
        // The way its scores were found is part of the identity.
        let way = hash.strip_prefix(name).unwrap_or_default();
        return tr!(
            "{name}{way}; a server: its weights could not be hashed",
            "{name}{way}；服务器：无法计算其权重哈希"
        );
    }
    match hash.get(..12) {
        Some(short) if !name.is_empty() => format!("{name} ({short})"),
        _ => name.to_owned(),
    }
}

/// A share as per cent with two digits; `-` for none.
fn percent(value: f64) -> String {
    if value.is_finite() { format!("{:.2}", value * 100.0) } else { "-".to_owned() }
}

fn percent_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), percent)
}

/// The averages by their names, then categories and subsets: (name, n, acc, stderr).
fn averages(report: &Report) -> Vec<(String, usize, f64, Option<f64>)> {
    let mut rows = vec![
        (tr!("micro average (all items)", "微平均（全部题目）"), report.n, report.acc, report.acc_stderr),
        (tr!("macro average (mean of subjects)", "宏平均（各科平均）"), report.n, report.acc_macro, None),
    ];
    if let Some(acc_norm) = report.acc_norm {
        rows.push((tr!("acc_norm, micro (by characters)", "acc_norm 微平均（按字符数）"), report.n, acc_norm, None));
    }
    let categories = report.categories.0.iter();
    rows.extend(categories.map(|(name, s)| (tr!("{name} (micro)", "{name}（微平均）"), s.n, s.acc, s.stderr)));
    let subsets = report.subsets.0.iter();
    rows.extend(subsets.map(|(name, s)| (tr!("subset {name} (micro)", "子集 {name}（微平均）"), s.n, s.acc, s.stderr)));
    rows
}

/// The metrics beside accuracy as a table: header and rows. Shares are in per cent, perplexities as they are.
fn metrics(report: &Report) -> ([String; 5], Vec<Vec<String>>) {
    let header = [
        tr!("metric", "指标"),
        tr!("value", "数值"),
        "stderr".to_owned(),
        tr!("95% interval", "95% 区间"),
        tr!("unanswered", "未作答"),
    ];
    let shares = report.summary.mode != Mode::Perplexity;
    let number = |v: f64| if shares { format!("{:.2}%", v * 100.0) } else { format!("{v:.4}") };
    let dash = || "-".to_owned();
    let rows = report.summary.metrics.0.iter().map(|(name, m)| {
        let interval = |se: f64| {
            let (low, high) = ((m.value - 1.96 * se).max(0.0), (m.value + 1.96 * se).min(1.0));
            format!("[{}, {}]", number(low), number(high))
        };
        vec![
            name.clone(),
            number(m.value),
            m.stderr.map_or_else(dash, number),
            m.stderr.map_or_else(dash, interval),
            m.unanswered.map_or_else(dash, |n| n.to_string()),
        ]
    });
    (header, rows.collect())
}

/// How many items found no answer, and what the others came to.
pub fn unanswered_words(report: &Report) -> Option<String> {
    let unanswered = report.summary.unanswered?;
    let n = report.n;
    let answered = n.checked_sub(unanswered).filter(|n| *n > 0);
    let right = answered.map(|answered| percent(report.acc * n as f64 / answered as f64)).filter(|r| r != "-");
    let share = percent(unanswered as f64 / n.max(1) as f64);
    let head = tr!(
        "unanswered: {unanswered} of {n} ({share}%), counted as wrong",
        "未作答：{n} 题中 {unanswered} 题（{share}%），计为错误"
    );
    Some(match right {
        Some(right) => tr!("{head}; of the others {right}% are right", "{head}；其余中 {right}% 正确"),
        None => head,
    })
}

/// How many prompts were cut; nothing where none was.
pub fn truncated_words(report: &Report) -> Option<String> {
    let cut = report.truncated.filter(|cut| *cut > 0)?;
    Some(tr!(
        "{cut} of {} prompts did not fit the model and lost their left end",
        "{} 个提示中有 {cut} 个超出模型长度，左端被截断",
        report.n
    ))
}

/// What the detail of a score says, a sentence each.
fn remarks(document: &Document) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(rescored) = &document.rescored {
        out.push(rescored.rescored.words());
    }
    if let Some(report) = &document.report {
        out.extend(unanswered_words(report));
        out.extend(truncated_words(report));
    }
    out.extend(document.published.iter().map(published_words));
    if let Some(detail) = &document.detail {
        let [wl, wh] = detail.wilson95.map(percent);
        let [bl, bh] = detail.bootstrap95.map(percent);
        out.push(tr!(
            "95% interval of the micro average: [{wl}, {wh}] (Wilson), [{bl}, {bh}] (bootstrap)",
            "微平均的 95% 区间：[{wl}, {wh}]（Wilson），[{bl}, {bh}]（自助法）"
        ));
        if let Some(c) = &detail.calibration {
            out.push(tr!(
                "calibration: ECE {:.4} (15 bins), Brier {:.4} (sum over choices), mean confidence {:.2}% against {:.2}% right",
                "校准：ECE {:.4}（15 个区间），Brier {:.4}（对选项求和），平均置信度 {:.2}%，正确率 {:.2}%",
                c.ece,
                c.brier,
                c.confidence * 100.0,
                c.accuracy * 100.0
            ));
        }
        if detail.chosen_positions.len() > 1 {
            out.push(tr!(
                "positions chosen: {}; right: {}",
                "所选位置：{}；正确位置：{}",
                positions(&detail.chosen_positions),
                positions(&detail.gold_positions)
            ));
        }
    }
    if let Some(p) = &document.permutations {
        out.push(permutation_words(p));
    }
    out
}

/// Counts by position as shares: `A 25.0%, B …`.
fn positions(counts: &[usize]) -> String {
    let total: usize = counts.iter().sum();
    let share = |count: usize| 100.0 * count as f64 / total.max(1) as f64;
    let named = counts.iter().zip('A'..).map(|(count, label)| format!("{label} {:.1}%", share(*count)));
    named.collect::<Vec<_>>().join(", ")
}

/// A permutation report in words.
pub fn permutation_words(p: &PermutationReport) -> String {
    tr!(
        "choices in {} orders (the file's and {} random ones, seed {}): accuracy {:.2} ± {:.2}% (sd), per order {}; the same content chosen in every order: {:.1}% of {} items, right in every order: {:.1}%; positions chosen {}; right {}; position bias {:.3}",
        "选项以 {} 种顺序提问（原顺序与 {} 种随机顺序，种子 {}）：准确率 {:.2} ± {:.2}%（标准差），各顺序 {}；所有顺序所选内容相同：{:.1}%（共 {} 题），全部正确：{:.1}%；所选位置 {}；正确位置 {}；位置偏差 {:.3}",
        p.rounds + 1,
        p.rounds,
        p.seed,
        p.mean * 100.0,
        p.sd * 100.0,
        p.acc.iter().map(|a| percent(*a)).collect::<Vec<_>>().join(", "),
        p.same_content * 100.0,
        p.n,
        p.always_right * 100.0,
        positions(&p.chosen_positions),
        positions(&p.gold_positions),
        p.position_bias
    )
}
