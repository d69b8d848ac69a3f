//! The screens' data from a real database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use linly_bench::arena::Battle;
use linly_bench::config::Settings;
use linly_bench::eval::ItemOutcome;
use linly_bench::store::NewRun;
use linly_bench::tui::{Names, ScoresAnswer, ScoresQuery, Source, Vote, WorkbenchSource};
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

#[test]
fn two_scores_are_compared_item_by_item_and_stand_in_the_matrix() {
    let home = tempfile::tempdir().unwrap();
    let workbench = bench(home.path());
    let outcome = |id: &str, correct| ItemOutcome {
        subject: "law".into(),
        id: id.into(),
        pred: if correct { "A" } else { "B" }.into(),
        gold: "A".into(),
        correct,
        ..ItemOutcome::default()
    };
    let score = |adapter: &str, right: [bool; 3]| {
        let new =
            NewRun { kind: "eval", model: "m".into(), adapter: adapter.into(), task: "t".into(), ..NewRun::default() };
        let (run, _lease) = workbench.store.start_run(&new).unwrap();
        let outcomes: Vec<_> = right.into_iter().enumerate().map(|(i, r)| outcome(&i.to_string(), r)).collect();
        workbench.store.put_outcomes(&run, "t", &outcomes).unwrap();
        let right = right.iter().filter(|r| **r).count();
        workbench.store.finish_run(&run, Ok(&serde_json::json!({"acc": right as f64 / 3.0, "n": 3}))).unwrap();
        run
    };
    let (a, b) = (score("", [true, false, false]), score("x", [false, true, true]));
    let mut source = WorkbenchSource::new(workbench);
    let compare = ScoresQuery::Compare { a: a.clone(), b: b.clone() };
    let ScoresAnswer::Compare(c) = source.scores(&compare).unwrap() else { panic!() };
    assert_eq!((c.n, c.gained, c.lost, c.flips.len()), (3, 2, 1, 3));
    // Three discordant items, one against: the exact two-sided binomial test gives 1.
    assert!((c.difference - 1.0 / 3.0).abs() < 1e-12 && (c.p - 1.0).abs() < 1e-12);
    assert_eq!(c.flips.iter().map(|f| f.gained).collect::<Vec<_>>(), [false, true, true]);
    let both = ScoresQuery::Both { a, b: b.clone(), subject: "law".into(), item: "1".into() };
    let ScoresAnswer::Both(both) = source.scores(&both).unwrap() else { panic!() };
    assert_eq!((both.0.pred.as_str(), both.1.pred.as_str()), ("B", "A"));
    let ScoresAnswer::Matrix(matrix) = source.scores(&ScoresQuery::Matrix).unwrap() else { panic!() };
    assert_eq!((matrix.columns.len(), matrix.standings.len()), (1, 2));
    assert_eq!(matrix.standings[0].figures[0].as_ref().unwrap().origin, b, "the better one first, with its run");
}
