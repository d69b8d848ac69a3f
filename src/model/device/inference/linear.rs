//! Projections that share an input, for inference: weights as they are stored, without factors, so that several adapters share
//! them; and the factors of one adapter beside them.

use crate::error::{Error, Result};
use crate::ops::cuda::{
    AnyRows, Around, Buffer, CardRows, Device, LowRank, MOST_ROWS, Number, Product, Weight, dequantise, low_rank,
    matrix_vector, matrix_vector_gated, scale_columns,
};
use crate::ops::{Frozen, LoraPair, column_factors};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Ranks are filled up with zeros to a multiple of this.
const RANK_STEP: usize = 8;

/// Projections one below the other.
pub(super) struct Linear<T: Number> {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Where each projection's outputs begin.
    begins: Vec<usize>,
    /// What is multiplied at once: neighbours of the same form.
    pieces: Vec<Piece<T>>,
}

struct Piece<T: Number> {
    first_output: usize,
    projections: Range<usize>,
    weight: Weight<T>,
}

/// The factors of an adapter on a [`Linear`].
pub(super) struct Update<T: Number> {
    /// s·A of all projections `[projections × rank, inputs]`; zeros where one has none.
    a: Buffer<f32>,
    /// B `[outputs, rank]`.
    b: Buffer<f32>,
    /// Both in the numbers of products of many rows, where those are not f32.
    narrow: Option<[Buffer<T>; 2]>,
    rank: usize,
    /// Whether each projection has factors.
    has: Vec<bool>,
    /// DoRA's factor on each output.
    scale: Option<Buffer<f32>>,
}

/// A product of few rows. Inputs and outputs have no gaps.
#[derive(Clone, Copy)]
pub(super) struct Few<'a> {
    pub(super) x: &'a Buffer<f32>,
    /// The row of `x` with which it begins.
    pub(super) first: usize,
    pub(super) norm: Option<(&'a Buffer<f32>, f32)>,
    pub(super) residual: Option<&'a Buffer<f32>>,
    pub(super) y: &'a Buffer<f32>,
    /// Numbers from row to row of `y` and the residual.
    pub(super) stride: usize,
    pub(super) low: &'a Buffer<f32>,
    pub(super) rows: usize,
}

/// A product of many rows.
#[derive(Clone, Copy)]
pub(super) struct Many<'a, T: Number, O: Number> {
    pub(super) x: &'a Buffer<T>,
    pub(super) start: Option<&'a Buffer<O>>,
    pub(super) y: &'a Buffer<O>,
    pub(super) stride: usize,
    pub(super) low: &'a Buffer<T>,
    /// Where a quantised piece is made whole.
    pub(super) matrix: Option<&'a Buffer<T>>,
    /// Room for the outputs; of use with DoRA and something to start from only.
    pub(super) unscaled: &'a Buffer<O>,
    pub(super) rows: usize,
}

