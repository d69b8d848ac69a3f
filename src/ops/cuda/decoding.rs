//! What one step of decoding does: products of few rows with weights as they are stored, and attention of one new row.

use super::attention::Heads;
use super::device::{Argument, Buffer, Launch, in_eights};
use super::kernels::{Kernel, KernelFile};
use super::quantised::CardRows;
use crate::error::{Error, Result};
use crate::ops::quantised::BlockForm;
use half::bf16;

/// Most rows of one product: more are a matter for tensor cores.
pub const MOST_ROWS: usize = 8;

/// A weight `[outputs, inputs]` in the form that it is held in.
#[derive(Clone, Copy)]
pub enum Weight<'a> {
    /// bf16 without gaps.
    Bf16(&'a Buffer<bf16>, usize),
    /// Quantised.
    Quantised(&'a CardRows),
}

/// The low-rank update of a product: `low` `[rows, rank]` as [`low_rank`] made it, and B `[outputs, rank]`.
#[derive(Clone, Copy)]
pub struct LowRank<'a> {
    /// `s·x·Aᵀ`.
    pub low: &'a Buffer<f32>,
    /// The second factor.
    pub b: &'a Buffer<f32>,
    /// r.
    pub rank: usize,
}

/// `y = residual + x·Wᵀ + low·Bᵀ` for `rows` rows, at most [`MOST_ROWS`]; `y` may be `residual`.
///
/// # Errors
/// Shapes that do not fit, and those of the card.
pub fn matrix_vector(
    weight: Weight<'_>,
    x: &Buffer<f32>,
    update: Option<LowRank<'_>>,
    residual: Option<&Buffer<f32>>,
    y: &Buffer<f32>,
    rows: usize,
) -> Result<()> {
    let (outputs, inputs) = match weight {
        Weight::Bf16(weight, inputs) => (weight.len() / inputs.max(1), inputs),
        Weight::Quantised(matrix) => (matrix.rows, matrix.width),
    };
    in_eights(inputs)?;
    if rows == 0 || rows > MOST_ROWS {
        return Err(Error::internal("a product of decoding has one to eight rows"));
    }
    x.holds(rows * inputs)?;
    y.holds(rows * outputs)?;
    residual.map_or(Ok(()), |r| r.holds(rows * outputs))?;
    if let Some(update) = update {
        update.low.holds(rows * update.rank)?;
        update.b.holds(outputs * update.rank)?;
    }
    let mut arguments: Vec<Argument> = Vec::with_capacity(11);
    let name = match weight {
        Weight::Bf16(weight, _) => {
            arguments.push(weight.into());
            "matrix_vector_bf16"
        }
        Weight::Quantised(matrix) => {
            arguments.push((&matrix.numbers).into());
            arguments.push((&matrix.factors).into());
            match matrix.format {
                BlockForm::Q8_0 => "matrix_vector_Q8_0",
                BlockForm::Q4_0 => "matrix_vector_Q4_0",
                BlockForm::Q4_1 => "matrix_vector_Q4_1",
            }
        }
    };
    let rest: [Argument; 9] = [
        x.into(),
        update.map(|u| u.low).into(),
        update.map(|u| u.b).into(),
        residual.into(),
        y.into(),
        (rows as u32).into(),
        (outputs as u32).into(),
        (inputs as u32).into(),
        (update.map_or(0, |u| u.rank) as u32).into(),
    ];
    arguments.extend(rest);
    let kernel = Kernel { file: KernelFile::MatrixVector, name };
    y.device().launch(kernel, &Launch::line(outputs.div_ceil(8), 256), &arguments)
}

/// `low = scale·x·Aᵀ` for `rows` rows; `a` is `[rank, inputs]`.
///
/// # Errors
/// As [`matrix_vector`].
pub fn low_rank(
    a: &Buffer<f32>,
    x: &Buffer<f32>,
    low: &Buffer<f32>,
    rows: usize,
    rank: usize,
    scale: f32,
) -> Result<()> {
    let inputs = a.len() / rank.max(1);
    in_eights(inputs)?;
    x.holds(rows * inputs)?;
    low.holds(rows * rank)?;
    low.device().launch(
        Kernel { file: KernelFile::MatrixVector, name: "low_rank" },
        &Launch::line((rows * rank).div_ceil(8), 256),
        &[
            a.into(),
            x.into(),
            low.into(),
            (rows as u32).into(),
            (inputs as u32).into(),
            (rank as u32).into(),
            scale.into(),
        ],
    )
}

