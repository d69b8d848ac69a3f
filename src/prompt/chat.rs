//! A model's own chat template.

use super::message::{Message, Role};
use super::python;
use crate::error::{Error, Kind, Result};
use crate::tr;
use minijinja::value::Serde;
use minijinja::{Environment, context};

/// Where an answer stands in a rendered conversation, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Where the model begins to write: the end of the prompt.
    pub start: usize,
    /// Where the answer's text ends and the turn's end marker begins.
    pub text_end: usize,
    /// Where the end marker ends.
    pub end: usize,
}

/// A compiled Jinja chat template. Renders what transformers' `apply_chat_template` renders.
pub struct ChatTemplate {
    env: Environment<'static>,
    bos: Option<String>,
    eos: String,
    /// What the template writes after an answer, up to and including the token that ends it.
    end_marker: String,
    /// Whether the template writes what a tool returned. Many know no such role, and some of those leave the turn out.
    writes_tools: bool,
}

const NAME: &str = "chat";

/// Stands for an answer when the template is probed: a private-use character, which no template writes.
const PROBE: &str = "\u{e0ff}";

impl ChatTemplate {
    /// Compiles `source`. `bos` and `eos` are the texts of those tokens.
    ///
    /// # Errors
    /// `InvalidInput` when it is no valid template or cannot render a question with an answer.
    pub fn new(source: &str, bos: Option<&str>, eos: &str) -> Result<ChatTemplate> {
        let mut env = python::environment();
        env.add_template_owned(NAME, python::without_generation_tags(source)).map_err(|e| {
            Error::new(
                Kind::InvalidInput,
                tr!("the model's chat template cannot be read: {}", "无法解析模型的对话模板：{}", describe(&e)),
            )
            .hint(tr!("choose another template with --template", "请用 --template 选择其他模板"))
        })?;
        let mut template = ChatTemplate {
            env,
            bos: bos.map(str::to_owned),
            eos: eos.to_owned(),
            end_marker: String::new(),
            writes_tools: true,
        };
        template.end_marker = template.probe_end()?;
        template.writes_tools = template.probe_tool();
        Ok(template)
    }

