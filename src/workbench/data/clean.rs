//! New versions of a dataset without what a filter names, without near duplicates, or with personal data hidden.

use super::super::Workbench;
use super::quality::{NearRows, NearRowsFinder, each};
use crate::data::Example;
use crate::data::quality::{Rule, WordList, inspect, mask};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink};
use crate::store::{DatasetRecord, Mark, RowChange};
use crate::tr;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Which rows go: a filter that can be kept in a file and used again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Rows with a finding of one of these rules.
    pub drop: Vec<Rule>,
    /// File with the words of `listed_word`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<PathBuf>,
    /// Rows whose answer has fewer characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_answer: Option<usize>,
    /// Rows whose answer has more characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_answer: Option<usize>,
    /// Rows of the other language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// Rows that are nearly the same as an earlier one, by their Jaccard index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near: Option<f64>,
    /// Rows that somebody marked so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_marked: Option<Mark>,
}

impl Filter {
    /// Reads a filter's file.
    ///
    /// # Errors
    /// I/O; `InvalidInput` in the parser's words.
    pub fn read(path: &Path) -> Result<Filter> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, &e))?;
        toml::from_str(&text).map_err(|e| {
            let rules: Vec<&str> = Rule::ALL.into_iter().map(Rule::name).collect();
            Error::new(Kind::InvalidInput, format!("{}: {}", path.display(), e.to_string().trim_end())).hint(tr!(
                "rules: {}",
                "规则：{}",
                rules.join(", ")
            ))
        })
    }

    /// Writes it to `path`.
    ///
    /// # Errors
    /// I/O.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = toml::to_string(self).map_err(|e| Error::internal(e.to_string()))?;
        std::fs::write(path, text).map_err(|e| Error::io(path, &e))
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        *self == Filter::default()
    }

    /// In one line, as the version's message has it.
    fn words(&self) -> String {
        toml::to_string(self).map(|text| text.trim_end().replace('\n', "; ")).unwrap_or_default()
    }

    fn list(&self) -> Result<Option<WordList>> {
        let Some(path) = &self.words else {
            return match self.drop.contains(&Rule::ListedWord) {
                false => Ok(None),
                true => {
                    Err(Error::new(Kind::Usage, tr!("listed_word needs your own list", "listed_word 需要自定词表"))
                        .hint(tr!("give it with --words FILE, one word a line", "请用 --words FILE 给出，每行一个词")))
                }
            };
        };
        read_words(path).map(Some)
    }
}

/// Reads a word list.
///
/// # Errors
/// I/O; `InvalidInput` for an empty one.
pub fn read_words(path: &Path) -> Result<WordList> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, &e))?;
    let list = WordList::parse(&text);
    if list.is_empty() {
        return Err(Error::new(Kind::InvalidInput, tr!("{} has no words", "{} 中没有词", path.display()))
            .hint(tr!("one word a line; # begins a remark", "每行一个词；# 之后为注释")));
    }
    Ok(list)
}

/// What a cleaning did, or would do.
#[derive(Clone, Debug, Serialize)]
pub struct Cleaned {
    /// The dataset.
    pub dataset: String,
    /// Its version now.
    pub version: String,
    /// Number of the version.
    pub number: u64,
    /// Rows now.
    pub rows: u64,
    /// Rows that went.
    pub removed: u64,
    /// Rows with new texts.
    pub changed: u64,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Rows that went, and the first reason for each.
    pub reasons: Vec<(u64, String)>,
    /// Those that went for being nearly the same as an earlier row.
    pub pairs: Vec<NearRows>,
}

