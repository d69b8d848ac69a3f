//! What a score will consist of, settled before a model is loaded: a wrong name or a damaged file is
//! reported at once, not after an hour.

use super::benchmark::Benchmark;
use super::definition::{ChoiceStyle, Preset, Subject};
use super::detail::ItemDetail;
use super::item::{self, Skipped};
use super::prompt::{ChatRenderer, Prompt, Prompter, hex};
use crate::error::{Error, Kind, Result};
use crate::tr;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// What is asked of a benchmark.
#[derive(Clone, Debug, Default)]
pub struct PlanRequest {
    /// Few-shots per prompt.
    pub shots: usize,
    /// Name of the wording; the definition's default without.
    pub preset: Option<String>,
    /// Handles of the subjects; empty for all.
    pub subjects: Vec<String>,
    /// At most this many items per subject.
    pub limit: Option<usize>,
    /// The split that is scored; the definition's without.
    pub split: Option<String>,
    /// Shows the choices of every item in a random order.
    pub shuffle: Option<Shuffle>,
}

/// Which random order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shuffle {
    /// Seed.
    pub seed: u64,
    /// Number of the order, from 1.
    pub round: u64,
}

impl Shuffle {
    /// The order of `count` choices of an item: a function of seed, round and the item's name alone, so that it does not
    /// depend on which other items are asked.
    fn order(self, subject: &str, id: &str, count: usize) -> Vec<usize> {
        let mut hasher = Sha256::new();
        hasher.update(self.seed.to_le_bytes());
        hasher.update(self.round.to_le_bytes());
        hasher.update((subject.len() as u64).to_le_bytes());
        hasher.update(subject);
        hasher.update(id);
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut ChaCha8Rng::from_seed(hasher.finalize().into()));
        order
    }
}

/// A benchmark's prompts, ready to be scored.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The benchmark's name.
    pub task: String,
    /// The wording in force.
    pub preset: Preset,
    /// Few-shots per prompt.
    pub shots: usize,
    /// In the benchmark's order.
    pub subjects: Vec<PlannedSubject>,
    /// Named selections of subjects.
    pub subsets: Vec<(String, Vec<String>)>,
    /// Items that cannot be scored.
    pub skipped: Vec<Skipped>,
}

/// The prompts of one subject.
#[derive(Clone, Debug)]
pub struct PlannedSubject {
    /// The subject.
    pub subject: Subject,
    /// Its items in the file's order.
    pub items: Vec<PlannedItem>,
}

/// One prompt with what is needed to judge the answer.
#[derive(Clone, Debug)]
pub struct PlannedItem {
    /// Identifies it within its subject.
    pub id: String,
    /// The category it counts for; empty for none.
    pub category: String,
    /// What the model is asked.
    pub prompt: Prompt,
    /// [`Prompt::hash`].
    pub hash: String,
    /// Index of the right choice, where it is known.
    pub gold: Option<usize>,
    /// Characters of each scored answer without its delimiter, for `acc_norm`.
    pub lengths: Vec<usize>,
    /// [`Item::content`](item::Item::content).
    pub content: String,
    /// See [`ItemDetail::order`].
    pub order: Vec<usize>,
}

impl PlannedItem {
    /// What is kept of it; the tokens are known only when it was asked.
    pub fn detail(&self) -> ItemDetail {
        ItemDetail {
            content: self.content.clone(),
            category: self.category.clone(),
            lengths: self.lengths.clone(),
            tokens: Vec::new(),
            order: self.order.clone(),
        }
    }
}

impl Plan {
    /// Number of items.
    pub fn total(&self) -> usize {
        self.subjects.iter().map(|s| s.items.len()).sum()
    }

    /// SHA-256 over all prompts and continuations in order: two scores with the same value asked the same.
    pub fn prompt_hash(&self) -> String {
        let mut hasher = Sha256::new();
        for item in self.subjects.iter().flat_map(|s| &s.items) {
            hasher.update(item.hash.as_bytes());
        }
        hex(&hasher.finalize())
    }

