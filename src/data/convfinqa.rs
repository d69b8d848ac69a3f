//! ConvFinQA's conversations as rows: a report's text and table, and questions on both that build on each other. The last
//! question is the row's own and the earlier ones its history; the report stands behind the first question, where a model
//! needs it. Two layouts are read: the authors' (Chen et al. 2022: `pre_text`, `post_text`, `table`, `annotation`) and the
//! cleaned one of `doc` and `dialogue`.

use super::example::Example;
use super::tatqa::{markdown, text_of};
use crate::tr;
use serde_json::{Map, Value, json};

/// Whether a record with these columns is a conversation.
pub(super) fn is_conversation(columns: &[String]) -> bool {
    let has = |name: &str| columns.iter().any(|column| column == name);
    has("doc") && has("dialogue") || has("pre_text") && has("table") && has("annotation")
}

/// The row of `record`.
///
/// # Errors
/// Says why it is none.
pub(super) fn row(record: &Value) -> Result<Example, String> {
    let doc = record.get("doc").unwrap_or(record);
    let talk = record.get("dialogue").or_else(|| record.get("annotation")).unwrap_or(&Value::Null);
    let list = |names: [&str; 2]| names.into_iter().find_map(|name| talk.get(name)).and_then(Value::as_array);
    let questions = list(["conv_questions", "dialogue_break"]);
    // What a person wrote comes before what the program computes.
    let answers = list(["conv_answers", "answer_list"]).or_else(|| list(["executed_answers", "exe_ans_list"]));
    let (Some(questions), Some(answers)) = (questions, answers) else {
        return Err(tr!("the conversation has no list of questions and answers", "对话没有问题与答案列表"));
    };
    if questions.len() != answers.len() {
        let (asked, answered) = (questions.len(), answers.len());
        return Err(tr!("{asked} questions, but {answered} answers", "{asked} 个问题，却有 {answered} 个答案"));
    }
    let mut turns: Vec<(String, String)> =
        questions.iter().zip(answers).map(|(question, answer)| (text_of(question), text_of(answer))).collect();
    if turns.iter().any(|(question, answer)| question.trim().is_empty() || answer.trim().is_empty()) {
        return Err(tr!("a question or an answer is empty", "问题或答案为空"));
    }
    let Some((instruction, output)) = turns.pop() else {
        return Err(tr!("the conversation is empty", "对话为空"));
    };
    let report = report(doc);
    let row = Example { instruction, output, ..Example::default() };
    Ok(match turns.first_mut() {
        None => Example { input: report, ..row },
        Some((first, _)) => {
            *first = format!("{first}\n{report}");
            Example { history: turns, ..row }
        }
    })
}

/// The text before the table, the table, and the text behind it.
fn report(doc: &Value) -> String {
    let text = |name: &str| match doc.get(name) {
        Some(Value::Array(parts)) => parts.iter().map(text_of).collect::<Vec<_>>().join(" "),
        Some(text) => text_of(text),
        None => String::new(),
    };
    let table = match doc.get("table") {
        Some(Value::Array(rows)) => markdown(rows),
        Some(Value::Object(columns)) => markdown(&rows_of(columns)),
        _ => String::new(),
    };
    let parts = [text("pre_text"), table, text("post_text")];
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// The rows of a table that is written as columns, each with a cell for every row's name.
fn rows_of(columns: &Map<String, Value>) -> Vec<Value> {
    let mut names: Vec<&String> = Vec::new();
    for column in columns.values().filter_map(Value::as_object) {
        for name in column.keys() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let head = [""].into_iter().chain(columns.keys().map(String::as_str));
    let mut rows = vec![json!(head.collect::<Vec<_>>())];
    for name in names {
        let cells = columns.values().map(|column| column.get(name).cloned().unwrap_or(Value::Null));
        rows.push(Value::Array([json!(name)].into_iter().chain(cells).collect()));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_give_the_same_conversation() {
        let cleaned = json!({
            "doc": {"pre_text": "before", "post_text": "behind", "table": {"2019": {"sales": 3.0}}},
            "dialogue": {"conv_questions": ["sales?", "twice?"], "conv_answers": ["3", "6"], "executed_answers": [3.0, 6.0]},
        });
        let original = json!({
            "pre_text": ["before"], "post_text": ["behind"], "table": [["", "2019"], ["sales", "3.0"]],
            "annotation": {"dialogue_break": ["sales?", "twice?"], "answer_list": ["3", "6"]},
        });
        let first = row(&cleaned).unwrap();
        assert_eq!(first, row(&original).unwrap());
        assert_eq!((first.instruction.as_str(), first.output.as_str(), first.input.as_str()), ("twice?", "6", ""));
        let asked = "sales?\nbefore\n\n|  | 2019 |\n| --- | --- |\n| sales | 3.0 |\n\nbehind";
        assert_eq!(first.history, [(asked.to_owned(), "3".to_owned())]);
    }

    #[test]
    fn one_question_has_the_report_as_its_input() {
        let talk = json!({"conv_questions": ["q"], "conv_answers": ["a"]});
        let single = row(&json!({"doc": {"pre_text": "text"}, "dialogue": talk})).unwrap();
        assert_eq!((single.instruction.as_str(), single.input.as_str(), single.history.len()), ("q", "text", 0));
        for talk in [
            json!({}),
            json!({"conv_questions": [], "conv_answers": []}),
            json!({"conv_questions": ["q"], "conv_answers": []}),
            json!({"conv_questions": ["q"], "conv_answers": [""]}),
            json!({"conv_questions": "q", "conv_answers": 3}),
            json!(7),
        ] {
            assert!(row(&json!({"doc": 3, "dialogue": talk})).is_err(), "{talk}");
        }
    }
}
