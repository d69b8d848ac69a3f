//! Packing: f32 numbers become pairs of bf16 in the kernel's order. Rounding is to nearest, ties to even.

use super::super::buffer::sized;
use super::available;
use super::kernel::{COLS, ROWS};
use rayon::prelude::*;

/// A packed left operand. The buffer is kept and reused.
#[derive(Default)]
pub struct Left {
    words: Vec<u32>,
    rows: usize,
    pairs: usize,
}

impl Left {
    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Pairs of the common dimension.
    pub fn pairs(&self) -> usize {
        self.pairs
    }

    /// Panel `i`: rows `i × ROWS` and following.
    pub fn panel(&self, i: usize) -> &[u32] {
        let len = self.pairs * ROWS;
        &self.words[i * len..(i + 1) * len]
    }

    /// Number of panels.
    pub fn panels(&self) -> usize {
        self.rows.div_ceil(ROWS)
    }

    fn size(&mut self, rows: usize, k: usize) {
        self.rows = rows;
        self.pairs = k.div_ceil(2);
        sized(&mut self.words, rows.div_ceil(ROWS) * self.pairs * ROWS);
    }

    /// Packs `x` [rows, k] on all cores.
    pub fn pack(&mut self, x: &[f32], rows: usize, k: usize) {
        assert!(x.len() >= rows * k, "left operand shorter than its shape");
        self.size(rows, k);
        let len = self.pairs * ROWS;
        if len == 0 {
            return;
        }
        self.words.par_chunks_mut(len).zip(x.par_chunks(ROWS * k)).for_each(|(panel, x)| {
            pack_left(panel, x, x.len() / k, k, k);
        });
    }

    /// Packs rows that `fill(row, columns, out)` writes a stretch of columns at a time, so that they never exist as a whole.
    pub fn pack_with(
        &mut self,
        rows: usize,
        k: usize,
        fill: impl Fn(usize, std::ops::Range<usize>, &mut [f32]) + Sync,
    ) {
        /// Columns of a stretch: twelve rows of them stay in the second-level cache.
        const STRETCH: usize = 1024;
        self.size(rows, k);
        let len = self.pairs * ROWS;
        if len == 0 {
            return;
        }
        self.words.par_chunks_mut(len).enumerate().for_each_init(
            || vec![0.0f32; ROWS * STRETCH],
            |buffer, (panel_index, panel)| {
                let first = panel_index * ROWS;
                let here = ROWS.min(rows - first);
                for start in (0..k).step_by(STRETCH) {
                    let width = STRETCH.min(k - start);
                    for row in 0..here {
                        fill(first + row, start..start + width, &mut buffer[row * STRETCH..][..width]);
                    }
                    pack_left(&mut panel[start / 2 * ROWS..], buffer, here, width, STRETCH);
                }
            },
        );
    }
}

/// Words of a right panel with `pairs` pairs.
pub fn right_panel_len(pairs: usize) -> usize {
    pairs * COLS
}

/// Packs up to [`ROWS`] rows of `k` elements, `stride` apart, into one left panel; missing rows become zeros.
pub fn pack_left(panel: &mut [u32], x: &[f32], rows: usize, k: usize, stride: usize) {
    assert!(available() && rows <= ROWS && panel.len() >= k.div_ceil(2) * ROWS);
    assert!(rows == 0 || x.len() >= (rows - 1) * stride + k, "left panel reads outside its slice");
    // SAFETY: the processor and all lengths are checked above.
    unsafe { x86::transpose_pairs::<ROWS>(panel.as_mut_ptr(), x.as_ptr(), rows, k, stride) }
}

