//! `train`: LoRA fine-tuning.

use super::Context;
use super::draw::sparkline;
use super::train_flags::{Flags, read_settings};
use crate::error::Result;
use crate::job::{EventSink, JobEvent};
use crate::tr;
use crate::workbench::train::{TrainReport, resume, train};
use indicatif::ProgressBar;
use std::path::PathBuf;
use std::sync::Mutex;

/// Fine-tunes a model with LoRA and writes a PEFT adapter.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  linly-bench train --model smollm2-135m --data finance --adapter jubaopen --epochs 1\n\n\
A settings file holds the same names as the flags, `lr = 2e-4`, `batch-size = 4`; a flag overrules it."
)]
pub struct TrainArgs {
    /// Settings file (TOML)
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Go on with an interrupted run; its own settings are used
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "model", "data", "adapter"])]
    resume: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

/// Prints a training's events: JSON lines, or a bar with the validation losses above it.
pub struct TrainPrinter<'a> {
    context: &'a Context,
    bar: Mutex<Option<ProgressBar>>,
    losses: Mutex<Vec<f64>>,
}

impl<'a> TrainPrinter<'a> {
    /// A printer for one training.
    pub fn new(context: &'a Context) -> Self {
        TrainPrinter { context, bar: Mutex::default(), losses: Mutex::default() }
    }

    fn above_bar(&self, line: &str) {
        match self.bar.lock() {
            Ok(bar) => match &*bar {
                Some(bar) => bar.suspend(|| self.context.ui.note(line)),
                None => self.context.ui.note(line),
            },
            Err(_) => self.context.ui.note(line),
        }
    }

    /// Takes the bar away and gives the losses of all steps.
    pub fn finish(&self) -> Vec<f64> {
        if let Ok(bar) = self.bar.lock()
            && let Some(bar) = &*bar
        {
            bar.finish_and_clear();
        }
        self.losses.lock().map(|l| l.clone()).unwrap_or_default()
    }
}

impl EventSink for TrainPrinter<'_> {
    fn emit(&self, event: &JobEvent) {
        if self.context.ui.json {
            if !matches!(event, JobEvent::Progress { .. }) {
                self.context.ui.json_line(event);
            }
            return;
        }
        match event {
            JobEvent::Started { run, total, .. } => {
                self.context.ui.note(&tr!("run {run}: {total} steps", "运行 {run}：共 {total} 步"));
                if let Ok(mut bar) = self.bar.lock() {
                    *bar = Some(self.context.ui.bar(*total, false));
                }
            }
            JobEvent::Step(m) => {
                if let Ok(mut losses) = self.losses.lock() {
                    losses.push(m.loss);
                }
                if let Ok(mut bar) = self.bar.lock() {
                    let bar = bar.get_or_insert_with(|| self.context.ui.bar(m.total, false));
                    bar.set_position(m.step);
                    bar.set_message(format!("loss {:.3}  {:.0} tok/s", m.loss, m.tokens_per_second));
                }
            }
            JobEvent::Eval { step, val_loss, best } => {
                let mark = if *best { tr!("best so far", "目前最好") } else { String::new() };
                self.above_bar(&tr!(
                    "step {step:>5}  held-out loss {val_loss:.4}  {mark}",
                    "第 {step:>5} 步  留出损失 {val_loss:.4}  {mark}"
                ));
            }
            JobEvent::Log { message } => self.above_bar(message),
            JobEvent::Progress { .. } => {}
        }
    }
}

/// Runs `linly-bench train …`.
///
/// # Errors
/// Those of the verb.
pub fn run(context: &Context, args: TrainArgs) -> Result<()> {
    let cancel = context.cancel_on_signals()?;
    let printer = TrainPrinter::new(context);
    let report = match args.resume {
        Some(run) => {
            let bench = context.workbench()?;
            resume(&bench, &run, |spec| load(context, &bench, spec), &printer, &cancel)
        }
        None => {
            let file = args.config.as_deref().map(read_settings).transpose()?.unwrap_or_default();
            let request = args.flags.or(file).into_request(context)?;
            request.config.check()?;
            let bench = context.workbench()?;
            bench.store.dataset(&request.dataset)?;
            let model = load(context, &bench, &request.model)?;
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

fn load(context: &Context, bench: &crate::workbench::Workbench, spec: &str) -> Result<crate::workbench::LoadedModel> {
    context.ui.note(&tr!("loading {spec} …", "正在加载 {spec} …"));
    bench.load_model(spec)
}

/// The end of a training, for people.
pub fn print_report(context: &Context, report: &TrainReport, losses: &[f64]) {
    let ui = &context.ui;
    if losses.len() > 1 {
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        let curve = sparkline(losses, 48);
        ui.note(&tr!("train loss  {first:.3} {curve} {last:.3}", "训练损失  {first:.3} {curve} {last:.3}"));
    }
    let (steps, rows, dropped, memory) = (report.steps, report.train_rows, report.dropped_rows, report.peak_rss_mb);
    ui.line(&tr!(
        "{steps} steps over {rows} rows ({dropped} left out as too long), peak memory {memory:.0} MiB",
        "共 {steps} 步，{rows} 行（{dropped} 行因过长未参与），内存峰值 {memory:.0} MiB"
    ));
    if let (Some(base), Some(best)) = (report.base_val_loss, report.best_val_loss) {
        let rows = report.val_rows;
        ui.line(&tr!(
            "held-out loss  {base:.4} → {best:.4} on {rows} rows",
            "留出损失  {base:.4} → {best:.4}（{rows} 行）"
        ));
    }
    let (adapter, run) = (&report.adapter, &report.run);
    ui.line(&tr!(
        "adapter {adapter}  {}  (run {run})",
        "适配器 {adapter}  {}  （运行 {run}）",
        report.adapter_dir.display()
    ));
}
