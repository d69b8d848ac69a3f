//! Scoring a model on a benchmark, recorded as a run that can be resumed.

use super::{LoadedAdapter, LoadedModel, Workbench};
use crate::data::hex;
use crate::error::{Error, Kind, Result};
use crate::eval::{
    self, Benchmark, ChatRenderer, FewshotSampler, ItemOutcome, Known, KnownAnswer, Mode, PlanRequest, Report,
};
use crate::infer::LanguageModel;
use crate::job::{CancelToken, EventSink, Fanout, JobEvent};
use crate::model::WeightForm;
use crate::prompt::{Message, Renderer, Template, Tokenize};
use crate::remote::is_address;
use crate::store::{NewRun, RunRecord, RunStatus, StoreSink};
use crate::tr;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// What is scored, and how the model is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreRequest {
    /// Name of a benchmark, or the path of its definition.
    pub benchmark: String,
    /// Few-shots per prompt.
    pub shots: usize,
    /// Name of the wording; the definition's default without.
    pub preset: Option<String>,
    /// Handles of the subjects; empty for all.
    pub subjects: Vec<String>,
    /// At most this many items per subject.
    pub limit: Option<usize>,
    /// The split that is scored; the definition's without.
    #[serde(default)]
    pub split: Option<String>,
    /// Name of the template that makes a conversation of the prompt; empty for plain text.
    pub template: String,
    /// How answers are found and few-shots chosen.
    #[serde(flatten, default)]
    pub how: How,
}

/// How answers are found and few-shots chosen; what is left out is as the benchmark's definition says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct How {
    /// How an answer is found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The split that few-shots come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fewshot_split: Option<String>,
    /// Which of its rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fewshot_sampler: Option<FewshotSampler>,
    /// Seed of a random sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fewshot_seed: Option<u64>,
    /// In which form a local model's weights are multiplied; f32 without, which is what other programs' scores are compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<WeightForm>,
    /// Whether answers of earlier runs to the same prompts are left alone, and everything is asked again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
}

/// Whose score it is.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// Catalogue name or path of the model.
    pub model: String,
    /// Hash of the model's weights.
    pub model_hash: String,
    /// Adapter name or folder; empty for none.
    pub adapter: String,
    /// Hash of the adapter's weights.
    pub adapter_hash: String,
    /// What else it takes to ask it again, as flags of `run`: where a path leads to, how a server is treated. It decides
    /// nothing about the answers.
    pub flags: BTreeMap<String, String>,
    /// Hash of the tokenizer; empty for a server's model, of which it is not known.
    pub tokenizer_hash: String,
    /// In which form the weights are multiplied; `None` for a server's model.
    pub weights: Option<WeightForm>,
    /// Whether a card multiplies them, which rounds otherwise.
    pub on_card: bool,
}

/// Part of every examinee's key: to be raised when the same weights come to give other numbers, beyond rounding, or other texts.
const ENGINE: &str = "1";

impl Provenance {
    /// The form of the weights as reports have it: `f32`, `bf16 int8`, `bf16 cuda`.
    fn form(&self) -> String {
        let form = self.weights.map(WeightForm::label).unwrap_or_default();
        if self.on_card { form + " cuda" } else { form }
    }

    /// What decides, together with a prompt, what is answered: weights, adapter, tokenizer, arithmetic and engine. Empty for a
    /// server's model, whose weights may change behind its name.
    fn key(&self) -> String {
        if self.model_hash.is_empty() || self.tokenizer_hash.is_empty() {
            return String::new();
        }
        let form = self.form();
        let parts = [ENGINE, &self.model_hash, &self.adapter_hash, &self.tokenizer_hash, &form];
        hex(&Sha256::digest(parts.join("\n")))
    }
}

