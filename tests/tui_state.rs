//! What the interface does with keys and answers, without a terminal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tui_support;

use linly_bench::job::JobEvent;
use linly_bench::lang::Lang;
use linly_bench::store::RunStatus;
use linly_bench::tui::*;
use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use tui_support::*;

fn driver() -> Driver {
    Driver::new(filled())
}

#[test]
fn screens_are_reached_by_number_and_by_tab() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    let views = [
        View::Home,
        View::Datasets,
        View::Models,
        View::Trainings,
        View::Scores,
        View::Arenas,
        View::Leaderboard,
        View::Jobs,
        View::Settings,
    ];
    for (number, view) in (1..).zip(views) {
        d.press(&number.to_string());
        assert_eq!(d.app.view(), view);
    }
    d.press("<tab>");
    assert_eq!(d.app.view(), View::Home);
    d.press("<backtab>");
    assert_eq!(d.app.view(), View::Settings);
}

#[test]
fn datasets_open_down_to_a_row_and_back_up() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.press("<enter>");
    assert_eq!(d.app.view(), View::Rows);
    d.press("j <enter>");
    assert_eq!(d.app.view(), View::Row);
    assert!(d.screen(80, 24).contains("What is a bond?"));
    d.press("n");
    assert!(d.screen(80, 24).contains("某上市公司"));
    d.press("<esc> <esc>");
    assert_eq!(d.app.view(), View::Datasets);
    assert!(!d.app.is_over());
}

#[test]
fn rows_far_away_are_fetched_when_they_are_reached() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.press("<enter> G");
    let screen = d.screen(80, 24);
    assert!(screen.contains("第 1199 题"), "{screen}");
    d.press("g");
    assert!(d.screen(80, 24).contains("市盈率"));
}

#[test]
fn a_search_narrows_the_rows_at_the_source() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.press("<enter> / 6 6");
    assert_eq!(d.app.view(), View::FilterLine);
    let screen = d.screen(80, 24);
    assert!(screen.contains("第 66 题") && !screen.contains("第 67 题"), "{screen}");
    d.press("<enter>");
    assert_eq!(d.app.view(), View::Rows, "enter keeps the search");
    assert!(d.screen(80, 24).contains("filter: 66"));
    d.press("<esc>");
    assert!(d.screen(80, 24).contains("什么是市盈率"), "esc clears it");
    d.press("/ q");
    assert!(!d.app.is_over(), "letters are text while a filter is typed");
}

#[test]
fn deleting_asks_by_name_and_does_nothing_without_a_yes() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.press("d");
    let screen = d.screen(80, 24);
    assert!(screen.contains("Delete the dataset finance-zh?") && screen.contains("13,200 rows"), "{screen}");
    d.press("<enter> q");
    assert_eq!(d.app.view(), View::Confirm, "only y and Esc answer");
    d.press("<esc>");
    assert!(d.source.deleted.is_empty());
    d.press("d y");
    assert_eq!(d.source.deleted, ["finance-zh"]);
    let screen = d.screen(80, 24);
    assert!(screen.contains("finance-zh is deleted"), "{screen}");
    assert_eq!(screen.matches("finance-zh").count(), 1, "{screen}");
    d.press("U").wait();
    assert!(d.source.bin.is_empty() && d.screen(80, 24).contains("finance-zh"), "it can be taken back");
}

#[test]
fn a_row_is_marked_and_edited_and_the_edit_can_be_taken_back() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.press("<enter> <enter> +");
    assert_eq!(d.source.rows[0].mark, Some(linly_bench::store::Mark::Good));
    d.wait();
    d.press("+");
    assert_eq!(d.source.rows[0].mark, None, "the same key takes it away");
    d.press("U");
    assert_eq!(d.source.rows[0].mark, Some(linly_bench::store::Mark::Good), "a mark can be taken back");
    d.press("U");
    assert_eq!(d.source.rows[0].mark, None);
    let edit = |d: &mut Driver, to: &str| {
        d.press("e");
        let chores = d.app.take_chores();
        let Some(Chore::Edit { screen, token, text, .. }) = chores.first() else { panic!("no editor: {chores:?}") };
        d.app.edited(*screen, token, Some(to.to_owned()));
        d.wait();
        text.clone()
    };
    edit(&mut d, "nonsense");
    assert_eq!(edit(&mut d, "a better answer"), "nonsense", "a refused text is offered again");
    assert!(d.screen(80, 24).contains("a better answer"), "{}", d.screen(80, 24));
    d.press("U");
    assert_eq!(d.source.restored, [1]);
}

