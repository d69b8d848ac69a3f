//! One JSON record read as a row, or the reason why it is none.

use super::conversation;
use super::example::{Example, Split};
use super::import::Format;
use super::language;
use super::records::newlines;
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A field of the row. Numbers and booleans are taken as text: in real files a label or an answer is
/// often an unquoted number.
#[derive(Debug, Default)]
enum Field {
    #[default]
    Absent,
    Text(String),
    /// Something that is no text: a list or an object.
    Other(&'static str),
}

#[derive(Debug, Default)]
enum History {
    #[default]
    None,
    Turns(Vec<(String, String)>),
    Other,
}

/// The record as it stands in the file.
#[derive(Debug, Default)]
struct Raw {
    instruction: Field,
    input: Field,
    output: Field,
    system: Field,
    lang: Field,
    split: Field,
    history: History,
    /// The field of a row that is written as messages, with the name of its format.
    messages: Option<(&'static str, serde_json::Value)>,
    /// Descriptions of the tools that such a row may call.
    tools: Option<serde_json::Value>,
    /// Names of fields that a row does not have.
    unknown: Vec<String>,
}

/// Fields with a meaning here. `id` and `topic` describe a row in this project's own files and are
/// not learnt from, so they are accepted and not kept.
const KNOWN: [&str; 9] = ["instruction", "input", "output", "system", "history", "split", "lang", "id", "topic"];

/// Gives fields of other names their role: `instruction=question` and so on.
#[derive(Clone, Debug, Default)]
pub struct FieldMap(Vec<(String, String)>);

impl FieldMap {
    /// Reads `instruction=COL,output=COL`.
    ///
    /// # Errors
    /// `InvalidInput` when a part has no `=` or names a field that a row does not have.
    pub fn parse(text: &str) -> Result<FieldMap> {
        let mut pairs = Vec::new();
        for part in text.split(',').filter(|p| !p.trim().is_empty()) {
            match part.split_once('=').map(|(field, column)| (field.trim(), column.trim())) {
                Some((field, column)) if KNOWN.contains(&field) && !column.is_empty() => {
                    pairs.push((column.to_owned(), field.to_owned()));
                }
                _ => {
                    return Err(Error::new(
                        Kind::InvalidInput,
                        tr!("`{part}` is not FIELD=COLUMN", "`{part}` 不是 字段=列 的形式"),
                    )
                    .hint(tr!("fields: {}", "字段：{}", KNOWN.join(", "))));
                }
            }
        }
        Ok(FieldMap(pairs))
    }

    fn role<'k>(&'k self, key: &'k str) -> &'k str {
        self.0.iter().find(|(column, _)| column == key).map_or(key, |(_, field)| field)
    }
}

/// Why a record is no row.
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

/// Reads one record. `unknown` hears the name of every field that was left aside.
pub(super) fn parse_row(
    bytes: &[u8],
    format: Format,
    map: &FieldMap,
    unknown: &mut dyn FnMut(&str),
) -> Result<Example, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|e| not_utf8(bytes, e.valid_up_to()))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let raw = RawSeed(map).deserialize(&mut json).and_then(|raw| json.end().map(|()| raw));
    let mut raw = raw.map_err(|e| not_json(text, &e))?;
    let alpaca = match format {
        Format::Alpaca => true,
        Format::Conversation => false,
        // A row with an instruction is an alpaca row, whatever else it carries.
        Format::Auto => raw.messages.is_none() || !matches!(raw.instruction, Field::Absent),
    };
    if alpaca {
        raw.refuse_other_format()?;
        raw.unknown.extend(raw.messages.take().map(|(name, _)| name.to_owned()));
        raw.unknown.extend(raw.tools.take().map(|_| "tools".to_owned()));
    }
    for name in &raw.unknown {
        unknown(name);
    }
    if alpaca { raw.alpaca() } else { raw.conversation(unknown) }
}

fn not_utf8(bytes: &[u8], at: usize) -> Refusal {
    let before = bytes.get(..at).unwrap_or_default();
    let column = at - before.iter().rposition(|&b| b == b'\n').map_or(0, |p| p + 1) + 1;
    let byte = bytes.get(at).copied().unwrap_or_default();
    Refusal {
        line_offset: newlines(before),
        ..Refusal::from(tr!(
            "byte {column} of this line (0x{byte:02X}) is not UTF-8; convert the file first, for example with `iconv -f GB18030 -t UTF-8`",
            "本行第 {column} 字节（0x{byte:02X}）不是 UTF-8；请先转换文件，例如 `iconv -f GB18030 -t UTF-8`"
        ))
    }
}

