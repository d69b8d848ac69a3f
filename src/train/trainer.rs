//! The training loop.

use super::checkpoint::{Checkpoint, Progress, Stored};
use super::checkpoint_folder::CheckpointFolder;
use super::config::TrainConfig;
use super::optimizer::{AdamW, Group};
use super::peers::{self, Peers, is_mine};
use super::watch::{IDLE, IDLE_AFTER, Sign};
use super::work::{OnCard, Sums, Work};
use crate::batch::{collate, epoch_plan, supervised_tokens};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink, JobEvent, StepMetrics};
use crate::machine::rss_mb;
use crate::model::{Decoder, Lora, Tape, TrainingRows};
use crate::ops::{DropoutMask, EmbeddingNoise};
use crate::prompt::Rendered;
use crate::tr;
use std::time::Instant;

/// Rows to learn from and rows to be judged by.
pub struct TrainData {
    /// Trained on. No longer than `max_len`, each with a supervised token.
    pub train: Vec<Rendered>,
    /// Held out.
    pub val: Vec<Rendered>,
}

/// Why a training came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All steps were taken.
    Finished,
    /// The user stopped it.
    Cancelled,
    /// A loss or a gradient was no longer a number at this step. The state before it is kept.
    Diverged(u64),
}

/// How a training ended.
#[derive(Clone, Debug)]
pub struct TrainOutcome {
    /// The factors to ship: those with the lowest validation loss, or the last without validation rows.
    pub lora: Lora,
    /// Where it stands.
    pub progress: Progress,
    /// Steps planned; fewer were taken when it did not finish.
    pub total_steps: u64,
    /// Why it ended.
    pub ending: Ending,
}

/// Hears of the factors after a step at which samples are due, to show what the model answers by then.
pub type Sampler<'a> = &'a dyn Fn(&Lora, u64) -> Result<()>;

/// A training that is set up.
pub struct Trainer<'a> {
    /// The frozen model.
    pub decoder: &'a Decoder,
    /// The rows.
    pub data: &'a TrainData,
    /// Settings.
    pub config: &'a TrainConfig,
    /// Where checkpoints go.
    pub checkpoints: Option<CheckpointFolder>,
    /// Called every [`TrainConfig::sample_every`] steps.
    pub sampler: Option<Sampler<'a>>,
    /// Hears every step.
    pub sink: &'a dyn EventSink,
    /// Asked at each step.
    pub cancel: &'a CancelToken,
    /// The card to train on; `None` is the processor.
    pub card: Option<OnCard>,
    /// The processes that train together with this one.
    pub peers: Option<&'a dyn Peers>,
}

/// Tells the noise on embeddings apart from the dropout of any block.
const NOISE: u64 = u64::MAX;

/// What a training works with from its first step to its last.
struct Session {
    state: Checkpoint,
    work: Work,
    total: u64,
    /// When this process began to take steps, and after which step.
    began: (Instant, u64),
}

/// What became of a step.
enum Taken {
    /// Its figures and warnings.
    Step(StepMetrics, Vec<String>),
    /// The loss or the gradient is not a number; the step was not taken.
    Diverged,
    /// A process was asked to stop; the step was not taken.
    Stopped,
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
    mean_of(rows, tokens_at_once, cancel, |batch| decoder.loss(batch, lora, None, None, tape))
}

/// The same, whatever computes the sum of a batch's losses.
fn mean_of(
    rows: &[Rendered],
    tokens_at_once: usize,
    cancel: &CancelToken,
    mut loss: impl FnMut(&TrainingRows) -> Result<f64>,
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
        sum += loss(&batch)?;
        count += batch.targets.len();
        start = end;
    }
    Ok(if count == 0 { 0.0 } else { sum / count as f64 })
}

