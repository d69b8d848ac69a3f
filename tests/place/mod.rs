//! A home with a tiny model, rows to train on and a benchmark of a few questions: enough for the whole job in a second.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::tiny;
use linly_bench::config::Settings;
use linly_bench::job::JobEvent;
use linly_bench::workbench::Workbench;
use linly_bench::workbench::jobs::{self, JobState, JobView};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_linly-bench");

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A folder with `home`, `llama` (the model), `rows.jsonl` and `quiz.toml`; commands are started in it.
pub struct Place(pub tempfile::TempDir);

impl Place {
    /// `questions` is how many the benchmark has.
    pub fn new(questions: usize) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fill(place.dir(), questions);
        place
    }

    /// The same with the rows imported as `sums`.
    pub fn with_rows(questions: usize) -> Place {
        let place = Place::new(questions);
        place.succeeds("data import rows.jsonl --name sums --lang en");
        place
    }

    pub fn dir(&self) -> &Path {
        self.0.path()
    }

    pub fn home(&self) -> PathBuf {
        self.dir().join("home")
    }

    /// The open home of this process.
    pub fn bench(&self) -> Workbench {
        bench(self.dir())
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env("LINLY_BENCH_HOME", self.home()).env("LC_ALL", "C.UTF-8").env_remove("LINLY_BENCH_DATA");
        command.current_dir(self.dir()).args(line.split_whitespace());
        command
    }

    pub fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// stdout of a command that must succeed.
    pub fn succeeds(&self, line: &str) -> String {
        let out = self.run(line);
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    /// stderr of a command that must fail with this exit code and a hint.
    pub fn fails(&self, code: i32, line: &str) -> String {
        let out = self.run(line);
        let stderr = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(code), "{line}: {stderr}");
        assert!(stderr.contains("hint: "), "{line}: {stderr}");
        stderr
    }

    pub fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.succeeds(&format!("{line} --json"))).unwrap()
    }

    /// Starts `line` as a job with the command line; its id.
    pub fn starts(&self, line: &str) -> String {
        self.succeeds(&format!("jobs start -- {line}")).trim().to_owned()
    }
}

/// The home below `dir`, opened.
pub fn bench(dir: &Path) -> Workbench {
    Workbench::open(Settings { home: dir.join("home"), data_dir: None, seed: 42 }).unwrap()
}

/// Model, rows and benchmark in `dir`.
pub fn fill(dir: &Path, questions: usize) {
    tiny::with_tokenizer(dir, "llama");
    let row = |i: usize| {
        let split = if i < 40 { "train" } else { "val" };
        let (a, b) = (i % 13, i % 7);
        let row = json!({"instruction": format!("what is {a} and {b}?"), "output": format!("{} coins", a + b),
            "input": format!("no {i}"), "split": split});
        format!("{row}\n")
    };
    std::fs::write(dir.join("rows.jsonl"), (0..46).map(row).collect::<String>()).unwrap();
    let question = |i: usize| {
        let letter = ["A", "B"][i % 2];
        format!("{}\n", json!({"id": i.to_string(), "q": format!("is {i} a lot?"), "c": ["yes", "no"], "a": letter}))
    };
    std::fs::create_dir_all(dir.join("quiz")).unwrap();
    std::fs::write(dir.join("quiz/test.jsonl"), (0..questions).map(question).collect::<String>()).unwrap();
    let definition = "name = 'quiz'\ntitle = 'Quiz'\nsource = 'own'\nlicence = 'MIT'\nlang = 'en'\nfolder = 'quiz'\n\
        format = 'jsonl'\nsplit = 'test'\ndefault_preset = 'plain'\n[files]\ntest = 'test.jsonl'\n\
        [columns]\nid = 'id'\nquestion = 'q'\nchoices = 'c'\nanswer = 'a'\n\
        [presets.plain]\nbody = '{{q}} {{choices[0]}} or {{choices[1]}}?'\nchoice_style = 'text'\n";
    std::fs::write(dir.join("quiz.toml"), definition).unwrap();
}

/// The arguments of a training of the rows, so many steps long, with a checkpoint after every third.
pub fn train(adapter: &str, steps: usize) -> String {
    format!(
        "train --model llama --data sums --adapter {adapter} --steps {steps} --template linly-chat --batch-size 2 --lr 1e-2 \
         --max-len 64 --eval-every 4 --save-every 3 --schedule wsd"
    )
}

/// Looks again until `done` gives something.
pub fn until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a job has ended.
pub fn ended(bench: &Workbench, job: &str) -> JobView {
    until(&format!("the end of {job}"), || {
        Some(jobs::show(bench, job).unwrap()).filter(|view| view.record.state != JobState::Running)
    })
}

/// Waits until a job has done `done` steps or items of a run, and gives the run.
pub fn at_work(bench: &Workbench, job: &str, done: u64) -> String {
    until(&format!("{job} at work"), || {
        let view = jobs::show(bench, job).unwrap();
        assert_eq!(view.record.state, JobState::Running, "it ended too soon: {:?}", view.record.message);
        let far = view.progress.is_some_and(|p| p.done >= done && p.unit != "bytes");
        view.runs.last().filter(|_| far).cloned()
    })
}

/// Ends a job's process without a word.
pub fn kill(bench: &Workbench, job: &str) {
    signal(jobs::show(bench, job).unwrap().record.pid.expect("a process"), libc::SIGKILL);
    ended(bench, job);
}

pub fn signal(pid: u32, signal: i32) {
    // SAFETY: `kill` only takes numbers; the process is one of this test's.
    assert_eq!(unsafe { libc::kill(pid as i32, signal) }, 0, "process {pid}");
}

/// The figures that the database holds of a training, in order: what must be the same however often it was interrupted.
pub fn figures(bench: &Workbench, run: &str) -> Vec<String> {
    let events = bench.store.events(run, 0).unwrap();
    let figure = |event| match event {
        JobEvent::Step(m) => Some(format!("step {} {} {} {}", m.step, m.loss, m.lr, m.grad_norm)),
        JobEvent::Eval { step, val_loss, best } => Some(format!("eval {step} {val_loss} {best}")),
        _ => None,
    };
    events.into_iter().filter_map(|(_, event)| figure(event)).collect()
}

/// The weights of an adapter.
pub fn weights(dir: &Path, adapter: &str) -> Vec<u8> {
    std::fs::read(dir.join("home/adapters").join(adapter).join("adapter_model.safetensors")).unwrap()
}
