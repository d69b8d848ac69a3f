//! The arena: which there are, and blind battles. Names are not even known here before the vote.

use super::roster::Roster;
use super::{Effect, Empty, Fetched, Screen, at_top, down, draw_error, draw_loading, nothing_selected};
use crate::error::Result;
use crate::text;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::figures::{ago, count};
use crate::tui::keymap::View;
use crate::tui::query::{Answer, Query};
use crate::tui::source::{ArenaView, BlindBattle, Names, Vote};
use crate::tui::theme::Role;
use crate::tui::widgets::{Block, Column, Input, Pager, Paint, Text};
use ratatui::layout::Rect;

/// The arena screen.
pub struct Arena {
    list: Roster<ArenaView>,
    open: Option<Open>,
}

/// The arena that is voted in.
struct Open {
    arena: String,
    battle: Fetched<Option<BlindBattle>>,
    /// The vote given, and the names once they are told.
    vote: Option<Vote>,
    names: Option<Names>,
    votes: u64,
    question: Pager,
    left: Pager,
    right: Pager,
}

impl Default for Arena {
    fn default() -> Arena {
        Arena { list: Roster::new(|a| a.name.clone(), |a| a.name.clone()), open: None }
    }
}

impl Open {
    fn new(arena: &str) -> Open {
        Open {
            arena: arena.to_owned(),
            battle: Fetched::Loading,
            vote: None,
            names: None,
            votes: 0,
            question: Pager::default(),
            left: Pager::default(),
            right: Pager::default(),
        }
    }

    fn battle(&self) -> Option<&BlindBattle> {
        match &self.battle {
            Fetched::Ready(battle) => battle.as_ref(),
            _ => None,
        }
    }

    fn ask_next(&self) -> Query {
        Query::NextBattle { arena: self.arena.clone(), after: self.battle().map_or(0, |b| b.id) }
    }
}

impl Arena {
    fn draw_list(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        let columns = [
            Column::rest(tr!("arena", "竞技场"), 20, 9),
            Column::number(tr!("waiting for a vote", "待投票"), 8),
            Column::number(tr!("battles", "对战"), 6),
            Column::new(tr!("made", "创建"), 14, 3),
        ];
        let row = |a: &ArenaView| {
            let role = if a.pending > 0 { Role::Warn } else { Role::Dim };
            vec![
                a.name.as_str().into(),
                Text(count(a.pending), role),
                count(a.battles).into(),
                Text(ago(&a.created, now), Role::Dim),
            ]
        };
        let empty = Empty {
            title: tr!("No arena yet.", "还没有竞技场。"),
            steps: vec![
                (
                    tr!("Make one from a file of questions:", "用一份题目文件创建："),
                    "linly-bench arena new NAME --questions FILE",
                ),
                (
                    tr!(
                        "Let two models answer the same questions, then vote here without seeing their names:",
                        "让两个模型回答同样的问题，然后在这里匿名投票："
                    ),
                    "linly-bench arena battle NAME --model MODEL --against MODEL+ADAPTER",
                ),
            ],
        };
        self.list.draw(p, area, &columns, &row, &empty);
    }
}

fn vote_words(vote: Vote) -> String {
    match vote {
        Vote::A => tr!("A is better", "A 更好"),
        Vote::B => tr!("B is better", "B 更好"),
        Vote::Tie => tr!("tie", "平手"),
        Vote::BothBad => tr!("both bad", "都不好"),
    }
}

