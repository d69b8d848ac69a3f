//! Rows, versions and masks from the database, and changes to them.

use crate::batch::Overlong;
use crate::data::Split;
use crate::error::{Error, Kind, Result};
use crate::prompt::LossOn;
use crate::store::{Marks, RowDiff, RowQuery, StoredRow, VersionRecord};
use crate::tr;
use crate::tui::source::{
    DataAnswer, DataQuery, DiffView, MaskToken, MaskView, Place, RowChangeView, RowFilter, RowPage, RowView,
    VersionView,
};
use crate::workbench::Workbench;
use crate::workbench::data::{self, Change, Edit, FieldDiff, PreviewRequest};
use serde_json::{Map, Value};

/// Differing rows whose texts are read.
const DIFFERING: usize = 50;
/// Tokens of the longest sequence, as `data preview` and `train` take it when nothing is said.
const MAX_LEN: usize = 512;

/// Stands for a token whose character stands at an earlier one.
const SHARES: &str = "~";

pub(super) fn answer(bench: &Workbench, query: &DataQuery) -> Result<DataAnswer> {
    match query {
        DataQuery::Rows { dataset, filter, place, limit, known, .. } => {
            rows(bench, dataset, filter, *place, *limit, *known).map(DataAnswer::Rows)
        }
        DataQuery::Delete { name } => bench.store.delete_dataset(name).map(|()| DataAnswer::Done),
        DataQuery::Undelete { name } => bench.store.undelete_dataset(name).map(|_| DataAnswer::Done),
        DataQuery::Mark { dataset, row, mark, note } => {
            bench.store.mark_rows(dataset, &[*row], *mark, note).map(|_| DataAnswer::Done)
        }
        DataQuery::Save { dataset, row, given, text } => {
            let before = bench.store.dataset(dataset)?.number;
            let fields = changed_fields(given, text)?;
            if fields.is_empty() {
                return Ok(DataAnswer::Changed { before, after: before });
            }
            let after = data::edit_rows(bench, dataset, &[Edit { row: *row, fields }])?.number;
            Ok(DataAnswer::Changed { before, after })
        }
        DataQuery::Add { dataset, text } => {
            let before = bench.store.dataset(dataset)?.number;
            let row = data::new_row(&parse_fields(text)?)?;
            let after = data::add_rows(bench, dataset, vec![row], &data::by_hand(1), "")?.number;
            Ok(DataAnswer::Changed { before, after })
        }
        DataQuery::Restore { dataset, version, row, .. } => {
            let before = bench.store.dataset(dataset)?.number;
            let rows: Vec<u64> = row.iter().copied().collect();
            data::restore(bench, dataset, Some(&version.to_string()), &rows)?;
            Ok(DataAnswer::Changed { before, after: bench.store.dataset(dataset)?.number })
        }
        DataQuery::Mask { dataset, row, template, model } => {
            mask(bench, dataset, *row, template, model).map(DataAnswer::Mask)
        }
        DataQuery::Versions { dataset } => {
            let versions = bench.store.history(dataset)?.into_iter().rev().map(version_view);
            Ok(DataAnswer::Versions(versions.collect()))
        }
        DataQuery::Diff { dataset, from, to } => {
            let found = data::diff(bench, dataset, &from.to_string(), &to.to_string(), DIFFERING)?;
            Ok(DataAnswer::Diff(DiffView {
                from: *from,
                to: *to,
                added: found.added,
                removed: found.removed,
                changed: found.changed,
                moved: found.moved,
                rows: found.rows.iter().map(change_view).collect(),
            }))
        }
    }
}

fn rows(
    bench: &Workbench,
    dataset: &str,
    filter: &RowFilter,
    place: Place,
    limit: u64,
    known: Option<(u64, bool)>,
) -> Result<RowPage> {
    let query = RowQuery {
        search: &filter.search,
        split: filter.split,
        lang: filter.lang,
        marked: filter.marked,
        from: place.from,
        offset: place.skip,
        limit: Some(limit),
    };
    let (total, exact) = match known {
        Some(known) => known,
        None => {
            let matched = bench.store.count_rows(dataset, &RowQuery { from: 0, ..query })?;
            (matched.rows, matched.exact)
        }
    };
    let marks = bench.store.marks(dataset)?;
    let rows = bench.store.rows(dataset, &query)?;
    Ok(RowPage { total, exact, rows: rows.into_iter().map(|row| row_view(row, &marks)).collect() })
}

