//! A row token by token, as a training with some template and some model's tokenizer reads it: what is learnt is
//! underlined and has a plus at its left, so that it shows without colour too.

use super::super::{Empty, Fetched, down, draw_error, draw_loading};
use crate::error::Result;
use crate::prompt::Template;
use crate::text;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::figures::{count, percent};
use crate::tui::query::Query;
use crate::tui::source::{DataQuery, MaskToken, MaskView, ModelKind, ModelLine, ModelsQuery};
use crate::tui::theme::Role;
use crate::tui::widgets::{Paint, SPLIT, Scroll};
use ratatui::layout::Rect;
use std::cell::RefCell;

/// Left of what is learnt.
const LEARNT: &str = "+";
/// A line end within a token.
const LINE_END: &str = "↵";

/// Which row, template and model are looked at, and what came of it.
#[derive(Default)]
pub struct Mask {
    dataset: String,
    row: u64,
    /// Place in [`Template::ALL`].
    template: usize,
    /// Models of this machine; none before they are known.
    models: Option<Vec<String>>,
    model: usize,
    view: Option<Fetched<MaskView>>,
    scroll: Scroll,
    lines: RefCell<Option<(u16, Vec<Line>)>>,
}

/// A line of tokens, all learnt or none.
struct Line {
    learnt: bool,
    tokens: Vec<String>,
}

impl Mask {
    /// Opens a row; template and model stay those of the last time.
    pub fn open(&mut self, dataset: &str, row: u64) -> Option<Query> {
        (self.dataset, self.row) = (dataset.to_owned(), row);
        match &self.models {
            None => {
                self.view = Some(Fetched::Loading);
                Some(Query::Models(ModelsQuery::List))
            }
            Some(_) => self.ask(),
        }
    }

    pub fn close(&mut self) {
        self.view = None;
        // A model may be pulled before the next time.
        self.models = None;
    }

    pub fn is_open(&self) -> bool {
        self.view.is_some()
    }

    /// Whether another row than this is shown.
    pub fn is_open_elsewhere(&self, row: u64) -> bool {
        self.is_open() && self.row != row
    }

    /// The next template or model, or another part of the text.
    pub fn update(&mut self, action: Action) -> Option<Query> {
        match action {
            Action::NextTemplate => self.template = (self.template + 1) % Template::ALL.len(),
            Action::NextModel => self.model = (self.model + 1) % self.models.as_ref().map_or(1, Vec::len).max(1),
            _ => {
                self.scroll.update(action);
                return None;
            }
        }
        self.ask()
    }

    /// The models to choose from: those whose files are here.
    pub fn offer(&mut self, listed: &[ModelLine]) -> Option<Query> {
        if !self.is_open() {
            return None;
        }
        let before = self.name().to_owned();
        let here = listed.iter().filter(|m| m.kind == ModelKind::Here).map(|m| m.name.clone());
        let models: Vec<String> = here.collect();
        self.model = models.iter().position(|m| *m == before).unwrap_or(0);
        self.models = Some(models);
        self.ask()
    }

    pub fn receive(&mut self, query: &DataQuery, view: Result<MaskView>) {
        if !self.is_open() || self.query().as_ref() != Some(query) {
            return;
        }
        self.lines.take();
        self.view = Some(match view {
            Ok(view) => Fetched::Ready(view),
            Err(error) => Fetched::Failed(error),
        });
    }

    /// Whether the answer to this question is still wanted.
    fn query(&self) -> Option<DataQuery> {
        let model = self.models.as_ref()?.get(self.model)?.clone();
        let template = Template::ALL.get(self.template)?.name();
        Some(DataQuery::Mask { dataset: self.dataset.clone(), row: self.row, template, model })
    }

    fn name(&self) -> &str {
        self.models.as_ref().and_then(|m| m.get(self.model)).map_or("", String::as_str)
    }

    fn ask(&mut self) -> Option<Query> {
        self.scroll = Scroll::default();
        self.view = Some(Fetched::Loading);
        self.query().map(Query::Data)
    }

    /// The tokens as a table: number, id, whether it is learnt, text.
    pub fn copied(&self) -> String {
        let Some(Fetched::Ready(view)) = &self.view else { return String::new() };
        let mut table = String::from("token\tid\tlearnt\ttext\n");
        for (i, t) in view.tokens.iter().enumerate() {
            table.push_str(&format!("{i}\t{}\t{}\t{:?}\n", t.id, u8::from(t.supervised), t.text));
        }
        table
    }

