//! `arena vote`: the blind vote on a terminal, or line by line.

use super::terminal_columns;
use crate::arena::{Battle, Winner};
use crate::cli::Context;
use crate::error::{Error, Kind, Result};
use crate::workbench::arena;
use crate::{text, tr};
use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, read};
use serde_json::json;
use std::io::{BufRead, IsTerminal};
use std::path::Path;

/// Columns from which two answers stand side by side.
const WIDE: usize = 72;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Vote(Winner),
    Skip,
    Quit,
    Interrupt,
}

impl Choice {
    fn of(key: &str) -> Option<Choice> {
        match key.trim().to_lowercase().as_str() {
            "s" | "skip" => Some(Choice::Skip),
            "q" | "quit" => Some(Choice::Quit),
            vote => Winner::from_vote(vote).map(Choice::Vote),
        }
    }
}

/// Gives one vote without asking.
pub(super) fn once(context: &Context, name: &str, id: i64, winner: Winner) -> Result<()> {
    let battle = arena::vote(&context.workbench()?, name, id, winner)?;
    if context.ui.json {
        context.ui.json_line(&json!({
            "battle": id,
            "winner": winner.label(),
            "model_a": battle.model_a,
            "model_b": battle.model_b,
        }));
    } else {
        context.ui.line(&names(&battle));
    }
    Ok(())
}

/// Shows the battles that wait for a vote, one after the other.
pub(super) fn session(context: &Context, name: &str) -> Result<()> {
    let bench = context.workbench()?;
    let waiting = arena::pending(&bench, name)?;
    // With --json stdout belongs to the one object at the end.
    let say = |line: &str| if context.ui.json { context.ui.note(line) } else { context.ui.line(line) };
    let total = waiting.len();
    if total == 0 {
        context.ui.note(&tr!("no battle of `{name}` waits for a vote", "`{name}` 没有待投票的对战"));
    }
    let (mut given, mut interrupted) = (0, false);
    for (i, battle) in waiting.iter().enumerate() {
        let (number, id) = (i + 1, battle.id);
        say(&tr!("battle {number} of {total} (id {id})", "第 {number}/{total} 场（编号 {id}）"));
        for line in layout(battle, terminal_columns()) {
            say(&line);
        }
        match ask(&say)? {
            Choice::Vote(winner) => {
                let battle = arena::vote(&bench, name, id, winner)?;
                given += 1;
                say(&names(&battle));
                say("");
            }
            Choice::Skip => say(""),
            Choice::Quit => break,
            Choice::Interrupt => {
                interrupted = true;
                break;
            }
        }
    }
    let left = arena::pending(&bench, name)?.len();
    if interrupted {
        return Err(Error::new(
            Kind::Interrupted,
            tr!("stopped; {given} votes are kept", "已停止；已保存 {given} 张投票"),
        )
        .hint(tr!("the same command goes on with the other {left}", "再次执行同一命令可继续其余 {left} 场")));
    }
    if context.ui.json {
        context.ui.json_line(&json!({"arena": name, "votes": given, "pending": left}));
    } else {
        context.ui.note(&tr!(
            "{given} votes given, {left} battles left; `linly-bench arena rate {name}` rates them",
            "已投 {given} 票，剩余 {left} 场；`linly-bench arena rate {name}` 计算等级分"
        ));
    }
    Ok(())
}

fn names(battle: &Battle) -> String {
    let (a, b) = (text::one_line(&battle.model_a), text::one_line(&battle.model_b));
    let outcome = battle.winner.map_or("", Winner::label);
    tr!("A was {a}, B was {b}: {outcome}", "A 是 {a}，B 是 {b}：{outcome}")
}

