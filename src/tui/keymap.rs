//! Keys as data. [`commands`] is the one list per view that the hint bar, the help and the key
//! handling are made from, so they cannot disagree.

use super::action::{Action, ScreenId};
use super::source::Vote;
use crate::tr;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What is being looked at: decides which commands there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// The first screen.
    Home,
    /// All datasets.
    Datasets,
    /// Rows of a dataset.
    Rows,
    /// One row.
    Row,
    /// A row token by token.
    Mask,
    /// The history of a dataset.
    Versions,
    /// What lies between two versions.
    Difference,
    /// All models and adapters.
    Models,
    /// One model or adapter.
    Model,
    /// All trainings.
    Trainings,
    /// One training.
    Dashboard,
    /// All scored runs.
    Scores,
    /// Subjects of a run.
    Subjects,
    /// Items of a subject.
    Items,
    /// One item.
    Item,
    /// All arenas.
    Arenas,
    /// A battle.
    Battle,
    /// The leaderboard.
    Leaderboard,
    /// All jobs.
    Jobs,
    /// What a job printed.
    JobLog,
    /// The settings.
    Settings,
    /// The list of keys.
    Help,
    /// Every command by name.
    Palette,
    /// The first steps.
    Tour,
    /// Leaving while jobs run.
    Leave,
    /// A question before something is destroyed.
    Confirm,
    /// A form.
    Form,
    /// The line that a filter is typed into.
    FilterLine,
    /// Samples, log or facts of a training.
    RunText,
    /// Models by benchmarks.
    Matrix,
    /// Items that only one of two runs got right.
    Flips,
    /// Formats to write the leaderboard in.
    Export,
    /// The form of a live battle.
    Contestants,
    /// The question of a live battle being typed.
    Question,
    /// The contestants of a live battle on their way.
    Arriving,
    /// The answers of a live battle being written.
    Writing,
    /// A live battle to vote on.
    Duel,
    /// The dataset that an answer goes to.
    KeepIn,
    /// Ratings of an arena.
    Ratings,
    /// Counts over the votes of an arena.
    Tally,
}

impl View {
    /// All of them.
    pub const ALL: [View; 40] = [
        View::Home,
        View::Datasets,
        View::Rows,
        View::Row,
        View::Mask,
        View::Versions,
        View::Difference,
        View::Models,
        View::Model,
        View::Trainings,
        View::Dashboard,
        View::Scores,
        View::Subjects,
        View::Items,
        View::Item,
        View::Arenas,
        View::Battle,
        View::Leaderboard,
        View::Jobs,
        View::JobLog,
        View::Settings,
        View::Help,
        View::Palette,
        View::Tour,
        View::Leave,
        View::Confirm,
        View::Form,
        View::FilterLine,
        View::RunText,
        View::Matrix,
        View::Flips,
        View::Export,
        View::Contestants,
        View::Question,
        View::Arriving,
        View::Writing,
        View::Duel,
        View::KeepIn,
        View::Ratings,
        View::Tally,
    ];

    /// Whether letters are text here, not commands.
    pub fn takes_text(self) -> bool {
        matches!(self, View::Form | View::FilterLine | View::Palette) || self.is_typed_in()
    }

    /// Whether a screen has a text field of its own here.
    fn is_typed_in(self) -> bool {
        matches!(self, View::Contestants | View::Question | View::KeepIn)
    }

    /// Whether it lies over a screen and hides the commands below.
    pub fn is_modal(self) -> bool {
        matches!(
            self,
            View::Help | View::Palette | View::Tour | View::Leave | View::Confirm | View::Form | View::FilterLine
        ) || self.is_typed_in()
    }
}

