//! Quantised rows and the products of decoding.

use super::super::{Buffer, CardRows, Device, LowRank, Weight, dequantise, low_rank, matrix_vector};
use super::{both_orders, close, floats, half, rounded, values};
use crate::ops::quantised::{self, BlockForm};
use half::bf16;
use std::sync::Arc;

/// (bytes of a block, halves at its head, the CPU's reading, the form)
type Format = (usize, usize, fn(&[u8], &mut [f32]), BlockForm);

const FORMATS: [Format; 3] = [
    (34, 1, quantised::q8_0, BlockForm::Q8_0),
    (18, 1, quantised::q4_0, BlockForm::Q4_0),
    (20, 2, quantised::q4_1, BlockForm::Q4_1),
];

/// Random blocks with factors about 1/64, of either sign.
fn blocks(count: usize, size: usize, halves: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = values(count * size, 9, 128.0).iter().map(|x| (x.floor() as i32 & 255) as u8).collect();
    for (i, block) in bytes.chunks_exact_mut(size).enumerate() {
        for h in 0..halves {
            let factor = half::f16::from_f32((i % 7) as f32 / 256.0 - 3.0 / 128.0);
            block[2 * h..2 * h + 2].copy_from_slice(&factor.to_le_bytes());
        }
    }
    bytes
}

#[test]
fn quantised_rows_have_the_cpus_values() {
    let (rows, width) = (5, 320);
    for (size, halves, read, form) in FORMATS {
        let bytes = blocks(rows * width / 32, size, halves);
        let mut exact = vec![0.0; rows * width];
        read(&bytes, &mut exact);
        let Some(found) = both_orders(|device| {
            let matrix = CardRows::new(device, form, &bytes, rows, width).unwrap();
            assert!(CardRows::new(device, form, &bytes[1..], rows, width).is_err());
            let all = half(device, &vec![0.0; rows * (width + 8)]);
            assert_eq!(dequantise(&matrix, None, all.rows(0, width + 8)).unwrap(), rows);
            let chosen = half(device, &vec![0.0; 2 * width]);
            let which = Buffer::of(device, &[4, 1]).unwrap();
            assert_eq!(dequantise(&matrix, Some(&which), chosen.rows(0, width)).unwrap(), 2);
            let all = floats(&all).chunks(width + 8).flat_map(|row| row[..width].to_vec()).collect();
            vec![all, floats(&chosen)]
        }) else {
            return;
        };
        // The same numbers, rounded once.
        assert_eq!(found[0], rounded(&exact));
        assert_eq!(found[1], rounded(&[&exact[4 * width..], &exact[width..2 * width]].concat()));
    }
}

#[test]
fn products_of_decoding_read_weights_as_they_are_stored() {
    let (outputs, inputs, rank) = (19, 352, 8);
    let weight = rounded(&values(outputs * inputs, 1, 1.0));
    let (a, b) = (values(rank * inputs, 2, 0.2), values(outputs * rank, 3, 0.2));
    let product = |w: &[f32], x: &[f32], start: &[f32], rows: usize| -> Vec<f32> {
        let dot = |p: &[f32], q: &[f32]| -> f64 { p.iter().zip(q).map(|(p, q)| f64::from(*p) * f64::from(*q)).sum() };
        let mut y = Vec::new();
        for r in 0..rows {
            let x = &x[r * inputs..][..inputs];
            let low: Vec<f32> = a.chunks(inputs).map(|a| (2.0 * dot(a, x)) as f32).collect();
            for o in 0..outputs {
                let sum = dot(&w[o * inputs..][..inputs], x) + dot(&b[o * rank..][..rank], &low);
                y.push((f64::from(start[r * outputs + o]) + sum) as f32);
            }
        }
        y
    };
    for rows in [1, 2, 3, 5, 8] {
        let (x, start) = (values(rows * inputs, 4, 1.0), values(rows * outputs, 5, 1.0));
        let run = |device: &Arc<dyn Device>, weight: Weight<'_>| {
            let xs = Buffer::of(device, &x).unwrap();
            let low = Buffer::zeros(device, rows * rank).unwrap();
            low_rank(&Buffer::of(device, &a).unwrap(), &xs, &low, rows, rank, 2.0).unwrap();
            let b = Buffer::of(device, &b).unwrap();
            let y = Buffer::of(device, &start).unwrap();
            let update = LowRank { low: &low, b: &b, rank };
            matrix_vector(weight, &xs, Some(update), Some(&y), &y, rows).unwrap();
            y.read().unwrap()
        };
        let Some(found) = both_orders(|device| {
            let plain: Buffer<bf16> = half(device, &weight);
            vec![run(device, Weight::Bf16(&plain, inputs))]
        }) else {
            return;
        };
        close("bf16", &found[0], &product(&weight, &x, &start, rows), 1e-5);
        for (size, halves, read, form) in FORMATS {
            let bytes = blocks(outputs * inputs / 32, size, halves);
            let mut exact = vec![0.0; outputs * inputs];
            read(&bytes, &mut exact);
            let matrix = |device: &Arc<dyn Device>| CardRows::new(device, form, &bytes, outputs, inputs).unwrap();
            let Some(found) = both_orders(|device| vec![run(device, Weight::Quantised(&matrix(device)))]) else {
                return;
            };
            close("quantised", &found[0], &product(&exact, &x, &start, rows), 1e-5);
        }
    }
}