impl<T: Number> Linear<T> {
    /// Copies weights to the card, those in blocks as they are if `blocks`.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub(super) fn new(device: &Arc<dyn Device>, weights: &[&Frozen], blocks: bool) -> Result<Linear<T>> {
        let inputs = weights.first().map_or(0, |w| w.inputs());
        let form = |w: &Frozen| if blocks { w.block_form() } else { None };
        let (mut begins, mut pieces, mut outputs) = (Vec::new(), Vec::new(), 0);
        let mut next = 0;
        while next < weights.len() {
            let first = next;
            let kind = form(weights[first]);
            let first_output = outputs;
            while next < weights.len() && form(weights[next]) == kind {
                begins.push(outputs);
                outputs += weights[next].outputs();
                next += 1;
            }
            let part = &weights[first..next];
            let weight = match kind {
                Some(_) => quantised(device, part)?,
                None => Weight::Whole(Arc::new(whole(device, part, inputs)?), inputs),
            };
            pieces.push(Piece { first_output, projections: first..next, weight });
        }
        Ok(Linear { inputs, outputs, begins, pieces })
    }

    /// A matrix that is on the card already.
    pub(super) fn of(weight: Arc<Buffer<T>>, inputs: usize) -> Linear<T> {
        let outputs = weight.len() / inputs.max(1);
        let pieces = vec![Piece { first_output: 0, projections: 0..1, weight: Weight::Whole(weight, inputs) }];
        Linear { inputs, outputs, begins: vec![0], pieces }
    }

    /// Whether it is one product.
    pub(super) fn is_one(&self) -> bool {
        self.pieces.len() == 1
    }

    /// Whether all of it is in blocks.
    pub(super) fn is_quantised(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece.weight, Weight::Quantised(_)))
    }

    /// Numbers of the largest piece that must be made whole for a product of many rows.
    pub(super) fn matrix_len(&self) -> usize {
        let of = |piece: &Piece<T>| match &piece.weight {
            Weight::Whole(..) => 0,
            Weight::Quantised(rows) => rows.rows() * rows.width(),
        };
        self.pieces.iter().map(of).max().unwrap_or(0)
    }

    /// `y = residual + norm(x)·Wᵀ` with the update; `gated`: gate and up become the activation, where it is one product.
    ///
    /// # Errors
    /// Those of the card.
    pub(super) fn few(&self, update: Option<&Update<T>>, f: Few<'_>, gated: bool) -> Result<()> {
        for from in (0..f.rows).step_by(MOST_ROWS) {
            let rows = MOST_ROWS.min(f.rows - from);
            let x = f.x.rows((f.first + from) * self.inputs, self.inputs);
            let columns = update.map_or(0, Update::columns);
            let low = f.low.rows(0, columns);
            if let Some(update) = update {
                low_rank(&update.a, x, f.norm, low, rows, columns)?;
            }
            for piece in &self.pieces {
                let at = from * f.stride + piece.first_output;
                let begin = |i: usize| {
                    let projection = piece.projections.start + i;
                    if projection < piece.projections.end {
                        self.begins[projection] - piece.first_output
                    } else {
                        usize::MAX
                    }
                };
                let around = Around {
                    x,
                    norm: f.norm,
                    update: update.map(|u| LowRank {
                        low: f.low.rows(piece.projections.start * u.rank, columns),
                        b: u.b.rows(piece.first_output * u.rank, u.rank),
                        rank: u.rank,
                        begins: [begin(1), begin(2)],
                    }),
                    scale: update
                        .and_then(|u| u.scale.as_ref())
                        .map(|scale| scale.rows(piece.first_output, self.outputs)),
                    residual: f.residual.map(|r| r.rows(at, f.stride)),
                    y: f.y.rows(at, f.stride),
                    rows,
                };
                if gated { matrix_vector_gated(&piece.weight, around)? } else { matrix_vector(&piece.weight, around)? }
            }
        }
        Ok(())
    }

    /// `y = start + x·Wᵀ` with the update, on tensor cores.
    ///
    /// # Errors
    /// Those of the card.
    pub(super) fn many<O: Number>(&self, update: Option<&Update<T>>, m: Many<'_, T, O>) -> Result<()> {
        let device = m.x.device();
        let scale = update.and_then(|u| u.scale.as_ref());
        let apart = scale.is_some() && m.start.is_some();
        let (out, stride) = if apart { (m.unscaled, self.outputs) } else { (m.y, m.stride) };
        let start = if apart { None } else { m.start };
        let product = |n: usize, k: usize, a: AnyRows<'_>, b: AnyRows<'_>, first: usize, start: Option<&Buffer<O>>| {
            device.multiply(&Product {
                m: m.rows,
                n,
                k,
                a,
                a_transposed: false,
                b,
                b_transposed: true,
                out: O::any(out.rows(first, stride)),
                alpha: 1.0,
                start: start.map(|start| O::any(start.rows(first, stride))),
                beta: if start.is_some() { 1.0 } else { 0.0 },
            })
        };
        for piece in &self.pieces {
            let matrix = match &piece.weight {
                Weight::Whole(numbers, _) => numbers,
                Weight::Quantised(rows) => {
                    let matrix = m.matrix.ok_or_else(|| Error::internal("no room for a de-quantised matrix"))?;
                    match T::any(matrix.rows(0, self.inputs)) {
                        AnyRows::Bf16(out) => dequantise(rows, None, out)?,
                        AnyRows::F32(_) => return Err(Error::internal("blocks are de-quantised to bf16")),
                    };
                    matrix
                }
            };
            let (outputs, inputs) = piece.weight.shape();
            let (x, w) = (T::any(m.x.rows(0, inputs)), T::any(matrix.rows(0, inputs)));
            product(outputs, inputs, x, w, piece.first_output, start)?;
        }
        if let Some(update) = update {
            let columns = update.columns();
            device.multiply(&Product {
                m: m.rows,
                n: columns,
                k: self.inputs,
                a: T::any(m.x.rows(0, self.inputs)),
                a_transposed: false,
                b: update.a(self.inputs),
                b_transposed: true,
                out: T::any(m.low.rows(0, columns)),
                alpha: 1.0,
                start: None,
                beta: 0.0,
            })?;
            for (i, first) in self.begins.iter().enumerate().filter(|(i, _)| update.has[*i]) {
                let outputs = self.begins.get(i + 1).unwrap_or(&self.outputs) - first;
                let low = T::any(m.low.rows(i * update.rank, columns));
                product(outputs, update.rank, low, update.b(*first), *first, Some(out))?;
            }
        }
        match scale {
            None => Ok(()),
            Some(scale) => {
                let start = if apart { m.start.map(|start| start.rows(0, stride)) } else { None };
                scale_columns(out, scale, start, m.y.rows(0, stride), m.rows)
            }
        }
    }
}

