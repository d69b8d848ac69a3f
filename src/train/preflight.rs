//! Before the first step: how much memory the run will take, which plan fits, and a trial of the largest piece of work.

use super::checkpoint::Checkpoint;
use super::trainer::Trainer;
use super::work::{OnCard, Work};
use crate::batch::collate;
use crate::error::Result;
use crate::job::JobEvent;
use crate::machine::{free_memory, peak_rss_mb};
use crate::model::{
    BaseStorage, CardDemand, MemoryEstimate, MemoryPlan, TrainingSizes, choose_card_plan, choose_plan, mib,
};
use crate::ops::DropoutMask;
use crate::tr;
use std::time::Instant;

impl Trainer<'_> {
    /// Chooses where and how much of a batch is in memory at a time, says so, and makes ready what computes. A resumed run keeps
    /// its plan: another would add up in another order; elsewhere than before it has a new one.
    ///
    /// # Errors
    /// `InvalidInput` when the memory is too small for any plan; those of the card.
    pub(super) fn prepare(&self, state: &mut Checkpoint) -> Result<(MemoryPlan, Work)> {
        let place = self.card.as_ref().map(|card| card.place().to_owned());
        let mut kept = state.progress.plan;
        if kept.is_some() && place != state.progress.place {
            let name = |place: &Option<String>| place.clone().unwrap_or_else(|| "cpu".to_owned());
            let (before, now) = (name(&state.progress.place), name(&place));
            self.log(tr!(
                "the run began on another device ({before}) and goes on on this one ({now}): its numbers are rounded otherwise from here on",
                "该运行原先在另一设备上（{before}），现改在此设备（{now}）继续：此后的舍入有所不同"
            ));
            kept = None;
        }
        let (mut plan, estimate, free) = match &self.card {
            None => {
                let free = free_memory();
                let rows = self.data.train.iter().chain(&self.data.val).map(|r| 5 * r.ids.len() + r.text.len()).sum();
                let longest = self.longest();
                let chosen = choose_plan(self.decoder, &state.lora, self.config.checkpointing, longest, rows, free)?;
                (chosen.0, chosen.1, free)
            }
            Some(card) => {
                let free = card.device.memory().map(|(free, _)| free);
                let sizes = TrainingSizes::of(self.decoder, &state.lora);
                let chosen = choose_card_plan(&sizes, self.demand(card), self.config.checkpointing, free)?;
                (chosen.0, chosen.1, free)
            }
        };
        plan = kept.unwrap_or(plan);
        state.progress.plan = Some(plan);
        state.progress.place = place;
        self.say(plan, &estimate, free);
        if let Some(peers) = self.peers {
            let nccl = self.card.as_ref().map(|card| peers.meet_on_cards(&card.device)).transpose()? == Some(true);
            let (count, way) = (peers.count(), if nccl { "NCCL" } else { "TCP" });
            self.log(tr!("{count} processes add up their gradients over {way}", "{count} 个进程通过 {way} 累加梯度"));
        }
        let work = match &self.card {
            None => Work::cpu(state, plan),
            Some(card) => {
                let mut training = card.open(self.decoder, state)?;
                training.set_plan(plan);
                Work::Card(training)
            }
        };
        Ok((plan, work))
    }

    fn demand(&self, card: &OnCard) -> CardDemand {
        let longest = self.longest();
        CardDemand {
            storage: if card.blocks { self.decoder.storage_on_card() } else { BaseStorage::Full },
            exact: card.exact,
            dropout: self.config.lora.dropout > 0.0,
            batch: self.config.shape.batch_size * longest,
            longest,
        }
    }

    fn log(&self, message: String) {
        self.sink.emit(&JobEvent::Log { message });
    }

    fn say(&self, plan: MemoryPlan, estimate: &MemoryEstimate, free: Option<u64>) {
        let [total, weights, kept, rest] =
            [estimate.total(), estimate.weights, estimate.kept, estimate.total() - estimate.weights - estimate.kept]
                .map(mib);
        let again = match plan.checkpointing {
            true => tr!("blocks run again on the way back", "反向时逐层重新计算"),
            false => tr!("nothing is computed twice", "不重复计算"),
        };
        let free = free.map_or(String::new(), |free| {
            let free = mib(free as usize);
            tr!(" of {free} MiB free", "，可用 {free} MiB")
        });
        let what = match &self.card {
            None => tr!("memory", "内存"),
            Some(card) => {
                let name = card.device.name();
                tr!("memory of the GPU ({name})", "显存（{name}）")
            }
        };
        self.log(tr!(
            "{what}: about {total} MiB{free}: weights {weights}, kept for the backward {kept}, the rest {rest}; {again}",
            "{what}：约 {total} MiB{free}：权重 {weights}，反向所需 {kept}，其余 {rest}；{again}"
        ));
    }

    /// Runs the largest slice of the data forward and back and forgets what came out: what it takes, no step exceeds.
    ///
    /// # Errors
    /// Those of the loss, before a step is taken.
    pub(super) fn preflight(&self, state: &Checkpoint, plan: MemoryPlan, work: &mut Work) -> Result<()> {
        let started = Instant::now();
        let mut rows: Vec<_> = self.data.train.iter().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.ids.len()));
        // The longest rows together: no micro-batch has a larger slice.
        let mut tokens = 0;
        let largest = rows.into_iter().take(self.config.shape.batch_size).take_while(|row| {
            let more = tokens < plan.tokens_at_once;
            tokens += row.ids.len();
            more
        });
        let batch = collate(largest);
        // With dropout where there is some: on a card its buffers are made now.
        let p = if self.card.is_some() { self.config.lora.dropout as f32 } else { 0.0 };
        let dropout = Some(DropoutMask { seed: 0, p, first_row: 0 });
        work.clear()?;
        work.add(self.decoder, state, &batch, dropout, 1.0)?;
        if let Work::Card(card) = work {
            // The card works on when the call has returned.
            card.total()?;
        }
        work.clear()?;
        let taken = self.card.as_ref().and_then(|card| card.device.memory());
        let peak = taken.map_or_else(peak_rss_mb, |(free, all)| (all - free) as f64 / f64::from(1 << 20));
        let (tokens, seconds) = (batch.ids.len(), started.elapsed().as_secs_f64());
        self.sink.emit(&JobEvent::Log {
            message: tr!(
                "trial of the longest rows: {tokens} tokens in {seconds:.1} s, {peak:.0} MiB held at most",
                "最长数据试运行：{tokens} 个词元，{seconds:.1} 秒，内存最多 {peak:.0} MiB"
            ),
        });
        Ok(())
    }

    fn longest(&self) -> usize {
        self.data.train.iter().chain(&self.data.val).map(|row| row.ids.len()).max().unwrap_or(0)
    }
}
