//! How the numbers of a weight are stored in a file that this program writes.

use crate::error::{Error, Kind, Result};
use crate::tr;
use candle_core::quantized::k_quants::{
    BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0,
};
use candle_core::quantized::{GgmlDType, GgmlType};
use half::{bf16, f16};
use rayon::prelude::*;
use serde::{Serialize, Serializer};

/// A storage type of safetensors (the first three) or GGUF (all).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageType {
    /// 32-bit floating point: what was computed, unchanged.
    F32,
    /// 16 bits with 8 for the exponent.
    Bf16,
    /// IEEE half precision.
    F16,
    /// Blocks of 32 in 8 bits with one factor.
    Q8_0,
    /// Blocks of 256 in 6 bits.
    Q6K,
    /// Blocks of 256 in 5 bits.
    Q5K,
    /// Blocks of 32 in 5 bits with factor and offset.
    Q5_1,
    /// Blocks of 32 in 5 bits with one factor.
    Q5_0,
    /// Blocks of 256 in 4 bits.
    Q4K,
    /// Blocks of 32 in 4 bits with factor and offset.
    Q4_1,
    /// Blocks of 32 in 4 bits with one factor.
    Q4_0,
}

impl Serialize for StorageType {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl StorageType {
    /// Those that a safetensors file holds.
    pub const FLOATS: [StorageType; 3] = [StorageType::F32, StorageType::Bf16, StorageType::F16];

    /// Those that a GGUF file holds, the largest first.
    pub const ALL: [StorageType; 11] = [
        StorageType::F32,
        StorageType::Bf16,
        StorageType::F16,
        StorageType::Q8_0,
        StorageType::Q6K,
        StorageType::Q5K,
        StorageType::Q5_1,
        StorageType::Q5_0,
        StorageType::Q4K,
        StorageType::Q4_1,
        StorageType::Q4_0,
    ];

    /// The name on the command line, llama.cpp's in small letters.
    pub fn name(self) -> &'static str {
        match self {
            StorageType::F32 => "f32",
            StorageType::Bf16 => "bf16",
            StorageType::F16 => "f16",
            StorageType::Q8_0 => "q8_0",
            StorageType::Q6K => "q6_k",
            StorageType::Q5K => "q5_k",
            StorageType::Q5_1 => "q5_1",
            StorageType::Q5_0 => "q5_0",
            StorageType::Q4K => "q4_k",
            StorageType::Q4_1 => "q4_1",
            StorageType::Q4_0 => "q4_0",
        }
    }

    /// The one of `allowed` with that name; `flag` is named when there is none.
    ///
    /// # Errors
    /// `Usage` that lists the names.
    pub fn parse(flag: &str, name: &str, allowed: &[StorageType]) -> Result<StorageType> {
        let small = name.to_ascii_lowercase();
        allowed.iter().copied().find(|t| t.name() == small).ok_or_else(|| {
            let name = name.escape_default();
            let names: Vec<&str> = allowed.iter().map(|t| t.name()).collect();
            let names = names.join(", ");
            Error::new(Kind::Usage, tr!("unknown {flag} `{name}`", "未知的 {flag} `{name}`"))
                .hint(tr!("use one of: {names}", "可用：{names}"))
        })
    }

    /// The code in a GGUF tensor table.
    pub(super) fn ggml_code(self) -> u32 {
        match self {
            StorageType::F32 => 0,
            StorageType::F16 => 1,
            StorageType::Q4_0 => 2,
            StorageType::Q4_1 => 3,
            StorageType::Q5_0 => 6,
            StorageType::Q5_1 => 7,
            StorageType::Q8_0 => 8,
            StorageType::Q4K => 12,
            StorageType::Q5K => 13,
            StorageType::Q6K => 14,
            StorageType::Bf16 => 30,
        }
    }

    /// `general.file_type` of a file whose weights are mostly of this type.
    pub(super) fn file_type(self) -> u32 {
        match self {
            StorageType::F32 => 0,
            StorageType::F16 => 1,
            StorageType::Q4_0 => 2,
            StorageType::Q4_1 => 3,
            StorageType::Q8_0 => 7,
            StorageType::Q5_0 => 8,
            StorageType::Q5_1 => 9,
            StorageType::Q4K => 14,
            StorageType::Q5K => 16,
            StorageType::Q6K => 18,
            StorageType::Bf16 => 32,
        }
    }