impl<T: Number> Update<T> {
    /// The factors of the projections of `linear`; `None` where none has any.
    ///
    /// # Errors
    /// `OutOfMemory`; `Internal` for DoRA's whose norms were not settled.
    pub(super) fn new(
        device: &Arc<dyn Device>,
        linear: &Linear<T>,
        pairs: &[&Option<LoraPair>],
    ) -> Result<Option<Update<T>>> {
        let Some(rank) = pairs.iter().filter_map(|p| Some(p.as_ref()?.rank)).max() else { return Ok(None) };
        let rank = rank.next_multiple_of(RANK_STEP);
        let mut a = vec![0.0; pairs.len() * rank * linear.inputs];
        let mut b = vec![0.0; linear.outputs * rank];
        let mut scale: Option<Vec<f32>> = None;
        for (i, pair) in pairs.iter().enumerate() {
            let Some(pair) = pair else { continue };
            let first = linear.begins[i];
            for (to, from) in a[i * rank * linear.inputs..].iter_mut().zip(&pair.a) {
                *to = from * pair.scale;
            }
            let rows = b[first * rank..].chunks_exact_mut(rank).zip(pair.b.chunks_exact(pair.rank));
            rows.for_each(|(to, from)| to[..pair.rank].copy_from_slice(from));
            if let Some(magnitude) = &pair.magnitude {
                let norms = pair.norms.as_ref().ok_or_else(|| Error::internal("norms were not settled"))?;
                let factors = column_factors(magnitude, norms);
                scale.get_or_insert_with(|| vec![1.0; linear.outputs])[first..first + factors.len()]
                    .copy_from_slice(&factors);
            }
        }
        let narrow = |x: &[f32]| Buffer::of(device, &x.iter().map(|x| T::of_f32(*x)).collect::<Vec<_>>());
        let exact = T::choose("f32", "bf16") == "f32";
        Ok(Some(Update {
            narrow: if exact { None } else { Some([narrow(&a)?, narrow(&b)?]) },
            a: Buffer::of(device, &a)?,
            b: Buffer::of(device, &b)?,
            rank,
            has: pairs.iter().map(|p| p.is_some()).collect(),
            scale: scale.map(|scale| Buffer::of(device, &scale)).transpose()?,
        }))
    }

    /// Low-rank columns of all projections.
    pub(super) fn columns(&self) -> usize {
        self.has.len() * self.rank
    }

    fn a(&self, inputs: usize) -> AnyRows<'_> {
        match &self.narrow {
            Some([a, _]) => T::any(a.rows(0, inputs)),
            None => AnyRows::F32(self.a.rows(0, inputs)),
        }
    }

    fn b(&self, first: usize) -> AnyRows<'_> {
        match &self.narrow {
            Some([_, b]) => T::any(b.rows(first * self.rank, self.rank)),
            None => AnyRows::F32(self.b.rows(first * self.rank, self.rank)),
        }
    }
}

/// Quantised weights of one form, one below the other.
fn quantised<T: Number>(device: &Arc<dyn Device>, weights: &[&Frozen]) -> Result<Weight<T>> {
    let mut bytes = Vec::new();
    let mut kind = None;
    for weight in weights {
        let (form, blocks) = weight.blocks().ok_or_else(|| Error::internal("a weight lost its blocks"))?;
        kind = Some(form);
        bytes.extend_from_slice(&blocks);
    }
    let (Some(form), Some(first)) = (kind, weights.first()) else { return Err(Error::internal("no weight")) };
    let outputs = weights.iter().map(|w| w.outputs()).sum();
    Ok(Weight::Quantised(CardRows::new(device, form, &bytes, outputs, first.inputs())?))
}

/// Weights as numbers, one below the other.
pub(super) fn whole<T: Number>(device: &Arc<dyn Device>, weights: &[&Frozen], inputs: usize) -> Result<Buffer<T>> {
    let outputs: usize = weights.iter().map(|w| w.outputs()).sum();
    let mut matrix = vec![T::default(); outputs * inputs];
    let mut rest = &mut matrix[..];
    for weight in weights {
        let (mine, after) = rest.split_at_mut(weight.outputs() * inputs);
        mine.par_chunks_mut(inputs).enumerate().for_each_init(
            || vec![0.0; inputs],
            |row, (o, to)| {
                weight.read(o..o + 1, row);
                to.iter_mut().zip(&*row).for_each(|(to, from)| *to = T::of_f32(*from));
            },
        );
        rest = after;
    }
    Buffer::of(device, &matrix)
}
