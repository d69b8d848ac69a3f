//! Few-shots: the first ones of a split, or a sample of it that is drawn anew for each item, as
//! lm-evaluation-harness draws it.

use super::benchmark::Benchmark;
use super::definition::Subject;
use super::item::{self, Item};
use super::plan::PlanRequest;
use super::python_random::PythonRandom;
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::{Deserialize, Serialize};

/// Which rows of the few-shot split are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FewshotSampler {
    /// The first ones, in order, for every item.
    #[default]
    #[serde(alias = "first_n")]
    First,
    /// A sample of its own for each item.
    #[serde(alias = "default")]
    Random,
}

/// The few-shots of one subject.
pub struct ShotPool {
    items: Vec<Item>,
    count: usize,
    random: Option<PythonRandom>,
    /// Whether the scored items are among them, so that an item must not be its own example.
    own: bool,
}

impl ShotPool {
    /// Reads the split that few-shots are taken from.
    ///
    /// # Errors
    /// `InvalidInput` when there is none, or it has fewer than asked for; those of [`item::load`].
    pub fn load(benchmark: &Benchmark, subject: &Subject, scored: &str, request: &PlanRequest) -> Result<ShotPool> {
        let definition = &benchmark.definition;
        let sampler = request.fewshot_sampler.unwrap_or(definition.fewshot_sampler);
        let random = (sampler == FewshotSampler::Random)
            .then(|| PythonRandom::new(request.fewshot_seed.unwrap_or(definition.fewshot_seed)));
        let mut pool = ShotPool { items: Vec::new(), count: request.shots, random, own: false };
        if request.shots == 0 {
            return Ok(pool);
        }
        let name = &definition.name;
        let Some(split) = request.fewshot_split.as_ref().or(definition.fewshot_split.as_ref()) else {
            return Err(Error::new(Kind::InvalidInput, tr!("{name} has no few-shots", "{name} 没有少样本示例")).hint(
                tr!(
                    "use --shots 0 or --fewshot-split, or name a `fewshot_split` in the definition",
                    "请用 --shots 0 或 --fewshot-split，或在定义中给出 `fewshot_split`"
                ),
            ));
        };
        let split = definition.scored_split(Some(split))?;
        pool.own = split == scored;
        pool.items = item::load(benchmark, subject, split)?.items;
        pool.items.retain(Item::has_answer);
        let usable = pool.items.len().saturating_sub(usize::from(pool.own));
        if usable < request.shots {
            return Err(Error::new(
                Kind::InvalidInput,
                tr!(
                    "{name}/{}: {} shots were asked for, `{split}` has {usable}",
                    "{name}/{}：要求 {} 个示例，`{split}` 只有 {usable} 个",
                    subject.handle,
                    request.shots
                ),
            )
            .hint(tr!("use --shots {usable} or fewer", "请用 --shots {usable} 或更少")));
        }
        Ok(pool)
    }

    /// The shots that every item has; `None` when each has its own.
    pub fn shared(&self) -> Option<Vec<&Item>> {
        (self.random.is_none() && !self.own).then(|| self.items.iter().take(self.count).collect())
    }

    /// The shots of the next item, `id`.
    pub fn draw(&mut self, id: &str) -> Vec<&Item> {
        let own = self.own;
        let other = |item: &&Item| !own || item.id != id;
        match &mut self.random {
            None => self.items.iter().filter(other).take(self.count).collect(),
            Some(random) => {
                let drawn = random.sample(self.items.len(), self.count + usize::from(own));
                drawn.iter().filter_map(|i| self.items.get(*i)).filter(other).take(self.count).collect()
            }
        }
    }
}
