//! Every command by name: those of the view, those that work everywhere, and all verbs of the command line.

use super::action::Action;
use super::keymap::{self, View, key_name, keys};
use super::theme::Role;
use super::verbs::Commands;
use super::widgets::{Column, Cursor, Input, Paint, Table, Text, closeness, popup};
use crate::tr;
use ratatui::layout::Rect;

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// A command of the view below.
    Act(Action),
    /// The form of a verb.
    Fill(String),
}

struct Entry {
    name: String,
    about: String,
    then: Chosen,
}

/// The list of commands, narrowed by what is typed.
pub struct Palette {
    /// What is typed.
    pub input: Input,
    entries: Vec<Entry>,
    shown: Vec<usize>,
    cursor: Cursor,
}

impl Palette {
    /// The commands that there are in `view`.
    pub fn new(view: View, commands: &Commands) -> Palette {
        let [own, _, global] = keymap::groups(view);
        let actions = own.iter().chain(global).filter(|a| !matches!(a, Action::Palette)).map(|&action| Entry {
            name: action.label(),
            about: keys(action).first().map_or_else(String::new, |&key| key_name(key)),
            then: Chosen::Act(action),
        });
        let verbs = commands.verbs.iter().map(|verb| Entry {
            name: verb.name(),
            about: verb.about.clone(),
            then: Chosen::Fill(verb.name()),
        });
        let mut palette = Palette {
            input: Input::default(),
            entries: actions.chain(verbs).collect(),
            shown: Vec::new(),
            cursor: Cursor::default(),
        };
        palette.narrow();
        palette
    }

    /// Applies what is typed; the closest come first.
    pub fn narrow(&mut self) {
        let typed = self.input.text();
        let mut found: Vec<(usize, usize)> = (0..self.entries.len())
            .filter_map(|i| {
                let entry = &self.entries[i];
                let by_name = closeness(&typed, &entry.name);
                Some((by_name.or_else(|| closeness(&typed, &entry.about).map(|c| c + 1000))?, i))
            })
            .collect();
        found.sort_unstable();
        self.shown = found.into_iter().map(|(_, i)| i).collect();
        self.cursor.selected = 0;
    }

    /// Moves the selection.
    pub fn step(&mut self, forward: bool) {
        self.cursor.update(if forward { Action::Down } else { Action::Up }, self.shown.len());
    }

    /// What is selected.
    pub fn chosen(&self) -> Option<Chosen> {
        self.shown.get(self.cursor.selected).map(|&i| self.entries[i].then.clone())
    }

    /// Draws it over the screen.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect) {
        let inside = popup(p, area, 90, area.height, &tr!("Commands", "命令"));
        let x = p.text(inside.x, inside.y, 2, ": ", Role::Key);
        self.input.draw(p, Rect { x, height: 1, width: inside.right().saturating_sub(x), ..inside }, true);
        let list = Rect { y: inside.y + 1, height: inside.height.saturating_sub(1), ..inside };
        if self.shown.is_empty() {
            p.paragraph(list, &tr!("No command is called like that.", "没有这样的命令。"), Role::Dim);
            return;
        }
        let columns = [
            Column::new(tr!("command", "命令"), 28, 9),
            Column::rest(tr!("key, or what it does", "按键或说明"), 10, 5),
        ];
        let row = |i: usize| {
            self.shown.get(i).map_or_else(Vec::new, |&i| {
                let entry = &self.entries[i];
                vec![entry.name.as_str().into(), Text(entry.about.clone(), Role::Dim)]
            })
        };
        Table { columns: &columns, len: self.shown.len(), row: &row }.draw(p, list, &self.cursor);
    }
}
