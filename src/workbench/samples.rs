//! What the model in the making answers while it trains.

use super::{LoadedAdapter, LoadedModel};
use crate::error::{Kind, Result};
use crate::infer::{LanguageModel, Sampling};
use crate::job::{CancelToken, EventSink, JobEvent};
use crate::model::Lora;
use crate::prompt::{Rendered, Template};
use crate::train::TrainData;
use std::path::PathBuf;
use std::sync::Arc;

/// Prompts that are answered.
const PROMPTS: usize = 2;
/// Longest answer, in tokens.
const TOKENS: usize = 64;

/// Prompts of held-out rows (of trained ones where none are held out), and what answers them.
pub(super) struct Samples<'a> {
    model: &'a LoadedModel,
    template: Template,
    /// Token ids and text of each prompt.
    prompts: Vec<(Vec<u32>, String)>,
}

impl<'a> Samples<'a> {
    /// The first and the last row's prompts: the tokens before the first supervised one.
    pub(super) fn new(model: &'a LoadedModel, data: &TrainData, template: Template) -> Result<Samples<'a>> {
        let rows = if data.val.is_empty() { &data.train } else { &data.val };
        let ends = [rows.first(), rows.last().filter(|_| rows.len() > 1)];
        let prompts = ends.into_iter().flatten().map(prompt).filter(|ids| !ids.is_empty()).take(PROMPTS);
        let prompts = prompts.map(|ids| Ok((ids.to_vec(), model.tokenizer.decode(ids)?))).collect::<Result<_>>()?;
        Ok(Samples { model, template, prompts })
    }

    /// Answers every prompt with `lora`, always taking the likeliest token, and sends the answers to `sink`. It reads
    /// the factors and changes nothing. An answer that fails is a warning: a training is not lost for it.
    ///
    /// # Errors
    /// `Interrupted` when `cancel` was set.
    pub(super) fn show(&self, lora: &Lora, step: u64, sink: &dyn EventSink, cancel: &CancelToken) -> Result<()> {
        match self.answers(lora, cancel) {
            Ok(answers) => {
                for ((_, prompt), answer) in self.prompts.iter().zip(answers) {
                    sink.emit(&JobEvent::Sample { step, prompt: prompt.clone(), answer });
                }
                Ok(())
            }
            Err(e) if e.kind == Kind::Interrupted => Err(e),
            Err(e) => {
                sink.emit(&JobEvent::Warning { step, message: e.message });
                Ok(())
            }
        }
    }

    fn answers(&self, lora: &Lora, cancel: &CancelToken) -> Result<Vec<String>> {
        let adapter = LoadedAdapter {
            name: String::new(),
            dir: PathBuf::new(),
            hash: String::new(),
            lora: Arc::new(lora.clone()),
            template: Some(self.template),
        };
        let engine = self.model.engine(Some(&adapter), self.template)?;
        let sampling = Sampling { max_new_tokens: TOKENS, ..Sampling::default() };
        let prompts: Vec<Vec<u32>> = self.prompts.iter().map(|(ids, _)| ids.clone()).collect();
        let answers = engine.generate(&prompts, &sampling, &mut |_, _| {}, cancel)?;
        answers.iter().map(|answer| self.model.tokenizer.decode(&answer.tokens)).collect()
    }
}

/// Tokens of a plain text that the model is given to go on from.
const OPENING: usize = 16;

/// The tokens of a row before its first answer, or the opening of a text, which is supervised from its first token.
fn prompt(row: &Rendered) -> &[u32] {
    let end = match row.mask.iter().position(|supervised| *supervised) {
        Some(0) => OPENING.min(row.ids.len()),
        found => found.unwrap_or(row.ids.len()),
    };
    row.ids.get(..end).unwrap_or_default()
}
