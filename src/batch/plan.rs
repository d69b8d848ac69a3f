//! Which rows form which micro-batch of an epoch.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How micro-batches are formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Rows (packing off) or filled sequences (packing on) in a micro-batch.
    pub batch_size: usize,
    /// Longest sequence, in tokens.
    pub max_len: usize,
    /// Whether several rows share one sequence of `max_len` tokens.
    pub packing: bool,
    /// Whether rows of similar length share a micro-batch (packing off). Nothing here is padded, so this saves no
    /// arithmetic as it does elsewhere: it evens out what a step needs of memory and time within an accumulation window.
    #[serde(default)]
    pub bucket: bool,
    /// Whether rows come in the dataset's order in every epoch, as a curriculum wants it, and not shuffled.
    #[serde(default)]
    pub in_order: bool,
}

/// Rows in order are packed within stretches of this many: enough to fill sequences, few enough to keep the order.
const PACKED_AT_ONCE: usize = 256;

/// Rows are put in order of length within stretches of this many micro-batches: enough for similar lengths to meet,
/// few enough for other rows to meet in every epoch.
const BUCKETED_AT_ONCE: usize = 64;

/// The micro-batches of epoch `epoch`, as row numbers. Every row appears once; the order depends only
/// on `seed` and `epoch` (or on nothing, where rows come in the dataset's order), and the number of micro-batches is the same in every epoch.
///
/// With packing each row goes, the longest first, into the fullest sequence that still has room for all
/// of it (best-fit decreasing): no row is cut and none is left over. With buckets each stretch of the shuffled rows is
/// sorted by length and cut into micro-batches, which then come in shuffled order.
pub fn epoch_plan(lengths: &[usize], shape: Shape, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch);
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.shuffle(&mut rng);
    let rows_at_once = shape.batch_size.max(1);
    if shape.in_order {
        let packed = |stretch: &[usize]| pack(stretch, lengths, shape.max_len);
        let rows: Vec<usize> = (0..lengths.len()).collect();
        let units: Vec<Vec<usize>> = match shape.packing {
            true => rows.chunks(PACKED_AT_ONCE).flat_map(packed).collect(),
            false => rows.into_iter().map(|row| vec![row]).collect(),
        };
        return units.chunks(rows_at_once).map(<[_]>::concat).collect();
    }
    if shape.bucket && !shape.packing {
        for stretch in order.chunks_mut(rows_at_once.saturating_mul(BUCKETED_AT_ONCE)) {
            stretch.sort_by_key(|row| lengths[*row]);
        }
        let mut batches: Vec<Vec<usize>> = order.chunks(rows_at_once).map(<[_]>::to_vec).collect();
        batches.shuffle(&mut rng);
        return batches;
    }
    let units: Vec<Vec<usize>> = if shape.packing {
        let mut packed = pack(&order, lengths, shape.max_len);
        packed.shuffle(&mut rng);
        packed
    } else {
        order.into_iter().map(|row| vec![row]).collect()
    };
    units.chunks(rows_at_once).map(<[_]>::concat).collect()
}

