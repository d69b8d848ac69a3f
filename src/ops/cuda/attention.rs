//! Segmented causal attention on the card, forward and backward (`attention_forward.cu`, `attention_backward.cu`; f32 and
//! other head sizes: `attention_plain.cu`).

use super::device::{Argument, Buffer, Device, Launch, Number, Rows};
use super::kernels::{Kernel, KernelFile};
use crate::error::{Error, Kind, Result};
use crate::ops::HeadLayout;
use std::ops::Range;
use std::sync::Arc;

/// Rows of queries (or keys, backward) that a block owns.
const TILE: usize = 64;

/// Heads of a size that there are kernels for.
#[derive(Clone, Copy, Debug)]
pub struct Heads(HeadLayout);

/// The longest head of the kernels without tiles: eight numbers a lane of a warp.
const LONGEST_HEAD: usize = 256;

impl Heads {
    /// Head sizes with tiled kernels.
    pub const SIZES: [usize; 4] = [64, 96, 128, 256];

    /// Wraps a layout.
    ///
    /// # Errors
    /// `Unsupported` for other head sizes.
    pub fn new(layout: HeadLayout) -> Result<Heads> {
        let size = layout.head_dim;
        // Rotary halves are read eight numbers at a time.
        if size > 0 && size.is_multiple_of(16) && size <= LONGEST_HEAD {
            return Ok(Heads(layout));
        }
        Err(Error::new(
            Kind::Unsupported,
            crate::tr!(
                "no GPU kernel for attention heads of size {size}",
                "没有适用于大小为 {size} 的注意力头的 GPU 内核"
            ),
        )
        .hint(crate::tr!("use --device cpu for this model", "此模型请用 --device cpu")))
    }

    /// Whether there are kernels on tensor cores for it, in bf16.
    pub fn tiled(self) -> bool {
        Heads::SIZES.contains(&self.0.head_dim)
    }

    /// The layout.
    pub fn layout(self) -> HeadLayout {
        self.0
    }

    fn kernel(self, file: KernelFile, names: [&'static str; 4]) -> Kernel {
        let at = Heads::SIZES.iter().position(|size| *size == self.0.head_dim).unwrap_or(0);
        Kernel { file, name: names[at] }
    }

    fn group(self) -> u32 {
        (self.0.heads / self.0.kv_heads) as u32
    }

    fn scale(self) -> f32 {
        1.0 / (self.0.head_dim as f32).sqrt()
    }

    /// Bytes of shared memory for `rows` rows of a head; rows are eight elements further apart than they are long.
    fn shared(self, rows: usize) -> u32 {
        (2 * (self.0.head_dim + 8) * rows) as u32
    }
}

/// Where sequences begin and end, and which keys they see, on the card.
pub struct Segments {
    q_starts: Buffer<u32>,
    k_starts: Buffer<u32>,
    /// Row of every key in the pool; `None`: keys lie as queries do.
    key_rows: Option<Buffer<u32>>,
    /// (sequence, first row) of every tile, the longest work first for the forward and for queries…
    by_query: Buffer<u32>,
    /// …and for tiles of keys, which the first have most work for.
    by_key: Buffer<u32>,
    /// Begin and end of every row's sequence.
    begins: Buffer<u32>,
    ends: Buffer<u32>,
    tiles: usize,
    rows: usize,
}

impl Segments {
    /// Sequences that lie one after another and see only themselves: a training batch.
    ///
    /// # Errors
    /// Those of the card.
    pub fn packed(device: &Arc<dyn Device>, sequences: &[Range<usize>]) -> Result<Segments> {
        Segments::build(device, sequences, &sequences.iter().map(Range::len).collect::<Vec<_>>(), None)
    }

