//! The battle format, one JSON object a line: `question_id, model_a, model_b, winner, judge, conversation_a,
//! conversation_b, turn, anony, language, tstamp`.
//!
//! What is written reads back as the same battle. On reading, `question_id` may be a number (it is written as text),
//! `tstamp` is seconds since 1970 or RFC 3339 (it is written as seconds, with all its digits), and all but the two
//! models and the winner may be missing. Whether a reply gave its model away is not part of the format and is looked
//! up again.

use super::battle::{Battle, Winner};
use super::blind;
use super::questions::{Reject, lines};
use crate::tr;
use serde_json::{Map, Number, Value, json};
use time::PrimitiveDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

const SECOND: StaticFormatDescription = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");

/// Reads battles. `now` (RFC 3339, UTC) stands in for a missing time. Bad lines are reported and passed over; a winner
/// that is none of the four labels is one.
pub fn read(file: &str, bytes: &[u8], now: &str) -> (Vec<Battle>, Vec<Reject>) {
    let (mut battles, mut rejects) = (Vec::new(), Vec::new());
    for (line, text) in lines(bytes) {
        match text.and_then(|text| from_json(text, now)) {
            Ok(battle) => battles.push(battle),
            Err(reason) => rejects.push(Reject { file: file.to_owned(), line, reason }),
        }
    }
    (battles, rejects)
}

/// One line of the battle format, without its line end; `None` for a battle that has not been voted on.
pub fn write(battle: &Battle) -> Option<String> {
    let winner = battle.winner?;
    let conversation = |raw: &str, answer: &str| -> Value {
        if raw.is_empty() {
            return one_turn(&battle.question, answer);
        }
        serde_json::from_str(raw).unwrap_or_else(|_| one_turn(&battle.question, answer))
    };
    let row = json!({
        "question_id": battle.question_id,
        "model_a": battle.model_a,
        "model_b": battle.model_b,
        "winner": winner.label(),
        "judge": battle.judge,
        "conversation_a": conversation(&battle.conversation_a, &battle.answer_a),
        "conversation_b": conversation(&battle.conversation_b, &battle.answer_b),
        "turn": battle.turn,
        "anony": battle.anony,
        "language": battle.language,
        "tstamp": seconds(&battle.tstamp).map_or(Value::Null, Value::Number),
    });
    Some(row.to_string())
}

