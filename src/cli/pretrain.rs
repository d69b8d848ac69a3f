//! `pretrain`: continued pre-training on plain texts.

use super::Context;
use super::train::run_for;
use super::train_flags::Flags;
use crate::error::Result;
use crate::workbench::train::Objective;
use std::path::PathBuf;

/// Goes on with a model's pre-training on plain texts and writes a PEFT adapter.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  linly-bench data import ./reports --name reports --format text\n  linly-bench pretrain --model smollm2-135m --data reports --adapter reports --max-len 1024 --target all\n  linly-bench pretrain --model smollm2-135m --data news,laws --adapter domain --val 0.02\n  linly-bench data mix course --from news,laws --curriculum news:0.9->0.3\n  linly-bench pretrain --model smollm2-135m --data course --order file --adapter domain\n\n\
Every token is learnt. Texts lie end to end, each with its end token, in sequences of --max-len tokens; what does not \
fit goes on in the next sequence. The flags are those of `train`, without those that only answers have \
(--template, --loss-on, --overlong)."
)]
pub struct PretrainArgs {
    /// Settings file (TOML)
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Go on with an interrupted run; it keeps its own settings, so no other flag of training goes with this
    #[arg(long, value_name = "RUN")]
    resume: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

/// Runs `linly-bench pretrain …`.
///
/// # Errors
/// Those of the verb.
pub fn run(context: &Context, args: PretrainArgs) -> Result<()> {
    run_for(context, Objective::Text, args.config.as_deref(), args.resume, args.flags)
}
