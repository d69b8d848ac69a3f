//! The user's own list of words that a row must not hold.

use std::collections::HashSet;

/// Words, one a line in the user's file; `#` begins a remark. Case does not count.
#[derive(Clone, Debug, Default)]
pub struct WordList {
    /// Those of ASCII letters and digits, which must stand alone: `ass` is not in `asset`.
    whole: HashSet<String>,
    /// All others, which may stand anywhere: Chinese has no spaces.
    anywhere: Vec<String>,
}

impl WordList {
    /// Reads the list's text.
    pub fn parse(text: &str) -> WordList {
        let mut list = WordList::default();
        let words =
            text.trim_start_matches('\u{feff}').lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        for word in words.filter(|word| !word.is_empty()) {
            let word = word.to_lowercase();
            if word.bytes().all(|b| b.is_ascii_alphanumeric()) {
                list.whole.insert(word);
            } else {
                list.anywhere.push(word);
            }
        }
        list
    }

    /// How many words it has.
    pub fn len(&self) -> usize {
        self.whole.len() + self.anywhere.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A word of the list that stands in `text`.
    pub fn first_in(&self, text: &str) -> Option<&str> {
        let lower = text.to_lowercase();
        let alone = lower.split(|c: char| !c.is_ascii_alphanumeric()).find_map(|word| self.whole.get(word));
        alone.or_else(|| self.anywhere.iter().find(|word| lower.contains(word.as_str()))).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_words_stand_alone_and_chinese_ones_anywhere() {
        let list = WordList::parse("\u{feff}# my list\nASS\n坏词 # remark\n\nvery bad\n");
        assert_eq!(list.len(), 3);
        assert_eq!(list.first_in("An asset class."), None);
        assert_eq!(list.first_in("What an Ass!"), Some("ass"));
        assert_eq!(list.first_in("这是坏词吗"), Some("坏词"));
        assert_eq!(list.first_in("VERY BAD."), Some("very bad"));
        assert!(WordList::parse("# nothing\n").is_empty());
    }
}
