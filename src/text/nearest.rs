//! Which of several names a misspelt one may have meant.

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

#[cfg(test)]
mod tests {
    use super::*;

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