fn draw_battle(p: &mut Paint<'_>, area: Rect, open: &Open) {
    let battle = match &open.battle {
        Fetched::Loading => return draw_loading(p, area),
        Fetched::Failed(error) => return draw_error(p, area, error),
        Fetched::Ready(None) => {
            let empty = Empty {
                title: tr!("Every battle here has its vote.", "这里的对战都已投票。"),
                steps: vec![
                    (tr!("Rate the models:", "给模型评级："), "linly-bench arena rate"),
                    (
                        tr!("Play more battles:", "再打几场："),
                        "linly-bench arena battle NAME --model MODEL --against MODEL+ADAPTER",
                    ),
                ],
            };
            return empty.draw(p, area);
        }
        Fetched::Ready(Some(battle)) => battle,
    };
    // In a low frame, lines are worth more than the blanks between its parts.
    let gap = u16::from(area.height >= 12);
    let lines = text::wrap(&text::clean(battle.question.trim()), area.width.into()).len();
    let height = u16::try_from(lines).unwrap_or(u16::MAX).min((area.height / 4).max(2));
    let question = Block { role: Role::Title, ..Block::new("", battle.question.trim()) };
    open.question.draw(p, Rect { height, ..area }, &[question]);
    let rest = down(area, height + gap);
    let status = Rect { y: rest.bottom().saturating_sub(1), height: 1, ..rest };
    let panes = Rect { height: rest.height.saturating_sub(1 + gap), ..rest };
    let title = |side: &str, name: Option<&String>| match name {
        Some(name) => format!("{side}  {}", text::one_line(name)),
        None => side.to_owned(),
    };
    let names = open.names.as_ref();
    let (a, b) = (title("A", names.map(|n| &n.a)), title("B", names.map(|n| &n.b)));
    let (left, right) = if panes.width >= 60 {
        let half = (panes.width - 3) / 2;
        let middle = Rect { x: panes.x + half + 1, width: 1, ..panes };
        p.split(middle);
        (Rect { width: half, ..panes }, Rect { x: panes.x + half + 3, width: panes.width - half - 3, ..panes })
    } else {
        let half = panes.height / 2;
        (Rect { height: half, ..panes }, down(panes, half))
    };
    for (area, title, answer, pager) in
        [(left, a, &battle.answer_a, &open.left), (right, b, &battle.answer_b, &open.right)]
    {
        p.rule(Rect { height: 1.min(area.height), ..area }, &title);
        pager.draw(p, down(area, 1), &[Block::new("", answer.trim())]);
    }
    match (open.vote, names) {
        (None, _) => p.text(
            status.x,
            status.y,
            status.width,
            &tr!("Which answer is better? The names appear after your vote.", "哪个回答更好？投票后显示模型名称。"),
            Role::Accent,
        ),
        (Some(_), None) => {
            p.text(status.x, status.y, status.width, &tr!("Recording the vote", "正在记录投票"), Role::Dim)
        }
        (Some(vote), Some(names)) => {
            let told = tr!(
                "You voted: {}.  A is {}, B is {}.",
                "你的投票：{}。A 是 {}，B 是 {}。",
                vote_words(vote),
                names.a,
                names.b
            );
            p.text(status.x, status.y, status.width, &told, Role::Good)
        }
    };
}

impl Screen for Arena {
    fn view(&self) -> View {
        if self.open.is_some() { View::Battle } else { View::Arenas }
    }

    fn place(&self) -> Vec<String> {
        match &self.open {
            None => vec![tr!("Arena", "竞技场"), self.list.len().to_string()],
            Some(open) => {
                let mut place = vec![open.arena.clone()];
                if let Some(battle) = open.battle() {
                    place.push(tr!("battle {}", "第 {} 场", battle.id));
                }
                if open.votes > 0 {
                    place.push(tr!("{} voted now", "本次已投 {} 票", open.votes));
                }
                place
            }
        }
    }

    fn obstacle(&self, action: Action) -> Option<String> {
        match (action, &self.open) {
            (Action::Open, None) if self.list.selected().is_none() => Some(nothing_selected()),
            (Action::Back, None) if self.list.filter.is_empty() => Some(at_top()),
            (Action::Vote(_) | Action::Next, Some(open)) if open.battle().is_none() => {
                Some(tr!("no battle waits for a vote", "没有等待投票的对战"))
            }
            (Action::Vote(_), Some(open)) if open.vote.is_some() => {
                Some(tr!("this battle has your vote; go on to the next", "这一场已投票，请看下一场"))
            }
            _ => None,
        }
    }

