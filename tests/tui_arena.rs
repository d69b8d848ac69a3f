//! The arena screen: live battles, ratings, counts, answers into datasets. What is heard is a script.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tui_support;

use linly_bench::error::{Error, Kind};
use linly_bench::lang::Lang;
use linly_bench::tui::*;
use tui_support::arena::*;
use tui_support::*;
use unicode_width::UnicodeWidthStr;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 12)];
const QUESTION: &str = "什么是市盈率？它高说明什么？";

fn ready() -> Heard {
    heard(DuelStage::Ready)
}

/// A battle from the contestants' arrival to its end.
fn played() -> Vec<Heard> {
    vec![ready(), pieces(LEFT, ""), pieces("", RIGHT), over(Outcome::Votable(7))]
}

/// Leads into the sitting and asks.
fn ask(d: &mut Driver, question: &str) {
    d.press("6 b <enter>").wait();
    assert_eq!(d.app.view(), View::Question, "{}", d.screen(80, 24));
    d.app.paste(question);
    d.press("<enter>");
}

fn orders(d: &Driver) -> Vec<&ArenaQuery> {
    d.source.sitting.orders.iter().filter(|o| !matches!(o, ArenaQuery::Offers)).collect()
}

#[test]
fn a_battle_from_the_form_to_the_names_and_the_next_question() {
    let _turn = speak(Lang::En);
    let mut news = vec![loading(20), loading(240)];
    news.extend(played());
    let mut d = Driver::new(sitting(news));
    d.press("6 b");
    assert_eq!(d.app.view(), View::Contestants);
    d.press("<enter>");
    let plan = DuelPlan {
        arena: "finance".into(),
        contestants: ["smollm2-135m".into(), "smollm2-135m+聚宝盆".into()],
        longest: 384,
    };
    assert_eq!(orders(&d), [&ArenaQuery::Enter(plan)]);
    assert!(d.app.is_live());
    assert!(d.screen(80, 24).contains("20 of 272 weights"), "{}", d.screen(80, 24));
    d.app.listen();
    d.settle();
    assert!(d.screen(80, 24).contains("240 of 272 weights"));
    d.app.listen();
    d.settle();
    assert_eq!(d.app.view(), View::Question);
    assert!(!d.app.is_live(), "nothing is asked for while nothing happens");
    d.app.paste(QUESTION);
    d.press("q"); // A letter like any other here.
    d.press("<backspace> <enter>");
    assert_eq!(*orders(&d)[1], ArenaQuery::Ask { question: QUESTION.into(), turn: 1 });
    let writing = d.screen(120, 40);
    assert!(writing.contains("市场预期盈利会快速增长") && writing.contains("reading the question"), "{writing}");
    assert!(!writing.contains("smollm2") && !writing.contains("聚宝盆"), "{writing}");
    assert_eq!(d.app.view(), View::Writing);
    d.press("a");
    assert!(d.source.votes.is_empty(), "no vote before both have ended");
    d.app.listen();
    d.settle();
    d.app.listen();
    d.settle();
    let whole = d.screen(120, 40);
    assert!(whole.contains("Which answer is better?") && whole.contains("expensive."), "{whole}");
    assert!(!whole.contains("smollm2") && !d.app.is_live(), "{whole}");
    d.press("a");
    assert_eq!(d.source.votes, [(7, Vote::A)]);
    assert!(d.screen(120, 40).contains("A is smollm2-135m + jubaopen"));
    d.press("b");
    assert_eq!(d.source.votes.len(), 1, "one vote per battle");
    d.press("U");
    assert!(d.source.votes.is_empty(), "it can be taken back");
    d.press("b n");
    assert_eq!(d.app.view(), View::Question);
    d.app.paste("What is a bond?");
    d.press("<enter>");
    assert_eq!(*orders(&d)[2], ArenaQuery::Ask { question: "What is a bond?".into(), turn: 2 });
    assert!(!d.screen(120, 40).contains("smollm2"), "the next one is blind again");
}

