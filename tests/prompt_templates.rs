//! Chat templates against transformers, and the loss mask of every template.
//!
//! `oracle/chat_templates.json` is what transformers renders (`oracle/chat_templates.py` writes it).

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests may fail loudly

use linly_bench::data::Example;
use linly_bench::error::{Kind, Result};
use linly_bench::prompt::{ChatTemplate, LossOn, Message, Rendered, Renderer, Role, Template, Tokenize};
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Deserialize)]
struct Oracle {
    bos: String,
    eos: String,
    /// The template itself, when it is not a file of this repository.
    source: Option<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    messages: Vec<Message>,
    add_generation_prompt: bool,
    text: Option<String>,
    error: Option<String>,
}

fn oracle_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/oracle")
}

fn template_source(name: &str) -> String {
    std::fs::read_to_string(oracle_dir().join("chat_templates").join(format!("{name}.jinja"))).unwrap()
}

fn compare(path: &std::path::Path) {
    let oracle: Oracle = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(!oracle.cases.is_empty());
    for case in &oracle.cases {
        let source = oracle.source.clone().unwrap_or_else(|| template_source(&case.template));
        let template = ChatTemplate::new(&source, Some(&oracle.bos), &oracle.eos).unwrap();
        let rendered = template.render(&case.messages, case.add_generation_prompt);
        match (&case.text, &case.error) {
            (Some(text), None) => assert_eq!(&rendered.unwrap(), text, "{}: {:?}", case.template, case.messages),
            (None, Some(error)) => {
                let message = rendered.unwrap_err().message;
                assert!(message.contains(error.as_str()), "{}: {message} is not {error}", case.template);
            }
            _ => panic!("a case has either a text or an error"),
        }
    }
}

#[test]
fn renders_what_transformers_renders() {
    compare(&oracle_dir().join("chat_templates.json"));
}

#[test]
fn renders_a_real_model_as_transformers_does() {
    match std::env::var_os("LINLY_BENCH_CHAT_ORACLE") {
        Some(path) => compare(path.as_ref()),
        None => eprintln!("skipped: LINLY_BENCH_CHAT_ORACLE names no output of `oracle/chat_templates.py MODEL_DIR`"),
    }
}

/// One token per character, special tokens as one token each, and a merge of ":\n" or of a border
/// such as "n答", which an honest border must prevent.
struct Fake {
    template: Option<String>,
    eos: &'static str,
}

const SPECIAL: [&str; 5] = ["<|bos|>", "<|im_end|>", "<|im_start|>", "<turn>", "</s>"];
const MERGED: [&str; 4] = [":A", "\nA", ":\n", "A."];
const MERGE_BASE: u32 = 0x0020_0000;
const SPECIAL_BASE: u32 = 0x0030_0000;

impl Tokenize for Fake {
    fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let mut ids = if special { vec![SPECIAL_BASE] } else { Vec::new() };
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let whole = |table: &[&str], base: u32| {
                table.iter().position(|t| rest.starts_with(t)).map(|i| (base + i as u32, table[i].len()))
            };
            let (id, len) = whole(&SPECIAL, SPECIAL_BASE)
                .or_else(|| whole(&MERGED, MERGE_BASE))
                .unwrap_or((u32::from(c), c.len_utf8()));
            ids.push(id);
            rest = &rest[len..];
        }
        if special && self.eos == "</s>" {
            ids.push(self.eos()); // some tokenizers also close what they encode
        }
        Ok(ids)
    }

    fn decode_token(&self, id: u32) -> String {
        match id {
            SPECIAL_BASE.. => SPECIAL[(id - SPECIAL_BASE) as usize].to_owned(),
            MERGE_BASE.. => MERGED[(id - MERGE_BASE) as usize].to_owned(),
            _ => char::from_u32(id).map(String::from).unwrap_or_default(),
        }
    }

    fn eos(&self) -> u32 {
        SPECIAL_BASE + SPECIAL.iter().position(|t| *t == self.eos).unwrap() as u32
    }

    fn eos_text(&self) -> &str {
        self.eos
    }

    fn bos_text(&self) -> Option<&str> {
        Some("<|bos|>")
    }

    fn chat_template(&self) -> Option<&str> {
        self.template.as_deref()
    }
}

