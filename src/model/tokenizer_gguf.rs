//! A tokenizer rebuilt from GGUF metadata. The file names its kind (`tokenizer.ggml.model`) and how
//! text is cut before merging (`tokenizer.ggml.pre`), but holds neither the regular expression nor
//! the normaliser: those are known by name here.

use super::gguf::Gguf;
use super::tokenizer::Marks;
use crate::error::{Error, Kind, Result};
use crate::tr;
use std::collections::HashMap;
use tokenizers::decoders::{byte_fallback::ByteFallback, fuse::Fuse, sequence::Sequence as Decoders, strip::Strip};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{NFC, NormalizerWrapper, Replace};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, DecoderWrapper, SplitDelimiterBehavior};

/// Token types of the format (`tokenizer.ggml.token_type`).
pub(super) mod kind {
    pub const NORMAL: i32 = 1;
    pub const UNKNOWN: i32 = 2;
    pub const CONTROL: i32 = 3;
    pub const USER_DEFINED: i32 = 4;
    pub const UNUSED: i32 = 5;
    pub const BYTE: i32 = 6;
}

type Pairs = Vec<(String, String)>;

/// How a byte-level vocabulary cuts text.
struct Cut {
    /// Pieces that are merged on their own; `None` is GPT-2's rule, which `ByteLevel` has built in.
    pattern: Option<String>,
    /// Whether the text is brought to NFC first.
    nfc: bool,
    /// Whether a piece that is a token is taken whole, whatever the merges say; the vocabularies that
    /// do this also put a beginning-of-sequence token before each text.
    llama3: bool,
}

/// The rule by its name in `tokenizer.ggml.pre`. The expressions are those of the models' own
/// `tokenizer.json` files; they differ in how many digits stay together.
///
/// `smollm` is cut as transformers cuts it when it loads the same GGUF file, by GPT-2's rule. (The
/// model's own folder also parts digits from the spaces before them, so `"  7"` differs.)
fn cut(pre: &str) -> Option<Cut> {
    let words = |digits: &str| {
        format!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
    Some(match pre {
        "" | "default" | "gpt-2" | "gpt2" | "smollm" => Cut { pattern: None, nfc: false, llama3: false },
        "qwen2" | "deepseek-r1-qwen" => Cut { pattern: Some(words(r"\p{N}")), nfc: true, llama3: false },
        "llama-bpe" | "llama3" | "llama-v3" => Cut { pattern: Some(words(r"\p{N}{1,3}")), nfc: false, llama3: true },
        _ => return None,
    })
}

/// The name of the way in which a `tokenizer.json` with byte-level BPE cuts text, where the format has one.
pub(super) fn cutting_name(json: &serde_json::Value) -> Option<&'static str> {
    let steps = match json["pre_tokenizer"]["pretokenizers"].as_array() {
        Some(steps) => steps.iter().collect(),
        None => vec![&json["pre_tokenizer"]],
    };
    let is = |step: &serde_json::Value, name: &str| step["type"] == name;
    let built_in = |step: &serde_json::Value| is(step, "ByteLevel") && step["use_regex"] != false;
    let nfc = json["normalizer"]["type"] == "NFC";
    if !nfc && !json["normalizer"].is_null() {
        return None;
    }
    match steps[..] {
        [bytes] if built_in(bytes) && !nfc => Some("gpt-2"),
        [digits, bytes] if is(digits, "Digits") && digits["individual_digits"] == true && built_in(bytes) && !nfc => {
            Some("smollm")
        }
        [split, bytes] if is(split, "Split") && is(bytes, "ByteLevel") && bytes["use_regex"] == false => {
            let pattern = split["pattern"]["Regex"].as_str();
            ["qwen2", "llama-bpe"]
                .into_iter()
                .find(|name| cut(name).is_some_and(|cut| cut.nfc == nfc && cut.pattern.as_deref() == pattern))
        }
        _ => None,
    }
}

