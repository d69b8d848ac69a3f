//! `linly-bench evals …`: list, check, pull and import benchmarks.

use super::Context;
use super::columns::{Align, columns};
use crate::error::{Error, Result};
use crate::eval::{Imported, import_task};
use crate::model::hub::Sources;
use crate::text::{clean, one_line, pad, width, wrap};
use crate::tr;
use crate::workbench::evals::{self, AboutBenchmark, Checked};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::json;
use std::path::{Path, PathBuf};

/// List, check, fetch and import benchmarks
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List the benchmarks that come with the program, or tell everything of one
    #[command(after_help = "Examples:\n  linly-bench evals list --data-dir DIR\n  linly-bench evals list financeiq")]
    List {
        /// Name of a benchmark, or a definition file (.toml): its source, licence, splits, wordings and published figures
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Check a definition and show its first three prompts
    #[command(
        after_help = "Examples:\n  linly-bench evals check my-benchmark.toml --shots 2\n  linly-bench evals check gsm8k"
    )]
    Check {
        /// A definition file (.toml), or the name of a benchmark
        #[arg(value_name = "FILE")]
        definition: String,
        /// Few-shots per prompt
        #[arg(long, value_name = "K", default_value_t = 0)]
        shots: usize,
        /// Wording of the prompt [default: the benchmark's]
        #[arg(long, value_name = "PRESET")]
        preset: Option<String>,
    },
    /// Fetch a benchmark's data into the data folder
    #[command(
        after_help = "Example:\n  linly-bench evals pull gsm8k --data-dir DIR\n\nEnvironment: HF_ENDPOINT (a mirror), HF_TOKEN, HF_HUB_OFFLINE=1, HTTPS_PROXY"
    )]
    Pull {
        /// Name of a benchmark, or a definition file (.toml) with a download table
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Make a definition of a task file of lm-evaluation-harness
    #[command(after_help = "Example:\n  linly-bench evals import sciq.yaml -o sciq.toml")]
    Import {
        /// The task file
        #[arg(value_name = "TASK.yaml")]
        task: PathBuf,
        /// Where the definition goes [default: stdout]
        #[arg(short, long, value_name = "FILE.toml")]
        output: Option<PathBuf>,
    },
}

/// Runs the command.
///
/// # Errors
/// Those of [`evals`] and [`import_task`].
pub fn run(context: &Context, args: Args) -> Result<()> {
    match args.verb {
        Verb::List { name: None } => list(context),
        Verb::List { name: Some(name) } => about(context, &name),
        Verb::Check { definition, shots, preset } => check(context, &definition, shots, preset.as_deref()),
        Verb::Pull { name } => pull(context, &name),
        Verb::Import { task, output } => import(context, &task, output.as_deref()),
    }
}

fn list(context: &Context) -> Result<()> {
    let all = evals::list(&context.workbench()?)?;
    let ui = &context.ui;
    if ui.json {
        ui.json_line(&all);
        return Ok(());
    }
    let header =
        [tr!("name", "名称"), tr!("title", "标题"), tr!("language", "语言"), tr!("mode", "模式"), tr!("data", "数据")];
    let header: Vec<(String, Align)> = header.into_iter().map(|name| (name, Align::Left)).collect();
    let rows: Vec<Vec<String>> = all
        .into_iter()
        .map(|b| {
            let data = match (b.present, b.pullable) {
                (true, _) => tr!("here", "已有"),
                (false, true) => tr!("evals pull {}", "evals pull {}", b.name),
                (false, false) => one_line(&b.source),
            };
            vec![b.name, one_line(&b.title), b.lang, b.mode.to_owned(), data]
        })
        .collect();
    columns(&header, &rows, 100).iter().for_each(|line| ui.line(line));
    Ok(())
}

fn about(context: &Context, name: &str) -> Result<()> {
    let about = evals::about(&context.workbench()?, name)?;
    let ui = &context.ui;
    if ui.json {
        ui.json_line(&about);
        return Ok(());
    }
    let AboutBenchmark { listed, .. } = &about;
    ui.line(&one_line(&format!("{}: {}", listed.name, listed.title)));
    facts(&about).iter().for_each(|line| ui.line(line));
    Ok(())
}

/// What a definition tells, at most 80 columns wide: a fact a line, then the published figures.
fn facts(about: &AboutBenchmark) -> Vec<String> {
    let AboutBenchmark { listed, split, .. } = about;
    let splits = about.splits.iter().map(|(name, file)| format!("{name} ({file})"));
    let shots = match &about.fewshot_split {
        Some(from) => tr!("{} unless asked, from {from}", "默认 {} 个，取自 {from}", about.num_fewshot),
        None => tr!("none", "无"),
    };
    let data = match (listed.present, listed.pullable) {
        (true, _) => tr!("here", "已有"),
        (false, true) => format!("evals pull {}", listed.name),
        (false, false) => tr!("not here", "没有"),
    };
    let presets = listed.presets.iter().map(|preset| match *preset == about.default_preset {
        true => tr!("{preset} (default)", "{preset}（默认）"),
        false => preset.clone(),
    });
    let mut lines = Vec::new();
    for (name, value) in [
        (tr!("source", "来源"), listed.source.clone()),
        (tr!("licence", "许可"), listed.licence.clone()),
        (tr!("language", "语言"), listed.lang.clone()),
        (tr!("groups", "所属组"), about.groups.join(", ")),
        (tr!("mode", "模式"), listed.mode.to_owned()),
        (tr!("subjects", "科目数"), if about.subjects > 0 { about.subjects.to_string() } else { String::new() }),
        (tr!("splits", "划分"), splits.collect::<Vec<_>>().join(", ")),
        (tr!("scored", "评分划分"), split.clone()),
        (tr!("format", "格式"), about.format.name().to_owned()),
        (tr!("few-shots", "少样本"), shots),
        (tr!("presets", "预设"), presets.collect::<Vec<_>>().join(", ")),
        (tr!("data", "数据"), data),
        (tr!("fetched from", "下载自"), about.places.join(", ")),
    ] {
        if !value.is_empty() {
            lines.extend(hanging(&format!("{}  ", pad(&name, FACT)), &value));
        }
    }
    for reference in &about.reference {
        lines.push(String::new());
        lines.extend(hanging("", &tr!("published ({}):", "已发表（{}）：", reference.how())));
        lines.push(format!("  {}", one_line(&reference.source)));
        lines.extend(packed(&reference.ranked()));
    }
    lines
}

