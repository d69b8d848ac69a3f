//! What is wrong with an instruction row, or risky about it, as far as its text shows.
//!
//! Every finding is a reason to look, not a verdict: the rules are simple enough to be read here, and each finding names
//! the rule and shows the text that it is about.

mod answers;
mod claims;
mod near;
mod personal;
mod wordlist;

pub use near::{NearDuplicates, NearPair};
pub use personal::mask;
pub use wordlist::WordList;

use super::example::Example;
use super::language::words as words_of;
use serde::{Deserialize, Serialize};

/// A rule by which a row is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The answer says nothing.
    Empty,
    /// The answer ends in the middle of a sentence.
    CutOff,
    /// The answer refuses, or says that it is only a language model.
    Refusal,
    /// The answer says the same again and again.
    Repetition,
    /// The answer holds the prompt, or marks of a template.
    PromptLeak,
    /// Neither language carries the row: many words of both.
    MixedLanguage,
    /// The row is marked with the other language.
    WrongLanguage,
    /// A Chinese identity-card number whose check digit holds.
    IdCard,
    /// A telephone number.
    Phone,
    /// A bank-card number whose check digit holds.
    BankCard,
    /// An e-mail address.
    Email,
    /// A promise of principal or return.
    GuaranteedReturn,
    /// Advice to buy or sell a certain security.
    TradingAdvice,
    /// Inside information or market manipulation is offered.
    InsideInformation,
    /// A word of the user's own list.
    ListedWord,
}

impl Rule {
    /// All, in the order of reports.
    pub const ALL: [Rule; 15] = [
        Rule::Empty,
        Rule::CutOff,
        Rule::Refusal,
        Rule::Repetition,
        Rule::PromptLeak,
        Rule::MixedLanguage,
        Rule::WrongLanguage,
        Rule::IdCard,
        Rule::Phone,
        Rule::BankCard,
        Rule::Email,
        Rule::GuaranteedReturn,
        Rule::TradingAdvice,
        Rule::InsideInformation,
        Rule::ListedWord,
    ];

    /// Its name on the command line, in files and in `--json`.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Empty => "empty",
            Rule::CutOff => "cut_off",
            Rule::Refusal => "refusal",
            Rule::Repetition => "repetition",
            Rule::PromptLeak => "prompt_leak",
            Rule::MixedLanguage => "mixed_language",
            Rule::WrongLanguage => "wrong_language",
            Rule::IdCard => "id_card",
            Rule::Phone => "phone",
            Rule::BankCard => "bank_card",
            Rule::Email => "email",
            Rule::GuaranteedReturn => "guaranteed_return",
            Rule::TradingAdvice => "trading_advice",
            Rule::InsideInformation => "inside_information",
            Rule::ListedWord => "listed_word",
        }
    }

    /// The rule called `name`.
    pub fn parse(name: &str) -> Option<Rule> {
        Rule::ALL.into_iter().find(|rule| rule.name() == name)
    }

    /// Whether it is about a person's data, which [`mask`] hides.
    pub fn is_personal(self) -> bool {
        matches!(self, Rule::IdCard | Rule::Phone | Rule::BankCard | Rule::Email)
    }
}

/// A field of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// What is asked.
    Instruction,
    /// Material of the question.
    Input,
    /// The answer.
    Output,
    /// The system message.
    System,
    /// An earlier turn.
    History,
}

/// What a rule found in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// Where.
    pub field: Field,
    /// The text that it is about, or what was measured. Personal data is masked.
    pub text: String,
}

/// Words of the smaller language below this share are terms (GDP, CAPM), not a second language.
const MIXED: f64 = 0.3;

/// What the rules find in `row`, in the order of [`Rule::ALL`]; `words` is the user's own list.
pub fn inspect(row: &Example, words: Option<&WordList>) -> Vec<Finding> {
    let mut found = Vec::new();
    answers::inspect(row, &mut found);
    language(row, &mut found);
    for (field, text) in texts(row) {
        personal::inspect(field, text, &mut found);
        if let Some(word) = words.and_then(|words| words.first_in(text)) {
            found.push(Finding { rule: Rule::ListedWord, field, text: word.to_owned() });
        }
    }
    claims::inspect(&row.output, Field::Output, &mut found);
    for (_, answer) in &row.history {
        claims::inspect(answer, Field::History, &mut found);
    }
    found.sort_by_key(|finding| finding.rule);
    found
}

