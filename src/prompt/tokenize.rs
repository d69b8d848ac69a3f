//! What the rest of the program needs from a tokenizer.

use crate::error::Result;

/// Text to token ids and back.
pub trait Tokenize {
    /// The ids of `text`; with `special` the tokens that the tokenizer adds by itself come too.
    fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>>;
    /// The text of one token, for people.
    fn decode_token(&self, id: u32) -> String;
    /// The token that ends a sequence.
    fn eos(&self) -> u32;
    /// Its text.
    fn eos_text(&self) -> &str;
    /// The text of the token that opens a sequence, if the model has one.
    fn bos_text(&self) -> Option<&str>;
    /// The model's own chat template (Jinja), if it has one.
    fn chat_template(&self) -> Option<&str>;
}
