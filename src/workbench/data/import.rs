//! Import: files become a version of a dataset.

use super::super::Workbench;
use super::super::inputs::{self, Part, Skipped};
use super::duplicates::Seen;
use super::intake::{Counts, Intake, Target, run};
use crate::data::{ImportOptions, Reject, Version, no_such_column};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink};
use crate::store::{Existing, Written, check_dataset_name, name_taken};
use crate::tr;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// Something to import from.
#[derive(Clone, Debug)]
pub enum Input {
    /// A file, a folder, a pattern of files, or a `dataset_info.json`.
    File(PathBuf),
    /// Text that the program carries with it.
    Embedded {
        /// Its name, recorded with each row.
        name: &'static str,
        /// Its contents.
        text: &'static str,
    },
}

impl Input {
    /// Bytes to read, as far as that is known beforehand.
    pub fn size(&self) -> u64 {
        match self {
            Input::File(path) => std::fs::metadata(path).map_or(0, |m| m.len()),
            Input::Embedded { text, .. } => text.len() as u64,
        }
    }

    /// The file as it was named.
    pub(super) fn path(&self) -> String {
        match self {
            Input::File(path) => path.to_string_lossy().into_owned(),
            Input::Embedded { name, .. } => (*name).to_owned(),
        }
    }

    /// The file's own name, without its folders.
    pub(super) fn name(&self) -> String {
        match self {
            Input::File(path) => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            Input::Embedded { name, .. } => (*name).to_owned(),
        }
    }
}

/// What `data import` was asked for.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// Where the rows come from, in order.
    pub inputs: Vec<Input>,
    /// Name of the dataset.
    pub name: String,
    /// How the files are read.
    pub options: ImportOptions,
    /// Where the data comes from, for the record.
    pub source: String,
    /// Its licence, for the record.
    pub licence: String,
    /// Whether the first refused record ends it all, with nothing imported.
    pub strict: bool,
    /// What to do when the name is taken. With [`Existing::Refuse`], rows that are already there
    /// under this name, and no others, are no failure: nothing changes.
    pub existing: Existing,
}

/// What an import did.
#[derive(Clone, Debug, Serialize)]
pub struct ImportReport {
    /// Name of the dataset.
    pub dataset: String,
    /// Its version now.
    pub version: String,
    /// Number of that version.
    pub number: u64,
    /// Rows read, less duplicates.
    pub imported: u64,
    /// Records that were refused.
    pub rejected: u64,
    /// Rows left out because the same texts were there already.
    pub duplicates: u64,
    /// Records that were refused earlier and left the list of those: they had been written to the file that was appended now.
    pub corrected: u64,
    /// Imported rows that their files hold out for validation.
    pub held_out: u64,
    /// The first [`REPORTED`] refused records, in order; the dataset keeps all.
    pub rejects: Vec<Reject>,
    /// Rows read per second, writing included.
    pub rows_per_second: f64,
    /// Whether the dataset held exactly these rows before, so that nothing was written.
    pub unchanged: bool,
    /// The earlier version that has exactly these rows, where the newest has others. Nothing was written then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_as: Option<u64>,
    /// A version under another name that has exactly these rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_rows_in: Option<String>,
    /// Fields that rows do not have, and how often each occurred.
    pub fields_left_aside: BTreeMap<String, u64>,
    /// Files and entries of lists that were passed over.
    pub skipped: Vec<Skipped>,
    /// What was guessed or converted, for people.
    pub remarks: Vec<String>,
}

/// Refused records that a report holds: more of them would only fill memory.
pub const REPORTED: usize = 10_000;

