//! An index over the texts of rows that answers: which rows *may* hold this text? It is built of short character
//! sequences, so any part of a text is found, in Chinese as in English, and what it names is then looked at itself.
//!
//! A *gram* is a character outside ASCII, two neighbouring characters of which one is outside ASCII, or three
//! neighbouring ASCII characters; ASCII letters count in lower case. A gram is known by its *bucket*, a hash of it: two
//! grams in one bucket only make more rows be looked at. Sixteen consecutive rows are one *group*, which makes the index
//! a third as large as one of single rows; up to 8,192 groups are one *segment*, which fits in memory while it is built.
//! A segment lists for every bucket its groups, ascending, sixty-four buckets to a page.

/// Rows in a group.
pub(super) const GROUP: u64 = 16;
/// Groups in a segment, at most.
const GROUPS: usize = 8192;
const BUCKET_BITS: u32 = 18;
const BUCKETS: usize = 1 << BUCKET_BITS;
/// Buckets in a page.
const PER_PAGE: usize = 64;
/// (group, bucket) pairs after which a segment is closed whatever its rows: long rows must not take more memory.
const PAIRS: usize = 8 << 20;

/// A place in the hashed space of grams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bucket(u32);

impl Bucket {
    /// The page that lists it.
    pub fn page(self) -> i64 {
        i64::from(self.0) / PER_PAGE as i64
    }

    fn of(a: char, b: char, c: char) -> Bucket {
        // 21 bits hold any character; a shorter gram has zeros in front.
        let key = u64::from(u32::from(a)) << 42 | u64::from(u32::from(b)) << 21 | u64::from(u32::from(c));
        // Fibonacci hashing: the high bits of the product depend on every bit of the key.
        Bucket((key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BUCKET_BITS)) as u32)
    }
}

/// Hands the bucket of every gram of `text` to `on`.
pub(super) fn grams(text: &str, mut on: impl FnMut(Bucket)) {
    // A NUL stands for "no character yet": it cannot make a gram of its own.
    let (mut a, mut b) = ('\0', '\0');
    for c in text.chars() {
        let c = c.to_ascii_lowercase();
        if !c.is_ascii() {
            on(Bucket::of('\0', '\0', c));
        }
        if b != '\0' {
            if !(b.is_ascii() && c.is_ascii()) {
                on(Bucket::of('\0', b, c));
            } else if a != '\0' && a.is_ascii() {
                on(Bucket::of(a, b, c));
            }
        }
        (a, b) = (b, c);
    }
}

/// The buckets that a text with `query` in it must have; none when the query is too short to tell.
pub(super) fn required(query: &str) -> Vec<Bucket> {
    let mut buckets = Vec::new();
    grams(query, |bucket| buckets.push(bucket));
    buckets.sort_unstable();
    buckets.dedup();
    buckets
}

/// A finished segment.
pub(super) struct Segment {
    /// Its first row.
    pub first_row: u64,
    /// How many rows it covers.
    pub rows: u64,
    /// Its pages, in order.
    pub pages: Vec<Vec<u8>>,
}

/// Builds one segment from rows in order.
pub(super) struct SegmentBuilder {
    first_row: u64,
    /// One more than the last row.
    end: u64,
    /// Buckets of the group in the making, as bits and as a list.
    present: Vec<u64>,
    listed: Vec<u32>,
    /// `group << BUCKET_BITS | bucket`, ascending by group.
    pairs: Vec<u32>,
}

impl SegmentBuilder {
    /// A builder for a segment that begins with the row `first_row`.
    pub fn new(first_row: u64) -> SegmentBuilder {
        let present = vec![0; BUCKETS / 64];
        SegmentBuilder { first_row, end: first_row, present, listed: Vec::new(), pairs: Vec::new() }
    }

    /// How many rows it covers so far.
    pub fn rows(&self) -> u64 {
        self.end - self.first_row
    }

    /// Whether `row` belongs to the next segment.
    pub fn is_full_before(&self, row: u64) -> bool {
        let starts_group = (row - self.first_row).is_multiple_of(GROUP);
        starts_group && ((row - self.first_row) / GROUP >= GROUPS as u64 || self.pairs.len() >= PAIRS)
    }

