//! The tables at the beginning of a GGUF file.
//!
//! Layout (GGUF 2 and 3, little endian): magic, version, tensor count, metadata count, metadata
//! (`key, type, value`), tensor table (`name, dimensions, type, offset`), padding, tensor data.
//! Nothing in the file is believed: every length is checked against the file before it is used, and
//! nothing is allocated from a number that the file states.

use candle_core::quantized::GgmlDType;
use std::collections::HashMap;
use std::ops::Range;

/// A metadata value. Arrays stay in the file; their accessors decode them when asked.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(Range<usize>),
    Array { element: u32, len: usize, bytes: Range<usize> },
}

/// One row of the tensor table.
#[derive(Clone, Debug)]
pub struct TensorInfo {
    /// How the elements are stored.
    pub dtype: GgmlDType,
    /// Sizes, slowest dimension first (as Hugging Face orders them; the file has them reversed).
    pub shape: Vec<usize>,
    /// Where the elements lie in the file.
    pub(super) bytes: Range<usize>,
}

const U8: u32 = 0;
const I8: u32 = 1;
const U16: u32 = 2;
const I16: u32 = 3;
pub(super) const U32: u32 = 4;
pub(super) const I32: u32 = 5;
pub(super) const F32: u32 = 6;
pub(super) const BOOL: u32 = 7;
pub(super) const STRING: u32 = 8;
pub(super) const ARRAY: u32 = 9;
const U64: u32 = 10;
const I64: u32 = 11;
const F64: u32 = 12;

/// Bytes of one value of a type with a fixed size.
fn fixed_size(kind: u32) -> Option<usize> {
    match kind {
        U8 | I8 | BOOL => Some(1),
        U16 | I16 => Some(2),
        U32 | I32 | F32 => Some(4),
        U64 | I64 | F64 => Some(8),
        _ => None,
    }
}

fn dtype(code: u32) -> Option<GgmlDType> {
    Some(match code {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        _ => return None,
    })
}

/// What reading a header can find.
pub(super) enum Fault {
    /// The file ends `missing` bytes (at least) too early.
    Short { missing: u64 },
    /// The file contradicts itself.
    Bad(String),
    /// A fine file that this program cannot read.
    Unsupported(String),
}

pub(super) type Parsed<T> = std::result::Result<T, Fault>;

fn bad<T>(what: impl Into<String>) -> Parsed<T> {
    Err(Fault::Bad(what.into()))
}

/// Walks over the header's bytes.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn skip(&mut self, n: u64) -> Parsed<Range<usize>> {
        let left = self.left() as u64;
        if n > left {
            return Err(Fault::Short { missing: n - left });
        }
        let start = self.at;
        self.at += n as usize;
        Ok(start..self.at)
    }

    fn take<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let range = self.skip(N as u64)?;
        let mut out = [0; N];
        out.copy_from_slice(&self.bytes[range]);
        Ok(out)
    }

    fn u32(&mut self) -> Parsed<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Parsed<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Parsed<Range<usize>> {
        let len = self.u64()?;
        self.skip(len)
    }

    pub(super) fn name(&mut self) -> Parsed<&'a str> {
        let range = self.text()?;
        std::str::from_utf8(&self.bytes[range]).or_else(|_| bad("a name is not UTF-8"))
    }

    /// A count of things that take at least `each` bytes: it cannot exceed what is left.
    fn count(&mut self, each: u64) -> Parsed<usize> {
        let n = self.u64()?;
        let left = self.left() as u64;
        match n.checked_mul(each) {
            Some(need) if need <= left => Ok(n as usize),
            Some(need) => Err(Fault::Short { missing: need - left }),
            None => bad(format!("a count of {n} is impossible")),
        }
    }

    fn value(&mut self, kind: u32) -> Parsed<Value> {
        Ok(match kind {
            U8 => Value::Unsigned(u64::from(u8::from_le_bytes(self.take()?))),
            I8 => Value::Signed(i64::from(i8::from_le_bytes(self.take()?))),
            U16 => Value::Unsigned(u64::from(u16::from_le_bytes(self.take()?))),
            I16 => Value::Signed(i64::from(i16::from_le_bytes(self.take()?))),
            U32 => Value::Unsigned(u64::from(self.u32()?)),
            I32 => Value::Signed(i64::from(i32::from_le_bytes(self.take()?))),
            F32 => Value::Float(f64::from(f32::from_le_bytes(self.take()?))),
            BOOL => Value::Bool(u8::from_le_bytes(self.take()?) != 0),
            STRING => Value::Text(self.text()?),
            U64 => Value::Unsigned(self.u64()?),
            I64 => Value::Signed(i64::from_le_bytes(self.take()?)),
            F64 => Value::Float(f64::from_le_bytes(self.take()?)),
            ARRAY => {
                let element = self.u32()?;
                let start;
                let len = match fixed_size(element) {
                    Some(size) => {
                        let len = self.count(size as u64)?;
                        start = self.at;
                        self.skip(len as u64 * size as u64)?;
                        len
                    }
                    None if element == STRING => {
                        let len = self.count(8)?;
                        start = self.at;
                        for _ in 0..len {
                            self.text()?;
                        }
                        len
                    }
                    // The format allows arrays of arrays; no model file has one.
                    None => return bad(format!("an array of elements of type {element}")),
                };
                Value::Array { element, len, bytes: start..self.at }
            }
            other => return bad(format!("a value of the unknown type {other}")),
        })
    }
}