/// Gives the text in the editor back as `to`, and tells what it was.
fn edit(d: &mut Driver, key: &str, to: &str) -> String {
    d.press(key);
    let chores = d.app.take_chores();
    let Some(Chore::Edit { screen, token, text, .. }) = chores.first() else { panic!("no editor: {chores:?}") };
    d.app.edited(*screen, token, Some(to.to_owned()));
    d.settle();
    text.clone()
}

#[test]
fn a_row_is_written_in_the_editor_and_can_be_taken_back() {
    let _turn = speak(Lang::En);
    let mut d = Driver::launching(filled(), true);
    let rows = d.source.rows.len();
    d.press("<enter>");
    let blank = edit(&mut d, "n", "nonsense");
    assert!(blank.contains("\"instruction\": \"\""), "{blank}");
    assert_eq!(d.source.rows.len(), rows);
    assert_eq!(edit(&mut d, "n", "a new answer"), "nonsense", "a refused text is offered again");
    assert_eq!(d.source.rows.len(), rows + 1);
    assert!(d.screen(80, 24).contains("a row is added"), "{}", d.screen(80, 24));
    d.press("U");
    assert_eq!(d.source.restored, [3]);
    assert_eq!(edit(&mut d, "n", &blank), blank);
    assert_eq!(d.source.rows.len(), rows + 1, "a row left blank is none");
}

#[test]
fn a_mark_shows_at_once_and_rows_are_narrowed_to_it() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.press("<enter> j <enter> -");
    assert!(d.screen(80, 24).contains("- bad"), "{}", d.screen(80, 24));
    d.press("<esc> m m");
    let screen = d.screen(80, 24);
    assert!(screen.contains("marked bad") && screen.contains("What is a bond?"), "{screen}");
    assert!(!screen.contains("市盈率"), "{screen}");
    d.press("<esc>");
    assert_eq!(d.app.view(), View::Rows, "Esc shows all rows first");
    assert!(d.screen(80, 24).contains("市盈率"));
    d.press("<esc>");
    assert_eq!(d.app.view(), View::Datasets);
}

#[test]
fn a_mask_keeps_its_template_from_row_to_row() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.press("<enter> <enter> m");
    assert_eq!(d.app.view(), View::Mask);
    assert!(d.screen(80, 24).contains("template chat"), "{}", d.screen(80, 24));
    d.press("t n");
    let screen = d.screen(80, 24);
    assert!(screen.contains("template alpaca") && screen.contains("W╎h╎a╎t╎ ╎i"), "{screen}");
    d.press("y");
    let copied = d.app.take_chores();
    let Some(Chore::Copy(table)) = copied.first() else { panic!("{copied:?}") };
    let learnt: String = table
        .lines()
        .filter_map(|line| line.split('\t').collect::<Vec<_>>().try_into().ok())
        .filter(|[_, _, learnt, _]: &[&str; 4]| *learnt == "1")
        .map(|[_, _, _, text]| text.trim_matches('"').to_owned())
        .collect();
    assert!(learnt.starts_with("A bond is a loan"), "{learnt}");
    d.press("<esc> <esc> <esc>");
    assert_eq!(d.app.view(), View::Datasets);
}

