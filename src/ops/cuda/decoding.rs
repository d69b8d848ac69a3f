//! Products of few rows with weights as they are stored, and attention of new rows over a cache: what a step of decoding does.

use super::attention::Heads;
use super::device::{Argument, Buffer, Device, Element, Launch, Number, Rows, in_eights};
use super::kernels::{Kernel, KernelFile};
use super::quantised::CardRows;
use crate::error::{Error, Result};
use crate::ops::quantised::BlockForm;
use std::sync::Arc;

/// Most rows of one product: more are a matter for tensor cores, or for several.
pub const MOST_ROWS: usize = 8;

/// A weight `[outputs, inputs]` in the form that it is held in.
pub enum Weight<T: Number> {
    /// Numbers without gaps, and how many a row has.
    Whole(Arc<Buffer<T>>, usize),
    /// Quantised.
    Quantised(CardRows),
}

impl<T: Number> Weight<T> {
    /// Outputs and inputs.
    pub fn shape(&self) -> (usize, usize) {
        match self {
            Weight::Whole(numbers, inputs) => (numbers.len() / (*inputs).max(1), *inputs),
            Weight::Quantised(matrix) => (matrix.rows, matrix.width),
        }
    }
}

/// The low-rank update of products that share an input: `low·Bᵀ`.
#[derive(Clone, Copy)]
pub struct LowRank<'a> {
    /// As [`low_rank`] made it; the columns of the first projection stand first.
    pub low: Rows<'a, f32>,
    /// The second factors, below each other: `[outputs, rank]`.
    pub b: Rows<'a, f32>,
    /// r, the same for all projections.
    pub rank: usize,
    /// Outputs at which the second and the third projection begin; beyond the last where there are fewer.
    pub begins: [usize; 2],
}

/// What stands around a product.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// Input, rows without gaps.
    pub x: Rows<'a, f32>,
    /// RMSNorm of the input before the product: its weights and ε.
    pub norm: Option<(&'a Buffer<f32>, f32)>,
    /// What is added to the product.
    pub update: Option<LowRank<'a>>,
    /// A factor on each output, product and update together (DoRA).
    pub scale: Option<Rows<'a, f32>>,
    /// Is added; lies as `y` does and may be it.
    pub residual: Option<Rows<'a, f32>>,
    /// Where the outputs go.
    pub y: Rows<'a, f32>,
    /// Rows, at most [`MOST_ROWS`].
    pub rows: usize,
}

/// `y = residual + scale ⊙ (norm(x)·Wᵀ + low·Bᵀ)`.
///
/// # Errors
/// Shapes that do not fit, and those of the card.
pub fn matrix_vector<T: Number>(weight: &Weight<T>, around: Around<'_>) -> Result<()> {
    product(weight, around, false)
}

/// `y = silu(gate) ⊙ up` for a weight that holds the rows of gate and, below them, as many of up. Nothing is added to `y`.
///
/// # Errors
/// As [`matrix_vector`].
pub fn matrix_vector_gated<T: Number>(weight: &Weight<T>, around: Around<'_>) -> Result<()> {
    if around.residual.is_some() || !weight.shape().0.is_multiple_of(2) {
        return Err(Error::internal("gate and up have one output and nothing to add to it"));
    }
    product(weight, around, true)
}

/// `[plain for up to two rows, for up to eight, gated likewise]`.
fn names<T: Number>(weight: &Weight<T>) -> [&'static str; 4] {
    macro_rules! of {
        ($form:literal) => {
            [
                concat!("matrix_vector_", $form, "_2"),
                concat!("matrix_vector_", $form, "_8"),
                concat!("gated_", $form, "_2"),
                concat!("gated_", $form, "_8"),
            ]
        };
    }
    match weight {
        Weight::Whole(..) if T::choose("f32", "bf16") == "f32" => of!("float"),
        Weight::Whole(..) => of!("bf16"),
        Weight::Quantised(matrix) => match matrix.format {
            BlockForm::Q8_0 => of!("Q8_0"),
            BlockForm::Q4_0 => of!("Q4_0"),
            BlockForm::Q4_1 => of!("Q4_1"),
            BlockForm::Q4K => of!("Q4_K"),
            BlockForm::Q6K => of!("Q6_K"),
        },
    }
}

