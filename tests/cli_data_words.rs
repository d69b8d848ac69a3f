//! What the verbs of `data` say: columns and names that are not there, sets that end up empty, mixtures that no training
//! takes, lines that fit their terminal in both languages, and input that keeps its reader waiting.

#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

struct Bench(TempDir);

impl Bench {
    fn new() -> Bench {
        Bench(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_string_lossy().into_owned()
    }

    fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linly-bench"));
        command.args(args).env("LINLY_BENCH_HOME", self.path("home")).env("LC_ALL", "C").env("NO_COLOR", "1");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn ok(&self, args: &[&str]) -> (String, String) {
        let out = self.run(args);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        (text(out.stdout), text(out.stderr))
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[args, &["--json"]].concat()).0).unwrap()
    }

    fn fails(&self, args: &[&str], code: i32) -> String {
        let out = self.run(args);
        let stderr = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(code), "{args:?}: {stderr}");
        stderr
    }
}

fn row(instruction: &str, output: &str) -> String {
    json!({"instruction": instruction, "output": output}).to_string()
}

#[test]
fn a_column_that_is_not_there_is_named_with_those_that_are() {
    let bench = Bench::new();
    let lines =
        bench.file("a.jsonl", "{\"title\":\"q\",\"body\":\"a\",\"note\":null}\n{\"title\":\"r\",\"body\":\"b\"}\n");
    let table = bench.file("a.csv", "title,body,note\nq,a,\n");
    let other = bench.file("b.csv", "title,body,context\nq2,a2,c\n");
    for file in [&lines, &table] {
        for map in ["instruction=titel,output=body", "instruction=title,output=body,input=titel"] {
            let told = bench.fails(&["data", "import", file, "--name", "x", "--map", map], 1);
            assert!(told.contains("`titel`") && told.contains("did you mean `title`?"), "{told}");
            assert!(told.contains("body, note") && told.contains(file.rsplit('/').next().unwrap()), "{told}");
        }
        let far = bench.fails(&["data", "import", file, "--name", "x", "--map", "output=zzzzzz"], 1);
        assert!(far.contains("there are: ") && !far.contains("did you mean"), "{far}");
        // A column that is there and says nothing is no slip.
        let map = "instruction=title,output=body,input=note";
        bench.ok(&["data", "import", file, "--name", "x", "--replace", "--map", map]);
    }
    // Of several files one has the column: that is enough.
    let map = "instruction=title,output=body,input=context";
    let both = bench.json(&["data", "import", &table, &other, "--name", "both", "--map", map]);
    assert_eq!((&both["imported"], &both["rejected"]), (&json!(2), &json!(0)));
    // What cannot be read at all has no columns to be wrong about.
    let broken = bench.file("c.jsonl", "......\n");
    assert!(
        bench.fails(&["data", "import", &broken, "--name", "y", "--map", "output=body"], 1).contains("no usable row")
    );
    assert_eq!(bench.json(&["data", "list"]).as_array().unwrap().len(), 2, "nothing half-made stays");
}