fn fake(template: &str) -> Fake {
    Fake { template: Some(template_source(template)), eos: "<|im_end|>" }
}

fn plain() -> Fake {
    Fake { template: None, eos: "</s>" }
}

fn row(instruction: &str, input: &str, output: &str) -> Example {
    Example { instruction: instruction.into(), input: input.into(), output: output.into(), ..Example::default() }
}

/// The supervised tokens as text, each run in brackets.
fn supervised(tokenizer: &Fake, rendered: &Rendered) -> String {
    let mut out = String::new();
    for (i, (&id, &on)) in rendered.ids.iter().zip(&rendered.mask).enumerate() {
        if on {
            let begins = i == 0 || !rendered.mask[i - 1];
            out.push_str(if begins { "[" } else { "" });
            out.push_str(&tokenizer.decode_token(id));
            out.push_str(if rendered.mask.get(i + 1) == Some(&true) { "" } else { "]" });
        }
    }
    out
}

fn text_of(tokenizer: &Fake, ids: &[u32]) -> String {
    ids.iter().map(|&id| tokenizer.decode_token(id)).collect()
}

const ALPACA: &str =
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n";
const ALPACA_INPUT: &str = "Below is an instruction that describes a task, paired with an input that provides further context. \
                            Write a response that appropriately completes the request.\n\n";

#[test]
fn plain_templates_have_their_exact_texts() {
    let tokenizer = plain();
    let cornucopia = "下面是一个问题，运用金融财经知识来正确回答问题.\n### 问题:\n";
    for (template, question, question_with_input) in [
        (Template::Linly, "### Instruction:Q### Response:".to_owned(), "### Instruction:QI### Response:".to_owned()),
        (
            Template::LinlyCard,
            "### Instruction:Q  ### Response:".to_owned(),
            "### Instruction:Q\nI  ### Response:".to_owned(),
        ),
        (Template::LinlyChat, "User: Q\nBot: ".to_owned(), "User: Q\nI\nBot: ".to_owned()),
        (Template::Cornucopia, format!("{cornucopia}Q\n### 回答:\n"), format!("{cornucopia}Q\nI\n### 回答:\n")),
        (
            Template::Alpaca,
            format!("{ALPACA}### Instruction:\nQ\n\n### Response:"),
            format!("{ALPACA_INPUT}### Instruction:\nQ\n\n### Input:\nI\n\n### Response:"),
        ),
    ] {
        let renderer = Renderer::new(template, &tokenizer).unwrap();
        let (text, _) = renderer.prompt(&[Message::new(Role::User, "Q")]).unwrap();
        assert_eq!(text, question);
        assert_eq!(renderer.example(&row("Q", "", "A.")).unwrap().text, format!("{question}A.</s>"));
        assert_eq!(renderer.example(&row("Q", "I", "A.")).unwrap().text, format!("{question_with_input}A.</s>"));
    }
}

#[test]
fn plain_templates_carry_system_and_history() {
    let tokenizer = plain();
    let mut e = row("Q2", "", "A2");
    e.system = "S".into();
    e.history = vec![("Q1".into(), "A1".into())];
    let text = |template| Renderer::new(template, &tokenizer).unwrap().example(&e).unwrap().text;
    assert_eq!(text(Template::Linly), "S\n### Instruction:Q1### Response:A1</s>### Instruction:Q2### Response:A2</s>");
    assert_eq!(text(Template::Cornucopia), "S\n### 问题:\nQ1\n### 回答:\nA1</s>\n### 问题:\nQ2\n### 回答:\nA2</s>");
    let alpaca = "S\n\n### Instruction:\nQ1\n\n### Response:A1</s>\n\n### Instruction:\nQ2\n\n### Response:A2</s>";
    assert_eq!(text(Template::Alpaca), alpaca);
}

