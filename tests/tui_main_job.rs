//! The whole job by keys only, in the real program: import, look at rows, train, watch, score, leaderboard. And in each phase
//! the job's process and the interface are killed: reopened, it shows the job as interrupted, and a key goes on with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod place;
mod tiny;
mod window;

use linly_bench::workbench::Workbench;
use linly_bench::workbench::jobs::{self, JobState};
use place::{at_work, bench, ended, fill, kill, signal, until, weights};
use std::path::Path;
use window::{PROGRAM, Window};

fn program() -> String {
    format!("{PROGRAM} --lang en")
}

/// Fills the fields of the form that is open, in order, and starts the job.
fn fill_in(window: &Window, verb: &str, values: &[&str]) {
    window.until_shown(&format!("╌╌ {verb}  "));
    for value in values {
        window.type_text(value);
        window.press("Tab");
    }
    window.until_shown("Enter starts it");
    window.press("Enter");
}

/// Waits until the job whose log is open has ended well.
fn done(window: &Window) {
    window.until("the end of the job", |screen| screen.contains("done") && screen.contains("exit code 0"));
}

/// Opens the form of a new training with the fields up to the steps.
fn start_training(window: &Window, adapter: &str, steps: &str) {
    window.press("4");
    window.until_shown("Training  /");
    window.press("n");
    fill_in(window, "train", &["llama", "sums", adapter, "", steps]);
}

#[test]
fn the_whole_job_is_done_by_keys() {
    let home = tempfile::tempdir().unwrap();
    fill(home.path(), 30);
    let Some(window) = Window::open_in(home, &program()) else { return };
    window.past_the_tour();
    // Import.
    window.press("n");
    fill_in(&window, "data import", &["rows.jsonl", "sums"]);
    done(&window);
    window.until_shown("46 rows imported");
    // Look at the rows.
    window.press("2");
    window.until("the dataset", |screen| screen.contains("Datasets  /  1") && screen.contains("▸ sums"));
    window.press("Enter");
    window.until_shown("what is 3 and 3?");
    window.press("j");
    window.press("Enter");
    window.until("one row", |screen| screen.contains("what is 1 and 1?") && screen.contains("2 coins"));
    // Train: what it takes is told before; a wrong name is told with the right one.
    window.press("4");
    window.until_shown("No training yet.");
    window.press("n");
    window.until_shown("╌╌ train  ");
    window.type_text("llama");
    window.press("Tab");
    window.type_text("smus");
    window.until_shown("no dataset `smus`; nearest: `sums`");
    for _ in 0..4 {
        window.press("BSpace");
    }
    window.type_text("sums");
    window.until("what it takes", |screen| {
        screen.contains("free (on the processor)") && screen.contains("this model was not trained here yet")
    });
    window.press("Tab");
    window.type_text("little");
    window.press("Tab");
    window.press("Tab");
    window.type_text("60");
    window.until_shown("unknown for 60 steps");
    window.press("Enter");
    done(&window);
    // Watch.
    window.press("4");
    window.until("the training", |screen| screen.contains("Training  /  1") && screen.contains("done"));
    window.press("Enter");
    window.until_shown("step 60 of 60");
    // The next one knows how long it takes.
    window.escape("step 60 of 60");
    window.press("n");
    window.until_shown("╌╌ train  ");
    window.type_text("llama");
    window.press("Tab");
    window.type_text("sums");
    window.until("the time", |screen| screen.contains("tokens/s as in train-") && screen.contains("10 steps"));
    window.escape("╌╌ train  ");
    // Score.
    window.press("5");
    window.until_shown("No score yet.");
    window.press("n");
    fill_in(&window, "run", &["quiz.toml", "llama", "little"]);
    done(&window);
    // The leaderboard, and from a figure to its run.
    window.press("7");
    window.until("the leaderboard", |screen| screen.contains("Leaderboard  /  2") && screen.contains("▸quiz"));
    window.press("Enter");
    window.until("the run itself", |screen| screen.contains("▸ quiz") && screen.contains("it comes from eval-"));
    window.press("7");
    window.until_shown("Leaderboard  /  2");
    window.press(".");
    window.until_shown("loss sums (2 of 2)");
    window.press("Enter");
    window.until_shown("step 60 of 60");
    window.press("q");
    assert_eq!(window.is_given_back(), 0);
}

/// The job that was started last, once it has a process.
fn newest(bench: &Workbench, before: usize) -> (String, u32) {
    until("the job", || {
        let list = jobs::list(bench).unwrap();
        let job = list.first().filter(|_| list.len() > before)?;
        Some((job.record.id.clone(), job.record.pid?))
    })
}

