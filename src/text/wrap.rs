//! Where a text's lines are broken.

use super::{prefix, width};
use std::ops::Range;
use textwrap::WordSeparator;
use unicode_segmentation::UnicodeSegmentation;

/// Lines of at most `columns` columns, broken where Unicode allows it (UAX #14: between ideographs,
/// not before a full stop) and within a word only when it is longer than a line. Line ends in `text`
/// are kept. A grapheme wider than `columns` gets a line of its own.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    lines(text, columns).into_iter().map(|line| text.get(line).unwrap_or_default().to_owned()).collect()
}

/// The bytes of each line of `text`.
fn lines(text: &str, columns: usize) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut at = 0;
    for line in text.split('\n') {
        break_line(line, columns.max(1), at, &mut lines);
        at += line.len() + 1;
    }
    lines
}

/// Fills one line after another with as many words as fit. Where a line begins is all that the next ones depend on.
fn break_line(text: &str, columns: usize, offset: usize, lines: &mut Vec<Range<usize>>) {
    // The line under way: its beginning, the end of its last word, its columns with the blanks after that.
    let (mut start, mut end, mut used) = (0, 0, 0);
    let mut at = 0;
    // textwrap takes back the last place to break at, thinking that it is the text's end. After a hyphen it is another
    // one: a blank more makes it right, and is no part of any line.
    let padded = text.ends_with(['-', '\u{ad}']).then(|| format!("{text} "));
    let text = padded.as_deref().unwrap_or(text);
    for word in WordSeparator::UnicodeBreakProperties.find_words(text) {
        let mut rest = word.word;
        let mut wide = width(rest);
        if at > start && used + wide > columns {
            if end > start {
                lines.push(offset + start..offset + end);
            }
            (start, used) = (at, 0);
        }
        while wide > columns {
            let (mut cut, fitting) = prefix(rest, columns);
            if cut == 0 {
                cut = rest.graphemes(true).next().map_or(rest.len(), str::len);
            }
            if cut >= rest.len() {
                // What is left is measured by now: to measure it each time would take a long word's length squared.
                wide = fitting;
                break;
            }
            lines.push(offset + start..offset + at + cut);
            at += cut;
            rest = rest.get(cut..).unwrap_or_default();
            (start, used) = (at, 0);
        }
        end = at + rest.len();
        used += wide + word.whitespace.len();
        at = end + word.whitespace.len();
    }
    lines.push(offset + start..offset + end.max(start));
}

/// Lines at the end that are broken anew when something is added: the last word may grow with it, and what comes after a
/// place decides whether a line may be broken there.
const UNSURE: usize = 2;

/// The lines of a text that grows at its end: what is added costs what it is long, not what the whole is.
#[derive(Clone, Debug, Default)]
pub struct GrowingLines {
    columns: usize,
    lines: Vec<Range<usize>>,
    /// Bytes of the text that the lines are of.
    known: usize,
}

impl GrowingLines {
    /// Takes note that the text is now `text`, which begins with what it was before, to be shown in `columns` columns.
    pub fn fit(&mut self, text: &str, columns: usize) {
        if self.columns != columns || text.len() < self.known {
            (self.columns, self.known) = (columns, 0);
            self.lines.clear();
        } else if text.len() == self.known && !self.lines.is_empty() {
            return;
        }
        let kept = self.lines.len().saturating_sub(UNSURE);
        let from = self.lines.get(kept).map_or(0, |line| line.start);
        self.lines.truncate(kept);
        let added = lines(text.get(from..).unwrap_or_default(), columns);
        self.lines.extend(added.into_iter().map(|line| line.start + from..line.end + from));
        self.known = text.len();
    }

    /// The bytes of each line, without the blanks at its end.
    pub fn lines(&self) -> &[Range<usize>] {
        &self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_wraps_without_blanks_and_not_before_a_full_stop() {
        let lines = wrap("今天股市上涨。明天不知道。", 12);
        assert_eq!(lines, ["今天股市上", "涨。明天不知", "道。"]);
        assert_eq!(wrap("a long word", 6), ["a long", "word"]);
        assert_eq!(wrap("one\n\ntwo", 10), ["one", "", "two"]);
        assert_eq!(wrap("", 10), [""]);
        assert_eq!(wrap("one two-", 7), ["one", "two-"], "a hyphen at the end");
        assert_eq!(wrap("  in  by two   \n", 7), ["  in", "by two", ""], "blanks stay within a line");
    }

    #[test]
    fn nothing_is_lost_or_too_wide_when_wrapping() {
        let text = "无空格的很长的一段中文文本https://example.org/a/very/long/path?x=1👨‍👩‍👧尾";
        for columns in 2..40 {
            let lines = wrap(text, columns);
            assert!(lines.iter().all(|l| width(l) <= columns), "{columns}: {lines:?}");
            assert_eq!(lines.concat(), text, "{columns}");
        }
        assert_eq!(wrap("宝", 1), ["宝"]);
        assert_eq!(wrap("宝盆", 0), ["宝", "盆"]);
    }

    #[test]
    fn a_text_that_grows_is_broken_as_it_is_as_a_whole() {
        let text = "市盈率（P/E）是股价除以每股收益：40 / 2 = 20 倍。It says, \"how many years\" of earnings one pays;  \
            with blanks.\n\n- 第一点：a-very-long-word-without-an-end-https://example.org/报告/2026/q1.pdf?x=1,000.50\n\
            \t- e\u{301}👨‍👩‍👧🇨🇳🇺🇸 尾\n\n";
        let text = text.replace('\t', "    ").repeat(3);
        for columns in [1, 2, 3, 7, 20, 38, 79] {
            let whole = lines(&text, columns);
            for step in [1, 2, 3, 5, 17] {
                let mut growing = GrowingLines::default();
                let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).step_by(step).collect();
                for end in ends.into_iter().chain([text.len()]) {
                    growing.fit(&text[..end], columns);
                    assert_eq!(growing.lines(), lines(&text[..end], columns), "{columns} {step} {:?}", &text[..end]);
                }
                assert_eq!(growing.lines(), whole);
            }
        }
        let mut growing = GrowingLines::default();
        growing.fit(&text, 20);
        growing.fit(&text, 11);
        assert_eq!(growing.lines(), lines(&text, 11), "another width");
        growing.fit("short", 11);
        assert_eq!(growing.lines(), lines("short", 11), "another text");
    }
}
