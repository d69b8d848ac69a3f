//! Operations that work row by row: norms, rotary positions, the activation, and small ones.

use super::device::{Buffer, Element, Launch, Number, Rows, in_eights};
use super::kernels::{Kernel, KernelFile};
use crate::error::{Error, Result};
use crate::ops::DropoutMask;

/// Threads for each row: one warp for short rows (eight of them in a block), a block for long ones.
fn row_launch(rows: usize, width: usize) -> Launch {
    if width <= 1024 {
        Launch { grid: [rows.div_ceil(8) as u32, 1, 1], block: [32, 8, 1], shared: 0 }
    } else {
        let threads = (width / 8).min(256).next_multiple_of(32);
        Launch { grid: [rows as u32, 1, 1], block: [threads as u32, 1, 1], shared: 0 }
    }
}

pub(super) fn kernel<T: Number>(file: KernelFile, float: &'static str, bf16: &'static str) -> Kernel {
    Kernel { file, name: T::choose(float, bf16) }
}

/// As [`rms_norm`](fn@crate::ops::rms_norm): `n` rows of `weight.len()`; `inverse_rms` `[n]` is kept for the backward.
///
/// # Errors
/// Shapes that do not fit, and those of the card.
pub fn rms_norm<T: Number>(
    x: Rows<'_, T>,
    weight: &Buffer<f32>,
    eps: f32,
    y: Rows<'_, T>,
    inverse_rms: &Buffer<f32>,
    n: usize,
) -> Result<()> {
    let width = weight.len();
    in_eights(width)?;
    x.hold(n, width)?;
    y.hold(n, width)?;
    inverse_rms.holds(n)?;
    x.device().launch(
        kernel::<T>(KernelFile::RmsNorm, "rms_norm_float", "rms_norm_bf16"),
        &row_launch(n, width),
        &[
            x.into(),
            weight.into(),
            eps.into(),
            y.into(),
            inverse_rms.into(),
            (n as u32).into(),
            (width as u32).into(),
            x.stride().into(),
            y.stride().into(),
        ],
    )
}

/// As [`crate::ops::rms_norm_again`].
///
/// # Errors
/// As [`rms_norm`].
pub fn rms_norm_again<T: Number>(
    x: Rows<'_, T>,
    weight: &Buffer<f32>,
    inverse_rms: &Buffer<f32>,
    y: Rows<'_, T>,
    n: usize,
) -> Result<()> {
    let width = weight.len();
    in_eights(width)?;
    x.hold(n, width)?;
    y.hold(n, width)?;
    inverse_rms.holds(n)?;
    x.device().launch(
        kernel::<T>(KernelFile::RmsNorm, "rms_norm_again_float", "rms_norm_again_bf16"),
        &row_launch(n, width),
        &[
            x.into(),
            weight.into(),
            inverse_rms.into(),
            y.into(),
            (n as u32).into(),
            (width as u32).into(),
            x.stride().into(),
            y.stride().into(),
        ],
    )
}

/// As [`crate::ops::rms_norm_backward`]; `x` is `[n, weight.len()]` without gaps.
///
/// # Errors
/// As [`rms_norm`].
pub fn rms_norm_backward<T: Number>(
    x: &Buffer<T>,
    weight: &Buffer<f32>,
    inverse_rms: &Buffer<f32>,
    dy: Rows<'_, T>,
    dx: Rows<'_, T>,
    n: usize,
    keep: bool,
) -> Result<()> {
    let width = weight.len();
    in_eights(width)?;
    x.holds(n * width)?;
    dx.hold(n, width)?;
    dy.hold(n, width)?;
    inverse_rms.holds(n)?;
    x.device().launch(
        kernel::<T>(KernelFile::RmsNorm, "rms_norm_backward_float", "rms_norm_backward_bf16"),
        &row_launch(n, width),
        &[
            x.into(),
            weight.into(),
            inverse_rms.into(),
            dy.into(),
            dx.into(),
            (n as u32).into(),
            (width as u32).into(),
            dy.stride().into(),
            dx.stride().into(),
            u32::from(keep).into(),
        ],
    )
}

