//! What every screen shares: the tabs on top, the line that tells where one is, the line for notices
//! and the filter, the hints at the bottom, and the windows over it all.

use super::action::{Action, ScreenId};
use super::app::App;
use super::keymap::{self, View, groups, key_name, keys};
use super::overlay::Overlay;
use super::theme::Role;
use super::widgets::{Block, Paint, popup};
use crate::text;
use crate::tr;
use ratatui::Frame;
use ratatui::layout::Rect;

/// The smallest frame that is drawn into.
const LEAST: (u16, u16) = (40, 12);

/// Draws the whole frame.
pub fn draw(app: &mut App, frame: &mut Frame<'_>) {
    let area = frame.area();
    let theme = app.theme;
    let mut p = Paint { buf: frame.buffer_mut(), theme, caret: None };
    if let Some(ground) = theme.ground() {
        p.buf.set_style(area, ground);
    }
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let (width, height) = LEAST;
        let words = tr!(
            "The terminal is too small: {} x {}. At least {width} x {height} is needed. q quits.",
            "终端太小：{} x {}。至少需要 {width} x {height}。按 q 退出。",
            area.width,
            area.height
        );
        p.paragraph(area, &words, Role::Warn);
        return;
    }
    tabs(&mut p, Rect { height: 1, ..area }, app.screen);
    let place = app.current().place().iter().map(|s| text::one_line(s)).collect::<Vec<_>>().join("  /  ");
    let second = Rect { y: area.y + 1, height: 1, ..area };
    p.rule(second, &place);
    let running = app.activity();
    if !running.is_empty() {
        activity(&mut p, second, &running);
    }
    let margin = u16::from(area.width >= 60);
    let body = Rect { x: area.x + margin, y: area.y + 2, width: area.width - 2 * margin, height: area.height - 4 };
    app.current().draw(&mut p, body, app.now);
    notice(app, &mut p, Rect { y: area.bottom() - 2, height: 1, ..area });
    hints(app, &mut p, Rect { y: area.bottom() - 1, height: 1, ..area });
    match &app.overlay {
        Some(Overlay::Help(pager)) => {
            let inside = popup(&mut p, body, 64, body.height, &tr!("Keys", "按键"));
            pager.draw(&mut p, inside, &help_text(app.current().view(), app.mouse()));
        }
        Some(Overlay::Form(form)) => form.draw(&mut p, body),
        Some(Overlay::Palette(palette)) => palette.draw(&mut p, body),
        Some(Overlay::Tour(tour)) => tour.draw(&mut p, body),
        Some(Overlay::Confirm(confirm)) => {
            let title = tr!("Please confirm", "请确认");
            question(&mut p, body, &title, [&confirm.question, &confirm.detail], View::Confirm);
        }
        Some(Overlay::Leave) => {
            let asked = match app.running() {
                0 => tr!("The jobs have ended meanwhile. Leave?", "任务已全部结束，要退出吗？"),
                1 => tr!("Leave while a job runs?", "还有 1 个任务在运行，要退出吗？"),
                n => tr!("Leave while {n} jobs run?", "还有 {n} 个任务在运行，要退出吗？"),
            };
            let detail = tr!(
                "They go on without this window; `linly-bench jobs list` and this program find them again. Stopped, a \
                 training ends after its present step and leaves a checkpoint to go on from.",
                "任务会在后台继续；`linly-bench jobs list` 和本程序都能再找到它们。若停止，训练会在当前一步之后结束并留下检查点。"
            );
            question(&mut p, body, &tr!("Jobs are running", "任务运行中"), [&asked, &detail], View::Leave);
        }
        None => {}
    }
    if let Some((x, y)) = p.caret {
        frame.set_cursor_position((x, y));
    }
}

/// A window with a question, what it means, and the keys that answer.
fn question(p: &mut Paint<'_>, body: Rect, title: &str, words: [&str; 2], view: View) {
    let width = 64.min(body.width);
    let inner = usize::from(width.saturating_sub(4));
    let lines: usize = words.iter().map(|s| text::wrap(&text::clean(s), inner).len()).sum();
    let inside = popup(p, body, width, u16::try_from(lines + 7).unwrap_or(u16::MAX), title);
    let mut rest = below(inside, 1);
    rest = below(rest, p.paragraph(rest, words[0], Role::Title) + 1);
    rest = below(rest, p.paragraph(rest, words[1], Role::Plain) + 1);
    list_keys(p, rest, keymap::commands(view), &|_| false);
}

fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

/// The tabs with their places: number, name, first column, last column.
fn tab_places(active: ScreenId, columns: u16) -> Vec<(ScreenId, String, u16, u16)> {
    let long: usize = ScreenId::ALL.iter().map(|s| text::width(&s.title()) + 4).sum();
    let mut places = Vec::new();
    let mut x = 0u16;
    for screen in ScreenId::ALL {
        let number = screen.index() + 1;
        // In a narrow frame only the active screen has its name.
        let name = if long <= usize::from(columns) || screen == active {
            format!("{number} {}", screen.title())
        } else {
            number.to_string()
        };
        let mark = if screen == active { "▸" } else { " " };
        let name = format!("{mark}{name} ");
        let end = x.saturating_add(u16::try_from(text::width(&name)).unwrap_or(u16::MAX));
        places.push((screen, name, x, end));
        x = end;
    }
    places
}

/// The tab drawn at `column`.
pub fn tab_at(active: ScreenId, columns: u16, column: u16) -> Option<ScreenId> {
    tab_places(active, columns).into_iter().find(|(_, _, from, to)| (*from..*to).contains(&column)).map(|t| t.0)
}

