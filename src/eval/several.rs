//! Several scores as one: benchmarks of a group, or wordings of one benchmark.

use super::report::Report;
use super::runner::ItemOutcome;
use super::statistics::{holm, mcnemar, mean_stderr, pooled_stderr};
use serde::Serialize;
use std::collections::HashMap;

/// The mean of several benchmarks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupScore {
    /// Benchmarks.
    pub benchmarks: usize,
    /// Items of all.
    pub n: usize,
    /// Micro average: every item weighs the same.
    pub acc: f64,
    /// Its standard error, pooled over all subjects as lm-evaluation-harness pools a group.
    pub acc_stderr: Option<f64>,
    /// Macro average: every benchmark's micro average weighs the same.
    pub acc_macro: f64,
    /// Its standard error: √(Σ seᵢ²) ÷ k; `None` when a benchmark has none.
    pub acc_macro_stderr: Option<f64>,
}

/// The group score of `reports`, leaving out those without answers; `None` when none is left.
pub fn group_score(reports: &[&Report]) -> Option<GroupScore> {
    let scored: Vec<&&Report> = reports.iter().filter(|r| r.acc.is_finite()).collect();
    let items = |r: &Report| r.subjects.0.iter().map(|(_, s)| s.n).sum::<usize>();
    let n: usize = scored.iter().map(|r| items(r)).sum();
    if n == 0 {
        return None;
    }
    let k = scored.len() as f64;
    let parts: Vec<(f64, usize)> =
        scored.iter().flat_map(|r| &r.subjects.0).map(|(_, s)| (s.stderr.unwrap_or(0.0), s.n)).collect();
    let errors: Option<Vec<f64>> = scored.iter().map(|r| r.acc_stderr).collect();
    Some(GroupScore {
        benchmarks: scored.len(),
        n,
        acc: scored.iter().map(|r| r.acc * items(r) as f64).sum::<f64>() / n as f64,
        acc_stderr: pooled_stderr(&parts),
        acc_macro: scored.iter().map(|r| r.acc).sum::<f64>() / k,
        acc_macro_stderr: errors.map(|e| e.iter().map(|se| se * se).sum::<f64>().sqrt() / k),
    })
}

/// How much a score depends on the wording of the prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PresetSpread {
    /// Items that were asked in every wording.
    pub n: usize,
    /// Accuracy (micro) of each wording on them, in the order given.
    pub acc: Vec<f64>,
    /// Mean of `acc`.
    pub mean: f64,
    /// Sample standard deviation of `acc`.
    pub sd: f64,
    /// Largest − smallest of `acc`.
    pub spread: f64,
    /// Share of items with the same answer in every wording.
    pub same_answer: f64,
    /// The smallest of McNemar's exact p over all pairs of wordings, corrected by Holm for their number.
    pub smallest_p: f64,
}

