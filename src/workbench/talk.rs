//! A conversation of several turns with one speaker: what was said, what still fits, what is asked again.

use super::speaker::{Hear, Speaker, Spoken};
use crate::error::{Error, Kind, Result};
use crate::infer::Sampling;
use crate::job::CancelToken;
use crate::prompt::{Message, Role};
use crate::tr;

/// A conversation under way.
pub struct Talk {
    speaker: Box<dyn Speaker>,
    system: String,
    /// Question, answer, question, answer, …
    turns: Vec<Message>,
    sampling: Sampling,
    /// How often the last question was asked.
    asked: u64,
}

/// An answer, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// The answer.
    pub spoken: Spoken,
    /// Turns at the beginning that were left out, because the context does not hold them any more.
    pub left_out: usize,
}

impl Talk {
    /// A conversation that begins with `system` (empty for the template's own).
    pub fn new(speaker: Box<dyn Speaker>, system: &str, sampling: Sampling) -> Talk {
        Talk { speaker, system: system.to_owned(), turns: Vec::new(), sampling, asked: 0 }
    }

    /// Who answers.
    pub fn speaker(&self) -> &dyn Speaker {
        &*self.speaker
    }

    /// The system message; empty for the template's own.
    pub fn system(&self) -> &str {
        &self.system
    }

    /// Another system message, from the next answer on.
    pub fn set_system(&mut self, text: &str) {
        text.clone_into(&mut self.system);
    }

    /// Forgets every turn; the system message stays.
    pub fn reset(&mut self) {
        self.turns.clear();
        self.asked = 0;
    }

    /// Forgets every turn and draws answers by another seed.
    pub fn begin_anew(&mut self, seed: u64) {
        self.reset();
        self.sampling.seed = seed;
    }

    /// Questions that were answered.
    pub fn answers(&self) -> usize {
        self.turns.len() / 2
    }

    /// Everything that was said.
    pub fn messages(&self) -> Vec<Message> {
        self.turns_from(0)
    }

    fn turns_from(&self, first: usize) -> Vec<Message> {
        let system = Some(&self.system).filter(|s| !s.is_empty()).map(|s| Message::new(Role::System, s.as_str()));
        system.into_iter().chain(self.turns[2 * first..].iter().cloned()).collect()
    }

    /// Asks the next question.
    ///
    /// # Errors
    /// As [`Speaker::speak`]; the question is then forgotten.
    pub fn ask(&mut self, question: &str, hear: Hear<'_>, cancel: &CancelToken) -> Result<Turn> {
        self.asked = 0;
        self.turns.push(Message::new(Role::User, question));
        self.answer(hear, cancel)
    }

    /// Drops the last answer and asks its question again, with another seed.
    ///
    /// # Errors
    /// `InvalidInput` when nothing was answered yet; as [`Talk::ask`].
    pub fn retry(&mut self, hear: Hear<'_>, cancel: &CancelToken) -> Result<Turn> {
        if self.turns.pop().is_none() {
            return Err(Error::new(Kind::InvalidInput, tr!("there is no answer yet", "还没有回答"))
                .hint(tr!("ask something first", "请先提问")));
        }
        self.asked += 1;
        self.answer(hear, cancel)
    }

    fn answer(&mut self, hear: Hear<'_>, cancel: &CancelToken) -> Result<Turn> {
        let outcome = self.fitting().and_then(|(left_out, most)| {
            let sampling = Sampling {
                seed: self.sampling.seed.wrapping_add(self.asked),
                max_new_tokens: most,
                ..self.sampling.clone()
            };
            let spoken = self.speaker.speak(&self.turns_from(left_out), &sampling, hear, cancel)?;
            Ok(Turn { spoken, left_out })
        });
        match &outcome {
            Ok(turn) => self.turns.push(Message::new(Role::Assistant, turn.spoken.text.as_str())),
            Err(_) => _ = self.turns.pop(),
        }
        outcome
    }

