//! `linly-bench run`: score a model on benchmarks.

use super::Context;
use super::columns::{Align, columns, model_label};
use super::score_view;
use super::server_flags::ServerFlags;
use crate::error::{Error, Kind, Result};
use crate::eval::{self, CategoryScore, ItemOutcome, PermutationReport, Report, SubjectScore};
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::prompt::Template;
use crate::remote::{Method, RemoteModel, is_address};
use crate::store::RunStatus;
use crate::text::one_line;
use crate::tr;
use crate::workbench::{self, Examinee, LoadedAdapter, LoadedModel, ScoreReport, ScoreRequest, Workbench};
use clap::ValueEnum;
use indicatif::ProgressBar;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Score a model on benchmarks
#[derive(clap::Args)]
#[command(after_help = "Examples:
  linly-bench run finance-qa --model smollm2-135m
  linly-bench run ceval --model smollm2-135m --adapter jubaopen --shots 5 --data-dir DIR
  linly-bench run my-benchmark.toml --model smollm2-135m --json
  linly-bench run ceval --model http://127.0.0.1:8000/v1#NAME --concurrency 8
  linly-bench run --resume eval-20260101-120000-1a2b

  linly-bench run ceval --model smollm2-135m --presets lm-eval,ceval-official,opencompass
  linly-bench run finance-qa --model smollm2-135m --permute 3

With several benchmarks or presets, --json prints one object a line, and last one with `summary`.")]
pub struct Args {
    /// Benchmarks: a name (finance-qa, ceval, cmmlu, mmlu, financeiq, fineval), the path of a definition
    /// (.toml), or a group (finance, zh, en, all)
    #[arg(value_name = "BENCH", required_unless_present = "resume")]
    benchmarks: Vec<String>,
    /// Catalogue name, folder or .gguf file of the model, or http://HOST:PORT/v1#NAME of an OpenAI-compatible server
    #[arg(long, value_name = "MODEL", required_unless_present = "resume")]
    model: Option<String>,
    /// Name or folder of a LoRA adapter
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<String>,
    /// Few-shots per prompt, the first ones of the benchmark's own
    #[arg(long, value_name = "K", default_value_t = 0)]
    shots: usize,
    /// Wording of the prompt [default: the benchmark's, lm-eval]
    #[arg(long, value_name = "PRESET")]
    preset: Option<String>,
    /// Several wordings, or `all`: scores each and says how far they lie apart
    #[arg(long, value_name = "P,Q", value_delimiter = ',', conflicts_with_all = ["preset", "submission"])]
    presets: Vec<String>,
    /// Ask every item K more times with its choices in random orders (seeded), and report what that changes
    #[arg(long, value_name = "K", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=100))]
    permute: u64,
    /// Only these subjects
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    subjects: Vec<String>,
    /// At most N items per subject
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Ask in conversations of this template; `chat` is the model's own, `none` plain text
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<String>,
    /// Number type of the weights
    #[arg(long, value_enum, default_value = "auto")]
    dtype: Dtype,
    /// How an answer is found
    #[arg(long, value_enum, default_value = "loglikelihood")]
    mode: Mode,
    /// Write every prompt and answer to FILE (JSON lines)
    #[arg(long, value_name = "FILE")]
    log_samples: Option<PathBuf>,
    /// Score this split instead of the benchmark's usual one
    #[arg(long, value_name = "SPLIT")]
    split: Option<String>,
    /// Write the predictions to FILE as C-Eval's submission.json wants them; the split is then `test` if there is one
    #[arg(long, value_name = "FILE")]
    submission: Option<PathBuf>,
    /// Go on with an interrupted run
    #[arg(long, value_name = "RUN", conflicts_with_all = ["benchmarks", "shots", "preset", "presets", "subjects", "limit", "template", "split"])]
    resume: Option<String>,
    #[command(flatten)]
    server: ServerFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// The likeliest choice
    Loglikelihood,
    /// The choice found in a generated answer
    Generate,
    /// The choice found after reasoning step by step
    Cot,
}

/// Number type of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dtype {
    F32,
    Bf16,
    Auto,
}

/// A model ready to be scored.
enum Loaded {
    Local { model: Box<LoadedModel>, adapter: Option<LoadedAdapter> },
    Server(RemoteModel),
}

