//! What a forward of inference does between its products (`inference.cu`).

use super::attention::Heads;
use super::decoding::{CachedKeys, address};
use super::device::{Buffer, Launch, Number, Rows, in_eights};
use super::kernels::{Kernel, KernelFile};
use super::rows::Rotary;
use crate::error::{Error, Result};

fn kernel<T: Number>(float: &'static str, bf16: &'static str) -> Kernel {
    Kernel { file: KernelFile::Inference, name: T::choose(float, bf16) }
}

/// `x` `[rows, width]` = rows `ids` of an embedding. The ids lie in it; the caller has checked them.
///
/// # Errors
/// Shapes that do not fit, and those of the card.
pub fn embed_rows<T: Number>(
    table: &Buffer<T>,
    ids: Rows<'_, u32>,
    x: &Buffer<f32>,
    rows: usize,
    width: usize,
) -> Result<()> {
    in_eights(width)?;
    x.holds(rows * width)?;
    x.device().launch(
        kernel::<T>("embed_rows_float", "embed_rows_bf16"),
        &Launch::line((rows * width / 8).div_ceil(256), 256),
        &[table.into(), ids.into(), x.into(), (rows as u32).into(), (width as u32).into()],
    )
}

/// As [`rms_norm`](fn@crate::ops::rms_norm), from f32 rows to those that a product reads, both without gaps.
///
/// # Errors
/// As [`embed_rows`].
pub fn norm_rows<T: Number>(
    x: Rows<'_, f32>,
    (weight, eps): (&Buffer<f32>, f32),
    y: &Buffer<T>,
    rows: usize,
) -> Result<()> {
    let width = weight.len();
    in_eights(width)?;
    x.hold(rows, width)?;
    y.holds(rows * width)?;
    let threads = (width / 8).clamp(32, 256).next_multiple_of(32);
    y.device().launch(
        kernel::<T>("norm_rows_float", "norm_rows_bf16"),
        &Launch::line(rows, threads),
        &[x.into(), weight.into(), eps.into(), y.into(), (width as u32).into()],
    )
}

/// What [`cache_rows`] goes by.
#[derive(Clone, Copy)]
pub struct CacheWriter<'a> {
    /// Heads of a row.
    pub heads: Heads,
    /// Biases of q, k and v, one after another.
    pub bias: Option<&'a Buffer<f32>>,
    /// Norms of query heads and of key heads.
    pub head_norm: Option<[&'a Buffer<f32>; 2]>,
    /// ε of those.
    pub eps: f32,
    /// The rotary table.
    pub rotary: &'a Rotary,
    /// Position of each row. They lie in the table; the caller has checked them.
    pub positions: Rows<'a, u32>,
    /// Row of the pool for each row. They lie in it.
    pub places: Rows<'a, u32>,
}

/// From the products of q, k and v `[rows, q + 2·kv]` to queries `[rows, q]` and rows of the cache, normed and turned.
///
/// # Errors
/// As [`embed_rows`].
pub fn cache_rows<Q: Number, T: Number>(
    w: CacheWriter<'_>,
    qkv: &Buffer<f32>,
    q: &Buffer<Q>,
    cache: CachedKeys<'_, T>,
    rows: usize,
) -> Result<()> {
    let layout = w.heads.layout();
    let width = layout.q_width() + 2 * layout.kv_width();
    qkv.holds(rows * width)?;
    q.holds(rows * layout.q_width())?;
    w.bias.map_or(Ok(()), |bias| bias.holds(width))?;
    for norm in w.head_norm.into_iter().flatten() {
        norm.holds(layout.head_dim)?;
    }
    let name = match (Q::choose("f", "b"), T::choose("f", "b")) {
        ("f", "f") => "cache_rows_float_float",
        ("f", "b") => "cache_rows_float_bf16",
        ("b", "b") => "cache_rows_bf16_bf16",
        _ => return Err(Error::internal("queries in bf16 over a cache in f32")),
    };
    let all = layout.heads + 2 * layout.kv_heads;
    q.device().launch(
        Kernel { file: KernelFile::Inference, name },
        &Launch::line((rows * all).div_ceil(8), 256),
        &[
            qkv.into(),
            w.bias.into(),
            w.head_norm.map(|[q, _]| q).into(),
            w.head_norm.map(|[_, k]| k).into(),
            w.eps.into(),
            (&w.rotary.cosines).into(),
            (&w.rotary.sines).into(),
            w.positions.into(),
            w.places.into(),
            q.into(),
            cache.keys.into(),
            cache.values.into(),
            (rows as u32).into(),
            (layout.heads as u32).into(),
            (layout.kv_heads as u32).into(),
            (w.rotary.half as u32).into(),
        ],
    )
}

/// `y = start + scale ⊙ x` for rows of `width` without gaps; `y` may be `x` or `start`.
///
/// # Errors
/// As [`embed_rows`].
pub fn scale_columns<T: Number>(
    x: &Buffer<T>,
    scale: &Buffer<f32>,
    start: Option<Rows<'_, T>>,
    y: Rows<'_, T>,
    rows: usize,
) -> Result<()> {
    let width = scale.len();
    in_eights(width)?;
    x.holds(rows * width)?;
    y.hold(rows, width)?;
    start.map_or(Ok(()), |start| start.hold(rows, width))?;
    y.device().launch(
        kernel::<T>("scale_columns_float", "scale_columns_bf16"),
        &Launch::line((rows * width / 8).div_ceil(256), 256),
        &[x.into(), scale.into(), address(start), y.into(), (rows as u32).into(), (width as u32).into()],
    )
}

/// `out[i] = ln p(ids[i])` by row `rows[i]` of `logits`. Rows and ids lie in the logits; the caller has checked them.
///
/// # Errors
/// As [`embed_rows`].
pub fn token_logprobs(
    logits: Rows<'_, f32>,
    rows: &Buffer<u32>,
    ids: &Buffer<u32>,
    out: &Buffer<f32>,
    vocabulary: usize,
) -> Result<()> {
    let count = rows.len();
    ids.holds(count)?;
    out.holds(count)?;
    out.device().launch(
        Kernel { file: KernelFile::Inference, name: "token_logprobs" },
        &Launch::line(count, 256),
        &[logits.into(), rows.into(), ids.into(), out.into(), (vocabulary as u32).into(), logits.stride().into()],
    )
}
