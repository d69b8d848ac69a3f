//! Plain texts as sequences for pre-training: end to end, cut where a sequence is full.

use crate::prompt::Rendered;

/// Lays documents (token ids, each with its end) end to end and cuts the whole into sequences of `max_len` tokens:
/// what does not fit goes on in the next one, so that every token is in exactly one sequence, in order. Every token is
/// supervised; the first of a sequence only begins it, since nothing stands before it.
///
/// A single token that is left over at the end would be predicted by nothing: the sequence before gives it one of its own
/// tokens. `max_len` is at least 3. A document that is given away is let go of as soon as it is laid out.
pub fn fill<D: AsRef<[u32]>>(documents: impl IntoIterator<Item = D>, max_len: usize) -> Vec<Rendered> {
    let sequence = |ids: Vec<u32>| Rendered { mask: vec![true; ids.len()], ids, text: String::new() };
    let mut sequences: Vec<Rendered> = Vec::new();
    let mut open: Vec<u32> = Vec::with_capacity(max_len);
    for document in documents {
        let mut document = document.as_ref();
        while !document.is_empty() {
            let (here, rest) = document.split_at(document.len().min(max_len - open.len()));
            open.extend_from_slice(here);
            document = rest;
            if open.len() == max_len {
                sequences.push(sequence(std::mem::replace(&mut open, Vec::with_capacity(max_len))));
            }
        }
    }
    if let ([_], Some(before)) = (&open[..], sequences.last_mut().filter(|before| before.ids.len() > 2)) {
        before.mask.pop();
        open.splice(0..0, before.ids.pop());
    }
    if !open.is_empty() {
        sequences.push(sequence(open));
    }
    sequences
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn no_token_is_lost_or_doubled_and_all_are_supervised() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for _ in 0..300 {
            let max_len = rng.random_range(3..40);
            let mut next = 0u32;
            let documents: Vec<Vec<u32>> = (0..rng.random_range(1..20))
                .map(|_| {
                    let len = rng.random_range(1..90);
                    next += len;
                    (next - len..next).collect()
                })
                .collect();
            let sequences = fill(documents.iter().map(Vec::as_slice), max_len);
            let ids: Vec<u32> = sequences.iter().flat_map(|s| s.ids.iter().copied()).collect();
            // Every token has a number of its own, so order, loss and doubling all show.
            assert_eq!(ids, (0..next).collect::<Vec<_>>());
            assert!(sequences.iter().all(|s| s.ids.len() == s.mask.len() && s.mask.iter().all(|m| *m)));
            assert!(sequences.iter().all(|s| s.ids.len() <= max_len));
            assert_eq!(sequences.len(), (next as usize).div_ceil(max_len));
            // A sequence of one token would teach nothing.
            assert!(next < 2 || sequences.iter().all(|s| s.ids.len() > 1));
            let full = sequences.len().saturating_sub(2);
            assert!(sequences[..full].iter().all(|s| s.ids.len() == max_len));
        }
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(fill([[0u32; 0]], 8).is_empty() && fill([[0u32; 0]; 0], 8).is_empty());
        assert_eq!(fill([&[7u32][..]], 8)[0].ids, [7]);
    }
}
