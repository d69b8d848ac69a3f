//! De-quantisation of the commonest GGUF block formats of 32 numbers, fast enough to be done in every product.
//! The values are those of llama.cpp's reference, bit for bit: the factor is multiplied first, the offset added after.

use super::simd::{Level, by_processor, level};
use candle_core::quantized::GgmlType;
use candle_core::quantized::k_quants::{BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ6K, BlockQ8_0};

/// Numbers in a block.
const BLOCK: usize = 32;

/// A format whose blocks the GPU's kernels read too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockForm {
    /// A factor and 32 signed bytes.
    Q8_0,
    /// A factor and 32 numbers of 4 bits.
    Q4_0,
    /// Factor, offset, and 32 numbers of 4 bits.
    Q4_1,
    /// 256 numbers of 4 bits; each 32 have a factor and an offset of 6 bits.
    Q4K,
    /// 256 numbers of 6 bits; each 16 have a factor of 8 bits.
    Q6K,
}

impl BlockForm {
    /// All of them.
    pub const ALL: [BlockForm; 5] = [BlockForm::Q8_0, BlockForm::Q4_0, BlockForm::Q4_1, BlockForm::Q4K, BlockForm::Q6K];

    /// The name that GGUF files give it.
    pub fn name(self) -> &'static str {
        match self {
            BlockForm::Q8_0 => "Q8_0",
            BlockForm::Q4_0 => "Q4_0",
            BlockForm::Q4_1 => "Q4_1",
            BlockForm::Q4K => "Q4_K",
            BlockForm::Q6K => "Q6_K",
        }
    }

    /// Whole blocks of numbers: as a file has them, and the numbers that they hold.
    pub fn quantise(self, values: &[f32]) -> (Vec<u8>, Vec<f32>) {
        fn of<T: GgmlType>(values: &[f32]) -> (Vec<u8>, Vec<f32>) {
            let mut blocks = vec![T::zeros(); values.len() / T::BLCK_SIZE];
            let mut held = vec![0.0; blocks.len() * T::BLCK_SIZE];
            T::from_float(&values[..held.len()], &mut blocks);
            T::to_float(&blocks, &mut held);
            // SAFETY: blocks are plain structs of bytes and half-precision words without gaps.
            let bytes = unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast::<u8>(), size_of_val(&blocks[..])) };
            (bytes.to_vec(), held)
        }
        match self {
            BlockForm::Q8_0 => of::<BlockQ8_0>(values),
            BlockForm::Q4_0 => of::<BlockQ4_0>(values),
            BlockForm::Q4_1 => of::<BlockQ4_1>(values),
            BlockForm::Q4K => of::<BlockQ4K>(values),
            BlockForm::Q6K => of::<BlockQ6K>(values),
        }
    }

    /// Numbers of a block, and its bytes in a file.
    pub fn block(self) -> (usize, usize) {
        match self {
            BlockForm::Q8_0 => (BLOCK, 34),
            BlockForm::Q4_0 => (BLOCK, 18),
            BlockForm::Q4_1 => (BLOCK, 20),
            BlockForm::Q4K => (256, 144),
            BlockForm::Q6K => (256, 210),
        }
    }
}

/// A half-precision number. Its exponent and fraction, moved to where f32 has them, are 2⁻¹¹² of the value; an infinity
/// becomes a finite number, but no block has one.
#[inline(always)]
fn half(bytes: &[u8]) -> f32 {
    let bits = u32::from(u16::from_le_bytes([bytes[0], bytes[1]]));
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

/// The 16 bytes from `at` on: a length that is known lets the loops over them become vector code.
#[inline(always)]
fn sixteen(block: &[u8], at: usize) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&block[at..at + 16]);
    bytes
}

/// The numbers of a block of 4-bit values: those in the low halves of the bytes, then those in the high ones.
#[inline(always)]
fn nibbles(bytes: [u8; 16], out: &mut [f32; BLOCK], value: impl Fn(u8) -> f32) {
    let mut low = [0.0f32; 16];
    let mut high = [0.0f32; 16];
    for i in 0..16 {
        low[i] = value(bytes[i] & 15);
    }
    for i in 0..16 {
        high[i] = value(bytes[i] >> 4);
    }
    out[..16].copy_from_slice(&low);
    out[16..].copy_from_slice(&high);
}

by_processor! {
    /// Q8_0: a factor and 32 signed bytes. `bytes` holds the blocks of `out`.
    pub fn q8_0(bytes: &[u8], out: &mut [f32]) {
        for (block, out) in bytes.as_chunks::<34>().0.iter().zip(out.as_chunks_mut::<BLOCK>().0) {
            let d = half(block);
            for (at, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                let bytes = sixteen(block, 2 + 16 * at);
                for i in 0..16 {
                    out[i] = f32::from(bytes[i].cast_signed()) * d;
                }
            }
        }
    }
}

