//! The verbs of this command line as plain data for the terminal interface.

use super::{Cli, Command, Context, Ui, train};
use crate::config::Settings;
use crate::error::Result;
use crate::tui::{Commands, Naming, Verb, VerbField};
use crate::workbench::device::Wish;
use crate::workbench::jobs::NO_JOBS;
use crate::workbench::train::TrainRequest;
use clap::{ArgAction, CommandFactory, Parser};
use std::path::PathBuf;

/// What verbs cannot do without, though their parser can, since a settings file or an unfinished run may say it: verb,
/// arguments, and those that make them needless.
const NEEDED: [(&str, &[&str], &[&str]); 3] = [
    ("train", &["model", "data", "adapter"], &["config", "resume", "plan"]),
    ("pretrain", &["model", "data", "adapter"], &["config", "resume"]),
    ("run", &["benchmarks", "model"], &["resume"]),
];

/// Verbs whose NAME is that of a dataset which is there.
const OF_DATASETS: [&str; 11] =
    ["show", "stats", "preview", "split", "dedup", "check", "export", "delete", "edit", "clean", "quality"];

/// All verbs that can work in the background.
pub fn commands() -> Commands {
    let mut verbs = Vec::new();
    let mut root = Cli::command();
    root.build();
    let global: Vec<String> =
        root.get_arguments().filter(|a| a.is_global_set()).map(|a| a.get_id().to_string()).collect();
    for command in root.get_subcommands().filter(|c| !NO_JOBS.contains(&c.get_name())) {
        collect(command, &mut Vec::new(), &global, &mut verbs);
    }
    Commands { verbs, check }
}

fn check(args: &[String]) -> Option<String> {
    let line = std::iter::once("linly-bench").chain(args.iter().map(String::as_str));
    let error = match Cli::try_parse_from(line) {
        Ok(Cli { command: Some(Command::Train(_)), .. }) => return training(args).err().map(|e| e.message),
        Ok(_) => return None,
        Err(error) => error,
    };
    let text = error.render().to_string();
    let told = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let missing: Vec<&str> =
        text.lines().skip(1).take_while(|l| !l.starts_with("Usage")).map(str::trim).filter(|l| !l.is_empty()).collect();
    let told = told.trim_start_matches("error: ").to_owned();
    Some(if told.ends_with(':') { format!("{told} {}", missing.join(", ")) } else { told })
}

/// What the line of a new training asks for, and whether it may use a GPU; `None` for any other line.
///
/// # Errors
/// What is wrong with it.
pub fn training(args: &[String]) -> Result<Option<(TrainRequest, bool)>> {
    let line = std::iter::once("linly-bench").chain(args.iter().map(String::as_str));
    let Ok(Cli { global, command: Some(Command::Train(args)) }) = Cli::try_parse_from(line) else { return Ok(None) };
    let settings = Settings { home: PathBuf::new(), data_dir: None, seed: global.seed.unwrap_or(42) };
    let context = Context { ui: Ui::new(false, true), settings, wish: Wish::named(&global.device)? };
    Ok(train::draft(&context, args)?.map(|request| (request, context.wish.may_use_card())))
}

fn collect(command: &clap::Command, path: &mut Vec<String>, global: &[String], verbs: &mut Vec<Verb>) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    path.push(command.get_name().to_owned());
    let mut below = command.get_subcommands().filter(|c| c.get_name() != "help").peekable();
    if below.peek().is_none() || !command.is_subcommand_required_set() && command.get_positionals().next().is_some() {
        let own = command.get_arguments().filter(|a| {
            let id = a.get_id().as_str();
            !a.is_hide_set() && !matches!(id, "help" | "version") && !global.iter().any(|g| g == id)
        });
        verbs.push(Verb {
            path: path.clone(),
            about: command.get_about().map(ToString::to_string).unwrap_or_default(),
            fields: own.map(|arg| field(path, arg)).collect(),
        });
    }
    for command in below {
        collect(command, path, global, verbs);
    }
    path.pop();
}

fn field(path: &[String], arg: &clap::Arg) -> VerbField {
    let name = arg.get_long().map_or_else(|| arg.get_id().as_str().to_owned(), str::to_owned);
    let valued = arg.get_action().takes_values();
    let defaults: Vec<_> = arg.get_default_values().iter().map(|v| v.to_string_lossy().into_owned()).collect();
    let choices = if valued { arg.get_possible_values() } else { Vec::new() };
    let needed = NEEDED.iter().find(|(verb, names, _)| path.join(" ") == *verb && names.contains(&name.as_str()));
    let several = arg.get_num_args().is_some_and(|n| n.max_values() > 1);
    VerbField {
        flag: arg.get_long().map(|long| format!("--{long}")),
        help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        required: arg.is_required_set() || needed.is_some(),
        unless: needed.map(|(_, _, unless)| unless.iter().map(|&name| name.to_owned()).collect()).unwrap_or_default(),
        valued,
        many: several || matches!(arg.get_action(), ArgAction::Append),
        default: if valued { defaults.join(",") } else { String::new() },
        choices: choices.iter().filter(|v| !v.is_hide_set()).map(|v| v.get_name().to_owned()).collect(),
        naming: naming(path, arg, &name),
        name,
    }
}

/// What a value names is told by the word that stands for it in the help.
fn naming(path: &[String], arg: &clap::Arg, name: &str) -> Naming {
    let word = arg.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match (name, word) {
        // The one that is to be made.
        ("adapter", "NAME") => Naming::NewAdapter,
        ("val", _) => Naming::HeldOut,
        ("name", _) if matches!(path[..], ["data", verb] if OF_DATASETS.contains(&verb)) => Naming::Dataset,
        ("name", _) if matches!(path[..], ["arena", "vote" | "judge" | "rate" | "export"]) => Naming::Arena,
        ("model" | "against" | "judge-model", _) | (_, "MODEL") => Naming::Model,
        ("adapter", _) | (_, "ADAPTER") => Naming::Adapter,
        ("data", _) | (_, "DATASET") => Naming::Dataset,
        ("benchmarks" | "benchmark", _) | (_, "BENCH" | "BENCHMARK") => Naming::Benchmark,
        ("arena", _) | (_, "ARENA") => Naming::Arena,
        ("run" | "resume", _) | (_, "RUN" | "RUN_A" | "RUN_B") => Naming::Run,
        _ => Naming::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_offered_with_its_arguments() {
        let commands = commands();
        let train = commands.find("train").map(|v| v.fields.clone()).unwrap_or_default();
        let model = train.iter().find(|f| f.name == "model");
        assert!(model.is_some_and(|f| f.naming == Naming::Model && f.valued && f.flag.as_deref() == Some("--model")));
        for name in ["data import", "data export", "models pull", "run", "runs compare", "arena rate", "leaderboard"] {
            assert!(commands.find(name).is_some(), "{name} is missing");
        }
        assert!(commands.find("tui").is_none());
        for verb in &commands.verbs {
            assert!(verb.fields.iter().all(|f| f.name != "home" && f.name != "json"), "{}", verb.name());
        }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told_in_a_line() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(check(&words("data list")), None);
        let missing = check(&words("models pull")).unwrap_or_default();
        assert!(missing.contains("required") && !missing.contains('\n'), "{missing}");
        assert!(check(&words("train --rank many")).is_some());
    }
}
