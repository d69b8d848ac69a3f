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
    let mut piece = |from: u64, bytes: &[u8]| {
        if is_blank(bytes) {
            Ok(())
        } else if bytes.len() > LONGEST {
            on(from, Err(too_long()))
        } else {
            on(from, Ok(bytes.trim_ascii_end()))
        }
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
        let blank = is_blank(text.get(before..).unwrap_or_default());
        let done = end
            && match unit {
                Unit::File => false,
                Unit::Line => true,
                Unit::Paragraph => blank,
            };
        if done {
            // The blank line that ends a paragraph is no part of it.
            let whole = if blank { before.min(text.len()) } else { text.len() };
            piece(from, text.get(..whole).unwrap_or_default())?;
            text.clear();
        }
        if text.is_empty() || is_blank(&text) && unit != Unit::File {
            text.clear();
            from = line + 1;
        }
    }
}

/// Whether there is nothing but white space, an ideographic one (U+3000) too. It looks no further than the first other
/// character, since it is asked again with each line of a long text.
fn is_blank(bytes: &[u8]) -> bool {
    let mut rest = bytes.trim_ascii_start();
    while let Some(head) = rest.get(..rest.len().min(4)).filter(|head| !head.is_empty()) {
        let whole = std::str::from_utf8(head).map_or_else(|e| e.valid_up_to(), str::len);
        let first = head.get(..whole).and_then(|head| std::str::from_utf8(head).ok()?.chars().next());
        match first.filter(|c| c.is_whitespace()) {
            Some(c) => rest = rest.get(c.len_utf8()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
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
        // White space of other scripts makes a line blank too.
        let text = "一\n\u{3000}\u{3000}\r\n\u{b}二\n\u{a0}\u{2028}\n";
        assert_eq!(units(text, Unit::Paragraph), ["1:一", "3:\u{b}二"]);
        assert_eq!(units(text, Unit::Line).len(), 2);
        assert_eq!(units("\u{3000}\n", Unit::File), Vec::<String>::new());
    }
}
