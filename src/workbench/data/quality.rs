//! A look through all rows of a dataset: what the rules find, and which rows are nearly the same.

use super::super::Workbench;
use crate::data::quality::{Field, Finding, NearDuplicates, Rule, WordList, inspect};
use crate::data::{Example, detect_language};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::store::{RowQuery, StoredRow};
use crate::tr;
use serde::Serialize;

/// What `data quality` was asked for.
#[derive(Clone, Debug, Default)]
pub struct QualityRequest {
    /// Dataset, perhaps with a version.
    pub dataset: String,
    /// Only these rules; empty for all.
    pub rules: Vec<Rule>,
    /// The user's own words.
    pub words: Option<WordList>,
    /// Jaccard index from which rows are nearly the same; `None` does not look.
    pub near: Option<f64>,
    /// Findings that the report lists; all are counted.
    pub listed: usize,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct QualityReport {
    /// The dataset.
    pub dataset: String,
    /// Its version.
    pub version: String,
    /// Number of the version.
    pub number: u64,
    /// All rows.
    pub rows: u64,
    /// Rows that no rule found.
    pub clean: u64,
    /// Chinese rows and English rows by their own text, whatever they are marked with.
    pub languages: [(&'static str, u64); 2],
    /// One entry for each rule that was asked, in the order of [`Rule::ALL`].
    pub rules: Vec<RuleReport>,
    /// Near duplicates, where they were looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near: Option<NearReport>,
    /// The first findings.
    pub findings: Vec<RowFinding>,
}

/// How often a rule found something.
#[derive(Clone, Debug, Serialize)]
pub struct RuleReport {
    /// The rule.
    pub rule: Rule,
    /// Rows with such a finding.
    pub rows: u64,
    /// Findings; a row may have several.
    pub findings: u64,
}

/// A finding and its row.
#[derive(Clone, Debug, Serialize)]
pub struct RowFinding {
    /// The row.
    pub row: u64,
    /// What was found there.
    #[serde(flatten)]
    pub finding: Finding,
}

/// Rows that are nearly the same as an earlier one.
#[derive(Clone, Debug, Serialize)]
pub struct NearReport {
    /// The Jaccard index from which they count.
    pub threshold: f64,
    /// How many.
    pub rows: u64,
    /// The first of them.
    pub pairs: Vec<NearRows>,
}

/// A row and the earlier one that it is nearly the same as.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NearRows {
    /// The earlier row.
    pub first: u64,
    /// The later row.
    pub row: u64,
    /// Jaccard index of their shingles.
    pub jaccard: f64,
}

/// Looks through a dataset; `events` hears of progress in rows.
///
/// # Errors
/// `NotFound`; `Interrupted`.
pub fn quality(
    bench: &Workbench,
    request: &QualityRequest,
    events: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<QualityReport> {
    let asked = |rule: Rule| request.rules.is_empty() || request.rules.contains(&rule);
    let mut rules: Vec<RuleReport> = Rule::ALL
        .into_iter()
        .filter(|rule| asked(*rule) && (*rule != Rule::ListedWord || request.words.is_some()))
        .map(|rule| RuleReport { rule, rows: 0, findings: 0 })
        .collect();
    let (mut clean, mut languages, mut findings) = (0, [("zh", 0), ("en", 0)], Vec::new());
    let mut near = request.near.map(NearRowsFinder::new);
    let mut pairs = Vec::new();
    let mut near_rows = 0;
    let mut look = |row: &StoredRow| {
        let found = inspect(&row.example, request.words.as_ref());
        let mut any = false;
        for report in &mut rules {
            let count = found.iter().filter(|finding| finding.rule == report.rule).count() as u64;
            report.findings += count;
            report.rows += u64::from(count > 0);
            any |= count > 0;
        }
        clean += u64::from(!any);
        for finding in found.into_iter().filter(|finding| asked(finding.rule)) {
            if findings.len() < request.listed {
                findings.push(RowFinding { row: row.row, finding });
            }
        }
        let lang = detect_language(&[&row.example.instruction, &row.example.input, &row.example.output]);
        languages.iter_mut().filter(|(name, _)| *name == lang).for_each(|(_, rows)| *rows += 1);
        if let Some(pair) = near.as_mut().and_then(|near| near.add(row)) {
            near_rows += 1;
            if pairs.len() < request.listed {
                pairs.push(pair);
            }
        }
    };
    let record = each(bench, &request.dataset, events, cancel, &mut |row| {
        look(&row);
        Ok(())
    })?;
    Ok(QualityReport {
        dataset: record.name,
        version: record.version,
        number: record.number,
        rows: record.rows,
        clean,
        languages,
        rules,
        near: request.near.map(|threshold| NearReport { threshold, rows: near_rows, pairs }),
        findings,
    })
}

/// Hands every row to `on`, tells `events` how far it is, and stops when `cancel` is set.
pub(super) fn each(
    bench: &Workbench,
    dataset: &str,
    events: &dyn EventSink,
    cancel: &CancelToken,
    on: &mut dyn FnMut(StoredRow) -> Result<()>,
) -> Result<crate::store::DatasetRecord> {
    let total = bench.store.dataset(dataset)?.rows;
    let mut done = 0;
    let record = bench.store.each_row(dataset, &RowQuery::default(), &mut |row| {
        on(row)?;
        done += 1;
        if done % 1024 == 0 {
            events.emit(&JobEvent::Progress { done, total, note: String::new() });
            if cancel.is_cancelled() {
                return Err(Error::new(Kind::Interrupted, tr!("interrupted", "已中断"))
                    .hint(tr!("nothing was changed", "没有改动任何内容")));
            }
        }
        Ok(())
    })?;
    events.emit(&JobEvent::Progress { done: total, total, note: String::new() });
    Ok(record)
}

/// Near duplicates among rows that are numbered with gaps.
pub(super) struct NearRowsFinder {
    near: NearDuplicates,
    rows: Vec<u64>,
}

impl NearRowsFinder {
    pub(super) fn new(threshold: f64) -> NearRowsFinder {
        NearRowsFinder { near: NearDuplicates::new(threshold), rows: Vec::new() }
    }

    /// Adds the next row and gives the earlier one that it is nearly the same as.
    pub(super) fn add(&mut self, row: &StoredRow) -> Option<NearRows> {
        self.rows.push(row.row);
        let pair = self.near.add(&whole_text(&row.example))?;
        Some(NearRows { first: self.rows.get(pair.first).copied()?, row: row.row, jaccard: pair.jaccard })
    }
}

/// All that a row teaches. Only its answer would make different questions with the answer `B` the same.
fn whole_text(example: &Example) -> String {
    let mut text = String::new();
    for (question, answer) in &example.history {
        text.extend([question, "\n", answer, "\n"]);
    }
    text.extend([&*example.instruction, "\n", &example.input, "\n", &example.output]);
    text
}

/// The words of a field's name, for people.
pub fn field_name(field: Field) -> String {
    match field {
        Field::Instruction => tr!("instruction", "指令"),
        Field::Input => tr!("input", "输入"),
        Field::Output => tr!("output", "输出"),
        Field::System => tr!("system", "系统"),
        Field::History => tr!("history", "历史"),
    }
}

/// What a rule looks for, for people.
pub fn rule_title(rule: Rule) -> String {
    match rule {
        Rule::Empty => tr!("answer is empty", "回答为空"),
        Rule::CutOff => tr!("answer ends in mid-sentence", "回答中途截断"),
        Rule::Refusal => tr!("answer refuses", "回答拒绝"),
        Rule::Repetition => tr!("answer repeats itself", "回答重复"),
        Rule::PromptLeak => tr!("answer holds the prompt", "回答含提示"),
        Rule::MixedLanguage => tr!("two languages in one answer", "回答中英混杂"),
        Rule::WrongLanguage => tr!("marked with the other language", "语言标记有误"),
        Rule::IdCard => tr!("identity-card number", "身份证号"),
        Rule::Phone => tr!("telephone number", "电话号码"),
        Rule::BankCard => tr!("bank-card number", "银行卡号"),
        Rule::Email => tr!("e-mail address", "邮箱地址"),
        Rule::GuaranteedReturn => tr!("promises principal or return", "承诺保本或收益"),
        Rule::TradingAdvice => tr!("advice to buy or sell", "具体买卖建议"),
        Rule::InsideInformation => tr!("offers inside information", "内幕消息"),
        Rule::ListedWord => tr!("word of your own list", "自定词表中的词"),
    }
}
