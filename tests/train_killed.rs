//! `train` with a tiny model as a user meets it: killed with SIGKILL at any moment and resumed it gives, bit for bit,
//! what an undisturbed training gives; samples change nothing; lost numbers and wrong flags are answered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use linly_bench::config::Settings;
use linly_bench::job::JobEvent;
use linly_bench::model::{adapter, open};
use linly_bench::workbench::Workbench;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// 160 rows, two in a micro-batch, two of those a step: 40 steps an epoch.
const ROWS: usize = 160;
const STEPS: u64 = 80;

/// A home with the rows `sums`, and beside it the tiny llama with a tokenizer of single characters.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        let model = place.model();
        std::fs::create_dir_all(&model).unwrap();
        let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/tiny/llama");
        std::fs::copy(tiny.join("model.safetensors"), model.join("model.safetensors")).unwrap();
        let mut config: Value = serde_json::from_slice(&std::fs::read(tiny.join("config.json")).unwrap()).unwrap();
        config["eos_token_id"] = json!(63);
        let letters = ('a'..='z').chain('0'..='9').chain("UB ?+=:.,\n".chars());
        let vocabulary: serde_json::Map<String, Value> =
            letters.enumerate().map(|(id, letter)| (letter.to_string(), json!(id))).collect();
        let end = json!({"id": 63, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true});
        let tokenizer = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [end],
            "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
            "model": {"type": "BPE", "vocab": filled(vocabulary), "merges": []}});
        for (name, value) in [
            ("config.json", config),
            ("tokenizer.json", tokenizer),
            ("tokenizer_config.json", json!({"eos_token": "</s>"})),
        ] {
            std::fs::write(model.join(name), value.to_string()).unwrap();
        }
        let row = |i: usize| {
            let split = if i < ROWS { "train" } else { "val" };
            let output = format!("{} coins", (i % 13) + (i % 7));
            let instruction = format!("what is {} + {}?", i % 13, i % 7);
            format!(
                "{}\n",
                json!({"instruction": instruction, "output": output, "split": split, "input": format!("no {i}")})
            )
        };
        let file = place.0.path().join("rows.jsonl");
        std::fs::write(&file, (0..ROWS + 6).map(row).collect::<String>()).unwrap();
        let imported = place.run(&["data", "import", file.to_str().unwrap(), "--name", "sums", "--lang", "en"]);
        assert!(imported.status.success(), "{}", stderr(&imported));
        place
    }

    fn home(&self) -> PathBuf {
        self.0.path().join("home")
    }

    fn model(&self) -> PathBuf {
        self.0.path().join("model")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linly-bench"));
        command.env("LINLY_BENCH_HOME", self.home()).env("LC_ALL", "C.UTF-8").env_remove("LINLY_BENCH_DATA").args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The arguments of a training of this place's model, with `more` at the end.
    fn train<'a>(&self, adapter: &'a str, more: &[&'a str]) -> Vec<String> {
        let model = self.model();
        let fixed = "train --data sums --template linly-chat --epochs 2 --batch-size 2 --accum 2 --max-len 64 --lr 1e-2 \
                     --dropout 0.05 --target all --eval-every 4 --save-every 3 --schedule wsd --lora-plus 4";
        let names = ["--model", model.to_str().unwrap(), "--adapter", adapter];
        fixed.split_whitespace().chain(names).chain(more.iter().copied()).map(str::to_owned).collect()
    }

    fn weights(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.home().join("adapters").join(name).join("adapter_model.safetensors")).unwrap()
    }

    /// A training without a disturbance; its events.
    fn straight(&self, name: &str, more: &[&str]) -> Vec<Value> {
        let args = self.train(name, &[&["--json"], more].concat());
        let out = self.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(out.status.success(), "{}", stderr(&out));
        String::from_utf8(out.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What the database holds of a run: the figures of every step and validation, in order.
    fn stored(&self, run: &str) -> Vec<(u64, String)> {
        let bench = Workbench::open(Settings { home: self.home(), data_dir: None, seed: 42 }).unwrap();
        let events = bench.store.events(run, 0).unwrap();
        events
            .into_iter()
            .filter_map(|(_, event)| match event {
                JobEvent::Step(m) => Some((m.step, format!("{} {} {} {}", m.loss, m.smoothed_loss, m.lr, m.grad_norm))),
                JobEvent::Eval { step, val_loss, best } => Some((step, format!("{val_loss} {best}"))),
                JobEvent::Warning { step, message } => Some((step, message)),
                _ => None,
            })
            .collect()
    }

    fn checkpoints(&self, run: &str) -> Vec<PathBuf> {
        let folder = self.home().join("runs").join(run);
        let mut files: Vec<(u64, PathBuf)> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name()?.to_str()?.to_owned();
                Some((name.strip_prefix("checkpoint-")?.strip_suffix(".safetensors")?.parse().ok()?, path))
            })
            .collect();
        files.sort();
        files.into_iter().map(|(_, path)| path).collect()
    }
}

