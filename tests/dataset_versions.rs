//! What a dataset promises whatever is done to it: every version stays as it was, hashes follow from the rows, a search
//! finds what a look at every row finds, and a database of the time before versions comes over whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use linly_bench::config::Settings;
use linly_bench::data::{Example, HoldOut, ImportOptions, Split, Version};
use linly_bench::error::{Error, Kind, Result};
use linly_bench::job::{CancelToken, EventSink, JobEvent};
use linly_bench::store::{Existing, Matched, RowDiff, RowQuery};
use linly_bench::workbench::Workbench;
use linly_bench::workbench::data::SplitRequest;
use linly_bench::workbench::data::{self, Edit, ImportReport, ImportRequest, Input};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

struct Silent;
impl EventSink for Silent {
    fn emit(&self, _: &JobEvent) {}
}

fn open(home: &Path) -> Workbench {
    Workbench::open(Settings { home: home.to_owned(), data_dir: None, seed: 0 }).unwrap()
}

fn import(bench: &Workbench, file: &Path, existing: Existing) -> Result<ImportReport> {
    let request = ImportRequest {
        inputs: vec![Input::File(file.to_owned())],
        name: "x".to_owned(),
        options: ImportOptions::default(),
        source: String::new(),
        licence: String::new(),
        strict: false,
        existing,
    };
    data::import(bench, &request, &Silent, &CancelToken::default())
}

/// Rows by number: what a version must hold.
type Rows = BTreeMap<u64, Example>;

fn stored(bench: &Workbench, words: &str) -> Rows {
    bench.store.rows(words, &RowQuery::default()).unwrap().into_iter().map(|r| (r.row, r.example)).collect()
}

fn hash(rows: &Rows) -> String {
    let mut version = Version::default();
    for e in rows.values() {
        version.add(&e.hash(), e.split, &e.lang);
    }
    version.finish()
}

const WORDS: [&str; 12] =
    ["fund", "bond", "Rate", "yield", "基金", "债券", "利率", "收益", "3.5%", "ABC", "“引号”", "\\n"];

struct Model {
    random: ChaCha8Rng,
    versions: Vec<Rows>,
    next: usize,
    row_end: u64,
}

impl Model {
    fn text(&mut self) -> String {
        let words = self.random.random_range(1..6);
        (0..words).map(|_| WORDS[self.random.random_range(0..WORDS.len())]).collect::<Vec<_>>().join(" ")
    }

    /// A file of records: rows, repeated rows and rubbish. Gives what of it is new beside `known`, and the counts.
    fn file(&mut self, path: &Path, known: &Rows) -> (Vec<Example>, [u64; 3]) {
        let mut seen: HashSet<_> = known.values().map(Example::hash).collect();
        let (mut lines, mut rows, mut counts) = (Vec::new(), Vec::new(), [0; 3]);
        for _ in 0..self.random.random_range(1..40) {
            let kind = self.random.random_range(0..10);
            if kind == 0 {
                lines
                    .push(["oops", "{\"instruction\": \"\"}", "null", "{\"output\": \"a\"}"][self.next % 4].to_owned());
                counts[1] += 1;
                continue;
            }
            let mut e = Example { instruction: self.text(), output: self.text(), ..Example::default() };
            if kind < 8 {
                self.next += 1;
                e.instruction = format!("{} {}", e.instruction, self.next);
            }
            e.lang = if self.random.random() { "zh" } else { "en" }.to_owned();
            e.split = if kind == 3 { Split::Val } else { Split::Train };
            if kind == 4 {
                e.history = vec![(self.text(), self.text())];
            }
            let record = json!({"instruction": e.instruction, "output": e.output, "lang": e.lang,
                "split": e.split.as_str(), "history": e.history});
            lines.push(record.to_string());
            if seen.insert(e.hash()) {
                counts[0] += 1;
                rows.push(e);
            } else {
                counts[2] += 1;
            }
        }
        std::fs::write(path, lines.join("\n")).unwrap();
        (rows, counts)
    }

    fn newest(&self) -> Rows {
        self.versions.last().cloned().unwrap_or_default()
    }

    fn some_row(&mut self) -> Option<u64> {
        let rows = self.newest();
        let at = self.random.random_range(0..rows.len().max(1));
        rows.keys().nth(at).copied()
    }
}

