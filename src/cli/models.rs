//! `linly-bench models …`: pull, list, describe; writing is next door.

use super::Context;
use super::models_write::{ExpandArgs, ExportArgs, MergeArgs, QuantizeArgs, expand_vocab, export, merge, quantize};
use crate::error::Result;
use crate::model::hub::Sources;
use crate::model::pull::PullEvent;
use crate::workbench::models::{self, ModelInfo};
use crate::{text, tr};
use clap::{Args, Subcommand};
use serde_json::json;

/// Pull, list, describe, merge, quantise and export models
#[derive(Args)]
pub struct ModelsArgs {
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Subcommand)]
enum ModelsCommand {
    /// Download a model of the catalogue, or a repository of a hub
    #[command(
        after_help = "Examples:\n  linly-bench models pull smollm2-135m\n  linly-bench models pull hf:Qwen/Qwen2.5-0.5B-Instruct\n  linly-bench models pull ms:ORG/REPO/FILE.gguf\n\nEnvironment: HF_ENDPOINT (a mirror), HF_TOKEN, HF_HUB_OFFLINE=1, HTTPS_PROXY, pip's own settings"
    )]
    Pull {
        /// A catalogue name, hf:ORG/REPO or ms:ORG/REPO, with /FILE.gguf for one file
        #[arg(value_name = "NAME")]
        spec: String,
    },
    /// List the catalogue and the models that are here
    #[command(after_help = "Example:\n  linly-bench models list --json")]
    List,
    /// Describe a model: architecture, size, quantisation, context, memory it needs
    #[command(
        after_help = "Examples:\n  linly-bench models info smollm2-135m\n  linly-bench models info ./model.gguf --json"
    )]
    Info {
        /// A catalogue name, a Hugging Face folder or a .gguf file
        #[arg(value_name = "PATH")]
        spec: String,
    },
    /// Merge an adapter into its base: a Hugging Face folder that needs neither
    #[command(
        after_help = "Examples:\n  linly-bench models merge --model smollm2-135m --adapter jubaopen -o ./jubaopen-merged\n  linly-bench models merge --model ./Qwen2.5-0.5B --adapter mine -o ./merged --dtype bf16\n\nThe folder is a model like any other: linly-bench run finance --model ./jubaopen-merged"
    )]
    Merge(MergeArgs),
    /// Write a model as a GGUF file with smaller weights
    #[command(
        after_help = "Examples:\n  linly-bench models quantize --model ./Qwen2.5-0.5B -o qwen-q4_1.gguf --type q4_1\n  linly-bench models quantize --model smollm2-135m --adapter jubaopen -o jubaopen-q8_0.gguf\n\nVectors stay f32; below 8 bits, embedding and output layer stay q8_0; rows that blocks do not fit get q8_0 or f16."
    )]
    Quantize(QuantizeArgs),
    /// Write a model or an adapter for other programs: GGUF, a Hugging Face folder, a GGUF adapter
    #[command(
        after_help = "Examples:\n  linly-bench models export --model smollm2-135m --adapter jubaopen --format gguf -o jubaopen.gguf\n  linly-bench models export --model smollm2-135m --format hf -o ./smollm2\n  linly-bench models export --model smollm2-135m --adapter jubaopen --format gguf-lora -o jubaopen-lora.gguf\n\nllama.cpp reads both: llama-cli -m MODEL.gguf --lora jubaopen-lora.gguf"
    )]
    Export(ExportArgs),
    /// Write a model with tokens of their own for the characters that cost it most
    #[command(
        after_help = "Example:\n  linly-bench models expand-vocab --model smollm2-135m --data finance --tokens 1500 -o ./smollm2-zh\n  linly-bench train --model ./smollm2-zh --data finance --adapter zh --target all --modules-to-save embed_tokens,lm_head\n\nA new token's embedding begins as the mean of its pieces, and has to be trained."
    )]
    ExpandVocab(ExpandArgs),
}

/// Runs the command.
pub fn run(context: &Context, args: ModelsArgs) -> Result<()> {
    match args.command {
        ModelsCommand::Pull { spec } => pull(context, &spec),
        ModelsCommand::List => list(context),
        ModelsCommand::Info { spec } => info(context, &spec),
        ModelsCommand::Merge(args) => merge(context, args),
        ModelsCommand::Quantize(args) => quantize(context, args),
        ModelsCommand::Export(args) => export(context, args),
        ModelsCommand::ExpandVocab(args) => expand_vocab(context, args),
    }
}