/// The vocabulary with names for the ids that no letter has, up to the end token.
fn filled(mut vocabulary: serde_json::Map<String, Value>) -> Value {
    for id in vocabulary.len()..63 {
        vocabulary.insert(format!("<{id}>"), json!(id));
    }
    Value::Object(vocabulary)
}

fn stderr(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// What of a step event must repeat: everything but time and memory.
fn figures(events: &[Value]) -> BTreeMap<u64, Vec<Value>> {
    let keys = ["loss", "smoothed_loss", "lr", "grad_norm", "tokens", "supervised_tokens", "total"];
    let steps = events.iter().filter(|e| e["event"] == "step");
    steps.map(|e| (e["step"].as_u64().unwrap(), keys.iter().map(|k| e[*k].clone()).collect())).collect()
}

/// Starts a command whose stdout holds few lines: it cannot run far ahead of its reader, so that a kill after a line
/// is a kill soon after that line, however slow the reader is.
fn start(mut command: Command) -> Child {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        let pipe = child.stdout.as_ref().unwrap().as_raw_fd();
        // SAFETY: the descriptor is open; the call changes how much its pipe holds.
        assert!(unsafe { libc::fcntl(pipe, libc::F_SETPIPE_SZ, 4096) } >= 4096);
    }
    child
}

/// Reads a training's events and kills it after `steps` of them were steps. Gives all that came out, also after the kill.
fn killed(command: Command, steps: usize) -> Vec<Value> {
    let mut child = start(command);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut events, mut seen) = (Vec::<Value>::new(), 0);
    for line in &mut lines {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        seen += usize::from(event["event"] == "step");
        events.push(event);
        if seen == steps {
            break;
        }
    }
    // SIGKILL: nothing in the process hears of it.
    child.kill().unwrap();
    // The last line may be cut.
    events.extend(lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()));
    child.wait().unwrap();
    events
}

fn run_of(events: &[Value]) -> &str {
    events[0]["run"].as_str().unwrap()
}

