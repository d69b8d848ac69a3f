//! A conversation written as a list of messages (sharegpt's `from`/`value`, OpenAI's `role`/`content`) as a row: earlier
//! turns and the last one. What a tool returned is a question to the model, marked as such; a function call is
//! something that the model writes, so it is an answer.

use super::example::Example;
use crate::tr;
use serde_json::Value;

/// Who wrote a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    System,
    User,
    Assistant,
    Tool,
}

impl Speaker {
    fn parse(word: &str) -> Option<Speaker> {
        match word {
            "system" | "developer" => Some(Speaker::System),
            "human" | "user" => Some(Speaker::User),
            "gpt" | "assistant" | "model" | "function_call" => Some(Speaker::Assistant),
            "observation" | "tool" | "function" => Some(Speaker::Tool),
            _ => None,
        }
    }
}

/// The words of a file that names speakers and keys in its own way, as LLaMA-Factory's `dataset_info.json` lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tags {
    /// Key of the speaker.
    pub role: String,
    /// Key of the text.
    pub content: String,
    /// Speaker: who asks.
    pub user: String,
    /// Speaker: the model.
    pub assistant: String,
    /// Speaker: what a tool returned.
    pub observation: String,
    /// Speaker: the model, calling a tool.
    pub function: String,
    /// Speaker: the system message.
    pub system: String,
}

impl Tags {
    fn speaker(&self, word: &str) -> Option<Speaker> {
        let speakers = [
            (&self.user, Speaker::User),
            (&self.assistant, Speaker::Assistant),
            (&self.observation, Speaker::Tool),
            (&self.function, Speaker::Assistant),
            (&self.system, Speaker::System),
        ];
        speakers.into_iter().find(|(name, _)| *name == word).map(|(_, speaker)| speaker)
    }
}

/// Keys of a message that are understood, or that say nothing that a model reads.
const KEYS: [&str; 9] =
    ["from", "value", "role", "content", "tool_calls", "function_call", "tool_call_id", "name", "refusal"];

/// Reads `messages` into the texts of a row; `system` and `tools` stand beside them in the file. `unknown` hears of keys
/// of messages that were left aside.
pub(super) fn read(
    messages: &Value,
    system: &str,
    tools: &str,
    tags: Option<&Tags>,
    unknown: &mut dyn FnMut(&str),
) -> Result<Example, String> {
    let Some(messages) = messages.as_array() else {
        return Err(tr!("the conversation is not a list of messages", "对话不是消息列表"));
    };
    let mut systems = Vec::new();
    if !system.trim().is_empty() {
        systems.push(system.to_owned());
    }
    // (question, whether a tool gave it, answer)
    let mut turns: Vec<(String, bool, Option<String>)> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let number = at + 1;
        let (speaker, text) = message_of(message, number, tags, unknown)?;
        let first = turns.is_empty();
        let open = turns.last_mut().filter(|(_, _, answer)| answer.is_none());
        match (speaker, open) {
            (Speaker::System, None) if first => systems.push(text),
            (Speaker::User | Speaker::Assistant, _) if text.trim().is_empty() => {
                return Err(tr!("message {number} is empty", "第 {number} 条消息为空"));
            }
            (Speaker::User, None) => turns.push((text, false, None)),
            (Speaker::Tool, None) if !first => turns.push((text, true, None)),
            // Several calls at once have several results.
            (Speaker::Tool, Some((results, true, _))) => {
                results.push('\n');
                results.push_str(&text);
            }
            (Speaker::Assistant, Some((_, _, answer))) => *answer = Some(text),
            _ => {
                return Err(tr!(
                    "message {number} is out of turn: a question (of the user, or a tool's result) and an answer must alternate",
                    "第 {number} 条消息顺序不对：提问（用户或工具结果）与回答必须交替"
                ));
            }
        }
    }
    let tools = if matches!(tools.trim(), "" | "[]" | "null") { String::new() } else { tools.to_owned() };
    let Some((instruction, last_by_tool, Some(output))) = turns.pop() else {
        return Err(tr!("the conversation does not end with an answer", "对话没有以回答结束"));
    };
    let marks = turns.iter().map(|(_, tool, _)| *tool).chain([last_by_tool]);
    let tool_turns = marks.enumerate().filter(|(_, tool)| *tool).map(|(turn, _)| turn).collect();
    let history = turns.into_iter().map(|(question, _, answer)| (question, answer.unwrap_or_default())).collect();
    let system = systems.join("\n\n");
    Ok(Example { instruction, output, system, tools, history, tool_turns, ..Example::default() })
}

fn message_of(
    message: &Value,
    number: usize,
    tags: Option<&Tags>,
    unknown: &mut dyn FnMut(&str),
) -> Result<(Speaker, String), String> {
    let Some(object) = message.as_object() else {
        return Err(tr!("message {number} is not an object", "第 {number} 条消息不是对象"));
    };
    let own = |key: &str| tags.is_some_and(|tags| key == tags.role || key == tags.content);
    for key in object.keys().filter(|key| !KEYS.contains(&key.as_str()) && !own(key)) {
        unknown(&format!("messages.{key}"));
    }
    let named = |key: Option<&String>, usual: [&str; 2]| {
        let named = key.and_then(|key| object.get(key));
        named.or_else(|| usual.into_iter().find_map(|key| object.get(key)))
    };
    let Some(role) = named(tags.map(|t| &t.role), ["role", "from"]).and_then(Value::as_str) else {
        return Err(tr!("message {number} does not say who speaks", "第 {number} 条消息没有说明发言者"));
    };
    let speaker = tags.and_then(|tags| tags.speaker(role)).or_else(|| Speaker::parse(role)).ok_or_else(|| {
        let role = role.escape_default();
        tr!("message {number} is of an unknown speaker `{role}`", "第 {number} 条消息的发言者 `{role}` 未知")
    })?;
    let content = named(tags.map(|t| &t.content), ["content", "value"]).unwrap_or(&Value::Null);
    let mut text = text_of(content)
        .ok_or_else(|| tr!("message {number} holds something that is not text", "第 {number} 条消息含有非文本内容"))?;
    for key in ["tool_calls", "function_call"] {
        let Some(calls) = object.get(key).filter(|calls| !calls.is_null()) else { continue };
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&calls.to_string());
    }
    Ok((speaker, text))
}