#[test]
fn escape_stops_first_and_leaves_then_and_nothing_is_lost() {
    let _turn = speak(Lang::En);
    let stopped =
        Heard { ends: [Some(SideEnd::Stopped), Some(SideEnd::Whole)], ..heard(DuelStage::Over(Outcome::Votable(7))) };
    let mut d = Driver::new(sitting(vec![ready(), pieces("half of an ans", "whole"), stopped]));
    ask(&mut d, QUESTION);
    d.press("<esc>");
    assert_eq!(*orders(&d).last().unwrap(), &ArenaQuery::Stop);
    d.wait();
    let screen = d.screen(120, 40);
    assert!(screen.contains("half of an ans") && screen.contains("as it stands"), "{screen}");
    d.press("e");
    assert_eq!(d.app.view(), View::Question);
    assert!(d.screen(80, 24).contains(QUESTION), "the question is there to be asked again");
    d.press("<esc> t");
    assert_eq!(d.source.votes, [(7, Vote::Tie)], "what was stopped can be voted on");
    d.press("<esc>");
    assert_eq!(d.app.view(), View::Arenas);
    assert_eq!(*orders(&d).last().unwrap(), &ArenaQuery::Leave);
}

#[test]
fn columns_scroll_on_their_own() {
    let _turn = speak(Lang::En);
    let lines = |side: &str| (0..60).map(|i| format!("{side} {i}\n")).collect::<String>();
    let mut d = Driver::new(sitting(vec![ready(), pieces(&lines("left"), &lines("right")), over(Outcome::Votable(7))]));
    ask(&mut d, QUESTION);
    d.wait();
    let screen = d.screen(80, 24);
    assert!(screen.contains("left 59") && screen.contains("right 59"), "the end is followed: {screen}");
    d.press("g");
    let screen = d.screen(80, 24);
    assert!(screen.contains("left 0 ") && !screen.contains("right 0"), "{screen}");
    d.press("<tab> g j");
    let screen = d.screen(80, 24);
    assert!(screen.contains("left 0 ") && screen.contains("right 1") && !screen.contains("right 0"), "{screen}");
    d.press("<tab>");
    assert_eq!(d.app.view(), View::Duel, "Tab is for the columns here");
    assert!(d.screen(40, 12).contains("left 0"), "one at a time in a low frame");
    d.press("<tab>");
    assert!(d.screen(40, 12).contains("right 1"), "{}", d.screen(40, 12));
    d.press("y");
    assert!(matches!(&d.app.take_chores()[..], [Chore::Copy(text)] if text.starts_with("right 0\nright 1")));
}

#[test]
fn the_form_offers_refuses_and_remembers() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(sitting(played()));
    d.press("6 b");
    let form = d.screen(80, 24);
    assert!(form.contains("smollm2-135m+聚宝盆") && form.contains("http://127.0.0.1:8000/v1#Qwen2.5-7B"), "{form}");
    d.press("<ctrl-n> <enter>");
    assert!(d.screen(80, 24).contains("the other: choose another than the first"), "{}", d.screen(80, 24));
    assert_eq!(d.app.view(), View::Contestants);
    d.press("<ctrl-n> <tab> <tab> <ctrl-n> <tab> <backspace> <backspace> <backspace> 0 <enter>");
    assert!(d.screen(80, 24).contains("a number of tokens"), "{}", d.screen(80, 24));
    d.press("<backspace> 6 4 <enter>");
    let [ArenaQuery::Enter(plan)] = &orders(&d)[..] else { panic!("{:?}", orders(&d)) };
    assert_eq!(plan.contestants[1], "http://127.0.0.1:8000/v1#Qwen2.5-7B");
    assert_eq!(plan.longest, 64);
    d.wait();
    d.press("<ctrl-n>");
    let drawn = ArenaQuery::Draw { arena: "finance".into(), dataset: Some("finance-zh".into()), number: 1 };
    assert_eq!(*orders(&d).last().unwrap(), &drawn);
    d.press("<enter>");
    let whole = "计算市盈率。\n净利润 2 亿元，总市值 40 亿元。";
    assert_eq!(*orders(&d).last().unwrap(), &ArenaQuery::Ask { question: whole.into(), turn: 1 }, "with its line end");
    d.wait();
    d.press("<esc> b");
    let form = d.screen(80, 24);
    assert!(form.contains("Qwen") && form.contains(" 64") && form.contains("finance-zh"), "{form}");
}

