//! The project's own data keeps the promises of its READMEs. The checks recompute from the files' text and share nothing
//! with the generators that wrote them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

/// Longest run of words (English) or characters (Chinese) that a benchmark text may share with a training row, plus one.
const LONG_RUN: usize = 13;

/// One line of `datasets/*.jsonl`.
struct Row {
    file: String,
    lang: String,
    id: String,
    group: String,
    split: String,
    /// What is asked: earlier turns with their answers, the instruction, and the text that it is about.
    instruction: String,
    /// The answers of all turns.
    outputs: Vec<String>,
    /// The last of them.
    output: String,
}

/// The files whose answers show several steps; theirs may be longer.
const LONG_ANSWERS: [&str; 3] = ["worked", "dialogue", "table"];

/// What stands between language and part in the names of `evals/finance-qa/*.csv`: the first tier and the definitions.
const TIERS: [&str; 2] = ["", "-define"];

/// One line of `evals/finance-qa/*.csv`.
struct Item {
    lang: &'static str,
    id: String,
    question: String,
    options: Vec<String>,
    answer: String,
    topic: String,
}

impl Item {
    fn right(&self) -> &str {
        &self.options["ABCD".find(&self.answer).unwrap()]
    }
}

fn read(path: &str) -> String {
    let full = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&full).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn index() -> Vec<toml::Table> {
    let table: toml::Table = read("datasets/datasets.toml").parse().expect("datasets.toml parses");
    let files = table["file"].as_array().expect("[[file]] tables");
    files.iter().map(|f| f.as_table().expect("a table").clone()).collect()
}

fn objects(path: &str) -> Vec<Value> {
    let text = read(path);
    assert!(text.ends_with('\n'), "{path} ends with a line end");
    text.lines()
        .enumerate()
        .map(|(n, line)| serde_json::from_str(line).unwrap_or_else(|e| panic!("{path}:{}: {e}", n + 1)))
        .collect()
}

fn field(object: &Value, key: &str) -> String {
    object[key].as_str().unwrap_or_else(|| panic!("{key} is a string in {object}")).to_owned()
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for file in index() {
        let (path, lang) = (file["path"].as_str().unwrap(), file["lang"].as_str().unwrap());
        for object in objects(&format!("datasets/{path}")) {
            let id = field(&object, "id");
            let earlier = object.get("history").and_then(Value::as_array).cloned().unwrap_or_default();
            let turns: Vec<[String; 2]> = earlier
                .iter()
                .map(|turn| [0, 1].map(|i| turn[i].as_str().unwrap_or_else(|| panic!("{id}: {turn}")).to_owned()))
                .collect();
            assert_eq!(path.starts_with("dialogue"), !turns.is_empty(), "{id}: only consultations have a history");
            let about = field(&object, "input");
            let has_text = path.starts_with("table") || path.starts_with("extract");
            assert_eq!(has_text, !about.is_empty(), "{id}: only questions about a text have an input");
            let mut asked = turns.concat();
            asked.push(field(&object, "instruction"));
            asked.extend(Some(about).filter(|text| !text.is_empty()));
            let mut outputs: Vec<String> = turns.iter().map(|turn| turn[1].clone()).collect();
            outputs.push(field(&object, "output"));
            rows.push(Row {
                file: path.to_owned(),
                lang: lang.to_owned(),
                id: field(&object, "id"),
                group: field(&object, "id").split('/').nth(1).expect("an id has three parts").to_owned(),
                split: field(&object, "split"),
                instruction: asked.join("\n"),
                outputs,
                output: field(&object, "output"),
            });
        }
    }
    rows
}

/// The records of an RFC 4180 text: quoted fields may hold commas, line ends and doubled quotes.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            _ => cell.push(c),
        }
    }
    assert!(!quoted && cell.is_empty() && record.is_empty(), "the last record ends with a line end");
    records
}

