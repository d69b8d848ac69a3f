//! Reading model files: formats against each other, damage, hostile headers.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::gguf::{Meta, write_gguf};
use common::{test_gguf, test_hf};
use linly_bench::error::Kind;
use linly_bench::model::{self, Gguf, ModelConfig, RopeScaling};
use rand::{RngExt, SeedableRng};
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;

/// The two formats of one model hold the same weights.
#[test]
fn gguf_and_hugging_face_copies_agree() {
    let (Some(gguf), Some(hf)) = (test_gguf(), test_hf()) else { return };
    let (a, b) = (model::open(&gguf).unwrap(), model::open(&hf).unwrap());
    assert_eq!(a.config, b.config);
    let mut compared = 0u64;
    for (name, shape) in a.config.tensors() {
        let (x, y) = (a.weights.tensor(&name).unwrap(), b.weights.tensor(&name).unwrap());
        assert_eq!((&x.shape, &y.shape), (&shape, &shape), "{name}");
        let worst = x.data.iter().zip(&y.data).map(|(p, q)| (p - q).abs()).fold(0.0, f32::max);
        assert!(worst <= 1e-6, "{name}: {worst}");
        compared += x.data.len() as u64;
    }
    assert_eq!(compared, a.config.parameters());
}

/// A llama with two heads of width 4, in GGUF; the q rows are numbered as Hugging Face orders them.
fn tiny_gguf() -> Vec<u8> {
    tiny_gguf_with(4, 10_000.0, vec![1.0, 1.0])
}

/// The same with heads of width `head` (a multiple of 4).
fn tiny_gguf_with(head: u64, theta: f32, divisors: Vec<f32>) -> Vec<u8> {
    let (h, rows) = (8u64, 8usize);
    // The converter interleaves the halves of a head: 0, 2, 1, 3 at width 4.
    let interleaved = |heads: u64| -> Vec<f32> {
        let row = |r: u64| r / head * head + r % 2 * (head / 2) + r % head / 2;
        (0..heads * head).flat_map(|r| vec![row(r) as f32; rows]).collect()
    };
    let plain = |n: usize| (0..n).map(|i| i as f32).collect::<Vec<f32>>();
    let mut tensors = vec![
        ("token_embd.weight".to_owned(), vec![h, 10], plain(80)),
        ("output_norm.weight".to_owned(), vec![h], plain(8)),
        ("rope_freqs.weight".to_owned(), vec![divisors.len() as u64], divisors),
    ];
    for (name, dims, data) in [
        ("attn_norm", vec![h], plain(8)),
        ("attn_q", vec![h, 2 * head], interleaved(2)),
        ("attn_k", vec![h, head], interleaved(1)),
        ("attn_v", vec![h, head], plain(8 * head as usize)),
        ("attn_output", vec![2 * head, h], plain(16 * head as usize)),
        ("ffn_norm", vec![h], plain(8)),
        ("ffn_gate", vec![h, 16], plain(128)),
        ("ffn_up", vec![h, 16], plain(128)),
        ("ffn_down", vec![16, h], plain(128)),
    ] {
        tensors.push((format!("blk.0.{name}.weight"), dims, data));
    }
    let meta = [
        ("general.architecture", Meta::Text("llama")),
        ("llama.block_count", Meta::U32(1)),
        ("llama.context_length", Meta::U32(64)),
        ("llama.embedding_length", Meta::U32(8)),
        ("llama.feed_forward_length", Meta::U32(16)),
        ("llama.attention.head_count", Meta::U32(2)),
        ("llama.attention.head_count_kv", Meta::U32(1)),
        ("llama.attention.layer_norm_rms_epsilon", Meta::F32(1e-5)),
        ("llama.attention.key_length", Meta::U32(head as u32)),
        ("llama.rope.freq_base", Meta::F32(theta)),
        ("llama.vocab_size", Meta::U32(10)),
        ("tokenizer.ggml.tokens", Meta::Texts(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"])),
    ];
    write_gguf(&meta, &tensors)
}

#[test]
fn llama_rows_come_back_in_hugging_face_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.gguf");
    std::fs::write(&path, tiny_gguf()).unwrap();
    let files = model::open(&path).unwrap();
    for (name, rows) in [("q", 8), ("k", 4)] {
        let t = files.weights.tensor(&format!("model.layers.0.self_attn.{name}_proj.weight")).unwrap();
        let order: Vec<f32> = t.data.chunks(8).map(|row| row[0]).collect();
        assert_eq!(order, (0..rows).map(|r| r as f32).collect::<Vec<_>>());
    }
    assert!(files.config.tie_word_embeddings);
    assert_eq!(files.config.rope_scaling, None);
    assert_eq!(files.weights.names().len(), 11, "rope_freqs is no weight");
}

/// Every prefix of a GGUF file is recognised as cut short, with the number of missing bytes.
#[test]
fn a_gguf_cut_anywhere_is_corrupt() {
    let whole = tiny_gguf();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.gguf");
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let error = model::open(&path).err().unwrap_or_else(|| panic!("cut at {cut} was accepted"));
        assert_eq!(error.kind, Kind::Corrupt, "cut at {cut}: {error}");
        assert!(error.message.contains("missing"), "cut at {cut}: {error}");
        assert!(error.hint.is_some());
    }
}

