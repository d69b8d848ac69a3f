//! Quantised rows on the card: repacked once, read by products of decoding, and de-quantised for those of training.

use super::device::{Buffer, Device, Launch, Rows};
use super::kernels::{Kernel, KernelFile};
use crate::error::{Error, Result};
use crate::ops::quantised::BlockForm;
use half::bf16;
use std::sync::Arc;

/// Numbers of a block.
const BLOCK: usize = 32;

/// Bytes of a block's factors, and of its numbers; the factors come first in a file.
fn bytes_of(form: BlockForm) -> (usize, usize) {
    match form {
        BlockForm::Q8_0 => (2, 32),
        BlockForm::Q4_0 => (2, 16),
        BlockForm::Q4_1 => (4, 16),
    }
}

/// A quantised matrix `[rows, width]`: all numbers, and after them in a buffer of their own all factors, so that a thread reads
/// 16 aligned bytes at a time.
pub struct CardRows {
    pub(super) format: BlockForm,
    pub(super) numbers: Buffer<u8>,
    pub(super) factors: Buffer<u16>,
    pub(super) rows: usize,
    pub(super) width: usize,
}

impl CardRows {
    /// Repacks blocks, as GGUF has them.
    ///
    /// # Errors
    /// Bytes that are not `rows × width` numbers, and those of the card.
    pub fn new(
        device: &Arc<dyn Device>,
        format: BlockForm,
        blocks: &[u8],
        rows: usize,
        width: usize,
    ) -> Result<CardRows> {
        let (factor, number) = bytes_of(format);
        if !width.is_multiple_of(BLOCK) || blocks.len() != rows * width / BLOCK * (factor + number) {
            return Err(Error::internal("quantised rows do not have their size"));
        }
        let mut numbers = Vec::with_capacity(rows * width / BLOCK * number);
        let mut factors = Vec::with_capacity(rows * width / BLOCK * factor / 2);
        for block in blocks.chunks_exact(factor + number) {
            factors.extend(block[..factor].chunks_exact(2).map(|half| u16::from_le_bytes([half[0], half[1]])));
            numbers.extend_from_slice(&block[factor..]);
        }
        let (numbers, factors) = (Buffer::of(device, &numbers)?, Buffer::of(device, &factors)?);
        Ok(CardRows { format, numbers, factors, rows, width })
    }

    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers of a row.
    pub fn width(&self) -> usize {
        self.width
    }
}

/// Rows `rows` (all, where `None`) of a quantised matrix as bf16, one after another in `out`; gives how many.
///
/// # Errors
/// Shapes that do not fit, and those of the card. Chosen rows lie in the matrix; the caller has checked them.
pub fn dequantise(matrix: &CardRows, rows: Option<&Buffer<u32>>, out: Rows<'_, bf16>) -> Result<usize> {
    let count = rows.map_or(matrix.rows, Buffer::len);
    out.hold(count, matrix.width)?;
    let name = match matrix.format {
        BlockForm::Q8_0 => "dequantise_Q8_0",
        BlockForm::Q4_0 => "dequantise_Q4_0",
        BlockForm::Q4_1 => "dequantise_Q4_1",
    };
    let blocks = matrix.width / BLOCK;
    out.device().launch(
        Kernel { file: KernelFile::Dequantise, name },
        &Launch::line((count * blocks).div_ceil(256), 256),
        &[
            (&matrix.numbers).into(),
            (&matrix.factors).into(),
            rows.into(),
            out.into(),
            (count as u32).into(),
            (blocks as u32).into(),
            out.stride().into(),
        ],
    )?;
    Ok(count)
}
