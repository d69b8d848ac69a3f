//! Everything that a key can do, and what it is called in the hint bar and in the help.

use super::source::Vote;
use crate::tr;

/// The screens, in the order of their number keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScreenId {
    /// What happened last, what runs, what to do next.
    Home,
    /// Datasets and their rows.
    Datasets,
    /// Models and adapters on this machine, and those that can be had.
    Models,
    /// Trainings and their curves.
    Training,
    /// Benchmark scores, down to single items.
    Evaluations,
    /// Blind battles.
    Arena,
    /// Models by benchmarks and rating.
    Leaderboard,
    /// Work in the background and what it printed.
    Jobs,
    /// Look, language, mouse.
    Settings,
}

impl ScreenId {
    /// All of them, in order.
    pub const ALL: [ScreenId; 9] = [
        ScreenId::Home,
        ScreenId::Datasets,
        ScreenId::Models,
        ScreenId::Training,
        ScreenId::Evaluations,
        ScreenId::Arena,
        ScreenId::Leaderboard,
        ScreenId::Jobs,
        ScreenId::Settings,
    ];

    /// Its place, from 0.
    pub fn index(self) -> usize {
        ScreenId::ALL.iter().position(|s| *s == self).unwrap_or(0)
    }

    /// The screen `steps` further, round and round.
    pub fn step(self, steps: usize) -> ScreenId {
        ScreenId::ALL[(self.index() + steps) % ScreenId::ALL.len()]
    }

    /// Its name.
    pub fn title(self) -> String {
        match self {
            ScreenId::Home => tr!("Home", "首页"),
            ScreenId::Datasets => tr!("Data", "数据"),
            ScreenId::Models => tr!("Models", "模型"),
            ScreenId::Training => tr!("Train", "训练"),
            ScreenId::Evaluations => tr!("Scores", "评测"),
            ScreenId::Arena => tr!("Arena", "竞技"),
            ScreenId::Leaderboard => tr!("Board", "排行"),
            ScreenId::Jobs => tr!("Jobs", "任务"),
            ScreenId::Settings => tr!("Setup", "设置"),
        }
    }
}

/// Something that a key can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// One page up.
    PageUp,
    /// One page down.
    PageDown,
    /// To the beginning.
    First,
    /// To the end.
    Last,
    /// Columns to the left.
    Left,
    /// Columns to the right.
    Right,
    /// Look into what is selected.
    Open,
    /// Out again; clears a filter first.
    Back,
    /// Narrow the list.
    Filter,
    /// Remove what is selected, after a question.
    Delete,
    /// Start a job.
    New,
    /// Make the selected run the one that others are compared with.
    Mark,
    /// Show wrong answers only, or all.
    OnlyWrong,
    /// The next item.
    Next,
    /// The item before.
    Previous,
    /// Judge a battle.
    Vote(Vote),
    /// Another screen.
    Go(ScreenId),
    /// The screen to the right.
    NextScreen,
    /// The screen to the left.
    PreviousScreen,
    /// Take the last change back.
    Undo,
    /// Copy what is selected to the clipboard.
    Copy,
    /// Every command by name.
    Palette,
    /// Hold the program and go back to the shell.
    Suspend,
    /// Stop the selected job.
    Stop,
    /// Stop every job and leave.
    StopAll,
    /// Start an interrupted job again.
    Resume,
    /// The next of the values to choose from.
    NextChoice,
    /// The value before.
    PreviousChoice,
    /// All fields of a form, or the usual ones.
    MoreFields,
    /// Give the mouse to the terminal (to select text) or take it back.
    Mouse,
    /// All keys.
    Help,
    /// Leave.
    Quit,
    /// Yes, do it.
    Confirm,
    /// No.
    Cancel,
    /// Take what was typed.
    Submit,
    /// The next field of a form.
    NextField,
    /// The field before.
    PreviousField,
    /// Change what is selected in an editor.
    Edit,
    /// Mark the row as an example of what is wanted, or take the mark away.
    MarkGood,
    /// Mark the row as one to correct, or take the mark away.
    MarkBad,
    /// Rows of the next part only.
    ByPart,
    /// Rows in the next language only.
    ByLanguage,
    /// Rows with the next mark only.
    ByMark,
    /// Token by token, as a training reads it.
    Mask,
    /// The next template.
    NextTemplate,
    /// The next model.
    NextModel,
    /// The history of a dataset.
    Versions,
    /// Make the selected version the newest.
    Restore,
    /// Download a model.
    Pull,
    /// Merge an adapter into its base.
    Merge,
    /// Draw the selected training beside others, or no more.
    Overlay,
    /// What the model in the making wrote.
    Samples,
    /// Everything that the run reported, line by line.
    RunLog,
    /// Where a run's numbers come from: data, hashes, settings.
    Facts,
    /// The chart's values by their logarithm, or as they are.
    Scale,
    /// Smooth the chart's lines more, or not at all.
    Smooth,
    /// Models by benchmarks, or the list of runs.
    Matrix,
    /// The items that only one of two runs got right.
    Flips,
    /// The next order of the list.
    Sort,
    /// Write the table to a file.
    Export,
    /// Let two contestants answer a question now.
    LiveBattle,
    /// Leave the battle.
    Leave,
    /// Stop the answers.
    Halt,
    /// Choose other contestants.
    Rechoose,
    /// The other answer, which is then scrolled.
    OtherColumn,
    /// Ask the same question again, perhaps changed.
    AskAgain,
    /// A question that is there already.
    DrawQuestion,
    /// Ratings of an arena.
    Ratings,
    /// Counts over the votes of an arena.
    Tally,
    /// Put the better answer into a dataset.
    Keep,
    /// The same, into another dataset.
    KeepElsewhere,
}