fn from_json(text: &str, now: &str) -> Result<Battle, String> {
    let row: Map<String, Value> = serde_json::from_str(text).map_err(|e| tr!("not JSON: {e}", "不是 JSON：{e}"))?;
    let field = |name: &str| row.get(name).filter(|value| !value.is_null());
    let model = |name: &str| -> Result<String, String> {
        match field(name).and_then(Value::as_str) {
            Some(model) if !model.trim().is_empty() => Ok(model.to_owned()),
            _ => Err(tr!("no `{name}`", "缺少 `{name}`")),
        }
    };
    let (model_a, model_b) = (model("model_a")?, model("model_b")?);
    let winner = match field("winner") {
        None => return Err(tr!("no `winner`", "缺少 `winner`")),
        Some(value) => value.as_str().and_then(Winner::from_label).ok_or_else(|| {
            tr!(
                "winner {value} is none of model_a, model_b, tie, tie (bothbad)",
                "winner {value} 不是 model_a、model_b、tie、tie (bothbad) 之一"
            )
        })?,
    };
    let plain = |name: &str| match field(name) {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let a = conversation(field("conversation_a"), "conversation_a")?;
    let b = conversation(field("conversation_b"), "conversation_b")?;
    let turn = match field("turn") {
        None => 1,
        Some(value) => value
            .as_u64()
            .and_then(|turn| u32::try_from(turn).ok())
            .ok_or_else(|| tr!("`turn` is not a number of turns", "`turn` 不是轮数"))?,
    };
    let anony = match field("anony") {
        None => true,
        Some(Value::Bool(anony)) => *anony,
        Some(value) => match value.as_u64() {
            Some(0) => false,
            Some(1) => true,
            _ => return Err(tr!("`anony` is neither true nor false", "`anony` 既不是 true 也不是 false")),
        },
    };
    let tstamp = match field("tstamp") {
        None => now.to_owned(),
        Some(value) => moment(value).ok_or_else(|| tr!("`tstamp` is not a time", "`tstamp` 不是时间"))?,
    };
    let flagged = blind::leak(&a.asked, [&model_a, &model_b], [&a.said, &b.said]).unwrap_or_default();
    let raw = |c: &Conversation| match field(c.name) {
        Some(value) if *value != one_turn(&a.question, &c.answer) => value.to_string(),
        // Without any conversation nothing was asked; an empty list says so when it is written again.
        None => "[]".to_owned(),
        _ => String::new(),
    };
    Ok(Battle {
        question_id: plain("question_id"),
        judge: plain("judge"),
        language: plain("language"),
        conversation_a: raw(&a),
        conversation_b: raw(&b),
        question: a.question,
        answer_a: a.answer,
        answer_b: b.answer,
        model_a,
        model_b,
        winner: Some(winner),
        turn,
        anony,
        flagged,
        tstamp,
        ..Battle::default()
    })
}

/// What an imported conversation says.
struct Conversation {
    name: &'static str,
    /// First turn.
    question: String,
    /// First reply.
    answer: String,
    /// All turns of the user.
    asked: String,
    /// All replies.
    said: String,
}

fn conversation(value: Option<&Value>, name: &'static str) -> Result<Conversation, String> {
    let bad =
        || tr!("`{name}` is not a list of turns with role and content", "`{name}` 不是由 role 和 content 组成的列表");
    let turns = match value {
        None => &[][..],
        Some(value) => value.as_array().ok_or_else(bad)?.as_slice(),
    };
    let (mut asked, mut said) = (Vec::new(), Vec::new());
    for turn in turns {
        let role = turn.get("role").and_then(Value::as_str).ok_or_else(bad)?;
        let content = turn.get("content").and_then(Value::as_str).ok_or_else(bad)?;
        match role {
            "user" | "human" => asked.push(content),
            "assistant" | "gpt" => said.push(content),
            _ => {}
        }
    }
    let first = |turns: &[&str]| turns.first().map_or_else(String::new, |t| (*t).to_owned());
    Ok(Conversation {
        name,
        question: first(&asked),
        answer: first(&said),
        asked: asked.join("\n"),
        said: said.join("\n"),
    })
}

fn one_turn(question: &str, answer: &str) -> Value {
    json!([{"role": "user", "content": question}, {"role": "assistant", "content": answer}])
}

/// Seconds since 1970 as RFC 3339 with every decimal kept, or an RFC 3339 text in UTC as it is.
fn moment(value: &Value) -> Option<String> {
    let digits = match value {
        Value::String(text) => return seconds(text).map(|_| text.clone()),
        Value::Number(number) if number.is_f64() => {
            let plain = number.as_f64()?.to_string();
            if plain.contains('.') { plain } else { format!("{plain}.0") }
        }
        other => other.as_u64()?.to_string(),
    };
    let (whole, fraction) = digits.split_once('.').map_or((&*digits, None), |(w, f)| (w, Some(f)));
    // A minus sign cannot come with the fraction behind it, and nobody voted before 1970.
    let whole: u64 = whole.parse().ok()?;
    let second = time::OffsetDateTime::from_unix_timestamp(i64::try_from(whole).ok()?).ok()?.format(SECOND).ok()?;
    // At least milliseconds, as times are written here: .12 and .120 are one moment and must be one text.
    Some(fraction.map_or_else(|| format!("{second}Z"), |f| format!("{second}.{f:0<3}Z")))
}

/// An RFC 3339 time in UTC as seconds since 1970; whole when it has no fraction.
fn seconds(text: &str) -> Option<Number> {
    let bare = text.strip_suffix('Z')?;
    let (second, fraction) = bare.split_once('.').map_or((bare, None), |(s, f)| (s, Some(f)));
    let whole = PrimitiveDateTime::parse(second, SECOND).ok()?.assume_utc().unix_timestamp();
    match fraction {
        None => Some(Number::from(whole)),
        Some(f) if !f.is_empty() && f.bytes().all(|b| b.is_ascii_digit()) => {
            Number::from_f64(format!("{whole}.{f}").parse().ok()?)
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-02T03:04:05.006Z";

    fn read_one(text: &str) -> Battle {
        let (mut battles, rejects) = read("f", text.as_bytes(), NOW);
        assert!(rejects.is_empty(), "{rejects:?}");
        battles.remove(0)
    }

    #[test]
    fn a_line_comes_back_as_it_went_in() {
        let lines = [
            r#"{"question_id":"q1","model_a":"m","model_b":"m+聚宝","winner":"tie (bothbad)","judge":"human","conversation_a":[{"role":"user","content":"什么是\n债券？"},{"role":"assistant","content":"a\u001b[31m"}],"conversation_b":[{"role":"user","content":"什么是\n债券？"},{"role":"assistant","content":""}],"turn":1,"anony":true,"language":"zh","tstamp":1682351591.1322}"#,
            r#"{"question_id":"q2","model_a":"x","model_b":"y","winner":"model_b","judge":"arena_user_1","conversation_a":[{"role":"user","content":"1"},{"role":"assistant","content":"2"},{"role":"user","content":"3"},{"role":"assistant","content":"4"}],"conversation_b":[{"role":"user","content":"1"},{"role":"assistant","content":"5","tokens":1},{"role":"user","content":"3"}],"turn":2,"anony":false,"language":"English","tstamp":1682351591}"#,
            r#"{"question_id":"","model_a":"x","model_b":"y","winner":"model_a","judge":"","conversation_a":[],"conversation_b":[],"turn":1,"anony":true,"language":"","tstamp":0.5}"#,
            r#"{"question_id":"q","model_a":"x","model_b":"y","winner":"tie","judge":"","conversation_a":[{"role":"user","content":"one"},{"role":"assistant","content":"1"}],"conversation_b":[{"role":"user","content":"other"},{"role":"assistant","content":"2"}],"turn":1,"anony":true,"language":"","tstamp":1682351591.0}"#,
        ];
        for line in lines {
            let battle = read_one(line);
            let written = write(&battle).unwrap();
            // JSON may spell a character in two ways; the values are what must not change.
            assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), serde_json::from_str::<Value>(line).unwrap());
            assert_eq!(read_one(&written), battle);
        }
        assert_eq!(write(&Battle { winner: None, ..read_one(lines[0]) }), None);
    }

    #[test]
    fn the_least_that_is_a_battle() {
        let battle = read_one(r#"{"question_id": 4, "model_a": "x", "model_b": "y", "winner": "model_a"}"#);
        assert_eq!((&*battle.question_id, &*battle.tstamp, battle.anony, battle.turn), ("4", NOW, true, 1));
        assert!(battle.rates());
        assert_eq!(read_one(&write(&battle).unwrap()), battle);
    }

    #[test]
    fn bad_lines_are_numbered_and_the_rest_is_read() {
        let good = r#"{"model_a": "x", "model_b": "y", "winner": "tie"}"#;
        let bad = [
            r#"{"model_a": "x", "model_b": "y", "winner": "both_bad"}"#,
            r#"{"model_a": "x", "model_b": "y", "winner": "Model_A"}"#,
            r#"{"model_a": "x", "model_b": "y", "winner": 1}"#,
            r#"{"model_a": "x", "model_b": "y"}"#,
            r#"{"model_a": "", "model_b": "y", "winner": "tie"}"#,
            r#"{"model_a": "x", "winner": "tie"}"#,
            r#"{"model_a": "x", "model_b": "y", "winner": "tie", "conversation_a": "hello"}"#,
            r#"{"model_a": "x", "model_b": "y", "winner": "tie", "tstamp": "yesterday"}"#,
            r#"{"model_a": "x", "model_b": "y", "winner": "tie", "tstamp": -1.5}"#,
            r#"{"model_a": "x", "model_b": "y", "winner": "tie", "tstamp": 1e300}"#,
            r#"{"model_a": "x", "model_b": "y", "winner": "tie", "turn": -1}"#,
            r#"{"model_a": "x", "model_b": "y", "winner": "tie", "anony": "yes"}"#,
            "[]",
            "{",
        ];
        let file = format!("{good}\n{}\n\n{good}\n", bad.join("\n"));
        let (battles, rejects) = read("f.jsonl", file.as_bytes(), NOW);
        assert_eq!(battles.len(), 2);
        assert_eq!(rejects.iter().map(|r| r.line).collect::<Vec<_>>(), (2..=bad.len() + 1).collect::<Vec<_>>());
        assert!(rejects[0].reason.contains("both_bad"), "{}", rejects[0].reason);
    }

    #[test]
    fn a_reply_that_names_its_model_is_flagged_on_the_way_in() {
        let row = r#"{"model_a":"qwen2.5-0.5b","model_b":"y-1","winner":"model_a","conversation_a":[{"role":"user","content":"hi"},{"role":"assistant","content":"ok"},{"role":"user","content":"who?"},{"role":"assistant","content":"I am Qwen"}]}"#;
        let battle = read_one(row);
        assert!(!battle.flagged.is_empty() && !battle.rates());
    }
}
