//! Training an adapter: what is asked for, a new run and one that goes on. The way is rows → rendered rows (`train_rows`) → trainer
//! (`train_run`) → PEFT folder → database (`train_publish`).

pub use super::text_rows::Filling;
use super::text_rows::{names, pinned};
use super::train_publish::check_name;
use super::train_rows::{Fitting, prepare};
use super::train_run::run_to_end;
use super::{LoadedModel, Workbench};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink};
use crate::model::WeightForm;
use crate::store::{self, NewRun};
use crate::tr;
use crate::train::TrainConfig;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

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
    pub(super) fn verb(self) -> &'static str {
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
