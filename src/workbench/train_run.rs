//! A training under way: from the checkpoint that it goes on from to the report, with all that is recorded of it.

use super::assist::meet;
use super::samples::Samples;
use super::train::{Objective, TrainReport, TrainRequest};
use super::train_publish::{origin, publish};
use super::train_rows::Prepared;
use super::{LoadedModel, Workbench};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink, Fanout, JobEvent};
use crate::machine::peak_rss_mb;
use crate::model::Lora;
use crate::model::adapter;
use crate::prompt::Template;
use crate::store::StoreSink;
use crate::tr;
use crate::train::{CheckpointFolder, Ending, Stored, TrainOutcome, Trainer};

/// The file in a run's folder that lists the rows which were left out.
const DROPPED: &str = "dropped.jsonl";

/// Trains to the end and records how it ended, in the database's run and beside it.
///
/// # Errors
/// As [`train`](super::train::train).
#[allow(clippy::too_many_arguments)]
pub(super) fn run_to_end(
    bench: &Workbench,
    request: &TrainRequest,
    model: &LoadedModel,
    prepared: &Prepared,
    run: &str,
    resuming: bool,
    listener: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<TrainReport> {
    let recorder = StoreSink::new(&bench.store, run);
    let sink = Fanout(vec![&recorder, listener]);
    let outcome = attempt(bench, request, model, prepared, run, resuming, &sink, cancel)
        .and_then(|report| recorder.failure().map_or(Ok(report), Err));
    let json = match &outcome {
        Ok(report) => Ok(serde_json::to_value(report).map_err(|e| Error::internal(e.to_string()))?),
        Err(e) => Err(e),
    };
    bench.store.finish_run(run, json.as_ref().map_err(|e| *e))?;
    if outcome.is_ok() {
        // The adapter is safe and the run is done: the checkpoints have served their turn.
        CheckpointFolder::new(bench.settings.run_dir(run), request.config.keep).clear();
    }
    outcome
}

#[allow(clippy::too_many_arguments)]
fn attempt(
    bench: &Workbench,
    request: &TrainRequest,
    model: &LoadedModel,
    prepared: &Prepared,
    run: &str,
    resuming: bool,
    sink: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<TrainReport> {
    let checkpoints = CheckpointFolder::new(bench.settings.run_dir(run), request.config.keep);
    let mut stored = None;
    if resuming {
        stored = go_on(bench, run, &checkpoints, sink)?;
    } else {
        let data = &prepared.data;
        let lengths: Vec<usize> = data.train.iter().map(|r| r.ids.len()).collect();
        let micro = crate::batch::epoch_plan(&lengths, request.config.shape, request.config.seed, 0).len();
        let total = request.config.total_steps(micro);
        sink.emit(&JobEvent::Started { run: run.to_owned(), kind: "train".to_owned(), total });
    }
    let dropped_file = bench.settings.run_dir(run).join(DROPPED);
    prepared.write_dropped(&dropped_file)?;
    for message in prepared.notes(request.config.shape.max_len, &dropped_file) {
        sink.emit(&JobEvent::Log { message });
    }
    let template = match request.objective {
        Objective::Answers => request.template.parse()?,
        // It decides only what ends an answer.
        Objective::Text => Template::Chat,
    };
    let samples = Samples::new(model, &prepared.data, template)?;
    let sample = |lora: &Lora, step: u64| samples.show(lora, step, sink, cancel);
    if let Some(seat) = &model.seat {
        let (others, address) = (seat.count - 1, seat.address());
        let message = tr!("waiting for {others} other processes at {address}", "在 {address} 等待另外 {others} 个进程");
        sink.emit(&JobEvent::Log { message });
    }
    let peers = meet(request, model, prepared, cancel)?;
    let trainer = Trainer {
        decoder: &model.decoder,
        data: &prepared.data,
        config: &request.config,
        checkpoints: Some(checkpoints),
        sampler: Some(&sample),
        sink,
        cancel,
        card: model.card.clone(),
        peers: peers.as_deref(),
    };
    let outcome = trainer.run(stored)?;
    let (step, total) = (outcome.progress.step, outcome.total_steps);
    match outcome.ending {
        Ending::Finished => {}
        Ending::Cancelled => {
            let verb = request.objective.verb();
            return Err(Error::new(
                Kind::Interrupted,
                tr!(
                    "stopped after step {step} of {total}; a checkpoint was saved",
                    "在第 {step}/{total} 步停止；检查点已保存"
                ),
            )
            .hint(tr!(
                "go on with: linly-bench {verb} --resume {run}",
                "继续训练：linly-bench {verb} --resume {run}"
            )));
        }
        Ending::Diverged(at) => return Err(diverged(bench, request, model, prepared, run, &outcome, at)?),
    }
    let adapter_dir = bench.settings.adapters().join(&request.adapter);
    publish(bench, request, model, prepared, run, &outcome.lora, &adapter_dir, sink)?;
    let best = outcome.progress.best;
    Ok(TrainReport {
        run: run.to_owned(),
        adapter_dir,
        adapter: request.adapter.clone(),
        steps: outcome.progress.step,
        final_loss: outcome.progress.last_loss,
        best_val_loss: best.map(|(loss, _)| loss),
        best_step: best.map(|(_, step)| step),
        last_val_loss: outcome.progress.last_val_loss,
        base_val_loss: outcome.progress.base_val_loss,
        train_rows: prepared.train_rows,
        val_rows: prepared.val_rows,
        dropped_rows: prepared.dropped.len(),
        dropped_file: (!prepared.dropped.is_empty()).then_some(dropped_file),
        fitting: prepared.fitting,
        filling: prepared.filling,
        trainable_parameters: outcome.lora.parameter_count(),
        peak_rss_mb: peak_rss_mb(),
    })
}

/// The checkpoint from which an interrupted run goes on. Events after it are forgotten: they come again.
fn go_on(bench: &Workbench, run: &str, checkpoints: &CheckpointFolder, sink: &dyn EventSink) -> Result<Option<Stored>> {
    let found = checkpoints.newest()?;
    let step = found.as_ref().map_or(0, |found| found.stored.progress.step);
    bench.store.truncate_events(run, step)?;
    let passed_over = found.iter().flat_map(|found| &found.passed_over);
    for error in passed_over {
        let reason = &error.message;
        sink.emit(&JobEvent::Log {
            message: tr!("{reason}; the one before it is used", "{reason}；改用更早的检查点")
        });
    }
    sink.emit(&JobEvent::Log {
        message: if found.is_some() {
            tr!("goes on after step {step}", "从第 {step} 步之后继续")
        } else {
            tr!("no checkpoint was written yet: begins again", "尚未写过检查点：从头开始")
        },
    });
    Ok(found.map(|found| found.stored))
}

/// Keeps the adapter as it was before step `at`, at which the loss was no longer a number; gives the error to end with.
fn diverged(
    bench: &Workbench,
    request: &TrainRequest,
    model: &LoadedModel,
    prepared: &Prepared,
    run: &str,
    outcome: &TrainOutcome,
    at: u64,
) -> Result<Error> {
    let lost = tr!("the loss or its gradient is no longer a number at step {at}", "第 {at} 步的损失或梯度不再是数值");
    let message = if outcome.progress.step == 0 {
        lost
    } else {
        let dir = bench.settings.run_dir(run).join("last-good");
        adapter::save(&dir, &outcome.lora, &request.model, &origin(request, model, prepared, run)?)?;
        let dir = dir.display();
        tr!(
            "{lost}; the adapter from before it is kept in {dir}, which --adapter takes",
            "{lost}；此前的适配器保存在 {dir}，可用于 --adapter"
        )
    };
    Ok(Error::new(Kind::InvalidInput, message).hint(tr!(
        "train anew with a lower --lr or a longer --warmup; --resume would meet the same step again",
        "请调低 --lr 或加长 --warmup 后重新训练；--resume 会再次遇到这一步"
    )))
}
