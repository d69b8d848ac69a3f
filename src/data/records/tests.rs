use super::*;
use std::io::BufReader;

/// Pieces as text: `3:{…}` for a record, `3!` for a break. A tiny buffer puts every border between two reads.
fn pieces(input: &[u8]) -> Vec<String> {
    let mut wholes = Vec::new();
    for capacity in [1, 3, 4096] {
        let mut out = Vec::new();
        for_each(BufReader::with_capacity(capacity, input), 1, "f", &mut |piece| {
            out.push(match piece {
                Piece::Record { line, bytes } => format!("{line}:{}", String::from_utf8_lossy(bytes)),
                Piece::Broken { line, .. } => format!("{line}!"),
                Piece::List(key) => format!("{key}:"),
            });
            Ok(())
        })
        .unwrap();
        wholes.push(out);
    }
    assert!(wholes.windows(2).all(|w| w[0] == w[1]), "{wholes:?}");
    wholes.remove(0)
}

#[test]
fn lines_keep_their_numbers() {
    assert_eq!(pieces(b"{\"a\":1}\r\n\r\n ......\n{}"), ["1:{\"a\":1}", "3:......", "4:{}"]);
    assert_eq!(pieces(b"\n\n{}\n"), ["3:{}"]);
    assert_eq!(pieces(b" \n\t"), Vec::<String>::new());
    assert_eq!(pieces(b""), Vec::<String>::new());
}

#[test]
fn array_elements_keep_their_lines() {
    assert_eq!(pieces(b"[\n{\"a\":\n[1,2]},\n\n{}\n]\n"), ["2:{\"a\":\n[1,2]}", "5:{}"]);
    assert_eq!(pieces(b"[]"), Vec::<String>::new());
    assert_eq!(pieces(b"[{},]"), ["1:{}"]);
}

#[test]
fn brackets_and_quotes_in_strings_do_not_count() {
    assert_eq!(pieces(br#"[{"a":"]},{\"["},{"b":"\\"}]"#), [r#"1:{"a":"]},{\"["}"#, r#"1:{"b":"\\"}"#]);
}

#[test]
fn a_broken_array_keeps_what_came_before() {
    assert_eq!(pieces(b"[{},\n{\"a\":1},\n{\"b\":\"x"), ["1:{}", "2:{\"a\":1}", "3!"]);
    assert_eq!(pieces(b"[{},\n{}\n"), ["1:{}", "2:{}", "3!"]);
    assert_eq!(pieces(b"[{}\n{}]"), ["1:{}", "2:{}"]);
    assert_eq!(pieces(b"[{}]\n[{}]"), ["1:{}", "2:{}"]);
    assert_eq!(pieces(b"[]\n{}\nx\n"), ["1:[]", "2:{}", "3:x"]);
    assert!(pieces(b"[]").is_empty() && pieces(b"[]\n \n").is_empty());
    assert_eq!(pieces(b"[{},\n......,\nnull]"), ["1:{}", "2:......", "3:null"]);
}

#[test]
fn objects_may_span_lines_or_stand_around_the_rows() {
    assert_eq!(pieces(b"{\n \"a\": 1\n}\n{\n}\n"), ["1:{\n \"a\": 1\n}", "4:{\n}"]);
    assert_eq!(pieces(b"{\n\"a\": 1\n}\n{\n"), ["1:{\n\"a\": 1\n}", "4!"]);
    assert_eq!(pieces(b"{\n}\n]{}"), ["1:{\n}", "3!", "3:{}"]);
    assert_eq!(pieces(b"{\"train\": [{},\n{}], \"dev\":[]}"), ["train:", "1:{}", "2:{}", "dev:"]);
    assert_eq!(pieces(b"{\n\"data\": [\n{}],\"n\": 3}"), ["data:", "3:{}"], "what is no list is no row");
    assert_eq!(pieces(b"{\"data\": [{}"), ["data:", "1:{}", "1!"]);
    assert_eq!(pieces(b"{\"data\": [{}]"), ["data:", "1:{}", "1!"]);
    assert_eq!(
        pieces(
            br#"{"version": "1,}", "info": {"a": [1]}, "train": [{}], "n": 3, "s": "]", "val": [{}], "last": null}"#
        ),
        ["train:", "1:{}", "val:", "1:{}"]
    );
    assert_eq!(pieces(b"{\"data\": [{}], \"n\" 3}"), ["data:", "1:{}", "1!"]);
    assert_eq!(pieces(b"{\"messages\": [{}]}"), ["1:{\"messages\": [{}]}"]);
    assert_eq!(pieces(b"{\"data\": [1]}"), ["1:{\"data\": [1]}"]);
}

#[test]
fn arrays_behind_one_another_are_all_read() {
    assert_eq!(pieces(b"[{}]\n[1, {}]\n[]"), ["1:{}", "2:1", "2:{}"]);
    assert_eq!(pieces(b"[{}] x [{}]"), ["1:{}", "1!"]);
}

#[test]
fn objects_on_one_line_are_told_apart() {
    let split = |line: &str| {
        let objects = split_objects(line.as_bytes());
        objects.into_iter().map(|o| String::from_utf8_lossy(o).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(split(r#"{"a":"}{"} {"b":{}}{}"#), [r#"{"a":"}{"}"#, r#"{"b":{}}"#, "{}"]);
    assert_eq!(split("{}{x"), ["{}", "{x"]);
    for whole in ["{}", "{} x", "{},{}", "{\"a", "[]{}", ""] {
        assert_eq!(split(whole), [whole]);
    }
}

#[test]
fn brackets_without_end_are_one_break() {
    for (open, line) in [("[", "1!"), ("{\n", "1!"), ("[{\"a\":", "1!")] {
        assert_eq!(pieces(open.repeat(100_000).as_bytes()), [line]);
    }
}

#[test]
fn a_record_without_end_is_not_held() {
    let long = io::repeat(b'x').take(LONGEST as u64 + 10).chain(&b"\n{}\n"[..]);
    let mut heard = Vec::new();
    for_each(BufReader::with_capacity(1 << 20, long), 1, "f", &mut |piece| {
        heard.push(match piece {
            Piece::Record { line, bytes } => (line, bytes.len()),
            Piece::Broken { line, .. } => (line, 0),
            Piece::List(_) => (0, 0),
        });
        Ok(())
    })
    .unwrap();
    assert_eq!(heard, [(1, 0), (2, 2)]);
}
