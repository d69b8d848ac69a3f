//! From runs and ratings to rows and columns.

use super::{Benchmark, Leaderboard, Loss, LossSet, RatingCell, Row, Score};
use crate::store::{AdapterRecord, RunRecord, RunStatus};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The ratings of one arena: its name and its cells by the model's label.
pub type ArenaRatings = (String, Vec<(String, RatingCell)>);

/// One state of a model with an adapter: a name can be given to new weights, their hash cannot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    model: String,
    adapter: String,
    model_hash: String,
    adapter_hash: String,
    /// The form of the weights where it is not the usual f32: other numbers, so another row.
    weights: String,
}

impl Key {
    fn of(run: &RunRecord) -> Key {
        let weights = run.result.get("weights").and_then(Value::as_str).filter(|_| run.kind == "eval");
        Key {
            model: run.model.clone(),
            adapter: run.adapter.clone(),
            model_hash: run.model_hash.clone(),
            adapter_hash: run.adapter_hash.clone(),
            weights: weights.filter(|w| *w != "f32").unwrap_or_default().to_owned(),
        }
    }

    fn label(&self) -> String {
        let mut label = self.model.clone();
        if !self.adapter.is_empty() {
            label = format!("{label}+{}", self.adapter);
        }
        if !self.weights.is_empty() {
            label = format!("{label} ({})", self.weights);
        }
        label
    }
}

/// The states that have a row.
#[derive(Default)]
struct Seen {
    keys: BTreeSet<Key>,
    /// Per label the first state seen, which is the newest.
    newest: BTreeMap<String, Key>,
}

impl Seen {
    fn add(&mut self, key: &Key) {
        self.newest.entry(key.label()).or_insert_with(|| key.clone());
        self.keys.insert(key.clone());
    }

    /// `key`, with a missing hash taken from the newest state of its label that does not contradict it.
    fn completed(&self, key: Key) -> Key {
        let fits = |mine: &str, theirs: &str| mine.is_empty() || mine == theirs;
        match self.newest.get(&key.label()) {
            Some(k) if fits(&key.model_hash, &k.model_hash) && fits(&key.adapter_hash, &k.adapter_hash) => k.clone(),
            _ => key,
        }
    }
}

/// The leaderboard of `runs` (the newest first, as the store lists them), with the named `adapters` and the arenas. Only
/// runs that came to their end count, and of those that measured the same thing the newest.
pub fn build(runs: &[RunRecord], adapters: &[AdapterRecord], arenas: &[ArenaRatings]) -> Leaderboard {
    let mut scores: BTreeMap<Benchmark, BTreeMap<Key, Score>> = BTreeMap::new();
    let mut losses: BTreeMap<LossSet, BTreeMap<Key, Loss>> = BTreeMap::new();
    let mut seen = Seen::default();
    for run in runs.iter().filter(|run| run.status == RunStatus::Done) {
        match run.kind.as_str() {
            "eval" => {
                let Some(value) = run.result.get("acc").and_then(Value::as_f64) else { continue };
                let key = Key::of(run);
                seen.add(&key);
                let score = Score {
                    value,
                    stderr: run.result.get("acc_stderr").and_then(Value::as_f64),
                    n: run.result.get("n").and_then(Value::as_u64),
                    run: run.id.clone(),
                };
                scores.entry(benchmark(run)).or_default().entry(key).or_insert(score);
            }
            "train" => {
                let set = LossSet { dataset: held_out_rows(run), version: run.dataset_version.clone() };
                let base = Key { adapter: String::new(), adapter_hash: String::new(), ..Key::of(run) };
                let measured = [(trained(run, adapters), "best_val_loss"), (Some(base), "base_val_loss")];
                for (key, field) in measured {
                    let Some(value) = run.result.get(field).and_then(Value::as_f64) else { continue };
                    let Some(key) = key.map(|key| seen.completed(key)) else { continue };
                    seen.add(&key);
                    let loss = Loss { value, run: run.id.clone() };
                    losses.entry(set.clone()).or_default().entry(key).or_insert(loss);
                }
            }
            _ => {}
        }
    }
    let Seen { keys, newest } = seen;
    let mut rows: Vec<Row> = Vec::new();
    for key in &keys {
        let label = key.label();
        let name = if newest.get(&label) == Some(key) {
            label.clone()
        } else {
            let hash = if key.adapter.is_empty() { &key.model_hash } else { &key.adapter_hash };
            format!("{label}@{}", hash.chars().take(8).collect::<String>())
        };
        rows.push(Row {
            model: key.model.clone(),
            adapter: key.adapter.clone(),
            scores: scores.values().map(|column| column.get(key).cloned()).collect(),
            losses: losses.values().map(|column| column.get(key).cloned()).collect(),
            ratings: vec![None; arenas.len()],
            name,
        });
    }
    let mut arena_names = Vec::new();
    for (arena, cells) in arenas.iter().filter(|(_, cells)| !cells.is_empty()) {
        let column = arena_names.len();
        arena_names.push(arena.clone());
        for (label, cell) in cells {
            let at = rows.iter().position(|row| row.name == *label).unwrap_or_else(|| {
                rows.push(empty_row(label, scores.len(), losses.len(), arenas.len()));
                rows.len() - 1
            });
            rows[at].ratings[column] = Some(cell.clone());
        }
    }
    for row in &mut rows {
        row.ratings.truncate(arena_names.len());
    }
    rows.sort_by(better_first);
    Leaderboard {
        benchmarks: scores.into_keys().collect(),
        losses: losses.into_keys().collect(),
        arenas: arena_names,
        rows,
    }
}

