//! A run as one page that needs nothing else: no script, style, font or picture from elsewhere.

use super::items::{browser, ending, switch, written};
use super::svg::{Bar, bars, escaped, is_long, radar, reliability};
use super::{Against, Document, averages, metrics, percent, percent_or_dash, remarks};
use crate::eval::{ItemOutcome, Report, statistics::wilson};
use crate::tr;
use std::collections::HashMap;
use std::fmt::Write;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5c6675; --line: #d9dee6; --paper: #fff; --bar: #4c78a8;
  --area: #4c78a833; --mark: #c0392b; --good: #2e7d4f }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe4ec; --soft: #98a2b3; --line: #39414e; --paper: #14181f;
  --bar: #7aa6d6; --area: #7aa6d633; --mark: #ef8a80; --good: #7fcf9d } }
body { font: 16px/1.55 system-ui, 'PingFang SC', 'Hiragino Sans GB', 'Microsoft YaHei', 'Noto Sans CJK SC',
  'Source Han Sans SC', 'WenQuanYi Micro Hei', sans-serif; color: var(--ink); background: var(--paper);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2rem }
table { border-collapse: collapse; margin: .5rem 0 } th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line);
  text-align: left; vertical-align: top; overflow-wrap: anywhere } td.n, th.n { text-align: right; white-space: nowrap }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--area); padding: .6rem .8rem; border-radius: .3rem }
.plot { width: 100%; height: auto; display: block } .plot.small { max-width: 32rem }
.plot text { font-size: 13px; fill: var(--ink) } .plot .tick { font-size: 11px; fill: var(--soft) }
.grid { stroke: var(--line); fill: none } .bar { fill: var(--bar) } .count { fill: var(--soft) }
.whisker { stroke: var(--ink); fill: none } .chance { stroke: var(--mark); stroke-dasharray: 4 3 }
.area { fill: var(--area); stroke: var(--bar); stroke-width: 2 } .soft { color: var(--soft) }
.gained > summary, .right > summary { color: var(--good) } .lost > summary, .wrong > summary { color: var(--mark) }
summary { cursor: pointer; overflow-wrap: anywhere } input[type=radio] { margin-left: .8rem }
#flips-gained:checked ~ .lost, #flips-lost:checked ~ .gained, #items-right:checked ~ details:not(.right),
#items-wrong:checked ~ details:not(.wrong), #items-silent:checked ~ details:not(.silent),
#items-cut:checked ~ details:not(.cut) { display: none }
";

/// Flips in a page; `runs compare --json` has all.
const FLIPS: usize = 1000;

