//! A live battle: contestants are loaded, a question is typed, both answers are written at once, a vote, the names, the
//! next question.

use super::super::{Effect, down, draw_error};
use super::judged::Judged;
use super::panes::{Head, Panes};
use super::setup::Chosen;
use crate::error::{Error, Result};
use crate::text;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::figures::count;
use crate::tui::keymap::View;
use crate::tui::query::{Answer, Query};
use crate::tui::source::{ArenaAnswer, ArenaQuery, DuelStage, Heard, Names, Outcome, SideEnd};
use crate::tui::theme::Role;
use crate::tui::widgets::{Input, Paint};
use ratatui::layout::Rect;

/// Rows of the question while it is typed.
const QUESTION: u16 = 5;

/// A sitting: battles one after another between the same two.
pub struct Live {
    /// Who, where.
    pub chosen: Chosen,
    /// The vote on the present battle.
    pub judged: Judged,
    /// Votes given in this sitting.
    pub votes: u64,
    stage: DuelStage,
    /// Number of the present battle, from 1.
    turn: u64,
    /// Whether the next question is being typed.
    typing: bool,
    input: Input,
    /// A question that was drawn: as it stands in the field, and whole, with its line ends.
    drawn: Option<(String, String)>,
    draws: u64,
    /// What was asked last.
    asked: String,
    panes: Panes,
    heard: [usize; 2],
    ends: [Option<SideEnd>; 2],
    /// Whether the answers are to stop.
    stopping: bool,
}

impl Live {
    /// A sitting whose contestants are still to be loaded.
    pub fn new(chosen: Chosen) -> Live {
        let label = chosen.plan.contestants[0].clone();
        Live {
            chosen,
            judged: Judged::default(),
            votes: 0,
            stage: DuelStage::Loading { label, number: 1, read: 0, total: 0 },
            turn: 0,
            typing: false,
            input: Input::default(),
            drawn: None,
            draws: 0,
            asked: String::new(),
            panes: Panes::default(),
            heard: [0, 0],
            ends: [None, None],
            stopping: false,
        }
    }

    /// Asks for the contestants.
    pub fn enter(&self) -> Query {
        Query::Arena(ArenaQuery::Enter(self.chosen.plan.clone()))
    }

    /// Which commands apply.
    pub fn view(&self) -> View {
        match self.stage {
            _ if self.typing => View::Question,
            DuelStage::Loading { .. } | DuelStage::Failed(_) => View::Arriving,
            DuelStage::Writing => View::Writing,
            DuelStage::Ready | DuelStage::Over(_) => View::Duel,
        }
    }

    /// Whether answers are written or models loaded.
    pub fn is_busy(&self) -> bool {
        matches!(self.stage, DuelStage::Loading { .. } | DuelStage::Writing)
    }

    /// Whether nothing was asked yet.
    pub fn is_new(&self) -> bool {
        self.turn == 0
    }

    /// Where the user is.
    pub fn place(&self) -> Vec<String> {
        let mut place = vec![self.chosen.plan.arena.clone(), tr!("live", "现场")];
        if self.turn > 0 {
            place.push(tr!("question {}", "第 {} 题", self.turn));
        }
        if self.votes > 0 {
            place.push(tr!("{} voted now", "本次已投 {} 票", self.votes));
        }
        place
    }

    /// The question's field.
    pub fn input(&mut self) -> Option<&mut Input> {
        self.typing.then_some(&mut self.input)
    }

    /// Why `action` cannot be done now.
    pub fn obstacle(&self, action: Action) -> Option<String> {
        match action {
            Action::Vote(_) | Action::AskAgain | Action::OtherColumn | Action::Copy if self.turn == 0 => {
                Some(tr!("nothing was asked yet", "还没有提问"))
            }
            Action::Vote(_) if self.judged.battle.is_none() => {
                Some(tr!("there are not two answers to vote on", "没有可供投票的两个回答"))
            }
            Action::Halt if self.stopping => Some(tr!("they are being stopped", "正在停止")),
            _ => self.judged.obstacle(action),
        }
    }

