//! A conversation as templates take it: a system message and question–answer turns.

use super::message::{Message, Role};
use crate::data::Example;
use crate::error::{Error, Kind, Result};
use crate::tr;

/// A question and, except for the one that is being asked, its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn<'e> {
    pub instruction: &'e str,
    /// Empty in most rows.
    pub input: &'e str,
    pub answer: Option<&'e str>,
    /// Whether the instruction is what a tool returned.
    pub by_tool: bool,
}

/// A whole conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conversation<'e> {
    /// Empty for the template's own.
    pub system: String,
    pub turns: Vec<Turn<'e>>,
}

impl<'e> Conversation<'e> {
    /// The row's earlier turns and then its own, with the answer.
    pub fn of_example(e: &'e Example) -> Conversation<'e> {
        let by_tool = |turn: usize| e.tool_turns.contains(&turn);
        let earlier = e.history.iter().enumerate();
        let earlier =
            earlier.map(|(i, (q, a))| Turn { instruction: q, input: "", answer: Some(a), by_tool: by_tool(i) });
        let own = Turn {
            instruction: &e.instruction,
            input: &e.input,
            answer: Some(&e.output),
            by_tool: by_tool(e.history.len()),
        };
        Conversation { system: e.system_text().into_owned(), turns: earlier.chain([own]).collect() }
    }

    /// Messages that end with a question.
    ///
    /// # Errors
    /// `InvalidInput` when they do not alternate, or end with an answer.
    pub fn of_messages(messages: &'e [Message]) -> Result<Conversation<'e>> {
        let systems = messages.iter().take_while(|m| m.role == Role::System).count();
        let (system, rest) = messages.split_at(systems);
        let system: Vec<&str> = system.iter().map(|m| m.content.as_str()).collect();
        let mut turns: Vec<Turn<'e>> = Vec::new();
        for message in rest {
            let first = turns.is_empty();
            let open = turns.last_mut().filter(|turn| turn.answer.is_none());
            let by_tool = message.role == Role::Tool;
            match (message.role, open) {
                (Role::User | Role::Tool, None) if !by_tool || !first => {
                    turns.push(Turn { instruction: &message.content, input: "", answer: None, by_tool });
                }
                (Role::Assistant, Some(turn)) => turn.answer = Some(&message.content),
                _ => return Err(out_of_order()),
            }
        }
        match turns.last() {
            Some(Turn { answer: None, .. }) => Ok(Conversation { system: system.join("\n\n"), turns }),
            _ => Err(out_of_order()),
        }
    }

    /// The same conversation without its last answer.
    pub fn without_last_answer(mut self) -> Conversation<'e> {
        if let Some(turn) = self.turns.last_mut() {
            turn.answer = None;
        }
        self
    }

    /// As the messages of a chat template. Such templates have no place for an input: it follows its
    /// instruction on a new line.
    pub fn messages(&self) -> Vec<Message> {
        let mut messages = Vec::with_capacity(2 * self.turns.len() + 1);
        if !self.system.is_empty() {
            messages.push(Message::new(Role::System, self.system.as_str()));
        }
        for turn in &self.turns {
            let join = if turn.input.is_empty() { "" } else { "\n" };
            let role = if turn.by_tool { Role::Tool } else { Role::User };
            messages.push(Message::new(role, format!("{}{join}{}", turn.instruction, turn.input)));
            if let Some(answer) = turn.answer {
                messages.push(Message::new(Role::Assistant, answer));
            }
        }
        messages
    }
}

fn out_of_order() -> Error {
    Error::new(
        Kind::InvalidInput,
        tr!(
            "the messages do not alternate between user and assistant, or do not end with the user",
            "消息没有按 user/assistant 交替，或最后一条不是 user"
        ),
    )
    .hint(tr!(
        "give system messages first, then user and assistant in turn, and a user message at the end",
        "请先给 system，再依次交替 user 与 assistant，最后以 user 结束"
    ))
}
