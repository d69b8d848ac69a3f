//! Whether a dataset holds items of benchmarks, so that a score on them would say what was learnt by heart.

use super::Workbench;
use super::score::ScoreRequest;
use crate::data::{Overlap, OverlapIndex, OverlapKind, TestItem};
use crate::error::{Error, Kind, Result};
use crate::eval::{self, Item, ItemOutcome};
use crate::job::CancelToken;
use crate::store::{RowQuery, StoredRow};
use crate::tr;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// What `data check` found.
#[derive(Clone, Debug, Serialize)]
pub struct Contamination {
    /// The dataset.
    pub dataset: String,
    /// Its version.
    pub version: String,
    /// The benchmarks.
    pub against: Vec<String>,
    /// Rows of the dataset.
    pub rows: usize,
    /// Items of the benchmarks.
    pub items: usize,
    /// Tokens of a run that counts as shared.
    pub ngram: usize,
    /// Share of a question's tokens that shared runs must cover.
    pub share: f64,
    /// Jaccard index from which prompts are near-duplicates.
    pub near_duplicate: f64,
    /// Rows that hold an item.
    pub contaminated_rows: usize,
    /// Items that a row holds.
    pub contaminated_items: usize,
    /// Every row with every item that it holds.
    pub contaminated: Vec<Contaminated>,
    /// Seconds of the comparison, reading left out.
    pub seconds: f64,
}

/// A row and an item that it holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contaminated {
    /// Number of the row in the dataset, from 0.
    pub row: u64,
    /// The benchmark.
    pub benchmark: String,
    /// The item: subject and id.
    pub item: String,
    /// Share of the question's tokens that the row has in runs of [`Contamination::ngram`]; for a near-duplicate the
    /// Jaccard index when that is larger.
    pub overlap: f64,
    /// How it was found.
    pub kind: OverlapKind,
    /// The split that the item is of.
    pub split: String,
    /// The item's question.
    pub question: String,
}

struct Known {
    benchmark: String,
    split: String,
    name: String,
}

/// Looks for the items of `against` (names, definition files or groups), of all their splits, in the rows of the dataset
/// `name`. A row holds an item when shared runs cover `share` of its question or the two are near-duplicates; see
/// [`crate::data::OverlapIndex`].
///
/// # Errors
/// `NotFound` for an unknown dataset or benchmark or a missing table; `Interrupted`.
pub fn check(
    workbench: &Workbench,
    name: &str,
    against: &[String],
    share: f64,
    cancel: &CancelToken,
) -> Result<Contamination> {
    let record = workbench.store.dataset(name)?;
    let benchmarks = eval::resolve(against, workbench.settings.data_dir.as_deref())?;
    let (mut known, mut items) = (Vec::new(), Vec::new());
    for benchmark in &benchmarks {
        let definition = &benchmark.definition;
        for subject in benchmark.subjects(&[])? {
            for split in definition.files.keys() {
                let loaded = match eval::load(benchmark, &subject, split) {
                    // A split that is not scored need not be there.
                    Err(e) if e.kind == Kind::NotFound && *split != definition.split => continue,
                    loaded => loaded?,
                };
                for item in loaded.items {
                    known.push(Known {
                        benchmark: definition.name.clone(),
                        split: split.clone(),
                        name: format!("{}/{}", subject.handle, item.id),
                    });
                    items.push(test_item(item));
                }
            }
        }
    }
    let start = Instant::now();
    let (found, rows) = search_dataset(workbench, name, &OverlapIndex::new(&items, share), cancel)?;
    let seconds = start.elapsed().as_secs_f64();
    let contaminated: Vec<Contaminated> = found
        .iter()
        .filter_map(|(row, o)| {
            let (known, item) = (known.get(o.item)?, items.get(o.item)?);
            Some(Contaminated {
                row: *row,
                benchmark: known.benchmark.clone(),
                item: known.name.clone(),
                overlap: o.share.max(o.jaccard),
                kind: o.kind,
                split: known.split.clone(),
                question: item.question.clone(),
            })
        })
        .collect();
    Ok(Contamination {
        dataset: record.name,
        version: record.version,
        against: benchmarks.iter().map(|b| b.definition.name.clone()).collect(),
        rows,
        items: items.len(),
        ngram: crate::data::NGRAM,
        share,
        near_duplicate: crate::data::NEAR,
        contaminated_rows: found.iter().map(|(row, _)| row).collect::<BTreeSet<_>>().len(),
        contaminated_items: found.iter().map(|(_, o)| o.item).collect::<BTreeSet<_>>().len(),
        contaminated,
        seconds,
    })
}

