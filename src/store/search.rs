//! Searching: which rows may match, by the index, and whether they do. Making the index belongs here too.

use super::gram_index::{self, Bucket, GROUP, Groups, Segment, SegmentBuilder};
use super::sqlite::{Connection, Value};
use super::{dataset_rows, row_key};
use crate::error::Result;
use std::collections::VecDeque;

/// Rows that may be without an index: looking through them takes a few milliseconds.
const UNINDEXED: u64 = 8192;

/// A text that is looked for; case counts for letters outside ASCII only.
pub(super) struct Needle(Vec<u8>);

impl Needle {
    pub fn new(text: &str) -> Needle {
        Needle(text.to_ascii_lowercase().into_bytes())
    }

    /// Whether `haystack` holds it. Bytes are enough: in UTF-8 no character begins inside another.
    pub fn is_in(&self, haystack: &[u8]) -> bool {
        let Some((&first, rest)) = self.0.split_first() else { return true };
        let Some(last) = haystack.len().checked_sub(self.0.len()) else { return false };
        let starts = haystack.get(..=last).unwrap_or_default();
        let is_here = |at: usize| haystack.get(at + 1..at + self.0.len()).is_some_and(|h| h.eq_ignore_ascii_case(rest));
        starts.iter().enumerate().any(|(at, byte)| byte.to_ascii_lowercase() == first && is_here(at))
    }
}

/// The stretches of a dataset's rows that may match, in order.
pub(super) struct Hits {
    buckets: Vec<Bucket>,
    /// Segments that were not looked at yet: id, first row, rows.
    segments: VecDeque<(i64, u64, u64)>,
    /// Rows of segments that changed since, ascending.
    changed: VecDeque<u64>,
    ready: VecDeque<(u64, u64)>,
    /// Rows before this one are dealt with.
    from: u64,
    ended: bool,
}

impl Hits {
    pub fn new(c: &Connection, dataset: i64, query: &str, from: u64) -> Result<Hits> {
        let buckets = gram_index::required(query);
        let (mut segments, mut changed) = (VecDeque::new(), VecDeque::new());
        if !buckets.is_empty() {
            let sql = "SELECT id, first_row, rows FROM search_segments WHERE dataset_id = ? ORDER BY first_row";
            c.each(sql, &[Value::Int(dataset)], |row| {
                segments.push_back((row.int(0), row.int(1) as u64, row.int(2) as u64));
                Ok(true)
            })?;
            c.each(
                "SELECT row FROM search_changed WHERE dataset_id = ? ORDER BY row",
                &[Value::Int(dataset)],
                |row| {
                    changed.push_back(row.int(0) as u64);
                    Ok(true)
                },
            )?;
        }
        Ok(Hits { buckets, segments, changed, ready: VecDeque::new(), from, ended: false })
    }

    /// The next stretch: its first row and one more than its last, `u64::MAX` for the end of the dataset.
    pub fn next(&mut self, c: &Connection) -> Result<Option<(u64, u64)>> {
        loop {
            while let Some((first, end)) = self.ready.pop_front() {
                if end > self.from {
                    return Ok(Some((first.max(self.from), end)));
                }
            }
            let Some((id, first, rows)) = self.segments.pop_front() else {
                // What no segment covers.
                let first = self.from;
                return Ok(if std::mem::replace(&mut self.ended, true) { None } else { Some((first, u64::MAX)) });
            };
            let end = first + rows;
            if end > self.from {
                self.ready = self.of_segment(c, id, first, rows)?;
            }
            // The tail begins behind the last segment; stretches of this one are cut at `from` when they are given out.
            if self.segments.is_empty() {
                self.ready.push_back((end, u64::MAX));
                self.ended = true;
            }
        }
    }

    fn of_segment(&mut self, c: &Connection, id: i64, first: u64, rows: u64) -> Result<VecDeque<(u64, u64)>> {
        let mut groups = Groups::all(rows);
        for &bucket in &self.buckets {
            let key = Value::Int(id << 12 | bucket.page());
            c.each("SELECT postings FROM search_pages WHERE id = ?", &[key], |row| {
                groups.keep(row.bytes(0), bucket);
                Ok(false)
            })?;
            if groups.is_empty() {
                break;
            }
        }
        let end = first + rows;
        let mut stretches: Vec<(u64, u64)> =
            groups.runs().into_iter().map(|(a, b)| (first + a * GROUP, (first + b * GROUP).min(end))).collect();
        let before = stretches.len();
        while let Some(row) = self.changed.pop_front_if(|row| *row < end) {
            let within = stretches[..before].partition_point(|(_, stretch_end)| *stretch_end <= row);
            if stretches[..before].get(within).is_none_or(|(start, _)| row < *start) {
                stretches.push((row, row + 1));
            }
        }
        stretches.sort_unstable();
        Ok(stretches.into())
    }
}

