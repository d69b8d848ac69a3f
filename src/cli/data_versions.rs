//! `linly-bench data edit`, `delete` and `restore`: rows change, versions stay.

use super::Context;
use super::data::short;
use crate::error::{Error, Kind, Result};
use crate::store::{DatasetRecord, StoredRow};
use crate::text::one_line;
use crate::tr;
use crate::workbench::data::{self, Edit, Restored};
use clap::Args;
use serde_json::{Map, json};
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Arguments of `data edit`
#[derive(Args)]
pub struct EditArgs {
    /// Dataset
    name: String,
    /// Number of the row
    #[arg(long, value_name = "K", required_unless_present = "from")]
    row: Option<u64>,
    /// A field's new value; may stand several times. Without it, the row is opened in $EDITOR
    #[arg(long, value_name = "FIELD=VALUE", requires = "row")]
    set: Vec<String>,
    /// JSON lines {"row": K, "FIELD": VALUE, …}; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["row", "set"])]
    from: Option<PathBuf>,
}

/// Arguments of `data delete`
#[derive(Args)]
pub struct DeleteArgs {
    /// Dataset
    name: String,
    /// Only these rows: 3 or 3,7,10-12
    #[arg(long, value_name = "K,…")]
    row: Vec<String>,
    /// Remove every version for good and give the disk its space back
    #[arg(long, conflicts_with = "row")]
    purge: bool,
    /// Purge even if trainings rest on its rows
    #[arg(long, requires = "purge")]
    force: bool,
}

/// Arguments of `data restore`
#[derive(Args)]
pub struct RestoreArgs {
    /// Dataset
    name: String,
    /// Version to go back to: its number, tag or the beginning of its hash; none for a deleted dataset
    version: Option<String>,
    /// Only these rows, as they were in VERSION or the one before the newest
    #[arg(long, value_name = "K,…")]
    row: Vec<String>,
}

/// Says which version a command left behind.
fn report(context: &Context, old: &DatasetRecord, new: &DatasetRecord, extra: &[(&str, serde_json::Value)]) {
    let unchanged = old.number == new.number;
    if !unchanged && new.rows == 0 {
        warn_empty(context, &one_line(&new.name), old.number);
    }
    if context.ui.json {
        let mut object = Map::from_iter([
            ("dataset".to_owned(), json!(new.name)),
            ("version".to_owned(), json!(new.version)),
            ("number".to_owned(), json!(new.number)),
            ("rows".to_owned(), json!(new.rows)),
            ("unchanged".to_owned(), json!(unchanged)),
        ]);
        object.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        context.ui.json_line(&object);
        return;
    }
    let (name, number, version, rows) = (one_line(&new.name), new.number, short(&new.version), new.rows);
    context.ui.line(&if unchanged {
        tr!("{name}: unchanged (version {number}, {version})", "{name}：无变化（版本 {number}，{version}）")
    } else {
        tr!(
            "{name}: now version {number} ({version}), {rows} rows",
            "{name}：现为版本 {number}（{version}），共 {rows} 行"
        )
    });
}

/// Says that no row is left, which nobody wants: a training of it has nothing to learn.
pub(super) fn warn_empty(context: &Context, name: &str, before: u64) {
    context.ui.warn(&tr!(
        "no row of {name} is left; data restore {name} {before} brings them back",
        "{name} 已无任何数据行；data restore {name} {before} 可恢复"
    ));
}

/// Runs `data edit`.
///
/// # Errors
/// `NotFound`; `InvalidInput` for a value that a row cannot have.
pub(super) fn edit(context: &Context, args: &EditArgs) -> Result<()> {
    let bench = context.workbench()?;
    let old = bench.store.dataset(&args.name)?;
    let edits = match (&args.from, args.row) {
        (Some(file), _) => data::parse_edits(&read(file)?, &file.to_string_lossy())?,
        (None, Some(row)) if !args.set.is_empty() => {
            let fields = args.set.iter().map(|text| data::parse_set(text)).collect::<Result<Map<_, _>>>()?;
            vec![Edit { row, fields }]
        }
        (None, row) => vec![by_editor(&bench.store.row(&args.name, row.unwrap_or(0))?)?],
    };
    let new = data::edit_rows(&bench, &args.name, &edits)?;
    report(context, &old, &new, &[("edited", json!(edits.len()))]);
    Ok(())
}

/// The text of `file`; `-` is standard input.
pub(super) fn read(file: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    read.map(|()| text).map_err(|e| Error::io(file, &e))
}

/// Lets the user change a row in the editor of the environment.
fn by_editor(row: &StoredRow) -> Result<Edit> {
    let before = data::editable(row);
    let fields = in_editor(&before)?;
    let fields = fields.into_iter().filter(|(field, value)| before.get(field) != Some(value)).collect();
    Ok(Edit { row: row.row, fields })
}

