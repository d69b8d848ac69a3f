//! Every item of a score on a page: what was asked, what came back and what was made of it, each to be opened.

use super::svg::escaped;
use crate::eval::{ItemOutcome, MetricScore, Mode, softmax, text_perplexity};
use crate::text::one_line;
use crate::tr;
use std::fmt::Write;

/// Items on a page; a table of items has all.
const ITEMS: usize = 1000;
/// Characters of a prompt's end that a page shows: the question, not the shots before it.
const PROMPT: usize = 1200;

/// The browser of `outcomes`, with switches for kinds of items that need no script.
pub(super) fn browser(outcomes: &[ItemOutcome]) -> String {
    let mut out = String::from("<div>\n");
    let count = |class: &str| outcomes.iter().filter(|o| classes(o).contains(&class)).count();
    for (class, label) in [
        ("", tr!("all {}", "全部 {}", outcomes.len())),
        ("right", tr!("right {}", "正确 {}", count("right"))),
        ("wrong", tr!("wrong {}", "错误 {}", count("wrong"))),
        ("silent", tr!("unanswered {}", "未作答 {}", count("silent"))),
        ("cut", tr!("prompt cut {}", "提示被截断 {}", count("cut"))),
    ] {
        if class.is_empty() || count(class) > 0 {
            out.push_str(&switch("items", class, &label));
        }
    }
    for outcome in outcomes.iter().take(ITEMS) {
        item(&mut out, outcome);
    }
    if let Some(more) = outcomes.len().checked_sub(ITEMS).filter(|more| *more > 0) {
        let more = tr!("{more} more: runs report -o FILE.csv", "另有 {more} 题：runs report -o FILE.csv");
        let _ = writeln!(out, "<p>{}</p>", escaped(&more));
    }
    out.push_str("</div>\n");
    out
}

/// A switch that leaves only items of `class` on the page (empty: all of them).
pub(super) fn switch(group: &str, class: &str, label: &str) -> String {
    let (id, checked) = if class.is_empty() { ("all", " checked") } else { (class, "") };
    format!(
        "<input type=\"radio\" name=\"{group}\" id=\"{group}-{id}\"{checked}><label for=\"{group}-{id}\">{}</label> ",
        escaped(label)
    )
}

/// What an item is, for the switches.
fn classes(o: &ItemOutcome) -> Vec<&'static str> {
    let mut classes = Vec::new();
    if !o.gold.is_empty() {
        classes.push(if o.correct { "right" } else { "wrong" });
    }
    if o.written.is_some() && o.pred.is_empty() {
        classes.push("silent");
    }
    if !o.detail.is_whole() {
        classes.push("cut");
    }
    classes
}

fn item(out: &mut String, o: &ItemOutcome) {
    let mark = match (o.gold.is_empty(), o.correct) {
        (true, _) => "·",
        (false, true) => "✓",
        (false, false) => "✗",
    };
    let said = if o.pred.is_empty() { tr!("nothing", "无") } else { o.pred.clone() };
    let (subject, id, gold) = (&o.subject, &o.id, &o.gold);
    let head = match (o.mode, gold.is_empty()) {
        (Mode::Perplexity, _) => format!("{subject}/{id}"),
        (_, true) => tr!("{subject}/{id}: answer {said}", "{subject}/{id}：回答 {said}"),
        (_, false) => tr!("{subject}/{id}: answer {said}, right is {gold}", "{subject}/{id}：回答 {said}，正确 {gold}"),
    };
    let _ = write!(
        out,
        "\n<details class=\"{}\"><summary>{mark} {}</summary>",
        classes(o).join(" "),
        escaped(&crate::text::truncate(&one_line(&head), 160))
    );
    if !o.detail.is_whole() {
        let cut = o.detail.truncated;
        let cut = tr!(
            "The prompt did not fit the model: its first {cut} tokens were not read.",
            "提示超出模型长度：开头的 {cut} 个词元未被读取。"
        );
        let _ = write!(out, "<p class=\"soft\">{}</p>", escaped(&cut));
    }
    let _ = write!(out, "<pre>{}</pre>", escaped(&ending(&o.prompt)));
    match o.mode {
        Mode::Perplexity => rows(out, text_perplexity(o).0.iter().map(|(name, m)| (name.clone(), number(m)))),
        Mode::Loglikelihood => choices(out, o),
        Mode::Generate | Mode::Cot => written(out, o),
    }
    out.push_str("</details>\n");
}

fn number(metric: &MetricScore) -> String {
    format!("{:.4}", metric.value)
}

/// Each choice with its log-likelihood and its share of the probability.
fn choices(out: &mut String, o: &ItemOutcome) {
    let shares = softmax(&o.loglikelihoods).unwrap_or_default();
    let each = o.choices.iter().zip(&o.loglikelihoods).enumerate();
    rows(
        out,
        each.map(|(i, (choice, ll))| {
            let share = shares.get(i).map_or_else(String::new, |p| format!("{:.1}%", p * 100.0));
            (choice.trim().to_owned(), format!("{ll:.4}  {share}"))
        }),
    );
}

/// What was written, what each filter took out of it, and how that was judged.
pub(super) fn written(out: &mut String, o: &ItemOutcome) {
    let Some(written) = &o.written else { return };
    let _ = write!(
        out,
        "<p class=\"soft\">{}</p><pre>{}</pre>",
        escaped(&tr!("written", "书写内容")),
        escaped(&written.answer)
    );
    let extracted = written.extracted.0.iter().map(|(filter, found)| {
        let name = match filter.as_str() {
            "" => tr!("extracted", "提取结果"),
            filter => tr!("extracted, {filter}", "提取结果，{filter}"),
        };
        (name, found.clone().unwrap_or_else(|| tr!("(nothing: unanswered)", "（无：未作答）")))
    });
    let judged = written.metrics.0.iter().map(|(name, value)| (name.clone(), format!("{value:.4}")));
    rows(out, extracted.chain(judged));
}

fn rows(out: &mut String, rows: impl Iterator<Item = (String, String)>) {
    out.push_str("<table>");
    for (name, value) in rows {
        let _ = write!(out, "<tr><td>{}</td><td>{}</td></tr>", escaped(&name), escaped(&value));
    }
    out.push_str("</table>");
}

/// The last part of a prompt.
pub(super) fn ending(prompt: &str) -> String {
    let length = prompt.chars().count();
    if length <= PROMPT {
        return prompt.to_owned();
    }
    format!("⋯{}", prompt.chars().skip(length - PROMPT).collect::<String>())
}