/// Builds the tokenizer of `file`.
pub(super) fn build(file: &Gguf) -> Result<(tokenizers::Tokenizer, Marks)> {
    let tokens = file.texts("tokenizer.ggml.tokens")?;
    let types = match file.has("tokenizer.ggml.token_type") {
        true => file.integers("tokenizer.ggml.token_type")?,
        false => Vec::new(),
    };
    let vocabulary: Vocab = tokens.iter().enumerate().rev().map(|(i, t)| ((*t).to_owned(), i as u32)).collect();
    let failed = |e: tokenizers::Error| file.corrupt(&tr!("tokenizer: {e}", "分词器：{e}"));
    let id = |name: &str| -> Result<Option<u32>> {
        let id = file.unsigned_opt(&format!("tokenizer.ggml.{name}"))?;
        Ok(id.filter(|&id| id < tokens.len()).map(|id| id as u32))
    };

    let (mut tokenizer, adds_bos) = match file.text("tokenizer.ggml.model")? {
        "gpt2" => byte_level(file, vocabulary)?,
        "llama" => sentence_piece(file, &tokens, &types, vocabulary, id("unknown_token_id")?)?,
        other => {
            let other = other.escape_default();
            return Err(unknown(file, &tr!("the tokenizer {other}", "分词器 {other}")));
        }
    };
    let of_type = |wanted: i32| {
        let found = types.iter().zip(&tokens).filter(move |(t, _)| **t == wanted);
        found.map(move |(_, token)| AddedToken::from(*token, wanted == kind::CONTROL).normalized(false))
    };
    tokenizer.add_special_tokens(of_type(kind::CONTROL)).map_err(failed)?;
    tokenizer.add_tokens(of_type(kind::USER_DEFINED)).map_err(failed)?;

    let bos = id("bos_token_id")?;
    let eos = id("eos_token_id")?;
    let mut eos_ids: Vec<u32> = Vec::new();
    // Chat models end a turn with one of these, which need not be the end of the text.
    for id in [eos, id("eot_token_id")?, id("eom_token_id")?].into_iter().flatten() {
        if !eos_ids.contains(&id) {
            eos_ids.push(id);
        }
    }
    let before = bos.filter(|_| adds_bos);
    let after = match file.flag_opt("tokenizer.ggml.add_eos_token")? {
        Some(true) => eos,
        _ => None,
    };
    surround(&mut tokenizer, &tokens, before, after).map_err(failed)?;
    let chat_template = file.text_opt("tokenizer.chat_template")?.map(str::to_owned);
    Ok((tokenizer, Marks { eos, eos_ids, bos, chat_template }))
}

fn unknown(file: &Gguf, what: &str) -> Error {
    let place = file.path().display();
    Error::new(Kind::Unsupported, tr!("{place}: {what} is not known", "{place}：不认识{what}")).hint(tr!(
        "use the model's Hugging Face folder instead, which brings its tokenizer.json",
        "请改用该模型的 Hugging Face 目录，其中带有 tokenizer.json"
    ))
}

/// Byte-level BPE (GPT-2 and its descendants), and whether it puts a token before each text.
fn byte_level(file: &Gguf, vocabulary: Vocab) -> Result<(tokenizers::Tokenizer, bool)> {
    let pre = file.text_opt("tokenizer.ggml.pre")?.unwrap_or_default();
    let Some(cut) = cut(pre) else {
        let pre = pre.escape_default();
        return Err(unknown(file, &tr!("the way {pre} of cutting text", "文本切分方式 {pre}")));
    };
    let failed = |e: tokenizers::Error| file.corrupt(&tr!("tokenizer: {e}", "分词器：{e}"));
    let merges = merges(file)?;
    let model =
        BPE::builder().vocab_and_merges(vocabulary, merges).ignore_merges(cut.llama3).build().map_err(failed)?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    let pre_tokenizer: PreTokenizerWrapper = match cut.pattern {
        None => ByteLevel::new(false, true, true).into(),
        Some(pattern) => {
            let split = Split::new(SplitPattern::Regex(pattern), SplitDelimiterBehavior::Isolated, false);
            Sequence::new(vec![split.map_err(failed)?.into(), ByteLevel::new(false, false, false).into()]).into()
        }
    };
    tokenizer.with_pre_tokenizer(Some(pre_tokenizer));
    if cut.nfc {
        tokenizer.with_normalizer(Some(NormalizerWrapper::from(NFC))).map_err(failed)?;
    }
    tokenizer.with_decoder(Some(ByteLevel::new(true, true, true)));
    Ok((tokenizer, file.flag_opt("tokenizer.ggml.add_bos_token")?.unwrap_or(cut.llama3)))
}

