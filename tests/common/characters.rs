//! A tokenizer for models that cost nothing.

use linly_bench::error::Result;
use linly_bench::prompt::Tokenize;

/// One token per character.
pub struct Characters;

impl Tokenize for Characters {
    fn encode(&self, text: &str, _: bool) -> Result<Vec<u32>> {
        Ok(text.chars().map(u32::from).collect())
    }
    fn decode_token(&self, id: u32) -> String {
        char::from_u32(id).map(String::from).unwrap_or_default()
    }
    fn eos(&self) -> u32 {
        0
    }
    fn eos_text(&self) -> &str {
        "</s>"
    }
    fn bos_text(&self) -> Option<&str> {
        None
    }
    fn chat_template(&self) -> Option<&str> {
        None
    }
}
