//! A dataset made of others by their shares.

use super::super::{Workbench, models};
use super::quality::each;
use crate::data::mixture::{self, MixSource, MixStretch};
use crate::data::{Example, Row, RowHash, Split};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink};
use crate::store::{Existing, StoredRow, check_dataset_name};
use crate::tr;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What the shares of a mixture are of. By another unit than rows, longer rows come less often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MixUnit {
    /// Rows.
    Rows,
    /// Characters of question, material and answer.
    Characters,
    /// Tokens of these, as this model's tokenizer makes them.
    Tokens(String),
}

/// Measures a row.
type Length<'a> = &'a dyn Fn(&Example) -> Result<u64>;

/// What `data mix` was asked for.
#[derive(Clone, Debug)]
pub struct MixRequest {
    /// Name of the dataset to be.
    pub name: String,
    /// Sources and their shares at the beginning; `None`: by size and temperature.
    pub from: Vec<(String, Option<f64>)>,
    /// Shares that move: source, at the beginning, at the end.
    pub curriculum: Vec<(String, f64, f64)>,
    /// Flattens shares by size: rows^(1/T).
    pub temperature: f64,
    /// What shares are of.
    pub unit: MixUnit,
    /// Rows to train on; `None`: as many as there are before one repeats.
    pub rows: Option<usize>,
    /// Seed of the order.
    pub seed: u64,
    /// Whether an existing dataset gets these rows as its next version.
    pub replace: bool,
    /// Whether nothing is written.
    pub plan_only: bool,
}

/// A mixture as it was made, or would be.
#[derive(Clone, Debug, Serialize)]
pub struct MixReport {
    /// The dataset.
    pub dataset: String,
    /// Its version; empty for a plan.
    pub version: String,
    /// Rows to train on.
    pub rows: usize,
    /// Rows held out: those of all sources, each text once.
    pub val: usize,
    /// Rows to train on of a source that are held out in another one: they are not drawn.
    pub kept_out: usize,
    /// Rows of the sources that are plain texts.
    pub texts: u64,
    /// Rows of the sources that have a question. No training takes both kinds.
    pub questions: u64,
    /// The sources in order.
    pub sources: Vec<MixedSource>,
    /// The mixture in stretches of equal length.
    pub stretches: Vec<MixStretch>,
    /// Whether shares move.
    pub curriculum: bool,
}

/// A source of a mixture.
#[derive(Clone, Debug, Serialize)]
pub struct MixedSource {
    /// Dataset and version.
    pub dataset: String,
    /// Rows to train on that it has.
    pub available: usize,
    /// Rows of it in the mixture.
    pub drawn: usize,
    /// How often each of its rows comes, on average.
    pub epochs: f64,
    /// Share of the mixture at its beginning, as asked for.
    pub start: f64,
    /// Share at its end.
    pub end: f64,
}

/// Stretches of a report.
const STRETCHES: usize = 20;

