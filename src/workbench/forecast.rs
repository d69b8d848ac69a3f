//! What a training would take, before it is started: memory by the estimate that the trainer goes by (`train --plan`), time by
//! the speed that trainings of the same model had here.

use super::memory_plan::{PlanRequest, Way, configuration_here, plan_for};
use super::train::{HeldOut, Objective, TrainRequest};
use super::{Workbench, models};
use crate::data::Split;
use crate::error::Result;
use crate::job::JobEvent;
use crate::prompt::{Renderer, Template, Tokenize};
use crate::store::{DatasetRecord, RowQuery, RunRecord};
use std::collections::HashMap;

/// Rows of which the length is measured, evenly spread over the dataset.
const SAMPLE: u64 = 48;
/// Events of a training that are looked at, its last ones.
const RECENT: u64 = 300;

/// What a training would take.
#[derive(Clone, Debug, Default)]
pub struct Forecast {
    /// `cpu`, or the card that would train.
    pub place: String,
    /// Bytes that are free there, if known.
    pub free: Option<u64>,
    /// How the base would be held there, and what that takes; none where the card cannot train this model.
    pub way: Option<Way>,
    /// Optimiser steps; none while no dataset is named.
    pub steps: Option<u64>,
    /// Seconds of all steps; none where no training of this model was measured.
    pub seconds: Option<f64>,
    /// What that rests on.
    pub speed: Option<Speed>,
}

/// How fast a training was.
#[derive(Clone, Debug, PartialEq)]
pub struct Speed {
    /// The run.
    pub run: String,
    /// Tokens per second: the median of its last steps.
    pub tokens_per_second: f64,
}

/// Mean lengths of rows that were measured before, by what they depend on.
pub type Lengths = HashMap<[String; 4], f64>;

/// The forecast for `request`. Its dataset may be empty: then it says nothing of time. `on_card` tells whether a GPU of this
/// machine may be used; `lengths` is kept from one forecast to the next, so that a dataset is measured once.
///
/// # Errors
/// `Usage` for settings that cannot train; those of finding model and dataset and of rendering rows.
pub fn forecast(bench: &Workbench, request: &TrainRequest, on_card: bool, lengths: &mut Lengths) -> Result<Forecast> {
    let TrainRequest { model, config, form, .. } = request;
    let plan = PlanRequest { model: model.clone(), config: config.clone(), arithmetic: form.arithmetic };
    let report = plan_for(&configuration_here(bench, model)?, &plan, &[form.storage])?;
    // The first place is the processor, then come the cards that are here, then sizes that are for sale.
    let card = report.places.iter().find(|place| on_card && place.name.starts_with("cuda:"));
    let place = card.filter(|card| card.unsupported.is_none()).or(report.places.first()).cloned();
    let mut forecast = place.map_or_else(Forecast::default, |place| Forecast {
        place: place.name,
        free: place.free,
        way: place.ways.into_iter().next(),
        ..Forecast::default()
    });
    if request.dataset.is_empty() || request.objective != Objective::Answers {
        return Ok(forecast);
    }
    let record = bench.store.dataset(&request.dataset)?;
    let mut rows = record.train;
    if let HeldOut::Share(share) = request.held_out {
        rows -= (rows as f64 * share.clamp(0.0, 1.0)).round() as u64;
    }
    let length = mean_length(bench, request, &record, lengths)?;
    let shape = config.shape;
    let sequences = if shape.packing { (rows as f64 * length / shape.max_len as f64).ceil() } else { rows as f64 };
    let steps = config.total_steps((sequences / shape.batch_size as f64).ceil() as usize);
    let per_sequence = if shape.packing { length.max(shape.max_len as f64) } else { length };
    let tokens = steps as f64 * (shape.batch_size * config.accum) as f64 * per_sequence;
    forecast.steps = Some(steps);
    forecast.speed = measured(bench, request)?;
    forecast.seconds = forecast.speed.as_ref().map(|speed| tokens / speed.tokens_per_second);
    Ok(forecast)
}

/// Mean tokens of the rows that are trained on.
fn mean_length(
    bench: &Workbench,
    request: &TrainRequest,
    record: &DatasetRecord,
    lengths: &mut Lengths,
) -> Result<f64> {
    let longest = request.config.shape.max_len;
    let key =
        [request.model.clone(), record.version.clone(), request.template.clone(), format!("{longest} {}", record.name)];
    if let Some(known) = lengths.get(&key) {
        return Ok(*known);
    }
    let tokenizer = models::tokenizer(bench, &request.model)?;
    let template: Template = request.template.parse()?;
    let renderer = Renderer::new(template, &tokenizer as &dyn Tokenize)?.loss_on(request.config.loss_on);
    let name = record.exact_name();
    let (mut sum, mut count) = (0, 0);
    for k in 0..SAMPLE.min(record.rows) {
        let from = k * record.rows / SAMPLE.min(record.rows);
        let query = RowQuery { split: Some(Split::Train), from, limit: Some(1), ..RowQuery::default() };
        for row in bench.store.rows(&name, &query)? {
            // A row that a training refuses is told by the training.
            if let Ok(rendered) = renderer.example(&row.example) {
                sum += rendered.ids.len().min(longest);
                count += 1;
            }
        }
    }
    let mean = sum as f64 / f64::from(count.max(1));
    lengths.insert(key, mean);
    Ok(mean)
}

/// The speed of the newest training of the same model in the same form: one with the same settings of LoRA and the same
/// lengths before one with others.
fn measured(bench: &Workbench, request: &TrainRequest) -> Result<Option<Speed>> {
    let asked = |run: &RunRecord| serde_json::from_value::<TrainRequest>(run.config.clone()).ok();
    let runs = bench.store.runs(Some("train"))?;
    let alike = runs.iter().filter(|run| run.model == request.model).filter_map(|run| Some((run, asked(run)?)));
    let mut alike: Vec<(bool, &RunRecord)> = alike
        .filter(|(_, other)| other.form == request.form && other.exact == request.exact)
        .map(|(run, other)| {
            let (a, b) = (&other.config, &request.config);
            let same = a.lora == b.lora && a.shape == b.shape && a.checkpointing == b.checkpointing;
            (!same, run)
        })
        .collect();
    // The sort keeps the order of time among equals.
    alike.sort_by_key(|(other, _)| *other);
    for (_, run) in alike {
        let mut speeds: Vec<f64> = bench
            .store
            .recent_events(&run.id, RECENT)?
            .into_iter()
            .filter_map(|event| match event {
                JobEvent::Step(step) if step.tokens_per_second > 0.0 => Some(step.tokens_per_second),
                _ => None,
            })
            .collect();
        speeds.sort_by(f64::total_cmp);
        if let Some(median) = speeds.get(speeds.len() / 2) {
            return Ok(Some(Speed { run: run.id.clone(), tokens_per_second: *median }));
        }
    }
    Ok(None)
}
