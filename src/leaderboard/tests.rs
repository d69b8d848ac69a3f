use super::*;
use crate::store::{AdapterRecord, RunRecord, RunStatus};
use serde_json::json;

fn run(id: &str, kind: &str, model: &str, adapter: &str, hash: &str) -> RunRecord {
    RunRecord {
        id: id.into(),
        kind: kind.into(),
        status: RunStatus::Done,
        model: model.into(),
        model_hash: "m".into(),
        adapter: adapter.into(),
        adapter_hash: hash.into(),
        dataset: String::new(),
        dataset_version: String::new(),
        task: String::new(),
        template: String::new(),
        config: json!({}),
        result: json!(null),
        code_version: String::new(),
        started: String::new(),
        finished: None,
        error: json!(null),
        job: None,
    }
}

fn eval(id: &str, model: &str, adapter: &str, hash: &str, task: &str, shots: u64, acc: f64) -> RunRecord {
    RunRecord {
        task: task.into(),
        result: json!({"acc": acc, "acc_stderr": 0.01, "n": 100, "preset": "lm-eval", "shots": shots}),
        ..run(id, "eval", model, adapter, hash)
    }
}

fn rating(model: &str, points: f64) -> (String, RatingCell) {
    let cell =
        RatingCell {
            rating: points, ci95: [points - 30.0, points + 40.0], rank: 1, battles: 9, arena: "金融".into()
        };
    (model.into(), cell)
}

#[test]
fn the_newest_finished_run_of_each_kind_counts() {
    let mut failed = eval("r9", "m", "", "", "ceval", 5, 0.99);
    failed.status = RunStatus::Failed;
    let runs = [
        failed,
        eval("r5", "m", "a", "new", "ceval", 5, 0.5),
        eval("r4", "m", "a", "new", "ceval", 5, 0.4),
        eval("r3", "m", "a", "old", "ceval", 5, 0.3),
        eval("r2", "m", "", "", "ceval", 0, 0.2),
        eval("r1", "m", "", "", "ceval", 5, 0.1),
    ];
    let board = build(&runs, &[], &[]);
    assert_eq!(board.benchmarks.iter().map(Benchmark::title).collect::<Vec<_>>(), ["ceval 0-shot", "ceval 5-shot"]);
    let five = |name: &str| {
        let row = board.rows.iter().find(|r| r.name == name).unwrap();
        row.scores[1].as_ref().map(|s| (s.value, s.run.as_str()))
    };
    assert_eq!(five("m+a"), Some((0.5, "r5")));
    assert_eq!(five("m+a@old"), Some((0.3, "r3")), "older weights under the same name keep their own row");
    assert_eq!(five("m"), Some((0.1, "r1")));
    assert_eq!(board.rows[0].name, "m", "sorted by the first column");
}

#[test]
fn what_cannot_be_compared_has_its_own_column() {
    let plain = eval("r1", "m", "", "", "ceval", 5, 0.1);
    let limited = RunRecord { id: "r2".into(), config: json!({"limit": 10}), ..plain.clone() };
    let test = RunRecord { id: "r6".into(), config: json!({"split": "test"}), ..plain.clone() };
    let few = RunRecord { id: "r3".into(), config: json!({"subjects": ["law", "accountant"]}), ..plain.clone() };
    let other = RunRecord {
        id: "r4".into(),
        result: json!({"acc": 0.2, "preset": "ceval-official", "shots": 5}),
        ..plain.clone()
    };
    let null =
        RunRecord { id: "r5".into(), config: json!({"limit": null, "subjects": [], "split": null}), ..plain.clone() };
    let board = build(&[test, other, few, limited, null, plain], &[], &[]);
    let titles: Vec<_> = board.benchmarks.iter().map(Benchmark::title).collect();
    assert_eq!(
        titles,
        [
            "ceval 5-shot ceval-official",
            "ceval 5-shot",
            "ceval 5-shot law,accountant",
            "ceval 5-shot limit 10",
            "ceval 5-shot test"
        ]
    );
    assert_eq!(board.rows.len(), 1);
    assert_eq!(board.rows[0].scores[1].as_ref().unwrap().run, "r5");
}

