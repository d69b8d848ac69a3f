//! Models that this program writes: merged, as Hugging Face folders and GGUF files, and adapters as GGUF files. What is
//! written is read back and must compute what the base with the adapter beside it computes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tiny;

use linly_bench::job::CancelToken;
use linly_bench::model::folder_writer::{ModelToWrite, SHARD_BYTES, Watch, write_folder};
use linly_bench::model::gguf_export::{write_lora, write_model};
use linly_bench::model::{
    Decoder, Gguf, Lora, MergedWeights, ModelFiles, StorageType, Stretch, Tokenizer, WeightForm, Workspace, adapter,
    open,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tiny::{MODELS, oracle, relative_error, with_tokenizer};

/// Writes with nobody listening.
fn quietly<T>(write: impl FnOnce(&mut Watch<'_>) -> linly_bench::error::Result<T>) -> linly_bench::error::Result<T> {
    write(&mut Watch { progress: &mut |_, _| {}, cancel: &CancelToken::default() })
}

fn load(path: &Path) -> Decoder {
    let files = open(path).unwrap();
    Decoder::load(&files.config, &*files.weights, WeightForm::F32).unwrap()
}

fn logits(decoder: &Decoder, lora: Option<&Lora>) -> Vec<f32> {
    let ids: Vec<u32> = (0..40).map(|i| (i * i + 5 * i + 3) % 64).collect();
    let stretch = [Stretch { ids: &ids, past: Vec::new() }];
    let (hidden, _) = decoder.forward(&stretch, lora, &mut Workspace::default()).unwrap();
    decoder.logits(&hidden, ids.len(), lora)
}

/// Every tiny model with its adapter, and the one with DoRA and whole matrices.
fn cases(parent: &Path) -> Vec<(PathBuf, ModelFiles, Lora)> {
    let adapters = MODELS.iter().map(|name| (*name, oracle().join(name).join("adapter")));
    adapters
        .chain([("qwen2", oracle().join("dora/adapter"))])
        .map(|(name, dir)| {
            let base = with_tokenizer(parent, name);
            let files = open(&base).unwrap();
            let lora = adapter::load(&dir, &files.config).unwrap().lora;
            (base, files, lora)
        })
        .collect()
}

#[test]
fn a_merged_model_computes_what_base_and_adapter_do_in_either_format() {
    let place = tempfile::tempdir().unwrap();
    for (i, (base, files, lora)) in cases(place.path()).into_iter().enumerate() {
        let decoder = Decoder::load(&files.config, &*files.weights, WeightForm::F32).unwrap();
        let beside = logits(&decoder, Some(&lora));
        assert!(relative_error(&logits(&decoder, None), &beside) > 1e-2, "the adapter does nothing");
        let merged = MergedWeights::new(&*files.weights, &files.config, &lora);
        let model = ModelToWrite { config: merged.config(), weights: &merged, base: &base };
        let folder = place.path().join(format!("hf-{i}"));
        let file = place.path().join(format!("{i}.gguf"));
        quietly(|watch| write_folder(&folder, &model, StorageType::F32, SHARD_BYTES, &[], watch)).unwrap();
        quietly(|watch| write_model(&file, &model, StorageType::F32, watch)).unwrap();
        // Shards of the merged GGUF file: back again, from one format to the other.
        let again = place.path().join(format!("again-{i}"));
        let read = open(&file).unwrap();
        assert_eq!(read.config.tie_word_embeddings, merged.config().tie_word_embeddings);
        let back = ModelToWrite { config: &read.config, weights: &*read.weights, base: &file };
        quietly(|watch| write_folder(&again, &back, StorageType::F32, 20_000, &[], watch)).unwrap();
        assert!(!again.join("model.safetensors").exists() && again.join("model.safetensors.index.json").exists());
        for written in [&folder, &file, &again] {
            let error = relative_error(&logits(&load(written), None), &beside);
            assert!(error <= 1e-5, "{}: {error}", written.display());
            let (old, new) = (Tokenizer::open(&base).unwrap(), Tokenizer::open(written).unwrap());
            for text in ["the moth", "then 42 thee?", "</s>the</s>"] {
                assert_eq!(new.encode(text, true).unwrap(), old.encode(text, true).unwrap(), "{text}");
            }
            assert_eq!((new.eos(), new.eos_text()), (63, "</s>"));
            assert_eq!(new.chat_template(), old.chat_template());
        }
        for (storage, bound) in [(StorageType::Bf16, 0.03), (StorageType::F16, 0.005)] {
            let folder = place.path().join(format!("{}-{i}", storage.name()));
            quietly(|watch| write_folder(&folder, &model, storage, SHARD_BYTES, &[], watch)).unwrap();
            let error = relative_error(&logits(&load(&folder), None), &beside);
            assert!(error > 1e-6 && error < bound, "{}: {error}", storage.name());
        }
    }
}

#[test]
fn quantised_files_hold_what_their_types_can() {
    let place = tempfile::tempdir().unwrap();
    let base = with_tokenizer(place.path(), "llama");
    let files = open(&base).unwrap();
    let whole = logits(&load(&base), None);
    let model = ModelToWrite { config: &files.config, weights: &*files.weights, base: &base };
    let mut sizes = Vec::new();
    for storage in StorageType::ALL {
        let file = place.path().join(format!("{}.gguf", storage.name()));
        let bytes = quietly(|watch| write_model(&file, &model, storage, watch)).unwrap();
        assert_eq!(bytes, file.metadata().unwrap().len());
        let error = relative_error(&logits(&load(&file), None), &whole);
        // Seven products and a softmax a block lie between a rounded weight and a logit.
        assert!(error < 0.6, "{}: {error}", storage.name());
        let read = Gguf::open(&file).unwrap();
        let stored = |name: &str| format!("{:?}", read.tensor(name).unwrap().0.dtype).to_lowercase();
        assert_eq!(stored("blk.0.attn_norm.weight"), "f32");
        sizes.push((storage.name(), stored("blk.0.attn_q.weight"), stored("blk.0.ffn_down.weight"), bytes));
    }
    let of = |name: &str| sizes.iter().find(|(n, ..)| *n == name).unwrap();
    assert_eq!((of("q4_1").1.as_str(), of("q5_0").1.as_str()), ("q4_1", "q5_0"));
    // Rows of 32 hold no block of 256, rows of 48 none of 32.
    assert_eq!((of("q4_k").1.as_str(), of("q4_1").2.as_str()), ("q8_0", "f16"));
    assert!(of("f32").3 > of("f16").3 && of("f16").3 > of("q8_0").3 && of("q8_0").3 > of("q4_0").3);
}

/// The numbers of an f32 tensor of a GGUF file, and the length of its rows.
fn numbers(file: &Gguf, name: &str) -> (Vec<f32>, usize) {
    let (info, bytes) = file.tensor(name).unwrap_or_else(|| panic!("{name} is missing"));
    (bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(), info.shape[1])
}

#[test]
fn a_gguf_adapter_adds_to_the_base_file_what_the_merged_file_has() {
    let place = tempfile::tempdir().unwrap();
    for name in MODELS {
        let base = with_tokenizer(place.path(), name);
        let files = open(&base).unwrap();
        let mut lora = adapter::load(&oracle().join(name).join("adapter"), &files.config).unwrap().lora;
        // One module with a scale of its own, as alpha_pattern gives it.
        lora.blocks[1][0].as_mut().unwrap().scale *= 3.0;
        let merged = MergedWeights::new(&*files.weights, &files.config, &lora);
        let paths = ["base", "merged", "lora"].map(|kind| place.path().join(format!("{name}-{kind}.gguf")));
        let plain = ModelToWrite { config: &files.config, weights: &*files.weights, base: &base };
        quietly(|watch| write_model(&paths[0], &plain, StorageType::F32, watch)).unwrap();
        let model = ModelToWrite { config: merged.config(), weights: &merged, base: &base };
        quietly(|watch| write_model(&paths[1], &model, StorageType::F32, watch)).unwrap();
        write_lora(&paths[2], &lora, &files.config, name).unwrap();
        let [plain, merged, factors] = paths.map(|path| Gguf::open(&path).unwrap());
        assert_eq!(factors.text("general.type").unwrap(), "adapter");
        assert_eq!(factors.text("adapter.type").unwrap(), "lora");
        assert_eq!(factors.text("general.architecture").unwrap(), name);
        let alpha = factors.float_opt("adapter.lora.alpha").unwrap().unwrap() as f32;
        let mut count = 0;
        for tensor in factors.tensor_names().filter_map(|t| t.strip_suffix(".lora_a")) {
            let ((a, inputs), (b, rank)) =
                (numbers(&factors, &format!("{tensor}.lora_a")), numbers(&factors, &format!("{tensor}.lora_b")));
            let ((mut sum, _), (expected, _)) = (numbers(&plain, tensor), numbers(&merged, tensor));
            // As llama.cpp applies it: alpha over the rank that B has.
            for (i, w) in sum.iter_mut().enumerate() {
                let row = &b[i / inputs * rank..][..rank];
                let product: f32 = row.iter().enumerate().map(|(r, b)| b * a[r * inputs + i % inputs]).sum();
                *w += alpha / rank as f32 * product;
            }
            let error = relative_error(&sum, &expected);
            assert!(error < 1e-6, "{name}, {tensor}: {error}");
            count += 1;
        }
        assert_eq!(count, 14, "{name}");
    }
}

fn bench(home: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_linly-bench"))
        .args(["--home".as_ref(), home.as_os_str()])
        .args(args)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap()
}

#[test]
fn the_commands_write_and_refuse() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("home");
    let base = with_tokenizer(place.path(), "llama");
    let (base, adapter) = (base.to_str().unwrap(), oracle().join("llama/adapter"));
    let adapter = adapter.to_str().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (folder, file, lora) = (path("merged"), path("q.gguf"), path("lora.gguf"));

    let merge = ["models", "merge", "--model", base, "--adapter", adapter, "-o", &folder, "--dtype", "bf16", "--json"];
    let out = bench(&home, &merge);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        (&report["event"], &report["format"], &report["storage"]),
        (&json!("finished"), &json!("hf"), &json!("bf16"))
    );
    for args in [
        vec!["models", "quantize", "--model", base, "--adapter", adapter, "-o", &file],
        vec!["models", "export", "--model", base, "--adapter", adapter, "--format", "gguf-lora", "-o", &lora],
    ] {
        let out = bench(&home, &args);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(String::from_utf8_lossy(&out.stdout).trim_end(), *args.last().unwrap());
    }
    for (model, quantization) in [(&folder, "BF16"), (&file, "Q8_0")] {
        let out = bench(&home, &["models", "info", model, "--json"]);
        let info: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!((&info["quantization"], &info["chat_template"]), (&json!(quantization), &json!(true)));
    }

    // Nothing is replaced, and what cannot be is said before anything is written.
    let dora = oracle().join("dora/adapter");
    let (qwen2, other) = (with_tokenizer(place.path(), "qwen2"), path("other"));
    let (qwen2, dora) = (qwen2.to_str().unwrap(), dora.to_str().unwrap());
    for (code, args, words) in [
        (1, vec!["models", "merge", "--model", base, "--adapter", adapter, "-o", &folder], "there already"),
        (1, vec!["models", "quantize", "--model", base, "-o", &file], "there already"),
        (2, vec!["models", "quantize", "--model", base, "-o", &other, "--type", "q9_9"], "q4_1"),
        (2, vec!["models", "merge", "--model", base, "--adapter", adapter, "-o", &other, "--dtype", "q8_0"], "bf16"),
        (2, vec!["models", "export", "--model", base, "--format", "gguf-lora", "-o", &other], "--adapter"),
        (
            1,
            vec!["models", "export", "--model", qwen2, "--adapter", dora, "--format", "gguf-lora", "-o", &other],
            "modules_to_save",
        ),
        (1, vec!["models", "merge", "--model", base, "--adapter", "nobody", "-o", &other], "nobody"),
    ] {
        let out = bench(&home, &args);
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{args:?}: {stderr}");
        assert!(!Path::new(&other).exists(), "{args:?}");
    }
    let left =
        std::fs::read_dir(place.path()).unwrap().flatten().filter(|e| e.file_name().to_string_lossy().starts_with('.'));
    assert_eq!(left.count(), 0, "unfinished work was left behind");
}