/// The same on the real file, at header boundaries and inside the data.
#[test]
fn the_real_gguf_cut_is_corrupt() {
    let Some(gguf) = test_gguf() else { return };
    let bytes = std::fs::read(&gguf).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.gguf");
    for cut in [3, 24, 1000, 500_000, 1_700_000, 2_000_000] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        assert_eq!(model::open(&path).err().unwrap().kind, Kind::Corrupt, "cut at {cut}");
    }
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let error = model::open(&path).err().unwrap();
    assert!(error.message.contains("at least 1 bytes are missing"), "{error}");
}

/// Whatever bytes of the header change, reading ends with a value or an error, never a panic, and
/// never by allocating what a forged length asks for.
#[test]
fn forged_headers_never_panic() {
    let whole = tiny_gguf();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("forged.gguf");
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    for _ in 0..4000 {
        let mut bytes = whole.clone();
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..1200.min(bytes.len()));
            match rng.random_range(0..3) {
                0 => bytes[at] = rng.random(),
                1 => bytes[at] ^= 1 << rng.random_range(0..8),
                _ => {
                    let end = (at + 8).min(bytes.len());
                    bytes[at..end].fill(if rng.random() { 0xff } else { 0x7f });
                }
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(files) = model::open(&path) {
            for name in files.weights.names() {
                let _ = files.weights.tensor(&name);
            }
        }
    }
}

#[test]
fn what_is_no_gguf_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.gguf");
    let kind_of = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Gguf::open(&path).err().unwrap()
    };
    assert!(kind_of(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n").message.contains("LFS"));
    assert_eq!(kind_of(b"GGUF\x01\0\0\0................................").kind, Kind::Unsupported);
    assert_eq!(kind_of(b"GGUF\0\0\0\x03................................").kind, Kind::Unsupported);
    assert_eq!(kind_of(b"").kind, Kind::Corrupt);
    assert_eq!(model::open(&dir.path().join("none.gguf")).err().unwrap().kind, Kind::NotFound);
    std::fs::write(dir.path().join("pytorch_model.bin"), b"\x80\x02").unwrap();
    assert_eq!(model::open(&dir.path().join("pytorch_model.bin")).err().unwrap().kind, Kind::Unsupported);
}

fn tiny_config() -> serde_json::Value {
    json!({"model_type": "qwen2", "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 10, "rms_norm_eps": 1e-6,
        "max_position_embeddings": 64, "rope_theta": 1000000.0, "tie_word_embeddings": false, "hidden_act": "silu"})
}

/// Writes the model of `tiny_config` in two shards, each weight in the type that `dtype` picks; the
/// values (small whole numbers) survive every type.
fn write_sharded(dir: &Path, dtype: fn(usize) -> safetensors::Dtype) -> HashMap<String, Vec<f32>> {
    use safetensors::tensor::TensorView;
    std::fs::write(dir.join("config.json"), tiny_config().to_string()).unwrap();
    let config = ModelConfig::from_hf(&tiny_config()).unwrap();
    let (mut values, mut raw, mut map) = (HashMap::new(), Vec::new(), serde_json::Map::new());
    for (i, (name, shape)) in config.tensors().into_iter().enumerate() {
        let n: usize = shape.iter().product();
        let data: Vec<f32> = (0..n).map(|j| ((i * 31 + j * 7) % 128) as f32 - 64.0).collect();
        let bytes: Vec<u8> = data
            .iter()
            .flat_map(|x| match dtype(i) {
                safetensors::Dtype::F32 => x.to_le_bytes().to_vec(),
                safetensors::Dtype::F16 => half::f16::from_f32(*x).to_le_bytes().to_vec(),
                _ => half::bf16::from_f32(*x).to_le_bytes().to_vec(),
            })
            .collect();
        let shard = format!("model-0000{}-of-00002.safetensors", i % 2 + 1);
        map.insert(name.clone(), shard.clone().into());
        values.insert(name.clone(), data);
        raw.push((shard, name, dtype(i), shape, bytes));
    }
    for shard in ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] {
        let views = raw.iter().filter(|r| r.0 == shard);
        let views = views.map(|r| (r.1.clone(), TensorView::new(r.2, r.3.clone(), &r.4).unwrap()));
        std::fs::write(dir.join(shard), safetensors::serialize(views, None).unwrap()).unwrap();
    }
    let index = json!({"metadata": {}, "weight_map": map});
    std::fs::write(dir.join("model.safetensors.index.json"), index.to_string()).unwrap();
    values
}

