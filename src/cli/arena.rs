//! `linly-bench arena …`: blind battles and ratings.

mod ratings;
mod vote;

use super::Context;
use super::server_flags::{ServerFlags, any_address};
use crate::arena::Winner;
use crate::arena::judge::ReferenceJudge;
use crate::arena::questions::Reject;
use crate::arena::ratings::Method;
use crate::error::{Error, Result};
use crate::infer::Sampling;
use crate::job::{EventSink, JobEvent};
use crate::workbench::arena;
use crate::{text, tr};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Let two models answer the same questions, vote without knowing who is who, and rate them
#[derive(Args)]
#[command(after_help = "Example:\n  linly-bench arena new finance --questions questions.jsonl\n  \
    linly-bench arena battle finance --model smollm2-135m --against smollm2-135m+jubaopen\n  \
    linly-bench arena vote finance\n  linly-bench arena rate finance")]
pub struct ArenaArgs {
    #[command(subcommand)]
    command: ArenaCommand,
}

#[derive(Subcommand)]
enum ArenaCommand {
    /// Make an arena, or add questions to one
    ///
    /// The file holds one question a line: plain text, or JSON {"id", "question", "reference", "lang"}, of which only
    /// the question is required. The reference answer is for `arena judge`.
    #[command(after_help = "Example:\n  linly-bench arena new finance --questions questions.jsonl")]
    New {
        /// Name of the arena
        name: String,
        /// Questions: JSON lines, or plain text
        #[arg(long, value_name = "FILE")]
        questions: Option<PathBuf>,
    },
    /// List the arenas
    #[command(after_help = "Example:\n  linly-bench arena list")]
    List,
    /// Let models answer the arena's questions; the same command goes on with an interrupted session
    #[command(
        after_help = "Example:\n  linly-bench arena battle finance --model smollm2-135m --against smollm2-135m+jubaopen"
    )]
    Battle(BattleArgs),
    /// Vote on battles: names are shown after the vote
    ///
    /// Keys: a or b for the better answer, t for a tie, x when both are bad, s to skip, q to stop. When input is not a
    /// terminal each is a line of its own.
    #[command(after_help = "Example:\n  linly-bench arena vote finance\n  \
        linly-bench arena vote finance --battle 17 --winner A")]
    Vote(VoteArgs),
    /// Let the reference answers vote: a final number that agrees decides, then likeness (ROUGE-L)
    #[command(after_help = "Example:\n  linly-bench arena judge finance")]
    Judge {
        /// Name of the arena
        name: String,
    },
    /// Rate the models by their battles (Bradley–Terry, 95% intervals)
    #[command(after_help = "Example:\n  linly-bench arena rate finance\n  linly-bench arena rate finance --json")]
    Rate {
        /// Name of the arena; without it the battles of all arenas together
        name: Option<String>,
        /// Intervals from this many resamples instead of the sandwich estimate
        #[arg(long, value_name = "ROUNDS")]
        bootstrap: Option<usize>,
    },
    /// Import battles: JSON lines with model_a, model_b, winner, …
    #[command(after_help = "Example:\n  linly-bench arena import battles.jsonl --name finance")]
    Import(ImportArgs),
    /// Write the voted battles of an arena as JSON lines
    #[command(after_help = "Example:\n  linly-bench arena export finance -o battles.jsonl")]
    Export {
        /// Name of the arena
        name: String,
        /// File to write; standard output without it
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Args)]
struct BattleArgs {
    /// Name of the arena
    name: String,
    /// One contestant: a model, MODEL+ADAPTER, or http://HOST:PORT/v1#NAME of an OpenAI-compatible server
    #[arg(long, value_name = "MODEL[+ADAPTER]")]
    model: String,
    /// The other; given several times, every pair battles
    #[arg(long, required = true, value_name = "MODEL[+ADAPTER]")]
    against: Vec<String>,
    /// At most this many battles
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Questions that are answered at once, and the most that is lost when the program is killed
    #[arg(long, value_name = "N", default_value_t = 8)]
    batch: usize,
    /// 0 always takes the likeliest word; more draws
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    temperature: f64,
    /// Longest answer in tokens
    #[arg(long, value_name = "N", default_value_t = 128)]
    max_new_tokens: usize,
    /// Makes words that came before less likely; 1 is off
    #[arg(long, value_name = "X", default_value_t = 1.1)]
    repetition_penalty: f64,
    #[command(flatten)]
    server: ServerFlags,
}

#[derive(Args)]
struct VoteArgs {
    /// Name of the arena
    name: String,
    /// Vote on this battle alone
    #[arg(long, value_name = "ID", requires = "winner")]
    battle: Option<i64>,
    /// The vote: A, B, tie or both_bad
    #[arg(long, value_name = "A|B|tie|both_bad", requires = "battle", value_parser = parse_vote)]
    winner: Option<Winner>,
}

