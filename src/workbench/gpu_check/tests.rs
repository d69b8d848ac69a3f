//! The checks themselves, on the emulator: what a card will be asked, and that a wrong kernel is found out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::ops::cuda::emulator::{Emulator, available};

#[test]
fn every_check_of_parity_passes_on_the_emulator() {
    if !available() {
        return;
    }
    let checks = parity(&Emulator::device(false), operations::Size::Small, &mut |_| {});
    let failed: Vec<_> = checks.iter().filter(|c| c.outcome != Outcome::Passed).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(checks.len() > 50, "{}", checks.len());
}

#[test]
fn a_kernel_that_computes_something_else_fails_its_check() {
    if !available() {
        return;
    }
    let change = ("g.v[j] * sigmoid(g.v[j]) * u.v[j]", "g.v[j] * sigmoid(u.v[j]) * u.v[j]");
    // Only the file of the activation has that text: other kernels are asked for no change.
    let device = Emulator::mistaken(false, change);
    let check = operations::activation(&device);
    assert!(check.iter().any(|c| c.outcome == Outcome::Failed), "{check:?}");
}

#[test]
fn training_checks_pass_on_the_emulator() {
    if !available() {
        return;
    }
    let device = Emulator::device(false);
    let (first, last) = training::overfit(&device, 12).unwrap();
    assert!(last < 0.7 * first, "{first} → {last}");
}
