//! What a row looks like to the model: its text, its tokens, which of them are learnt, and what
//! deserves a second look before hours of training.

use super::render::Renderer;
use super::tokenize::Tokenize;
use crate::data::Example;
use crate::error::Result;
use crate::tr;
use serde::Serialize;

/// One token of a preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PreviewToken {
    /// Its id.
    pub id: u32,
    /// Its text; a part of a character shows as a replacement character.
    pub text: String,
    /// Whether it is learnt.
    pub supervised: bool,
}

/// An answer of the row's conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PreviewTurn {
    /// Its turn, from 0: the history first.
    pub turn: usize,
    /// Its tokens, the one that ends it included.
    pub tokens: usize,
    /// Whether they are learnt.
    pub learnt: bool,
    /// Whether a token that ends answers is among them.
    pub ends: bool,
}

/// A row as the model is trained on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// The whole text.
    pub text: String,
    /// Its tokens.
    pub tokens: Vec<PreviewToken>,
    /// How many of the tokens are supervised.
    pub supervised: usize,
    /// The same number under the name that a training's events have.
    pub supervised_tokens: usize,
    /// Its answers, in order.
    pub turns: Vec<PreviewTurn>,
    /// Characters that several tokens share: the first of these, how many, and the text that they make.
    #[serde(skip)]
    pub shared: Vec<(usize, usize, String)>,
    /// The text in stretches, each with whether it is supervised.
    #[serde(skip)]
    pub stretches: Vec<(String, bool)>,
    /// Hash of template and behaviour, as in provenance.
    pub template_hash: String,
    /// What to look at, for people.
    pub warnings: Vec<String>,
}

/// More tokens than this for a Chinese character means that the vocabulary hardly knows Chinese.
const MANY_TOKENS: f64 = 1.5;

impl Preview {
    /// Renders the row `e`.
    ///
    /// # Errors
    /// Those of [`Renderer::example`].
    pub fn new(renderer: &Renderer<'_>, tokenizer: &dyn Tokenize, e: &Example) -> Result<Preview> {
        let rendered = renderer.example(e)?;
        let token =
            |(&id, &supervised): (&u32, &bool)| PreviewToken { id, text: tokenizer.decode_token(id), supervised };
        let tokens: Vec<PreviewToken> = rendered.ids.iter().zip(&rendered.mask).map(token).collect();
        let supervised = tokens.iter().filter(|t| t.supervised).count();
        let turns = renderer.answers(e)?;
        Ok(Preview {
            shared: shared(tokenizer, &tokens)?,
            warnings: warnings(tokenizer, e, supervised, &turns)?,
            text: rendered.text,
            tokens,
            supervised,
            supervised_tokens: supervised,
            turns,
            stretches: renderer.stretches(e)?,
            template_hash: renderer.hash(),
        })
    }
}

/// Tokens of one character, at most.
const SHARING: usize = 8;

/// Where characters lie in several tokens, each of which alone is no text.
fn shared(tokenizer: &dyn Tokenize, tokens: &[PreviewToken]) -> Result<Vec<(usize, usize, String)>> {
    let broken = |text: &str| text.contains('\u{fffd}');
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(token) = tokens.get(at) {
        let mut taken = 1;
        if broken(&token.text) {
            let mut ids = vec![token.id];
            for next in tokens.iter().skip(at + 1).take(SHARING - 1).take_while(|n| n.supervised == token.supervised) {
                ids.push(next.id);
                let text = tokenizer.decode(&ids)?;
                if !broken(&text) {
                    taken = ids.len();
                    found.push((at, taken, text));
                    break;
                }
            }
        }
        at += taken;
    }
    Ok(found)
}

fn warnings(tokenizer: &dyn Tokenize, e: &Example, supervised: usize, turns: &[PreviewTurn]) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for PreviewTurn { turn, .. } in turns.iter().filter(|turn| turn.learnt && !turn.ends) {
        warnings.push(tr!(
            "no token that ends an answer (end of sequence) is learnt in turn {turn}: the model will not learn to stop",
            "第 {turn} 轮的监督词元中没有结束符（end of sequence）：模型学不会停下"
        ));
    }
    let eos = tokenizer.eos_text();
    let texts = [&e.instruction, &e.input, &e.output, &e.system, &e.tools].into_iter();
    let mut texts = texts.chain(e.history.iter().flat_map(|(q, a)| [q, a]));
    if !eos.is_empty() && texts.any(|text| text.contains(eos)) {
        warnings.push(tr!(
            "the row's own text contains {eos}: the model takes it for the end of an answer",
            "该行文本中含有 {eos}：模型会把它当作回答的结束"
        ));
    }
    let chinese = e.output.chars().filter(|c| ('\u{4e00}'..='\u{9fff}').contains(c)).count();
    if chinese * 2 > e.output.chars().count() {
        let per_character = tokenizer.encode(&e.output, false)?.len() as f64 / e.output.chars().count().max(1) as f64;
        if per_character > MANY_TOKENS {
            warnings.push(tr!(
                "this tokenizer spends {per_character:.1} tokens on a Chinese character; expand its vocabulary or choose a model that knows Chinese",
                "该分词器平均每个汉字要用 {per_character:.1} 个词元；可扩充词表，或换用支持中文的模型"
            ));
        }
    }
    if supervised < 3 {
        warnings.push(tr!(
            "only {supervised} supervised tokens: the row teaches little",
            "只有 {supervised} 个监督词元：该行几乎学不到东西"
        ));
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A byte is a token.
    struct Bytes;

    impl Tokenize for Bytes {
        fn encode(&self, text: &str, _special: bool) -> Result<Vec<u32>> {
            Ok(text.bytes().map(u32::from).collect())
        }
        fn decode_token(&self, id: u32) -> String {
            String::from_utf8_lossy(&[id as u8]).into_owned()
        }
        fn decode(&self, ids: &[u32]) -> Result<String> {
            let bytes: Vec<u8> = ids.iter().map(|id| *id as u8).collect();
            Ok(String::from_utf8_lossy(&bytes).into_owned())
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

    #[test]
    fn characters_of_several_tokens_are_found() {
        let tokens = |bytes: &[u8], learnt: usize| -> Vec<PreviewToken> {
            let token = |(i, b): (usize, &u8)| PreviewToken {
                id: u32::from(*b),
                text: Bytes.decode_token(u32::from(*b)),
                supervised: i >= learnt,
            };
            bytes.iter().enumerate().map(token).collect()
        };
        let found = shared(&Bytes, &tokens("a利😀b".as_bytes(), 99)).unwrap();
        assert_eq!(found, [(1, 3, "利".to_owned()), (4, 4, "😀".to_owned())]);
        // Broken bytes, and a character on both sides of the border, are none.
        assert!(shared(&Bytes, &tokens(b"\xe5\x88x", 99)).unwrap().is_empty());
        assert!(shared(&Bytes, &tokens("利".as_bytes(), 1)).unwrap().is_empty());
    }
}
