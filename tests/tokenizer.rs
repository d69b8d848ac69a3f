//! Tokenizers: the same ids as transformers, from either format, and streams that never cut a character.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::gguf::{Meta, write_gguf};
use common::{test_gguf, test_hf};
use linly_bench::error::Kind;
use linly_bench::model::Tokenizer;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use std::path::PathBuf;

/// Texts and the ids that transformers gives for them (`fixtures/tokenizer_ids.py`): those of the
/// fixture, or of the file that `LINLY_BENCH_TEST_IDS` names.
fn golden() -> Vec<(String, Vec<u32>)> {
    let json = match std::env::var_os("LINLY_BENCH_TEST_IDS") {
        Some(path) => std::fs::read_to_string(path).unwrap(),
        None => include_str!("fixtures/tokenizer_ids.json").to_owned(),
    };
    let cases: serde_json::Value = serde_json::from_str(&json).unwrap();
    let ids = |case: &serde_json::Value| serde_json::from_value(case["ids"].clone()).unwrap();
    cases.as_array().unwrap().iter().map(|case| (case["text"].as_str().unwrap().to_owned(), ids(case))).collect()
}

fn real() -> Vec<PathBuf> {
    [test_gguf(), test_hf()].into_iter().flatten().collect()
}

#[test]
fn ids_equal_those_of_transformers() {
    for path in real() {
        let tokenizer = Tokenizer::open(&path).unwrap();
        for (text, ids) in golden() {
            assert_eq!(tokenizer.encode(&text, true).unwrap(), ids, "{}: {text:?}", path.display());
        }
    }
}

#[test]
fn both_formats_of_a_model_describe_one_tokenizer() {
    let (Some(gguf), Some(hf)) = (test_gguf(), test_hf()) else { return };
    let (a, b) = (Tokenizer::open(&gguf).unwrap(), Tokenizer::open(&hf).unwrap());
    assert_eq!(a.hash(), b.hash());
    assert_eq!((a.eos(), a.eos_text(), a.eos_ids()), (2, "<|im_end|>", &[2][..]));
    assert_eq!((a.eos(), a.eos_text(), a.eos_ids()), (b.eos(), b.eos_text(), b.eos_ids()));
    assert_eq!((a.bos_text(), a.vocab_size()), (b.bos_text(), b.vocab_size()));
    assert_eq!(a.chat_template().unwrap().trim_end(), b.chat_template().unwrap().trim_end());
}

/// A stream gives the same text as decoding at once, and no piece of it ends inside a character.
#[test]
fn streams_never_cut_a_character() {
    for path in real() {
        let tokenizer = Tokenizer::open(&path).unwrap();
        for (text, ids) in golden() {
            let mut stream = tokenizer.decode_stream();
            let mut shown = String::new();
            for id in &ids {
                if let Some(piece) = stream.step(*id).unwrap() {
                    assert!(!piece.contains('\u{fffd}'), "{piece:?} of {text:?}");
                    shown.push_str(&piece);
                }
            }
            shown.push_str(&stream.finish().unwrap());
            assert_eq!(shown, tokenizer.decode(&ids).unwrap());
        }
    }
}

/// Bytes that are no text come out in the end, rather than waiting for ever.
#[test]
fn a_stream_of_broken_bytes_goes_on() {
    for path in real() {
        let tokenizer = Tokenizer::open(&path).unwrap();
        let broken = tokenizer.encode("璪", false).unwrap()[0];
        let mut stream = tokenizer.decode_stream();
        let pieces = (0..100).filter(|_| stream.step(broken).unwrap().is_some()).count();
        assert!(pieces > 5);
    }
}

#[test]
fn single_tokens_can_be_shown() {
    for path in real() {
        let tokenizer = Tokenizer::open(&path).unwrap();
        let ids = tokenizer.encode(" price<|im_end|>", false).unwrap();
        let shown: Vec<String> = ids.iter().map(|&id| tokenizer.decode_token(id)).collect();
        assert_eq!(shown, [" price", "<|im_end|>"]);
        assert_eq!(tokenizer.decode(&ids).unwrap(), " price");
        assert_eq!(tokenizer.decode_token(u32::MAX), "\u{fffd}");
    }
}

