//! GGUF tensors as Hugging Face weights: names, row order and de-quantisation.

use super::config::{Architecture, ModelConfig};
use super::gguf::Gguf;
use super::weights::{Tensor, WeightSource, copy_f32, missing, widen_bf16, widen_f16};
use crate::error::Result;
use crate::ops::quantised::BlockForm;
use crate::ops::{StoredRows, quantised};
use crate::tr;
use candle_core::quantized::{GgmlDType, GgmlType, k_quants};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The weights of an open GGUF file.
pub struct GgufWeights {
    file: Arc<Gguf>,
    names: BTreeMap<String, String>,
    /// Heads whose rows the converter interleaved: (query heads, key heads); llama only.
    interleaved: Option<(usize, usize)>,
}

/// Tensors outside the blocks: GGUF's names and Hugging Face's.
const OUTSIDE: [(&str, &str); 3] = [
    ("token_embd.weight", "model.embed_tokens.weight"),
    ("output_norm.weight", "model.norm.weight"),
    ("output.weight", "lm_head.weight"),
];

/// Parts of a block: GGUF's names and Hugging Face's.
const PARTS: [(&str, &str); 11] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// Hugging Face name of a GGUF tensor, if it is a weight of a decoder.
fn hf_name(gguf: &str) -> Option<String> {
    if let Some((_, name)) = OUTSIDE.iter().find(|(name, _)| *name == gguf) {
        return Some((*name).to_owned());
    }
    let (layer, rest) = gguf.strip_prefix("blk.")?.split_once('.')?;
    layer.parse::<usize>().ok()?;
    let (part, kind) = rest.rsplit_once('.')?;
    let (_, part) = PARTS.iter().find(|(name, _)| *name == part)?;
    Some(format!("model.layers.{layer}.{part}.{kind}"))
}

/// GGUF's name of a decoder's weight; the other way round.
pub(super) fn gguf_name(hf: &str) -> Option<String> {
    if let Some((name, _)) = OUTSIDE.iter().find(|(_, name)| *name == hf) {
        return Some((*name).to_owned());
    }
    let (layer, rest) = hf.strip_prefix("model.layers.")?.split_once('.')?;
    let (part, kind) = rest.rsplit_once('.')?;
    let (part, _) = PARTS.iter().find(|(_, name)| *name == part)?;
    Some(format!("blk.{layer}.{part}.{kind}"))
}

impl GgufWeights {
    /// The weights of `file`, whose configuration is `config`.
    ///
    /// # Errors
    /// `Unsupported` when it has weights that the decoder would leave out (experts, other biases).
    pub fn new(file: Gguf, config: &ModelConfig) -> Result<GgufWeights> {
        let expected: std::collections::HashSet<String> = config.tensors().into_iter().map(|(name, _)| name).collect();
        let mut names = BTreeMap::new();
        for gguf in file.tensor_names() {
            match hf_name(gguf) {
                Some(name) if expected.contains(&name) => {
                    names.insert(name, gguf.to_owned());
                }
                // Derived from the configuration, which has been checked against it.
                None if gguf == "rope_freqs.weight" => {}
                _ => {
                    let shown = gguf.escape_default();
                    return Err(file.unsupported(&tr!("the tensor {shown}", "张量 {shown}")));
                }
            }
        }
        let interleaved =
            (config.architecture == Architecture::Llama).then_some((config.num_heads, config.num_kv_heads));
        Ok(GgufWeights { file: Arc::new(file), names, interleaved })
    }

    /// Heads of the weight `name` when its rows are interleaved in the file.
    fn interleaved_heads(&self, name: &str) -> Option<usize> {
        let (q, k) = self.interleaved?;
        if name.contains(".q_proj.") {
            Some(q)
        } else if name.contains(".k_proj.") {
            Some(k)
        } else {
            None
        }
    }
}

