//! How much of a card's memory a training will take: the buffers that `model/device` makes, counted.

use super::config::ModelConfig;
use super::device::{logit_rows, logit_stride};
use super::lora::Projection;
use super::memory::{Checkpointing, MemoryEstimate, SHARE, TrainingSizes, mib, plans};
use super::training_pass::MemoryPlan;
use super::weight_form::BaseStorage;
use crate::error::{Error, Kind, Result};
use crate::ops::cuda::dora_parts;
use crate::tr;

/// What a training on a card is asked for, as far as its memory goes.
#[derive(Clone, Copy, Debug)]
pub struct CardDemand {
    /// How the frozen base is held.
    pub storage: BaseStorage,
    /// f32 throughout.
    pub exact: bool,
    /// Whether factors' inputs are dropped.
    pub dropout: bool,
    /// Tokens of the largest micro-batch.
    pub batch: usize,
    /// Tokens of the longest sequence.
    pub longest: usize,
}

/// Context of the driver, kernels, the library of products and its workspace. The driver's own account of an H100 is said to be
/// about 0.5 GB; it was not measured here.
const CONTEXT: usize = 600 << 20;

/// Tokens that keep a card busy: more at once gain nothing.
const USUAL: usize = 16_384;

/// Projections with one input, as `device/block.rs` joins them.
const GROUPS: [&[Projection]; 4] = [
    &[Projection::Q, Projection::K, Projection::V],
    &[Projection::O],
    &[Projection::Gate, Projection::Up],
    &[Projection::Down],
];

/// Outputs, inputs and filled-up ranks of a group.
fn group(c: &ModelConfig, ranks: &[usize; 7], projections: &[Projection]) -> (usize, usize, usize) {
    let outputs = projections.iter().map(|p| p.shape(c).0).sum();
    let inputs = projections.first().map_or(0, |p| p.shape(c).1);
    (outputs, inputs, projections.iter().map(|p| ranks[*p as usize].next_multiple_of(8)).sum())
}

impl MemoryEstimate {
    /// Bytes on a card for a training of these sizes with `plan`.
    pub fn on_card(sizes: &TrainingSizes, demand: CardDemand, plan: MemoryPlan) -> MemoryEstimate {
        let c = &sizes.config;
        let number = if demand.exact { 4 } else { 2 };
        let tokens =
            demand.batch.max(demand.longest).min(plan.tokens_at_once.saturating_sub(1).saturating_add(demand.longest));
        // Blocks differ in their ranks alone: the largest sizes serve all where buffers are shared.
        // Outputs, inputs and rank of each of a block's four groups of products.
        type Shapes = [(usize, usize, usize); 4];
        let groups: Vec<Shapes> = sizes.ranks.iter().map(|ranks| GROUPS.map(|g| group(c, ranks, g))).collect();
        let most = |of: &dyn Fn(&Shapes) -> usize| groups.iter().map(of).max().unwrap_or(0);
        let whole = |(o, i, r): (usize, usize, usize)| (o + r) * (i + r);
        let block_bytes = match (demand.storage, demand.exact) {
            (BaseStorage::Int8, false) => Some(34),
            (BaseStorage::Int4, false) => Some(20),
            _ => None,
        };
        let linear: usize = groups
            .iter()
            .flatten()
            .map(|g| block_bytes.map_or(number * whole(*g), |bytes| g.0 * g.1 / 32 * bytes))
            .sum();
        let shared = block_bytes.map_or(0, |_| number * most(&|b| b.iter().map(|g| whole(*g)).max().unwrap_or(0)));
        let tables = if c.tie_word_embeddings { 1 } else { 2 };
        let biases = if c.qkv_bias { (c.num_heads + 2 * c.num_kv_heads) * c.head_dim } else { 0 };
        let small = 4 * (c.num_layers * (2 * c.hidden_size + biases) + c.hidden_size);
        let factor = |(p, rank): (Projection, &usize)| {
            let (outputs, inputs) = p.shape(c);
            let lengths = if sizes.dora && *rank > 0 { outputs } else { 0 };
            rank.next_multiple_of(8) * (outputs + inputs) + lengths
        };
        let factors: usize = sizes.ranks.iter().flat_map(|b| Projection::ALL.into_iter().zip(b)).map(factor).sum();

        let (hidden, q, heads) = (c.hidden_size, c.num_heads * c.head_dim, c.num_heads);
        let qkv = q + 2 * c.num_kv_heads * c.head_dim;
        let turned = if c.qk_norm { qkv } else { 0 };
        let low = |g: usize| most(&|b| b[g].2);
        // Numbers of a row: normed twice, qkv, attended, mid, gate and up with their gradient's columns, activated.
        let tape = number
            * (2 * hidden
                + low(0)
                + low(2)
                + qkv
                + turned
                + q
                + low(1)
                + hidden
                + 2 * c.intermediate_size
                + low(2)
                + c.intermediate_size
                + low(3))
            + 4 * (2 + heads);
        // With DoRA: the outputs of adapted groups before they were scaled, one more gradient, sums over 128 rows; and of every
        // group ‖W‖², factors, norms and the products that those are made from.
        let adapted = |g: usize| most(&|b| if sizes.dora && b[g].2 > 0 { b[g].0 } else { 0 });
        let unscaled: usize = (0..4).map(adapted).sum();
        let sums = 4 * (0..4).map(adapted).max().unwrap_or(0) * dora_parts(tokens);
        let of_group = |&(outputs, _, rank): &(usize, usize, usize)| {
            if sizes.dora && rank > 0 { 4 * (outputs * (3 + rank) + rank * rank) } else { 0 }
        };
        let dora: usize = groups.iter().flatten().map(of_group).sum();
        let tape = tape + number * unscaled;
        let streams = number * hidden * (c.num_layers + 1);
        let tapes = if plan.checkpointing { 1 } else { c.num_layers };
        let dx = hidden + most(&|b| b[1].2.max(b[3].2));
        let dropped = if demand.dropout { hidden.max(q).max(c.intermediate_size) } else { 0 };
        // Scratch of a block, the residual's gradient, the hidden states before the output layer and their gradient.
        let scratch = number * (c.intermediate_size + hidden + q + qkv + low(0)) + 4 * heads;
        let apart = if unscaled > 0 { dx } else { 0 };
        let buffers = scratch + number * (dx + 3 * hidden + dropped + apart) + 4;
        let rows = logit_rows(c.vocab_size);
        let logits = rows * logit_stride(c.vocab_size) * (4 + if demand.exact { 0 } else { 2 });
        let rotary = 8 * c.max_positions.min(131_072) * c.head_dim / 2;
        MemoryEstimate {
            weights: linear + shared + number * tables * c.vocab_size * hidden + small + dora,
            // Values, gradients and two moments.
            adapter: 16 * factors,
            kept: tokens * (streams + tapes * tape),
            buffers: tokens * buffers + sums,
            logits,
            rest: CONTEXT + rotary,
        }
    }
}

