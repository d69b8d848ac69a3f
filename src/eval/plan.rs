//! What a score will consist of, settled before a model is loaded: a wrong name or a damaged file is
//! reported at once, not after an hour.

use super::asking::{Asks, Mode, Reading, asking};
use super::benchmark::Benchmark;
use super::definition::{ChoiceStyle, Preset, Subject};
use super::detail::ItemDetail;
use super::item::{self, Item, Skipped};
use super::metric::{Expected, MetricName};
use super::prompt::{ChatRenderer, Prompt, Prompter, hex};
use super::shots::{FewshotSampler, ShotPool};
use super::tatqa;
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
    /// How answers are found; as the benchmark wants it without.
    pub mode: Option<Mode>,
    /// The split that few-shots come from; the definition's without.
    pub fewshot_split: Option<String>,
    /// Which rows of it; as the definition says without.
    pub fewshot_sampler: Option<FewshotSampler>,
    /// Seed of a random sample; the definition's without.
    pub fewshot_seed: Option<u64>,
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
    /// What the items are asked.
    pub asks: Asks,
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
    /// [`Asks::stamp`] of [`Prompt::hash`].
    pub hash: String,
    /// Index of the right choice, where there is one and it is known.
    pub gold: Option<usize>,
    /// Number of choices.
    pub choices: usize,
    /// What a written answer should be.
    pub expected: Expected,
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
            truncated: 0,
        }
    }
}

impl PlannedItem {
    /// Whether it is known what is right.
    pub fn has_answer(&self) -> bool {
        self.gold.is_some() || self.expected != Expected::Unknown
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
        self.preset.choice_style == ChoiceStyle::Text && matches!(self.asks, Asks::Choices)
    }
}

/// Reads the items and makes every prompt. `chat` renders conversations; without it the prompts are
/// plain text.
///
/// # Errors
/// Those of [`asking`], [`Benchmark::subjects`], [`item::load`], [`ShotPool::load`]
/// and [`Prompter`]; `InvalidInput` when there are fewer few-shots than asked for, or nothing to score.
pub fn plan(benchmark: &Benchmark, request: &PlanRequest, chat: Option<&ChatRenderer<'_>>) -> Result<Plan> {
    let definition = &benchmark.definition;
    let (preset, asks) = asking(definition, request.preset.as_deref(), request.mode)?;
    let split = definition.scored_split(request.split.as_deref())?;
    check(&preset, &asks, request.shots)?;
    let mut plan = Plan {
        task: definition.name.clone(),
        preset: preset.clone(),
        asks,
        shots: request.shots,
        subjects: Vec::new(),
        subsets: definition.subsets.clone().into_iter().collect(),
        skipped: Vec::new(),
    };
    // A text whose probability is measured is no question: it is taken as it is.
    let chat = chat.filter(|_| !matches!(plan.asks, Asks::Rolling(_)));
    let written = !matches!(plan.asks, Asks::Choices);
    for subject in benchmark.subjects(&request.subjects)? {
        let mut pool = ShotPool::load(benchmark, &subject, split, request)?;
        let prompter = Prompter::new(&preset, &subject, written, chat)?;
        let shared = pool.shared().map(|shots| prompter.open(&shots)).transpose()?;
        let loaded = item::load(benchmark, &subject, split)?;
        plan.skipped.extend(loaded.skipped);
        let mut items = Vec::with_capacity(loaded.items.len());
        for item in loaded.items.into_iter().take(request.limit.unwrap_or(usize::MAX)) {
            let content = item.content();
            let order = request.shuffle.map(|s| s.order(&subject.handle, &item.id, item.choices.len()));
            let item = order.as_ref().map_or_else(|| item.clone(), |order| item.reordered(definition, order));
            let prompt = match &shared {
                Some(opening) => prompter.prompt(opening, &item)?,
                None => prompter.prompt(&prompter.open(&pool.draw(&item.id))?, &item)?,
            };
            // A continuation is the delimiter and the answer; only the answer's characters count.
            let delimiter = if chat.is_some() { 0 } else { preset.target_delimiter.chars().count() };
            let lengths = prompt.continuations.iter().map(|c| c.chars().count().saturating_sub(delimiter)).collect();
            items.push(PlannedItem {
                hash: plan.asks.stamp(prompt.hash()),
                prompt,
                gold: item.gold,
                choices: item.choices.len(),
                expected: expected(&plan.asks, &prompter, &item)?,
                lengths,
                id: item.id,
                category: item.category,
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

/// Refuses what the items cannot be asked.
fn check(preset: &Preset, asks: &Asks, shots: usize) -> Result<()> {
    let labels = matches!(asks, Asks::Written(w) if matches!(w.reading, Reading::Label(_)));
    if labels && preset.choice_style == ChoiceStyle::Text {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!(
                "the preset `{}` does not show the choices' labels, so none can be written",
                "预设 `{}` 不显示选项标签，无法作答",
                preset.name
            ),
        )
        .hint(tr!("choose a preset that lists the choices", "请选择列出选项的预设")));
    }
    if shots > 0 && matches!(asks, Asks::Rolling(_)) {
        return Err(Error::new(Kind::InvalidInput, tr!("a perplexity has no few-shots", "困惑度评测没有少样本示例"))
            .hint(tr!("use --shots 0", "请用 --shots 0")));
    }
    Ok(())
}

/// What a written answer to `item` should be.
fn expected(asks: &Asks, prompter: &Prompter<'_>, item: &Item) -> Result<Expected> {
    let Asks::Written(writing) = asks else { return Ok(Expected::Unknown) };
    let Reading::Text { metrics, .. } = &writing.reading else { return Ok(Expected::Unknown) };
    if !item.has_answer() {
        return Ok(Expected::Unknown);
    }
    if metrics.iter().any(|metric| metric.name == MetricName::Tatqa) {
        return Ok(tatqa::Gold::of(&item.row).map_or(Expected::Unknown, Expected::Tatqa));
    }
    Ok(Expected::Texts(match item.texts.as_slice() {
        [_] => vec![prompter.target(item)?],
        several => several.to_vec(),
    }))
}
