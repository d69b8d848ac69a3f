//! Items: rows of a table read the way the definition says, with the answer brought to an index.

use super::asking::Output;
use super::benchmark::Benchmark;
use super::definition::{AnswerForm, ChoiceColumns, Definition, Subject};
use super::prompt::{evaluate, hex};
use super::table::{self, Row};
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// One question of a benchmark.
#[derive(Clone, Debug)]
pub struct Item {
    /// Identifies it within its subject.
    pub id: String,
    /// The question as the file has it.
    pub question: String,
    /// The texts of the choices.
    pub choices: Vec<String>,
    /// Index of the right choice; `None` without choices and in a split whose answers its authors keep.
    pub gold: Option<usize>,
    /// The texts that are right, where answers are written.
    pub texts: Vec<String>,
    /// The category it counts for; empty for none.
    pub category: String,
    /// The whole row, for the prompt's template.
    pub row: Row,
}

impl Item {
    /// Whether it is known what is right.
    pub fn has_answer(&self) -> bool {
        self.gold.is_some() || !self.texts.is_empty()
    }

    /// SHA-256 over the question and the choices in the file's order, in hex: what the item is, whatever its number and
    /// the wording of the prompt. White space at the ends does not count.
    pub fn content(&self) -> String {
        let mut hasher = Sha256::new();
        for part in std::iter::once(&self.question).chain(&self.choices).map(|part| part.trim()) {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hex(&hasher.finalize())
    }

    /// The item with its choices in another order: the one at `order[i]` comes to stand at i. Columns that a template
    /// may use change with them.
    pub fn reordered(&self, definition: &Definition, order: &[usize]) -> Item {
        let mut item = self.clone();
        item.choices = order.iter().filter_map(|from| self.choices.get(*from).cloned()).collect();
        item.gold = self.gold.and_then(|gold| order.iter().position(|from| *from == gold));
        match &definition.columns.choices {
            None => {}
            Some(ChoiceColumns::Each(names)) => {
                for (to, from) in names.iter().zip(order) {
                    let value = names.get(*from).and_then(|name| cell(&self.row, name)).cloned();
                    if let (Some(target), Some(value)) = (cell_mut(&mut item.row, to), value) {
                        *target = value;
                    }
                }
            }
            Some(ChoiceColumns::List(name)) => {
                if let Some(Value::Array(list)) = cell_mut(&mut item.row, name) {
                    let moved = order.iter().filter_map(|from| list.get(*from).cloned()).collect();
                    *list = moved;
                }
            }
        }
        item
    }
}

/// An item that cannot be scored, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Skipped {
    /// Subject.
    pub subject: String,
    /// Item.
    pub id: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The items of one split of a subject.
#[derive(Clone, Debug, Default)]
pub struct Items {
    /// Those that can be scored, in the file's order.
    pub items: Vec<Item>,
    /// Those that cannot; never dropped in silence.
    pub skipped: Vec<Skipped>,
}

/// Reads the table of `split` for `subject`. Only the splits that the definition scores or takes
/// few-shots from must have answers.
///
/// # Errors
/// Those of [`Benchmark::read`] and [`table::read`]; `InvalidInput` for a missing column (with the
/// columns there are) or an id that comes twice.
pub fn load(benchmark: &Benchmark, subject: &Subject, split: &str) -> Result<Items> {
    let definition = &benchmark.definition;
    let file = definition
        .files
        .get(split)
        .ok_or_else(|| Error::internal(format!("{} has no split {split}", definition.name)))?
        .replace("{subject}", &subject.handle);
    let (bytes, place) = benchmark.read(&file)?;
    let mut rows = table::read(&bytes, definition.format, &place)?;
    if let Some(name) = &definition.explode {
        rows = table::explode(rows, name, &place)?;
    }
    let labelled = split == definition.split || definition.fewshot_split.as_deref() == Some(split);
    if let Some((row, name)) = rows.first().and_then(|row| Some((row, missing_column(definition, row, labelled)?))) {
        return Err(no_column(name, row, &place));
    }
    let mut out = Items::default();
    let mut seen = HashSet::new();
    for (i, row) in rows.into_iter().enumerate() {
        let id = match &definition.columns.id {
            Some(column) => text(&row, column),
            None => i.to_string(),
        };
        if !seen.insert(id.clone()) {
            return Err(Error::new(
                Kind::InvalidInput,
                tr!("{place}, row {}: the id `{id}` comes twice", "{place} 第 {} 行：编号 `{id}` 重复", i + 1),
            )
            .hint(tr!(
                "give every item its own id, or leave `columns.id` out of the definition to number the rows",
                "请让每道题有自己的编号，或在定义中去掉 `columns.id` 以按行编号"
            )));
        }
        match read_item(definition, subject, row, &id, labelled) {
            Ok(item) => out.items.push(item),
            Err(reason) => out.skipped.push(Skipped { subject: subject.handle.clone(), id, reason }),
        }
    }
    Ok(out)
}

/// A row as an item, or why it cannot be one.
fn read_item(definition: &Definition, subject: &Subject, row: Row, id: &str, labelled: bool) -> Result<Item, String> {
    let columns = &definition.columns;
    if let Some(name) = missing_column(definition, &row, labelled) {
        return Err(tr!("no `{name}`", "没有 `{name}`"));
    }
    let category = columns.category.as_ref().map_or_else(|| subject.category.clone(), |name| text(&row, name));
    // Without a column of its own the whole row is the question.
    let question = match &columns.question {
        Some(name) => text(&row, name),
        None => serde_json::to_string(&row).unwrap_or_default(),
    };
    let mut item =
        Item { id: id.to_owned(), question, choices: Vec::new(), gold: None, texts: Vec::new(), category, row };
    if definition.output == Output::Choices {
        item.choices = choices(columns.choices.as_ref(), &item.row)?;
        item.gold = gold(definition, &item, labelled)?;
        return Ok(item);
    }
    if let Some(name) = columns.question.as_ref().filter(|name| text(&item.row, name).is_empty()) {
        return Err(tr!("`{name}` is empty", "`{name}` 为空"));
    }
    if let Some(name) = &columns.answer {
        item.texts = match value(&item.row, name)? {
            Some(Value::Array(texts)) => texts.iter().map(plain).collect(),
            None | Some(Value::Null) => Vec::new(),
            Some(other) => vec![plain(&other)],
        };
        if labelled && item.texts.is_empty() {
            return Err(tr!("it has no answer", "没有答案"));
        }
    }
    Ok(item)
}

/// The texts of the choices.
fn choices(columns: Option<&ChoiceColumns>, row: &Row) -> Result<Vec<String>, String> {
    let choices: Vec<String> = match columns {
        None => Vec::new(),
        Some(ChoiceColumns::Each(names)) => names.iter().map(|name| text(row, name)).collect(),
        Some(ChoiceColumns::List(name)) => match value(row, name)? {
            Some(Value::Array(list)) => list.iter().map(plain).collect(),
            _ => return Err(tr!("`{name}` is not a list", "`{name}` 不是列表")),
        },
    };
    if choices.len() < 2 {
        return Err(tr!("fewer than two choices", "选项少于两个"));
    }
    Ok(choices)
}

/// Index of the right choice of `item`.
fn gold(definition: &Definition, item: &Item, labelled: bool) -> Result<Option<usize>, String> {
    let columns = &definition.columns;
    let Some(name) = &columns.answer else { return Ok(None) };
    let Some(answer) = value(&item.row, name)?.or(labelled.then_some(Value::Null)) else { return Ok(None) };
    let (written, count) = (plain(&answer), item.choices.len());
    let gold = match columns.answer_is {
        AnswerForm::Choice => item.choices.iter().position(|choice| *choice == written).or(written.trim().parse().ok()),
        form => read_answer(&written, form),
    };
    gold.filter(|gold| *gold < count).map(Some).ok_or_else(|| {
        tr!("the answer `{written}` is none of {count} choices", "答案 `{written}` 不是 {count} 个选项之一")
    })
}

/// The value of a column, or of a template over the row.
fn value(row: &Row, name: &str) -> Result<Option<Value>, String> {
    if name.contains("{{") {
        return evaluate(name, row).map(Some);
    }
    Ok(cell(row, name).cloned())
}

/// The index that `written` means: a letter may be small, full-width, in brackets, followed by a stop.
/// Several letters, words or nothing at all mean none.
fn read_answer(written: &str, form: AnswerForm) -> Option<usize> {
    let bare = written.trim_matches(|c: char| c.is_whitespace() || "()[]（）【】.．。、:：'\"".contains(c));
    match form {
        AnswerForm::Index | AnswerForm::Choice => bare.parse().ok(),
        AnswerForm::LetterOrIndex => bare.parse().ok().or_else(|| read_answer(written, AnswerForm::Letter)),
        AnswerForm::Letter => {
            let mut chars = bare.chars();
            let letter = chars.next().filter(|_| chars.next().is_none())?;
            let code = u32::from(letter);
            // Full-width Latin letters lie at a fixed distance from ASCII.
            let ascii = if (0xff01..=0xff5e).contains(&code) { code - 0xfee0 } else { code };
            let upper = u8::try_from(ascii).ok()?.to_ascii_uppercase();
            upper.is_ascii_uppercase().then(|| usize::from(upper - b'A'))
        }
    }
}

/// The first column that the definition names and `row` does not have.
fn missing_column<'a>(definition: &'a Definition, row: &Row, labelled: bool) -> Option<&'a str> {
    let columns = &definition.columns;
    let choices = match &columns.choices {
        None => &[],
        Some(ChoiceColumns::Each(names)) => names.as_slice(),
        Some(ChoiceColumns::List(name)) => std::slice::from_ref(name),
    };
    let others = columns
        .id
        .iter()
        .chain(&columns.question)
        .chain(columns.answer.as_ref().filter(|_| labelled))
        .chain(&columns.category);
    others.chain(choices).map(String::as_str).find(|name| !name.contains("{{") && cell(row, name).is_none())
}