impl Trainer<'_> {
    /// Trains from the start, or goes on from `resume`.
    ///
    /// # Errors
    /// `InvalidInput` for settings or data that cannot train and for a model whose loss is not a number,
    /// `Mismatch` for a checkpoint of other settings, I/O of checkpoints, errors of the sampler.
    pub fn run(&self, resume: Option<Stored>) -> Result<TrainOutcome> {
        self.config.check()?;
        peers::check(self.peers, self.config.accum)?;
        if self.data.train.is_empty() {
            return Err(Error::new(Kind::InvalidInput, tr!("there is no row to train on", "没有可训练的数据")).hint(
                tr!(
                    "raise --max-len, or look at the rows with `data show`",
                    "请调大 --max-len，或用 `data show` 查看数据"
                ),
            ));
        }
        let lengths: Vec<usize> = self.data.train.iter().map(|r| r.ids.len()).collect();
        let rows_of = |epoch| epoch_plan(&lengths, self.config.shape, self.config.seed, epoch);
        let mut epoch_of_plan = 0;
        let mut micro_batches = rows_of(0);
        let per_epoch = self.config.steps_per_epoch(micro_batches.len());
        let total = self.config.total_steps(micro_batches.len());

        let mut arrived = resume.is_none();
        let mut state = self.start(resume)?;
        let (plan, mut work) = self.prepare(&mut state)?;
        let began = (Instant::now(), state.progress.step);
        self.preflight(&state, plan, &mut work)?;
        let mut s = Session { work, state, total, began };
        loop {
            if let Some(ending) = self.between_steps(&mut s, arrived)? {
                return self.end(s, ending);
            }
            let step = s.state.progress.step;
            if step >= total {
                return self.end(s, Ending::Finished);
            }
            let (epoch, at) = (step / per_epoch, (step % per_epoch) as usize);
            if epoch != epoch_of_plan {
                micro_batches = rows_of(epoch);
                epoch_of_plan = epoch;
            }
            let window = micro_batches.chunks(self.config.accum).nth(at).unwrap_or_default();
            let (metrics, warnings) = match self.step(window, &mut s)? {
                Taken::Step(metrics, warnings) => (metrics, warnings),
                Taken::Diverged => {
                    self.save(&mut s)?;
                    return self.end(s, Ending::Diverged(step + 1));
                }
                Taken::Stopped => {
                    self.save(&mut s)?;
                    return self.end(s, Ending::Cancelled);
                }
            };
            self.sink.emit(&JobEvent::Step(metrics));
            for message in warnings {
                self.sink.emit(&JobEvent::Warning { step: step + 1, message });
            }
            arrived = true;
        }
    }

    fn start(&self, resume: Option<Stored>) -> Result<Checkpoint> {
        let mut lora = Lora::new(self.config.lora.clone(), self.decoder.config(), self.config.seed);
        self.decoder.prepare(&mut lora);
        let tensors = lora.tensors();
        let group = |i: usize| {
            let is_b = tensors.get(i).is_some_and(|(name, _, _)| is_b_factor(name));
            Group { rate: if is_b { self.config.lora_plus } else { 1.0 }, ..Group::default() }
        };
        let sizes = tensors.iter().map(|(_, _, data)| data.len());
        let optimizer = AdamW::new(sizes, self.config.weight_decay).with_groups(group);
        let resume = match self.peers {
            None => resume,
            Some(peers) => {
                // The first process alone has read a checkpoint: the others begin where it does.
                let bytes = peers.share(resume.map_or_else(Vec::new, Stored::into_bytes))?;
                (!bytes.is_empty()).then(|| Stored::from_bytes(bytes, std::path::Path::new("-"))).transpose()?
            }
        };
        match resume {
            Some(stored) => stored.restore((lora, optimizer)),
            None => Ok(Checkpoint { progress: Progress::default(), best: lora.clone(), lora, optimizer }),
        }
    }

    /// Whether this process stores, validates and shows.
    fn is_first(&self) -> bool {
        self.peers.is_none_or(|peers| peers.rank() == 0)
    }

    /// What is due after a step, in this order: validation, samples, a checkpoint. `arrived` is false at the step that
    /// a checkpoint was resumed at, whose samples are shown and whose checkpoint is written. Gives why to end.
    fn between_steps(&self, s: &mut Session, arrived: bool) -> Result<Option<Ending>> {
        let step = s.state.progress.step;
        let due = |every: u64| every > 0 && step.is_multiple_of(every);
        let stopped = |e: Error| if e.kind == Kind::Interrupted { Ok(Ending::Cancelled) } else { Err(e) };
        if !self.is_first() {
            return Ok(None);
        }
        let validate = (due(self.config.eval_every) || step == 0 || step == s.total) && !self.data.val.is_empty();
        if validate && s.state.progress.validated != Some(step) {
            match self.validate(s) {
                Ok(true) => {}
                Ok(false) => return Ok(Some(Ending::Diverged(step))),
                // Stopped in mid-validation: the step is kept, the validation is made up for.
                Err(e) => return self.stop(s, stopped(e)?),
            }
            if step == 0 {
                s.began.0 = Instant::now();
            }
        }
        if let Some(sample) = self.sampler
            && arrived
            && step > 0
            && due(self.config.sample_every)
        {
            s.work.settle(&mut s.state)?;
            if let Err(e) = sample(&s.state.lora, step) {
                return self.stop(s, stopped(e)?);
            }
        }
        // Processes that train together stop together, within a step.
        if self.peers.is_none() && step < s.total && self.cancel.is_cancelled() {
            return self.stop(s, Ending::Cancelled);
        }
        if arrived && self.config.save_every > 0 && (due(self.config.save_every) || step == s.total) {
            self.save(s)?;
        }
        Ok(None)
    }

    /// One optimiser step over a window of micro-batches. The loss of every micro-batch is divided by the
    /// supervised tokens of the whole window, so that the split into micro-batches changes nothing.
    fn step(&self, window: &[Vec<usize>], s: &mut Session) -> Result<Taken> {
        let started = Instant::now();
        let rows = |micro: &[usize]| micro.iter().map(|i| &self.data.train[*i]).collect::<Vec<_>>();
        let supervised: usize = window.iter().flat_map(|m| rows(m)).map(supervised_tokens).sum();
        let tokens: usize = window.iter().flat_map(|m| rows(m)).map(|r| r.ids.len()).sum();
        let scale = 1.0 / supervised.max(1) as f32;
        let Session { state, work, .. } = s;
        let step = state.progress.step + 1;
        work.clear()?;
        for (i, micro) in window.iter().enumerate().filter(|(i, _)| is_mine(self.peers, *i)) {
            let mut batch = collate(rows(micro));
            let seed = self.config.seed ^ (step << 16) ^ i as u64;
            let dropout = DropoutMask { seed, p: self.config.lora.dropout as f32, first_row: 0 }.child(step);
            let alpha = self.config.neftune as f32;
            batch.noise = (alpha > 0.0).then_some(EmbeddingNoise { seed: dropout.child(NOISE).seed, alpha });
            work.add(self.decoder, state, &batch, Some(dropout), scale)?;
        }
        let stop = self.peers.is_some() && self.cancel.is_cancelled();
        let Sums { loss, norm, stop } = work.sums(self.peers, stop, self.config.clip)?;
        if stop {
            return Ok(Taken::Stopped);
        }
        let loss = loss / supervised.max(1) as f64;
        if !loss.is_finite() || !norm.is_finite() {
            return Ok(Taken::Diverged);
        }
        let lr = self.config.lr * self.config.schedule.factor(step, s.total, self.config.warmup);
        work.step(state, lr, norm, self.config.clip)?;
        state.progress.step = step;
        state.progress.last_loss = loss;
        let seconds = started.elapsed().as_secs_f64().max(1e-9);
        let warming_up = step as f64 <= s.total as f64 * self.config.warmup;
        let mut signs = state.progress.watch.see(step, loss, norm, warming_up);
        if step == IDLE_AFTER {
            work.settle(state)?;
            signs.extend(idle_factors(state));
        }
        let (began, first) = s.began;
        let pace = began.elapsed().as_secs_f64() / (step - first) as f64;
        let metrics = StepMetrics {
            step,
            total: s.total,
            loss,
            smoothed_loss: state.progress.watch.smoothed(),
            lr,
            grad_norm: norm,
            tokens: tokens as u64,
            supervised_tokens: supervised as u64,
            tokens_per_second: tokens as f64 / seconds,
            supervised_tokens_per_second: supervised as f64 / seconds,
            rss_mb: rss_mb(),
            eta_seconds: pace * s.total.saturating_sub(step) as f64,
        };
        Ok(Taken::Step(metrics, signs.into_iter().map(|(_, message)| message).collect()))
    }

    /// Whether the loss on the held-out rows is a number.
    fn validate(&self, s: &mut Session) -> Result<bool> {
        let at_once = self.config.shape.max_len.max(1024);
        let Session { state, work, .. } = s;
        let val_loss = mean_of(&self.data.val, at_once, self.cancel, |batch| work.loss(self.decoder, state, batch))?;
        let step = state.progress.step;
        if !val_loss.is_finite() && step == 0 {
            return Err(Error::new(
                Kind::InvalidInput,
                tr!("the model's loss on the held-out rows is not a number", "模型在留出数据上的损失不是数值"),
            )
            .hint(tr!("pull the model again, or use another one", "请重新下载该模型，或换用其他模型")));
        }
        if !val_loss.is_finite() {
            return Ok(false);
        }
        // Before the first step B is zero: this is the base model's loss.
        if step == 0 {
            state.progress.base_val_loss = Some(val_loss);
        }
        let best = state.progress.best.is_none_or(|(lowest, _)| val_loss < lowest);
        if best {
            state.progress.best = Some((val_loss, step));
            work.settle(state)?;
            state.best = state.lora.clone();
        }
        state.progress.validated = Some(step);
        state.progress.last_val_loss = Some(val_loss);
        self.sink.emit(&JobEvent::Eval { step, val_loss, best });
        Ok(true)
    }

    fn save(&self, s: &mut Session) -> Result<()> {
        let Some(folder) = self.checkpoints.as_ref().filter(|_| self.is_first()) else { return Ok(()) };
        s.work.settle(&mut s.state)?;
        folder.save(&s.state)
    }

    /// The same ending, after a checkpoint.
    fn stop(&self, s: &mut Session, ending: Ending) -> Result<Option<Ending>> {
        self.save(s)?;
        Ok(Some(ending))
    }

    fn end(&self, s: Session, ending: Ending) -> Result<TrainOutcome> {
        let Session { mut state, work, total, .. } = s;
        work.settle(&mut state)?;
        let lora = if self.data.val.is_empty() { state.lora } else { state.best };
        Ok(TrainOutcome { lora, progress: state.progress, total_steps: total, ending })
    }
}

/// Whether PEFT's tensor name is that of a B factor, which starts at zero.
fn is_b_factor(name: &str) -> bool {
    name.ends_with("lora_B.weight")
}

/// Says so when B factors have hardly left zero.
fn idle_factors(state: &mut Checkpoint) -> Option<(Sign, String)> {
    let tensors = state.lora.tensors();
    let factors: Vec<_> = tensors.iter().filter(|(name, _, _)| is_b_factor(name)).collect();
    let idle = factors.iter().filter(|(_, _, data)| data.iter().all(|x| x.abs() < IDLE));
    let idle: Vec<String> = idle.map(|(name, _, _)| name.clone()).collect();
    state.progress.watch.see_idle(&idle, factors.len())
}