#[test]
fn a_version_is_compared_with_the_one_before_and_restored() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.press("v");
    assert_eq!(d.app.view(), View::Versions);
    assert!(d.app.obstacle(Action::Restore).is_some_and(|why| why.contains("newest")));
    d.press("j <enter>");
    assert_eq!(d.app.view(), View::Difference);
    let screen = d.screen(80, 24);
    assert!(screen.contains("version 1 to 2") && screen.contains("[-3.2%-]{+2.6%"), "{screen}");
    assert!(screen.contains("70 more"), "{screen}");
    d.press("<esc> j");
    assert!(d.app.obstacle(Action::Open).is_some(), "nothing comes before the first version");
    d.press("r");
    assert_eq!(d.source.restored, [1]);
    assert!(d.screen(80, 24).contains("version 1 is back as version 3"), "{}", d.screen(80, 24));
    d.press("U");
    assert_eq!(d.source.restored, [1, 2]);
    d.press("<esc>");
    assert_eq!(d.app.view(), View::Datasets);
}

#[test]
fn what_cannot_be_done_says_why() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(Fake::default());
    assert!(d.app.obstacle(Action::Delete).is_some());
    d.press("d");
    assert_eq!(d.app.view(), View::Datasets);
    assert!(d.screen(80, 24).contains("nothing is selected"));
    d.press("4 n");
    assert_eq!(d.app.view(), View::Trainings);
    assert!(d.screen(120, 24).contains("linly-bench train"), "without a launcher no form opens");
}

#[test]
fn names_are_hidden_until_the_vote_and_shown_after_it() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.press("6 <enter>");
    let before = d.screen(120, 30);
    assert!(before.contains("市盈率") && !before.contains("smollm2") && !before.contains("jubaopen"), "{before}");
    d.press("a");
    assert_eq!(d.source.votes, [(7, Vote::A)]);
    let after = d.screen(120, 30);
    assert!(after.contains("A is smollm2-135m + jubaopen"), "{after}");
    d.press("b");
    assert_eq!(d.source.votes.len(), 1, "one vote per battle");
    d.press("n");
    let next = d.screen(120, 30);
    assert!(next.contains("What is a bond?") && !next.contains("smollm2"), "{next}");
    d.press("x n");
    assert_eq!(d.source.votes, [(7, Vote::A), (9, Vote::BothBad)]);
    assert!(d.screen(120, 30).contains("Every battle here has its vote"));
}

#[test]
fn a_vote_that_was_not_recorded_can_be_given_again() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.press("6 <enter>");
    d.source.broken = true;
    d.press("t");
    assert!(d.screen(80, 24).contains("damaged"));
    d.source.broken = false;
    d.press("t");
    assert_eq!(d.source.votes, [(7, Vote::Tie)]);
}

#[test]
fn a_dashboard_follows_a_run_and_starts_over_when_it_is_resumed() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.press("4 <enter>");
    assert_eq!(d.app.view(), View::Dashboard);
    d.wait();
    let screen = d.screen(80, 24);
    assert!(screen.contains("step 180 of 300") && screen.contains("60.0%") && screen.contains("left"), "{screen}");
    let next = d.source.events.last().unwrap().0 + 1;
    d.source.events.push((next, step(181, 300)));
    d.wait();
    assert!(d.screen(80, 24).contains("step 181 of 300"));
    // Killed, then resumed from a checkpoint at 100: its later events are gone and written anew.
    d.source.runs[0].status = RunStatus::Interrupted;
    d.wait();
    assert!(d.screen(80, 24).contains("--resume train-20261124-112000-cccc"));
    d.source.runs[0].status = RunStatus::Running;
    d.source.events = training(120, 300);
    d.wait();
    assert!(d.screen(80, 24).contains("step 120 of 300"));
}

#[test]
fn a_hundred_thousand_steps_neither_grow_nor_slow_the_dashboard() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.source.events = training(100_000, 100_000);
    d.source.events.push((200_000, JobEvent::Eval { step: 100_000, val_loss: f64::NAN, best: false }));
    let started = std::time::Instant::now();
    d.press("4 <enter>");
    d.wait();
    for _ in 0..20 {
        assert!(d.screen(120, 40).contains("step 100,000 of 100,000"));
    }
    // Generous: it guards against work that grows with the number of events per frame.
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn wrong_items_can_be_singled_out_and_compared_with_a_marked_run() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.press("5 j m k <enter>");
    let subjects = d.screen(100, 24);
    assert!(subjects.contains("51.7%") && subjects.contains("25.0%") && subjects.contains("+26.7"), "{subjects}");
    d.press("<enter> w");
    let items = d.screen(100, 24);
    assert_eq!(items.matches("wrong").count(), 3, "one item, its counterpart, and the hint: {items}");
    d.press("<enter>");
    let item = d.screen(100, 40);
    assert!(item.contains("answered A, right is B; the marked run answered D") && item.contains("-0.7500"), "{item}");
}

