//! The decoder: embedding, blocks, final norm, output layer, and the inference forward. The training pass over the
//! same blocks is in `training_pass.rs`.

use super::block::{Adapted, Block, BlockTape, Rows, Scratch, load_frozen, load_vector};
use super::config::{ModelConfig, RopeScaling};
use super::device::PoolRows;
use super::lora::Lora;
use super::lora_config::SavedModule;
use super::weight_form::{BaseStorage, WeightForm};
use super::weights::WeightSource;
use crate::error::{Error, Kind, Result};
use crate::ops::quantised::BlockForm;
use crate::ops::{Arithmetic, Frozen, Head, Operand, RopeTable, Span, rms_norm, rope_scaled_frequencies, sized};
use crate::tr;
use rayon::prelude::*;
use std::sync::Arc;

/// A decoder-only language model with frozen weights.
pub struct Decoder {
    pub(super) config: ModelConfig,
    embedding: Frozen,
    pub(super) blocks: Vec<Block>,
    pub(super) norm: Vec<f32>,
    /// `None` when the output layer is the embedding itself.
    head: Option<Frozen>,
    pub(super) rope: RopeTable,
}

/// Keys and values of a stretch of tokens in every block: what a later stretch attends to. Belongs to the model that made it.
#[derive(Clone, Default)]
pub struct KvBlock {
    rows: KvRows,
    len: usize,
}

#[derive(Clone)]
enum KvRows {
    /// Per decoder block: keys and values `[len, kv_width]`.
    Host { keys: Vec<Vec<f32>>, values: Vec<Vec<f32>> },
    /// In a card's pool.
    Card(PoolRows),
}

impl Default for KvRows {
    fn default() -> Self {
        KvRows::Host { keys: Vec::new(), values: Vec::new() }
    }
}

/// New tokens of one sequence and what lies before them.
pub struct Stretch<'a> {
    /// The new tokens; at least one.
    pub ids: &'a [u32],
    /// Cached stretches before them, oldest first.
    pub past: Vec<&'a KvBlock>,
}

/// Buffers of the inference forward, reused between calls.
#[derive(Default)]
pub struct Workspace {
    tape: BlockTape,
    scratch: Scratch,
    x: Vec<f32>,
    inverse_rms: Vec<f32>,
}

impl KvBlock {
    /// Tokens held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no token is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Rows of a card's pool.
    pub(super) fn of_card(rows: PoolRows) -> KvBlock {
        let len = rows.rows().len();
        KvBlock { rows: KvRows::Card(rows), len }
    }

    /// The rows in a card's pool.
    ///
    /// # Errors
    /// `Internal` when it was made on the processor.
    pub(super) fn on_card(&self) -> Result<&PoolRows> {
        match &self.rows {
            KvRows::Card(rows) => Ok(rows),
            KvRows::Host { .. } => Err(Error::internal("a cache of the processor")),
        }
    }

    /// What a block attends to.
    fn span(&self, block: usize) -> Result<Span<'_>> {
        match &self.rows {
            KvRows::Host { keys, values } => Ok(Span { keys: &keys[block], values: &values[block], len: self.len }),
            KvRows::Card(_) => Err(Error::internal("a cache of a card")),
        }
    }

    /// Forgets the tokens from number `len` on.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        match &mut self.rows {
            KvRows::Host { keys, values } => {
                keys.iter_mut().chain(values).for_each(|rows| rows.truncate(rows.len() / self.len * len));
            }
            KvRows::Card(rows) => rows.truncate(len),
        }
        self.len = len;
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        match &self.rows {
            KvRows::Host { keys, values } => {
                keys.iter().chain(values).map(|rows| rows.capacity() * size_of::<f32>()).sum()
            }
            KvRows::Card(rows) => rows.bytes(),
        }
    }

    /// Appends the tokens of `next`, which the same model made.
    pub fn append(&mut self, next: &KvBlock) {
        match (&mut self.rows, &next.rows) {
            (KvRows::Host { keys, values }, KvRows::Host { keys: more_keys, values: more_values }) => {
                for (mine, more) in [(keys, more_keys), (values, more_values)] {
                    mine.resize(more.len(), Vec::new());
                    mine.iter_mut().zip(more).for_each(|(mine, more)| mine.extend_from_slice(more));
                }
            }
            (KvRows::Card(mine), KvRows::Card(more)) => mine.append(more),
            // An empty one is of no place yet.
            (mine, more) => {
                if self.len == 0 {
                    *mine = more.clone();
                }
            }
        }
        self.len += next.len;
    }
}

