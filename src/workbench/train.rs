//! Training an adapter: rows → rendered rows → trainer → PEFT folder → database.

use super::assist::meet;
use super::samples::Samples;
pub use super::text_rows::Filling;
use super::text_rows::{names, pinned};
use super::train_rows::{Fitting, Prepared, prepare};
use super::{LoadedModel, Workbench};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink, Fanout, JobEvent};
use crate::machine::peak_rss_mb;
use crate::model::adapter::{self, AdapterOrigin};
use crate::model::{Lora, WeightForm};
use crate::prompt::Template;
use crate::store::{self, AdapterRecord, NewRun, StoreSink};
use crate::tr;
use crate::train::{CheckpointFolder, Ending, Stored, TrainConfig, TrainOutcome, Trainer};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The file in a run's folder that lists the rows which were left out.
const DROPPED: &str = "dropped.jsonl";

/// Where the held-out rows come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldOut {
    /// The rows that the dataset itself marks `val`.
    Own,
    /// The last part of the shuffled train rows, as a share of them.
    Share(f64),
    /// All rows of another dataset.
    Dataset(String),
}

/// What is learnt of a dataset's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// The answers to instructions (`train`).
    #[default]
    Answers,
    /// Every token of plain texts (`pretrain`).
    Text,
}

impl Objective {
    /// Whether it is that of `train`, which runs did not record before there was another.
    fn is_answers(&self) -> bool {
        *self == Objective::Answers
    }

    /// The verb on the command line.
    fn verb(self) -> &'static str {
        match self {
            Objective::Answers => "train",
            Objective::Text => "pretrain",
        }
    }
}

/// What `train` or `pretrain` was asked for; kept with the run, so that `--resume` needs nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainRequest {
    /// Catalogue name, folder or file.
    pub model: String,
    /// What is learnt.
    #[serde(default, skip_serializing_if = "Objective::is_answers")]
    pub objective: Objective,
    /// Dataset name; of texts also several, with commas between them.
    pub dataset: String,
    /// Name of the adapter to be.
    pub adapter: String,
    /// Template name; empty for texts, which have none.
    pub template: String,
    /// Held-out rows.
    pub held_out: HeldOut,
    /// At most this many held-out rows (the first ones); 0 is all.
    pub held_out_limit: usize,
    /// Arithmetic and storage of the frozen weights; runs of earlier versions had f32.
    #[serde(default)]
    pub form: WeightForm,
    /// f32 throughout, on a GPU too (`--dtype f32`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
    /// Everything else.
    pub config: TrainConfig,
}

impl TrainRequest {
    /// Names of the datasets that are learnt: one, or for texts all of the list.
    pub fn datasets(&self) -> Vec<&str> {
        match self.objective {
            Objective::Answers => vec![&self.dataset],
            Objective::Text => names(&self.dataset).collect(),
        }
    }
}

/// How a training ended; the keys are those of the `finished` event.
#[derive(Clone, Debug, Serialize)]
pub struct TrainReport {
    /// Run id.
    pub run: String,
    /// The PEFT folder.
    pub adapter_dir: PathBuf,
    /// Adapter name.
    pub adapter: String,
    /// Optimiser steps.
    pub steps: u64,
    /// Loss of the last step.
    pub final_loss: f64,
    /// Lowest validation loss: that of the adapter that was written.
    pub best_val_loss: Option<f64>,
    /// Step of the lowest validation loss.
    pub best_step: Option<u64>,
    /// Validation loss at the end.
    pub last_val_loss: Option<f64>,
    /// The base model's validation loss on the same rows.
    pub base_val_loss: Option<f64>,
    /// Rows trained on.
    pub train_rows: usize,
    /// Rows held out.
    pub val_rows: usize,
    /// Rows left out because they are longer than `max_len`.
    pub dropped_rows: usize,
    /// The file that lists them.
    pub dropped_file: Option<PathBuf>,
    /// What became of other over-long rows.
    #[serde(flatten)]
    pub fitting: Fitting,
    /// Of plain texts: how they lie in sequences.
    #[serde(flatten)]
    pub filling: Option<Filling>,
    /// Trainable values.
    pub trainable_parameters: usize,
    /// Most memory held.
    pub peak_rss_mb: f64,
}

