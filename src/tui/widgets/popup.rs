//! A window over the screen.

use super::{Paint, SPLIT};
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// Clears a window of `width` by `height` in the middle of `area`, frames it, and gives its inside.
pub fn popup(p: &mut Paint<'_>, area: Rect, width: u16, height: u16, title: &str) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    let x = area.x + (area.width - width) / 2;
    let y = area.y + (area.height - height) / 2;
    let window = Rect { x, y, width, height };
    for row in window.top()..window.bottom() {
        // A wide character that begins just left of the window would reach into it and swallow the
        // window's first cell: it is blanked (ratatui #2526).
        if x > area.x
            && let Some(cell) = p.buf.cell_mut((x - 1, row))
            && crate::text::width(cell.symbol()) > 1
        {
            cell.set_symbol(" ");
        }
        for column in window.left()..window.right() {
            if let Some(cell) = p.buf.cell_mut((column, row)) {
                cell.reset();
                if let Some(ground) = p.theme.ground() {
                    cell.set_style(ground);
                }
            }
        }
    }
    p.rule(window, title);
    p.rule(Rect { y: window.bottom().saturating_sub(1), height: 1, ..window }, "");
    for row in window.top() + 1..window.bottom().saturating_sub(1) {
        p.text(window.left(), row, 1, SPLIT, Role::Dim);
        p.text(window.right().saturating_sub(1), row, 1, SPLIT, Role::Dim);
    }
    Rect { x: x + 2.min(width), y: y + 1.min(height), width: width.saturating_sub(4), height: height.saturating_sub(2) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Theme;
    use ratatui::buffer::Buffer;

    #[test]
    fn a_wide_character_at_the_edge_leaves_no_half() {
        let area = Rect::new(0, 0, 21, 5);
        let mut buf = Buffer::empty(area);
        let mut p = Paint { buf: &mut buf, theme: Theme::new(false), caret: None };
        for y in 0..5 {
            p.text(0, y, 21, "聚宝盆聚宝盆聚宝盆聚", Role::Plain);
        }
        let inside = popup(&mut p, area, 12, 5, "");
        assert_eq!(inside, Rect::new(6, 1, 8, 3));
        for y in 1..4 {
            let row: Vec<&str> = (0..21).map(|x| buf[(x, y)].symbol()).collect();
            assert_eq!(row[4], SPLIT, "{row:?}");
            assert_eq!(row[15], SPLIT, "{row:?}");
            // The window's left edge is at an even column here, so nothing is cut; the right edge is at
            // 16, where the second half of a character was cleared with it.
            assert!((4..16).all(|x| crate::text::width(row[x]) <= 1), "{row:?}");
        }
        let mut buf = Buffer::empty(area);
        let mut p = Paint { buf: &mut buf, theme: Theme::new(false), caret: None };
        p.text(0, 2, 21, "聚宝盆聚宝盆聚宝盆聚", Role::Plain);
        popup(&mut p, area, 11, 5, "");
        assert_eq!(buf[(4, 2)].symbol(), " ");
        assert_eq!(buf[(5, 2)].symbol(), SPLIT);
    }
}
