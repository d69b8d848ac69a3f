//! Pictures of every screen, in three sizes and two languages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tui_support;

use linly_bench::lang::Lang;
use linly_bench::tui::View;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use tui_support::*;
use unicode_width::UnicodeWidthStr;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 12)];

/// One picture per size and language of what is reached by `keys`.
fn album(source: fn() -> Fake, keys: &str) -> String {
    let mut pages = String::new();
    for lang in [Lang::En, Lang::Zh] {
        let _turn = speak(lang);
        for (width, height) in SIZES {
            let mut d = Driver::launching(source(), true);
            // Paging depends on the size that was drawn last.
            d.screen(width, height);
            d.press(keys).wait();
            pages.push_str(&format!("== {lang:?} {width} x {height}\n{}\n", d.screen(width, height)));
        }
    }
    pages
}

fn broken() -> Fake {
    Fake { broken: true, ..filled() }
}

fn without_models() -> Fake {
    Fake { models: Vec::new(), ..filled() }
}

macro_rules! pictures {
    ($($name:ident: $source:expr, $keys:literal;)*) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(album($source, $keys));
        })*
    };
}

pictures! {
    home: filled, "1";
    home_empty: Fake::default, "1";
    home_error: broken, "1";
    models: filled, "3";
    model: filled, "3 j <enter>";
    jobs: filled, "8";
    jobs_empty: Fake::default, "8";
    job_log: filled, "8 j <enter>";
    settings: filled, "9";
    palette: filled, ": d a t";
    leaving: filled, "8 q";
    datasets: filled, "2";
    datasets_empty: Fake::default, "2";
    datasets_error: broken, "2";
    datasets_filtered: filled, "/ z h";
    rows: filled, "<enter>";
    row_with_everything: filled, "<enter> j j j j <enter>";
    rows_narrowed: filled, "<enter> p p";
    rows_none: filled, "<enter> p p L L";
    mask: filled, "<enter> j j j j <enter> m";
    mask_long: filled, "<enter> j j <enter> m t";
    mask_error: filled, "<enter> <enter> m t t";
    mask_without_a_model: without_models, "<enter> <enter> m";
    versions: filled, "v";
    difference: filled, "v <enter>";
    delete: filled, "j d";
    trainings: filled, "4";
    trainings_empty: Fake::default, "4";
    training_running: filled, "4 <enter>";
    training_form: filled, "4 n";
    training_form_right: filled, "4 n <ctrl-n> <tab> <ctrl-n> <tab> m y <tab>";
    training_form_doubtful: filled, "4 n <ctrl-n> <tab> f i n a n e c <tab> m y <enter>";
    training_failed: filled, "4 j j <enter>";
    scores: filled, "5";
    scores_empty: Fake::default, "5";
    subjects_compared: filled, "5 j m k <enter>";
    items_compared: filled, "5 j m k <enter> <enter>";
    item_compared: filled, "5 j m k <enter> <enter> j <enter>";
    arenas: filled, "6";
    arenas_empty: Fake::default, "6";
    battle: filled, "6 <enter>";
    battle_voted: filled, "6 <enter> a";
    leaderboard: filled, "7";
    leaderboard_empty: Fake::default, "7";
    help: filled, "6 <enter> ?";
}

/// Every screen before the source has answered anything.
#[test]
fn loading() {
    let mut pages = String::new();
    for lang in [Lang::En, Lang::Zh] {
        let _turn = speak(lang);
        for screen in 1..=9 {
            let mut d = Driver::unanswered();
            d.app.key(KeyEvent::from(KeyCode::Char(char::from_digit(screen, 10).unwrap())));
            for (width, height) in [(80, 12), (40, 12)] {
                pages.push_str(&format!("== {lang:?} {width} x {height}\n{}\n", d.screen(width, height)));
            }
        }
    }
    insta::assert_snapshot!(pages);
}

#[test]
fn too_small_a_terminal_is_told_so() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(filled());
    for (width, height) in [(39, 24), (80, 11), (1, 1), (10, 3)] {
        let screen = d.screen(width, height);
        assert!(width < 20 || screen.contains("too small"), "{screen}");
    }
    assert!(!d.screen(40, 12).contains("too small"));
}

/// Box lines, arrows, dots and quotes of "ambiguous" width are two columns wide in some East Asian
/// terminals and would shift everything after them.
#[test]
fn frames_use_no_character_of_ambiguous_width() {
    for lang in [Lang::En, Lang::Zh] {
        let _turn = speak(lang);
        for keys in ["1", "?", "2", "3", "4", "5", "6", "7", "8", "9", ":", "d", "v", "v <enter>", "<enter> <enter> m"]
        {
            for source in [Fake::default as fn() -> Fake, filled] {
                let mut d = Driver::new(source());
                d.press(keys).wait();
                let screen = d.screen(120, 40);
                for symbol in screen.chars().map(String::from) {
                    // Full-width punctuation is wide in both measures.
                    assert_eq!(symbol.width(), symbol.width_cjk(), "{symbol:?} in {keys}: {screen}");
                }
            }
        }
        let mut d = Driver::new(filled());
        d.press("4 <enter>").wait();
        assert_eq!(d.app.view(), View::Dashboard);
        let screen = d.screen(120, 40);
        assert!(screen.chars().map(String::from).all(|s| s.width() == s.width_cjk()), "{screen}");
    }
}

#[test]
fn every_size_draws_without_harm() {
    let _turn = speak(Lang::Zh);
    let walks = [
        "1", "2", "<enter>", "<enter>", "3", "4", "<enter>", "5", "<enter>", "<enter>", "<enter>", "6", "<enter>", "a",
        "7", "8", "<enter>", "9", "?", "<esc>", ":",
    ];
    let mut d = Driver::new(filled());
    for keys in walks {
        d.press(keys).wait();
        for width in (1..130).step_by(7) {
            for height in (1..45).step_by(5) {
                d.screen(width, height);
            }
        }
    }
}