impl Loaded {
    /// Loads `model` with `adapter`, or finds the server that has it.
    fn new(
        context: &Context,
        workbench: &Workbench,
        (model, adapter): (&str, Option<&str>),
        server: &ServerFlags,
        cancel: &CancelToken,
    ) -> Result<Loaded> {
        if is_address(model) {
            return Loaded::server(context, model, adapter, server, cancel);
        }
        context.ui.note(&tr!("loading {model} …", "正在加载 {model} …"));
        let model = workbench.load_model(model)?;
        let adapter = adapter.map(|spec| workbench.load_adapter(spec, &model)).transpose()?;
        Ok(Loaded::Local { model: Box::new(model), adapter })
    }

    fn server(
        context: &Context,
        model: &str,
        adapter: Option<&str>,
        flags: &ServerFlags,
        cancel: &CancelToken,
    ) -> Result<Loaded> {
        if adapter.is_some() {
            return Err(Error::new(
                Kind::Usage,
                tr!("an adapter cannot be put on a server's model", "无法为服务器上的模型加载适配器"),
            )
            .hint(tr!("let the server load it, and name what it calls it", "请让服务器加载适配器，并使用其中的名称")));
        }
        let model = RemoteModel::connect(model, flags.options())?.prepared_to_score(cancel)?;
        if let Some(Method::Likeliest(n)) = model.method() {
            context.ui.warn(&tr!(
                "{}: its echoed log-probabilities are missing or not those of their tokens; each choice must be one of the {n} likeliest next tokens",
                "{}：echo 的对数概率缺失或与词元不符；每个选项须是最可能的 {n} 个词元之一",
                model.name()
            ));
        }
        Ok(Loaded::Server(model))
    }
}

/// Runs the command.
///
/// # Errors
/// Those of [`workbench::score`] and of loading the model.
pub fn run(context: &Context, args: Args, cancel: &CancelToken) -> Result<()> {
    if args.mode != Mode::Loglikelihood {
        return Err(Error::new(
            Kind::Unsupported,
            tr!("answers are found by log-likelihood only", "目前只支持对数似然评分"),
        )
        .hint(tr!("leave --mode out", "请去掉 --mode")));
    }
    if args.dtype == Dtype::Bf16 {
        return Err(Error::new(
            Kind::Unsupported,
            tr!(
                "scores are computed in f32, so that they equal the harness's",
                "评分以 f32 计算，以便与评测框架的结果一致"
            ),
        )
        .hint(tr!("leave --dtype out", "请去掉 --dtype")));
    }
    let workbench = context.workbench()?;
    if let Some(id) = &args.resume {
        return resume(context, &workbench, &args, id, cancel);
    }
    let mut requests = Vec::new();
    let benchmarks = eval::resolve(&args.benchmarks, context.settings().data_dir.as_deref())?;
    if args.submission.is_some() && benchmarks.len() > 1 {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("--submission is for one benchmark", "--submission 只用于一个基准"),
        )
        .hint(tr!("run the benchmarks one by one", "请逐个运行基准")));
    }
    let several = benchmarks.len() > 1;
    for (benchmark, preset) in benchmarks.into_iter().flat_map(|b| wordings(&args, b)) {
        let withheld = args.submission.is_some() && benchmark.definition.files.contains_key("test");
        let mut request = ScoreRequest {
            benchmark: benchmark.reference,
            shots: args.shots,
            preset,
            subjects: args.subjects.clone(),
            limit: args.limit.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            split: args.split.clone().or_else(|| withheld.then(|| "test".to_owned())),
            template: String::new(),
        };
        let preset = workbench::check_score(&workbench, &request)?;
        request.template = match args.template.as_deref() {
            Some("none") => String::new(),
            Some(name) => name.to_owned(),
            None if preset.chat => "chat".to_owned(),
            None => String::new(),
        };
        requests.push(request);
    }
    let mut samples = args.log_samples.as_deref().map(Samples::create).transpose()?;
    let model = args.model.as_deref().unwrap_or_default();
    let loaded = Loaded::new(context, &workbench, (model, args.adapter.as_deref()), &args.server, cancel)?;
    let mut reports = Vec::new();
    for request in &requests {
        let report = scored(context, &loaded, &request.template, |who, sink| {
            workbench::score(&workbench, request, who, sink, cancel)
        })?;
        let orders = permuted(context, &workbench, &loaded, &report, args.permute, cancel)?;
        let whole = requests.len() == 1 || context.ui.json;
        show(context, &report, orders.as_ref(), whole, samples.as_mut(), args.submission.as_deref())?;
        reports.push(report);
    }
    if !args.presets.is_empty() {
        wording_summary(context, &reports);
    } else if several {
        group_summary(context, &reports);
    }
    Ok(())
}