    fn update(&mut self, action: Action) -> Vec<Effect> {
        match (action, &mut self.open) {
            (Action::Open, None) => {
                self.open = self.list.selected().map(|a| Open::new(&a.name));
                return self.open.iter().map(|o| Effect::Ask(o.ask_next())).collect();
            }
            (Action::Back, Some(_)) => {
                self.open = None;
                return vec![Effect::Ask(Query::Arenas)];
            }
            (Action::Back, None) => {
                self.list.filter.clear();
                self.list.refilter();
            }
            (Action::Next, Some(open)) => return vec![Effect::Ask(open.ask_next())],
            (Action::Vote(vote), Some(open)) => {
                if let Some(battle) = open.battle().map(|b| b.id) {
                    open.vote = Some(vote);
                    return vec![Effect::Ask(Query::Vote { arena: open.arena.clone(), battle, vote })];
                }
            }
            (_, Some(open)) => {
                open.question.update(action);
                open.left.update(action);
                open.right.update(action);
            }
            (_, None) => {
                self.list.update(action);
            }
        }
        vec![]
    }

    fn poll(&mut self, slow: bool) -> Vec<Query> {
        if slow && self.open.is_none() { vec![Query::Arenas] } else { vec![] }
    }

    fn receive(&mut self, query: &Query, answer: Result<Answer>) -> Vec<Effect> {
        match (query, answer, &mut self.open) {
            (Query::Arenas, Ok(Answer::Arenas(list)), _) => self.list.set(Ok(list)),
            (Query::Arenas, Err(error), _) => self.list.set(Err(error)),
            (Query::NextBattle { arena, .. }, answer, Some(open)) if *arena == open.arena => {
                open.battle = match answer {
                    Ok(Answer::NextBattle(battle)) => Fetched::Ready(battle),
                    Err(error) => Fetched::Failed(error),
                    Ok(_) => return vec![],
                };
                (open.vote, open.names) = (None, None);
                open.question.reset();
                open.left.reset();
                open.right.reset();
            }
            (Query::Vote { arena, battle, vote }, answer, Some(open))
                if open.battle().is_some_and(|b| b.id == *battle) =>
            {
                match answer {
                    Ok(Answer::Vote(names)) => {
                        open.votes += 1;
                        open.names = Some(names);
                        let told = tr!("battle {battle}: {}", "第 {battle} 场：{}", vote_words(*vote));
                        let query = Query::TakeVoteBack { arena: arena.clone(), battle: *battle };
                        return vec![Effect::Undoable { told, query }];
                    }
                    Err(error) => {
                        // The vote did not count: it can be given again.
                        open.vote = None;
                        return vec![Effect::Notice(error.message, Role::Bad)];
                    }
                    Ok(_) => {}
                }
            }
            (Query::TakeVoteBack { arena, battle }, Ok(Answer::TakeVoteBack), open) => {
                if let Some(open) = open.as_mut().filter(|o| o.arena == *arena) {
                    open.votes = open.votes.saturating_sub(1);
                    if open.battle().is_some_and(|b| b.id == *battle) {
                        (open.vote, open.names) = (None, None);
                    }
                }
                let words = tr!(
                    "vote on battle {battle} taken back; a new vote on it is kept but does not rate: the names were seen",
                    "已撤回第 {battle} 场的投票；已看过名称，重新投票会保存但不计入评级"
                );
                return vec![Effect::Notice(words, Role::Warn)];
            }
            (Query::TakeVoteBack { .. }, Err(error), _) => return vec![Effect::Notice(error.message, Role::Bad)],
            _ => {}
        }
        vec![]
    }

    fn filter(&mut self) -> Option<&mut Input> {
        if self.open.is_some() { None } else { Some(&mut self.list.filter) }
    }

    fn filtered(&mut self) {
        self.list.refilter();
    }

    fn click(&mut self, column: u16, row: u16) -> bool {
        self.open.is_none() && self.list.click(column, row)
    }

    fn draw(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        match &self.open {
            None => self.draw_list(p, area, now),
            Some(open) => draw_battle(p, area, open),
        }
    }
}