fn tabs(p: &mut Paint<'_>, area: Rect, active: ScreenId) {
    for (screen, name, x, _) in tab_places(active, area.width) {
        let role = if screen == active { Role::Accent } else { Role::Dim };
        p.text(area.x + x, area.y, area.width.saturating_sub(x), &name, role);
    }
}

/// What runs in the background, at the right of the line that tells where one is.
fn activity(p: &mut Paint<'_>, area: Rect, words: &str) {
    let words = format!(" {words} ");
    let columns = u16::try_from(text::width(&words)).unwrap_or(u16::MAX);
    if columns + 2 < area.width {
        p.text(area.right() - columns - 2, area.y, columns, &words, Role::Warn);
    }
}

/// The filter while there is one, else the newest notice.
fn notice(app: &mut App, p: &mut Paint<'_>, area: Rect) {
    let area = Rect { x: area.x + 1, width: area.width - 2, ..area };
    if let Some((words, role)) = &app.notice {
        p.text(area.x, area.y, area.width, words, *role);
        return;
    }
    let typing = app.filtering;
    let Some(filter) = app.filter().filter(|f| typing || !f.is_empty()) else { return };
    let x = p.text(area.x, area.y, area.width, &tr!("filter: ", "筛选："), Role::Key);
    filter.draw(p, Rect { x, width: area.right().saturating_sub(x), ..area }, typing);
}

/// What the hint bar shows: the view's own commands, and at the right how to see the rest.
fn hint_places(app: &App, columns: u16) -> Vec<(Action, u16)> {
    let view = app.view();
    // The way out is never what has no room.
    let out = groups(view)[0].iter().copied().filter(|a| matches!(a, Action::Back | Action::Cancel));
    let everywhere: &[Action] = match view.is_modal() {
        true => &[],
        false if columns < 60 => &[Action::Help, Action::Quit],
        false => &[Action::Palette, Action::Help, Action::Quit],
    };
    let always: Vec<Action> = out.chain(everywhere.iter().copied()).collect();
    let width = |action: Action| u16::try_from(hint_width(action)).unwrap_or(u16::MAX);
    let right: u16 = always.iter().map(|&a| width(a) + 2).sum();
    let end = columns.saturating_sub(1);
    let border = end.saturating_sub(right);
    let mut places = Vec::new();
    let mut x = 1;
    let [own, motion, _] = groups(view);
    for &action in own.iter().chain(motion.iter().take(2)).filter(|a| !always.contains(a)) {
        if x + width(action) <= border {
            places.push((action, x));
            x += width(action) + 2;
        }
    }
    let mut x = border + 2;
    for action in always {
        places.push((action, x));
        x += width(action) + 2;
    }
    places
}

/// The command whose hint is drawn at `column`.
pub fn hint_at(app: &App, columns: u16, column: u16) -> Option<Action> {
    let places = hint_places(app, columns);
    let hit = |x: u16, action: Action| (x..x + u16::try_from(hint_width(action)).unwrap_or(0)).contains(&column);
    places.into_iter().find(|&(action, x)| hit(x, action)).map(|(action, _)| action)
}

fn hints(app: &App, p: &mut Paint<'_>, area: Rect) {
    for (action, x) in hint_places(app, area.width) {
        hint(
            p,
            Rect { x: area.x + x, width: area.width.saturating_sub(x), ..area },
            action,
            app.obstacle(action).is_some(),
        );
    }
}

/// A key with what it does. What cannot be done now is dim.
fn hint(p: &mut Paint<'_>, area: Rect, action: Action, dim: bool) {
    let (key_role, role) = if dim { (Role::Dim, Role::Dim) } else { (Role::Key, Role::Plain) };
    let x = p.text(area.x, area.y, area.width, &first_key(action), key_role) + 1;
    p.text(x, area.y, area.right().saturating_sub(x), &action.label(), role);
}

fn first_key(action: Action) -> String {
    keys(action).first().map_or_else(String::new, |&key| key_name(key))
}

fn hint_width(action: Action) -> usize {
    text::width(&first_key(action)) + 1 + text::width(&action.label())
}

/// Keys with what they do, on one line, as many as fit whole.
fn list_keys(p: &mut Paint<'_>, area: Rect, actions: impl Iterator<Item = Action>, dim: &dyn Fn(Action) -> bool) {
    let mut x = area.x;
    for action in actions {
        let width = u16::try_from(hint_width(action)).unwrap_or(u16::MAX);
        if area.height == 0 || area.right().saturating_sub(x) < width {
            continue;
        }
        hint(p, Rect { x, width, ..area }, action, dim(action));
        x += width + 2;
    }
}

/// All commands of a view with all their keys.
pub fn help_text(view: View, mouse: bool) -> Vec<Block> {
    let [own, motion, global] = groups(view);
    let titles = [tr!("Here", "此处"), tr!("Moving", "移动"), tr!("Everywhere", "各处")];
    let mut blocks: Vec<Block> = titles
        .into_iter()
        .zip([own, motion, global])
        .filter(|(_, actions)| !actions.is_empty())
        .map(|(title, actions)| {
            let lines: Vec<String> = actions
                .iter()
                .map(|&action| {
                    let names: Vec<String> = keys(action).iter().map(|&key| key_name(key)).collect();
                    format!("{} {}", text::pad(&names.join("  "), 20), action.label())
                })
                .collect();
            Block::new(title, lines.join("\n"))
        })
        .collect();
    let state = if mouse { tr!("on", "开") } else { tr!("off", "关") };
    let wheel = tr!(
        "The mouse is {state}: the wheel moves, a click selects, a click on a screen's name opens it. Switch it off to select text.",
        "鼠标：{state}。滚轮移动，点击选中，点击屏幕名切换。关闭后可用鼠标选取文字。"
    );
    blocks.push(Block { role: Role::Dim, ..Block::new("", wheel) });
    blocks
}
