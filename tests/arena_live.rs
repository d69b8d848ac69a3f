//! Live battles: two contestants at once, stopped, failing, stored under sides that chance has drawn.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use linly_bench::arena::Winner;
use linly_bench::config::Settings;
use linly_bench::error::{Error, Kind, Result};
use linly_bench::infer::Sampling;
use linly_bench::job::CancelToken;
use linly_bench::prompt::Message;
use linly_bench::store::{RowQuery, RunStatus};
use linly_bench::workbench::arena::{
    Duel, DuelPlan, DuelStage, Heard, Outcome, SideEnd, contestants, draw_question, tally, vote,
};
use linly_bench::workbench::{Ending, Hear, Speaker, Spoken, Workbench, data};
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// Says its name in German and the question; at the word `forever` it goes on until it is stopped. At `silent` the second
/// says nothing until then, at `fail` it fails.
struct Script {
    name: &'static str,
    /// Both have to be speaking at the same time.
    together: Arc<Barrier>,
}

impl Speaker for Script {
    fn name(&self) -> &str {
        self.name
    }

    fn speak(&mut self, messages: &[Message], s: &Sampling, hear: Hear<'_>, cancel: &CancelToken) -> Result<Spoken> {
        self.together.wait();
        assert!((s.max_new_tokens, s.temperature) == (50, 0.7));
        let question = messages.last().unwrap().content.clone();
        let second = self.name == "two";
        if question.contains("fail") && second {
            return Err(Error::new(Kind::Network, "the server is gone"));
        }
        let silent = question.contains("silent") && second;
        let mut text = String::new();
        for piece in [if second { "zwei" } else { "eins" }, " ", &question] {
            if !silent {
                _ = hear(piece);
                text.push_str(piece);
            }
        }
        while (silent || question.contains("forever")) && !cancel.is_cancelled() {
            std::thread::yield_now();
        }
        let ending = if cancel.is_cancelled() { Ending::Interrupted } else { Ending::Stop };
        let (first, total) = (Duration::from_millis(100), Duration::from_millis(600));
        Ok(Spoken { text, ending, prompt_tokens: 1, reused_tokens: 0, tokens: 11, first, total })
    }
}

fn bench(home: &Path) -> Arc<Workbench> {
    Arc::new(Workbench::open(Settings::resolve(Some(home.to_owned()), None, None).unwrap()).unwrap())
}

fn plan() -> DuelPlan {
    DuelPlan { arena: "live".into(), contestants: ["one".into(), "two".into()], longest: 50 }
}

fn open(bench: &Arc<Workbench>) -> Duel {
    let together = Arc::new(Barrier::new(2));
    let duel = Duel::with(bench, plan(), move |_| {
        let script = |name| Box::new(Script { name, together: together.clone() }) as Box<dyn Speaker>;
        Ok([script("one"), script("two")])
    });
    let duel = duel.unwrap();
    until(&duel, |heard, _| heard.stage == DuelStage::Ready);
    duel
}

/// Listens until `done`; gives the last news and both answers.
fn until(duel: &Duel, done: impl Fn(&Heard, &[String; 2]) -> bool) -> (Heard, [String; 2]) {
    let started = Instant::now();
    let mut texts = [String::new(), String::new()];
    loop {
        let heard = duel.hear([texts[0].len(), texts[1].len()]);
        texts.iter_mut().zip(&heard.more).for_each(|(text, more)| text.push_str(more));
        if done(&heard, &texts) {
            return (heard, texts);
        }
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain: {heard:?}");
        std::thread::yield_now();
    }
}

fn over(heard: &Heard, _: &[String; 2]) -> bool {
    matches!(heard.stage, DuelStage::Over(_))
}

