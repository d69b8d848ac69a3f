//! The local engine: a decoder, perhaps with an adapter, behind [`LanguageModel`].

use super::request::{Generation, LanguageModel, Sampling, ScoreRequest};
use crate::error::{Error, Kind, Result};
use crate::job::CancelToken;
use crate::model::{Decoder, Hidden, HostInference, Inference, KvBlock, Lora, Stretch};
use crate::tr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Tokens that go through the model at once. More gains nothing on a CPU and costs memory.
pub(super) const TOKENS_AT_ONCE: usize = 1024;

/// Sequences that go side by side: one pass over the weights serves all of them.
pub(super) const SEQUENCES_AT_ONCE: usize = 16;

/// A shared beginning shorter than this is not worth a pass of its own.
const SHORTEST_PREFIX: usize = 16;

/// A model on this machine.
pub struct Engine {
    pub(super) model: Box<dyn Inference>,
    /// Tokens that end an answer.
    pub(super) end: Vec<u32>,
    /// The beginning that was shared last, and its cache.
    kept: Mutex<(Vec<u32>, Arc<KvBlock>)>,
    prefilled: AtomicU64,
}

impl Engine {
    /// An engine on the processor over shared weights; `end` are the tokens that end an answer.
    pub fn new(decoder: Arc<Decoder>, lora: Option<Arc<Lora>>, end: Vec<u32>) -> Engine {
        Engine::over(Box::new(HostInference::new(decoder, lora)), end)
    }

    /// An engine over a model wherever it is computed.
    pub fn over(model: Box<dyn Inference>, end: Vec<u32>) -> Engine {
        Engine { model, end, kept: Mutex::default(), prefilled: AtomicU64::new(0) }
    }

    /// Runs stretches; gives hidden states and caches.
    pub(super) fn forward(&self, stretches: &[Stretch<'_>]) -> Result<(Hidden, Vec<KvBlock>)> {
        let tokens: usize = stretches.iter().map(|s| s.ids.len()).sum();
        self.prefilled.fetch_add(tokens as u64, Ordering::Relaxed);
        self.model.forward(stretches)
    }

    /// The cache of a beginning that several sequences share.
    pub(super) fn read_prefix(&self, ids: &[u32]) -> Result<KvBlock> {
        let (_, mut caches) = self.forward(&[Stretch { ids, past: Vec::new() }])?;
        Ok(caches.pop().unwrap_or_default())
    }

    /// The cache of a beginning of `ids`, or nearly all of it. Items come in batches, so that few are lost when a run breaks off, and
    /// the next batch mostly begins like the one before: what was read last is kept.
    fn shared_prefix(&self, ids: &[u32]) -> Result<Arc<KvBlock>> {
        if ids.is_empty() {
            return Ok(Arc::default());
        }
        let mut kept = self.kept.lock().map_err(|_| Error::internal("an inference thread failed"))?;
        let (known, block) = &*kept;
        let both = common(known, ids);
        if both == known.len() && both == ids.len() {
            return Ok(Arc::clone(block));
        }
        // Reading a few tokens with each item costs less than reading the whole beginning again.
        let block = if both >= ids.len() - ids.len() / 8 {
            let mut block = (**block).clone();
            block.truncate(both);
            block
        } else {
            self.read_prefix(ids)?
        };
        let block = Arc::new(block);
        *kept = (ids[..block.len()].to_vec(), Arc::clone(&block));
        Ok(block)
    }

    /// Scores requests that share the cached `prefix`, the first `shared` tokens of each context.
    fn score_group(&self, requests: &[&ScoreRequest], prefix: &KvBlock) -> Result<Vec<Vec<f64>>> {
        let shared = prefix.len();
        let stretches: Vec<Stretch<'_>> =
            requests.iter().map(|r| Stretch { ids: &r.context[shared..], past: vec![prefix] }).collect();
        let (hidden, caches) = self.forward(&stretches)?;
        let mut first = Vec::new();
        let mut end = 0;
        for request in requests {
            end += request.context.len() - shared;
            first.extend(request.continuations.iter().map(|c| (end - 1, c[0])));
        }
        let mut sums = self.model.logprobs(&hidden, &first)?;
        // Continuations of several tokens branch from their context, all in one further pass.
        let mut branches = Vec::new();
        let mut owners = Vec::new();
        let all = requests.iter().zip(&caches).flat_map(|(r, cache)| r.continuations.iter().map(move |c| (c, cache)));
        for (owner, (continuation, cache)) in all.enumerate() {
            if continuation.len() > 1 {
                branches.push(Stretch { ids: &continuation[..continuation.len() - 1], past: vec![prefix, cache] });
                owners.push((owner, continuation));
            }
        }
        if !branches.is_empty() {
            let (hidden, _) = self.forward(&branches)?;
            let mut wanted = Vec::new();
            let mut sum_of = Vec::new();
            for (owner, continuation) in owners {
                for token in &continuation[1..] {
                    wanted.push((wanted.len(), *token));
                    sum_of.push(owner);
                }
            }
            for (owner, logprob) in sum_of.into_iter().zip(self.model.logprobs(&hidden, &wanted)?) {
                sums[owner] += logprob;
            }
        }
        let mut sums = sums.into_iter();
        Ok(requests.iter().map(|r| sums.by_ref().take(r.continuations.len()).collect()).collect())
    }

    /// Cuts the left end of contexts that do not fit the model, as lm-evaluation-harness does.
    fn fit(&self, request: &ScoreRequest) -> Result<ScoreRequest> {
        if request.context.is_empty() || request.continuations.iter().any(Vec::is_empty) {
            return Err(Error::new(
                Kind::InvalidInput,
                tr!("an item has an empty context or an empty choice", "有题目的上文或选项为空"),
            )
            .hint(tr!("look at the benchmark's definition and data", "请检查评测定义与数据")));
        }
        let cut = request.overhang(self.model.config().max_positions);
        Ok(ScoreRequest { context: request.context[cut..].to_vec(), continuations: request.continuations.clone() })
    }
}

pub(super) fn interrupted() -> Error {
    Error::new(Kind::Interrupted, tr!("interrupted", "已中断"))
}

/// Length of the common beginning of two token lists.
pub(super) fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// How many of `contexts`, from the first, share a beginning worth caching, and how long it is. At least
/// one token of each context stays outside it: its hidden state predicts what follows.
pub(super) fn sharing_run<'a>(mut contexts: impl Iterator<Item = &'a [u32]>) -> (usize, usize) {
    let first = contexts.next().unwrap_or_default();
    let mut shared = first.len().saturating_sub(1);
    let mut count = 1;
    for context in contexts {
        let next = common(&first[..shared], context).min(context.len().saturating_sub(1));
        if next < SHORTEST_PREFIX || next < shared / 4 && count > 1 {
            break;
        }
        shared = next;
        count += 1;
    }
    if count == 1 { (1, 0) } else { (count, shared) }
}

