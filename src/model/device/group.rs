//! Projections that share an input, as one product.
//!
//! Their low-rank updates ride in it: with R the ranks together, `[x | low]·[W | B]ᵀ` gives the outputs, `[dy | dlow]` times W
//! above A the input's gradient. So one matrix `[outputs + R, inputs + R]` holds W, B (block-diagonal) beside it and s·A below
//! it, and activations lie in rows that leave room for R more columns. With dropout, which every projection has of its own on
//! what its factors see, `low` and the gradient's low-rank share are made apart.
//!
//! A quantised weight is de-quantised into a shared matrix before each product, and the factors are placed beside it.

use super::dora::{Dora, DoraTape};
use super::factors::{DeviceFactors, PairSlots, RANK_STEP, Slot};
use crate::error::{Error, Result};
use crate::model::lora::Projection;
use crate::ops::cuda::{
    AnyRows, Buffer, CardRows, Device, Number, Placement, Product, Rows, dequantise, dropout, place_factors,
};
use crate::ops::{DropoutMask, Frozen, LoraPair};
use rayon::prelude::*;
use std::sync::Arc;

/// A projection in a [`Group`].
pub struct Part {
    projection: Projection,
    pub(super) outputs: usize,
    /// Where its outputs begin.
    pub first_output: usize,
    /// r, filled up; 0 without factors.
    pub(super) columns: usize,
    /// Where its low-rank columns begin.
    pub(super) first_column: usize,
    scale: f32,
    /// Where its factors lie.
    pub(super) slots: Option<PairSlots>,
}

/// How the frozen part lies on the card.
enum Weights<T: Number> {
    /// With the factors beside it.
    Whole(Buffer<T>),
    /// A part each, and where the factors go once the weights are in the shared matrix.
    Quantised(Vec<CardRows>, Option<Buffer<Placement>>),
}

/// Projections with one input.
pub struct Group<T: Number> {
    /// Width of the input.
    pub inputs: usize,
    /// Widths of the outputs together.
    pub outputs: usize,
    /// R.
    pub columns: usize,
    /// The projections.
    pub parts: Vec<Part>,
    weights: Weights<T>,
    /// With DoRA: what its rows are scaled by.
    pub(super) dora: Option<Dora>,
}

/// What products need beside their operands; shared by all groups of a model.
pub struct Shared<T: Number> {
    /// A dropped input, or a gradient before its dropout.
    pub dropped: Option<Buffer<T>>,
    /// A de-quantised matrix.
    pub matrix: Option<Buffer<T>>,
}