    pub fn draw(&self, p: &mut Paint<'_>, area: Rect) {
        if self.models.as_ref().is_some_and(Vec::is_empty) {
            let title = tr!("A mask needs a model's tokenizer.", "查看掩码需要模型的分词器。");
            let step = tr!("Pull a model on screen 3, or:", "可在第 3 屏下载模型，或运行：");
            return Empty { title, steps: vec![(step, "linly-bench models pull NAME")] }.draw(p, area);
        }
        let template = Template::ALL.get(self.template).map_or("", |t| t.name());
        let chosen = tr!("template {template}   model {}", "模板 {template}   模型 {}", self.name());
        p.text(area.x, area.y, area.width, &chosen, Role::Accent);
        let rest = down(area, 1);
        match &self.view {
            None | Some(Fetched::Loading) => draw_loading(p, rest),
            Some(Fetched::Failed(error)) => draw_error(p, rest, error),
            Some(Fetched::Ready(view)) => self.tokens(p, rest, view),
        }
    }

    fn tokens(&self, p: &mut Paint<'_>, area: Rect, view: &MaskView) {
        let all = view.tokens.len();
        let share = percent(view.supervised as f64 / all.max(1) as f64);
        let figures = tr!(
            "{} tokens, {} learnt ({share})",
            "共 {} 个词元，监督 {} 个（{share}）",
            count(all as u64),
            count(view.supervised as u64)
        );
        p.text(area.x, area.y, area.width, &figures, Role::Plain);
        let mut rest = down(area, 1);
        for warning in &view.warnings {
            // The tokens keep half of a small frame.
            if rest.height <= area.height / 2 {
                break;
            }
            rest = down(rest, p.paragraph(rest, &tr!("warning: {warning}", "警告：{warning}"), Role::Warn));
        }
        if area.height >= 10 {
            rest = down(rest, 1);
        }
        let mut lines = self.lines.borrow_mut();
        let columns = rest.width.saturating_sub(2);
        if lines.as_ref().is_none_or(|(at, _)| *at != columns) {
            *lines = Some((columns, lay_out(&view.tokens, columns.into())));
        }
        let lines = lines.as_ref().map_or(&[][..], |(_, lines)| lines);
        let shown = self.scroll.window(p, rest, lines.len());
        for (y, line) in (rest.top()..rest.bottom()).zip(lines.get(shown).unwrap_or_default()) {
            let role = if line.learnt { Role::Learnt } else { Role::Plain };
            if line.learnt {
                p.text(rest.x, y, 1, LEARNT, Role::Good);
            }
            let mut x = rest.x + 2;
            for token in &line.tokens {
                x = p.text(x, y, rest.right().saturating_sub(x), token, role);
                x = p.text(x, y, rest.right().saturating_sub(x), SPLIT, Role::Dim);
            }
        }
    }
}

/// The tokens in lines of at most `columns` columns. What is learnt and what is not never share a line, and a line of
/// the text ends one.
fn lay_out(tokens: &[MaskToken], columns: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let (mut used, mut ended) = (0, true);
    for token in tokens {
        let shown = visible(token);
        // A token is cut nowhere but at the border of the frame; a longer one goes on below.
        let most = columns.saturating_sub(1).max(1);
        let pieces = if text::width(&shown) <= most { vec![shown.clone()] } else { text::wrap(&shown, most) };
        for piece in pieces {
            let takes = text::width(&piece) + 1;
            if ended || used + takes > columns || lines.last().is_none_or(|l| l.learnt != token.supervised) {
                lines.push(Line { learnt: token.supervised, tokens: Vec::new() });
                used = 0;
            }
            ended = false;
            used += takes;
            if let Some(line) = lines.last_mut() {
                line.tokens.push(piece);
            }
        }
        ended = shown.ends_with(LINE_END);
    }
    lines
}

/// The text of a token with its line ends and tabs visible; its id where there is nothing to see.
fn visible(token: &MaskToken) -> String {
    let shown = token.text.replace('\t', "\\t").replace("\r\n", LINE_END).replace(['\n', '\r'], LINE_END);
    let shown = text::clean(&shown);
    if text::width(&shown) == 0 { format!("#{}", token.id) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: u32, text: &str, supervised: bool) -> MaskToken {
        MaskToken { id, text: text.into(), supervised }
    }

    #[test]
    fn every_token_is_shown_once_and_learnt_ones_apart() {
        let tokens = [
            token(1, "问", false),
            token(2, "：\n", false),
            token(3, " a long word that has no room", false),
            token(4, "答", true),
            token(5, "\u{1b}[31m", true),
            token(6, "\u{7}", true),
            token(7, "", false),
        ];
        for columns in [4, 10, 40] {
            let lines = lay_out(&tokens, columns);
            for line in &lines {
                let width: usize = line.tokens.iter().map(|t| text::width(t) + 1).sum();
                assert!(width <= columns.max(4), "{columns}: {:?}", line.tokens);
            }
            let of = |learnt: bool| -> String {
                lines
                    .iter()
                    .filter(|l| l.learnt == learnt)
                    .flat_map(|l| l.tokens.concat().chars().collect::<Vec<_>>())
                    .collect()
            };
            assert_eq!(of(true).replace(' ', ""), "答#5#6", "{columns}");
            assert_eq!(of(false).replace(' ', ""), "问：↵alongwordthathasnoroom#7", "{columns}");
        }
    }
}
