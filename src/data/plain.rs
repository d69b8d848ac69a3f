//! Plain text as rows for pre-training: paragraphs, lines or whole files.

use super::records::LONGEST;
use super::source::io_error;
use crate::error::Result;
use crate::tr;
use std::io::{BufRead, Read};

/// What of a text is one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// What stands between blank lines.
    #[default]
    Paragraph,
    /// A line.
    Line,
    /// The whole file.
    File,
}

/// Hears of a unit: the line on which it begins, and its bytes or the reason why there are none.
type OnUnit<'a> = dyn FnMut(u64, Result<&[u8], String>) -> Result<()> + 'a;

/// Hands every unit of `reader` to `on`: the line on which it begins, and its bytes or the reason why there are none.
///
/// # Errors
/// Those of reading and of `on`.
pub(super) fn for_each(mut reader: impl BufRead, unit: Unit, file: &str, on: &mut OnUnit<'_>) -> Result<()> {
    let megabytes = LONGEST >> 20;
    let too_long = || tr!("longer than {megabytes} MiB: not a row", "超过 {megabytes} MiB，不是数据行");
    let mut piece = |from: u64, bytes: &[u8]| match bytes.trim_ascii() {
        [] => Ok(()),
        _ if bytes.len() > LONGEST => on(from, Err(too_long())),
        _ => on(from, Ok(bytes.trim_ascii_end())),
    };
    let (mut text, mut line, mut from) = (Vec::new(), 0u64, 1u64);
    loop {
        let room = (LONGEST + 1).saturating_sub(text.len()).max(1);
        let before = text.len();
        let read = reader.by_ref().take(room as u64).read_until(b'\n', &mut text).map_err(|e| io_error(file, &e))?;
        if read == 0 {
            return piece(from, &text);
        }
        let end = text.last() == Some(&b'\n');
        line += u64::from(end);
        // A line without end is only counted on: one byte above the limit says that it is too long.
        text.truncate(LONGEST + 1);
        let blank = text.get(before..).unwrap_or_default().trim_ascii().is_empty();
        let done = end
            && match unit {
                Unit::File => false,
                Unit::Line => true,
                Unit::Paragraph => blank,
            };
        if done {
            piece(from, &text)?;
            text.clear();
        }
        if text.is_empty() || text.trim_ascii().is_empty() && unit != Unit::File {
            text.clear();
            from = line + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str, unit: Unit) -> Vec<String> {
        let mut out = Vec::new();
        for_each(text.as_bytes(), unit, "f", &mut |line, bytes| {
            out.push(format!("{line}:{}", String::from_utf8_lossy(bytes.unwrap())));
            Ok(())
        })
        .unwrap();
        out
    }

    #[test]
    fn paragraphs_lines_and_files() {
        let text = "\n a\nb\r\n\r\n \nc\n\n";
        assert_eq!(units(text, Unit::Paragraph), ["2: a\nb", "6:c"]);
        assert_eq!(units(text, Unit::Line), ["2: a", "3:b", "6:c"]);
        assert_eq!(units(text, Unit::File), ["1:\n a\nb\r\n\r\n \nc"]);
        assert_eq!(units("", Unit::File), Vec::<String>::new());
        assert_eq!(units("x", Unit::Paragraph), ["1:x"]);
    }
}
