//! The conversation itself: question, answer as it is written, and what it took.

use super::command::{Line, help};
use super::input::{Event, Input};
use crate::cli::Context;
use crate::error::{Error, Kind, Result};
use crate::text::{self, PieceCleaner};
use crate::tr;
use crate::workbench::{Ending, Spoken, Talk, Turn};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::Path;

/// Talks until the input ends or the user leaves.
pub(super) fn talk(context: &Context, talk: Talk) -> Result<()> {
    let interactive = std::io::stdin().is_terminal();
    let mut session = Session { context, talk, interactive, live: !context.ui.json, turn: 0 };
    session.greet();
    let mut input = Input::open()?;
    let (mut begun, mut warned) = (String::new(), false);
    loop {
        if interactive {
            session.prompt(begun.is_empty());
        }
        let line = match input.next()? {
            Event::Line(line) => line,
            Event::Interrupt if !interactive || warned => return Err(left()),
            Event::Interrupt => {
                session.say("");
                session.remark(&tr!("once more leaves (or /quit)", "再按一次退出（或 /quit）"));
                (warned, begun) = (true, String::new());
                continue;
            }
            Event::End if begun.is_empty() => {
                if interactive {
                    session.say("");
                }
                return Ok(());
            }
            Event::End => String::new(),
        };
        warned = false;
        let line = line.trim_end_matches(['\r', '\n']);
        if interactive && let Some(part) = line.strip_suffix('\\') {
            begun.push_str(part);
            begun.push('\n');
            continue;
        }
        let whole = std::mem::take(&mut begun) + line;
        match Line::read(&whole) {
            Line::Quit => return Ok(()),
            line => session.take(line, &input)?,
        }
    }
}

fn left() -> Error {
    Error::new(Kind::Interrupted, tr!("left", "已退出"))
}

struct Session<'c> {
    context: &'c Context,
    talk: Talk,
    interactive: bool,
    /// Whether answers are shown while they are written.
    live: bool,
    turn: usize,
}