#[test]
fn what_cannot_be_loaded_leads_back_to_the_form() {
    let _turn = speak(Lang::En);
    let error = Error::new(Kind::NotFound, "no model `smollm3`").hint("linly-bench models list");
    let mut d = Driver::new(sitting(vec![loading(1), heard(DuelStage::Failed(error))]));
    d.press("6 b <enter>").wait();
    let screen = d.screen(80, 24);
    assert!(
        screen.contains("no model `smollm3`") && screen.contains("models list") && screen.contains("choose others")
    );
    assert!(!d.app.is_live());
    d.press("a");
    assert!(d.source.votes.is_empty());
    d.press("n");
    assert_eq!(d.app.view(), View::Contestants);
    assert!(d.screen(80, 24).contains("smollm2-135m+聚宝盆"), "as it was filled in");
}

#[test]
fn a_server_that_goes_away_is_told_in_its_column_and_asked_again() {
    let _turn = speak(Lang::En);
    let error = Error::new(Kind::Network, "http://127.0.0.1:8000/v1: the answer broke off").hint("look at its log");
    let failed = Heard {
        ends: [Some(SideEnd::Failed(error)), Some(SideEnd::Whole)],
        ..heard(DuelStage::Over(Outcome::Unanswered))
    };
    let mut d = Driver::new(sitting(vec![ready(), pieces("", "an answer"), failed]));
    ask(&mut d, QUESTION);
    d.wait();
    let screen = d.screen(120, 40);
    assert!(
        screen.contains("broke off") && screen.contains("look at its log") && screen.contains("an answer"),
        "{screen}"
    );
    d.press("a");
    assert!(d.source.votes.is_empty() && d.screen(120, 40).contains("not two answers"), "{}", d.screen(120, 40));
    d.press("e <enter>");
    assert_eq!(*orders(&d).last().unwrap(), &ArenaQuery::Ask { question: QUESTION.into(), turn: 2 });
}

#[test]
fn a_sitting_that_is_refused_says_why() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(sitting(played()));
    d.press("6 b");
    d.source.sitting.failure = Some(Error::new(Kind::InvalidInput, "` ` is no name"));
    d.press("<enter>").wait();
    assert_eq!(d.app.view(), View::Arriving);
    assert!(d.screen(80, 24).contains("` ` is no name"), "{}", d.screen(80, 24));
}

#[test]
fn a_question_that_was_not_taken_is_not_lost() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(sitting(played()));
    d.press("6 b <enter>").wait();
    d.source.sitting.failure = Some(Error::new(Kind::InvalidInput, "the contestants are not ready"));
    d.app.paste(QUESTION);
    d.press("<enter>");
    let screen = d.screen(80, 24);
    assert!(screen.contains("not ready") && screen.contains(QUESTION), "{screen}");
    assert_eq!(d.app.view(), View::Question);
}

#[test]
fn an_answer_that_names_its_model_is_told_and_not_voted_on() {
    let _turn = speak(Lang::En);
    let names = ["smollm2-135m".into(), "smollm2-135m+聚宝盆".into()];
    let outcome = Outcome::NotBlind { why: "an answer names its model: 聚宝盆".into(), names };
    let mut d = Driver::new(sitting(vec![ready(), pieces("我是聚宝盆。", "x"), over(outcome)]));
    ask(&mut d, "你是谁？");
    d.wait();
    let screen = d.screen(120, 40);
    assert!(screen.contains("does not count") && screen.contains("smollm2-135m+聚宝盆"), "{screen}");
    d.press("a d");
    assert!(d.source.votes.is_empty() && orders(&d).iter().all(|o| !matches!(o, ArenaQuery::Keep { .. })));
}