#[test]
fn answers_and_their_ends_are_supervised_and_nothing_else() {
    let mut e = row("Q2", "", "A.");
    e.history = vec![("Q1".into(), "A1".into())];
    for template in Template::ALL.into_iter().filter(|t| *t != Template::Chat) {
        let tokenizer = plain();
        let renderer = Renderer::new(template, &tokenizer).unwrap();
        let rendered = renderer.example(&e).unwrap();
        assert_eq!(supervised(&tokenizer, &rendered), "[A1</s>][A.</s>]", "{template:?}");
        let last = Renderer::new(template, &tokenizer).unwrap().loss_on(LossOn::Last);
        assert_eq!(supervised(&tokenizer, &last.example(&e).unwrap()), "[A.</s>]", "{template:?}");
        assert_ne!(last.hash(), renderer.hash());
    }
    for template in ["blocks", "headers", "strict", "instructions"] {
        let tokenizer = fake(template);
        let renderer = Renderer::new(Template::Chat, &tokenizer).unwrap();
        let rendered = renderer.example(&e).unwrap();
        // Where this template puts a blank before an answer, the prompt has none: the model writes it.
        let blank = if template == "instructions" { " " } else { "" };
        let expected = format!("[{blank}A1<|im_end|>][{blank}A.<|im_end|>]");
        assert_eq!(supervised(&tokenizer, &rendered), expected, "{template}");
        let last = renderer.loss_on(LossOn::Last).example(&e).unwrap();
        assert_eq!(supervised(&tokenizer, &last), format!("[{blank}A.<|im_end|>]"), "{template}");
    }
}

/// A user's question, the call of a tool, what it returned, the answer; and one more exchange before.
fn with_a_tool() -> Example {
    let history = vec![("Q1".into(), "A1".into()), ("Q2".into(), "f(2)".into())];
    Example { history, tool_turns: vec![2], system: "S".into(), ..row("42", "", "A.") }
}

#[test]
fn what_a_tool_returned_is_read_and_never_learnt() {
    for template in Template::ALL.into_iter().filter(|t| *t != Template::Chat) {
        let tokenizer = plain();
        let rendered = Renderer::new(template, &tokenizer).unwrap().example(&with_a_tool()).unwrap();
        // The call is what the model writes; its result and the system message are not.
        assert_eq!(supervised(&tokenizer, &rendered), "[A1</s>][f(2)</s>][A.</s>]", "{template:?}");
        assert!(rendered.text.contains("42") && rendered.text.contains('S'), "{template:?}");
    }
    let alpaca = Renderer::new(Template::Alpaca, &plain()).unwrap().example(&with_a_tool()).unwrap().text;
    assert!(alpaca.ends_with("### Instruction:\n\n\n### Input:\n42\n\n### Response:A.</s>"), "{alpaca}");

    let tokenizer = fake("blocks");
    let renderer = Renderer::new(Template::Chat, &tokenizer).unwrap();
    let rendered = renderer.example(&with_a_tool()).unwrap();
    assert!(rendered.text.contains("<|im_start|>tool\n42<|im_end|>"), "{}", rendered.text);
    assert_eq!(supervised(&tokenizer, &rendered), "[A1<|im_end|>][f(2)<|im_end|>][A.<|im_end|>]");
    let last = renderer.loss_on(LossOn::Last).example(&with_a_tool()).unwrap();
    assert_eq!(supervised(&tokenizer, &last), "[A.<|im_end|>]");
}

