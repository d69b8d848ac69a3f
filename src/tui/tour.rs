//! The first steps, shown once.

use super::theme::Role;
use super::widgets::{Paint, popup};
use crate::text;
use crate::tr;
use ratatui::layout::Rect;

/// How many steps there are.
const STEPS: usize = 5;

/// Where the reader is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tour {
    step: usize,
}

impl Tour {
    /// The next step; none after the last.
    pub fn next(self) -> Option<Tour> {
        (self.step + 1 < STEPS).then_some(Tour { step: self.step + 1 })
    }

    fn words(self) -> (String, String) {
        match self.step {
            0 => (
                tr!("Welcome to linly-bench", "欢迎使用 linly-bench"),
                tr!(
                    "Here a language model becomes an expert, and shows whether it really became one. The screens on top \
                     follow the work from left to right: data, models, training, scores, arena, leaderboard. A number key \
                     or Tab opens one.",
                    "在这里，通用语言模型成为领域专家，并证明它确实做到了。顶部的屏幕从左到右就是工作的顺序：数据、模型、训练、评测、竞技、排行。按数字键或 Tab 切换。"
                ),
            ),
            1 => (
                tr!("1. Bring data", "1. 导入数据"),
                tr!(
                    "Screen 2 lists datasets; `n` imports one. Open a dataset to read and search its rows, and a row to \
                     see, token by token, what a model would learn from it.",
                    "第 2 屏列出数据集，按 n 导入。打开数据集可阅读和搜索每一行；打开一行可逐词元查看模型会学到什么。"
                ),
            ),
            2 => (
                tr!("2. Train an adapter", "2. 训练适配器"),
                tr!(
                    "Screen 4: `n` opens a form. The training runs in the background and goes on when you leave; its curves \
                     are here when you come back.",
                    "第 4 屏：按 n 打开表单。训练在后台进行，退出后仍会继续；回来时曲线还在这里。"
                ),
            ),
            3 => (
                tr!("3. Score it, let it fight", "3. 评测与对战"),
                tr!(
                    "Screen 5 scores models on benchmarks, down to the exact prompt of every item. Screen 6 shows two answers \
                     without names: one key votes. Screen 7 puts it all side by side.",
                    "第 5 屏用评测集打分，可以一直看到每道题的原始提示。第 6 屏匿名展示两个回答，一键投票。第 7 屏汇总排行。"
                ),
            ),
            _ => (
                tr!("4. Find everything", "4. 找到一切"),
                tr!(
                    "The line at the bottom tells the keys of what you look at; `?` tells all of them. `:` finds every command \
                     by its name, everything the command line can do among them. `/` filters any list. Esc goes back, `U` \
                     undoes, `q` leaves. Screen 9 has colours and language (中文).",
                    "底行显示当前可用的按键，? 显示全部。按 : 可按名称查找所有命令，命令行能做的这里都能做。/ 筛选任何列表。Esc 返回，U 撤销，q 退出。第 9 屏可更改颜色和语言（English）。"
                ),
            ),
        }
    }

    /// Draws the step over the screen.
    pub fn draw(self, p: &mut Paint<'_>, area: Rect) {
        let (title, words) = self.words();
        let width = 66.min(area.width);
        let lines = text::wrap(&words, usize::from(width.saturating_sub(4))).len();
        let inside = popup(p, area, width, u16::try_from(lines).unwrap_or(8).saturating_add(6), &title);
        let used = p.paragraph(
            Rect { y: inside.y + 1, height: inside.height.saturating_sub(2), ..inside },
            &words,
            Role::Plain,
        );
        let foot = tr!(
            "{} of {STEPS}   Enter goes on   Esc closes",
            "第 {} 步，共 {STEPS} 步   回车继续   Esc 关闭",
            self.step + 1
        );
        let y = (inside.y + 2 + used).min(inside.bottom().saturating_sub(1));
        p.text(inside.x, y, inside.width, &foot, Role::Dim);
    }
}
