//! Trainings side by side, scores side by side, and the leaderboard in any order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tui_support;

use linly_bench::job::JobEvent;
use linly_bench::lang::Lang;
use linly_bench::store::RunStatus;
use linly_bench::tui::*;
use tui_support::runs::{busy, next_step};
use tui_support::*;
use unicode_width::UnicodeWidthStr;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 12)];

/// One picture per size and language of what is reached by `keys`.
fn album(keys: &str) -> String {
    let mut pages = String::new();
    for lang in [Lang::En, Lang::Zh] {
        let _turn = speak(lang);
        for (width, height) in SIZES {
            let mut d = Driver::new(busy());
            d.screen(width, height);
            d.press(keys).wait();
            let screen = d.screen(width, height);
            for symbol in screen.chars().map(String::from) {
                assert_eq!(symbol.width(), symbol.width_cjk(), "{symbol:?} of ambiguous width in {keys}: {screen}");
            }
            pages.push_str(&format!("== {lang:?} {width} x {height}\n{screen}\n"));
        }
    }
    pages
}

macro_rules! pictures {
    ($($name:ident: $keys:literal;)*) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(album($keys));
        })*
    };
}

pictures! {
    trainings_marked: "4 j m j m";
    trainings_overlaid: "4 j m k <enter> L S";
    training_samples: "4 <enter> t";
    training_facts: "4 j <enter> i";
    training_log: "4 <enter> o";
    score_matrix: "5 v . ,";
    score_running: "5 G <enter>";
    score_flips: "5 j m k f";
    score_flipped_item: "5 j m k f <enter>";
    board_sorted: "7 o . .";
    board_far_right: "7 . . . . . . . . . . o";
}

#[test]
fn marked_runs_are_drawn_by_letter_and_name_and_fetched_once_when_they_are_over() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(busy());
    d.press("4 j m k <enter>").wait();
    let screen = d.screen(120, 40);
    assert!(screen.contains("A jubaopen val") && screen.contains("a jubaopen train"), "{screen}");
    let asked = |d: &Driver| d.source.asked_events.iter().filter(|(run, _)| run.ends_with("aaaa")).count();
    let before = asked(&d);
    assert_eq!(before, 1);
    d.wait();
    assert_eq!(asked(&d), before, "a finished run has no news");
    d.press("<esc> j m k <enter>").wait();
    assert!(!d.screen(120, 40).contains("A jubaopen val"), "unmarked");
}

#[test]
fn a_marked_run_that_runs_is_followed_and_starts_over_when_it_is_resumed() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(busy());
    d.press("4 m j <enter>").wait();
    assert!(d.screen(120, 40).contains("jubaopen train 1."), "the running one is drawn beside the finished one");
    let runs =
        |d: &Driver| d.source.asked_events.iter().filter(|(run, _)| run.ends_with("cccc")).cloned().collect::<Vec<_>>();
    next_step(&mut d.source, 181);
    d.wait();
    let number = d.source.events.last().unwrap().0;
    d.wait();
    assert!(runs(&d).iter().any(|(_, after)| *after == number), "news are asked after the newest event");
    d.source.runs[0].status = RunStatus::Interrupted;
    d.wait();
    let quiet = runs(&d).len();
    d.wait();
    assert_eq!(runs(&d).len(), quiet, "one that has ended is let alone");
    d.source.runs[0].status = RunStatus::Running;
    d.wait();
    assert!(runs(&d)[quiet..].iter().any(|(_, after)| *after == 0), "resumed: from the beginning");
}

#[test]
fn only_so_many_runs_are_overlaid_and_it_is_said() {
    let _turn = speak(Lang::En);
    let mut source = busy();
    for i in 0..6 {
        source.runs.push(run_record(&format!("train-extra-{i}"), "train", RunStatus::Done));
    }
    let mut d = Driver::new(source);
    d.press("4 m j m j m j m j");
    assert_eq!(d.app.obstacle(Action::Overlay).unwrap(), "4 runs are overlaid already: m on one of them takes it away");
    d.press("k");
    assert_eq!(d.app.obstacle(Action::Overlay), None, "one that is marked can be unmarked");
    d.press("<enter>").wait();
    for (width, height) in SIZES {
        d.screen(width, height);
    }
}