    fn ggml(self) -> GgmlDType {
        match self {
            StorageType::F32 => GgmlDType::F32,
            StorageType::Bf16 => GgmlDType::BF16,
            StorageType::F16 => GgmlDType::F16,
            StorageType::Q8_0 => GgmlDType::Q8_0,
            StorageType::Q6K => GgmlDType::Q6K,
            StorageType::Q5K => GgmlDType::Q5K,
            StorageType::Q5_1 => GgmlDType::Q5_1,
            StorageType::Q5_0 => GgmlDType::Q5_0,
            StorageType::Q4K => GgmlDType::Q4K,
            StorageType::Q4_1 => GgmlDType::Q4_1,
            StorageType::Q4_0 => GgmlDType::Q4_0,
        }
    }

    /// The type in which a weight is stored when the file's type is this one. Vectors stay f32. Of types below 8 bits,
    /// embedding and output layer are stored in 8, because an error there meets every token. A row that cannot be cut
    /// into blocks gets a type that can hold it: 8 bits instead of blocks of 256, f16 instead of blocks of 32.
    pub(super) fn of_weight(self, name: &str, shape: &[usize]) -> StorageType {
        let row = shape.last().copied().unwrap_or(1);
        if shape.len() < 2 {
            return StorageType::F32;
        }
        let mut wanted = self;
        let outer = name.contains("embed_tokens") || name.contains("lm_head");
        if outer && !Self::FLOATS.contains(&wanted) {
            wanted = StorageType::Q8_0;
        }
        if !row.is_multiple_of(wanted.ggml().block_size()) {
            wanted = StorageType::Q8_0;
        }
        if row.is_multiple_of(wanted.ggml().block_size()) { wanted } else { StorageType::F16 }
    }

    /// Bytes of `elements` numbers in whole blocks.
    pub(super) fn bytes(self, elements: usize) -> u64 {
        let ggml = self.ggml();
        (elements / ggml.block_size()) as u64 * ggml.type_size() as u64
    }

    /// Rounds numbers to this type, little endian as files hold them. `data` are whole blocks.
    ///
    /// # Errors
    /// `InvalidInput` for a number that is beyond half precision, or no number.
    pub(super) fn encode(self, name: &str, data: &[f32]) -> Result<Vec<u8>> {
        if let Some(x) = data.par_iter().find_any(|x| !x.is_finite()) {
            return Err(beyond(name, *x, self));
        }
        Ok(match self {
            StorageType::F32 => data.par_iter().flat_map_iter(|x| x.to_le_bytes()).collect(),
            StorageType::Bf16 => data.par_iter().flat_map_iter(|x| bf16::from_f32(*x).to_le_bytes()).collect(),
            StorageType::F16 => {
                if let Some(x) = data.par_iter().find_any(|x| !f16::from_f32(**x).is_finite()) {
                    return Err(beyond(name, *x, self));
                }
                data.par_iter().flat_map_iter(|x| f16::from_f32(*x).to_le_bytes()).collect()
            }
            StorageType::Q8_0 => quantise::<BlockQ8_0>(data),
            StorageType::Q6K => quantise::<BlockQ6K>(data),
            StorageType::Q5K => quantise::<BlockQ5K>(data),
            StorageType::Q5_1 => quantise::<BlockQ5_1>(data),
            StorageType::Q5_0 => quantise::<BlockQ5_0>(data),
            StorageType::Q4K => quantise::<BlockQ4K>(data),
            StorageType::Q4_1 => quantise::<BlockQ4_1>(data),
            StorageType::Q4_0 => quantise::<BlockQ4_0>(data),
        })
    }
}

fn beyond(name: &str, x: f32, to: StorageType) -> Error {
    let to = to.name();
    Error::new(
        Kind::InvalidInput,
        tr!("the weight {name} holds {x}, which {to} cannot hold", "权重 {name} 中有 {x}，{to} 无法表示"),
    )
    .hint(tr!(
        "use bf16 or f32 for large numbers; a number that is none comes from a training that diverged",
        "数值过大时请用 bf16 或 f32；非数值来自发散的训练"
    ))
}

/// Blocks that one task makes: some milliseconds of work.
const TASK: usize = 256;

fn quantise<T: GgmlType + Send + Sync>(data: &[f32]) -> Vec<u8> {
    let mut blocks = vec![T::zeros(); data.len() / T::BLCK_SIZE];
    blocks
        .par_chunks_mut(TASK)
        .zip(data.par_chunks(TASK * T::BLCK_SIZE))
        .for_each(|(blocks, numbers)| T::from_float(numbers, blocks));
    // SAFETY: blocks are plain structs of bytes and half-precision words without gaps, as a GGUF file has them.
    let bytes = unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast::<u8>(), size_of_val(&blocks[..])) };
    bytes.to_vec()
}