/// The fastest plan that fits into a card with `free` bytes (`None`: nobody counts, the first is taken) before anything is on it;
/// else the least estimate.
pub fn plan_for_card(
    sizes: &TrainingSizes,
    demand: CardDemand,
    wish: Checkpointing,
    free: Option<u64>,
) -> std::result::Result<(MemoryPlan, MemoryEstimate), MemoryEstimate> {
    let mut least = MemoryEstimate::default();
    for plan in plans(wish, USUAL) {
        let estimate = MemoryEstimate::on_card(sizes, demand, plan);
        // The driver tells what is free rather exactly, and buffers are counted one by one.
        if free.is_none_or(|free| (estimate.total() as f64) < CARD_SHARE * free as f64) {
            return Ok((plan, estimate));
        }
        least = estimate;
    }
    Err(least)
}

/// Share of a card's memory that a plan may fill; the rest is for pieces between buffers.
const CARD_SHARE: f64 = SHARE + 0.1;

/// As [`plan_for_card`].
///
/// # Errors
/// `InvalidInput` when no plan fits, with the settings that would help.
pub fn choose_card_plan(
    sizes: &TrainingSizes,
    demand: CardDemand,
    wish: Checkpointing,
    free: Option<u64>,
) -> Result<(MemoryPlan, MemoryEstimate)> {
    plan_for_card(sizes, demand, wish, free).map_err(|least| {
        let (need, free) = (mib(least.total()), mib(free.unwrap_or(0) as usize));
        Error::new(
            Kind::InvalidInput,
            tr!(
                "this training needs about {need} MiB of the GPU's memory, and {free} MiB are free",
                "该训练约需 {need} MiB 显存，而可用显存为 {free} MiB"
            ),
        )
        .hint(tr!(
            "use --quantize int4, --checkpointing auto, a lower --max-len, or --device cpu; `train --plan` shows what fits",
            "可用 --quantize int4、--checkpointing auto、较小的 --max-len，或 --device cpu；`train --plan` 会显示哪些方案可行"
        ))
    })
}