/// Models with their figures, as many a line as fit; no model is parted from its figure.
fn packed(ranked: &[(&str, f64)]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (i, (model, score)) in ranked.iter().enumerate() {
        let comma = if i + 1 < ranked.len() { "," } else { "" };
        let item = format!("{} {score:.2}{comma}", one_line(model));
        match lines.last_mut().filter(|line| width(line) + 1 + width(&item) <= 80) {
            Some(line) => {
                line.push(' ');
                line.push_str(&item);
            }
            None => lines.push(format!("  {item}")),
        }
    }
    lines
}

/// Columns of a fact's name.
const FACT: usize = 12;

/// `text` after `first`, its further lines below its beginning.
fn hanging(first: &str, text: &str) -> Vec<String> {
    let indent = width(first);
    let lines = wrap(&one_line(text), 80usize.saturating_sub(indent));
    let start = |i: usize| if i == 0 { first.to_owned() } else { " ".repeat(indent) };
    lines.iter().enumerate().map(|(i, line)| format!("{}{line}", start(i))).collect()
}

fn check(context: &Context, definition: &str, shots: usize, preset: Option<&str>) -> Result<()> {
    let checked = evals::check(&context.workbench()?, definition, shots, preset)?;
    let ui = &context.ui;
    if ui.json {
        ui.json_line(&checked);
        return Ok(());
    }
    ui.line(&one_line(&tr!(
        "{}: sound; mode {}, presets {}",
        "{}：定义有效；模式 {}，预设 {}",
        checked.name,
        checked.mode,
        checked.presets.join(", ")
    )));
    facts(&checked.about).iter().for_each(|line| ui.line(line));
    let Checked { missing, samples, skipped, .. } = &checked;
    if let [first, ..] = missing.as_slice() {
        let count = missing.len();
        ui.line(&one_line(&tr!("{count} files are not here: {first} …", "缺少 {count} 个文件：{first} …")));
        return Ok(());
    }
    for sample in samples {
        ui.line("");
        ui.line(&one_line(&format!("--- {}/{} ---", sample.subject, sample.id)));
        ui.line(&clean(&sample.prompt));
        let choices: Vec<String> = sample.continuations.iter().map(|c| format!("{c:?}")).collect();
        if !choices.is_empty() {
            ui.line(&one_line(&tr!("choices: {}", "选项：{}", choices.join(", "))));
        }
        ui.line(&one_line(&tr!("right: {}", "正解：{}", sample.gold)));
    }
    for item in skipped {
        ui.warn(&one_line(&format!("{}/{}: {}", item.subject, item.id, item.reason)));
    }
    Ok(())
}

fn pull(context: &Context, name: &str) -> Result<()> {
    let workbench = context.workbench()?;
    let cancel = context.cancel_on_signals()?;
    let ui = &context.ui;
    let bar = ui.bar(0, true);
    let mut progress = |file: &str, bytes: u64| {
        bar.set_message(one_line(file));
        bar.set_position(bytes);
    };
    let pulled = evals::pull(&workbench, name, &Sources::from_env(), &mut progress, &cancel);
    bar.finish_and_clear();
    let pulled = pulled?;
    if ui.json {
        ui.json_line(&pulled);
        return Ok(());
    }
    if let [first, ..] = pulled.missing.as_slice() {
        ui.warn(&one_line(&tr!(
            "{} files are still missing ({first} …): the place packs the data otherwise now",
            "仍缺少 {} 个文件（{first} …）：下载源的打包方式已改变",
            pulled.missing.len()
        )));
    }
    ui.note(&tr!("{} files fetched, {} were here", "下载 {} 个文件，已有 {} 个", pulled.files, pulled.present));
    ui.line(&pulled.path.display().to_string());
    Ok(())
}

fn import(context: &Context, task: &Path, output: Option<&Path>) -> Result<()> {
    let Imported { definition, not_carried } = import_task(task)?;
    let ui = &context.ui;
    if let Some(path) = output {
        std::fs::write(path, &definition).map_err(|e| Error::io(path, &e))?;
    }
    if ui.json {
        ui.json_line(&json!({"definition": definition, "not_carried": not_carried, "output": output}));
        return Ok(());
    }
    for field in &not_carried {
        ui.warn(&one_line(&tr!("not carried over: {field}", "未能转换：{field}")));
    }
    match output {
        None => ui.line(definition.trim_end()),
        Some(path) => ui.note(&tr!(
            "look at it with: linly-bench evals check {}",
            "检查：linly-bench evals check {}",
            path.display()
        )),
    }
    Ok(())
}
