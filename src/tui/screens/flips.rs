//! Two runs of one benchmark side by side: by how much they differ, how sure that is, and the items that only one of
//! them got right.

use super::figure_table::Scale;
use super::item::draw_item;
use super::roster::Roster;
use super::{Effect, Empty, Fetched, down, draw_error, draw_loading};
use crate::error::Result;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::figures::{count, percent};
use crate::tui::query::Query;
use crate::tui::source::{ComparisonView, FlipView, OutcomeView, ScoresAnswer, ScoresQuery};
use crate::tui::theme::Role;
use crate::tui::widgets::{Column, Pager, Paint, Text};
use ratatui::layout::Rect;

/// A comparison that is looked at: B against A.
pub struct Flips {
    a: String,
    b: String,
    names: [String; 2],
    facts: Option<ComparisonView>,
    /// The items.
    pub items: Roster<FlipView>,
    detail: Option<Detail>,
}

/// The item that is looked at, as both runs answered it: of A, of B.
struct Detail {
    asked: ScoresQuery,
    both: Fetched<Box<(OutcomeView, OutcomeView)>>,
    pager: Pager,
}

impl Flips {
    /// Compares run `b` with run `a`; `names` are what they are called.
    pub fn new(a: &str, b: &str, names: [String; 2]) -> Flips {
        let items = Roster::new(
            |f: &FlipView| format!("{}/{}", f.subject, f.item),
            |f| format!("{} {} {} {} {}", f.subject, f.item, f.pred_a, f.pred_b, if f.gained { "+" } else { "-" }),
        );
        Flips { a: a.to_owned(), b: b.to_owned(), names, facts: None, items, detail: None }
    }

    /// What it has to ask first.
    pub fn question(&self) -> Effect {
        Effect::Ask(Query::Scores(ScoresQuery::Compare { a: self.a.clone(), b: self.b.clone() }))
    }

    /// Whether an item is looked at.
    pub fn is_detail(&self) -> bool {
        self.detail.is_some()
    }

    /// Names on the way down.
    pub fn place(&self) -> Vec<String> {
        let mut place = vec![format!("B {}", self.names[1]), format!("A * {}", self.names[0])];
        if let (Some(_), Some(item)) = (&self.detail, self.items.selected()) {
            place.push(format!("{} {}", item.subject, item.item));
        }
        place
    }

    /// Opens the selected item.
    pub fn open(&mut self) -> Vec<Effect> {
        let Some(item) = self.items.selected() else { return vec![] };
        let asked = ScoresQuery::Both {
            a: self.a.clone(),
            b: self.b.clone(),
            subject: item.subject.clone(),
            item: item.item.clone(),
        };
        self.detail = Some(Detail { asked: asked.clone(), both: Fetched::Loading, pager: Pager::default() });
        vec![Effect::Ask(Query::Scores(asked))]
    }

    /// Closes the item. False when none is open.
    pub fn close(&mut self) -> bool {
        self.detail.take().is_some()
    }

    /// Moves about.
    pub fn update(&mut self, action: Action) -> Vec<Effect> {
        match (&mut self.detail, action) {
            (Some(_), Action::Next) => {
                self.items.update(Action::Down);
                return self.open();
            }
            (Some(_), Action::Previous) => {
                self.items.update(Action::Up);
                return self.open();
            }
            (Some(detail), _) => {
                detail.pager.update(action);
            }
            (None, _) => {
                self.items.update(action);
            }
        }
        vec![]
    }

    /// Takes an answer.
    pub fn receive(&mut self, query: &ScoresQuery, answer: Result<ScoresAnswer>) {
        match query {
            ScoresQuery::Compare { a, b } if (a, b) == (&self.a, &self.b) => match answer {
                Ok(ScoresAnswer::Compare(mut view)) => {
                    self.items.set(Ok(std::mem::take(&mut view.flips)));
                    self.facts = Some(view);
                }
                Err(error) => self.items.set(Err(error)),
                Ok(_) => {}
            },
            ScoresQuery::Both { .. } => {
                let Some(detail) = self.detail.as_mut().filter(|d| d.asked == *query) else { return };
                match answer {
                    Ok(ScoresAnswer::Both(both)) => detail.both = Fetched::Ready(both),
                    Err(error) => detail.both = Fetched::Failed(error),
                    Ok(_) => {}
                }
            }
            _ => {}
        }
    }

    /// The comparison in words, with its items.
    pub fn copied(&self) -> String {
        let mut lines = vec![format!("A {} {}", self.a, self.names[0]), format!("B {} {}", self.b, self.names[1])];
        lines.extend(self.facts.iter().flat_map(remarks));
        lines.extend((0..self.items.len()).filter_map(|i| self.items.get(i)).map(|f| {
            let mark = if f.gained { '+' } else { '-' };
            format!("{mark} {} {}: A {}, B {}, {}", f.subject, f.item, f.pred_a, f.pred_b, f.gold)
        }));
        lines.join("\n")
    }