#[test]
fn both_answer_at_once_and_chance_draws_the_sides() {
    let home = tempfile::tempdir().unwrap();
    let bench = bench(home.path());
    let duel = open(&bench);
    let mut first_left = 0;
    for number in 0..40 {
        // The same question again: who has seen its sides does not know the next ones.
        duel.ask("What is a bond?").unwrap();
        let (heard, texts) = until(&duel, over);
        let DuelStage::Over(Outcome::Votable(id)) = heard.stage else { panic!("{heard:?}") };
        assert_eq!(heard.ends, [Some(SideEnd::Whole), Some(SideEnd::Whole)]);
        let (arena, battle) = bench.store.battle(id).unwrap();
        assert_eq!((arena.as_str(), battle.anony, battle.winner), ("live", true, None));
        assert!(texts[0].starts_with(if battle.model_a == "one" { "eins" } else { "zwei" }), "{texts:?}");
        first_left += i32::from(battle.model_a == "one");
        assert_eq!([battle.answer_a, battle.answer_b], texts, "what was heard is what is stored, side by side");
        if number < 3 {
            vote(&bench, "live", id, Winner::A).unwrap();
        }
    }
    // Six standard deviations of 40 fair draws.
    assert!((1..=39).contains(&first_left), "{first_left}");
    let counted = tally(&bench, "live", duel.run().as_deref(), &duel.paces()).unwrap();
    assert_eq!((counted.battles, counted.left, counted.pending), (40, 3, 37));
    assert!(counted.contestants.iter().all(|c| c.tokens_per_second.is_some_and(|s| (s - 20.0).abs() < 1e-9)));
    drop(duel);
    let run = &bench.store.runs(Some("arena")).unwrap()[0];
    assert_eq!((run.status, run.result["battles"].as_u64()), (RunStatus::Done, Some(40)));
    assert_eq!(draw_question(&bench, "live", None).unwrap().unwrap().text, "What is a bond?");
    assert!(draw_question(&bench, "none", None).unwrap().is_none());
}

#[test]
fn what_was_written_before_a_stop_is_kept_and_can_be_voted_on() {
    let home = tempfile::tempdir().unwrap();
    let bench = bench(home.path());
    let duel = open(&bench);
    duel.ask("forever").unwrap();
    assert!(duel.ask("another").is_err(), "one question at a time");
    until(&duel, |_, texts| texts.iter().all(|text| text.ends_with("forever")));
    duel.stop();
    let (heard, texts) = until(&duel, over);
    assert_eq!(heard.ends, [Some(SideEnd::Stopped), Some(SideEnd::Stopped)]);
    let DuelStage::Over(Outcome::Votable(id)) = heard.stage else { panic!("{heard:?}") };
    assert_eq!(bench.store.battle(id).unwrap().1.answer_b, texts[1]);
    vote(&bench, "live", id, Winner::B).unwrap();
    // A side that had not begun has nothing that could be judged.
    duel.ask("silent").unwrap();
    until(&duel, |_, texts| texts.iter().any(|text| text.ends_with("silent")));
    duel.stop();
    assert_eq!(until(&duel, over).0.stage, DuelStage::Over(Outcome::Unanswered));
    assert_eq!(bench.store.battles("live").unwrap().len(), 1);
    duel.ask("What is a bond?").unwrap();
    assert!(matches!(until(&duel, over).0.stage, DuelStage::Over(Outcome::Votable(_))), "it goes on");
}

#[test]
fn a_side_that_fails_says_why_and_the_other_is_heard_to_its_end() {
    let home = tempfile::tempdir().unwrap();
    let bench = bench(home.path());
    let duel = open(&bench);
    duel.ask("fail").unwrap();
    let (heard, texts) = until(&duel, over);
    assert_eq!(heard.stage, DuelStage::Over(Outcome::Unanswered));
    let failed = |end: &Option<SideEnd>| matches!(end, Some(SideEnd::Failed(e)) if e.kind == Kind::Network);
    let whole = heard.ends.iter().position(|end| !failed(end)).unwrap();
    assert!(failed(&heard.ends[1 - whole]), "{heard:?}");
    assert_eq!((&heard.ends[whole], texts[whole].as_str()), (&Some(SideEnd::Whole), "eins fail"));
    assert!(bench.store.arenas().unwrap().is_empty(), "nothing was begun in the database");
}

/// Always says who it is.
struct Named(&'static str);

impl Speaker for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn speak(&mut self, _: &[Message], _: &Sampling, _: Hear<'_>, _: &CancelToken) -> Result<Spoken> {
        let (first, total) = (Duration::ZERO, Duration::ZERO);
        let text = "I am SmolLM.".to_owned();
        Ok(Spoken { text, ending: Ending::Length, prompt_tokens: 1, reused_tokens: 0, tokens: 1, first, total })
    }
}

