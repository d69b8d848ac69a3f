//! Holding rows out for validation.

use super::example::{RowHash, Split};
use crate::error::{Error, Kind, Result};
use crate::tr;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// How many rows are held out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HoldOut {
    /// A share of the rows, from 0 up to but not including 1.
    Share(f64),
    /// A number of rows.
    Rows(usize),
}

impl HoldOut {
    /// Reads `0.1` (a share) or `1200` (rows).
    ///
    /// # Errors
    /// `InvalidInput` for anything else.
    pub fn parse(text: &str) -> Result<HoldOut> {
        match (text.parse::<usize>(), text.parse::<f64>()) {
            (Ok(rows), _) => Ok(HoldOut::Rows(rows)),
            (_, Ok(share)) if (0.0..1.0).contains(&share) => Ok(HoldOut::Share(share)),
            _ => Err(Error::new(
                Kind::InvalidInput,
                tr!("`{text}` is neither a share nor a number of rows", "`{text}` 既不是比例也不是行数"),
            )
            .hint(tr!(
                "give a share such as 0.1, or a number of rows such as 200",
                "请给出比例（如 0.1）或行数（如 200）"
            ))),
        }
    }
}

/// Chooses the split of each row. A row's place in the draw depends on its contents (`hashes`) and
/// the seed only, so the same rows are held out whatever their order in the file.
///
/// # Errors
/// `InvalidInput` when no row would be left to train on.
pub fn hold_out(hashes: &[RowHash], val: HoldOut, seed: u64) -> Result<Vec<Split>> {
    let apart: Vec<usize> = (0..hashes.len()).collect();
    hold_out_groups(hashes, &apart, &vec![0; hashes.len()], val, seed)
}

/// As [`hold_out`], and rows of one group (`groups` has a number for each row) are all on one side, and each stratum (`strata` likewise)
/// gives its own share. A group counts for the stratum of its first row. The held-out part is at most half a group larger or smaller than
/// asked for in each stratum.
///
/// # Errors
/// `InvalidInput` when no row would be left to train on.
pub fn hold_out_groups(
    hashes: &[RowHash],
    groups: &[usize],
    strata: &[usize],
    val: HoldOut,
    seed: u64,
) -> Result<Vec<Split>> {
    let total = hashes.len();
    let held = match val {
        HoldOut::Rows(rows) => rows,
        // A share that is not zero holds at least one row out.
        HoldOut::Share(share) if share > 0.0 => ((total as f64 * share).round() as usize).max(1),
        HoldOut::Share(_) => 0,
    };
    let mut splits = vec![Split::Train; total];
    if held < total {
        for part in strata_of(hashes, groups, strata, seed) {
            let rows: usize = part.iter().map(|group| group.rows.len()).sum();
            let wanted = if part.is_empty() { 0.0 } else { held as f64 * rows as f64 / total as f64 };
            let mut taken = 0.0;
            for group in part {
                let size = group.rows.len() as f64;
                // The group that makes it more than wanted comes along when that is nearer.
                if taken + size / 2.0 > wanted + 1e-9 {
                    continue;
                }
                taken += size;
                group.rows.iter().for_each(|row| splits[*row] = Split::Val);
            }
        }
        // Strata too small for a row of their own must not leave nothing held out.
        if held > 0 && !splits.contains(&Split::Val) {
            let smallest =
                strata_of(hashes, groups, strata, seed).into_iter().flatten().min_by_key(|g| (g.rows.len(), g.place));
            smallest.iter().flat_map(|group| &group.rows).for_each(|row| splits[*row] = Split::Val);
        }
    }
    if held < total && !splits.contains(&Split::Train) {
        let count = groups.iter().collect::<BTreeSet<_>>().len();
        let error = if count == 1 {
            tr!(
                "all {total} rows belong together: holding some of them out would leave none to train on",
                "全部 {total} 行都须在同一侧：留出其中任何一行，就没有可训练的数据"
            )
        } else {
            tr!(
                "the {total} rows make {count} groups that stay together, too large to hold {held} rows out",
                "{total} 行组成 {count} 个须在同一侧的组，过大而无法留出 {held} 行"
            )
        };
        return Err(Error::new(Kind::InvalidInput, error).hint(tr!(
            "leave out --together or --near, or keep something else together (--together question)",
            "请去掉 --together 或 --near，或改用其他依据（--together question）"
        )));
    }
    if held >= total {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("{held} rows cannot be held out of {total}", "共 {total} 行，不能留出 {held} 行"),
        )
        .hint(tr!("hold fewer rows out: something must be left to train on", "请减少留出的行数：训练集不能为空")));
    }
    Ok(splits)
}