/// A benchmark once per wording that it is asked in.
fn wordings(args: &Args, benchmark: eval::Benchmark) -> Vec<(eval::Benchmark, Option<String>)> {
    match args.presets.as_slice() {
        [] => vec![(benchmark, args.preset.clone())],
        [all] if all == "all" => {
            let names: Vec<String> = benchmark.definition.presets.keys().cloned().collect();
            names.into_iter().map(|name| (benchmark.clone(), Some(name))).collect()
        }
        names => names.iter().map(|name| (benchmark.clone(), Some(name.clone()))).collect(),
    }
}

/// Asks the items of a finished score in `rounds` other orders of their choices.
fn permuted(
    context: &Context,
    workbench: &Workbench,
    loaded: &Loaded,
    report: &ScoreReport,
    rounds: u64,
    cancel: &CancelToken,
) -> Result<Option<PermutationReport>> {
    if rounds == 0 {
        return Ok(None);
    }
    let job = |who: &Examinee<'_>, sink: &dyn EventSink| {
        workbench::permute(workbench, &report.run, who, rounds, sink, cancel)
    };
    scored(context, loaded, &report.template, job).map(Some)
}

/// How far the wordings of each benchmark lie apart.
fn wording_summary(context: &Context, reports: &[ScoreReport]) {
    for of_task in reports.chunk_by(|a, b| a.report.task == b.report.task) {
        let outcomes: Vec<&[ItemOutcome]> = of_task.iter().map(|r| r.outcomes.as_slice()).collect();
        let Some(spread) = eval::preset_spread(&outcomes) else { continue };
        let of_task: Vec<&ScoreReport> = of_task.iter().collect();
        if context.ui.json {
            let presets: Vec<_> = of_task.iter().map(|r| brief(r)).collect();
            let task = of_task.first().map(|r| &r.report.task);
            context.ui.json_line(&json!({"summary": "presets", "task": task, "presets": presets, "spread": spread}));
        } else {
            score_view::presets(&of_task, &spread).iter().for_each(|line| context.ui.line(line));
        }
    }
}

/// One line per benchmark and their mean.
fn group_summary(context: &Context, reports: &[ScoreReport]) {
    let scores: Vec<&Report> = reports.iter().map(|r| &r.report).collect();
    let Some(group) = eval::group_score(&scores) else { return };
    if context.ui.json {
        let benchmarks: Vec<_> = reports.iter().map(brief).collect();
        context.ui.json_line(&json!({"summary": "group", "benchmarks": benchmarks, "group": group}));
    } else {
        score_view::group(reports, &group).iter().for_each(|line| context.ui.line(line));
    }
}

fn brief(score: &ScoreReport) -> serde_json::Value {
    let r = &score.report;
    json!({"task": r.task, "preset": r.preset, "run": score.run, "n": r.n, "acc": r.acc, "acc_stderr": r.acc_stderr,
           "acc_macro": r.acc_macro})
}

fn resume(context: &Context, workbench: &Workbench, args: &Args, id: &str, cancel: &CancelToken) -> Result<()> {
    let record = workbench.store.run(id)?;
    let done = args.permute > 0 && record.status == RunStatus::Done;
    let request = if done { workbench::asked(&record)? } else { workbench::resumable(&record)? };
    workbench::check_score(workbench, &request)?;
    let mut samples = args.log_samples.as_deref().map(Samples::create).transpose()?;
    let model = args.model.as_deref().unwrap_or(&record.model);
    let adapter = args.adapter.as_deref().unwrap_or(&record.adapter);
    let adapter = Some(adapter).filter(|a| !a.is_empty());
    let loaded = Loaded::new(context, workbench, (model, adapter), &args.server, cancel)?;
    let report = if done {
        workbench::finished_score(workbench, &record)?
    } else {
        scored(context, &loaded, &request.template, |who, sink| {
            workbench::resume_score(workbench, &record, who, sink, cancel)
        })?
    };
    let orders = permuted(context, workbench, &loaded, &report, args.permute, cancel)?;
    show(context, &report, orders.as_ref(), true, samples.as_mut(), args.submission.as_deref())
}

