//! What is served: one base model, and the adapters that are put on it request by request.

use super::refusal::Refusal;
use crate::error::{Error, Kind, Result};
use crate::infer::Engine;
use crate::model::Tokenizer;
use crate::prompt::{Renderer, Template};
use crate::tr;
use crate::workbench::{LoadedAdapter, LoadedModel};
use std::sync::Arc;

/// A model under the name that requests give.
pub(super) struct Served {
    /// The id in `/v1/models`.
    pub(super) id: String,
    /// What it is called in the arena: `MODEL` or `MODEL+ADAPTER`.
    pub(super) label: String,
    pub(super) engine: Arc<Engine>,
    pub(super) tokenizer: Arc<Tokenizer>,
    pub(super) template: Template,
}

/// Everything that is served.
pub(super) struct Models(Vec<Arc<Served>>);

impl Models {
    /// The base under its own name and each adapter under its name. `template` stands in place of the adapters' own and
    /// the model's.
    pub(super) fn new(base: &LoadedModel, adapters: &[LoadedAdapter], template: Option<Template>) -> Result<Models> {
        let id = last_part(&base.name).to_owned();
        let mut all: Vec<Arc<Served>> = Vec::with_capacity(adapters.len() + 1);
        for adapter in std::iter::once(None).chain(adapters.iter().map(Some)) {
            let template = template.or_else(|| adapter.and_then(|a| a.template)).unwrap_or(Template::Chat);
            let (id, label) = match adapter {
                None => (id.clone(), base.name.clone()),
                Some(a) => (last_part(&a.name).to_owned(), format!("{}+{}", base.name, a.name)),
            };
            if all.iter().any(|m| m.id == id) {
                return Err(Error::new(Kind::Usage, tr!("two models are called `{id}`", "有两个模型都叫 `{id}`"))
                    .hint(tr!("name each adapter once", "每个适配器只能给出一次")));
            }
            let (engine, tokenizer) = (Arc::new(base.engine(adapter, template)?), Arc::clone(&base.tokenizer));
            all.push(Arc::new(Served { id, label, engine, tokenizer, template }));
        }
        Ok(Models(all))
    }

    /// All, the base first.
    pub(super) fn all(&self) -> &[Arc<Served>] {
        &self.0
    }

    /// The model that a request names.
    pub(super) fn find(&self, id: &str) -> Result<&Arc<Served>, Refusal> {
        self.0.iter().find(|m| m.id == id || m.label == id).ok_or_else(|| {
            let known: Vec<&str> = self.0.iter().map(|m| m.id.as_str()).collect();
            let message = format!("the model `{id}` is not served here; there is: {}", known.join(", "));
            Refusal::of("model", message).code("model_not_found").status(404)
        })
    }
}

impl Served {
    /// What renders conversations for it.
    pub(super) fn renderer(&self) -> Result<Renderer<'_>> {
        Renderer::new(self.template, &*self.tokenizer)
    }
}

/// A file or folder is called by its own name, not by the whole way to it.
fn last_part(name: &str) -> &str {
    let name = name.trim_end_matches('/');
    let last = name.rsplit('/').next().unwrap_or(name);
    last.strip_suffix(".gguf").unwrap_or(last)
}