/// Makes a version of the dataset `name` without the rows that `filter` names.
///
/// # Errors
/// `NotFound`; `Usage` for a filter that names nothing; `Interrupted`.
pub fn filter_rows(
    bench: &Workbench,
    name: &str,
    filter: &Filter,
    dry_run: bool,
    events: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<Cleaned> {
    if filter.is_empty() {
        return Err(Error::new(Kind::Usage, tr!("the filter names nothing", "过滤条件为空")).hint(tr!(
            "for example --drop empty,repetition,id_card or --min-answer 5",
            "例如 --drop empty,repetition,id_card 或 --min-answer 5"
        )));
    }
    let list = filter.list()?;
    let mut near = filter.near.map(NearRowsFinder::new);
    let marks = if filter.drop_marked.is_some() { bench.store.marks(name)? } else { Default::default() };
    let (mut reasons, mut pairs) = (Vec::new(), Vec::new());
    let record = each(bench, name, events, cancel, &mut |row| {
        let mark = marks.get(&row.hash).filter(|mark| Some(mark.mark) == filter.drop_marked);
        if let Some(mark) = mark {
            reasons.push((row.row, format!("marked {} {}", mark.mark.name(), mark.note).trim_end().to_owned()));
        } else if let Some(reason) = reason(filter, list.as_ref(), &row.example) {
            reasons.push((row.row, reason));
        } else if let Some(pair) = near.as_mut().and_then(|near| near.add(&row)) {
            reasons.push((row.row, format!("near {}", pair.first)));
            pairs.push(pair);
        }
        Ok(())
    })?;
    let changes: Vec<RowChange> = reasons.iter().map(|(row, _)| RowChange::Remove(*row)).collect();
    let message = tr!("filter: {}", "过滤：{}", filter.words());
    let now = apply(bench, name, record, &changes, &message, dry_run)?;
    let removed = reasons.len() as u64;
    Ok(Cleaned {
        rows: if dry_run { now.rows - removed } else { now.rows },
        dataset: now.name,
        version: now.version,
        number: now.number,
        removed,
        changed: 0,
        dry_run,
        reasons,
        pairs,
    })
}

/// Makes a version of the dataset `name` whose texts show no personal data.
///
/// # Errors
/// `NotFound`; `Interrupted`.
pub fn mask_rows(
    bench: &Workbench,
    name: &str,
    dry_run: bool,
    events: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<Cleaned> {
    let mut changes = Vec::new();
    let record = each(bench, name, events, cancel, &mut |row| {
        if let Some(masked) = masked(&row.example) {
            changes.push(RowChange::Set(row.row, masked));
        }
        Ok(())
    })?;
    let now = apply(bench, name, record, &changes, &tr!("personal data masked", "个人信息已遮盖"), dry_run)?;
    Ok(Cleaned {
        dataset: now.name,
        version: now.version,
        number: now.number,
        rows: now.rows,
        removed: 0,
        changed: changes.len() as u64,
        dry_run,
        reasons: Vec::new(),
        pairs: Vec::new(),
    })
}

fn apply(
    bench: &Workbench,
    name: &str,
    record: DatasetRecord,
    changes: &[RowChange],
    message: &str,
    dry_run: bool,
) -> Result<DatasetRecord> {
    if dry_run || changes.is_empty() {
        return Ok(record);
    }
    bench.store.change_rows(name, changes, message)
}

fn reason(filter: &Filter, words: Option<&WordList>, row: &Example) -> Option<String> {
    let length = row.output.chars().count();
    if filter.min_answer.is_some_and(|least| length < least) || filter.max_answer.is_some_and(|most| length > most) {
        return Some(format!("answer {length}"));
    }
    if filter.lang.as_ref().is_some_and(|lang| *lang != row.lang) {
        return Some(format!("lang {}", row.lang));
    }
    if filter.drop.is_empty() {
        return None;
    }
    let found = inspect(row, words).into_iter().find(|finding| filter.drop.contains(&finding.rule))?;
    Some(found.rule.name().to_owned())
}

/// The row with personal data hidden in every text; `None` when it has none.
fn masked(row: &Example) -> Option<Example> {
    let mut count = 0;
    let mut hide = |text: &str| {
        let (text, hidden) = mask(text);
        count += hidden;
        text
    };
    let new = Example {
        instruction: hide(&row.instruction),
        input: hide(&row.input),
        output: hide(&row.output),
        system: hide(&row.system),
        tools: hide(&row.tools),
        history: row.history.iter().map(|(question, answer)| (hide(question), hide(answer))).collect(),
        ..row.clone()
    };
    (count > 0).then_some(new)
}
