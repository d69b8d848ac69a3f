//! Texts as runs of tokens, by which copies and near copies are found.
//!
//! Each ideograph is one token, each run of other letters and digits is one, in lower case and with full-width forms made
//! narrow; punctuation and white space only separate.

/// Tokens of a run by which near-duplicates are found.
pub const SHINGLE: usize = 3;

/// The tokens of `text`, as hashes.
pub(super) fn tokens(text: &str) -> Vec<u64> {
    let mut out = Vec::new();
    let mut word = 0u64;
    for c in text.chars() {
        let code = u32::from(c);
        // Full-width Latin letters, digits and signs lie at a fixed distance from ASCII.
        let narrow = if (0xff01..=0xff5e).contains(&code) { char::from_u32(code - 0xfee0).unwrap_or(c) } else { c };
        let ideograph = is_ideograph(narrow);
        if !narrow.is_alphanumeric() || ideograph {
            if word != 0 {
                out.push(word);
                word = 0;
            }
            if ideograph {
                out.push(mix(SEED, u64::from(code)));
            }
            continue;
        }
        for lower in narrow.to_lowercase() {
            word = mix(if word == 0 { SEED } else { word }, u64::from(u32::from(lower)));
        }
    }
    if word != 0 {
        out.push(word);
    }
    out
}

/// Writing without spaces between words: one character is one token.
fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// One step of a 64-bit hash (splitmix64's finaliser): so few texts meet in one value that none is compared again.
pub(super) fn mix(h: u64, value: u64) -> u64 {
    let mut x = h.rotate_left(5) ^ value.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The hash of a run of tokens.
pub(super) fn run_hash(run: &[u64]) -> u64 {
    run.iter().fold(SEED, |h, t| mix(h, *t))
}

/// The runs of [`SHINGLE`] tokens, sorted, each once.
pub(super) fn shingle_set(tokens: &[u64]) -> Vec<u64> {
    let mut set: Vec<u64> = tokens.windows(SHINGLE).map(run_hash).collect();
    set.sort_unstable();
    set.dedup();
    set
}

/// How many values two sorted lists share.
pub(super) fn common(a: &[u64], b: &[u64]) -> usize {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut count = 0;
    while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
        match x.cmp(y) {
            std::cmp::Ordering::Less => {
                a.next();
            }
            std::cmp::Ordering::Greater => {
                b.next();
            }
            std::cmp::Ordering::Equal => {
                count += 1;
                a.next();
                b.next();
            }
        }
    }
    count
}