#[test]
fn sharded_safetensors_of_every_type_read_back() {
    use safetensors::Dtype::{BF16, F16, F32};
    for dtype in [(|_| F32) as fn(usize) -> safetensors::Dtype, |_| F16, |_| BF16, |i| [F32, F16, BF16][i % 3]] {
        let dir = tempfile::tempdir().unwrap();
        let values = write_sharded(dir.path(), dtype);
        let files = model::open(dir.path()).unwrap();
        assert!(files.config.qkv_bias);
        assert_eq!(files.weights.names().len(), values.len());
        for (name, data) in values {
            assert_eq!(files.weights.tensor(&name).unwrap().data, data, "{name}");
        }
        assert!(files.weights.try_tensor("model.nonsense").unwrap().is_none());
        assert_eq!(files.weights.tensor("model.nonsense").err().unwrap().kind, Kind::Corrupt);
    }
}

#[test]
fn damaged_folders_say_what_is_wrong() {
    let open = |change: &dyn Fn(&Path)| {
        let dir = tempfile::tempdir().unwrap();
        write_sharded(dir.path(), |_| safetensors::Dtype::F32);
        change(dir.path());
        model::open(dir.path()).err().unwrap()
    };
    let shard = "model-00002-of-00002.safetensors";
    let error = open(&|dir| std::fs::remove_file(dir.join(shard)).unwrap());
    assert!(error.message.contains(shard) && error.kind == Kind::Corrupt, "{error}");

    let error = open(&|dir| {
        let bytes = std::fs::read(dir.join(shard)).unwrap();
        std::fs::write(dir.join(shard), &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(error.message.contains(shard) && error.kind == Kind::Corrupt, "{error}");

    let error = open(&|dir| {
        let mut config = tiny_config();
        config["intermediate_size"] = 32.into();
        std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    });
    let named = error.message.contains("mlp.gate_proj.weight");
    assert!(named && error.message.contains("[16, 8]") && error.message.contains("[32, 8]"), "{error}");

    let error = open(&|dir| {
        let mut config = tiny_config();
        config["num_hidden_layers"] = 3.into();
        std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    });
    assert!(error.message.contains("model.layers.2.") && error.message.contains("missing"), "{error}");

    let error = open(&|dir| {
        let index = json!({"weight_map": {"model.norm.weight": "../outside.safetensors"}});
        std::fs::write(dir.join("model.safetensors.index.json"), index.to_string()).unwrap();
    });
    assert!(error.kind == Kind::Corrupt && error.message.contains("outside"), "{error}");

    let error = open(&|dir| {
        for file in ["model.safetensors.index.json", shard, "model-00001-of-00002.safetensors"] {
            std::fs::remove_file(dir.join(file)).unwrap();
        }
        std::fs::write(dir.join("pytorch_model.bin"), b"\x80\x02").unwrap();
    });
    assert!(error.kind == Kind::Unsupported && error.hint.is_some(), "{error}");
}

/// A decoder that was saved without its head has no `model.` prefix.
#[test]
fn the_model_prefix_may_be_absent() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = tiny_config();
    config["tie_word_embeddings"] = true.into();
    config["model_type"] = "llama".into();
    std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    let config = ModelConfig::from_hf(&config).unwrap();
    let raw: Vec<_> = config
        .tensors()
        .into_iter()
        .map(|(name, shape)| {
            let n: usize = shape.iter().product();
            (name.trim_start_matches("model.").to_owned(), shape, vec![0u8; n * 4])
        })
        .collect();
    let views = raw.iter().map(|(name, shape, bytes)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    std::fs::write(dir.path().join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    model::open(dir.path()).unwrap();
}

#[test]
fn configurations_are_checked() {
    let with = |field: &str, value: serde_json::Value| {
        let mut json = tiny_config();
        json[field] = value;
        ModelConfig::from_hf(&json)
    };
    for (field, value) in [
        ("hidden_size", json!(0)),
        ("hidden_size", json!("8")),
        ("vocab_size", json!(1u64 << 60)),
        ("num_key_value_heads", json!(0)),
        ("num_hidden_layers", json!(-1)),
        ("head_dim", json!(3)),
        ("rms_norm_eps", json!(0.0)),
        ("rope_theta", json!(-1.0)),
        ("max_position_embeddings", json!(0)),
    ] {
        let error = with(field, value.clone()).err().unwrap_or_else(|| panic!("{field} = {value} was accepted"));
        assert!(error.kind == Kind::InvalidInput && error.message.contains(field), "{field}: {error}");
    }
    let error = with("num_attention_heads", json!(3)).err().unwrap();
    assert!(error.message.contains("head_dim"), "8 is not divisible by 3: {error}");
    let error = with("model_type", json!("mamba")).err().unwrap();
    assert!(error.kind == Kind::Unsupported && error.hint.unwrap().contains("qwen3"));
    for (field, value) in
        [("hidden_act", json!("gelu")), ("use_sliding_window", json!(true)), ("quantization_config", json!({}))]
    {
        assert_eq!(with(field, value).err().unwrap().kind, Kind::Unsupported, "{field}");
    }
    assert_eq!(with("rope_scaling", json!({"type": "yarn"})).err().unwrap().kind, Kind::Unsupported);
}

#[test]
fn configurations_survive_being_written() {
    let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32});
    for scaling in [json!(null), json!({"type": "linear", "factor": 2.0}), llama3] {
        for kind in ["llama", "qwen2", "qwen3"] {
            let mut json = tiny_config();
            json["model_type"] = kind.into();
            json["rope_scaling"] = scaling.clone();
            let config = ModelConfig::from_hf(&json).unwrap();
            assert_eq!(config.rope_scaling.is_some(), !scaling.is_null());
            assert_eq!(ModelConfig::from_hf(&config.to_hf()).unwrap(), config);
        }
    }
}

/// GGUF states the outcome of the Llama 3 rule, a divisor for each frequency; its parameters are found
/// again. Divisors that follow another rule are refused.
#[test]
fn llama3_scaling_is_recognised_from_its_divisors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.gguf");
    let open = |divisors: Vec<f32>| {
        std::fs::write(&path, tiny_gguf_with(32, 500_000.0, divisors)).unwrap();
        model::open(&path)
    };
    // Wavelengths of θ = 500,000 at head width 32: 2π·θ^(i/16). Below 8192/4 nothing changes, above
    // 8192 all is divided, between them the inverse is blended (the rule as Llama 3.1 published it).
    let divisors: Vec<f32> = (0..16)
        .map(|i| {
            let wavelength = std::f64::consts::TAU * 500_000f64.powf(f64::from(i) / 16.0);
            let smooth = ((8192.0 / wavelength - 1.0) / 3.0).clamp(0.0, 1.0);
            (1.0 / ((1.0 - smooth) / 8.0 + smooth)) as f32
        })
        .collect();
    let rule =
        RopeScaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_max_positions: 8192 };
    assert_eq!(open(divisors.clone()).unwrap().config.rope_scaling, Some(rule));
    let mut other = divisors.clone();
    other[15] = 4.0;
    assert_eq!(open(other).err().unwrap().kind, Kind::Unsupported);
    assert_eq!(open(divisors[..8].to_vec()).err().unwrap().kind, Kind::Unsupported);
}