    /// The text of `messages`; with `add_generation_prompt` it ends where the next answer begins.
    ///
    /// # Errors
    /// `InvalidInput` with the template's own words when it refuses the messages; `Unsupported` for a tool's turn when it
    /// has no place for one.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        if !self.writes_tools && messages.iter().any(|message| message.role == Role::Tool) {
            return Err(Error::new(
                Kind::Unsupported,
                tr!(
                    "the model's chat template has no place for what a tool returned",
                    "模型的对话模板没有工具返回内容的位置"
                ),
            )
            .hint(tr!("choose another template with --template", "请用 --template 选择其他模板")));
        }
        let values = context! {
            messages => Serde(messages),
            add_generation_prompt,
            tools => (),
            documents => (),
            eos_token => self.eos.as_str(),
            ..match &self.bos {
                Some(bos) => context! { bos_token => bos },
                None => context! {},
            }
        };
        self.env.get_template(NAME).and_then(|t| t.render(values)).map_err(|e| {
            Error::new(
                Kind::InvalidInput,
                tr!("the model's chat template refuses this conversation: {}", "模型的对话模板不接受这段对话：{}", describe(&e)),
            )
            .hint(tr!(
                "change the conversation (some models take no system message), or choose another template with --template",
                "请修改对话（有的模型不接受 system 消息），或用 --template 选择其他模板"
            ))
        })
    }

    /// What stands between an answer and the end of its turn: found once, by the place of a
    /// character that stands in for the answer.
    fn probe_end(&self) -> Result<String> {
        let messages = [Message::new(Role::User, "?"), Message::new(Role::Assistant, PROBE)];
        let text = self.render(&messages, false)?;
        let Some(at) = text.rfind(PROBE) else {
            return Err(Error::new(
                Kind::InvalidInput,
                tr!(
                    "the model's chat template leaves out the assistant's answer",
                    "模型的对话模板没有写出 assistant 的回答"
                ),
            )
            .hint(tr!("choose another template with --template", "请用 --template 选择其他模板")));
        };
        let tail = text.get(at + PROBE.len()..).unwrap_or_default();
        let end = match tail.find(&self.eos) {
            Some(eos) if !self.eos.is_empty() => eos + self.eos.len(),
            // Some models end a turn with a token of its own, not with the one named as EOS.
            _ => tail.trim_end().len(),
        };
        Ok(tail.get(..end).unwrap_or_default().to_owned())
    }

    fn probe_tool(&self) -> bool {
        let turns = [(Role::User, "?"), (Role::Assistant, "!"), (Role::Tool, PROBE), (Role::Assistant, "!")];
        let messages = turns.map(|(role, text)| Message::new(role, text));
        self.render(&messages, false).is_ok_and(|text| text.contains(PROBE))
    }

    /// What ends an answer; empty when the template writes nothing there.
    pub(super) fn end_marker(&self) -> &str {
        &self.end_marker
    }

    /// The text of the whole conversation and where each of its answers stands. Each answer's start
    /// is the length of the prompt that a model would see at that point. The place of an answer is a
    /// `Mismatch` when that prompt is not how the whole conversation begins, or the template
    /// rewrites the answer.
    ///
    /// # Errors
    /// Those of [`ChatTemplate::render`].
    pub(super) fn render_with_answers(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<(String, Vec<Result<Span>>)> {
        let text = self.render(messages, add_generation_prompt)?;
        let mut spans = Vec::new();
        for (i, message) in messages.iter().enumerate().filter(|(_, m)| m.role == Role::Assistant) {
            let prompt = self.render(messages.get(..i).unwrap_or_default(), true)?;
            let agrees = text.starts_with(&prompt);
            let span = if agrees { self.span(&text, prompt.len(), &message.content) } else { None };
            spans.push(span.ok_or_else(|| unlike(spans.len() + 1, agrees)));
        }
        Ok((text, spans))
    }

    fn span(&self, text: &str, start: usize, answer: &str) -> Option<Span> {
        let rest = text.get(start..)?;
        let marker = self.end_marker.as_str();
        let ends_at = |end: usize| rest.get(end..).is_some_and(|tail| tail.starts_with(marker));
        // As it is, or without the blanks around it, which many templates remove.
        let shapes = [answer, answer.trim_end(), answer.trim_start(), answer.trim()];
        let at_start = shapes.iter().find(|s| rest.starts_with(**s) && ends_at(s.len())).map(|s| s.len());
        // Or after something that the template puts before it and not into the prompt (an empty
        // thought): the model has to write that too.
        let behind = |shape: &&str| rest.match_indices(shape).map(|(at, _)| at + shape.len()).find(|&end| ends_at(end));
        let text_end = at_start.or_else(|| shapes.iter().find_map(behind))?;
        Some(Span { start, text_end: start + text_end, end: start + text_end + marker.len() })
    }
}

fn unlike(turn: usize, prompt_agrees: bool) -> Error {
    let message = if prompt_agrees {
        tr!(
            "the model's chat template rewrites answer {turn} of the conversation",
            "模型的对话模板改写了对话的第 {turn} 个回答"
        )
    } else {
        tr!(
            "the model's chat template writes the prompt of answer {turn} in another way once the answer is there",
            "有了第 {turn} 个回答之后，模型的对话模板写出的提示与推理时不同"
        )
    };
    Error::new(Kind::Mismatch, message).hint(tr!(
        "a model trained so would never see its training prompts again: supervise the last answer only (--loss-on last), or choose another template with --template",
        "这样训练的模型在推理时见不到训练时的提示：请只监督最后一个回答（--loss-on last），或用 --template 选择其他模板"
    ))
}

/// The template's own words, without the chain of causes that repeats them.
fn describe(error: &minijinja::Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) => tr!("{what} (line {line} of the template)", "{what}（模板第 {line} 行）"),
        None => what,
    }
}
