//! `linly-bench run`: score a model on benchmarks.

use super::Context;
use super::examinee::{Loaded, scored};
use super::score_table::render;
use super::score_view;
use super::server_flags::ServerFlags;
use crate::error::{Error, Kind, Result};
use crate::eval::{self, FewshotSampler, ItemOutcome, PermutationReport, Report};
use crate::job::{CancelToken, EventSink};
use crate::model::WeightForm;
use crate::store::RunStatus;
use crate::text::one_line;
use crate::tr;
use crate::workbench::answering::weight_form;
use crate::workbench::device::Wish;
use crate::workbench::{self, Examinee, How, ScoreReport, ScoreRequest, Workbench};
use clap::ValueEnum;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Score a model on benchmarks
#[derive(clap::Args)]
#[command(after_help = "Examples:
  linly-bench run finance-qa --model smollm2-135m
  linly-bench run ceval --model smollm2-135m --adapter jubaopen --shots 5 --data-dir DIR
  linly-bench run gsm8k --model smollm2-135m --limit 20 --log-samples samples.jsonl
  linly-bench run ceval --model smollm2-135m --mode cot --shots 5
  linly-bench run my-benchmark.toml --model smollm2-135m --json
  linly-bench run ceval --model http://127.0.0.1:8000/v1#NAME --concurrency 8
  linly-bench run --resume eval-20260101-120000-1a2b
  linly-bench run ceval --model smollm2-135m --presets lm-eval,ceval-official,opencompass
  linly-bench run finance-qa --model smollm2-135m --permute 3
  linly-bench run ceval --model Model-Q4_1.gguf --quantize keep --dtype bf16

With several benchmarks or presets, --json prints one object a line, and last one with `summary`.")]
pub struct Args {
    /// Benchmarks: a name (`linly-bench evals list` shows them), the path of a definition (.toml), or a group
    /// (finance, zh, en, all)
    #[arg(value_name = "BENCH", required_unless_present = "resume")]
    benchmarks: Vec<String>,
    /// Catalogue name, folder or .gguf file of the model, or http://HOST:PORT/v1#NAME of an OpenAI-compatible server
    #[arg(long, value_name = "MODEL", required_unless_present = "resume")]
    model: Option<String>,
    /// Name or folder of a LoRA adapter
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<String>,
    /// Few-shots per prompt [default: the benchmark's, mostly 0]
    #[arg(long, value_name = "K")]
    shots: Option<usize>,
    /// Which rows are few-shots: the first ones, or a sample for each item [default: the benchmark's, mostly first]
    #[arg(long, value_enum, value_name = "HOW")]
    fewshot_sampler: Option<Sampler>,
    /// Seed of such a sample [default: the benchmark's, mostly 1234 as in lm-evaluation-harness]
    #[arg(long, value_name = "N")]
    fewshot_seed: Option<u64>,
    /// Split that few-shots come from [default: the benchmark's]
    #[arg(long, value_name = "SPLIT")]
    fewshot_split: Option<String>,
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
    /// Number type in which weights are multiplied; bf16 is faster, and its scores are others in the third digit
    #[arg(long, value_enum, value_name = "TYPE", default_value = "auto")]
    dtype: Dtype,
    /// How weights are held: converted once (full), as the file has them (keep: a quantised GGUF stays so), or quantised now
    #[arg(long, value_name = "HOW", default_value = "full", value_parser = ["full", "keep", "int8", "int4"])]
    quantize: String,
    /// Ask again what an earlier run has answers for (same weights, adapter, tokenizer and prompt)
    #[arg(long)]
    fresh: bool,
    /// How an answer is found [default: as the benchmark wants it]
    #[arg(long, value_enum)]
    mode: Option<Mode>,
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
    #[arg(long, value_name = "RUN", conflicts_with_all = ["benchmarks", "shots", "preset", "presets", "subjects", "limit", "template", "split", "mode", "fewshot_sampler", "fewshot_seed", "fewshot_split", "dtype", "quantize", "fresh"])]
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

impl From<Mode> for eval::Mode {
    fn from(mode: Mode) -> eval::Mode {
        match mode {
            Mode::Loglikelihood => eval::Mode::Loglikelihood,
            Mode::Generate => eval::Mode::Generate,
            Mode::Cot => eval::Mode::Cot,
        }
    }
}

/// Which rows are few-shots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sampler {
    /// The first ones, in order
    First,
    /// A sample for each item
    Random,
}

