//! The lists of the evaluations screen: runs, the subjects of one, the items of a subject.

use super::figure_table::titled;
use super::roster::Roster;
use super::score_run::{Open, Order, Subject, share};
use super::{Empty, contestant, down, status};
use crate::store::RunRecord;
use crate::text;
use crate::tr;
use crate::tui::figures::{ago, count, percent};
use crate::tui::source::{OutcomeView, SubjectView};
use crate::tui::theme::Role;
use crate::tui::widgets::{Column, Paint, Text};
use ratatui::layout::Rect;

/// What to do when nothing is scored yet.
pub fn no_score() -> Empty {
    Empty {
        title: tr!("No score yet.", "还没有评测。"),
        steps: vec![
            (
                tr!("Score a model on the built-in finance benchmark:", "用内置的金融评测集给模型打分："),
                "linly-bench run finance --model smollm2-135m",
            ),
            (
                tr!("With an adapter of your own:", "带上你自己的适配器："),
                "linly-bench run finance --model smollm2-135m --adapter NAME",
            ),
        ],
    }
}

/// Draws the runs; `marked` is the one that others are compared with.
pub fn draw_runs(p: &mut Paint<'_>, area: Rect, runs: &Roster<RunRecord>, marked: Option<&str>, now: i64) {
    let columns = [
        Column::new(String::new(), 2, 9),
        Column::rest(tr!("model", "模型"), 24, 9),
        Column::new(tr!("benchmark", "评测集"), 20, 8),
        Column::number(tr!("acc +-SE", "准确率 +-标准误"), 9),
        Column::number(tr!("items", "题数"), 4),
        Column::new(tr!("status", "状态"), 11, 6),
        Column::new(tr!("started", "开始"), 14, 5),
        Column::new(tr!("run", "运行"), 27, 2),
    ];
    let row = |r: &RunRecord| {
        let (word, role) = status(r.status);
        let number = |key: &str| r.result.get(key).and_then(serde_json::Value::as_f64);
        let acc = match (number("acc"), number("acc_stderr")) {
            (Some(acc), Some(se)) => format!("{} +-{:.1}", percent(acc), se * 100.0),
            (Some(acc), None) => percent(acc),
            _ => String::new(),
        };
        let marked = marked == Some(r.id.as_str());
        vec![
            Text(if marked { "*".into() } else { String::new() }, Role::Warn),
            contestant(&r.model, &r.adapter).into(),
            r.task.as_str().into(),
            Text(acc, Role::Title),
            Text(number("n").map_or_else(String::new, |n| count(n as u64)), Role::Dim),
            Text(word, role),
            Text(ago(&r.started, now), Role::Dim),
            Text(r.id.clone(), Role::Dim),
        ]
    };
    runs.draw(p, area, &columns, &row, &no_score());
}

/// How far a running score is; gives the rows used.
fn draw_progress(p: &mut Paint<'_>, area: Rect, open: &Open) -> u16 {
    let Some(total) = open.total.filter(|total| open.running && *total > 0) else { return 0 };
    let done: u64 = open.subjects.all().iter().map(|s| s.n).sum();
    let share = (done as f64 / total as f64).min(1.0);
    let words = tr!("{} of {} items  {}", "{} / {} 题  {}", count(done), count(total), percent(share));
    let room = usize::from(area.width).saturating_sub(text::width(&words) + 2).min(40);
    let filled = (share * room as f64).round() as usize;
    let x = p.text(area.x, area.y, area.width, &"⣿".repeat(filled), Role::Accent);
    let x = p.text(x, area.y, area.width, &"⣀".repeat(room - filled), Role::Dim);
    p.text(x + 2 * u16::from(room > 0), area.y, area.right().saturating_sub(x), &words, Role::Plain);
    1
}

