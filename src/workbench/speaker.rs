//! Someone who answers conversations piece by piece: a model of this machine or of a server.

use super::{LoadedAdapter, LoadedModel};
use crate::error::{Error, Kind, Result};
use crate::infer::{End, Engine, Sampling, Session, Watch};
use crate::job::CancelToken;
use crate::model::Tokenizer;
use crate::prompt::{Message, Renderer, StopWatch, Template};
use crate::remote::{PlainText, RemoteModel};
use crate::tr;
use serde::Serialize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The model ended it, or a text that ends answers was met.
    Stop,
    /// It has as many tokens as were allowed, or the context is full.
    Length,
    /// The listener had enough.
    Interrupted,
}

impl From<Option<End>> for Ending {
    fn from(end: Option<End>) -> Ending {
        match end {
            Some(End::Stopped) => Ending::Stop,
            Some(End::Length) => Ending::Length,
            None => Ending::Interrupted,
        }
    }
}

/// An answer that was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoken {
    /// The text, as far as it came.
    pub text: String,
    /// How it ended.
    pub ending: Ending,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens of the prompt that did not have to be read again.
    pub reused_tokens: usize,
    /// Tokens of the answer.
    pub tokens: usize,
    /// Until the first piece was heard; the whole time when none was.
    pub first: Duration,
    /// The whole time.
    pub total: Duration,
}

impl Spoken {
    /// Tokens per second after the first one; `None` when there are too few to tell.
    pub fn tokens_per_second(&self) -> Option<f64> {
        let seconds = self.total.saturating_sub(self.first).as_secs_f64();
        (self.tokens > 1 && seconds > 0.0).then(|| (self.tokens - 1) as f64 / seconds)
    }
}

/// Hears an answer while it is written, and may end it.
pub type Hear<'h> = &'h mut dyn FnMut(&str) -> ControlFlow<()>;

/// Someone to talk to. Several may speak at once, each on a thread of its own.
pub trait Speaker: Send {
    /// What it is called.
    fn name(&self) -> &str;

    /// The most tokens that a conversation may have; `None` where only a server knows.
    fn context(&self) -> Option<usize> {
        None
    }

    /// Tokens of the prompt that `messages` make; `None` where only a server knows.
    ///
    /// # Errors
    /// Those of the template.
    fn prompt_tokens(&self, messages: &[Message]) -> Result<Option<usize>> {
        let _ = messages;
        Ok(None)
    }

    /// Answers `messages`, which end with a question. `hear` gets the text in pieces of whole characters; when it or
    /// `cancel` ends the answer, that is no failure.
    ///
    /// # Errors
    /// `InvalidInput` when the conversation is longer than the context; those of the template and the model.
    fn speak(
        &mut self,
        messages: &[Message],
        sampling: &Sampling,
        hear: Hear<'_>,
        cancel: &CancelToken,
    ) -> Result<Spoken>;
}

/// Tokens of a prompt between two looks at the cancel token.
const READ_AT_ONCE: usize = 512;

/// A model on this machine. It remembers what it read last, so a conversation's next turn costs what is new in it.
pub struct LocalSpeaker {
    name: String,
    engine: Engine,
    tokenizer: Arc<Tokenizer>,
    template: Template,
    session: Session,
}

impl LocalSpeaker {
    /// `template` is the adapter's own, or else the model's, when it is `None`.
    ///
    /// # Errors
    /// `Unsupported` when the model has no chat template and none was named; those of the renderer.
    pub fn new(
        model: &LoadedModel,
        adapter: Option<&LoadedAdapter>,
        template: Option<Template>,
    ) -> Result<LocalSpeaker> {
        let template = template.or_else(|| adapter.and_then(|a| a.template)).unwrap_or(Template::Chat);
        // Asked for here, so that a model without a template is refused before the first question.
        Renderer::new(template, &*model.tokenizer)?;
        Ok(LocalSpeaker {
            name: adapter.map_or_else(|| model.name.clone(), |a| format!("{}+{}", model.name, a.name)),
            engine: model.engine(adapter, template)?,
            tokenizer: Arc::clone(&model.tokenizer),
            template,
            session: Session::default(),
        })
    }

    /// The template in use.
    pub fn template(&self) -> Template {
        self.template
    }

    fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>> {
        Ok(Renderer::new(self.template, &*self.tokenizer)?.prompt(messages)?.1)
    }
}

impl Speaker for LocalSpeaker {
    fn name(&self) -> &str {
        &self.name
    }

    fn context(&self) -> Option<usize> {
        Some(self.engine.context())
    }

    fn prompt_tokens(&self, messages: &[Message]) -> Result<Option<usize>> {
        Ok(Some(self.prompt(messages)?.len()))
    }