impl From<Sampler> for FewshotSampler {
    fn from(sampler: Sampler) -> FewshotSampler {
        match sampler {
            Sampler::First => FewshotSampler::First,
            Sampler::Random => FewshotSampler::Random,
        }
    }
}

/// Number type in which weights are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dtype {
    F32,
    Bf16,
    /// f32, which other programs' scores are compared with
    Auto,
}

impl Args {
    /// In which form the weights are held; `None` for the usual one.
    fn weights(&self, wish: Wish) -> Result<Option<WeightForm>> {
        let dtype = if self.dtype == Dtype::Bf16 { "bf16" } else { "f32" };
        let (form, _) = weight_form(wish, dtype, &self.quantize)?;
        Ok(Some(form).filter(|form| *form != WeightForm::F32))
    }
}

/// Runs the command.
///
/// # Errors
/// Those of [`workbench::score`] and of loading the model.
pub fn run(context: &Context, args: Args, cancel: &CancelToken) -> Result<()> {
    let weights = args.weights(context.wish)?;
    let workbench = context.workbench()?;
    if let Some(id) = &args.resume {
        return resume(context, &workbench, &args, id, cancel);
    }
    let mut requests = Vec::new();
    let mut scores = false;
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
            shots: args.shots.unwrap_or(benchmark.definition.num_fewshot),
            preset,
            subjects: args.subjects.clone(),
            limit: args.limit.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            split: args.split.clone().or_else(|| withheld.then(|| "test".to_owned())),
            template: String::new(),
            how: How {
                mode: args.mode.map(Into::into),
                fewshot_split: args.fewshot_split.clone(),
                fewshot_sampler: args.fewshot_sampler.map(Into::into),
                fewshot_seed: args.fewshot_seed,
                weights,
                fresh: args.fresh,
            },
        };
        let preset = workbench::check_score(&workbench, &request)?;
        request.template = match args.template.as_deref() {
            Some("none") => String::new(),
            Some(name) => name.to_owned(),
            None if preset.chat => "chat".to_owned(),
            None => String::new(),
        };
        if args.permute > 0 && !workbench::reads_choices(&workbench, &request)? {
            let task = one_line(&benchmark.definition.name);
            return Err(Error::new(
                Kind::Usage,
                tr!(
                    "{task} has no choices whose order --permute could change here",
                    "{task} 在此没有可供 --permute 打乱顺序的选项"
                ),
            )
            .hint(tr!("--permute is for multiple choice by log-likelihood", "--permute 用于按对数似然评分的选择题")));
        }
        scores |= workbench::reads_probabilities(&workbench, &request)?;
        requests.push(request);
    }
    let mut samples = args.log_samples.as_deref().map(Samples::create).transpose()?;
    let model = args.model.as_deref().unwrap_or_default();
    let server = (&args.server, scores);
    let loaded = Loaded::new(context, &workbench, (model, args.adapter.as_deref()), weights, server, cancel)?;
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
    let scores = workbench::reads_probabilities(workbench, &request)?;
    let mut samples = args.log_samples.as_deref().map(Samples::create).transpose()?;
    let model = args.model.as_deref().unwrap_or(&record.model);
    let adapter = args.adapter.as_deref().unwrap_or(&record.adapter);
    let adapter = Some(adapter).filter(|a| !a.is_empty());
    let server = (&args.server, scores);
    let loaded = Loaded::new(context, workbench, (model, adapter), request.how.weights, server, cancel)?;
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
    if report.reused > 0 {
        let (reused, n) = (report.reused, report.report.n);
        context.ui.note(&tr!(
            "{reused} of {n} answers are those of earlier runs of the same model (--fresh asks again)",
            "{reused}/{n} 个答案取自同一模型的先前运行（--fresh 重新提问）"
        ));
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
