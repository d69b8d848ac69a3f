//! Processes that train together: each works through some micro-batches of a step, and gradients are added up (data parallel).
//!
//! Which micro-batches make a step does not depend on how many processes share it, so neither does the loss, beyond the order in
//! which sums are taken. That order is by rank: a run repeats to the bit, and all processes hold the same bits.

use crate::error::{Error, Result};
use crate::ops::cuda::{Buffer, Device};
use std::sync::Arc;

/// The processes of a training, seen from one of them. Every process makes the same calls in the same order.
pub trait Peers: Send + Sync {
    /// Which one this is; the first, 0, stores and shows.
    fn rank(&self) -> usize;

    /// How many there are.
    fn count(&self) -> usize;

    /// Replaces `values` by their sum over all processes, added in the order of ranks.
    ///
    /// # Errors
    /// A process that is gone.
    fn sum(&self, values: &mut [f32]) -> Result<()>;

    /// The same in double precision, for a few numbers.
    ///
    /// # Errors
    /// As [`Peers::sum`].
    fn sum_wide(&self, values: &mut [f64]) -> Result<()>;

    /// Gives the first process's bytes to all.
    ///
    /// # Errors
    /// As [`Peers::sum`].
    fn share(&self, bytes: Vec<u8>) -> Result<Vec<u8>>;

    /// Lets the cards add up among themselves from now on, where all can; whether they do.
    ///
    /// # Errors
    /// As [`Peers::sum`], and those of the cards' library.
    fn meet_on_cards(&self, _device: &Arc<dyn Device>) -> Result<bool> {
        Ok(false)
    }

    /// As [`Peers::sum`] for numbers on a card.
    ///
    /// # Errors
    /// As [`Peers::sum`], and those of the card.
    fn sum_on_card(&self, values: &Buffer<f32>) -> Result<()> {
        let mut here = values.read()?;
        self.sum(&mut here)?;
        values.write(&here)
    }
}

/// Whether micro-batch `index` of a step is `peers`' to work through.
pub(super) fn is_mine(peers: Option<&dyn Peers>, index: usize) -> bool {
    peers.is_none_or(|peers| index % peers.count().max(1) == peers.rank())
}

/// That a step has a micro-batch for every process.
///
/// # Errors
/// `Usage` that names the flag.
pub(super) fn check(peers: Option<&dyn Peers>, accum: usize) -> Result<()> {
    let Some(count) = peers.map(Peers::count).filter(|count| !accum.is_multiple_of((*count).max(1))) else {
        return Ok(());
    };
    Err(Error::new(
        crate::error::Kind::Usage,
        crate::tr!(
            "{count} processes share the micro-batches of a step, and --accum is {accum}",
            "{count} 个进程分担每一步的微批次，而 --accum 为 {accum}"
        ),
    )
    .hint(crate::tr!(
        "set --accum to a multiple of {count}; lower --batch-size by as much to keep the step's size",
        "请把 --accum 设为 {count} 的倍数；可相应调低 --batch-size 以保持每步大小"
    )))
}
