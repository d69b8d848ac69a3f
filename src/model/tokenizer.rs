//! Text to token ids and back, with what a model says about its own text: end tokens and chat template.

use super::gguf::{Gguf, pull_again};
use super::tokenizer_gguf;
use super::weights::read_json;
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::OnceLock;

/// A model's tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    eos: u32,
    eos_text: String,
    eos_ids: Vec<u32>,
    bos_text: Option<String>,
    chat_template: Option<String>,
    hash: OnceLock<String>,
}

/// What a model's files say about the edges of its text.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// The end-of-sequence token.
    pub eos: Option<u32>,
    /// Every token that ends an answer, [`Marks::eos`] first.
    pub eos_ids: Vec<u32>,
    /// The beginning-of-sequence token.
    pub bos: Option<u32>,
    /// Jinja source that renders a conversation.
    pub chat_template: Option<String>,
}

impl Tokenizer {
    /// Opens the tokenizer of a Hugging Face folder or of a `.gguf` file.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Corrupt` when it cannot be read, `Unsupported` for a kind of
    /// tokenizer whose ids could not be reproduced.
    pub fn open(path: &Path) -> Result<Tokenizer> {
        if path.is_dir() { Self::from_folder(path) } else { Self::from_gguf(&Gguf::open(path)?) }
    }

    /// Rebuilds the tokenizer that a GGUF file describes. Errors as for [`Tokenizer::open`].
    pub fn from_gguf(file: &Gguf) -> Result<Tokenizer> {
        let (inner, marks) = tokenizer_gguf::build(file)?;
        Self::new(inner, marks, file.path())
    }

    fn from_folder(folder: &Path) -> Result<Tokenizer> {
        let path = folder.join("tokenizer.json");
        let bytes = std::fs::read(&path).map_err(|e| {
            Error::io(&path, &e).hint(tr!(
                "a model folder needs tokenizer.json (tokenizer.model alone is not enough); pull the model again",
                "模型目录需要 tokenizer.json（仅有 tokenizer.model 不够）；请重新下载该模型"
            ))
        })?;
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|e| {
            let place = path.display();
            Error::new(Kind::Corrupt, tr!("{place} is no tokenizer: {e}", "{place} 不是分词器文件：{e}"))
                .hint(pull_again())
        })?;
        // Some folders carry the truncation and padding of their training; both would change ids silently.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| tokenizer_error(e.as_ref()))?;
        let optional = |name: &str| -> Result<Value> {
            let path = folder.join(name);
            if path.is_file() { read_json(&path) } else { Ok(Value::Null) }
        };
        let (config, generation, model) =
            (optional("tokenizer_config.json")?, optional("generation_config.json")?, optional("config.json")?);

