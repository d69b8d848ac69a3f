//! `linly-bench serve`: models for other programs, and the arena for a browser.

use super::Context;
use crate::error::Result;
use crate::prompt::Template;
use crate::serve::{Options, Server};
use crate::tr;
use crate::workbench::answering::weight_form;
use serde_json::json;
use std::sync::Arc;

/// Serve a model over HTTP, as OpenAI's API does, and the arena as a web page
///
/// The base model and each adapter have a name of their own under /v1/models; a request says which one it wants.
/// Open the address in a browser for blind battles between them. Ctrl-C ends the server.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  linly-bench serve --model smollm2-135m --adapter jubaopen --port 8000
  curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{\"model\": \"jubaopen\", \"messages\": [{\"role\": \"user\", \"content\": \"什么是市盈率？\"}]}'
  linly-bench run finance-qa --model http://127.0.0.1:8000/v1#jubaopen")]
pub struct ServeArgs {
    /// Catalogue name, folder or .gguf file of the model
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// Name or folder of a LoRA adapter; may be given several times
    #[arg(long, value_name = "ADAPTER")]
    adapter: Vec<String>,
    /// Port; 0 for any free one
    #[arg(long, value_name = "N", default_value_t = 8000)]
    port: u16,
    /// Address to listen on; one that other machines reach needs a key
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: String,
    /// Key that requests must bring (Authorization: Bearer KEY)
    #[arg(long, value_name = "KEY", env = "LINLY_BENCH_SERVE_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// How conversations become text [default: as each adapter was trained, else the model's own]
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<String>,
    /// Answers that are written at once; others wait
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    /// Arena that the web page plays in
    #[arg(long, value_name = "NAME", default_value = "web")]
    arena: String,
    /// How the weights are held: full, keep (as their file has them), int8 or int4
    #[arg(long, value_name = "FORM", default_value = "full")]
    quantize: String,
    /// Number type of the weights: f32 (scores through the server are the local ones), or bf16 and auto, which are faster
    #[arg(long, value_name = "f32|bf16|auto", default_value = "f32")]
    dtype: String,
}

/// Runs `linly-bench serve`. Ctrl-C is how it ends, so that is no failure.
///
/// # Errors
/// Those of loading and of [`Server::bind`].
pub fn run(context: &Context, args: &ServeArgs) -> Result<()> {
    let template: Option<Template> = args.template.as_deref().map(str::parse).transpose()?;
    let (form, exact) = weight_form(context.wish, &args.dtype, &args.quantize)?;
    let bench = context.workbench()?;
    context.ui.note(&tr!("loading {} …", "正在加载 {} …", args.model));
    let model = bench.load_to_answer(&args.model, form, context.place(exact))?;
    let adapters = args.adapter.iter().map(|spec| bench.load_adapter(spec, &model)).collect::<Result<Vec<_>>>()?;
    let options = Options {
        host: args.host.clone(),
        port: args.port,
        key: args.api_key.clone().filter(|key| !key.is_empty()),
        places: usize::from(args.parallel),
        arena: args.arena.clone(),
    };
    // Shows each request to whoever runs the server.
    let log = Arc::new(context.ui.clone());
    let server = Server::bind(bench, &model, &adapters, template, options, log)?;
    let (url, models) = (server.url(), server.models());
    let cancel = context.cancel_on_signals()?;
    if context.ui.json {
        context.ui.json_line(&json!({"event": "listening", "url": url, "models": models}));
    } else {
        let (names, form) = (models.join(", "), model.form.label());
        context
            .ui
            .line(&tr!("API    {url}/v1   models: {names} ({form})", "API    {url}/v1   模型：{names}（{form}）"));
        context.ui.line(&tr!("arena  {url}/     in a browser", "竞技场 {url}/     用浏览器打开"));
        context.ui.note(&tr!("Ctrl-C ends the server", "按 Ctrl-C 结束服务"));
    }
    server.run(&cancel)?;
    if context.ui.json {
        context.ui.finished(&json!({"url": url}));
    }
    Ok(())
}
