//! Quantised rows on the card: repacked once, read by products of decoding, and de-quantised for those of training.

use super::device::{Buffer, Device, Launch, Rows};
use super::kernels::{Kernel, KernelFile};
use crate::error::{Error, Result};
use crate::ops::quantised::BlockForm;
use half::bf16;
use std::sync::Arc;

/// Puts a block's numbers and its factors apart, as `quantised.cuh` describes them.
fn split(form: BlockForm, block: &[u8], numbers: &mut Vec<u8>, factors: &mut Vec<u16>) {
    let half = |at: usize| u16::from_le_bytes([block[at], block[at + 1]]);
    match form {
        BlockForm::Q8_0 | BlockForm::Q4_0 => {
            factors.push(half(0));
            numbers.extend_from_slice(&block[2..]);
        }
        BlockForm::Q4_1 => {
            factors.extend([half(0), half(2)]);
            numbers.extend_from_slice(&block[4..]);
        }
        BlockForm::Q4K => {
            // Twelve bytes hold eight pairs of six bits: the low four of the last four pairs, whose high two stand above the first.
            let packed = &block[4..16];
            let pair = |j: usize| match j {
                0..4 => (packed[j] & 63, packed[j + 4] & 63),
                _ => (packed[j + 4] & 15 | packed[j - 4] >> 6 << 4, packed[j + 4] >> 4 | packed[j] >> 6 << 4),
            };
            factors.extend([half(0), half(2)]);
            for first in [0, 2, 4, 6] {
                let (low, high) = (pair(first), pair(first + 1));
                factors.extend([u16::from_le_bytes([low.0, high.0]), u16::from_le_bytes([low.1, high.1])]);
            }
            numbers.extend_from_slice(&block[16..]);
        }
        BlockForm::Q6K => {
            factors.push(half(208));
            factors.extend((192..208).step_by(2).map(half));
            numbers.extend_from_slice(&block[..192]);
        }
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
        let (count, bytes) = format.block();
        if !width.is_multiple_of(count) || blocks.len() != rows * width / count * bytes {
            return Err(Error::internal("quantised rows do not have their size"));
        }
        let mut numbers = Vec::with_capacity(blocks.len());
        let mut factors = Vec::with_capacity(blocks.len() / 8);
        for block in blocks.chunks_exact(bytes) {
            split(format, block, &mut numbers, &mut factors);
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
        BlockForm::Q4K => "dequantise_Q4_K",
        BlockForm::Q6K => "dequantise_Q6_K",
    };
    out.device().launch(
        Kernel { file: KernelFile::Dequantise, name },
        &Launch::line((count * matrix.width.div_ceil(256)).div_ceil(8), 256),
        &[
            (&matrix.numbers).into(),
            (&matrix.factors).into(),
            rows.into(),
            out.into(),
            (count as u32).into(),
            (matrix.width as u32).into(),
            out.stride().into(),
        ],
    )?;
    Ok(count)
}
