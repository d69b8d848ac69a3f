//! The real program in a pseudo-terminal (tmux): it opens, draws, follows a run of another process, and
//! gives the terminal back however it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tiny;
mod tui_support;
mod window;

use linly_bench::arena::Winner;
use linly_bench::job::{EventSink, JobEvent};
use linly_bench::store::{NewRun, RunStatus, Store, StoreSink};
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
fn a_live_battle_is_fought_and_voted_on_by_keys_alone() {
    let Some(window) = Window::open(&format!("{PROGRAM} --lang en")) else { return };
    window.past_the_tour();
    let home = window.home.path().join("home");
    for model in ["llama", "qwen2"] {
        tiny::with_tokenizer(&home.join("models"), model);
    }
    window.press("6");
    window.until_shown("No arena yet.");
    window.press("b");
    let form = window.until_shown("qwen2");
    assert!(form.contains("llama"), "the form begins with the two there are: {form}");
    window.press("Enter");
    window.until_shown("Your question");
    let over = loop {
        window.type_text("what is a bond? the bond is");
        window.press("Enter");
        let screen = window.until_shown("Which answer is better?");
        // A model of random weights may end before it begins.
        if !screen.contains("(no answer)") {
            break screen;
        }
        window.press("n");
        window.until_shown("Your question");
    };
    assert!(!over.contains("llama") && !over.contains("qwen2"), "names before the vote: {over}");
    window.press("b");
    let told = window.until_shown("You voted: B is better.");
    assert!(told.contains("llama") && told.contains("qwen2"), "{told}");
    window.press("d");
    window.until_shown("which dataset?");
    window.type_text("kept");
    window.press("Enter");
    window.until_shown("row 0 of kept");
    window.press("U");
    window.until_shown("taken back");
    window.press("d");
    window.until_shown("row 0 of kept");
    window.press("v");
    window.until_shown("right better");
    window.until_shown("tokens/s");
    window.press("Escape");
    window.until_shown("You voted");
    window.press("r");
    window.until_shown("what may be said");
    window.press("Escape");
    window.until_shown("You voted");
    window.press("Escape");
    window.until_shown("waiting for a vote");
    window.press("q");
    assert_eq!(window.is_given_back(), 0);
    let store = Store::open(&home).unwrap();
    let battles = store.battles("live").unwrap();
    let last = battles.last().unwrap();
    assert_eq!(last.winner, Some(Winner::B));
    assert_eq!(store.rows("kept", &Default::default()).unwrap()[0].example.output, last.answer_b);
    assert_eq!(store.runs(Some("arena")).unwrap()[0].status, RunStatus::Done, "the sitting's run is closed");
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