fn items(tier: &str, part: &str) -> Vec<Item> {
    let mut items = Vec::new();
    for lang in ["zh", "en"] {
        let text = read(&format!("evals/finance-qa/{lang}{tier}_{part}.csv"));
        assert!(!text.starts_with('\u{feff}') && !text.contains('\r'), "UTF-8 without a mark, LF");
        let records = csv(&text);
        assert_eq!(records[0].join(","), "id,question,A,B,C,D,answer,topic");
        items.extend(records[1..].iter().map(|r| Item {
            lang,
            id: r[0].clone(),
            question: r[1].clone(),
            options: r[2..6].to_vec(),
            answer: r[6].clone(),
            topic: r[7].clone(),
        }));
    }
    items
}

/// The numbers of a text in order, thousands separators left out.
fn numbers(text: &str) -> Vec<f64> {
    let text = text.replace(',', "");
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter_map(|part| part.trim_matches('.').parse().ok())
        .collect()
}

#[test]
fn every_row_is_whole_and_counted() {
    let rows = rows();
    let ids: HashSet<_> = rows.iter().map(|r| &r.id).collect();
    assert_eq!(ids.len(), rows.len(), "ids are unique over all files");
    let readme = read("datasets/README.md");
    for file in index() {
        let path = file["path"].as_str().unwrap();
        let own: Vec<_> = rows.iter().filter(|r| r.file == path).collect();
        let val = own.iter().filter(|r| r.split == "val").count();
        let counts = [own.len(), own.len() - val, val];
        assert_eq!(["rows", "train", "val"].map(|k| file[k].as_integer().unwrap() as usize), counts, "{path}");
        let source = file["source"].as_str().unwrap();
        assert!(
            readme.contains(&format!("| `{path}` | {source} | {} | {} | {} |", counts[0], counts[1], counts[2])),
            "{path} in README"
        );
        assert_eq!(file["licence"].as_str(), Some("CC-BY-4.0"));
        assert!(own.iter().all(|r| r.id.starts_with(&path.replace(".jsonl", "/"))), "{path}: ids name the file");
    }
    for row in &rows {
        assert!(row.split == "train" || row.split == "val", "{}: {}", row.id, row.split);
        assert!(!row.instruction.trim().is_empty() && !row.output.trim().is_empty(), "{} is empty", row.id);
        let long = LONG_ANSWERS.iter().any(|kind| row.file.starts_with(kind));
        // A translation is in the other language: characters would count its letters.
        let characters = row.lang == "zh" && !row.file.starts_with("parallel");
        for output in &row.outputs {
            let size = if characters { output.chars().count() } else { output.split_whitespace().count() };
            let most = if characters { [90, 180] } else { [60, 110] }[usize::from(long)];
            assert!(size <= most, "{} is too long: {size}", row.id);
        }
    }
    for lang in ["zh", "en"] {
        let own: Vec<_> = rows.iter().filter(|r| r.lang == lang).collect();
        let val = own.iter().filter(|r| r.split == "val").count();
        assert!(own.len() >= if lang == "zh" { 2000 } else { 1000 }, "{lang}: {} rows", own.len());
        assert!((0.05..0.15).contains(&(val as f64 / own.len() as f64)), "{lang}: {val} held out of {}", own.len());
    }
}

#[test]
fn a_concept_is_on_one_side_of_the_split() {
    let (mut side, mut asked) = (HashMap::new(), HashMap::new());
    for row in rows() {
        let first = side.entry(row.group.clone()).or_insert_with(|| row.split.clone());
        assert_eq!(*first, row.split, "{}: its group {} is on both sides", row.id, row.group);
        if let Some(other) = asked.insert(row.instruction, row.id.clone()) {
            panic!("{} repeats the instruction of {other}", row.id);
        }
    }
}

