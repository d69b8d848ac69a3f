//! What a job has printed.

use super::{Workbench, file};
use crate::error::{Error, Result};
use serde::Serialize;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// A stretch of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogChunk {
    /// The text; may hold escape sequences. What is no UTF-8 is replaced.
    pub text: String,
    /// Byte at which the stretch begins.
    pub from: u64,
    /// Byte to go on from. No character is cut in two.
    pub next: u64,
    /// Bytes in the log now.
    pub size: u64,
}

/// At most `max_bytes` of a job's log from the byte `from` on; cheap to poll with the last answer's `next`.
///
/// # Errors
/// `NotFound` for an unknown job or a log that is gone.
pub fn log(bench: &Workbench, id: &str, from: u64, max_bytes: usize) -> Result<LogChunk> {
    let path = file(bench, &bench.store.job(id)?.id, "log");
    let fail = |e: std::io::Error| Error::io(&path, &e);
    let mut file = File::open(&path).map_err(fail)?;
    let size = file.metadata().map_err(fail)?.len();
    let from = from.min(size);
    file.seek(SeekFrom::Start(from)).map_err(fail)?;
    let mut bytes = Vec::new();
    // A character has up to four bytes: with fewer a poll could never go on.
    file.take(max_bytes.max(4) as u64).read_to_end(&mut bytes).map_err(fail)?;
    bytes.truncate(whole_characters(&bytes));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(LogChunk { text, from, next: from + bytes.len() as u64, size })
}

/// Bytes of `bytes` without a character whose end is not there yet.
fn whole_characters(bytes: &[u8]) -> usize {
    let start = bytes.len().saturating_sub(3);
    for at in (start..bytes.len()).rev() {
        let needed = match bytes[at] {
            0xc0..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0..0xf8 => 4,
            0x80..0xc0 => continue,
            _ => 1,
        };
        return if at + needed > bytes.len() { at } else { bytes.len() };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::whole_characters;

    #[test]
    fn no_character_is_cut_in_two() {
        let text = "a聚é𝄞".as_bytes();
        for end in 0..=text.len() {
            let whole = whole_characters(&text[..end]);
            assert!(std::str::from_utf8(&text[..whole]).is_ok() && end - whole < 4, "{end}");
        }
        assert_eq!(whole_characters(b"\xff\xfe"), 2, "what is no UTF-8 must not hold a poll up");
    }
}
