//! Long text in titled blocks, scrolled by lines.

use super::Paint;
use crate::text;
use crate::tui::action::Action;
use crate::tui::theme::Role;
use ratatui::layout::Rect;
use std::cell::{Cell, RefCell};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// A heading with text under it.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// The heading; empty for none.
    pub title: String,
    /// The text, from anywhere; it is cleaned.
    pub body: String,
    /// What the text means.
    pub role: Role,
}

impl Block {
    /// A block of ordinary text.
    pub fn new(title: impl Into<String>, body: impl Into<String>) -> Block {
        Block { title: title.into(), body: body.into(), role: Role::Plain }
    }
}

/// How far the text is scrolled.
#[derive(Debug, Default)]
pub struct Pager {
    top: usize,
    /// Lines and height of the last drawing: what scrolling is limited by.
    extent: Cell<(usize, usize)>,
    wrapped: RefCell<Wrapped>,
}

/// The lines of the last drawing: wrapping a long text anew for each frame would cost more than drawing it.
#[derive(Debug, Default)]
struct Wrapped {
    /// Of the blocks and the columns.
    hash: Option<u64>,
    lines: Vec<(String, Role, u16)>,
}

impl Wrapped {
    fn fit(&mut self, blocks: &[Block], columns: usize, indent: u16) {
        let mut hasher = DefaultHasher::new();
        (columns, indent).hash(&mut hasher);
        for block in blocks {
            (&block.title, &block.body, std::mem::discriminant(&block.role)).hash(&mut hasher);
        }
        let hash = Some(hasher.finish());
        if self.hash == hash {
            return;
        }
        self.hash = hash;
        let lines = &mut self.lines;
        lines.clear();
        for block in blocks {
            if !lines.is_empty() {
                lines.push((String::new(), Role::Plain, 0));
            }
            if !block.title.is_empty() {
                lines.push((block.title.clone(), Role::Title, 0));
            }
            let body = text::clean(&block.body);
            lines.extend(text::wrap(body.trim_end(), columns).into_iter().map(|l| (l, block.role, indent)));
        }
    }
}

impl Pager {
    /// Scrolls. False when `action` is no movement.
    pub fn update(&mut self, action: Action) -> bool {
        let (lines, height) = self.extent.get();
        let page = height.saturating_sub(1).max(1);
        let end = lines.saturating_sub(height);
        self.top = self.top.min(end);
        self.top = match action {
            Action::Up => self.top.saturating_sub(1),
            Action::Down => self.top + 1,
            Action::PageUp => self.top.saturating_sub(page),
            Action::PageDown => self.top + page,
            Action::First => 0,
            // Beyond every end: what is added below comes into sight.
            Action::Last => return self.follow(),
            _ => return false,
        }
        .min(end);
        true
    }

    /// At the end of a text that grows, until it is scrolled.
    pub fn at_end() -> Pager {
        Pager { top: usize::MAX, ..Pager::default() }
    }

    fn follow(&mut self) -> bool {
        self.top = usize::MAX;
        true
    }

    /// Back to the beginning, for another text.
    pub fn reset(&mut self) {
        self.top = 0;
    }

    /// Draws the blocks; the last line tells how much is below.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect, blocks: &[Block]) {
        let indent = u16::from(blocks.iter().any(|b| !b.title.is_empty())) * 2;
        let columns = usize::from(area.width.saturating_sub(indent));
        let mut wrapped = self.wrapped.borrow_mut();
        wrapped.fit(blocks, columns, indent);
        let lines = &wrapped.lines;
        let mut height = usize::from(area.height);
        // In a few lines, text is worth more than the note.
        let noted = lines.len() > height && height >= 4;
        if noted {
            height = height.saturating_sub(1);
        }
        self.extent.set((lines.len(), height));
        let top = self.top.min(lines.len().saturating_sub(height));
        for (y, (line, role, indent)) in (area.top()..).zip(lines.iter().skip(top).take(height)) {
            p.text(area.x + indent, y, area.width.saturating_sub(*indent), line, *role);
        }
        if noted {
            let shown = (top + height).min(lines.len());
            let note = crate::tr!("line {shown} of {}", "第 {shown} 行，共 {} 行", lines.len());
            p.text(area.x, area.bottom().saturating_sub(1), area.width, &note, Role::Dim);
        }
    }
}
