//! A job's arguments: which verb they call, what is no job, and the arguments that go on with an unfinished run.

use crate::error::{Error, Kind, Result};
use crate::tr;

/// Global flags that take a value.
const GLOBALS: [&str; 5] = ["--home", "--data-dir", "--device", "--seed", "--lang"];

/// Verbs that talk with their terminal, or that manage jobs and would wait for themselves.
pub const NO_JOBS: [&str; 4] = ["chat", "tui", "jobs", "help"];

/// Where the verb stands in `argv`: after the global flags.
pub fn verb_at(argv: &[String]) -> Option<usize> {
    let mut at = 0;
    while let Some(arg) = argv.get(at) {
        if !arg.starts_with('-') {
            return Some(at);
        }
        at += if GLOBALS.contains(&arg.as_str()) { 2 } else { 1 };
    }
    None
}

/// Where the verb stands in `argv`, if it can be a job.
///
/// # Errors
/// `Usage` when it cannot, or when there is none.
pub fn job_verb_at(argv: &[String]) -> Result<usize> {
    let refused = |words: String| {
        Err(Error::new(Kind::Usage, words)
            .hint("linly-bench jobs start -- train --model MODEL --data NAME --adapter NAME"))
    };
    match verb_at(argv) {
        None => refused(tr!("a job needs a command", "任务需要一条命令")),
        Some(at) if NO_JOBS.contains(&argv[at].as_str()) => {
            let verb = &argv[at];
            refused(tr!("`{verb}` cannot be a job", "`{verb}` 不能作为后台任务"))
        }
        Some(at) => Ok(at),
    }
}

/// Whether `argv` names a flag, as `--flag value` or `--flag=value`.
pub fn names_flag(argv: &[String], flag: &str) -> bool {
    argv.iter().any(|a| a == flag || a.strip_prefix(flag).is_some_and(|rest| rest.starts_with('=')))
}

/// The value of a flag.
pub fn value_of<'a>(argv: &'a [String], flag: &str) -> Option<&'a str> {
    let at = argv.iter().position(|a| a == flag).and_then(|at| argv.get(at + 1)).map(String::as_str);
    at.or_else(|| argv.iter().find_map(|a| a.strip_prefix(flag)?.strip_prefix('=')))
}

/// `argv` without a global flag and its value.
pub fn without_flag(argv: &[String], flag: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut args = argv.iter();
    while let Some(arg) = args.next() {
        if arg == flag {
            args.next();
        } else if !arg.strip_prefix(flag).is_some_and(|rest| rest.starts_with('=')) {
            out.push(arg.clone());
        }
    }
    out
}

/// The arguments as a shell would take them.
pub fn quoted(argv: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,@%+#".contains(c);
    let quote = |arg: &String| {
        if !arg.is_empty() && arg.chars().all(plain) {
            arg.clone()
        } else {
            format!("'{}'", arg.replace('\'', r"'\''"))
        }
    };
    argv.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// Flags of a training that say how it is worked on, not what it is: they hold for a resumed run too.
const HOW_TRAINED: [&str; 4] = ["--data-dir", "--device", "--gpus", "--lang"];

/// The same of a score: where its files go, whom it asks and how.
const HOW_SCORED: [&str; 13] = [
    "--data-dir",
    "--device",
    "--lang",
    "--seed",
    "--model",
    "--adapter",
    "--log-samples",
    "--submission",
    "--permute",
    "--concurrency",
    "--rate-limit",
    "--timeout",
    "--retries",
];

/// The arguments that go on with `run` (a run of this `kind`) instead of beginning anew; `None` where repeating the command
/// is the way. A training without a checkpoint goes on too: it begins again as the same run, with the rows of the version
/// that it was started with.
pub fn resumed(argv: &[String], run: &str, kind: &str) -> Option<Vec<String>> {
    let at = verb_at(argv)?;
    let (verb, rest) = (argv[at].as_str(), &argv[at + 1..]);
    let kept: &[&str] = match (verb, kind) {
        // A run keeps its own settings; other flags beside --resume are refused.
        ("train" | "pretrain", "train") => &HOW_TRAINED,
        ("run", "eval") if names_flag(rest, "--resume") || is_one_score(rest) => &HOW_SCORED,
        _ => return None,
    };
    let mut out = argv[..at].to_vec();
    out.extend([verb.to_owned(), "--resume".to_owned(), run.to_owned()]);
    for flag in ["--json", "--quiet", "-q"] {
        out.extend(rest.iter().find(|a| *a == flag).cloned());
    }
    for flag in kept {
        if let Some(value) = value_of(rest, flag) {
            out.push(format!("{flag}={value}"));
        }
    }
    Some(out)
}

/// Whether a `run` is of one benchmark in one wording. Of several one would be gone on with and the others left out;
/// repeating takes the answers of those that are done from their runs.
fn is_one_score(rest: &[String]) -> bool {
    rest.iter().take_while(|a| !a.starts_with('-')).count() == 1
        && !names_flag(rest, "--presets")
        && !crate::eval::is_group(&rest[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_resumed_score_is_asked_of_the_same_server_in_the_same_way() {
        let argv = words(
            "--seed 7 run ceval --model http://h/v1#m --shots 5 --concurrency=9 --rate-limit 60 --timeout 5 --retries 2 \
             --limit 3 --log-samples s.jsonl --json",
        );
        let expected = "--seed 7 run --resume eval-1 --json --model=http://h/v1#m --log-samples=s.jsonl --concurrency=9 \
                        --rate-limit=60 --timeout=5 --retries=2";
        assert_eq!(resumed(&argv, "eval-1", "eval"), Some(words(expected)));
        // What was resumed once is resumed in the same way.
        let again = "--seed 7 run --resume eval-1 --json --model=http://h/v1#m --log-samples=s.jsonl --concurrency=9 \
                     --rate-limit=60 --timeout=5 --retries=2";
        assert_eq!(resumed(&words(expected), "eval-1", "eval"), Some(words(again)));
    }

    #[test]
    fn a_resumed_training_keeps_where_it_is_worked_on_and_nothing_else() {
        let argv = words("--device cpu train --model m --data d --adapter a --lr 1e-3 --gpus 2 -q");
        let expected = words("--device cpu train --resume train-1 -q --gpus=2");
        assert_eq!(resumed(&argv, "train-1", "train"), Some(expected));
    }

    #[test]
    fn what_is_several_runs_is_repeated() {
        for line in ["run ceval cmmlu --model m", "run finance --model m", "run ceval --model m --presets all", "demo"]
        {
            assert_eq!(resumed(&words(line), "eval-1", "eval"), None, "{line}");
        }
    }

    #[test]
    fn what_talks_with_a_terminal_is_no_job() {
        for line in ["chat --model m", "--lang zh tui", "--seed 7 jobs start -- demo", "help", "--json"] {
            assert_eq!(job_verb_at(&words(line)).err().map(|e| e.kind), Some(Kind::Usage), "{line}");
        }
        assert_eq!(job_verb_at(&words("--device cpu run chat --model m")).ok(), Some(2), "a benchmark of that name");
    }
}