/// Packs columns `0..rows` of `x` (`k` rows, `stride` apart) as the rows of a left operand: `xᵀ` [rows, k].
pub fn pack_left_transposed(words: &mut [u32], x: &[f32], rows: usize, k: usize, stride: usize) {
    let pairs = k.div_ceil(2);
    assert!(available() && words.len() >= rows.div_ceil(ROWS) * pairs * ROWS);
    assert!(k == 0 || x.len() >= (k - 1) * stride + rows, "left operand reads outside its slice");
    for panel in 0..rows.div_ceil(ROWS) {
        let first = panel * ROWS;
        let here = ROWS.min(rows - first);
        // SAFETY: as above.
        unsafe {
            x86::interleave_rows::<ROWS>(
                words[panel * pairs * ROWS..].as_mut_ptr(),
                x[first..].as_ptr(),
                here,
                k,
                stride,
            );
        }
    }
}

/// Packs one right panel whose columns are rows of `x`: column c is `x[c × stride..][..k]`; at most [`COLS`] of them.
pub fn pack_right_rows(panel: &mut [u32], x: &[f32], cols: usize, k: usize, stride: usize) {
    assert!(available() && cols <= COLS && panel.len() >= k.div_ceil(2) * COLS);
    assert!(cols == 0 || x.len() >= (cols - 1) * stride + k, "right panel reads outside its slice");
    // SAFETY: as above.
    unsafe { x86::transpose_pairs::<COLS>(panel.as_mut_ptr(), x.as_ptr(), cols, k, stride) }
}

