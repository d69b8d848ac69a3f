//! From hidden states to logits and log-probabilities: the last norm and the output layer.

use super::linear::{Few, Many};
use super::{Adapted, State};
use crate::error::{Error, Result};
use crate::model::decoder::check_ids;
use crate::model::device::logit_stride;
use crate::model::inference::{Hidden, LOGIT_ROWS};
use crate::ops::cuda::{Buffer, MOST_ROWS, Number, gather_rows, norm_rows, token_logprobs};

/// Buffers of [`LOGIT_ROWS`] rows.
pub(super) struct Logits<T: Number> {
    picked: Buffer<f32>,
    normed: Buffer<T>,
    logits: Buffer<f32>,
    low: Buffer<T>,
}

impl<T: Number> Adapted<T> {
    /// Logits of up to [`LOGIT_ROWS`] rows of `hidden`, on the card; and how far apart they lie.
    fn logits_on_card<'a>(
        &self,
        state: &'a mut State<T>,
        hidden: &Buffer<f32>,
        rows: &[usize],
    ) -> Result<(&'a Buffer<f32>, usize)> {
        let model = &*self.model;
        let (device, width) = (&model.device, model.config.hidden_size);
        let stride = logit_stride(model.config.vocab_size);
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

    /// As [`Inference::logits`](crate::model::Inference::logits).
    pub(super) fn logits_of(&self, hidden: &Hidden, rows: &[usize]) -> Result<Vec<f32>> {
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

    /// As [`Inference::logprobs`](crate::model::Inference::logprobs).
    pub(super) fn logprobs_of(&self, hidden: &Hidden, wanted: &[(usize, u32)]) -> Result<Vec<f64>> {
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