#[test]
fn a_choice_row_answers_with_one_of_its_options() {
    let mut letters: HashMap<(String, char), usize> = HashMap::new();
    let mut total: HashMap<String, usize> = HashMap::new();
    for row in rows().iter().filter(|r| r.file.starts_with("choice")) {
        let options: Vec<_> = row.instruction.lines().skip(1).collect();
        let starts: String = options.iter().filter_map(|o| o.chars().next()).collect();
        assert_eq!(starts, "ABCD", "{}", row.id);
        assert!(options.contains(&row.output.as_str()), "{}: {} is no option", row.id, row.output);
        let texts: HashSet<_> = options.iter().map(|o| &o[3..]).collect();
        assert_eq!(texts.len(), 4, "{}: two options are equal", row.id);
        *letters.entry((row.lang.clone(), row.output.chars().next().unwrap())).or_default() += 1;
        *total.entry(row.lang.clone()).or_default() += 1;
    }
    for ((lang, letter), n) in letters {
        let share = n as f64 / total[&lang] as f64;
        assert!((0.22..0.28).contains(&share), "{lang}: {letter} is right in {share:.2} of the rows");
    }
}

/// Recomputes an answer `label = a × b% × c = r` or `a ÷ b = r` from its text, and finds its terms in the question.
#[test]
fn interest_and_price_earnings_rows_are_right() {
    let (rows, mut checked) = (rows(), HashMap::new());
    for row in rows.iter().filter(|r| r.file.starts_with("computed")) {
        let kind = ["simple-interest", "pe-ratio"].into_iter().find(|k| row.id.contains(&format!("/{k}-")));
        let Some(kind) = kind else { continue };
        let given = numbers(&row.instruction);
        let formula = row.output.split_once(" = ").expect("a label").1;
        let found = numbers(formula);
        let terms = &found[..found.len() - 1];
        let expected = match (kind, terms) {
            ("simple-interest", [principal, rate, years]) => principal * rate / 100.0 * years,
            ("pe-ratio", [price, earnings]) => price / earnings,
            _ => panic!("{}: unexpected terms {terms:?}", row.id),
        };
        let stated = found[found.len() - 1];
        assert!((stated - expected).abs() < 0.005 + 1e-9, "{}: {expected} is stated as {stated}", row.id);
        let (mut given, mut terms) = (given, terms.to_vec());
        given.sort_by(f64::total_cmp);
        terms.sort_by(f64::total_cmp);
        assert_eq!(given, terms, "{}: the answer computes with the question's numbers", row.id);
        *checked.entry((row.lang.as_str(), kind)).or_insert(0) += 1;
    }
    assert_eq!(checked.len(), 4, "both kinds in both languages: {checked:?}");
    assert!(checked.values().all(|n| *n >= 5), "{checked:?}");
}

/// Recomputes every answer whose formula is a plain chain of products and quotients.
#[test]
fn plain_products_and_quotients_are_right() {
    let mut checked = 0;
    for row in rows().iter().filter(|r| r.file.starts_with("computed")) {
        let formula = row.output.replace([',', '$'], "");
        let parts: Vec<_> = formula.split([' ']).collect();
        let Some(equals) = parts.iter().rposition(|p| *p == "=" || *p == "≈") else { continue };
        let Some(start) = parts[..equals].iter().rposition(|p| *p == "=" || *p == "≈") else { continue };
        let chain = &parts[start + 1..equals];
        if chain.len() < 3 || chain.iter().any(|p| p.contains(['(', ')', '^', '+', '−'])) {
            continue;
        }
        let term =
            |p: &str| p.trim_end_matches('%').parse::<f64>().map(|v| if p.ends_with('%') { v / 100.0 } else { v });
        let mut value = term(chain[0]).unwrap_or_else(|_| panic!("{}: {}", row.id, chain[0]));
        for pair in chain[1..].chunks(2) {
            let right = term(pair[1]).unwrap_or_else(|_| panic!("{}: {}", row.id, pair[1]));
            match pair[0] {
                "×" => value *= right,
                "÷" => value /= right,
                other => panic!("{}: operator {other}", row.id),
            }
        }
        let result = parts[equals + 1];
        let stated = numbers(result)[0] / if result.contains('%') { 100.0 } else { 1.0 };
        let slack = if result.contains('%') { 0.00005 } else { 0.005 };
        assert!((stated - value).abs() <= slack + 1e-9, "{}: {value} is stated as {stated}", row.id);
        checked += 1;
    }
    assert!(checked > 200, "only {checked} rows could be read");
}

