//! Models and adapters by the names that users give them.

use super::answering::Place;
use super::together::Seat;
use super::watched_weights::WatchedWeights;
use super::{LocalSpeaker, RemoteContestant, RemoteSpeaker, Speaker, Workbench, models};
use crate::arena::Contestant;
use crate::error::{Error, Kind, Result};
use crate::infer::{Engine, LanguageModel, Sampling};
use crate::job::CancelToken;
use crate::model::{CardWeights, Decoder, Lora, ModelConfig, Tokenizer, WeightForm, adapter, open};
use crate::ops::Arithmetic;
use crate::prompt::{Message, Renderer, Role, Template};
use crate::remote::{self, RemoteModel};
use crate::tr;
use crate::train::OnCard;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A model in memory.
#[derive(Clone)]
pub struct LoadedModel {
    /// As the user named it.
    pub name: String,
    /// Its file or folder.
    pub path: PathBuf,
    /// Hash of its weights.
    pub hash: String,
    /// The weights.
    pub decoder: Arc<Decoder>,
    /// Its tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// In which form the weights are held.
    pub form: WeightForm,
    /// The card that trains it; `None` is the processor.
    pub card: Option<OnCard>,
    /// Its weights on the card that it answers on; `None` is the processor.
    pub answers: Option<Arc<dyn CardWeights>>,
    /// The place among processes that train it together.
    pub seat: Option<Arc<Seat>>,
}

/// An adapter in memory, known to fit its model.
#[derive(Clone)]
pub struct LoadedAdapter {
    /// As the user named it.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// Hash of its weights.
    pub hash: String,
    /// The factors.
    pub lora: Arc<Lora>,
    /// The template it was trained with, when this program trained it.
    pub template: Option<Template>,
}

impl Workbench {
    /// Loads a model in f32: a catalogue name, a Hugging Face folder or a `.gguf` file.
    ///
    /// # Errors
    /// Those of [`models::resolve`], [`open`] and [`Decoder::load`].
    pub fn load_model(&self, spec: &str) -> Result<LoadedModel> {
        self.load_model_as(spec, WeightForm::F32)
    }

    /// Loads a model with its weights in the form `form`.
    ///
    /// # Errors
    /// As [`Workbench::load_model`].
    pub fn load_model_as(&self, spec: &str, form: WeightForm) -> Result<LoadedModel> {
        self.load_model_watched(spec, form, &|_, _| true)
    }

    /// Loads a model and tells `watch` how many of how many weights were read; it may end that with false.
    ///
    /// # Errors
    /// As [`Workbench::load_model`]; `Interrupted` when `watch` ended it.
    pub(super) fn load_model_watched(
        &self,
        spec: &str,
        form: WeightForm,
        watch: &(dyn Fn(usize, usize) -> bool + Sync),
    ) -> Result<LoadedModel> {
        // A form that a card was asked for may be none of this processor's.
        WeightForm::parse_arithmetic(form.arithmetic.name())?;
        let path = models::resolve(self, spec)?;
        let files = open(&path)?;
        let weights = WatchedWeights::new(&*files.weights, watch);
        let decoder = Decoder::load(&files.config, &weights, form)?;
        Ok(LoadedModel {
            name: spec.to_owned(),
            hash: models::weights_hash(self, &path)?,
            tokenizer: Arc::new(Tokenizer::open(&path)?),
            decoder: Arc::new(decoder),
            path,
            form,
            card: None,
            answers: None,
            seat: None,
        })
    }

    /// Loads an adapter for `model`: a name from the database or a PEFT folder.
    ///
    /// # Errors
    /// `NotFound`, `Mismatch` when it was made for another base, those of [`adapter::load`].
    pub fn load_adapter(&self, spec: &str, model: &LoadedModel) -> Result<LoadedAdapter> {
        self.load_adapter_for(spec, &model.name, &model.hash, model.decoder.config())
    }