fn merges(file: &Gguf) -> Result<Pairs> {
    let split = |line: &str| line.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()));
    file.texts("tokenizer.ggml.merges")?
        .into_iter()
        .map(|line| {
            split(line).ok_or_else(|| {
                let line = line.escape_default();
                file.corrupt(&tr!("tokenizer: {line} is no merge", "分词器：{line} 不是合并规则"))
            })
        })
        .collect()
}

/// SentencePiece BPE with byte fallback (Llama 2), and whether it puts a token before each text.
fn sentence_piece(
    file: &Gguf,
    tokens: &[&str],
    types: &[i32],
    vocabulary: Vocab,
    unknown: Option<u32>,
) -> Result<(tokenizers::Tokenizer, bool)> {
    let failed = |e: tokenizers::Error| file.corrupt(&tr!("tokenizer: {e}", "分词器：{e}"));
    let pairs = match file.has("tokenizer.ggml.merges") {
        true => merges(file)?,
        false => merges_from_scores(tokens, types, &file.floats("tokenizer.ggml.scores")?),
    };
    let mut builder = BPE::builder().vocab_and_merges(vocabulary, pairs).fuse_unk(true).byte_fallback(true);
    if let Some(token) = unknown.and_then(|id| tokens.get(id as usize)) {
        builder = builder.unk_token((*token).to_owned());
    }
    let mut tokenizer = tokenizers::Tokenizer::new(builder.build().map_err(failed)?);
    let prefix = file.flag_opt("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let scheme = if prefix { PrependScheme::First } else { PrependScheme::Never };
    tokenizer.with_pre_tokenizer(Some(Metaspace::new('▁', scheme, false)));
    let mut decoders: Vec<DecoderWrapper> =
        vec![Replace::new("▁", " ").map_err(failed)?.into(), ByteFallback::new().into(), Fuse::new().into()];
    if prefix {
        decoders.push(Strip::new(' ', 1, 0).into());
    }
    tokenizer.with_decoder(Some(Decoders::new(decoders)));
    Ok((tokenizer, file.flag_opt("tokenizer.ggml.add_bos_token")?.unwrap_or(true)))
}

/// The merges that a scored vocabulary stands for: every way to part a token into two tokens, the
/// best-scored token first. Sorted as transformers' converter sorts (score, then the lengths of the
/// parts, all falling; equal ones by the ids of the parts).
fn merges_from_scores(tokens: &[&str], types: &[i32], scores: &[f32]) -> Pairs {
    let ids: HashMap<&str, usize> = tokens.iter().enumerate().rev().map(|(i, t)| (*t, i)).collect();
    let mut found = Vec::new();
    for (i, (token, score)) in tokens.iter().zip(scores).enumerate() {
        if matches!(types.get(i), Some(&(kind::UNKNOWN | kind::CONTROL | kind::BYTE))) {
            continue;
        }
        let length = token.chars().count();
        let start = found.len();
        for (chars, (at, _)) in token.char_indices().enumerate().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(&l), Some(&r)) = (ids.get(left), ids.get(right)) {
                found.push((*score, chars, length - chars, (l, r)));
            }
        }
        found[start..].sort_by_key(|pair| pair.3);
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then((b.1, b.2).cmp(&(a.1, a.2))));
    found.into_iter().map(|(.., (l, r))| (tokens[l].to_owned(), tokens[r].to_owned())).collect()
}

/// Puts `before` and `after` around every text that is encoded with special tokens.
fn surround(
    tokenizer: &mut tokenizers::Tokenizer,
    tokens: &[&str],
    before: Option<u32>,
    after: Option<u32>,
) -> tokenizers::Result<()> {
    if before.is_none() && after.is_none() {
        return Ok(());
    }
    let name = |id: u32| tokens[id as usize].to_owned();
    let single: Vec<String> = before.map(name).into_iter().chain(["$A".to_owned()]).chain(after.map(name)).collect();
    let special: Vec<(String, u32)> = before.into_iter().chain(after).map(|id| (name(id), id)).collect();
    let processor = TemplateProcessing::builder().try_single(single)?.special_tokens(special).build()?;
    tokenizer.with_post_processor(Some(processor));
    Ok(())
}