/// The metadata as it lies in the file, in its order: key, type, and where the value's bytes are.
pub(super) fn raw_metadata(bytes: &[u8]) -> Parsed<Vec<(String, u32, Range<usize>)>> {
    let mut c = Cursor { bytes, at: 4 + 4 + 8 };
    let count = c.count(8 + 4 + 1)?;
    let mut all = Vec::new();
    for _ in 0..count {
        let key = c.name()?.to_owned();
        let kind = c.u32()?;
        let start = c.at;
        c.value(kind)?;
        all.push((key, kind, start..c.at));
    }
    Ok(all)
}

pub(super) type Tables = (HashMap<String, Value>, HashMap<String, TensorInfo>);

pub(super) fn parse(bytes: &[u8]) -> Parsed<Tables> {
    let mut c = Cursor { bytes, at: 0 };
    if &c.take::<4>()? != b"GGUF" {
        return bad("it does not begin with GGUF");
    }
    match c.u32()? {
        2 | 3 => {}
        1 => return Err(Fault::Unsupported("GGUF version 1".into())),
        v if v.swap_bytes() < 16 => return Err(Fault::Unsupported("big-endian GGUF".into())),
        v => return bad(format!("version {v} is unknown")),
    }
    // Table rows have a least size, which bounds their counts: name length, dimension count, type, offset.
    let tensor_count = c.count(8 + 4 + 4 + 8)?;
    let metadata_count = c.count(8 + 4 + 1)?;

    let mut metadata = HashMap::new();
    for _ in 0..metadata_count {
        let key = c.name()?;
        let kind = c.u32()?;
        let value = c.value(kind)?;
        if metadata.insert(key.to_owned(), value).is_some() {
            return bad(format!("the key {} occurs twice", key.escape_default()));
        }
    }
    let alignment = match metadata.get("general.alignment") {
        None => 32,
        Some(Value::Unsigned(n)) if n.is_power_of_two() && (8..=1 << 20).contains(n) => *n,
        Some(other) => return bad(format!("general.alignment is {other:?}")),
    };

    let mut rows = Vec::new();
    for _ in 0..tensor_count {
        let name = c.name()?.to_owned();
        let dimensions = c.u32()?;
        if dimensions > 4 {
            return bad(format!("the tensor {} has {dimensions} dimensions", name.escape_default()));
        }
        let mut shape = Vec::with_capacity(dimensions as usize);
        for _ in 0..dimensions {
            shape.push(c.u64()?);
        }
        shape.reverse();
        rows.push((name, shape, c.u32()?, c.u64()?));
    }
    let data = (c.at as u64).next_multiple_of(alignment);

    let mut tensors = HashMap::new();
    let mut missing = 0;
    for (name, shape, code, offset) in rows {
        let shown = name.escape_default();
        let Some(dtype) = dtype(code) else {
            return Err(Fault::Unsupported(format!("the storage type {code} of the tensor {shown}")));
        };
        let block = dtype.block_size() as u64;
        let elements = shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d));
        let row = shape.last().copied().unwrap_or(1);
        let size = elements
            .filter(|_| row.is_multiple_of(block))
            .and_then(|n| (n / block).checked_mul(dtype.type_size() as u64));
        let range = size.and_then(|size| {
            let start = data.checked_add(offset)?;
            Some((start, start.checked_add(size)?))
        });
        let Some((start, end)) = range else {
            return bad(format!("the tensor {shown} has the impossible shape {shape:?}"));
        };
        if !offset.is_multiple_of(alignment) {
            return bad(format!("the tensor {shown} begins at {offset}, which is not aligned"));
        }
        missing = missing.max(end.saturating_sub(bytes.len() as u64));
        let info = TensorInfo {
            dtype,
            shape: shape.iter().map(|&d| d as usize).collect(),
            bytes: start as usize..end as usize,
        };
        if tensors.insert(name.clone(), info).is_some() {
            return bad(format!("the tensor {shown} occurs twice"));
        }
    }
    if missing > 0 { Err(Fault::Short { missing }) } else { Ok((metadata, tensors)) }
}
