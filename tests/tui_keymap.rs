//! The table of keys: every command can be pressed, is in the help, and no key means two things.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tui_support;

use linly_bench::lang::Lang;
use linly_bench::text;
use linly_bench::tui::{View, commands, find, help_text, key_name, keys};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::HashMap;
use tui_support::speak;

#[test]
fn no_key_means_two_things_and_every_command_has_one() {
    for view in View::ALL {
        let mut seen = HashMap::new();
        for action in commands(view) {
            assert!(!keys(action).is_empty(), "{view:?}: {action:?} has no key");
            for &key in keys(action) {
                let other = seen.insert(key, action);
                assert!(other.is_none_or(|o| o == action), "{view:?}: {key:?} is {other:?} and {action:?}");
            }
        }
    }
}

#[test]
fn pressing_a_key_finds_its_command() {
    for view in View::ALL {
        for action in commands(view) {
            for &key in keys(action) {
                assert_eq!(find(view, key.event()), Some(action), "{view:?} {key:?}");
            }
        }
        let odd = KeyEvent::new(KeyCode::F(12), KeyModifiers::NONE);
        assert_eq!(find(view, odd), None);
        let alt = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::ALT);
        assert_eq!(find(view, alt), None);
    }
}

#[test]
fn the_help_tells_every_command_in_both_languages() {
    for lang in [Lang::En, Lang::Zh] {
        let _turn = speak(lang);
        for view in View::ALL {
            let help: String = help_text(view, true).iter().map(|b| b.body.clone() + "\n").collect();
            for action in commands(view) {
                let names: Vec<String> = keys(action).iter().map(|&k| key_name(k)).collect();
                let line = format!("{} {}", text::pad(&names.join("  "), 20), action.label());
                assert!(help.lines().any(|l| l == line), "{view:?} lacks {line:?} in {help}");
            }
        }
    }
}
