//! The quality report as a document.

use super::super::report::escaped;
use super::quality::{QualityReport, field_name, rule_title};
use crate::error::{Error, Kind, Result};
use crate::text::one_line;
use crate::tr;
use std::path::Path;

/// Which document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QualityForm {
    /// One self-contained page.
    Html,
    /// Markdown.
    Markdown,
}

impl QualityForm {
    /// By the end of a file's name.
    ///
    /// # Errors
    /// `Usage` for another end.
    pub fn of(path: &Path) -> Result<QualityForm> {
        match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("html" | "htm") => Ok(QualityForm::Html),
            Some("md") => Ok(QualityForm::Markdown),
            _ => Err(Error::new(Kind::Usage, tr!("{} is no report", "{} 不是报告文件", path.display()))
                .hint(tr!("end the name with .html or .md", "文件名请以 .html 或 .md 结尾"))),
        }
    }
}

/// The report as a document.
pub fn render_quality(report: &QualityReport, form: QualityForm) -> String {
    match form {
        QualityForm::Html => html(report),
        QualityForm::Markdown => markdown(report),
    }
}

fn heading(report: &QualityReport) -> String {
    let (name, number) = (one_line(&report.dataset), report.number);
    tr!("Quality of {name}, version {number}", "{name} 版本 {number} 的质量报告")
}

fn summary(report: &QualityReport) -> String {
    let [(_, zh), (_, en)] = report.languages;
    tr!(
        "{} rows, {} without a finding; {zh} Chinese and {en} English by their text. Version {}.",
        "共 {} 行，{} 行没有问题；按文本：中文 {zh} 行，英文 {en} 行。版本 {}。",
        report.rows,
        report.clean,
        report.version
    )
}

fn markdown(report: &QualityReport) -> String {
    let cell = |text: &str| one_line(text).replace('|', "\\|").replace('<', "&lt;");
    let mut out = format!("# {}\n\n{}\n\n", heading(report), summary(report));
    out.push_str(&tr!(
        "| rule | what it finds | rows |\n| --- | --- | ---: |\n",
        "| 规则 | 含义 | 行数 |\n| --- | --- | ---: |\n"
    ));
    for rule in &report.rules {
        out.push_str(&format!("| `{}` | {} | {} |\n", rule.rule.name(), rule_title(rule.rule), rule.rows));
    }
    if let Some(near) = &report.near {
        out.push_str(&tr!(
            "\n{} rows are nearly the same as an earlier one (Jaccard ≥ {}).\n",
            "\n{} 行与之前的行几乎相同（Jaccard ≥ {}）。\n",
            near.rows,
            near.threshold
        ));
    }
    if !report.findings.is_empty() {
        out.push_str(&tr!(
            "\n| row | rule | where | text |\n| ---: | --- | --- | --- |\n",
            "\n| 行 | 规则 | 位置 | 文本 |\n| ---: | --- | --- | --- |\n"
        ));
        for f in &report.findings {
            let (rule, field) = (f.finding.rule.name(), field_name(f.finding.field));
            out.push_str(&format!("| {} | `{rule}` | {field} | {} |\n", f.row, cell(&f.finding.text)));
        }
    }
    out
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
table{border-collapse:collapse;width:100%}td,th{padding:.25rem .5rem;text-align:left;border-bottom:1px solid #ddd;overflow-wrap:anywhere}\
td.n{text-align:right}.bar{background:#3a7bd5;height:.8rem;border-radius:2px}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}td,th{border-color:#444}}";

fn html(report: &QualityReport) -> String {
    let most = report.rules.iter().map(|r| r.rows).max().unwrap_or(0).max(1);
    let mut rows = String::new();
    for r in &report.rules {
        let width = r.rows as f64 * 100.0 / most as f64;
        rows.push_str(&format!(
            "<tr><td><code>{}</code></td><td>{}</td><td class=n>{}</td><td style=\"width:40%\"><div class=bar style=\"width:{width:.1}%\"></div></td></tr>\n",
            r.rule.name(), escaped(&rule_title(r.rule)), r.rows
        ));
    }
    let mut findings = String::new();
    for f in &report.findings {
        findings.push_str(&format!(
            "<tr><td class=n>{}</td><td><code>{}</code></td><td>{}</td><td>{}</td></tr>\n",
            f.row,
            f.finding.rule.name(),
            escaped(&field_name(f.finding.field)),
            escaped(&one_line(&f.finding.text))
        ));
    }
    let near = report.near.as_ref().map_or(String::new(), |near| {
        let line = tr!(
            "{} rows are nearly the same as an earlier one (Jaccard ≥ {}).",
            "{} 行与之前的行几乎相同（Jaccard ≥ {}）。",
            near.rows,
            near.threshold
        );
        format!("<p>{}</p>\n", escaped(&line))
    });
    format!(
        "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<p>{}</p>\n<table>\n{rows}</table>\n{near}<table>\n{findings}</table>\n</body></html>\n",
        tr!("en", "zh"),
        escaped(&summary(report)),
        title = escaped(&heading(report)),
    )
}