        let named = |name: &str| special_text(&config[name]).and_then(|text| inner.token_to_id(text));
        // An instruction model may end with more tokens than its tokenizer's own.
        let listed = ids(&generation["eos_token_id"]).chain(ids(&model["eos_token_id"]));
        let mut eos_ids: Vec<u32> = Vec::new();
        for id in named("eos_token").into_iter().chain(listed) {
            if !eos_ids.contains(&id) {
                eos_ids.push(id);
            }
        }
        let chat_template = match std::fs::read_to_string(folder.join("chat_template.jinja")) {
            Ok(text) => Some(text),
            Err(_) => embedded_template(&config["chat_template"]),
        };
        let marks = Marks { eos: eos_ids.first().copied(), eos_ids, bos: named("bos_token"), chat_template };
        Self::new(inner, marks, folder)
    }

    fn new(inner: tokenizers::Tokenizer, marks: Marks, path: &Path) -> Result<Tokenizer> {
        let known = |id: &u32| inner.id_to_token(*id).is_some();
        let Some((eos, eos_text)) = marks.eos.and_then(|id| Some((id, inner.id_to_token(id)?))) else {
            let place = path.display();
            return Err(Error::new(
                Kind::Corrupt,
                tr!("{place}: the tokenizer names no end-of-sequence token", "{place}：分词器没有指明结束符"),
            )
            .hint(pull_again()));
        };
        Ok(Tokenizer {
            eos,
            eos_text,
            eos_ids: marks.eos_ids.into_iter().filter(known).collect(),
            bos_text: marks.bos.and_then(|id| inner.id_to_token(id)),
            chat_template: marks.chat_template,
            hash: OnceLock::new(),
            inner,
        })
    }

    /// Token ids of `text`. Names of special tokens in it become those tokens; `special` adds what
    /// the tokenizer puts around a text by itself (a beginning-of-sequence token, for some).
    ///
    /// # Errors
    /// `Internal` when the tokenizer fails.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, special).map_err(|e| tokenizer_error(e.as_ref()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Text of `ids` without special tokens.
    ///
    /// # Errors
    /// `Internal` when the tokenizer fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(|e| tokenizer_error(e.as_ref()))
    }

    /// Text of one token, for showing: special tokens by their names, a part of a character as `�`.
    pub fn decode_token(&self, id: u32) -> String {
        match self.inner.id_to_token(id) {
            None => "\u{fffd}".to_owned(),
            // The decoders of SentencePiece vocabularies drop a leading space.
            Some(token) if token.starts_with('▁') => token.replace('▁', " "),
            Some(token) => self.inner.decode(&[id], false).unwrap_or(token),
        }
    }

    /// A decoder for tokens that arrive one by one.
    pub fn decode_stream(&self) -> DecodeStream<'_> {
        DecodeStream { tokenizer: self, ids: Vec::new(), shown: 0, with_special: false }
    }

    /// The same with special tokens by their names: for a prompt, whose text holds them so.
    pub fn decode_stream_with_special(&self) -> DecodeStream<'_> {
        DecodeStream { with_special: true, ..self.decode_stream() }
    }

    /// The end-of-sequence token.
    pub fn eos(&self) -> u32 {
        self.eos
    }

    /// Every token that ends an answer, [`Tokenizer::eos`] first.
    pub fn eos_ids(&self) -> &[u32] {
        &self.eos_ids
    }

    /// Name of the end-of-sequence token.
    pub fn eos_text(&self) -> &str {
        &self.eos_text
    }

    /// The beginning-of-sequence token.
    pub fn bos(&self) -> Option<u32> {
        self.bos_text.as_deref().and_then(|text| self.inner.token_to_id(text))
    }

    /// The tokenizer as a `tokenizer.json`.
    ///
    /// # Errors
    /// `Internal` when it cannot be written down.
    pub(crate) fn to_json(&self) -> Result<String> {
        self.inner.to_string(true).map_err(|e| tokenizer_error(e.as_ref()))
    }

    /// This tokenizer with more tokens, which take the ids behind its last one. A text that is a token is cut out
    /// before the rest is cut by the old rules.
    ///
    /// # Errors
    /// `Internal` when the tokenizer fails.
    pub(crate) fn with_tokens(&self, texts: &[&str]) -> Result<Tokenizer> {
        let mut inner = self.inner.clone();
        let tokens = texts.iter().map(|text| tokenizers::AddedToken::from(*text, false).normalized(false));
        inner.add_tokens(tokens).map_err(|e| tokenizer_error(e.as_ref()))?;
        let (eos_text, eos_ids) = (self.eos_text.clone(), self.eos_ids.clone());
        let (bos_text, chat_template) = (self.bos_text.clone(), self.chat_template.clone());
        Ok(Tokenizer { inner, eos: self.eos, eos_text, eos_ids, bos_text, chat_template, hash: OnceLock::new() })
    }

    /// Name of the beginning-of-sequence token.
    pub fn bos_text(&self) -> Option<&str> {
        self.bos_text.as_deref()
    }

    /// Jinja source of the model's chat template.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }

    /// Number of tokens, special ones included. The model's embedding may have more rows.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// SHA-256 (hexadecimal) over what turns text into ids: the vocabulary in the order of ids, and
    /// the rules that cut a text before it is looked up. The same for a model's GGUF file and its
    /// folder, where both do the same.
    pub fn hash(&self) -> &str {
        self.hash.get_or_init(|| {
            let mut vocabulary: Vec<(u32, String)> =
                self.inner.get_vocab(true).into_iter().map(|(token, id)| (id, token)).collect();
            vocabulary.sort_unstable();
            let mut sha = Sha256::new();
            for (id, token) in &vocabulary {
                sha.update(id.to_le_bytes());
                sha.update((token.len() as u64).to_le_bytes());
                sha.update(token.as_bytes());
            }
            let rules = serde_json::json!([self.inner.get_normalizer(), self.inner.get_pre_tokenizer()]);
            sha.update(rules.to_string().as_bytes());
            super::hex(&sha.finalize())
        })
    }
}

fn tokenizer_error(error: &(dyn std::error::Error + Send + Sync)) -> Error {
    Error::internal(tr!("tokenizer: {error}", "分词器：{error}"))
}

/// A special token of `tokenizer_config.json`: a text, or an object around one.
fn special_text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value["content"].as_str())
}

/// One id, or a list of them.
fn ids(value: &Value) -> impl Iterator<Item = u32> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(Value::as_u64).filter_map(|id| u32::try_from(id).ok())
}

/// The template inside `tokenizer_config.json`: a text, or the one named `default` of several.
fn embedded_template(value: &Value) -> Option<String> {
    let default = || value.as_array()?.iter().find(|t| t["name"] == "default")?["template"].as_str();
    value.as_str().or_else(default).map(str::to_owned)
}

/// Turns tokens into text as they arrive, never cutting a character that several tokens make up.
pub struct DecodeStream<'a> {
    tokenizer: &'a Tokenizer,
    /// Tokens from the last piece that was given out onwards: their text depends on what precedes it.
    ids: Vec<u32>,
    /// How many of `ids` have been given out.
    shown: usize,
    /// Whether special tokens are shown.
    with_special: bool,
}

/// Tokens that wait for the rest of a character at most. A character has four bytes, and no token has
/// less than one: beyond that the bytes are no text and waiting would never end.
const WAIT: usize = 8;

impl DecodeStream<'_> {
    /// Takes the next token; gives the text that is complete with it.
    ///
    /// # Errors
    /// `Internal` when the tokenizer fails.
    pub fn step(&mut self, id: u32) -> Result<Option<String>> {
        self.ids.push(id);
        let waiting = self.ids.len() - self.shown < WAIT;
        let text = self.rest()?;
        if text.is_empty() || (text.ends_with('\u{fffd}') && waiting) {
            return Ok(None);
        }
        self.ids.drain(..self.shown);
        self.shown = self.ids.len();
        Ok(Some(text))
    }

    /// The text of tokens that still wait (the answer ended inside a character).
    ///
    /// # Errors
    /// `Internal` when the tokenizer fails.
    pub fn finish(self) -> Result<String> {
        self.rest()
    }

    fn rest(&self) -> Result<String> {
        let text = |ids| self.tokenizer.inner.decode(ids, !self.with_special).map_err(|e| tokenizer_error(e.as_ref()));
        let (before, all) = (text(&self.ids[..self.shown])?, text(&self.ids)?);
        Ok(all.get(before.len()..).unwrap_or_default().to_owned())
    }
}