#[test]
fn a_template_without_a_place_for_tools_says_so_instead_of_leaving_the_turn_out() {
    let silent = "{% for m in messages %}{% if m.role == 'user' %}<u>{{ m.content }}{% elif m.role == 'assistant' %}\
                  <a>{{ m.content }}<|im_end|>{% endif %}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}";
    for tokenizer in [Fake { template: Some(silent.into()), ..fake("blocks") }, fake("strict")] {
        let renderer = Renderer::new(Template::Chat, &tokenizer).unwrap();
        assert!(renderer.example(&row("Q", "", "A.")).is_ok());
        let e = Example { system: String::new(), ..with_a_tool() };
        let error = renderer.example(&e).unwrap_err();
        assert_eq!(error.kind, Kind::Unsupported);
        assert!(error.hint.unwrap().contains("--template"));
    }
}

#[test]
fn a_row_knows_which_of_its_tokens_begin_every_sequence() {
    let e = row("Q", "", "A.");
    let of = |template, tokenizer: &Fake| {
        let renderer = Renderer::new(template, tokenizer).unwrap();
        let rendered = renderer.example(&e).unwrap();
        let leading = renderer.leading_tokens(&rendered).unwrap();
        text_of(tokenizer, &rendered.ids[..leading])
    };
    assert_eq!(of(Template::Linly, &plain()), "<|bos|>");
    assert_eq!(of(Template::Chat, &fake("strict")), "<|bos|>");
    // This template writes none.
    assert_eq!(of(Template::Chat, &fake("blocks")), "");
}

#[test]
fn a_training_row_begins_with_exactly_its_prompt() {
    let mut rows = vec![
        row("Q", "", "A."),
        row("什么是基金？", "材料", " A. \n"),
        row("\n q ", "i\n", "<|im_end|> A <|im_start|>"),
    ];
    let turns = ("Q1\n".to_owned(), "A1".to_owned());
    rows.push(Example {
        history: vec![turns.clone(), turns], system: "你是顾问。".into(), ..row("Q3", "I", "A.")
    });
    let chats = ["blocks", "headers", "thoughts", "strict", "instructions"];
    let chats = chats.map(|name| (Template::Chat, fake(name)));
    let plains = Template::ALL.into_iter().filter(|t| *t != Template::Chat).map(|t| (t, plain()));
    for (template, tokenizer) in chats.into_iter().chain(plains) {
        let renderer = Renderer::new(template, &tokenizer).unwrap();
        for e in &rows {
            let Ok(rendered) = renderer.example(e) else {
                // `strict` takes no system message; `instructions` loses it once the last answer is there.
                assert!(!e.system.is_empty() && template == Template::Chat, "{template:?}: {e:?}");
                continue;
            };
            assert_eq!(rendered.ids.len(), rendered.mask.len());
            let (text, prompt) = renderer.example_prompt(e).unwrap();
            assert!(rendered.ids.starts_with(&prompt), "{template:?}: {}", text_of(&tokenizer, &rendered.ids));
            assert!(rendered.text.starts_with(&text), "{template:?}");
            let learnt = rendered.mask.iter().skip(prompt.len()).take_while(|m| **m).count();
            let answer = text_of(&tokenizer, &rendered.ids[prompt.len()..prompt.len() + learnt]);
            assert!(answer.contains(e.output.trim()) && answer.ends_with(tokenizer.eos), "{template:?}: {answer}");
            assert!(rendered.mask[prompt.len() + learnt..].iter().all(|m| !m), "{template:?}");
            if e.input.is_empty() {
                let mut messages = Vec::new();
                if !e.system.is_empty() {
                    messages.push(Message::new(Role::System, e.system.as_str()));
                }
                messages.push(Message::new(Role::User, e.instruction.as_str()));
                assert_eq!(renderer.prompt(&messages).unwrap(), (text, prompt), "{template:?}");
            }
        }
    }
}

