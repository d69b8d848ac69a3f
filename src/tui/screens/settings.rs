//! Colours, language and mouse: changed here, seen at once, kept in the home's settings file.

use super::{Effect, Screen};
use crate::error::Result;
use crate::lang::Lang;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::keymap::View;
use crate::tui::preferences::Preferences;
use crate::tui::query::{Answer, Query};
use crate::tui::theme::{Role, ThemeName};
use crate::tui::widgets::{Column, Cursor, Paint, Table, Text};
use ratatui::layout::Rect;

/// The settings screen.
#[derive(Default)]
pub struct Settings {
    /// What holds now.
    pub chosen: Preferences,
    cursor: Cursor,
}

/// Rows of the screen.
const ROWS: usize = 4;

/// The value `forward` or back from `now`, round and round.
fn turn<T: PartialEq + Copy>(all: &[T], now: T, forward: bool) -> T {
    let at = all.iter().position(|v| *v == now).unwrap_or(0);
    let next = if forward { at + 1 } else { at + all.len() - 1 };
    all.get(next % all.len()).copied().unwrap_or(now)
}

impl Settings {
    fn change(&self, forward: bool) -> Vec<Effect> {
        // What holds is changed by the application, which sees the difference.
        let mut chosen = self.chosen.clone();
        match self.cursor.selected {
            0 => chosen.theme = turn(&ThemeName::ALL, chosen.theme, forward),
            1 => chosen.lang = turn(&[None, Some(Lang::En), Some(Lang::Zh)], chosen.lang, forward),
            2 => chosen.mouse = !chosen.mouse,
            _ => return vec![Effect::Tour],
        }
        vec![Effect::Prefer(chosen)]
    }

    fn row(&self, i: usize) -> Vec<Text> {
        let c = &self.chosen;
        let (name, value, about) = match i {
            0 => (
                tr!("colours", "配色"),
                c.theme.title(),
                tr!("NO_COLOR in the environment switches all colours off", "环境变量 NO_COLOR 会关闭所有颜色"),
            ),
            1 => (
                tr!("language / 语言", "语言 / language"),
                match c.lang {
                    None => tr!("as the system", "跟随系统"),
                    Some(Lang::En) => "English".into(),
                    Some(Lang::Zh) => "中文".into(),
                },
                tr!("of this interface and of the jobs started in it", "界面及其启动的任务所用的语言"),
            ),
            2 => (
                tr!("mouse", "鼠标"),
                if c.mouse { tr!("used here", "由本程序使用") } else { tr!("the terminal's", "交给终端") },
                tr!("left to the terminal, it selects text", "交给终端后可用来选取文字"),
            ),
            _ => (
                tr!("first steps", "入门引导"),
                tr!("show again", "再看一次"),
                tr!("five windows that tell how this works", "用五个窗口介绍使用方法"),
            ),
        };
        vec![name.into(), Text(value, Role::Title), Text(about, Role::Dim)]
    }
}

impl Screen for Settings {
    fn view(&self) -> View {
        View::Settings
    }

    fn place(&self) -> Vec<String> {
        vec![tr!("Settings", "设置")]
    }

    fn obstacle(&self, _action: Action) -> Option<String> {
        None
    }

    fn update(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Open => return self.change(true),
            Action::PreviousChoice => return self.change(false),
            _ => self.cursor.update(action, ROWS),
        };
        vec![]
    }

    fn poll(&mut self, _slow: bool) -> Vec<Query> {
        vec![]
    }

    fn receive(&mut self, query: &Query, answer: Result<Answer>) -> Vec<Effect> {
        match (query, answer) {
            (Query::Keep(_), Err(error)) => vec![Effect::Notice(error.message, Role::Bad)],
            _ => vec![],
        }
    }

    fn click(&mut self, column: u16, row: u16) -> bool {
        self.cursor.click(column, row, ROWS)
    }

    fn draw(&self, p: &mut Paint<'_>, area: Rect, _now: i64) {
        let columns = [
            Column::new(tr!("setting", "设置项"), 20, 9),
            Column::new(tr!("value", "值"), 28, 9),
            Column::rest(String::new(), 20, 2),
        ];
        let table = Rect { height: area.height.min(ROWS as u16 + 1), ..area };
        Table { columns: &columns, len: ROWS, row: &|i| self.row(i) }.draw(p, table, &self.cursor);
        let note = Rect { y: table.bottom() + 1, height: area.height.saturating_sub(table.height + 1), ..area };
        let words = tr!(
            "Enter changes a value. It is kept in settings.toml in the home.",
            "按回车更改。设置保存在主目录的 settings.toml 中。"
        );
        p.paragraph(note, &words, Role::Dim);
    }
}