/// Cosines and sines on the card, `[positions, half]` each.
pub struct Rotary {
    pub(super) cosines: Buffer<f32>,
    pub(super) sines: Buffer<f32>,
    pub(super) half: usize,
}

impl Rotary {
    /// Wraps the two tables.
    ///
    /// # Errors
    /// Heads whose halves are no multiples of eight.
    pub fn new(cosines: Buffer<f32>, sines: Buffer<f32>, half: usize) -> Result<Rotary> {
        in_eights(half)?;
        Ok(Rotary { cosines, sines, half })
    }
}

/// Turns `heads` heads of q and `kv_heads` of k by their rows' positions, in place; `backward` the other way.
///
/// # Errors
/// As [`rms_norm`]. Positions lie in the table; the caller has checked them.
#[allow(clippy::too_many_arguments)]
pub fn rope<T: Number>(
    table: &Rotary,
    q: Rows<'_, T>,
    k: Rows<'_, T>,
    positions: &Buffer<u32>,
    n: usize,
    heads: usize,
    kv_heads: usize,
    backward: bool,
) -> Result<()> {
    let half = table.half;
    q.hold(n, heads * 2 * half)?;
    k.hold(n, kv_heads * 2 * half)?;
    positions.holds(n)?;
    let threads = n * (heads + kv_heads) * half / 8;
    q.device().launch(
        kernel::<T>(KernelFile::Rope, "rope_float", "rope_bf16"),
        &Launch::line(threads.div_ceil(256), 256),
        &[
            q.into(),
            k.into(),
            (&table.cosines).into(),
            (&table.sines).into(),
            positions.into(),
            (n as u32).into(),
            (heads as u32).into(),
            (kv_heads as u32).into(),
            (half as u32).into(),
            q.stride().into(),
            k.stride().into(),
            (if backward { -1.0f32 } else { 1.0 }).into(),
        ],
    )
}

fn same_stride<T: Element>(a: Rows<'_, T>, b: Rows<'_, T>) -> Result<()> {
    if a.stride() == b.stride() { Ok(()) } else { Err(Error::internal("gate and up lie differently")) }
}

/// As [`crate::ops::swiglu`]: `n` rows of `width`; `gate` and `up` have one stride.
///
/// # Errors
/// As [`rms_norm`].
pub fn swiglu<T: Number>(gate: Rows<'_, T>, up: Rows<'_, T>, out: Rows<'_, T>, n: usize, width: usize) -> Result<()> {
    in_eights(width)?;
    same_stride(gate, up)?;
    for rows in [gate, up, out] {
        rows.hold(n, width)?;
    }
    gate.device().launch(
        kernel::<T>(KernelFile::Swiglu, "swiglu_float", "swiglu_bf16"),
        &Launch::eights(n, width),
        &[gate.into(), up.into(), out.into(), (width as u32).into(), gate.stride().into(), out.stride().into()],
    )
}

/// As [`crate::ops::swiglu_backward`].
///
/// # Errors
/// As [`rms_norm`].
pub fn swiglu_backward<T: Number>(
    gate: Rows<'_, T>,
    up: Rows<'_, T>,
    d_out: Rows<'_, T>,
    n: usize,
    width: usize,
) -> Result<()> {
    in_eights(width)?;
    same_stride(gate, up)?;
    for rows in [gate, up, d_out] {
        rows.hold(n, width)?;
    }
    gate.device().launch(
        kernel::<T>(KernelFile::Swiglu, "swiglu_backward_float", "swiglu_backward_bf16"),
        &Launch::eights(n, width),
        &[gate.into(), up.into(), d_out.into(), (width as u32).into(), gate.stride().into(), d_out.stride().into()],
    )
}

/// `y += bias` in each of `n` rows.
///
/// # Errors
/// As [`rms_norm`].
pub fn add_bias<T: Number>(y: Rows<'_, T>, bias: &Buffer<f32>, n: usize) -> Result<()> {
    in_eights(bias.len())?;
    y.hold(n, bias.len())?;
    y.device().launch(
        kernel::<T>(KernelFile::Elementwise, "add_bias_float", "add_bias_bf16"),
        &Launch::eights(n, bias.len()),
        &[y.into(), bias.into(), (bias.len() as u32).into(), y.stride().into()],
    )
}

