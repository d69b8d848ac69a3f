//! Looking at finished runs: two side by side, and one as a document.

use super::Workbench;
use crate::error::{Error, Kind, Result};
use crate::eval::{Comparison, Report, compare_outcomes};
use crate::store::RunRecord;
use crate::tr;
use std::fmt::Write;

/// Compares the benchmark runs `a` and `b` (ids or beginnings of ids) item by item.
///
/// # Errors
/// `NotFound` for an unknown run, `Mismatch` when they are of different benchmarks or have no item in common.
pub fn compare_runs(workbench: &Workbench, a: &str, b: &str) -> Result<(RunRecord, RunRecord, Comparison)> {
    let (a, b) = (scored_run(workbench, a)?, scored_run(workbench, b)?);
    if a.task != b.task {
        return Err(Error::new(
            Kind::Mismatch,
            tr!("{} is of {}, {} is of {}", "{} 属于 {}，{} 属于 {}", a.id, a.task, b.id, b.task),
        )
        .hint(tr!("compare two runs of the same benchmark", "请比较同一基准的两次运行")));
    }
    let comparison = compare_outcomes(
        &workbench.store.outcomes(&a.id)?,
        &workbench.store.outcomes(&b.id)?,
        workbench.settings.seed,
    )?;
    Ok((a, b, comparison))
}

fn scored_run(workbench: &Workbench, id: &str) -> Result<RunRecord> {
    let run = workbench.store.run(id)?;
    if run.kind == "eval" {
        return Ok(run);
    }
    Err(Error::new(Kind::InvalidInput, tr!("{} is not a benchmark run", "{} 不是评测运行", run.id))
        .hint(tr!("`linly-bench runs list` shows the kinds", "用 `linly-bench runs list` 查看类型")))
}

/// The run `id` as a Markdown document: what was asked, of whom, and what came out.
///
/// # Errors
/// `NotFound` for an unknown run.
pub fn run_report(workbench: &Workbench, id: &str) -> Result<String> {
    let run = workbench.store.run(id)?;
    let mut out = format!("# {}\n\n", run.id);
    let mut facts = vec![
        (tr!("kind", "类型"), run.kind.clone()),
        (tr!("status", "状态"), run.status.as_str().to_owned()),
        (tr!("model", "模型"), named(&run.model, &run.model_hash)),
        (tr!("adapter", "适配器"), named(&run.adapter, &run.adapter_hash)),
        (tr!("dataset", "数据集"), named(&run.dataset, &run.dataset_version)),
        (tr!("benchmark", "基准"), run.task.clone()),
        (tr!("template", "模板"), run.template.clone()),
        (tr!("program", "程序"), run.code_version.clone()),
        (tr!("started", "开始"), run.started.clone()),
        (tr!("finished", "结束"), run.finished.clone().unwrap_or_default()),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    table(&mut out, &["", ""], facts.iter().map(|(name, value)| vec![name.clone(), value.clone()]));
    match serde_json::from_value::<Report>(run.result.clone()) {
        Ok(report) => scores(&mut out, &report),
        Err(_) if run.result.is_null() => {}
        Err(_) => json_block(&mut out, &tr!("Result", "结果"), &run.result),
    }
    if !run.error.is_null() {
        json_block(&mut out, &tr!("Error", "错误"), &run.error);
    }
    json_block(&mut out, &tr!("What was asked for", "请求"), &run.config);
    Ok(out)
}

fn named(name: &str, hash: &str) -> String {
    if crate::remote::is_address(name) {
        // The way its scores were found is part of the identity.
        let way = hash.strip_prefix(name).unwrap_or_default();
        return tr!(
            "{name}{way}; a server: its weights could not be hashed",
            "{name}{way}；服务器：无法计算其权重哈希"
        );
    }
    match hash.get(..12) {
        Some(short) if !name.is_empty() => format!("{name} ({short})"),
        _ => name.to_owned(),
    }
}

fn scores(out: &mut String, report: &Report) {
    let percent = |v: f64| format!("{:.2}", v * 100.0);
    let error = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), percent);
    let header = [tr!("subjects", "科目"), "n".to_owned(), "acc %".to_owned(), "stderr".to_owned()];
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let _ = write!(out, "\n## {} ({}, {}-shot)\n\n", report.task, report.preset, report.shots);
    let micro = vec![
        tr!("micro average (all items)", "微平均（全部题目）"),
        report.n.to_string(),
        percent(report.acc),
        error(report.acc_stderr),
    ];
    let macro_ = vec![
        tr!("macro average (mean of subjects)", "宏平均（各科平均）"),
        report.n.to_string(),
        percent(report.acc_macro),
        "-".to_owned(),
    ];
    let groups = report.categories.0.iter().chain(&report.subsets.0);
    let groups = groups.map(|(name, s)| vec![name.clone(), s.n.to_string(), percent(s.acc), error(s.stderr)]);
    table(out, &header, [micro, macro_].into_iter().chain(groups));
    out.push('\n');
    let subjects = report.subjects.0.iter();
    let subjects = subjects.map(|(handle, s)| {
        let name = if s.title == *handle { handle.clone() } else { format!("{handle} {}", s.title) };
        vec![name, s.n.to_string(), percent(s.acc), error(s.stderr)]
    });
    table(out, &header, subjects);
    let _ = write!(out, "\nprompt_hash `{}`\n", report.prompt_hash);
    for skipped in &report.skipped {
        let _ = writeln!(out, "\n- {}/{}: {}", skipped.subject, skipped.id, skipped.reason);
    }
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