    /// Does a command; leaving is done by the screen.
    pub fn update(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Halt => {
                self.stopping = true;
                return vec![Effect::Ask(Query::Arena(ArenaQuery::Stop))];
            }
            Action::Next => self.typing = true,
            Action::AskAgain => {
                self.fill(&self.asked.clone());
                self.typing = true;
            }
            Action::Vote(vote) => return self.judged.give(&self.chosen.plan.arena, vote),
            Action::OtherColumn => self.panes.next_column(),
            Action::Copy => return vec![Effect::Copy(self.panes.focused().to_owned())],
            Action::DrawQuestion => {
                self.draws += 1;
                let (arena, dataset) = (self.chosen.plan.arena.clone(), self.chosen.dataset.clone());
                return vec![Effect::Ask(Query::Arena(ArenaQuery::Draw { arena, dataset, number: self.draws }))];
            }
            Action::Submit => return self.ask(),
            Action::Cancel => self.typing = false,
            _ => _ = self.panes.update(action),
        }
        vec![]
    }

    /// Puts a question into the field.
    fn fill(&mut self, question: &str) {
        self.input = Input::new(text::one_line(question));
        self.drawn = Some((self.input.text(), question.to_owned()));
    }

    fn ask(&mut self) -> Vec<Effect> {
        let typed = self.input.text().trim().to_owned();
        if typed.is_empty() {
            return vec![Effect::Notice(tr!("type a question first", "请先输入问题"), Role::Warn)];
        }
        let question = match self.drawn.take() {
            Some((flat, whole)) if flat == typed => whole,
            _ => typed,
        };
        self.turn += 1;
        self.panes = Panes::waiting(&question);
        (self.heard, self.ends, self.judged) = ([0, 0], [None, None], Judged::default());
        (self.stage, self.typing, self.stopping) = (DuelStage::Writing, false, false);
        self.input.clear();
        self.asked.clone_from(&question);
        vec![Effect::Ask(Query::Arena(ArenaQuery::Ask { question, turn: self.turn }))]
    }

    /// What is to be asked now.
    pub fn poll(&self) -> Option<Query> {
        self.is_busy().then_some(Query::Arena(ArenaQuery::Hear { turn: self.turn, heard: self.heard }))
    }

    /// Takes an answer about the sitting.
    pub fn receive(&mut self, query: &ArenaQuery, answer: Result<Answer>) -> Vec<Effect> {
        match (query, answer) {
            // The first failure says why; what is heard after it is that nobody is there.
            (ArenaQuery::Hear { .. }, _) if matches!(self.stage, DuelStage::Failed(_)) => {}
            (ArenaQuery::Enter(_) | ArenaQuery::Hear { .. }, Err(error)) => self.stage = DuelStage::Failed(error),
            (ArenaQuery::Hear { turn, heard }, Ok(Answer::Arena(ArenaAnswer::Heard(news))))
                if *turn == self.turn && *heard == self.heard =>
            {
                self.hear(news);
            }
            (ArenaQuery::Ask { .. }, Err(error)) => {
                // The question is not lost.
                self.fill(&self.asked.clone());
                (self.stage, self.typing) = (DuelStage::Ready, true);
                return vec![told(&error)];
            }
            (ArenaQuery::Draw { number, .. }, Ok(Answer::Arena(ArenaAnswer::Question(question)))) => {
                if *number != self.draws || !self.typing {
                    return vec![];
                }
                let Some(whole) = question else {
                    let words = match &self.chosen.dataset {
                        Some(dataset) => tr!("{dataset} has no row that is a question", "{dataset} 中没有可作问题的行"),
                        None => tr!(
                            "this arena has no questions yet; the form can name a dataset",
                            "这个竞技场还没有题目；可在表单中指定数据集"
                        ),
                    };
                    return vec![Effect::Notice(words, Role::Warn)];
                };
                self.fill(&whole);
            }
            (ArenaQuery::Draw { .. } | ArenaQuery::Stop, Err(error)) => return vec![told(&error)],
            _ => {}
        }
        vec![]
    }

    fn hear(&mut self, news: Heard) {
        self.panes.push(&news.more);
        for (heard, more) in self.heard.iter_mut().zip(&news.more) {
            *heard += more.len();
        }
        self.ends = news.ends;
        match &news.stage {
            // The first question comes as soon as somebody can answer it.
            DuelStage::Ready if matches!(self.stage, DuelStage::Loading { .. }) => self.typing = true,
            DuelStage::Over(Outcome::Votable(battle)) => self.judged = Judged::of(*battle),
            DuelStage::Over(Outcome::NotBlind { names: [a, b], .. }) => {
                self.judged = Judged::told(Names { a: a.clone(), b: b.clone() });
            }
            _ => {}
        }
        self.stage = news.stage;
    }

    /// Draws what the sitting is at.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect) {
        if self.typing {
            return self.draw_question(p, area);
        }
        match &self.stage {
            DuelStage::Loading { label, number, read, total } => draw_loading(p, area, label, *number, *read, *total),
            DuelStage::Failed(error) => {
                draw_error(p, Rect { height: area.height.saturating_sub(2), ..area }, error);
                let last = Rect { y: area.bottom().saturating_sub(1), height: 1, ..area };
                let words = tr!("Enter opens the form again, as you filled it in.", "按回车回到表单，所填内容仍在。");
                p.text(last.x, last.y, last.width, &words, Role::Accent);
            }
            _ if self.turn == 0 => {
                let words = tr!("Both are loaded. Enter: type a question.", "两者均已载入。按回车输入问题。");
                p.paragraph(down(area, 1), &words, Role::Plain);
            }
            _ => self.draw_answers(p, area),
        }
    }

    fn draw_question(&self, p: &mut Paint<'_>, area: Rect) {
        p.rule(area, &tr!("Your question", "你的问题"));
        let rows = QUESTION.min(area.height.saturating_sub(5)).max(1);
        self.input.draw_rows(p, Rect { height: rows, ..down(area, 1) }, true);
        let mut rest = down(area, rows + 1);
        p.rule(rest, "");
        rest = down(rest, 1);
        let [one, other] = self.chosen.plan.contestants.each_ref().map(|name| text::one_line(name));
        let source = match &self.chosen.dataset {
            Some(dataset) => tr!("the dataset {dataset}", "数据集 {dataset}"),
            None => tr!("the arena's questions", "竞技场的题目"),
        };
        let lines = [
            tr!(
                "Enter asks {one} and {other} at once; chance says who is A.",
                "回车：同时向 {one} 与 {other} 提问，左右随机。"
            ),
            tr!("Ctrl-N draws one from {source}.", "Ctrl-N：从{source}中抽一题。"),
        ];
        for line in lines {
            rest = down(rest, p.paragraph(rest, &line, Role::Dim));
        }
    }

    fn draw_answers(&self, p: &mut Paint<'_>, area: Rect) {
        let writing = self.stage == DuelStage::Writing;
        let names = self.judged.names.as_ref().map(|n| [n.a.as_str(), n.b.as_str()]);
        let head = |side: usize| Head {
            name: names.map(|names| names[side]),
            note: match &self.ends[side] {
                None if !writing => String::new(),
                None if self.heard[side] == 0 => tr!("reading the question", "正在读题"),
                None => tr!("writing", "正在作答"),
                Some(SideEnd::Whole) if writing => tr!("done", "已答完"),
                Some(SideEnd::Whole) => String::new(),
                Some(SideEnd::Longest) => tr!("cut off", "已截断"),
                Some(SideEnd::Stopped) => tr!("stopped", "已停止"),
                Some(SideEnd::Failed(_)) => tr!("failed", "失败"),
            },
            failure: match &self.ends[side] {
                Some(SideEnd::Failed(error)) => Some(error),
                _ => None,
            },
        };
        let (status, role) = self.status();
        self.panes.draw(p, area, [head(0), head(1)], &status, role);
    }

    fn status(&self) -> (Vec<String>, Role) {
        match &self.stage {
            DuelStage::Over(Outcome::NotBlind { why, .. }) => {
                let why = text::one_line(why);
                (vec![tr!("Not blind, so it does not count: {why}.", "无法盲评，不计入：{why}。")], Role::Warn)
            }
            DuelStage::Over(Outcome::Unanswered) => {
                let words = tr!(
                    "A side has no answer, so there is nothing to vote on. e asks again, n asks something else.",
                    "有一方没有回答，无法投票。按 e 再问一次，按 n 换个问题。"
                );
                (vec![words, tr!("No vote without two answers: e asks again", "缺少回答：按 e 再问")], Role::Warn)
            }
            DuelStage::Over(Outcome::NotStored(error)) => {
                let hint = error.hint.as_ref().map_or_else(String::new, |hint| format!("  ({hint})"));
                (vec![tr!("The battle was not stored: {}{hint}", "对战未能保存：{}{hint}", error.message)], Role::Bad)
            }
            DuelStage::Over(_) => {
                let stopped = self.ends.contains(&Some(SideEnd::Stopped));
                let (mut words, role) = self.judged.status();
                if stopped && self.judged.vote.is_none() {
                    words.insert(
                        0,
                        tr!(
                            "Stopped. Which is better as it stands? The names appear after your vote.",
                            "已停止。就现有内容而言哪个更好？投票后显示名称。"
                        ),
                    );
                }
                (words, role)
            }
            _ if self.stopping => (vec![tr!("Stopping", "正在停止")], Role::Dim),
            _ => (vec![tr!("Esc stops both; what is written stays.", "Esc 停止作答，已写内容保留。")], Role::Dim),
        }
    }
}

