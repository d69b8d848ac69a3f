//! The arena: which there are, votes on stored battles, live battles, and what the votes say.

mod choice;
mod figures;
mod judged;
mod live;
mod panes;
mod setup;
mod stored;

use super::roster::Roster;
use super::{Effect, Empty, Listed, Screen, at_top, down, nothing_selected};
use crate::error::Result;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::figures::{ago, count};
use crate::tui::keymap::View;
use crate::tui::query::{Answer, Query};
use crate::tui::source::{ArenaAnswer, ArenaQuery, ArenaView};
use crate::tui::theme::Role;
use crate::tui::widgets::{Column, Input, Paint, Text};
use choice::Choice;
use figures::Figures;
use judged::Judged;
use live::Live;
use ratatui::layout::Rect;
use setup::{Chosen, Setup};
use stored::Stored;

/// The arena screen.
pub struct Arena {
    list: Roster<ArenaView>,
    open: Open,
    over: Option<Over>,
    /// The form as it was filled in last.
    chosen: Option<Chosen>,
    /// Where better answers go, once that was said.
    kept_in: Option<String>,
}

/// What is being done.
enum Open {
    List,
    Stored(Box<Stored>),
    Form(Box<Setup>),
    Live(Box<Live>),
}

/// What lies over it.
enum Over {
    Figures(Box<Figures>),
    /// The dataset that an answer goes to is being chosen.
    KeepIn(Choice),
}

impl Default for Arena {
    fn default() -> Arena {
        Arena {
            list: Roster::new(|a| a.name.clone(), |a| a.name.clone()),
            open: Open::List,
            over: None,
            chosen: None,
            kept_in: None,
        }
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
                    tr!(
                        "Ask two models the same question now, and vote without their names:",
                        "现在就向两个模型提同一个问题，匿名投票："
                    ),
                    "b",
                ),
                (
                    tr!("Let two models answer a file of questions:", "让两个模型回答一份题目文件："),
                    "linly-bench arena new NAME --questions FILE",
                ),
                (
                    tr!("then vote here:", "然后在这里投票："),
                    "linly-bench arena battle NAME --model MODEL --against MODEL+ADAPTER",
                ),
            ],
        };
        self.list.draw(p, area, &columns, &row, &empty);
    }

    /// The arena that figures are asked of, and whether a sitting is under way in it.
    fn arena(&self) -> Option<(String, bool)> {
        match &self.open {
            Open::List => self.list.selected().map(|a| (a.name.clone(), false)),
            Open::Stored(stored) => Some((stored.arena.clone(), false)),
            Open::Live(live) => Some((live.chosen.plan.arena.clone(), true)),
            Open::Form(_) => None,
        }
    }

    fn judged(&mut self) -> Option<(&mut Judged, &mut u64)> {
        match &mut self.open {
            Open::Stored(stored) => Some((&mut stored.judged, &mut stored.votes)),
            Open::Live(live) => Some((&mut live.judged, &mut live.votes)),
            _ => None,
        }
    }

    fn show(&mut self, figures: Figures) -> Vec<Effect> {
        let ask = figures.ask();
        self.over = Some(Over::Figures(Box::new(figures)));
        vec![Effect::Ask(ask)]
    }

    fn show_form(&mut self, arena: Option<String>) -> Vec<Effect> {
        self.open = Open::Form(Box::new(Setup::new(self.chosen.as_ref(), arena.as_deref())));
        vec![Effect::Ask(Query::Arena(ArenaQuery::Offers))]
    }

    fn show_list(&mut self) -> Vec<Effect> {
        self.open = Open::List;
        vec![Effect::Ask(Query::Arenas)]
    }

    /// Puts the better answer where the last one went, or asks where that is.
    fn keep(&mut self, elsewhere: bool) -> Vec<Effect> {
        match self.kept_in.clone().filter(|_| !elsewhere) {
            Some(dataset) => self.keep_in(&dataset),
            None => {
                self.over = Some(Over::KeepIn(Choice::new(self.kept_in.as_deref().unwrap_or_default())));
                vec![Effect::Ask(Query::Arena(ArenaQuery::Offers))]
            }
        }
    }

    fn keep_in(&mut self, dataset: &str) -> Vec<Effect> {
        let arena = self.arena().map(|(arena, _)| arena).unwrap_or_default();
        self.judged().map(|(judged, _)| judged.keep(&arena, dataset)).unwrap_or_default()
    }

    fn update_over(&mut self, mut over: Over, action: Action) -> Vec<Effect> {
        match (&mut over, action) {
            (_, Action::Back | Action::Cancel) => return vec![],
            (Over::Figures(figures), _) => {
                let effects = figures.update(action);
                self.over = Some(over);
                return effects;
            }
            (Over::KeepIn(choice), Action::NextChoice | Action::PreviousChoice) => {
                choice.choose(action == Action::NextChoice);
            }
            (Over::KeepIn(choice), Action::Submit) if !choice.value().is_empty() => {
                let dataset = choice.value();
                let effects = self.keep_in(&dataset);
                self.kept_in = Some(dataset);
                return effects;
            }
            _ => {}
        }
        self.over = Some(over);
        vec![]
    }

    fn update_form(&mut self, action: Action) -> Vec<Effect> {
        let Open::Form(form) = &mut self.open else { return vec![] };
        match action {
            Action::NextField | Action::PreviousField => form.step(action == Action::NextField),
            Action::NextChoice | Action::PreviousChoice => form.choose(action == Action::NextChoice),
            Action::Cancel => return self.show_list(),
            Action::Submit => {
                if let Some(chosen) = form.submit() {
                    self.chosen = Some(chosen.clone());
                    let live = Live::new(chosen);
                    let enter = live.enter();
                    self.open = Open::Live(Box::new(live));
                    return vec![Effect::Ask(enter)];
                }
            }
            _ => {}
        }
        vec![]
    }

    fn update_live(&mut self, action: Action) -> Vec<Effect> {
        let Open::Live(live) = &mut self.open else { return vec![] };
        let leave = || Effect::Ask(Query::Arena(ArenaQuery::Leave));
        match action {
            Action::Rechoose => std::iter::once(leave()).chain(self.show_form(None)).collect(),
            Action::Leave => std::iter::once(leave()).chain(self.show_list()).collect(),
            // Before the first question there is nothing to go back to.
            Action::Cancel if live.is_new() => std::iter::once(leave()).chain(self.show_list()).collect(),
            _ => live.update(action),
        }
    }

    /// A window for the name of a dataset.
    fn draw_keep(p: &mut Paint<'_>, area: Rect, choice: &Choice) {
        let mut rest = down(
            area,
            p.paragraph(
                area,
                &tr!(
                    "The better answer becomes a row of which dataset? A new name makes one.",
                    "较优的回答存入哪个数据集？新名字会新建数据集。"
                ),
                Role::Title,
            ),
        );
        let x = p.text(rest.x, rest.y, rest.width, &tr!("dataset ▸ ", "数据集 ▸ "), Role::Accent);
        choice.input.draw(p, Rect { x, height: 1, width: rest.right().saturating_sub(x), ..rest }, true);
        rest = down(rest, 1);
        p.rule(rest, &tr!("Ctrl-N chooses", "Ctrl-N 选择"));
        choice.draw_list(p, down(rest, 1));
    }
}