#[test]
fn benchmark_items_are_well_formed_and_balanced() {
    for (tier, part, least) in [("", "dev", 5), ("", "test", 120), ("-define", "dev", 5), ("-define", "test", 70)] {
        let items = items(tier, part);
        let ids: HashSet<_> = items.iter().map(|i| &i.id).collect();
        assert_eq!(ids.len(), items.len(), "ids are unique");
        for lang in ["zh", "en"] {
            let own: Vec<_> = items.iter().filter(|i| i.lang == lang).collect();
            assert!(own.len() >= least && (part == "test" || own.len() == least), "{lang} {part}: {}", own.len());
            let (mut letters, mut longest) = ([0_usize; 4], 0);
            for item in &own {
                let right = "ABCD"
                    .find(&item.answer)
                    .filter(|_| item.answer.len() == 1)
                    .unwrap_or_else(|| panic!("{}", item.id));
                letters[right] += 1;
                let texts: HashSet<_> = item.options.iter().collect();
                assert_eq!(texts.len(), 4, "{}: two options are equal", item.id);
                let sizes: Vec<_> = item.options.iter().map(|o| o.chars().count()).collect();
                longest += usize::from((0..4).all(|i| i == right || sizes[i] < sizes[right]));
            }
            if part == "test" {
                let even = own.len() as f64 / 4.0;
                assert!(letters.iter().all(|n| (*n as f64 - even).abs() <= even * 0.15), "{lang}: {letters:?}");
                assert!(
                    longest * 10 <= own.len() * 3,
                    "{lang}: the right option is the longest in {longest} of {}",
                    own.len()
                );
            }
        }
    }
}

#[test]
fn a_definition_is_right_once_and_wrong_three_times() {
    let rows = rows();
    for lang in ["zh", "en"] {
        let taught: HashSet<_> = rows
            .iter()
            .filter(|r| r.file == format!("terms-{lang}.jsonl") && r.split == "train")
            .map(|r| r.group.as_str())
            .collect();
        let mut concepts = HashSet::new();
        for (part, count) in [("dev", 5), ("test", 70)] {
            let own: Vec<_> = items("-define", part).into_iter().filter(|i| i.lang == lang).collect();
            assert_eq!(own.len(), count, "{lang} {part}");
            let topics: HashMap<_, _> = own.iter().map(|i| (i.right(), &i.topic)).collect();
            assert_eq!(topics.len(), count, "{lang} {part}: a definition is the right option once");
            let mut wrong: HashMap<&str, usize> = HashMap::new();
            for item in &own {
                let concept = item.id.strip_prefix(&format!("{lang}-define-")).unwrap_or_else(|| panic!("{}", item.id));
                assert!(taught.contains(concept), "{}: no training row explains it", item.id);
                assert!(concepts.insert(concept.to_owned()), "{} is in both parts", item.id);
                let right = item.right();
                let quoted = |c: char| c == '"' || c == '“' || c == '”';
                let term = item.question.split(quoted).nth(1).expect("a quoted term").to_lowercase();
                assert!(!right.to_lowercase().contains(&term), "{}: the answer names the term", item.id);
                let sizes = item.options.iter().map(|o| o.chars().count());
                let (shortest, longest) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
                assert!(longest * 2 <= shortest * 3, "{}: lengths {shortest} to {longest}", item.id);
                for other in item.options.iter().map(String::as_str).filter(|o| *o != right) {
                    assert_ne!(topics[other], &item.topic, "{}: {other} is of the same topic", item.id);
                    *wrong.entry(other).or_default() += 1;
                }
            }
            assert!(wrong.len() == count && wrong.values().all(|n| *n == 3), "{lang} {part}: {wrong:?}");
            for text in topics.keys() {
                let size = if lang == "zh" { text.chars().count() } else { text.split_whitespace().count() };
                assert!(size <= if lang == "zh" { 40 } else { 22 }, "{text} is too long: {size}");
            }
        }
    }
}