#[test]
fn the_better_answer_goes_into_a_dataset_and_out_again() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(sitting(played()));
    ask(&mut d, QUESTION);
    d.wait();
    d.press("d");
    assert!(d.screen(80, 24).contains("vote first"), "{}", d.screen(80, 24));
    d.press("a d");
    assert_eq!(d.app.view(), View::KeepIn);
    assert!(d.screen(80, 24).contains("finance-zh"), "what there is is offered");
    d.app.paste("mine");
    d.press("<enter>");
    let keep = ArenaQuery::Keep { arena: "finance".into(), battle: 7, dataset: "mine".into() };
    assert_eq!(*orders(&d).last().unwrap(), &keep);
    assert!(d.screen(80, 24).contains("row 0 of mine"), "{}", d.screen(80, 24));
    d.press("d");
    assert_eq!(d.source.sitting.rows.len(), 1, "once");
    d.press("U");
    assert!(d.source.sitting.rows.is_empty());
    d.press("d");
    assert_eq!(d.source.sitting.rows.len(), 1, "the dataset is remembered");
    d.press("D <ctrl-n> <enter>");
    assert!(matches!(orders(&d).last().unwrap(), ArenaQuery::Keep { dataset, .. } if dataset != "mine"));
    // A stored battle has the same keys, and a tie no better answer.
    let mut d = Driver::new(sitting(vec![]));
    d.press("6 <enter> t d");
    assert!(d.screen(80, 24).contains("neither answer was better"), "{}", d.screen(80, 24));
    d.press("n b d");
    assert_eq!(d.app.view(), View::KeepIn);
}

#[test]
fn figures_lie_over_a_battle_that_goes_on() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(sitting(vec![
        ready(),
        pieces("one", ""),
        pieces(" two", ""),
        pieces(" three", ""),
        over(Outcome::Votable(7)),
    ]));
    ask(&mut d, QUESTION);
    d.press("v");
    assert_eq!(d.app.view(), View::Tally);
    assert_eq!(*orders(&d).last().unwrap(), &ArenaQuery::Tally { arena: "finance".into(), sitting: true });
    let screen = d.screen(80, 24);
    assert!(screen.contains("left better") && screen.contains("31.2 tokens/s"), "{screen}");
    d.wait();
    d.press("<esc>");
    assert!(d.screen(120, 40).contains("one two three"), "{}", d.screen(120, 40));
    d.press("r");
    let screen = d.screen(120, 40);
    assert!(screen.contains("1062") && screen.contains("⣿") && screen.contains("cannot be told apart"), "{screen}");
    d.press("y");
    assert!(matches!(&d.app.take_chores()[..], [Chore::Copy(text)] if text.contains("| 1062 (1021 – 1103) |")));
    d.press("<esc> a");
    assert_eq!(d.source.votes, [(7, Vote::A)]);
}

#[test]
fn other_screens_can_be_looked_at_while_answers_are_written() {
    let _turn = speak(Lang::En);
    let mut d = Driver::new(sitting(vec![ready(), pieces("one", ""), pieces(" two", ""), over(Outcome::Votable(7))]));
    ask(&mut d, QUESTION);
    d.press("2");
    assert!(!d.app.is_live());
    d.wait();
    d.press("6").wait();
    assert!(d.screen(120, 40).contains("one two"), "{}", d.screen(120, 40));
}

/// What a model, a server or a file may hold.
fn evil() -> String {
    let marks = "e\u{301}\u{302}".to_owned() + &"\u{336}".repeat(300);
    format!(
        "\u{1b}[31mX\u{1b}]0;owned\u{7}\u{9b}2J\u{8}\r\n\t\u{202e}\u{2066}\u{61c}\0 👨‍👩‍👧‍👦 {marks} {} \u{1b}P1;owned\u{1b}\\end\u{2028}x",
        "w".repeat(300)
    )
}

