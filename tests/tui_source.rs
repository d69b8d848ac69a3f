//! The screens' data from a real database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use linly_bench::arena::Battle;
use linly_bench::config::Settings;
use linly_bench::eval::ItemOutcome;
use linly_bench::store::NewRun;
use linly_bench::tui::{Names, Source, Vote, WorkbenchSource};
use linly_bench::workbench::Workbench;

fn bench(home: &std::path::Path) -> Workbench {
    Workbench::open(Settings::resolve(Some(home.to_owned()), None, None).unwrap()).unwrap()
}

#[test]
fn outcomes_are_counted_by_subject_and_listed_in_the_order_of_their_numbers() {
    let home = tempfile::tempdir().unwrap();
    let workbench = bench(home.path());
    let (run, _lease) = workbench.store.start_run(&NewRun { kind: "eval", ..NewRun::default() }).unwrap();
    let outcome = |subject: &str, id: &str, correct| ItemOutcome {
        subject: subject.into(),
        id: id.into(),
        prompt: "p".into(),
        choices: vec![" A".into(), " B".into()],
        loglikelihoods: vec![-1.0, -2.0],
        pred: "A".into(),
        gold: if correct { "A".into() } else { "B".into() },
        correct,
        ..ItemOutcome::default()
    };
    let outcomes = [outcome("law", "10", true), outcome("law", "9", false), outcome("tax", "1", true)];
    workbench.store.put_outcomes(&run, "t", &outcomes).unwrap();
    let mut source = WorkbenchSource::new(workbench);
    let subjects: Vec<_> = source.subjects(&run).unwrap().into_iter().map(|s| (s.subject, s.n, s.correct)).collect();
    assert_eq!(subjects, [("law".to_owned(), 2, 1), ("tax".to_owned(), 1, 1)]);
    let items: Vec<String> = source.outcomes(&run, "law").unwrap().into_iter().map(|o| o.item).collect();
    assert_eq!(items, ["9", "10"]);
}

#[test]
fn battles_come_one_after_another_and_a_vote_tells_the_names() {
    let home = tempfile::tempdir().unwrap();
    let workbench = bench(home.path());
    workbench.store.create_arena("a").unwrap();
    let battle = |question: &str, flagged: &str| Battle {
        question: question.into(),
        model_a: "left".into(),
        model_b: "right".into(),
        flagged: flagged.into(),
        anony: true,
        tstamp: "2026-01-01T00:00:00.000Z".into(),
        ..Battle::default()
    };
    let battles = [battle("one", ""), battle("two", ""), battle("three", "an answer names its model")];
    workbench.store.add_battles("a", &battles).unwrap();
    let mut source = WorkbenchSource::new(workbench);
    assert_eq!(source.arenas().unwrap()[0].battles, 3);
    let first = source.next_battle("a", 0).unwrap().unwrap();
    let second = source.next_battle("a", first.id).unwrap().unwrap();
    assert_eq!((first.question.as_str(), second.question.as_str()), ("one", "two"));
    assert_eq!(source.next_battle("a", second.id).unwrap().unwrap(), first, "a skipped battle comes again");
    let names = source.vote("a", first.id, Vote::Tie).unwrap();
    assert_eq!(names, Names { a: "left".into(), b: "right".into() });
    assert!(source.vote("a", first.id, Vote::A).is_err(), "a vote is given once");
    source.take_vote_back("a", first.id).unwrap();
    assert!(source.take_vote_back("a", first.id).is_err(), "there is no vote any more");
    assert_eq!(source.next_battle("a", 0).unwrap().as_ref(), Some(&first), "it waits for a vote again");
    source.vote("a", first.id, Vote::A).unwrap();
    source.vote("a", second.id, Vote::B).unwrap();
    let rated = linly_bench::workbench::arena::rate(
        &bench(home.path()),
        Some("a"),
        linly_bench::arena::ratings::Method::Sandwich,
    );
    let rated = rated.unwrap();
    assert_eq!((rated.used, rated.not_blind), (1, 1), "a vote of someone who saw the names does not rate");
    assert_eq!(source.next_battle("a", 0).unwrap(), None, "what cannot be blind is not asked");
    assert!(!source.leaderboard().unwrap().columns.is_empty());
}
