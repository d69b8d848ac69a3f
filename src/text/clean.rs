//! Text from elsewhere made harmless, as a whole or piece by piece.

use unicode_width::UnicodeWidthChar;

/// Characters that may join the one before them: more than any script or emoji needs. What comes after them is left out,
/// because a cell of a terminal can be given a megabyte of accents.
const JOINED: u8 = 24;

/// Joins two emoji to one.
const JOINER: char = '\u{200d}';

/// `text` without anything that could move the cursor, colour the screen, ring a bell or reorder a
/// line: escape sequences, control characters and bidirectional overrides are removed, a tab becomes
/// four blanks, every line end becomes `\n`.
pub fn clean(text: &str) -> String {
    if !text.contains(is_special) {
        return text.to_owned();
    }
    PieceCleaner::default().push(text)
}

/// Whether it may have to go, or to be counted.
fn is_special(c: char) -> bool {
    (c.is_control() && c != '\n') || (c >= '\u{ad}' && c.width().unwrap_or(0) == 0) || is_invisible(c)
}

/// [`clean`] for a text that comes in pieces: a sequence that is cut by the border of two pieces is still one. What a
/// piece costs does not depend on those before it.
#[derive(Clone, Debug, Default)]
pub struct PieceCleaner {
    state: State,
    /// Characters that have joined the last one.
    joined: u8,
    after_joiner: bool,
}

/// Where in a sequence of ECMA-48 the text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// In none.
    #[default]
    Text,
    /// After a `\r`, whose line end is told already.
    Return,
    /// After an ESC.
    Escape,
    /// After an ESC and intermediate characters.
    Intermediate,
    /// In a control sequence.
    Csi,
    /// In a control string. One that is never terminated ends at the line's end, so that a stray introducer cannot
    /// swallow the rest of a document.
    String,
    /// After an ESC in a control string.
    StringEscape,
}

impl PieceCleaner {
    /// Takes the next piece; gives what can be shown of it.
    pub fn push(&mut self, piece: &str) -> String {
        let mut out = String::with_capacity(piece.len());
        self.push_into(piece, &mut out);
        out
    }

    /// Takes the next piece; adds what can be shown of it to `out`.
    pub fn push_into(&mut self, piece: &str, out: &mut String) {
        for c in piece.chars() {
            self.take(c, out);
        }
    }

    fn take(&mut self, c: char, out: &mut String) {
        self.state = match (self.state, c) {
            (State::Return, '\n') | (State::Escape | State::Intermediate, '0'..='~') if !opens(self.state, c) => {
                State::Text
            }
            (State::Escape, '[') | (State::Csi, ' '..='?') => State::Csi,
            (State::Escape, ']' | 'P' | 'X' | '^' | '_') => State::String,
            (State::Escape | State::Intermediate, ' '..='/') => State::Intermediate,
            (State::Csi, '@'..='~') | (State::String, '\u{7}' | '\u{9c}') | (State::StringEscape, '\\') => State::Text,
            (State::String, '\u{1b}') => State::StringEscape,
            (State::String, c) if c != '\n' => State::String,
            // What does not belong to the sequence ends it and is text again.
            _ => self.show(c, out),
        };
    }

    fn show(&mut self, c: char, out: &mut String) -> State {
        match c {
            '\u{1b}' => return State::Escape,
            '\u{9b}' => return State::Csi,
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => return State::String,
            '\t' => out.push_str("    "),
            '\n' | '\r' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            c if c.is_control() || is_invisible(c) => return State::Text,
            c => {
                let joins = c >= '\u{300}' && (self.after_joiner || c.width() == Some(0));
                self.joined = if joins { self.joined.saturating_add(1) } else { 0 };
                self.after_joiner = c == JOINER;
                if self.joined <= JOINED {
                    out.push(c);
                }
                return State::Text;
            }
        }
        (self.joined, self.after_joiner) = (0, false);
        if c == '\r' { State::Return } else { State::Text }
    }
}

/// Whether `c` after an ESC opens a longer sequence.
fn opens(state: State, c: char) -> bool {
    state == State::Escape && matches!(c, '[' | ']' | 'P' | 'X' | '^' | '_')
}

/// Reorders a line or hides text, and shows nothing itself.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::super::{one_line, width};
    use super::*;

    #[test]
    fn escape_sequences_leave_no_trace() {
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m"), "red");
        assert_eq!(clean("\u{1b}]0;title\u{7}x\u{1b}]8;;http://a\u{1b}\\y"), "xy");
        assert_eq!(clean("\u{9b}2Ja\u{90}q\u{9c}b"), "ab");
        assert_eq!(clean("a\u{1b}(Bb\u{1b}c\u{7}\u{8}c"), "abc");
        assert_eq!(clean("a\r\nb\rc\td\r\r\ne"), "a\nb\nc    d\n\ne");
        assert_eq!(clean("\u{202e}abc\u{2066}\u{61c}d\u{2028}e"), "abcd\ne");
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
            assert_eq!(out, "ared\nb宝\n盆\nend    x", "{size}");
            assert_eq!(out, clean(text), "{size}");
        }
    }

    #[test]
    fn no_control_character_survives_any_garbage() {
        let alphabet: Vec<char> =
            "\u{1b}[]P;m0\\\u{7}\u{9c}\n宝 \u{9b}\u{90}(~\r\u{0}\u{301}\u{200d}👨\u{202e}".chars().collect();
        let mut state = 1u64;
        for _ in 0..4000 {
            let text: String = (0..12)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    alphabet[(state >> 33) as usize % alphabet.len()]
                })
                .collect();
            let out = clean(&text);
            assert!(out.chars().all(|c| (!c.is_control() || c == '\n') && c != '\u{202e}'), "{text:?} gave {out:?}");
            assert_eq!(clean(&out), out);
        }
    }

    #[test]
    fn a_character_is_joined_by_few_others() {
        let family = "👨‍👩‍👧‍👦 e\u{301} नमस्ते";
        assert_eq!(clean(family), family);
        let heap = clean(&format!("a{}b", "\u{301}".repeat(1_000_000)));
        assert_eq!((width(&heap), heap.chars().count()), (2, 2 + usize::from(JOINED)));
        let chain = clean(&"👨\u{200d}".repeat(1_000_000));
        assert!(chain.chars().count() < 60, "{}", chain.chars().count());
    }
}
