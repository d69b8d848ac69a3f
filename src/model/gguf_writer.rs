//! Writes GGUF 3 files: the tables of `gguf_header`, the other way round.

use super::gguf_header::{ARRAY, BOOL, F32, I32, STRING, U32};
use super::storage_type::StorageType;
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Tensors begin at multiples of this.
const ALIGNMENT: u64 = 32;

/// A metadata value.
pub(super) enum Meta {
    Unsigned(u32),
    Float(f32),
    Flag(bool),
    Text(String),
    Texts(Vec<String>),
    Floats(Vec<f32>),
    Integers(Vec<i32>),
    /// A value of type `kind` as another file has it.
    Raw {
        kind: u32,
        bytes: Vec<u8>,
    },
}

/// Metadata under construction, in the order of the file.
pub(super) type Metadata = Vec<(String, Meta)>;

/// A row of the tensor table.
pub(super) struct TensorRow {
    /// As the format spells it.
    pub name: String,
    /// Slowest dimension first.
    pub shape: Vec<usize>,
    pub storage: StorageType,
}

impl TensorRow {
    /// Bytes of its numbers.
    pub(super) fn bytes(&self) -> u64 {
        self.storage.bytes(self.shape.iter().product())
    }
}

/// Writes a file; `data` gives the bytes of a tensor by its number when its turn has come.
///
/// # Errors
/// I/O, and those of `data`.
pub(super) fn write(
    path: &Path,
    metadata: &[(String, Meta)],
    tensors: &[TensorRow],
    mut data: impl FnMut(usize) -> Result<Vec<u8>>,
) -> Result<()> {
    let io = |e: &std::io::Error| Error::io(path, e);
    let header = header(metadata, tensors);
    let mut file = BufWriter::new(File::create(path).map_err(|e| io(&e))?);
    file.write_all(&header).map_err(|e| io(&e))?;
    for (i, tensor) in tensors.iter().enumerate() {
        let bytes = data(i)?;
        if bytes.len() as u64 != tensor.bytes() {
            return Err(Error::internal(format!("{}: {} bytes", tensor.name, bytes.len())));
        }
        file.write_all(&bytes).map_err(|e| io(&e))?;
        file.write_all(&padding(bytes.len())).map_err(|e| io(&e))?;
    }
    let file = file.into_inner().map_err(|e| io(e.error()))?;
    file.sync_all().map_err(|e| io(&e))
}

fn padding(len: usize) -> Vec<u8> {
    vec![0; len.next_multiple_of(ALIGNMENT as usize) - len]
}

fn header(metadata: &[(String, Meta)], tensors: &[TensorRow]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        text(&mut out, key);
        put(&mut out, value);
    }
    let mut offset = 0u64;
    for tensor in tensors {
        text(&mut out, &tensor.name);
        out.extend((tensor.shape.len() as u32).to_le_bytes());
        for size in tensor.shape.iter().rev() {
            out.extend((*size as u64).to_le_bytes());
        }
        out.extend(tensor.storage.ggml_code().to_le_bytes());
        out.extend(offset.to_le_bytes());
        offset += tensor.bytes().next_multiple_of(ALIGNMENT);
    }
    let rest = padding(out.len());
    out.extend(rest);
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put(out: &mut Vec<u8>, value: &Meta) {
    let mut array = |element: u32, len: usize| {
        out.extend(ARRAY.to_le_bytes());
        out.extend(element.to_le_bytes());
        out.extend((len as u64).to_le_bytes());
    };
    match value {
        Meta::Texts(all) => {
            array(STRING, all.len());
            all.iter().for_each(|one| text(out, one));
        }
        Meta::Floats(all) => {
            array(F32, all.len());
            out.extend(all.iter().flat_map(|x| x.to_le_bytes()));
        }
        Meta::Integers(all) => {
            array(I32, all.len());
            out.extend(all.iter().flat_map(|x| x.to_le_bytes()));
        }
        Meta::Unsigned(n) => {
            out.extend(U32.to_le_bytes());
            out.extend(n.to_le_bytes());
        }
        Meta::Float(x) => {
            out.extend(F32.to_le_bytes());
            out.extend(x.to_le_bytes());
        }
        Meta::Flag(yes) => {
            out.extend(BOOL.to_le_bytes());
            out.push(u8::from(*yes));
        }
        Meta::Text(one) => {
            out.extend(STRING.to_le_bytes());
            text(out, one);
        }
        Meta::Raw { kind, bytes } => {
            out.extend(kind.to_le_bytes());
            out.extend(bytes);
        }
    }
}