/// Mixes datasets into a new one, whose rows are in the order in which they are to be learnt.
///
/// # Errors
/// `NotFound` for a source that is not there; `InvalidInput` for shares that make no sense or a name that is taken; `Interrupted`.
pub fn mix(bench: &Workbench, request: &MixRequest, events: &dyn EventSink, cancel: &CancelToken) -> Result<MixReport> {
    check_dataset_name(&request.name)?;
    let tokenizer = match &request.unit {
        MixUnit::Tokens(model) => Some(models::tokenizer(bench, model)?),
        MixUnit::Rows | MixUnit::Characters => None,
    };
    let length = |e: &Example| -> Result<u64> {
        let texts = [&e.instruction, &e.input, &e.output];
        match &tokenizer {
            Some(tokenizer) => {
                texts.into_iter().map(|text| tokenizer.encode(text, false).map(|ids| ids.len() as u64)).sum()
            }
            None => Ok(texts.into_iter().map(|text| text.chars().count() as u64).sum()),
        }
    };
    let mut parts = Vec::with_capacity(request.from.len());
    for (words, _) in &request.from {
        parts.push(Part::read(bench, words, &length, events, cancel)?);
    }
    let kept_out = keep_out_held_out(bench, &mut parts, &length)?;
    let sources = sources(request, &parts)?;
    let mixture = mixture::mix(&sources, request.rows, request.seed)?;
    let total = |share: fn(&MixSource) -> f64| sources.iter().map(share).sum::<f64>();
    let (start, end) = (total(|s| s.start), total(|s| s.end));
    let report = MixReport {
        dataset: request.name.clone(),
        version: String::new(),
        rows: mixture.draws.len(),
        val: parts.iter().map(|part| part.val.len()).sum(),
        kept_out,
        texts: parts.iter().map(|part| part.texts).sum(),
        questions: parts.iter().map(|part| part.questions).sum(),
        stretches: mixture.stretches(STRETCHES),
        curriculum: !request.curriculum.is_empty(),
        sources: sources
            .iter()
            .zip(&mixture.drawn)
            .zip(&parts)
            .map(|((source, drawn), part)| MixedSource {
                dataset: part.exact.clone(),
                available: source.rows,
                drawn: *drawn,
                epochs: *drawn as f64 / source.rows.max(1) as f64,
                start: source.start / start,
                end: source.end / end,
            })
            .collect(),
    };
    if request.plan_only {
        return Ok(report);
    }
    let existing = if request.replace { Existing::Replace } else { Existing::Refuse };
    let from: Vec<&str> = parts.iter().map(|part| part.exact.as_str()).collect();
    let (source, licence) = (from.join(" + "), licences(&parts));
    let message = message(request, &report);
    let mut writer = bench.store.write_dataset(&request.name, &source, &licence, &message, existing, &mut |_| {})?;
    for (part, row) in &mixture.draws {
        let number = parts[*part].train[*row];
        writer.row(parts[*part].row(bench, number)?)?;
        if cancel.is_cancelled() {
            return Err(Error::new(Kind::Interrupted, tr!("interrupted", "已中断"))
                .hint(tr!("nothing was written", "没有写入任何内容")));
        }
    }
    for part in &parts {
        for number in &part.val {
            writer.row(part.row(bench, *number)?)?;
        }
    }
    Ok(MixReport { version: writer.finish()?.version, ..report })
}

/// A source: where its rows are, and how long.
struct Part {
    /// Name and version.
    exact: String,
    licence: String,
    train: Vec<u64>,
    /// The beginnings of their hashes.
    train_hashes: Vec<u64>,
    val: Vec<u64>,
    val_hashes: Vec<RowHash>,
    texts: u64,
    questions: u64,
    /// Of all rows to train on together.
    lengths: u64,
    file: Arc<str>,
    rows: HashMap<u64, Example>,
}

/// Rows that are kept in memory; of larger sources each is looked up when its turn comes.
const KEPT: u64 = 300_000;

impl Part {
    fn read(
        bench: &Workbench,
        words: &str,
        length: Length<'_>,
        events: &dyn EventSink,
        cancel: &CancelToken,
    ) -> Result<Part> {
        let (mut train, mut val, mut lengths) = (Vec::new(), Vec::new(), 0);
        let (mut train_hashes, mut val_hashes) = (Vec::new(), Vec::new());
        let (mut plain, mut questions) = (0, 0);
        let mut rows = HashMap::new();
        let small = bench.store.dataset(words)?.rows <= KEPT;
        let record = each(bench, words, events, cancel, &mut |row| {
            let StoredRow { row, example, .. } = row;
            *(if example.is_text() { &mut plain } else { &mut questions }) += 1;
            match example.split {
                Split::Train => {
                    lengths += length(&example)?;
                    train.push(row);
                    train_hashes.push(beginning(&example.hash()));
                }
                Split::Val => {
                    val.push(row);
                    val_hashes.push(example.hash());
                }
            }
            if small {
                rows.insert(row, example);
            }
            Ok(())
        })?;
        let exact = record.exact_name();
        let (file, licence) = (Arc::from(exact.as_str()), record.licence);
        Ok(Part { file, exact, licence, train, train_hashes, val, val_hashes, texts: plain, questions, lengths, rows })
    }

    fn row(&self, bench: &Workbench, number: u64) -> Result<Row> {
        let example = match self.rows.get(&number) {
            Some(example) => example.clone(),
            None => bench.store.row(&self.exact, number)?.example,
        };
        Ok(Row { hash: example.hash(), example, file: Arc::clone(&self.file), line: number + 1 })
    }
}

