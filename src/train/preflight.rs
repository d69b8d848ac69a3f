//! Before the first step: how much memory the run will take, which plan fits, and a trial of the largest piece of work.

use super::trainer::Trainer;
use crate::batch::collate;
use crate::error::Result;
use crate::job::JobEvent;
use crate::machine::{free_memory, peak_rss_mb};
use crate::model::{Lora, LoraGradients, MemoryPlan, Tape, choose_plan, mib};
use crate::tr;
use std::time::Instant;

impl Trainer<'_> {
    /// Chooses how much of a batch is in memory at a time and says so. A resumed run keeps its plan (`kept`): another
    /// would add up in another order.
    ///
    /// # Errors
    /// `InvalidInput` when the memory is too small for any plan.
    pub(super) fn memory_plan(&self, lora: &Lora, kept: Option<MemoryPlan>) -> Result<MemoryPlan> {
        let longest = self.longest();
        let rows = self.data.train.iter().chain(&self.data.val).map(|r| 5 * r.ids.len() + r.text.len()).sum();
        let free = free_memory();
        let (mut plan, estimate) = choose_plan(self.decoder, lora, self.config.checkpointing, longest, rows, free)?;
        if let Some(kept) = kept {
            plan = kept;
        }
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
        self.sink.emit(&JobEvent::Log {
            message: tr!(
                "memory: about {total} MiB{free}: weights {weights}, kept for the backward {kept}, the rest {rest}; {again}",
                "内存：约 {total} MiB{free}：权重 {weights}，反向所需 {kept}，其余 {rest}；{again}"
            ),
        });
        Ok(plan)
    }

    /// Runs the largest slice of the data forward and back and forgets what came out: what it takes, no step exceeds.
    ///
    /// # Errors
    /// Those of the loss, before a step is taken.
    pub(super) fn preflight(&self, lora: &Lora, gradients: &mut LoraGradients, tape: &mut Tape) -> Result<()> {
        let started = Instant::now();
        let mut rows: Vec<_> = self.data.train.iter().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.ids.len()));
        // The longest rows together: no micro-batch has a larger slice.
        let mut tokens = 0;
        let largest = rows.into_iter().take(self.config.shape.batch_size).take_while(|row| {
            let more = tokens < tape.plan.tokens_at_once;
            tokens += row.ids.len();
            more
        });
        let batch = collate(largest);
        self.decoder.loss(&batch, Some(lora), None, Some((gradients, 1.0)), tape)?;
        gradients.clear();
        let (tokens, seconds, peak) = (batch.ids.len(), started.elapsed().as_secs_f64(), peak_rss_mb());
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