impl LanguageModel for Engine {
    fn loglikelihoods(
        &self,
        requests: &[ScoreRequest],
        done: &mut dyn FnMut(usize),
        cancel: &CancelToken,
    ) -> Result<Vec<Vec<f64>>> {
        let requests = requests.iter().map(|r| self.fit(r)).collect::<Result<Vec<_>>>()?;
        let mut results = Vec::with_capacity(requests.len());
        let mut rest = &requests[..];
        while !rest.is_empty() {
            let (count, shared) = sharing_run(rest.iter().map(|r| r.context.as_slice()));
            // Requests without a common beginning still go through the model together.
            let count = if shared == 0 { rest.len().min(SEQUENCES_AT_ONCE) } else { count };
            let (group, after) = rest.split_at(count);
            rest = after;
            let prefix = self.shared_prefix(&group[0].context[..shared])?;
            let shared = prefix.len();
            let mut waiting: Vec<&ScoreRequest> = Vec::new();
            let mut tokens = 0;
            for (i, request) in group.iter().enumerate() {
                waiting.push(request);
                tokens += request.context.len() - shared;
                let next = group.get(i + 1).map_or(usize::MAX, |r| r.context.len() - shared);
                if next > TOKENS_AT_ONCE.saturating_sub(tokens) {
                    if cancel.is_cancelled() {
                        return Err(interrupted());
                    }
                    results.extend(self.score_group(&waiting, &prefix)?);
                    waiting.clear();
                    tokens = 0;
                    done(results.len());
                }
            }
        }
        Ok(results)
    }

    fn generate(
        &self,
        prompts: &[Vec<u32>],
        sampling: &Sampling,
        on_token: &mut dyn FnMut(usize, u32),
        cancel: &CancelToken,
    ) -> Result<Vec<Generation>> {
        let mut never = |i: usize, id: u32| {
            on_token(i, id);
            false
        };
        self.generate_until(prompts, sampling, &mut never, cancel)
    }

    fn generate_until(
        &self,
        prompts: &[Vec<u32>],
        sampling: &Sampling,
        enough: &mut dyn FnMut(usize, u32) -> bool,
        cancel: &CancelToken,
    ) -> Result<Vec<Generation>> {
        self.write_answers(prompts, sampling, enough, cancel)
    }

    fn batch(&self) -> usize {
        SEQUENCES_AT_ONCE
    }

    fn max_length(&self) -> Option<usize> {
        Some(self.model.config().max_positions)
    }

    fn prefilled(&self) -> u64 {
        self.prefilled.load(Ordering::Relaxed)
    }
}
