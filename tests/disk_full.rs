//! A full disk: one message that says so, exit code 1, nothing half-written, and a home that still works.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;
use std::process::{Command, Output};

/// A small file system of its own, taken away at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(size: &str) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|out| out.status.success());
        if !mounted {
            eprintln!("skipped: a small file system to fill cannot be mounted here (it needs root)");
            return None;
        }
        Some(SmallDisk(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

fn linly(home: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_linly-bench"))
        .args(args)
        .env("LINLY_BENCH_HOME", home)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap()
}

fn assert_no_space(out: &Output) {
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("no space left on the disk") && stderr.contains("hint: "), "{stderr}");
}

#[test]
fn an_import_that_fills_the_disk_imports_nothing() {
    let Some(disk) = SmallDisk::new("2m") else { return };
    let outside = tempfile::tempdir().unwrap();
    let (small, large) = (outside.path().join("small.jsonl"), outside.path().join("large.jsonl"));
    let row = |i: usize| format!("{{\"instruction\": \"question {i}\", \"output\": \"{}\"}}\n", "answer ".repeat(40));
    std::fs::write(&small, (0..5).map(row).collect::<String>()).unwrap();
    std::fs::write(&large, (0..20_000).map(row).collect::<String>()).unwrap();
    let import =
        |file: &Path, name: &str| linly(disk.path(), &["data", "import", file.to_str().unwrap(), "--name", name]);
    assert!(import(&small, "before").status.success());
    assert_no_space(&import(&large, "large"));
    let list = linly(disk.path(), &["data", "list", "--json"]);
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|d| d["dataset"].as_str().unwrap()).collect();
    assert_eq!(names, ["before"]);
}

#[test]
fn a_training_that_cannot_write_its_checkpoint_leaves_no_adapter() {
    let Some(gguf) = common::test_gguf() else { return };
    let Some(disk) = SmallDisk::new("6m") else { return };
    let outside = tempfile::tempdir().unwrap();
    let rows = outside.path().join("rows.jsonl");
    std::fs::write(&rows, "{\"instruction\": \"1 + 1 = ?\", \"output\": \"2\"}\n").unwrap();
    assert!(linly(disk.path(), &["data", "import", rows.to_str().unwrap(), "--name", "one"]).status.success());
    let train =
        ["train", "--data", "one", "--adapter", "x", "--template", "linly", "--steps", "2", "--save-every", "1"];
    let more = ["--target", "all", "--rank", "16", "--model", gguf.to_str().unwrap()];
    assert_no_space(&linly(disk.path(), &[&train[..], &more[..]].concat()));
    assert!(!disk.path().join("adapters").exists());
    assert!(linly(disk.path(), &["runs", "list"]).status.success());
}

#[test]
fn a_pull_asks_for_its_space_before_the_first_byte() {
    let Some(disk) = SmallDisk::new("8m") else { return };
    let out = linly(disk.path(), &["models", "pull", "smollm2-135m"]);
    assert_no_space(&out);
    assert!(!common::files_under(disk.path()).iter().any(|f| f.to_string_lossy().contains("gguf")));
}