/// How far a model is read: a line of words and a bar.
fn draw_loading(p: &mut Paint<'_>, area: Rect, label: &str, number: usize, read: usize, total: usize) {
    let mut rest = down(area, 1);
    let label = text::one_line(label);
    rest = down(
        rest,
        p.paragraph(
            rest,
            &tr!("Loading {label} ({number} of 2)", "正在载入 {label}（第 {number} 个，共 2 个）"),
            Role::Title,
        ) + 1,
    );
    if total > 0 {
        let bar = usize::from(rest.width.min(40));
        let full = (bar * read).checked_div(total).unwrap_or(0).min(bar);
        let y = rest.y;
        if rest.height > 0 {
            let x = p.text(rest.x, y, rest.width, &"⣿".repeat(full), Role::FirstLine);
            p.text(x, y, rest.width, &"⠒".repeat(bar - full), Role::Dim);
        }
        rest = down(rest, 1);
        let words = tr!("{} of {} weights", "{} / {} 个权重", count(read as u64), count(total as u64));
        rest = down(rest, p.paragraph(rest, &words, Role::Dim) + 1);
    }
    p.paragraph(rest, &tr!("Esc gives up.", "按 Esc 放弃。"), Role::Dim);
}

fn told(error: &Error) -> Effect {
    let hint = error.hint.as_ref().map_or_else(String::new, |hint| format!("  ({hint})"));
    Effect::Notice(format!("{}{hint}", error.message), Role::Bad)
}