impl WeightSource for GgufWeights {
    fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let (info, _) = self.file.tensor(self.names.get(name)?)?;
        Some(info.shape.clone())
    }

    fn storage(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for gguf in self.names.values() {
            if let Some((info, _)) = self.file.tensor(gguf) {
                *all.entry(storage_name(info.dtype).to_owned()).or_insert(0) += elements(&info.shape) as u64;
            }
        }
        all
    }

    fn place(&self) -> &Path {
        self.file.path()
    }

    fn stored_rows(&self, name: &str) -> Result<Box<dyn StoredRows>> {
        let lost = || missing(self.file.path(), name);
        let gguf = self.names.get(name).ok_or_else(lost)?;
        let (info, bytes) = self.file.tensor(gguf).ok_or_else(lost)?;
        let inputs = info.shape.last().copied().unwrap_or(1);
        let row = inputs / info.dtype.block_size() * info.dtype.type_size();
        let rows = elements(&info.shape) / inputs.max(1);
        // One row is tried here, so that reading the others cannot fail.
        let mut probe = vec![0.0; inputs];
        if bytes.len() != rows * row || !convert(info.dtype, &bytes[..row], &mut probe) {
            return Err(self.file.corrupt(&tr!("the weight {name} cannot be read", "无法读取权重 {name}")));
        }
        let head = self.interleaved_heads(name).map(|heads| rows / heads);
        Ok(Box::new(GgufRows {
            file: Arc::clone(&self.file),
            place: info.bytes.clone(),
            dtype: info.dtype,
            row,
            inputs,
            head,
        }))
    }

    fn try_tensor(&self, name: &str) -> Result<Option<Tensor>> {
        let Some((info, bytes)) = self.names.get(name).and_then(|gguf| self.file.tensor(gguf)) else {
            return Ok(None);
        };
        let row = info.shape.last().copied().unwrap_or(1);
        let data = widen(info.dtype, bytes, elements(&info.shape))
            .ok_or_else(|| self.file.corrupt(&tr!("the weight {name} cannot be read", "无法读取权重 {name}")))?;
        let data = match self.interleaved_heads(name) {
            Some(heads) => separate_halves(&data, heads, row),
            None => data,
        };
        Ok(Some(Tensor { shape: info.shape.clone(), data }))
    }
}

fn elements(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// The storage type as llama.cpp spells it.
fn storage_name(dtype: GgmlDType) -> &'static str {
    match dtype {
        GgmlDType::F32 => "F32",
        GgmlDType::F16 => "F16",
        GgmlDType::BF16 => "BF16",
        GgmlDType::Q4_0 => "Q4_0",
        GgmlDType::Q4_1 => "Q4_1",
        GgmlDType::Q5_0 => "Q5_0",
        GgmlDType::Q5_1 => "Q5_1",
        GgmlDType::Q8_0 => "Q8_0",
        GgmlDType::Q8_1 => "Q8_1",
        GgmlDType::Q2K => "Q2_K",
        GgmlDType::Q3K => "Q3_K",
        GgmlDType::Q4K => "Q4_K",
        GgmlDType::Q5K => "Q5_K",
        GgmlDType::Q6K => "Q6_K",
        GgmlDType::Q8K => "Q8_K",
    }
}

/// Rows of one weight in the mapped file.
struct GgufRows {
    file: Arc<Gguf>,
    /// Where its rows lie in the file.
    place: Range<usize>,
    dtype: GgmlDType,
    /// Bytes of a row.
    row: usize,
    inputs: usize,
    /// Rows of a head, where the file interleaves them.
    head: Option<usize>,
}

impl GgufRows {
    fn data(&self) -> &[u8] {
        self.file.bytes(self.place.clone())
    }

    /// Where row `row` lies in the file. See `separate_halves`: row i of a head's first half lies at 2i, of its second
    /// half at 2i + 1.
    fn place_of(&self, row: usize) -> usize {
        let Some(head) = self.head else { return row };
        let (start, i, half) = (row / head * head, row % head, head / 2);
        start + if i < half { 2 * i } else { 2 * (i - half) + 1 }
    }
}

impl StoredRows for GgufRows {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let bytes = self.data();
        match self.head {
            None => {
                convert(self.dtype, &bytes[rows.start * self.row..rows.end * self.row], out);
            }
            Some(_) => {
                for (row, out) in rows.zip(out.chunks_exact_mut(self.inputs)) {
                    let from = self.place_of(row);
                    convert(self.dtype, &bytes[from * self.row..(from + 1) * self.row], out);
                }
            }
        }
    }

    fn dots(&self, first: usize, x: &[f32], out: &mut [f32]) -> bool {
        let dot = match self.dtype {
            GgmlDType::Q4_1 => quantised::dot_q4_1,
            GgmlDType::Q8_0 => quantised::dot_q8_0,
            _ => return false,
        };
        let bytes = self.data();
        for (i, out) in out.iter_mut().enumerate() {
            let from = self.place_of(first + i);
            let Some(sum) = dot(&bytes[from * self.row..(from + 1) * self.row], x) else { return false };
            *out = sum;
        }
        true
    }

    fn block_form(&self) -> Option<BlockForm> {
        match self.dtype {
            GgmlDType::Q8_0 => Some(BlockForm::Q8_0),
            GgmlDType::Q4_0 => Some(BlockForm::Q4_0),
            GgmlDType::Q4_1 => Some(BlockForm::Q4_1),
            GgmlDType::Q4K => Some(BlockForm::Q4K),
            GgmlDType::Q6K => Some(BlockForm::Q6K),
            _ => None,
        }
    }

    fn blocks(&self) -> Option<(BlockForm, Cow<'_, [u8]>)> {
        let form = self.block_form()?;
        let bytes = self.data();
        let in_order = |_| {
            let rows = 0..bytes.len() / self.row;
            let row = |row: usize| &bytes[self.place_of(row) * self.row..][..self.row];
            Cow::Owned(rows.flat_map(row).copied().collect())
        };
        Some((form, self.head.map_or(Cow::Borrowed(bytes), in_order)))
    }

    fn bytes(&self) -> usize {
        self.data().len()
    }
}