fn scored<T>(
    context: &Context,
    loaded: &Loaded,
    template: &str,
    job: impl FnOnce(&Examinee<'_>, &dyn EventSink) -> Result<T>,
) -> Result<T> {
    let template: Option<Template> = Some(template).filter(|t| !t.is_empty()).map(str::parse).transpose()?;
    let bar = context.ui.bar(0, false);
    let (model, adapter) = match loaded {
        Loaded::Local { model, adapter } => (model, adapter),
        Loaded::Server(model) => {
            let report = workbench::with_remote_examinee(model, template, |who| job(who, &Bar(&bar)));
            bar.finish_and_clear();
            return report;
        }
    };
    if let (Some(asked), Some(trained)) = (template, adapter.as_ref().and_then(|a| a.template))
        && asked != trained
    {
        let (asked, trained) = (asked.name(), trained.name());
        context.ui.warn(&tr!(
            "the adapter was trained with the template {trained}, it is asked with {asked}",
            "该适配器用模板 {trained} 训练，现在用 {asked} 提问"
        ));
    }
    let report = workbench::with_examinee(model, adapter.as_ref(), template, |who| job(who, &Bar(&bar)));
    bar.finish_and_clear();
    report
}

/// Draws a job's progress.
struct Bar<'a>(&'a ProgressBar);

impl EventSink for Bar<'_> {
    fn emit(&self, event: &JobEvent) {
        match event {
            JobEvent::Started { total, .. } => self.0.set_length(*total),
            JobEvent::Progress { done, note, .. } => {
                self.0.set_position(*done);
                self.0.set_message(note.clone());
            }
            _ => {}
        }
    }
}

/// The file of `--log-samples`.
struct Samples {
    path: PathBuf,
    file: std::io::BufWriter<std::fs::File>,
}

impl Samples {
    /// Opened before the work: a path that cannot be written is reported at once.
    fn create(path: &Path) -> Result<Samples> {
        let file = std::fs::File::create(path).map_err(|e| Error::io(path, &e))?;
        Ok(Samples { path: path.to_owned(), file: std::io::BufWriter::new(file) })
    }

    fn write(&mut self, outcomes: &[ItemOutcome]) -> Result<()> {
        let mut all = || -> std::io::Result<()> {
            for outcome in outcomes {
                serde_json::to_writer(&mut self.file, outcome)?;
                self.file.write_all(b"\n")?;
            }
            self.file.flush()
        };
        all().map_err(|e| Error::io(&self.path, &e))
    }
}

/// Writes `{"<subject>": {"<id>": "A", …}, …}`.
fn write_submission(path: &Path, outcomes: &[ItemOutcome]) -> Result<()> {
    let mut subjects = serde_json::Map::new();
    for outcome in outcomes {
        let subject = subjects.entry(outcome.subject.clone()).or_insert_with(|| serde_json::json!({}));
        if let Some(answers) = subject.as_object_mut() {
            answers.insert(outcome.id.clone(), outcome.pred.clone().into());
        }
    }
    let text = serde_json::to_string_pretty(&subjects).map_err(|e| Error::internal(e.to_string()))?;
    std::fs::write(path, text + "\n").map_err(|e| Error::io(path, &e))
}

fn show(
    context: &Context,
    report: &ScoreReport,
    orders: Option<&PermutationReport>,
    whole: bool,
    samples: Option<&mut Samples>,
    submission: Option<&Path>,
) -> Result<()> {
    if let Some(samples) = samples {
        samples.write(&report.outcomes)?;
    }
    if let Some(path) = submission {
        write_submission(path, &report.outcomes)?;
    }
    for skipped in &report.report.skipped {
        context.ui.warn(&one_line(&tr!(
            "{}/{} was not scored: {}",
            "{}/{} 未评分：{}",
            skipped.subject,
            skipped.id,
            skipped.reason
        )));
    }
    if context.ui.json {
        let mut value = serde_json::to_value(report).map_err(|e| Error::internal(e.to_string()))?;
        if let (Some(object), Some(orders)) = (value.as_object_mut(), orders) {
            object.insert("permutations".to_owned(), json!(orders));
        }
        context.ui.json_line(&value);
        return Ok(());
    }
    // Of several scores each is a line of the summary; `runs show` has the rest.
    let table = if whole { render(report) } else { Vec::new() };
    table.into_iter().chain(score_view::detail(None, orders)).for_each(|line| context.ui.line(&line));
    Ok(())
}

