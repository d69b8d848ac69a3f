//! One record read as a row, or the reason why it is none. A record is a JSON object, a line of a table or a row of a
//! Parquet file; all of them pass through [`Raw`].

use super::conversation::{self, Tags};
use super::example::{Example, Split};
use super::roles::{FieldMap, GUESS, ROLES, Role, Slot};
use super::{json_fault, language};
use crate::tr;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// A field of the row. Numbers and booleans are taken as text: in real files a label or an answer is
/// often an unquoted number.
#[derive(Debug, Default)]
pub(super) enum Field {
    #[default]
    Absent,
    Text(String),
    /// A list or an object.
    Nested(Value),
}

/// The record as it stands in the file.
#[derive(Debug, Default)]
pub(super) struct Raw {
    fields: [Field; ROLES],
    /// How weak the claim of each field's column is, see [`Slot::Field`].
    ranks: [u8; ROLES],
    /// Columns with other names than their field's.
    guessed: Vec<(Role, String)>,
    /// Names of columns that a row does not have, or has twice.
    pub unknown: Vec<String>,
    /// Which of the columns that the user named it has, see [`FieldMap::asks_for`].
    pub asked: u64,
}

/// What records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Whatever each one shows itself to be.
    Any,
    /// A question and an answer in fields of their own.
    Alpaca,
    /// A list of messages.
    Conversation,
}

/// How records are to be read.
pub(super) struct Reading<'o> {
    pub shape: Shape,
    pub tags: Option<&'o Tags>,
    /// The split of rows that do not name one.
    pub split: Split,
}

/// What is heard about a record beside its row.
pub(super) trait Listener {
    /// The column `name` was left aside.
    fn left_aside(&mut self, name: &str);
    /// Fields were found under other names.
    fn guessed(&mut self, columns: &[(Role, String)]);
}

/// Why a record is no row.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Lines after the record's first.
    pub line_offset: u64,
    /// For people.
    pub reason: String,
    /// Whether the record is of a known format, but not of the one that was asked for.
    pub other_format: bool,
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Refusal { line_offset: 0, reason, other_format: false }
    }
}

/// Reads the JSON text of one record.
pub(super) fn parse_json(text: &str, map: &FieldMap) -> Result<Raw, Refusal> {
    let mut json = serde_json::Deserializer::from_str(text);
    let raw = RawSeed(map).deserialize(&mut json).and_then(|raw| json.end().map(|()| raw));
    raw.map_err(|e| not_json(text, &e))
}

fn not_json(text: &str, error: &serde_json::Error) -> Refusal {
    let what = json_fault::in_words(error);
    let column = error.column();
    let reason = if error.is_data() {
        what
    } else if text == "{" {
        tr!(
            "not JSON: an object that spans lines must stand in an array `[…]`; otherwise one row per line",
            "不是 JSON：跨行的对象须放在数组 `[…]` 中，否则每行一条"
        )
    } else {
        tr!("not JSON: {what} (column {column})", "不是 JSON：{what}（第 {column} 列）")
    };
    Refusal { line_offset: error.line().saturating_sub(1) as u64, ..Refusal::from(reason) }
}

impl Raw {
    /// A record without any field; a table that names its columns claims their fields by [`Raw::put`].
    pub fn put(&mut self, name: &str, role: Role, rank: u8, field: Field) {
        let at = role as usize;
        let (Some(place), Some(taken)) = (self.fields.get_mut(at), self.ranks.get_mut(at)) else { return };
        match (&place, &field) {
            (Field::Absent, _) => {}
            // Null says nothing, so it takes nobody's place.
            (_, Field::Absent) => return,
            // A key that stands twice counts the second time, as everywhere; the first is not lost unseen.
            _ if rank == *taken => self.unknown.push(format!("{name} (again)")),
            _ if rank > *taken => return self.unknown.push(name.to_owned()),
            _ => {
                let loser = self.guessed.iter().position(|(guessed, _)| *guessed == role);
                self.unknown.push(loser.map_or_else(|| role.name().to_owned(), |at| self.guessed.remove(at).1));
            }
        }
        if rank >= GUESS && !matches!(field, Field::Absent) && !self.guessed.iter().any(|(_, n)| n == name) {
            self.guessed.push((role, name.to_owned()));
        }
        (*place, *taken) = (field, rank);
    }

