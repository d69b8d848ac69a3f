//! DoRA on a card (`dora.cu`); as [`crate::ops::dora`](mod@crate::ops) has it on the processor.

use super::decoding::address;
use super::device::{Buffer, Launch, Number, Rows, in_eights};
use super::kernels::{Kernel, KernelFile};
use crate::error::{Error, Result};

/// Rows whose sums a block of the way back takes together.
const ROWS: usize = 128;

/// Parts of the sums over `n` rows.
pub fn dora_parts(n: usize) -> usize {
    n.div_ceil(ROWS)
}

fn kernel(name: &'static str) -> Kernel {
    Kernel { file: KernelFile::Dora, name }
}

/// What the norms of an adapted projection's rows are made from: its own part of each.
#[derive(Clone, Copy)]
pub struct DoraNorms<'a> {
    /// ‖W‖² of every row.
    pub squares: Rows<'a, f32>,
    /// W·(sA)ᵀ `[outputs, rank]`.
    pub across: Rows<'a, f32>,
    /// (sA)·(sA)ᵀ `[rank, rank]`, rows as far apart.
    pub gram: Rows<'a, f32>,
    /// B `[outputs, rank]`.
    pub b: Rows<'a, f32>,
    /// The trained lengths.
    pub magnitude: Rows<'a, f32>,
    /// Where length ÷ norm goes…
    pub factors: Rows<'a, f32>,
    /// …and the norm.
    pub norms: Rows<'a, f32>,
    /// Rows.
    pub outputs: usize,
    /// r.
    pub rank: usize,
}

/// Norms of the adapted rows, and the factors on their outputs.
///
/// # Errors
/// Shapes that do not fit, and those of the card.
pub fn dora_norms(d: DoraNorms<'_>) -> Result<()> {
    d.across.hold(d.outputs, d.rank)?;
    d.gram.hold(d.rank, d.rank)?;
    d.b.hold(d.outputs, d.rank)?;
    for row in [d.squares, d.magnitude, d.factors, d.norms] {
        row.hold(1, d.outputs)?;
    }
    if d.across.stride() != d.gram.stride() || d.b.stride() as usize != d.rank {
        return Err(Error::internal("parts of a norm lie differently"));
    }
    d.factors.device().launch(
        kernel("dora_norms"),
        &Launch::line(d.outputs.div_ceil(128), 128),
        &[
            d.squares.into(),
            d.across.into(),
            d.gram.into(),
            d.b.into(),
            d.magnitude.into(),
            d.factors.into(),
            d.norms.into(),
            (d.outputs as u32).into(),
            (d.rank as u32).into(),
            d.across.stride().into(),
        ],
    )
}

/// `y = start + factors ⊙ u`; `u` has no gaps.
///
/// # Errors
/// As [`dora_norms`].
pub fn dora_scale<T: Number>(
    u: &Buffer<T>,
    factors: &Buffer<f32>,
    start: Option<Rows<'_, T>>,
    y: Rows<'_, T>,
    n: usize,
) -> Result<()> {
    let width = factors.len();
    in_eights(width)?;
    u.holds(n * width)?;
    y.hold(n, width)?;
    start.map_or(Ok(()), |start| start.hold(n, width))?;
    y.device().launch(
        kernel(T::choose("dora_scale_float", "dora_scale_bf16")),
        &Launch::eights(n, width),
        &[
            u.into(),
            factors.into(),
            address(start),
            y.into(),
            (width as u32).into(),
            start.map_or(0, Rows::stride).into(),
            y.stride().into(),
        ],
    )
}

/// `du = factors ⊙ dy`, and the sums of `dy ⊙ u` over stretches of rows, [`dora_parts`] of them. `du` may be `dy`.
///
/// # Errors
/// As [`dora_norms`].
pub fn dora_scale_backward<T: Number>(
    dy: Rows<'_, T>,
    u: &Buffer<T>,
    factors: &Buffer<f32>,
    du: Rows<'_, T>,
    sums: &Buffer<f32>,
    n: usize,
) -> Result<()> {
    let width = factors.len();
    in_eights(width)?;
    u.holds(n * width)?;
    dy.hold(n, width)?;
    du.hold(n, width)?;
    sums.holds(dora_parts(n) * width)?;
    du.device().launch(
        kernel(T::choose("dora_scale_backward_float", "dora_scale_backward_bf16")),
        &Launch::eights(dora_parts(n), width),
        &[
            dy.into(),
            u.into(),
            factors.into(),
            du.into(),
            sums.into(),
            (n as u32).into(),
            (width as u32).into(),
            dy.stride().into(),
            du.stride().into(),
        ],
    )
}

/// Adds `Σ dy ⊙ u ⊘ norm` to the gradient of `outputs` lengths; `sums` of [`dora_scale_backward`] lie in rows of all outputs.
///
/// # Errors
/// As [`dora_norms`].
pub fn dora_magnitudes(
    sums: Rows<'_, f32>,
    norms: Rows<'_, f32>,
    gradient: Rows<'_, f32>,
    outputs: usize,
    n: usize,
) -> Result<()> {
    sums.hold(dora_parts(n), outputs)?;
    norms.hold(1, outputs)?;
    gradient.hold(1, outputs)?;
    gradient.device().launch(
        kernel("dora_magnitudes"),
        &Launch::line(outputs.div_ceil(128), 128),
        &[
            sums.into(),
            norms.into(),
            gradient.into(),
            (dora_parts(n) as u32).into(),
            (outputs as u32).into(),
            sums.stride().into(),
        ],
    )
}