#[test]
fn several_objects_on_a_line_are_all_counted() {
    let bench = Bench::new();
    let text = format!(
        "{}{}\n{} {{\"instruction\":\"c\"\n{}\n{} x\n",
        row("a", "1"),
        row("b", "2"),
        row("c", "3"),
        row("d", "4"),
        row("e", "5")
    );
    let report = bench.json(&["data", "import", &bench.file("a.jsonl", &text), "--name", "x"]);
    let count = |key: &str| report[key].as_u64().unwrap();
    assert_eq!((count("imported"), count("rejected"), count("duplicates")), (4, 2, 0), "{report}");
    let lines: Vec<u64> = report["rejects"].as_array().unwrap().iter().map(|r| r["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [2, 4]);
    let array = format!("[{}\n{},{}]", row("a", "1"), row("b", "2"), row("a", "1"));
    let report = bench.json(&["data", "import", &bench.file("b.json", &array), "--name", "y"]);
    let sum = ["imported", "rejected", "duplicates"].map(|key| report[key].as_u64().unwrap());
    assert_eq!(sum, [2, 0, 1], "a comma that is missing loses no row and is no row");
}

#[test]
fn what_is_the_same_of_many_is_said_once() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("d")).unwrap();
    for i in 0..5 {
        bench.file(&format!("d/{i}.csv"), &format!("question,answer\nq{i},a\n"));
    }
    let refused: String = (0..30).map(|i| format!("{{\"title\": {i}}}\n")).collect();
    bench.file("d/z.jsonl", &format!("{}\n{refused}......\n", row("a", "b")));
    let (_, told) = bench.ok(&["data", "import", &bench.path("d"), "--name", "x"]);
    assert!(told.contains("0.csv and 4 more files: columns taken by their names"), "{told}");
    assert!(told.contains("z.jsonl:2, 3, 4, 5, 6, 7, 8, 9 and 22 more: no `instruction`"), "{told}");
    assert!(told.contains("z.jsonl:32: not JSON: expected value"), "{told}");
    assert_eq!(told.matches("warning").count(), 2, "{told}");
    let (_, told) = bench.ok(&["--lang", "zh", "data", "import", &bench.path("d"), "--name", "y"]);
    assert!(told.contains("0.csv 等 5 个文件：按列名认定") && told.contains("等 30 行: 没有 `instruction`"), "{told}");
    assert!(told.contains("不是 JSON：此处应为值"), "{told}");
}

#[test]
fn rows_that_are_all_held_out_are_said_to_be() {
    let bench = Bench::new();
    let file = bench.file("a.json", &format!("{{\"dev\": [{}]}}", row("a", "b")));
    let (_, told) = bench.ok(&["data", "import", &file, "--name", "x"]);
    assert!(told.contains("nothing is left to train on before data split x --val 0.1"), "{told}");
    let (_, told) = bench.ok(&["data", "import", &bench.file("b.jsonl", &row("a", "b")), "--name", "y"]);
    assert!(!told.contains("train on"), "{told}");
}

#[test]
fn a_set_that_ends_up_empty_is_said() {
    let bench = Bench::new();
    let file = bench.file("a.jsonl", &format!("{}\n{}\n", row("a", "1"), row("b", "2")));
    bench.ok(&["data", "import", &file, "--name", "x"]);
    let (_, dry) = bench.ok(&["data", "filter", "x", "--min-answer", "50", "--dry-run"]);
    assert!(dry.contains("no row of x would be left"), "{dry}");
    let (_, told) = bench.ok(&["data", "filter", "x", "--min-answer", "50"]);
    assert!(told.contains("warning: no row of x is left") && told.contains("data restore x 1"), "{told}");
    bench.ok(&["data", "restore", "x", "1"]);
    let (_, some) = bench.ok(&["data", "delete", "x", "--row", "0"]);
    assert!(!some.contains("warning"), "{some}");
    let (_, told) = bench.ok(&["--json", "data", "delete", "x", "--row", "1"]);
    assert!(told.contains("warning: no row of x is left"), "{told}");
}

#[test]
fn a_mixture_says_its_unit_and_what_does_not_go_together() {
    let bench = Bench::new();
    let rows = |what: &str| (0..20).map(|i| row(&format!("{what} {i}"), "a")).collect::<Vec<_>>().join("\n");
    for name in ["q", "r"] {
        bench.ok(&["data", "import", &bench.file(&format!("{name}.jsonl"), &rows(name)), "--name", name]);
    }
    let texts = bench.file("t.txt", &(0..20).map(|i| format!("A text of number {i}.\n\n")).collect::<String>());
    bench.ok(&["data", "import", &texts, "--name", "t", "--format", "text"]);
    let (plan, told) = bench.ok(&["data", "mix", "m", "--from", "q=0.5,r=0.5", "--plan"]);
    assert!(plan.contains("rows of each source") && !told.contains("warning"), "{plan}{told}");
    let (plan, _) = bench.ok(&["data", "mix", "m", "--from", "q,r", "--curriculum", "q:0.9->0.1", "--plan"]);
    assert!(plan.contains("from row"), "{plan}");
    let mixed = ["data", "mix", "m", "--from", "q=0.5,t=0.5", "--plan"];
    let (_, told) = bench.ok(&mixed);
    assert!(told.contains("20 rows are plain texts and 20 have a question"), "{told}");
    assert_eq!((&bench.json(&mixed)["texts"], &bench.json(&mixed)["questions"]), (&json!(20), &json!(20)));
    // A temperature makes shares: where all are given there is nothing for it to do.
    assert!(
        bench.fails(&["data", "mix", "m", "--from", "q=0.5,r=0.5", "--temperature", "2"], 2).contains("--temperature")
    );
    assert!(bench.fails(&["data", "mix", "m", "--from", "q=0.5,r", "--temperature", "2"], 2).contains("share"));
    bench.ok(&["data", "mix", "m", "--from", "q,r", "--temperature", "2", "--plan"]);
}

