//! `linly-bench runs compare`: two scores item by item, or two models over several benchmarks.

use super::Context;
use super::columns::{Align, columns, columns_cutting, run_label};
use crate::error::{Error, Kind, Result};
use crate::eval::Comparison;
use crate::store::RunRecord;
use crate::text::{one_line, wrap};
use crate::tr;
use crate::workbench::{
    self,
    family::{FamilyComparison, MemberComparison, Side, compare_pairs, compare_sides},
};

/// Arguments of `runs compare`
#[derive(clap::Args)]
pub struct CompareArgs {
    /// Two runs of one benchmark; or a pair per benchmark: A1 B1 A2 B2 …
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// Compare the newest scores of this adapter (`base` for none) with those of a second one, over all benchmarks that
    /// both were scored on; given once: with the base
    #[arg(long, value_name = "ADAPTER", conflicts_with = "runs")]
    adapter: Vec<String>,
    /// Only scores of this model; given twice: compare two models
    #[arg(long, value_name = "MODEL", conflicts_with = "runs")]
    model: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// `Usage` for an odd number of runs or too many flags; those of [`workbench::compare_runs`] and [`compare_sides`].
pub(super) fn run(context: &Context, args: &CompareArgs) -> Result<()> {
    let workbench = context.workbench()?;
    if let [a, b] = args.runs.as_slice() {
        let (a, b, comparison) = workbench::compare_runs(&workbench, a, b)?;
        return show_pair(context, &a, &b, &comparison);
    }
    let family = if args.runs.is_empty() {
        let (a, b) = sides(args)?;
        compare_sides(&workbench, &a, &b)?
    } else {
        if args.runs.len() % 2 == 1 {
            return Err(usage());
        }
        let pairs: Vec<(String, String)> =
            args.runs.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        compare_pairs(&workbench, &pairs)?
    };
    if context.ui.json {
        context.ui.json_line(&family);
    } else {
        render_family(&family).iter().for_each(|line| context.ui.line(line));
    }
    Ok(())
}

fn usage() -> Error {
    Error::new(
        Kind::Usage,
        tr!(
            "name two runs, a pair of runs per benchmark, or --adapter",
            "请给出两个运行、每个基准一对运行，或 --adapter"
        ),
    )
    .hint(tr!(
        "for example: linly-bench runs compare RUN_A RUN_B, or: linly-bench runs compare --adapter base --adapter NAME",
        "例如：linly-bench runs compare RUN_A RUN_B，或：linly-bench runs compare --adapter base --adapter NAME"
    ))
}

fn sides(args: &CompareArgs) -> Result<(Side, Side)> {
    let adapter = |name: &String| if matches!(name.as_str(), "base" | "none") { String::new() } else { name.clone() };
    let (adapter_a, adapter_b) = match args.adapter.as_slice() {
        [] => (String::new(), String::new()),
        [one] if args.model.len() == 2 => (adapter(one), adapter(one)),
        [one] => (String::new(), adapter(one)),
        [a, b] => (adapter(a), adapter(b)),
        _ => return Err(usage()),
    };
    let (model_a, model_b) = match args.model.as_slice() {
        [] => (String::new(), String::new()),
        [one] => (one.clone(), one.clone()),
        [a, b] => (a.clone(), b.clone()),
        _ => return Err(usage()),
    };
    let sides = (Side { model: model_a, adapter: adapter_a }, Side { model: model_b, adapter: adapter_b });
    if sides.0 == sides.1 { Err(usage()) } else { Ok(sides) }
}

fn percent(value: f64) -> String {
    format!("{:.2}", value * 100.0)
}

fn render_family(family: &FamilyComparison) -> Vec<String> {
    let right = |name: &str| (name.to_owned(), Align::Right);
    let header = [
        (tr!("benchmark", "基准"), Align::Left),
        right("n"),
        right("A %"),
        right("B %"),
        right("B - A"),
        (tr!("95% interval", "95% 区间"), Align::Right),
        right("p"),
        (tr!("p (Holm)", "p（Holm）"), Align::Right),
    ];
    let row = |m: &MemberComparison| {
        let [low, high] = m.ci95.map(|v| v * 100.0);
        let mark = if m.is_indistinct() { ' ' } else { '*' };
        vec![
            one_line(&m.task),
            m.n.to_string(),
            percent(m.acc_a),
            percent(m.acc_b),
            format!("{:+.2}", m.difference * 100.0),
            format!("{low:+.1} … {high:+.1}"),
            format!("{:.4}", m.mcnemar_p),
            format!("{:.4}{mark}", m.holm_p),
        ]
    };
    let rows: Vec<Vec<String>> = family.benchmarks.iter().map(row).collect();
    let mut lines = columns(&header, &rows, 80);
    let mut remarks = vec![tr!(
        "p: McNemar's exact test, items paired; Holm: corrected for {} benchmarks; * below 0.05",
        "p：McNemar 精确检验（题目配对）；Holm：按 {} 个基准校正；* 低于 0.05",
        family.benchmarks.len()
    )];
    for m in family.benchmarks.iter().filter(|m| m.is_indistinct()) {
        let task = one_line(&m.task);
        remarks.push(match m.items_needed.filter(|needed| *needed > m.n as u64) {
            Some(needed) => tr!(
                "{task}: not distinguishable at this n; a difference of this size needs about {needed} items",
                "{task}：在此题数下无法区分；这样大小的差异约需 {needed} 题"
            ),
            None => tr!("{task}: not distinguishable at this n", "{task}：在此题数下无法区分"),
        });
    }
    for m in family.benchmarks.iter().filter(|m| m.prompts_differ > 0 || m.left_out > 0) {
        remarks.push(tr!(
            "{}: {} items were asked in different words, {} answers have no partner",
            "{}：{} 题的提示不同，{} 个回答没有对应题目",
            one_line(&m.task),
            m.prompts_differ,
            m.left_out
        ));
    }
    if !family.without_partner.is_empty() {
        remarks.push(tr!(
            "without a counterpart that was asked the same: {}",
            "没有相同设置的对应评测：{}",
            family.without_partner.join(", ")
        ));
    }
    lines.push(String::new());
    lines.extend(remarks.iter().flat_map(|remark| wrap(remark, 80)));
    lines.push(String::new());
    lines.extend(family.benchmarks.iter().map(|m| format!("{}: {} {}", one_line(&m.task), m.run_a, m.run_b)));
    lines
}

fn show_pair(context: &Context, a: &RunRecord, b: &RunRecord, comparison: &Comparison) -> Result<()> {
    if context.ui.json {
        let mut value = serde_json::to_value(comparison).map_err(|e| Error::internal(e.to_string()))?;
        if let Some(object) = value.as_object_mut() {
            object.insert("run_a".to_owned(), a.id.clone().into());
            object.insert("run_b".to_owned(), b.id.clone().into());
        }
        context.ui.json_line(&value);
    } else {
        render_pair(a, b, comparison).iter().for_each(|line| context.ui.line(line));
    }
    Ok(())
}

/// Flips shown to people; `--json` has all.
const SHOWN: usize = 20;

fn render_pair(a: &RunRecord, b: &RunRecord, c: &Comparison) -> Vec<String> {
    let header =
        [(one_line(&a.task), Align::Left), (tr!("model", "模型"), Align::Left), ("acc %".to_owned(), Align::Right)];
    let side = |mark: &str, run: &RunRecord, acc: f64| vec![format!("{mark} {}", run.id), run_label(run), percent(acc)];
    let mut lines = columns_cutting(&header, &[side("A", a, c.acc_a), side("B", b, c.acc_b)], 80, 1);
    let [low, high] = c.ci95;
    let mut remarks = Vec::new();
    remarks.push(tr!(
        "B - A: {:+.2} points, 95% interval [{:+.2}, {:+.2}], McNemar p = {:.4}, n = {}",
        "B - A：{:+.2} 个百分点，95% 区间 [{:+.2}, {:+.2}]，McNemar p = {:.4}，n = {}",
        c.difference * 100.0,
        low * 100.0,
        high * 100.0,
        c.mcnemar_p,
        c.n
    ));
    if c.is_indistinct() {
        remarks.push(match c.items_needed {
            Some(n) => tr!(
                "not distinguishable at this n: a difference of this size needs about {n} items",
                "在此题数下无法区分：这样大小的差异约需 {n} 题"
            ),
            None => tr!("not distinguishable at this n", "在此题数下无法区分"),
        });
    }
    if c.prompts_differ > 0 {
        remarks.push(tr!(
            "{} of {} items were asked in different words (shots, preset or template): not the model alone differs",
            "{} / {} 题的提示不同（示例数、预设或模板不同）：差异不只来自模型",
            c.prompts_differ,
            c.n
        ));
    }
    if c.left_out > 0 {
        remarks.push(tr!(
            "items are paired by question and choices: {} only A answered, {} only B; they are left out",
            "题目按题干与选项配对：仅 A 回答 {} 题，仅 B 回答 {} 题，均未计入",
            c.only_a,
            c.only_b
        ));
    }
    if c.paired_by_name > 0 {
        remarks.push(tr!(
            "{} pairs rest on subject and number alone: a run of an earlier version did not keep what its items were",
            "{} 对题目仅按科目与编号配对：旧版本的运行未保存题目内容",
            c.paired_by_name
        ));
    }
    lines.push(String::new());
    lines.extend(remarks.iter().flat_map(|remark| wrap(remark, 80)));
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
