//! The main job from end to end on embedded defaults: pull, import, score, train, score, compare, battle, rank.
//!
//! Each stage first looks whether its result is there already, made from the same weights, data and settings:
//! a second demo is done in seconds, and one that was killed goes on at the stage where it stopped.

use super::train::{HeldOut, Objective, TrainReport, TrainRequest};
use super::{How, LoadedAdapter, LoadedModel, LocalContestant, ScoreRequest, Workbench};
use super::{arena, compare_runs, data, leaderboard, models, score, train, with_examinee};
use crate::arena::judge::ReferenceJudge;
use crate::arena::ratings::Method;
use crate::arena::{Contestant, questions};
use crate::batch::Shape;
use crate::data::ImportOptions;
use crate::error::{Error, Kind, Result};
use crate::eval::Comparison;
use crate::infer::Sampling;
use crate::job::{CancelToken, EventSink};
use crate::leaderboard::Leaderboard;
use crate::model::hub::Sources;
use crate::model::pull::PullEvent;
use crate::model::{LoraConfig, Projection, WeightForm, adapter};
use crate::prompt::Template;
use crate::store::{Existing, RunRecord, RunStatus};
use crate::tr;
use crate::train::{Length, Schedule, TrainConfig};
use serde::Serialize;
use serde_json::Value;
use std::time::Instant;

/// The model that the demo improves.
pub const MODEL: &str = "smollm2-135m";
/// The dataset it imports.
pub const DATASET: &str = "finance";
/// The adapter it trains.
pub const ADAPTER: &str = "jubaopen";
/// The benchmark it scores on.
pub const BENCHMARK: &str = "finance-qa";

const FILES: [data::Input; 6] = [
    embedded("terms-zh.jsonl", include_str!("../../datasets/terms-zh.jsonl")),
    embedded("terms-en.jsonl", include_str!("../../datasets/terms-en.jsonl")),
    embedded("computed-zh.jsonl", include_str!("../../datasets/computed-zh.jsonl")),
    embedded("computed-en.jsonl", include_str!("../../datasets/computed-en.jsonl")),
    embedded("choice-zh.jsonl", include_str!("../../datasets/choice-zh.jsonl")),
    embedded("choice-en.jsonl", include_str!("../../datasets/choice-en.jsonl")),
];

const QUESTIONS: &str = include_str!("../../evals/finance-qa/arena-questions.jsonl");

const fn embedded(name: &'static str, text: &'static str) -> data::Input {
    data::Input::Embedded { name, text }
}

/// How much of each stage is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoSize {
    /// Optimiser steps.
    pub steps: u64,
    /// Held-out rows that the loss is measured on; 0 is all.
    pub held_out: usize,
    /// Benchmark items per subject; `None` is all.
    pub items: Option<usize>,
    /// Arena questions.
    pub questions: usize,
}

impl DemoSize {
    /// About seven minutes on two cores.
    pub const FULL: DemoSize = DemoSize { steps: 150, held_out: 0, items: None, questions: 24 };
    /// About two minutes on two cores.
    pub const QUICK: DemoSize = DemoSize { steps: 60, held_out: 48, items: Some(40), questions: 8 };
}

