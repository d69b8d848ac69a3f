//! Two models on several benchmarks: one test each, corrected for their number.

use super::Workbench;
use super::runs::compare_runs;
use crate::error::{Error, Kind, Result};
use crate::eval::{Comparison, FlipCounts, statistics::holm};
use crate::store::{RunRecord, RunStatus};
use crate::tr;
use serde::Serialize;
use serde_json::Value;

/// Two models on several benchmarks.
#[derive(Clone, Debug, Serialize)]
pub struct FamilyComparison {
    /// One per benchmark.
    pub benchmarks: Vec<MemberComparison>,
    /// Scores of either model that the other has no counterpart of (same benchmark, wording, shots, items).
    pub without_partner: Vec<String>,
}

/// One benchmark of several.
#[derive(Clone, Debug, Serialize)]
pub struct MemberComparison {
    /// The benchmark.
    pub task: String,
    /// The first run.
    pub run_a: String,
    /// The second run.
    pub run_b: String,
    /// Items that both answered.
    pub n: usize,
    /// Accuracy (micro) of the first on them.
    pub acc_a: f64,
    /// Accuracy (micro) of the second on them.
    pub acc_b: f64,
    /// `acc_b` − `acc_a`.
    pub difference: f64,
    /// 95% interval of the difference: paired bootstrap. Not corrected.
    pub ci95: [f64; 2],
    /// McNemar's exact two-sided p, as if this were the only test.
    pub mcnemar_p: f64,
    /// The same, corrected by Holm for the number of benchmarks.
    pub holm_p: f64,
    /// How many items only one got right.
    pub flips: FlipCounts,
    /// Items that would show a difference of this size alone (80% power, 5% level); `None` for no difference.
    pub items_needed: Option<u64>,
    /// Items asked in different words.
    pub prompts_differ: usize,
    /// Answers that are not compared.
    pub left_out: usize,
}

impl MemberComparison {
    /// Whether the difference may be chance, the number of benchmarks considered.
    pub fn is_indistinct(&self) -> bool {
        self.holm_p >= 0.05
    }
}

/// Whom a side of a comparison is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Catalogue name or path of the model, or the last part of a path; empty for any.
    pub model: String,
    /// Adapter name or folder; empty for none.
    pub adapter: String,
}

impl Side {
    fn is_of(&self, run: &RunRecord) -> bool {
        let last =
            |path: &str| path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or(path).to_owned();
        let named = |given: &str, is: &str| given == is || last(is) == given;
        (self.model.is_empty() || named(&self.model, &run.model)) && named(&self.adapter, &run.adapter)
    }

    fn label(&self) -> String {
        match (self.model.is_empty(), self.adapter.is_empty()) {
            (false, false) => format!("{}+{}", self.model, self.adapter),
            (true, false) => self.adapter.clone(),
            (false, true) => self.model.clone(),
            (true, true) => tr!("the base model", "基座模型"),
        }
    }
}

/// Compares the runs of each pair, one pair per benchmark.
///
/// # Errors
/// Those of [`compare_runs`].
pub fn compare_pairs(workbench: &Workbench, pairs: &[(String, String)]) -> Result<FamilyComparison> {
    let mut compared = Vec::new();
    for (a, b) in pairs {
        let (a, b, comparison) = compare_runs(workbench, a, b)?;
        compared.push((a.task, a.id, b.id, comparison));
    }
    let corrected = holm(&compared.iter().map(|(_, _, _, c)| c.mcnemar_p).collect::<Vec<_>>());
    let member = |((task, run_a, run_b, c), holm_p): ((String, String, String, Comparison), f64)| MemberComparison {
        task,
        run_a,
        run_b,
        n: c.n,
        acc_a: c.acc_a,
        acc_b: c.acc_b,
        difference: c.difference,
        ci95: c.ci95,
        mcnemar_p: c.mcnemar_p,
        holm_p,
        flips: c.flips,
        items_needed: c.items_needed,
        prompts_differ: c.prompts_differ,
        left_out: c.left_out,
    };
    Ok(FamilyComparison {
        benchmarks: compared.into_iter().zip(corrected).map(member).collect(),
        without_partner: Vec::new(),
    })
}

/// Compares the newest finished scores of `a` with those of `b`: each with the one that asked the same (benchmark,
/// wording, shots, subjects, limit, template) of the same base.
///
/// # Errors
/// `NotFound` when they have no score in common; those of [`compare_pairs`].
pub fn compare_sides(workbench: &Workbench, a: &Side, b: &Side) -> Result<FamilyComparison> {
    let runs: Vec<RunRecord> =
        workbench.store.runs(Some("eval"))?.into_iter().filter(|r| r.status == RunStatus::Done).collect();
    let same_base = a.model == b.model;
    // The newest come first: only the first of each setting counts.
    let newest = |side: &Side| {
        let mut found: Vec<(String, &RunRecord)> = Vec::new();
        for run in runs.iter().filter(|run| side.is_of(run)) {
            let key = setting(run, same_base);
            if !found.iter().any(|(known, _)| *known == key) {
                found.push((key, run));
            }
        }
        found.sort_by(|x, y| x.1.task.cmp(&y.1.task).then_with(|| x.0.cmp(&y.0)));
        found
    };
    let (of_a, of_b) = (newest(a), newest(b));
    let partner = |key: &str, of: &[(String, &RunRecord)]| of.iter().find(|(k, _)| k == key).map(|(_, r)| r.id.clone());
    let pairs: Vec<(String, String)> =
        of_a.iter().filter_map(|(key, run)| Some((run.id.clone(), partner(key, &of_b)?))).collect();
    if pairs.is_empty() {
        return Err(Error::new(
            Kind::NotFound,
            tr!("{} and {} have no score in common", "{} 与 {} 没有相同的评测", a.label(), b.label()),
        )
        .hint(tr!(
            "score both on the same benchmarks with the same settings: linly-bench run finance --model MODEL --adapter ADAPTER",
            "请以相同设置在相同基准上评测两者：linly-bench run finance --model MODEL --adapter ADAPTER"
        )));
    }
    let alone = of_a.iter().filter(|(key, _)| partner(key, &of_b).is_none());
    let alone = alone.chain(of_b.iter().filter(|(key, _)| partner(key, &of_a).is_none()));
    let without_partner = alone.map(|(_, run)| run.id.clone()).collect();
    Ok(FamilyComparison { without_partner, ..compare_pairs(workbench, &pairs)? })
}

/// What a run was asked, whoever was asked: equal for runs that may be compared. A preset that was named and the default
/// that goes without saying are the same, so the result's word counts.
fn setting(run: &RunRecord, same_base: bool) -> String {
    let mut config = run.config.clone();
    if let Some(object) = config.as_object_mut() {
        let preset = run.result.get("preset").cloned().unwrap_or(Value::Null);
        object.insert("preset".to_owned(), preset);
        // How somebody was reached is no part of what was asked.
        object.remove("flags");
    }
    let base = if same_base { run.model_hash.as_str() } else { "" };
    format!("{}\u{0}{base}\u{0}{config}", run.task)
}