/// `n` rows of `width` in the other number type.
///
/// # Errors
/// As [`rms_norm`].
pub fn cast<A: Number, B: Number>(from: Rows<'_, A>, to: Rows<'_, B>, n: usize, width: usize) -> Result<()> {
    in_eights(width)?;
    from.hold(n, width)?;
    to.hold(n, width)?;
    let name = match (A::choose("f", "b"), B::choose("f", "b")) {
        ("f", "b") => "cast_float_bf16",
        ("b", "f") => "cast_bf16_float",
        _ => return Err(Error::internal("a cast between equal types")),
    };
    from.device().launch(
        Kernel { file: KernelFile::Elementwise, name },
        &Launch::eights(n, width),
        &[from.into(), to.into(), (width as u32).into(), from.stride().into(), to.stride().into()],
    )
}

/// `out[i] = table[ids[i]]` for `n` rows of `width`. Ids lie in the table; the caller has checked them.
///
/// # Errors
/// As [`rms_norm`].
pub fn gather_rows<T: Number>(
    table: &Buffer<T>,
    ids: &Buffer<u32>,
    out: Rows<'_, T>,
    n: usize,
    width: usize,
) -> Result<()> {
    in_eights(width)?;
    ids.holds(n)?;
    out.hold(n, width)?;
    out.device().launch(
        kernel::<T>(KernelFile::Elementwise, "gather_rows_float", "gather_rows_bf16"),
        &Launch::eights(n, width),
        &[table.into(), ids.into(), out.into(), (width as u32).into(), out.stride().into()],
    )
}

/// `to[ids[i]] = from[i]` for `n` rows of `width` with ids that are all different: the way back of [`gather_rows`], and how
/// keys and values enter the pool of cached rows.
///
/// # Errors
/// As [`rms_norm`].
pub fn scatter_rows<T: Number>(
    from: Rows<'_, T>,
    ids: &Buffer<u32>,
    to: Rows<'_, T>,
    n: usize,
    width: usize,
) -> Result<()> {
    in_eights(width)?;
    ids.holds(n)?;
    from.hold(n, width)?;
    to.hold(1, width)?;
    to.device().launch(
        kernel::<T>(KernelFile::Elementwise, "scatter_rows_float", "scatter_rows_bf16"),
        &Launch::eights(n, width),
        &[from.into(), ids.into(), to.into(), (width as u32).into(), from.stride().into(), to.stride().into()],
    )
}

/// As [`DropoutMask::apply`] with the same mask; `add` adds to `out` (the way back).
///
/// # Errors
/// As [`rms_norm`].
pub fn dropout<T: Number>(
    mask: DropoutMask,
    x: Rows<'_, T>,
    out: Rows<'_, T>,
    n: usize,
    width: usize,
    add: bool,
) -> Result<()> {
    in_eights(width)?;
    x.hold(n, width)?;
    out.hold(n, width)?;
    x.device().launch(
        kernel::<T>(KernelFile::Elementwise, "dropout_float", "dropout_bf16"),
        &Launch::eights(n, width),
        &[
            x.into(),
            out.into(),
            mask.seed.into(),
            (mask.first_row as u32).into(),
            (width as u32).into(),
            x.stride().into(),
            out.stride().into(),
            ((f64::from(mask.p) * 4_294_967_296.0) as u64).into(),
            (1.0 / (1.0 - mask.p)).into(),
            u32::from(add).into(),
        ],
    )
}

/// As [`crate::ops::EmbeddingNoise::add`] for all sequences of a batch: `bounds` `[n]` has α/√(L·d) of every row's sequence.
///
/// # Errors
/// As [`rms_norm`].
pub fn embedding_noise<T: Number>(
    x: &Buffer<T>,
    bounds: &Buffer<f32>,
    seed: u64,
    first_row: usize,
    n: usize,
    width: usize,
) -> Result<()> {
    in_eights(width)?;
    x.holds(n * width)?;
    bounds.holds(n)?;
    x.device().launch(
        kernel::<T>(KernelFile::Elementwise, "embedding_noise_float", "embedding_noise_bf16"),
        &Launch::eights(n, width),
        &[x.into(), bounds.into(), seed.into(), (first_row as u32).into(), (width as u32).into()],
    )
}
