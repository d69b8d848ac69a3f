//! Conversations as token ids with the loss mask, and as prompts.
//!
//! A rendering is a list of pieces in order: text that the model reads, text that it learns to
//! write, ends of answers. Text and mask are both made from that one list. Each piece is tokenised
//! on its own, because a token that spans the border between question and answer would be learnt
//! in a form that no prompt can end with; so a training row begins with exactly the ids of its prompt.

use super::chat::ChatTemplate;
use super::message::Message;
use super::preview::PreviewTurn;
use super::template::{Layout, Template};
use super::tokenize::Tokenize;
use super::turns::Conversation;
use crate::data::{Example, hex};
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Raised whenever the same template and row come out differently than before, so that results of
/// before and after are told apart.
const BEHAVIOUR: u32 = 1;

/// A row ready to be trained on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Whether token `i` is supervised, that is, carries loss when it is predicted.
    pub mask: Vec<bool>,
    /// The same as text.
    pub text: String,
}

/// A stretch of a rendering.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    text: String,
    /// Whether an assistant wrote it.
    answer: bool,
    /// Whether it is the end-of-sequence token rather than a text to tokenise.
    eos: bool,
    /// The turn it belongs to.
    turn: usize,
}

/// Which answers of a conversation are learnt. Nobody else's turn ever is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossOn {
    /// Every answer.
    #[default]
    All,
    /// The last one; earlier ones are only read.
    Last,
}

impl LossOn {
    /// Reads `--loss-on`.
    ///
    /// # Errors
    /// `Usage` that lists the names.
    pub fn parse(name: &str) -> Result<LossOn> {
        match name {
            "all" => Ok(LossOn::All),
            "last" => Ok(LossOn::Last),
            other => {
                let other = other.escape_default();
                Err(Error::new(Kind::Usage, tr!("unknown --loss-on `{other}`", "未知的 --loss-on `{other}`")).hint(
                    tr!(
                        "use all (every answer of a conversation) or last (earlier turns are only read)",
                        "可用 all（对话中的每个回答）或 last（之前的轮次只读不学）"
                    ),
                ))
            }
        }
    }
}

enum Source {
    Chat(Box<ChatTemplate>),
    Plain(&'static Layout),
}

/// Renders conversations for one model with one template.
pub struct Renderer<'a> {
    template: Template,
    source: Source,
    tokenizer: &'a dyn Tokenize,
    /// What the tokenizer puts before every text by itself (BOS). A chat template writes its own.
    leading: Vec<u32>,
    loss_on: LossOn,
}

impl<'a> Renderer<'a> {
    /// A renderer of `template` for the model of `tokenizer`.
    ///
    /// # Errors
    /// `Unsupported` when the model's own template is asked for and it has none, `InvalidInput` when that cannot be read.
    pub fn new(template: Template, tokenizer: &'a dyn Tokenize) -> Result<Self> {
        let source = match (template.layout(), tokenizer.chat_template()) {
            (Some(layout), _) => Source::Plain(layout),
            (None, Some(jinja)) => {
                Source::Chat(Box::new(ChatTemplate::new(jinja, tokenizer.bos_text(), tokenizer.eos_text())?))
            }
            (None, None) => {
                return Err(Error::new(
                    Kind::Unsupported,
                    tr!("this model has no chat template of its own", "该模型没有自带的对话模板"),
                )
                .hint(tr!(
                    "choose one with --template, for example alpaca or cornucopia",
                    "请用 --template 选择，例如 alpaca 或 cornucopia"
                )));
            }
        };
        let leading = match source {
            Source::Chat(_) => Vec::new(),
            Source::Plain(_) => leading_tokens(tokenizer)?,
        };
        Ok(Renderer { template, source, tokenizer, leading, loss_on: LossOn::All })
    }

    /// Which answers of a conversation are supervised; every one unless this is called.
    #[must_use]
    pub fn loss_on(mut self, which: LossOn) -> Self {
        self.loss_on = which;
        self
    }

    /// The template in use.
    pub fn template(&self) -> Template {
        self.template
    }

    /// A row for training. Every answer is supervised together with the token that ends it; what a
    /// template writes after that token is not.
    ///
    /// # Errors
    /// `InvalidInput` when the row has no answer to learn, `Mismatch` when the chat template
    /// contradicts itself (see [`ChatTemplate`]).
    pub fn example(&self, e: &Example) -> Result<Rendered> {
        if e.is_text() {
            return Err(no_question(e));
        }
        let conversation = Conversation::of_example(e);
        let last = conversation.turns.len().saturating_sub(1);
        let mut out = Rendered { ids: self.leading.clone(), ..Rendered::default() };
        out.mask.resize(out.ids.len(), false);
        let mut learnt = 0;
        for piece in self.pieces(&conversation)? {
            let ids = self.encode(&piece)?;
            let supervised = self.supervises(&piece, last);
            if supervised && piece.turn == last && !piece.eos {
                learnt += ids.len();
            }
            out.mask.resize(out.mask.len() + ids.len(), supervised);
            out.ids.extend(ids);
            out.text.push_str(&piece.text);
        }
        if learnt == 0 || e.output.trim().is_empty() {
            return Err(nothing_to_learn(e));
        }
        Ok(out)
    }

