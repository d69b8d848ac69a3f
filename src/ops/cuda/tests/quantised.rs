//! Quantised rows and the products of decoding.

use super::super::{
    Around, Buffer, CardRows, Device, LowRank, Weight, dequantise, low_rank, matrix_vector, matrix_vector_gated,
};
use super::{both_orders, close, floats, half, rounded, values};
use crate::ops::quantised::BlockForm;
use half::bf16;
use std::sync::Arc;

#[test]
fn quantised_rows_have_the_cpus_values() {
    for form in BlockForm::ALL {
        // Of blocks of 32, a warp's last lanes find nothing in a row.
        let (rows, width) = (5, if form.block().0 == 32 { 320 } else { 512 });
        let (bytes, exact) = form.quantise(&values(rows * width, 9, 2.0));
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
        assert_eq!(found[0], rounded(&exact), "{}", form.name());
        assert_eq!(found[1], rounded(&[&exact[4 * width..], &exact[width..2 * width]].concat()), "{}", form.name());
    }
}

/// Outputs and inputs of the products; three projections begin at 0, 8 and 12, or gate and up at 0 and 10.
const SHAPE: (usize, usize) = (20, 512);

/// Of a product: the columns of one projection, and of all three.
const RANK: usize = 8;

/// The numbers of one product: inputs, norm, factors of two or three projections, DoRA's factors, the residual.
struct Case {
    rows: usize,
    x: Vec<f32>,
    norm: Vec<f32>,
    a: Vec<f32>,
    b: Vec<f32>,
    scale: Vec<f32>,
    start: Vec<f32>,
}

impl Case {
    fn new(rows: usize) -> Case {
        let (outputs, inputs) = SHAPE;
        Case {
            rows,
            x: values(rows * inputs, 4, 1.0),
            norm: values(inputs, 6, 1.5),
            a: values(3 * RANK * inputs, 2, 0.2),
            b: values(outputs * RANK, 3, 0.2),
            scale: values(outputs, 8, 2.0),
            start: values(rows * outputs, 5, 1.0),
        }
    }

    /// By the definition, in f64.
    fn expected(&self, w: &[f32], gated: bool) -> Vec<f32> {
        let (outputs, inputs) = SHAPE;
        let dot = |p: &[f32], q: &[f64]| -> f64 { p.iter().zip(q).map(|(p, q)| f64::from(*p) * q).sum() };
        let mut y = Vec::new();
        for (r, x) in self.x.chunks(inputs).enumerate() {
            let square = x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>() / inputs as f64;
            let inverse = 1.0 / (square + 1e-5).sqrt();
            let x: Vec<f64> = x.iter().zip(&self.norm).map(|(x, w)| f64::from(*x) * f64::from(*w) * inverse).collect();
            let low: Vec<f64> = self.a.chunks(inputs).map(|a| dot(a, &x)).collect();
            let of = |o: usize| {
                let projection =
                    if gated { usize::from(o >= outputs / 2) } else { usize::from(o >= 8) + usize::from(o >= 12) };
                let update = dot(&self.b[o * RANK..][..RANK], &low[projection * RANK..][..RANK]);
                f64::from(self.scale[o]) * (dot(&w[o * inputs..][..inputs], &x) + update)
            };
            if gated {
                y.extend((0..outputs / 2).map(|o| (of(o) / (1.0 + (-of(o)).exp()) * of(o + outputs / 2)) as f32));
            } else {
                y.extend((0..outputs).map(|o| (f64::from(self.start[r * outputs + o]) + of(o)) as f32));
            }
        }
        y
    }