    fn speak(
        &mut self,
        messages: &[Message],
        sampling: &Sampling,
        hear: Hear<'_>,
        cancel: &CancelToken,
    ) -> Result<Spoken> {
        sampling.check()?;
        let prompt = self.prompt(messages)?;
        let prompt_tokens = prompt.len();
        let mut telling = Telling::new(hear, &sampling.stop);
        let mut writing = self.engine.begin(std::mem::take(&mut self.session), prompt, sampling, Watch::default())?;
        while writing.is_reading() && !cancel.is_cancelled() {
            self.engine.read(&mut writing, READ_AT_ONCE)?;
        }
        let mut pieces = self.tokenizer.decode_stream();
        let mut tokens = 0;
        let end = loop {
            if cancel.is_cancelled() {
                break None;
            }
            if let Some(chosen) = writing.last() {
                tokens += 1;
                if let Some(text) = pieces.step(chosen.id)?
                    && telling.tell(&text).is_break()
                {
                    break telling.met().then_some(End::Stopped);
                }
            }
            if let Some(end) = writing.end() {
                let rest = pieces.finish()?;
                _ = telling.tell(&rest);
                break Some(end);
            }
            self.engine.step(&mut [&mut writing])?;
        };
        let reused_tokens = writing.reused();
        self.session = writing.into_session();
        Ok(Spoken { prompt_tokens, reused_tokens, tokens, ..telling.spoken(end) })
    }
}

/// A server's model.
pub struct RemoteSpeaker {
    name: String,
    model: RemoteModel,
}

impl RemoteSpeaker {
    /// `model` is asked in conversations; its server's template makes the prompt.
    pub fn new(model: &RemoteModel) -> RemoteSpeaker {
        RemoteSpeaker { name: model.name(), model: model.clone().asked_in_conversations(true) }
    }
}

impl Speaker for RemoteSpeaker {
    fn name(&self) -> &str {
        &self.name
    }

    fn speak(
        &mut self,
        messages: &[Message],
        sampling: &Sampling,
        hear: Hear<'_>,
        cancel: &CancelToken,
    ) -> Result<Spoken> {
        sampling.check()?;
        if sampling.repetition_penalty != 1.0 || sampling.top_k != 0 || sampling.min_p != 0.0 {
            return Err(Error::new(
                Kind::Usage,
                tr!(
                    "the protocol of servers has neither top-k nor min-p nor a repetition penalty",
                    "服务器协议不支持 top-k、min-p 与重复惩罚"
                ),
            )
            .hint(tr!("leave these flags out", "请去掉这些选项")));
        }
        let prompt = serde_json::to_string(messages).map_err(|e| Error::internal(e.to_string()))?;
        // The stream watches for the texts that end an answer by itself.
        let mut telling = Telling::new(hear, &[]);
        let mut pass_on = |text: &str| telling.tell(text);
        let streamed = self.model.stream(&PlainText::ids(&prompt), sampling, &mut pass_on, cancel)?;
        let (prompt_tokens, tokens) = (streamed.prompt_tokens as usize, streamed.tokens as usize);
        Ok(Spoken { prompt_tokens, tokens, ..telling.spoken(streamed.end) })
    }
}

/// Tells a listener an answer without the text that ends it, and notes text and times.
struct Telling<'h> {
    hear: Hear<'h>,
    watch: StopWatch,
    text: String,
    started: Instant,
    first: Option<Duration>,
}

impl<'h> Telling<'h> {
    fn new(hear: Hear<'h>, stops: &[String]) -> Telling<'h> {
        Telling { hear, watch: StopWatch::new(stops), text: String::new(), started: Instant::now(), first: None }
    }

    fn tell(&mut self, piece: &str) -> ControlFlow<()> {
        let sure = self.watch.push(piece);
        self.pass_on(&sure)?;
        if self.watch.met() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn pass_on(&mut self, text: &str) -> ControlFlow<()> {
        if text.is_empty() {
            return ControlFlow::Continue(());
        }
        self.first.get_or_insert_with(|| self.started.elapsed());
        self.text.push_str(text);
        (self.hear)(text)
    }

    fn met(&self) -> bool {
        self.watch.met()
    }

    /// The answer, its numbers of tokens still to be filled in.
    fn spoken(mut self, end: Option<End>) -> Spoken {
        let end = if self.watch.met() { Some(End::Stopped) } else { end };
        if end.is_some() {
            let rest = std::mem::take(&mut self.watch).finish();
            _ = self.pass_on(&rest);
        }
        let total = self.started.elapsed();
        Spoken {
            text: self.text,
            ending: end.into(),
            prompt_tokens: 0,
            reused_tokens: 0,
            tokens: 0,
            first: self.first.unwrap_or(total),
            total,
        }
    }
}
