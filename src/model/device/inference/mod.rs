//! Inference on a card: prompts and steps of decoding over one pool of cached rows, for any number of adapters on the same
//! weights.
//!
//! Few rows (a step of decoding, the last words of a question) go through products that read each weight once, as it is stored,
//! with f32 in between; after the first time such a step is a recording that one call repeats. Many rows go through tensor cores.

mod block;
mod linear;
mod pool;
#[cfg(test)]
mod tests;

pub use pool::PoolRows;

use self::block::{BlockUpdates, CardBlock, FewRows, ManyRows, NewRows};
use self::linear::{Few, Linear, Many, whole};
use self::pool::KvPool;
use crate::error::{Error, Kind, Result};
use crate::model::block::{Block, head_layout, load_frozen, load_vector};
use crate::model::config::ModelConfig;
use crate::model::decoder::{Decoder, KvBlock, Stretch, check_ids, rope_table};
use crate::model::inference::{CardWeights, Hidden, Inference, LOGIT_ROWS};
use crate::model::lora::Lora;
use crate::model::weight_form::{BaseStorage, WeightForm};
use crate::model::weights::WeightSource;
use crate::ops::cuda::{
    Buffer, Device, Heads, MOST_ROWS, Number, Recording, Rotary, RowPlaces, Segments, embed_rows, gather_rows,
    norm_rows, token_logprobs,
};
use crate::ops::{Frozen, RopeTable};
use crate::tr;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most rows that go through a model at once: enough to keep tensor cores busy.
const MOST_MANY: usize = 2048;

/// Rows up to which weights in blocks are rather read several times as they are than made whole.
const MOST_FEW_QUANTISED: usize = 32;

/// Recordings that are kept: one for each number of rows and adapter.
const MOST_RECORDINGS: usize = 64;

/// Words in front of the lists of seen rows, for each new row: id, position, place, where its list begins, its length.
const HEADER: usize = 5;

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
    /// By adapter and number of rows.
    recordings: HashMap<(u64, usize), Step>,
    /// The pool's moves when the recordings were made.
    moves: u64,
}

struct Logits<T: Number> {
    picked: Buffer<f32>,
    normed: Buffer<T>,
    logits: Buffer<f32>,
    low: Buffer<T>,
}

/// A step of few rows that was taken before.
enum Step {
    /// Once: its kernels are loaded.
    Taken,
    Recorded(Box<dyn Recording>),
    /// The card does not record it.
    Started,
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
            recordings: HashMap::new(),
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

/// Neighbouring new tokens of one sequence.
struct Part<'a> {
    ids: &'a [u32],
    /// Position of the first.
    position: usize,
    /// Their rows in the pool.
    places: &'a [u32],
    /// All rows that the last of them sees.
    sees: Vec<u32>,
}

/// Cuts stretches into lots of at most `most` tokens, a long stretch into several.
fn lots(lengths: &[usize], most: usize) -> Vec<Vec<(usize, Range<usize>)>> {
    let mut lots = vec![Vec::new()];
    let mut room = most;
    for (stretch, len) in lengths.iter().enumerate() {
        let mut from = 0;
        while from < *len {
            if room == 0 {
                lots.push(Vec::new());
                room = most;
            }
            let to = (from + room).min(*len);
            room -= to - from;
            if let Some(lot) = lots.last_mut() {
                lot.push((stretch, from..to));
            }
            from = to;
        }
    }
    lots
}