#[test]
fn held_out_losses_stand_with_the_model_they_were_measured_on() {
    let train = RunRecord {
        dataset: "fin".into(),
        dataset_version: "v1".into(),
        result: json!({"best_val_loss": 1.5, "base_val_loss": 2.25}),
        ..run("t1", "train", "m", "a", "")
    };
    let scored = eval("r1", "m", "a", "hash", "ceval", 5, 0.5);
    let record = AdapterRecord {
        name: "a".into(),
        dir: String::new(),
        hash: "hash".into(),
        base: "m".into(),
        base_hash: "m".into(),
        template: String::new(),
        dataset: "fin".into(),
        dataset_version: "v1".into(),
        run_id: "t1".into(),
        created_at: String::new(),
    };
    let board = build(&[scored.clone(), train.clone()], std::slice::from_ref(&record), &[]);
    let loss = |name: &str| board.rows.iter().find(|r| r.name == name).unwrap().losses[0].as_ref().map(|l| l.value);
    assert_eq!((loss("m+a"), loss("m")), (Some(1.5), Some(2.25)));
    assert_eq!(board.rows.len(), 2, "the trained adapter is the one that was scored");
    assert_eq!(
        board,
        build(&[scored.clone(), train.clone()], &[], &[]),
        "without a record the newest state of that name"
    );
    let replaced = AdapterRecord { run_id: "t2".into(), ..record };
    let board = build(&[scored, train], &[replaced], &[]);
    assert!(board.rows.iter().all(|r| r.adapter.is_empty() || r.losses[0].is_none()), "its weights are gone");
}

fn sample() -> Leaderboard {
    let runs = [
        eval("eval-20260102-030405-beef", "smollm2-135m", "聚宝盆", "h", "ceval", 5, 0.314),
        eval("eval-20260102-030406-cafe", "smollm2-135m", "", "", "ceval", 5, 0.25),
        eval("eval-20260102-030407-f00d", "smollm2-135m", "聚宝盆", "h", "linly-finance", 0, 0.5),
        eval("eval-20260102-030408-feed", "evil|<b>\u{1b}[31m", "=cmd,\"x", "h", "mmlu", 5, 0.5),
    ];
    build(
        &runs,
        &[],
        &[
            ("金融".into(), vec![rating("smollm2-135m+聚宝盆", 1033.4), rating("only-in-arena", 966.6)]),
            ("empty".into(), vec![]),
        ],
    )
}

#[test]
fn a_table_keeps_its_width_and_says_where_numbers_come_from() {
    let board = sample();
    assert_eq!(board.arenas, ["金融"]);
    for columns in [40, 60, 80, 200] {
        let table = render(&board, Format::Table, columns).unwrap();
        assert!(table.lines().all(|l| crate::text::width(l) <= columns), "{columns}\n{table}");
        assert!(!table.contains('\u{1b}'));
        for row in &board.rows {
            assert!(columns < 80 || table.contains(&crate::text::one_line(&row.name)), "{table}");
        }
        for run in ["beef", "cafe", "f00d", "feed"] {
            assert_eq!(table.matches(run).count(), 1, "{table}");
        }
        assert!(table.contains("31.4 ±1.0 [1]") && table.contains("1033 ±40 #1"), "{table}");
    }
}

#[test]
fn hostile_names_do_no_harm_in_any_format() {
    let board = sample();
    let markdown = render(&board, Format::Markdown, 80).unwrap();
    let pipes = |line: &str| line.replace("\\|", "").matches('|').count();
    let table: Vec<&str> = markdown.lines().take_while(|l| !l.is_empty()).collect();
    assert_eq!(table.len(), 2 + board.rows.len());
    assert!(table.iter().all(|l| pipes(l) == pipes(table[0])), "{markdown}");
    let html = render(&board, Format::Html, 80).unwrap();
    assert!(!html.contains("<b>") && html.contains("&lt;b&gt;") && html.contains("聚宝盆"));
    let csv = render(&board, Format::Csv, 80).unwrap();
    assert!(csv.contains(",\"'=cmd,\"\"x\","), "{csv}");
    assert_eq!(csv.matches(",acc,").count() + csv.matches(",rating,").count(), 6);
    let json: serde_json::Value = serde_json::from_str(&render(&board, Format::Json, 80).unwrap()).unwrap();
    assert_eq!(json["rows"].as_array().unwrap().len(), board.rows.len());
    assert_eq!(json["rows"][0]["ratings"][0]["rating"], 1033.4);
}

#[test]
fn an_empty_board_says_how_to_fill_it() {
    let board = build(&[], &[], &[]);
    for format in [Format::Table, Format::Markdown, Format::Html] {
        assert!(render(&board, format, 80).unwrap().contains("linly-bench run"));
    }
    assert!(render(&board, Format::Json, 80).unwrap().contains("\"rows\":[]"));
    assert_eq!(render(&board, Format::Csv, 80).unwrap().lines().count(), 1);
}