fn test_item(item: Item) -> TestItem {
    TestItem { question: item.question, choices: item.choices, gold: item.gold }
}

/// Rows and what each holds, in order.
fn search(rows: &[StoredRow], index: &OverlapIndex, cancel: &CancelToken) -> Result<Vec<(u64, Overlap)>> {
    let found: Vec<Vec<(u64, Overlap)>> = rows
        .par_iter()
        .map(|row| {
            if cancel.is_cancelled() {
                return Err(Error::new(Kind::Interrupted, tr!("the check was stopped", "检查已中断")));
            }
            Ok(index.held_by(&row.example).into_iter().map(|overlap| (row.row, overlap)).collect())
        })
        .collect::<Result<_>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// Rows that are looked through at once: enough for every core, and a bound for memory.
const BLOCK: usize = 4096;

/// What the dataset `name` holds of the index's items, and how many rows it has. Memory holds [`BLOCK`] rows.
fn search_dataset(
    workbench: &Workbench,
    name: &str,
    index: &OverlapIndex,
    cancel: &CancelToken,
) -> Result<(Vec<(u64, Overlap)>, usize)> {
    let (mut found, mut block, mut rows) = (Vec::new(), Vec::with_capacity(BLOCK), 0);
    workbench.store.each_row(name, &RowQuery::default(), &mut |row| {
        rows += 1;
        block.push(row);
        if block.len() == BLOCK {
            found.extend(search(&block, index, cancel)?);
            block.clear();
        }
        Ok(())
    })?;
    found.extend(search(&block, index, cancel)?);
    Ok((found, rows))
}

/// The items of a run that a dataset holds, and where that comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldOutcomes {
    /// The dataset.
    pub dataset: String,
    /// Its version.
    pub version: String,
    /// Its rows that hold one of the run's items.
    pub rows: usize,
    /// (subject, id) of the run's items that it holds.
    #[serde(skip)]
    pub items: BTreeSet<(String, String)>,
    /// How many they are.
    pub left_out: usize,
}

/// Which of a run's `outcomes` the dataset `name` holds.
///
/// # Errors
/// `NotFound` for an unknown dataset or when the benchmark's data is not there; `Mismatch` when the benchmark's items are
/// not the run's any more.
pub(super) fn held_outcomes(
    workbench: &Workbench,
    name: &str,
    request: &ScoreRequest,
    outcomes: &[ItemOutcome],
    share: f64,
) -> Result<HeldOutcomes> {
    let record = workbench.store.dataset(name)?;
    let benchmark = eval::find(&request.benchmark, workbench.settings.data_dir.as_deref())?;
    let split = benchmark.definition.scored_split(request.split.as_deref())?;
    let asked: HashMap<(&str, &str), &ItemOutcome> =
        outcomes.iter().map(|o| ((o.subject.as_str(), o.id.as_str()), o)).collect();
    let (mut names, mut items) = (Vec::new(), Vec::new());
    for subject in benchmark.subjects(&request.subjects)? {
        for item in eval::load(&benchmark, &subject, split)?.items {
            let Some(outcome) = asked.get(&(subject.handle.as_str(), item.id.as_str())) else { continue };
            if !outcome.detail.content.is_empty() && outcome.detail.content != item.content() {
                return Err(Error::new(
                    Kind::Mismatch,
                    tr!(
                        "{}/{} is not the item that the run asked",
                        "{}/{} 与该运行所问的题目不同",
                        subject.handle,
                        item.id
                    ),
                )
                .hint(tr!("the benchmark's data changed since: score the model again", "基准数据已改变：请重新评测")));
            }
            names.push((subject.handle.clone(), item.id.clone()));
            items.push(test_item(item));
        }
    }
    let (found, _) = search_dataset(workbench, name, &OverlapIndex::new(&items, share), &CancelToken::default())?;
    let held: BTreeSet<_> = found.iter().filter_map(|(_, o)| names.get(o.item).cloned()).collect();
    Ok(HeldOutcomes {
        dataset: record.name,
        version: record.version,
        rows: found.iter().map(|(row, _)| row).collect::<BTreeSet<_>>().len(),
        left_out: held.len(),
        items: held,
    })
}
