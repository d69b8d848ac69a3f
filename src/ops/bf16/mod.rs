//! Matrix products in bfloat16 with f32 sums, on processors with AVX-512 BF16.
//!
//! One instruction multiplies 16 pairs of bf16 numbers and adds each pair's sum to an f32. So both operands
//! are packed: the two elements of a pair lie in one 32-bit word, and words lie in the order in which the
//! kernel reads them. A left operand is cut into panels of [`ROWS`] rows, a right operand into panels of
//! [`COLS`] columns; both are padded with zeros, which add nothing.
//!
//! Every function checks that the processor has the instructions and panics where it has not: whoever chooses
//! the arithmetic asks [`available`] first.

mod kernel;
mod pack;
mod product;

pub use kernel::{COLS, ROWS};
pub use pack::{Left, pack_left, pack_left_transposed, pack_right_cols, pack_right_rows, right_panel_len};
pub use product::{Panels, Scratch, Start, multiply, product};

/// Whether this processor multiplies bf16.
pub fn available() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        super::simd::level() == super::simd::Level::Avx512 && is_x86_feature_detected!("avx512bf16")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

#[cfg(test)]
mod tests;