/// A projection's weight, its factors and where those lie on the card.
pub type Source<'a> = (Projection, &'a Frozen, Option<(&'a LoraPair, PairSlots)>);

impl<T: Number> Group<T> {
    /// Copies weights to the card, those in blocks as they are if `blocks`; factors come by [`Group::placements`].
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(device: &Arc<dyn Device>, sources: &[Source<'_>], blocks: bool) -> Result<Group<T>> {
        let inputs = sources.first().map_or(0, |(_, w, _)| w.inputs());
        let (mut first_output, mut first_column) = (0, 0);
        let mut parts = Vec::new();
        for (projection, weight, pair) in sources {
            let columns = pair.map_or(0, |(p, _)| p.rank.next_multiple_of(RANK_STEP));
            parts.push(Part {
                projection: *projection,
                outputs: weight.outputs(),
                first_output,
                columns,
                first_column,
                scale: pair.map_or(1.0, |(p, _)| p.scale),
                slots: pair.map(|(_, slots)| slots),
            });
            first_output += weight.outputs();
            first_column += columns;
        }
        let (outputs, columns) = (first_output, first_column);
        let quantised = if blocks { quantised::<T>(device, sources)? } else { None };
        let weights = match quantised {
            Some(rows) => Weights::Quantised(rows, None),
            None => Weights::Whole(whole(device, sources, inputs, outputs, columns)?),
        };
        let trained = parts.iter().any(|part| part.slots.is_some_and(|slots| slots.magnitude.is_some()));
        let dora = trained.then(|| Dora::new(device, sources, columns)).transpose()?;
        Ok(Group { inputs, outputs, columns, parts, weights, dora })
    }

    /// Elements from row to row of the matrix and of the input.
    pub fn stride(&self) -> usize {
        self.inputs + self.columns
    }

    /// Numbers in the matrix.
    fn len(&self) -> usize {
        (self.outputs + self.columns) * self.stride()
    }

    /// Numbers that the shared matrix must hold for this group.
    pub fn shared_len(&self) -> usize {
        if matches!(self.weights, Weights::Quantised(..)) { self.len() } else { 0 }
    }

    /// Where the factors go in a matrix at `address`.
    fn placements_at(&self, address: u64) -> Vec<Placement> {
        let stride = self.stride();
        let at = |row: usize, column: usize| address + ((row * stride + column) * size_of::<T>()) as u64;
        let place = |slot: Slot, to, scale| Placement {
            from: slot.at as u64,
            to,
            rows: slot.rows as u32,
            width: slot.columns as u32,
            stride: stride as u32,
            scale,
        };
        let of_part = |part: &Part| {
            part.slots.map(|PairSlots { a, b, .. }| {
                [
                    place(a, at(self.outputs + part.first_column, 0), part.scale),
                    place(b, at(part.first_output, self.inputs + part.first_column), 1.0),
                ]
            })
        };
        self.parts.iter().filter_map(of_part).flatten().collect()
    }

    /// Where the factors go after every step. A quantised group places them itself, in the shared matrix.
    ///
    /// # Errors
    /// Those of the card.
    pub fn placements(&mut self, shared: &Shared<T>) -> Result<Vec<Placement>> {
        let in_shared = shared.matrix.as_ref().map(|m| (m.device().clone(), self.placements_at(m.address())));
        match (&mut self.weights, in_shared) {
            (Weights::Quantised(_, list), Some((device, places))) => {
                *list = Some(Buffer::of(&device, &places)?);
                Ok(Vec::new())
            }
            (Weights::Quantised(..), None) => Err(Error::internal("no shared matrix for quantised weights")),
            (Weights::Whole(matrix), _) => {
                let address = matrix.address();
                Ok(self.placements_at(address))
            }
        }
    }

    /// DoRA: finds the norms of the adapted rows after every change of the factors.
    ///
    /// # Errors
    /// Those of the card.
    pub fn settle(&self, factors: &DeviceFactors, shared: &Shared<T>) -> Result<()> {
        match &self.dora {
            Some(dora) => dora.settle(self, self.matrix(factors, shared)?, factors),
            None => Ok(()),
        }
    }

    /// The matrix, de-quantised if need be.
    fn matrix<'a>(&'a self, factors: &DeviceFactors, shared: &'a Shared<T>) -> Result<&'a Buffer<T>> {
        let (rows, list) = match &self.weights {
            Weights::Whole(matrix) => return Ok(matrix),
            Weights::Quantised(rows, list) => (rows, list),
        };
        let (Some(matrix), Some(list)) = (&shared.matrix, list) else {
            return Err(Error::internal("quantised weights were not prepared"));
        };
        // B is block-diagonal: what lies beside it is zero.
        if self.columns > 0 {
            matrix.clear()?;
        }
        for (part, rows) in self.parts.iter().zip(rows) {
            match T::any(matrix.rows(part.first_output * self.stride(), self.stride())) {
                AnyRows::Bf16(out) => dequantise(rows, None, out)?,
                AnyRows::F32(_) => return Err(Error::internal("blocks are de-quantised to bf16")),
            };
        }
        place_factors::<T>(&factors.values, list)?;
        Ok(matrix)
    }

    /// What a projection's factors see: `x` [n, inputs] with dropout.
    fn drop<'a>(&self, x: Rows<'_, T>, n: usize, mask: DropoutMask, shared: &'a Shared<T>) -> Result<Rows<'a, T>> {
        let to = shared.dropped.as_ref().ok_or_else(|| Error::internal("no room for dropout"))?.rows(0, self.inputs);
        dropout(mask, x, to, n, self.inputs, false)?;
        Ok(to)
    }

    /// `out = start + x·Wᵀ + low·Bᵀ`; `low` comes to stand beside `x`, whose rows have room for it. With DoRA the product without
    /// `start` is kept in `unscaled`.
    ///
    /// # Errors
    /// Those of the card.
    #[allow(clippy::too_many_arguments)]
    pub fn forward(
        &self,
        factors: &DeviceFactors,
        x: &Buffer<T>,
        out: Rows<'_, T>,
        start: Option<Rows<'_, T>>,
        unscaled: Option<&Buffer<T>>,
        n: usize,
        mask: Option<DropoutMask>,
        shared: &Shared<T>,
    ) -> Result<()> {
        let (stride, device) = (self.stride(), x.device());
        let scaled = self.dora.as_ref().zip(unscaled);
        let matrix = self.matrix(factors, shared)?;
        let low = |a: Rows<'_, T>, first: usize, columns: usize| {
            device.multiply(&Product {
                m: n,
                n: columns,
                k: self.inputs,
                a: T::any(a),
                a_transposed: false,
                b: T::any(matrix.rows((self.outputs + first) * stride, stride)),
                b_transposed: true,
                out: T::any(x.rows(self.inputs + first, stride)),
                alpha: 1.0,
                start: None,
                beta: 0.0,
            })
        };
        match mask {
            None if self.columns > 0 => low(x.rows(0, stride), 0, self.columns)?,
            None => {}
            Some(mask) => {
                for part in self.parts.iter().filter(|part| part.columns > 0) {
                    let seen = self.drop(x.rows(0, stride), n, mask.child(part.projection as u64), shared)?;
                    low(seen, part.first_column, part.columns)?;
                }
            }
        }
        let (to, from) = match scaled {
            Some((_, u)) => (u.rows(0, self.outputs), None),
            None => (out, start),
        };
        device.multiply(&Product {
            m: n,
            n: self.outputs,
            k: stride,
            a: T::any(x.rows(0, stride)),
            a_transposed: false,
            b: T::any(matrix.rows(0, stride)),
            b_transposed: true,
            out: T::any(to),
            alpha: 1.0,
            start: from.map(T::any),
            beta: if from.is_some() { 1.0 } else { 0.0 },
        })?;
        match scaled {
            Some((dora, u)) => dora.scale(u, start, out, n),
            None => Ok(()),
        }
    }

    /// `dx = dy·W + dlow·A` where it is wanted, and the factors' gradients are added to. `dlow` comes to stand beside `dy`,
    /// rows `dy_stride` apart; `x` as the forward left it. With DoRA the gradient before the scaling comes first, in place of `dy`
    /// or where the tape has room for it.
    ///
    /// # Errors
    /// Those of the card.
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &self,
        factors: &DeviceFactors,
        x: &Buffer<T>,
        dy: &Buffer<T>,
        dy_stride: usize,
        dx: Option<Rows<'_, T>>,
        dora: Option<DoraTape<'_, T>>,
        n: usize,
        mask: Option<DropoutMask>,
        shared: &Shared<T>,
    ) -> Result<()> {
        let (stride, device) = (self.stride(), dy.device());
        if dx.is_none() && self.columns == 0 {
            return Ok(());
        }
        let (dy, dy_stride) = match (&self.dora, dora) {
            (Some(dora), Some(tape)) => dora.backward(self, tape, (dy, dy_stride), factors, n)?,
            _ => (dy, dy_stride),
        };
        let matrix = self.matrix(factors, shared)?;
        let plain = |m: usize, n: usize, k: usize, a: Rows<'_, T>, b: Rows<'_, T>, out: Rows<'_, T>| {
            device.multiply(&Product {
                m,
                n,
                k,
                a: T::any(a),
                a_transposed: false,
                b: T::any(b),
                b_transposed: false,
                out: T::any(out),
                alpha: 1.0,
                start: None,
                beta: 0.0,
            })
        };
        if self.columns > 0 {
            let to = dy.rows(self.outputs, dy_stride);
            plain(n, self.columns, self.outputs, dy.rows(0, dy_stride), matrix.rows(self.inputs, stride), to)?;
        }
        if let Some(dx) = dx {
            // Without dropout the low-rank share rides along.
            let common = self.outputs + if mask.is_none() { self.columns } else { 0 };
            plain(n, self.inputs, common, dy.rows(0, dy_stride), matrix.rows(0, stride), dx)?;
        }
        for part in &self.parts {
            let Some(PairSlots { a, b, .. }) = part.slots else { continue };
            let mask = mask.map(|mask| mask.child(part.projection as u64));
            let dlow = dy.rows(self.outputs + part.first_column, dy_stride);
            let seen = match mask {
                None => x.rows(0, stride),
                Some(mask) => self.drop(x.rows(0, stride), n, mask, shared)?,
            };
            // A carries s in the matrix, so that its own gradient is s times that of what stands there.
            device.multiply(&Product {
                m: part.columns,
                n: self.inputs,
                k: n,
                a: T::any(dlow),
                a_transposed: true,
                b: T::any(seen),
                b_transposed: false,
                out: AnyRows::F32(factors.gradients.rows(a.at, a.columns)),
                alpha: part.scale,
                start: None,
                beta: 1.0,
            })?;
            device.multiply(&Product {
                m: part.outputs,
                n: part.columns,
                k: n,
                a: T::any(dy.rows(part.first_output, dy_stride)),
                a_transposed: true,
                b: T::any(x.rows(self.inputs + part.first_column, stride)),
                b_transposed: false,
                out: AnyRows::F32(factors.gradients.rows(b.at, b.columns)),
                alpha: 1.0,
                start: None,
                beta: 1.0,
            })?;
            if let (Some(mask), Some(dx), Some(dropped)) = (mask, dx, &shared.dropped) {
                let share = dropped.rows(0, self.inputs);
                let below = matrix.rows((self.outputs + part.first_column) * stride, stride);
                plain(n, self.inputs, part.columns, dlow, below, share)?;
                dropout(mask, share, dx, n, self.inputs, true)?;
            }
        }
        Ok(())
    }
}

