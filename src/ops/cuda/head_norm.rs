//! Norms of single heads of queries and keys (Qwen3).

use super::device::{Buffer, Launch, Number, Rows, in_eights};
use super::kernels::KernelFile;
use super::rows::kernel;
use crate::error::{Error, Result};

/// Sizes of the heads that [`head_norm`] works on.
#[derive(Clone, Copy, Debug)]
pub struct HeadRows {
    /// Rows of the batch.
    pub n: usize,
    /// Query heads.
    pub heads: usize,
    /// Key heads, and as many value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
}

impl HeadRows {
    fn launch(self, heads: usize) -> Launch {
        Launch::line((self.n * heads).div_ceil(8), 256)
    }

    fn check(self, weights: [&Buffer<f32>; 2]) -> Result<()> {
        in_eights(self.head_dim)?;
        if self.head_dim > 256 {
            return Err(Error::internal("a warp norms heads of at most 256 numbers"));
        }
        weights.into_iter().try_for_each(|w| w.holds(self.head_dim))
    }
}

/// RMSNorm of every query head and key head of `x`, whose rows hold queries, keys and values; values are copied.
///
/// # Errors
/// As `rms_norm`.
pub fn head_norm<T: Number>(
    x: Rows<'_, T>,
    weights: [&Buffer<f32>; 2],
    eps: f32,
    y: Rows<'_, T>,
    sizes: HeadRows,
) -> Result<()> {
    sizes.check(weights)?;
    let all = sizes.heads + 2 * sizes.kv_heads;
    x.hold(sizes.n, all * sizes.head_dim)?;
    y.hold(sizes.n, all * sizes.head_dim)?;
    x.device().launch(
        kernel::<T>(KernelFile::RmsNorm, "head_norm_float", "head_norm_bf16"),
        &sizes.launch(all),
        &[
            x.into(),
            weights[0].into(),
            weights[1].into(),
            eps.into(),
            y.into(),
            (sizes.n as u32).into(),
            (sizes.heads as u32).into(),
            (sizes.kv_heads as u32).into(),
            (sizes.head_dim as u32).into(),
            x.stride().into(),
            y.stride().into(),
        ],
    )
}

/// Turns the gradient `d` of [`head_norm`]'s queries and keys into that of its input `x`, in place; values' stay.
///
/// # Errors
/// As `rms_norm`.
pub fn head_norm_backward<T: Number>(
    x: Rows<'_, T>,
    weights: [&Buffer<f32>; 2],
    eps: f32,
    d: Rows<'_, T>,
    sizes: HeadRows,
) -> Result<()> {
    sizes.check(weights)?;
    let normed = sizes.heads + sizes.kv_heads;
    x.hold(sizes.n, normed * sizes.head_dim)?;
    d.hold(sizes.n, normed * sizes.head_dim)?;
    x.device().launch(
        kernel::<T>(KernelFile::RmsNorm, "head_norm_backward_float", "head_norm_backward_bf16"),
        &sizes.launch(normed),
        &[
            x.into(),
            weights[0].into(),
            weights[1].into(),
            eps.into(),
            d.into(),
            (sizes.n as u32).into(),
            (sizes.heads as u32).into(),
            (sizes.kv_heads as u32).into(),
            (sizes.head_dim as u32).into(),
            x.stride().into(),
            d.stride().into(),
        ],
    )
}