#[test]
fn a_failing_source_is_told_with_its_hint_and_recovers() {
    let _turn = speak(Lang::En);
    let mut source = filled();
    source.broken = true;
    let mut d = Driver::new(source);
    for screen in ["1", "2", "4", "5", "6", "7", "8"] {
        d.press(screen);
        let shown = d.screen(80, 24);
        assert!(shown.contains("damaged") && shown.contains("--home DIR"), "{shown}");
    }
    d.source.broken = false;
    d.wait();
    d.press("7").wait();
    assert!(d.screen(80, 24).contains("通义千问"));
}

#[test]
fn the_way_out_works_everywhere() {
    let _turn = speak(Lang::En);
    for keys in ["q", "<ctrl-c>", "/ <ctrl-c>", "? <ctrl-c>", "d <ctrl-c>", ": <ctrl-c>", "<enter> <enter> q"] {
        let mut d = Driver::new(Fake { jobs: vec![], ..filled() });
        d.press(keys);
        assert!(d.app.is_over(), "{keys}");
    }
    let mut d = driver();
    d.press("? q");
    assert!(!d.app.is_over(), "the help has no q of its own");
    d.press("?");
    assert_eq!(d.app.view(), View::Datasets, "? closes what it opened");
}

#[test]
fn leaving_with_running_jobs_asks_whether_they_go_on() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.wait();
    d.press("q");
    assert!(!d.app.is_over());
    assert!(d.screen(80, 24).contains("Leave while a job runs?"));
    d.press("<esc> q y");
    assert!(d.app.is_over() && d.source.stopped.is_empty(), "they go on");
    let mut d = driver();
    d.wait();
    d.press("q s");
    assert!(d.app.is_over());
    assert_eq!(d.source.stopped, ["job-20261124-112000-aaaa"]);
}

#[test]
fn a_form_starts_a_job_and_takes_pasted_chinese() {
    let _turn = speak(Lang::En);
    let mut d = Driver::launching(filled(), true);
    d.press("4 n");
    assert_eq!(d.app.view(), View::Form);
    d.press("<ctrl-n> <tab>");
    d.app.paste("聚宝盆\n");
    d.press("<enter>");
    assert!(d.screen(80, 24).contains("adapter: fill this in"), "{}", d.screen(80, 24));
    d.app.paste("jubaopen");
    d.press("<tab>");
    d.app.paste("many");
    d.press("<enter>");
    assert!(d.source.started.is_empty(), "what the command line refuses is refused here");
    assert!(d.screen(80, 24).contains("invalid value 'many'"));
    for _ in 0.."many".len() {
        d.press("<backspace>");
    }
    d.press("<enter>");
    assert!(d.source.started.is_empty(), "there is no such dataset: once that is told");
    assert!(d.screen(120, 24).contains("no dataset `聚宝盆`"), "{}", d.screen(120, 24));
    d.press("<enter>");
    let line = "train --model smollm2-135m --data 聚宝盆 --adapter jubaopen";
    assert_eq!(d.source.started, [line.split(' ').map(String::from).collect::<Vec<_>>()]);
    assert_eq!(d.app.view(), View::JobLog, "its output is shown");
}

