//! A line chart in Braille dots (2 by 4 per character), with its lines named and their newest values
//! told above it.

use super::{Paint, SPLIT};
use crate::text;
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// How a line is drawn: they differ in shape, not only in colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// Braille dots joined to a line.
    Dots,
    /// A character at each point.
    Sign(&'static str),
}

/// One line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it shows, with its newest value.
    pub label: String,
    /// How it is drawn.
    pub marker: Marker,
    /// Its colour.
    pub role: Role,
    /// Its points, x ascending.
    pub points: Vec<(f64, f64)>,
}

/// A chart of one or more lines over the same x.
pub struct Chart<'a> {
    /// The lines.
    pub lines: &'a [Line],
    /// Writes a value of the y axis.
    pub format: fn(f64) -> String,
    /// Whether values lie by their logarithm; what is not above zero has no place then.
    pub log: bool,
    /// A remark under the middle of the plot.
    pub note: &'a str,
}

/// Blank columns between two names above the chart.
const APART: usize = 3;

/// The values that an axis spans.
#[derive(Clone, Copy)]
struct Span {
    low: f64,
    high: f64,
}

impl Span {
    fn of(values: impl Iterator<Item = f64>) -> Option<Span> {
        let mut span: Option<Span> = None;
        for v in values.filter(|v| v.is_finite()) {
            let s = span.get_or_insert(Span { low: v, high: v });
            s.low = s.low.min(v);
            s.high = s.high.max(v);
        }
        span
    }

    /// Where `v` is between the ends: 0 to 1; the middle when the ends meet.
    fn place(self, v: f64) -> f64 {
        let size = self.high - self.low;
        if size > 0.0 { (v - self.low) / size } else { 0.5 }
    }
}

impl Chart<'_> {
    /// Draws names, axes and lines.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect) {
        if area.height < 4 || area.width < 16 {
            return;
        }
        let used = self.legend(p, area);
        let area = Rect { y: area.y + used - 1, height: area.height + 1 - used, ..area };
        let lines: Vec<Line> = self.lines.iter().map(|line| self.scaled(line)).collect();
        let points = || lines.iter().flat_map(|l| l.points.iter());
        let unscaled = |v: f64| (self.format)(if self.log { v.exp() } else { v });
        let (Some(xs), Some(ys)) = (Span::of(points().map(|q| q.0)), Span::of(points().map(|q| q.1))) else {
            return;
        };
        let (high, low) = (unscaled(ys.high), unscaled(ys.low));
        let margin = u16::try_from(text::width(&high).max(text::width(&low))).unwrap_or(0).min(area.width / 2);
        let plot =
            Rect { x: area.x + margin + 2, y: area.y + 1, width: area.width - margin - 2, height: area.height - 2 };
        p.split(Rect { x: area.x + margin, width: 1, ..plot });
        // A level line has one value, in the middle.
        let level = ys.high <= ys.low;
        if !level {
            p.text(area.x, plot.top(), margin, &text::pad_left(&high, margin.into()), Role::Dim);
            p.text(area.x, plot.bottom() - 1, margin, &text::pad_left(&low, margin.into()), Role::Dim);
        }
        if level || plot.height >= 7 {
            let middle = unscaled((ys.high + ys.low) / 2.0);
            p.text(area.x, plot.y + plot.height / 2, margin, &text::pad_left(&middle, margin.into()), Role::Dim);
        }
        p.text(area.x + margin, area.bottom() - 1, 1, SPLIT, Role::Dim);
        let first = format!("{:.0}", xs.low);
        let last = crate::tr!("step {:.0}", "第 {:.0} 步", xs.high);
        p.text(plot.x, area.bottom() - 1, plot.width, &text::pad_left(&last, plot.width.into()), Role::Dim);
        p.text(plot.x, area.bottom() - 1, plot.width, &first, Role::Dim);
        let ends = text::width(&first) + text::width(&last) + 4;
        let room = usize::from(plot.width).saturating_sub(ends);
        if !self.note.is_empty() && room >= text::width(self.note) {
            let x = plot.x + (text::width(&first) + 2 + (room - text::width(self.note)) / 2) as u16;
            p.text(x, area.bottom() - 1, plot.width, self.note, Role::Dim);
        }
        for line in &lines {
            match line.marker {
                Marker::Dots => dots(p, plot, line, xs, ys),
                Marker::Sign(sign) => {
                    for &(x, y) in line.points.iter().filter(|q| q.1.is_finite()) {
                        let column = (xs.place(x) * f64::from(plot.width - 1)).round() as u16;
                        let row = ((1.0 - ys.place(y)) * f64::from(plot.height - 1)).round() as u16;
                        p.text(plot.x + column, plot.y + row, 1, sign, line.role);
                    }
                }
            }
        }
    }

    /// The line as it lies in the plot.
    fn scaled(&self, line: &Line) -> Line {
        if !self.log {
            return line.clone();
        }
        let points = line.points.iter().filter(|(_, y)| *y > 0.0).map(|&(x, y)| (x, y.ln())).collect();
        Line { points, ..line.clone() }
    }

    /// Names of the lines, on as many rows as the plot can spare; gives the rows used.
    fn legend(&self, p: &mut Paint<'_>, area: Rect) -> u16 {
        let spare = (area.height.saturating_sub(4) / 2).max(1);
        let (mut x, mut row) = (area.x, 0);
        for line in self.lines {
            let sign = match line.marker {
                Marker::Dots => "⠒⠒",
                Marker::Sign(sign) => sign,
            };
            let needed = text::width(sign) + 1 + text::width(&line.label);
            if x > area.x && usize::from(area.right().saturating_sub(x)) < needed && row + 1 < spare {
                (x, row) = (area.x, row + 1);
            }
            let y = area.y + row;
            x = p.text(x, y, area.right().saturating_sub(x), sign, line.role);
            x = p.text(x + 1, y, area.right().saturating_sub(x + 1), &line.label, Role::Plain) + APART as u16;
        }
        row + 1
    }
}

