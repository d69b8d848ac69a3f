//! One instruction row.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// The part of a dataset that a row belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Trained on.
    #[default]
    Train,
    /// Held out.
    Val,
}

impl Split {
    /// The word in files, in the database and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
        }
    }

    /// The split that `word` names; the common names of a held-out part all mean [`Split::Val`].
    pub fn parse(word: &str) -> Option<Split> {
        match word {
            "train" => Some(Split::Train),
            "val" | "valid" | "validation" | "dev" | "eval" => Some(Split::Val),
            _ => None,
        }
    }
}

/// An instruction with its answer, in alpaca's terms. Absent and null fields are empty here.
///
/// Plain text for pre-training is a row too: its text is the output, and it has no instruction (which no other row
/// lacks), see [`Example::is_text`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Example {
    /// What is asked.
    pub instruction: String,
    /// Material the question refers to; usually empty.
    pub input: String,
    /// The answer that is learnt.
    pub output: String,
    /// System message; empty for the template's own.
    pub system: String,
    /// Descriptions of the tools that the answers may call, as a list in JSON; usually empty. A model reads them behind
    /// the system message.
    pub tools: String,
    /// Earlier turns, oldest first: (question, answer).
    pub history: Vec<(String, String)>,
    /// Turns whose question is what a tool returned, not a user's words: numbers from 0, the history first and the
    /// row's own turn after it. Empty in most rows.
    pub tool_turns: Vec<usize>,
    /// `zh` or `en`.
    pub lang: String,
    /// Trained on or held out.
    pub split: Split,
}

/// SHA-256 of what a row teaches.
pub type RowHash = [u8; 32];

impl Example {
    /// Whether the row is plain text for pre-training: an output that nobody asked for.
    pub fn is_text(&self) -> bool {
        self.instruction.is_empty()
            && self.input.is_empty()
            && self.system.is_empty()
            && self.tools.is_empty()
            && self.history.is_empty()
    }

    /// What a model reads before the first question: the system message and the tools behind it.
    pub fn system_text(&self) -> Cow<'_, str> {
        match (self.system.as_str(), self.tools.as_str()) {
            (system, "") => Cow::Borrowed(system),
            ("", tools) => Cow::Borrowed(tools),
            (system, tools) => Cow::Owned(format!("{system}\n\n{tools}")),
        }
    }

    /// The row's identity: its texts and nothing else. Two rows that differ only in their split or
    /// language tag are the same row, so one of them is a duplicate.
    pub fn hash(&self) -> RowHash {
        let mut sha = Sha256::new();
        // Lengths go in front, so that moving a character from one field to the next changes the hash.
        let mut put = |text: &str| {
            sha.update((text.len() as u64).to_le_bytes());
            sha.update(text);
        };
        for text in [&self.instruction, &self.input, &self.output, &self.system] {
            put(text);
        }
        for (question, answer) in &self.history {
            put(question);
            put(answer);
        }
        // One text more, so that the number of texts tells such a row from one with a longer history.
        if !self.tool_turns.is_empty() {
            put(&format!("{:?}", self.tool_turns));
        }
        if !self.tools.is_empty() {
            // A length in front that no text has, so that no turn is taken for it.
            sha.update(u64::MAX.to_le_bytes());
            sha.update(&self.tools);
        }
        sha.finalize().into()
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|n| char::from(DIGITS[usize::from(n)])).collect()
}

/// The hash that [`hex`] wrote as `text`; `None` when it is no such text.
pub fn parse_hash(text: &str) -> Option<RowHash> {
    let digits: Vec<u32> = text.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |n, d| n << 4 | *d as u8)).collect();
    bytes.try_into().ok().filter(|_| digits.len() == 64)
}

/// Computes a dataset's version: a hash over its rows in order, each with its split and language.
/// The same rows give the same version on every machine; moving one row to `val` gives another.
#[derive(Default)]
pub struct Version(Sha256);

impl Version {
    /// Takes the next row.
    pub fn add(&mut self, hash: &RowHash, split: Split, lang: &str) {
        self.0.update(hash);
        self.0.update(split.as_str());
        self.0.update([0]);
        self.0.update(lang);
        self.0.update([0]);
    }

    /// The version: 64 hexadecimal digits.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(instruction: &str, input: &str) -> Example {
        Example { instruction: instruction.into(), input: input.into(), output: "a".into(), ..Example::default() }
    }

    #[test]
    fn a_row_is_its_texts() {
        assert_ne!(row("ab", "").hash(), row("a", "b").hash());
        let tagged = Example { lang: "zh".into(), split: Split::Val, ..row("ab", "") };
        assert_eq!(tagged.hash(), row("ab", "").hash());
        let turns = Example { history: vec![("q".into(), "a".into())], ..row("ab", "") };
        assert_ne!(turns.hash(), row("ab", "").hash());
        let by_tool = Example { tool_turns: vec![1], ..turns.clone() };
        assert_ne!(by_tool.hash(), turns.hash());
        let tools = Example { tools: "[1]".into(), ..row("ab", "") };
        let pair = Example { history: vec![("tools".into(), "[1]".into())], ..row("ab", "") };
        assert_ne!(tools.hash(), row("ab", "").hash());
        assert_ne!(tools.hash(), Example { system: "[1]".into(), ..row("ab", "") }.hash());
        assert_ne!(tools.hash(), pair.hash());
    }

    #[test]
    fn a_version_depends_on_order_split_and_language() {
        let version = |rows: &[(&str, Split, &str)]| {
            let mut v = Version::default();
            for (text, split, lang) in rows {
                v.add(&row(text, "").hash(), *split, lang);
            }
            v.finish()
        };
        let base = version(&[("a", Split::Train, "en"), ("b", Split::Train, "en")]);
        assert_eq!(base.len(), 64);
        assert_eq!(base, version(&[("a", Split::Train, "en"), ("b", Split::Train, "en")]));
        assert_ne!(base, version(&[("b", Split::Train, "en"), ("a", Split::Train, "en")]));
        assert_ne!(base, version(&[("a", Split::Train, "en"), ("b", Split::Val, "en")]));
        assert_ne!(base, version(&[("a", Split::Train, "zh"), ("b", Split::Train, "en")]));
    }

    #[test]
    fn hex_is_lower_case() {
        assert_eq!(hex(&[0, 15, 0xab]), "000fab");
    }

    #[test]
    fn hashes_survive_their_digits() {
        let hash = row("a", "").hash();
        assert_eq!(parse_hash(&hex(&hash)), Some(hash));
        for bad in ["", "ab", &"g".repeat(64), &"0".repeat(65), &"0".repeat(66)] {
            assert_eq!(parse_hash(bad), None);
        }
    }
}
