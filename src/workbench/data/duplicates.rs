//! Which rows were met already, for as many rows as a disk holds.

use crate::data::RowHash;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// Sixteen bytes of a SHA-256: among 12 million rows two different ones share them with a probability of 2e-25, so the
/// rows themselves need not be looked up. Half a full hash, because this is what an import keeps in memory per row.
type Key = [u8; 16];

/// Many small tables: only one of them at a time is copied when it grows.
const PARTS: usize = 64;

/// A set of row hashes: about 24 bytes a row.
pub(super) struct Seen {
    parts: Vec<HashSet<Key, BuildHasherDefault<Prefix>>>,
}

impl Default for Seen {
    fn default() -> Self {
        Seen { parts: (0..PARTS).map(|_| HashSet::default()).collect() }
    }
}

impl Seen {
    /// Takes `hash` in; `false` when it was there.
    pub fn insert(&mut self, hash: &RowHash) -> bool {
        let [head, ..] = hash;
        let part = usize::from(*head) % PARTS;
        // The first byte chose the part and is the same for most of it.
        let key = hash.get(1..17).and_then(|bytes| Key::try_from(bytes).ok()).unwrap_or_default();
        self.parts.get_mut(part).is_none_or(|part| part.insert(key))
    }
}

/// The bytes of a hash are as good as random: eight of them are the hash of the key.
#[derive(Default)]
pub(super) struct Prefix(u64);

impl Hasher for Prefix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(head) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*head);
        }
    }

    // A key's length, which is always the same.
    fn write_usize(&mut self, _: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Example;

    #[test]
    fn a_hash_is_new_once() {
        let hash = |i: usize| Example { instruction: i.to_string(), ..Example::default() }.hash();
        let mut seen = Seen::default();
        assert!((0..10_000).all(|i| seen.insert(&hash(i))));
        assert!((0..10_000).all(|i| !seen.insert(&hash(i))));
        assert!(seen.insert(&hash(10_000)));
    }
}
