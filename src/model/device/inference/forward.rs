//! New tokens through all blocks: what they are and see goes to the card in one list, and steps of decoding are recorded.

use super::block::NewRows;
use super::pool::PoolRows;
use super::{Adapted, State};
use crate::error::{Error, Result};
use crate::model::config::ModelConfig;
use crate::model::decoder::{KvBlock, Stretch, check_ids};
use crate::model::inference::{Hidden, Inference, LOGIT_ROWS};
use crate::ops::cuda::{Buffer, Device, Number, Recording, RowPlaces, Segments, embed_rows};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Most rows that go through a model at once: enough to keep tensor cores busy.
const MOST_MANY: usize = 2048;

/// Recordings that are kept: one for each number of rows and adapter.
const MOST_RECORDINGS: usize = 64;

/// Words in front of the lists of seen rows, for each new row: id, position, place, where its list begins, its length.
const HEADER: usize = 5;

/// Steps of decoding that were taken before, by adapter and number of rows.
pub(super) type Steps = HashMap<(u64, usize), Step>;

/// A step of decoding that was taken before.
pub(super) enum Step {
    /// Once: its kernels are loaded.
    Taken,
    Recorded(Box<dyn Recording>),
    /// The card does not record it.
    Started,
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
pub(super) fn lots(lengths: &[usize], most: usize) -> Vec<Vec<(usize, Range<usize>)>> {
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
        if state.moves != state.pool.moves || state.recordings.len() >= MOST_RECORDINGS {
            state.recordings.clear();
            state.moves = state.pool.moves;
        }
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

    fn few(&self, state: &mut State<T>, n: usize) -> Result<()> {
        let device = &self.model.device;
        if state.few.low.len() < self.model.most_few * self.adapter.columns {
            state.few.low = Buffer::room(device, self.model.most_few * self.adapter.columns)?;
            state.recordings.clear();
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
        repeated(device, recordings, (self.adapter.id, n), &step)
    }

    fn many(&self, state: &mut State<T>, parts: &[Part<'_>], n: usize) -> Result<()> {
        let model = &*self.model;
        let (device, Some(first)) = (&model.device, model.blocks.first()) else {
            return Err(Error::internal("a decoder without blocks"));
        };
        if state.many.as_ref().is_none_or(|many| many.rows < n) {
            state.many = None;
            state.recordings.clear();
            let rows = n.next_power_of_two().clamp(LOGIT_ROWS, MOST_MANY);
            state.many = Some(first.many_rows(device, rows, model.matrix)?);
        }
        let State { pool, lists, many: Some(many), recordings, .. } = state else {
            return Err(Error::internal("no room for many rows"));
        };
        if many.low.len() < many.rows * self.adapter.columns {
            many.low = Buffer::room(device, many.rows * self.adapter.columns)?;
            recordings.clear();
        }
        let rows = self.new_rows(lists, n);
        // Single rows are no tiles: each is cut along what it sees instead.
        let single = parts.iter().all(|part| part.ids.len() == 1);
        let tiled = first.tiles() && !single;
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
        let step = || -> Result<()> {
            embed_rows(self.embedding(), lists.rows(0, n), &many.x, n, model.config.hidden_size)?;
            for (i, block) in model.blocks.iter().enumerate() {
                block.many(i, self.adapter.blocks.get(i), &rows, segments.as_ref(), pool, many)?;
            }
            Ok(())
        };
        // Prompts have as many rows as they like, and lists of tiles of their own.
        if single { repeated(device, recordings, (self.adapter.id, n), &step) } else { step() }
    }
}

/// Takes a step of decoding: the first time as it is, then recorded, and repeated from then on.
fn repeated(
    device: &Arc<dyn Device>,
    recordings: &mut Steps,
    key: (u64, usize),
    step: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let taken = match recordings.get(&key) {
        Some(Step::Recorded(recording)) => return recording.replay(),
        Some(Step::Started) => return step(),
        None => {
            step()?;
            Step::Taken
        }
        Some(Step::Taken) => match device.record(&mut || step())? {
            Some(recording) => {
                recording.replay()?;
                Step::Recorded(recording)
            }
            None => {
                step()?;
                Step::Started
            }
        },
    };
    recordings.insert(key, taken);
    Ok(())
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
        self.logits_of(hidden, rows)
    }

    fn logprobs(&self, hidden: &Hidden, wanted: &[(usize, u32)]) -> Result<Vec<f64>> {
        self.logprobs_of(hidden, wanted)
    }
}
