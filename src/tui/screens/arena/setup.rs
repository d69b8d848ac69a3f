//! The form of a live battle: who meets whom, where, and where questions come from.

use super::super::down;
use super::choice::Choice;
use crate::text;
use crate::tr;
use crate::tui::source::{DuelPlan, Offers};
use crate::tui::theme::Role;
use crate::tui::widgets::{Input, Paint};
use crate::workbench::arena::LONGEST_ANSWER;
use ratatui::layout::Rect;

/// The arena that is offered first.
const ARENA: &str = "live";

const FIRST: usize = 0;
const SECOND: usize = 1;
const ARENA_NAME: usize = 2;
const QUESTIONS: usize = 3;
const LONGEST: usize = 4;

/// What was filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Who meets whom.
    pub plan: DuelPlan,
    /// The dataset that questions are drawn from; none for the arena's own.
    pub dataset: Option<String>,
}

/// The form being filled in.
pub struct Setup {
    fields: [Choice; 5],
    focus: usize,
    complaint: Option<String>,
    /// Whether the names there are have come.
    offered: bool,
}

impl Setup {
    /// A form that begins with what was chosen `before`, for a battle in `arena` if one is named.
    pub fn new(before: Option<&Chosen>, arena: Option<&str>) -> Setup {
        let plan = before.map(|b| b.plan.clone()).unwrap_or_default();
        let longest = if plan.longest == 0 { LONGEST_ANSWER } else { plan.longest };
        let [first, second] = plan.contestants.each_ref().map(|name| Choice::new(name));
        let arena = arena.map(str::to_owned).or(before.map(|b| b.plan.arena.clone()));
        let questions = before.and_then(|b| b.dataset.clone()).unwrap_or_default();
        let fields = [
            first,
            second,
            Choice::new(arena.as_deref().unwrap_or(ARENA)),
            Choice::new(&questions),
            Choice::new(&longest.to_string()),
        ];
        Setup { fields, focus: 0, complaint: None, offered: false }
    }

    /// Takes the names there are. A form that is still blank begins with the first two contestants.
    pub fn offer(&mut self, offers: Offers) {
        self.offered = true;
        let blank = self.fields[..2].iter().all(|field| field.input.is_empty());
        if let (true, [first, second, ..]) = (blank, &offers.contestants[..]) {
            self.fields[FIRST].input = Input::new(first.clone());
            self.fields[SECOND].input = Input::new(second.clone());
        }
        self.fields[FIRST].offered.clone_from(&offers.contestants);
        self.fields[SECOND].offered = offers.contestants;
        self.fields[ARENA_NAME].offered = offers.arenas;
        self.fields[QUESTIONS].offered = offers.datasets;
    }

    /// The field that is typed into.
    pub fn input(&mut self) -> &mut Input {
        self.complaint = None;
        &mut self.fields[self.focus].input
    }

    /// Moves to the next field, or to the one before.
    pub fn step(&mut self, forward: bool) {
        let n = self.fields.len();
        self.focus = (self.focus + if forward { 1 } else { n - 1 }) % n;
    }

    /// Takes the next of the values there are, or the one before.
    pub fn choose(&mut self, forward: bool) {
        self.complaint = None;
        self.fields[self.focus].choose(forward);
    }

    /// What was filled in; what is missing gets the focus and is told.
    pub fn submit(&mut self) -> Option<Chosen> {
        let value = |field: usize| self.fields[field].value();
        let longest = value(LONGEST).parse::<usize>().ok().filter(|n| (1..=100_000).contains(n));
        let fill = || tr!("fill this in", "请填写");
        let wrong = [
            (FIRST, value(FIRST).is_empty().then(fill)),
            (SECOND, value(SECOND).is_empty().then(fill)),
            (
                SECOND,
                (value(FIRST) == value(SECOND)).then(|| tr!("choose another than the first", "请选择与第一个不同的")),
            ),
            (ARENA_NAME, value(ARENA_NAME).is_empty().then(fill)),
            (
                LONGEST,
                longest.is_none().then(|| tr!("a number of tokens from 1 to 100000", "请填写 1 到 100000 的词元数")),
            ),
        ];
        if let Some((field, why)) = wrong.into_iter().find_map(|(field, why)| Some((field, why?))) {
            self.focus = field;
            self.complaint = Some(format!("{}: {why}", labels()[field]));
            return None;
        }
        let dataset = Some(value(QUESTIONS)).filter(|name| !name.is_empty());
        let plan = DuelPlan {
            arena: value(ARENA_NAME),
            contestants: [value(FIRST), value(SECOND)],
            longest: longest.unwrap_or(LONGEST_ANSWER),
        };
        Some(Chosen { plan, dataset })
    }

