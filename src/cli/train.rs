//! `train`: LoRA fine-tuning.

use super::Context;
use super::plan_view::print_plan;
use super::train_flags::{Flags, read_settings};
use super::train_view::{TrainPrinter, print_report};
use crate::error::{Error, Kind, Result};
use crate::job::CancelToken;
use crate::tr;
use crate::workbench::assist::assist;
use crate::workbench::together::Seat;
use crate::workbench::train::{Objective, TrainRequest, request_of, resume, train};
use crate::workbench::{LoadedModel, Workbench, device, memory_plan};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Fine-tunes a model with LoRA and writes a PEFT adapter.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  linly-bench train --model smollm2-135m --data finance --adapter jubaopen --epochs 1\n  \
linly-bench train --plan --model Llama-3-8B/config.json --target all --rank 16 --max-len 4096\n\n\
A settings file holds the same names as the flags, `lr = 2e-4`, `batch-size = 4`; a flag overrules it."
)]
pub struct TrainArgs {
    /// Settings file (TOML)
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Go on with an interrupted run; it keeps its own settings, so no other flag of training goes with this
    #[arg(long, value_name = "RUN")]
    resume: Option<String>,
    /// Show what the settings take of this machine's memory and of GPUs' of 12, 24, 40 and 80 GB, and train nothing. Needs --model
    /// alone, which may be a Hugging Face config.json too
    #[arg(long, conflicts_with = "resume")]
    plan: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Runs `linly-bench train …`.
///
/// # Errors
/// Those of the verb.
pub fn run(context: &Context, args: TrainArgs) -> Result<()> {
    if args.plan {
        return plan(context, args.config.as_deref(), args.flags);
    }
    run_for(context, Objective::Answers, args.config.as_deref(), args.resume, args.flags)
}

/// Runs `train` or `pretrain`, which differ in what they learn and in nothing else.
///
/// # Errors
/// Those of the verb.
pub(super) fn run_for(
    context: &Context,
    objective: Objective,
    config: Option<&Path>,
    resumed: Option<String>,
    flags: Flags,
) -> Result<()> {
    // The processes that train together; it ends last.
    let seat = Seat::take(flags.gpus.unwrap_or(1))?.map(Arc::new);
    let cancel = context.cancel_on_signals()?;
    if let Some(seat) = seat.as_ref().filter(|seat| seat.rank > 0) {
        return assist_for(context, objective, config, resumed, flags, seat, &cancel);
    }
    let printer = TrainPrinter::new(context);
    let report = match resumed {
        Some(run) => {
            let mut given = flags.given()?;
            given.extend(config.is_some().then(|| "--config".to_owned()));
            refuse_beside_resume(&given)?;
            let bench = context.workbench()?;
            resume(&bench, &run, |request| load(context, &bench, request, seat.clone()), &printer, &cancel)
        }
        None => {
            let request = request_for(context, objective, config, flags)?;
            request.config.check()?;
            let bench = context.workbench()?;
            check_datasets(&bench, &request)?;
            let model = load(context, &bench, &request, seat.clone())?;
            train(&bench, &request, &model, &printer, &cancel)
        }
    };
    let losses = printer.finish();
    let report = report?;
    if context.ui.json {
        context.ui.finished(&report);
    } else {
        print_report(context, &report, &losses);
    }
    Ok(())
}

/// What a `train` line asks for, whether or not it names data and adapter yet; `None` for one that asks for something else
/// than a new training.
///
/// # Errors
/// `Usage` for settings that make no sense; those of reading a settings file.
pub(super) fn draft(context: &Context, args: TrainArgs) -> Result<Option<TrainRequest>> {
    if args.plan || args.resume.is_some() {
        return Ok(None);
    }
    let file = args.config.as_deref().map(read_settings).transpose()?.unwrap_or_default();
    let request = args.flags.or(file).into_draft(context)?;
    request.config.check()?;
    Ok(Some(request))
}

fn request_for(context: &Context, objective: Objective, config: Option<&Path>, flags: Flags) -> Result<TrainRequest> {
    let flags = flags.or(config.map(read_settings).transpose()?.unwrap_or_default());
    match objective {
        Objective::Answers => flags.into_request(context),
        Objective::Text => flags.into_text_request(context),
    }
}

/// Takes part in the training of another process, which speaks for both.
fn assist_for(
    context: &Context,
    objective: Objective,
    config: Option<&Path>,
    resumed: Option<String>,
    flags: Flags,
    seat: &Arc<Seat>,
    cancel: &CancelToken,
) -> Result<()> {
    let bench = context.workbench()?;
    let request = match resumed {
        Some(run) => request_of(&bench, &run)?,
        None => request_for(context, objective, config, flags)?,
    };
    assist(&bench, request, |request| load(context, &bench, request, Some(seat.clone())), cancel)
}

/// A name that is wrong is said before a model is loaded.
fn check_datasets(bench: &Workbench, request: &TrainRequest) -> Result<()> {
    for name in request.datasets() {
        bench.store.dataset(name)?;
    }
    Ok(())
}

/// A resumed run keeps its settings: a flag that would be ignored is refused instead.
fn refuse_beside_resume(given: &[String]) -> Result<()> {
    if given.is_empty() {
        return Ok(());
    }
    let given = given.join(", ");
    Err(Error::new(
        Kind::Usage,
        tr!(
            "--resume goes on with the run's own settings: {given} cannot be given too",
            "--resume 沿用该运行原来的设置，不能同时给出 {given}"
        ),
    )
    .hint(tr!(
        "leave them out, or start a new training without --resume",
        "请去掉这些选项，或不带 --resume 开始新的训练"
    )))
}

fn load(context: &Context, bench: &Workbench, request: &TrainRequest, seat: Option<Arc<Seat>>) -> Result<LoadedModel> {
    let first = seat.as_ref().is_none_or(|seat| seat.rank == 0);
    let TrainRequest { model: spec, form, .. } = request;
    let chosen = device::choose(bench, context.wish, seat.as_deref(), request)?;
    if let Some(note) = chosen.note.as_ref().filter(|_| first) {
        context.ui.note(note);
    }
    let form = device::form_beside_card(*form, chosen.card.is_some());
    let dtype = match &chosen.card {
        None => form.arithmetic.name().to_owned(),
        Some(card) => format!("{}, {}", card.device.name(), if card.exact { "f32" } else { "bf16" }),
    };
    if first {
        context.ui.note(&tr!("loading {spec} ({dtype}) …", "正在加载 {spec}（{dtype}）…"));
    }
    Ok(bench.load_model_as(spec, form)?.on(chosen.card, seat))
}

/// `train --plan`.
fn plan(context: &Context, config: Option<&Path>, flags: Flags) -> Result<()> {
    let file = config.map(read_settings).transpose()?.unwrap_or_default();
    let request = flags.or(file).into_plan(context)?;
    let report = memory_plan::plan(|| context.workbench(), &request)?;
    if context.ui.json {
        context.ui.json_line(&report);
    } else {
        print_plan(context, &report);
    }
    Ok(())
}
