//! Question files: JSON lines, or plain text with one question a line.

use super::battle::{Question, language_of};
use crate::tr;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// A line that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Reject {
    /// The file.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// The lines of a file that hold something, with their numbers (from 1). Line ends may be `\r\n`, a byte order mark is
/// passed over, and a line that is not UTF-8 comes as an error text of its own.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, Result<&str, String>)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.split(|b| *b == b'\n').enumerate().filter_map(|(i, line)| match std::str::from_utf8(line) {
        Ok(text) if text.trim().is_empty() => None,
        Ok(text) => Some((i + 1, Ok(text.trim_end_matches('\r')))),
        Err(_) => Some((i + 1, Err(tr!("not UTF-8 text", "不是 UTF-8 文本")))),
    })
}

/// Reads questions. A line that begins with `{` is JSON: `{"id", "question", "reference", "lang"}`, where only the
/// question is required (`prompt`, `text`, or the first of `turns` do as well); any other line is the question itself.
/// A question without an id is called `q` and its line number. Bad lines are reported and passed over.
pub fn read(file: &str, bytes: &[u8]) -> (Vec<Question>, Vec<Reject>) {
    let (mut questions, mut rejects) = (Vec::new(), Vec::new());
    let mut ids = HashSet::new();
    for (line, text) in lines(bytes) {
        let question = text.and_then(|text| {
            let question = if text.trim_start().starts_with('{') {
                from_json(text, line)?
            } else {
                let text = text.trim();
                Question {
                    id: format!("q{line}"),
                    text: text.to_owned(),
                    reference: String::new(),
                    language: language_of(text).to_owned(),
                }
            };
            if !ids.insert(question.id.clone()) {
                let id = &question.id;
                return Err(tr!("the id `{id}` came before", "编号 `{id}` 重复"));
            }
            Ok(question)
        });
        match question {
            Ok(question) => questions.push(question),
            Err(reason) => rejects.push(Reject { file: file.to_owned(), line, reason }),
        }
    }
    (questions, rejects)
}

fn from_json(text: &str, line: usize) -> Result<Question, String> {
    let row: Map<String, Value> = serde_json::from_str(text).map_err(|e| tr!("not JSON: {e}", "不是 JSON：{e}"))?;
    let first = |names: &[&str]| names.iter().find_map(|name| row.get(*name).filter(|v| !v.is_null()));
    let words = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(items) => items.first().and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    let text = first(&["question", "prompt", "text", "turns"])
        .and_then(words)
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| tr!("no `question`", "缺少 `question`"))?;
    let id = match first(&["id", "question_id", "uid"]) {
        None => format!("q{line}"),
        Some(value) => words(value).ok_or_else(|| tr!("`id` is not text", "`id` 不是文本"))?,
    };
    let reference = match first(&["reference", "answer"]) {
        None => String::new(),
        Some(value) => words(value).ok_or_else(|| tr!("`reference` is not text", "`reference` 不是文本"))?,
    };
    let language = first(&["lang", "language"]).and_then(words).unwrap_or_else(|| language_of(&text).to_owned());
    Ok(Question { id, text, reference, language })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_and_plain_lines() {
        let file = "\u{feff}{\"id\": 7, \"question\": \"What is a bond?\", \"reference\": \"A loan.\"}\r\n\
                    什么是市盈率？\r\n\r\n\
                    {\"question_id\": \"x\", \"turns\": [\"one\", \"two\"], \"lang\": \"en\"}";
        let (questions, rejects) = read("f", file.as_bytes());
        assert!(rejects.is_empty(), "{rejects:?}");
        let rows: Vec<_> = questions.iter().map(|q| (&*q.id, &*q.text, &*q.reference, &*q.language)).collect();
        assert_eq!(
            rows,
            [("7", "What is a bond?", "A loan.", "en"), ("q2", "什么是市盈率？", "", "zh"), ("x", "one", "", "en")]
        );
    }

    #[test]
    fn bad_lines_are_named_and_passed_over() {
        let file = b"{\"id\": 1}\n{\"question\": \n\xff\xfe\n{\"id\": \"a\", \"question\": \"ok\"}\n{\"id\": \"a\", \"question\": \"again\"}\n";
        let (questions, rejects) = read("f", file);
        assert_eq!(questions.len(), 1);
        assert_eq!(rejects.iter().map(|r| r.line).collect::<Vec<_>>(), [1, 2, 3, 5]);
    }
}
