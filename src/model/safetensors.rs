//! Weights of a Hugging Face folder: one `model.safetensors`, or shards with an index.

use super::gguf::pull_again;
use super::weights::{Tensor, WeightSource, copy_f32, missing, read_json, widen_bf16, widen_f16};
use crate::error::{Error, Kind, Result};
use crate::ops::StoredRows;
use crate::tr;
use memmap2::Mmap;
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where one weight lies.
struct Entry {
    shard: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

/// How numbers of `dtype` become f32.
fn widening(dtype: Dtype) -> fn(&[u8], &mut [f32]) {
    match dtype {
        Dtype::F16 => widen_f16,
        Dtype::BF16 => widen_bf16,
        _ => copy_f32,
    }
}

/// Rows of one weight in the mapped files.
struct MappedRows {
    shards: Arc<Vec<Mmap>>,
    shard: usize,
    bytes: Range<usize>,
    /// Bytes of a row.
    row: usize,
    convert: fn(&[u8], &mut [f32]),
}

impl StoredRows for MappedRows {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let bytes = &self.shards[self.shard][self.bytes.clone()];
        (self.convert)(&bytes[rows.start * self.row..rows.end * self.row], out);
    }

    fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// The memory-mapped weights of a folder.
pub struct SafetensorsWeights {
    folder: PathBuf,
    shards: Arc<Vec<Mmap>>,
    /// By Hugging Face name.
    entries: BTreeMap<String, Entry>,
}

impl SafetensorsWeights {
    /// Opens the weights in `folder`; `None` when it has no safetensors under the usual names.
    ///
    /// # Errors
    /// `Corrupt` when a file is damaged, or the index names a shard or a weight that is not there.
    pub fn open(folder: &Path) -> Result<Option<SafetensorsWeights>> {
        let single = folder.join("model.safetensors");
        let index = folder.join("model.safetensors.index.json");
        let mut weights =
            SafetensorsWeights { folder: folder.to_owned(), shards: Arc::default(), entries: BTreeMap::new() };
        if index.is_file() {
            let map = index_map(&index)?;
            for shard in map.values().collect::<BTreeSet<_>>() {
                let path = folder.join(shard);
                if !path.is_file() {
                    let (place, shard) = (index.display(), shard.escape_default());
                    return Err(corrupt(tr!(
                        "{place} names the shard {shard}, which is not there",
                        "{place} 提到的分片 {shard} 不存在"
                    )));
                }
                weights.add(&path)?;
            }
            for name in map.keys() {
                if !weights.entries.contains_key(&canonical(name)) {
                    let (place, name) = (index.display(), name.escape_default());
                    return Err(corrupt(tr!(
                        "{place} names the weight {name}, which no shard has",
                        "{place} 提到的权重 {name} 不在任何分片中"
                    )));
                }
            }
        } else if single.is_file() {
            weights.add(&single)?;
        } else {
            return Ok(None);
        }
        Ok(Some(weights))
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        let file = std::fs::File::open(path).map_err(|e| Error::io(path, &e))?;
        // SAFETY: the map is only read; this program replaces model files by rename only, which keeps
        // the mapped one alive. Another process that cuts the file makes this one get SIGBUS.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, &e))?;
        let place = path.display();
        let file = SafeTensors::deserialize(&map).map_err(|e| {
            let len = map.len();
            corrupt(tr!(
                "{place} ({len} bytes) is damaged or incomplete: {e}",
                "{place}（{len} 字节）已损坏或不完整：{e}"
            ))
        })?;
        let base = map.as_ptr() as usize;
        for (name, view) in file.iter() {
            let shown = name.escape_default();
            let dtype = view.dtype();
            if !matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
                return Err(Error::new(
                    Kind::Unsupported,
                    tr!(
                        "{place}: the weight {shown} is stored as {dtype:?}",
                        "{place}：权重 {shown} 以 {dtype:?} 存储"
                    ),
                )
                .hint(tr!("supported: F32, F16, BF16", "支持：F32、F16、BF16")));
            }
            let start = view.data().as_ptr() as usize - base;
            let entry = Entry {
                shard: self.shards.len(),
                dtype,
                shape: view.shape().to_vec(),
                bytes: start..start + view.data().len(),
            };
            if self.entries.insert(canonical(name), entry).is_some() {
                return Err(corrupt(tr!("{place}: the weight {shown} occurs twice", "{place}：权重 {shown} 出现两次")));
            }
        }
        // Nothing else holds the list while it is filled.
        if let Some(shards) = Arc::get_mut(&mut self.shards) {
            shards.push(map);
        }
        Ok(())
    }
}

/// The name with its `model.` prefix: bare decoders (without the output projection) are saved without it.
fn canonical(name: &str) -> String {
    if ["layers.", "embed_tokens.", "norm."].iter().any(|p| name.starts_with(p)) {
        format!("model.{name}")
    } else {
        name.to_owned()
    }
}

/// `weight_map` of an index: weight → file name.
fn index_map(index: &Path) -> Result<BTreeMap<String, String>> {
    let place = index.display();
    let json = read_json(index)?;
    let map = json
        .get("weight_map")
        .and_then(|m| m.as_object())
        .ok_or_else(|| corrupt(tr!("{place} has no weight_map", "{place} 中没有 weight_map")))?;
    map.iter()
        .map(|(name, file)| match file.as_str() {
            // A shard is a plain name beside the index; anything else would leave the folder.
            Some(file) if !file.is_empty() && !file.contains(['/', '\\']) && file != ".." => {
                Ok((name.clone(), file.to_owned()))
            }
            _ => Err(corrupt(tr!("{place} has the strange shard name {file}", "{place} 中的分片名 {file} 不合法"))),
        })
        .collect()
}

fn corrupt(message: String) -> Error {
    Error::new(Kind::Corrupt, message).hint(pull_again())
}

impl WeightSource for SafetensorsWeights {
    fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.entries.get(name).map(|e| e.shape.clone())
    }

    fn storage(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for entry in self.entries.values() {
            *all.entry(format!("{:?}", entry.dtype)).or_insert(0) += entry.shape.iter().product::<usize>() as u64;
        }
        all
    }

    fn place(&self) -> &Path {
        &self.folder
    }

    fn stored_rows(&self, name: &str) -> Result<Box<dyn StoredRows>> {
        let entry = self.entries.get(name).ok_or_else(|| missing(&self.folder, name))?;
        let inputs = entry.shape.last().copied().unwrap_or(1);
        Ok(Box::new(MappedRows {
            shards: Arc::clone(&self.shards),
            shard: entry.shard,
            bytes: entry.bytes.clone(),
            row: inputs * entry.dtype.bitsize() / 8,
            convert: widening(entry.dtype),
        }))
    }

    fn try_tensor(&self, name: &str) -> Result<Option<Tensor>> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        let bytes = &self.shards[entry.shard][entry.bytes.clone()];
        let convert = widening(entry.dtype);
        let width = entry.dtype.bitsize() / 8;
        let mut data = vec![0.0; bytes.len() / width];
        const TASK: usize = 1 << 16;
        bytes.par_chunks(TASK * width).zip(data.par_chunks_mut(TASK)).for_each(|(bytes, out)| convert(bytes, out));
        Ok(Some(Tensor { shape: entry.shape.clone(), data }))
    }
}