fn pack(order: &[usize], lengths: &[usize], capacity: usize) -> Vec<Vec<usize>> {
    let mut rows = order.to_vec();
    // Stable: among rows of one length the shuffled order decides, so epochs differ.
    rows.sort_by_key(|row| std::cmp::Reverse(lengths[*row]));
    let mut bins: Vec<Vec<usize>> = Vec::new();
    // (room left, bin): the first entry with room ≥ length is the best fit.
    let mut room: BTreeSet<(usize, usize)> = BTreeSet::new();
    for row in rows {
        let length = lengths[row];
        let best = room.range((length, 0)..).next().copied();
        let (left, bin) = match best {
            Some(entry) => {
                room.remove(&entry);
                entry
            }
            None => {
                bins.push(Vec::new());
                (capacity.max(length), bins.len() - 1)
            }
        };
        bins[bin].push(row);
        room.insert((left - length, bin));
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_appears_once_and_no_packed_sequence_overflows() {
        let lengths: Vec<usize> = (0..500).map(|i| 1 + (i * 7919) % 200).collect();
        for packing in [false, true] {
            let shape = Shape { batch_size: 1, max_len: 256, packing, bucket: false, in_order: false };
            let plans: Vec<_> = (0..3).map(|epoch| epoch_plan(&lengths, shape, 9, epoch)).collect();
            for plan in &plans {
                let mut seen: Vec<usize> = plan.concat();
                seen.sort_unstable();
                assert_eq!(seen, (0..500).collect::<Vec<_>>());
                assert!(plan.iter().all(|rows| rows.iter().map(|r| lengths[*r]).sum::<usize>() <= 256));
                assert_eq!(plan.len(), plans[0].len());
            }
            assert_ne!(plans[0], plans[1]);
            assert_eq!(plans[0], epoch_plan(&lengths, shape, 9, 0));
        }
        let packed = epoch_plan(
            &lengths,
            Shape { batch_size: 1, max_len: 256, packing: true, bucket: false, in_order: false },
            9,
            0,
        );
        let least = lengths.iter().sum::<usize>().div_ceil(256);
        assert!(packed.len() <= least + least / 20 + 1, "{} sequences for a bound of {least}", packed.len());
    }

    #[test]
    fn rows_in_order_stay_in_order() {
        let lengths: Vec<usize> = (0..1000).map(|i| 1 + (i * 7919) % 100).collect();
        let shape = Shape { batch_size: 3, max_len: 256, packing: false, bucket: false, in_order: true };
        let plan = epoch_plan(&lengths, shape, 9, 1);
        assert_eq!(plan.concat(), (0..1000).collect::<Vec<_>>());
        let packed = epoch_plan(&lengths, Shape { packing: true, ..shape }, 9, 0).concat();
        let mut seen = packed.clone();
        seen.sort_unstable();
        assert_eq!(seen, (0..1000).collect::<Vec<_>>());
        for (place, row) in packed.iter().enumerate() {
            assert!(place.abs_diff(*row) < PACKED_AT_ONCE, "row {row} came as number {place}");
        }
    }

    #[test]
    fn buckets_hold_rows_of_similar_length_each_once_in_another_order_every_epoch() {
        let lengths: Vec<usize> = (0..1001).map(|i| 1 + (i * 7919) % 500).collect();
        let shape = Shape { batch_size: 8, max_len: 512, packing: false, bucket: true, in_order: false };
        let plans: Vec<_> = (0..2).map(|epoch| epoch_plan(&lengths, shape, 9, epoch)).collect();
        for plan in &plans {
            let mut seen: Vec<usize> = plan.concat();
            seen.sort_unstable();
            assert_eq!(seen, (0..1001).collect::<Vec<_>>());
            assert_eq!(plan.len(), 1001_usize.div_ceil(8));
        }
        assert_ne!(plans[0], plans[1]);
        assert_eq!(plans[0], epoch_plan(&lengths, shape, 9, 0));
        assert_ne!(plans[0], epoch_plan(&lengths, shape, 10, 0));
        let spread = |plan: &[Vec<usize>]| -> f64 {
            let of = |batch: &Vec<usize>| {
                let lengths = batch.iter().map(|row| lengths[*row]);
                lengths.clone().max().unwrap_or(0) - lengths.min().unwrap_or(0)
            };
            plan.iter().map(of).sum::<usize>() as f64 / plan.len() as f64
        };
        let shuffled = epoch_plan(&lengths, Shape { bucket: false, ..shape }, 9, 0);
        assert!(spread(&plans[0]) * 20.0 < spread(&shuffled), "{} {}", spread(&plans[0]), spread(&shuffled));
        // Batches come shuffled, not from short to long.
        let firsts: Vec<usize> = plans[0].iter().map(|batch| lengths[batch[0]]).collect();
        assert!(!firsts.is_sorted());
    }
}
