//! What is wrong with a JSON text, in the language in force: the parser speaks English only.

use crate::lang::{self, Lang};

/// What the parser says, and the same in Chinese.
const FAULTS: [(&str, &str); 22] = [
    ("EOF while parsing a list", "列表没有结束"),
    ("EOF while parsing an object", "对象没有结束"),
    ("EOF while parsing a string", "字符串没有结束"),
    ("EOF while parsing a value", "缺少值"),
    ("expected value", "此处应为值"),
    ("expected ident", "此处应为 null、true 或 false"),
    ("expected `:`", "此处应为 `:`"),
    ("expected `,` or `]`", "此处应为 `,` 或 `]`"),
    ("expected `,` or `}`", "此处应为 `,` 或 `}`"),
    ("expected `\"`", "此处应为 `\"`"),
    ("key must be a string", "键必须是字符串"),
    ("trailing characters", "其后还有多余的内容"),
    ("trailing comma", "多余的逗号"),
    ("invalid escape", "无效的转义"),
    ("invalid number", "无效的数字"),
    ("number out of range", "数字超出范围"),
    ("invalid unicode code point", "无效的 Unicode 码位"),
    ("lone leading surrogate in hex escape", "转义中的代理项不成对"),
    ("unexpected end of hex escape", "\\u 转义不完整"),
    ("control character (\\u0000-\\u001F) found while parsing a string", "字符串中有未转义的控制字符"),
    ("recursion limit exceeded", "嵌套过深"),
    ("not a number", "不是数字"),
];

/// What `error` says, without its place.
pub(super) fn in_words(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
    if lang::current() == Lang::En {
        return what.to_owned();
    }
    if let Some((_, zh)) = FAULTS.iter().find(|(en, _)| *en == what) {
        return (*zh).to_owned();
    }
    // `invalid type: integer `3`, expected JSON 对象`: what was expected is said by this project.
    match what.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected ")) {
        Some((_, expected)) => format!("应为 {expected}"),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_str};

    /// The list is held against the parser itself: a message that it words otherwise one day fails here.
    #[test]
    fn the_list_is_of_what_the_parser_says() {
        let said: Vec<String> = [
            "[1",
            "{\"a\":1",
            "\"a",
            "",
            "x",
            "nil",
            "{\"a\" 1}",
            "[1 2]",
            "{\"a\":1 2}",
            "{1:2}",
            "{} x",
            "[1,]",
            "\"\\x\"",
            "01",
            "1e999",
            "\"\\ud800x\"",
            "\"\\u12",
            "\"\u{1}\"",
        ]
        .iter()
        .filter_map(|text| from_str::<Value>(text).err())
        .chain(from_str::<Value>(&"[".repeat(1000)).err())
        .map(|e| in_words(&e))
        .collect();
        assert_eq!(said.len(), 19);
        for what in said {
            assert!(FAULTS.iter().any(|(en, _)| *en == what), "{what}");
        }
    }
}