fn product<T: Number>(weight: &Weight<T>, a: Around<'_>, gated: bool) -> Result<()> {
    let (all, inputs) = weight.shape();
    let outputs = if gated { all / 2 } else { all };
    in_eights(inputs)?;
    if a.rows == 0 || a.rows > MOST_ROWS {
        return Err(Error::internal("a product of decoding has one to eight rows"));
    }
    a.x.hold(a.rows, inputs)?;
    a.y.hold(a.rows, outputs)?;
    if a.rows > 1 && a.x.stride() as usize != inputs {
        return Err(Error::internal("inputs of decoding have no gaps"));
    }
    if let Some(residual) = a.residual {
        residual.hold(a.rows, outputs)?;
        if residual.stride() != a.y.stride() {
            return Err(Error::internal("a residual lies otherwise than the output"));
        }
    }
    if let Some((norm, _)) = a.norm {
        norm.holds(inputs)?;
    }
    if let Some(update) = a.update {
        update.low.hold(a.rows, update.rank)?;
        update.b.hold(all, update.rank)?;
    }
    if let Some(scale) = a.scale {
        scale.hold(1, all)?;
    }
    let mut arguments: Vec<Argument> = Vec::with_capacity(18);
    match weight {
        Weight::Whole(numbers, _) => arguments.push((&**numbers).into()),
        Weight::Quantised(matrix) => {
            arguments.extend([Argument::from(&matrix.numbers), Argument::from(&matrix.factors)])
        }
    }
    let [second, third] = a.update.map_or([usize::MAX; 2], |u| u.begins).map(|at| at.min(u32::MAX as usize) as u32);
    let rest: [Argument; 16] = [
        a.x.into(),
        a.norm.map(|(weight, _)| weight).into(),
        a.norm.map_or(0.0, |(_, eps)| eps).into(),
        address(a.update.map(|u| u.low)),
        address(a.update.map(|u| u.b)),
        (a.update.map_or(0, |u| u.rank) as u32).into(),
        a.update.map_or(0, |u| u.low.stride()).into(),
        second.into(),
        third.into(),
        address(a.scale),
        address(a.residual),
        a.y.into(),
        (a.rows as u32).into(),
        (outputs as u32).into(),
        (inputs as u32).into(),
        a.y.stride().into(),
    ];
    arguments.extend(rest);
    let scaled = matches!(weight, Weight::Quantised(_));
    // Outputs of a warp, as `product_of_rows` has them.
    let each = match a.rows {
        1 | 2 if !gated && !scaled => 1,
        _ if gated => 1,
        _ => 2,
    };
    let name = names(weight)[usize::from(a.rows > 2) + 2 * usize::from(gated)];
    let launch = Launch::line(outputs.div_ceil(8 * each), 256);
    a.y.device().launch(Kernel { file: KernelFile::MatrixVector, name }, &launch, &arguments)
}

/// The address, or null.
pub(super) fn address<T: Element>(rows: Option<Rows<'_, T>>) -> Argument {
    Argument::Address(rows.map_or(0, Rows::address))
}

/// `low = norm(x)·Aᵀ` for `rows` rows, `a` `[rank, inputs]` with the update's factor in it; `low` has no gaps.
///
/// # Errors
/// As [`matrix_vector`].
pub fn low_rank(
    a: &Buffer<f32>,
    x: Rows<'_, f32>,
    norm: Option<(&Buffer<f32>, f32)>,
    low: Rows<'_, f32>,
    rows: usize,
    rank: usize,
) -> Result<()> {
    let inputs = a.len() / rank.max(1);
    in_eights(inputs)?;
    x.hold(rows, inputs)?;
    low.hold(rows, rank)?;
    if rows > 1 && (x.stride() as usize != inputs || low.stride() as usize != rank) {
        return Err(Error::internal("rows of a low-rank product have no gaps"));
    }
    low.device().launch(
        Kernel { file: KernelFile::MatrixVector, name: "low_rank" },
        &Launch::line((rows * rank).div_ceil(8), 256),
        &[
            a.into(),
            x.into(),
            norm.map(|(weight, _)| weight).into(),
            norm.map_or(0.0, |(_, eps)| eps).into(),
            low.into(),
            (rows as u32).into(),
            (inputs as u32).into(),
            (rank as u32).into(),
        ],
    )
}

/// A block's keys and values of all sequences, in one pool.
#[derive(Clone, Copy)]
pub struct CachedKeys<'a, T: Number> {
    /// Keys after RoPE `[rows, kv_width]`.
    pub keys: &'a Buffer<T>,
    /// Values, likewise.
    pub values: &'a Buffer<T>,
}

/// Which rows of the pool each new row sees, all on the card, so that a recorded step finds the next one's in the same place.
#[derive(Clone, Copy)]
pub struct RowPlaces<'a> {
    /// Rows of the pool, sequence after sequence.
    pub key_rows: Rows<'a, u32>,
    /// Where the list of each new row begins.
    pub starts: Rows<'a, u32>,
    /// How many it sees, itself the last.
    pub lengths: Rows<'a, u32>,
}

