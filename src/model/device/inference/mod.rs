//! Inference on a card: prompts and steps of decoding over one pool of cached rows, for any number of adapters on the same
//! weights.
//!
//! Few rows (a step of decoding, the last words of a question) go through products that read each weight once, as it is stored,
//! with f32 in between. Many rows go through tensor cores. A step of decoding is recorded when it is taken the second time, and one
//! call repeats it from then on.

mod block;
mod forward;
mod linear;
mod output;
mod pool;
#[cfg(test)]
mod tests;

pub use pool::PoolRows;

use self::block::{BlockUpdates, CardBlock, FewRows, ManyRows};
use self::forward::Steps;
use self::linear::{Linear, whole};
use self::output::Logits;
use self::pool::KvPool;
use crate::error::{Error, Kind, Result};
use crate::model::block::{Block, head_layout, load_frozen, load_vector};
use crate::model::config::ModelConfig;
use crate::model::decoder::{Decoder, rope_table};
use crate::model::inference::{CardWeights, Inference};
use crate::model::lora::Lora;
use crate::model::weight_form::{BaseStorage, WeightForm};
use crate::model::weights::WeightSource;
use crate::ops::cuda::{Buffer, Device, Heads, MOST_ROWS, Number, Rotary};
use crate::ops::{Frozen, RopeTable};
use crate::tr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rows up to which weights in blocks are rather read several times as they are than made whole.
const MOST_FEW_QUANTISED: usize = 32;

/// A model on a card.
pub struct CardInference<T: Number> {
    device: Arc<dyn Device>,
    config: ModelConfig,
    embedding: Arc<Buffer<T>>,
    blocks: Vec<CardBlock<T>>,
    norm: Buffer<f32>,
    head: Linear<T>,
    rotary: Rotary,
    /// Positions in the rotary table.
    positions: usize,
    /// Rows up to which products of few rows are used.
    most_few: usize,
    /// Numbers of the largest matrix that must be made whole for many rows.
    matrix: usize,
    state: Mutex<State<T>>,
}

/// What changes from forward to forward.
struct State<T: Number> {
    pool: KvPool<T>,
    /// The header of the new rows, and what they see.
    lists: Buffer<u32>,
    few: FewRows,
    many: Option<ManyRows<T>>,
    logits: Option<Logits<T>>,
    recordings: Steps,
    /// The pool's moves when the recordings were made.
    moves: u64,
}

/// A model with an adapter, or without.
struct Adapted<T: Number> {
    model: Arc<CardInference<T>>,
    adapter: Adapter<T>,
}

struct Adapter<T: Number> {
    /// Tells recordings apart.
    id: u64,
    /// Empty: none.
    blocks: Vec<BlockUpdates<T>>,
    columns: usize,
    embedding: Option<Buffer<T>>,
    head: Option<Linear<T>>,
}

/// That a card computes a model of these sizes.
///
/// # Errors
/// `Unsupported` that says what it does not.
pub fn check_card_inference(config: &ModelConfig) -> Result<()> {
    Heads::new(head_layout(config))?;
    for width in [config.hidden_size, config.intermediate_size] {
        if !width.is_multiple_of(8) {
            return Err(Error::new(
                Kind::Unsupported,
                tr!(
                    "the GPU's kernels need widths that are multiples of 8, not {width}",
                    "GPU 内核要求宽度是 8 的倍数，而不是 {width}"
                ),
            )
            .hint(tr!("use --device cpu for this model", "此模型请用 --device cpu")));
        }
    }
    Ok(())
}

/// Where blocks come from, one at a time.
type Blocks<'a> = dyn FnMut(usize, &mut dyn FnMut(&Block) -> Result<()>) -> Result<()> + 'a;

/// A model's ends: embedding, output layer, last norm, rotary table.
struct Ends<'a> {
    embedding: &'a Frozen,
    head: Option<&'a Frozen>,
    norm: &'a [f32],
    rope: &'a RopeTable,
}

impl<T: Number> CardInference<T> {
    /// Copies a decoder to a card; weights that are in blocks stay so there if `keep_blocks` (and `T` is bf16).
    ///
    /// # Errors
    /// As [`check_card_inference`]; `OutOfMemory`.
    pub fn new(device: &Arc<dyn Device>, decoder: &Decoder, keep_blocks: bool) -> Result<CardInference<T>> {
        let (embedding, head) = decoder.tables();
        let mut blocks = |i: usize, take: &mut dyn FnMut(&Block) -> Result<()>| take(&decoder.blocks[i]);
        let ends = Ends { embedding, head, norm: &decoder.norm, rope: &decoder.rope };
        Self::assemble(device, &decoder.config, &ends, keep_blocks, &mut blocks)
    }

