use super::*;
use crate::arena::judge::ReferenceJudge;
use crate::config::Settings;
use crate::job::Silent;
use crate::store::RunStatus;

/// Answers from a table of (question, answer); counts the batches and can ask for a stop after one.
struct Script {
    name: String,
    answers: HashMap<String, String>,
    fails_on: Option<String>,
    stop: Option<CancelToken>,
}

impl Script {
    fn new(name: &str, answers: &[(&str, &str)]) -> Script {
        let answers = answers.iter().map(|(q, a)| ((*q).to_owned(), (*a).to_owned())).collect();
        Script { name: name.to_owned(), answers, fails_on: None, stop: None }
    }
}

impl Contestant for Script {
    fn name(&self) -> &str {
        &self.name
    }

    fn answer(&mut self, question: &str) -> Result<String> {
        if self.fails_on.as_deref() == Some(question) {
            return Err(Error::internal("the contestant fell over"));
        }
        if let Some(stop) = &self.stop {
            stop.cancel();
        }
        Ok(self.answers.get(question).cloned().unwrap_or_else(|| "no idea".to_owned()))
    }
}

fn bench(home: &Path) -> Workbench {
    Workbench::open(Settings { home: home.to_owned(), data_dir: None, seed: 1 }).unwrap()
}

fn questions(n: usize) -> Vec<Question> {
    (0..n)
        .map(|i| Question {
            id: format!("q{i}"),
            text: format!("问题{i}"),
            reference: format!("答案{i}"),
            language: "zh".into(),
        })
        .collect()
}

fn session() -> Session {
    Session { limit: None, seed: 3, batch: 4, config: Value::Null }
}

fn pair(strong: &str, weak: &str, n: usize) -> Vec<Box<dyn Contestant>> {
    let right: Vec<(String, String)> = (0..n).map(|i| (format!("问题{i}"), format!("答案{i}"))).collect();
    let right: Vec<(&str, &str)> = right.iter().map(|(q, a)| (q.as_str(), a.as_str())).collect();
    vec![Box::new(Script::new(strong, &right)), Box::new(Script::new(weak, &[]))]
}

#[test]
fn from_questions_to_ratings() {
    let home = tempfile::tempdir().unwrap();
    let bench = bench(home.path());
    assert_eq!(ask(&bench, "金融", &questions(20)).unwrap(), 20);
    let played =
        battle(&bench, "金融", &mut pair("m-1+good", "m-1", 20), &session(), &Silent, &CancelToken::default()).unwrap();
    assert_eq!((played.battles, played.flagged, played.pending), (20, 0, 20));
    assert_eq!(bench.store.run(&played.run).unwrap().status, RunStatus::Done);
    let judged = judge(&bench, "金融", &mut ReferenceJudge).unwrap();
    assert_eq!((judged.judged, judged.consistent, judged.without_reference), (20, 20, 0));
    assert_eq!(judged.first_share, Some(0.5));
    let rated = rate(&bench, None, Method::Sandwich).unwrap();
    assert_eq!((rated.used, rated.pending), (20, 0));
    assert_eq!(rated.ratings.rows[0].model, "m-1+good");
    assert!(!rated.ratings.rows[0].bounded && rated.ratings.compare(0, 1).unwrap().distinguishable);
    // Nothing is left to play or to judge.
    let again = battle(&bench, "金融", &mut pair("m-1", "m-1+good", 20), &session(), &Silent, &CancelToken::default());
    assert_eq!(again.unwrap().battles, 0);
    assert_eq!(judge(&bench, "金融", &mut ReferenceJudge).unwrap().judged, 0);
}

#[test]
fn a_stopped_or_failed_session_keeps_what_it_played() {
    let home = tempfile::tempdir().unwrap();
    let cancel = CancelToken::default();
    {
        let bench = bench(home.path());
        ask(&bench, "x", &questions(10)).unwrap();
        let mut contestants = pair("m-1", "m-2", 10);
        let mut failing = Script::new("m-2", &[]);
        failing.fails_on = Some("问题9".to_owned());
        contestants[1] = Box::new(failing);
        let error = battle(&bench, "x", &mut contestants, &session(), &Silent, &cancel).unwrap_err();
        assert_eq!(error.kind, Kind::Internal);
        assert_eq!(bench.store.battles("x").unwrap().len(), 8, "two batches of four before the one that failed");
        assert_eq!(bench.store.runs(Some("arena")).unwrap()[0].status, RunStatus::Failed);
    }
    let bench = bench(home.path());
    assert_eq!(pending(&bench, "x").unwrap().len(), 8, "pending battles survive the program");
    let mut stopping = Script::new("m-2", &[]);
    stopping.stop = Some(cancel.clone());
    let mut contestants = pair("m-1", "m-2", 10);
    contestants[1] = Box::new(stopping);
    let error = battle(&bench, "x", &mut contestants, &session(), &Silent, &cancel).unwrap_err();
    assert_eq!(error.kind, Kind::Interrupted);
    assert_eq!(bench.store.runs(Some("arena")).unwrap()[0].status, RunStatus::Cancelled);
    let rest = battle(&bench, "x", &mut pair("m-1", "m-2", 10), &session(), &Silent, &CancelToken::default()).unwrap();
    assert_eq!((rest.battles, rest.pending), (2, 10));
    let mut ids: Vec<String> = bench.store.battles("x").unwrap().into_iter().map(|b| b.question_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 10, "no question was played twice");
}