fn no_column(name: &str, row: &Row, place: &str) -> Error {
    let found: Vec<&str> = row.keys().map(|k| if k.is_empty() { "(unnamed)" } else { k.as_str() }).collect();
    Error::new(Kind::InvalidInput, tr!("{place}: no column `{name}`", "{place}：没有列 `{name}`")).hint(tr!(
        "the columns are: {}; correct [columns] of the definition or the file's header",
        "现有的列：{}；请改正定义中的 [columns] 或文件的表头",
        found.join(", ")
    ))
}

/// The cell `name`; a name that begins with `/` is a JSON pointer into the row.
fn cell<'a>(row: &'a Row, name: &str) -> Option<&'a Value> {
    match name.strip_prefix('/') {
        None => row.get(name),
        Some(path) => {
            let (head, rest) = path.split_once('/').map_or((path, None), |(head, rest)| (head, Some(rest)));
            let value = row.get(head)?;
            rest.map_or(Some(value), |rest| value.pointer(&format!("/{rest}")))
        }
    }
}

/// [`cell`], to be changed.
fn cell_mut<'a>(row: &'a mut Row, name: &str) -> Option<&'a mut Value> {
    match name.strip_prefix('/') {
        None => row.get_mut(name),
        Some(path) => {
            let (head, rest) = path.split_once('/').map_or((path, None), |(head, rest)| (head, Some(rest)));
            let value = row.get_mut(head)?;
            match rest {
                None => Some(value),
                Some(rest) => value.pointer_mut(&format!("/{rest}")),
            }
        }
    }
}

fn text(row: &Row, name: &str) -> String {
    cell(row, name).map(plain).unwrap_or_default()
}

/// A JSON value as text: strings bare, null empty.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_brought_to_an_index_or_refused() {
        for (written, index) in
            [("A", 0), (" b\r", 1), ("Ｃ", 2), ("(D)", 3), ("A.", 0), ("（B）", 1), ("d。", 3), ("['A']", 0)]
        {
            assert_eq!(read_answer(written, AnswerForm::Letter), Some(index), "{written}");
        }
        for written in ["", "AB", "A,B", "['A', 'B']", "1", "甲", "?"] {
            assert_eq!(read_answer(written, AnswerForm::Letter), None, "{written}");
        }
        assert_eq!(read_answer(" 3 ", AnswerForm::Index), Some(3));
        assert_eq!(read_answer("-1", AnswerForm::Index), None);
        assert_eq!(read_answer("A", AnswerForm::Index), None);
        for (written, index) in [("2", Some(2)), ("C", Some(2)), ("-1", None), ("AB", None), ("", None)] {
            assert_eq!(read_answer(written, AnswerForm::LetterOrIndex), index, "{written}");
        }
    }
}