#[test]
fn hostile_text_reaches_no_cell_of_the_arena() {
    let _turn = speak(Lang::En);
    let evil = evil();
    let error = || Error::new(Kind::Network, evil.clone()).hint(evil.clone());
    // Whole, and in pieces of a character each, so that sequences are cut everywhere.
    let mut split: Vec<Heard> = evil.chars().map(|c| pieces(&c.to_string(), &c.to_string())).collect();
    split.insert(0, ready());
    let failed = |stage| Heard { ends: [Some(SideEnd::Failed(error())), Some(SideEnd::Longest)], ..heard(stage) };
    let scripts = [
        vec![heard(DuelStage::Loading { label: evil.clone(), number: 1, read: 1, total: 2 })],
        vec![heard(DuelStage::Failed(error()))],
        vec![ready(), pieces(&evil, &evil), over(Outcome::Votable(7))],
        split,
        vec![ready(), pieces(&evil, ""), failed(DuelStage::Over(Outcome::Unanswered))],
        vec![
            ready(),
            pieces(&evil, "b"),
            over(Outcome::NotBlind { why: evil.clone(), names: [evil.clone(), evil.clone()] }),
        ],
        vec![ready(), pieces(&evil, "b"), over(Outcome::NotStored(error()))],
    ];
    for (number, script) in scripts.into_iter().enumerate() {
        let news = script.len();
        let mut source = sitting(script);
        source.battles[0].1 = Names { a: evil.clone(), b: evil.clone() };
        source.sitting.offers.contestants.insert(0, format!("c{evil}"));
        source.sitting.offers.datasets.insert(0, format!("d{evil}"));
        source.sitting.question = Some(evil.clone());
        source.sitting.ratings.lines[0].model = evil.clone();
        source.sitting.ratings.verdicts[0].better = evil.clone();
        source.sitting.tally.contestants[0].name = evil.clone();
        source.arenas[0].name = evil.clone();
        let mut d = Driver::new(source);
        let look = |d: &mut Driver, at: &str| {
            for (width, height) in SIZES {
                let screen = d.screen(width, height);
                assert!(!screen.contains("owned") && !screen.contains("[31m"), "{number} {at}: {screen}");
                let harmless =
                    |c: char| c == '\n' || !(c.is_control() || "\u{202e}\u{2066}\u{61c}\u{2028}".contains(c));
                assert!(screen.chars().all(harmless), "{number} {at}: {screen:?}");
                assert!(
                    screen.len() < 40 * usize::from(width) * usize::from(height),
                    "{number} {at}: {}",
                    screen.len()
                );
            }
        };
        for keys in ["6 b", "<enter>", "<ctrl-n>", "<enter>"] {
            d.press(keys);
            look(&mut d, keys);
        }
        for _ in 0..news {
            d.app.listen();
            d.settle();
        }
        for keys in ["g", "<tab>", "G", "a", "d", "<esc>", "r", "<esc>", "v", "<esc>", "<esc>", "6"] {
            d.press(keys);
            look(&mut d, keys);
        }
    }
}

/// One picture per size and language of what `walk` leads to.
fn album(walk: impl Fn(&mut Driver), source: impl Fn() -> Fake) -> String {
    let mut pages = String::new();
    for lang in [Lang::En, Lang::Zh] {
        let _turn = speak(lang);
        for (width, height) in SIZES {
            let mut d = Driver::new(source());
            d.screen(width, height);
            walk(&mut d);
            let screen = d.screen(width, height);
            for symbol in screen.chars().map(String::from) {
                assert_eq!(symbol.width(), symbol.width_cjk(), "{symbol:?} of ambiguous width: {screen}");
            }
            pages.push_str(&format!("== {lang:?} {width} x {height}\n{screen}\n"));
        }
    }
    pages
}

/// In the sitting, with a question asked and the news heard up to `pieces`.
fn writing(d: &mut Driver) {
    ask(d, QUESTION);
    d.app.listen();
    d.settle();
}

fn to_the_end(d: &mut Driver) {
    ask(d, QUESTION);
    d.wait();
}

macro_rules! pictures {
    ($($name:ident: $walk:expr, $source:expr;)*) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(album($walk, $source));
        })*
    };
}

