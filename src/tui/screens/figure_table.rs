//! What tables of models by measures have in common: columns around the one that is looked at, figures with their
//! intervals, and the table as Markdown.

use crate::text;
use crate::tr;
use crate::tui::figures::{count, percent, value};
use crate::tui::source::{Figure, Measure, Standing};
use crate::tui::widgets::Column;

/// Rises to the right, falls to the right. Both are one column wide everywhere.
const ARROWS: [&str; 2] = ["▴", "▾"];

/// An empty Braille cell: as wide as a blank, but no white space, which tables fold.
const NOTHING: &str = "\u{2800}";

/// An order: by a column, the largest first or the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sorting<K> {
    /// What is compared.
    pub by: K,
    /// Whether the largest comes first.
    pub falling: bool,
}

/// `title` with its mark when `sorting` is by it.
pub fn titled(title: &str, falling: Option<bool>) -> String {
    falling.map_or_else(|| title.to_owned(), |falling| format!("{title} {}", ARROWS[usize::from(falling)]))
}

/// A column per measure. When space is short, those furthest from the `focus` go first; the one in focus stays.
pub fn measure_columns(
    measures: &[(String, Measure)],
    focus: usize,
    sorting: Option<Sorting<usize>>,
) -> impl Iterator<Item = Column> {
    measures.iter().enumerate().map(move |(i, (title, _))| {
        let falling = sorting.filter(|s| s.by == i).map(|s| s.falling);
        let title = if i == focus { format!("▸{title}") } else { title.clone() };
        let title = falling.map_or_else(|| title.clone(), |f| format!("{}{title}", ARROWS[usize::from(f)]));
        let rank = if i == focus { 9 } else { 8usize.saturating_sub(i.abs_diff(focus)) };
        Column::number(title, u8::try_from(rank).unwrap_or(0))
    })
}

/// A figure in its usual form.
pub fn shown(figure: f64, measure: Measure) -> String {
    match measure {
        Measure::Accuracy => percent(figure),
        Measure::Loss => value(figure),
        Measure::Rating => format!("{figure:.0}"),
    }
}

/// The 95 % interval of a figure: its own, or 1.96 standard errors to both sides.
pub fn interval(figure: &Figure, measure: Measure) -> Option<[f64; 2]> {
    let around = |se: f64| [figure.value - 1.96 * se, figure.value + 1.96 * se];
    let [low, high] = figure.interval.or_else(|| figure.stderr.map(around))?;
    match measure {
        Measure::Accuracy => Some([low.max(0.0), high.min(1.0)]),
        _ => Some([low, high]),
    }
}

/// A figure with its uncertainty and its origin.
pub fn source(title: &str, measure: Measure, figure: &Figure) -> String {
    let mut words = format!("{title}  {}", shown(figure.value, measure));
    if let Some(se) = figure.stderr {
        words.push_str(&format!(" +-{:.1}", se * 100.0));
    }
    // Before the details: a narrow frame cuts what comes last.
    words.push_str("  ");
    words.push_str(&figure.origin);
    if let Some([low, high]) = interval(figure, measure) {
        let (low, high) = (shown(low, measure), shown(high, measure));
        words.push_str(&tr!("  95% interval {low} to {high}", "  95% 区间 {low} 至 {high}"));
    }
    match (figure.n, measure) {
        (Some(n), Measure::Rating) => words.push_str(&tr!("  {} battles", "  {} 场对战", count(n))),
        (Some(n), _) => words.push_str(&tr!("  {} items", "  {} 题", count(n))),
        (None, _) => {}
    }
    words
}

/// The stretch of values that bars are drawn over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Its left end.
    pub low: f64,
    /// Its right end.
    pub high: f64,
}

impl Scale {
    /// Over all intervals of a measure, or over its values where there are none.
    pub fn of(figures: &[&Figure], measure: Measure) -> Option<Scale> {
        let ends = figures.iter().flat_map(|f| {
            let [low, high] = interval(f, measure).unwrap_or([f.value, f.value]);
            [low, high, f.value]
        });
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for v in ends.filter(|v| v.is_finite()) {
            (low, high) = (low.min(v), high.max(v));
        }
        (low <= high).then_some(Scale { low, high })
    }

