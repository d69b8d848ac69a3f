//! Hostile files: whatever the bytes, an import neither panics nor loses a record unseen, and its memory is bounded.
//! `LINLY_BENCH_FUZZ` is the number of cases; the usual ones take some seconds. Another number is another seed.

#![allow(clippy::unwrap_used, clippy::panic)]

use linly_bench::data::{self, Format, ImportOptions, Record};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::io::Write;
use std::path::Path;

const ALPACA: &str = "{\"instruction\":\"什么是基金？\",\"input\":\"\",\"output\":\"一种投资。\",\"history\":[[\"q\",\"a\"]]}\n\
    {\"instruction\":\"What is a bond?\",\"output\":\"A loan.\",\"system\":\"s\",\"split\":\"val\",\"score\":1.5e3}\n\
    ......\n{\"prompt\":\"q\",\"completion\":\"a\",\"prompt\":\"r\"}\n{\"text\":\"plain\"}\n";
const TALK: &str = "[{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"function_call\",\"value\":\"f\"},\n\
    {\"from\":\"observation\",\"value\":\"1\"},{\"from\":\"gpt\",\"value\":\"a\"}],\"tools\":[{\"n\":1}]},\n\
    {\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"q\"}]},{\"role\":\"assistant\",\"content\":\"a\"}]}]";
const LISTS: &str =
    "{\"train\": [{\"question\":\"q\",\"answer\":\"a\"}], \"dev\": [{\"instruction\":1,\"output\":true}]}";
const SPANNING: &str =
    "{\n \"instruction\": \"q\",\n \"output\": \"a\"\n}\n{\n \"instruction\": \"r\",\n \"output\": \"b\"\n}\n";
const CSV: &str = "instruction,output,history,\u{5907}\u{6ce8}\r\n\"a,\"\"b\"\"\r\nc\",d,\"[[\"\"q\"\",\"\"a\"\"]]\",x\r\n\r\ne,f,,\r\n";
const TSV: &str = "sep=\t\nquestion\tanswer\n问\t答\n";
const CONTEXT: &str = "[{\"table\":{\"table\":[[\"\",\"2019\"],[\"x\",\"1\"]]},\"paragraphs\":[{\"order\":1,\"text\":\"p\"}],\
    \"questions\":[{\"question\":\"q\",\"answer\":[\"1\"],\"derivation\":\"1+0\",\"scale\":\"percent\"}]}]";

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let gzip = |text: &str| {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text.as_bytes()).unwrap();
        gz.finish().unwrap()
    };
    let utf16 = |text: &str| [vec![0xff, 0xfe], text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat();
    let row =
        data::Example { instruction: "问".into(), output: "答".into(), lang: "zh".into(), ..Default::default() };
    let mut table = data::RowTable::new(Vec::new(), Path::new("a.parquet")).unwrap();
    (0..2).for_each(|number| table.row(number, &row).unwrap());
    let parquet = table.finish().unwrap();
    vec![
        ("a.jsonl", ALPACA.into()),
        ("a.json", TALK.into()),
        ("a.json", LISTS.into()),
        ("a.json", SPANNING.into()),
        ("a.csv", CSV.into()),
        ("a.tsv", TSV.into()),
        ("a.json", CONTEXT.into()),
        ("a.csv", utf16(CSV)),
        ("a.jsonl", encoding_rs::GB18030.encode(ALPACA).0.to_vec()),
        ("a.jsonl.gz", gzip(ALPACA)),
        ("a.csv.zst", zstd::encode_all(CSV.as_bytes(), 1).unwrap()),
        ("a.parquet", parquet),
    ]
}

fn mutate(rng: &mut ChaCha8Rng, seed: &[u8], other: &[u8]) -> Vec<u8> {
    const TOKENS: [&[u8]; 20] = [
        b"\"",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b"\n",
        b"\r\n",
        b"\\",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xe5\x9f",
        b"1e999",
        b"null",
        b"\\ud800",
        b"\"output\":",
        b"\x1f\x8b",
        b"PAR1",
        b"[[[[[[[[",
    ];
    let mut bytes = seed.to_vec();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=bytes.len());
        let to = (at + rng.random_range(0..20)).min(bytes.len());
        match rng.random_range(0..8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..to)),
            4 => {
                let again = bytes[at..to].to_vec();
                bytes.splice(at..at, again);
            }
            5 | 6 => drop(bytes.splice(at..at, TOKENS[rng.random_range(0..TOKENS.len())].iter().copied())),
            _ => {
                let from = rng.random_range(0..=other.len());
                bytes.splice(at.., other[from..].iter().copied());
            }
        }
    }
    bytes
}

fn options(rng: &mut ChaCha8Rng) -> ImportOptions {
    let formats = [
        "auto",
        "auto",
        "auto",
        "alpaca",
        "messages",
        "csv",
        "tsv",
        "parquet",
        "tatqa",
        "convfinqa",
        "text",
        "text-lines",
        "text-file",
    ];
    let format = Format::parse(formats[rng.random_range(0..formats.len())]).unwrap();
    ImportOptions { format, ..ImportOptions::default() }
}

/// Rows and refusals of `bytes`, or none when the file as a whole was refused.
fn import(file: &str, bytes: &[u8], options: &ImportOptions) -> Option<(u64, u64)> {
    let (mut rows, mut rejects) = (0, 0);
    let result = data::read(bytes, file, options, &mut |record| {
        match record {
            Record::Row(row) => {
                assert!(!row.example.output.trim().is_empty() && row.line > 0);
                rows += 1;
            }
            Record::Reject(reject) => {
                assert!(!reject.reason.is_empty() && reject.line > 0);
                rejects += 1;
            }
        }
        Ok(())
    });
    result.is_ok().then_some((rows, rejects))
}