/// The fields of a row after the user changed them in the editor of the environment.
///
/// # Errors
/// `Usage` without an editor or a terminal; `Io` when the editor fails; `InvalidInput` when it leaves no JSON.
pub(super) fn in_editor(fields: &Map<String, serde_json::Value>) -> Result<Map<String, serde_json::Value>> {
    let editor = ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.trim().is_empty()));
    let Some(editor) = editor.filter(|_| std::io::stdin().is_terminal()) else {
        return Err(Error::new(Kind::Usage, tr!("no field was named", "没有指定字段")).hint(tr!(
            "--set FIELD=VALUE, --from FILE, or on a terminal an editor named by $EDITOR",
            "请用 --set 字段=值、--from 文件，或在终端中用 $EDITOR 指定编辑器"
        )));
    };
    let internal = |e: &dyn std::fmt::Display| Error::internal(e.to_string());
    let text = serde_json::to_string_pretty(fields).map_err(|e| internal(&e))?;
    let mut file = tempfile::Builder::new().prefix("row-").suffix(".json").tempfile().map_err(|e| internal(&e))?;
    file.write_all(text.as_bytes()).and_then(|()| file.flush()).map_err(|e| Error::io(file.path(), &e))?;
    // The variable may hold flags: `code --wait`.
    let mut words = editor.split_whitespace();
    let status = Command::new(words.next().unwrap_or_default()).args(words).arg(file.path()).status();
    if !status.is_ok_and(|status| status.success()) {
        return Err(Error::new(Kind::Io, tr!("`{editor}` did not end well", "`{editor}` 没有正常结束"))
            .hint(tr!("nothing was changed; see $EDITOR", "没有改动任何内容；请检查 $EDITOR")));
    }
    let text = read(file.path())?;
    serde_json::from_str(&text).map_err(|e| {
        Error::new(Kind::InvalidInput, tr!("no JSON any more: {e}", "已不是 JSON：{e}"))
            .hint(tr!("nothing was changed; try again", "没有改动任何内容；请重试"))
    })
}

/// Runs `data delete`.
///
/// # Errors
/// `NotFound`; `InvalidInput` when trainings rest on what is to be purged.
pub(super) fn delete(context: &Context, args: &DeleteArgs) -> Result<()> {
    let bench = context.workbench()?;
    let name = &args.name;
    if args.purge {
        let hidden = bench.store.deleted_datasets()?.into_iter().find(|d| d.name == *name);
        let record = hidden.map_or_else(|| bench.store.dataset(name), Ok)?;
        bench.store.purge_dataset(name, args.force)?;
        return deleted(context, &record, true);
    }
    let old = bench.store.dataset(name)?;
    let rows = data::parse_rows(&args.row)?;
    if !rows.is_empty() {
        let new = data::remove_rows(&bench, name, &rows)?;
        report(context, &old, &new, &[("deleted", json!(rows.len()))]);
        return Ok(());
    }
    bench.store.delete_dataset(name)?;
    deleted(context, &old, false)
}

fn deleted(context: &Context, record: &DatasetRecord, purged: bool) -> Result<()> {
    let DatasetRecord { name, version, rows, .. } = record;
    if context.ui.json {
        context.ui.json_line(&json!({"dataset": name, "version": version, "deleted": rows, "purged": purged}));
        return Ok(());
    }
    let name = one_line(name);
    context.ui.line(&if purged {
        tr!("{name}: removed for good, {rows} rows", "{name}：已彻底删除，共 {rows} 行")
    } else {
        tr!("{name}: deleted, {rows} rows", "{name}：已删除，共 {rows} 行")
    });
    if !purged {
        context.ui.note(&tr!(
            "it can be brought back: linly-bench data restore {name}",
            "可以恢复：linly-bench data restore {name}"
        ));
    }
    Ok(())
}

/// Runs `data restore`.
///
/// # Errors
/// `NotFound`; `Usage` when there is nothing to restore.
pub(super) fn restore(context: &Context, args: &RestoreArgs) -> Result<()> {
    let bench = context.workbench()?;
    let rows = data::parse_rows(&args.row)?;
    let old = bench.store.find_dataset(&args.name)?;
    match data::restore(&bench, &args.name, args.version.as_deref(), &rows)? {
        Restored::Dataset(record) if context.ui.json => {
            let DatasetRecord { name, version, number, rows, .. } = record;
            context.ui.json_line(
                &json!({"dataset": name, "version": version, "number": number, "rows": rows, "unchanged": false}),
            );
        }
        Restored::Dataset(record) => {
            let (name, number, rows) = (one_line(&record.name), record.number, record.rows);
            context.ui.line(&tr!(
                "{name}: back, version {number}, {rows} rows",
                "{name}：已恢复，版本 {number}，共 {rows} 行"
            ));
        }
        Restored::Version(new) => report(context, old.as_ref().unwrap_or(&new), &new, &[]),
    }
    Ok(())
}
