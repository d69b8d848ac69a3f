//! `linly-bench data draft` and `data drafts`: rows that a model proposes, and what becomes of them.

use super::Context;
use super::data_annotate::print_added;
use super::data_check::parse_share;
use super::server_flags::ServerFlags;
use crate::error::{Error, Kind, Result};
use crate::infer::Sampling;
use crate::model::WeightForm;
use crate::prompt::Template;
use crate::remote::{RemoteModel, is_address};
use crate::store::{DraftRecord, Like};
use crate::text::{clean, one_line, truncate};
use crate::tr;
use crate::workbench::data::{self, DraftChoice, DraftRequest, Drafted};
use crate::workbench::{LocalSpeaker, RemoteSpeaker, Speaker, Workbench};
use clap::Args;
use serde_json::{Value, json};

/// Arguments of `data draft`
#[derive(Args)]
pub struct DraftArgs {
    /// Dataset whose rows are the examples, and that the drafts are for
    name: String,
    /// Catalogue name, folder or .gguf file of the model, or http://HOST:PORT/v1#NAME of an OpenAI-compatible server
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// Name or folder of a LoRA adapter
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<String>,
    /// How a conversation becomes text [default: as the adapter was trained, else the model's own]
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<String>,
    /// Drafts to write
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Rows that are shown as examples, drawn anew for each draft; rows marked bad never are
    #[arg(long, value_name = "K", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    seed_rows: u8,
    /// Examples of this language only; those of one draft have one language in any case
    #[arg(long = "only", value_name = "zh|en", value_parser = ["zh", "en"])]
    only: Option<String>,
    /// What the drafts are to be about
    #[arg(long, value_name = "TEXT", default_value = "")]
    topic: String,
    /// 0 always takes the likeliest word; more draws
    #[arg(long, value_name = "T", default_value_t = 0.7)]
    temperature: f64,
    /// Longest answer in tokens
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: u32,
    /// Mark drafts whose question is nearly that of a row or another draft: Jaccard index of runs of three words or characters
    #[arg(long, value_name = "J", value_parser = parse_share, default_value_t = 0.7)]
    near: f64,
    #[command(flatten)]
    server: ServerFlags,
}

/// Arguments of `data drafts`
#[derive(Args)]
pub struct DraftsArgs {
    /// Dataset
    name: String,
    /// Make rows of these drafts, as a new version: 3,7,10-12, all, or clean for those without a remark
    #[arg(long, value_name = "K,…|all|clean")]
    accept: Option<String>,
    /// Throw these drafts away: 3,7,10-12, or all that are not accepted
    #[arg(long, value_name = "K,…|all")]
    discard: Option<String>,
    /// Whole texts instead of their beginnings
    #[arg(long)]
    full: bool,
}

/// Runs `data draft`.
///
/// # Errors
/// Those of loading and of [`data::write_drafts`].
pub(super) fn draft(context: &Context, args: &DraftArgs) -> Result<()> {
    let remote = is_address(&args.model);
    let request = DraftRequest {
        dataset: args.name.clone(),
        count: args.count as usize,
        seed_rows: usize::from(args.seed_rows),
        lang: args.only.clone(),
        topic: args.topic.clone(),
        near: args.near,
        sampling: Sampling {
            temperature: args.temperature,
            top_p: 0.95,
            repetition_penalty: if remote { 1.0 } else { 1.1 },
            max_new_tokens: args.max_tokens as usize,
            seed: context.settings().seed,
            ..Sampling::default()
        },
    };
    request.sampling.check()?;
    let bench = context.workbench()?;
    // Asked before a model is loaded, which takes long.
    bench.store.dataset(&args.name)?;
    let mut speaker = speaker(context, &bench, args)?;
    let cancel = context.cancel_on_signals()?;
    let bar = context.ui.bar(u64::from(args.count), false);
    let mut on = |draft: &DraftRecord| {
        bar.inc(1);
        if context.ui.json {
            context.ui.json_line(&event(draft));
        } else {
            bar.suspend(|| print_draft(context, draft, false));
        }
    };
    let done = data::write_drafts(&bench, &request, &mut *speaker, &mut on, &cancel);
    bar.finish_and_clear();
    let done = done?;
    if context.ui.json {
        let mut report = json!(done);
        if let Some(report) = report.as_object_mut() {
            report.insert("dataset".to_owned(), json!(args.name));
        }
        context.ui.finished(&report);
        return Ok(());
    }
    let Drafted { drafts, near, findings, without_text } = done;
    context.ui.note(&tr!(
        "{drafts} drafts: {near} nearly the same as another question, {findings} with findings; {without_text} replies were none",
        "{drafts} 条草稿：{near} 条与已有问题几乎相同，{findings} 条有质量问题；另有 {without_text} 次没有写出"
    ));
    let name = one_line(&args.name);
    context.ui.note(&tr!(
        "they are no rows yet: linly-bench data drafts {name} --accept clean",
        "草稿尚不是数据：linly-bench data drafts {name} --accept clean"
    ));
    Ok(())
}