#[test]
fn a_split_that_cannot_be_says_why() {
    let bench = Bench::new();
    let rows: Vec<String> = (0..10).map(|i| row(&format!("q{i}"), "a")).collect();
    bench.ok(&["data", "import", &bench.file("one.jsonl", &rows.join("\n")), "--name", "x"]);
    let told = bench.fails(&["data", "split", "x", "--val", "0.1", "--together", "file"], 1);
    assert!(told.contains("all 10 rows belong together") && told.contains("leave out --together"), "{told}");
    let told = bench.fails(&["data", "split", "x", "--val", "10", "--together", "question"], 1);
    assert!(told.contains("hold fewer rows out"), "{told}");
}

#[test]
fn names_that_mean_something_else_are_refused_and_slips_are_recognised() {
    let bench = Bench::new();
    let file = bench.file("a.jsonl", &row("a", "b"));
    for name in [".", "..", "CON", "con", "nul.txt", "LPT1", "latest", "a@b", "a b", "a/b", "-x", ""] {
        let out = bench.run(&["data", "import", &file, &format!("--name={name}")]);
        assert_eq!(out.status.code(), Some(1), "{name:?}: {}", String::from_utf8_lossy(&out.stderr));
        assert!(String::from_utf8_lossy(&out.stderr).contains("hint: "), "{name:?}");
    }
    assert_eq!(bench.json(&["data", "list"]), json!([]));
    for name in ["finance", "general", "aaa"] {
        bench.ok(&["data", "import", &file, "--name", name]);
    }
    let told = bench.fails(&["data", "show", "fiannce"], 1);
    assert!(told.contains("there are: finance, "), "{told}");
    let told = bench.fails(&["data", "stats", "eneral@1"], 1);
    assert!(told.contains("there are: general, "), "{told}");
}

#[test]
fn rows_that_are_known_under_another_name_are_said_to_be() {
    let bench = Bench::new();
    let file = bench.file("a.jsonl", &row("a", "b"));
    bench.ok(&["data", "import", &file, "--name", "first"]);
    let again = bench.json(&["data", "import", &file, "--name", "second"]);
    assert_eq!(&again["unchanged"], &json!(false));
    assert_eq!(&again["same_rows_in"], &json!("first@1"));
    // Rows of an earlier version of the same name change nothing, and the version is named.
    let more = bench.file("b.jsonl", &row("c", "d"));
    bench.ok(&["data", "import", &more, "--name", "first", "--append"]);
    let (told, _) = bench.ok(&["data", "import", &file, "--name", "first"]);
    assert!(told.contains("rows of its version 1") && told.contains("data restore first 1"), "{told}");
    assert_eq!(bench.json(&["data", "import", &file, "--name", "first"])["same_as"], 1);
    bench.ok(&["data", "delete", "second"]);
    let (list, _) = bench.ok(&["data", "list", "--deleted"]);
    assert!(list.contains("second") && !list.contains("first"), "{list}");
    let (_, none) = bench.ok(&["data", "delete", "second", "--purge"]);
    assert!(none.is_empty() && bench.ok(&["data", "list", "--deleted"]).1.contains("no dataset is deleted"));
}

