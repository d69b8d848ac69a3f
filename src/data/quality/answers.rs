//! Answers that say nothing, end too early, refuse, repeat themselves or give the prompt away.

use super::{Field, Finding, Rule};
use crate::data::example::Example;
use crate::data::shingles::tokens;
use std::collections::HashMap;

/// A shorter answer may be a word, a letter or a number, without a full stop.
const SHORTEST_SENTENCE: usize = 20;
/// Tokens of a run that is looked for again.
const RUN: usize = 8;
/// Share of an answer's runs that have occurred before in it.
const REPEATED: f64 = 0.4;
/// Tokens of the prompt that an answer may repeat: a definition begins with the term that was asked for.
const LEAK: usize = 24;

/// How answers begin that refuse, or speak of the model itself.
const REFUSALS: [&str; 16] = [
    "抱歉，我无法",
    "很抱歉，我不能",
    "很抱歉，我无法",
    "对不起，我无法",
    "对不起，我不能",
    "我无法回答",
    "我不能回答",
    "作为一个ai",
    "作为ai",
    "作为一个人工智能",
    "作为一个语言模型",
    "as an ai",
    "as a language model",
    "i'm sorry, but i",
    "i am sorry, but i",
    "i cannot help with",
];

/// Marks of templates that belong around an answer, never in it.
const MARKS: [&str; 12] = [
    "### instruction",
    "### response",
    "### input",
    "<|im_start|>",
    "<|im_end|>",
    "<|user|>",
    "<|assistant|>",
    "<|endoftext|>",
    "[inst]",
    "[/inst]",
    "<<sys>>",
    "<start_of_turn>",
];

pub(super) fn inspect(row: &Example, found: &mut Vec<Finding>) {
    let mut add = |rule, text: String| found.push(Finding { rule, field: Field::Output, text });
    let answer = row.output.trim();
    let words = tokens(answer);
    // A number, a sign or an emoji is an answer; only punctuation is none.
    if words.is_empty()
        && !answer
            .chars()
            .any(|c| !c.is_ascii_punctuation() && !c.is_whitespace() && !"，。！？、…—；：“”‘’（）《》".contains(c))
    {
        add(Rule::Empty, answer.to_owned());
        return;
    }
    if ends_too_early(answer, words.len()) {
        add(Rule::CutOff, tail(answer));
    }
    let lower = answer.to_lowercase();
    if let Some(refusal) = REFUSALS.iter().find(|r| head(&lower).contains(*r)) {
        add(Rule::Refusal, (*refusal).to_owned());
    }
    if let Some(share) = repeated(&words).filter(|share| *share >= REPEATED) {
        add(Rule::Repetition, format!("{:.0} %", share * 100.0));
    }
    if let Some(mark) = MARKS.iter().find(|mark| lower.contains(*mark)) {
        add(Rule::PromptLeak, (*mark).to_owned());
    } else if repeats_prompt(row, &words) {
        add(Rule::PromptLeak, tail(&row.instruction));
    }
}

/// The first characters, where a refusal stands.
fn head(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(at, _)| &text[..at])
}

/// The last characters, to be shown.
fn tail(text: &str) -> String {
    let skip = text.chars().count().saturating_sub(20);
    text.chars().skip(skip).collect()
}

/// Whether a text of sentences stops without an end. Lists, code, tables and formulas need none.
fn ends_too_early(answer: &str, words: usize) -> bool {
    let Some(last) = answer.chars().last() else { return false };
    if words < SHORTEST_SENTENCE || !(last.is_alphanumeric() || "，、,：:；;（(".contains(last)) {
        return false;
    }
    if "，、,（(".contains(last) {
        return true;
    }
    let line = answer.lines().last().unwrap_or_default().trim_start();
    let lists = |line: &str| {
        line.starts_with(['-', '*', '|', '#', '>', '+', '·', '•'])
            || line.starts_with(|c: char| c.is_ascii_digit())
            || line.contains(['=', '|'])
    };
    // A last line of its own in a text of lines is an item or a signature.
    let stands_alone = answer.lines().count() > 1 && tokens(line).len() < SHORTEST_SENTENCE;
    let has_sentences = answer.contains(['。', '！', '？']) || answer.contains(". ");
    has_sentences && !lists(line) && !stands_alone && !answer.contains("```")
}

