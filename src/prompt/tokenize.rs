//! What a renderer needs to know of a tokenizer.

use crate::error::Result;

/// A tokenizer as templates see it. Its end-of-sequence token is the one that ends an *answer*
/// (`<|im_end|>` for ChatML), which is not always the one that ended the base model's documents.
pub trait Tokenize: Send + Sync {
    /// Token ids of `text`; `special` adds what the tokenizer adds by default (BOS, …). The text of
    /// a special token gives that token either way.
    ///
    /// # Errors
    /// Those of the tokenizer.
    fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>>;
    /// One token's text, for display.
    fn decode_token(&self, id: u32) -> String;
    /// Text of `ids` together, without special tokens.
    ///
    /// # Errors
    /// Those of the tokenizer.
    fn decode(&self, ids: &[u32]) -> Result<String> {
        Ok(ids.iter().map(|id| self.decode_token(*id)).collect())
    }
    /// The token that ends an answer.
    fn eos(&self) -> u32;
    /// Its text.
    fn eos_text(&self) -> &str;
    /// Text of the token that begins a sequence, if the model has one.
    fn bos_text(&self) -> Option<&str>;
    /// The model's own chat template, in Jinja.
    fn chat_template(&self) -> Option<&str>;
}

impl Tokenize for crate::model::Tokenizer {
    fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        self.encode(text, special)
    }

    fn decode_token(&self, id: u32) -> String {
        self.decode_token(id)
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        self.decode(ids)
    }

    fn eos(&self) -> u32 {
        self.eos()
    }

    fn eos_text(&self) -> &str {
        self.eos_text()
    }

    fn bos_text(&self) -> Option<&str> {
        self.bos_text()
    }

    fn chat_template(&self) -> Option<&str> {
        self.chat_template()
    }
}