fn beginning(hash: &RowHash) -> u64 {
    hash.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// A text that one source holds out is trained on from none: such rows leave `train`, and held-out texts are kept once.
/// Gives the number of rows that left.
fn keep_out_held_out(bench: &Workbench, parts: &mut [Part], length: Length<'_>) -> Result<usize> {
    let mut held = HashSet::new();
    for part in parts.iter_mut() {
        let first: Vec<bool> = part.val_hashes.iter().map(|hash| held.insert(*hash)).collect();
        let mut first = first.into_iter();
        part.val.retain(|_| first.next().unwrap_or(true));
    }
    let beginnings: HashSet<u64> = held.iter().map(beginning).collect();
    let mut left = 0;
    for part in parts {
        let (train, hashes) = (std::mem::take(&mut part.train), std::mem::take(&mut part.train_hashes));
        for (number, hash) in train.into_iter().zip(hashes) {
            if beginnings.contains(&hash) {
                let row = part.row(bench, number)?;
                if held.contains(&row.hash) {
                    part.lengths -= length(&row.example)?;
                    left += 1;
                    continue;
                }
            }
            part.train.push(number);
        }
    }
    Ok(left)
}

fn sources(request: &MixRequest, parts: &[Part]) -> Result<Vec<MixSource>> {
    let sizes: Vec<usize> = parts.iter().map(|part| part.train.len()).collect();
    let by_size = mixture::by_temperature(&sizes, request.temperature);
    for (name, ..) in &request.curriculum {
        if !request.from.iter().any(|(from, _)| from == name) {
            return Err(Error::new(
                Kind::Usage,
                tr!("--curriculum names {name}, --from does not", "--curriculum 中的 {name} 不在 --from 中"),
            )
            .hint(tr!("name the same datasets in both", "请在两处使用相同的数据集名称")));
        }
    }
    let named: f64 = request.from.iter().filter_map(|(_, share)| *share).sum();
    let moved = |name: &str| request.curriculum.iter().find(|(moved, ..)| moved == name);
    let fixed: Vec<f64> = request.from.iter().zip(&by_size).map(|((_, share), size)| share.unwrap_or(*size)).collect();
    // With one source's share given from its beginning to its end, the others divide what it leaves by their own shares.
    let rest = |at: fn(&(String, f64, f64)) -> f64| {
        let taken: f64 = request.curriculum.iter().map(at).sum();
        let others: f64 =
            request.from.iter().zip(&fixed).filter(|((n, _), _)| moved(n).is_none()).map(|(_, w)| w).sum();
        if others > 0.0 { ((1.0 - taken).max(0.0)) / others } else { 0.0 }
    };
    let (at_start, at_end) = (rest(|m| m.1), rest(|m| m.2));
    if named > 0.0 && request.from.iter().any(|(_, share)| share.is_none()) && request.curriculum.is_empty() {
        return Err(Error::new(
            Kind::Usage,
            tr!("some sources have a share and some have none", "有的来源给了比例，有的没有"),
        )
        .hint(tr!("give every source a share, or none of them", "请给每个来源都写比例，或都不写")));
    }
    let source = |((part, (name, _)), weight): ((&Part, &(String, Option<f64>)), &f64)| {
        let (start, end) = match moved(name) {
            Some((_, start, end)) => (*start, *end),
            None if request.curriculum.is_empty() => (*weight, *weight),
            None => (weight * at_start, weight * at_end),
        };
        let mean_length = part.lengths as f64 / part.train.len().max(1) as f64;
        MixSource {
            name: name.clone(),
            rows: part.train.len(),
            mean_length: if request.unit == MixUnit::Rows { 1.0 } else { mean_length },
            start,
            end,
        }
    };
    Ok(parts.iter().zip(&request.from).zip(&fixed).map(source).collect())
}

fn licences(parts: &[Part]) -> String {
    let mut licences: Vec<&str> = parts.iter().map(|part| part.licence.as_str()).filter(|l| !l.is_empty()).collect();
    licences.sort_unstable();
    licences.dedup();
    licences.join(" + ")
}

fn message(request: &MixRequest, report: &MixReport) -> String {
    let share = |source: &MixedSource| {
        let (name, start, end) = (&source.dataset, source.start, source.end);
        if (start - end).abs() < 1e-9 { format!("{name}={start:.3}") } else { format!("{name}:{start:.3}->{end:.3}") }
    };
    let shares: Vec<String> = report.sources.iter().map(share).collect();
    tr!("mix: {}, seed {}", "混合：{}，种子 {}", shares.join(", "), request.seed)
}