/// A finished score and its run.
#[derive(Clone, Debug, Serialize)]
pub struct ScoreReport {
    /// Run id.
    pub run: String,
    /// Catalogue name or path of the model.
    pub model: String,
    /// Adapter name or folder; empty for none.
    pub adapter: String,
    /// Template of the conversation; empty for plain text.
    pub template: String,
    /// In which form the weights were multiplied, such as `f32` or `bf16 int8`; empty for a server's model.
    pub weights: String,
    /// Items answered in an earlier run, with the same weights, adapter, tokenizer and prompt.
    pub reused: usize,
    /// The numbers. The speed is that of the items scored now or, when there was none, of the run they were taken from.
    #[serde(flatten)]
    pub report: Report,
    /// What the model made of each item, in the benchmark's order.
    #[serde(skip)]
    pub outcomes: Vec<ItemOutcome>,
}

/// Who is scored.
pub struct Examinee<'a> {
    /// What is recorded of it.
    pub provenance: Provenance,
    /// The model, with its adapter.
    pub model: &'a dyn LanguageModel,
    /// Its tokenizer.
    pub tokenizer: &'a dyn Tokenize,
    /// Renders conversations by the request's template; without it prompts are plain text.
    pub chat: Option<&'a ChatRenderer<'a>>,
}

