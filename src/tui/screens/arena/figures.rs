//! What the votes of an arena say: ratings with their intervals, and plain counts.

use super::super::figure_table::{Scale, markdown};
use super::super::{Effect, Empty, Fetched, down, draw_error, draw_loading};
use crate::error::Result;
use crate::text;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::figures::{count, percent};
use crate::tui::keymap::View;
use crate::tui::query::{Answer, Query};
use crate::tui::source::{
    ArenaAnswer, ArenaQuery, Comparison, Figure, Measure, RatingLine, RatingsView, Standing, Tally,
};
use crate::tui::theme::Role;
use crate::tui::widgets::{Column, Cursor, Growing, Paint, Table, Text};
use ratatui::layout::Rect;

/// Columns of a bar at most, and fewest that show anything.
const BAR: [usize; 2] = [10, 40];

/// Ratings or counts, whichever was asked for.
pub struct Figures {
    query: ArenaQuery,
    shown: Fetched<Shown>,
}

enum Shown {
    Ratings(RatingsView, Cursor, Growing),
    Tally(Growing),
}

impl Figures {
    /// The ratings of `arena`.
    pub fn ratings(arena: &str) -> Figures {
        Figures { query: ArenaQuery::Ratings(arena.to_owned()), shown: Fetched::Loading }
    }

    /// The counts of `arena`; with `sitting` only those of the present one.
    pub fn tally(arena: &str, sitting: bool) -> Figures {
        Figures { query: ArenaQuery::Tally { arena: arena.to_owned(), sitting }, shown: Fetched::Loading }
    }

    /// What has to be asked.
    pub fn ask(&self) -> Query {
        Query::Arena(self.query.clone())
    }

    /// Which commands apply.
    pub fn view(&self) -> View {
        if matches!(self.query, ArenaQuery::Ratings(_)) { View::Ratings } else { View::Tally }
    }

    /// Where the user is.
    pub fn place(&self) -> Vec<String> {
        match &self.query {
            ArenaQuery::Ratings(arena) => vec![arena.clone(), tr!("ratings", "评级")],
            ArenaQuery::Tally { arena, sitting: true } => {
                vec![arena.clone(), tr!("votes of this sitting", "本次投票统计")]
            }
            ArenaQuery::Tally { arena, .. } => vec![arena.clone(), tr!("votes", "投票统计")],
            _ => vec![],
        }
    }

    /// Does a command.
    pub fn update(&mut self, action: Action) -> Vec<Effect> {
        match &mut self.shown {
            Fetched::Ready(Shown::Ratings(view, cursor, _)) => {
                if action == Action::Copy {
                    return vec![Effect::Copy(as_markdown(view))];
                }
                cursor.update(action, view.lines.len());
            }
            Fetched::Ready(Shown::Tally(text)) => _ = text.update(action),
            _ => {}
        }
        vec![]
    }

    /// Takes an answer, if it is to this question.
    pub fn receive(&mut self, query: &ArenaQuery, answer: Result<Answer>) {
        if *query != self.query {
            return;
        }
        self.shown = match answer {
            Ok(Answer::Arena(ArenaAnswer::Ratings(view))) => {
                let remarks = Growing::of(&remarks(&view).join("\n"));
                let cursor = match &mut self.shown {
                    Fetched::Ready(Shown::Ratings(_, cursor, _)) => std::mem::take(cursor),
                    _ => Cursor::default(),
                };
                Fetched::Ready(Shown::Ratings(view, cursor, remarks))
            }
            Ok(Answer::Arena(ArenaAnswer::Tally(tally))) => Fetched::Ready(Shown::Tally(Growing::of(&told(&tally)))),
            Ok(_) => return,
            Err(error) => Fetched::Failed(error),
        };
    }

    /// Selects what was drawn at a position.
    pub fn click(&mut self, column: u16, row: u16) -> bool {
        match &mut self.shown {
            Fetched::Ready(Shown::Ratings(view, cursor, _)) => cursor.click(column, row, view.lines.len()),
            _ => false,
        }
    }

