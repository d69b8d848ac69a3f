//! The emulator sees what it is there to see: planted mistakes are caught.

use super::super::emulator::{Change, Emulator, available};
use super::super::{Buffer, Device};
use super::super::{Heads, Segments, attention, rms_norm};
use super::{HALF, floats, half, rounded, values};
use crate::ops::{self, Arithmetic, HeadLayout, Qkv};
use std::sync::Arc;

/// Attention of one sequence of 130 rows on a card; the error is that of the card.
fn attended(device: &Arc<dyn Device>, [q, k, v]: [&[f32]; 3], layout: HeadLayout) -> crate::error::Result<Vec<f32>> {
    let width = layout.q_width();
    let rows = [q, k, v].map(|x| half(device, x));
    let [qs, ks, vs] = rows.each_ref().map(|x| x.rows(0, width));
    let out = half(device, &vec![0.0; q.len()]);
    let segments = Segments::packed(device, std::slice::from_ref(&(0..130)))?;
    attention(Heads::new(layout)?, &segments, qs, ks, vs, out.rows(0, width), None)?;
    Ok(floats(&out))
}

#[test]
fn planted_mistakes_in_attention_are_caught() {
    if !available() {
        return;
    }
    let layout = HeadLayout { heads: 1, kv_heads: 1, head_dim: 64 };
    let [q, k, v] = [1, 2, 3].map(|salt| rounded(&values(130 * 64, salt, 2.0)));
    let (mut out, mut lse) = (vec![0.0; 130 * 64], vec![0.0; 130]);
    let input = Qkv { q: &q, k: &k, v: &v, layout };
    ops::attention(input, std::slice::from_ref(&(0..130)), &[], Arithmetic::F32, &mut out, &mut lse);
    // A NaN is wrong, too.
    let wrong = |found: &[f32]| !found.iter().zip(&out).all(|(a, b)| (a - b).abs() <= HALF);
    let run = |device: Arc<dyn Device>| attended(&device, [&q, &k, &v], layout);
    assert!(!wrong(&run(Emulator::device(false)).unwrap()));
    let mistakes: [Change; 5] = [
        // Copies are not waited for.
        ("wait_copies<0>();", ""),
        // A barrier is missing between copying and reading.
        ("any more.\n        __syncthreads();", "any more.\n"),
        // A tile's upper half is read from the wrong columns.
        ("first + lane / 16 * 8);\n    }\n};", "first + lane / 8 % 2 * 8);\n    }\n};"),
        // A key too many is seen.
        ("key > before + row", "key > before + row + 1"),
        // The second stage lies upon the first.
        ("((step + 1) & 1) * 2 * KEYS", "((step + 1) & 0) * 2 * KEYS"),
    ];
    for mistake in mistakes {
        let caught = [false, true]
            .into_iter()
            .any(|reversed| run(Emulator::mistaken(reversed, mistake)).map_or(true, |found| wrong(&found)));
        assert!(caught, "not caught: {mistake:?}");
    }
}

#[test]
fn a_barrier_that_not_all_threads_reach_is_reported() {
    if !available() {
        return;
    }
    let change = ("    x = warp_sum(x);\n", "    x = warp_sum(x);\n    if (threadIdx.x >= 32) return x;\n");
    let device = Emulator::mistaken(false, change);
    let x = Buffer::of(&device, &vec![1.0f32; 2048]).unwrap();
    let (weight, inverse) = (Buffer::of(&device, &vec![1.0f32; 2048]).unwrap(), Buffer::zeros(&device, 1).unwrap());
    let error = rms_norm(x.rows(0, 2048), &weight, 1e-5, x.rows(0, 2048), &inverse, 1).unwrap_err();
    assert!(error.message.contains("without end"), "{error}");
}