/// The quantised rows of all sources, where all are quantised and products are in bf16.
fn quantised<T: Number>(device: &Arc<dyn Device>, sources: &[Source<'_>]) -> Result<Option<Vec<CardRows>>> {
    if T::choose("f32", "bf16") == "f32" {
        return Ok(None);
    }
    let blocks: Option<Vec<_>> = sources.iter().map(|(_, weight, _)| Some((weight, weight.blocks()?))).collect();
    let Some(blocks) = blocks else { return Ok(None) };
    let card = |(weight, (form, bytes)): (&&Frozen, (_, std::borrow::Cow<'_, [u8]>))| {
        CardRows::new(device, form, &bytes, weight.outputs(), weight.inputs())
    };
    blocks.into_iter().map(card).collect::<Result<_>>().map(Some)
}

/// The matrix with zeros where factors go.
fn whole<T: Number>(
    device: &Arc<dyn Device>,
    sources: &[Source<'_>],
    inputs: usize,
    outputs: usize,
    columns: usize,
) -> Result<Buffer<T>> {
    let stride = inputs + columns;
    let mut matrix = vec![T::default(); (outputs + columns) * stride];
    let mut rest = &mut matrix[..];
    for (_, weight, _) in sources {
        let (mine, after) = rest.split_at_mut(weight.outputs() * stride);
        mine.par_chunks_mut(stride).enumerate().for_each_init(
            || vec![0.0; inputs],
            |row, (o, to)| {
                weight.read(o..o + 1, row);
                for (to, from) in to.iter_mut().zip(&*row) {
                    *to = T::of_f32(*from);
                }
            },
        );
        rest = after;
    }
    Buffer::of(device, &matrix)
}