#[test]
fn an_answer_that_names_its_contestant_is_flagged() {
    let home = tempfile::tempdir().unwrap();
    let bench = bench(home.path());
    let duel = Duel::with(&bench, plan(), |_| Ok([Box::new(Named("smollm2-135m")), Box::new(Named("other"))])).unwrap();
    until(&duel, |heard, _| heard.stage == DuelStage::Ready);
    duel.ask("Who are you?").unwrap();
    let (heard, _) = until(&duel, over);
    let DuelStage::Over(Outcome::NotBlind { mut names, .. }) = heard.stage else { panic!("{heard:?}") };
    names.sort();
    assert_eq!(names, ["other", "smollm2-135m"]);
    assert_eq!(heard.ends[0], Some(SideEnd::Longest));
}

#[test]
fn what_cannot_be_loaded_or_meet_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let bench = bench(home.path());
    let same = DuelPlan { contestants: ["m".into(), "m".into()], ..plan() };
    assert_eq!(Duel::open(&bench, same).err().unwrap().kind, Kind::InvalidInput);
    assert!(Duel::open(&bench, DuelPlan { arena: " ".into(), ..plan() }).is_err());
    let failure = |first: &str| {
        let duel = Duel::open(&bench, DuelPlan { contestants: [first.into(), "two".into()], ..plan() }).unwrap();
        let (heard, _) = until(&duel, |heard, _| matches!(heard.stage, DuelStage::Failed(_)));
        assert!(duel.ask("anything").is_err());
        let DuelStage::Failed(error) = heard.stage else { panic!() };
        error
    };
    let missing = failure("no-such-model");
    assert!(missing.message.contains("no-such-model") && missing.hint.is_some(), "{missing:?}");
    // Port 9 is the discard service, which no machine offers any more.
    assert_eq!(failure("http://127.0.0.1:9/v1#m").kind, Kind::Network);
}

#[test]
fn loading_is_given_up_when_nobody_waits() {
    let home = tempfile::tempdir().unwrap();
    let bench = bench(home.path());
    let (ended, gone) = std::sync::mpsc::channel();
    let duel = Duel::with(&bench, plan(), move |watch| {
        while watch(1, 7, 1000) {
            std::thread::yield_now();
        }
        ended.send(()).unwrap();
        Err(Error::new(Kind::Interrupted, "given up"))
    });
    let duel = duel.unwrap();
    let second = DuelStage::Loading { label: "two".into(), number: 2, read: 7, total: 1000 };
    until(&duel, |heard, _| heard.stage == second);
    drop(duel);
    gone.recv_timeout(Duration::from_secs(60)).expect("the load ends");
    assert!(contestants(&bench).unwrap().is_empty());
}

#[test]
fn a_better_answer_becomes_a_row_and_is_taken_back() {
    let home = tempfile::tempdir().unwrap();
    let bench = bench(home.path());
    let duel = open(&bench);
    let fight = |question: &str| {
        duel.ask(question).unwrap();
        let DuelStage::Over(Outcome::Votable(id)) = until(&duel, over).0.stage else { panic!() };
        id
    };
    let (one, two, tied) = (fight("first"), fight("second"), fight("third"));
    assert!(data::from_battle(&bench, "kept", "live", one).is_err(), "before the vote");
    vote(&bench, "live", one, Winner::B).unwrap();
    vote(&bench, "live", two, Winner::A).unwrap();
    vote(&bench, "live", tied, Winner::Tie).unwrap();
    assert!(data::from_battle(&bench, "kept", "live", tied).is_err(), "a tie has no better answer");
    let row = data::from_battle(&bench, "kept", "live", one).unwrap().added[0];
    let again = data::from_battle(&bench, "kept", "live", one).unwrap();
    assert!(again.unchanged && again.duplicates[0].row == row);
    let second = data::from_battle(&bench, "kept", "live", two).unwrap().added[0];
    let stored = bench.store.row("kept", row).unwrap();
    let battle = bench.store.battle(one).unwrap().1;
    assert_eq!((stored.example.instruction, stored.example.output), ("first".into(), battle.answer_b));
    assert!(data::take_back(&bench, "kept", row, two).is_err(), "another battle's row");
    data::take_back(&bench, "kept", row, one).unwrap();
    let left: Vec<u64> = bench.store.rows("kept", &RowQuery::default()).unwrap().iter().map(|r| r.row).collect();
    assert_eq!(left, [second]);
    data::take_back(&bench, "kept", second, two).unwrap();
    assert!(bench.store.find_dataset("kept").unwrap().is_none(), "a dataset of nothing else goes with it");
}
