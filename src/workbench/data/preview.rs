//! `data preview`: a row as a training reads it, with what deserves a second look.

use super::super::{Workbench, models};
use crate::batch::{Fitted, Overlong, Unfit, fit};
use crate::error::Result;
use crate::prompt::{LossOn, Preview, Renderer, Template};
use crate::tr;
use serde::Serialize;

/// What `data preview` was asked for.
#[derive(Clone, Debug)]
pub struct PreviewRequest {
    /// Dataset, perhaps with a version.
    pub dataset: String,
    /// Number of the row.
    pub row: u64,
    /// Model whose tokenizer and template are used.
    pub model: String,
    /// How the row becomes text.
    pub template: Template,
    /// Answers that are learnt.
    pub loss_on: LossOn,
    /// Tokens of the longest sequence of a training.
    pub max_len: usize,
    /// What becomes of a longer row.
    pub overlong: Overlong,
}

/// A row's preview.
#[derive(Clone, Debug, Serialize)]
pub struct RowPreview {
    /// The row as the model reads it.
    #[serde(flatten)]
    pub preview: Preview,
    /// The dataset.
    pub dataset: String,
    /// Number of the row.
    pub row: u64,
    /// Name of the template.
    pub template: &'static str,
    /// Tokens of the longest sequence.
    pub max_len: usize,
    /// Whether the row fits into it as a whole.
    pub fits: bool,
}

/// Renders a row as a training with these settings reads it.
///
/// # Errors
/// `NotFound` for the dataset, the row or the model; those of the renderer.
pub fn preview(bench: &Workbench, request: &PreviewRequest) -> Result<RowPreview> {
    let record = bench.store.dataset(&request.dataset)?;
    let row = bench.store.row(&request.dataset, request.row)?;
    let tokenizer = models::tokenizer(bench, &request.model)?;
    let renderer = Renderer::new(request.template, &tokenizer)?.loss_on(request.loss_on);
    let mut preview = Preview::new(&renderer, &tokenizer, &row.example)?;
    if request.template != Template::Chat && tokenizer.chat_template().is_some() {
        let name = request.template.name();
        preview.warnings.push(tr!(
            "the template {name} is not the model's own: chatting with the trained model needs --template {name} too",
            "模板 {name} 不是模型自带的模板：之后与训练好的模型对话也要用 --template {name}"
        ));
    }
    let max_len = request.max_len;
    let fits = preview.tokens.len() <= max_len;
    if !fits {
        let rendered = renderer.example(&row.example)?;
        let beyond = rendered.mask.iter().skip(max_len).filter(|supervised| **supervised).count();
        let (tokens, leading) = (rendered.ids.len(), renderer.leading_tokens(&rendered)?);
        preview.warnings.push(match fit(rendered, max_len, request.overlong, leading) {
            Fitted::Whole(_) => String::new(),
            Fitted::Cut(_, gone) => tr!(
                "{tokens} tokens, --max-len is {max_len}: {gone} tokens of the prompt are cut from its left",
                "共 {tokens} 个词元，--max-len 为 {max_len}：提示左侧将截去 {gone} 个词元"
            ),
            Fitted::Pieces(pieces, empty) => {
                let pieces = pieces.len() + empty;
                tr!(
                    "{tokens} tokens, --max-len is {max_len}: the row is split into {pieces} pieces, and all but the first lack its beginning",
                    "共 {tokens} 个词元，--max-len 为 {max_len}：该行将拆成 {pieces} 段，除首段外都缺少开头"
                )
            }
            Fitted::LeftOut(Unfit::TooLong) => tr!(
                "{tokens} tokens, --max-len is {max_len}, and {beyond} supervised ones lie behind it: rather than cut the answer, a training leaves the row out; raise --max-len, or use --overlong cut or split",
                "共 {tokens} 个词元，--max-len 为 {max_len}，其后还有 {beyond} 个监督词元：训练不会截断回答，而是弃用该行；请调高 --max-len，或用 --overlong cut、split"
            ),
            Fitted::LeftOut(Unfit::AnswerTooLong) => tr!(
                "{tokens} tokens, --max-len is {max_len}: the answers alone do not fit, and rather than cut them a training leaves the row out; raise --max-len, or use --overlong split",
                "共 {tokens} 个词元，--max-len 为 {max_len}：仅回答就放不下，训练不会截断回答，而是弃用该行；请调高 --max-len，或用 --overlong split"
            ),
        });
    }
    let template = request.template.name();
    Ok(RowPreview { preview, dataset: record.name, row: row.row, template, max_len, fits })
}