impl Screen for Arena {
    fn view(&self) -> View {
        match (&self.over, &self.open) {
            (Some(Over::Figures(figures)), _) => figures.view(),
            (Some(Over::KeepIn(_)), _) => View::KeepIn,
            (None, Open::List) => View::Arenas,
            (None, Open::Stored(_)) => View::Battle,
            (None, Open::Form(_)) => View::Contestants,
            (None, Open::Live(live)) => live.view(),
        }
    }

    fn place(&self) -> Vec<String> {
        match (&self.over, &self.open) {
            (Some(Over::Figures(figures)), _) => figures.place(),
            (_, Open::List) => vec![tr!("Arena", "竞技场"), self.list.len().to_string()],
            (_, Open::Stored(stored)) => stored.place(),
            (_, Open::Form(_)) => vec![tr!("Arena", "竞技场"), tr!("live battle", "现场对战")],
            (_, Open::Live(live)) => live.place(),
        }
    }

    fn obstacle(&self, action: Action) -> Option<String> {
        if self.over.is_some() {
            return None;
        }
        match (&self.open, action) {
            (Open::List, Action::Open | Action::Ratings | Action::Tally) if self.list.selected().is_none() => {
                Some(nothing_selected())
            }
            (Open::List, Action::Back) if self.list.filter.is_empty() => Some(at_top()),
            (Open::Stored(stored), _) => stored.obstacle(action),
            (Open::Live(live), _) => live.obstacle(action),
            _ => None,
        }
    }

