//! What both kinds of requests may ask for, and what is granted of it.

use super::refusal::Refusal;
use crate::infer::Sampling;
use crate::prompt::Message;
use serde::Deserialize;
use serde_json::Value;

/// Fields that completions and chat completions share. What is not here is ignored, as the protocol wants it, but
/// fields that would change the answer and cannot be granted are refused.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Common {
    pub(super) model: Option<String>,
    pub(super) max_tokens: Option<usize>,
    /// The newer name in chats.
    pub(super) max_completion_tokens: Option<usize>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<i64>,
    min_p: Option<f64>,
    repetition_penalty: Option<f64>,
    frequency_penalty: Option<f64>,
    presence_penalty: Option<f64>,
    n: Option<u64>,
    best_of: Option<u64>,
    seed: Option<i64>,
    stop: Option<OneOrMore>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    logit_bias: Option<Value>,
    suffix: Option<String>,
    tools: Option<Value>,
    functions: Option<Value>,
    response_format: Option<ResponseFormat>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct ResponseFormat {
    r#type: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// Most texts that end an answer.
const MOST_STOPS: usize = 16;

impl Common {
    /// Whether the answer is wanted in events.
    pub(super) fn streams(&self) -> bool {
        self.stream == Some(true)
    }

    /// Whether the last event tells the numbers of tokens.
    pub(super) fn streams_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|o| o.include_usage == Some(true))
    }

    /// How the answer is drawn; its length is still to be set.
    ///
    /// # Errors
    /// 400 that names the field.
    pub(super) fn sampling(&self) -> Result<Sampling, Refusal> {
        let one = |n: Option<u64>, name| match n {
            None | Some(1) => Ok(()),
            Some(_) => Err(Refusal::of(name, format!("{name} must be 1"))),
        };
        one(self.n, "n")?;
        one(self.best_of, "best_of")?;
        let off =
            |set: bool, name| if set { Err(Refusal::of(name, format!("{name} is not supported"))) } else { Ok(()) };
        let holds = |v: &Option<Value>| v.as_ref().is_some_and(|v| !is_empty(v));
        off(self.frequency_penalty.is_some_and(|x| x != 0.0), "frequency_penalty")?;
        off(self.presence_penalty.is_some_and(|x| x != 0.0), "presence_penalty")?;
        off(holds(&self.logit_bias), "logit_bias")?;
        off(self.suffix.as_ref().is_some_and(|s| !s.is_empty()), "suffix")?;
        off(holds(&self.tools), "tools")?;
        off(holds(&self.functions), "functions")?;
        off(self.response_format.as_ref().is_some_and(|f| f.r#type != "text"), "response_format")?;
        let stop = match &self.stop {
            None => Vec::new(),
            Some(OneOrMore::One(text)) => vec![text.clone()],
            Some(OneOrMore::More(texts)) => texts.clone(),
        };
        if stop.len() > MOST_STOPS {
            return Err(Refusal::of("stop", format!("stop takes at most {MOST_STOPS} texts")));
        }
        let sampling = Sampling {
            temperature: self.temperature.unwrap_or(1.0),
            top_p: self.top_p.unwrap_or(1.0),
            // vLLM's clients say −1 for all.
            top_k: self.top_k.map_or(0, |k| usize::try_from(k).unwrap_or(0)),
            min_p: self.min_p.unwrap_or(0.0),
            repetition_penalty: self.repetition_penalty.unwrap_or(1.0),
            max_new_tokens: 0,
            seed: self.seed.map_or_else(rand::random, |seed| seed as u64),
            stop: stop.into_iter().filter(|s| !s.is_empty()).collect(),
        };
        sampling.check()?;
        Ok(sampling)
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Tokens that an answer may have beside a prompt of `prompt` tokens: `asked`, or what is left of the context.
///
/// # Errors
/// 400 with the code that clients look for, when both together are longer than the context.
pub(super) fn room(prompt: usize, asked: Option<usize>, context: usize) -> Result<usize, Refusal> {
    let left = context.saturating_sub(prompt);
    let fits = match asked {
        // A prompt that fills the context can be scored; written is nothing.
        Some(asked) => asked <= left && prompt <= context,
        None => left > 0,
    };
    if fits {
        return Ok(asked.unwrap_or(left));
    }
    let wanted = asked.map_or_else(String::new, |n| format!(" and {n} for the answer"));
    Err(Refusal::of(
        "messages",
        format!(
            "This model's maximum context length is {context} tokens; the request has {prompt} in the prompt{wanted}."
        ),
    )
    .code("context_length_exceeded"))
}

/// A message as clients send it: its content is a text or a list of parts.
#[derive(Debug, Deserialize)]
pub(super) struct SentMessage {
    role: String,
    content: Option<Value>,
}

impl SentMessage {
    /// The message as templates take it.
    ///
    /// # Errors
    /// 400 for an unknown role and for content that is no text.
    pub(super) fn read(&self) -> Result<Message, Refusal> {
        let role = match self.role.as_str() {
            "developer" => "system",
            other => other,
        };
        let role = serde_json::from_value(Value::from(role)).map_err(|_| {
            Refusal::of("messages", format!("unknown role `{}`: use system, user, assistant or tool", self.role))
        })?;
        let no_text = || Refusal::of("messages", "only text can be read");
        let content = match &self.content {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => {
                let text = |part: &Value| part.get("text").and_then(Value::as_str).map(str::to_owned);
                parts.iter().map(text).collect::<Option<Vec<_>>>().ok_or_else(no_text)?.concat()
            }
            Some(_) => return Err(no_text()),
        };
        Ok(Message::new(role, content))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn common(value: Value) -> Common {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_would_change_the_answer_and_cannot_be_granted_is_refused() {
        for wrong in [
            json!({"n": 2}),
            json!({"best_of": 3}),
            json!({"frequency_penalty": 0.5}),
            json!({"logit_bias": {"5": 1}}),
            json!({"tools": [{"type": "function"}]}),
            json!({"response_format": {"type": "json_object"}}),
            json!({"temperature": -1}),
            json!({"top_p": 0}),
            json!({"top_p": 1.5}),
            json!({"repetition_penalty": 0}),
            json!({"stop": vec!["x"; 17]}),
        ] {
            assert_eq!(common(wrong.clone()).sampling().unwrap_err().status, 400, "{wrong}");
        }
        for fine in [
            json!({}),
            json!({"n": 1, "frequency_penalty": 0, "tools": [], "logit_bias": {}, "user": "u", "top_k": -1}),
            json!({"stop": "x", "response_format": {"type": "text"}, "seed": -5, "temperature": 0}),
        ] {
            assert!(common(fine.clone()).sampling().is_ok(), "{fine}");
        }
        assert_eq!(common(json!({"stop": ["a", ""]})).sampling().unwrap().stop, ["a"]);
    }

    #[test]
    fn prompt_and_answer_must_fit_together() {
        assert_eq!(room(10, None, 16), Ok(6));
        assert_eq!(room(10, Some(6), 16), Ok(6));
        assert_eq!(room(16, Some(0), 16), Ok(0));
        for (prompt, asked) in [(10, Some(7)), (16, None), (17, Some(0)), (3, Some(usize::MAX))] {
            let refusal = room(prompt, asked, 16).unwrap_err();
            assert_eq!((refusal.status, &refusal.body()["error"]["code"]), (400, &json!("context_length_exceeded")));
        }
    }

    #[test]
    fn content_may_come_in_parts() {
        let read = |value: Value| serde_json::from_value::<SentMessage>(value).unwrap().read();
        let parts = json!([{"type": "text", "text": "债"}, {"type": "text", "text": "券"}]);
        assert_eq!(read(json!({"role": "user", "content": parts})).unwrap().content, "债券");
        let system = read(json!({"role": "developer", "content": "x"})).unwrap();
        assert_eq!(system.role, crate::prompt::Role::System);
        for wrong in [
            json!({"role": "wizard", "content": "x"}),
            json!({"role": "user", "content": 7}),
            json!({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}),
        ] {
            assert!(read(wrong).is_err());
        }
    }
}
