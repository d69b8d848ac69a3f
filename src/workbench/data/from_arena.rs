//! Rows from an arena: what the better model answered.

use super::super::Workbench;
use super::add::{Added, NewRow, add_rows, language_of};
use crate::arena::battle::{Battle, Winner};
use crate::data::Example;
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::Serialize;
use serde_json::Value;

/// Battles that gave no row, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Both answers were equally good.
    pub ties: u64,
    /// Neither was any good.
    pub both_bad: u64,
    /// Nobody voted yet.
    pub pending: u64,
    /// An answer gave its model away.
    pub flagged: u64,
    /// Someone else than the chosen judges voted.
    pub other_judges: u64,
    /// There is no question, or the better answer is empty.
    pub empty: u64,
}

impl LeftOut {
    /// All of them.
    pub fn total(&self) -> u64 {
        let LeftOut { ties, both_bad, pending, flagged, other_judges, empty } = self;
        ties + both_bad + pending + flagged + other_judges + empty
    }
}

/// What [`from_arena`] did.
#[derive(Clone, Debug, Serialize)]
pub struct FromArena {
    /// The dataset now.
    #[serde(flatten)]
    pub added: Added,
    /// The arena.
    pub arena: String,
    /// Its battles.
    pub battles: u64,
    /// Those that gave no row.
    pub left_out: LeftOut,
}

/// Appends the better answer of each battle of `arena` that was voted on to the dataset `name`. With `judges`, only the
/// votes of these count (`human`, `reference`, or a name of an imported file). Each row names arena and battle.
///
/// # Errors
/// `NotFound` without the arena; `InvalidInput` when no battle gives a row.
pub fn from_arena(bench: &Workbench, name: &str, arena: &str, judges: &[String]) -> Result<FromArena> {
    bench.store.arena(arena)?;
    let battles = bench.store.battles(arena)?;
    let mut left_out = LeftOut::default();
    let source = format!("arena {arena}");
    let mut rows = Vec::new();
    for battle in &battles {
        let left = match battle.winner {
            None => &mut left_out.pending,
            _ if !judges.is_empty() && !judges.contains(&battle.judge) => &mut left_out.other_judges,
            _ if !battle.flagged.is_empty() => &mut left_out.flagged,
            Some(Winner::Tie) => &mut left_out.ties,
            Some(Winner::BothBad) => &mut left_out.both_bad,
            Some(better @ (Winner::A | Winner::B)) => match row(battle, better) {
                Some(example) => {
                    rows.push(NewRow { example, file: source.clone(), line: battle.id as u64 });
                    continue;
                }
                None => &mut left_out.empty,
            },
        };
        *left += 1;
    }
    if rows.is_empty() {
        return Err(nothing(arena, &battles, &left_out));
    }
    let message = tr!("better answers of the arena {arena}", "竞技场 {arena} 的较优回答");
    let added = add_rows(bench, name, rows, &message, &source)?;
    Ok(FromArena { added, arena: arena.to_owned(), battles: battles.len() as u64, left_out })
}

/// Appends the better answer of one battle of `arena` to the dataset `name`, made if need be.
///
/// # Errors
/// `NotFound` without the battle; `InvalidInput` while it has no vote, and when the vote says that neither is better or
/// the better answer is empty.
pub fn from_battle(bench: &Workbench, name: &str, arena: &str, battle: i64) -> Result<Added> {
    let (_, battle) = bench.store.battle(battle)?;
    let id = battle.id;
    let no_row = |why: String| Error::new(Kind::InvalidInput, why);
    let example = match battle.winner {
        None => return Err(no_row(tr!("battle {id} has no vote yet", "第 {id} 场还没有投票"))),
        Some(Winner::Tie | Winner::BothBad) => {
            return Err(no_row(tr!("battle {id} has no better answer", "第 {id} 场没有较优的回答")));
        }
        Some(better) => row(&battle, better)
            .ok_or_else(|| no_row(tr!("the better answer of battle {id} is empty", "第 {id} 场的较优回答是空的")))?,
    };
    let source = format!("arena {arena}");
    let message = tr!("the better answer of battle {id} of {arena}", "竞技场 {arena} 第 {id} 场的较优回答");
    let rows = vec![NewRow { example, file: source.clone(), line: id.unsigned_abs() }];
    add_rows(bench, name, rows, &message, &source)
}