impl Action {
    /// Its name in the hint bar: a word or two.
    pub fn label(self) -> String {
        match self {
            Action::Up => tr!("up", "上移"),
            Action::Down => tr!("down", "下移"),
            Action::PageUp => tr!("page up", "上一页"),
            Action::PageDown => tr!("page down", "下一页"),
            Action::First => tr!("first", "开头"),
            Action::Last => tr!("last", "末尾"),
            Action::Left => tr!("columns left", "向左"),
            Action::Right => tr!("columns right", "向右"),
            Action::Open => tr!("open", "打开"),
            Action::Back => tr!("back", "返回"),
            Action::Filter => tr!("filter", "筛选"),
            Action::Delete => tr!("delete", "删除"),
            Action::New => tr!("new", "新建"),
            Action::Mark => tr!("compare with", "设为对照"),
            Action::OnlyWrong => tr!("wrong only", "只看答错"),
            Action::Next => tr!("next", "下一条"),
            Action::Previous => tr!("previous", "上一条"),
            Action::Vote(Vote::A) => tr!("A better", "A 更好"),
            Action::Vote(Vote::B) => tr!("B better", "B 更好"),
            Action::Vote(Vote::Tie) => tr!("tie", "平手"),
            Action::Vote(Vote::BothBad) => tr!("both bad", "都不好"),
            Action::Go(screen) => screen.title(),
            Action::NextScreen => tr!("next screen", "下一屏"),
            Action::PreviousScreen => tr!("previous screen", "上一屏"),
            Action::Undo => tr!("undo", "撤销"),
            Action::Copy => tr!("copy", "复制"),
            Action::Palette => tr!("commands", "命令"),
            Action::Suspend => tr!("to the shell", "挂起"),
            Action::Stop => tr!("stop", "停止"),
            Action::StopAll => tr!("stop them and leave", "停止后退出"),
            Action::Resume => tr!("resume", "继续"),
            Action::NextChoice => tr!("next value", "下一个值"),
            Action::PreviousChoice => tr!("value before", "上一个值"),
            Action::MoreFields => tr!("more fields", "更多选项"),
            Action::Mouse => tr!("mouse on/off", "鼠标开关"),
            Action::Help => tr!("help", "帮助"),
            Action::Quit => tr!("quit", "退出"),
            Action::Confirm => tr!("yes", "确定"),
            Action::Cancel => tr!("cancel", "取消"),
            Action::Submit => tr!("accept", "确认"),
            Action::NextField => tr!("next field", "下一项"),
            Action::PreviousField => tr!("previous field", "上一项"),
            Action::Edit => tr!("edit", "编辑"),
            Action::MarkGood => tr!("good", "标好"),
            Action::MarkBad => tr!("bad", "标差"),
            Action::ByPart => tr!("part", "划分"),
            Action::ByLanguage => tr!("language", "语言"),
            Action::ByMark => tr!("mark", "标记"),
            Action::Mask => tr!("mask", "掩码"),
            Action::NextTemplate => tr!("template", "模板"),
            Action::NextModel => tr!("model", "模型"),
            Action::Versions => tr!("versions", "版本"),
            Action::Restore => tr!("restore", "恢复"),
            Action::Pull => tr!("pull", "下载"),
            Action::Merge => tr!("merge", "合并"),
            Action::Overlay => tr!("overlay", "叠加"),
            Action::Samples => tr!("samples", "样例"),
            Action::RunLog => tr!("log", "日志"),
            Action::Facts => tr!("facts", "详情"),
            Action::Scale => tr!("log axis", "对数轴"),
            Action::Smooth => tr!("smooth", "平滑"),
            Action::Matrix => tr!("matrix", "总表"),
            Action::Flips => tr!("flips", "翻转"),
            Action::Sort => tr!("sort", "排序"),
            Action::Export => tr!("export", "导出"),
            Action::LiveBattle => tr!("live battle", "现场对战"),
            Action::Leave => tr!("back", "返回"),
            Action::Halt => tr!("stop", "停止"),
            Action::Rechoose => tr!("choose others", "另选"),
            Action::OtherColumn => tr!("column", "换栏"),
            Action::AskAgain => tr!("ask again", "再问"),
            Action::DrawQuestion => tr!("draw one", "抽一题"),
            Action::Ratings => tr!("ratings", "评级"),
            Action::Tally => tr!("votes", "统计"),
            Action::Keep => tr!("to dataset", "存入数据"),
            Action::KeepElsewhere => tr!("to another dataset", "存入其他数据集"),
        }
    }
}
