//! Where a run's numbers come from: its data, model, hashes and settings, so that all of it can be traced.

use super::status;
use crate::store::RunRecord;
use crate::text;
use crate::tr;
use crate::tui::figures::{between, duration};
use crate::tui::widgets::Block;
use crate::workbench::train::{Objective, TrainRequest};
use serde_json::Value;

/// Columns that the names of the facts stand in.
const NAME: usize = 18;
/// Longest line of a setting.
const LONGEST: usize = 2000;

/// The command line's verb that made a training and resumes it.
pub fn training_verb(run: &RunRecord) -> &'static str {
    let request: Option<TrainRequest> = serde_json::from_value(run.config.clone()).ok();
    match request.map(|r| r.objective) {
        Some(Objective::Text) => "pretrain",
        _ => "train",
    }
}

/// Everything that is recorded of `run`.
pub fn facts(run: &RunRecord) -> Vec<Block> {
    let (word, _) = status(run.status);
    let took = run.finished.as_deref().and_then(|end| between(&run.started, end)).map(duration).unwrap_or_default();
    let hash = |name: &str, hash: &str| {
        let known = if hash.is_empty() { tr!("(no hash yet)", "（尚无哈希）") } else { hash.to_owned() };
        if name.is_empty() { String::new() } else { format!("{}  {known}", text::one_line(name)) }
    };
    let origin = [
        (tr!("run", "运行"), run.id.clone()),
        (tr!("status", "状态"), word),
        (tr!("job", "任务"), run.job.clone().unwrap_or_default()),
        (tr!("started", "开始"), run.started.clone()),
        (tr!("finished", "结束"), run.finished.clone().unwrap_or_default()),
        (tr!("took", "用时"), took),
        (tr!("program", "程序版本"), run.code_version.clone()),
        (tr!("model", "模型"), hash(&run.model, &run.model_hash)),
        (tr!("adapter", "适配器"), hash(&run.adapter, &run.adapter_hash)),
        (tr!("dataset", "数据集"), hash(&run.dataset, &run.dataset_version)),
        (tr!("benchmark", "评测集"), run.task.clone()),
        (tr!("template", "模板"), run.template.clone()),
    ];
    let mut blocks = vec![Block::new(tr!("what it rests on", "依据"), listed(origin))];
    let parts = [
        (tr!("error", "错误"), &run.error),
        (tr!("settings", "设置"), &run.config),
        (tr!("result", "结果"), &run.result),
    ];
    for (title, value) in parts {
        let mut pairs = Vec::new();
        flatten("", value, &mut pairs);
        if !pairs.is_empty() {
            blocks.push(Block::new(title, listed(pairs)));
        }
    }
    blocks
}

/// One line per fact that is known.
fn listed(pairs: impl IntoIterator<Item = (String, String)>) -> String {
    let line = |(name, value): (String, String)| {
        let value = text::truncate(&text::one_line(&value), LONGEST);
        format!("{} {value}", text::pad(&name, NAME.max(text::width(&name))))
    };
    pairs.into_iter().filter(|(_, value)| !value.is_empty()).map(line).collect::<Vec<_>>().join("\n")
}

/// The leaves of `value` by the path to them. A list without objects is one leaf.
fn flatten(path: &str, value: &Value, out: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, field, out);
            }
        }
        Value::String(text) => out.push((path.to_owned(), text.clone())),
        other => out.push((path.to_owned(), other.to_string())),
    }
}
