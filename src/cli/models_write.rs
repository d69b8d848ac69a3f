//! `linly-bench models merge`, `quantize` and `export`: models as files for other programs.

use super::Context;
use super::models::human_bytes;
use crate::error::{Error, Kind, Result};
use crate::model::StorageType;
use crate::model::folder_writer::Watch;
use crate::workbench::convert::{ConvertRequest, Converted, ModelFormat, convert};
use crate::workbench::expand::{ExpandRequest, Expanded, expand};
use crate::{text, tr};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Arguments of `models merge`
#[derive(Args)]
pub(super) struct MergeArgs {
    /// Base model: a catalogue name, a Hugging Face folder or a .gguf file
    #[arg(long, value_name = "M")]
    model: String,
    /// The adapter: a name, or a PEFT folder
    #[arg(long, value_name = "A")]
    adapter: String,
    /// The folder to write, which must be new or empty
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// How the merged weights are stored: f32, bf16 or f16 (they are computed in f32)
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    dtype: String,
}

/// Arguments of `models quantize`
#[derive(Args)]
pub(super) struct QuantizeArgs {
    /// Model: a catalogue name, a Hugging Face folder or a .gguf file
    #[arg(long, value_name = "M")]
    model: String,
    /// An adapter to merge first: a name, or a PEFT folder
    #[arg(long, value_name = "A")]
    adapter: Option<String>,
    /// The file to write, which must be new
    #[arg(long, short, value_name = "FILE.gguf")]
    output: PathBuf,
    /// f32, bf16, f16, q8_0, q6_k, q5_k, q5_1, q5_0, q4_k, q4_1 or q4_0
    #[arg(long = "type", value_name = "TYPE", default_value = "q8_0")]
    storage: String,
}

/// Arguments of `models export`
#[derive(Args)]
pub(super) struct ExportArgs {
    /// Model: a catalogue name, a Hugging Face folder or a .gguf file
    #[arg(long, value_name = "M")]
    model: String,
    /// The adapter that is merged or, with gguf-lora, written: a name, or a PEFT folder
    #[arg(long, value_name = "A")]
    adapter: Option<String>,
    /// gguf (one file), hf (a Hugging Face folder) or gguf-lora (the adapter alone)
    #[arg(long, value_enum)]
    format: FormatArg,
    /// The file or folder to write, which must be new
    #[arg(long, short, value_name = "PATH")]
    output: PathBuf,
    /// How weights are stored: f32, bf16, f16; for gguf also the types of `models quantize` [default: hf f32, gguf f16]
    #[arg(long = "type", alias = "dtype", value_name = "TYPE")]
    storage: Option<String>,
}

/// Arguments of `models expand-vocab`
#[derive(Args)]
pub(super) struct ExpandArgs {
    /// Model: a catalogue name, a Hugging Face folder or a .gguf file
    #[arg(long, value_name = "M")]
    model: String,
    /// Datasets whose characters are counted
    #[arg(long, value_name = "NAME[,NAME…]")]
    data: String,
    /// At most so many new tokens
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    tokens: u32,
    /// The folder to write, which must be new or empty
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// How weights are stored: f32, bf16 or f16
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    dtype: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    Gguf,
    Hf,
    GgufLora,
}

/// Runs `models merge`.
///
/// # Errors
/// Those of the verb.
pub(super) fn merge(context: &Context, args: MergeArgs) -> Result<()> {
    let storage = StorageType::parse("--dtype", &args.dtype, &StorageType::FLOATS)?;
    let (format, adapter) = (ModelFormat::HuggingFace, Some(args.adapter));
    write(context, &ConvertRequest { model: args.model, adapter, format, storage, output: args.output })
}

/// Runs `models quantize`.
///
/// # Errors
/// Those of the verb.
pub(super) fn quantize(context: &Context, args: QuantizeArgs) -> Result<()> {
    let storage = StorageType::parse("--type", &args.storage, &StorageType::ALL)?;
    let (format, adapter) = (ModelFormat::Gguf, args.adapter);
    write(context, &ConvertRequest { model: args.model, adapter, format, storage, output: args.output })
}

