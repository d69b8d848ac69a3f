//! DoRA and matrices trained as a whole: adapter files, logits and every gradient equal PEFT's
//! (`tests/oracle/dora_saved.py` made the expected values, in float64).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tiny;

use linly_bench::batch::collate;
use linly_bench::model::{Lora, Stretch, Tape, WeightForm, Workspace, adapter};
use safetensors::SafeTensors;
use std::sync::Arc;
use tiny::{decoder, floats, oracle, oracle_rows, relative_error};

#[test]
fn loss_logits_and_gradients_equal_peft() {
    let decoder = decoder("qwen2", WeightForm::F32);
    let lora = adapter::load(&oracle().join("dora/adapter"), decoder.config()).unwrap().lora;
    let bytes = std::fs::read(oracle().join("dora/expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let rows = oracle_rows();
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
    let decoder = decoder("qwen2", WeightForm::F32);
    let lora = adapter::load(&oracle().join("dora/adapter"), decoder.config()).unwrap().lora;
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("adapter");
    adapter::save(&dir, &lora, "some/base", &adapter::AdapterOrigin::default()).unwrap();
    let back = adapter::load(&dir, decoder.config()).unwrap().lora;
    assert_eq!(back, lora);
}

/// Before its first step an adapter changes nothing, whatever its kind.
#[test]
fn a_fresh_adapter_leaves_the_model_as_it_is() {
    let decoder = decoder("qwen2", WeightForm::F32);
    let mut config = adapter::load(&oracle().join("dora/adapter"), decoder.config()).unwrap().lora.config;
    config.rank = 5;
    let mut lora = Lora::new(config, decoder.config(), 3);
    decoder.prepare(&mut lora);
    let row = &oracle_rows()[0];
    let logits = |lora: Option<&Lora>| {
        let stretch = [Stretch { ids: &row.ids, past: Vec::new() }];
        let (hidden, _) = decoder.forward(&stretch, lora, &mut Workspace::default()).unwrap();
        decoder.logits(&hidden, row.ids.len(), lora)
    };
    assert!(relative_error(&logits(Some(&lora)), &logits(None)) < 1e-6);
}