    /// The same for a model that is not in memory: its name, the hash of its weights and its configuration.
    ///
    /// # Errors
    /// As [`Workbench::load_adapter`].
    pub(super) fn load_adapter_for(
        &self,
        spec: &str,
        name: &str,
        hash: &str,
        config: &ModelConfig,
    ) -> Result<LoadedAdapter> {
        let dir = self.adapter_dir(spec)?;
        let loaded = adapter::load(&dir, config)?;
        let origin = loaded.origin.unwrap_or_default();
        // Factors of the same shape load into any model of that shape: only the hash tells them apart.
        if !origin.base_hash.is_empty() && origin.base_hash != hash {
            let base = &loaded.base;
            return Err(Error::new(
                Kind::Mismatch,
                tr!(
                    "the adapter {spec} was trained on another base ({base}), its weights are not those of {name}",
                    "适配器 {spec} 是在另一个基础模型（{base}）上训练的，与 {name} 的权重不同"
                ),
            )
            .hint(tr!(
                "use --model with that base, or train an adapter for {name}",
                "请用 --model 指定那个基础模型，或为 {name} 训练新的适配器"
            )));
        }
        Ok(LoadedAdapter {
            name: spec.to_owned(),
            hash: adapter::hash(&dir)?,
            lora: Arc::new(loaded.lora),
            template: origin.template.parse().ok(),
            dir,
        })
    }

    /// Contestants by their specs, `MODEL` or `MODEL+ADAPTER`. Those with the same model share its weights and answer at
    /// `place`. Models of servers are treated as `server` says.
    ///
    /// # Errors
    /// Those of loading and of [`RemoteModel::connect`].
    pub fn contestants(
        &self,
        specs: &[&str],
        sampling: &Sampling,
        place: Place<'_>,
        server: &remote::Options,
        cancel: &CancelToken,
    ) -> Result<Vec<Box<dyn Contestant>>> {
        let mut models: Vec<LoadedModel> = Vec::new();
        let mut contestants: Vec<Box<dyn Contestant>> = Vec::with_capacity(specs.len());
        for spec in specs {
            if remote::is_address(spec) {
                let model = RemoteModel::connect(spec, server.clone())?;
                contestants.push(Box::new(RemoteContestant::new(&model, sampling.clone(), cancel.clone())));
                continue;
            }
            let (base, adapter) = parts(spec);
            let model = match models.iter().find(|m| m.name == base) {
                Some(model) => model.clone(),
                None => {
                    let model = self.load_to_answer(base, WeightForm::F32, place)?;
                    models.push(model.clone());
                    model
                }
            };
            let adapter = adapter.map(|name| self.load_adapter(name, &model)).transpose()?;
            let (sampling, cancel) = (sampling.clone(), cancel.clone());
            contestants.push(Box::new(LocalContestant::new(spec, &model, adapter.as_ref(), sampling, cancel)?));
        }
        Ok(contestants)
    }

    /// The contestant of the spec `MODEL`, `MODEL+ADAPTER` or a server's address, to be heard while it answers. `models`
    /// keeps what was loaded, so that contestants with the same model share its weights. Weights are held in `form`; `watch`
    /// hears how many of how many were read, and may end that.
    ///
    /// # Errors
    /// Those of loading and of [`RemoteModel::connect`]; `Interrupted` when `watch` ended it.
    pub fn speaker(
        &self,
        spec: &str,
        models: &mut Vec<LoadedModel>,
        form: WeightForm,
        server: &remote::Options,
        watch: &(dyn Fn(usize, usize) -> bool + Sync),
    ) -> Result<Box<dyn Speaker>> {
        if remote::is_address(spec) {
            return Ok(Box::new(RemoteSpeaker::new(&RemoteModel::connect(spec, server.clone())?)));
        }
        let (base, adapter) = parts(spec);
        let model = match models.iter().find(|m| m.name == base && m.form == form) {
            Some(model) => model.clone(),
            None => {
                let model = self.load_model_watched(base, form, watch)?;
                models.push(model.clone());
                model
            }
        };
        let adapter = adapter.map(|name| self.load_adapter(name, &model)).transpose()?;
        Ok(Box::new(LocalSpeaker::new(&model, adapter.as_ref(), None)?))
    }

