//! Which of several names a misspelt one may have meant.

/// The name that `wanted` is most likely a slip for: at most a third of its characters are other, missing, too many or
/// swapped with their neighbour, whatever the case. Where no whole name is that near, the beginning of one will do: it may
/// not have been typed to its end.
pub fn nearest<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let lower = |text: &str| text.trim().to_lowercase().chars().take(64).collect::<Vec<char>>();
    let wanted = lower(wanted);
    let most = wanted.len().div_ceil(3).min(wanted.len().saturating_sub(1));
    let near = names.into_iter().filter(|_| !wanted.is_empty()).filter_map(|name| {
        let slips = slips(&wanted, &lower(name));
        let whole = slips.last().copied().filter(|slips| *slips <= most);
        let begun = slips.iter().min().copied().filter(|slips| *slips <= most);
        let rank = whole.map(|slips| (false, slips)).or(begun.map(|slips| (true, slips)))?;
        Some((rank, slips.len(), name))
    });
    near.min_by_key(|(rank, length, _)| (*rank, *length)).map(|(.., name)| name)
}

/// How many slips of the hand lie between `a` and each beginning of `b`, the empty one first: Damerau and Levenshtein's
/// distance, where no stretch is changed twice.
fn slips(a: &[char], b: &[char]) -> Vec<usize> {
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
    row
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
        let distance = |a: &str, b: &str| {
            slips(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>()).last().copied().unwrap()
        };
        assert_eq!(
            [distance("kitten", "sitting"), distance("ab", "ba"), distance("", "abc"), distance("same", "same")],
            [3, 1, 3, 0]
        );
    }
    #[test]
    fn the_beginning_of_a_name_will_do() {
        let near = |wanted| nearest(wanted, ["finance-zh", "finance", "alpaca-en", "聚宝盆问答"]);
        assert_eq!(
            [near("finanec-zh"), near("finanec"), near("Finance")],
            [Some("finance-zh"), Some("finance"), Some("finance")]
        );
        assert_eq!(
            [near("alp"), near("alpcaa"), near("聚宝瓶")],
            [Some("alpaca-en"), Some("alpaca-en"), Some("聚宝盆问答")]
        );
        assert_eq!([near("something else"), near("x"), near("")], [None; 3]);
    }
}