    /// Takes the texts of `row`, which is not before the last one.
    pub fn add<'t>(&mut self, row: u64, texts: impl IntoIterator<Item = &'t str>) {
        let group = |row: u64| (row - self.first_row) / GROUP;
        if self.rows() > 0 && group(row) != group(self.end - 1) {
            self.close_group();
        }
        self.end = row + 1;
        for text in texts {
            grams(text, |Bucket(bucket)| {
                if let Some(word) = self.present.get_mut(bucket as usize / 64) {
                    let bit = 1 << (bucket % 64);
                    if *word & bit == 0 {
                        *word |= bit;
                        self.listed.push(bucket);
                    }
                }
            });
        }
    }

    fn close_group(&mut self) {
        let group = ((self.end - 1 - self.first_row) / GROUP) as u32;
        for bucket in self.listed.drain(..) {
            if let Some(word) = self.present.get_mut(bucket as usize / 64) {
                *word = 0;
            }
            self.pairs.push(group << BUCKET_BITS | bucket);
        }
    }

    /// The segment.
    pub fn finish(mut self) -> Segment {
        if self.rows() > 0 {
            self.close_group();
        }
        // Counting sort by bucket; the groups of a bucket stay in order.
        let bucket_of = |pair: u32| (pair as usize) & (BUCKETS - 1);
        let mut ends = vec![0u32; BUCKETS + 1];
        for &pair in &self.pairs {
            if let Some(count) = ends.get_mut(bucket_of(pair) + 1) {
                *count += 1;
            }
        }
        for at in 1..ends.len() {
            ends[at] += ends[at - 1];
        }
        let mut next = ends.clone();
        let mut groups = vec![0u16; self.pairs.len()];
        for &pair in &self.pairs {
            if let Some(at) = next.get_mut(bucket_of(pair)) {
                groups[*at as usize] = (pair >> BUCKET_BITS) as u16;
                *at += 1;
            }
        }
        let all = self.rows().div_ceil(GROUP) as usize;
        let list = |bucket: usize| &groups[ends[bucket] as usize..ends[bucket + 1] as usize];
        let page =
            |first: usize| (first..first + PER_PAGE).fold(Vec::new(), |page, at| write_list(page, list(at), all));
        let pages = (0..BUCKETS).step_by(PER_PAGE).map(page).collect();
        Segment { first_row: self.first_row, rows: self.rows(), pages }
    }
}

/// A list as the page holds it: `length << 1 | kind`, then `length` bytes: the gaps between the groups (kind 0), or one
/// bit for each of the segment's groups (kind 1) where that is shorter.
fn write_list(mut page: Vec<u8>, groups: &[u16], all: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut last = 0;
    for &group in groups {
        write_number(&mut bytes, u32::from(group) - last);
        last = u32::from(group);
    }
    let bitmap = all.div_ceil(8);
    let kind = u32::from(bytes.len() > bitmap);
    if kind == 1 {
        bytes = vec![0; bitmap];
        for &group in groups {
            bytes[usize::from(group) / 8] |= 1 << (group % 8);
        }
    }
    write_number(&mut page, (bytes.len() as u32) << 1 | kind);
    page.extend(bytes);
    page
}

/// Seven bits a byte, the lowest first; the high bit says that more follow.
fn write_number(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_number(bytes: &mut &[u8]) -> Option<u32> {
    let (mut number, mut shift) = (0u32, 0);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}

/// The groups of a segment that are still possible.
pub(super) struct Groups(Vec<u64>);

impl Groups {
    /// All groups of a segment of `rows` rows.
    pub fn all(rows: u64) -> Groups {
        let count = (rows.div_ceil(GROUP) as usize).min(GROUPS);
        let mut words = vec![u64::MAX; count.div_ceil(64)];
        if let (Some(last), 1..) = (words.last_mut(), count % 64) {
            *last = (1 << (count % 64)) - 1;
        }
        Groups(words)
    }

    /// Keeps the groups that `page` lists for `bucket`. A page that cannot be read keeps them all: the rows themselves decide.
    pub fn keep(&mut self, page: &[u8], bucket: Bucket) {
        if let Some(listed) = read_list(page, bucket.0 as usize % PER_PAGE, self.0.len()) {
            for (word, listed) in self.0.iter_mut().zip(listed) {
                *word &= listed;
            }
        }
    }

    /// Whether no group is left.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The runs of neighbouring groups that are left: first and one more than the last.
    pub fn runs(&self) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (at, word) in self.0.iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                let group = at as u64 * 64 + u64::from(word.trailing_zeros());
                match runs.last_mut() {
                    Some((_, end)) if *end == group => *end += 1,
                    _ => runs.push((group, group + 1)),
                }
                word &= word - 1;
            }
        }
        runs
    }
}

