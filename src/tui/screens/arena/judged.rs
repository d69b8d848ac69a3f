//! A battle's vote, the names that it opens, and the better answer on its way into a dataset.

use super::super::Effect;
use crate::error::Result;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::query::{Answer, Query};
use crate::tui::source::{ArenaAnswer, ArenaQuery, Names, Vote};
use crate::tui::theme::Role;

/// What a voter has done with a battle.
#[derive(Default)]
pub struct Judged {
    /// The battle; none while there is nothing to vote on.
    pub battle: Option<i64>,
    /// The vote given.
    pub vote: Option<Vote>,
    /// The names, once they are told.
    pub names: Option<Names>,
    /// The dataset that the better answer is in.
    kept: Option<String>,
}

impl Judged {
    /// A battle that waits for its vote.
    pub fn of(battle: i64) -> Judged {
        Judged { battle: Some(battle), ..Judged::default() }
    }

    /// A battle that nobody votes on, because its names are known.
    pub fn told(names: Names) -> Judged {
        Judged { names: Some(names), ..Judged::default() }
    }

    /// Why `action` cannot be done now.
    pub fn obstacle(&self, action: Action) -> Option<String> {
        match action {
            Action::Vote(_) if self.battle.is_none() => Some(tr!("no battle waits for a vote", "没有等待投票的对战")),
            Action::Vote(_) if self.vote.is_some() => {
                Some(tr!("this battle has your vote; go on to the next", "这一场已投票，请看下一场"))
            }
            Action::Keep | Action::KeepElsewhere => match (self.vote, &self.names, &self.kept) {
                (Some(Vote::A | Vote::B), Some(_), Some(kept)) if action == Action::Keep => {
                    Some(tr!("the better answer is in {kept} already", "较优回答已在 {kept} 中"))
                }
                (Some(Vote::A | Vote::B), Some(_), _) => None,
                (Some(_), Some(_), _) => Some(tr!("neither answer was better", "这一场没有较优的回答")),
                _ => Some(tr!("vote first: the better answer goes there", "请先投票：较优的回答才会存入")),
            },
            _ => None,
        }
    }

    /// Gives the vote.
    pub fn give(&mut self, arena: &str, vote: Vote) -> Vec<Effect> {
        let Some(battle) = self.battle else { return vec![] };
        self.vote = Some(vote);
        vec![Effect::Ask(Query::Vote { arena: arena.to_owned(), battle, vote })]
    }

    /// Puts the better answer into `dataset`.
    pub fn keep(&self, arena: &str, dataset: &str) -> Vec<Effect> {
        let Some(battle) = self.battle else { return vec![] };
        let (arena, dataset) = (arena.to_owned(), dataset.to_owned());
        vec![Effect::Ask(Query::Arena(ArenaQuery::Keep { arena, battle, dataset }))]
    }

    /// Takes an answer about a vote or a kept answer. What it is about may be another battle by now. `votes` is how many
    /// were given here.
    pub fn receive(&mut self, query: &Query, answer: &Result<Answer>, votes: &mut u64) -> Vec<Effect> {
        let mine = |battle: &i64| self.battle == Some(*battle);
        match (query, answer) {
            (Query::Vote { arena, battle, vote }, Ok(Answer::Vote(names))) => {
                *votes += 1;
                if mine(battle) {
                    self.names = Some(names.clone());
                }
                let told = tr!("battle {battle}: {}", "第 {battle} 场：{}", vote_words(*vote));
                let query = Query::TakeVoteBack { arena: arena.clone(), battle: *battle };
                vec![Effect::Undoable { told, query }]
            }
            (Query::Vote { battle, .. }, Err(error)) => {
                // The vote did not count: it can be given again.
                if mine(battle) {
                    self.vote = None;
                }
                vec![Effect::Notice(error.message.clone(), Role::Bad)]
            }
            (Query::TakeVoteBack { battle, .. }, Ok(_)) => {
                *votes = votes.saturating_sub(1);
                if mine(battle) {
                    (self.vote, self.names) = (None, None);
                }
                let words = tr!(
                    "vote on battle {battle} taken back; a new vote on it is kept but does not rate: the names were seen",
                    "已撤回第 {battle} 场的投票；已看过名称，重新投票会保存但不计入评级"
                );
                vec![Effect::Notice(words, Role::Warn)]
            }
            (Query::Arena(ArenaQuery::Keep { battle, dataset, .. }), Ok(Answer::Arena(kept))) => {
                let ArenaAnswer::Kept { row, added } = kept else { return vec![] };
                if mine(battle) {
                    self.kept = Some(dataset.clone());
                }
                if !added {
                    let told =
                        tr!("row {row} of {dataset} has these texts already", "{dataset} 的第 {row} 行已有相同内容");
                    return vec![Effect::Notice(told, Role::Warn)];
                }
                let told = tr!("the better answer is row {row} of {dataset}", "较优回答已存为 {dataset} 的第 {row} 行");
                let unkeep = ArenaQuery::Unkeep { battle: *battle, dataset: dataset.clone(), row: *row };
                vec![Effect::Undoable { told, query: Query::Arena(unkeep) }]
            }
            (Query::Arena(ArenaQuery::Unkeep { battle, .. }), Ok(_)) => {
                if mine(battle) {
                    self.kept = None;
                }
                vec![]
            }
            (
                Query::TakeVoteBack { .. } | Query::Arena(ArenaQuery::Keep { .. } | ArenaQuery::Unkeep { .. }),
                Err(error),
            ) => {
                let hint = error.hint.as_ref().map_or_else(String::new, |hint| format!("  ({hint})"));
                vec![Effect::Notice(format!("{}{hint}", error.message), Role::Bad)]
            }
            _ => vec![],
        }
    }

    /// What is told below the answers, the longest wording first.
    pub fn status(&self) -> (Vec<String>, Role) {
        match (self.vote, &self.names) {
            (None, None) => {
                let words = tr!(
                    "Which answer is better? The names appear after your vote.",
                    "哪个回答更好？投票后显示模型名称。"
                );
                (vec![words, tr!("Which answer is better?", "哪个回答更好？")], Role::Accent)
            }
            (None, Some(names)) => (vec![tr!("A is {}, B is {}.", "A 是 {}，B 是 {}。", names.a, names.b)], Role::Warn),
            (Some(_), None) => (vec![tr!("Recording the vote", "正在记录投票")], Role::Dim),
            (Some(vote), Some(names)) => {
                let voted = vote_words(vote);
                let whole = tr!(
                    "You voted: {voted}.  A is {}, B is {}.",
                    "你的投票：{voted}。A 是 {}，B 是 {}。",
                    names.a,
                    names.b
                );
                (vec![whole, tr!("You voted: {voted}.", "你的投票：{voted}。")], Role::Good)
            }
        }
    }
}

/// A vote in words.
fn vote_words(vote: Vote) -> String {
    match vote {
        Vote::A => tr!("A is better", "A 更好"),
        Vote::B => tr!("B is better", "B 更好"),
        Vote::Tie => tr!("tie", "平手"),
        Vote::BothBad => tr!("both bad", "都不好"),
    }
}
