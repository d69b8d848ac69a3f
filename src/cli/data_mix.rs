//! `linly-bench data mix`: a dataset made of others by their shares.

use super::Context;
use super::columns::{Align, columns};
use super::data::{Bar, short};
use super::draw::stacked_bar;
use crate::error::{Error, Kind, Result};
use crate::text::{one_line, truncate};
use crate::tr;
use crate::workbench::data::{self, MixReport, MixRequest, MixUnit};
use clap::Args;

/// Arguments of `data mix`
#[derive(Args)]
pub struct MixArgs {
    /// Name of the new dataset
    name: String,
    /// Datasets and their shares: A=0.7,B=0.3; without shares by their sizes
    #[arg(long, value_name = "A=SHARE,…", value_delimiter = ',', required = true, value_parser = parse_source)]
    from: Vec<(String, Option<f64>)>,
    /// Shares that move while it is learnt: A:0.9->0.3; the others divide what is left
    #[arg(long, value_name = "A:FROM->TO,…", value_delimiter = ',', value_parser = parse_curriculum)]
    curriculum: Vec<(String, f64, f64)>,
    /// Flattens shares by size: rows^(1/T); 1 are the sizes themselves, large values equal shares
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = parse_temperature)]
    temperature: f64,
    /// What shares are of; tokens are those of --model
    #[arg(long, value_name = "UNIT", default_value = "rows", value_parser = ["rows", "characters", "tokens"])]
    by: String,
    /// Model whose tokens are counted
    #[arg(long, value_name = "M")]
    model: Option<String>,
    /// Rows to train on [default: as many as there are before one would come twice]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rows: Option<u64>,
    /// Give the rows to a dataset that exists, as its next version
    #[arg(long)]
    replace: bool,
    /// Show the plan and write nothing
    #[arg(long)]
    plan: bool,
}

fn parse_source(text: &str) -> Result<(String, Option<f64>), String> {
    let Some((name, share)) = text.rsplit_once('=') else { return Ok((text.to_owned(), None)) };
    let share: f64 = share.trim().parse().ok().filter(|s: &f64| s.is_finite() && *s >= 0.0).ok_or_else(wrong_share)?;
    Ok((name.trim().to_owned(), Some(share)))
}

fn parse_curriculum(text: &str) -> Result<(String, f64, f64), String> {
    let parts = text.rsplit_once(':').and_then(|(name, shares)| Some((name, shares.split_once("->")?)));
    let number = |text: &str| text.trim().parse().ok().filter(|s: &f64| (0.0..=1.0).contains(s));
    match parts.map(|(name, (from, to))| (name.trim().to_owned(), number(from), number(to))) {
        Some((name, Some(from), Some(to))) => Ok((name, from, to)),
        _ => Err(tr!("write it as NAME:0.9->0.3, with shares from 0 to 1", "请写成 名称:0.9->0.3，比例在 0 到 1 之间")),
    }
}

fn parse_temperature(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|t: &f64| t.is_finite() && *t > 0.0);
    value.ok_or_else(|| tr!("a temperature is a number above 0", "温度应为大于 0 的数"))
}

fn wrong_share() -> String {
    tr!("a share is a number from 0 up, as in A=0.7", "比例应为非负数，例如 A=0.7")
}

