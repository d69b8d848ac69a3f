//! `train --plan`: what a training would take of this machine's memory and of GPUs' of the usual sizes, by the estimate that the
//! trainer itself goes by. No weight is read.

use super::{Workbench, models};
use crate::error::Result;
use crate::machine::free_memory;
use crate::model::{
    BaseStorage, CardDemand, MemoryEstimate, MemoryPlan, ModelConfig, TrainingSizes, WeightForm, check_card, open,
    plan_for_card, plan_for_machine,
};
use crate::ops::Arithmetic;
use crate::ops::cuda;
use crate::train::TrainConfig;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What is planned.
#[derive(Clone, Debug)]
pub struct PlanRequest {
    /// A model that is here, or a Hugging Face `config.json`.
    pub model: String,
    /// Settings of the training.
    pub config: TrainConfig,
    /// Arithmetic on the processor.
    pub arithmetic: Arithmetic,
}

/// One way to hold the base in one place.
#[derive(Clone, Debug, Serialize)]
pub struct Way {
    /// `full`, `int8` or `int4`.
    pub quantize: &'static str,
    /// `f32` or `bf16`.
    pub dtype: &'static str,
    /// Whether some plan fits.
    pub fits: bool,
    /// Whether blocks run again on the way back, in that plan or in the smallest.
    pub checkpointing: bool,
    /// Tokens that are worked through at a time at most.
    pub tokens_at_once: usize,
    /// Bytes in all…
    pub bytes: usize,
    /// …of them frozen weights…
    pub weights: usize,
    /// …factors, gradients and moments…
    pub adapter: usize,
    /// …what the forward keeps for the backward…
    pub kept: usize,
    /// …and buffers, logits, and the program itself.
    pub rest: usize,
}

/// A place to train.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// `cpu`, `cuda:0`, or the size of a card.
    pub name: String,
    /// Bytes that are free there.
    pub free: Option<u64>,
    /// Why none of it can train there.
    pub unsupported: Option<String>,
    /// Ways to hold the base.
    pub ways: Vec<Way>,
}

/// The table.
#[derive(Clone, Debug, Serialize)]
pub struct PlanReport {
    /// As the user named it.
    pub model: String,
    /// Weights, a tied output layer counted once.
    pub parameters: usize,
    /// Trained values.
    pub trainable_parameters: usize,
    /// Longest sequence, in tokens.
    pub max_len: usize,
    /// Rows of a micro-batch.
    pub batch_size: usize,
    /// Places, this machine's first.
    pub places: Vec<Place>,
}

/// Sizes of cards, in GiB.
const CARDS: [u64; 4] = [12, 24, 40, 80];

/// Share of a card's nominal memory that its driver leaves to programs.
const NOMINAL: f64 = 0.97;

/// Forms of the base that are compared.
const STORAGES: [BaseStorage; 3] = [BaseStorage::Full, BaseStorage::Int8, BaseStorage::Int4];

/// Computes the table.
///
/// # Errors
/// `Usage` for settings that cannot train; those of finding and reading the model's configuration.
pub fn plan(bench: impl FnOnce() -> Result<Workbench>, request: &PlanRequest) -> Result<PlanReport> {
    request.config.check()?;
    let model = configuration(&request.model, |spec| models::resolve(&bench()?, spec))?;
    plan_for(&model, request, &STORAGES)
}

/// The table for a model whose configuration is known, with the base in these forms.
///
/// # Errors
/// `Usage` for settings that cannot train.
pub(super) fn plan_for(model: &ModelConfig, request: &PlanRequest, storages: &[BaseStorage]) -> Result<PlanReport> {
    let PlanRequest { config, arithmetic, .. } = request;
    config.check()?;
    config.lora.check_patterns(model.num_layers)?;
    let longest = config.shape.max_len.min(model.max_positions);
    let sizes = |arithmetic: Arithmetic, storage: BaseStorage| {
        TrainingSizes::planned(model, &config.lora, WeightForm { arithmetic, storage }, 2.0)
    };
    let way = |storage: BaseStorage, dtype: &'static str, found: std::result::Result<_, MemoryEstimate>| {
        let least = MemoryPlan { tokens_at_once: 1, checkpointing: true };
        let (fits, (plan, e)) = found.map_or_else(|e| (false, (least, e)), |found| (true, found));
        Way {
            quantize: storage.name(),
            dtype,
            fits,
            checkpointing: plan.checkpointing,
            tokens_at_once: plan.tokens_at_once.saturating_sub(1).saturating_add(longest),
            bytes: e.total(),
            weights: e.weights,
            adapter: e.adapter,
            kept: e.kept,
            rest: e.buffers + e.logits + e.rest,
        }
    };
    let free = free_memory();
    let here = |storage| {
        let found = plan_for_machine(&sizes(*arithmetic, storage), config.checkpointing, longest, free);
        way(storage, arithmetic.name(), found)
    };
    let mut places = vec![Place {
        name: "cpu".to_owned(),
        free,
        unsupported: None,
        ways: storages.iter().copied().map(here).collect(),
    }];
    let unsupported = check_card(model, &config.lora).err().map(|e| e.message);
    let on_card = |name: String, free: u64| {
        let of = |storage| {
            let demand = CardDemand {
                storage,
                exact: false,
                dropout: config.lora.dropout > 0.0,
                batch: config.shape.batch_size * longest,
                longest,
            };
            let found = plan_for_card(&sizes(Arithmetic::F32, storage), demand, config.checkpointing, Some(free));
            way(storage, "bf16", found)
        };
        let ways = if unsupported.is_some() { Vec::new() } else { storages.iter().copied().map(of).collect() };
        Place { name, free: Some(free), unsupported: unsupported.clone(), ways }
    };
    for card in cuda::cards().unwrap_or_default() {
        places.push(on_card(format!("cuda:{} {}", card.ordinal, card.name), (card.memory as f64 * NOMINAL) as u64));
    }
    for size in CARDS {
        places.push(on_card(format!("{size} GB"), ((size << 30) as f64 * NOMINAL) as u64));
    }
    let exact = sizes(Arithmetic::F32, BaseStorage::Full);
    Ok(PlanReport {
        model: request.model.clone(),
        parameters: model.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum(),
        trainable_parameters: exact.trained,
        max_len: longest,
        batch_size: config.shape.batch_size,
        places,
    })
}

/// The configuration of the model that `spec` names.
///
/// # Errors
/// Those of finding and opening it.
pub(super) fn configuration_here(bench: &Workbench, spec: &str) -> Result<ModelConfig> {
    configuration(spec, |spec| models::resolve(bench, spec))
}

/// The configuration of a model that `resolve` finds, or in a `config.json`.
fn configuration(spec: &str, resolve: impl FnOnce(&str) -> Result<PathBuf>) -> Result<ModelConfig> {
    let path = Path::new(spec);
    if path.extension().is_some_and(|e| e == "json") && path.is_file() {
        return super::bench::read_config(path);
    }
    Ok(open(&resolve(spec)?)?.config)
}
