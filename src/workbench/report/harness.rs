//! A score in the form of lm-evaluation-harness's results file (0.4.13), for tools that read those.

use super::Document;
use crate::error::{Error, Result};
use crate::eval::{ItemOutcome, Report, Summary};
use serde_json::{Map, Value, json};

/// The names, versions of a task and of its group that the harness has for a benchmark of ours, where the wording is its.
const NAMES: [(&str, &str, Option<f64>, Option<f64>); 3] = [
    ("ceval", "ceval-valid", Some(2.0), Some(2.0)),
    ("cmmlu", "cmmlu", Some(1.0), Some(1.0)),
    ("mmlu", "mmlu", Some(1.0), Some(2.0)),
];

/// The results file: a task per subject, the benchmark as their group.
pub(super) fn render(document: &Document) -> Result<String> {
    let report = document.score()?;
    let value = results(document, report);
    serde_json::to_string_pretty(&value).map(|text| text + "\n").map_err(|e| Error::internal(e.to_string()))
}

fn results(document: &Document, report: &Report) -> Value {
    let run = &document.run;
    let own = (report.task.as_str(), report.task.as_str(), None, None);
    let named = NAMES.iter().find(|(name, ..)| *name == report.task && report.preset == "lm-eval");
    let (_, group, version, group_version) = named.copied().unwrap_or(own);
    let one = report.subjects.0.len() == 1 && report.subjects.0.iter().all(|(handle, _)| *handle == report.task);
    let (mut results, mut configs, mut versions) = (Map::new(), Map::new(), Map::new());
    let (mut shots, mut counts, mut better) = (Map::new(), Map::new(), Map::new());
    let mut children = Vec::new();
    let higher = higher_is_better(report);
    if !one {
        // The group comes first, as the harness's tables want it.
        let mut entry = Map::new();
        entry.insert("name".into(), json!(group));
        entry.insert("alias".into(), json!(group));
        numbers(&mut entry, report.acc, report.acc_stderr, report.acc_norm, &report.summary);
        let names = entry.keys().filter(|name| name.contains(',') && !name.contains("_stderr,"));
        let sizes: Map<String, Value> = names.map(|name| (name.clone(), json!(report.n))).collect();
        entry.insert("sample_len".into(), json!(report.n));
        entry.insert("sample_count".into(), Value::Object(sizes));
        results.insert(group.to_owned(), Value::Object(entry));
        versions.insert(group.to_owned(), json!(group_version));
        shots.insert(group.to_owned(), json!(report.shots));
        better.insert(group.to_owned(), higher.clone());
    }
    for (handle, s) in &report.subjects.0 {
        let task = if one { group.to_owned() } else { format!("{group}_{handle}") };
        let mut entry = Map::new();
        entry.insert("name".into(), json!(task));
        entry.insert("alias".into(), json!(task));
        entry.insert("sample_len".into(), json!(s.n));
        let own: Vec<&ItemOutcome> = document.outcomes.iter().filter(|o| o.subject == *handle).collect();
        numbers(&mut entry, s.acc, s.stderr, s.acc_norm, &report.summary.of(&own));
        results.insert(task.clone(), Value::Object(entry));
        configs.insert(
            task.clone(),
            json!({
                "task": task,
                "task_alias": s.title,
                "tag": s.category,
                "num_fewshot": report.shots,
                "output_type": run.config.get("mode").and_then(Value::as_str).map_or("multiple_choice", harness_output),
                "preset": report.preset,
                "template": run.template,
                "prompt_hash": report.prompt_hash,
                "metadata": {"version": version},
            }),
        );
        versions.insert(task.clone(), json!(version));
        shots.insert(task.clone(), json!(report.shots));
        counts.insert(task.clone(), json!({"original": s.n, "effective": s.n}));
        better.insert(task.clone(), higher.clone());
        children.push(task);
    }
    let group_subtasks = if one { json!({}) } else { json!({group: children}) };
    let adapter = if run.adapter.is_empty() { String::new() } else { format!(",peft={}", run.adapter) };
    let weights = run.result.get("weights").and_then(Value::as_str).unwrap_or_default();
    let dtype = if weights.is_empty() { String::new() } else { format!(",dtype={}", weights.replace(' ', "+")) };
    let mut out = Map::new();
    out.insert("results".into(), Value::Object(results.clone()));
    if !one {
        let own: Map<String, Value> = results.into_iter().filter(|(name, _)| name == group).collect();
        out.insert("groups".into(), Value::Object(own));
    }
    out.insert("group_subtasks".into(), group_subtasks);
    out.insert("configs".into(), Value::Object(configs));
    out.insert("versions".into(), Value::Object(versions));
    out.insert("n-shot".into(), Value::Object(shots));
    out.insert("higher_is_better".into(), Value::Object(better));
    out.insert("n-samples".into(), Value::Object(counts));
    out.insert(
        "config".into(),
        json!({
            "model": "linly-bench",
            "model_args": format!("pretrained={}{adapter}{dtype}", run.model),
            "model_sha": run.model_hash,
            "limit": run.config.get("limit"),
            "random_seed": Value::Null,
        }),
    );
    out.insert("git_hash".into(), json!(run.code_version));
    let date = time::OffsetDateTime::parse(&run.started, &time::format_description::well_known::Rfc3339);
    out.insert("date".into(), json!(date.map(|d| d.unix_timestamp() as f64).unwrap_or_default()));
    out.insert("model_source".into(), json!("linly-bench"));
    out.insert("model_name".into(), json!(run.model));
    out.insert(
        "linly_bench".into(),
        json!({
            "run": run.id,
            "acc": report.acc,
            "acc_macro": report.acc_macro,
            "unanswered": report.summary.unanswered,
            "truncated": report.truncated,
            "published": document.published,
            "command": document.command,
            "rescored": document.rescored.as_ref().map(|r| &r.rescored),
        }),
    );
    Value::Object(out)
}