#[test]
fn killed_at_any_moment_and_resumed_is_the_same_training() {
    let place = Place::new();
    let straight = place.straight("straight", &[]);
    let expected = figures(&straight);
    assert_eq!(expected.len() as u64, STEPS);
    let seed: u64 = std::env::var("LINLY_BENCH_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_124);
    println!("seed {seed} (LINLY_BENCH_TEST_SEED)");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for round in 0..5 {
        let name = format!("killed-{round}");
        // The first kill of the second round comes after the border of the epochs.
        let kills: Vec<usize> = (0..rng.random_range(1..=3)).map(|_| rng.random_range(1..=8)).collect();
        let kills = if round == 1 { vec![42, kills[0]] } else { kills };
        println!("round {round}: kills after {kills:?} steps seen");
        let mut events = Vec::new();
        let mut run = String::new();
        for (i, steps) in kills.iter().enumerate() {
            let args = if i == 0 {
                place.train(&name, &["--json"])
            } else {
                ["train", "--json", "--resume", &run].map(str::to_owned).to_vec()
            };
            let part = killed(place.command(&args.iter().map(String::as_str).collect::<Vec<_>>()), *steps);
            if i == 0 {
                run = run_of(&part).to_owned();
            }
            assert!(part.iter().all(|e| e["event"] != "finished" && e["event"] != "failed"), "{part:?}");
            assert!(!place.home().join("adapters").join(&name).exists(), "an adapter was left");
            assert!(place.checkpoints(&run).len() <= 3, "{:?}", place.checkpoints(&run));
            events.push(part);
        }
        let out = place.run(&["train", "--json", "--resume", &run]);
        assert!(out.status.success(), "{}", stderr(&out));
        let text = String::from_utf8(out.stdout).unwrap();
        events.push(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect());

        assert!(place.weights(&name) == place.weights("straight"), "round {round}: another adapter");
        let mut covered = BTreeMap::new();
        for part in &events {
            for (step, figures) in figures(part) {
                assert_eq!(figures, expected[&step], "round {round}, step {step}");
                covered.insert(step, figures);
            }
        }
        assert_eq!(covered, expected);
        // The record holds every step once, as that of the undisturbed training does.
        assert_eq!(place.stored(&run), place.stored(run_of(&straight)), "round {round}");
        let last = events.last().unwrap().last().unwrap();
        for key in ["steps", "final_loss", "best_val_loss", "best_step", "base_val_loss"] {
            assert_eq!(last[key], straight.last().unwrap()[key], "{key}");
        }
        assert!(place.checkpoints(&run).is_empty(), "checkpoints of a finished run were left");
    }
}

#[test]
fn a_damaged_newest_checkpoint_costs_steps_not_the_training() {
    let place = Place::new();
    place.straight("straight", &[]);
    let args = place.train("damaged", &["--json"]);
    let part = killed(place.command(&args.iter().map(String::as_str).collect::<Vec<_>>()), 11);
    let run = run_of(&part).to_owned();
    let files = place.checkpoints(&run);
    let newest = files.last().unwrap();
    let bytes = std::fs::read(newest).unwrap();
    std::fs::write(newest, &bytes[..bytes.len() - 100]).unwrap();
    let out = place.run(&["train", "--json", "--resume", &run]);
    assert!(out.status.success(), "{}", stderr(&out));
    let text = String::from_utf8(out.stdout).unwrap();
    let said = text.lines().any(|line| line.contains("\"log\"") && line.contains("damaged"));
    assert!(said, "nothing says that a checkpoint was passed over: {text}");
    assert!(place.weights("damaged") == place.weights("straight"));

    let args = place.train("hopeless", &["--json", "--keep", "1"]);
    let run = run_of(&killed(place.command(&args.iter().map(String::as_str).collect::<Vec<_>>()), 11)).to_owned();
    for file in place.checkpoints(&run) {
        std::fs::write(file, b"").unwrap();
    }
    let out = place.run(&["train", "--resume", &run]);
    assert_eq!(out.status.code(), Some(1));
    let message = stderr(&out);
    assert!(message.contains("none of the checkpoints") && message.contains("hint: "), "{message}");
}

#[test]
fn samples_are_shown_and_change_nothing() {
    let place = Place::new();
    place.straight("plain", &[]);
    let events = place.straight("sampled", &["--sample-every", "20"]);
    assert!(place.weights("sampled") == place.weights("plain"), "sampling changed the training");
    let samples: Vec<&Value> = events.iter().filter(|e| e["event"] == "sample").collect();
    assert_eq!(samples.len(), 8, "{samples:?}");
    assert_eq!(
        samples.iter().map(|e| e["step"].as_u64().unwrap()).collect::<Vec<_>>(),
        [20, 20, 40, 40, 60, 60, 80, 80]
    );
    assert!(samples.iter().all(|e| e["prompt"].as_str().unwrap().contains("what is") && e["answer"].is_string()));
    // After 80 steps the answers have the form of the rows.
    assert!(samples[6]["answer"].as_str().unwrap().contains("coins"), "{}", samples[6]);

    // For people, in a log file: about a line for each tenth, and the samples.
    let args = place.train("seen", &["--sample-every", "40"]);
    let out = place.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let log = stderr(&out);
    let progress: Vec<&str> = log.lines().filter(|line| line.contains("tok/s")).collect();
    assert!((10..=11).contains(&progress.len()) && progress[0].starts_with("1/80 "), "{log}");
    assert!(progress.last().unwrap().starts_with("80/80 ") && progress[3].contains("|g| "), "{log}");
    assert!(log.lines().any(|line| line.starts_with("step    40  > ") && line.contains("what is")), "{log}");
    assert!(!log.contains('\u{1b}') && !log.contains('\r'), "{log}");
}

#[test]
fn a_training_that_loses_its_numbers_keeps_the_last_good_adapter() {
    let place = Place::new();
    let args = place.train("wild", &["--lr", "1e25", "--clip", "0", "--warmup", "0", "--val", "0", "--json"]);
    // The later of two equal flags would be an error: the fixed rate goes.
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let at = args.iter().position(|a| *a == "--lr").unwrap();
    let args = [&args[..at], &args[at + 2..]].concat();
    let out = place.run(&args);
    assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
    let events: Vec<Value> =
        String::from_utf8(out.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failed = events.last().unwrap();
    assert_eq!(failed["event"], "failed");
    let steps = figures(&events).len();
    let message = failed["message"].as_str().unwrap();
    assert!(steps >= 1 && message.contains(&format!("at step {}", steps + 1)), "{steps}: {message}");
    let hint = failed["hint"].as_str().unwrap();
    assert!(hint.contains("--lr") && hint.contains("--warmup"), "{hint}");
    let kept = place.home().join("runs").join(run_of(&events)).join("last-good");
    assert!(message.contains(kept.to_str().unwrap()), "{message}");
    let lora = adapter::load(&kept, &open(&place.model()).unwrap().config).unwrap().lora;
    assert!(lora.tensors().iter().all(|(_, _, data)| data.iter().all(|x| x.is_finite())));
    assert!(!place.home().join("adapters/wild").exists());
    assert_eq!(place.checkpoints(run_of(&events)).len().min(1), 1);
}

#[test]
fn flags_that_would_be_ignored_or_mean_two_things_are_refused() {
    let place = Place::new();
    let refused = |args: &[&str]| {
        let out = place.run(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {}", stderr(&out));
        stderr(&out)
    };
    let message = refused(&["train", "--resume", "train-x", "--lr", "1e-3", "--batch-size", "8", "--rslora"]);
    for flag in ["--lr", "--batch-size", "--rslora"] {
        assert!(message.contains(flag), "{message}");
    }
    assert!(!message.contains("--rank") && message.contains("hint: "), "{message}");
    assert!(refused(&["train", "--resume", "train-x", "--config", "x.toml"]).contains("--config"));
    let train = |more: &[&str]| {
        let args = place.train("x", more);
        refused(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert!(train(&["--val-limit", "0"]).contains("--val 0"));
    assert!(train(&["--keep", "0"]).contains("--keep"));
    let mut args = place.train("x", &[]);
    *args.iter_mut().find(|a| *a == "wsd").unwrap() = "steps".to_owned();
    assert!(refused(&args.iter().map(String::as_str).collect::<Vec<_>>()).contains("wsd"));
}