/// Trains with `request`.
///
/// # Errors
/// `NotFound`/`InvalidInput` for names and settings; `Interrupted` when `cancel` was set: a checkpoint
/// was written and the hint says how to go on.
pub fn train(
    bench: &Workbench,
    request: &TrainRequest,
    model: &LoadedModel,
    listener: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<TrainReport> {
    request.config.check()?;
    check_name(&request.adapter)?;
    let prepared = prepare(bench, request, model)?;
    let (run, lease) = bench.store.start_run(&NewRun {
        kind: "train",
        model: request.model.clone(),
        model_hash: model.hash.clone(),
        adapter: request.adapter.clone(),
        dataset: prepared.dataset.clone(),
        dataset_version: prepared.dataset_version.clone(),
        template: request.template.clone(),
        config: serde_json::to_value(request).map_err(|e| Error::internal(e.to_string()))?,
        ..NewRun::default()
    })?;
    let result = run_to_end(bench, request, model, &prepared, &run, false, listener, cancel);
    drop(lease);
    result
}

/// Goes on with an interrupted, cancelled or failed run from its last checkpoint.
///
/// # Errors
/// As [`train`]; `InvalidInput` when the run is finished or its data or model has changed since.
pub fn resume(
    bench: &Workbench,
    run: &str,
    load: impl FnOnce(&TrainRequest) -> Result<LoadedModel>,
    listener: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<TrainReport> {
    let (record, request) = unfinished(bench, run)?;
    let run = record.id;
    let model = load(&request)?;
    let prepared = prepare(bench, &request, &model)?;
    if model.hash != record.model_hash || prepared.dataset_version != record.dataset_version {
        return Err(Error::new(
            Kind::Mismatch,
            tr!(
                "the model or the dataset has changed since run {run} began",
                "自运行 {run} 开始以来，模型或数据集已改变"
            ),
        )
        .hint(tr!("start a new training", "请开始新的训练")));
    }
    let lease = bench.store.restart_run(&run)?;
    let result = run_to_end(bench, &request, &model, &prepared, &run, true, listener, cancel);
    drop(lease);
    result
}

/// What a run that did not finish was asked for.
fn unfinished(bench: &Workbench, run: &str) -> Result<(store::RunRecord, TrainRequest)> {
    let record = bench.store.run(run)?;
    let run = &record.id;
    if record.kind != "train" || record.status == store::RunStatus::Done {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("run {run} is no unfinished training", "运行 {run} 不是未完成的训练"),
        )
        .hint(tr!("`linly-bench runs list` shows how runs stand", "用 `linly-bench runs list` 查看各运行的状态")));
    }
    let mut request: TrainRequest =
        serde_json::from_value(record.config.clone()).map_err(|e| Error::new(Kind::Corrupt, format!("{run}: {e}")))?;
    // The rows that the run began with, whatever became of the dataset since.
    request.dataset = match request.objective {
        Objective::Answers => format!("{}@{}", record.dataset, record.dataset_version),
        Objective::Text => pinned(&record.dataset, &record.dataset_version),
    };
    Ok((record, request))
}

/// The request of an unfinished run, for [`assist`](super::assist::assist).
///
/// # Errors
/// `InvalidInput` when the run is finished or none of training.
pub fn request_of(bench: &Workbench, run: &str) -> Result<TrainRequest> {
    unfinished(bench, run).map(|(_, request)| request)
}

#[allow(clippy::too_many_arguments)]
fn run_to_end(
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
    let peers = meet(request, model, prepared)?;
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

fn origin(request: &TrainRequest, model: &LoadedModel, prepared: &Prepared, run: &str) -> Result<AdapterOrigin> {
    Ok(AdapterOrigin {
        template: request.template.clone(),
        template_hash: prepared.template_hash.clone(),
        base_hash: model.hash.clone(),
        tokenizer_hash: model.tokenizer.hash().to_owned(),
        dataset: prepared.dataset.clone(),
        dataset_version: prepared.dataset_version.clone(),
        run: run.to_owned(),
        code_version: store::code_version(),
        training: serde_json::to_value(&request.config).map_err(|e| Error::internal(e.to_string()))?,
    })
}

#[allow(clippy::too_many_arguments)]
fn publish(
    bench: &Workbench,
    request: &TrainRequest,
    model: &LoadedModel,
    prepared: &Prepared,
    run: &str,
    lora: &Lora,
    dir: &Path,
    sink: &dyn EventSink,
) -> Result<()> {
    keep_earlier(bench, &request.adapter, dir, run, sink)?;
    adapter::save(dir, lora, &request.model, &origin(request, model, prepared, run)?)?;
    let hash = adapter::hash(dir)?;
    bench.store.set_adapter_hash(run, &hash)?;
    bench.store.put_adapter(&AdapterRecord {
        name: request.adapter.clone(),
        dir: dir.to_string_lossy().into_owned(),
        hash,
        base: request.model.clone(),
        base_hash: model.hash.clone(),
        template: request.template.clone(),
        dataset: prepared.dataset.clone(),
        dataset_version: prepared.dataset_version.clone(),
        run_id: run.to_owned(),
        created_at: store::now(),
    })
}

/// Gives an adapter that has the name already another one, `NAME-<beginning of its hash>`: scores in the database may
/// rest on its weights.
fn keep_earlier(bench: &Workbench, name: &str, dir: &Path, run: &str, sink: &dyn EventSink) -> Result<()> {
    let Some(mut earlier) = bench.store.adapters()?.into_iter().find(|a| a.name == name && a.run_id != run) else {
        return Ok(());
    };
    let Ok(hash) = adapter::hash(dir) else { return Ok(()) };
    let kept = format!("{name}-{}", hash.get(..8).unwrap_or_default());
    let place = dir.with_file_name(&kept);
    if !place.exists() {
        std::fs::rename(dir, &place).map_err(|e| Error::io(&place, &e))?;
    }
    earlier.name.clone_from(&kept);
    earlier.dir = place.to_string_lossy().into_owned();
    bench.store.put_adapter(&earlier)?;
    sink.emit(&JobEvent::Log {
        message: tr!("the earlier adapter {name} is kept as {kept}", "原来的适配器 {name} 保留为 {kept}"),
    });
    Ok(())
}

/// A name that is a folder name everywhere.
fn check_name(name: &str) -> Result<()> {
    let fine = !name.is_empty()
        && name.len() <= 100
        && !name.starts_with(['.', '-'])
        && name.chars().all(|c| c.is_alphanumeric() || "._-".contains(c));
    if fine {
        return Ok(());
    }
    let name = name.escape_default();
    Err(Error::new(Kind::InvalidInput, tr!("`{name}` cannot be an adapter's name", "`{name}` 不能作为适配器名"))
        .hint(tr!("use letters, digits, '.', '_' and '-'", "请使用字母、数字、“.”“_”“-”")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_folder_are_refused() {
        assert!(check_name("jubaopen-v1.2").is_ok());
        assert!(check_name("聚宝盆").is_ok());
        for bad in ["", "..", "a/b", "-x", "a b", "a\\b", "a\nb"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
