//! `linly-bench runs`: what was done, and two scores side by side.

use super::Context;
use super::columns::{Align, columns_cutting, model_label};
use crate::error::{Error, Kind, Result};
use crate::eval::Comparison;
use crate::store::RunRecord;
use crate::text::one_line;
use crate::tr;
use crate::workbench;
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// Look at runs and compare them
#[derive(clap::Args)]
#[command(after_help = "Examples:
  linly-bench runs list
  linly-bench runs compare eval-20260101-120000-1a2b eval-20260101-130000-3c4d
  linly-bench runs report eval-20260101-120000-1a2b -o report.md")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// All runs, the newest first
    List {
        /// Only runs of this kind: train, eval or arena
        #[arg(long, value_name = "KIND", value_parser = ["train", "eval", "arena"])]
        kind: Option<String>,
    },
    /// Everything that is known of a run
    Show {
        /// Id of a run, or its beginning
        run: String,
    },
    /// Two scores of one benchmark, item by item
    Compare {
        /// Id of the first run
        run_a: String,
        /// Id of the second run
        run_b: String,
    },
    /// A run as a Markdown document
    Report {
        /// Id of a run, or its beginning
        run: String,
        /// The file to write (.md)
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// `NotFound` for an unknown run; those of [`workbench::compare_runs`] and of writing the report.
pub fn run(context: &Context, args: Args) -> Result<()> {
    match args.verb {
        Verb::List { kind } => list(context, kind.as_deref()),
        Verb::Show { run } => show(context, &run),
        Verb::Compare { run_a, run_b } => compare(context, &run_a, &run_b),
        Verb::Report { run, output } => report(context, &run, &output),
    }
}

fn list(context: &Context, kind: Option<&str>) -> Result<()> {
    let runs = context.workbench()?.store.runs(kind)?;
    if context.ui.json {
        context.ui.json_line(&runs);
        return Ok(());
    }
    if runs.is_empty() {
        context.ui.note(&tr!(
            "no runs yet; `linly-bench run finance-qa --model MODEL` makes one",
            "还没有运行；用 `linly-bench run finance-qa --model MODEL` 开始"
        ));
        return Ok(());
    }
    let left = |name: String| (name, Align::Left);
    let header = [
        left(tr!("run", "运行")),
        left(tr!("status", "状态")),
        left(tr!("model", "模型")),
        left(tr!("what", "内容")),
        ("acc %".to_owned(), Align::Right),
    ];
    let rows: Vec<Vec<String>> = runs.iter().map(list_row).collect();
    columns_cutting(&header, &rows, 80, 2).iter().for_each(|line| context.ui.line(line));
    Ok(())
}

fn list_row(run: &RunRecord) -> Vec<String> {
    let what = match run.kind.as_str() {
        "train" => &run.dataset,
        _ => &run.task,
    };
    let acc = run.result.get("acc").and_then(serde_json::Value::as_f64);
    vec![
        run.id.clone(),
        run.status.as_str().to_owned(),
        model_label(&run.model, &run.adapter),
        one_line(what),
        acc.map_or_else(String::new, |acc| format!("{:.2}", acc * 100.0)),
    ]
}

fn show(context: &Context, id: &str) -> Result<()> {
    let workbench = context.workbench()?;
    if context.ui.json {
        context.ui.json_line(&workbench.store.run(id)?);
    } else {
        let text = crate::text::clean(&workbench::run_report(&workbench, id)?);
        context.ui.line(text.trim_end());
    }
    Ok(())
}

fn report(context: &Context, id: &str, output: &Path) -> Result<()> {
    if output.extension().is_none_or(|e| e != "md") {
        return Err(Error::new(
            Kind::Unsupported,
            tr!("{}: reports are Markdown only", "{}：报告只支持 Markdown", output.display()),
        )
        .hint(tr!("name a file that ends in .md", "请使用以 .md 结尾的文件名")));
    }
    let workbench = context.workbench()?;
    let text = workbench::run_report(&workbench, id)?;
    std::fs::write(output, text).map_err(|e| Error::io(output, &e))?;
    if context.ui.json {
        context.ui.json_line(&serde_json::json!({"run": workbench.store.run(id)?.id, "file": output}));
    } else {
        context.ui.note(&tr!("wrote {}", "已写入 {}", output.display()));
    }
    Ok(())
}

fn compare(context: &Context, a: &str, b: &str) -> Result<()> {
    let workbench = context.workbench()?;
    let (a, b, comparison) = workbench::compare_runs(&workbench, a, b)?;
    if context.ui.json {
        let mut value = serde_json::to_value(&comparison).map_err(|e| Error::internal(e.to_string()))?;
        if let Some(object) = value.as_object_mut() {
            object.insert("run_a".to_owned(), a.id.into());
            object.insert("run_b".to_owned(), b.id.into());
        }
        context.ui.json_line(&value);
    } else {
        render(&a, &b, &comparison).iter().for_each(|line| context.ui.line(line));
    }
    Ok(())
}

/// Flips shown to people; `--json` has all.
const SHOWN: usize = 20;

fn render(a: &RunRecord, b: &RunRecord, c: &Comparison) -> Vec<String> {
    let percent = |v: f64| format!("{:.2}", v * 100.0);
    let header =
        [(one_line(&a.task), Align::Left), (tr!("model", "模型"), Align::Left), ("acc %".to_owned(), Align::Right)];
    let side = |mark: &str, run: &RunRecord, acc: f64| {
        vec![format!("{mark} {}", run.id), model_label(&run.model, &run.adapter), percent(acc)]
    };
    let mut lines = columns_cutting(&header, &[side("A", a, c.acc_a), side("B", b, c.acc_b)], 80, 1);
    let [low, high] = c.ci95;
    lines.push(String::new());
    lines.push(tr!(
        "B - A: {:+.2} points, 95% interval [{:+.2}, {:+.2}], McNemar p = {:.4}, n = {}",
        "B - A：{:+.2} 个百分点，95% 区间 [{:+.2}, {:+.2}]，McNemar p = {:.4}，n = {}",
        c.difference * 100.0,
        low * 100.0,
        high * 100.0,
        c.mcnemar_p,
        c.n
    ));
    if c.is_indistinct() {
        lines.push(match c.items_needed {
            Some(n) => tr!(
                "not distinguishable at this n: a difference of this size needs about {n} items",
                "在此题数下无法区分：这样大小的差异约需 {n} 题"
            ),
            None => tr!("not distinguishable at this n", "在此题数下无法区分"),
        });
    }
    if c.prompts_differ > 0 {
        lines.push(tr!(
            "{} of {} items were asked in different words (shots, preset or template): not the model alone differs",
            "{} / {} 题的提示不同（示例数、预设或模板不同）：差异不只来自模型",
            c.prompts_differ,
            c.n
        ));
    }
    if c.left_out > 0 {
        lines.push(tr!(
            "{} answers have no partner in the other run and are left out",
            "有 {} 个回答在另一次运行中没有对应题目，未计入",
            c.left_out
        ));
    }
    lines.push(String::new());
    lines.push(tr!(
        "flips: {} gained (only B right), {} lost (only A right)",
        "翻转：新增正确 {}（仅 B 对），丢失 {}（仅 A 对）",
        c.flips.gained,
        c.flips.lost
    ));
    for flip in c.items.iter().take(SHOWN) {
        let mark = if flip.flip == "gained" { '+' } else { '-' };
        let line = tr!(
            "{mark} {}/{}: A says {}, B says {}, right is {}",
            "{mark} {}/{}：A 选 {}，B 选 {}，正确 {}",
            flip.subject,
            flip.id,
            flip.pred_a,
            flip.pred_b,
            flip.gold
        );
        lines.push(format!("  {}", one_line(&line)));
    }
    if c.items.len() > SHOWN {
        lines.push(tr!("  and {} more (--json lists all)", "  另有 {} 题（--json 列出全部）", c.items.len() - SHOWN));
    }
    lines
}
