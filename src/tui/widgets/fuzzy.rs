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
}
