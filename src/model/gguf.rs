//! A GGUF file: its metadata and tensors, read over a memory map.

use super::gguf_header::{Cursor, F32, Fault, I32, STRING, TensorInfo, U32, Value, parse, raw_metadata};
use crate::error::{Error, Kind, Result};
use crate::tr;
use candle_core::quantized::GgmlDType;
use memmap2::Mmap;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// An open GGUF file whose tables have been checked.
pub struct Gguf {
    path: PathBuf,
    map: Mmap,
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, TensorInfo>,
}

impl Gguf {
    /// Opens the file at `path` and checks its tables. Tensor data is not read.
    ///
    /// # Errors
    /// `Corrupt` when the file is cut short (with the number of missing bytes) or contradicts itself,
    /// `Unsupported` for another version, byte order, storage type or a file split into parts.
    pub fn open(path: &Path) -> Result<Gguf> {
        let file = std::fs::File::open(path).map_err(|e| Error::io(path, &e))?;
        // SAFETY: the map is only read. If another process cuts the file while it is mapped, the
        // process gets SIGBUS; this program replaces model files by rename only, which keeps the
        // mapped one alive.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, &e))?;
        let (metadata, tensors) = parse(&map).map_err(|fault| fault_error(path, &map, fault))?;
        let gguf = Gguf { path: path.to_owned(), map, metadata, tensors };
        if gguf.unsigned_opt("split.count")?.is_some_and(|n| n > 1) {
            return Err(gguf.unsupported(&tr!("a model split into several files", "拆分成多个文件的模型")).hint(tr!(
                "join the parts first (llama-gguf-split --merge)",
                "请先合并各分片（llama-gguf-split --merge）"
            )));
        }
        Ok(gguf)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, as the file spells them, in no order.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether the file has the tensor `name`.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Type and shape of the tensor `name`, and its bytes as stored.
    pub fn tensor(&self, name: &str) -> Option<(&TensorInfo, &[u8])> {
        let info = self.tensors.get(name)?;
        Some((info, self.map.get(info.bytes.clone())?))
    }

    /// A stretch of the file that [`Gguf::tensor`] named; empty when it is not in the file.
    pub(super) fn bytes(&self, place: std::ops::Range<usize>) -> &[u8] {
        self.map.get(place).unwrap_or_default()
    }

    /// The f32 tensor `name` with one dimension of at most 4096 (such as rotary divisors).
    pub(super) fn small_f32_tensor(&self, name: &str) -> Result<Option<Vec<f32>>> {
        let Some((info, bytes)) = self.tensor(name) else { return Ok(None) };
        if info.dtype != GgmlDType::F32 || info.shape.len() != 1 || info.shape[0] > 4096 {
            return Err(self.corrupt(&format!("{name}: {:?} {:?}", info.dtype, info.shape)));
        }
        Ok(Some(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()))
    }

    /// All metadata as the file has it, in its order: key, type, bytes.
    pub(super) fn raw_metadata(&self) -> Result<Vec<(String, u32, Vec<u8>)>> {
        let all = raw_metadata(&self.map).map_err(|fault| fault_error(&self.path, &self.map, fault))?;
        Ok(all.into_iter().map(|(key, kind, place)| (key, kind, self.bytes(place).to_vec())).collect())
    }

    /// Whether the file has the metadata `key`.
    pub fn has(&self, key: &str) -> bool {
        self.metadata.contains_key(key)
    }

    /// The text at `key`, if there is one.
    ///
    /// # Errors
    /// `Corrupt` when the value is no text. The other accessors likewise.
    pub fn text_opt(&self, key: &str) -> Result<Option<&str>> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Text(range)) => {
                std::str::from_utf8(&self.map[range.clone()]).map(Some).map_err(|_| self.wrong_type(key))
            }
            Some(_) => Err(self.wrong_type(key)),
        }
    }

    /// The text at `key`; `Corrupt` when there is none.
    pub fn text(&self, key: &str) -> Result<&str> {
        self.text_opt(key)?.ok_or_else(|| self.missing(key))
    }

    /// The whole number at `key`, if there is one.
    pub fn unsigned_opt(&self, key: &str) -> Result<Option<usize>> {
        let n = match self.metadata.get(key) {
            None => return Ok(None),
            Some(Value::Unsigned(n)) => usize::try_from(*n).ok(),
            Some(Value::Signed(n)) => usize::try_from(*n).ok(),
            Some(_) => None,
        };
        n.map(Some).ok_or_else(|| self.wrong_type(key))
    }

    /// The number at `key`, if there is one.
    pub fn float_opt(&self, key: &str) -> Result<Option<f64>> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Float(x)) => Ok(Some(*x)),
            Some(_) => Err(self.wrong_type(key)),
        }
    }

    /// The flag at `key`, if there is one.
    pub fn flag_opt(&self, key: &str) -> Result<Option<bool>> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Bool(b)) => Ok(Some(*b)),
            Some(_) => Err(self.wrong_type(key)),
        }
    }

    /// Number of elements of the array at `key`; `Corrupt` when there is none.
    pub fn array_len(&self, key: &str) -> Result<usize> {
        match self.metadata.get(key) {
            Some(Value::Array { len, .. }) => Ok(*len),
            Some(_) => Err(self.wrong_type(key)),
            None => Err(self.missing(key)),
        }
    }

    /// The array of texts at `key`; `Corrupt` when there is none.
    pub fn texts(&self, key: &str) -> Result<Vec<&str>> {
        match self.metadata.get(key) {
            Some(Value::Array { element: STRING, len, bytes }) => {
                let mut c = Cursor { bytes: &self.map[..bytes.end], at: bytes.start };
                (0..*len).map(|_| c.name().map_err(|_| self.wrong_type(key))).collect()
            }
            Some(_) => Err(self.wrong_type(key)),
            None => Err(self.missing(key)),
        }
    }

    /// The array of f32 at `key`; `Corrupt` when there is none.
    pub fn floats(&self, key: &str) -> Result<Vec<f32>> {
        self.words(key, &[F32], f32::from_le_bytes)
    }

    /// The array of 32-bit whole numbers at `key`; `Corrupt` when there is none.
    pub fn integers(&self, key: &str) -> Result<Vec<i32>> {
        self.words(key, &[I32, U32], i32::from_le_bytes)
    }

    fn words<T>(&self, key: &str, kinds: &[u32], read: fn([u8; 4]) -> T) -> Result<Vec<T>> {
        match self.metadata.get(key) {
            Some(Value::Array { element, bytes, .. }) if kinds.contains(element) => {
                Ok(self.map[bytes.clone()].as_chunks::<4>().0.iter().map(|b| read(*b)).collect())
            }
            Some(_) => Err(self.wrong_type(key)),
            None => Err(self.missing(key)),
        }
    }

    fn wrong_type(&self, key: &str) -> Error {
        self.corrupt(&tr!("the metadata {key} has the wrong type", "元数据 {key} 的类型不对"))
    }

    fn missing(&self, key: &str) -> Error {
        self.corrupt(&tr!("the metadata {key} is missing", "缺少元数据 {key}"))
    }

    /// This file is damaged: `what` says how.
    pub(super) fn corrupt(&self, what: &str) -> Error {
        corrupt(&self.path, what)
    }

    /// This file is fine, but `what` in it cannot be used.
    pub(super) fn unsupported(&self, what: &str) -> Error {
        unsupported(&self.path, what)
    }
}

