//! The items of a score as a table.

use super::Document;
use crate::error::{Error, Result};
use crate::eval::{ItemOutcome, Mode, Written, softmax, text_perplexity};

/// Columns that every score has; its metrics follow.
const COLUMNS: [&str; 16] = [
    "run",
    "task",
    "subject",
    "id",
    "category",
    "pred",
    "gold",
    "correct",
    "confidence",
    "loglikelihoods",
    "prompt_hash",
    "content_hash",
    "mode",
    "truncated",
    "answer",
    "extracted",
];

/// One line per item: what was asked by its hashes, what was answered or written, what was taken from that, how likely each
/// choice was, and the value of every metric.
pub(super) fn render(document: &Document) -> Result<String> {
    let report = document.score()?;
    let metrics: Vec<&String> = report.summary.metrics.0.iter().map(|(name, _)| name).collect();
    let mut out = line(COLUMNS.into_iter().chain(metrics.iter().map(|name| name.as_str())));
    for o in &document.outcomes {
        let probabilities = softmax(&o.loglikelihoods).unwrap_or_default();
        let confidence = probabilities.iter().copied().fold(f64::NAN, f64::max);
        let lls: Vec<String> = o.loglikelihoods.iter().map(f64::to_string).collect();
        let mut cells = vec![
            document.run.id.clone(),
            report.task.clone(),
            o.subject.clone(),
            o.id.clone(),
            o.detail.category.clone(),
            o.pred.clone(),
            o.gold.clone(),
            if o.gold.is_empty() { String::new() } else { u8::from(o.correct).to_string() },
            if confidence.is_nan() || o.loglikelihoods.len() < 2 { String::new() } else { confidence.to_string() },
            lls.join(" "),
            o.prompt_hash.clone(),
            o.detail.content.clone(),
            o.mode.name().to_owned(),
            o.detail.truncated.to_string(),
            o.written.as_ref().map(|w| w.answer.clone()).unwrap_or_default(),
            o.written.as_ref().map(extracted).transpose()?.unwrap_or_default(),
        ];
        cells.extend(metrics.iter().map(|name| value(o, name).map_or_else(String::new, |v| v.to_string())));
        out.push_str(&line(cells.iter().map(String::as_str)));
    }
    Ok(out)
}

/// What was taken from a written answer: the text where there is one way to take it, a JSON object of all ways otherwise.
fn extracted(written: &Written) -> Result<String> {
    match written.extracted.0.as_slice() {
        [(_, only)] => Ok(only.clone().unwrap_or_default()),
        _ => serde_json::to_string(&written.extracted).map_err(|e| Error::internal(e.to_string())),
    }
}

/// The value of a metric for one item. Items whose right answer nobody knows have none.
fn value(o: &ItemOutcome, metric: &str) -> Option<f64> {
    if o.mode == Mode::Perplexity {
        return text_perplexity(o).get(metric).map(|m| m.value);
    }
    o.written.as_ref().filter(|_| !o.gold.is_empty())?.metrics.get(metric).copied()
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    cells.map(quoted).collect::<Vec<_>>().join(",") + "\n"
}

/// A cell by RFC 4180; a leading sign that a spreadsheet would take for a formula is only kept in numbers.
fn quoted(cell: &str) -> String {
    let formula =
        cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !cell.starts_with(|c: char| c == '-' && numeric(cell));
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

fn numeric(cell: &str) -> bool {
    cell.split(' ').all(|part| part.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn cells_survive_commas_and_spreadsheets() {
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"x\"\n"), "\"say \"\"x\"\"\n\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
        assert_eq!(quoted("-1.5 -2"), "-1.5 -2");
        assert_eq!(quoted("-cmd"), "'-cmd");
    }
}