#[test]
fn a_reply_that_names_its_model_is_neither_voted_on_nor_rated() {
    let home = tempfile::tempdir().unwrap();
    let bench = bench(home.path());
    ask(&bench, "x", &questions(2)).unwrap();
    let mut contestants = pair("smollm2-135m", "other-1", 2);
    contestants[0] = Box::new(Script::new("smollm2-135m", &[("问题0", "I am SmolLM.")]));
    let played = battle(&bench, "x", &mut contestants, &session(), &Silent, &CancelToken::default()).unwrap();
    assert_eq!((played.battles, played.flagged, played.pending), (2, 1, 1));
    let flagged = bench.store.battles("x").unwrap().into_iter().find(|b| !b.flagged.is_empty()).unwrap();
    assert_eq!(vote(&bench, "x", flagged.id, Winner::A).unwrap_err().kind, Kind::InvalidInput);
    assert_eq!(judge(&bench, "x", &mut ReferenceJudge).unwrap().judged, 1);
    let rated = rate(&bench, Some("x"), Method::Sandwich).unwrap();
    assert_eq!((rated.used, rated.flagged), (1, 1));
}

#[test]
fn votes_are_given_once_and_in_their_own_arena() {
    let home = tempfile::tempdir().unwrap();
    let bench = bench(home.path());
    for arena in ["x", "y"] {
        ask(&bench, arena, &questions(1)).unwrap();
    }
    battle(&bench, "x", &mut pair("m-1", "m-2", 1), &session(), &Silent, &CancelToken::default()).unwrap();
    let id = pending(&bench, "x").unwrap()[0].id;
    assert_eq!(vote(&bench, "y", id, Winner::A).unwrap_err().kind, Kind::NotFound);
    let battle = vote(&bench, "x", id, Winner::BothBad).unwrap();
    assert_eq!((battle.winner, battle.judge.as_str()), (Some(Winner::BothBad), "human"));
    assert_eq!(vote(&bench, "x", id, Winner::A).unwrap_err().kind, Kind::InvalidInput);
    assert!(pending(&bench, "x").unwrap().is_empty());
}

#[test]
fn wrong_requests_say_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let bench = bench(home.path());
    let play = |name: &str, mut contestants: Vec<Box<dyn Contestant>>| {
        battle(&bench, name, &mut contestants, &session(), &Silent, &CancelToken::default()).unwrap_err()
    };
    assert_eq!(rate(&bench, None, Method::Sandwich).unwrap_err().kind, Kind::NotFound);
    assert_eq!(play("x", pair("a", "b", 1)).kind, Kind::NotFound);
    assert!(new(&bench, "x", None).unwrap().created);
    for error in [
        play("x", pair("a", "b", 1)),
        new(&bench, "x", None).unwrap_err(),
        new(&bench, " ", None).unwrap_err(),
        new(&bench, "a\u{1b}b", None).unwrap_err(),
    ] {
        assert!(error.kind == Kind::InvalidInput && error.hint.is_some(), "{error:?}");
    }
    ask(&bench, "x", &questions(1)).unwrap();
    assert_eq!(play("x", pair("a", "a", 1)).kind, Kind::InvalidInput);
    assert_eq!(play("x", Vec::new()).kind, Kind::InvalidInput);
    let empty = rate(&bench, Some("x"), Method::Sandwich).unwrap();
    assert!(empty.ratings.rows.is_empty());
}

#[test]
fn an_export_comes_back_as_the_same_battles_and_only_once() {
    let home = tempfile::tempdir().unwrap();
    let bench = bench(home.path());
    ask(&bench, "x", &questions(5)).unwrap();
    battle(&bench, "x", &mut pair("m-1", "m-2", 5), &session(), &Silent, &CancelToken::default()).unwrap();
    let waiting = pending(&bench, "x").unwrap();
    for (battle, winner) in waiting.iter().zip([Winner::A, Winner::B, Winner::Tie, Winner::BothBad]) {
        vote(&bench, "x", battle.id, winner).unwrap();
    }
    let file = home.path().join("battles.jsonl");
    let export_to = |arena: &str| {
        let mut bytes = Vec::new();
        let done = export(&bench, arena, &mut bytes, Path::new("memory")).unwrap();
        (done, bytes)
    };
    let (done, bytes) = export_to("x");
    assert_eq!((done.exported, done.pending), (4, 1));
    std::fs::write(&file, &bytes).unwrap();
    let into = |arena: &str| import(&bench, arena, &[&file], true).unwrap();
    let copied = into("y");
    assert_eq!((copied.imported, copied.duplicates), (4, 0));
    assert_eq!(String::from_utf8(export_to("y").1), String::from_utf8(bytes), "the copy exports to the same bytes");
    let again = into("y");
    assert_eq!((again.imported, again.duplicates), (0, 4));
    let home_again = into("x");
    assert_eq!((home_again.imported, home_again.duplicates), (0, 4));
}

#[test]
fn lines_without_a_time_are_recognised_too_and_equal_lines_are_many_battles() {
    let home = tempfile::tempdir().unwrap();
    let bench = bench(home.path());
    let file = home.path().join("battles.jsonl");
    let line = r#"{"question_id": 0, "model_a": "x", "model_b": "y", "winner": "model_a"}"#;
    std::fs::write(&file, format!("{line}\n{line}\nnonsense\n")).unwrap();
    let first = import(&bench, "z", &[&file], false).unwrap();
    assert_eq!((first.imported, first.duplicates), (2, 0));
    assert_eq!(first.rejects.iter().map(|r| r.line).collect::<Vec<_>>(), [3]);
    let second = import(&bench, "z", &[&file], false).unwrap();
    assert_eq!((second.imported, second.duplicates), (0, 2));
    let strict = import(&bench, "z", &[&file], true).unwrap_err();
    assert!(strict.kind == Kind::InvalidInput && strict.message.contains("line 3"), "{strict:?}");
    std::fs::write(&file, "nonsense\n").unwrap();
    assert_eq!(import(&bench, "z", &[&file], false).unwrap_err().kind, Kind::InvalidInput);
}