    fn field(&self, role: Role) -> &Field {
        self.fields.get(role as usize).unwrap_or(&Field::Absent)
    }

    fn take(&mut self, role: Role) -> Field {
        self.fields.get_mut(role as usize).map(std::mem::take).unwrap_or_default()
    }

    fn has(&self, role: Role) -> bool {
        !matches!(self.field(role), Field::Absent)
    }

    /// The record as a row.
    pub fn row(mut self, reading: &Reading<'_>, listener: &mut dyn Listener) -> Result<Example, Refusal> {
        self.prompt_as_messages();
        let (instruction, messages) = (self.has(Role::Instruction), self.has(Role::Messages));
        let conversation = match reading.shape {
            Shape::Conversation => true,
            // A row with an instruction is an alpaca row, whatever else it carries.
            Shape::Any => messages && !instruction,
            Shape::Alpaca if messages && !instruction => return Err(conversation_refused(&self)),
            Shape::Alpaca => false,
        };
        let text = !conversation && !instruction && !self.has(Role::Output) && self.has(Role::Text);
        if !conversation && !text {
            self.input_as_instruction();
        }
        let unused: &[Role] = match (conversation, text) {
            (true, _) => &[Role::Instruction, Role::Output, Role::Text, Role::History],
            (_, true) => &[Role::Input, Role::Messages, Role::Tools, Role::System, Role::History],
            _ => &[Role::Messages, Role::Text],
        };
        for role in unused {
            if self.has(*role) {
                let name = self.guessed.iter().position(|(guessed, _)| guessed == role);
                let name = match name {
                    Some(at) => self.guessed.remove(at).1,
                    None => self.own_name(*role),
                };
                self.unknown.push(name);
                self.take(*role);
            }
        }
        for name in &self.unknown {
            listener.left_aside(name);
        }
        if !self.guessed.is_empty() {
            listener.guessed(&self.guessed);
        }
        let (lang, split) = (self.take(Role::Lang), self.take(Role::Split));
        let row = if conversation {
            self.conversation(reading.tags, listener)?
        } else if text {
            Example { output: self.take(Role::Text).required("text", String::new)?, ..Example::default() }
        } else {
            self.alpaca()?
        };
        marked(row, lang, split, reading.split)
    }

    fn own_name(&self, role: Role) -> String {
        let conversations = role == Role::Messages && self.ranks.get(role as usize) == Some(&0);
        if conversations { "conversations".to_owned() } else { role.name().to_owned() }
    }

    /// TRL writes a conversation as two lists: the messages of the prompt, and those of the completion.
    fn prompt_as_messages(&mut self) {
        if let (Field::Nested(Value::Array(prompt)), Field::Nested(Value::Array(completion)), false) =
            (self.field(Role::Instruction), self.field(Role::Output), self.has(Role::Messages))
            && prompt.iter().chain(completion).all(Value::is_object)
        {
            let all = prompt.iter().chain(completion).cloned().collect();
            self.take(Role::Instruction);
            self.take(Role::Output);
            if let Some(place) = self.fields.get_mut(Role::Messages as usize) {
                *place = Field::Nested(Value::Array(all));
            }
        }
    }

    /// Where nothing else is asked, `input` is the question.
    fn input_as_instruction(&mut self) {
        let asks = matches!(self.field(Role::Input), Field::Text(text) if !text.trim().is_empty());
        if asks && !self.has(Role::Instruction) && self.has(Role::Output) {
            let at = self.guessed.iter().position(|(role, _)| *role == Role::Input);
            let name = at.map_or_else(|| "input".to_owned(), |at| self.guessed.remove(at).1);
            self.guessed.push((Role::Instruction, name));
            let input = self.take(Role::Input);
            if let Some(place) = self.fields.get_mut(Role::Instruction as usize) {
                *place = input;
            }
        }
    }