impl Decoder {
    /// Reads all weights in the form that is asked for and checks every shape.
    ///
    /// # Errors
    /// Those of the source, and `Mismatch` when a tensor does not have the configuration's shape.
    pub fn load(config: &ModelConfig, source: &(dyn WeightSource + Send + Sync), form: WeightForm) -> Result<Decoder> {
        let (vocabulary, hidden) = (config.vocab_size, config.hidden_size);
        let embedding = load_frozen(source, "model.embed_tokens.weight", vocabulary, hidden, form)?;
        let head = if config.tie_word_embeddings {
            None
        } else {
            Some(load_frozen(source, "lm_head.weight", vocabulary, hidden, form)?)
        };
        let blocks = (0..config.num_layers)
            .into_par_iter()
            .map(|i| Block::load(source, config, i, form))
            .collect::<Result<Vec<_>>>()?;
        let norm = load_vector(source, "model.norm.weight", hidden)?;
        Ok(Decoder { rope: rope_table(config), config: config.clone(), embedding, blocks, norm, head })
    }

    /// Sizes and switches.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The output layer that `lora` leaves: its own copy, the model's, or the embedding.
    pub(super) fn head<'a>(&'a self, lora: Option<&'a Lora>) -> Head<'a> {
        match lora.and_then(|l| l.saved.head.as_ref()) {
            Some(weight) => Head::Trained { weight, gradient: None, width: self.config.hidden_size },
            None => Head::Frozen(self.head.as_ref().unwrap_or(&self.embedding)),
        }
    }

    /// Gives fresh factors what depends on the weights: DoRA's magnitudes, and copies of the matrices that the
    /// configuration trains as a whole. The adapted model stays what the base is.
    pub fn prepare(&self, lora: &mut Lora) {
        if lora.config.dora {
            for (block, lora) in self.blocks.iter().zip(&mut lora.blocks) {
                block.begin_magnitudes(lora);
            }
        }
        let copy = |matrix: &Frozen| {
            let mut values = vec![0.0; matrix.outputs() * matrix.inputs()];
            matrix.read(0..matrix.outputs(), &mut values);
            values
        };
        lora.saved.width = self.config.hidden_size;
        for module in &lora.config.modules_to_save {
            match module {
                SavedModule::Embedding => lora.saved.embedding = Some(copy(&self.embedding)),
                SavedModule::Head => lora.saved.head = Some(copy(self.head.as_ref().unwrap_or(&self.embedding))),
            }
        }
    }

    /// `lora` for inference: what its factors imply is computed once.
    pub fn settle(&self, lora: Arc<Lora>) -> Arc<Lora> {
        if !lora.config.dora {
            return lora;
        }
        let mut lora = Arc::unwrap_or_clone(lora);
        for (block, lora) in self.blocks.iter().zip(&mut lora.blocks) {
            block.settle_norms(lora);
        }
        Arc::new(lora)
    }

    /// Number of weights, the tied output layer counted once.
    pub fn parameter_count(&self) -> usize {
        let c = &self.config;
        let linear: usize = super::lora::Projection::ALL.iter().map(|p| p.shape(c)).map(|(o, i)| o * i).sum();
        let heads = if self.head.is_some() { 2 } else { 1 };
        heads * c.vocab_size * c.hidden_size + c.num_layers * (linear + 2 * c.hidden_size) + c.hidden_size
    }

