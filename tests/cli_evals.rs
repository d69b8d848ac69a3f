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
    // Where no place can be reached, the addresses and the place of what they give are told.
    let offline = [("HF_ENDPOINT", closed.as_str())];
    let stderr = bench.fails(1, &["pull", "fineval", "--data-dir", &data], &offline);
    for part in
        ["/datasets/SUFE-AIFLM-Lab/FinEval/resolve/main/FinEval.zip", "dev/{subject}_dev.csv", "data/fineval holds"]
    {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    // A definition that names no place says where to get the data and where it belongs.
    let file = bench.write("own.toml", &definition(""));
    let stderr = bench.fails(1, &["pull", &file, "--data-dir", &data], &[]);
    assert!(stderr.contains("https://example.org/own") && stderr.contains("`own`") && stderr.contains("test.jsonl"));
    assert!(bench.fails(1, &["pull", "finance-qa", "--data-dir", &data], &[]).contains("needs no download"));
}

/// A tar archive of these files, and a link that leads out of it.
fn tarball(entries: &[(String, String)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    tar.append_link(&mut link, "data/dev/link.csv", "/etc/passwd").unwrap();
    tar.into_inner().unwrap()
}

/// The subjects of a benchmark that comes with the program.
fn subjects(name: &str) -> Vec<String> {
    let benchmark = linly_bench::eval::find(name, None).unwrap();
    benchmark.subjects(&[]).unwrap().into_iter().map(|s| s.handle).collect()
}

/// Archives laid out as the owners of the benchmarks lay theirs out, served by a hub on this machine.
#[test]
fn the_benchmarks_in_archives_are_fetched_from_a_hub_and_can_be_asked() {
    let bench = Bench::new();
    let each =
        |name: &str, path: &dyn Fn(&str, &str) -> String, splits: [&str; 2], text: &str| -> Vec<(String, String)> {
            let subjects = subjects(name);
            let all = subjects.iter().flat_map(|s| splits.map(|split| (path(split, s), text.to_owned())));
            all.collect()
        };
    let cmmlu = ",Question,A,B,C,D,Answer\n0,一加一,一,二,三,四,B\n";
    let mut in_cmmlu = each("cmmlu", &|split, s| format!("{split}/{s}.csv"), ["dev", "test"], cmmlu);
    in_cmmlu.push(("__MACOSX/dev/._agronomy.csv".into(), "junk".into()));
    let fineval = "\u{feff}id,question,A,B,C,D,answer,explanation\n0,一加一,一,二,三,四,B,1. 数一数\n";
    let in_fineval = each("fineval", &|split, s| format!("{split}/{s}_{split}.csv"), ["dev", "val"], fineval);
    let mmlu = "\"One, plus one\",1,2,3,4,B\nTwo,1,2,3,4,C\n";
    let mut in_mmlu = each("mmlu", &|split, s| format!("data/{split}/{s}_{split}.csv"), ["dev", "test"], mmlu);
    in_mmlu.push(("data/auxiliary_train/arc.csv".into(), "x".repeat(4096)));
    in_mmlu.push(("data/README.txt".into(), "read me".into()));
    let zip = |entries: &[(String, String)]| {
        archive(&entries.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>())
    };
    let (zip_cmmlu, zip_fineval, tar_mmlu) = (zip(&in_cmmlu), zip(&in_fineval), tarball(&in_mmlu));
    let hub = Server::start(move |path| match path {
        "/datasets/haonan-li/cmmlu/resolve/main/cmmlu_v1_0_1.zip" => Reply::Body(zip_cmmlu.clone()),
        "/datasets/SUFE-AIFLM-Lab/FinEval/resolve/main/FinEval.zip" => Reply::Body(zip_fineval.clone()),
        "/datasets/cais/mmlu/resolve/main/data.tar" => Reply::Body(tar_mmlu.clone()),
        _ => Reply::Status(404),
    });
    let data = bench.path("data");
    // Nothing is to leave this machine: MMLU's own address is left out of its definition.
    let text = include_str!("../evals/mmlu.toml").replace("\"https://people.eecs.berkeley.edu/~hendrycks\", ", "");
    let own_mmlu = bench.write("mmlu.toml", &text);
    for (name, files, answer) in [("cmmlu", 2 * 67, "B"), ("fineval", 2 * 34, "B"), (own_mmlu.as_str(), 2 * 57, "B")] {
        let args = ["pull", name, "--data-dir", &data, "--json"];
        let out = bench.run(&args, &[("HF_ENDPOINT", &hub.address)]);
        assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
        let pulled: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!((&pulled["files"], &pulled["missing"]), (&1.into(), &serde_json::json!([])), "{pulled}");
        let folder = Path::new(pulled["path"].as_str().unwrap());
        // The mark of an archive that is unpacked is one more file.
        assert_eq!(files_under(folder).len(), files + 1, "only what is asked is kept");
        let checked = bench.json(&["check", name, "--shots", "1", "--data-dir", &data]);
        assert_eq!((&checked["missing"], &checked["skipped"]), (&serde_json::json!([]), &serde_json::json!([])));
        let sample = &checked["samples"][0];
        assert_eq!(sample["gold"], answer);
        let prompt = sample["prompt"].as_str().unwrap();
        assert!(prompt.contains("一加一") || prompt.contains("One, plus one"), "{prompt}");
    }
    assert!(files_under(Path::new(&data)).iter().all(|f| !f.to_string_lossy().contains("link")));
}

#[test]
fn everything_that_a_definition_tells_is_shown_in_both_languages() {
    let bench = Bench::new();
    let about = bench.json(&["list", "financeiq"]);
    assert_eq!((&about["licence"], &about["split"]), (&"CC BY-NC-SA 4.0".into(), &"test".into()));
    assert_eq!(about["groups"], serde_json::json!(["finance", "zh", "all"]));
    assert_eq!(about["reference"][0]["scores"]["LLaMA-2-7B"], 31.49);
    assert_eq!((&about["subjects"], &about["reference"][0]["shots"]), (&10.into(), &5.into()));
    for (lang, word) in [("en", "published"), ("zh", "已发表")] {
        for verb in ["list", "check"] {
            let out = bench.run(&[verb, "financeiq", "--lang", lang], &[]);
            let text = String::from_utf8(out.stdout).unwrap();
            assert!(text.contains(word) && text.contains("LLaMA-2-7B 31.49"), "{text}");
            let width = |line: &str| linly_bench::text::width(line);
            assert!(text.lines().all(|line| width(line) <= 80), "{text}");
        }
    }
    assert!(bench.fails(1, &["list", "nothing"], &[]).contains("finance-qa"));
    for (wrong, named) in [
        ("[[reference]]\nsource = 'x'\npreset = 'gone'\n[reference.scores]\nm = 1.0\n", "presets.gone"),
        ("[[reference]]\nsource = 'x'\n[reference.scores]\nm = 310.0\n", "310"),
        ("[[reference]]\nsource = 'x'\n[reference.scores]\n", "scores"),
    ] {
        let file = bench.write("bad.toml", &definition(wrong));
        assert!(bench.fails(1, &["check", &file], &[]).contains(named), "{wrong}");
    }
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
