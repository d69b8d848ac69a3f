//! An answer in the making, one step at a time: whoever holds several lets them take turns.
//!
//! What was read stays in a [`Session`], so the next prompt that begins with the same tokens (the conversation with one
//! more turn) costs only what is new in it.

use super::engine::{Engine, common};
use super::request::Sampling;
use super::sampler::Sampler;
use crate::error::{Error, Kind, Result};
use crate::model::{KvBlock, Stretch};
use crate::ops::log_sum_exp;
use crate::tr;

/// Tokens that a model has read, and what it keeps of them. Belongs to the engine that filled it.
#[derive(Default)]
pub struct Session {
    ids: Vec<u32>,
    cache: KvBlock,
}

impl Session {
    /// Tokens held.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// How many tokens of `prompt` need not be read again. The last one always is: its logits choose the first token.
    pub fn shared(&self, prompt: &[u32]) -> usize {
        common(&self.ids, prompt).min(prompt.len().saturating_sub(1))
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        self.cache.bytes()
    }

    fn keep(&mut self, len: usize) {
        self.ids.truncate(len);
        self.cache.truncate(len);
    }
}

/// Which log-probabilities are wanted beside the tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// Of each written token and so many of the likeliest in its place; `None` for no log-probabilities.
    pub written: Option<usize>,
    /// The same of the prompt's tokens. Nothing of an earlier session is then used.
    pub prompt: Option<usize>,
}

/// A token with its natural-log probabilities, which are the model's own: neither temperature nor penalty is in them.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The token.
    pub id: u32,
    /// Its log-probability; 0 where none was asked for.
    pub logprob: f64,
    /// The likeliest tokens in its place, the likeliest first.
    pub top: Vec<(u32, f64)>,
}

impl Chosen {
    /// The token `id` among `logits`.
    fn new(id: u32, logits: &[f32], top: Option<usize>) -> Chosen {
        let Some(n) = top else { return Chosen { id, logprob: 0.0, top: Vec::new() } };
        let lse = log_sum_exp(logits);
        let logprob = |id: u32| f64::from(logits[id as usize]) - lse;
        let top = likeliest(logits, n).into_iter().map(|id| (id, logprob(id))).collect();
        Chosen { id, logprob: logprob(id), top }
    }
}

/// The `n` likeliest tokens, the likeliest first, the first of equals first.
fn likeliest(logits: &[f32], n: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let by_logit = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    let n = n.min(order.len());
    if n > 0 && n < order.len() {
        order.select_nth_unstable_by(n - 1, by_logit);
    }
    order.truncate(n);
    order.sort_unstable_by(by_logit);
    order
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The model ended it, or one of the texts that end an answer was met.
    Stopped,
    /// It has as many tokens as were allowed, or the context is full.
    Length,
}

/// Rows whose logits are computed at once: a row has as many as the vocabulary.
const ROWS_AT_ONCE: usize = 64;

/// An answer in the making.
pub struct Writing {
    session: Session,
    prompt: Vec<u32>,
    sampler: Sampler,
    most: usize,
    watch: Watch,
    reused: usize,
    read: Vec<Chosen>,
    written: usize,
    last: Option<Chosen>,
    end: Option<End>,
}

impl Engine {
    /// Begins an answer to `prompt`, on top of what `session` shares with it. Nothing is computed yet.
    ///
    /// # Errors
    /// `InvalidInput` for an empty prompt or one that is longer than the model's context.
    pub fn begin(&self, mut session: Session, prompt: Vec<u32>, sampling: &Sampling, watch: Watch) -> Result<Writing> {
        if prompt.is_empty() {
            return Err(Error::new(Kind::InvalidInput, tr!("the prompt is empty", "提示为空"))
                .hint(tr!("write something to answer", "请输入内容")));
        }
        let (length, limit) = (prompt.len(), self.model.config().max_positions);
        if length > limit {
            return Err(Error::new(
                Kind::InvalidInput,
                tr!(
                    "the prompt has {length} tokens, the model's context {limit}",
                    "提示有 {length} 个词元，模型的上下文只有 {limit} 个"
                ),
            )
            .hint(tr!("shorten it, or begin a new conversation", "请缩短提示，或开始新的对话")));
        }
        let reused = if watch.prompt.is_some() { 0 } else { session.shared(&prompt) };
        session.keep(reused);
        let mut sampler = Sampler::new(sampling, 0);
        sampler.see(&prompt);
        Ok(Writing {
            session,
            prompt,
            sampler,
            most: sampling.max_new_tokens,
            watch,
            reused,
            read: Vec::new(),
            written: 0,
            last: None,
            end: None,
        })
    }

