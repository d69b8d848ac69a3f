//! Adapters whose modules differ in rank and alpha: PEFT's own files read as PEFT reads them
//! (`tests/oracle/adapter_patterns.py` made them and the expected values), and are written back the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use linly_bench::error::Kind;
use linly_bench::model::{Decoder, Lora, Projection, Stretch, WeightForm, Workspace, adapter, open};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/tiny")
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn llama() -> Decoder {
    let files = open(&tiny().join("llama")).unwrap();
    Decoder::load(&files.config, &*files.weights, WeightForm::F32).unwrap()
}

/// A copy of PEFT's folder with its config changed.
fn edited(edit: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut config = read_json(&tiny().join("patterns/adapter_config.json"));
    edit(&mut config);
    std::fs::write(dir.path().join("adapter_config.json"), config.to_string()).unwrap();
    let weights = "adapter_model.safetensors";
    std::fs::copy(tiny().join("patterns").join(weights), dir.path().join(weights)).unwrap();
    dir
}

#[test]
fn ranks_scales_and_logits_are_those_of_peft() {
    let decoder = llama();
    let folder = tiny().join("patterns");
    let lora = adapter::load(&folder, decoder.config()).unwrap().lora;
    let modules = read_json(&folder.join("modules.json"));
    let mut seen = 0;
    for (layer, block) in lora.blocks.iter().enumerate() {
        for (projection, pair) in Projection::ALL.iter().zip(block) {
            let expected = &modules[format!("model.layers.{layer}.{}", projection.path())];
            let Some(pair) = pair else {
                assert!(expected.is_null());
                continue;
            };
            assert_eq!(pair.rank as u64, expected["rank"].as_u64().unwrap());
            assert_eq!(pair.scale, expected["scale"].as_f64().unwrap() as f32);
            seen += 1;
        }
    }
    assert_eq!(seen, modules.as_object().unwrap().len());

    let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let rows = read_json(&tiny().join("rows.json"));
    for (i, row) in rows.as_array().unwrap().iter().enumerate() {
        let ids: Vec<u32> = row["ids"].as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u32).collect();
        let mut w = Workspace::default();
        let (hidden, _) = decoder.forward(&[Stretch { ids: &ids, past: Vec::new() }], Some(&lora), &mut w).unwrap();
        let ours = decoder.logits(&hidden, ids.len(), Some(&lora));
        let peft = expected.tensor(&format!("adapted.{i}")).unwrap();
        let peft = peft.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let (mut difference, mut norm) = (0.0, 0.0);
        for (a, b) in ours.iter().zip(peft) {
            difference += f64::from(a - b).powi(2);
            norm += f64::from(b).powi(2);
        }
        assert!((difference / norm).sqrt() < 1e-5, "row {i}: relative error {}", (difference / norm).sqrt());
    }
}

#[test]
fn what_is_written_says_what_peft_said() {
    let decoder = llama();
    let lora = adapter::load(&tiny().join("patterns"), decoder.config()).unwrap().lora;
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("adapter");
    adapter::save(&dir, &lora, "base", &adapter::AdapterOrigin::default()).unwrap();
    assert_eq!(adapter::load(&dir, decoder.config()).unwrap().lora, lora);
    let (ours, peft) =
        (read_json(&dir.join("adapter_config.json")), read_json(&tiny().join("patterns/adapter_config.json")));
    for key in ["r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_dora", "use_rslora", "task_type"] {
        assert_eq!(ours[key], peft[key], "{key}");
    }
    // A fresh adapter of the same settings has tensors of the same names and shapes.
    let fresh = Lora::new(lora.config.clone(), decoder.config(), 1);
    let shapes = |lora: &Lora| lora.tensors().into_iter().map(|(name, shape, _)| (name, shape)).collect::<Vec<_>>();
    assert_eq!(shapes(&fresh), shapes(&lora));
}

#[test]
fn a_config_that_contradicts_its_tensors_is_refused_by_name() {
    let decoder = llama();
    let refused = |edit: fn(&mut Value)| adapter::load(edited(edit).path(), decoder.config()).err().unwrap();
    for (edit, tensor, words) in [
        ((|c| c["r"] = json!(8)) as fn(&mut Value), "layers.0.self_attn.k_proj.lora_A", "has rank 4"),
        (|c| c["rank_pattern"] = json!({}), "layers.0.self_attn.q_proj.lora_A", "has rank 2"),
        (|c| c["rank_pattern"]["v_proj"] = json!(9), "layers.0.self_attn.v_proj.lora_A", "says 9"),
        (|c| c["use_dora"] = json!(true), "lora_magnitude_vector", "is missing"),
        (|c| c["modules_to_save"] = json!(["lm_head"]), "lm_head.weight", "is missing"),
    ] {
        let error = refused(edit);
        assert_eq!(error.kind, Kind::Mismatch, "{error}");
        assert!(error.message.contains(tensor) && error.message.contains(words), "{}", error.message);
        assert!(error.hint.is_some());
    }
    for (edit, word) in [
        ((|c| c["alpha_pattern"][r"layers\.[01]\.mlp\..*"] = json!(2)) as fn(&mut Value), "regular expression"),
        (|c| c["rank_pattern"]["down_proj"] = json!(0), "down_proj"),
        (|c| c["modules_to_save"] = json!(["norm"]), "modules_to_save"),
    ] {
        let error = refused(edit);
        assert_eq!(error.kind, Kind::Unsupported, "{error}");
        assert!(error.message.contains(word), "{}", error.message);
    }
    // PEFT of earlier versions wrote null, or nothing, for no patterns.
    let null = edited(|c| c["alpha_pattern"] = Value::Null);
    let lora = adapter::load(null.path(), decoder.config()).unwrap().lora;
    assert!(lora.config.alpha_pattern.is_empty());
}
