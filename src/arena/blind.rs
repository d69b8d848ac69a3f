//! Replies that give their model away. A vote on them is not blind, so it does not rate.

use crate::tr;

/// Names under which one family of models speaks of itself. A contestant whose label holds one of a row is given away
/// by all of that row.
const FAMILIES: [&[&str]; 12] = [
    &["smollm"],
    &["linly", "伶荔", "聚宝盆", "jubaopen"],
    &["gemma"],
    &["qwen", "千问"],
    &["llama"],
    &["chatglm", "智谱"],
    &["baichuan", "百川"],
    &["chatgpt", "openai", "gpt"],
    &["claude", "anthropic"],
    &["mistral"],
    &["deepseek", "深度求索"],
    &["vicuna"],
];

/// Words that come before a name when someone says who they are.
const INTRODUCTIONS: [&str; 12] =
    ["i am", "i'm", "my name is", "called", "known as", "this is", "我是", "我叫", "名为", "名叫", "叫做", "作为"];

/// Why the battle is not blind, or nothing: the first name of either contestant that either answer holds. A name that
/// the question already holds gives nothing away.
pub fn leak(question: &str, contestants: [&str; 2], answers: [&str; 2]) -> Option<String> {
    let question = question.to_lowercase();
    for answer in answers {
        let answer = answer.to_lowercase();
        for contestant in contestants {
            for name in names(contestant) {
                if !names_it(&question, &name.text, false) && names_it(&answer, &name.text, name.plain_word) {
                    let shown = name.text;
                    return Some(tr!("an answer names its model: {shown}", "有回答说出了模型名：{shown}"));
                }
            }
        }
    }
    None
}

struct Name {
    /// Lower case.
    text: String,
    /// An ordinary word (an adapter called `finance`): it gives the model away only in an introduction.
    plain_word: bool,
}

/// What a contestant may call itself: its label, the parts of the label, and the names of its family.
fn names(contestant: &str) -> Vec<Name> {
    let label = contestant.to_lowercase();
    let mut names = vec![Name { text: label.clone(), plain_word: is_plain_word(&label) }];
    for part in label.split('+').filter_map(|part| part.rsplit(['/', '\\', ':', '#']).next()) {
        names.push(Name { text: part.to_owned(), plain_word: is_plain_word(part) });
    }
    for family in FAMILIES.iter().filter(|family| family.iter().any(|alias| label.contains(alias))) {
        names.extend(family.iter().map(|alias| Name { text: (*alias).to_owned(), plain_word: false }));
    }
    names.retain(|name| name.text.chars().count() >= 3);
    names
}

/// Letters alone, and not a family's name.
fn is_plain_word(name: &str) -> bool {
    name.chars().all(char::is_alphabetic) && !FAMILIES.iter().flat_map(|f| f.iter()).any(|alias| name == *alias)
}

/// Whether `text` holds `name` as a word of its own. A digit may follow (`qwen2`, `gpt-4`), a letter may not (`llamas`).
fn names_it(text: &str, name: &str, only_introduced: bool) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at + name.len()..).unwrap_or_default());
        let joins = |c: char| c.is_ascii_alphabetic();
        let starts =
            !before.ends_with(|c: char| c.is_ascii_alphanumeric()) || !name.starts_with(|c: char| c.is_ascii());
        let ends = !after.starts_with(joins) || !name.ends_with(joins);
        starts && ends && (!only_introduced || is_introduced(before))
    })
}

fn is_introduced(before: &str) -> bool {
    let mut before = before.trim_end_matches(|c: char| !c.is_alphanumeric());
    for article in [" the", " a", " an"] {
        before = before.strip_suffix(article).unwrap_or(before);
    }
    INTRODUCTIONS.iter().any(|words| before.ends_with(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [&str; 2] = ["smollm2-135m", "smollm2-135m+jubaopen"];

    #[test]
    fn a_reply_that_says_who_it_is_is_flagged() {
        for reply in [
            "I am SmolLM, a language model.",
            "I'm SmolLM2-135M.",
            "我是聚宝盆，一个金融助手。",
            "As JuBaoPen I would buy bonds",
            "由Linly项目训练",
        ] {
            assert!(leak("Who are you?", BOTH, ["bonds", reply]).is_some(), "{reply}");
            assert!(leak("Who are you?", BOTH, [reply, "bonds"]).is_some(), "{reply}");
        }
    }

    #[test]
    fn ordinary_text_is_not_flagged() {
        for reply in ["Bonds fall when rates rise.", "smollmish", "利率上升，债券价格下跌。", "", "the 135m dollars"]
        {
            assert_eq!(leak("?", BOTH, [reply, reply]), None, "{reply}");
        }
        assert_eq!(leak("?", ["llama-3", "base"], ["llamas are animals", "the base rate is the base rate"]), None);
        assert_eq!(leak("?", ["A", "B"], ["A and B", "I am A"]), None);
    }

    #[test]
    fn a_plain_word_counts_only_in_an_introduction() {
        assert!(leak("?", ["m-1+finance", "m-2"], ["Finance is the study of money", ""]).is_none());
        assert!(leak("?", ["m-1+finance", "m-2"], ["I am Finance.", ""]).is_some());
        assert!(leak("?", ["m-1+finance", "m-2"], ["你好，我叫 finance", ""]).is_some());
    }

    #[test]
    fn a_name_in_the_question_gives_nothing_away() {
        assert_eq!(leak("What is SmolLM?", BOTH, ["SmolLM is a model.", ""]), None);
        assert!(leak("What is SmolLM?", BOTH, ["I am Linly.", ""]).is_some());
    }
}
