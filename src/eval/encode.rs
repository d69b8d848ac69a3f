//! From a prompt to the tokens that are scored, by lm-evaluation-harness's rule.

use super::prompt::Prompt;
use crate::error::{Error, Kind, Result};
use crate::infer::ScoreRequest;
use crate::prompt::Tokenize;
use crate::tr;

/// The tokens of a prompt and its continuations.
///
/// White space at the end of the context moves to the continuation, because most vocabularies write
/// a space into the token of the following word. The continuation's tokens are what the context and
/// it have together beyond as many as the context has alone, so a merge across the border does not
/// hide a token. Special tokens come as the tokenizer adds them by itself, unless the text already
/// begins with the one that opens a sequence.
///
/// # Errors
/// `InvalidInput` for an empty context or a continuation that gives no token.
pub fn encode(tokenizer: &dyn Tokenize, prompt: &Prompt) -> Result<ScoreRequest> {
    let context = prompt.text.trim_end_matches(is_python_space);
    if context.is_empty() {
        return Err(empty());
    }
    let moved = prompt.text.get(context.len()..).unwrap_or_default();
    let special = wants_opening(tokenizer, context);
    let context_ids = tokenizer.encode(context, special)?;
    let continuations = prompt
        .continuations
        .iter()
        .map(|continuation| {
            let mut ids = tokenizer.encode(&format!("{context}{moved}{continuation}"), special)?;
            let tail = ids.split_off(context_ids.len().min(ids.len()));
            if tail.is_empty() {
                return Err(Error::new(
                    Kind::InvalidInput,
                    tr!("the choice `{continuation}` has no token of its own", "选项 `{continuation}` 没有自己的词元"),
                )
                .hint(tr!(
                    "a choice is empty or melts into the prompt: check the data, or give the preset a target_delimiter",
                    "选项为空，或与提示并成了一个词元：请检查数据，或为预设设置 target_delimiter"
                )));
            }
            Ok(tail)
        })
        .collect::<Result<_>>()?;
    Ok(ScoreRequest { context: context_ids, continuations })
}

/// The tokens of a prompt that is answered in writing.
///
/// # Errors
/// `InvalidInput` for an empty prompt.
pub fn encode_text(tokenizer: &dyn Tokenize, text: &str) -> Result<Vec<u32>> {
    let ids = tokenizer.encode(text, wants_opening(tokenizer, text))?;
    if ids.is_empty() {
        return Err(empty());
    }
    Ok(ids)
}

/// The token that stands before a text of which every token is scored: the one that opens a sequence, or else the one
/// that ends it.
///
/// # Errors
/// Those of the tokenizer.
pub fn opening_token(tokenizer: &dyn Tokenize) -> Result<u32> {
    let opening = tokenizer.bos_text().map(|text| tokenizer.encode(text, false)).transpose()?;
    Ok(opening.and_then(|ids| ids.first().copied()).unwrap_or_else(|| tokenizer.eos()))
}

/// Whether the tokenizer's special tokens are to be added: not when `text` begins with the one that opens a sequence.
fn wants_opening(tokenizer: &dyn Tokenize, text: &str) -> bool {
    let opening = tokenizer.bos_text().unwrap_or_else(|| tokenizer.eos_text());
    opening.is_empty() || !text.starts_with(opening)
}

fn empty() -> Error {
    Error::new(Kind::InvalidInput, tr!("the prompt is empty", "提示为空"))
        .hint(tr!("give the preset a `body` with text in it", "请为预设写出含文字的 `body`"))
}

/// What Python's `str.rstrip` removes: Unicode white space and four control characters.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}
