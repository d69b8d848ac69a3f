//! `demo`: the main job, told stage by stage.

use super::Context;
use super::train_view::TrainPrinter;
use crate::error::Result;
use crate::job::{EventSink, JobEvent};
use crate::leaderboard::{Format, render};
use crate::model::pull::PullEvent;
use crate::tr;
use crate::workbench::demo::{ADAPTER, DATASET, DemoReport, DemoSize, MODEL, Narrator, STAGES, demo};
use indicatif::ProgressBar;
use std::cell::RefCell;
use std::sync::Mutex;
use std::time::Instant;

/// The whole job on embedded defaults: a small real model becomes a better finance answerer, with proof.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  linly-bench demo\n  linly-bench demo --quick\n\n\
Run it again and it uses what is there; stop it with Ctrl-C and the next demo goes on from there.")]
pub struct DemoArgs {
    /// A smaller round: fewer training steps, items and battles
    #[arg(long)]
    quick: bool,
}

/// Prints what the demo does.
struct Teller<'a> {
    context: &'a Context,
    events: Events<'a>,
    pulling: ProgressBar,
    since: RefCell<Instant>,
}

/// Draws each stage's events in that stage's own way.
struct Events<'a> {
    context: &'a Context,
    train: TrainPrinter<'a>,
    bar: Mutex<Option<ProgressBar>>,
}

impl EventSink for Events<'_> {
    fn emit(&self, event: &JobEvent) {
        let is_training = matches!(event, JobEvent::Started { kind, .. } if kind == "train");
        match event {
            JobEvent::Step(_)
            | JobEvent::Eval { .. }
            | JobEvent::Sample { .. }
            | JobEvent::Warning { .. }
            | JobEvent::Log { .. } => self.train.emit(event),
            _ if is_training || self.context.ui.json => self.train.emit(event),
            JobEvent::Started { total, .. } => self.draw(0, *total, ""),
            JobEvent::Progress { done, total, note } => self.draw(*done, *total, note),
        }
    }
}

impl Events<'_> {
    fn draw(&self, done: u64, total: u64, note: &str) {
        if let Ok(mut bar) = self.bar.lock() {
            let bar = bar.get_or_insert_with(|| self.context.ui.bar(total, false));
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(crate::text::one_line(note));
        }
    }

    fn clear(&self) {
        self.train.finish();
        if let Ok(mut bar) = self.bar.lock()
            && let Some(bar) = bar.take()
        {
            bar.finish_and_clear();
        }
    }
}

impl Narrator for Teller<'_> {
    fn stage(&self, number: usize, title: &str) {
        self.since.replace(Instant::now());
        self.context.ui.note(&format!("[{number}/{STAGES}] {title}"));
    }

    fn result(&self, text: &str, reused: bool) {
        self.events.clear();
        self.pulling.finish_and_clear();
        let seconds = self.since.borrow().elapsed().as_secs_f64();
        let mark = if reused { tr!("already there", "已有") } else { format!("{seconds:.0} s") };
        self.context.ui.note(&format!("      {text}  [{mark}]"));
    }

    fn pull(&self, event: PullEvent<'_>) {
        match event {
            PullEvent::Bytes { done, total } => {
                self.pulling.set_length(total);
                self.pulling.set_position(done);
            }
            PullEvent::Source(name) => self.pulling.set_message(name.to_owned()),
            PullEvent::Failed(name, error) => {
                let reason = crate::text::one_line(&error.message);
                self.pulling.suspend(|| {
                    self.context.ui.note(&tr!(
                        "      {name} failed, trying the next source: {reason}",
                        "      {name} 失败，尝试下一个来源：{reason}"
                    ));
                });
            }
            PullEvent::Waiting => {
                self.context
                    .ui
                    .note(&tr!("      another pull is running; waiting", "      另一个下载正在进行，等待中"));
            }
        }
    }

    fn sink(&self) -> &dyn EventSink {
        &self.events
    }
}

/// Runs `linly-bench demo`.
///
/// # Errors
/// Those of the stages.
pub fn run(context: &Context, args: &DemoArgs) -> Result<()> {
    let cancel = context.cancel_on_signals()?;
    let bench = context.workbench()?;
    let size = if args.quick { DemoSize::QUICK } else { DemoSize::FULL };
    let teller = Teller {
        context,
        events: Events { context, train: TrainPrinter::new(context), bar: Mutex::default() },
        pulling: context.ui.bar(0, true),
        since: RefCell::new(Instant::now()),
    };
    let report = demo(&bench, size, &teller, &cancel);
    teller.events.clear();
    teller.pulling.finish_and_clear();
    let report = report?;
    if context.ui.json {
        context.ui.finished(&report);
        return Ok(());
    }
    conclude(context, &report)
}

fn conclude(context: &Context, report: &DemoReport) -> Result<()> {
    let ui = &context.ui;
    ui.line("");
    ui.line(render(&report.leaderboard, Format::Table, 80)?.trim_end());
    ui.line("");
    if let (Some(base), Some(best)) = (report.base_val_loss, report.best_val_loss) {
        ui.line(&tr!("held-out loss     {base:.3} → {best:.3}", "留出损失      {base:.3} → {best:.3}"));
    }
    let (base, adapted) = (100.0 * report.base.acc, 100.0 * report.adapted.acc);
    let [low, high] = report.comparison.ci95.map(|x| 100.0 * x);
    ui.line(&tr!(
        "finance-qa        {base:.1}% → {adapted:.1}%  (difference 95% interval {low:+.1} … {high:+.1} points)",
        "finance-qa    {base:.1}% → {adapted:.1}%  （差值 95% 区间 {low:+.1} … {high:+.1} 个百分点）"
    ));
    ui.line(&if report.improved && low > 0.0 {
        tr!("The adapter is better than the base on both.", "适配器在两项上都优于基础模型。")
    } else if report.improved {
        tr!(
            "The adapter is ahead on both; on the score the lead is not distinguishable from chance at this n.",
            "适配器两项均领先；但在该题量下，得分上的领先尚不能与偶然区分。"
        )
    } else {
        tr!("The adapter is NOT better than the base on both.", "适配器并未在两项上都优于基础模型。")
    });
    let seconds = report.seconds;
    let home = context.settings().home.display();
    ui.note(&tr!("\n{seconds:.0} s; everything is kept in {home}", "\n用时 {seconds:.0} 秒；所有结果保存在 {home}"));
    ui.note(&tr!("What to do next:", "接下来可以："));
    let (run_a, run_b, arena) = (&report.base.run, &report.adapted.run, &report.arena);
    for (command, what) in [
        ("linly-bench".to_owned(), tr!("look at all of it in the terminal interface", "在终端界面中查看全部结果")),
        (
            format!("linly-bench data preview {DATASET} --row 0 --model {MODEL}"),
            tr!("see which tokens are trained on", "查看哪些词元参与训练"),
        ),
        (format!("linly-bench runs compare {run_a} {run_b}"), tr!("see the items that flipped", "查看答案翻转的题目")),
        (format!("linly-bench arena export {arena} -o battles.jsonl"), tr!("read the battles", "查看对战记录")),
        (
            format!("linly-bench run ceval --model {MODEL} --adapter {ADAPTER} --data-dir DIR"),
            tr!("score it on C-Eval", "在 C-Eval 上评测"),
        ),
    ] {
        ui.note(&format!("  {command}\n      {what}"));
    }
    Ok(())
}
