//! Holding rows out for validation.

use super::example::{RowHash, Split};
use crate::error::{Error, Kind, Result};
use crate::tr;
use sha2::{Digest, Sha256};

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
    let total = hashes.len();
    let held = match val {
        HoldOut::Rows(rows) => rows,
        // A share that is not zero holds at least one row out.
        HoldOut::Share(share) if share > 0.0 => ((total as f64 * share).round() as usize).max(1),
        HoldOut::Share(_) => 0,
    };
    if held >= total {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("{held} rows cannot be held out of {total}", "共 {total} 行，不能留出 {held} 行"),
        )
        .hint(tr!("hold fewer rows out: something must be left to train on", "请减少留出的行数：训练集不能为空")));
    }
    let mut order: Vec<([u8; 32], usize)> = hashes
        .iter()
        .enumerate()
        .map(|(row, hash)| {
            let mut sha = Sha256::new();
            sha.update(seed.to_le_bytes());
            sha.update(hash);
            (sha.finalize().into(), row)
        })
        .collect();
    order.sort_unstable();
    let mut splits = vec![Split::Train; total];
    for (_, row) in order.iter().take(held) {
        if let Some(split) = splits.get_mut(*row) {
            *split = Split::Val;
        }
    }
    Ok(splits)
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
}
