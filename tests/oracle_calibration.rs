//! Calibration figures against numpy and scikit-learn (`oracle/calibration.py`), and by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use linly_bench::eval::{ItemOutcome, calibration, softmax};
use serde_json::Value;

fn outcome(lls: &[f64], gold: usize) -> ItemOutcome {
    // The first of equal values, as everywhere.
    let mut pred = 0;
    for (i, ll) in lls.iter().enumerate() {
        if *ll > lls[pred] {
            pred = i;
        }
    }
    let label = |i: usize| ["A", "B", "C", "D"][i].to_owned();
    ItemOutcome {
        subject: "s".into(),
        id: "0".into(),
        choices: vec![" A".into(), " B".into(), " C".into(), " D".into()][..lls.len()].to_vec(),
        loglikelihoods: lls.to_vec(),
        pred: label(pred),
        gold: label(gold),
        correct: pred == gold,
        ..ItemOutcome::default()
    }
}

#[test]
fn figures_are_scikit_learn_s() {
    let expected: Value = serde_json::from_str(include_str!("oracle/calibration.json")).unwrap();
    let outcomes: Vec<ItemOutcome> = expected["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let lls: Vec<f64> =
                item["loglikelihoods"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            outcome(&lls, item["gold"].as_u64().unwrap() as usize)
        })
        .collect();
    let c = calibration(&outcomes).unwrap();
    assert_eq!(c.n, 150);
    for (name, got) in [
        ("ece", c.ece),
        ("mce", c.mce),
        ("brier", c.brier),
        ("log_loss", c.log_loss.unwrap()),
        ("accuracy", c.accuracy),
        ("confidence", c.confidence),
    ] {
        let want = expected[name].as_f64().unwrap();
        assert!((got - want).abs() < 1e-9, "{name}: {got} instead of {want}");
    }
    let n: Vec<u64> = c.bins.iter().map(|b| b.n as u64).collect();
    let want: Vec<u64> = expected["n_per_bin"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
    assert_eq!(n, want);
}

#[test]
fn by_hand_and_at_the_edges() {
    // Probabilities ¾ and ¼, one right and one wrong: confidence 0.75, accuracy 0.5.
    let sure = [3f64.ln(), 0.0];
    let c = calibration(&[outcome(&sure, 0), outcome(&sure, 1)]).unwrap();
    assert!((c.ece - 0.25).abs() < 1e-12 && (c.mce - 0.25).abs() < 1e-12);
    assert!((c.brier - (2.0 * 0.0625 + 2.0 * 0.5625) / 2.0).abs() < 1e-12);
    // Certain and wrong: no finite log loss, and the confidence lies in the last bin.
    let c = calibration(&[outcome(&[0.0, f64::NEG_INFINITY], 1)]).unwrap();
    assert_eq!((c.log_loss, c.brier, c.ece, c.bins[14].n), (None, 2.0, 1.0, 1));
    // Nothing to judge by: no choices, no answer.
    let hidden = ItemOutcome { gold: String::new(), ..outcome(&sure, 0) };
    let written = ItemOutcome { loglikelihoods: vec![], ..outcome(&sure, 0) };
    assert_eq!(calibration(&[hidden, written]), None);
    assert_eq!(softmax(&[f64::NEG_INFINITY, f64::NEG_INFINITY]), None);
    assert_eq!(softmax(&[f64::NAN, 0.0]), None);
    assert_eq!(softmax(&[-1e4, -1e4]), Some(vec![0.5, 0.5]));
}