fn not_json(text: &str, error: &serde_json::Error) -> Refusal {
    let message = error.to_string();
    let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
    let column = error.column();
    let reason = if error.is_data() {
        what.to_owned()
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
    fn refuse_other_format(&self) -> Result<(), Refusal> {
        match (&self.instruction, &self.messages) {
            (Field::Absent, Some((field, _))) => Err(Refusal {
                other_format: true,
                ..Refusal::from(tr!(
                    "this row is a conversation (`{field}`), not an alpaca row",
                    "该行是对话（`{field}`），不是 alpaca 格式"
                ))
            }),
            _ => Ok(()),
        }
    }

    fn alpaca(self) -> Result<Example, Refusal> {
        let instruction = self.instruction.required("instruction", &self.unknown)?;
        let output = self.output.required("output", &self.unknown)?;
        let history = match self.history {
            History::None => Vec::new(),
            History::Turns(turns) => turns,
            History::Other => {
                return Err(
                    tr!("`history` is not a list of [question, answer]", "`history` 不是 [问题, 回答] 的列表").into()
                );
            }
        };
        let (input, system) = (self.input.text("input")?, self.system.text("system")?);
        let row = Example { input, system, instruction, output, history, ..Example::default() };
        marked(row, self.lang, self.split)
    }

    fn conversation(self, unknown: &mut dyn FnMut(&str)) -> Result<Example, Refusal> {
        let Some((_, messages)) = &self.messages else {
            return Err(tr!("no `conversations` and no `messages`", "没有 `conversations` 或 `messages`").into());
        };
        let tools = match self.tools {
            None | Some(serde_json::Value::Null) => String::new(),
            Some(serde_json::Value::String(text)) => text,
            Some(tools) => tools.to_string(),
        };
        let row = conversation::read(messages, &self.system.text("system")?, &tools, unknown)?;
        marked(row, self.lang, self.split)
    }
}

/// `row` with its language and split.
fn marked(row: Example, lang: Field, split: Field) -> Result<Example, Refusal> {
    let split = split.text("split")?;
    let split = match split.trim() {
        "" => Split::Train,
        word => Split::parse(word).ok_or_else(|| {
            Refusal::from(tr!(
                "`split` is `{word}`: neither train nor val",
                "`split` 为 `{word}`：既不是 train 也不是 val"
            ))
        })?,
    };
    let lang = lang.text("lang")?;
    let lang = match lang.trim().to_ascii_lowercase() {
        word if word.starts_with("zh") => "zh",
        word if word.starts_with("en") => "en",
        _ => language::detect(&[&row.instruction, &row.output]),
    };
    Ok(Example { lang: lang.to_owned(), split, ..row })
}

impl Field {
    fn text(self, name: &str) -> Result<String, Refusal> {
        match self {
            Field::Absent => Ok(String::new()),
            Field::Text(text) => Ok(text),
            Field::Other(what) => Err(tr!("`{name}` is {what}, not text", "`{name}` 是 {what}，不是文本").into()),
        }
    }

    /// The text of a field without which the row teaches nothing.
    fn required(self, name: &str, others: &[String]) -> Result<String, Refusal> {
        let absent = matches!(self, Field::Absent);
        let text = self.text(name)?;
        if !text.trim().is_empty() {
            return Ok(text);
        }
        Err(if absent && !others.is_empty() {
            let others = others.join(", ");
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
}

struct RawSeed<'m>(&'m FieldMap);

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
        while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            // A key that stands twice counts the second time, as everywhere.
            match self.0.role(&key) {
                "instruction" => raw.instruction = map.next_value()?,
                "input" => raw.input = map.next_value()?,
                "output" => raw.output = map.next_value()?,
                "system" => raw.system = map.next_value()?,
                "lang" => raw.lang = map.next_value()?,
                "split" => raw.split = map.next_value()?,
                "history" => raw.history = map.next_value()?,
                "conversations" => raw.messages = Some(("conversations", map.next_value()?)),
                "messages" => raw.messages = Some(("messages", map.next_value()?)),
                "tools" => raw.tools = Some(map.next_value()?),
                "id" | "topic" => _ = map.next_value::<IgnoredAny>()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    raw.unknown.push(key.into_owned());
                }
            }
        }
        Ok(raw)
    }
}

impl<'de> serde::Deserialize<'de> for Field {
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
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Field, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Field::Other("[…]"))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Field::Other("{…}"))
            }
        }
        deserializer.deserialize_any(FieldVisitor)
    }
}