    /// Sequences whose keys are the rows `keys[s]` of a pool, their own (already written there) the last of them.
    ///
    /// # Errors
    /// Those of the card; a sequence with fewer keys than queries.
    pub fn cached(device: &Arc<dyn Device>, sequences: &[Range<usize>], keys: &[Vec<u32>]) -> Result<Segments> {
        let lengths: Vec<usize> = keys.iter().map(Vec::len).collect();
        if sequences.len() != keys.len() || sequences.iter().zip(&lengths).any(|(s, keys)| s.len() > *keys) {
            return Err(Error::internal("a sequence sees fewer keys than it has rows"));
        }
        let rows = Buffer::of(device, &keys.concat())?;
        Segments::build(device, sequences, &lengths, Some(rows))
    }

    fn build(
        device: &Arc<dyn Device>,
        sequences: &[Range<usize>],
        keys: &[usize],
        key_rows: Option<Buffer<u32>>,
    ) -> Result<Segments> {
        let mut q_starts = vec![0u32];
        let mut k_starts = vec![0u32];
        let mut tiles = Vec::new();
        for (s, (sequence, keys)) in sequences.iter().zip(keys).enumerate() {
            if sequence.start != *q_starts.last().unwrap_or(&0) as usize {
                return Err(Error::internal("sequences do not lie one after another"));
            }
            q_starts.push(sequence.end as u32);
            k_starts.push(k_starts.last().unwrap_or(&0) + *keys as u32);
            for first in (0..sequence.len()).step_by(TILE) {
                tiles.push((s as u32, first as u32, keys - sequence.len() + first, sequence.len() - first));
            }
        }
        let flat = |tiles: &[(u32, u32, usize, usize)]| tiles.iter().flat_map(|t| [t.0, t.1]).collect::<Vec<u32>>();
        let of_rows = |bound: fn(&Range<usize>) -> usize| -> Vec<u32> {
            sequences.iter().flat_map(|s| std::iter::repeat_n(bound(s) as u32, s.len())).collect()
        };
        // A sort that keeps the order of equals: the list, and so the run, repeats.
        tiles.sort_by_key(|t| std::cmp::Reverse(t.2));
        let by_query = Buffer::of(device, &flat(&tiles))?;
        tiles.sort_by_key(|t| std::cmp::Reverse(t.3));
        Ok(Segments {
            q_starts: Buffer::of(device, &q_starts)?,
            k_starts: Buffer::of(device, &k_starts)?,
            key_rows,
            by_query,
            by_key: Buffer::of(device, &flat(&tiles))?,
            begins: Buffer::of(device, &of_rows(|s| s.start))?,
            ends: Buffer::of(device, &of_rows(|s| s.end))?,
            tiles: tiles.len(),
            rows: *q_starts.last().unwrap_or(&0) as usize,
        })
    }
}

/// As [`attention`](fn@crate::ops::attention): `q` rows `[heads × head_dim]`, `k` and `v` rows (with one stride) of the batch or of a
/// pool, `out` like `q`, `lse` `[n, heads]` (training keeps it).
///
/// # Errors
/// Shapes that do not fit, and those of the card.
pub fn attention<T: Number>(
    heads: Heads,
    segments: &Segments,
    q: Rows<'_, T>,
    k: Rows<'_, T>,
    v: Rows<'_, T>,
    out: Rows<'_, T>,
    lse: Option<&Buffer<f32>>,
) -> Result<()> {
    let layout = heads.layout();
    let n = segments.rows;
    q.hold(n, layout.q_width())?;
    out.hold(n, layout.q_width())?;
    let kv_rows = if segments.key_rows.is_some() { 1 } else { n };
    k.hold(kv_rows, layout.kv_width())?;
    v.hold(kv_rows, layout.kv_width())?;
    if k.stride() != v.stride() {
        return Err(Error::internal("keys and values lie differently"));
    }
    if let Some(lse) = lse {
        lse.holds(n * layout.heads)?;
    }
    if !heads.tiled() || T::any(q).is_f32() {
        return plain(heads, segments, [q, k, v, out], lse);
    }
    // The queries, and two stages of keys and values.
    let keys = if layout.head_dim > 128 { 32 } else { 64 };
    let launch = Launch {
        grid: [segments.tiles as u32, layout.heads as u32, 1],
        block: [128, 1, 1],
        shared: heads.shared(TILE + 4 * keys),
    };
    let names = ["attention_64", "attention_96", "attention_128", "attention_256"];
    q.device().launch(
        heads.kernel(KernelFile::AttentionForward, names),
        &launch,
        &[
            q.into(),
            k.into(),
            v.into(),
            out.into(),
            lse.into(),
            (&segments.by_query).into(),
            (&segments.q_starts).into(),
            (&segments.k_starts).into(),
            segments.key_rows.as_ref().into(),
            (layout.heads as u32).into(),
            heads.group().into(),
            q.stride().into(),
            k.stride().into(),
            out.stride().into(),
            heads.scale().into(),
        ],
    )
}

/// The forward without tiles; shapes are checked.
fn plain<T: Number>(
    heads: Heads,
    segments: &Segments,
    [q, k, v, out]: [Rows<'_, T>; 4],
    lse: Option<&Buffer<f32>>,
) -> Result<()> {
    let layout = heads.layout();
    if segments.key_rows.is_some() {
        return Err(Error::internal("attention without tiles wants a packed batch"));
    }
    q.device().launch(
        Kernel { file: KernelFile::AttentionPlain, name: T::choose("attention_plain_float", "attention_plain_bf16") },
        &Launch::line((segments.rows * layout.heads).div_ceil(8), 256),
        &[
            q.into(),
            k.into(),
            v.into(),
            out.into(),
            lse.into(),
            (&segments.begins).into(),
            (segments.rows as u32).into(),
            (layout.heads as u32).into(),
            heads.group().into(),
            (layout.head_dim as u32).into(),
            q.stride().into(),
            k.stride().into(),
            out.stride().into(),
            heads.scale().into(),
        ],
    )
}

/// The backward without tiles; shapes are checked.
#[allow(clippy::too_many_arguments)]
fn plain_backward<T: Number>(
    heads: Heads,
    segments: &Segments,
    [q, k, v]: [Rows<'_, T>; 3],
    out: Rows<'_, T>,
    lse: &Buffer<f32>,
    d_out: Rows<'_, T>,
    inner: &Buffer<f32>,
    [dq, dk, dv]: [Rows<'_, T>; 3],
) -> Result<()> {
    let layout = heads.layout();
    let (n, file) = (segments.rows, KernelFile::AttentionPlain);
    let sizes: [Argument; 6] = [
        (n as u32).into(),
        (layout.heads as u32).into(),
        heads.group().into(),
        (layout.head_dim as u32).into(),
        q.stride().into(),
        k.stride().into(),
    ];
    let mut arguments: Vec<Argument> = vec![
        q.into(),
        k.into(),
        v.into(),
        out.into(),
        d_out.into(),
        lse.into(),
        inner.into(),
        dq.into(),
        (&segments.begins).into(),
    ];
    arguments.extend(sizes);
    arguments.extend([Argument::from(out.stride()), d_out.stride().into(), dq.stride().into(), heads.scale().into()]);
    let name = T::choose("attention_plain_queries_float", "attention_plain_queries_bf16");
    q.device().launch(Kernel { file, name }, &Launch::line((n * layout.heads).div_ceil(8), 256), &arguments)?;
    let mut arguments: Vec<Argument> = vec![
        q.into(),
        k.into(),
        v.into(),
        d_out.into(),
        lse.into(),
        inner.into(),
        dk.into(),
        dv.into(),
        (&segments.ends).into(),
    ];
    arguments.extend(sizes);
    arguments.extend([Argument::from(d_out.stride()), dk.stride().into(), heads.scale().into()]);
    let name = T::choose("attention_plain_keys_float", "attention_plain_keys_bf16");
    q.device().launch(Kernel { file, name }, &Launch::line((n * layout.kv_heads).div_ceil(8), 256), &arguments)
}

/// As [`crate::ops::attention_backward`], for [`Segments::packed`]: overwrites `dq`, `dk`, `dv`; `inner` `[n, heads]` is scratch.
///
/// # Errors
/// As [`attention`].
#[allow(clippy::too_many_arguments)]
pub fn attention_backward<T: Number>(
    heads: Heads,
    segments: &Segments,
    [q, k, v]: [Rows<'_, T>; 3],
    out: Rows<'_, T>,
    lse: &Buffer<f32>,
    d_out: Rows<'_, T>,
    inner: &Buffer<f32>,
    [dq, dk, dv]: [Rows<'_, T>; 3],
) -> Result<()> {
    let layout = heads.layout();
    let n = segments.rows;
    for rows in [q, out, d_out, dq] {
        rows.hold(n, layout.q_width())?;
    }
    for rows in [k, v, dk, dv] {
        rows.hold(n, layout.kv_width())?;
    }
    lse.holds(n * layout.heads)?;
    inner.holds(n * layout.heads)?;
    if k.stride() != v.stride() || dk.stride() != dv.stride() || segments.key_rows.is_some() {
        return Err(Error::internal("attention's gradient wants a packed batch, keys and values alike"));
    }
    if !heads.tiled() || T::any(q).is_f32() {
        return plain_backward(heads, segments, [q, k, v], out, lse, d_out, inner, [dq, dk, dv]);
    }
    let device = q.device();
    let (count, group) = (layout.heads as u32, heads.group());
    device.launch(
        Kernel { file: KernelFile::AttentionBackward, name: "attention_inner" },
        &Launch::line((n * layout.heads).div_ceil(8), 256),
        &[
            out.into(),
            d_out.into(),
            inner.into(),
            (n as u32).into(),
            count.into(),
            (layout.head_dim as u32).into(),
            out.stride().into(),
            d_out.stride().into(),
        ],
    )?;
    // Two tiles that the block owns, and one or two stages of two tiles of 32 rows.
    let wide = layout.head_dim > 128;
    let shared = heads.shared(2 * TILE + if wide { 64 } else { 128 });
    let names = [
        "attention_keys_backward_64",
        "attention_keys_backward_96",
        "attention_keys_backward_128",
        "attention_keys_backward_256",
    ];
    device.launch(
        heads.kernel(KernelFile::AttentionBackward, names),
        &Launch {
            grid: [segments.tiles as u32, layout.kv_heads as u32, if wide { 2 } else { 1 }],
            block: [128, 1, 1],
            shared,
        },
        &[
            q.into(),
            k.into(),
            v.into(),
            d_out.into(),
            lse.into(),
            inner.into(),
            dk.into(),
            dv.into(),
            (&segments.by_key).into(),
            (&segments.q_starts).into(),
            count.into(),
            group.into(),
            q.stride().into(),
            k.stride().into(),
            d_out.stride().into(),
            dk.stride().into(),
            heads.scale().into(),
        ],
    )?;
    let names = [
        "attention_queries_backward_64",
        "attention_queries_backward_96",
        "attention_queries_backward_128",
        "attention_queries_backward_256",
    ];
    device.launch(
        heads.kernel(KernelFile::AttentionBackward, names),
        &Launch { grid: [segments.tiles as u32, layout.heads as u32, 1], block: [128, 1, 1], shared },
        &[
            q.into(),
            k.into(),
            v.into(),
            d_out.into(),
            lse.into(),
            inner.into(),
            dq.into(),
            (&segments.by_query).into(),
            (&segments.q_starts).into(),
            count.into(),
            group.into(),
            q.stride().into(),
            k.stride().into(),
            d_out.stride().into(),
            dq.stride().into(),
            heads.scale().into(),
        ],
    )
}