impl<T: Number> Adapted<T> {
    /// Runs the parts; their residual streams go to `hidden` from row `first` on.
    fn run(&self, state: &mut State<T>, parts: &[Part<'_>], hidden: &Buffer<f32>, first: usize) -> Result<()> {
        let (model, width) = (&*self.model, self.model.config.hidden_size);
        let n: usize = parts.iter().map(|p| p.ids.len()).sum();
        upload(&model.device, state, parts, n)?;
        let x = if n <= model.most_few {
            self.few(state, n)?;
            &state.few.x
        } else {
            self.many(state, parts, n)?;
            match &state.many {
                Some(many) => &many.x,
                None => return Err(Error::internal("no room for many rows")),
            }
        };
        let bytes = size_of::<f32>() * width;
        model.device.copy(hidden.address() + (first * bytes) as u64, x.address(), n * bytes)
    }

    fn embedding(&self) -> &Buffer<T> {
        self.adapter.embedding.as_ref().unwrap_or(&self.model.embedding)
    }

    fn new_rows<'a>(&'a self, lists: &'a Buffer<u32>, n: usize) -> NewRows<'a> {
        let list = |index: usize| lists.rows(index * n, n);
        NewRows {
            rotary: &self.model.rotary,
            positions: list(1),
            places: list(2),
            sees: RowPlaces { starts: list(3), lengths: list(4), key_rows: list(HEADER) },
            n,
        }
    }

    /// A step of few rows: the first time as it is, then recorded and repeated.
    fn few(&self, state: &mut State<T>, n: usize) -> Result<()> {
        let device = &self.model.device;
        if state.few.low.len() < self.model.most_few * self.adapter.columns {
            state.few.low = Buffer::room(device, self.model.most_few * self.adapter.columns)?;
            state.recordings.clear();
        }
        if state.moves != state.pool.moves || state.recordings.len() >= MOST_RECORDINGS {
            state.recordings.clear();
            state.moves = state.pool.moves;
        }
        let State { pool, lists, few, recordings, .. } = state;
        let step = || -> Result<()> {
            let rows = self.new_rows(lists, n);
            embed_rows(self.embedding(), lists.rows(0, n), &few.x, n, self.model.config.hidden_size)?;
            for (i, block) in self.model.blocks.iter().enumerate() {
                block.few(i, self.adapter.blocks.get(i), &rows, pool, few)?;
            }
            Ok(())
        };
        let key = (self.adapter.id, n);
        match recordings.get(&key) {
            Some(Step::Recorded(recording)) => recording.replay(),
            Some(Step::Started) => step(),
            None => {
                step()?;
                recordings.insert(key, Step::Taken);
                Ok(())
            }
            Some(Step::Taken) => {
                let taken = match device.record(&mut || step())? {
                    Some(recording) => {
                        recording.replay()?;
                        Step::Recorded(recording)
                    }
                    None => {
                        step()?;
                        Step::Started
                    }
                };
                recordings.insert(key, taken);
                Ok(())
            }
        }
    }

    fn many(&self, state: &mut State<T>, parts: &[Part<'_>], n: usize) -> Result<()> {
        let model = &*self.model;
        let (device, Some(first)) = (&model.device, model.blocks.first()) else {
            return Err(Error::internal("a decoder without blocks"));
        };
        if state.many.as_ref().is_none_or(|many| many.rows < n) {
            state.many = None;
            let rows = n.next_power_of_two().clamp(LOGIT_ROWS, MOST_MANY);
            state.many = Some(first.many_rows(device, rows, model.matrix)?);
        }
        let State { pool, lists, many: Some(many), .. } = state else {
            return Err(Error::internal("no room for many rows"));
        };
        if many.low.len() < many.rows * self.adapter.columns {
            many.low = Buffer::room(device, many.rows * self.adapter.columns)?;
        }
        let rows = self.new_rows(lists, n);
        // Single rows are no tiles: each is cut along what it sees instead.
        let tiled = first.tiles() && parts.iter().any(|part| part.ids.len() > 1);
        let segments = if tiled {
            let mut end = 0;
            let sequences: Vec<Range<usize>> = parts
                .iter()
                .map(|part| {
                    end += part.ids.len();
                    end - part.ids.len()..end
                })
                .collect();
            let sees: Vec<Vec<u32>> = parts.iter().map(|part| part.sees.clone()).collect();
            Some(Segments::cached(device, &sequences, &sees)?)
        } else {
            None
        };
        embed_rows(self.embedding(), lists.rows(0, n), &many.x, n, model.config.hidden_size)?;
        for (i, block) in model.blocks.iter().enumerate() {
            block.many(i, self.adapter.blocks.get(i), &rows, segments.as_ref(), pool, many)?;
        }
        Ok(())
    }

    /// Logits of up to [`LOGIT_ROWS`] rows of `hidden`, on the card; and how far apart they lie.
    fn logits_on_card<'a>(
        &self,
        state: &'a mut State<T>,
        hidden: &Buffer<f32>,
        rows: &[usize],
    ) -> Result<(&'a Buffer<f32>, usize)> {
        let model = &*self.model;
        let (device, width) = (&model.device, model.config.hidden_size);
        let stride = super::logit_stride(model.config.vocab_size);
        let head = self.adapter.head.as_ref().unwrap_or(&model.head);
        let n = rows.len();
        if state.logits.is_none() {
            state.logits = Some(Logits {
                picked: Buffer::room(device, LOGIT_ROWS * width)?,
                normed: Buffer::room(device, LOGIT_ROWS * width)?,
                logits: Buffer::room(device, LOGIT_ROWS * stride)?,
                low: Buffer::room(device, 0)?,
            });
        }
        let Some(l) = &state.logits else { return Err(Error::internal("no room for logits")) };
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok((&l.logits, stride)) };
        hidden.holds((rows.iter().max().unwrap_or(last) + 1) * width)?;
        // Neighbours are read where they lie.
        let (x, first) = if rows.iter().zip(*first..).all(|(row, i)| *row == i) {
            (hidden, *first)
        } else {
            let list = Buffer::of(device, &rows.iter().map(|row| *row as u32).collect::<Vec<_>>())?;
            gather_rows(hidden, &list, l.picked.rows(0, width), n, width)?;
            (&l.picked, 0)
        };
        let norm = (&model.norm, model.eps());
        // A quantised output layer is read several times as it is: made whole it would be by far the largest matrix.
        if n <= MOST_ROWS || head.is_quantised() {
            let few = Few { x, first, norm: Some(norm), residual: None, y: &l.logits, stride, low: &l.picked, rows: n };
            head.few(None, few, false)?;
        } else {
            norm_rows(x.rows(first * width, width), norm, &l.normed, n)?;
            let many = Many {
                x: &l.normed,
                start: None,
                y: &l.logits,
                stride,
                low: &l.low,
                matrix: None,
                unscaled: &l.logits,
                rows: n,
            };
            head.many(None, many)?;
        }
        Ok((&l.logits, stride))
    }
}

