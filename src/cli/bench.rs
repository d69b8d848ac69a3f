//! `bench`: throughput on this machine.

use super::Context;
use crate::error::Result;
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::model::{BaseStorage, Checkpointing, Decoder, Projection, WeightForm};
use crate::tr;
use crate::workbench::answering::weight_form;
use crate::workbench::bench::{BenchReport, TrainBench, bench_train, random_decoder};
use crate::workbench::bench_card::{CardBench, CardModel, bench_train_on_card};
use crate::workbench::bench_infer::{
    EvalBench, InferBench, InferReport, Timed, bench_eval, bench_infer, random_on_card, timed_on_card,
};
use crate::workbench::device::{Wish, form_beside_card};
use indicatif::ProgressBar;
use std::path::PathBuf;
use std::sync::Arc;

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
    /// Reading prompts and writing answers
    #[command(after_help = "Example:\n  linly-bench bench infer --model smollm2-135m --prompt 512 --new-tokens 64")]
    Infer(InferArgs),
    /// Scoring four-way questions behind shared examples
    #[command(after_help = "Example:\n  linly-bench bench eval --model smollm2-135m --shared 900 --question 210")]
    Eval(EvalArgs),
}

/// Which model, in which form.
#[derive(clap::Args)]
struct ModelArgs {
    /// Catalogue name, Hugging Face folder or .gguf file
    #[arg(long, value_name = "M", required_unless_present = "random_init")]
    model: Option<String>,
    /// Random weights for a Hugging Face config.json instead of a model's own
    #[arg(long, value_name = "CONFIG.json", conflicts_with = "model")]
    random_init: Option<PathBuf>,
    /// Arithmetic: f32, bf16 or auto (bf16 where the processor has it)
    #[arg(long, value_name = "f32|bf16|auto", default_value = "auto")]
    dtype: String,
    /// How the frozen base is held: full, keep (as its file has it), int8 or int4
    #[arg(long, value_name = "FORM", default_value = "full")]
    quantize: String,
}

#[derive(clap::Args)]
struct TrainArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Tokens of a row
    #[arg(long, value_name = "N", default_value_t = 512)]
    seq_len: usize,
    /// Rows of mixed length instead: drawn evenly between LOW and HIGH tokens
    #[arg(long, value_names = ["LOW", "HIGH"], num_args = 2, conflicts_with = "seq_len")]
    padded: Option<Vec<usize>>,
    /// Rows of a step
    #[arg(long, value_name = "B", default_value_t = 4)]
    batch: usize,
    /// Steps that are timed, after one that is not
    #[arg(long, value_name = "N", default_value_t = 3)]
    steps: usize,
    /// Adapted projections: attention, all, or a list
    #[arg(long, value_name = "MODULES", default_value = "attention")]
    target: String,
    /// Rank of their factors
    #[arg(long, value_name = "R", default_value_t = 8)]
    rank: usize,
    /// On a GPU: run blocks again on the way back, auto, on or off
    #[arg(long, value_name = "auto|on|off", default_value = "auto")]
    checkpointing: String,
    /// Share of each row that carries loss
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    supervised: f64,
}

#[derive(clap::Args)]
struct InferArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Tokens of a prompt
    #[arg(long, value_name = "N", default_value_t = 512)]
    prompt: usize,
    /// Tokens written after it
    #[arg(long, value_name = "N", default_value_t = 64)]
    new_tokens: usize,
    /// Prompts that are answered side by side
    #[arg(long, value_name = "B", default_value_t = 1)]
    batch: usize,
}

#[derive(clap::Args)]
struct EvalArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Questions
    #[arg(long, value_name = "N", default_value_t = 32)]
    items: usize,
    /// Tokens of the examples that all questions share
    #[arg(long, value_name = "N", default_value_t = 900)]
    shared: usize,
    /// Tokens of a question
    #[arg(long, value_name = "N", default_value_t = 210)]
    question: usize,
}

struct Bar(ProgressBar);

impl EventSink for Bar {
    fn emit(&self, event: &JobEvent) {
        if let JobEvent::Progress { done, .. } = event {
            self.0.set_position(*done);
        }
    }
}

/// The decoder that is asked for, and what to call it.
fn decoder(context: &Context, args: &ModelArgs) -> Result<(String, Arc<Decoder>)> {
    let arithmetic = WeightForm::parse_arithmetic(&args.dtype)?;
    let form = WeightForm { arithmetic, storage: BaseStorage::parse(&args.quantize)? };
    match (&args.random_init, &args.model) {
        (Some(config), _) => {
            let seed = context.settings().seed;
            Ok((config.display().to_string(), Arc::new(random_decoder(config, form, seed)?)))
        }
        (None, model) => {
            let spec = model.clone().unwrap_or_default();
            let model = context.workbench()?.load_model_as(&spec, form)?;
            Ok((spec, model.decoder))
        }
    }
}

/// The model that is to read and write; on a card only where one was asked for by name: figures of the two are not to be mixed up.
fn timed(context: &Context, args: &ModelArgs) -> Result<Timed> {
    let Wish::Card(ordinal) = context.wish else {
        return decoder(context, args).map(|(name, decoder)| Timed::on_processor(decoder, &name));
    };
    let (form, exact) = weight_form(context.wish, &args.dtype, &args.quantize)?;
    match (&args.random_init, &args.model) {
        (Some(config), _) => {
            let name = config.display().to_string();
            random_on_card(ordinal, config, &name, form.storage, exact, context.settings().seed)
        }
        (None, model) => {
            let spec = model.clone().unwrap_or_default();
            timed_on_card(&context.workbench()?.load_to_answer(&spec, form, context.place(exact))?)
        }
    }
}