/// A GGUF with nothing but a tokenizer.
fn vocabulary(kind: &str, pre: &str, tokens: &[&str], types: &[i32], extra: Vec<(&str, Meta)>) -> tempfile::TempPath {
    let mut meta = vec![
        ("general.architecture", Meta::Text("llama")),
        ("tokenizer.ggml.model", Meta::Text(kind)),
        ("tokenizer.ggml.pre", Meta::Text(pre)),
        ("tokenizer.ggml.tokens", Meta::Texts(tokens)),
        ("tokenizer.ggml.token_type", Meta::I32s(types)),
        ("tokenizer.ggml.eos_token_id", Meta::U32(2)),
        ("tokenizer.ggml.bos_token_id", Meta::U32(1)),
    ];
    meta.extend(extra);
    let path = tempfile::Builder::new().suffix(".gguf").tempfile().unwrap().into_temp_path();
    std::fs::write(&path, write_gguf(&meta, &[])).unwrap();
    path
}

/// SentencePiece: the better score merges first, unknown characters fall back to their bytes, a space
/// goes before the text and a beginning-of-sequence token before that.
#[test]
fn sentence_piece_vocabularies_merge_by_score() {
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).to_vec();
    tokens.extend((0..=255).map(|b| format!("<0x{b:02X}>")));
    let pieces = ["▁", "a", "b", "c", "ab", "bc", "abc", "▁a"];
    let piece = |name: &str| 259 + pieces.iter().position(|p| *p == name).unwrap() as u32;
    tokens.extend(pieces.map(String::from));
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let types: Vec<i32> =
        (0..tokens.len()).map(|i| [2, 3, 3].get(i).copied().unwrap_or(if i < 259 { 6 } else { 1 })).collect();
    let mut scores = vec![0.0; 259];
    scores.extend([-5.0, -6.0, -7.0, -8.0, -2.0, -1.0, -3.0, -4.0]);
    let path = vocabulary(
        "llama",
        "default",
        &tokens,
        &types,
        vec![("tokenizer.ggml.scores", Meta::F32s(&scores)), ("tokenizer.ggml.unknown_token_id", Meta::U32(0))],
    );
    let tokenizer = Tokenizer::open(&path).unwrap();
    // "bc" (-1) merges before "ab" (-2); "abc" then is "a" + "bc".
    assert_eq!(tokenizer.encode("abc", true).unwrap(), [1, piece("▁"), piece("abc")]);
    assert_eq!(tokenizer.encode("ab", false).unwrap(), [piece("▁"), piece("ab")]);
    assert_eq!(tokenizer.encode("a", false).unwrap(), [piece("▁a")]);
    let bytes: Vec<u32> = "元".bytes().map(|b| 3 + u32::from(b)).collect();
    assert_eq!(tokenizer.encode("元", false).unwrap(), [&[piece("▁")], &bytes[..]].concat());
    assert_eq!(tokenizer.decode(&tokenizer.encode("abc 元a", true).unwrap()).unwrap(), "abc 元a");
    assert_eq!(tokenizer.decode_token(piece("▁a")), " a");

    let mut stream = tokenizer.decode_stream();
    let pieces: Vec<Option<String>> = bytes.iter().map(|id| stream.step(*id).unwrap()).collect();
    assert_eq!(pieces, [None, None, Some("元".to_owned())]);
}

