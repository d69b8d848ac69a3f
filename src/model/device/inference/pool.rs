//! Where keys and values lie on a card: one pool of rows for all sequences. A stretch of tokens is a list of rows; several may
//! list the same ones (a shared prefix, a continued conversation), and a row is free when nobody lists it any more.

use crate::error::Result;
use crate::ops::cuda::{Buffer, CachedKeys, Device, Number};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often each row is listed, and which are free.
#[derive(Default)]
struct RowBook {
    uses: Vec<u32>,
    free: Vec<u32>,
}

impl RowBook {
    fn use_again(&mut self, rows: &[u32]) {
        for row in rows {
            self.uses[*row as usize] += 1;
        }
    }

    fn give_back(&mut self, rows: &[u32]) {
        // The first of them comes first when rows are taken again: neighbours stay neighbours.
        for row in rows.iter().rev() {
            let uses = &mut self.uses[*row as usize];
            *uses -= 1;
            if *uses == 0 {
                self.free.push(*row);
            }
        }
    }
}

/// Rows of a pool, held until this is dropped.
pub struct PoolRows {
    book: Arc<Mutex<RowBook>>,
    rows: Vec<u32>,
    /// Bytes of a row in all blocks.
    bytes: usize,
}

impl PoolRows {
    fn book(&self) -> MutexGuard<'_, RowBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows, in the order of their tokens.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Bytes that they take on the card, shared or not.
    pub fn bytes(&self) -> usize {
        self.rows.len() * self.bytes
    }

    /// Lists the rows of `next` after its own.
    pub fn append(&mut self, next: &PoolRows) {
        self.book().use_again(&next.rows);
        self.rows.extend_from_slice(&next.rows);
    }

    /// Gives back all but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        if len < self.rows.len() {
            let rest = self.rows.split_off(len);
            self.book().give_back(&rest);
        }
    }

    /// Whether they are of the pool that `other` is of.
    pub fn is_of(&self, other: &PoolRows) -> bool {
        Arc::ptr_eq(&self.book, &other.book)
    }
}

impl Clone for PoolRows {
    fn clone(&self) -> Self {
        self.book().use_again(&self.rows);
        PoolRows { book: Arc::clone(&self.book), rows: self.rows.clone(), bytes: self.bytes }
    }
}

impl Drop for PoolRows {
    fn drop(&mut self) {
        self.book().give_back(&self.rows);
    }
}

/// Keys and values of a model's blocks.
pub(super) struct KvPool<T: Number> {
    device: Arc<dyn Device>,
    book: Arc<Mutex<RowBook>>,
    /// Keys and values of each block.
    blocks: Vec<[Buffer<T>; 2]>,
    width: usize,
    capacity: usize,
    /// How often its buffers have moved.
    pub(super) moves: u64,
}

/// Rows of a pool in the beginning.
const FIRST_ROWS: usize = 1024;

/// Rows by which it grows at least.
const STEP: usize = 256;

impl<T: Number> KvPool<T> {
    /// For `blocks` blocks whose keys have `width` numbers.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub(super) fn new(device: &Arc<dyn Device>, blocks: usize, width: usize) -> Result<KvPool<T>> {
        let room = |_| Ok([Buffer::room(device, 0)?, Buffer::room(device, 0)?]);
        let blocks = (0..blocks).map(room).collect::<Result<_>>()?;
        let (device, book) = (Arc::clone(device), Arc::default());
        Ok(KvPool { device, book, blocks, width, capacity: 0, moves: 0 })
    }

    /// `count` free rows. The pool grows when there are too few.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub(super) fn take(&mut self, count: usize) -> Result<PoolRows> {
        let lock = |book: &Arc<Mutex<RowBook>>| book.lock().unwrap_or_else(PoisonError::into_inner).free.len();
        let missing = count.saturating_sub(lock(&self.book));
        if missing > 0 {
            let least = (self.capacity + missing).next_multiple_of(STEP);
            // Twice as much, so that growing is rare; where that does not fit, what is needed.
            let wished = least.max(2 * self.capacity).max(FIRST_ROWS);
            self.grow(wished).or_else(|e| if wished > least { self.grow(least) } else { Err(e) })?;
        }
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = book.free.len() - count;
        let mut rows = book.free.split_off(rest);
        rows.reverse();
        book.use_again(&rows);
        let bytes = 2 * self.blocks.len() * self.width * size_of::<T>();
        Ok(PoolRows { book: Arc::clone(&self.book), rows, bytes })
    }

    /// A block at a time, so that the old and the new are never there together as a whole. What was there stays.
    fn grow(&mut self, capacity: usize) -> Result<()> {
        let (device, numbers, kept) = (&self.device, capacity * self.width, self.capacity * self.width);
        self.moves += 1;
        for buffer in self.blocks.iter_mut().flatten() {
            if buffer.len() < numbers {
                let larger = Buffer::room(device, numbers)?;
                larger.copy_from(buffer, kept)?;
                *buffer = larger;
            }
        }
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = (self.capacity as u32..capacity as u32).rev();
        book.free.splice(0..0, fresh);
        book.uses.resize(capacity, 0);
        self.capacity = capacity;
        Ok(())
    }

    /// Keys and values of a block.
    pub(super) fn block(&self, index: usize) -> CachedKeys<'_, T> {
        let [keys, values] = &self.blocks[index];
        CachedKeys { keys, values }
    }

    /// Row width.
    pub(super) fn width(&self) -> usize {
        self.width
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::cuda::emulator::{Emulator, available};

    #[test]
    fn rows_are_free_when_nobody_lists_them_and_keep_what_they_hold_when_the_pool_grows() {
        if !available() {
            return;
        }
        let device = Emulator::device(false);
        let mut pool = KvPool::<f32>::new(&device, 2, 8).unwrap();
        let mut first = pool.take(3).unwrap();
        assert_eq!(first.rows(), [0, 1, 2]);
        let shared = first.clone();
        let next = pool.take(2).unwrap();
        first.append(&next);
        drop(next);
        pool.block(1).values.write(&[7.0; 24]).unwrap();
        let rest = pool.take(FIRST_ROWS).unwrap();
        assert_eq!((pool.moves, rest.rows().len()), (2, FIRST_ROWS));
        assert_eq!(pool.block(1).values.read_first(24).unwrap(), [7.0; 24]);
        // No row is listed twice.
        assert!(first.rows().iter().all(|row| !rest.rows().contains(row)));
        let free = |pool: &KvPool<f32>| pool.book.lock().unwrap().free.len();
        let before = free(&pool);
        first.truncate(1);
        assert_eq!(free(&pool), before + 2, "the two that are listed elsewhere are not free");
        drop(first);
        assert_eq!(free(&pool), before + 2);
        drop(shared);
        drop(rest);
        assert_eq!(free(&pool), 2 * FIRST_ROWS);
    }
}
