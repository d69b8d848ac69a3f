//! Which field of a row a column is, by its name or by what the user said (`--map`).

use crate::error::{Error, Kind, Result};
use crate::tr;

/// A field of a row as it stands in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Instruction,
    Input,
    Output,
    System,
    History,
    /// A whole conversation as a list of messages.
    Messages,
    /// Descriptions of the tools that a conversation may call.
    Tools,
    /// Plain text for pre-training.
    Text,
    ToolTurns,
    Lang,
    Split,
}

/// How many roles there are.
pub(super) const ROLES: usize = 11;

/// The roles with the names that this project writes, in the order of [`Role`].
const OWN: [(Role, &str); ROLES] = [
    (Role::Instruction, "instruction"),
    (Role::Input, "input"),
    (Role::Output, "output"),
    (Role::System, "system"),
    (Role::History, "history"),
    (Role::Messages, "messages"),
    (Role::Tools, "tools"),
    (Role::Text, "text"),
    (Role::ToolTurns, "tool_turns"),
    (Role::Lang, "lang"),
    (Role::Split, "split"),
];

/// Names that other data sets give to these fields, the surest first: of two columns for one field the one that stands
/// earlier here is taken.
const USUAL: [(Role, &[&str]); 8] = [
    (Role::Instruction, &["prompt", "question", "query", "problem", "指令", "问题", "提问", "问"]),
    (Role::Input, &["context", "passage", "输入", "上下文", "材料"]),
    (
        Role::Output,
        &["completion", "response", "answer", "target", "reply", "solution", "输出", "回答", "答案", "回复", "答"],
    ),
    (Role::System, &["system_prompt", "系统提示"]),
    (Role::History, &["历史"]),
    (Role::Messages, &["conversation"]),
    (Role::Text, &["content", "raw_content", "正文", "文本", "内容"]),
    (Role::Lang, &["language", "语言"]),
];

/// Ranks from here on are guesses: the column has another name than the row's field.
pub(super) const GUESS: u8 = 10;

impl Role {
    /// Its name in files and on the command line.
    pub fn name(self) -> &'static str {
        OWN.get(self as usize).map_or("", |(_, name)| name)
    }
}

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// A field, and how weak the claim is: 0 for the field's own name or one that the user gave.
    Field(Role, u8),
    /// It describes a row in this project's own files and is not learnt from: accepted and not kept.
    Aside,
    /// No field of a row.
    Unknown,
}

/// Gives columns of other names their field: `instruction=question` and so on.
#[derive(Clone, Debug, Default)]
pub struct FieldMap {
    pairs: Vec<(String, Role)>,
    /// How many of them the user named; a list of data sets names the others.
    asked: usize,
}

impl FieldMap {
    /// Reads `instruction=COL,output=COL`.
    ///
    /// # Errors
    /// `InvalidInput` when a part has no `=` or names a field that a row does not have.
    pub fn parse(text: &str) -> Result<FieldMap> {
        let mut pairs = Vec::new();
        for part in text.split(',').filter(|p| !p.trim().is_empty()) {
            let pair = part.split_once('=').map(|(field, column)| (field.trim(), column.trim()));
            let role = pair.and_then(|(field, _)| OWN.iter().find(|(_, name)| *name == field));
            match (pair, role) {
                (Some((_, column)), Some((role, _))) if !column.is_empty() => pairs.push((column.to_owned(), *role)),
                _ => {
                    let names: Vec<&str> = OWN.iter().map(|(_, name)| *name).collect();
                    let message = match pair {
                        Some((field, _)) if role.is_none() => {
                            tr!("a row has no field `{field}`", "数据行没有字段 `{field}`")
                        }
                        Some((field, _)) => tr!("`{field}=` names no column", "`{field}=` 没有指定列"),
                        None => tr!("`{part}` is not FIELD=COLUMN", "`{part}` 不是 字段=列 的形式"),
                    };
                    return Err(Error::new(Kind::InvalidInput, message).hint(tr!(
                        "fields: {}",
                        "字段：{}",
                        names.join(", ")
                    )));
                }
            }
        }
        let asked = pairs.len();
        Ok(FieldMap { pairs, asked })
    }

    /// Whether the user named columns.
    pub(super) fn asks(&self) -> bool {
        self.asked > 0
    }

