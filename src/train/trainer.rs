//! The training loop.

use super::checkpoint::{Checkpoint, Progress};
use super::config::TrainConfig;
use super::optimizer::{AdamW, clip_coefficient, global_norm};
use crate::batch::{collate, epoch_plan, supervised_tokens};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink, JobEvent, StepMetrics};
use crate::model::{Decoder, Lora, Tape};
use crate::ops::DropoutMask;
use crate::prompt::Rendered;
use crate::tr;
use std::path::PathBuf;
use std::time::Instant;

/// Rows to learn from and rows to be judged by.
pub struct TrainData {
    /// Trained on. No longer than `max_len`, each with a supervised token.
    pub train: Vec<Rendered>,
    /// Held out.
    pub val: Vec<Rendered>,
}

/// How a training ended.
#[derive(Clone, Debug)]
pub struct TrainOutcome {
    /// The factors to ship: those with the lowest validation loss, or the last without validation rows.
    pub lora: Lora,
    /// Where it stands.
    pub progress: Progress,
    /// Steps planned; fewer were taken when it was cancelled.
    pub total_steps: u64,
    /// Whether the user stopped it.
    pub cancelled: bool,
}

/// A training that is set up.
pub struct Trainer<'a> {
    /// The frozen model.
    pub decoder: &'a Decoder,
    /// The rows.
    pub data: &'a TrainData,
    /// Settings.
    pub config: &'a TrainConfig,
    /// Where checkpoints go; also where a resumed run reads its own.
    pub checkpoint: Option<PathBuf>,
    /// Hears every step.
    pub sink: &'a dyn EventSink,
    /// Asked at each step.
    pub cancel: &'a CancelToken,
}

/// Mean negative log-likelihood per supervised token over `rows`, in nats.
///
/// # Errors
/// Those of [`Decoder::loss`]; `Interrupted`.
pub fn mean_loss(
    decoder: &Decoder,
    lora: Option<&Lora>,
    rows: &[Rendered],
    tokens_at_once: usize,
    tape: &mut Tape,
    cancel: &CancelToken,
) -> Result<f64> {
    let (mut sum, mut count) = (0.0, 0);
    let mut start = 0;
    while start < rows.len() {
        if cancel.is_cancelled() {
            return Err(Error::new(Kind::Interrupted, tr!("interrupted", "已中断")));
        }
        let mut end = start + 1;
        let mut tokens = rows[start].ids.len();
        while end < rows.len() && tokens + rows[end].ids.len() <= tokens_at_once {
            tokens += rows[end].ids.len();
            end += 1;
        }
        let batch = collate(&rows[start..end]);
        sum += decoder.loss(&batch, lora, None, None, tape)?;
        count += batch.targets.len();
        start = end;
    }
    Ok(if count == 0 { 0.0 } else { sum / count as f64 })
}

