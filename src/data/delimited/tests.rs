use super::*;
use std::io::BufReader;

/// Rows as `2:a|b`, bad lines as `3!`.
fn rows(input: &[u8], delimiter: u8) -> Vec<String> {
    let mut table = Table::new(BufReader::with_capacity(3, input), delimiter, 1);
    let mut out = Vec::new();
    while let Some(row) = table.next("f").unwrap() {
        out.push(match row {
            TableRow::Cells { line, cells, .. } => {
                let text = String::from_utf8_lossy(cells.bytes()).into_owned();
                format!("{line}:{}", cells.iter(&text).collect::<Vec<_>>().join("|"))
            }
            TableRow::Bad { line, .. } => format!("{line}!"),
        });
    }
    out
}

#[test]
fn quotes_line_ends_and_blank_lines() {
    assert_eq!(rows(b"a,b\r\n\r\n\"x\r\ny\",\"say \"\"hi\"\"\"\n,\n", b','), ["1:a|b", "3:x\r\ny|say \"hi\"", "5:|"]);
    assert_eq!(rows(b"a;\"b;c\"", b';'), ["1:a|b;c"]);
    assert_eq!(rows(b"a\tb\"c\"\t", b'\t'), ["1:a|b\"c\"|"]);
    assert_eq!(rows(b"\"a\"\r", b','), ["1:a"]);
    assert_eq!(rows(b"", b','), Vec::<String>::new());
    assert_eq!(rows(b"\n\n", b','), Vec::<String>::new());
}

#[test]
fn a_fault_costs_its_line_and_no_other() {
    assert_eq!(rows(b"a,b\n\"c,d\ne,f\ng,h\n", b','), ["1:a|b", "2!", "3:e|f", "4:g|h"]);
    assert_eq!(rows(b"\"a\"x,b\nc,d", b','), ["1!", "2:c|d"]);
    assert_eq!(rows(b"a,\"b\n\"c\",d\n", b','), ["1!", "2:c|d"]);
}

#[test]
fn many_open_quotes_end_in_time() {
    let text = "\"x,y\n".repeat(200_000);
    let rows = rows(text.as_bytes(), b',');
    assert!(rows.iter().all(|row| row.ends_with('!')));
    assert!(!rows.is_empty());
}

#[test]
fn delimiters_are_told_by_the_header() {
    assert_eq!(delimiters_of(b"\"a,b,c\";d;e"), b";");
    assert_eq!(delimiters_of(b"a\tb\tc,d"), b"\t,");
    assert_eq!(delimiters_of(b"text"), b"");
    assert_eq!(named_delimiter(b"sep=;\r\n"), Some(b';'));
    assert_eq!(named_delimiter(b"sep=\t\n"), Some(b'\t'));
    assert_eq!(named_delimiter(b"separate"), None);
}

/// On files without faults the cells are those of the `csv` crate.
#[test]
fn sound_files_are_read_as_the_csv_crate_reads_them() {
    use rand::RngExt;
    use rand_chacha::rand_core::SeedableRng;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let parts = ["a", "基金", "\"", ",", "\n", "\r\n", " ", "", "\r", ";", "\0"];
    for case in 0..2_000 {
        let columns = rng.random_range(1..5);
        let count = rng.random_range(1..6);
        let cell = |rng: &mut rand_chacha::ChaCha8Rng| -> String {
            (0..rng.random_range(0..4)).map(|_| parts[rng.random_range(0..parts.len())]).collect()
        };
        let table: Vec<Vec<String>> = (0..count).map(|_| (0..columns).map(|_| cell(&mut rng)).collect()).collect();
        let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
        for row in &table {
            writer.write_record(row).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        let expected: Vec<Vec<String>> = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(&bytes[..])
            .records()
            .map(|record| record.unwrap().iter().map(str::to_owned).collect())
            .collect();
        assert_eq!(expected, table);
        let mut read = Vec::new();
        let mut reader = Table::new(&bytes[..], b',', 1);
        while let Some(TableRow::Cells { cells, .. }) = reader.next("f").unwrap() {
            let text = std::str::from_utf8(cells.bytes()).unwrap();
            read.push(cells.iter(text).map(str::to_owned).collect::<Vec<_>>());
        }
        assert_eq!(read, table, "case {case}: {:?}", String::from_utf8_lossy(&bytes));
    }
}
