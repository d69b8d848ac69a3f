use super::*;

#[derive(Default)]
struct Heard {
    aside: Vec<String>,
    guessed: Vec<String>,
}

impl Listener for Heard {
    fn left_aside(&mut self, name: &str) {
        self.aside.push(name.to_owned());
    }
    fn guessed(&mut self, columns: &[(Role, String)]) {
        self.guessed.extend(columns.iter().map(|(role, name)| format!("{}={name}", role.name())));
    }
}

fn parse_as(text: &str, shape: Shape, map: &str) -> (Result<Example, Refusal>, Heard) {
    let (map, mut heard) = (FieldMap::parse(map).unwrap(), Heard::default());
    let reading = Reading { shape, tags: None, split: Split::Train };
    let row = parse_json(text, &map).and_then(|raw| raw.row(&reading, &mut heard));
    (row, heard)
}

fn parse(text: &str) -> Result<Example, String> {
    parse_as(text, Shape::Any, "").0.map_err(|r| r.reason)
}

#[test]
fn absent_null_and_empty_are_the_same() {
    let full = parse(r#"{"instruction":"问","input":"","output":"答","system":"","history":[]}"#).unwrap();
    assert_eq!(parse(r#"{"instruction":"问","output":"答"}"#).unwrap(), full);
    let nulls =
        r#"{"history":null,"output":"答","input":null,"system":null,"instruction":"问","lang":null,"split":null}"#;
    assert_eq!(parse(nulls).unwrap(), full);
    assert_eq!((full.lang.as_str(), full.split), ("zh", Split::Train));
}

#[test]
fn numbers_and_booleans_become_text() {
    let row = parse(r#"{"instruction":12,"input":-1,"output":2.5,"history":[["q",3]]}"#).unwrap();
    assert_eq!((row.instruction.as_str(), row.input.as_str(), row.output.as_str()), ("12", "-1", "2.5"));
    assert_eq!(row.history, [("q".to_owned(), "3".to_owned())]);
    assert_eq!(parse(r#"{"instruction":"q","output":true}"#).unwrap().output, "true");
}

#[test]
fn rows_that_teach_nothing_are_refused_with_the_reason() {
    let deep = format!(r#"{{"instruction":{}"#, "[".repeat(100_000));
    for (text, word) in [
        (r#"{"instruction":"q","output":" \n"}"#, "`output` is empty"),
        (r#"{"instruction":"","output":"a"}"#, "`instruction` is empty"),
        (r#"{"frage":"q","antwort":"a"}"#, "frage, antwort"),
        (r#"{"question":"q","chosen":"a"}"#, "chosen, question"),
        (r#"{"instruction":"q"}"#, "no `output`"),
        (r#"{"instruction":"q","output":["a"]}"#, "`output` is […]"),
        (r#"{"instruction":{"a":1},"output":"a"}"#, "`instruction` is {…}"),
        (r#"{"instruction":"q","output":"a","history":[["q"]]}"#, "history"),
        (r#"{"instruction":"q","output":"a","history":{"q":"a"}}"#, "history"),
        (r#"{"instruction":"q","output":"a","history":"q"}"#, "history"),
        (r#"{"instruction":"q","output":"a","tool_turns":[1]}"#, "tool_turns"),
        (r#"{"instruction":"q","output":"a","tool_turns":[0,0]}"#, "tool_turns"),
        (r#"{"instruction":"q","output":"a","split":"test"}"#, "test"),
        (r#"{"instruction":1e999,"output":"a"}"#, "not JSON"),
        (r#"{"conversations":[]}"#, "does not end"),
        (r#"{"conversations":"x"}"#, "not a list"),
        (r#"{"text":""}"#, "`text` is empty"),
        ("......", "not JSON"),
        ("[1]", "JSON object"),
        ("3", "JSON object"),
        ("{", "array"),
        ("{}", "no `instruction`"),
        (r#"{"instruction":"q","output":"a"} x"#, "not JSON"),
        (r#"{"instruction":"q","output":"a"#, "not JSON"),
        (&deep, "not JSON"),
    ] {
        let reason = parse(text).unwrap_err();
        assert!(reason.contains(word), "{} gave: {reason}", text.get(..80).unwrap_or(text));
    }
}

#[test]
fn own_fields_and_a_map_are_understood() {
    let row = parse(r#"{"id":"f-1","topic":["funds"],"lang":"en-US","split":"val","instruction":"问","output":"答"}"#)
        .unwrap();
    assert_eq!((row.lang.as_str(), row.split), ("en", Split::Val));
    let text = r#"{"frage":"q","antwort":"a","score":1}"#;
    let (row, heard) = parse_as(text, Shape::Any, "instruction=frage,output=antwort");
    assert_eq!(row.unwrap().output, "a");
    assert_eq!((heard.aside, heard.guessed), (vec!["score".to_owned()], vec![]));
}

/// Each pair of names that public sets use is one row, and the user hears which column became what.
#[test]
fn usual_names_are_guessed_and_said() {
    for (question, answer) in [
        ("prompt", "completion"),
        ("prompt", "response"),
        ("question", "answer"),
        ("query", "response"),
        ("问题", "答案"),
    ] {
        let (row, heard) = parse_as(&format!(r#"{{"{question}":"q","{answer}":"a"}}"#), Shape::Any, "");
        let row = row.unwrap();
        assert_eq!((row.instruction.as_str(), row.output.as_str()), ("q", "a"));
        assert_eq!(heard.guessed, [format!("instruction={question}"), format!("output={answer}")]);
    }
    let (row, heard) = parse_as(r#"{"answer":"no","instruction":"q","output":"a","question":"no"}"#, Shape::Any, "");
    assert_eq!((row.unwrap().output.as_str(), heard.guessed), ("a", vec![]));
    assert_eq!(heard.aside, ["answer", "question"]);
    let (row, heard) = parse_as(r#"{"input":"q","output":"a"}"#, Shape::Any, "");
    assert_eq!((row.unwrap().instruction.as_str(), heard.guessed), ("q", vec!["instruction=input".to_owned()]));
}

#[test]
fn a_key_that_stands_twice_counts_the_second_time() {
    let (row, heard) = parse_as(r#"{"instruction":"q","output":"a","output":"b"}"#, Shape::Any, "");
    assert_eq!((row.unwrap().output.as_str(), heard.aside), ("b", vec!["output (again)".to_owned()]));
}

#[test]
fn a_text_alone_is_a_row_without_a_question() {
    let (row, heard) = parse_as(r#"{"text":"正文。","meta":{"a":1}}"#, Shape::Any, "");
    let row = row.unwrap();
    assert!(row.is_text());
    assert_eq!((row.output.as_str(), row.lang.as_str(), heard.aside), ("正文。", "zh", vec!["meta".to_owned()]));
    assert!(!parse(r#"{"text":"t","instruction":"q","output":"a"}"#).unwrap().is_text());
}

#[test]
fn conversations_are_rows_too_unless_alpaca_is_asked_for() {
    let talk = r#"{"split":"dev","conversations":[{"from":"human","value":"问"},{"from":"gpt","value":"答"}],
        "tools":[{"name":"f"}],"score":1}"#;
    for shape in [Shape::Any, Shape::Conversation] {
        let (row, heard) = parse_as(talk, shape, "");
        let row = row.unwrap();
        assert_eq!((row.instruction.as_str(), row.lang.as_str(), row.split), ("问", "zh", Split::Val));
        assert_eq!((row.tools.as_str(), heard.aside), (r#"[{"name":"f"}]"#, vec!["score".to_owned()]));
    }
    assert!(parse_as(talk, Shape::Alpaca, "").0.unwrap_err().other_format);
    let alpaca = r#"{"instruction":"q","output":"a","messages":[],"tools":"x"}"#;
    assert_eq!(parse_as(alpaca, Shape::Any, "").1.aside, ["messages"]);
    assert!(parse_as(alpaca, Shape::Conversation, "").0.is_err());
    let lists = r#"{"prompt":[{"role":"user","content":"q"}],"completion":[{"role":"assistant","content":"a"}]}"#;
    assert_eq!(parse(lists).unwrap().output, "a");
    let as_text = r#"{"messages":"[{\"role\":\"user\",\"content\":\"q\\nm\"},{\"role\":\"assistant\",\"content\":\"a\"}]","input":"m"}"#;
    let row = parse(as_text).unwrap();
    assert_eq!((row.instruction.as_str(), row.input.as_str()), ("q", "m"));
}
