//! The real program in a pseudo-terminal (tmux), driven by keys.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_linly-bench");

/// Longest wait for anything on the screen.
const PATIENCE: Duration = Duration::from_secs(120);

/// A tmux server of its own with one window, gone when dropped.
pub struct Window {
    pub home: TempDir,
    socket: String,
}

impl Window {
    /// Runs `program` (a shell command) in a window of 100 by 30; none without tmux.
    pub fn open(program: &str) -> Option<Window> {
        Window::open_in(tempfile::tempdir().unwrap(), program)
    }

    /// The same in a folder that is filled already.
    pub fn open_in(home: TempDir, program: &str) -> Option<Window> {
        if Command::new("tmux").arg("-V").output().is_err() {
            eprintln!("skipped: there is no tmux on this machine");
            return None;
        }
        let socket = home.path().join("tmux").display().to_string();
        let window = Window { home, socket };
        window.launch(program);
        Some(window)
    }

    /// Closes the window, whatever is in it, and opens another one in the same folder.
    pub fn reopen(&self, program: &str) {
        self.tmux(&["kill-server"]);
        self.launch(program);
    }

    fn launch(&self, program: &str) {
        let folder = self.home.path().display();
        // The shell notes the terminal's settings before and after, and the process id of the program.
        let script = format!(
            "cd '{folder}'; rm -f after code; stty -g > before; sh -c 'echo $$ > pid; exec {program}'; echo $? > code; \
             stty -g > after; echo the-shell-is-back; cat"
        );
        let home = format!("LINLY_BENCH_HOME={folder}/home");
        let size = ["-x", "100", "-y", "30"];
        let session = ["-f", "/dev/null", "new-session", "-d", "-s", "w"];
        let environment = ["-e", &home, "-e", "LC_ALL=C.UTF-8", &script];
        // The server of a window that was closed may still be on its way out.
        let begun = Instant::now();
        while !self.tried(&[&session[..], &size, &environment].concat()) {
            assert!(begun.elapsed() < PATIENCE, "tmux opens no window");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn tried(&self, args: &[&str]) -> bool {
        Command::new("tmux").arg("-S").arg(&self.socket).args(args).output().unwrap().status.success()
    }

    pub fn tmux(&self, args: &[&str]) -> String {
        let out = Command::new("tmux").arg("-S").arg(&self.socket).args(args).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", "w"])
    }

    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", "-t", "w", key]);
    }

    /// Types text as it is.
    pub fn type_text(&self, text: &str) {
        self.tmux(&["send-keys", "-t", "w", "-l", text]);
    }

    /// Presses Esc and waits until what it leaves is gone: a key that comes right after Esc would be one with Alt.
    pub fn escape(&self, left: &str) {
        self.press("Escape");
        self.until(&format!("{left} to go"), |screen| !screen.contains(left));
    }

    /// Looks again until `done` says so.
    pub fn until(&self, what: &str, done: impl Fn(&str) -> bool) -> String {
        let started = Instant::now();
        loop {
            let screen = self.screen();
            if done(&screen) {
                return screen;
            }
            assert!(started.elapsed() < PATIENCE, "waited in vain for {what}:\n{screen}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    pub fn until_shown(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    /// Leaves the first steps and opens the datasets.
    pub fn past_the_tour(&self) {
        self.until_shown("1 of 5");
        self.escape("1 of 5");
        self.until_shown("watch the demo");
        self.press("2");
        self.until_shown("No dataset yet.");
    }

    pub fn note(&self, file: &str) -> String {
        std::fs::read_to_string(self.home.path().join(file)).unwrap_or_default().trim().to_owned()
    }

    /// Waits until the program is gone. What a killed one leaves on the screen may break the shell's own words apart.
    pub fn until_gone(&self) {
        self.until("the program's end", |_| !self.note("code").is_empty());
    }

    /// Waits for the shell and checks that the terminal is as it was. Gives the exit code.
    pub fn is_given_back(&self) -> i32 {
        self.until_shown("the-shell-is-back");
        let modes =
            self.tmux(&["display-message", "-p", "-t", "w", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}"]);
        assert_eq!(modes.trim(), "0 0 1", "alternate screen, mouse, cursor");
        assert!(!self.note("before").is_empty());
        assert_eq!(self.note("before"), self.note("after"), "settings of the terminal");
        self.note("code").parse().unwrap()
    }

    pub fn signal(&self, signal: i32) {
        let pid: i32 = self.note("pid").parse().unwrap();
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