    /// How many turns must be left out for the rest to fit with an answer, and how long that may be.
    fn fitting(&self) -> Result<(usize, usize)> {
        let most = self.sampling.max_new_tokens;
        let Some(limit) = self.speaker.context() else { return Ok((0, most)) };
        // An answer of at least a quarter of the context should fit, or one that is as long as it may be.
        let room = most.min(limit / 4).max(1);
        let last = self.turns.len() / 2;
        for first in 0..=last {
            let Some(tokens) = self.speaker.prompt_tokens(&self.turns_from(first))? else { break };
            if tokens + room <= limit || first == last && tokens < limit {
                return Ok((first, most.min(limit - tokens)));
            }
            if first == last {
                return Err(Error::new(
                    Kind::InvalidInput,
                    tr!(
                        "the question has {tokens} tokens, the model's context {limit}",
                        "问题有 {tokens} 个词元，模型的上下文只有 {limit} 个"
                    ),
                )
                .hint(tr!("shorten it", "请缩短问题")));
            }
        }
        Ok((0, most))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::workbench::speaker::Ending;
    use std::ops::ControlFlow;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    type Seen = Arc<Mutex<Vec<(Vec<String>, Sampling)>>>;

    /// A token a character, a context of 40; says how many messages it saw.
    struct Parrot(Seen);

    impl Speaker for Parrot {
        fn name(&self) -> &str {
            "parrot"
        }
        fn context(&self) -> Option<usize> {
            Some(40)
        }
        fn prompt_tokens(&self, messages: &[Message]) -> Result<Option<usize>> {
            Ok(Some(messages.iter().map(|m| m.content.chars().count()).sum()))
        }
        fn speak(&mut self, messages: &[Message], s: &Sampling, hear: Hear<'_>, _: &CancelToken) -> Result<Spoken> {
            self.0.lock().unwrap().push((messages.iter().map(|m| m.content.clone()).collect(), s.clone()));
            let text = format!("saw {}", messages.len());
            _ = hear(&text);
            Ok(Spoken {
                text,
                ending: Ending::Stop,
                prompt_tokens: 0,
                reused_tokens: 0,
                tokens: 5,
                first: Duration::ZERO,
                total: Duration::ZERO,
            })
        }
    }

    fn talk(system: &str) -> (Talk, Seen) {
        let seen = Seen::default();
        let sampling = Sampling { max_new_tokens: 100, seed: 7, ..Sampling::default() };
        (Talk::new(Box::new(Parrot(Arc::clone(&seen))), system, sampling), seen)
    }

    fn ask(talk: &mut Talk, question: &str) -> Result<Turn> {
        talk.ask(question, &mut |_| ControlFlow::Continue(()), &CancelToken::default())
    }

    #[test]
    fn every_turn_sees_what_was_said_and_a_retry_replaces_the_last_answer() {
        let (mut talk, seen) = talk("S");
        ask(&mut talk, "a").unwrap();
        ask(&mut talk, "b").unwrap();
        talk.retry(&mut |_| ControlFlow::Continue(()), &CancelToken::default()).unwrap();
        let seen = seen.lock().unwrap();
        assert_eq!(seen[1].0, ["S", "a", "saw 2", "b"]);
        assert_eq!(seen[2].0, seen[1].0);
        assert_ne!(seen[2].1.seed, seen[1].1.seed, "the same seed would give the same answer");
        assert_eq!(talk.answers(), 2);
        talk.reset();
        assert_eq!(talk.messages(), [Message::new(Role::System, "S")]);
        assert!(talk.retry(&mut |_| ControlFlow::Continue(()), &CancelToken::default()).is_err());
    }

    #[test]
    fn a_full_context_loses_its_oldest_turns_and_never_the_system_message() {
        let (mut talk, seen) = talk("S");
        for question in ["aaaaaaaa", "bbbbbbbb", "cccccccc"] {
            ask(&mut talk, question).unwrap();
        }
        let turn = ask(&mut talk, "dddd").unwrap();
        let (said, sampling) = seen.lock().unwrap().last().unwrap().clone();
        assert_eq!((turn.left_out, said), (2, vec!["S".to_owned(), "cccccccc".into(), "saw 4".into(), "dddd".into()]));
        assert_eq!(sampling.max_new_tokens, 40 - 18, "the answer ends where the context does");
        // Nothing of the conversation is lost for the record.
        assert_eq!(talk.messages().len(), 9);
        let error = ask(&mut talk, &"x".repeat(60)).unwrap_err();
        assert_eq!((error.kind, talk.messages().len()), (Kind::InvalidInput, 9), "what cannot be asked is not kept");
    }
}