/// What a training run made. The run itself starts before its adapter has a hash, so the adapter's record gives it.
/// `None` when the name has since been given to the adapter of another run: the weights are gone.
fn trained(run: &RunRecord, adapters: &[AdapterRecord]) -> Option<Key> {
    let key = Key::of(run);
    match adapters.iter().find(|a| a.name == run.adapter) {
        Some(record) if record.run_id != run.id => None,
        Some(record) => Some(Key { adapter_hash: record.hash.clone(), ..key }),
        None => Some(key),
    }
}

fn empty_row(label: &str, scores: usize, losses: usize, ratings: usize) -> Row {
    // The name of a server's model may hold a plus sign.
    let parts = label.split_once('+').filter(|_| !label.contains("://"));
    let (model, adapter) = parts.unwrap_or((label, ""));
    Row {
        name: label.to_owned(),
        model: model.to_owned(),
        adapter: adapter.to_owned(),
        scores: vec![None; scores],
        losses: vec![None; losses],
        ratings: vec![None; ratings],
    }
}

/// By the first rating, then by the first scores, then by name; a row without a number comes after those with one.
fn better_first(a: &Row, b: &Row) -> std::cmp::Ordering {
    let ratings = |row: &Row| row.ratings.iter().map(|r| r.as_ref().map(|r| r.rating)).collect::<Vec<_>>();
    let scores = |row: &Row| row.scores.iter().map(|s| s.as_ref().map(|s| s.value)).collect::<Vec<_>>();
    let descending = |a: Vec<Option<f64>>, b: Vec<Option<f64>>| {
        a.iter()
            .zip(&b)
            .map(|(a, b)| b.unwrap_or(f64::NEG_INFINITY).total_cmp(&a.unwrap_or(f64::NEG_INFINITY)))
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    };
    descending(ratings(a), ratings(b)).then_with(|| descending(scores(a), scores(b))).then_with(|| a.name.cmp(&b.name))
}

/// What a run measured. Settings that change the numbers and are not what everybody uses make a column of their own.
/// The rows that a training held out, by name: the dataset's own ones, or a selection that is not to be compared with them.
fn held_out_rows(run: &RunRecord) -> String {
    let mut rows = run.dataset.clone();
    match run.config.get("held_out") {
        None | Some(Value::Null) => {}
        Some(Value::String(own)) if own == "own" => {}
        Some(other) => rows.push_str(&format!(" {other}")),
    }
    if let Some(limit @ 1..) = run.config.get("held_out_limit").and_then(Value::as_u64) {
        rows.push_str(&format!(" limit {limit}"));
    }
    rows
}

fn benchmark(run: &RunRecord) -> Benchmark {
    let of = |name: &str| {
        let result = run.result.get(name).filter(|v| !v.is_null());
        result.or_else(|| run.config.get(name).filter(|v| !v.is_null()))
    };
    let text = |name: &str| of(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut variant = Vec::new();
    // Two definition files may give their benchmarks the same name.
    if let Some(file) = run.config.get("benchmark").and_then(Value::as_str).filter(|b| b.ends_with(".toml")) {
        variant.push(file.to_owned());
    }
    if let Some(limit) = run.config.get("limit").and_then(Value::as_u64) {
        variant.push(format!("limit {limit}"));
    }
    if !run.template.is_empty() {
        variant.push(run.template.clone());
    }
    let mode = text("mode");
    if !mode.is_empty() && mode != "loglikelihood" {
        variant.push(mode);
    }
    if let Some(split) = run.config.get("split").and_then(Value::as_str) {
        variant.push(split.to_owned());
    }
    // Other examples make other prompts.
    for name in ["fewshot_sampler", "fewshot_split", "fewshot_seed"] {
        match run.config.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => variant.push(format!("{name} {text}")),
            Some(other) => variant.push(format!("{name} {other}")),
        }
    }
    let subjects = match run.config.get("subjects") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Some(Value::String(list)) => list.clone(),
        _ => String::new(),
    };
    if !subjects.is_empty() {
        variant.push(subjects);
    }
    let task = if run.task.is_empty() { text("task") } else { run.task.clone() };
    Benchmark { task, shots: of("shots").and_then(Value::as_u64), preset: text("preset"), variant: variant.join(" ") }
}
