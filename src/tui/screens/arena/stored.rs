//! Voting on battles that were played before. Names are not even known here before the vote.

use super::super::{Effect, Empty, Fetched, draw_error, draw_loading};
use super::judged::Judged;
use super::panes::{Head, Panes};
use crate::error::Result;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::query::{Answer, Query};
use crate::tui::source::BlindBattle;
use crate::tui::widgets::Paint;
use ratatui::layout::Rect;

/// The arena that is voted in.
pub struct Stored {
    /// Its name.
    pub arena: String,
    /// The battle's vote.
    pub judged: Judged,
    /// Votes given here.
    pub votes: u64,
    battle: Fetched<Option<BlindBattle>>,
    panes: Panes,
}

impl Stored {
    /// The battles of `arena`, none fetched yet.
    pub fn new(arena: &str) -> Stored {
        Stored {
            arena: arena.to_owned(),
            judged: Judged::default(),
            votes: 0,
            battle: Fetched::Loading,
            panes: Panes::default(),
        }
    }

    fn battle(&self) -> Option<&BlindBattle> {
        match &self.battle {
            Fetched::Ready(battle) => battle.as_ref(),
            _ => None,
        }
    }

    /// Asks for the battle after this one.
    pub fn ask_next(&self) -> Query {
        Query::NextBattle { arena: self.arena.clone(), after: self.battle().map_or(0, |b| b.id) }
    }

    /// Where the user is.
    pub fn place(&self) -> Vec<String> {
        let mut place = vec![self.arena.clone()];
        if let Some(battle) = self.battle() {
            place.push(tr!("battle {}", "第 {} 场", battle.id));
        }
        if self.votes > 0 {
            place.push(tr!("{} voted now", "本次已投 {} 票", self.votes));
        }
        place
    }

    /// Why `action` cannot be done now.
    pub fn obstacle(&self, action: Action) -> Option<String> {
        match action {
            Action::Next | Action::OtherColumn | Action::Copy | Action::Keep | Action::KeepElsewhere
                if self.battle().is_none() =>
            {
                Some(tr!("no battle waits for a vote", "没有等待投票的对战"))
            }
            _ => self.judged.obstacle(action),
        }
    }

    /// Does a command.
    pub fn update(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Next => return vec![Effect::Ask(self.ask_next())],
            Action::Vote(vote) => return self.judged.give(&self.arena, vote),
            Action::OtherColumn => self.panes.next_column(),
            Action::Copy => return vec![Effect::Copy(self.panes.focused().to_owned())],
            _ => _ = self.panes.update(action),
        }
        vec![]
    }

    /// Takes the next battle.
    pub fn receive(&mut self, query: &Query, answer: Result<Answer>) {
        if !matches!(query, Query::NextBattle { arena, .. } if *arena == self.arena) {
            return;
        }
        self.battle = match answer {
            Ok(Answer::NextBattle(battle)) => Fetched::Ready(battle),
            Err(error) => Fetched::Failed(error),
            Ok(_) => return,
        };
        if let Fetched::Ready(Some(b)) = &self.battle {
            self.panes = Panes::of(&b.question, [&b.answer_a, &b.answer_b]);
        }
        self.judged = self.battle().map_or_else(Judged::default, |b| Judged::of(b.id));
    }

    /// Draws the battle, or why there is none.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect) {
        match &self.battle {
            Fetched::Loading => draw_loading(p, area),
            Fetched::Failed(error) => draw_error(p, area, error),
            Fetched::Ready(None) => Empty {
                title: tr!("Every battle here has its vote.", "这里的对战都已投票。"),
                steps: vec![
                    (tr!("See who is better: key", "查看谁更好：按键"), "r"),
                    (tr!("Ask two models now: leave, then key", "现在就让两个模型作答：返回后按键"), "b"),
                    (
                        tr!("Play more battles:", "再打几场："),
                        "linly-bench arena battle NAME --model MODEL --against MODEL+ADAPTER",
                    ),
                ],
            }
            .draw(p, area),
            Fetched::Ready(Some(_)) => {
                let names = self.judged.names.as_ref();
                let heads = [names.map(|n| n.a.as_str()), names.map(|n| n.b.as_str())];
                let heads = heads.map(|name| Head { name, ..Head::default() });
                let (status, role) = self.judged.status();
                self.panes.draw(p, area, heads, &status, role);
            }
        }
    }
}