/// Share of the runs of an answer that stand in it a second time; `None` for a short one.
fn repeated(words: &[u64]) -> Option<f64> {
    let runs = words.len().checked_sub(RUN + 1)? + 2;
    let mut seen: HashMap<&[u64], usize> = HashMap::new();
    for run in words.windows(RUN) {
        *seen.entry(run).or_default() += 1;
    }
    let again: usize = seen.values().map(|count| count - 1).sum();
    (words.len() >= 4 * RUN).then_some(again as f64 / runs as f64)
}

/// Whether the answer repeats the whole prompt, or a long stretch of it, where the prompt is not material to be worked on.
fn repeats_prompt(row: &Example, words: &[u64]) -> bool {
    let prompt = tokens(&row.instruction);
    if prompt.len() < LEAK || words.len() < LEAK {
        return false;
    }
    // To correct, translate or sum up a text is to repeat parts of it; the whole instruction is repeated by mistake only.
    words.windows(prompt.len()).any(|run| run == prompt)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{row, rules};
    use super::*;

    const LONG: &str = "债券价格与市场利率反向变动。利率上升时，原有债券的票息相对变低，价格随之下降。";

    #[test]
    fn an_answer_without_words_is_empty() {
        assert_eq!(rules(&row("问", " …… ")), [Rule::Empty]);
        assert_eq!(rules(&row("问", "")), [Rule::Empty]);
        assert_eq!(rules(&row("1+1", "2")), []);
        assert_eq!(rules(&row("选一个符号", "→")), []);
    }

    #[test]
    fn a_sentence_without_its_end_was_cut_off() {
        assert_eq!(rules(&row("问", &format!("{LONG}因此投资者在利率上升之前往往会缩短久期并且"))), [Rule::CutOff]);
        assert_eq!(
            rules(&row(
                "Why?",
                "Prices fall when rates rise. Old coupons are worth less than new ones, so buyers pay less and the holders of long bonds lose the"
            )),
            [Rule::CutOff]
        );
        assert_eq!(rules(&row("问", LONG)), []);
        assert_eq!(rules(&row("问", &format!("{LONG}\n- 久期\n- 凸性"))), []);
        assert_eq!(rules(&row("问", &format!("{LONG}\n利息 = 100 × 5% = 5"))), []);
    }

    #[test]
    fn refusals_are_seen_at_the_beginning_only() {
        assert_eq!(rules(&row("问", "很抱歉，我无法提供这方面的建议。")), [Rule::Refusal]);
        assert_eq!(rules(&row("q", "As an AI language model, I have no access to prices.")), [Rule::Refusal]);
        assert_eq!(
            rules(&row(
                "客服怎样拒绝？",
                "先表示理解，再说明原因，最后给出其他办法，例如说：“很抱歉，这笔业务需要本人办理”，语气要诚恳，不要直接说“抱歉，我无法”这样的话。"
            )),
            []
        );
    }

    #[test]
    fn the_same_again_and_again() {
        assert_eq!(rules(&row("问", &LONG.repeat(4))), [Rule::Repetition]);
        assert_eq!(rules(&row("q", &"The bank lends money. ".repeat(12))), [Rule::Repetition]);
        assert_eq!(rules(&row("问", LONG)), []);
    }

    #[test]
    fn the_prompt_and_its_marks_do_not_belong_in_an_answer() {
        assert_eq!(rules(&row("问", "### Response: 好的。")), [Rule::PromptLeak]);
        let question = "请结合商业银行的资产负债结构说明为什么利率快速上升会使长期债券较多的银行面临账面亏损？";
        assert_eq!(rules(&row(question, &format!("{question}因为债券价格下跌。"))), [Rule::PromptLeak]);
        assert_eq!(rules(&row("什么是久期？", "久期是现金流回收时间的加权平均。")), []);
    }
}