/// Every text of a row with its field.
fn texts(row: &Example) -> impl Iterator<Item = (Field, &str)> {
    let history = row.history.iter().flat_map(|(question, answer)| [question, answer]);
    [
        (Field::Instruction, &row.instruction),
        (Field::Input, &row.input),
        (Field::Output, &row.output),
        (Field::System, &row.system),
        (Field::System, &row.tools),
    ]
    .into_iter()
    .chain(history.map(|text| (Field::History, text)))
    .map(|(field, text)| (field, text.as_str()))
}

/// Fewer words are a term or a formula in either language.
const FEWEST_WORDS: f64 = 10.0;

/// Chinese as a share of the words of `texts`; `None` for too few of them.
fn chinese_share(texts: &[&str]) -> Option<f64> {
    let (chinese, latin) = words_of(texts);
    (chinese + latin >= FEWEST_WORDS).then(|| chinese / (chinese + latin))
}

fn language(row: &Example, found: &mut Vec<Finding>) {
    let mut add = |rule, text| found.push(Finding { rule, field: Field::Output, text });
    // A translation has both languages by its nature: only the side that is learnt can be mixed.
    if let Some(share) = chinese_share(&[&row.output]).filter(|share| (MIXED..=1.0 - MIXED).contains(share)) {
        add(Rule::MixedLanguage, format!("{:.0} % zh", share * 100.0));
    }
    let whole = chinese_share(&[&row.instruction, &row.input, &row.output]);
    if whole.is_some_and(|zh| (if row.lang == "zh" { zh } else { 1.0 - zh }) < 0.1) {
        add(Rule::WrongLanguage, row.lang.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn row(instruction: &str, output: &str) -> Example {
        let lang = super::super::detect_language(&[instruction, output]).to_owned();
        Example { instruction: instruction.into(), output: output.into(), lang, ..Example::default() }
    }

    pub(super) fn rules(row: &Example) -> Vec<Rule> {
        inspect(row, None).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn ordinary_rows_are_left_alone() {
        for (instruction, output) in [
            ("什么是市盈率？", "市盈率 = 每股价格 ÷ 每股收益，反映投资者为每元盈利支付的价格。"),
            (
                "What is a bond?",
                "A bond is a loan to a company or a government. It pays interest and repays its face value.",
            ),
            (
                "CAPM 是什么？",
                "CAPM（资本资产定价模型）用 Beta 衡量系统性风险，预期收益 = 无风险利率 + Beta × 市场风险溢价。",
            ),
            ("3 × 4 = ?", "12"),
            ("下列哪项是负债？\nA. 现金\nB. 借款", "B"),
            ("本金2000元，年利率3%，一年的利息是多少？", "利息 = 2000 × 3% = 60元。"),
            ("把“利率”译成英文。", "interest rate"),
            ("有没有保本保息的理财？", "没有。任何承诺保本保息、稳赚不赔的宣传都要警惕，投资有风险。"),
            (
                "Which stock will double?",
                "Nobody can know that. No return is guaranteed, and advice to buy a single stock would be irresponsible.",
            ),
        ] {
            assert_eq!(rules(&row(instruction, output)), [], "{output}");
        }
    }

    #[test]
    fn two_languages_in_one_answer_and_a_wrong_mark() {
        let mixed = row(
            "解释久期",
            "久期 duration 衡量 the weighted average time 到收回现金流，and it measures interest rate risk 的大小。",
        );
        assert!(rules(&mixed).contains(&Rule::MixedLanguage));
        let wrong = Example { lang: "zh".into(), ..row("What is a fund?", "A pool of money that a manager invests.") };
        assert_eq!(rules(&wrong), [Rule::WrongLanguage]);
    }

    #[test]
    fn every_rule_has_its_name() {
        for rule in Rule::ALL {
            assert_eq!(Rule::parse(rule.name()), Some(rule));
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
        }
    }
}
