//! Text as its own tokens.

use crate::error::Result;
use crate::prompt::Tokenize;

/// The tokenizer of a model that is asked in text: each character is a token, its code point the id. It adds nothing
/// and merges nothing, so lengths and borders in tokens are lengths and borders in the text; the server adds its
/// model's special tokens by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainText;

impl PlainText {
    /// The text of ids that [`Tokenize::encode`] made.
    pub fn text(ids: &[u32]) -> String {
        ids.iter().filter_map(|id| char::from_u32(*id)).collect()
    }

    /// The ids of `text`.
    pub fn ids(text: &str) -> Vec<u32> {
        text.chars().map(u32::from).collect()
    }
}

impl Tokenize for PlainText {
    fn encode(&self, text: &str, _: bool) -> Result<Vec<u32>> {
        Ok(PlainText::ids(text))
    }

    fn decode_token(&self, id: u32) -> String {
        PlainText::text(&[id])
    }

    fn eos(&self) -> u32 {
        0
    }

    fn eos_text(&self) -> &str {
        ""
    }

    fn bos_text(&self) -> Option<&str> {
        None
    }

    fn chat_template(&self) -> Option<&str> {
        None
    }
}
