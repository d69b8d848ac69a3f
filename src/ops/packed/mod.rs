//! Matrix products on operands that lie in the order in which the kernel reads them, on processors with AVX-512.
//!
//! A left operand is cut into panels of [`ROWS`] rows, a right operand into panels of [`COLS`] columns; both are
//! padded with zeros, which add nothing. A panel is a row of 32-bit words for every step of the common dimension:
//! one f32 number, or the two bf16 numbers of a pair, which one instruction multiplies and adds to an f32.
//! A frozen weight is packed once; activations are packed for each product, which takes a few hundredths of its time.
//!
//! Every row of a result is summed in the same order whatever rows stand beside it: results do not depend on the batch.
//!
//! Every function checks that the processor has the instructions and panics where it has not: whoever chooses
//! the arithmetic asks [`available`] first.

mod kernel;
mod pack;
mod product;

use super::frozen::Arithmetic;

pub use kernel::{COLS, ROWS};
pub use pack::{Left, pack_left, pack_left_transposed, pack_right_cols, pack_right_rows, right_panel_len, steps};
pub use product::{Panels, Scratch, Start, multiply, product};

/// Whether this processor has the kernel for `arithmetic`.
pub fn available(arithmetic: Arithmetic) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        super::simd::level() == super::simd::Level::Avx512
            && (arithmetic == Arithmetic::F32 || is_x86_feature_detected!("avx512bf16"))
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = arithmetic;
        false
    }
}

#[cfg(test)]
mod tests;