#[derive(Args)]
struct ImportArgs {
    /// Battle files; the first may be the name of the arena instead
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Name of the arena [default: the first file's name without its extension]
    #[arg(long)]
    name: Option<String>,
    /// Import nothing when a line is bad
    #[arg(long)]
    strict: bool,
}

fn parse_vote(text: &str) -> Result<Winner, String> {
    Winner::from_vote(text).ok_or_else(|| tr!("A, B, tie or both_bad", "应为 A、B、tie 或 both_bad"))
}

/// Runs the command.
///
/// # Errors
/// Those of the verb.
pub fn run(context: &Context, args: ArenaArgs) -> Result<()> {
    match args.command {
        ArenaCommand::New { name, questions } => new(context, &name, questions.as_deref()),
        ArenaCommand::List => list(context),
        ArenaCommand::Battle(args) => battle(context, &args),
        ArenaCommand::Vote(VoteArgs { name, battle: Some(id), winner: Some(winner) }) => {
            vote::once(context, &name, id, winner)
        }
        ArenaCommand::Vote(args) => vote::session(context, &args.name),
        ArenaCommand::Judge { name } => judge(context, &name),
        ArenaCommand::Rate { name, bootstrap } => {
            let method = match bootstrap {
                Some(rounds) => Method::Bootstrap { rounds, seed: context.settings().seed },
                None => Method::Sandwich,
            };
            ratings::show(context, name.as_deref(), method)
        }
        ArenaCommand::Import(args) => import(context, &args),
        ArenaCommand::Export { name, output } => export(context, &name, output.as_deref()),
    }
}

fn new(context: &Context, name: &str, questions: Option<&Path>) -> Result<()> {
    let made = arena::new(&context.workbench()?, name, questions)?;
    warn_of(context, &made.rejects);
    if context.ui.json {
        context.ui.json_line(&made);
        return Ok(());
    }
    let (name, n) = (&made.arena, made.questions);
    context.ui.note(&if made.created {
        tr!("arena `{name}` with {n} questions", "竞技场 `{name}`，共 {n} 个问题")
    } else {
        tr!("arena `{name}`: {n} new questions", "竞技场 `{name}`：新增 {n} 个问题")
    });
    Ok(())
}

fn list(context: &Context) -> Result<()> {
    let arenas = context.workbench()?.store.arenas()?;
    if context.ui.json {
        context.ui.json_line(&arenas);
        return Ok(());
    }
    if arenas.is_empty() {
        context
            .ui
            .note(&tr!("no arena yet: `linly-bench arena new NAME`", "还没有竞技场：`linly-bench arena new NAME`"));
    }
    for arena in arenas {
        let (name, questions, battles, pending) = (arena.name, arena.questions, arena.battles, arena.pending);
        context.ui.line(&tr!(
            "{name}  {questions} questions, {battles} battles, {pending} without a vote",
            "{name}  {questions} 个问题，{battles} 场对战，{pending} 场待投票"
        ));
    }
    Ok(())
}

/// Shows a session: a bar for people, one JSON line per event otherwise.
struct Progress<'a> {
    context: &'a Context,
    bar: ProgressBar,
}

impl EventSink for Progress<'_> {
    fn emit(&self, event: &JobEvent) {
        if self.context.ui.json {
            self.context.ui.json_line(event);
            return;
        }
        match event {
            JobEvent::Started { total, .. } => self.bar.set_length(*total),
            JobEvent::Progress { done, .. } => self.bar.set_position(*done),
            _ => {}
        }
    }
}

fn battle(context: &Context, args: &BattleArgs) -> Result<()> {
    let bench = context.workbench()?;
    // Whether the arena can be played in at all is asked before models are loaded, which takes long.
    bench.store.arena(&args.name)?;
    let specs = std::iter::once(&args.model).chain(&args.against);
    let seed = context.settings().seed;
    let sampling = Sampling {
        temperature: args.temperature,
        max_new_tokens: args.max_new_tokens,
        repetition_penalty: args.repetition_penalty,
        seed,
        ..Sampling::default()
    };
    let specs: Vec<&str> = specs.map(String::as_str).collect();
    // Only here: a vote that waits for a line must end at the first Ctrl-C.
    let cancel = context.cancel_on_signals()?;
    if any_address(specs.iter().copied()) && sampling.repetition_penalty != 1.0 {
        context.ui.note(&tr!(
            "a server's model answers without --repetition-penalty, which its protocol does not have",
            "服务器上的模型不使用 --repetition-penalty：其协议没有该参数"
        ));
    }
    let mut contestants =
        bench.contestants(&specs, &sampling, context.place(false), &args.server.options(), &cancel)?;
    let config = json!({
        "temperature": sampling.temperature, "max_new_tokens": sampling.max_new_tokens,
        "repetition_penalty": sampling.repetition_penalty, "seed": seed,
    });
    let session = arena::Session { limit: args.limit, seed, batch: args.batch, config };
    let progress = Progress { context, bar: context.ui.bar(0, false) };
    let played = arena::battle(&bench, &args.name, &mut contestants, &session, &progress, &cancel);
    progress.bar.finish_and_clear();
    let played = played?;
    if context.ui.json {
        context.ui.finished(&played);
        return Ok(());
    }
    let (n, flagged, pending, name) = (played.battles, played.flagged, played.pending, &played.arena);
    context.ui.note(&tr!("{n} battles played", "完成 {n} 场对战"));
    if flagged > 0 {
        context.ui.warn(&tr!(
            "{flagged} of them do not count: an answer names its model",
            "其中 {flagged} 场不计：有回答说出了模型名"
        ));
    }
    context.ui.note(&tr!(
        "{pending} wait for a vote: `linly-bench arena vote {name}`, or `linly-bench arena judge {name}`",
        "{pending} 场待投票：`linly-bench arena vote {name}` 或 `linly-bench arena judge {name}`"
    ));
    Ok(())
}