/// Rows that stay together.
struct Group {
    /// Where it stands in the draw: a hash of the seed and its contents.
    place: [u8; 32],
    rows: Vec<usize>,
}

/// The groups of each stratum in the order of the draw.
fn strata_of(hashes: &[RowHash], groups: &[usize], strata: &[usize], seed: u64) -> Vec<Vec<Group>> {
    let mut rows_of: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    groups.iter().enumerate().for_each(|(row, group)| rows_of.entry(*group).or_default().push(row));
    let mut parts: BTreeMap<usize, Vec<Group>> = BTreeMap::new();
    for rows in rows_of.into_values() {
        let stratum = rows.first().and_then(|row| strata.get(*row)).copied().unwrap_or(0);
        let mut contents: Vec<&RowHash> = rows.iter().filter_map(|row| hashes.get(*row)).collect();
        contents.sort_unstable();
        let mut sha = Sha256::new();
        sha.update(seed.to_le_bytes());
        contents.iter().for_each(|hash| sha.update(hash));
        parts.entry(stratum).or_default().push(Group { place: sha.finalize().into(), rows });
    }
    let mut parts: Vec<Vec<Group>> = parts.into_values().collect();
    parts.iter_mut().for_each(|part| part.sort_unstable_by(|a, b| a.place.cmp(&b.place).then(a.rows.cmp(&b.rows))));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: u8) -> Vec<RowHash> {
        (0..n).map(|i| [i; 32]).collect()
    }

    fn held(hashes: &[RowHash], val: HoldOut, seed: u64) -> Vec<RowHash> {
        let splits = hold_out(hashes, val, seed).unwrap();
        let mut held: Vec<RowHash> =
            hashes.iter().zip(splits).filter(|(_, s)| *s == Split::Val).map(|(h, _)| *h).collect();
        held.sort();
        held
    }

    #[test]
    fn the_draw_follows_the_seed_and_not_the_order() {
        let rows = names(100);
        let mut turned = rows.clone();
        turned.reverse();
        let first = held(&rows, HoldOut::Share(0.1), 7);
        assert_eq!(first.len(), 10);
        assert_eq!(first, held(&turned, HoldOut::Share(0.1), 7));
        assert_ne!(first, held(&rows, HoldOut::Share(0.1), 8));
    }

    #[test]
    fn there_is_always_something_to_train_on() {
        assert_eq!(held(&names(3), HoldOut::Share(0.01), 0).len(), 1);
        assert_eq!(held(&names(3), HoldOut::Share(0.0), 0).len(), 0);
        assert_eq!(held(&names(3), HoldOut::Rows(2), 0).len(), 2);
        for val in [HoldOut::Rows(3), HoldOut::Rows(1200), HoldOut::Share(0.99)] {
            assert_eq!(hold_out(&names(3), val, 0).unwrap_err().kind, Kind::InvalidInput);
        }
        assert!(hold_out(&[], HoldOut::Share(0.0), 0).is_err());
    }

    #[test]
    fn shares_and_counts_are_told_apart() {
        assert_eq!(HoldOut::parse("0.1").unwrap(), HoldOut::Share(0.1));
        assert_eq!(HoldOut::parse("1200").unwrap(), HoldOut::Rows(1200));
        for bad in ["1.5", "-1", "x", "", "NaN"] {
            assert!(HoldOut::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn groups_stay_together_and_strata_keep_their_shares() {
        let hashes: Vec<RowHash> = (0..400u32).map(|i| Sha256::digest(i.to_le_bytes()).into()).collect();
        let groups: Vec<usize> = (0..400).map(|i| i / 4).collect();
        let strata: Vec<usize> = (0..400).map(|i| usize::from(i >= 300)).collect();
        let splits = hold_out_groups(&hashes, &groups, &strata, HoldOut::Share(0.1), 3).unwrap();
        for rows in splits.chunks(4) {
            assert!(rows.iter().all(|split| *split == rows[0]));
        }
        let held = |range: std::ops::Range<usize>| splits[range].iter().filter(|s| **s == Split::Val).count();
        assert!(held(0..300).abs_diff(30) <= 2 && held(300..400).abs_diff(10) <= 2);
        // One large group is taken or left, never cut.
        let large = hold_out_groups(&hashes, &[0; 400], &strata, HoldOut::Share(0.1), 3);
        assert_eq!(large.unwrap_err().kind, Kind::InvalidInput);
        let small = hold_out_groups(&hashes[..3], &[0, 1, 1], &[0, 1, 1], HoldOut::Share(0.1), 3).unwrap();
        assert_eq!(small, [Split::Val, Split::Train, Split::Train]);
    }
}