    /// Draws the comparison, or the item that is looked at.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect) {
        if let Some(detail) = &self.detail {
            return match &detail.both {
                Fetched::Loading => draw_loading(p, area),
                Fetched::Failed(error) => draw_error(p, area, error),
                Fetched::Ready(both) => draw_item(p, area, &detail.pager, &both.1, Some(&both.0)),
            };
        }
        let used = self.facts.as_ref().map_or(0, |facts| self.head(p, area, facts));
        let columns = [
            Column::new(String::new(), 8, 9),
            Column::rest(tr!("subject", "科目"), 12, 6),
            Column::new(tr!("item", "题号"), 24, 9),
            Column::new("A".into(), 14, 8),
            Column::new("B".into(), 14, 8),
            Column::new(tr!("gold", "正解"), 14, 7),
        ];
        let row = |f: &FlipView| {
            let (word, role) = if f.gained {
                (tr!("+ gained", "+ 新对"), Role::Good)
            } else {
                (tr!("- lost", "- 新错"), Role::Bad)
            };
            vec![
                Text(word, role),
                f.subject.as_str().into(),
                f.item.as_str().into(),
                f.pred_a.as_str().into(),
                f.pred_b.as_str().into(),
                Text(f.gold.clone(), Role::Dim),
            ]
        };
        let empty = Empty {
            title: tr!("Both runs got the same items right.", "两次运行答对的题目完全相同。"),
            steps: vec![],
        };
        self.items.draw(p, down(area, used), &columns, &row, &empty);
    }

    /// The figures; gives the rows used.
    fn head(&self, p: &mut Paint<'_>, area: Rect, facts: &ComparisonView) -> u16 {
        let mut rest = area;
        // A small frame has no room for more than the difference.
        let lines = remarks(facts);
        let shown = if area.height >= 16 { lines.len() } else { 1 };
        for line in lines.iter().take(shown) {
            rest = down(rest, p.paragraph(rest, line, Role::Plain));
        }
        let [low, high] = facts.interval;
        let end = low.abs().max(high.abs()).max(facts.difference.abs()).max(0.01);
        let ends = (format!("{:+.1}", -end * 100.0), format!("{:+.1}", end * 100.0));
        let columns = usize::from(rest.width.min(60)).saturating_sub(ends.0.len() + ends.1.len() + 2);
        if area.height >= 16 && columns >= 9 {
            let bar = Scale { low: -end, high: end }.bar(facts.difference, Some(facts.interval), Some(0.0), columns);
            let x = p.text(rest.x, rest.y, rest.width, &ends.0, Role::Dim) + 1;
            let x = p.text(x, rest.y, rest.width, &bar, Role::FirstLine) + 1;
            p.text(x, rest.y, rest.width, &ends.1, Role::Dim);
            rest = down(rest, 2);
        }
        area.height - rest.height
    }
}

/// What the comparison says, the most important first.
fn remarks(c: &ComparisonView) -> Vec<String> {
    let [low, high] = c.interval.map(|v| v * 100.0);
    let points = c.difference * 100.0;
    let p = if c.p < 0.0001 { "< 0.0001".to_owned() } else { format!("{:.4}", c.p) };
    let mut lines = vec![
        tr!(
            "B - A {points:+.1} points, 95% interval {low:+.1} to {high:+.1}, McNemar p {p}, n {}",
            "B - A {points:+.1} 个百分点，95% 区间 {low:+.1} 至 {high:+.1}，McNemar p {p}，n {}",
            count(c.n)
        ),
        tr!(
            "A {}  B {}  gained {} (only B right)  lost {} (only A right)",
            "A {}  B {}  新对 {}（仅 B 对）  新错 {}（仅 A 对）",
            percent(c.acc_a),
            percent(c.acc_b),
            count(c.gained),
            count(c.lost)
        ),
    ];
    if c.p >= 0.05 {
        lines.push(match c.needed.filter(|needed| *needed > c.n) {
            Some(needed) => tr!(
                "This may be chance; a difference of this size needs about {} items to show.",
                "这可能只是偶然；这样大小的差异约需 {} 题才能看出。",
                count(needed)
            ),
            None => tr!("This may be chance.", "这可能只是偶然。"),
        });
    }
    if c.prompts_differ > 0 {
        lines.push(tr!(
            "{} items were asked in different words: not the model alone differs.",
            "{} 题的提示不同：差异不只来自模型。",
            count(c.prompts_differ)
        ));
    }
    if c.left_out != [0, 0] {
        lines.push(tr!(
            "Left out, for the other run did not have them: {} of A, {} of B.",
            "另一次运行没有而未计入的题目：A {} 题，B {} 题。",
            count(c.left_out[0]),
            count(c.left_out[1])
        ));
    }
    lines
}
