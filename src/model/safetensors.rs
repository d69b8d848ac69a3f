//! Weights of a Hugging Face folder: one `model.safetensors`, or shards with an index.

use super::gguf::pull_again;
use super::weights::{Tensor, WeightSource, copy_f32, read_json, widen_bf16, widen_f16};
use crate::error::{Error, Kind, Result};
use crate::tr;
use memmap2::Mmap;
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Where one weight lies.
struct Entry {
    shard: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

/// The memory-mapped weights of a folder.
pub struct SafetensorsWeights {
    folder: PathBuf,
    shards: Vec<Mmap>,
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
            SafetensorsWeights { folder: folder.to_owned(), shards: Vec::new(), entries: BTreeMap::new() };
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
        self.shards.push(map);
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

    fn try_tensor(&self, name: &str) -> Result<Option<Tensor>> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        let bytes = &self.shards[entry.shard][entry.bytes.clone()];
        let convert = match entry.dtype {
            Dtype::F16 => widen_f16,
            Dtype::BF16 => widen_bf16,
            _ => copy_f32,
        };
        let width = entry.dtype.bitsize() / 8;
        let mut data = vec![0.0; bytes.len() / width];
        const TASK: usize = 1 << 16;
        bytes.par_chunks(TASK * width).zip(data.par_chunks_mut(TASK)).for_each(|(bytes, out)| convert(bytes, out));
        Ok(Some(Tensor { shape: entry.shape.clone(), data }))
    }
}