/// Commands of their own, the most wanted first.
fn own(view: View) -> &'static [Action] {
    use Action::{Back, Cancel, Confirm, Delete, Filter, Left, Mark, New, Next, NextField, OnlyWrong, Open, Previous};
    match view {
        View::Home => &[Open],
        View::Datasets => &[Open, New, Action::Versions, Filter, Delete, Back],
        View::Rows => &[Open, Filter, Action::ByPart, Action::ByLanguage, Action::ByMark, Action::Versions, New, Back],
        View::Row => {
            &[Next, Previous, Action::Mask, Action::Edit, Action::MarkGood, Action::MarkBad, Action::Copy, Back]
        }
        View::Mask => &[Next, Previous, Action::NextTemplate, Action::NextModel, Action::Copy, Back],
        View::Versions => &[Open, Action::Restore, Action::Copy, Filter, Back],
        View::Difference => &[Action::Restore, Action::Copy, Back],
        View::Models => &[Open, Action::Pull, Action::Merge, Action::Copy, Filter, Back],
        View::Model => &[Action::Pull, Action::Merge, Action::Copy, Back],
        View::Subjects => &[Open, Action::Sort, Action::Flips, Action::Copy, Filter, Back],
        View::Item => &[Next, Previous, Back],
        View::Trainings => &[Open, New, Action::Overlay, Filter, Action::Resume, Action::Stop, Action::Copy, Back],
        View::Dashboard => &[
            Action::Samples,
            Action::RunLog,
            Action::Facts,
            Action::Scale,
            Action::Smooth,
            Action::Resume,
            Action::Stop,
            Action::Copy,
            Back,
        ],
        View::RunText => &[Action::Samples, Action::RunLog, Action::Facts, Next, Previous, Action::Copy, Back],
        View::Scores => &[Open, New, Mark, Action::Flips, Action::Matrix, Filter, Action::Copy, Back],
        View::Matrix => &[Open, Left, Action::Right, Action::Matrix, Action::Copy, Filter, Back],
        View::Flips => &[Open, Action::Copy, Filter, Back],
        View::Items => &[Open, OnlyWrong, Filter, Back],
        View::Arenas => &[Open, Action::LiveBattle, Action::Ratings, Action::Tally, Filter, Back],
        View::Battle => &[
            Action::Vote(Vote::A),
            Action::Vote(Vote::B),
            Action::Vote(Vote::Tie),
            Action::Vote(Vote::BothBad),
            Next,
            Action::OtherColumn,
            Action::Keep,
            Action::Ratings,
            Action::Tally,
            Action::Copy,
            Action::KeepElsewhere,
            Action::Leave,
        ],
        View::Duel => &[
            Action::Vote(Vote::A),
            Action::Vote(Vote::B),
            Action::Vote(Vote::Tie),
            Action::Vote(Vote::BothBad),
            Next,
            Action::Leave,
            Action::OtherColumn,
            Action::Keep,
            Action::AskAgain,
            Action::Ratings,
            Action::Tally,
            Action::Copy,
            Action::KeepElsewhere,
        ],
        View::Arriving => &[Action::Rechoose, Action::Leave],
        View::Writing => &[Action::Halt, Action::OtherColumn, Action::Copy, Action::Ratings, Action::Tally],
        View::Contestants => {
            &[Action::Submit, NextField, Action::PreviousField, Action::NextChoice, Action::PreviousChoice, Cancel]
        }
        View::Question => &[Action::Submit, Action::DrawQuestion, Cancel],
        View::KeepIn => &[Action::Submit, Action::NextChoice, Action::PreviousChoice, Cancel],
        View::Ratings => &[Action::Copy, Back],
        View::Tally => &[Back],
        View::Leaderboard => &[Open, Left, Action::Right, Action::Sort, Action::Export, Action::Copy, Filter, Back],
        View::Export => &[Open, Back],
        View::Jobs => &[Open, Action::Stop, Action::Resume, Delete, Filter, Back],
        View::JobLog => &[Action::Stop, Action::Resume, Action::Copy, Back],
        View::Settings => &[Open, Action::PreviousChoice],
        View::Help => &[Back, Action::Help],
        View::Palette => &[Action::Submit, NextField, Action::PreviousField, Cancel],
        View::Tour => &[Action::Submit, Cancel],
        View::Leave => &[Confirm, Action::StopAll, Cancel],
        View::Confirm => &[Confirm, Cancel],
        View::Form => &[
            Action::Submit,
            NextField,
            Action::PreviousField,
            Action::NextChoice,
            Action::PreviousChoice,
            Action::MoreFields,
            Cancel,
        ],
        View::FilterLine => &[Action::Submit, Cancel],
    }
}

const MOTION: &[Action] = &[Action::Down, Action::Up, Action::PageDown, Action::PageUp, Action::First, Action::Last];