fn cases() -> u64 {
    std::env::var("LINLY_BENCH_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(200_000)
}

#[test]
fn mutated_files_never_panic() {
    let seeds = seeds();
    let mut rng = ChaCha8Rng::seed_from_u64(cases());
    let (mut read, mut refused) = (0u64, 0u64);
    for _ in 0..cases() {
        let (file, seed) = &seeds[rng.random_range(0..seeds.len())];
        let (_, other) = &seeds[rng.random_range(0..seeds.len())];
        let bytes = mutate(&mut rng, seed, other);
        let options = options(&mut rng);
        match import(file, &bytes, &options) {
            Some(_) => read += 1,
            None => refused += 1,
        }
    }
    eprintln!("{read} files read, {refused} refused as a whole");
    assert!(read > 0 && refused > 0);
}

#[test]
fn arbitrary_bytes_never_panic() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..cases() / 10 {
        let mut bytes = vec![0; rng.random_range(0..300)];
        rng.fill_bytes(&mut bytes);
        let _ = import("x", &bytes, &options(&mut rng));
    }
}

/// Every record is a row or a refusal: lines are counted here by what was put into the file.
#[test]
fn no_record_is_lost() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let good = |i: u64| format!("{{\"instruction\":\"q{i}\",\"output\":\"a\"}}");
    for case in 0..cases() / 10 {
        let count = rng.random_range(1..40);
        // JSON lines: anything on one line that does not look like the start of another layout is one record.
        let mut lines = vec![good(case)];
        for i in 1..count {
            lines.push(match rng.random_range(0..6) {
                0 => "......".into(),
                1 => "{\"instruction\":\"q\"".into(),
                2 => "[1,2".into(),
                3 => "\u{0}".into(),
                4 => "\"".into(),
                _ => good(i),
            });
        }
        let break_ = ["\n", "\r\n", "\n\n"][rng.random_range(0..3)];
        let (rows, rejects) = import("x", lines.join(break_).as_bytes(), &ImportOptions::default()).unwrap();
        assert_eq!(rows + rejects, count, "{lines:?}");
        // An array whose elements are balanced.
        let elements: Vec<String> = (0..count)
            .map(|i| match rng.random_range(0..4) {
                0 => "null".into(),
                1 => "{\"instruction\":\"]},{\"}".into(),
                2 => "{bad}".into(),
                _ => good(i),
            })
            .collect();
        let (rows, rejects) =
            import("x", format!("[{}]", elements.join(",\n")).as_bytes(), &ImportOptions::default()).unwrap();
        assert_eq!(rows + rejects, count, "{elements:?}");
        // A table: cells with quotes and line ends, rows of the wrong width, stray quotes.
        let table: Vec<&str> = (0..count)
            .map(|_| ["a,b", "\"a\nb\",c", "a", "a,b,c", "\"a\"x,b", ",b", "\"a\",\"\""][rng.random_range(0..7)])
            .collect();
        let text = format!("instruction,output\n{}\n", table.join("\n"));
        let (rows, rejects) = import("x.csv", text.as_bytes(), &ImportOptions::default()).unwrap();
        assert_eq!(rows + rejects, count, "{table:?}");
    }
}

#[test]
fn monsters_are_refused_in_bounded_time() {
    let alpaca = |text: String| format!("{{\"instruction\":{text},\"output\":\"a\"}}");
    let long = "x".repeat(50 << 20);
    assert_eq!(import("x", alpaca(format!("\"{long}\"")).as_bytes(), &ImportOptions::default()), Some((1, 0)));
    assert_eq!(import("x", long.as_bytes(), &ImportOptions::default()), Some((0, 1)));
    for text in [
        "[".repeat(100_000),
        alpaca("[".repeat(100_000)),
        alpaca(format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
        alpaca("9".repeat(100_000)),
        "\0".repeat(100_000),
        "{".repeat(100_000),
        "\"".repeat(100_001),
    ] {
        for file in ["x.json", "x.csv"] {
            if let Some((rows, rejects)) = import(file, text.as_bytes(), &ImportOptions::default()) {
                assert!(rows <= 1 && rejects <= 1, "{file} {}", &text[..20]);
            }
        }
    }
}

/// Not a test of behaviour: `cargo test --release --test import_fuzz speed -- --ignored --nocapture` prints rows per second
/// of reading alone, on a million rows of some 140 bytes.
#[test]
#[ignore = "prints rows per second; asserts nothing"]
fn speed() {
    let mut text = String::with_capacity(150 << 20);
    for i in 0..1_000_000 {
        use std::fmt::Write as _;
        let _ = writeln!(
            text,
            "{{\"instruction\": \"Question number {i} about funds and bonds?\", \"input\": \"\", \"output\": \"The answer to {i} is a sentence of a few words.\"}}"
        );
    }
    for file in ["x.jsonl", "x.json"] {
        let bytes = if file == "x.json" { format!("[{}]", text.trim_end().replace('\n', ",")) } else { text.clone() };
        let started = std::time::Instant::now();
        let found = import(file, bytes.as_bytes(), &ImportOptions::default());
        let seconds = started.elapsed().as_secs_f64();
        eprintln!("{file}: {found:?} in {seconds:.2} s, {:.0} MB/s", bytes.len() as f64 / 1e6 / seconds);
    }
}