/// Ends the interface by `how`, opens it anew, and goes on with the interrupted job by a key, to its end.
fn reopened_and_resumed(window: &Window, how: i32) {
    window.signal(how);
    match how {
        // Nothing can be given back by a program that is killed; the shell is back.
        libc::SIGKILL => {
            window.until_gone();
            assert_eq!(window.note("code"), "137");
        }
        _ => assert_eq!(window.is_given_back(), 130),
    }
    window.reopen(&program());
    window.until_shown("▸1 Home");
    window.press("8");
    window.until("the interrupted job", |screen| screen.contains("Jobs  /") && screen.contains("▸ interrupted"));
    window.press("Enter");
    // Why, and how it goes on, is told above its log.
    window.until_shown("it was killed");
    window.press("r");
    window.until_shown("started in the background");
    done(window);
    window.escape("exit code 0");
    // The first of the two, which is still selected, goes on as the second and cannot be resumed twice.
    window.until("the list", |screen| screen.contains("Jobs  /") && screen.contains("▸ interrupted"));
    window.press("r");
    window.until_shown("it goes on as job-");
}

fn many_rows(dir: &Path, rows: usize) {
    let row = |i: usize| format!("{{\"instruction\": \"what is {i}?\", \"output\": \"a number, the {i}th\"}}\n");
    std::fs::write(dir.join("many.jsonl"), (0..rows).map(row).collect::<String>()).unwrap();
}

#[test]
fn a_crash_in_any_phase_leaves_a_job_that_a_key_goes_on_with() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().to_owned();
    fill(&dir, 3000);
    many_rows(&dir, 60_000);
    let Some(window) = Window::open_in(home, &program()) else { return };
    window.past_the_tour();
    let bench = bench(&dir);
    // Import: held and killed as soon as it has a process.
    window.press("n");
    fill_in(&window, "data import", &["many.jsonl", "many"]);
    let (job, pid) = newest(&bench, 0);
    signal(pid, libc::SIGSTOP);
    assert_eq!(jobs::show(&bench, &job).unwrap().record.state, JobState::Running);
    kill(&bench, &job);
    assert!(bench.store.datasets().unwrap().is_empty(), "half a dataset was left");
    reopened_and_resumed(&window, libc::SIGKILL);
    assert_eq!(bench.store.dataset("many").unwrap().rows, 60_000);

    // The small file, for what follows.
    window.press("2");
    window.until_shown("60,000");
    window.press("n");
    fill_in(&window, "data import", &["rows.jsonl", "sums"]);
    done(&window);

    // Training: the interface is hung up on.
    start_training(&window, "straight", "400");
    done(&window);
    let before = jobs::list(&bench).unwrap().len();
    start_training(&window, "crashed", "400");
    let (job, _) = newest(&bench, before);
    let run = at_work(&bench, &job, 25);
    kill(&bench, &job);
    reopened_and_resumed(&window, libc::SIGHUP);
    assert!(weights(&dir, "crashed") == weights(&dir, "straight"), "another adapter");
    assert_eq!(bench.store.run(&run).unwrap().status.as_str(), "done");

    // Scoring: the interface is asked to end.
    let before = jobs::list(&bench).unwrap().len();
    window.press("5");
    window.until_shown("No score yet.");
    window.press("n");
    fill_in(&window, "run", &["quiz.toml", "llama", "crashed"]);
    let (job, _) = newest(&bench, before);
    let run = at_work(&bench, &job, 1);
    kill(&bench, &job);
    let kept = bench.store.outcomes(&run).unwrap().len();
    assert!(kept < 3000, "it was killed in the middle");
    reopened_and_resumed(&window, libc::SIGTERM);
    assert_eq!(bench.store.outcomes(&run).unwrap().len(), 3000);
    assert_eq!(bench.store.runs(Some("eval")).unwrap().len(), 1, "it is the same run");
    window.press("q");
    assert_eq!(window.is_given_back(), 0);
}

#[test]
fn a_job_outlives_the_interface_that_started_it_and_is_found_by_the_next() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().to_owned();
    fill(&dir, 1);
    let Some(window) = Window::open_in(home, &program()) else { return };
    window.past_the_tour();
    window.press("n");
    fill_in(&window, "data import", &["rows.jsonl", "sums"]);
    done(&window);
    let bench = bench(&dir);
    for how in [libc::SIGKILL, libc::SIGHUP, libc::SIGTERM] {
        let before = jobs::list(&bench).unwrap().len();
        start_training(&window, "outlives", "4000");
        let (job, _) = newest(&bench, before);
        at_work(&bench, &job, 3);
        window.signal(how);
        window.until_gone();
        // Its window goes too: the job has no terminal to lose.
        window.reopen(&program());
        window.until_shown("▸1 Home");
        window.press("8");
        window.until("the running job", |screen| screen.contains("Jobs  /") && screen.contains("▸ running"));
        window.press("Enter");
        window.press("s");
        window.until("the stopped job", |screen| screen.contains("interrupted") && screen.contains("exit code 130"));
        assert_eq!(ended(&bench, &job).record.exit_code, Some(130), "signal {how}");
    }
    window.press("q");
    assert_eq!(window.is_given_back(), 0);
}