    fn alpaca(mut self) -> Result<Example, Refusal> {
        let (instruction, output) = (self.take(Role::Instruction), self.take(Role::Output));
        let others = || {
            let guessed = self.guessed.iter().map(|(_, name)| name);
            self.unknown.iter().chain(guessed).map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        let instruction = instruction.required("instruction", others)?;
        let output = output.required("output", others)?;
        let history = self.take(Role::History).history()?;
        let tool_turns = self.take(Role::ToolTurns).tool_turns(history.len())?;
        let input = self.take(Role::Input).text("input")?;
        let system = self.take(Role::System).text("system")?;
        let tools = self.take(Role::Tools).tools();
        let tools = if matches!(tools.trim(), "" | "[]" | "null") { String::new() } else { tools };
        Ok(Example { instruction, input, output, system, tools, history, tool_turns, ..Example::default() })
    }

    fn conversation(mut self, tags: Option<&Tags>, listener: &mut dyn Listener) -> Result<Example, Refusal> {
        let messages = match self.take(Role::Messages) {
            Field::Absent => {
                return Err(tr!("no `conversations` and no `messages`", "没有 `conversations` 或 `messages`").into());
            }
            // A table holds the list as text.
            Field::Text(text) => serde_json::from_str(&text)
                .map_err(|_| Refusal::from(tr!("the conversation is not a list of messages", "对话不是消息列表")))?,
            Field::Nested(value) => value,
        };
        let tools = self.take(Role::Tools).tools();
        let (system, input) = (self.take(Role::System).text("system")?, self.take(Role::Input).text("input")?);
        let mut row = conversation::read(&messages, &system, &tools, tags, &mut |name| listener.left_aside(name))?;
        // Our own exports name the end of the last question that is the row's input.
        if !input.is_empty() {
            match row.instruction.strip_suffix(&input).and_then(|head| head.strip_suffix('\n')) {
                Some(head) if !head.trim().is_empty() => {
                    row.instruction.truncate(head.len());
                    row.input = input;
                }
                _ => listener.left_aside("input"),
            }
        }
        Ok(row)
    }
}

fn conversation_refused(raw: &Raw) -> Refusal {
    let field = raw.own_name(Role::Messages);
    let reason =
        tr!("this row is a conversation (`{field}`), not an alpaca row", "该行是对话（`{field}`），不是 alpaca 格式");
    Refusal { other_format: true, ..Refusal::from(reason) }
}

/// `row` with its language and split.
fn marked(row: Example, lang: Field, split: Field, other: Split) -> Result<Example, Refusal> {
    let split = split.text("split")?;
    let split = match split.trim() {
        "" => other,
        word => Split::parse(word).ok_or_else(|| {
            Refusal::from(tr!(
                "`split` is `{word}`: neither train nor val",
                "`split` 为 `{word}`：既不是 train 也不是 val"
            ))
        })?,
    };
    let lang = lang.text("lang")?;
    let lang = match lang.trim().as_bytes() {
        [b'z' | b'Z', b'h' | b'H', ..] => "zh",
        [b'e' | b'E', b'n' | b'N', ..] => "en",
        _ => language::detect(&[&row.instruction, &row.output]),
    };
    Ok(Example { lang: lang.to_owned(), split, ..row })
}

impl Field {
    fn text(self, name: &str) -> Result<String, Refusal> {
        match self {
            Field::Absent => Ok(String::new()),
            Field::Text(text) => Ok(text),
            Field::Nested(value) => {
                let what = if value.is_array() { "[…]" } else { "{…}" };
                Err(tr!("`{name}` is {what}, not text", "`{name}` 是 {what}，不是文本").into())
            }
        }
    }

    /// Descriptions of tools: a list, or the text that spells one.
    fn tools(self) -> String {
        match self {
            Field::Absent => String::new(),
            Field::Text(text) => text,
            Field::Nested(tools) => tools.to_string(),
        }
    }

    /// The text of a field without which the row teaches nothing.
    fn required(self, name: &str, others: impl Fn() -> String) -> Result<String, Refusal> {
        let absent = matches!(self, Field::Absent);
        let text = self.text(name)?;
        if !text.trim().is_empty() {
            return Ok(text);
        }
        let others = if absent { others() } else { String::new() };
        Err(if !others.is_empty() {
            tr!(
                "no `{name}` (the row has: {others}; --map can name its column)",
                "没有 `{name}`（该行有：{others}；可用 --map 指定列）"
            )
        } else if absent {
            tr!("no `{name}`", "没有 `{name}`")
        } else {
            tr!("`{name}` is empty", "`{name}` 为空")
        }
        .into())
    }