    /// Draws the figures.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect) {
        match &self.shown {
            Fetched::Loading => draw_loading(p, area),
            Fetched::Failed(error) => draw_error(p, area, error),
            Fetched::Ready(Shown::Tally(text)) => text.draw(p, area, Role::Plain),
            Fetched::Ready(Shown::Ratings(view, ..)) if view.lines.is_empty() => {
                let title = tr!(
                    "No battle rates yet: {} wait for a vote.",
                    "还没有可计分的对战：{} 场待投票。",
                    count(view.pending)
                );
                let steps = vec![(tr!("Vote on them: leave, then key", "去投票：返回后按键"), "Enter")];
                Empty { title, steps }.draw(p, area);
            }
            Fetched::Ready(Shown::Ratings(view, cursor, remarks)) => draw_ratings(p, area, view, cursor, remarks),
        }
    }
}

fn draw_ratings(p: &mut Paint<'_>, area: Rect, view: &RatingsView, cursor: &Cursor, remarks: &Growing) {
    let wanted = u16::try_from(remarks.rows(area.width)).unwrap_or(u16::MAX).saturating_add(2);
    let low = if area.height < 8 { 0 } else { wanted.min(area.height / 2) };
    let scale = scale(&view.lines);
    let bar = usize::from(area.width.saturating_sub(62)).min(BAR[1]);
    let bar = if bar < BAR[0] { 0 } else { bar };
    let mut columns = vec![
        Column::number(tr!("rank", "名次"), 7),
        Column::rest(tr!("model", "模型"), 14, 9),
        Column::number(tr!("rating", "等级分"), 9),
        Column::number(tr!("95% interval", "95% 区间"), 8),
        Column::number(tr!("battles", "对战"), 6),
    ];
    if let Some(scale) = scale.filter(|_| bar > 0) {
        let (low, high) = (format!("{:.0}", scale.low), format!("{:.0}", scale.high));
        let gap = bar.saturating_sub(low.len() + high.len()).max(1);
        columns.insert(4, Column::new(format!("{low}{}{high}", "╌".repeat(gap)), bar, 5));
    }
    let row = |i: usize| {
        let Some(line) = view.lines.get(i) else { return Vec::new() };
        let [from, to] = line.interval;
        let mut cells: Vec<Text> = vec![
            line.rank.to_string().into(),
            name(line, view).into(),
            format!("{:.0}", line.rating).into(),
            tr!("{from:.0} to {to:.0}", "{from:.0} 至 {to:.0}").into(),
            count(line.battles).into(),
        ];
        if let Some(scale) = scale.filter(|_| bar > 0) {
            cells.insert(4, Text(scale.bar(line.rating, Some(line.interval), None, bar), Role::FirstLine));
        }
        cells
    };
    let upper = Rect { height: area.height - low, ..area };
    Table { columns: &columns, len: view.lines.len(), row: &row }.draw(p, upper, cursor);
    if low > 1 {
        let lower = down(area, area.height - low);
        p.rule(lower, &tr!("what may be said", "可以得出的结论"));
        remarks.draw(p, down(lower, 1), Role::Dim);
    }
}

/// A star for a record without losses or without wins; the group where there are several.
fn name(line: &RatingLine, view: &RatingsView) -> String {
    let mut name = text::one_line(&line.model);
    if !line.bounded {
        name.push_str(" *");
    }
    if groups(view) > 1 {
        name.push_str(&tr!("  group {}", "  第 {} 组", line.group + 1));
    }
    name
}

fn groups(view: &RatingsView) -> usize {
    view.lines.iter().map(|line| line.group + 1).max().unwrap_or(0)
}

fn scale(lines: &[RatingLine]) -> Option<Scale> {
    let figures: Vec<Figure> = lines.iter().map(figure).collect();
    Scale::of(&figures.iter().collect::<Vec<_>>(), Measure::Rating)
}

fn figure(line: &RatingLine) -> Figure {
    Figure { value: line.rating, interval: Some(line.interval), n: Some(line.battles), ..Figure::default() }
}

fn as_markdown(view: &RatingsView) -> String {
    let standings: Vec<Standing> = view
        .lines
        .iter()
        .map(|line| Standing { model: line.model.clone(), figures: vec![Some(figure(line))] })
        .collect();
    markdown(&[(tr!("rating", "等级分"), Measure::Rating)], standings.iter())
}

