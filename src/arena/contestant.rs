//! Who takes part in a battle, independent of how it comes to its answers.

use crate::error::Result;

/// Something that answers questions: a model with or without an adapter, or a stand-in in a test.
pub trait Contestant {
    /// The label that is stored and rated, `MODEL` or `MODEL+ADAPTER`.
    fn name(&self) -> &str;

    /// The answer to one question.
    ///
    /// # Errors
    /// Whatever keeps the contestant from answering; the battle is then not stored.
    fn answer(&mut self, question: &str) -> Result<String>;

    /// The answers to several questions, in their order. Override it to compute them in one batch.
    ///
    /// # Errors
    /// As [`Contestant::answer`].
    fn answers(&mut self, questions: &[String]) -> Result<Vec<String>> {
        questions.iter().map(|q| self.answer(q)).collect()
    }
}