/// The text of a message; `None` when it is a picture, a sound or anything else.
fn text_of(content: &Value) -> Option<String> {
    match content {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(content.to_string()),
        Value::Array(parts) => parts
            .iter()
            .map(|part| part.as_str().or_else(|| part.get("text").and_then(Value::as_str)))
            .collect::<Option<Vec<_>>>()
            .map(|parts| parts.concat()),
        Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(messages: Value) -> Result<Example, String> {
        read(&messages, "", "", None, &mut |_| {})
    }

    #[test]
    fn a_tool_conversation_keeps_every_turn_and_knows_the_tools() {
        let e = read(
            &json!([
                {"from": "human", "value": "q1"}, {"from": "gpt", "value": "a1"},
                {"from": "human", "value": "q2"}, {"from": "function_call", "value": "{\"name\":\"f\"}"},
                {"from": "observation", "value": "42"}, {"from": "gpt", "value": "a2"},
            ]),
            "be kind",
            "[{\"name\":\"f\"}]",
            None,
            &mut |_| {},
        )
        .unwrap();
        let pair = |q: &str, a: &str| (q.to_owned(), a.to_owned());
        assert_eq!(e.history, [pair("q1", "a1"), pair("q2", "{\"name\":\"f\"}")]);
        assert_eq!((e.instruction.as_str(), e.output.as_str(), &e.tool_turns[..]), ("42", "a2", &[2][..]));
        assert_eq!((e.system.as_str(), e.tools.as_str()), ("be kind", "[{\"name\":\"f\"}]"));
        assert_eq!(e.system_text(), "be kind\n\n[{\"name\":\"f\"}]");
    }

    #[test]
    fn openai_messages_with_calls_parts_and_parallel_results() {
        let e = parse(json!([
            {"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "q"}]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]},
            {"role": "tool", "tool_call_id": "1", "content": "x"}, {"role": "tool", "tool_call_id": "2", "content": "y"},
            {"role": "assistant", "content": "a"},
        ]))
        .unwrap();
        assert_eq!(e.history, [("q".to_owned(), "[{\"id\":\"1\"}]".to_owned())]);
        assert_eq!((e.system.as_str(), e.instruction.as_str(), &e.tool_turns[..]), ("s", "x\ny", &[1][..]));
    }

    #[test]
    fn conversations_that_would_lose_something_are_refused() {
        let user = json!({"from": "human", "value": "q"});
        let gpt = json!({"from": "gpt", "value": "a"});
        for (messages, word) in [
            (json!([]), "does not end"),
            (json!({}), "not a list"),
            (json!([user, gpt, user]), "does not end"),
            (json!([gpt]), "message 1 is out of turn"),
            (json!([user, user, gpt]), "message 2 is out of turn"),
            (json!([user, gpt, gpt]), "message 3 is out of turn"),
            (json!([{"from": "tool", "value": "q"}, gpt]), "message 1 is out of turn"),
            (json!([user, gpt, {"from": "system", "value": "s"}]), "message 3 is out of turn"),
            (json!([user, {"from": "gpt", "value": " "}]), "message 2 is empty"),
            (json!([user, {"from": "narrator", "value": "x"}]), "narrator"),
            (json!([user, {"value": "x"}]), "who speaks"),
            (json!([{"role": "user", "content": [{"type": "image_url"}]}, gpt]), "not text"),
            (json!(["q", gpt]), "not an object"),
        ] {
            let reason = parse(messages.clone()).unwrap_err();
            assert!(reason.contains(word), "{messages}: {reason}");
        }
        let mut left = Vec::new();
        let weighted = json!([user, {"from": "gpt", "value": "a", "weight": 0}]);
        assert!(read(&weighted, "", "", None, &mut |name| left.push(name.to_owned())).is_ok());
        assert_eq!(left, ["messages.weight"]);
    }

    #[test]
    fn a_file_may_name_its_speakers_itself() {
        let word = |text: &str| text.to_owned();
        let tags = Tags {
            role: word("wer"),
            content: word("was"),
            user: word("kunde"),
            assistant: word("bank"),
            observation: word("kurs"),
            function: word("ruf"),
            system: word("amt"),
        };
        let messages = json!([{"wer": "amt", "was": "s"}, {"wer": "kunde", "was": "q"}, {"wer": "ruf", "was": "f"},
            {"wer": "kurs", "was": "1"}, {"wer": "bank", "was": "a"}]);
        let row = read(&messages, "", "", Some(&tags), &mut |key| panic!("{key}")).unwrap();
        assert_eq!((row.system.as_str(), row.instruction.as_str(), row.output.as_str()), ("s", "1", "a"));
        assert_eq!((row.history, row.tool_turns), (vec![(word("q"), word("f"))], vec![1]));
        assert!(parse(messages).unwrap_err().contains("who speaks"));
    }
}