    /// An interval with its value in `columns` columns; `mark` is a value that gets a line (no difference, for one).
    pub fn bar(self, value: f64, interval: Option<[f64; 2]>, mark: Option<f64>, columns: usize) -> String {
        let size = self.high - self.low;
        let place = |v: f64| {
            let share = if size > 0.0 { (v - self.low) / size } else { 0.5 };
            (share.clamp(0.0, 1.0) * columns.saturating_sub(1) as f64).round() as usize
        };
        let mut cells = vec![NOTHING; columns];
        let mut set = |at: usize, sign: &'static str| {
            if let Some(cell) = cells.get_mut(at) {
                *cell = sign;
            }
        };
        if let Some(mark) = mark.filter(|m| (self.low..=self.high).contains(m)) {
            set(place(mark), crate::tui::widgets::SPLIT);
        }
        if let Some([low, high]) = interval.filter(|i| i.iter().all(|v| v.is_finite())) {
            (place(low)..=place(high)).for_each(|at| set(at, "⠒"));
        }
        if value.is_finite() {
            set(place(value), "⣿");
        }
        cells.concat()
    }
}

/// The table in Markdown, as it stands on the screen.
pub fn markdown<'a>(measures: &[(String, Measure)], standings: impl Iterator<Item = &'a Standing>) -> String {
    let safe = |s: &str| text::one_line(s).replace('\\', "\\\\").replace('|', "\\|");
    let mut out = format!("| {} |", tr!("model", "模型"));
    measures.iter().for_each(|(title, _)| out.push_str(&format!(" {} |", safe(title))));
    out.push_str("\n| --- |");
    out.push_str(&" ---: |".repeat(measures.len()));
    out.push('\n');
    for standing in standings {
        out.push_str(&format!("| {} |", safe(&standing.model)));
        for ((_, measure), figure) in measures.iter().zip(&standing.figures) {
            let words = figure.as_ref().map_or_else(String::new, |f| {
                let half = interval(f, *measure)
                    .map(|[low, high]| format!(" ({} – {})", shown(low, *measure), shown(high, *measure)));
                shown(f.value, *measure) + &half.unwrap_or_default()
            });
            out.push_str(&format!(" {words} |"));
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_spans_its_interval_and_stays_inside() {
        let scale = Scale { low: 0.0, high: 10.0 };
        let drawn = |scale: Scale, value, interval, mark, columns| {
            scale.bar(value, interval, mark, columns).replace(NOTHING, ".")
        };
        assert_eq!(drawn(scale, 5.0, Some([3.0, 7.0]), None, 11), "...⠒⠒⣿⠒⠒...");
        assert_eq!(drawn(scale, 5.0, Some([-90.0, 90.0]), Some(0.0), 11), "⠒⠒⠒⠒⠒⣿⠒⠒⠒⠒⠒");
        assert_eq!(drawn(scale, 8.0, None, Some(0.0), 11), "╎.......⣿..");
        assert_eq!(drawn(scale, f64::NAN, Some([f64::NAN, 1.0]), None, 3), "...");
        assert_eq!(drawn(scale, 1.0, None, None, 0), "");
        assert_eq!(drawn(Scale { low: 2.0, high: 2.0 }, 2.0, None, None, 3), ".⣿.");
    }

    #[test]
    fn markdown_cells_cannot_break_the_table() {
        let figure = Figure { value: 0.5, stderr: Some(0.02), ..Figure::default() };
        let standing = Standing { model: "a|b\nc".into(), figures: vec![Some(figure), None] };
        let columns = [("one".to_owned(), Measure::Accuracy), ("two".to_owned(), Measure::Rating)];
        let text = markdown(&columns, std::iter::once(&standing));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[2], "| a\\|b c | 50.0% (46.1% – 53.9%) |  |");
    }
}