fn remarks(view: &RatingsView) -> Vec<String> {
    let mut out: Vec<String> = view.verdicts.iter().map(verdict).collect();
    if view.lines.iter().any(|line| !line.bounded) {
        out.push(tr!(
            "* won or lost every battle against some others: one imagined tie per such pair makes the rating finite",
            "* 对部分对手全胜或全败：每个这样的组合补一场假想的平局，使等级分有限"
        ));
    }
    if groups(view) > 1 {
        let groups = groups(view);
        out.push(tr!(
            "{groups} groups of models never met: ranks and ratings compare within a group only",
            "有 {groups} 组模型从未交手：名次与等级分只能在组内比较"
        ));
    }
    for (n, words) in [
        (view.pending, tr!("{} battles wait for a vote", "{} 场对战待投票", count(view.pending))),
        (
            view.flagged,
            tr!("{} left out: an answer names its model", "{} 场不计：有回答说出了模型名", count(view.flagged)),
        ),
        (
            view.not_blind,
            tr!("{} left out: the voter knew the names", "{} 场不计：投票者知道模型名", count(view.not_blind)),
        ),
    ] {
        if n > 0 {
            out.push(words);
        }
    }
    out
}

fn verdict(c: &Comparison) -> String {
    let (better, worse) = (text::one_line(&c.better), text::one_line(&c.worse));
    let (points, [low, high]) = (c.difference, c.ci95);
    if c.distinguishable {
        return tr!(
            "{better} is better than {worse} by {points:.0} points (95%: {low:.0} to {high:.0})",
            "{better} 比 {worse} 高 {points:.0} 分（95%：{low:.0} 至 {high:.0}）"
        );
    }
    let needed = match c.battles_needed {
        Some(n) => tr!("; about {} battles would tell", "；约需 {} 场对战才能分辨", count(n)),
        None => String::new(),
    };
    tr!(
        "{better} and {worse} cannot be told apart: {points:.0} points (95%: {low:.0} to {high:.0}){needed}",
        "{better} 与 {worse} 尚无法分辨：相差 {points:.0} 分（95%：{low:.0} 至 {high:.0}）{needed}"
    )
}

/// The counts as lines of text.
fn told(tally: &Tally) -> String {
    let line = |name: String, value: String| format!("{} {value}", text::pad(&name, 16));
    let votes = tally.votes();
    let mut lines = vec![
        line(tr!("battles", "对战"), count(tally.battles)),
        line(tr!("votes", "投票"), count(votes)),
        line(tr!("without a vote", "待投票"), count(tally.pending)),
        line(tr!("not blind", "无法盲评"), count(tally.flagged)),
    ];
    let share =
        |n: u64| if votes == 0 { count(n) } else { format!("{}  ({})", count(n), percent(n as f64 / votes as f64)) };
    lines.extend([
        String::new(),
        line(tr!("left better", "左边更好"), share(tally.left)),
        line(tr!("right better", "右边更好"), share(tally.right)),
        line(tr!("ties", "平手"), share(tally.ties)),
        line(tr!("both bad", "都不好"), share(tally.both_bad)),
    ]);
    if tally.left + tally.right > 0 {
        let p = tally.side_p;
        lines.push(if p < 0.05 {
            tr!(
                "One side is favoured: a split like this has p = {p:.3} when sides do not matter.",
                "偏向一侧：若左右无关，出现这种分布的概率 p = {p:.3}。"
            )
        } else {
            tr!(
                "No sign that a side is favoured: p = {p:.2} for a split like this.",
                "看不出偏向哪一侧：这种分布的 p = {p:.2}。"
            )
        });
    }
    lines.push(String::new());
    if tally.contestants.is_empty() {
        lines.push(tr!(
            "Contestants are counted after the votes on their battles: before that it would tell who is who.",
            "投票之后才统计各参赛者：否则会泄露谁是谁。"
        ));
    }
    for c in &tally.contestants {
        lines.push(text::one_line(&c.name));
        lines.push(line(
            tr!("  votes", "  投票"),
            tr!(
                "{} battles: {} won, {} lost, {} tied, {} both bad",
                "{} 场：胜 {}，负 {}，平 {}，都不好 {}",
                count(c.battles),
                count(c.wins),
                count(c.losses),
                count(c.ties),
                count(c.both_bad)
            ),
        ));
        let length = count(c.mean_length.round() as u64);
        lines.push(line(tr!("  mean answer", "  平均长度"), tr!("{length} characters", "{length} 个字符")));
        if let Some(speed) = c.tokens_per_second {
            lines.push(line(tr!("  speed", "  速度"), tr!("{speed:.1} tokens/s", "{speed:.1} 词元/秒")));
        }
    }
    lines.join("\n")
}
