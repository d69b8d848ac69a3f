//! Models of servers, as examinees and as contestants.

use super::{Examinee, Provenance};
use crate::arena::Contestant;
use crate::error::{Error, Result};
use crate::eval::ChatRenderer;
use crate::infer::{LanguageModel, Sampling};
use crate::job::CancelToken;
use crate::prompt::{Message, Renderer, Role, Template};
use crate::remote::{Options, PlainText, RemoteModel};
use std::collections::BTreeMap;

/// Gives `job` a server's model as an examinee. Conversations of the template `chat` go to the server as messages, for
/// its own template; those of another template, and plain text, go as text.
///
/// # Errors
/// Those of the renderer and of `job`.
pub fn with_remote_examinee<T>(
    model: &RemoteModel,
    template: Option<Template>,
    job: impl FnOnce(&Examinee<'_>) -> Result<T>,
) -> Result<T> {
    let conversations = template == Some(Template::Chat);
    let renderer = template.filter(|t| *t != Template::Chat).map(|t| Renderer::new(t, &PlainText)).transpose()?;
    let render = move |messages: &[Message]| match &renderer {
        Some(renderer) => Ok(renderer.prompt(messages)?.0),
        None => messages_as_text(messages),
    };
    job(&Examinee {
        provenance: Provenance {
            model: model.name(),
            model_hash: model.identity(),
            flags: server_flags(model.options()),
            ..Provenance::default()
        },
        model: &model.clone().asked_in_conversations(conversations),
        tokenizer: &PlainText,
        chat: template.map(|_| &render as &ChatRenderer<'_>),
    })
}

/// The flags of `run` that `options` came from, without those that say what is usual.
fn server_flags(options: &Options) -> BTreeMap<String, String> {
    let usual = Options::default();
    let flag = |name: &str, value: String, is_usual: bool| (!is_usual).then(|| (name.to_owned(), value));
    [
        flag("--concurrency", options.concurrency.to_string(), options.concurrency == usual.concurrency),
        options.per_minute.and_then(|n| flag("--rate-limit", n.to_string(), false)),
        flag("--timeout", options.timeout.as_secs().to_string(), options.timeout == usual.timeout),
        flag("--retries", options.retries.to_string(), options.retries == usual.retries),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What [`RemoteModel`] takes for a conversation.
fn messages_as_text(messages: &[Message]) -> Result<String> {
    serde_json::to_string(messages).map_err(|e| Error::internal(e.to_string()))
}

/// A server's model in the arena.
pub struct RemoteContestant {
    label: String,
    model: RemoteModel,
    sampling: Sampling,
    cancel: CancelToken,
}

impl RemoteContestant {
    /// `model` is rated under its address.
    pub fn new(model: &RemoteModel, sampling: Sampling, cancel: CancelToken) -> RemoteContestant {
        RemoteContestant { label: model.name(), model: model.clone().asked_in_conversations(true), sampling, cancel }
    }
}

impl Contestant for RemoteContestant {
    fn name(&self) -> &str {
        &self.label
    }

    fn answer(&mut self, question: &str) -> Result<String> {
        let answers = self.answers(&[question.to_owned()])?;
        answers.into_iter().next().ok_or_else(|| Error::internal("an answer for a question"))
    }

    fn answers(&mut self, questions: &[String]) -> Result<Vec<String>> {
        let prompts = questions
            .iter()
            .map(|q| Ok(PlainText::ids(&messages_as_text(&[Message::new(Role::User, q.as_str())])?)))
            .collect::<Result<Vec<_>>>()?;
        let generations = self.model.generate(&prompts, &self.sampling, &mut |_, _| {}, &self.cancel)?;
        Ok(generations.iter().map(|g| PlainText::text(&g.tokens).trim().to_owned()).collect())
    }
}