const GLOBAL: &[Action] = &[
    Action::NextScreen,
    Action::PreviousScreen,
    Action::Go(ScreenId::Home),
    Action::Go(ScreenId::Datasets),
    Action::Go(ScreenId::Models),
    Action::Go(ScreenId::Training),
    Action::Go(ScreenId::Evaluations),
    Action::Go(ScreenId::Arena),
    Action::Go(ScreenId::Leaderboard),
    Action::Go(ScreenId::Jobs),
    Action::Go(ScreenId::Settings),
    Action::Palette,
    Action::Undo,
    Action::Mouse,
    Action::Suspend,
    Action::Help,
    Action::Quit,
];

/// The commands of a view in three groups: its own, moving about, everywhere.
pub fn groups(view: View) -> [&'static [Action]; 3] {
    match view {
        View::Confirm | View::Leave | View::Tour | View::Form | View::Palette | View::FilterLine => {
            [own(view), &[], &[]]
        }
        View::Contestants | View::Question | View::KeepIn => [own(view), &[], &[]],
        View::Help => [own(view), MOTION, &[]],
        // Tab is for the columns there.
        View::Battle | View::Duel | View::Writing => [own(view), MOTION, GLOBAL.split_at(2).1],
        _ => [own(view), MOTION, GLOBAL],
    }
}

/// All commands of a view.
pub fn commands(view: View) -> impl Iterator<Item = Action> {
    groups(view).into_iter().flatten().copied()
}

/// A key with its Ctrl.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    code: KeyCode,
    ctrl: bool,
}

impl Key {
    /// The event of pressing it.
    pub fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, if self.ctrl { KeyModifiers::CONTROL } else { KeyModifiers::NONE })
    }
}

const fn key(code: KeyCode) -> Key {
    Key { code, ctrl: false }
}

const fn letter(c: char) -> Key {
    key(KeyCode::Char(c))
}

const fn ctrl(c: char) -> Key {
    Key { code: KeyCode::Char(c), ctrl: true }
}

