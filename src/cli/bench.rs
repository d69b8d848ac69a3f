//! `bench`: throughput on this machine.

use super::Context;
use super::train_flags::check_dtype;
use crate::error::Result;
use crate::job::{EventSink, JobEvent};
use crate::model::Projection;
use crate::tr;
use crate::workbench::bench::{TrainBench, bench_train};
use indicatif::ProgressBar;

/// Measure the throughput of this machine
#[derive(clap::Args)]
#[command(after_help = "Example:\n  linly-bench bench train --model smollm2-135m --seq-len 512 --batch 4 --steps 3")]
pub struct BenchArgs {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(clap::Subcommand)]
enum BenchCommand {
    /// LoRA training steps on seeded random tokens
    #[command(
        after_help = "Example:\n  linly-bench bench train --model smollm2-135m --target attention --supervised 0.5 --json"
    )]
    Train(TrainArgs),
}

#[derive(clap::Args)]
struct TrainArgs {
    /// Catalogue name, Hugging Face folder or .gguf file
    #[arg(long, value_name = "M")]
    model: String,
    /// Tokens of a row
    #[arg(long, value_name = "N", default_value_t = 512)]
    seq_len: usize,
    /// Rows of a step
    #[arg(long, value_name = "B", default_value_t = 4)]
    batch: usize,
    /// Steps that are timed, after one that is not
    #[arg(long, value_name = "N", default_value_t = 3)]
    steps: usize,
    /// Adapted projections: attention, all, or a list
    #[arg(long, value_name = "MODULES", default_value = "attention")]
    target: String,
    /// Share of each row that carries loss
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    supervised: f64,
    /// Arithmetic: f32 or auto
    #[arg(long, default_value = "auto")]
    dtype: String,
}

struct Bar(ProgressBar);

impl EventSink for Bar {
    fn emit(&self, event: &JobEvent) {
        if let JobEvent::Progress { done, .. } = event {
            self.0.set_position(*done);
        }
    }
}

/// Runs `linly-bench bench …`.
///
/// # Errors
/// Those of the verb.
pub fn run(context: &Context, args: BenchArgs) -> Result<()> {
    let BenchCommand::Train(args) = args.command;
    check_dtype(&args.dtype)?;
    let bench = TrainBench {
        seq_len: args.seq_len,
        batch: args.batch,
        steps: args.steps,
        targets: Projection::parse_targets(&args.target)?,
        supervised: args.supervised,
        seed: context.settings().seed,
    };
    let cancel = context.cancel_on_signals()?;
    let model = context.workbench()?.load_model(&args.model)?;
    let bar = Bar(context.ui.bar(args.steps as u64, false));
    let report = bench_train(&model, &bench, &bar, &cancel);
    bar.0.finish_and_clear();
    let report = report?;
    if context.ui.json {
        context.ui.json_line(&report);
        return Ok(());
    }
    let (speed, step, memory) = (report.tokens_per_second, report.step_ms, report.peak_rss_mb);
    let (dtype, threads) = (&report.dtype, report.threads);
    context.ui.line(&tr!(
        "{speed:.0} tokens/s, {step:.0} ms a step, peak memory {memory:.0} MiB ({dtype}, {threads} threads)",
        "{speed:.0} 词元/秒，每步 {step:.0} 毫秒，内存峰值 {memory:.0} MiB（{dtype}，{threads} 线程）"
    ));
    Ok(())
}
