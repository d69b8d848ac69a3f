//! Drawing text onto the frame. Whatever is drawn is cleaned on its way: there is no other path from
//! data to the screen.

use crate::text;
use crate::tui::theme::{Role, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Horizontal rule. U+254C: one column in every terminal, unlike U+2500.
const RULE: &str = "╌";

/// Between two panes.
pub const SPLIT: &str = "╎";

/// A frame being drawn, with the look of things.
pub struct Paint<'a> {
    /// The frame.
    pub buf: &'a mut Buffer,
    /// The look.
    pub theme: Theme,
    /// Where the terminal's cursor belongs, if a text field has the focus: an input method composes there.
    pub caret: Option<(u16, u16)>,
}

impl Paint<'_> {
    /// Draws `text` from (`x`, `y`) in at most `columns` columns and gives the column after it.
    pub fn text(&mut self, x: u16, y: u16, columns: u16, text: &str, role: Role) -> u16 {
        let area = self.buf.area;
        if y < area.top() || y >= area.bottom() || x >= area.right() {
            return x;
        }
        let columns = columns.min(area.right() - x);
        let line = text::truncate(&one_line(text), columns.into());
        self.buf.set_stringn(x, y, line, columns.into(), self.theme.style(role)).0
    }

    /// Draws lines from the top of `area`; what does not fit is left out.
    pub fn lines(&mut self, area: Rect, lines: &[String], role: Role) {
        for (y, line) in (area.top()..area.bottom()).zip(lines) {
            self.text(area.x, y, area.width, line, role);
        }
    }

    /// Wraps `text` into `area`, and gives the rows used.
    pub fn paragraph(&mut self, area: Rect, text: &str, role: Role) -> u16 {
        let lines = text::wrap(&text::clean(text), area.width.into());
        self.lines(area, &lines, role);
        u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height)
    }

    /// A rule over the first line of `area` that begins with `title` (empty for none).
    pub fn rule(&mut self, area: Rect, title: &str) {
        if area.height == 0 {
            return;
        }
        let style = self.theme.style(Role::Dim);
        self.buf.set_stringn(area.x, area.y, RULE.repeat(area.width.into()), area.width.into(), style);
        if !title.is_empty() && area.width > 6 {
            let title = format!(" {title} ");
            self.text(area.x + 2, area.y, area.width - 4, &title, Role::Title);
        }
    }

    /// A line down the first column of `area`.
    pub fn split(&mut self, area: Rect) {
        for y in area.top()..area.bottom() {
            self.text(area.x, y, 1, SPLIT, Role::Dim);
        }
    }
}

/// Cleaned, with line ends as blanks; inner blanks stay, so that columns padded beforehand do too.
fn one_line(text: &str) -> String {
    let text = text::clean(text);
    if text.contains('\n') { text.replace('\n', " ") } else { text }
}