/// The keys of an action, the one shown in the hint bar first.
pub fn keys(action: Action) -> &'static [Key] {
    match action {
        Action::Up => const { &[letter('k'), key(KeyCode::Up)] },
        Action::Down => const { &[letter('j'), key(KeyCode::Down)] },
        Action::PageUp => const { &[key(KeyCode::PageUp), ctrl('u')] },
        Action::PageDown => const { &[key(KeyCode::PageDown), ctrl('d')] },
        Action::First => const { &[letter('g'), key(KeyCode::Home)] },
        Action::Last => const { &[letter('G'), key(KeyCode::End)] },
        Action::Left => const { &[letter('<'), letter(',')] },
        Action::Right => const { &[letter('>'), letter('.')] },
        Action::Open => const { &[key(KeyCode::Enter), letter('l'), key(KeyCode::Right)] },
        Action::Back => const { &[key(KeyCode::Esc), letter('h'), key(KeyCode::Left)] },
        Action::Filter => const { &[letter('/')] },
        Action::Delete => const { &[letter('d')] },
        Action::New => const { &[letter('n')] },
        Action::Mark => const { &[letter('m')] },
        Action::OnlyWrong => const { &[letter('w')] },
        Action::Next => const { &[letter('n'), key(KeyCode::Enter)] },
        Action::Previous => const { &[letter('p')] },
        Action::Vote(Vote::A) => const { &[letter('a')] },
        Action::Vote(Vote::B) => const { &[letter('b')] },
        Action::Vote(Vote::Tie) => const { &[letter('t')] },
        Action::Vote(Vote::BothBad) => const { &[letter('x')] },
        Action::Go(ScreenId::Home) => const { &[letter('1')] },
        Action::Go(ScreenId::Datasets) => const { &[letter('2')] },
        Action::Go(ScreenId::Models) => const { &[letter('3')] },
        Action::Go(ScreenId::Training) => const { &[letter('4')] },
        Action::Go(ScreenId::Evaluations) => const { &[letter('5')] },
        Action::Go(ScreenId::Arena) => const { &[letter('6')] },
        Action::Go(ScreenId::Leaderboard) => const { &[letter('7')] },
        Action::Go(ScreenId::Jobs) => const { &[letter('8')] },
        Action::Go(ScreenId::Settings) => const { &[letter('9')] },
        Action::Palette => const { &[letter(':'), ctrl('p')] },
        Action::Undo => const { &[letter('U')] },
        Action::Copy => const { &[letter('y')] },
        Action::Suspend => const { &[ctrl('z')] },
        Action::Stop => const { &[letter('s')] },
        Action::StopAll => const { &[letter('s')] },
        Action::Resume => const { &[letter('r')] },
        Action::NextChoice => const { &[ctrl('n')] },
        Action::PreviousChoice => const { &[ctrl('b')] },
        Action::MoreFields => const { &[ctrl('o')] },
        Action::NextScreen => const { &[key(KeyCode::Tab)] },
        Action::PreviousScreen => const { &[key(KeyCode::BackTab)] },
        Action::NextField => const { &[key(KeyCode::Tab), key(KeyCode::Down)] },
        Action::PreviousField => const { &[key(KeyCode::BackTab), key(KeyCode::Up)] },
        Action::Mouse => const { &[letter('M')] },
        Action::Help => const { &[letter('?')] },
        Action::Quit => const { &[letter('q'), ctrl('c')] },
        Action::Confirm => const { &[letter('y')] },
        Action::Cancel => const { &[key(KeyCode::Esc)] },
        Action::Submit => const { &[key(KeyCode::Enter)] },
        Action::Edit => const { &[letter('e')] },
        Action::MarkGood => const { &[letter('+')] },
        Action::MarkBad => const { &[letter('-')] },
        Action::ByPart => const { &[letter('p')] },
        Action::ByLanguage => const { &[letter('L')] },
        Action::ByMark => const { &[letter('m')] },
        Action::Mask => const { &[letter('m')] },
        Action::NextTemplate => const { &[letter('t')] },
        Action::NextModel => const { &[letter('o')] },
        Action::Versions => const { &[letter('v')] },
        Action::Restore => const { &[letter('r')] },
        Action::Pull => const { &[letter('p')] },
        Action::Merge => const { &[letter('m')] },
        Action::Overlay => const { &[letter('m')] },
        Action::Samples => const { &[letter('t')] },
        Action::RunLog => const { &[letter('o')] },
        Action::Facts => const { &[letter('i')] },
        Action::Scale => const { &[letter('L')] },
        Action::Smooth => const { &[letter('S')] },
        Action::Matrix => const { &[letter('v')] },
        Action::Flips => const { &[letter('f')] },
        Action::Sort => const { &[letter('o')] },
        Action::Export => const { &[letter('e')] },
        Action::Leave | Action::Halt => const { &[key(KeyCode::Esc)] },
        Action::Rechoose => const { &[letter('n'), key(KeyCode::Enter)] },
        Action::LiveBattle => const { &[letter('b')] },
        Action::OtherColumn => const { &[key(KeyCode::Tab), key(KeyCode::Right), key(KeyCode::Left)] },
        Action::AskAgain => const { &[letter('e')] },
        Action::DrawQuestion => const { &[ctrl('n')] },
        Action::Ratings => const { &[letter('r')] },
        Action::Tally => const { &[letter('v')] },
        Action::Keep => const { &[letter('d')] },
        Action::KeepElsewhere => const { &[letter('D')] },
    }
}

/// How a key is written.
pub fn key_name(key: Key) -> String {
    let name = match key.code {
        KeyCode::Char(c) => c.to_string(),
        KeyCode::Enter => tr!("Enter", "回车"),
        KeyCode::Esc => "Esc".into(),
        KeyCode::Tab => "Tab".into(),
        KeyCode::BackTab => "Shift-Tab".into(),
        KeyCode::Up => tr!("Up", "上"),
        KeyCode::Down => tr!("Down", "下"),
        KeyCode::Left => tr!("Left", "左"),
        KeyCode::Right => tr!("Right", "右"),
        KeyCode::PageUp => "PgUp".into(),
        KeyCode::PageDown => "PgDn".into(),
        KeyCode::Home => "Home".into(),
        KeyCode::End => "End".into(),
        other => format!("{other:?}"),
    };
    if key.ctrl { format!("Ctrl-{name}") } else { name }
}

/// Whether this is Ctrl-C: the way out of every view, of text fields too.
pub fn is_way_out(event: KeyEvent) -> bool {
    event.code == KeyCode::Char('c') && event.modifiers.contains(KeyModifiers::CONTROL)
}

/// The command of `view` that `event` asks for.
pub fn find(view: View, event: KeyEvent) -> Option<Action> {
    let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
    if event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER) {
        return None;
    }
    // Shift is in the letter already (`G`), and BackTab is a code of its own.
    let pressed = Key { code: event.code, ctrl };
    commands(view).find(|&action| keys(action).contains(&pressed))
}
