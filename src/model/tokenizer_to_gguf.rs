//! A tokenizer as GGUF metadata: what `tokenizer_gguf` reads.

use super::gguf_writer::{Meta, Metadata};
use super::tokenizer::Tokenizer;
use super::tokenizer_gguf::{cutting_name, kind};
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde_json::Value;
use std::collections::HashMap;

/// The keys `tokenizer.…` for a vocabulary of `vocab_size` rows.
///
/// # Errors
/// `Unsupported` for a tokenizer that the format has no words for.
pub(super) fn metadata(tokenizer: &Tokenizer, vocab_size: usize) -> Result<Metadata> {
    let json: Value =
        serde_json::from_str(&tokenizer.to_json()?).map_err(|e| Error::internal(format!("tokenizer: {e}")))?;
    let model = &json["model"];
    if model["type"] != "BPE" {
        return Err(unsupported(&model["type"].to_string()));
    }
    let (tokens, types) = vocabulary(&json, vocab_size)?;
    let merges = merges(model);
    let pieces = model["byte_fallback"] == true;
    let mut out: Metadata = Vec::new();
    let mut put = |key: &str, value: Meta| out.push((format!("tokenizer.{key}"), value));
    let text = |text: &str| Meta::Text(text.to_owned());
    if pieces {
        put("ggml.model", text("llama"));
        put("ggml.pre", text("default"));
        put("ggml.scores", Meta::Floats(scores(&tokens, &merges)));
        // A text's first word gets the space before it, or it does not.
        let first = tokenizer.encode("a", false)?;
        let prefix = first.first().and_then(|id| tokens.get(*id as usize)).is_some_and(|t| t.starts_with('▁'));
        put("ggml.add_space_prefix", Meta::Flag(prefix));
    } else {
        let name = cutting_name(&json).ok_or_else(|| unsupported("pre_tokenizer"))?;
        put("ggml.model", text("gpt2"));
        put("ggml.pre", text(name));
    }
    put("ggml.tokens", Meta::Texts(tokens));
    put("ggml.token_type", Meta::Integers(types));
    put("ggml.merges", Meta::Texts(merges.iter().map(|(a, b)| format!("{a} {b}")).collect()));
    if let Some(bos) = tokenizer.bos() {
        put("ggml.bos_token_id", Meta::Unsigned(bos));
    }
    put("ggml.eos_token_id", Meta::Unsigned(tokenizer.eos()));
    for (key, id) in ["ggml.eot_token_id", "ggml.eom_token_id"].iter().zip(tokenizer.eos_ids().iter().skip(1)) {
        put(key, Meta::Unsigned(*id));
    }
    if let Some(unknown) = model["unk_token"].as_str().and_then(|text| model["vocab"][text].as_u64()) {
        put("ggml.unknown_token_id", Meta::Unsigned(unknown as u32));
    }
    let around = tokenizer.encode("", true)?;
    put("ggml.add_bos_token", Meta::Flag(around.first().is_some_and(|id| Some(*id) == tokenizer.bos())));
    put("ggml.add_eos_token", Meta::Flag(around.last() == Some(&tokenizer.eos()) && around.len() > 1));
    if let Some(template) = tokenizer.chat_template() {
        put("chat_template", text(template));
    }
    Ok(out)
}

fn unsupported(what: &str) -> Error {
    let what = what.escape_default();
    Error::new(
        Kind::Unsupported,
        tr!("GGUF has no name for this tokenizer's {what}", "GGUF 中没有与该分词器的 {what} 对应的名称"),
    )
    .hint(tr!(
        "write a Hugging Face folder instead (models merge, or models export --format hf)",
        "请改为写出 Hugging Face 目录（models merge，或 models export --format hf）"
    ))
}

/// Every token by its id, and its type. Ids that no token has are filled up, since the model's embedding has a row for
/// them.
fn vocabulary(json: &Value, vocab_size: usize) -> Result<(Vec<String>, Vec<i32>)> {
    let mut tokens: Vec<String> = (0..vocab_size).map(|id| format!("[PAD{id}]")).collect();
    let mut types = vec![kind::UNUSED; vocab_size];
    let unknown = json["model"]["unk_token"].as_str();
    let mut set = |id: Option<u64>, token: &str, as_type: i32| {
        let id = id.and_then(|id| usize::try_from(id).ok()).filter(|id| *id < vocab_size).ok_or_else(|| {
            let token = token.escape_default();
            Error::new(
                Kind::Mismatch,
                tr!(
                    "the token `{token}` lies beyond the model's vocabulary of {vocab_size}",
                    "词元 `{token}` 超出模型词表（大小 {vocab_size}）"
                ),
            )
            .hint(tr!("the tokenizer belongs to another model", "分词器属于另一个模型"))
        })?;
        tokens[id] = token.to_owned();
        types[id] = as_type;
        Ok::<(), Error>(())
    };
    for (token, id) in json["model"]["vocab"].as_object().into_iter().flatten() {
        let byte = token.len() == 6 && token.starts_with("<0x") && token.ends_with('>');
        let as_type = match () {
            () if Some(token.as_str()) == unknown => kind::UNKNOWN,
            () if byte && json["model"]["byte_fallback"] == true => kind::BYTE,
            () => kind::NORMAL,
        };
        set(id.as_u64(), token, as_type)?;
    }
    for added in json["added_tokens"].as_array().into_iter().flatten() {
        let content = added["content"].as_str().unwrap_or_default();
        let as_type = match added["special"] == true {
            true if Some(content) == unknown => kind::UNKNOWN,
            true => kind::CONTROL,
            false => kind::USER_DEFINED,
        };
        set(added["id"].as_u64(), content, as_type)?;
    }
    Ok((tokens, types))
}

/// The merges, which newer files have as pairs and older ones as a line.
fn merges(model: &Value) -> Vec<(String, String)> {
    let pair = |merge: &Value| -> Option<(String, String)> {
        match merge {
            Value::String(line) => line.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())),
            pair => Some((pair.get(0)?.as_str()?.to_owned(), pair.get(1)?.as_str()?.to_owned())),
        }
    };
    model["merges"].as_array().into_iter().flatten().filter_map(pair).collect()
}

/// What a reader that merges by score needs: a token that is made earlier scores higher. Tokens that no merge makes
/// come last; their scores are never compared.
fn scores(tokens: &[String], merges: &[(String, String)]) -> Vec<f32> {
    let mut made: HashMap<String, usize> = HashMap::new();
    for (rank, (a, b)) in merges.iter().enumerate() {
        made.entry(format!("{a}{b}")).or_insert(rank);
    }
    let last = merges.len();
    tokens.iter().map(|token| -(made.get(token).copied().unwrap_or(last) as f32)).collect()
}
