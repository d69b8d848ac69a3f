//! Made-up trainings and scores.

use super::{Fake, filled, step};
use linly_bench::error::{Error, Kind, Result};
use linly_bench::job::JobEvent;
use linly_bench::store::RunStatus;
use linly_bench::tui::*;

/// Lower losses for the run that is over, so that two curves differ.
pub fn events(run: &str, events: &[(i64, JobEvent)]) -> Vec<(i64, JobEvent)> {
    let lower = |event: &JobEvent| match event.clone() {
        JobEvent::Step(m) if run.ends_with("aaaa") => {
            JobEvent::Step(linly_bench::job::StepMetrics { loss: m.loss * 0.7, ..m })
        }
        JobEvent::Eval { step, val_loss, best } if run.ends_with("aaaa") => {
            JobEvent::Eval { step, val_loss: val_loss * 0.7, best }
        }
        other => other,
    };
    events.iter().map(|(n, e)| (*n, lower(e))).collect()
}

/// What the made-up source says of several scores.
pub fn scores(fake: &Fake, query: &ScoresQuery) -> Result<ScoresAnswer> {
    match query {
        ScoresQuery::Matrix => {
            let keep = |i: usize| fake.board.columns[i].1 == Measure::Accuracy;
            let columns: Vec<_> = (0..fake.board.columns.len()).filter(|&i| keep(i)).collect();
            Ok(ScoresAnswer::Matrix(LeaderboardView {
                columns: columns.iter().map(|&i| fake.board.columns[i].clone()).collect(),
                standings: fake
                    .board
                    .standings
                    .iter()
                    .map(|s| Standing {
                        model: s.model.clone(),
                        figures: columns.iter().map(|&i| s.figures[i].clone()).collect(),
                    })
                    .collect(),
            }))
        }
        ScoresQuery::Compare { .. } => Ok(ScoresAnswer::Compare(fake.comparison.clone())),
        ScoresQuery::Both { item, .. } => {
            let b = fake.outcomes.iter().find(|o| o.item == *item).cloned();
            let b = b.ok_or_else(|| Error::new(Kind::NotFound, "no such item"))?;
            let a = OutcomeView { pred: "D".into(), correct: !b.correct, ..b.clone() };
            Ok(ScoresAnswer::Both(Box::new((a, b))))
        }
    }
}

/// [`filled`] with samples, a comparison, a score that runs and more benchmarks than fit.
pub fn busy() -> Fake {
    let mut fake = filled();
    let after = fake.events.last().map_or(0, |e| e.0);
    let samples = [
        (40, "什么是市盈率？", "市盈率是。"),
        (40, "What is a bond?", "A bond bond bond."),
        (80, "什么是市盈率？", "市盈率是股价与每股收益之比，反映投资者愿意为每一元利润支付的价格。"),
        (80, "What is a bond?", "A bond is a loan that can be traded.\n\n\u{1b}[31mIt pays interest."),
    ];
    fake.events.extend(samples.into_iter().enumerate().map(|(i, (step, prompt, answer))| {
        (after + 1 + i as i64, JobEvent::Sample { step, prompt: prompt.into(), answer: answer.into() })
    }));
    let run = &mut fake.runs[1];
    run.dataset_version = "5c1d0e".into();
    run.model_hash = "sha256-9f2b".into();
    run.config = serde_json::json!({"rank": 8, "lr": 2e-4, "target": ["q_proj", "v_proj"], "schedule": {"warmup": 10}});
    let mut live = super::run_record("eval-20261124-115000-live", "eval", RunStatus::Running);
    live.task = "finance".into();
    fake.runs.push(live);
    let flip = |subject: &str, item: &str, gained| FlipView {
        subject: subject.into(),
        item: item.into(),
        gained,
        pred_a: if gained { "D" } else { "B" }.into(),
        pred_b: if gained { "B" } else { "A" }.into(),
        gold: "B".into(),
    };
    fake.comparison = ComparisonView {
        n: 420,
        acc_a: 0.3124,
        acc_b: 0.4567,
        difference: 0.1443,
        interval: [0.0921, 0.1988],
        p: 0.0000213,
        gained: 2,
        lost: 1,
        prompts_differ: 3,
        left_out: [4, 0],
        needed: Some(211),
        flips: vec![flip("accounting", "0", true), flip("银行从业资格", "2", true), flip("securities", "1", false)],
    };
    for i in 0..12 {
        fake.board.columns.push((format!("cmmlu_subject_{i} 5-shot"), Measure::Accuracy));
        for (k, standing) in fake.board.standings.iter_mut().enumerate() {
            standing.figures.push(Some(Figure {
                value: 0.25 + 0.01 * f64::from(i) + 0.05 * k as f64,
                stderr: Some(0.03),
                n: Some(100),
                origin: format!("eval-{i}"),
                ..Figure::default()
            }));
        }
    }
    fake
}

/// The next step of the training that runs.
pub fn next_step(fake: &mut Fake, at: u64) {
    let number = fake.events.last().map_or(0, |e| e.0) + 1;
    fake.events.push((number, step(at, 300)));
}
