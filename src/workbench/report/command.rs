//! The command that makes a run again.

use crate::eval;
use crate::store::RunRecord;
use serde_json::Value;
use std::path::Path;

/// The command line that scores again what `run` scored, with the data folder of now; `None` for other kinds of runs.
/// Everything that decides a prompt or an answer is in it: what the benchmark says by itself today is left out where it says
/// what the run was asked.
pub fn reproduce(run: &RunRecord, data_dir: Option<&Path>) -> Option<String> {
    if run.kind != "eval" {
        return None;
    }
    let text = |name: &str| run.config.get(name).and_then(Value::as_str).filter(|s| !s.is_empty()).map(str::to_owned);
    let number = |name: &str| run.config.get(name).and_then(Value::as_u64);
    // Where a relative path leads to, and how a server is treated.
    let noted = |flag: &str| run.config.pointer(&format!("/flags/{flag}")).and_then(Value::as_str).map(str::to_owned);
    let benchmark = text("benchmark").unwrap_or_else(|| run.task.clone());
    let mut words = vec!["linly-bench".to_owned(), "run".to_owned(), benchmark.clone()];
    let mut flag = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            words.extend([name.to_owned(), value]);
        }
    };
    flag("--model", noted("--model").or_else(|| Some(run.model.clone())));
    flag("--adapter", noted("--adapter").or_else(|| Some(run.adapter.clone()).filter(|a| !a.is_empty())));
    let found = eval::find(&benchmark, data_dir).ok();
    let usual = found.as_ref().map(|b| b.definition.num_fewshot as u64);
    flag("--shots", number("shots").filter(|n| Some(*n) != usual).map(|n| n.to_string()));
    flag("--fewshot-sampler", text("fewshot_sampler"));
    flag("--fewshot-split", text("fewshot_split"));
    flag("--fewshot-seed", number("fewshot_seed").map(|n| n.to_string()));
    let preset = run.result.get("preset").and_then(Value::as_str).map(str::to_owned).or_else(|| text("preset"));
    let chat = found.as_ref().and_then(|b| b.definition.preset(preset.as_deref()).ok()).is_some_and(|p| p.chat);
    flag("--preset", preset);
    let subjects = run.config.get("subjects").and_then(Value::as_array);
    let subjects: Vec<&str> = subjects.into_iter().flatten().filter_map(Value::as_str).collect();
    flag("--subjects", Some(subjects.join(",")).filter(|s| !s.is_empty()));
    flag("--limit", number("limit").map(|n| n.to_string()));
    flag("--split", text("split"));
    // `loglikelihood` is a wish like the others: a benchmark may have another mode by itself.
    flag("--mode", text("mode").filter(|m| m != "perplexity"));
    let form = |part: &str| run.config.pointer(&format!("/weights/{part}")).and_then(Value::as_str).map(str::to_owned);
    flag("--dtype", form("arithmetic"));
    flag("--quantize", form("storage").filter(|storage| storage != "full"));
    // A preset that is a conversation by itself needs no word for its own template, and one to be plain text.
    flag(
        "--template",
        match text("template") {
            Some(template) if chat && template == "chat" => None,
            None if chat => Some("none".to_owned()),
            template => template,
        },
    );
    let orders = run.result.pointer("/permutations/rounds").and_then(Value::as_u64);
    flag("--permute", orders.map(|n| n.to_string()));
    flag("--seed", run.result.pointer("/permutations/seed").and_then(Value::as_u64).map(|n| n.to_string()));
    for name in ["--concurrency", "--rate-limit", "--timeout", "--retries"] {
        flag(name, noted(name));
    }
    let downloaded = found.is_none_or(|b| !b.is_embedded());
    let data_dir = data_dir.map(|dir| std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()));
    flag("--data-dir", data_dir.filter(|_| downloaded).map(|dir| dir.display().to_string()));
    Some(words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))
}

/// A word as a POSIX shell takes it literally.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_takes_words_as_they_are() {
        assert_eq!(quoted("a/b-c.gguf"), "a/b-c.gguf");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's; rm $X"), "'it'\\''s; rm $X'");
        assert_eq!(quoted(""), "''");
    }
}