/// Parts of one step's attention, reused between steps.
pub struct DecodeScratch {
    out: Buffer<f32>,
    most: Buffer<f32>,
    sum: Buffer<f32>,
    parts: usize,
}

/// Most parts that the keys of a row are cut into.
const MOST_SPLITS: usize = 64;

/// Blocks that fill a card: two for each multiprocessor of an H100.
const FULL: usize = 264;

impl DecodeScratch {
    /// For up to `rows` rows.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(device: &Arc<dyn Device>, heads: Heads, rows: usize) -> Result<Self> {
        // Fewer rows are cut into more parts: the largest product of both.
        let parts = (1..=rows).map(|n| n * splits(heads, n)).max().unwrap_or(0) * heads.layout().heads;
        Ok(DecodeScratch {
            out: Buffer::room(device, parts * heads.layout().head_dim)?,
            most: Buffer::room(device, parts)?,
            sum: Buffer::room(device, parts)?,
            parts,
        })
    }
}

/// Parts that the keys of each of `rows` rows are cut into, so that the blocks of a launch fill the card.
fn splits(heads: Heads, rows: usize) -> usize {
    FULL.div_ceil(rows.max(1) * heads.layout().kv_heads.max(1)).clamp(1, MOST_SPLITS)
}

/// The kernel for heads and groups of this size; `None`: the one for any.
fn kernel<T: Number>(heads: Heads) -> Option<&'static str> {
    macro_rules! of {
        ($size:literal) => {
            T::choose(concat!("attention_decode_float_", $size), concat!("attention_decode_bf16_", $size))
        };
    }
    let layout = heads.layout();
    Some(match (layout.head_dim, layout.heads / layout.kv_heads) {
        (64, ..=4) => of!("64_4"),
        (64, ..=8) => of!("64_8"),
        (96, ..=4) => of!("96_4"),
        (96, ..=8) => of!("96_8"),
        (128, ..=4) => of!("128_4"),
        (128, ..=8) => of!("128_8"),
        (256, ..=4) => of!("256_4"),
        _ => return None,
    })
}

/// Attention of `rows` new rows, each by itself: `q` and `out` are `[rows, heads × head_dim]`.
///
/// # Errors
/// Shapes that do not fit, and those of the card. The places lie in the pool; the caller has made them.
pub fn attention_decode<T: Number>(
    heads: Heads,
    cache: CachedKeys<'_, T>,
    places: RowPlaces<'_>,
    q: &Buffer<f32>,
    out: &Buffer<f32>,
    rows: usize,
    scratch: &DecodeScratch,
) -> Result<()> {
    let layout = heads.layout();
    let group = (layout.heads / layout.kv_heads) as u32;
    q.holds(rows * layout.q_width())?;
    out.holds(rows * layout.q_width())?;
    let scale = 1.0 / (layout.head_dim as f32).sqrt();
    let device = q.device();
    let file = KernelFile::AttentionDecode;
    let Some(name) = kernel::<T>(heads) else {
        let name = T::choose("attention_pooled_float", "attention_pooled_bf16");
        return device.launch(
            Kernel { file: KernelFile::AttentionPlain, name },
            &Launch::line((rows * layout.heads).div_ceil(8), 256),
            &[
                q.into(),
                cache.keys.into(),
                cache.values.into(),
                out.into(),
                places.starts.into(),
                places.lengths.into(),
                places.key_rows.into(),
                (rows as u32).into(),
                (layout.heads as u32).into(),
                group.into(),
                (layout.head_dim as u32).into(),
                (layout.kv_width() as u32).into(),
                scale.into(),
            ],
        );
    };
    let splits = splits(heads, rows);
    if rows * layout.heads * splits > scratch.parts {
        return Err(Error::internal("more rows than the parts of attention have room for"));
    }
    device.launch(
        Kernel { file, name },
        &Launch { grid: [splits as u32, layout.kv_heads as u32, rows as u32], block: [128, 1, 1], shared: 0 },
        &[
            q.into(),
            cache.keys.into(),
            cache.values.into(),
            (&scratch.out).into(),
            (&scratch.most).into(),
            (&scratch.sum).into(),
            places.starts.into(),
            places.lengths.into(),
            places.key_rows.into(),
            (layout.heads as u32).into(),
            group.into(),
            (layout.kv_width() as u32).into(),
            scale.into(),
        ],
    )?;
    device.launch(
        Kernel { file, name: "attention_decode_join" },
        &Launch::line(rows * layout.heads, 128),
        &[
            (&scratch.out).into(),
            (&scratch.most).into(),
            (&scratch.sum).into(),
            out.into(),
            (splits as u32).into(),
            (layout.head_dim as u32).into(),
        ],
    )
}