    fn update(&mut self, action: Action) -> Vec<Effect> {
        if let Some(over) = self.over.take() {
            return self.update_over(over, action);
        }
        match (action, &mut self.open) {
            (Action::Ratings, _) => {
                return self.arena().map(|(arena, _)| self.show(Figures::ratings(&arena))).unwrap_or_default();
            }
            (Action::Tally, _) => {
                let arena = self.arena();
                return arena.map(|(arena, sitting)| self.show(Figures::tally(&arena, sitting))).unwrap_or_default();
            }
            (Action::Keep | Action::KeepElsewhere, _) => return self.keep(action == Action::KeepElsewhere),
            (_, Open::Form(_)) => return self.update_form(action),
            (_, Open::Live(_)) => return self.update_live(action),
            (Action::Leave, Open::Stored(_)) => return self.show_list(),
            (_, Open::Stored(stored)) => return stored.update(action),
            (Action::Open, Open::List) => {
                let Some(arena) = self.list.selected() else { return vec![] };
                let stored = Stored::new(&arena.name);
                let ask = stored.ask_next();
                self.open = Open::Stored(Box::new(stored));
                return vec![Effect::Ask(ask)];
            }
            (Action::LiveBattle, Open::List) => {
                let arena = self.list.selected().map(|a| a.name.clone());
                return self.show_form(arena);
            }
            (Action::Back, Open::List) => {
                self.list.filter.clear();
                self.list.refilter();
            }
            (_, Open::List) => _ = self.list.update(action),
        }
        vec![]
    }

    fn poll(&mut self, slow: bool) -> Vec<Query> {
        match (&self.open, &self.over) {
            (Open::Live(live), _) if live.is_busy() => live.poll().into_iter().collect(),
            (_, Some(Over::Figures(figures))) if slow => vec![figures.ask()],
            (Open::List, _) if slow => vec![Query::Arenas],
            _ => vec![],
        }
    }

    fn is_live(&self) -> bool {
        matches!(&self.open, Open::Live(live) if live.is_busy())
    }

    fn receive(&mut self, query: &Query, answer: Result<Answer>) -> Vec<Effect> {
        match (query, answer) {
            (Query::Arenas, Ok(Answer::Arenas(list))) => self.list.set(Ok(list)),
            (Query::Arenas, Err(error)) => self.list.set(Err(error)),
            (
                Query::Vote { .. }
                | Query::TakeVoteBack { .. }
                | Query::Arena(ArenaQuery::Keep { .. } | ArenaQuery::Unkeep { .. }),
                answer,
            ) => {
                // The battle may have been left, and what was done is told and can be undone all the same.
                let (mut gone, mut none) = (Judged::default(), 0);
                let (judged, votes) = self.judged().unwrap_or((&mut gone, &mut none));
                return judged.receive(query, &answer, votes);
            }
            (Query::NextBattle { .. }, answer) => {
                if let Open::Stored(stored) = &mut self.open {
                    stored.receive(query, answer);
                }
            }
            (Query::Arena(ArenaQuery::Offers), Ok(Answer::Arena(ArenaAnswer::Offers(offers)))) => {
                if let Some(Over::KeepIn(choice)) = &mut self.over {
                    choice.offered = offers.datasets;
                } else if let Open::Form(form) = &mut self.open {
                    form.offer(offers);
                }
            }
            (Query::Arena(ArenaQuery::Offers), Err(error)) => return vec![Effect::Notice(error.message, Role::Bad)],
            (Query::Arena(query @ (ArenaQuery::Ratings(_) | ArenaQuery::Tally { .. })), answer) => {
                if let Some(Over::Figures(figures)) = &mut self.over {
                    figures.receive(query, answer);
                }
            }
            (Query::Arena(query), answer) => {
                if let Open::Live(live) = &mut self.open {
                    return live.receive(query, answer);
                }
            }
            _ => {}
        }
        vec![]
    }

    fn list(&mut self) -> Option<&mut dyn Listed> {
        match (&self.open, &self.over) {
            (Open::List, None) => Some(&mut self.list),
            _ => None,
        }
    }

    fn input(&mut self) -> Option<&mut Input> {
        match (&mut self.over, &mut self.open) {
            (Some(Over::KeepIn(choice)), _) => Some(&mut choice.input),
            (None, Open::Form(form)) => Some(form.input()),
            (None, Open::Live(live)) => live.input(),
            _ => None,
        }
    }

    fn click(&mut self, column: u16, row: u16) -> bool {
        match (&mut self.over, &self.open) {
            (Some(Over::Figures(figures)), _) => figures.click(column, row),
            (None, Open::List) => self.list.click(column, row),
            _ => false,
        }
    }

    fn draw(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        match (&self.over, &self.open) {
            (Some(Over::Figures(figures)), _) => figures.draw(p, area),
            (Some(Over::KeepIn(choice)), _) => Arena::draw_keep(p, area, choice),
            (None, Open::List) => self.draw_list(p, area, now),
            (None, Open::Stored(stored)) => stored.draw(p, area),
            (None, Open::Form(form)) => form.draw(p, area),
            (None, Open::Live(live)) => live.draw(p, area),
        }
    }
}
