//! A finished score again, by another rule or on fewer items, from the answers that were kept.

use super::Workbench;
use super::contamination::{HeldOutcomes, held_outcomes};
use super::runs::scored_run;
use super::score::{asked, planned};
use crate::error::{Error, Kind, Result};
use crate::eval::{self, ItemOutcome, Report, Reread, Rescoring, Rule};
use crate::store::RunRecord;
use crate::tr;
use serde::Serialize;

/// How answers are taken out of what a model wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Extraction {
    /// As they were when the run was made.
    #[default]
    Kept,
    /// By the benchmark's present rules, where the benchmark is at hand; as kept otherwise.
    Present,
    /// By this pattern.
    Pattern(String),
}

/// How a run is scored again.
#[derive(Clone, Debug, Default)]
pub struct RescoreRequest {
    /// Which choice counts as the answer.
    pub rule: Rule,
    /// How written answers are read.
    pub extraction: Extraction,
    /// Only these subjects; empty for all of the run's.
    pub subjects: Vec<String>,
    /// Leaves out the items that this dataset holds.
    pub without_contaminated: Option<String>,
    /// Share of a question that shared runs must cover to count as held.
    pub share: f64,
}

/// A score computed from kept answers.
#[derive(Clone, Debug, Serialize)]
pub struct Rescored {
    /// The run.
    pub run: String,
    /// Catalogue name or path of the model.
    pub model: String,
    /// Adapter name or folder; empty for none.
    pub adapter: String,
    /// Template of the conversation; empty for plain text.
    pub template: String,
    /// What makes this score another one than the run's.
    pub rescored: RescoreNote,
    /// The numbers; `acc` is by the rule.
    #[serde(flatten)]
    pub report: Report,
}

/// What makes a score another one than its run's.
#[derive(Clone, Debug, Serialize)]
pub struct RescoreNote {
    /// The rule.
    pub metric: Rule,
    /// What reading the written answers again changed; none where they stand as they were read.
    pub extraction: Option<Reread>,
    /// The subjects; empty for all.
    pub subjects: Vec<String>,
    /// The dataset whose items were left out.
    pub without_contaminated: Option<HeldOutcomes>,
    /// The run's own micro average.
    pub acc_before: f64,
    /// The run's own number of items.
    pub n_before: usize,
}

impl RescoreNote {
    /// The note in words.
    pub fn words(&self) -> String {
        let mut words = tr!(
            "re-scored from kept answers by {} (the run itself: {:.2}% of {} items)",
            "由保存的回答按 {} 重新评分（原运行：{:.2}%，共 {} 题）",
            self.metric.name(),
            self.acc_before * 100.0,
            self.n_before
        );
        if let Some(again) = &self.extraction {
            words.push_str(&reread_words(again));
        }
        if !self.subjects.is_empty() {
            words.push_str(&tr!("; only {}", "；仅 {}", self.subjects.join(", ")));
        }
        if let Some(held) = &self.without_contaminated {
            words.push_str(&tr!(
                "; without {} items that the dataset {} (version {}) holds",
                "；不含数据集 {1}（版本 {2}）中出现的 {0} 题",
                held.left_out,
                held.dataset,
                held.version.get(..12).unwrap_or(&held.version)
            ));
        }
        words
    }
}

fn reread_words(again: &Reread) -> String {
    let by = match &again.pattern {
        Some(pattern) => tr!("the pattern {pattern}", "模式 {pattern}"),
        None => tr!("the benchmark's present rules", "基准当前的规则"),
    };
    let Reread { n, changed, gained, lost, unanswered_before, unanswered, .. } = again;
    tr!(
        "; answers taken out of the texts again by {by}: {changed} of {n} changed ({gained} became right, {lost} wrong), unanswered {unanswered} (before: {unanswered_before})",
        "；按 {by} 从文本中重新提取答案：{n} 个中 {changed} 个改变（{gained} 个变为正确，{lost} 个变为错误），未作答 {unanswered}（之前：{unanswered_before}）"
    )
}

/// Scores the finished run `id` again.
///
/// # Errors
/// `NotFound` for an unknown run or dataset; `InvalidInput` when it is not a finished score; those of [`eval::rescore`]
/// and of looking for the items of a dataset.
pub fn rescore(workbench: &Workbench, id: &str, request: &RescoreRequest) -> Result<Rescored> {
    let run = scored_run(workbench, id)?;
    let before = finished_report(&run)?;
    if request.rule == Rule::AccToken && crate::remote::is_address(&run.model) {
        return Err(Error::new(
            Kind::Unsupported,
            tr!(
                "{} was answered by a server: how it cuts text into tokens is not known",
                "{} 由服务器作答：无法得知其分词方式",
                run.id
            ),
        )
        .hint(tr!("use --metric acc_norm or acc_bytes", "请用 --metric acc_norm 或 acc_bytes")));
    }
    let asked = asked(&run)?;
    let mut outcomes = workbench.store.outcomes(&run.id)?;
    let extraction = read_again(workbench, &run, &request.extraction, &mut outcomes)?;
    let held = request
        .without_contaminated
        .as_deref()
        .map(|dataset| held_outcomes(workbench, dataset, &asked, &outcomes, request.share))
        .transpose()?;
    // Without the benchmark at hand only its named selections are lost.
    let subsets = eval::find(&asked.benchmark, workbench.settings.data_dir.as_deref())
        .map(|b| b.definition.subsets.into_iter().collect())
        .unwrap_or_default();
    let what = Rescoring {
        rule: request.rule,
        subjects: request.subjects.clone(),
        without: held.as_ref().map(|h| h.items.clone()).unwrap_or_default(),
        subsets,
    };
    let report = eval::rescore(&before, &outcomes, &what)?;
    Ok(Rescored {
        run: run.id,
        model: run.model,
        adapter: run.adapter,
        template: run.template,
        rescored: RescoreNote {
            metric: request.rule,
            extraction,
            subjects: request.subjects.clone(),
            without_contaminated: held,
            acc_before: before.acc,
            n_before: before.n,
        },
        report,
    })
}

/// Takes the answers out of the texts of `outcomes` as `extraction` says.
fn read_again(
    workbench: &Workbench,
    run: &RunRecord,
    extraction: &Extraction,
    outcomes: &mut [ItemOutcome],
) -> Result<Option<Reread>> {
    let pattern = match extraction {
        Extraction::Kept => return Ok(None),
        Extraction::Present if outcomes.iter().any(|o| o.written.is_none()) => return Ok(None),
        Extraction::Present => None,
        Extraction::Pattern(pattern) => Some(pattern.as_str()),
    };
    // What is right is asked of the benchmark; the wording around the question does not matter for that.
    match planned(workbench, &asked(run)?, None, None) {
        Ok((_, plan)) => eval::reread(&plan, outcomes, pattern).map(Some),
        Err(error) if error.kind == Kind::NotFound && pattern.is_none() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The report of a finished score.
pub(super) fn finished_report(run: &RunRecord) -> Result<Report> {
    serde_json::from_value(run.result.clone()).map_err(|_| {
        Error::new(Kind::InvalidInput, tr!("{} has no score: it did not finish", "{} 没有分数：尚未完成", run.id))
            .hint(tr!("go on with: linly-bench run --resume {}", "继续：linly-bench run --resume {}", run.id))
    })
}
