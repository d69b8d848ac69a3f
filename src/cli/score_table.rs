//! A score as a table for people.

use super::columns::{Align, columns, model_label};
use crate::eval::{self, CategoryScore, Report, SubjectScore};
use crate::text::{one_line, wrap};
use crate::tr;
use crate::workbench::ScoreReport;
use crate::workbench::report::{truncated_words, unanswered_words};

/// Columns of the table's name and of its bar: together with the numbers 79 of a terminal's 80.
const NAME: usize = 36;
const BAR: usize = 20;

/// The score for people, at most 80 columns wide.
pub(super) fn render(score: &ScoreReport) -> Vec<String> {
    let report = &score.report;
    let who = model_label(&score.model, &score.adapter);
    let how = if score.template.is_empty() { tr!("plain text", "纯文本") } else { score.template.clone() };
    let mut lines = vec![
        one_line(&format!("{}: {who}", report.task)),
        one_line(&tr!(
            "{}-shot, preset {}, {how}, {}{}",
            "{}-shot，预设 {}，{how}，{}{}",
            report.shots,
            report.preset,
            report.summary.mode.name(),
            // The usual f32 goes without saying.
            Some(&score.weights)
                .filter(|w| !["", "f32"].contains(&w.as_str()))
                .map(|w| format!(", {w}"))
                .unwrap_or_default()
        )),
        String::new(),
    ];
    let written = metric_rows(report);
    if report.acc.is_nan() && !written.is_empty() {
        let header = [tr!("metric", "指标"), tr!("value", "数值"), "stderr".to_owned(), tr!("unanswered", "未作答")];
        let layout = [Align::Left, Align::Right, Align::Right, Align::Right];
        lines.extend(columns(&header.into_iter().zip(layout).collect::<Vec<_>>(), &written, 80));
        lines.push(String::new());
        lines.push(one_line(&tr!("run {}, {} texts", "运行 {}，{} 篇文本", score.run, report.n)));
        return lines;
    }
    if report.acc.is_nan() {
        lines.push(tr!(
            "{} predictions; this split has no answers to score them by",
            "{} 个预测；该划分没有答案，无法评分",
            report.n
        ));
        return lines;
    }
    let header = [tr!("subject", "科目"), String::new(), "acc %".to_owned(), "stderr".to_owned(), "n".to_owned()];
    let layout = [Align::Left, Align::Left, Align::Right, Align::Right, Align::Right];
    let header: Vec<(String, Align)> = header.into_iter().zip(layout).collect();
    lines.extend(columns(&header, &rows(report), 80));
    lines.push(String::new());
    if report.summary.metrics.0.len() > 1 {
        let header = [tr!("metric", "指标"), tr!("value", "数值"), "stderr".to_owned(), tr!("unanswered", "未作答")];
        let layout = [Align::Left, Align::Right, Align::Right, Align::Right];
        lines.extend(columns(&header.into_iter().zip(layout).collect::<Vec<_>>(), &written, 80));
        lines.push(String::new());
    }
    for words in unanswered_words(report).into_iter().chain(truncated_words(report)) {
        lines.extend(wrap(&one_line(&words), 80));
    }
    let prompts = report.prompt_hash.get(..12).unwrap_or_default();
    // A score that nothing was computed for has no speed.
    lines.push(one_line(&if score.reused >= report.n || report.items_per_second <= 0.0 {
        tr!("run {}, prompts {prompts}", "运行 {}，提示 {prompts}", score.run)
    } else {
        let speed = report.items_per_second;
        tr!("run {}, {speed:.2} items/s, prompts {prompts}", "运行 {}，{speed:.2} 题/秒，提示 {prompts}", score.run)
    }));
    lines
}

/// The metrics beside accuracy: shares in percent, perplexities as they are.
fn metric_rows(report: &Report) -> Vec<Vec<String>> {
    let shares = report.summary.mode != eval::Mode::Perplexity;
    let number = |value: f64| if shares { format!("{:.2} %", value * 100.0) } else { format!("{value:.4}") };
    let metrics = report.summary.metrics.0.iter();
    metrics
        .map(|(name, m)| {
            let stderr = m.stderr.map_or_else(|| "-".to_owned(), |e| format!("{:.2}", e * 100.0));
            let unanswered = m.unanswered.map_or_else(|| "-".to_owned(), |n| n.to_string());
            vec![one_line(name), number(m.value), stderr, unanswered]
        })
        .collect()
}

/// Categories, each followed by its subjects, then the averages by their names.
fn rows(report: &Report) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let subject_row = |indent: &str, handle: &str, s: &SubjectScore| {
        row(&format!("{indent}{}", if s.title.is_empty() { handle } else { &s.title }), s.acc, s.stderr, s.n)
    };
    let group_row = |name: &str, c: &CategoryScore| row(name, c.acc, c.stderr, c.n);
    let mut listed: Vec<&str> = Vec::new();
    for (name, category) in &report.categories.0 {
        rows.push(group_row(name, category));
        for (handle, s) in report.subjects.0.iter().filter(|(_, s)| s.category == *name) {
            rows.push(subject_row("  ", handle, s));
            listed.push(handle);
        }
    }
    for (handle, s) in report.subjects.0.iter().filter(|(handle, _)| !listed.contains(&handle.as_str())) {
        rows.push(subject_row("", handle, s));
    }
    for (name, subset) in &report.subsets.0 {
        rows.push(group_row(&tr!("subset {name} (micro)", "子集 {name}（微平均）"), subset));
    }
    rows.push(row(&tr!("micro average (all items)", "微平均（全部题目）"), report.acc, report.acc_stderr, report.n));
    let count = report.subjects.0.len();
    let name = tr!("macro average (mean of {count} subjects)", "宏平均（{count} 个科目的平均）");
    rows.push(row(&name, report.acc_macro, None, report.n));
    if let Some(acc_norm) = report.acc_norm {
        rows.push(row(
            &tr!("acc_norm, micro (by characters)", "acc_norm 微平均（按字符数）"),
            acc_norm,
            None,
            report.n,
        ));
    }
    rows
}

fn row(name: &str, acc: f64, stderr: Option<f64>, n: usize) -> Vec<String> {
    let filled = (acc * BAR as f64).round() as usize;
    vec![
        crate::text::truncate(&one_line_keeping_indent(name), NAME),
        format!("{}{}", "#".repeat(filled.min(BAR)), ".".repeat(BAR.saturating_sub(filled))),
        format!("{:.2}", acc * 100.0),
        stderr.map_or_else(|| "-".to_owned(), |e| format!("{:.2}", e * 100.0)),
        n.to_string(),
    ]
}

/// Titles come from data files and may hold anything.
fn one_line_keeping_indent(name: &str) -> String {
    let indent = name.len() - name.trim_start_matches(' ').len();
    format!("{}{}", " ".repeat(indent), one_line(name))
}
