//! Packing: numbers move into the kernel's order; for bf16 they are rounded to nearest, ties to even.

use super::available;
use super::kernel::{COLS, ROWS};
use crate::ops::buffer::sized;
use crate::ops::frozen::Arithmetic;
use rayon::prelude::*;

/// A packed left operand. The buffer is kept and reused.
pub struct Left {
    arithmetic: Arithmetic,
    words: Vec<u32>,
    rows: usize,
    steps: usize,
}

impl Default for Left {
    fn default() -> Self {
        Left { arithmetic: Arithmetic::F32, words: Vec::new(), rows: 0, steps: 0 }
    }
}

/// Words for `k` numbers of the common dimension.
pub fn steps(arithmetic: Arithmetic, k: usize) -> usize {
    match arithmetic {
        Arithmetic::F32 => k,
        Arithmetic::Bf16 => k.div_ceil(2),
    }
}

impl Left {
    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Words of the common dimension.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// In which numbers it is packed.
    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// Panel `i`: rows `i × ROWS` and following.
    pub fn panel(&self, i: usize) -> &[u32] {
        let len = self.steps * ROWS;
        &self.words[i * len..(i + 1) * len]
    }

    /// Number of panels.
    pub fn panels(&self) -> usize {
        self.rows.div_ceil(ROWS)
    }

    fn size(&mut self, arithmetic: Arithmetic, rows: usize, k: usize) {
        self.arithmetic = arithmetic;
        self.rows = rows;
        self.steps = steps(arithmetic, k);
        sized(&mut self.words, rows.div_ceil(ROWS) * self.steps * ROWS);
    }

    /// Packs `x` [rows, k] on all cores.
    pub fn pack(&mut self, arithmetic: Arithmetic, x: &[f32], rows: usize, k: usize) {
        assert!(x.len() >= rows * k, "left operand shorter than its shape");
        self.size(arithmetic, rows, k);
        let len = self.steps * ROWS;
        if len == 0 {
            return;
        }
        self.words.par_chunks_mut(len).zip(x.par_chunks(ROWS * k)).for_each(|(panel, x)| {
            pack_left(arithmetic, panel, x, x.len() / k, k, k);
        });
    }

    /// Packs rows that `fill(row, columns, out)` writes a stretch of columns at a time, so that they never exist as a whole.
    pub fn pack_with(
        &mut self,
        arithmetic: Arithmetic,
        rows: usize,
        k: usize,
        fill: impl Fn(usize, std::ops::Range<usize>, &mut [f32]) + Sync,
    ) {
        /// Columns of a stretch: twelve rows of them stay in the second-level cache.
        const STRETCH: usize = 1024;
        self.size(arithmetic, rows, k);
        let len = self.steps * ROWS;
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
                    let at = steps(arithmetic, start) * ROWS;
                    pack_left(arithmetic, &mut panel[at..], buffer, here, width, STRETCH);
                }
            },
        );
    }
}

/// Words of a right panel with `steps` words of the common dimension.
pub fn right_panel_len(steps: usize) -> usize {
    steps * COLS
}

/// Packs up to [`ROWS`] rows of `k` elements, `stride` apart, into one left panel; missing rows become zeros.
pub fn pack_left(arithmetic: Arithmetic, panel: &mut [u32], x: &[f32], rows: usize, k: usize, stride: usize) {
    assert!(available(arithmetic) && rows <= ROWS && panel.len() >= steps(arithmetic, k) * ROWS);
    assert!(rows == 0 || x.len() >= (rows - 1) * stride + k, "left panel reads outside its slice");
    // SAFETY: the processor and all lengths are checked above.
    unsafe {
        match arithmetic {
            Arithmetic::F32 => x86::transpose_numbers::<ROWS>(panel.as_mut_ptr(), x.as_ptr(), rows, k, stride),
            Arithmetic::Bf16 => x86::transpose_pairs::<ROWS>(panel.as_mut_ptr(), x.as_ptr(), rows, k, stride),
        }
    }
}

/// Packs columns `0..rows` of `x` (`k` rows, `stride` apart) as the rows of a left operand: `xᵀ` [rows, k].
pub fn pack_left_transposed(
    arithmetic: Arithmetic,
    words: &mut [u32],
    x: &[f32],
    rows: usize,
    k: usize,
    stride: usize,
) {
    let steps = steps(arithmetic, k);
    assert!(available(arithmetic) && words.len() >= rows.div_ceil(ROWS) * steps * ROWS);
    assert!(k == 0 || x.len() >= (k - 1) * stride + rows, "left operand reads outside its slice");
    for panel in 0..rows.div_ceil(ROWS) {
        let first = panel * ROWS;
        let here = ROWS.min(rows - first);
        let (to, from) = (words[panel * steps * ROWS..].as_mut_ptr(), x[first..].as_ptr());
        // SAFETY: as above.
        unsafe {
            match arithmetic {
                Arithmetic::F32 => x86::copy_rows::<ROWS>(to, from, here, k, stride),
                Arithmetic::Bf16 => x86::interleave_rows::<ROWS>(to, from, here, k, stride),
            }
        }
    }
}

