//! Processes that train together: how they meet, and what those do that are not the first.

use super::train::TrainRequest;
use super::train_rows::{Prepared, prepare};
use super::{LoadedModel, Workbench};
use crate::error::{Error, Result};
use crate::job::{CancelToken, Silent};
use crate::store;
use crate::train::{Peers, Trainer};
use std::sync::Arc;

/// Takes part, as one of several processes but not the first, in the training that the first stores and shows: a new one, or
/// with `resumed` the run of that name.
///
/// # Errors
/// As [`train`](super::train::train); the first process's end.
pub fn assist(
    bench: &Workbench,
    request: TrainRequest,
    load: impl FnOnce(&TrainRequest) -> Result<LoadedModel>,
    cancel: &CancelToken,
) -> Result<()> {
    request.config.check()?;
    let model = load(&request)?;
    let prepared = prepare(bench, &request, &model)?;
    let peers = meet(&request, &model, &prepared, cancel)?;
    let trainer = Trainer {
        decoder: &model.decoder,
        data: &prepared.data,
        config: &request.config,
        checkpoints: None,
        sampler: None,
        sink: &Silent,
        cancel,
        card: model.card.clone(),
        peers: peers.as_deref(),
    };
    trainer.run(None).map(|_| ())
}

/// Meets the processes that train together, if there are any: all must have the same rows, weights and settings.
pub(super) fn meet(
    request: &TrainRequest,
    model: &LoadedModel,
    prepared: &Prepared,
    cancel: &CancelToken,
) -> Result<Option<Arc<dyn Peers>>> {
    let Some(seat) = &model.seat else { return Ok(None) };
    let settings = serde_json::to_string(&request.config).map_err(|e| Error::internal(e.to_string()))?;
    let place = model.card.as_ref().map_or("cpu", |card| if card.exact { "card f32" } else { "card bf16" });
    let data = &prepared.dataset_version;
    let what = [&settings, &model.hash, data, &request.template, place, &store::code_version()];
    seat.meet(&what.join("\n"), cancel).map(Some)
}