    fn found(&self, device: &Arc<dyn Device>, weight: &Weight<impl super::super::Number>, gated: bool) -> Vec<f32> {
        let (outputs, inputs) = SHAPE;
        let of = |x: &[f32]| Buffer::of(device, x).unwrap();
        let (x, norm, b, scale, y) = (of(&self.x), of(&self.norm), of(&self.b), of(&self.scale), of(&self.start));
        let low = Buffer::room(device, self.rows * 3 * RANK).unwrap();
        let lows = low.rows(0, 3 * RANK);
        let norm = Some((&norm, 1e-5));
        low_rank(&of(&self.a), x.rows(0, inputs), norm, lows, self.rows, 3 * RANK).unwrap();
        let width = if gated { outputs / 2 } else { outputs };
        // Rows of ten are no multiple of 16 bytes.
        let stride = width.next_multiple_of(4);
        let gated_y = Buffer::room(device, self.rows * stride).unwrap();
        let around = Around {
            x: x.rows(0, inputs),
            norm,
            update: Some(LowRank {
                low: lows,
                b: b.rows(0, RANK),
                rank: RANK,
                begins: if gated { [outputs / 2, usize::MAX] } else { [8, 12] },
            }),
            scale: Some(scale.rows(0, outputs)),
            residual: (!gated).then(|| y.rows(0, outputs)),
            y: if gated { gated_y.rows(0, stride) } else { y.rows(0, outputs) },
            rows: self.rows,
        };
        if !gated {
            matrix_vector(weight, around).unwrap();
            return y.read().unwrap();
        }
        matrix_vector_gated(weight, around).unwrap();
        gated_y.read().unwrap().chunks(stride).flat_map(|row| row[..width].to_vec()).collect()
    }
}

#[test]
fn products_of_decoding_read_weights_as_they_are_stored() {
    let (outputs, inputs) = SHAPE;
    let weight = rounded(&values(outputs * inputs, 1, 1.0));
    for rows in [1, 2, 3, 5, 8] {
        let case = Case::new(rows);
        for gated in [false, true] {
            let Some(found) = both_orders(|device| {
                let narrow: Weight<bf16> = Weight::Whole(Arc::new(half(device, &weight)), inputs);
                let wide: Weight<f32> = Weight::Whole(Arc::new(Buffer::of(device, &weight).unwrap()), inputs);
                vec![case.found(device, &narrow, gated), case.found(device, &wide, gated)]
            }) else {
                return;
            };
            for found in found {
                close("whole", &found, &case.expected(&weight, gated), 1e-5);
            }
            // Kernels are the same for one and two rows, and from three on.
            for form in BlockForm::ALL.into_iter().filter(|_| matches!(rows, 1 | 2 | 5)) {
                let (bytes, exact) = form.quantise(&weight);
                let matrix = |device: &Arc<dyn Device>| -> Weight<bf16> {
                    Weight::Quantised(CardRows::new(device, form, &bytes, outputs, inputs).unwrap())
                };
                let Some(found) = both_orders(|device| vec![case.found(device, &matrix(device), gated)]) else {
                    return;
                };
                close(form.name(), &found[0], &case.expected(&exact, gated), 1e-5);
            }
        }
    }
}

#[test]
fn blocks_of_32_end_rows_of_any_such_width() {
    // The last lanes of a warp have nothing to do in such a row.
    let (outputs, inputs) = (5, 352);
    let x = values(inputs, 4, 1.0);
    for form in BlockForm::ALL.into_iter().filter(|form| form.block().0 == 32) {
        let (bytes, exact) = form.quantise(&values(outputs * inputs, 1, 1.0));
        let Some(found) = both_orders(|device| {
            let weight: Weight<bf16> = Weight::Quantised(CardRows::new(device, form, &bytes, outputs, inputs).unwrap());
            let (x, y) = (Buffer::of(device, &x).unwrap(), Buffer::room(device, outputs).unwrap());
            let around = Around {
                x: x.rows(0, inputs),
                norm: None,
                update: None,
                scale: None,
                residual: None,
                y: y.rows(0, outputs),
                rows: 1,
            };
            matrix_vector(&weight, around).unwrap();
            vec![y.read().unwrap()]
        }) else {
            return;
        };
        let dot = |w: &[f32]| w.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum::<f64>() as f32;
        close(form.name(), &found[0], &exact.chunks(inputs).map(dot).collect::<Vec<_>>(), 1e-5);
    }
}