    /// The list that a nested field is, or that the text of a table's cell spells.
    fn list(self) -> Option<Vec<Value>> {
        match self {
            Field::Absent => Some(Vec::new()),
            Field::Text(text) if text.trim().is_empty() => Some(Vec::new()),
            Field::Text(text) => serde_json::from_str(&text).ok(),
            Field::Nested(Value::Array(items)) => Some(items),
            Field::Nested(_) => None,
        }
    }

    /// Earlier turns: a list of `[question, answer]`.
    fn history(self) -> Result<Vec<(String, String)>, Refusal> {
        if matches!(self, Field::Absent) {
            return Ok(Vec::new());
        }
        let text = |value: Value| match value {
            Value::String(text) => Some(text),
            Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
            _ => None,
        };
        let turn = |pair: Value| match pair {
            Value::Array(pair) => match <[Value; 2]>::try_from(pair) {
                Ok([question, answer]) => Some((text(question)?, text(answer)?)),
                Err(_) => None,
            },
            _ => None,
        };
        self.list().and_then(|turns| turns.into_iter().map(turn).collect::<Option<Vec<_>>>()).ok_or_else(|| {
            tr!("`history` is not a list of [question, answer]", "`history` 不是 [问题, 回答] 的列表").into()
        })
    }

    /// Numbers of turns that a tool asked, below or equal to `last`, ascending.
    fn tool_turns(self, last: usize) -> Result<Vec<usize>, Refusal> {
        if matches!(self, Field::Absent) {
            return Ok(Vec::new());
        }
        let number = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= last);
        let turns = self.list().and_then(|turns| turns.iter().map(number).collect::<Option<Vec<usize>>>());
        turns.filter(|turns| turns.is_sorted_by(|a, b| a < b)).ok_or_else(|| {
            tr!("`tool_turns` is not a list of this row's turns", "`tool_turns` 不是本行轮次的列表").into()
        })
    }
}

/// Reads an object of JSON, or of a Parquet row, into a [`Raw`].
pub(super) struct RawSeed<'m>(pub &'m FieldMap);

impl<'de> DeserializeSeed<'de> for RawSeed<'_> {
    type Value = Raw;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RawSeed<'_> {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&tr!("a JSON object", "JSON 对象"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut raw = Raw::default();
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            raw.asked |= self.0.asks_for(&key);
            match self.0.slot(&key) {
                Slot::Field(role, rank) => {
                    let field = map.next_value()?;
                    raw.put(&key, role, rank, field);
                }
                Slot::Aside => _ = map.next_value::<IgnoredAny>()?,
                Slot::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                    raw.unknown.push(key.into_owned());
                }
            }
        }
        Ok(raw)
    }
}

/// A key, borrowed from the file where it holds no escape (`Cow` alone would always copy).
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key<'de>, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(v.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Field, D::Error> {
        struct FieldVisitor;
        impl<'de> Visitor<'de> for FieldVisitor {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_str<E>(self, v: &str) -> Result<Field, E> {
                Ok(Field::Text(v.to_owned()))
            }
            fn visit_string<E>(self, v: String) -> Result<Field, E> {
                Ok(Field::Text(v))
            }
            fn visit_bool<E>(self, v: bool) -> Result<Field, E> {
                Ok(Field::Text(v.to_string()))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Field, E> {
                Ok(Field::Text(v.to_string()))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Field, E> {
                Ok(Field::Text(v.to_string()))
            }
            fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Field, E> {
                let number = serde_json::Number::from_f64(v).ok_or_else(|| E::custom("not a number"))?;
                Ok(Field::Text(number.to_string()))
            }
            fn visit_unit<E>(self) -> Result<Field, E> {
                Ok(Field::Absent)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Field, A::Error> {
                Value::deserialize(SeqAccessDeserializer::new(seq)).map(Field::Nested)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field, A::Error> {
                Value::deserialize(MapAccessDeserializer::new(map)).map(Field::Nested)
            }
        }
        deserializer.deserialize_any(FieldVisitor)
    }
}

#[cfg(test)]
mod tests;
