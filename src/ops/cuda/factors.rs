//! Trained factors on their way to where products read them (`factors.cu`).

use super::device::{Buffer, Element, Launch, Number};
use super::kernels::{Kernel, KernelFile};
use crate::error::Result;

/// Where a factor lies among all trained values and where it goes, as the kernel reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Placement {
    /// Where it begins in the buffer of all values.
    pub from: u64,
    /// The address of its first number in the matrix.
    pub to: u64,
    /// Its rows.
    pub rows: u32,
    /// Numbers of a row.
    pub width: u32,
    /// Elements from row to row of the matrix.
    pub stride: u32,
    /// What it is multiplied by.
    pub scale: f32,
}

// SAFETY: plain numbers, 32 bytes without padding.
unsafe impl Element for Placement {}

/// Blocks of threads that share a factor.
const BLOCKS: u32 = 16;

/// Writes the factors of `list`, which lie in `values`, into their matrices of numbers `T`.
///
/// # Safety of the addresses
/// Every placement was made from a matrix that still lives and has the rows that it names.
///
/// # Errors
/// Those of the card.
pub fn place_factors<T: Number>(values: &Buffer<f32>, list: &Buffer<Placement>) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    values.device().launch(
        Kernel { file: KernelFile::Factors, name: T::choose("place_factors_float", "place_factors_bf16") },
        &Launch { grid: [BLOCKS, list.len() as u32, 1], block: [256, 1, 1], shared: 0 },
        &[values.into(), list.into()],
    )
}