fn step(bench: &Workbench, model: &mut Model, file: &Path) -> Rows {
    let mut rows = model.newest();
    match model.random.random_range(0..7) {
        0 | 1 => {
            let (new, [imported, rejected, duplicates]) = model.file(file, &rows);
            let lines = std::fs::read_to_string(file).unwrap().lines().count() as u64;
            match import(bench, file, Existing::Append) {
                Ok(report) => {
                    assert_eq!([report.imported, report.rejected, report.duplicates], [imported, rejected, duplicates]);
                    assert_eq!(report.imported + report.rejected + report.duplicates, lines);
                }
                Err(e) => assert!(e.kind == Kind::InvalidInput && imported + duplicates == 0, "{e}"),
            }
            for e in new {
                rows.insert(model.row_end, e);
                model.row_end += 1;
            }
        }
        2 => {
            let (new, [imported, _, duplicates]) = model.file(file, &Rows::new());
            let replaced = import(bench, file, Existing::Replace);
            assert_eq!(replaced.is_ok(), imported + duplicates > 0);
            if replaced.is_ok() {
                rows = (0..).zip(new).collect();
                model.row_end = model.row_end.max(rows.len() as u64);
            }
        }
        3 => {
            let Some(row) = model.some_row() else { return rows };
            let output = model.text();
            let fields = json!({"output": output}).as_object().unwrap().clone();
            data::edit_rows(bench, "x", &[Edit { row, fields }]).unwrap();
            rows.get_mut(&row).unwrap().output = output;
        }
        4 => {
            let gone: HashSet<u64> = (0..3).filter_map(|_| model.some_row()).collect();
            let gone: Vec<u64> = gone.into_iter().collect();
            if gone.len() < rows.len() && !gone.is_empty() {
                data::remove_rows(bench, "x", &gone).unwrap();
                rows.retain(|row, _| !gone.contains(row));
            }
        }
        5 => {
            let seed = model.random.random();
            if rows.len() > 1 {
                data::split(bench, "x", &plain_split(0.3, seed)).unwrap();
                let held: HashSet<u64> =
                    stored(bench, "x").iter().filter(|(_, e)| e.split == Split::Val).map(|(r, _)| *r).collect();
                assert_eq!(held.len(), ((rows.len() as f64 * 0.3).round() as usize).max(1));
                for (row, e) in &mut rows {
                    e.split = if held.contains(row) { Split::Val } else { Split::Train };
                }
            }
        }
        _ => {
            let to = model.random.random_range(0..model.versions.len());
            let number = (to + 1).to_string();
            if model.random.random() {
                data::restore(bench, "x", Some(&number), &[]).unwrap();
                rows = model.versions[to].clone();
                assert_eq!(bench.store.dataset("x").unwrap().version, hash(&rows));
            } else {
                let row = model.random.random_range(0..model.row_end);
                data::restore(bench, "x", Some(&number), &[row]).unwrap();
                match model.versions[to].get(&row) {
                    Some(e) => _ = rows.insert(row, e.clone()),
                    None => _ = rows.remove(&row),
                }
            }
        }
    }
    rows
}

fn check_version(bench: &Workbench, number: usize, rows: &Rows) {
    let record = bench.store.dataset(&format!("x@{number}")).unwrap();
    let words = record.exact_name();
    assert_eq!(record.version, hash(rows), "version {number}");
    assert_eq!(&stored(bench, &words), rows, "version {number}");
    let count = |wanted: &dyn Fn(&Example) -> bool| rows.values().filter(|e| wanted(e)).count() as u64;
    assert_eq!(record.rows, rows.len() as u64);
    assert_eq!(
        (record.val, record.zh, record.en),
        (count(&|e| e.split == Split::Val), count(&|e| e.lang == "zh"), count(&|e| e.lang == "en"))
    );
}