fn judge(context: &Context, name: &str) -> Result<()> {
    let judged = arena::judge(&context.workbench()?, name, &mut ReferenceJudge)?;
    if context.ui.json {
        context.ui.json_line(&judged);
        return Ok(());
    }
    let (n, left) = (judged.judged, judged.without_reference);
    context.ui.note(&tr!("{n} battles judged by their reference answers", "按参考答案评判了 {n} 场对战"));
    if let Some(share) = judged.first_share {
        let (share, consistent) = (100.0 * share, judged.consistent);
        context.ui.note(&tr!(
            "both orders agreed in {consistent} of {n}; {share:.0}% of the decisions went to the answer read first",
            "{n} 场中有 {consistent} 场两种顺序结论一致；{share:.0}% 的判定偏向先读到的回答"
        ));
    }
    if left > 0 {
        context.ui.note(&tr!(
            "{left} have no reference answer: `linly-bench arena vote {name}`",
            "{left} 场没有参考答案：请用 `linly-bench arena vote {name}` 投票"
        ));
    }
    Ok(())
}

fn import(context: &Context, args: &ImportArgs) -> Result<()> {
    let mut paths: Vec<&Path> = args.paths.iter().map(PathBuf::as_path).collect();
    // `arena import NAME FILE` reads like the arena's other verbs; a first word that is a file is never taken for a name.
    let name = match &args.name {
        Some(name) => name.clone(),
        None if paths.len() > 1 && !paths[0].exists() => paths.remove(0).display().to_string(),
        None => paths[0].file_stem().unwrap_or_default().to_string_lossy().into_owned(),
    };
    let imported = arena::import(&context.workbench()?, &name, &paths, args.strict)?;
    warn_of(context, &imported.rejects);
    if context.ui.json {
        context.ui.json_line(&imported);
        return Ok(());
    }
    let (n, known, flagged) = (imported.imported, imported.duplicates, imported.flagged);
    context.ui.note(&tr!("{n} battles imported into arena `{name}`", "已向竞技场 `{name}` 导入 {n} 场对战"));
    if known > 0 {
        context.ui.note(&tr!("{known} were there already", "{known} 场已存在"));
    }
    if flagged > 0 {
        context
            .ui
            .warn(&tr!("{flagged} do not count: an answer names its model", "{flagged} 场不计：有回答说出了模型名"));
    }
    Ok(())
}

fn export(context: &Context, name: &str, output: Option<&Path>) -> Result<()> {
    let bench = context.workbench()?;
    let exported = match output {
        None => {
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            return arena::export(&bench, name, &mut out, Path::new("-")).map(|_| ());
        }
        Some(path) => {
            // Written beside and moved into place: a full disk leaves the old file as it was.
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let io = |e: &std::io::Error| Error::io(path, e);
            let file = tempfile::NamedTempFile::new_in(folder).map_err(|e| io(&e))?;
            let mut out = std::io::BufWriter::new(file);
            let exported = arena::export(&bench, name, &mut out, path)?;
            out.flush().map_err(|e| io(&e))?;
            let file = out.into_inner().map_err(|e| io(e.error()))?;
            file.persist(path).map_err(|e| io(&e.error))?;
            exported
        }
    };
    if context.ui.json {
        context.ui.json_line(&exported);
        return Ok(());
    }
    let (n, pending) = (exported.exported, exported.pending);
    context.ui.note(&tr!("{n} battles written", "已写出 {n} 场对战"));
    if pending > 0 {
        context.ui.note(&tr!("{pending} without a vote were left out", "另有 {pending} 场未投票，未写出"));
    }
    Ok(())
}

/// Most bad lines that are named one by one.
const NAMED: usize = 10;

fn warn_of(context: &Context, rejects: &[Reject]) {
    for Reject { file, line, reason } in rejects.iter().take(NAMED) {
        let (file, reason) = (text::one_line(file), text::one_line(reason));
        context.ui.warn(&tr!("{file}, line {line}: {reason}", "{file} 第 {line} 行：{reason}"));
    }
    if rejects.len() > NAMED {
        let more = rejects.len() - NAMED;
        context.ui.warn(&tr!(
            "and {more} more bad lines (all of them with --json)",
            "另有 {more} 行有误（--json 可列出全部）"
        ));
    }
}

/// Columns of the terminal; 80 when there is none.
fn terminal_columns() -> usize {
    use std::io::IsTerminal;
    let size = if std::io::stdout().is_terminal() { crossterm::terminal::size().ok() } else { None };
    size.map_or(80, |(columns, _)| usize::from(columns).max(20))
}
