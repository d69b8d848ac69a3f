//! `linly-bench evals` from outside: lists, checks, fetches from a server on this machine, imports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::files_under;
use common::http::{Reply, Server};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        Bench { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_string_lossy().into_owned()
    }

    fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_linly-bench"))
            .args(["evals", "--home", &self.path("home"), "--lang", "en"])
            .args(args)
            .env_remove("LINLY_BENCH_DATA")
            .envs(env.iter().copied())
            .output()
            .unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        let out = self.run(&[args, &["--json"]].concat(), &[]);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    }

    fn fails(&self, code: i32, args: &[&str], env: &[(&str, &str)]) -> String {
        let out = self.run(args, env);
        let stderr = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(code), "{args:?}: {stderr}");
        stderr
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn definition(download: &str) -> String {
    format!(
        "name = 'own'\ntitle = 'Own'\nsource = 'https://example.org/own'\nlicence = 'MIT'\nlang = 'en'\nfolder = 'own'\n\
         format = 'jsonl'\noutput = 'generate'\nsplit = 'test'\ndefault_preset = 'plain'\n\
         [files]\ntest = 'test.jsonl'\n[columns]\nquestion = 'q'\nanswer = 'a'\n\
         [presets.plain]\nbody = 'Q: {{{{q}}}}'\n{download}"
    )
}

const ROWS: &str = "{\"q\": \"1+1\\u001b[31m\", \"a\": \"2\"}\n{\"q\": \"2+2\", \"a\": \"4\"}\n";

#[test]
fn benchmarks_are_listed_with_what_is_to_be_done() {
    let bench = Bench::new();
    let all = bench.json(&["list"]);
    let find = |name: &str| all.as_array().unwrap().iter().find(|b| b["name"] == name).unwrap().clone();
    assert_eq!((&find("finance-qa")["present"], &find("gsm8k")["present"]), (&true.into(), &false.into()));
    assert_eq!((&find("gsm8k")["mode"], &find("ceval")["mode"]), (&"generate".into(), &"loglikelihood".into()));
    assert!(find("gsm8k")["pullable"].as_bool().unwrap());
    let text = String::from_utf8(bench.run(&["list"], &[]).stdout).unwrap();
    assert!(text.contains("evals pull gsm8k") && text.contains("tatqa"), "{text}");
}

#[test]
fn a_check_shows_prompts_or_says_what_is_missing() {
    let bench = Bench::new();
    let file = bench.write("own.toml", &definition(""));
    let missing = bench.json(&["check", &file]);
    assert_eq!(missing["missing"], serde_json::json!(["own/test.jsonl"]));
    assert!(missing["samples"].as_array().unwrap().is_empty());
    bench.write("own/other.jsonl", "");
    assert_eq!(bench.json(&["check", &file])["missing"], serde_json::json!(["test.jsonl"]));

    bench.write("own/test.jsonl", ROWS);
    let checked = bench.json(&["check", &file]);
    assert_eq!((&checked["name"], &checked["mode"]), (&"own".into(), &"generate".into()));
    assert_eq!(checked["samples"][1]["prompt"], "Q: 2+2");
    assert_eq!(checked["samples"][1]["gold"], "4");
    assert_eq!(checked["samples"][0]["prompt"], "Q: 1+1\u{1b}[31m", "JSON is exact");
    let text = String::from_utf8(bench.run(&["check", &file], &[]).stdout).unwrap();
    assert!(text.contains("own: sound") && text.contains("Q: 2+2") && !text.contains('\u{1b}'), "{text:?}");

    for (change, named) in [
        ("[[filter_list]]\nname = 'x'\nfilter = [{ function = 'regex', regex_pattern = '(' }]\n", "filter_list"),
        ("[[filter_list]]\nname = 'x'\nfilter = [{ function = 'vote' }]\n", "vote"),
        ("[[metric_list]]\nmetric = 'bleu'\n", "bleu"),
        ("[presets.plain.cot]\nbody = '{{q'\n", "presets.plain.cot.body"),
        ("[presets.plain.cot]\nmax_tokens = 3\n", "max_tokens"),
    ] {
        let file = bench.write("bad.toml", &definition(change));
        let stderr = bench.fails(1, &["check", &file], &[]);
        assert!(
            stderr.contains(named) && stderr.contains("bad.toml") && stderr.contains("hint: "),
            "{change}: {stderr}"
        );
    }
}

fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in entries {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        zip.start_file(*name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn data_is_fetched_whole_from_the_first_place_that_has_it() {
    let bench = Bench::new();
    let zip = archive(&[("val/a.csv", "x"), ("dev/b.csv", "y")]);
    let good = Server::start(move |path| match path {
        "/files/raw/test.jsonl" => Reply::Body(ROWS.into()),
        "/files/raw/%E9%A2%98.jsonl" => Reply::Body(b"{}".to_vec()),
        "/datasets/org/own/resolve/main/all.zip" => Reply::Body(zip.clone()),
        _ => Reply::Status(404),
    });
    let broken = Server::start(|_| Reply::Cut(ROWS.into(), 10));
    let download = format!(
        "[[download]]\nfrom = ['{}', '{}/files']\nfiles = ['raw/test.jsonl', 'raw/题.jsonl']\nstrip = 'raw/'\n\
         [[download]]\nfrom = ['hf:org/own']\nfiles = ['all.zip']\narchive = true\n",
        broken.address, good.address
    );
    let file = bench.write("own.toml", &definition(&download));
    let data = bench.path("data");
    let pull = || {
        let out = bench.run(&["pull", &file, "--data-dir", &data, "--json"], &[("HF_ENDPOINT", &good.address)]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice::<Value>(&out.stdout).unwrap()
    };
    let first = pull();
    assert_eq!((&first["files"], &first["present"]), (&3.into(), &0.into()));
    let folder = Path::new(&data).join("own");
    assert_eq!(std::fs::read_to_string(folder.join("test.jsonl")).unwrap(), ROWS);
    assert_eq!(std::fs::read_to_string(folder.join("val/a.csv")).unwrap(), "x");
    let second = pull();
    assert_eq!((&second["files"], &second["present"]), (&0.into(), &3.into()), "what is here is not fetched again");
    assert!(files_under(Path::new(&data)).iter().all(|f| !f.to_string_lossy().contains(".pull-")));
}

#[test]
fn without_a_network_the_way_out_is_told_and_nothing_is_left() {
    let bench = Bench::new();
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let (text, evil) = (Server::start(|_| Reply::Body(b"<html>".to_vec())), archive(&[("../evil", "x")]));
    let slip = Server::start(move |_| Reply::Body(evil.clone()));
    let data = bench.path("data");
    for (download, env, named) in [
        (
            format!("from = ['{closed}']\nfiles = ['test.jsonl']"),
            vec![],
            vec!["--data-dir", "example.org/own", "HF_ENDPOINT"],
        ),
        ("from = ['hf:o/r']\nfiles = ['test.jsonl']".into(), vec![("HF_HUB_OFFLINE", "1")], vec!["HF_HUB_OFFLINE"]),
        (format!("from = ['{}']\nfiles = ['a.zip']\narchive = true", text.address), vec![], vec!["unpacked"]),
        (format!("from = ['{}']\nfiles = ['a.zip']\narchive = true", slip.address), vec![], vec!["unpacked"]),
        (format!("from = ['{}']\nfiles = ['../x']", text.address), vec![], vec!["leads out"]),
        (format!("from = ['{}']\nfiles = ['/x']", text.address), vec![], vec!["leads out"]),
    ] {
        let file = bench.write("own.toml", &definition(&format!("[[download]]\n{download}\n")));
        let stderr = bench.fails(1, &["pull", &file, "--data-dir", &data], &env);
        for part in named {
            assert!(stderr.contains(part) && stderr.contains("hint: "), "{part}: {stderr}");
        }
        assert!(files_under(Path::new(&data)).is_empty(), "{:?}", files_under(Path::new(&data)));
    }
    assert!(!bench.dir.path().join("evil").exists() && !Path::new(&data).join("evil").exists());
    assert!(bench.fails(2, &["pull", "gsm8k"], &[]).contains("LINLY_BENCH_DATA"));
    assert!(bench.fails(1, &["pull", "mmlu", "--data-dir", &data], &[]).contains("hendrycks"));
    assert!(bench.fails(1, &["pull", "finance-qa", "--data-dir", &data], &[]).contains("needs no download"));
}

#[test]
fn a_task_of_the_harness_becomes_a_definition() {
    let bench = Bench::new();
    let task = bench.write(
        "task.yaml",
        "task: own\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: rows.jsonl\noutput_type: generate_until\n\
         test_split: test\ndoc_to_text: \"Q: {{q}}\\nA:\"\ndoc_to_target: a\nprocess_results: !function utils.f\n",
    );
    bench.write("rows.jsonl", ROWS);
    let out = bench.path("own.toml");
    let imported = bench.json(&["import", &task, "-o", &out]);
    assert_eq!(imported["not_carried"].as_array().unwrap().len(), 1);
    let checked = bench.json(&["check", &out]);
    assert_eq!((&checked["samples"][1]["prompt"], &checked["samples"][1]["gold"]), (&"Q: 2+2\nA:".into(), &"4".into()));
    let shown = bench.run(&["import", &task], &[]);
    assert!(String::from_utf8(shown.stderr).unwrap().contains("process_results"));
    assert_eq!(
        String::from_utf8(shown.stdout).unwrap().trim_end(),
        imported["definition"].as_str().unwrap().trim_end()
    );
    assert!(bench.fails(1, &["import", &bench.path("gone.yaml")], &[]).contains("gone.yaml"));
}