/// Takes [`from_battle`] back: removes the row that came from the battle, and hides the dataset when that was all of it.
///
/// # Errors
/// `NotFound` when the row is not there any more or is another one.
pub fn take_back(bench: &Workbench, name: &str, number: u64, battle: i64) -> Result<()> {
    let row = bench.store.row(name, number)?;
    if !row.file.starts_with("arena ") || row.line != battle.unsigned_abs() {
        return Err(Error::new(
            Kind::NotFound,
            tr!("row {number} of {name} is not from battle {battle}", "{name} 的第 {number} 行不是来自第 {battle} 场"),
        ));
    }
    if bench.store.dataset(name)?.rows == 1 {
        return bench.store.delete_dataset(name);
    }
    super::remove_rows(bench, name, &[number]).map(|_| ())
}

/// The better side's conversation as a row: its last answer is the row's, what came before is history.
fn row(battle: &Battle, better: Winner) -> Option<Example> {
    let (conversation, answer) = match better {
        Winner::A => (&battle.conversation_a, &battle.answer_a),
        _ => (&battle.conversation_b, &battle.answer_b),
    };
    let mut turns = turns(conversation);
    if turns.is_empty() {
        turns.push((battle.question.clone(), answer.clone()));
    }
    let (instruction, output) = turns.pop()?;
    let full = |text: &str| !text.trim().is_empty();
    if !full(&instruction) || !full(&output) || !turns.iter().all(|(q, a)| full(q) && full(a)) {
        return None;
    }
    let mut example = Example { instruction, output, history: turns, ..Example::default() };
    example.lang = language_of(&example);
    Some(example)
}

/// Questions and answers of an imported conversation; none of one that does not alternate.
fn turns(conversation: &str) -> Vec<(String, String)> {
    let Ok(Value::Array(messages)) = serde_json::from_str(conversation) else { return Vec::new() };
    let part = |message: &Value, key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut turns = Vec::new();
    for pair in messages.chunks(2) {
        let [question, answer] = pair else { return Vec::new() };
        let roles = (part(question, "role"), part(answer, "role"));
        if !matches!(roles.0.as_str(), "user" | "human") || !matches!(roles.1.as_str(), "assistant" | "gpt") {
            return Vec::new();
        }
        turns.push((part(question, "content"), part(answer, "content")));
    }
    turns
}

fn nothing(arena: &str, battles: &[Battle], left: &LeftOut) -> Error {
    let (count, pending) = (battles.len(), left.pending);
    let mut judges: Vec<&str> = battles.iter().map(|b| b.judge.as_str()).filter(|judge| !judge.is_empty()).collect();
    judges.sort_unstable();
    judges.dedup();
    let error = Error::new(
        Kind::InvalidInput,
        tr!("none of the {count} battles of `{arena}` gives a row", "竞技场 `{arena}` 的 {count} 场对战都不能成为数据"),
    );
    if left.other_judges > 0 {
        let judges = judges.join(", ");
        return error.hint(tr!("its judges: {judges}", "其评判者：{judges}"));
    }
    if pending > 0 {
        return error.hint(tr!(
            "{pending} wait for a vote: linly-bench arena vote {arena}",
            "{pending} 场待投票：linly-bench arena vote {arena}"
        ));
    }
    error.hint(tr!(
        "ties, battles in which both are bad and flagged ones are left out",
        "平局、双方均差与被标记的对战不计"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_side_is_taken_with_its_turns() {
        let talk = |answer: &str| {
            format!(
                r#"[{{"role":"user","content":"q1"}},{{"role":"assistant","content":"{answer}"}},{{"role":"user","content":"q2"}},{{"role":"assistant","content":"last {answer}"}}]"#
            )
        };
        let battle = Battle {
            question: "q1".into(),
            answer_a: "a".into(),
            answer_b: "b".into(),
            conversation_b: talk("b"),
            ..Battle::default()
        };
        let a = row(&battle, Winner::A).unwrap();
        assert_eq!((a.instruction.as_str(), a.output.as_str(), a.history.len()), ("q1", "a", 0));
        let b = row(&battle, Winner::B).unwrap();
        assert_eq!((b.instruction.as_str(), b.output.as_str()), ("q2", "last b"));
        assert_eq!(b.history, [("q1".to_owned(), "b".to_owned())]);
        assert_eq!(row(&Battle { answer_a: "\n".into(), ..battle.clone() }, Winner::A), None);
        // What does not alternate is read as its first turn.
        let odd = Battle { conversation_a: r#"[{"role":"user","content":"x"}]"#.into(), ..battle };
        assert_eq!(row(&odd, Winner::A).unwrap().output, "a");
    }
}