/// Compares the answers to the same items in several wordings; `None` for fewer than two wordings or no common item.
pub fn preset_spread(runs: &[&[ItemOutcome]]) -> Option<PresetSpread> {
    let (first, rest) = runs.split_first().filter(|(_, rest)| !rest.is_empty())?;
    let index = |outcomes: &'_ [ItemOutcome]| -> HashMap<(String, String), usize> {
        outcomes.iter().enumerate().map(|(i, o)| ((o.subject.clone(), o.id.clone()), i)).collect()
    };
    let indexes: Vec<_> = rest.iter().map(|outcomes| index(outcomes)).collect();
    let mut correct: Vec<Vec<bool>> = vec![Vec::new(); runs.len()];
    let mut same = 0usize;
    for outcome in first.iter().filter(|o| !o.gold.is_empty()) {
        let key = (outcome.subject.clone(), outcome.id.clone());
        let others: Option<Vec<&ItemOutcome>> =
            indexes.iter().zip(rest).map(|(index, outcomes)| outcomes.get(*index.get(&key)?)).collect();
        let Some(others) = others else { continue };
        same += usize::from(others.iter().all(|o| o.pred == outcome.pred));
        for (column, o) in correct.iter_mut().zip(std::iter::once(outcome).chain(others)) {
            column.push(o.correct);
        }
    }
    let n = correct.first().map_or(0, Vec::len);
    if n == 0 {
        return None;
    }
    let acc: Vec<f64> = correct.iter().map(|c| c.iter().filter(|c| **c).count() as f64 / n as f64).collect();
    let mut p_values = Vec::new();
    for (i, a) in correct.iter().enumerate() {
        for b in correct.iter().skip(i + 1) {
            let only = |want: (bool, bool)| a.iter().zip(b).filter(|&(&a, &b)| (a, b) == want).count();
            p_values.push(mcnemar(only((false, true)), only((true, false))).exact);
        }
    }
    let largest = acc.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest = acc.iter().copied().fold(f64::INFINITY, f64::min);
    Some(PresetSpread {
        n,
        mean: acc.iter().sum::<f64>() / acc.len() as f64,
        sd: mean_stderr(&acc).unwrap_or(0.0) * (acc.len() as f64).sqrt(),
        spread: largest - smallest,
        same_answer: same as f64 / n as f64,
        smallest_p: holm(&p_values).into_iter().fold(1.0, f64::min),
        acc,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{Ordered, SubjectScore};

    fn report(subjects: &[(usize, f64, f64)], acc_stderr: Option<f64>) -> Report {
        let n: usize = subjects.iter().map(|s| s.0).sum();
        let subjects: Vec<(String, SubjectScore)> = subjects
            .iter()
            .enumerate()
            .map(|(i, (n, acc, se))| {
                let (title, category) = (String::new(), String::new());
                (i.to_string(), SubjectScore { n: *n, acc: *acc, stderr: Some(*se), acc_norm: None, title, category })
            })
            .collect();
        let acc = subjects.iter().map(|(_, s)| s.acc * s.n as f64).sum::<f64>() / n as f64;
        serde_json::from_value(serde_json::json!({
            "task": "t", "preset": "p", "shots": 0, "n": n, "acc": acc, "acc_stderr": acc_stderr, "acc_macro": acc,
            "categories": {}, "subsets": {}, "subjects": Ordered(subjects), "prompt_hash": "",
            "items_per_second": 0.0, "prefill_tokens": 0, "context_tokens": 0, "skipped": []
        }))
        .unwrap()
    }

    #[test]
    fn micro_weighs_items_and_macro_weighs_benchmarks() {
        let large = report(&[(40, 0.5, 0.05), (20, 0.8, 0.1)], Some(0.04)); // 0.6 of 60
        let small = report(&[(30, 0.2, 0.08)], Some(0.03));
        let g = group_score(&[&large, &small]).unwrap();
        assert_eq!((g.benchmarks, g.n), (2, 90));
        assert!((g.acc - 42.0 / 90.0).abs() < 1e-12 && (g.acc_macro - 0.4).abs() < 1e-12);
        assert!((g.acc_macro_stderr.unwrap() - 0.025).abs() < 1e-12);
        // lm-eval 0.4.13: pooled_sample_stderr([0.05, 0.1, 0.08], [40, 20, 30]).
        assert!((g.acc_stderr.unwrap() - 0.041_164_405_757_947_43).abs() < 1e-12);
        assert_eq!(group_score(&[]), None);
    }

    fn answers(preds: &str) -> Vec<ItemOutcome> {
        preds
            .chars()
            .enumerate()
            .map(|(i, pred)| ItemOutcome {
                subject: "s".into(),
                id: i.to_string(),
                pred: pred.to_string(),
                gold: "A".into(),
                correct: pred == 'A',
                ..ItemOutcome::default()
            })
            .collect()
    }

    #[test]
    fn the_spread_of_three_wordings_by_hand() {
        let runs = [answers("AAAAAAAB"), answers("BBBBBBAB"), answers("AAAAAAAC")];
        let runs: Vec<&[ItemOutcome]> = runs.iter().map(Vec::as_slice).collect();
        let s = preset_spread(&runs).unwrap();
        assert_eq!((s.n, s.acc.as_slice()), (8, &[0.875, 0.125, 0.875] as &[f64]));
        assert!((s.spread - 0.75).abs() < 1e-12 && (s.mean - 0.625).abs() < 1e-12);
        assert_eq!(s.same_answer, 1.0 / 8.0);
        // 0 against 6: 2·2⁻⁶, the smallest of three.
        assert!((s.smallest_p - 3.0 / 32.0).abs() < 1e-12);
        assert_eq!(preset_spread(&runs[..1]), None);
    }
}