#[test]
fn samples_are_read_whole_step_by_step() {
    let _turn = speak(Lang::En);
    let mut source = busy();
    let long = "很长的回答".repeat(200) + "末尾";
    source.events.push((9_000, JobEvent::Sample { step: 120, prompt: "问".into(), answer: long }));
    let mut d = Driver::new(source);
    d.press("4 <enter> t");
    assert_eq!(d.app.view(), View::RunText);
    assert!(d.screen(80, 24).contains("after step 120 (3 of 3)"));
    d.press("G");
    assert!(d.screen(80, 24).contains("末尾"), "the end of a long answer is reached");
    d.press("p");
    let screen = d.screen(80, 24);
    assert!(
        screen.contains("after step 80") && screen.contains("It pays interest.") && !screen.contains("[31m"),
        "{screen}"
    );
    d.press("p p");
    assert!(d.screen(80, 24).contains("no earlier samples"));
    d.press("<esc>");
    assert_eq!(d.app.view(), View::Dashboard);
}

#[test]
fn what_can_be_resumed_and_what_not_is_told() {
    let _turn = speak(Lang::En);
    let mut source = busy();
    source.runs[0].job = Some("train-job-7".into());
    let mut d = Driver::new(source);
    d.press("4 <enter>");
    assert!(d.app.obstacle(Action::Resume).unwrap().contains("running"));
    assert_eq!(d.app.obstacle(Action::Stop), None);
    d.press("s");
    assert_eq!(d.source.stopped, ["train-job-7"]);
    assert!(d.screen(80, 24).contains("leaves a checkpoint"));
    d.source.runs[0].job = None;
    d.wait();
    assert!(d.app.obstacle(Action::Stop).unwrap().contains("Ctrl-C"), "started in another terminal");
    d.source.runs[0].status = RunStatus::Interrupted;
    d.wait();
    assert!(d.app.obstacle(Action::Stop).unwrap().contains("not running"));
    d.press("r");
    assert_eq!(d.source.started, [["train", "--resume", "train-20261124-112000-cccc"]]);
}

#[test]
fn facts_hold_hashes_and_settings() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(busy());
    d.press("4 j <enter> i");
    let screen = d.screen(100, 40);
    for fact in ["5c1d0e", "sha256-9f2b", "chatml", "schedule.warmup", "[\"q_proj\",\"v_proj\"]", "best_val_loss"] {
        assert!(screen.contains(fact), "{fact} in {screen}");
    }
}

#[test]
fn the_matrix_leads_into_the_run_of_its_cell() {
    let _turn = speak(Lang::En);
    let mut source = busy();
    source.board.standings[0].figures[0].as_mut().unwrap().origin = "eval-20261124-100000-tune".into();
    let mut d = Driver::new(source);
    d.press("5 v");
    assert_eq!(d.app.view(), View::Matrix);
    d.press(".");
    assert!(d.app.obstacle(Action::Open).is_some(), "no score in this cell");
    d.press(", <enter>");
    assert_eq!(d.app.view(), View::Subjects);
    assert!(d.screen(80, 24).contains("smollm2-135m + jubaopen"));
    d.press("<esc>");
    assert_eq!(d.app.view(), View::Matrix);
    d.press("<esc>");
    assert_eq!(d.app.view(), View::Scores);
}

#[test]
fn flips_tell_the_figures_and_open_both_answers() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(busy());
    d.press("5");
    assert!(d.app.obstacle(Action::Flips).unwrap().contains("mark one with m"));
    d.press("j m k f");
    assert_eq!(d.app.view(), View::Flips);
    let screen = d.screen(80, 24);
    assert!(screen.contains("B - A +14.4 points, 95% interval +9.2 to +19.9, McNemar p < 0.0001, n 420"), "{screen}");
    assert!(
        screen.contains("+ gained") && screen.contains("- lost") && screen.contains("3 items were asked"),
        "{screen}"
    );
    d.press("<enter>");
    let screen = d.screen(80, 30);
    assert!(screen.contains("right: answered B") && screen.contains("the marked run answered D (wrong)"), "{screen}");
    d.press("n n");
    assert!(d.screen(80, 30).contains("wrong: answered A"));
    assert!(d.app.obstacle(Action::Next).is_some());
    d.press("<esc> <esc>");
    assert_eq!(d.app.view(), View::Scores);
}

#[test]
fn probabilities_are_those_of_the_choices_among_themselves() {
    let _turn = speak(Lang::En);
    let mut source = busy();
    // exp of these is 1, 3, 4: shares 1/8, 3/8, 4/8.
    source.outcomes[0].loglikelihoods = vec![0.0, 3f64.ln(), 4f64.ln(), f64::NEG_INFINITY];
    source.outcomes[0].pred = "C".into();
    source.outcomes[0].correct = false;
    let mut d = Driver::new(source);
    d.press("5 <enter> <enter> <enter>");
    let screen = d.screen(80, 30);
    for share in ["12.5%", "37.5%", "50.0% ⣿⣿⣿⣿⣿", "0.0%"] {
        assert!(screen.contains(share), "{share} in {screen}");
    }
}

