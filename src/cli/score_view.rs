//! What lies behind a score, for a terminal: intervals, calibration, positions, several scores as one.

use super::columns::{Align, columns};
use crate::eval::{Calibration, GroupScore, PermutationReport, PresetSpread};
use crate::text::{one_line, wrap};
use crate::tr;
use crate::workbench::report::permutation_words;
use crate::workbench::{ScoreDetail, ScoreReport};

/// Characters of the reliability bars.
const BAR: usize = 40;

/// Intervals, calibration and positions of a score.
pub(super) fn detail(detail: Option<&ScoreDetail>, permutations: Option<&PermutationReport>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(detail) = detail {
        let [wl, wh] = detail.wilson95.map(percent);
        let [bl, bh] = detail.bootstrap95.map(percent);
        let interval = tr!(
            "95% interval of the micro average: [{wl}, {wh}] (Wilson), [{bl}, {bh}] (bootstrap)",
            "微平均的 95% 区间：[{wl}, {wh}]（Wilson），[{bl}, {bh}]（自助法）"
        );
        lines.extend(wrap(&interval, 80));
        lines.extend(detail.calibration.iter().flat_map(calibration));
    }
    if let Some(permutations) = permutations {
        lines.extend(wrap(&permutation_words(permutations), 80));
    }
    lines
}

/// The reliability diagram in text: per bin that has items, the share right as a bar and the mean confidence as a mark.
fn calibration(c: &Calibration) -> Vec<String> {
    let head = tr!(
        "calibration: ECE {:.4}, Brier {:.4}, mean confidence {:.2}%, right {:.2}%, n {}",
        "校准：ECE {:.4}，Brier {:.4}，平均置信度 {:.2}%，正确率 {:.2}%，n {}",
        c.ece,
        c.brier,
        c.confidence * 100.0,
        c.accuracy * 100.0,
        c.n
    );
    let mut lines = vec![String::new()];
    lines.extend(wrap(&head, 80));
    let cells = |share: f64| ((share * BAR as f64).round() as usize).min(BAR);
    for bin in &c.bins {
        let (Some(accuracy), Some(confidence)) = (bin.accuracy, bin.confidence) else { continue };
        let mark = cells(confidence).min(BAR - 1);
        let cell = |i: usize| match (i == mark, i < cells(accuracy)) {
            (true, _) => '┃',
            (_, true) => '█',
            _ => '·',
        };
        let bar: String = (0..BAR).map(cell).collect();
        let (low, high, right) = (bin.lower, bin.upper, accuracy * 100.0);
        lines.push(format!("  {low:.2}-{high:.2}  {bar}  {right:>5.1}%  {:>6}", bin.n));
    }
    lines.push(tr!("  (█ share right, ┃ mean confidence, items)", "  （█ 正确率，┃ 平均置信度，题数）"));
    lines.push(String::new());
    lines
}

fn percent(value: f64) -> String {
    format!("{:.2}", value * 100.0)
}

fn error(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), percent)
}

/// One line per benchmark, and their mean by both of its names.
pub(super) fn group(scores: &[ScoreReport], group: &GroupScore) -> Vec<String> {
    let right = |name: &str| (name.to_owned(), Align::Right);
    let header = [
        (tr!("benchmark", "基准"), Align::Left),
        (tr!("acc % (micro)", "acc %（微平均）"), Align::Right),
        right("stderr"),
        (tr!("macro", "宏平均"), Align::Right),
        right("n"),
        (tr!("run", "运行"), Align::Left),
    ];
    let mut rows: Vec<Vec<String>> = scores
        .iter()
        .map(|s| {
            let r = &s.report;
            vec![
                one_line(&r.task),
                percent(r.acc),
                error(r.acc_stderr),
                percent(r.acc_macro),
                r.n.to_string(),
                s.run.clone(),
            ]
        })
        .collect();
    let mean = |name: String, acc: f64, se: Option<f64>| {
        vec![name, percent(acc), error(se), String::new(), group.n.to_string(), String::new()]
    };
    rows.push(mean(tr!("micro (all items)", "微平均（全部题目）"), group.acc, group.acc_stderr));
    let k = group.benchmarks;
    let name = tr!("macro (mean of {k} benchmarks)", "宏平均（{k} 个基准的平均）");
    rows.push(mean(name, group.acc_macro, group.acc_macro_stderr));
    columns(&header, &rows, 100)
}

/// One line per wording, and how far they lie apart.
pub(super) fn presets(scores: &[&ScoreReport], spread: &PresetSpread) -> Vec<String> {
    let task = scores.first().map_or("", |s| s.report.task.as_str());
    let header = [
        (tr!("{}: preset", "{}：预设", one_line(task)), Align::Left),
        (tr!("acc % (micro)", "acc %（微平均）"), Align::Right),
        ("stderr".to_owned(), Align::Right),
        (tr!("run", "运行"), Align::Left),
    ];
    let rows: Vec<Vec<String>> = scores
        .iter()
        .map(|s| vec![one_line(&s.report.preset), percent(s.report.acc), error(s.report.acc_stderr), s.run.clone()])
        .collect();
    let mut lines = columns(&header, &rows, 80);
    let words = tr!(
        "over {} wordings: {:.2} ± {:.2}% (sd), {:.2} points apart; the same answer in every wording: {:.1}% of {} items; smallest p of a pair (McNemar, Holm) {:.4}",
        "{} 种措辞：{:.2} ± {:.2}%（标准差），相差 {:.2} 个百分点；所有措辞答案相同：{:.1}%（共 {} 题）；各对中最小 p（McNemar，Holm）{:.4}",
        spread.acc.len(),
        spread.mean * 100.0,
        spread.sd * 100.0,
        spread.spread * 100.0,
        spread.same_answer * 100.0,
        spread.n,
        spread.smallest_p
    );
    lines.extend(wrap(&words, 80));
    lines
}
