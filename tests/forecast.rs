//! What is told of a training before it starts, beside what it then takes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod place;
mod tiny;

use linly_bench::job::JobEvent;
use linly_bench::workbench::Workbench;
use linly_bench::workbench::forecast::{Lengths, forecast};
use linly_bench::workbench::train::TrainRequest;
use place::Place;

/// The newest training: its request, its run, the tokens that its steps took and their median speed.
fn newest(bench: &Workbench) -> (TrainRequest, String, u64, f64, f64) {
    let run = bench.store.runs(Some("train")).unwrap().remove(0);
    let steps = bench.store.events(&run.id, 0).unwrap().into_iter().filter_map(|(_, event)| match event {
        JobEvent::Step(step) => Some(step),
        _ => None,
    });
    let (mut tokens, mut speeds) = (0.0, Vec::new());
    for step in steps {
        tokens += step.tokens as f64;
        speeds.push(step.tokens_per_second);
    }
    speeds.sort_by(f64::total_cmp);
    let steps = run.result["steps"].as_u64().unwrap();
    (serde_json::from_value(run.config).unwrap(), run.id, steps, tokens, speeds[speeds.len() / 2])
}

#[test]
fn steps_tokens_and_memory_are_those_of_the_training() {
    let place = Place::with_rows(1);
    let bench = place.bench();
    let model = place.dir().join("llama").display().to_string();
    let mut lengths = Lengths::new();
    for (i, flags) in [
        "--epochs 2.5 --batch-size 3 --accum 2",
        "--val 0.25 --batch-size 7 --rank 4",
        "--steps 5 --target all",
        "--epochs 4 --packing on --max-len 96 --batch-size 1",
    ]
    .into_iter()
    .enumerate()
    {
        place.succeeds(&format!("train --model {model} --data sums --adapter a{i} --dtype f32 {flags}"));
        let (request, run, steps, tokens, median) = newest(&bench);
        let told = forecast(&bench, &request, false, &mut lengths).unwrap();
        if flags.contains("packing") {
            // How well rows fill sequences is only known when they are laid out.
            let share = told.steps.unwrap() as f64 / steps as f64;
            assert!((0.75..1.1).contains(&share), "{flags}: {:?} beside {steps}", told.steps);
        } else {
            assert_eq!(told.steps, Some(steps), "{flags}");
        }
        let speed = told.speed.unwrap();
        assert_eq!((speed.run, speed.tokens_per_second), (run, median), "{flags}");
        let share = told.seconds.unwrap() * median / tokens;
        assert!((0.75..1.3).contains(&share), "{flags}: {share} of the tokens that it took");
        // The same figure as the table of `train --plan`.
        let plan = place.json(&format!("train --plan --model {model} --dtype f32 {flags}"));
        assert_eq!(plan["places"][0]["ways"][0]["bytes"], told.way.unwrap().bytes, "{flags}");
    }
}

#[test]
fn what_was_never_measured_is_not_guessed() {
    let place = Place::with_rows(1);
    let folder = |name: &str| tiny::with_tokenizer(place.dir(), name).display().to_string();
    let (llama, qwen2) = (folder("llama"), folder("qwen2"));
    let bench = place.bench();
    place.succeeds(&format!("train --model {llama} --data sums --adapter a --dtype f32 --steps 3"));
    let (request, ..) = newest(&bench);
    let told = |request: &TrainRequest| forecast(&bench, request, false, &mut Lengths::new());
    assert!(told(&request).unwrap().seconds.is_some());
    // Another model; the same one held otherwise.
    let other = TrainRequest { model: qwen2, ..request.clone() };
    let mut held = request.clone();
    held.form.storage = linly_bench::model::BaseStorage::Int8;
    for never in [&other, &held] {
        let told = told(never).unwrap();
        assert_eq!((told.steps, told.seconds, told.speed), (Some(3), None, None));
        assert!(told.way.unwrap().bytes > 0);
    }
    // Without a dataset there is memory, and no word of time.
    let none = told(&TrainRequest { dataset: String::new(), ..request.clone() }).unwrap();
    assert!(none.way.is_some() && none.steps.is_none());
    assert!(told(&TrainRequest { dataset: "nothing".into(), ..request.clone() }).is_err());
    assert!(told(&TrainRequest { model: "nothing".into(), ..request.clone() }).is_err());
    let mut wrong = request;
    wrong.config.accum = 0;
    assert!(told(&wrong).is_err(), "what cannot train has no forecast");
}
