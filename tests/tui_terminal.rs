//! The real program in a pseudo-terminal (tmux): it opens, draws, follows a run of another process, and
//! gives the terminal back however it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tui_support;
mod window;

use linly_bench::job::{EventSink, JobEvent};
use linly_bench::store::{NewRun, Store, StoreSink};
use std::path::Path;
use std::process::{Command, Stdio};
use window::{PROGRAM, Window};

#[test]
fn it_opens_switches_screens_and_gives_the_terminal_back() {
    let Some(window) = Window::open(&format!("{PROGRAM} --lang en")) else { return };
    window.past_the_tour();
    window.press("4");
    window.until_shown("No training yet.");
    window.press("Tab");
    window.until_shown("No score yet.");
    window.press("?");
    window.until_shown("Everywhere");
    window.press("Escape");
    window.until("the help to close", |screen| !screen.contains("Everywhere"));
    let modes = window.tmux(&["display-message", "-p", "-t", "w", "#{alternate_on} #{mouse_any_flag}"]);
    assert_eq!(modes.trim(), "1 1");
    window.press("q");
    assert_eq!(window.is_given_back(), 0);
}

#[test]
fn ctrl_c_leaves() {
    let Some(window) = Window::open(&format!("{PROGRAM} tui --lang zh")) else { return };
    window.until_shown("欢迎");
    window.press("C-c");
    assert_eq!(window.is_given_back(), 0);
}

#[test]
fn signals_that_end_the_program_give_the_terminal_back() {
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        let Some(window) = Window::open(&format!("{PROGRAM} --lang en")) else { return };
        window.past_the_tour();
        window.signal(signal);
        assert_eq!(window.is_given_back(), 130, "signal {signal}");
    }
}

#[test]
fn it_follows_a_training_of_another_process() {
    let Some(window) = Window::open(&format!("{PROGRAM} --lang en")) else { return };
    window.past_the_tour();
    let store = Store::open(&window.home.path().join("home")).unwrap();
    let new = NewRun { kind: "train", model: "tiny".into(), adapter: "jubaopen".into(), ..NewRun::default() };
    let (run, lease) = store.start_run(&new).unwrap();
    let sink = StoreSink::new(&store, &run);
    window.press("4");
    window.until_shown("jubaopen");
    window.press("Enter");
    sink.emit(&JobEvent::Started { run: run.clone(), kind: "train".into(), total: 10 });
    for step in 1..=5 {
        sink.emit(&tui_support::step(step, 10));
    }
    let screen = window.until_shown("step 5 of 10");
    assert!(screen.contains("running"), "{screen}");
    sink.emit(&tui_support::step(6, 10));
    window.until_shown("step 6 of 10");
    drop(lease);
    window.until_shown("--resume");
    window.press("q");
    assert_eq!(window.is_given_back(), 0);
}

#[test]
fn without_a_terminal_it_prints_help_and_gives_code_2() {
    let home = tempfile::tempdir().unwrap();
    for args in [&["--lang", "en"][..], &["tui"]] {
        let out = Command::new(PROGRAM)
            .args(args)
            .env("LINLY_BENCH_HOME", home.path().join("h"))
            .stdin(Stdio::null())
            .output();
        let out = out.unwrap();
        assert_eq!(out.status.code(), Some(2));
        let told = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
        assert!(told.contains("Usage:") && told.contains("tui"), "{told}");
    }
    assert!(!Path::new(&home.path().join("h")).exists(), "no trace is left");
}

/// What [`a_panic_gives_the_terminal_back`] runs in its window: no test of its own.
#[test]
#[ignore = "run by a_panic_gives_the_terminal_back"]
fn panics_in_the_session() {
    if std::env::var_os("TUI_PANIC").is_some() {
        let _session = linly_bench::tui::Session::start().unwrap();
        panic!("on purpose");
    }
}

#[test]
fn a_panic_gives_the_terminal_back() {
    let me = std::env::current_exe().unwrap();
    let me = format!("env TUI_PANIC=1 {} --exact panics_in_the_session --ignored --nocapture", me.display());
    let Some(window) = Window::open(&me) else { return };
    assert_eq!(window.is_given_back(), 101);
    assert!(window.screen().contains("on purpose"), "the message is readable: {}", window.screen());
}
