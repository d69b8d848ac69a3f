//! `arena rate`: the table of ratings, and what may be said of neighbours.

use super::terminal_columns;
use crate::arena::ratings::{Comparison, Method, Rating, Ratings};
use crate::cli::Context;
use crate::error::Result;
use crate::workbench::arena::{self, Rated};
use crate::{text, tr};

pub(super) fn show(context: &Context, name: Option<&str>, method: Method) -> Result<()> {
    let rated = arena::rate(&context.workbench()?, name, method)?;
    if context.ui.json {
        context.ui.json_line(&rated.ratings.rows);
        return Ok(());
    }
    let columns = terminal_columns();
    if rated.ratings.rows.is_empty() {
        context.ui.note(&tr!("no battle rates yet", "还没有可计分的对战"));
    } else {
        table(&rated.ratings, columns).iter().for_each(|line| context.ui.line(line));
    }
    for remark in remarks(&rated) {
        text::wrap(&remark, columns).iter().for_each(|line| context.ui.note(line));
    }
    Ok(())
}

/// The table in `columns` columns: the bars share one scale and take what the other columns leave.
fn table(ratings: &Ratings, columns: usize) -> Vec<String> {
    let heads = [
        tr!("rank", "名次"),
        tr!("model", "模型"),
        tr!("rating", "等级分"),
        tr!("95% interval", "95% 区间"),
        tr!("battles", "对战"),
    ];
    let interval = |r: &Rating| format!("{:.0}–{:.0}", r.ci95[0], r.ci95[1]);
    let widest = |head: &str, cells: &dyn Fn(&Rating) -> String| {
        ratings.rows.iter().map(|r| text::width(&cells(r))).chain([text::width(head)]).max().unwrap_or(0)
    };
    let name_of = |r: &Rating| text::one_line(&r.model) + if r.bounded { "" } else { " *" };
    let rank = widest(&heads[0], &|r| r.rank.to_string());
    let points = widest(&heads[2], &|r| format!("{:.0}", r.rating));
    let bounds = widest(&heads[3], &interval);
    let battles = widest(&heads[4], &|r| r.battles.to_string());
    let fixed = rank + points + bounds + battles + 8;
    let name = widest(&heads[1], &name_of).min(columns.saturating_sub(fixed).max(12));
    let bar = columns.saturating_sub(fixed + name + 2);
    let low = ratings.rows.iter().map(|r| r.ci95[0]).fold(f64::INFINITY, f64::min);
    let high = ratings.rows.iter().map(|r| r.ci95[1]).fold(f64::NEG_INFINITY, f64::max);
    // A bar of a few columns shows nothing.
    let bar = if bar < 10 { 0 } else { bar.min(40) };
    let line = |cells: [&str; 5], drawing: &str| {
        let mut line = format!(
            "{}  {}  {}  {}",
            text::pad_left(cells[0], rank),
            text::pad(cells[1], name),
            text::pad_left(cells[2], points),
            text::pad_left(cells[3], bounds)
        );
        if bar > 0 {
            line.push_str("  ");
            line.push_str(&text::pad(drawing, bar));
        }
        line.push_str("  ");
        line.push_str(&text::pad_left(cells[4], battles));
        line
    };
    let mut lines = vec![line([&heads[0], &heads[1], &heads[2], &heads[3], &heads[4]], "")];
    for row in &ratings.rows {
        let cells =
            [row.rank.to_string(), name_of(row), format!("{:.0}", row.rating), interval(row), row.battles.to_string()];
        let drawing = draw(row, low, high, bar);
        lines.push(line([&cells[0], &cells[1], &cells[2], &cells[3], &cells[4]], &drawing));
    }
    lines
}

/// An interval as `├──┼──┤` on a scale from `low` to `high` that takes `columns` columns.
fn draw(row: &Rating, low: f64, high: f64, columns: usize) -> String {
    if columns == 0 {
        return String::new();
    }
    let place = |value: f64| {
        let share = if high > low { (value - low) / (high - low) } else { 0.5 };
        (share * (columns - 1) as f64).round() as usize
    };
    let (from, at, to) = (place(row.ci95[0]), place(row.rating), place(row.ci95[1]));
    (0..columns)
        .map(|i| match i {
            i if i == at => '┼',
            i if i == from => '├',
            i if i == to => '┤',
            i if (from..=to).contains(&i) => '─',
            _ => ' ',
        })
        .collect()
}