fn unsupported(path: &Path, what: &str) -> Error {
    let place = path.display();
    Error::new(Kind::Unsupported, tr!("{place}: {what}: not supported", "{place}：不支持{what}")).hint(tr!(
        "supported: GGUF 2 and 3 with F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K",
        "支持 GGUF 2 与 3，存储类型 F32、F16、BF16、Q4_0、Q4_1、Q5_0、Q5_1、Q8_0 以及 Q2_K 至 Q6_K"
    ))
}

fn corrupt(path: &Path, what: &str) -> Error {
    let place = path.display();
    Error::new(Kind::Corrupt, tr!("{place} is damaged: {what}", "{place} 已损坏：{what}")).hint(pull_again())
}

/// What to do about a damaged model file.
pub(super) fn pull_again() -> String {
    tr!(
        "if it was pulled, do so again: linly-bench models pull NAME; otherwise name another file",
        "若是下载的模型，请重新下载：linly-bench models pull NAME；否则请指定其他文件"
    )
}

fn fault_error(path: &Path, bytes: &[u8], fault: Fault) -> Error {
    match fault {
        Fault::Short { missing } => {
            let len = bytes.len();
            corrupt(
                path,
                &tr!(
                    "it ends after {len} bytes, at least {missing} bytes are missing",
                    "文件只有 {len} 字节，至少还缺 {missing} 字节"
                ),
            )
        }
        Fault::Bad(_) if bytes.starts_with(b"version https://git-lfs") => {
            corrupt(path, &tr!("it is a Git LFS pointer, not the model itself", "它是 Git LFS 指针文件，不是模型本身"))
        }
        Fault::Bad(what) => corrupt(path, &what),
        Fault::Unsupported(what) => unsupported(path, &what),
    }
}
