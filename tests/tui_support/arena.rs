//! A made-up sitting of live battles: what is heard is a script.

use super::*;
use std::collections::VecDeque;

/// What is told of a live battle, one piece of news for each time that it is asked for; the last stays.
#[derive(Default)]
pub struct Sitting {
    pub news: VecDeque<Heard>,
    /// The orders that came.
    pub orders: Vec<ArenaQuery>,
    pub offers: Offers,
    pub ratings: RatingsView,
    pub tally: Tally,
    pub question: Option<String>,
    /// Fails the next order.
    pub failure: Option<Error>,
    /// Texts of rows in the dataset `mine`.
    pub rows: Vec<String>,
}

pub fn answer(fake: &mut Fake, query: &ArenaQuery) -> Result<ArenaAnswer> {
    let sitting = &mut fake.sitting;
    if !matches!(query, ArenaQuery::Hear { .. }) {
        sitting.orders.push(query.clone());
    }
    if let Some(error) = sitting.failure.take() {
        return Err(error);
    }
    Ok(match query {
        ArenaQuery::Offers => ArenaAnswer::Offers(sitting.offers.clone()),
        ArenaQuery::Hear { .. } => match sitting.news.len() {
            0 => ArenaAnswer::Heard(heard(DuelStage::Ready)),
            1 => {
                let last = sitting.news.front().cloned().unwrap();
                // Its text was told once.
                sitting.news[0].more = Default::default();
                ArenaAnswer::Heard(last)
            }
            _ => ArenaAnswer::Heard(sitting.news.pop_front().unwrap()),
        },
        ArenaQuery::Draw { .. } => ArenaAnswer::Question(sitting.question.clone()),
        ArenaQuery::Keep { battle, .. } => {
            let text = battle.to_string();
            let known = sitting.rows.iter().position(|row| *row == text);
            if known.is_none() {
                sitting.rows.push(text);
            }
            let row = known.unwrap_or(sitting.rows.len() - 1) as u64;
            ArenaAnswer::Kept { row, added: known.is_none() }
        }
        ArenaQuery::Unkeep { row, .. } => {
            sitting.rows.remove(*row as usize);
            ArenaAnswer::Done
        }
        ArenaQuery::Ratings(_) => ArenaAnswer::Ratings(sitting.ratings.clone()),
        ArenaQuery::Tally { .. } => ArenaAnswer::Tally(sitting.tally.clone()),
        ArenaQuery::Enter(_) | ArenaQuery::Ask { .. } | ArenaQuery::Stop | ArenaQuery::Leave => ArenaAnswer::Done,
    })
}

/// News without text.
pub fn heard(stage: DuelStage) -> Heard {
    Heard { stage, more: Default::default(), ends: [None, None] }
}

/// A piece of each answer.
pub fn pieces(left: &str, right: &str) -> Heard {
    Heard { more: [left.into(), right.into()], ..heard(DuelStage::Writing) }
}

/// Both have ended.
pub fn over(outcome: Outcome) -> Heard {
    Heard { ends: [Some(SideEnd::Whole), Some(SideEnd::Longest)], ..heard(DuelStage::Over(outcome)) }
}

pub fn loading(read: usize) -> Heard {
    heard(DuelStage::Loading { label: "smollm2-135m+聚宝盆".into(), number: 2, read, total: 272 })
}

pub const LEFT: &str = "市盈率（P/E）是股价除以每股收益，反映投资者愿意为每一元利润支付的价格。\n\n市盈率高，可能说明：\n- 市场预期盈利会快速增长；\n- 估值偏贵，或利润暂时偏低。\n\n因此要与同行业、历史水平和增长率一起看。";
pub const RIGHT: &str = "It is the price of a share divided by the earnings per share. A high ratio means that investors expect growth, or that the share is expensive.";

/// A home with two contestants, one battle already heard to its end when `outcome` comes last.
pub fn sitting(news: Vec<Heard>) -> Fake {
    let rating = |model: &str, rank, rating: f64, half: f64, battles| RatingLine {
        model: model.into(),
        rank,
        rating,
        interval: [rating - half, rating + half],
        battles,
        group: 0,
        bounded: true,
    };
    let contestant = |name: &str, wins, losses, mean_length, speed| ContestantTally {
        name: name.into(),
        battles: 14,
        wins,
        losses,
        ties: 2,
        both_bad: 1,
        mean_length,
        tokens_per_second: speed,
    };
    let mut fake = filled();
    fake.battles[0].0.id = 7;
    fake.sitting = Sitting {
        news: news.into(),
        offers: Offers {
            contestants: ["smollm2-135m", "smollm2-135m+聚宝盆", "http://127.0.0.1:8000/v1#Qwen2.5-7B"]
                .map(String::from)
                .into(),
            arenas: vec!["finance".into(), "中文竞技场".into()],
            datasets: vec!["finance-zh".into(), "聚宝盆金融问答数据集（含财报、研报与公告）".into()],
        },
        ratings: RatingsView {
            lines: vec![
                rating("smollm2-135m+聚宝盆", 1, 1062.0, 41.0, 36),
                rating("http://127.0.0.1:8000/v1#Qwen2.5-7B", 1, 1010.0, 60.0, 18),
                rating("smollm2-135m", 2, 928.0, 44.0, 30),
            ],
            used: 42,
            pending: 12,
            flagged: 3,
            not_blind: 1,
            verdicts: vec![
                Comparison {
                    better: "smollm2-135m+聚宝盆".into(),
                    worse: "http://127.0.0.1:8000/v1#Qwen2.5-7B".into(),
                    difference: 52.0,
                    ci95: [-30.0, 134.0],
                    distinguishable: false,
                    battles_needed: Some(171),
                },
                Comparison {
                    better: "http://127.0.0.1:8000/v1#Qwen2.5-7B".into(),
                    worse: "smollm2-135m".into(),
                    difference: 82.0,
                    ci95: [4.0, 160.0],
                    distinguishable: true,
                    battles_needed: Some(69),
                },
            ],
        },
        tally: Tally {
            battles: 17,
            pending: 2,
            flagged: 1,
            left: 6,
            right: 5,
            ties: 2,
            both_bad: 1,
            side_p: 1.0,
            contestants: vec![
                contestant("smollm2-135m", 4, 7, 214.4, Some(31.25)),
                contestant("smollm2-135m+聚宝盆", 7, 4, 96.0, None),
            ],
        },
        question: Some("计算市盈率。\n净利润 2 亿元，总市值 40 亿元。".into()),
        ..Sitting::default()
    };
    fake
}