/// The kinds of byte-level vocabulary keep different numbers of digits together.
#[test]
fn byte_level_vocabularies_are_cut_by_name() {
    let tokens = ["x", "<s>", "</s>", "1", "2", "3", "4", "12", "123", "1234", "e", "\u{cc}", "\u{123}"];
    let types = [1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
    let merges = ["1 2", "12 3", "123 4"];
    let ids = |pre: &str, text: &str| {
        let extra = vec![("tokenizer.ggml.merges", Meta::Texts(&merges))];
        Tokenizer::open(&vocabulary("gpt2", pre, &tokens, &types, extra)).unwrap().encode(text, true).unwrap()
    };
    assert_eq!(ids("default", "1234"), [9]);
    assert_eq!(ids("qwen2", "1234"), [3, 4, 5, 6]);
    assert_eq!(ids("llama-bpe", "1234"), [1, 8, 6], "at most three digits, after a beginning-of-sequence token");
}

#[test]
fn unknown_kinds_are_refused_rather_than_guessed() {
    let tokens = ["a", "<s>", "</s>"];
    let merges = || vec![("tokenizer.ggml.merges", Meta::Texts(&[]))];
    for (kind, pre) in [("gpt2", "starcoder-x"), ("t5", "default"), ("bert", "default")] {
        let error = Tokenizer::open(&vocabulary(kind, pre, &tokens, &[1, 3, 3], merges())).err().unwrap();
        assert_eq!(error.kind, Kind::Unsupported, "{kind} {pre}");
        assert!(error.hint.is_some());
    }
    let broken = vec![("tokenizer.ggml.merges", Meta::Texts(&["a"]))];
    let error = Tokenizer::open(&vocabulary("gpt2", "default", &tokens, &[1, 3, 3], broken)).err().unwrap();
    assert_eq!(error.kind, Kind::Corrupt);
}

/// Whatever bytes of a vocabulary change, opening it and encoding with it end with a value or an error.
#[test]
fn forged_vocabularies_never_panic() {
    let tokens = ["a", "<s>", "</s>", "b", "ab", "\u{120}a", "\u{120}"];
    let merges = vec![("tokenizer.ggml.merges", Meta::Texts(&["a b", "\u{120} a"]))];
    let path = vocabulary("gpt2", "qwen2", &tokens, &[1, 3, 3, 1, 1, 1, 1], merges);
    let whole = std::fs::read(&path).unwrap();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    for _ in 0..2000 {
        let mut bytes = whole.clone();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bytes.len());
            bytes[at] = rng.random();
        }
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(tokenizer) = Tokenizer::open(&path) {
            let ids = tokenizer.encode("ab a中 </s>", true).unwrap_or_default();
            let _ = (tokenizer.decode(&ids), tokenizer.hash().len());
        }
    }
}

/// A folder: truncation and padding of its training are off, the template file wins over the embedded
/// one, and every end token counts.
#[test]
fn folders_say_what_ends_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, json: serde_json::Value| std::fs::write(dir.path().join(name), json.to_string()).unwrap();
    let special = |id: u32, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true})
    };
    let mut tokenizer = json!({"version": "1.0",
        "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "a"},
        "added_tokens": [special(4, "<eot>"), special(5, "<eos>")],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3}, "merges": []}});
    write("tokenizer.json", tokenizer.clone());
    write(
        "tokenizer_config.json",
        json!({"eos_token": {"content": "<eot>"},
        "chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]}),
    );
    write("generation_config.json", json!({"eos_token_id": [5, 4, 99]}));
    let t = Tokenizer::open(dir.path()).unwrap();
    assert_eq!(t.encode("abcd", true).unwrap(), [0, 1, 2, 3]);
    assert_eq!((t.eos_text(), t.eos_ids(), t.bos_text()), ("<eot>", &[4, 5][..], None));
    assert_eq!(t.chat_template(), Some("D"));
    std::fs::write(dir.path().join("chat_template.jinja"), "FILE").unwrap();
    assert_eq!(Tokenizer::open(dir.path()).unwrap().chat_template(), Some("FILE"));

    tokenizer["model"]["vocab"] = json!(3);
    write("tokenizer.json", tokenizer);
    assert_eq!(Tokenizer::open(dir.path()).err().unwrap().kind, Kind::Corrupt);
    std::fs::remove_file(dir.path().join("tokenizer.json")).unwrap();
    let error = Tokenizer::open(dir.path()).err().unwrap();
    assert!(error.kind == Kind::NotFound && error.hint.unwrap().contains("tokenizer.json"));
}
