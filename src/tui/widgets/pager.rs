//! Long text in titled blocks, scrolled by lines.

use super::{Paint, Scroll};
use crate::text;
use crate::tui::action::Action;
use crate::tui::theme::Role;
use ratatui::layout::Rect;
use std::cell::RefCell;
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

/// Blocks of text that do not grow, scrolled. One that does is a [`super::Growing`].
#[derive(Debug, Default)]
pub struct Pager {
    scroll: Scroll,
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
        self.scroll.update(action)
    }

    /// At the end, until it is scrolled.
    pub fn at_end() -> Pager {
        Pager { scroll: Scroll::at_end(), ..Pager::default() }
    }

    /// Back to the beginning, for another text.
    pub fn reset(&mut self) {
        self.scroll.reset();
    }

    /// Draws the blocks; the last line tells how much is below.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect, blocks: &[Block]) {
        let indent = u16::from(blocks.iter().any(|b| !b.title.is_empty())) * 2;
        let columns = usize::from(area.width.saturating_sub(indent));
        let mut wrapped = self.wrapped.borrow_mut();
        wrapped.fit(blocks, columns, indent);
        let shown = self.scroll.window(p, area, wrapped.lines.len());
        for (y, (line, role, indent)) in (area.top()..area.bottom()).zip(wrapped.lines.get(shown).unwrap_or_default()) {
            p.text(area.x + indent, y, area.width.saturating_sub(*indent), line, *role);
        }
    }
}