/// Runs the command.
///
/// # Errors
/// Those of [`data::mix`].
pub(super) fn run(context: &Context, args: MixArgs) -> Result<()> {
    let mut names: Vec<&String> = args.from.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::new(Kind::Usage, tr!("a dataset stands in --from twice", "--from 中有重复的数据集"))
            .hint(tr!("name each once, with its whole share", "每个数据集只写一次，并写出总比例")));
    }
    let both =
        args.from.iter().find(|(name, share)| share.is_some() && args.curriculum.iter().any(|(n, ..)| n == name));
    if let Some((name, _)) = both {
        let name = one_line(name);
        return Err(Error::new(Kind::Usage, tr!("{name} has a share and a curriculum", "{name} 既有比例又有课程"))
            .hint(tr!("write its share only in --curriculum", "请只在 --curriculum 中写它的比例")));
    }
    let sum = |at: fn(&(String, f64, f64)) -> f64| args.curriculum.iter().map(at).sum::<f64>();
    if sum(|c| c.1) > 1.0 + 1e-9 || sum(|c| c.2) > 1.0 + 1e-9 {
        return Err(Error::new(
            Kind::Usage,
            tr!("the shares of --curriculum come to more than 1", "--curriculum 的比例之和超过 1"),
        )
        .hint(tr!("sources that it does not name divide what is left of 1", "未写出的来源分配 1 中剩余的部分")));
    }
    if args.temperature != 1.0 && args.from.iter().all(|(_, share)| share.is_some()) {
        return Err(Error::new(
            Kind::Usage,
            tr!(
                "--temperature makes shares, but every source has one",
                "--temperature 用于计算比例，但每个来源都已写明比例"
            ),
        )
        .hint(tr!("leave out the shares or --temperature", "请去掉比例或 --temperature")));
    }
    let request = MixRequest {
        name: args.name,
        from: args.from,
        curriculum: args.curriculum,
        temperature: args.temperature,
        unit: match (args.by.as_str(), args.model) {
            ("tokens", Some(model)) => MixUnit::Tokens(model),
            ("tokens", None) => {
                return Err(Error::new(Kind::Usage, tr!("--by tokens needs a model", "--by tokens 需要模型"))
                    .hint(tr!("say whose tokens: --model M", "请用 --model M 指明用哪个模型的分词器")));
            }
            ("characters", _) => MixUnit::Characters,
            _ => MixUnit::Rows,
        },
        rows: args.rows.map(|n| n as usize),
        seed: context.settings().seed,
        replace: args.replace,
        plan_only: args.plan,
    };
    let bench = context.workbench()?;
    let bar = Bar(context.ui.rows_bar(0));
    let report = data::mix(&bench, &request, &bar, &context.cancel_on_signals()?);
    bar.0.finish_and_clear();
    let report = report?;
    if report.texts > 0 && report.questions > 0 {
        let (texts, questions) = (report.texts, report.questions);
        context.ui.warn(&tr!(
            "{texts} rows are plain texts and {questions} have a question: `train` refuses the first and `pretrain` the others; mix them apart",
            "{texts} 行是纯文本，{questions} 行带提问：`train` 不接受前者，`pretrain` 不接受后者；请分别混合"
        ));
    }
    if context.ui.json {
        context.ui.json_line(&report);
    } else {
        render(&report).iter().for_each(|line| context.ui.line(line));
        if report.curriculum && !args.plan {
            let name = one_line(&report.dataset);
            context.ui.note(&tr!(
                "learn it in this order: linly-bench train --data {name} --order file …",
                "按此顺序训练：linly-bench train --data {name} --order file …"
            ));
        }
    }
    Ok(())
}

/// `NAME@HASH` with as much of the hash as people read.
fn brief(exact: &str) -> String {
    exact.rsplit_once('@').map_or_else(|| exact.to_owned(), |(name, hash)| format!("{name}@{}", short(hash)))
}

/// How the sources are drawn in the picture.
const MARKS: [char; 8] = ['█', '░', '▓', '▒', '#', '+', 'o', '.'];

fn render(report: &MixReport) -> Vec<String> {
    let name = one_line(&report.dataset);
    let mut lines = vec![if report.version.is_empty() {
        tr!("plan of {name}: {} rows, {} held out", "{name} 的计划：{} 行，留出 {} 行", report.rows, report.val)
    } else {
        let version = short(&report.version);
        tr!(
            "{name}: {} rows, {} held out (version {version})",
            "{name}：{} 行，留出 {} 行（版本 {version}）",
            report.rows,
            report.val
        )
    }];
    if report.kept_out > 0 {
        let n = report.kept_out;
        lines.push(tr!(
            "{n} rows of one source are held out in another: none of them is trained on",
            "有 {n} 行在另一来源中属于留出部分，未用于训练"
        ));
    }
    lines.push(String::new());
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let table: Vec<Vec<String>> = report
        .sources
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let mark = MARKS[i % MARKS.len()];
            vec![
                format!("{mark} {}", truncate(&one_line(&brief(&s.dataset)), 36)),
                s.available.to_string(),
                s.drawn.to_string(),
                format!("{:.2}", s.epochs),
                percent(s.start),
                percent(s.end),
            ]
        })
        .collect();
    let header = [
        (tr!("dataset", "数据集"), Align::Left),
        (tr!("rows", "行数"), Align::Right),
        (tr!("taken", "取用"), Align::Right),
        (tr!("times", "遍数"), Align::Right),
        (tr!("first", "起始"), Align::Right),
        (tr!("last", "结束"), Align::Right),
    ];
    lines.extend(columns(&header, &table, 80));
    lines.push(String::new());
    // Shares that stay the same need one line, not twenty.
    if !report.curriculum {
        let drawn: Vec<usize> = report.sources.iter().map(|s| s.drawn).collect();
        lines.push(tr!("rows of each source:", "各来源的行数："));
        lines.push(stacked_bar(&drawn, &MARKS, 70));
        return lines;
    }
    lines.push(tr!(" from row rows of each source, in the order of learning", "   起始行 各来源的行数，按学习顺序"));
    for stretch in &report.stretches {
        let from = crate::text::pad_left(&stretch.from.to_string(), 9);
        lines.push(format!("{from} {}", stacked_bar(&stretch.rows, &MARKS, 60)));
    }
    lines
}