fn pull(context: &Context, spec: &str) -> Result<()> {
    let bench = context.workbench()?;
    let cancel = context.cancel_on_signals()?;
    let ui = &context.ui;
    let bar = ui.bar(0, true);
    let mut listen = |event: PullEvent| match event {
        PullEvent::Waiting => {
            ui.note(&tr!("another pull is running; waiting for it", "另一个下载正在进行，等待其完成"))
        }
        PullEvent::Source(name) => bar.set_message(name.to_owned()),
        PullEvent::Bytes { done, total } => {
            bar.set_length(total);
            bar.set_position(done);
        }
        PullEvent::Failed(name, error) => {
            let reason = &error.message;
            bar.suspend(|| {
                ui.note(&tr!(
                    "{name} failed, trying the next source: {reason}",
                    "{name} 失败，尝试下一个来源：{reason}"
                ))
            });
        }
    };
    let result = models::pull(&bench, spec, &Sources::from_env(), &mut listen, &cancel);
    bar.finish_and_clear();
    let pulled = result?;
    if ui.json {
        let (path, bytes, source) = (&pulled.path, pulled.bytes, &pulled.source);
        ui.json_line(&json!({"event": "finished", "model": spec, "path": path, "bytes": bytes, "source": source}));
        return Ok(());
    }
    let (size, path) = (human_bytes(pulled.bytes), pulled.path.display());
    if pulled.source == "cache" {
        ui.note(&tr!("{spec} is here already ({size})", "{spec} 已在本地（{size}）"));
    } else {
        let source = &pulled.source;
        ui.note(&tr!("{spec} pulled from {source} ({size})", "已从 {source} 下载 {spec}（{size}）"));
    }
    ui.line(&path.to_string());
    Ok(())
}

fn list(context: &Context) -> Result<()> {
    let all = models::list(&context.workbench()?);
    let ui = &context.ui;
    if ui.json {
        ui.json_line(&all);
        return Ok(());
    }
    let name_width = all.iter().map(|m| text::width(&m.name)).max().unwrap_or(0);
    for model in &all {
        let state = match &model.path {
            Some(path) => path.display().to_string(),
            None => tr!("not pulled", "未下载"),
        };
        let (name, size) = (text::pad(&text::one_line(&model.name), name_width), human_bytes(model.bytes));
        let license = text::pad(model.license.as_deref().unwrap_or("-"), 12);
        ui.line(&format!("{name}  {}  {license}  {}", text::pad_left(&size, 9), text::one_line(&state)));
    }
    Ok(())
}

fn info(context: &Context, spec: &str) -> Result<()> {
    let info = models::info(&context.workbench()?, spec)?;
    let ui = &context.ui;
    if ui.json {
        ui.json_line(&info);
        return Ok(());
    }
    let yes_no = |flag: bool| if flag { tr!("yes", "有") } else { tr!("no", "无") };
    let storage: Vec<String> = info.storage.iter().map(|(name, n)| format!("{name} {}", human_count(*n))).collect();
    let tokens = ModelInfo::MEMORY_TOKENS;
    let mut rows = vec![
        (tr!("path", "路径"), info.path.display().to_string()),
        (tr!("format", "格式"), info.format.to_owned()),
        (tr!("architecture", "架构"), info.architecture.to_owned()),
        (tr!("parameters", "参数量"), human_count(info.parameters)),
        (tr!("quantisation", "量化"), format!("{} ({})", info.quantization, storage.join(", "))),
        (tr!("size on disk", "文件大小"), human_bytes(info.file_bytes)),
        (tr!("context", "上下文"), tr!("{} tokens", "{} 个词元", info.context_length)),
        (tr!("vocabulary", "词表"), info.vocab_size.to_string()),
        (
            tr!("layers", "层"),
            tr!(
                "{} of width {} / {}, {} heads, {} for keys and values",
                "{} 层，宽 {} / {}，{} 个注意力头，键值头 {} 个",
                info.num_layers,
                info.hidden_size,
                info.intermediate_size,
                info.num_heads,
                info.num_kv_heads
            ),
        ),
        (tr!("chat template", "对话模板"), yes_no(info.chat_template)),
        (tr!("end token", "结束符"), text::one_line(&info.eos_token)),
        (
            tr!("memory", "内存"),
            tr!(
                "about {} to infer, {} to train an adapter (f32, {tokens} tokens at a time)",
                "推理约 {}，训练适配器约 {}（f32，一次 {tokens} 个词元）",
                human_bytes(info.memory_infer_bytes),
                human_bytes(info.memory_train_bytes)
            ),
        ),
    ];
    if let Some(license) = &info.license {
        rows.push((tr!("licence", "许可"), license.clone()));
    }
    let width = rows.iter().map(|(label, _)| text::width(label)).max().unwrap_or(0);
    for (label, value) in rows {
        ui.line(&format!("{}  {}", text::pad(&label, width), text::one_line(&value)));
    }
    Ok(())
}

/// `98.4 MB`: decimal units, as disks and hubs count.
pub(super) fn human_bytes(bytes: u64) -> String {
    human(bytes, &["B", "kB", "MB", "GB", "TB"])
}

/// `134.5 M`.
fn human_count(n: u64) -> String {
    human(n, &["", "k", "M", "G", "T"]).trim_end().to_owned()
}

fn human(n: u64, units: &[&str]) -> String {
    let mut value = n as f64;
    let mut step = 0;
    while value >= 1000.0 && step + 1 < units.len() {
        value /= 1000.0;
        step += 1;
    }
    if step == 0 { format!("{n} {}", units[0]) } else { format!("{value:.1} {}", units[step]) }
}
