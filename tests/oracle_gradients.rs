//! Losses, logits and every LoRA gradient of tiny Llama, Qwen2 and Qwen3 models equal those of PyTorch +
//! PEFT (`tests/oracle/tiny_models.py` made the expected values, in float64).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tiny;

use linly_bench::batch::collate;
use linly_bench::model::{Decoder, LoraGradients, Stretch, Tape, WeightForm, Workspace, adapter};
use linly_bench::prompt::Rendered;
use safetensors::SafeTensors;
use tiny::{MODELS, floats, oracle, oracle_rows, relative_error};

struct Case {
    decoder: Decoder,
    adapter: adapter::Adapter,
    expected: Vec<u8>,
    rows: Vec<Rendered>,
}

fn case(name: &str) -> Case {
    let decoder = tiny::decoder(name, WeightForm::F32);
    let adapter = adapter::load(&oracle().join(name).join("adapter"), decoder.config()).unwrap();
    let expected = std::fs::read(oracle().join(name).join("expected.safetensors")).unwrap();
    Case { rows: oracle_rows(), decoder, adapter, expected }
}

#[test]
fn one_step_of_gradients_equals_peft() {
    for name in MODELS {
        let case = case(name);
        let expected = SafeTensors::deserialize(&case.expected).unwrap();
        let batch = collate(&case.rows);
        let lora = &case.adapter.lora;
        let mut gradients: LoraGradients = lora.zero_gradients();
        let mut tape = Tape::default();
        let scale = 1.0 / batch.targets.len() as f32;
        let sum = case.decoder.loss(&batch, Some(lora), None, Some((&mut gradients, scale)), &mut tape).unwrap();
        let loss = sum / batch.targets.len() as f64;
        let expected_loss = f64::from(floats(&expected, "loss")[0]);
        assert!((loss - expected_loss).abs() < 1e-5 * expected_loss, "{name}: loss {loss}, PEFT {expected_loss}");
        let names: Vec<String> = lora.tensors().into_iter().map(|(name, _, _)| name).collect();
        assert_eq!(names.len(), 2 * 7 * 2);
        for (tensor, gradient) in names.iter().zip(gradients.parts()) {
            let error = relative_error(gradient, &floats(&expected, &format!("grad.{tensor}")));
            assert!(error < 1e-4, "{name}: {tensor}: relative error {error}");
        }
    }
}

#[test]
fn the_window_may_be_split_into_micro_batches_at_will() {
    let case = case("llama");
    let lora = &case.adapter.lora;
    let gradients_of = |batches: &[&[Rendered]]| {
        let supervised: usize = case.rows.iter().map(linly_bench::batch::supervised_tokens).sum();
        let mut gradients = lora.zero_gradients();
        let mut tape = Tape::default();
        for rows in batches {
            let batch = collate(*rows);
            let wanted = Some((&mut gradients, 1.0 / supervised as f32));
            case.decoder.loss(&batch, Some(lora), None, wanted, &mut tape).unwrap();
        }
        gradients.parts().concat()
    };
    let together = gradients_of(&[&case.rows]);
    let apart = gradients_of(&[&case.rows[..1], &case.rows[1..]]);
    assert!(relative_error(&apart, &together) < 1e-5);
}

#[test]
fn logits_of_base_and_adapter_equal_peft_whole_and_through_the_cache() {
    for name in MODELS {
        let case = case(name);
        let expected = SafeTensors::deserialize(&case.expected).unwrap();
        for (i, row) in case.rows.iter().enumerate() {
            for (key, lora) in [("base", None), ("adapted", Some(&case.adapter.lora))] {
                let wanted = floats(&expected, &format!("{key}.{i}"));
                let mut w = Workspace::default();
                let whole = [Stretch { ids: &row.ids, past: Vec::new() }];
                let (hidden, _) = case.decoder.forward(&whole, lora, &mut w).unwrap();
                let error = relative_error(&case.decoder.logits(&hidden, row.ids.len(), lora), &wanted);
                assert!(error < 1e-5, "{name} {key}.{i}: relative error {error}");
                // The same tokens in three stretches, each seeing the ones before through the cache.
                let (a, rest) = row.ids.split_at(2);
                let (b, c) = rest.split_at(3);
                let mut caches = Vec::new();
                let mut hidden = Vec::new();
                for ids in [a, b, c] {
                    let past = caches.iter().collect();
                    let (h, mut cache) = case.decoder.forward(&[Stretch { ids, past }], lora, &mut w).unwrap();
                    hidden.extend(h);
                    caches.append(&mut cache);
                }
                let error = relative_error(&case.decoder.logits(&hidden, row.ids.len(), lora), &wanted);
                assert!(error < 1e-5, "{name} {key}.{i} in stretches: relative error {error}");
            }
        }
    }
}

#[test]
fn an_adapter_of_another_base_is_refused() {
    let llama = case("llama");
    let error = adapter::load(&oracle().join("qwen3/adapter"), llama.decoder.config()).err().unwrap();
    assert_eq!(error.kind, linly_bench::error::Kind::Mismatch, "{error}");
    assert!(error.hint.is_some());
}

#[test]
fn a_written_adapter_reads_back_the_same() {
    let case = case("qwen2");
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("adapter");
    let origin = adapter::AdapterOrigin { template: "chat".to_owned(), ..Default::default() };
    adapter::save(&dir, &case.adapter.lora, "some/base", &origin).unwrap();
    // Again over itself: the second replaces the first and nothing else stays behind.
    adapter::save(&dir, &case.adapter.lora, "some/base", &origin).unwrap();
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    let back = adapter::load(&dir, case.decoder.config()).unwrap();
    assert_eq!(back.lora, case.adapter.lora);
    assert_eq!((back.base.as_str(), back.origin), ("some/base", Some(origin)));
}