    /// Reads a model straight to a card, a block at a time.
    ///
    /// # Errors
    /// As [`CardInference::new`], and those of the source.
    pub fn load(
        device: &Arc<dyn Device>,
        config: &ModelConfig,
        source: &(dyn WeightSource + Send + Sync),
        form: WeightForm,
    ) -> Result<CardInference<T>> {
        let (vocabulary, hidden) = (config.vocab_size, config.hidden_size);
        let embedding = load_frozen(source, "model.embed_tokens.weight", vocabulary, hidden, form)?;
        let head = (!config.tie_word_embeddings)
            .then(|| load_frozen(source, "lm_head.weight", vocabulary, hidden, form))
            .transpose()?;
        let norm = load_vector(source, "model.norm.weight", hidden)?;
        let mut blocks =
            |i: usize, take: &mut dyn FnMut(&Block) -> Result<()>| take(&Block::load(source, config, i, form)?);
        let ends = Ends { embedding: &embedding, head: head.as_ref(), norm: &norm, rope: &rope_table(config) };
        Self::assemble(device, config, &ends, form.storage != BaseStorage::Full, &mut blocks)
    }

    fn assemble(
        device: &Arc<dyn Device>,
        config: &ModelConfig,
        ends: &Ends<'_>,
        keep_blocks: bool,
        each: &mut Blocks<'_>,
    ) -> Result<CardInference<T>> {
        check_card_inference(config)?;
        // De-quantised rows are bf16: where all is f32, weights are whole.
        let keep_blocks = keep_blocks && T::choose("f32", "bf16") == "bf16";
        let hidden = config.hidden_size;
        let embedding = Arc::new(whole(device, &[ends.embedding], hidden)?);
        let output = ends.head.unwrap_or(ends.embedding);
        let head = if ends.head.is_none() && !(keep_blocks && output.block_form().is_some()) {
            Linear::of(Arc::clone(&embedding), hidden)
        } else {
            Linear::new(device, &[output], keep_blocks)?
        };
        let mut blocks = Vec::with_capacity(config.num_layers);
        for i in 0..config.num_layers {
            each(i, &mut |block| {
                blocks.push(CardBlock::new(device, block, config, keep_blocks)?);
                Ok(())
            })?;
        }
        let Some(first) = blocks.first() else { return Err(Error::internal("a decoder without blocks")) };
        let most_few = if blocks.iter().all(CardBlock::is_quantised) { MOST_FEW_QUANTISED } else { MOST_ROWS };
        let (cosines, sines, half) = ends.rope.tables();
        let state = State {
            pool: KvPool::new(device, config.num_layers, config.num_kv_heads * config.head_dim)?,
            lists: Buffer::room(device, 0)?,
            few: first.few_rows(device, most_few)?,
            many: None,
            logits: None,
            recordings: Steps::new(),
            moves: 0,
        };
        Ok(CardInference {
            device: Arc::clone(device),
            config: config.clone(),
            embedding,
            norm: Buffer::of(device, ends.norm)?,
            rotary: Rotary::new(Buffer::of(device, cosines)?, Buffer::of(device, sines)?, half)?,
            positions: ends.rope.positions(),
            most_few,
            matrix: blocks.iter().map(CardBlock::matrix_len).max().unwrap_or(0),
            head,
            blocks,
            state: Mutex::new(state),
        })
    }

    fn adapter(&self, lora: Option<&Lora>) -> Result<Adapter<T>> {
        /// 0 is no adapter.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let Some(lora) = lora else {
            return Ok(Adapter { id: 0, blocks: Vec::new(), columns: 0, embedding: None, head: None });
        };
        let (device, hidden) = (&self.device, self.config.hidden_size);
        let table = |matrix: &Vec<f32>| Buffer::of(device, &matrix.iter().map(|x| T::of_f32(*x)).collect::<Vec<_>>());
        let head = lora.saved.head.as_ref().map(table).transpose()?;
        let blocks: Vec<BlockUpdates<T>> =
            self.blocks.iter().zip(&lora.blocks).map(|(b, lora)| b.updates(device, lora)).collect::<Result<_>>()?;
        let columns = blocks.iter().flatten().flatten().map(linear::Update::columns).max().unwrap_or(0);
        Ok(Adapter {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            blocks,
            columns,
            embedding: lora.saved.embedding.as_ref().map(table).transpose()?,
            head: head.map(|head| Linear::of(Arc::new(head), hidden)),
        })
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn eps(&self) -> f32 {
        self.config.rms_norm_eps as f32
    }
}

impl<T: Number> CardWeights for CardInference<T> {
    fn with(self: Arc<Self>, lora: Option<&Lora>) -> Result<Box<dyn Inference>> {
        let adapter = self.adapter(lora)?;
        Ok(Box::new(Adapted { model: self, adapter }))
    }

    fn card(&self) -> String {
        self.device.name()
    }
}