/// Gives `job` a local model as an examinee, asked in conversations of `template` or in plain text.
///
/// # Errors
/// Those of the renderer and of `job`.
pub fn with_examinee<T>(
    model: &LoadedModel,
    adapter: Option<&LoadedAdapter>,
    template: Option<Template>,
    job: impl FnOnce(&Examinee<'_>) -> Result<T>,
) -> Result<T> {
    let engine = model.engine(adapter, template.unwrap_or(Template::Chat))?;
    let renderer = template.map(|t| Renderer::new(t, &*model.tokenizer)).transpose()?;
    let render = renderer.as_ref().map(|r| move |messages: &[Message]| Ok(r.prompt(messages)?.0));
    job(&Examinee {
        provenance: Provenance {
            model: model.name.clone(),
            model_hash: model.hash.clone(),
            adapter: adapter.map(|a| a.name.clone()).unwrap_or_default(),
            adapter_hash: adapter.map(|a| a.hash.clone()).unwrap_or_default(),
            flags: lasting_paths(model, adapter),
            tokenizer_hash: model.tokenizer.hash().to_owned(),
            weights: Some(model.form),
            on_card: model.answers.is_some(),
        },
        model: &engine,
        tokenizer: &*model.tokenizer,
        chat: render.as_ref().map(|r| r as &ChatRenderer<'_>),
    })
}

/// Where a model and an adapter that were named by relative paths lie: such a name means nothing in another folder.
fn lasting_paths(model: &LoadedModel, adapter: Option<&LoadedAdapter>) -> BTreeMap<String, String> {
    let named = [
        ("--model", Some((&model.name, &model.path))),
        ("--adapter", adapter.map(|adapter| (&adapter.name, &adapter.dir))),
    ];
    let each = |(flag, named): (&str, Option<(&String, &std::path::PathBuf)>)| {
        let (name, found) = named?;
        // A name of the catalogue or the database leads somewhere else than a path of the same letters.
        let is_path = found.starts_with(name) && !Path::new(name).is_absolute();
        let lasting = std::path::absolute(name).ok().filter(|_| is_path)?;
        Some((flag.to_owned(), lasting.to_string_lossy().into_owned()))
    };
    named.into_iter().filter_map(each).collect()
}

/// Scores a model on a benchmark as a new run.
///
/// # Errors
/// Those of [`eval::find`], [`eval::plan`] and [`eval::run`]. After `Interrupted` or any failure the
/// items scored so far stay, and [`resume_score`] goes on from them; the hint says how.
pub fn score(
    workbench: &Workbench,
    request: &ScoreRequest,
    who: &Examinee<'_>,
    sink: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<ScoreReport> {
    let (request, plan) = planned(workbench, request, who.chat, None)?;
    let mut config = serde_json::to_value(&request).map_err(|e| Error::internal(e.to_string()))?;
    let provenance = &who.provenance;
    if let Some(object) = config.as_object_mut().filter(|_| !provenance.flags.is_empty()) {
        object.insert("flags".to_owned(), serde_json::json!(provenance.flags));
    }
    let (run, _lease) = workbench.store.start_run(&NewRun {
        kind: "eval",
        model: provenance.model.clone(),
        model_hash: provenance.model_hash.clone(),
        adapter: provenance.adapter.clone(),
        adapter_hash: provenance.adapter_hash.clone(),
        task: plan.task.clone(),
        template: request.template.clone(),
        config,
        examinee: provenance.key(),
        ..NewRun::default()
    })?;
    let known = if request.how.fresh { Known::new() } else { earlier_answers(workbench, provenance, &plan)? };
    Job { workbench, run: &run, who, template: &request.template }.execute(&plan, &known, sink, cancel)
}

/// Takes up the run `run` again: items that it has are not scored a second time, and the result is
/// that of a run that was never interrupted.
///
/// # Errors
/// `InvalidInput` when it is not a benchmark run, or finished, or another process works on it;
/// `Mismatch` when the model, the adapter or a prompt is not the one it began with; those of [`score`].
pub fn resume_score(
    workbench: &Workbench,
    run: &RunRecord,
    who: &Examinee<'_>,
    sink: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<ScoreReport> {
    let request = resumable(run)?;
    same_examinee(run, who)?;
    let (request, plan) = planned(workbench, &request, who.chat, None)?;
    let known = workbench.store.outcomes(&run.id)?.into_iter().map(|o| KnownAnswer::of(o, false)).collect();
    let _lease = workbench.store.restart_run(&run.id)?;
    Job { workbench, run: &run.id, who, template: &request.template }.execute(&plan, &known, sink, cancel)
}

/// What the same examinee answered to the prompts of `plan` in earlier runs.
fn earlier_answers(workbench: &Workbench, who: &Provenance, plan: &eval::Plan) -> Result<Known> {
    let mut known: Known = workbench
        .store
        .outcomes_of_examinee(&who.key(), &plan.task)?
        .into_iter()
        .map(|outcome| KnownAnswer::of(outcome, true))
        .collect();
    let asked: HashMap<(&str, &str), &str> = plan
        .subjects
        .iter()
        .flat_map(|part| part.items.iter().map(|i| ((part.subject.handle.as_str(), i.id.as_str()), i.hash.as_str())))
        .collect();
    known.retain(|(subject, id), answer| {
        asked.get(&(subject.as_str(), id.as_str())).is_some_and(|hash| *hash == answer.prompt_hash)
    });
    Ok(known)
}

/// Refuses an examinee other than the one of `run`.
pub(super) fn same_examinee(run: &RunRecord, who: &Examinee<'_>) -> Result<()> {
    for (what, before, now) in [
        (tr!("model", "模型"), &run.model_hash, &who.provenance.model_hash),
        (tr!("adapter", "适配器"), &run.adapter_hash, &who.provenance.adapter_hash),
    ] {
        if before != now {
            return Err(Error::new(
                Kind::Mismatch,
                tr!("the {what} is not the one that {} began with", "{what} 与运行 {} 开始时的不同", run.id),
            )
            .hint(tr!("start a new run instead of resuming", "请重新开始，而不是继续该运行")));
        }
    }
    Ok(())
}

/// What the benchmark run `run` was asked, when it can be taken up again.
///
/// # Errors
/// `InvalidInput` when it is not a benchmark run or came to its end.
pub fn resumable(run: &RunRecord) -> Result<ScoreRequest> {
    if run.kind != "eval" {
        return Err(Error::new(Kind::InvalidInput, tr!("{} is not a benchmark run", "{} 不是评测运行", run.id))
            .hint(tr!("`linly-bench runs list` shows the kinds", "用 `linly-bench runs list` 查看类型")));
    }
    if run.status == RunStatus::Done {
        return Err(Error::new(Kind::InvalidInput, tr!("{} is finished", "{} 已完成", run.id)).hint(tr!(
            "`linly-bench runs show {}` shows its result",
            "用 `linly-bench runs show {}` 查看结果",
            run.id
        )));
    }
    asked(run)
}

/// What the benchmark run `run` was asked.
///
/// # Errors
/// `Corrupt` when its record cannot be read.
pub fn asked(run: &RunRecord) -> Result<ScoreRequest> {
    serde_json::from_value(run.config.clone())
        .map_err(|e| Error::new(Kind::Corrupt, format!("{}: {e}", run.id)).hint(tr!("start a new run", "请重新开始")))
}

/// The finished score `run` as it was reported.
///
/// # Errors
/// `InvalidInput` when it has no score.
pub fn finished_score(workbench: &Workbench, run: &RunRecord) -> Result<ScoreReport> {
    Ok(ScoreReport {
        run: run.id.clone(),
        model: run.model.clone(),
        adapter: run.adapter.clone(),
        template: run.template.clone(),
        weights: run.result.get("weights").and_then(|w| w.as_str()).unwrap_or_default().to_owned(),
        reused: 0,
        report: super::rescore::finished_report(run)?,
        outcomes: workbench.store.outcomes(&run.id)?,
    })
}

/// Looks up everything that a request names, so that a wrong name or a missing folder is reported
/// before a model is loaded. Gives the wording it will use.
///
/// # Errors
/// Those of [`eval::find`], [`eval::asking`] and [`Benchmark::subjects`].
pub fn check_score(workbench: &Workbench, request: &ScoreRequest) -> Result<eval::Preset> {
    let benchmark = eval::find(&request.benchmark, workbench.settings.data_dir.as_deref())?;
    benchmark.subjects(&request.subjects)?;
    benchmark.definition.scored_split(request.split.as_deref())?;
    if let Some(split) = &request.how.fewshot_split {
        benchmark.definition.scored_split(Some(split))?;
    }
    Ok(eval::asking(&benchmark.definition, request.preset.as_deref(), request.how.mode)?.0)
}

/// Whether a request wants probabilities of a model, and not only text that it writes.
///
/// # Errors
/// Those of [`check_score`].
pub fn reads_probabilities(workbench: &Workbench, request: &ScoreRequest) -> Result<bool> {
    let benchmark = eval::find(&request.benchmark, workbench.settings.data_dir.as_deref())?;
    let (_, asks) = eval::asking(&benchmark.definition, request.preset.as_deref(), request.how.mode)?;
    Ok(!matches!(asks, eval::Asks::Written(_)))
}

/// Whether the items of a request are choices that are scored by their log-likelihood.
///
/// # Errors
/// Those of [`check_score`].
pub fn reads_choices(workbench: &Workbench, request: &ScoreRequest) -> Result<bool> {
    let benchmark = eval::find(&request.benchmark, workbench.settings.data_dir.as_deref())?;
    let (_, asks) = eval::asking(&benchmark.definition, request.preset.as_deref(), request.how.mode)?;
    Ok(matches!(asks, eval::Asks::Choices))
}

/// The plan, and the request with the benchmark's lasting reference (an absolute path, not one that
/// depends on the folder the command was started in).
pub(super) fn planned(
    workbench: &Workbench,
    request: &ScoreRequest,
    chat: Option<&ChatRenderer<'_>>,
    shuffle: Option<eval::Shuffle>,
) -> Result<(ScoreRequest, eval::Plan)> {
    let benchmark: Benchmark = eval::find(&request.benchmark, workbench.settings.data_dir.as_deref())?;
    let plan = eval::plan(
        &benchmark,
        &PlanRequest {
            shots: request.shots,
            preset: request.preset.clone(),
            subjects: request.subjects.clone(),
            limit: request.limit,
            split: request.split.clone(),
            mode: request.how.mode,
            fewshot_split: request.how.fewshot_split.clone(),
            fewshot_sampler: request.how.fewshot_sampler,
            fewshot_seed: request.how.fewshot_seed,
            shuffle,
        },
        chat,
    )?;
    Ok((ScoreRequest { benchmark: benchmark.reference, ..request.clone() }, plan))
}

/// A run in progress.
struct Job<'a> {
    workbench: &'a Workbench,
    run: &'a str,
    who: &'a Examinee<'a>,
    template: &'a str,
}

impl Job<'_> {
    fn execute(
        &self,
        plan: &eval::Plan,
        known: &Known,
        sink: &dyn EventSink,
        cancel: &CancelToken,
    ) -> Result<ScoreReport> {
        let store = &self.workbench.store;
        let record = StoreSink::new(store, self.run);
        let sinks = Fanout(vec![&record, sink]);
        sinks.emit(&JobEvent::Started {
            run: self.run.to_owned(),
            kind: "eval".to_owned(),
            total: plan.total() as u64,
        });
        let mut keep = |batch: &[ItemOutcome]| {
            store.put_outcomes(self.run, &plan.task, batch)?;
            record.failure().map_or(Ok(()), Err)
        };
        let finished =
            eval::run(plan, known, self.who.model, self.who.tokenizer, &mut keep, &sinks, cancel).and_then(|scored| {
                let mut numbers = eval::report(plan, &scored);
                if is_address(&self.who.provenance.model) {
                    // Which tokens a prompt has, the server alone knows.
                    (numbers.prefill_tokens, numbers.context_tokens) =
                        (self.who.model.prefilled(), self.who.model.prefilled());
                }
                if scored.fresh == 0 && scored.reused > 0 {
                    self.take_speed(plan, &mut numbers);
                }
                let report = ScoreReport {
                    run: self.run.to_owned(),
                    model: self.who.provenance.model.clone(),
                    adapter: self.who.provenance.adapter.clone(),
                    template: self.template.to_owned(),
                    weights: self.who.provenance.form(),
                    reused: scored.reused,
                    report: numbers,
                    outcomes: scored.outcomes,
                };
                let result = serde_json::to_value(&report).map_err(|e| Error::internal(e.to_string()))?;
                store.finish_run(self.run, Ok(&result))?;
                Ok(report)
            });
        finished.map_err(|error| {
            let error = self.with_way_on(error, plan.total());
            // The first failure is the one to report; that it could not be recorded follows from it.
            let _ = store.finish_run(self.run, Err(&error));
            error
        })
    }

    /// Of items that were all answered before, the speed and the tokens are those of the run that answered them.
    fn take_speed(&self, plan: &eval::Plan, numbers: &mut Report) {
        let runs = self.workbench.store.runs_of_examinee(&self.who.provenance.key(), &plan.task).unwrap_or_default();
        let measured = |run: &RunRecord| run.result.get("items_per_second").and_then(serde_json::Value::as_f64);
        let Some(run) = runs.iter().find(|run| measured(run).is_some_and(|speed| speed > 0.0)) else { return };
        let tokens = |name: &str| run.result.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
        numbers.items_per_second = measured(run).unwrap_or(0.0);
        (numbers.prefill_tokens, numbers.context_tokens) = (tokens("prefill_tokens"), tokens("context_tokens"));
    }

    /// Says how an interrupted or failed run goes on.
    fn with_way_on(&self, mut error: Error, total: usize) -> Error {
        let done = self.workbench.store.count_outcomes(self.run).unwrap_or(0);
        if error.kind != Kind::Mismatch {
            let way = tr!(
                "{done} of {total} items are kept; go on with: linly-bench run --resume {}",
                "已保存 {done}/{total} 题；继续：linly-bench run --resume {}",
                self.run
            );
            error.hint = Some(match error.hint {
                Some(hint) => format!("{hint}\n{way}"),
                None => way,
            });
        }
        error
    }
}