    /// The text of [`Renderer::example`] in stretches, each with whether it is supervised.
    ///
    /// # Errors
    /// As [`Renderer::example`].
    pub fn stretches(&self, e: &Example) -> Result<Vec<(String, bool)>> {
        let conversation = Conversation::of_example(e);
        let last = conversation.turns.len().saturating_sub(1);
        let mut stretches: Vec<(String, bool)> = Vec::new();
        for piece in self.pieces(&conversation)? {
            let supervised = self.supervises(&piece, last);
            match stretches.last_mut() {
                Some((text, same)) if *same == supervised => text.push_str(&piece.text),
                _ => stretches.push((piece.text, supervised)),
            }
        }
        Ok(stretches)
    }

    /// The answers of the row `e`, in order.
    ///
    /// # Errors
    /// As [`Renderer::example`].
    pub fn answers(&self, e: &Example) -> Result<Vec<PreviewTurn>> {
        let conversation = Conversation::of_example(e);
        let last = conversation.turns.len().saturating_sub(1);
        let stops = self.stop_ids()?;
        let mut turns: Vec<PreviewTurn> = Vec::new();
        for piece in self.pieces(&conversation)?.iter().filter(|piece| piece.answer) {
            let (ids, learnt) = (self.encode(piece)?, self.supervises(piece, last));
            match turns.last_mut().filter(|turn| turn.turn == piece.turn) {
                Some(turn) => {
                    turn.tokens += ids.len();
                    turn.ends |= ids.iter().any(|id| stops.contains(id));
                }
                // An end within the answer's own text ends nothing.
                None => turns.push(PreviewTurn { turn: piece.turn, tokens: ids.len(), learnt, ends: piece.eos }),
            }
        }
        Ok(turns)
    }

    fn supervises(&self, piece: &Piece, last: usize) -> bool {
        piece.answer && (piece.turn == last || self.loss_on == LossOn::All)
    }

    /// How many tokens at the start of `row` begin every sequence (BOS) and belong to no text.
    ///
    /// # Errors
    /// Those of the tokenizer.
    pub fn leading_tokens(&self, row: &Rendered) -> Result<usize> {
        match (&self.source, self.tokenizer.bos_text()) {
            (Source::Chat(_), Some(bos)) if row.text.starts_with(bos) => {
                let bos = self.tokenizer.encode(bos, false)?;
                Ok(if row.ids.starts_with(&bos) { bos.len() } else { 0 })
            }
            (Source::Chat(_), _) => Ok(0),
            (Source::Plain(_), _) => Ok(self.leading.len()),
        }
    }

    /// Text and ids that a model is given to answer `messages`: up to where its answer begins.
    ///
    /// # Errors
    /// `InvalidInput` when the messages do not alternate or the chat template refuses them.
    pub fn prompt(&self, messages: &[Message]) -> Result<(String, Vec<u32>)> {
        self.prompt_of(&Conversation::of_messages(messages)?)
    }

    /// Text and ids that a model is given to answer the row `e` itself. Differs from
    /// [`Renderer::prompt`] for a row with an input, which some templates give a place of its own.
    ///
    /// # Errors
    /// As [`Renderer::prompt`].
    pub fn example_prompt(&self, e: &Example) -> Result<(String, Vec<u32>)> {
        self.prompt_of(&Conversation::of_example(e).without_last_answer())
    }

    fn prompt_of(&self, conversation: &Conversation<'_>) -> Result<(String, Vec<u32>)> {
        let (mut text, mut ids) = (String::new(), self.leading.clone());
        for piece in self.pieces(conversation)? {
            ids.extend(self.encode(&piece)?);
            text.push_str(&piece.text);
        }
        Ok((text, ids))
    }

    /// Tokens that end an answer: the model's own EOS and the one that the template ends a turn with.
    ///
    /// # Errors
    /// Those of the tokenizer.
    pub fn stop_ids(&self) -> Result<Vec<u32>> {
        let mut ids = vec![self.tokenizer.eos()];
        if let Source::Chat(chat) = &self.source {
            let marker = self.tokenizer.encode(chat.end_marker(), false)?;
            if let [one] = marker.as_slice()
                && !ids.contains(one)
            {
                ids.push(*one);
            }
        }
        Ok(ids)
    }

    /// Stands for everything that decides how a row comes out: the template's name and source and
    /// the version of this code.
    pub fn hash(&self) -> String {
        let mut sha = Sha256::new();
        let source = match &self.source {
            Source::Chat(_) => self.tokenizer.chat_template().unwrap_or_default().to_owned(),
            Source::Plain(layout) => format!("{layout:?}"),
        };
        let bos = self.tokenizer.bos_text().unwrap_or_default();
        for part in [self.template.name(), &source, bos, self.tokenizer.eos_text(), &BEHAVIOUR.to_string()] {
            sha.update((part.len() as u64).to_le_bytes());
            sha.update(part);
        }
        sha.update([u8::from(self.loss_on == LossOn::Last)]);
        hex(&sha.finalize())
    }

