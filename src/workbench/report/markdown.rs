//! A run in Markdown.

use super::{Document, averages, metrics, percent, percent_or_dash, remarks};
use crate::eval::ItemOutcome;
use crate::eval::Report;
use crate::tr;
use std::fmt::Write;

/// Flips listed in a document; a page or `runs compare --json` has all.
const FLIPS: usize = 50;
/// Written answers listed in a document.
const ANSWERS: usize = 50;

/// The document in Markdown: what was asked, of whom, and what came out.
pub(super) fn render(document: &Document) -> String {
    let run = &document.run;
    let mut out = format!("# {}\n\n", run.id);
    table(&mut out, &["", ""], document.facts().into_iter().map(|(name, value)| vec![name, value]));
    match &document.report {
        Some(report) => scores(&mut out, document, report),
        None if run.result.is_null() => {}
        None => json_block(&mut out, &tr!("Result", "结果"), &run.result),
    }
    against(&mut out, document);
    if !run.error.is_null() {
        json_block(&mut out, &tr!("Error", "错误"), &run.error);
    }
    json_block(&mut out, &tr!("What was asked for", "请求"), &run.config);
    if let Some(command) = &document.command {
        let _ = write!(out, "\n## {}\n\n```sh\n{command}\n```\n", tr!("The same again", "复现"));
    }
    out
}

fn scores(out: &mut String, document: &Document, report: &Report) {
    let header = [tr!("subjects", "科目"), "n".to_owned(), "acc %".to_owned(), "stderr".to_owned()];
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let _ = write!(out, "\n## {} ({}, {}-shot)\n\n", report.task, report.preset, report.shots);
    if report.acc.is_finite() {
        let rows = averages(report).into_iter();
        table(
            out,
            &header,
            rows.map(|(name, n, acc, se)| vec![name, n.to_string(), percent(acc), percent_or_dash(se)]),
        );
        out.push('\n');
    }
    for remark in remarks(document) {
        let _ = writeln!(out, "- {remark}");
    }
    if !report.subjects.0.is_empty() {
        out.push('\n');
        let subjects = report.subjects.0.iter();
        let subjects = subjects.map(|(handle, s)| {
            let name = if s.title == *handle { handle.clone() } else { format!("{handle} {}", s.title) };
            vec![name, s.n.to_string(), percent(s.acc), percent_or_dash(s.stderr)]
        });
        table(out, &header, subjects);
    }
    let (header, rows) = metrics(report);
    if !rows.is_empty() {
        out.push('\n');
        table(out, &header.iter().map(String::as_str).collect::<Vec<_>>(), rows.into_iter());
    }
    written(out, &document.outcomes);
    let _ = write!(out, "\nprompt_hash `{}`\n", report.prompt_hash);
    for skipped in &report.skipped {
        let _ = writeln!(out, "\n- {}/{}: {}", skipped.subject, skipped.id, skipped.reason);
    }
}

/// The first answers that were written, and what was taken from them: a page or a table of items has all.
fn written(out: &mut String, outcomes: &[ItemOutcome]) {
    let all = outcomes.iter().filter(|o| o.written.is_some());
    let rows: Vec<Vec<String>> = all
        .clone()
        .take(ANSWERS)
        .map(|o| {
            let answer = o.written.as_ref().map_or("", |w| w.answer.as_str());
            let pred = if o.pred.is_empty() { tr!("(unanswered)", "（未作答）") } else { o.pred.clone() };
            let mark = if o.correct { "✓" } else { "✗" };
            let answer = crate::text::truncate(&crate::text::one_line(answer), 120);
            vec![format!("{}/{}", o.subject, o.id), answer, pred, o.gold.clone(), mark.to_owned()]
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    let (shown, n) = (rows.len(), all.count());
    let title = tr!("Written answers ({shown} of {n})", "书写的回答（{n} 个中的 {shown} 个）");
    let _ = write!(out, "\n## {title}\n\n");
    let header = [
        tr!("item", "题目"),
        tr!("written", "书写内容"),
        tr!("extracted", "提取结果"),
        tr!("right", "正解"),
        String::new(),
    ];
    table(out, &header.iter().map(String::as_str).collect::<Vec<_>>(), rows.into_iter());
}

fn against(out: &mut String, document: &Document) {
    let Some(against) = &document.against else { return };
    let (run, c) = (&against.run, &against.comparison);
    let _ = write!(out, "\n## {}\n\n", tr!("Against {}", "对比 {}", run.id));
    let [low, high] = c.ci95.map(percent);
    let _ = writeln!(
        out,
        "{}\n",
        tr!(
            "{}% → {}% of {} items: difference {} points, 95% interval [{low}, {high}], McNemar p = {:.4}; {} gained, {} lost",
            "{}% → {}%（{} 题）：差 {} 个百分点，95% 区间 [{low}, {high}]，McNemar p = {:.4}；新增正确 {}，丢失 {}",
            percent(c.acc_a),
            percent(c.acc_b),
            c.n,
            percent(c.difference),
            c.mcnemar_p,
            c.flips.gained,
            c.flips.lost
        )
    );
    let header = ["", "", "A", "B", ""];
    let rows = c.items.iter().take(FLIPS).map(|f| {
        let mark = if f.flip == "gained" { "+" } else { "-" };
        let name = format!("{}/{}", f.subject, f.id);
        vec![mark.to_owned(), name, f.pred_a.clone(), f.pred_b.clone(), f.gold.clone()]
    });
    table(out, &header, rows);
}

fn json_block(out: &mut String, title: &str, value: &serde_json::Value) {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let _ = write!(out, "\n## {title}\n\n```json\n{text}\n```\n");
}

/// A Markdown table. A bar or a line end in a cell would break it.
fn table(out: &mut String, header: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let line = |cells: &mut dyn Iterator<Item = String>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
    out.push_str(&line(&mut header.iter().map(|h| (*h).to_owned())));
    out.push_str(&line(&mut header.iter().map(|_| "---".to_owned())));
    for row in rows {
        out.push_str(&line(&mut row.iter().map(|cell| crate::text::one_line(cell).replace('|', "\\|"))));
    }
}