/// Packs one right panel whose columns are rows of `x`: column c is `x[c × stride..][..k]`; at most [`COLS`] of them.
pub fn pack_right_rows(arithmetic: Arithmetic, panel: &mut [u32], x: &[f32], cols: usize, k: usize, stride: usize) {
    assert!(available(arithmetic) && cols <= COLS && panel.len() >= steps(arithmetic, k) * COLS);
    assert!(cols == 0 || x.len() >= (cols - 1) * stride + k, "right panel reads outside its slice");
    // SAFETY: as above.
    unsafe {
        match arithmetic {
            Arithmetic::F32 => x86::transpose_numbers::<COLS>(panel.as_mut_ptr(), x.as_ptr(), cols, k, stride),
            Arithmetic::Bf16 => x86::transpose_pairs::<COLS>(panel.as_mut_ptr(), x.as_ptr(), cols, k, stride),
        }
    }
}

/// Packs one right panel from `k` rows of `x`, `stride` apart, of which it takes the first `cols` columns, at most [`COLS`].
pub fn pack_right_cols(arithmetic: Arithmetic, panel: &mut [u32], x: &[f32], cols: usize, k: usize, stride: usize) {
    assert!(available(arithmetic) && cols <= COLS && panel.len() >= steps(arithmetic, k) * COLS);
    assert!(k == 0 || x.len() >= (k - 1) * stride + cols, "right panel reads outside its slice");
    // SAFETY: as above.
    unsafe {
        match arithmetic {
            Arithmetic::F32 => x86::copy_rows::<COLS>(panel.as_mut_ptr(), x.as_ptr(), cols, k, stride),
            Arithmetic::Bf16 => x86::interleave_rows::<COLS>(panel.as_mut_ptr(), x.as_ptr(), cols, k, stride),
        }
    }
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

    /// `out[p × WIDTH + r]` = element p of row r, for `rows` ≤ WIDTH rows of `k` elements; zeros elsewhere.
    ///
    /// # Safety
    /// AVX-512 F; `out` has `k × WIDTH` words, `x` every element named.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn transpose_numbers<const WIDTH: usize>(
        out: *mut u32,
        x: *const f32,
        rows: usize,
        k: usize,
        stride: usize,
    ) {
        for block in (0..WIDTH).step_by(16) {
            let width = (WIDTH - block).min(16);
            let here = rows.saturating_sub(block).min(width);
            let lanes = ((1u32 << width) - 1) as __mmask16;
            for start in (0..k).step_by(16) {
                let count = (k - start).min(16);
                let mask = ((1u32 << count) - 1) as __mmask16;
                let mut words = [_mm512_setzero_si512(); 16];
                for (row, word) in words.iter_mut().enumerate().take(here) {
                    // SAFETY: the mask leaves out what lies behind the row's end.
                    *word = unsafe {
                        let from = x.add((block + row) * stride + start);
                        _mm512_castps_si512(_mm512_maskz_loadu_ps(mask, from))
                    };
                }
                transpose(&mut words);
                for (step, word) in words.iter().enumerate().take(count) {
                    // SAFETY: word `(start + step) × WIDTH + block + lane` lies in `out`.
                    unsafe {
                        _mm512_mask_storeu_epi32(out.add((start + step) * WIDTH + block).cast(), lanes, *word);
                    }
                }
            }
        }
    }

    /// `out[p × WIDTH + c]` = element c of row p, for `cols` ≤ WIDTH columns of `k` rows; zeros elsewhere.
    ///
    /// # Safety
    /// As [`transpose_numbers`].
    #[target_feature(enable = "avx512f")]
    pub unsafe fn copy_rows<const WIDTH: usize>(out: *mut u32, x: *const f32, cols: usize, k: usize, stride: usize) {
        for step in 0..k {
            for block in (0..WIDTH).step_by(16) {
                let lanes = ((1u32 << (WIDTH - block).min(16)) - 1) as __mmask16;
                let here = ((1u32 << cols.saturating_sub(block).min(16)) - 1) as __mmask16;
                // SAFETY: the masks leave out columns that do not exist.
                unsafe {
                    let values = _mm512_maskz_loadu_ps(here, x.wrapping_add(step * stride + block));
                    _mm512_mask_storeu_ps(out.add(step * WIDTH + block).cast(), lanes, values);
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
    pub unsafe fn transpose_numbers<const W: usize>(_: *mut u32, _: *const f32, _: usize, _: usize, _: usize) {}

    /// # Safety
    /// None needed: does nothing.
    pub unsafe fn copy_rows<const W: usize>(_: *mut u32, _: *const f32, _: usize, _: usize, _: usize) {}

    /// # Safety
    /// None needed: does nothing.
    pub unsafe fn interleave_rows<const W: usize>(_: *mut u32, _: *const f32, _: usize, _: usize, _: usize) {}
}