/// Hears how the demo goes on.
pub trait Narrator {
    /// Stage `number` of [`STAGES`] begins.
    fn stage(&self, number: usize, title: &str);
    /// A stage's result, and whether it was there already.
    fn result(&self, text: &str, reused: bool);
    /// The download says something.
    fn pull(&self, event: PullEvent<'_>);
    /// Takes the events of scoring, training and battles.
    fn sink(&self) -> &dyn EventSink;
}

/// Number of stages.
pub const STAGES: usize = 8;

/// One model's score in the demo.
#[derive(Clone, Debug, Serialize)]
pub struct DemoScore {
    /// The run.
    pub run: String,
    /// Share of items answered right.
    pub acc: f64,
    /// Its standard error.
    pub acc_stderr: Option<f64>,
    /// Items.
    pub n: u64,
}

/// What the demo measured.
#[derive(Clone, Debug, Serialize)]
pub struct DemoReport {
    /// The base model.
    pub model: String,
    /// The adapter.
    pub adapter: String,
    /// The training run.
    pub train_run: String,
    /// Held-out loss of the base model.
    pub base_val_loss: Option<f64>,
    /// Held-out loss with the adapter.
    pub best_val_loss: Option<f64>,
    /// Benchmark score of the base model.
    pub base: DemoScore,
    /// Benchmark score with the adapter.
    pub adapted: DemoScore,
    /// Both on the same items.
    pub comparison: Comparison,
    /// Whether both the held-out loss and the benchmark score are better with the adapter.
    pub improved: bool,
    /// The arena.
    pub arena: String,
    /// The leaderboard.
    pub leaderboard: Leaderboard,
    /// Seconds it took.
    pub seconds: f64,
}

/// Runs all stages.
///
/// # Errors
/// Those of the stages; what earlier stages made stays and is used by the next demo.
pub fn demo(bench: &Workbench, size: DemoSize, narrator: &dyn Narrator, cancel: &CancelToken) -> Result<DemoReport> {
    let started = Instant::now();
    let stage = |number: usize, title: String| {
        narrator.stage(number, &title);
        if cancel.is_cancelled() { Err(Error::new(Kind::Interrupted, tr!("interrupted", "已中断"))) } else { Ok(()) }
    };

    stage(1, tr!("Fetch a real small model ({MODEL})", "获取一个真实的小模型（{MODEL}）"))?;
    let pulled = models::pull(bench, MODEL, &Sources::from_env(), &mut |e| narrator.pull(e), cancel)?;
    let model = bench.load_model(MODEL)?;
    let millions = model.decoder.parameter_count() / 1_000_000;
    let (source, path) = (&pulled.source, pulled.path.display());
    narrator.result(
        &tr!("{millions}M parameters, from {source}: {path}", "{millions}M 参数，来自 {source}：{path}"),
        source == "cache",
    );

    stage(2, tr!("Import the project's own finance instructions", "导入项目自带的金融指令数据"))?;
    import(bench, narrator, cancel)?;

    stage(3, tr!("Score the base model on {BENCHMARK}", "在 {BENCHMARK} 上评测基础模型"))?;
    let base = scored(bench, size, &model, None, narrator, cancel)?;

    stage(4, tr!("Train the adapter {ADAPTER} (LoRA)", "训练适配器 {ADAPTER}（LoRA）"))?;
    let (trained, adapter) = trained(bench, size, &model, narrator, cancel)?;

    stage(5, tr!("Score the adapter on the same items", "在同样的题目上评测适配器"))?;
    let adapted = scored(bench, size, &model, Some(&adapter), narrator, cancel)?;

    stage(6, tr!("Compare the two, item by item", "逐题比较两者"))?;
    let (_, _, comparison) = compare_runs(bench, &base.run, &adapted.run)?;
    let (gained, lost) = (comparison.flips.gained, comparison.flips.lost);
    let (points, p) = (100.0 * comparison.difference, comparison.mcnemar_p);
    narrator.result(
        &tr!(
            "{points:+.1} points: {gained} items gained, {lost} lost (McNemar p = {p:.3})",
            "{points:+.1} 个百分点：新答对 {gained} 题，新答错 {lost} 题（McNemar p = {p:.3}）"
        ),
        false,
    );

    stage(7, tr!("Blind battles, judged against reference answers", "匿名对战，以参考答案评判"))?;
    let arena = battles(bench, size, &model, adapter, narrator, cancel)?;

    stage(8, tr!("Leaderboard", "排行榜"))?;
    let leaderboard = leaderboard::leaderboard(bench)?;
    let lower_loss = matches!((trained.base_val_loss, trained.best_val_loss), (Some(a), Some(b)) if b < a);
    Ok(DemoReport {
        model: MODEL.to_owned(),
        adapter: ADAPTER.to_owned(),
        train_run: trained.run,
        base_val_loss: trained.base_val_loss,
        best_val_loss: trained.best_val_loss,
        improved: lower_loss && adapted.acc > base.acc,
        base,
        adapted,
        comparison,
        arena,
        leaderboard,
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn import(bench: &Workbench, narrator: &dyn Narrator, cancel: &CancelToken) -> Result<()> {
    let request = data::ImportRequest {
        inputs: FILES.to_vec(),
        name: DATASET.to_owned(),
        options: ImportOptions::default(),
        source: "linly-bench datasets/".to_owned(),
        licence: "CC BY 4.0".to_owned(),
        strict: true,
        existing: Existing::Refuse,
    };
    let unchanged = match data::import(bench, &request, narrator.sink(), cancel) {
        Ok(report) => report.unchanged,
        // The rows of an earlier program version: the demo's dataset is the demo's own to replace.
        Err(e) if bench.store.find_dataset(DATASET)?.is_some_and(|d| d.source == request.source) => {
            let _ = e;
            data::import(
                bench,
                &data::ImportRequest { existing: Existing::Replace, ..request },
                narrator.sink(),
                cancel,
            )?;
            false
        }
        Err(e) => return Err(e),
    };
    let d = bench.store.dataset(DATASET)?;
    narrator.result(
        &tr!(
            "{} rows ({} Chinese, {} English; {} to train on, {} held out), version {}",
            "{} 行（中文 {}，英文 {}；训练 {}，留出 {}），版本 {}",
            d.rows,
            d.zh,
            d.en,
            d.train,
            d.val,
            short(&d.version)
        ),
        unchanged,
    );
    Ok(())
}

fn scored(
    bench: &Workbench,
    size: DemoSize,
    model: &LoadedModel,
    adapter: Option<&LoadedAdapter>,
    narrator: &dyn Narrator,
    cancel: &CancelToken,
) -> Result<DemoScore> {
    let request = ScoreRequest {
        benchmark: BENCHMARK.to_owned(),
        shots: 0,
        preset: Some("chat-cloze".to_owned()),
        split: None,
        subjects: Vec::new(),
        limit: size.items,
        template: Template::Chat.name().to_owned(),
        how: How::default(),
    };
    let config = serde_json::to_value(&request).map_err(|e| Error::internal(e.to_string()))?;
    let adapter_hash = adapter.map(|a| a.hash.clone()).unwrap_or_default();
    let same = |run: &RunRecord| {
        run.status == RunStatus::Done
            && run.model_hash == model.hash
            && run.adapter_hash == adapter_hash
            && run.code_version == crate::store::code_version()
            && run.config == config
    };
    let known = bench.store.runs(Some("eval"))?.into_iter().find(same);
    let reused = known.is_some();
    let score = match known.and_then(|run| read_score(&run.id, &run.result)) {
        Some(score) => score,
        None => {
            let report = with_examinee(model, adapter, Some(Template::Chat), |who| {
                score(bench, &request, who, narrator.sink(), cancel)
            })?;
            let result = serde_json::to_value(&report).map_err(|e| Error::internal(e.to_string()))?;
            read_score(&report.run, &result).ok_or_else(|| Error::internal("a score without acc and n"))?
        }
    };
    let (acc, n, run) = (100.0 * score.acc, score.n, &score.run);
    narrator.result(&tr!("{acc:.1}% of {n} items  (run {run})", "{n} 题答对 {acc:.1}%  （运行 {run}）"), reused);
    Ok(score)
}

fn read_score(run: &str, result: &Value) -> Option<DemoScore> {
    Some(DemoScore {
        run: run.to_owned(),
        acc: result["acc"].as_f64()?,
        acc_stderr: result["acc_stderr"].as_f64(),
        n: result["n"].as_u64()?,
    })
}

fn train_request(bench: &Workbench, size: DemoSize) -> TrainRequest {
    TrainRequest {
        objective: Objective::Answers,
        model: MODEL.to_owned(),
        dataset: DATASET.to_owned(),
        adapter: ADAPTER.to_owned(),
        template: Template::Chat.name().to_owned(),
        held_out: HeldOut::Own,
        held_out_limit: size.held_out,
        form: WeightForm::fastest(),
        exact: false,
        config: TrainConfig {
            // Every projection, at a rate that shows within a hundred steps.
            lora: LoraConfig {
                rank: 16,
                alpha: 32.0,
                dropout: 0.0,
                targets: Projection::ALL.to_vec(),
                ..LoraConfig::default()
            },
            lr: 1e-3,
            schedule: Schedule::Cosine,
            warmup: 0.1,
            length: Length::Steps(size.steps),
            shape: Shape { batch_size: 8, max_len: 512, packing: false, bucket: false, in_order: false },
            accum: 1,
            weight_decay: 0.0,
            clip: 1.0,
            eval_every: size.steps.div_ceil(2),
            save_every: 10,
            seed: bench.settings.seed,
            ..TrainConfig::default()
        },
    }
}

/// The figures of a training that later stages need.
struct Trained {
    run: String,
    base_val_loss: Option<f64>,
    best_val_loss: Option<f64>,
}

fn trained(
    bench: &Workbench,
    size: DemoSize,
    model: &LoadedModel,
    narrator: &dyn Narrator,
    cancel: &CancelToken,
) -> Result<(Trained, LoadedAdapter)> {
    let request = train_request(bench, size);
    let config = serde_json::to_value(&request).map_err(|e| Error::internal(e.to_string()))?;
    let version = bench.store.dataset(DATASET)?.version;
    let runs = bench.store.runs(Some("train"))?;
    let same =
        |run: &&RunRecord| run.config == config && run.model_hash == model.hash && run.dataset_version == version;
    let finished = runs.iter().filter(same).find(|run| run.status == RunStatus::Done && is_current(bench, run));
    let (trained, reused) = match finished {
        Some(run) => {
            let figure = |key: &str| run.result[key].as_f64();
            let (base_val_loss, best_val_loss) = (figure("base_val_loss"), figure("best_val_loss"));
            (Trained { run: run.id.clone(), base_val_loss, best_val_loss }, true)
        }
        None => {
            let stopped = |run: &&RunRecord| !matches!(run.status, RunStatus::Done | RunStatus::Running);
            // Scores are computed in f32, a training in what the processor does fastest: that copy lives only here.
            let load = |form| match form {
                WeightForm::F32 => Ok(model.clone()),
                form => bench.load_model_as(MODEL, form),
            };
            let report: TrainReport = match runs.iter().filter(same).find(stopped) {
                Some(run) => train::resume(bench, &run.id, |request| load(request.form), narrator.sink(), cancel)?,
                None => train::train(bench, &request, &load(request.form)?, narrator.sink(), cancel)?,
            };
            let TrainReport { run, base_val_loss, best_val_loss, .. } = report;
            (Trained { run, base_val_loss, best_val_loss }, false)
        }
    };
    if let (Some(base), Some(best)) = (trained.base_val_loss, trained.best_val_loss) {
        let run = &trained.run;
        narrator.result(
            &tr!("held-out loss {base:.3} → {best:.3}  (run {run})", "留出损失 {base:.3} → {best:.3}  （运行 {run}）"),
            reused,
        );
    }
    let adapter = bench.load_adapter(ADAPTER, model)?;
    Ok((trained, adapter))
}

/// Whether the adapter's folder still holds what the run `run` wrote.
fn is_current(bench: &Workbench, run: &RunRecord) -> bool {
    let Ok(adapters) = bench.store.adapters() else { return false };
    adapters.iter().any(|a| {
        a.name == ADAPTER
            && a.run_id == run.id
            && adapter::hash(std::path::Path::new(&a.dir)).is_ok_and(|hash| hash == a.hash)
    })
}

fn battles(
    bench: &Workbench,
    size: DemoSize,
    model: &LoadedModel,
    adapter: LoadedAdapter,
    narrator: &dyn Narrator,
    cancel: &CancelToken,
) -> Result<String> {
    // Answers of an adapter that was trained anew are other answers: each adapter has its own arena.
    let name = format!("demo-{}", short(&adapter.hash).get(..6).unwrap_or_default());
    let (questions, rejects) = questions::read("arena-questions.jsonl", QUESTIONS.as_bytes());
    if let Some(reject) = rejects.first() {
        return Err(Error::internal(format!("arena-questions.jsonl:{}: {}", reject.line, reject.reason)));
    }
    // Half of them in each language: the file lists one language after the other.
    let (zh, en): (Vec<_>, Vec<_>) = questions.into_iter().partition(|q| q.language == "zh");
    let half = size.questions / 2;
    let chosen: Vec<_> = zh.into_iter().take(half).chain(en.into_iter().take(size.questions - half)).collect();
    arena::ask(bench, &name, &chosen)?;
    let sampling = Sampling { max_new_tokens: 96, repetition_penalty: 1.1, ..Sampling::default() };
    let contestant = |label: String, adapter: Option<&LoadedAdapter>| -> Result<Box<dyn Contestant>> {
        Ok(Box::new(LocalContestant::new(&label, model, adapter, sampling.clone(), cancel.clone())?))
    };
    let mut contestants =
        [contestant(MODEL.to_owned(), None)?, contestant(format!("{MODEL}+{ADAPTER}"), Some(&adapter))?];
    let session = arena::Session {
        limit: None,
        seed: bench.settings.seed,
        batch: 16,
        config: serde_json::json!({"max_new_tokens": 96, "repetition_penalty": 1.1, "temperature": 0.0}),
    };
    let played = arena::battle(bench, &name, &mut contestants, &session, narrator.sink(), cancel)?;
    arena::judge(bench, &name, &mut ReferenceJudge)?;
    let rated = arena::rate(bench, Some(&name), Method::Sandwich)?;
    let used = rated.used;
    narrator.result(
        &tr!("{used} battles rated in arena {name}", "竞技场 {name} 中 {used} 场对战计入评分"),
        played.battles == 0,
    );
    Ok(name)
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