impl<'de> serde::Deserialize<'de> for History {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<History, D::Error> {
        // Rare, so a generic value is good enough here.
        let value = serde_json::Value::deserialize(deserializer).map_err(D::Error::custom)?;
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Number(_) | serde_json::Value::Bool(_) => Some(value.to_string()),
            _ => None,
        };
        let turn = |pair: &serde_json::Value| match pair.as_array().map(Vec::as_slice) {
            Some([question, answer]) => Some((text(question)?, text(answer)?)),
            _ => None,
        };
        Ok(match &value {
            serde_json::Value::Null => History::None,
            serde_json::Value::String(text) if text.is_empty() => History::None,
            serde_json::Value::Array(turns) => match turns.iter().map(turn).collect::<Option<Vec<_>>>() {
                Some(turns) => History::Turns(turns),
                None => History::Other,
            },
            _ => History::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Example, String> {
        parse_row(text.as_bytes(), Format::Auto, &FieldMap::default(), &mut |_| {}).map_err(|r| r.reason)
    }

    #[test]
    fn absent_null_and_empty_are_the_same() {
        let full = parse(r#"{"instruction":"问","input":"","output":"答","system":"","history":[]}"#).unwrap();
        assert_eq!(parse(r#"{"instruction":"问","output":"答"}"#).unwrap(), full);
        assert_eq!(parse(r#"{"history":null,"output":"答","input":null,"system":null,"instruction":"问","lang":null,"split":null}"#).unwrap(), full);
        assert_eq!((full.lang.as_str(), full.split), ("zh", Split::Train));
    }

    #[test]
    fn numbers_and_booleans_become_text() {
        let row = parse(r#"{"instruction":12,"input":-1,"output":2.5,"history":[["q",3]]}"#).unwrap();
        assert_eq!((row.instruction.as_str(), row.input.as_str(), row.output.as_str()), ("12", "-1", "2.5"));
        assert_eq!(row.history, [("q".to_owned(), "3".to_owned())]);
        assert_eq!(parse(r#"{"instruction":"q","output":true}"#).unwrap().output, "true");
    }

    #[test]
    fn rows_that_teach_nothing_are_refused_with_the_reason() {
        for (text, word) in [
            (r#"{"instruction":"q","output":" \n"}"#, "`output` is empty"),
            (r#"{"instruction":"","output":"a"}"#, "`instruction` is empty"),
            (r#"{"prompt":"q","completion":"a"}"#, "prompt, completion"),
            (r#"{"instruction":"q"}"#, "no `output`"),
            (r#"{"instruction":"q","output":["a"]}"#, "`output` is […]"),
            (r#"{"instruction":{"a":1},"output":"a"}"#, "`instruction` is {…}"),
            (r#"{"instruction":"q","output":"a","history":[["q"]]}"#, "history"),
            (r#"{"instruction":"q","output":"a","history":{"q":"a"}}"#, "history"),
            (r#"{"instruction":"q","output":"a","split":"test"}"#, "test"),
            (r#"{"conversations":[]}"#, "does not end"),
            (r#"{"conversations":null}"#, "not a list"),
            ("......", "not JSON"),
            ("[1]", "JSON object"),
            ("3", "JSON object"),
            ("{", "array"),
            (r#"{"instruction":"q","output":"a"} x"#, "not JSON"),
            (r#"{"instruction":"q","output":"a"#, "not JSON"),
        ] {
            let reason = parse(text).unwrap_err();
            assert!(reason.contains(word), "{text} gave: {reason}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_named_by_line_and_byte() {
        // GB18030 for the two characters of "基金", after one good line.
        let mut bytes = b"{\"instruction\":\"q\",\n \"output\":\"".to_vec();
        bytes.extend([0xbb, 0xf9, 0xbd, 0xf0, b'"', b'}']);
        let refusal = parse_row(&bytes, Format::Auto, &FieldMap::default(), &mut |_| {}).unwrap_err();
        assert_eq!(refusal.line_offset, 1);
        assert!(refusal.reason.contains("byte 12 ") && refusal.reason.contains("0xBB"), "{}", refusal.reason);
    }

    #[test]
    fn own_fields_and_a_map_are_understood() {
        let row =
            parse(r#"{"id":"f-1","topic":["funds"],"lang":"en-US","split":"val","instruction":"问","output":"答"}"#)
                .unwrap();
        assert_eq!((row.lang.as_str(), row.split), ("en", Split::Val));
        let map = FieldMap::parse("instruction=prompt, output=completion").unwrap();
        let mut unknown = Vec::new();
        let row = parse_row(br#"{"prompt":"q","completion":"a","score":1}"#, Format::Auto, &map, &mut |n| {
            unknown.push(n.to_owned())
        });
        assert_eq!(row.map_err(|r| r.reason).unwrap().output, "a");
        assert_eq!(unknown, ["score"]);
        assert!(FieldMap::parse("question=q").is_err());
        assert!(FieldMap::parse("instruction").is_err());
    }

    #[test]
    fn a_key_that_stands_twice_counts_the_second_time() {
        assert_eq!(parse(r#"{"instruction":"q","output":"a","output":"b"}"#).unwrap().output, "b");
    }
}
