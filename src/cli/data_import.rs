//! `linly-bench data import`: files become a dataset.

use super::Context;
use super::data::{Bar, REJECTS_SHOWN, short};
use crate::data::{FieldMap, Format, ImportOptions, Reject};
use crate::error::Result;
use crate::store::Existing;
use crate::workbench::data::{self, ImportReport, ImportRequest, Input};
use crate::{text, tr};
use clap::{Args, ValueEnum};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// Arguments of `data import`
#[derive(Args)]
pub struct ImportArgs {
    /// Files (JSON, JSON lines, CSV, TSV, Parquet, text; also .gz and .zst), folders, patterns, a dataset_info.json, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Name of the dataset
    #[arg(long)]
    name: String,
    /// Layout of the rows: auto, alpaca, sharegpt, messages, csv, tsv, parquet, tatqa, convfinqa, or text, text-lines and text-file
    /// (plain text for pre-training: a row for each paragraph, line or file)
    #[arg(long, default_value = "auto")]
    format: String,
    /// Columns of the fields, for example instruction=question,output=answer; usual names are guessed
    #[arg(long, value_name = "FIELD=COLUMN,…", default_value = "")]
    map: String,
    /// Only these entries of a dataset_info.json
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    entry: Vec<String>,
    /// Language of the rows; auto: each row's own, or by its Chinese characters. `--lang` after `import` means this
    #[arg(long = ROW_LANG, value_enum, default_value = "auto")]
    row_lang: RowLang,
    /// Licence of the data, for the record
    #[arg(long, visible_alias = "licence", value_name = "L", default_value = "")]
    license: String,
    /// Where the data comes from, for the record
    #[arg(long, value_name = "S", default_value = "")]
    source: String,
    /// Stop at the first record that is no row, with nothing imported
    #[arg(long)]
    strict: bool,
    /// Put the rows after those that the dataset has
    #[arg(long)]
    append: bool,
    /// Put the rows in the place of those that the dataset has
    #[arg(long, conflicts_with = "append")]
    replace: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum RowLang {
    Auto,
    Zh,
    En,
}

const ROW_LANG: &str = "row-lang";

/// `--lang` means the language of messages everywhere, and after `data import` the language of the
/// rows. The parser cannot tell one flag's two meanings apart by place, so the second gets its own name.
pub fn rename_row_language(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let (mut data, mut import, mut rest) = (false, false, false);
    let rename = |arg: OsString| match arg.to_str() {
        Some("--lang") => OsString::from(format!("--{ROW_LANG}")),
        Some(text) => text.strip_prefix("--lang=").map_or(arg.clone(), |v| format!("--{ROW_LANG}={v}").into()),
        None => arg,
    };
    args.map(|arg| {
        rest |= arg == "--";
        if import && !rest {
            return rename(arg);
        }
        import |= data && arg == "import";
        data |= arg == "data";
        arg
    })
    .collect()
}

/// Runs `data import`.
///
/// # Errors
/// Those of [`data::import`].
pub(super) fn run(context: &Context, args: ImportArgs) -> Result<()> {
    let appended = args.append;
    let request = ImportRequest {
        options: ImportOptions {
            format: Format::parse(&args.format)?,
            map: FieldMap::parse(&args.map)?,
            lang: match args.row_lang {
                RowLang::Auto => None,
                RowLang::Zh => Some("zh"),
                RowLang::En => Some("en"),
            },
            entries: args.entry,
            ..ImportOptions::default()
        },
        inputs: args.paths.into_iter().map(Input::File).collect(),
        name: args.name,
        source: args.source,
        licence: args.license,
        strict: args.strict,
        existing: match (args.append, args.replace) {
            (true, _) => Existing::Append,
            (_, true) => Existing::Replace,
            _ => Existing::Refuse,
        },
    };
    let total = request.inputs.iter().map(Input::size).sum();
    let bar = Bar(context.ui.bar(total, true));
    let report = data::import(&context.workbench()?, &request, &bar, &context.cancel_on_signals()?);
    bar.0.finish_and_clear();
    let report = report?;
    for remark in &report.remarks {
        context.ui.note(&text::one_line(remark));
    }
    if context.ui.json {
        context.ui.json_line(&report);
    } else {
        print_import(context, &report, appended);
    }
    Ok(())
}

/// Refused records for people, those of one file and reason on one line with their lines' numbers.
fn told_rejects(rejects: &[Reject]) -> Vec<String> {
    /// Numbers that are said one by one.
    const NUMBERS: usize = 8;
    let mut groups: Vec<(&Reject, Vec<u64>)> = Vec::new();
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    for reject in rejects {
        let at = *places.entry((&reject.file, &reject.reason)).or_insert(groups.len());
        match groups.get_mut(at) {
            Some((_, lines)) => lines.push(reject.line),
            None => groups.push((reject, vec![reject.line])),
        }
    }
    let say = |(reject, lines): &(&Reject, Vec<u64>)| {
        let numbers: Vec<String> = lines.iter().take(NUMBERS).map(u64::to_string).collect();
        let numbers = numbers.join(", ");
        let numbers = match lines.len().checked_sub(NUMBERS) {
            Some(more @ 1..) => {
                let all = lines.len();
                tr!("{numbers} and {more} more", "{numbers} 等 {all} 行")
            }
            _ => numbers,
        };
        text::one_line(&format!("{}:{numbers}: {}", reject.file, reject.reason))
    };
    groups.iter().map(say).collect()
}

fn print_import(context: &Context, report: &ImportReport, appended: bool) {
    let ui = &context.ui;
    let told = told_rejects(&report.rejects);
    for line in told.iter().take(REJECTS_SHOWN) {
        ui.warn(line);
    }
    for skipped in report.skipped.iter().take(REJECTS_SHOWN) {
        ui.note(&text::one_line(&tr!("skipped {}: {}", "跳过 {}：{}", skipped.file, skipped.reason)));
    }
    if let Some(more @ 1..) = report.skipped.len().checked_sub(REJECTS_SHOWN) {
        ui.note(&tr!("{more} more skipped: --json lists them all", "另跳过 {more} 项：--json 列出全部"));
    }
    let name = &report.dataset;
    let rejected = report.rejected;
    if told.len() > REJECTS_SHOWN || rejected > report.rejects.len() as u64 {
        ui.warn(&tr!(
            "not all is said here; {rejected} records were refused: linly-bench data rejects {name}",
            "以上并非全部；共拒绝 {rejected} 条记录：linly-bench data rejects {name}"
        ));
    }
    if report.held_out > 0 && report.held_out == report.imported && !report.unchanged && !appended {
        ui.note(&tr!(
            "their file holds all of these rows out: nothing is left to train on before data split {name} --val 0.1",
            "这些数据行在文件中全部属于验证集：请先运行 data split {name} --val 0.1，否则没有可训练的数据"
        ));
    }
    if !report.fields_left_aside.is_empty() {
        let fields: Vec<String> =
            report.fields_left_aside.iter().map(|(f, n)| format!("{} ({n})", text::one_line(f))).collect();
        ui.note(&tr!("fields left aside: {}", "未使用的字段：{}", fields.join(", ")));
    }
    if report.corrected > 0 {
        let count = report.corrected;
        ui.note(&tr!(
            "{count} records that were refused earlier are out of the list: they had been written to this file",
            "此前拒绝的 {count} 条记录已移出列表：它们曾写入该文件"
        ));
    }
    if let Some(other) = &report.same_rows_in {
        ui.note(&tr!("{other} has the same rows", "{other} 的数据行与此相同"));
    }
    let version = short(&report.version);
    let (imported, rejected, duplicates) = (report.imported, report.rejected, report.duplicates);
    let speed = report.rows_per_second.round();
    ui.line(&if let Some(number) = report.same_as {
        tr!(
            "{name}: unchanged; these are the rows of its version {number} (data restore {name} {number} goes back to it)",
            "{name}：无变化；这些是其版本 {number} 的数据行（data restore {name} {number} 可恢复）"
        )
    } else if report.unchanged {
        tr!("{name}: unchanged (version {version})", "{name}：无变化（版本 {version}）")
    } else {
        tr!(
            "{name}: {imported} rows imported, {rejected} rejected, {duplicates} duplicates (version {version}, {speed} rows/s)",
            "{name}：导入 {imported} 行，拒绝 {rejected} 条，重复 {duplicates} 行（版本 {version}，{speed} 行/秒）"
        )
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(line: &str) -> String {
        let args = rename_row_language(line.split(' ').map(OsString::from));
        args.iter().map(|a| a.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn lang_means_the_rows_only_after_import() {
        assert_eq!(renamed("x --lang zh data import f --lang en"), "x --lang zh data import f --row-lang en");
        assert_eq!(renamed("x data --json import --lang=auto f"), "x data --json import --row-lang=auto f");
        assert_eq!(renamed("x data list --lang zh"), "x data list --lang zh");
        assert_eq!(renamed("x import data --lang zh"), "x import data --lang zh");
        assert_eq!(renamed("x data import -- --lang"), "x data import -- --lang");
    }
}
