use super::super::example::Split;
use super::super::roles::FieldMap;
use super::*;

fn import(bytes: &[u8], options: &ImportOptions) -> (Vec<Row>, Vec<Reject>) {
    let (rows, rejects, _) = import_as("f.json", bytes, options);
    (rows, rejects)
}

fn import_as(file: &str, bytes: &[u8], options: &ImportOptions) -> (Vec<Row>, Vec<Reject>, ReadReport) {
    let (mut rows, mut rejects) = (Vec::new(), Vec::new());
    let report = read(bytes, file, options, &mut |record| {
        match record {
            Record::Row(row) => rows.push(row),
            Record::Reject(reject) => rejects.push(reject),
        }
        Ok(())
    })
    .unwrap();
    (rows, rejects, report)
}

fn options(format: &str, map: &str) -> ImportOptions {
    ImportOptions {
        format: Format::parse(format).unwrap(),
        map: FieldMap::parse(map).unwrap(),
        ..ImportOptions::default()
    }
}

#[test]
fn a_bad_line_does_not_stop_the_others() {
    let text = "\u{feff}{\"instruction\":\"a\",\"output\":\"b\"}\r\n......\r\n\r\n...\n{\"instruction\":\"c\",\"output\":\"d\"}";
    let (rows, rejects) = import(text.as_bytes(), &ImportOptions::default());
    assert_eq!(rows.iter().map(|r| r.line).collect::<Vec<_>>(), [1, 5]);
    assert_eq!(rejects.iter().map(|r| r.line).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(&*rows[0].file, "f.json");
}

#[test]
fn an_element_is_blamed_at_the_line_of_its_fault() {
    let text = "[\n{\"instruction\":\"a\",\"output\":\"b\"},\n{\"instruction\":\"c\",\n\"output\" \"d\"},\n{\"instruction\":\"e\",\"output\":\"f\"}]";
    let (rows, rejects) = import(text.as_bytes(), &ImportOptions::default());
    assert_eq!(rows.iter().map(|r| r.line).collect::<Vec<_>>(), [2, 5]);
    assert_eq!(rejects.iter().map(|r| r.line).collect::<Vec<_>>(), [4]);
}

#[test]
fn latin_1_is_reported_and_the_rest_goes_on() {
    let bytes = b"{\"instruction\":\"caf\xe9\",\"output\":\"b\"}\n{\"instruction\":\"a\",\"output\":\"b\"}\n";
    let (rows, rejects) = import(bytes, &ImportOptions::default());
    assert_eq!((rows.len(), rejects.len()), (1, 1));
    assert!(rejects[0].reason.contains("0xE9") && rejects[0].reason.contains("byte 20 "), "{}", rejects[0].reason);
}

#[test]
fn a_given_language_holds_for_every_row() {
    let line = b"{\"instruction\":\"a\",\"output\":\"b\",\"lang\":\"en\"}";
    let (rows, _) = import(line, &ImportOptions { lang: Some("zh"), ..ImportOptions::default() });
    assert_eq!(rows[0].example.lang, "zh");
}

#[test]
fn a_file_in_another_format_is_one_error_and_no_list_of_rejects() {
    assert_eq!(Format::parse("x").unwrap_err().kind, Kind::InvalidInput);
    let fails =
        |file: &str, bytes: &[u8], format: &str| read(bytes, file, &options(format, ""), &mut |_| Ok(())).unwrap_err();
    let shared = br#"[{"conversations":[{"from":"human","value":"q"}]}]"#;
    assert_eq!(fails("f.json", shared, "alpaca").kind, Kind::InvalidInput);
    assert!(fails("f.csv", b"a,b\nc,d\n", "auto").hint.unwrap().contains("--map"));
    assert!(fails("f.csv", b"", "parquet").message.contains("text"));
    assert!(fails("f.parquet", b"PAR1", "auto").message.contains("Parquet"));
    assert!(fails("f.parquet", b"PAR1", "csv").message.contains("Parquet"));
}

/// The same two rows as every kind of table that spreadsheets write.
#[test]
fn tables_of_every_dialect_give_the_same_rows() {
    let utf16 = |text: &str| [vec![0xff, 0xfe], text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat();
    let comma = "问题,答案,备注\r\n\"基金,\r\n是什么？\",\"一种\"\"投资\"\"\",x\r\n股票？,份额。,\r\n";
    let semicolon = comma
        .replace("答案,", "答案;")
        .replace("问题,", "问题;")
        .replace("\",", "\";")
        .replace("？,", "？;")
        .replace("。,", "。;");
    let mut seen = Vec::new();
    for (file, bytes) in [
        ("a.csv", comma.as_bytes().to_vec()),
        ("a.csv", [b"\xef\xbb\xbf", comma.as_bytes()].concat()),
        ("a.csv", encoding_rs::GB18030.encode(comma).0.to_vec()),
        ("a.csv", format!("sep=;\r\n{semicolon}").into_bytes()),
        ("a.csv", semicolon.clone().into_bytes()),
        ("a.csv", utf16(&semicolon.replace(';', "\t"))),
        ("a.tsv", semicolon.replace(';', "\t").into_bytes()),
        ("a.tsv.zst", zstd::encode_all(semicolon.replace(';', "\t").as_bytes(), 1).unwrap()),
        ("a.txt", semicolon.clone().into_bytes()),
    ] {
        let (rows, rejects, report) = import_as(file, &bytes, &ImportOptions::default());
        assert!(rejects.is_empty(), "{rejects:?}");
        assert!(report.remarks.iter().any(|r| r.contains("instruction=问题,output=答案")), "{:?}", report.remarks);
        assert_eq!(report.left_aside.get("备注"), Some(&2));
        seen.push(rows.into_iter().map(|row| row.example).collect::<Vec<_>>());
    }
    assert_eq!((seen[0].len(), seen[0][0].instruction.as_str()), (2, "基金,\r\n是什么？"));
    assert_eq!((seen[0][0].output.as_str(), seen[0][1].lang.as_str()), ("一种\"投资\"", "zh"));
    assert!(seen.iter().all(|rows| *rows == seen[0]));
}

#[test]
fn rows_of_a_table_are_refused_one_by_one() {
    let text = "instruction,output,score\na,b\nc,d,1\n\"e,f,2\ng,,3\n\u{ff}";
    let bytes: Vec<u8> = text.chars().map(|c| c as u8).collect();
    let (rows, rejects, _) = import_as("f.csv", &bytes, &ImportOptions::default());
    assert_eq!(rows.iter().map(|r| r.line).collect::<Vec<_>>(), [3]);
    let rejects: Vec<_> = rejects.iter().map(|r| (r.line, r.reason.as_str())).collect();
    assert_eq!(rejects.iter().map(|r| r.0).collect::<Vec<_>>(), [2, 4, 5, 6]);
    assert!(rejects[0].1.contains("2 cells") && rejects[1].1.contains("quote") && rejects[2].1.contains("empty"));
}

#[test]
fn a_map_corrects_the_guess() {
    let text = "prompt,completion,better\nq,a,b\n";
    let (rows, _, report) = import_as("f.csv", text.as_bytes(), &options("auto", "output=better"));
    assert_eq!((rows[0].example.instruction.as_str(), rows[0].example.output.as_str()), ("q", "b"));
    assert_eq!(report.left_aside.keys().collect::<Vec<_>>(), ["completion"]);
    let (rows, _, _) = import_as("f.csv", b"a,b\nq,a\n", &options("auto", "instruction=a,output=b"));
    assert_eq!(rows.len(), 1);
}

#[test]
fn texts_are_rows_without_a_question() {
    let (rows, _, _) = import_as("f.txt", "一段。\n\nTwo\nlines\n".as_bytes(), &options("text", ""));
    assert_eq!(
        rows.iter().map(|r| (r.line, r.example.output.as_str())).collect::<Vec<_>>(),
        [(1, "一段。"), (3, "Two\nlines")]
    );
    assert!(rows.iter().all(|r| r.example.is_text()));
    let (rows, rejects, _) = import_as("f.jsonl", b"{\"content\":\"t\",\"url\":\"u\"}\n", &ImportOptions::default());
    assert!(rows[0].example.is_text() && rejects.is_empty());
}

#[test]
fn lists_under_keys_carry_their_split() {
    let text = r#"{"train": [{"instruction":"a","output":"b"}], "validation": [{"instruction":"c","output":"d"}, 3]}"#;
    let (rows, rejects) = import(text.as_bytes(), &ImportOptions::default());
    assert_eq!(rows.iter().map(|r| r.example.split).collect::<Vec<_>>(), [Split::Train, Split::Val]);
    assert_eq!(rejects.len(), 1);
}

/// A truncated archive gives the rows before the cut, and one refusal that says why it ends there.
#[test]
fn a_cut_archive_keeps_what_came_before() {
    let line = |i: u32| format!("{{\"instruction\":\"q{i} {}\",\"output\":\"a{}\"}}\n", i * 7919 % 104_729, i * 31);
    let text: String = (0..5_000).map(line).collect();
    let whole = zstd::encode_all(text.as_bytes(), 3).unwrap();
    let (rows, rejects) = import(&whole[..whole.len() / 2], &ImportOptions::default());
    assert_eq!(rejects.len(), 1);
    assert!(rejects[0].reason.contains("zstd") && rejects[0].line == rows.len() as u64 + 1, "{rejects:?}");
    let (all, none) = import(&whole, &ImportOptions::default());
    assert_eq!((all.len(), none.len()), (5_000, 0));
    assert!(all.iter().zip(&rows).all(|(a, b)| a.example == b.example));
}

/// Ten gigabytes of zeros in a small archive are one record too long, and take no memory.
#[test]
fn an_archive_of_nothing_is_bounded() {
    use std::io::Write;
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    let zeros = vec![0u8; 1 << 20];
    for _ in 0..600 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.write_all(b"\n{\"instruction\":\"a\",\"output\":\"b\"}\n").unwrap();
    let bomb = encoder.finish().unwrap();
    let (rows, rejects) = import(&bomb, &ImportOptions::default());
    assert_eq!((rows.len(), rejects.len()), (1, 1));
    assert!(rejects[0].reason.contains("MiB"), "{}", rejects[0].reason);
}