#[test]
fn lines_fit_their_terminal_in_both_languages() {
    let bench = Bench::new();
    let long = "一个很长的问题，说明基金与债券的区别，以及 several English words that go on for a while ".repeat(4);
    let text = format!("{}\n{{\"instruction\": \"{long}\"}}\n{}\n", row(&long, &long), row("short", "answer"));
    let file =
        bench.file("a-file-with-a-name-that-is-long-enough-to-make-every-line-of-a-table-wider-than-it.jsonl", &text);
    let name = "a-dataset-with-a-rather-long-name";
    bench.ok(&["data", "import", &file, "--name", name, "--source", &long, "--license", "CC-BY-4.0"]);
    bench.ok(&["data", "edit", name, "--row", "0", "--set", &format!("output={long}!")]);
    bench.ok(&[
        "data",
        "filter",
        name,
        "--drop",
        "empty,repetition,refusal,cut_off,id_card,phone",
        "--max-answer",
        "300",
    ]);
    for lang in ["en", "zh"] {
        for verb in [
            &["history", name][..],
            &["diff", name, "1", "latest"],
            &["stats", name],
            &["rejects", name],
            &["show", name],
            &["quality", name, "--near"],
            &["filter", name, "--min-answer", "1", "--only", "zh", "--dry-run"],
        ] {
            let (text, _) = bench.ok(&[&["--lang", lang, "data"], verb].concat());
            for line in text.lines() {
                assert!(unicode_width::UnicodeWidthStr::width(line) <= 80, "{lang} {verb:?}: {line}");
            }
        }
    }
    let (history, _) = bench.ok(&["data", "history", name]);
    let words: String = history.split_whitespace().collect();
    assert!(words.contains("max_answer=300") || words.contains("id_card"), "no message is cut: {history}");
    let (stats, _) = bench.ok(&["--lang", "zh", "data", "stats", name]);
    assert!(stats.contains("训练，") && !stats.contains("train"), "{stats}");
}

#[test]
fn versions_are_compared_by_whole_words_too() {
    let bench = Bench::new();
    bench.ok(&["data", "import", &bench.file("a.jsonl", &row("a", "one")), "--name", "ed"]);
    bench.ok(&["data", "import", &bench.file("b.jsonl", &row("b", "x")), "--name", "other"]);
    bench.ok(&["data", "edit", "ed", "--row", "0", "--set", "output=two"]);
    bench.ok(&["data", "edit", "ed", "--row", "0", "--set", "output=three"]);
    for (words, from, to) in [
        (&["ed", "1", "2"][..], "one", "two"),
        (&["ed@1", "ed@2"], "one", "two"),
        (&["ed@1", "2"], "one", "two"),
        (&["ed", "ed@1", "ed@2"], "one", "two"),
        (&["ed@1"], "one", "three"),
        (&["ed", "1"], "one", "three"),
        (&["ed"], "two", "three"),
    ] {
        let found = bench.json(&[&["data", "diff"], words].concat());
        let output = &found["changed"][0]["fields"]["output"];
        assert_eq!(*output, json!({"from": from, "to": to}), "{words:?}");
    }
    assert!(bench.fails(&["data", "diff", "ed@1", "1", "2"], 2).contains("three versions"));
    assert!(bench.fails(&["data", "diff", "ed@1", "other@1"], 1).contains("different datasets"));
}

#[test]
fn standard_input_is_read_and_a_pipe_is_left_with_one_ctrl_c() {
    let bench = Bench::new();
    let mut child = bench.command(&["data", "import", "-", "--name", "x"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(row("a", "b").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(bench.json(&["data", "show", "x"])["examples"][0]["file"], "-");
    if !cfg!(unix) {
        return;
    }
    let pipe = bench.path("pipe");
    if !Command::new("mkfifo").arg(&pipe).status().is_ok_and(|made| made.success()) {
        eprintln!("skipped: there is no mkfifo to make a pipe with");
        return;
    }
    let mut child = bench.command(&["data", "import", &pipe, "--name", "y"]).stderr(Stdio::piped()).spawn().unwrap();
    // Opening waits for the reader, which by then listens to signals.
    let mut writer = std::fs::File::options().write(true).open(&pipe).unwrap();
    writer.write_all(row("a", "b").as_bytes()).unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(writer);
    assert!(bench.fails(&["data", "show", "y"], 1).contains("no dataset"));
}
