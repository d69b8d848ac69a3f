//! `POST /v1/completions`: plain text or tokens in, text out, with `echo` and log-probabilities.

use super::fields::{Common, room};
use super::http::Connection;
use super::models::Served;
use super::refusal::Refusal;
use super::reply::{Broken, Piece, Reply, Token};
use super::{Shared, stream};
use crate::eval::encode_text;
use crate::infer::{Chosen, Order, Watch};
use crate::model::Tokenizer;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

#[derive(Debug, Deserialize)]
struct Body {
    prompt: Prompt,
    echo: Option<bool>,
    logprobs: Option<u64>,
    #[serde(flatten)]
    common: Common,
}

/// One prompt or several, each as text or as tokens.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Prompt {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    TokenLists(Vec<Vec<u32>>),
}

/// Most prompts of one request.
const MOST_PROMPTS: usize = 256;
/// The longest list of likeliest tokens.
const MOST_LOGPROBS: u64 = 1000;
/// Tokens of an answer when nothing is said, as the protocol has it.
const MAX_TOKENS: usize = 16;

impl Prompt {
    fn tokens(self, model: &Served) -> Result<Vec<Vec<u32>>, Refusal> {
        let prompts = match self {
            Prompt::Text(text) => vec![encode_text(&*model.tokenizer, &text)?],
            Prompt::Texts(texts) => {
                texts.iter().map(|t| encode_text(&*model.tokenizer, t)).collect::<crate::error::Result<_>>()?
            }
            Prompt::Tokens(ids) => vec![ids],
            Prompt::TokenLists(lists) => lists,
        };
        if prompts.is_empty() || prompts.len() > MOST_PROMPTS || prompts.iter().any(Vec::is_empty) {
            return Err(Refusal::of("prompt", format!("give between 1 and {MOST_PROMPTS} prompts that are not empty")));
        }
        let vocabulary = model.engine.vocabulary();
        if let Some(id) = prompts.iter().flatten().find(|id| **id as usize >= vocabulary) {
            return Err(Refusal::of("prompt", format!("token {id} lies outside the vocabulary of {vocabulary}")));
        }
        Ok(prompts)
    }
}

/// Answers a request.
pub(super) fn answer(shared: &Shared, connection: &mut Connection, body: &[u8]) -> Result<(), Broken> {
    let body: Body = super::read_json(body)?;
    let model = shared.models.find(body.common.model.as_deref().unwrap_or_default())?;
    let mut sampling = body.common.sampling()?;
    let (echo, logprobs) = (body.echo == Some(true), body.logprobs);
    if logprobs.is_some_and(|n| n > MOST_LOGPROBS) {
        return Err(Refusal::of("logprobs", format!("logprobs must not be above {MOST_LOGPROBS}")).into());
    }
    let watch = Watch { written: logprobs.map(|n| n as usize), prompt: logprobs.filter(|_| echo).map(|n| n as usize) };
    let asked = body.common.max_tokens.unwrap_or(MAX_TOKENS);
    let prompts = body.prompt.tokens(model)?;
    let asker = shared.number();
    let mut answers = Vec::with_capacity(prompts.len());
    let seed = sampling.seed;
    for (i, prompt) in prompts.into_iter().enumerate() {
        sampling.max_new_tokens = room(prompt.len(), Some(asked), model.engine.context())?;
        sampling.seed = seed.wrapping_add(i as u64);
        let beginning = Beginning(if echo { prompt.clone() } else { Vec::new() });
        let order = Order { prompt, sampling: sampling.clone(), watch, asker };
        answers.push((Reply::order(&shared.scheduler, model, order)?, beginning));
    }
    let envelope = Envelope { id: shared.id("cmpl"), created: super::unix_seconds(), model: model.id.clone() };
    if body.common.streams() {
        return stream::send(shared, connection, |events| {
            let mut usage = Usage::default();
            for (index, (reply, beginning)) in answers.iter_mut().enumerate() {
                let is_gone = || shared.is_closing() || events.is_gone();
                reply.wait_for_prompt(&is_gone)?;
                let mut lists = Lists::new(model, logprobs.is_some());
                let head = beginning.piece(reply, model, &mut lists)?;
                if !head.is_empty() {
                    stream::event(events, &envelope.chunk(index, &head, lists.take(), None))?;
                }
                loop {
                    let piece = reply.next(&|| shared.is_closing() || events.is_gone())?;
                    let Some(Piece { text, tokens }) = piece else { break };
                    lists.add(&tokens);
                    stream::event(events, &envelope.chunk(index, &text, lists.take(), None))?;
                }
                let reason = reply.finish_reason();
                stream::event(events, &envelope.chunk(index, "", Value::Null, reason))?;
                usage.add(reply);
            }
            if body.common.streams_usage() {
                stream::event(events, &envelope.usage(&usage))?;
            }
            Ok(())
        });
    }
    let is_gone = || shared.is_closing() || connection.is_gone();
    let (mut choices, mut usage) = (Vec::new(), Usage::default());
    for (index, (reply, beginning)) in answers.iter_mut().enumerate() {
        reply.wait_for_prompt(&is_gone)?;
        let mut lists = Lists::new(model, logprobs.is_some());
        let head = beginning.piece(reply, model, &mut lists)?;
        let Piece { text, tokens } = reply.rest(&is_gone)?;
        lists.add(&tokens);
        choices.push(json!({
            "text": head + &text, "index": index, "logprobs": lists.take(), "finish_reason": reply.finish_reason(),
        }));
        usage.add(reply);
    }
    super::send_json(connection, 200, &envelope.whole(&choices, &usage));
    Ok(())
}