/// Packs one right panel from `k` rows of `x`, `stride` apart, of which it takes the first `cols` columns, at most [`COLS`].
pub fn pack_right_cols(panel: &mut [u32], x: &[f32], cols: usize, k: usize, stride: usize) {
    assert!(available() && cols <= COLS && panel.len() >= k.div_ceil(2) * COLS);
    assert!(k == 0 || x.len() >= (k - 1) * stride + cols, "right panel reads outside its slice");
    // SAFETY: as above.
    unsafe { x86::interleave_rows::<COLS>(panel.as_mut_ptr(), x.as_ptr(), cols, k, stride) }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// `out[p × WIDTH + r]` = pair p of row r, for `rows` ≤ WIDTH rows of `k` elements; zeros elsewhere.
    ///
    /// # Safety
    /// AVX-512 F, BW, BF16; `out` has `⌈k/2⌉ × WIDTH` words, `x` every element named.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub unsafe fn transpose_pairs<const WIDTH: usize>(
        out: *mut u32,
        x: *const f32,
        rows: usize,
        k: usize,
        stride: usize,
    ) {
        let pairs = k.div_ceil(2);
        for block in (0..WIDTH).step_by(16) {
            let width = (WIDTH - block).min(16);
            let here = rows.saturating_sub(block).min(width);
            let lanes = ((1u32 << width) - 1) as __mmask16;
            for start in (0..pairs).step_by(16) {
                let left = k - 2 * start;
                let mut words = [_mm512_setzero_si512(); 16];
                for (row, word) in words.iter_mut().enumerate().take(here) {
                    // SAFETY: the masks leave out what lies behind the row's end.
                    let (low, high) = unsafe {
                        let from = x.add((block + row) * stride + 2 * start);
                        if left >= 32 {
                            (_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(16)))
                        } else {
                            let mask = |n: usize| ((1u32 << n.min(16)) - 1) as __mmask16;
                            (
                                _mm512_maskz_loadu_ps(mask(left), from),
                                _mm512_maskz_loadu_ps(mask(left.saturating_sub(16)), from.wrapping_add(16)),
                            )
                        }
                    };
                    // SAFETY: the same 512 bits, read as words.
                    *word = unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) };
                }
                transpose(&mut words);
                for (pair, word) in words.iter().enumerate().take(16.min(pairs - start)) {
                    // SAFETY: word `(start + pair) × WIDTH + block + lane` lies in `out`.
                    unsafe {
                        _mm512_mask_storeu_epi32(out.add((start + pair) * WIDTH + block).cast(), lanes, *word);
                    }
                }
            }
        }
    }

    /// Transposes 16 × 16 words.
    #[target_feature(enable = "avx512f")]
    fn transpose(m: &mut [__m512i; 16]) {
        let mut t = *m;
        for i in 0..8 {
            t[2 * i] = _mm512_unpacklo_epi32(m[2 * i], m[2 * i + 1]);
            t[2 * i + 1] = _mm512_unpackhi_epi32(m[2 * i], m[2 * i + 1]);
        }
        let mut u = t;
        for i in 0..4 {
            let b = 4 * i;
            u[b] = _mm512_unpacklo_epi64(t[b], t[b + 2]);
            u[b + 1] = _mm512_unpackhi_epi64(t[b], t[b + 2]);
            u[b + 2] = _mm512_unpacklo_epi64(t[b + 1], t[b + 3]);
            u[b + 3] = _mm512_unpackhi_epi64(t[b + 1], t[b + 3]);
        }
        // u[4g + j] holds, in its four quarters q, column 4q + j of rows 4g..4g+4.
        for j in 0..4 {
            let a = _mm512_shuffle_i32x4(u[j], u[4 + j], 0x88);
            let b = _mm512_shuffle_i32x4(u[j], u[4 + j], 0xdd);
            let c = _mm512_shuffle_i32x4(u[8 + j], u[12 + j], 0x88);
            let d = _mm512_shuffle_i32x4(u[8 + j], u[12 + j], 0xdd);
            m[j] = _mm512_shuffle_i32x4(a, c, 0x88);
            m[8 + j] = _mm512_shuffle_i32x4(a, c, 0xdd);
            m[4 + j] = _mm512_shuffle_i32x4(b, d, 0x88);
            m[12 + j] = _mm512_shuffle_i32x4(b, d, 0xdd);
        }
    }

    /// `out[p × WIDTH + c]` = elements c of rows 2p and 2p+1, for `cols` ≤ WIDTH columns of `k` rows; zeros elsewhere.
    ///
    /// # Safety
    /// As [`transpose_pairs`].
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub unsafe fn interleave_rows<const WIDTH: usize>(
        out: *mut u32,
        x: *const f32,
        cols: usize,
        k: usize,
        stride: usize,
    ) {
        // Element c of the low half beside element c of the high half.
        let mut order = [0u16; 32];
        for (i, slot) in order.iter_mut().enumerate() {
            *slot = (i / 2 + if i % 2 == 0 { 0 } else { 16 }) as u16;
        }
        // SAFETY: 64 bytes.
        let order = unsafe { _mm512_loadu_si512(order.as_ptr().cast()) };
        for pair in 0..k.div_ceil(2) {
            for block in (0..WIDTH).step_by(16) {
                let lanes = ((1u32 << (WIDTH - block).min(16)) - 1) as __mmask16;
                let here = ((1u32 << cols.saturating_sub(block).min(16)) - 1) as __mmask16;
                // SAFETY: the masks leave out columns and a second row that do not exist.
                unsafe {
                    let from = x.wrapping_add(2 * pair * stride + block);
                    let low = _mm512_maskz_loadu_ps(here, from);
                    let second = if 2 * pair + 1 < k { here } else { 0 };
                    let high = _mm512_maskz_loadu_ps(second, from.wrapping_add(stride));
                    let words: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
                    let words = _mm512_permutexvar_epi16(order, words);
                    _mm512_mask_storeu_epi32(out.add(pair * WIDTH + block).cast(), lanes, words);
                }
            }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod x86 {
    //! Never called: `available()` is false here.

    /// # Safety
    /// None needed: does nothing.
    pub unsafe fn transpose_pairs<const W: usize>(_: *mut u32, _: *const f32, _: usize, _: usize, _: usize) {}

    /// # Safety
    /// None needed: does nothing.
    pub unsafe fn interleave_rows<const W: usize>(_: *mut u32, _: *const f32, _: usize, _: usize, _: usize) {}
}
