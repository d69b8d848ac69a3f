//! Text on a terminal: how wide it is, how it is cut, padded and wrapped, and how text that came from
//! elsewhere is made harmless. A Chinese character takes two columns, so columns are never `len()`
//! or `chars().count()`; cuts fall between grapheme clusters, so an emoji or an accent stays whole.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Stands for what [`truncate`] left out. One column everywhere: U+2026 is drawn two columns wide by
/// some East Asian terminals and would shift the rest of the line.
pub const ELLIPSIS: &str = "⋯";

/// Columns that `text` takes on a terminal. Expects cleaned text (see [`clean`]).
pub fn width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// `text` in at most `columns` columns; [`ELLIPSIS`] marks a cut.
pub fn truncate(text: &str, columns: usize) -> String {
    // Long enough for any text that fits, so that a megabyte is not measured to show ten columns.
    let (whole, used) = prefix(text, columns);
    if whole == text.len() {
        return text.to_owned();
    }
    if columns == 0 {
        return String::new();
    }
    let (end, _) = if used < columns { (whole, used) } else { prefix(text, columns - 1) };
    let head = text.get(..end).unwrap_or_default();
    format!("{head}{ELLIPSIS}")
}

/// `text` in exactly `columns` columns: cut like [`truncate`], or filled with blanks on the right.
pub fn pad(text: &str, columns: usize) -> String {
    let mut out = truncate(text, columns);
    let missing = columns.saturating_sub(width(&out));
    out.extend(std::iter::repeat_n(' ', missing));
    out
}

/// `text` in exactly `columns` columns, at the right (numbers).
pub fn pad_left(text: &str, columns: usize) -> String {
    let cut = truncate(text, columns);
    let missing = columns.saturating_sub(width(&cut));
    format!("{}{cut}", " ".repeat(missing))
}

/// Lines of at most `columns` columns, broken where Unicode allows it (UAX #14: between ideographs,
/// not before a full stop) and within a word only when it is longer than a line. Line ends in `text`
/// are kept. A grapheme wider than `columns` gets a line of its own.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let options = textwrap::Options::new(columns)
        .word_separator(textwrap::WordSeparator::UnicodeBreakProperties)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
        // textwrap would break long words between `char`s, inside a grapheme.
        .break_words(false);
    let mut lines = Vec::new();
    for line in textwrap::wrap(text, options) {
        let mut rest: &str = &line;
        loop {
            let (mut end, _) = prefix(rest, columns);
            if end == 0 {
                end = rest.graphemes(true).next().map_or(0, str::len);
            }
            let (head, tail) = rest.split_at(end);
            lines.push(head.to_owned());
            if tail.is_empty() {
                break;
            }
            rest = tail;
        }
    }
    lines
}

/// `text` without anything that could move the cursor, colour the screen, ring a bell or reorder a
/// line: escape sequences, control characters and bidirectional overrides are removed, a tab becomes
/// four blanks, every line end becomes `\n`.
pub fn clean(text: &str) -> String {
    if !text.contains(|c: char| (c.is_control() && c != '\n') || is_invisible(c)) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut chars),
            c if c.is_control() || is_invisible(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// [`clean`] for a text that comes in pieces: a sequence that is cut by the border of two pieces is still one.
#[derive(Clone, Debug, Default)]
pub struct PieceCleaner {
    /// The raw text since the last line end, which ends every sequence.
    line: String,
    /// Bytes of the cleaned line that have been given out.
    shown: usize,
}

impl PieceCleaner {
    /// Takes the next piece; gives what can be shown of it.
    pub fn push(&mut self, piece: &str) -> String {
        self.line.push_str(piece);
        let clean = clean(&self.line);
        let out = clean.get(self.shown..).unwrap_or_default().to_owned();
        self.shown = clean.len();
        if let Some(end) = self.line.rfind('\n') {
            self.line.drain(..=end);
            self.shown = self::clean(&self.line).len();
        }
        out
    }
}

/// [`clean`]ed text on a single line: each run of white space becomes one blank.
pub fn one_line(text: &str) -> String {
    let text = clean(text);
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// The longest beginning of `text` that fits: its bytes and its columns.
fn prefix(text: &str, columns: usize) -> (usize, usize) {
    let mut used = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        let w = UnicodeWidthStr::width(grapheme);
        if used + w > columns {
            return (at, used);
        }
        used += w;
    }
    (text.len(), used)
}

/// The name that `wanted` is most likely a slip for: at most a third of its characters are other, missing, too many or
/// swapped with their neighbour, whatever the case.
pub fn nearest<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let lower = |text: &str| text.trim().to_lowercase().chars().take(64).collect::<Vec<char>>();
    let wanted = lower(wanted);
    let distances = names.into_iter().map(|name| (slips(&wanted, &lower(name)), name));
    let most = wanted.len().div_ceil(3).min(wanted.len().saturating_sub(1));
    distances.min_by_key(|(distance, _)| *distance).filter(|(distance, _)| *distance <= most).map(|(_, name)| name)
}