    /// Draws the fields, and below what there is to choose from for the one in focus.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect) {
        let labels = labels();
        let width = labels.iter().map(|l| text::width(l)).max().unwrap_or(0);
        let width = u16::try_from(width).unwrap_or(20).min(area.width / 2);
        let mut rest = area;
        if area.height >= 14 {
            let about = tr!(
                "Two contestants answer the same question; you see both answers without names and vote. Sides are drawn for every question.",
                "两个参赛者回答同一个问题，你在不知道名字的情况下投票。每个问题都会重新抽取左右。"
            );
            rest = down(rest, p.paragraph(rest, &about, Role::Dim) + 1);
        }
        for (i, (label, field)) in labels.iter().zip(&self.fields).enumerate() {
            let y = rest.y + i as u16;
            if y >= rest.bottom() {
                return;
            }
            let focus = i == self.focus;
            let role = if focus { Role::Accent } else { Role::Dim };
            p.text(rest.x, y, width, label, role);
            p.text(rest.x + width + 1, y, 1, if focus { "▸" } else { ":" }, role);
            let x = rest.x + width + 3;
            let space = Rect { x, y, width: rest.right().saturating_sub(x), height: 1 };
            if i == QUESTIONS && field.input.is_empty() {
                let at = u16::from(focus) * 2;
                let words = tr!("typed, or the arena's own", "现场输入，或竞技场自带");
                p.text(x + at, y, space.width.saturating_sub(at), &words, Role::Dim);
            }
            field.input.draw(p, space, focus);
        }
        rest = down(rest, self.fields.len() as u16);
        let gap = u16::from(rest.height > 6);
        let last = Rect { y: rest.bottom().saturating_sub(1), height: 1.min(rest.height), ..rest };
        let list = down(Rect { height: rest.height.saturating_sub(1 + gap), ..rest }, gap);
        if list.height > 0 {
            p.rule(list, &self.list_title());
            self.fields[self.focus].draw_list(p, down(list, 1));
        }
        let (words, role) = match &self.complaint {
            Some(complaint) => (complaint.clone(), Role::Bad),
            None => (tr!("Enter loads the two and asks for a question", "回车：载入两者并输入问题"), Role::Good),
        };
        p.text(last.x, last.y, last.width, &words, role);
    }

    fn list_title(&self) -> String {
        let n = self.fields[self.focus].offered.len();
        match self.focus {
            _ if !self.offered => tr!("reading what there is", "正在读取可选项"),
            FIRST | SECOND if n == 0 => {
                tr!("no model here: 3, then p pulls one", "本机没有模型：按 3 再按 p 下载")
            }
            FIRST | SECOND => {
                tr!("Ctrl-N chooses; or http://HOST:PORT/v1#NAME", "Ctrl-N 选择；或 http://HOST:PORT/v1#NAME")
            }
            ARENA_NAME => tr!("Ctrl-N chooses; a new name makes an arena", "Ctrl-N 选择；新名字会新建竞技场"),
            QUESTIONS => tr!("Ctrl-N chooses a dataset to draw from", "Ctrl-N 选择抽题的数据集"),
            _ => tr!("tokens", "词元"),
        }
    }
}

fn labels() -> [String; 5] {
    [
        tr!("one contestant", "参赛者一"),
        tr!("the other", "参赛者二"),
        tr!("arena", "竞技场"),
        tr!("questions", "题目来源"),
        tr!("longest answer", "回答上限"),
    ]
}