#[test]
fn the_palette_finds_commands_of_the_view_and_verbs() {
    let _turn = speak(Lang::En);
    let mut d = Driver::launching(filled(), true);
    d.press(": i m p");
    assert_eq!(d.app.view(), View::Palette);
    let screen = d.screen(80, 24);
    assert!(screen.contains("data import") && !screen.contains("leaderboard"), "{screen}");
    d.press("<enter>");
    assert_eq!(d.app.view(), View::Form);
    d.press("<esc> : d e l e t e <enter>");
    assert_eq!(d.app.view(), View::Confirm, "a command of the view below");
    d.press("<esc> : s e t u p <enter>");
    assert_eq!(d.app.view(), View::Settings);
}

#[test]
fn settings_hold_at_once_and_are_kept() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.press("9 j <enter> <enter>");
    assert!(d.screen(80, 24).contains("设置"), "Chinese at once: {}", d.screen(80, 24));
    assert_eq!(d.source.kept.last().unwrap().lang, Some(Lang::Zh));
    d.press("k <enter>");
    assert_eq!(d.source.kept.last().unwrap().theme, ThemeName::Dark);
    d.press("M");
    assert!(!d.source.kept.last().unwrap().mouse && !d.app.mouse());
}

#[test]
fn the_first_steps_are_shown_once() {
    let _turn = speak(Lang::En);
    let app = App::new(Preferences::default(), Commands::default(), NOW).with_theme(Theme::new(true));
    let mut d = Driver { app, source: filled() };
    d.settle();
    for step in 1..=5 {
        assert_eq!(d.app.view(), View::Tour);
        assert!(d.screen(80, 24).contains(&format!("{step} of 5")));
        d.press("<enter>");
    }
    assert_eq!(d.app.view(), View::Home);
    assert!(d.source.kept.last().unwrap().toured);
}

#[test]
fn home_leads_to_what_is_next() {
    let _turn = speak(Lang::En);
    let mut d = Driver::launching(Fake::default(), true);
    d.press("1 <enter>");
    assert_eq!(d.app.view(), View::Form);
    assert!(d.screen(100, 24).contains("data import"));
    let mut d = Driver::launching(filled(), true);
    d.press("1");
    let screen = d.screen(100, 24);
    assert!(screen.contains("180/300") && screen.contains("12 battles wait"), "{screen}");
    d.press("<enter>");
    assert_eq!(d.app.view(), View::Jobs);
}

#[test]
fn a_log_is_followed_cleaned_and_copied() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.press("8 <enter>");
    let screen = d.screen(80, 24);
    assert!(screen.contains("step 3: 损失 2.87") && !screen.contains("[32m") && !screen.contains("step 2"), "{screen}");
    d.source.log.push_str("step 4: loss 2.50\n");
    d.wait();
    assert!(d.screen(80, 24).contains("step 4"));
    d.press("y");
    let copied = d.app.take_chores();
    assert!(matches!(&copied[..], [Chore::Copy(text)] if text.contains("step 4")), "{copied:?}");
}

#[test]
fn a_job_that_ends_is_told_on_every_screen() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.wait();
    d.source.jobs[0] = job("job-20261124-112000-aaaa", linly_bench::store::JobState::Failed);
    d.wait();
    let screen = d.screen(120, 24);
    assert!(screen.contains("failed") && screen.contains("there is no dataset `x`"), "{screen}");
}

#[test]
fn a_job_that_goes_on_is_not_resumed_twice() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    d.source.jobs[1].resumed_as = Some("job-20261124-103000-dddd".into());
    d.press("8 j r");
    let screen = d.screen(80, 24);
    assert!(screen.contains("it goes on as job-20261124-103000-dddd"), "{screen}");
    assert_eq!(d.app.view(), View::Jobs, "nothing was started");
    d.press("<enter>");
    assert!(d.screen(120, 24).contains("goes on as job-20261124-103000-dddd"), "{}", d.screen(120, 24));
}

