//! The kernels' own text, run by the emulator, against the CPU's operations; each twice, with threads in either order, and
//! bit for bit the same (a missing barrier shows there).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attention;
mod compile;
mod mistakes;
mod quantised;
mod rows;
mod trained;

use super::emulator::{Emulator, available};
use super::{Buffer, Device};
use half::bf16;
use std::sync::Arc;

/// Numbers in ±size that look random and are the same in every run.
fn values(count: usize, salt: u64, size: f32) -> Vec<f32> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| size * next()).collect()
}

/// The same as a bf16 holds them: the CPU then computes with what the kernel reads.
fn rounded(values: &[f32]) -> Vec<f32> {
    values.iter().map(|x| bf16::from_f32(*x).to_f32()).collect()
}

fn half(device: &Arc<dyn Device>, values: &[f32]) -> Buffer<bf16> {
    Buffer::of(device, &values.iter().map(|x| bf16::from_f32(*x)).collect::<Vec<_>>()).unwrap()
}

fn floats(values: &Buffer<bf16>) -> Vec<f32> {
    values.read().unwrap().iter().map(|x| x.to_f32()).collect()
}

/// Runs on a card whose threads run in order and on one where they run the other way round: results are the same bits.
fn both_orders(run: impl Fn(&Arc<dyn Device>) -> Vec<Vec<f32>>) -> Option<Vec<Vec<f32>>> {
    if !available() {
        return None;
    }
    let forwards = run(&Emulator::device(false));
    let backwards = run(&Emulator::device(true));
    for (a, b) in forwards.iter().zip(&backwards) {
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert!(bits(a) == bits(b), "the order of threads changes the result");
    }
    Some(forwards)
}

/// That numbers agree within `tolerance` of the largest expected one.
fn close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(1e-30f32, |m, x| m.max(x.abs()));
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        // Written so that a NaN fails.
        assert!((a - b).abs() <= tolerance * size, "{what}: number {i} is {a}, not {b} (largest {size})");
    }
}

/// A bf16 keeps 8 bits: results that are rounded to it differ by 1/256 of themselves at most.
const HALF: f32 = 1.0 / 200.0;