    /// Reads up to `most` more tokens of the prompt; chooses the first token when that was the last of them.
    ///
    /// # Errors
    /// Those of the decoder.
    pub fn read(&self, w: &mut Writing, most: usize) -> Result<()> {
        let from = w.session.len();
        let to = w.prompt.len().min(from + most.max(1));
        if from == to {
            return Ok(());
        }
        let ids = w.prompt[from..to].to_vec();
        let (hidden, caches) = self.forward(&[Stretch { ids: &ids, past: vec![&w.session.cache] }])?;
        for cache in &caches {
            w.session.cache.append(cache);
        }
        w.session.ids.extend(&ids);
        let vocabulary = self.model.config().vocab_size;
        if let Some(top) = w.watch.prompt {
            // The row of a token tells of the token after it.
            let followers = &w.prompt[from + 1..w.prompt.len().min(to + 1)];
            for (i, tokens) in followers.chunks(ROWS_AT_ONCE).enumerate() {
                let rows: Vec<usize> = (i * ROWS_AT_ONCE..).take(tokens.len()).collect();
                let logits = self.model.logits(&hidden, &rows)?;
                let each = tokens.iter().zip(logits.chunks_exact(vocabulary));
                w.read.extend(each.map(|(id, logits)| Chosen::new(*id, logits, Some(top))));
            }
        }
        if to == w.prompt.len() {
            if w.most == 0 {
                w.end = Some(End::Length);
            } else {
                let logits = self.model.logits(&hidden, &[ids.len() - 1])?;
                self.choose(w, &logits);
            }
        }
        Ok(())
    }

    /// Runs the last token of each answer and chooses the one after it; answers that ended or still read are left alone.
    ///
    /// # Errors
    /// Those of the decoder.
    pub fn step(&self, all: &mut [&mut Writing]) -> Result<()> {
        let mut live: Vec<(u32, &mut Writing)> =
            all.iter_mut().filter_map(|w| Some((w.last.as_ref().filter(|_| w.end.is_none())?.id, &mut **w))).collect();
        if live.is_empty() {
            return Ok(());
        }
        let (hidden, caches) = {
            let stretches: Vec<Stretch<'_>> = live
                .iter()
                .map(|(id, w)| Stretch { ids: std::slice::from_ref(id), past: vec![&w.session.cache] })
                .collect();
            self.forward(&stretches)?
        };
        let logits = self.model.logits(&hidden, &(0..live.len()).collect::<Vec<_>>())?;
        let each = caches.iter().zip(logits.chunks_exact(self.model.config().vocab_size));
        for ((id, w), (cache, logits)) in live.iter_mut().zip(each) {
            w.session.cache.append(cache);
            w.session.ids.push(*id);
            w.sampler.see(&[*id]);
            self.choose(w, logits);
        }
        Ok(())
    }

    fn choose(&self, w: &mut Writing, logits: &[f32]) {
        let id = w.sampler.choose(logits);
        if self.end.contains(&id) {
            w.last = None;
            w.end = Some(End::Stopped);
            return;
        }
        w.last = Some(Chosen::new(id, logits, w.watch.written));
        w.written += 1;
        if w.written >= w.most || w.session.len() >= self.model.config().max_positions {
            w.end = Some(End::Length);
        }
    }

    /// The most tokens that a prompt and its answer may have together.
    pub fn context(&self) -> usize {
        self.model.config().max_positions
    }

    /// Number of tokens in the model's vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.model.config().vocab_size
    }
}

impl Writing {
    /// Whether the prompt is not read to its end yet.
    pub fn is_reading(&self) -> bool {
        self.session.len() < self.prompt.len()
    }

    /// The token that was chosen last; none while reading, and when the model ended the answer.
    pub fn last(&self) -> Option<&Chosen> {
        self.last.as_ref()
    }

    /// How it ended; `None` while it goes on.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Tokens of the prompt that an earlier session had read.
    pub fn reused(&self) -> usize {
        self.reused
    }

    /// The prompt's tokens from the second on, as far as they were read, when they are watched.
    pub fn take_read(&mut self) -> Vec<Chosen> {
        std::mem::take(&mut self.read)
    }

    /// What was read and written, for the next prompt.
    pub fn into_session(self) -> Session {
        self.session
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_come_in_order_and_their_probabilities_sum_to_one() {
        let logits = [0.5f32, 2.0, 2.0, -1.0];
        assert_eq!(likeliest(&logits, 0), [] as [u32; 0]);
        assert_eq!(likeliest(&logits, 3), [1, 2, 0]);
        assert_eq!(likeliest(&logits, 9), [1, 2, 0, 3]);
        let chosen = Chosen::new(3, &logits, Some(4));
        let mass: f64 = chosen.top.iter().map(|(_, p)| p.exp()).sum();
        // The sum under the logarithm is taken in f32.
        assert!((mass - 1.0).abs() < 1e-6);
        assert_eq!(chosen.top[3], (3, chosen.logprob));
        assert_eq!(Chosen::new(3, &logits, None).logprob, 0.0);
    }
}
