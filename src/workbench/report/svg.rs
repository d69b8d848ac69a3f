//! Pictures for a page: drawn with the page's own colours (classes), so that they follow light and dark.

use crate::eval::Calibration;
use crate::text::{truncate, width};
use crate::tr;
use std::f64::consts::PI;
use std::fmt::Write;

/// Text in markup.
pub(in crate::workbench) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in crate::text::clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// One bar: its name, its value and its interval, all shares of 1.
pub(super) struct Bar {
    /// Shown on the left.
    pub name: String,
    /// Length.
    pub value: f64,
    /// Whiskers.
    pub interval: [f64; 2],
    /// Items behind it.
    pub n: usize,
}

/// Horizontal bars with their intervals, on an axis from 0 to 100%.
pub(super) fn bars(list: &[Bar], chance: Option<f64>) -> String {
    const LEFT: f64 = 260.0;
    const LENGTH: f64 = 420.0;
    const STEP: f64 = 22.0;
    let height = STEP * list.len() as f64 + 34.0;
    let mut out = format!(
        "<svg viewBox=\"0 0 800 {height:.0}\" role=\"img\" class=\"plot\" aria-label=\"{}\">",
        escaped(&tr!("accuracy with 95% intervals", "准确率与 95% 区间"))
    );
    let x = |share: f64| LEFT + LENGTH * share.clamp(0.0, 1.0);
    let bottom = height - 24.0;
    for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"4\" y2=\"{bottom:.1}\"/><text class=\"tick\" x=\"{0:.1}\" y=\"{1:.1}\" text-anchor=\"middle\">{2:.0}%</text>",
            x(tick),
            bottom + 16.0,
            tick * 100.0
        );
    }
    if let Some(chance) = chance {
        let _ = write!(
            out,
            "<line class=\"chance\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"4\" y2=\"{bottom:.1}\"><title>{1}</title></line>",
            x(chance),
            escaped(&tr!("guessing", "随机猜测"))
        );
    }
    for (i, bar) in list.iter().enumerate() {
        let y = 6.0 + STEP * i as f64;
        let middle = y + 8.0;
        let [low, high] = bar.interval;
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text><rect class=\"bar\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"12\"/>\
             <path class=\"whisker\" d=\"M{:.1} {:.1}H{:.1}M{:.1} {:.1}v6M{:.1} {:.1}v6\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{:.1}% (n {})</text>",
            LEFT - 8.0,
            middle + 4.0,
            escaped(&truncate(&crate::text::one_line(&bar.name), 34)),
            y + 2.0,
            x(bar.value) - LEFT,
            x(low),
            middle,
            x(high),
            x(low),
            middle - 3.0,
            x(high),
            middle - 3.0,
            LEFT + LENGTH + 8.0,
            middle + 4.0,
            bar.value * 100.0,
            bar.n
        );
    }
    out.push_str("</svg>");
    out
}

/// A radar of three or more (name, share); empty for fewer.
pub(super) fn radar(axes: &[(String, f64)]) -> String {
    if axes.len() < 3 {
        return String::new();
    }
    const RADIUS: f64 = 130.0;
    let (cx, cy) = (260.0, 175.0);
    let point = |i: usize, share: f64| {
        let angle = 2.0 * PI * i as f64 / axes.len() as f64 - PI / 2.0;
        (cx + RADIUS * share * angle.cos(), cy + RADIUS * share * angle.sin())
    };
    let polygon = |share: &dyn Fn(usize) -> f64| {
        let points = (0..axes.len()).map(|i| point(i, share(i))).map(|(x, y)| format!("{x:.1},{y:.1}"));
        points.collect::<Vec<_>>().join(" ")
    };
    let mut out = format!(
        "<svg viewBox=\"0 0 520 350\" role=\"img\" class=\"plot small\" aria-label=\"{}\">",
        escaped(&tr!("accuracy by category", "各类别准确率"))
    );
    for ring in [0.25, 0.5, 0.75, 1.0] {
        let _ = write!(out, "<polygon class=\"grid\" points=\"{}\"/>", polygon(&|_| ring));
    }
    for (i, (name, share)) in axes.iter().enumerate() {
        let (x, y) = point(i, 1.0);
        let (tx, ty) = point(i, 1.12);
        let anchor = if (tx - cx).abs() < 12.0 {
            "middle"
        } else if tx > cx {
            "start"
        } else {
            "end"
        };
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{cx}\" y1=\"{cy}\" x2=\"{x:.1}\" y2=\"{y:.1}\"/><text x=\"{tx:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{} {:.0}%</text>",
            ty + 4.0,
            escaped(&truncate(&crate::text::one_line(name), 22)),
            share * 100.0
        );
    }
    let shares = |i: usize| axes.get(i).map_or(0.0, |(_, share)| share.clamp(0.0, 1.0));
    let _ = write!(out, "<polygon class=\"area\" points=\"{}\"/></svg>", polygon(&shares));
    out
}

/// The reliability diagram: a bar per bin that has items, as high as its accuracy, and the diagonal of a calibrated model;
/// below, how many items lie in each bin.
pub(super) fn reliability(c: &Calibration) -> String {
    const SIDE: f64 = 260.0;
    const LEFT: f64 = 44.0;
    let mut out = format!(
        "<svg viewBox=\"0 0 340 370\" role=\"img\" class=\"plot small\" aria-label=\"{}\">",
        escaped(&tr!("reliability diagram", "可靠性图"))
    );
    let y = |share: f64| 10.0 + SIDE * (1.0 - share);
    for tick in [0.0, 0.5, 1.0] {
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{1:.1}\" y1=\"{0:.1}\" y2=\"{0:.1}\"/><text class=\"tick\" x=\"{2:.1}\" y=\"{3:.1}\" text-anchor=\"end\">{tick}</text>\
             <text class=\"tick\" x=\"{4:.1}\" y=\"{5:.1}\" text-anchor=\"middle\">{tick}</text>",
            y(tick),
            LEFT + SIDE,
            LEFT - 6.0,
            y(tick) + 4.0,
            LEFT + SIDE * tick,
            y(0.0) + 14.0
        );
    }
    let most = c.bins.iter().map(|b| b.n).max().unwrap_or(1).max(1) as f64;
    let base = y(0.0) + 66.0;
    for bin in &c.bins {
        let (x, w) = (LEFT + SIDE * bin.lower, SIDE * (bin.upper - bin.lower));
        if let (Some(accuracy), Some(confidence)) = (bin.accuracy, bin.confidence) {
            let title = tr!(
                "confidence {:.3}, accuracy {:.3}, n {}",
                "置信度 {:.3}，正确率 {:.3}，n {}",
                confidence,
                accuracy,
                bin.n
            );
            let tall = 40.0 * bin.n as f64 / most;
            let _ = write!(
                out,
                "<rect class=\"bar\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>\
                 <rect class=\"count\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"/>",
                x + 1.0,
                y(accuracy),
                w - 2.0,
                SIDE * accuracy,
                escaped(&title),
                x + 1.0,
                base - tall,
                w - 2.0
            );
        }
    }
    let _ = write!(
        out,
        "<line class=\"chance\" x1=\"{LEFT}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></svg>",
        y(0.0),
        LEFT + SIDE,
        y(1.0),
        LEFT + SIDE / 2.0,
        base + 16.0,
        escaped(&tr!("confidence (top: share right, bottom: items)", "置信度（上：正确率，下：题数）"))
    );
    out
}

/// Whether a name needs more room than a label has; only for titles.
pub(super) fn is_long(name: &str) -> bool {
    width(name) > 34
}
