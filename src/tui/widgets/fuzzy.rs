//! Whether what is typed may mean a name: its letters occur in it in order.

/// Whether the letters of `typed` occur in `text` in order; blanks divide parts that may stand anywhere.
pub fn fuzzy(typed: &str, text: &str) -> bool {
    closeness(typed, text).is_some()
}

/// How far `text` is from what is typed, the nearest first; none when it is not meant. Letters that stand
/// together and at the beginning of the text are near.
pub fn closeness(typed: &str, text: &str) -> Option<usize> {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let typed = typed.to_lowercase();
    let parts = typed.split_whitespace().map(|part| part_closeness(part, &text));
    let sum: Option<usize> = parts.sum();
    // Of texts that are equally near, the short one is meant.
    sum.map(|gaps| gaps * 100 + text.len().min(99))
}

/// The name that may have been meant by a name that does not exist: the one whose beginning the fewest letters have to be
/// changed, added or removed for, if those are few; of several the shortest.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a String>) -> Option<&'a str> {
    let letters = |text: &str| text.to_lowercase().chars().collect::<Vec<char>>();
    let typed = letters(typed);
    let most = if typed.len() < 4 { typed.len() / 2 } else { 2.max(typed.len() / 3) };
    let near = names.into_iter().map(|name| {
        let name_letters = letters(name);
        // It may not be typed to its end.
        let edits = edits(&typed, &name_letters).into_iter().min().unwrap_or(usize::MAX);
        (edits, name_letters.len(), name.as_str())
    });
    near.filter(|(edits, ..)| *edits <= most && !typed.is_empty()).min().map(|(.., name)| name)
}

/// For every beginning of `b`, the empty one first: letters to change, add or remove to make it of `a` (Levenshtein).
fn edits(a: &[char], b: &[char]) -> Vec<usize> {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row
}

fn part_closeness(part: &str, text: &[char]) -> Option<usize> {
    let mut best: Option<usize> = None;
    let first = part.chars().next()?;
    for start in (0..text.len()).filter(|&i| text[i] == first) {
        let mut at = start;
        let mut found = true;
        for c in part.chars() {
            match text[at.min(text.len())..].iter().position(|t| *t == c) {
                Some(i) => at += i + 1,
                None => {
                    found = false;
                    break;
                }
            }
        }
        if found {
            let begins_word = start == 0 || !text[start - 1].is_alphanumeric();
            let gaps = at - start - part.chars().count() + usize::from(!begins_word);
            best = Some(best.map_or(gaps, |b| b.min(gaps)));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_fuzzy_and_knows_no_case() {
        assert!(fuzzy("jbp", "JuBaoPen"));
        assert!(fuzzy("聚盆", "聚宝盆"));
        assert!(fuzzy("v2 fin", "finance-v2"));
        assert!(fuzzy("", "anything"));
        assert!(!fuzzy("pbj", "jubaopen"));
    }

    #[test]
    fn what_stands_together_and_begins_a_word_is_nearer() {
        let nearest = |typed, texts: [&'static str; 3]| {
            texts.into_iter().filter_map(|t| Some((closeness(typed, t)?, t))).min().map(|(_, t)| t)
        };
        assert_eq!(nearest("imp", ["data import", "simple", "I am a pen"]), Some("data import"));
        assert_eq!(nearest("run", ["runs compare", "run", "pruning"]), Some("run"));
        assert_eq!(nearest("zzz", ["a", "b", "c"]), None);
    }

    #[test]
    fn a_misspelt_name_finds_the_one_that_was_meant() {
        let names = ["finance-zh", "finance", "alpaca-en", "聚宝盆问答"].map(String::from);
        for (typed, meant) in [
            ("finanec-zh", Some("finance-zh")),
            ("finanec", Some("finance")),
            ("Finance", Some("finance")),
            ("alp", Some("alpaca-en")),
            ("alpcaa", Some("alpaca-en")),
            ("聚宝瓶问答", Some("聚宝盆问答")),
            ("something else", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, &names), meant, "{typed}");
        }
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        // The textbook's pair: two changes and an addition.
        assert_eq!(edits(&letters("kitten"), &letters("sitting")).last(), Some(&3));
        assert_eq!(edits(&[], &letters("abc")), [0, 1, 2, 3]);
    }
}