fn search_finds_what_is_there(bench: &Workbench, words: &str, rows: &Rows, queries: &[String]) {
    for search in queries {
        let lower = search.to_ascii_lowercase();
        let holds = |text: &str| text.to_ascii_lowercase().contains(&lower);
        let expected: Vec<u64> = rows
            .iter()
            .filter(|(_, e)| {
                let history = serde_json::to_string(&e.history).unwrap();
                let history = if e.history.is_empty() { "" } else { &history };
                [&e.instruction, &e.input, &e.output, &e.system].iter().any(|t| holds(t)) || holds(history)
            })
            .map(|(row, _)| *row)
            .collect();
        let query = RowQuery { search, ..RowQuery::default() };
        let found: Vec<u64> = bench.store.rows(words, &query).unwrap().iter().map(|r| r.row).collect();
        assert_eq!(found, expected, "{search:?} in {words}");
        let matched = bench.store.count_rows(words, &query).unwrap();
        assert_eq!(matched, Matched { rows: (expected.len() as u64).min(10_000), exact: expected.len() <= 10_000 });
        // Page after page by the last row's number, and the same by an offset.
        let mut pages = Vec::new();
        while let Some(row) = bench
            .store
            .rows(words, &RowQuery { from: pages.last().map_or(0, |r| r + 1), limit: Some(7), ..query })
            .unwrap()
            .first()
        {
            if pages.len() > 30 {
                break;
            }
            pages.push(row.row);
        }
        assert_eq!(pages, expected[..expected.len().min(pages.len())]);
        let offset = expected.len() as u64 / 2;
        let half = bench.store.rows(words, &RowQuery { offset, limit: Some(3), ..query }).unwrap();
        let half: Vec<u64> = half.iter().map(|r| r.row).collect();
        assert_eq!(half, expected.iter().skip(offset as usize).take(3).copied().collect::<Vec<_>>());
    }
}

fn plain_split(share: f64, seed: u64) -> SplitRequest {
    SplitRequest { val: HoldOut::Share(share), seed, stratify: None, together: None, near: None }
}

#[test]
fn every_version_stays_as_it_was_whatever_follows() {
    for seed in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        let (bench, file) = (open(dir.path()), dir.path().join("rows.jsonl"));
        let mut model = Model { random: ChaCha8Rng::seed_from_u64(seed), versions: Vec::new(), next: 0, row_end: 0 };
        let first = (0..3).map(|i| {
            (
                i,
                Example {
                    instruction: format!("q{i} 基金"),
                    output: "a".into(),
                    lang: "zh".into(),
                    ..Example::default()
                },
            )
        });
        let first: Rows = first.collect();
        let lines: Vec<String> =
            first.values().map(|e| json!({"instruction": e.instruction, "output": e.output}).to_string()).collect();
        std::fs::write(&file, lines.join("\n")).unwrap();
        import(&bench, &file, Existing::Refuse).unwrap();
        model.versions.push(first);
        model.row_end = 3;
        for at in 0..40 {
            let rows = step(&bench, &mut model, &file);
            let made = bench.store.dataset("x").unwrap().number as usize;
            // A step that leaves everything as it is makes no version.
            assert_eq!(
                made,
                model.versions.len() + usize::from(hash(&rows) != hash(&model.newest())),
                "seed {seed}, step {at}"
            );
            if made > model.versions.len() {
                model.versions.push(rows);
            }
            check_version(&bench, made, &model.newest());
        }
        for (rows, number) in model.versions.iter().zip(1..) {
            check_version(&bench, number, rows);
            let (a, b, differing, moved) = bench.store.diff(&format!("x@{number}"), "x").unwrap();
            let (newest, texts) = (model.newest(), bench.store.diff_texts(&b, &differing).unwrap());
            assert_eq!(a.number, number as u64);
            // Each side of each differing row is told once: in a change, an addition, a removal or a move.
            let numbers: HashSet<&u64> = rows.keys().chain(newest.keys()).collect();
            let differing = numbers.into_iter().filter(|row| rows.get(row) != newest.get(row));
            let sides: usize =
                differing.map(|row| usize::from(rows.contains_key(row)) + usize::from(newest.contains_key(row))).sum();
            let told = |row: &RowDiff| match row {
                RowDiff::Changed(a, b) => {
                    assert!(rows[&a.row] == a.example && newest[&b.row] == b.example && a.row == b.row);
                    2
                }
                RowDiff::Added(b) => usize::from(newest[&b.row] == b.example),
                RowDiff::Removed(a) => usize::from(rows[&a.row] == a.example),
            };
            assert_eq!(texts.iter().map(told).sum::<usize>() + 2 * moved as usize, sides);
        }
        let queries: Vec<String> =
            ["fund", "FUND b", "基金", "金", "利率 收", "引号", "%", "", "nothing like it", "\\\\"]
                .map(str::to_owned)
                .into();
        search_finds_what_is_there(&bench, "x", &model.newest(), &queries);
        search_finds_what_is_there(&bench, "x@2", &model.versions[1], &queries);
        let numbers: Vec<u64> = bench.store.history("x").unwrap().iter().map(|v| v.number).collect();
        assert_eq!(numbers, (1..=model.versions.len() as u64).collect::<Vec<_>>());
    }
}