impl Session<'_> {
    fn greet(&self) {
        if !self.interactive {
            return;
        }
        let name = text::one_line(self.talk.speaker().name());
        self.remark(&tr!(
            "talking to {name}; /help lists the commands, Ctrl-C stops an answer",
            "正在与 {name} 对话；/help 列出命令，Ctrl-C 停止回答"
        ));
    }

    fn prompt(&self, first: bool) {
        let mark = if first { "> " } else { ". " };
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "{}", self.context.ui.strong(mark)).and_then(|()| err.flush());
    }

    /// A line for the eye only.
    fn say(&self, line: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }

    fn remark(&self, line: &str) {
        if !self.context.ui.quiet {
            self.say(&self.context.ui.dim(line));
        }
    }

    fn take(&mut self, line: Line, input: &Input) -> Result<()> {
        match line {
            Line::Empty | Line::Quit => {}
            Line::Ask(question) => return self.answer(Some(&question), input),
            Line::Retry => return self.answer(None, input),
            Line::Reset => {
                self.talk.reset();
                self.remark(&tr!("a new conversation", "新的对话"));
            }
            Line::System(None) => match self.talk.system() {
                "" => {
                    self.remark(&tr!("no system message; /system TEXT sets one", "没有系统提示；用 /system 文字 设定"))
                }
                system => self.remark(&text::clean(system)),
            },
            Line::System(Some(text)) => {
                self.talk.set_system(if text == "-" { "" } else { &text });
                self.remark(&tr!("from the next answer on", "从下一个回答起生效"));
            }
            Line::Save(None) => self.context.ui.warn(&tr!("name a file: /save FILE", "请给出文件名：/save 文件")),
            Line::Save(Some(file)) => match save(&self.talk, Path::new(&file)) {
                Ok(()) => self.remark(&tr!("saved as {}", "已保存到 {}", text::one_line(&file))),
                // A turn that was asked for after it is worth more than an end with an error.
                Err(error) => self.context.ui.error(&error),
            },
            Line::Help => help().iter().for_each(|line| self.say(line)),
            Line::Unknown(name) => {
                let name = text::one_line(&name);
                self.context.ui.warn(&tr!("no command /{name}; /help lists them", "没有命令 /{name}；/help 列出命令"));
            }
        }
        Ok(())
    }

    fn answer(&mut self, question: Option<&str>, input: &Input) -> Result<()> {
        let cancel = input.renew();
        let mut cleaner = PieceCleaner::default();
        let live = self.live;
        let mut hear = |piece: &str| {
            if live {
                let mut out = std::io::stdout().lock();
                // A reader that went away wants no more.
                if write!(out, "{}", cleaner.push(piece)).and_then(|()| out.flush()).is_err() {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        };
        let outcome = match question {
            Some(question) => self.talk.ask(question, &mut hear, &cancel),
            None => self.talk.retry(&mut hear, &cancel),
        };
        let interrupted = input.was_interrupted();
        if live && outcome.is_ok() {
            self.context.ui.line("");
        }
        let turn = match outcome {
            Ok(turn) => turn,
            Err(error) if self.interactive => {
                self.context.ui.error(&error);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.turn += 1;
        if !live {
            self.context.ui.json_line(&self.object(&turn));
        }
        self.report(&turn);
        if interrupted && !self.interactive { Err(left()) } else { Ok(()) }
    }

    /// An answer under `--json`.
    fn object(&self, turn: &Turn) -> Value {
        let Spoken { text, ending, prompt_tokens, reused_tokens, tokens, first, total } = &turn.spoken;
        let used = prompt_tokens + tokens;
        json!({
            "turn": self.turn, "answer": text, "finish_reason": ending, "prompt_tokens": prompt_tokens,
            "reused_tokens": reused_tokens, "tokens": tokens, "context_tokens": used,
            "context_limit": self.talk.speaker().context(), "turns_left_out": turn.left_out,
            "seconds_to_first": first.as_secs_f64(), "seconds": total.as_secs_f64(),
            "tokens_per_second": turn.spoken.tokens_per_second(),
        })
    }

    /// What the answer took, and what the user should know of it.
    fn report(&self, turn: &Turn) {
        let spoken = &turn.spoken;
        if turn.left_out > 0 {
            let n = turn.left_out;
            self.context.ui.warn(&tr!(
                "the context is full: the model no longer sees the first {n} turns; /reset begins a new conversation",
                "上下文已满：模型不再看到最早的 {n} 轮；/reset 开始新的对话"
            ));
        }
        let limit = self.talk.speaker().context();
        if spoken.ending == Ending::Length {
            let full = limit.is_some_and(|limit| spoken.prompt_tokens + spoken.tokens >= limit);
            self.context.ui.warn(&if full {
                tr!("cut off: the context is full", "回答被截断：上下文已满")
            } else {
                tr!("cut off at --max-tokens", "回答被截断：达到 --max-tokens")
            });
        }
        if !self.interactive {
            return;
        }
        let (tokens, first) = (spoken.tokens, spoken.first.as_secs_f64());
        let mut parts = vec![tr!("{tokens} tokens", "{tokens} 词元")];
        if let Some(speed) = spoken.tokens_per_second() {
            parts.push(tr!("{speed:.1} tokens/s", "{speed:.1} 词元/秒"));
        }
        parts.push(tr!("first after {first:.2} s", "首个词元 {first:.2} 秒"));
        let used = spoken.prompt_tokens + tokens;
        match limit {
            Some(limit) => parts.push(tr!("context {used} of {limit}", "上下文 {used}/{limit}")),
            None if used > tokens => parts.push(tr!("context {used}", "上下文 {used}")),
            None => {}
        }
        if spoken.ending == Ending::Interrupted {
            parts.push(tr!("stopped", "已停止"));
        }
        self.remark(&parts.join(" · "));
    }
}

/// Writes the conversation as one row of `messages`, beside its place and then into it.
fn save(talk: &Talk, path: &Path) -> Result<()> {
    let io = |e: &std::io::Error| Error::io(path, e);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|e| io(&e))?;
    writeln!(file, "{}", json!({"messages": talk.messages()})).map_err(|e| io(&e))?;
    file.persist(path).map_err(|e| io(&e.error))?;
    Ok(())
}