fn event(draft: &DraftRecord) -> Value {
    let mut object = json!({"event": "draft"});
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), json!(draft)) {
        object.extend(fields);
    }
    object
}

fn speaker(context: &Context, bench: &Workbench, args: &DraftArgs) -> Result<Box<dyn Speaker>> {
    if is_address(&args.model) {
        if args.adapter.is_some() || args.template.is_some() {
            return Err(Error::new(
                Kind::Usage,
                tr!("a server's model has its own adapter and template", "服务器上的模型自带适配器与模板"),
            )
            .hint(tr!("leave --adapter and --template out", "请去掉 --adapter 与 --template")));
        }
        return Ok(Box::new(RemoteSpeaker::new(&RemoteModel::connect(&args.model, args.server.options())?)));
    }
    let template: Option<Template> = args.template.as_deref().map(str::parse).transpose()?;
    context.ui.note(&tr!("loading {} …", "正在加载 {} …", args.model));
    let model = bench.load_to_answer(&args.model, WeightForm::F32, context.place(false))?;
    let adapter = args.adapter.as_deref().map(|spec| bench.load_adapter(spec, &model)).transpose()?;
    Ok(Box::new(LocalSpeaker::new(&model, adapter.as_ref(), template)?))
}

/// Columns of a text's beginning.
const COLUMNS: usize = 240;

fn print_draft(context: &Context, draft: &DraftRecord, full: bool) {
    let ui = &context.ui;
    let mut head = format!("{}  {}  {}", draft.id, draft.lang, one_line(&draft.model));
    match draft.near {
        Some(Like::Row(row)) => head += &tr!("  ≈ row {row} ({:.2})", "  ≈ 第 {row} 行（{:.2}）", draft.jaccard),
        Some(Like::Draft(id)) => head += &tr!("  ≈ draft {id} ({:.2})", "  ≈ 草稿 {id}（{:.2}）", draft.jaccard),
        None => {}
    }
    if !draft.findings.is_empty() {
        head += &format!("  ! {}", draft.findings.join(", "));
    }
    ui.line(&head);
    for (label, text) in [("instruction", &draft.instruction), ("output", &draft.output)] {
        if full {
            ui.line(&format!("  {label}:\n    {}", clean(text).replace('\n', "\n    ")));
        } else {
            ui.line(&format!("  {label}: {}", truncate(&one_line(text), COLUMNS)));
        }
    }
}

/// Runs `data drafts`.
///
/// # Errors
/// `NotFound` for a draft that is not there; those of [`data::decide_drafts`].
pub(super) fn drafts(context: &Context, args: &DraftsArgs) -> Result<()> {
    let bench = context.workbench()?;
    let parse = |words: &Option<String>| words.as_deref().map(DraftChoice::parse).transpose();
    let (accept, discard) = (parse(&args.accept)?, parse(&args.discard)?);
    let ui = &context.ui;
    if accept.is_some() || discard.is_some() {
        let done = data::decide_drafts(&bench, &args.name, accept.as_ref(), discard.as_ref())?;
        if ui.json {
            let mut object = json!(done);
            if let Some(object) = object.as_object_mut() {
                object.insert("dataset".to_owned(), json!(args.name));
            }
            ui.json_line(&object);
            return Ok(());
        }
        if let Some(added) = &done.added {
            print_added(context, added);
        }
        let (accepted, discarded, left) = (done.accepted.len(), done.discarded.len(), done.left);
        ui.note(&tr!(
            "{accepted} drafts accepted, {discarded} discarded, {left} left",
            "采纳 {accepted} 条草稿，丢弃 {discarded} 条，剩余 {left} 条"
        ));
        return Ok(());
    }
    let drafts = bench.store.drafts(&args.name)?;
    if ui.json {
        let clean = drafts.iter().filter(|draft| draft.is_clean()).count();
        ui.json_line(&json!({"dataset": args.name, "count": drafts.len(), "clean": clean, "drafts": drafts}));
        return Ok(());
    }
    if drafts.is_empty() {
        let name = one_line(&args.name);
        ui.note(&tr!(
            "no drafts; let a model write some: linly-bench data draft {name} --model M --count 10",
            "没有草稿；可让模型来写：linly-bench data draft {name} --model M --count 10"
        ));
    }
    drafts.iter().for_each(|draft| print_draft(context, draft, args.full));
    Ok(())
}