#[test]
fn a_running_score_shows_how_far_each_subject_is() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(busy());
    d.press("5 G <enter>").wait();
    let screen = d.screen(80, 24);
    assert!(screen.contains("170 of 300 items"), "{screen}");
    assert!(
        screen.contains("30 / 60"),
        "the finished run of the same benchmark tells how many there will be: {screen}"
    );
}

#[test]
fn subjects_come_in_every_order_and_the_direction_is_shown() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(busy());
    d.press("5 j m k <enter>");
    let order = |d: &mut Driver| -> Vec<usize> {
        let screen = d.screen(100, 24);
        ["accounting", "银行从业资格", "securities"].iter().map(|s| screen.find(s).unwrap()).collect()
    };
    assert!(d.screen(100, 24).contains("subject ▴"));
    d.press("o");
    let [a, b, s] = order(&mut d)[..] else { panic!() };
    assert!(d.screen(100, 24).contains("acc ▾") && s < a && a < b, "40, 31, 18 right");
    d.press("o");
    let [a, b, s] = order(&mut d)[..] else { panic!() };
    assert!(d.screen(100, 24).contains("acc ▴") && b < a && a < s);
    d.press("o");
    assert!(d.screen(100, 24).contains("difference ▾"));
}

#[test]
fn the_leaderboard_is_sorted_by_the_column_that_is_looked_at() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(busy());
    let first = |d: &mut Driver| {
        let screen = d.screen(100, 24);
        screen.find("smollm2").unwrap() < screen.find("通义千问").unwrap()
    };
    d.press("7");
    assert!(first(&mut d));
    // In the fifth column the second model leads.
    d.press(". . . . o");
    assert!(!first(&mut d) && d.screen(100, 24).contains("▾▸cmmlu_subject_0"));
    d.press("o");
    assert!(first(&mut d) && d.screen(100, 24).contains("▴▸cmmlu_subject_0"));
    d.press("o");
    assert!(first(&mut d) && !d.screen(100, 24).contains('▴'), "as it came");
}

#[test]
fn the_column_that_is_looked_at_is_always_in_sight_with_its_intervals() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(busy());
    d.press("7");
    for i in 0..16 {
        let title = d.source.board.columns[i].0.clone();
        for width in [60, 80, 120] {
            let screen = d.screen(width, 24);
            assert!(screen.contains(&format!("▸{title}")), "{i} at {width}: {screen}");
        }
        if d.source.board.columns[i].1 == Measure::Accuracy {
            assert!(d.screen(80, 24).contains("⠒⣿⠒"), "{i}");
        }
        d.press(".");
    }
    assert!(d.app.obstacle(Action::Right).is_some());
}

#[test]
fn the_leaderboard_offers_files_and_names_them() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(busy());
    d.press("7 e");
    assert_eq!(d.app.view(), View::Export);
    let screen = d.screen(120, 24);
    for format in ["leaderboard.md", "leaderboard.csv", "leaderboard.html"] {
        assert!(screen.contains(format), "{screen}");
    }
    d.press("j <enter>");
    let started = &d.source.started[0];
    assert_eq!(started[..4], ["leaderboard", "--format", "csv", "--output"]);
    assert!(started[4].ends_with("leaderboard.csv"), "{started:?}");
    let mut nothing = Driver::new(Fake::default());
    nothing.press("7");
    assert!(nothing.app.obstacle(Action::Export).is_some() && nothing.app.obstacle(Action::Sort).is_some());
}

#[test]
fn a_figure_leads_to_the_screen_that_it_comes_from() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(busy());
    d.press("7 <enter>");
    assert_eq!(d.app.view(), View::Scores);
    assert!(d.screen(80, 24).contains("it comes from eval-1"));
    d.press("7 . . <enter>");
    assert_eq!(d.app.view(), View::Arenas);
    d.press("7 . <enter>");
    assert_eq!(d.app.view(), View::Trainings);
}