fn remarks(rated: &Rated) -> Vec<String> {
    let mut out = Vec::new();
    let ratings = &rated.ratings;
    for i in 1..ratings.rows.len() {
        if let Some(comparison) = ratings.compare(i - 1, i).filter(|c| !c.distinguishable || ratings.rows.len() == 2) {
            out.push(verdict(&comparison));
        }
    }
    if ratings.rows.iter().any(|r| !r.bounded) {
        out.push(tr!(
            "* won or lost every battle against some others: a finite rating needs one imagined tie per such pair",
            "* 对部分对手全胜或全败：为得到有限的等级分，每个这样的组合各补一场假想的平局"
        ));
    }
    if ratings.groups() > 1 {
        let groups = ratings.groups();
        out.push(tr!(
            "{groups} groups of models never met: ranks and ratings compare within a group only",
            "有 {groups} 组模型从未交手：名次与等级分只能在组内比较"
        ));
    }
    for (count, message) in [
        (rated.pending, tr!("{} battles wait for a vote", "{} 场对战待投票", rated.pending)),
        (rated.flagged, tr!("{} left out: an answer names its model", "{} 场不计：有回答说出了模型名", rated.flagged)),
        (rated.not_blind, tr!("{} left out: the voter knew the names", "{} 场不计：投票者知道模型名", rated.not_blind)),
        (
            ratings.with_itself,
            tr!("{} left out: a model against itself", "{} 场不计：模型与自己对战", ratings.with_itself),
        ),
    ] {
        if count > 0 {
            out.push(message);
        }
    }
    out
}

fn verdict(c: &Comparison) -> String {
    let (better, worse) = (text::one_line(&c.better), text::one_line(&c.worse));
    let (points, low, high) = (c.difference, c.ci95[0], c.ci95[1]);
    if c.distinguishable {
        return tr!(
            "{better} is ahead of {worse} by {points:.0} points (95% interval {low:.0} to {high:.0})",
            "{better} 领先 {worse} {points:.0} 分（95% 区间 {low:.0} 至 {high:.0}）"
        );
    }
    let more = match c.battles_needed {
        Some(n) => tr!("; about {n} battles between the two would tell", "；约需两者对战 {n} 场才能分出"),
        None => String::new(),
    };
    tr!(
        "{better} and {worse} are not distinguishable: {points:.0} points apart (95% interval {low:.0} to {high:.0}){more}",
        "{better} 与 {worse} 尚无法区分：相差 {points:.0} 分（95% 区间 {low:.0} 至 {high:.0}）{more}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Winner;
    use crate::arena::ratings::rate;

    #[test]
    fn the_table_keeps_its_width_with_chinese_and_hostile_names() {
        let votes = [
            ("模型一号带着一个非常非常长的名字", "b\u{1b}[31m", Winner::A),
            ("b\u{1b}[31m", "模型一号带着一个非常非常长的名字", Winner::A),
            ("c", "b\u{1b}[31m", Winner::A),
        ];
        let ratings = rate(votes, Method::Sandwich).unwrap();
        for columns in [60, 80, 132] {
            let lines = table(&ratings, columns);
            assert_eq!(lines.len(), 4);
            assert!(
                lines.iter().all(|l| text::width(l) == text::width(&lines[0]) && text::width(l) <= columns),
                "{lines:#?}"
            );
            assert!(lines.iter().all(|l| !l.contains('\u{1b}')));
        }
    }

    #[test]
    fn a_bar_spans_its_interval() {
        let row = |low: f64, rating: f64, high: f64| Rating {
            model: String::new(),
            rating,
            ci95: [low, high],
            rank: 1,
            battles: 1,
            group: 0,
            bounded: true,
        };
        assert_eq!(draw(&row(900.0, 1000.0, 1100.0), 900.0, 1100.0, 11), "├────┼────┤");
        assert_eq!(draw(&row(900.0, 920.0, 940.0), 900.0, 1100.0, 11), "├┼┤        ");
        assert_eq!(draw(&row(1000.0, 1000.0, 1000.0), 1000.0, 1000.0, 3), " ┼ ");
    }
}