/// Forgets the index of a dataset.
pub(super) fn forget(c: &Connection, dataset: i64) -> Result<()> {
    let mut ids = Vec::new();
    c.each("SELECT id FROM search_segments WHERE dataset_id = ?", &[Value::Int(dataset)], |row| {
        ids.push(row.int(0));
        Ok(true)
    })?;
    for id in ids {
        let keys = [Value::Int(id << 12), Value::Int((id + 1) << 12)];
        c.run("DELETE FROM search_pages WHERE id >= ? AND id < ?", &keys)?;
    }
    c.run("DELETE FROM search_segments WHERE dataset_id = ?", &[Value::Int(dataset)])?;
    c.run("DELETE FROM search_changed WHERE dataset_id = ?", &[Value::Int(dataset)])
}

/// The first row that no segment covers.
pub(super) fn covered(c: &Connection, dataset: i64) -> Result<u64> {
    let sql = "SELECT max(first_row + rows) FROM search_segments WHERE dataset_id = ?";
    Ok(c.number(sql, &[Value::Int(dataset)])?.unwrap_or(0) as u64)
}

/// Remembers that `row` has another text than the index knows.
pub(super) fn changed(c: &Connection, dataset: i64, row: u64) -> Result<()> {
    let values = [Value::Int(dataset), Value::Int(row as i64)];
    c.run("INSERT OR IGNORE INTO search_changed VALUES (?, ?)", &values)
}

/// Keeps a finished segment.
pub(super) fn store(c: &Connection, dataset: i64, segment: &Segment) -> Result<()> {
    let place = [Value::Int(dataset), Value::Int(segment.first_row as i64), Value::Int(segment.rows as i64)];
    c.run("INSERT INTO search_segments (dataset_id, first_row, rows) VALUES (?, ?, ?)", &place)?;
    let id = c.last_id();
    for (page, at) in segment.pages.iter().zip(0..) {
        c.run("INSERT INTO search_pages VALUES (?, ?)", &[Value::Int(id << 12 | at), Value::Blob(page)])?;
    }
    Ok(())
}

/// Brings the index up to date when too many rows are outside of it. `row_end` is one more than the largest row number.
pub(super) fn refresh(c: &Connection, dataset: i64, row_end: u64) -> Result<()> {
    let count = "SELECT count(*) FROM search_changed WHERE dataset_id = ?";
    if c.number(count, &[Value::Int(dataset)])?.unwrap_or(0) as u64 > UNINDEXED {
        forget(c, dataset)?;
    }
    let first = covered(c, dataset)?;
    if row_end.saturating_sub(first) < UNINDEXED {
        return Ok(());
    }
    // Every version of a row: one index serves them all.
    let mut builder = SegmentBuilder::new(first);
    each_text(c, dataset, first, |row, texts| {
        if builder.is_full_before(row) {
            let full = std::mem::replace(&mut builder, SegmentBuilder::new(row));
            store(c, dataset, &full.finish())?;
        }
        builder.add(row, texts);
        Ok(())
    })?;
    // Rows at the end that are gone from every version are covered too.
    store(c, dataset, &builder.finish())
}

/// Hands the texts of every record from the row `first` on to `on`.
pub(super) fn each_text(
    c: &Connection,
    dataset: i64,
    first: u64,
    mut on: impl FnMut(u64, [&str; 6]) -> Result<()>,
) -> Result<()> {
    let sql = format!("SELECT {} FROM dataset_rows WHERE id >= ? AND id < ?", dataset_rows::COLUMNS);
    let keys = [Value::Int(row_key::key(dataset, first)), Value::Int(row_key::end(dataset))];
    c.each(&sql, &keys, |row| {
        let mut texts = [""; 6];
        for (text, column) in texts.iter_mut().zip(dataset_rows::TEXTS) {
            *text = row.text(column)?;
        }
        on(row_key::row_of(row.int(0)), texts)?;
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_needle_is_found_wherever_it_stands() {
        for (needle, haystack, found) in [
            ("", "", true),
            ("a", "", false),
            ("FUND", "a fund", true),
            ("fund", "Fun", false),
            ("fund", "funfunfund", true),
            ("基金", "买基金吗", true),
            ("É", "é", false),
            ("%", "100", false),
        ] {
            assert_eq!(Needle::new(needle).is_in(haystack.as_bytes()), found, "{needle:?} in {haystack:?}");
        }
    }
}
