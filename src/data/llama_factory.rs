//! LLaMA-Factory's `dataset_info.json`: which files there are, and how each one is laid out.

use super::conversation::Tags;
use super::import::{Format, ImportOptions};
use super::plain::Unit;
use super::roles::Role;
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A data set of the list.
#[derive(Clone, Debug)]
pub struct ListedSet {
    /// Its name there.
    pub name: String,
    /// The file or folder, relative to the list, and how it is read; or why it cannot be imported.
    pub source: Result<(String, ImportOptions), String>,
}

/// The data sets that `text` lists, in order. What the list does not say about reading stays as in `base`.
///
/// # Errors
/// `InvalidInput` when it is no such list, or lacks a name of `base.entries`.
pub fn listed_sets(text: &str, base: &ImportOptions) -> Result<Vec<ListedSet>> {
    let not_a_list = |what: String| {
        Error::new(
            Kind::InvalidInput,
            tr!("dataset_info.json cannot be read: {what}", "无法读取 dataset_info.json：{what}"),
        )
        .hint(tr!(
            "it must be an object of entries as LLaMA-Factory describes them",
            "应为 LLaMA-Factory 所述的条目对象"
        ))
    };
    let list: Map<String, Value> = serde_json::from_str(text).map_err(|e| not_a_list(e.to_string()))?;
    if let Some(missing) = base.entries.iter().find(|name| !list.contains_key(*name)) {
        let names: Vec<&str> = list.keys().map(String::as_str).take(20).collect();
        return Err(Error::new(
            Kind::NotFound,
            tr!("dataset_info.json has no entry `{missing}`", "dataset_info.json 没有条目 `{missing}`"),
        )
        .hint(tr!("there are: {}", "现有：{}", names.join(", "))));
    }
    let wanted = |name: &String| base.entries.is_empty() || base.entries.contains(name);
    let sets = list.into_iter().filter(|(name, _)| wanted(name));
    Ok(sets.map(|(name, entry)| ListedSet { source: source_of(&entry, base), name }).collect())
}

fn source_of(entry: &Value, base: &ImportOptions) -> Result<(String, ImportOptions), String> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let columns = entry.get("columns").and_then(Value::as_object);
    let column = |key: &str| columns.and_then(|columns| columns.get(key)).and_then(Value::as_str);
    if entry.get("ranking").and_then(Value::as_bool) == Some(true) || column("chosen").is_some() {
        return Err(tr!(
            "preferences between answers (ranking) are no instruction rows",
            "回答偏好（ranking）不是指令数据"
        ));
    }
    if column("kto_tag").is_some() {
        return Err(tr!(
            "labels of good and bad answers (kto_tag) are no instruction rows",
            "好坏标签（kto_tag）不是指令数据"
        ));
    }
    if let Some(medium) = ["images", "videos", "audios"].into_iter().find(|key| column(key).is_some()) {
        return Err(tr!("it needs {medium}, and rows hold text only", "需要 {medium}，而数据行只含文本"));
    }
    let Some(file) = text("file_name") else {
        return Err(tr!("it lies on a hub, not in a file; download it first", "位于模型/数据平台而非文件；请先下载"));
    };
    let mut options = ImportOptions { entries: Vec::new(), ..base.clone() };
    let formatting = text("formatting").unwrap_or("alpaca");
    let roles: &[(&str, Role)] = match formatting {
        "alpaca" => &[
            ("prompt", Role::Instruction),
            ("query", Role::Input),
            ("response", Role::Output),
            ("history", Role::History),
            ("system", Role::System),
        ],
        "sharegpt" => &[("messages", Role::Messages), ("system", Role::System), ("tools", Role::Tools)],
        other => return Err(tr!("its formatting `{other}` is not known here", "不认识的 formatting `{other}`")),
    };
    // Columns that hold a prompt and no response are plain text for pre-training.
    let plain = formatting == "alpaca" && column("prompt").is_some() && column("response").is_none();
    for (key, role) in roles {
        if let Some(name) = column(key) {
            options.map.add(if plain && *role == Role::Instruction { Role::Text } else { *role }, name);
        }
    }
    if formatting == "sharegpt" {
        options.format = Format::Conversation;
        options.tags = Some(Arc::new(tags(entry.get("tags"))));
    } else if file.ends_with(".txt") {
        options.format = Format::Text(Unit::Line);
    }
    Ok((file.to_owned(), options))
}

/// The entry's words, and LLaMA-Factory's own where it names none.
fn tags(given: Option<&Value>) -> Tags {
    let word = |key: &str, usual: &str| {
        given.and_then(|tags| tags.get(key)).and_then(Value::as_str).unwrap_or(usual).to_owned()
    };
    Tags {
        role: word("role_tag", "from"),
        content: word("content_tag", "value"),
        user: word("user_tag", "human"),
        assistant: word("assistant_tag", "gpt"),
        observation: word("observation_tag", "observation"),
        function: word("function_tag", "function_call"),
        system: word("system_tag", "system"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_files_or_reasons() {
        let list = r#"{
            "plain": {"file_name": "a.json"},
            "pairs": {"file_name": "b.json", "columns": {"prompt": "q", "response": "a"}},
            "talk": {"file_name": "c.json", "formatting": "sharegpt", "tags": {"role_tag": "role"}},
            "wiki": {"file_name": "w.txt", "columns": {"prompt": "text"}},
            "dpo": {"file_name": "d.json", "ranking": true},
            "kto": {"file_name": "k.json", "columns": {"kto_tag": "label"}},
            "pictures": {"file_name": "p.json", "formatting": "sharegpt", "columns": {"images": "images"}},
            "hub": {"hf_hub_url": "x/y"},
            "odd": {"file_name": "o.json", "formatting": "other"},
            "nothing": 3
        }"#;
        let sets = listed_sets(list, &ImportOptions::default()).unwrap();
        let outcome: Vec<String> = sets
            .iter()
            .map(|set| match &set.source {
                Ok((file, options)) => format!("{}={file} {:?}", set.name, options.format),
                Err(_) => format!("{} skipped", set.name),
            })
            .collect();
        assert_eq!(
            outcome,
            [
                "plain=a.json Auto",
                "pairs=b.json Auto",
                "talk=c.json Conversation",
                "wiki=w.txt Text(Line)",
                "dpo skipped",
                "kto skipped",
                "pictures skipped",
                "hub skipped",
                "odd skipped",
                "nothing skipped",
            ]
        );
        let one = ImportOptions { entries: vec!["wiki".into()], ..ImportOptions::default() };
        assert_eq!(listed_sets(list, &one).unwrap().len(), 1);
        let other = ImportOptions { entries: vec!["wikis".into()], ..ImportOptions::default() };
        assert_eq!(listed_sets(list, &other).unwrap_err().kind, Kind::NotFound);
        assert!(listed_sets("[]", &one).is_err());
    }
}