    /// The embedding, and the output layer where it is another.
    pub(super) fn tables(&self) -> (&Frozen, Option<&Frozen>) {
        (&self.embedding, self.head.as_ref())
    }

    /// Checks tokens and lengths before they are used as indices.
    pub(super) fn check<'a>(&self, ids: impl IntoIterator<Item = &'a u32>, longest: usize) -> Result<()> {
        check_ids(self.config.vocab_size, self.rope.positions(), ids, longest)
    }

    /// In which numbers the weights are multiplied.
    pub fn arithmetic(&self) -> Arithmetic {
        self.embedding.arithmetic()
    }

    /// How a card holds the blocks' weights: quantised where they are here, in a form that it reads.
    pub fn storage_on_card(&self) -> BaseStorage {
        let form = |block: &Block| block.linear.iter().map(Frozen::block_form).collect::<Option<Vec<_>>>();
        match self.blocks.first().and_then(form) {
            None => BaseStorage::Full,
            Some(forms) if forms.iter().any(|form| matches!(form, BlockForm::Q8_0 | BlockForm::Q6K)) => {
                BaseStorage::Int8
            }
            Some(_) => BaseStorage::Int4,
        }
    }

    /// Bytes of the frozen weights in memory while training.
    pub fn weight_bytes_in_training(&self) -> usize {
        let matrices = self.embedding.bytes_in_training() + self.head.as_ref().map_or(0, Frozen::bytes_in_training);
        matrices + self.blocks.iter().map(Block::bytes_in_training).sum::<usize>() + 4 * self.norm.len()
    }

    pub(super) fn embed(&self, ids: impl ExactSizeIterator<Item = u32>, lora: Option<&Lora>, x: &mut Vec<f32>) {
        let width = self.config.hidden_size;
        let trained = lora.and_then(|l| l.saved.embedding.as_ref());
        sized(x, ids.len() * width);
        for (id, row) in ids.zip(x.chunks_exact_mut(width)) {
            let id = id as usize;
            match trained {
                Some(matrix) => row.copy_from_slice(&matrix[id * width..][..width]),
                None => self.embedding.read(id..id + 1, row),
            }
        }
    }

    /// Runs new tokens of several sequences at once. Gives the normed hidden state of every new token
    /// `[Σ len, hidden]` and, per sequence, the keys and values of its new tokens.
    ///
    /// # Errors
    /// As [`Decoder::loss`].
    pub fn forward(
        &self,
        stretches: &[Stretch<'_>],
        lora: Option<&Lora>,
        w: &mut Workspace,
    ) -> Result<(Vec<f32>, Vec<KvBlock>)> {
        // One entry into the thread pool for the whole pass: entering it for every operation costs a sleep each.
        rayon::scope(|_| self.forward_here(stretches, lora, w))
    }

    fn forward_here(
        &self,
        stretches: &[Stretch<'_>],
        lora: Option<&Lora>,
        w: &mut Workspace,
    ) -> Result<(Vec<f32>, Vec<KvBlock>)> {
        let before: Vec<usize> = stretches.iter().map(|s| s.past.iter().map(|p| p.len).sum()).collect();
        let longest = stretches.iter().zip(&before).map(|(s, before)| s.ids.len() + before).max().unwrap_or(0);
        self.check(stretches.iter().flat_map(|s| s.ids), longest)?;
        let mut sequences = Vec::with_capacity(stretches.len());
        let mut positions = Vec::new();
        for (stretch, before) in stretches.iter().zip(&before) {
            let start = positions.len();
            positions.extend((0..stretch.ids.len()).map(|i| (before + i) as u32));
            sequences.push(start..positions.len());
        }
        let n = positions.len();
        let width = self.config.num_kv_heads * self.config.head_dim;
        let mut caches: Vec<KvBlock> = stretches
            .iter()
            .map(|s| {
                let room = || Vec::with_capacity(self.blocks.len());
                KvBlock { rows: KvRows::Host { keys: room(), values: room() }, len: s.ids.len() }
            })
            .collect();
        let ids: Vec<u32> = stretches.iter().flat_map(|s| s.ids).copied().collect();
        self.embed(ids.into_iter(), lora, &mut w.x);
        for (i, block) in self.blocks.iter().enumerate() {
            let past: Vec<Vec<Span<'_>>> = stretches
                .iter()
                .map(|s| s.past.iter().filter(|p| p.len > 0).map(|p| p.span(i)).collect::<Result<_>>())
                .collect::<Result<_>>()?;
            let rows = Rows { positions: &positions, sequences: &sequences, past: &past };
            let adapted = lora.map(|l| Adapted { lora: &l.blocks[i], dropout: None });
            block.forward(&mut w.x, &rows, &self.config, &self.rope, adapted, &mut w.tape, &mut w.scratch);
            for (cache, range) in caches.iter_mut().zip(&sequences) {
                if let KvRows::Host { keys, values } = &mut cache.rows {
                    keys.push(w.tape.k[range.start * width..range.end * width].to_vec());
                    values.push(w.tape.v[range.start * width..range.end * width].to_vec());
                }
            }
        }
        let mut hidden = vec![0.0; n * self.config.hidden_size];
        w.inverse_rms.resize(n, 0.0);
        rms_norm(&w.x, &self.norm, self.config.rms_norm_eps as f32, &mut hidden, &mut w.inverse_rms);
        Ok((hidden, caches))
    }

    /// Logits of `n` hidden states: `[n, hidden]` → `[n, vocabulary]`. `lora` as in the forward that made them.
    pub fn logits(&self, hidden: &[f32], n: usize, lora: Option<&Lora>) -> Vec<f32> {
        let mut logits = vec![0.0; n * self.config.vocab_size];
        self.head(lora).forward(hidden, n, &mut logits, &mut Operand::default());
        logits
    }
}

/// Checks tokens against a vocabulary, and the longest sequence against the positions of a rotary table.
///
/// # Errors
/// `Mismatch` or `InvalidInput` that says what does not fit.
pub(super) fn check_ids<'a>(
    vocabulary: usize,
    limit: usize,
    ids: impl IntoIterator<Item = &'a u32>,
    longest: usize,
) -> Result<()> {
    if let Some(id) = ids.into_iter().find(|id| **id as usize >= vocabulary) {
        return Err(Error::new(
            Kind::Mismatch,
            tr!(
                "token {id} lies outside the model's vocabulary of {vocabulary}",
                "词元 {id} 超出模型词表（大小 {vocabulary}）"
            ),
        )
        .hint(tr!("the tokenizer belongs to another model", "分词器属于另一个模型")));
    }
    if longest > limit {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!(
                "a sequence of {longest} tokens is longer than the model's {limit}",
                "序列长 {longest} 个词元，超过模型上限 {limit}"
            ),
        )
        .hint(tr!("shorten the input, or lower --max-len", "请缩短输入，或调低 --max-len")));
    }
    Ok(())
}

/// The rotary table of a model: frequencies θ^(−2i/d) with the model's stretching, up to its longest sequence.
pub(super) fn rope_table(config: &ModelConfig) -> RopeTable {
    let mut frequencies: Vec<f32> = (0..config.head_dim / 2)
        .map(|i| (1.0 / config.rope_theta.powf(2.0 * i as f64 / config.head_dim as f64)) as f32)
        .collect();
    match &config.rope_scaling {
        None => {}
        Some(RopeScaling::Linear { factor }) => {
            frequencies.iter_mut().for_each(|f| *f = (f64::from(*f) / factor) as f32)
        }
        Some(RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_positions }) => {
            rope_scaled_frequencies(
                &mut frequencies,
                *factor,
                *low_freq_factor,
                *high_freq_factor,
                *original_max_positions,
            );
        }
    }
    RopeTable::new(&frequencies, config.max_positions.min(LONGEST_TABLE))
}

/// Positions beyond this would make the table larger than a small model; no engine here reaches them.
const LONGEST_TABLE: usize = 131_072;
