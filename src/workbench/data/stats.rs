//! Figures of a dataset: how many rows, how long, from where. One pass; memory does not grow with the rows.

use super::super::{Workbench, models};
use crate::data::Example;
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::model::Tokenizer;
use crate::store::{RowQuery, StoredRow};
use crate::tr;
use serde::Serialize;
use std::collections::BTreeMap;

/// What `data stats` found.
#[derive(Clone, Debug, Serialize)]
pub struct Stats {
    /// The dataset.
    pub dataset: String,
    /// Its version.
    pub version: String,
    /// Number of the version.
    pub number: u64,
    /// All rows.
    pub rows: u64,
    /// Records that were refused.
    pub rejected: u64,
    /// The model whose tokens are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// One part for each split and language that has rows.
    pub parts: Vec<PartStats>,
    /// The longest rows, the longest first; by tokens where they are counted.
    pub longest: Vec<Longest>,
    /// Rows by the file that they came from, the most first.
    pub files: Vec<(String, u64)>,
}

/// Rows of one split and language.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartStats {
    /// `train` or `val`.
    pub split: String,
    /// `zh` or `en`.
    pub lang: String,
    /// How many.
    pub rows: u64,
    /// Characters of all texts of a row.
    pub characters: Histogram,
    /// Characters of the answer.
    pub answer_characters: Histogram,
    /// Tokens of all texts of a row, without those of a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Histogram>,
}

/// How often which length occurs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Histogram {
    /// Sum of the lengths.
    pub total: u64,
    /// Mean.
    pub mean: f64,
    /// Smallest.
    pub min: u64,
    /// Largest.
    pub max: u64,
    /// (length, rows): rows whose length is below this one and not below half of it; powers of two.
    pub below: Vec<(u64, u64)>,
    #[serde(skip)]
    rows: u64,
}

impl Histogram {
    fn add(&mut self, length: u64) {
        self.min = if self.rows == 0 { length } else { self.min.min(length) };
        self.max = self.max.max(length);
        self.rows += 1;
        self.total += length;
        self.mean = self.total as f64 / self.rows as f64;
        let bin = (u64::BITS - length.leading_zeros()) as usize;
        while self.below.len() <= bin {
            self.below.push((1 << self.below.len(), 0));
        }
        if let Some((_, count)) = self.below.get_mut(bin) {
            *count += 1;
        }
    }
}

/// One of the longest rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Longest {
    /// Tokens, where they are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Characters of all its texts.
    pub characters: u64,
    /// Its number.
    pub row: u64,
}

/// Longest rows that are listed.
const LONGEST: usize = 10;
/// Files that are listed.
const FILES: usize = 100;

fn texts(e: &Example) -> impl Iterator<Item = &str> {
    let own = [&e.system, &e.tools, &e.instruction, &e.input, &e.output].into_iter();
    own.chain(e.history.iter().flat_map(|(q, a)| [q, a])).map(String::as_str)
}

/// Goes through the version that `words` name. With `model`, its tokens are counted.
///
/// # Errors
/// `NotFound`; `Interrupted`; those of loading a tokenizer.
pub fn stats(
    bench: &Workbench,
    words: &str,
    model: Option<&str>,
    events: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<Stats> {
    let tokenizer = model.map(|model| models::tokenizer(bench, model)).transpose()?;
    let total = bench.store.dataset(words)?.rows;
    let mut found = Found::default();
    let mut done = 0;
    let record = bench.store.each_row(words, &RowQuery::default(), &mut |row| {
        found.add(&row, tokenizer.as_ref())?;
        done += 1;
        if done % 4096 == 0 {
            if cancel.is_cancelled() {
                return Err(Error::new(Kind::Interrupted, tr!("stopped", "已停止")));
            }
            events.emit(&JobEvent::Progress { done, total, note: String::new() });
        }
        Ok(())
    })?;
    let mut files: Vec<(String, u64)> = found.files.into_iter().collect();
    files.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    files.truncate(FILES);
    Ok(Stats {
        dataset: record.name,
        version: record.version,
        number: record.number,
        rows: record.rows,
        rejected: record.rejected,
        model: model.map(str::to_owned),
        parts: found.parts.into_values().collect(),
        longest: found.longest,
        files,
    })
}

#[derive(Default)]
struct Found {
    parts: BTreeMap<(&'static str, String), PartStats>,
    longest: Vec<Longest>,
    files: BTreeMap<String, u64>,
}

impl Found {
    fn add(&mut self, row: &StoredRow, tokenizer: Option<&Tokenizer>) -> Result<()> {
        let e = &row.example;
        let characters = texts(e).map(|text| text.chars().count() as u64).sum();
        let tokens = match tokenizer {
            None => None,
            Some(tokenizer) => {
                let mut count = 0;
                for text in texts(e).filter(|text| !text.is_empty()) {
                    count += tokenizer.encode(text, false)?.len() as u64;
                }
                Some(count)
            }
        };
        let split = e.split.as_str();
        let part = self.parts.entry((split, e.lang.clone())).or_insert_with(|| PartStats {
            split: split.to_owned(),
            lang: e.lang.clone(),
            rows: 0,
            characters: Histogram::default(),
            answer_characters: Histogram::default(),
            tokens: None,
        });
        part.rows += 1;
        part.characters.add(characters);
        part.answer_characters.add(e.output.chars().count() as u64);
        if let Some(tokens) = tokens {
            part.tokens.get_or_insert_default().add(tokens);
        }
        let length = Longest { tokens, characters, row: row.row };
        if self.longest.len() < LONGEST || self.longest.last().is_some_and(|shortest| length > *shortest) {
            let at = self.longest.partition_point(|longer| *longer > length);
            self.longest.insert(at, length);
            self.longest.truncate(LONGEST);
        }
        match self.files.get_mut(&row.file) {
            Some(count) => *count += 1,
            None => _ = self.files.insert(row.file.clone(), 1),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_fall_between_powers_of_two() {
        let mut histogram = Histogram::default();
        for length in [0, 1, 2, 3, 4, 7, 8] {
            histogram.add(length);
        }
        assert_eq!(histogram.below, [(1, 1), (2, 1), (4, 2), (8, 2), (16, 1)]);
        assert_eq!((histogram.total, histogram.min, histogram.max), (25, 0, 8));
        assert!((histogram.mean - 25.0 / 7.0).abs() < 1e-12);
    }
}