/// The question and the two answers, side by side when there is room, without any name.
fn layout(battle: &Battle, columns: usize) -> Vec<String> {
    let rule = "─".repeat(columns);
    let mut lines = vec![rule.clone()];
    lines.extend(text::wrap(&text::clean(&battle.question), columns));
    lines.push(rule.clone());
    if columns < WIDE {
        for (side, answer) in [("A", &battle.answer_a), ("B", &battle.answer_b)] {
            lines.push(format!("[{side}]"));
            lines.extend(text::wrap(&shown(answer), columns));
            lines.push(rule.clone());
        }
        return lines;
    }
    let half = (columns - 3) / 2;
    let left = text::wrap(&shown(&battle.answer_a), half);
    let right = text::wrap(&shown(&battle.answer_b), half);
    lines.push(format!("{} │ [B]", text::pad("[A]", half)));
    for i in 0..left.len().max(right.len()) {
        let cell = |side: &[String]| side.get(i).cloned().unwrap_or_default();
        lines.push(format!("{} │ {}", text::pad(&cell(&left), half), cell(&right)).trim_end().to_owned());
    }
    lines.push(rule);
    lines
}

/// An answer for people; an empty one is said to be empty.
fn shown(answer: &str) -> String {
    let clean = text::clean(answer);
    if clean.trim().is_empty() { tr!("(no answer)", "（没有回答）") } else { clean.trim().to_owned() }
}

/// Asks until there is an answer. On a terminal one key is enough; otherwise a line is read, and the end of input stops.
fn ask(say: &dyn Fn(&str)) -> Result<Choice> {
    let keys = tr!(
        "which is better?  a  b  t tie  x both bad  s skip  q quit",
        "哪个更好？  a  b  t 平局  x 都不好  s 跳过  q 结束"
    );
    let stdin = std::io::stdin();
    say(&keys);
    loop {
        let choice = if stdin.is_terminal() {
            key()?
        } else {
            let mut line = String::new();
            let read = stdin.lock().read_line(&mut line).map_err(|e| Error::io(Path::new("stdin"), &e))?;
            if read == 0 { Some(Choice::Quit) } else { Choice::of(&line) }
        };
        match choice {
            Some(choice) => return Ok(choice),
            None => say(&keys),
        }
    }
}

/// Puts the terminal back, however the reading ends.
struct Raw;

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

fn key() -> Result<Option<Choice>> {
    let io = |e: std::io::Error| Error::io(Path::new("terminal"), &e);
    crossterm::terminal::enable_raw_mode().map_err(io)?;
    let _raw = Raw;
    loop {
        let Event::Key(key) = read().map_err(io)? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        return Ok(match key.code {
            // Raw mode turns Ctrl-C into a key like any other.
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Choice::Interrupt),
            KeyCode::Char(c) => Choice::of(&c.to_string()),
            KeyCode::Esc => Some(Choice::Quit),
            _ => None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn battle() -> Battle {
        Battle {
            question: "利率上升时，债券价格会怎样变化？请用一句话回答，并说明原因。".repeat(2),
            model_a: "secret-model-a".into(),
            model_b: "secret-model-b".into(),
            answer_a: "债券价格会下跌，因为新发行的债券收益率更高。\u{1b}[2J".repeat(3),
            answer_b: String::new(),
            ..Battle::default()
        }
    }

    #[test]
    fn no_layout_is_too_wide_or_shows_a_name() {
        for columns in [20, 40, 71, 72, 80, 133] {
            let lines = layout(&battle(), columns);
            assert!(lines.iter().all(|l| text::width(l) <= columns), "{columns}: {lines:#?}");
            let all = lines.join("\n");
            assert!(!all.contains("secret") && !all.contains('\u{1b}') && all.contains("(no answer)"), "{all}");
        }
    }

    #[test]
    fn keys_and_words_mean_the_same() {
        assert_eq!(Choice::of("A\n"), Some(Choice::Vote(Winner::A)));
        assert_eq!(Choice::of("t"), Choice::of("tie"));
        assert_eq!(Choice::of("x"), Some(Choice::Vote(Winner::BothBad)));
        assert_eq!((Choice::of("s"), Choice::of("q"), Choice::of("?")), (Some(Choice::Skip), Some(Choice::Quit), None));
    }
}
