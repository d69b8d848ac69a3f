//! Writing answers: several side by side, a finished one making room for the next prompt, a common beginning read once.

use super::engine::{Engine, SEQUENCES_AT_ONCE, TOKENS_AT_ONCE, interrupted, sharing_run};
use super::request::{Generation, Sampling};
use super::sampler::Sampler;
use crate::error::{Error, Kind, Result};
use crate::job::CancelToken;
use crate::model::{KvBlock, Stretch};
use crate::tr;
use std::collections::VecDeque;
use std::sync::Arc;

/// An answer in the making.
struct Writing {
    /// Which prompt it answers.
    index: usize,
    /// The beginning that its prompt shares with others.
    prefix: Arc<KvBlock>,
    /// What comes after it.
    cache: KvBlock,
    /// Chosen, not yet run.
    next: u32,
    tokens: Vec<u32>,
    sampler: Sampler,
}

impl Writing {
    fn length(&self) -> usize {
        self.prefix.len() + self.cache.len()
    }

    /// The chosen token, after all that was read and written.
    fn next_stretch(&self) -> Stretch<'_> {
        let past = [&*self.prefix, &self.cache].into_iter().filter(|block| !block.is_empty()).collect();
        Stretch { ids: std::slice::from_ref(&self.next), past }
    }
}

/// Prompts that begin alike and wait to be read.
struct Group {
    indices: VecDeque<usize>,
    shared: usize,
    /// Read when the first of them is.
    prefix: Option<Arc<KvBlock>>,
}

/// `prompts` in their order, cut where they stop beginning alike.
fn groups(prompts: &[Vec<u32>]) -> VecDeque<Group> {
    let mut groups = VecDeque::new();
    let mut first = 0;
    while first < prompts.len() {
        let (count, shared) = sharing_run(prompts[first..].iter().map(Vec::as_slice));
        groups.push_back(Group { indices: (first..first + count).collect(), shared, prefix: None });
        first += count;
    }
    groups
}

impl Engine {
    /// Answers `prompts`, in their order. `enough` hears each token and may end that answer. What an answer is does not depend on
    /// its neighbours (beyond rounding): each has its own random stream.
    pub(super) fn write_answers(
        &self,
        prompts: &[Vec<u32>],
        sampling: &Sampling,
        enough: &mut dyn FnMut(usize, u32) -> bool,
        cancel: &CancelToken,
    ) -> Result<Vec<Generation>> {
        if prompts.iter().any(Vec::is_empty) {
            return Err(Error::new(Kind::InvalidInput, tr!("the prompt is empty", "提示为空"))
                .hint(tr!("write something to answer", "请输入内容")));
        }
        let limit = self.model.config().max_positions;
        let mut waiting = groups(prompts);
        let mut live: Vec<Writing> = Vec::new();
        let mut finished: Vec<Option<Generation>> = prompts.iter().map(|_| None).collect();
        loop {
            while live.len() < SEQUENCES_AT_ONCE && !waiting.is_empty() {
                if cancel.is_cancelled() {
                    return Err(interrupted());
                }
                self.read_prompts(prompts, sampling, &mut waiting, &mut live)?;
            }
            if live.is_empty() {
                return Ok(finished.into_iter().flatten().collect());
            }
            if cancel.is_cancelled() {
                return Err(interrupted());
            }
            live.retain_mut(|w| {
                let mut ended = self.end.contains(&w.next);
                if !ended {
                    w.tokens.push(w.next);
                    ended = enough(w.index, w.next);
                }
                let full = w.tokens.len() >= sampling.max_new_tokens || w.length() + 1 >= limit;
                if ended || full {
                    let tokens = std::mem::take(&mut w.tokens);
                    finished[w.index] = Some(Generation { tokens, stopped: ended });
                }
                !(ended || full)
            });
            self.next_tokens(&mut live)?;
        }
    }

    /// Reads the next prompts of the first group, as many as there is room for, and chooses their answers' first tokens.
    fn read_prompts(
        &self,
        prompts: &[Vec<u32>],
        sampling: &Sampling,
        waiting: &mut VecDeque<Group>,
        live: &mut Vec<Writing>,
    ) -> Result<()> {
        let Some(group) = waiting.front_mut() else { return Ok(()) };
        let shared = group.shared;
        let mut chosen = Vec::new();
        let mut tokens = 0;
        while live.len() + chosen.len() < SEQUENCES_AT_ONCE
            && let Some(&index) = group.indices.front()
            && (chosen.is_empty() || tokens + prompts[index].len() - shared <= TOKENS_AT_ONCE)
        {
            tokens += prompts[index].len() - shared;
            chosen.push(index);
            group.indices.pop_front();
        }
        let Some(&first) = chosen.first() else { return Ok(()) };
        let prefix = match &group.prefix {
            Some(prefix) => Arc::clone(prefix),
            None if shared == 0 => Arc::default(),
            None => Arc::new(self.read_prefix(&prompts[first][..shared])?),
        };
        group.prefix = Some(Arc::clone(&prefix));
        if group.indices.is_empty() {
            waiting.pop_front();
        }
        let stretches: Vec<Stretch<'_>> = chosen
            .iter()
            .map(|i| Stretch {
                ids: &prompts[*i][shared..],
                past: if shared > 0 { vec![&*prefix] } else { Vec::new() },
            })
            .collect();
        let (hidden, caches) = self.forward(&stretches)?;
        let mut end = 0;
        let last: Vec<usize> = stretches
            .iter()
            .map(|stretch| {
                end += stretch.ids.len();
                end - 1
            })
            .collect();
        let logits = self.model.logits(&hidden, &last)?;
        let vocabulary = self.model.config().vocab_size;
        for ((index, cache), logits) in chosen.into_iter().zip(caches).zip(logits.chunks_exact(vocabulary)) {
            let mut sampler = Sampler::new(sampling, index as u64);
            sampler.see(&prompts[index]);
            let next = sampler.choose(logits);
            live.push(Writing { index, prefix: Arc::clone(&prefix), cache, next, tokens: Vec::new(), sampler });
        }
        Ok(())
    }

    /// Runs every answer's chosen token and chooses the one after it.
    fn next_tokens(&self, live: &mut [Writing]) -> Result<()> {
        if live.is_empty() {
            return Ok(());
        }
        let (hidden, caches) = {
            let stretches: Vec<Stretch<'_>> = live.iter().map(Writing::next_stretch).collect();
            self.forward(&stretches)?
        };
        let logits = self.model.logits(&hidden, &(0..live.len()).collect::<Vec<_>>())?;
        for ((w, cache), logits) in
            live.iter_mut().zip(&caches).zip(logits.chunks_exact(self.model.config().vocab_size))
        {
            w.cache.append(cache);
            w.sampler.see(&[w.next]);
            w.next = w.sampler.choose(logits);
        }
        Ok(())
    }
}