/// Draws the subjects of a run, with how far it is while it runs.
pub fn draw_subjects(p: &mut Paint<'_>, area: Rect, open: &Open) {
    let area = down(area, draw_progress(p, area, open));
    let mut columns = vec![
        Column::rest(titled(&tr!("subject", "科目"), open.falling(Order::Name)), 24, 9),
        Column::number(tr!("items", "题数"), 4),
        Column::number(titled("acc", open.falling(Order::Accuracy)), 8),
    ];
    if open.beside.is_some() {
        columns.push(Column::number(tr!("marked", "对照"), 6));
        columns.push(Column::number(titled(&tr!("difference", "差"), open.falling(Order::Difference)), 7));
    }
    columns.push(Column::new(String::new(), 20, 2));
    let row = |s: &SubjectView| {
        let acc = share(s);
        let items = open.expected(s).map_or_else(|| count(s.n), |of| format!("{} / {}", count(s.n), count(of)));
        let shown = if s.n == 0 { String::new() } else { percent(acc) };
        let mut cells = vec![s.subject.as_str().into(), Text(items, Role::Dim), Text(shown, Role::Title)];
        if let Some(beside) = &open.beside {
            let other = beside.subjects.get(&s.subject);
            cells.push(other.map(share).map_or_else(String::new, percent).into());
            cells.push(open.lead(s).map_or_else(|| Text("-".into(), Role::Dim), |d| difference(d * 100.0)));
        }
        cells.push(Text("⣿".repeat((acc * 20.0).round() as usize), Role::FirstLine));
        cells
    };
    let empty = Empty {
        title: tr!("No item of this run is stored yet.", "这次运行还没有保存任何题目。"),
        steps: vec![(
            tr!("If it was interrupted, go on with:", "如果它被中断，可以继续："),
            "linly-bench run --resume RUN",
        )],
    };
    open.subjects.draw(p, area, &columns, &row, &empty);
}

/// Draws the items of a subject.
pub fn draw_items(p: &mut Paint<'_>, area: Rect, open: &Open, subject: &Subject) {
    let mut columns = vec![
        Column::new(tr!("item", "题号"), 28, 9),
        Column::new(tr!("verdict", "判定"), 8, 8),
        Column::new(tr!("answer", "作答"), 10, 7),
        Column::new(tr!("gold", "正解"), 10, 6),
    ];
    if open.beside.is_some() {
        columns.push(Column::new(tr!("marked run", "对照作答"), 12, 7));
    }
    columns.push(Column::rest(tr!("question", "题目"), 12, 3));
    let row = |o: &OutcomeView| {
        let mut cells =
            vec![o.item.as_str().into(), verdict(o.correct), o.pred.as_str().into(), Text(o.gold.clone(), Role::Dim)];
        if open.beside.is_some() {
            cells.push(subject.beside.get(&o.item).map_or_else(Text::default, |other| {
                let Text(word, role) = verdict(other.correct);
                Text(format!("{} {word}", other.pred), role)
            }));
        }
        cells.push(Text(question(&o.prompt), Role::Dim));
        cells
    };
    let empty = Empty { title: tr!("This subject has no item.", "这个科目没有题目。"), steps: vec![] };
    subject.items.draw(p, area, &columns, &row, &empty);
}

/// A difference in percentage points, with its sign.
fn difference(points: f64) -> Text {
    let role = if points > 0.05 {
        Role::Good
    } else if points < -0.05 {
        Role::Bad
    } else {
        Role::Dim
    };
    Text(format!("{points:+.1}"), role)
}

fn verdict(correct: bool) -> Text {
    if correct { Text(tr!("right", "答对"), Role::Good) } else { Text(tr!("wrong", "答错"), Role::Bad) }
}

/// The part of a prompt that tells one item from another: the last thing that was asked in a conversation, or the last
/// paragraph of plain text, without the few-shots.
fn question(prompt: &str) -> String {
    const ROLES: [&str; 3] = ["system", "user", "assistant"];
    // Between the markers of a chat template (`<|…|>`) lie the turns, each begun by its role.
    let turns = prompt.split("<|").map(|part| part.rsplit("|>").next().unwrap_or_default().trim());
    let asked = turns.filter(|turn| !turn.is_empty() && !ROLES.contains(turn)).last().unwrap_or_default();
    let asked = asked.strip_prefix("user\n").unwrap_or(asked);
    let last = asked.trim_end().rsplit("\n\n").next().unwrap_or_default();
    last.chars().take(300).collect()
}