/// Q4_0: a factor and 32 numbers of 4 bits from −8 to 7, the first half in the low bits.
pub fn q4_0(bytes: &[u8], out: &mut [f32]) {
    let blocks = bytes.as_chunks::<18>().0.iter().zip(out.as_chunks_mut::<BLOCK>().0);
    #[cfg(target_arch = "x86_64")]
    if level() == Level::Avx512 {
        // SAFETY: the processor has the instructions.
        return unsafe { x86::q4_0(blocks) };
    }
    for (block, out) in blocks {
        let d = half(block);
        nibbles(sixteen(block, 2), out, |q| (f32::from(q) - 8.0) * d);
    }
}

/// Q4_1: a factor, an offset and 32 numbers of 4 bits from 0 to 15, the first half in the low bits.
pub fn q4_1(bytes: &[u8], out: &mut [f32]) {
    let blocks = bytes.as_chunks::<20>().0.iter().zip(out.as_chunks_mut::<BLOCK>().0);
    #[cfg(target_arch = "x86_64")]
    if level() == Level::Avx512 {
        // SAFETY: the processor has the instructions.
        return unsafe { x86::q4_1(blocks) };
    }
    for (block, out) in blocks {
        let (d, m) = (half(block), half(&block[2..]));
        nibbles(sixteen(block, 4), out, |q| f32::from(q) * d + m);
    }
}

/// ⟨row, x⟩ of a row of Q8_0 blocks, without its numbers ever being written to memory; `None` on processors where
/// de-quantising first is as good.
pub fn dot_q8_0(bytes: &[u8], x: &[f32]) -> Option<f32> {
    #[cfg(target_arch = "x86_64")]
    if level() == Level::Avx512 {
        // SAFETY: the processor has the instructions.
        return Some(unsafe { x86::dot_q8_0(bytes, x) });
    }
    let _ = (bytes, x);
    None
}