/// Keys and values of all sequences in one pool, and which rows each sequence sees.
pub struct CachedRows {
    /// Keys after RoPE `[rows, kv_width]`.
    pub keys: Buffer<bf16>,
    /// Values.
    pub values: Buffer<bf16>,
    /// Rows of the pool, sequence after sequence; a sequence's part is as long as it may become.
    pub key_rows: Buffer<u32>,
    /// Where each sequence's part begins.
    pub starts: Buffer<u32>,
    /// How many rows each sequence sees by now, its new one among them.
    pub lengths: Buffer<u32>,
}

/// Parts of one step's attention, reused between steps.
pub struct DecodeScratch {
    out: Buffer<f32>,
    most: Buffer<f32>,
    sum: Buffer<f32>,
    splits: usize,
}

impl DecodeScratch {
    /// For `sequences` sequences, each cut into `splits` parts: enough that all blocks together fill the card.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(
        device: &std::sync::Arc<dyn super::Device>,
        heads: Heads,
        sequences: usize,
        splits: usize,
    ) -> Result<Self> {
        let parts = sequences * heads.layout().heads * splits;
        Ok(DecodeScratch {
            out: Buffer::zeros(device, parts * heads.layout().head_dim)?,
            most: Buffer::zeros(device, parts)?,
            sum: Buffer::zeros(device, parts)?,
            splits,
        })
    }
}

/// Attention of one new row for each of `sequences`: `q` and `out` are `[sequences, heads × head_dim]`.
///
/// # Errors
/// Groups of more than eight heads (four of size 256), shapes that do not fit, and those of the card.
pub fn attention_decode(
    heads: Heads,
    cache: &CachedRows,
    q: &Buffer<f32>,
    out: &Buffer<f32>,
    sequences: usize,
    scratch: &DecodeScratch,
) -> Result<()> {
    let layout = heads.layout();
    let group = layout.heads / layout.kv_heads;
    let name = match (layout.head_dim, group) {
        (64, ..=4) => "attention_decode_64_4",
        (64, ..=8) => "attention_decode_64_8",
        (96, ..=4) => "attention_decode_96_4",
        (96, ..=8) => "attention_decode_96_8",
        (128, ..=4) => "attention_decode_128_4",
        (128, ..=8) => "attention_decode_128_8",
        (256, ..=4) => "attention_decode_256_4",
        _ => return Err(Error::internal("no decoding kernel for this group of heads")),
    };
    q.holds(sequences * layout.q_width())?;
    out.holds(sequences * layout.q_width())?;
    cache.starts.holds(sequences)?;
    cache.lengths.holds(sequences)?;
    scratch.most.holds(sequences * layout.heads * scratch.splits)?;
    let scale = 1.0 / (layout.head_dim as f32).sqrt();
    let device = q.device();
    let file = KernelFile::AttentionDecode;
    device.launch(
        Kernel { file, name },
        &Launch {
            grid: [scratch.splits as u32, layout.kv_heads as u32, sequences as u32],
            block: [128, 1, 1],
            shared: 0,
        },
        &[
            q.into(),
            (&cache.keys).into(),
            (&cache.values).into(),
            (&scratch.out).into(),
            (&scratch.most).into(),
            (&scratch.sum).into(),
            (&cache.starts).into(),
            (&cache.lengths).into(),
            (&cache.key_rows).into(),
            (layout.heads as u32).into(),
            (group as u32).into(),
            (layout.kv_width() as u32).into(),
            scale.into(),
        ],
    )?;
    device.launch(
        Kernel { file, name: "attention_decode_join" },
        &Launch::line(sequences * layout.heads, 128),
        &[
            (&scratch.out).into(),
            (&scratch.most).into(),
            (&scratch.sum).into(),
            out.into(),
            (scratch.splits as u32).into(),
            (layout.head_dim as u32).into(),
        ],
    )
}
