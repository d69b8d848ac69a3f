//! The register tile: 12 × 32 sums stay in registers while the common dimension runs through.

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

/// `out = add + scale × left·right` over `pairs` pairs of the common dimension.
///
/// # Safety
/// The processor has AVX-512 BF16; `left` holds `pairs × ROWS` words, `right` `pairs × COLS`, and `target`
/// describes memory that may be written (and read, when `add` points into it).
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub unsafe fn tile(pairs: usize, left: *const u32, right: *const u32, target: Target) {
    use std::arch::x86_64::*;
    // SAFETY: a register of 512 bits is read either as words or as bf16 numbers.
    let bf16 = |words: __m512i| -> __m512bh { unsafe { std::mem::transmute(words) } };
    // SAFETY: the caller vouches for the operands' lengths and for the target; masks keep columns that do
    // not exist from being touched.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        let (mut l, mut r) = (left, right);
        for _ in 0..pairs {
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
        let scale = _mm512_set1_ps(target.scale);
        let mask = |from: usize| ((1u32 << target.cols.saturating_sub(from).min(16)) - 1) as __mmask16;
        let (first, second) = (mask(0), mask(16));
        for (row, sum) in sums.iter().enumerate().take(target.rows) {
            let at = row * target.stride;
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

/// # Safety
/// Never called: [`super::available`] is false on this processor.
#[cfg(not(target_arch = "x86_64"))]
pub unsafe fn tile(_pairs: usize, _left: *const u32, _right: *const u32, _target: Target) {}
