//! DoRA and matrices trained as a whole: adapter files, logits and every gradient equal PEFT's
//! (`tests/oracle/dora_saved.py` made the expected values, in float64).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use linly_bench::batch::collate;
use linly_bench::model::{Decoder, Lora, Stretch, Tape, WeightForm, Workspace, adapter, open};
use linly_bench::prompt::Rendered;
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/tiny")
}

fn decoder() -> Decoder {
    let files = open(&tiny().join("qwen2")).unwrap();
    Decoder::load(&files.config, &*files.weights, WeightForm::F32).unwrap()
}

fn rows() -> Vec<Rendered> {
    let rows: serde_json::Value = serde_json::from_slice(&std::fs::read(tiny().join("rows.json")).unwrap()).unwrap();
    let row = |row: &serde_json::Value| {
        let ids: Vec<u32> = row["ids"].as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u32).collect();
        let first = row["first_supervised"].as_u64().unwrap() as usize;
        Rendered { mask: (0..ids.len()).map(|i| i >= first).collect(), ids, text: String::new() }
    };
    rows.as_array().unwrap().iter().map(row).collect()
}

fn floats(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let view = tensors.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn relative_error(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |x: f64| x * x;
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let norm: f64 = b.iter().map(|b| square(f64::from(*b))).sum();
    assert!(norm > 0.0, "the expected values are all zero: nothing would be tested");
    (difference / norm).sqrt()
}

#[test]
fn loss_logits_and_gradients_equal_peft() {
    let decoder = decoder();
    let lora = adapter::load(&tiny().join("dora/adapter"), decoder.config()).unwrap().lora;
    let bytes = std::fs::read(tiny().join("dora/expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let rows = rows();
    let batch = collate(&rows);
    let mut gradients = lora.zero_gradients();
    let scale = 1.0 / batch.targets.len() as f32;
    let sum = decoder.loss(&batch, Some(&lora), None, Some((&mut gradients, scale)), &mut Tape::default()).unwrap();
    let (loss, peft) = (sum / batch.targets.len() as f64, f64::from(floats(&expected, "loss")[0]));
    assert!((loss - peft).abs() < 1e-5 * peft, "loss {loss}, PEFT {peft}");
    let names: Vec<String> = lora.tensors().into_iter().map(|(name, _, _)| name).collect();
    // Two blocks of seven projections with A, B and a magnitude, and two whole matrices.
    assert_eq!(names.len(), 2 * 7 * 3 + 2);
    for (name, gradient) in names.iter().zip(gradients.parts()) {
        let error = relative_error(gradient, &floats(&expected, &format!("grad.{name}")));
        assert!(error < 1e-4, "{name}: relative error {error}");
    }
    // Norms that are computed at each use, and once for all.
    for lora in [lora.clone(), Arc::unwrap_or_clone(decoder.settle(Arc::new(lora)))] {
        for (i, row) in rows.iter().enumerate() {
            let stretch = [Stretch { ids: &row.ids, past: Vec::new() }];
            let (hidden, _) = decoder.forward(&stretch, Some(&lora), &mut Workspace::default()).unwrap();
            let logits = decoder.logits(&hidden, row.ids.len(), Some(&lora));
            let error = relative_error(&logits, &floats(&expected, &format!("adapted.{i}")));
            assert!(error < 1e-5, "row {i}: relative error {error}");
        }
    }
}

#[test]
fn the_files_read_back_the_same() {
    let decoder = decoder();
    let lora = adapter::load(&tiny().join("dora/adapter"), decoder.config()).unwrap().lora;
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("adapter");
    adapter::save(&dir, &lora, "some/base", &adapter::AdapterOrigin::default()).unwrap();
    let back = adapter::load(&dir, decoder.config()).unwrap().lora;
    assert_eq!(back, lora);
}

/// Before its first step an adapter changes nothing, whatever its kind.
#[test]
fn a_fresh_adapter_leaves_the_model_as_it_is() {
    let decoder = decoder();
    let mut config = adapter::load(&tiny().join("dora/adapter"), decoder.config()).unwrap().lora.config;
    config.rank = 5;
    let mut lora = Lora::new(config, decoder.config(), 3);
    decoder.prepare(&mut lora);
    let row = &rows()[0];
    let logits = |lora: Option<&Lora>| {
        let stretch = [Stretch { ids: &row.ids, past: Vec::new() }];
        let (hidden, _) = decoder.forward(&stretch, lora, &mut Workspace::default()).unwrap();
        decoder.logits(&hidden, row.ids.len(), lora)
    };
    assert!(relative_error(&logits(Some(&lora)), &logits(None)) < 1e-6);
}
