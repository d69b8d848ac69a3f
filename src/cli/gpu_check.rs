//! `gpu-check`: parity, resume exactness, overfit and speed of a GPU.

use super::Context;
use super::columns::{Align, columns};
use crate::error::{Error, Kind, Result};
use crate::text::one_line;
use crate::tr;
use crate::workbench::device::Wish;
use crate::workbench::gpu_check::{CheckReport, CheckRequest, DecodeSpeed, Outcome, Part, gpu_check};
use std::path::PathBuf;
use std::time::Duration;

/// Checks a GPU against the processor and times it
#[derive(clap::Args)]
#[command(after_help = "Example:\n  linly-bench gpu-check --part parity --part training --output check.json")]
pub struct GpuCheckArgs {
    /// Parts: parity, training, decode, bench [default: all]
    #[arg(long, value_name = "PART")]
    part: Vec<String>,
    /// Shapes that are timed [default: all]
    #[arg(long, value_name = "SHAPE")]
    shape: Vec<String>,
    /// Begin no benchmark after so many minutes
    #[arg(long, value_name = "M", default_value_t = 8.0)]
    minutes: f64,
    /// Write the report here as JSON too
    #[arg(long, value_name = "FILE.json")]
    output: Option<PathBuf>,
}

/// Runs `linly-bench gpu-check`.
///
/// # Errors
/// `Usage` for unknown names; `Unsupported` when a check failed. Without a GPU that is said, and is no error.
pub fn run(context: &Context, args: &GpuCheckArgs) -> Result<()> {
    let parts = if args.part.is_empty() {
        Part::ALL.to_vec()
    } else {
        args.part.iter().map(|name| Part::parse(name)).collect::<Result<_>>()?
    };
    let ordinal = match context.wish {
        Wish::Card(ordinal) => ordinal,
        Wish::Auto | Wish::Cpu => 0,
    };
    let request = CheckRequest {
        ordinal,
        parts,
        shapes: args.shape.clone(),
        limit: Duration::try_from_secs_f64(60.0 * args.minutes).unwrap_or(Duration::MAX),
        seed: context.settings().seed,
    };
    let cancel = context.cancel_on_signals()?;
    let report = gpu_check(&request, &mut |name| context.ui.note(name), &cancel)?;
    if let Some(path) = &args.output {
        let text = serde_json::to_string_pretty(&report).map_err(|e| Error::internal(e.to_string()))?;
        std::fs::write(path, text + "\n").map_err(|e| Error::io(path, &e))?;
    }
    if context.ui.json {
        context.ui.json_line(&report);
    } else {
        print(context, &report);
    }
    if report.ok() {
        return Ok(());
    }
    let failed = report.checks.iter().filter(|c| c.outcome == Outcome::Failed).count();
    Err(Error::new(Kind::Unsupported, tr!("{failed} checks failed on this GPU", "该 GPU 有 {failed} 项检查未通过"))
        .hint(tr!("use --device cpu, and please report the JSON", "请用 --device cpu，并请反馈该 JSON")))
}

fn print(context: &Context, report: &CheckReport) {
    let ui = &context.ui;
    if let Some(reason) = &report.no_card {
        let reason = one_line(reason);
        ui.line(&tr!("No GPU was checked: {reason}", "没有检查任何 GPU：{reason}"));
    }
    if let Some(card) = &report.card {
        ui.line(&one_line(card));
    }
    let header = [
        (tr!("check", "检查"), Align::Left),
        (tr!("outcome", "结果"), Align::Left),
        (tr!("error", "误差"), Align::Right),
        (tr!("allowed", "允许"), Align::Right),
        (String::new(), Align::Left),
    ];
    let number = |x: Option<f64>| x.map_or(String::new(), |x| format!("{x:.1e}"));
    let rows: Vec<Vec<String>> = report
        .checks
        .iter()
        .map(|c| {
            let outcome = match c.outcome {
                Outcome::Passed => tr!("ok", "通过"),
                Outcome::Failed => tr!("FAILED", "未通过"),
                Outcome::NotDone => tr!("not done", "未执行"),
            };
            let name = if c.name == c.part { c.name.clone() } else { format!("{}: {}", c.part, c.name) };
            vec![one_line(&name), outcome, number(c.error), number(c.tolerance), one_line(&c.note)]
        })
        .collect();
    for line in columns(&header, &rows, 160) {
        ui.line(&line);
    }
    if !report.speeds.is_empty() {
        ui.line("");
        let header = [
            (tr!("LoRA r16, all, 4096", "LoRA r16，all，4096"), Align::Left),
            (tr!("tokens/s", "词元/秒"), Align::Right),
            (tr!("goal (H100)", "目标（H100）"), Align::Right),
            ("MFU 4N".to_owned(), Align::Right),
            (tr!("GPU MiB", "显存 MiB"), Align::Right),
            (tr!("checkpointing", "重新计算"), Align::Left),
        ];
        let optional = |x: Option<f64>, digits: usize| x.map_or("–".to_owned(), |x| format!("{x:.digits$}"));
        let rows: Vec<Vec<String>> = report
            .speeds
            .iter()
            .map(|s| {
                let again = if s.checkpointing { tr!("yes", "是") } else { tr!("no", "否") };
                let (speed, goal) = (format!("{:.0}", s.tokens_per_second), optional(s.goal, 0));
                vec![s.model.clone(), speed, goal, optional(s.mfu, 3), optional(s.peak_card_mb, 0), again]
            })
            .collect();
        for line in columns(&header, &rows, 120) {
            ui.line(&line);
        }
    }
    if !report.decoding.is_empty() {
        ui.line("");
        let header = [
            (tr!("answers behind 2048 tokens, bf16", "2048 词元之后的回答，bf16"), Align::Left),
            (tr!("side by side", "并行数"), Align::Right),
            (tr!("tokens/s", "词元/秒"), Align::Right),
            (tr!("ms a step", "毫秒/步"), Align::Right),
            (tr!("weights GB/s", "权重 GB/秒"), Align::Right),
            (tr!("prompt tokens/s", "提示词元/秒"), Align::Right),
        ];
        let row = |s: &DecodeSpeed| {
            vec![
                s.model.clone(),
                s.batch.to_string(),
                format!("{:.0}", s.tokens_per_second),
                format!("{:.2}", s.step_ms),
                format!("{:.0}", s.gigabytes_per_second),
                format!("{:.0}", s.prompt_tokens_per_second),
            ]
        };
        for line in columns(&header, &report.decoding.iter().map(row).collect::<Vec<_>>(), 120) {
            ui.line(&line);
        }
    }
    let seconds = report.seconds;
    ui.line(&tr!("{seconds:.0} s", "{seconds:.0} 秒"));
}