#[test]
fn a_prompt_after_earlier_answers_continues_the_training_row() {
    let mut e = row("Q2", "", "A2");
    e.history = vec![("Q1".into(), "A1".into())];
    let messages =
        [Message::new(Role::User, "Q1"), Message::new(Role::Assistant, "A1"), Message::new(Role::User, "Q2")];
    for (template, tokenizer) in
        [(Template::Chat, fake("blocks")), (Template::Alpaca, plain()), (Template::LinlyChat, plain())]
    {
        let renderer = Renderer::new(template, &tokenizer).unwrap();
        let (text, ids) = renderer.prompt(&messages).unwrap();
        let rendered = renderer.example(&e).unwrap();
        assert!(rendered.ids.starts_with(&ids) && rendered.text.starts_with(&text), "{template:?}");
    }
}

#[test]
fn an_earlier_answer_that_the_template_rewrites_can_only_be_read() {
    // `thoughts` drops the thought of an earlier answer.
    let history = vec![("Q1".into(), "<think>\nx\n</think>\n\nA1".into())];
    let e = Example { history, ..row("Q2", "", "A2") };
    let tokenizer = fake("thoughts");
    let renderer = Renderer::new(Template::Chat, &tokenizer).unwrap();
    let error = renderer.example(&e).unwrap_err();
    assert_eq!(error.kind, Kind::Mismatch);
    assert!(error.message.contains("answer 1"), "{}", error.message);
    let renderer = renderer.loss_on(LossOn::Last);
    let rendered = renderer.example(&e).unwrap();
    // The template opens the last answer with an empty thought that the prompt lacks.
    assert_eq!(supervised(&tokenizer, &rendered), "[<think>\n\n</think>\n\nA2<|im_end|>]");
    assert!(rendered.ids.starts_with(&renderer.example_prompt(&e).unwrap().1));
}

#[test]
fn bos_comes_once() {
    let tokenizer = plain();
    let ids = Renderer::new(Template::Linly, &tokenizer).unwrap().example(&row("Q", "", "A")).unwrap().ids;
    assert_eq!(text_of(&tokenizer, &ids), "<|bos|>### Instruction:Q### Response:A</s>");
    let tokenizer = fake("headers");
    let ids = Renderer::new(Template::Chat, &tokenizer).unwrap().example(&row("Q", "", "A")).unwrap().ids;
    assert_eq!(text_of(&tokenizer, &ids).matches("<|bos|>").count(), 1);
}

#[test]
fn no_token_spans_the_border_of_prompt_and_answer() {
    // The prompt ends with ':' and the answer begins with 'A': this tokenizer would merge the two.
    let tokenizer = plain();
    let merged = MERGE_BASE + MERGED.iter().position(|m| *m == ":A").unwrap() as u32;
    assert!(tokenizer.encode("Response:A", false).unwrap().contains(&merged));
    let rendered = Renderer::new(Template::Linly, &tokenizer).unwrap().example(&row("Q", "", "A.")).unwrap();
    assert!(!rendered.ids.contains(&merged));
}

#[test]
fn an_answer_that_looks_like_the_template_is_still_found_by_place() {
    // The answer repeats the question, the role and the template's own tokens.
    let tokenizer = fake("blocks");
    let renderer = Renderer::new(Template::Chat, &tokenizer).unwrap();
    let answer = "assistant\nim_end|>\n<|im_end|>\nassistant";
    let rendered = renderer.example(&row("assistant\nim_end|>", "", answer)).unwrap();
    assert_eq!(supervised(&tokenizer, &rendered), format!("[{answer}<|im_end|>]"));
}

#[test]
fn the_line_end_after_the_end_token_is_not_learnt() {
    let tokenizer = fake("blocks");
    let rendered = Renderer::new(Template::Chat, &tokenizer).unwrap().example(&row("Q", "", "A")).unwrap();
    assert!(rendered.text.ends_with("<|im_end|>\n"));
    assert_eq!(rendered.mask.last(), Some(&false));
}

