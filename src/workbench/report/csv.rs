//! The items of a score as a table.

use super::Document;
use crate::error::Result;
use crate::eval::softmax;

/// One line per item: what was asked by its hashes, what was answered, how likely each choice was.
pub(super) fn render(document: &Document) -> Result<String> {
    let report = document.score()?;
    let mut out = "run,task,subject,id,category,pred,gold,correct,confidence,loglikelihoods,prompt_hash,content_hash\n"
        .to_owned();
    for o in &document.outcomes {
        let probabilities = softmax(&o.loglikelihoods).unwrap_or_default();
        let confidence = probabilities.iter().copied().fold(f64::NAN, f64::max);
        let lls: Vec<String> = o.loglikelihoods.iter().map(f64::to_string).collect();
        let cells = [
            document.run.id.clone(),
            report.task.clone(),
            o.subject.clone(),
            o.id.clone(),
            o.detail.category.clone(),
            o.pred.clone(),
            o.gold.clone(),
            if o.gold.is_empty() { String::new() } else { u8::from(o.correct).to_string() },
            if confidence.is_nan() { String::new() } else { confidence.to_string() },
            lls.join(" "),
            o.prompt_hash.clone(),
            o.detail.content.clone(),
        ];
        out.push_str(&cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(","));
        out.push('\n');
    }
    Ok(out)
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