/// Brings to the card what the new rows are and what they see.
fn upload<T: Number>(device: &Arc<dyn Device>, state: &mut State<T>, parts: &[Part<'_>], n: usize) -> Result<()> {
    let seen: usize = parts.iter().map(|p| p.sees.len()).sum();
    let mut words = Vec::with_capacity(HEADER * n + seen);
    words.extend(parts.iter().flat_map(|p| p.ids));
    words.extend(parts.iter().flat_map(|p| p.position as u32..(p.position + p.ids.len()) as u32));
    words.extend(parts.iter().flat_map(|p| p.places));
    let mut start = 0;
    for part in parts {
        words.extend(std::iter::repeat_n(start, part.ids.len()));
        start += part.sees.len() as u32;
    }
    for part in parts {
        let before = part.sees.len() - part.ids.len();
        words.extend(part.ids.iter().enumerate().map(|(i, _)| (before + i + 1) as u32));
    }
    words.extend(parts.iter().flat_map(|p| &p.sees));
    if state.lists.len() < words.len() {
        state.lists = Buffer::room(device, words.len().next_power_of_two().max(4096))?;
        state.recordings.clear();
    }
    state.lists.write(&words)
}

impl<T: Number> Inference for Adapted<T> {
    fn config(&self) -> &ModelConfig {
        &self.model.config
    }

    fn forward(&self, stretches: &[Stretch<'_>]) -> Result<(Hidden, Vec<KvBlock>)> {
        let model = &*self.model;
        let before: Vec<usize> = stretches.iter().map(|s| s.past.iter().map(|p| p.len()).sum()).collect();
        let longest = stretches.iter().zip(&before).map(|(s, before)| s.ids.len() + before).max().unwrap_or(0);
        check_ids(model.config.vocab_size, model.positions, stretches.iter().flat_map(|s| s.ids), longest)?;
        let lengths: Vec<usize> = stretches.iter().map(|s| s.ids.len()).collect();
        let total: usize = lengths.iter().sum();
        let mut state = self.model.state();
        let state = &mut *state;
        let rows = lengths.iter().map(|len| state.pool.take(*len)).collect::<Result<Vec<PoolRows>>>()?;
        let past = stretches
            .iter()
            .map(|s| s.past.iter().filter(|p| !p.is_empty()).map(|p| p.on_card()).collect::<Result<Vec<_>>>())
            .collect::<Result<Vec<_>>>()?;
        if let (Some(mine), Some(other)) = (rows.first(), past.iter().flatten().find(|p| !p.is_of(&rows[0])))
            && !mine.is_of(other)
        {
            return Err(Error::internal("a cache of another model"));
        }
        let hidden = Buffer::room(&model.device, total * model.config.hidden_size)?;
        let mut first = 0;
        for lot in lots(&lengths, MOST_MANY) {
            let part = |(stretch, range): &(usize, Range<usize>)| {
                let own = rows[*stretch].rows();
                let seen = past[*stretch].iter().flat_map(|p| p.rows()).chain(&own[..range.end]);
                Part {
                    ids: &stretches[*stretch].ids[range.clone()],
                    position: before[*stretch] + range.start,
                    places: &own[range.clone()],
                    sees: seen.copied().collect(),
                }
            };
            let parts: Vec<Part<'_>> = lot.iter().map(part).collect();
            self.run(state, &parts, &hidden, first)?;
            first += parts.iter().map(|p| p.ids.len()).sum::<usize>();
        }
        drop(past);
        Ok((Hidden::Card(hidden), rows.into_iter().map(KvBlock::of_card).collect()))
    }

    fn logits(&self, hidden: &Hidden, rows: &[usize]) -> Result<Vec<f32>> {
        let hidden = on_card(hidden)?;
        let vocabulary = self.model.config.vocab_size;
        let mut state = self.model.state();
        let mut all = Vec::with_capacity(rows.len() * vocabulary);
        for chunk in rows.chunks(LOGIT_ROWS) {
            let (logits, stride) = self.logits_on_card(&mut state, hidden, chunk)?;
            let found = logits.read_first(chunk.len() * stride)?;
            all.extend(found.chunks_exact(stride).flat_map(|row| &row[..vocabulary]));
        }
        Ok(all)
    }

    fn logprobs(&self, hidden: &Hidden, wanted: &[(usize, u32)]) -> Result<Vec<f64>> {
        let hidden = on_card(hidden)?;
        let (device, vocabulary) = (&self.model.device, self.model.config.vocab_size);
        check_ids(vocabulary, usize::MAX, wanted.iter().map(|(_, id)| id), 0)?;
        let mut distinct: Vec<usize> = wanted.iter().map(|(row, _)| *row).collect();
        distinct.dedup();
        let mut state = self.model.state();
        let mut all = Vec::with_capacity(wanted.len());
        let mut rest = wanted;
        for chunk in distinct.chunks(LOGIT_ROWS) {
            let (logits, stride) = self.logits_on_card(&mut state, hidden, chunk)?;
            let mut at = 0;
            let (mut rows, mut ids) = (Vec::new(), Vec::new());
            while let Some((row, id)) = rest.first() {
                if chunk[at] != *row {
                    at += 1;
                    if at == chunk.len() {
                        break;
                    }
                    continue;
                }
                rows.push(at as u32);
                ids.push(*id);
                rest = &rest[1..];
            }
            let out = Buffer::room(device, rows.len())?;
            let (rows, ids) = (Buffer::of(device, &rows)?, Buffer::of(device, &ids)?);
            token_logprobs(logits.rows(0, stride), &rows, &ids, &out, vocabulary)?;
            all.extend(out.read()?.into_iter().map(f64::from));
        }
        Ok(all)
    }
}

fn on_card(hidden: &Hidden) -> Result<&Buffer<f32>> {
    match hidden {
        Hidden::Card(hidden) => Ok(hidden),
        Hidden::Host(_) => Err(Error::internal("hidden states of the processor")),
    }
}