    /// The folder of the adapter that `spec` names.
    fn adapter_dir(&self, spec: &str) -> Result<PathBuf> {
        let known = self.store.adapters()?;
        if let Some(record) = known.iter().find(|a| a.name == spec) {
            return Ok(PathBuf::from(&record.dir));
        }
        let dir = Path::new(spec);
        if dir.is_dir() {
            return Ok(dir.to_owned());
        }
        let names: Vec<&str> = known.iter().map(|a| a.name.as_str()).collect();
        let spec = spec.escape_default();
        Err(Error::new(Kind::NotFound, tr!("no adapter `{spec}`", "没有适配器 `{spec}`")).hint(if names.is_empty() {
            tr!(
                "train one with `linly-bench train`, or name a PEFT folder",
                "请用 `linly-bench train` 训练，或给出 PEFT 目录"
            )
        } else {
            let names = names.join(", ");
            tr!("known: {names}; or name a PEFT folder", "已有：{names}；也可给出 PEFT 目录")
        }))
    }
}

/// Model and adapter of a contestant's spec. A path may hold a plus sign: what exists as a whole is a model.
fn parts(spec: &str) -> (&str, Option<&str>) {
    match spec.rsplit_once('+') {
        Some((base, adapter)) if !Path::new(spec).exists() => (base, Some(adapter)),
        _ => (spec, None),
    }
}

impl LoadedModel {
    /// An inference engine, with or without an adapter. `template` decides what ends an answer.
    ///
    /// # Errors
    /// Those of the renderer.
    pub fn engine(&self, adapter: Option<&LoadedAdapter>, template: Template) -> Result<Engine> {
        let mut end = self.tokenizer.eos_ids().to_vec();
        if let Ok(renderer) = Renderer::new(template, &*self.tokenizer) {
            end.extend(renderer.stop_ids()?);
        }
        end.sort_unstable();
        end.dedup();
        let lora = adapter.map(|a| Arc::clone(&a.lora));
        let Some(card) = &self.answers else { return Ok(Engine::new(Arc::clone(&self.decoder), lora, end)) };
        let lora = lora.map(|lora| self.decoder.settle(lora));
        Ok(Engine::over(Arc::clone(card).with(lora.as_deref())?, end))
    }

    /// The same, answering on a card: in f32 if `exact`, else in bf16.
    #[must_use]
    pub fn answering_on(self, weights: Arc<dyn CardWeights>, exact: bool) -> LoadedModel {
        let arithmetic = if exact { Arithmetic::F32 } else { Arithmetic::Bf16 };
        LoadedModel { answers: Some(weights), form: WeightForm { arithmetic, ..self.form }, ..self }
    }
}

/// A local model as an arena contestant.
pub struct LocalContestant {
    label: String,
    engine: Engine,
    tokenizer: Arc<Tokenizer>,
    template: Template,
    sampling: Sampling,
    cancel: CancelToken,
}

impl LocalContestant {
    /// `label` is what gets rated: `MODEL` or `MODEL+ADAPTER`.
    ///
    /// # Errors
    /// Those of [`LoadedModel::engine`].
    pub fn new(
        label: &str,
        model: &LoadedModel,
        adapter: Option<&LoadedAdapter>,
        sampling: Sampling,
        cancel: CancelToken,
    ) -> Result<LocalContestant> {
        let template = adapter.and_then(|a| a.template).unwrap_or(Template::Chat);
        let engine = model.engine(adapter, template)?;
        let tokenizer = Arc::clone(&model.tokenizer);
        Ok(LocalContestant { label: label.to_owned(), engine, tokenizer, template, sampling, cancel })
    }
}

impl Contestant for LocalContestant {
    fn name(&self) -> &str {
        &self.label
    }

    fn answer(&mut self, question: &str) -> Result<String> {
        let answers = self.answers(&[question.to_owned()])?;
        answers.into_iter().next().ok_or_else(|| Error::internal("an answer for a question"))
    }

    fn answers(&mut self, questions: &[String]) -> Result<Vec<String>> {
        let renderer = Renderer::new(self.template, &*self.tokenizer)?;
        let prompts = questions
            .iter()
            .map(|q| Ok(renderer.prompt(&[Message::new(Role::User, q.as_str())])?.1))
            .collect::<Result<Vec<_>>>()?;
        let generations = self.engine.generate(&prompts, &self.sampling, &mut |_, _| {}, &self.cancel)?;
        generations.iter().map(|g| Ok(self.tokenizer.decode(&g.tokens)?.trim().to_owned())).collect()
    }
}