/// Elements that one task converts: a multiple of every block length, some hundred microseconds of work.
const TASK: usize = 1 << 16;

/// `len` numbers of type `dtype` on all cores; `None` when `bytes` are not exactly those.
fn widen(dtype: GgmlDType, bytes: &[u8], len: usize) -> Option<Vec<f32>> {
    let (block, size) = (dtype.block_size(), dtype.type_size());
    if !len.is_multiple_of(block) || bytes.len() != len / block * size {
        return None;
    }
    let mut data = vec![0.0; len];
    bytes
        .par_chunks(TASK / block * size)
        .zip(data.par_chunks_mut(TASK))
        .all(|(bytes, out)| convert(dtype, bytes, out))
        .then_some(data)
}

/// Converts whole blocks to f32; false when `bytes` are not exactly the blocks of `out`, or of a type that is never stored.
fn convert(dtype: GgmlDType, bytes: &[u8], out: &mut [f32]) -> bool {
    let plain = |size: usize, widen: fn(&[u8], &mut [f32]), out: &mut [f32]| {
        let whole = bytes.len() == out.len() * size;
        if whole {
            widen(bytes, out);
        }
        whole
    };
    let blocks = |dequantise: fn(&[u8], &mut [f32]), out: &mut [f32]| {
        let (block, size) = (dtype.block_size(), dtype.type_size());
        let whole = out.len().is_multiple_of(block) && bytes.len() == out.len() / block * size;
        if whole {
            dequantise(bytes, out);
        }
        whole
    };
    match dtype {
        GgmlDType::F32 => plain(4, copy_f32, out),
        GgmlDType::F16 => plain(2, widen_f16, out),
        GgmlDType::BF16 => plain(2, widen_bf16, out),
        GgmlDType::Q4_0 => blocks(quantised::q4_0, out),
        GgmlDType::Q4_1 => blocks(quantised::q4_1, out),
        GgmlDType::Q5_0 => dequantise::<k_quants::BlockQ5_0>(bytes, out),
        GgmlDType::Q5_1 => dequantise::<k_quants::BlockQ5_1>(bytes, out),
        GgmlDType::Q8_0 => blocks(quantised::q8_0, out),
        GgmlDType::Q2K => dequantise::<k_quants::BlockQ2K>(bytes, out),
        GgmlDType::Q3K => dequantise::<k_quants::BlockQ3K>(bytes, out),
        GgmlDType::Q4K => dequantise::<k_quants::BlockQ4K>(bytes, out),
        GgmlDType::Q5K => dequantise::<k_quants::BlockQ5K>(bytes, out),
        GgmlDType::Q6K => dequantise::<k_quants::BlockQ6K>(bytes, out),
        GgmlDType::Q8_1 | GgmlDType::Q8K => false,
    }
}

/// De-quantises blocks of type `T`; false when `bytes` are not exactly the blocks of `out`.
fn dequantise<T: GgmlType>(bytes: &[u8], out: &mut [f32]) -> bool {
    // SAFETY: block types are plain structs of integers and half-precision words; any bits are a value.
    let (before, blocks, after) = unsafe { bytes.align_to::<T>() };
    if !before.is_empty() || !after.is_empty() || blocks.len() * T::BLCK_SIZE != out.len() {
        return false;
    }
    T::to_float(blocks, out);
    true
}

/// Undoes the row order of llama GGUF files. The converter pairs the rows that rotate together
/// (0, d/2, 1, d/2+1, …) within each head; Hugging Face keeps the two halves apart.
fn separate_halves(data: &[f32], heads: usize, row: usize) -> Vec<f32> {
    let mut out = vec![0.0; data.len()];
    let head = data.len() / heads;
    let half = head / row / 2;
    for (from, to) in data.chunks_exact(head).zip(out.chunks_exact_mut(head)) {
        for (i, pair) in from.chunks_exact(2 * row).enumerate() {
            to[i * row..][..row].copy_from_slice(&pair[..row]);
            to[(half + i) * row..][..row].copy_from_slice(&pair[row..]);
        }
    }
    out
}

/// Interleaves the two halves of each head, as llama GGUF files have them: undone by [`separate_halves`].
pub(super) fn interleave_halves(data: &[f32], heads: usize, row: usize) -> Vec<f32> {
    let mut out = vec![0.0; data.len()];
    let head = data.len() / heads;
    let half = head / row / 2;
    for (from, to) in data.chunks_exact(head).zip(out.chunks_exact_mut(head)) {
        for (i, pair) in to.chunks_exact_mut(2 * row).enumerate() {
            pair[..row].copy_from_slice(&from[i * row..][..row]);
            pair[row..].copy_from_slice(&from[(half + i) * row..][..row]);
        }
    }
    out
}
