//! Parquet files: their rows as JSON objects, and tables of texts and of token ids written.

use crate::error::{Error, Kind, Result};
use crate::tr;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field as Cell, Row as ParquetRow};
use serde_json::{Map, Number, Value};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Rows of a Parquet file. It is read from its end, so a stream is laid down in a temporary file first.
///
/// # Errors
/// Those of `on` and of the disk; `InvalidInput` when it is no Parquet file.
pub(super) fn for_each(
    mut reader: impl Read,
    file: &str,
    on: &mut dyn FnMut(u64, Result<Value, String>) -> Result<()>,
) -> Result<()> {
    let spool_error = |e: io::Error| Error::io(&std::env::temp_dir(), &e);
    let mut spool = tempfile::tempfile().map_err(spool_error)?;
    io::copy(&mut reader, &mut spool).map_err(spool_error)?;
    spool.rewind().map_err(spool_error)?;
    let damaged = |what: &str| {
        Error::new(
            Kind::InvalidInput,
            tr!("{file} is not a whole Parquet file: {what}", "{file} 不是完整的 Parquet 文件：{what}"),
        )
        .hint(tr!("was it cut off? download or write it again", "是否被截断？请重新下载或生成"))
    };
    // The decoder trusts lengths and offsets of the file and panics over some that lie.
    let opened = guarded(|| SerializedFileReader::<File>::new(spool)).map_err(|what| damaged(&what))?;
    let mut rows = guarded(|| opened.get_row_iter(None)).map_err(|what| damaged(&what))?;
    let mut number = 0;
    loop {
        number += 1;
        match guarded(|| rows.next().transpose()) {
            Ok(None) => return Ok(()),
            Ok(Some(row)) => on(number, guarded(|| object(&row)))?,
            // Columns are out of step after a fault, so what follows cannot be trusted.
            Err(what) => {
                let what = what.escape_default().to_string();
                return on(
                    number,
                    Err(tr!(
                        "the Parquet data is damaged here ({what}); nothing after this could be read",
                        "Parquet 数据在此处损坏（{what}），其后的内容无法读取"
                    )),
                );
            }
        }
    }
}

/// `work`, with a panic as an error like any other.
fn guarded<T, E: std::fmt::Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err(tr!("the decoder failed", "解码失败")),
    }
}

fn object(row: &ParquetRow) -> Result<Value, String> {
    let members = row.get_column_iter().map(|(name, cell)| match value(cell) {
        Some(value) => Ok((name.clone(), value)),
        None => Err(tr!("`{name}` holds bytes that are not UTF-8", "`{name}` 含有不是 UTF-8 的字节")),
    });
    members.collect::<Result<Map<String, Value>, String>>().map(Value::Object)
}

/// `None` for bytes that are no text.
fn value(cell: &Cell) -> Option<Value> {
    let float = |n: f64| Number::from_f64(n).map_or(Value::Null, Value::Number);
    Some(match cell {
        Cell::Null => Value::Null,
        Cell::Bool(v) => Value::Bool(*v),
        Cell::Byte(v) => Value::from(*v),
        Cell::Short(v) => Value::from(*v),
        Cell::Int(v) => Value::from(*v),
        Cell::Long(v) => Value::from(*v),
        Cell::UByte(v) => Value::from(*v),
        Cell::UShort(v) => Value::from(*v),
        Cell::UInt(v) => Value::from(*v),
        Cell::ULong(v) => Value::from(*v),
        Cell::Float(v) => float(f64::from(*v)),
        Cell::Double(v) => float(*v),
        Cell::Str(v) => Value::String(v.clone()),
        Cell::Bytes(v) => Value::String(std::str::from_utf8(v.data()).ok()?.to_owned()),
        Cell::Group(row) => object(row).ok()?,
        Cell::ListInternal(list) => Value::Array(list.elements().iter().map(value).collect::<Option<_>>()?),
        // Dates, decimals, maps: their printed form.
        other => Value::String(other.to_string()),
    })
}
