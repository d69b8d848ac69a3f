//! What a line of input means.

use crate::tr;

/// A line of input, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing on it.
    Empty,
    /// A question.
    Ask(String),
    /// `/reset`
    Reset,
    /// `/system`, without a text to show it.
    System(Option<String>),
    /// `/retry`
    Retry,
    /// `/save FILE`; without a file a hint is given.
    Save(Option<String>),
    /// `/help`
    Help,
    /// `/quit`
    Quit,
    /// A command that there is not.
    Unknown(String),
}

impl Line {
    /// Reads a line. Two slashes at its beginning are one slash of a question.
    pub(super) fn read(line: &str) -> Line {
        let line = line.trim();
        if line.is_empty() {
            return Line::Empty;
        }
        let Some(command) = line.strip_prefix('/') else { return Line::Ask(line.to_owned()) };
        if command.starts_with('/') {
            return Line::Ask(command.to_owned());
        }
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = Some(rest.trim()).filter(|r| !r.is_empty()).map(str::to_owned);
        match name {
            "reset" | "new" => Line::Reset,
            "system" => Line::System(rest),
            "retry" => Line::Retry,
            "save" => Line::Save(rest),
            "help" | "?" => Line::Help,
            "quit" | "exit" | "q" => Line::Quit,
            other => Line::Unknown(other.to_owned()),
        }
    }
}

/// The commands and what they do, a line each.
pub(super) fn help() -> Vec<String> {
    vec![
        tr!("/retry         answer the last question again", "/retry         重新回答上一个问题"),
        tr!("/reset         begin a new conversation", "/reset         开始新的对话"),
        tr!("/system TEXT   what the model is told before; - for nothing", "/system 文字   设定系统提示；- 为清除"),
        tr!(
            "/save FILE     keep the conversation (a row for `data import`)",
            "/save 文件     保存对话（可用 `data import` 导入）"
        ),
        tr!("/help          this list", "/help          显示本列表"),
        tr!("/quit          leave (also Ctrl-D)", "/quit          退出（或按 Ctrl-D）"),
        tr!("\\ at the end   the question goes on in the next line", "行末的 \\       问题在下一行继续"),
        tr!("//…            a question that begins with a slash", "//…            以斜杠开头的问题"),
        tr!("Ctrl-C         stop the answer; twice leaves", "Ctrl-C         停止回答；连按两次退出"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_questions_unless_they_begin_with_a_slash() {
        assert_eq!(Line::read("  什么是债券？ \r\n"), Line::Ask("什么是债券？".into()));
        assert_eq!(Line::read("//etc is a folder"), Line::Ask("/etc is a folder".into()));
        assert_eq!(Line::read(" \t"), Line::Empty);
        assert_eq!(Line::read("/system  be brief "), Line::System(Some("be brief".into())));
        assert_eq!((Line::read("/system"), Line::read("/save")), (Line::System(None), Line::Save(None)));
        assert_eq!(Line::read("/save\tmy file.json"), Line::Save(Some("my file.json".into())));
        assert_eq!(Line::read("/quiT"), Line::Unknown("quiT".into()));
        assert_eq!(Line::read("/"), Line::Unknown(String::new()));
    }
}
