//! The register tile: 12 × 32 sums stay in registers while the common dimension runs through.

use crate::ops::frozen::Arithmetic;

/// Rows of a tile.
pub const ROWS: usize = 12;

/// Columns of a tile: two vector registers. 24 sums, 2 columns and 1 broadcast fill the 32 registers but for five.
pub const COLS: usize = 32;

/// Where a tile's result goes.
#[derive(Clone, Copy)]
pub struct Target {
    /// First element.
    pub out: *mut f32,
    /// Added to the product, with the same stride; null for nothing.
    pub add: *const f32,
    /// Elements between rows.
    pub stride: usize,
    /// Rows that exist, at most [`ROWS`].
    pub rows: usize,
    /// Columns that exist, at most [`COLS`].
    pub cols: usize,
    /// Factor on the product.
    pub scale: f32,
}

/// `out = add + scale × left·right` over `steps` words of the common dimension.
///
/// # Safety
/// The processor has `arithmetic`'s instructions; `left` holds `steps × ROWS` words, `right` `steps × COLS`, and
/// `target` describes memory that may be written (and read, when `add` points into it).
#[inline]
pub unsafe fn tile(arithmetic: Arithmetic, steps: usize, left: *const u32, right: *const u32, target: Target) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's.
    unsafe {
        match arithmetic {
            Arithmetic::F32 => x86::tile_f32(steps, left, right, target),
            Arithmetic::Bf16 => x86::tile_bf16(steps, left, right, target),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (arithmetic, steps, left, right, target);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{COLS, ROWS, Target};
    use std::arch::x86_64::*;

    /// # Safety
    /// As [`super::tile`].
    #[target_feature(enable = "avx512f")]
    pub unsafe fn tile_f32(steps: usize, left: *const u32, right: *const u32, target: Target) {
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        let (mut l, mut r) = (left.cast::<f32>(), right.cast::<f32>());
        // SAFETY: the caller vouches for the operands' lengths.
        unsafe {
            for _ in 0..steps {
                let (first, second) = (_mm512_loadu_ps(r), _mm512_loadu_ps(r.add(16)));
                for (row, sum) in sums.iter_mut().enumerate() {
                    let x = _mm512_set1_ps(*l.add(row));
                    sum[0] = _mm512_fmadd_ps(x, first, sum[0]);
                    sum[1] = _mm512_fmadd_ps(x, second, sum[1]);
                }
                l = l.add(ROWS);
                r = r.add(COLS);
            }
            write(&sums, target);
        }
    }

    /// # Safety
    /// As [`super::tile`].
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub unsafe fn tile_bf16(steps: usize, left: *const u32, right: *const u32, target: Target) {
        // SAFETY: a register of 512 bits is read either as words or as bf16 numbers.
        let bf16 = |words: __m512i| -> __m512bh { unsafe { std::mem::transmute(words) } };
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        let (mut l, mut r) = (left, right);
        // SAFETY: the caller vouches for the operands' lengths.
        unsafe {
            for _ in 0..steps {
                let first = bf16(_mm512_loadu_si512(r.cast()));
                let second = bf16(_mm512_loadu_si512(r.add(16).cast()));
                for (row, sum) in sums.iter_mut().enumerate() {
                    let x = bf16(_mm512_set1_epi32((*l.add(row)).cast_signed()));
                    sum[0] = _mm512_dpbf16_ps(sum[0], x, first);
                    sum[1] = _mm512_dpbf16_ps(sum[1], x, second);
                }
                l = l.add(ROWS);
                r = r.add(COLS);
            }
            write(&sums, target);
        }
    }

    /// Writes the rows and columns that exist; masks keep the others from being touched.
    ///
    /// # Safety
    /// The caller vouches for the target.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn write(sums: &[[__m512; 2]; ROWS], target: Target) {
        let scale = _mm512_set1_ps(target.scale);
        let mask = |from: usize| ((1u32 << target.cols.saturating_sub(from).min(16)) - 1) as __mmask16;
        let (first, second) = (mask(0), mask(16));
        for (row, sum) in sums.iter().enumerate().take(target.rows) {
            let at = row * target.stride;
            // SAFETY: see above.
            unsafe {
                let (mut a, mut b) = (_mm512_setzero_ps(), _mm512_setzero_ps());
                if !target.add.is_null() {
                    a = _mm512_maskz_loadu_ps(first, target.add.wrapping_add(at));
                    b = _mm512_maskz_loadu_ps(second, target.add.wrapping_add(at + 16));
                }
                let out = target.out.wrapping_add(at);
                _mm512_mask_storeu_ps(out, first, _mm512_fmadd_ps(sum[0], scale, a));
                _mm512_mask_storeu_ps(out.wrapping_add(16), second, _mm512_fmadd_ps(sum[1], scale, b));
            }
        }
    }
}