/// Joins the points with dots.
fn dots(p: &mut Paint<'_>, plot: Rect, line: &Line, xs: Span, ys: Span) {
    let (columns, rows) = (usize::from(plot.width) * 2, usize::from(plot.height) * 4);
    let mut cells = vec![0u8; usize::from(plot.width) * usize::from(plot.height)];
    let place = |&(x, y): &(f64, f64)| {
        let column = (xs.place(x) * (columns - 1) as f64).round() as i64;
        let row = ((1.0 - ys.place(y)) * (rows - 1) as f64).round() as i64;
        (column, row)
    };
    let mut set = |column: i64, row: i64| {
        let (column, row) = (column.clamp(0, columns as i64 - 1) as usize, row.clamp(0, rows as i64 - 1) as usize);
        // Bits of U+2800: the left column is 1, 2, 3, 7 from the top, the right one 4, 5, 6, 8.
        let bit = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]][row % 4][column % 2];
        cells[row / 4 * usize::from(plot.width) + column / 2] |= bit;
    };
    let mut before = None;
    for point in line.points.iter().filter(|q| q.1.is_finite()) {
        let (x1, y1) = place(point);
        let (x0, y0) = before.unwrap_or((x1, y1));
        let steps = (x1 - x0).abs().max((y1 - y0).abs()).max(1);
        for i in 0..=steps {
            set(x0 + (x1 - x0) * i / steps, y0 + (y1 - y0) * i / steps);
        }
        before = Some((x1, y1));
    }
    for (i, &bits) in cells.iter().enumerate().filter(|(_, bits)| **bits != 0) {
        let (dx, dy) = (i % usize::from(plot.width), i / usize::from(plot.width));
        let sign = char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' ');
        p.text(plot.x + dx as u16, plot.y + dy as u16, 1, sign.encode_utf8(&mut [0; 4]), line.role);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Theme;
    use ratatui::buffer::Buffer;

    fn drawn(lines: &[Line]) -> Vec<String> {
        let area = Rect::new(0, 0, 24, 6);
        let mut buf = Buffer::empty(area);
        let mut p = Paint { buf: &mut buf, theme: Theme::new(false), caret: None };
        Chart { lines, format: |v| format!("{v:.1}"), log: false, note: "" }.draw(&mut p, area);
        (0..6).map(|y| (0..24).map(|x| buf[(x, y)].symbol()).collect()).collect()
    }

    #[test]
    fn a_falling_line_runs_from_the_upper_left_to_the_lower_right() {
        let points = (0..50).map(|i| (f64::from(i), 50.0 - f64::from(i))).collect();
        let rows = drawn(&[Line { label: "loss".into(), marker: Marker::Dots, role: Role::Plain, points }]);
        assert!(rows[0].starts_with("⠒⠒ loss"), "{rows:?}");
        assert!(rows[1].starts_with("50.0╎ ") && rows[4].starts_with(" 1.0╎ "), "{rows:?}");
        let blank = |row: usize, column| rows[row].chars().nth(column) == Some(' ');
        assert!(!blank(1, 6) && blank(1, 23), "high at the left: {rows:?}");
        assert!(blank(4, 6) && !blank(4, 23), "low at the right: {rows:?}");
    }

    #[test]
    fn on_a_log_axis_equal_ratios_are_equally_far_apart() {
        let area = Rect::new(0, 0, 40, 11);
        let mut buf = Buffer::empty(area);
        let mut p = Paint { buf: &mut buf, theme: Theme::new(false), caret: None };
        let points = vec![(0.0, 1.0), (1.0, 10.0), (2.0, 100.0), (3.0, 0.0), (4.0, -5.0)];
        let line = Line { label: "loss".into(), marker: Marker::Sign("o"), role: Role::Plain, points };
        Chart { lines: &[line], format: |v| format!("{v:.0}"), log: true, note: "" }.draw(&mut p, area);
        let rows: Vec<u16> = (0..40)
            .flat_map(|x| (1..10).map(move |y| (x, y)))
            .filter(|&at| buf[at].symbol() == "o")
            .map(|at| at.1)
            .collect();
        assert_eq!(rows, [9, 5, 1], "what is not above zero has no place");
    }

    #[test]
    fn nothing_one_point_and_nonsense_draw_without_harm() {
        drawn(&[]);
        let line = |points| Line { label: "x".into(), marker: Marker::Sign("x"), role: Role::Plain, points };
        drawn(&[line(vec![])]);
        assert!(drawn(&[line(vec![(3.0, 2.0)])])[1..].concat().contains('x'));
        let odd = line(vec![(0.0, f64::NAN), (1.0, f64::INFINITY), (2.0, 1.0), (3.0, 1e300), (4.0, -1e300)]);
        drawn(&[Line { marker: Marker::Dots, ..odd.clone() }, odd]);
    }
}