/// Tokens of all prompts and answers of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    prompt: usize,
    cached: usize,
    completion: usize,
}

impl Usage {
    pub(super) fn add(&mut self, reply: &Reply<'_>) {
        self.prompt += reply.prompt_tokens;
        self.cached += reply.reused;
        self.completion += reply.tokens;
    }

    pub(super) fn value(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt, "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion, "prompt_tokens_details": {"cached_tokens": self.cached},
        })
    }
}

struct Envelope {
    id: String,
    created: u64,
    model: String,
}

impl Envelope {
    fn whole(&self, choices: &[Value], usage: &Usage) -> Value {
        json!({"id": self.id, "object": "text_completion", "created": self.created, "model": self.model,
            "choices": choices, "usage": usage.value()})
    }

    fn chunk(&self, index: usize, text: &str, logprobs: Value, reason: Option<&str>) -> Value {
        json!({"id": self.id, "object": "text_completion", "created": self.created, "model": self.model,
            "choices": [{"text": text, "index": index, "logprobs": logprobs, "finish_reason": reason}]})
    }

    fn usage(&self, usage: &Usage) -> Value {
        self.whole(&[], usage)
    }
}

/// The prompt's tokens under `echo`, where they stand before the answer; else none.
struct Beginning(Vec<u32>);

impl Beginning {
    /// Its text; its tokens go into `lists`.
    fn piece(&self, reply: &mut Reply<'_>, model: &Arc<Served>, lists: &mut Lists) -> Result<String, Refusal> {
        let texts = texts_of(&model.tokenizer, &self.0)?;
        let scored = std::mem::take(&mut reply.scored);
        if !scored.is_empty() || self.0.len() == 1 {
            // Nothing comes before the first token that could make it likely.
            let unknown = self.0.first().map(|_| None);
            for (chosen, text) in unknown.into_iter().chain(scored.into_iter().map(Some)).zip(&texts) {
                lists.push(text, chosen.as_ref());
            }
        }
        Ok(texts.concat())
    }
}

/// The texts of a prompt's tokens, together the prompt: a part of a character has none, its last part has all of it.
/// Special tokens appear by their names, as they do in prompts.
fn texts_of(tokenizer: &Tokenizer, ids: &[u32]) -> Result<Vec<String>, Refusal> {
    let mut stream = tokenizer.decode_stream_with_special();
    let mut texts =
        ids.iter().map(|id| Ok(stream.step(*id)?.unwrap_or_default())).collect::<crate::error::Result<Vec<_>>>()?;
    let rest = stream.finish()?;
    if let Some(last) = texts.last_mut().filter(|_| !rest.is_empty()) {
        // `finish` repeats nothing that a step gave.
        last.push_str(&rest);
    }
    Ok(texts)
}

/// The protocol's four lists of log-probabilities, side by side.
struct Lists {
    tokenizer: Arc<Tokenizer>,
    wanted: bool,
    offset: usize,
    tokens: Vec<String>,
    logprobs: Vec<Option<f64>>,
    top: Vec<Value>,
    offsets: Vec<usize>,
}

impl Lists {
    fn new(model: &Served, wanted: bool) -> Lists {
        Lists {
            tokenizer: Arc::clone(&model.tokenizer),
            wanted,
            offset: 0,
            tokens: Vec::new(),
            logprobs: Vec::new(),
            top: Vec::new(),
            offsets: Vec::new(),
        }
    }

    fn add(&mut self, tokens: &[Token]) {
        for token in tokens {
            self.push(&token.text, Some(&token.chosen));
        }
    }

    fn push(&mut self, text: &str, chosen: Option<&Chosen>) {
        if !self.wanted {
            return;
        }
        let top = chosen.filter(|c| !c.top.is_empty()).map(|chosen| {
            let mut map = Map::new();
            // Parts of characters look alike; the likeliest of them stands for all.
            for (id, logprob) in chosen.top.iter().chain([&(chosen.id, chosen.logprob)]) {
                map.entry(self.tokenizer.decode_token(*id)).or_insert_with(|| json!(logprob));
            }
            Value::Object(map)
        });
        self.tokens.push(text.to_owned());
        self.logprobs.push(chosen.map(|c| c.logprob));
        self.top.push(top.unwrap_or(Value::Null));
        self.offsets.push(self.offset);
        self.offset += text.chars().count();
    }

    /// What was gathered since the last time; null when none was wanted.
    fn take(&mut self) -> Value {
        if !self.wanted {
            return Value::Null;
        }
        json!({
            "tokens": std::mem::take(&mut self.tokens), "token_logprobs": std::mem::take(&mut self.logprobs),
            "top_logprobs": std::mem::take(&mut self.top), "text_offset": std::mem::take(&mut self.offsets),
        })
    }
}
