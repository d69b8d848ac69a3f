//! Jobs of the forms, done by the workbench.

use super::form::{ScoreForm, TrainForm};
use super::launcher::Launcher;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::eval;
use crate::job::{CancelToken, Silent};
use crate::model::WeightForm;
use crate::prompt::Template;
use crate::train::{Length, TrainConfig};
use crate::workbench::train::{HeldOut, Objective, TrainRequest, train};
use crate::workbench::{How, ScoreRequest, Workbench, check_score, score, with_examinee};

/// A [`Launcher`] over a home. Every job opens the home for itself: it may outlast the screen that asked for it.
pub struct WorkbenchLauncher {
    settings: Settings,
}

impl WorkbenchLauncher {
    /// Jobs for the home of `settings`.
    pub fn new(settings: Settings) -> WorkbenchLauncher {
        WorkbenchLauncher { settings }
    }
}

impl Launcher for WorkbenchLauncher {
    fn train(&self, form: &TrainForm, cancel: &CancelToken) -> Result<()> {
        let bench = Workbench::open(self.settings.clone())?;
        let mut config = TrainConfig { lr: form.lr, seed: self.settings.seed, ..TrainConfig::default() };
        config.lora.rank = usize::try_from(form.rank).map_err(|e| Error::internal(e.to_string()))?;
        config.lora.alpha = 2.0 * f64::from(form.rank);
        if let Some(steps) = form.steps {
            config.length = Length::Steps(steps);
        }
        let request = TrainRequest {
            objective: Objective::Answers,
            model: form.model.clone(),
            dataset: form.dataset.clone(),
            adapter: form.adapter.clone(),
            template: Template::Chat.name().to_owned(),
            held_out: HeldOut::Own,
            held_out_limit: 0,
            form: WeightForm::fastest(),
            exact: false,
            config,
        };
        request.config.check()?;
        bench.store.dataset(&request.dataset)?;
        let model = bench.load_model_as(&form.model, request.form)?;
        train(&bench, &request, &model, &Silent, cancel).map(|_| ())
    }

    fn score(&self, form: &ScoreForm, cancel: &CancelToken) -> Result<()> {
        let bench = Workbench::open(self.settings.clone())?;
        let data_dir = self.settings.data_dir.as_deref();
        let mut requests = Vec::new();
        for benchmark in eval::resolve(std::slice::from_ref(&form.benchmark), data_dir)? {
            let mut request = ScoreRequest {
                benchmark: benchmark.reference,
                shots: form.shots as usize,
                preset: None,
                split: None,
                subjects: Vec::new(),
                limit: form.limit.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
                template: String::new(),
                how: How::default(),
            };
            if check_score(&bench, &request)?.chat {
                request.template = Template::Chat.name().to_owned();
            }
            requests.push(request);
        }
        let model = bench.load_model(&form.model)?;
        let name = Some(form.adapter.as_str()).filter(|name| !name.is_empty());
        let adapter = name.map(|name| bench.load_adapter(name, &model)).transpose()?;
        for request in &requests {
            let template = if request.template.is_empty() { None } else { Some(Template::Chat) };
            with_examinee(&model, adapter.as_ref(), template, |who| score(&bench, request, who, &Silent, cancel))?;
        }
        Ok(())
    }
}