/// Enough rows for several segments of the index, then every way in which it can fall behind the rows.
#[test]
fn the_index_follows_the_rows() {
    let dir = tempfile::tempdir().unwrap();
    let (bench, file) = (open(dir.path()), dir.path().join("rows.jsonl"));
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut text = |i: usize| -> String {
        let words: Vec<&str> = (0..6).map(|_| WORDS[random.random_range(0..WORDS.len())]).collect();
        format!("{}{i} {}", words[..3].concat(), words[3..].join(" "))
    };
    let mut lines = |rows: std::ops::Range<usize>| {
        let lines: Vec<String> = rows.map(|i| json!({"instruction": text(i), "output": "a"}).to_string()).collect();
        std::fs::write(&file, lines.join("\n")).unwrap();
    };
    let queries: Vec<String> =
        ["fund123", "基金债券7", "率4", "基金 利率", "yield ABC", "“引号”基金", "33", "zzz", "新的词"]
            .map(str::to_owned)
            .into();
    let check = |bench: &Workbench| search_finds_what_is_there(bench, "x", &stored(bench, "x"), &queries);
    lines(0..20_000);
    import(&bench, &file, Existing::Refuse).unwrap();
    check(&bench);
    // A tail without an index, then one long enough to get a segment of its own.
    lines(20_000..20_500);
    import(&bench, &file, Existing::Append).unwrap();
    check(&bench);
    lines(20_500..30_000);
    import(&bench, &file, Existing::Append).unwrap();
    check(&bench);
    let edits: Vec<Edit> = [3u64, 4, 17, 9_999, 29_999]
        .map(|row| Edit { row, fields: json!({"output": "新的词 new"}).as_object().unwrap().clone() })
        .into();
    data::edit_rows(&bench, "x", &edits).unwrap();
    data::remove_rows(&bench, "x", &[5, 6, 20_001]).unwrap();
    check(&bench);
    assert_eq!(bench.store.count_rows("x", &RowQuery { search: "新的词", ..RowQuery::default() }).unwrap().rows, 5);
    assert_eq!(bench.store.count_rows("x@1", &RowQuery { search: "新的词", ..RowQuery::default() }).unwrap().rows, 0);
    // So many changed rows that the index is made anew.
    let before = stored(&bench, "x");
    lines(40_000..60_000);
    import(&bench, &file, Existing::Replace).unwrap();
    check(&bench);
    search_finds_what_is_there(
        &bench,
        &format!("x@{}", bench.store.dataset("x").unwrap().number - 1),
        &before,
        &queries,
    );
}

#[test]
fn a_purge_needs_force_while_a_training_rests_on_the_rows() {
    let dir = tempfile::tempdir().unwrap();
    let (bench, file) = (open(dir.path()), dir.path().join("rows.jsonl"));
    std::fs::write(&file, json!({"instruction": "q", "output": "a"}).to_string()).unwrap();
    let version = import(&bench, &file, Existing::Refuse).unwrap().version;
    let run = linly_bench::store::NewRun {
        kind: "train",
        dataset: "x".into(),
        dataset_version: version.clone(),
        ..Default::default()
    };
    drop(bench.store.start_run(&run).unwrap());
    let refused = bench.store.purge_dataset("x", false).unwrap_err();
    assert!(refused.kind == Kind::InvalidInput && refused.hint.unwrap().contains("--force"));
    bench.store.delete_dataset("x").unwrap();
    assert_eq!(bench.store.dataset("x").unwrap_err().kind, Kind::NotFound);
    // The name is free; the history goes on.
    std::fs::write(&file, json!({"instruction": "other", "output": "a"}).to_string()).unwrap();
    assert_eq!(import(&bench, &file, Existing::Refuse).unwrap().number, 2);
    assert_eq!(
        bench.store.rows(&format!("x@{}", &version[..6]), &RowQuery::default()).unwrap()[0].example.instruction,
        "q"
    );
    bench.store.purge_dataset("x", true).unwrap();
    assert!(bench.store.find_dataset("x").unwrap().is_none() && bench.store.deleted_datasets().unwrap().is_empty());
}

