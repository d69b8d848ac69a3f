//! Who may import whom (ARCHITECTURE.md). The map below is the rule; this test reads the sources.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Everyone may use these.
const COMMON: [&str; 6] = ["config", "error", "job", "lang", "machine", "text"];

/// Module → the modules that it may use beside the common ones.
const MAY_USE: [(&str, &[&str]); 16] = [
    ("data", &[]),
    ("ops", &[]),
    ("model", &["ops"]),
    ("prompt", &["data", "model"]),
    ("batch", &["model", "prompt"]),
    ("train", &["batch", "model", "ops", "prompt"]),
    ("infer", &["model", "ops"]),
    ("remote", &["infer", "prompt"]),
    ("eval", &["prompt", "infer"]),
    ("arena", &[]),
    // The store knows the plain records of the engines; none of them knows the store.
    ("store", &["arena", "data", "eval"]),
    ("leaderboard", &["store"]),
    (
        "workbench",
        &[
            "arena",
            "batch",
            "data",
            "eval",
            "infer",
            "leaderboard",
            "model",
            "ops",
            "prompt",
            "remote",
            "store",
            "train",
        ],
    ),
    // The front ends call the workbench and show its records. Only the command line may open the others.
    (
        "cli",
        &[
            "arena",
            "batch",
            "data",
            "eval",
            "infer",
            "leaderboard",
            "model",
            "prompt",
            "remote",
            "serve",
            "store",
            "train",
            "tui",
            "workbench",
        ],
    ),
    ("serve", &["arena", "eval", "infer", "model", "prompt", "workbench"]),
    (
        "tui",
        &["arena", "batch", "data", "eval", "infer", "leaderboard", "model", "prompt", "store", "train", "workbench"],
    ),
];

/// Crate → the one module that may name it.
const OWNERS: [(&str, &str); 6] = [
    ("sqlx", "store"),
    ("libsqlite3_sys", "store"),
    ("ratatui", "tui"),
    ("clap", "cli"),
    ("indicatif", "cli"),
    ("httparse", "serve"),
];

fn sources() -> Vec<(String, PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    let name = |path: &Path| {
        let first = path.strip_prefix(&root).unwrap().components().next().unwrap();
        first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
    };
    found
        .into_iter()
        .map(|path| (name(&path), path.clone(), code_of(&std::fs::read_to_string(path).unwrap())))
        .collect()
}

/// The source without comments and without its test module: the rule is about the program.
fn code_of(source: &str) -> String {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Whether `word` stands in `code` as a path of its own, not as a part of a longer name.
fn names(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        !code[..at].chars().next_back().is_some_and(is_part)
            && !code[at + word.len()..].chars().next().is_some_and(is_part)
    })
}

#[test]
fn imports_point_one_way() {
    let rules: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    let mut broken = Vec::new();
    for (module, path, code) in sources() {
        if matches!(module.as_str(), "lib" | "main") || COMMON.contains(&module.as_str()) {
            continue;
        }
        let allowed = rules.get(module.as_str()).unwrap_or_else(|| panic!("{module} has no rule: add it to MAY_USE"));
        for (other, _) in MAY_USE {
            if other != module && !allowed.contains(&other) && names(&code, &format!("crate::{other}")) {
                broken.push(format!("{}: {module} may not use {other}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn each_outside_crate_stays_with_its_owner() {
    let mut broken = Vec::new();
    for (module, path, code) in sources() {
        for (name, owner) in OWNERS {
            if module != owner && names(&code, &format!("{name}::")) | names(&code, &format!("use {name}")) {
                broken.push(format!("{}: {name} belongs to {owner}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_library_prints_nowhere_but_in_the_command_line() {
    // A file of tests says why it skips one; so does the emulator of GPUs, which only tests have.
    let of_tests = |path: &Path| {
        let folder = path.parent().is_some_and(|folder| folder.ends_with("tests"));
        folder || path.ends_with("tests.rs") || path.ends_with("cuda/emulator.rs")
    };
    for (module, path, code) in sources().into_iter().filter(|(_, path, _)| !of_tests(path)) {
        for macro_name in ["println!", "eprintln!", "print!", "eprint!"] {
            assert!(module == "cli" || !names(&code, macro_name), "{}: {macro_name}", path.display());
        }
    }
}