    fn encode(&self, piece: &Piece) -> Result<Vec<u32>> {
        if piece.eos { Ok(vec![self.tokenizer.eos()]) } else { self.tokenizer.encode(&piece.text, false) }
    }

    fn pieces(&self, conversation: &Conversation<'_>) -> Result<Vec<Piece>> {
        match &self.source {
            Source::Plain(layout) => Ok(self.plain_pieces(layout, conversation)),
            Source::Chat(chat) => self.chat_pieces(chat, conversation),
        }
    }

    fn plain_pieces(&self, layout: &Layout, conversation: &Conversation<'_>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (number, turn) in conversation.turns.iter().enumerate() {
            let mut text = String::new();
            if number == 0 {
                let preamble = match (conversation.system.as_str(), turn.input) {
                    ("", "") => layout.preamble,
                    ("", _) => layout.preamble_with_input,
                    (system, _) => system,
                };
                if !preamble.is_empty() {
                    text.push_str(preamble);
                    text.push_str(layout.after_preamble);
                }
            } else {
                text.push_str(layout.between);
            }
            // What a tool returned is material, not an instruction.
            let (instruction, input) =
                if turn.by_tool { ("", turn.instruction) } else { (turn.instruction, turn.input) };
            text.push_str(layout.before);
            text.push_str(instruction);
            if !input.is_empty() {
                text.push_str(layout.join);
                text.push_str(input);
            }
            text.push_str(layout.after);
            pieces.push(Piece { text, answer: false, eos: false, turn: number });
            if let Some(answer) = turn.answer {
                pieces.push(Piece { text: answer.to_owned(), answer: true, eos: false, turn: number });
                pieces.push(self.eos_piece(number));
            }
        }
        pieces
    }

    fn chat_pieces(&self, chat: &ChatTemplate, conversation: &Conversation<'_>) -> Result<Vec<Piece>> {
        let last = conversation.turns.len().saturating_sub(1);
        let open = conversation.turns.last().is_some_and(|turn| turn.answer.is_none());
        let (text, spans) = chat.render_with_answers(&conversation.messages(), open)?;
        let cut = |from: usize, to: usize| text.get(from..to).unwrap_or_default().to_owned();
        let mut pieces = Vec::new();
        let mut at = 0;
        for (turn, span) in spans.into_iter().enumerate() {
            let span = match span {
                Ok(span) => span,
                Err(e) if !open && (turn == last || self.loss_on == LossOn::All) => return Err(e),
                // An answer that is only read may be rewritten: models that think drop old thoughts.
                Err(_) => continue,
            };
            pieces.push(Piece { text: cut(at, span.start), answer: false, eos: false, turn });
            pieces.push(Piece { text: cut(span.start, span.text_end), answer: true, eos: false, turn });
            let marker = cut(span.text_end, span.end);
            if marker == self.tokenizer.eos_text() {
                pieces.push(self.eos_piece(turn));
            } else if !marker.is_empty() {
                pieces.push(Piece { text: marker, answer: true, eos: false, turn });
            } else if !open && turn == last {
                // The template ends answers with nothing; without an end the model would never stop.
                pieces.push(self.eos_piece(turn));
            }
            at = span.end;
        }
        pieces.push(Piece { text: cut(at, text.len()), answer: false, eos: false, turn: last });
        pieces.retain(|piece| !piece.text.is_empty() || piece.eos);
        Ok(pieces)
    }

    fn eos_piece(&self, turn: usize) -> Piece {
        Piece { text: self.tokenizer.eos_text().to_owned(), answer: true, eos: true, turn }
    }
}

/// What `special` adds in front: the difference between a text with and without it. A tokenizer
/// that also adds something behind (EOS) is not followed in that.
fn leading_tokens(tokenizer: &dyn Tokenize) -> Result<Vec<u32>> {
    let plain = tokenizer.encode("a", false)?;
    let mut with = tokenizer.encode("a", true)?;
    let at = with.windows(plain.len().max(1)).position(|window| window == plain).unwrap_or(0);
    with.truncate(at);
    Ok(with)
}

/// Plain text in a template would be the answer to an empty question.
fn no_question(e: &Example) -> Error {
    let start: String = e.output.chars().take(40).collect();
    Error::new(
        Kind::InvalidInput,
        tr!("the row `{start}` is plain text without a question", "数据行 `{start}` 是没有提问的纯文本"),
    )
    .hint(tr!(
        "texts are for `linly-bench pretrain`; instruction training needs questions: keep texts in a dataset of their own",
        "纯文本请用 `linly-bench pretrain`；指令微调需要提问，请把纯文本放在单独的数据集中"
    ))
}

fn nothing_to_learn(e: &Example) -> Error {
    let start: String = e.instruction.chars().take(40).collect();
    Error::new(
        Kind::InvalidInput,
        tr!("the row `{start}` has no answer token to learn", "数据行 `{start}` 没有可学习的回答"),
    )
    .hint(tr!("give it an output, or remove the row", "请补上 output，或删除该行"))
}