fn read_list(page: &[u8], at: usize, words: usize) -> Option<Vec<u64>> {
    let mut rest = page;
    for _ in 0..at {
        let head = read_number(&mut rest)?;
        rest = rest.get((head >> 1) as usize..)?;
    }
    let head = read_number(&mut rest)?;
    let mut bytes = rest.get(..(head >> 1) as usize)?;
    let mut listed = vec![0u64; words];
    if head & 1 == 1 {
        for (at, byte) in bytes.iter().enumerate() {
            *listed.get_mut(at / 8)? |= u64::from(*byte) << (at % 8 * 8);
        }
        return Some(listed);
    }
    let mut group = 0;
    while !bytes.is_empty() {
        group += read_number(&mut bytes)? as usize;
        *listed.get_mut(group / 64)? |= 1 << (group % 64);
    }
    Some(listed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    /// Groups that the index names for `query`.
    fn found(segment: &Segment, query: &str) -> Vec<u64> {
        let mut groups = Groups::all(segment.rows);
        for bucket in required(query) {
            groups.keep(&segment.pages[bucket.page() as usize], bucket);
        }
        groups.runs().into_iter().flat_map(|(from, to)| from..to).collect()
    }

    #[test]
    fn every_part_of_every_text_is_found() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let alphabet: Vec<char> = "abcXY 12,。债券基金利率é".chars().collect();
        let rows: Vec<String> = (0..5000)
            .map(|_| {
                (0..random.random_range(0..30)).map(|_| alphabet[random.random_range(0..alphabet.len())]).collect()
            })
            .collect();
        let mut builder = SegmentBuilder::new(7);
        for (row, text) in rows.iter().enumerate() {
            builder.add(7 + row as u64, [text.as_str(), "x"]);
        }
        let segment = builder.finish();
        assert_eq!((segment.first_row, segment.rows, segment.pages.len()), (7, 5000, 4096));
        let mut named = 0;
        for _ in 0..2000 {
            let row = random.random_range(0..rows.len());
            let chars: Vec<char> = rows[row].chars().collect();
            let from = random.random_range(0..=chars.len());
            let query: String = chars[from..random.random_range(from..=chars.len())].iter().collect();
            let groups = found(&segment, &query.to_ascii_uppercase());
            assert!(groups.contains(&(row as u64 / GROUP)), "{query:?} of row {row}");
            named += usize::from(query.chars().count() > 5) * groups.len();
        }
        assert!(named < 2000 * 20, "long queries name few groups: {named}");
        assert!(found(&segment, "no such text").is_empty());
    }

    #[test]
    fn short_queries_of_ascii_name_everything_and_a_chinese_character_does_not() {
        let mut builder = SegmentBuilder::new(0);
        for row in 0..100 {
            builder.add(row, [if row == 40 { "利率" } else { "bond" }]);
        }
        let segment = builder.finish();
        for query in ["", "b", "on"] {
            assert_eq!(found(&segment, query).len(), 7, "{query}");
        }
        for query in ["利", "率", "利率"] {
            assert_eq!(found(&segment, query), [2], "{query}");
        }
        assert!(found(&segment, "率利").is_empty());
    }

    #[test]
    fn a_segment_closes_on_a_group_border() {
        let mut builder = SegmentBuilder::new(5);
        builder.add(5, ["abc"]);
        assert!(!builder.is_full_before(5 + 8192 * 16 - 1));
        assert!(builder.is_full_before(5 + 8192 * 16));
    }

    #[test]
    fn a_damaged_page_hides_nothing() {
        for page in [&[][..], &[0xff; 12], &[8, 1]] {
            let mut groups = Groups::all(1000);
            groups.keep(page, Bucket(0));
            assert_eq!(groups.runs(), [(0, 63)]);
        }
    }
}