/// The page.
pub(super) fn render(document: &Document) -> String {
    let run = &document.run;
    let lang = tr!("en", "zh-CN");
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{0}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
        escaped(&run.id)
    );
    let facts = document.facts();
    table(&mut out, &[], facts.iter().map(|(name, value)| vec![name.clone(), value.clone()]));
    if let Some(report) = &document.report {
        score(&mut out, document, report);
    }
    if let Some(against) = &document.against {
        flips(&mut out, document, against);
    }
    if !document.outcomes.is_empty() {
        heading(&mut out, &tr!("Item by item", "逐题查看"));
        out.push_str(&browser(&document.outcomes));
    }
    if !run.error.is_null() {
        block(&mut out, &tr!("Error", "错误"), &pretty(&run.error));
    }
    block(&mut out, &tr!("What was asked for", "请求"), &pretty(&run.config));
    if document.report.is_none() && !run.result.is_null() {
        block(&mut out, &tr!("Result", "结果"), &pretty(&run.result));
    }
    if let Some(command) = &document.command {
        block(&mut out, &tr!("The same again", "复现"), command);
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn score(out: &mut String, document: &Document, report: &Report) {
    heading(out, &format!("{} ({}, {}-shot)", report.task, report.preset, report.shots));
    if report.acc.is_finite() {
        let header = [tr!("average", "平均"), "n".to_owned(), "acc %".to_owned(), "stderr".to_owned()];
        let rows = averages(report).into_iter();
        table(
            out,
            &header,
            rows.map(|(name, n, acc, se)| vec![name, n.to_string(), percent(acc), percent_or_dash(se)]),
        );
    }
    let (header, rows) = metrics(report);
    if !rows.is_empty() {
        table(out, &header, rows.into_iter());
    }
    out.push_str("<ul>\n");
    for remark in remarks(document) {
        let _ = writeln!(out, "<li>{}</li>", escaped(&remark));
    }
    out.push_str("</ul>\n");
    let categories: Vec<(String, f64)> =
        report.categories.0.iter().map(|(name, s)| (name.clone(), s.acc)).filter(|(_, acc)| acc.is_finite()).collect();
    let picture = radar(&categories);
    if !picture.is_empty() {
        heading(out, &tr!("By category", "按类别"));
        out.push_str(&picture);
    }
    if report.acc.is_finite() {
        heading(out, &tr!("By subject, with 95% Wilson intervals", "按科目（95% Wilson 区间）"));
        out.push_str(&bars(&subject_bars(report), chance(&document.outcomes)));
        let long = report.subjects.0.iter().filter(|(_, s)| is_long(&s.title));
        for (handle, s) in long {
            let _ = write!(out, "<p class=\"soft\">{}: {}</p>", escaped(handle), escaped(&s.title));
        }
    }
    if let Some(c) = document.detail.as_ref().and_then(|d| d.calibration.as_ref()) {
        heading(out, &tr!("Calibration", "校准"));
        out.push_str(&reliability(c));
    }
    if !report.skipped.is_empty() {
        heading(out, &tr!("Not scored", "未评分"));
        let header = [tr!("item", "题目"), tr!("reason", "原因")];
        let rows = report.skipped.iter().map(|s| vec![format!("{}/{}", s.subject, s.id), s.reason.clone()]);
        table(out, &header, rows);
    }
    let _ = writeln!(out, "<p class=\"soft\">prompt_hash <code>{}</code></p>", escaped(&report.prompt_hash));
}

/// Micro average first, then the subjects.
fn subject_bars(report: &Report) -> Vec<Bar> {
    let bar = |name: String, acc: f64, n: usize| {
        let right = (acc * n as f64).round() as usize;
        Bar { name, value: acc, interval: wilson(right, n, 0.95), n }
    };
    let n = report.subjects.0.iter().map(|(_, s)| s.n).sum();
    let all = bar(tr!("micro average", "微平均"), report.acc, n);
    let subjects = report
        .subjects
        .0
        .iter()
        .map(|(handle, s)| bar(if s.title.is_empty() { handle.clone() } else { s.title.clone() }, s.acc, s.n));
    std::iter::once(all).chain(subjects).collect()
}

/// The accuracy of guessing, where every item has the same number of choices.
fn chance(outcomes: &[ItemOutcome]) -> Option<f64> {
    let first = outcomes.first().map(|o| o.loglikelihoods.len()).filter(|n| *n > 1)?;
    outcomes.iter().all(|o| o.loglikelihoods.len() == first).then(|| 1.0 / first as f64)
}

/// The items that only one of the two got right, each to be opened, with switches for either kind (no script needed).
fn flips(out: &mut String, document: &Document, against: &Against) {
    let c = &against.comparison;
    heading(out, &tr!("Against {}", "对比 {}", against.run.id));
    let [low, high] = c.ci95.map(percent);
    let who = super::named(&against.run.model, &against.run.model_hash);
    let adapter = super::named(&against.run.adapter, &against.run.adapter_hash);
    let summary = tr!(
        "B is {who} {adapter}. {}% → {}% of {} items: difference {} points, 95% interval [{low}, {high}], McNemar p = {:.4}; {} answers have no partner",
        "B 为 {who} {adapter}。{}% → {}%（{} 题）：差 {} 个百分点，95% 区间 [{low}, {high}]，McNemar p = {:.4}；{} 个回答没有对应题目",
        percent(c.acc_a),
        percent(c.acc_b),
        c.n,
        percent(c.difference),
        c.mcnemar_p,
        c.left_out
    );
    let _ = writeln!(out, "<p>{}</p>\n<div>", escaped(&summary));
    for (class, label) in [
        ("", tr!("all {}", "全部 {}", c.items.len())),
        ("gained", tr!("gained {}", "新增正确 {}", c.flips.gained)),
        ("lost", tr!("lost {}", "丢失 {}", c.flips.lost)),
    ] {
        out.push_str(&switch("flips", class, &label));
    }
    // Pairs have the same content, but perhaps another number.
    let partners: HashMap<&str, &ItemOutcome> =
        against.outcomes.iter().filter(|o| o.written.is_some()).map(|o| (o.detail.content.as_str(), o)).collect();
    let prompts: HashMap<(&str, &str), &ItemOutcome> =
        document.outcomes.iter().map(|o| ((o.subject.as_str(), o.id.as_str()), o)).collect();
    for flip in c.items.iter().take(FLIPS) {
        let head = tr!(
            "{}/{}: A says {}, B says {}, right is {}",
            "{}/{}：A 选 {}，B 选 {}，正确 {}",
            flip.subject,
            flip.id,
            flip.pred_a,
            flip.pred_b,
            flip.gold
        );
        let own = prompts.get(&(flip.subject.as_str(), flip.id.as_str()));
        let _ = write!(
            out,
            "\n<details class=\"{}\"><summary>{} {}</summary><pre>{}</pre>",
            flip.flip,
            if flip.flip == "gained" { "+" } else { "−" },
            escaped(&crate::text::truncate(&crate::text::one_line(&head), 160)),
            escaped(&ending(own.map_or("", |o| o.prompt.as_str())))
        );
        let partner = own.and_then(|o| partners.get(o.detail.content.as_str()));
        for (side, outcome) in [("A", own), ("B", partner)] {
            if let Some(outcome) = outcome.filter(|o| o.written.is_some()) {
                let _ = write!(out, "<p>{side}</p>");
                written(out, outcome);
            }
        }
        out.push_str("</details>\n");
    }
    if c.items.len() > FLIPS {
        let more = c.items.len() - FLIPS;
        let more = tr!("{more} more: runs compare --json", "另有 {more} 题：runs compare --json");
        let _ = writeln!(out, "<p>{}</p>", escaped(&more));
    }
    out.push_str("</div>\n");
}

fn heading(out: &mut String, title: &str) {
    let _ = writeln!(out, "<h2>{}</h2>", escaped(title));
}

fn block(out: &mut String, title: &str, text: &str) {
    heading(out, title);
    let _ = writeln!(out, "<pre>{}</pre>", escaped(text));
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A table; columns after the first of one with a header hold numbers.
fn table(out: &mut String, header: &[String], rows: impl Iterator<Item = Vec<String>>) {
    let numbers = header.len() > 2;
    let line = |cells: &[String], tag: &str| {
        let cell = |(i, cell): (usize, &String)| {
            let class = if numbers && i > 0 { " class=\"n\"" } else { "" };
            format!("<{tag}{class}>{}</{tag}>", escaped(cell))
        };
        format!("<tr>{}</tr>\n", cells.iter().enumerate().map(cell).collect::<String>())
    };
    out.push_str("<table>\n");
    if !header.is_empty() {
        out.push_str(&line(header, "th"));
    }
    rows.for_each(|row| out.push_str(&line(&row, "td")));
    out.push_str("</table>\n");
}