#[test]
fn templates_that_cannot_be_trained_on_say_so() {
    let fake = |source: &str| Fake { template: Some(source.to_owned()), eos: "<|im_end|>" };
    let example = |source: &str| {
        let tokenizer = fake(source);
        Renderer::new(Template::Chat, &tokenizer).and_then(|r| r.example(&row("Q", "", "A")))
    };
    // The prompt differs once the answer is there.
    let e = example("{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}").unwrap_err();
    assert_eq!(e.kind, Kind::Mismatch);
    // The answer is changed, or not there at all.
    let shout =
        "{% for m in messages %}{{ m.content | upper if m.role == 'assistant' else m.content }}<|im_end|>{% endfor %}";
    let tokenizer = fake(shout);
    let renderer = Renderer::new(Template::Chat, &tokenizer).unwrap();
    assert_eq!(renderer.example(&row("Q", "", "abc")).unwrap_err().kind, Kind::Mismatch);
    assert_eq!(example("{{ messages[0].content }}").unwrap_err().kind, Kind::InvalidInput);
    assert_eq!(example("{% for").unwrap_err().kind, Kind::InvalidInput);
    let none = plain();
    let e = Renderer::new(Template::Chat, &none).err().unwrap();
    assert_eq!(e.kind, Kind::Unsupported);
    assert!(e.hint.unwrap().contains("alpaca"));
}

#[test]
fn a_template_without_an_end_still_teaches_to_stop() {
    let tokenizer = Fake { template: Some("{% for m in messages %}{{ m.content }}|{% endfor %}".into()), eos: "</s>" };
    let renderer = Renderer::new(Template::Chat, &tokenizer).unwrap();
    // Here `|` is what ends a turn, so that is learnt.
    assert_eq!(supervised(&tokenizer, &renderer.example(&row("Q", "", "A")).unwrap()), "[A|]");
    assert!(renderer.stop_ids().unwrap().contains(&u32::from('|')));
    let tokenizer = Fake { template: Some("{% for m in messages %}{{ m.content }}\n{% endfor %}".into()), eos: "</s>" };
    let rendered = Renderer::new(Template::Chat, &tokenizer).unwrap().example(&row("Q", "", "A")).unwrap();
    assert_eq!(supervised(&tokenizer, &rendered), "[A</s>]");
}

#[test]
fn a_row_without_an_answer_is_named() {
    let tokenizer = plain();
    let renderer = Renderer::new(Template::Alpaca, &tokenizer).unwrap();
    for output in ["", " \n"] {
        let e = renderer.example(&row("什么是基金？", "", output)).unwrap_err();
        assert!(e.message.contains("什么是基金？"), "{}", e.message);
    }
}

#[test]
fn messages_must_alternate_and_end_with_a_question() {
    let tokenizer = plain();
    let renderer = Renderer::new(Template::Alpaca, &tokenizer).unwrap();
    let say = |roles: &[Role]| roles.iter().map(|r| Message::new(*r, "x")).collect::<Vec<_>>();
    use Role::{Assistant, System, User};
    for roles in [&[][..], &[System], &[Assistant], &[User, Assistant], &[User, User], &[User, System]] {
        assert_eq!(renderer.prompt(&say(roles)).unwrap_err().kind, Kind::InvalidInput, "{roles:?}");
    }
    assert!(renderer.prompt(&say(&[System, User, Assistant, User])).is_ok());
}

#[test]
fn a_hash_stands_for_template_and_source() {
    let (a, b) = (fake("blocks"), fake("headers"));
    let hash = |tokenizer: &Fake, template| Renderer::new(template, tokenizer).unwrap().hash();
    assert_eq!(hash(&a, Template::Chat), hash(&fake("blocks"), Template::Chat));
    assert_ne!(hash(&a, Template::Chat), hash(&b, Template::Chat));
    assert_ne!(hash(&a, Template::Linly), hash(&a, Template::LinlyCard));
}

#[test]
fn unknown_templates_list_the_names() {
    let e = "gpt".parse::<Template>().unwrap_err();
    for template in Template::ALL {
        assert!(e.hint.as_ref().unwrap().contains(template.name()));
        assert_eq!(template.name().parse::<Template>().unwrap(), template);
    }
}
