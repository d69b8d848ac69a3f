//! An answer under way, as text: tokens become pieces of whole characters, and what belongs to a text that ends the
//! answer is never given out.

use super::models::Served;
use super::refusal::Refusal;
use crate::infer::{Answering, Chosen, End, Order, Scheduler, Told};
use crate::model::DecodeStream;
use crate::prompt::StopWatch;
use std::sync::Arc;
use std::time::Duration;

/// How often a wait looks whether the client is still there.
const LOOK: Duration = Duration::from_millis(50);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// Nobody wants it any more: the client is gone, or the server closes.
    Gone,
    /// It failed.
    Refused(Refusal),
}

impl<E: Into<Refusal>> From<E> for Broken {
    fn from(error: E) -> Broken {
        Broken::Refused(error.into())
    }
}

/// A token and the text that it completes; empty when a character goes on in the next token.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) chosen: Chosen,
}

/// A stretch of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    /// The tokens that it is made of.
    pub(super) tokens: Vec<Token>,
}

/// An answer under way. Dropping it gives it up.
pub(super) struct Reply<'m> {
    answering: Answering,
    decoder: Option<DecodeStream<'m>>,
    watch: StopWatch,
    /// Tokens whose text is held back, and the place in the answer where each begins.
    held: Vec<(usize, Token)>,
    /// Bytes of text that the tokens so far make.
    made: usize,
    /// Bytes of text given out.
    given: usize,
    /// The prompt's tokens from the second on, when they are watched.
    pub(super) scored: Vec<Chosen>,
    pub(super) prompt_tokens: usize,
    pub(super) reused: usize,
    pub(super) tokens: usize,
    pub(super) end: Option<End>,
}

impl<'m> Reply<'m> {
    /// Hands in the order.
    pub(super) fn order(scheduler: &Scheduler, model: &'m Arc<Served>, order: Order) -> Result<Reply<'m>, Refusal> {
        let (prompt_tokens, stops) = (order.prompt.len(), order.sampling.stop.clone());
        Ok(Reply {
            answering: scheduler.submit(&model.engine, order)?,
            decoder: Some(model.tokenizer.decode_stream()),
            watch: StopWatch::new(&stops),
            held: Vec::new(),
            made: 0,
            given: 0,
            scored: Vec::new(),
            prompt_tokens,
            reused: 0,
            tokens: 0,
            end: None,
        })
    }

    /// Waits until the prompt is read.
    pub(super) fn wait_for_prompt(&mut self, is_gone: &dyn Fn() -> bool) -> Result<(), Broken> {
        loop {
            match self.told(is_gone)? {
                Told::Read { reused, scored } => {
                    (self.reused, self.scored) = (reused, scored);
                    return Ok(());
                }
                Told::Failed(error) => return Err(error.into()),
                Told::Token(_) | Told::Ended(_) => {}
            }
        }
    }

    /// The next piece; `None` when the answer is complete.
    pub(super) fn next(&mut self, is_gone: &dyn Fn() -> bool) -> Result<Option<Piece>, Broken> {
        while self.end.is_none() {
            let piece = match self.told(is_gone)? {
                Told::Read { reused, scored } => {
                    (self.reused, self.scored) = (reused, scored);
                    continue;
                }
                Told::Failed(error) => return Err(error.into()),
                Told::Token(chosen) => {
                    self.tokens += 1;
                    let Some(decoder) = &mut self.decoder else { continue };
                    let text = decoder.step(chosen.id)?.unwrap_or_default();
                    let sure = self.watch.push(&text);
                    self.hold(Token { text, chosen });
                    let met = self.watch.met();
                    if met {
                        self.end = Some(End::Stopped);
                    }
                    self.give(sure, met)
                }
                Told::Ended(end) => {
                    self.end = Some(end);
                    let rest = self.decoder.take().map(DecodeStream::finish).transpose()?.unwrap_or_default();
                    let mut sure = self.watch.push(&rest);
                    if let Some((_, last)) = self.held.last_mut() {
                        last.text.push_str(&rest);
                    }
                    self.made += rest.len();
                    let met = self.watch.met();
                    sure.push_str(&std::mem::take(&mut self.watch).finish());
                    self.give(sure, met)
                }
            };
            if piece != Piece::default() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// The whole answer.
    pub(super) fn rest(&mut self, is_gone: &dyn Fn() -> bool) -> Result<Piece, Broken> {
        let mut whole = Piece::default();
        while let Some(piece) = self.next(is_gone)? {
            whole.text.push_str(&piece.text);
            whole.tokens.extend(piece.tokens);
        }
        Ok(whole)
    }

    /// The word for how it ended.
    pub(super) fn finish_reason(&self) -> Option<&'static str> {
        self.end.map(|end| match end {
            End::Stopped => "stop",
            End::Length => "length",
        })
    }

    fn told(&self, is_gone: &dyn Fn() -> bool) -> Result<Told, Broken> {
        loop {
            if let Some(told) = self.answering.next(LOOK)? {
                return Ok(told);
            }
            if is_gone() {
                return Err(Broken::Gone);
            }
        }
    }

    fn hold(&mut self, token: Token) {
        let start = self.made;
        self.made += token.text.len();
        self.held.push((start, token));
    }

    /// `text` with the tokens that are wholly given out with it; parts of a character go with its last part. When a text
    /// that ends answers was met (`cut`), tokens from its beginning on are no part of the answer.
    fn give(&mut self, text: String, cut: bool) -> Piece {
        self.given += text.len();
        let given = self.given;
        let count = if cut {
            self.held.iter().take_while(|(start, _)| *start < given).count()
        } else if self.end.is_some() {
            self.held.len()
        } else {
            let whole = self.held.iter().rposition(|(start, t)| !t.text.is_empty() && start + t.text.len() <= given);
            whole.map_or(0, |last| last + 1)
        };
        Piece { text, tokens: self.held.drain(..count).map(|(_, token)| token).collect() }
    }
}