/// Runs `linly-bench bench …`.
///
/// # Errors
/// Those of the verb.
pub fn run(context: &Context, args: BenchArgs) -> Result<()> {
    match args.command {
        BenchCommand::Train(args) => train(context, &args),
        BenchCommand::Infer(args) => {
            let bench = InferBench {
                prompt: args.prompt,
                new_tokens: args.new_tokens,
                batch: args.batch,
                seed: context.settings().seed,
            };
            let cancel = context.cancel_on_signals()?;
            show(context, &bench_infer(timed(context, &args.model)?, bench, &cancel)?);
            Ok(())
        }
        BenchCommand::Eval(args) => {
            let bench = EvalBench {
                items: args.items,
                shared: args.shared,
                question: args.question,
                seed: context.settings().seed,
            };
            let cancel = context.cancel_on_signals()?;
            show(context, &bench_eval(timed(context, &args.model)?, bench, &cancel)?);
            Ok(())
        }
    }
}

fn train(context: &Context, args: &TrainArgs) -> Result<()> {
    let bench = TrainBench {
        lengths: match args.padded.as_deref() {
            Some([low, high]) => (*low, *high),
            _ => (args.seq_len, args.seq_len),
        },
        batch: args.batch,
        steps: args.steps,
        targets: Projection::parse_targets(&args.target)?,
        rank: args.rank.max(1),
        supervised: args.supervised,
        seed: context.settings().seed,
    };
    let cancel = context.cancel_on_signals()?;
    let bar = Bar(context.ui.bar(args.steps as u64, false));
    let report = match context.wish {
        Wish::Card(ordinal) => train_on_card(context, args, ordinal, &bench, &bar, &cancel),
        Wish::Auto | Wish::Cpu => decoder(context, &args.model)
            .and_then(|(name, decoder)| bench_train(&decoder, &name, &bench, &bar, &cancel)),
    };
    bar.0.finish_and_clear();
    let report = report?;
    if context.ui.json {
        context.ui.json_line(&report);
        return Ok(());
    }
    let (speed, step, memory) = (report.tokens_per_second, report.step_ms, report.peak_rss_mb);
    let (dtype, threads, device) = (&report.dtype, report.threads, &report.device);
    if let Some(memory) = report.peak_card_mb {
        let (rate, share) = (report.model_tflops, report.mfu.map_or(String::new(), |mfu| format!(", MFU {mfu:.3}")));
        context.ui.line(&tr!(
            "{speed:.0} tokens/s, {step:.0} ms a step, {rate:.1} TFLOP/s at 4N{share}, {memory:.0} MiB of the GPU in use ({device}, {dtype})",
            "{speed:.0} 词元/秒，每步 {step:.0} 毫秒，按 4N 计 {rate:.1} TFLOP/s{share}，占用显存 {memory:.0} MiB（{device}，{dtype}）"
        ));
        return Ok(());
    }
    context.ui.line(&tr!(
        "{speed:.0} tokens/s, {step:.0} ms a step, peak memory {memory:.0} MiB ({dtype}, {threads} threads)",
        "{speed:.0} 词元/秒，每步 {step:.0} 毫秒，内存峰值 {memory:.0} MiB（{dtype}，{threads} 线程）"
    ));
    Ok(())
}

/// The same on a card; only one that was asked for by name: figures of the two are not to be mixed up.
fn train_on_card(
    context: &Context,
    args: &TrainArgs,
    ordinal: usize,
    bench: &TrainBench,
    bar: &Bar,
    cancel: &CancelToken,
) -> Result<BenchReport> {
    let exact = args.model.dtype == "f32";
    let storage = BaseStorage::parse(&args.model.quantize)?;
    let form = WeightForm { storage, ..WeightForm::F32 };
    let how = CardBench { ordinal, exact, form, checkpointing: Checkpointing::parse(&args.checkpointing)? };
    match (&args.model.random_init, &args.model.model) {
        (Some(config), _) => {
            let name = config.display().to_string();
            bench_train_on_card(&CardModel::Random(config), &name, bench, how, bar, cancel)
        }
        (None, model) => {
            let spec = model.clone().unwrap_or_default();
            let model = context.workbench()?.load_model_as(&spec, form_beside_card(form, true))?;
            bench_train_on_card(&CardModel::Loaded(&model), &spec, bench, how, bar, cancel)
        }
    }
}

fn show(context: &Context, report: &InferReport) {
    if context.ui.json {
        context.ui.json_line(report);
        return;
    }
    let (speed, prompt, memory) = (report.tokens_per_second, report.prompt_tokens_per_second, report.peak_rss_mb);
    let dtype = &report.dtype;
    let place = match report.device.as_str() {
        "cpu" => tr!("{} threads", "{} 线程", report.threads),
        card => card.to_owned(),
    };
    let first = match report.items_per_second {
        Some(items) => tr!("{items:.2} questions/s, {speed:.0} tokens/s", "{items:.2} 题/秒，{speed:.0} 词元/秒"),
        None => tr!(
            "{speed:.1} tokens/s written, {prompt:.0} tokens/s read",
            "生成 {speed:.1} 词元/秒，读入 {prompt:.0} 词元/秒"
        ),
    };
    context.ui.line(&tr!(
        "{first}, peak memory {memory:.0} MiB ({dtype}, {place})",
        "{first}，内存峰值 {memory:.0} MiB（{dtype}，{place}）"
    ));
}
