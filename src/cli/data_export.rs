//! `linly-bench data export`: a dataset as files for other programs.

use super::Context;
use super::data::{Bar, short};
use crate::data::{RowFormat, Split};
use crate::error::{Error, Kind, Result};
use crate::prompt::LossOn;
use crate::workbench::export::{self, ExportFormat, ExportRequest, TokenSettings};
use crate::{text, tr};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Arguments of `data export`
#[derive(Args)]
pub struct ExportArgs {
    /// Dataset
    name: String,
    /// What is written; the last three are folders
    #[arg(long, value_enum, default_value = "alpaca")]
    format: FormatArg,
    /// File (a .json is one array, any other name is a row a line), or folder
    #[arg(long, short, value_name = "FILE|DIR")]
    output: PathBuf,
    /// Only this split: train or val
    #[arg(long, value_parser = super::data_view::parse_split)]
    split: Option<Split>,
    /// tokens: model whose tokenizer is used
    #[arg(long, value_name = "M")]
    model: Option<String>,
    /// tokens: prompt template: chat, alpaca, linly, linly-card, linly-chat or cornucopia
    #[arg(long, value_name = "T", default_value = "chat")]
    template: String,
    /// tokens: longest row, in tokens; longer ones are left out and listed
    #[arg(long, value_name = "L", default_value_t = 2048)]
    max_len: usize,
    /// tokens: answers that are learnt: all, or last
    #[arg(long, value_name = "all|last", default_value = "all")]
    loss_on: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatArg {
    Alpaca,
    Sharegpt,
    Messages,
    Csv,
    Tsv,
    Parquet,
    LlamaFactory,
    Axolotl,
    Tokens,
}

/// Rows that are named one by one.
const SHOWN: usize = 10;

/// Runs `data export`.
///
/// # Errors
/// Those of the verb; `Usage` when token ids are asked for without a model.
pub(super) fn run(context: &Context, args: &ExportArgs) -> Result<()> {
    let format = match args.format {
        FormatArg::Alpaca => ExportFormat::Rows(RowFormat::Alpaca),
        FormatArg::Sharegpt => ExportFormat::Rows(RowFormat::ShareGpt),
        FormatArg::Messages => ExportFormat::Rows(RowFormat::Messages),
        FormatArg::Csv => ExportFormat::Rows(RowFormat::Csv),
        FormatArg::Tsv => ExportFormat::Rows(RowFormat::Tsv),
        FormatArg::Parquet => ExportFormat::Parquet,
        FormatArg::LlamaFactory => ExportFormat::LlamaFactory,
        FormatArg::Axolotl => ExportFormat::Axolotl,
        FormatArg::Tokens => ExportFormat::Tokens(TokenSettings {
            model: args.model.clone().ok_or_else(|| {
                Error::new(Kind::Usage, tr!("--format tokens needs a model", "--format tokens 需要模型"))
                    .hint(tr!("say whose tokens: --model M", "请用 --model M 指明用哪个模型的分词器"))
            })?,
            template: args.template.parse()?,
            max_len: args.max_len,
            loss_on: LossOn::parse(&args.loss_on)?,
        }),
    };
    if args.output.as_os_str() == "-" {
        return Err(Error::new(Kind::Usage, tr!("an export goes into a file", "导出内容须写入文件")).hint(tr!(
            "name one: -o rows.jsonl, or -o /dev/stdout for a pipe",
            "请指定文件，如 -o rows.jsonl；接管道可用 -o /dev/stdout"
        )));
    }
    let request = ExportRequest { name: args.name.clone(), format, output: args.output.clone(), split: args.split };
    let bench = context.workbench()?;
    let bar = Bar(context.ui.rows_bar(0));
    let report = export::export(&bench, &request, &bar, &context.cancel_on_signals()?);
    bar.0.finish_and_clear();
    let report = report?;
    let ui = &context.ui;
    if ui.json {
        ui.json_line(&report);
        return Ok(());
    }
    for left in report.left_out.iter().take(SHOWN) {
        ui.warn(&tr!("row {} is left out: {}", "第 {} 行未导出：{}", left.row, left.reason));
    }
    if let Some(more @ 1..) = report.left_out_rows.checked_sub(SHOWN as u64) {
        ui.warn(&tr!(
            "{more} more rows are left out: left-out.jsonl lists them all",
            "另有 {more} 行未导出：left-out.jsonl 列出全部"
        ));
    }
    for file in &report.files {
        let path = text::one_line(&file.path.to_string_lossy());
        match file.rows {
            0 => ui.note(&path),
            rows => ui.note(&tr!("{path}: {rows} rows", "{path}：{rows} 行")),
        }
    }
    let (name, version) = (text::one_line(&report.dataset), short(&report.version));
    let (rows, train, val) = (report.rows, report.train, report.val);
    ui.line(&tr!(
        "{name}: {rows} rows exported, {train} train, {val} val (version {version})",
        "{name}：导出 {rows} 行，训练 {train}，验证 {val}（版本 {version}）"
    ));
    Ok(())
}