/// The same of Q4_1 blocks.
pub fn dot_q4_1(bytes: &[u8], x: &[f32]) -> Option<f32> {
    #[cfg(target_arch = "x86_64")]
    if level() == Level::Avx512 {
        // SAFETY: the processor has the instructions.
        return Some(unsafe { x86::dot_q4_1(bytes, x) });
    }
    let _ = (bytes, x);
    None
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{BLOCK, half, sixteen};
    use std::arch::x86_64::*;

    /// ⟨row, x⟩ of Q8_0 blocks.
    #[target_feature(enable = "avx512f")]
    pub fn dot_q8_0(bytes: &[u8], x: &[f32]) -> f32 {
        let mut sums = [_mm512_setzero_ps(); 2];
        for (block, x) in bytes.as_chunks::<34>().0.iter().zip(x.as_chunks::<BLOCK>().0) {
            let d = _mm512_set1_ps(half(block));
            for (i, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 16 bytes of the block and 16 numbers of x are read.
                unsafe {
                    let q = _mm_loadu_si128(block.as_ptr().add(2 + 16 * i).cast());
                    let q = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q));
                    let x = _mm512_loadu_ps(x.as_ptr().add(16 * i));
                    *sum = _mm512_fmadd_ps(_mm512_mul_ps(q, d), x, *sum);
                }
            }
        }
        _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]))
    }

    /// ⟨row, x⟩ of Q4_1 blocks.
    #[target_feature(enable = "avx512f")]
    pub fn dot_q4_1(bytes: &[u8], x: &[f32]) -> f32 {
        let mut sums = [_mm512_setzero_ps(); 2];
        for (block, x) in bytes.as_chunks::<20>().0.iter().zip(x.as_chunks::<BLOCK>().0) {
            let (d, m) = (_mm512_set1_ps(half(block)), _mm512_set1_ps(half(&block[2..])));
            // SAFETY: 16 bytes of the block and 32 numbers of x are read.
            unsafe {
                let both = _mm_loadu_si128(block.as_ptr().add(4).cast());
                let low = _mm_and_si128(both, _mm_set1_epi8(15));
                let high = _mm_and_si128(_mm_srli_epi16(both, 4), _mm_set1_epi8(15));
                for (i, (half, sum)) in [low, high].into_iter().zip(&mut sums).enumerate() {
                    let q = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(half));
                    let x = _mm512_loadu_ps(x.as_ptr().add(16 * i));
                    *sum = _mm512_fmadd_ps(_mm512_add_ps(_mm512_mul_ps(q, d), m), x, *sum);
                }
            }
        }
        _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]))
    }

    /// Of Q4_0's blocks.
    #[target_feature(enable = "avx512f")]
    pub fn q4_0<'a>(blocks: impl Iterator<Item = (&'a [u8; 18], &'a mut [f32; BLOCK])>) {
        for (block, out) in blocks {
            // Adding −0 changes nothing, not even the sign of a zero.
            nibbles(&sixteen(block, 2), 8, half(block), -0.0, out);
        }
    }

    /// Of Q4_1's blocks.
    #[target_feature(enable = "avx512f")]
    pub fn q4_1<'a>(blocks: impl Iterator<Item = (&'a [u8; 20], &'a mut [f32; BLOCK])>) {
        for (block, out) in blocks {
            nibbles(&sixteen(block, 4), 0, half(block), half(&block[2..]), out);
        }
    }

    /// `out = (q − zero)·d + m` for the 32 values q of 4 bits. Left to itself the compiler gathers single bytes of many
    /// blocks, at a sixth of this speed.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn nibbles(bytes: &[u8; 16], zero: i32, d: f32, m: f32, out: &mut [f32; BLOCK]) {
        // SAFETY: 16 bytes are read, 32 numbers written.
        unsafe {
            let both = _mm_loadu_si128(bytes.as_ptr().cast());
            let low = _mm_and_si128(both, _mm_set1_epi8(15));
            let high = _mm_and_si128(_mm_srli_epi16(both, 4), _mm_set1_epi8(15));
            let (zero, d, m) = (_mm512_set1_epi32(zero), _mm512_set1_ps(d), _mm512_set1_ps(m));
            for (i, half) in [low, high].into_iter().enumerate() {
                let q = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_cvtepu8_epi32(half), zero));
                _mm512_storeu_ps(out.as_mut_ptr().add(16 * i), _mm512_add_ps(_mm512_mul_ps(q, d), m));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::quantized::GgmlType;
    use candle_core::quantized::k_quants::{BlockQ4_0, BlockQ4_1, BlockQ8_0};

    /// Random blocks with finite factors, as bytes.
    fn blocks(size: usize, halves: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        let mut bytes: Vec<u8> = (0..200 * size).map(|_| next()).collect();
        for block in bytes.chunks_exact_mut(size) {
            for h in 0..halves {
                // An exponent of all ones would be an infinity; zero is a subnormal number.
                if block[2 * h + 1] & 0x7c == 0x7c {
                    block[2 * h + 1] &= 0xc3;
                }
            }
        }
        bytes
    }

    fn check<T: GgmlType>(size: usize, halves: usize, ours: fn(&[u8], &mut [f32])) {
        let bytes = blocks(size, halves);
        // SAFETY: block types are plain structs of integers and half-precision words; any bits are a value.
        let (before, typed, after) = unsafe { bytes.align_to::<T>() };
        assert!(before.is_empty() && after.is_empty() && typed.len() == 200);
        let (mut expected, mut found) = (vec![0.0f32; 200 * BLOCK], vec![1.0f32; 200 * BLOCK]);
        T::to_float(typed, &mut expected);
        ours(&bytes, &mut found);
        for (i, (a, b)) in expected.iter().zip(&found).enumerate() {
            assert_eq!(a.to_bits(), b.to_bits(), "number {i}: {a} {b}");
        }
    }

    #[test]
    fn a_product_with_a_row_is_that_of_its_numbers() {
        let x: Vec<f32> = (0..200 * BLOCK).map(|i| (i as f32 * 0.7).sin()).collect();
        type Case = (usize, usize, fn(&[u8], &mut [f32]), fn(&[u8], &[f32]) -> Option<f32>);
        let cases: [Case; 2] = [(34, 1, q8_0, dot_q8_0), (20, 2, q4_1, dot_q4_1)];
        for (size, halves, dequantise, dot) in cases {
            let bytes = blocks(size, halves);
            // Block by block: the random factors differ by many orders of magnitude.
            for (block, x) in bytes.chunks_exact(size).zip(x.chunks_exact(BLOCK)) {
                let mut row = vec![0.0; BLOCK];
                dequantise(block, &mut row);
                let exact: f64 = row.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                let scale: f64 = row.iter().zip(x).map(|(w, x)| (f64::from(*w) * f64::from(*x)).abs()).sum();
                let Some(found) = dot(block, x) else {
                    eprintln!("skipped: this processor has no AVX-512");
                    return;
                };
                assert!((f64::from(found) - exact).abs() <= 1e-6 * scale, "{found} {exact}");
            }
        }
    }

    #[test]
    fn values_are_those_of_the_reference_bit_for_bit() {
        check::<BlockQ8_0>(34, 1, q8_0);
        check::<BlockQ4_0>(18, 1, q4_0);
        check::<BlockQ4_1>(20, 2, q4_1);
    }
}