/// Runs `models export`.
///
/// # Errors
/// Those of the verb; `Usage` when an adapter's type is asked for, which is always f32.
pub(super) fn export(context: &Context, args: ExportArgs) -> Result<()> {
    let (format, allowed, default) = match args.format {
        FormatArg::Gguf => (ModelFormat::Gguf, &StorageType::ALL[..], StorageType::F16),
        FormatArg::Hf => (ModelFormat::HuggingFace, &StorageType::FLOATS[..], StorageType::F32),
        FormatArg::GgufLora if args.adapter.is_none() => {
            return Err(Error::new(
                Kind::Usage,
                tr!("--format gguf-lora needs an adapter", "--format gguf-lora 需要适配器"),
            )
            .hint(tr!("name it with --adapter A", "请用 --adapter A 指定")));
        }
        FormatArg::GgufLora => (ModelFormat::GgufLora, &StorageType::FLOATS[..1], StorageType::F32),
    };
    let storage = args.storage.map_or(Ok(default), |name| StorageType::parse("--type", &name, allowed))?;
    let (model, adapter) = (args.model, args.adapter);
    write(context, &ConvertRequest { model, adapter, format, storage, output: args.output })
}

/// Runs `models expand-vocab`.
///
/// # Errors
/// Those of the verb.
pub(super) fn expand_vocab(context: &Context, args: ExpandArgs) -> Result<()> {
    let request = ExpandRequest {
        storage: StorageType::parse("--dtype", &args.dtype, &StorageType::FLOATS)?,
        model: args.model,
        datasets: args.data,
        tokens: args.tokens as usize,
        output: args.output,
    };
    let bench = context.workbench()?;
    let expanded = watched(context, |watch| expand(&bench, &request, watch))?;
    let ui = &context.ui;
    if ui.json {
        ui.finished(&expanded);
        return Ok(());
    }
    let Expanded { added, vocab_size, tokens_before, tokens_after, .. } = &expanded;
    let examples = text::truncate(&text::one_line(&expanded.examples.concat()), 40);
    ui.note(&tr!(
        "{added} tokens added ({examples}); the vocabulary has {vocab_size} now",
        "新增 {added} 个词元（{examples}）；词表现有 {vocab_size} 个"
    ));
    ui.note(&tr!(
        "the texts cost {tokens_after} tokens, before {tokens_before}",
        "这些文本现需 {tokens_after} 个词元，之前为 {tokens_before}"
    ));
    ui.note(&tr!(
        "the new tokens begin as the mean of their pieces: train them with --modules-to-save embed_tokens,lm_head",
        "新词元以其各片段的均值为初值：训练时请加 --modules-to-save embed_tokens,lm_head"
    ));
    ui.line(&text::one_line(&expanded.output.display().to_string()));
    Ok(())
}

/// Does `work` with a bar, and ends it on Ctrl-C.
fn watched<T>(context: &Context, work: impl FnOnce(&mut Watch<'_>) -> Result<T>) -> Result<T> {
    let cancel = context.cancel_on_signals()?;
    let bar = context.ui.bar(0, true);
    let mut progress = |done: u64, total: u64| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let result = work(&mut Watch { progress: &mut progress, cancel: &cancel });
    bar.finish_and_clear();
    result
}

fn write(context: &Context, request: &ConvertRequest) -> Result<()> {
    let bench = context.workbench()?;
    let written = watched(context, |watch| convert(&bench, request, watch))?;
    let ui = &context.ui;
    if ui.json {
        ui.finished(&written);
        return Ok(());
    }
    remarks(context, &written);
    let (size, storage) = (human_bytes(written.bytes), written.storage.name());
    let place = text::one_line(&written.output.display().to_string());
    ui.note(&tr!("written: {size}, {storage}", "已写出：{size}，{storage}"));
    ui.line(&place);
    Ok(())
}

/// What a user should know of the files.
fn remarks(context: &Context, written: &Converted) {
    let ui = &context.ui;
    let (base, model) = (&written.base_storage, text::one_line(&written.model));
    // Numbers of 4 or 5 bits rounded again lose more than numbers of the original would.
    if written.format != ModelFormat::GgufLora && base.starts_with('Q') {
        ui.note(&tr!(
            "{model} is stored as {base}: what is written starts from those rounded weights; where the original model is at hand, use that",
            "{model} 以 {base} 存储：写出的文件以这些已舍入的权重为起点；若有原始模型，请用原始模型"
        ));
    }
    let place = written.output.display();
    if let Some(template) = written.template.filter(|name| *name != "chat") {
        ui.note(&tr!(
            "the adapter was trained with the template {template}: give --template {template} with {place}, too",
            "该适配器以模板 {template} 训练：使用 {place} 时也请加上 --template {template}"
        ));
    }
}
