//! The key of a row's record: dataset, row number and revision in one integer, so that the table's own order is the
//! order of reading, an edit lies beside what it replaces, and no second index is written during an import.

use crate::error::{Error, Kind, Result};
use crate::tr;

const ROW_BITS: u32 = 32;
const REVISION_BITS: u32 = 12;

/// The key of the first possible record of a row.
pub(super) fn key(dataset: i64, row: u64) -> i64 {
    dataset << (ROW_BITS + REVISION_BITS) | (row as i64) << REVISION_BITS
}

/// The smallest key behind those of the dataset.
pub(super) fn end(dataset: i64) -> i64 {
    (dataset + 1) << (ROW_BITS + REVISION_BITS)
}

/// The row's number in its dataset, from 0.
pub(super) fn row_of(key: i64) -> u64 {
    (key >> REVISION_BITS) as u64 & ((1 << ROW_BITS) - 1)
}

/// The key of the next record of the same row.
///
/// # Errors
/// `Unsupported` after 4,096 of them.
pub(super) fn next_revision(key: i64) -> Result<i64> {
    if key & ((1 << REVISION_BITS) - 1) != (1 << REVISION_BITS) - 1 {
        return Ok(key + 1);
    }
    let row = row_of(key);
    Err(Error::new(Kind::Unsupported, tr!("row {row} was changed 4,095 times", "第 {row} 行已修改 4095 次")).hint(tr!(
        "import its dataset under a new name: that starts a new history",
        "请以新名称重新导入该数据集，从而开始新的历史"
    )))
}

/// Checks that a row number fits into a key.
///
/// # Errors
/// `Unsupported`.
pub(super) fn check_row(row: u64) -> Result<()> {
    if row < 1 << ROW_BITS {
        return Ok(());
    }
    Err(Error::new(Kind::Unsupported, tr!("a dataset has at most 4,294,967,296 rows", "一个数据集最多 4294967296 行"))
        .hint(tr!("import the rest under another name", "请把其余数据导入另一个数据集")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_reading() {
        let last = (1 << ROW_BITS) - 1;
        let edited = next_revision(key(1, 5)).unwrap();
        let keys = [key(1, 0), key(1, 5), edited, key(1, 6), key(1, last), key(2, 0), key(2, last), end(2)];
        assert!(keys.is_sorted() && keys.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(keys.map(row_of)[..7], [0, 5, 5, 6, last, 0, last]);
        assert!(end((1 << 19) - 2) > 0);
    }

    #[test]
    fn revisions_and_rows_end_before_they_reach_their_neighbours() {
        let mut k = key(3, 9);
        for _ in 0..4095 {
            k = next_revision(k).unwrap();
            assert_eq!(row_of(k), 9);
        }
        assert_eq!(next_revision(k).unwrap_err().kind, Kind::Unsupported);
        assert!(check_row((1 << ROW_BITS) - 1).is_ok() && check_row(1 << ROW_BITS).is_err());
    }
}