#[test]
fn new_tokens_begin_as_the_mean_of_their_pieces_and_change_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("home");
    let base = with_tokenizer(place.path(), "llama");
    let rows = place.path().join("rows.jsonl");
    std::fs::write(&rows, json!({"instruction": "the é? 丸", "output": "中中 the 中"}).to_string()).unwrap();
    let path = |name: &str| place.path().join(name);
    let imported = bench(&home, &["data", "import", rows.to_str().unwrap(), "--name", "d"]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let (model, out, one, no) = (base.to_str().unwrap(), path("more"), path("one"), path("no"));
    let more = ["models", "expand-vocab", "--model", model, "--data", "d", "-o", out.to_str().unwrap(), "--json"];
    let ran = bench(&home, &more);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    // Three tokens each; 中 comes three times. A token `é` would be read as the byte that this letter stands for.
    assert_eq!(report["examples"], json!(["中", "丸"]));
    assert_eq!((&report["added"], &report["vocab_size"]), (&json!(2), &json!(66)));
    let saved = report["tokens_before"].as_u64().unwrap() - report["tokens_after"].as_u64().unwrap();
    assert_eq!(saved, 3 * 2 + 2);

    let (old, new) = (Tokenizer::open(&base).unwrap(), Tokenizer::open(&out).unwrap());
    assert_eq!(new.encode("the 中丸", false).unwrap(), [old.encode("the ", false).unwrap(), vec![64, 65]].concat());
    assert_eq!(new.decode(&new.encode("中é 丸the", false).unwrap()).unwrap(), "中é 丸the");
    let (before, after) = (open(&base).unwrap(), open(&out).unwrap());
    let embedding = |files: &ModelFiles| files.weights.tensor("model.embed_tokens.weight").unwrap().data;
    let (rows_before, rows_after) = (embedding(&before), embedding(&after));
    assert!(rows_after.starts_with(&rows_before));
    let pieces = old.encode("中", false).unwrap();
    assert_eq!(pieces.len(), 3);
    for (i, x) in rows_after[64 * 32..65 * 32].iter().enumerate() {
        let mean = pieces.iter().map(|id| rows_before[*id as usize * 32 + i]).sum::<f32>() / 3.0;
        assert!((x - mean).abs() < 1e-6);
    }
    let (whole, wider) = (logits(&load(&base), None), logits(&load(&out), None));
    let same: Vec<f32> = wider.chunks(66).flat_map(|row| row[..64].to_vec()).collect();
    assert!(relative_error(&same, &whole) < 1e-6, "logits of the old tokens changed");

    // In a GGUF file as well.
    let file = path("more.gguf");
    let export =
        ["models", "export", "--model", out.to_str().unwrap(), "--format", "gguf", "-o", file.to_str().unwrap()];
    assert!(bench(&home, &export).status.success());
    let read = Tokenizer::open(&file).unwrap();
    assert_eq!(read.encode("the 中é", false).unwrap(), new.encode("the 中é", false).unwrap());

    let limited =
        ["models", "expand-vocab", "--model", model, "--data", "d", "-o", one.to_str().unwrap(), "--tokens", "1"];
    assert!(bench(&home, &limited).status.success());
    assert_eq!(open(&one).unwrap().config.vocab_size, 65);
    let again = ["models", "expand-vocab", "--model", out.to_str().unwrap(), "--data", "d", "-o", no.to_str().unwrap()];
    let refused = bench(&home, &again);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("one token already"));
}
