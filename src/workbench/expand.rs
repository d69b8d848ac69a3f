//! `models expand-vocab`: tokens of their own for the characters that cost a model most.

use super::Workbench;
use super::models::resolve;
use super::text_rows::names;
use crate::data::Example;
use crate::error::{Error, Kind, Result};
use crate::model::folder_writer::{ModelToWrite, SHARD_BYTES, Watch, refuse_taken, write_folder};
use crate::model::{ExpandedWeights, NewToken, StorageType, Tokenizer, open};
use crate::store::RowQuery;
use crate::tr;
use serde::Serialize;
use std::collections::HashMap;
use std::path::PathBuf;

/// What `models expand-vocab` was asked for.
#[derive(Clone, Debug)]
pub struct ExpandRequest {
    /// Catalogue name, folder or file.
    pub model: String,
    /// Datasets whose characters are counted, with commas between them.
    pub datasets: String,
    /// At most so many new tokens.
    pub tokens: usize,
    /// How weights are stored.
    pub storage: StorageType,
    /// The folder, which must not be there.
    pub output: PathBuf,
}

/// What was written; the keys are those of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Expanded {
    /// The folder.
    pub output: PathBuf,
    /// The base.
    pub model: String,
    /// New tokens.
    pub added: usize,
    /// The dearest of them, the first ones.
    pub examples: Vec<String>,
    /// Rows of the embedding now.
    pub vocab_size: usize,
    /// Tokens of all the texts before.
    pub tokens_before: u64,
    /// Tokens of all the texts now.
    pub tokens_after: u64,
    /// Bytes of the weights.
    pub bytes: u64,
}

/// Writes a model with tokens of their own for the characters whose tokens cost the texts most.
///
/// # Errors
/// `InvalidInput` when no character costs more than one token, those of names, of loading and of writing.
pub fn expand(bench: &Workbench, request: &ExpandRequest, watch: &mut Watch<'_>) -> Result<Expanded> {
    refuse_taken(&request.output)?;
    let mut texts = Vec::new();
    for name in names(&request.datasets) {
        texts.extend(bench.store.rows(name, &RowQuery::default())?.iter().flat_map(|row| texts_of(&row.example)));
    }
    let path = resolve(bench, &request.model)?;
    let files = open(&path)?;
    let old = Tokenizer::open(&path)?;
    let mut chosen = readable(dearest(&texts, &old)?, &old)?;
    chosen.truncate(request.tokens);
    if chosen.is_empty() {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("every character of these texts is one token already", "这些文本中的每个字符都已是一个词元"),
        )
        .hint(tr!("there is nothing to add for this model", "该模型无需扩充词表")));
    }
    let new = old.with_tokens(&chosen.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>())?;
    let tokens = chosen
        .iter()
        .map(|(text, pieces)| match new.encode(text, false)?[..] {
            [id] => Ok(NewToken { id, pieces: pieces.clone() }),
            _ => Err(Error::internal(format!("{text} is no token"))),
        })
        .collect::<Result<Vec<_>>>()?;
    let count = |tokenizer: &Tokenizer| -> Result<u64> {
        texts.iter().map(|text| Ok(tokenizer.encode(text, false)?.len() as u64)).sum()
    };
    let expanded = ExpandedWeights::new(&*files.weights, &files.config, tokens);
    let model = ModelToWrite { config: expanded.config(), weights: &expanded, base: &path };
    let tokenizer = serde_json::from_str(&new.to_json()?).map_err(|e| Error::internal(e.to_string()))?;
    let extra = [("tokenizer.json", tokenizer)];
    let bytes = write_folder(&request.output, &model, request.storage, SHARD_BYTES, &extra, watch)?;
    Ok(Expanded {
        output: request.output.clone(),
        model: request.model.clone(),
        added: chosen.len(),
        examples: chosen.iter().take(20).map(|(text, _)| text.clone()).collect(),
        vocab_size: expanded.config().vocab_size,
        tokens_before: count(&old)?,
        tokens_after: count(&new)?,
        bytes,
    })
}

/// Everything of a row that is read.
fn texts_of(row: &Example) -> Vec<String> {
    let turns = row.history.iter().flat_map(|(question, answer)| [question, answer]);
    let texts = [&row.system, &row.tools].into_iter().chain(turns).chain([&row.instruction, &row.input, &row.output]);
    texts.filter(|text| !text.is_empty()).cloned().collect()
}

/// A character and the tokens that it is now.
type Dear = (String, Vec<u32>);

/// Those of `found` that come out as themselves when their token is turned into text. Byte-level vocabularies write bytes
/// as Latin letters (`é` stands for the byte E9), so a token of such a letter would be read as that byte.
fn readable(found: Vec<Dear>, tokenizer: &Tokenizer) -> Result<Vec<Dear>> {
    let trial = tokenizer.with_tokens(&found.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>())?;
    let mut kept = Vec::with_capacity(found.len());
    for (text, pieces) in found {
        if trial.decode(&trial.encode(&text, false)?)? == text {
            kept.push((text, pieces));
        }
    }
    Ok(kept)
}

/// Characters of more than one token, with their tokens: those first that cost the texts most, that is, by how often they
/// come times the tokens that each time would save.
fn dearest(texts: &[String], tokenizer: &Tokenizer) -> Result<Vec<Dear>> {
    let mut counts: HashMap<char, u64> = HashMap::new();
    // Letters only: spaces and signs are parts of longer tokens with what stands beside them.
    for character in texts.iter().flat_map(|text| text.chars()).filter(|c| !c.is_ascii() && c.is_alphanumeric()) {
        *counts.entry(character).or_insert(0) += 1;
    }
    let mut found = Vec::new();
    for (character, count) in counts {
        let text = character.to_string();
        let pieces = tokenizer.encode(&text, false)?;
        if pieces.len() > 1 {
            found.push((count * (pieces.len() as u64 - 1), text, pieces));
        }
    }
    found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    Ok(found.into_iter().map(|(_, text, pieces)| (text, pieces)).collect())
}