#[test]
fn a_figure_opens_the_run_that_it_comes_from() {
    let _turn = speak(Lang::En);
    let mut source = busy();
    for standing in &mut source.board.standings {
        for (figure, run) in standing.figures.iter_mut().zip(["eval-20261124-100000-tune", "", "", ""]) {
            if let Some(figure) = figure.as_mut().filter(|_| !run.is_empty()) {
                figure.origin = run.into();
            }
        }
    }
    if let Some(loss) = &mut source.board.standings[0].figures[3] {
        loss.origin = "train-20261123-090000-aaaa".into();
    }
    let mut d = Driver::new(source);
    d.press("7 <enter>");
    assert_eq!(d.app.view(), View::Subjects, "the run itself, at the first visit to that screen");
    assert!(d.screen(100, 24).contains("accounting") && d.screen(100, 24).contains("smollm2-135m + jubaopen"));
    d.press("<esc>");
    assert_eq!(d.app.view(), View::Scores);
    d.press("7 . . . <enter>");
    assert_eq!(d.app.view(), View::Dashboard);
    assert!(d.screen(100, 24).contains("train-20261123-090000-aaaa"));
    // Whatever was open there before gives way.
    d.press("<esc> k <enter>");
    assert!(d.screen(100, 24).contains("train-20261124-112000-cccc"));
    d.press("7 <enter>").wait();
    assert!(d.screen(100, 24).contains("train-20261123-090000-aaaa"), "{}", d.screen(100, 24));
    // A run that was removed since: the list of runs, and no run of another name.
    d.source.board.standings[0].figures[0].as_mut().unwrap().origin = "eval-gone".into();
    d.press("7").wait();
    d.press(", , , <enter>").wait();
    assert_eq!(d.app.view(), View::Scores);
}

#[test]
fn what_is_copied_is_the_run_or_the_table() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(busy());
    let copied = |d: &mut Driver| match d.app.take_chores().remove(0) {
        Chore::Copy(text) => text,
        _ => panic!("nothing was copied"),
    };
    d.press("4 j y");
    assert_eq!(copied(&mut d), "train-20261123-090000-aaaa");
    d.press("5 y");
    assert_eq!(copied(&mut d), "eval-20261124-100000-tune");
    d.press("7 y");
    let table = copied(&mut d);
    let columns = d.source.board.columns.len();
    assert_eq!(table.lines().count(), 2 + d.source.board.standings.len());
    assert!(table.lines().all(|line| line.matches('|').count() == columns + 2), "{table}");
}

#[test]
fn hostile_text_reaches_no_cell_of_the_new_views() {
    let _turn = speak(Lang::En);
    let evil = "\u{1b}[31mX\u{1b}]0;owned\u{7}\u{9b}2J\u{8}\r\n\t\u{202e}";
    let mut source = busy();
    source.runs[0].adapter = format!("a{evil}");
    source.runs[0].job = Some(format!("j{evil}"));
    source.runs[0].config = serde_json::json!({ format!("k{evil}"): format!("v{evil}") });
    source.events.push((9_999, JobEvent::Sample { step: 300, prompt: evil.into(), answer: evil.into() }));
    source.events.push((10_000, JobEvent::Warning { step: 300, message: evil.into() }));
    source.board.columns[0].0 = format!("t{evil}");
    source.board.standings[0].model = format!("m{evil}");
    source.board.standings[0].figures[0].as_mut().unwrap().origin = format!("o{evil}");
    source.outcomes[0].written = evil.into();
    source.comparison.flips[0].pred_a = evil.into();
    source.comparison.flips[0].subject = evil.into();
    let walks = [
        "4 m j <enter>",
        "4 <esc> k <enter> t",
        "o",
        "i",
        "<esc> s",
        "5 v",
        "v j m k f",
        "<enter>",
        "7",
        "<enter>",
        "7 e",
    ];
    let mut d = Driver::new(source);
    for keys in walks {
        d.press(keys).wait();
        for (width, height) in SIZES {
            let screen = d.screen(width, height);
            assert!(!screen.contains("owned") && !screen.contains("[31m"), "{keys}: {screen}");
            assert!(screen.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{keys}: {screen:?}");
        }
    }
}

#[test]
fn a_hundred_thousand_steps_of_four_marked_runs_are_drawn() {
    let _turn = speak(Lang::En);
    let mut source = busy();
    source.events = training(100_000, 100_000);
    for i in 0..4 {
        source.runs.insert(1, run_record(&format!("train-extra-{i}"), "train", RunStatus::Done));
    }
    let mut d = Driver::new(source);
    d.press("4 j m j m j m j m g <enter>").wait();
    let screen = d.screen(120, 40);
    for letter in ["A ", "B ", "C ", "D "] {
        assert!(screen.contains(&format!("{letter}jubaopen val")), "{letter} {screen}");
    }
}

#[test]
fn every_size_draws_without_harm() {
    let _turn = speak(Lang::Zh);
    for keys in ["4 j m k <enter>", "4 <enter> t", "4 <enter> i", "5 v", "5 j m k f", "5 j m k f <enter>", "7 o", "7 e"]
    {
        let mut d = Driver::new(busy());
        d.press(keys).wait();
        for width in (1..130).step_by(9) {
            for height in (1..45).step_by(4) {
                d.screen(width, height);
            }
        }
    }
}