    /// Which of the columns that the user named `column` is: its bit, or none.
    pub(super) fn asks_for(&self, column: &str) -> u64 {
        let at = self.pairs.iter().take(self.asked).position(|(name, _)| name == column);
        at.map_or(0, |at| 1u64.checked_shl(at as u32).unwrap_or(0))
    }

    /// The columns that the user named and whose bit is set in `which`.
    pub(super) fn asked(&self, which: u64) -> impl Iterator<Item = &str> {
        let asked = self.pairs.iter().take(self.asked.min(64)).enumerate();
        asked.filter(move |(at, _)| which >> at & 1 == 1).map(|(_, (name, _))| name.as_str())
    }

    /// Says that `column` is `role`.
    pub(super) fn add(&mut self, role: Role, column: &str) {
        self.pairs.push((column.to_owned(), role));
    }

    /// Whether the user named no column.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// What `column` is for. A field that the user gave a column is taken from that column alone.
    pub(super) fn slot(&self, column: &str) -> Slot {
        if !self.pairs.is_empty() {
            if let Some((_, role)) = self.pairs.iter().find(|(name, _)| name == column) {
                return Slot::Field(*role, 0);
            }
            return match by_name(column) {
                Slot::Field(role, _) if self.pairs.iter().any(|(_, taken)| *taken == role) => Slot::Unknown,
                slot => slot,
            };
        }
        by_name(column)
    }
}

fn by_name(column: &str) -> Slot {
    match column {
        "instruction" => Slot::Field(Role::Instruction, 0),
        "input" => Slot::Field(Role::Input, 0),
        "output" => Slot::Field(Role::Output, 0),
        "system" => Slot::Field(Role::System, 0),
        "history" => Slot::Field(Role::History, 0),
        "conversations" => Slot::Field(Role::Messages, 0),
        "messages" => Slot::Field(Role::Messages, 1),
        "tools" => Slot::Field(Role::Tools, 0),
        "text" => Slot::Field(Role::Text, 0),
        "tool_turns" => Slot::Field(Role::ToolTurns, 0),
        "lang" => Slot::Field(Role::Lang, 0),
        "split" => Slot::Field(Role::Split, 0),
        "id" | "topic" => Slot::Aside,
        other => by_usual_name(other),
    }
}

/// Other names, and the fields' own names in other letters (`Instruction `).
fn by_usual_name(column: &str) -> Slot {
    // No usual name is longer; a key of megabytes is not worth lowering.
    if column.len() > 40 {
        return Slot::Unknown;
    }
    let name = column.trim().to_lowercase();
    if let Some((role, _)) = OWN.iter().find(|(_, own)| *own == name) {
        return Slot::Field(*role, GUESS);
    }
    for (role, names) in &USUAL {
        if let Some(at) = names.iter().position(|usual| *usual == name) {
            return Slot::Field(*role, GUESS + 1 + at as u8);
        }
    }
    Slot::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_the_roles() {
        for (at, (role, name)) in OWN.iter().enumerate() {
            assert_eq!((*role as usize, role.name()), (at, *name));
        }
    }

    #[test]
    fn a_column_is_known_by_its_usual_names() {
        let map = FieldMap::default();
        for (column, role) in
            [("Instruction ", Role::Instruction), ("QUESTION", Role::Instruction), ("答案", Role::Output)]
        {
            assert!(matches!(map.slot(column), Slot::Field(found, rank) if found == role && rank >= GUESS), "{column}");
        }
        assert_eq!(map.slot("output"), Slot::Field(Role::Output, 0));
        assert_eq!(map.slot("score"), Slot::Unknown);
        assert_eq!(map.slot(&"x".repeat(1 << 20)), Slot::Unknown);
    }

    #[test]
    fn what_the_user_says_comes_before_every_name() {
        let map = FieldMap::parse("instruction=prompt, output = completion").unwrap();
        assert_eq!(map.slot("prompt"), Slot::Field(Role::Instruction, 0));
        assert_eq!(map.slot("completion"), Slot::Field(Role::Output, 0));
        assert_eq!((map.slot("instruction"), map.slot("answer")), (Slot::Unknown, Slot::Unknown));
        assert_eq!(map.slot("input"), Slot::Field(Role::Input, 0));
        assert!(FieldMap::parse("question=q").is_err());
        assert!(FieldMap::parse("instruction").is_err());
        assert!(FieldMap::parse("instruction=").is_err());
    }
}