/// A database as the program of before made it: its migrations only, and rows written in its tables.
#[test]
fn a_database_of_before_comes_over_whole() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("migrations");
    std::fs::create_dir(&old).unwrap();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap() < "20261124173000" {
            std::fs::copy(&path, old.join(path.file_name().unwrap())).unwrap();
        }
    }
    let home = dir.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let rows: Rows = [
        ("什么是“基金”？", "一种\n投资", Split::Train, vec![], vec![]),
        ("42", "a", Split::Val, vec![("q\"1".to_owned(), "a1".to_owned())], vec![1]),
        ("O'Neil", "\u{1b}[31m", Split::Train, vec![("q".to_owned(), String::new())], vec![]),
    ]
    .into_iter()
    .zip(0..)
    .map(|((instruction, output, split, history, tool_turns), row)| {
        let lang = if row == 0 { "zh" } else { "en" };
        let e = Example {
            tools: String::new(),
            instruction: instruction.into(),
            output: output.into(),
            split,
            history,
            tool_turns,
            lang: lang.into(),
            system: "s".into(),
            input: "i".into(),
        };
        (row, e)
    })
    .collect();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(home.join("linly.db")).create_if_missing(true);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::migrate::Migrator::new(old.as_path()).await.unwrap().run(&pool).await.unwrap();
        for (id, name) in [(1, "x"), (7, "empty@home")] {
            sqlx::query("INSERT INTO datasets VALUES (?, ?, ?, 'here', 'CC0', '2026-01-02T03:04:05.000Z')")
                .bind(id).bind(name).bind(hash(&rows)).execute(&pool).await.unwrap();
            for (row, e) in &rows {
                sqlx::query("INSERT INTO examples (dataset_id, row, split, lang, instruction, input, output, system, history, tool_turns, hash, file, line)
                             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
                    .bind(id).bind(*row as i64).bind(e.split.as_str()).bind(&e.lang).bind(&e.instruction).bind(&e.input)
                    .bind(&e.output).bind(&e.system).bind(serde_json::to_string(&e.history).unwrap())
                    .bind(serde_json::to_string(&e.tool_turns).unwrap()).bind(linly_bench::data::hex(&e.hash()))
                    .bind(if *row == 2 { "b.json" } else { "a.json" }).bind(*row as i64 + 10).execute(&pool).await.unwrap();
            }
        }
        sqlx::query("INSERT INTO rejects VALUES (1, 'a.json', 4, 'because')").execute(&pool).await.unwrap();
        pool.close().await;
    });
    let bench = open(&home);
    assert_eq!(stored(&bench, "x"), rows);
    // A name with the sign that separates versions now is still that dataset's name.
    assert_eq!(stored(&bench, "empty@home"), rows);
    let read = bench.store.rows("x", &RowQuery::default()).unwrap();
    let places: Vec<(&str, u64)> = read.iter().map(|r| (r.file.as_str(), r.line)).collect();
    assert_eq!(places, [("a.json", 10), ("a.json", 11), ("b.json", 12)]);
    let record = bench.store.dataset("x").unwrap();
    assert_eq!((record.version, record.number, record.val, record.zh, record.rejected), (hash(&rows), 1, 1, 1, 1));
    assert_eq!((record.licence.as_str(), record.source.as_str(), &record.created_at[..4]), ("CC0", "here", "2026"));
    assert_eq!(bench.store.rejects("x", 9).unwrap()[0].reason, "because");
    // And it goes on from there.
    data::remove_rows(&bench, "x", &[0]).unwrap();
    assert_eq!(stored(&bench, "x@1"), rows);
    drop(bench);
    assert_eq!(stored(&open(&home), "x").len(), 2);
}

#[test]
fn words_that_name_no_version_are_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let (bench, file) = (open(dir.path()), dir.path().join("rows.jsonl"));
    std::fs::write(&file, json!({"instruction": "q", "output": "a"}).to_string()).unwrap();
    import(&bench, &file, Existing::Refuse).unwrap();
    let advice = |e: Error| e.hint.unwrap_or_default();
    for words in ["x@2", "x@0", "x@-1", "x@", "x@nothing", "x@ffffffff", "@1"] {
        let error = bench.store.dataset(words).unwrap_err();
        assert_eq!(error.kind, Kind::NotFound, "{words}");
        assert!(!advice(error).is_empty());
    }
    for tag in ["", "1", "beef", "latest", "a b", "a@b", "-x", "a\u{1b}"] {
        assert_eq!(bench.store.tag_dataset("x", tag).unwrap_err().kind, Kind::InvalidInput, "{tag:?}");
    }
    bench.store.tag_dataset("x", "初版").unwrap();
    assert_eq!(bench.store.dataset("x@初版").unwrap().tags, ["初版"]);
    bench.store.untag_dataset("x", "初版").unwrap();
    assert!(bench.store.dataset("x@初版").is_err());
    assert!(bench.store.untag_dataset("x", "初版").is_err());
}