#[test]
fn a_training_form_tells_what_it_takes_when_its_fields_are_right() {
    let _turn = speak(Lang::En);
    let mut d = Driver::launching(filled(), true);
    d.press("4 n");
    assert!(d.screen(100, 30).contains("told when the fields are right"));
    let asked = |d: &Driver| d.source.asked.iter().filter(|what| **what == "forecast").count();
    d.app.paste("smollm2-135");
    d.settle();
    let screen = d.screen(100, 30);
    assert!(screen.contains("no model `smollm2-135`; nearest: `smollm2-135m`"), "{screen}");
    assert_eq!(asked(&d), 0, "of a model that is not there nothing can be told");
    d.press("m");
    let screen = d.screen(100, 30);
    assert!(screen.contains("1.3 GB of 18.2 GB free") && screen.contains("about 12m 05s"), "{screen}");
    let before = asked(&d);
    d.press("<tab>");
    d.app.paste("finance-zh");
    d.press("<tab> m i n e");
    assert_eq!(asked(&d), before + 1, "the adapter's name changes nothing");
    // Too much is a warning, and what cannot be told is said with its reason.
    d.source.forecast.fits = false;
    d.press("<tab> 9");
    assert!(d.screen(100, 30).contains("1.3 GB at least, and only 18.2 GB are free"), "{}", d.screen(100, 30));
    d.source.broken = true;
    d.press("9");
    assert!(d.screen(100, 30).contains("damaged"), "{}", d.screen(100, 30));
    assert_eq!(d.app.view(), View::Form);
}

#[test]
fn the_mouse_switches_screens_and_selects() {
    let _turn = speak(Lang::En);
    let mut d = driver();
    let screen = d.screen(80, 24);
    let at = |needle: &str, text: &str| {
        let (row, line) = text.lines().enumerate().find(|(_, l)| l.contains(needle)).unwrap();
        (linly_bench::text::width(&line[..line.find(needle).unwrap()]) as u16, row as u16)
    };
    let click = |d: &mut Driver, (column, row): (u16, u16)| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        let modifiers = ratatui::crossterm::event::KeyModifiers::NONE;
        d.app.mouse_event(MouseEvent { kind, column, row, modifiers }, 80, 24);
        d.settle();
    };
    click(&mut d, at("alpaca-en", &screen));
    d.press("d");
    assert!(d.screen(80, 24).contains("Delete the dataset alpaca-en?"));
    d.press("<esc>");
    click(&mut d, at("Arena", &screen));
    assert_eq!(d.app.view(), View::Arenas);
    click(&mut d, at("? help", &screen));
    assert_eq!(d.app.view(), View::Help, "hints are buttons");
}

#[test]
fn hostile_text_reaches_no_cell() {
    let _turn = speak(Lang::En);
    let evil = "\u{1b}[31mX\u{1b}]0;owned\u{7}\u{9b}2J\u{8}\r\n\t\u{202e}";
    let mut source = filled();
    source.datasets[0].name = format!("d{evil}");
    source.runs[0].adapter = format!("a{evil}");
    source.runs[0].id = format!("r{evil}");
    source.events.push((9_999, JobEvent::Log { message: format!("log{evil}") }));
    source.subjects[0].subject = format!("s{evil}");
    source.outcomes[0].pred = format!("p{evil}");
    source.outcomes[0].choices[0] = format!("c{evil}");
    source.arenas[0].name = format!("n{evil}");
    source.board.standings[0].model = format!("m{evil}");
    source.battles[0].1.a = format!("b{evil}");
    source.jobs[0].title = format!("j{evil}");
    source.jobs[0].progress = Some((format!("p{evil}"), 1, None));
    source.log = format!("l{evil}\n");
    let mut d = Driver::new(source);
    let walks = [
        "2",
        "<enter>",
        "j j j <enter>",
        "m",
        "<esc> <esc> v",
        "<enter>",
        "<esc> <esc> <esc> v",
        "<enter>",
        "<esc> <esc> d",
        "<esc> 4 <enter>",
        "5 <enter>",
        "<enter>",
        "<enter>",
        "6 <enter>",
        "a",
        "7",
        "8",
        "<enter>",
        "1",
    ];
    for keys in walks {
        d.press(keys).wait();
        let screen = d.screen(80, 24);
        assert!(!screen.contains("owned") && !screen.contains("[31m"), "{screen}");
        assert!(screen.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{screen:?}");
    }
}
