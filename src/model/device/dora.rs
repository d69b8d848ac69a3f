//! DoRA in a [`Group`] of projections: the norms of its adapted rows, the scaling of its outputs, and the way back through it.

use super::factors::DeviceFactors;
use super::group::{Group, Source};
use crate::error::{Error, Result};
use crate::ops::cuda::{
    AnyRows, Buffer, Device, DoraNorms, Number, Product, Rows, dora_magnitudes, dora_norms, dora_scale,
    dora_scale_backward,
};
use std::sync::Arc;

/// What the outputs of a group are scaled by; projections without factors keep theirs.
pub struct Dora {
    /// ‖W‖² of every row.
    squares: Buffer<f32>,
    /// Length ÷ norm of every row; 1 without factors.
    factors: Buffer<f32>,
    /// ‖W + s·B·A‖ of every row.
    norms: Buffer<f32>,
    /// W·(sA)ᵀ `[outputs, columns]` and (sA)·(sA)ᵀ `[columns, columns]`: a part's own columns only.
    across: Buffer<f32>,
    gram: Buffer<f32>,
    columns: usize,
}

/// What the way back finds of the forward, and its room.
#[derive(Clone, Copy)]
pub struct DoraTape<'a, T: Number> {
    /// The outputs before they were scaled.
    pub unscaled: &'a Buffer<T>,
    /// Where their gradient goes, and how far its rows are apart; `None`: into that of the outputs.
    pub gradient: Option<(&'a Buffer<T>, usize)>,
    /// Sums over stretches of rows.
    pub sums: &'a Buffer<f32>,
}

impl Dora {
    /// For projections with `columns` low-rank columns together.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(device: &Arc<dyn Device>, sources: &[Source<'_>], columns: usize) -> Result<Dora> {
        let squares: Vec<f32> = sources.iter().flat_map(|(_, weight, _)| weight.row_squares()).copied().collect();
        let outputs = squares.len();
        let ones = vec![1.0; outputs];
        Ok(Dora {
            squares: Buffer::of(device, &squares)?,
            factors: Buffer::of(device, &ones)?,
            norms: Buffer::of(device, &ones)?,
            across: Buffer::room(device, outputs * columns)?,
            gram: Buffer::room(device, columns * columns)?,
            columns,
        })
    }

    /// Finds norms and factors; `matrix` is the group's, with the factors placed in it.
    ///
    /// # Errors
    /// Those of the card.
    pub fn settle<T: Number>(&self, group: &Group<T>, matrix: &Buffer<T>, factors: &DeviceFactors) -> Result<()> {
        let (stride, columns) = (group.stride(), self.columns);
        for part in &group.parts {
            let Some((slots, magnitude)) = part.slots.and_then(|slots| Some((slots, slots.magnitude?))) else {
                continue;
            };
            let a = matrix.rows((group.outputs + part.first_column) * stride, stride);
            let product = |m: usize, left: Rows<'_, T>, out: Rows<'_, f32>| {
                matrix.device().multiply(&Product {
                    m,
                    n: part.columns,
                    k: group.inputs,
                    a: T::any(left),
                    a_transposed: false,
                    b: T::any(a),
                    b_transposed: true,
                    out: AnyRows::F32(out),
                    alpha: 1.0,
                    start: None,
                    beta: 0.0,
                })
            };
            let across = self.across.rows(part.first_output * columns + part.first_column, columns);
            let gram = self.gram.rows(part.first_column * (columns + 1), columns);
            product(part.outputs, matrix.rows(part.first_output * stride, stride), across)?;
            product(part.columns, a, gram)?;
            dora_norms(DoraNorms {
                squares: self.squares.rows(part.first_output, part.outputs),
                across,
                gram,
                b: factors.values.rows(slots.b.at, slots.b.columns),
                magnitude: factors.values.rows(magnitude.at, magnitude.columns),
                factors: self.factors.rows(part.first_output, part.outputs),
                norms: self.norms.rows(part.first_output, part.outputs),
                outputs: part.outputs,
                rank: part.columns,
            })?;
        }
        Ok(())
    }

    /// `y = start + factors ⊙ u`.
    ///
    /// # Errors
    /// Those of the card.
    pub fn scale<T: Number>(&self, u: &Buffer<T>, start: Option<Rows<'_, T>>, y: Rows<'_, T>, n: usize) -> Result<()> {
        dora_scale(u, &self.factors, start, y, n)
    }

    /// Adds to the lengths' gradients; gives the gradient of the outputs before they were scaled, and its stride.
    ///
    /// # Errors
    /// Those of the card.
    pub fn backward<'a, T: Number>(
        &self,
        group: &Group<T>,
        tape: DoraTape<'a, T>,
        (dy, dy_stride): (&'a Buffer<T>, usize),
        factors: &DeviceFactors,
        n: usize,
    ) -> Result<(&'a Buffer<T>, usize)> {
        let (du, du_stride) = tape.gradient.unwrap_or((dy, dy_stride));
        if du_stride < group.outputs + group.columns {
            return Err(Error::internal("no room beside a gradient for its low-rank columns"));
        }
        let (from, to) = (dy.rows(0, dy_stride), du.rows(0, du_stride));
        dora_scale_backward(from, tape.unscaled, &self.factors, to, tape.sums, n)?;
        for part in &group.parts {
            let Some(magnitude) = part.slots.and_then(|slots| slots.magnitude) else { continue };
            dora_magnitudes(
                tape.sums.rows(part.first_output, group.outputs),
                self.norms.rows(part.first_output, part.outputs),
                factors.gradients.rows(magnitude.at, magnitude.columns),
                part.outputs,
                n,
            )?;
        }
        Ok((du, du_stride))
    }
}