/// Columns of the table's name and of its bar: together with the numbers 79 of a terminal's 80.
const NAME: usize = 36;
const BAR: usize = 20;

/// The score for people, at most 80 columns wide.
pub(super) fn render(score: &ScoreReport) -> Vec<String> {
    let report = &score.report;
    let who = model_label(&score.model, &score.adapter);
    let how = if score.template.is_empty() { tr!("plain text", "纯文本") } else { score.template.clone() };
    let mut lines = vec![
        one_line(&format!("{}: {who}", report.task)),
        one_line(&tr!("{}-shot, preset {}, {how}", "{}-shot，预设 {}，{how}", report.shots, report.preset)),
        String::new(),
    ];
    if report.acc.is_nan() {
        lines.push(tr!(
            "{} predictions; this split has no answers to score them by",
            "{} 个预测；该划分没有答案，无法评分",
            report.n
        ));
        return lines;
    }
    let header = [tr!("subject", "科目"), String::new(), "acc %".to_owned(), "stderr".to_owned(), "n".to_owned()];
    let layout = [Align::Left, Align::Left, Align::Right, Align::Right, Align::Right];
    let header: Vec<(String, Align)> = header.into_iter().zip(layout).collect();
    lines.extend(columns(&header, &rows(report), 80));
    lines.push(String::new());
    lines.push(one_line(&tr!(
        "run {}, {:.2} items/s, prompts {}",
        "运行 {}，{:.2} 题/秒，提示 {}",
        score.run,
        report.items_per_second,
        report.prompt_hash.get(..12).unwrap_or_default()
    )));
    lines
}

/// Categories, each followed by its subjects, then the averages by their names.
fn rows(report: &Report) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let subject_row = |indent: &str, handle: &str, s: &SubjectScore| {
        row(&format!("{indent}{}", if s.title.is_empty() { handle } else { &s.title }), s.acc, s.stderr, s.n)
    };
    let group_row = |name: &str, c: &CategoryScore| row(name, c.acc, c.stderr, c.n);
    let mut listed: Vec<&str> = Vec::new();
    for (name, category) in &report.categories.0 {
        rows.push(group_row(name, category));
        for (handle, s) in report.subjects.0.iter().filter(|(_, s)| s.category == *name) {
            rows.push(subject_row("  ", handle, s));
            listed.push(handle);
        }
    }
    for (handle, s) in report.subjects.0.iter().filter(|(handle, _)| !listed.contains(&handle.as_str())) {
        rows.push(subject_row("", handle, s));
    }
    for (name, subset) in &report.subsets.0 {
        rows.push(group_row(&tr!("subset {name} (micro)", "子集 {name}（微平均）"), subset));
    }
    rows.push(row(&tr!("micro average (all items)", "微平均（全部题目）"), report.acc, report.acc_stderr, report.n));
    let count = report.subjects.0.len();
    let name = tr!("macro average (mean of {count} subjects)", "宏平均（{count} 个科目的平均）");
    rows.push(row(&name, report.acc_macro, None, report.n));
    if let Some(acc_norm) = report.acc_norm {
        rows.push(row(
            &tr!("acc_norm, micro (by characters)", "acc_norm 微平均（按字符数）"),
            acc_norm,
            None,
            report.n,
        ));
    }
    rows
}

fn row(name: &str, acc: f64, stderr: Option<f64>, n: usize) -> Vec<String> {
    let filled = (acc * BAR as f64).round() as usize;
    vec![
        crate::text::truncate(&one_line_keeping_indent(name), NAME),
        format!("{}{}", "#".repeat(filled.min(BAR)), ".".repeat(BAR.saturating_sub(filled))),
        format!("{:.2}", acc * 100.0),
        stderr.map_or_else(|| "-".to_owned(), |e| format!("{:.2}", e * 100.0)),
        n.to_string(),
    ]
}

/// Titles come from data files and may hold anything.
fn one_line_keeping_indent(name: &str) -> String {
    let indent = name.len() - name.trim_start_matches(' ').len();
    format!("{}{}", " ".repeat(indent), one_line(name))
}
