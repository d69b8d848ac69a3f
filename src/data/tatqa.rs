//! TAT-QA's contexts as rows: each holds a table, paragraphs around it, and questions on both. A question becomes the
//! instruction, paragraphs and table its input, and the answer its output, with the derivation before it where there is one.

use super::example::Example;
use crate::tr;
use serde_json::Value;

/// Whether a record with these columns is a context.
pub(super) fn is_context(columns: &[String]) -> bool {
    let has = |name: &str| columns.iter().any(|column| column == name);
    has("questions") && has("table") && has("paragraphs")
}

/// The rows of `context`, one for each question, or the reason why it is none.
///
/// # Errors
/// Says why the context as a whole cannot be read.
pub(super) fn rows(context: &Value) -> Result<Vec<Result<Example, String>>, String> {
    let Some(questions) = context.get("questions").and_then(Value::as_array) else {
        return Err(tr!("`questions` is not a list", "`questions` 不是列表"));
    };
    let Some(cells) = context.pointer("/table/table").and_then(Value::as_array) else {
        return Err(tr!("`table` holds no rows", "`table` 没有行"));
    };
    let mut paragraphs: Vec<&Value> =
        context.get("paragraphs").and_then(Value::as_array).into_iter().flatten().collect();
    paragraphs.sort_by_key(|paragraph| paragraph.get("order").and_then(Value::as_u64).unwrap_or(u64::MAX));
    let mut parts: Vec<String> = paragraphs.into_iter().filter_map(|p| p.get("text").map(text_of)).collect();
    parts.push(markdown(cells));
    let input = parts.join("\n\n");
    Ok(questions.iter().map(|question| row(question, &input)).collect())
}

fn row(question: &Value, input: &str) -> Result<Example, String> {
    let field = |name: &str| question.get(name).map(text_of).unwrap_or_default();
    let instruction = field("question");
    let scale = field("scale");
    let answer = match question.get("answer") {
        None | Some(Value::Null) => String::new(),
        Some(Value::Array(parts)) => parts.iter().map(text_of).collect::<Vec<_>>().join(", "),
        Some(answer) => text_of(answer),
    };
    if instruction.trim().is_empty() {
        return Err(tr!("a question is empty", "问题为空"));
    }
    if answer.trim().is_empty() {
        return Err(tr!("the question `{instruction}` has no answer", "问题 `{instruction}` 没有答案"));
    }
    let answer = match scale.as_str() {
        "" => answer,
        "percent" if answer.ends_with('%') => answer,
        "percent" => format!("{answer}%"),
        scale => format!("{answer} {scale}"),
    };
    let derivation = field("derivation");
    let output = if derivation.is_empty() { answer } else { format!("{derivation}\n= {answer}") };
    Ok(Example { instruction, input: input.to_owned(), output, ..Example::default() })
}

/// A cell or an answer as text.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A table in Markdown; its first row is the header.
pub(super) fn markdown(rows: &[Value]) -> String {
    let mut lines: Vec<String> = Vec::with_capacity(rows.len() + 1);
    for row in rows {
        let cells = row.as_array().map(Vec::as_slice).unwrap_or_default();
        let cells: Vec<String> =
            cells.iter().map(|cell| text_of(cell).replace('|', "\\|").replace('\n', " ")).collect();
        lines.push(format!("| {} |", cells.join(" | ")));
        if lines.len() == 1 {
            lines.push(format!("|{}", " --- |".repeat(cells.len())));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_context_gives_a_row_for_each_question() {
        let context = json!({
            "table": {"uid": "t", "table": [["", "2019"], ["Sales | net", "$1.5"]]},
            "paragraphs": [{"order": 2, "text": "second"}, {"order": 1, "text": "first"}],
            "questions": [
                {"question": "Sum?", "answer": 1.5, "derivation": "1+0.5", "scale": "million"},
                {"question": "Share?", "answer": ["3", "4%"], "derivation": "", "scale": "percent"},
                {"question": "Which?", "answer": null},
                {"question": "", "answer": "x"},
            ],
        });
        let rows = rows(&context).unwrap();
        let first = rows[0].as_ref().unwrap();
        assert_eq!(first.input, "first\n\nsecond\n\n|  | 2019 |\n| --- | --- |\n| Sales \\| net | $1.5 |");
        assert_eq!((first.instruction.as_str(), first.output.as_str()), ("Sum?", "1+0.5\n= 1.5 million"));
        assert_eq!(rows[1].as_ref().unwrap().output, "3, 4%");
        assert!(rows[2].is_err() && rows[3].is_err());
        assert!(super::rows(&json!({"questions": [], "table": 3})).is_err());
    }
}
