//! Another score from the same answers: by another rule, on some subjects, without some items. Nothing is asked again.

use super::calibration::gold_position;
use super::report::{Judged, Report, Totals, totals};
use super::runner::{ItemOutcome, argmax};
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::Serialize;
use std::collections::BTreeSet;

/// Which choice counts as the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The likeliest.
    #[default]
    Acc,
    /// The likeliest per character (lm-evaluation-harness's `acc_norm`).
    AccNorm,
    /// The likeliest per byte of UTF-8 (its `acc_bytes`).
    AccBytes,
    /// The likeliest per token.
    AccToken,
}

impl Rule {
    /// Its name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Acc => "acc",
            Rule::AccNorm => "acc_norm",
            Rule::AccBytes => "acc_bytes",
            Rule::AccToken => "acc_token",
        }
    }

    /// Whether an outcome is right by this rule; `None` where its right answer is not known or its answer was written,
    /// not chosen, so that only [`Rule::Acc`] applies.
    fn judge(self, outcome: &ItemOutcome) -> Result<Option<bool>> {
        if outcome.gold.is_empty() {
            return Ok(None);
        }
        if self == Rule::Acc {
            return Ok(Some(outcome.correct));
        }
        let divisors: Vec<usize> = match self {
            Rule::AccToken => outcome.detail.tokens.clone(),
            Rule::AccNorm if !outcome.detail.lengths.is_empty() => outcome.detail.lengths.clone(),
            Rule::AccNorm | Rule::Acc => outcome.choices.iter().map(|c| c.trim_start().chars().count()).collect(),
            Rule::AccBytes => outcome.choices.iter().map(|c| c.trim_start().len()).collect(),
        };
        let lls = &outcome.loglikelihoods;
        if lls.is_empty() || divisors.len() != lls.len() {
            let (subject, id, rule) = (&outcome.subject, &outcome.id, self.name());
            return Err(Error::new(
                Kind::Unsupported,
                tr!("{subject}/{id} cannot be scored by {rule}", "{subject}/{id} 无法按 {rule} 评分"),
            )
            .hint(tr!(
                "the run has no log-likelihoods, or did not keep the tokens of its choices: score the model again",
                "该运行没有对数似然，或未保存选项的词元数：请重新评测"
            )));
        }
        let shares: Vec<f64> = lls.iter().zip(&divisors).map(|(ll, n)| ll / (*n).max(1) as f64).collect();
        Ok(Some(argmax(&shares).is_some_and(|best| Some(best) == gold_position(outcome))))
    }
}

/// What a re-scored report is about.
#[derive(Clone, Debug, Default)]
pub struct Rescoring {
    /// Which choice counts.
    pub rule: Rule,
    /// Only these subjects; empty for all.
    pub subjects: Vec<String>,
    /// Items left out: (subject, id).
    pub without: BTreeSet<(String, String)>,
    /// Named selections of subjects.
    pub subsets: Vec<(String, Vec<String>)>,
}

/// The report of `before` for `outcomes` under another rule or on fewer items. Numbers of the first pass that do not
/// apply any more (speed, tokens) are 0.
///
/// # Errors
/// `InvalidInput` for a subject that the run does not have, or when no item is left; `Unsupported` when the run did not
/// keep what the rule needs.
pub fn rescore(before: &Report, outcomes: &[ItemOutcome], what: &Rescoring) -> Result<Report> {
    let subjects: Vec<(String, String, String)> = before
        .subjects
        .0
        .iter()
        .filter(|(handle, s)| what.subjects.is_empty() || what.subjects.iter().any(|w| w == handle || *w == s.title))
        .map(|(handle, s)| (handle.clone(), s.title.clone(), s.category.clone()))
        .collect();
    if let Some(wrong) =
        what.subjects.iter().find(|w| !subjects.iter().any(|(handle, title, _)| *w == handle || *w == title))
    {
        let known: Vec<&str> = before.subjects.0.iter().map(|(handle, _)| handle.as_str()).collect();
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("the run has no subject `{wrong}`", "该运行没有科目 `{wrong}`"),
        )
        .hint(tr!("it has: {}", "可用的有：{}", known.join(", "))));
    }
    let mut judged = Vec::with_capacity(outcomes.len());
    let mut left = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        let Some((_, _, own)) = subjects.iter().find(|(handle, _, _)| *handle == outcome.subject) else { continue };
        if what.without.contains(&(outcome.subject.clone(), outcome.id.clone())) {
            continue;
        }
        let Some(correct) = what.rule.judge(outcome)? else { continue };
        let category = Some(outcome.detail.category.as_str()).filter(|c| !c.is_empty()).unwrap_or(own);
        let normed = before.acc_norm.map(|_| Rule::AccNorm.judge(outcome)).transpose()?.flatten();
        judged.push(Judged { subject: &outcome.subject, category, correct, normed });
        left.push(outcome);
    }
    if judged.is_empty() {
        return Err(Error::new(Kind::InvalidInput, tr!("no scored item is left", "没有剩下可评分的题目"))
            .hint(tr!("take fewer items away", "请少排除一些题目")));
    }
    let Totals { acc, acc_stderr, acc_macro, acc_norm, categories, subsets, subjects } =
        totals(&judged, &subjects, &what.subsets);
    let n = judged.len();
    Ok(Report {
        n,
        acc,
        acc_stderr,
        acc_macro,
        acc_norm,
        categories,
        subsets,
        subjects,
        summary: before.summary.of(&left),
        items_per_second: 0.0,
        prefill_tokens: 0,
        context_tokens: 0,
        truncated: before.truncated.map(|_| left.iter().filter(|o| !o.detail.is_whole()).count()),
        ..before.clone()
    })
}