/// Letters and digits in order: characters for Chinese, words for English.
fn parts(text: &str, lang: &str) -> Vec<String> {
    let text = text.to_lowercase();
    if lang == "zh" {
        return text.chars().filter(|c| c.is_alphanumeric()).map(String::from).collect();
    }
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

fn runs(parts: &[String], size: usize) -> HashSet<String> {
    parts.windows(size).map(|w| w.join("\u{1f}")).collect()
}

fn five_characters(text: &str) -> HashSet<String> {
    runs(&parts(text, "zh"), 5)
}

#[test]
fn benchmark_and_arena_are_apart_from_the_training_rows() {
    let rows = rows();
    let mut texts: Vec<(String, String, Vec<String>)> = Vec::new();
    let own = TIERS.into_iter().flat_map(|tier| ["dev", "test"].map(|part| items(tier, part)));
    for item in own.flatten() {
        let mut all = vec![item.question];
        all.extend(item.options);
        texts.push((item.lang.to_owned(), item.id, all));
    }
    let mut per_lang = HashMap::new();
    for object in objects("evals/finance-qa/arena-questions.jsonl") {
        assert!(!field(&object, "reference").trim().is_empty());
        let lang = field(&object, "lang");
        *per_lang.entry(lang.clone()).or_insert(0) += 1;
        texts.push((lang, field(&object, "id"), vec![field(&object, "question")]));
    }
    assert_eq!(per_lang, HashMap::from([("zh".to_owned(), 30), ("en".to_owned(), 30)]));
    for lang in ["zh", "en"] {
        let own: Vec<_> = rows
            .iter()
            // Parallel text has both languages in one row.
            .filter(|r| r.lang == lang || r.file.starts_with("parallel"))
            .map(|r| (&r.id, format!("{} {}", r.instruction, r.output)))
            .collect();
        let long: HashSet<_> = own.iter().flat_map(|(_, t)| runs(&parts(t, lang), LONG_RUN)).collect();
        let short: Vec<_> = own.iter().map(|(id, t)| (id, five_characters(t))).collect();
        for (_, id, all) in texts.iter().filter(|(l, _, _)| l == lang) {
            for text in all {
                let shared = runs(&parts(text, lang), LONG_RUN).into_iter().find(|r| long.contains(r));
                assert!(shared.is_none(), "{id} shares a run of {LONG_RUN} with a training row: {shared:?}");
            }
            for mine in [five_characters(&all[0]), five_characters(&all.join(" "))] {
                for (row, theirs) in &short {
                    let share = mine.intersection(theirs).count() as f64 / mine.len().max(1) as f64;
                    assert!(share <= 0.5, "{id}: {share:.2} of its text stands in {row}");
                }
            }
        }
    }
}

/// Claims that a finance text must not make; the data avoids them even where they would be denied.
#[test]
fn forbidden_claims_are_absent() {
    let forbidden = [
        "保本",
        "稳赚",
        "零风险",
        "保证收益",
        "保证本金",
        "包赚",
        "必涨",
        "只赚不赔",
        "guaranteed principal",
        "guarantees the principal",
        "guarantee the principal",
        "guaranteed return",
        "guaranteed profit",
        "risk-free return",
        "risk-free profit",
        "cannot lose",
    ];
    let mut paths: Vec<String> = index().iter().map(|f| format!("datasets/{}", f["path"].as_str().unwrap())).collect();
    for tier in TIERS {
        paths.extend(["zh", "en"].map(|lang| format!("evals/finance-qa/{lang}{tier}_dev.csv")));
        paths.extend(["zh", "en"].map(|lang| format!("evals/finance-qa/{lang}{tier}_test.csv")));
    }
    paths.push("evals/finance-qa/arena-questions.jsonl".to_owned());
    for path in paths {
        let text = read(&path).to_lowercase();
        for claim in forbidden {
            assert!(!text.contains(claim), "{path} says {claim:?}");
        }
    }
}
