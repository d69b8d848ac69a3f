//! `POST /v1/chat/completions`: messages in, an answer out; the template is the adapter's, or the model's own.

use super::completions::Usage;
use super::fields::{Common, SentMessage, room};
use super::http::Connection;
use super::models::Served;
use super::refusal::Refusal;
use super::reply::{Broken, Piece, Reply, Token};
use super::{Shared, stream};
use crate::infer::{Order, Watch};
use crate::prompt::Message;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize)]
struct Body {
    messages: Vec<SentMessage>,
    logprobs: Option<bool>,
    top_logprobs: Option<usize>,
    #[serde(flatten)]
    common: Common,
}

/// The longest list of likeliest tokens, as the protocol has it.
const MOST_LOGPROBS: usize = 20;

/// Answers a request.
pub(super) fn answer(shared: &Shared, connection: &mut Connection, body: &[u8]) -> Result<(), Broken> {
    let body: Body = super::read_json(body)?;
    let model = shared.models.find(body.common.model.as_deref().unwrap_or_default())?;
    let mut sampling = body.common.sampling()?;
    let (wanted, top) = (body.logprobs == Some(true), body.top_logprobs.unwrap_or(0));
    if top > MOST_LOGPROBS {
        return Err(Refusal::of("top_logprobs", format!("top_logprobs must not be above {MOST_LOGPROBS}")).into());
    }
    let messages = body.messages.iter().map(SentMessage::read).collect::<Result<Vec<Message>, _>>()?;
    let prompt = model.renderer()?.prompt(&messages)?.1;
    let asked = body.common.max_completion_tokens.or(body.common.max_tokens);
    sampling.max_new_tokens = room(prompt.len(), asked, model.engine.context())?;
    let watch = Watch { written: wanted.then_some(top), prompt: None };
    let order = Order { prompt, sampling, watch, asker: shared.number() };
    let mut reply = Reply::order(&shared.scheduler, model, order)?;
    let (id, created) = (shared.id("chatcmpl"), super::unix_seconds());
    let envelope = |object: &str, choices: Value, usage: Option<Value>| {
        let mut whole = json!({"id": id, "object": object, "created": created, "model": model.id, "choices": choices});
        if let Some(usage) = usage {
            whole["usage"] = usage;
        }
        whole
    };
    if body.common.streams() {
        let chunk = |delta: Value, logprobs: Value, reason: Option<&str>| {
            let choice = json!({"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason});
            envelope("chat.completion.chunk", json!([choice]), None)
        };
        return stream::send(shared, connection, |events| {
            stream::event(events, &chunk(json!({"role": "assistant", "content": ""}), Value::Null, None))?;
            while let Some(Piece { text, tokens }) = reply.next(&|| shared.is_closing() || events.is_gone())? {
                let logprobs = if wanted { content(model, &tokens) } else { Value::Null };
                stream::event(events, &chunk(json!({"content": text}), logprobs, None))?;
            }
            stream::event(events, &chunk(json!({}), Value::Null, reply.finish_reason()))?;
            if body.common.streams_usage() {
                let usage = Some(usage(&reply));
                stream::event(events, &envelope("chat.completion.chunk", json!([]), usage))?;
            }
            Ok(())
        });
    }
    let Piece { text, tokens } = reply.rest(&|| shared.is_closing() || connection.is_gone())?;
    let choice = json!({
        "index": 0, "message": {"role": "assistant", "content": text},
        "logprobs": if wanted { content(model, &tokens) } else { Value::Null },
        "finish_reason": reply.finish_reason(),
    });
    super::send_json(connection, 200, &envelope("chat.completion", json!([choice]), Some(usage(&reply))));
    Ok(())
}

fn usage(reply: &Reply<'_>) -> Value {
    let mut usage = Usage::default();
    usage.add(reply);
    usage.value()
}

/// The log-probabilities of an answer's tokens in the form of chats.
fn content(model: &Served, tokens: &[Token]) -> Value {
    let one = |text: &str, logprob: f64| {
        // A part of a character has no bytes of its own that this tokenizer would show.
        let bytes = (!text.contains('\u{fffd}')).then(|| text.as_bytes().to_vec());
        json!({"token": text, "logprob": logprob, "bytes": bytes})
    };
    let each = tokens.iter().map(|token| {
        let mut entry = one(&token.text, token.chosen.logprob);
        let top = token.chosen.top.iter().map(|(id, logprob)| one(&model.tokenizer.decode_token(*id), *logprob));
        entry["top_logprobs"] = top.collect();
        entry
    });
    json!({"content": each.collect::<Vec<_>>()})
}
