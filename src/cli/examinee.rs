//! Who is scored: a model of this machine or of a server, loaded and asked with a bar that shows how far it is.

use super::Context;
use super::server_flags::ServerFlags;
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::model::WeightForm;
use crate::prompt::Template;
use crate::remote::{Method, RemoteModel, is_address};
use crate::tr;
use crate::workbench::{self, Examinee, LoadedAdapter, LoadedModel, Workbench};
use indicatif::ProgressBar;

/// A model ready to be scored.
pub(super) enum Loaded {
    Local { model: Box<LoadedModel>, adapter: Option<LoadedAdapter> },
    Server(RemoteModel),
}

impl Loaded {
    /// Loads `model` in the form `weights` with `adapter`, or finds the server that has it; `scores` is false when it only has
    /// to write.
    ///
    /// # Errors
    /// Those of loading, and of the server.
    pub(super) fn new(
        context: &Context,
        workbench: &Workbench,
        (model, adapter): (&str, Option<&str>),
        weights: Option<WeightForm>,
        (server, scores): (&ServerFlags, bool),
        cancel: &CancelToken,
    ) -> Result<Loaded> {
        if is_address(model) {
            if weights.is_some() {
                return Err(Error::new(
                    Kind::Usage,
                    tr!("a server's weights are in the form that it chose", "服务器上模型的权重形式由服务器决定"),
                )
                .hint(tr!("leave --dtype and --quantize out", "请去掉 --dtype 与 --quantize")));
            }
            return Loaded::server(context, (model, adapter), (server, scores), cancel);
        }
        context.ui.note(&tr!("loading {model} …", "正在加载 {model} …"));
        let form = weights.unwrap_or_default();
        let model = workbench.load_to_answer(model, form, context.place(form.is_exact()))?;
        let adapter = adapter.map(|spec| workbench.load_adapter(spec, &model)).transpose()?;
        Ok(Loaded::Local { model: Box::new(model), adapter })
    }

    fn server(
        context: &Context,
        (model, adapter): (&str, Option<&str>),
        (flags, scores): (&ServerFlags, bool),
        cancel: &CancelToken,
    ) -> Result<Loaded> {
        if adapter.is_some() {
            return Err(Error::new(
                Kind::Usage,
                tr!("an adapter cannot be put on a server's model", "无法为服务器上的模型加载适配器"),
            )
            .hint(tr!("let the server load it, and name what it calls it", "请让服务器加载适配器，并使用其中的名称")));
        }
        let model = RemoteModel::connect(model, flags.options())?;
        if !scores {
            return Ok(Loaded::Server(model));
        }
        let model = model.prepared_to_score(cancel)?;
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

/// Gives `job` the model as an examinee, with its progress drawn.
///
/// # Errors
/// Those of the template and of `job`.
pub(super) fn scored<T>(
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
