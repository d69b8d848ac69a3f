//! `linly-bench chat`: a conversation on the terminal, or line by line.

mod command;
mod input;
mod session;

use super::Context;
use super::server_flags::ServerFlags;
use crate::error::{Error, Kind, Result};
use crate::infer::Sampling;
use crate::prompt::Template;
use crate::remote::{RemoteModel, is_address};
use crate::tr;
use crate::workbench::answering::weight_form;
use crate::workbench::{LocalSpeaker, RemoteSpeaker, Speaker, Talk};

/// Talk to a model
///
/// Answers appear while they are written; the conversation is remembered from turn to turn. `/help` lists the
/// commands. Ctrl-C stops an answer, twice leaves. When input is not a terminal, each line is a turn and answers go
/// to stdout; with --json one object per answer.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  linly-bench chat --model smollm2-135m --adapter jubaopen
  linly-bench chat --model smollm2-135m --temperature 0 --system 'Answer in one sentence.'
  linly-bench chat --model http://127.0.0.1:8000/v1#NAME
  printf '什么是市盈率？\\n它高好还是低好？\\n' | linly-bench chat --model smollm2-135m --json")]
pub struct ChatArgs {
    /// Catalogue name, folder or .gguf file of the model, or http://HOST:PORT/v1#NAME of an OpenAI-compatible server
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// Name or folder of a LoRA adapter
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<String>,
    /// How a conversation becomes text [default: as the adapter was trained, else the model's own]
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<String>,
    /// What the model is told before the conversation
    #[arg(long, value_name = "TEXT", default_value = "")]
    system: String,
    /// 0 always takes the likeliest word; more draws
    #[arg(long, value_name = "T", default_value_t = 0.7)]
    temperature: f64,
    /// Draw from the likeliest words that together have this probability; 1 is all
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    top_p: f64,
    /// Draw from the K likeliest words; 0 is all
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: usize,
    /// Draw from words at least P times as likely as the likeliest; 0 is all
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    min_p: f64,
    /// Makes words that came before less likely; 1 is off [default: 1.1, for a server's model 1]
    #[arg(long, value_name = "X")]
    repetition_penalty: Option<f64>,
    /// Longest answer in tokens
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: u32,
    /// A text that ends an answer; may be given several times
    #[arg(long, value_name = "S")]
    stop: Vec<String>,
    /// How the weights are held: full, keep (as their file has them), int8 or int4
    #[arg(long, value_name = "FORM", default_value = "full")]
    quantize: String,
    /// Number type of the weights: f32, bf16 or auto (bf16 where the processor has it)
    #[arg(long, value_name = "f32|bf16|auto", default_value = "auto")]
    dtype: String,
    #[command(flatten)]
    server: ServerFlags,
}

/// Runs `linly-bench chat`.
///
/// # Errors
/// Those of loading, and of an answer when input is no terminal; `Interrupted` when the user leaves by Ctrl-C.
pub fn run(context: &Context, args: &ChatArgs) -> Result<()> {
    let remote = is_address(&args.model);
    let sampling = Sampling {
        temperature: args.temperature,
        top_p: args.top_p,
        top_k: args.top_k,
        min_p: args.min_p,
        repetition_penalty: args.repetition_penalty.unwrap_or(if remote { 1.0 } else { 1.1 }),
        max_new_tokens: args.max_tokens as usize,
        seed: context.settings().seed,
        stop: args.stop.clone(),
    };
    sampling.check()?;
    let speaker = if remote { server(args)? } else { local(context, args)? };
    session::talk(context, Talk::new(speaker, &args.system, sampling))
}

fn local(context: &Context, args: &ChatArgs) -> Result<Box<dyn Speaker>> {
    let template: Option<Template> = args.template.as_deref().map(str::parse).transpose()?;
    let (form, exact) = weight_form(context.wish, &args.dtype, &args.quantize)?;
    let bench = context.workbench()?;
    context.ui.note(&tr!("loading {} …", "正在加载 {} …", args.model));
    let model = bench.load_to_answer(&args.model, form, context.place(exact))?;
    let adapter = args.adapter.as_deref().map(|spec| bench.load_adapter(spec, &model)).transpose()?;
    Ok(Box::new(LocalSpeaker::new(&model, adapter.as_ref(), template)?))
}

fn server(args: &ChatArgs) -> Result<Box<dyn Speaker>> {
    if args.adapter.is_some() || args.template.is_some() {
        return Err(Error::new(
            Kind::Usage,
            tr!("a server's model has its own adapter and template", "服务器上的模型自带适配器与模板"),
        )
        .hint(tr!("leave --adapter and --template out", "请去掉 --adapter 与 --template")));
    }
    Ok(Box::new(RemoteSpeaker::new(&RemoteModel::connect(&args.model, args.server.options())?)))
}