fn row_view(stored: StoredRow, marks: &Marks) -> RowView {
    let editable = serde_json::to_string_pretty(&data::editable(&stored)).unwrap_or_default();
    let e = stored.example;
    let mark = marks.get(&stored.hash);
    RowView {
        row: stored.row,
        split: e.split,
        lang: e.lang,
        system: e.system,
        tools: e.tools,
        editable,
        history: e.history,
        tool_turns: e.tool_turns,
        instruction: e.instruction,
        input: e.input,
        output: e.output,
        origin: format!("{}:{}", stored.file, stored.line),
        mark: mark.map(|m| m.mark),
        note: mark.map_or_else(String::new, |m| m.note.clone()),
    }
}

/// The fields that `text` has otherwise than `given`; a field that is gone stays as it was.
fn changed_fields(given: &str, text: &str) -> Result<Map<String, Value>> {
    let given: Map<String, Value> = serde_json::from_str(given).map_err(|e| Error::internal(e.to_string()))?;
    Ok(parse_fields(text)?.into_iter().filter(|(field, value)| given.get(field) != Some(value)).collect())
}

fn parse_fields(text: &str) -> Result<Map<String, Value>> {
    let broken = |e: serde_json::Error| tr!("no JSON any more: {e}", "已不是合法的 JSON：{e}");
    serde_json::from_str(text).map_err(|e| Error::new(Kind::InvalidInput, broken(e)))
}

fn mask(bench: &Workbench, dataset: &str, row: u64, template: &str, model: &str) -> Result<MaskView> {
    let request = PreviewRequest {
        dataset: dataset.to_owned(),
        row,
        model: model.to_owned(),
        template: template.parse()?,
        loss_on: LossOn::parse("all")?,
        max_len: MAX_LEN,
        overlong: Overlong::parse("drop")?,
    };
    let preview = data::preview(bench, &request)?.preview;
    let token = |t: crate::prompt::PreviewToken| MaskToken { id: t.id, text: t.text, supervised: t.supervised };
    let mut tokens: Vec<MaskToken> = preview.tokens.into_iter().map(token).collect();
    for (first, count, text) in preview.shared {
        for (i, token) in tokens.iter_mut().skip(first).take(count).enumerate() {
            token.text = if i == 0 { text.clone() } else { SHARES.to_owned() };
        }
    }
    Ok(MaskView { supervised: preview.supervised, warnings: preview.warnings, tokens })
}

fn version_view(v: VersionRecord) -> VersionView {
    VersionView {
        number: v.number,
        version: v.version,
        rows: v.rows,
        val: v.val,
        message: v.message,
        tags: v.tags,
        created: v.created_at,
    }
}

fn change_view(diff: &RowDiff) -> RowChangeView {
    match diff {
        RowDiff::Added(row) | RowDiff::Removed(row) => {
            let sign = if matches!(diff, RowDiff::Added(_)) { '+' } else { '-' };
            let e = &row.example;
            let mut fields =
                vec![("instruction".to_owned(), e.instruction.clone()), ("output".to_owned(), e.output.clone())];
            if e.split == Split::Val {
                fields.push(("split".to_owned(), e.split.as_str().to_owned()));
            }
            RowChangeView { sign, row: row.row, fields }
        }
        RowDiff::Changed(a, b) => {
            let fields = FieldDiff::between(a, b).into_iter().map(|FieldDiff { field, from, to }| {
                let words = data::word_diff(&from, &to).into_iter().map(|change| match change {
                    Change::Same(text) => text,
                    Change::Removed(text) => format!("[-{text}-]"),
                    Change::Added(text) => format!("{{+{text}+}}"),
                });
                (field, words.collect())
            });
            RowChangeView { sign: '~', row: a.row, fields: fields.collect() }
        }
    }
}