/// How many slips of the hand lie between two words: Damerau and Levenshtein's distance, where no stretch is changed twice.
fn slips(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            let ways = [
                row.get(j).map(|d| d + usize::from(x != y)),
                row.get(j + 1).map(|d| d + 1),
                next.get(j).map(|d| d + 1),
                before.get(j.wrapping_sub(1)).filter(|_| swapped).map(|d| d + 1),
            ];
            next.push(ways.into_iter().flatten().min().unwrap_or_default());
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

/// Reorders a line or hides text, and shows nothing itself.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// What follows an ESC (ECMA-48): a control sequence, a control string, or one final character.
fn skip_escape(chars: &mut Chars<'_>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_csi(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_string(chars);
        }
        Some(' '..='/') => {
            while chars.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            chars.next_if(|c| matches!(c, '0'..='~'));
        }
        Some('0'..='~') => {
            chars.next();
        }
        _ => {}
    }
}

/// Parameters, intermediates and the final byte of a control sequence.
fn skip_csi(chars: &mut Chars<'_>) {
    while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    chars.next_if(|c| matches!(c, '@'..='~'));
}

/// A control string up to its terminator. One that is never terminated ends at the line's end, so
/// that a stray introducer cannot swallow the rest of a document.
fn skip_string(chars: &mut Chars<'_>) {
    while let Some(&c) = chars.peek() {
        match c {
            '\n' => return,
            '\u{7}' | '\u{9c}' => {
                chars.next();
                return;
            }
            '\u{1b}' => {
                chars.next();
                chars.next_if_eq(&'\\');
                return;
            }
            _ => {
                chars.next();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_not_characters() {
        assert_eq!(width("abc"), 3);
        assert_eq!(width("聚宝盆"), 6);
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(width("👨‍👩‍👧"), 2);
        assert_eq!(width(ELLIPSIS), 1);
    }

    #[test]
    fn a_cut_never_exceeds_its_columns() {
        let text = "a聚宝盆👨‍👩‍👧e\u{301}z";
        for columns in 0..16 {
            assert!(width(&truncate(text, columns)) <= columns, "{columns}");
            assert_eq!(width(&pad(text, columns)), columns);
            assert_eq!(width(&pad_left(text, columns)), columns);
        }
        assert_eq!(truncate("聚宝盆", 6), "聚宝盆");
        assert_eq!(truncate("聚宝盆", 5), "聚宝⋯");
        assert_eq!(truncate("聚宝盆", 4), "聚⋯");
        assert_eq!(truncate("abc", 2), "a⋯");
        assert_eq!(truncate("", 0), "");
        assert_eq!(pad("聚", 4), "聚  ");
        assert_eq!(pad_left("12", 4), "  12");
    }

    #[test]
    fn chinese_wraps_without_blanks_and_not_before_a_full_stop() {
        let lines = wrap("今天股市上涨。明天不知道。", 12);
        assert_eq!(lines, ["今天股市上", "涨。明天不知", "道。"]);
        assert_eq!(wrap("a long word", 6), ["a long", "word"]);
        assert_eq!(wrap("one\n\ntwo", 10), ["one", "", "two"]);
        assert_eq!(wrap("", 10), [""]);
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
    fn escape_sequences_leave_no_trace() {
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m"), "red");
        assert_eq!(clean("\u{1b}]0;title\u{7}x\u{1b}]8;;http://a\u{1b}\\y"), "xy");
        assert_eq!(clean("\u{9b}2Ja\u{90}q\u{9c}b"), "ab");
        assert_eq!(clean("a\u{1b}(Bb\u{1b}c\u{7}\u{8}c"), "abc");
        assert_eq!(clean("a\r\nb\rc\td"), "a\nb\nc    d");
        assert_eq!(clean("\u{202e}abc\u{2066}"), "abc");
        assert_eq!(clean("\u{1b}]never ended\nnext"), "\nnext");
        assert_eq!(clean("\u{1b}"), "");
        assert_eq!(one_line("  a\n\n b\u{1b}[1m\tc "), "a b c");
    }

    #[test]
    fn in_pieces_a_text_is_cleaned_as_it_is_as_a_whole() {
        let text = "a\u{1b}[31mred\u{1b}[0m\r\nb\u{1b}]0;title\u{7}宝\u{9b}2J\r盆\u{1b}]never\nend\tx\u{1b}";
        let characters: Vec<char> = text.chars().collect();
        for size in 1..=characters.len() {
            let mut cleaner = PieceCleaner::default();
            let out: String = characters.chunks(size).map(|c| cleaner.push(&c.iter().collect::<String>())).collect();
            assert_eq!(out, clean(text), "{size}");
        }
    }

    #[test]
    fn no_control_character_survives_any_garbage() {
        let alphabet: Vec<char> = "\u{1b}[]P;m0\\\u{7}\u{9c}\n宝 \u{9b}\u{90}(~".chars().collect();
        let mut state = 1u64;
        for _ in 0..2000 {
            let text: String = (0..12)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    alphabet[(state >> 33) as usize % alphabet.len()]
                })
                .collect();
            let out = clean(&text);
            assert!(out.chars().all(|c| !c.is_control() || c == '\n'), "{text:?} gave {out:?}");
            assert_eq!(clean(&out), out);
        }
    }

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let near = |wanted| nearest(wanted, ["question", "answer", "答案", "id"]);
        assert_eq!(
            [near("qestion"), near("Question "), near("asnwer")],
            [Some("question"), Some("question"), Some("answer")]
        );
        assert_eq!([near("答安"), near("ids")], [Some("答案"), Some("id")]);
        assert_eq!([near("text"), near("x"), near("")], [None; 3]);
        let distance = |a: &str, b: &str| slips(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(
            [distance("kitten", "sitting"), distance("ab", "ba"), distance("", "abc"), distance("same", "same")],
            [3, 1, 3, 0]
        );
    }
}
