//! From rendered rows to micro-batches: what becomes of rows that are too long ([`overlong`]), how plain texts fill
//! sequences ([`documents`]), which rows go together
//! ([`plan`]) and how they lie in memory ([`collate`]). There is no padding: sequences lie end to end, and no token attends across them.

mod documents;
mod overlong;
mod plan;

pub use documents::fill;
pub use overlong::{Fitted, Overlong, Unfit, fit};
pub use plan::{Shape, epoch_plan};

use crate::model::TrainingRows;
use crate::prompt::Rendered;

/// Lays rows end to end. Positions restart at each row; the first token of a row is nobody's target.
pub fn collate<'a>(rows: impl IntoIterator<Item = &'a Rendered>) -> TrainingRows {
    let mut batch = TrainingRows::default();
    for row in rows {
        let start = batch.ids.len();
        batch.ids.extend_from_slice(&row.ids);
        batch.positions.extend(0..row.ids.len() as u32);
        batch.sequences.push(start..batch.ids.len());
        for (i, supervised) in row.mask.iter().enumerate().skip(1) {
            if *supervised {
                batch.targets.push((start + i - 1, row.ids[i]));
            }
        }
    }
    batch
}

/// Tokens of a row that carry loss.
pub fn supervised_tokens(row: &Rendered) -> usize {
    row.mask.iter().skip(1).filter(|m| **m).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_lie_end_to_end_and_predict_only_their_own_supervised_tokens() {
        let row = |ids: &[u32], mask: &[bool]| Rendered { ids: ids.to_vec(), mask: mask.to_vec(), text: String::new() };
        let rows = [row(&[1, 2, 3], &[false, false, true]), row(&[4, 5], &[true, true])];
        let batch = collate(&rows);
        assert_eq!(batch.ids, [1, 2, 3, 4, 5]);
        assert_eq!(batch.positions, [0, 1, 2, 0, 1]);
        assert_eq!(batch.sequences, [0..3, 3..5]);
        // Token 4 begins its row: nothing of the row before may predict it, supervised or not.
        assert_eq!(batch.targets, [(1, 3), (3, 5)]);
        assert_eq!(rows.iter().map(supervised_tokens).sum::<usize>(), batch.targets.len());
    }
}
