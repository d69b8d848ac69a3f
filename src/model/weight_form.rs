//! In which form a model's frozen weights are held: the arithmetic they are multiplied in, and how they are stored.

use super::weights::WeightSource;
use crate::error::{Error, Kind, Result};
use crate::ops::quantised::BlockForm;
use crate::ops::{Arithmetic, Frozen, StoredRows, quantised};
use crate::tr;
use candle_core::quantized::GgmlType;
use candle_core::quantized::k_quants::{BlockQ4_1, BlockQ8_0};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::Range;

/// How frozen weights are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BaseStorage {
    /// Converted to the arithmetic's own numbers once, when they are loaded: fastest.
    #[default]
    Full,
    /// As the file has them (a GGUF quantisation, bf16), read block by block in every product: smallest.
    Keep,
    /// Quantised to 8 bits when loaded: blocks of 32 with one factor (GGUF's Q8_0).
    Int8,
    /// Quantised to 4 bits when loaded: blocks of 32 with factor and offset (GGUF's Q4_1); the embedding to 8.
    Int4,
}

impl BaseStorage {
    /// All, in the order of `--quantize`'s help.
    pub const ALL: [BaseStorage; 4] = [BaseStorage::Full, BaseStorage::Keep, BaseStorage::Int8, BaseStorage::Int4];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            BaseStorage::Full => "full",
            BaseStorage::Keep => "keep",
            BaseStorage::Int8 => "int8",
            BaseStorage::Int4 => "int4",
        }
    }

    /// Reads `--quantize`.
    ///
    /// # Errors
    /// `Usage` that lists the names.
    pub fn parse(name: &str) -> Result<BaseStorage> {
        BaseStorage::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| {
            let name = name.escape_default();
            Error::new(Kind::Usage, tr!("unknown --quantize `{name}`", "未知的 --quantize `{name}`"))
                .hint(tr!("use full, keep, int8 or int4", "可用 full、keep、int8 或 int4"))
        })
    }
}

/// Arithmetic and storage of a model's frozen weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightForm {
    /// In which numbers weights are multiplied.
    pub arithmetic: Arithmetic,
    /// How they are held.
    pub storage: BaseStorage,
}

impl Default for WeightForm {
    fn default() -> Self {
        WeightForm::F32
    }
}

impl WeightForm {
    /// f32 throughout: what scores are compared with.
    pub const F32: WeightForm = WeightForm { arithmetic: Arithmetic::F32, storage: BaseStorage::Full };

    /// Its name in reports: `f32`, `bf16`, `f32 keep`, `bf16 int4`, …
    pub fn label(self) -> String {
        match self.storage {
            BaseStorage::Full => self.arithmetic.name().to_owned(),
            storage => format!("{} {}", self.arithmetic.name(), storage.name()),
        }
    }

    /// Whether weights are multiplied in f32.
    pub fn is_exact(self) -> bool {
        self.arithmetic == Arithmetic::F32
    }

    /// What trains fastest on this processor.
    pub fn fastest() -> WeightForm {
        WeightForm { arithmetic: Arithmetic::fastest(), storage: BaseStorage::Full }
    }

    /// Reads `--dtype`: `auto` is the fastest arithmetic of this processor.
    ///
    /// # Errors
    /// `Usage` for an unknown name, `Unsupported` for bf16 on a processor without it.
    pub fn parse_arithmetic(dtype: &str) -> Result<Arithmetic> {
        match dtype {
            "auto" => Ok(Arithmetic::fastest()),
            "f32" => Ok(Arithmetic::F32),
            "bf16" if Arithmetic::Bf16.available() => Ok(Arithmetic::Bf16),
            "bf16" => Err(Error::new(
                Kind::Unsupported,
                tr!(
                    "this processor does not multiply bf16 (it has no AVX-512 BF16)",
                    "此处理器不支持 bf16 乘法（没有 AVX-512 BF16）"
                ),
            )
            .hint(tr!("use --dtype f32 or auto", "请用 --dtype f32 或 auto"))),
            other => {
                let other = other.escape_default();
                Err(Error::new(Kind::Usage, tr!("unknown --dtype `{other}`", "未知的 --dtype `{other}`"))
                    .hint(tr!("use f32, bf16 or auto", "可用 f32、bf16 或 auto")))
            }
        }
    }

    /// Reads the weight `name`, whose shape `[outputs, inputs]` has been checked.
    ///
    /// # Errors
    /// Those of the source; `Unsupported` when rows cannot be cut into blocks of 32.
    pub(super) fn load(self, source: &dyn WeightSource, name: &str, outputs: usize, inputs: usize) -> Result<Frozen> {
        let rows: Box<dyn StoredRows> = match self.storage {
            BaseStorage::Full => {
                return Ok(Frozen::new(source.tensor(name)?.data, outputs, inputs, self.arithmetic));
            }
            BaseStorage::Keep => source.stored_rows(name)?,
            BaseStorage::Int4 if !name.contains("embed_tokens") => {
                Box::new(Blocks::<BlockQ4_1>::quantise(source, name, inputs, BlockForm::Q4_1, quantised::q4_1)?)
            }
            BaseStorage::Int8 | BaseStorage::Int4 => {
                Box::new(Blocks::<BlockQ8_0>::quantise(source, name, inputs, BlockForm::Q8_0, quantised::q8_0)?)
            }
        };
        Ok(Frozen::stored(rows, outputs, inputs, self.arithmetic))
    }
}

/// Rows as quantised blocks in memory.
struct Blocks<T> {
    blocks: Vec<T>,
    inputs: usize,
    form: BlockForm,
    dequantise: fn(&[u8], &mut [f32]),
}

impl<T: GgmlType + Send + Sync> Blocks<T> {
    fn quantise(
        source: &dyn WeightSource,
        name: &str,
        inputs: usize,
        form: BlockForm,
        dequantise: fn(&[u8], &mut [f32]),
    ) -> Result<Self> {
        if !inputs.is_multiple_of(T::BLCK_SIZE) {
            let block = T::BLCK_SIZE;
            return Err(Error::new(
                Kind::Unsupported,
                tr!(
                    "{name}: rows of {inputs} numbers cannot be cut into blocks of {block}",
                    "{name}：每行 {inputs} 个数，无法按 {block} 个一块量化"
                ),
            )
            .hint(tr!("use --quantize full or keep", "请用 --quantize full 或 keep")));
        }
        let data = source.tensor(name)?.data;
        let mut blocks = vec![T::zeros(); data.len() / T::BLCK_SIZE];
        blocks
            .par_chunks_mut(inputs / T::BLCK_SIZE)
            .zip(data.par_chunks(inputs))
            .for_each(|(blocks, row)| T::from_float(row, blocks));
        Ok(Blocks { blocks, inputs, form, dequantise })
    }

    fn as_bytes(blocks: &[T]) -> &[u8] {
        // SAFETY: blocks are plain structs of bytes and half-precision words without gaps, as a GGUF file has them.
        unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast(), size_of_val(blocks)) }
    }
}

impl<T: GgmlType + Send + Sync> StoredRows for Blocks<T> {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let per_row = self.inputs / T::BLCK_SIZE;
        (self.dequantise)(Self::as_bytes(&self.blocks[rows.start * per_row..rows.end * per_row]), out);
    }

    fn block_form(&self) -> Option<BlockForm> {
        Some(self.form)
    }

    fn blocks(&self) -> Option<(BlockForm, Cow<'_, [u8]>)> {
        Some((self.form, Cow::Borrowed(Self::as_bytes(&self.blocks))))
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.blocks[..])
    }
}