    /// The label of choice `index` in results.
    pub fn label(&self, index: usize) -> String {
        self.preset.labels.get(index).cloned().unwrap_or_else(|| index.to_string())
    }

    /// Whether whole texts are scored, so that `acc_norm` says something else than `acc`.
    pub fn scores_texts(&self) -> bool {
        self.preset.choice_style == ChoiceStyle::Text
    }
}

/// Reads the items and makes every prompt. `chat` renders conversations; without it the prompts are
/// plain text.
///
/// # Errors
/// Those of [`Definition::preset`](super::Definition::preset), [`Benchmark::subjects`], [`item::load`]
/// and [`Prompter`]; `InvalidInput` when there are fewer few-shots than asked for, or nothing to score.
pub fn plan(benchmark: &Benchmark, request: &PlanRequest, chat: Option<&ChatRenderer<'_>>) -> Result<Plan> {
    let definition = &benchmark.definition;
    let preset = definition.preset(request.preset.as_deref())?;
    let split = definition.scored_split(request.split.as_deref())?;
    let mut plan = Plan {
        task: definition.name.clone(),
        preset: preset.clone(),
        shots: request.shots,
        subjects: Vec::new(),
        subsets: definition.subsets.clone().into_iter().collect(),
        skipped: Vec::new(),
    };
    for subject in benchmark.subjects(&request.subjects)? {
        let shots = shots(benchmark, &subject, request.shots)?;
        let prompter = Prompter::new(&preset, &subject, &shots, chat)?;
        let loaded = item::load(benchmark, &subject, split)?;
        plan.skipped.extend(loaded.skipped);
        let mut items = Vec::with_capacity(loaded.items.len());
        for item in loaded.items.into_iter().take(request.limit.unwrap_or(usize::MAX)) {
            let content = item.content();
            let order = request.shuffle.map(|s| s.order(&subject.handle, &item.id, item.choices.len()));
            let item = order.as_ref().map_or_else(|| item.clone(), |order| item.reordered(definition, order));
            let prompt = prompter.prompt(&item)?;
            // A continuation is the delimiter and the answer; only the answer's characters count.
            let delimiter = if chat.is_some() { 0 } else { preset.target_delimiter.chars().count() };
            let lengths = prompt.continuations.iter().map(|c| c.chars().count().saturating_sub(delimiter)).collect();
            items.push(PlannedItem {
                id: item.id,
                category: item.category,
                hash: prompt.hash(),
                prompt,
                gold: item.gold,
                lengths,
                content,
                order: order.unwrap_or_default(),
            });
        }
        plan.subjects.push(PlannedSubject { subject, items });
    }
    if plan.total() == 0 {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("{} has no item that can be scored", "{} 中没有可评分的题目", definition.name),
        )
        .hint(match plan.skipped.first() {
            Some(s) => tr!("for example {}/{}: {}", "例如 {}/{}：{}", s.subject, s.id, s.reason),
            None => tr!("check --subjects, --limit and the files", "请检查 --subjects、--limit 与数据文件"),
        }));
    }
    Ok(plan)
}

fn shots(benchmark: &Benchmark, subject: &Subject, count: usize) -> Result<Vec<item::Item>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let name = &benchmark.definition.name;
    let Some(split) = &benchmark.definition.fewshot_split else {
        return Err(Error::new(Kind::InvalidInput, tr!("{name} has no few-shots", "{name} 没有少样本示例")).hint(tr!(
            "use --shots 0, or name a `fewshot_split` in the definition",
            "请用 --shots 0，或在定义中给出 `fewshot_split`"
        )));
    };
    let mut loaded = item::load(benchmark, subject, split)?;
    if loaded.items.len() < count {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!(
                "{name}/{}: {count} shots were asked for, `{split}` has {}",
                "{name}/{}：要求 {count} 个示例，`{split}` 只有 {} 个",
                subject.handle,
                loaded.items.len()
            ),
        )
        .hint(tr!("use --shots {} or fewer", "请用 --shots {} 或更少", loaded.items.len())));
    }
    loaded.items.truncate(count);
    Ok(loaded.items)
}