/// The figures of a task in the harness's words: `metric,filter` and `metric_stderr,filter`. Where answers are written
/// its metrics stand alone; a choice found in text has only the one of being the right one.
fn numbers(entry: &mut Map<String, Value>, acc: f64, stderr: Option<f64>, acc_norm: Option<f64>, summary: &Summary) {
    // The harness writes a missing standard error as this word.
    let error = |se: Option<f64>| se.map_or_else(|| json!("N/A"), |se| json!(se));
    for (name, metric) in &summary.metrics.0 {
        let (metric_name, filter) = name.split_once(',').unwrap_or((name, "none"));
        entry.insert(format!("{metric_name},{filter}"), json!(metric.value));
        entry.insert(format!("{metric_name}_stderr,{filter}"), error(metric.stderr));
    }
    if !summary.metrics.0.is_empty() {
        return;
    }
    entry.insert("acc,none".into(), json!(acc));
    entry.insert("acc_stderr,none".into(), error(stderr));
    if let Some(acc_norm) = acc_norm {
        entry.insert("acc_norm,none".into(), json!(acc_norm));
        entry.insert("acc_norm_stderr,none".into(), json!("N/A"));
    }
}

/// Whether more is better, by metric: of all but perplexities.
fn higher_is_better(report: &Report) -> Value {
    if report.summary.metrics.0.is_empty() {
        return if report.acc_norm.is_some() { json!({"acc": true, "acc_norm": true}) } else { json!({"acc": true}) };
    }
    let names = report.summary.metrics.0.iter().map(|(name, _)| name.split_once(',').map_or(name.as_str(), |(m, _)| m));
    let better = |name: &str| !matches!(name, "word_perplexity" | "byte_perplexity" | "bits_per_byte");
    Value::Object(names.map(|name| (name.to_owned(), json!(better(name)))).collect())
}

/// The harness's word for a way to find answers.
fn harness_output(mode: &str) -> &'static str {
    match mode {
        "loglikelihood" => "multiple_choice",
        "perplexity" => "loglikelihood_rolling",
        _ => "generate_until",
    }
}