impl Trainer<'_> {
    /// Trains from the start, or from the checkpoint when `resume` is set.
    ///
    /// # Errors
    /// `InvalidInput` for settings or data that cannot train, `Internal` when the loss is no longer a
    /// number, I/O of checkpoints.
    pub fn run(&self, resume: bool) -> Result<TrainOutcome> {
        self.config.check()?;
        if self.data.train.is_empty() {
            return Err(Error::new(Kind::InvalidInput, tr!("there is no row to train on", "没有可训练的数据")).hint(
                tr!(
                    "raise --max-len, or look at the rows with `data show`",
                    "请调大 --max-len，或用 `data show` 查看数据"
                ),
            ));
        }
        let lengths: Vec<usize> = self.data.train.iter().map(|r| r.ids.len()).collect();
        let plan = |epoch| epoch_plan(&lengths, self.config.shape, self.config.seed, epoch);
        let mut epoch_of_plan = 0;
        let mut micro_batches = plan(0);
        let per_epoch = self.config.steps_per_epoch(micro_batches.len());
        let total = self.config.total_steps(micro_batches.len());

        let mut state = self.start(resume)?;
        let mut tape = Tape::default();
        if state.progress.step == 0 && state.progress.base_val_loss.is_none() {
            self.validate(&mut state, &mut tape)?;
        }
        let mut gradients = state.lora.zero_gradients();
        while state.progress.step < total {
            if self.cancel.is_cancelled() {
                return self.stop(state, total);
            }
            let (epoch, at) = (state.progress.step / per_epoch, (state.progress.step % per_epoch) as usize);
            if epoch != epoch_of_plan {
                micro_batches = plan(epoch);
                epoch_of_plan = epoch;
            }
            let window = micro_batches.chunks(self.config.accum).nth(at).unwrap_or_default();
            let metrics = self.step(window, total, &mut state, &mut gradients, &mut tape)?;
            self.sink.emit(&JobEvent::Step(metrics));
            let step = state.progress.step;
            let due = |every: u64| every > 0 && step.is_multiple_of(every);
            if due(self.config.eval_every) || step == total {
                // Stopped in mid-validation: the step is taken and kept, its validation is not.
                match self.validate(&mut state, &mut tape) {
                    Err(e) if e.kind == Kind::Interrupted => return self.stop(state, total),
                    other => other?,
                }
            }
            if due(self.config.save_every) && step < total {
                self.save(&state)?;
            }
        }
        self.finish(state, total, false)
    }

    fn start(&self, resume: bool) -> Result<Checkpoint> {
        let lora = Lora::new(self.config.lora.clone(), self.decoder.config(), self.config.seed);
        let sizes: Vec<usize> = lora.tensors().iter().map(|(_, _, data)| data.len()).collect();
        let optimizer = AdamW::new(sizes.into_iter(), self.config.weight_decay);
        match &self.checkpoint {
            Some(path) if resume && path.exists() => Checkpoint::load(path, (lora, optimizer)),
            _ => Ok(Checkpoint { progress: Progress::default(), best: lora.clone(), lora, optimizer }),
        }
    }

    /// One optimiser step over a window of micro-batches. The loss of every micro-batch is divided by the
    /// supervised tokens of the whole window, so that the split into micro-batches changes nothing.
    fn step(
        &self,
        window: &[Vec<usize>],
        total: u64,
        state: &mut Checkpoint,
        gradients: &mut crate::model::LoraGradients,
        tape: &mut Tape,
    ) -> Result<StepMetrics> {
        let started = Instant::now();
        let rows = |micro: &[usize]| micro.iter().map(|i| &self.data.train[*i]).collect::<Vec<_>>();
        let supervised: usize = window.iter().flat_map(|m| rows(m)).map(supervised_tokens).sum();
        let tokens: usize = window.iter().flat_map(|m| rows(m)).map(|r| r.ids.len()).sum();
        let scale = 1.0 / supervised.max(1) as f32;
        let step = state.progress.step + 1;
        gradients.clear();
        let mut sum = 0.0;
        for (i, micro) in window.iter().enumerate() {
            let batch = collate(rows(micro));
            let seed = self.config.seed ^ (step << 16) ^ i as u64;
            let dropout = DropoutMask { seed, p: self.config.lora.dropout as f32, first_row: 0 }.child(step);
            sum += self.decoder.loss(&batch, Some(&state.lora), Some(dropout), Some((gradients, scale)), tape)?;
        }
        let loss = sum / supervised.max(1) as f64;
        let parts = gradients.parts();
        let norm = global_norm(&parts);
        if !loss.is_finite() || !norm.is_finite() {
            return Err(Error::new(
                Kind::InvalidInput,
                tr!("the loss is no longer a number at step {step}", "第 {step} 步的损失不再是数值"),
            )
            .hint(tr!("lower --lr, or lengthen --warmup", "请调低 --lr，或加长 --warmup")));
        }
        let lr = self.config.lr * self.config.schedule.factor(step, total, self.config.warmup);
        state.optimizer.update(state.lora.parameters_mut(), &parts, lr, clip_coefficient(norm, self.config.clip));
        state.progress.step = step;
        state.progress.last_loss = loss;
        let seconds = started.elapsed().as_secs_f64();
        Ok(StepMetrics {
            step,
            total,
            loss,
            lr,
            grad_norm: norm,
            tokens: tokens as u64,
            supervised_tokens: supervised as u64,
            tokens_per_second: tokens as f64 / seconds.max(1e-9),
        })
    }

    fn validate(&self, state: &mut Checkpoint, tape: &mut Tape) -> Result<()> {
        if self.data.val.is_empty() {
            return Ok(());
        }
        let at_once = self.config.shape.max_len.max(1024);
        let val_loss = mean_loss(self.decoder, Some(&state.lora), &self.data.val, at_once, tape, self.cancel)?;
        let step = state.progress.step;
        // Before the first step B is zero: this is the base model's loss.
        if step == 0 {
            state.progress.base_val_loss = Some(val_loss);
        }
        let best = state.progress.best.is_none_or(|(lowest, _)| val_loss < lowest);
        if best {
            state.progress.best = Some((val_loss, step));
            state.best = state.lora.clone();
        }
        self.sink.emit(&JobEvent::Eval { step, val_loss, best });
        Ok(())
    }

    fn save(&self, state: &Checkpoint) -> Result<()> {
        match &self.checkpoint {
            Some(path) => state.save(path),
            None => Ok(()),
        }
    }

    fn stop(&self, state: Checkpoint, total: u64) -> Result<TrainOutcome> {
        self.save(&state)?;
        self.finish(state, total, true)
    }

    fn finish(&self, state: Checkpoint, total_steps: u64, cancelled: bool) -> Result<TrainOutcome> {
        let lora = if self.data.val.is_empty() { state.lora } else { state.best };
        Ok(TrainOutcome { lora, progress: state.progress, total_steps, cancelled })
    }
}