/// Imports a dataset in one transaction: either all of it is there afterwards, or nothing changed.
/// `events` hears of progress in bytes.
///
/// # Errors
/// `InvalidInput` when the name is taken by other rows, no row is usable, or a record is refused
/// under `strict`; `Unsupported` for another format; `Interrupted` when `cancel` is set; `NotFound`,
/// `Io`, `NoSpace`.
pub fn import(
    bench: &Workbench,
    request: &ImportRequest,
    events: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<ImportReport> {
    let started = Instant::now();
    let old = bench.store.find_dataset(&request.name)?;
    if old.is_none() {
        check_dataset_name(&request.name)?;
    }
    let was_deleted = old.is_none() && bench.store.deleted_datasets()?.iter().any(|d| d.name == request.name);
    let (parts, mut skipped) = inputs::expand(&request.inputs, &request.options)?;
    let mut seen = Seen::default();
    // Against a name that is taken, the rows are first only compared: nothing is locked or written.
    let target = if old.is_some() && request.existing == Existing::Refuse {
        Target::Compare(Version::default())
    } else {
        let (name, source, licence) = (&request.name, &request.source, &request.licence);
        let message = message(request);
        let mut known = |hash: &_| _ = seen.insert(hash);
        let mut writer = bench.store.write_dataset(name, source, licence, &message, request.existing, &mut known)?;
        if request.existing == Existing::Append {
            writer.corrects(&whole_paths(&parts))?;
        }
        Target::Write(Box::new(writer))
    };
    let counts = Counts::default();
    let mut intake = Intake { target, seen, counts, rejects: Vec::new(), strict: request.strict };
    let read = run(&request.name, &parts, &mut intake, events, cancel)?;
    let Intake { target, counts, rejects, .. } = intake;
    let mut remarks = read.remarks();
    skipped.extend(read.skipped);
    if request.strict
        && let Some(Skipped { file, reason }) = skipped.first()
    {
        return Err(Error::new(Kind::InvalidInput, format!("{file}: {reason}"))
            .hint(tr!("nothing was imported; name the files that are meant", "没有导入任何数据；请逐一指定文件")));
    }
    let Counts { imported, rejected, duplicates, held_out } = counts;
    // A file without a record that could be read has no columns to be wrong about.
    if let Some(column) = read.unmet.first().filter(|_| imported + duplicates > 0 || !read.columns.is_empty()) {
        let columns: Vec<String> = read.columns.into_iter().collect();
        return Err(no_such_column(&read.files.join(", "), column, &columns));
    }
    if imported + duplicates == 0 {
        return Err(nothing_usable(&rejects, rejected, &skipped));
    }
    let same = |version, number, corrected| Written { version, number, unchanged: true, corrected };
    let mut same_as = None;
    let written = match (target, old) {
        (Target::Compare(version), _) => {
            let (version, name) = (version.finish(), &request.name);
            // An earlier version with these rows counts as well: they are there, and what was done to them stays.
            let known = bench.store.history(name)?.into_iter().filter(|v| v.version == version).map(|v| v.number).max();
            let newest = bench.store.dataset(name)?;
            let Some(number) = known else { return Err(name_taken(name)) };
            same_as = Some(number).filter(|number| *number != newest.number);
            same(newest.version, newest.number, 0)
        }
        // Nothing new to append: the rejects must not be kept a second time either.
        (Target::Write(writer), Some(old)) if imported == 0 => {
            let corrected = if request.existing == Existing::Append { writer.only_corrected()? } else { 0 };
            same(old.version, old.number, corrected)
        }
        (Target::Write(writer), _) => writer.finish()?,
    };
    let elsewhere = match written.unchanged {
        true => None,
        false => bench.store.same_rows_elsewhere(&request.name, &written.version)?,
    };
    if was_deleted {
        let name = &request.name;
        remarks.push(tr!(
            "`{name}` was deleted; its earlier versions are back with this one",
            "`{name}` 曾被删除；其早先的版本随本次导入一并恢复"
        ));
    }
    Ok(ImportReport {
        dataset: request.name.clone(),
        unchanged: written.unchanged,
        same_as,
        same_rows_in: elsewhere.map(|(other, number)| format!("{other}@{number}")),
        version: written.version,
        number: written.number,
        imported,
        rejected,
        duplicates,
        corrected: written.corrected,
        held_out,
        rejects,
        rows_per_second: (imported + duplicates) as f64 / started.elapsed().as_secs_f64().max(1e-9),
        fields_left_aside: read.left_aside,
        skipped,
        remarks,
    })
}

/// The whole paths of the files, as `data rejects -o` remembers them.
fn whole_paths(parts: &[Part]) -> Vec<String> {
    let path = |part: &Part| match &part.input {
        Input::File(path) => Some(std::fs::canonicalize(path).ok()?.to_string_lossy().into_owned()),
        Input::Embedded { .. } => None,
    };
    parts.iter().filter_map(path).collect()
}

/// What the history says of an import: the names of its files.
fn message(request: &ImportRequest) -> String {
    let mut names: Vec<String> = request.inputs.iter().take(4).map(Input::name).collect();
    if request.inputs.len() > names.len() {
        names.push("…".to_owned());
    }
    let names = names.join(", ");
    match request.existing {
        Existing::Append => tr!("append {names}", "追加 {names}"),
        Existing::Replace => tr!("replace by {names}", "替换为 {names}"),
        Existing::Refuse => tr!("import {names}", "导入 {names}"),
    }
}

fn nothing_usable(rejects: &[Reject], count: u64, skipped: &[Skipped]) -> Error {
    let rejected = rejects.iter().map(|r| format!("{}:{}: {}", r.file, r.line, r.reason));
    let places: Vec<String> =
        rejected.chain(skipped.iter().map(|s| format!("{}: {}", s.file, s.reason))).take(3).collect();
    let first = if places.is_empty() { tr!("the input is empty", "输入为空") } else { places.join("; ") };
    Error::new(Kind::InvalidInput, tr!("no usable row ({} refused): {first}", "没有可用的数据（拒绝 {} 条）：{first}", count)).hint(tr!(
        "expected JSON, JSON lines, CSV or Parquet with the fields instruction and output (--map FIELD=COLUMN names others), or with conversations or messages; plain text needs --format text",
        "需要 JSON、JSON Lines、CSV 或 Parquet，含字段 instruction 与 output（--map 字段=列 可改名），或 conversations、messages；纯文本请用 --format text"
    ))
}
