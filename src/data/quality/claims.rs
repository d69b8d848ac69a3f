//! Claims that a financial adviser may not make: promised returns, advice to trade a certain security, inside information.

use super::{Field, Finding, Rule};

/// What is claimed, in lower case.
const CLAIMS: [(Rule, &[&str]); 3] = [
    (
        Rule::GuaranteedReturn,
        &[
            "保本保息",
            "保本高收益",
            "保证本金安全",
            "保证收益",
            "收益有保证",
            "承诺收益",
            "稳赚不赔",
            "稳赚",
            "包赚",
            "零风险高收益",
            "只赚不赔",
            "只涨不跌",
            "绝对安全",
            "百分之百盈利",
            "guaranteed return",
            "guaranteed profit",
            "guaranteed to double",
            "guarantee your principal",
            "your principal is guaranteed",
            "risk-free profit",
            "cannot lose",
            "can't lose",
            "never lose money",
        ],
    ),
    (
        Rule::TradingAdvice,
        &[
            "强烈推荐买入",
            "建议立即买入",
            "建议您立即买入",
            "建议满仓",
            "满仓买入",
            "全仓买入",
            "赶紧买入",
            "马上买入",
            "立即清仓",
            "目标价看到",
            "you should buy shares of",
            "you should sell your",
            "buy it now",
            "strong buy",
            "put all your money",
            "go all in on",
        ],
    ),
    (
        Rule::InsideInformation,
        &[
            "内幕消息",
            "内部消息称",
            "庄家即将拉升",
            "跟庄",
            "insider tip",
            "inside information says",
            "before it is announced, buy",
        ],
    ),
];

/// Words that turn a claim into a warning, when they stand in the same sentence.
const DENIALS: [&str; 40] = [
    "不保证",
    "不承诺",
    "不得",
    "不能",
    "不会",
    "不可能",
    "没有",
    "并非",
    "不是",
    "不存在",
    "无法",
    "禁止",
    "严禁",
    "警惕",
    "谨防",
    "当心",
    "小心",
    "骗",
    "诈",
    "违法",
    "违规",
    "非法",
    "误导",
    "不要",
    "切勿",
    "未必",
    "是否",
    "所谓",
    " no ",
    "not ",
    "n't ",
    "never",
    "nobody",
    "beware",
    "fraud",
    "scam",
    "illegal",
    "promises",
    "anyone who",
    "claims of",
];

pub(super) fn inspect(text: &str, field: Field, found: &mut Vec<Finding>) {
    let lower = text.to_lowercase();
    for (rule, phrases) in CLAIMS {
        let claim = phrases.iter().find_map(|phrase| {
            let mut places = lower.match_indices(phrase);
            places.find(|(at, _)| !is_denied(&lower, *at, phrase)).map(|_| *phrase)
        });
        if let Some(claim) = claim {
            found.push(Finding { rule, field, text: claim.to_owned() });
        }
    }
    if let Some(advice) = advised_code(&lower) {
        found.push(Finding { rule: Rule::TradingAdvice, field, text: advice });
    }
}

/// Whether the sentence around the phrase at `at` denies it. A denial within the phrase does not count (`can't lose`), one that runs
/// into it does (`不保证收益`).
fn is_denied(text: &str, at: usize, phrase: &str) -> bool {
    let ends = ['。', '！', '？', '；', '!', '?', '\n'];
    let start = text[..at].rfind(ends).map_or(0, |i| i + text[i..].chars().next().map_or(1, char::len_utf8));
    let end = text[at..].find(ends).map_or(text.len(), |i| at + i);
    // A space in front, so that a sentence may begin with a denial that is a word of its own.
    let sentence = format!(" {}", &text[start..end]);
    let claim = at - start + 1..at - start + 1 + phrase.len();
    DENIALS
        .iter()
        .any(|denial| sentence.match_indices(denial).any(|(i, _)| i < claim.start || i + denial.len() > claim.end))
}

/// Advice to buy or sell with the six digits of a Chinese security near it.
fn advised_code(text: &str) -> Option<String> {
    ["建议买入", "建议卖出", "推荐买入", "建议加仓", "建议您买入", "推荐您买入"].iter().find_map(|advice| {
        let at = text.find(advice).filter(|at| !is_denied(text, *at, advice))?;
        let near: String = text[at..].chars().take(40).collect();
        let digits = near
            .split(|c: char| !c.is_ascii_digit())
            .find(|run| run.len() == 6 && run.starts_with(['0', '3', '6', '8']))?;
        Some(format!("{advice} {digits}"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{row, rules};
    use super::*;

    #[test]
    fn promises_and_advice_are_found() {
        for (answer, rule) in [
            ("这款产品保本保息，年化收益8%。", Rule::GuaranteedReturn),
            ("This fund offers a guaranteed return of 8% a year.", Rule::GuaranteedReturn),
            ("With this strategy you can't lose.", Rule::GuaranteedReturn),
            ("建议买入贵州茅台（600519），长期持有。", Rule::TradingAdvice),
            ("You should sell your Tesla stock today.", Rule::TradingAdvice),
            ("我有内幕消息，下周会大涨。", Rule::InsideInformation),
        ] {
            assert_eq!(rules(&row("q", answer)), [rule], "{answer}");
        }
    }

    #[test]
    fn warnings_against_them_are_not() {
        for answer in [
            "任何承诺保本保息的产品都可能是骗局。",
            "基金不保证收益，投资有风险。",
            "根据规定，销售人员不得承诺收益。",
            "There is no guaranteed return in the stock market.",
            "Beware of anyone who offers risk-free profit.",
            "利用内幕消息交易是违法行为。",
            "我不能建议买入某只股票，例如600519。",
        ] {
            assert_eq!(rules(&row("q", answer)), [], "{answer}");
        }
        // The denial must stand in the same sentence.
        assert_eq!(rules(&row("q", "这不是存款。它保本保息！")), [Rule::GuaranteedReturn]);
    }
}