pictures! {
    contestants_form: |d| _ = d.press("6 b"), || sitting(played());
    contestants_form_empty: |d| _ = d.press("6 b"), Fake::default;
    duel_loading: |d| _ = d.press("6 b <enter>"), || sitting(vec![loading(120)]);
    duel_failed: |d| _ = d.press("6 b <enter>").wait(), || {
        let error = Error::new(Kind::Network, "http://127.0.0.1:8000/v1 does not answer: connection refused")
            .hint("start the server, or look at its address");
        sitting(vec![heard(DuelStage::Failed(error))])
    };
    duel_question: |d| { d.press("6 b <enter>").wait(); d.app.paste(&LEFT.replace('\n', "").repeat(2)); },
        || sitting(played());
    duel_writing: writing, || sitting(vec![ready(), pieces(LEFT, ""), pieces("", "It is the price of a sh")]);
    duel_unvoted: to_the_end, || sitting(played());
    duel_voted: |d| { to_the_end(d); d.press("a"); }, || sitting(played());
    duel_side_failed: to_the_end, || {
        let error = Error::new(Kind::Network, "http://127.0.0.1:8000/v1#Qwen2.5-7B: the answer broke off")
            .hint("look at the server's log and ask again");
        let ends = [Some(SideEnd::Whole), Some(SideEnd::Failed(error))];
        sitting(vec![ready(), pieces(LEFT, "It is"), Heard { ends, ..heard(DuelStage::Over(Outcome::Unanswered)) }])
    };
    duel_long: to_the_end, || {
        let long = |text: &str| text.repeat(12);
        sitting(vec![ready(), pieces(&long(LEFT), &long(RIGHT)), over(Outcome::Votable(7))])
    };
    duel_keep_in: |d| { to_the_end(d); d.press("a d"); }, || sitting(played());
    arena_ratings: |d| _ = d.press("6 r"), || sitting(vec![]);
    arena_ratings_empty: |d| _ = d.press("6 r"), || {
        let mut fake = sitting(vec![]);
        fake.sitting.ratings = RatingsView { pending: 12, ..RatingsView::default() };
        fake
    };
    arena_tally: |d| _ = d.press("6 v"), || sitting(vec![]);
    arena_tally_unvoted: |d| _ = d.press("6 v"), || {
        let mut fake = sitting(vec![]);
        fake.sitting.tally = Tally { battles: 1, pending: 1, side_p: 1.0, ..Tally::default() };
        fake
    };
}

#[test]
fn every_size_draws_without_harm() {
    let _turn = speak(Lang::Zh);
    let walks: [&dyn Fn(&mut Driver); 6] = [
        &|d| _ = d.press("6 b"),
        &|d| _ = d.press("6 b <enter>").wait(),
        &to_the_end,
        &|d| {
            to_the_end(d);
            d.press("a d");
        },
        &|d| _ = d.press("6 r"),
        &|d| _ = d.press("6 v"),
    ];
    for walk in walks {
        let mut d = Driver::new(sitting(played()));
        walk(&mut d);
        for width in (1..130).step_by(9) {
            for height in (1..45).step_by(4) {
                d.screen(width, height);
            }
        }
    }
}

#[test]
fn the_caret_stands_where_an_input_method_composes() {
    let _turn = speak(Lang::Zh);
    let mut d = Driver::new(sitting(played()));
    d.press("6 b <enter>").wait();
    let mut terminal = ratatui::Terminal::new(ratatui::backend::TestBackend::new(40, 12)).unwrap();
    let mut caret = |d: &mut Driver| {
        terminal.draw(|frame| d.app.draw(frame)).unwrap();
        let place = terminal.get_cursor_position().unwrap();
        (place.x, place.y)
    };
    let (x, y) = caret(&mut d);
    d.app.paste("聚宝e\u{301}");
    assert_eq!(caret(&mut d), (x + 5, y), "two columns a character");
    d.press("<left>");
    assert_eq!(caret(&mut d), (x + 4, y));
    d.app.paste(&"盆".repeat(30));
    assert_eq!(caret(&mut d).1, y + 1, "on the next row of the field");
}
